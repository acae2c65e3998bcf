"""What a change of a room comes to: the next room, an answer, effects for sockets and news for watchers.

A change is a pure function ``(room, now) -> Outcome`` and may be run again if another process was quicker. Whoever
keeps rooms (``memory``) carries it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from rtcd.rooms.records import Room, Why

Ending: TypeAlias = Why | Literal["closed", ""]
"""How a seat was lost; ``closed`` with its room. Empty if nobody has said."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Attach(Struct, frozen=True):
    """Effect: from now on effects for ``client`` go to the socket that the update was called with."""

    client: str


class Deliver(Struct, frozen=True):
    """Effect: give ``text``, a peer's message, to the socket of ``client``."""

    client: str
    text: str


class Inform(Struct, frozen=True):
    """Effect: give ``text``, an event of `rtcd.rooms.snapshot`, to the socket of ``client``, which is a page."""

    client: str
    text: str


class Close(Struct, frozen=True):
    """Effect: close the socket of ``client``, if it has one."""

    client: str


Effect: TypeAlias = Attach | Deliver | Inform | Close


class Came(Struct, frozen=True, eq=False):
    """News: ``client`` has taken a seat, or registered, from ``address``. What else is told tells no two apart."""

    client: str
    address: str
    page: str = ""
    """The tag of a page of ours; empty for an app."""
    registered: bool = False
    """It has a socket now."""
    seated: bool = False
    """It had its seat before, by joining."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Came) and (self.client, self.address) == (other.client, other.address)

    def __hash__(self) -> int:
        return hash((Came, self.client, self.address))


class Said(Struct, frozen=True):
    """News: a seated client gave ``text`` for the others, or one of them: passed on, kept for the next one to join, or
    queued."""

    client: str
    text: str


class Gone(Struct, frozen=True, eq=False):
    """News: ``client`` holds no seat any more, whatever ended it. One within its grace time still has its seat."""

    client: str
    why: Ending = ""
    """Tells no two apart."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Gone) and self.client == other.client

    def __hash__(self) -> int:
        return hash((Gone, self.client))


class TurnedAway(Struct, frozen=True):
    """News: somebody at ``address`` wanted a seat and got none."""

    address: str
    page: bool
    why: str
    """``full``, ``locked``, ``password``, or ``app``: a phone app has the room's other seat."""


News: TypeAlias = Came | Said | Gone | TurnedAway


class Outcome(Struct, Generic[T_co], frozen=True):
    """What a change makes of a room: the next room, an answer for the caller, and effects in their order."""

    room: Room
    result: T_co
    effects: tuple[Effect, ...] = ()
    events: tuple[Came | Said | TurnedAway, ...] = ()
    """What is news besides that seats were lost, which `news` finds out by itself."""
    why: Ending = ""
    """How the seats were lost that were."""


Change: TypeAlias = Callable[[Room, float], Outcome[T]]


def news(before: Room, outcome: Outcome[T]) -> tuple[News, ...]:
    """What watchers of a store are told of a change, in this order."""
    if outcome.room.clients is before.clients or not before.clients:
        return outcome.events
    seated = {one.id for one in outcome.room.clients}
    return (*outcome.events, *(Gone(one.id, outcome.why) for one in before.clients if one.id not in seated))


class Watcher(Protocol):
    """Is told by a store what happens in every room."""

    def happened(self, room: str, news: Came | Gone | TurnedAway, *, here: bool = True) -> None:
        """Something happened; see `rtcd.interfaces.IRoomStore.watch`. ``here``: by this daemon, not another one that shares
        the rooms."""


class Listener(Watcher, Protocol):
    """A watcher that is told what is said as well."""

    def said(self, room: str, client: str, text: str, here: bool = True) -> None:
        """The news `Said`, in its place among the others."""


class Socket(Protocol):
    """The end of a signalling connection that a store hands effects to."""

    def deliver(self, text: str) -> None:
        """Send a peer's message."""

    def inform(self, text: str) -> None:
        """Send an event of the room; only the socket of a page is given one."""

    def close(self) -> None:
        """Close the connection, after what was delivered."""


@dataclass(frozen=True, slots=True)
class Census:
    """How full a store is."""

    rooms: int
    seats: int
    """Seats held by clients of the address that was asked for."""


class StoreUnavailable(Exception):
    """The store cannot be reached; try again later."""


class StoreAway(StoreUnavailable):
    """It is known to be out of reach, or does nothing now: nothing was done, so asking again does nothing twice."""


FULL_ROOMS = "there are {limit} rooms already"
FULL_SEATS = "the clients of one address may hold {limit} seats"
FULL_QUEUES = "too many messages are waiting for clients that are not there"
ENDING = "the daemon is ending; try again later"
DRAINING = "this server is about to end and opens no more rooms; try again later"
"""What people are told. The call page comes again by itself if it is told ``later``."""


class StoreFull(Exception):
    """One more room, one more seat for this address, or more waiting text is beyond the limit that the text names."""
