"""`Following`: goes by what the first of several workers knows of the TURN nodes, which it alone asks.

So a node is asked as often as by one process, and all workers choose alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from rtcd.ice.health import Known
from rtcd.ice.prober import Prober

POLL_S = 0.5
"""So often the first one is asked: so much later than there a node is known as dead here, still within ten seconds."""

Ask = Callable[[], Awaitable[list[Known] | None]]
"""What the first worker knows; None while it does not answer."""


class Following:
    """Tells a prober, which itself asks nobody."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, prober: Prober, ask: Ask) -> None:
        self._prober = prober
        self._ask = ask
        self._loop = LoopingCall(self._poll)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin."""
        self._loop.start(POLL_S).addErrback(lambda fault: self._log.failure("the loop ended", fault))

    def stop(self) -> None:
        """Ask no more."""
        if self._loop.running:
            self._loop.stop()

    async def _poll(self) -> None:
        if not self._prober.wanted:
            return
        try:
            found = await self._ask()
        except Exception:
            self._log.failure("what the first worker knows of the TURN nodes cannot be understood")
            return
        if found is not None and self._loop.running:
            self._prober.learn(found)
