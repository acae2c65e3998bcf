"""Tests of the bounds on connections, and of the end of them all."""

from __future__ import annotations

from rtcd.doorway.connections import CLOSE_GRACE_S
from rtcd.doorway.settings import DoorwaySettings
from tests.shell.test_doorway_switch import GET, HTTP, HTTPS, PLAIN, DoorwayTestCase


class BoundsTests(DoorwayTestCase):
    """Every limit, and what happens one past it."""

    settings = DoorwaySettings(
        plain=("tcp:8081:interface=127.0.0.1",), max_connections=4, max_undecided=3, max_undecided_per_address=2
    )

    def refused(self, reason: str) -> float:
        """How often that was the reason."""
        return self.count("refused_connections_total", reason=reason)

    def test_a_connection_that_does_not_decide_in_time_is_cut(self) -> None:
        """Silent, cut short, half a handshake, or a handshake with nothing inside."""
        links = [self.dial(host="192.0.2.1"), self.dial(host="192.0.2.2"), self.dial(tls=True, host="192.0.2.3")]
        links[1].send(b"\x16\x03")
        self.reactor.advance(9.5)
        self.assertFalse(any(link.server_transport.disconnecting for link in links))
        self.reactor.advance(0.5)
        self.assertTrue(all(link.server_transport.disconnecting for link in links))
        self.assertEqual((self.refused("timeout"), self.count("undecided_connections")), (3, 0))

    def test_each_connection_has_its_own_time(self) -> None:
        """A later one is not cut with an earlier one."""
        first = self.dial()
        self.reactor.advance(6)
        second = self.dial()
        self.reactor.advance(4)
        self.assertEqual((first.server_transport.disconnecting, second.server_transport.disconnecting), (True, False))
        self.reactor.advance(6)
        self.assertTrue(second.server_transport.disconnecting)

    def test_trickling_does_not_buy_time(self) -> None:
        """The clock is not reset by a byte."""
        link = self.dial()
        for byte in b"GETGETG":
            link.send(bytes([byte]))
            self.reactor.advance(1.5)
        self.assertTrue(link.server_transport.disconnecting)

    def test_a_decided_connection_is_off_the_clock(self) -> None:
        """A stream may be silent for as long as its own protocol allows."""
        link = self.dial(tls=True, alpn=[b"stun.turn"])
        self.reactor.advance(1000)
        self.assertFalse(link.closed)

    def test_one_address_has_so_many_undecided_connections(self) -> None:
        """One more is refused; others are not affected, and a decided one makes room."""
        first = self.dial()
        self.dial()
        self.assertRaises(ConnectionRefusedError, self.dial)
        self.dial(host="192.0.2.99")
        first.send(GET)
        self.dial()
        self.assertEqual(self.refused("address"), 1)

    def test_one_ipv6_network_counts_as_one_address(self) -> None:
        """Whoever has one address has a /56 of them."""
        table = self.door._connections
        table.undecided("a", "2001:db8::1")
        table.undecided("b", "2001:db8:0:1::2")
        self.assertFalse(table.admits("2001:db8:0:ff::3", undecided=True))
        self.assertTrue(table.admits("2001:db8:0:100::3", undecided=True))
        for transport in "ab":
            table.decided(transport)

    def test_too_many_undecided_connections_cut_the_oldest(self) -> None:
        """A flood can then not keep everybody else out: a handshake takes less time than the flood has."""
        links = [self.dial(host=f"192.0.2.{n}") for n in range(4)]
        self.assertEqual([link.server_transport.disconnecting for link in links], [True, False, False, False])
        self.assertEqual((self.refused("oldest"), self.count("undecided_connections")), (1, 3))

    def test_there_are_so_many_connections_in_all(self) -> None:
        """On all ports together; one that ends makes room."""
        links = [self.dial(port) for port in (HTTP, HTTP, PLAIN, HTTPS)]
        for port in (HTTP, PLAIN, HTTPS):
            self.assertRaises(ConnectionRefusedError, self.dial, port)
        links[0].hang_up()
        self.dial(HTTP)
        self.assertEqual(self.refused("total"), 3)

    def test_a_clock_put_back_does_not_keep_a_connection_for_ever(self) -> None:
        """Unix time steps."""
        link = self.dial()
        self.reactor.rightNow -= 3600
        for call in self.reactor.getDelayedCalls():
            call.time -= 3600  # type: ignore[attr-defined]  # the fake's own calls
        self.reactor.advance(10)
        self.assertTrue(link.server_transport.disconnecting)


class AddressTests(DoorwayTestCase):
    """Open connections of one address."""

    settings = DoorwaySettings(plain=("tcp:8081:interface=127.0.0.1",), max_connections_per_address=2)

    def test_one_address_has_so_many_connections(self) -> None:
        """Decided ones too, by each door; a proxy on this machine speaks for many people and is not counted."""
        links = [self.dial(HTTP), self.dial(HTTP)]
        self.assertRaises(ConnectionRefusedError, self.dial, HTTP)
        self.dial(HTTP, host="192.0.2.99")
        for _ in range(4):
            self.dial(PLAIN, host="127.0.0.1")
        links[0].hang_up()
        self.dial(HTTP)
        self.assertEqual(self.count("refused_connections_total", reason="address"), 1)


class HandshakeTests(DoorwayTestCase):
    """How much work a stranger may make us do."""

    settings = DoorwaySettings(plain=("tcp:8081:interface=127.0.0.1",), handshake_rate=0.3)

    def shaken(self, host: str) -> bool:
        """Whether this host gets a handshake now."""
        return self.dial(tls=True, alpn=[b"http/1.1"], host=host).shown is not None

    def test_one_address_gets_so_many_handshakes(self) -> None:
        """One more is refused before anything is computed, until some time has passed; others are not concerned."""
        self.assertEqual([self.shaken("192.0.2.7") for _ in range(4)], [True, True, True, False])
        self.assertTrue(self.shaken("192.0.2.8"))
        self.assertEqual(self.count("refused_connections_total", reason="handshakes"), 1)
        self.reactor.advance(4)
        self.assertTrue(self.shaken("192.0.2.7"))

    def test_loopback_is_not_counted(self) -> None:
        """What stands there speaks for many."""
        self.assertTrue(all(self.shaken("127.0.0.1") for _ in range(9)))

    def test_what_is_no_tls_is_not_counted(self) -> None:
        """A redirect costs nothing."""
        for _ in range(9):
            self.assertIn(b"301", self.dial().send(GET))


class StopTests(DoorwayTestCase):
    """The end: listeners, then connections, then the Deferred."""

    def test_stopping_closes_listeners_and_connections(self) -> None:
        """What is open says goodbye; what is undecided is cut. Nothing is left behind."""
        links = [self.dial(tls=True, alpn=[b"http/1.1"]), self.dial(tls=True, alpn=[b"stun.turn"]), self.dial(PLAIN)]
        undecided = self.dial()
        stopped = self.door.stopService()
        self.assertNoResult(stopped)
        for link in [*links, undecided]:
            link.settle()
        self.successResultOf(stopped)
        self.assertTrue(all(link.closed for link in links))
        self.assertEqual(list(self.door.directory.listeners()), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_peer_that_does_not_close_is_cut_after_the_grace_time(self) -> None:
        """The daemon ends even if a peer is asleep."""
        link = self.dial(tls=True, alpn=[b"stun.turn"])
        stopped = self.door.stopService()
        self.assertFalse(link.server_transport.disconnecting)
        self.reactor.advance(CLOSE_GRACE_S)
        self.assertTrue(link.server_transport.disconnecting)
        link.settle()
        self.successResultOf(stopped)

    def test_nobody_is_let_in_while_it_stops(self) -> None:
        """An accepted connection may be waiting in the reactor."""
        self.dial(tls=True, alpn=[b"stun.turn"])
        self.door.stopService()
        self.assertRaises(ConnectionRefusedError, self.dial)

    def test_it_can_be_started_again(self) -> None:
        """A service is not used up by being stopped."""
        self.successResultOf(self.door.stopService())
        self.door.startService()
        self.assertIn(b"site", self.dial(tls=True).send(GET))
