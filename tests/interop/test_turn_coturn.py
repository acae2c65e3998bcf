"""coturn's own clients against our server, over UDP on loopback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from rtcd.allocations.allocation import FiveTuple
from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import SECRET, make_context
from tests.interop import require_program

FEW = ("-c", "-n", "5", "-m", "2", "-z", "5")
"""No RTCP pairs, five messages of two clients, 5 ms between them."""


class CoturnTestCase(TestCase):
    """A server on loopback at a port of the system's choice. coturn's client takes channel numbers of RFC 5766."""

    timeout = 60
    relay_plane = "auto"
    host = "127.0.0.1"
    also: tuple[str, ...] = ()
    """Further hosts to listen on, and so to have relays on."""
    transport = "udp"

    context: Any
    more: Mapping[str, Any] = {}
    """Further settings."""

    def setUp(self) -> None:
        self.context = make_context(reactor, state=self.mktemp())
        self.service = TurnService(self.context, Settings(
            relay_plane=self.relay_plane,
            listen=(self.host, *self.also), port=0, tls_port=0, user=("u:p",), unauth_rate=0.0, allow_loopback_peers=True,
            min_port=40000, max_port=65535, rfc5766_channels=True, mobility=True, **self.more))
        self.moved: list[FiveTuple] = []
        self.patch(self.service._events, "allocation_moved", lambda allocation, old: self.moved.append(old))
        doorway = self.context.doorway
        doorway.startService()
        self.addCleanup(doorway.stopService)
        self.service.privilegedStartService()
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.port = next(one.port for one in self.context.doorway.directory.listeners("turn")
                         if (one.transport, one.host) == (self.transport, self.host) and one.last_port is None)

    async def run_program(self, name: str, *arguments: str) -> str:
        """Its output; it must end with success."""
        program = require_program(name)
        out, errors, code = await getProcessOutputAndValue(program, [*arguments, "-p", str(self.port), self.host])
        text = (out + errors).decode(errors="replace")
        self.assertEqual(code, 0, text[-2000:])
        return str(text)

    def relayed(self, direction: str) -> float:
        """Packets that ended allocations have moved."""
        stopped = self.service.stopService()
        self.addCleanup(lambda: stopped)
        samples = list(self.context.metrics.samples())
        return float(sum(one.value for one in samples
                         if one.name == "rtcd_turn_relayed_packets_total" and ("direction", direction) in one.labels))

    def moves(self) -> int:
        """How often a client has moved."""
        return len(self.moved)

    def whole(self, text: str) -> None:
        """Every message came back: two clients with five each."""
        self.assertIn("Total lost packets 0", text)
        self.assertIn("start_mclient: tot_send_msgs=10, tot_recv_msgs=10", text)


class Stun(CoturnTestCase):
    async def test_stunclient_learns_its_address(self) -> None:
        text = await self.run_program("turnutils_stunclient")
        self.assertIn(f"reflexive addr: {self.host}:", text)


class Turn(CoturnTestCase):
    async def test_uclient_relays_by_channels(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-y", "-u", "u", "-w", "p", *FEW))
        self.assertGreaterEqual(self.relayed("sent"), 10)

    async def test_uclient_relays_by_indications(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-y", "-s", "-u", "u", "-w", "p", *FEW))
        self.assertGreaterEqual(self.relayed("received"), 10)

    async def test_uclient_with_a_time_limited_name(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-y", "-W", SECRET, *FEW))

    async def test_uclient_with_its_rtcp_pairs(self) -> None:
        """As it is without -c: an even port, the next one reserved, and claimed by a second allocation."""
        text = await self.run_program("turnutils_uclient", "-y", "-u", "u", "-w", "p", "-n", "5", "-m", "2", "-z", "5")
        self.assertIn("Total lost packets 0", text)
        self.assertNotIn("error 508", text)
        self.assertGreaterEqual(self.relayed("sent"), 20)

    async def test_uclient_with_large_messages(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-y", "-u", "u", "-w", "p", "-l", "1400", *FEW))

    async def test_uclient_moves_to_another_port_with_its_ticket(self) -> None:
        """RFC 8016, and back again every few messages; no answer comes twice."""
        self.whole(await self.run_program("turnutils_uclient", "-y", "-M", "-u", "u", "-w", "p", *FEW))
        self.assertGreater(self.moves(), 0)

    async def test_uclient_asks_for_whole_packets(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-y", "-s", "-g", "-u", "u", "-w", "p", *FEW))

    async def test_uclient_with_a_wrong_password_is_refused(self) -> None:
        program = require_program("turnutils_uclient")
        _, _, code = await getProcessOutputAndValue(
            program, ["-y", "-u", "u", "-w", "wrong", *FEW, "-p", str(self.port), self.host])
        self.assertNotEqual(code, 0)
        self.assertEqual(self.relayed("sent"), 0)


class BothFamilies(CoturnTestCase):
    """Where there is IPv4 alone, this client names peers of IPv6 all the same, by chance, and gives up at the 443."""

    also = ("::1",)

    async def test_uclient_with_relays_of_both_families(self) -> None:
        """It asks by the attribute number of a draft (0x8032)."""
        families: list[set[int]] = []
        self.patch(self.service._events, "allocation_created", lambda allocation: families.append(set(allocation.relayed)))
        text = await self.run_program("turnutils_uclient", "-y", "-Z", "-u", "u", "-w", "p", "-n", "5", "-m", "2", "-z", "5")
        self.assertIn("Total lost packets 0", text)
        self.assertTrue(families and all(one == {1, 2} for one in families), families)


class TurnTcp(CoturnTestCase):
    """The same by TCP: relays are UDP as ever."""

    transport = "tcp"

    async def test_uclient_relays_by_channels(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-t", "-y", "-u", "u", "-w", "p", *FEW))
        self.assertGreaterEqual(self.relayed("sent"), 10)

    async def test_uclient_relays_by_indications(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-t", "-y", "-s", "-u", "u", "-w", "p", *FEW))
        self.assertGreaterEqual(self.relayed("received"), 10)

    async def test_uclient_with_large_messages(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-t", "-y", "-u", "u", "-w", "p", "-l", "1400", *FEW))


class TurnTls(CoturnTestCase):
    """The same inside TLS."""

    transport = "tls"

    async def test_uclient_relays_by_channels(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-t", "-S", "-y", "-u", "u", "-w", "p", *FEW))
        self.assertGreaterEqual(self.relayed("sent"), 10)

    async def test_uclient_relays_by_indications(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-t", "-S", "-y", "-s", "-u", "u", "-w", "p", *FEW))
        self.assertGreaterEqual(self.relayed("received"), 10)

    async def test_many_clients_at_once(self) -> None:
        text = await self.run_program(
            "turnutils_uclient", "-t", "-S", "-y", "-c", "-m", "10", "-n", "50", "-z", "5", "-u", "u", "-w", "p")
        self.assertIn("start_mclient: tot_send_msgs=500, tot_recv_msgs=500", text)


class TurnAtTheWebPort(CoturnTestCase):
    """Inside TLS on the port of the site, where the first bytes tell what it is."""

    transport = "tls"

    def setUp(self) -> None:
        super().setUp()
        port: Any = reactor.listenTCP(0, self.context.doorway._factories["https"], interface=self.host)
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port

    async def test_frames_that_go_out_together_are_records_of_their_own(self) -> None:
        """The client takes a record for a message, and would lose what is joined."""
        text = await self.run_program(
            "turnutils_uclient", "-t", "-S", "-y", "-c", "-m", "10", "-n", "50", "-z", "5", "-u", "u", "-w", "p")
        self.assertIn("start_mclient: tot_send_msgs=500, tot_recv_msgs=500", text)


class Turn6(CoturnTestCase):
    host = "::1"

    async def test_uclient_relays_over_ipv6(self) -> None:
        self.whole(await self.run_program("turnutils_uclient", "-y", "-x", "-u", "u", "-w", "p", *FEW))


class TurnOnSockets(Turn):
    relay_plane = "python"


class Turn6OnSockets(Turn6):
    relay_plane = "python"
