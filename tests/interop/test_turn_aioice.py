"""aioice as TURN client with credentials of the daemon, in a process of its own."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import make_context

TWO_PEERS = """
import asyncio, ssl, sys
import aioice

trusting = ssl.create_default_context()
trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

async def main(port, transport, username, password):
    turn = dict(turn_server=("127.0.0.1", port), turn_username=username, turn_password=password,
                turn_transport="udp" if transport == "udp" else "tcp", turn_ssl=trusting if transport == "tls" else False,
                transport_policy=aioice.TransportPolicy.RELAY, use_ipv6=False)
    a = aioice.Connection(ice_controlling=True, **turn)
    b = aioice.Connection(ice_controlling=False, **turn)
    await asyncio.gather(a.gather_candidates(), b.gather_candidates())
    assert {one.type for one in a.local_candidates} == {"relay"}, a.local_candidates
    for one, other in ((a, b), (b, a)):
        for candidate in other.local_candidates:
            await one.add_remote_candidate(candidate)
        await one.add_remote_candidate(None)
        one.remote_username, one.remote_password = other.local_username, other.local_password
    await asyncio.gather(a.connect(), b.connect())
    for data in (b"ping", b"x" * 1200):
        await a.send(data)
        assert await b.recv() == data
        await b.send(data)
        assert await a.recv() == data
    await asyncio.gather(a.close(), b.close())
    print("relayed")

asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
"""


class Aioice(TestCase):
    timeout = 60
    relay_plane = "auto"

    def setUp(self) -> None:
        """A server on loopback that listens on everything."""
        self.context: Any = make_context(reactor, state=self.mktemp())
        service = TurnService(self.context, Settings(
            relay_plane=self.relay_plane,
            listen=("127.0.0.1",), port=0, tls_port=0, allow_loopback_peers=True, min_port=40000, max_port=65535))
        for one in (self.context.doorway, service):
            one.privilegedStartService()
            one.startService()
            self.addCleanup(one.stopService)

    async def meet(self, transport: str) -> None:
        """Two peers with relays that they reach by this transport."""
        port = next(one.port for one in self.context.doorway.directory.listeners("turn") if one.transport == transport)
        credential = self.context.credentials.issue("ann", self.context.reactor.seconds())
        out, errors, code = await getProcessOutputAndValue(
            sys.executable, ["-c", TWO_PEERS, str(port), transport, credential.username, credential.password])
        self.assertEqual((out.strip(), code), (b"relayed", 0), errors.decode()[-2000:])

    async def test_two_peers_meet_by_relays_alone(self) -> None:
        await self.meet("udp")

    async def test_two_peers_meet_by_tcp(self) -> None:
        await self.meet("tcp")

    async def test_two_peers_meet_by_tls(self) -> None:
        await self.meet("tls")


class AioiceOnSockets(Aioice):
    relay_plane = "python"
