"""Relay ports and their sockets (rtcd.plane.ports): who gets which, what is held, and that all of them come back."""

from __future__ import annotations

import errno
import random
import socket
import sys

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.addresses import PORT_REST_S, Ports
from rtcd.plane.ports import RelaySockets
from rtcd.plane.sockets import open_udp

HOST = "127.0.0.1"
RANGE = range(40000, 40200)


class PortsTestCase(SynchronousTestCase):
    """200 ports, and sockets that are bound elsewhere: those of the range may be other programs' here."""

    def setUp(self) -> None:
        self.now = 0.0
        self.ports = Ports(RANGE, random.Random(1).randrange)
        self.sockets = RelaySockets(lambda: self.ports, lambda: self.now, 0)
        self.asked: list[int] = []
        self.taken: set[int] = set()
        """Ports that other programs have."""
        self.fault = 0
        self.patch(sys.modules["rtcd.plane.ports"], "open_udp", self._open)
        self.addCleanup(self.sockets.stop)

    def _open(self, host: str, port: int, buffer_bytes: int) -> socket.socket:
        self.asked.append(port)
        if self.fault or port in self.taken:
            raise OSError(self.fault or errno.EADDRINUSE, "no")
        sock = open_udp(host, 0, buffer_bytes)
        self.addCleanup(sock.close)
        return _At(sock, port)

    def open(self, *, even: bool = False, reserves: bytes = b"") -> socket.socket:
        """One at a port of the range."""
        return self.sockets.open(HOST, even or bool(reserves), reserves)

    def left(self) -> list[int]:
        """The ports that can be had by and by, which are taken by this."""
        self.now += PORT_REST_S
        return sorted(iter(lambda: self.ports.take(self.now) or 0, 0))


class _At(socket.socket):
    """One that says that it is at another port."""

    def __init__(self, sock: socket.socket, port: int) -> None:
        super().__init__(sock.family, sock.type, sock.proto, sock.detach())
        self._port = port

    def getsockname(self) -> tuple[str, int]:
        return HOST, self._port


class Churn(PortsTestCase):
    def test_a_thousand_relays_over_two_hundred_ports_leave_none_taken(self) -> None:
        """Any port, even ones, pairs whose second port is claimed or not (CVE-2026-73215)."""
        for turn in range(1000):
            self.now += 0.1
            token = turn.to_bytes(8, "big") if turn % 4 > 1 else b""
            sock = self.open(even=turn % 4 == 1, reserves=token)
            if turn % 4:
                self.assertEqual(sock.getsockname()[1] % 2, 0)
            if turn % 4 == 2:
                claimed = self.sockets.claim(token)
                self.assertEqual(claimed.getsockname()[1], sock.getsockname()[1] + 1)
                self.sockets.close(claimed)
            self.sockets.close(sock)
            self.sockets.release(token)
        self.assertEqual((self.sockets.held, self.left()), ({}, list(RANGE)))

    def test_an_even_port_costs_no_odd_one(self) -> None:
        """All even ones can be had at once, and all odd ones beside them."""
        evens = [self.open(even=True) for _ in range(100)]
        self.assertRaises(OSError, self.open, even=True)
        odds = [self.open() for _ in range(100)]
        self.assertEqual(sorted(one.getsockname()[1] for one in evens + odds), list(RANGE))

    def test_a_token_is_good_once(self) -> None:
        first = self.open(reserves=b"token")
        second = self.sockets.claim(b"token")
        self.assertRaises(OSError, self.sockets.claim, b"token")
        self.sockets.release(b"token")
        self.assertNotEqual(second.fileno(), -1)
        self.sockets.close(first)
        self.sockets.close(second)
        self.assertEqual(self.left(), list(RANGE))


class Others(PortsTestCase):
    """Ports of the range that other programs have."""

    def test_the_next_one_is_tried(self) -> None:
        self.taken = set(RANGE) - {40100, 40101}
        found = [self.open_patiently() for _ in range(2)]
        self.assertEqual(sorted(one.getsockname()[1] for one in found), [40100, 40101])

    def test_a_pair_is_had_whole_or_not_at_all(self) -> None:
        """One whose second port is somebody's leaves the first one free."""
        self.taken = {port for port in RANGE if port % 2 and port != 40101}
        sock = self.open_patiently(b"token")
        self.assertEqual((sock.getsockname()[1], list(self.sockets.held)), (40100, [b"token"]))
        self.assertEqual(self.left(), [one for one in RANGE if one not in (40100, 40101)])

    def test_a_pair_is_not_made_of_a_port_that_a_relay_of_ours_has(self) -> None:
        ours = {self.ports.claim(port) for port in RANGE if port % 2 and port != 40101}
        self.assertEqual(ours, {True})
        sock = self.open_patiently(b"token")
        self.assertEqual(sock.getsockname()[1], 40100)
        self.assertEqual(self.left(), [one for one in RANGE if one % 2 == 0 and one != 40100])

    def test_no_port_at_all_is_an_error_that_takes_none(self) -> None:
        self.taken = set(RANGE)
        for token in (b"", b"token"):
            self.assertRaises(OSError, self.open, reserves=token)
        self.assertEqual((self.sockets.held, self.left()), ({}, list(RANGE)))

    def test_another_fault_than_a_taken_port_is_not_tried_again(self) -> None:
        self.fault = errno.EADDRNOTAVAIL
        for token, tries in ((b"", 1), (b"token", 1)):
            self.asked.clear()
            self.assertRaises(OSError, self.open, reserves=token)
            self.assertEqual(len(self.asked), tries)
        self.assertEqual(self.left(), list(RANGE))

    def open_patiently(self, token: bytes = b"") -> socket.socket:
        """As a client does that asks again after a refusal."""
        for _ in range(20):
            try:
                return self.open(reserves=token)
            except OSError:
                self.now += PORT_REST_S / 2
        raise AssertionError("no port")
