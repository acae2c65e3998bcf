"""The poller: who is served, how much of one round each gets, and when a turn of the reactor is over."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from rtcd.plane.poller import MAX_READY, MAX_ROUNDS, MAX_TURN_S, READS_PER_ROUND, Poller, Read


class PollerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.monotonic = Clock()
        self.cost_s = 0.0
        reactor: Any = MemoryReactorClock()
        self.poller = Poller(reactor, reactor, self.monotonic.seconds)
        self.poller.start()
        self.addCleanup(self.poller.stop)
        self.sender = self._socket()
        self.got: dict[str, int] = {}
        self.polls = 0

    def _socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        sock.setblocking(False)
        return sock

    def _read(self, name: str, sock: socket.socket) -> Read:
        def read(now: float, most: int) -> bool:
            for _ in range(most):
                try:
                    sock.recv(100)
                except BlockingIOError:
                    return False
                self.got[name] = self.got.get(name, 0) + 1
                self.monotonic.advance(self.cost_s)
            return True

        return read

    def _busy(self, name: str, packets: int, share: int = 0) -> None:
        sock = self._socket()
        self.poller.add(sock.fileno(), self._read(name, sock), share)
        for _ in range(packets):
            self.sender.sendto(b"x", sock.getsockname())

    def test_a_share_of_ones_own_does_not_shrink_when_others_are_busy(self) -> None:
        """All clients come through one listener: with 299 busy relays it had 14 of 4096 packets."""
        self._busy("listener", 300, share=64)
        for index in range(299):
            self._busy(f"relay {index}", 20)
        for _ in range(5):
            self.poller.doRead()
        self.assertEqual(self.got["listener"], 300)
        served = [self.got.get(f"relay {index}", 0) for index in range(299)]
        self.assertGreaterEqual(min(served), 16)
        self.assertLessEqual(max(served) - min(served), 2)

    def test_it_is_served_in_every_round_whether_or_not_it_was_listed(self) -> None:
        """epoll lists only so many sockets at once, and the listener may not be among them."""
        for index in range(2 * MAX_READY):
            self._busy(f"relay {index}", MAX_ROUNDS)
        self._busy("listener", 4 * MAX_ROUNDS, share=4)
        self.poller.doRead()
        self.assertEqual(self.got["listener"], 4 * MAX_ROUNDS)

    def test_a_turn_is_bounded_by_packets(self) -> None:
        self._busy("relay", 2 * READS_PER_ROUND * MAX_ROUNDS)
        self.poller.doRead()
        self.assertEqual(self.got["relay"], READS_PER_ROUND * MAX_ROUNDS)

    def test_a_turn_is_bounded_by_time(self) -> None:
        """Timers, streams and pages go on, however dear the packets are."""
        self.cost_s = MAX_TURN_S / READS_PER_ROUND
        self._busy("relay", 5 * READS_PER_ROUND)
        self.poller.doRead()
        self.assertEqual(self.got["relay"], READS_PER_ROUND)
        self.assertTrue(self.poller.over())

    def _broken(self) -> int:
        """A descriptor with an error and nothing to read."""
        reading, writing = os.pipe()
        os.close(reading)
        self.addCleanup(os.close, writing)
        return writing

    def test_an_error_is_seen_to_by_who_asked_and_is_nothing_to_read(self) -> None:
        seen: list[str] = []

        def read(now: float, most: int) -> bool:
            seen.append("read")
            return False

        self.poller.add(self._broken(), read, fault=lambda: seen.append("fault"))
        self._busy("relay", 3)
        self.poller.doRead()
        self.assertEqual((seen[0], set(seen), self.got["relay"]), ("fault", {"fault"}, 3))

    def test_an_error_of_who_did_not_ask_shows_when_it_is_read(self) -> None:
        seen: list[str] = []

        def read(now: float, most: int) -> bool:
            seen.append("read")
            return False

        self.poller.add(self._broken(), read)
        self.poller.doRead()
        self.assertEqual(seen, ["read"])

    def test_what_goes_wrong_with_an_error_does_not_hold_up_others(self) -> None:
        def fail() -> None:
            raise RuntimeError("ours")

        self.poller.add(self._broken(), lambda now, most: False, fault=fail)
        self._busy("relay", 1)
        self.poller.doRead()
        self.assertEqual((self.got["relay"], len(self.flushLoggedErrors(RuntimeError))), (1, 1))

    def test_a_read_can_be_changed(self) -> None:
        sock = self._socket()
        self.poller.add(sock.fileno(), self._read("before", sock))
        self.poller.change(sock.fileno(), self._read("after", sock))
        self.sender.sendto(b"x", sock.getsockname())
        self.poller.doRead()
        self.assertEqual(self.got, {"after": 1})

    def test_when_all_is_read_nobody_asks_again(self) -> None:
        """A system call saved for each wake-up."""
        epoll = self.poller._epoll

        class Counting:
            closed = False

            def poll(counting, timeout: float, most: int) -> list[tuple[int, int]]:  # self is the test
                self.polls += 1
                return epoll.poll(timeout, most)

            def close(counting) -> None:  # self is the test
                epoll.close()

        self._busy("relay", 3)
        self.poller._epoll = Counting()  # type: ignore[assignment] # as much of an epoll as is used from here on
        self.poller.doRead()
        self.assertEqual((self.got["relay"], self.polls), (3, 1))
