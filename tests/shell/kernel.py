"""The relay plane with the short cut through the kernel, for tests."""

from __future__ import annotations

import ctypes
import functools
import os
import secrets
import socket
import struct
from typing import Any
from unittest import SkipTest

from twisted.internet.task import Clock

from rtcd.allocations.addresses import Ports
from rtcd.kernel import bpf
from rtcd.kernel.choice import Kernel, Unavailable, check_machine, missing_capabilities
from rtcd.kernel.network import Network
from rtcd.kernel.plane import KernelRelayPlane
from rtcd.kernel.program import RelayProgram, shipped
from rtcd.kernel.records import METER_BYTES, S
from rtcd.metrics import Counter
from rtcd.plane.relay import PythonRelayPlane
from tests.shell.test_turn_relay import PlaneTestCase

_LOOK_UP = 1
"""BPF_MAP_LOOKUP_ELEM."""


class KeptProgram(RelayProgram):
    """One that is loaded once for all tests: checking it costs the kernel a tenth of a second."""

    def close(self) -> None:
        """It runs nowhere, and is kept."""
        self.run_at(())


@functools.cache
def kept() -> KeptProgram:
    """The program of all tests."""
    return KeptProgram(shipped())


def look_up(where: bpf.Map, key: bytes) -> bytes | None:
    """The value of an element as the kernel has it, or None."""
    at, found = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(where.value_bytes)
    try:
        bpf._bpf(_LOOK_UP, struct.pack("=IxxxxQQQ", where.descriptor, ctypes.addressof(at), ctypes.addressof(found), 0))
    except FileNotFoundError:
        return None
    return found.raw


def require_kernel() -> None:
    """Skip the test where the kernel cannot relay; fail where all tests have to run."""
    try:
        check_machine()
        missing = missing_capabilities()
        if missing:
            raise Unavailable(f"{missing} are missing")
    except Unavailable as error:
        if os.environ.get("RTCD_REQUIRE_INTEROP") == "1":
            raise
        raise SkipTest(str(error)) from None


def use_kept() -> Kernel:
    """As `rtcd.kernel.choice.use_kernel`, with the program of all tests."""
    require_kernel()
    network = Network()
    network.look()
    kept().run_at(network.usable)
    return Kernel(kept(), network)


class KernelClock(Clock):
    """Whose steps the kernel's clock, which nobody can set, seems to make too."""

    plane: KernelRelayPlane | None = None
    owed = 0.0

    def advance(self, amount: float) -> None:
        """See `Clock`."""
        super().advance(amount)
        self.owed += amount

    def settle(self) -> None:
        """The steps reach the kernel."""
        amount, self.owed = self.owed, 0.0
        if not amount or self.plane is None:
            return
        self.plane.clock_was_set()
        words = self.plane.meters.words
        for slot in range(1, 100):
            at = slot * METER_BYTES // 8
            words[at] = max(0, words[at] - round(amount * S))


class SettlingSocket(socket.socket):
    """Before it sends, the kernel knows what time it is."""

    clock: KernelClock

    def sendto(self, *arguments: Any) -> int:
        """See `socket.socket`."""
        self.clock.settle()
        return super().sendto(*arguments)


class InKernel(PlaneTestCase):
    """Put in front of a test case of the Python relay plane."""

    def make_clock(self) -> Clock:
        """See `KernelClock`."""
        return KernelClock()

    def new_socket(self) -> socket.socket:
        """See `SettlingSocket`."""
        sock = SettlingSocket(socket.AF_INET6 if self.family == 2 else socket.AF_INET, socket.SOCK_DGRAM)
        assert isinstance(self.clock, KernelClock)
        sock.clock = self.clock
        return sock

    def make_plane(self) -> PythonRelayPlane:
        """The other plane."""
        kernel, self.shortcut = use_kept(), Counter()
        plane = KernelRelayPlane(
            self.poller, self.clock, lambda: Ports(range(49152, 65536), secrets.randbelow), self.drops,
            program=kernel.program, network=kernel.network, shortcut=self.shortcut, ip_fields=self.ip_fields)
        assert isinstance(self.clock, KernelClock)
        self.clock.plane = plane
        self.addCleanup(self.nothing_is_left, plane)
        return plane

    def nothing_is_left(self, plane: KernelRelayPlane) -> None:
        """After `stop`."""
        self.assertEqual((len(plane.flows), plane.program.interfaces), (0, frozenset()))
