"""The STUN client: what it believes, when it asks again, when it gives up."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from rtcd.outside.reflexive import TRIES, Binding, reflexive_host
from rtcd.stun.attributes import ERROR_CODE, XOR_MAPPED_ADDRESS, Address
from rtcd.stun.message import Class, Method, decode, encode

SERVER: Address = ("192.0.2.1", 3478)
ID = b"abcdefghijkl"


class Transport:
    """Remembers datagrams, or cannot send them."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Address]] = []
        self.fault: OSError | None = None

    def write(self, data: bytes, addr: Address) -> None:
        """As a UDP port does."""
        self.sent.append((data, addr))
        if self.fault is not None:
            raise self.fault


def success(host: str = "8.8.8.8", transaction_id: bytes = ID) -> bytes:
    """The answer of a server."""
    return encode(Method.BINDING, Class.SUCCESS, transaction_id, [XOR_MAPPED_ADDRESS.encode((host, 5000), transaction_id)])


class Transaction(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.transport: Any = Transport()
        self.binding = Binding(self.clock, SERVER, ID)
        self.binding.transport = cast(Any, self.transport)

    def begin(self) -> None:
        """The socket opens."""
        self.binding.startProtocol()

    def test_the_answer_of_the_server_is_believed(self) -> None:
        self.begin()
        self.assertEqual([(decode(data).method, to) for data, to in self.transport.sent], [(Method.BINDING, SERVER)])
        self.binding.datagramReceived(success(), SERVER)
        self.assertEqual((self.successResultOf(self.binding.host), self.clock.getDelayedCalls()), ("8.8.8.8", []))
        self.binding.datagramReceived(success("8.8.8.9"), SERVER)

    def test_what_comes_from_elsewhere_or_for_another_request_is_not(self) -> None:
        self.begin()
        for data, source in ((success(), ("192.0.2.2", 3478)), (success(), ("192.0.2.1", 3479)), (b"", SERVER),
                             (bytes(500), SERVER), (success(transaction_id=b"mnopqrstuvwx"), SERVER), (
                                 encode(Method.BINDING, Class.SUCCESS, ID), SERVER)):
            self.binding.datagramReceived(data, source)
        self.assertNoResult(self.binding.host)
        self.binding.datagramReceived(success(), SERVER)
        self.assertEqual(self.successResultOf(self.binding.host), "8.8.8.8")

    def test_a_request_is_sent_again_after_twice_the_time(self) -> None:
        """RFC 8489 §6.2.1, with fewer tries; each of them is the same transaction."""
        self.begin()
        moments = []
        while self.binding._timer is not None:
            moments.append(self.clock.seconds())
            self.clock.advance(self.binding._timer.getTime() - self.clock.seconds())
        self.assertEqual(moments, [0, 0.5, 1.5, 3.5])
        self.assertEqual((self.clock.seconds(), len(self.transport.sent), TRIES), (7.5, 4, 4))
        self.assertEqual(len(set(self.transport.sent)), 1)
        self.assertEqual(self.successResultOf(self.binding.host), "")
        self.binding.datagramReceived(success(), SERVER)

    def test_a_refusal_ends_it_at_once(self) -> None:
        self.begin()
        self.binding.datagramReceived(encode(Method.BINDING, Class.ERROR, ID, [ERROR_CODE.encode((500, "No"))]), SERVER)
        self.assertEqual((self.successResultOf(self.binding.host), self.clock.getDelayedCalls()), ("", []))

    def test_a_network_that_is_down_may_be_up_at_the_next_try(self) -> None:
        self.transport.fault = OSError(101, "unreachable")
        self.begin()
        self.transport.fault = None
        self.clock.advance(0.5)
        self.binding.datagramReceived(success(), SERVER)
        self.assertEqual(self.successResultOf(self.binding.host), "8.8.8.8")

    def test_giving_up_stops_the_timer(self) -> None:
        self.begin()
        self.binding.host.cancel()
        self.failureResultOf(self.binding.host, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class StandIn(DatagramProtocol):
    """A STUN server that drops the first ``deaf`` requests, and sees clients at 8.8.8.8."""

    noisy = False

    def __init__(self, deaf: int = 0) -> None:
        self.deaf = deaf
        self.clients: list[Address] = []
        self.arrived: Deferred[None] = Deferred()

    def datagramReceived(self, data: bytes, addr: Any) -> None:
        """Answer."""
        self.clients.append(addr)
        if len(self.clients) > self.deaf:
            assert self.transport is not None
            self.transport.write(success(transaction_id=decode(data).transaction_id), addr)
        elif not self.arrived.called:
            self.arrived.callback(None)


class OverLoopback(TestCase):
    timeout = 30

    def serve(self, deaf: int = 0) -> tuple[StandIn, Address]:
        """A server and where it is."""
        stand_in = StandIn(deaf)
        port: Any = cast(Any, reactor).listenUDP(0, stand_in, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return stand_in, ("127.0.0.1", port.getHost().port)

    async def test_the_relay_address_asks(self) -> None:
        """From the very address that it is about; a lost packet is sent again."""
        stand_in, server = self.serve(deaf=1)
        self.assertEqual(await reflexive_host(reactor, "127.0.0.2", server), "8.8.8.8")
        self.assertEqual([host for host, _ in stand_in.clients], ["127.0.0.2"] * 2)

    async def test_an_address_that_is_not_ours_asks_nobody(self) -> None:
        stand_in, server = self.serve()
        self.assertEqual(await reflexive_host(reactor, "192.0.2.99", server), "")
        self.assertEqual(stand_in.clients, [])

    async def test_giving_up_closes_the_socket(self) -> None:
        stand_in, server = self.serve(deaf=9)
        waiting = Deferred.fromCoroutine(reflexive_host(reactor, "127.0.0.1", server))
        await stand_in.arrived
        waiting.cancel()
        await self.assertFailure(waiting, CancelledError)
