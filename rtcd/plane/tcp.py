"""`TcpRelays`: the sockets of TCP relays. They listen, accept, connect, and join a peer's bytes with its client's.

Rules are not here: whom a relay may connect to, and which peer may come, is rtcd.turn.connect. Source: RFC 6062 §4, §5.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IWriteDescriptor
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from rtcd.allocations.addresses import MAX_PORT_TRIES, Ports
from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.plane.pipe import End
from rtcd.stun.attributes import Address, Family, family_of

BACKLOG = 16
"""Connections that the system holds for a relay until they are accepted."""


class Peers(Protocol):
    """Who decides about connections, by number (rtcd.turn.connect)."""

    def connected(self, number: int) -> None:
        """The peer took it."""

    def failed(self, number: int) -> None:
        """It did not."""

    def attempted(self, allocation: Allocation, peer: Address) -> int | None:
        """A peer has come; the number of its connection, or None to close it."""

    def lost(self, number: int) -> None:
        """It is closed."""


Become = Callable[[FiveTuple, End], bool]
"""Makes the stream of a client a data connection behind the answer that follows; False if there is no such stream."""


class TcpRelays:
    """Every TCP relay of the service."""

    def __init__(self, reactor: Any, ports: Callable[[], Ports], peers: Peers, become: Become) -> None:
        """``ports()``: the relay ports of one more host."""
        self._reactor = reactor
        self._new_ports = ports
        self._ports: dict[str, Ports] = {}
        self._peers = peers
        self._become = become
        self._relays: dict[Allocation, dict[Family, _Relay]] = {}
        self._links: dict[int, _Link] = {}

    def open(self, allocation: Allocation, host: str) -> Address:
        """Listen at a port that was free. Raises OSError."""
        now = self._reactor.seconds()
        ports = self._ports.get(host)
        if ports is None:
            ports = self._ports[host] = self._new_ports()
        for _ in range(MAX_PORT_TRIES):
            port = ports.take(now)
            if port is None:
                break
            try:
                relay = self._listen(allocation, (host, port))
            except OSError as error:
                ports.give_back(port, now)
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            self._relays.setdefault(allocation, {})[family_of(host)] = relay
            return relay.address
        raise OSError(errno.EADDRINUSE, "no relay port is free")

    def connect(self, number: int, allocation: Allocation, peer: Address) -> None:
        """Begin to connect from the relayed transport address of the peer's family."""
        link = self._link(number, self._relays[allocation][family_of(peer[0])])
        link.attempt = _Attempt(self._reactor, link.relay.address, peer, lambda sock: self._decided(link, sock))
        link.attempt.begin()

    def bind(self, number: int, five_tuple: FiveTuple) -> bool:
        """Join the peer's end with the client's stream."""
        link = self._links.get(number)
        if link is None or len(link.ends) != 1 or not link.ends[0].open:
            return False
        client = End(self._reactor, link.relay.allocation.upward, lambda end: self._ended(link, end))
        if not self._become(five_tuple, client):
            return False
        link.ends.append(client)
        link.ends[0].join(client)
        return True

    def drop(self, number: int) -> None:
        """Let go of a connection, however far it is."""
        link = self._links.pop(number, None)
        if link is None:
            return
        del link.relay.links[number]
        if link.attempt is not None:
            link.attempt.give_up()
        for end in link.ends:
            end.abort()

    def close(self, allocation: Allocation, family: Family | None = None) -> Traffic:
        """Close the relays of an allocation, or that of one family, with their connections."""
        relays = self._relays.get(allocation, {})
        sent = received = 0
        for one in [one for one in relays if family in (None, one)]:
            relay = relays.pop(one)
            relay.port.stopListening()
            for number in list(relay.links):
                relay.count(self._links[number])
                self.drop(number)
            self._ports[relay.address[0]].give_back(relay.address[1], self._reactor.seconds())
            sent, received = sent + relay.sent_bytes, received + relay.received_bytes
        if not relays:
            self._relays.pop(allocation, None)
        return Traffic(sent_bytes=sent, received_bytes=received)

    def move(self, allocation: Allocation, five_tuple: FiveTuple) -> None:
        """Nothing here depends on the control connection."""

    def traffic(self, allocation: Allocation) -> Traffic:
        """The totals so far of the open relays of an allocation."""
        relays = self._relays.get(allocation, {}).values()
        links = [link for relay in relays for link in relay.links.values()]
        return Traffic(
            sent_bytes=sum(relay.sent_bytes for relay in relays) + sum(link.sent_bytes for link in links),
            received_bytes=sum(relay.received_bytes for relay in relays) + sum(link.received_bytes for link in links))

    def stop(self) -> None:
        """Close everything."""
        for allocation in list(self._relays):
            self.close(allocation)

    def _link(self, number: int, relay: _Relay) -> _Link:
        link = self._links[number] = relay.links[number] = _Link(number, relay)
        return link

    def _listen(self, allocation: Allocation, address: Address) -> _Relay:
        _socket(address, shared=False).close()  # else another daemon of this user could be at the same port
        with _socket(address) as sock:
            sock.listen(BACKLOG)
            relay = _Relay(allocation, address)
            relay.port = self._reactor.adoptStreamPort(sock.fileno(), sock.family, _Accepting(self._accept, relay))
        return relay

    def _accept(self, relay: _Relay, peer: Address) -> End | None:
        number = self._peers.attempted(relay.allocation, peer)
        return None if number is None else self._peer_end(self._link(number, relay))

    def _peer_end(self, link: _Link) -> End:
        end = End(self._reactor, link.relay.allocation.downward, lambda end: self._ended(link, end))
        link.ends.append(end)
        return end

    def _decided(self, link: _Link, sock: socket.socket | None) -> None:
        """The peer has answered; the socket is connected, or there is none."""
        link.attempt = None
        if sock is not None:
            end = self._peer_end(link)
            try:
                self._reactor.adoptStreamConnection(sock.fileno(), sock.family, Factory.forProtocol(lambda: end))
            except OSError:
                sock = None
        if sock is None:
            self._forget(link)
            self._peers.failed(link.number)
        else:
            self._peers.connected(link.number)

    def _ended(self, link: _Link, end: End) -> None:
        """One end is closed; the other follows by itself, and then the connection is over."""
        if link.number in self._links and not any(one.open for one in link.ends):
            link.relay.count(link)
            self._forget(link)
            self._peers.lost(link.number)

    def _forget(self, link: _Link) -> None:
        del self._links[link.number]
        del link.relay.links[link.number]


class _Relay:
    """A listening socket and the connections of its relayed transport address."""

    port: Any

    def __init__(self, allocation: Allocation, address: Address) -> None:
        self.allocation = allocation
        self.address = address
        self.links: dict[int, _Link] = {}
        self.sent_bytes = self.received_bytes = 0
        """Of connections that are over, as the client sees it."""

    def count(self, link: _Link) -> None:
        """Its connection is over."""
        self.received_bytes += link.received_bytes
        self.sent_bytes += link.sent_bytes


class _Link:
    """One connection: the attempt to make it, then the peer's end, then the client's too."""

    __slots__ = ("attempt", "ends", "number", "relay")

    def __init__(self, number: int, relay: _Relay) -> None:
        self.number = number
        self.relay = relay
        self.attempt: _Attempt | None = None
        self.ends: list[End] = []

    @property
    def received_bytes(self) -> int:
        """From the peer."""
        return sum(end.received_bytes for end in self.ends[:1])

    @property
    def sent_bytes(self) -> int:
        """To the peer."""
        return sum(end.received_bytes for end in self.ends[1:])


class _Accepting(Factory):
    """Peers that connect to a relay."""

    noisy = False

    def __init__(self, accept: Callable[[_Relay, Address], End | None], relay: _Relay) -> None:
        self._accept = accept
        self._relay = relay

    def buildProtocol(self, addr: Any) -> Any:
        """None closes the connection at once."""
        if not isinstance(addr, IPv4Address | IPv6Address) or "%" in addr.host:
            return None
        return self._accept(self._relay, (addr.host, addr.port))


@implementer(IWriteDescriptor)
class _Attempt:
    """A socket on its way to a peer. Twisted's own client cannot share the relay's port."""

    def __init__(
        self, reactor: Any, source: Address, peer: Address, decided: Callable[[socket.socket | None], None]
    ) -> None:
        self._reactor = reactor
        self._source = source
        self._peer = peer
        self._decided = decided
        self._sock: socket.socket | None = None
        self._call: Any = None

    def begin(self) -> None:
        """Never calls back before it returns."""
        try:
            self._sock = _socket(self._source)
            error = self._sock.connect_ex(self._peer)
        except OSError as fault:
            error = fault.errno or errno.EINVAL
        if error == errno.EINPROGRESS:
            self._reactor.addWriter(self)
        else:
            self._call = self._reactor.callLater(0, self._finish, error)

    def give_up(self) -> None:
        """Nobody wants it any more."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        sock, self._sock = self._sock, None
        if sock is not None:
            self._reactor.removeWriter(self)
            sock.close()

    def doWrite(self) -> None:
        """The peer has answered."""
        if self._sock is not None:
            self._reactor.removeWriter(self)
            self._finish(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def fileno(self) -> int:
        """Of the socket."""
        return self._sock.fileno() if self._sock is not None else -1

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "turn"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor says that the socket is broken, or ends."""
        if self._sock is not None:
            self._reactor.removeWriter(self)
            self._finish(errno.ECONNRESET)

    def _finish(self, error: int) -> None:
        sock, self._sock = self._sock, None
        try:
            self._decided(sock if not error else None)
        finally:
            if sock is not None:
                sock.close()


def _socket(address: Address, *, shared: bool = True) -> socket.socket:
    """Bound to a relayed transport address, which the listening socket and all connections from it share. Not ``shared``
    it cannot be bound where anybody listens."""
    sock = socket.socket(socket.AF_INET6 if family_of(address[0]) == 2 else socket.AF_INET,
                         socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock
