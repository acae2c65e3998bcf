"""What headless people say and show: a second of sound and pictures, encoded once and sent again and again.

Encoding anew would cost the rehearsing machine a processor for every few people. Pictures are small ones, filled up with
zeros, which a decoder skips, to as many bytes as those of a real camera.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext

SOUND_RATE, SOUND_SAMPLES = 48000, 960
"""Opus, 20 ms a packet."""
SOUND_BPS = 32000

PICTURES_A_SECOND = 25
WIDTH, HEIGHT = 160, 120


@dataclass(frozen=True, slots=True)
class Clip:
    """Encoded frames of the same length, the first of which needs none before it."""

    kind: str
    frames: Sequence[bytes]
    interval_s: float


def sound() -> Clip:
    """Silence at the rate of speech; it has to be decoded to be known as such."""
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.bit_rate, codec.sample_rate, codec.time_base = SOUND_BPS, SOUND_RATE, Fraction(1, SOUND_RATE)
    codec.format, codec.layout = "s16", "stereo"
    codec.options = {"vbr": "off"}
    frame = av.AudioFrame(format="s16", layout="stereo", samples=SOUND_SAMPLES)
    frame.planes[0].update(bytes(frame.planes[0].buffer_size))
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
    return Clip("audio", [bytes(one) for one in codec.encode(frame)], SOUND_SAMPLES / SOUND_RATE)


def pictures(kbps: int) -> Clip:
    """A second of VP8 at so many kbit/s."""
    codec = av.CodecContext.create("libvpx", "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt, codec.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, PICTURES_A_SECOND)
    codec.bit_rate, codec.gop_size = 100000, 10 * PICTURES_A_SECOND
    codec.options = {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"}
    size, frames = kbps * 1000 // 8 // PICTURES_A_SECOND, []
    for number in range(PICTURES_A_SECOND):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([100]) * plane.buffer_size)
        frame.pts, frame.time_base = number, codec.time_base
        frames += [bytes(one).ljust(size, b"\0") for one in codec.encode(frame)]
    return Clip("video", frames, 1 / PICTURES_A_SECOND)


class Replay(MediaStreamTrack):
    """A clip as a track: each frame at its time, for ever. One that is late is sent at once, so none is left out."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.kind = clip.kind
        self._clip = clip
        self._sent = 0
        self._began: float | None = None

    async def recv(self) -> av.Packet[Any]:
        """The next frame, when it is its time."""
        if self.readyState != "live":
            raise MediaStreamError
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        await asyncio.sleep(max(0.0, self._began + self._sent * self._clip.interval_s - now))
        packet = av.Packet(self._clip.frames[self._sent % len(self._clip.frames)])
        packet.time_base = Fraction(1, 1000)
        packet.pts = round(1000 * self._sent * self._clip.interval_s)
        self._sent += 1
        return packet
