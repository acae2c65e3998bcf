"""External addresses that are looked up: when, from whom, what clients are told, and what the operator is told."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IResolutionReceiver
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from rtcd.allocations.addresses import External, RelayAddresses
from rtcd.config import ConfigError
from rtcd.machine import maker
from rtcd.outside.external import Findings, Plan, parse_plan
from rtcd.outside.outside import MAX_REFLEXIVE, RESOLVE_TIMEOUT_S, Lookups, Outside
from rtcd.stun.attributes import XOR_RELAYED_ADDRESS
from rtcd.stun.message import Method
from rtcd.turn.server import TurnServer
from rtcd.turn.service import TurnService
from rtcd.turn.settings import Settings
from tests.fakes_turn import UDP
from tests.shell.test_turn_service import LOOPBACK, RANGE, ServiceTestCase

INNER = "10.0.0.1"


class FakeAsking:
    """Answers what the test says, and notes who was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.names: dict[str, tuple[str, ...]] = {}
        self.cloud: tuple[External, ...] = ()
        self.seen: dict[str, str] = {}
        self.wait: Deferred[None] | None = None
        self.fault: Exception | None = None

    async def resolve(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        return self.names.get(name, ())

    async def clouds(self) -> Sequence[External]:
        self.asked.append("clouds")
        if self.fault is not None:
            raise self.fault
        if self.wait is not None:
            await self.wait
        return self.cloud

    async def reflexive(self, host: str) -> str:
        self.asked.append(host)
        return self.seen.get(host, "")


class Checks(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.asking = FakeAsking()
        self.events: list[Any] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def begin(self, *lines: str, hosts: Sequence[str] = (INNER,), interval_s: float = 300) -> Outside:
        """Started, and not yet given a turn."""
        plan = parse_plan(lines) if lines else Plan(auto=True)
        findings = Findings(plan, hosts)
        self.addresses = RelayAddresses(hosts, findings.mapping())
        outside = Outside(self.clock, findings, self.asking, interval_s, self.addresses.remap)
        outside.start()
        self.addCleanup(outside.stop)
        return outside

    def told(self, level: LogLevel) -> list[str]:
        """The lines of a level, as formats."""
        return [one["log_format"] for one in self.events
                if one["log_level"] is level and one.get("log_namespace", "").startswith("rtcd.outside.outside")]

    def test_nobody_is_asked_where_there_is_nothing_to_find(self) -> None:
        """Loopback, a public address, or all that is needed written down: no timer and no packet."""
        for lines, hosts in (((), ["127.0.0.1", "::1"]), ((), ["8.8.8.8", INNER]), (("8.8.8.8",), [INNER]),
                             (("auto", "8.8.8.8/10.0.0.1"), [INNER])):
            self.begin(*lines, hosts=hosts)
            self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.asking.asked, self.events), ([], []))

    def test_the_start_waits_for_nobody(self) -> None:
        self.begin()
        self.assertEqual(self.asking.asked, [])
        self.clock.advance(0)
        self.assertEqual(self.asking.asked, ["clouds", INNER])

    def test_an_address_is_looked_up_again_and_a_change_is_one_line(self) -> None:
        self.asking.cloud = (External("8.8.8.1"),)
        self.begin()
        self.clock.advance(0)
        self.assertEqual(self.addresses.shown((INNER, 5)), ("8.8.8.1", 5))
        self.clock.advance(300)
        self.assertEqual(len(self.told(LogLevel.info)), 1)
        self.asking.cloud = (External("8.8.8.2"),)
        self.clock.advance(299)
        self.assertEqual(self.addresses.shown((INNER, 5)), ("8.8.8.1", 5))
        self.clock.advance(1)
        self.assertEqual(self.addresses.shown((INNER, 5)), ("8.8.8.2", 5))
        self.assertEqual(len(self.told(LogLevel.info)), 2)
        self.assertIn("8.8.8.2", [one for one in self.events if "shown" in one][-1]["shown"])

    def test_a_look_up_that_fails_later_changes_nothing(self) -> None:
        self.asking.cloud = (External("8.8.8.1"),)
        self.begin()
        self.clock.advance(0)
        self.asking.cloud = ()
        self.clock.advance(300)
        self.assertEqual(self.addresses.shown((INNER, 5)), ("8.8.8.1", 5))
        self.assertEqual(self.told(LogLevel.warn), [])

    def test_the_stun_server_is_asked_for_what_no_cloud_knows(self) -> None:
        hosts = (INNER, "10.0.0.2", "10.0.0.3")
        self.asking.cloud = (External("8.8.8.2", "10.0.0.2"),)
        self.asking.seen = {INNER: "8.8.8.1", "10.0.0.3": "8.8.8.2"}
        self.begin(hosts=hosts)
        self.clock.advance(0)
        self.assertEqual(self.asking.asked, ["clouds", INNER, "10.0.0.3"])
        self.assertEqual(self.addresses.mapping(), {INNER: "8.8.8.1", "10.0.0.2": "8.8.8.2"})

    def test_the_stun_server_is_asked_for_so_many_and_no_more(self) -> None:
        self.begin(hosts=[f"10.0.0.{number}" for number in range(1, MAX_REFLEXIVE + 5)])
        self.clock.advance(0)
        self.assertEqual(len(self.asking.asked), 1 + MAX_REFLEXIVE)

    def test_names_are_resolved_at_each_check(self) -> None:
        self.asking.names = {"a.example.org": ("8.8.8.1", "2a00::1")}
        self.begin("a.example.org")
        self.clock.advance(0)
        self.assertEqual(self.addresses.mapping(), {INNER: "8.8.8.1"})
        self.asking.names = {"a.example.org": ("127.0.1.1",)}
        self.clock.advance(300)
        self.assertEqual(self.addresses.mapping(), {INNER: "8.8.8.1"})
        self.assertEqual(self.asking.asked, ["a.example.org"] * 2)

    def test_without_an_interval_there_is_one_check(self) -> None:
        self.begin(interval_s=0)
        self.clock.advance(0)
        self.assertEqual((len(self.asking.asked), self.clock.getDelayedCalls()), (2, []))

    def test_a_slow_check_is_not_overtaken_by_the_next(self) -> None:
        self.asking.wait = Deferred()
        self.begin()
        self.clock.pump([0, 300, 300])
        self.assertEqual(self.asking.asked, ["clouds"])
        self.asking.wait.callback(None)
        self.asking.wait = None
        self.clock.advance(300)
        self.assertEqual(self.asking.asked, ["clouds", INNER] * 2)

    def test_the_operator_is_warned_once_if_no_way_in_is_found(self) -> None:
        self.begin()
        self.clock.pump([0, 300, 300])
        self.assertEqual(len(self.told(LogLevel.warn)), 1)

    def test_a_written_address_that_is_not_public_is_worth_a_warning(self) -> None:
        self.begin("10.9.9.9")
        self.assertEqual(len(self.told(LogLevel.warn)), 1)
        self.begin("8.8.8.8")
        self.assertEqual(len(self.told(LogLevel.warn)), 1)

    def test_a_fault_of_ours_is_logged_and_the_next_check_comes(self) -> None:
        self.asking.fault = RuntimeError("broken")
        self.begin()
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.asking.fault, self.asking.cloud = None, (External("8.8.8.1"),)
        self.clock.advance(300)
        self.assertEqual(self.addresses.mapping(), {INNER: "8.8.8.1"})

    def test_the_end_gives_up_what_is_under_way(self) -> None:
        self.asking.wait = Deferred()
        outside = self.begin()
        self.clock.advance(0)
        self.assertIsNone(self.successResultOf(outside.stop()))
        self.assertEqual((self.clock.getDelayedCalls(), self.told(LogLevel.critical)), ([], []))
        self.assertEqual(self.addresses.mapping(), {})


class InService(ServiceTestCase):
    def server_of(self, service: TurnService) -> TurnServer:
        """Its core."""
        if service._server is None:
            raise AssertionError("it has ended")
        return service._server

    def setUp(self) -> None:
        super().setUp()
        self.asking = FakeAsking()
        self.asking.names = {"a.example.org": ("8.8.8.1",)}

    def settings(self, **options: Any) -> Settings:
        """For a reload."""
        options = {**LOOPBACK, "user": ("u:p",), "unauth_rate": 0.0, **RANGE, **options}
        return Settings(**options)

    def relayed(self) -> str:
        """The host that a new client is told."""
        answer = self.request(Method.ALLOCATE, UDP)
        found = answer.get(XOR_RELAYED_ADDRESS)
        return found[0] if found is not None else ""

    def test_a_new_allocation_is_told_the_new_address_and_the_old_one_keeps_its_own(self) -> None:
        service = self.start(external_ip=("a.example.org",))
        self.reactor.advance(0)
        self.assertEqual(self.relayed(), "8.8.8.1")
        self.asking.names = {"a.example.org": ("8.8.8.2",)}
        self.reactor.advance(300)
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.client.close)
        self.client.setblocking(False)
        self.assertEqual(self.relayed(), "8.8.8.2")
        told = [host for one in self.server_of(service).allocations for host, _ in one.shown.values()]
        self.assertEqual(told, ["8.8.8.1", "8.8.8.2"])
        addresses = self.server_of(service).addresses
        self.assertEqual([addresses.reached(one) for one in ("8.8.8.1", "8.8.8.2")], ["127.0.0.1"] * 2)

    def test_a_former_address_is_forgotten_when_nobody_was_told_it(self) -> None:
        """It may be somebody else's by then."""
        service = self.start(external_ip=("a.example.org",))
        self.reactor.advance(0)
        self.relayed()
        self.asking.names = {"a.example.org": ("8.8.8.2",)}
        self.reactor.advance(300)
        self.assertEqual(self.server_of(service).addresses.reached("8.8.8.1"), "127.0.0.1")
        self.reactor.advance(300)
        self.reactor.advance(300)
        self.assertEqual(len(self.server_of(service).allocations), 0)
        self.assertEqual(self.server_of(service).addresses.reached("8.8.8.1"), "8.8.8.1")

    def test_the_default_asks_nobody_on_loopback(self) -> None:
        self.start()
        self.reactor.advance(300)
        self.assertEqual((self.asking.asked, self.reactor.tcpClients), ([], []))

    def test_a_server_without_relays_asks_nobody(self) -> None:
        self.start(external_ip=("a.example.org",), stun_only=True)
        self.reactor.advance(300)
        self.assertEqual(self.asking.asked, [])

    def test_a_reload_brings_another_address_and_keeps_what_was_found(self) -> None:
        service = self.start(external_ip=("a.example.org",))
        self.reactor.advance(0)
        before = service._settings
        self.asking.names = {}
        service.reload(before, self.settings(external_ip=("a.example.org",), external_ip_check=600))
        self.assertEqual(self.relayed(), "8.8.8.1")
        taken = service.reload(before, self.settings(external_ip=("8.8.8.7",)))
        self.assertIn("external-ip", taken)
        self.assertEqual(self.server_of(service).addresses.mapping(), {"127.0.0.1": "8.8.8.7"})

    def test_a_reload_with_an_address_of_no_relay_changes_nothing(self) -> None:
        service = self.start(external_ip=("8.8.8.8",))
        for line in ("8.8.8.7/10.9.9.9", "a.example.org/10.9.9.9", "2a00::1"):
            error = self.assertRaises(ConfigError, service.reload, service._settings, self.settings(external_ip=(line,)))
            self.assertIn("[turn] external-ip: ", str(error))
        self.assertEqual(self.server_of(service).addresses.mapping(), {"127.0.0.1": "8.8.8.8"})
        self.assertEqual(service._settings.external_ip, ("8.8.8.8",))

    def test_the_service_ends_while_it_asks(self) -> None:
        service = self.start(external_ip=("a.example.org",))
        service.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class Resolving(SynchronousTestCase):
    """`Lookups` with a resolver in memory."""

    def setUp(self) -> None:
        self.reactor = cast(Any, MemoryReactorClock())
        self.receivers: list[Any] = []
        self.reactor.nameResolver = self
        self.lookups = Lookups(self.reactor, ("stun.example.org", 3478))

    def resolveHostName(self, receiver: IResolutionReceiver, name: str) -> None:
        """Noted."""
        self.receivers.append(receiver)

    def test_an_unanswered_name_is_given_up_and_a_late_answer_forgotten(self) -> None:
        waiting = Deferred.fromCoroutine(self.lookups.resolve("a.example.org"))
        self.reactor.advance(RESOLVE_TIMEOUT_S)
        self.assertEqual(self.successResultOf(waiting), ())
        self.receivers[0].resolutionComplete()

    def test_a_name_that_does_not_exist_has_no_address(self) -> None:
        waiting = Deferred.fromCoroutine(self.lookups.resolve("a.example.org"))
        self.receivers[0].resolutionComplete()
        self.assertEqual((self.successResultOf(waiting), self.reactor.getDelayedCalls()), ((), []))

    def test_a_stun_server_of_the_other_family_or_of_no_address_is_not_asked(self) -> None:
        for host, found in (("fd00::1", ("192.0.2.1",)), (INNER, ())):
            waiting = Deferred.fromCoroutine(self.lookups.reflexive(host))
            for one in found:
                self.receivers[-1].addressResolved(type("Found", (), {"host": one})())
            self.receivers[-1].resolutionComplete()
            self.assertEqual(self.successResultOf(waiting), "")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_without_a_stun_server_none_is_asked(self) -> None:
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(Lookups(self.reactor, None).reflexive(INNER))), "")
        self.assertEqual(self.receivers, [])


class ByTheSystem(TestCase):
    """`Lookups` in the world."""

    async def test_a_name_is_resolved(self) -> None:
        self.assertIn("127.0.0.1", await Lookups(reactor, None).resolve("localhost"))

    def test_the_maker_of_the_machine_is_known_or_empty(self) -> None:
        path = Path(self.mktemp())
        self.assertEqual(maker(path), "")
        path.write_text("Alibaba Cloud\n")
        self.assertEqual(maker(path), "Alibaba Cloud")
