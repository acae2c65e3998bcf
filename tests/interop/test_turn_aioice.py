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
import asyncio, sys
import aioice

async def main(port, username, password):
    turn = dict(turn_server=("127.0.0.1", port), turn_username=username, turn_password=password,
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

    async def test_two_peers_meet_by_relays_alone(self) -> None:
        context: Any = make_context(reactor)
        service = TurnService(context, Settings(
            listen=("127.0.0.1",), port=0, allow_loopback_peers=True, min_port=40000, max_port=65535))
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        port = next(context.doorway.directory.listeners("turn")).port
        credential = context.credentials.issue("ann", context.reactor.seconds())
        out, errors, code = await getProcessOutputAndValue(
            sys.executable, ["-c", TWO_PEERS, str(port), credential.username, credential.password])
        self.assertEqual((out.strip(), code), (b"relayed", 0), errors.decode()[-2000:])
