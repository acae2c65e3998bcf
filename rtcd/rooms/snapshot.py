"""What pages are told: the room as they see it, and events, both as JSON. Never the id of a client.

`notices` is the one place where changes of the snapshot are told; whoever keeps rooms calls it after each change, so
no rule can forget it.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from rtcd.rooms.outcome import Inform, Outcome
from rtcd.rooms.records import Limits, Mesh, Room

T = TypeVar("T")

NO_PAGES = Mesh("")

_encode = msgspec.json.Encoder().encode


def snapshot(room: Room, limits: Limits) -> dict[str, Any]:
    """The room as a page sees it; ``relay`` is there only where media are to go by relays alone."""
    mesh = room.mesh or NO_PAGES
    found: dict[str, Any] = {
        "members": [
            {"id": one.tag, "name": one.page.name if one.page is not None else "", "page": one.page is not None,
             "here": one.registered}
            for one in room.clients
        ],
        "host": mesh.host,
        "locked": room.locked,
        "password": room.password is not None,
        "capacity": room.bounds(limits).capacity,
        "gone": {one.tag: one.why for one in mesh.parted},
    }
    return found | {"relay": True} if room.terms.relay_only else found


def told(room: Room, limits: Limits) -> str:
    """The event that carries the snapshot."""
    return event("room", **snapshot(room, limits))


def event(name: str, /, **more: object) -> str:
    """An event for a page."""
    return _encode({"event": name} | more).decode()


def notices(before: Room, outcome: Outcome[T], limits: Limits) -> tuple[Inform, ...]:
    """What pages are told of a change, behind its effects: the snapshot, if it is another one now.

    A page that registers gets it among the effects of that, in front of what has waited for it.
    """
    after = outcome.room
    if after.mesh is None or after is before or _public(after) == _public(before):
        return ()
    there = [one.id for one in before.clients if one.registered]
    return tuple(one for one in announcement(after, limits) if one.client in there)


def announcement(room: Room, limits: Limits) -> tuple[Inform, ...]:
    """The snapshot for every page that has a socket."""
    pages = [one.id for one in room.clients if one.page is not None and one.registered]
    text = told(room, limits) if pages else ""
    return tuple(Inform(one, text) for one in pages)


def _public(room: Room) -> tuple[object, ...]:
    """All that a snapshot is made of."""
    members = tuple((one.page, one.registered) for one in room.clients)
    mesh = room.mesh or NO_PAGES
    return members, mesh.host, room.locked, room.password is None, mesh.parted, room.terms.relay_only
