"""When a worker that has ended is started again."""

from __future__ import annotations

LONGEST_S = 30.0
"""From an end to the next start, at most."""
WELL_S = 60.0
"""A worker that was ready for so long has been well: the next one is started at once."""


class Restarts:
    """Of one worker: at once, then after a second, and twice as long each time that it was not well."""

    __slots__ = ("_delay_s",)

    def __init__(self) -> None:
        self._delay_s = 0.0

    def after(self, ready_s: float) -> float:
        """Seconds to wait, when it has ended after it was ready for so long."""
        if ready_s >= WELL_S:
            self._delay_s = 0.0
        delay = self._delay_s
        self._delay_s = min(LONGEST_S, max(1.0, 2 * delay))
        return delay
