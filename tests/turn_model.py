"""A model of rtcd.turn.server, as simple as can be: who has which relays until when, and what a request must be answered.

It knows no wire format, no plane and no table of deadlines. tests.unit.test_turn_machine holds the server against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rtcd.allocations.allocation import FiveTuple
from rtcd.stun.attributes import Address, family_of

LIFETIME_S, PERMISSION_S, CHANNEL_S, MOVE_S, HOLD_S = 600, 300, 600, 30, 30


@dataclass
class Entry:
    """An allocation."""

    user: str
    place: FiveTuple
    ends: dict[int, float]
    """By family."""
    ticket: bytes = b""
    target: FiveTuple | None = None
    """Where it is arriving."""
    arrives_at: float = 0.0
    permissions: dict[str, float] = field(default_factory=dict)
    channels: dict[int, tuple[Address, float]] = field(default_factory=dict)


class Model:
    """All of them, ports that are held by token, and the quotas."""

    def __init__(self, user_quota: int, total_quota: int) -> None:
        self.user_quota = user_quota
        self.total_quota = total_quota
        self.entries: list[Entry] = []
        self.held: dict[bytes, tuple[int, float, str]] = {}
        """Family, end, and whose it is."""
        self.gone: set[FiveTuple] = set()
        """Connections that are closed."""
        self.away = 0
        """How many clients left a ticket behind."""

    def at(self, place: FiveTuple) -> Entry | None:
        """The one there, ended or not."""
        return next((one for one in self.entries if one.place == place), None)

    def find(self, place: FiveTuple, now: float) -> Entry | None:
        """The living one there; what has ended of it goes."""
        entry = self.at(place)
        if entry is not None:
            self._end(entry, now)
        return self.at(place)

    def arriving(self, place: FiveTuple, now: float) -> Entry | None:
        """The living one that is about to be there."""
        entry = next((one for one in self.entries if one.target == place), None)
        return None if entry is None else self.find(entry.place, now)

    def complete(self, entry: Entry) -> bool:
        """It arrives, if its client is still there."""
        target, entry.target = entry.target, None
        if target is None or target in self.gone:
            return False
        entry.place = target
        return True

    def arrived(self, place: FiveTuple, now: float) -> Entry | None:
        """Something came from there."""
        entry = self.arriving(place, now)
        return entry if entry is not None and self.complete(entry) else None

    def lost(self, place: FiveTuple) -> None:
        """A connection is closed."""
        self.gone.add(place)
        for entry in self.entries:
            if entry.target == place:
                entry.target = None
        entry_there = self.at(place)
        if entry_there is None or self.complete(entry_there):
            return
        if entry_there.ticket:
            self.away += 1
            entry_there.place = place._replace(server=("", self.away))
        else:
            self.entries.remove(entry_there)

    def expire(self, now: float) -> None:
        """The timer."""
        for entry in list(self.entries):
            self._end(entry, now)
        self.held = {token: one for token, one in self.held.items() if now < one[1]}
        for entry in self.entries:
            if entry.target is not None and now >= entry.arrives_at:
                self.complete(entry)

    def next_deadline(self) -> float | None:
        """The first moment at which anything ends."""
        return min((*(end for one in self.entries for end in one.ends.values()), *(end for _, end, _ in self.held.values()),
                    *(one.arrives_at for one in self.entries if one.target is not None)), default=None)

    def allocate(self, place: FiveTuple, user: str, now: float, families: set[int], faulty: set[int], token: bytes) -> int:
        """The error code, 0 for success; then the relays of `families` that are not faulty are there."""
        if self.find(place, now) or self.arriving(place, now):
            return 437
        if token:
            held = self.held.get(token)
            if held is None or now >= held[1]:
                return 508
            families = {held[0]}
        charged = [*(one.user for one in self.entries),
                   *(whose for one, (_, end, whose) in self.held.items() if now < end and one != token)]
        if len(charged) >= self.total_quota or charged.count(user) >= self.user_quota:
            return 486
        self.held.pop(token, None)
        if not families - faulty:
            return 508
        self.entries.append(Entry(user, place, dict.fromkeys(families - faulty, now + LIFETIME_S)))
        return 0

    def refresh(self, place: FiveTuple, user: str, now: float, lifetime_s: int, family: int, ticket: bytes) -> int:
        """Likewise. ``family`` 0 is all; an empty ticket is none."""
        entry, code = self._owned(place, user, now, ticket)
        if entry is None:
            return code
        if family and family not in entry.ends:
            return 443
        if ticket and ticket != entry.ticket:
            return 437
        if lifetime_s:
            entry.ends.update(dict.fromkeys([family] if family else entry.ends, now + lifetime_s))
        else:
            self._close(entry, {family} if family else set(entry.ends))
        if ticket and entry in self.entries and place != entry.place:
            entry.target, entry.arrives_at = place, now + MOVE_S
        return 0

    def permit(self, place: FiveTuple, user: str, now: float, peers: list[Address]) -> int:
        """Likewise."""
        entry, code = self._owned(place, user, now)
        if entry is None:
            return code
        if any(family_of(host) not in entry.ends for host, _ in peers):
            return 443
        entry.permissions.update({host: now + PERMISSION_S for host, _ in peers})
        return 0

    def bind(self, place: FiveTuple, user: str, now: float, channel: int, peer: Address) -> int:
        """Likewise."""
        entry, code = self._owned(place, user, now)
        if entry is None:
            return code
        live = {number: bound for number, (bound, until) in entry.channels.items() if now < until}
        if live.get(channel, peer) != peer or any(bound == peer and number != channel for number, bound in live.items()):
            return 400
        if family_of(peer[0]) not in entry.ends:
            return 443
        for number in [number for number, (bound, _) in entry.channels.items() if bound == peer]:
            del entry.channels[number]
        entry.channels[channel] = peer, now + CHANNEL_S
        entry.permissions[peer[0]] = now + PERMISSION_S
        return 0

    def sends(self, place: FiveTuple, now: float, peer: Address) -> bool:
        """Whether a Send indication goes out."""
        entry = self.find(place, now) or self.arrived(place, now)
        return entry is not None and now < entry.permissions.get(peer[0], 0.0)

    def _owned(self, place: FiveTuple, user: str, now: float, ticket: bytes = b"") -> tuple[Entry | None, int]:
        there = entry = self.find(place, now)
        arriving = None
        if entry is None:
            entry = arriving = self.arriving(place, now)
        if entry is None and ticket:
            owner = next((one for one in self.entries if one.ticket == ticket), None)
            entry = None if owner is None else self.find(owner.place, now)
        if entry is None:
            return None, 437
        if entry.user != user:
            return None, 441
        if there is None and arriving is not None and not self.complete(entry):
            return None, 437
        return entry, 0

    def _end(self, entry: Entry, now: float) -> None:
        self._close(entry, {family for family, end in entry.ends.items() if now >= end})

    def _close(self, entry: Entry, families: set[int]) -> None:
        for family in families:
            del entry.ends[family]
        if not entry.ends:
            self.entries.remove(entry)
        entry.permissions = {host: end for host, end in entry.permissions.items() if family_of(host) not in families}
        entry.channels = {number: one for number, one in entry.channels.items() if family_of(one[0][0]) not in families}
