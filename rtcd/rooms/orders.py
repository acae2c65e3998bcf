"""What whoever runs the daemon may do to a room: make it beforehand, lock it, send its media by relays, kick, and end it.

Pure changes like those of ``room`` and ``mesh``. Apps are told no more than a bye; pages see it in the snapshot.
Each result says whether there is such a room, or such a client.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from rtcd.rooms.mesh import expel
from rtcd.rooms.outcome import Outcome
from rtcd.rooms.records import LOOPBACK_CLIENTS, Client, Room, Terms
from rtcd.rooms.room import changed, close


def create(room: Room, now: float, terms: Terms) -> Outcome[bool]:
    """Make a room whose ``terms`` say when it expires. False if there is one of this name already."""
    return changed(Room(terms=terms), now, True) if room.empty else Outcome(room, False)


def lock(room: Room, now: float, *, on: bool) -> Outcome[bool]:
    """Let no stranger in, or let them in again even if it was the host who had locked."""
    mesh = room.mesh if on or room.mesh is None else replace(room.mesh, locked=False)
    return _laid_down(room, now, replace(room, mesh=mesh, terms=replace(room.terms, locked=on)))


def force_relay(room: Room, now: float, *, on: bool) -> Outcome[bool]:
    """Have media go by relays alone: pages change over at once, apps with their next call."""
    return _laid_down(room, now, replace(room, terms=replace(room.terms, relay_only=on)))


def kick(room: Room, now: float, chosen: Callable[[Client], bool]) -> Outcome[bool]:
    """Take the seat of the first client that is ``chosen`` away; it is told. Both ends of a loopback call are one client."""
    target = next((one for one in room.clients if one.id not in LOOPBACK_CLIENTS and chosen(one)), None)
    if target is None:
        return Outcome(room, False)
    outcome = expel(room, now, target)
    return Outcome(outcome.room, True, outcome.effects, outcome.events, outcome.why)


def end(room: Room, now: float) -> Outcome[bool]:
    """Close the room; everybody in it is told."""
    if room.empty:
        return Outcome(room, False)
    outcome = close(room, now)
    return Outcome(outcome.room, True, outcome.effects, outcome.events, outcome.why)


def _laid_down(before: Room, now: float, after: Room) -> Outcome[bool]:
    if before.empty:
        return Outcome(before, False)
    return Outcome(before, True) if after == before else changed(after, now, True)
