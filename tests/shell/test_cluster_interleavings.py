"""Two processes that share rooms: whatever happens in whatever order, clients see what one process would have shown them."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any
from unittest import skipUnless

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from twisted.internet import reactor as any_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rtcd.cluster.address import Address
from rtcd.cluster.backend import Backend, Commit, State, Stored, Totals
from rtcd.cluster.codec import decode_room
from rtcd.cluster.hub import Hub
from rtcd.cluster.inside import HubBackend
from rtcd.cluster.node import new_node
from rtcd.cluster.redis import RedisBackend
from rtcd.cluster.serving import HubServer
from rtcd.cluster.shared import SharedRooms
from rtcd.cluster.wire import Wire
from rtcd.metrics import Metrics
from rtcd.rooms import mesh
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import Declaration
from rtcd.rooms.outcome import Said, StoreUnavailable
from rtcd.rooms.records import BYE, Card
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import switchboard
from tests.redis import is_here, shared_server
from tests.shell.room_store import FakeSocket, FakeWatcher
from tests.shell.test_cluster_stores import is_idle
from tests.shell.two_nodes import FAULTS, PAGES, ROOM, SHORT, STEPS, BreakingNodes, Fault, TwoNodes, done

reactor: Any = any_reactor
WITHIN_S = 10.0

class BreakingOnRedis(BreakingNodes):
    """The processes share a real Redis. What is under way between them is waited for behind each step, but not while a
    socket is broken. Time is the test's, but for that of Redis."""

    def begin_store(self) -> None:
        """A prefix of its own."""
        self.prefix = f"{new_node()}:"

    def backend(self) -> Backend:
        """See `TwoNodes.backend`."""
        return RedisBackend(reactor, Wire(reactor, Address(path=shared_server().path)), self.prefix, 3600)

    def done(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Turn the reactor, which nobody else does here, until it is there."""
        return self.beginning(work)()

    def beginning(self, work: Coroutine[Any, Any, Any]) -> Callable[[], Any]:
        """It goes on beside what is begun next."""
        found: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(found.append)

        def result() -> Any:
            self.until(lambda: found)
            if isinstance(found[0], Failure):
                found[0].raiseException()
            return found[0]

        return result

    def until(self, there: Callable[[], object]) -> None:
        """Turn the reactor until it is so."""
        deadline = reactor.seconds() + WITHIN_S
        while not there():
            assert reactor.seconds() < deadline, "it does not come"
            reactor.iterate(0.01)

    def settle(self) -> None:
        """Updates and timers' work have ended, and inboxes are read."""
        self.until(lambda: all(is_idle(one) for one in self.nodes))
        for one in self.nodes:
            backend: Any = one.backend
            last = int(self.done(backend._ask("HGET", f"{self.prefix}seqs", backend.node)) or 0)
            self.until(functools.partial(_has_read, backend, last))
        self.until(lambda: all(is_idle(one) for one in self.nodes))

    def stored(self) -> Stored | None:
        """See `TwoNodes.stored`."""
        stored: Stored | None = self.done(self.nodes[0].backend.load(ROOM))
        return stored

    def totals(self) -> Totals:
        """See `TwoNodes.totals`."""
        totals: Totals = self.done(self.nodes[0].backend.totals())
        return totals

    def held(self) -> dict[str, bool]:
        """See `TwoNodes.held`."""
        return {one.backend.node: ROOM in self.done(one.backend.held()) for one in self.nodes}

    def teardown(self) -> None:
        """End both processes."""
        for one in self.nodes:
            self.done(one.close())


def _has_read(backend: Any, number: int) -> bool:
    """Whether the entry of this number has come."""
    return bool(backend._number >= number)


class Delayed(HubBackend):
    """Questions and entries are on their way until the test lets them go on."""

    def __init__(self, server: HubServer, pending: list[Callable[[], Any]]) -> None:
        super().__init__(server)
        self._pending = pending

    async def commit(self, commit: Commit) -> int:
        """After a while."""
        await self._later()
        version = await super().commit(commit)
        await self._later()
        return version

    async def load(self, name: str) -> Any:
        """After a while."""
        await self._later()
        return await super().load(name)

    def _read(self) -> None:
        self._pending.append(super()._read)

    def _later(self) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        self._pending.append(lambda: waiting.callback(None))
        return waiting


class Cluster:
    """Two processes whose questions to the store overtake each other."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self.clock = Clock()
        self.hub = Hub()
        self.pending: list[Callable[[], Any]] = []
        self.choose = choose
        server = HubServer(self.hub, self.clock)
        self.nodes = [SharedRooms(self.clock, RoomsSettings(), Metrics(), Delayed(server, self.pending)) for _ in "01"]
        for one in self.nodes:
            Deferred.fromCoroutine(one.start())
        self.settle()

    def update(self, node: int, change: Any, socket: FakeSocket | None = None) -> list[Any]:
        """Begin an update; its result is in the list when there is one."""
        found: list[Any] = []
        Deferred.fromCoroutine(self.nodes[node].update(ROOM, change, socket)).addBoth(found.append)
        return found

    def room(self) -> Any:
        """As the hub has it."""
        stored = self.hub.load(ROOM)
        return decode_room(stored.value).room if stored else None

    def step(self) -> None:
        """Something that is on its way arrives."""
        self.pending.pop(self.choose(len(self.pending)))()

    def settle(self) -> None:
        """Everything arrives."""
        while self.pending:
            self.step()


class InterleavingTests(SynchronousTestCase):
    """Everything at once."""

    def test_a_page_that_has_come_back_by_another_process_is_not_lost(self) -> None:
        """Its old socket ends after it has registered anew, whether its process has heard of that or not."""
        limits = RoomsSettings().limits
        for heard in (True, False):
            machine = TwoNodes()
            machine.join("p", 0)
            machine.register("p", 0)
            first = machine.nodes[0]
            if not heard:
                self.patch(first.inbox, "take", lambda *_, **__: None)
            machine.register("p", 1) if heard else done(machine.nodes[1].update(
                ROOM, lambda one, now: switchboard.register(one, now, limits, "p"), FakeSocket()))
            old = machine.sockets[0].shared
            self.assertTrue(first.detach(ROOM, "p", old))
            done(first.update(ROOM, machine.losing("p"), None, "p"))
            self.assertEqual(machine.holders(), {"p": machine.nodes[1].backend.node})
            self.assertEqual(old.closed, heard)

    def test_what_came_for_a_broken_socket_is_let_go_of_by_who_was_taken_for_dead(self) -> None:
        """Its client may have had a socket elsewhere since, of which nobody has told the process; then newer things were
        said to it."""
        machine = TwoNodes()
        machine.begin(two=True)
        limits, (ours, other) = machine.settings.limits, reversed(machine.nodes)
        pair = next(one for one in machine.sockets if one.client == "b")
        self.assertTrue(ours.detach(ROOM, "b", pair.shared))
        done(other.update(ROOM, lambda one, now: switchboard.send(one, now, limits, "a", "late")))
        losing = machine.losing("b")
        done(other.apply(ROOM, lambda known, now: losing(known.room, now), forced=True, without=ours.backend.node))
        done(ours.update(ROOM, machine.losing("b"), None, "b"))
        self.assertEqual(ours.inbox.owed, {})
        back = FakeSocket()
        done(other.update(ROOM, lambda one, now: switchboard.register(one, now, limits, "b"), back))
        self.assertEqual(back.texts, [])

    def test_sockets_that_break_together_are_settled_in_one_commit_each(self) -> None:
        """Redis is not asked about one again that was settled with the one before."""
        machine = TwoNodes()
        for client in PAGES:
            machine.join(client, 0)
            machine.register(client, 0)
        store = machine.nodes[0]
        asked, asking = list[Any](), store.asked

        def ask(question: Any) -> Any:
            asked.append(question.__name__)
            return asking(question)

        self.patch(store, "asked", ask)
        for pair in machine.sockets:
            self.assertTrue(store.detach(ROOM, pair.client, pair.shared))
        done(store._upkeep.say_lost(ROOM))
        self.assertEqual((asked, store.inbox.owed), (["commit"] * (1 + len(PAGES)), {}))

    def test_sockets_that_have_broken_lose_and_double_nothing(self) -> None:
        """Whatever happens until the store knows, in the end the room is as if it had known at once."""
        case = BreakingNodes.TestCase
        case.settings = settings(max_examples=60, stateful_step_count=12, deadline=None, derandomize=True)
        result = case("runTest").run()
        self.assertEqual([*result.errors, *result.failures] if result else [], [])

    @skipUnless(is_here(), "redis-server is not installed")
    def test_sockets_that_have_broken_lose_and_double_nothing_on_redis(self) -> None:
        """The same with a real one between the processes: entries come when they come."""
        case = BreakingOnRedis.TestCase
        case.settings = settings(max_examples=40, stateful_step_count=12, deadline=None, derandomize=True,
                                 phases=[Phase.generate])
        result = case("runTest").run()
        self.assertEqual([*result.errors, *result.failures] if result else [], [])

    def test_what_nobody_knows_to_be_done_is_done_once(self) -> None:
        """The store is lost while it is told that a socket is gone, or given what came late for that, before it has done so
        or behind it."""
        self.faulty(BreakingNodes, 100)

    @skipUnless(is_here(), "redis-server is not installed")
    def test_what_nobody_knows_to_be_done_is_done_once_on_redis(self) -> None:
        """The same with a real one between the processes."""
        self.faulty(BreakingOnRedis, 40)

    def faulty(self, nodes: type[BreakingNodes], examples: int) -> None:
        """Two talk, again and again the socket of one of them breaks, and then the store is lost."""
        FAULTS.clear()
        said = [("send", client, 0) for client in "ab"]

        @settings(max_examples=examples, deadline=None, derandomize=True, phases=[Phase.generate])
        @given(st.lists(st.tuples(
            st.integers(0, 1), st.booleans(), STEPS, st.builds(Fault, st.sampled_from((0, 1, 1, 1, 2)), st.booleans()),
            st.lists(st.sampled_from("ab"), max_size=2)), min_size=1, max_size=4))
        def history(breaks: list[tuple[int, bool, list[tuple[str, str, int]], Fault, list[str]]]) -> None:
            machine = nodes()
            machine.begin(two=True)
            for number, away, steps, fault, meanwhile in breaks:
                machine.breaks(number, away, 0, [*said, *steps], Fault(fault.left, fault.done), meanwhile)
                machine.it_is_one_table()
                machine.begin(two=True)
                machine.it_is_one_table()
            machine.teardown()

        history()
        self.assertTrue(min(FAULTS[what, back] for what in (True, False) for back in (True, False)) > 5, FAULTS)

    def test_two_processes_are_as_one(self) -> None:
        """Any history, with crashes."""
        SHORT.clear()
        case = TwoNodes.TestCase
        case.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, derandomize=True)
        result = case("runTest").run()
        self.assertEqual([*result.errors, *result.failures] if result else [], [])
        self.assertTrue(min(SHORT[0], SHORT[1]) > 10, SHORT)

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.data())
    def test_seats_are_given_to_two(self, data: st.DataObject) -> None:
        """Ten join at once at two processes: one is the initiator, one is second, the others find it full."""
        cluster = Cluster(lambda count: data.draw(st.integers(0, count - 1)))
        limits = RoomsSettings().limits
        answers = [cluster.update(number % 2, lambda one, now, who=f"c{number}": rooms.join(one, now, limits, who))
                   for number in range(6)]
        cluster.settle()
        found = Counter((one[0].result, one[0].is_initiator) for one in answers)
        self.assertEqual(found, {("SUCCESS", True): 1, ("SUCCESS", False): 1, ("FULL", False): 4})
        self.assertEqual(cluster.hub.totals()[:3], (1, 2, 1))

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.data())
    def test_messages_arrive_once_and_in_order(self, data: st.DataObject) -> None:
        """Both speak at once, through their sockets, one of which takes its time to register; then one leaves."""
        cluster = Cluster(lambda count: data.draw(st.integers(0, count - 1)))
        limits, sockets = RoomsSettings().limits, (FakeSocket(), FakeSocket())
        for node, client in enumerate("ab"):
            cluster.update(node, lambda one, now, who=client: rooms.join(one, now, limits, who))
            cluster.settle()
        results = [
            cluster.update(node, lambda one, now, who=client: switchboard.register(one, now, limits, who), sockets[node])
            for node, client in enumerate("ab")]
        sent: list[list[str]] = [[], []]
        for number in range(8):
            node = data.draw(st.integers(0, 1))
            text = f"{'ab'[node]}{number}"
            sent[node].append(text)
            results.append(cluster.update(node, lambda one, now, who="ab"[node], text=text: switchboard.send(
                one, now, limits, who, text)))
            for _ in range(data.draw(st.integers(0, 3))):
                if cluster.pending:
                    cluster.step()
        cluster.settle()
        cluster.update(0, lambda one, now: switchboard.delete(one, now, "a"))
        cluster.settle()
        self.assertEqual([one for one in results if one != [None]], [])
        self.assertEqual((sockets[1].texts, sockets[0].texts), ([*sent[0], BYE], sent[1]))

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.data())
    def test_what_comes_for_a_socket_that_has_just_broken_waits(self, data: st.DataObject) -> None:
        """An app's socket breaks while the other one speaks: what came for it since then it gets when it is back by either
        process, before what was said later."""
        cluster = Cluster(lambda count: data.draw(st.integers(0, count - 1)))
        limits, sockets = RoomsSettings().limits, (FakeSocket(), FakeSocket(), FakeSocket())
        sent: list[str] = []

        def say() -> None:
            sent.append(f"{len(sent)}")
            cluster.update(0, lambda one, now, text=sent[-1]: switchboard.send(one, now, limits, "a", text))

        for node, client in enumerate("ab"):
            cluster.update(node, lambda one, now, who=client: rooms.join(one, now, limits, who))
            cluster.settle()
            cluster.update(node, lambda one, now, who=client: switchboard.register(one, now, limits, who), sockets[node])
            cluster.settle()
        broken = cluster.nodes[1]
        for number in range(6):
            if number == 2:
                self.assertTrue(broken.detach(ROOM, "b", sockets[1]))
            if number == 4:
                Deferred.fromCoroutine(broken.update(
                    ROOM, lambda one, now: switchboard.lost(one, now, limits, "b"), None, "b"))
            say()
            for _ in range(data.draw(st.integers(0, 4))):
                if cluster.pending:
                    cluster.step()
        node = data.draw(st.integers(0, 1))
        while node == 0 and cluster.room().client("b").registered:
            cluster.step()  # to the other process it is there twice as long as its socket is not known to be lost
        cluster.update(node, lambda one, now: switchboard.register(one, now, limits, "b"), sockets[2])
        cluster.settle()
        for _ in range(10):
            cluster.clock.advance(0.1)
            cluster.settle()
        say()
        cluster.settle()
        self.assertEqual(sockets[1].texts + sockets[2].texts, sent)

    def test_what_came_late_is_not_overtaken_by_its_client(self) -> None:
        """It registers by the other process after the store was told that its socket is gone, and before what came for that
        is given back: it gets everything, in order."""
        self.assertEqual(self.overtaken(), ["1", "2", "3"])

    def test_who_has_crashed_holds_up_a_client_for_a_moment_only(self) -> None:
        """What came for its old socket is lost with the process that had it."""
        self.assertEqual(self.overtaken(crashes=True), ["2", "3"])

    def test_what_came_late_and_is_too_much_holds_up_nobody(self) -> None:
        """It is lost; its client has its next socket without a pause."""
        self.assertEqual(self.overtaken(seconds=0.01, full=True), ["2", "3"])

    def test_what_came_late_is_kept_while_the_store_is_away(self) -> None:
        """It goes when its process has told that the socket is gone, and before what came for that is given back: the client
        has it when the store is back, behind a moment at most."""
        cluster, limits, new = Cluster(lambda count: 0), RoomsSettings().limits, FakeSocket()
        broken = self.breaking(cluster, "1")
        broken._stands(State.AWAY)
        cluster.settle()
        self.assertEqual(list(broken.inbox.owed[ROOM]), ["b"])
        broken._stands(State.BACK)
        registered = cluster.update(0, lambda one, now: switchboard.register(one, now, limits, "b"), new)
        for _ in range(20):
            cluster.settle()
            cluster.clock.advance(0.05)
        self.assertEqual((registered, new.texts, broken.inbox.owed), ([None], ["1"], {}))

    def test_a_process_that_ends_attaches_no_socket_that_has_waited(self) -> None:
        """Its client comes back by another one."""
        cluster, limits = Cluster(lambda count: 0), RoomsSettings().limits
        self.breaking(cluster, "1")
        cluster.pending.clear()
        ending = cluster.nodes[0]
        registered = cluster.update(0, lambda one, now: switchboard.register(one, now, limits, "b"), FakeSocket())
        cluster.settle()
        self.assertEqual(registered, [])
        Deferred.fromCoroutine(ending.close())
        for _ in range(20):
            cluster.clock.advance(0.1)
            cluster.settle()
        self.assertIsInstance(registered[0].value, StoreUnavailable)
        self.assertEqual(ending.inbox.sockets, {})

    def test_a_process_that_ends_gives_back_first_what_came_late(self) -> None:
        """Also if it holds no other socket in the room."""
        cluster, limits, new = Cluster(lambda count: 0), RoomsSettings().limits, FakeSocket()
        ending = self.breaking(cluster, "1")
        ended = Deferred.fromCoroutine(ending.close())
        self.assertFalse(ended.called)
        cluster.settle()
        self.assertEqual((ended.called, ending.inbox.owed), (True, {}))
        cluster.update(0, lambda one, now: switchboard.register(one, now, limits, "b"), new)
        cluster.settle()
        self.assertEqual(new.texts, ["1"])

    def test_what_came_late_is_too_late_behind_the_next_socket(self) -> None:
        """Its client has waited long enough for a process that cannot reach the store, was told newer things by another one,
        and has lost that socket too: what is old does not come behind what is new."""
        machine = TwoNodes()
        machine.begin(two=True)
        limits, (away, other) = machine.settings.limits, reversed(machine.nodes)
        pair, new, last = next(one for one in machine.sockets if one.client == "b"), FakeSocket(), FakeSocket()

        def send(text: str) -> None:
            done(other.update(ROOM, lambda one, now: switchboard.send(one, now, limits, "a", text)))

        def register(socket: FakeSocket) -> None:
            self.assertIsNone(done(other.update(ROOM, lambda one, now: switchboard.register(one, now, limits, "b"), socket)))

        self.assertTrue(away.detach(ROOM, "b", pair.shared))
        send("1")
        away._stands(State.AWAY)
        done(other.apply(ROOM, lambda known, now: machine.losing("b")(known.room, now), without=away.backend.node))
        register(new)
        send("2")
        self.assertTrue(other.detach(ROOM, "b", new))
        done(other.update(ROOM, machine.losing("b"), None, "b"))
        away._stands(State.BACK)
        send("3")
        register(last)
        self.assertEqual((new.texts, last.texts, away.inbox.owed), (["2"], ["3"], {}))

    def test_what_is_being_given_back_is_too_late_behind_the_next_socket(self) -> None:
        """Its client did not wait for it any longer, was told newer things elsewhere, and has lost that socket too."""
        cluster, limits, new, last = Cluster(lambda count: 0), RoomsSettings().limits, FakeSocket(), FakeSocket()
        other = cluster.nodes[0]

        def register(socket: FakeSocket) -> None:
            registered = cluster.update(0, lambda one, now: switchboard.register(one, now, limits, "b"), socket)
            cluster.settle()
            for _ in range(20):
                cluster.clock.advance(0.05)
                cluster.settle()
            self.assertEqual(registered, [None])

        def send(text: str) -> None:
            cluster.update(0, lambda one, now: switchboard.send(one, now, limits, "a", text))
            cluster.settle()

        broken = self.breaking(cluster, "1")
        while broken.inbox.owed:
            cluster.step()
        behind, cluster.pending[:] = list(cluster.pending), []
        register(new)
        send("2")
        self.assertTrue(other.detach(ROOM, "b", new))
        Deferred.fromCoroutine(other.update(ROOM, lambda one, now: switchboard.lost(one, now, limits, "b"), None, "b"))
        cluster.settle()
        cluster.pending += behind
        cluster.settle()
        send("3")
        register(last)
        self.assertEqual((new.texts, last.texts), (["2"], ["3"]))

    def breaking(self, cluster: Cluster, late: str) -> SharedRooms:
        """The second process, which has just told that the socket of ``b`` is gone, for which something came late."""
        limits, old, broken = RoomsSettings().limits, FakeSocket(), cluster.nodes[1]
        for node, client, socket in ((0, "a", FakeSocket()), (1, "b", old)):
            cluster.update(node, lambda one, now, who=client: rooms.join(one, now, limits, who))
            cluster.settle()
            cluster.update(node, lambda one, now, who=client: switchboard.register(one, now, limits, who), socket)
            cluster.settle()
        self.assertTrue(broken.detach(ROOM, "b", old))
        cluster.update(0, lambda one, now: switchboard.send(one, now, limits, "a", late))
        cluster.settle()
        Deferred.fromCoroutine(broken.update(ROOM, lambda one, now: switchboard.lost(one, now, limits, "b"), None, "b"))
        while cluster.room().client("b").registered:
            cluster.step()
        return broken

    def overtaken(self, *, crashes: bool = False, seconds: float = 1.0, full: bool = False) -> list[str]:
        """What the next socket of a client is given that registers within these seconds, while its last process is about to
        give back what came late."""
        cluster, limits, new = Cluster(lambda count: 0), RoomsSettings().limits, FakeSocket()

        def send(text: str) -> None:
            cluster.update(0, lambda one, now: switchboard.send(one, now, limits, "a", text))
            cluster.settle()

        broken = self.breaking(cluster, "1")
        if full:
            broken.bounds = replace(broken.bounds, queued_total=1)
        behind, cluster.pending[:] = list(cluster.pending), []
        send("2")
        registered = cluster.update(0, lambda one, now: switchboard.register(one, now, limits, "b"), new)
        cluster.settle()
        self.assertEqual(registered, [])
        cluster.pending += [] if crashes else behind
        cluster.settle()
        for _ in range(20):
            cluster.clock.advance(seconds / 20)
            cluster.settle()
        self.assertEqual(registered, [None])
        send("3")
        return new.texts

    def test_the_short_way_keeps_the_order(self) -> None:
        """A page is now at one process, now at the other; a phone app speaks all the time, by its socket and by HTTP at
        either process. What the page's sockets were given, one after another, is all of it, once and in order.
        The watchers of both processes have heard it in this order too."""
        short: Counter[bool] = Counter()

        @settings(max_examples=40, deadline=None, derandomize=True)
        @given(st.data())
        def history(data: st.DataObject) -> None:
            cluster = Cluster(lambda count: data.draw(st.integers(0, count - 1)))
            limits, told, sockets = RoomsSettings().limits, ([], []), list[FakeSocket]()  # type: ignore[var-annotated]
            for store, news in zip(cluster.nodes, told, strict=True):
                store.watch(FakeWatcher(news))
            asked = Declaration(Card(PAGES["q"]))
            cluster.update(0, lambda one, now: rooms.join(one, now, limits, "a"))
            cluster.settle()
            cluster.update(1, lambda one, now: mesh.join(one, now, limits, "q", "", asked))
            cluster.settle()

            def register(node: int, client: str) -> list[Any]:
                sockets.append(FakeSocket())
                return cluster.update(
                    node, lambda one, now: switchboard.register(one, now, limits, client), sockets[-1])

            register(0, "a")
            cluster.settle()
            taking, waiting, sent = register(1, "q"), [None], list[str]()
            cluster.settle()
            for _ in range(data.draw(st.integers(10, 40))):
                what = data.draw(st.sampled_from(("say", "say", "say", "post", "take", "step", "settle")))
                if what in ("say", "post") and waiting:  # a client's next one comes when the one before was taken
                    sent.append(f"{len(sent)}")
                    relay = cluster.nodes[0].relay
                    if what == "say" and relay is not None and relay(ROOM, "a", sent[-1]):
                        stored = cluster.hub.load(ROOM)
                        holders = decode_room(stored.value).holders if stored else {}
                        short[holders.get("q") == cluster.nodes[0].backend.node] += 1
                        continue
                    node = data.draw(st.integers(0, 1)) if what == "post" else 0
                    waiting = cluster.update(node, lambda one, now, text=sent[-1]: switchboard.send(
                        one, now, limits, "a", text))
                elif what == "take" and taking:
                    taking = register(data.draw(st.integers(0, 1)), "q")
                elif what == "step" and cluster.pending:
                    cluster.step()
                elif what == "settle":
                    cluster.settle()
            cluster.settle()
            cluster.update(data.draw(st.integers(0, 1)), lambda one, now: switchboard.delete(one, now, "a"))
            cluster.settle()
            self.assertEqual((waiting, taking), ([None], [None]))
            self.assertEqual([text for one in sockets[1:] for text in one.texts], sent)
            for news in told:
                self.assertEqual([one.text for _, one in news if isinstance(one, Said)], sent)

        history()
        self.assertTrue(min(short[True], short[False]) > 20, short)
