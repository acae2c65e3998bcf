"""WebSocket frames of the one shape that nearly all of them have: a whole text message in one frame (RFC 6455 §5.2).

What has another shape is nobody's business here: Autobahn reads and writes it.
"""

from __future__ import annotations

from collections.abc import Callable

TEXT = 0x81
"""First byte of a frame: the last of its message, nothing reserved, text."""
_MASKED = 0x80
_SHORT, _MEDIUM = 126, 127
"""Lengths that say that two, or eight, bytes of length follow."""
_MEDIUM_TEXT = bytes((TEXT, _SHORT))
_MIN_BYTES = 7
"""Of a masked frame with one byte in it."""

LONG = 192
"""From so many bytes on there are quicker ways to take the mask off than `unmask`."""

Unmask = Callable[[bytes, bytes], bytes]
"""``unmask(data, key)``: the key has four bytes."""


def whole_text(data: bytes, start: int, limit: int, unmask_long: Unmask) -> tuple[bytes, int] | None:
    """The text message that begins at ``start``, in UTF-8, and where it ends.

    None unless it is there whole: one masked frame, not empty, of the shortest encoding, no longer than ``limit`` and
    64 KiB, and valid UTF-8. ``unmask_long`` takes the mask off what has `LONG` bytes and more.
    """
    have = len(data) - start
    if have < _MIN_BYTES or data[start] != TEXT:
        return None
    size = data[start + 1] - _MASKED
    if size == _SHORT:
        size = data[start + 2] << 8 | data[start + 3]
        if size < _SHORT:
            return None
        place = start + 8
    elif 0 < size < _SHORT:
        place = start + 6
    else:
        return None
    end = place + size
    if size > limit or end > len(data):
        return None
    payload = (unmask if size < LONG else unmask_long)(data[place:end], data[place - 4 : place])
    if payload.isascii():
        return payload, end
    try:
        payload.decode()
    except UnicodeDecodeError:
        return None
    return payload, end


def text_frame(payload: bytes) -> bytes:
    """The frame of a server that carries this text, which is UTF-8."""
    size = len(payload)
    if size < _SHORT:
        return bytes((TEXT, size)) + payload
    if size < 65536:
        return _MEDIUM_TEXT + size.to_bytes(2, "big") + payload
    return bytes((TEXT, _MEDIUM)) + size.to_bytes(8, "big") + payload


def unmask(data: bytes, key: bytes) -> bytes:
    """Take the mask off, or put it on (RFC 6455 §5.3): all bytes as one number, which is quick while they are few."""
    size = len(data)
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(mask, "little")).to_bytes(size, "little")
