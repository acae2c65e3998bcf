"""ICMP errors as the kernel keeps them for a socket, and what of them a client is told.

Reading the kernel's queue is rtcd.plane.errors. Sources: RFC 8656 §11.5, §18.13; struct sock_extended_err of
<linux/errqueue.h>.
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

_EXTENDED_ERROR = struct.Struct("=IBBBBII")

LOCAL, ICMP4, ICMP6 = 1, 2, 3
"""Where an error comes from: this machine, or an ICMP message of either version."""

DESTINATION_UNREACHABLE, TIME_EXCEEDED = 3, 11
FRAGMENTATION_NEEDED = 4
"""A code of ICMPv4's type 3."""
UNREACHABLE6, TOO_BIG6, TIME_EXCEEDED6 = 1, 2, 3


class QueuedError(NamedTuple):
    """One error of a socket."""

    number: int
    """As in errno."""
    origin: int
    type: int
    code: int
    mtu: int
    """What passes at most, if that is what is wrong."""


def parse(raw: bytes) -> QueuedError | None:
    """What the kernel tells with an error; None if it is too short to be that."""
    if len(raw) < _EXTENDED_ERROR.size:
        return None
    number, origin, kind, code, _, mtu, _ = _EXTENDED_ERROR.unpack_from(raw)
    return QueuedError(number, origin, kind, code, mtu)


def told(error: QueuedError, dont_fragment: bool = False) -> tuple[int, int, bytes] | None:
    """Type, code and data for the ICMP attribute; None for what is not the client's business.

    ``dont_fragment``: it is about a datagram that was not to be fragmented. This machine is the first router on its way,
    so that one too long for it is told as a router would.
    """
    kind, code = error.type, error.code
    if error.origin == ICMP4 and kind in (DESTINATION_UNREACHABLE, TIME_EXCEEDED):
        too_big = (kind, code) == (DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED)
    elif error.origin == ICMP6 and kind in (UNREACHABLE6, TOO_BIG6, TIME_EXCEEDED6):
        too_big = kind == TOO_BIG6
    elif error.origin == LOCAL and error.number == errno.EMSGSIZE and dont_fragment:
        kind, code, too_big = DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, True
    else:
        return None
    return kind, code, error.mtu.to_bytes(4, "big") if too_big else bytes(4)
