"""What a TLS ClientHello says before any of it is answered: the server's name, and the protocols offered. Rules only.

Sources: RFC 8446 §4.1.2 and §5.1, RFC 6066 §3 (server_name), RFC 7301 §3.1 (ALPN).
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_HELLO_BYTES = 5 + 16384
"""One record. A ClientHello that is longer, or in several records, is not looked into."""

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _ALPN = 0, 16


@dataclass(frozen=True, slots=True)
class Hello:
    """What is of interest in a ClientHello."""

    server_name: str
    """In lower case; empty if none is given."""
    protocols: tuple[bytes, ...]
    """Offered by ALPN, in the client's order."""


def read_hello(data: bytes) -> Hello | None:
    """The ClientHello that ``data`` begins with, or None if more bytes are needed.

    Raises `ValueError` for what is no ClientHello in one record; TLS may still make something of it.
    """
    if len(data) < 5:
        return None
    if data[0] != _HANDSHAKE:
        raise ValueError("no handshake record")
    size = int.from_bytes(data[3:5], "big")
    if size > MAX_HELLO_BYTES - 5:
        raise ValueError("a record that is too long")
    if len(data) < 5 + size:
        return None
    record = _Bytes(data[5 : 5 + size])
    if record.number(1) != _CLIENT_HELLO:
        raise ValueError("no ClientHello")
    return _hello(_Bytes(record.vector(3)))


def _hello(body: _Bytes) -> Hello:
    body.take(2 + 32)  # version, random
    body.vector(1)  # session
    body.vector(2)  # cipher suites
    body.vector(1)  # compression
    name = ""
    protocols: tuple[bytes, ...] = ()
    extensions = _Bytes(body.vector(2) if body else b"")
    while extensions:
        kind, content = extensions.number(2), _Bytes(extensions.vector(2))
        if kind == _SERVER_NAME:
            name = _server_name(_Bytes(content.vector(2)))
        elif kind == _ALPN:
            protocols = _protocols(_Bytes(content.vector(2)))
    return Hello(name, protocols)


def _server_name(names: _Bytes) -> str:
    while names:
        kind, name = names.number(1), names.vector(2)
        if kind == 0:
            return name.decode("ascii", "replace").lower()
    return ""


def _protocols(names: _Bytes) -> tuple[bytes, ...]:
    found = []
    while names:
        found.append(names.vector(1))
    return tuple(found)


class _Bytes:
    """Bytes that are read from the front. Each method raises `ValueError` when there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def __bool__(self) -> bool:
        return self._place < len(self._data)

    def take(self, size: int) -> bytes:
        """So many bytes."""
        found = self._data[self._place : self._place + size]
        if len(found) < size:
            raise ValueError("a ClientHello that ends too early")
        self._place += size
        return found

    def number(self, size: int) -> int:
        """A number in so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Bytes behind their length, which is in so many bytes."""
        return self.take(self.number(size))
