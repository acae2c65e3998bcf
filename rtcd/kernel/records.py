"""The records that the program in the kernel reads, as bytes: flows, their keys, and meters.

This is relay.bpf.c's layout a second time; a test compares the two. What is in them is decided by the relay plane.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from rtcd.stun.attributes import Address

MAX_FLOWS = 65536
"""Records of flows; a channel takes two. What finds none is relayed by the daemon itself."""
MAX_METERS = 65536
"""Records of meters; the first stands for none. What is charged to a meter that found none is relayed by the daemon."""
MAX_FLOW_METERS = 2
"""A flow is charged to at most so many."""

LOOPBACK = 1
"""The index of lo, in every network namespace."""

SIX, TO_SELF, FROM_SELF, CARRY = 1, 2, 4, 8
"""Flags: it goes out by IPv6; it goes to an address of this machine; it comes from one; DSCP, ECN and the hop count are
carried over."""

_KEY = struct.Struct("=16s16s6s2x")
_FLOW = struct.Struct("=40s16s16s6sHQIHHIIQQIHH")
_METER = struct.Struct("=QQQ")
_PORTS = struct.Struct("!HHH")
_WORDS = struct.Struct("=19H")

KEY_BYTES, FLOW_BYTES, METER_BYTES = _KEY.size, _FLOW.size, _METER.size
SLOT = struct.Struct("=Q")
"""The value of a key: which record is its flow's."""

UNTIL, PACKETS, BYTES = 80 // 8, 104 // 8, 112 // 8
"""Where in a flow these are, in units of 8 bytes ..."""
INTERFACE, METERS, REFUSED = 88 // 4, 96 // 4, 120 // 4
"""... these, in units of 4 ..."""
FLAGS, ROOM = 78 // 2, 92 // 2
"""... and these, in units of 2."""
REFUSALS = 1 << 32
"""So many, and the count of them begins again."""
FULL_AT, RATE, DEPTH = 0, 1, 2
"""Likewise in a meter, in units of 8."""

CLOCK = 6
"""CLOCK_MONOTONIC_COARSE of <linux/time.h>, the time that the program goes by; Python does not name it."""
S = 1_000_000_000
"""The kernel counts in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction of a channel: how its packets come in, and how they go out."""

    remote: Address
    local: Address
    channel: int
    """From a client; 0 from a peer."""
    source: Address
    destination: Address
    put_channel: int
    """To a client; 0 to a peer."""

    def key(self) -> bytes:
        """By which the program finds it."""
        return _KEY.pack(packed(self.remote[0]), packed(self.local[0]),
                         _PORTS.pack(self.remote[1], self.local[1], self.channel))

    def record(self, until: int, flags: int, interface: int, room: int, meters: tuple[int, ...], back: int = 0) -> bytes:
        """As the program reads it, with counters at zero. ``until``: ns of `CLOCK`; ``room``: bytes of the longest
        IP packet; ``meters``: numbers of at most `MAX_FLOW_METERS` records; ``back``: of a flow from a client, the number
        of the record of the other one, which waits until a packet of this one is seen."""
        key = self.key()
        source, destination = packed(self.source[0]), packed(self.destination[0])
        ports = _PORTS.pack(self.source[1], self.destination[1], self.put_channel)
        one, other = (*meters, 0, 0)[:MAX_FLOW_METERS]
        return _FLOW.pack(key, source, destination, ports, flags, until, interface, room, 0, one, other, 0, 0, 0,
                          difference(key[:_WORDS.size], source + destination + ports), back)


def packed(host: str) -> bytes:
    """An address as 16 bytes, IPv4 as ::ffff:a.b.c.d. Raises ValueError."""
    address = ipaddress.ip_address(host)
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def difference(old: bytes, new: bytes) -> int:
    """What the checksum of a datagram changes by when these 38 bytes of it change, before it is complemented: the sum of
    the new words and the complements of the old ones, carries added to the lowest bit (RFC 1624)."""
    total: int = sum(_WORDS.unpack(new)) + sum(0xFFFF - word for word in _WORDS.unpack(old))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def meter(full_at: int, rate: float, burst: float) -> bytes:
    """A bucket with ``rate`` bytes a second that holds ``burst`` bytes, and is full at that moment."""
    rate = max(1, round(rate))
    return _METER.pack(full_at, rate, round(burst * S / rate))


def cost(size: int, rate: int) -> int:
    """ns that ``size`` bytes take at ``rate`` bytes a second."""
    return size * S // rate
