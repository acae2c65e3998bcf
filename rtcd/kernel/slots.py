"""`Slots`: numbers of records that are given out and taken back, and rest in between.

A packet that is on its way through the program on another CPU may still look at a record that was given back. It is done
long before `REST_S` have passed, so a record that is written anew is never read for what it was before.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

REST_S = 1.0


class Slots:
    """Numbers from ``first`` to below ``end``."""

    def __init__(self, first: int, end: int) -> None:
        self._next = first
        self._end = end
        self._resting: deque[tuple[float, int]] = deque()
        self.taken = 0
        """How many are out."""

    def take(self, now: float) -> int | None:
        """One that is free, the oldest first; None if there is none. ``now``: seconds that never go back."""
        if self._resting and now >= self._resting[0][0] + REST_S:
            slot = self._resting.popleft()[1]
        elif self._next < self._end:
            slot = self._next
            self._next += 1
        else:
            return None
        self.taken += 1
        return slot

    def free(self, now: float) -> int:
        """How many there are, of which not more than two are counted among those that have rested."""
        rested = sum(now >= since + REST_S for since, _ in islice(self._resting, 2))
        return self._end - self._next + rested

    def give_back(self, slot: int, now: float) -> None:
        """One that was taken."""
        self._resting.append((now, slot))
        self.taken -= 1
