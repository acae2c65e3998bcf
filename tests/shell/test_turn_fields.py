"""DSCP, ECN and hop count: carried between client and peer if the operator wants, and else as this machine sets them."""

from __future__ import annotations

import socket
import sys

from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.allocations.meter import Meter
from rtcd.plane.fields import IP_RECVTOS, IP_RECVTTL
from rtcd.stun import channeldata
from rtcd.stun.attributes import DATA, Address, Family
from rtcd.stun.message import decode
from tests.shell.test_turn_relay import BINDING, FakePath, PlaneTestCase

IP, IPV6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6
EXPEDITED_CE = 46 << 2 | 3
"""DSCP 46 and the ECN mark of a congested router."""


class FieldsTestCase(PlaneTestCase):
    ip_fields = True

    def open_socket(self) -> socket.socket:
        sock = super().open_socket()
        for level, option in ((IP, IP_RECVTOS), (IP, IP_RECVTTL)) if self.family == 1 else (
                (IPV6, socket.IPV6_RECVTCLASS), (IPV6, socket.IPV6_RECVHOPLIMIT)):
            sock.setsockopt(level, option, 1)
        return sock

    def mark(self, sock: socket.socket, tos: int, hops: int) -> None:
        """What it sends from now on has these."""
        if sock.family == socket.AF_INET:
            sock.setsockopt(IP, socket.IP_TOS, tos)
            sock.setsockopt(IP, socket.IP_TTL, hops)
        else:
            sock.setsockopt(IPV6, socket.IPV6_TCLASS, tos)
            sock.setsockopt(IPV6, socket.IPV6_UNICAST_HOPS, hops)

    def arrived(self, sock: socket.socket) -> tuple[bytes, int, int] | None:
        """The next datagram there with DSCP and ECN, and hop count."""
        try:
            data, ancillary, _, _ = sock.recvmsg(70000, 100)
        except BlockingIOError:
            return None
        found = {kind: raw[0] for _, kind, raw in ancillary}
        tos, hops = (socket.IP_TOS, socket.IP_TTL) if sock.family == socket.AF_INET else (
            socket.IPV6_TCLASS, socket.IPV6_HOPLIMIT)
        return data, found[tos], found[hops]


class Carried(FieldsTestCase):
    def test_channel_data_keeps_them_both_ways_and_has_gone_one_hop(self) -> None:
        allocation = self.bound()
        for tos, hops in ((EXPEDITED_CE, 9), (0, 255), (1, 2), (255, 64)):
            self.mark(self.client, tos, hops)
            self.mark(self.peer, tos, hops)
            self.up(channeldata.encode(0x4000, b"up"))
            self.down(allocation, b"down")
            self.assertEqual(self.arrived(self.peer), (b"up", tos, hops - 1))
            self.assertEqual(self.arrived(self.client), (channeldata.encode(0x4000, b"down"), tos, hops - 1))
        self.assertEqual(self.plane.close(allocation), Traffic(4, 8, 4, 16))

    def test_indications_keep_them_too(self) -> None:
        allocation = self.allocate()
        self.plane.permit(allocation, self.host, 300.0, self.host)
        self.mark(self.client, EXPEDITED_CE, 9)
        self.mark(self.peer, 2, 5)
        self.plane.receive = lambda data, five_tuple: self.plane.send(allocation, self.address(self.peer), b"up", True)
        self.up(BINDING)
        self.down(allocation, b"down")
        self.assertEqual(self.arrived(self.peer), (b"up", EXPEDITED_CE, 8))
        data, *fields = self.arrived(self.client) or (b"",)
        self.assertEqual((decode(data).get(DATA), fields), (b"down", [2, 4]))

    def test_what_has_come_its_last_hop_goes_no_further(self) -> None:
        """Never with a hop count of 0."""
        allocation = self.bound()
        self.mark(self.client, 0, 1)
        self.mark(self.peer, 0, 1)
        self.up(channeldata.encode(0x4000, b"x"))
        self.down(allocation, b"x")
        stranger = self.open_socket()
        self.mark(stranger, 0, 1)
        stranger.sendto(b"x", allocation.relayed[self.family])
        self.poller.doRead()
        self.plane.receive = lambda data, five_tuple: self.plane.send(allocation, self.address(self.peer), b"x")
        self.up(BINDING)
        self.assertEqual((self.arrived(self.peer), self.arrived(self.client), self.drops["ttl"].value), (None, None, 4))
        self.assertEqual((self.drops["send-failed"].value, self.plane.close(allocation)), (0, Traffic()))

    def test_the_servers_own_answers_are_its_own(self) -> None:
        """A request that came its last hop is answered, and nothing of it is carried."""
        self.mark(self.client, EXPEDITED_CE, 1)
        self.plane.receive = self.plane.respond
        self.up(BINDING)
        data, tos, hops = self.arrived(self.client) or (b"", 0, 0)
        self.assertEqual((data, tos), (BINDING, 0))
        self.assertGreater(hops, 1)

    def test_clients_on_streams_have_none_to_carry(self) -> None:
        """Whatever came last by UDP; and a peer's last hop is not that of the stream (RFC 8656 §15, §16)."""
        allocation, other = self.bound(), self.open_socket()
        path, stream = FakePath(), FiveTuple("tcp", ("192.0.2.9", 5000), self.server)
        self.plane.attach(stream, path)
        second = Allocation(stream, "u", "u", b"", "", bytes(12))
        relayed = self.plane.open(second, self.host)
        self.plane.permit(second, self.host, 300.0, self.host)
        self.plane.bind(second, 0x4000, self.address(other), 600.0)
        self.mark(self.client, EXPEDITED_CE, 9)
        for send in (lambda: self.plane.channel_data(channeldata.encode(0x4000, b"stream"), stream),
                     lambda: self.plane.send(second, self.address(other), b"stream")):
            self.up(channeldata.encode(0x4000, b"udp"))
            self.assertEqual(self.arrived(self.peer), (b"udp", EXPEDITED_CE, 8))
            send()
            data, tos, hops = self.arrived(other) or (b"", 0, 0)
            self.assertEqual((data, tos), (b"stream", 0))
            self.assertGreater(hops, 9)
        self.mark(other, 0, 1)
        other.sendto(b"down", relayed)
        self.poller.doRead()
        self.assertEqual(path.frames, [channeldata.encode(0x4000, b"down")])
        self.plane.close(allocation)

    def test_a_retry_carries_what_the_datagram_had_and_an_icmp_error_nothing(self) -> None:
        allocation = self.bound()
        gone = self.open_socket()
        self.plane.bind(allocation, 0x4001, self.address(gone), 600.0)
        gone.close()
        self.mark(self.client, EXPEDITED_CE, 9)
        for channel in (0x4001, 0x4000):
            self.client.sendto(channeldata.encode(channel, b"x"), self.server)
        self.poller.doRead()
        self.assertEqual(self.arrived(self.peer), (b"x", EXPEDITED_CE, 8))
        _, tos, hops = self.arrived(self.client) or (b"", 1, 0)
        self.assertEqual(tos, 0)
        self.assertGreater(hops, 9)

    def test_meters_stand_in_front(self) -> None:
        allocation = self.bound()
        allocation.upward = allocation.downward = (Meter(1e9),)
        self.plane.remeter(allocation)
        self.mark(self.client, EXPEDITED_CE, 9)
        self.mark(self.peer, 2, 5)
        self.up(channeldata.encode(0x4000, b"x"))
        self.down(allocation, b"x")
        self.assertEqual(self.arrived(self.peer), (b"x", EXPEDITED_CE, 8))
        self.assertEqual(self.arrived(self.client), (channeldata.encode(0x4000, b"x"), 2, 4))

    def test_a_kernel_that_does_not_tell_them_is_done_without(self) -> None:
        for name in ("IP_RECVTOS", "IP_RECVTTL"):
            self.patch(sys.modules["rtcd.plane.fields"], name, 250)
        for name in ("IPV6_RECVTCLASS", "IPV6_RECVHOPLIMIT"):
            self.patch(socket, name, 250)
        self.server = self.plane.listen(self.host, 0)
        allocation = self.bound()
        self.mark(self.client, EXPEDITED_CE, 1)
        self.mark(self.peer, EXPEDITED_CE, 1)
        self.up(channeldata.encode(0x4000, b"x"))
        self.down(allocation, b"x")
        self.assertEqual((self.got(self.peer), self.got(self.client)), (b"x", channeldata.encode(0x4000, b"x")))


class Carried6(Carried):
    """The same over IPv6."""

    host = "::1"
    family = Family.IPV6


class Translated(FieldsTestCase):
    """A client on IPv4 with a peer on IPv6 (RFC 8656 §13)."""

    def test_they_are_carried_between_the_versions(self) -> None:
        allocation = self.allocate()
        relayed: Address = self.plane.open(allocation, "::1")
        self.family, self.host = Family.IPV6, "::1"
        peer = self.open_socket()
        self.plane.permit(allocation, "::1", 300.0, "::1")
        self.plane.bind(allocation, 0x4000, self.address(peer), 600.0)
        self.mark(self.client, EXPEDITED_CE, 9)
        self.mark(peer, 2, 5)
        self.up(channeldata.encode(0x4000, b"up"))
        peer.sendto(b"down", relayed)
        self.poller.doRead()
        self.assertEqual(self.arrived(peer), (b"up", EXPEDITED_CE, 8))
        self.assertEqual(self.arrived(self.client), (channeldata.encode(0x4000, b"down"), 2, 4))


class NotCarried(FieldsTestCase):
    ip_fields = False

    def test_by_default_they_are_this_machines(self) -> None:
        """RFC 8656 §14 lets a server choose; sockets are used directly then."""
        allocation = self.bound()
        self.mark(self.client, EXPEDITED_CE, 1)
        self.mark(self.peer, EXPEDITED_CE, 1)
        self.up(channeldata.encode(0x4000, b"up"))
        self.down(allocation, b"down")
        for sock in (self.peer, self.client):
            _, tos, hops = self.arrived(sock) or (b"", 1, 0)
            self.assertEqual(tos, 0)
            self.assertGreater(hops, 1)
        relay = self.relay(allocation)
        self.assertEqual((relay.receive, relay.sendto), (relay.sock.recvfrom_into, relay.sock.sendto))
        self.assertEqual(self.drops["ttl"].value, 0)
