"""The calls that are over: so many, for so long, each as a line of JSON, which is also how they lie in their file.

Rooms in which only one person ever was make room first: whoever opens many of them cannot drive out calls.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator

import msgspec

from rtcd.calls.changes import ended
from rtcd.calls.record import Call

MAX_CALLS = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""Of all lines."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Call).decode


class Archive:
    """By id, the one that ended first first."""

    def __init__(self, max_calls: int = MAX_CALLS, max_bytes: int = MAX_BYTES) -> None:
        self._max_calls = max_calls
        self._max_bytes = max_bytes
        self._lonely: OrderedDict[str, tuple[float, str, bytes]] = OrderedDict()
        self._others: OrderedDict[str, tuple[float, str, bytes]] = OrderedDict()
        """End, room, line."""
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._lonely) + len(self._others)

    def add(self, call: Call) -> None:
        """Keep one that is over."""
        self._drop(call.id)
        table = self._others if len(call.people) > 1 or call.turned_away else self._lonely
        line = _encode(call)
        table[call.id] = call.ended_at, call.room, line
        self.bytes += len(line)
        while len(self) > self._max_calls or self.bytes > self._max_bytes:
            self._drop(next(iter(self._lonely or self._others)))

    def get(self, id_: str) -> Call | None:
        """The call of this id."""
        found = self._others.get(id_) or self._lonely.get(id_)
        return _decode(found[2]) if found else None

    def calls(self, room: str | None = None, since: float = 0.0) -> Iterator[Call]:
        """Those of a room, or all, that ended at ``since`` or later, the last one first."""
        tables = (reversed(table.values()) for table in (self._lonely, self._others))
        for end, name, line in heapq.merge(*tables, key=lambda one: one[0], reverse=True):
            if end >= since and room in (None, name):
                yield _decode(line)

    def expire(self, before: float) -> None:
        """Forget those that ended before this moment."""
        for table in (self._lonely, self._others):
            for id_ in [id_ for id_, (end, _, _) in itertools.takewhile(lambda one: one[1][0] < before, table.items())]:
                self._drop(id_)

    def lines(self, more: Iterable[Call] = ()) -> list[bytes]:
        """What goes into the file; ``more``: calls that are on."""
        tables = (self._lonely, self._others)
        return [*(line for table in tables for _, _, line in table.values()), *map(_encode, more)]

    def load(self, data: bytes) -> int:
        """Take what a file holds; calls that were on when it was written have ended since. Returns how many lines are no
        records. Nothing raises."""
        bad = 0
        found = []
        for line in data.splitlines():
            try:
                call = _decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                bad += 1
                continue
            if not call.ended_at:
                call = ended(call, max([call.began_at, *(one.at for one in call.events)]), "crashed")
            found.append(call)
        for call in sorted(found, key=lambda one: one.ended_at):
            self.add(call)
        return bad

    def clear(self) -> None:
        """Forget all."""
        self._lonely.clear()
        self._others.clear()
        self.bytes = 0

    def _drop(self, id_: str) -> None:
        for table in (self._lonely, self._others):
            if id_ in table:
                self.bytes -= len(table.pop(id_)[2])
