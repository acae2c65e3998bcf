"""`PythonRelayPlane`: the relay plane on plain sockets. It owns every UDP socket of the TURN service.

A packet of a bound channel takes the short way: read, two dictionaries, send. What else is allowed for peers are Data
indications; requests go up to whoever called `start`. Rules are not here, except that permissions and channels end.
Sources: RFC 8656 §11, §12.6, §12.7.
"""

from __future__ import annotations

import errno
import functools
import socket
from collections.abc import Callable, Iterable, Mapping

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from rtcd.allocations.addresses import Ports
from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.allocations.meter import Meter
from rtcd.bucket import Buckets
from rtcd.interfaces import IClientPath, IRelayPlane
from rtcd.metrics import Counter
from rtcd.peers.policy import EVERY_PORT
from rtcd.plane.drops import DROPS, Dropped, SendTo, metered
from rtcd.plane.errors import MAX_TOLD_RELAYS, TOLD_PER_S, clear, report_errors
from rtcd.plane.fields import IpFields
from rtcd.plane.listener import LISTENER_READS, Listener
from rtcd.plane.poller import Poller
from rtcd.plane.ports import RelaySockets
from rtcd.plane.routes import HEADROOM, TAILROOM, Relay, Route, Way
from rtcd.plane.sockets import SocketAddress, adopt_udp, open_udp, socket_address
from rtcd.stun.attributes import Address, Family, family_of
from rtcd.stun.channeldata import HEADER, HEADER_BYTES

__all__ = ["DROPS", "PythonRelayPlane"]

BUFFER_BYTES = HEADROOM + 0xFFFF + TAILROOM
"""No UDP payload is longer, so none is ever cut; around a peer's there is room for what its client gets it in."""

Receive = Callable[[bytes, FiveTuple], None]


@implementer(IRelayPlane)
class PythonRelayPlane:
    """The reference implementation of IRelayPlane."""

    def __init__(
        self, poller: Poller, clock: IReactorTime, ports: Callable[[], Ports], drops: Mapping[str, Counter], *,
        socket_buffer_bytes: int = 0, fingerprint: bool = False,
        peer_ports: Callable[[str], range] = lambda host: EVERY_PORT, mobility: bool = False,
        ip_fields: bool = False, dtls: bool = False,
    ) -> None:
        """``ports()``: the relay ports of one more host. ``drops``: a counter for each of `DROPS`.
        ``socket_buffer_bytes``: of each socket in each direction, 0 for the system's default.
        ``fingerprint``: put FINGERPRINT on Data indications. ``peer_ports(host)``: from which ports of a permitted host
        datagrams may come, asked at each permission. ``mobility``: pass up ChannelData of unknown clients.
        ``ip_fields``: carry DSCP, ECN and the hop count between clients and peers. ``dtls``: pass up DTLS records."""
        self._poller = poller
        self.over = poller.over
        self.serve = poller.change
        poller.after_round = self.flush
        self.seconds = clock.seconds
        self.sockets = RelaySockets(ports, clock.seconds, socket_buffer_bytes)
        self.peer_ports = peer_ports
        self._socket_buffer_bytes = socket_buffer_bytes
        self.fingerprint = fingerprint
        self.mobility = mobility
        self.dtls = dtls
        self._listeners: dict[Address, Listener] = {}
        self._relays: dict[Allocation, dict[Family, Relay]] = {}
        self._ways: dict[Allocation, Way] = {}
        self._paths: dict[FiveTuple, IClientPath] = {}
        self._attached: dict[FiveTuple, Way] = {}
        """Those of `_ways` whose clients are attached."""
        self.receive: Receive = _nobody
        self.buffer = bytearray(BUFFER_BYTES)
        self.view = memoryview(self.buffer)
        self.no_protocol = drops["no-protocol"]
        self.no_channel = drops["no-channel"]
        self.truncated = drops["truncated"]
        self.no_permission = drops["no-permission"]
        self.send_failed = drops["send-failed"]
        self.receive_failed = drops["receive-failed"]
        self.rate = drops["rate"]
        self._slow_client = drops["slow-client"]
        self.icmp = drops["icmp"]
        self.fields = IpFields(ip_fields, drops["ttl"])
        self.told = Buckets(TOLD_PER_S, TOLD_PER_S, MAX_TOLD_RELAYS)
        """How many ICMP errors each relay's client is told."""

    def start(self, receive: Receive) -> None:
        self.receive = receive
        self._poller.start()

    def listen(self, host: str, port: int) -> Address:
        return self._serve(open_udp(host, port, self._socket_buffer_bytes))

    def adopt(self, descriptor: int) -> Address:
        return self._serve(adopt_udp(descriptor, self._socket_buffer_bytes))

    def attach(self, five_tuple: FiveTuple, path: IClientPath) -> None:
        self._paths[five_tuple] = path

    def detach(self, five_tuple: FiveTuple) -> None:
        self._paths.pop(five_tuple, None)
        self._attached.pop(five_tuple, None)

    def channel_data(self, data: bytes, five_tuple: FiveTuple) -> None:
        channel, length = HEADER.unpack_from(data)
        if five_tuple.transport != "udp":
            self.fields.current = None
        channels = self._channels(five_tuple)
        if channels is None and self.mobility:
            self.receive(data, five_tuple)
            channels = self._channels(five_tuple)
        route = channels.get(channel) if channels is not None else None
        if route is None:
            self.no_channel.value += 1
        elif self.seconds() >= route.until:
            self.no_permission.value += 1
        elif length > len(data) - HEADER_BYTES:
            self.truncated.value += 1
        else:
            payload = memoryview(data)[HEADER_BYTES : HEADER_BYTES + length]
            try:
                route.sendto(payload, route.peer)
            except OSError as error:
                if not route.relay.went_out(error, payload, route.peer):
                    return
            route.sent_packets += 1
            route.sent_bytes += length

    def respond(self, data: bytes, five_tuple: FiveTuple) -> None:
        udp = five_tuple.transport == "udp"
        to = self._listeners.get(five_tuple.server) if udp else self._paths.get(five_tuple)
        try:
            if isinstance(to, Listener):
                to.respond(data, five_tuple.client)
            elif to is not None:
                to.respond(data)
            else:
                raise OSError(errno.ENOTCONN, "the client is gone")
        except OSError:
            self.send_failed.value += 1

    def open(self, allocation: Allocation, host: str) -> Address:
        try:
            return self._open(allocation, host)
        except BaseException:
            self.sockets.release(allocation.claims)
            raise

    def _open(self, allocation: Allocation, host: str) -> Address:
        family, relays = family_of(host), self._relays.get(allocation, {})
        if family in relays:
            raise OSError(errno.EISCONN, "there is a relay of this family")
        way = self._ways.get(allocation) or self._way(allocation, allocation.five_tuple, {})
        if allocation.claims:
            sock = self.sockets.claim(allocation.claims)
        else:
            sock = self.sockets.open(host, allocation.even_port, allocation.reserves)
        try:
            relay = self._relay(sock, way, allocation)
            relay.meter(self.seconds, self.rate)
            report_errors(sock)
            self._poller.add(sock.fileno(), relay.reader(), fault=functools.partial(clear, self, relay))
        except BaseException:
            self.sockets.close(sock)
            self.sockets.release(allocation.reserves)
            raise
        relays[family] = relay
        self._relays[allocation] = relays
        self._take_way(allocation, way)
        return relay.address

    def meter(self, rate: float) -> Meter:
        return Meter(rate)

    def remeter(self, allocation: Allocation) -> None:
        way = self._ways.get(allocation)
        if way is None:
            return
        for relay in self._relays[allocation].values():
            relay.meter(self.seconds, self.rate)
        if way.address or self._attached.get(way.five_tuple) is way:  # one that is gone takes them up when it has moved
            self.move(allocation, way.five_tuple)

    def move(self, allocation: Allocation, five_tuple: FiveTuple) -> None:
        way = self._way(allocation, five_tuple, self._ways[allocation].channels)
        self.flush()
        self._drop_way(allocation)
        self._take_way(allocation, way)
        for relay in self._relays[allocation].values():
            relay.way = way
            self._poller.change(relay.sock.fileno(), relay.reader())

    def permit(self, allocation: Allocation, peer_host: str, expires_at: float, named: str) -> None:
        self._relays[allocation][family_of(peer_host)].permit(peer_host, expires_at, named, self.seconds())

    def bind(self, allocation: Allocation, channel: int, peer: Address, expires_at: float) -> None:
        self._relays[allocation][family_of(peer[0])].bind(channel, peer, expires_at, self.seconds())

    def send(self, allocation: Allocation, peer: Address, data: bytes, dont_fragment: bool = False) -> None:
        relay = self._relays.get(allocation, {}).get(family_of(peer[0]))
        if relay is None:
            self.send_failed.value += 1
        else:
            relay.send(peer, data, dont_fragment)

    def traffic(self, allocation: Allocation) -> Traffic:
        return _total(relay.traffic() for relay in self._relays.get(allocation, {}).values())

    def close(self, allocation: Allocation, family: Family | None = None) -> Traffic:
        self.flush()
        relays = self._relays.get(allocation, {})
        closed = []
        for one in list(relays) if family is None else [family] if family in relays else []:
            relay = relays.pop(one)
            self._poller.remove(relay.sock.fileno())
            closed.append(relay.close())
            self.sockets.closed(relay.address)
        if not relays:
            self._relays.pop(allocation, None)
            self._drop_way(allocation)
        return _total(closed)

    def release(self, token: bytes) -> None:
        self.sockets.release(token)

    def stop(self) -> None:
        self.sockets.stop()
        for allocation in reversed(list(self._relays)):
            self.close(allocation)
        for listener in reversed(list(self._listeners.values())):
            self._poller.remove(listener.sock.fileno())
            listener.sock.close()
        self._listeners.clear()
        self._poller.stop()

    def flush(self) -> None:
        """Send what busy relays have put off."""
        for listener in self._listeners.values():
            if listener.outbox is not None:
                listener.outbox.flush()

    def lost(self, error: OSError) -> None:
        """A frame could not be sent for this reason: count it."""
        (error.counter if isinstance(error, Dropped) else self.send_failed).value += 1

    def _relay(self, sock: socket.socket, way: Way, allocation: Allocation) -> Relay:
        return Relay(self, sock, way, allocation)

    def _way(self, allocation: Allocation, five_tuple: FiveTuple, channels: dict[int, Route]) -> Way:
        """How to reach the client there, which has these channels. Raises OSError if it is gone already."""
        path = self._paths.get(five_tuple)
        address: SocketAddress = ()
        outbox = None
        if path is not None:
            sendto = _through(path, self._slow_client)
        else:
            listener = self._listeners.get(five_tuple.server) if five_tuple.transport == "udp" else None
            if listener is None:
                raise OSError(errno.ENOTCONN, "the client is gone")
            sendto, address, outbox = listener.sendto, socket_address(five_tuple.client), listener.outbox
        if allocation.downward:
            outbox = None
            sendto = metered(sendto, lambda: allocation.downward, self.seconds, self.rate)
        return Way(five_tuple, sendto, address, channels, padded=five_tuple.transport in ("tcp", "tls"), outbox=outbox)

    def _take_way(self, allocation: Allocation, way: Way) -> None:
        self._ways[allocation] = way
        if way.address:
            self._listeners[way.five_tuple.server].clients[way.address] = way.channels
        else:
            self._attached[way.five_tuple] = way

    def _drop_way(self, allocation: Allocation) -> None:
        """Unless somebody else is there by now."""
        way = self._ways.pop(allocation, None)
        if way is None:
            return
        if way.address:
            clients = self._listeners[way.five_tuple.server].clients
            if clients.get(way.address) is way.channels:
                del clients[way.address]
        elif self._attached.get(way.five_tuple) is way:
            del self._attached[way.five_tuple]

    def _channels(self, five_tuple: FiveTuple) -> dict[int, Route] | None:
        """Of the client there; None if it is not known."""
        way = self._attached.get(five_tuple)
        if way is not None:
            return way.channels
        listener = self._listeners.get(five_tuple.server) if five_tuple.transport == "udp" else None
        return listener.clients.get(socket_address(five_tuple.client)) if listener is not None else None

    def _serve(self, sock: socket.socket) -> Address:
        try:
            listener = Listener(self, sock)
            self._poller.add(sock.fileno(), listener.read, LISTENER_READS)
        except BaseException:
            sock.close()
            raise
        self._listeners[listener.address] = listener
        return listener.address


def _through(path: IClientPath, slow: Counter) -> SendTo:
    """As a socket's ``sendto``. ``slow``: counts what the path drops."""

    def sendto(frame: bytes | memoryview, address: SocketAddress) -> None:
        if not path.deliver(frame):
            raise Dropped(slow)

    return sendto


def _total(parts: Iterable[Traffic]) -> Traffic:
    return functools.reduce(Traffic.plus, parts, Traffic())


def _nobody(data: bytes, five_tuple: FiveTuple) -> None:
    """Before `start`."""
