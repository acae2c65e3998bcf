"""coturn's client and OpenSSL's command against our server, inside DTLS on loopback, and what a network loses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet import reactor as twisted_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol, ProcessProtocol
from twisted.python.failure import Failure

from rtcd.stun.attributes import XOR_MAPPED_ADDRESS, Address
from rtcd.stun.message import Class, Method, decode, encode
from tests.interop import require_program
from tests.interop.test_turn_coturn import FEW, CoturnTestCase

reactor: Any = twisted_reactor


class DtlsTestCase(CoturnTestCase):
    """DTLS at a port of its own, beside plain UDP."""

    transport = "dtls"

    more: Mapping[str, Any] = {"dtls": True}

    def value(self, name: str) -> float:
        """Of a metric, all labels together."""
        return float(sum(one.value for one in self.context.metrics.samples() if one.name == name))


class Turn(DtlsTestCase):
    async def test_uclient_relays_by_channels(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-S", "-y", "-u", "u", "-w", "p", *FEW))
        self.assertGreaterEqual(self.value("rtcd_turn_dtls_sessions_total"), 2)
        self.assertGreaterEqual(self.relayed("sent"), 10)

    async def test_uclient_relays_by_indications(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-S", "-y", "-s", "-u", "u", "-w", "p", *FEW))
        self.assertGreaterEqual(self.relayed("received"), 10)

    async def test_uclient_with_large_messages(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-S", "-y", "-u", "u", "-w", "p", "-l", "1300", *FEW))

    async def test_many_clients_at_once(self) -> None:
        text = await self.run_program(
            "turnutils_uclient", "-S", "-y", "-c", "-m", "10", "-n", "50", "-z", "5", "-u", "u", "-w", "p")
        self.assertIn("start_mclient: tot_send_msgs=500, tot_recv_msgs=500", text)
        self.assertGreaterEqual(self.value("rtcd_turn_dtls_sessions_total"), 10)

    async def test_plain_udp_is_served_at_the_port_of_dtls_too(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-y", "-u", "u", "-w", "p", *FEW))
        self.assertEqual(self.value("rtcd_turn_dtls_sessions_total"), 0)


class TurnAtThePlainPort(DtlsTestCase):
    transport = "udp"

    async def test_dtls_is_served_at_the_port_of_plain_udp_too(self) -> None:
        """RFC 7983: the first byte tells them apart."""
        self.whole(await self.run_program("turnutils_uclient", "-S", "-y", "-u", "u", "-w", "p", *FEW))
        self.assertGreaterEqual(self.value("rtcd_turn_dtls_sessions_total"), 2)


class Turn6(DtlsTestCase):
    host = "::1"

    async def test_uclient_relays_over_ipv6(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-S", "-y", "-x", "-u", "u", "-w", "p", *FEW))


CLIENT_HELLO, SERVER_HELLO, SESSION_TICKET, KEY_EXCHANGE = 1, 2, 4, 16
"""What the flights of a handshake begin with."""


class LossyRoad(DatagramProtocol):
    """Passes datagrams between clients and a server, but not the first that begins with each of certain messages.

    ``loses``: the types of handshake messages (RFC 5246 §7.4, RFC 6347 §4.3.2).
    """

    transport: Any

    def __init__(self, server: Address, *loses: int) -> None:
        self._server = server
        self._loses = loses
        self._ways: dict[Address, WayBack] = {}
        self.ports: list[Any] = []
        self.lost: set[tuple[Address, int]] = set()

    def datagramReceived(self, datagram: bytes, address: Address) -> None:
        """Of a client."""
        way = self._ways.get(address)
        if way is None:
            way = self._ways[address] = WayBack(
                lambda data: None if self.lose(data, address) else self.transport.write(data, address))
            self.ports.append(reactor.listenUDP(0, way, "127.0.0.1", maxPacketSize=65536))
        if not self.lose(datagram, address):
            way.transport.write(datagram, self._server)

    def lose(self, datagram: bytes, address: Address) -> bool:
        """Whether this is one of those, for the first time; ``address`` is the client's."""
        if datagram[0] != 22 or datagram[3:5] != bytes(2) or datagram[13] not in self._loses:
            return False
        seen = (address, datagram[13]) in self.lost
        self.lost.add((address, datagram[13]))
        return not seen


class WayBack(DatagramProtocol):
    """From the server to one client."""

    transport: Any

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    def datagramReceived(self, datagram: bytes, address: Address) -> None:
        """Of the server."""
        self._receive(datagram)


class TurnBehindLoss(DtlsTestCase):
    async def test_uclient_gets_the_flight_again_that_was_lost(self) -> None:
        """After a second. coturn's client has no clock of its own, so what we can repair is all that may be lost."""
        road = LossyRoad((self.host, self.port), SERVER_HELLO)
        listening = reactor.listenUDP(0, road, self.host, maxPacketSize=65536)
        self.port = listening.getHost().port
        try:
            self.whole(await self.run_program("turnutils_uclient", "-S", "-y", "-u", "u", "-w", "p", *FEW))
        finally:
            for one in [listening, *road.ports]:
                await one.stopListening()
        self.assertGreaterEqual(len(road.lost), 2)
        self.assertGreaterEqual(self.value("rtcd_turn_dtls_sessions_total"), 2)


class Command(ProcessProtocol):
    """A program that is spoken to and listened to."""

    transport: Any

    def __init__(self) -> None:
        self.out = b""
        self.ended: Deferred[None] = Deferred()
        self._until: list[tuple[Callable[[bytes], bool], Deferred[None]]] = []

    def until(self, condition: Callable[[bytes], bool]) -> Deferred[None]:
        """Fires when this holds of what it has said."""
        found: Deferred[None] = Deferred()
        self._until.append((condition, found))
        self.outReceived(b"")
        return found

    def outReceived(self, data: bytes) -> None:
        """Some of it."""
        self.out += data
        waiting, self._until = self._until, []
        for condition, found in waiting:
            if condition(self.out):
                found.callback(None)
            else:
                self._until.append((condition, found))

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        """Whoever still waits for a word is told so."""
        waiting, self._until = self._until, []
        for _, found in waiting:
            found.errback(reason)
        self.ended.callback(None)


class OpenSsl(DtlsTestCase):
    async def test_a_binding_through_s_client_is_answered(self) -> None:
        """OpenSSL of the system, with ALPN, and a goodbye of ours that ends it."""
        await self.bind()

    async def test_s_client_gets_through_where_the_first_of_every_flight_is_lost(self) -> None:
        """Its own and ours, the last one among them, which is sent again because the client sends again."""
        road = LossyRoad((self.host, self.port), CLIENT_HELLO, SERVER_HELLO, KEY_EXCHANGE, SESSION_TICKET)
        listening = reactor.listenUDP(0, road, self.host, maxPacketSize=65536)
        self.port = listening.getHost().port
        try:
            await self.bind()
        finally:
            for one in [listening, *road.ports]:
                await one.stopListening()
        self.assertEqual(len(road.lost), 4)

    async def bind(self) -> None:
        """Complete a handshake, get an answer, and end by our goodbye."""
        program = require_program("openssl")
        command = Command()
        reactor.spawnProcess(command, program, [
            program, "s_client", "-dtls1_2", "-connect", f"{self.host}:{self.port}", "-alpn", "stun.turn", "-brief",
            "-ign_eof"], env=None, childFDs={0: "w", 1: "r", 2: "r"})
        try:
            await command.until(lambda out: b"ESTABLISHED" in out)
            start = len(command.out)
            command.transport.write(encode(Method.BINDING, Class.REQUEST, bytes(12), []))
            await command.until(lambda out: b"\x01\x01\0\x0c\x21\x12" in out[start:])
            answer = decode(command.out[command.out.index(b"\x01\x01\0\x0c\x21\x12") :][:32])
            self.assertEqual((answer.get(XOR_MAPPED_ADDRESS) or ("",))[0], self.host)
            self.assertIn(b"DTLSv1.2", command.out)
            await self.service.stopService()
        except BaseException:
            command.transport.signalProcess("KILL")
            raise
        finally:
            await command.ended
