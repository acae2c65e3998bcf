"""What of shared rooms has an end: lines, memories and inboxes; and that Redis does what the hub does."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any
from unittest import skipUnless

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from rtcd import tap
from rtcd.cluster import hub as hubs
from rtcd.cluster import redis as backend_module
from rtcd.cluster import shared, turns, upkeep
from rtcd.cluster.address import Address
from rtcd.cluster.backend import BEAT_S, CLAIM_S, LEASE_S, Bounds, Commit, Conflict, Dead, Entry, State
from rtcd.cluster.codec import encode_effects, encode_news
from rtcd.cluster.hub import Hub
from rtcd.cluster.inbox import MAX_LATE, MAX_LATE_CHARACTERS, Inbox
from rtcd.cluster.inside import HubBackend
from rtcd.cluster.redis import RedisBackend
from rtcd.cluster.serving import HubServer
from rtcd.cluster.shards import ShardedRooms
from rtcd.cluster.shared import OPEN_S, SharedRooms
from rtcd.cluster.turns import MAX_WAITING
from rtcd.cluster.upkeep import SETTLE_S
from rtcd.cluster.wire import Wire
from rtcd.config import ConfigError
from rtcd.interfaces import IRoomStore
from rtcd.metrics import Metrics
from rtcd.rooms import mesh
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import Declaration
from rtcd.rooms.outcome import Attach, Came, Deliver, Outcome, Said, StoreAway, StoreFull, StoreUnavailable
from rtcd.rooms.records import Card
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import switchboard
from tests.redis import ask, is_here, shared_server
from tests.shell.room_store import FakeSocket, FakeWatcher

BOUNDS = Bounds(3, 3, 50, 80)
LIMITS = RoomsSettings().limits


class OriginWatcher(FakeWatcher):
    """Writes down whether it was this daemon."""

    def happened(self, room: str, news: Any, *, here: bool = True) -> None:
        """Write it down."""
        self.told.append(here)


def done(work: Any) -> Any:
    """The result of something that waits for nothing."""
    found: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(found.append)
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]


class LimitTests(SynchronousTestCase):
    """On the embedded store."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hub = Hub(max_inbox=5)
        self.server = HubServer(self.hub, self.clock)
        self.backend = HubBackend(self.server)
        self.store = SharedRooms(self.clock, RoomsSettings(), Metrics(), self.backend)
        done(self.store.start())

    def another(self) -> SharedRooms:
        """One more process at the same hub."""
        store = SharedRooms(self.clock, RoomsSettings(), Metrics(), HubBackend(self.server))
        done(store.start())
        return store

    def rival(self, name: str, times: int) -> list[float]:
        """Somebody is quicker with a room so many times. Returns when that was."""
        other = self.another()
        when: list[float] = []
        done(other.update(name, lambda one, now: rooms.join(one, now, LIMITS, "other")))
        commit = self.backend.commit

        async def second(step: Commit) -> int:
            if len(when) < times:
                when.append(self.clock.seconds())
                text = f"{len(when)}"
                done(other.update(name, lambda one, now: rooms.message(one, now, LIMITS, "other", text)))
            return await commit(step)

        self.patch(self.backend, "commit", second)
        return when

    def commit(self, name: str, expected: int, **more: Any) -> int:
        """A step of a room."""
        return self.hub.commit(Commit(name, expected, b"x", BOUNDS, **more))

    def test_an_inbox_that_nobody_reads_has_an_end(self) -> None:
        """Its node is told that entries are missing, and reads those that are there."""
        self.hub.beat("n", 0)
        for number in range(9):
            self.commit(f"r{number}" if number < 3 else "r0", 0 if number < 3 else self.hub.load("r0").version,  # type: ignore[union-attr]
                        inbox={"n": b"%d" % number})
        entries, missed = self.hub.read("n", 0, 100)
        self.assertEqual(([entry.effects for _, entry in entries], missed), ([b"4", b"5", b"6", b"7", b"8"], True))
        self.assertEqual(self.hub.read("n", 9, 100), ([], False))

    def test_who_is_overtaken_again_and_again_waits_for_a_while(self) -> None:
        """Somebody who has more to say than there are tries is through at some time; a few tries are made at once."""
        when = self.rival("r", shared.MAX_TRIES - 1)
        joined = ensureDeferred(self.store.update("r", lambda one, now: rooms.join(one, now, LIMITS, "us")))
        self.assertEqual(len(when), shared.EAGER_TRIES)
        self.clock.pump([0.001] * 2000)
        self.assertEqual((self.successResultOf(joined).result, len(when)), ("SUCCESS", shared.MAX_TRIES - 1))
        waits = [round(then - before, 3) for before, then in pairwise(when[shared.EAGER_TRIES - 1:])][::2]
        self.assertEqual(waits[:5], [0.001, 0.002, 0.004, 0.008, 0.016])
        self.assertLessEqual(max(waits), shared.MAX_REST_S + 0.001)
        self.assertGreater(sum(waits), 0.4)

    def test_who_is_always_overtaken_is_told_so(self) -> None:
        """Within a second; nothing of it is done."""
        when = self.rival("r", 10 ** 6)
        joined = ensureDeferred(self.store.update("r", lambda one, now: rooms.join(one, now, LIMITS, "us")))
        self.clock.pump([0.001] * 1000)
        self.assertEqual(str(self.failureResultOf(joined, StoreUnavailable).value), turns.BUSY)
        self.assertEqual(len(when), shared.MAX_TRIES)

    def test_watchers_are_told_by_which_daemon_it_was(self) -> None:
        """Each daemon counts and announces what it did itself, whichever of its processes did it."""
        told: dict[str, list[bool]] = {}
        stores = {}
        for name in ("a1", "a2", "b1"):
            backend = HubBackend(self.server, name)
            stores[name] = store = SharedRooms(self.clock, RoomsSettings(), Metrics(), backend, daemon=name[0])
            store.watch(OriginWatcher(told.setdefault(name, [])))
            done(store.start())
        for name in ("a1", "b1"):
            done(stores[name].update(name, lambda one, now: rooms.join(one, now, self.store.limits, "c")))
        self.assertEqual(told, {"a1": [True, False], "a2": [True, False], "b1": [False, True]})

    def test_a_node_that_ends_while_it_holds_sockets_is_dead(self) -> None:
        """At once, and its rooms are looked after; one that holds none is forgotten."""
        for node in ("n", "m"):
            self.hub.beat(node, 0.0)
        self.commit("r", 0, holding={"n": 1})
        for node in ("n", "m"):
            self.hub.leave(node, 5.0)
        self.assertNotIn("m", self.hub.nodes)
        for now in (4.0, 8.0, 12.0):
            self.hub.beat(self.backend.node, now)
        self.assertIn(Dead("n", ["r"]), self.hub.gone(12.0, 9))

    def test_a_dead_node_is_remembered_until_nothing_of_it_is_left(self) -> None:
        """Work on its rooms that fails is done again."""
        limits, other = self.store.limits, SharedRooms(self.clock, RoomsSettings(), Metrics(), HubBackend(self.server))
        done(other.start())
        done(other.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        done(other.update("r", lambda one, now: switchboard.register(one, now, limits, "a"), FakeSocket()))
        for loop in (*other._upkeep._loops, other.backend._beating):  # type: ignore[attr-defined] # of HubBackend
            loop.stop()
        tried: list[str] = []

        async def fails(node: str, name: str) -> None:
            tried.append(name)
            raise StoreUnavailable("no")

        mending = self.patch(self.store._upkeep, "_mourn", fails)
        for _ in range(15):
            self.clock.advance(1)
        self.assertIn("r", tried)
        self.assertIn(other.backend.node, self.hub.nodes)
        mending.restore()
        for _ in range(10):
            self.clock.advance(1)
        self.assertNotIn(other.backend.node, self.hub.nodes)
        registered = done(self.store.update("r", lambda one, _: Outcome(one, [one.registered for one in one.clients])))
        self.assertEqual(registered, [False])

    def dead_node(self, count: int) -> str:
        """One that holds sockets in so many rooms, and says no more."""
        limits, other = self.store.limits, SharedRooms(self.clock, RoomsSettings(), Metrics(), HubBackend(self.server))
        done(other.start())
        for number in range(count):
            name = f"r{number}"
            done(other.update(name, lambda one, now: rooms.join(one, now, limits, "a")))
            done(other.update(name, lambda one, now: switchboard.register(one, now, limits, "a"), FakeSocket()))
        for loop in (*other._upkeep._loops, other.backend._beating):  # type: ignore[attr-defined] # of HubBackend
            loop.stop()
        return other.backend.node

    def test_all_rooms_of_a_dead_node_are_looked_after_at_once(self) -> None:
        """However many there are: whoever was there is lost as soon as it is found dead."""
        node = self.dead_node(350)
        for _ in range(int(LEASE_S + 2 * BEAT_S)):
            self.clock.advance(1)
        self.assertNotIn(node, self.hub.nodes)
        found = done(self.store.rooms("", 999))
        self.assertEqual((len(found), [name for name, room in found if room.clients[0].registered]), (350, []))

    def test_of_very_many_rooms_of_a_dead_node_some_wait_for_the_next_time(self) -> None:
        """It is remembered until all were looked after."""
        self.patch(upkeep, "MOURNED", 3)
        node = self.dead_node(5)
        for _ in range(int(LEASE_S + BEAT_S)):
            self.clock.advance(1)
        self.assertEqual(len(self.hub.nodes[node].holds), 2)
        for _ in range(int(CLAIM_S + 2 * BEAT_S)):
            self.clock.advance(1)
        self.assertNotIn(node, self.hub.nodes)

    def test_a_node_that_is_alive_after_all_hears_that_it_was_taken_for_dead(self) -> None:
        """As soon as others have begun with its rooms: its sockets are closed rather than left deaf."""
        limits, other, socket = self.store.limits, HubBackend(self.server), FakeSocket()
        late = SharedRooms(self.clock, RoomsSettings(), Metrics(), other)
        done(late.start())
        done(late.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        done(late.update("r", lambda one, now: switchboard.register(one, now, limits, "a"), socket))
        other._beating.stop()  # type: ignore[union-attr] # it has begun
        self.patch(self.hub, "bury", lambda *_: None)
        for _ in range(15):
            self.clock.advance(1)
        self.assertEqual((self.hub.held(other.node), socket.closed), ([], False))
        other._beat()
        self.assertTrue(socket.closed)

    def test_sockets_that_the_store_does_not_take_for_ours_are_closed_in_time(self) -> None:
        """Whatever has happened."""
        limits, socket, kept = self.store.limits, FakeSocket(), FakeSocket()
        for name, one in (("r", socket), ("s", kept)):
            done(self.store.update(name, lambda one, now: rooms.join(one, now, limits, "a")))
            done(self.store.update(name, lambda one, now: switchboard.register(one, now, limits, "a"), one))
        other = SharedRooms(self.clock, RoomsSettings(), Metrics(), HubBackend(self.server))
        done(other.start())
        done(other.update("r", lambda one, now: switchboard.lost(one, now, limits, "a")))
        for _ in range(30):
            self.clock.advance(1)
        self.assertEqual((socket.closed, kept.closed), (True, False))

    def test_nobody_is_dead_because_nobody_could_beat(self) -> None:
        """After a gap everybody has the time of a lease to come back."""
        for node in ("n", "m"):
            self.hub.beat(node, 0.0)
        self.assertEqual(self.hub.gone(60.0, 9), [])
        self.hub.beat("n", 60.0)
        self.assertEqual(self.hub.gone(60.0, 9), [])
        for now in (63.0, 66.0, 69.0):
            self.hub.beat("n", now)
        self.assertIn(Dead("m", []), self.hub.gone(69.0, 9))

    def test_missing_entries_close_pages_and_no_apps(self) -> None:
        """A node that was taken for dead has a new inbox; its clients are asked to come again, if they can."""
        limits, sockets = self.store.limits, (FakeSocket(), FakeSocket())
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        done(self.store.update("r", lambda one, now: switchboard.register(one, now, limits, "a"), sockets[0]))
        asked = Declaration(Card("1" * 16))
        done(self.store.update("s", lambda one, now: mesh.join(one, now, limits, "p", "192.0.2.1", asked)))
        done(self.store.update("s", lambda one, now: switchboard.register(one, now, limits, "p"), sockets[1]))
        self.store._stands(State.MISSED)
        self.assertEqual([one.closed for one in sockets], [False, True])
        del self.hub.nodes[self.backend.node]
        other = SharedRooms(self.clock, RoomsSettings(), Metrics(), HubBackend(self.server))
        done(other.start())
        done(other.update("r", lambda one, now: switchboard.lost(one, now, limits, "a")))
        self.clock.advance(3)
        self.assertTrue(sockets[0].closed, "the store does not take it for ours any more")

    def lose_all(self) -> None:
        """The store is empty, but for who is alive."""
        self.hub._rooms.clear()
        for node in self.hub.nodes.values():
            node.holds.clear()

    def registered(self) -> list[str]:
        """Who is in the room and has a socket."""
        found: list[str] = done(self.store.update("r", lambda one, _: Outcome(one, [
            client.id for client in one.clients if client.registered])))
        return found

    def test_nothing_is_done_with_rooms_that_were_lost_until_all_have_given_them_back(self) -> None:
        """We give back what we know, and wait for those who may know more; if we cannot list it, we try again."""
        limits, socket = self.store.limits, FakeSocket()
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        done(self.store.update("r", lambda one, now: switchboard.register(one, now, limits, "a"), socket))
        self.lose_all()
        asked: list[Deferred[list[str]]] = [Deferred(), Deferred()]
        waiting = iter(asked)
        self.patch(self.backend, "held", lambda: next(waiting))
        self.store._stands(State.RESET)

        def join() -> Deferred[Any]:
            return Deferred.fromCoroutine(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "b")))

        self.failureResultOf(join(), StoreAway)
        asked[0].errback(StoreUnavailable("no"))
        self.clock.advance(SETTLE_S)
        self.failureResultOf(join(), StoreAway)
        asked[1].callback([])
        self.assertEqual(self.hub.totals().rooms, 1)
        self.failureResultOf(join(), StoreAway)
        self.clock.advance(SETTLE_S)
        joined = self.successResultOf(join())
        self.assertEqual((joined.result, joined.is_initiator, self.registered()), ("SUCCESS", False, ["a"]))
        self.assertFalse(socket.closed)

    def test_who_knows_more_of_a_room_that_was_lost_has_the_last_word(self) -> None:
        """Whoever is the first to give it back; and nobody of the others loses a seat, or is told of it."""
        limits, other = self.store.limits, self.another()
        sockets = FakeSocket(), FakeSocket()
        def come(store: SharedRooms, client: str, socket: FakeSocket) -> None:
            done(store.update("r", lambda one, now: rooms.join(one, now, limits, client)))
            done(store.update("r", lambda one, now: switchboard.register(one, now, limits, client), socket))

        come(self.store, "a", sockets[0])
        come(other, "b", sockets[1])
        self.assertEqual(len(self.store.known["r"].room.clients), 1)  # who came later is none of its doing
        self.lose_all()
        for store in (self.store, other):
            store._stands(State.RESET)
        self.clock.advance(SETTLE_S)
        self.assertEqual(self.registered(), ["a", "b"])
        done(self.store.update("r", lambda one, now: switchboard.send(one, now, limits, "a", "after")))
        self.assertEqual((sockets[1].texts, sockets[0].closed, sockets[1].closed), (["after"], False, False))

    def test_a_store_that_ends_while_others_give_back_waits_for_nobody(self) -> None:
        """It has nothing to give back, and no sockets. The clock is left as it was."""
        self.lose_all()
        self.store._stands(State.RESET)
        done(self.store.close())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_store_that_ends_gives_back_first_what_was_lost(self) -> None:
        """Or nobody would know the room any more, and it could not say whose socket is gone; also where that begins only
        now, since the last time failed."""
        limits, socket = self.store.limits, FakeSocket()
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        done(self.store.update("r", lambda one, now: switchboard.register(one, now, limits, "a"), socket))

        async def fails() -> Any:
            raise StoreUnavailable("no")

        self.lose_all()
        broken = self.patch(self.backend, "held", fails)
        self.store._stands(State.RESET)
        broken.restore()
        self.assertEqual(self.hub.totals().rooms, 0)
        closing = Deferred.fromCoroutine(self.store.close())
        self.assertEqual((self.hub.totals().rooms, socket.closed), (1, False))
        self.assertNoResult(closing)
        self.clock.advance(SETTLE_S)
        self.successResultOf(closing)
        self.assertTrue(socket.closed)
        self.assertNotIn(self.backend.node, self.hub.nodes)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.store = self.another()
        seats = done(self.store.update("r", lambda one, _: Outcome(one, [client.id for client in one.clients])))
        self.assertEqual((seats, self.registered()), (["a"], []))

    def test_a_store_that_ends_while_it_gives_back_keeps_what_came_late(self) -> None:
        """For a socket that is gone, the last one of its process: it waits till changes can be made again."""
        limits, other, old, new = self.store.limits, self.another(), FakeSocket(), FakeSocket()
        done(other.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "b")))
        done(self.store.update("r", lambda one, now: switchboard.register(one, now, limits, "b"), old))
        self.assertTrue(self.store.detach("r", "b", old))
        done(other.update("r", lambda one, now: switchboard.send(one, now, limits, "a", "late")))
        self.lose_all()
        for store in (self.store, other):
            store._stands(State.RESET)
        closing = Deferred.fromCoroutine(self.store.close())
        self.clock.advance(SETTLE_S)
        self.successResultOf(closing)
        done(other.update("r", lambda one, now: switchboard.register(one, now, limits, "b"), new))
        self.assertEqual(new.texts, ["late"])

    def test_a_store_that_ends_waits_only_so_long_for_what_was_lost(self) -> None:
        """Then it gives nothing back any more, be it that a room is known only then, or that more is lost."""
        limits = self.store.limits
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        self.lose_all()
        loading: Deferred[Any] = Deferred()
        self.patch(self.backend, "load", lambda _: loading)
        self.store._stands(State.RESET)
        closing = Deferred.fromCoroutine(self.store.close())
        self.clock.advance(upkeep.GIVE_BACK_S - 0.1)
        self.assertNoResult(closing)
        self.clock.advance(0.1)
        self.successResultOf(closing)
        loading.callback(None)
        self.store._stands(State.RESET)
        self.assertEqual((self.clock.getDelayedCalls(), self.store.reachable), ([], False))

    def test_a_store_that_ends_while_it_is_away_waits_for_nothing(self) -> None:
        """It cannot give anything back, and others will find out."""
        limits, socket = self.store.limits, FakeSocket()
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        done(self.store.update("r", lambda one, now: switchboard.register(one, now, limits, "a"), socket))
        self.lose_all()
        self.store._stands(State.RESET)
        self.store._stands(State.AWAY)
        done(self.store.close())
        self.assertEqual((self.clock.getDelayedCalls(), socket.closed), ([], True))

    def test_a_store_that_goes_away_while_it_ends_is_not_waited_for(self) -> None:
        """As soon as that is known of what was asked."""
        limits, socket = self.store.limits, FakeSocket()
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        done(self.store.update("r", lambda one, now: switchboard.register(one, now, limits, "a"), socket))
        self.lose_all()
        self.store._stands(State.RESET)
        closing = Deferred.fromCoroutine(self.store.close())
        self.assertNoResult(closing)
        self.store._stands(State.AWAY)
        self.clock.advance(SETTLE_S)
        self.successResultOf(closing)
        self.assertEqual((self.clock.getDelayedCalls(), socket.closed), ([], True))

    def test_what_was_not_mended_is_mended_when_the_store_is_back_once_more(self) -> None:
        """Be it that rooms could not be listed, or one of them not be given back."""
        limits, socket = self.store.limits, FakeSocket()
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        done(self.store.update("r", lambda one, now: switchboard.register(one, now, limits, "a"), socket))

        async def fails(*_: object) -> Any:
            raise StoreUnavailable("no")

        for method in ("held", "load"):
            self.lose_all()
            broken = self.patch(self.backend, method, fails)
            self.store._stands(State.RESET)
            self.store._stands(State.AWAY)
            broken.restore()
            self.assertEqual(self.hub.totals().rooms, 0)
            self.store._stands(State.BACK)
            self.clock.pump([SETTLE_S] * 2)
            self.assertEqual((self.registered(), socket.closed, self.store._upkeep._left), (["a"], False, {}))

    def test_who_said_what_comes_for_a_socket_that_is_gone_is_kept(self) -> None:
        """It is in the news; who it was is not known of what had waited for the client."""
        inbox = self.store.inbox
        inbox.owe("r", "b")
        for news in ([Said("a", "hello")], []):
            inbox.take(Entry("r", 1, 1, "x", encode_effects([Deliver("b", "hello")]), encode_news(news)), None, here=True)
        self.assertEqual(inbox.quit("r", "b"), [Said("a", "hello"), Said("", "hello")])

    def test_what_was_given_back_and_comes_for_a_socket_that_nobody_has_is_kept_once(self) -> None:
        """Nobody knew that it was done; the client's next socket was to be here, and who wanted it was told that the store
        was away."""
        inbox = Inbox(lambda name: None)
        inbox.owe("r", "b", [Said("a", "1")])
        effects = encode_effects([Attach("b"), Deliver("b", "1")])
        inbox.take(Entry("r", 1, 1, "x", effects, encode_news([Came("b", "", registered=True)])), None, here=True)
        self.assertEqual([one.text for one in inbox.quit("r", "b")], ["1"])

    def test_what_comes_for_a_socket_that_is_gone_has_an_end(self) -> None:
        """By number and by length, until the store knows that it is gone."""
        inbox = self.store.inbox
        inbox.deliver("r", "a", "for a stranger")
        self.assertEqual(inbox.owed, {})
        for client, text, most in (("a", "x", MAX_LATE), ("b", "x" * 4096, MAX_LATE_CHARACTERS // 4096)):
            inbox.owe("r", client)
            for _ in range(MAX_LATE + 50):
                inbox.deliver("r", client, text)
            self.assertEqual(inbox.quit("r", client), [Said("", text)] * most)
        self.assertEqual((inbox.owed, inbox.quit("r", "a")), ({}, []))

    def test_deadlines_that_do_not_hold_any_more_do_not_pile_up(self) -> None:
        """Beyond a limit they are swept out."""
        self.patch(hubs, "MAX_STALE", 20)
        version = 0
        for number in range(100):
            version = self.commit("r", version, deadline=1000.0 - number)
        self.assertTrue(len(self.hub._heap) <= 25)
        self.assertEqual((self.hub.due(900, 9), self.hub.due(901, 9), self.hub.due(906, 9)), ([], ["r"], ["r"]))

    def test_lines_have_an_end(self) -> None:
        """Who asks too much of one room is told to come later."""
        self.patch(turns, "MAX_LINE", 3)
        waiting: Deferred[None] = Deferred()

        async def slow() -> None:
            await waiting

        first = [self.store.turns.take("r", slow) for _ in range(4)]
        self.assertRaises(StoreUnavailable, self.store.turns.take, "r", slow)
        waiting.callback(None)
        self.assertEqual([self.successResultOf(one) for one in first], [None] * 4)
        self.assertTrue(self.store.turns.idle)

    def test_what_is_remembered_has_an_end_and_rooms_with_sockets_stay(self) -> None:
        """A room that was forgotten is read again."""
        self.patch(shared, "MAX_KNOWN", 4)
        limits = self.store.limits
        done(self.store.update("held", lambda one, now: rooms.join(one, now, limits, "a")))
        done(self.store.update("held", lambda one, now: switchboard.register(one, now, limits, "a"), FakeSocket()))
        for number in range(20):
            done(self.store.update(f"r{number}", lambda one, now: rooms.join(one, now, limits, "a")))
        self.assertTrue(len(self.store.known) <= 6)
        self.assertIn("held", self.store.known)
        self.assertEqual(done(self.store.update("r0", lambda one, _: Outcome(one, len(one.clients)))), 1)

    def test_what_goes_on_elsewhere_is_not_remembered(self) -> None:
        """Only as long as nobody else has changed it, or ended it, and while we hold a socket in it."""
        limits = self.store.limits
        other = SharedRooms(self.clock, RoomsSettings(), Metrics(), HubBackend(self.server))
        done(other.start())
        for name in "rst":
            done(self.store.update(name, lambda one, now: rooms.join(one, now, limits, "a")))
        done(self.store.update("t", lambda one, now: switchboard.register(one, now, limits, "a"), FakeSocket()))
        done(other.update("r", lambda one, now: rooms.join(one, now, limits, "b")))
        done(other.update("s", lambda one, now: rooms.leave(one, now, limits, "a")))
        done(other.update("t", lambda one, now: rooms.join(one, now, limits, "b")))
        self.assertEqual(list(self.store.known), ["t"])
        self.assertEqual(done(self.store.update("r", lambda one, _: Outcome(one, len(one.clients)))), 2)

    def test_draining_opens_no_room(self) -> None:
        """Whoever waits in one can still be joined; rooms go on elsewhere, so nobody waits for their end."""
        limits = self.store.limits
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        self.successResultOf(self.store.drain())
        self.assertRaises(StoreUnavailable, done, self.store.update("s", lambda one, now: rooms.join(one, now, limits, "a")))
        self.assertEqual(done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "b"))).result, "SUCCESS")

    def test_a_daemon_that_ends_as_a_whole_waits_for_its_calls(self) -> None:
        """If its rooms end with it."""
        limits = self.store.limits
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "b")))
        self.clock.advance(3)
        self.server.end()
        drained = self.store.drain()
        self.assertNoResult(drained)
        done(self.store.update("r", lambda one, now: rooms.leave(one, now, limits, "a")))
        self.clock.advance(3)
        self.successResultOf(drained)

    def test_a_call_that_has_just_begun_is_waited_for_too(self) -> None:
        """How many there are is asked for anew when draining begins; if that cannot be told, the last word counts."""
        limits = self.store.limits
        self.server.end()
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "a")))
        done(self.store.update("r", lambda one, now: rooms.join(one, now, limits, "b")))
        self.assertEqual(self.store.totals.calls, 0)
        drained = self.store.drain()
        self.assertNoResult(drained)
        self.assertNoResult(self.store.drain())
        done(self.store.update("r", lambda one, now: rooms.leave(one, now, limits, "a")))
        self.clock.advance(3)
        self.successResultOf(drained)

        async def away() -> Any:
            raise StoreAway("no")

        other = SharedRooms(self.clock, RoomsSettings(), Metrics(), HubBackend(self.server))
        self.patch(other.backend, "totals", away)
        self.successResultOf(other.drain())

    def opening(self, *, reached: bool = True) -> tuple[SharedRooms, Deferred[None], list[Any]]:
        """A store that is about to be reached, or not, what ends its first attempt, and what came of joins meanwhile, in two
        rooms."""
        backend, attempt = HubBackend(self.server), Deferred[None]()
        store, start = SharedRooms(self.clock, RoomsSettings(), Metrics(), backend), backend.start

        async def slowly() -> None:
            await attempt
            if reached:
                await start()

        self.patch(backend, "start", slowly)
        found: list[Any] = []
        Deferred.fromCoroutine(store.start())

        async def join(room: str, client: str) -> Any:
            return await store.update(room, lambda one, now: rooms.join(one, now, LIMITS, client))

        for room, client in (("r", "a"), ("r", "b"), ("s", "c")):
            Deferred.fromCoroutine(join(room, client)).addBoth(found.append)
        return store, attempt, found

    def test_who_comes_while_the_store_is_opened_waits_for_it(self) -> None:
        """Connections are taken a little earlier; nobody shall be told to come again for that."""
        store, attempt, found = self.opening()
        self.clock.advance(OPEN_S / 2)
        self.assertEqual(found, [])
        attempt.callback(None)
        self.assertEqual([(one.result, one.is_initiator) for one in found],
                         [("SUCCESS", True), ("SUCCESS", False), ("SUCCESS", True)])
        done(store.close())

    def test_who_comes_to_a_store_that_is_not_reached_is_told_so_in_time(self) -> None:
        """When the attempt has failed, when it takes too long, and when we end meanwhile; from then on at once."""
        ends: list[Any] = [lambda attempt, _: attempt.callback(None), lambda *_: self.clock.advance(OPEN_S),
                           lambda _, store: done(store.close())]
        for work in ends:
            store, attempt, found = self.opening(reached=False)
            work(attempt, store)
            self.assertEqual([one.type for one in found], [StoreAway] * 3)
            for _ in range(MAX_WAITING + 1):
                self.assertRaises(StoreUnavailable, done, store.update("r", lambda one, _: Outcome(one, None)))
            done(store.close())
            if not attempt.called:
                attempt.callback(None)
        for loop in (*self.store._upkeep._loops, self.backend._beating):
            loop.stop()  # type: ignore[union-attr] # it has begun
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_missing_package_is_one_line(self) -> None:
        """It says what to install."""
        for name in ("rtcd.cluster.service", "rtcd.cluster.redis", "rtcd.cluster.wire", "txredisapi"):
            if name in sys.modules:
                self.addCleanup(sys.modules.__setitem__, name, sys.modules[name])
                del sys.modules[name]
        sys.modules["txredisapi"] = None  # type: ignore[assignment] # what is not to be found
        settings = RoomsSettings(store=("redis://h",))
        fault = self.assertRaises(ConfigError, tap._rooms, Clock(), settings, Metrics(), None, None, None)
        self.assertIn("[rooms] store: rooms on Redis need the Python package txredisapi; run: pip install 'rtcd[cluster]'",
                      str(fault))


class ShardTests(SynchronousTestCase):
    """Rooms that are shared out among two stores."""

    def test_two_stores_are_one(self) -> None:
        """Each room is in one of them; who asks for all gets those of both. If one is away, only its rooms are."""
        clock, hubs, stores = Clock(), (Hub(), Hub()), []
        for hub in hubs:
            stores.append(SharedRooms(clock, RoomsSettings(), Metrics(), HubBackend(HubServer(hub, clock))))
        both: Any = ShardedRooms(("redis://a:6379", "redis://b:6379"), stores)
        self.assertTrue(verifyObject(IRoomStore, both))
        told: list[str] = []
        both.watch(FakeWatcher(told))
        done(both.start())
        limits, names = both.limits, [f"r{number}" for number in range(8)]
        sockets = {name: FakeSocket() for name in names}
        for name in names:
            done(both.update(name, lambda one, now: rooms.join(one, now, limits, "a", "192.0.2.1")))
            done(both.update(name, lambda one, now: switchboard.register(one, now, limits, "a"), sockets[name]))
        shares = [hub.totals().rooms for hub in hubs]
        self.assertEqual((sum(shares), 0 in shares, len(told)), (8, False, 16))
        self.assertEqual([name for name, _ in done(both.rooms("r1", 4))], ["r2", "r3", "r4", "r5"])
        census = done(both.census("192.0.2.1"))
        self.assertEqual((census.rooms, census.seats), (8, 8))
        self.assertTrue(both.detach("r0", "a", sockets["r0"]))
        self.assertFalse(both.detach("r0", "a", sockets["r0"]))
        async def away(*_: object) -> Any:
            raise StoreUnavailable("no")

        stores[0]._stands(State.AWAY)
        for method in ("census", "page"):
            self.patch(stores[0].backend, method, away)
        answers = []
        for name in names:
            try:
                answers.append(done(both.update(name, lambda one, _: Outcome(one, len(one.clients)))))
            except StoreUnavailable:
                answers.append(None)
        self.assertEqual((answers.count(None), answers.count(1)), (shares[0], shares[1]))
        for asked in (both.census("192.0.2.1"), both.rooms("", 9)):
            self.assertRaises(StoreUnavailable, done, asked)
        self.successResultOf(both.drain())
        done(both.close())


def commits() -> st.SearchStrategy[Any]:
    """Steps of a few rooms, by and for a few nodes."""
    few = st.dictionaries(st.sampled_from(["", "x", "y"]), st.integers(-2, 3).filter(bool), max_size=2)
    nodes = st.sampled_from(["n1", "n2", "nobody"])
    return st.builds(
        dict, name=st.sampled_from(["a", "b", "ü", "d", "e"]), value=st.sampled_from([None, b"", b"v", b"\0:\xff"]),
        deadline=st.none() | st.integers(0, 9).map(float), seats=few, queued=few.map(lambda one: {
            key: 10 * number for key, number in one.items()}), call=st.integers(-1, 1),
        holding=st.dictionaries(nodes, st.sampled_from([1, -1]), max_size=2),
        inbox=st.dictionaries(nodes, st.binary(max_size=3), max_size=2), news=st.sampled_from([b"", b"news"]),
        stale=st.integers(0, 5).map(lambda one: one == 0))


@skipUnless(is_here(), "redis-server is not installed")
class DeadNodeTests(TestCase):
    """Redis, and who is taken for dead."""

    async def setUp(self) -> None:  # type: ignore[override] # trial waits
        self.path, self.prefix = shared_server().path, f"{self.id()}:"
        self.states: dict[str, list[State]] = {"n": [], "m": []}
        self.backends = {}
        for node, states in self.states.items():
            self.backends[node] = one = RedisBackend(reactor, Wire(reactor, Address(path=self.path)), self.prefix, 60, node)
            one.follow(lambda entry: None, states.append)
            await one.start()
            one._beating.stop()
            self.addCleanup(one.close)
        self.late(spared=1)
        await self.commit("r", 0, holding={"m": 1})

    async def commit(self, name: str, expected: int, value: bytes | None = b"x", **more: Any) -> int:
        """A step of a room."""
        return await self.backends["n"].commit(Commit(name, expected, value, BOUNDS, **more))

    def late(self, **more: int) -> None:
        """One of them has not beaten for long; perhaps something else was long ago."""
        ask(self.path, "ZADD", f"{self.prefix}nodes", "1", "m")
        for key, when in more.items():
            ask(self.path, "HSET", f"{self.prefix}totals", key, str(when))

    async def test_one_that_holds_sockets_is_not_forgotten(self) -> None:
        """And if it lives after all it hears of it, and has a new inbox."""
        first, other = self.backends["n"], self.backends["m"]
        self.assertEqual(await first.gone(0, 9), [Dead("m", ["r"])])
        await first.bury("m")
        self.assertEqual(await other.held(), ["r"])
        await other._say_alive()
        self.assertEqual((self.states["m"], await other.held()), ([State.BACK, State.MISSED], ["r"]))
        await other._say_alive()
        self.assertEqual(self.states["m"], [State.BACK, State.MISSED])

    async def test_what_is_missing_while_redis_is_away_is_told_when_it_is_back(self) -> None:
        """What it had said before is read on; that something of it is missing does not mean that we are connected."""
        one, states, told = self.backends["n"], self.states["n"], (Deferred[None](), Deferred[None]())
        waiting = iter(told)

        def state(found: State) -> None:
            states.append(found)
            next(waiting).callback(None)

        one.follow(lambda entry: None, state)
        one._link.cut()  # type: ignore[union-attr] # it is connected
        await told[0]
        one._take(b"9-0", b"9:1", msgspec.msgpack.encode(("r", 0, "m", b"", b"")))
        self.assertEqual(states, [State.BACK, State.AWAY])
        await told[1]
        self.assertEqual(states, [State.BACK, State.AWAY, State.MISSED])

    async def test_another_release_s_nodes_are_left_alone(self) -> None:
        """One warning, and no part in anything; what they have left is taken away when they are gone."""
        self.patch(backend_module, "MAJOR", 2)
        states: list[State] = []
        other = RedisBackend(reactor, Wire(reactor, Address(path=self.path)), self.prefix, 60, "x")
        other.follow(lambda entry: None, states.append)
        with capturedLogs() as logs:
            await other.start()
            other._again.cancel()  # type: ignore[union-attr] # it tries again
            await other._connect()
        self.assertEqual((states, ask(self.path, "ZSCORE", f"{self.prefix}nodes", "x")), ([], b"$-1\r\n"))
        (said,) = [formatEvent(one) for one in logs if one["log_level"] is LogLevel.warn]
        self.assertIn("of another release of rtcd (form 1, ours is 2)", said)
        self.late()
        ask(self.path, "ZADD", f"{self.prefix}nodes", "1", "n")
        other._again.cancel()  # type: ignore[union-attr] # it tries again
        await other._connect()
        self.assertEqual((states, await other.load("r"), (await other.totals())[:4]), ([State.BACK], None, (0, 0, 0, 0)))
        await other.close()

    async def test_no_key_is_there_for_ever(self) -> None:
        """From its first moment on: whoever made it may not live until the next beat."""
        one = {"x": 1}
        await self.commit("s", 0, deadline=1.0, seats=one, queued=one, holding={"n": 1}, inbox={"n": b"x"}, news=b"x")
        script = """
        local found = {}
        for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
          if redis.call('TTL', key) < 0 then found[#found + 1] = key end
        end
        return table.concat(found, ' ')
        """
        self.assertEqual(ask(self.path, "EVAL", script, "0", f"{self.prefix}*"), b"$0\r\n\r\n")

    async def test_an_inbox_keeps_nothing_that_was_read(self) -> None:
        """A beat says how far its node is."""
        first, size = self.backends["n"], 40000
        version = await self.commit("s", 0)
        for _ in range(10):
            await self.commit("s", version, None, inbox={"n": b"x" * size})
        while first._number != 10:
            await first.load("")
        inbox = f"{self.prefix}inbox:n"
        self.assertEqual(ask(self.path, "XLEN", inbox), b":10\r\n")
        await first._say_alive()
        self.assertEqual(ask(self.path, "XLEN", inbox), b":1\r\n")
        self.assertEqual(ask(self.path, "HGET", f"{self.prefix}sizes", "n"), b"$1\r\n0\r\n")
        self.assertEqual(self.states["n"], [State.BACK])

    async def test_an_inbox_that_nobody_reads_has_an_end(self) -> None:
        """In bytes too; whoever reads on misses a number."""
        self.patch(backend_module, "MAX_INBOX_BYTES", 100000)
        ask(self.path, "ZADD", f"{self.prefix}nodes", "1e12", "x")
        version, inbox = await self.commit("s", 0), f"{self.prefix}inbox:x"
        for _ in range(9):
            await self.commit("s", version, None, inbox={"x": b"x" * 40000})
        self.assertEqual(ask(self.path, "XLEN", inbox), b":1\r\n")
        self.assertIn(b"\r\n9:", ask(self.path, "XRANGE", inbox, "-", "+"))

    async def test_nobody_is_dead_because_nobody_could_beat(self) -> None:
        """While it is so, and for a lease from the first beat."""
        first = self.backends["n"]
        self.late(beat=1)
        self.assertEqual(await first.gone(0, 9), [])
        await first._say_alive()
        self.assertEqual(await first.gone(0, 9), [])
        self.late(spared=1)
        self.assertEqual(await first.gone(0, 9), [Dead("m", ["r"])])


@skipUnless(is_here(), "redis-server is not installed")
class ModelTests(TestCase):
    """Redis and hub side by side."""

    async def test_redis_does_what_the_hub_does(self) -> None:
        """Any steps have the same answers, counts, holdings, deadlines and entries."""
        histories: list[list[dict[str, Any]]] = []

        @settings(max_examples=12, deadline=None, derandomize=True, database=None)
        @given(st.lists(commits(), min_size=5, max_size=30))
        def collect(history: list[dict[str, Any]]) -> None:
            histories.append(history)

        collect()
        for number, history in enumerate(histories):
            await self.compare(f"{self.id()}.{number}:", history)

    async def compare(self, prefix: str, history: list[dict[str, Any]]) -> None:
        """One history."""
        hub, entries = Hub(), {"n1": list[Entry](), "n2": list[Entry]()}
        backends = {}
        for node, found in entries.items():
            hub.beat(node, 0)
            backends[node] = RedisBackend(reactor, Wire(reactor, Address(path=shared_server().path)), prefix, 60, node)
            backends[node].follow(found.append, lambda state: None)
            await backends[node].start()
        asked = backends["n1"]
        versions: dict[str, tuple[int, int]] = {}
        for serial, one in enumerate(history):
            said = dict(one)
            stale, (ours, theirs) = said.pop("stale"), versions.get(said["name"], (0, 0))
            answers = []
            for place, version in ((hub.commit, ours), (asked.commit, theirs)):
                commit = Commit(bounds=BOUNDS, author="n1", serial=serial, expected=version + stale, **said)
                answers.append(await attempt(place, commit))
            self.assertEqual(answers[0][0], answers[1][0], said)
            if answers[0][0] == "done" and said["value"] is not None:
                versions[said["name"]] = (answers[0][1], answers[1][1])
        self.assertEqual(hub.census("x"), await asked.census("x"))
        self.assertEqual([(name, value) for name, (_, value) in hub.page("", 9)],
                         [(name, value) for name, (_, value) in await asked.page("", 9)])
        self.assertEqual([one for one, _ in hub.page("a", 2)], [one for one, _ in await asked.page("a", 2)])
        self.assertEqual(sorted(hub.due(5, 9)), sorted(await asked.due(5, 9)))
        self.assertEqual(sorted(hub.due(9.5, 9)), sorted(await asked.due(9.5, 9)))
        for node, found in entries.items():
            wanted = [(entry.name, entry.serial, entry.effects, entry.news) for _, entry in hub.read(node, 0, 999)[0]]
            for _ in range(200):
                if len(found) >= len(wanted):
                    break
                await asked.load("")
            self.assertEqual([(one.name, one.serial, one.effects, one.news) for one in found], wanted)
            self.assertEqual(hub.held(node), sorted(await backends[node].held()))
        for backend in backends.values():
            await backend.close()


async def attempt(commit: Any, asked: Commit) -> tuple[str, int]:
    """What a commit comes to, and the version."""
    try:
        version = commit(asked)
        return "done", version if isinstance(version, int) else await ensureDeferred(version)
    except Conflict as conflict:
        return f"conflict {conflict.stored.value if conflict.stored else None!r}", 0
    except StoreFull as full:
        return str(full), 0
