"""What a change of a room comes to: the next room, an answer, effects for sockets and news for watchers.

A change is a pure function ``(room, now) -> Outcome`` and may be run again if another process was quicker. Whoever
keeps rooms (``memory``) carries it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from rtcd.rooms.records import Room

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Attach:
    """Effect: from now on effects for ``client`` go to the socket that the update was called with."""

    client: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """Effect: give ``text``, a peer's message, to the socket of ``client``."""

    client: str
    text: str


@dataclass(frozen=True, slots=True)
class Inform:
    """Effect: give ``text``, an event of `rtcd.rooms.snapshot`, to the socket of ``client``, which is a page."""

    client: str
    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """Effect: close the socket of ``client``, if it has one."""

    client: str


Effect: TypeAlias = Attach | Deliver | Inform | Close


@dataclass(frozen=True, slots=True)
class Came:
    """News: ``client`` has taken a seat, or registered, from ``address``."""

    client: str
    address: str


@dataclass(frozen=True, slots=True)
class Said:
    """News: a seated client gave ``text`` for the others, or one of them: passed on, kept for the next one to join, or
    queued."""

    client: str
    text: str


@dataclass(frozen=True, slots=True)
class Gone:
    """News: ``client`` holds no seat any more, whatever ended it. One within its grace time still has its seat."""

    client: str


News: TypeAlias = Came | Said | Gone


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T_co]):
    """What a change makes of a room: the next room, an answer for the caller, and effects in their order."""

    room: Room
    result: T_co
    effects: tuple[Effect, ...] = ()
    events: tuple[Came | Said, ...] = ()
    """What is news besides that seats were lost, which `news` finds out by itself."""


Change: TypeAlias = Callable[[Room, float], Outcome[T]]


def news(before: Room, outcome: Outcome[T]) -> tuple[News, ...]:
    """What watchers of a store are told of a change, in this order."""
    if outcome.room.clients is before.clients:
        return outcome.events
    seated = {one.id for one in outcome.room.clients}
    return (*outcome.events, *(Gone(one.id) for one in before.clients if one.id not in seated))


class Watcher(Protocol):
    """Is told by a store what happens in every room."""

    def happened(self, room: str, news: News) -> None:
        """Something happened; see `rtcd.interfaces.IRoomStore.watch`."""


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


class StoreFull(Exception):
    """One more room, one more seat for this address, or more waiting text is beyond the limit that the text names."""
