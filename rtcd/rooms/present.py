"""`Present`: tells a service that begins who is in the rooms already, which its news will never say.

Rooms live on while a process that shares them starts: in the parent of workers, or on Redis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from rtcd.rooms.outcome import Came, Gone, StoreUnavailable, TurnedAway
from rtcd.rooms.records import Client

PAGE = 100
"""Rooms asked for at once."""
FIRST_S, LONGEST_S = 0.1, 10.0
"""After so long it is tried again, if the store cannot be reached, and twice as long each time."""
MAX_GONE = 10_000
"""So many may go meanwhile; after more of them it begins anew."""


class Present:
    """Calls ``tell(room, client)`` once for each, save who goes while it asks: that was news."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, store: Any, tell: Callable[[str, Client], object]) -> None:
        self._clock = clock
        self._store = store
        self._tell = tell
        self._gone: set[tuple[str, str]] | None = None
        self._asking: Deferred[None] | None = None
        self._again: IDelayedCall | None = None
        self._delay_s = FIRST_S
        store.watch(self)

    def start(self) -> None:
        """Begin to ask."""
        self._again = None
        asking = Deferred.fromCoroutine(self._ask())
        asking.addErrback(self._failed)
        if not asking.called:
            self._asking = asking

    def stop(self) -> None:
        """Nobody wants to know any more."""
        asking, self._asking, again, self._again = self._asking, None, self._again, None
        if again is not None:
            again.cancel()
        if asking is not None:
            asking.cancel()

    def happened(self, room: str, news: Came | Gone | TurnedAway, *, here: bool = True) -> None:
        """What is new in a room (`rtcd.rooms.outcome.Watcher`)."""
        if self._gone is not None and isinstance(news, Gone) and len(self._gone) <= MAX_GONE:
            self._gone.add((room, news.client))

    async def _ask(self) -> None:
        gone = self._gone = set()
        after = ""
        while found := await self._store.rooms(after, PAGE):
            if len(gone) > MAX_GONE:
                raise StoreUnavailable("too many have gone meanwhile")
            for name, room in found:
                for one in room.clients:
                    if (name, one.id) not in gone:
                        self._tell(name, one)
            after = found[-1][0]
        self._gone = None

    def _failed(self, failure: Any) -> None:
        self._gone = None
        if failure.check(StoreUnavailable):
            self._again = self._clock.callLater(self._delay_s, self.start)
            self._delay_s = min(LONGEST_S, 2 * self._delay_s)
        elif not failure.check(CancelledError):
            self._log.failure("who is in the rooms already cannot be found out", failure)
