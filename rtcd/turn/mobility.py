"""Mobility (RFC 8016): the tickets of allocations whose clients may move, and the moves that are under way.

A client that has got another address brings its ticket from there. Its allocation is then *arriving* at the new five-tuple:
peers' data goes to the old one until something comes from the new one, or until `PENDING_S` is over; then the old one is
dropped. There is at most one move of an allocation; a later one takes its place.
"""

from __future__ import annotations

import base64
import itertools
from typing import TYPE_CHECKING

from rtcd.allocations.allocation import Allocation, FiveTuple
from rtcd.stun.attributes import MOBILITY_TICKET
from rtcd.stun.message import Message, Method

if TYPE_CHECKING:
    from rtcd.turn.server import TurnServer

TICKET_BYTES = 18
"""Random ones, of which 16 would do. Looked up in a table, so that no time tells how much of a guess is right; and it is
worth nothing to whoever is not the owner."""
PENDING_S = 30.0
"""How long the old five-tuple is kept at most."""
MAX_MOVES = 1000
"""Moves under way at once; one more is answered with 508."""


class Mobility:
    """Tickets, one an allocation, and moves. An allocation that ends has to be forgotten here."""

    def __init__(self) -> None:
        self._tickets: dict[bytes, Allocation] = {}
        self._arriving: dict[FiveTuple, Allocation] = {}
        self._moves: dict[Allocation, tuple[FiveTuple, float]] = {}
        self._deadline: float | None = None
        self._nowhere = itertools.count(1)

    @property
    def full(self) -> bool:
        """Whether not one more may move."""
        return len(self._moves) >= MAX_MOVES

    def issue(self, allocation: Allocation, random: bytes) -> bytes:
        """Its ticket from now on, and no other one: of `TICKET_BYTES` that nobody can guess, as text, since coturn's client
        cuts a ticket at a zero byte."""
        ticket = base64.urlsafe_b64encode(random)
        self._tickets.pop(allocation.ticket, None)
        allocation.ticket = ticket
        self._tickets[ticket] = allocation
        return ticket

    def find(self, ticket: bytes) -> Allocation | None:
        """Whose ticket it is."""
        return self._tickets.get(ticket)

    def start(self, allocation: Allocation, five_tuple: FiveTuple, now: float) -> None:
        """Its client wants to be there, where nobody is."""
        self.stop(allocation)
        self._arriving[five_tuple] = allocation
        self._moves[allocation] = five_tuple, now + PENDING_S
        self._find_deadline()

    def stop(self, allocation: Allocation) -> FiveTuple | None:
        """The move is over, one way or the other: where it went to, or None if there was none."""
        move = self._moves.pop(allocation, None)
        if move is None:
            return None
        del self._arriving[move[0]]
        self._find_deadline()
        return move[0]

    def arriving(self, five_tuple: FiveTuple) -> Allocation | None:
        """Which one is about to be there."""
        return self._arriving.get(five_tuple)

    def nowhere(self, five_tuple: FiveTuple) -> FiveTuple:
        """A five-tuple from which nothing can come, of a client that was at this one."""
        return five_tuple._replace(server=("", next(self._nowhere)))

    def forget(self, allocation: Allocation) -> None:
        """It has ended."""
        if allocation.ticket:
            del self._tickets[allocation.ticket]
            allocation.ticket = b""
            self.stop(allocation)

    def next_deadline(self) -> float | None:
        """When the first move has to be completed, or None."""
        return self._deadline

    def due(self, now: float) -> list[Allocation]:
        """Those whose move has to be completed."""
        return [allocation for allocation, (_, deadline) in self._moves.items() if now >= deadline]

    def _find_deadline(self) -> None:
        """Here, since moves are rare and every packet asks for the deadline."""
        self._deadline = min((deadline for _, deadline in self._moves.values()), default=None)


def claimed(server: TurnServer, message: Message, five_tuple: FiveTuple, now: float) -> Allocation | None:
    """Whose client may have sent this request from a five-tuple without an allocation: that of the one which is arriving
    here, or with a Refresh that of the ticket's. Nothing is known yet of who it is from."""
    allocation = server.mobility.arriving(five_tuple)
    if allocation is None and server.rules.mobility and message.method is Method.REFRESH:
        allocation = server.mobility.find(message.get(MOBILITY_TICKET) or b"")
    return None if allocation is None else server.find(allocation.five_tuple, now)


def arrived(server: TurnServer, five_tuple: FiveTuple, now: float) -> Allocation | None:
    """Something came from here: the allocation that was to arrive has done so."""
    allocation = server.mobility.arriving(five_tuple)
    if allocation is None or server.find(allocation.five_tuple, now) is None or not complete(server, allocation):
        return None
    return allocation


def complete(server: TurnServer, allocation: Allocation) -> bool:
    """The client is at its new five-tuple, and the old one is dropped. False if it is not there any more either; then all
    is as before the move, and its ticket is good."""
    five_tuple, old = server.mobility.stop(allocation), allocation.five_tuple
    if five_tuple is None:
        return False
    try:
        server.relays(allocation).move(allocation, five_tuple)
    except OSError:
        return False
    server.allocations.move(allocation, five_tuple)
    server.observer.allocation_moved(allocation, old)
    return True


def connection_lost(server: TurnServer, five_tuple: FiveTuple) -> None:
    """The client's TCP, TLS or DTLS connection is gone, and with it its allocation (RFC 8656 §5), unless that has a ticket:
    then it stays for as long as it was to last anyway, so that the client can come back from elsewhere, or from the very
    same place; but nobody is at its five-tuple meanwhile, for the next connection from there may be a stranger's."""
    arriving = server.mobility.arriving(five_tuple)
    if arriving is not None:
        server.mobility.stop(arriving)
    allocation = server.allocations.get(five_tuple)
    if allocation is None or complete(server, allocation):
        return
    if allocation.ticket:
        server.allocations.move(allocation, server.mobility.nowhere(five_tuple))
    else:
        server.end(allocation, "connection closed")
