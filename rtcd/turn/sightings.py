"""`Sightings`: what arrived here of the few clients that somebody asks about, by which way, and what became of it.

For tests of a path from both of its ends (rtcd.check): a client tells what it sent, this tells what came. Only a client's
first words count, Binding and Allocate: a path on which these come and go carries the rest too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rtcd.allocations.allocation import FiveTuple
from rtcd.bucket import network
from rtcd.stun.attributes import USERNAME
from rtcd.stun.message import decode
from rtcd.turn.answers import code_of

MAX_WATCHED = 64
"""Clients that are watched at once."""
MAX_SIGHTS = 32
"""Ways that are told apart for each: a daemon has a few ports, each by a few transports."""
MAX_WATCH_S = 180.0
"""So long at most a client is watched."""

_KINDS = {b"\0\1": "stun", b"\0\3": "turn"}
"""The first two bytes of a Binding and of an Allocate request."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What came by one way."""

    kind: str
    """``stun``: Binding, ``turn``: Allocate."""
    transport: str
    """``udp``, ``tcp``, ``tls`` or ``dtls``."""
    port: int
    """The local port it came to."""
    asked: int = 0
    """Requests without a name: a client's first ones, told by the host that they came from."""
    named: int = 0
    """Requests with the user's name. The answer to a request without a name has reached a client that sends these."""
    answered: int = 0
    """Those of both that were answered."""
    code: int = 0
    """The error code of the last answer to a request with the user's name; 0 for success, or if there was none."""
    allocated: bool = False
    """Whether the user got an allocation."""


class _Watched:
    """A client that is watched."""

    __slots__ = ("network", "sights", "until", "user")

    def __init__(self, network: str, user: str, until: float) -> None:
        self.network = network
        self.user = user
        self.until = until
        self.sights: dict[tuple[str, str, int], Sight] = {}

    def at(self, kind: str, five_tuple: FiveTuple) -> Sight:
        """What came by this way till now."""
        key = kind, five_tuple.transport, five_tuple.server[1]
        return self.sights.get(key) or Sight(*key)

    def note(self, sight: Sight, code: int | None) -> None:
        """One more request came by this way, and was answered with this code, or not at all."""
        key = sight.kind, sight.transport, sight.port
        if key in self.sights or len(self.sights) < MAX_SIGHTS:
            self.sights[key] = replace(sight, answered=sight.answered + (code is not None))


class Sightings:
    """Who is watched, and what was seen of each."""

    def __init__(self) -> None:
        self.watched: dict[str, _Watched] = {}
        """By user; empty nearly always, which is all that a packet's path looks at."""

    def look(self, host: str, user: str, until: float, now: float) -> bool:
        """Watch for requests with this user's name, and for those without a name from this host's network, but not longer
        than `MAX_WATCH_S`. False if there are too many already."""
        self._drop(now)
        if user not in self.watched and len(self.watched) >= MAX_WATCHED:
            return False
        self.watched[user] = _Watched(network(host), user, min(until, now + MAX_WATCH_S))
        return True

    def forget(self, user: str) -> None:
        """Watch no longer."""
        self.watched.pop(user, None)

    def looked(self, user: str) -> list[Sight]:
        """What was seen of a user who is watched, in the order in which it came first."""
        found = self.watched.get(user)
        return list(found.sights.values()) if found is not None else []

    def saw(self, data: bytes, five_tuple: FiveTuple, answer: bytes | None, allocated: str | None, now: float) -> None:
        """A STUN message of any client came and got this answer, or none. ``allocated``: the user whose allocation is now
        on the five-tuple."""
        kind = _KINDS.get(data[:2])
        if kind is None:
            return
        self._drop(now)
        name = _name(data)
        code = code_of(answer) if answer is not None else None
        if name is None:
            its_network = network(five_tuple.client[0])
            for one in self.watched.values():
                if one.network == its_network:
                    sight = one.at(kind, five_tuple)
                    one.note(replace(sight, asked=sight.asked + 1), code)
            return
        for one in self.watched.values():
            if name.endswith(one.user):
                sight = one.at(kind, five_tuple)
                one.note(replace(sight, named=sight.named + 1, code=sight.code if code is None else code,
                                 allocated=sight.allocated or allocated == one.user), code)
                return

    def _drop(self, now: float) -> None:
        for user in [user for user, one in self.watched.items() if now >= one.until]:
            del self.watched[user]


def _name(data: bytes) -> str | None:
    """The name in a request; None if there is none. One that cannot be read is nobody's."""
    try:
        return decode(data).get(USERNAME)
    except ValueError:
        return ""
