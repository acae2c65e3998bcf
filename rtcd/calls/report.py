"""What a page tells about its connections, as JSON: read, checked, and put into the record of its call.

The shape is in docs/why.md. A report names the other pages by their public tags; addresses, names and what was said are
not in it, and no text but a few known words is taken over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Protocol

import msgspec

from rtcd.calls import changes
from rtcd.calls.record import Call, Pair

MAX_REPORT_BYTES = 8192
"""A longer report is none."""
MAX_AGO_S = 120.0
"""What is told to have been longer ago is told of that moment."""

_Tag = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{16}|app)$(?!\n)")]
_Type = Literal["host", "srflx", "prflx", "relay"]
_Figure = Annotated[float, msgspec.Meta(ge=0, le=1e7)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Pair(msgspec.Struct, frozen=True):
    local: _Type
    remote: _Type
    protocol: Literal["udp", "tcp"] = "udp"
    relay: Literal["", "udp", "tcp", "tls"] = ""


class _Look(msgspec.Struct, frozen=True):
    to: _Tag
    pair: _Pair | None = None
    rtt: _Figure | None = None
    """Milliseconds."""
    lost: tuple[_Share | None, _Share | None] = (None, None)
    """Out and in."""
    kbps: tuple[_Figure | None, _Figure | None] = (None, None)
    """Likewise."""


class _News(msgspec.Struct, frozen=True):
    ago: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    """Seconds."""
    what: Literal["state", "step", "server", "device"]
    value: Annotated[str, msgspec.Meta(max_length=changes.MAX_VALUE_CHARS, pattern=r"^[A-Za-z0-9 .-]*$(?!\n)")]
    to: _Tag | None = None


class Report(msgspec.Struct, frozen=True):
    """One of them."""

    looks: Annotated[tuple[_Look, ...], msgspec.Meta(max_length=8)] = ()
    news: Annotated[tuple[_News, ...], msgspec.Meta(max_length=32)] = ()
    end: Literal["", "hangup", "closed", "failed"] = ""


class Reports(Protocol):
    """Who takes them, ``calls.report`` on the desk."""

    def __call__(self, room: str, client: str, report: Report, /) -> bool:
        """Whether the client is in a call of this room, or was until a moment ago."""


STATES = ("new", "connecting", "connected", "disconnected", "failed", "closed")
STEPS = ("connecting", "interrupted", "relay", "renewing", "away")

NO_SERVERS = "none"
_SERVER = re.compile(r"(\d{1,3}) (stuns?|turns?) [A-Za-z0-9. -]*?\b(?: (\d{1,5}))?(?: transport (udp|tcp))?")
"""An error code and a URL with spaces for what is no letter, digit, dot or hyphen."""

_decode = msgspec.json.Decoder(Report).decode


def read(body: bytes) -> Report | None:
    """The report that these bytes are; None if they are none."""
    if not body or len(body) > MAX_REPORT_BYTES:
        return None
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def taken(call: Call, now: float, who: str, report: Report, letters: Mapping[str, str]) -> Call:
    """The record with what ``who`` tells. ``letters``: of the pages, by their tags; what is about others is passed over."""
    for one in report.news:
        at = now - min(one.ago, MAX_AGO_S)
        to = letters.get(one.to or "", "")
        if one.what == "state" and to and one.value in STATES:
            call = changes.link_state(call, at, who, to, one.value)
        elif one.what == "step" and to and one.value in STEPS:
            call = changes.link_step(call, at, who, to, one.value)
        elif one.what == "server" and one.value == NO_SERVERS:
            call = changes.unserved(call, at, who)
        elif one.what == "server":
            call = changes.server(call, at, who, _server(one.value))
        elif one.what == "device":
            call = changes.device(call, at, who, one.value)
    for look in report.looks:
        to = letters.get(look.to, "")
        if to and to != who:
            pair = Pair(look.pair.local, look.pair.remote, look.pair.protocol, look.pair.relay) if look.pair else None
            call = changes.looked(call, now, who, to, pair, (look.rtt, *look.lost, *look.kbps))
    return changes.leaving(call, now, who, report.end) if report.end else call


def _server(told: str) -> str:
    """Scheme, transport, port and error code; without the host, which is ours."""
    found = _SERVER.fullmatch(told)
    if found is None:
        return changes.REST
    code, scheme, port, transport = found.groups()
    return f"{' '.join(one for one in (scheme, transport, port) if one)}: {code}"
