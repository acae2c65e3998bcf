"""`PythonRelayPlane`: the relay plane on plain sockets. It owns every UDP socket of the TURN service.

A packet of a bound channel takes the short way: read, two dictionaries, send. What else is allowed for peers are Data
indications; requests go up to whoever called `start`. Rules are not here, except that permissions and channels end.
Sources: RFC 8656 §11, §12.6, §12.7.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from rtcd.interfaces import IClientPath, IRelayPlane
from rtcd.metrics import Counter
from rtcd.plane.poller import Poller
from rtcd.plane.routes import HEADROOM, TAILROOM, Relay, Route, SocketAddress, Way, socket_address
from rtcd.stun.attributes import Address, Family, family_of
from rtcd.stun.channeldata import HEADER, HEADER_BYTES
from rtcd.turn.addresses import MAX_PORT_TRIES, Ports
from rtcd.turn.allocation import Allocation, FiveTuple, Traffic
from rtcd.turn.peers import EVERY_PORT

DROPS = ("no-protocol", "no-channel", "truncated", "no-permission", "send-failed", "receive-failed")
"""Why a datagram is dropped here. ``no-protocol``: from a client, and neither STUN nor ChannelData."""

BUFFER_BYTES = HEADROOM + 0xFFFF + TAILROOM
"""No UDP payload is longer, so none is ever cut; around a peer's there is room for what its client gets it in."""

IP_MTU_DISCOVER = 10
IP_PMTUDISC_DONT = 0
"""Of <linux/in.h>; Python does not name them."""

LISTENER_READS = 64
"""Packets of all clients of a listener in one round, as many as busy relays have in it together."""

Receive = Callable[[bytes, FiveTuple], None]


class Listener:
    """A client-facing socket."""

    def __init__(self, plane: PythonRelayPlane, sock: socket.socket) -> None:
        self._plane = plane
        self.sock = sock
        self.sendto = sock.sendto
        self.address: Address = sock.getsockname()[:2]
        self.clients: dict[SocketAddress, dict[int, Route]] = {}
        """The channels of each client."""

    def read(self, now: float, most: int) -> bool:
        """Forward or pass up at most so many datagrams; True unless there are no more."""
        plane, clients = self._plane, self.clients
        receive, buffer, view, unpack = self.sock.recvfrom_into, plane.buffer, plane.view, HEADER.unpack_from
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
            if 0x4000 <= channel < 0x8000:
                try:
                    route = clients[source][channel]
                except KeyError:
                    plane.no_channel.value += 1
                    continue
                if now >= route.until:
                    plane.no_permission.value += 1
                elif length > size - HEADER_BYTES:
                    plane.truncated.value += 1
                else:
                    try:
                        route.sendto(view[4 : 4 + length], route.peer)
                    except OSError:
                        plane.send_failed.value += 1
                    else:
                        route.sent_packets += 1
                        route.sent_bytes += length
            elif channel < 0x0400 and "%" not in source[0]:
                plane.receive(bytes(view[:size]), FiveTuple("udp", source[:2], self.address))
                if plane.over():
                    return True
            else:
                plane.no_protocol.value += 1
        return True


@implementer(IRelayPlane)
class PythonRelayPlane:
    """The reference implementation of IRelayPlane."""

    def __init__(
        self, poller: Poller, clock: IReactorTime, ports: Callable[[], Ports], drops: Mapping[str, Counter], *,
        socket_buffer_bytes: int = 0, fingerprint: bool = False,
        peer_ports: Callable[[str], range] = lambda host: EVERY_PORT,
    ) -> None:
        """``ports()``: the relay ports of one more host. ``drops``: a counter for each of `DROPS`.
        ``socket_buffer_bytes``: of each socket in each direction, 0 for the system's default.
        ``fingerprint``: put FINGERPRINT on Data indications. ``peer_ports(host)``: from which ports of a permitted host
        datagrams may come, asked at each permission."""
        self._poller = poller
        self.over = poller.over
        self._clock = clock
        self._new_ports = ports
        self.peer_ports = peer_ports
        self._ports: dict[str, Ports] = {}
        self._socket_buffer_bytes = socket_buffer_bytes
        self.fingerprint = fingerprint
        self._listeners: dict[Address, Listener] = {}
        self._relays: dict[Allocation, dict[Family, Relay]] = {}
        self._ways: dict[Allocation, Way] = {}
        self._paths: dict[FiveTuple, IClientPath] = {}
        self._attached: dict[FiveTuple, Way] = {}
        """Those of `_ways` whose clients are attached."""
        self._held: dict[bytes, socket.socket] = {}
        """Sockets at reserved ports, by token."""
        self.receive: Receive = _nobody
        self.buffer = bytearray(BUFFER_BYTES)
        self.view = memoryview(self.buffer)
        self.no_protocol = drops["no-protocol"]
        self.no_channel = drops["no-channel"]
        self.truncated = drops["truncated"]
        self.no_permission = drops["no-permission"]
        self.send_failed = drops["send-failed"]
        self.receive_failed = drops["receive-failed"]

    def start(self, receive: Receive) -> None:
        self.receive = receive
        self._poller.start()

    def listen(self, host: str, port: int) -> Address:
        return self._serve(self._socket(host, port))

    def adopt(self, descriptor: int) -> Address:
        sock = socket.socket(fileno=descriptor)
        try:
            if sock.type != socket.SOCK_DGRAM or sock.family not in (socket.AF_INET, socket.AF_INET6):
                raise OSError(errno.EPROTOTYPE, "is no UDP socket")
            sock.setblocking(False)
            sock.set_inheritable(False)
            _let_routers_fragment(sock)
        except BaseException:
            sock.close()
            raise
        return self._serve(sock)

    def attach(self, five_tuple: FiveTuple, path: IClientPath) -> None:
        self._paths[five_tuple] = path

    def detach(self, five_tuple: FiveTuple) -> None:
        self._paths.pop(five_tuple, None)

    def channel_data(self, data: bytes, five_tuple: FiveTuple) -> None:
        channel, length = HEADER.unpack_from(data)
        way = self._attached.get(five_tuple)
        route = way.channels.get(channel) if way is not None else None
        if route is None:
            self.no_channel.value += 1
        elif self._clock.seconds() >= route.until:
            self.no_permission.value += 1
        elif length > len(data) - HEADER_BYTES:
            self.truncated.value += 1
        else:
            try:
                route.sendto(memoryview(data)[HEADER_BYTES : HEADER_BYTES + length], route.peer)
            except OSError:
                self.send_failed.value += 1
            else:
                route.sent_packets += 1
                route.sent_bytes += length

    def respond(self, data: bytes, five_tuple: FiveTuple) -> None:
        path = self._paths.get(five_tuple)
        if path is not None:
            path.respond(data)
            return
        try:
            self._listeners[five_tuple.server].sendto(data, five_tuple.client)
        except (KeyError, OSError):
            self.send_failed.value += 1

    def open(self, allocation: Allocation, host: str) -> Address:
        way = self._ways.get(allocation) or self._way(allocation.five_tuple)
        if allocation.claims:
            sock = self._held.pop(allocation.claims)
        else:
            sock = self._relay_socket(host, allocation.even_port, allocation.reserves)
        relay = Relay(self, sock, way)
        try:
            self._poller.add(sock.fileno(), relay.reader())
        except BaseException:
            sock.close()
            self._ports[host].give_back(relay.address[1], self._clock.seconds())
            self.release(allocation.reserves)
            raise
        self._relays.setdefault(allocation, {})[family_of(host)] = relay
        self._take_way(allocation, way)
        return relay.address

    def permit(self, allocation: Allocation, peer_host: str, expires_at: float, named: str) -> None:
        self._relays[allocation][family_of(peer_host)].permit(peer_host, expires_at, named, self._clock.seconds())

    def bind(self, allocation: Allocation, channel: int, peer: Address, expires_at: float) -> None:
        self._relays[allocation][family_of(peer[0])].bind(channel, peer, expires_at, self._clock.seconds())

    def send(self, allocation: Allocation, peer: Address, data: bytes) -> None:
        self._relays[allocation][family_of(peer[0])].send(peer, data)

    def close(self, allocation: Allocation, family: Family | None = None) -> Traffic:
        relays = self._relays.get(allocation, {})
        total = Traffic()
        for one in list(relays) if family is None else [family] if family in relays else []:
            relay = relays.pop(one)
            self._poller.remove(relay.sock.fileno())
            host, port = relay.address
            traffic = relay.close()
            self._ports[host].give_back(port, self._clock.seconds())
            total = Traffic(*(before + more for before, more in zip(total, traffic, strict=True)))
        if not relays:
            self._relays.pop(allocation, None)
            self._drop_way(allocation)
        return total

    def release(self, token: bytes) -> None:
        sock = self._held.pop(token, None)
        if sock is not None:
            host, port = sock.getsockname()[:2]
            sock.close()
            self._ports[host].give_back(port, self._clock.seconds())

    def stop(self) -> None:
        for token in list(self._held):
            self.release(token)
        for allocation in reversed(list(self._relays)):
            self.close(allocation)
        for listener in reversed(list(self._listeners.values())):
            self._poller.remove(listener.sock.fileno())
            listener.sock.close()
        self._listeners.clear()
        self._poller.stop()

    def _way(self, five_tuple: FiveTuple) -> Way:
        """How to reach this client. Raises OSError if it is gone already."""
        path = self._paths.get(five_tuple)
        if path is not None:
            return Way(_through(path), (), padded=five_tuple.transport in ("tcp", "tls"))
        listener = self._listeners.get(five_tuple.server) if five_tuple.transport == "udp" else None
        if listener is None:
            raise OSError(errno.ENOTCONN, "the client is gone")
        return Way(listener.sendto, socket_address(five_tuple.client), padded=False)

    def _take_way(self, allocation: Allocation, way: Way) -> None:
        self._ways[allocation] = way
        if way.address:
            self._listeners[allocation.five_tuple.server].clients[way.address] = way.channels
        else:
            self._attached[allocation.five_tuple] = way

    def _drop_way(self, allocation: Allocation) -> None:
        way = self._ways.pop(allocation, None)
        if way is None:
            return
        if way.address:
            self._listeners[allocation.five_tuple.server].clients.pop(way.address, None)
        else:
            self._attached.pop(allocation.five_tuple, None)

    def _serve(self, sock: socket.socket) -> Address:
        listener = Listener(self, sock)
        try:
            self._poller.add(sock.fileno(), listener.read, LISTENER_READS)
        except BaseException:
            sock.close()
            raise
        self._listeners[listener.address] = listener
        return listener.address

    def _relay_socket(self, host: str, even: bool, reserves: bytes) -> socket.socket:
        """A socket at a port that was free, and with a token one more at the next port, which is held. Raises OSError; a
        port that somebody else has rests like one of ours."""
        ports = self._ports.get(host)
        if ports is None:
            ports = self._ports[host] = self._new_ports()
        now = self._clock.seconds()
        for _ in range(MAX_PORT_TRIES):
            port = ports.take(now, even)
            if port is None:
                break
            if reserves and not ports.claim(port + 1):
                ports.give_back(port, now)
                continue
            sock = None
            try:
                sock = self._socket(host, port)
                if reserves:
                    self._held[reserves] = self._socket(host, port + 1)
                return sock
            except OSError as error:
                if sock is not None:
                    sock.close()
                for one in (port, port + 1) if reserves else (port,):
                    ports.give_back(one, now)
                if error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EADDRINUSE, "no relay port is free")

    def _socket(self, host: str, port: int) -> socket.socket:
        version6 = family_of(host) == 2
        sock = socket.socket(socket.AF_INET6 if version6 else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if version6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _let_routers_fragment(sock)
            if self._socket_buffer_bytes:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._socket_buffer_bytes)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._socket_buffer_bytes)
            sock.bind((host, port))
        except BaseException:
            sock.close()
            raise
        return sock


def _let_routers_fragment(sock: socket.socket) -> None:
    """DF clear on IPv4 (RFC 8656 §14): nobody asked for DONT-FRAGMENT, and no client would hear of the ICMP."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)


def _through(path: IClientPath) -> Callable[..., None]:
    """As a socket's ``sendto``."""

    def sendto(frame: bytes | memoryview, address: SocketAddress) -> None:
        if not path.deliver(frame):
            raise BlockingIOError

    return sendto


def _nobody(data: bytes, five_tuple: FiveTuple) -> None:
    """Before `start`."""
