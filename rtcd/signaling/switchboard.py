"""The rules of signalling: register, send, post, lost, delete. They act on the `Room` that joins act on.

Each function is a pure change of a room, as in ``rtcd.rooms.room``; a refusal is a `Refused` in the outcome, whose
text the client is sent. No socket and no JSON frame is seen here: frames are in ``messages``, sockets in
``websocket`` and ``resource``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rtcd.rooms import room as rooms
from rtcd.rooms.room import (
    BYE,
    LOOPBACK_CLIENTS,
    Attach,
    Came,
    Client,
    Close,
    Deliver,
    Departed,
    Effect,
    Limits,
    Outcome,
    Room,
)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a client's request is not done; ``text`` goes to the client."""

    text: str


DUPLICATE = Refused("Duplicated registration")
NO_ROOM = Refused("Max room capacity reached")
NOT_JOINED = Refused("Client not joined: POST /join first")
NOT_REGISTERED = Refused("Client not registered")
QUEUE_FULL = Refused("Too many messages queued for the other client")

Answer = Outcome[Refused | None]


def register(
    room: Room, now: float, limits: Limits, client_id: str, address: str = "", *, require_join: bool = True
) -> Answer:
    """Give a client its socket; it gets the others' queued messages.

    With ``require_join`` only a client that joined may, save the other end of a loopback call. Without, a client
    takes a free seat by registering, as with Collider.
    """
    client = _partner(room, client_id) if client_id in LOOPBACK_CLIENTS else room.client(client_id)
    if client is None:
        if client_id in LOOPBACK_CLIENTS and not room.clients and require_join:
            early = Client(client_id, address, registered=True, deadline=now + limits.join_timeout_s)
            answer = _changed(replace(room, clients=(early,)), now, (Attach(client_id),))
            return replace(answer, events=(Came(client_id, address),))
        if require_join:
            return Outcome(room, NOT_JOINED)
        if room.gone(client_id):
            return Outcome(room, DUPLICATE)
        if len(room.clients) >= rooms.CAPACITY:
            return Outcome(room, NO_ROOM)
        client = Client(client_id, address)
        room = replace(room, clients=(*room.clients, client))
    elif client.registered:
        return Outcome(room, DUPLICATE)
    effects: list[Effect] = [Attach(client_id)]
    if client.owed_bye:
        effects.append(Deliver(client_id, BYE))
    clients = []
    for one in room.clients:
        if one.id == client.id:
            clients.append(replace(one, id=client_id, registered=True, deadline=None, owed_bye=False))
        else:
            effects += [Deliver(client_id, text) for text in one.queue]
            told = rooms.is_bye(one.queue[-1]) if one.queue else one.told
            clients.append(replace(one, queue=(), told=told))
    answer = _changed(replace(room, clients=tuple(clients)), now, tuple(effects))
    return replace(answer, events=(Came(client_id, address),))


def send(room: Room, now: float, limits: Limits, client_id: str, text: str) -> Answer:
    """Pass on a message from a registered socket. Of one that has left its seat only the bye still counts."""
    gone = room.gone(client_id)
    if gone is not None:
        return _last_words(room, now, gone, text)
    client = room.client(client_id)
    if client is None:
        return Outcome(room, NOT_REGISTERED)
    outcome = rooms.hand_over(room, now, limits, client, text)
    return Outcome(outcome.room, None if outcome.result else QUEUE_FULL, outcome.effects, outcome.events)


def post(
    room: Room, now: float, limits: Limits, client_id: str, text: str, address: str = "", *, require_join: bool = True
) -> Answer:
    """Pass on a message by HTTP, for a client whose socket is not open (yet)."""
    if require_join or room.client(client_id) or room.gone(client_id):
        answer = send(room, now, limits, client_id, text)
        return replace(answer, result=NOT_JOINED) if answer.result is NOT_REGISTERED else answer
    if len(room.clients) >= rooms.CAPACITY:
        return Outcome(room, NO_ROOM)
    newcomer = Client(client_id, address, deadline=now + limits.register_timeout_s)
    answer = send(replace(room, clients=(*room.clients, newcomer)), now, limits, client_id, text)
    return replace(answer, events=(Came(client_id, address), *answer.events))


def lost(room: Room, now: float, limits: Limits, client_id: str) -> Answer:
    """A socket ended without DELETE: its client keeps the seat for the grace time and may register again.

    One that has said its bye is gone for good.
    """
    client = room.client(client_id)
    if client is not None and client.registered:
        if client_id in LOOPBACK_CLIENTS and not room.loopback:
            return _changed(replace(room, clients=room.taken()), now)
        if client.told:
            room, effects = rooms.forget(room, client)
            return _changed(room, now, effects)
        deadline = None if client_id in LOOPBACK_CLIENTS else now + limits.grace_s
        after = replace(client, registered=False, deadline=deadline)
        return _changed(replace(room, clients=tuple(after if one is client else one for one in room.clients)), now)
    gone = room.gone(client_id)
    if gone is None:
        return Outcome(room, None)
    room, effects = rooms.tell(replace(room, departed=_without(room, gone)), gone.owed)
    return _changed(room, now, effects)


def delete(room: Room, now: float, client_id: str) -> Answer:
    """DELETE: the client is gone for good, which counts as leaving; its peers are told now unless it told them."""
    gone = room.gone(client_id)
    if gone is not None:
        room, effects = rooms.tell(replace(room, departed=_without(room, gone)), gone.owed)
        return _changed(room, now, (*effects, Close(client_id)))
    client = room.client(client_id)
    if client is None:
        return Outcome(room, None)
    if client_id in LOOPBACK_CLIENTS:
        answer = lost(room, now, Limits(), client_id)
        return replace(answer, effects=(*answer.effects, Close(client_id)))
    room, effects = rooms.forget(room, client)
    return _changed(room, now, (*effects, Close(client_id)))


def _last_words(room: Room, now: float, gone: Departed, text: str) -> Answer:
    if not gone.owed or not rooms.is_bye(text):
        return Outcome(room, None)
    after = replace(gone, owed=())
    kept = (*_without(room, gone), after) if gone.registered else _without(room, gone)
    room = replace(room, departed=kept)
    effects = tuple(Deliver(one.id, text) for one in room.clients if one.id in gone.owed and one.registered)
    deaf = tuple(one.id for one in room.clients if one.id in gone.owed and not one.registered)
    room, _ = rooms.tell(room, deaf)
    return _changed(room, now, effects)


def _partner(room: Room, client_id: str) -> Client | None:
    return next((one for one in room.clients if one.id in LOOPBACK_CLIENTS and (room.loopback or one.registered)), None)


def _without(room: Room, gone: Departed) -> tuple[Departed, ...]:
    return tuple(one for one in room.departed if one is not gone)


def _changed(room: Room, now: float, effects: tuple[Effect, ...] = ()) -> Answer:
    return Outcome(replace(room, changed_at=now), None, effects)
