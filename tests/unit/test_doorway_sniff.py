"""Tests of the first look at a connection."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.doorway.sniff import MAX_SNIFF_BYTES, Verdict, sniff

TABLE = [
    (b"", Verdict.UNDECIDED),
    (b"\x16", Verdict.UNDECIDED),
    (b"\x16\x03\x01\x02\x00", Verdict.UNDECIDED),
    (b"\x16\x03\x01\x02\x00\x01", Verdict.TLS),
    (b"\x16\x03\x03\x02\x00\x01\x00\x01\xfc", Verdict.TLS),
    (b"\x16\x03\x01\x02\x00\x02", Verdict.GARBAGE),
    (b"\x16\x02", Verdict.GARBAGE),
    (b"\x16\x03\x05", Verdict.GARBAGE),
    (b"\x00\x01\x00\x00\x21\x12\xa4\x42", Verdict.STUN),
    (b"\x00\x03\x00\x08\x21\x12\xa4\x42abcdefghijkl", Verdict.STUN),
    (b"\x00\x01\x00\x00\x21\x12\xa4", Verdict.UNDECIDED),
    (b"\x00\x01\x00\x00\x21\x12\xa4\x43", Verdict.GARBAGE),
    (b"\x00\x01\x00\x00\x22", Verdict.GARBAGE),
    (b"\x00\x01\x00\x03", Verdict.GARBAGE),
    (b"\x40\x01\x00\x04abcd", Verdict.GARBAGE),
    (b"G", Verdict.UNDECIDED),
    (b"\x03\x01\x00\x04\x21\x12\xa4\x42", Verdict.STUN),
    (b"\x04", Verdict.GARBAGE),
    (b"GET /", Verdict.HTTP),
    (b"GET ", Verdict.HTTP),
    (b"PROPFIND", Verdict.HTTP),
    (b"PROPFIN", Verdict.UNDECIDED),
    (b"VERSION-CONTROL /x", Verdict.HTTP),
    (b" GET", Verdict.GARBAGE),
    (b"SSH-2.0-OpenSSH", Verdict.GARBAGE),
    (b"\x80\x2e\x01\x03\x01", Verdict.GARBAGE),
    (b"\xff", Verdict.GARBAGE),
]


class SniffTests(SynchronousTestCase):
    """`sniff` names the protocol, asks for more, or gives up."""

    def test_first_bytes_tell_the_protocol(self) -> None:
        """Each known beginning has its verdict."""
        for data, verdict in TABLE:
            self.assertIs(sniff(data), verdict, data)

    @given(st.binary(min_size=MAX_SNIFF_BYTES, max_size=64))
    def test_eight_bytes_always_decide(self, data: bytes) -> None:
        """No connection can keep the sniffer waiting by what it sends."""
        self.assertIsNot(sniff(data), Verdict.UNDECIDED)

    @given(st.one_of(st.binary(max_size=16), st.sampled_from([data for data, _ in TABLE])))
    def test_a_verdict_does_not_change_when_more_comes(self, data: bytes) -> None:
        """How the network cuts the bytes makes no difference."""
        final = sniff(data)
        for length in range(len(data)):
            self.assertIn(sniff(data[:length]), (Verdict.UNDECIDED, final))
