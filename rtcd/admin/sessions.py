"""Sessions of people who have logged in with the password. They end with the daemon."""

from __future__ import annotations

from collections import OrderedDict

from rtcd.admin.keys import digest

MAX_SESSIONS = 100
"""One more ends the one that was used least recently."""
IDLE_S = 1800.0
"""A session that is not used for so long is over."""
LIFE_S = 43200.0
"""And every one after so long."""


class Sessions:
    """Tokens that are good now; only what they hash to is kept."""

    def __init__(self) -> None:
        self._table: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def begin(self, token: str, now: float) -> None:
        """``token``: unguessable, not used before."""
        self._table[digest(token)] = (now, now)
        if len(self._table) > MAX_SESSIONS:
            self._table.popitem(last=False)

    def find(self, token: str, now: float) -> bool:
        """Whether it is good; to use it keeps it good. A clock that stepped back ends it."""
        key = digest(token)
        began, used = self._table.pop(key, (-LIFE_S, now))
        if not (0 <= now - began < LIFE_S and now - used < IDLE_S):
            return False
        self._table[key] = (began, now)
        return True

    def end(self, token: str) -> None:
        """It is good no more."""
        self._table.pop(digest(token), None)

    def clear(self) -> None:
        """End all: the password is another one."""
        self._table.clear()
