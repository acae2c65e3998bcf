"""`Lone`: a call in which nothing has happened but that one came by joining, and perhaps left again.

Every call begins so, and ends so where somebody only tried a room. Such records are all alike: they are made when somebody
looks, or when more happens; till then a few facts are enough.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from rtcd.bucket import masked
from rtcd.calls.record import MAX_ROOM_CHARS, Call, Event, Person, encode, letter_of, shown_name

MAX_LONE = 2500
"""Calls of which no more is kept than this; one more has its record at once. To make all takes a tenth of a second."""
MOST_BYTES = 1000
"""Of a line, without its room."""
FIRST = letter_of(0)


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
    tag: Callable[[str], str]
    """Tells what the log calls a room."""
    left_at: float | None = None
    """None: is here."""
    why: str = ""
    until: float = 0.0
    """As of `rtcd.calls.live.Live`."""
    made: bytes = b""
    """`line`, once it was asked for."""

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

    def call(self) -> Call:
        """The record, as `rtcd.calls.changes` would have made it."""
        began, left, why = self.began_at, self.left_at, self.why
        network, tag = masked(self.address), self.tag(self.room)
        events = (Event(began, "came", FIRST, {"kind": self.kind, "network": network}),)
        if left is None:
            person = Person(FIRST, self.kind, network, began, socket_at=0.0)  # told, as of all who came
            return Call(self.id, shown_name(self.room), began, turn=self.turn, places=self.places, tag=tag, people=(person,),
                        events=events)
        person = Person(FIRST, self.kind, network, began, left, why, socket_at=0.0)
        return Call(
            self.id, shown_name(self.room), began, self.ended_at, why, self.turn, self.places, tag, (person,),
            events=(*events, Event(left, "gone", FIRST, {"why": why}), Event(left, "end", "", {"why": why})))
