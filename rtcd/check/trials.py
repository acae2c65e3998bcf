"""`Trials`: the checks that are going on. Rules only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rtcd.check.paths import Path

MAX_TRIALS = 64
"""Checks at once; the next one has to wait. As many as `rtcd.turn.sightings` watches."""
TRIAL_S = 120
"""So long a check may take, and so long its credential is valid."""
MAX_FROM_NETWORK = 8
"""Checks at once from one network (`rtcd.bucket.masked`), so that few cannot keep all others waiting."""
AGAIN_S = 15
"""So long after a report the check is kept for the same report again."""
MAX_REPORTS = 3
"""A page whose report seems to be lost sends it again."""


@dataclass(slots=True)
class Trial:
    """A check that goes on."""

    id: str
    """Unguessable: who has it may report."""
    user: str
    """The part of its TURN names behind the time."""
    network: str
    """As `rtcd.bucket.masked` has it."""
    system: str
    paths: tuple[Path, ...]
    until: float
    number: int = 0
    """Of its result, when there is one."""
    reports: int = 0


class Trials:
    """By id, the oldest first."""

    def __init__(self) -> None:
        self._table: dict[str, Trial] = {}

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[Trial]:
        return iter(list(self._table.values()))

    def full(self, network: str) -> bool:
        """Whether another one from this network has to wait."""
        return len(self._table) >= MAX_TRIALS or sum(
            one.network == network for one in self._table.values()) >= MAX_FROM_NETWORK

    def add(self, trial: Trial) -> None:
        """It begins."""
        self._table[trial.id] = trial

    def report(self, its_id: str, now: float) -> Trial | None:
        """The trial that a report is about; None if there is none, or it has had its reports."""
        found = self._table.get(its_id)
        if found is None or now >= found.until or found.reports >= MAX_REPORTS:
            return None
        found.reports += 1
        found.until = min(found.until, now + AGAIN_S)
        return found

    def next_deadline(self) -> float | None:
        """When the first is over."""
        return min((one.until for one in self._table.values()), default=None)

    def over(self, now: float) -> list[Trial]:
        """Take out those whose time is over."""
        found = [one for one in self._table.values() if now >= one.until]
        for one in found:
            del self._table[one.id]
        return found

    def clear(self) -> list[Trial]:
        """Take out all."""
        found = list(self)
        self._table.clear()
        return found
