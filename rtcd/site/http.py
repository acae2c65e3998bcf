"""HTTP as this daemon speaks it: `DoorSite`, its requests and channels, with every bound that a public port needs.

No access log: requests are counted. Bodies are never parsed as forms. Every answer carries the security headers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.protocols.basic import LineReceiver
from twisted.web import server
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import IResource

from rtcd.doorway.settings import DoorwaySettings
from rtcd.metrics import Counter, Metrics
from rtcd.site.lean import Common, LeanRequest
from rtcd.site.short import ShortWays, date, known
from rtcd.site.tree import Tree
from rtcd.site.whole import tidy

MAX_HEADERS = 100
"""Header lines in a request: browsers send about twenty."""

MAX_HEADER_BYTES = 16384
"""Request line and headers together."""

REFUSED = b'{"result":"ERROR","error":"The request is larger than this server takes."}'
"""Body of an answer to a request that was not read to its end, for clients that read the body whatever the status."""

PERMISSIONS = b", ".join((
    *(b"%s=(self)" % one for one in (b"camera", b"microphone", b"display-capture", b"speaker-selection", b"screen-wake-lock",
                                     b"fullscreen", b"picture-in-picture")),
    b"geolocation=(), payment=(), usb=()"))
"""What scripts of a page may ask the browser for (Permissions-Policy)."""


def security_headers(frame_ancestors: Sequence[str]) -> dict[bytes, bytes]:
    """On every answer; a resource may set others, or other values of these. ``frame_ancestors``: who may show us framed."""
    policy = f"default-src 'none'; {frame_rule(frame_ancestors)}; base-uri 'none'; form-action 'none'"
    found = {
        b"Content-Security-Policy": policy.encode(),
        b"Permissions-Policy": PERMISSIONS,
        b"X-Content-Type-Options": b"nosniff",
        b"Referrer-Policy": b"no-referrer",
    }
    if not frame_ancestors:
        found[b"X-Frame-Options"] = b"DENY"  # for browsers that do not read the policy; it knows no list
    return found


def frame_rule(frame_ancestors: Sequence[str]) -> str:
    """The part of a content security policy that says who may show us in a frame."""
    return " ".join(("frame-ancestors", *(("'self'", *frame_ancestors) if frame_ancestors else ("'none'",))))


CACHED_COMMON = 16
"""Headers of answers are remembered as they are written: they change with the date, and few sorts of them are asked for."""

HTTP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the buckets in which the time of an answer is counted: most are given within a millisecond or two."""

class DoorRequest(server.Request):
    """A request with a bounded body and a tidy path."""

    channel: DoorChannel
    asked: Any = None
    base: Any = None
    """What rtcd.front.front has found out about it."""
    _taken = 0
    refused = False
    counts = True
    """Whether its answer is one of those that are counted; a resource for those who watch the daemon says no."""
    began_at: float | None = None
    """When all of it was here."""

    def gotLength(self, length: int | None) -> None:
        """The headers are complete: refuse a body that is announced too long before a byte of it is read."""
        if length is not None and length > self.channel.site.max_body_bytes:
            self._refuse()
            return
        super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body: refuse when a body of unannounced length grows too long."""
        if self.refused:
            return
        self._taken += len(data)
        if self._taken > self.channel.site.max_body_bytes:
            self._refuse()
            return
        super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The whole request is here; ``//join//room`` means ``/join/room``."""
        if self.refused:
            return
        self.channel.receiving = False
        self.began_at = self.channel.site.now()
        route, mark, query = path.partition(b"?")
        super().requestReceived(command, tidy(route) + mark + query, version)

    def process(self) -> None:
        """Find the resource and let it answer. The path prefix of the public URL is none of the resources' business."""
        site = self.channel.site
        for name, value in site.headers.items():
            self.responseHeaders.setRawHeaders(name, [value])
        for name, value in site.more_headers(self).items():
            self.responseHeaders.setRawHeaders(name, [value])
        self.path = site.inside(self)
        layer: Any = self.channel.transport
        if not hasattr(layer, "hold"):
            super().process()
            return
        layer.hold()
        try:
            super().process()
        finally:
            layer.release()

    def render(self, resrc: Any) -> None:
        """HEAD is GET without the body: Twisted logs one line and more for each, with a URI that may hold secrets."""
        if self.method != b"HEAD":
            super().render(resrc)
            return
        try:
            body = resrc.render(self)
        except UnsupportedMethod as fault:
            self.setResponseCode(405)
            self.setHeader(b"Allow", b", ".join(fault.allowedMethods))
            body = b""
        if body is server.NOT_DONE_YET:
            return
        if body:
            self.setHeader(b"Content-Length", b"%d" % len(body))
        self.write(b"")
        self.finish()

    def __repr__(self) -> str:
        """Without the URI, and who asks."""
        return f"<{type(self).__name__} {id(self):#x}>"

    def getHeader(self, key: Any) -> Any:
        """A header of the request; by a text name it is text, even if it was sent in bytes that are no UTF-8."""
        if not isinstance(key, str):
            return super().getHeader(key)
        value = super().getHeader(key.encode())
        return None if value is None else value.decode("utf-8", "replace")

    def setHeader(self, name: Any, value: Any) -> None:
        """Twisted sets a ``Server`` header with its version before rendering: that is nobody's business. The date is that of
        our clock."""
        if name in (b"Server", b"server"):
            value = b"rtcd"
        elif name == b"Date":
            value = date(int(self.channel.site.now()))
        super().setHeader(name, value)

    def _refuse(self) -> None:
        self.refused = True
        self.requestHeaders.removeHeader(b"Expect")  # or Twisted would still ask for the body
        self.channel.refuse(413, b"Content Too Large")


class DoorChannel(ShortWays):
    """An HTTP/1.1 connection whose requests have to arrive whole, and in time."""

    site: DoorSite
    transport: Any
    maxHeaders = MAX_HEADERS
    totalHeadersSize = MAX_HEADER_BYTES
    receiving = False
    _deaf = False

    def dataReceived(self, data: bytes) -> None:
        """Bytes came. Only the first of a request restart the idle time: one who trickles gets no more of it."""
        if self._deaf:
            return
        if not self.receiving:
            if self.site.lean is not None and self.requestFactory is DoorRequest and self.went_short(self.site.lean, data):
                return
            self.receiving = True
            self.resetTimeout()
        LineReceiver.dataReceived(self, data)

    def refuse(self, code: int, reason: bytes, body: bytes = REFUSED) -> None:
        """Answer with an error, read nothing more and close."""
        self._deaf = True
        self.site.count(code)
        lines = [b"HTTP/1.1 %d %s" % (code, reason), b"Server: rtcd", b"Connection: close"]
        lines += [b"Content-Length: %d" % len(body), *([b"Content-Type: application/json"] if body else [])]
        lines += [b"%s: %s" % header for header in self.site.headers.items()]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.unregisterProducer()
        self.transport.finish()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """What Twisted makes nothing of; its own answer has no headers at all."""
        self.refuse(400, b"Bad Request", b"")

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line longer than a header may be."""
        self.refuse(431, b"Request Header Fields Too Large")

    def timeoutConnection(self) -> None:
        """Nothing, or too little, came in time. The layer below cuts a peer that does not let itself be closed."""
        self.loseConnection()


class DoorSite(server.Site):
    """A web site whose requests are counted and bounded, on the given clock.

    ``inside`` tells the path of a request without the prefix of the public URL; ``more_headers`` tells what
    its answer has besides.
    """

    protocol = DoorChannel  # type: ignore[assignment]  # Twisted's own default is a function
    requestFactory = DoorRequest
    noisy = False

    def __init__(
        self, clock: IReactorTime, root: IResource, settings: DoorwaySettings, metrics: Metrics, *,
        inside: Callable[[Any], bytes] = lambda request: bytes(request.path),
        more_headers: Callable[[Any], Mapping[bytes, bytes]] = lambda _: {},
    ) -> None:
        super().__init__(root, parsePOSTFormSubmission=False, timeout=settings.idle_timeout, reactor=clock)
        self.now = clock.seconds
        self.lean = root if isinstance(root, Tree) and known() else None
        """Where requests may go the short way."""
        self.max_body_bytes = settings.max_body_bytes
        self.headers = security_headers(settings.frame_ancestors)
        self.inside = inside
        self.more_headers = more_headers
        self._common = functools.lru_cache(CACHED_COMMON)(self._common_at)
        self._answers: dict[int, Counter] = {
            code: metrics.counter("doorway", "http_answers", "HTTP answers by class.", code=f"{code}xx")
            for code in range(1, 6)
        }

        self._seconds = metrics.histogram(
            "doorway", "http_seconds", "From the last byte of a request to the last of its answer, written.", HTTP_BUCKETS_S)

    def common(self, request: LeanRequest) -> Common:
        """The headers of its answer that are no resource's."""
        return self._common(int(request.began_at), *self.more_headers(request).items())

    def _common_at(self, second: int, *more: tuple[bytes, bytes]) -> Common:
        return Common({**self.headers, **dict(more), b"Server": b"rtcd", b"Date": date(second)})

    def count(self, code: int) -> None:
        """Count an answer by its class."""
        self._answers[min(5, max(1, code // 100))].value += 1

    def startFactory(self) -> None:
        """No log file, and no timer for its dates."""

    def stopFactory(self) -> None:
        """Nothing to undo."""

    def log(self, request: Any) -> None:
        """An answer was given."""
        if not getattr(request, "counts", True):
            return
        self.count(request.code)
        began_at = getattr(request, "began_at", None)
        if began_at is not None:
            self._seconds.observe(self.now() - began_at)


