"""coturn as the STUN server that tells how our relay address looks from outside."""

from __future__ import annotations

import socket
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from rtcd.turn.outside import Lookups
from tests.interop import require_program


class Turnserver(ProcessProtocol):
    """Tells when it has ended."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def processEnded(self, reason: Failure) -> None:
        """Whatever the code is."""
        self.ended.callback(None)


class Coturn(TestCase):
    timeout = 60

    def setUp(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        program = require_program("turnserver")
        protocol = Turnserver()
        spawn = cast(Any, reactor).spawnProcess
        process = spawn(protocol, program, [
            program, "-n", "--stun-only", "-L", "127.0.0.1", "-p", str(self.port), "--no-tls", "--no-dtls", "--no-cli",
            "--log-file", "stdout", "--pidfile", self.mktemp()], env=None)

        def end() -> Deferred[None]:
            process.signalProcess("KILL")
            return protocol.ended

        self.addCleanup(end)

    async def test_it_tells_the_address_that_asks(self) -> None:
        """It may not be up yet: that is what requests are sent again for."""
        lookups = Lookups(reactor, ("127.0.0.1", self.port))
        for host in ("127.0.0.1", "127.0.0.2"):
            self.assertEqual(await lookups.reflexive(host), host)

    async def test_by_its_name_too(self) -> None:
        self.assertEqual(await Lookups(reactor, ("localhost", self.port)).reflexive("127.0.0.1"), "127.0.0.1")
