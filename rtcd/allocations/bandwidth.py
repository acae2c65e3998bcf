"""`Bandwidth`: which meters (rtcd.allocations.meter) an allocation is charged to. The relay plane charges them.

Each allocation has two of its own, one a direction, and shares two with all allocations of its user.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from rtcd.allocations.meter import Meter

Pair = tuple[Meter, Meter]
"""For what goes to peers, and for what comes from them."""

MAX_LEFT = 4096
"""Users without an allocation whose meters are remembered, so that nobody fills his by coming back; one more and the one
who left first is forgotten."""


class Bandwidth:
    """The meters of users that have allocations, and of those who had some lately."""

    def __init__(self, new: Callable[[float], Meter] = Meter) -> None:
        """``new(rate)``: a meter of so many bytes a second."""
        self._new = new
        self._users: dict[str, Pair] = {}
        self._left: OrderedDict[str, Pair] = OrderedDict()

    def __len__(self) -> int:
        return len(self._users)

    def meters(self, user: str, own_rate: int, user_rate: int) -> tuple[tuple[Meter, ...], tuple[Meter, ...]]:
        """Those for what goes up and for what comes down of a new allocation. Rates in bytes a second, 0 is no limit."""
        pairs: list[Pair] = []
        if own_rate:
            pairs.append((self._new(own_rate), self._new(own_rate)))
        if user_rate:
            pairs.append(self._of_user(user, user_rate))
        return tuple(up for up, _ in pairs), tuple(down for _, down in pairs)

    def forget(self, user: str) -> None:
        """He has no allocation any more."""
        pair = self._users.pop(user, None)
        if pair is not None:
            self._left[user] = pair
            if len(self._left) > MAX_LEFT:
                self._left.popitem(last=False)

    def _of_user(self, user: str, rate: int) -> Pair:
        pair = self._users.get(user)
        if pair is None:
            pair = self._users[user] = self._left.pop(user) if user in self._left else (self._new(rate), self._new(rate))
        for meter in pair:
            if meter.rate != rate:
                meter.rate = rate
        return pair
