"""What a node does with shared rooms by itself: deadlines, the clients of nodes that died, and what an outage has left."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall, deferLater

from rtcd.cluster.backend import BEAT_S, Conflict, State
from rtcd.cluster.commits import NO_ROOM, Author, Known, commit_of, known_from
from rtcd.rooms.outcome import Close, Effect, Outcome
from rtcd.rooms.room import close, expire
from rtcd.signaling import switchboard

if TYPE_CHECKING:
    from rtcd.cluster.shared import SharedRooms

DUE_S = 1.0
"""How often we ask for rooms whose deadline has passed, so late a deadline may come."""

STRAYS_S = 30.0
"""How often we look whether the store takes us for the holder of sockets that we do not have, or does not of those that we
have."""

AT_ONCE = 100
"""So many rooms are asked for, and worked on, at a time."""

MOURNED = 10000
"""So many rooms of a dead node are asked for: it is ours for a while then, and whoever was there waits as long."""

RECENT_S = 60.0
"""A store that lost its last commits is given back rooms that were changed no longer ago than this."""

SETTLE_S = 2.0
"""So long after it has lost commits nobody changes anything in a store, while all nodes give it back what they know: the one
that knows most of a room is perhaps not the first. Nodes try to connect every second, see `rtcd.cluster.redis`."""

MAX_TRIES = 10
"""So often a room is given back; each time another node was quicker."""

GIVE_BACK_S = 4.0
"""How long the end may wait until the store has been given back what it has lost: that takes `SETTLE_S` if all is well."""

CLOSE_S = 3.0
"""How long the end may take to tell the store whose sockets are gone."""


class Upkeep:
    """Timers and repairs of one `SharedRooms`."""

    def __init__(self, rooms: SharedRooms, clock: IReactorTime) -> None:
        self._rooms = rooms
        self._clock = clock
        self._loops: list[LoopingCall] = []
        self._mending = self._again = False
        self._worst = State.BACK
        """What has happened since rooms were last listed for mending."""
        self._left: dict[str, State] = {}
        """Rooms that are listed and not mended yet, perhaps since that failed."""
        self.owes = False
        """Whether the store has lost commits, and was not given back yet what we know."""
        self._settling: Deferred[None] | None = None
        self._retry: IDelayedCall | None = None
        self._ending: Deferred[None] | None = None
        """Waits for the store to be given back what it has lost."""
        self._over = False

    def start(self) -> None:
        """Begin; nothing is done while the store is away."""
        for work, interval in ((self._due, DUE_S), (self._beat, BEAT_S), (self._strays, STRAYS_S)):
            loop = LoopingCall(functools.partial(self._unless_away, work))
            loop.clock = self._clock
            self._loops.append(loop)
            loop.start(interval, now=False)

    async def stop(self) -> None:
        """End the timers and give up the sockets that are ours: rooms that end with us are closed, in the others our clients
        have lost their sockets, of which nothing can be told before the store has been given back what it has lost. What
        takes too long is left to those who find us dead."""
        for loop in self._loops:
            loop.stop()
        if self._rooms.backend.outlives:
            await self._until_given_back()
        self._over = True
        self.owes = False
        self._drop_retry()
        if self._settling is not None:
            self._settling.cancel()
        rooms, own = self._rooms, {name for name, _ in self._rooms.inbox.sockets}
        if rooms.backend.outlives:
            work = self._each(own | set(rooms.inbox.owed), self._part)
        else:
            names = own | (await self._names() if rooms.reachable and rooms.totals.nodes <= 1 else set())
            work = self._each(names, lambda name: rooms.apply(name, lambda known, now: close(known.room, now)))
        done = rooms.background(work)
        timer = self._clock.callLater(CLOSE_S, done.cancel)
        try:
            await done
        finally:
            if timer.active():
                timer.cancel()
        for name, client in list(rooms.inbox.sockets):
            rooms.inbox.drop(name, client).close()

    def mend(self, state: State) -> None:
        """The store is back. One mending goes on at a time; what it cannot do is left to the next one, and when we end to
        others."""
        if self._over:
            return
        self._worst = max(self._worst, state, key=_worse)
        self.owes = self.owes or state is State.RESET
        self._drop_retry()
        if self._mending:
            self._again = True
            return
        self._mending = True
        self._rooms.background(self._mend()).addCallback(lambda _: self._mended())

    async def say_lost(self, name: str) -> None:
        """Tell the store which sockets in a room are not ours any more."""
        await self._rooms.apply(name, self._without_strays(name))

    def _mended(self) -> None:
        again, self._mending, self._again = self._again, False, False
        ending = self._ending
        if ending is not None and not ending.called and (not self.owes or self._rooms.stands is State.AWAY):
            ending.callback(None)
        if self._rooms.stands is State.AWAY:
            return
        if again:
            self.mend(State.BACK)
        elif self.owes:  # something failed; nobody can join as long as this is so
            self._retry = self._clock.callLater(SETTLE_S, self.mend, State.BACK)

    async def _until_given_back(self) -> None:
        """For a while, if we owe something and somebody would miss what we know, or our parting."""
        needed = self._rooms.inbox.sockets or self._rooms.inbox.owed or State.RESET in (self._worst, *self._left.values())
        if not self.owes or not needed or self._rooms.stands is State.AWAY:
            return
        self._ending = ending = Deferred[None]()
        timer = self._clock.callLater(GIVE_BACK_S, ending.callback, None)
        if not self._mending:
            self.mend(State.BACK)
        await ending
        if timer.active():
            timer.cancel()

    def _drop_retry(self) -> None:
        if self._retry is not None and self._retry.active():
            self._retry.cancel()

    async def _mend(self) -> None:
        rooms, state = self._rooms, self._worst
        names = {*await rooms.asked(rooms.backend.held()), *rooms.inbox.held, *rooms.inbox.owed}
        if state is not State.BACK:
            names |= {name for name, known in rooms.known.items() if self._recent(known)}
        for name in names:
            self._left[name] = max(self._left.get(name, state), state, key=_worse)
        if self._worst is state:
            self._worst = State.BACK
        if self.owes and not await self._give_back():
            return
        await self._each(list(self._left), self._mend_room)

    async def _give_back(self) -> bool:
        """Give the store what we know, and leave the others time to do so. False if it is away again, or we end."""
        until = self._clock.seconds() + SETTLE_S
        await self._each([name for name, state in self._left.items() if state is State.RESET], self._give_room)
        if self._over:
            return False
        self._settling = deferLater(self._clock, max(0.0, until - self._clock.seconds()))
        await self._settling
        self._settling = None
        if self._rooms.stands is State.AWAY or self._again:
            return False  # there is another time
        self.owes = False
        self._rooms.reached()
        return True

    async def _give_room(self, name: str) -> None:
        await self._rooms.turns.take(name, lambda: self.put_back(name))
        if self._left.get(name) is State.RESET:
            self._left[name] = State.MISSED

    async def _mend_room(self, name: str) -> None:
        rooms = self._rooms
        if self.has_lost(name):
            await self._give_room(name)
        state = self._left.get(name, State.BACK)
        if state is not State.BACK:
            known = rooms.known.get(name, NO_ROOM)
            for one in known.room.clients:
                if one.page is not None and (name, one.id) in rooms.inbox.sockets:
                    rooms.inbox.drop(name, one.id).close()  # texts may be missing; the page comes back and asks anew
        await self.say_lost(name)
        if name in rooms.inbox.held:
            await rooms.turns.take(name, lambda: self._evict(name))
        if self._left.get(name) is state:
            del self._left[name]

    async def _evict(self, name: str) -> None:
        """Close the sockets that the store does not take for ours: their clients come back and register anew."""
        rooms = self._rooms
        holders = rooms.known.get(name, NO_ROOM).holders
        for client in list(rooms.inbox.held.get(name, ())):
            if holders.get(client) != rooms.backend.node:
                rooms.inbox.drop(name, client).close()
                rooms.inbox.quit(name, client)

    def has_lost(self, name: str) -> bool:
        """Whether the store may have lost what we know of a room, which was not given back yet."""
        return self._left.get(name) is State.RESET

    async def put_back(self, name: str) -> None:
        """In the room's turn. The store has lost commits: give it the room as we knew it, if what it has is older, or was
        given back by somebody who knew less. It is ours to give if we hold a socket in it, or if it was changed just now."""
        rooms, ours = self._rooms, self._rooms.known.get(name, NO_ROOM)
        by = Author(rooms.backend.node, rooms.limits, rooms.bounds)
        stored = await rooms.asked(rooms.backend.load(name))
        for _ in range(MAX_TRIES):
            theirs = NO_ROOM if stored is None else known_from(*stored)
            commit = None
            if (theirs.basis or theirs.version) < ours.version and (name in rooms.inbox.held or self._recent(ours)):
                commit, after = commit_of(name, theirs, Outcome(ours.room, None), by, 0, back=ours, forced=True,
                                          settling=rooms.inbox.owed.get(name, ()))
            if commit is None:
                rooms.remember(name, theirs)
                return
            try:  # who was there has been told what happened
                version = await rooms.asked(rooms.backend.commit(replace(commit, inbox={}, news=b"")))
            except Conflict as conflict:
                stored = conflict.stored
            else:
                rooms.remember(name, after._replace(version=version))
                return

    async def _due(self) -> None:
        rooms = self._rooms
        names = await rooms.asked(rooms.backend.due(self._clock.seconds(), AT_ONCE))
        while names:
            await self._each(names, self._expire)
            names = (await rooms.asked(rooms.backend.due(self._clock.seconds(), AT_ONCE))
                     if len(names) == AT_ONCE else [])

    async def _expire(self, name: str) -> None:
        """Do what is due; if nothing is, by the limits of today, the room is written for its deadline alone."""
        rooms = self._rooms
        await rooms.apply(name, lambda known, at: expire(known.room, at, rooms.limits), forced=True)

    async def _beat(self) -> None:
        rooms = self._rooms
        rooms.learn_totals(await rooms.asked(rooms.backend.totals()))
        for dead in await rooms.asked(rooms.backend.gone(self._clock.seconds(), MOURNED)):
            await self._each(dead.rooms, functools.partial(self._mourn, dead.node))
            if len(dead.rooms) < MOURNED:
                await rooms.asked(rooms.backend.bury(dead.node))

    async def _mourn(self, node: str, name: str) -> None:
        """The sockets that a dead node held in a room are lost."""
        await self._rooms.apply(
            name, lambda known, now: self._lost(known, now, known.held_by(node)), forced=True, without=node)

    async def _strays(self) -> None:
        rooms, held = self._rooms, set(self._rooms.inbox.held)
        names = set(await rooms.asked(rooms.backend.held())) ^ held
        if self._worst is not State.BACK:
            self.mend(State.BACK)
        await self._each(names | set(rooms.inbox.owed) | set(self._left), self._mend_room)

    def _without_strays(self, name: str) -> Callable[[Known, float], Outcome[None]]:
        rooms = self._rooms
        return lambda known, now: self._lost(
            known, now, [one for one in known.held_by(rooms.backend.node) if (name, one) not in rooms.inbox.sockets])

    async def _part(self, name: str) -> None:
        """Give up our sockets in a room, when all that was said on them is passed on."""
        rooms = self._rooms
        await rooms.apply(name, self._parted)
        for client in list(rooms.inbox.held.get(name, ())):
            rooms.inbox.drop(name, client)
        await rooms.turns.take(name, _nothing)

    def _parted(self, known: Known, now: float) -> Outcome[None]:
        """We give up our sockets in a room. They are closed by what comes back, behind all that came for them before, and
        what comes after it waits: so nothing is lost."""
        ours = known.held_by(self._rooms.backend.node)
        outcome = self._lost(known, now, ours)
        return msgspec.structs.replace(outcome, effects=(*outcome.effects, *map(Close, ours)))

    def _lost(self, known: Known, now: float, clients: list[str]) -> Outcome[None]:
        """All these lose their sockets, in one change."""
        room = before = known.room
        effects: list[Effect] = []
        for client in clients:
            outcome = switchboard.lost(room, now, self._rooms.limits, client)
            room = outcome.room
            effects += outcome.effects
        return Outcome(before if room is before else room, None, tuple(effects), why="lost")

    def _recent(self, known: Known) -> bool:
        return known.room.changed_at > self._clock.seconds() - RECENT_S

    async def _names(self) -> set[str]:
        """Every room that there is."""
        rooms, names, after = self._rooms, set[str](), ""
        while found := await rooms.asked(rooms.backend.page(after, AT_ONCE)):
            after = found[-1][0]
            names |= {name for name, _ in found}
        return names

    async def _each(self, names: Iterable[str], work: Callable[[str], Coroutine[Any, Any, Any]]) -> None:
        """Do something with each room, some at a time. One that fails does not keep the others from it."""
        waiting = iter(sorted(names))
        while batch := list(itertools.islice(waiting, AT_ONCE)):
            await DeferredList([self._rooms.background(work(name)) for name in batch])

    def _unless_away(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Deferred[Any] | None:
        return self._rooms.background(work()) if self._rooms.reachable else None


async def _nothing() -> None:
    """Of a turn that is taken to wait for those before it."""


def _worse(state: State) -> int:
    return [State.AWAY, State.BACK, State.MISSED, State.RESET].index(state)
