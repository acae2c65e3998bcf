"""AppRTC's rules of a room: who is in, who is initiator, what is full, who still has to be told that a peer is gone.

Everything here is a pure function ``(room, now, …) -> Outcome``. The rules of sockets (register, send, lost) are in
``rtcd.signaling.switchboard``, those for pages of ours in ``mesh``; all act on one record, so a seat cannot be free
for one half of the daemon and taken for the other. Keeping rooms is ``memory``'s work.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from rtcd.rooms.outcome import Came, Close, Deliver, Effect, Outcome, Said, TurnedAway
from rtcd.rooms.records import BYE, CAPACITY, LOOPBACK_CLIENTS, Client, Departed, Limits, Room, text_bytes
from rtcd.rooms.seats import forget, owed_byes, remove, replaced, settle, take

T = TypeVar("T")


class Joined(Struct, frozen=True):
    """The answer to a join: ``SUCCESS``, ``FULL`` or ``DUPLICATE_CLIENT``; for a page ``LOCKED`` and ``PASSWORD`` too."""

    result: str
    is_initiator: bool = False
    messages: tuple[str, ...] = ()
    reason: str = ""
    """Why a page was refused, see `rtcd.rooms.mesh.join`."""
    snapshot: dict[str, Any] | None = None
    """The room, for a page."""
    capacity: int = 0
    """Of a room that is full and has one of its own."""
    relay_only: bool = False
    """Media are to go by relays alone."""


def join(
    room: Room, now: float, limits: Limits, client_id: str, address: str = "", *, loopback: bool = False,
    invited: bool = False,
) -> Outcome[Joined]:
    """Seat an app. The first is initiator; the second is given what the first has posted so far.

    A room that is locked, has a password or is for those who are ``invited`` is full for it, as one with two pages is.
    """
    if room.client(client_id) or room.gone(client_id):
        return Outcome(room, Joined("DUPLICATE_CLIENT"))
    taken = room.taken()
    if len(taken) >= CAPACITY or (room.locked if invited else room.barred):
        why = "full" if len(taken) >= CAPACITY else "locked"
        return Outcome(room, Joined("FULL"), events=(TurnedAway(address, False, why),))
    seated = Client(client_id, address, deadline=now + limits.join_timeout_s)
    if not taken and loopback:
        early = room.clients
        partner = replace(early[0], deadline=None) if early else Client(LOOPBACK_CLIENTS[0])
        room = replace(room, clients=(seated, partner), loopback=True)
        joined = Joined("SUCCESS", True, relay_only=room.terms.relay_only)
        return replace(changed(room, now, joined), events=(Came(client_id, address),))
    room, messages, effects = make_way(room)
    joined = Joined("SUCCESS", not taken, messages, relay_only=room.terms.relay_only)
    return Outcome(replace(take(room, seated), changed_at=now), joined, effects, (Came(client_id, address),))


def make_way(room: Room) -> tuple[Room, tuple[str, ...], tuple[Effect, ...]]:
    """Before somebody takes a seat: an early end of a loopback call is closed, byes are said that nobody else will say,
    and what the one present has posted so far is taken out for the newcomer."""
    taken = room.taken()
    effects: tuple[Effect, ...] = ()
    if len(taken) < len(room.clients):
        effects = tuple(Close(one.id) for one in room.clients if one not in taken)
        room = replace(room, clients=taken)
    if room.departed:
        room, told = settle(room, lambda one: not one.registered)
        effects += told
    if not room.clients or not any(one.held or one.told for one in room.clients):
        return room, (), effects
    messages = tuple(text for one in room.clients for text in one.held)
    clients = tuple(replace(one, held=(), told=False) for one in room.clients)
    return replace(room, clients=clients), messages, effects


def message(room: Room, now: float, limits: Limits, client_id: str, text: str) -> Outcome[str]:
    """Take a message by HTTP: kept for the next one to join while its sender is alone, else passed on.

    One who has said bye is on its way out and counts as gone: a page answers the bye with the offer for the next one,
    and Android's bye comes before its /leave. What a page says reaches apps alone, and is not kept: it offers when
    somebody is there.
    The result is ``SUCCESS``, ``UNKNOWN_ROOM``, ``UNKNOWN_CLIENT`` or ``ERROR`` (the queue is full).
    """
    if not room.clients:
        return Outcome(room, "UNKNOWN_ROOM")
    sender = room.client(client_id)
    if sender is None:
        return Outcome(room, "UNKNOWN_CLIENT")
    if any(not one.told for one in _listeners(room, sender)):
        outcome = hand_over(room, now, limits, sender, text)
        return Outcome(outcome.room, "SUCCESS" if outcome.result else "ERROR", outcome.effects, outcome.events)
    if sender.page is not None:
        return Outcome(room, "SUCCESS")
    if not fits(sender.held, text, limits):
        return Outcome(room, "ERROR")
    kept = changed(replaced(room, replace(sender, held=(*sender.held, text))), now, "SUCCESS")
    return replace(kept, events=(Said(client_id, text),))


def leave(room: Room, now: float, limits: Limits, client_id: str) -> Outcome[None]:
    """Free the seat at once. The socket may still say its bye; until the grace time is over we add none."""
    client = room.client(client_id)
    if client is None or client_id in LOOPBACK_CLIENTS:
        return Outcome(room, None)
    room, effects = remove(room, client, "left")
    owed = () if client.told else owed_byes(room)
    if client.registered or owed:
        gone = Departed(client_id, owed, client.registered, now + limits.grace_s)
        room = replace(room, departed=(*room.departed, gone))
    return Outcome(replace(room, changed_at=now), None, effects, why="left")


def expire(room: Room, now: float, limits: Limits) -> Outcome[None]:
    """Free the seats, and send the byes, whose time has come; end a room that nothing happened in for its lifetime, or
    whose own time is over."""
    if now >= _end(room, limits):
        return close(room, now)
    effects: tuple[Effect, ...] = ()
    before = room
    for client in room.clients:
        if client.deadline is not None and now >= client.deadline and room.client(client.id):
            room, more = forget(room, client, "lost")
            effects += more + ((Close(client.id),) if client.registered else ())
    room, told = settle(room, lambda one: now >= one.deadline)
    if room == before:
        return Outcome(before, None)
    return replace(changed(room, now, None, effects + told), why="lost")


def is_seated(room: Room, now: float, client_id: str) -> Outcome[bool]:
    """Whether a client of this name holds a seat. Names that everybody knows are nobody's proof, and not counted."""
    return Outcome(room, client_id not in LOOPBACK_CLIENTS and room.client(client_id) is not None)


def close(room: Room, now: float) -> Outcome[None]:
    """End the room: a bye to each app with a socket, then every socket is closed."""
    effects: list[Effect] = []
    for client in room.clients:
        if client.registered:
            effects += [Close(client.id)] if client.page is not None else [Deliver(client.id, BYE), Close(client.id)]
    effects += [Close(one.id) for one in room.departed if one.registered]
    return replace(changed(Room(), now, None, tuple(effects)), why="closed")


def next_deadline(room: Room, limits: Limits) -> float | None:
    """When `expire` has something to do, or None for an empty room."""
    if room.empty:
        return None
    first = _end(room, limits)
    for client in room.clients:
        if client.deadline is not None and client.deadline < first:
            first = client.deadline
    return min([first, *[one.deadline for one in room.departed]]) if room.departed else first


def hand_over(room: Room, now: float, limits: Limits, sender: Client, text: str) -> Outcome[bool]:
    """Pass a message to every other client, or queue it on its sender while one of them has no socket.

    The result is False when the queue is full; the message is then lost to those without a socket. Pages hear what is
    meant for one of them (`rtcd.rooms.mesh`); what a page says to all reaches apps, where there is none nobody.
    """
    others = _listeners(room, sender)
    alone = not others and sender.page is not None
    waiting = not alone and (not others or any(not one.registered for one in others))
    told = is_bye(text) and not waiting
    effects = tuple(Deliver(one.id, text) for one in others if one.registered)
    after = sender if sender.told == told else replace(sender, told=told)
    if waiting:
        if not fits(sender.queue, text, limits):
            return Outcome(room, False)
        after = replace(after, queue=(*sender.queue, text))
    said = () if alone else (Said(sender.id, text),)
    if after is sender:
        return Outcome(room, True, effects, said)
    return replace(changed(replaced(room, after), now, True, effects), events=said)


def wait_again(room: Room, now: float, limits: Limits, client_id: str, texts: Iterable[Said]) -> Outcome[None]:
    """What was for a client's socket, and came when that was gone, waits for it before all that was said since; what does
    not fit is lost, and so is what was said by who has gone since. Behind a bye of one who has gone it is that of the next
    one. Nothing if the client has a socket again.
    """
    client, waiting = room.client(client_id), list[Said]()
    if client is None or client.registered:
        return Outcome(room, None)
    for one in texts:
        if is_bye(one.text):
            client, waiting = replace(client, owed_bye=True), []
        else:
            waiting.append(one)
    room = replaced(room, client)
    others = room.others(client_id)
    if len(others) == 1:  # in a room with an app there are two
        queue = list(others[0].queue)
        while waiting:
            said = waiting.pop()
            if said.client in ("", others[0].id) and fits(queue, said.text, limits):
                queue.insert(0, said.text)
        room = replaced(room, replace(others[0], queue=tuple(queue)))
    return changed(room, now, None)


def straight(room: Room, client_id: str) -> tuple[str, ...] | None:
    """Whom the texts of a client are given at once, when that is all that comes of them: `hand_over` keeps nothing, and
    the room stays as it is. None if more does. It holds as long as the room is this one, for texts that `may_be_bye` is
    not true of.
    """
    sender = room.client(client_id)
    if sender is None or sender.told or room.gone(client_id) is not None:
        return None
    others = _listeners(room, sender)
    return tuple(one.id for one in others) if others and all(one.registered for one in others) else None


def may_be_bye(text: str) -> bool:
    """Whether a peer message has to be looked into for whether it `is_bye`."""
    return len(text) <= 256 and "bye" in text


def is_bye(text: str) -> bool:
    """Whether a peer message is a bye, however its sender formats it."""
    if not may_be_bye(text):
        return False
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict) and parsed.get("type") == "bye"


def fits(queue: Iterable[str], text: str, limits: Limits) -> bool:
    """Whether one more text may wait behind these."""
    sizes = [text_bytes(one) for one in queue]
    return len(sizes) < limits.max_messages and sum(sizes) + text_bytes(text) <= limits.max_queue_bytes


def changed(room: Room, now: float, result: T, effects: tuple[Effect, ...] = ()) -> Outcome[T]:
    """The outcome of a change that was made at ``now``."""
    return Outcome(replace(room, changed_at=now), result, effects)


def _end(room: Room, limits: Limits) -> float:
    """When the room ends, whoever is in it."""
    return room.changed_at + limits.lifetime_s if room.terms.expires_at is None else room.terms.expires_at


def _listeners(room: Room, sender: Client) -> tuple[Client, ...]:
    """Whom a message for all reaches."""
    others = room.others(sender.id)
    return others if sender.page is None else tuple(one for one in others if one.page is None)
