"""Chromium and Firefox in one room: they see each other directly, and through relays that both reach inside TLS."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from tests.interop import nss
from tests.interop.firefox import AnyPage, Firefox
from tests.interop.test_page import DEADLINE_S, FAKE_PERMISSION, INI, PageTestCase

SLOW = "Using five or more STUN/TURN servers slows down discovery"
"""What Firefox complains of although all of them are one server of ours."""

SEEN = """async () => {
    const found = [];
    for (const [id, connection] of Object.entries(globalThis.rtcdCall.connections)) {
        const stats = new Map(await connection.getStats()), all = [...stats.values()];
        const frames = all.filter((one) => one.type === "inbound-rtp" && one.kind === "video")
            .reduce((sum, one) => sum + (one.framesDecoded || 0), 0);
        const transport = all.find((one) => one.type === "transport" && one.selectedCandidatePairId);
        const pair = stats.get(transport?.selectedCandidatePairId)
            ?? all.find((one) => one.type === "candidate-pair" && one.selected);
        const local = stats.get(pair?.localCandidateId), remote = stats.get(pair?.remoteCandidateId);
        found.push({ id, frames, local: local?.candidateType, remote: remote?.candidateType, by: local?.relayProtocol });
    }
    return found;
}"""
"""Of each connection: frames decoded, the chosen pair's types of candidates, and how the own relay is reached."""

LOSE = """async () => {
    const [{ peer }] = rtcdCall.call.members.values();
    const { send } = WebSocket.prototype;
    const name = () => peer.connection.currentLocalDescription.sdp.match(/a=ice-ufrag:.*/)[0];
    const until = async (good) => {
        const deadline = performance.now() + 10_000;
        while (!good() && performance.now() < deadline) await new Promise((done) => setTimeout(done, 20));
        return good();
    };
    const before = name();
    WebSocket.prototype.send = () => {};
    peer.restart({});
    const offered = await until(() => peer.connection.signalingState === "have-local-offer");
    await new Promise((done) => setTimeout(done, 500));
    WebSocket.prototype.send = send;
    peer.restart({});
    return { offered, agreed: await until(() => peer.connection.signalingState === "stable" && name() !== before) };
}"""
"""Look for another path; the offer is lost on its way, and made again."""


class FirefoxTests(PageTestCase):
    """One Firefox and one Chromium a test. Relays are reached inside TLS alone, so both have to believe our authority; and
    the daemon has a name, as Firefox leaves out a ``turns:`` URL that has an address."""

    ini = INI.replace("[turn]", "[turn]\nudp = no\ntcp = no")

    def setUp(self) -> None:
        super().setUp()
        self.origin = f"https://localhost:{self.daemon.port()}"
        (authority,) = self.daemon.folder.rglob("ca.crt")
        folder = Path(self.mktemp()).resolve()
        self.firefox = Firefox(folder, self.complaints.append, authority)
        self.addCleanup(self.firefox.close)
        self.environment = nss.home(authority, folder / "home")
        self.chromium = self.browser(FAKE_PERMISSION)

    def enter(self, browser: Browser | Firefox, path: str) -> AnyPage:
        """Open a room's link and go in, with either."""
        page: AnyPage
        if isinstance(browser, Firefox):
            page = browser.open(self.origin + path, {"width": 1280, "height": 800})
        else:
            page = self.open(browser, path)
        self.reach(page, "green")
        page.click("#enter-button")
        return page

    def reach(self, page: AnyPage, name: str) -> None:
        """Wait until a page is in a state."""
        page.wait_for_function("name => document.documentElement.dataset.state === name", arg=name)

    def call(self, path: str, *browsers: Browser | Firefox) -> list[AnyPage]:
        """One after the other comes in, and all are connected."""
        pages: list[AnyPage] = []
        for browser in browsers:
            pages.append(self.enter(browser, path))
            self.reach(pages[-1], "connected" if pages[1:] else "waiting")
        return pages

    def seen(self, page: AnyPage, others: int = 1) -> list[dict[str, Any]]:
        """Wait until a page decodes more and more frames of all the others."""
        first: dict[str, int] = {}
        deadline = time.monotonic() + DEADLINE_S
        while True:
            found: list[dict[str, Any]] = page.evaluate(SEEN)
            if len(found) == others and all(
                    one["frames"] >= first.setdefault(one["id"], one["frames"]) + 5 for one in found):
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{found}; {self.complaints}\n" + "\n".join(self.daemon.lines[-20:]))
            page.wait_for_timeout(200)

    def orders(self) -> list[list[Browser | Firefox]]:
        """Who comes first, and who then."""
        return [[self.firefox, self.chromium], [self.chromium, self.firefox]]

    def assert_calm(self) -> None:
        """Nothing has been complained of."""
        self.assertEqual([one for one in self.complaints if SLOW not in one], [])

    def test_they_see_each_other_directly(self) -> None:
        """Whoever is first."""
        for number, browsers in enumerate(self.orders()):
            pages = self.call(f"/r/direct-{number}", *browsers)
            for page in pages:
                (found,) = self.seen(page)
                self.assertNotIn("relay", (found["local"], found["remote"]))
            for page in pages:
                page.close()
        self.assert_calm()

    def test_they_see_each_other_through_relays(self) -> None:
        """Both have theirs by ``turns:``, which is not opened unless its certificate is good."""
        for number, browsers in enumerate(self.orders()):
            pages = self.call(f"/r/relay-{number}?it=relay", *browsers)
            for page in pages:
                (found,) = self.seen(page)
                self.assertEqual((found["local"], found["by"]), ("relay", "tls"))
                self.assertIn(found["remote"], ("relay", "prflx"), "a check may come before the candidate")
            for page in pages:
                page.close()
        self.assert_calm()

    def test_an_offer_that_was_lost_is_made_again(self) -> None:
        """By the one and by the other."""
        pages = self.call("/r/lost", self.firefox, self.chromium)
        for page in pages:
            self.seen(page)
        for page in pages:
            self.assertEqual(page.evaluate(LOSE), {"offered": True, "agreed": True})
            for one in pages:
                self.seen(one)
        self.assert_calm()

    def test_three_are_in_one_room(self) -> None:
        """Two of one kind and one of the other: each sees both others, and words go from each to both."""
        pages = self.call("/r/three", self.chromium, self.firefox, self.chromium)
        for page in pages:
            self.seen(page, 2)
        for page in pages:
            page.wait_for_function("() => [...rtcdCall.call.members.values()].every((one) => one.state)")
        for number, page in enumerate(pages):
            self.assertEqual(page.evaluate("(text) => rtcdCall.call.say(text).reached", f"word {number}"), 2)
        for number, page in enumerate(pages):
            page.wait_for_function("""(own) => [0, 1, 2].every((number) => number === own ||
                document.getElementById("chat-log").textContent.includes(`word ${number}`))""", arg=number)
        self.assert_calm()
