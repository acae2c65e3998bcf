"""TCP relays: Connect, ConnectionAttempt and ConnectionBind, one function a step.

A Connect is answered when its peer has answered: its last step says `LATER`, and the plane calls `connected` or
`failed`. Sources: RFC 6062 §5.2 to §5.4; that Connect needs no permission is §4.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.auth.authenticator import Grant
from rtcd.peers.bound import may_send_to
from rtcd.stun.attributes import CONNECTION_ID, XOR_PEER_ADDRESS, Address, Family, family_of
from rtcd.stun.integrity import add_fingerprint
from rtcd.stun.message import Class, Message, Method, encode
from rtcd.turn.data_connections import Asked, Connection, State
from rtcd.turn.request import LATER, Error, Request

if TYPE_CHECKING:
    from rtcd.turn.server import TurnServer


class TcpPlane(Protocol):
    """Moves the bytes of TCP relays. A number is a CONNECTION-ID."""

    def open(self, allocation: Allocation, host: str) -> Address:
        """Listen for peers. Raises OSError."""

    def connect(self, number: int, allocation: Allocation, peer: Address) -> None:
        """Connect from the relayed transport address; `connected` or `failed` is called, later."""

    def bind(self, number: int, five_tuple: FiveTuple) -> bool:
        """Join peer and client connection behind the answer that follows; False if one of them is gone."""

    def drop(self, number: int) -> None:
        """Close the connection to the peer, and the client's if it is bound."""

    def move(self, allocation: Allocation, five_tuple: FiveTuple) -> None:
        """The control connection is another one from now on; the data connections stay."""

    def traffic(self, allocation: Allocation) -> Traffic:
        """The totals so far of the open relays."""

    def close(self, allocation: Allocation, family: Family | None = None) -> Traffic:
        """Close the relays, or that of one family, and every connection of them."""


class BindRequest:
    """An authenticated ConnectionBind on its way through the steps."""

    __slots__ = ("attributes", "connection", "controls", "five_tuple", "grant", "message", "now")

    def __init__(self, message: Message, five_tuple: FiveTuple, now: float, grant: Grant, controls: bool) -> None:
        self.message = message
        self.five_tuple = five_tuple
        self.now = now
        self.grant = grant
        self.controls = controls
        """Whether the five-tuple has an allocation, so cannot become a data connection."""
        self.connection: Connection | None = None
        self.attributes: list[bytes] = []


# Steps of Connect (RFC 6062 §5.2).

def peer_is_named(server: TurnServer, request: Request) -> Error | None:
    """400 unless there is a peer with a port."""
    peer = request.message.get(XOR_PEER_ADDRESS)
    if peer is None or not peer[1]:
        return Error(400)
    request.named = [peer]
    request.peers = [(server.addresses.reached(peer[0]), peer[1])]
    return None


def peer_is_not_connected(server: TurnServer, request: Request) -> Error | None:
    """446 for a second connection to one peer, made or in the making."""
    return Error(446) if server.connections.to(request.allocation, request.peers[0]) is not None else None


def connections_are_left(server: TurnServer, request: Request) -> Error | None:
    """508 if there would be too many."""
    return Error(508, reason="connections") if server.connections.full(request.allocation) else None


def connection_begins(server: TurnServer, request: Request) -> Error | None:
    """The answer comes with the peer's."""
    assert server.tcp is not None  # else there were no such allocation
    allocation, peer = request.allocation, request.peers[0]
    connection = server.connections.add(allocation, peer, State.CONNECTING, request.now, server.token)
    connection.asked = Asked(request.message, request.grant)
    server.tcp.connect(connection.id, allocation, peer)
    return LATER


def connected(server: TurnServer, number: int, now: float) -> None:
    """The peer took the connection: the client is told its number."""
    connection = server.connections.get(number)
    if connection is None or connection.asked is None:
        return
    asked = connection.asked
    server.connections.waits(connection, now)
    server.answer_later(connection.allocation, asked.message, asked.grant, None, [CONNECTION_ID.encode(number)])


def failed(server: TurnServer, number: int) -> None:
    """The peer refused, or took too long: 447."""
    connection = server.connections.get(number)
    if connection is None or connection.asked is None:
        return
    asked = connection.asked
    server.connections.remove(connection)
    server.answer_later(connection.allocation, asked.message, asked.grant, Error(447), [])


def attempted(server: TurnServer, allocation: Allocation, peer: Address, now: float) -> int | None:
    """A peer has connected to the relay: the number under which the client is told, or None if it is to be closed at once
    (RFC 6062 §5.3)."""
    host, port = peer
    if now >= allocation.expires_at or not allocation.permitted(host, now):
        server.observer.dropped("no permission")
        return None
    shown = server.addresses.shown(peer)
    if server.policy.refusal(peer, own_external=shown != peer) or port not in server.policy.ports(host):
        server.observer.dropped("denied peer")
        return None
    if not may_send_to(server, allocation, shown, peer):
        server.observer.dropped("unsignalled peer")
        return None
    if server.connections.to(allocation, peer) is not None or server.connections.full(allocation):
        server.observer.dropped("too many connections")
        return None
    connection = server.connections.add(allocation, peer, State.WAITING, now, server.token)
    transaction_id = server.token(12)
    indication = encode(Method.CONNECTION_ATTEMPT, Class.INDICATION, transaction_id, [
        CONNECTION_ID.encode(connection.id), XOR_PEER_ADDRESS.encode(shown, transaction_id)])
    server.plane.respond(add_fingerprint(indication) if server.rules.fingerprint else indication, allocation.five_tuple)
    return connection.id


def lost(server: TurnServer, number: int) -> None:
    """The peer, or the client's data connection, has closed it."""
    connection = server.connections.get(number)
    if connection is None:
        return
    if connection.asked is not None:
        failed(server, number)
    else:
        server.connections.remove(connection)


def expire(server: TurnServer, now: float) -> None:
    """Give up what has waited long enough."""
    for connection in server.connections.ended(now):
        failed(server, connection.id)
        server.connections.remove(connection)
        if server.tcp is not None:
            server.tcp.drop(connection.id)


def forget(server: TurnServer, allocation: Allocation, family: Family | None = None) -> None:
    """The relays of an allocation, or that of one family, are closed, and every connection with them."""
    for connection in server.connections.of(allocation):
        if family in (None, family_of(connection.peer[0])):
            failed(server, connection.id)
            server.connections.remove(connection)


# Steps of ConnectionBind (RFC 6062 §5.4).

def it_is_a_new_stream(server: TurnServer, request: BindRequest) -> Error | None:
    """400 on a control connection, and where there is no stream that could carry bytes."""
    stream = request.five_tuple.transport in ("tcp", "tls")
    return None if stream and not request.controls and server.tcp is not None else Error(400)


def connection_waits(server: TurnServer, request: BindRequest) -> Error | None:
    """400 for a number that is unknown or used; 441 for one of another user, which goes on waiting."""
    number = request.message.get(CONNECTION_ID)
    connection = server.connections.get(number) if number is not None else None
    if connection is None or connection.state is not State.WAITING or request.now >= connection.expires_at:
        return Error(400)
    if connection.allocation.username != request.grant.username:
        return Error(441)
    request.connection = connection
    return None


def both_ends_are_joined(server: TurnServer, request: BindRequest) -> Error | None:
    """From the byte behind the answer on it is a pipe."""
    connection = request.connection
    assert connection is not None and server.tcp is not None  # the steps before saw to it
    if not server.tcp.bind(connection.id, request.five_tuple):
        return Error(400)
    server.connections.bound(connection)
    return None


BIND_STEPS: tuple[Callable[[TurnServer, BindRequest], Error | None], ...] = (
    it_is_a_new_stream, connection_waits, both_ends_are_joined)
