"""`Floors`: which processes may pass texts on in a room without asking the hub. The hub's half; a process's is ``speaker``.

A room in which nothing changes but texts are passed on is at rest. Each process that holds sockets in it is then given the
floor: as long as it has it, it hands texts to its own sockets at once, and those for others to the hub, which puts them
into inboxes unread. Before anything is committed in the room the floor is called back, and the commit waits until everyone
has given it back. What a process says goes to the hub in one order, and so do grants, calls and entries the other way:
so texts are before the commit, or behind it, in every inbox, as if each had been a commit of its own.

A process that does not answer keeps nobody waiting for longer than `FLOOR_S`: it speaks only so long after the hub has last
heard of it, and while a call to it is unanswered that time is not made longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rtcd.cluster.backend import GRANT, RECALL, Entry
from rtcd.cluster.hub import Hub

FLOOR_S = 4.0
"""So long after it was last heard of a process may speak: longer than from beat to beat, shorter than the time that a
commit may take."""

MAX_ROOM_BYTES = 65536
"""A room in which more than that waits is not at rest."""


@dataclass(slots=True)
class Floor:
    """Of one room."""

    nodes: dict[str, int] = field(default_factory=dict)
    """By node that has it: the number of the grant, which it is called back by."""
    waiting: deque[Callable[[], None]] = field(default_factory=deque)
    """Commits, in their order; there are some while it is called back."""


class Floors:
    """Grants and calls. ``listens(node)``: whether entries reach it now."""

    def __init__(self, hub: Hub, listens: Callable[[str], bool]) -> None:
        self._hub = hub
        self._listens = listens
        self._rooms: dict[str, Floor] = {}
        self._held: dict[str, set[str]] = {}
        """By node: rooms whose floor it has."""
        self._last: dict[str, int] = {}
        """By node: the number of its last grant."""
        self._owed: dict[str, set[tuple[str, int]]] = {}
        """By node: calls that it has not answered."""
        self._until: dict[str, float] = {}
        """By room whose floor is called back: when it is taken; the first one first."""

    @property
    def next_deadline(self) -> float | None:
        """When the next floor is taken from who does not give it back."""
        return next(iter(self._until.values()), None)

    def last(self, node: str) -> int:
        """The number of the last grant to a node."""
        return self._last.get(node, 0)

    def answers(self, node: str) -> bool:
        """Whether a node has answered every call."""
        return not self._owed.get(node)

    def rest(self, name: str, version: int) -> None:
        """A node has passed on a text in a room of this version, which stays as it is: who holds sockets gets the floor."""
        stored, floor = self._hub.load(name), self._rooms.get(name)
        if stored is None or stored.version != version or len(stored.value) > MAX_ROOM_BYTES or (floor and floor.waiting):
            return
        for node, known in list(self._hub.nodes.items()):
            if name in known.holds and self._listens(node) and (floor is None or node not in floor.nodes):
                floor = floor or self._rooms.setdefault(name, Floor())
                number = self._last[node] = self.last(node) + 1
                floor.nodes[node] = number
                self._held.setdefault(node, set()).add(name)
                self._hub.append(node, Entry(name, version, number, "", b"", b"", GRANT, stored.value))

    def commit(self, node: str, seen: int, name: str, work: Callable[[], None], now: float) -> None:
        """Do a node's commit when nobody has the floor. It has given back its own, unless that has a number greater than
        ``seen``, the last one that it knew of: then it is called back as everybody's."""
        floor = self._rooms.get(name)
        if floor is not None and floor.nodes.get(node, seen + 1) <= seen:
            self._drop(name, node)
            floor = self._rooms.get(name)
        if floor is None:
            work()
            return
        floor.waiting.append(work)
        if len(floor.waiting) == 1:
            self._until[name] = now + FLOOR_S
            calls = list(floor.nodes.items())
            for one, number in calls:
                self._owed.setdefault(one, set()).add((name, number))
            for one, number in calls:
                self._hub.append(one, Entry(name, 0, number, "", b"", b"", RECALL))

    def back(self, node: str, name: str, number: int) -> None:
        """A node has answered a call; it has the floor no more."""
        self._owed.get(node, set()).discard((name, number))
        floor = self._rooms.get(name)
        if floor is not None and floor.nodes.get(node) == number:
            self._drop(name, node)

    def left(self, node: str) -> None:
        """A node has no floor any more, since it is gone, or says so."""
        self._owed.pop(node, None)
        for name in list(self._held.get(node, ())):
            self._drop(name, node)

    def forget(self, node: str) -> None:
        """It does not come back."""
        self.left(node)
        self._last.pop(node, None)

    def expire(self, now: float) -> None:
        """Take the floors that were not given back in time."""
        for name in [one for one, until in self._until.items() if until <= now]:
            for node in list(self._rooms[name].nodes) if name in self._rooms else ():
                self._drop(name, node)

    def _drop(self, name: str, node: str) -> None:
        floor = self._rooms.get(name)
        if floor is None or floor.nodes.pop(node, None) is None:
            return
        held = self._held[node]
        held.discard(name)
        if not held:
            del self._held[node]
        if not floor.nodes:
            self._until.pop(name, None)
            while floor.waiting:  # it is not at rest as long as one is there
                floor.waiting[0]()
                floor.waiting.popleft()
            del self._rooms[name]
