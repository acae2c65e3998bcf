"""`Hub`: what a backend does, in dictionaries: the embedded store of one machine, and the model that Redis is held to.

No input or output, no time of its own. Raises `rtcd.cluster.backend.Conflict` and `rtcd.rooms.outcome.StoreFull`; a change
is made whole or not at all.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rtcd.cluster.backend import (
    CLAIM_S,
    LEASE_S,
    MAX_INBOX,
    MAX_INBOX_BYTES,
    Bounds,
    Commit,
    Conflict,
    Dead,
    Entry,
    Stored,
    Totals,
)
from rtcd.rooms.outcome import FULL_QUEUES, FULL_ROOMS, FULL_SEATS, StoreFull

MAX_STALE = 10000
"""How many entries of deadlines that do not hold any more the heap may have before it is made anew."""


@dataclass(slots=True)
class Node:
    """What is known of a process that shares the rooms."""

    lives_until: float
    holds: set[str] = field(default_factory=set)
    """Rooms in which it holds sockets."""
    inbox: deque[tuple[int, Entry]] = field(default_factory=deque)
    """Numbered from 1; the first are forgotten when it says that it has them."""
    last: int = 0
    """The number of the last entry that was appended."""
    size: int = 0
    """Bytes in the inbox."""
    claimed_until: float = 0.0
    mourned: bool = False
    """Others have begun to look after its rooms."""

    def drop(self) -> None:
        """Forget the first entry."""
        self.size -= self.inbox.popleft()[1].size


class Hub:
    """Rooms, counts, deadlines and inboxes. ``appended`` is told each node whose inbox has something new."""

    def __init__(self, appended: Callable[[str], None] = lambda node: None, max_inbox: int = MAX_INBOX) -> None:
        self.appended = appended
        self.nodes: dict[str, Node] = {}
        self._rooms: dict[str, Stored] = {}
        self._deadlines: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._seats: Counter[str] = Counter()
        self._queued: Counter[str] = Counter()
        self._calls = self._seats_total = self._queued_total = 0
        self._version = 0
        self._max_inbox = max_inbox
        self._beat_at = self._spared_until = float("-inf")

    def load(self, name: str) -> Stored | None:
        """See `rtcd.cluster.backend.Backend.load`."""
        return self._rooms.get(name)

    def commit(self, commit: Commit) -> int:
        """See `rtcd.cluster.backend.Backend.commit`."""
        stored = self._rooms.get(commit.name)
        if (stored.version if stored else 0) != commit.expected:
            raise Conflict(stored)
        version = commit.expected
        if commit.value is not None:
            self._check(commit, opens=stored is None and commit.value != b"")
            version = self._write(commit, commit.value)
        effects, told = commit.inbox, self.nodes if commit.news else commit.inbox
        for node in list(told):
            self.append(node, Entry(
                commit.name, version or commit.expected, commit.serial, commit.author, effects.get(node, b""), commit.news))
        return version

    def due(self, now: float, limit: int) -> list[str]:
        """See `rtcd.cluster.backend.Backend.due`."""
        found: list[str] = []
        while self._heap and self._heap[0][0] <= now and len(found) < limit:
            when, name = heapq.heappop(self._heap)
            if self._deadlines.get(name) == when:
                self._wake(name, now + CLAIM_S)
                found.append(name)
        return found

    def census(self, address: str) -> tuple[Totals, int]:
        """See `rtcd.cluster.backend.Backend.census`."""
        return self.totals(), self._seats[address]

    def totals(self) -> Totals:
        """How full it is."""
        return Totals(len(self._rooms), self._seats_total, self._calls, self._queued_total, len(self.nodes))

    def page(self, after: str, limit: int) -> list[tuple[str, Stored]]:
        """See `rtcd.cluster.backend.Backend.page`."""
        names = heapq.nsmallest(limit, (one for one in self._rooms if one > after))
        return [(one, self._rooms[one]) for one in names]

    def beat(self, node: str, now: float) -> bool:
        """A node says that it lives; False if it was not known: it is new, or was taken for dead and has a new inbox."""
        if now - self._beat_at > LEASE_S / 2:
            self._spared_until = now + LEASE_S
        self._beat_at = now
        known = self.nodes.get(node)
        if known is None or known.mourned:
            self.nodes[node] = Node(now + LEASE_S, known.holds if known else set())
            return False
        known.lives_until = now + LEASE_S
        return True

    def gone(self, now: float, limit: int) -> list[Dead]:
        """See `rtcd.cluster.backend.Backend.gone`."""
        found: list[Dead] = []
        if now - self._beat_at > LEASE_S / 2 or now < self._spared_until:
            return found  # nobody could say that he lives
        for name, node in self.nodes.items():
            if node.lives_until <= now and node.claimed_until <= now:
                node.claimed_until = now + CLAIM_S
                node.mourned = True
                node.holds = {one for one in node.holds if one in self._rooms}
                found.append(Dead(name, heapq.nsmallest(limit, node.holds)))
        return found

    def held(self, node: str) -> list[str]:
        """See `rtcd.cluster.backend.Backend.held`."""
        known = self.nodes.get(node)
        return sorted(known.holds) if known else []

    def bury(self, node: str, now: float) -> None:
        """See `rtcd.cluster.backend.Backend.bury`; one that is alive again, or holds sockets still, is left alone."""
        known = self.nodes.get(node)
        if known is not None and known.lives_until <= now and not any(one in self._rooms for one in known.holds):
            del self.nodes[node]

    def leave(self, node: str, now: float) -> None:
        """A node ends. If it still holds sockets, since it could not say that they are lost, it is dead."""
        known = self.nodes.get(node)
        if known is not None and known.holds:
            known.lives_until = now
        else:
            self.nodes.pop(node, None)

    def read(self, node: str, after: int, limit: int) -> tuple[list[tuple[int, Entry]], bool]:
        """What its inbox holds behind the entry of number ``after``, which is forgotten with those before it; and whether
        entries are missing."""
        known = self.nodes.get(node)
        if known is None:
            return [], False
        while known.inbox and known.inbox[0][0] <= after:
            known.drop()
        first = known.inbox[0][0] if known.inbox else known.last + 1
        return [one for one, _ in zip(known.inbox, range(limit), strict=False)], first != after + 1

    def append(self, node: str, entry: Entry) -> None:
        """Put an entry into the inbox of a node, if there is such a node."""
        known = self.nodes.get(node)
        if known is None:
            return
        known.last += 1
        known.inbox.append((known.last, entry))
        known.size += entry.size
        if len(known.inbox) > self._max_inbox:
            known.drop()
        while known.size > MAX_INBOX_BYTES and len(known.inbox) > 1:
            known.drop()
        self.appended(node)

    def _check(self, commit: Commit, *, opens: bool) -> None:
        bounds: Bounds = commit.bounds
        if opens and len(self._rooms) >= bounds.rooms:
            raise StoreFull(FULL_ROOMS.format(limit=bounds.rooms))
        total = self._queued_total
        for address, size in commit.queued.items():
            if size > 0 and (self._queued[address] + size > bounds.queued or total + size > bounds.queued_total):
                raise StoreFull(FULL_QUEUES)
        for address, seats in commit.seats.items():
            if seats > 0 and address and self._seats[address] + seats > bounds.seats:
                raise StoreFull(FULL_SEATS.format(limit=bounds.seats))

    def _write(self, commit: Commit, value: bytes) -> int:
        name = commit.name
        _add(self._seats, commit.seats)
        _add(self._queued, commit.queued)
        self._seats_total += sum(commit.seats.values())
        self._queued_total += sum(commit.queued.values())
        self._calls += commit.call
        for node, more in commit.holding.items():
            known = self.nodes.get(node)
            if known is not None and more > 0:
                known.holds.add(name)
            elif known is not None:
                known.holds.discard(name)
        if not value:
            self._rooms.pop(name, None)
            self._deadlines.pop(name, None)
            return 0
        self._version += 1
        self._rooms[name] = Stored(self._version, value)
        if commit.deadline is None:
            self._deadlines.pop(name, None)
        elif self._deadlines.get(name) != commit.deadline:
            self._wake(name, commit.deadline)
        return self._version

    def _wake(self, name: str, deadline: float) -> None:
        self._deadlines[name] = deadline
        heapq.heappush(self._heap, (deadline, name))
        if len(self._heap) > 2 * len(self._rooms) + MAX_STALE:
            self._heap = [(when, one) for one, when in self._deadlines.items()]
            heapq.heapify(self._heap)


def _add(counts: Counter[str], more: Mapping[str, int]) -> None:
    """Add counts that may be negative; what is nothing is forgotten."""
    for key, number in more.items():
        counts[key] += number
        if not counts[key]:
            del counts[key]
