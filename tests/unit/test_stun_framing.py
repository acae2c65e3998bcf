"""Frames of a stream: however it is split or merged, they are the same; what is none is refused at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.stun import channeldata
from rtcd.stun.attributes import DATA
from rtcd.stun.framing import MAX_FRAME_BYTES, Framer
from rtcd.stun.message import Class, Method, encode

BINDING = encode(Method.BINDING, Class.REQUEST, bytes(12), [])


def padded(channel: int, data: bytes) -> bytes:
    """ChannelData as streams have it."""
    frame = channeldata.encode(channel, data)
    return frame + bytes(-len(frame) % 4)


def cut(framer: Framer, data: bytes) -> list[bytes]:
    """All frames that are complete with these bytes."""
    framer.receive(data)
    return list(iter(framer.next, None))


MESSAGES = st.binary(max_size=60).map(lambda data: encode(Method.SEND, Class.INDICATION, bytes(12), [DATA.encode(data)]))
CHANNELS = st.builds(padded, st.integers(0x4000, 0x7FFF), st.binary(max_size=60))
STREAMS = st.lists(MESSAGES | CHANNELS, max_size=8).map(lambda frames: [BINDING, *frames])


class Frames(SynchronousTestCase):
    @given(STREAMS, st.data())
    def test_every_split_and_every_merge_gives_the_same_frames(self, frames: list[bytes], data: st.DataObject) -> None:
        stream = b"".join(frames)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
        framer, found = Framer(), []
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            found += cut(framer, stream[start:end])
        self.assertEqual(found, frames)
        self.assertFalse(framer.partial)

    def test_byte_by_byte_gives_each_frame_with_its_last_byte(self) -> None:
        framer = Framer()
        frames = [BINDING, padded(0x4000, b"hello"), padded(0x4001, b""), BINDING]
        for frame in frames:
            for index in range(len(frame) - 1):
                self.assertEqual(cut(framer, frame[index : index + 1]), [])
                self.assertTrue(framer.partial)
            self.assertEqual(cut(framer, frame[-1:]), [frame])
            self.assertFalse(framer.partial)

    def test_the_padding_belongs_to_its_frame_whatever_it_is(self) -> None:
        framer = Framer()
        frame = channeldata.encode(0x4000, b"hello") + b"\xff\x16G"
        self.assertEqual(cut(framer, BINDING + frame + BINDING), [BINDING, frame, BINDING])

    def test_the_longest_frames_pass_and_nothing_longer_is_held(self) -> None:
        message = bytes.fromhex("0016fffc2112a442") + bytes(12 + 0xFFFC)
        data = padded(0x4000, bytes(0xFFFF))
        framer = Framer()
        for frame in (message, data):
            self.assertLessEqual(len(frame), MAX_FRAME_BYTES)
            self.assertEqual(cut(framer, frame[:-1]), [])
            self.assertEqual(cut(framer, frame[-1:] + BINDING), [frame, BINDING])

    def test_what_was_cut_out_is_not_kept(self) -> None:
        framer = Framer()
        for _ in range(100):
            cut(framer, BINDING * 50 + BINDING[:7])
            cut(framer, BINDING[7:])
        self.assertLess(len(framer._data), 100)

    def test_bytes_one_by_one_are_not_copied_again_and_again(self) -> None:
        """The buffer grows in place: another object at each byte would be a copy of all before it."""
        framer = Framer()
        cut(framer, BINDING)
        cut(framer, b"\x40\x00\xff\xff")
        buffer = framer._data
        for _ in range(5000):
            framer.receive(b"x")
            self.assertIsNone(framer.next())
        self.assertIs(framer._data, buffer)

    @given(st.binary(min_size=1, max_size=40), st.binary(max_size=20))
    def test_arbitrary_bytes_are_frames_or_a_value_error(self, head: bytes, tail: bytes) -> None:
        for framer in (Framer(), Framer()):
            try:
                found = cut(framer, head) + cut(framer, tail)
            except ValueError:
                continue
            self.assertTrue((head + tail).startswith(b"".join(found)))

    def test_garbage_is_refused_at_the_first_byte_that_shows_it(self) -> None:
        for good, bad in ((b"", b"\x80"), (b"", b"\xff"), (b"", b"G"), (b"", b"P"), (b"", b"\x40"),
                          (b"\0\x01\0", b"\x01"), (b"\0\x01\0\0", b"\x22"), (b"\0\x01\0\0\x21\x12\xa4", b"\x43")):
            framer = Framer()
            self.assertEqual(cut(framer, good), [])
            self.assertRaises(ValueError, cut, framer, bad)
            framer = Framer()
            self.assertRaises(ValueError, cut, framer, good + bad)

    def test_after_a_message_channel_data_may_come_and_garbage_may_not(self) -> None:
        framer = Framer()
        self.assertEqual(cut(framer, BINDING + padded(0x4745, b"")), [BINDING, padded(0x4745, b"")])
        self.assertRaises(ValueError, cut, framer, b"\x80")

    def test_what_is_left_can_be_had_and_ends_the_framing(self) -> None:
        framer = Framer()
        framer.receive(BINDING + b"\x90pipe")
        self.assertEqual(framer.next(), BINDING)
        self.assertEqual((framer.rest(), framer.partial, framer.rest()), (b"\x90pipe", False, b""))
