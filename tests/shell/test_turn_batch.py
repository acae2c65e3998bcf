"""Batches: the relay's other tests once more with many packets at a time, and what only batches can get wrong."""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import sys
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from rtcd.allocations.allocation import Traffic
from rtcd.plane import mmsg
from rtcd.plane.batch import FEW
from rtcd.plane.listener import LISTENER_READS, Listener
from rtcd.plane.mmsg import MANY, MAX_SOURCES, Datagrams, Receiving, Sources, name_of, supported
from rtcd.plane.poller import MAX_TURN_S
from rtcd.stun import channeldata
from rtcd.stun.attributes import DATA, Family
from rtcd.stun.message import decode
from tests.shell import test_turn_errors
from tests.shell.test_turn_relay import BINDING, PlaneTestCase

HOST4, HOST6 = "127.0.0.1", "::1"


class BatchTestCase(PlaneTestCase):
    def setUp(self) -> None:
        if not supported():
            raise SkipTest("needs recvmmsg")
        super().setUp()
        self.allocation = self.bound()

    def listener(self) -> Listener:
        return next(iter(self.plane._listeners.values()))

    def by_batch(self) -> tuple[bool, bool]:
        """Whether the listener and the relay are read so."""
        reads = self.poller._reads
        up = reads[self.listener().sock.fileno()]
        down = reads[self.relay(self.allocation).sock.fileno()]
        return getattr(up, "__self__", None) is self.listener().inbox, "Outbox" in down.__qualname__

    def make_busy(self) -> None:
        """A full share each way, after which batches begin."""
        for _ in range(LISTENER_READS):
            self.client.sendto(channeldata.encode(0x4000, b"x"), self.server)
        self.poller.doRead()
        for _ in range(MANY):
            self.peer.sendto(b"x", self.allocation.relayed[self.family])
        self.poller.doRead()
        self.assertEqual((len(self.all(self.peer)), len(self.all(self.client))), (LISTENER_READS, MANY))
        self.assertEqual(self.by_batch(), (True, True))

    def all(self, sock: socket.socket) -> list[bytes]:
        """What has come there."""
        found = []
        while (data := self.got(sock)) is not None:
            found.append(data)
        return found

    def sent_down(self, *payloads: bytes) -> None:
        """By the peer, all at once."""
        for payload in payloads:
            self.peer.sendto(payload, self.allocation.relayed[self.family])
        self.read_all()

    def read_all(self) -> None:
        """In as many turns as a slow machine needs."""
        while select.select([self.poller], (), (), 0)[0]:
            self.poller.doRead()


class Batches(BatchTestCase):
    host, family = HOST4, Family.IPV4

    def test_they_begin_with_a_full_share(self) -> None:
        """Few packets are read one by one."""
        self.up(channeldata.encode(0x4000, b"x"))
        self.down(self.allocation, b"x")
        self.assertEqual(self.by_batch(), (False, False))
        self.assertEqual((len(self.all(self.peer)), len(self.all(self.client))), (1, 1))
        self.make_busy()

    def test_channel_data_goes_both_ways_unaltered_in_order_and_counted(self) -> None:
        self.make_busy()
        payloads = [b"", b"x", b"hello", bytes(range(256)) * 5, b"z" * 65000, *(b"%d" % index for index in range(100))]
        for payload in payloads:
            self.client.sendto(channeldata.encode(0x4000, payload) + b"\0" * 3, self.server)
        self.read_all()
        self.assertEqual(self.all(self.peer), payloads)
        self.sent_down(*payloads)
        self.assertEqual(self.all(self.client), [channeldata.encode(0x4000, payload) for payload in payloads])
        number, size = len(payloads) + MANY, sum(map(len, payloads)) + MANY
        self.assertEqual(self.plane.close(self.allocation), Traffic(number, size, number, size))

    def test_many_relays_that_have_little_each_share_one(self) -> None:
        """Their packets are read one by one, and sent together at the end of the round."""
        others = []
        for index in range(2 * MANY // FEW):
            client = self.open_socket()
            allocation = self.allocate(client)
            self.plane.permit(allocation, self.host, 300.0, self.host)
            self.plane.bind(allocation, 0x4000 + index, self.address(self.peer), 600.0)
            others.append((client, allocation, 0x4000 + index))
        for number in range(6):
            for _, allocation, _ in others:
                self.peer.sendto(b"%d" % number, allocation.relayed[self.family])
        for _ in range(3):
            self.poller.doRead()
        for client, allocation, channel in others:
            self.assertEqual(self.all(client), [channeldata.encode(channel, b"%d" % number) for number in range(6)])
            self.assertEqual(self.plane.traffic(allocation), Traffic(0, 0, 6, 6))

    def test_one_that_cannot_be_sent_loses_no_other(self) -> None:
        """Too long with the header in front; first, in the middle and last. More of them do not fit into a socket."""
        self.make_busy()
        whole, long = self.plane.traffic(self.allocation), b"z" * (65507 if self.family == 1 else 65527)
        self.sent_down(long, b"1", long, b"2", b"3", long)
        self.assertEqual(self.all(self.client), [channeldata.encode(0x4000, b"%d" % number) for number in (1, 2, 3)])
        self.assertEqual(self.drops["send-failed"].value, 3)
        self.assertEqual(self.plane.traffic(self.allocation), whole.plus(Traffic(0, 0, 3, 3)))

    def test_nothing_is_counted_when_the_listener_is_gone(self) -> None:
        self.make_busy()
        relay = self.relay(self.allocation)
        whole = self.plane.traffic(self.allocation)
        for _ in range(3):
            self.peer.sendto(b"x", self.allocation.relayed[self.family])
        self.poller._reads[relay.sock.fileno()](self.clock.seconds(), MANY)
        self.poller.remove(self.listener().sock.fileno())
        self.listener().sock.close()
        self.plane.flush()
        self.assertEqual((self.drops["send-failed"].value, self.plane.traffic(self.allocation)), (3, whole))

    def test_drops_have_their_reasons(self) -> None:
        self.make_busy()
        for data in (b"", b"\x40\0\0", b"\x40\0\0\5four", b"\x50\0\0\0", b"\x80\0\0\0", b"\x40\0\0\1y"):
            self.client.sendto(data, self.server)
        self.poller.doRead()
        self.assertEqual(self.all(self.peer), [b"y"])
        self.assertEqual({name: one.value for name, one in self.drops.items() if one.value},
                         {"no-protocol": 3, "truncated": 1, "no-channel": 1})
        self.make_busy()
        self.clock.advance(300)
        self.sent_down(b"x", b"x")
        self.client.sendto(channeldata.encode(0x4000, b"x"), self.server)
        self.poller.doRead()
        self.assertEqual((self.all(self.peer), self.all(self.client), self.drops["no-permission"].value), ([], [], 3))

    def test_peers_without_a_channel_come_between_as_data_indications(self) -> None:
        self.make_busy()
        other = self.open_socket()
        other.sendto(b"other", self.allocation.relayed[self.family])
        self.sent_down(b"1", b"2")
        frames = self.all(self.client)
        self.assertEqual([frame for frame in frames if frame[0] == 0x40],
                         [channeldata.encode(0x4000, b"1"), channeldata.encode(0x4000, b"2")])
        self.assertEqual([decode(frame).get(DATA) for frame in frames if frame[0] != 0x40], [b"other"])

    def test_requests_among_them_are_passed_up_whole_and_end_them(self) -> None:
        """What a request costs is not known, and what has been received cannot wait: so one batch, then one by one."""
        self.make_busy()
        monotonic = Clock()
        self.poller._monotonic = monotonic.seconds

        def receive(data: bytes, five_tuple: Any) -> None:
            self.received.append((data, five_tuple))
            monotonic.advance(MAX_TURN_S / 2)

        self.plane.receive = receive
        for _ in range(LISTENER_READS + 5):
            self.client.sendto(BINDING, self.server)
        for served in (LISTENER_READS, LISTENER_READS + 2, LISTENER_READS + 4):
            self.poller.doRead()
            self.assertEqual((len(self.received), self.by_batch()[0]), (served, False))
        self.assertEqual({data for data, _ in self.received}, {BINDING})
        self.assertEqual(self.received[0][1].client, self.address(self.client))

    def test_a_request_finds_what_came_before_it_counted(self) -> None:
        """A Refresh that ends the allocation gets the totals: nothing is on its way any more."""
        self.make_busy()
        relay, totals = self.relay(self.allocation), []

        def receive(data: bytes, five_tuple: Any) -> None:
            totals.append((len(self.all(self.client)), self.plane.close(self.allocation)))

        self.plane.receive = receive
        self.peer.sendto(b"x", self.allocation.relayed[self.family])
        self.poller._reads[relay.sock.fileno()](self.clock.seconds(), MANY)
        self.assertEqual(self.all(self.client), [])
        for data in (channeldata.encode(0x4000, b"x"), BINDING, channeldata.encode(0x4000, b"late")):
            self.client.sendto(data, self.server)
        self.poller.doRead()
        self.assertEqual(totals, [(1, Traffic(MANY + 1, MANY + 1, MANY + 1, MANY + 1))])
        self.assertEqual((self.all(self.peer), self.drops["no-channel"].value), ([b"x"], 1))

    def test_what_goes_wrong_does_not_stop_the_plane(self) -> None:
        self.make_busy()

        def fail() -> None:
            raise RuntimeError("ours")

        self.poller.after_round = fail
        self.sent_down(b"x")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.poller.after_round = self.plane.flush
        self.sent_down(b"y")
        self.assertEqual(len(self.all(self.client)), 2)


class Batches6(Batches):
    host, family = HOST6, Family.IPV6


class ErrorsInBatches(BatchTestCase, test_turn_errors.Errors):
    """ICMP errors about what a relay sent, while it is read by batches."""

    host, family = HOST4, Family.IPV4

    def bound(self, expires_at: float = 600.0, permitted_until: float = 300.0) -> Any:
        self.allocation = allocation = super().bound(expires_at, permitted_until)
        return allocation

    def test_an_error_loses_nothing_that_a_batch_reads(self) -> None:
        self.make_busy()
        self.plane.send(self.allocation, self.closed(), b"x")
        self.peer.sendto(b"hello", self.allocation.relayed[self.family])
        read = self.poller._reads[self.relay(self.allocation).sock.fileno()]
        self.assertTrue(read(self.clock.seconds(), MANY))
        self.assertFalse(read(self.clock.seconds(), MANY))
        self.plane.flush()
        told, hello = self.all(self.client)
        self.assertEqual((hello, self.drops["receive-failed"].value), (channeldata.encode(0x4000, b"hello"), 0))
        self.assertEqual(decode(told).get(DATA), None)


class Without(PlaneTestCase):
    def test_all_is_as_before(self) -> None:
        """A Python without ctypes, or a machine of another kind."""
        self.patch(sys.modules["rtcd.plane.listener"], "supported", lambda: False)
        self.server = self.plane.listen(self.host, 0)
        allocation = self.bound()
        for _ in range(2 * LISTENER_READS):
            self.client.sendto(channeldata.encode(0x4000, b"x"), self.server)
            self.peer.sendto(b"x", allocation.relayed[self.family])
        for _ in range(3):
            self.poller.doRead()
        number = 2 * LISTENER_READS
        self.assertEqual(self.plane.close(allocation), Traffic(number, number, number, number))


class Calls(SynchronousTestCase):
    def setUp(self) -> None:
        if not supported():
            raise SkipTest("needs recvmmsg")

    def test_addresses_are_those_of_the_socket_module(self) -> None:
        for host, family in ((HOST4, socket.AF_INET), (HOST6, socket.AF_INET6)):
            with socket.socket(family, socket.SOCK_DGRAM) as here, socket.socket(family, socket.SOCK_DGRAM) as there:
                for sock in (here, there):
                    sock.bind((host, 0))
                there.sendto(b"x", here.getsockname())
                receiving = Receiving(Datagrams(0), family)
                self.assertEqual(receiving.receive(here.fileno(), 0, MANY), [1])
                name = receiving.read(0, 1)[0]
                self.assertEqual(Sources()[name], there.getsockname())
                self.assertEqual(name_of(there.getsockname())[: len(name)], name)
                fault = self.assertRaises(BlockingIOError, receiving.receive, here.fileno(), 0, MANY)
                self.assertEqual(fault.errno, errno.EAGAIN)
        scoped = ("fe80::1", 5000, 7, 2)
        self.assertEqual(Sources()[name_of(scoped)], scoped)
        self.assertRaises(OSError, name_of, ("example.org", 5000))

    def test_so_many_addresses_are_remembered(self) -> None:
        sources = Sources()
        for index in range(MAX_SOURCES + 1):
            name = name_of((f"10.0.{index >> 8}.{index & 255}", 5000))[:8]
            self.assertEqual(sources[name], (f"10.0.{index >> 8}.{index & 255}", 5000))
            self.assertLessEqual(len(sources), MAX_SOURCES)


class Support(SynchronousTestCase):
    def setUp(self) -> None:
        """It is asked once, so what is known is forgotten before and after."""
        supported.cache_clear()
        self.addCleanup(supported.cache_clear)

    def test_a_filter_of_system_calls_is_found_out(self) -> None:
        """Before it would make a listener deaf."""
        for number, expected in ((errno.EPERM, False), (errno.ENOSYS, False), (errno.EAGAIN, True)):
            supported.cache_clear()

            def refused(*arguments: object, number: int = number) -> int:
                ctypes.set_errno(number)
                return -1

            for call in ("_recvmmsg", "_sendmmsg"):
                self.patch(mmsg, call, refused)
            self.assertEqual(supported(), expected and mmsg._known)
