"""ChannelData frames."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.stun.channeldata import MAX_DATA_BYTES, decode, encode


class ChannelData(SynchronousTestCase):
    def test_padding_is_not_data(self) -> None:
        """RFC 8656 §12.5."""
        self.assertEqual(decode(b"\x40\x00\x00\x01x\0\0\0"), (0x4000, b"x"))

    def test_data_may_be_empty(self) -> None:
        self.assertEqual(decode(b"\x40\x00\x00\x00"), (0x4000, b""))

    def test_broken_frames_are_refused(self) -> None:
        for raw in (b"", b"\x40\x00\x00", b"\x40\x00\x00\x01", b"\x3f\xff\x00\x00", b"\x80\x00\x00\x00"):
            self.assertRaises(ValueError, decode, raw)

    def test_what_does_not_fit_is_not_made(self) -> None:
        self.assertEqual(len(encode(0x4000, bytes(MAX_DATA_BYTES))), MAX_DATA_BYTES + 4)
        self.assertRaises(ValueError, encode, 0x4000, bytes(MAX_DATA_BYTES + 1))
        self.assertRaises(ValueError, encode, 0x3FFF, b"")
        self.assertRaises(ValueError, encode, 0x8000, b"")

    @given(st.integers(0x4000, 0x7FFF), st.binary(max_size=100))
    def test_what_is_encoded_is_decoded(self, channel: int, data: bytes) -> None:
        self.assertEqual(decode(encode(channel, data)), (channel, data))
