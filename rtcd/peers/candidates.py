"""The addresses in what clients of a room say to each other: ICE candidates in session descriptions and on their own.

A reader for the sake of policy and of records, not of ICE: whatever is not a candidate with an address in it is passed
over, nothing raises, and the work is bounded.
Sources: RFC 8839 §5.1 (the candidate attribute), the message shapes of AppRTC's three clients.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from rtcd.peers.policy import canonical

MAX_TEXT_CHARS = 262144
"""Longer texts are not read; [web] and [signaling] let none through."""
MAX_CANDIDATES = 256
"""Those behind so many in one text are not read; a browser with many interfaces gathers some dozens."""
MAX_CANDIDATE_CHARS = 1024
CACHED_HOSTS = 4096
"""Addresses that are remembered as read: one client names few of them, in many candidates."""
_HOST_CHARS = 64
"""Longer ones are read each time, and are none."""

_LINE = re.compile(r"^a=(candidate:[^\r\n]*)", re.MULTILINE)


class Signalled(NamedTuple):
    """What a text tells of where its sender can be reached."""

    hosts: dict[str, bool] = {}  # noqa: RUF012 # never changed
    """Canonical addresses; True where it is that of a relay."""
    hidden: bool = False
    """Some host candidate was an mDNS name (draft-ietf-mmusic-mdns-ice-candidates), which only its network can resolve."""


NOTHING = Signalled()

TYPES = ("host", "srflx", "prflx", "relay")
TRANSPORTS = ("udp", "tcp")
MESSAGES = ("offer", "answer", "candidate", "bye")
OTHER = "other"
"""Of a type or transport that is none of these."""


class Candidate(NamedTuple):
    """One candidate, in words of which there are few."""

    type: str
    transport: str
    host: str
    """Canonical; empty for a name."""


class Described(msgspec.Struct):
    """What kind of message a text is, one of `MESSAGES` or empty, and the candidates in it. It is not changed."""

    message: str = ""
    candidates: tuple[Candidate, ...] = ()
    counted: tuple[str, ...] = ()
    """What there is one more of: type and transport of each candidate, and the message if it is more than a candidate."""
    settled: bool = True
    """None of its candidates tells what network its sender is seen in."""

    def __post_init__(self) -> None:
        """The last two follow from the others."""
        kinds = tuple([f"{one.type} {one.transport}" for one in self.candidates])
        self.counted = kinds if self.message == "candidate" else (*kinds, self.message)
        self.settled = not any(one.type == "srflx" for one in self.candidates)


def described(text: str) -> Described:
    """The same reading for who keeps records; whatever it is, nothing raises."""
    if len(text) > MAX_TEXT_CHARS:
        return _UNKNOWN
    if "candidate" not in text:
        return _without(text)
    message = _message(text)
    if message is None:
        return _UNKNOWN
    kind, candidate = message.type, message.candidate
    if kind == "candidate" and message.sdp is None and isinstance(candidate, str):  # what comes most
        words = _words(candidate.removeprefix("a="), 8)
        return _lone(words) if words else Described(kind)
    found: list[Candidate] = []
    for candidate in itertools.islice(_candidates(message), MAX_CANDIDATES):
        words = _words(candidate, 8)
        if words:
            found.append(_kind(words[2], words[4], words[7]))
    return Described(kind if isinstance(kind, str) and kind in MESSAGES else "", tuple(found))


_UNKNOWN = Described()
_WITHOUT = {one: Described(one) for one in MESSAGES}
"""Messages with no candidate in them, by their kind."""


def _without(text: str) -> Described:
    """The reading of a text that names no candidate: what else is in a session description need not be taken out of it."""
    try:
        kind: Any = _decode_kind(text).type
    except (msgspec.DecodeError, ValueError, RecursionError):
        message = _message(text)
        kind = None if message is None else message.type
    return _WITHOUT.get(kind, _UNKNOWN) if isinstance(kind, str) else _UNKNOWN


def signalled(text: str) -> Signalled:
    """The addresses that a peer message names: connection and related ones of every candidate."""
    if "candidate" not in text or len(text) > MAX_TEXT_CHARS:
        return NOTHING
    message = _message(text)
    if message is None:
        return NOTHING
    hosts: dict[str, bool] = {}
    hidden = False
    for number, candidate in enumerate(_candidates(message)):
        if number >= MAX_CANDIDATES:
            break
        hidden = _read(candidate, hosts) or hidden
    return Signalled(hosts, hidden)


class _Message(msgspec.Struct):
    """What of a message is looked at."""

    type: Any = None
    sdp: Any = None
    candidate: Any = None


class _Kind(msgspec.Struct):
    type: Any = None


_decode = msgspec.json.Decoder(_Message).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode


_last: tuple[str, _Message | None] = "", None


def _message(text: str) -> _Message | None:
    """What is in a text; None if it is no JSON object. The last one is remembered, since several read it in turn."""
    global _last
    if text is not _last[0]:
        try:
            _last = text, _decode(text)
        except (msgspec.DecodeError, ValueError, RecursionError):
            _last = text, _read_slowly(text)
    return _last[1]


def _read_slowly(text: str) -> _Message | None:
    """The standard library is asked what the quick reader does not take: it takes more, such as NaN."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _Message(*map(found.get, ("type", "sdp", "candidate"))) if isinstance(found, dict) else None


def _candidates(message: _Message) -> Iterator[str]:
    """The candidate attributes of a message: of its description, and its own; each plain or in an object of its own."""
    sdp, candidate = message.sdp, message.candidate
    if isinstance(sdp, dict):
        sdp = sdp.get("sdp")
    if isinstance(sdp, str) and "a=candidate:" in sdp:
        yield from (found[1] for found in _LINE.finditer(sdp))
    if isinstance(candidate, dict):
        candidate = candidate.get("candidate")
    if isinstance(candidate, str):
        yield candidate.removeprefix("a=")


def _kind(transport: str, host: str, kind: str) -> Candidate:
    """What a candidate with these words is."""
    transport = transport.lower()
    return Candidate(kind if kind in TYPES else OTHER, transport if transport in TRANSPORTS else OTHER, _host(host))


@functools.lru_cache(CACHED_HOSTS)
def _known_lone(transport: str, host: str, kind: str) -> Described:
    return Described("candidate", (_kind(transport, host, kind),))


def _lone(words: list[str]) -> Described:
    """A message with this candidate alone."""
    three = words[2], words[4], words[7]
    if len(three[0]) + len(three[1]) + len(three[2]) > _HOST_CHARS:
        return Described("candidate", (_kind(*three),))
    return _known_lone(*three)


def _read(candidate: str, hosts: dict[str, bool]) -> bool:
    """Note the addresses of one candidate; whether its address is hidden behind a name."""
    words = _words(candidate)
    if not words:
        return False
    _note(words[4], words[7] == "relay", hosts)
    for name, value in zip(words[8::2], words[9::2], strict=False):
        if name == "raddr":
            _note(value, False, hosts)
    return words[4].lower().endswith(".local")


def _words(candidate: str, most: int = -1) -> list[str]:
    """Those of the attribute, of which only so many need be told apart; none if it is no candidate."""
    if not candidate.startswith("candidate:") or len(candidate) > MAX_CANDIDATE_CHARS:
        return []
    words = candidate.split(None, most)
    return words if len(words) >= 8 and words[6] == "typ" else []


def _host(text: str) -> str:
    bare = text.partition("%")[0]
    return _known_host(bare) if len(bare) <= _HOST_CHARS else ""


@functools.lru_cache(CACHED_HOSTS)
def _known_host(text: str) -> str:
    try:
        address, _ = canonical(text)
    except ValueError:
        return ""
    return str(address) if int(address) else ""


def _note(text: str, relay: bool, hosts: dict[str, bool]) -> None:
    host = _host(text)
    if host:
        hosts[host] = relay or hosts.get(host, False)
