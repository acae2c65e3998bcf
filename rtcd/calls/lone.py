"""`Lone`: a call in which nothing has happened but that one came by joining, and perhaps left again.

Every call begins so, and ends so where somebody only tried a room. Such records are all alike: they are made when somebody
looks, or when more happens; till then a few facts are enough.
"""

from __future__ import annotations

from itertools import islice
from typing import Protocol

import msgspec

from rtcd.bucket import masked
from rtcd.calls.record import MAX_ROOM_CHARS, Call, Event, Person, encode, letter_of, shown_name

MAX_LONE = 2500
"""Calls of which no more is kept than this; one more has its record at once."""
MOST_BYTES = 1000
"""Of a line, without its room."""
FIRST = letter_of(0)


class Tags(Protocol):
    """What rooms and clients are called under the secrets of one time, as rtcd.ice.credentials has it."""

    @property
    def next(self) -> Tags | None:
        """Those that took their place."""

    def room_tags(self, room: str) -> tuple[str, ...]:
        """One a secret, the signing one first."""

    def users_since(self, room: str, client: str) -> tuple[str, ...]:
        """Every user that a name of this client may be made out to since these secrets: ``<room tag>-<client tag>``."""


class Lone(msgspec.Struct):
    """Who came, and when."""

    id: str
    room: str
    began_at: float
    client: str
    page: str
    address: str
    """As of `rtcd.rooms.outcome.Came`, these three."""
    turn: str
    places: tuple[str, ...]
    """As of `rtcd.calls.record.Call`, both."""
    tags: Tags
    """Of the time at which it began."""
    left_at: float | None = None
    """None: is here."""
    why: str = ""
    until: float = 0.0
    """As of `rtcd.calls.live.Live`."""
    made: bytes = b""
    """`line`, once it was asked for."""
    crowded: bool = False
    """As of `rtcd.calls.record.Person`."""
    room_tags: tuple[str, ...] = ()
    """Of its room, under these secrets and later ones, up to those of `learned`: once they were asked for."""
    learned: Tags | None = None

    @property
    def kind(self) -> str:
        """As of `rtcd.calls.record.Person`."""
        return "page" if self.page else "app"

    @property
    def ended_at(self) -> float:
        """Of one that has left."""
        return self.began_at if self.left_at is None else max(self.left_at, self.began_at)

    @property
    def most_bytes(self) -> int:
        """What `line` takes at most."""
        return MOST_BYTES + 4 * min(len(self.room), MAX_ROOM_CHARS)

    @property
    def line(self) -> bytes:
        """The record as it is kept, of one that has left."""
        if not self.made:
            self.made = encode(self.call())
        return self.made

    def learn(self) -> tuple[str, ...]:
        """What else its room is called now."""
        known, tags = len(self.room_tags), self.tags if self.learned is None else self.learned.next
        while tags is not None:
            self.room_tags += tags.room_tags(self.room)
            self.learned, tags = tags, tags.next
        return self.room_tags[known:]

    def call(self) -> Call:
        """The record, as `rtcd.calls.changes` would have made it."""
        began, left, why = self.began_at, self.left_at, self.why
        network, tag = masked(self.address), self.tags.room_tags(self.room)[0]
        events = (Event(began, "came", FIRST, {"kind": self.kind, "network": network}),)
        if left is None:
            # socket_at is told, as of all who came
            person = Person(FIRST, self.kind, network, began, socket_at=0.0, crowded=self.crowded)
            return Call(self.id, shown_name(self.room), began, turn=self.turn, places=self.places, tag=tag, people=(person,),
                        events=events)
        person = Person(FIRST, self.kind, network, began, left, why, socket_at=0.0, crowded=self.crowded)
        return Call(
            self.id, shown_name(self.room), began, self.ended_at, why, self.turn, self.places, tag, (person,),
            events=(*events, Event(left, "gone", FIRST, {"why": why}), Event(left, "end", "", {"why": why})))


class Lones:
    """Those that there are, by id, by address, and by what their rooms are called: this once it is asked for."""

    def __init__(self) -> None:
        self._all: dict[str, Lone] = {}
        self._addresses: dict[str, dict[str, Lone]] = {}
        self._tags: dict[str, dict[str, Lone]] = {}
        self._unlearned: dict[str, Lone] = {}
        """Whose rooms may be called something that we do not know yet."""
        self._last: Tags | None = None
        """The newest when there were none of these."""

    def __len__(self) -> int:
        return len(self._all)

    def add(self, lone: Lone) -> None:
        """One more."""
        self._all[lone.id] = self._unlearned[lone.id] = lone
        there = self._addresses.get(lone.address)
        if there is None:
            self._addresses[lone.address] = {lone.id: lone}
        else:
            there[lone.id] = lone

    def remove(self, lone: Lone) -> None:
        """One that there is."""
        del self._all[lone.id]
        self._unlearned.pop(lone.id, None)
        _drop(self._addresses, lone.address, lone)
        for tag in lone.room_tags:
            _drop(self._tags, tag, lone)

    def first(self, most: int) -> list[Lone]:
        """So many, or all: those that began first."""
        return list(islice(self._all.values(), most))

    def at(self, address: str) -> tuple[Lone, ...]:
        """Who came from there."""
        return tuple(self._addresses.get(address, {}).values())

    def of(self, room_tag: str) -> tuple[Lone, ...]:
        """Whose rooms are, or were while they were there, called so."""
        if self._last is not None and self._last.next is not None:
            self._unlearned = dict(self._all)
        for lone in self._unlearned.values():
            for tag in lone.learn():
                self._tags.setdefault(tag, {})[lone.id] = lone
            self._last = lone.learned
        self._unlearned.clear()
        return tuple(self._tags.get(room_tag, {}).values())


def _drop(table: dict[str, dict[str, Lone]], key: str, lone: Lone) -> None:
    there = table.get(key)
    if there is not None and there.pop(lone.id, None) is not None and not there:
        del table[key]
