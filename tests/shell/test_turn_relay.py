"""The Python relay plane on real loopback sockets: what it moves, what it drops, what it gives back."""

from __future__ import annotations

import errno
import os
import secrets
import socket
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from rtcd.allocations.addresses import Ports
from rtcd.allocations.allocation import MAX_CHANNELS, MAX_PERMISSIONS, Allocation, FiveTuple, Traffic
from rtcd.interfaces import IClientPath, IRelayPlane
from rtcd.metrics import Counter
from rtcd.plane.poller import MAX_TURN_S, Poller
from rtcd.plane.relay import DROPS, PythonRelayPlane
from rtcd.plane.routes import Relay
from rtcd.plane.sockets import IP_MTU_DISCOVER
from rtcd.stun import channeldata
from rtcd.stun.attributes import DATA, XOR_PEER_ADDRESS, Address, Family
from rtcd.stun.message import Class, Method, decode, encode

BINDING = encode(Method.BINDING, Class.REQUEST, bytes(12))


class PlaneTestCase(SynchronousTestCase):
    """A plane with a listener, a client and a peer on loopback; the test says when sockets are read."""

    host = "127.0.0.1"
    family = Family.IPV4
    ip_fields = False

    def setUp(self) -> None:
        self.clock = self.make_clock()
        self.reactor: Any = MemoryReactorClock()
        self.drops = {reason: Counter() for reason in DROPS}
        self.poller = Poller(self.reactor, self.clock)
        self.received: list[tuple[bytes, FiveTuple]] = []
        self.plane = self.make_plane()
        self.addCleanup(self.plane.stop)
        self.server = self.plane.listen(self.host, 0)
        self.plane.start(lambda data, five_tuple: self.received.append((data, five_tuple)))
        self.client, self.peer = self.open_socket(), self.open_socket()

    def make_clock(self) -> Clock:
        """The time of the plane."""
        return Clock()

    def make_plane(self) -> PythonRelayPlane:
        """The plane that is tested."""
        return PythonRelayPlane(
            self.poller, self.clock, lambda: Ports(range(49152, 65536), secrets.randbelow), self.drops,
            ip_fields=self.ip_fields)

    def new_socket(self) -> socket.socket:
        """Of the family."""
        return socket.socket(socket.AF_INET6 if self.family == 2 else socket.AF_INET, socket.SOCK_DGRAM)

    def open_socket(self) -> socket.socket:
        """A client's or peer's socket."""
        sock = self.new_socket()
        self.addCleanup(sock.close)
        sock.bind((self.host, 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        sock.setblocking(False)
        return sock

    def address(self, sock: socket.socket) -> Address:
        """Where it is."""
        host, port, *_ = sock.getsockname()
        return host, port

    def allocate(self, sock: socket.socket | None = None, *, reserves: bytes = b"", claims: bytes = b"") -> Allocation:
        """An open relay of the client."""
        five_tuple = FiveTuple("udp", self.address(sock or self.client), self.server)
        allocation = Allocation(five_tuple, "u", "u", b"", self.host, bytes(12))
        allocation.even_port, allocation.reserves, allocation.claims = bool(reserves), reserves, claims
        allocation.relayed[self.family] = self.plane.open(allocation, self.host)
        return allocation

    def bound(self, expires_at: float = 600.0, permitted_until: float = 300.0) -> Allocation:
        """An allocation with channel 0x4000 to the peer."""
        allocation = self.allocate()
        self.plane.permit(allocation, self.host, permitted_until, self.host)
        self.plane.bind(allocation, 0x4000, self.address(self.peer), expires_at)
        return allocation

    def up(self, data: bytes) -> None:
        """From the client."""
        self.client.sendto(data, self.server)
        self.poller.doRead()

    def down(self, allocation: Allocation, data: bytes) -> None:
        """From the peer."""
        self.peer.sendto(data, allocation.relayed[self.family])
        self.poller.doRead()

    def got(self, sock: socket.socket) -> bytes | None:
        """The next datagram there, or None."""
        try:
            return bytes(sock.recv(70000))
        except BlockingIOError:
            return None

    def relay(self, allocation: Allocation) -> Relay:
        """Its relay inside the plane."""
        return next(iter(self.plane._relays[allocation].values()))

    def elsewhere(self, index: int = 0) -> str:
        """The host of a peer that nobody sends to."""
        return f"2001:4860::{index:x}" if ":" in self.host else f"8.8.{index >> 8}.{index & 255}"


class Forwarding(PlaneTestCase):
    def test_it_is_a_relay_plane(self) -> None:
        self.assertTrue(verifyObject(IRelayPlane, self.plane))

    def test_channel_data_goes_both_ways_unaltered(self) -> None:
        allocation = self.bound()
        for data in (b"", b"x", b"hello", bytes(range(256)) * 5, b"z" * 65000):
            self.up(channeldata.encode(0x4000, data))
            self.assertEqual(self.got(self.peer), data)
            self.down(allocation, data)
            self.assertEqual(self.got(self.client), channeldata.encode(0x4000, data))
        self.assertEqual(self.plane.close(allocation), Traffic(5, 66286, 5, 66286))

    def test_padding_is_not_relayed(self) -> None:
        self.bound()
        self.up(channeldata.encode(0x4000, b"x") + b"\0\0\0")
        self.assertEqual(self.got(self.peer), b"x")

    def test_what_is_longer_than_a_datagram_is_dropped_whole(self) -> None:
        self.bound()
        self.up(b"\x40\x00\x00\x05four")
        self.assertIsNone(self.got(self.peer))
        self.assertEqual(self.drops["truncated"].value, 1)

    def test_a_peers_datagram_that_does_not_fit_behind_the_header_is_dropped_whole(self) -> None:
        allocation = self.bound()
        self.down(allocation, b"z" * (65507 if self.family == 1 else 65527))
        self.assertIsNone(self.got(self.client))
        self.assertEqual(self.drops["send-failed"].value, 1)
        self.down(allocation, b"next")
        self.assertEqual(self.got(self.client), channeldata.encode(0x4000, b"next"))

    def test_a_peer_without_a_channel_comes_as_a_data_indication(self) -> None:
        allocation = self.allocate()
        self.plane.permit(allocation, self.host, 300.0, "203.0.113.9")
        for data in (b"hello", b""):
            self.down(allocation, data)
            message = decode(self.got(self.client) or b"")
            self.assertEqual((message.method, message.class_, message.get(DATA)), (Method.DATA, Class.INDICATION, data))
            self.assertEqual(message.get(XOR_PEER_ADDRESS), ("203.0.113.9", self.address(self.peer)[1]))
            self.assertFalse(message.integrity_at or message.fingerprint_at)

    def test_data_indications_are_what_the_codec_makes(self) -> None:
        """They are written in place: whatever lay in the buffer before must not shine through."""
        named = "2001:db8::9" if self.family == 2 else "203.0.113.9"
        allocation = self.allocate()
        self.plane.permit(allocation, self.host, 300.0, named)
        largest = 65507 - 36 - 3
        for size in (largest, 0, 1, 2, 3, 4, 1200, 1201):
            self.plane.buffer[:] = b"\xff" * len(self.plane.buffer)
            data = b"z" * size
            self.down(allocation, data)
            raw = self.got(self.client) or b""
            transaction_id = decode(raw).transaction_id
            peer = XOR_PEER_ADDRESS.encode((named, self.address(self.peer)[1]), transaction_id)
            self.assertEqual(raw, encode(Method.DATA, Class.INDICATION, transaction_id, (peer, DATA.encode(data))))
        self.down(allocation, b"z" * (65507 if self.family == 1 else 65527))
        self.assertIsNone(self.got(self.client))
        self.assertEqual(self.drops["send-failed" if self.family == 1 else "truncated"].value, 1)

    def test_datagrams_come_only_from_the_ports_that_a_host_may_use(self) -> None:
        """A permission for a host of our own is one for its relays, not for what else is there."""
        port = self.address(self.peer)[1]
        allocation = self.allocate()
        for ports, passes in ((range(port + 1, port + 9), False), (range(port, port + 1), True), (range(0), False)):
            self.plane.peer_ports = lambda host, ports=ports: ports  # type: ignore[misc] # mypy takes a default for an argument
            self.plane.permit(allocation, self.host, 300.0, self.host)
            self.down(allocation, b"x")
            self.assertEqual(self.got(self.client) is not None, passes)
        self.assertEqual(self.drops["no-permission"].value, 2)

    def test_fingerprint_goes_on_data_indications_if_wanted(self) -> None:
        self.plane.fingerprint = True
        allocation = self.allocate()
        self.plane.permit(allocation, self.host, 300.0, self.host)
        self.down(allocation, b"x")
        self.assertTrue(decode(self.got(self.client) or b"").fingerprint_at)

    def test_send_reaches_a_peer_and_counts(self) -> None:
        allocation = self.allocate()
        self.plane.send(allocation, self.address(self.peer), b"hello")
        self.assertEqual(self.got(self.peer), b"hello")
        self.assertEqual(self.plane.close(allocation), Traffic(1, 5, 0, 0))

    def test_a_send_that_fails_is_a_counted_drop(self) -> None:
        """One peer must not break the loop for the others."""
        self.plane.send(self.allocate(), self.address(self.peer), b"x" * 70000)
        self.plane.respond(b"x" * 70000, FiveTuple("udp", self.address(self.client), self.server))
        self.assertEqual(self.drops["send-failed"].value, 2)

    def test_many_packets_are_served_in_turns(self) -> None:
        self.bound()
        for index in range(500):
            self.client.sendto(channeldata.encode(0x4000, b"%d" % index), self.server)
        found: list[bytes] = []
        while (data := self.got(self.peer)) is not None or len(found) < 256:
            if data is None:
                self.poller.doRead()
                continue
            found.append(data)
        self.assertEqual(found[:256], [b"%d" % index for index in range(256)])


class Ends(PlaneTestCase):
    def test_nothing_passes_without_a_permission(self) -> None:
        allocation = self.allocate()
        self.down(allocation, b"x")
        self.assertIsNone(self.got(self.client))
        self.assertEqual(self.drops["no-permission"].value, 1)

    def test_a_permission_ends_for_channels_too(self) -> None:
        allocation = self.bound(expires_at=600.0, permitted_until=300.0)
        self.clock.advance(300)
        self.up(channeldata.encode(0x4000, b"x"))
        self.down(allocation, b"x")
        self.assertEqual((self.got(self.peer), self.got(self.client)), (None, None))
        self.assertEqual(self.drops["no-permission"].value, 2)
        self.plane.permit(allocation, self.host, 900.0, self.host)
        self.up(channeldata.encode(0x4000, b"y"))
        self.assertEqual(self.got(self.peer), b"y")

    def test_a_channel_ends_and_the_permission_stays(self) -> None:
        allocation = self.bound(expires_at=100.0, permitted_until=300.0)
        self.clock.advance(100)
        self.up(channeldata.encode(0x4000, b"x"))
        self.assertIsNone(self.got(self.peer))
        self.down(allocation, b"x")
        self.assertEqual(decode(self.got(self.client) or b"").method, Method.DATA)

    def test_data_extends_neither_permission_nor_channel(self) -> None:
        """RFC 8656 §9, §12: whichever way it goes, whatever form it has."""
        for channel_ends, permission_ends in ((600.0, 300.0), (300.0, 600.0)):
            allocation = self.bound(channel_ends, permission_ends)
            self.clock.advance(299.5)
            for _ in range(3):
                self.up(channeldata.encode(0x4000, b"x"))
                self.down(allocation, b"x")
                self.plane.send(allocation, self.address(self.peer), b"x")
            self.assertEqual([self.got(self.peer) for _ in range(7)], [b"x"] * 6 + [None])
            self.assertEqual([self.got(self.client) for _ in range(4)], [channeldata.encode(0x4000, b"x")] * 3 + [None])
            self.clock.advance(0.5)
            self.up(channeldata.encode(0x4000, b"y"))
            self.down(allocation, b"y")
            self.assertIsNone(self.got(self.peer))
            self.assertNotEqual(self.got(self.client), channeldata.encode(0x4000, b"y"))
            self.plane.close(allocation)
            self.clock.advance(-300)

    def test_a_longer_permission_does_not_extend_a_channel(self) -> None:
        """RFC 8656 §12: only ChannelBind does."""
        allocation = self.bound(expires_at=100.0, permitted_until=300.0)
        self.plane.permit(allocation, self.host, 900.0, self.host)
        self.clock.advance(100)
        self.up(channeldata.encode(0x4000, b"x"))
        self.assertIsNone(self.got(self.peer))

    def test_an_ended_channel_can_be_bound_to_another_peer(self) -> None:
        allocation = self.bound(expires_at=100.0)
        other = self.open_socket()
        self.plane.bind(allocation, 0x4000, self.address(other), 600.0)
        self.up(channeldata.encode(0x4000, b"x"))
        self.assertEqual((self.got(self.peer), self.got(other)), (None, b"x"))
        self.down(allocation, b"y")
        self.assertEqual(decode(self.got(self.client) or b"").get(DATA), b"y")

    def test_a_port_is_held_for_who_brings_its_token(self) -> None:
        """The pair is even and odd; the claim gets that very socket, and everything is given back at the end."""
        first = self.allocate(reserves=b"token")
        second = self.allocate(claims=b"token")
        (host, even), (other, odd) = self.relay(first).address, self.relay(second).address
        self.assertEqual((host, even % 2, odd), (other, 0, even + 1))
        self.assertEqual(self.plane.sockets.held, {})
        self.plane.close(first)
        self.plane.close(second)
        for number in range(20):  # by chance half of them would be even
            allocation = self.allocate(reserves=bytes((number,)))
            self.assertEqual(self.relay(allocation).address[1] % 2, 0)
            self.plane.close(allocation)
            self.plane.release(bytes((number,)))

    def test_a_held_port_that_nobody_claims_is_let_go(self) -> None:
        """Also when the allocation that asked for it goes first."""
        allocation = self.allocate(reserves=b"token")
        sock = self.plane.sockets.held[b"token"]
        self.plane.release(b"token")
        self.plane.release(b"token")
        self.assertEqual(sock.fileno(), -1)
        self.plane.close(allocation)
        self.allocate(reserves=b"other")
        sock = self.plane.sockets.held[b"other"]
        for one in list(self.plane._relays):
            self.plane.close(one)
        self.plane.release(b"other")
        self.assertEqual((sock.fileno(), self.plane.sockets.held), (-1, {}))

    def test_ended_permissions_do_not_pile_up(self) -> None:
        allocation = self.allocate()
        for index in range(3 * MAX_PERMISSIONS):
            self.clock.advance(1)
            self.plane.permit(allocation, self.elsewhere(index), self.clock.seconds() + 300, self.elsewhere(index))
        self.assertLessEqual(len(self.relay(allocation).permits), MAX_PERMISSIONS)

    def test_ended_channels_do_not_pile_up(self) -> None:
        """Numbers run out at 4096; the plane holds no more bindings than the rules allow."""
        allocation = self.allocate()
        relay, channels = self.relay(allocation), self.plane._ways[allocation].channels
        for index in range(3 * MAX_CHANNELS):
            self.clock.advance(1)
            self.plane.bind(allocation, 0x4000 + index, (self.elsewhere(), 1 + index), self.clock.seconds() + 600)
            self.assertLessEqual(len(channels), MAX_CHANNELS)
        self.assertEqual(len(relay.peers), len(channels))
        self.assertEqual(sum(map(len, relay.routes.values())), len(channels))

    def test_channels_follow_the_permission_of_their_own_host_alone(self) -> None:
        """What a permission costs does not grow with the channels to others."""
        allocation = self.bound(expires_at=600.0, permitted_until=300.0)
        relay, channels = self.relay(allocation), self.plane._ways[allocation].channels
        other = self.elsewhere()
        self.plane.bind(allocation, 0x4001, (other, 1), 600.0)
        self.assertEqual({host: list(routes) for host, routes in relay.routes.items()},
                         {self.host: [0x4000], other: [0x4001]})
        self.plane.permit(allocation, other, 400.0, other)
        self.assertEqual((channels[0x4000].until, channels[0x4001].until), (300.0, 400.0))
        self.plane.bind(allocation, 0x4001, (self.host, 1), 700.0)
        self.assertEqual((list(relay.routes), channels[0x4001].until), ([self.host], 300.0))

    def test_a_closed_relay_lets_go_of_everything(self) -> None:
        allocation = self.bound()
        self.plane.close(allocation)
        self.up(channeldata.encode(0x4000, b"x"))
        self.assertEqual(self.drops["no-channel"].value, 1)
        with socket.socket(socket.AF_INET6 if self.family == 2 else socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(allocation.relayed[self.family])

    def test_relays_that_come_and_go_leave_no_port_taken(self) -> None:
        for _ in range(300):
            self.plane.close(self.allocate())
        self.assertEqual(len(self.plane._relays), 0)


class Passing(PlaneTestCase):
    def test_stun_goes_up_with_its_five_tuple(self) -> None:
        self.up(BINDING)
        self.assertEqual(self.received, [(BINDING, FiveTuple("udp", self.address(self.client), self.server))])

    def test_requests_that_are_dear_end_the_turn_of_the_reactor(self) -> None:
        monotonic = Clock()
        self.poller._monotonic = monotonic.seconds

        def receive(data: bytes, five_tuple: FiveTuple) -> None:
            self.received.append((data, five_tuple))
            monotonic.advance(MAX_TURN_S / 2)

        self.plane.receive = receive
        for _ in range(5):
            self.client.sendto(BINDING, self.server)
        for served in (2, 4, 5):
            self.poller.doRead()
            self.assertEqual(len(self.received), served)

    def test_responses_leave_from_the_address_that_was_asked(self) -> None:
        self.up(BINDING)
        self.plane.respond(b"answer", self.received[0][1])
        data, source = self.client.recvfrom(100)
        self.assertEqual((data, source[:2]), (b"answer", self.server))

    def test_of_several_addresses_the_one_that_was_asked_answers_and_relays(self) -> None:
        """RFC 8489 §6.3.1: a client takes an answer from elsewhere for somebody else's."""
        second = self.plane.listen(self.host, 0)
        for server in (second, self.server):
            self.client.sendto(BINDING, server)
            self.poller.doRead()
            data, five_tuple = self.received.pop()
            self.assertEqual((data, five_tuple.server), (BINDING, server))
            self.plane.respond(b"answer", five_tuple)
            self.assertEqual(self.client.recvfrom(100)[1][:2], server)
            allocation = Allocation(five_tuple, "u", "u", b"", self.host, bytes(12))
            relayed = self.plane.open(allocation, self.host)
            self.plane.permit(allocation, self.host, 300.0, self.host)
            self.peer.sendto(b"x", relayed)
            self.poller.doRead()
            self.assertEqual(self.client.recvfrom(100)[1][:2], server)

    def test_what_is_neither_stun_nor_a_channel_is_dropped(self) -> None:
        for data in (b"", b"\0", b"\x16\xfe\xfd\x00", b"\x80\x00\x00\x00", b"\x04\x00\x00\x00"):
            self.up(data)
        self.up(b"\x40\x00\x00\x00")
        self.up(b"\x50\x00\x00\x00")
        self.assertEqual((self.received, self.drops["no-protocol"].value, self.drops["no-channel"].value), ([], 5, 2))

    def test_our_own_faults_do_not_stop_the_plane(self) -> None:
        def fail(data: bytes, five_tuple: FiveTuple) -> None:
            raise RuntimeError("ours")

        self.plane.receive = fail
        self.up(BINDING)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.bound()
        self.up(channeldata.encode(0x4000, b"x"))
        self.assertEqual(self.got(self.peer), b"x")

    def test_no_port_is_an_oserror_and_leaves_nothing(self) -> None:
        taken = self.open_socket()
        port = self.address(taken)[1]
        self.plane.sockets.new_ports = lambda: Ports(range(port, port + 1), secrets.randbelow)
        self.assertRaises(OSError, self.allocate)
        self.assertEqual(self.plane._relays, {})
        taken.close()
        self.assertEqual(self.allocate().relayed[self.family], (self.host, port))

    def test_a_socket_that_cannot_be_watched_is_closed_and_its_port_given_back(self) -> None:
        """fs.epoll.max_user_watches runs out: that is an OSError for this one, and no port or descriptor is lost."""
        port = self.address(self.open_socket())[1]
        self.plane.sockets.new_ports = lambda: Ports(range(port + 1, port + 3), secrets.randbelow)
        open_before = len(os.listdir("/proc/self/fd"))

        def refuse(*args: object, **options: object) -> None:
            raise OSError(errno.ENOSPC, "no more watches")

        fault = self.patch(self.poller, "add", refuse)
        for _ in range(4):
            self.assertEqual(self.assertRaises(OSError, self.allocate).errno, errno.ENOSPC)
        self.assertRaises(OSError, self.plane.listen, self.host, 0)
        self.assertEqual(len(os.listdir("/proc/self/fd")), open_before)
        self.assertEqual((len(self.plane._listeners), self.plane._relays), (1, {}))
        fault.restore()
        self.assertIn(self.allocate().relayed[self.family][1], (port + 1, port + 2))

    def test_a_held_port_goes_with_the_relay_that_could_not_be_opened(self) -> None:
        open_before = len(os.listdir("/proc/self/fd"))

        def refuse(*args: object, **options: object) -> None:
            raise OSError(errno.ENOSPC, "no more watches")

        self.patch(self.poller, "add", refuse)
        self.assertEqual(self.assertRaises(OSError, self.allocate, reserves=b"token").errno, errno.ENOSPC)
        self.assertEqual((self.plane.sockets.held, len(os.listdir("/proc/self/fd"))), ({}, open_before))

    def test_routers_may_fragment_what_we_send(self) -> None:
        """DF clear both ways, of inherited sockets too (RFC 8656 §14)."""
        inherited = self.open_socket()
        self.plane.adopt(inherited.detach())
        self.allocate()
        sockets = [one.sock for one in self.plane._listeners.values()] + [
            self.relay(one).sock for one in self.plane._relays]
        self.assertEqual([one.getsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER) for one in sockets], [0, 0, 0])

    def test_an_inherited_socket_is_served(self) -> None:
        inherited = self.open_socket()
        self.server = self.plane.adopt(inherited.detach())
        self.up(BINDING)
        self.assertEqual(self.received[0][1].server, self.server)
        with socket.socket() as stream:
            self.assertRaises(OSError, self.plane.adopt, stream.detach())


class Forwarding6(Forwarding):
    """The same over IPv6."""

    host = "::1"
    family = Family.IPV6


class Ends6(Ends):
    """The same over IPv6."""

    host = "::1"
    family = Family.IPV6


@implementer(IClientPath)
class FakePath:
    """Keeps the frames that reach a client, unless it is `full`."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.answers: list[bytes] = []
        self.full = False

    def deliver(self, frame: bytes | memoryview) -> bool:
        if not self.full:
            self.frames.append(bytes(frame))
        return not self.full

    def respond(self, data: bytes) -> None:
        self.answers.append(data)


class Attached(PlaneTestCase):
    """Clients that do not come by plain UDP."""

    def setUp(self) -> None:
        super().setUp()
        self.path = FakePath()
        verifyObject(IClientPath, self.path)
        self.five_tuple = FiveTuple("tcp", ("192.0.2.9", 5000), ("198.51.100.1", 3478))
        self.plane.attach(self.five_tuple, self.path)
        self.attached = Allocation(self.five_tuple, "u", "u", b"", "", bytes(12))
        self.relayed = self.plane.open(self.attached, self.host)
        self.plane.permit(self.attached, self.host, 1e12, self.host)
        self.plane.bind(self.attached, 0x4000, self.peer.getsockname()[:2], 1e12)

    def test_channel_data_goes_through_its_path_and_is_padded(self) -> None:
        """RFC 8656 §12.5: streams keep to multiples of four."""
        self.peer.sendto(b"hello", self.relayed)
        self.poller.doRead()
        self.assertEqual(self.path.frames, [channeldata.encode(0x4000, b"hello") + bytes(3)])

    def test_inside_dtls_it_is_not_padded(self) -> None:
        """RFC 8656 §12.5: a datagram knows where it ends."""
        five_tuple = self.five_tuple._replace(transport="dtls")
        self.plane.attach(five_tuple, self.path)
        allocation = Allocation(five_tuple, "u", "u", b"", "", bytes(12))
        relayed = self.plane.open(allocation, self.host)
        self.plane.permit(allocation, self.host, 1e12, self.host)
        self.plane.bind(allocation, 0x4001, self.peer.getsockname()[:2], 1e12)
        self.peer.sendto(b"hello", relayed)
        self.poller.doRead()
        self.assertEqual(self.path.frames, [channeldata.encode(0x4001, b"hello")])

    def test_its_padding_holds_nothing_of_other_peoples_packets(self) -> None:
        """CVE-2020-4067: the buffer is everybody's."""
        self.peer.sendto(b"\xff" * 100, self.relayed)
        self.peer.sendto(b"hello", self.relayed)
        self.poller.doRead()
        self.assertEqual(self.path.frames[1], channeldata.encode(0x4000, b"hello") + bytes(3))

    def test_what_it_sends_reaches_the_peer_without_padding(self) -> None:
        self.plane.channel_data(channeldata.encode(0x4000, b"hello") + bytes(3), self.five_tuple)
        self.assertEqual(self.peer.recv(100), b"hello")

    def test_a_path_that_is_full_loses_whole_frames(self) -> None:
        self.path.full = True
        self.peer.sendto(b"hello", self.relayed)
        self.poller.doRead()
        self.assertEqual((self.path.frames, self.drops["slow-client"].value), ([], 1))

    def test_responses_take_the_same_path(self) -> None:
        self.plane.respond(b"x", self.five_tuple)
        self.assertEqual(self.path.answers, [b"x"])

    def test_a_client_that_is_gone_gets_nothing(self) -> None:
        self.plane.detach(self.five_tuple)
        self.plane.respond(b"x", self.five_tuple)
        self.assertEqual((self.path.answers, self.drops["send-failed"].value), ([], 1))
        stream = FiveTuple("tcp", self.address(self.client), self.server)
        self.plane.respond(b"x", stream)
        self.assertRaises(BlockingIOError, self.client.recv, 100)
        self.assertEqual(self.drops["send-failed"].value, 2)
        other = Allocation(self.five_tuple, "u", "u", b"", "", bytes(12))
        self.assertRaises(OSError, self.plane.open, other, self.host)

    def test_its_channels_end_with_the_allocation(self) -> None:
        self.plane.close(self.attached)
        self.plane.channel_data(channeldata.encode(0x4000, b"x"), self.five_tuple)
        self.assertEqual(self.drops["no-channel"].value, 1)
