"""`LeanRequest`: what a resource needs of a request that is answered in one piece, and no more.

Twisted's own request is made for everything that HTTP may ask of a server, and costs several times what joining a room does.
A resource that can do with this one says so by ``lean = True``: it calls what is here and nothing else, and gives each
answer a content length. What reaches it this way, and what it answers, is as it would be by Twisted's; which requests
come this way is rtcd.site.short's.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Protocol

from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, parse_qs

from rtcd.site.whole import Fields, Whole


class Channel(Protocol):
    """The connection that a request came by."""

    def isSecure(self) -> bool:
        """Whether inside TLS."""

    def getHost(self) -> Any:
        """Our address."""

    def getPeer(self) -> Any:
        """The other one's."""

    def answer(self, request: LeanRequest, data: bytes) -> None:
        """The answer is complete."""


class Common:
    """Headers of answers that are no resource's. One that a resource sets takes the place of such a one."""

    __slots__ = ("block", "headers")

    def __init__(self, headers: Mapping[bytes, bytes]) -> None:
        self.headers = headers
        self.block = _lines(headers)
        """As they are written."""


class LeanRequest:
    """A POST. It looks like Twisted's, whose names these are, as far as it goes."""

    method = b"POST"
    counts = True
    asked: Any = None
    base: Any = None
    code = 200
    finished = False
    waiting = False
    """The answer comes later."""
    common: Common
    """There before it is answered."""
    _disconnected = False
    _args: dict[bytes, list[bytes]] | None = None

    def __init__(self, channel: Channel, request: Whole, began_at: float) -> None:
        self.channel = channel
        self.path = request.path
        self.requestHeaders: Fields = request.fields
        self.content = BytesIO(request.body) if request.body else None
        self.postpath: list[bytes] = []
        self.began_at = began_at
        self._query = request.query
        self._headers: dict[bytes, bytes] = {}
        self._said: list[bytes] = []

    @property
    def args(self) -> dict[bytes, list[bytes]]:
        """The arguments of the query."""
        if self._args is None:
            self._args = parse_qs(self._query[1:], True) if self._query else {}
        return self._args

    def isSecure(self) -> bool:
        """Whether it came inside our TLS."""
        return self.channel.isSecure()

    def getHost(self) -> Any:
        """The address that it came to."""
        return self.channel.getHost()

    def getClientAddress(self) -> Any:
        """The address that it came from."""
        return self.channel.getPeer()

    def getHeader(self, name: Any) -> Any:
        """The last header of this name, in lower case; by a text name it is text."""
        if isinstance(name, str):
            found = self.requestHeaders.values(name.encode())
            return found[-1].decode("utf-8", "replace") if found else None
        found = self.requestHeaders.values(name)
        return found[-1] if found else None

    def setResponseCode(self, code: int) -> None:
        """The status of the answer."""
        self.code = code

    def setHeader(self, name: bytes, value: bytes) -> None:
        """A header of the answer, its name as it is to be written."""
        self._headers[name] = value

    def write(self, data: bytes) -> None:
        """The body, or more of it."""
        self._said.append(data)

    def reply(self, code: int, lines: bytes, body: bytes) -> None:
        """An answer in one piece. ``lines``: its last headers, as they are written."""
        self.code = code
        self.finished = True
        self.channel.answer(self, b"%b%b%b\r\n%b" % (_status(code), self._head(), lines, body))

    def finish(self) -> None:
        """The answer is complete."""
        self.finished = True
        self.channel.answer(self, b"".join((_status(self.code), self._head(), b"\r\n", *self._said)))

    def connectionLost(self, reason: Failure) -> None:
        """Nobody waits for the answer any more."""
        self._disconnected = True

    def _head(self) -> bytes:
        """The headers of the answer that were set."""
        common, own = self.common, self._headers
        if not own:
            return common.block
        plain = common.headers.keys().isdisjoint(own)
        return common.block + _lines(own) if plain else _lines({**common.headers, **own})


def _lines(headers: Mapping[bytes, bytes]) -> bytes:
    return b"".join([b"%s: %s\r\n" % header for header in headers.items()])


@functools.lru_cache(64)
def _status(code: int) -> bytes:
    return b"HTTP/1.1 %d %s\r\n" % (code, RESPONSES.get(code, b"Unknown Status"))
