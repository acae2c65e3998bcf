"""Errors that the kernel keeps for relay sockets: ICMP about what a client sent becomes a Data indication for it.

A pending error makes the next call on its socket fail, whatever that was about, so everything here comes from the slow
path: a failed call, or the poller's notice. Which errors a client is told is rtcd.allocations.icmp's.
Source: RFC 8656 §11.5.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from rtcd.allocations import icmp
from rtcd.plane.sockets import SocketAddress, ask
from rtcd.stun.attributes import ICMP, XOR_PEER_ADDRESS
from rtcd.stun.integrity import add_fingerprint
from rtcd.stun.message import Class, Method, encode

if TYPE_CHECKING:
    from rtcd.plane.relay import PythonRelayPlane
    from rtcd.plane.routes import Relay

IP_RECVERR = 11
IPV6_RECVERR = 25
"""Of <linux/in.h> and <linux/in6.h>; Python does not name them."""
_NOTICES = ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR))
_NOTICE_BYTES = 256

MAX_ERRORS = 32
"""Errors of a socket that are read at a time."""
TOLD_PER_S = 50.0
"""Errors a second that the client of one relay is told; it sends into the void at whatever rate it likes."""
MAX_TOLD_RELAYS = 4096
"""Relays for which that is counted."""


def report_errors(sock: socket.socket) -> None:
    """Let the kernel keep the errors of this socket, or do without them."""
    ask(sock, *_NOTICES[sock.family == socket.AF_INET6], 1)


def drain(plane: PythonRelayPlane, relay: Relay, whole: SocketAddress = ()) -> int:
    """Read the errors of a relay socket and tell its client what is for it; how many there were.

    ``whole``: where the datagram was to go, whole, that could not be sent; of such errors the kernel keeps the host only."""
    for count in range(MAX_ERRORS):
        try:
            _, ancillary, _, peer = relay.sock.recvmsg(0, _NOTICE_BYTES, socket.MSG_ERRQUEUE)
        except OSError:
            return count
        for level, kind, raw in ancillary:
            error = icmp.parse(raw) if (level, kind) in _NOTICES else None
            value = icmp.told(error, bool(whole)) if error is not None else None
            if error is not None and value is not None:
                _tell(plane, relay, whole if error.origin == icmp.LOCAL else peer, value)
    return MAX_ERRORS


def clear(plane: PythonRelayPlane, relay: Relay) -> None:
    """`drain`, and see to it that the next call succeeds, even if there are more errors, or one that found no room in the
    queue."""
    drain(plane, relay)
    relay.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _tell(plane: PythonRelayPlane, relay: Relay, peer: SocketAddress, value: tuple[int, int, bytes]) -> None:
    """A Data indication without DATA."""
    permit, now = relay.permits.get(peer[0]), plane.seconds()
    if permit is None or now >= permit.until:
        plane.no_permission.value += 1
        return
    if not plane.told.allow(relay.address, now):
        plane.icmp.value += 1
        return
    transaction_id = os.urandom(12)
    message = encode(Method.DATA, Class.INDICATION, transaction_id, (
        XOR_PEER_ADDRESS.encode((permit.name, peer[1]), transaction_id), ICMP.encode(value)))
    carried, plane.fields.current = plane.fields.current, None
    try:
        relay.way.sendto(add_fingerprint(message) if plane.fingerprint else message, relay.way.address)
    except OSError as error:
        plane.lost(error)
    finally:
        plane.fields.current = carried
