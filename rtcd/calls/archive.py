"""The calls that are over: so many, for so long, each as a line of JSON, which is also how they lie in their file.

Rooms in which only one person ever was make room first: whoever opens many of them cannot drive out calls. The line of a
`rtcd.calls.lone.Lone` is made when it is asked for.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator

import msgspec

from rtcd.calls.changes import ended
from rtcd.calls.lone import Lone
from rtcd.calls.record import Call, encode, shown_name

MAX_CALLS = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""Of all lines."""

_Entry = tuple[float, str, int, bytes | Lone]
"""End, room, bytes that it counts for, and its line."""

_decode = msgspec.json.Decoder(Call).decode


class Archive:
    """By id, the one that ended first first."""

    def __init__(self, max_calls: int = MAX_CALLS, max_bytes: int = MAX_BYTES) -> None:
        self._max_calls = max_calls
        self._max_bytes = max_bytes
        self._lonely: OrderedDict[str, _Entry] = OrderedDict()
        self._others: OrderedDict[str, _Entry] = OrderedDict()
        self._bare: dict[str, Lone] = {}
        """Those whose line is not made, the one that ended first first."""
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._lonely) + len(self._others)

    def add(self, call: Call) -> None:
        """Keep one that is over."""
        self._drop(call.id)
        table = self._others if len(call.people) > 1 or call.turned_away else self._lonely
        line = encode(call)
        self._add(table, call.id, (call.ended_at, call.room, len(line), line))

    def add_lone(self, lone: Lone) -> None:
        """The same."""
        self._bare[lone.id] = lone
        self._add(self._lonely, lone.id, (lone.ended_at, shown_name(lone.room), lone.most_bytes, lone))

    def make_lines(self, most: int) -> bool:
        """Of so many. Whether all are made now."""
        for id_ in list(itertools.islice(self._bare, most)):
            _ = self._bare.pop(id_).line
        return not self._bare

    def _add(self, table: OrderedDict[str, _Entry], id_: str, entry: _Entry) -> None:
        table[id_] = entry
        self.bytes += entry[2]
        while len(self._lonely) + len(self._others) > self._max_calls or self.bytes > self._max_bytes:
            id_, first = (self._lonely or self._others).popitem(last=False)
            self._bare.pop(id_, None)
            self.bytes -= first[2]

    def get(self, id_: str) -> Call | None:
        """The call of this id."""
        found = self._others.get(id_) or self._lonely.get(id_)
        return _decode(_line(found)) if found else None

    def calls(self, room: str | None = None, since: float = 0.0, after: str | None = None) -> Iterator[Call]:
        """Those of a room, or all, that ended at ``since`` or later, the last one first; if ``after`` is given only those
        behind the one with this id."""
        tables = (reversed(table.items()) for table in (self._lonely, self._others))
        for id_, entry in heapq.merge(*tables, key=lambda one: one[1][0], reverse=True):
            if entry[0] < since or room not in (None, entry[1]):
                continue
            if after is None:
                yield _decode(_line(entry))
            elif id_ == after:
                after = None

    def expire(self, before: float) -> None:
        """Forget those that ended before this moment."""
        for table in (self._lonely, self._others):
            for id_ in [id_ for id_, _ in itertools.takewhile(lambda one: one[1][0] < before, table.items())]:
                self._drop(id_)

    def lines(self, more: Iterable[Call] = ()) -> list[bytes]:
        """What goes into the file; ``more``: calls that are on."""
        tables = (self._lonely, self._others)
        return [*(_line(entry) for table in tables for entry in table.values()), *map(encode, more)]

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
        self._bare.clear()
        self.bytes = 0

    def _drop(self, id_: str) -> None:
        self._bare.pop(id_, None)
        for table in (self._lonely, self._others):
            if id_ in table:
                self.bytes -= table.pop(id_)[2]


def _line(entry: _Entry) -> bytes:
    what = entry[3]
    return what if isinstance(what, bytes) else what.line
