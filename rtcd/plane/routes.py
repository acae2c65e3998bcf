"""`Relay`: a relay socket of an allocation, and the routes between its client and its peers.

Packets with a channel are forwarded by dictionaries alone; from other permitted peers come Data indications.
Part of the Python relay plane, rtcd.plane.relay, which lends its buffer and its counters.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from rtcd.allocations.allocation import MAX_CHANNELS, MAX_PERMISSIONS, Allocation, FiveTuple, Traffic
from rtcd.metrics import Counter
from rtcd.plane.drops import Dropped, SendTo, metered
from rtcd.plane.errors import clear, drain
from rtcd.plane.poller import Read
from rtcd.plane.sockets import IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_PMTUDISC_DONT, SocketAddress, socket_address
from rtcd.stun.attributes import COOKIE, DATA, XOR_PEER_ADDRESS, Address
from rtcd.stun.channeldata import HEADER, HEADER_BYTES
from rtcd.stun.integrity import add_fingerprint
from rtcd.stun.message import HEADER_BYTES as HEADER_LENGTH
from rtcd.stun.message import MAX_MESSAGE_BYTES, Class, Method, type_of

if TYPE_CHECKING:
    from rtcd.plane.batch import Outbox
    from rtcd.plane.relay import PythonRelayPlane

HEADROOM = 48
"""Bytes in front of a peer's payload in the plane's buffer: for the header of ChannelData or of a Data indication."""
TAILROOM = 3
"""Bytes behind it: for the padding of DATA."""

_DATA_INDICATION = type_of(Method.DATA, Class.INDICATION)
_DATA4 = struct.Struct("!HHI12sHHHHIHH")
_DATA6 = struct.Struct("!HHI12sHHHH16sHH")
"""A Data indication up to its payload: header, XOR-PEER-ADDRESS, number and length of DATA."""

class Route:
    """A channel between a client and a peer, with all that forwarding needs at hand."""

    __slots__ = ("channel", "channel_until", "host", "peer", "received_bytes", "received_packets", "relay", "sendto",
                 "sent_bytes", "sent_packets", "until")

    def __init__(self, channel: int, host: str, peer: SocketAddress, relay: Relay) -> None:
        self.channel = channel
        self.host = host
        self.peer = peer
        self.relay = relay
        self.sendto = relay.sendto
        self.channel_until = 0.0
        self.until = 0.0
        """The earlier one of the channel's and the permission's end."""
        self.sent_packets = self.sent_bytes = self.received_packets = self.received_bytes = 0


class Way:
    """How frames go to a client, and its channels: one for all relays of an allocation, replaced when it moves."""

    __slots__ = ("address", "channels", "five_tuple", "outbox", "padded", "sendto")

    def __init__(
        self, five_tuple: FiveTuple, sendto: SendTo, address: SocketAddress, channels: dict[int, Route], *, padded: bool,
        outbox: Outbox | None = None,
    ) -> None:
        self.five_tuple = five_tuple
        self.sendto = sendto
        """``sendto(frame, address)`` raises OSError for a frame that is lost."""
        self.address = address
        """Empty for a client that does not come by plain UDP."""
        self.channels = channels
        self.padded = padded
        """Whether ChannelData is padded to a multiple of four, as on streams (RFC 8656 §12.5)."""
        self.outbox = outbox
        """Where busy relays put ChannelData instead of calling ``sendto``; None if each frame is to go by that."""


class Permit:
    """A permitted peer host."""

    __slots__ = ("name", "named", "ports", "until", "version6")

    def __init__(self) -> None:
        self.until = 0.0
        self.name = ""
        """The host as the client knows it, and the same as a number."""
        self.named = 0
        self.version6 = False
        self.ports = range(0)
        """From which its datagrams may come."""


class Relay:
    """A relay socket of an allocation, and what may pass through it."""

    def __init__(self, plane: PythonRelayPlane, sock: socket.socket, way: Way, allocation: Allocation) -> None:
        self._plane = plane
        self.sock = sock
        self.receive = plane.fields.receiver(sock)
        self._emit = plane.fields.sender(sock)
        self.sendto: SendTo = self._emit
        """To a peer; may be refused by a meter."""
        self.address: Address = sock.getsockname()[:2]
        self.way = way
        self._allocation = allocation
        self.peers: dict[SocketAddress, Route] = {}
        self.permits: dict[str, Permit] = {}
        self.routes: dict[str, dict[int, Route]] = {}
        """The same by the host of their peer: they end when its permission does."""
        self._done = Traffic()
        """What was moved outside of the channels that are there now."""

    def reader(self) -> Read:
        """What brings at most so many datagrams of peers to the client. A closure: with one packet a call, which many
        busy relays come to, looking everything up anew would cost as much as forwarding."""
        plane, find, way, descriptor = self._plane, self.peers.get, self.way, self.sock.fileno()
        reply, client, padded = way.sendto, way.address, way.padded
        receive, pack = self.receive, HEADER.pack_into
        buffer, view, body = plane.buffer, plane.view, plane.view[HEADROOM:]
        head = HEADROOM - HEADER_BYTES

        def read(now: float, most: int) -> bool:
            for _ in range(most):
                try:
                    size, source = receive(body)
                except BlockingIOError:
                    return False
                except OSError:
                    if not drain(plane, self):
                        plane.receive_failed.value += 1
                    continue
                route = find(source)
                if route is not None and now < route.until:
                    pack(buffer, head, route.channel, size)
                    end = HEADROOM + size
                    if padded:
                        padding = -size & 3
                        buffer[end : end + padding] = bytes(padding)
                        end += padding
                    try:
                        reply(view[head:end], client)
                    except OSError as error:
                        plane.lost(error)
                    else:
                        route.received_packets += 1
                        route.received_bytes += size
                else:
                    self._indicate(size, source, now)
            if way.outbox is not None:
                plane.serve(descriptor, way.outbox.reader(self))
            return True

        return read

    def indicate(self, payload: memoryview, source: SocketAddress, now: float) -> None:
        """What came from a peer without a channel and lies elsewhere than in the plane's buffer."""
        size = len(payload)
        self._plane.view[HEADROOM : HEADROOM + size] = payload
        self._indicate(size, source, now)

    def _indicate(self, size: int, source: SocketAddress, now: float) -> None:
        """What comes from a permitted peer without a channel goes to the client as a Data indication, which is written
        around the payload where that lies in the plane's buffer."""
        plane = self._plane
        permit, port = self.permits.get(source[0]), source[1]
        if permit is None or now >= permit.until or port not in permit.ports:
            plane.no_permission.value += 1
            return
        padding = -size & 3
        start = HEADROOM - (_DATA6 if permit.version6 else _DATA4).size
        length = HEADROOM - start + size + padding - HEADER_LENGTH
        if length > MAX_MESSAGE_BYTES - HEADER_LENGTH:
            plane.truncated.value += 1
            return
        transaction_id = os.urandom(12)
        head = (_DATA_INDICATION, length, COOKIE, transaction_id, XOR_PEER_ADDRESS.number)
        if permit.version6:
            host = (permit.named ^ (COOKIE << 96 | int.from_bytes(transaction_id, "big"))).to_bytes(16, "big")
            _DATA6.pack_into(plane.buffer, start, *head, 20, 2, port ^ COOKIE >> 16, host, DATA.number, size)
        else:
            host4 = permit.named ^ COOKIE
            _DATA4.pack_into(plane.buffer, start, *head, 8, 1, port ^ COOKIE >> 16, host4, DATA.number, size)
        end = HEADROOM + size
        plane.buffer[end : end + padding] = bytes(padding)
        message = plane.view[start : end + padding]
        try:
            self.way.sendto(add_fingerprint(bytes(message)) if plane.fingerprint else message, self.way.address)
        except OSError as error:
            plane.lost(error)
            return
        self._count(received_packets=1, received_bytes=size)

    def permit(self, host: str, expires_at: float, named: str, now: float) -> None:
        """See IRelayPlane."""
        permit = self.permits.get(host)
        if permit is None:
            if len(self.permits) >= MAX_PERMISSIONS:
                for ended in [name for name, one in self.permits.items() if now >= one.until]:
                    del self.permits[ended]
            permit = self.permits[host] = Permit()
        permit.until = expires_at
        if permit.name != named:
            address = ipaddress.ip_address(named)
            permit.name, permit.named, permit.version6 = named, int(address), address.version == 6
        permit.ports = self._plane.peer_ports(host)
        routes = self.routes.get(host)
        if routes is not None:
            for route in routes.values():
                route.until = min(route.channel_until, expires_at)

    def bind(self, channel: int, peer: Address, expires_at: float, now: float) -> None:
        """See IRelayPlane."""
        host, target = peer[0], socket_address(peer)
        permit = self.permits.get(host)
        channels = self.way.channels
        route = channels.get(channel)
        if route is None or route.peer != target:
            for old in (route, self.peers.get(target)):
                if old is not None:
                    old.relay.unbind(old)
            if len(channels) >= MAX_CHANNELS:
                for ended in [one for one in channels.values() if now >= one.channel_until]:
                    ended.relay.unbind(ended)
            route = channels[channel] = self.peers[target] = Route(channel, host, target, self)
            self.routes.setdefault(host, {})[channel] = route
        route.channel_until = expires_at
        route.until = min(expires_at, permit.until) if permit is not None else 0.0

    def meter(self, seconds: Callable[[], float], rate: Counter) -> None:
        """Charge what goes to peers to the meters that the allocation has now."""
        send, allocation = self._emit, self._allocation
        self.sendto = metered(send, lambda: allocation.upward, seconds, rate) if allocation.upward else send
        for route in self.peers.values():
            route.sendto = self.sendto

    def send(self, peer: Address, data: bytes, dont_fragment: bool) -> None:
        """See IRelayPlane."""
        address = socket_address(peer)
        if not self.way.address:
            self._plane.fields.current = None
        whole = dont_fragment and len(address) == 2 and ":" not in self.way.five_tuple.client[0]
        try:
            if whole:
                self.sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            self.sendto(data, address)
        except OSError as error:
            if not self.went_out(error, data, address, whole):
                return
        finally:
            if whole:
                self.sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        self._count(sent_packets=1, sent_bytes=len(data))

    def went_out(
        self, error: OSError, data: bytes | memoryview, address: SocketAddress, dont_fragment: bool = False
    ) -> bool:
        """Sending to a peer failed, perhaps for an error about another packet, so try once more. False if that failed
        too, which is counted then."""
        if not isinstance(error, (Dropped, BlockingIOError)):
            clear(self._plane, self)
            try:
                self._emit(data, address)
            except OSError as again:
                drain(self._plane, self, address if dont_fragment else ())
                error = again
            else:
                return True
        self._plane.lost(error)
        return False

    def traffic(self) -> Traffic:
        """See IRelayPlane."""
        sent_packets, sent_bytes, received_packets, received_bytes = self._done
        for route in self.peers.values():
            sent_packets += route.sent_packets
            sent_bytes += route.sent_bytes
            received_packets += route.received_packets
            received_bytes += route.received_bytes
        return Traffic(sent_packets, sent_bytes, received_packets, received_bytes)

    def close(self) -> Traffic:
        """See IRelayPlane."""
        self.sock.close()
        for route in list(self.peers.values()):
            self.unbind(route)
        return self._done

    def unbind(self, route: Route) -> None:
        """Forget one of our routes."""
        del self.way.channels[route.channel]
        del self.peers[route.peer]
        routes = self.routes[route.host]
        del routes[route.channel]
        if not routes:
            del self.routes[route.host]
        self._count(route.sent_packets, route.sent_bytes, route.received_packets, route.received_bytes)

    def _count(
        self, sent_packets: int = 0, sent_bytes: int = 0, received_packets: int = 0, received_bytes: int = 0
    ) -> None:
        done = self._done
        self._done = Traffic(done.sent_packets + sent_packets, done.sent_bytes + sent_bytes,
                             done.received_packets + received_packets, done.received_bytes + received_bytes)
