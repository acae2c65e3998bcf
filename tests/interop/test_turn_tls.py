"""OpenSSL's client against TURN inside TLS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import make_context
from tests.interop import require_program
from tests.interop.test_tls_doorway import Program

BINDING = bytes.fromhex("000100002112a442") + b"transaction!"


class TurnTls(TestCase):
    timeout = 30

    def setUp(self) -> None:
        """A relay with the certificate of a doorway that has nothing else to do."""
        self.state = Path(self.mktemp()).resolve()
        self.context: Any = make_context(reactor, state=str(self.state))
        doorway = self.context.doorway
        service = TurnService(self.context, Settings(
            listen=("127.0.0.1",), port=0, tls_port=0, min_port=40000, max_port=65535))
        for one in (doorway, service):
            one.privilegedStartService()
            one.startService()
            self.addCleanup(one.stopService)
        self.port = next(one.port for one in doorway.directory.listeners("turn") if one.transport == "tls")

    async def openssl(self, *arguments: str, given: bytes = b"", until: bytes = b"") -> bytes:
        """What openssl s_client prints; it verifies the certificate."""
        program = Program(given, until)
        common = ("s_client", "-connect", f"localhost:{self.port}", "-CAfile", str(self.state / "ca.crt"),
                  "-verify_return_error")
        path = require_program("openssl")
        reactor.spawnProcess(program, path, ["openssl", *common, *arguments], os.environ)
        return bytes((await program.done)[1])

    async def test_a_binding_is_answered_with_and_without_alpn(self) -> None:
        """In both versions of TLS."""
        for arguments in ((), ("-alpn", "stun.turn"), ("-tls1_2",), ("-tls1_3", "-alpn", "stun.turn,http/1.1")):
            output = await self.openssl("-quiet", "-no_ign_eof", *arguments, given=BINDING, until=b"transaction!")
            self.assertIn(bytes.fromhex("0101000c2112a442") + b"transaction!", output)

    async def test_the_alpn_name_is_selected_if_it_is_offered(self) -> None:
        """RFC 7443 §3."""
        self.assertIn(b"ALPN protocol: stun.turn", await self.openssl("-alpn", "http/1.1,stun.turn"))
        self.assertIn(b"ALPN protocol: stun.nat-discovery", await self.openssl("-alpn", "http/1.1,stun.nat-discovery"))
        self.assertIn(b"No ALPN negotiated", await self.openssl())

    async def test_a_new_certificate_is_shown_from_the_next_handshake_on(self) -> None:
        before = await self.openssl("-showcerts")
        (self.state / "server.crt").unlink()
        self.assertTrue(self.context.doorway.reload())
        after = await self.openssl("-showcerts")
        self.assertNotEqual(*(one[one.index(b"-----BEGIN") : one.index(b"-----END")] for one in (before, after)))
