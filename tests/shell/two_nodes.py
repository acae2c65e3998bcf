"""Histories of a room that two processes share, step by step, held to a store of one process.

Section 11 of the contract with AppRTC's clients: one table; a seat that is left is free at once; whoever stays is told
exactly once that the other is gone; no message is lost, doubled or out of order.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from rtcd.cluster.backend import UNREACHABLE, Backend, Commit, State, Stored, Totals
from rtcd.cluster.codec import decode_room
from rtcd.cluster.hub import Hub
from rtcd.cluster.inside import HubBackend
from rtcd.cluster.serving import HubServer
from rtcd.cluster.shared import SharedRooms
from rtcd.metrics import Metrics
from rtcd.rooms import mesh
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import Declaration
from rtcd.rooms.memory import MemoryRooms
from rtcd.rooms.outcome import Outcome, StoreUnavailable
from rtcd.rooms.records import BYE, Card, Room
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import switchboard
from tests.shell.room_store import FakeSocket, FakeWatcher

ROOM = "r"
CLIENTS = ("a", "b", "c", "d", "p", "q")
PAGES = {"p": "1" * 16, "q": "2" * 16}
SHORT: Counter[int] = Counter()
"""By node: texts that went the short way."""


FAULTS: Counter[tuple[bool, bool]] = Counter()
"""By whether the commit was done, and whether it gave back texts that came late: how many have failed."""


@dataclass
class Fault:
    """Of commits of one process: after ``left`` of them nobody knows of one whether it was done; it was if ``done``."""

    left: int
    done: bool
    over: bool = False
    """It has happened."""


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of something that waits for nothing."""
    found: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(found.append)
    assert found, "it waits"
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]


class Pair:
    """A client's socket in the cluster, and the one that it would have had in one process."""

    def __init__(self, client: str, node: int) -> None:
        self.client = client
        self.node = node
        self.shared, self.alone = FakeSocket(), FakeSocket()
        self.crashed = False

    def check(self) -> None:
        """Both were given the same; what died with its process was given the beginning of it."""
        for ours, model in ((self.shared.texts, self.alone.texts), (self.shared.events, self.alone.events)):
            assert (ours == model[:len(ours)]) if self.crashed else (ours == model), (self.client, ours, model)
        assert self.crashed or self.shared.closed == self.alone.closed


class TwoNodes(RuleBasedStateMachine):
    """Each step is done by one of two processes, and by a store of one process, which is the model. What they share is a hub
    here; a subclass may have them share something else."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.begin_store()
        self.settings = RoomsSettings()
        self.model = MemoryRooms(self.clock, self.settings, Metrics())
        self.told: dict[str, tuple[list[Any], list[Any]]] = {}
        self.nodes = [self.node(), self.node()]
        self.sockets: list[Pair] = []
        self.dead: list[str] = []
        self.number = 0

    def begin_store(self) -> None:
        """Make what the processes share."""
        self.hub = Hub()
        self.server = HubServer(self.hub, self.clock)

    def backend(self) -> Backend:
        """That of one more process."""
        return HubBackend(self.server)

    def done(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of something."""
        return done(work)

    def beginning(self, work: Coroutine[Any, Any, Any]) -> Callable[[], Any]:
        """Begin something; what is returned is called for the result."""
        result = self.done(work)
        return lambda: result

    def settle(self) -> None:
        """Return when everything that was on its way has come."""

    def stored(self) -> Stored | None:
        """The room, as the processes share it."""
        return self.hub.load(ROOM)

    def totals(self) -> Totals:
        """How full the store is."""
        return self.hub.totals()

    def held(self) -> dict[str, bool]:
        """By node whether it holds a socket in the room, as the store has it."""
        return {node: ROOM in one.holds for node, one in self.hub.nodes.items()}

    def node(self) -> SharedRooms:
        """A process that has just started, whose watcher is told what one of the model is told from now on."""
        store = SharedRooms(self.clock, self.settings, Metrics(), self.backend())
        told: tuple[list[Any], list[Any]] = [], []
        store.watch(FakeWatcher(told[0]))
        self.model.watch(FakeWatcher(told[1]))
        self.told[store.backend.node] = told
        self.done(store.start())
        return store

    @initialize(two=st.booleans())
    def begin(self, two: bool) -> None:
        """Often a call is on already: else most histories never come to one."""
        for client, node in (("a", 0), ("b", 1)) if two else ():
            self.join(client, node)
            self.register(client, node)
        self.talk()

    def both(self, node: int, change: Callable[[Room, float], Outcome[Any]], pair: Pair | None = None) -> Any:
        """Do it in the cluster and in the model, which come to the same."""
        alone = self.done(self.model.update(ROOM, change, pair.alone if pair else None))
        shared = self.done(self.nodes[node].update(ROOM, change, pair.shared if pair else None))
        assert shared == alone, (shared, alone)
        return shared

    @rule(client=st.sampled_from(CLIENTS), node=st.integers(0, 1))
    def join(self, client: str, node: int) -> None:
        """POST /join"""
        limits, tag = self.settings.limits, PAGES.get(client)
        if tag is not None:
            asked = Declaration(Card(tag), was=client)
            self.both(node, lambda one, now: mesh.join(one, now, limits, client, "192.0.2.1", asked))
        else:
            self.both(node, lambda one, now: rooms.join(one, now, limits, client, "192.0.2.1"))

    @rule(client=st.sampled_from(CLIENTS), node=st.integers(0, 1))
    def register(self, client: str, node: int) -> None:
        """A new WebSocket, perhaps to the other process."""
        pair, limits = Pair(client, node), self.settings.limits
        if self.both(node, lambda one, now: switchboard.register(one, now, limits, client), pair) is None:
            self.sockets.append(pair)

    @rule(client=st.sampled_from(CLIENTS), node=st.integers(0, 1), bye=st.integers(0, 3).map(lambda one: one == 0))
    def send(self, client: str, node: int, bye: bool) -> None:
        """By socket, the short way if there is one now; or by HTTP to any process."""
        self.number += 1
        text, limits, store = BYE if bye else f"{self.number}", self.settings.limits, self.nodes[node]
        if (ROOM, client) in store.inbox.sockets and store.relay is not None and store.relay(ROOM, client, text):
            SHORT[node] += 1
            assert done(self.model.update(ROOM, lambda one, now: switchboard.send(one, now, limits, client, text))) is None
        else:
            self.both(node, lambda one, now: switchboard.send(one, now, limits, client, text))

    @rule()
    def talk(self) -> None:
        """Everybody says something, twice."""
        for _ in "12":
            for pair in self.sockets:
                if not pair.crashed and self.nodes[pair.node].inbox.sockets.get((ROOM, pair.client)) is pair.shared:
                    self.send(pair.client, pair.node, False)

    @rule(client=st.sampled_from(CLIENTS), node=st.integers(0, 1))
    def message(self, client: str, node: int) -> None:
        """POST /message"""
        self.number += 1
        text, limits = f"{self.number}", self.settings.limits
        self.both(node, lambda one, now: rooms.message(one, now, limits, client, text))

    @rule(client=st.sampled_from(CLIENTS), node=st.integers(0, 1), deletes=st.booleans())
    def leave(self, client: str, node: int, deletes: bool) -> None:
        """POST /leave, or DELETE"""
        limits = self.settings.limits
        self.both(node, lambda one, now: switchboard.delete(one, now, client) if deletes else
                  rooms.leave(one, now, limits, client))

    @rule(number=st.integers(0, 20))
    def lose(self, number: int) -> None:
        """A socket ends."""
        living = [one for one in self.sockets if not one.crashed]
        if living:
            pair = living[number % len(living)]
            held = self.model.detach(ROOM, pair.client, pair.alone)
            ours = self.nodes[pair.node].detach(ROOM, pair.client, pair.shared)
            assert ours or not held  # a socket whose client has come back by another process is closed a little later
            if held:
                self.done(self.model.update(ROOM, self.losing(pair.client), None, pair.client))
            if ours:
                self.done(self.nodes[pair.node].update(ROOM, self.losing(pair.client), None, pair.client))

    @rule(number=st.integers(0, 20), seconds=st.integers(0, 8))
    def lose_while_away(self, number: int, seconds: int) -> None:
        """A socket ends while its process cannot reach the store, which hears of it when it can."""
        living = [one for one in self.sockets if not one.crashed]
        if not living:
            return
        pair = living[number % len(living)]
        store = self.nodes[pair.node]
        store._stands(State.AWAY)
        held = self.model.detach(ROOM, pair.client, pair.alone)
        assert store.detach(ROOM, pair.client, pair.shared) or not held
        store._stands(State.BACK)
        if held:
            self.done(self.model.update(ROOM, self.losing(pair.client)))
        self.advance(seconds)

    @rule(node=st.integers(0, 1))
    def crash(self, node: int) -> None:
        """A process ends at once; another one starts, and time passes until the other has found it dead."""
        room, now = self.model._rooms.get(ROOM, Room()), self.clock.seconds()
        deadlines = [*(one.deadline for one in room.clients), *(one.deadline for one in room.departed)]
        if any(one is not None and now + 6 <= one <= now + 12 for one in deadlines):
            return  # at the moment at which it is found dead, and which comes first is open
        lost, store = self.nodes[node], self.nodes[node].backend
        for loop in (*lost._upkeep._loops, store._beating):  # type: ignore[attr-defined] # of HubBackend
            loop.stop()
        self.server._wakes.pop(store.node)
        self.server.floors.left(store.node)
        del self.told[store.node]
        for pair in self.sockets:
            pair.crashed = pair.crashed or pair.node == node
        self.nodes[node] = self.node()
        while store.node in self.hub.nodes:
            holders = self.holders()
            self.clock.advance(1)
            if store.node not in self.hub.nodes:
                for client in [one for one, holder in holders.items() if holder == store.node]:
                    self.done(self.model.update(ROOM, self.losing(client)))

    def losing(self, client: str) -> Callable[[Room, float], Outcome[Any]]:
        """The change that a lost socket makes."""
        return lambda one, now: switchboard.lost(one, now, self.settings.limits, client)

    @rule(seconds=st.integers(1, 50))
    def advance(self, seconds: int) -> None:
        """Time passes."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.settle()

    def holders(self) -> dict[str, str]:
        """By client the node that holds its socket, as the store has it."""
        stored = self.stored()
        return dict(decode_room(stored.value).holders) if stored else {}

    @invariant()
    def it_is_one_table(self) -> None:
        """The same room, the same counts, the same texts."""
        self.settle()
        stored, model = self.stored(), self.model._rooms.get(ROOM)
        assert (decode_room(stored.value).room if stored else None) == model
        assert self.totals()[:4] == (model is not None, self.model._seats.total(), self.model._calls,
                                     self.model._queued_total)
        held, holders = self.held(), self.holders()
        assert held == {node: node in holders.values() for node in held}
        for pair in self.sockets:
            pair.check()
        for ours, models in self.told.values():
            assert ours == models, (ours, models)


STEPS = st.lists(st.tuples(
    st.sampled_from(("send", "send", "send", "message", "leave", "join", "register")), st.sampled_from(CLIENTS),
    st.integers(0, 1)), max_size=5)
"""What others do: what, who, and by which process."""


class BreakingNodes(TwoNodes):
    """Sockets of apps break, and the store hears of it when more has happened; the model knows at once. Byes are left out:
    what was said before one goes with it."""

    lose = lose_while_away = crash = None  # type: ignore[assignment] # how they were lost is another's test

    @rule(client=st.sampled_from(CLIENTS), node=st.integers(0, 1))
    def join(self, client: str, node: int) -> None:
        """Of pages each is told who is there, which differs for a moment."""
        limits = self.settings.limits
        self.both(node, lambda one, now: rooms.join(one, now, limits, client, "192.0.2.1"))

    @rule(number=st.integers(0, 20), away=st.booleans(), before=st.integers(0, 5), steps=STEPS)
    def breaks(self, number: int, away: bool, before: int, steps: list[tuple[str, str, int]], fault: Fault | None = None,
               meanwhile: Sequence[str] = ()) -> None:
        """A socket ends; the others do this, by the other process while its own cannot reach the store. That is told
        ``before`` one of these steps; when it is away behind all of them. With a fault it is told behind all too, and the
        store is lost while it is told or given what came late; ``meanwhile`` these speak."""
        living = [one for one in self.sockets if self.nodes[one.node].inbox.sockets.get((ROOM, one.client)) is one.shared]
        pair = living[number % len(living)] if living else None
        if pair is None or not self.model.detach(ROOM, pair.client, pair.alone):
            return
        store, client = self.nodes[pair.node], pair.client
        seated = self.model._rooms.get(ROOM, Room()).client(client)
        if seated is None or seated.told:
            steps, meanwhile = [], ()  # it is gone with its socket, and what others do then depends on whether they know
        assert store.detach(ROOM, client, pair.shared)
        self.done(self.model.update(ROOM, self.losing(client), None, client))
        if away:
            store._stands(State.AWAY)
        lost: Callable[[], Any] | None = None
        for step, (what, who, node) in enumerate(steps):
            if step == before and not away and fault is None:
                lost = self.beginning(store.update(ROOM, self.losing(client), None, client))
            by = 1 - pair.node if away else node
            if who != client and what == "send":
                self.send(who, by, False)
            elif who != client and what == "leave":
                self.leave(who, by, False)
            elif who != client:
                getattr(self, what)(who, by)
        if fault is not None:
            self.begin_fault(store, fault)
        if away:
            store._stands(State.BACK)
        with contextlib.suppress(*[StoreUnavailable] if fault is not None else ()):
            (lost or self.beginning(store.update(ROOM, self.losing(client), None, client)))()
        if fault is not None and fault.over:
            self.settle()
            store._stands(State.AWAY)
            for who in meanwhile:
                if who != client:
                    self.send(who, 1 - pair.node, False)
            store._stands(State.BACK)
            self.settle()
        store.backend.__dict__.pop("commit", None)
        assert not store.inbox.owed, store.inbox.owed

    def begin_fault(self, store: SharedRooms, fault: Fault) -> None:
        """Its backend has this fault."""
        commit = store.backend.commit

        async def faulty(one: Commit) -> int:
            fault.left -= 1
            if fault.left == -1:
                fault.over = True
                FAULTS[fault.done, sum(one.queued.values()) > 0] += 1
                if fault.done:
                    await commit(one)
                raise StoreUnavailable(UNREACHABLE)
            return await commit(one)

        store.backend.commit = faulty  # type: ignore[method-assign,assignment] # taken away again
