"""The doorway on real sockets, with curl and openssl as clients."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from pathlib import Path
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource

from rtcd.config import ConfigError
from rtcd.doorway.settings import DoorwaySettings
from tests.fakes import make_doorway
from tests.interop import require_program

STUN = bytes.fromhex("000100002112a442") + b"transaction!"


class Site(Resource):
    """Says its own origin, or how long the body was."""

    isLeaf = True

    def __init__(self, door: Any) -> None:
        super().__init__()
        self._door = door

    def render_GET(self, request: Any) -> bytes:
        """Say where we are."""
        return str(self._door.base(request).url).encode()

    def render_POST(self, request: Any) -> bytes:
        """Say how much came."""
        return b"%d" % len(request.content.read())


class EchoStream(Protocol):
    """Sends back what it gets."""

    def dataReceived(self, data: bytes) -> None:
        """Echo."""
        self.transport.write(data)  # type: ignore[union-attr]  # it is connected


class EchoSocket(WebSocketServerProtocol):  # type: ignore[misc]  # Autobahn has no annotations
    """Sends back what it gets."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Echo."""
        self.sendMessage(payload)


class Talker(WebSocketClientProtocol):  # type: ignore[misc]  # Autobahn has no annotations
    """Puts what it gets into its factory's queue."""

    def onOpen(self) -> None:
        """Say who we are."""
        self.factory.heard.put(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Keep it."""
        self.factory.heard.put(payload)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """Keep it."""
        self.factory.heard.put(code)


class Program(ProcessProtocol):
    """A program; ``done`` fires with its exit code and its output, both streams together."""

    def __init__(self, given: bytes, until: bytes = b"") -> None:
        self.done: Deferred[tuple[int, bytes]] = Deferred()
        self._given = given
        self._until = until
        self._output = b""

    def connectionMade(self) -> None:
        """Give it its input; what is to be read first keeps the input open."""
        process: Any = self.transport
        process.write(self._given)
        if not self._until:
            process.closeStdin()

    def outReceived(self, data: bytes) -> None:
        """Collect; close the input when the awaited text is there."""
        self._output += data
        if self._until and self._until in self._output:
            self._until = b""
            self.transport.closeStdin()  # type: ignore[union-attr]  # it runs

    def errReceived(self, data: bytes) -> None:
        """Collect."""
        self._output += data

    def processEnded(self, reason: Failure) -> None:
        """Tell."""
        code = 0 if reason.check(ProcessDone) else getattr(reason.value, "exitCode", None)
        self.done.callback((-1 if code is None else code, self._output))


class DoorwayTests(TestCase):
    """What other people's clients see."""

    timeout = 30

    def setUp(self) -> None:
        """A doorway on free ports."""
        self.state = Path(self.mktemp()).resolve()
        settings = DoorwaySettings(https=("tcp:0",), http=("tcp:0",), plain=("tcp:0:interface=127.0.0.1",))
        self.door = make_doorway(reactor, self.state, settings)
        self.door.add_child("/", Site(self.door))
        sockets = WebSocketServerFactory()
        sockets.protocol = EchoSocket
        self.door.add_child("/ws", WebSocketResource(sockets))
        self.door.add_stream("stun.turn", Factory.forProtocol(EchoStream))
        self.door.startService()
        self.addCleanup(self.door.stopService)
        self.https, self.http, self.plain = dict.fromkeys(one.port for one in self.door.directory.listeners("web"))

    async def run_program(self, name: str, *arguments: str, given: bytes = b"", until: bytes = b"") -> tuple[int, bytes]:
        """Run a program to its end."""
        program = Program(given, until)
        path = require_program(name)
        reactor.spawnProcess(program, path, [name, *arguments], os.environ)
        return await program.done

    async def curl(self, *arguments: str, given: bytes = b"") -> str:
        """What curl prints, which trusts the local authority only."""
        trusted = ("-sS", "--max-time", "20", "--cacert", str(self.state / "ca.crt"), *arguments)
        return (await self.run_program("curl", *trusted, given=given))[1].decode()

    async def openssl(self, *arguments: str, given: bytes = b"", until: bytes = b"") -> tuple[int, str]:
        """What openssl s_client prints."""
        common = ("s_client", "-connect", f"localhost:{self.https}", "-CAfile", str(self.state / "ca.crt"))
        code, output = await self.run_program("openssl", *common, *arguments, given=given, until=until)
        return code, output.decode("latin-1")

    async def test_curl_trusts_the_local_certificate_by_name_and_address(self) -> None:
        """IPv4 and, where there is any, IPv6 on the same port."""
        hosts = ["localhost", "127.0.0.1"]
        with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
            hosts.append("[::1]")
        for host in hosts:
            origin = f"https://{host}:{self.https}"
            self.assertEqual(await self.curl(f"{origin}/x"), origin)

    async def test_curl_works_with_any_alpn(self) -> None:
        """HTTP/2 offered, none offered, HTTP/1.0."""
        url = f"https://localhost:{self.https}"
        for option in ("--http2", "--no-alpn", "--http1.0"):
            self.assertIn(url, await self.curl(option, f"{url}/"))

    async def test_curl_follows_the_redirects(self) -> None:
        """From the HTTP port, and from plain HTTP on the HTTPS port."""
        url = f"https://localhost:{self.https}"
        for port in (self.http, self.https):
            self.assertEqual(await self.curl("-L", f"http://localhost:{port}/x"), url)

    async def test_curl_fetches_the_local_authority(self) -> None:
        """By plain HTTP, as a phone would."""
        self.assertEqual(await self.curl(f"http://localhost:{self.http}/ca.crt"), (self.state / "ca.crt").read_text())

    async def test_a_long_body_is_refused(self) -> None:
        """With a length and without; one within the limit is taken."""
        url = f"https://localhost:{self.https}/"
        asked = ("--data-binary", "@-", "-o", os.devnull, "-w", "%{http_code}", url)
        for headers in ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue")):
            self.assertTrue((await self.curl(*headers, *asked, given=b"x" * 270000)).startswith("413"))
            self.assertEqual(await self.curl(*headers, *asked, given=b"x" * 260000), "200")

    async def test_openssl_verifies_and_resumes_both_versions(self) -> None:
        """A second connection needs no full handshake, though the server keeps nothing."""
        kept = str(self.state / "session")
        request = f"GET / HTTP/1.1\r\nHost: localhost:{self.https}\r\nConnection: close\r\n\r\n".encode()
        for version in ("-tls1_2", "-tls1_3"):
            _, first = await self.openssl(version, "-sess_out", kept, "-ign_eof", given=request)
            self.assertIn("Verify return code: 0 (ok)", first)
            self.assertIn(f"https://localhost:{self.https}", first)
            _, second = await self.openssl(version, "-sess_in", kept, "-ign_eof", given=request)
            self.assertIn("Reused, ", second)

    async def test_old_tls_is_refused(self) -> None:
        """1.1 is the last of the old ones."""
        code, output = await self.openssl("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        self.assertNotEqual(code, 0)
        self.assertIn("Cipher is (NONE)", output)

    async def test_a_stream_is_reached_by_alpn_and_by_its_first_bytes(self) -> None:
        """What a TURN client does, with ALPN and without."""
        for arguments in (("-alpn", "stun.turn"), ()):
            _, output = await self.openssl("-quiet", "-no_ign_eof", *arguments, given=STUN, until=b"transaction!")
            self.assertIn("transaction!", output)

    async def test_an_open_websocket_survives_a_new_certificate(self) -> None:
        """New handshakes get the new one."""
        serials = [await self._serial()]
        factory = WebSocketClientFactory(f"wss://localhost:{self.https}/ws")
        factory.protocol = Talker
        factory.heard = DeferredQueue()
        reactor.connectSSL("127.0.0.1", self.https, factory, CertificateOptions())  # type: ignore[attr-defined]
        client = await factory.heard.get()
        (self.state / "server.crt").unlink()
        self.assertTrue(self.door.reload())
        serials.append(await self._serial())
        client.sendMessage(b"still here")
        self.assertEqual(await factory.heard.get(), b"still here")
        self.assertNotEqual(*serials)
        client.sendClose(1000)
        self.assertEqual(await factory.heard.get(), 1000)

    async def _serial(self) -> str:
        _, output = await self.openssl()
        pem = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", output, re.DOTALL)
        return pem[0] if pem else ""

    async def test_a_port_in_use_is_the_operators_fault(self) -> None:
        """One line with the port's number."""
        with socket.create_server(("", 0)) as taken:
            port = taken.getsockname()[1]
            other = make_doorway(reactor, self.mktemp(), DoorwaySettings(https=(f"tcp:{port}",)))
            fault = self.assertRaises(ConfigError, other.privilegedStartService)
        text = f"[doorway] https: tcp port {port} is in use by another program; free it or choose another"
        self.assertEqual(str(fault), text)
