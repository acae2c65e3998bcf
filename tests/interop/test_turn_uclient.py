"""Every mode of coturn's client against our server, by each transport and family, and what is left when it has ended.

The client begins to send at a random moment of its first seconds, so the clients of one test run at the same time.
What it does otherwise than the RFCs say is told where a test has to allow for it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from twisted.internet import reactor as twisted_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import make_context
from tests.interop import require_program
from tests.interop.test_turn_coturn import FEW

reactor: Any = twisted_reactor

V4, V6 = "127.0.0.1", "::1"
DEADLINE_S = 15.0
LIFETIME_S = 777
"""What the client asks for."""


class Ended(NamedTuple):
    """What a client has said."""

    arguments: str
    text: str
    code: int

    def whole(self) -> bool:
        """Whether every message has come back: two clients with five each."""
        return (self.code == 0 and "Total lost packets 0 " in self.text
                and "start_mclient: tot_send_msgs=10, tot_recv_msgs=10\n" in self.text)


class UclientTestCase(TestCase):
    """A server of both families that has everything switched on. coturn's client takes channel numbers of RFC 5766."""

    timeout = 60
    relay_plane = "auto"

    def setUp(self) -> None:
        self.programs = [require_program(name) for name in ("timeout", "turnutils_uclient")]
        self.context: Any = make_context(reactor, state=self.mktemp())
        self.service: Any = TurnService(self.context, Settings(
            relay_plane=self.relay_plane,
            listen=(V4, V6), port=0, tls_port=0, dtls=True, tcp_relay=True, mobility=True, user=("u:p",), unauth_rate=0.0,
            allow_loopback_peers=True, min_port=40000, max_port=65535, rfc5766_channels=True, external_ip=()))
        doorway = self.context.doorway
        doorway.startService()
        self.addCleanup(doorway.stopService)
        self.service.privilegedStartService()
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.ports = {(one.transport, one.host): one.port
                      for one in doorway.directory.listeners("turn") if one.last_port is None}
        self.sockets = sockets()

    async def run_client(self, arguments: str, host: str = V4, until_s: float = DEADLINE_S) -> Ended:
        """One client with these arguments, to its end; 124 is the code of one that has to be stopped."""
        words = arguments.split()
        stream = bool({"-t", "-T", "-P"}.intersection(words))
        transport = ("tls" if stream else "dtls") if "-S" in words else "tcp" if stream else "udp"
        out, errors, code = await getProcessOutputAndValue(
            self.programs[0], [str(until_s), self.programs[1], *words, "-u", "u", "-w", "p", *FEW,
                               "-p", str(self.ports[transport, host]), host])
        return Ended(f"{arguments} {host}", (out + errors).decode(errors="replace"), code)

    async def run_clients(self, modes: Iterable[str], host: str = V4) -> None:
        """One client for each mode, all at the same time; each has to get everything back."""
        ended = await gatherResults([Deferred.fromCoroutine(self.run_client(mode, host)) for mode in modes])
        self.assertEqual([one.arguments for one in ended if not one.whole()], [],
                         [one.text[-1500:] for one in ended if not one.whole()])

    async def until(self, condition: Callable[[], bool]) -> None:
        """Nothing tells us, so this looks again and again."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"{self.left()}")
            await deferLater(reactor, 0.02)

    async def nothing_is_left(self, *, moving: bool = False) -> None:
        """Of what clients had. By streams all ends with the connection, unless a client may come back (``moving``). By
        datagrams an allocation that is not refreshed by zero lasts as long as was granted: at least that of the first
        socket of each client, which only tries whether there is a relay. How many more is not held here."""
        server = self.service._server
        await self.until(lambda: not self.service._streams._open and (
            moving or {one.five_tuple.transport for one in server.allocations} <= {"udp", "dtls"}))
        server.expire(reactor.seconds() + LIFETIME_S + 1)
        await self.until(lambda: not any(self.left().values()))

    def left(self) -> dict[str, int]:
        """How much of each thing there is that belongs to clients."""
        server, plane = self.service._server, self.service._plane
        return {
            "allocations": len(server.allocations), "of the user": server.allocations.of_user("u"),
            "of networks": sum(server.allocations._networks.values()), "connections": len(server.connections),
            "held ports": len(plane.sockets.held), "relays": len(plane._relays), "ways": len(plane._ways),
            "paths": len(plane._attached), "tcp relays": len(server.tcp._relays), "links": len(server.tcp._links),
            "streams": len(self.service._streams._open), "sockets": sockets() - self.sockets,
            "clients": sum(len(one.clients) for one in plane._listeners.values()),
        }

    def moved_bytes(self) -> dict[str, float]:
        """What relays have moved, by direction."""
        return {dict(one.labels)["direction"]: one.value for one in self.context.metrics.samples()
                if one.name == "rtcd_turn_relayed_bytes_total"}


def sockets() -> int:
    """How many this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return found


def _echoes(probe: socket.socket) -> bool:
    with contextlib.suppress(OSError):
        probe.send(b"is anybody there?")
        return bool(probe.recv(100))
    return False


class Datagrams(UclientTestCase):
    """By UDP and DTLS."""

    async def test_every_mode(self) -> None:
        """-N and -G ask wrong things besides, -D pads ChannelData, -g asks for whole packets, -M moves, -B goes away for
        a moment. With -Z it asks for both families, by an attribute number of a draft (0x8032), and gets them."""
        await self.run_clients([*(f"-y {mode}" for mode in (
            "", "-s", "-X", "-D", "-g", "-g -s", "-M", "-Z", "-G", "-N", "-B", "-l 1400", "-D -s -M -G")),
            *(f"-y -S {mode}" for mode in ("", "-s", "-X", "-D", "-g -s", "-Z", "-G", "-B"))])
        await self.nothing_is_left()
        self.assertGreaterEqual(min(self.moved_bytes().values()), 20 * 10 * 100 + 10 * 1400)

    async def test_by_ipv6(self) -> None:
        await self.run_clients((f"-y -x {mode}" for mode in (
            "", "-s", "-M", "-S", "-S -s", "-t", "-t -s", "-t -S", "-T", "-T -S")), V6)
        await self.nothing_is_left()

    async def test_a_flood_of_requests(self) -> None:
        """-O sends each request several times without waiting, and goes away; now and then it binds a channel to port 0,
        gets 400 for it, and gives up, which is no fault of ours."""
        await gatherResults([Deferred.fromCoroutine(self.run_client("-y -O")) for _ in range(4)])
        await self.run_clients(["-y"])
        await self.nothing_is_left()


    async def test_a_peer_that_is_another_program(self) -> None:
        """turnutils_peer sends back what comes."""
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.bind((V4, 0))
            port = probe.getsockname()[1]
        peer = subprocess.Popen([require_program("turnutils_peer"), "-L", V4, "-p", str(port)], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        self.addCleanup(peer.wait)
        self.addCleanup(peer.kill)
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            probe.connect((V4, port))
            await self.until(lambda: _echoes(probe))
        await self.run_clients(f"-e {V4} -r {port} {mode}" for mode in ("", "-s", "-g -s", "-t", "-t -S", "-S"))
        await self.nothing_is_left()


class StreamClients(UclientTestCase):
    """By TCP and TLS."""

    async def test_every_mode(self) -> None:
        """With -S it tries versions of TLS by chance until it has one that we speak. With -T the relays are TCP too
        (RFC 6062), and one of two sends a Connect to the other, which gets a ConnectionAttempt."""
        await self.run_clients([
            *(f"-y {by} {mode}" for by in ("-t", "-t -S") for mode in (
                "", "-s", "-X", "-D", "-g -s", "-Z", "-G", "-B", "-l 1400")),
            "-T", "-T -S", "-T -X", "-T -G"])
        await self.nothing_is_left()

    async def test_a_move_by_tcp_is_refused_as_the_client_repeats_itself(self) -> None:
        """With -M it sends its Refresh with the ticket twice, the same bytes within 10 ms, which RFC 8489 §6.2.2 forbids on
        streams. The first one moves the allocation, the ticket of the second one is used then: 437. Against turnserver it
        gets no answer and gives up too. The allocations wait for a client that comes back, and then expire."""
        ended = await self.run_client("-y -t -M")
        self.assertNotEqual(ended.code, 0)
        self.assertIn("437", ended.text)
        self.assertEqual(len(self.service._server.allocations), 2)
        await self.nothing_is_left(moving=True)

    async def test_a_peer_that_connects_to_a_relay(self) -> None:
        """-P: the peer is the client's own plain socket. It says that half is lost, and waits for it: it looks at what has
        come to that socket by MSG_PEEK again and again and never takes it. So we count what we have passed on."""
        client = Deferred.fromCoroutine(self.run_client("-P", until_s=9.0))
        tcp = self.service._server.tcp

        def both() -> bool:
            links = list(tcp._links.values())
            return [(one.sent_bytes, one.received_bytes) for one in links] == [(500, 500)]

        await self.until(both)
        self.assertFalse((await client).whole())
        await self.nothing_is_left()


class Garbage(UclientTestCase):
    async def test_garbage_of_one_client_harms_no_other(self) -> None:
        """-N and -R send wrong things between good ones. In some runs the client then never ends and has to be stopped: with
        -R against Debian's turnserver 4.6.1 too, by UDP and TCP in three runs of four, where -T -N fails at once."""
        hostile = [Deferred.fromCoroutine(self.run_client(f"{by} {mode}", until_s=6.0)) for mode in ("-N", "-R") for by in (
            "-y", "-y -S", "-y -t", "-y -t -S", "-T", "-T -S")]
        await self.run_clients(["-y", "-y -t"])
        ended = await gatherResults(hostile)
        self.assertEqual([one for one in ended if not one.whole() and one.code not in (124, 255)], [])
        await self.nothing_is_left()


class DatagramsOnSockets(Datagrams):
    relay_plane = "python"
