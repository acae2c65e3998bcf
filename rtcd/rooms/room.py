"""A room and its rules: who is in, who is initiator, what is full, who still has to be told that a peer is gone.

Everything here is a pure function ``(room, now, …) -> Outcome``: it takes a `Room`, returns the next one and the
effects to carry out, and may be run again if another process was quicker. The rules of sockets (register, send,
lost) are in ``rtcd.signaling.switchboard``; both act on this one record, so a seat cannot be free for one half of
the daemon and taken for the other. Keeping rooms is ``memory``'s work.

States of a client: *seated* (joined; its seat is lost at ``deadline`` unless it registers), *registered* (a live
socket, no deadline), seated again after a lost socket (grace), and *departed*: its seat is free, but its socket may
still say ``bye``; whoever it owes one gets ours when it does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

CAPACITY = 2
"""Seats of an AppRTC room."""

BYE = '{"type":"bye"}'
"""The one message that the server itself may send: its clients end the call on a type they do not know."""

LOOPBACK_CLIENTS = ("LOOPBACK_CLIENT_ID", "loopback_client_id")
"""Names under which clients that call themselves register their own other end: iOS's and the web page's."""

MAX_NAME_CHARS = 1024
"""Longer room and client names are refused."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a room may cost, and how long it waits. Seconds, messages and bytes of UTF-8."""

    max_messages: int = 1024
    max_queue_bytes: int = 1048576
    join_timeout_s: float = 45.0
    register_timeout_s: float = 10.0
    grace_s: float = 10.0
    lifetime_s: float = 86400.0


@dataclass(frozen=True, slots=True)
class Client:
    """One participant that holds a seat."""

    id: str
    address: str = ""
    """The host it joined from."""
    registered: bool = False
    """It has a live socket in some process."""
    deadline: float | None = None
    """When its seat is lost; None while it is registered, and for the partner of a loopback room."""
    held: tuple[str, ...] = ()
    """What it posted while alone: handed to the next one who joins."""
    queue: tuple[str, ...] = ()
    """What it sent over signalling to a peer without a socket: delivered when that one registers."""
    told: bool = False
    """It has said bye and every peer was given it."""
    owed_bye: bool = False
    """A peer went while this one had no socket; it gets the bye when it registers."""


@dataclass(frozen=True, slots=True)
class Departed:
    """A client that has left its seat while its socket lives, or while somebody must still be told."""

    id: str
    owed: tuple[str, ...]
    """Peers that have had no bye of it."""
    registered: bool
    deadline: float
    """When the owed byes are sent by us and the socket is closed."""


@dataclass(frozen=True, slots=True)
class Room:
    """Everything that is known about a room. ``Room()`` is one that nobody is in."""

    clients: tuple[Client, ...] = ()
    departed: tuple[Departed, ...] = ()
    loopback: bool = False
    changed_at: float = 0.0

    def client(self, client_id: str) -> Client | None:
        """The seated client of this name."""
        return next((one for one in self.clients if one.id == client_id), None)

    def gone(self, client_id: str) -> Departed | None:
        """The departed client of this name."""
        return next((one for one in self.departed if one.id == client_id), None)

    def others(self, client_id: str) -> tuple[Client, ...]:
        """Every seated client but this one."""
        return tuple(one for one in self.clients if one.id != client_id)

    def queued_bytes(self) -> dict[str, int]:
        """What waits in this room, in bytes of memory by the address of the sender."""
        sums: dict[str, int] = {}
        for one in self.clients:
            if one.held or one.queue:
                sums[one.address] = sums.get(one.address, 0) + sum(map(text_bytes, (*one.held, *one.queue)))
        return sums

    def taken(self) -> tuple[Client, ...]:
        """The clients that hold a seat: an end of a loopback call that came before its caller holds none."""
        return tuple(one for one in self.clients if self.loopback or one.id not in LOOPBACK_CLIENTS)

    @property
    def call(self) -> bool:
        """Whether two are in it, or one with itself."""
        return len(self.clients) >= CAPACITY

    @property
    def empty(self) -> bool:
        """Nothing is left to remember."""
        return not self.clients and not self.departed


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
class Close:
    """Effect: close the socket of ``client``, if it has one."""

    client: str


Effect: TypeAlias = Attach | Deliver | Close


@dataclass(frozen=True, slots=True)
class Came:
    """News: ``client`` has taken a seat, or registered, from ``address``."""

    client: str
    address: str


@dataclass(frozen=True, slots=True)
class Said:
    """News: a seated client gave ``text`` for the others: passed on, kept for the next one to join, or queued."""

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


class Watcher(Protocol):
    """Is told by a store what happens in every room."""

    def happened(self, room: str, news: News) -> None:
        """Something happened; see `rtcd.interfaces.IRoomStore.watch`."""


class Socket(Protocol):
    """The end of a signalling connection that a store hands effects to."""

    def deliver(self, text: str) -> None:
        """Send a peer's message."""

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
    """One more room, or one more seat for this address, is beyond the limit that the text names."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The answer to a join: ``SUCCESS``, ``FULL`` or ``DUPLICATE_CLIENT``."""

    result: str
    is_initiator: bool = False
    messages: tuple[str, ...] = ()


def join(
    room: Room, now: float, limits: Limits, client_id: str, address: str = "", *, loopback: bool = False
) -> Outcome[Joined]:
    """Seat a client. The first is initiator; the second is given what the first has posted so far."""
    if room.client(client_id) or room.gone(client_id):
        return Outcome(room, Joined("DUPLICATE_CLIENT"))
    taken = room.taken()
    if len(taken) >= CAPACITY:
        return Outcome(room, Joined("FULL"))
    seated = Client(client_id, address, deadline=now + limits.join_timeout_s)
    early = tuple(one for one in room.clients if one not in taken)
    effects: tuple[Effect, ...] = ()
    if not taken and loopback:
        partner = replace(early[0], deadline=None) if early else Client(LOOPBACK_CLIENTS[0])
        room = replace(room, clients=(seated, partner), loopback=True)
        return replace(_changed(room, now, Joined("SUCCESS", True)), events=(Came(client_id, address),))
    if early:
        effects = tuple(Close(one.id) for one in early)
        room = replace(room, clients=taken)
    room, told = _settle(room, lambda one: not one.registered)
    messages = tuple(text for one in room.clients for text in one.held)
    clients = (*(replace(one, held=(), told=False) for one in room.clients), seated)
    joined = Joined("SUCCESS", not taken, messages)
    outcome = _changed(replace(room, clients=clients), now, joined, effects + told)
    return replace(outcome, events=(Came(client_id, address),))


def message(room: Room, now: float, limits: Limits, client_id: str, text: str) -> Outcome[str]:
    """Take a message by HTTP: kept for the next one to join while its sender is alone, else passed on.

    One who has said bye is on its way out and counts as gone: a page answers the bye with the offer for the next one,
    and Android's bye comes before its /leave.
    The result is ``SUCCESS``, ``UNKNOWN_ROOM``, ``UNKNOWN_CLIENT`` or ``ERROR`` (the queue is full).
    """
    if not room.clients:
        return Outcome(room, "UNKNOWN_ROOM")
    sender = room.client(client_id)
    if sender is None:
        return Outcome(room, "UNKNOWN_CLIENT")
    if any(not one.told for one in room.others(client_id)):
        outcome = hand_over(room, now, limits, sender, text)
        return Outcome(outcome.room, "SUCCESS" if outcome.result else "ERROR", outcome.effects, outcome.events)
    if not _fits(sender.held, text, limits):
        return Outcome(room, "ERROR")
    kept = _changed(_replaced(room, replace(sender, held=(*sender.held, text))), now, "SUCCESS")
    return replace(kept, events=(Said(client_id, text),))


def leave(room: Room, now: float, limits: Limits, client_id: str) -> Outcome[None]:
    """Free the seat at once. The socket may still say its bye; until the grace time is over we add none."""
    client = room.client(client_id)
    if client is None or client_id in LOOPBACK_CLIENTS:
        return Outcome(room, None)
    room, effects = remove(room, client)
    owed = () if client.told else tuple(one.id for one in room.clients)
    if client.registered or owed:
        gone = Departed(client_id, owed, client.registered, now + limits.grace_s)
        room = replace(room, departed=(*room.departed, gone))
    return _changed(room, now, None, effects)


def expire(room: Room, now: float, limits: Limits) -> Outcome[None]:
    """Free the seats, and send the byes, whose time has come; end a room that nothing happened in for its lifetime."""
    if now >= room.changed_at + limits.lifetime_s:
        return close(room, now)
    effects: tuple[Effect, ...] = ()
    before = room
    for client in room.clients:
        if client.deadline is not None and now >= client.deadline and room.client(client.id):
            room, more = forget(room, client)
            effects += more + ((Close(client.id),) if client.registered else ())
    room, told = _settle(room, lambda one: now >= one.deadline)
    if room == before:
        return Outcome(before, None)
    return _changed(room, now, None, effects + told)


def news(before: Room, outcome: Outcome[T]) -> tuple[News, ...]:
    """What watchers of a store are told of a change, in this order."""
    if outcome.room.clients is before.clients:
        return outcome.events
    seated = {one.id for one in outcome.room.clients}
    return (*outcome.events, *(Gone(one.id) for one in before.clients if one.id not in seated))


def is_seated(room: Room, now: float, client_id: str) -> Outcome[bool]:
    """Whether a client of this name holds a seat. Names that everybody knows are nobody's proof, and not counted."""
    return Outcome(room, client_id not in LOOPBACK_CLIENTS and room.client(client_id) is not None)


def close(room: Room, now: float) -> Outcome[None]:
    """End the room: a bye to each client with a socket, then its socket is closed."""
    effects: list[Effect] = []
    for client in room.clients:
        if client.registered:
            effects += [Deliver(client.id, BYE), Close(client.id)]
    effects += [Close(one.id) for one in room.departed if one.registered]
    return _changed(Room(), now, None, tuple(effects))


def next_deadline(room: Room, limits: Limits) -> float | None:
    """When `expire` has something to do, or None for an empty room."""
    if room.empty:
        return None
    times = [one.deadline for one in room.clients if one.deadline is not None]
    times += [one.deadline for one in room.departed]
    return min([*times, room.changed_at + limits.lifetime_s])


def hand_over(room: Room, now: float, limits: Limits, sender: Client, text: str) -> Outcome[bool]:
    """Pass a message to every other client, or queue it on its sender while one of them has no socket.

    The result is False when the queue is full; the message is then lost to those without a socket.
    """
    others = room.others(sender.id)
    waiting = not others or any(not one.registered for one in others)
    told = is_bye(text) and not waiting
    effects = tuple(Deliver(one.id, text) for one in others if one.registered)
    after = sender if sender.told == told else replace(sender, told=told)
    if waiting:
        if not _fits(sender.queue, text, limits):
            return Outcome(room, False)
        after = replace(after, queue=(*sender.queue, text))
    said = (Said(sender.id, text),)
    if after is sender:
        return Outcome(room, True, effects, said)
    return replace(_changed(_replaced(room, after), now, True, effects), events=said)


def remove(room: Room, client: Client) -> tuple[Room, tuple[Effect, ...]]:
    """Take a client out of its seat, a loopback partner with it; what was queued for it is stale and goes too."""
    rest = tuple(replace(one, queue=()) if one.queue else one for one in room.others(client.id))
    if room.loopback and client.id not in LOOPBACK_CLIENTS:
        return replace(room, clients=(), loopback=False), tuple(Close(one.id) for one in rest if one.registered)
    return replace(room, clients=rest), ()


def forget(room: Room, client: Client) -> tuple[Room, tuple[Effect, ...]]:
    """Take a client out and tell the others at once, unless it has told them itself."""
    room, effects = remove(room, client)
    if client.told:
        return room, effects
    room, told = tell(room, tuple(one.id for one in room.clients))
    return room, effects + told


def tell(room: Room, peers: tuple[str, ...]) -> tuple[Room, tuple[Effect, ...]]:
    """Send our bye to these clients; one without a socket is owed it."""
    effects = tuple(Deliver(one.id, BYE) for one in room.clients if one.id in peers and one.registered)
    clients = tuple(
        replace(one, owed_bye=True) if one.id in peers and not one.registered else one for one in room.clients
    )
    return replace(room, clients=clients), effects


def is_bye(text: str) -> bool:
    """Whether a peer message is a bye, however its sender formats it."""
    if len(text) > 256 or "bye" not in text:
        return False
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict) and parsed.get("type") == "bye"


def _settle(room: Room, due: Callable[[Departed], bool]) -> tuple[Room, tuple[Effect, ...]]:
    effects: tuple[Effect, ...] = ()
    for one in room.departed:
        if due(one):
            room, told = tell(room, one.owed)
            effects += told + ((Close(one.id),) if one.registered else ())
    return replace(room, departed=tuple(one for one in room.departed if not due(one))), effects


def _fits(queue: tuple[str, ...], text: str, limits: Limits) -> bool:
    size = sum(map(text_bytes, queue)) + text_bytes(text)
    return len(queue) < limits.max_messages and size <= limits.max_queue_bytes


def text_bytes(text: str) -> int:
    """What a text takes in memory at most: one wide character makes every one of them four bytes wide."""
    return len(text) if text.isascii() else 4 * len(text)


def _replaced(room: Room, client: Client) -> Room:
    return replace(room, clients=tuple(client if one.id == client.id else one for one in room.clients))


def _changed(room: Room, now: float, result: T, effects: tuple[Effect, ...] = ()) -> Outcome[T]:
    return Outcome(replace(room, changed_at=now), result, effects)
