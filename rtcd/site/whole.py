"""Requests of the two shapes that those of a call's set-up have: a POST in HTTP/1.1 that is here whole, with a body of known
length or none, and nothing about it that asks for more than an answer (RFC 9112 §2.1); and the handshake of a WebSocket.
Rules only.

What has another shape is nobody's business here: Twisted reads it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_HEAD_BYTES = 8192
"""Longer heads are not looked at."""
MAX_FIELDS = 64
"""Nor such with more header lines."""

_REQUEST = re.compile(
    rb"(?:POST|GET) ((?:/[A-Za-z0-9._~-]*)+)(\?[!-~]*)? HTTP/1\.1"
    rb"((?:\r\n[A-Za-z0-9!#$%&'*+.^_`|~-]+:[^\0\r\n]*)*)\r\n\r\n")
_OTHERS = (b"transfer-encoding", b"expect", b"upgrade")
"""Headers of requests that are Twisted's."""
_BODIES = (b"transfer-encoding", b"expect", b"content-length")
_LENGTH = re.compile(rb"[0-9]{1,7}")


_SLASHES = re.compile(rb"/{2,}")


def tidy(path: bytes) -> bytes:
    """A path whose repeated slashes are one."""
    return _SLASHES.sub(b"/", path) if b"//" in path else path


class Fields:
    """The header lines of a request; asked by name in lower case."""

    __slots__ = ("_lines", "_lower")

    def __init__(self, lines: bytes) -> None:
        """``lines``: each with the end of line in front of it."""
        self._lines = lines
        self._lower = lines.lower()

    def hasHeader(self, name: bytes) -> bool:
        """Whether there is such a line."""
        return b"\r\n" + name + b":" in self._lower

    def getRawHeaders(self, name: bytes, default: object = None) -> object:
        """The values of all lines of this name, in their order, or the default if there is none."""
        return self.values(name) or default

    def values(self, name: bytes) -> list[bytes]:
        """The same, or an empty list."""
        found, mark, place = [], b"\r\n" + name + b":", 0
        while (place := self._lower.find(mark, place)) >= 0:
            place += len(mark)
            end = self._lines.find(b"\r\n", place)
            found.append(self._lines[place : end if end >= 0 else len(self._lines)].strip(b" \t"))
        return found

    @property
    def unique(self) -> bool:
        """Whether no two lines have one name."""
        names = [line.partition(b":")[0] for line in self._lower.split(b"\r\n")]
        return len(names) == len(set(names))


class Whole(NamedTuple):
    """A request."""

    path: bytes
    """It has neither an escape nor a query."""
    query: bytes
    """With the question mark, or empty."""
    fields: Fields
    body: bytes


def whole_post(data: bytes) -> Whole | None:
    """The request that ``data`` is, byte for byte; None if it is anything else, or if anything is unusual about it."""
    if data[:6] != b"POST /":
        return None
    match = _REQUEST.match(data, 0, MAX_HEAD_BYTES)
    if match is None:
        return None
    path, query, lines = match.groups()
    fields, body = Fields(lines), data[match.end() :]
    if any(map(fields.hasHeader, _OTHERS)) or lines.count(b"\r\n") > MAX_FIELDS:
        return None
    if fields.hasHeader(b"connection") and [one.lower() for one in fields.values(b"connection")] != [b"keep-alive"]:
        return None
    lengths = fields.values(b"content-length")
    if len(lengths) > 1 or (lengths and _LENGTH.fullmatch(lengths[0]) is None):
        return None
    return Whole(path, query or b"", fields, body) if len(body) == (int(lengths[0]) if lengths else 0) else None


def whole_upgrade(data: bytes) -> Whole | None:
    """The request for a WebSocket that ``data`` is (RFC 6455 §4.1), as browsers and phones write it; else None."""
    if data[:5] != b"GET /":
        return None
    match = _REQUEST.fullmatch(data, 0, MAX_HEAD_BYTES) if len(data) <= MAX_HEAD_BYTES else None
    if match is None:
        return None
    path, query, lines = match.groups()
    fields = Fields(lines)
    if any(map(fields.hasHeader, _BODIES)) or lines.count(b"\r\n") > MAX_FIELDS or not fields.unique:
        return None
    asked = [[one.lower() for one in fields.values(name)] for name in (b"upgrade", b"connection")]
    if asked not in ([[b"websocket"], [b"upgrade"]], [[b"websocket"], [b"keep-alive, upgrade"]]):
        return None
    return Whole(path, query or b"", fields, b"")
