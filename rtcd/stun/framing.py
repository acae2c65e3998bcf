"""STUN messages and ChannelData cut out of a byte stream, as TCP and TLS carry them (RFC 8656 §12.5, RFC 8489 §6.2.2).

Bytes in, frames out: whatever way the stream is split, the frames are the same, and each byte is moved a fixed number of
times. What can be seen to be no frame is refused at its first bytes, so that garbage never waits for its claimed length.
"""

from __future__ import annotations

from rtcd.stun.attributes import COOKIE
from rtcd.stun.channeldata import HEADER, HEADER_BYTES
from rtcd.stun.message import HEADER_BYTES as MESSAGE_HEADER_BYTES

MAX_FRAME_BYTES = MESSAGE_HEADER_BYTES + 0xFFFF
"""No frame is longer: both length fields have 16 bits."""

_COOKIE = COOKIE.to_bytes(4, "big")


class Framer:
    """Call `receive` with what comes, then `next` until there is no more."""

    __slots__ = ("_at", "_begun", "_data", "_need")

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0
        """Where the next frame begins in `_data`."""
        self._need = 0
        """Bytes of the frame at `_at`, 0 until its header is there."""
        self._begun = False

    def receive(self, data: bytes) -> None:
        """Take the bytes that came next."""
        if self._at:
            del self._data[: self._at]
            self._at = 0
        self._data += data

    def next(self) -> bytes | None:
        """One STUN message, or one ChannelData message with its padding; None until a whole one is there.

        Raises ValueError when the stream holds something else; nothing can be read from it any more then. A stream
        begins with a STUN message: ChannelData needs an allocation.
        """
        size = len(self._data) - self._at
        if not self._need:
            if size:
                self._need = self._length(self._data[self._at : self._at + 8])
            if not self._need:
                return None
        if size < self._need:
            return None
        end = self._at + self._need
        with memoryview(self._data) as view:
            frame = bytes(view[self._at : end])
        self._at, self._need, self._begun = end, 0, True
        return frame

    @property
    def partial(self) -> bool:
        """Whether a part of a frame is held."""
        return len(self._data) > self._at

    def rest(self) -> bytes:
        """Give away the bytes that are in no frame yet: framing ends here."""
        rest = bytes(self._data[self._at :])
        self._data, self._at, self._need = bytearray(), 0, 0
        return rest

    def _length(self, head: bytearray) -> int:
        """The length of the frame that begins so; 0 if that cannot be told yet."""
        if head[0] < 0x40:
            if len(head) >= HEADER_BYTES and head[3] & 3:
                raise ValueError("a STUN message's length is a multiple of four")
            if not _COOKIE.startswith(head[4:8]):
                raise ValueError("a STUN message has the magic cookie")
            return MESSAGE_HEADER_BYTES + int(HEADER.unpack_from(head)[1]) if len(head) == 8 else 0
        if head[0] >= 0x80:
            raise ValueError(f"{head[0]:#04x} begins neither a STUN message nor ChannelData")
        if not self._begun:
            raise ValueError("a stream cannot begin with ChannelData")
        if len(head) < HEADER_BYTES:
            return 0
        return HEADER_BYTES + (int(HEADER.unpack_from(head)[1]) + 3 & ~3)
