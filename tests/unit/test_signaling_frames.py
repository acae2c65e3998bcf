"""Frames of the one shape that is read and written here; every other one is somebody else's."""

from __future__ import annotations

import os
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.signaling.frames import LONG, text_frame, unmask, whole_text

KEY = b"\x01\x80\xff\x00"
SIZES = (1, 2, 125, 126, 127, LONG - 1, LONG, 65535)


def framed(payload: bytes, first: int = 0x81, key: bytes = KEY) -> bytes:
    """A client's frame of the shortest encoding, byte by byte as RFC 6455 §5.2 has it."""
    size = len(payload)
    head = (bytes((first, 0x80 | size)) if size < 126 else struct.pack("!BBH", first, 0xFE, size) if size < 65536
            else struct.pack("!BBQ", first, 0xFF, size))
    return head + key + bytes(one ^ key[place % 4] for place, one in enumerate(payload))


class FrameTests(SynchronousTestCase):
    """Reading and writing."""

    def test_whole_frames_are_read_wherever_they_begin(self) -> None:
        """One behind the other, of every length there is an encoding for."""
        data = b"".join(framed(b"x" * size) for size in SIZES)
        place = 0
        for size in SIZES:
            found = whole_text(data, place, 65536, unmask)
            assert found is not None
            self.assertEqual(found[0], b"x" * size)
            place = found[1]
        self.assertEqual(place, len(data))

    def test_no_part_of_a_frame_is_one(self) -> None:
        """Whatever is missing at its end."""
        for size in (1, 125, 126, 300):
            data = framed(b"x" * size)
            for end in range(len(data)):
                self.assertIsNone(whole_text(data[:end], 0, 65536, unmask))

    def test_every_other_shape_is_left_alone(self) -> None:
        """Fragments, control frames, binary, reserved bits; no mask; empty; a length that is too long for what it says;
        64 KiB and more; beyond the limit."""
        for first in range(256):
            if first != 0x81:
                self.assertIsNone(whole_text(framed(b"text", first), 0, 65536, unmask), first)
        for data in (
            b"\x81\x04text-and-more", framed(b""), b"\x81\xfe\x00\x7d" + KEY + b"x" * 125,
            b"\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05" + KEY + b"x" * 5, framed(b"x" * 65536),
        ):
            self.assertIsNone(whole_text(data, 0, 262144, unmask))
        self.assertIsNone(whole_text(framed(b"x" * 1025), 0, 1024, unmask))
        self.assertIsNotNone(whole_text(framed(b"x" * 1024), 0, 1024, unmask))

    def test_what_is_no_utf_8_is_left_alone(self) -> None:
        """Autobahn closes with 1007 (RFC 6455 §8.1), half a character at the end included."""
        for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"x" * 600 + b"\xf4\x90\x80\x80"):
            self.assertIsNone(whole_text(framed(bad), 0, 65536, unmask))
        self.assertEqual(whole_text(framed("ä€𝄞".encode()), 0, 65536, unmask), ("ä€𝄞".encode(), len(framed("ä€𝄞".encode()))))

    def test_frames_of_the_server_have_the_shortest_length(self) -> None:
        """And no mask."""
        for size in (0, 1, 125, 126, 65535, 65536):
            frame, payload = text_frame(b"y" * size), b"y" * size
            head = (bytes((0x81, size)) if size < 126 else struct.pack("!BBH", 0x81, 126, size) if size < 65536
                    else struct.pack("!BBQ", 0x81, 127, size))
            self.assertEqual(frame, head + payload)

    @given(st.binary(max_size=2000))
    def test_a_mask_taken_off_is_as_byte_by_byte(self, data: bytes) -> None:
        """Of any length."""
        key = os.urandom(4)
        self.assertEqual(unmask(data, key), bytes(one ^ key[place % 4] for place, one in enumerate(data)))
