"""What each worker gets of what there is once: relay ports, limits of the whole daemon, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

VARIABLE = "WORKER_OF_RTCD"
"""In the environment of a worker: its number, how many there are, its channel's descriptor, and whether nobody reads what
it writes to its standard output."""

MIN_PORTS = 2
"""A client may ask for an even port and the one above it (RFC 8656 §7.2)."""

TOTALS = {
    "doorway": ("max_connections", "max_undecided"),
    "turn": ("max_connections", "total_quota", "bps_capacity"),
}
"""Settings that limit the daemon as a whole. Those that limit one user, address or network hold for each worker."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which worker of how many; the first one is number 1, and does what only one may do."""

    number: int
    count: int

    @property
    def first(self) -> bool:
        """Whether it is the one that there has to be one of."""
        return self.number == 1


def ports(first: int, last: int, place: Place) -> range:
    """The relay ports of one worker. Raises ValueError if there are too few for all of them.

    Each gets its ports in one piece that begins at an even one, if the whole does, so that pairs stay together.
    """
    pairs = (last - first + 1) // MIN_PORTS
    if pairs < place.count:
        raise ValueError(f"{last - first + 1} relay ports are too few for {place.count} workers, which need "
                         f"{MIN_PORTS} each; widen min-port to max-port, or set [daemon] workers = {max(1, pairs)}")
    start, end = (first + MIN_PORTS * (pairs * at // place.count) for at in (place.number - 1, place.number))
    return range(start, last + 1 if place.number == place.count else end)


def share(settings: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The settings of one worker: of each limit of the whole daemon its part, rounded up, and 0 stays no limit."""
    found = dict(settings)
    for section, names in TOTALS.items():
        whole = settings.get(section)
        if whole is None:
            continue
        parts = {name: -(-getattr(whole, name) // place.count) for name in names}
        if section == "turn" and whole.bps_capacity:
            parts["bps_capacity"] = max(whole.max_bps, parts["bps_capacity"])
        found[section] = replace(whole, **parts)
    return found


def outward(number: int, place: Place) -> int:
    """What others call number ``number`` of this worker, so that no two workers have the same."""
    return number * place.count + place.number - 1


def inward(number: int, count: int) -> tuple[int, int]:
    """The worker that has this number, and what it calls it."""
    return number % count + 1, number // count


def behind(after: int, place: Place) -> int:
    """The greatest of a worker's own numbers whose outward one is not greater than ``after``; -1 if it has none."""
    return (after - (place.number - 1)) // place.count
