"""`Speaker`: in which rooms this process may pass texts on without asking, and those that are on their way to others. No
input or output of its own; what the floor is and why it is safe is told in ``floors``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import msgspec

from rtcd.cluster.backend import GRANT, RECALL, Commit, Entry

MAX_BATCH = 262144
"""Characters that are kept for the end of the reactor's turn; more are sent at once."""


class Row(NamedTuple):
    """A text on its way."""

    room: str
    client: str
    """Who says it."""
    to: tuple[str, ...]
    """Whom the process that gets it is to hand it to; empty: it is for watchers alone."""
    text: str


Way: TypeAlias = "tuple[tuple[tuple[str, str], ...], tuple[tuple[str, tuple[str, ...]], ...]] | None"
"""Whom a client's texts go to: room and client of sockets here; and by other node its clients. None: the ordinary way."""


class Floor:
    """That of one room, while we have it."""

    __slots__ = ("number", "value", "version", "ways")

    def __init__(self, number: int, version: int, value: bytes) -> None:
        self.number = number
        self.version = version
        self.value = value
        """The room of this version, as it is kept."""
        self.ways: dict[str, Way] = {}
        """By client, as far as they were found out."""


class Speaker:
    """See the module. ``tell(*words)`` says something to the hub, which hears it in the order in which it is said, and
    is False if it cannot be reached; ``later`` calls something at the end of this turn."""

    def __init__(self, node: str, tell: Callable[..., object], later: Callable[[Callable[[], None]], object]) -> None:
        self.node = node
        self.until = 0.0
        """When we may speak no more, unless the hub hears of us again."""
        self.floors: dict[str, Floor] = {}
        self.hears = False
        """Whether we have watchers who are told of texts."""
        self.seen = 0
        """The number of the last grant that has come."""
        self._hearing: tuple[str, ...] = ()
        self._void = 0.0
        self._under_way: Counter[str] = Counter()
        self._rows: dict[str, list[Row]] = {}
        self._size = 0
        self._tell = tell
        self._later = later

    @property
    def hearing(self) -> tuple[str, ...]:
        """The other nodes that have watchers."""
        return self._hearing

    def take(self, entry: Entry) -> None:
        """A grant, or a call for one."""
        if entry.kind == GRANT:
            self.seen = max(self.seen, entry.serial)
            if entry.serial > self._void and entry.name not in self._under_way:  # else the hub knows that we do without it
                self.floors[entry.name] = Floor(entry.serial, entry.version, entry.data)
        elif entry.kind == RECALL:
            floor = self.floors.get(entry.name)
            if floor is not None and floor.number == entry.serial:
                del self.floors[entry.name]
            self.say("back", entry.name, entry.serial)

    def hear(self, nodes: Sequence[str]) -> None:
        """These have watchers."""
        self._hearing = tuple(one for one in nodes if one != self.node)
        for floor in self.floors.values():
            floor.ways.clear()

    @contextmanager
    def committing(self, commit: Commit) -> Iterator[None]:
        """As long as a commit is about to be sent and is not answered. It gives back the floor, unless it is of texts."""
        self.flush()
        name = commit.name
        if not commit.text:
            self.floors.pop(name, None)
            self._under_way[name] += 1
        try:
            yield
        finally:
            if not commit.text:
                self._under_way[name] -= 1
                if not self._under_way[name]:
                    del self._under_way[name]

    def clear(self) -> None:
        """We have no floor any more, and take none until we are `cleared`."""
        self.floors.clear()
        self._void = float("inf")
        self.until = 0.0

    def cleared(self, number: int) -> None:
        """The hub knows of it; the grants up to this number were before."""
        self._void = self.seen = number

    def say(self, *words: object) -> None:
        """Say something to the hub, behind what was passed on."""
        self.flush()
        self._tell(*words)

    def pass_on(self, node: str, row: Row) -> None:
        """A text for another process."""
        first = not self._rows
        self._rows.setdefault(node, []).append(row)
        self._size += len(row.text)
        if self._size > MAX_BATCH:
            self.flush()
        elif first:
            self._later(self.flush)

    def flush(self) -> None:
        """Send what was passed on; it stays for later if the hub cannot be reached."""
        if self._rows:
            rows, size, self._rows, self._size = self._rows, self._size, {}, 0
            if self._tell("pass", [(node, _packed(ones)) for node, ones in rows.items()]) is False:
                self._rows, self._size = rows, size


def rows_of(data: bytes) -> list[Row]:
    """The texts of an entry."""
    return _rows(data)


_packed = msgspec.msgpack.Encoder().encode
_rows = msgspec.msgpack.Decoder(list[Row]).decode
