"""What a rehearsal has measured, and what that means: the report, its verdict, and for how many calls there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

POOR_LOSS = 5.0
"""Per cent of packets; from here on a call is poor, as the page shows it."""

OWN_LIMIT = 85.0
"""Per cent of one processor; a rehearsing machine that is busier measures itself."""

USABLE = 0.8
"""How much of a processor may be planned with: the rest is for bursts."""


_BY = {"processor": "processor", "configuration": "ports and quota of [turn]"}

ON_THE_WAY_S = 0.2
"""What was sent in so short a time before both ends are read may be on its way."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one person has got from the other and sent to him so far. ``lost``: as RTCP counts it, up to the last packet that
    came. ``rtt_s``: there and back, None if not known yet."""

    packets: int
    lost: int
    bytes: int
    sent: int
    rtt_s: float | None


@dataclass(frozen=True, slots=True)
class Heard:
    """What one person has got from the other in the steady time, and what was lost of what the other one sent."""

    packets: int
    lost: int
    bytes: int
    rtt_s: float | None


@dataclass(frozen=True, slots=True)
class Load:
    """Seconds of processor that the daemon and its machine's interrupts for packets took in the steady time."""

    daemon_s: float
    interrupts_s: float
    processors: int

    def without(self, idle: Load, idle_seconds: float, seconds: float) -> Load:
        """What is left of so many seconds without what the machine did anyway, by ``idle_seconds`` before."""
        share = seconds / idle_seconds
        return Load(max(0.0, self.daemon_s - share * idle.daemon_s), max(0.0, self.interrupts_s - share * idle.interrupts_s),
                    self.processors)


@dataclass(frozen=True, slots=True)
class Figures:
    """A whole rehearsal. ``setup_s``: of each pair, from the second one's joining until both see and hear the other.
    ``own``: seconds of processor that rehearsing took. ``load`` is None where the daemon is on another machine."""

    url: str
    relay: str
    people: int
    seconds: float
    setup_s: Sequence[float]
    heard: Sequence[Heard]
    own_s: float
    load: Load | None = None
    failed: str | None = None
    """Why not all pairs connected."""
    broken: str | None = None
    """What ended while they talked."""
    limit: int | None = None
    """How many calls the daemon's configuration allows, if that could be read."""

    @property
    def calls(self) -> int:
        """Pairs that connected."""
        return len(self.setup_s)

    @property
    def loss(self) -> float:
        """Per cent of all packets that were sent."""
        lost, got = sum(one.lost for one in self.heard), sum(one.packets for one in self.heard)
        return 100.0 * lost / (lost + got) if lost + got else 0.0

    @property
    def silent(self) -> int:
        """How many people got nothing in the steady time."""
        return sum(not one.packets for one in self.heard)

    @property
    def kbps(self) -> float:
        """What each person got, on average."""
        if not self.heard or not self.seconds:
            return 0.0
        return sum(one.bytes for one in self.heard) * 8 / 1000 / self.seconds / len(self.heard)

    @property
    def own_percent(self) -> float:
        """How busy rehearsing was, of one processor: Python runs on one at a time."""
        return 100.0 * self.own_s / self.seconds if self.seconds else 0.0

    @property
    def room(self) -> tuple[str, int]:
        """For how many such calls there is room: ``about``, ``at least`` or ``no more than``, and how many."""
        if self.broken is not None:
            return "at least", 0
        if self.fault is not None:
            return "no more than", self.calls
        if self.load is None or not self.calls:
            return "at least", self.calls
        bears = headroom(self.calls, self.seconds, self.load)
        return "about", max(self.calls, bears if self.limit is None else min(bears, self.limit))

    @property
    def bounded_by(self) -> str:
        """What an ``about`` is by: ``processor`` or ``configuration``."""
        return "configuration" if self.limit is not None and self.room[1] >= self.limit else "processor"

    @property
    def fault(self) -> str | None:
        """Why the rehearsal is not good, in a sentence."""
        if self.failed is not None:
            return self.failed
        if self.broken is not None:
            return self.broken
        if self.silent:
            return f"{self.silent} of {len(self.heard)} people got nothing any more after they had connected"
        if self.loss >= POOR_LOSS:
            return f"{self.loss:.1f} % of the packets were lost; calls are poor from {POOR_LOSS:g} % on"
        return None

    def lines(self) -> list[str]:
        """For people."""
        found = [f"{self.calls} of {self.people // 2} calls by {self.relay} through {self.url}"]
        if self.setup_s:
            found.append(f"set-up    {_ms(self.setup_s, 0.5)} ms median, {_ms(self.setup_s, 0.95)} ms 95 %")
        if self.heard and self.seconds:
            rtt = [one.rtt_s for one in self.heard if one.rtt_s is not None]
            shown = f"{_ms(rtt, 0.5)} ms median, {_ms(rtt, 0.95)} ms 95 %" if rtt else "not known: the time was too short"
            found += [f"loss      {self.loss:.2f} %", f"RTT       {shown}",
                      f"bitrate   {self.kbps:.0f} kbit/s to each of {len(self.heard)} people"]
        if self.load is not None:
            found.append(f"daemon    {100 * self.load.daemon_s / self.seconds:.1f} % of a processor, and"
                         f" {100 * self.load.interrupts_s / self.seconds:.1f} % for packets in the kernel")
        word, calls = self.room
        if calls:
            by = f" by {_BY[self.bounded_by]}" if word == "about" else ""
            found.append(f"room for  {word} {calls} such call{'' if calls == 1 else 's'}{by}")
        if self.own_percent > OWN_LIMIT:
            found.append(f"note      rehearsing itself took {self.own_percent:.0f} % of a processor: times and loss may be"
                         " its own; rehearse with fewer people, or from several machines")
        return found

    def record(self) -> dict[str, object]:
        """For machines."""
        rtt = [one.rtt_s for one in self.heard if one.rtt_s is not None]
        word, calls = self.room
        load = self.load
        return {
            "url": self.url, "relay": self.relay, "people": self.people, "calls": self.calls, "seconds": self.seconds,
            "setup_ms": _both(self.setup_s), "loss_percent": round(self.loss, 3), "rtt_ms": _both(rtt),
            "kbps": round(self.kbps, 1), "own_percent": round(self.own_percent, 1),
            "daemon": None if load is None else {
                "percent": round(100 * load.daemon_s / self.seconds, 2),
                "interrupts_percent": round(100 * load.interrupts_s / self.seconds, 2), "processors": load.processors},
            "room": {"calls": calls, "bound": word, **({"by": self.bounded_by} if word == "about" else {})},
            "fault": self.fault,
        }


def between(before: Reading, after: Reading, sent: int, seconds: float) -> Heard:
    """What one has heard in so many seconds, in which the other one sent so many packets."""
    packets, told = after.packets - before.packets, after.lost - before.lost
    missing = sent - packets - int(sent * ON_THE_WAY_S / seconds)
    return Heard(packets, max(0, told, missing), after.bytes - before.bytes, after.rtt_s)


def headroom(calls: int, seconds: float, load: Load) -> int:
    """How many calls the machine bears, by what these took: the daemon has one processor, interrupts have all of them."""
    daemon = load.daemon_s / seconds / calls
    both = (load.daemon_s + load.interrupts_s) / seconds / calls
    bounds = [USABLE / daemon] if daemon else []
    bounds += [USABLE * load.processors / both] if both else []
    return int(min(bounds)) if bounds else calls


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of them does not exceed; ``values`` has at least one."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def _ms(values: Sequence[float], share: float) -> str:
    return f"{1000 * percentile(values, share):.0f}"


def _both(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {name: round(1000 * percentile(values, share), 1) for name, share in (("median", 0.5), ("p95", 0.95))}
