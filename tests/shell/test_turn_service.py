"""The TURN service: sockets opened and announced, the one timer, reloads, the end; real loopback sockets, no waiting."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import FiveTuple
from rtcd.config import ConfigError
from rtcd.doorway.directory import Listener
from rtcd.kernel.choice import Kernel
from rtcd.metrics import Metrics
from rtcd.stun.attributes import (
    CHANNEL_NUMBER,
    DATA,
    EVEN_PORT,
    LIFETIME,
    MOBILITY_TICKET,
    NONCE,
    PASSWORD_ALGORITHMS,
    REALM,
    USERNAME,
    XOR_PEER_ADDRESS,
    XOR_RELAYED_ADDRESS,
    Address,
)
from rtcd.stun.integrity import long_term_key, sign
from rtcd.stun.message import Class, Message, Method, decode, encode
from rtcd.turn.events import MAX_LINES, Events
from rtcd.turn.service import Settings, TurnService, makeService
from tests.fakes_turn import UDP, code_of, make_context

LOOPBACK: dict[str, Any] = {"listen": ("127.0.0.1",), "port": 0, "tcp": False, "tls": False}
"""UDP alone, at a port of the system's choice."""
RANGE = {"min_port": 40000, "max_port": 65535}


class ServiceTestCase(SynchronousTestCase):
    """A service on loopback and a client socket."""

    relay_plane = "python"
    timers = 0
    """Delayed calls of the plane's own."""
    asking: Any = None
    """Whom the service asks about external addresses; nobody, on loopback."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.reactor.advance(1_700_000_000)
        self.context: Any = make_context(self.reactor)
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.client.close)
        self.client.bind(("127.0.0.1", 0))
        self.client.setblocking(False)
        self._ids = iter(range(1, 10000))

    def start(self, **options: Any) -> TurnService:
        """A running one."""
        options = {**LOOPBACK, "relay_plane": self.relay_plane, "user": ("u:p",), "unauth_rate": 0.0, **RANGE, **options}
        service = TurnService(self.context, Settings(**options), ["127.0.0.1"], self.asking, self.use_kernel)
        service.privilegedStartService()
        service.startService()
        self.addCleanup(self._stop, service)
        return service

    def use_kernel(self) -> Kernel:
        """Not for these."""
        raise AssertionError

    def _stop(self, service: TurnService) -> None:
        if service.running:
            service.stopService()

    def logged(self) -> list[Any]:
        """What is logged from now on."""
        events: list[Any] = []
        observer = cast(ILogObserver, events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        return events

    def listeners(self) -> list[Listener]:
        """What is announced."""
        return list(self.context.doorway.directory.listeners("turn"))

    def server(self) -> Address:
        """Where the first socket is."""
        return self.listeners()[0].host, self.listeners()[0].port

    def ask(self, data: bytes) -> Message | None:
        """The answer, if there is one."""
        self.client.sendto(data, self.server())
        for reader in list(self.reactor.readers):
            reader.doRead()
        try:
            return decode(self.client.recv(2000))
        except BlockingIOError:
            return None

    def request(
        self, method: Method, *attributes: bytes, user: str = "u", password: str = "p", realm: str = "rtcd"
    ) -> Message:
        """The answer to an authenticated request; its nonce is fetched first."""
        challenge = self.ask(encode(Method.ALLOCATE, Class.REQUEST, next(self._ids).to_bytes(12, "big"), [UDP]))
        nonce = challenge.get(NONCE) if challenge is not None else None
        data = encode(method, Class.REQUEST, next(self._ids).to_bytes(12, "big"), [
            *attributes, USERNAME.encode(user), REALM.encode(realm), NONCE.encode(nonce or "")])
        answer = self.ask(sign(data, long_term_key(user, realm, password)))
        if answer is None:
            raise AssertionError("no answer")
        return answer


class Starting(ServiceTestCase):
    def test_sockets_and_relay_range_are_announced_and_taken_back(self) -> None:
        service = self.start()
        first, second = self.listeners()
        self.assertEqual((first.transport, first.host, first.last_port), ("udp", "127.0.0.1", None))
        self.assertGreater(first.port, 0)
        self.assertEqual(second, Listener("turn", "udp", "127.0.0.1", 40000, 65535))
        service.stopService()
        self.assertEqual((self.listeners(), list(self.reactor.readers)), ([], []))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind((first.host, first.port))

    def test_stun_only_announces_no_relays(self) -> None:
        self.start(stun_only=True)
        self.assertEqual(len(self.listeners()), 1)
        self.assertIsNotNone(self.ask(encode(Method.BINDING, Class.REQUEST, bytes(12))))
        self.assertIsNone(self.ask(encode(Method.ALLOCATE, Class.REQUEST, bytes(12))))

    def test_every_address_of_the_machine_gets_a_socket_of_its_own(self) -> None:
        service = TurnService(self.context, Settings(port=0, tcp=False, tls=False), ["127.0.0.1", "127.0.0.2", "::1"])
        self.addCleanup(service.stopService)
        service.privilegedStartService()
        self.assertEqual([one.host for one in self.listeners() if one.last_port is None], ["127.0.0.1", "127.0.0.2", "::1"])

    def test_a_port_in_use_stops_the_start_in_one_line_and_closes_the_rest(self) -> None:
        taken = self.client.getsockname()[1]
        service = makeService(self.context, Settings(listen=("127.0.0.1",), port=taken))
        error = self.assertRaises(ConfigError, service.privilegedStartService)
        self.assertIn(f"[turn] port: udp port {taken} on 127.0.0.1 is in use", str(error))
        self.assertEqual(self.listeners(), [])

    def test_an_address_that_is_not_ours_stops_the_start(self) -> None:
        for options, key in (({"listen": ("192.0.2.99",)}, "listen"),
                             ({"relay_ip": ("192.0.2.99",)}, "relay-ip"),
                             ({"external_ip": ("203.0.113.1/10.9.9.9",)}, "external-ip"),
                             ({"listen": ("systemd:name=nobody",)}, "listen")):
            error = self.assertRaises(ConfigError, self.start, **options)
            self.assertEqual(error.key, key)
            self.assertEqual(self.listeners(), [])

    def test_a_server_that_clients_would_be_sent_to_in_a_circle_stops_start_and_reload(self) -> None:
        """RFC 8489 §10: a client that comes to a server for the second time gives up."""
        service = self.start()
        port, old = self.listeners()[0].port, service._settings
        circle = (f"127.0.0.1:{port}",)
        error = self.assertRaises(ConfigError, service.reload, old, replace(old, alternate_server=circle, user_quota=1))
        self.assertEqual((error.key, service._settings), ("alternate-server", old))
        service.stopService()
        error = self.assertRaises(ConfigError, self.start, port=port, alternate_server=circle)
        self.assertIn(f"127.0.0.1 port {port} is this server itself", str(error))
        self.assertEqual(self.listeners(), [])

    def test_a_default_family_that_no_relay_has_is_a_warning_at_start_and_reload(self) -> None:
        """All clients that name none get 440, which an operator would not see; IPv6 may come later, so it may start."""
        events = self.logged()
        service = self.start(default_family="ipv6")
        warned = [one for one in events if one.get("log_level") == LogLevel.warn and "default-family" in one["log_format"]]
        self.assertEqual([one["other"] for one in warned], ["ipv4"])
        for family, lines in (("keep", 0), ("ipv4", 0), ("ipv6", 1), ("ipv6", 0)):
            del events[:]
            old = service._settings
            service.reload(old, replace(old, default_family=family))
            self.assertEqual(len([one for one in events if "other" in one]), lines, family)

    def test_a_machine_without_addresses_has_nothing_to_listen_on(self) -> None:
        service = TurnService(self.context, Settings(), [])
        self.assertRaises(ConfigError, service.privilegedStartService)

    def test_an_inherited_socket_is_listened_on_and_a_wildcard_one_is_not(self) -> None:
        for host, good in (("127.0.0.1", True), ("0.0.0.0", False)):
            inherited = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            inherited.bind((host, 0))
            port, descriptor = inherited.getsockname()[1], inherited.detach()
            names = [""] * (descriptor - 3) + ["turn"]
            self.patch(os, "environ", {"LISTEN_FDNAMES": ":".join(names)})
            if good:
                service = self.start(listen=("systemd:name=turn",))
                self.assertEqual(self.server(), (host, port))
                service.stopService()
            else:
                self.assertRaises(ConfigError, self.start, listen=("systemd:name=turn",))

    def test_loopback_peers_are_warned_about(self) -> None:
        events = self.logged()
        self.start(allow_loopback_peers=True)
        self.assertIn("allow-loopback-peers", "".join(str(one.get("log_format")) for one in events))


class Serving(ServiceTestCase):
    def allocate(self) -> Address:
        """The relayed address."""
        return self.request(Method.ALLOCATE, UDP).get(XOR_RELAYED_ADDRESS) or ("", 0)

    def test_an_allocation_has_a_relay_in_the_range_and_ends_by_the_timer(self) -> None:
        self.start(max_lifetime=30)
        host, port = self.allocate()
        self.assertEqual(host, "127.0.0.1")
        self.assertIn(port, range(40000, 65536))
        self.assertEqual(len(self.reactor.getDelayedCalls()), self.timers + 1)
        self.reactor.advance(20)
        self.request(Method.REFRESH)
        self.reactor.advance(20)
        self.assertEqual(code_of(self.request(Method.REFRESH)), 0)
        self.reactor.advance(31)
        self.assertEqual((code_of(self.request(Method.REFRESH)), len(self.reactor.getDelayedCalls())), (437, self.timers))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind((host, port))

    def test_stopping_ends_allocations_and_their_timer(self) -> None:
        service = self.start()
        address = self.allocate()
        service.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(address)

    def test_time_limited_names_work_beside_users(self) -> None:
        self.start()
        credential = self.context.credentials.issue("w", self.reactor.seconds())
        answer = self.request(Method.ALLOCATE, UDP, user=credential.username, password=credential.password)
        self.assertEqual(code_of(answer), 0)

    def test_realm_nonce_lifetime_and_rate_are_the_operators(self) -> None:
        self.start(realm="here", stale_nonce=1, user=("u:p",), unauth_rate=2.0)
        self.assertEqual(code_of(self.request(Method.ALLOCATE, UDP, realm="here")), 0)
        self.ask(encode(Method.BINDING, Class.REQUEST, bytes(12)))
        self.assertIsNone(self.ask(encode(Method.BINDING, Class.REQUEST, bytes(12))))

    def test_external_address_and_relay_address_are_the_operators(self) -> None:
        self.start(external_ip=("203.0.113.9/127.0.0.2",), relay_ip=("127.0.0.2",))
        self.assertEqual(self.allocate()[0], "203.0.113.9")

    def test_daemons_with_one_nonce_secret_take_each_others_nonces(self) -> None:
        five_tuple = FiveTuple("udp", ("192.0.2.7", 1), ("192.0.2.1", 3478))
        nonces = []
        for secret in ("sixteen letters.", "sixteen letters.", "", ""):
            service = self.start(nonce_secret=secret)
            server = service._server
            if server is not None:
                nonces.append(server.authenticator.nonces.issue(five_tuple, 1000.0))
            service.stopService()
        self.assertEqual(nonces[0], nonces[1])
        self.assertEqual(len(set(nonces)), 3)

    def test_what_must_not_be_guessed_comes_from_the_system(self) -> None:
        """CVE-2025-69217: the keys of nonces and of questions of our own, ports, tokens, tickets."""
        asked: list[tuple[str, int]] = []

        def token_bytes(size: int) -> bytes:
            asked.append(("bytes", size))
            return secrets.token_bytes(size)

        def randbelow(end: int) -> int:
            asked.append(("below", end))
            return secrets.randbelow(end)

        system = SimpleNamespace(token_bytes=token_bytes, randbelow=randbelow)
        self.patch(sys.modules["rtcd.turn.service"], "secrets", system)
        self.start(mobility=True)
        self.request(Method.ALLOCATE, UDP, EVEN_PORT.encode(True), MOBILITY_TICKET.encode(b""))
        self.assertEqual([size for kind, size in asked if kind == "bytes"], [32, 32, 8, 18])
        self.assertIn("below", [kind for kind, _ in asked])

    def test_sockets_have_the_buffer_that_the_operator_wants(self) -> None:
        for wanted in (16384, 65536):
            service = self.start(socket_buffer=wanted)
            plane = service._plane
            sizes = [] if plane is None else [
                one.sock.getsockopt(socket.SOL_SOCKET, option) for one in plane._listeners.values()
                for option in (socket.SO_RCVBUF, socket.SO_SNDBUF)]
            self.assertEqual(sizes, [2 * wanted] * 2)  # Linux doubles what is asked for
            service.stopService()

    def test_fingerprint_goes_on_everything_if_the_operator_wants(self) -> None:
        service = self.start(fingerprint=True)
        answer = self.ask(encode(Method.BINDING, Class.REQUEST, bytes(12)))
        self.assertTrue(answer is not None and answer.fingerprint_at)
        self.assertTrue(service._plane is not None and service._plane.fingerprint)

    def test_own_listeners_are_refused_as_peers_whenever_they_open(self) -> None:
        self.start(allow_loopback_peers=True)
        self.allocate()

        def permit(port: int) -> int:
            peer = XOR_PEER_ADDRESS.encode(("127.0.0.1", port), self._next_id())
            return code_of(self.request(Method.CREATE_PERMISSION, peer))

        self.assertEqual((permit(self.server()[1]), permit(8080)), (403, 0))
        self.context.doorway.directory.opened(Listener("web", "tcp", "0.0.0.0", 8080))
        self.assertEqual(permit(8080), 403)

    def _next_id(self) -> bytes:
        """The transaction id of the request after the next challenge."""
        return (next(self._ids) + 2).to_bytes(12, "big")

    def test_two_clients_on_loopback_reach_each_other_and_no_local_service(self) -> None:
        """Our own relays are peers wherever they are; what else listens there is none."""
        self.start(min_port=40000, max_port=50000)
        first, second, local = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
        relays = []
        for sock in (first, second, local):
            self.addCleanup(sock.close)
            sock.setblocking(False)
        local.bind(("127.0.0.1", next(port for port in range(50001, 65536) if port != self.server()[1])))
        for self.client in (first, second):
            relays.append(self.allocate())
            peer = XOR_PEER_ADDRESS.encode(("127.0.0.1", 0), self._next_id())
            self.assertEqual(code_of(self.request(Method.CREATE_PERMISSION, peer)), 0)
            for port in (22, local.getsockname()[1], self.server()[1]):
                peer = XOR_PEER_ADDRESS.encode(("127.0.0.1", port), self._next_id())
                answer = self.request(Method.CHANNEL_BIND, CHANNEL_NUMBER.encode(0x4000), peer)
                self.assertEqual(code_of(answer), 403, port)
        self.client = first
        for target in (local.getsockname(), relays[1]):
            transaction_id = bytes(12)
            self.ask(encode(Method.SEND, Class.INDICATION, transaction_id, [
                XOR_PEER_ADDRESS.encode(target, transaction_id), DATA.encode(b"hello")]))
        self.assertIsNone(self.ask(b"\x40\x00\x00\x00"))
        self.assertRaises(BlockingIOError, local.recv, 100)
        self.assertEqual(decode(second.recv(100)).get(XOR_PEER_ADDRESS), relays[0])
        local.sendto(b"from outside of the range", relays[0])
        self.assertIsNone(self.ask(b"\x40\x00\x00\x00"))

    def test_drops_traffic_and_answers_are_counted(self) -> None:
        self.start()
        self.allocate()
        self.ask(b"\x40\x00\x00\x00")
        self.request(Method.REFRESH, LIFETIME.encode(0))
        self.request(Method.ALLOCATE, password="wrong")
        found = {(one.name, *dict(one.labels).values()): one.value for one in self.context.metrics.samples()}
        self.assertEqual(found["rtcd_turn_dropped_packets_total", "no-channel"], 1)
        self.assertEqual(found["rtcd_turn_allocations_total", "udp"], 1)
        self.assertEqual(found["rtcd_turn_allocations_open",], 0)
        self.assertEqual(found["rtcd_turn_allocations_ended_total", "refreshed-to-0"], 1)
        self.assertEqual(found["rtcd_turn_auth_failures_total",], 1)
        self.assertEqual(found["rtcd_turn_responses_total", "ok", "allocate"], 1)

    def test_traffic_is_counted_while_the_allocation_lives_and_once(self) -> None:
        self.start(allow_loopback_peers=True)
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(peer.close)
        peer.bind(("127.0.0.1", 0))
        relayed = self.allocate()
        self.request(Method.CREATE_PERMISSION, XOR_PEER_ADDRESS.encode(peer.getsockname(), self._next_id()))
        transaction_id = bytes(12)
        indication = encode(Method.SEND, Class.INDICATION, transaction_id, [
            XOR_PEER_ADDRESS.encode(peer.getsockname(), transaction_id), DATA.encode(b"hello")])

        def counted() -> dict[tuple[str, ...], float]:
            return {(one.name.removeprefix("rtcd_turn_relayed_"), *dict(one.labels).values()): one.value
                    for one in self.context.metrics.samples() if one.name.startswith("rtcd_turn_relayed_")}

        self.ask(indication)
        peer.sendto(b"hi", relayed)
        self.ask(indication)
        expected = {("packets_total", "sent"): 2, ("bytes_total", "sent"): 10,
                    ("packets_total", "received"): 1, ("bytes_total", "received"): 2}
        self.assertEqual(counted(), expected)
        self.request(Method.REFRESH, LIFETIME.encode(0))
        self.assertEqual((counted(), counted()), (expected, expected))

    def test_ip_fields_are_carried_if_the_operator_wants(self) -> None:
        for wanted in (False, True):
            plane = self.start(ip_fields=wanted)._plane
            self.assertEqual(plane is not None and plane.fields.on, wanted)

    def test_failed_passwords_make_a_line_for_fail2ban_once_a_second(self) -> None:
        events = self.logged()
        self.start()
        for _ in range(3):
            self.request(Method.ALLOCATE, UDP, user="ev il\n", password="wrong")
        lines = [one for one in events if str(one.get("log_format")).startswith("auth_fail")]
        self.assertEqual([(one["address"], one["user"]) for one in lines], [("127.0.0.1", "ev?il?")])

    def test_lines_about_failed_passwords_are_bounded_by_network_and_in_all(self) -> None:
        """Somebody who owns a /64 or many machines must not fill the disk."""
        events = self.logged()
        turn = Events(Metrics(), lambda: 0)

        def fail(host: str, now: float) -> int:
            turn.auth_failed(FiveTuple("udp", (host, 1), ("192.0.2.1", 3478)), "u", now)
            return len([one for one in events if str(one.get("log_format")).startswith("auth_fail")])

        self.assertEqual([fail(f"2001:db8::{index:x}", 1000.0) for index in range(50)], [1] * 50)
        self.assertEqual(fail("2001:db8:1::1", 1000.0), 2)
        for index in range(500):
            fail(f"8.8.{index & 255}.{index >> 8}", 1000.0)
        self.assertEqual(fail("8.8.4.4", 1000.0), MAX_LINES)
        self.assertEqual(fail("8.8.4.4", 1001.0), MAX_LINES + 1)


class Reloading(ServiceTestCase):
    def _reload(self, service: TurnService, **options: Any) -> set[str]:
        old = service._settings
        return set(service.reload(old, Settings(**{
            **LOOPBACK, "user": ("u:p",), "unauth_rate": 0.0, **RANGE, **options})))

    def test_the_service_asks_to_be_told(self) -> None:
        service = self.start()
        self.assertEqual([(section, reload.__self__) for section, reload in self.context.reloads], [("turn", service)])

    def test_users_quotas_and_peers_change_at_once_and_allocations_live_on(self) -> None:
        service = self.start()
        self.request(Method.ALLOCATE, UDP)
        taken = self._reload(service, user=("u:p", "w:x"), user_quota=1, allowed_peers=("127.0.0.0/8",), stale_nonce=60,
                             unauth_rate=50.0, realm="other", max_lifetime=700)
        self.assertEqual(taken, {"user", "user-quota", "allowed-peers", "stale-nonce", "unauth-rate", "max-lifetime"})
        self.assertEqual(code_of(self.request(Method.REFRESH)), 0)
        self.assertEqual(self.request(Method.REFRESH, LIFETIME.encode(3600)).get(LIFETIME), 700)
        self.assertEqual(code_of(self.request(Method.ALLOCATE, UDP, user="w", password="x")), 437)
        self.request(Method.REFRESH, LIFETIME.encode(0))
        self._reload(service, user=("w:x",))
        self.assertEqual(code_of(self.request(Method.ALLOCATE, UDP)), 401)
        self.assertEqual(code_of(self.request(Method.ALLOCATE, UDP, user="w", password="x")), 0)

    def test_the_nat64_of_the_network_changes_at_once(self) -> None:
        """What is behind it is IPv4, whatever is allowed."""
        service = self.start()
        taken = self._reload(service, nat64_prefix=("2606:64::/32", "2606:64:1::/96"), allowed_peers=("2606:64::/32",))
        self.assertEqual(taken, {"nat64-prefix", "allowed-peers"})
        server = service._server
        assert server is not None
        self.assertEqual([server.policy.refusal((host, 53)) for host in ("2606:64:1::10.0.0.1", "2606:64:a00:1::", "::1")], [
            "IPv4 inside IPv6, private", "IPv4 inside IPv6, private", "loopback"])
        self._reload(service, allowed_peers=("2606:64::/32",))
        self.assertEqual(server.policy.refusal(("2606:64:1::10.0.0.1", 53)), "")

    def test_how_users_prove_themselves_changes_at_once(self) -> None:
        service = self.start()
        plain = encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP])

        def offers() -> bool:
            challenge = self.ask(plain)
            return challenge is not None and PASSWORD_ALGORITHMS in challenge

        self.assertFalse(offers())
        taken = self._reload(service, sha256=True, strict_expiry=True, stun_auth=True)
        self.assertEqual(taken, {"sha256", "strict-expiry", "stun-auth"})
        self.assertTrue(offers())
        self.assertEqual(code_of(self.request(Method.BINDING)), 0)
        binding = self.ask(encode(Method.BINDING, Class.REQUEST, bytes(12)))
        self.assertEqual(code_of(binding) if binding is not None else None, 401)
        self.reactor.advance(0.5)
        credential = self.context.credentials.issue("w", self.reactor.seconds() - 3500)
        answer = self.request(Method.ALLOCATE, UDP, user=credential.username, password=credential.password)
        self.assertEqual(answer.get(LIFETIME), 99)
        self._reload(service)
        self.assertFalse(offers())

    def test_clients_are_not_sent_to_stun_that_asks_for_a_password_now(self) -> None:
        """[ice] makes its URLs of what the directory says."""
        service = self.start()
        before = self.listeners()
        self._reload(service, stun_auth=True)
        self.assertEqual({one.stun for one in self.listeners()}, {False})
        self._reload(service)
        self.assertEqual(self.listeners(), before)
        self.assertEqual({one.stun for one in before}, {True})
        self._reload(service, stun_auth=True)
        self.successResultOf(service.stopService())
        self.assertEqual(self.listeners(), [])

    def test_what_needs_a_socket_is_not_taken_over(self) -> None:
        service = self.start()
        self.assertEqual(self._reload(service, min_port=50000, realm="other", stun_only=True, fingerprint=True), set())
        self.assertEqual(code_of(self.request(Method.ALLOCATE, UDP)), 0)
