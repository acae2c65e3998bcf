"""`Lone`: a call in which nothing has happened but that one came by joining, and perhaps left again.

Every call begins so, and ends so where somebody only tried a room. Such records are all alike: they are made when somebody
looks, or when more happens; till then a few facts are enough.
"""

from __future__ import annotations

from collections.abc import Callable

from rtcd.bucket import masked
from rtcd.calls.record import MAX_ROOM_CHARS, Call, Event, Person, encode, letter_of, shown_name

MAX_LONE = 2500
"""Calls of which no more is kept than this; one more has its record at once. To make all takes a tenth of a second."""
MOST_BYTES = 900
"""Of a line, without its room and its places."""
FIRST = letter_of(0)


class Lone:
    """Who came, and when."""

    __slots__ = ("_line", "_tag", "address", "began_at", "client", "id", "left_at", "page", "places", "room", "turn",
                 "until", "why")

    def __init__(
        self, id_: str, room: str, began_at: float, client: str, page: str, address: str, tag: Callable[[str], str]
    ) -> None:
        """``page`` and ``address``: as of `rtcd.rooms.outcome.Came`. ``tag`` tells what the log calls a room."""
        self.id = id_
        self.room = room
        self.began_at = began_at
        self.client = client
        self.page = page
        self.address = address
        self.turn = ""
        self.places: tuple[str, ...] = ()
        """As of `rtcd.calls.record.Call`, both."""
        self.left_at: float | None = None
        """None: is here."""
        self.why = ""
        self.until = 0.0
        """As of `rtcd.calls.live.Live`."""
        self._tag = tag
        self._line = b""

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
        return MOST_BYTES + 4 * min(len(self.room), MAX_ROOM_CHARS) + sum(map(len, self.places))

    @property
    def line(self) -> bytes:
        """The record as it is kept, of one that has left."""
        if not self._line:
            self._line = encode(self.call())
        return self._line

    def call(self) -> Call:
        """The record, as `rtcd.calls.changes` would have made it."""
        began, left, why = self.began_at, self.left_at, self.why
        network, tag = masked(self.address), self._tag(self.room)
        events = (Event(began, "came", FIRST, {"kind": self.kind, "network": network}),)
        if left is None:
            person = Person(FIRST, self.kind, network, began, socket_at=0.0)  # told, as of all who came
            return Call(self.id, shown_name(self.room), began, turn=self.turn, places=self.places, tag=tag, people=(person,),
                        events=events)
        person = Person(FIRST, self.kind, network, began, left, why, socket_at=0.0)
        return Call(
            self.id, shown_name(self.room), began, self.ended_at, why, self.turn, self.places, tag, (person,),
            events=(*events, Event(left, "gone", FIRST, {"why": why}), Event(left, "end", "", {"why": why})))
