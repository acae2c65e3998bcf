"""What we ask the kernel about its network, and its answers, as bytes. Sources: rtnetlink(7), netlink(7).

Interfaces, the addresses on them, and by which of them a datagram would leave; nothing is changed by any of this.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass

GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000
"""Changes of links, of addresses, of routes and of rules, for both families: of these we are told."""

_NEW_LINK, _GET_LINK, _NEW_ADDRESS, _GET_ADDRESS, _NEW_ROUTE, _GET_ROUTE = 16, 18, 20, 22, 24, 26
_ERROR, _DONE = 2, 3
_REQUEST, _DUMP = 0x1, 0x300
_INET, _INET6 = 2, 10
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_INTEGER = struct.Struct("=I")
_NAME, _MTU = 3, 4
_SHARED, _OWN = 1, 2
"""IFA_ADDRESS and IFA_LOCAL, of which IPv6 has the first only, and IPv4 there the other end of a point-to-point link."""
_TO, _FROM, _OUT, _METRICS = 1, 2, 4, 8
_METRIC_MTU = 2
_KIND_MASK = 0x3FFF
UNICAST, LOCAL = 1, 2
"""Kinds of routes: out by an interface, and to ourselves."""

ETHERNET, LOOPBACK = 1, 772
"""Kinds of interfaces, ARPHRD_*."""


@dataclass(frozen=True, slots=True)
class Link:
    """An interface."""

    index: int
    name: str
    kind: int
    """ARPHRD_*."""
    mtu: int


@dataclass(frozen=True, slots=True)
class Route:
    """How a datagram leaves."""

    kind: int
    """RTN_*."""
    interface: int
    mtu: int
    """Of this route alone, perhaps learned from routers on the way; 0 if there is none."""


def ask_links(number: int) -> bytes:
    """For every interface. ``number``: of the question, which comes back with the answer; so with the others."""
    return _message(_GET_LINK, _LINK.pack(0, 0, 0, 0, 0), number, _DUMP)


def ask_addresses(number: int) -> bytes:
    """For every address of every interface."""
    return _message(_GET_ADDRESS, _ADDRESS.pack(0, 0, 0, 0, 0), number, _DUMP)


def ask_route(source: str, destination: str, number: int) -> bytes:
    """For how a datagram with these addresses, of one family, would leave."""
    to, by = ipaddress.ip_address(destination).packed, ipaddress.ip_address(source).packed
    bits = len(to) * 8
    family = _INET if bits == 32 else _INET6
    head = _ROUTE.pack(family, bits, bits, 0, 0, 0, 0, 0, 0)
    return _message(_GET_ROUTE, head + _attribute(_TO, to) + _attribute(_FROM, by), number)


def number_of(data: bytes) -> int:
    """Of the question that this is a part of an answer to; 0 if it is none."""
    return int(_HEADER.unpack_from(data)[3]) if len(data) >= _HEADER.size else 0


def links(data: bytes) -> Iterator[Link]:
    """Those in a part of an answer. This and the others raise OSError for an answer that says no."""
    for kind, body in _messages(data):
        if kind == _NEW_LINK:
            _, arphrd, index, _, _ = _LINK.unpack_from(body)
            told = dict(_attributes(body[_LINK.size :]))
            name = told.get(_NAME, b"").rstrip(b"\0").decode("utf-8", "replace")
            yield Link(index, name, arphrd, _integer(told.get(_MTU)))


def addresses(data: bytes) -> Iterator[tuple[int, str]]:
    """The index of the interface and the host of each address in a part of an answer."""
    for kind, body in _messages(data):
        if kind == _NEW_ADDRESS:
            told = dict(_attributes(body[_ADDRESS.size :]))
            raw = told.get(_OWN) or told.get(_SHARED) or b""
            if len(raw) in (4, 16):
                yield _ADDRESS.unpack_from(body)[4], str(ipaddress.ip_address(raw))


def route(data: bytes) -> Route | None:
    """The one in an answer."""
    for kind, body in _messages(data):
        if kind == _NEW_ROUTE:
            told = dict(_attributes(body[_ROUTE.size :]))
            metrics = dict(_attributes(told.get(_METRICS, b"")))
            return Route(_ROUTE.unpack_from(body)[7], _integer(told.get(_OUT)), _integer(metrics.get(_METRIC_MTU)))
    return None


def complete(data: bytes) -> bool:
    """Whether a dump ends in this part of it."""
    return any(kind == _DONE for kind, _ in _messages(data))


def _message(kind: int, body: bytes, number: int, flags: int = 0) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, number, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            return
        body = data[_HEADER.size : length]
        if kind == _ERROR:
            code = -int.from_bytes(body[:4], "little", signed=True)
            if code:
                raise OSError(code, "the kernel does not tell")
        yield kind, body
        data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _KIND_MASK, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def _integer(value: bytes | None) -> int:
    number: int = _INTEGER.unpack(value)[0] if value is not None and len(value) == _INTEGER.size else 0
    return number
