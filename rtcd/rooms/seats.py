"""Seats: whether there is one, who gets it, and what becomes of a room when somebody loses his.

Apps are owed a bye by everybody who goes. Pages are owed none: the room's snapshot tells them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from rtcd.rooms.outcome import Close, Deliver, Effect, Outcome
from rtcd.rooms.records import BYE, CAPACITY, LOOPBACK_CLIENTS, MAX_PARTED, Client, Departed, Limits, Mesh, Parted, Room, Why


def shortage(others: Sequence[Client], limits: Limits) -> str:
    """Why these leave no seat for a page: ``app`` (one of two is an app), ``full``, or an empty text if they do."""
    if len(others) >= CAPACITY and any(one.page is None for one in others):
        return "app"
    return "full" if len(others) >= limits.capacity else ""


def foreseen(room: Room, now: float, limits: Limits) -> Outcome[str]:
    """Why a page that is only being loaded would find no seat, as `shortage` says it.

    Pages without a socket are not counted: the one that is loaded again may be one of them. Its join will tell.
    """
    there = [one for one in room.taken() if one.registered or one.page is None]
    return Outcome(room, "full" if room.loopback else shortage(there, room.bounds(limits)))


def take(room: Room, client: Client) -> Room:
    """Give a client the next seat; there must be one."""
    clients, mesh = (*room.clients, client), room.mesh
    if mesh is not None:
        mesh = replace(mesh, parted=tuple(one for one in mesh.parted if one.tag != client.tag))
    elif client.page is not None:
        mesh = room.begun(client.tag)
    return replace(room, clients=clients, mesh=mesh)


def remove(room: Room, client: Client, why: Why) -> tuple[Room, tuple[Effect, ...]]:
    """Take a client out of its seat, a loopback partner with it; what was queued for it, and by it, goes too."""
    rest = tuple(_cleared(one, client) for one in room.others(client.id))
    if room.loopback and client.id not in LOOPBACK_CLIENTS:
        return replace(room, clients=(), loopback=False), tuple(Close(one.id) for one in rest if one.registered)
    return replace(room, clients=rest, mesh=_bequeathed(room.mesh, rest, client, why) if room.mesh is not None else None), ()


def forget(room: Room, client: Client, why: Why) -> tuple[Room, tuple[Effect, ...]]:
    """Take a client out and tell the apps at once, unless it has told them itself."""
    room, effects = remove(room, client, why)
    if client.told:
        return room, effects
    room, told = tell(room, owed_byes(room))
    return room, effects + told


def owed_byes(room: Room) -> tuple[str, ...]:
    """Whom one who goes owes a bye."""
    return tuple(one.id for one in room.clients if one.page is None)


def tell(room: Room, peers: tuple[str, ...]) -> tuple[Room, tuple[Effect, ...]]:
    """Send our bye to these clients; one without a socket is owed it."""
    if not peers:
        return room, ()
    effects = tuple(Deliver(one.id, BYE) for one in room.clients if one.id in peers and one.registered)
    clients = tuple(
        replace(one, owed_bye=True) if one.id in peers and not one.registered else one for one in room.clients
    )
    return replace(room, clients=clients), effects


def settle(room: Room, due: Callable[[Departed], bool]) -> tuple[Room, tuple[Effect, ...]]:
    """Send the byes that those departed owe which are due, and close their sockets."""
    effects: tuple[Effect, ...] = ()
    for one in room.departed:
        if due(one):
            room, told = tell(room, one.owed)
            effects += told + ((Close(one.id),) if one.registered else ())
    return replace(room, departed=tuple(one for one in room.departed if not due(one))), effects


def replaced(room: Room, client: Client) -> Room:
    """The room with this client in place of the one of its name."""
    return replace(room, clients=tuple(client if one.id == client.id else one for one in room.clients))


def _cleared(one: Client, gone: Client) -> Client:
    """Without what waits for one who is gone, or comes from it."""
    inbox = one.inbox and tuple(letter for letter in one.inbox if letter.sender != gone.tag)
    return replace(one, queue=(), inbox=inbox) if one.queue or one.inbox else one


def _bequeathed(mesh: Mesh, rest: tuple[Client, ...], client: Client, why: Why) -> Mesh | None:
    """The host's rights go to the page that is here longest; with the last page everything ends that apps cannot see."""
    pages = [one.tag for one in rest if one.page is not None]
    if not pages:
        return None
    parted = (*(one for one in mesh.parted if one.tag != client.tag), Parted(client.tag, why))[-MAX_PARTED:]
    return replace(mesh, host=mesh.host if mesh.host in pages else pages[0], parted=parted)
