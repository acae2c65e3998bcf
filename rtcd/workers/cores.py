"""The cores of this machine that we may use: affinity, and the quotas of our control groups (cgroups(7))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rtcd.workers.count import parse, usable

CGROUPS = Path("/sys/fs/cgroup")
OURS = Path("/proc/self/cgroup")


def number(text: str) -> int:
    """How many workers this setting means here."""
    return parse(text) or usable(_affinity(), quotas())


def quotas(ours: Path = OURS, root: Path = CGROUPS) -> Iterator[str]:
    """The limits of the control groups that we are in, and of those around them, as ``cpu.max`` has them."""
    try:
        lines = ours.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        place = Path(path.lstrip("/"))
        for one in (place, *place.parents):
            if not controllers:
                yield from _text(root / one / "cpu.max")
            elif "cpu" in controllers.split(","):  # version 1
                for quota in _text(root / "cpu" / one / "cpu.cfs_quota_us"):
                    yield from (f"{quota.strip()} {period}" for period in _text(root / "cpu" / one / "cpu.cfs_period_us"))


def _text(path: Path) -> list[str]:
    try:
        return [path.read_text()]
    except OSError:
        return []


def _affinity() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # no Linux
        return os.cpu_count() or 1
