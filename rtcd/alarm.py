"""`Alarm`: the one delayed call of a table whose entries have deadlines."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Alarm:
    """Rings at the first deadline. A deadline that has moved later is found out when it rings."""

    def __init__(
        self, clock: IReactorTime, next_deadline: Callable[[], float | None], ring: Callable[[float], object]
    ) -> None:
        """``ring(now)`` deals with what is due; afterwards the alarm is set again."""
        self._clock = clock
        self._next_deadline = next_deadline
        self._ring = ring
        self._call: IDelayedCall | None = None
        self._at = 0.0

    def set(self) -> None:
        """To be called whenever there may be an earlier deadline."""
        deadline = self._next_deadline()
        if deadline is None or (self._call is not None and self._at <= deadline):
            return
        self.cancel()
        self._at = deadline
        self._call = self._clock.callLater(max(0.0, deadline - self._clock.seconds()), self._rung)

    def cancel(self) -> None:
        """Ring no more, until it is set again."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _rung(self) -> None:
        self._call = None
        self._ring(self._clock.seconds())
        self.set()
