"""The service ``[metrics]`` in memory: what it exposes, to whom, and what it says of the daemon's health."""

from __future__ import annotations

import hmac
import json
import math
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.test.proto_helpers import FakeDatagramTransport
from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import ConfigError, section_from
from rtcd.doorway.directory import Listener
from rtcd.monitoring import process
from rtcd.monitoring.checks import ANSWER_S, MAX_ASKED, NAMES
from rtcd.monitoring.probe import AGAIN_S, Question, taking
from rtcd.monitoring.readiness import KEPT_S, TIMEOUT_S
from rtcd.monitoring.resources import Readyz
from rtcd.monitoring.service import MAX_CONNECTIONS, MonitoringService, makeService
from rtcd.monitoring.settings import MIN_TOKEN_CHARS, Settings
from rtcd.plugin import plugins
from rtcd.rooms.outcome import StoreUnavailable
from rtcd.stun.attributes import ERROR_CODE, REQUESTED_TRANSPORT, XOR_MAPPED_ADDRESS
from rtcd.stun.message import Class, Method, decode, encode
from tests.fakes import FakeAnswer, dial, make_request
from tests.fakes_calls import Page, Server

TOKEN = "correct-horse-battery"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


class MonitoringTestCase(SynchronousTestCase):
    """A daemon in memory, whose TURN server answers as the test says."""

    def start(self, ask: Callable[[Any, Listener], Any] | None = None, **settings: Any) -> None:
        """With these settings."""
        self.server = Server(self)
        self.clock = self.server.clock
        self.asked: list[Listener] = []
        self.asked_with: list[bytes] = []

        async def answer(reactor: Any, listener: Listener, transaction_id: bytes) -> bool:
            self.asked.append(listener)
            self.asked_with.append(transaction_id)
            return await ask(reactor, listener) if ask is not None else True

        self.deaf: set[tuple[str, int]] = set()
        self.service = MonitoringService(self.server.context, Settings(**settings), answer, self.taking)
        self.service.privilegedStartService()
        self.service.startService()
        for hook, arguments, options in list(self.clock.whenRunningHooks):
            hook(*arguments, **options)

    def taking(self, reactor: Any) -> set[tuple[str, int]]:
        """Where TCP connections are taken: everywhere, but for what the test has made deaf."""
        return {(one.host, one.port) for one in self.server.doorway.directory.listeners()} - self.deaf

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> FakeAnswer:
        """From the listener of its own."""
        site = self.clock.tcpServers[0][1].wrappedFactory
        return make_request(site, method, path, headers=headers, secure=False)

    def figures(self, answer: FakeAnswer) -> dict[str, float]:
        """Series by name and labels, as Prometheus reads them."""
        self.assertEqual(answer.code, 200)
        return {f"{one.name}{dict(sorted(one.labels.items())) or ''}": one.value
                for family in text_string_to_metric_families(answer.body.decode()) for one in family.samples}


class ExpositionTests(MonitoringTestCase):
    """``/metrics``."""

    def test_every_series_is_there_with_its_type_and_a_sentence(self) -> None:
        """Counters, gauges and histograms, those of the process too; a family is told once."""
        self.start()
        Page(self.server, "lounge").join()
        answer = self.get("/metrics")
        self.assertEqual(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8")
        families = list(text_string_to_metric_families(answer.body.decode()))
        kinds = {one.name: one.type for one in families}
        self.assertEqual(len(kinds), len(families))
        self.assertTrue(all(one.documentation.endswith(".") for one in families), families)
        for name, kind in (("rtcd_web_joins", "counter"), ("rtcd_rooms_rooms", "gauge"),
                           ("rtcd_web_join_seconds", "histogram"), ("rtcd_doorway_http_seconds", "histogram"),
                           ("process_resident_memory_bytes", "gauge")):
            self.assertEqual(kinds.get(name), kind, name)
        figures = self.figures(answer)
        self.assertEqual(figures["rtcd_web_joins_total{'result': 'success'}"], 1)
        self.assertEqual(figures["rtcd_web_join_seconds_bucket{'le': '0.001'}"], 1)
        self.assertEqual(figures["rtcd_rooms_seats"], 1)
        self.assertTrue(math.isnan(figures["rtcd_doorway_certificate_expiry_timestamp_seconds"]))

    def test_openmetrics_is_for_who_asks_for_it(self) -> None:
        """As Prometheus does; its parser is the strict one."""
        self.start()
        for accept, wanted in ((OPENMETRICS, True), ("APPLICATION/OpenMetrics-Text", True), ("text/plain", False),
                               ("*/*", False), ("application/openmetrics-text-2;version=x", False), ("", False)):
            answer = self.get("/metrics", {"Accept": accept})
            kind = answer.header("content-type")
            self.assertEqual("openmetrics" in str(kind), wanted, accept)
        text = self.get("/metrics", {"Accept": OPENMETRICS}).body.decode()
        self.assertGreater(len(list(openmetrics_families(text))), 30)
        self.assertTrue(text.endswith("# EOF\n"))

    def test_the_desk_has_the_same_for_others_to_serve(self) -> None:
        """Behind a door of theirs; without a listener, and without its token."""
        self.start(listen=(), token=TOKEN)
        self.assertEqual(self.clock.tcpServers, [])
        text, kind = self.server.context.desk.ask("metrics.exposition", OPENMETRICS)
        self.assertIn("openmetrics", kind)
        self.assertIn(b"rtcd_rooms_rooms 0.0", text)
        self.assertIn(b"version=0.0.4", self.server.context.desk.ask("metrics.exposition")[1].encode())

    def test_a_token_is_asked_for(self) -> None:
        """Nothing is told without it; its change is in force at once."""
        self.start(token=TOKEN)
        for header in ("", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff", TOKEN):
            answer = self.get("/metrics", {"Authorization": header})
            self.assertEqual((answer.code, answer.header("www-authenticate")), (401, 'Bearer realm="rtcd"'), header)
            self.assertNotIn(b"rtcd_", answer.body)
        for header in (f"Bearer {TOKEN}", f"bearer  {TOKEN} "):
            self.assertEqual(self.get("/metrics", {"Authorization": header}).code, 200)
        taken = self.server.reloads.apply("metrics", Settings(token=TOKEN), Settings(token=TOKEN[::-1]))
        self.assertEqual(taken, {"token"})
        self.assertEqual(self.get("/metrics", {"Authorization": f"Bearer {TOKEN}"}).code, 401)

    def test_the_token_is_compared_in_constant_time(self) -> None:
        """Time tells nothing of how much was right."""
        self.start(token=TOKEN)
        compared: list[tuple[bytes, bytes]] = []
        self.patch(hmac, "compare_digest", lambda one, other: compared.append((one, other)))
        self.assertEqual(self.get("/metrics", {"Authorization": "Bearer guess"}).code, 401)
        self.assertEqual(compared, [(b"guess", TOKEN.encode())])

    def test_a_token_that_is_none_stops_the_start(self) -> None:
        """One line names the key, and never the value."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "token").write_text(f"{TOKEN}\n")
        self.assertEqual(section_from("metrics", {"token-file": "token"}, Settings, folder).token, TOKEN)
        for bad in ("x" * (MIN_TOKEN_CHARS - 1), f"{TOKEN}\x01x", f"{TOKEN}é"):
            fault = str(self.assertRaises(ConfigError, section_from, "metrics", {"token": bad}, Settings))
            self.assertTrue(fault.startswith("[metrics] token: has ") and bad not in fault, fault)

    def test_what_asks_is_not_counted_among_people(self) -> None:
        """Or an idle daemon would seem to have visitors."""
        self.start()
        for _ in range(3):
            figures = self.figures(self.get("/metrics"))
        self.assertEqual(figures["rtcd_doorway_http_answers_total{'code': '2xx'}"], 0)
        self.assertEqual(figures["rtcd_doorway_connections_total"], 0)

    def test_nor_is_who_asks_whether_it_is_well(self) -> None:
        """A draining daemon answers 503 by design, and load balancers ask often."""
        self.start()
        self.server.context.desk.offer("daemon.draining", lambda: True)
        codes = [self.server.request("GET", path).code for path in ("/healthz", "/readyz")]
        self.assertEqual(codes, [200, 503])
        self.assertFalse([one for one in self.server.metrics.samples() if "http_answers" in one.name and one.value])
        self.assertEqual(self.figures(self.get("/metrics"))["rtcd_doorway_http_seconds_count"], 0)

    def test_other_paths_and_methods_are_refused(self) -> None:
        """Head is as get, without a body."""
        self.start()
        self.assertEqual([self.get(path).code for path in ("/", "/x", "/join/r")], [404, 404, 404])
        self.assertEqual(self.get("/metrics", method="POST").code, 405)
        answer = self.get("/metrics", method="HEAD")
        self.assertEqual((answer.code, answer.body), (200, b""))
        self.assertGreater(int(str(answer.header("content-length"))), 1000)


class ProcessTests(SynchronousTestCase):
    """What the process takes."""

    def test_the_figures_are_those_of_this_process(self) -> None:
        """By the names that other programs have for them."""
        before = {one.name: one.value for one in process.samples(1000.5)}
        with open(os.devnull) as one, open(os.devnull) as other:
            after = {one.name: one.value for one in process.samples(1000.5)}
            self.assertNotEqual(one.fileno(), other.fileno())
        self.assertEqual(after["process_open_fds"], before["process_open_fds"] + 2)
        self.assertGreater(after["process_resident_memory_bytes"], 10e6)
        self.assertGreater(after["process_cpu_seconds_total"], 0)
        self.assertGreaterEqual(after["process_max_fds"], after["process_open_fds"])
        self.assertEqual(after["process_start_time_seconds"], 1000.5)

    def test_where_the_system_does_not_tell_the_rest_is_there(self) -> None:
        """No figure is better than a wrong one."""
        found = [one.name for one in process.samples(0, Path(self.mktemp()))]
        self.assertIn("process_cpu_seconds_total", found)
        self.assertNotIn("process_resident_memory_bytes", found)


class HealthTests(MonitoringTestCase):
    """``/healthz`` and ``/readyz``."""

    def readyz(
        self, where: str = "own", headers: dict[str, str] | None = None, path: str = "/readyz"
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an answer that is there at once."""
        answer = self.get(path, headers) if where == "own" else self.server.request("GET", path)
        return answer.code, json.loads(answer.body)

    def broken(self) -> dict[str, str]:
        """What is not well, by the listener of its own; a report is made anew."""
        self.clock.advance(KEPT_S)
        code, facts = self.readyz()
        self.assertEqual([name for name, well in facts["checks"].items() if not well], sorted(facts["reasons"]))
        self.assertEqual((code, facts["ready"]), (503, False) if facts["reasons"] else (200, True))
        reasons: dict[str, str] = facts["reasons"]
        return reasons

    def test_both_answer_here_and_at_the_doorway(self) -> None:
        """At the doorway without a word of why."""
        self.start()
        well = dict.fromkeys(NAMES, True)
        self.assertEqual(self.readyz(), (200, {"ready": True, "checks": well, "reasons": {}}))
        self.assertEqual(self.readyz("doorway"), (200, {"ready": True, "checks": well}))
        for answer in (self.get("/healthz"), self.server.request("GET", "/healthz")):
            self.assertEqual((answer.code, answer.body, answer.header("cache-control")), (200, b"ok\n", "no-store"))
        head = self.get("/readyz", method="HEAD")
        self.assertEqual((head.code, head.body), (200, b""))

    def test_a_balancer_is_told_what_is_its_own(self) -> None:
        """What is wrong with the nodes or the store of rooms is so at every daemon, and they say it better than a balancer
        that has nobody left."""
        self.start()
        draining: list[bool] = []
        self.server.context.desk.offer("ice.trouble", lambda: "no TURN node serves")
        self.server.context.desk.offer("daemon.draining", lambda: bool(draining))
        self.successResultOf(Deferred.fromCoroutine(self.server.rooms.close()))
        own = dict.fromkeys(("accepting", "certificate", "listeners", "turn"), True)
        for where in ("own", "doorway"):
            self.assertEqual(self.readyz(where)[0], 503)
            code, facts = self.readyz(where, path="/readyz/own")
            self.assertEqual((code, facts["ready"], facts["checks"]), (200, True, own))
        self.assertEqual(sorted(self.broken()), ["nodes", "rooms"])
        draining.append(True)
        self.clock.advance(KEPT_S)
        self.assertEqual(self.readyz("doorway", path="/readyz/own"), (503, {
            "ready": False, "checks": {**own, "accepting": False}}))
        self.assertEqual(list(self.readyz(path="/readyz/own")[1]["reasons"]), ["accepting"])

    def test_the_doorway_is_left_alone_if_that_is_wanted(self) -> None:
        """Then the paths are nobody's."""
        self.start(health=False)
        for path in ("/healthz", "/readyz", "/readyz/own"):
            self.assertEqual(self.server.request("GET", path).code, 404)
        self.assertEqual(self.get("/healthz").code, 200)

    def test_it_opens_no_web_listener_of_its_own_accord(self) -> None:
        """A relay alone has none."""
        context = Server(self, pages=False).context
        context.doorway._used = False  # as without any service behind it
        MonitoringService(context, Settings(listen=()))
        self.assertFalse(context.doorway.needed)

    def test_without_a_turn_node_that_serves_it_is_not_ready(self) -> None:
        """As the service that hands them out tells; where that is off, or names none, there is nothing to lack."""
        trouble = [""]
        self.start()
        self.assertEqual(self.broken(), {})
        self.server.context.desk.offer("ice.trouble", lambda: trouble[0])
        self.assertEqual(self.broken(), {})
        trouble[0] = "no TURN node serves: relay1 is dead (no answer)"
        self.assertEqual(self.broken(), {"nodes": trouble[0]})

    def test_draining_is_not_ready(self) -> None:
        """The process is well all the same."""
        self.start()
        self.assertEqual(self.broken(), {})
        self.server.context.desk.offer("daemon.draining", lambda: True)
        self.assertEqual(list(self.broken()), ["accepting"])
        self.assertEqual(self.get("/healthz").code, 200)

    def test_a_certificate_that_is_not_good_now(self) -> None:
        """Expired, or not yet valid since the clock is wrong."""
        self.start()
        self.server.doorway.certificates.load()
        self.assertEqual(self.broken(), {})
        expiry = self.figures(self.get("/metrics"))["rtcd_doorway_certificate_expiry_timestamp_seconds"]
        self.clock.rightNow = expiry - 1
        self.assertEqual(self.broken(), {"certificate": "it has expired; renew it"})
        self.clock.rightNow = 1e9
        self.assertEqual(self.broken(), {"certificate": "it is not valid yet; check the clock"})

    def test_a_listener_that_is_gone(self) -> None:
        """Named, so that one sees which."""
        self.start()
        lost = next(self.server.doorway.directory.listeners("turn"))
        self.server.doorway.directory.closed(lost)
        self.assertEqual(self.broken(), {"listeners": "turn does not listen on udp port 3478 any more"})
        self.server.doorway.directory.opened(lost)
        self.assertEqual(self.broken(), {})

    def test_a_listener_that_takes_no_connections(self) -> None:
        """It is in the directory, and nothing is behind it."""
        self.start()
        self.assertEqual(self.broken(), {})
        lost = next(self.server.doorway.directory.listeners("metrics"))
        self.deaf = {(lost.host, lost.port)}
        self.assertEqual(self.broken(), {"listeners": "metrics does not listen on tcp port 9641 any more"})

    def test_before_everything_is_open_it_is_not_ready(self) -> None:
        """Services start one after another."""
        self.server = Server(self)
        self.clock = self.server.clock
        service = MonitoringService(self.server.context, Settings())
        service.privilegedStartService()
        service.startService()
        self.server.doorway.directory._listeners = list(self.server.doorway.directory.listeners("metrics"))
        self.assertEqual(self.broken(), {"listeners": "the daemon is starting"})

    def test_of_several_stores_each_is_asked(self) -> None:
        """The reason tells how many are away."""
        class Away:
            async def update(self, *_: object) -> None:
                raise StoreUnavailable("away")

        self.start()
        rooms: Any = self.server.rooms
        one, both = {"rooms": "1 of 2 stores: away"}, {"rooms": "2 of 2 stores: away"}
        for stores, broken in (((rooms, rooms), {}), ((Away(), rooms), one), ((rooms, Away()), one),
                               ((Away(), Away()), both)):
            rooms.stores = stores
            self.assertEqual(self.broken(), broken)

    def test_why_a_store_is_away_is_told(self) -> None:
        """With key and place, if it is known; what clients are told says less."""
        class Away:
            place, trouble = "redis://h:6379", "WRONGPASS"

            async def update(self, *_: object) -> None:
                raise StoreUnavailable("away")

        self.start()
        rooms: Any = self.server.rooms
        rooms.stores = (Away(),)
        self.assertEqual(self.broken(), {"rooms": "[rooms] store redis://h:6379: WRONGPASS"})

    def test_rooms_that_cannot_be_reached(self) -> None:
        """The check changes no room, and tells nobody."""
        self.start()
        watched: list[Any] = []
        self.server.rooms.watch(type("Watcher", (), {"happened": lambda _, *news: watched.append(news)})())
        self.assertEqual(self.broken(), {})
        self.assertEqual((self.server.rooms._rooms, watched), ({}, []))
        self.successResultOf(Deferred.fromCoroutine(self.server.rooms.close()))
        self.assertEqual(list(self.broken()), ["rooms"])

    def test_a_turn_server_that_does_not_answer(self) -> None:
        """Only addresses that it listens on by UDP are asked, and not more than a few of them."""
        silent: list[Deferred[bool]] = []

        def ask(reactor: Any, listener: Listener) -> Deferred[bool]:
            silent.append(Deferred())
            return silent[-1]

        self.start(ask)
        for number in range(20):
            self.server.doorway.directory.opened(Listener("turn", "udp", f"192.0.2.{number}", 3478))
        self.server.doorway.directory.opened(Listener("turn", "tcp", "192.0.2.1", 3478))
        answer = self.get("/readyz")
        self.assertFalse(answer.finished)
        self.assertEqual(len(self.asked), MAX_ASKED)
        self.assertTrue(all(one.transport == "udp" and one.last_port is None for one in self.asked))
        for one in silent[1:]:
            one.callback(True)
        self.clock.advance(ANSWER_S)
        self.assertEqual(answer.code, 503)
        self.assertEqual(json.loads(answer.body)["reasons"], {"turn": "no answer by UDP from 0.0.0.0 port 3478"})

    def test_it_asks_as_one_whom_no_limit_of_strangers_stops(self) -> None:
        """By a transaction id of the TURN service's own, if there is such a service."""
        self.start()
        self.get("/readyz")
        self.server.context.desk.offer("turn.question", lambda: b"of our own..")
        self.clock.advance(KEPT_S)
        self.get("/readyz")
        first, second = self.asked_with
        self.assertEqual((len(first), second), (12, b"of our own.."))

    def test_a_question_that_cannot_be_asked_is_no_missing_answer(self) -> None:
        """It says what there was no socket for."""
        def ask(reactor: Any, listener: Listener) -> Any:
            raise CannotListenError("0.0.0.0", 0, OSError(24, "Too many open files"))

        self.start(ask)
        self.assertEqual(self.broken(), {
            "turn": "no UDP socket to ask from (Too many open files): 0.0.0.0 port 3478"})

    def test_what_is_raised_is_logged_though_nobody_waits_for_it(self) -> None:
        """Unless it is that other processes have not answered in time, which is no bug."""
        self.start()
        for path, fault, logged in (("/x", RuntimeError("boom"), 1), ("/y", TimeoutError("worker 2 does not answer"), 0)):
            waiting: Deferred[Any] = Deferred()
            self.server.doorway.add_child(path, Readyz(lambda waiting=waiting: waiting, lambda _: True))  # type: ignore[misc] # one loop
            self.server.request("GET", path).transport.protocol.connectionLost(None)
            waiting.errback(fault)
            self.assertEqual(len(self.flushLoggedErrors()), logged)

    def test_however_many_ask_the_checks_are_made_once(self) -> None:
        """Whoever asks meanwhile waits for the same report, and who asks soon afterwards gets it too."""
        waiting: list[Deferred[bool]] = []

        def ask(reactor: Any, listener: Listener) -> Deferred[bool]:
            waiting.append(Deferred())
            return waiting[-1]

        self.start(ask)
        answers = [self.server.request("GET", "/readyz") for _ in range(50)]
        self.assertEqual((len(waiting), [one.finished for one in answers]), (1, [False] * 50))
        gone = self.get("/readyz")
        gone.transport.protocol.connectionLost(None)
        waiting[0].callback(True)
        self.assertEqual({one.code for one in answers}, {200})
        self.clock.advance(KEPT_S - 0.1)
        self.assertEqual((self.readyz()[0], len(waiting)), (200, 1))
        self.clock.advance(0.1)
        self.get("/readyz")
        self.assertEqual(len(waiting), 2)
        self.clock.rightNow -= 1000
        waiting[1].callback(True)
        self.get("/readyz")
        self.assertEqual(len(waiting), 3)

    def test_a_check_that_hangs_or_breaks_is_named(self) -> None:
        """The others are told all the same; a fault of ours is logged."""
        self.start()
        hanging: Deferred[Any] = Deferred()

        async def hang(*_: Any) -> Any:
            return await hanging

        self.patch(self.server.rooms, "update", hang)
        self.server.context.desk.offer("daemon.draining", lambda: 1 / 0)
        answer = self.get("/readyz")
        self.assertFalse(answer.finished)
        self.clock.advance(TIMEOUT_S)
        self.assertEqual(json.loads(answer.body)["reasons"], {
            "rooms": f"no answer within {TIMEOUT_S:g} s", "accepting": "the check itself failed; the log says why"})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_reasons_are_for_who_has_the_token(self) -> None:
        """At the listener of its own; what is wrong is told to everybody."""
        self.start(token=TOKEN)
        self.server.context.desk.offer("daemon.draining", lambda: True)
        code, facts = self.readyz()
        self.assertEqual((code, facts["checks"]["accepting"], "reasons" in facts), (503, False, False))
        self.assertIn("accepting", self.readyz(headers={"Authorization": f"Bearer {TOKEN}"})[1]["reasons"])

    def test_the_metrics_say_what_was_found_last(self) -> None:
        """Reading them has the checks made again, for the next reading."""
        self.start()
        first = self.figures(self.get("/metrics"))
        self.assertEqual({first[f"rtcd_daemon_ready{{'check': '{name}'}}"] for name in NAMES}, {1})
        self.server.context.desk.offer("daemon.draining", lambda: True)
        self.clock.advance(KEPT_S)
        self.get("/metrics")
        second = self.figures(self.get("/metrics"))
        self.assertEqual([second[f"rtcd_daemon_ready{{'check': '{name}'}}"] for name in ("accepting", "turn")], [0, 1])


class ListenerTests(MonitoringTestCase):
    """The listeners of its own."""

    def test_by_default_it_is_on_loopback_alone(self) -> None:
        """And in the directory, so that no relay reaches it."""
        self.start()
        port, _, _, host = self.clock.tcpServers[0]
        self.assertEqual((port, host), (9641, "127.0.0.1"))
        self.assertEqual([one.service for one in self.server.doorway.directory.listeners("metrics")], ["metrics"])
        self.successResultOf(self.service.stopService())
        self.assertEqual(list(self.server.doorway.directory.listeners("metrics")), [])

    def test_anywhere_else_without_a_token_is_warned_about(self) -> None:
        """With one it is not."""
        for settings, warned in (({"listen": ("tcp:9641:interface=0.0.0.0",)}, 1),
                                 ({"listen": ("tcp:9641:interface=0.0.0.0",), "token": TOKEN}, 0)):
            with capturedLogs() as events:
                self.start(**settings)
            told = [formatEvent(one) for one in events if "[metrics] listen:" in (formatEvent(one) or "")]
            self.assertEqual(len(told), warned)

    def test_a_port_that_is_taken_is_one_line(self) -> None:
        """It names section, key and mend; nothing stays open."""
        def taken(*_: Any, **__: Any) -> Any:
            fault = OSError(98, "Address already in use")
            raise CannotListenError("127.0.0.1", 9641, fault)

        self.patch(MemoryReactorClock, "listenTCP", taken)
        fault = str(self.assertRaises(ConfigError, self.start))
        self.assertEqual(fault, "[metrics] listen: tcp port 9641 is in use by another program; free it or choose another")
        fault = str(self.assertRaises(ConfigError, self.start, listen=("9641",)))
        self.assertTrue(fault.startswith("[metrics] listen: '9641' is no endpoint"), fault)

    def test_connections_are_bounded(self) -> None:
        """A few monitors have it; one more is refused."""
        self.start()
        factory = self.clock.tcpServers[0][1]
        open_now = [dial(self.clock, factory, host="127.0.0.1") for _ in range(MAX_CONNECTIONS)]
        self.assertRaises(ConnectionRefusedError, dial, self.clock, factory, host="127.0.0.1")
        open_now[0].hang_up()
        dial(self.clock, factory, host="127.0.0.1")

    def test_the_plugin_makes_it(self) -> None:
        """As any other service."""
        server = Server(self)
        plugin = plugins()["metrics"]
        self.assertIs(plugin.settings, Settings)
        self.assertEqual(makeService(server.context, Settings()).name, "metrics")

    def test_what_needs_a_restart_is_not_claimed_to_be_in_force(self) -> None:
        """The listeners and the paths at the doorway."""
        self.start()
        self.assertEqual(self.server.reloads.apply("metrics", Settings(), Settings(listen=(), health=False)), set())


class TakingTests(SynchronousTestCase):
    """Where connections are taken, by real sockets."""

    def setUp(self) -> None:
        """A reactor that looks at one listener, and at a connection to it."""
        port: Any = Port(0, Factory(), interface="127.0.0.1", reactor=MemoryReactorClock())
        port.startListening()
        self.port = port
        self.client = socket.create_connection(port.socket.getsockname())
        self.addCleanup(self.client.close)
        self.addCleanup(port.socket.close)
        self.readers = [port, type("Connection", (), {"socket": self.client})()]

    def taking(self) -> set[tuple[str, int]]:
        """By this reactor."""
        return taking(type("Reactor", (), {"getReaders": lambda _: self.readers})())

    def test_it_is_where_the_kernel_listens_and_the_reactor_looks(self) -> None:
        """Not where only one of them does."""
        self.assertEqual(self.taking(), {("127.0.0.1", self.port.getHost().port)})
        self.port.socket.shutdown(socket.SHUT_RDWR)  # what ss -K does: the socket is there and does not listen
        self.assertEqual(self.taking(), set())

    def test_a_socket_that_is_closed_takes_none(self) -> None:
        """Nor does one that the reactor has let go."""
        self.port.socket.close()
        self.assertEqual(self.taking(), set())
        self.readers = []
        self.assertEqual(self.taking(), set())


class QuestionTests(SynchronousTestCase):
    """The STUN client that asks our own server."""

    SERVER = ("192.0.2.1", 3478)
    ID = b"transaction!"

    def setUp(self) -> None:
        """A clock, and a transport that writes down."""
        self.clock = MemoryReactorClock()

    def ask(self, *, binding_alone: bool = True) -> Question:
        """One that is asking."""
        question = Question(self.clock, self.SERVER, self.ID, binding_alone=binding_alone)
        self.transport = FakeDatagramTransport()
        question.makeConnection(self.transport)
        return question

    def test_any_answer_to_it_counts(self) -> None:
        """Also an error: that is how a server answers that wants to know who asks."""
        for class_, attributes in ((Class.SUCCESS, [XOR_MAPPED_ADDRESS.encode(("192.0.2.1", 1), self.ID)]),
                                   (Class.ERROR, [ERROR_CODE.encode((401, "Unauthorized"))])):
            question = self.ask()
            question.datagramReceived(encode(Method.BINDING, class_, self.ID, attributes), self.SERVER)
            self.assertIsNone(self.successResultOf(question.answered))
            self.assertEqual(self.clock.getDelayedCalls(), [])
            question.datagramReceived(encode(Method.BINDING, class_, self.ID, attributes), self.SERVER)

    def test_what_is_no_answer_to_it_does_not(self) -> None:
        """Of another place, to another question, a request, or no STUN at all."""
        question = self.ask()
        good = encode(Method.BINDING, Class.SUCCESS, self.ID)
        for data, source in ((good, ("192.0.2.2", 3478)), (good[:-1], self.SERVER), (b"", self.SERVER),
                             (encode(Method.BINDING, Class.SUCCESS, bytes(12)), self.SERVER),
                             (encode(Method.BINDING, Class.REQUEST, self.ID), self.SERVER)):
            question.datagramReceived(data, source)
        self.assertNoResult(question.answered)

    def test_it_is_sent_again_until_it_is_given_up(self) -> None:
        """Nothing of it stays."""
        question = self.ask()
        self.clock.advance(AGAIN_S)
        self.assertEqual(len(self.transport.written), 2)
        question.answered.cancel()
        self.failureResultOf(question.answered)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_server_that_answers_no_binding_is_asked_for_an_allocation(self) -> None:
        """Which it refuses, and lives."""
        self.ask(binding_alone=False)
        methods = [decode(data).method for data, _ in self.transport.written]
        self.assertEqual(methods, [Method.BINDING, Method.ALLOCATE])
        self.assertEqual(decode(self.transport.written[1][0]).get(REQUESTED_TRANSPORT), 17)
