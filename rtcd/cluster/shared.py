"""`SharedRooms`: the `IRoomStore` of a process that shares its rooms with others, over any `rtcd.cluster.backend.Backend`.

A change is tried on the room as it was last known and committed if nobody was quicker, else tried again on what it is
now. Its effects come back in our inbox and are carried out from there, so those of one room have one order for all.
Updates of one room by one process go one after another. What is done by itself (deadlines, dead nodes, what an outage
has left) is in ``upkeep``, what becomes of a socket that is gone in ``handover``.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from rtcd.cluster.backend import PASSED, UNREACHABLE, Backend, Bounds, Commit, Conflict, Entry, State, Stored, Totals
from rtcd.cluster.commits import NO_ROOM, Author, Known, commit_of, known_from
from rtcd.cluster.entries import OwnEntries
from rtcd.cluster.handover import Handover
from rtcd.cluster.inbox import Inbox
from rtcd.cluster.short import ShortWay
from rtcd.cluster.turns import BUSY, Turns
from rtcd.cluster.upkeep import Upkeep
from rtcd.interfaces import IRoomStore
from rtcd.metrics import Metrics
from rtcd.rooms.outcome import (
    DRAINING,
    ENDING,
    Census,
    Change,
    Outcome,
    Socket,
    StoreAway,
    StoreFull,
    StoreUnavailable,
    Watcher,
)
from rtcd.rooms.records import Limits, Room
from rtcd.rooms.settings import RoomsSettings
from rtcd.rooms.snapshot import announcement

T = TypeVar("T")
Step: TypeAlias = Callable[[Known, float], Outcome[T]]

MAX_TRIES = 30
"""So often a change is tried; each time somebody else's was done, so only a room that is under attack needs more."""

EAGER_TRIES = 6
"""So many of them are made at once. Then every second one waits: whoever has a line of changes for the room, and hears first
that the last one is done, would be quicker each time."""

REST_S, MAX_REST_S = 0.001, 0.1
"""How long the first of those waits; each one waits twice as long as the one before, and this long at most."""

MAX_KNOWN = 4096
"""So many rooms are remembered besides those in which we hold sockets."""

OPEN_S = 2.5
"""How long who comes at our start waits for the first attempt to reach the store; then it is away, as at any other time."""

BOUNDS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5)
"""Of the histogram of round trips, in seconds."""


@implementer(IRoomStore)
class SharedRooms:
    """See the module. ``shard`` tells the metrics of several stores apart; ``totals``: publish how full the store is, which
    every process that shares the rooms knows alike. ``daemon`` begins the name of every node that is of this daemon."""

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, settings: RoomsSettings, metrics: Metrics, backend: Backend, *, shard: str = "",
        totals: bool = True, daemon: str = "",
    ) -> None:
        self.clock = clock
        self.backend = backend
        self._daemon = daemon
        self.known: OrderedDict[str, Known] = OrderedDict()
        self.inbox = Inbox(lambda name: self.background(self._upkeep.say_lost(name)))
        self.reachable = False
        """Whether changes can be made."""
        self.stands = State.AWAY
        """What the backend has said last."""
        self.closed = False
        self.totals = Totals()
        self.turns = Turns()
        self._serial = 0
        self._own = OwnEntries(clock, backend.node)
        self._handover = Handover(self)
        self._draining = False
        self._idle: list[Deferred[None]] = []
        self._closing: Deferred[None] | None = None
        self._opening: Deferred[None] | None = Deferred()
        """Until it is known whether the store can be reached."""
        self.limits: Limits = settings.limits
        self.use(settings)
        labels = {"shard": shard} if shard else {}
        self._seconds = metrics.histogram(
            "store", "round_trip_seconds", "What a question to the store of rooms took.", BOUNDS_S, **labels)
        self._conflicts = metrics.counter("store", "conflicts", "Changes tried again: another was quicker.", **labels)
        self._outages = metrics.counter("store", "outages", "Times at which the store was lost.", **labels)
        self._losses = metrics.counter("store", "losses", "Times at which entries, or commits, were lost.", **labels)
        self._unavailable = metrics.counter("store", "unavailable", "Updates refused while it was away.", **labels)
        self._refused = metrics.counter("rooms", "refused", "Rooms and seats refused by a limit.")
        self._opened = metrics.counter("rooms", "opened", "Rooms opened.")
        metrics.gauge("store", "reachable", "1 while the store of rooms can be reached.", lambda: self.reachable, **labels)
        metrics.gauge("store", "held", "Sockets of clients in this process.", lambda: len(self.inbox.sockets), **labels)
        if totals:
            self._publish(metrics, labels)
        self._upkeep = Upkeep(self, clock)
        self._short = ShortWay(self, backend.speaker) if backend.speaker is not None else None
        self.relay: Callable[[str, str, str], bool] | None = self._short.relay if self._short is not None else None
        """The short way of a text, see `ShortWay`; None if there is none."""
        backend.follow(self._take, self._stands)

    @property
    def place(self) -> str:
        """Which Redis it is, or nothing."""
        return self.backend.place

    @property
    def trouble(self) -> str:
        """Why the store cannot be reached, for the operator."""
        return self.backend.trouble

    @property
    def strangers(self) -> int:
        """How many processes share the rooms and sign with a secret that is not accepted here."""
        return self.backend.strangers

    async def start(self) -> None:
        """Begin. Returns when the store was reached, or could not be; then we go on trying."""
        timer = self.clock.callLater(OPEN_S, self._opened_or_not)
        try:
            await self.backend.start()
        finally:
            if timer.active():
                timer.cancel()
            self._opened_or_not()
        if not self.closed:
            self._upkeep.start()

    def use(self, settings: RoomsSettings) -> None:
        """Go by these settings from now on (a reload); pages are told if more or fewer may come now."""
        more_or_fewer = self.limits.capacity != settings.limits.capacity
        self.limits = settings.limits
        self.bounds = Bounds(settings.max_rooms, settings.max_clients_per_address, settings.max_queue_bytes_per_address,
                             settings.max_queue_bytes_total)
        for name in list(self.inbox.held) if more_or_fewer else ():
            self.background(self._announce(name))

    async def update(self, room: str, change: Change[T], socket: Socket | None = None, lost: str = "") -> T:
        """See `IRoomStore.update`. Raises StoreFull and StoreUnavailable."""
        if self.closed and not (self.backend.outlives and socket is None and room in self.inbox.held):
            raise StoreUnavailable(ENDING)  # the last words of those whose sockets are yet to be closed are passed on
        if lost:
            return await self.apply(room, lambda known, now: change(known.room, now) if self._is_lost(room, known, lost)
                                    else Outcome(known.room, cast(T, None)))
        if socket is not None:
            return await self._handover.attach(room, change, socket)
        return await self.apply(room, lambda known, now: change(known.room, now))

    async def census(self, address: str) -> Census:
        """See `IRoomStore.census`."""
        totals, seats = await self.asked(self.backend.census(address))
        return Census(totals.rooms, seats)

    async def rooms(self, after: str, limit: int) -> tuple[tuple[str, Room], ...]:
        """See `IRoomStore.rooms`."""
        found = await self.asked(self.backend.page(after, limit))
        return tuple((name, known_from(*stored).room) for name, stored in found)

    def watch(self, watcher: Watcher) -> None:
        """See `IRoomStore.watch`."""
        self.inbox.watchers.add(watcher)
        if self.inbox.watchers.listen and self.backend.speaker is not None and not self.backend.speaker.hears:
            self.backend.speaker.hears = True
            self.backend.speaker.say("hear")

    def detach(self, room: str, client: str, socket: Socket) -> bool:
        """See `IRoomStore.detach`."""
        if self.inbox.sockets.get((room, client)) is not socket:
            return False
        self.inbox.drop(room, client)
        return True

    def drain(self) -> Deferred[None]:
        """Open no more rooms here. If rooms outlive us, our clients go on elsewhere; else it fires with the last call."""
        begins, self._draining = not self._draining, True
        if self.backend.outlives:
            return succeed(None)
        return Deferred.fromCoroutine(self._until_idle()) if begins else self._until_known_idle()

    async def close(self) -> None:
        """See `IRoomStore.close`. If rooms outlive us nobody is told bye: our clients keep their seats for the grace time
        and come back by another process."""
        self.closed = True
        if self._closing is None:
            self._closing = Deferred.fromCoroutine(self._close())
        await self._closing

    async def _until_idle(self) -> None:
        """A call may have begun since we were told last."""
        with contextlib.suppress(StoreUnavailable):
            self.learn_totals(await self.asked(self.backend.totals()))
        await self._until_known_idle()

    def _until_known_idle(self) -> Deferred[None]:
        if not self.totals.calls:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._idle.append(waiting)
        return waiting

    async def apply(
        self, name: str, step: Step[T], socket: Socket | None = None, *, forced: bool = False, without: str = ""
    ) -> T:
        """Apply a step in its turn; see `rtcd.cluster.commits.commit_of` for what else there is."""
        if self._opening is None:
            self._check_reachable()
        return cast(T, await self.turns.take(
            name, lambda: self.apply_now(name, step, socket, forced=forced, without=without)))

    async def asked(self, question: Coroutine[Any, Any, T]) -> T:
        """Ask the backend something and time it."""
        begun = self.clock.seconds()
        try:
            return await question
        finally:
            self._seconds.observe(self.clock.seconds() - begun)

    def learn(self, name: str, stored: Stored | None) -> Known:
        """Remember a room as it was just read."""
        return self.remember(name, NO_ROOM if stored is None else known_from(*stored))

    def remember(self, name: str, known: Known) -> Known:
        """From now on it is known like this."""
        if not known.version:
            self.known.pop(name, None)
            return known
        self.known[name] = known
        self.known.move_to_end(name)
        for _ in range(2):
            if len(self.known) > MAX_KNOWN + len(self.inbox.held):
                oldest = next(iter(self.known))
                if oldest in self.inbox.held:
                    self.known.move_to_end(oldest)
                else:
                    del self.known[oldest]
        return known

    def learn_totals(self, totals: Totals) -> None:
        """So full the store is now."""
        self.totals = totals
        if self._idle and not totals.calls:
            waiting, self._idle = self._idle, []
            for one in waiting:
                one.callback(None)

    def background(self, work: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        """Do something that nobody waits for. That the store is away is no fault: it is done when it is back."""
        def failed(failure: Any) -> None:
            if not failure.check(StoreUnavailable, StoreFull, CancelledError):
                self._log.failure("the upkeep of rooms failed", failure)

        return Deferred.fromCoroutine(work).addErrback(failed)

    async def _announce(self, name: str) -> None:
        """Tell our pages in a room how it looks by the limits of now."""
        await self.apply(name, lambda known, _: Outcome(known.room, None, tuple(
            one for one in announcement(known.room, self.limits) if (name, one.client) in self.inbox.sockets)))

    def _is_lost(self, name: str, known: Known, client: str) -> bool:
        """Whether the socket that the store takes a client to have is one of ours that has ended."""
        return known.holders.get(client) == self.backend.node and (name, client) not in self.inbox.sockets

    def _opened_or_not(self) -> None:
        """Nobody waits any more for whether the store can be reached."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.callback(None)

    def _check_reachable(self) -> None:
        if not self.reachable:
            self._unavailable.value += 1
            raise StoreAway(UNREACHABLE)

    async def apply_now(
        self, name: str, step: Step[T], socket: Socket | None = None, *, forced: bool = False, without: str = ""
    ) -> T:
        """The same, of who has its turn."""
        if self._opening is not None:
            await self._opening
        known, fresh = self.known.get(name, NO_ROOM), False
        for tries in range(MAX_TRIES):
            if tries >= EAGER_TRIES and not (tries - EAGER_TRIES) % 2:
                await deferLater(self.clock, min(REST_S * 2 ** ((tries - EAGER_TRIES) // 2), MAX_REST_S))
            self._check_reachable()
            outcome = step(known, self.clock.seconds())
            outcome = self._handover.with_closes(name, known, outcome)
            self._serial += 1
            by = Author(self.backend.node, self.limits, self.bounds)
            commit, after = commit_of(
                name, known, outcome, by, self._serial, attaches=socket is not None, forced=forced, without=without,
                settling=self.inbox.owed.get(name, ()))
            opens = commit is not None and not known.version and bool(commit.value)
            if commit is None or (opens and self._draining):  # what that comes from has to be so
                stored = None if fresh else await self.asked(self.backend.load(name))
                if fresh or (stored.version if stored else 0) == known.version:
                    await self._handover.settle(name, known)
                    if opens:
                        self._refused.value += 1
                        raise StoreUnavailable(DRAINING)
                    return outcome.result
                known, fresh = await self._learned(name, known, stored), True
                continue
            short = self._short if commit.value is None else None
            if short is not None and short.is_text(name, outcome):
                commit = replace(commit, text=True)
            try:
                known = after._replace(version=await self._committed(commit, socket))
            except Conflict as conflict:
                self._conflicts.value += 1
                known, fresh = await self._learned(name, known, conflict.stored), True
                continue
            self._opened.value += opens
            await self._handover.settle(name, self.remember(name, known))
            if short is not None and commit.text:
                short.rests(name, known.version)
            return outcome.result
        self._unavailable.value += 1
        raise StoreUnavailable(BUSY)

    async def _learned(self, name: str, known: Known, stored: Stored | None) -> Known:
        """Another room than we knew is stored. If that is because the store has lost it, it is given back before anything
        is done with it."""
        if known.version > (stored.version if stored else 0) and self._upkeep.has_lost(name):
            await self._upkeep.put_back(name)
            return self.known.get(name, NO_ROOM)
        return self.learn(name, stored)

    async def _committed(self, commit: Commit, socket: Socket | None) -> int:
        """Commit, and wait until its own entry is carried out. Returns the version."""
        try:
            return await self._own.after(self.asked(self.backend.commit(commit)), commit, socket)
        except StoreFull:
            self._refused.value += 1
            raise

    def _take(self, entry: Entry) -> None:
        here = entry.author.startswith(self._daemon)
        if entry.kind == PASSED and self._short is not None:
            self._short.take(entry, here=here)
            return
        ours = entry.author == self.backend.node
        self.inbox.take(entry, self._own.attached_by(entry) if ours else None, here=here)
        if ours:
            self._own.carried_out(entry)
        known = None if ours or entry.name in self.inbox.held else self.known.get(entry.name)
        if known is not None and known.version <= entry.version:
            del self.known[entry.name]  # it goes on elsewhere, or has ended

    def reached(self) -> None:
        """The store answers, and knows what we know."""
        if not self.reachable:
            self._log.info("the store of rooms is reached")
        self.reachable = True

    def _stands(self, state: State) -> None:
        self.stands = state
        if state is State.AWAY:
            if self.reachable:
                self._outages.value += 1
                self._log.warn("the store of rooms cannot be reached: calls go on, and nobody can join until it is back")
            self.reachable = False
            return
        if state is not State.BACK:
            self._losses.value += 1
            self._log.warn("the store of rooms has lost something ({what}): pages connect anew", what=state.value)
            self._own.give_up()
        if state is State.RESET or self._upkeep.owes:
            self.reachable = False  # until it was given back what was lost
        else:
            self.reached()
        self._upkeep.mend(state)

    def _publish(self, metrics: Metrics, labels: dict[str, str]) -> None:
        metrics.gauge("rooms", "rooms", "Rooms that there are.", lambda: self.totals.rooms, **labels)
        metrics.gauge("rooms", "seats", "Clients that hold a seat.", lambda: self.totals.seats, **labels)
        metrics.gauge("rooms", "calls", "Rooms with a call: at least two are in them.", lambda: self.totals.calls, **labels)
        metrics.gauge("store", "nodes", "Processes that share the rooms.", lambda: self.totals.nodes, **labels)
        metrics.gauge("store", "strangers", "Processes of these that sign with a secret that is not accepted here.",
                      lambda: self.strangers, **labels)

    async def _close(self) -> None:
        self._opened_or_not()
        try:
            await self._upkeep.stop()
        finally:
            self._own.give_up()
            await self.backend.close()
