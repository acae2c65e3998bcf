"""`Guesses`: from where, and how often, a password may be tried. Networks from which somebody has logged in before have
a share of their own, so that strangers who try without end keep nobody out but each other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from rtcd.bucket import Buckets

GUESSES_PER_S = 0.1
"""Wrong passwords of one network in the long run."""
GUESSES_AT_ONCE = 10
WIDE_PER_S = 0.5
"""Wrong passwords of all networks of one neighbourhood, which may be one person's."""
WIDE_AT_ONCE = 30
TRIES_PER_S = 3.0
"""Passwords, right or wrong, of all strangers together; and as many of all who are known."""
MAX_AT_ONCE = 2
"""Passwords of strangers that are checked at one time; one who is known finds one place more."""
MAX_KNOWN = 100
"""Networks that are known; one more makes the one forgotten from which nobody has logged in for longest."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where somebody comes from."""

    network: str
    """What one person can be expected to have: `rtcd.bucket.network`."""
    neighbourhood: str
    """The IPv4 /24 or IPv6 /48 around it."""


class Guesses:
    """Counts tries, and those that are being checked now."""

    def __init__(self) -> None:
        self._own = Buckets(GUESSES_PER_S, GUESSES_AT_ONCE)
        self._wide = Buckets(WIDE_PER_S, WIDE_AT_ONCE)
        self._tries = Buckets(TRIES_PER_S, TRIES_PER_S, 2)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._checking = 0

    def take(self, origin: Origin, now: float) -> bool:
        """Whether another password may be tried from there now. One that may not be costs nothing."""
        known = origin.network in self._known
        wanted: list[tuple[Buckets, Hashable]] = [(self._tries, known), *self._of(origin)]
        for place, (buckets, source) in enumerate(wanted):
            if not buckets.allow(source, now):
                for one, its in wanted[:place]:
                    one.give_back(its)
                return False
        return True

    def begin(self, origin: Origin) -> bool:
        """Whether there is a place to check one that was taken; `end` gives it back. Without one it was no guess."""
        known = origin.network in self._known
        if self._checking >= MAX_AT_ONCE + known:
            self._tries.give_back(known)
            self._give_back(origin)
            return False
        self._checking += 1
        return True

    def end(self) -> None:
        """One has been checked."""
        self._checking -= 1

    def right(self, origin: Origin) -> None:
        """It was no guess: it is not counted, and the network is known from now on."""
        self._give_back(origin)
        self._known[origin.network] = None
        self._known.move_to_end(origin.network)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def _give_back(self, origin: Origin) -> None:
        for buckets, source in self._of(origin):
            buckets.give_back(source)

    def _of(self, origin: Origin) -> list[tuple[Buckets, Hashable]]:
        """What a guess from there costs; strangers next door cost one who is known nothing."""
        own = (self._own, origin.network)
        return [own] if origin.network in self._known else [own, (self._wide, origin.neighbourhood)]
