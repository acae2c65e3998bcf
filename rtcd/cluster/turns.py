"""`Turns`: what is asked of one room is done one after another, and rooms beside each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred

from rtcd.rooms.outcome import StoreUnavailable

T = TypeVar("T")
_Job: TypeAlias = tuple[Callable[[], Coroutine[Any, Any, Any]], "Deferred[Any]"]

MAX_LINE = 256
"""So many wait for one room."""

MAX_WAITING = 10000
"""So many wait in all."""

BUSY = "too many ask for the same room at once; try again later"


class Turns:
    """Lines of those who wait, by room."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[_Job]] = {}
        self._waiting = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is being done."""
        return not self._lines

    def take(self, name: str, job: Callable[[], Coroutine[Any, Any, T]]) -> Deferred[T]:
        """Do something with a room when what was asked for before is done. Raises StoreUnavailable if too much waits."""
        line = self._lines.get(name)
        if self._waiting >= MAX_WAITING or (line is not None and len(line) >= MAX_LINE):
            raise StoreUnavailable(BUSY)
        done: Deferred[T] = Deferred()
        self._waiting += 1
        if line is not None:
            line.append((job, done))
        else:
            self._lines[name] = deque([(job, done)])
            Deferred.fromCoroutine(self._work(name))
        return done

    async def _work(self, name: str) -> None:
        line = self._lines[name]
        while line:
            job, done = line.popleft()
            try:
                result = await job()
            except Exception:
                self._waiting -= 1
                done.errback()
            else:
                self._waiting -= 1
                done.callback(result)
        del self._lines[name]
