"""Connections between TCP relays and peers: which there are, whom they belong to, and how long each may still wait.

A connection is *connecting* (the client asked for it), then *waiting* for its ConnectionBind, then *bound*. What the
requests are is rtcd.turn.connect; moving the bytes is the plane's. Source: RFC 6062 §4, §5.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from rtcd.allocations.allocation import Allocation
from rtcd.auth.authenticator import Grant
from rtcd.stun.attributes import Address
from rtcd.stun.message import Message

WAIT_S = 30.0
"""How long a peer may take to answer, and then a client to bind (RFC 6062 §5.2, §5.3)."""
MAX_CONNECTIONS = 100
"""Of one allocation; one more is answered with 508, or closed."""
MAX_ALL_CONNECTIONS = 10000
"""Of all."""
ID_BYTES = 4


class State(Enum):
    """How far a connection is."""

    CONNECTING = 1
    WAITING = 2
    BOUND = 3


class Asked(NamedTuple):
    """The Connect request that has no answer yet."""

    message: Message
    grant: Grant


class Connection:
    """One of them."""

    __slots__ = ("allocation", "asked", "expires_at", "id", "peer", "state")

    def __init__(self, number: int, allocation: Allocation, peer: Address, state: State, expires_at: float) -> None:
        self.id = number
        """Its CONNECTION-ID."""
        self.allocation = allocation
        self.peer = peer
        self.state = state
        self.expires_at = expires_at
        """When the waiting is over; of no meaning once it is bound."""
        self.asked: Asked | None = None


class Connections:
    """All of them by number, by peer, and in the order in which they give up."""

    def __init__(self) -> None:
        self._all: dict[int, Connection] = {}
        self._peers: dict[Allocation, dict[Address, Connection]] = {}
        self._unbound: OrderedDict[int, Connection] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def get(self, number: int) -> Connection | None:
        """The one of this number."""
        return self._all.get(number)

    def to(self, allocation: Allocation, peer: Address) -> Connection | None:
        """The one to this peer; there is never a second."""
        return self._peers.get(allocation, {}).get(peer)

    def of(self, allocation: Allocation) -> list[Connection]:
        """Those of an allocation."""
        return list(self._peers.get(allocation, {}).values())

    def full(self, allocation: Allocation) -> bool:
        """Whether there may not be one more."""
        return len(self._all) >= MAX_ALL_CONNECTIONS or len(self._peers.get(allocation, ())) >= MAX_CONNECTIONS

    def add(
        self, allocation: Allocation, peer: Address, state: State, now: float, token: Callable[[int], bytes]
    ) -> Connection:
        """A new one under a number that cannot be guessed: ``token(n)``: so many random bytes."""
        number = 0
        while not number or number in self._all:
            number = int.from_bytes(token(ID_BYTES), "big")
        found = Connection(number, allocation, peer, state, now + WAIT_S)
        self._all[number] = self._unbound[number] = found
        self._peers.setdefault(allocation, {})[peer] = found
        return found

    def waits(self, connection: Connection, now: float) -> None:
        """The peer has answered; the client may now bind it."""
        connection.state, connection.expires_at, connection.asked = State.WAITING, now + WAIT_S, None
        self._unbound.move_to_end(connection.id)

    def bound(self, connection: Connection) -> None:
        """It is, for as long as both sides keep it."""
        connection.state = State.BOUND
        self._unbound.pop(connection.id, None)

    def remove(self, connection: Connection) -> None:
        """It is gone; harmless when repeated."""
        if self._all.get(connection.id) is not connection:
            return
        del self._all[connection.id]
        self._unbound.pop(connection.id, None)
        peers = self._peers[connection.allocation]
        del peers[connection.peer]
        if not peers:
            del self._peers[connection.allocation]

    def next_deadline(self) -> float | None:
        """When the first one has waited long enough, or None."""
        return next(iter(self._unbound.values())).expires_at if self._unbound else None

    def ended(self, now: float) -> list[Connection]:
        """Those that have waited long enough; they stay until `remove`. After a step of the clock backwards they are those
        that would otherwise wait longer than ever intended."""
        found = []
        for one in self._unbound.values():
            if 0 < one.expires_at - now <= WAIT_S:
                break
            found.append(one)
        return found
