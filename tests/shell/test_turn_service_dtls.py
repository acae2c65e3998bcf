"""The TURN service with clients by DTLS: real sockets on loopback, a real OpenSSL client, no waiting."""

from __future__ import annotations

import socket
from typing import Any

from rtcd.config import ConfigError
from rtcd.stun.attributes import CHANNEL_NUMBER, LIFETIME, XOR_PEER_ADDRESS, Address
from rtcd.stun.message import Class, Message, Method, decode, encode
from rtcd.tls.settings import TlsSettings
from rtcd.turn.service import TurnService
from tests.fakes_turn import UDP
from tests.shell.test_turn_dtls import CHANNEL, Client
from tests.shell.test_turn_service import ServiceTestCase

DTLS: dict[str, Any] = {"dtls": True, "tls_port": 0, "allow_loopback_peers": True}


class DtlsTestCase(ServiceTestCase):
    """Asks inside of DTLS, if `inside` is set."""

    inside: Client | None = None
    transport = "dtls"

    def start(self, **options: Any) -> TurnService:
        """A running one, with a certificate."""
        if self.context.doorway.certificates.chain is None:
            self.context.doorway.certificates._state.directory = self.mktemp()
        service = super().start(**{**DTLS, **options})
        self.context.doorway.certificates.load()
        return service

    def server(self) -> Address:
        return next((one.host, one.port) for one in self.listeners() if one.transport == self.transport)

    def turn(self) -> None:
        """Let the server read."""
        for reader in list(self.reactor.readers):
            reader.doRead()

    def arrived(self) -> list[bytes]:
        """Datagrams at the client."""
        found = []
        try:
            while True:
                found.append(self.client.recv(65536))
        except BlockingIOError:
            return found

    def connect(self) -> Client:
        """Complete a handshake."""
        self.inside = client = Client()
        out = client.shake()
        while out:
            for one in out:
                self.client.sendto(one, self.server())
            self.turn()
            out = [back for one in self.arrived() for back in client.receive(one)]
        return client

    def ask(self, data: bytes) -> Message | None:
        if self.inside is None:
            return super().ask(data)
        self.inside.got.clear()
        self.client.sendto(self.inside.write(data), self.server())
        self.turn()
        for one in self.arrived():
            self.inside.receive(one)
        return decode(self.inside.got[-1]) if self.inside.got else None


class Serving(DtlsTestCase):
    def test_channel_data_goes_both_ways_and_is_not_padded(self) -> None:
        """One message a record."""
        service = self.start()
        client = self.connect()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(5)
            self.assertIs(self.request(Method.ALLOCATE, UDP).class_, Class.SUCCESS)
            bound = self.request(Method.CHANNEL_BIND, CHANNEL_NUMBER.encode(0x4000),
                                 XOR_PEER_ADDRESS.encode(peer.getsockname(), bytes(12)))
            self.assertIs(bound.class_, Class.SUCCESS)
            self.client.sendto(client.write(CHANNEL), self.server())
            self.turn()
            data, relay = peer.recvfrom(100)
            self.assertEqual(data, b"hello")
            client.got.clear()
            peer.sendto(b"world", relay)
            self.turn()
            for one in self.arrived():
                client.receive(one)
            self.assertEqual(client.got, [b"\x40\0\0\5world"])
        assert service._server is not None
        self.assertEqual([one.five_tuple.transport for one in service._server.allocations], ["dtls"])

    def test_a_goodbye_ends_the_allocation(self) -> None:
        service = self.start()
        client = self.connect()
        self.request(Method.ALLOCATE, UDP)
        assert service._server is not None
        self.assertEqual(len(service._server.allocations), 1)
        client.connection.shutdown()
        for one in client.output():
            self.client.sendto(one, self.server())
        self.turn()
        self.assertEqual(len(service._server.allocations), 0)

    def test_with_an_allocation_a_session_stays_and_without_it_ends(self) -> None:
        """handshake-timeout, and a reload of it."""
        service = self.start(handshake_timeout=30)
        client = self.connect()
        self.request(Method.ALLOCATE, UDP)
        self.reactor.advance(300)
        self.assertIs(self.request(Method.REFRESH, LIFETIME.encode(600)).class_, Class.SUCCESS)
        self.assertIs(self.request(Method.REFRESH, LIFETIME.encode(0)).class_, Class.SUCCESS)
        service.reload(service._settings, service._settings)
        self.reactor.advance(30)
        for one in self.arrived():
            client.receive(one)
        self.assertTrue(client.ended)

    def test_the_end_of_the_service_is_told_to_clients(self) -> None:
        service = self.start()
        client = self.connect()
        service.stopService()
        for one in self.arrived():
            client.receive(one)
        self.assertTrue(client.ended)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_plain_udp_is_served_at_the_port_of_dtls_unless_it_is_off(self) -> None:
        """Records are what remains then."""
        self.start()
        binding = encode(Method.BINDING, Class.REQUEST, bytes(12), [])
        self.assertIsNotNone(super().ask(binding))

    def test_with_plain_udp_off_records_are_all_that_is_taken(self) -> None:
        """At a socket that is open for them alone."""
        self.start(udp=False)
        binding = encode(Method.BINDING, Class.REQUEST, bytes(12), [])
        self.assertIsNone(self.ask(binding))
        self.assertEqual([one.transport for one in self.listeners() if one.last_port is None], ["dtls"])
        self.connect()
        self.assertIsNotNone(self.ask(binding))

    def test_strangers_get_as_many_answers_as_by_plain_udp(self) -> None:
        """unauth-rate, for both together."""
        self.start(unauth_rate=1.0)
        for number in range(3):
            for one in Client().shake():
                self.client.sendto(one, self.server())
            self.turn()
            self.assertEqual(len(self.arrived()), int(number == 0))

    def test_records_are_dropped_where_dtls_is_off(self) -> None:
        """And counted with all else that is no protocol of ours."""
        self.transport = "udp"
        service = self.start(dtls=False)
        for one in Client().shake():
            self.client.sendto(one, self.server())
        self.turn()
        self.assertEqual((self.arrived(), service._plane is not None), ([], True))
        counted = [one.value for one in self.context.metrics.samples() if ("reason", "no-protocol") in one.labels]
        self.assertEqual(counted, [1])

    def test_a_server_that_wants_tls_1_3_cannot_have_dtls(self) -> None:
        """There is no DTLS 1.3 to be had, so the start says so."""
        self.context.doorway.certificates._settings = TlsSettings(minimum="1.3")
        self.assertEqual(self.assertRaises(ConfigError, self.start).key, "dtls")

    def test_a_port_in_use_names_the_key(self) -> None:
        """UDP at tls-port."""
        taken = self.client.getsockname()[1]
        error = self.assertRaises(ConfigError, self.start, tls_port=taken)
        self.assertIn(f"[turn] tls-port: udp port {taken} on 127.0.0.1 is in use", str(error))


class AtThePlainPort(DtlsTestCase):
    transport = "udp"

    def test_dtls_is_served_there_too(self) -> None:
        """RFC 7983: the first byte tells them apart."""
        self.start()
        binding = encode(Method.BINDING, Class.REQUEST, bytes(12), [])
        self.assertIsNotNone(self.ask(binding))
        self.connect()
        self.assertIsNotNone(self.ask(binding))
