"""One page of figures from those of all workers, and one answer to whether the daemon is ready."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from rtcd.metrics import Labels, Sample

Key = tuple[str, Labels]

SAME = frozenset((
    "rtcd_acme_renewal_days_left", "rtcd_ice_node_draining", "rtcd_ice_node_rtt_seconds",
    "rtcd_calls_kept", "rtcd_daemon_build_info", "rtcd_daemon_draining",
    "rtcd_rooms_rooms", "rtcd_rooms_seats", "rtcd_rooms_calls", "rtcd_store_nodes", "rtcd_store_strangers",
    "process_open_fds"))
"""Gauges that are the same everywhere, are one worker's only, or have a limit that each process has for itself: the greatest
is shown."""
LEAST = frozenset((
    "rtcd_daemon_ready", "rtcd_ice_node_known", "rtcd_ice_node_usable",
    "rtcd_doorway_certificate_days_left", "rtcd_doorway_certificate_expiry_timestamp_seconds",
    "rtcd_store_reachable", "rtcd_doorway_certificate_start_timestamp_seconds", "process_start_time_seconds",
    "process_max_fds"))
"""Gauges of which the worst, or the earliest, is shown. All others are summed."""


def merged(parts: Iterable[Iterable[Sample]]) -> list[Sample]:
    """Counters and histograms summed, gauges as they make sense; sorted as `rtcd.metrics.Metrics.samples` does."""
    found: dict[Key, Sample] = {}
    order: dict[Key, int] = {}
    for part in parts:
        for one in part:
            key = one.name, one.labels
            order.setdefault(key, len(order))
            before = found.get(key)
            found[key] = one if before is None else one._replace(value=_rule(one)(before.value, one.value))
    return sorted(found.values(), key=lambda one: _place(one, order))


class Departed:
    """What workers that are gone have counted: a sum does not fall because one of them has died.

    Known is what a worker has told last, so what it counted later is lost.
    """

    def __init__(self) -> None:
        self._latest: dict[int, list[Sample]] = {}
        self._gone: list[Sample] = []

    def told(self, worker: int, samples: Iterable[Sample]) -> None:
        """It has just told this."""
        self._latest[worker] = [one for one in samples if one.kind != "gauge"]

    def gone(self, worker: int) -> None:
        """It is gone; the next one of this number begins at nothing."""
        self._gone = merged([self._gone, self._latest.pop(worker, [])])

    def samples(self) -> list[Sample]:
        """Of all that are gone."""
        return self._gone

    def latest(self, worker: int) -> list[Sample]:
        """What it has told last, for one that does not answer now."""
        return self._latest.get(worker, [])


def readiness(reports: Mapping[int, Mapping[str, str] | None]) -> dict[str, str]:
    """Each check of every worker, by name, with what is wrong; ``workers`` is one more, of those that have said nothing.

    ``reports``: by worker what each check has found, or None.
    """
    found: dict[str, list[str]] = {}
    for worker, report in sorted(reports.items()):
        for name, text in (report or {}).items():
            found.setdefault(name, []).extend([f"worker {worker}: {text}"] if text else [])
    silent = [str(worker) for worker, report in sorted(reports.items()) if report is None]
    found["workers"] = [f"no answer from worker {', '.join(silent)}"] if silent else []
    return {name: "; ".join(texts) for name, texts in found.items()}


def _rule(sample: Sample) -> Callable[[float, float], float]:
    if sample.kind == "gauge" and sample.name in SAME:
        return lambda one, other: _known(max, one, other)
    if sample.kind == "gauge" and sample.name in LEAST:
        return lambda one, other: _known(min, one, other)
    return lambda one, other: one + other


def _known(choose: Callable[[float, float], float], one: float, other: float) -> float:
    """A figure that one of them does not know is the other's."""
    if math.isnan(one) or math.isnan(other):
        return other if math.isnan(one) else one
    return choose(one, other)


def _place(sample: Sample, order: Mapping[Key, int]) -> tuple[int, str, int]:
    kind = ("counter", "gauge", "histogram").index(sample.kind)
    name = sample.name
    if sample.kind == "histogram":
        for suffix in ("_bucket", "_count", "_sum"):
            name = name.removesuffix(suffix)
    return kind, name, order[sample.name, sample.labels]
