"""Reading a ClientHello: real ones, cut ones, and what is none."""

from __future__ import annotations

import contextlib
import ssl

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.doorway.hello import MAX_HELLO_BYTES, Hello, read_hello


def hello_of(name: str | None, protocols: list[str]) -> bytes:
    """What Python's TLS says first."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


REAL = hello_of("Meet.Example", ["acme-tls/1"])


class HelloTests(SynchronousTestCase):
    """RFC 8446 §4.1.2."""

    def test_a_real_one_is_read(self) -> None:
        """The name in lower case, and the protocols in their order; either may be missing."""
        self.assertEqual(read_hello(REAL), Hello("meet.example", (b"acme-tls/1",)))
        self.assertEqual(read_hello(hello_of(None, ["h2", "http/1.1"])), Hello("", (b"h2", b"http/1.1")))
        self.assertEqual(read_hello(hello_of("x", [])), Hello("x", ()))
        self.assertEqual(read_hello(REAL + b"more"), read_hello(REAL))

    def test_one_that_is_not_whole_is_waited_for(self) -> None:
        """However it is cut."""
        for size in range(len(REAL)):
            self.assertIsNone(read_hello(REAL[:size]), size)

    def test_what_is_none_is_said_so(self) -> None:
        """Another record, another message, a record too long, lengths that lead beyond the end."""
        for data in (b"\x17" + REAL[1:], REAL[:5] + b"\x02" + REAL[6:], b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\x00\x00",
                     REAL[:43] + b"\xff" + REAL[44:], b"\x16\x03\x01\x00\x04\x01\x00\x00\x05"):
            self.assertRaises(ValueError, read_hello, data)

    def test_no_more_is_waited_for_than_one_record(self) -> None:
        """The longest that is waited for is named."""
        self.assertIsNone(read_hello(b"\x16\x03\x01\x40\x00" + b"\x01" * (MAX_HELLO_BYTES - 6)))
        self.assertRaises(ValueError, read_hello, b"\x16\x03\x01\x40\x01")

    @given(st.integers(0, len(REAL) - 1), st.integers(0, 255), st.binary(max_size=20))
    def test_nothing_does_more_than_being_refused(self, place: int, byte: int, more: bytes) -> None:
        """A changed byte anywhere."""
        with contextlib.suppress(ValueError):
            read_hello(REAL[:place] + bytes([byte]) + REAL[place + 1 :] + more)
