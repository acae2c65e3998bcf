"""What the process takes of the machine, by the names that every Prometheus client library gives it.

Not prometheus_client's own collector, which wants to know when the machine was started and has nothing to say where
/proc holds only processes, as in the shipped unit.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from rtcd.metrics import Sample

PROC = Path("/proc/self")


def samples(started_at: float, proc: Path = PROC) -> Iterator[Sample]:
    """Each figure that this system tells. ``started_at``: Unix seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield Sample("process_cpu_seconds_total", (), usage.ru_utime + usage.ru_stime, "counter",
                 "Processor time of the process, in user and system mode, in seconds.")
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield _gauge("process_max_fds", limit if limit != resource.RLIM_INFINITY else float("inf"),
                 "Descriptors that a process may have open.")
    yield _gauge("process_start_time_seconds", started_at, "When the process began, in Unix time.")
    try:
        yield _gauge("process_open_fds", len(os.listdir(proc / "fd")), "Descriptors that are open, where most are.")
        pages = int((proc / "statm").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):  # no Linux, or a /proc that does not show it
        return
    yield _gauge("process_resident_memory_bytes", pages * resource.getpagesize(), "Memory of the process that is in use.")


def _gauge(name: str, value: float, text: str) -> Sample:
    return Sample(name, (), value, "gauge", text)
