"""coturn's client is sent from one server of ours to another, on loopback."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import make_context
from tests.interop import require_program


class RedirectTests(TestCase):
    """300 and ALTERNATE-SERVER, as somebody else reads them."""

    timeout = 60

    def start(self, **options: Any) -> tuple[Any, int]:
        """The context and the port of a server."""
        context: Any = make_context(reactor)
        service = TurnService(context, Settings(
            listen=("127.0.0.1",), port=0, tcp=False, tls=False, user=("u:p",), unauth_rate=0.0, allow_loopback_peers=True,
            min_port=40000, max_port=65535, rfc5766_channels=True, **options))
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        return context, next(context.doorway.directory.listeners("turn")).port

    def made(self, context: Any) -> float:
        """Allocations that a server has made."""
        return float(sum(one.value for one in context.metrics.samples() if one.name == "rtcd_turn_allocations_total"))

    async def test_uclient_relays_at_the_server_that_it_is_sent_to(self) -> None:
        """The first one makes no allocation."""
        program = require_program("turnutils_uclient")
        second, there = self.start()
        first, here = self.start(alternate_server=(f"127.0.0.1:{there}",))
        out, errors, code = await getProcessOutputAndValue(
            program, ["-y", "-u", "u", "-w", "p", "-c", "-n", "5", "-m", "2", "-z", "5", "-p", str(here), "127.0.0.1"])
        text = (out + errors).decode(errors="replace")
        self.assertEqual(code, 0, text[-2000:])
        self.assertIn("Total lost packets 0", text)
        self.assertEqual(self.made(first), 0)
        self.assertGreaterEqual(self.made(second), 2)
