"""`Listener`: a client-facing UDP socket. Part of the Python relay plane, rtcd.plane.relay, which lends its buffer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from rtcd.allocations.allocation import FiveTuple
from rtcd.plane.batch import Inbox, Outbox
from rtcd.plane.mmsg import supported
from rtcd.plane.routes import Route
from rtcd.plane.sockets import SocketAddress
from rtcd.stun.attributes import Address
from rtcd.stun.channeldata import HEADER, HEADER_BYTES

if TYPE_CHECKING:
    from rtcd.plane.relay import PythonRelayPlane

LISTENER_READS = 64
"""Packets of all clients of a listener in one round, as many as busy relays have in it together."""


class Listener:
    """A client-facing socket."""

    def __init__(self, plane: PythonRelayPlane, sock: socket.socket) -> None:
        self._plane = plane
        self.sock = sock
        self.receive = plane.fields.receiver(sock)
        self.respond = sock.sendto
        """What is the server's own."""
        self.sendto = plane.fields.sender(sock)
        """What comes from a peer."""
        self.address: Address = sock.getsockname()[:2]
        self.clients: dict[SocketAddress, dict[int, Route]] = {}
        """The channels of each client."""
        batched = supported() and not plane.fields.on
        self.inbox = Inbox(plane, self) if batched else None
        self.outbox = Outbox(plane, self) if batched else None

    def read(self, now: float, most: int) -> bool:
        """Forward or pass up at most so many datagrams; True unless there are no more."""
        plane, clients, others = self._plane, self.clients, False
        receive, buffer, view, unpack = self.receive, plane.buffer, plane.view, HEADER.unpack_from
        for _ in range(most):
            try:
                size, source = receive(buffer)
            except BlockingIOError:
                return False
            except OSError:
                plane.receive_failed.value += 1
                continue
            if size < HEADER_BYTES:
                plane.no_protocol.value += 1
                continue
            channel, length = unpack(buffer)
            try:
                route = clients[source][channel]
            except KeyError:
                others = True
                if self.other(bytes(view[:size]), source):
                    return True
                continue
            if now >= route.until:
                plane.no_permission.value += 1
            elif length > size - HEADER_BYTES:
                plane.truncated.value += 1
            else:
                try:
                    route.sendto(view[4 : 4 + length], route.peer)
                except OSError as error:
                    if not route.relay.went_out(error, view[4 : 4 + length], route.peer):
                        continue
                route.sent_packets += 1
                route.sent_bytes += length
        if self.inbox is not None and not others:
            plane.serve(self.sock.fileno(), self.inbox.read)
        return True

    def other(self, data: bytes, source: SocketAddress) -> bool:
        """A datagram that is not of a bound channel: pass it up or count it. Whether there was time for that only."""
        plane, named = self._plane, "%" not in source[0]
        channel = HEADER.unpack_from(data)[0] if len(data) >= HEADER_BYTES else 0xFFFF
        if 0x4000 <= channel < 0x8000:  # not bound, or of a client that has perhaps moved here
            if plane.mobility and named:
                plane.flush()
                plane.channel_data(data, FiveTuple("udp", source[:2], self.address))
            else:
                plane.no_channel.value += 1
        elif (channel < 0x0400 or (plane.dtls and 0x1400 <= channel < 0x4000)) and named:
            plane.flush()
            plane.receive(data, FiveTuple("udp", source[:2], self.address))
        else:
            plane.no_protocol.value += 1
            return False
        return plane.over()
