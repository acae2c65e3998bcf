"""The page in real Chromium: two people see each other, directly and through our TURN; and everything around a call."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, Page, TimeoutError

from tests.daemon.process import DaemonTestCase, Running
from tests.interop import require_program
from tests.interop.driver import WITHOUT, playwright

INI = """
[doorway]
https = tcp:0:interface=127.0.0.1
http =
[web]
join-rate = 0
[signaling]
[ice]
rate = 0
[turn]
port = 0
tls-port = 0
external-ip =
[log]
level = debug
"""

ARGUMENTS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream=fps=5", WITHOUT,
]
"""Few pictures a second: to code them is most of what a small machine does in these tests."""
FAKE_PERMISSION = "--use-fake-ui-for-media-stream"

SHELL = "chromium-headless-shell"
"""Chromium without what is around its pages. A new person's page costs it less than half of what it costs the whole one."""

DISTRUST = "An SSL certificate error occurred when fetching the script."
"""Said of the service worker, which Chromium does not take with a certificate that was only waved through."""

DEADLINE_S = 60.0
"""How long anything in a browser may take; only a broken page needs it, or a machine that has much else to do."""

STATS = """async () => {
    const connection = globalThis.rtcdCall.connection;
    if (!connection) return {};
    const stats = {};
    for (const one of (await connection.getStats()).values()) stats[one.id] = one;
    const all = Object.values(stats);
    const transport = all.find((one) => one.type === "transport" && one.selectedCandidatePairId);
    const pair = transport ? stats[transport.selectedCandidatePairId] : null;
    return {
        frames: all.filter((one) => one.type === "inbound-rtp" && one.kind === "video")
            .reduce((sum, one) => sum + (one.framesDecoded || 0), 0),
        local: pair ? stats[pair.localCandidateId].candidateType : "",
        remote: pair ? stats[pair.remoteCandidateId].candidateType : "",
        bytes: pair ? pair.bytesReceived : 0,
    };
}"""

MEMBERS = """() => [...rtcdCall.call?.members?.values() ?? []].map(({id, here, trouble, peer}) => {
    const {connectionState, iceConnectionState, signalingState} = peer?.connection ?? {};
    return [id, here, trouble, connectionState, iceConnectionState, signalingState, peer?.session];
})"""
"""What a page thinks of the others, for when something has gone wrong."""
SAID = 40
"""So many lines of each page's console are kept, likewise."""

REFUSALS = ("full", "app", "locked", "password")
"""Reasons for which a room lets nobody in."""


def refuse(page: Page, reason: str) -> None:
    """From now on a page's joins are answered as such a room answers them."""
    answer = {"result": reason.upper() if reason in ("locked", "password") else "FULL",
              "params": {"messages": []}, "reason": reason, "capacity": 6}
    page.unroute_all()
    page.route("**/join/**", lambda route: route.fulfill(json=answer))


class PageTestCase(DaemonTestCase):
    """A daemon and a browser; every page's console errors fail the test."""

    ini = INI
    program = SHELL
    environment: dict[str, str | float | bool] | None = None
    """Of the browser, if not ours."""

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self._said: dict[Page, deque[str]] = {}

    def setUp(self) -> None:
        self._chromium = require_program(self.program)
        self.launch()
        self.complaints: list[str] = []

    def launch(self, **options: Any) -> None:
        """Start a daemon."""
        self.daemon: Running = self.run_daemon(self.ini, **options).started()
        self.origin = f"https://127.0.0.1:{self.daemon.port()}"

    def browser(self, *more: str) -> Browser:
        """Start Chromium with these arguments besides ours."""
        found = playwright().chromium.launch(
            executable_path=self._chromium, chromium_sandbox=False, args=[*ARGUMENTS, *more],
            env=self.environment)
        self.addCleanup(found.close)
        return found

    def open(self, browser: Browser, path: str, **context: Any) -> Page:
        """A page of a person of their own."""
        page = browser.new_context(ignore_https_errors=True, **context).new_page()
        page.set_default_timeout(DEADLINE_S * 1000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        said = self._said[page] = deque(maxlen=SAID)
        page.on("console", lambda message: said.append(f"{time.monotonic():.1f} {message.text}"))
        page.on("console", lambda message: self.complaints.append(message.text) if (
            message.type == "error" and DISTRUST not in message.text) else None)
        try:
            page.goto(self.origin + path, wait_until="domcontentloaded")  # what a test needs besides, it waits for
        except TimeoutError as error:
            raise AssertionError(f"{self.complaints}\n" + "\n".join(self.daemon.lines[-20:])) from error
        return page

    def state(self, page: Page, *names: str) -> None:
        """Wait until a page is in one of these states."""
        try:
            page.wait_for_function("names => names.includes(document.documentElement.dataset.state)", arg=list(names))
        except TimeoutError as error:
            state = page.evaluate("({...document.documentElement.dataset})")
            raise AssertionError(
                f"not {' or '.join(names)}: {state} {self.complaints}\n{self.condition()}\n"
                + "\n".join(self.daemon.lines[-20:])) from error

    def condition(self) -> str:
        """How all pages that are open stand with each other, and the last that they said."""
        lines = []
        for page, said in self._said.items():
            if not page.is_closed():
                me = page.evaluate("rtcdCall.call?.me")
                lines += [f"{me} at {time.monotonic():.1f}:", *(f"  {one}" for one in page.evaluate(MEMBERS)), *said]
        return "\n".join(lines)

    def crash(self, page: Page) -> None:
        """Kill all tabs of a page's browser."""
        browser = page.context.browser
        assert browser is not None
        processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
        with page.expect_event("crash"):
            for one in processes:
                if one["type"] == "renderer":
                    os.kill(int(one["id"]), signal.SIGKILL)

    def join(self, browser: Browser, path: str) -> Page:
        """Open a room's link and go in."""
        page = self.open(browser, path)
        self.state(page, "green")
        page.click("#enter-button")
        return page

    def until(self, page: Page, good: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask a page for its statistics until they are good."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            found: dict[str, Any] = page.evaluate(STATS)
            if good(found):
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{found}; {self.complaints}\n" + "\n".join(self.daemon.lines[-20:]))
            page.wait_for_timeout(200)

    def rising(self, page: Page) -> dict[str, Any]:
        """Wait until a page decodes more and more video frames."""
        first = self.until(page, lambda found: found.get("frames", 0) > 0)
        return self.until(page, lambda found: found.get("frames", 0) >= first["frames"] + 5)

    def pair(self, path: str) -> tuple[Browser, Page, Page]:
        """Two people in one room, connected."""
        browser = self.browser(FAKE_PERMISSION)
        first = self.join(browser, path)
        self.state(first, "waiting")
        second = self.join(browser, path)
        for page in (first, second):
            self.state(page, "connected")
        return browser, first, second


class CallTests(PageTestCase):
    """A call between two people who never met."""

    program = "chromium"

    def test_two_people_see_each_other_directly(self) -> None:
        """Both decode video frames over a direct path."""
        _, first, second = self.pair("/r/direct-room")
        for page in (first, second):
            found = self.rising(page)
            self.assertNotIn("relay", (found["local"], found["remote"]))
        self.assertEqual(self.complaints, [])

    def test_two_people_see_each_other_through_our_relay(self) -> None:
        """``?it=relay``: both selected pairs are relay to relay, and the bytes go through our TURN."""
        _, first, second = self.pair("/r/relay-room?it=relay")
        for page in (first, second):
            found = self.rising(page)
            self.assertEqual((found["local"], found["remote"]), ("relay", "relay"))
            self.until(page, lambda found: found.get("bytes", 0) > 10000)
        self.assertEqual(self.complaints, [])

    def test_who_stays_waits_again_and_is_called_again(self) -> None:
        """Hang up, come back: the same room, a new call."""
        _, first, second = self.pair("/r/again-room")
        first.click("#hangup-button")
        self.state(first, "left")
        self.state(second, "waiting")
        first.click("#rejoin-button")
        for page in (first, second):
            self.state(page, "connected")
            self.rising(page)

    def test_a_closed_tab_frees_its_seat_at_once(self) -> None:
        """The other waits again, and a new person comes in."""
        browser, first, second = self.pair("/r/closed-room")
        first.close(run_before_unload=False)
        self.state(second, "waiting")
        third = self.join(browser, "/r/closed-room")
        for page in (second, third):
            self.state(page, "connected")
            self.rising(page)

    def test_a_reload_comes_back_into_the_call(self) -> None:
        """The page's own seat does not stand in its way."""
        _, first, second = self.pair("/r/reload-room")
        second.reload()
        self.state(second, "green")
        second.click("#enter-button")
        for page in (first, second):
            self.state(page, "connected")
            self.rising(page)

    def test_the_microphone_and_the_camera_can_be_switched_off_and_on(self) -> None:
        """Without a new negotiation: the other's picture stands still and goes on."""
        _, first, second = self.pair("/r/mute-room")
        self.rising(second)
        for button in ("#mute-button", "#camera-button"):
            self.assertEqual(first.get_attribute(button, "aria-pressed"), "false")
            first.click(button)
            first.wait_for_selector(f"{button}[aria-pressed=true]")
            first.click(button)
            first.wait_for_selector(f"{button}[aria-pressed=false]")
        self.rising(second)

    def test_a_call_to_oneself(self) -> None:
        """``debug=loopback``"""
        page = self.join(self.browser(FAKE_PERMISSION), "/r/loop-room?debug=loopback")
        self.state(page, "connected")
        self.rising(page)
        self.assertEqual(page.text_content("#tiles .tile:not(.own) .name"), "Your echo")
        self.assertEqual(page.locator("[data-notice=app]").count(), 0, "there is no phone")


class AroundTests(PageTestCase):
    """The pages before and after a call, and what the browser asks."""

    program = "chromium"

    def test_the_landing_page_leads_into_a_room(self) -> None:
        """A name is there, Enter joins, Back comes back."""
        page = self.open(self.browser(FAKE_PERMISSION), "/")
        self.state(page, "landing")
        name = page.input_value("#room-name")
        self.assertRegex(name, r"^[A-Za-z0-9_-]{5,}$")
        page.click("#random-button")
        self.assertNotEqual(page.input_value("#room-name"), name)
        page.fill("#room-name", "abc")
        self.assertTrue(page.is_disabled("#join-button"))
        page.fill("#room-name", "landing-room")
        page.press("#room-name", "Enter")
        self.state(page, "green")
        self.assertEqual(page.evaluate("location.pathname"), "/r/landing-room")
        self.assertIn("landing-room", page.inner_text("h1:visible"))
        page.press("#own-name", "Enter")
        self.state(page, "waiting")
        page.keyboard.press("?")
        page.wait_for_selector("#help:visible")
        page.go_back()
        self.state(page, "landing")
        page.click("#random-button")  # what is open over a call goes with it
        self.assertRegex(page.inner_text("#version"), r"^rtcd \d")
        self.assertEqual(self.complaints, [])

    def test_an_installed_page_has_a_shortcut_into_a_new_room(self) -> None:
        """Of its manifest."""
        page = self.open(self.browser(FAKE_PERMISSION), "/#new")
        self.state(page, "green")
        self.assertRegex(page.evaluate("location.pathname"), "^/r/[a-z0-9_]+$")

    def test_a_refused_camera_is_explained_and_does_not_block(self) -> None:
        """The call goes on without it."""
        page = self.open(self.browser("--deny-permission-prompts"), "/r/refused-room")
        self.state(page, "green")
        page.wait_for_selector("#green-problems:visible")
        self.assertIn("blocked", page.inner_text("#green-problems"))
        page.click("#enter-button")
        self.state(page, "waiting")
        page.wait_for_selector("[data-notice=device-both]")

    def test_a_link_that_names_no_room_is_explained(self) -> None:
        """And leads to a room of one's own."""
        page = self.open(self.browser(FAKE_PERMISSION), "/r/%E6%88%BF%E9%97%B4?minre=1", locale="zh-CN")
        self.state(page, "error")
        self.assertEqual(page.inner_text("#error-title"), "房间名无效")
        self.assertIn("不再支持", page.inner_text("#notices"))
        self.assertTrue(page.is_hidden("#error-retry-button"))
        page.click("#error-new-room-button")
        self.state(page, "landing")

    def test_a_camera_that_goes_away_is_noticed(self) -> None:
        """And switches wait until the devices are there."""
        page = self.join(self.browser(FAKE_PERMISSION), "/r/unplugged-room")
        self.state(page, "waiting")
        page.wait_for_selector("#camera-button:enabled[aria-pressed=false]")
        page.evaluate("globalThis.picture = document.getElementById('local-video').srcObject")
        page.evaluate("picture.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
        page.wait_for_selector("[data-notice=device-video]")
        page.wait_for_selector("#camera-button[aria-pressed=true]")
        page.click("#camera-button")
        page.wait_for_selector("[data-notice=device-video]", state="detached")
        page.click("#camera-button")
        page.click("#hangup-button")
        self.state(page, "left")
        page.wait_for_timeout(600)
        self.assertEqual(page.inner_text("#status"), "")
        self.assertEqual(self.complaints, [])

    def test_the_page_speaks_chinese(self) -> None:
        """By the browser's language, and by the button."""
        page = self.open(self.browser(FAKE_PERMISSION), "/", locale="zh-CN")
        self.state(page, "landing")
        page.wait_for_selector("html[lang=zh-CN]")
        page.click("#language-button")
        page.wait_for_selector("html[lang=en]")

    def test_the_page_is_there_before_its_scripts(self) -> None:
        """The right panel with its words in the reader's language, from the server alone."""
        browser = self.browser()
        page = self.open(browser, "/", locale="zh-CN", java_script_enabled=False)
        page.wait_for_load_state("load")  # styles decide what can be seen
        self.assertEqual(page.inner_text("h1:visible"), "发起视频通话")
        page = self.open(browser, "/r/still-room", locale="en-GB", java_script_enabled=False)
        page.wait_for_load_state("load")
        self.assertIn("still-room", page.inner_text("h1:visible"))
        self.assertEqual(page.inner_text("#enter-button"), "Join now")


class GreenRoomTests(PageTestCase):
    """What is chosen before a call holds in it."""

    def test_who_is_silent_and_unseen_in_the_green_room_goes_in_so(self) -> None:
        """And the name is remembered."""
        page = self.open(self.browser(FAKE_PERMISSION), "/r/quiet-room")
        self.state(page, "green")
        for kind in ("audio", "video"):
            page.click(f"#green-{kind}-button:enabled[aria-pressed=false]")
            page.wait_for_selector(f"#green-{kind}-button[aria-pressed=true]")
        page.fill("#own-name", "Anna")
        page.click("#enter-button")
        self.state(page, "waiting")
        for button in ("#mute-button", "#camera-button"):
            page.wait_for_selector(f"{button}[aria-pressed=true]")
        page.click("#hangup-button")
        self.state(page, "left")
        page.click("#rejoin-button")
        self.state(page, "waiting")
        for button in ("#mute-button:enabled", "#camera-button:enabled"):
            page.wait_for_selector(f"{button}[aria-pressed=true]")
        page.reload()
        self.state(page, "green")
        self.assertEqual(page.input_value("#own-name"), "Anna")
        self.assertEqual(self.complaints, [])

    def test_the_devices_are_named_and_can_be_chosen(self) -> None:
        """Microphone, camera and speakers, each with a label of its own."""
        page = self.open(self.browser(FAKE_PERMISSION), "/r/devices-room")
        self.state(page, "green")
        for kind, name in (("audio", "Microphone"), ("video", "Camera"), ("output", "Speakers")):
            page.wait_for_selector(f"#{kind}-picker option:not([value=''])", state="attached")
            self.assertEqual(page.get_by_label(name, exact=True).get_attribute("id"), f"{kind}-picker")
        page.click("#test-sound-button")
        self.assertEqual(self.complaints, [])

    def test_a_password_is_asked_for_with_the_reason(self) -> None:
        """A wrong one is told from none, and the right one leads in."""
        browser = self.browser(FAKE_PERMISSION)
        first = self.join(browser, "/r/password-room")
        self.state(first, "waiting")
        first.evaluate("rtcdCall.call.password('sesame')")
        second = self.join(browser, "/r/password-room")
        second.wait_for_selector("#room-password:visible")
        self.state(second, "green")
        self.assertIn("protected", second.inner_text("#password-reason"))
        second.fill("#room-password", "wrong")
        second.press("#room-password", "Enter")
        second.wait_for_selector("#room-password[aria-invalid=true]:visible")
        second.fill("#room-password", "sesame")
        second.press("#room-password", "Enter")
        for page in (first, second):
            self.state(page, "connected")


class RefusalTests(PageTestCase):
    """Who may not come in is told why, and what to do."""

    ini = INI + "[rooms]\ncapacity = 2\n"

    def refused(self, page: Page, reason: str) -> None:
        self.state(page, "refused")
        self.assertEqual(page.evaluate("document.documentElement.dataset.refused"), reason)

    def test_a_full_room(self) -> None:
        """With the number of people that it takes."""
        browser = self.browser(FAKE_PERMISSION)
        late = self.open(browser, "/r/full-room")
        self.state(late, "green")
        first, second = self.join(browser, "/r/full-room"), self.join(browser, "/r/full-room")
        self.state(second, "connected")
        late.click("#enter-button")
        self.refused(late, "full")
        self.assertIn("2", late.inner_text("#refused-count"))
        later = self.open(browser, "/r/full-room")
        self.refused(later, "full")
        first.click("#hangup-button")
        self.state(first, "left")
        later.click("#refused-retry-button")
        self.state(later, "green")

    def test_a_locked_room_and_being_sent_out_of_it(self) -> None:
        """Whom the host removes cannot come back while it is locked."""
        _, first, second = self.pair("/r/locked-room")
        first.evaluate("rtcdCall.call.lock(true)")
        first.evaluate("rtcdCall.call.kick([...rtcdCall.call.members.keys()][0])")
        self.refused(second, "kicked")
        second.click("#refused-retry-button")
        self.refused(second, "locked")
        second.click("#refused-new-room-button")
        self.state(second, "landing")
