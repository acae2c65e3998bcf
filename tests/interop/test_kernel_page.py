"""A call of two Chromiums by relays alone, whose media the kernel relays."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from playwright.sync_api import Page

from rtcd.kernel import records
from tests.interop import require_program
from tests.interop.namespaces import NetworkTestCase
from tests.interop.test_page import DEADLINE_S, FAKE_PERMISSION
from tests.networks import bare, inside
from tests.shell.kernel import require_kernel

MOST = 0.99
PACKETS = 2000
LOOK_AGAIN_S = 0.2
RECORDS = 64
"""More than a call has, and the first ones are used first."""


class KernelCall(NetworkTestCase):
    def setUp(self) -> None:
        """Where the kernel can relay; interfaces make checksums, as those do that have a wire behind them."""
        require_kernel()
        self.bpftool = require_program("bpftool")
        super().setUp()
        for one in self.clients:
            with inside(one.namespace):
                bare("eth0")
        self.serve("relay-plane = kernel")

    def test_media_go_through_the_kernel(self) -> None:
        """Once the call is set up; frames are decoded on both sides all the while."""
        pages: list[Page] = []
        for number in range(2):
            page = self.join(self.browser_of(number, FAKE_PERMISSION), "/r/kernel?it=relay")
            self.state(page, "connected" if pages else "waiting")
            pages.append(page)
        for page in pages:
            found = self.rising(page)
            self.assertEqual((found["local"], found["remote"]), ("relay", "relay"))
        kernel, sockets = self.in_kernel(), self.by_sockets()
        deadline = time.monotonic() + DEADLINE_S
        while (moved := self.in_kernel() - kernel) < PACKETS:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(LOOK_AGAIN_S)
        long_way = self.by_sockets() - sockets
        print(f"kernel: {moved} datagrams, sockets: {long_way}")  # noqa: T201 # figures for people
        self.assertGreater(moved / (moved + long_way), MOST)
        for page in pages:
            self.rising(page)
        self.assertEqual(self.complaints, [])
        self.assertEqual(self.daemon.stop(), 0)
        self.assertGreaterEqual(int(self.daemon.wait_for(r"the kernel has relayed (\d+) packets")[1]), moved)

    def in_kernel(self) -> int:
        """Datagrams that it has relayed so far."""
        told = [one.read_text() for one in Path(f"/proc/{self.daemon.process.pid}/fdinfo").iterdir()]
        flows = next(one for one in told if f"value_size:\t{records.FLOW_BYTES}\n" in one)
        number = next(line.split()[1] for line in flows.splitlines() if line.startswith("map_id:"))
        total = 0
        for slot in range(RECORDS):
            done = subprocess.run(
                [self.bpftool, "-j", "map", "lookup", "id", number, "key", str(slot), "0", "0", "0"], capture_output=True,
                text=True, check=True, timeout=DEADLINE_S)
            value = bytes(int(one, 16) for one in json.loads(done.stdout)["value"])
            total += int.from_bytes(value[8 * records.PACKETS :][:8], "little")
        return total

    def by_sockets(self) -> int:
        """Datagrams that the server's sockets have got."""
        with inside(self.server):
            lines = Path("/proc/self/net/snmp").read_text().splitlines()
        names, values = (line.split()[1:] for line in lines if line.startswith("Udp:"))
        return int(dict(zip(names, values, strict=True))["InDatagrams"])
