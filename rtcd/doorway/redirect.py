"""The resources that the doorway serves itself: redirects to HTTPS, and the local CA at ``/ca.crt``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

CA_PATH = "/ca.crt"


class AuthorityFile(Resource):
    """``/ca.crt``: the local CA, to be installed on a phone. 404 when the operator has a certificate of his own."""

    isLeaf = True

    def __init__(self, read: Callable[[], bytes | None]) -> None:
        super().__init__()
        self._read = read

    def render_GET(self, request: Any) -> bytes:
        """Answer GET and HEAD."""
        pem = self._read()
        if pem is None:
            request.setResponseCode(404)
            request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
            return b"There is no local CA: this server has a certificate of its own, and nothing needs to be installed.\n"
        request.setHeader(b"Content-Type", b"application/x-x509-ca-cert")
        request.setHeader(b"Content-Disposition", b'attachment; filename="rtcd-ca.crt"')
        request.setHeader(b"Cache-Control", b"no-cache")
        return pem


class Redirect(Resource):
    """Sends every request to the same path at the HTTPS origin: 301 for GET and HEAD, else 308. Serves nothing."""

    isLeaf = True

    def __init__(self, target: Callable[[IRequest], str]) -> None:
        super().__init__()
        self._target = target

    def render(self, request: Any) -> bytes:
        """Answer any method."""
        path = request.uri if request.uri.startswith(b"/") else b"/"
        request.setResponseCode(301 if request.method in (b"GET", b"HEAD") else 308)
        request.setHeader(b"Location", self._target(request).encode("ascii") + path)
        request.setHeader(b"Content-Length", b"0")
        return b""
