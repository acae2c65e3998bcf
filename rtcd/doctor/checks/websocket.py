"""Signalling: whether a WebSocket opens and is answered, at the listener here and at the address that browsers are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtcd.doctor.checks import daemon
from rtcd.doctor.finding import Finding, broken, note, ok

DNS, TIMEOUT, CONNECT, SHAKE, STATUS, SILENT, GARBAGE = (
    "dns", "timeout", "connect", "handshake", "status", "silent", "garbage")
"""Where a visit ends: no address, no answer to the SYN, refused, no TLS, no upgrade, no answer to a register, no HTTP."""
SWITCHING = 101


@dataclass(frozen=True, slots=True)
class Visit:
    """What became of one."""

    url: str
    public: bool
    """Whether it is the public one, or that of the listener here."""
    end: str = ""
    """Empty if it went well."""
    reason: str = ""
    status: int = 0
    server: str = ""
    """What stands in ``Server``."""
    answer: str = ""
    """To our register."""
    address: str = ""
    """Where it led."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Both visits, or the one that could be made."""

    visits: Sequence[Visit]
    daemon: daemon.Facts
    proxied: bool = False
    """Whether the ini has listeners for a proxy in front."""


def judge(facts: Facts) -> list[Finding]:
    """If the one here is well, what is wrong at the public address is between the two."""
    inside = any(not one.end for one in facts.visits if not one.public)
    return [_judged(one, facts, inside=inside and one.public) for one in facts.visits]


def _judged(visit: Visit, facts: Facts, *, inside: bool) -> Finding:
    values = {"url": visit.url, "address": visit.address or "-", "reason": visit.reason or "-", "status": str(visit.status),
              "server": visit.server or "-", "answer": visit.answer or "-"}
    if not visit.end:
        return ok("websocket.public" if visit.public else "websocket.here", **values)
    if visit.end == STATUS:
        return _status(visit, values, inside=inside)
    if visit.end in (TIMEOUT, CONNECT) and inside:
        return note("websocket.no-way-back", **values) if visit.end == TIMEOUT else broken(
            "websocket.refused", **values)
    ids = {DNS: "websocket.dns", TIMEOUT: "websocket.timeout", CONNECT: "websocket.refused", SHAKE: "websocket.tls",
           SILENT: "websocket.silent"}
    command = facts.daemon.restart() if visit.end == CONNECT and not visit.public else ""
    return broken(ids.get(visit.end, "websocket.garbage"), command=command, **values)


def _status(visit: Visit, values: dict[str, str], *, inside: bool) -> Finding:
    if visit.status in (502, 503, 504):
        return broken("websocket.bad-gateway", **values)
    if inside:
        return broken("websocket.no-upgrade", **values)
    return broken("websocket.status", **values)
