"""`ShortWays`: the ways past Twisted's request for what a call is set up with, at the connection.

Joins, messages and leaves are answered by way of `rtcd.site.lean`; the handshake of a WebSocket is handed over as it came.
What is not as `rtcd.site.whole` wants it, or not the next thing on its connection, is read by Twisted as if this were not
here. This leans on attributes that Twisted does not promise: here alone, and without them nothing is short.
"""

from __future__ import annotations

import functools
from typing import Any

from twisted.web import http, server

from rtcd.site.lean import Common, LeanRequest
from rtcd.site.tree import Tree
from rtcd.site.whole import Fields, tidy, whole_post, whole_upgrade

_LEANS_ON = ("_HTTPChannel__first_line", "_handlingRequest", "_waitingForTransport", "_busyReceiving", "_buffer", "requests",
             "persistent", "line_mode", "_savedTimeOut", "requestDone")
"""Of Twisted's channel: what tells that the last request is answered and of the next one nothing is there. Most of these
names it does not promise: without one of them no request goes the short way."""


def known(channel: type[http.HTTPChannel] = http.HTTPChannel) -> bool:
    """Whether this Twisted has what we lean on."""
    made = channel()
    return all(hasattr(made, one) for one in _LEANS_ON)


@functools.lru_cache(8)
def date(second: int) -> bytes:
    """A moment as HTTP writes it (RFC 9110 §5.6.7)."""
    return bytes(http.datetimeToString(second))


class ShortWays(http.HTTPChannel):
    """A connection of HTTP/1.1."""

    site: Any
    transport: Any
    _secure: bool | None = None
    _peer: Any = None
    _fields: Fields | None = None
    """The header lines of the last request."""
    _front: tuple[Any, Any] = (None, None)
    """What rtcd.front.front has found out of them: the connection is what it is, so that the next one that has them is no
    other."""
    _common: tuple[int, Common | None] = (-1, None)
    """The second, and the headers that its answer had besides."""

    def went_short(self, tree: Tree, data: bytes) -> bool:
        """Take what has come a short way, if there is one for it. False: nothing was done, and it is Twisted's."""
        return self._answered(tree, data) or self._handed_over(tree, data)

    def isSecure(self) -> bool:
        """Whether inside TLS: what carries the connection stays what it is."""
        if self._secure is None:
            self._secure = bool(super().isSecure())
        return self._secure

    def getPeer(self) -> Any:
        """The other end, which stays who it is."""
        if self._peer is None:
            self._peer = super().getPeer()
        return self._peer

    def _between_requests(self) -> bool:
        """Whether the last request is answered, nothing of the next one is with Twisted, and it would be listened to."""
        return bool(
            self.line_mode and self.persistent and self._HTTPChannel__first_line == 1 and not (  # type: ignore[attr-defined] # its own name
                self.requests or self._buffer or self._handlingRequest or self._waitingForTransport or self._busyReceiving
                or self.transport.disconnecting))

    def _answered(self, tree: Tree, data: bytes) -> bool:
        """A whole request for a resource that can do with little."""
        found = whole_post(data)
        if found is None or len(found.body) > self.site.max_body_bytes or not self._between_requests():
            return False
        site = self.site
        request = LeanRequest(self, found, site.now())
        if found.fields is self._fields:
            request.asked, request.base = self._front
        else:
            self._fields, self._common = found.fields, (-1, None)
        resource: Any = self._find(tree, request)
        if not getattr(resource, "lean", False):
            return False
        second, common = self._common
        if common is None or int(request.began_at) != second:
            common = site.common(request)
            self._common = int(request.began_at), common
        request.common = common
        self.resetTimeout()
        body: Any = resource.render(request)
        self._front = request.asked, request.base
        if body is not server.NOT_DONE_YET:
            request.setHeader(b"Content-Length", b"%d" % len(body))
            request.write(body)
            request.finish()
        if request.finished:
            return True
        request.waiting = True  # from here on as if Twisted had read it
        self.requests.append(request)
        if self.timeOut:
            self._savedTimeOut = self.setTimeout(None)
        self._handlingRequest = True
        self.setRawMode()
        return True

    def _handed_over(self, tree: Tree, data: bytes) -> bool:
        """The handshake of a WebSocket, for a resource with ``take_over``, which takes it and the connection."""
        found = whole_upgrade(data)
        if found is None or b"//" in found.path or not self._between_requests():
            return False
        resource = self._find(tree, LeanRequest(self, found, self.site.now()))
        if not hasattr(resource, "take_over"):
            return False
        self.setTimeout(None)
        resource.take_over(self, data)
        return True

    def _find(self, tree: Tree, request: LeanRequest) -> Any:
        """The resource of a request, which is told what of its path is left."""
        request.path = tidy(request.path)
        request.path = self.site.inside(request)
        segments = request.path[1:].split(b"/")
        resource, length = tree.find(segments)
        request.postpath = segments[length:]
        return resource

    def answer(self, request: LeanRequest, data: bytes) -> None:
        """A request that went the short way has its answer."""
        self.transport.write(data)
        self.site.log(request)
        if request.waiting:
            self.requestDone(request)
