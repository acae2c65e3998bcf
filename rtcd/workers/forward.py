"""What only the first worker does is asked of it by the others: a request goes on to it over a unix socket, and is there as
if it had come there itself. So sessions of the administration and checks of a network are in one place.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.web.client import Agent, HTTPConnectionPool, PartialDownloadError, ResponseFailed, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from rtcd.outside.connection import Body
from rtcd.site.http import DoorRequest, DoorSite

ARRIVED = b"x-rtcd-arrived"
"""How a request has come to the other worker: whether by TLS, the peer's address, and ours. Believed at the unix socket,
which nobody else can open, and taken away from what comes from outside."""
TIMEOUT_S = 10.0
"""For an answer: what the first worker does for others takes no time, or waits for all workers."""
AT_ONCE = 8
"""Connections that are kept."""
MAX_REQUESTS = 256
"""That wait for the first worker at once; one more is answered 503."""

_HOP = (b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer", b"proxy-connection",
        b"content-length", b"date", b"server")
"""Headers that are about one connection, or that whoever answers writes anew."""


@implementer(IAgentEndpointFactory)
class First:
    """Asks the first worker, at this path of its unix socket."""

    def __init__(self, reactor: Any, path: str) -> None:
        self._reactor = reactor
        self._path = path
        self.waiting = 0
        pool = HTTPConnectionPool(reactor)
        pool.maxPersistentPerHost = AT_ONCE
        self.agent = Agent.usingEndpointFactory(reactor, self, pool)

    def endpointForURI(self, uri: Any) -> IStreamClientEndpoint:
        """Whatever the URI says."""
        return UNIXClientEndpoint(self._reactor, self._path, timeout=2)

    async def ask(self, request: Request) -> tuple[int, Headers, bytes]:
        """Status, headers and body. Raises whatever an `Agent` does."""
        headers = Headers({name: values for name, values in request.requestHeaders.getAllRawHeaders()
                           if name.lower() not in (*_HOP, ARRIVED)})
        headers.setRawHeaders(ARRIVED, [arrived(request)])
        body = b"" if request.content is None else request.content.read()
        asked = self.agent.request(bytes(request.method), b"http://first" + bytes(request.uri), headers,
                                   Body(body) if body else None)
        answer: Any = await asked.addTimeout(TIMEOUT_S, self._reactor)
        return answer.code, answer.headers, await readBody(answer).addTimeout(TIMEOUT_S, self._reactor)


class Forward(Resource):
    """A resource of the first worker, and all below it."""

    isLeaf = True
    _log = Logger()

    def __init__(self, first: First) -> None:
        super().__init__()
        self._first = first

    def render(self, request: Request) -> Any:
        """Answers when the first worker has; 503 while there is none."""
        if self._first.waiting >= MAX_REQUESTS:
            return _away(request)
        self._first.waiting += 1
        asking = Deferred.fromCoroutine(self._first.ask(request))
        gone = request.notifyFinish()
        gone.addErrback(lambda _: asking.cancel())
        asking.addBoth(self._answered, request)
        return NOT_DONE_YET

    def _answered(self, found: Any, request: Any) -> None:
        self._first.waiting -= 1
        if request._disconnected:
            return
        if not isinstance(found, tuple):
            if not found.check(
                    ConnectError, ConnectionClosed, ResponseFailed, PartialDownloadError, TimeoutError, CancelledError):
                self._log.failure("a request could not be handed on", found)
            body = _away(request)
        else:
            code, headers, body = found
            request.setResponseCode(code)
            for name, values in headers.getAllRawHeaders():
                if name.lower() not in _HOP:
                    request.responseHeaders.setRawHeaders(name, values)
            request.setHeader(b"content-length", b"%d" % len(body))
        if request.method != b"HEAD":
            request.write(body)
        request.finish()


class InnerRequest(DoorRequest):
    """A request at the first worker's unix socket."""

    _secure = False
    _from: Any = None
    _to: Any = None

    def process(self) -> None:
        """It is as it was where it came to us."""
        text = (self.getHeader(ARRIVED) or b"").decode("latin-1").split(" ")
        self.requestHeaders.removeHeader(ARRIVED)
        if len(text) == 5:
            self._secure = text[0] == "tls"
            self._from, self._to = _address(text[1], text[2]), _address(text[3], text[4])
        super().process()

    def isSecure(self) -> bool:
        """Whether it came by our TLS."""
        return self._secure

    def getClientAddress(self) -> Any:
        """Whom it came from."""
        return self._from if self._from is not None else super().getClientAddress()

    def getHost(self) -> Any:
        """Which address it came to."""
        return self._to if self._to is not None else super().getHost()


def inner(site: DoorSite) -> DoorSite:
    """Let this site, at the unix socket, take requests of other workers."""
    site.requestFactory = InnerRequest
    return site


def arrived(request: Any) -> bytes:
    """How it has come here, for `ARRIVED`."""
    peer, here = request.getClientAddress(), request.getHost()
    parts: list[object] = ["tls" if request.isSecure() else "plain"]
    for one in (peer, here):
        parts += [getattr(one, "host", "") or "-", getattr(one, "port", 0)]
    return " ".join(map(str, parts)).encode()


def _address(host: str, port: str) -> Any:
    if host == "-":
        return None
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, int(port))


def _away(request: Request) -> bytes:
    request.setResponseCode(503)
    request.setHeader(b"retry-after", b"2")
    request.setHeader(b"content-type", b"application/json")
    body = b'{"error": "This is being started again; try in a few seconds."}'
    request.setHeader(b"content-length", b"%d" % len(body))
    return body
