"""TCP relays on real loopback sockets: who is let in, what is passed on, and what is left when it ends."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as twisted_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from rtcd.allocations.addresses import Ports
from rtcd.allocations.allocation import TCP, Allocation, FiveTuple, Traffic
from rtcd.allocations.meter import Meter
from rtcd.plane.pipe import EARLY_BYTES, End
from rtcd.plane.tcp import TcpRelays
from rtcd.stun.attributes import Address, Family

reactor: Any = twisted_reactor
CONTROL = FiveTuple("tcp", ("192.0.2.9", 5000), ("198.51.100.1", 3478))
DATA = FiveTuple("tcp", ("192.0.2.9", 5001), ("198.51.100.1", 3478))


@implementer(IHalfCloseableProtocol)
class Talker(Protocol):
    """A peer, or what a client's data connection is: remembers what it is told."""

    transport: Any

    def __init__(self) -> None:
        self.got = bytearray()
        self.ended = self.closed = False
        self._until: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def dataReceived(self, data: bytes) -> None:
        self.got += data
        self._look()

    def readConnectionLost(self) -> None:
        self.ended = True
        self._look()

    def writeConnectionLost(self) -> None:
        """It has said all."""

    def connectionLost(self, reason: Any = None) -> None:
        self.closed = True
        self._look()

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Fires when this holds."""
        result: Deferred[None] = Deferred()
        self._until.append((condition, result))
        self._look()
        return result

    def _look(self) -> None:
        waiting, self._until = self._until, []
        for condition, result in waiting:
            if condition():
                result.callback(None)
            else:
                self._until.append((condition, result))


class Told:
    """In the place of the rules."""

    def __init__(self) -> None:
        self.refuses = False
        self.events: list[tuple[str, Any]] = []
        self.waiting: dict[str, Deferred[Any]] = {}

    def on(self, what: str) -> Deferred[Any]:
        """Fires with the next such event."""
        result: Deferred[Any] = Deferred()
        self.waiting[what] = result
        return result

    def _tell(self, what: str, about: Any) -> None:
        self.events.append((what, about))
        if what in self.waiting:
            self.waiting.pop(what).callback(about)

    def connected(self, number: int) -> None:
        self._tell("connected", number)

    def failed(self, number: int) -> None:
        self._tell("failed", number)

    def attempted(self, allocation: Allocation, peer: Address) -> int | None:
        number = None if self.refuses else 77
        self._tell("attempted", (number, peer))
        return number

    def lost(self, number: int) -> None:
        self._tell("lost", number)


def telling(act: Callable[[], None], told: Deferred[None]) -> Callable[[], None]:
    """The same, which also fires the Deferred, once."""

    def telling_act() -> None:
        act()
        if not told.called:
            told.callback(None)

    return telling_act


class Relays(TestCase):
    """One allocation with a TCP relay, and peers."""

    host = "127.0.0.1"
    family = Family.IPV4

    def setUp(self) -> None:
        self.told = Told()
        self.streams: dict[FiveTuple, End] = {}
        self.plane = TcpRelays(
            reactor, lambda: Ports(range(49152, 65536), secrets.randbelow), self.told, self.become)
        self.allocation = Allocation(CONTROL, "u", "u", b"", "", bytes(12), transport=TCP)
        self.relayed = self.plane.open(self.allocation, self.host)
        self.addCleanup(self.plane.stop)
        self.peers: list[Talker] = []
        self.came: Deferred[Talker] = Deferred()
        self.sources: list[Address] = []
        self.listening: Any = reactor.listenTCP(0, Factory.forProtocol(self.accept), interface=self.host)
        self.addCleanup(self.listening.stopListening)
        self.addCleanup(self.finish)

    async def finish(self) -> None:
        """No connection is left open."""
        self.plane.stop()
        for one in self.peers:
            if one.transport is not None and not one.closed:
                one.transport.abortConnection()
                await one.until(lambda one=one: one.closed)  # type: ignore[misc] # bound now

    def accept(self) -> Talker:
        peer = Talker()
        self.peers.append(peer)
        reactor.callLater(0, lambda: self.came.callback(peer) if not self.came.called else None)
        return peer

    def become(self, five_tuple: FiveTuple, end: End) -> bool:
        self.streams[five_tuple] = end
        return five_tuple == DATA

    async def connect_peer(self) -> Talker:
        """A peer that connects to the relay."""
        peer = Talker()
        self.peers.append(peer)
        found = await HostnameEndpoint(reactor, self.host, self.relayed[1]).connect(Factory.forProtocol(lambda: peer))
        assert found is peer
        return peer

    async def client(self) -> Talker:
        """The client's end of its data connection: a real socket on its other side."""
        end = self.streams[DATA]
        accepted: Deferred[None] = Deferred()

        def build() -> End:
            reactor.callLater(0, accepted.callback, None)
            return end

        port = reactor.listenTCP(0, Factory.forProtocol(build), interface=self.host)
        client = Talker()
        self.peers.append(client)
        await HostnameEndpoint(reactor, self.host, port.getHost().port).connect(Factory.forProtocol(lambda: client))
        await accepted
        await port.stopListening()
        return client

    async def joined(self) -> tuple[Talker, Talker]:
        """Client and peer with a connection of the client's making."""
        told = self.told.on("connected")
        self.plane.connect(5, self.allocation, (self.host, self.listening.getHost().port))
        await told
        peer = await self.came
        self.assertTrue(self.plane.bind(5, DATA))
        return await self.client(), peer

    async def test_a_connection_leaves_from_the_relayed_transport_address(self) -> None:
        """RFC 6062 §5.2: so that the peer sees the address it was told."""
        _, peer = await self.joined()
        seen = peer.transport.getPeer()
        self.assertEqual((seen.host, seen.port), self.relayed)

    def test_a_port_that_another_daemon_has_is_not_shared_with_it(self) -> None:
        """Though it may be of the same user: the system would give each of them some of the peers."""
        port = self.relayed[1]
        other = TcpRelays(reactor, lambda: Ports(range(port, port + 1), secrets.randbelow), self.told, self.become)
        self.addCleanup(other.stop)
        allocation = Allocation(CONTROL, "u", "u", b"", "", bytes(12), transport=TCP)
        self.assertRaises(OSError, other.open, allocation, self.host)

    async def test_a_port_can_be_had_again_though_connections_of_it_linger(self) -> None:
        """The system keeps one for a minute after its end, at the side that closed first."""
        client, peer = await self.joined()
        self.plane.close(self.allocation)
        await client.until(lambda: client.closed)
        await peer.until(lambda: peer.closed)
        port = self.relayed[1]
        again = TcpRelays(reactor, lambda: Ports(range(port, port + 1), secrets.randbelow), self.told, self.become)
        self.addCleanup(again.stop)
        allocation = Allocation(CONTROL, "u", "u", b"", "", bytes(12), transport=TCP)
        self.assertEqual(again.open(allocation, self.host), self.relayed)

    async def test_bytes_pass_both_ways_unaltered(self) -> None:
        client, peer = await self.joined()
        up, down = secrets.token_bytes(300_000), secrets.token_bytes(300_000)
        client.transport.write(up)
        peer.transport.write(down)
        await peer.until(lambda: len(peer.got) == len(up))
        await client.until(lambda: len(client.got) == len(down))
        self.assertEqual((bytes(peer.got), bytes(client.got)), (up, down))
        self.assertEqual(self.plane.close(self.allocation), Traffic(0, 300_000, 0, 300_000))

    async def test_a_refusal_is_told(self) -> None:
        port = self.listening.getHost().port
        await self.listening.stopListening()
        told = self.told.on("failed")
        self.plane.connect(5, self.allocation, (self.host, port))
        self.assertEqual(await told, 5)

    async def test_a_peer_that_may_not_come_is_closed_at_once(self) -> None:
        self.told.refuses = True
        peer = await self.connect_peer()
        await peer.until(lambda: peer.closed or peer.ended)

    async def test_what_a_peer_sends_early_waits_for_the_client(self) -> None:
        told = self.told.on("attempted")
        peer = await self.connect_peer()
        peer.transport.write(b"early")
        number, seen = await told
        here = peer.transport.getHost()
        self.assertEqual((number, seen), (77, (here.host, here.port)))
        self.assertTrue(self.plane.bind(77, DATA))
        client = await self.client()
        await client.until(lambda: client.got == b"early")

    async def test_a_peer_is_not_read_beyond_what_may_wait(self) -> None:
        """The rest stays in the sockets, and comes when the client has bound."""
        told = self.told.on("attempted")
        peer = await self.connect_peer()
        await told
        total = 8_000_000
        peer.transport.write(bytes(total))
        end = self.plane._links[77].ends[0]
        stopped: Deferred[None] = Deferred()
        pause = end.transport.pauseProducing
        end.transport.pauseProducing = telling(pause, stopped)
        await stopped
        self.assertLess(end.received_bytes, EARLY_BYTES * 3)
        self.assertTrue(self.plane.bind(77, DATA))
        client = await self.client()
        await client.until(lambda: len(client.got) == total)

    async def test_a_client_that_does_not_read_stops_the_peer(self) -> None:
        """Backpressure, and nothing kept without bound in between."""
        client, peer = await self.joined()
        client.transport.pauseProducing()
        end = self.plane._links[5].ends[0]
        stopped: Deferred[None] = Deferred()
        pause = end.pauseProducing
        end.pauseProducing = telling(pause, stopped)  # type: ignore[method-assign] # a spy
        total = 32_000_000
        peer.transport.write(bytes(total))
        await stopped
        self.assertLess(end.received_bytes, total)
        client.transport.resumeProducing()
        await client.until(lambda: len(client.got) == total)

    async def test_an_end_of_input_is_passed_on_and_the_other_way_stays_open(self) -> None:
        """Half-close, in both directions."""
        client, peer = await self.joined()
        client.transport.write(b"question")
        client.transport.loseWriteConnection()
        await peer.until(lambda: peer.ended)
        self.assertEqual(peer.got, b"question")
        peer.transport.write(b"answer")
        peer.transport.loseWriteConnection()
        await client.until(lambda: client.ended or client.closed)
        self.assertEqual(client.got, b"answer")

    async def test_a_peer_that_closes_closes_the_client_and_is_forgotten(self) -> None:
        client, peer = await self.joined()
        told = self.told.on("lost")
        peer.transport.abortConnection()
        await client.until(lambda: client.closed or client.ended)
        self.assertEqual((await told, self.plane._links), (5, {}))

    async def test_a_client_that_closes_closes_the_peer(self) -> None:
        client, peer = await self.joined()
        told = self.told.on("lost")
        client.transport.abortConnection()
        await peer.until(lambda: peer.closed or peer.ended)
        await told

    async def test_everything_ends_with_the_allocation(self) -> None:
        client, peer = await self.joined()
        self.plane.close(self.allocation)
        await client.until(lambda: client.closed or client.ended)
        await peer.until(lambda: peer.closed or peer.ended)
        self.assertEqual((self.plane._links, self.plane._relays), ({}, {}))
        self.assertEqual(self.told.events, [("connected", 5)])

    async def test_what_is_dropped_while_it_connects_is_not_told(self) -> None:
        self.plane.connect(5, self.allocation, (self.host, self.listening.getHost().port))
        self.plane.drop(5)
        self.assertEqual((self.plane._links, self.told.events), ({}, []))

    async def test_only_what_waits_can_be_bound(self) -> None:
        self.assertFalse(self.plane.bind(4, DATA))
        await self.joined()
        self.assertFalse(self.plane.bind(5, DATA))

    async def test_a_stream_that_is_gone_leaves_the_connection_waiting(self) -> None:
        told = self.told.on("connected")
        self.plane.connect(5, self.allocation, (self.host, self.listening.getHost().port))
        await told
        self.assertFalse(self.plane.bind(5, CONTROL))
        self.assertTrue(self.plane.bind(5, DATA))
        await self.client()

    async def test_a_rate_stops_the_reading_and_loses_nothing(self) -> None:
        """Streams are slowed down, not cut."""
        self.allocation.upward = (Meter(4_000_000),)
        client, peer = await self.joined()
        start = reactor.seconds()
        client.transport.write(bytes(5_000_000))
        await peer.until(lambda: len(peer.got) == 5_000_000)
        self.assertGreater(reactor.seconds() - start, 0.1)


class Relays6(Relays):
    """The same over IPv6."""

    host = "::1"
    family = Family.IPV6


class AbortedTooLate(StringTransport):
    """As the transport of TLS is: whose connection is gone cannot be ended once more."""

    def abortConnection(self) -> None:
        raise AttributeError("'NoneType' object has no attribute 'shutdown'")

    loseConnection = abortConnection


class ClosedEnds(SynchronousTestCase):
    def test_an_end_that_is_closed_is_not_closed_again(self) -> None:
        """A client that dies closes data connection and control connection in one turn: the allocation then drops a
        connection of which one end is gone already."""
        clock, lost = Clock(), list[End]()
        end = End(clock, (), lost.append)
        end.makeConnection(AbortedTooLate())
        end.connectionLost()
        end.close()
        end.abort()
        self.assertEqual((lost, clock.getDelayedCalls()), ([end], []))
