"""Draining: the daemon takes nothing new, waits for what goes on, and ends.

A service with something that goes on has a method ``drain`` (`Drainable`); the others are not asked. When draining
begins is rtcd.daemon's decision, what systemd is told is rtcd.systemd's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from twisted.internet.defer import Deferred
from twisted.logger import Logger


@runtime_checkable
class Drainable(Protocol):
    """A service, or a store, that others may be in the middle of using."""

    def drain(self) -> Deferred[None]:
        """Take nothing new from now on; fires when nothing goes on any more.

        Is called again, and then answers for the present: what goes on may begin something new.
        """


class Drain:
    """Waits for everything that goes on, or for its time to be over. Begins once."""

    _log = Logger()

    def __init__(self, reactor: Any, asked: Callable[[], Iterable[object]], end: Callable[[], object]) -> None:
        """``asked()``: what may be in use. ``end`` is called when it is not any more, or the time is over."""
        self._reactor = reactor
        self._asked = asked
        self._end = end
        self._timer: Any = None
        self.active = False

    def begin(self, limit_s: float) -> None:
        """Drain for so long at most; 0 is without a limit."""
        if self.active:
            return
        self.active = True
        if limit_s:
            self._timer = self._reactor.callLater(limit_s, self._over)
        self._log.info("draining: takes nothing new and ends with the last call, {limit}; SIGTERM ends it now",
                       limit=f"in {limit_s:g} s at the latest" if limit_s else "however long that takes")
        Deferred.fromCoroutine(self._wait()).addErrback(self._fault)

    def stop(self) -> None:
        """The daemon ends: wait no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait(self) -> None:
        waited = True
        while waited:
            waited = False
            for one in self._asked():
                if isinstance(one, Drainable):
                    waited = await self._drained(one) or waited
        self._log.info("drained: nothing goes on any more")
        self._end()

    async def _drained(self, one: Drainable) -> bool:
        """Wait for one; whether it took any time. One that fails is not waited for."""
        try:
            done = one.drain()
            waited = not done.called
            await done
        except Exception:
            self._log.failure("{name} does not drain", name=getattr(one, "name", type(one).__name__))
            return False
        return waited

    def _over(self) -> None:
        self._timer = None
        self._log.info("drain-timeout is over: what goes on is ended")
        self._end()

    def _fault(self, failure: Any) -> None:
        self._log.failure("draining failed; the daemon ends", failure)
        self._end()
