"""The page at /admin/ in real Chromium: somebody logs in, sees a room and acts on it; and a call is sent by relays."""

from __future__ import annotations

import json

from argon2 import PasswordHasher
from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from rtcd.cli.control import Connection
from tests.daemon.process import TURN, WEB, WebSocket
from tests.interop.test_accessible import AXE, DESKTOP, SIDEWAYS, SMALLEST, TAGS, AccessibleTestCase
from tests.interop.test_page import INI, PageTestCase

PASSWORD = "correct horse battery"
HASHED = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

LARGE_ENOUGH = """() => [...document.querySelectorAll("button, input")]
    .map((one) => [one.textContent, one.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0 && (box.height < 44 || box.width < 44)).map(([text]) => text)"""


class RelayTests(PageTestCase):
    """What the operator lays down for a room, as those feel it who are in a call."""

    ini = f"{INI}[admin]\n"

    def switch(self, on: bool) -> None:
        """Tell the daemon, as rtcd relay does."""
        connection = Connection(str(self.daemon.folder / "state" / "admin.sock"))
        connection.request("PUT", "/admin/rooms/team/relay", json.dumps({"on": on}), {"Content-Type": "application/json"})
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()

    def test_a_call_that_goes_well_changes_to_relays_and_back(self) -> None:
        """The browser alone would keep a direct path as long as there is one."""
        _, *pages = self.pair("/r/team")
        for on in (True, False):
            self.switch(on)
            for page in pages:
                self.until(page, lambda found, on=on: (  # type: ignore[misc] # bound now
                    found.get("local", "") != "" and (found["local"] == "relay") == on and found["bytes"] > 0))
        self.assertEqual(self.complaints, [])


def name_nodes(route: Route) -> None:
    """The status, with two TURN nodes, and two stores of rooms."""
    found = route.fetch().json()
    node = {"urls": ["turn:relay"], "usable": True, "reason": "", "since": 1.7e9, "weight": 1, "region": ""}
    found["nodes"] = [
        {**node, "name": "relay1.example.org", "region": "eu", "weight": 2, "state": "alive", "ms": 20},
        {**node, "name": "relay2.example.org", "state": "dead", "reason": "no answer", "ms": None}]
    found["stores"] = [
        {"name": "redis://10.0.0.5:6379/0", "reachable": True, "reason": "", "processes": 3, "strangers": 1},
        {"name": "redis://10.0.0.6:6379/0", "reachable": False, "reason": "WRONGPASS invalid password",
         "processes": 3, "strangers": 0}]
    route.fulfill(json=found)


class AdminPageTests(AccessibleTestCase):
    ini = f"{WEB}ping-interval = 0\n{TURN}[ice]\n[admin]\npassword = {HASHED}\n"

    def seat(self, room: str, tag: str, name: str) -> WebSocket:
        """Somebody in a room, without a page."""
        joined = self.post(f"{self.origin}/join/{room}", json.dumps({"page": {"id": tag * 16, "name": name}}).encode())
        socket = WebSocket(self.daemon.port())
        self.addCleanup(socket.close)
        socket.send(cmd="register", roomid=room, clientid=joined["params"]["client_id"])
        socket.receive()
        return socket

    def looked_at(self, page: Page, what: str) -> None:
        """On the largest and the smallest screen: axe, nothing sideways, nothing too small."""
        for width, height in (DESKTOP, SMALLEST):
            page.set_viewport_size({"width": width, "height": height})
            found = [*self.axe_says(page), *page.evaluate(SIDEWAYS), *page.evaluate(LARGE_ENOUGH)]
            self.assertEqual(found, [], f"{what} at {width}")

    def axe_says(self, page: Page) -> list[str]:
        """What axe finds; the policy of the page lets no script in but its own, so it comes by the debugger."""
        page.evaluate(self.axe.read_text())
        found: list[str] = page.evaluate(AXE, TAGS)
        return found

    def in_peace(self, page: Page, room: Locator) -> None:
        """What changes meanwhile takes away neither a press that is under way nor a selected text."""
        page.evaluate("() => getSelection().selectAllChildren(document.querySelector('.room h3'))")
        room.get_by_role("button", name="Remove Ann").hover()
        page.mouse.down()
        self.seat("team", "e", "Eve")
        expect(room).to_contain_text("3 of 6")
        page.mouse.up()
        expect(page.locator("dialog")).to_contain_text("Remove Ann from team?")
        page.keyboard.press("Escape")
        self.assertEqual(page.evaluate("() => getSelection().toString()"), "team")
        room.get_by_role("button", name="Remove Eve").click()
        page.locator("#sure-yes").click()
        expect(room).to_contain_text("2 of 6")

    def overtaken(self, page: Page, room: Locator) -> None:
        """An answer that comes after a newer one is not shown."""
        held: list[tuple[Route, APIResponse]] = []
        page.route("**/admin/rooms?*", lambda route: held.append((route, route.fetch())), times=1)
        with page.expect_request("**/admin/rooms?*"):
            pass
        lock = room.get_by_role("button", name="Lock")
        while not held:
            page.wait_for_timeout(50)
        lock.click()
        expect(lock).to_have_attribute("aria-pressed", "true")
        (route, answer), = held
        with page.expect_response("**/admin/rooms?*"):
            route.fulfill(response=answer)
        page.wait_for_timeout(200)
        expect(lock).to_have_attribute("aria-pressed", "true", timeout=1)
        lock.click()
        expect(lock).to_have_attribute("aria-pressed", "false")

    def test_somebody_looks_after_a_room(self) -> None:
        """In English and in Chinese, in light and dark."""
        ann, bob = self.seat("team", "a", "Ann"), self.seat("team", "b", "鲍勃")
        browser = self.browser()
        page = self.open(browser, "/admin", locale="en-GB")
        expect(page.locator("#log-in")).to_be_visible()
        self.looked_at(page, "log in")
        page.fill("#password", "wrong password")
        page.keyboard.press("Enter")
        expect(page.locator("#notice")).to_have_text("The password is wrong.")
        refusal = {"detail": "From another site."}
        page.route("**/admin/session", lambda route: route.fulfill(status=403, json=refusal), times=1)
        page.keyboard.press("Enter")
        expect(page.locator("#notice")).to_have_text("That did not work: From another site.")
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        room = page.locator(".room")
        expect(room).to_contain_text("Ann")
        expect(room).to_contain_text("2 of 6")
        expect(page.locator("#nodes-section")).to_be_hidden()
        expect(page.locator("#stores-section")).to_be_hidden()
        page.route("**/admin/status", name_nodes)
        expect(page.locator("#nodes li")).to_contain_text([
            "relay1.example.org · eu · weight 2 · alive since ", "relay2.example.org · dead since "])
        expect(page.locator("#nodes li").first).to_contain_text("20 ms")
        expect(page.locator("#stores li")).to_have_text([
            "redis://10.0.0.5:6379/0 · reached · shared by 3 processes · with another [credentials] secret: 1",
            "redis://10.0.0.6:6379/0 · cannot be reached: nobody can join · WRONGPASS invalid password"])
        self.looked_at(page, "a room, two nodes and two stores")
        page.unroute_all(behavior="ignoreErrors")
        self.in_peace(page, room)
        self.overtaken(page, room)

        room.get_by_role("button", name="Lock").click()
        expect(room.locator(".marks")).to_have_text("locked")
        expect(room.get_by_role("button", name="Lock")).to_have_attribute("aria-pressed", "true")
        expect(room.get_by_role("button", name="Lock")).to_be_focused()
        room.get_by_role("button", name="Relays alone").click()
        expect(room.locator(".mark")).to_have_text(["locked", "relays alone"])

        page.emulate_media(color_scheme="dark")
        page.get_by_role("button", name="中文").click()
        room.get_by_role("button", name="移出 鲍勃").click()
        expect(page.locator("dialog")).to_contain_text("把 鲍勃 移出 team 吗？")
        self.looked_at(page, "a question")
        page.locator("#sure-yes").click()
        expect(room).to_contain_text("1/6 人")
        while (event := bob.receive()) is not None:
            last = event
        self.assertEqual(last["room"], {"event": "kicked"})

        room.get_by_role("button", name="关闭房间").click()
        page.keyboard.press("Escape")
        expect(room).to_be_visible()
        room.get_by_role("button", name="关闭房间").click()
        page.locator("#sure-yes").click()
        expect(page.locator("#rooms")).to_have_text("目前没有人，也没有预先创建的房间。")
        expect(page.locator("#calls li")).to_contain_text("team")
        expect(page.locator("#calls li")).to_contain_text("3 人")
        while ann.receive() is not None:
            pass
        page.locator("#calls a").click()
        expect(page.locator(".verdict")).to_contain_text("A 与 B")
        expect(page.locator("#parts h2").last).to_have_text("经过")
        expect(page.locator(".rows .when").first).to_have_text("+0.0 s")
        page.get_by_role("button", name="English").click()
        expect(page.locator("#parts h2").last).to_have_text("What happened")
        self.looked_at(page, "a call")
        page.get_by_role("button", name="中文").click()
        self.told = page.url
        page.get_by_role("link", name="所有通话").click()
        page.get_by_role("button", name="重新读取配置").click()
        expect(page.locator("#lines")).to_have_text("reloaded: nothing has changed")
        self.looked_at(page, "no room")
        page.reload()
        expect(page.locator("#status-title")).to_have_text("服务器")
        page.get_by_role("button", name="退出").click()
        expect(page.locator("#log-in")).to_be_visible()
        page.goto(self.told)
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator(".verdict")).to_be_visible()
        self.assertEqual(page.url, self.told)
        self.assertEqual([one for one in self.complaints if "401" not in one and "403" not in one], [])
