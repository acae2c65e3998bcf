"""Counters and gauges of the daemon, and how they are named: ``rtcd_<service>_<what>_<unit or total>``.

Shells count, cores return. A counter is a plain integer to add to, so that a packet's path pays nothing for it.
Labels come from small fixed sets, never from a room or a user.
"""

from __future__ import annotations

import re
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


class Sample(NamedTuple):
    """One series as it stands now."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float
    kind: str
    text: str


class Metrics:
    """The registry that all services share."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, tuple[tuple[str, str], ...]], Counter] = {}
        self._gauges: dict[str, Callable[[], float]] = {}
        self._texts: dict[str, str] = {}
        self._before: list[Callable[[], None]] = []

    def counter(self, service: str, what: str, text: str, **labels: str) -> Counter:
        """The counter ``rtcd_<service>_<what>_total`` with these labels; the same one at each call."""
        key = (self._name(f"rtcd_{service}_{what}_total", text), tuple(sorted(labels.items())))
        if key not in self._counters:
            if len(self._counters) >= MAX_SERIES:
                raise ValueError(f"{key[0]}: more than {MAX_SERIES} series")
            self._counters[key] = Counter()
        return self._counters[key]

    def gauge(self, service: str, what: str, text: str, read: Callable[[], float]) -> None:
        """Register ``rtcd_<service>_<what>``, whose value ``read`` tells when it is asked for."""
        self._gauges[self._name(f"rtcd_{service}_{what}", text)] = read

    def before_reading(self, bring_up_to_date: Callable[[], None]) -> None:
        """Call this whenever the series are about to be read: for counters of what is counted elsewhere."""
        self._before.append(bring_up_to_date)

    def samples(self) -> Iterator[Sample]:
        """Every series, sorted by name."""
        for bring_up_to_date in self._before:
            bring_up_to_date()
        for (name, labels), counter in sorted(self._counters.items(), key=lambda item: item[0]):
            yield Sample(name, labels, counter.value, "counter", self._texts[name])
        for name, read in sorted(self._gauges.items()):
            yield Sample(name, (), read(), "gauge", self._texts[name])

    def _name(self, name: str, text: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no metric name")
        self._texts.setdefault(name, text)
        return name
