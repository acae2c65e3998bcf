"""ChannelData: two bytes channel number, two bytes length, data (RFC 8656 §12.4), as one datagram.

The relay's packet path reads `HEADER` itself; these functions are for everyone who is not in a hurry.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct("!HH")
HEADER_BYTES = 4
MIN_CHANNEL = 0x4000
MAX_CHANNEL = 0x4FFF
"""The last number of RFC 8656 §12; RFC 5766 went up to `MAX_RFC5766_CHANNEL`."""
MAX_RFC5766_CHANNEL = 0x7FFF
MAX_DATA_BYTES = 0xFFFF


def decode(data: bytes) -> tuple[int, bytes]:
    """The channel number and the data, without padding. Raises ValueError."""
    if len(data) < HEADER_BYTES:
        raise ValueError(f"ChannelData of {len(data)} bytes is shorter than its header")
    channel, length = HEADER.unpack_from(data)
    if not MIN_CHANNEL <= channel <= MAX_RFC5766_CHANNEL:
        raise ValueError(f"{channel:#06x} is no channel number")
    if length > len(data) - HEADER_BYTES:
        raise ValueError(f"ChannelData claims {length} bytes and holds {len(data) - HEADER_BYTES}")
    return channel, data[HEADER_BYTES : HEADER_BYTES + length]


def encode(channel: int, data: bytes) -> bytes:
    """One unpadded frame. Raises ValueError for a number that is no channel or data that is too long."""
    if not MIN_CHANNEL <= channel <= MAX_RFC5766_CHANNEL:
        raise ValueError(f"{channel:#06x} is no channel number")
    if len(data) > MAX_DATA_BYTES:
        raise ValueError(f"ChannelData holds at most {MAX_DATA_BYTES} bytes, not {len(data)}")
    return HEADER.pack(channel, len(data)) + data
