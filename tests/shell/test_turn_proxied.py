"""Clients behind a proxy that names them: the header is read, and the connection is theirs."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress

from rtcd.clients.connections import Limits
from rtcd.front import proxied
from rtcd.front.proxied import HEADER_S
from rtcd.stun.attributes import XOR_MAPPED_ADDRESS, Address
from rtcd.stun.message import Class, Method, decode, encode
from tests.shell.test_turn_service import ServiceTestCase
from tests.shell.test_turn_service_streams import PORTS
from tests.shell.test_turn_streams import Wire

BINDING = encode(Method.BINDING, Class.REQUEST, bytes(12))
HEADER = b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 3478\r\n"
PROXY = "192.0.2.10"


class Proxied(ServiceTestCase):
    """A service that believes one proxy."""

    def setUp(self) -> None:
        super().setUp()
        self.service = self.start(**PORTS, tcp=True, proxy_from=(PROXY,))
        self.factory = self.reactor.tcpServers[0][1]

    def connect(self, host: str = PROXY) -> tuple[Any, Any]:
        """A connection from there."""
        peer = IPv4Address("TCP", host, 40000)
        wire: Any = Wire(IPv4Address("TCP", "127.0.0.1", 3478), peer)
        connection = self.factory.buildProtocol(peer)
        wire.protocol = connection
        connection.makeConnection(wire)
        return wire, connection

    def mapped(self, wire: Wire) -> Address | None:
        """The address that the client was told."""
        return decode(wire.value()).get(XOR_MAPPED_ADDRESS)

    def refused(self) -> float:
        """How many were."""
        return float(sum(one.value for one in self.context.metrics.samples()
                   if one.name == "rtcd_turn_refused_connections_total" and ("reason", "proxy") in one.labels))

    def test_the_client_is_whom_the_header_names(self) -> None:
        wire, connection = self.connect()
        connection.dataReceived(HEADER + BINDING)
        self.assertEqual(self.mapped(wire), ("198.51.100.7", 4711))

    def test_the_header_may_come_in_pieces(self) -> None:
        wire, _ = self.connect()
        for index in range(len(HEADER + BINDING)):
            wire.protocol.dataReceived((HEADER + BINDING)[index : index + 1])
        self.assertEqual(self.mapped(wire), ("198.51.100.7", 4711))

    def test_the_proxy_may_speak_for_itself(self) -> None:
        wire, connection = self.connect()
        connection.dataReceived(b"PROXY UNKNOWN\r\n" + BINDING)
        self.assertEqual(self.mapped(wire), (PROXY, 40000))

    def test_a_proxy_without_a_header_is_refused(self) -> None:
        wire, connection = self.connect()
        connection.dataReceived(BINDING)
        self.assertTrue(wire.cut)
        self.assertEqual((wire.value(), self.refused()), (b"", 1))

    def test_nobody_else_is_believed(self) -> None:
        """From elsewhere a header is garbage, and no header is needed."""
        wire, connection = self.connect("192.0.2.11")
        connection.dataReceived(BINDING)
        self.assertEqual(self.mapped(wire), ("192.0.2.11", 40000))
        wire, connection = self.connect("192.0.2.11")
        connection.dataReceived(HEADER + BINDING)
        self.assertEqual(wire.value(), b"")
        self.assertIsNone(self.factory.buildProtocol(UNIXAddress(None)))

    def test_a_header_that_does_not_come_is_not_waited_for(self) -> None:
        wire, _ = self.connect()
        self.reactor.advance(HEADER_S)
        self.assertTrue(wire.cut)
        self.assertEqual((self.refused(), self.factory.waiting), (1, set()))

    def test_so_many_wait_and_no_more(self) -> None:
        self.patch(proxied, "MAX_WAITING", 2)
        first = self.connect()[1]
        self.connect()
        self.assertIsNone(self.factory.buildProtocol(IPv4Address("TCP", PROXY, 1)))
        first.connectionLost()
        self.assertIsNotNone(self.factory.buildProtocol(IPv4Address("TCP", PROXY, 1)))

    def test_limits_are_those_of_the_client(self) -> None:
        """Not of the proxy, whom all have in common."""
        self.service._streams.use(Limits(max_connections_per_ip=1))
        wires = []
        for number in (7, 8, 7):
            wire, connection = self.connect()
            connection.dataReceived(HEADER.replace(b"100.7", b"100.%d" % number) + BINDING)
            wires.append(bool(wire.value()))
        self.assertEqual(wires, [True, True, False])
