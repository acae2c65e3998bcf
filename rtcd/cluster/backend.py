"""The seam below shared rooms: what a place can do in which several processes keep rooms together. Values and a protocol.

A backend knows no rule and no room: names, versions, bytes and counts. ``shared`` makes of it what
`rtcd.interfaces.IRoomStore` promises. There are three: ``hub`` in one process, ``local`` over a unix socket, ``redis``.

A *node* is one process that shares the rooms, under a name that is random and new at each start. One commit is one
atomic step: the version is compared, bounds are checked, value, counts, deadline and holdings are written, and one entry
is appended to the inbox of every node that it concerns. Effects for a node's own sockets come back through its inbox too,
so that every node sees the entries of one room in one order.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from rtcd.cluster.speaker import Speaker


class Stored(NamedTuple):
    """A room as it is kept."""

    version: int
    """Grows with each change and is never used twice for one name, not even when the room has ended meanwhile."""
    value: bytes


class Entry(NamedTuple):
    """What a node finds in its inbox."""

    name: str
    version: int
    """Of the room after the commit; that of the room before it if the room ended, or did not change."""
    serial: int
    """The committer's own number of the commit, see `Commit`."""
    author: str
    """The node that committed."""
    effects: bytes
    """For sockets of this node; empty if there are none."""
    news: bytes
    """For watchers; empty if nothing is news."""
    kind: str = ""
    """Of one that is no commit's: `GRANT` and `RECALL` of the floor (``floors``), whose number is ``serial``; `PASSED`."""
    data: bytes = b""
    """Of a grant the room; of `PASSED` the texts (``speaker``)."""

    @property
    def size(self) -> int:
        """Bytes that it takes, but for a few."""
        return len(self.effects) + len(self.news) + len(self.data)


GRANT, RECALL, PASSED = "grant", "recall", "passed"


class Totals(NamedTuple):
    """How full the store is, over all nodes."""

    rooms: int = 0
    seats: int = 0
    calls: int = 0
    queued: int = 0
    """Bytes that wait for clients that are not there."""
    nodes: int = 0
    """Processes that share the rooms now."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no commit may go beyond; checked only for what it makes more of."""

    rooms: int
    seats: int
    """Of one address."""
    queued: int
    """Bytes that wait from one address."""
    queued_total: int


NOTHING: Mapping[str, int] = {}
NO_ENTRIES: Mapping[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class Commit:
    """One step of one room."""

    name: str
    expected: int
    """The version that this was made from; 0: there was no such room."""
    value: bytes | None
    """None: the room is as it was, and so is its version; only the entries are appended, if the version is still
    ``expected``. Empty: the room is forgotten."""
    bounds: Bounds
    deadline: float | None = None
    """Unix seconds at which a rule of the room falls due; None with a value: never."""
    seats: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    """By address: how many more seats it holds, or fewer."""
    queued: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    """By address: how many more bytes wait, or fewer."""
    call: int = 0
    """+1 if there is a call now and was none, -1 if it has ended."""
    holding: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    """By node: +1 if it holds a socket in this room now and held none, -1 if it holds none any more."""
    inbox: Mapping[str, bytes] = field(default_factory=lambda: NO_ENTRIES)
    """By node: effects for the sockets that it holds."""
    news: bytes = b""
    """For every node; empty: nothing is news."""
    author: str = ""
    """The node that commits."""
    serial: int = 0
    """A number that the author counts up; its own entry brings it back."""
    text: bool = False
    """It changes nothing, and hands over what was said by clients whose sockets the author holds: nobody has to give back
    the floor for it."""

    def returns(self, node: str) -> bool:
        """Whether an entry of it comes to the inbox of this node."""
        return node in self.inbox or bool(self.news)


class Conflict(Exception):
    """Another process was quicker; nothing was changed."""

    def __init__(self, stored: Stored | None) -> None:
        """``stored``: the room as it is now."""
        super().__init__("another process was quicker")
        self.stored = stored


class State(enum.Enum):
    """How it stands with a backend."""

    AWAY = "away"
    """It cannot be reached."""
    BACK = "back"
    """It is reached, and nothing was missed."""
    MISSED = "missed"
    """It is reached, but entries of ours are missing: too many waited, or we were taken for dead."""
    RESET = "reset"
    """It is reached, but is another one, or was started again: the last commits may be undone, and entries missing."""


class Dead(NamedTuple):
    """A node that has not been heard of for too long."""

    node: str
    rooms: list[str]
    """Some of those in which it holds sockets, perhaps not all; none: nothing is left to do but to bury it."""


class Backend(Protocol):
    """Where shared rooms are kept. Everything that is asked raises `rtcd.rooms.outcome.StoreUnavailable` when it cannot be
    reached: at once if that is known, else after a few seconds. Then nobody knows whether a commit was done."""

    node: str
    """Our name: random, new at each start."""

    @property
    def speaker(self) -> Speaker | None:
        """What may be passed on without asking; None: nothing, where nobody knows that all have given back the floor."""

    @property
    def outlives(self) -> bool:
        """Whether rooms go on when this process has ended: on Redis always, else as long as the daemon does not end with all
        its processes."""

    @property
    def place(self) -> str:
        """Where the rooms are, as the ini names it, without a password; empty if it names no place."""

    @property
    def trouble(self) -> str:
        """Why it cannot be reached, for the operator; empty where there is no more to say, or nothing."""

    @property
    def strangers(self) -> int:
        """How many living nodes sign with a secret that is not accepted here, see ``strangers``."""

    async def start(self) -> None:
        """Connect and be a live node from now on. Returns when the first attempt has ended; whether it was reached
        ``state`` tells, now and later."""

    async def close(self) -> None:
        """Be no node any more and let go of everything; a dead one, if we still hold sockets, as the store has it."""

    def follow(self, entry: Callable[[Entry], None], state: Callable[[State], None]) -> None:
        """Before `start`: ``entry`` is told each entry of our inbox, in order, once; ``state`` how it stands with the
        backend whenever that changes. Entries that come after `State.MISSED` and `State.RESET` are new ones."""

    async def load(self, name: str) -> Stored | None:
        """The room, or None."""

    async def commit(self, commit: Commit) -> int:
        """Do it and return the room's version, 0 if it has ended. Raises `Conflict`, and
        `rtcd.rooms.outcome.StoreFull` with the text that people are shown."""

    async def due(self, now: float, limit: int) -> list[str]:
        """Rooms whose deadline has passed; they are ours for `CLAIM_S`, so that not every node comes at once."""

    async def census(self, address: str) -> tuple[Totals, int]:
        """How full it is, and how many seats the clients of an address hold."""

    async def page(self, after: str, limit: int) -> list[tuple[str, Stored]]:
        """Rooms whose name is greater than ``after``, by name."""

    async def gone(self, now: float, limit: int) -> list[Dead]:
        """Nodes that have died, each with at most ``limit`` rooms; they are ours for `CLAIM_S`, and are told `State.MISSED`
        if they beat after all. None while nobody could beat, and for `LEASE_S` after that."""

    async def held(self) -> list[str]:
        """Rooms in which we hold sockets, as the store has it."""

    async def totals(self) -> Totals:
        """How full it is."""

    async def bury(self, node: str) -> None:
        """Forget a dead node, if it holds no socket any more."""


BEAT_S = 3.0
"""How often a node says that it lives."""

LEASE_S = 9.0
"""A node that has said nothing for so long is dead: shorter than the time that a phone waits for its peer, longer than a
pause of the machine."""

CLAIM_S = 5.0
"""How long a room that is due, or a dead node, is left to the one who has asked first."""

MAX_INBOX_BYTES = 67108864
"""And so are bytes beyond this."""

MAX_INBOX = 20000
"""Entries that wait for one node. One that is so far behind has lost its clients anyway; it is told that entries are
missing."""

UNREACHABLE = "the rooms cannot be reached at the moment; try again later"
"""What people are told. The call page comes again by itself if it is told ``later``."""
