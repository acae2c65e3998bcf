"""Lines that programs read: what the TURN service logs, as it stands in the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.log import Log, LogSettings
from rtcd.metrics import Metrics
from rtcd.peers.policy import PeerPolicy
from rtcd.stun.attributes import ALTERNATE_SERVER, XOR_PEER_ADDRESS, Family
from rtcd.stun.message import Class, Method, encode
from rtcd.turn.events import MAX_SHOWN_NAME, Events
from rtcd.turn.news import Began, Challenged, Denied, Ended, Failed, TurnNews
from rtcd.turn.request import Rules
from rtcd.turn.service import TurnService
from rtcd.turn.settings import Settings
from tests.fakes_turn import SERVER, UDP, Client, World, make_context

CLIENT = ("192.0.2.7", 40000)
HOSTILE = 'u" address=9.9.9.9 port=1\nauth_fail\t\x1b[0m\u2028\udc80'


def allocation_of(user: str = "u", host: str = CLIENT[0]) -> Allocation:
    """One that is open."""
    five_tuple = FiveTuple("udp", (host, CLIENT[1]), SERVER)
    family = Family.IPV6 if ":" in host else Family.IPV4
    allocation = Allocation(five_tuple, user, user, b"", host, bytes(12))
    allocation.shown[family] = ("2001:db8::1", 50000) if ":" in host else (SERVER[0], 50000)
    return allocation


class LineTests(SynchronousTestCase):
    """Each event is one line of fields in a fixed order."""

    def setUp(self) -> None:
        """Events that go to a file."""
        self.path = Path(self.mktemp())
        log = Log(LogSettings(file=str(self.path), level="debug"))
        self.addCleanup(log.use, LogSettings())
        self.patch(Events, "_log", Logger(namespace="rtcd.turn.events.Events", observer=LogPublisher(log)))
        self.events = Events(Metrics(), lambda: 1)

    def line(self) -> str:
        """What was written, without its time."""
        line, = self.path.read_text().splitlines()
        return line.partition(" ")[2]

    def test_an_allocation_that_was_made(self) -> None:
        self.events.allocation_created(allocation_of())
        self.assertEqual(self.line(), "[rtcd.turn.events.Events#debug] allocation_created address=192.0.2.7 port=40000 "
                         "transport=udp user=u relayed=198.51.100.1:50000")

    def test_an_allocation_that_was_refreshed(self) -> None:
        self.events.allocation_refreshed(allocation_of(), 600)
        self.assertTrue(self.line().endswith("allocation_refreshed address=192.0.2.7 port=40000 transport=udp user=u "
                                             "relayed=198.51.100.1:50000 lifetime=600"))

    def test_an_allocation_that_ended(self) -> None:
        self.events.allocation_ended(allocation_of(), "refreshed to 0", Traffic(1, 2, 3, 4))
        self.assertTrue(self.line().endswith(
            "allocation_ended address=192.0.2.7 port=40000 transport=udp user=u relayed=198.51.100.1:50000 "
            "reason=refreshed-to-0 sent_packets=1 sent_bytes=2 received_packets=3 received_bytes=4"))

    def test_a_peer_that_was_denied(self) -> None:
        self.events.peer_denied(allocation_of(host="2001:db8::7"), ("fd00::1", 80), "own listener")
        self.assertTrue(self.line().endswith("peer_denied address=2001:db8::7 port=40000 transport=udp user=u "
                                             "relayed=[2001:db8::1]:50000 peer=[fd00::1]:80 reason=own-listener"))

    def test_a_request_beyond_a_limit(self) -> None:
        for code, reason, expected in ((486, "user-quota", "quota_refused {} reason=user-quota"),
                                       (508, "", "capacity_refused {} reason=-")):
            self.path.write_text("")
            self.events.refused(allocation_of().five_tuple, "u", code, reason)
            fields = "address=192.0.2.7 port=40000 transport=udp user=u"
            self.assertTrue(self.line().endswith(expected.format(fields)), self.line())

    def test_a_name_cannot_add_fields_or_lines(self) -> None:
        for second, user in enumerate((HOSTILE, "x" * 500, "", " ")):
            self.path.write_text("")
            self.events.auth_failed(allocation_of().five_tuple, user, 1000.0 + second)
            parts = self.line().split(" ")
            self.assertEqual([one.partition("=")[0] for one in parts[2:]], ["address", "port", "transport", "user"])
            self.assertNotIn('"', self.line())
            self.assertLessEqual(len(parts[-1]), MAX_SHOWN_NAME + len("user="))

    def test_at_the_level_info_only_failed_passwords_are_shown(self) -> None:
        """Addresses belong to debug, but fail2ban cannot do without."""
        log = Log(LogSettings(file=str(self.path), level="info"))
        self.addCleanup(log.use, LogSettings())
        self.patch(Events, "_log", Logger(namespace="rtcd.turn.events.Events", observer=LogPublisher(log)))
        events, allocation = Events(Metrics(), lambda: 1), allocation_of()
        events.allocation_created(allocation)
        events.allocation_refreshed(allocation, 600)
        events.peer_denied(allocation, ("10.0.0.1", 1), "private")
        events.refused(allocation.five_tuple, "u", 486, "user-quota")
        events.allocation_ended(allocation, "expired", Traffic())
        self.assertEqual(self.path.read_text(), "")
        events.auth_failed(allocation.five_tuple, "u", 1000.0)
        self.assertIn(" auth_fail ", self.line())


class ListenerTests(SynchronousTestCase):
    """Whoever asked to be told is told of users, from the rules on."""

    def setUp(self) -> None:
        """A world whose observer is the real one."""
        self.world = World(Rules(user_quota=1), policy=PeerPolicy())
        self.events = self.world.server.observer = Events(Metrics(), lambda: 0)
        self.events.user_of = lambda username, now: self.world.credentials.verify(username, now).user or username
        self.heard: list[TurnNews] = []
        self.events.observe(self.heard.append)

    def test_a_client_from_its_first_request_to_the_end_of_its_relay(self) -> None:
        client = self.world.client()
        client.raw(encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP]))
        client.allocate()
        other = self.world.client(40001)
        self.assertEqual(other.code(Method.ALLOCATE, UDP), 486)
        client.code(Method.CREATE_PERMISSION, XOR_PEER_ADDRESS.encode(("10.0.0.1", 1), bytes(12)))
        client.refresh(0)
        self.assertEqual(client.refresh(600), 437)
        client.password = "wrong"
        client.code(Method.ALLOCATE, UDP)
        self.assertEqual([one for one in self.heard if not isinstance(one, (Challenged, Denied))], [
            Began("u", "udp"), Failed("u", "allocate", 486, "user-quota"), Failed("u", "create_permission", 403),
            Ended("u", "udp", "refreshed to 0", Traffic()), Failed("u", "refresh", 437), Failed("u", "", 401)])
        self.assertEqual([one.user for one in self.heard if isinstance(one, Denied)], ["u"])
        self.assertEqual(self.heard[0], Challenged("192.0.2.7", "udp"))

    def test_a_time_limited_name_is_told_without_its_time(self) -> None:
        client = self.world.client()
        client.username = self.world.credentials.issue("ann", self.world.now).username
        client.password = "wrong"
        client.code(Method.ALLOCATE, UDP)
        self.assertEqual(self.heard[-1], Failed("ann", "", 401))

    def test_strange_peers_are_told_where_they_are_refused(self) -> None:
        for refused in (False, True):
            self.events.peer_unsignalled(allocation_of(), ("192.0.2.9", 1), "not signalled", refused, 0)
        self.assertEqual(self.heard, [Denied("u", "192.0.2.9", "not signalled")])

    def test_a_listener_that_fails_harms_nobody(self) -> None:
        events = Events(Metrics(), lambda: 0)
        events.observe(lambda news: 1 / 0)
        heard: list[TurnNews] = []
        events.observe(heard.append)
        events.allocation_created(allocation_of())
        self.assertEqual(heard, [Began("u", "udp")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_service_offers_it(self) -> None:
        context = make_context(MemoryReactorClock())
        TurnService(context, Settings(stun_only=True))
        self.assertTrue(context.desk.offers("turn.observe"))


class DrainTests(SynchronousTestCase):
    """`TurnService.drain`, and the list of other servers."""

    def start(self, **options: object) -> TurnService:
        """On loopback."""
        service = TurnService(make_context(MemoryReactorClock()), Settings(**{  # type: ignore[arg-type] # by name
            "listen": ("127.0.0.1",), "port": 0, "tcp": False, "tls": False, "user": ("u:p",), "unauth_rate": 0.0,
            **options}))
        self.addCleanup(service.stopService)
        service.privilegedStartService()
        service.startService()
        return service

    def client(self, service: TurnService, port: int = 40000) -> Client:
        """Asks the server of the service, past its sockets."""
        server = service._server
        assert server is not None
        world = World()
        world.server, world.nonces, world.now = server, server.authenticator.nonces, service._reactor.seconds()
        listener = next(service._context.doorway.directory.listeners("turn"))
        return Client(world, FiveTuple("udp", ("127.0.0.9", port), (listener.host, listener.port)))

    def test_without_an_allocation_it_is_drained_at_once(self) -> None:
        service = self.start()
        self.successResultOf(service.drain())
        self.assertEqual(self.client(service).code(Method.ALLOCATE, UDP), 403)

    def test_it_is_drained_when_the_last_allocation_has_ended(self) -> None:
        service = self.start()
        first, second = self.client(service), self.client(service, 40001)
        first.allocate()
        second.allocate()
        drained = service.drain()
        first.refresh(0)
        self.assertNoResult(drained)
        second.refresh(0)
        self.successResultOf(drained)
        self.successResultOf(service.drain())

    def test_the_end_of_the_service_is_the_end_of_draining(self) -> None:
        service = self.start()
        self.client(service).allocate()
        drained = service.drain()
        service.stopService()
        self.successResultOf(drained)

    def test_the_list_of_other_servers_is_in_force_from_the_start_and_after_a_reload(self) -> None:
        service = self.start(alternate_server=("203.0.113.1:3478",))
        answer = self.client(service).ask(Method.ALLOCATE, UDP)
        self.assertEqual(answer.get(ALTERNATE_SERVER), ("203.0.113.1", 3478))
        old = service._settings
        taken = service.reload(old, Settings(**{
            **{name: getattr(old, name) for name in old.__slots__}, "redirect": "draining"}))
        self.assertEqual(list(taken), ["redirect"])
        client = self.client(service)
        client.allocate()
        service.drain()
        answer = self.client(service, 40001).ask(Method.ALLOCATE, UDP)
        self.assertEqual(answer.get(ALTERNATE_SERVER), ("203.0.113.1", 3478))


class AnnouncementTests(SynchronousTestCase):
    """What others of this daemon learn of the halves that are off."""

    def test_no_stun_and_no_relays_are_seen_in_the_directory(self) -> None:
        """The ICE resource makes no URLs of them."""
        plain = Settings(listen=("127.0.0.1",), port=0, tcp=False, tls=False)
        for settings, stun, relays in ((plain, True, 1), (replace(plain, stun=False), False, 1),
                                       (replace(plain, stun_auth=True), False, 1),
                                       (replace(plain, udp_relay=False), True, 0)):
            context = make_context(MemoryReactorClock())
            service = TurnService(context, settings)
            self.addCleanup(service.stopService)
            service.privilegedStartService()
            found = list(context.doorway.directory.listeners("turn"))
            self.assertEqual({one.stun for one in found}, {stun})
            self.assertEqual(len([one for one in found if one.last_port is not None]), relays)
