"""Reads the limits of the daemon's process, or of ours."""

from __future__ import annotations

import resource
from pathlib import Path

from rtcd.doctor.checks.limits import Facts
from rtcd.doctor.facts.subject import Subject

RMEM_MAX = Path("/proc/sys/net/core/rmem_max")


def gather(subject: Subject) -> Facts:
    """Of the soft limit of files and the system's of buffers."""
    running, turn = subject.process, subject.section("turn")
    files = running.most_files if running else None
    if files is None:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        files = 1 << 30 if files == resource.RLIM_INFINITY else files
    relays = turn.max_port - turn.min_port + 1 if turn is not None and not turn.stun_only else 0
    try:
        allowed: int | None = int(RMEM_MAX.read_text())
    except (OSError, ValueError):
        allowed = None
    return Facts(files, relays, subject.daemon.pid, subject.daemon.unit, turn.socket_buffer if relays else 0, allowed)
