"""ICMP errors at relays, from the kernel: closed ports on loopback, and too small an MTU in a network of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.plane.errors import MAX_ERRORS, TOLD_PER_S
from rtcd.stun import channeldata
from rtcd.stun.attributes import DATA, ICMP, XOR_PEER_ADDRESS, Address, Family
from rtcd.stun.message import Class, Message, Method, decode
from tests.shell.test_turn_relay import FakePath, PlaneTestCase

SMALL_MTU = 1500


class ErrorTestCase(PlaneTestCase):
    unreachable = (3, 3, bytes(4))

    def closed(self) -> Address:
        """Where nobody listens."""
        sock = self.open_socket()
        address = self.address(sock)
        sock.close()
        return address

    def permitted(self) -> Allocation:
        """An allocation whose peers are all those of this host."""
        allocation = self.allocate()
        self.plane.permit(allocation, self.host, 300.0, self.host)
        return allocation

    def indications(self) -> list[Message]:
        """What the client has got."""
        found = []
        while (data := self.got(self.client)) is not None:
            found.append(decode(data))
        return found

    def waiting(self) -> list[tuple[int, int]]:
        """What would wake the poller."""
        return self.poller._epoll.poll(0)


class Errors(ErrorTestCase):
    def test_the_client_is_told_that_a_port_is_closed(self) -> None:
        """RFC 8656 §11.5: a Data indication with peer and ICMP, and without DATA."""
        closed = self.closed()
        allocation = self.allocate()
        self.plane.permit(allocation, self.host, 300.0, "2001:db8::9" if self.family == 2 else "203.0.113.9")
        self.plane.send(allocation, closed, b"hello")
        self.poller.doRead()
        (message,) = self.indications()
        self.assertEqual((message.method, message.class_), (Method.DATA, Class.INDICATION))
        self.assertEqual((message.get(ICMP), message.get(DATA)), (self.unreachable, None))
        self.assertEqual(message.get(XOR_PEER_ADDRESS), ("2001:db8::9" if self.family == 2 else "203.0.113.9", closed[1]))
        self.assertFalse(message.integrity_at or message.fingerprint_at)

    def test_an_error_wakes_once(self) -> None:
        """The queue is read until it is empty, else the process would spin."""
        allocation = self.permitted()
        self.plane.send(allocation, self.closed(), b"x")
        self.assertEqual(len(self.waiting()), 1)
        self.poller.doRead()
        self.assertEqual(self.waiting(), [])

    def test_a_send_is_not_lost_for_the_error_of_another(self) -> None:
        allocation = self.permitted()
        self.plane.send(allocation, self.closed(), b"x")
        self.plane.send(allocation, self.address(self.peer), b"hello")
        self.assertEqual((self.got(self.peer), self.drops["send-failed"].value), (b"hello", 0))
        self.assertEqual([one.get(ICMP) for one in self.indications()], [self.unreachable])
        self.assertEqual(self.plane.close(allocation), Traffic(2, 6, 0, 0))

    def test_channel_data_is_not_lost_for_the_error_of_another(self) -> None:
        """Neither a client's datagram nor a stream's, in whatever order they are read."""
        allocation = self.bound()
        self.plane.bind(allocation, 0x4001, self.closed(), 600.0)
        for _ in range(5):
            self.client.sendto(channeldata.encode(0x4001, b"lost"), self.server)
            self.client.sendto(channeldata.encode(0x4000, b"hello"), self.server)
        self.poller.doRead()
        self.assertEqual([self.got(self.peer) for _ in range(6)], [b"hello"] * 5 + [None])
        self.assertEqual((self.drops["send-failed"].value, len(self.indications())), (0, 5))
        stream, path = FiveTuple("tcp", ("192.0.2.9", 5000), self.server), FakePath()
        self.plane.attach(stream, path)
        self.plane.move(allocation, stream)
        for channel in (0x4001, 0x4000):
            self.plane.channel_data(channeldata.encode(channel, b"hello"), stream)
        self.assertEqual((self.got(self.peer), len(path.frames)), (b"hello", 1))
        self.assertEqual(self.plane.traffic(allocation), Traffic(12, 5 * 9 + 2 * 5, 0, 0))

    def test_a_peers_datagram_is_not_lost_for_an_error(self) -> None:
        allocation = self.bound()
        self.plane.send(allocation, self.closed(), b"x")
        self.peer.sendto(b"hello", allocation.relayed[self.family])
        relay = self.relay(allocation)
        self.assertFalse(relay.reader()(self.clock.seconds(), 10))
        self.assertEqual(self.drops["receive-failed"].value, 0)
        told, relayed = sorted(self.got(self.client) or b"" for _ in range(2))
        self.assertEqual(decode(told).get(ICMP), self.unreachable)
        self.assertEqual(relayed, channeldata.encode(0x4000, b"hello"))

    def test_more_errors_than_are_read_at_once_lose_nothing_and_end(self) -> None:
        allocation = self.permitted()
        closed, relay = self.closed(), self.relay(allocation)
        for _ in range(2 * MAX_ERRORS + 1):
            while True:
                try:
                    relay.sock.sendto(b"x", closed)
                except ConnectionRefusedError:
                    continue
                break
        self.plane.send(allocation, self.address(self.peer), b"hello")
        self.assertEqual(self.got(self.peer), b"hello")
        for _ in range(3):
            self.poller.doRead()
        self.assertEqual(self.waiting(), [])

    def test_without_a_permission_nothing_is_told(self) -> None:
        """It ended, or the error is about a peer that never had one."""
        allocation = self.permitted()
        self.clock.advance(300)
        self.plane.send(allocation, self.closed(), b"x")
        self.poller.doRead()
        self.plane.send(self.allocate(self.peer), self.closed(), b"x")
        self.poller.doRead()
        self.assertEqual((self.indications(), self.got(self.peer), self.drops["no-permission"].value), ([], None, 2))

    def test_a_client_is_told_so_many_a_second(self) -> None:
        allocation = self.permitted()
        closed, most = self.closed(), int(TOLD_PER_S)
        for _ in range(most + 7):
            self.plane.send(allocation, closed, b"x")
        self.poller.doRead()
        self.assertEqual((len(self.indications()), self.drops["icmp"].value), (most, 7))
        self.clock.advance(1)
        self.plane.send(allocation, closed, b"x")
        self.poller.doRead()
        self.assertEqual(len(self.indications()), 1)

    def test_clients_on_streams_are_told_as_well(self) -> None:
        stream, path = FiveTuple("tcp", ("192.0.2.9", 5000), self.server), FakePath()
        self.plane.attach(stream, path)
        allocation = self.permitted()
        self.plane.move(allocation, stream)
        self.plane.send(allocation, self.closed(), b"x")
        self.poller.doRead()
        self.assertEqual([decode(one).get(ICMP) for one in path.frames], [self.unreachable])
        path.full = True
        self.plane.send(allocation, self.closed(), b"x")
        self.poller.doRead()
        self.assertEqual((len(path.frames), self.drops["slow-client"].value), (1, 1))

    def test_fingerprint_goes_on_it_if_wanted(self) -> None:
        self.plane.fingerprint = True
        self.plane.send(self.permitted(), self.closed(), b"x")
        self.poller.doRead()
        self.assertTrue(self.indications()[0].fingerprint_at)

    def test_a_kernel_that_keeps_no_errors_is_done_without(self) -> None:
        self.patch(sys.modules["rtcd.plane.errors"], "_NOTICES", ((socket.IPPROTO_IP, 250), (socket.IPPROTO_IPV6, 250)))
        allocation = self.permitted()
        self.plane.send(allocation, self.closed(), b"x")
        self.plane.send(allocation, self.address(self.peer), b"hello")
        self.poller.doRead()
        self.assertEqual((self.got(self.peer), self.indications()), (b"hello", []))


class Errors6(Errors):
    """The same over IPv6."""

    host = "::1"
    family = Family.IPV6
    unreachable = (1, 4, bytes(4))


class OwnNetwork(SynchronousTestCase):
    def test_datagrams_that_must_stay_whole(self) -> None:
        """tests.shell.small_network, where the loopback interface carries 1500 bytes."""
        for program in ("unshare", "ip"):
            if shutil.which(program) is None:
                raise SkipTest(f"needs {program}")
        unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-r", "-n"]
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
            raise SkipTest("may make no network namespace")
        folder = os.path.abspath(self.mktemp())
        done = subprocess.run(
            [*unshare, "sh", "-c", f'ip link set lo up mtu {SMALL_MTU} && exec "$@"', "sh", sys.executable, "-m",
             "twisted.trial", "--temp-directory", folder, "tests.shell.small_network"],
            cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True,
            timeout=60, check=False)
        self.assertEqual((done.returncode, "PASSED (successes=4)" in done.stdout), (0, True), done.stdout + done.stderr)


class Whole6(ErrorTestCase):
    host = "::1"
    family = Family.IPV6

    def test_dont_fragment_is_ignored_at_ipv6_relays(self) -> None:
        self.plane.send(self.permitted(), self.address(self.peer), b"x", dont_fragment=True)
        self.assertEqual(self.got(self.peer), b"x")
