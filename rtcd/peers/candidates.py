"""The addresses in what clients of a room say to each other: ICE candidates in session descriptions and on their own.

A reader for policy's sake, not of ICE: whatever is not a candidate with an address in it is passed over, nothing raises,
and the work is bounded. Sources: RFC 8839 §5.1 (the candidate attribute), the message shapes of AppRTC's three clients.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from rtcd.peers.policy import canonical

MAX_TEXT_CHARS = 262144
"""Longer texts are not read; [web] and [signaling] let none through."""
MAX_CANDIDATES = 256
"""Those behind so many in one text are not read; a browser with many interfaces gathers some dozens."""
MAX_CANDIDATE_CHARS = 1024

_LINE = re.compile(r"^a=(candidate:[^\r\n]*)", re.MULTILINE)


class Signalled(NamedTuple):
    """What a text tells of where its sender can be reached."""

    hosts: dict[str, bool] = {}  # noqa: RUF012 # never changed
    """Canonical addresses; True where it is that of a relay."""
    hidden: bool = False
    """Some host candidate was an mDNS name (draft-ietf-mmusic-mdns-ice-candidates), which only its network can resolve."""


NOTHING = Signalled()


def signalled(text: str) -> Signalled:
    """The addresses that a peer message names: connection and related ones of every candidate."""
    if "candidate" not in text or len(text) > MAX_TEXT_CHARS:
        return NOTHING
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return NOTHING
    hosts: dict[str, bool] = {}
    hidden = False
    for number, candidate in enumerate(_candidates(message)):
        if number >= MAX_CANDIDATES:
            break
        hidden = _read(candidate, hosts) or hidden
    return Signalled(hosts, hidden)


def _candidates(message: Any) -> Iterator[str]:
    """The candidate attributes of a message: of its description, and its own; each plain or in an object of its own."""
    if not isinstance(message, dict):
        return
    for key in ("sdp", "candidate"):
        value = message.get(key)
        if isinstance(value, dict):
            value = value.get(key)
        if not isinstance(value, str):
            continue
        if key == "sdp":
            yield from (found[1] for found in _LINE.finditer(value))
        else:
            yield value.removeprefix("a=")


def _read(candidate: str, hosts: dict[str, bool]) -> bool:
    """Note the addresses of one candidate; whether its address is hidden behind a name."""
    if not candidate.startswith("candidate:") or len(candidate) > MAX_CANDIDATE_CHARS:
        return False
    words = candidate.split()
    if len(words) < 8 or words[6] != "typ":
        return False
    _note(words[4], words[7] == "relay", hosts)
    for name, value in zip(words[8::2], words[9::2], strict=False):
        if name == "raddr":
            _note(value, False, hosts)
    return words[4].lower().endswith(".local")


def _note(text: str, relay: bool, hosts: dict[str, bool]) -> None:
    try:
        address, _ = canonical(text.partition("%")[0])
    except ValueError:
        return
    if int(address):
        host = str(address)
        hosts[host] = relay or hosts.get(host, False)
