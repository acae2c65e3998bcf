"""The TURN service with clients by TCP: its own plane, real relay sockets on loopback, a TCP connection in memory."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from rtcd.clients.stream import StreamFactory
from rtcd.config import ConfigError
from rtcd.doorway.directory import Listener
from rtcd.stun import channeldata
from rtcd.stun.attributes import (
    CHANNEL_NUMBER,
    DATA,
    LIFETIME,
    XOR_MAPPED_ADDRESS,
    XOR_PEER_ADDRESS,
    XOR_RELAYED_ADDRESS,
    Address,
)
from rtcd.stun.framing import Framer
from rtcd.stun.message import Class, Message, Method, decode, encode
from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import UDP, code_of
from tests.shell.test_turn_service import RANGE, ServiceTestCase
from tests.shell.test_turn_streams import Wire

PORTS: dict[str, Any] = {"listen": ("127.0.0.1",), "port": 0, "tls_port": 0}


class TcpTestCase(ServiceTestCase):
    """A service, one client by TCP, and a peer."""

    def setUp(self) -> None:
        super().setUp()
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.peer.close)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.setblocking(False)
        self.peer_address: Address = self.peer.getsockname()

    def start(self, **options: Any) -> TurnService:
        """A running one, and a connection to it."""
        service = super().start(**{**PORTS, "tcp": True, "allow_loopback_peers": True, **options})
        self.wire, self.connection = self.connect()
        return service

    def connect(self, port: int = 40000) -> tuple[Wire, Any]:
        """A connection to the first TCP listener."""
        peer = IPv4Address("TCP", "192.0.2.7", port)
        connection = self.reactor.tcpServers[0][1].buildProtocol(peer)
        wire = Wire(IPv4Address("TCP", "127.0.0.1", 3478), peer)
        connection.makeConnection(wire)
        return wire, connection

    def frames(self) -> list[bytes]:
        """What the client has got since the last time; whole frames, or it is a fault."""
        framer = Framer()
        data = self.wire.value()
        self.wire.clear()
        framer.receive(encode(Method.BINDING, Class.REQUEST, bytes(12), []) + data)
        found = list(iter(framer.next, None))
        self.assertFalse(framer.partial)
        return found[1:]

    def ask(self, data: bytes) -> Message | None:
        """The answer by TCP, if there is one."""
        self.connection.dataReceived(data)
        found = self.frames()
        return decode(found[-1]) if found else None

    def turn(self) -> None:
        """A turn of the reactor: every socket that is readable is read."""
        for reader in list(self.reactor.readers):
            reader.doRead()

    def allocate(self, channel: int = 0) -> Address:
        """The relayed address; with a channel, or with a permission alone."""
        relayed = self.request(Method.ALLOCATE, UDP).get(XOR_RELAYED_ADDRESS) or ("", 0)
        transaction_id = (next(self._ids) + 2).to_bytes(12, "big")  # what `request` will take
        self._ids = iter(range(int.from_bytes(transaction_id, "big") - 1, 10000))
        peer = XOR_PEER_ADDRESS.encode(self.peer_address, transaction_id)
        if channel:
            answer = self.request(Method.CHANNEL_BIND, CHANNEL_NUMBER.encode(channel), peer)
        else:
            answer = self.request(Method.CREATE_PERMISSION, peer)
        self.assertEqual(code_of(answer), 0)
        return relayed

    def dropped(self, reason: str) -> float:
        """How many datagrams were dropped for this reason."""
        wanted = ("rtcd_turn_dropped_packets_total", (("reason", reason),))
        return float(next(one.value for one in self.context.metrics.samples() if (one.name, one.labels) == wanted))


class Relaying(TcpTestCase):
    def test_a_client_learns_its_address(self) -> None:
        self.start()
        answer = self.ask(encode(Method.BINDING, Class.REQUEST, bytes(12), []))
        assert answer is not None
        self.assertEqual(answer.get(XOR_MAPPED_ADDRESS), ("192.0.2.7", 40000))

    def test_channel_data_passes_both_ways_padded_for_the_client_only(self) -> None:
        """{tcp-relay-and-padding}"""
        self.start()
        relayed = self.allocate(0x4000)
        for data in (b"", b"a", b"hello", b"four", bytes(65000)):
            frame = channeldata.encode(0x4000, data)
            padded = frame + bytes(-len(frame) % 4)
            self.connection.dataReceived(padded[:5])
            self.connection.dataReceived(padded[5:])
            self.assertEqual(self.peer.recv(70000), data)
            self.peer.sendto(data, relayed)
            self.turn()
            self.assertEqual(self.frames(), [padded])

    def test_a_peer_without_channel_comes_in_data_indications(self) -> None:
        self.start()
        relayed = self.allocate()
        self.peer.sendto(b"hello", relayed)
        self.turn()
        message, = map(decode, self.frames())
        self.assertEqual((message.method, message.get(DATA)), (Method.DATA, b"hello"))

    def test_a_flood_of_a_peer_is_read_and_what_the_client_does_not_take_is_dropped_whole(self) -> None:
        """The relay socket is never left alone, and responses still pass."""
        self.start()
        relayed = self.allocate(0x4000)
        self.connection.pauseProducing()
        for _ in range(50):
            self.peer.sendto(b"x" * 999, relayed)
        for _ in range(60):
            self.turn()
        self.assertEqual((self.frames(), self.dropped("slow-client"), self.dropped("send-failed")), ([], 50, 0))
        self.assertEqual(code_of(self.request(Method.REFRESH)), 0)
        self.connection.resumeProducing()
        self.peer.sendto(b"again", relayed)
        self.turn()
        self.assertEqual(len(self.frames()), 1)

    def test_the_allocation_ends_with_its_connection(self) -> None:
        """RFC 8656 §5; the port is free at once."""
        service = self.start()
        relayed = self.allocate()
        self.connection.connectionLost(Failure(connectionDone.value))
        self.assertEqual(len(service._server.allocations) if service._server else None, 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(relayed)

    def test_after_a_refresh_of_zero_the_connection_may_allocate_again_or_is_closed_in_time(self) -> None:
        self.start(handshake_timeout=20.0)
        self.allocate()
        self.reactor.advance(300)
        self.request(Method.REFRESH, LIFETIME.encode(0))
        self.reactor.advance(19)
        self.allocate()
        self.reactor.advance(300)
        self.assertFalse(self.wire.disconnecting)
        self.reactor.advance(320)  # the allocation expires
        self.assertFalse(self.wire.disconnecting)
        self.reactor.advance(20)
        self.assertTrue(self.wire.disconnecting)

    def test_a_relay_is_not_opened_for_a_client_that_is_gone(self) -> None:
        """An answer that took its time, such as of a user looked up elsewhere, may come too late."""
        service = self.start()
        self.connection.connectionLost(Failure(connectionDone.value))
        service.receive(self.signed(), self.connection.five_tuple)
        self.assertEqual(len(service._server.allocations) if service._server else None, 0)

    def signed(self) -> bytes:
        """An Allocate that a second connection could send."""
        sent: list[bytes] = []
        first = self.connection
        self.wire, self.connection = self.connect()

        def ask(data: bytes) -> Message | None:
            sent.append(data)
            return TcpTestCase.ask(self, data)

        self.patch(self, "ask", ask)
        self.request(Method.ALLOCATE, UDP)
        self.connection.connectionLost(Failure(connectionDone.value))
        self.connection = first
        return sent[-1]

    def test_own_stream_listeners_are_refused_as_peers(self) -> None:
        self.start()
        self.request(Method.ALLOCATE, UDP)
        self.context.doorway.directory.opened(Listener("turn", "tcp", "127.0.0.1", self.peer_address[1]))
        transaction_id = (next(self._ids) + 2).to_bytes(12, "big")
        self._ids = iter(range(int.from_bytes(transaction_id, "big") - 1, 10000))
        peer = XOR_PEER_ADDRESS.encode(self.peer_address, transaction_id)
        self.assertEqual(code_of(self.request(Method.CREATE_PERMISSION, peer)), 403)


class Living(TcpTestCase):
    def test_a_reload_keeps_open_connections_and_takes_their_limits_over(self) -> None:
        service = self.start()
        self.allocate()
        new = {**PORTS, "tls": False, "allow_loopback_peers": True, "user": ("u:p",), "unauth_rate": 0.0, **RANGE}
        taken = set(service.reload(service._settings, Settings(**new, max_connections=1, handshake_timeout=5)))
        self.assertEqual(taken, {"max-connections", "handshake-timeout"})
        self.assertEqual(code_of(self.request(Method.REFRESH)), 0)
        self.assertIsNone(self.reactor.tcpServers[0][1].buildProtocol(IPv4Address("TCP", "192.0.2.7", 1)))

    def test_stopping_closes_the_listeners_and_waits_for_connections(self) -> None:
        service = self.start()
        self.allocate()
        done = service.stopService()
        self.assertEqual((self.listeners(), self.wire.disconnecting), ([], True))
        self.assertNoResult(done)
        self.connection.connectionLost(Failure(connectionDone.value))
        self.successResultOf(done)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class Opening(TcpTestCase):
    def test_every_transport_that_is_on_has_a_listener_on_each_address(self) -> None:
        for off, found in (((), ["udp", "tcp", "tls"]), (("udp",), ["tcp", "tls"]), (("udp", "tls"), ["tcp"]),
                           (("tcp",), ["udp", "tls"])):
            options = {**PORTS, **dict.fromkeys(off, False), **RANGE, "stun_only": True}
            service = TurnService(self.context, Settings(**options), ["127.0.0.1"])
            service.privilegedStartService()
            self.assertEqual([one.transport for one in self.listeners()], found)
            self.successResultOf(service.stopService())

    def test_the_https_port_serves_both_names_of_clients(self) -> None:
        """RFC 7443 §3; before the site, which is what a client without ALPN would get by its first bytes alone."""
        TurnService(self.context, Settings(**PORTS), ["127.0.0.1"])
        doorway = self.context.doorway
        self.assertEqual(doorway._alpn(), [b"stun.turn", b"stun.nat-discovery", b"http/1.1"])
        for name in ("stun.turn", "stun.nat-discovery"):
            self.assertIsInstance(doorway._stream(name), StreamFactory)

    def test_relays_are_where_streams_listen_if_nothing_else_does(self) -> None:
        self.start(udp=False)
        self.assertEqual(self.allocate()[0], "127.0.0.1")

    def test_an_inherited_stream_socket_is_tls_at_the_port_of_tls_and_plain_at_any_other(self) -> None:
        for tls, transport in ((False, "tcp"), (True, "tls")):
            inherited = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            inherited.bind(("127.0.0.1", 0))
            inherited.listen()
            port, descriptor = inherited.getsockname()[1], inherited.detach()
            self.patch(os, "environ", {"LISTEN_FDNAMES": ":".join([""] * (descriptor - 3) + ["turn"])})
            settings = Settings(listen=("systemd:name=turn",), tls=tls, tls_port=port, min_port=40000, max_port=65535)
            service = TurnService(self.context, settings, ["127.0.0.1"])
            service.privilegedStartService()
            self.assertEqual(self.listeners()[0], Listener("turn", transport, "127.0.0.1", port))
            self.successResultOf(service.stopService())

    def test_an_inherited_socket_of_a_transport_that_is_off_stops_the_start(self) -> None:
        inherited = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        inherited.bind(("127.0.0.1", 0))
        inherited.listen()
        descriptor = inherited.detach()
        self.patch(os, "environ", {"LISTEN_FDNAMES": ":".join([""] * (descriptor - 3) + ["turn"])})
        service = TurnService(self.context, Settings(listen=("systemd:name=turn",), tcp=False), ["127.0.0.1"])
        error = self.assertRaises(ConfigError, service.privilegedStartService)
        self.assertEqual((error.key, self.listeners()), ("tcp", []))
