"""The store of one process. The tests of `StoreTests` hold for every `IRoomStore`."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from rtcd.interfaces import IRoomStore
from rtcd.metrics import Metrics
from rtcd.rooms import mesh
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import Declaration
from rtcd.rooms.memory import MAX_STALE_DEADLINES, MemoryRooms
from rtcd.rooms.outcome import Attach, Close, Deliver, Gone, Outcome, Said, StoreFull, StoreUnavailable
from rtcd.rooms.records import BYE, Card, Room
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import switchboard


class FakeSocket:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.events: list[Any] = []
        self.closed = False

    def deliver(self, text: str) -> None:
        """Keep it."""
        self.texts.append(text)

    def inform(self, text: str) -> None:
        """Keep it."""
        self.events.append(json.loads(text))

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class FakeWatcher:
    """Writes down what it is told."""

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def happened(self, room: str, news: Any) -> None:
        """Write it down."""
        self.told.append((room, news))


class StoreTests:
    """What an `IRoomStore` does; a subclass makes one in ``setUp`` as ``store``, its time in ``clock``."""

    store: Any
    clock: Clock
    assertEqual: Any
    assertFalse: Any
    assertTrue: Any
    successResultOf: Any
    failureResultOf: Any

    def update(self, room: str, change: Any, socket: FakeSocket | None = None) -> Any:
        """Apply a change and return its result."""
        return self.successResultOf(Deferred.fromCoroutine(self.store.update(room, change, socket)))

    def joined(self, room: str, client: str, address: str = "192.0.2.1") -> FakeSocket:
        """Join and register a client."""
        limits = self.store.limits
        self.update(room, lambda one, now: rooms.join(one, now, limits, client, address))
        socket = FakeSocket()
        self.update(room, lambda one, now: switchboard.register(one, now, limits, client), socket)
        return socket

    def page(self, room: str, client: str, tag: str, address: str = "192.0.2.1") -> FakeSocket:
        """Join and register a page."""
        limits, asked = self.store.limits, Declaration(Card(tag))
        self.update(room, lambda one, now: mesh.join(one, now, limits, client, address, asked))
        socket = FakeSocket()
        self.update(room, lambda one, now: switchboard.register(one, now, limits, client), socket)
        return socket

    def seats(self, room: str) -> list[str]:
        """Who is in a room."""
        found: list[str] = self.update(room, lambda one, _: Outcome(one, [client.id for client in one.clients]))
        return found

    def test_it_is_a_room_store(self) -> None:
        """The interface is kept."""
        self.assertTrue(verifyObject(IRoomStore, self.store))

    def test_effects_reach_the_attached_sockets_in_order(self) -> None:
        """And no other room's client of the same name."""
        first, second, other = self.joined("r", "a"), self.joined("r", "b"), self.joined("s", "b")
        limits = self.store.limits
        for text in ("1", "2"):
            self.update("r", lambda one, now, text=text: switchboard.send(one, now, limits, "a", text))
        self.assertEqual((first.texts, second.texts, other.texts), ([], ["1", "2"], []))

    def test_a_detached_socket_gets_nothing_and_the_next_one_stays(self) -> None:
        """Detaching late does not hurt the socket that came since."""
        self.joined("r", "a")
        old, new = self.joined("r", "b"), FakeSocket()
        self.update("r", lambda one, _: Outcome(one, None, (Attach("b"),)), new)
        self.store.detach("r", "b", old)
        self.update("r", lambda one, _: Outcome(one, None, (Deliver("b", "x"), Close("b"), Deliver("gone", "y"))))
        self.assertEqual((old.texts, new.texts, new.closed), ([], ["x"], True))

    def test_deadlines_come_by_themselves(self) -> None:
        """Join time-out, grace, and the byes that they cause."""
        first = self.joined("r", "a")
        limits = self.store.limits
        self.update("r", lambda one, now: rooms.join(one, now, limits, "b"))
        self.clock.advance(44)
        self.assertEqual(self.seats("r"), ["a", "b"])
        self.clock.advance(1)
        self.assertEqual((self.seats("r"), first.texts), (["a"], [BYE]))
        self.store.detach("r", "a", first)
        self.update("r", lambda one, now: switchboard.lost(one, now, limits, "a"))
        self.clock.advance(10)
        self.assertEqual(self.seats("r"), [])

    def test_a_nearer_deadline_is_not_missed(self) -> None:
        """One room's is set while another's is waited for."""
        limits = self.store.limits
        self.update("far", lambda one, now: rooms.join(one, now, limits, "a"))
        self.clock.advance(20)
        self.joined("near", "a")
        self.update("near", lambda one, now: switchboard.lost(one, now, limits, "a"))
        self.clock.advance(10)
        self.assertEqual((self.seats("near"), self.seats("far")), ([], ["a"]))
        self.clock.advance(15)
        self.assertEqual(self.seats("far"), [])

    def test_the_census_counts_rooms_and_an_address_s_seats(self) -> None:
        """Seats are given back whatever ends them."""
        self.joined("r", "a", "192.0.2.1")
        self.joined("r", "b", "192.0.2.2")
        self.joined("s", "c", "192.0.2.1")
        census = self.successResultOf(Deferred.fromCoroutine(self.store.census("192.0.2.1")))
        self.assertEqual((census.rooms, census.seats), (2, 2))
        self.update("r", lambda one, now: switchboard.delete(one, now, "a"))
        self.update("s", lambda one, now: switchboard.delete(one, now, "c"))
        census = self.successResultOf(Deferred.fromCoroutine(self.store.census("192.0.2.1")))
        self.assertEqual((census.rooms, census.seats), (1, 0))

    def test_seats_are_given_back_whatever_ends_them(self) -> None:
        """An address at its limit may join again when one of its clients is gone."""
        limits = self.store.limits
        for name in ("r", "s", "t"):
            self.joined(name, "c0")
        for number, ended in enumerate((
            lambda one, now: switchboard.delete(one, now, "c0"), lambda one, now: rooms.leave(one, now, limits, "c1"),
            lambda one, now: rooms.close(one, now),
        )):
            failure = self.failureResultOf(Deferred.fromCoroutine(self.store.update(
                "u", lambda one, now: rooms.join(one, now, limits, "x", "192.0.2.1"))))
            self.assertTrue(failure.check(StoreFull))
            self.update("r", ended)
            self.joined("r", f"c{number + 1}")

    def test_watchers_are_told_what_happens_before_its_effects(self) -> None:
        """Every one of them, in order; those of an expiry and of the end too."""
        told: list[Any] = []
        for _ in range(2):
            self.store.watch(FakeWatcher(told))
        limits = self.store.limits
        first = self.joined("r", "a")
        self.joined("r", "b")
        told.clear()
        first.texts = told
        self.update("r", lambda one, now: switchboard.send(one, now, limits, "b", "hello"))
        self.assertEqual(told, [("r", Said("b", "hello"))] * 2 + ["hello"])
        told.clear()
        self.update("r", lambda one, now: switchboard.lost(one, now, limits, "b"))
        self.assertEqual(told, [])
        self.clock.advance(10)
        self.assertEqual(told, [("r", Gone("b"))] * 2 + [BYE])
        told.clear()
        self.successResultOf(Deferred.fromCoroutine(self.store.close()))
        self.assertEqual(told, [("r", Gone("a"))] * 2 + [BYE])

    def test_pages_are_told_of_every_change_whatever_made_it(self) -> None:
        """Behind its effects: a caller's update, an expiry, and a change of the limits."""
        limits = self.store.limits
        first, second = self.page("r", "a", "1"), self.page("r", "b", "2", "192.0.2.2")
        for one in (first, second):
            self.assertEqual([member["id"] for member in one.events[-1]["members"]], ["1", "2"])
        self.assertEqual([len(one.events) for one in (first, second)], [3, 1])
        self.update("r", lambda one, now: mesh.command(one, now, limits, "a", mesh.Direct("2", "x"), b""))
        self.assertEqual(([one["event"] for one in second.events], len(first.events)), (["room", "message"], 3))
        self.store.detach("r", "b", second)
        self.update("r", lambda one, now: switchboard.lost(one, now, limits, "b"))
        self.assertFalse(first.events[-1]["members"][1]["here"])
        self.clock.advance(30)
        self.assertEqual((first.events[-1]["gone"], len(first.events)), ({"2": "lost"}, 5))
        self.store.use(RoomsSettings(max_rooms=5, max_clients_per_address=3, capacity=4))
        self.assertEqual((first.events[-1]["capacity"], len(first.events)), (4, 6))
        self.store.use(RoomsSettings(max_rooms=5, max_clients_per_address=3, capacity=4, grace=1))
        self.assertEqual(len(first.events), 6)

    def test_a_page_that_comes_back_needs_no_second_seat(self) -> None:
        """An address at its limit: its seat is taken over, with what others have written."""
        limits = self.store.limits
        for name in ("r", "s", "t"):
            self.page(name, "a", "1")
        asked = Declaration(Card("1"), was="a")
        joined = self.update("r", lambda one, now: mesh.join(one, now, limits, "b", "192.0.2.1", asked))
        self.assertEqual((joined.result, self.seats("r")), ("SUCCESS", ["b"]))

    def test_what_is_not_kept_is_no_news(self) -> None:
        """A change that the store refuses."""
        told: list[Any] = []
        self.store.watch(FakeWatcher(told))
        limits = self.store.limits
        for name in ("r", "s", "t"):
            self.joined(name, "a")
        told.clear()
        self.failureResultOf(Deferred.fromCoroutine(self.store.update(
            "r", lambda one, now: rooms.join(one, now, limits, "b", "192.0.2.1"))))
        self.assertEqual(told, [])

    def test_closing_tells_every_room(self) -> None:
        """A bye and a close for each socket; nothing is left that waits."""
        sockets = [self.joined(name, "a") for name in ("r", "s", "t")]
        self.successResultOf(Deferred.fromCoroutine(self.store.close()))
        self.assertEqual([(one.texts, one.closed) for one in sockets], [([BYE], True)] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_limit_changes_nothing(self) -> None:
        """StoreFull: no room, no seat, no effect."""
        limits = self.store.limits
        socket = self.joined("r0", "a")
        for number in range(1, 5):
            self.joined(f"r{number}", "a", f"192.0.2.{number}")
        failure = self.failureResultOf(Deferred.fromCoroutine(self.store.update(
            "r9", lambda one, now: rooms.join(one, now, limits, "z"))))
        self.assertTrue(failure.check(StoreFull))
        self.assertEqual(self.seats("r9"), [])
        self.joined("r0", "b", "192.0.2.9")
        self.assertEqual((self.seats("r0"), socket.texts), (["a", "b"], []))


class MemoryTests(StoreTests, SynchronousTestCase):
    """`MemoryRooms`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryRooms(self.clock, RoomsSettings(max_rooms=5, max_clients_per_address=3), Metrics())

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
        for watcher in (None, FakeWatcher(told)):
            self.store.watch(watcher)
        self.joined("r", "a")
        self.assertEqual([type(news).__name__ for _, news in told], ["Came", "Came"])
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 2)

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
