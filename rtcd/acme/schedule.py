"""When to renew a certificate, and how long to wait after a failure. All times are seconds; no clock here.

A clock may step. Delays are therefore bounded by what they can be at most, not only by the difference of two moments. That
is so for each that is computed: one that Twisted is waiting out already is by the wall clock too, and after a step back by
a month its end is a month later. With a step forward it ends at once, and the next is right again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from rtcd.tls.names import canonical

FIRST_S = 300.0
"""The wait after a first failure. It doubles with each further one."""
LONGEST_S = 12 * 3600.0
"""The longest wait, before the jitter."""
EXPIRED_LONGEST_S = 3600.0
"""The same when the certificate has run out: the operator is at work. Authorities allow a few failures an hour."""
SHARE = 12
"""A wait is no longer than this part of what is left of the certificate, so that there are tries enough before its end."""
SOONEST_S = 5.0
"""A certificate that lives for minutes only, as in tests, is asked for again no sooner than this. One that would be due even
before that counts as a failure."""
STEADY = 3
"""The longest wait is at least so many first ones, a quarter of an hour: of five proofs that fail in an hour the fifth is
where Let's Encrypt refuses."""
JITTER = 0.25
"""By so much of it a wait is made longer at most, so that daemons which failed together do not come back together."""
LONGEST_ASKED_S = 8 * 86400.0
"""Longer than this an authority's Retry-After is not obeyed: its longest limits are of a week."""
MAX_FAILURES = 10**6
"""More are not told apart."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """From when to when a certificate is valid, in Unix seconds."""

    not_before: float
    not_after: float

    @property
    def length(self) -> float:
        """Its whole length, never negative."""
        return max(0.0, self.not_after - self.not_before)

    def left(self, now: float) -> float:
        """What is left of it: never negative, and never more than the whole, however wrong the clock is."""
        return min(self.length, max(0.0, self.not_after - now))

    def until_renewal(self, now: float) -> float:
        """How long to wait with the renewal, which is due at two thirds of the lifetime; 0 if it is due."""
        renewal = self.length * 2 / 3
        return min(renewal, max(0.0, self.not_before + renewal - now))

    def is_due(self, now: float) -> bool:
        """Whether it should be renewed."""
        return self.until_renewal(now) <= 0


def back_off(
    failures: int, now: float, lifetime: Lifetime | None, *, retry_after: float | None = None, jitter: float = 0.0
) -> float:
    """How long to wait after so many ``failures`` in a row, of which there is at least one.

    ``lifetime``: of the certificate in service, None if there is none of the authority. ``retry_after``: what the
    authority has asked for, which is never undercut. ``jitter``: a random number from 0 to 1.
    """
    first, longest = FIRST_S, LONGEST_S
    if lifetime is not None and lifetime.length * 2 / 3 >= SOONEST_S:
        first = max(SOONEST_S, min(FIRST_S, lifetime.length / SHARE))
        left = lifetime.left(now)
        longest = max(first * STEADY, min(LONGEST_S, left / SHARE) if left > 0 else min(EXPIRED_LONGEST_S, lifetime.length))
    doublings = min(max(0, failures - 1), 32)
    wait: float = min(longest, first * 2.0**doublings) * (1 + JITTER * min(1.0, max(0.0, jitter)))
    if retry_after is None:
        return wait
    return max(wait, min(LONGEST_ASKED_S, retry_after))


@dataclass(frozen=True, slots=True)
class Pause:
    """What is left of failures: for which names nobody is asked until when."""

    names: tuple[str, ...]
    settings: str
    """What they failed with; with anything else there is no pause."""
    failures: int
    """In a row, for `back_off`."""
    proofs: int
    """Of these, how many were names that the authority found not proved."""
    length_s: float
    ends: float
    """In Unix seconds."""

    def left(self, now: float) -> float:
        """What is left of the wait, however wrong the clock is or was."""
        return max(0.0, min(self.length_s, self.ends - now))

    def to_json(self) -> str:
        """To be read by `from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Pause | None:
        """None if it is none. One that is longer than any we make is cut to that."""
        try:
            found = json.loads(text)
            names, settings = tuple(found["names"]), found["settings"]
            failures, proofs = (min(MAX_FAILURES, max(0, int(found[key]))) for key in ("failures", "proofs"))
            length, ends = float(found["length_s"]), float(found["ends"])
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
        if not all(isinstance(one, str) for one in (*names, settings)) or not math.isfinite(length + ends):
            return None
        return cls(names, settings, failures, proofs, min(length, LONGEST_ASKED_S), ends)


def is_for(names_of_certificate: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether a certificate is good for all that is wanted. It may be for more: a name that is gone from the settings, or
    out of reach for a while, is no reason to ask for another before its time."""
    return {canonical(name) for name in wanted} <= {canonical(name) for name in names_of_certificate}
