"""Requests of the two shapes that those of a call's set-up have: a POST in HTTP/1.1 that is here whole, with a body of known
length or none, and nothing about it that asks for more than an answer (RFC 9112 §2.1); and the handshake of a WebSocket.
Rules only.

What has another shape is nobody's business here: Twisted reads it.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

MAX_HEAD_BYTES = 8192
"""Longer heads are not looked at."""
MAX_FIELDS = 64
"""Nor such with more header lines."""
CACHED_HEADS = 128
"""Sets of header lines of which it is remembered what they say: those of a connection's requests are mostly the same."""

_LINE = re.compile(rb"(?:POST|GET) ((?:/[A-Za-z0-9._~-]*)+)(\?[!-~]*)? HTTP/1\.1(?=\r\n)")
_LINES = re.compile(rb"(?:\r\n[A-Za-z0-9!#$%&'*+.^_`|~-]+:[^\0\r\n]*)*")
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

    __slots__ = ("_values", "hasHeader", "unique")

    def __init__(self, lines: bytes) -> None:
        """``lines``: each with the end of line in front of it."""
        self._values: dict[bytes, tuple[bytes, ...]] = {}
        found = lines.split(b"\r\n")[1:]
        for line in found:
            name, _, value = line.partition(b":")
            name = name.lower()
            self._values[name] = (*self._values.get(name, ()), value.strip(b" \t"))
        self.hasHeader = self._values.__contains__
        """Whether there is such a line."""
        self.unique = len(self._values) == len(found)
        """Whether no two lines have one name."""

    def getRawHeaders(self, name: bytes, default: object = None) -> object:
        """The values of all lines of this name, in their order, or the default if there is none."""
        return self._values.get(name, default)

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """The same, or none."""
        return self._values.get(name, ())


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
    line, end = _LINE.match(data, 0, MAX_HEAD_BYTES), data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if line is None or end < 0:
        return None
    head = _head_of_post(data[line.end() : end])
    if head is None or len(data) - end - 4 != head[1]:
        return None
    path, query = line.groups()
    return Whole(path, query or b"", head[0], data[end + 4 :])


@functools.lru_cache(CACHED_HEADS)
def _head_of_post(lines: bytes) -> tuple[Fields, int] | None:
    """The header lines of a request as `whole_post` has it, and how long its body is; else None."""
    if _LINES.fullmatch(lines) is None or lines.count(b"\r\n") > MAX_FIELDS:
        return None
    fields = Fields(lines)
    if any(map(fields.hasHeader, _OTHERS)):
        return None
    if fields.hasHeader(b"connection") and [one.lower() for one in fields.values(b"connection")] != [b"keep-alive"]:
        return None
    lengths = fields.values(b"content-length")
    if len(lengths) > 1 or (lengths and _LENGTH.fullmatch(lengths[0]) is None):
        return None
    return fields, int(lengths[0]) if lengths else 0


def whole_upgrade(data: bytes) -> Whole | None:
    """The request for a WebSocket that ``data`` is (RFC 6455 §4.1), as browsers and phones write it; else None."""
    if data[:5] != b"GET /":
        return None
    line = _LINE.match(data) if len(data) <= MAX_HEAD_BYTES and data.endswith(b"\r\n\r\n") else None
    if line is None:
        return None
    lines = data[line.end() : -4]
    if _LINES.fullmatch(lines) is None:
        return None
    path, query = line.groups()
    fields = Fields(lines)
    if any(map(fields.hasHeader, _BODIES)) or lines.count(b"\r\n") > MAX_FIELDS or not fields.unique:
        return None
    asked = [[one.lower() for one in fields.values(name)] for name in (b"upgrade", b"connection")]
    if asked not in ([[b"websocket"], [b"upgrade"]], [[b"websocket"], [b"keep-alive, upgrade"]]):
        return None
    return Whole(path, query or b"", fields, b"")
