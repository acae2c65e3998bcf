"""Which errors of a socket a client is told, and how (RFC 8656 §11.5, §18.13)."""

from __future__ import annotations

import errno
import struct

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.icmp import ICMP4, ICMP6, LOCAL, QueuedError, parse, told


def queued(origin: int, kind: int, code: int, mtu: int = 1400, number: int = errno.ECONNREFUSED) -> QueuedError:
    return QueuedError(number, origin, kind, code, mtu)


class Told(SynchronousTestCase):
    def test_unreachable_and_time_exceeded_are_told_with_data_of_zero(self) -> None:
        for origin, kind, code in ((ICMP4, 3, 0), (ICMP4, 3, 3), (ICMP4, 11, 0), (ICMP6, 1, 4), (ICMP6, 3, 0)):
            self.assertEqual(told(queued(origin, kind, code)), (kind, code, bytes(4)))

    def test_too_big_is_told_with_what_passes(self) -> None:
        self.assertEqual(told(queued(ICMP4, 3, 4)), (3, 4, (1400).to_bytes(4, "big")))
        self.assertEqual(told(queued(ICMP6, 2, 0)), (2, 0, (1400).to_bytes(4, "big")))

    def test_other_types_are_not_told(self) -> None:
        for origin, kind in ((ICMP4, 4), (ICMP4, 5), (ICMP4, 12), (ICMP4, 1), (ICMP6, 4), (ICMP6, 11), (0, 3), (7, 3)):
            self.assertIsNone(told(queued(origin, kind, 0)))

    def test_errors_of_this_machine_are_told_only_where_a_router_would(self) -> None:
        too_big = queued(LOCAL, 0, 0, number=errno.EMSGSIZE)
        self.assertIsNone(told(too_big))
        self.assertEqual(told(too_big, dont_fragment=True), (3, 4, (1400).to_bytes(4, "big")))
        self.assertIsNone(told(queued(LOCAL, 0, 0, number=errno.EHOSTUNREACH), dont_fragment=True))

    def test_the_kernels_form_is_read_and_what_is_cut_is_not(self) -> None:
        raw = struct.pack("=IBBBBII", errno.EMSGSIZE, ICMP4, 3, 4, 0, 1280, 0)
        self.assertEqual(parse(raw + bytes(16)), QueuedError(errno.EMSGSIZE, ICMP4, 3, 4, 1280))
        for size in range(len(raw)):
            self.assertIsNone(parse(raw[:size]))
