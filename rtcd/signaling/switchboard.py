"""The rules of signalling: register, send, post, command, lost, delete. They act on the `Room` that joins act on.

Each function is a pure change of a room, as in ``rtcd.rooms.room``; a refusal is a `Refused` in the outcome, whose
text the client is sent. No socket and no JSON frame is seen here: frames are in ``messages``, sockets in
``websocket`` and ``resource``.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from rtcd.rooms import mesh, seats
from rtcd.rooms import room as rooms
from rtcd.rooms.outcome import Attach, Came, Close, Deliver, Effect, Inform, Outcome
from rtcd.rooms.records import BYE, CAPACITY, LOOPBACK_CLIENTS, Client, Departed, Limits, Room
from rtcd.rooms.snapshot import told


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
    """Give a client its socket; it gets the others' queued messages. A page gets first the room, then its inbox; and it may
    have a new socket while the old one seems to live, which is closed: after a change of networks it is the page that knows.

    With ``require_join`` only a client that joined may, save the other end of a loopback call. Without, a client
    takes a free seat by registering, as with Collider.
    """
    client = _partner(room, client_id) if client_id in LOOPBACK_CLIENTS else room.client(client_id)
    seated = client is not None
    if client is None:
        if client_id in LOOPBACK_CLIENTS and not room.clients and require_join:
            early = Client(client_id, address, registered=True, deadline=now + limits.join_timeout_s)
            answer = _changed(replace(room, clients=(early,)), now, (Attach(client_id),))
            return replace(answer, events=(Came(client_id, address, registered=True),))
        if require_join:
            return Outcome(room, NOT_JOINED)
        if room.gone(client_id):
            return Outcome(room, DUPLICATE)
        if _full(room):
            return Outcome(room, NO_ROOM)
        client = Client(client_id, address)
        room = seats.take(room, client)
    elif client.registered and client.page is None:
        return Outcome(room, DUPLICATE)
    effects: list[Effect] = [Close(client_id), Attach(client_id)] if client.registered else [Attach(client_id)]
    if client.owed_bye:
        effects.append(Deliver(client_id, BYE))
    queued: list[Effect] = []
    clients = []
    for one in room.clients:
        if one.id == client.id:
            clients.append(replace(one, id=client_id, registered=True, deadline=None, owed_bye=False, inbox=()))
        else:
            queued += [Deliver(client_id, text) for text in one.queue]
            said_bye = rooms.is_bye(one.queue[-1]) if one.queue else one.told
            clients.append(replace(one, queue=(), told=said_bye))
    room = replace(room, clients=tuple(clients))
    if client.page is not None:
        effects.append(Inform(client_id, told(room, limits)))
        effects += [Inform(client_id, letter.text) for letter in client.inbox]
    answer = _changed(room, now, (*effects, *queued))
    page = client.page.tag if client.page is not None else ""
    return replace(answer, events=(Came(client_id, address, page, registered=True, seated=seated),))


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
    if _full(room):
        return Outcome(room, NO_ROOM)
    newcomer = Client(client_id, address, deadline=now + limits.register_timeout_s)
    answer = send(seats.take(room, newcomer), now, limits, client_id, text)
    return replace(answer, events=(Came(client_id, address), *answer.events))


def command(
    room: Room, now: float, limits: Limits, client_id: str, asked: mesh.Command, salt: bytes
) -> Outcome[Refused | mesh.Refusal | None]:
    """What a page asks for besides AppRTC's commands. Of one that has left its seat nothing counts."""
    if room.gone(client_id):
        return Outcome(room, None)
    if room.client(client_id) is None:
        return Outcome(room, NOT_REGISTERED)
    return mesh.command(room, now, limits, client_id, asked, salt)


def lost(room: Room, now: float, limits: Limits, client_id: str) -> Answer:
    """A socket ended without DELETE: its client keeps the seat for the grace time and may register again.

    One that has said its bye is gone for good.
    """
    client = room.client(client_id)
    if client is not None and client.registered:
        if client_id in LOOPBACK_CLIENTS and not room.loopback:
            return _changed(replace(room, clients=room.taken()), now)
        if client.told:
            room, effects = seats.forget(room, client, "left")
            return replace(_changed(room, now, effects), why="left")
        grace_s = limits.grace_s if client.page is None else limits.page_grace_s
        deadline = None if client_id in LOOPBACK_CLIENTS else now + grace_s
        after = replace(client, registered=False, deadline=deadline)
        return _changed(replace(room, clients=tuple(after if one is client else one for one in room.clients)), now)
    gone = room.gone(client_id)
    if gone is None:
        return Outcome(room, None)
    room, effects = seats.tell(replace(room, departed=_without(room, gone)), gone.owed)
    return _changed(room, now, effects)


def delete(room: Room, now: float, client_id: str) -> Answer:
    """DELETE: the client is gone for good, which counts as leaving; its peers are told now unless it told them."""
    gone = room.gone(client_id)
    if gone is not None:
        room, effects = seats.tell(replace(room, departed=_without(room, gone)), gone.owed)
        return _changed(room, now, (*effects, Close(client_id)))
    client = room.client(client_id)
    if client is None:
        return Outcome(room, None)
    if client_id in LOOPBACK_CLIENTS:
        answer = lost(room, now, Limits(), client_id)
        return replace(answer, effects=(*answer.effects, Close(client_id)))
    room, effects = seats.forget(room, client, "left")
    return replace(_changed(room, now, (*effects, Close(client_id))), why="left")


def _full(room: Room) -> bool:
    return len(room.clients) >= CAPACITY or room.barred


def _last_words(room: Room, now: float, gone: Departed, text: str) -> Answer:
    if not gone.owed or not rooms.is_bye(text):
        return Outcome(room, None)
    after = replace(gone, owed=())
    kept = (*_without(room, gone), after) if gone.registered else _without(room, gone)
    room = replace(room, departed=kept)
    effects = tuple(Deliver(one.id, text) for one in room.clients if one.id in gone.owed and one.registered)
    deaf = tuple(one.id for one in room.clients if one.id in gone.owed and not one.registered)
    room, _ = seats.tell(room, deaf)
    return _changed(room, now, effects)


def _partner(room: Room, client_id: str) -> Client | None:
    return next((one for one in room.clients if one.id in LOOPBACK_CLIENTS and (room.loopback or one.registered)), None)


def _without(room: Room, gone: Departed) -> tuple[Departed, ...]:
    return tuple(one for one in room.departed if one is not gone)


def _changed(room: Room, now: float, effects: tuple[Effect, ...] = ()) -> Answer:
    return Outcome(replace(room, changed_at=now), None, effects)
