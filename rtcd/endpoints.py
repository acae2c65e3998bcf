"""Endpoint strings of the ini: which keys hold them, and where one of them says that it listens. Nothing is opened, and no
name is looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

LISTENING = {"doorway": ("https", "http", "plain"), "metrics": ("listen",)}
"""Sections and their keys that hold endpoints, in the order in which these are opened."""

MAX_PORT = 65535

_PORT = re.compile(r"[0-9]{1,9}", re.ASCII)

_ARGUMENTS = {"tcp": ("port", "interface"), "tcp6": ("port", "backlog", "interface"),
              "ssl": ("port", "privateKey", "certKey", "sslmethod", "interface")}
"""What the arguments of each kind are that have no name, in Twisted's order."""


class Place(NamedTuple):
    """Where an endpoint listens."""

    host: str
    """An address, a name, or a wildcard; empty for both families, as a bare ``tcp:8443`` is opened."""
    port: int
    """More than `MAX_PORT` is a fault; 0 is chosen by the system."""


def place_of(endpoint: str) -> Place | None:
    """Host and port of a TCP endpoint; None of what is handed over, of a unix socket, and of what is no endpoint."""
    (kind, *unnamed), named = _arguments(endpoint)
    given = dict(zip(_ARGUMENTS.get(kind, ()), unnamed, strict=False)) | named
    if kind not in _ARGUMENTS or not _PORT.fullmatch(given.get("port", "")):
        return None
    if kind == "tcp" and given.keys() == {"port"}:
        return Place("", int(given["port"]))
    return Place(given.get("interface", "::" if kind == "tcp6" else "") or "0.0.0.0", int(given["port"]))  # named, not bound


def listening(settings: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Section, key and endpoint of all that stand in these settings, of the sections that are there."""
    for section, keys in LISTENING.items():
        own = settings.get(section)
        for key in keys if own is not None else ():
            yield from ((section, key, text) for text in getattr(own, key))


def _arguments(endpoint: str) -> tuple[list[str], dict[str, str]]:
    """Those without a name, the kind first, and those with one; a backslash takes its meaning from what follows it."""
    unnamed: list[str] = []
    named: dict[str, str] = {}
    part, name, escaped = "", None, False
    for letter in f"{endpoint}:":
        if escaped:
            part, escaped = part + letter, False
        elif letter == "\\":
            escaped = True
        elif letter == "=" and name is None:
            part, name = "", part
        elif letter != ":":
            part += letter
        else:
            if name is None:
                unnamed.append(part)
            else:
                named[name] = part
            part, name = "", None
    return unnamed or [""], named
