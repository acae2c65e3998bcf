"""`IpFields`: what else an IP header tells, carried from a client's datagram to the peer's and back if that is wanted.

DSCP, ECN and the hop count less one, between IPv4 and IPv6 too, where both sides are on UDP (RFC 8656 §13, §14). The price
is two system calls that are dearer than those without, so this is off unless asked for; sockets are used directly then.
"""

from __future__ import annotations

import functools
import socket
import struct
from collections.abc import Callable

from rtcd.metrics import Counter
from rtcd.plane.drops import Dropped, SendTo
from rtcd.plane.sockets import SocketAddress, ask

IP_RECVTTL = 12
IP_RECVTOS = 13
"""Of <linux/in.h>; Python does not name them."""
_IP, _IPV6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6
_INT = struct.Struct("=i")
_ANCILLARY_BYTES = 2 * socket.CMSG_SPACE(_INT.size)
_TOS = ((_IP, socket.IP_TOS), (_IPV6, socket.IPV6_TCLASS))
_HOPS = ((_IP, socket.IP_TTL), (_IPV6, socket.IPV6_HOPLIMIT))

UNKNOWN = -1
CACHED = 1024
"""Pairs of DSCP with ECN and hop count that are remembered; each path has its own few."""

Receive = Callable[[bytearray | memoryview], tuple[int, SocketAddress]]
"""As ``recvfrom_into`` of a socket."""
Fields = tuple[int, int]
"""DSCP with ECN, and hop count; `UNKNOWN` where the kernel does not tell."""
Ancillary = tuple[tuple[int, int, bytes], ...]


class IpFields:
    """Makes the calls by which all sockets of a plane receive and send."""

    def __init__(self, on: bool, ttl: Counter) -> None:
        """``ttl``: counts what has come its last hop and is dropped."""
        self.on = on
        self._ttl = ttl
        self.current: Fields | None = None
        """Those of the datagram that is being forwarded; None if there are none to carry."""

    def receiver(self, sock: socket.socket) -> Receive:
        """``receive(buffer)`` returns size and source."""
        if not self.on:
            return sock.recvfrom_into
        for level, option in (((_IPV6, socket.IPV6_RECVTCLASS), (_IPV6, socket.IPV6_RECVHOPLIMIT))
                              if sock.family == socket.AF_INET6 else ((_IP, IP_RECVTOS), (_IP, IP_RECVTTL))):
            ask(sock, level, option, 1)
        receive = sock.recvmsg_into

        def receive_with_fields(buffer: bytearray | memoryview) -> tuple[int, SocketAddress]:
            size, ancillary, _, source = receive((buffer,), _ANCILLARY_BYTES)
            self.current = _read(tuple(ancillary))
            return size, source

        return receive_with_fields

    def sender(self, sock: socket.socket) -> SendTo:
        """``sendto(data, address)`` raises `Dropped` for what may go no further."""
        if not self.on:
            return sock.sendto
        sendto, sendmsg, version6 = sock.sendto, sock.sendmsg, sock.family == socket.AF_INET6

        def send_with_fields(data: bytes | memoryview, address: SocketAddress) -> None:
            fields = self.current
            if fields is None:
                sendto(data, address)
            elif fields[1] in (0, 1):
                raise Dropped(self._ttl)
            else:
                sendmsg((data,), _written(fields, version6), 0, address)

        return send_with_fields


@functools.lru_cache(CACHED)
def _read(ancillary: Ancillary) -> Fields:
    tos = hops = UNKNOWN
    for level, kind, raw in ancillary:
        if (level, kind) in _TOS:
            tos = raw[0] if len(raw) == 1 else _INT.unpack_from(raw)[0]
        elif (level, kind) in _HOPS:
            hops = _INT.unpack_from(raw)[0]
    return tos, hops


@functools.lru_cache(CACHED)
def _written(fields: Fields, version6: bool) -> Ancillary:
    tos, hops = fields
    written = []
    if tos != UNKNOWN:
        written.append((*_TOS[version6], _INT.pack(tos)))
    if hops != UNKNOWN:
        written.append((*_HOPS[version6], _INT.pack(hops - 1)))
    return tuple(written)
