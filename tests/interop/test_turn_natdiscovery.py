"""coturn's client of NAT behaviour discovery against our server, on two loopback addresses."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from rtcd.config import ConfigError
from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import make_context
from tests.interop import require_program

ONE, TWO = "127.0.0.1", "127.0.0.2"


PORTS = range(20_000, 32_000)
"""None of which the system gives to whoever asks for any."""


def free_port(*taken: int) -> int:
    """A port that is free on both addresses, for UDP and TCP."""
    while True:
        port = random.choice(PORTS)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                for host in (ONE, TWO):
                    stack.enter_context(socket.socket(type=kind)).bind((host, port))
            if port not in taken:
                return port


class NatDiscovery(TestCase):
    """No NAT is between the two, which the client has to find out."""

    timeout = 60

    def setUp(self) -> None:
        self.context: Any = make_context(reactor, state=self.mktemp())
        self.port = free_port()
        self.alt_port = free_port(self.port)

    def start(self, *hosts: str) -> None:
        """Serve there."""
        service = TurnService(self.context, Settings(
            listen=hosts, port=self.port, alt_port=self.alt_port, tls=False, nat_discovery=True, external_ip=(),
            allow_loopback_peers=True))
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)

    async def discover(self, *options: str) -> str:
        """What the client says."""
        self.start(ONE, TWO)
        program = require_program("turnutils_natdiscovery")
        out, errors, code = await getProcessOutputAndValue(program, [*options, "-p", str(self.port), ONE])
        text = (out + errors).decode(errors="replace")
        self.assertEqual(code, 0, text)
        self.assertIn(f"Other addr: : {TWO}:{self.alt_port}", text)
        return str(text)

    async def test_mapping(self) -> None:
        self.assertIn("Endpoint Independent Mapping!", await self.discover("-m"))

    async def test_filtering(self) -> None:
        text = await self.discover("-f")
        self.assertIn("Endpoint Independent Filtering!", text)
        self.assertIn(f"Response origin: : {TWO}:{self.alt_port}", text)

    async def test_filtering_with_padding(self) -> None:
        self.assertIn("Endpoint Independent Filtering!", await self.discover("-f", "-P"))

    async def test_hairpinning(self) -> None:
        self.assertIn("hairpinning", await self.discover("-H"))

    async def test_lifetime(self) -> None:
        """Which asks for an answer at another port."""
        self.assertIn("Response origin", await self.discover("-t", "-T", "1"))

    def test_the_second_ports_are_refused_as_peers_and_offered_to_nobody(self) -> None:
        self.start(ONE, TWO)
        found = list(self.context.doorway.directory.listeners())
        self.assertEqual({one.host for one in found if one.port == self.alt_port}, {ONE, TWO})
        self.assertEqual({one.service for one in found if one.port == self.alt_port}, {"nat-discovery"})

    def test_one_address_is_not_enough(self) -> None:
        """coturn then announces its own address as the other."""
        fault = self.assertRaises(ConfigError, self.start, ONE)
        self.assertIn("[turn] nat-discovery: two addresses of one family are needed; listened on is 127.0.0.1", str(fault))

    def test_a_second_port_in_use_stops_the_start(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((TWO, self.alt_port))
            fault = self.assertRaises(ConfigError, self.start, ONE, TWO)
        self.assertIn("[turn] alt-port: udp port", str(fault))
