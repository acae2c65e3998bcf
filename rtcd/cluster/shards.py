"""`ShardedRooms`: rooms shared out among several stores that know nothing of each other, by their names.

Limits of an address are those of each store: somebody may have as many seats in each.
"""

from __future__ import annotations

import heapq
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults
from zope.interface import implementer

from rtcd.cluster.address import shard_of
from rtcd.cluster.shared import SharedRooms
from rtcd.interfaces import IRoomStore
from rtcd.rooms.outcome import Census, Change, Socket, Watcher
from rtcd.rooms.records import Limits, Room
from rtcd.rooms.settings import RoomsSettings

T = TypeVar("T")


@implementer(IRoomStore)
class ShardedRooms:
    """``names`` are what the stores are known by everywhere: with another name a store has other rooms."""

    def __init__(self, names: Sequence[str], stores: Sequence[SharedRooms]) -> None:
        self._names = tuple(names)
        self.stores = tuple(stores)

    @property
    def limits(self) -> Limits:
        """See `IRoomStore`; all stores have the same."""
        return self.stores[0].limits

    async def start(self) -> None:
        """Begin. Returns when each was reached, or could not be."""
        await _all(one.start() for one in self.stores)

    def use(self, settings: RoomsSettings) -> None:
        """Go by these settings from now on (a reload)."""
        for one in self.stores:
            one.use(settings)

    async def update(self, room: str, change: Change[T], socket: Socket | None = None, lost: str = "") -> T:
        """See `IRoomStore.update`."""
        return await self._of(room).update(room, change, socket, lost)

    async def census(self, address: str) -> Census:
        """See `IRoomStore.census`."""
        found = await _all(one.census(address) for one in self.stores)
        return Census(sum(one.rooms for one in found), sum(one.seats for one in found))

    async def rooms(self, after: str, limit: int) -> tuple[tuple[str, Room], ...]:
        """See `IRoomStore.rooms`."""
        found = await _all(one.rooms(after, limit) for one in self.stores)
        return tuple(heapq.merge(*found, key=lambda one: one[0]))[:limit]

    def watch(self, watcher: Watcher) -> None:
        """See `IRoomStore.watch`."""
        for one in self.stores:
            one.watch(watcher)

    def detach(self, room: str, client: str, socket: Socket) -> bool:
        """See `IRoomStore.detach`."""
        return self._of(room).detach(room, client, socket)

    def drain(self) -> Deferred[None]:
        """See `SharedRooms.drain`."""
        return gatherResults([one.drain() for one in self.stores]).addCallback(lambda _: None)

    async def close(self) -> None:
        """See `IRoomStore.close`."""
        await _all(one.close() for one in self.stores)

    def _of(self, room: str) -> SharedRooms:
        return self.stores[shard_of(room, self._names)]


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, done side by side; raises what the first one raises that fails."""
    try:
        return await gatherResults([Deferred.fromCoroutine(one) for one in works], consumeErrors=True)
    except FirstError as first:
        fault: Any = first.subFailure.value
        raise fault from None
