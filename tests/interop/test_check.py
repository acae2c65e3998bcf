"""The page ``/check`` in real Chromium: from a network that lets no UDP out, from one that lets none back in, and where all
is well."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from playwright.sync_api import Page

from rtcd.check.paths import Path
from rtcd.check.texts import LANGUAGES, in_words
from rtcd.check.verdict import Found, Verdict
from tests.interop import nss
from tests.interop.firefox import Firefox
from tests.interop.namespaces import SERVER, NetworkTestCase
from tests.interop.test_accessible import AccessibleTestCase
from tests.interop.test_page import SHELL

LOOPBACK = """
[doorway]
https = tcp:0:interface=127.0.0.1
http =
[web]
[signaling]
[ice]
[check]
rate = 0
[turn]
listen = 127.0.0.1
port = 0
tls-port = 0
relay-plane = python
external-ip =
[log]
level = debug
"""

BEHIND_IT = """
external-ip =
relay-plane = python
[check]
"""

NO_UDP = """
table netdev no-udp {{
    chain it {{
        type filter hook {hook} device "eth0" priority 0;
        ip protocol udp drop
    }}
}}
"""
"""Dropped without an error, as in a firewall elsewhere: on the way out of the client, or on the way back in."""


WRONG = (("no-upgrade", 400), ("status", 502), ("never-arrived", 0), ("answer-lost", 0), ("certificate", 0),
         ("refused", 401), ("no-data", 0))
"""One for each path, those with long commands among them."""


def everything_wrong(found: dict[str, Any]) -> Verdict:
    """Of a check that has paths of these ids."""
    host, url = "calls.example.org", "wss://calls.example.org:8443/calls/ws"
    return Verdict("no-relay", tuple(
        Found(Path(one["id"], "turn", "udp", host, 3478, url), outcome, code)
        for one, (outcome, code) in zip(found["paths"], WRONG, strict=True)))


def answer_reports(page: Page, answer: dict[str, Any]) -> None:
    """From now on a page's reports are answered so, and not by the daemon."""
    page.unroute_all()
    page.route("**/check/report/*", lambda route: route.fulfill(json=answer))


def outcomes(page: Page, begin: Any) -> dict[str, Any]:
    """Let a page make a check: what the server answered to its report, once it is shown."""
    with page.expect_response(lambda answer: "/check/report/" in answer.url) as reported:
        begin()
    found: dict[str, Any] = json.loads(reported.value.body())
    page.wait_for_selector("#actions:visible")
    return found


def by_path(found: dict[str, Any]) -> dict[str, str]:
    """What became of each."""
    return {one["id"]: one["outcome"] for one in found["paths"]}


class LoopbackTests(AccessibleTestCase):
    """Nothing is in the way. In each language and look axe finds nothing, and nothing has to be scrolled sideways."""

    ini = LOOPBACK
    program = "chromium"

    def launch(self, **options: Any) -> None:
        """Start the daemon, whose authority the browser believes: TURN by TLS is for those alone."""
        super().launch(**options)
        (self.authority,) = self.daemon.folder.rglob("ca.crt")
        self.environment = nss.home(self.authority, self.daemon.folder / "home")

    def test_everything_gets_through_or_is_explained(self) -> None:
        """All paths work; then they work no more, and the page without WebRTC is explained too."""
        browser = self.browser()
        english = self.open_in(browser, "en", "/check")
        english.wait_for_selector("#actions:visible")
        self.assertEqual(english.inner_text("h1"), "Everything gets through")
        found = outcomes(english, lambda: english.click("#again"))
        self.assertEqual(set(by_path(found).values()), {"ok"})
        kinds = [one.partition("-")[0] for one in by_path(found)]
        self.assertEqual(kinds, ["https", "wss", "udp", "udp", "tcp", "tls", "stun"])
        self.assertEqual([one["ms"] is not None for one in found["paths"]], [True] * 7)
        self.assertEqual((found["level"], english.get_attribute("#hero", "data-level")), ("good", "good"))
        chinese = self.open_in(browser, "zh-CN", "/check/nothing")
        chinese.add_init_script("delete globalThis.RTCPeerConnection")
        found = outcomes(chinese, lambda: chinese.goto(f"{self.origin}/check"))
        self.assertEqual((found["summary"], by_path(found)["wss"]), ("no-webrtc", "ok"))
        self.assertEqual(chinese.inner_text("h1"), "此浏览器不能通话")
        pages = {"en": english, "zh-CN": chinese}
        self.look("verdict", pages)
        self.assertLessEqual({one["height"] for one in (english.locator("button").nth(0).bounding_box(),
                                                        english.locator("header a").bounding_box()) if one}, {44, 52})
        self.daemon.wait_for("check 3: no-webrtc")
        self.complaints = [one for one in self.complaints if "404" not in one]
        self.assertEqual(self.complaints, [])
        for page, code in ((english, "en"), (chinese, "zh")):
            answer_reports(page, {"number": 9, **in_words(LANGUAGES[code], everything_wrong(found))})
            page.click("#again")
            page.wait_for_selector("#actions:visible")
            self.assertEqual(page.locator(".mend:visible").count(), len(WRONG))
        self.look("all wrong", pages)
        english.route("**/check/report/*", lambda route: route.abort())
        english.click("#again")
        english.wait_for_function("() => document.querySelector('h1').textContent === 'The server could not be asked'")
        self.assertEqual(english.locator(".state", has_text="Works").count(), 7)
        chinese.route("**/check/start*", lambda route: route.fulfill(status=429, json={}))
        chinese.click("#again")
        chinese.wait_for_function("() => document.querySelector('h1').textContent === '检测次数过多'")
        self.look("not joined", pages)
        self.complaints = [one for one in self.complaints if "Failed to load" not in one]
        self.assert_clean()

    def test_firefox_finds_the_same(self) -> None:
        """By a name, as it leaves out a ``turns:`` URL that has an address."""
        firefox = Firefox(pathlib.Path(self.mktemp()).resolve(), self.complaints.append, self.authority)
        self.addCleanup(firefox.close)
        page = firefox.open(f"https://localhost:{self.daemon.port()}/check?lang=en", {"width": 390, "height": 844})
        page.wait_for_function("() => !document.getElementById('actions').hidden")
        self.assertEqual(page.evaluate("() => document.querySelector('h1').textContent"), "Everything gets through")
        self.assertEqual(self.complaints, [])


class BlockedTests(NetworkTestCase):
    """Datagrams get lost between the browser and the daemon. What both saw tells on which way."""

    program = SHELL

    def block(self, hook: str) -> None:
        """Drop the first client's datagrams, on one way alone."""
        command = (self.ip, "netns", "exec", self.clients[0].namespace, self.nft)
        if hook == "ingress":
            self.run_program(*command, "delete", "table", "netdev", "no-udp")
        self.run_program(*command, "-f", "-", given=NO_UDP.format(hook=hook))

    def test_udp_that_is_blocked_is_found_where_it_is(self) -> None:
        """It never arrived, or its answers were lost; the page says which, and what opens it. The rest works."""
        self.serve(BEHIND_IT)
        page = self.open(self.browser_of(0), "/check/nothing")
        for hook, outcome, title in (("egress", "never-arrived", "UDP 3478 never arrived at the server"),
                                     ("ingress", "answer-lost", "It arrived, but the answer was lost on the way back")):
            self.block(hook)
            found = outcomes(page, lambda: page.goto(f"{self.origin}/check?lang=en"))
            self.assertEqual(by_path(found), {
                "https": "ok", "wss": "ok", "udp-3478": outcome, "udp-443": outcome, "tcp-443": "ok", "tls-443": "ok",
                "stun-3478": outcome})
            self.assertEqual((found["summary"], page.inner_text("h1")), ("no-udp", "Calls work, but without UDP"))
            shown = page.inner_text("#paths li:nth-child(3)")
            self.assertIn(title, shown)
            self.assertIn("ufw allow 3478/udp" if hook == "egress" else "ip rule", shown)
        self.assertIn(SERVER, self.origin)
        self.daemon.wait_for("check 2: no-udp; udp-3478 answer-lost, udp-443 answer-lost, stun-3478 answer-lost")
