"""`MemoryRooms`: the `IRoomStore` of one process. Holds rooms and sockets, and one timer for all deadlines.

No rule lives here: what a room becomes is decided by the changes it is given.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import TypeVar, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from rtcd.alarm import Alarm
from rtcd.interfaces import IRoomStore
from rtcd.metrics import Metrics
from rtcd.rooms.outcome import (
    DRAINING,
    ENDING,
    FULL_QUEUES,
    FULL_ROOMS,
    FULL_SEATS,
    Attach,
    Census,
    Change,
    Close,
    Deliver,
    Inform,
    Outcome,
    Socket,
    StoreFull,
    StoreUnavailable,
    Watcher,
    news,
)
from rtcd.rooms.records import Limits, Room
from rtcd.rooms.room import close, expire, may_be_bye, next_deadline, straight
from rtcd.rooms.settings import RoomsSettings
from rtcd.rooms.snapshot import announcement, notices
from rtcd.rooms.watchers import Watchers

T = TypeVar("T")

MAX_STALE_DEADLINES = 10000
"""How many entries of rooms that ended early the heap may hold before it is made anew."""

NOBODY = Room()
"""What an unknown room is."""


@implementer(IRoomStore)
class MemoryRooms:
    """Rooms in a dictionary. Every method runs to its end at once; the async ones never wait."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, settings: RoomsSettings, metrics: Metrics) -> None:
        self._clock = clock
        self._rooms: dict[str, Room] = {}
        self._sockets: dict[tuple[str, str], Socket] = {}
        self._seats: Counter[str] = Counter()
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._straight: dict[str, dict[str, tuple[tuple[str, str], ...] | None]] = {}
        """Of rooms as they are now: to whose sockets the texts of each client are handed at once, as far as that was found
        out, see `rtcd.rooms.room.straight`."""
        self._alarm = Alarm(clock, self._deadline, self._ring)
        self._queued: Counter[str] = Counter()
        self._queued_total = 0
        self._closed = False
        self._calls = 0
        self._draining = False
        self._idle: list[Deferred[None]] = []
        self._watchers = Watchers()
        self.limits: Limits = settings.limits
        self.use(settings)
        metrics.gauge("rooms", "rooms", "Rooms that there are.", lambda: len(self._rooms))
        metrics.gauge("rooms", "seats", "Clients that hold a seat.", lambda: self._seats.total())
        metrics.gauge("rooms", "calls", "Rooms with a call: at least two are in them.", lambda: self._calls)
        self._opened = metrics.counter("rooms", "opened", "Rooms opened.")
        self._refused = metrics.counter("rooms", "refused", "Rooms and seats refused by a limit.")

    def use(self, settings: RoomsSettings) -> None:
        """Go by these settings from now on (a reload); pages are told if more or fewer may come now."""
        more_or_fewer = self.limits.capacity != settings.limits.capacity
        self.limits = settings.limits
        self._max_rooms = settings.max_rooms
        self._max_seats = settings.max_clients_per_address
        self._max_queued = settings.max_queue_bytes_per_address
        self._max_queued_total = settings.max_queue_bytes_total
        for name, room in self._rooms.items():
            self._wake(name, next_deadline(room, self.limits))
            for one in announcement(room, self.limits) if more_or_fewer else ():
                self._perform(name, one)

    async def update(self, room: str, change: Change[T], socket: Socket | None = None, lost: str = "") -> T:
        """See `IRoomStore.update`. Raises StoreFull, and StoreUnavailable once it is closed."""
        if self._closed:
            raise StoreUnavailable(ENDING)
        if lost and (room, lost) in self._sockets:
            return cast(T, None)
        return self._apply(room, change, socket)

    def relay(self, room: str, client: str, text: str) -> bool:
        """Do what `update` with ``rtcd.signaling.switchboard.send`` would, if that is to hand a text to others and no more:
        the room stays as it is. False if nothing was done, since there is more to it."""
        try:
            others = self._straight[room][client]
        except KeyError:
            others = self._others(room, client)
        if others is None or self._closed or may_be_bye(text):
            return False
        self._watchers.said(room, client, text)
        for one in others:
            socket = self._sockets.get(one)
            if socket is not None:
                self._hand(socket, text)
        return True

    async def census(self, address: str) -> Census:
        """See `IRoomStore.census`."""
        return Census(len(self._rooms), self._seats[address])

    async def rooms(self, after: str, limit: int) -> tuple[tuple[str, Room], ...]:
        """See `IRoomStore.rooms`."""
        names = heapq.nsmallest(limit, (one for one in self._rooms if one > after))
        return tuple((one, self._rooms[one]) for one in names)

    def watch(self, watcher: Watcher) -> None:
        """See `IRoomStore.watch`."""
        self._watchers.add(watcher)

    def detach(self, room: str, client: str, socket: Socket) -> bool:
        """See `IRoomStore.detach`."""
        if self._sockets.get((room, client)) is not socket:
            return False
        del self._sockets[room, client]
        return True

    def drain(self) -> Deferred[None]:
        """Open no more rooms (rtcd.drain.Drainable); those that there are may be joined. Fires when there is no call:
        somebody who waits in a room alone can as well wait for the next daemon."""
        self._draining = True
        if not self._calls:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._idle.append(waiting)
        return waiting

    async def close(self) -> None:
        """See `IRoomStore.close`."""
        for name in list(self._rooms):
            self._apply(name, close)
        self._closed = True
        self._alarm.cancel()

    def _apply(self, name: str, change: Change[T], socket: Socket | None = None) -> T:
        before = self._rooms.get(name)
        known = NOBODY if before is None else before
        outcome: Outcome[T] = change(known, self._clock.seconds())
        after = outcome.room
        if after is not before and not (before is None and after.empty):
            self._keep(name, before, after)
        if self._watchers:
            self._watchers.tell(name, news(known, outcome))
        for effect in outcome.effects:
            if isinstance(effect, Attach):
                if socket is not None:
                    self._sockets[name, effect.client] = socket
            else:
                self._perform(name, effect)
        if after.mesh is not None:
            for notice in notices(known, outcome, self.limits):
                self._perform(name, notice)
        return outcome.result

    def _keep(self, name: str, before: Room | None, after: Room) -> None:
        if before is None and self._draining:
            self._refused.value += 1
            raise StoreUnavailable(DRAINING)
        if before is None and len(self._rooms) >= self._max_rooms:
            self._refused.value += 1
            raise StoreFull(FULL_ROOMS.format(limit=self._max_rooms))
        had = () if before is None else before.clients
        gained: dict[str, int] = {}
        queued: dict[str, int] = {}
        if after.clients is not had:
            queued = self._more_queued(before, after)
            for client in after.clients:
                gained[client.address] = gained.get(client.address, 0) + 1
            for client in had:
                gained[client.address] = gained.get(client.address, 0) - 1
        for address, seats in gained.items():
            if seats > 0 and address and self._seats.get(address, 0) + seats > self._max_seats:
                self._refused.value += 1
                raise StoreFull(FULL_SEATS.format(limit=self._max_seats))
        _add(self._seats, gained)
        if queued:
            _add(self._queued, queued)
            self._queued_total += sum(queued.values())
        if before is None:
            self._opened.value += 1
        self._straight.pop(name, None)
        if after.empty:
            del self._rooms[name]
        else:
            self._rooms[name] = after
            self._wake(name, next_deadline(after, self.limits))
        self._calls += after.call - (before is not None and before.call)
        if self._idle and not self._calls:
            waiting, self._idle = self._idle, []
            for one in waiting:
                one.callback(None)

    def _more_queued(self, before: Room | None, after: Room) -> dict[str, int]:
        """How many bytes more wait in a room now, by address. Raises StoreFull if that is too much."""
        more = after.queued_bytes()
        for address, size in (before.queued_bytes() if before is not None else {}).items():
            more[address] = more.get(address, 0) - size
        for address, size in more.items():
            if size > 0 and (self._queued.get(address, 0) + size > self._max_queued
                             or self._queued_total + size > self._max_queued_total):
                self._refused.value += 1
                raise StoreFull(FULL_QUEUES)
        return more

    def _others(self, name: str, client: str) -> tuple[tuple[str, str], ...] | None:
        """Whom the texts of a client are handed to at once."""
        room = self._rooms.get(name)
        if room is None:
            return None
        others = straight(room, client)
        found = None if others is None else tuple((name, one) for one in others)
        self._straight.setdefault(name, {})[client] = found
        return found

    def _hand(self, socket: Socket, text: str) -> None:
        try:
            socket.deliver(text)
        except Exception:
            self._log.failure("a socket did not take {effect}", effect=Deliver.__name__)

    def _perform(self, name: str, effect: Deliver | Inform | Close) -> None:
        socket = self._sockets.get((name, effect.client))
        if socket is None:
            return
        if isinstance(effect, Deliver):
            self._hand(socket, effect.text)
            return
        try:
            if isinstance(effect, Inform):
                socket.inform(effect.text)
            else:
                socket.close()
        except Exception:
            self._log.failure("a socket did not take {effect}", effect=type(effect).__name__)

    def _wake(self, name: str, deadline: float | None) -> None:
        if deadline is None or deadline >= self._due.get(name, inf):
            return
        self._due[name] = deadline
        heapq.heappush(self._heap, (deadline, name))
        if len(self._heap) > 2 * len(self._rooms) + MAX_STALE_DEADLINES:
            self._due = {one: self._due[one] for one in self._rooms if one in self._due}
            self._heap = [(when, one) for one, when in self._due.items()]
            heapq.heapify(self._heap)
        self._alarm.set()

    def _deadline(self) -> float | None:
        return self._heap[0][0] if self._heap and not self._closed else None

    def _ring(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            when, name = heapq.heappop(self._heap)
            if self._due.get(name) == when:
                del self._due[name]
            if name not in self._rooms:
                continue
            self._apply(name, lambda room, at: expire(room, at, self.limits))
            if name in self._rooms and name not in self._due:
                self._wake(name, next_deadline(self._rooms[name], self.limits))


def _add(counts: Counter[str], more: Mapping[str, int]) -> None:
    """Add counts that may be negative; what is nothing is forgotten."""
    for key, number in more.items():
        left = counts.get(key, 0) + number  # a Counter's own ways for keys that are not there are slow
        if left:
            counts[key] = left
        else:
            counts.pop(key, None)
