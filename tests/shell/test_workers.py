"""The parent of several workers, and the workers' ends: on a fake clock, with fake processes; groups with real sockets."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError, ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource

from rtcd.admin.settings import Settings as AdminSettings
from rtcd.allocations.account import Account
from rtcd.allocations.allocation import Traffic
from rtcd.cluster.backend import Totals
from rtcd.config import ConfigError
from rtcd.context import Context
from rtcd.daemon import DaemonSettings, Reloads
from rtcd.doorway.settings import DoorwaySettings
from rtcd.fault import AlreadySaid
from rtcd.log import LogSettings
from rtcd.metrics import Metrics, Sample
from rtcd.privileges import Owner
from rtcd.rooms.settings import RoomsSettings
from rtcd.site.http import DoorSite
from rtcd.state import StateDirectory
from rtcd.systemd import Notifier, NotifyService
from rtcd.turn.news import Began, Ended
from rtcd.turn.settings import Settings as TurnSettings
from rtcd.turn.sightings import Sight
from rtcd.workers import channel as channel_module
from rtcd.workers import forward as forward_module
from rtcd.workers import groups as groups_module
from rtcd.workers import supervisor as supervisor_module
from rtcd.workers.channel import Channel
from rtcd.workers.command import Commands
from rtcd.workers.configuration import packed, unpacked
from rtcd.workers.division import nonce_key, share_work, shared_rooms
from rtcd.workers.forward import ARRIVED, MAX_REQUESTS, First, Forward, arrived, inner
from rtcd.workers.frames import (
    EVERYBODY,
    PARENT,
    Answer,
    Answers,
    Ask,
    Do,
    Open,
    Opened,
    Reloaded,
    Say,
    decode,
    encode,
    pack,
)
from rtcd.workers.groups import MAX_GROUPS, Groups
from rtcd.workers.process import LINGER_S, SILENT_S, START_S, Process
from rtcd.workers.questions import MAX_OPEN, Questions
from rtcd.workers.reactor import SharedReactor
from rtcd.workers.shares import VARIABLE
from rtcd.workers.supervisor import KILL_S, Rooms, Supervisor
from rtcd.workers.topics import WorkerDesk
from rtcd.workers.worker import here
from tests.fakes import make_doorway, make_request
from tests.fakes_workers import FakeFamily, FakeProcess

LOOPBACK = "127.0.0.1"


class GroupsTests(SynchronousTestCase):
    """Real sockets, on loopback."""

    def setUp(self) -> None:
        self.groups = Groups(3)
        self.addCleanup(self.groups.close)

    def opened(self, kind: str = "udp", host: str = LOOPBACK, port: int = 0, nth: int = 0) -> list[socket.socket]:
        """What each worker gets: a descriptor of its own, of the parent's socket."""
        found = []
        for number in (1, 2, 3):
            found.append(self.groups.take(Open(kind, host, port, nth), number).dup())
            self.addCleanup(found[-1].close)
        return found

    def test_clients_of_others_stay_when_a_worker_dies_and_the_next_one_gets_its_own(self) -> None:
        """A closed socket of a group would move the clients of all; the parent's are open, so nothing moves."""
        workers = self.opened()
        address = workers[0].getsockname()
        self.assertEqual({one.getsockname() for one in workers}, {address})
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(60)]
        for one in clients:
            self.addCleanup(one.close)
            one.bind((LOOPBACK, 0))

        def sent(text: bytes) -> None:
            for one in clients:
                one.sendto(text, address)

        def received(worker: socket.socket) -> list[Any]:
            found = []
            while True:
                try:
                    found.append(worker.recvfrom(100)[1])
                except BlockingIOError:
                    return sorted(found)

        sent(b"one")
        before = [received(one) for one in workers]
        self.assertEqual(sum(map(len, before)), 60)
        self.assertTrue(all(before), "60 clients, and all the same workers")
        workers[1].close()
        sent(b"two")
        self.assertEqual([received(workers[0]), received(workers[2])], [before[0], before[2]])
        again = self.groups.take(Open("udp", LOOPBACK, 0, 0), 2).dup()
        self.addCleanup(again.close)
        self.assertEqual(received(again), before[1], "what came meanwhile waits for it")

    def test_a_port_of_somebody_else_is_taken_whatever_he_allows(self) -> None:
        """Another daemon of the same user would share it, and get half of our clients."""
        for kind, type_ in (("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM)):
            with socket.socket(socket.AF_INET, type_) as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                other.bind((LOOPBACK, 0))
                if kind == "tcp":
                    other.listen()
                with self.assertRaises(OSError) as caught:
                    self.opened(kind, port=other.getsockname()[1])
                self.assertEqual(caught.exception.errno, errno.EADDRINUSE)

    def test_streams_listen_and_any_port_is_one_for_all(self) -> None:
        """Each time that any port is asked for it is another one."""
        one, other = self.opened("tcp"), self.opened("tcp", nth=1)
        ports = [{sock.getsockname()[1] for sock in group} for group in (one, other)]
        self.assertEqual([len(found) for found in ports], [1, 1])
        self.assertNotEqual(*ports)
        with socket.create_connection(one[0].getsockname()[:2], 5):
            pass
        six = self.opened("udp", "::1") if socket.has_ipv6 else one
        self.assertEqual(len({sock.getsockname()[:2] for sock in six}), 1)

    def test_one_that_is_away_for_longer_gets_no_connections(self) -> None:
        """They go to the others, and to it again when it takes its sockets; whichever it is, at the same port."""
        workers = self.opened("tcp")
        here = workers[0].getsockname()

        def connected() -> list[int]:
            """How many of 40 each has got."""
            clients = [socket.create_connection(here, 5) for _ in range(40)]
            found = []
            for one in workers:
                found.append(0)
                while True:
                    try:
                        one.accept()[0].close()
                    except OSError:  # none waits, or it does not listen
                        break
                    found[-1] += 1
            for client in clients:
                client.close()
            return found

        for number in (2, 1):
            self.groups.rest(number)
            self.groups.rest(number)
            resting = connected()
            self.assertEqual((sum(resting), resting[number - 1]), (40, 0))
            self.groups.take(Open("tcp", LOOPBACK, 0, 0), number)
            self.assertEqual({one.getsockname() for one in workers}, {here})
            again = connected()
            self.assertEqual(sum(again), 40)
            self.assertTrue(all(again))

    def test_an_address_that_the_others_do_not_have_is_refused_later(self) -> None:
        """Half of its clients would wait for a worker that does not listen there."""
        self.opened()
        self.groups.settle()
        self.opened()
        with self.assertRaisesRegex(OSError, "restart the daemon"):
            self.opened("tcp")

    def test_a_unix_socket_is_one_for_all(self) -> None:
        """One that nobody listens at any more is replaced; a file is not, nor one that somebody listens at."""
        folder = self.mktemp()
        os.mkdir(folder)
        path = os.path.relpath(os.path.join(folder, "s"))
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(path)
        one, other, _ = self.opened("unix", path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            self.assertIsNotNone(other.accept())
        with self.assertRaises(OSError):
            Groups(1).take(Open("unix", path, 0, 0), 1)
        self.assertTrue(os.path.exists(path))
        self.groups.close()
        self.assertFalse(os.path.exists(path))
        del one

    def test_a_unix_socket_has_the_rights_that_were_asked_for(self) -> None:
        """And belongs to whom the daemon becomes; nobody could use it with more before it has them."""
        owners: list[Any] = []
        self.patch(os, "chown", lambda *arguments, **_: owners.append(arguments))
        os.mkdir(folder := self.mktemp())
        path = os.path.relpath(os.path.join(folder, "s"))
        groups = Groups(1, Owner(7, 8))
        self.addCleanup(groups.close)
        groups.take(Open("unix", path, 0, 0, 0o640), 1)
        self.assertEqual((os.stat(path).st_mode & 0o777, owners), (0o640, [(path, 7, 8)]))

    def test_there_is_a_bound(self) -> None:
        """More addresses than any machine has; what is no address is told apart."""
        self.patch(groups_module, "MAX_GROUPS", 2)
        self.assertGreater(MAX_GROUPS, 2)
        for nth in range(2):
            self.opened(nth=nth)
        for host, code in ((LOOPBACK, errno.EMFILE), (LOOPBACK, errno.EMFILE)):
            with self.assertRaises(OSError) as caught:
                self.groups.take(Open("udp", host, 0, 2), 1)
            self.assertEqual(caught.exception.errno, code)
        with self.assertRaises(OSError) as caught:
            Groups(1).take(Open("udp", "nowhere", 0, 2), 1)
        self.assertEqual(caught.exception.errno, errno.EADDRNOTAVAIL)


class QuestionsTests(SynchronousTestCase):
    """What is not answered yet."""

    def test_they_are_bounded_in_number_and_in_time(self) -> None:
        """Nobody waits for ever, nor hears of an answer that is too late."""
        clock, found = Clock(), list[str]()
        questions: Questions[str] = Questions(clock, 2.0, "nothing")
        numbers = []
        for _ in range(MAX_OPEN + 1):
            number, answer = questions.ask()
            answer.addCallback(found.append)
            numbers.append(number)
        self.assertEqual((numbers[-1], len(questions), found), (0, MAX_OPEN, ["nothing"]))
        questions.answer(numbers[0], "yes")
        clock.advance(2.0)
        questions.answer(numbers[1], "late")
        self.assertEqual((len(questions), found.count("yes"), found.count("nothing")), (0, 1, MAX_OPEN))
        questions.ask()[1].addCallback(found.append)
        questions.close()
        self.assertEqual((len(clock.getDelayedCalls()), found[-1]), (0, "nothing"))


class SupervisorTestCase(SynchronousTestCase):
    """A parent of two fake processes."""

    def setUp(self) -> None:
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.clock: Any = MemoryReactorClock()
        self.clock.advance(1000.0)
        self.patch(supervisor_module, "let_go", lambda: None)
        self.patch(self.clock, "callWhenRunning", lambda act, *arguments: act(*arguments))
        self.made: list[FakeProcess] = []
        self.states: list[str] = []
        self.ended: list[str] = []
        self.patch(FakeProcess, "made", self.made)
        notifier = Notifier({})
        self.patch(notifier, "notify", lambda *states: self.states.extend(states))
        self.patch(self.clock, "stop", lambda: self.ended.append("reactor"))
        self.settings = {"daemon": DaemonSettings(workers="2"), "log": LogSettings()}
        self.found: Any = self.settings
        rooms = Rooms()
        self.patch(rooms, "end", lambda: self.ended.append("rooms"))
        make: Any = FakeProcess
        self.parent = Supervisor(
            self.clock, "rtcd.ini", 2, lambda number, descriptor, greet: ([str(number), str(greet)], {}),
            lambda: self.read(), self.settings, NotifyService(self.clock, notifier), Metrics(), rooms, make=make)

    def read(self) -> Any:
        """The configuration."""
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def start(self) -> list[FakeProcess]:
        """Both are ready."""
        self.parent.privilegedStartService()
        self.parent.startService()
        for one in list(self.made):
            one.say("ready")
        return list(self.made)


class SupervisorTests(SupervisorTestCase):
    """What it does when."""

    def test_it_is_ready_when_all_are(self) -> None:
        """systemd hears of it once; the first start of the first worker greets."""
        self.parent.privilegedStartService()
        self.parent.startService()
        self.assertEqual([one.command[0] for one in self.made], [["1", "True"], ["2", "False"]])
        self.made[0].say("ready")
        self.assertEqual(self.states, [])
        self.made[1].say("ready")
        self.assertEqual(self.states, ["READY=1"])

    def test_a_first_worker_that_does_not_start_ends_it(self) -> None:
        """It has said why; no other one is started."""
        self.patch(FakeProcess, "well", False)
        self.assertRaises(AlreadySaid, self.parent.privilegedStartService)
        self.assertEqual(([one.number for one in self.made], self.made[0].killed), ([1], True))

    def test_one_that_ends_is_started_again_and_later_each_time(self) -> None:
        """At once, after a second, after two; the other one is left alone, and systemd has nothing to hear."""
        _, second = self.start()
        for delay in (0.0, 1.0, 2.0):
            second.end(-9)
            made = len(self.made)
            if delay:
                self.clock.advance(delay - 0.5)
                self.assertEqual(len(self.made), made)
            self.clock.advance(0.5)
            self.assertEqual([one.number for one in self.made[made:]], [2])
            second = self.made[-1]
            self.assertEqual(second.command[0], ["2", "False"])
            second.say("ready")
        self.assertEqual(self.states, ["READY=1"])
        samples = self.successResultOf(Deferred.fromCoroutine(self.parent.exchange.figures()))
        figures = {one.name: one.value for one in samples}
        self.assertEqual((figures["rtcd_daemon_worker_ends_total"], figures["rtcd_daemon_worker_up"]), (3, 1))

    def test_it_drains_when_all_have_drained(self) -> None:
        """Rooms end with the daemon, so that their calls are waited for; without a limit for however long."""
        first, second = self.start()
        self.parent.drain()
        self.parent.drain()
        self.assertEqual((first.orders, second.orders, self.ended), (["drain"], ["drain"], ["rooms"]))
        first.say("drained")
        self.clock.advance(1e6)
        self.assertEqual(self.ended, ["rooms"])
        second.say("drained")
        self.assertEqual(self.ended, ["rooms", "reactor"])

    def test_one_that_ends_while_it_drains_is_not_started_again(self) -> None:
        """What it did is over, as is all that goes on if it was the last one; one that had just been started drains too, one
        that waits for its start needs not any more."""
        first, second = self.start()
        second.end(-9)
        self.clock.advance(0.0)
        self.made[-1].end(-9)
        first.end(-9)
        self.clock.advance(0.0)
        third = self.made[-1]
        self.parent.drain()
        self.clock.advance(100.0)
        third.say("ready")
        self.assertEqual((third.orders, len(self.made)), (["drain", "drain"], 4))
        third.end(1)
        self.clock.advance(100.0)
        self.assertEqual((len(self.made), self.ended), (4, ["rooms", "reactor"]))

    def test_a_drain_has_one_limit_for_all(self) -> None:
        """Whatever a worker says or does not say."""
        self.parent._settings["daemon"] = DaemonSettings(workers="2", drain_timeout=60)
        self.start()
        self.parent.drain()
        self.clock.advance(59.0)
        self.assertEqual(self.ended, ["rooms"])
        self.clock.advance(1.0)
        self.assertEqual(self.ended, ["rooms", "reactor"])

    def test_sigterm_drains_if_there_is_time_for_it_and_ends_it_the_second_time(self) -> None:
        """systemd is asked for as much time."""
        self.found = {**self.settings, "daemon": DaemonSettings(workers="2", drain_timeout=60)}
        first, _ = self.start()
        self.successResultOf(Deferred.fromCoroutine(self.parent.reload()))
        self.parent._told_to_end()
        self.assertEqual((first.orders, self.ended), (["drain"], ["rooms"]))
        self.assertIn("EXTEND_TIMEOUT_USEC=80000000", self.states)
        self.parent._told_to_end()
        self.assertEqual(self.ended, ["rooms", "reactor"])

    def test_it_ends_when_all_have_ended(self) -> None:
        """Who does not in time is killed; none is started again, nor one that waits for that."""
        first, second = self.start()
        second.end(1)
        self.clock.advance(0.0)
        third = self.made[-1]
        stopped = self.parent.stopService()
        self.assertEqual((first.orders, third.killed), (["stop"], True))
        third.end(-9)
        self.assertNoResult(stopped)
        self.clock.advance(KILL_S)
        self.assertTrue(first.killed)
        first.end(-9)
        self.successResultOf(stopped)
        self.clock.advance(100.0)
        self.assertEqual((len(self.made), len(self.clock.getDelayedCalls())), (3, 0))

    def test_who_comes_while_it_ends_is_refused(self) -> None:
        """By each port as soon as its worker has shut, and by what is one for all when all have, or are gone: not when the
        last one has ended."""
        groups = self.parent._groups
        self.addCleanup(groups.close)
        os.mkdir(folder := self.mktemp())
        path = os.path.relpath(os.path.join(folder, "s"))
        where = groups.take(Open("tcp", LOOPBACK, 0, 0), 1).getsockname()
        groups.take(Open("unix", path, 0, 0), 1)
        first, second = self.start()
        stopped = self.parent.stopService()
        socket.create_connection(where, 5).close()
        first.say("shut")
        for _ in range(10):
            socket.create_connection(where, 5).close()
        self.assertTrue(os.path.exists(path))
        second.end(-9)
        with self.assertRaises(OSError):
            socket.create_connection(where, 5)
        self.assertFalse(os.path.exists(path))
        self.assertNoResult(stopped)
        first.end(0)
        self.successResultOf(stopped)

    def test_a_reload_reaches_all_and_says_what_they_say_once(self) -> None:
        """What cannot be read reaches none."""
        first, second = self.start()
        first.replies["daemon.reload"], second.replies["daemon.reload"] = ["a", "b"], ["a", "c"]
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.parent.reload())), ["a", "b", "c"])
        self.assertEqual(self.states[-1], "READY=1")
        self.assertTrue(self.states[-3].startswith("RELOADING"))
        self.found = ConfigError("log", "level", "is none")
        said = self.successResultOf(Deferred.fromCoroutine(self.parent.reload()))
        self.assertEqual(said, ["rtcd.ini: [log] level: is none (nothing was changed)"])
        self.found = {**self.settings, "turn": TurnSettings(mobility=True)}
        said = self.successResultOf(Deferred.fromCoroutine(self.parent.reload()))
        self.assertRegex("".join(said), "^rtcd.ini: .turn. mobility: .* .nothing was changed.$")
        self.assertEqual(self.parent._reloaded, packed(self.settings))

    def test_a_worker_that_does_not_answer_a_reload_is_named(self) -> None:
        """It may be at it still. And systemd is told that we are through with it, whatever becomes of it."""
        first, _ = self.start()
        first.replies["daemon.reload"] = ["a"]
        said = Deferred.fromCoroutine(self.parent.reload())  # a fake without a reply is one whose time is over
        late = "worker 2 has not answered in time; its log says what came of it"
        self.assertEqual(self.successResultOf(said), ["a", late])
        self.assertEqual(self.states[-1], "READY=1")
        self.patch(self.parent, "_read", lambda: 1 / 0)
        self.failureResultOf(Deferred.fromCoroutine(self.parent.reload()), ZeroDivisionError)
        self.assertEqual(self.states[-1], "READY=1")

    def test_one_that_is_started_again_gets_the_configuration_in_force(self) -> None:
        """That of the first start, and then what all were told to take since, before it is ready; what stands in the ini by
        now nobody has taken."""
        _, second = self.start()
        self.found = {**self.settings, "log": LogSettings(level="debug")}
        second.replies["daemon.reload"] = []
        self.successResultOf(Deferred.fromCoroutine(self.parent.reload()))
        self.found = ConfigError("", "", "cannot be read")
        second.end(-9)
        self.clock.advance(0.0)
        third = self.made[-1]
        third.say("bound")
        self.assertEqual((third.configuration, third.told), (packed(self.settings), []))
        third.say("started")
        asked: Any = third.told[0]
        self.assertEqual((asked.number, asked.topic), (0, "daemon.reload"))
        schemas: Any = {"daemon": DaemonSettings, "log": LogSettings}
        self.assertEqual(unpacked(decode(asked.payload, bytes), schemas)["log"].level, "debug")

    def test_one_that_is_started_again_does_without_what_was_before(self) -> None:
        """It starts with what the others have put in force, of which they have told: the certificate's file of the first
        start may be gone. What they have not taken it does not start with either."""
        first, second = self.start()
        self.found = {"daemon": DaemonSettings(workers="3", drain_timeout=60), "log": LogSettings(level="debug")}
        first.replies["daemon.reload"] = second.replies["daemon.reload"] = []
        first.applied = {"daemon": ["drain-timeout"]}
        self.successResultOf(Deferred.fromCoroutine(self.parent.reload()))
        second.end(-9)
        self.clock.advance(0.0)
        schemas: Any = {"daemon": DaemonSettings, "log": LogSettings}
        self.assertEqual(unpacked(self.made[-1].configuration, schemas),
                         {"daemon": DaemonSettings(workers="2", drain_timeout=60), "log": LogSettings()})
        self.made[-1].say("started")
        told: Any = self.made[-1].told[0]
        self.assertEqual(unpacked(decode(told.payload, bytes), schemas), self.found)

    def test_a_reload_before_a_worker_is_ready_is_not_missed(self) -> None:
        """It cannot be asked yet, and hears of it then; what it has heard it does not hear twice."""
        _, second = self.start()
        second.end(-9)
        self.clock.advance(0.0)
        third = self.made[-1]
        third.say("started")
        for level in ("debug", "warn"):
            self.found = {**self.settings, "log": LogSettings(level=level)}
            self.successResultOf(Deferred.fromCoroutine(self.parent.reload()))
        self.assertEqual(third.told, [])
        third.say("ready")
        told: Any = third.told
        self.assertEqual([(one.number, one.topic, decode(one.payload, bytes)) for one in told],
                         [(0, "daemon.reload", self.parent._reloaded)])

    def test_questions_go_to_the_parent_to_one_and_to_all(self) -> None:
        """Each is answered, if only by nothing; what is told needs no answer, and everybody else hears it."""
        first, second = self.start()
        second.replies["x"] = 5
        first.ask_parent(1, 2, "x")
        self.assertEqual(first.answer(), encode(5))
        first.ask_parent(2, EVERYBODY, "x")
        self.assertEqual(first.answer(), Answers(2, [(1, None), (2, encode(5))]))
        first.ask_parent(3, 7, "x")
        first.ask_parent(4, PARENT, "what")
        self.assertEqual(first.told[-2:], [Answer(3, None), Answer(4, None)])
        told = len(first.told)
        first.ask_parent(0, EVERYBODY, "news", 1)
        first.ask_parent(0, 2, "news", 2)
        self.assertEqual((len(first.told), second.told[-2:]), (
            told, [Ask(0, 1, "news", encode(1)), Ask(0, 1, "news", encode(2))]))
        self.patch(self.parent.exchange, "_own", lambda: [Sample("b_total", (), 1, "counter", "")])
        first.replies["metrics.samples"] = [Sample("a_total", (), 3.0, "counter", "")]
        second.replies["metrics.samples"] = [Sample("a_total", (), 4.0, "counter", "")]
        first.ask_parent(5, PARENT, "metrics.samples")
        self.assertEqual(decode(first.answer(), list[Sample])[0].value, 7.0)
        second.end(-9)
        first.ask_parent(6, PARENT, "metrics.samples")
        self.assertEqual(decode(first.answer(), list[Sample])[0].value, 7.0)

    def test_what_needs_no_answer_from_all_one_hears_that_is_about_to_be_ready(self) -> None:
        """Or it would be ready and know less than the others; it may be asked by name. Before it reads nothing."""
        first, second = self.start()
        second.end(-9)
        self.clock.advance(0.0)
        third = self.made[-1]
        third.replies["x"] = 5
        for heard, answer, one in ((0, None, 1), (2, encode(5), 3)):
            first.ask_parent(0, EVERYBODY, "news", 1)
            first.ask_parent(0, 2, "news", 2)
            first.ask_parent(one, 2, "x")
            self.assertEqual((len(third.told), first.answer()), (heard, answer))
            first.ask_parent(4, EVERYBODY, "x")
            self.assertEqual(first.answer(), Answers(4, [(1, None), (2, None)]))
            third.say("started")

    def test_what_a_worker_that_ends_during_a_scrape_has_counted_is_counted_once(self) -> None:
        """It has answered, and is gone before the others have: then, and afterwards."""
        first, second = self.start()
        page = encode([Sample("a_total", (), 100.0, "counter", "")])
        waiting: Deferred[bytes | None] = Deferred()
        self.patch(first, "ask", lambda *_: succeed(page))
        self.patch(second, "ask", lambda *_: succeed(None))
        found = self.successResultOf(Deferred.fromCoroutine(self.parent.exchange.figures()))
        self.assertEqual(found[0].value, 100.0)
        self.patch(second, "ask", lambda *_: waiting)
        asked = Deferred.fromCoroutine(self.parent.exchange.figures())
        first.end(-9)
        self.clock.advance(0.0)
        waiting.callback(encode([Sample("a_total", (), 10.0, "counter", "")]))
        self.assertEqual(self.successResultOf(asked)[0].value, 110.0)
        self.patch(second, "ask", lambda *_: succeed(None))
        found = self.successResultOf(Deferred.fromCoroutine(self.parent.exchange.figures()))
        self.assertEqual(found[0].value, 110.0)

    def test_what_a_worker_asks_the_parent_to_do(self) -> None:
        """As an operator does by a signal."""
        first, second = self.start()
        first.replies["daemon.reload"], second.replies["daemon.reload"] = ["a"], []
        first.ask_parent(1, PARENT, "daemon.reload")
        self.assertEqual(decode(first.answer(), list[str]), ["a"])
        first.ask_parent(2, PARENT, "daemon.drain")
        self.assertEqual(second.orders, ["drain"])


class CommandsTests(SynchronousTestCase):
    """How one is started."""

    def test_who_could_not_start_one_again_is_told_so_at_the_start(self) -> None:
        """By trying it as the user that the daemon becomes; whoever remains who he is has shown it."""
        ran: list[Any] = []
        results: list[Any] = [0, 1, PermissionError()]

        def run(arguments: Any, **options: Any) -> Any:
            ran.append((arguments[0], options["user"], options["group"], "PYTHONPATH" in options["env"]))
            result = results.pop(0)
            if isinstance(result, Exception):
                raise result
            return type("Done", (), {"returncode": result})

        self.patch(subprocess, "run", run)
        commands = Commands({}, None, {}, Owner(4242, 4343))
        self.patch(os, "geteuid", lambda: 5)
        commands.check()
        self.patch(os, "geteuid", lambda: 0)
        Commands({}, None, {}).check()
        self.assertEqual(ran, [])
        commands.check()
        for _ in range(2):
            with self.assertRaisesRegex(ConfigError, "may not be run by the daemon's user; install rtcd where"):
                commands.check()
        self.assertEqual(ran, [(sys.executable, 4242, 4343, True)] * 3)


class FakeChild:
    """What `subprocess.Popen` returns."""

    pid = 4711

    def __init__(self, arguments: Any, **options: Any) -> None:
        self.arguments, self.options = arguments, options
        self.end = socket.socket(fileno=os.dup(options["pass_fds"][0]))
        self.read = options["stdin"].read()
        self.code: int | None = None
        self.signals: list[int] = []

    def poll(self) -> int | None:
        """Its exit code."""
        return self.code

    def send_signal(self, number: int) -> None:
        """Remember it."""
        self.signals.append(number)

    def kill(self) -> None:
        """Remember it."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 0.0) -> None:
        """It has ended."""


class ProcessTests(SynchronousTestCase):
    """A worker's channel, with a real pair of sockets; the test is the worker, and the reactor."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.children: list[FakeChild] = []
        self.heard: list[Any] = []
        self.questions: Questions[bytes | None] = Questions(self.clock, 2.0, None)
        groups = Groups(1)
        self.addCleanup(groups.close)
        self.process = Process(
            self.clock, 1, groups, self.questions, spawn=self.spawn, said=lambda _, what: self.heard.append(what),
            asked=lambda _, asked: self.heard.append(asked), ended=lambda _, code: self.heard.append(code))
        self.process.start(lambda descriptor: (["worker", str(descriptor)], {"A": "b"}), b"configuration")
        self.child = self.children[0]
        self.addCleanup(self.child.end.close)

    def spawn(self, *arguments: Any, **options: Any) -> FakeChild:
        """Instead of the system."""
        self.children.append(FakeChild(*arguments, **options))
        return self.children[-1]

    def say(self, *frames: Any) -> None:
        """As the worker."""
        self.child.end.sendall(b"".join(map(pack, frames)))
        for one in list(self.clock.getReaders()):
            why = one.doRead()
            if why is not None:
                one.connectionLost(why)

    def begin(self) -> None:
        """In the reactor."""
        self.process.begin()
        self.addCleanup(self.end)

    def end(self) -> None:
        """Of the test."""
        if self.process._channel is not None:
            self.process._channel.close()

    def test_it_gets_its_socket_and_says_how_it_is(self) -> None:
        """Before there is a reactor too."""
        self.child.end.sendall(pack(Open("udp", LOOPBACK, 0, 0)) + pack(Say("bound")) + pack(Say("ready"))[:-1])
        self.assertTrue(self.process.wait_for("bound", self.clock.seconds))
        self.child.end.sendall(pack(Say("ready"))[-1:])
        _, descriptors, _, _ = socket.recv_fds(self.child.end, 1000, 1)
        with socket.socket(fileno=descriptors[0]) as found:
            self.assertEqual(found.type, socket.SOCK_DGRAM)
        self.begin()
        self.say(Open("udp", "nowhere", 0, 1))
        self.assertIn(b"is no address", self.child.end.recv(1000))
        self.assertEqual((self.heard, self.process.up, self.child.options["start_new_session"]), (["ready"], True, True))
        self.assertEqual(self.child.read, b"configuration")

    def test_a_port_that_it_has_already_is_taken(self) -> None:
        """Of two listeners at one address each would get some connections of the other's. The next process of it may."""
        for _ in range(2):
            self.process.start(lambda descriptor: (["worker"], {}))
            end = self.children[-1].end
            self.addCleanup(end.close)
            wanted: list[Any] = [Open("tcp", LOOPBACK, 0, nth) for nth in (0, 1, 0)]
            end.sendall(b"".join(map(pack, (*wanted, Say("bound")))))
            self.assertTrue(self.process.wait_for("bound", self.clock.seconds))
            data, given = b"", 0
            end.setblocking(False)
            while True:
                try:
                    more, descriptors, _, _ = socket.recv_fds(end, 1000, 1)
                except BlockingIOError:
                    break
                data, given = data + more, given + len(descriptors)
                for one in descriptors:
                    os.close(one)
            taken = Opened(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            self.assertEqual((given, data), (2, b"".join(map(pack, (Opened(), Opened(), taken)))))

    def test_one_that_does_not_come_up_is_told_from_one_that_has_ended(self) -> None:
        """The one is killed, the other has said why."""
        times = iter([0.0, START_S])
        self.assertRaises(TimeoutError, self.process.wait_for, "bound", lambda: next(times))
        self.assertEqual((self.child.signals, self.process.state), ([signal.SIGKILL], "gone"))
        self.process.start(lambda descriptor: (["worker"], {}))
        self.children[-1].end.close()
        self.assertFalse(self.process.wait_for("bound", self.clock.seconds))

    def test_what_it_has_said_before_is_not_waited_for(self) -> None:
        """Two words may come in one piece."""
        self.child.end.sendall(pack(Say("bound")) + pack(Say("started")))
        self.assertTrue(self.process.wait_for("bound", self.clock.seconds))
        times = iter([0.0])  # there is no time to wait
        self.assertTrue(self.process.wait_for("started", lambda: next(times)))
        self.assertTrue(self.process.hears)

    def test_questions_of_one_that_dies_are_answered_by_nothing(self) -> None:
        """At once; and its end is told when the system knows of it."""
        self.begin()
        self.assertIsNone(self.successResultOf(self.process.ask(0, "x", b"")), "it has not started")
        self.say(Say("started"))
        self.assertEqual((self.process.up, self.process.hears), (False, True))
        answered, lost = self.process.ask(0, "x", b"1"), self.process.ask(2, "x", b"2")
        self.say(Answer(1, b"yes"), Ask(7, 2, "y", b""))
        self.assertEqual((self.successResultOf(answered), self.heard[-1]), (b"yes", Ask(7, 2, "y", b"")))
        self.child.end.shutdown(socket.SHUT_RDWR)
        for one in list(self.clock.getReaders()):
            one.connectionLost(one.doRead())
        self.assertIsNone(self.successResultOf(lost))
        self.assertFalse(self.process.hears)
        self.clock.advance(LINGER_S)
        self.assertEqual(self.child.signals, [signal.SIGKILL])
        self.child.code = -9
        self.clock.advance(1.0)
        self.assertEqual((self.heard[-1], len(self.clock.getDelayedCalls())), (-9, 0))

    def test_one_that_hangs_is_ended(self) -> None:
        """At its start, and later, when it is not well any more."""
        self.begin()
        self.clock.advance(START_S - 1)
        self.say(Say("ready"))
        self.clock.advance(SILENT_S - 1)
        self.say(Say("well"))
        self.clock.advance(SILENT_S - 1)
        self.assertEqual(self.child.signals, [])
        self.clock.advance(1)
        self.assertEqual(self.child.signals, [signal.SIGKILL])

    def test_one_that_had_drained_before_it_was_ready_has_drained(self) -> None:
        """It says so once: who took it for one that goes on would wait for ever. So with one that ends."""
        self.begin()
        for what in ("drained", "shut"):
            self.say(Say(what), Say("ready"))
            self.assertEqual((self.process.state, self.heard), (what, [what, "ready"]))
            self.heard.clear()

    def test_what_is_no_frame_ends_the_channel(self) -> None:
        """And so the worker."""
        self.begin()
        self.child.end.sendall(b"\xff" * 8)
        for one in list(self.clock.getReaders()):
            one.connectionLost(one.doRead())
        self.assertEqual(self.process.state, "gone")


class WorkerTests(SynchronousTestCase):
    """The worker's end, where the test is the parent."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        ours, theirs = socket.socketpair()
        self.parent = ours
        self.addCleanup(ours.close)
        environment = {VARIABLE: f"2/3/{theirs.detach()}/1"}
        worker = here(environment)
        assert worker is not None
        self.worker = worker
        self.assertEqual((environment, worker.place.number, worker.place.count, worker.background), ({}, 2, 3, True))
        self.assertIsNone(here({}))
        self.addCleanup(worker.stop)

    def start(self) -> None:
        """In the reactor."""
        self.worker.start(self.clock)

    def pump(self) -> None:
        """Let it read and write."""
        for one in list(self.clock.getWriters()):
            one.doWrite()
        for one in list(self.clock.getReaders()):
            one.doRead()

    def tell(self, *frames: Any) -> None:
        """As the parent."""
        self.parent.sendall(b"".join(map(pack, frames)))
        self.pump()
        self.pump()

    def test_it_waits_for_its_sockets_until_it_has_started(self) -> None:
        """Any port is counted, so that each worker asks for the same ones in the same order."""
        with socket.socket() as one:
            one.bind((LOOPBACK, 0))
            for _ in range(2):
                socket.send_fds(self.parent, [pack(Opened())], [one.fileno()])
                descriptor = self.worker.open("tcp", LOOPBACK, 0)
                self.assertFalse(os.get_inheritable(descriptor))
                os.close(descriptor)
        asked = self.parent.recv(1000)
        self.assertEqual(asked, pack(Open("tcp", LOOPBACK, 0, 0)) + pack(Open("tcp", LOOPBACK, 0, 1)))
        self.start()
        self.assertRaisesRegex(OSError, "at the start only", self.worker.open, "tcp", LOOPBACK, 0)

    def test_it_answers_asks_and_obeys(self) -> None:
        """What nobody offers is answered by nothing, and so is what fails."""
        done: list[str] = []
        self.worker.ending = lambda: done.append("ending")
        self.worker.orders["drain"] = lambda: done.append("drain")
        self.worker.offer("double", int, lambda number: 2 * number)
        self.worker.offer("fail", int, lambda number: 1 // number)
        self.start()
        self.tell(Do("drain"), Do("dance"), Ask(1, 1, "double", encode(4)), Ask(2, 1, "none", b""))
        self.tell(Ask(3, 1, "fail", encode(0)))
        self.pump()
        self.assertEqual(done, ["ending", "drain", "ending"])
        self.assertEqual(self.parent.recv(1000), b"".join(map(pack, (
            Answer(1, encode(8)), Answer(2, None), Answer(3, None)))))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        one, everybody, late = self.worker.ask(1, "x"), self.worker.ask_all("y"), self.worker.ask(PARENT, "z")
        self.tell(Answer(1, b"a"), Answers(1, [(1, b"b")]))
        self.assertEqual((self.successResultOf(one), self.successResultOf(everybody)), (b"a", [(1, b"b")]))
        self.clock.advance(10.0)
        self.assertIsNone(self.successResultOf(late))
        self.pump()
        self.assertIn(pack(Say("well")), self.parent.recv(1000))

    def test_it_accepts_nothing_before_it_says_so(self) -> None:
        """Or it would meet a socket that its parent has closed to others."""
        done: list[str] = []
        port: Any = type("Port", (), {"stopReading": lambda _: done.append("quiet")})()
        self.worker.ports.append(port)
        self.patch(self.worker, "say", done.append)
        self.worker.shut()
        self.assertEqual(done, ["quiet", "shut"])

    def test_it_accepts_nothing_while_it_holds(self) -> None:
        """And never again when it ends meanwhile."""
        done: list[str] = []
        port: Any = type("Port", (), {"stopReading": lambda _: done.append("quiet"),
                                      "startReading": lambda _: done.append("on")})()
        self.worker.ports.append(port)
        self.worker.hold()
        self.worker.go_on()
        self.assertEqual(done, ["quiet", "on"])
        self.worker.shut()
        self.worker.go_on()
        self.assertEqual(done, ["quiet", "on", "quiet"])

    def test_without_its_parent_it_ends(self) -> None:
        """Nobody would start it again."""
        done: list[str] = []
        self.worker.orders["alone"] = lambda: done.append("alone")
        self.start()
        asked = self.worker.ask(1, "x")
        self.parent.close()
        for one in list(self.clock.getReaders()):
            one.connectionLost(one.doRead())
        self.assertEqual((done, self.successResultOf(asked)), (["alone"], None))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_path_of_a_unix_socket_is_not_touched(self) -> None:
        """The user that it has become may have no right to; and the others go on with it when this one ends."""
        os.mkdir(folder := self.mktemp())
        path = os.path.relpath(os.path.join(folder, "s"))
        groups = Groups(1)
        self.addCleanup(groups.close)
        sock = groups.take(Open("unix", path, 0, 0, 0o600), 1)
        worker: Any = FakeFamily(2).workers[0]
        self.patch(worker, "open", lambda *_: os.dup(sock.fileno()))
        factory = Factory.forProtocol(Protocol)
        port: Any = SharedReactor(self.clock, worker).listenUNIX(path, factory, mode=0o666)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            made: list[Any] = []
            self.patch(factory, "buildProtocol", made.append)
            port.doRead()
            self.assertEqual((len(made), worker.ports), (1, [port]))
        port.stopListening()
        self.clock.advance(0.0)
        self.assertEqual((os.stat(path).st_mode & 0o777, factory.numPorts), (0o600, 0))

    def test_a_parent_that_does_not_read_is_given_up(self) -> None:
        """What waits for it is bounded."""
        lost: list[str] = []
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        channel = Channel(self.clock, ours, print, lambda: lost.append("lost"))
        self.patch(channel_module, "MAX_WAITING_BYTES", 1000)
        for _ in range(11):
            channel.send(Answer(1, bytes(100)))
        self.assertEqual(lost, ["lost"])
        channel.send(Answer(1, b""))

    def test_listening_is_shared_and_all_else_is_the_reactors(self) -> None:
        """What the parent cannot open is said as the reactor says it."""
        family = FakeFamily(2)
        adopted: list[Any] = []
        self.patch(self.clock, "adoptStreamPort", lambda *arguments: adopted.append(arguments))
        self.patch(os, "close", lambda descriptor: adopted.append(descriptor))
        worker: Any = family.workers[0]
        reactor = SharedReactor(self.clock, worker)
        port: Any = reactor.listenTCP(80, "factory", interface="::")
        self.assertEqual(worker.ports, [port])
        self.assertEqual((worker.opened, adopted), ([("tcp", "::", 80)], [(77, socket.AF_INET6, "factory"), 77]))
        self.assertEqual((reactor.callWhenRunning, reactor.seconds()), (self.clock.callWhenRunning, 0.0))

        def taken(*_: Any) -> int:
            raise OSError(errno.EADDRINUSE, "taken")

        self.patch(worker, "open", taken)
        with self.assertRaises(CannotListenError) as caught:
            reactor.listenTCP(80, "factory")
        self.assertEqual((caught.exception.port, caught.exception.socketError.errno), (80, errno.EADDRINUSE))


class DeskTests(SynchronousTestCase):
    """What is asked of one is asked of all."""

    def setUp(self) -> None:
        self.family = FakeFamily(2)
        self.desks = []
        self.ended: list[tuple[int, int]] = []
        self.observers: dict[int, list[Any]] = {1: [], 2: []}
        for one in self.family.workers:
            worker: Any = one
            desk, number = WorkerDesk(worker, lambda: b"key"), one.place.number
            accounts = [Account(own, "u", "udp", (), 0, 0, 9.0, Traffic(1, 2, 3, 4)) for own in range(1, 4)]
            desk.offer("turn.allocations", lambda after, limit, accounts=accounts: [
                each for each in accounts if each.number > after][:limit])
            desk.offer("turn.end", lambda own, number=number: self.end(number, own))
            desk.offer("turn.look", lambda host, user, until, number=number: user != f"not{number}")
            desk.offer("turn.looked", lambda user: [Sight("turn", "udp", 3478, 1, 1, 2, 401)])
            desk.offer("turn.forget", lambda user: None)
            desk.offer("turn.observe", self.observers[number].append)
            desk.offer("daemon.reload", lambda worker=worker: [f"took {worker.configuration.decode()}"])
            desk.offer("daemon.applied", lambda: {"x": ["y"]})
            self.desks.append(desk)
        self.first, self.second = self.desks
        for desk in self.desks:
            desk.serve(Metrics())

    def end(self, number: int, own: int) -> bool:
        """An allocation, of which each has three."""
        self.ended.append((number, own))
        return own < 4

    def ask(self, desk: WorkerDesk, topic: str, *arguments: Any) -> Any:
        """The answer, at once."""
        return self.successResultOf(Deferred.fromCoroutine(desk.answer(topic, *arguments)))

    def test_allocations_are_those_of_all(self) -> None:
        """By numbers that no two have; a page goes on behind the last one."""
        pages, after = [], 0
        while found := self.ask(self.second, "turn.allocations", after, 2):
            pages.append([one.number for one in found])
            after = found[-1].number
        self.assertEqual(pages, [[2, 3], [4, 5], [6, 7]])
        self.assertEqual(self.ask(self.second, "turn.allocations", 0, 1)[0].traffic, Traffic(1, 2, 3, 4))
        self.assertEqual([self.ask(self.first, "turn.end", one) for one in (4, 7, 8)], [True, True, False])
        self.assertEqual(self.ended, [(1, 2), (2, 3), (1, 4)])
        self.family.silent = {2}
        self.assertEqual([one.number for one in self.ask(self.first, "turn.allocations", 0, 9)], [2, 4, 6])
        self.assertFalse(self.ask(self.first, "turn.end", 3))

    def test_a_parent_that_does_not_answer_is_told_from_one_who_has_nothing_to_say(self) -> None:
        """No allocations are another thing than no answer."""
        self.patch(self.first._worker, "ask_all", lambda *_: succeed([]))
        self.assertFalse(self.ask(self.first, "turn.look", "h", "u", 1.0))
        self.assertEqual(self.ask(self.first, "workers.readiness"), {"workers": "no answer from the parent"})
        for topic, arguments in (("turn.allocations", (0, 9)), ("turn.looked", ("u",))):
            self.failureResultOf(Deferred.fromCoroutine(self.first.answer(topic, *arguments)), TimeoutError)

    def test_a_check_is_watched_for_by_all(self) -> None:
        """What came by one way to several is one sight."""
        self.assertEqual([self.ask(self.first, "turn.look", "h", one, 5.0) for one in ("a", "not2")], [True, False])
        self.assertEqual(self.ask(self.first, "turn.looked", "a"), [Sight("turn", "udp", 3478, 2, 2, 4, 401)])
        self.ask(self.first, "turn.forget", "a")

    def test_the_first_hears_what_happens_at_the_others(self) -> None:
        """As if it had happened here; they have no observers but the one that passes it on."""
        heard: list[Any] = []
        self.first.ask("turn.observe", heard.append)
        news = [Began("u", "udp"), Ended("u", "udp", "expired", Traffic(1, 2, 3, 4))]
        for one in news:
            self.observers[2][0](one)
        self.assertEqual((heard, len(self.observers[1]), len(self.observers[2])), (news, 1, 1))

    def test_the_parent_reloads_and_tells_the_figures(self) -> None:
        """No answer is no page, and not an empty one."""
        self.assertEqual(self.ask(self.first, "daemon.reload"), ["no answer in time; the log says what came of it"])
        asking = Deferred.fromCoroutine(self.first.answer("workers.samples"))
        self.failureResultOf(asking, TimeoutError)
        sample = Sample("a", (), 1.0, "gauge", "")
        self.family.parent |= {"daemon.reload": ["[x] y"], "metrics.samples": [sample]}
        self.assertEqual(self.ask(self.first, "daemon.reload"), ["[x] y"])
        self.assertEqual(self.ask(self.first, "workers.samples"), [sample])
        self.assertEqual(self.ask(self.first, "workers.readiness"), {"workers": "no answer from worker 1, 2"})
        self.assertEqual(self.ask(self.second, "workers.ports", 100, 103), range(102, 104))
        self.assertEqual(self.ask(self.second, "workers.nonce-key"), b"key")

    def test_a_reload_takes_what_the_parent_hands_out(self) -> None:
        """And not what the ini says a moment later."""
        asked = self.family.ask(2, "daemon.reload", b"that")
        self.assertEqual(decode(self.successResultOf(asked) or b"", Reloaded), (["took that"], {"x": ["y"]}))

    def test_a_topic_that_nobody_offers_is_not_offered(self) -> None:
        """Though it would be asked of all."""
        desk: Any = WorkerDesk(self.family.workers[0], lambda: b"")  # type: ignore[arg-type] # a fake
        with self.assertRaises(LookupError):
            desk.ask("turn.allocations", 0, 1)


class Told(Resource):
    """Answers with what it knows of a request."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """In words."""
        request.setResponseCode(404)
        request.setHeader(b"x-more", b"yes")
        peer = request.getClientAddress()
        told: bytes = (f"{request.method.decode()} {request.uri.decode()} {request.isSecure()} {peer.host} "
                f"{request.getHost().port} "
                f"{request.getHeader('x-own')} {request.getHeader(ARRIVED.decode())}").encode() + request.content.read()
        return told


class ForwardTests(SynchronousTestCase):
    """From another worker to the first one, without the socket between them."""

    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        site = inner(DoorSite(self.clock, Told(), DoorwaySettings(), Metrics()))
        self.first = First(self.clock, "/nowhere")
        self.sent: list[Any] = []
        test = self

        class Agent:
            """Hands the request over."""

            def request(self, method: bytes, uri: bytes, headers: Headers, body: Any) -> Any:
                """The answer, when the test wants it."""
                text = body.data if body is not None else b""
                sent = {key.decode(): values[0].decode() for key, values in headers.getAllRawHeaders()}
                answer = make_request(site, method, uri.removeprefix(b"http://first"), text, sent, secure=False)
                found: Any = type("Answer", (), {"code": answer.code, "headers": answer.headers, "body": answer.body})()
                waiting: Deferred[Any] = Deferred()
                test.sent.append((waiting, found))
                return waiting

        self.first.agent = Agent()
        self.patch(forward_module, "readBody", lambda answer: succeed(answer.body))

    def test_a_request_arrives_as_it_came(self) -> None:
        """Address, TLS and headers; what a client says of that himself is taken away."""
        answer = make_request(Forward(self.first), "POST", "/admin/x?y=1", b"body", {
            "X-Own": "1", "X-Rtcd-Arrived": "plain 6.6.6.6 1 6.6.6.6 1"}, clock=self.clock)
        self.assertFalse(answer.finished)
        waiting, found = self.sent[0]
        waiting.callback(found)
        self.assertEqual((answer.code, answer.headers.getRawHeaders(b"x-more"), answer.body), (
            404, [b"yes"], b"POST /admin/x?y=1 True 192.0.2.7 8443 1 Nonebody"))

    def test_without_the_first_it_is_503(self) -> None:
        """And when too many wait for it; a client that goes is forgotten."""
        answer = make_request(Forward(self.first), "GET", "/admin", clock=self.clock)
        self.sent[0][0].errback(ConnectionRefusedError())
        self.assertEqual((answer.code, answer.headers.getRawHeaders(b"retry-after"), self.first.waiting), (503, [b"2"], 0))
        self.first.waiting = MAX_REQUESTS
        self.assertEqual(make_request(Forward(self.first), "GET", "/admin", clock=self.clock).code, 503)

    def test_addresses_of_all_kinds_are_told(self) -> None:
        """That of a unix socket is none."""
        class Request:
            """As much as is asked."""

            def __init__(self, peer: Any) -> None:
                self.peer = peer

            def getClientAddress(self) -> Any:
                """Whom it came from."""
                return self.peer

            def getHost(self) -> Any:
                """Where it came to."""
                return IPv4Address("TCP", "192.0.2.1", 443)

            def isSecure(self) -> bool:
                """By TLS."""
                return False

        self.assertEqual(arrived(Request(IPv6Address("TCP", "2001:db8::1", 9))), b"plain 2001:db8::1 9 192.0.2.1 443")
        self.assertEqual(arrived(Request(object())), b"plain - 0 192.0.2.1 443")


class DivisionTests(SynchronousTestCase):
    """Who does what; each worker has a doorway of its own, and one state directory is for all."""

    def setUp(self) -> None:
        self.state = StateDirectory(self.mktemp())
        self.family = FakeFamily(2)
        self.clock: Any = MemoryReactorClock()
        self.patch(self.clock, "callWhenRunning", lambda act, *arguments: act(*arguments))
        settings = {"admin": AdminSettings(token="t" * 32), "check": None}
        self.doorways, self.chosen = [], []
        for one in self.family.workers:
            worker: Any = one
            doorway = make_doorway(self.clock, self.state.path("state"))
            context = Context(self.clock, doorway, None, None, Metrics(), Reloads(),  # type: ignore[arg-type] # not needed
                              WorkerDesk(worker, lambda: b""))
            self.chosen.append(share_work(context, worker, self.state, settings, ["turn", "web", "admin", "check"]))
            self.doorways.append(doorway)

    def test_the_first_does_what_there_has_to_be_one_of(self) -> None:
        """The others hand requests for that on to it, and reports of pages."""
        self.assertEqual(self.chosen, [["turn", "web", "admin", "check"], ["turn", "web"]])
        for path in ("/admin/status", "/check", "/check/start"):
            answer = make_request(self.doorways[1], "GET", path, clock=self.clock)
            self.assertFalse(answer.finished, path)
        self.assertEqual({one[0] for one in self.clock.unixClients}, {str(self.state.path("workers") / "first")})
        self.assertEqual([one.renewal.leads for one in self.doorways], [True, False])

    def test_rooms_end_with_the_daemon_when_the_parent_says_that_it_ends(self) -> None:
        """The hub says so too, by another connection, which may be later: a worker that drains would not wait for its calls,
        and one that stops would keep seats that there is nobody to keep."""
        worker: Any = self.family.workers[0]
        rooms = shared_rooms(self.clock, RoomsSettings(), Metrics(), self.state, worker)
        rooms.learn_totals(Totals(calls=1))
        self.assertTrue(rooms.backend.outlives)
        worker.ending()
        self.assertNoResult(rooms.drain())

    def test_every_worker_shows_what_an_authority_wants_to_see(self) -> None:
        """Whichever it comes to; one that starts later too."""
        first, second = self.doorways
        first.renewal.challenges.put_http("abc", "abc.thumb")
        first.renewal.challenges.put_alpn("a.example", bytes(32))
        answer = make_request(second, "GET", "/.well-known/acme-challenge/abc", secure=False)
        self.assertEqual((answer.code, answer.body), (200, b"abc.thumb"))
        self.assertTrue(second.renewal.waiting)
        later: Any = FakeFamily(2)
        later.workers[0].offers = self.family.workers[0].offers
        doorway = self.joined(later.workers[1])
        self.assertEqual((doorway.renewal.challenges.http("abc"), later.workers[1].holds), ("abc.thumb", False))
        first.renewal.challenges.clear()
        self.assertFalse(second.renewal.waiting)

    def test_nobody_is_accepted_before_it_is_known_what_an_authority_wants_to_see(self) -> None:
        """It may be among those who have waited since the worker before this one. For a first worker that is not there
        nobody waits."""
        for answer in (encode(({"abc": "abc.thumb"}, {})), None):
            asked: Deferred[bytes | None] = Deferred()
            worker: Any = FakeFamily(2).workers[1]
            self.patch(worker, "ask", lambda *_, asked=asked: asked)
            self.joined(worker)
            self.assertTrue(worker.holds)
            asked.callback(answer)
            self.assertFalse(worker.holds)

    def test_the_authority_is_sent_for_when_all_show_what_it_wants_to_see(self) -> None:
        """What they answer is waited for."""
        asked: Deferred[Any] = Deferred()
        worker: Any = self.family.workers[0]
        self.patch(worker, "ask_all", lambda topic, value: asked)
        waiting: Any = self.doorways[0].renewal.challenges.everywhere()
        self.assertNoResult(waiting)
        asked.callback([])
        self.successResultOf(waiting)

    def test_a_new_first_worker_tells_what_the_one_before_may_have_left_unsaid(self) -> None:
        """That nothing is shown any more, and that there may be a new certificate."""
        taken: list[str] = []
        second = self.doorways[1]
        second.renewal.challenges.show({"abc": "abc.thumb"}, {"a.example": bytes(32)})
        self.patch(second.certificates, "take_issued", lambda: taken.append("second"))
        self.joined(self.family.workers[0])
        self.assertEqual((second.renewal.challenges.shown(), taken), (({}, {}), ["second"]))

    def joined(self, worker: Any) -> Any:
        """The doorway of a worker that starts now."""
        doorway = make_doorway(self.clock, self.state.path("state"))
        share_work(Context(self.clock, doorway, None, None, Metrics(), Reloads(),  # type: ignore[arg-type] # not needed
                           WorkerDesk(worker, lambda: b"")), worker, self.state, {}, [])
        return doorway

    def test_a_new_certificate_is_taken_by_all(self) -> None:
        """When the first has it in service, and not when it was refused."""
        taken: list[str] = []
        first, second = self.doorways
        self.patch(second.certificates, "take_issued", lambda: taken.append("second"))
        for good in (True, False):
            self.patch(first.certificates, "take_issued", lambda good=good: good)
            first.renewal._take()
        self.assertEqual(taken, ["second"])

    def test_nonces_of_one_are_good_at_another(self) -> None:
        """The key is made once."""
        self.assertEqual(nonce_key(self.state), nonce_key(StateDirectory(self.state.path("x").parent)))
        self.assertGreater(len(nonce_key(self.state)), 40)
