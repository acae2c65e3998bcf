"""Counters, gauges and histograms of the daemon, and how they are named: ``rtcd_<service>_<what>_<unit or total>``.

Shells count, cores return. A counter is a plain integer to add to, so that a packet's path pays nothing for it.
Labels come from small fixed sets, never from a room or a user.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple

_NAME = re.compile(r"[a-z][a-z0-9_]*")

MAX_SERIES = 2000
"""More series than this mean that a label is not from a small fixed set: that is our bug."""


class Counter:
    """A number that only grows. ``counter.value += 1`` is the way to count."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Histogram:
    """How often a value was how large. ``bounds`` are the upper ends of its buckets, each included, in ascending order."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """How many fell into each bucket; the last one is for what is larger than every bound."""
        self.total = 0.0
        """The sum of all values."""

    def observe(self, value: float) -> None:
        """Count a value. A negative one, such as a time in which the clock was put back, counts as nothing."""
        if value < 0.0:
            value = 0.0
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


Labels = tuple[tuple[str, str], ...]
_Series = tuple[str, Labels]


class Sample(NamedTuple):
    """One series as it stands now."""

    name: str
    """That of a histogram ends in ``_bucket``, ``_sum`` or ``_count``."""
    labels: Labels
    value: float
    kind: str
    """``counter``, ``gauge`` or ``histogram``."""
    text: str


class Metrics:
    """The registry that all services share."""

    def __init__(self) -> None:
        self._counters: dict[_Series, Counter] = {}
        self._gauges: dict[_Series, Callable[[], float]] = {}
        self._histograms: dict[_Series, Histogram] = {}
        self._texts: dict[str, str] = {}
        self._before: list[Callable[[], None]] = []

    def counter(self, service: str, what: str, text: str, **labels: str) -> Counter:
        """The counter ``rtcd_<service>_<what>_total`` with these labels; the same one at each call."""
        key = self._key(f"rtcd_{service}_{what}_total", text, labels)
        if key not in self._counters:
            self._make_room(key[0], 1)
            self._counters[key] = Counter()
        return self._counters[key]

    def gauge(self, service: str, what: str, text: str, read: Callable[[], float], **labels: str) -> None:
        """Register ``rtcd_<service>_<what>`` with these labels, whose value ``read`` tells when it is asked for."""
        key = self._key(f"rtcd_{service}_{what}", text, labels)
        if key not in self._gauges:
            self._make_room(key[0], 1)
        self._gauges[key] = read

    def histogram(self, service: str, what: str, text: str, bounds: tuple[float, ...], **labels: str) -> Histogram:
        """The histogram ``rtcd_<service>_<what>`` with these labels; the same one at each call, with the bounds of the
        first. ``what`` ends in the unit, such as ``seconds``."""
        key = self._key(f"rtcd_{service}_{what}", text, labels)
        if key not in self._histograms:
            self._make_room(key[0], len(bounds) + 3)
            self._histograms[key] = Histogram(bounds)
        return self._histograms[key]

    def forget(self, service: str, **labels: str) -> None:
        """Let go of every series of a service that has all of these labels: what they name is gone, as a configuration
        says."""
        wanted, begins = labels.items(), f"rtcd_{service}_"
        for table in (self._counters, self._gauges, self._histograms):
            for key in [one for one in table if one[0].startswith(begins) and wanted <= dict(one[1]).items()]:
                del table[key]

    def now(self, name: str) -> float | None:
        """What the gauges of this whole name say now, together; no other is read. None if there is none."""
        found = [read() for (one, _), read in self._gauges.items() if one == name]
        return sum(found) if found else None

    def before_reading(self, bring_up_to_date: Callable[[], None]) -> None:
        """Call this whenever the series are about to be read: for counters of what is counted elsewhere."""
        self._before.append(bring_up_to_date)

    def samples(self) -> Iterator[Sample]:
        """Every series, sorted by name: the counters, then the gauges, then the histograms."""
        for bring_up_to_date in self._before:
            bring_up_to_date()
        for (name, labels), counter in sorted(self._counters.items(), key=lambda item: item[0]):
            yield Sample(name, labels, counter.value, "counter", self._texts[name])
        for (name, labels), read in sorted(self._gauges.items(), key=lambda item: item[0]):
            yield Sample(name, labels, read(), "gauge", self._texts[name])
        for (name, labels), histogram in sorted(self._histograms.items(), key=lambda item: item[0]):
            yield from self._of_histogram(name, labels, histogram)

    def _of_histogram(self, name: str, labels: Labels, histogram: Histogram) -> Iterator[Sample]:
        text, seen = self._texts[name], 0
        for bound, count in zip((*map(str, histogram.bounds), "+Inf"), histogram.counts, strict=True):
            seen += count
            yield Sample(f"{name}_bucket", (*labels, ("le", bound)), seen, "histogram", text)
        yield Sample(f"{name}_count", labels, seen, "histogram", text)
        yield Sample(f"{name}_sum", labels, histogram.total, "histogram", text)

    def _make_room(self, name: str, more: int) -> None:
        of_histograms = sum(len(one.bounds) + 3 for one in self._histograms.values())
        if len(self._counters) + len(self._gauges) + of_histograms + more > MAX_SERIES:
            raise ValueError(f"{name}: more than {MAX_SERIES} series")

    def _key(self, name: str, text: str, labels: dict[str, str]) -> _Series:
        return self._name(name, text), tuple(sorted(labels.items()))

    def _name(self, name: str, text: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no metric name")
        self._texts.setdefault(name, text)
        return name
