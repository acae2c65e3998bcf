"""Calls that lose their way and come back by themselves: two Chromiums in networks of their own, and what happens to
networks. How long each took is printed; only a broken page needs more than is allowed."""

from __future__ import annotations

import json
import time

from playwright.sync_api import Error, Page

from tests.interop.namespaces import SERVER, Client, NetworkTestCase
from tests.interop.test_page import DEADLINE_S, FAKE_PERMISSION

BOUND_S = 20.0
"""How long a call may take to come back, on whatever machine."""

STALL_S = 1.0
"""Frames that stand still for so long are a call that has been lost."""

SEAMLESS_S = 12.0
"""A call that did not stand still so long after a fault did not notice it."""

FRAMES = 5
"""So many more mean that they rise."""

LOOK_AGAIN_S = 0.1

DOWN_S = 5.0

NO_UDP = """
table netdev faults {{
    chain out {{
        type filter hook egress device "eth0" priority 0; policy drop;
        ether type arp accept
        ip daddr {server} tcp dport 443 accept
    }}
}}
"""
"""A firewall that closes during a call: what it drops is lost without an error."""

DECODED = """async () => {
    let frames = 0;
    const told = [globalThis.rtcdCall?.phase];
    for (const { here, trouble, peer } of globalThis.rtcdCall?.call?.members.values() ?? []) {
        told.push(here, trouble, peer?.session, peer?.connection?.connectionState);
    }
    for (const connection of Object.values(globalThis.rtcdCall?.connections ?? {})) {
        for (const one of (await connection.getStats()).values()) {
            if (one.type === "inbound-rtp" && one.kind === "video") frames += one.framesDecoded ?? 0;
        }
    }
    return [frames, told.join(" ")];
}"""
"""Pictures decoded so far; and what the page knows of the others, to be told if they do not come."""

CHOSEN = """async () => {
    const [connection] = Object.values(globalThis.rtcdCall.connections);
    const stats = new Map(await connection.getStats());
    const transport = [...stats.values()].find((one) => one.type === "transport" && one.selectedCandidatePairId);
    const local = stats.get(stats.get(transport.selectedCandidatePairId).localCandidateId);
    return [local.candidateType, local.relayProtocol ?? ""];
}"""


LOCKED = "() => rtcdCall.call.room.locked"


class Watch:
    """Looks at the frames of one page after a fault at ``since``, a reading of the monotonic clock."""

    def __init__(self, page: Page, since: float, *, stalled: bool) -> None:
        self._page = page
        self._since = since
        self._stalled = stalled
        self._frames: int | None = None
        self._rose_at = since
        self._risen = 0
        self.took_s: float | None = None
        self.history: list[str] = []
        """What the page knew of the others, and since when."""

    def look(self) -> bool:
        """Whether frames rise again, or never stood still."""
        if self.took_s is not None:
            return True
        frames: int
        try:
            frames, told = self._page.evaluate(DECODED)
        except Error:
            frames, told = 0, "loading"
        now = time.monotonic()
        if not self.history or not self.history[-1].endswith(f": {told}"):
            self.history.append(f"{now - self._since:.1f} s: {told}")
        if self._frames is None or frames < self._frames:  # another connection
            self._frames = frames
        if frames > self._frames:
            if not self._stalled or not self._risen:
                self._rose_at = now
            self._risen += frames - self._frames if self._stalled else 0
            self._frames = frames
        elif now - self._rose_at > STALL_S:
            self._stalled = True
        if self._stalled and self._risen >= FRAMES:
            self.took_s = self._rose_at - self._since
        elif not self._stalled and now - self._since > SEAMLESS_S:
            self.took_s = 0.0
        return self.took_s is not None


def histories(watches: list[Watch]) -> str:
    """What pages knew, for people."""
    return "\n\n".join("\n".join(one.history) for one in watches)


class Recovery(NetworkTestCase):
    """Nobody touches the pages: they have to do it."""

    def setUp(self) -> None:
        super().setUp()
        self.serve("")

    def call(self, room: str) -> list[Page]:
        """Two people see each other."""
        pages: list[Page] = []
        for number in range(len(self.clients)):
            page = self.join(self.browser_of(number, FAKE_PERMISSION), f"/r/{room}")
            self.state(page, "connected" if pages else "waiting")
            pages.append(page)
        for page in pages:
            self.rising(page)
        return pages

    def comes_back(self, what: str, pages: list[Page], *, stalled: bool = False) -> None:
        """From now there is a path: wait until frames rise again on all pages, and print how long that took."""
        since = time.monotonic()
        watches = [Watch(page, since, stalled=stalled) for page in pages]
        while sum(one.look() for one in watches) < len(watches):
            if time.monotonic() - since > SEAMLESS_S + BOUND_S + DEADLINE_S:
                self.fail(f"{what}: frames stand still\n{histories(watches)}")
            time.sleep(LOOK_AGAIN_S)
        took = [one.took_s or 0.0 for one in watches]
        print(f"recovery: {what}: " + ", ".join(f"{one:.1f} s" for one in took))  # noqa: T201 # figures for people
        self.assertLess(max(took), BOUND_S, histories(watches))
        for page in pages:
            self.state(page, "connected")
            page.wait_for_function("() => [...rtcdCall.call.members.values()].every((one) => one.here && !one.trouble)")
            self.rising(page)

    def change(self, client: Client, *lines: str) -> None:
        """Change a client's network, at one go."""
        self.run_program(self.ip, "-n", client.namespace, "-batch", "-", given="\n".join(lines) + "\n")

    def restart(self, pages: list[Page], what: str, *, stalled: bool) -> None:
        """The daemon is killed, and comes back."""
        self.daemon.process.kill()
        self.daemon.wait()
        self.start("")
        self.comes_back(what, pages, stalled=stalled)
        for page in pages:
            self.assertEqual(page.evaluate("rtcdCall.call.members.size"), 1)

    def test_an_interface_that_is_down_for_a_while(self) -> None:
        """As when a phone leaves the house: nothing goes for five seconds, then all is as before."""
        pages = self.call("down-room")
        self.change(self.clients[0], "link set eth0 down")
        time.sleep(DOWN_S)
        self.link_up(self.clients[0])
        self.comes_back(f"interface down {DOWN_S:.0f} s", pages, stalled=True)

    def test_an_address_that_changes(self) -> None:
        """As from one Wi-Fi to the next: all sockets are lost. First of the one, then of the other."""
        pages = self.call("moved-room")
        for number, client in enumerate(self.clients):
            self.change(client, "address flush dev eth0", f"address add 10.83.0.{12 + number}/24 dev eth0",
                        f"route add default via {SERVER}")
            self.comes_back(f"address of the {('first', 'second')[number]} changed", pages)

    def test_datagrams_that_are_blocked_during_a_call(self) -> None:
        """Relays that are reached by a stream take over."""
        pages = self.call("blocked-room")
        self.assertNotEqual(pages[0].evaluate(CHOSEN)[0], "relay")
        for client in self.clients:
            self.run_program(self.ip, "netns", "exec", client.namespace, self.nft, "-f", "-",
                             given=NO_UDP.format(server=SERVER))
        self.comes_back("UDP blocked", pages)
        for page in pages:
            kind, by = page.evaluate(CHOSEN)
            self.assertEqual(kind, "relay")
            self.assertIn(by, ("tcp", "tls"))

    def test_a_daemon_that_is_killed_and_started_again(self) -> None:
        """A direct call does not notice; the room is there again, with both in it, and locked as it was."""
        pages = self.call("restart-room")
        for page in pages:
            page.evaluate("rtcdCall.call.lock(true)")  # which the host may
            page.wait_for_function(LOCKED)
        self.restart(pages, "server restarted, direct", stalled=False)
        for page in pages:
            page.wait_for_function(LOCKED)
        browser = pages[0].context.browser
        assert browser is not None
        stranger = self.join(browser, "/r/restart-room")  # asks the server, and not what a page remembers of it
        self.state(stranger, "refused")
        self.assertEqual(stranger.evaluate("document.documentElement.dataset.refused"), "locked")

    def test_a_daemon_that_is_killed_and_started_again_under_a_relayed_call(self) -> None:
        """The relays are gone with it, and are made anew."""
        pages = self.call("relayed-room?it=relay")
        self.restart(pages, "server restarted, relayed", stalled=True)

    def test_a_tab_that_crashes(self) -> None:
        """The person loads it again, and is in the call again."""
        pages = self.call("crash-room")
        crashed = pages[1]
        kept: dict[str, str] = crashed.evaluate("({ ...sessionStorage })")
        self.crash(crashed)
        # Playwright lets go of a page that has crashed; a browser loads it again with what it had stored.
        pages[1] = again = crashed.context.new_page()
        again.add_init_script(f"Object.assign(sessionStorage, {json.dumps(kept)})")
        again.goto(f"{self.origin}/r/crash-room")
        self.state(again, "green")
        again.click("#enter-button")
        self.comes_back("tab crashed, loaded again", pages, stalled=True)
        for page in pages:
            self.assertEqual(page.evaluate("rtcdCall.call.members.size"), 1)
