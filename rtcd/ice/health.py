"""`Health`: what is known of one TURN node by probing it, and when it is to be probed again. Rules only.

A few failures in a row make a node dead and one success makes it alive. A node that drains refuses new allocations in a way
of its own (403, or 300 where it sends clients elsewhere), and one that is full with 486 or 508: neither is given to new
clients, and both go on serving those that they have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rtcd.ice.nodes import Way

UNKNOWN, ALIVE, DRAINING, FULL, DEAD, UNPROBED = STATES = (
    "unknown", "alive", "draining", "full", "dead", "unprobed")
"""``unknown``: it has not answered yet and not failed often enough; ``unprobed``: it cannot be asked, or is not to be."""
USABLE = frozenset((ALIVE, UNKNOWN, UNPROBED))
"""States in which clients are given a node."""
DOUBT = 1
"""The rank of a usable node that has failed and never answered: it is given where none is known to be better. A daemon that
begins while a node is away would send people there else until it is dead."""
LAST_RESORT = (DEAD, FULL, DRAINING)
"""Where none is usable they are given the first kind of these that there is: one that is dead to us may only be out of our
reach, one that is full may have room again soon, and one that drains says that it takes nobody."""

FAILURES = 3
"""So many in a row, and it is dead: one lost packet, or a daemon that is started again, is no death."""
RETRY_S = 0.5
"""From a failure to the next probe, as long as it is not dead."""
JITTER = 0.2
"""By so much of it an interval is longer or shorter: the probes of many machines must not come together."""
TIMEOUT_S = 1.5
"""What has not answered by then has failed. With the default interval a node is known as dead at most
3 s * 1.2 + 3 * 1.5 s + 2 * 0.5 s = 9.1 s after its death."""
REFUSED_S = 120.0
"""From one probe whose credential was refused to the next: what shuts out whoever brings wrong passwords, as the shipped
fail2ban jail does after ten within ten minutes, must not shut us out."""
MAX_REASON_CHARS = 120


@dataclass(frozen=True, slots=True)
class Probe:
    """What one probe has come to."""

    state: str
    """`ALIVE`, `DRAINING`, `FULL` or `DEAD`; the last stands for a failure, of which it takes a few."""
    reason: str = ""
    """What it said, or what failed; empty for one that is alive."""
    binding: bool = False
    """Whether it answered STUN's Binding."""
    rtt_s: float | None = None
    """Of the quickest answer."""
    refused: bool = False
    """Whether it does not know our credential: it will not another time either, until somebody mends that."""


class Known(NamedTuple):
    """What one process of a daemon tells the others of a node, see `Health`."""

    name: str
    way: Way | None
    """How it is asked: the others may have read another ini."""
    state: str
    since: float
    reason: str
    refused: bool
    rtt_s: float | None
    binding: bool
    failures: int


class Health:
    """One node's. Moments are Unix seconds."""

    __slots__ = ("binding", "failures", "reason", "refused", "rtt_s", "since", "state")

    def __init__(self, now: float, *, probed: bool = True) -> None:
        self.state = UNKNOWN if probed else UNPROBED
        self.since = now
        """When it came to be so."""
        self.failures = 0
        """In a row."""
        self.reason = ""
        self.refused = False
        """Whether it did not know our credential when it was asked last."""
        self.rtt_s: float | None = None
        self.binding = True
        """Whether it answered STUN's Binding when it answered last; assumed until then."""

    @property
    def usable(self) -> bool:
        """Whether clients may be given it."""
        return self.state in USABLE

    def took(self, probe: Probe, now: float) -> bool:
        """Take the outcome of a probe; whether the state is another one now."""
        before, self.reason, self.refused = self.state, probe.reason[:MAX_REASON_CHARS], probe.refused
        if probe.state == DEAD:
            self.failures = FAILURES if probe.refused else self.failures + 1
            if self.failures >= FAILURES:
                self.state, self.rtt_s = DEAD, None
        else:
            self.failures, self.state = 0, probe.state
            self.binding, self.rtt_s = probe.binding, probe.rtt_s
        if self.state != before:
            self.since = now
        return self.state != before

    def learn(self, known: Known) -> None:
        """Take over what another process knows, unless that is nothing: it may have been started just now."""
        if UNPROBED in (self.state, known.state) or (known.state == UNKNOWN != self.state):
            return
        self.state, self.since, self.reason = known.state, known.since, known.reason
        self.refused, self.rtt_s, self.binding, self.failures = known.refused, known.rtt_s, known.binding, known.failures

    @property
    def rank(self) -> int:
        """0 while it is usable, or `DOUBT`; else the more the less is to be hoped of it. One that does not know our
        credential knows none that we give to clients."""
        if self.usable:
            return DOUBT if self.state == UNKNOWN and self.failures else 0
        return DOUBT + 1 + (len(LAST_RESORT) if self.refused else LAST_RESORT.index(self.state))

    def wait_s(self, interval_s: float, chance: float) -> float:
        """Seconds until the next probe; ``chance`` is from 0 to 1, by which intervals differ."""
        if 0 < self.failures < FAILURES:
            return min(RETRY_S, interval_s)
        if self.refused:
            interval_s = max(interval_s, REFUSED_S)
        return interval_s * (1 - JITTER + 2 * JITTER * chance)
