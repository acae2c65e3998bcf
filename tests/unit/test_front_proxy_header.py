"""PROXY headers of both versions: whose connection it is, and what is none."""

from __future__ import annotations

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.front.proxy_header import MAX_V1_BYTES, MAX_V2_BYTES, SIGNATURE, Header, parse

V4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 40000, 3478)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + struct.pack("!HH", 40000, 3478)


def v2(block: bytes, family: int = 0x11, command: int = 0x21) -> bytes:
    """A header of version 2."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


WHOLE = (
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 3478\r\n", ("192.0.2.7", 40000)),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 3478\r\n", ("2001:db8::7", 40000)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN whatever it says\r\n", None),
    (v2(V4), ("192.0.2.7", 40000)),
    (v2(V4 + b"\x03\0\1x"), ("192.0.2.7", 40000)),
    (v2(V6, 0x21), ("2001:db8::7", 40000)),
    (v2(V4, command=0x20), None),
    (v2(b"", 0x00), None),
    (v2(bytes(216), 0x31), None),
)
BROKEN = (
    b"\0\1\0\0\x21\x12\xa4\x42", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"POST", b"PROXY\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 70000 3478\r\n", b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 3478\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n", b"PROXY TCP4 2001:db8::7 198.51.100.1 1 2\r\n",
    b"PROXY TCP6 fe80::1%lo 2001:db8::1 1 2\r\n", b"PROXY TCP4 somebody 198.51.100.1 1 2\r\n",
    b"PROXY " + b"x" * MAX_V1_BYTES,
    v2(V4[:11]), v2(V4, command=0x22), v2(V4, command=0x11), v2(bytes(MAX_V2_BYTES)),
)


class Parsing(SynchronousTestCase):
    def test_the_client_is_told_and_what_follows_is_left(self) -> None:
        for data, client in WHOLE:
            self.assertEqual(parse(data), Header(client, len(data)), data)
            self.assertEqual(parse(data + b"\r\nmore"), Header(client, len(data)), data)

    def test_a_part_of_one_needs_more(self) -> None:
        """At every cut."""
        for data, _ in WHOLE:
            for size in range(len(data)):
                self.assertIsNone(parse(data[:size]), data[:size])

    def test_everything_else_is_none(self) -> None:
        for data in BROKEN:
            self.assertRaises(ValueError, parse, data)

    @given(st.binary(max_size=200) | st.binary(max_size=60).map(v2) | st.binary(max_size=120).map(b"PROXY ".__add__))
    def test_nothing_but_value_errors_comes_of_any_bytes(self, data: bytes) -> None:
        try:
            found = parse(data)
        except ValueError:
            return
        self.assertTrue(found is None or found.size <= len(data))
