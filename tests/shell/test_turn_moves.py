"""The Python relay plane: clients that move, meters, relays of both families, and what is left behind when it fails."""

from __future__ import annotations

import socket

from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.allocations.meter import MIN_BURST_BYTES, Meter
from rtcd.plane.drops import PACKET_BYTES
from rtcd.stun import channeldata
from rtcd.stun.attributes import DATA
from rtcd.stun.message import decode
from tests.shell.test_turn_relay import FakePath, PlaneTestCase


class MoveTestCase(PlaneTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.other = self.open_socket()
        self.there = FiveTuple("udp", self.address(self.other), self.server)
        self.path = FakePath()
        self.stream = FiveTuple("tcp", ("192.0.2.9", 5000), ("198.51.100.1", 3478))
        self.plane.attach(self.stream, self.path)

    def up_from_there(self, data: bytes) -> None:
        """From the client's new address."""
        self.other.sendto(data, self.server)
        self.poller.doRead()


class Moving(MoveTestCase):
    def test_channels_permissions_and_totals_go_with_the_client(self) -> None:
        allocation = self.bound()
        self.up(channeldata.encode(0x4000, b"one"))
        self.plane.move(allocation, self.there)
        self.up_from_there(channeldata.encode(0x4000, b"two"))
        self.down(allocation, b"back")
        self.assertEqual((self.got(self.peer), self.got(self.peer)), (b"one", b"two"))
        self.assertEqual((self.got(self.client), self.got(self.other)), (None, channeldata.encode(0x4000, b"back")))
        self.assertEqual(self.plane.close(allocation), Traffic(2, 6, 1, 4))

    def test_what_still_comes_from_the_old_address_is_dropped(self) -> None:
        allocation = self.bound()
        self.plane.move(allocation, self.there)
        self.up(channeldata.encode(0x4000, b"x"))
        self.assertEqual((self.got(self.peer), self.drops["no-channel"].value), (None, 1))

    def test_data_indications_follow_too(self) -> None:
        allocation = self.allocate()
        self.plane.permit(allocation, self.host, 300.0, self.host)
        self.plane.move(allocation, self.there)
        self.down(allocation, b"x")
        self.assertEqual(decode(self.got(self.other) or b"").get(DATA), b"x")

    def test_from_udp_to_a_stream_and_back(self) -> None:
        allocation = self.bound()
        self.plane.move(allocation, self.stream)
        self.down(allocation, b"x")
        self.plane.channel_data(channeldata.encode(0x4000, b"up") + bytes(2), self.stream)
        self.assertEqual((self.path.frames, self.got(self.client)), ([channeldata.encode(0x4000, b"x") + bytes(3)], None))
        self.assertEqual(self.got(self.peer), b"up")
        self.plane.detach(self.stream)
        self.plane.move(allocation, self.there)
        self.down(allocation, b"x")
        self.plane.channel_data(channeldata.encode(0x4000, b"up"), self.stream)
        self.assertEqual((len(self.path.frames), self.got(self.other)), (1, channeldata.encode(0x4000, b"x")))
        self.assertEqual((self.got(self.peer), self.drops["no-channel"].value), (None, 1))

    def test_it_does_not_matter_when_the_allocation_learns_of_it(self) -> None:
        """The plane remembers by itself where the client was."""
        for before in (True, False):
            allocation = self.bound()
            if before:
                allocation.five_tuple = self.there
            self.plane.move(allocation, self.there)
            allocation.five_tuple = self.there
            self.plane.close(allocation)
            self.assertEqual([one.clients for one in self.plane._listeners.values()], [{}])

    def test_a_move_to_nowhere_changes_nothing(self) -> None:
        allocation = self.bound()
        for gone in (FiveTuple("tcp", ("192.0.2.9", 1), self.server), FiveTuple("udp", self.there.client, ("192.0.2.1", 1))):
            self.assertRaises(OSError, self.plane.move, allocation, gone)
        self.up(channeldata.encode(0x4000, b"x"))
        self.down(allocation, b"y")
        self.assertEqual((self.got(self.peer), self.got(self.client)), (b"x", channeldata.encode(0x4000, b"y")))

    def test_who_left_does_not_take_a_newcomers_place_along(self) -> None:
        """The old address may have an allocation of its own by the time the first one ends."""
        first = self.bound()
        self.plane.move(first, self.there)
        second = self.bound()
        self.plane.close(first)
        self.up(channeldata.encode(0x4000, b"x"))
        self.assertEqual(self.got(self.peer), b"x")
        self.plane.close(second)

    def test_who_was_pushed_out_does_not_take_its_successors_place_along(self) -> None:
        pushed, moving = self.bound(), self.allocate(self.other)
        self.plane.permit(moving, self.host, 300.0, self.host)
        self.plane.bind(moving, 0x4000, self.address(self.peer), 600.0)
        for place in (FiveTuple("udp", self.address(self.client), self.server), self.stream):
            self.plane.move(pushed, place)
            self.plane.move(moving, place)
            self.plane.close(pushed)
            self.plane.channel_data(channeldata.encode(0x4000, b"x"), place)
            self.assertEqual((self.got(self.peer), self.drops["no-channel"].value), (b"x", 0))
            pushed = self.bound()

    def test_channel_data_of_strangers_is_dropped_unless_mobility_is_on(self) -> None:
        self.up_from_there(channeldata.encode(0x4000, b"x"))
        self.plane.channel_data(channeldata.encode(0x4000, b"x"), self.stream)
        self.assertEqual((self.received, self.drops["no-channel"].value), ([], 2))

    def test_the_first_packet_on_the_new_path_may_complete_the_move_and_is_forwarded(self) -> None:
        """RFC 8016 §3.1: it need not be a STUN message."""
        self.plane.mobility = True
        allocation = self.bound()
        self.plane.receive = lambda data, five_tuple: self.plane.move(allocation, five_tuple)
        self.up_from_there(channeldata.encode(0x4000, b"first"))
        self.assertEqual((self.got(self.peer), self.drops["no-channel"].value), (b"first", 0))
        self.plane.channel_data(channeldata.encode(0x4000, b"second"), self.stream)
        self.assertEqual((self.got(self.peer), self.drops["no-channel"].value), (b"second", 0))

    def test_with_mobility_strangers_are_passed_up_once_and_dropped(self) -> None:
        self.plane.mobility = True
        frame = channeldata.encode(0x4000, b"x")
        self.up_from_there(frame)
        self.plane.channel_data(frame, self.stream)
        self.assertEqual(self.received, [(frame, self.there), (frame, self.stream)])
        self.assertEqual(self.drops["no-channel"].value, 2)

    def test_a_known_clients_unbound_numbers_are_not_passed_up(self) -> None:
        self.plane.mobility = True
        self.bound()
        self.up(channeldata.encode(0x4001, b"x"))
        self.assertEqual((self.received, self.drops["no-channel"].value), ([], 1))


class Metering(MoveTestCase):
    def meter(self, packets: int, size: int) -> Meter:
        """One with room for so many packets of this size."""
        meter = Meter(0.0)
        meter.take(MIN_BURST_BYTES - packets * (size + PACKET_BYTES), 0.0)
        return meter

    def metered(self, upward: tuple[Meter, ...], downward: tuple[Meter, ...]) -> Allocation:
        """An allocation with a channel, and these meters before it is open."""
        allocation = Allocation(FiveTuple("udp", self.address(self.client), self.server), "u", "u", b"", self.host,
                                bytes(12))
        allocation.upward, allocation.downward = upward, downward
        allocation.relayed[self.family] = self.plane.open(allocation, self.host)
        self.plane.permit(allocation, self.host, 300.0, self.host)
        self.plane.bind(allocation, 0x4000, self.address(self.peer), 600.0)
        return allocation

    def all_from(self, sock: socket.socket) -> int:
        """How many datagrams wait there."""
        count = 0
        while self.got(sock) is not None:
            count += 1
        return count

    def test_what_is_over_the_rate_upward_is_dropped_whatever_its_form(self) -> None:
        allocation = self.metered((self.meter(3, 10),), ())
        for _ in range(4):
            self.up(channeldata.encode(0x4000, b"x" * 10))
        self.plane.send(allocation, self.address(self.peer), b"x" * 10)
        self.down(allocation, b"x")
        self.assertEqual((self.all_from(self.peer), self.all_from(self.client), self.drops["rate"].value), (3, 1, 2))
        self.assertEqual((self.plane.close(allocation), self.drops["send-failed"].value), (Traffic(3, 30, 1, 1), 0))

    def test_what_is_over_the_rate_downward_is_dropped_whatever_its_form(self) -> None:
        """What counts is the frame that the client gets."""
        allocation = self.metered((), (self.meter(3, 14),))
        for _ in range(4):
            self.down(allocation, b"x" * 10)
        stranger = self.open_socket()
        stranger.sendto(b"x", allocation.relayed[self.family])
        self.poller.doRead()
        self.up(channeldata.encode(0x4000, b"x"))
        self.assertEqual((self.all_from(self.peer), self.all_from(self.client), self.drops["rate"].value), (1, 3, 2))

    def test_a_rate_goes_on_with_the_clock(self) -> None:
        meter = Meter(1000.0)
        self.metered((meter,), ())
        meter.take(MIN_BURST_BYTES, self.clock.seconds())
        self.up(channeldata.encode(0x4000, b"x" * 100))
        self.clock.advance(0.2)
        self.up(channeldata.encode(0x4000, b"x" * 100))
        self.assertEqual((self.all_from(self.peer), self.drops["rate"].value), (1, 1))

    def test_a_meter_that_two_allocations_share_is_one_rate(self) -> None:
        shared = self.meter(3, 1)
        self.metered((shared,), ())
        other = FiveTuple("udp", self.address(self.other), self.server)
        second = Allocation(other, "u", "u", b"", "", bytes(12))
        second.upward = (shared,)
        self.plane.open(second, self.host)
        for _ in range(2):
            self.up(channeldata.encode(0x4000, b"x"))
            self.plane.send(second, self.address(self.peer), b"x")
        self.assertEqual((self.all_from(self.peer), self.drops["rate"].value), (3, 1))

    def test_meters_may_come_go_and_be_replaced_later(self) -> None:
        allocation = self.bound()
        for upward, downward, passes in (((self.meter(0, 0),), (self.meter(0, 0),), 0), ((), (), 1),
                                         ((Meter(1.0),), (Meter(1.0),), 1)):
            allocation.upward, allocation.downward = upward, downward
            self.plane.remeter(allocation)
            self.up(channeldata.encode(0x4000, b"x"))
            self.down(allocation, b"x")
            self.assertEqual((self.all_from(self.peer), self.all_from(self.client)), (passes, passes))
        self.plane.close(allocation)
        self.plane.remeter(allocation)

    def test_meters_of_a_client_that_is_away_hold_when_it_is_back(self) -> None:
        allocation = self.bound()
        self.plane.move(allocation, self.stream)
        self.plane.detach(self.stream)
        allocation.upward = allocation.downward = (self.meter(0, 0),)
        self.plane.remeter(allocation)
        self.plane.move(allocation, self.there)
        self.up_from_there(channeldata.encode(0x4000, b"x"))
        self.down(allocation, b"x")
        self.assertEqual((self.all_from(self.peer), self.all_from(self.other), self.drops["rate"].value), (0, 0, 2))

    def test_without_meters_packets_take_the_sockets_own_way(self) -> None:
        """Nothing stands between the two for those who have no limit."""
        allocation = self.bound()
        relay = self.relay(allocation)
        self.assertEqual(self.plane._ways[allocation].channels[0x4000].sendto, relay.sock.sendto)
        self.assertEqual(self.plane._ways[allocation].sendto, next(iter(self.plane._listeners.values())).sock.sendto)
