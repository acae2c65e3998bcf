"""Records of calls that Chromium makes: a good one says by which path it went, a failed one why."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, Page, Route

from rtcd.calls.archive import Archive
from rtcd.calls.file import NAME
from rtcd.calls.record import Call
from rtcd.calls.show import lines, said, whole
from rtcd.calls.verdict import judge
from tests.interop.driver import WITHOUT
from tests.interop.test_page import PageTestCase

COUNT = """() => {
    const look = RTCPeerConnection.prototype.getStats;
    globalThis.looks = 0;
    RTCPeerConnection.prototype.getStats = function (...given) {
        globalThis.looks += 1;
        return look.apply(this, given);
    };
}"""
"""From now on the page's looks at its statistics are counted: it takes two of them for a rate."""


def falsify(route: Route) -> None:
    """ICE servers with a password that is not theirs: what a secret on another machine that is not the same comes to."""
    answer = route.fetch()
    servers: Any = answer.json()
    for one in servers["iceServers"]:
        if "credential" in one:
            one["credential"] = "wrong"
    route.fulfill(response=answer, json=servers)


class RecordTests(PageTestCase):
    """Two calls, and the file that a real daemon leaves of them."""

    def browser(self, *more: str) -> Browser:
        """One that says its host candidates as they are: first of all.

        Names in their place (mDNS) take it a moment. If a call connects by the reflexive candidate till then, gathering ends
        and they are never said.
        """
        return super().browser(*more, f"{WITHOUT},WebRtcHideLocalIpsWithMdns")

    def refused(self, browser: Browser, path: str) -> Page:
        """One who joins, and whose relay is refused."""
        page = self.open(browser, path)
        self.state(page, "green")
        page.route("**/iceconfig**", falsify)
        page.click("#enter-button")
        return page

    def hang_up(self, *pages: Page) -> None:
        """One after the other."""
        for page in pages:
            page.click("#hangup-button")
            self.state(page, "left")

    def records(self) -> dict[str, Call]:
        """What is in the file when the daemon has ended, by room."""
        self.assertEqual(self.daemon.stop(), 0)
        archive = Archive()
        self.assertEqual(archive.load((self.daemon.folder / "state" / NAME).read_bytes()), 0)
        return {one.room: one for one in archive.calls()}

    def test_the_record_says_what_happened(self) -> None:
        browser, first, second = self.pair("/r/good-room")
        self.rising(first)
        first.evaluate(COUNT)
        first.wait_for_function("() => globalThis.looks >= 2")
        first.wait_for_timeout(200)  # until what was seen is taken
        self.hang_up(first, second)
        third = self.refused(browser, "/r/refused-room?it=relay")
        self.state(third, "waiting")
        fourth = self.refused(browser, "/r/refused-room?it=relay")
        for page in (third, fourth):
            page.wait_for_function("() => document.getElementById('notices').textContent.includes('401')")
        self.hang_up(third, fourth)
        records = self.records()
        good, refused = records["good-room"], records["refused-room"]

        judgement = judge(good, 0)
        self.assertEqual(said(judgement, "en")[:2], ["Connected directly, over the local network.", "A hung up."])
        self.assertEqual([one.kind for one in good.people], ["page", "page"])
        for one in good.people:
            self.assertIn("host", one.types)
        link = good.link("A", "B")
        assert link is not None and link.pair is not None
        self.assertNotIn("relay", (link.pair.local, link.pair.remote))
        self.assertGreater(link.kbps_in.last, 1)
        self.assertTrue(link.rtt_ms.looks)
        self.assertNotIn("127.0.0.1", "".join(lines(whole(good, 0))))

        for one in refused.people:  # of the others, one may have connected before its turn to ask for a relay came
            self.assertTrue(one.knocks, refused)
        judgement = judge(refused, 0)
        self.assertEqual((judgement.verdict.id, judgement.verdict.values["code"], judgement.verdict.values["who"]),
                         ("relay-refused", "401", "A + B"), refused)
        self.assertEqual(said(judgement, "en")[0],
                         "Nobody could reach anybody (A had –; B had –), and the relay refused A + B: 401.")
        self.assertEqual(self.complaints, [])
