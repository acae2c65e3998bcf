"""Payloads from empty to 65 000 bytes in every form, and relays of both families under one allocation."""

from __future__ import annotations

import errno
import os
import socket

from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.allocations.meter import Meter
from rtcd.stun import channeldata
from rtcd.stun.attributes import DATA, XOR_PEER_ADDRESS, Family
from rtcd.stun.message import decode
from tests.shell.test_turn_relay import FakePath, PlaneTestCase

SIZES = (0, 1, 2, 3, 4, 1200, 16380, 16381, 65000)


def payload(size: int) -> bytes:
    """No two places alike within 251 bytes."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


class Payloads(PlaneTestCase):
    """Each size arrives as it was sent; what does not fit is dropped whole and counted, never cut."""

    largest = 65507

    def setUp(self) -> None:
        super().setUp()
        self.path = FakePath()
        self.stream = FiveTuple("tcp", ("192.0.2.9", 5000), self.server)
        self.plane.attach(self.stream, self.path)

    def permitted(self) -> Allocation:
        """Without a channel."""
        allocation = self.allocate()
        self.plane.permit(allocation, self.host, 300.0, self.host)
        return allocation

    def too_long_down(self, allocation: Allocation, reason: str, size: int) -> None:
        """One that its client cannot get, and then one that it can."""
        before = self.plane.traffic(allocation)
        self.down(allocation, payload(size))
        self.assertEqual((self.got(self.client), self.path.frames, self.drops[reason].value), (None, [], 1))
        self.assertEqual(self.plane.traffic(allocation), before)
        self.down(allocation, b"next")

    def test_channel_data_up(self) -> None:
        self.bound()
        for size in SIZES:
            self.up(channeldata.encode(0x4000, payload(size)))
            self.assertEqual(self.got(self.peer), payload(size))

    def test_channel_data_up_from_a_stream(self) -> None:
        self.plane.move(self.bound(), self.stream)
        for size in (*SIZES, self.largest):
            self.plane.channel_data(channeldata.encode(0x4000, payload(size)) + bytes(-size & 3), self.stream)
            self.assertEqual(self.got(self.peer), payload(size))
        self.plane.channel_data(channeldata.encode(0x4000, payload(self.largest + 1)), self.stream)
        self.assertEqual((self.got(self.peer), self.drops["send-failed"].value), (None, 1))
        self.plane.channel_data(b"\x40\x00\x00\x05four", self.stream)
        self.assertEqual((self.got(self.peer), self.drops["truncated"].value), (None, 1))

    def test_send_up(self) -> None:
        allocation = self.permitted()
        for size in (*SIZES, self.largest):
            self.plane.send(allocation, self.address(self.peer), payload(size))
            self.assertEqual(self.got(self.peer), payload(size))
        self.plane.send(allocation, self.address(self.peer), payload(self.largest + 1))
        self.assertEqual((self.got(self.peer), self.drops["send-failed"].value), (None, 1))

    def test_channel_data_down(self) -> None:
        allocation = self.bound()
        for size in (*SIZES, self.largest - 4):
            self.down(allocation, payload(size))
            self.assertEqual(self.got(self.client), channeldata.encode(0x4000, payload(size)))
        self.too_long_down(allocation, "send-failed", self.largest - 3)
        self.assertEqual(self.got(self.client), channeldata.encode(0x4000, b"next"))

    def test_channel_data_down_to_a_stream(self) -> None:
        """Everything that a peer can send fits."""
        allocation = self.bound()
        self.plane.move(allocation, self.stream)
        for size in (*SIZES, self.largest):
            self.down(allocation, payload(size))
            self.assertEqual(self.path.frames.pop(), channeldata.encode(0x4000, payload(size)) + bytes(-size & 3))

    def test_data_down(self) -> None:
        allocation = self.permitted()
        overhead = 36 if self.family == 1 else 48
        for size in (*SIZES, self.largest - overhead - 3):
            self.down(allocation, payload(size))
            self.assertEqual(decode(self.got(self.client) or b"").get(DATA), payload(size))
        self.too_long_down(allocation, "send-failed", self.largest - overhead + 1)
        self.assertEqual(decode(self.got(self.client) or b"").get(DATA), b"next")

    def test_data_down_to_a_stream(self) -> None:
        allocation = self.permitted()
        self.plane.move(allocation, self.stream)
        fits = 65507 if self.family == 1 else 65504
        for size in (*SIZES, fits):
            self.down(allocation, payload(size))
            self.assertEqual(decode(self.path.frames.pop()).get(DATA), payload(size))
        if fits < self.largest:
            self.too_long_down(allocation, "truncated", self.largest)
            self.assertEqual(decode(self.path.frames.pop()).get(DATA), b"next")

    def test_with_meters_too(self) -> None:
        """However low the rate is, a pause is enough."""
        allocation = self.bound()
        allocation.upward, allocation.downward = (Meter(1e6),), (Meter(1e6),)
        self.plane.remeter(allocation)
        for size in SIZES:
            self.up(channeldata.encode(0x4000, payload(size)))
            self.down(allocation, payload(size))
            self.assertEqual((self.got(self.peer), self.got(self.client)),
                             (payload(size), channeldata.encode(0x4000, payload(size))))


class Payloads6(Payloads):
    """The same over IPv6."""

    host = "::1"
    family = Family.IPV6
    largest = 65527


ALL = [b"up0", b"up1", channeldata.encode(0x4000, b"down0"), channeldata.encode(0x4001, b"down1")]
"""What `Dual.both_ways` finds when nothing is lost."""


class Dual(PlaneTestCase):
    """One allocation, a relay on 127.0.0.1 and one on ::1."""

    def setUp(self) -> None:
        super().setUp()
        self.family, self.host = Family.IPV6, "::1"
        self.peer6 = self.open_socket()
        self.family, self.host = Family.IPV4, "127.0.0.1"
        self.dual = self.allocate()
        self.dual.relayed[Family.IPV6] = self.plane.open(self.dual, "::1")

    def bind_both(self) -> None:
        """Channel 0x4000 to the peer on IPv4, 0x4001 to the one on IPv6."""
        for channel, sock in ((0x4000, self.peer), (0x4001, self.peer6)):
            host, port = self.address(sock)
            self.plane.permit(self.dual, host, 300.0, host)
            self.plane.bind(self.dual, channel, (host, port), 600.0)

    def both_ways(self, client: socket.socket) -> list[bytes | None]:
        """What four datagrams come to: up to both peers, down from both."""
        for channel in (0x4000, 0x4001):
            client.sendto(channeldata.encode(channel, b"up%d" % (channel & 1)), self.server)
        self.peer.sendto(b"down0", self.dual.relayed[Family.IPV4])
        self.poller.doRead()
        found = [self.got(self.peer), self.got(self.peer6), self.got(client)]
        if Family.IPV6 in self.plane._relays[self.dual]:
            self.peer6.sendto(b"down1", self.dual.relayed[Family.IPV6])
            self.poller.doRead()
        return [*found, self.got(client)]

    def test_peers_of_both_families_share_one_client(self) -> None:
        self.bind_both()
        self.assertEqual(self.both_ways(self.client), ALL)
        self.assertEqual(self.plane.traffic(self.dual), Traffic(2, 6, 2, 10))
        self.assertEqual(self.plane.close(self.dual), Traffic(2, 6, 2, 10))
        self.assertEqual(self.plane.traffic(self.dual), Traffic())

    def test_send_and_data_indications_go_by_the_relay_of_the_peers_family(self) -> None:
        for sock in (self.peer, self.peer6):
            host, port = self.address(sock)
            self.plane.permit(self.dual, host, 300.0, host)
            self.plane.send(self.dual, (host, port), b"up", dont_fragment=True)
            data, (source, relay_port, *_) = sock.recvfrom(100)
            family = Family.IPV6 if ":" in host else Family.IPV4
            self.assertEqual((data, (source, relay_port)), (b"up", self.dual.relayed[family]))
            sock.sendto(b"down", self.dual.relayed[family])
            self.poller.doRead()
            message = decode(self.got(self.client) or b"")
            self.assertEqual((message.get(DATA), message.get(XOR_PEER_ADDRESS)), (b"down", (host, port)))

    def test_a_number_moves_from_one_family_to_the_other(self) -> None:
        """Numbers belong to the allocation, not to a relay."""
        self.bind_both()
        host, port = self.address(self.peer6)
        self.clock.advance(1)
        self.plane.bind(self.dual, 0x4000, (host, port), 600.0)
        self.up(channeldata.encode(0x4000, b"x"))
        self.up(channeldata.encode(0x4001, b"y"))
        self.assertEqual((self.got(self.peer6), self.got(self.peer), self.drops["no-channel"].value), (b"x", None, 1))

    def test_closing_one_family_leaves_the_other(self) -> None:
        self.bind_both()
        self.both_ways(self.client)
        self.assertEqual(self.plane.close(self.dual, Family.IPV6), Traffic(1, 3, 1, 5))
        self.assertEqual(self.both_ways(self.client), [b"up0", None, ALL[2], None])
        self.assertEqual((self.drops["no-channel"].value, self.plane.close(self.dual, Family.IPV6)), (1, Traffic()))
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as again:
            again.bind(self.dual.relayed[Family.IPV6])
        self.assertEqual(self.plane.close(self.dual, Family.IPV4), Traffic(2, 6, 2, 10))
        self.assertEqual((self.plane._relays, self.plane._ways), ({}, {}))

    def test_a_send_by_a_family_that_is_closed_is_a_counted_drop(self) -> None:
        self.plane.close(self.dual, Family.IPV6)
        self.plane.send(self.dual, self.address(self.peer6), b"x")
        self.plane.close(self.dual)
        self.plane.send(self.dual, self.address(self.peer), b"x")
        self.assertEqual(self.drops["send-failed"].value, 2)

    def test_both_move_with_the_client(self) -> None:
        self.bind_both()
        other = self.open_socket()
        self.plane.move(self.dual, FiveTuple("udp", self.address(other), self.server))
        self.assertEqual(self.both_ways(other), ALL)
        self.assertIsNone(self.got(self.client))

    def test_meters_are_those_of_the_allocation(self) -> None:
        self.dual.upward = (Meter(1.0),)
        self.plane.remeter(self.dual)
        self.dual.upward[0].take(2**17 - 3 * 28 - 3, 0.0)
        for sock in (self.peer, self.peer6, self.peer, self.peer6):
            self.plane.send(self.dual, self.address(sock), b"x")
        self.assertEqual([self.got(self.peer), self.got(self.peer6), self.got(self.peer), self.got(self.peer6)],
                         [b"x", b"x", b"x", None])

    def test_a_second_relay_of_one_family_is_refused_and_takes_nothing(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        self.assertEqual(self.assertRaises(OSError, self.plane.open, self.dual, "::1").errno, errno.EISCONN)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.bind_both()
        self.assertEqual(self.both_ways(self.client), ALL)

    def test_a_token_that_nobody_holds_opens_nothing(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        other = self.open_socket()
        self.assertRaises(OSError, self.allocate, other, claims=b"token")
        other.close()
        self.assertEqual((len(os.listdir("/proc/self/fd")), len(self.plane._relays)), (before, 1))

    def test_a_held_port_is_not_kept_for_an_allocation_that_fails(self) -> None:
        """A token is good once: nobody would come for the port again."""
        holding = self.allocate(self.open_socket(), reserves=b"token")
        held = self.plane.sockets.held[b"token"]
        gone = Allocation(FiveTuple("tcp", ("192.0.2.9", 5000), self.server), "u", "u", b"", "", bytes(12))
        gone.claims = b"token"
        self.assertRaises(OSError, self.plane.open, gone, self.host)
        self.assertEqual((held.fileno(), self.plane.sockets.held), (-1, {}))
        self.plane.close(holding)

    def test_if_the_second_cannot_be_opened_the_first_goes_on(self) -> None:
        self.plane.close(self.dual, Family.IPV6)

        def refuse(*args: object, **options: object) -> None:
            raise OSError(errno.ENOSPC, "no more watches")

        fault = self.patch(self.poller, "add", refuse)
        before = len(os.listdir("/proc/self/fd"))
        self.assertRaises(OSError, self.plane.open, self.dual, "::1")
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        fault.restore()
        self.dual.relayed[Family.IPV6] = self.plane.open(self.dual, "::1")
        self.bind_both()
        self.assertEqual(self.both_ways(self.client), ALL)
