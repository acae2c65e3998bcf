"""`Meter`: how many bytes a second may pass. A token bucket, shared by whoever is to share the rate.

What is charged is the relay plane's business (rtcd.plane.drops), whom a meter belongs to that of the rules.
"""

from __future__ import annotations

from collections.abc import Iterable

BURST_S = 1.0
"""So many seconds' worth may pass at once after a pause ..."""
MIN_BURST_BYTES = 2**17
"""... and never less than this, so that the largest datagram passes however low the rate is."""

MAX_DEBT_S = 60.0
"""A stream is stopped for at most so long for what it has sent at once."""


class Meter:
    """A bucket that fills with `rate` bytes a second. A clock that steps back gives nothing and takes nothing."""

    __slots__ = ("_left", "_rate", "_then")

    def __init__(self, rate: float) -> None:
        """``rate``: bytes a second; one of 0 lets the first `MIN_BURST_BYTES` pass and then nothing."""
        self._rate = rate
        self._left = self.burst
        self._then: float | None = None

    @property
    def rate(self) -> float:
        """Bytes a second. Another one is in force at once; what was saved up beyond its burst is lost."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._rate = rate
        self._left = min(self._left, self.burst)

    @property
    def burst(self) -> float:
        """Bytes that may pass at once."""
        return max(self._rate * BURST_S, MIN_BURST_BYTES)

    def has(self, size: int, now: float) -> bool:
        """Whether ``size`` bytes may pass; charges nothing."""
        then, self._then = self._then, now
        if then is not None and now > then:
            self._left = min(self.burst, self._left + (now - then) * self._rate)
        return self._left >= size

    def take(self, size: int, now: float) -> bool:
        """Charge ``size`` bytes; False, and nothing charged, if there are not so many."""
        if not self.has(size, now):
            return False
        self._left -= size
        return True

    def charge(self, size: int, now: float) -> float:
        """Charge ``size`` bytes that have passed already; the seconds until what is owed is paid, 0 if nothing is."""
        self.has(0, now)
        self._left -= size
        return min(MAX_DEBT_S, -self._left / self._rate if self._rate else MAX_DEBT_S) if self._left < 0 else 0.0


def take_all(meters: Iterable[Meter], size: int, now: float) -> bool:
    """Charge every one of ``meters``, or none of them and return False."""
    for meter in meters:
        if not meter.has(size, now):
            return False
    for meter in meters:
        meter.take(size, now)
    return True
