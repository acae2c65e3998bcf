"""What is known of one call: who came and went, what each signalled, what TURN did for them, and what their pages tell.

Values. ``changes`` makes them of what happens; what they add up to is ``verdict``'s, where they come from ``keeper``'s.
A record names nobody: people are letters, addresses are networks, and no text that they said to each other is in it.
"""

from __future__ import annotations

import msgspec

MAX_ROOM_CHARS = 256

Values = dict[str, str | int | float]


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the time line."""

    at: float
    """Unix seconds."""
    what: str
    """One of the words of `rtcd.calls.texts`, ``event.…``."""
    who: str = ""
    """The letter of the one who it is about; empty for the call."""
    values: Values = {}
    times: int = 1
    """How often, from `at` on."""


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One quantity over many looks."""

    looks: int = 0
    total: float = 0.0
    most: float = 0.0
    last: float = 0.0

    @property
    def mean(self) -> float:
        """Over all looks; 0 without any."""
        return self.total / self.looks if self.looks else 0.0

    def add(self, value: float | None) -> Figure:
        """With another look; None is none."""
        if value is None:
            return self
        return Figure(self.looks + 1, round(self.total + value, 4), round(max(self.most, value), 4), round(value, 4))


class Pair(msgspec.Struct, frozen=True, omit_defaults=True):
    """The chosen candidate pair as one side sees it: types, and by what the own relay is reached."""

    local: str
    remote: str
    protocol: str = "udp"
    relay: str = ""
    """``udp``, ``tcp`` or ``tls``, where ``local`` is ``relay``."""


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person's connection to another, as the first one's page tells of it."""

    who: str
    to: str
    state: str = ""
    """The last one."""
    connected_at: float = 0.0
    """For the first time; 0: never."""
    pair: Pair | None = None
    """The last one."""
    pairs: int = 0
    """How often it was another one."""
    failures: int = 0
    steps: dict[str, int] = {}
    """What the page did about trouble: ``interrupted``, ``relay``, ``renewing``."""
    poor: int = 0
    """Looks at which it was."""
    rtt_ms: Figure = Figure()
    loss_out: Figure = Figure()
    loss_in: Figure = Figure()
    kbps_out: Figure = Figure()
    kbps_in: Figure = Figure()


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """One who held a seat: a letter."""

    letter: str
    kind: str
    """``page``, ``app`` or ``loopback``."""
    network: str
    came_at: float
    gone_at: float = 0.0
    """0: is here."""
    why: str = ""
    """How the seat was lost, `rtcd.rooms.outcome.Ending` or ``stopped``."""
    leaving: str = ""
    """What the page said of its going: ``hangup``, ``closed``, ``failed``."""
    socket_at: float = 0.0
    """When its WebSocket was open for the first time; 0: never."""
    offers: int = 0
    answers: int = 0
    candidates: dict[str, int] = {}
    """How many of each type and transport: ``srflx udp``."""
    networks: tuple[str, ...] = ()
    """Where it is seen from outside, by its own candidates."""
    knocks: dict[str, int] = {}
    """Requests for allocations without credentials from its address, by transport: the first that every client sends."""
    relays: dict[str, int] = {}
    """Allocations, by transport."""
    refusals: dict[str, int] = {}
    """TURN requests that failed: ``allocate 486``; `` 401`` for a wrong password."""
    limits: tuple[str, ...] = ()
    """Which limits those of 486 and 508 were."""
    crowded: bool = False
    """So many share its address that nobody knows whose the requests without credentials were that came from there."""
    unserved: bool = False
    """Its page could not get the ICE servers."""
    denied: int = 0
    """Peers that its relays may not reach, though they are no private addresses."""
    relayed_out: int = 0
    """Bytes of payload that its relays that have ended carried from it ..."""
    relayed_in: int = 0
    """... and to it."""
    devices: tuple[str, ...] = ()
    """What of its devices could not be had: ``NotAllowedError video``."""

    @property
    def types(self) -> tuple[str, ...]:
        """The types of its candidates, from near to far."""
        have = {one.partition(" ")[0] for one in self.candidates}
        return tuple(one for one in ("host", "srflx", "prflx", "relay") if one in have)


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """A room from its first client to its last."""

    id: str
    room: str
    began_at: float
    ended_at: float = 0.0
    """0: it is on."""
    why: str = ""
    """How the last seat was lost; ``stopped`` by us, ``crashed``: nobody knows, since we were not there any more."""
    turn: str = ""
    """``here``: this daemon relays; ``elsewhere``: clients are given other servers; empty: neither."""
    places: tuple[str, ...] = ()
    """Where this daemon's relay can be asked: ``udp 3478``."""
    tag: str = ""
    """What the log calls its room: it stands before the dash in the tag of each of its clients."""
    people: tuple[Person, ...] = ()
    links: tuple[Link, ...] = ()
    turned_away: dict[str, int] = {}
    """Who got no seat, by reason."""
    events: tuple[Event, ...] = ()
    left_out: int = 0
    """Events that had to make room."""
    forgotten: int = 0
    """People who had to."""

    def person(self, letter: str) -> Person | None:
        """The one of this letter."""
        for one in self.people:
            if one.letter == letter:
                return one
        return None

    def link(self, who: str, to: str) -> Link | None:
        """What ``who`` told of its connection to ``to``."""
        return next((one for one in self.links if (one.who, one.to) == (who, to)), None)


encode = msgspec.json.Encoder().encode
"""What is kept of a call, as JSON."""


def shown_name(room: str) -> str:
    """A room's name as records have it: what clients make up may be long, and hold what no terminal should be given."""
    if room.isprintable():
        return room[:MAX_ROOM_CHARS]
    return "".join(one if one.isprintable() else "?" for one in room[:MAX_ROOM_CHARS])


def letter_of(number: int) -> str:
    """A to Z for the first people, then A2, B2 and so on."""
    return chr(ord("A") + number % 26) + (str(number // 26 + 1) if number >= 26 else "")
