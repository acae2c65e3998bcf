"""DONT-FRAGMENT where loopback carries 1500 bytes. Not for the machine's own network: test_turn_errors makes one for it."""

from __future__ import annotations

import socket

from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.plane.sockets import IP_MTU_DISCOVER, IP_PMTUDISC_DONT
from rtcd.stun.attributes import ICMP, XOR_PEER_ADDRESS
from tests.shell.test_turn_errors import SMALL_MTU, ErrorTestCase
from tests.shell.test_turn_relay import FakePath


class Whole(ErrorTestCase):
    """DONT-FRAGMENT, where datagrams are longer than the network carries in one."""

    def sent(self, allocation: Allocation, size: int, whole: bool) -> bytes | None:
        """What the peer gets of a Send."""
        self.plane.send(allocation, self.address(self.peer), b"z" * size, whole)
        self.poller.doRead()
        return self.got(self.peer)

    def test_what_may_not_be_fragmented_is_dropped_and_the_client_told_what_passes(self) -> None:
        """RFC 8656 §11.5: as a router says it. And only this datagram: the next ones are fragmented again."""
        allocation = self.permitted()
        self.assertEqual(self.sent(allocation, SMALL_MTU - 28, True), b"z" * (SMALL_MTU - 28))
        for whole in (True, False, True):
            expected = None if whole else b"z" * (SMALL_MTU - 27)
            self.assertEqual(self.sent(allocation, SMALL_MTU - 27, whole), expected)
        told = self.indications()
        self.assertEqual([one.get(ICMP) for one in told], [(3, 4, SMALL_MTU.to_bytes(4, "big"))] * 2)
        self.assertEqual([one.get(XOR_PEER_ADDRESS) for one in told], [self.address(self.peer)] * 2)
        self.assertEqual(self.drops["send-failed"].value, 2)
        self.assertEqual(self.plane.close(allocation), Traffic(2, 2 * SMALL_MTU - 55, 0, 0))

    def test_the_socket_fragments_again_whatever_came_of_it(self) -> None:
        allocation = self.permitted()
        for size in (1, 9000, 70000):
            self.sent(allocation, size, True)
            found = self.relay(allocation).sock.getsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER)
            self.assertEqual(found, IP_PMTUDISC_DONT)

    def test_it_is_ignored_for_clients_on_ipv6(self) -> None:
        """RFC 8656 §14 knows no DF there."""
        stream = FiveTuple("tcp", ("2001:db8::9", 5000), ("2001:db8::1", 3478))
        self.plane.attach(stream, FakePath())
        allocation = self.permitted()
        self.plane.move(allocation, stream)
        self.assertEqual(self.sent(allocation, 9000, True), b"z" * 9000)

    def test_too_long_for_any_datagram_is_not_told_as_an_error_of_the_network(self) -> None:
        allocation = self.permitted()
        self.assertIsNone(self.sent(allocation, 65530, False))
        self.assertEqual((self.indications(), self.drops["send-failed"].value, self.waiting()), ([], 1, []))
