"""Where the public address comes from: coturn as STUN server, and a cloud played in a network namespace."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any, cast
from unittest import SkipTest

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from rtcd.outside.outside import Lookups
from tests.interop import require_program

ROOT = Path(__file__).resolve().parents[2]


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


SET_UP = ("ip link set lo up && ip address add 10.0.0.1/32 dev lo && ip address add 169.254.169.254/32 dev lo"
          ' && exec "$@"')


class InCloud(TestCase):
    timeout = 60

    async def run_inside(self, *command: str) -> tuple[str, int]:
        """Output and exit code of a command in a network of its own, with the addresses of a machine in a cloud."""
        unshare, _ = require_program("unshare"), require_program("ip")
        out, errors, code = await getProcessOutputAndValue(
            unshare, ["-Urn", "sh", "-c", SET_UP, "sh", *command], env={**os.environ, "PYTHONPATH": str(ROOT)})
        return (out + errors).decode(errors="replace"), code

    async def test_a_machine_in_a_cloud_relays_between_its_public_addresses(self) -> None:
        """Nothing is configured; both clients know each other by the public address, which leads nowhere from here."""
        client = require_program("turnutils_uclient")
        text, code = await self.run_inside("true")
        if code != 0:
            raise SkipTest(f"no network namespace can be made here: {text.strip()}")
        text, code = await self.run_inside(sys.executable, "-m", "tests.interop.in_cloud", client)
        self.assertEqual(code, 0, text[-2000:])
        self.assertIn("told: ['8.8.8.1'], code: 0", text)
        self.assertIn("tot_send_msgs=10, tot_recv_msgs=10", text)
