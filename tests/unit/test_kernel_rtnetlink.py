"""What is asked of the kernel about its network, and what is made of its answers."""

from __future__ import annotations

import contextlib
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.kernel import rtnetlink
from rtcd.kernel.rtnetlink import Link, Route


def message(kind: int, body: bytes) -> bytes:
    """As it comes."""
    whole = struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 2) + body
    return whole + bytes(-len(whole) & 3)


def attribute(kind: int, value: bytes) -> bytes:
    """Padded."""
    whole = struct.pack("=HH", 4 + len(value), kind) + value
    return whole + bytes(-len(whole) & 3)


def routed(kind: int, *attributes: bytes) -> bytes:
    """A route."""
    return message(24, struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 0, 0, kind, 0) + b"".join(attributes))


class Answers(SynchronousTestCase):
    def test_links(self) -> None:
        data = message(16, struct.pack("=BxHiII", 0, 1, 3, 0, 0) + attribute(3, b"eth0\0") + attribute(4, b"\xdc\x05\0\0"))
        self.assertEqual(list(rtnetlink.links(data + data)), [Link(3, "eth0", rtnetlink.ETHERNET, 1500)] * 2)

    def test_addresses(self) -> None:
        """The own one, where there is that of another end too."""
        data = message(20, struct.pack("=BBBBI", 2, 24, 0, 0, 7) + attribute(1, b"\x01\x02\x03\x04"))
        six = message(20, struct.pack("=BBBBI", 10, 64, 0, 0, 8) + attribute(1, bytes(15) + b"\1"))
        both = message(20, struct.pack("=BBBBI", 2, 32, 0, 0, 9) + attribute(1, b"\x09\x09\x09\x09")
                       + attribute(2, b"\x01\x01\x01\x01"))
        self.assertEqual(list(rtnetlink.addresses(data + six + both)), [(7, "1.2.3.4"), (8, "::1"), (9, "1.1.1.1")])

    def test_a_route(self) -> None:
        metrics = attribute(8, attribute(2, b"\x78\x05\0\0"))
        data = routed(1, attribute(1, b"\x01\x02\x03\x04"), attribute(4, b"\x05\0\0\0"), metrics)
        self.assertEqual(rtnetlink.route(data), Route(rtnetlink.UNICAST, 5, 1400))
        self.assertEqual(rtnetlink.route(routed(2)), Route(rtnetlink.LOCAL, 0, 0))
        self.assertIsNone(rtnetlink.route(message(3, bytes(4))))

    def test_a_refusal_is_an_error_with_its_number(self) -> None:
        with self.assertRaises(OSError) as caught:
            rtnetlink.route(message(2, struct.pack("=i", -101) + bytes(16)))
        self.assertEqual(caught.exception.errno, 101)

    def test_a_dump_ends_with_its_last_part(self) -> None:
        self.assertFalse(rtnetlink.complete(routed(1)))
        self.assertTrue(rtnetlink.complete(routed(1) + message(3, bytes(4))))

    @given(st.binary(max_size=200))
    def test_anything_else_is_nothing(self, data: bytes) -> None:
        """Neither a loop nor an exception but those that are told."""
        for read in (rtnetlink.route, rtnetlink.complete, lambda one: list(rtnetlink.links(one)),
                     lambda one: list(rtnetlink.addresses(one))):
            with contextlib.suppress(OSError, struct.error):
                read(data)


class Questions(SynchronousTestCase):
    def test_they_are_as_long_as_they_say(self) -> None:
        for data in (rtnetlink.ask_links(7), rtnetlink.ask_addresses(7), rtnetlink.ask_route("192.0.2.1", "198.51.100.1", 7),
                     rtnetlink.ask_route("2001:db8::1", "2001:db8::2", 7)):
            self.assertEqual((int.from_bytes(data[:4], "little"), rtnetlink.number_of(data)), (len(data), 7))
        self.assertEqual(rtnetlink.number_of(b""), 0)

    def test_a_route_is_asked_from_one_host_to_another(self) -> None:
        data = rtnetlink.ask_route("192.0.2.1", "198.51.100.1", 1)
        self.assertEqual(data[16:19], b"\x02\x20\x20")
        self.assertTrue(data.endswith(b"\x08\0\x01\0\xc6\x33\x64\x01\x08\0\x02\0\xc0\0\x02\x01"))
