"""What the service answers by HTTP: ``/metrics``, ``/healthz``, ``/readyz`` and ``/readyz/own``."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rtcd.monitoring.readiness import Report

_log = Logger()

Exposition = Callable[[str], "tuple[bytes, str] | Deferred[tuple[bytes, str]]"]
Allowed = Callable[[Request], bool]
"""Whether who asks may see more than whether the daemon is well."""


class Bearer:
    """Whether a request has the token, which may change; without a token everybody's has."""

    def __init__(self, token: str | None) -> None:
        self.token = token

    def __call__(self, request: Request) -> bool:
        """Compared in constant time."""
        if self.token is None:
            return True
        given = request.requestHeaders.getRawHeaders(b"authorization", [b""])[0]
        scheme, _, token = given.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self.token.encode())


class MetricsResource(Resource):
    """``GET /metrics``: the figures, for who has the token. ``exposition(accept)`` makes text and content type."""

    isLeaf = True

    def __init__(self, exposition: Exposition, allowed: Allowed) -> None:
        super().__init__()
        self._exposition = exposition
        self._allowed = allowed

    def render_GET(self, request: Request) -> Any:
        """401 without the token. Answers at once, unless other processes have to be asked for theirs."""
        if not self._allowed(request):
            request.setResponseCode(401)
            request.setHeader(b"www-authenticate", b'Bearer realm="rtcd"')
            return _plain(request, b"The token is missing or wrong.\n")
        found = self._exposition((request.getHeader(b"accept") or b"").decode("latin-1"))
        if isinstance(found, tuple):
            return _answer(request, found[0], found[1].encode())
        found.addCallback(self._finish, request).addErrback(_failed, request)
        return NOT_DONE_YET

    def _finish(self, found: tuple[bytes, str], request: Request) -> None:
        if request._disconnected:
            return
        body = _answer(request, found[0], found[1].encode())
        if request.method != b"HEAD":
            request.write(body)
        request.finish()


class Healthz(Resource):
    """``GET /healthz``: 200 as long as the process answers."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """Whoever gets it knows that."""
        return _plain(request, b"ok\n")


class Readyz(Resource):
    """``GET /readyz`` and ``GET /readyz/own``: 200 if the daemon can serve a call now, or could for its own part, else 503;
    in either case JSON that names each check."""

    isLeaf = True

    def __init__(self, report: Callable[[], Deferred[Report]], reasons: Allowed) -> None:
        super().__init__()
        self._report = report
        self._reasons = reasons

    def render_GET(self, request: Request) -> Any:
        """Answer when the checks are made, or at once if they were made just now."""
        self._report().addCallback(self._finish, request).addErrback(_failed, request)
        return NOT_DONE_YET

    def _finish(self, report: Report, request: Request) -> None:
        if request._disconnected:
            return
        request.setResponseCode(200 if report.ready else 503)
        body = _answer(request, report.shown(reasons=self._reasons(request)), b"application/json")
        if request.method != b"HEAD":
            request.write(body)
        request.finish()


def _failed(failure: Failure, request: Request) -> None:
    """Other processes do not answer: 503. Anything else is our bug: 500, and the log says why, whoever waits for it."""
    if request._disconnected:
        if not failure.check(TimeoutError):
            _log.failure("a request whose client has gone meanwhile has failed", failure)
        return
    if not failure.check(TimeoutError):
        request.processingFailed(failure)
        return
    request.setResponseCode(503)
    body = _plain(request, f"{failure.value}.\n".encode())
    if request.method != b"HEAD":
        request.write(body)
    request.finish()


def _plain(request: Request, text: bytes) -> bytes:
    return _answer(request, text, b"text/plain; charset=utf-8")


def _answer(request: Request, body: bytes, kind: bytes) -> bytes:
    request.counts = False  # type: ignore[attr-defined] # of DoorRequest: nobody visits us
    request.setHeader(b"content-type", kind)
    request.setHeader(b"content-length", str(len(body)).encode())
    request.setHeader(b"cache-control", b"no-store")
    return body
