"""How many workers ``[daemon] workers`` means: a number, or ``auto`` for as many as there are cores that we may use.

Rules only; what the system says of its cores is read by rtcd.workers.cores.
"""

from __future__ import annotations

from collections.abc import Iterable

AUTO = "auto"
MAX_WORKERS = 64
"""More would share too few relay ports, and ask each other for longer than whoever waits for an answer likes."""


def parse(text: str) -> int:
    """The number; 0 for ``auto``. Raises ValueError with a sentence."""
    if text == AUTO:
        return 0
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_WORKERS):
        raise ValueError(f"{text!r} is no number from 1 to {MAX_WORKERS}; write one, or {AUTO}")
    return int(text)


def usable(affinity: int, quotas: Iterable[str]) -> int:
    """Cores that a process may use. ``affinity``: those that it may run on. ``quotas``: the limits of the control groups
    that it is in, as ``cpu.max`` has them (microseconds of each period, or ``max``); one that says something else is none.

    A part of a core counts as a whole one, or nobody could use it.
    """
    found = max(1, affinity)
    for text in quotas:
        quota, _, period = text.strip().partition(" ")
        if quota.isascii() and quota.isdigit() and period.isascii() and period.isdigit() and int(period):
            found = min(found, max(1, -(-int(quota) // int(period))))
    return min(found, MAX_WORKERS)
