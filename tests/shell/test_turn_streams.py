"""Clients by TCP and TLS, in memory: framing, clocks, bounds, queues, and what becomes of a connection."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer, providedBy
from zope.interface.verify import verifyObject

from rtcd.allocations.allocation import FiveTuple
from rtcd.clients import streams as module
from rtcd.clients.connections import FRAME_S, HANDSHAKE_S, LINGER_S, Limits
from rtcd.clients.stream import MAX_QUEUED_BYTES, MAX_UNREAD_BYTES, StreamConnection, StreamFactory, TlsStreamFactory
from rtcd.clients.streams import CLOSE_GRACE_S, Streams
from rtcd.doorway.settings import DoorwaySettings
from rtcd.interfaces import IClientPath
from rtcd.metrics import Metrics
from rtcd.stun import channeldata
from rtcd.stun.attributes import DATA
from rtcd.stun.message import Class, Method, encode
from tests.fakes import Dialled, dial, make_doorway

BINDING = encode(Method.BINDING, Class.REQUEST, bytes(12), [])
ANSWER = encode(Method.BINDING, Class.SUCCESS, bytes(12), [])
LARGE = encode(Method.SEND, Class.INDICATION, bytes(12), [DATA.encode(bytes(1000))])
CHANNEL = channeldata.encode(0x4000, b"hello") + bytes(3)
SERVER = IPv4Address("TCP", "192.0.2.1", 3478)


class Wire(StringTransport):
    """A TCP connection whose other end is the test."""

    no_delay = cut = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Remember it."""
        self.no_delay = enabled

    def abortConnection(self) -> None:
        """Remember it."""
        self.cut = True

    def loseConnection(self) -> None:
        """As a real one: nothing is closed as long as somebody would still write."""
        self.disconnecting = self.producer is None

    def unregisterProducer(self) -> None:
        """As a real one: harmless if there is none."""
        self.producer = None


class Plane:
    """What streams use of a relay plane, and what they tell."""

    def __init__(self) -> None:
        self.paths: dict[FiveTuple, Any] = {}
        self.channels: list[tuple[bytes, FiveTuple]] = []

    def attach(self, five_tuple: FiveTuple, path: Any) -> None:
        """Remember it."""
        self.paths[five_tuple] = path

    def detach(self, five_tuple: FiveTuple) -> None:
        """Forget it; it must be there."""
        del self.paths[five_tuple]

    def channel_data(self, data: bytes, five_tuple: FiveTuple) -> None:
        """Remember it."""
        self.channels.append((data, five_tuple))


class StreamsTestCase(SynchronousTestCase):
    """A table on a fake clock; every message is answered with `ANSWER`, if ``answers`` is on."""

    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        self.metrics = Metrics()
        self.plane = Plane()
        self.messages: list[tuple[bytes, FiveTuple]] = []
        self.allocations: set[FiveTuple] = set()
        self.closed: list[FiveTuple] = []
        self.answers = True
        self.streams = self.make()
        self._ports = iter(range(40000, 60000))

    def make(self, **limits: Any) -> Streams:
        """Another table."""
        found = Streams(self.clock, Limits(**limits), self.metrics, self.receive, self.allocations.__contains__,
                        self.closed.append)
        plane: Any = self.plane
        found.start(plane)
        return found

    def receive(self, data: bytes, five_tuple: FiveTuple) -> None:
        """As the service does it."""
        self.messages.append((data, five_tuple))
        if self.answers:
            self.plane.paths[five_tuple].respond(ANSWER)

    def allocate(self, one: StreamConnection, there: bool = True) -> None:
        """An allocation came or went."""
        (self.allocations.add if there else self.allocations.discard)(one.five_tuple)
        self.streams.allocation_changed(one.five_tuple)

    def connect(self, host: str = "192.0.2.7", factory: Any = None) -> tuple[Any, Wire]:
        """A connection by TCP; a refusal is a ConnectionRefusedError."""
        kind = IPv6Address if ":" in host else IPv4Address
        peer = kind("TCP", host, next(self._ports))
        one = (factory or StreamFactory(self.streams, "tcp")).buildProtocol(peer)
        if one is None:
            raise ConnectionRefusedError
        wire = Wire(SERVER, peer)
        directlyProvides(wire, providedBy(wire), ITCPTransport)
        one.makeConnection(wire)
        return one, wire

    def lose(self, one: StreamConnection) -> None:
        """The other end is gone."""
        one.connectionLost(Failure(connectionDone.value))

    def count(self, reason: str) -> float:
        """Connections refused or closed for this reason."""
        wanted = ("rtcd_turn_refused_connections_total", (("reason", reason),))
        return next(one.value for one in self.metrics.samples() if (one.name, one.labels) == wanted)

    def open_now(self) -> float:
        """The gauge."""
        return next(one.value for one in self.metrics.samples() if one.name == "rtcd_turn_connections_open")


class Frames(StreamsTestCase):
    def test_a_connection_is_what_the_plane_and_the_transport_expect(self) -> None:
        one, wire = self.connect()
        verifyObject(IClientPath, one)
        verifyObject(IPushProducer, one)
        self.assertTrue(wire.no_delay)
        self.assertEqual((wire.producer, wire.streaming), (one, True))
        self.assertEqual(self.plane.paths, {FiveTuple("tcp", ("192.0.2.7", 40000), ("192.0.2.1", 3478)): one})

    def test_messages_and_channel_data_go_where_they_belong_however_they_are_cut(self) -> None:
        """{tcp-split}, {tcp-merged}"""
        stream = BINDING + CHANNEL + LARGE + CHANNEL
        for step in (1, 3, 7, len(stream)):
            self.messages.clear()
            self.plane.channels.clear()
            one, wire = self.connect()
            for at in range(0, len(stream), step):
                one.dataReceived(stream[at : at + step])
            self.assertEqual(self.messages, [(BINDING, one.five_tuple), (LARGE, one.five_tuple)])
            self.assertEqual(self.plane.channels, [(CHANNEL, one.five_tuple)] * 2)
            self.assertEqual(wire.value(), ANSWER * 2)

    def test_ipv4_that_came_to_an_ipv6_socket_is_ipv4(self) -> None:
        one = StreamFactory(self.streams, "tcp").buildProtocol(IPv6Address("TCP", "::ffff:192.0.2.7", 5))
        assert one is not None
        one.makeConnection(StringTransport(IPv6Address("TCP", "::ffff:192.0.2.1", 3478),
                                           IPv6Address("TCP", "::ffff:192.0.2.7", 5)))
        self.assertEqual(one.five_tuple, FiveTuple("tcp", ("192.0.2.7", 5), ("192.0.2.1", 3478)))

    def test_garbage_closes_and_what_was_answered_before_goes_out(self) -> None:
        for garbage in (b"\x80", b"\x16\x03\x01", BINDING[:4] + b"\0\0\0\0"):
            one, wire = self.connect()
            one.dataReceived(BINDING + BINDING + garbage + BINDING)
            self.assertEqual((wire.value(), wire.disconnecting, wire.cut), (ANSWER * 2, True, False))
            one.dataReceived(BINDING)
            self.assertEqual(wire.value(), ANSWER * 2)
        self.assertEqual(self.count("garbage"), 3)

    def test_a_web_browser_is_sent_away_at_its_first_byte(self) -> None:
        """An unallocated connection cannot begin with ChannelData, which G of GET would be."""
        one, wire = self.connect()
        one.dataReceived(b"G")
        self.assertTrue(wire.disconnecting)

    def test_a_connection_that_ends_is_detached_and_told_once(self) -> None:
        one, _ = self.connect()
        one.dataReceived(b"\x80")
        self.assertEqual((self.plane.paths, self.closed), ({}, [one.five_tuple]))
        self.lose(one)
        self.assertEqual((self.closed, self.open_now()), ([one.five_tuple], 0))
        self.assertEqual((one.deliver(CHANNEL), one.respond(ANSWER)), (False, None))

    def test_a_connection_is_found_by_its_five_tuple(self) -> None:
        one, _ = self.connect()
        self.assertIs(self.streams.connection(one.five_tuple), one)
        self.lose(one)
        self.assertIsNone(self.streams.connection(one.five_tuple))


class Clocks(StreamsTestCase):
    def test_a_connection_without_allocation_is_closed_after_a_while(self) -> None:
        one, wire = self.connect()
        for _ in range(59):
            self.clock.advance(1)
            one.dataReceived(BINDING)
        self.assertFalse(wire.disconnecting)
        self.clock.advance(1)
        self.assertEqual((wire.disconnecting, self.count("no-allocation")), (True, 1))

    def test_the_clock_stops_while_there_is_an_allocation_and_runs_again_after_it(self) -> None:
        one, wire = self.connect()
        self.allocate(one)
        self.clock.advance(10000)
        self.assertFalse(wire.disconnecting)
        self.allocate(one, False)
        self.clock.advance(59)
        self.assertFalse(wire.disconnecting)
        self.clock.advance(1)
        self.assertTrue(wire.disconnecting)

    def test_a_frame_has_to_be_complete_in_time(self) -> None:
        """{tcp-slow-frame}: also with an allocation, and also if a byte comes now and then."""
        one, wire = self.connect()
        self.allocate(one)
        for index in range(10):
            self.assertFalse(wire.disconnecting)
            one.dataReceived(BINDING[index : index + 1])
            self.clock.advance(FRAME_S / 10)
        self.assertEqual((wire.disconnecting, self.count("slow-frame")), (True, 1))

    def test_each_frame_has_a_time_of_its_own(self) -> None:
        one, wire = self.connect()
        self.allocate(one)
        one.dataReceived(BINDING[:10])
        for _ in range(20):
            self.clock.advance(FRAME_S - 1)
            one.dataReceived(BINDING[10:] + BINDING[:10])
        self.clock.advance(FRAME_S - 1)
        one.dataReceived(BINDING[10:])
        self.clock.advance(1000)
        self.assertEqual((wire.disconnecting, len(self.messages)), (False, 21))

    def test_who_does_not_take_the_last_bytes_is_cut(self) -> None:
        one, wire = self.connect()
        one.dataReceived(BINDING + b"\x80")
        self.clock.advance(LINGER_S - 1)
        self.assertFalse(wire.cut)
        self.clock.advance(1)
        self.assertTrue(wire.cut)

    def test_idle_connections_share_one_delayed_call(self) -> None:
        """{tcp-idle-connections}"""
        wires = [self.connect(f"192.0.2.{index}")[1] for index in range(100)]
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(60)
        self.assertEqual([one.disconnecting for one in wires], [True] * 100)

    def test_no_delayed_call_outlives_the_connections(self) -> None:
        found = [self.connect()[0] for _ in range(3)]
        found[0].dataReceived(BINDING[:4])
        for one in found:
            self.lose(one)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_shorter_time_holds_at_once(self) -> None:
        _, wire = self.connect()
        self.clock.advance(20)
        self.streams.use(Limits(handshake_timeout=15))
        self.clock.advance(0)
        self.assertTrue(wire.disconnecting)


class Bounds(StreamsTestCase):
    def test_one_more_than_there_may_be_in_all_is_refused(self) -> None:
        self.streams = self.make(max_connections=2)
        found = [self.connect(f"192.0.2.{index}")[0] for index in range(2)]
        self.assertRaises(ConnectionRefusedError, self.connect)
        self.assertEqual((self.count("total"), self.open_now()), (1, 2))
        self.lose(found[0])
        self.connect()

    def test_one_more_than_there_may_be_of_an_address_is_refused(self) -> None:
        """IPv6 counts by /56."""
        self.streams = self.make(max_connections_per_ip=2)
        for first, second, other in (("192.0.2.7", "192.0.2.7", "192.0.2.8"),
                                     ("2001:db8:1:1::1", "2001:db8:1:2::9", "2001:db8:1:100::1")):
            one, _ = self.connect(first)
            self.connect(second)
            self.assertRaises(ConnectionRefusedError, self.connect, first)
            self.connect(other)
            self.lose(one)
            self.connect(first)
        self.assertEqual(self.count("address"), 2)

    def test_loopback_where_proxies_are_is_not_counted(self) -> None:
        self.streams = self.make(max_connections_per_ip=1)
        for host in ("127.0.0.1", "127.0.0.1", "::1", "::1", "::ffff:127.0.0.1"):
            self.connect(host)

    def test_tighter_limits_close_nobody_and_let_nobody_in(self) -> None:
        _, wire = self.connect()
        self.streams.use(Limits(max_connections=1))
        self.assertRaises(ConnectionRefusedError, self.connect)
        self.assertFalse(wire.disconnecting or wire.cut)

    def test_who_has_no_address_is_refused(self) -> None:
        self.assertIsNone(StreamFactory(self.streams, "tls").buildProtocol(UNIXAddress("/x")))

    def test_nobody_is_let_in_before_the_start_and_after_the_end(self) -> None:
        self.streams.stop()
        self.assertRaises(ConnectionRefusedError, self.connect)

    def test_stopping_waits_for_those_who_take_their_last_bytes(self) -> None:
        one, wire = self.connect()
        _, slow = self.connect()
        done = self.streams.stop()
        self.assertEqual((wire.disconnecting, slow.disconnecting), (True, True))
        self.lose(one)
        self.assertNoResult(done)
        self.clock.advance(CLOSE_GRACE_S)
        self.assertEqual((wire.cut, slow.cut), (False, True))
        self.lose(_)
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_with_nobody_there_is_done_at_once(self) -> None:
        self.assertIsNone(self.successResultOf(self.streams.stop()))


class Queues(StreamsTestCase):
    def test_relayed_frames_are_dropped_whole_while_the_client_does_not_read(self) -> None:
        one, wire = self.connect()
        self.assertTrue(one.deliver(memoryview(CHANNEL)))
        one.pauseProducing()
        self.assertFalse(one.deliver(CHANNEL))
        one.respond(ANSWER)
        one.resumeProducing()
        self.assertTrue(one.deliver(CHANNEL))
        self.assertEqual(wire.value(), CHANNEL + ANSWER + CHANNEL)

    def test_what_is_delivered_is_a_copy(self) -> None:
        """The plane uses its buffer again."""
        one, wire = self.connect()
        buffer = bytearray(CHANNEL)
        one.deliver(memoryview(buffer))
        buffer[:] = bytes(len(buffer))
        self.assertEqual(wire.value(), CHANNEL)

    def test_who_is_owed_too_many_responses_is_not_read_from_until_they_are_out(self) -> None:
        one, wire = self.connect()
        one.pauseProducing()
        most = MAX_QUEUED_BYTES // len(ANSWER)
        for _ in range(most):
            one.dataReceived(BINDING)
        self.assertEqual(wire.producerState, "producing")
        one.dataReceived(BINDING * 5)
        self.assertEqual((wire.producerState, len(self.messages)), ("paused", most + 1))
        one.resumeProducing()
        self.assertEqual((wire.producerState, len(self.messages)), ("producing", most + 5))

    def test_who_does_not_read_what_he_has_not_asked_for_either_is_cut(self) -> None:
        """Not to read from him stops no ConnectionAttempts, which his peers cause; whatever they do, he keeps no memory."""
        one, wire = self.connect()
        one.pauseProducing()
        while one._queued + len(ANSWER) <= MAX_UNREAD_BYTES:
            one.respond(ANSWER)
        self.assertFalse(wire.cut)
        one.respond(ANSWER)
        self.assertTrue(wire.cut)
        size = len(wire.value())
        one.respond(ANSWER)
        self.assertEqual(len(wire.value()), size)
        self.assertEqual(self.count("unread"), 1)
        self.lose(one)

    def test_bytes_that_wait_for_us_are_no_slow_frame(self) -> None:
        one, wire = self.connect()
        self.allocate(one)
        one.dataReceived(BINDING[:10])
        one.pauseProducing()
        one.respond(bytes(MAX_QUEUED_BYTES + 1))
        one.dataReceived(BINDING[10:] + BINDING[:10])
        self.clock.advance(2 * FRAME_S)
        self.assertFalse(wire.disconnecting)
        one.resumeProducing()
        self.clock.advance(FRAME_S - 1)
        self.assertFalse(wire.disconnecting)
        self.clock.advance(1)
        self.assertTrue(wire.disconnecting)

    def test_closing_reads_again_so_that_the_goodbye_of_tls_is_seen(self) -> None:
        one, wire = self.connect()
        one.pauseProducing()
        one.respond(bytes(MAX_QUEUED_BYTES + 1))
        one.close()
        self.assertEqual((wire.producerState, wire.producer, wire.disconnecting), ("producing", None, True))


class Pipe(Protocol):
    """What a connection becomes."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = False

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.got += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Remember it."""
        self.ended = True


@implementer(IHalfCloseableProtocol)
class HalfPipe(Pipe):
    """One that goes on when the client has ended its half."""

    def readConnectionLost(self) -> None:
        """Remember it."""
        self.got += b"<eof>"

    def writeConnectionLost(self) -> None:
        """Remember it."""
        self.got += b"<shut>"


class Becoming(StreamsTestCase):
    def become(self, pipe: Pipe, tail: bytes = b"\x90 not a frame") -> tuple[StreamConnection, Wire]:
        """A connection that becomes ``pipe`` at its first message, with ``tail`` right behind that."""
        one, wire = self.connect()

        def receive(data: bytes, five_tuple: FiveTuple) -> None:
            self.messages.append((data, five_tuple))
            one.respond(ANSWER)
            one.become(pipe)

        self.streams.receive = receive
        one.dataReceived(BINDING + tail)
        return one, wire

    def test_framing_ends_with_the_message_and_the_rest_is_the_pipes(self) -> None:
        pipe = Pipe()
        one, wire = self.become(pipe)
        one.dataReceived(b"\xff more")
        self.assertEqual((pipe.got, len(self.messages), wire.value()), (b"\x90 not a frame\xff more", 1, ANSWER))
        self.assertIs(pipe.transport, wire)
        self.lose(one)
        self.assertEqual((pipe.ended, self.open_now()), (True, 0))

    def test_it_is_no_client_any_more_and_no_clock_runs(self) -> None:
        one, wire = self.become(Pipe())
        self.assertEqual((self.plane.paths, self.closed, self.open_now()), ({}, [one.five_tuple], 1))
        self.clock.advance(10000)
        self.assertFalse(wire.disconnecting)

    def test_the_pipe_is_the_transports_producer_if_it_wants(self) -> None:
        _, wire = self.become(Pipe())
        self.assertIsNone(wire.producer)

    def test_it_hears_of_a_half_close_if_it_wants(self) -> None:
        self.assertFalse(IHalfCloseableProtocol.providedBy(self.become(Pipe())[0]))
        pipe = HalfPipe()
        one, _ = self.become(pipe, b"")
        self.assertTrue(IHalfCloseableProtocol.providedBy(one))
        one.readConnectionLost()
        one.writeConnectionLost()
        self.assertEqual(pipe.got, b"<eof><shut>")

    def test_a_closed_connection_becomes_nothing_and_none_becomes_something_twice(self) -> None:
        one, _ = self.connect()
        one.close()
        pipes = Pipe(), Pipe()
        one.become(pipes[0])
        self.assertIsNone(pipes[0].transport)
        one, _ = self.become(pipes[0])
        one.become(pipes[1])
        self.assertIsNone(pipes[1].transport)

    def test_stopping_closes_it_too(self) -> None:
        one, wire = self.become(Pipe())
        done = self.streams.stop()
        self.assertTrue(wire.disconnecting)
        self.lose(one)
        self.successResultOf(done)


class Tls(StreamsTestCase):
    def setUp(self) -> None:
        super().setUp()
        door = make_doorway(self.clock, self.mktemp(), DoorwaySettings(https=("tcp:8443",), http=()))
        self.door = door
        self.factory = TlsStreamFactory(self.streams, door.tls("stun.turn"), door.may_shake)
        door.add_stream("stun.turn", StreamFactory(self.streams, "tls"))
        door.startService()
        self.addCleanup(door.stopService)

    def dial(self, **options: Any) -> Dialled:
        """A TLS client."""
        return dial(self.clock, self.factory, tls=True, **options)

    def test_stun_works_with_its_alpn_name_without_any_and_with_another_one(self) -> None:
        """Browsers send none (RFC 7443 §3)."""
        for offered, selected in (([b"stun.turn"], b"stun.turn"), (None, None), ([b"http/1.1"], None),
                                  ([b"http/1.1", b"stun.turn"], b"stun.turn")):
            link = self.dial(alpn=offered)
            self.assertEqual(link.send(BINDING[:7]), b"")
            self.assertEqual(link.send(BINDING[7:] + BINDING), ANSWER * 2)
            self.assertEqual(link.client.transport.negotiatedProtocol, selected)
            link.hang_up()
        self.assertEqual({five_tuple.transport for _, five_tuple in self.messages}, {"tls"})
        self.assertEqual((self.plane.paths, self.open_now()), ({}, 0))

    def test_on_the_https_port_a_client_is_told_by_alpn_and_by_its_first_bytes(self) -> None:
        outer = self.clock.tcpServers[0][1]
        for alpn in ([b"stun.turn"], None):
            link = dial(self.clock, outer, tls=True, alpn=alpn)
            self.assertEqual(link.send(BINDING), ANSWER)
            link.send(CHANNEL)
            self.assertEqual(self.plane.channels.pop()[1], FiveTuple("tls", ("192.0.2.7", 40000), ("192.0.2.1", 8443)))
            self.clock.advance(60)
            link.settle()
            self.assertTrue(link.closed)

    def test_a_handshake_has_to_be_complete_in_time(self) -> None:
        one, wire = self.connect(factory=self.factory)
        one.dataReceived(b"\x16\x03\x01\x01")
        self.assertEqual(self.plane.paths, {})
        self.clock.advance(HANDSHAKE_S - 1)
        self.assertFalse(wire.cut)
        self.clock.advance(1)
        self.assertEqual((wire.cut, self.count("handshake")), (True, 1))

    def test_after_the_handshake_the_other_clock_runs(self) -> None:
        link = self.dial()
        link.settle()
        self.clock.advance(59)
        self.assertEqual(link.send(BINDING), ANSWER)
        self.clock.advance(1)
        link.settle()
        self.assertTrue(link.closed)

    def test_of_too_many_handshakes_the_oldest_is_cut(self) -> None:
        self.patch(module, "MAX_HANDSHAKES", 2)
        wires = [self.connect(factory=self.factory)[1] for _ in range(3)]
        self.assertEqual(([one.cut for one in wires], self.count("oldest")), ([True, False, False], 1))

    def test_a_refusal_is_one_inside_tls_as_well(self) -> None:
        self.streams.use(Limits(max_connections=1))
        self.connect()
        self.assertRaises(ConnectionRefusedError, self.dial)

    def test_each_frame_is_a_record_at_once(self) -> None:
        """Relayed media does not wait for the next turn of the reactor."""
        link = self.dial()
        link.send(BINDING)
        one = next(iter(self.plane.paths.values()))
        before = self.clock.getDelayedCalls()
        one.deliver(CHANNEL)
        self.assertEqual(self.clock.getDelayedCalls(), before)
        link.settle()
        self.assertEqual(link.received, ANSWER + CHANNEL)

    def test_answers_go_out_before_the_goodbye(self) -> None:
        link = self.dial()
        self.assertEqual(link.send(BINDING + b"\x80"), ANSWER)
        self.assertTrue(link.closed)

    def test_a_pipe_inside_tls_gets_the_rest_of_the_stream(self) -> None:
        """RFC 6062 by TLS."""
        pipe, link = Pipe(), self.dial()

        def receive(data: bytes, five_tuple: FiveTuple) -> None:
            found = self.streams.connection(five_tuple)
            assert found is not None
            found.respond(ANSWER)
            found.become(pipe)

        self.streams.receive = receive
        link.send(BINDING + b"\x90 rest")
        link.send(b", more")
        assert pipe.transport is not None
        pipe.transport.write(b"back")
        link.settle()
        self.assertEqual((pipe.got, link.received), (b"\x90 rest, more", ANSWER + b"back"))
