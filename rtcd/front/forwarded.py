"""For whom a proxy speaks: ``X-Forwarded-*``, or ``Forwarded`` (RFC 7239), of proxies that are trusted. Rules only.

Each proxy adds the address that it was reached from at the right. So the list is read from there, as long as the one
who has added an entry is trusted; what is further to the left anybody may have written.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtcd.front.origin import Authority, parse_authority, parse_prefix, unmapped

MAX_HOPS = 32
"""Entries that are read; what is further to the left is left."""

_ELEMENT = re.compile(r'\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^";,\s]*))\s*(;|,|$)')
_SCHEMES = {"https": "https", "http": "http", "wss": "https", "ws": "http"}

Header = Callable[[str], str]
"""The value of a header by its lower-case name, several joined by commas, or an empty text."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and what that one sees of us, as far as it was told."""

    client: str
    """Host of the client; empty for a unix socket that named none."""
    scheme: str | None = None
    authority: Authority | None = None
    prefix: str | None = None


def read(peer: str, header: Header, trusts: Callable[[str], bool]) -> Asked:
    """``peer``: where the connection comes from, empty for a unix socket. ``trusts`` tells which hosts are our proxies.

    If a request has both kinds of header and they do not name the same client, one of them has passed the proxy
    untouched: neither is believed then.
    """
    if not trusts(peer):
        return Asked(peer)
    old = _from_x(peer, header, trusts) if header("x-forwarded-for") or header("x-forwarded-host") else None
    new = _from_forwarded(peer, header("forwarded"), trusts) if header("forwarded") else None
    if old is not None and new is not None and old.client != new.client:
        return Asked(peer)
    return old or new or _from_x(peer, header, trusts)


def _from_x(peer: str, header: Header, trusts: Callable[[str], bool]) -> Asked:
    hosts = _split(header("x-forwarded-for"))
    client, place = _walk(peer, hosts, trusts)
    scheme = _at(_split(header("x-forwarded-proto")), place, len(hosts))
    authority = _authority(_at(_split(header("x-forwarded-host")), place, len(hosts)))
    port = _at(_split(header("x-forwarded-port")), place, len(hosts))
    if authority is not None and authority.port is None and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536:
        authority = Authority(authority.host, int(port))
    return Asked(client, _SCHEMES.get(scheme.lower()), authority, _prefix(header("x-forwarded-prefix")))


def _from_forwarded(peer: str, text: str, trusts: Callable[[str], bool]) -> Asked:
    elements = _elements(text)
    client, place = _walk(peer, [one.get("for", "") for one in elements], trusts)
    if place >= len(elements):
        return Asked(client)
    found = elements[place]
    return Asked(client, _SCHEMES.get(found.get("proto", "").lower()), _authority(found.get("host", "")))


def _walk(peer: str, hosts: Sequence[str], trusts: Callable[[str], bool]) -> tuple[str, int]:
    """The first from the right who is not trusted, or whom nobody names; and the place of the entry that told us."""
    client, place = peer, len(hosts)
    while place > 0 and len(hosts) - place < MAX_HOPS and trusts(client):
        named = _host(hosts[place - 1])
        if named is None:
            break
        client, place = named, place - 1
    return client, place


def _at(values: Sequence[str], place: int, hosts: int) -> str:
    """Lists as long as that of the hosts belong together; else each proxy has replaced what the one before said."""
    if not values:
        return ""
    return values[place] if len(values) == hosts and place < hosts else values[-1]


def _split(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _elements(text: str) -> list[dict[str, str]]:
    """The elements of a ``Forwarded`` header; none if it is malformed anywhere, since its right end is then in doubt."""
    found: list[dict[str, str]] = [{}]
    place = 0
    while place < len(text):
        match = _ELEMENT.match(text, place)
        if match is None:
            return []
        name, quoted, plain, end = match.groups()
        found[-1][name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        if end == ",":
            found.append({})
        place = match.end()
    return found


def _host(text: str) -> str | None:
    """The address in ``192.0.2.1``, ``192.0.2.1:4711``, ``2001:db8::1``, ``[2001:db8::1]:4711``; None in anything else."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return unmapped(str(ipaddress.ip_address(bare)))
    except ValueError:
        return None


def _authority(text: str) -> Authority | None:
    try:
        return parse_authority(text) if text else None
    except ValueError:
        return None


def _prefix(text: str) -> str | None:
    values = _split(text)
    try:
        return parse_prefix(values[-1]) or None if values else None
    except ValueError:
        return None
