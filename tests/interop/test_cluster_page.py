"""The page in Chromium on a cluster: those who are in one call came by different nodes, and the nodes come and go. People,
nodes, the Redis, and what leads people to nodes have a machine each, in network namespaces; so only root can run it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from shutil import rmtree
from typing import Any
from unittest import SkipTest

from playwright.sync_api import Page

from tests.interop import missing
from tests.interop.cluster import MACHINES, Cluster, Front, Loop
from tests.interop.crowd import Crowd
from tests.interop.test_page import DEADLINE_S, FAKE_PERMISSION, PageTestCase
from tests.networks import program, switched
from tests.redis import is_here

FRONT = "front"
PEOPLE = ("person-1", "person-2", "person-3")

ROOMS = 8
"""Scripted ones, beside a call in Chromium."""

EVERY_S = 2.0

GRACES = "grace = 8\npage-grace = 8"

VANISHING = 0.4
"""Such a part of the clients of a killed node dies with it."""

START_S = 60.0
"""How long a step of the scripted rooms may take."""

UNDERSTOOD = ("WebSocket connection to", "net::ERR_", "503")
"""What a browser writes to its console when a node is away."""

WATCH = """() => {
    globalThis.seen = [true];
    let last = -1;
    setInterval(async () => {
        const { state } = document.documentElement.dataset;
        let frames = 0;
        for (const connection of Object.values(rtcdCall.connections))
            for (const one of (await connection.getStats()).values())
                if (one.type === "inbound-rtp" && one.kind === "video") frames += one.framesDecoded;
        const [member] = rtcdCall.call.members.values();
        if (state !== "connected") seen.push(state);
        if (frames <= last) seen.push(`${last} frames, and ${frames} later`);
        if (member?.trouble) seen.push(member.trouble);
        last = frames;
    }, 3000);
}"""
"""Writes down if it is not connected, if pictures stand still, and if it shows any trouble of the other."""


class ClusterTests(PageTestCase):
    """Three nodes; each person has a front of their own, whose first node is another one."""

    def launch(self, **options: Any) -> None:
        """Start the cluster in the place of one daemon. The fronts are on a machine too, with scripted clients."""
        if os.geteuid() != 0:
            raise SkipTest("only root can make network namespaces")
        if not is_here():
            missing("redis-server")
        folder = tempfile.mkdtemp()
        self.addCleanup(rmtree, folder, ignore_errors=True)
        machines = self.enterContext(switched(f"rtcd-{os.getpid()}", [FRONT, *PEOPLE, *MACHINES]))
        self.front = machines[FRONT]
        with self.front.inside():
            self.cluster = Cluster(Path(folder), rooms=GRACES, machines=[machines[one] for one in MACHINES])
            self.addCleanup(self.cluster.end)
            self.loop = Loop()
            self.addCleanup(self.loop.end)
        self.fronts = [self.loop.run(Front(self.cluster.nodes, number, self.front.host).open(), START_S)
                       for number in range(len(PEOPLE))]
        self.daemon = self.cluster.nodes[0].running
        chromium = self._chromium
        self.browsers = []
        for one in PEOPLE:
            self._chromium = program(Path(folder) / one, machines[one].command(chromium))
            self.browsers.append(self.browser(FAKE_PERMISSION))

    def join_by(self, number: int, path: str) -> Page:
        """A person goes into a room by a node of their own."""
        self.origin = self.fronts[number].origin
        return self.join(self.browsers[number], path)

    def test_calls_over_three_nodes_that_come_and_go(self) -> None:
        """Three people see each other who came by three nodes, leave and come back. All nodes are restarted, one after the
        other, below a call in Chromium and scripted ones: nobody notices. Then a node is killed, and in the same moment
        somebody calls those in Chromium, and all see each other; of the scripted clients everybody is back, or their peers
        were told once, and nothing is lost that was not on its way through a node that ended, or to it."""
        crowd = Crowd(self.cluster, ROOMS)
        beginning = self.loop.begin(crowd.begin(EVERY_S))
        pages = self.three()
        beginning.result(START_S)
        self.rolling(pages, crowd)
        self.loop.run(crowd.kill(self.cluster.nodes[0], VANISHING), START_S)
        pages.append(self.join_by(2, "/r/over-nodes"))
        self.are_there(pages, 2)
        for page in pages:
            self.rising(page)
        for page in pages:
            page.click("#hangup-button")
            self.state(page, "left")
        for browser in self.browsers:
            browser.close()
        self.loop.run(crowd.everybody_is_told(), START_S)
        figures = self.loop.run(crowd.end(), START_S + DEADLINE_S)
        print(f"\ncluster: {figures}")  # noqa: T201 # figures for people
        with self.front.inside():
            remains = self.cluster.remains()
        self.assertEqual(figures.faults + remains, [])
        self.assertEqual([one for one in self.complaints if not any(known in one for known in UNDERSTOOD)], [])
        self.assertEqual(self.cluster.complaints(), [])

    def three(self) -> list[Page]:
        """Three in a room, of whom the third leaves, comes back and closes the tab; returns the others."""
        pages: list[Page] = []
        for number in range(3):
            pages.append(self.join_by(number, "/r/over-nodes"))
            self.state(pages[-1], "connected" if number else "waiting")
        self.are_there(pages, 2)
        for page in pages:
            self.rising(page)
        for number in range(2):
            self.assertEqual(set(self.fronts[number].led), {self.cluster.nodes[number].host})
        pages[2].click("#hangup-button")
        self.state(pages[2], "left")
        self.are_there(pages[:2], 1)
        pages[2].click("#rejoin-button")
        self.are_there(pages, 2)
        pages.pop().close(run_before_unload=False)
        self.are_there(pages, 1)
        return pages

    def are_there(self, pages: list[Page], number: int) -> None:
        """Each is connected with so many others."""
        for page in pages:
            self.state(page, "connected")
            page.wait_for_function("number => rtcdCall.call.members.size === number", arg=number)

    def rolling(self, pages: list[Page], crowd: Crowd) -> None:
        """A rolling restart below two pages and scripted rooms."""
        for page in pages:
            page.evaluate(WATCH)
        for node in self.cluster.nodes:
            self.assertEqual(self.loop.run(crowd.stop(node), START_S), 0)
            self.loop.run(crowd.start(node), START_S)
            self.loop.run(crowd.everybody_is_back(), START_S)
            for page in pages:
                page.wait_for_function("() => [...rtcdCall.call.members.values()].every((one) => one.here)")
        for page in pages:
            self.assertEqual(set(page.evaluate("seen")) - {True, "away"}, set())  # whose WebSocket is coming back is away
            self.rising(page)
