"""The store of one process: what holds for it alone. What holds for every store is in ``tests/shell/room_store.py``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rtcd.metrics import Metrics
from rtcd.rooms import room as rooms
from rtcd.rooms.memory import MAX_STALE_DEADLINES, MemoryRooms
from rtcd.rooms.outcome import Deliver, Outcome, Said, StoreUnavailable
from rtcd.rooms.records import Room
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import switchboard


class FakeSocket:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def deliver(self, text: str) -> None:
        """Keep it."""
        self.texts.append(text)

    def inform(self, text: str) -> None:
        """No page is here."""

    def close(self) -> None:
        """Nothing is closed here."""


class FakeWatcher:
    """Writes down what it is told."""

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def happened(self, room: str, news: Any, *, here: bool = True) -> None:
        """Write it down."""
        self.told.append((room, news))

    def said(self, room: str, client: str, text: str, here: bool = True) -> None:
        """Write it down like the rest."""
        self.happened(room, Said(client, text), here=here)


class MemoryTests(SynchronousTestCase):
    """`MemoryRooms`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryRooms(self.clock, RoomsSettings(max_rooms=5, max_clients_per_address=3), Metrics())

    def update(self, room: str, change: Any, socket: FakeSocket | None = None) -> Any:
        """Apply a change and return its result."""
        return self.successResultOf(Deferred.fromCoroutine(self.store.update(room, change, socket)))

    def joined(self, room: str, client: str) -> FakeSocket:
        """Join and register a client."""
        limits = self.store.limits
        self.update(room, lambda one, now: rooms.join(one, now, limits, client, "192.0.2.1"))
        socket = FakeSocket()
        self.update(room, lambda one, now: switchboard.register(one, now, limits, client), socket)
        return socket

    def seats(self, room: str) -> list[str]:
        """Who is in a room."""
        found: list[str] = self.update(room, lambda one, _: Outcome(one, [client.id for client in one.clients]))
        return found

    def test_a_socket_that_breaks_does_not_break_the_others(self) -> None:
        """Logged as ours; the next effect is carried out."""
        first, second = self.joined("r", "a"), self.joined("r", "b")
        first.deliver = None  # type: ignore[method-assign,assignment] # broken on purpose
        self.update("r", lambda one, _: Outcome(one, None, (Deliver("a", "x"), Deliver("b", "y"))))
        self.assertEqual(second.texts, ["y"])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_a_watcher_that_breaks_does_not_break_the_update(self) -> None:
        """Logged as ours; the next watcher is told all the same."""
        told: list[Any] = []
        broken: Any = None
        for watcher in (broken, FakeWatcher(told)):
            self.store.watch(watcher)
        self.joined("r", "a")
        self.assertEqual([type(news).__name__ for _, news in told], ["Came", "Came"])
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 2)

    def test_texts_are_for_those_who_listen(self) -> None:
        """A watcher without ``said`` is told the rest."""
        told: list[Any] = []
        heard: list[Any] = []
        deaf: Any = SimpleNamespace(happened=lambda room, news, *, here: told.append(type(news).__name__))
        self.store.watch(deaf)
        self.store.watch(FakeWatcher(heard))
        self.joined("r", "a")
        self.joined("r", "b")
        self.update("r", lambda one, now: switchboard.send(one, now, self.store.limits, "a", "one"))
        self.assertTrue(self.store.relay("r", "a", "two"))
        self.assertEqual(told, ["Came"] * 4)
        self.assertEqual([news.text for _, news in heard if isinstance(news, Said)], ["one", "two"])

    def test_deadlines_of_rooms_that_ended_early_do_not_pile_up(self) -> None:
        """Beyond a limit they are swept out."""
        store = self.store
        limits = store.limits
        for number in range(MAX_STALE_DEADLINES + 100):
            self.update(f"r{number}", lambda one, now: rooms.join(one, now, limits, "a"))
            self.update(f"r{number}", lambda one, now: rooms.leave(one, now, limits, "a"))
        self.assertTrue(len(store._heap) <= MAX_STALE_DEADLINES + 10)
        self.update("r1", lambda one, now: rooms.join(one, now, limits, "a"))
        self.clock.advance(50)
        self.assertEqual((self.seats("r1"), store._rooms), ([], {}))

    def test_a_change_that_changes_nothing_opens_no_room(self) -> None:
        """Asking about a room does not make one."""
        self.update("r", lambda one, _: Outcome(one, None))
        self.update("r", lambda one, now: Outcome(Room(changed_at=now), None))
        self.assertEqual(self.store._rooms, {})


class DrainTests(SynchronousTestCase):
    """`MemoryRooms.drain`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryRooms(self.clock, RoomsSettings(), Metrics())

    def update(self, room: str, change: Any) -> Deferred[Any]:
        """Apply a change."""
        return Deferred.fromCoroutine(self.store.update(room, change))

    def join(self, room: str, client: str, loopback: bool = False) -> Deferred[Any]:
        """Seat a client."""
        limits = self.store.limits
        return self.update(room, lambda one, now: rooms.join(one, now, limits, client, loopback=loopback))

    def leave(self, room: str, client: str) -> None:
        """Give a seat up."""
        limits = self.store.limits
        self.successResultOf(self.update(room, lambda one, now: rooms.leave(one, now, limits, client)))

    def test_no_room_is_opened_and_those_that_there_are_can_be_joined(self) -> None:
        """The one who waits is waited for by a friend."""
        self.successResultOf(self.join("r", "a"))
        self.successResultOf(self.store.drain())
        refused = self.failureResultOf(self.join("new", "a"), StoreUnavailable)
        self.assertIn("opens no more rooms", refused.getErrorMessage())
        self.assertEqual(self.successResultOf(self.join("r", "b")).result, "SUCCESS")

    def test_it_is_drained_when_the_last_call_has_ended(self) -> None:
        """One who is alone is in no call, one who calls itself is."""
        for room, client in (("r", "a"), ("r", "b"), ("s", "c"), ("s", "d"), ("t", "e")):
            self.successResultOf(self.join(room, client))
        self.successResultOf(self.join("u", "f", loopback=True))
        drained = self.store.drain()
        for room, client in (("r", "a"), ("s", "c"), ("s", "d")):
            self.leave(room, client)
            self.assertNoResult(drained)
        self.leave("u", "f")
        self.successResultOf(drained)
        self.successResultOf(self.store.drain())
        self.successResultOf(self.join("t", "g"))
        self.assertNoResult(self.store.drain())

    def test_the_end_of_the_store_is_the_end_of_every_call(self) -> None:
        """Nobody waits for ever."""
        for client in "ab":
            self.successResultOf(self.join("r", client))
        drained = self.store.drain()
        self.successResultOf(Deferred.fromCoroutine(self.store.close()))
        self.successResultOf(drained)
