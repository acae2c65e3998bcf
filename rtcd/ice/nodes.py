"""TURN nodes as ``[ice] servers`` names them: machines, each with its URLs, a region and a weight. Rules only.

A line is one or more URLs and then what is to be known of their node: ``turn:relay1.example.org:3478?transport=udp
region=eu weight=2``. URLs of one host are one node, unless ``node=`` names another; what is said of it stands on any of
its lines. Whether a node is alive is rtcd.ice.health's, which of them a client is given rtcd.ice.choice's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from rtcd.ice.regions import address_of, parse_region

MAX_NODES = 64
"""Each is probed all the time and has figures of its own."""
MAX_URLS = 8
"""Of one node; a browser slows down with more than a few."""
MAX_WEIGHT = 1000
MAX_NAME_CHARS = 255

_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?"
_URL = re.compile(rf"(?:(stun):{_HOST}|(turns?):{_HOST}(?:\?transport=(udp|tcp))?)")
"""RFC 7064 §3.1, RFC 7065 §3.1: no user, no path, IPv6 in brackets. For one that is wrong a browser refuses all."""
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{MAX_NAME_CHARS - 1}}}")
_PORTS = {"turn": 3478, "turns": 5349, "stun": 3478}


class Way(NamedTuple):
    """How a TURN URL is come to."""

    transport: str
    """``udp``, ``tcp``, ``tls`` or ``dtls``."""
    host: str
    """A name or an address, without brackets."""
    port: int


@dataclass(frozen=True, slots=True)
class Node:
    """One machine."""

    name: str
    turn: tuple[str, ...]
    """Its TURN URLs in the order of the ini, which is that in which clients should try them; at least one."""
    stun: tuple[str, ...] = ()
    region: str = ""
    """Empty if it was not said: then it is near to nobody in particular."""
    weight: int = 1

    @property
    def way(self) -> Way | None:
        """The way that is probed: the first by UDP, else by TCP, else by TLS; None for a node that has DTLS alone."""
        ways = [way_of(one) for one in self.turn]
        return next((way for wanted in ("udp", "tcp", "tls") for way in ways if way.transport == wanted), None)


@dataclass(frozen=True, slots=True)
class Servers:
    """All that is named."""

    nodes: tuple[Node, ...] = ()
    others: tuple[str, ...] = ()
    """STUN URLs of hosts that have no TURN URL."""

    @property
    def regions(self) -> frozenset[str]:
        """In which regions there are nodes."""
        return frozenset(one.region for one in self.nodes if one.region)


@dataclass(slots=True)
class _Draft:
    """What the lines have said of a node up to now."""

    turn: list[str] = field(default_factory=list)
    stun: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)


def way_of(url: str) -> Way:
    """The way of a TURN URL that `parse_servers` took; without a port it is the one of RFC 7065 §3.1."""
    found = _URL.fullmatch(url)
    if found is None or found[4] is None:
        raise ValueError(f"{url!r} is no TURN URL")
    scheme, host, port, transport = found.group(4, 5, 6, 7)
    kind = transport or ("tcp" if scheme == "turns" else "udp")
    if scheme == "turns":
        kind = {"tcp": "tls", "udp": "dtls"}[kind]
    return Way(kind, host.strip("[]"), int(port or _PORTS[scheme]))


def parse_servers(lines: Iterable[str]) -> Servers:
    """All of ``[ice] servers``. Raises ValueError with a sentence for the operator."""
    drafts: dict[str, _Draft] = {}
    for line in lines:
        _read(line, drafts)
    nodes = [_made(name, draft) for name, draft in drafts.items() if draft.turn]
    if len(nodes) > MAX_NODES:
        raise ValueError(f"there are {len(nodes)} nodes, more than {MAX_NODES}; let each daemon name those that are near it")
    return Servers(tuple(nodes), tuple(url for draft in drafts.values() if not draft.turn for url in draft.stun))


def _read(line: str, drafts: dict[str, _Draft]) -> None:
    urls: list[tuple[str, str, bool]] = []
    said: dict[str, str] = {}
    for word in line.split():
        key, equals, value = word.partition("=")
        if word.partition(":")[0] in _PORTS or not equals:
            urls.append(_checked(word))
        elif key in said:
            raise ValueError(f"{line!r} says {key}= twice; keep one of the two")
        else:
            said[key] = _value(key, value)
    if not urls:
        raise ValueError(f"{line!r} names no URL; begin it with one, such as turn:relay.example.org:3478?transport=udp")
    for url, host, relays in urls:
        draft = drafts.setdefault(said.get("node", host), _Draft())
        target = draft.turn if relays else draft.stun
        if url not in target:
            target.append(url)
        for key, value in said.items():
            if draft.said.setdefault(key, value) != value:
                raise ValueError(f"{line!r} says {key}={value} and another line of this node {key}={draft.said[key]}; keep"
                                 " one of the two")


def _checked(url: str) -> tuple[str, str, bool]:
    """The URL, its host, and whether it is one of TURN."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(f"{url!r} is no STUN or TURN URL; write it like turn:relay.example.org:3478?transport=udp or"
                         " stun:relay.example.org:3478")
    if not 0 < int(found[3] or found[6] or 1) <= 0xFFFF:
        raise ValueError(f"{url!r} has no port from 1 to 65535")
    host = found[2] or found[5]
    if host.startswith("[") and address_of(host[1:-1]) is None:
        raise ValueError(f"{url!r} has no IPv6 address between its brackets")
    return url, host.strip("[]").lower(), found[4] is not None


def _value(key: str, value: str) -> str:
    if key == "region":
        parse_region(value)
    elif key == "weight":
        if not (value.isascii() and value.isdigit() and len(value) <= 4 and 0 < int(value) <= MAX_WEIGHT):
            raise ValueError(f"weight={value} is no whole number from 1 to {MAX_WEIGHT}")
    elif key == "node":
        if not _NAME.fullmatch(value):
            raise ValueError(f"node={value} is no name; take letters, digits, dots and dashes")
    else:
        raise ValueError(f"{key}= is unknown; a URL may be followed by region=, weight= and node=")
    return value


def _made(name: str, draft: _Draft) -> Node:
    if len(draft.turn) + len(draft.stun) > MAX_URLS:
        raise ValueError(f"{name} has more than {MAX_URLS} URLs; one for each transport is enough")
    return Node(name, tuple(draft.turn), tuple(draft.stun), draft.said.get("region", ""), int(draft.said.get("weight", "1")))
