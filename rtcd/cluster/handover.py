"""`Handover`: what becomes of a socket of ours that is gone: the store is told, and what came for it meanwhile waits for the
client's next one, which waits for that in its turn, whichever process it is at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from twisted.internet.task import deferLater

from rtcd.cluster.commits import Known
from rtcd.rooms.outcome import (
    ENDING,
    Attach,
    Change,
    Close,
    Outcome,
    Said,
    Socket,
    StoreFull,
    StoreUnavailable,
)
from rtcd.rooms.room import wait_again

if TYPE_CHECKING:
    from rtcd.cluster.shared import SharedRooms

T = TypeVar("T")

HANDOVER_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""So often, and with these pauses, it is asked whether another process has given back what came for a client's last socket,
before its next one is attached all the same: that process is perhaps dead."""

_SETTLING: Any = object()
"""Answer of an update that has to wait so."""


class Handover:
    """Of one `SharedRooms`."""

    def __init__(self, rooms: SharedRooms) -> None:
        self._rooms = rooms
        self._owed = rooms.inbox.owed
        self._node = rooms.backend.node

    async def attach(self, name: str, change: Change[T], socket: Socket) -> T:
        """Apply a change that attaches a socket, if it does, when the client's last one is settled."""
        rooms = self._rooms
        for pause in HANDOVER_S:
            result = await rooms.apply(name, lambda known, now: _unless_settling(known, change(known.room, now)), socket)
            if result is not _SETTLING:
                return cast(T, result)
            await deferLater(rooms.clock, pause)
            if rooms.closed:
                raise StoreUnavailable(ENDING)
        return await rooms.apply(name, lambda known, now: change(known.room, now), socket)

    def with_closes(self, name: str, known: Known, outcome: Outcome[T]) -> Outcome[T]:
        """Of sockets of ours that are gone, and are taken for lost from now on, something comes back to us: behind all that
        came for them before."""
        lost = [one for one in self._owed.get(name, ()) if known.holders.get(one) == self._node
                and (client := outcome.room.client(one)) is not None and not client.registered]
        return msgspec.structs.replace(outcome, effects=(*outcome.effects, *map(Close, lost))) if lost else outcome

    async def settle(self, name: str, known: Known) -> None:
        """In the room's turn. The store knows of the room what we know: whom it does not take us to hold a socket of any
        more, we owe nothing but what came for their sockets when these were gone."""
        owed = list(self._owed.get(name, ()))
        ours = [one for one in owed if known.holders.get(one) == self._node]
        for client in owed:
            if client not in ours:
                self._rooms.inbox.quit(name, client)
        for client in filter(known.settles, ours):
            if client in self._owed.get(name, ()):  # if not, it was settled when one before it was
                late = self._rooms.inbox.quit(name, client)  # one by one: those behind it are still waited for
                await self._give_back(name, client, late)

    async def _give_back(self, name: str, client: str, late: list[Said]) -> None:
        """What came for a socket that was gone already waits for its client, before all that was said since; with that the
        client may have its next one. Until then the room says that we settle its last one. If it does not, that was done
        when we tried before, or it is too late: the client has a socket elsewhere, or may have had one since we were taken
        for dead."""
        limits = self._rooms.limits

        def back(known: Known, now: float) -> Outcome[None]:
            over = not late or known.holders.get(client) != self._node
            return Outcome(known.room, None) if over else wait_again(known.room, now, limits, client, late)

        try:
            await self._rooms.apply_now(name, back)
        except StoreFull:
            if late:
                await self._give_back(name, client, [])
        except StoreUnavailable:  # perhaps it was done; when the store is back, the room tells
            self._rooms.inbox.owe(name, client, late)


def _unless_settling(known: Known, outcome: Outcome[Any]) -> Outcome[Any]:
    """Nothing, instead of a socket for a client whose last one is not settled yet."""
    if any(isinstance(one, Attach) and known.settles(one.client) for one in outcome.effects):
        return Outcome(known.room, _SETTLING)
    return outcome
