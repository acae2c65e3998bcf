"""`AdminResource`: ``/admin`` and all below it. Finds the route, asks who it is, decodes, calls the operation, answers.

Served by HTTPS through the doorway and on the unix socket, where everybody is trusted; the operations do not see which.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rtcd.admin.access import COOKIE, Access
from rtcd.admin.keys import ALL, Caller
from rtcd.admin.problem import MEDIA_TYPE, Problem
from rtcd.admin.routes import JSON, TEXT, Route, find
from rtcd.desk import NotOffered
from rtcd.front.origin import Base
from rtcd.metrics import Metrics
from rtcd.rooms.outcome import StoreFull, StoreUnavailable

MAX_BODY_BYTES = 16384
"""Of a request; the largest that makes sense has some hundred."""
MAX_SHOWN_PATH = 256
"""Characters of a path, in the log."""
SAFE = ("GET", "HEAD")
SOCKET = Caller("socket", ALL)
"""Whoever is on the unix socket."""


@dataclass(slots=True)
class Exchange:
    """One request, and what an operation wants to have with its answer."""

    request: Request
    caller: Caller
    path: dict[str, str]
    body: Any
    query: Any
    base: Base
    host: str
    """Where it comes from."""
    cookie: str
    headers: dict[str, str] = field(default_factory=dict)


Operation = Callable[[Exchange], Awaitable[Any]]


class AdminResource(Resource):
    """One of the two doors."""

    isLeaf = True
    _log = Logger()

    def __init__(
        self, operations: Mapping[str, Operation], access: Access, door: Any, metrics: Metrics, *, trusted: bool,
        page: Callable[[Request], bytes | None] = lambda _: None,
    ) -> None:
        """``door``: tells base and client of a request, and if it is secure. ``trusted``: nobody is asked who he is.
        ``page`` answers for what is no API, or says None."""
        super().__init__()
        self._operations = operations
        self._access = access
        self._door = door
        self._page = page
        self._trusted = trusted
        self._requests = metrics.counter("admin", "requests", "Requests to the API and the page.")

    def render(self, request: Request) -> Any:
        """Answer one request."""
        self._requests.value += 1
        request.setHeader(b"cache-control", b"no-store")
        Deferred.fromCoroutine(self._answer(request)).addCallbacks(
            lambda body: self._finish(request, body), lambda failure: self._failed(request, failure)).addErrback(
            lambda failure: self._log.failure("an answer of the administration could not be written", failure))
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> bytes:
        if not (self._trusted or self._door.secure(request)):
            raise Problem(403, "This is for HTTPS alone; behind a proxy, it has to say X-Forwarded-Proto: https.")
        method = request.method.decode("latin-1")
        page = self._page(request) if method in SAFE else None
        if page is not None:
            return page
        path = _path(request)
        routes, variables = find(path)
        if not routes:
            raise Problem(404, "There is nothing at this address.")
        route = routes.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = ", ".join([*(["HEAD"] if "GET" in routes else []), *routes])
            raise Problem(405, f"This address takes {allowed}.", {"Allow": allowed})
        exchange = self._exchange(request, method, route, variables)
        answer = await self._operations[route.operation](exchange)
        if method not in SAFE:
            self._log.info("{operation} by {caller}: {path}", operation=route.operation,
                           caller=exchange.caller.name or "password", path=_shown(request))
        request.setResponseCode(route.status)
        if route.status != 204:
            request.setHeader(b"content-type", b"text/plain; charset=utf-8" if route.kind == TEXT else JSON.encode())
        for name, value in exchange.headers.items():
            request.setHeader(name.encode(), value.encode())
        return b"" if route.status == 204 else answer if isinstance(answer, bytes) else msgspec.json.encode(answer)

    def _exchange(self, request: Request, method: str, route: Route, variables: dict[str, str]) -> Exchange:
        host = self._door.client_host(request)
        cookie = (request.getCookie(COOKIE.encode()) or b"").decode("latin-1")
        base = self._door.base(request)
        if route.scope == "-":
            caller = SOCKET if self._trusted else Caller("", frozenset())
        elif self._trusted:
            caller = SOCKET
        else:
            caller = self._access.caller(request.getHeader("authorization") or "", cookie, host)
        if route.scope not in ("", "-") and route.scope not in caller.scopes:
            raise self._access.forbidden(caller, route.scope)
        if method not in SAFE and not self._trusted and (caller.session or route.scope == "-"):
            _meant(request, base)
        return Exchange(request, caller, variables, _body(request, route), _query(request, route), base, host, cookie)

    def _failed(self, request: Request, failure: Failure) -> None:
        problem = _problem(failure.value)
        if problem is None:
            self._log.failure("a request to the administration failed", failure)
            problem = Problem(500, "The server failed; its log says why.")
        request.setResponseCode(problem.status)
        request.setHeader(b"content-type", MEDIA_TYPE.encode())
        for name, value in problem.headers.items():
            request.setHeader(name.encode(), value.encode())
        self._finish(request, msgspec.json.encode(problem.body))

    def _finish(self, request: Request, body: bytes) -> None:
        if request._disconnected:
            return
        if request.code != 204:
            request.setHeader(b"content-length", b"%d" % len(body))
        if request.method != b"HEAD":
            request.write(body)
        request.finish()


def _problem(fault: BaseException | None) -> Problem | None:
    """What to answer; None for what is our own fault."""
    if isinstance(fault, (StoreFull, StoreUnavailable, TimeoutError)):  # the last: of one of several workers
        return Problem(503, f"{fault}.", {"Retry-After": "10"})
    if isinstance(fault, NotOffered):
        return Problem(501, f"Nobody here offers {fault}; the service that does is not on in this daemon's configuration.")
    return fault if isinstance(fault, Problem) else None


def _path(request: Request) -> list[str]:
    try:
        return [part.decode() for part in request.postpath or ()]
    except UnicodeDecodeError:
        raise Problem(404, "There is nothing at this address.") from None


def _shown(request: Request) -> str:
    """The path as it was sent, in percent-encoding, so that it is one word of a line."""
    path = bytes(request.uri).partition(b"?")[0].decode("latin-1")[:MAX_SHOWN_PATH]
    return "".join(one if one.isascii() and one.isprintable() and one not in ' "' else "?" for one in path)


def _meant(request: Request, base: Base) -> None:
    """A page of another site cannot have sent this: it could not set these headers without asking first (CSRF)."""
    origin = request.getHeader("origin")
    own = base.url.removesuffix(base.prefix) if base.prefix else base.url
    if origin is not None and origin != own:
        raise Problem(403, f"This comes from a page of another site than {own}.")
    if not (_is_json(request) or request.getHeader("x-requested-with")):
        raise Problem(403, "Say Content-Type: application/json, or X-Requested-With: rtcd.")


def _is_json(request: Request) -> bool:
    return (request.getHeader("content-type") or "").partition(";")[0].strip().lower() == JSON


def _body(request: Request, route: Route) -> Any:
    data = b"" if request.content is None else bytes(request.content.read(MAX_BODY_BYTES + 1))
    if len(data) > MAX_BODY_BYTES:
        raise Problem(413, f"A body has at most {MAX_BODY_BYTES} bytes.")
    if route.body is None:
        return None
    if not _is_json(request):
        raise Problem(415, "The body has to be JSON; say Content-Type: application/json.")
    try:
        return msgspec.json.decode(data, type=route.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"The body is not what is wanted: {_reason(error)}") from None


def _query(request: Request, route: Route) -> Any:
    try:
        given = {name.decode(): values[0].decode() for name, values in (request.args or {}).items()}
    except UnicodeDecodeError:
        raise Problem(400, "The query is no UTF-8.") from None
    if any(len(values) > 1 for values in (request.args or {}).values()):
        raise Problem(400, "The query names something twice.")
    if route.query is None:
        return None
    try:
        return msgspec.convert(given, route.query, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(400, f"The query is not what is wanted: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What msgspec says names the place and what was expected, never the value; a broken text is shown to nobody."""
    return str(error) if isinstance(error, msgspec.ValidationError) else "it is no JSON in UTF-8"
