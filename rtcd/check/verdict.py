"""What a check means: the page's report joined with what arrived here. Rules only; how it is said is in `texts`.

A page can tell that a path does not work, and this end whether anything came by it; together they tell where it ends.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rtcd.check.paths import Path
from rtcd.check.report import Report, Seen

OUTCOMES = (
    "ok",
    "never-arrived",
    "blocked-here",  # never arrived, but from another network it did
    "certificate",  # TLS at the port that the page came by
    "inspected",  # plain TCP at the port that the page came by
    "unanswered",  # arrived, and we said nothing
    "answer-lost",
    "refused",
    "no-data",
    "elsewhere",  # failed at a server that is not ours
    "no-upgrade",
    "status",  # what answers at the WebSocket's address is no WebSocket
    "unreachable",
    "not-tried",
)
"""What may become of a path."""

SUMMARIES = ("good", "some", "no-udp", "no-server", "no-relay", "no-signaling", "no-webrtc")
"""What may become of a check; `LEVELS` has how bad that is."""
LEVELS = {"good": "good", "some": "fair", "no-udp": "fair", "no-server": "fair", "no-relay": "broken",
          "no-signaling": "broken", "no-webrtc": "broken"}

NO_ANSWER = 701
"""What browsers report if no server answered (W3C WebRTC, icecandidateerror)."""
UPGRADE_MISSED = (400, 426)
"""How our WebSocket answers a request without an upgrade, if something on the way took that off."""


class Sight(Protocol):
    """What came by one way, as `rtcd.turn.sightings.Sight` has it."""

    @property
    def kind(self) -> str:
        """``stun`` or ``turn``."""

    @property
    def transport(self) -> str:
        """By which it came."""

    @property
    def port(self) -> int:
        """The local port it came to."""

    @property
    def named(self) -> int:
        """Requests that have the check's name."""

    @property
    def answered(self) -> int:
        """Requests that were answered."""

    @property
    def code(self) -> int:
        """Of the last answer to one with the name."""

    @property
    def allocated(self) -> bool:
        """Whether there was an allocation."""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one path."""

    path: Path
    outcome: str
    """One of `OUTCOMES`."""
    code: int = 0
    """STUN error code or HTTP status."""
    ms: int | None = None
    """Round trip, where it works."""
    arrived: bool = False
    """Whether something came here by it. Of a WebSocket and of the page nobody has looked."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a check."""

    summary: str
    """One of `SUMMARIES`."""
    found: tuple[Found, ...]

    @property
    def level(self) -> str:
        """``good``, ``fair`` or ``broken``."""
        return LEVELS[self.summary]


def judge(paths: Sequence[Path], report: Report, sights: Iterable[Sight], open_elsewhere: Container[str]) -> Verdict:
    """``open_elsewhere``: ids of paths by which something arrived from another network not long ago. What the report says
    of paths that there are none of is left out."""
    seen = {one.id: one for one in report.paths}
    known = list(sights)
    found = []
    for one in paths:
        its = _sights(one, known)
        found.append(replace(_path(one, seen.get(one.id), its, open_elsewhere), arrived=bool(its)))
    return Verdict(_summary(found, webrtc=report.webrtc), tuple(found))


def arrived(verdict: Verdict) -> frozenset[str]:
    """The paths by which something got here."""
    return frozenset(one.path.id for one in verdict.found if one.arrived)


def _sights(path: Path, sights: Iterable[Sight]) -> list[Sight]:
    return [one for one in sights if (one.kind, one.transport) == (path.kind, path.transport) and one.port in path.local]


def _path(path: Path, seen: Seen | None, sights: Sequence[Sight], open_elsewhere: Container[str]) -> Found:
    if seen is None:
        return Found(path, "not-tried")
    if seen.ok and (path.kind != "stun" or seen.mapped or sights or not path.local):
        return Found(path, "ok", ms=seen.ms)
    if path.kind == "https":
        return Found(path, "unreachable")
    if path.kind == "wss":
        outcome = "no-upgrade" if seen.status in UPGRADE_MISSED else "status" if seen.status else "unreachable"
        return Found(path, outcome, seen.status)
    told = [one for one in seen.codes if 300 <= one < 700]
    code = next((one.code for one in sights if one.code), told[-1] if told else 0)
    if code:
        return Found(path, "refused", code)
    if seen.relayed:
        return Found(path, "no-data")
    if not sights:
        return Found(path, _unseen(path, open_elsewhere))
    return Found(path, "answer-lost" if any(one.answered for one in sights) else "unanswered")


def _unseen(path: Path, open_elsewhere: Container[str]) -> str:
    """Why nothing of it was seen here."""
    if not path.local:
        return "elsewhere"
    if path.shared:
        return "certificate" if path.transport == "tls" else "inspected"
    return "blocked-here" if path.id in open_elsewhere else "never-arrived"


def _summary(found: Sequence[Found], *, webrtc: bool) -> str:
    turn = [one for one in found if one.path.kind == "turn"]
    if not webrtc:
        return "no-webrtc"
    if any(one.path.kind == "wss" and one.outcome != "ok" for one in found):
        return "no-signaling"
    if not turn:
        return "no-server"
    if not any(one.outcome == "ok" for one in turn):
        return "no-relay"
    if not any(one.outcome == "ok" for one in turn if one.path.transport == "udp"):
        return "no-udp"
    return "good" if all(one.outcome == "ok" for one in found) else "some"
