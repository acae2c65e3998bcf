"""An ACME authority that does what a test says, also what no good one would. No tests here; a real one: acme_authority."""

from __future__ import annotations

import base64
import datetime
import itertools
import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from rtcd.tls.authority import issue, make_authority
from tests.daemon.process import DEADLINE_S

MAX_REQUEST_BYTES = 1048576
MAX_SENT_BYTES = 50_000_000
"""What is sent without end ends here at last."""

Hook = Callable[["Handler"], "bool | None"]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    fake: FakeAuthority
    payload: Any

    def do_GET(self) -> None:
        """All methods."""
        raw = self.rfile.read(min(MAX_REQUEST_BYTES, int(self.headers.get("Content-Length") or 0)))
        text = json.loads(raw)["payload"] if raw else ""
        self.payload = json.loads(_decode(text)) if text else None
        kind = self.path.split("/")[1]
        self.fake.asked.append((kind, self.payload))
        hook = self.fake.hooks.get(kind)
        try:
            if hook is None or hook(self) is False:
                getattr(self.fake, f"on_{kind}")(self)
        except OSError:
            self.close_connection = True  # the client has hung up

    do_POST = do_HEAD = do_GET

    def send(self, code: int, body: Any = b"", **headers: str) -> None:
        """Answer with bytes, or with an object as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response_only(code)
        base = {"Content-Type": "application/json", "Content-Length": str(len(data)),
                "Replay-Nonce": f"nonce{next(self.fake.nonces):07}"}
        for name, value in {**base, **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def problem(self, code: int, kind: str, detail: str = "no", **headers: str) -> None:
        """Refuse."""
        error = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail}
        self.send(code, error, **{"Content_Type": "application/problem+json", **headers})

    def pour(self, data: bytes, beginning: bytes, pause_s: float = 0.0) -> None:
        """Say the beginning of an answer, and then this again and again."""
        self.close_connection = True
        self.wfile.write(beginning)
        for _ in range(MAX_SENT_BYTES // len(data)):
            self.wfile.write(data)
            self.fake.pouring.set()
            if self.fake.ended.wait(pause_s):
                return

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class FakeAuthority:
    """On loopback. ``hooks``: by the first part of a path, what answers there; False: as usual. ``asked``: the parts and the
    payloads of all requests. `end` it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        names = ["localhost", "127.0.0.1"]
        authority = make_authority("fake", names, time.time())
        server = issue(authority, names, time.time())
        self.trust, both = folder / "ca.pem", folder / "server.pem"
        self.trust.write_bytes(authority.certificate_pem())
        both.write_bytes(server.certificate_pem() + server.key_pem())
        self.issuer = make_authority("issuer", names, time.time())
        self.hooks: dict[str, Hook] = {}
        self.asked: list[tuple[str, Any]] = []
        self.nonces = itertools.count()
        self.proved = False
        self.csr: x509.CertificateSigningRequest | None = None
        self.names: list[dict[str, str]] = []
        self.ended, self.pouring = threading.Event(), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"fake": self}))
        self._server.daemon_threads, self._server.block_on_close = True, False
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.base = f"https://127.0.0.1:{self._server.server_address[1]}"
        self.directory = f"{self.base}/dir"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Close it."""
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_S)

    def count(self, kind: str) -> int:
        """Of requests."""
        return sum(1 for one, _ in self.asked if one == kind)

    def order(self, **changes: Any) -> dict[str, Any]:
        """What an order is at the moment."""
        status = "valid" if self.csr is not None else "ready" if self.proved else "pending"
        found = {"status": status, "identifiers": self.names, "finalize": f"{self.base}/fin",
                 "authorizations": [f"{self.base}/authz/{place}" for place in range(len(self.names))]}
        return {**found, **({"certificate": f"{self.base}/cert"} if self.csr is not None else {}), **changes}

    def authorization(self, place: int, **changes: Any) -> dict[str, Any]:
        """Likewise an authorization."""
        status = "valid" if self.proved else "pending"
        challenge = {"type": "http-01", "url": f"{self.base}/chall/{place}", "token": "A" * 43, "status": status}
        return {"status": status, "identifier": self.names[place], "challenges": [challenge], **changes}

    def chain(self, key: Any = None, names: tuple[str, ...] = ()) -> bytes:
        """A certificate as it was asked for, unless it is for another key, or for other names."""
        csr = cast(x509.CertificateSigningRequest, self.csr)
        asked = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if names:
            asked = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
        leaf = (
            x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.issuer.certificate.subject)
            .public_key((key or csr).public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(start).not_valid_after(start + datetime.timedelta(days=90))
            .add_extension(asked, critical=True)
            .sign(cast(ec.EllipticCurvePrivateKey, self.issuer.key), hashes.SHA256()))
        return leaf.public_bytes(Encoding.PEM) + self.issuer.certificate_pem()

    def on_dir(self, handler: Handler) -> None:
        """The directory."""
        parts = {"newNonce": "nonce", "newAccount": "acct", "newOrder": "order", "revokeCert": "x", "keyChange": "x"}
        handler.send(200, {**{name: f"{self.base}/{part}" for name, part in parts.items()}, "meta": {}})

    def on_nonce(self, handler: Handler) -> None:
        """A nonce."""
        handler.send(200)

    def on_acct(self, handler: Handler) -> None:
        """New accounts, and changes of one."""
        handler.send(201 if handler.path == "/acct" else 200, {"status": "valid"}, Location=f"{self.base}/acct/1")

    def on_order(self, handler: Handler) -> None:
        """New orders."""
        self.names, self.csr, self.proved = handler.payload["identifiers"], None, False
        handler.send(201, self.order(), Location=f"{self.base}/o/1")

    def on_o(self, handler: Handler) -> None:
        """The order."""
        handler.send(200, self.order())

    def on_authz(self, handler: Handler) -> None:
        """Authorizations."""
        handler.send(200, self.authorization(int(handler.path.split("/")[2])))

    def on_chall(self, handler: Handler) -> None:
        """Challenges: whoever answers one has proved it."""
        self.proved = True
        place = handler.path.split("/")[2]
        handler.send(200, self.authorization(int(place))["challenges"][0], Link=f'<{self.base}/authz/{place}>;rel="up"')

    def on_fin(self, handler: Handler) -> None:
        """The end of an order."""
        self.csr = x509.load_der_x509_csr(_decode(handler.payload["csr"]))
        handler.send(200, self.order())

    def on_cert(self, handler: Handler) -> None:
        """The certificate."""
        handler.send(200, self.chain(), Content_Type="application/pem-certificate-chain")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
