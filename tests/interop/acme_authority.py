"""An ACME authority to test with: Debian's ``pebble``, a DNS in which every name is this machine, and the two ports that it
looks at. No tests here."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from OpenSSL import SSL

from rtcd.acme.challenges import Challenges, from_sni
from rtcd.acme.resource import CHALLENGE_PATH
from rtcd.tls.authority import issue, make_authority
from rtcd.tls.proof import ALPN, prove
from tests.daemon.process import DEADLINE_S
from tests.interop import require_program


def free_ports() -> tuple[int, int]:
    """Two ports that nobody has at this moment."""
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])


def free_port() -> int:
    """One of them."""
    return free_ports()[0]


class Dns:
    """Answers every A query with 127.0.0.1 and every other one with nothing."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Close it."""
        self._ended = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(DEADLINE_S)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(4096)
            if self._ended:
                return
            if len(data) < 17:
                continue
            end = 12
            while data[end]:
                end += data[end] + 1
            question = data[12:end + 5]
            is_a = question[-4:-2] == b"\0\1"
            head = data[:2] + b"\x85\x80" + struct.pack("!HHHH", 1, int(is_a), 0, 0)
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1" if is_a else b""
            self._socket.sendto(head + question + answer, peer)


class Pebble:
    """An authority on loopback; ``directory`` is its URL, ``management`` that of what it tells of itself, and ``trust`` the
    file to trust both by. `end` it."""

    def __init__(
        self, folder: Path, *, http_port: int, tls_port: int, validity_s: int = 0, eab: Mapping[str, str] | None = None,
        blocked: Sequence[str] = (), reuse_percent: int = 0, bad_nonce_percent: int = 0,
    ) -> None:
        """``http_port``, ``tls_port``: where it looks for proofs. ``eab``: keys by their identifiers, which are then needed.
        ``blocked``: names that it refuses. ``reuse_percent``: of authorizations that are valid already.
        ``bad_nonce_percent``: of nonces that it will not have."""
        program = require_program("pebble")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        names = ["localhost", "127.0.0.1"]
        authority = make_authority("pebble", names, time.time())
        server = issue(authority, names, time.time())
        self.trust = self.folder / "directory-ca.pem"
        self.trust.write_bytes(authority.certificate_pem())
        (self.folder / "directory.pem").write_bytes(server.certificate_pem())
        (self.folder / "directory.key").write_bytes(server.key_pem())
        self.log = self.folder / "pebble.log"
        self._dns = Dns()
        config: dict[str, Any] = {
            "certificate": str(self.folder / "directory.pem"), "privateKey": str(self.folder / "directory.key"),
            "httpPort": http_port, "tlsPort": tls_port, "ocspResponderURL": "",
            "externalAccountBindingRequired": eab is not None, "externalAccountMACKeys": dict(eab or {}),
            "domainBlocklist": list(blocked)}
        if validity_s:
            config["certificateValidityPeriod"] = validity_s
        variables = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": str(bad_nonce_percent),
                     "PEBBLE_AUTHZREUSE": str(reuse_percent)}
        for _ in range(3):  # somebody else may take a port that was free
            port = self._start(program, config, variables)
            if self._is_up(port):
                self.directory = f"https://127.0.0.1:{port}/dir"
                return
        self.end()
        raise AssertionError(f"pebble does not serve: {self.log.read_text()}")

    def end(self) -> None:
        """Make sure that nothing is left of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_S)
        self._dns.end()

    def _start(self, program: str, config: Mapping[str, Any], variables: Mapping[str, str]) -> int:
        port, management = free_ports()
        self.management = f"https://127.0.0.1:{management}"
        here = {"listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{management}"}
        path = self.folder / "pebble.json"
        path.write_text(json.dumps({"pebble": {**config, **here}}))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "-config", str(path), "-dnsserver", f"127.0.0.1:{self._dns.port}", "-strict=false"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **variables})
        return port

    def _is_up(self, port: int) -> bool:
        """Wait until it serves, which nothing tells; False if it has ended."""
        deadline = time.monotonic() + DEADLINE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), DEADLINE_S).close()
                return True
            except ConnectionRefusedError:
                time.sleep(0.01)
        return False


class HttpPort:
    """Shows the HTTP-01 texts of a table; ``asked`` counts the requests."""

    def __init__(self, challenges: Challenges) -> None:
        self.asked = 0
        port = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                port.asked += 1
                text = challenges.http(self.path.removeprefix(f"{CHALLENGE_PATH}/"))
                self.send_response(404 if text is None else 200)
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Close it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_S)


class AlpnPort:
    """Shows the TLS-ALPN-01 digests of a table, in handshakes that ask for them; ``seen`` are the names that were sent."""

    def __init__(self, challenges: Challenges) -> None:
        self._challenges = challenges
        self.seen: list[bytes | None] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Close it."""
        self._ended = True
        socket.create_connection(("127.0.0.1", self.port), DEADLINE_S).close()
        self._thread.join(DEADLINE_S)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            plain, _ = self._listener.accept()
            if self._ended:
                plain.close()
                return
            plain.settimeout(None)
            connection = SSL.Connection(self._context(), plain)
            connection.set_accept_state()
            try:
                connection.do_handshake()
                connection.shutdown()
            except SSL.Error:
                pass  # the authority hangs up as soon as it has seen the certificate, or there was none to show
            finally:
                plain.close()

    def _context(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_tlsext_servername_callback(self._named)
        context.set_alpn_select_callback(self._select)
        return context

    @staticmethod
    def _select(connection: SSL.Connection, offered: list[bytes]) -> Any:
        return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS

    def _named(self, connection: SSL.Connection) -> None:
        name = connection.get_servername()
        self.seen.append(name)
        digest = self._challenges.alpn((name or b"").decode("ascii"))
        if digest is None:
            return
        context, proof = self._context(), prove(from_sni((name or b"").decode("ascii")), digest, time.time())
        context.use_certificate(proof.certificates[0])
        context.use_privatekey(proof.key)
        connection.set_context(context)
