"""Whether the daemon has its program in the kernel, and what would keep it from that."""

from __future__ import annotations

import subprocess
from collections.abc import Collection

from rtcd.doctor.checks.plane import Facts
from rtcd.doctor.facts.process import Process
from rtcd.doctor.facts.subject import Subject
from rtcd.kernel.choice import STATUS, Unavailable, check_machine, missing_capabilities

TIMEOUT_S = 5.0
LINK = "anon_inode:bpf_link"
"""What the descriptor of an attached program is."""
_TAKEN = (("CAP_BPF", (39, 21)), ("CAP_NET_ADMIN", (12,)))
"""Capabilities, each with the numbers of those that will do, of <linux/capability.h>."""


def gather(subject: Subject) -> Facts | None:
    """Nothing without a relay. A running daemon has given its capabilities up, so of it only those count that it can never
    have had; root has all that are in the bounding set."""
    turn, running = subject.section("turn"), subject.process
    if turn is None or turn.stun_only:
        return None
    try:
        check_machine()
        unsuitable = ""
    except Unavailable as error:
        unsuitable = str(error)
    if running is None:
        missing = [] if subject.daemon.unit else missing_capabilities(STATUS)  # what a unit grants is not ours
        return Facts(turn.relay_plane, None, unsuitable, missing, subject.daemon.unit)
    opened = running.opened()
    kernel = None if opened is None else LINK in opened
    missing = _never_had(running)
    filtered, bounded = _unit(subject.daemon.unit, missing) if missing and subject.daemon.unit else (None, False)
    return Facts(turn.relay_plane, kernel, unsuitable, missing, subject.daemon.unit, filtered, bounded)


def _unit(unit: str, missing: Collection[str]) -> tuple[bool | None, bool]:
    """Whether it has a filter of system calls, None if systemd does not say, and whether its bounding set lacks some of
    these."""
    try:
        done = subprocess.run(["systemctl", "show", "-p", "SystemCallFilter", "-p", "CapabilityBoundingSet", "--", unit],
                              capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None, False
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if "SystemCallFilter" not in said:
        return None, False
    return bool(said["SystemCallFilter"].strip()), not set(missing) <= set(
        said.get("CapabilityBoundingSet", "").upper().split())


def _never_had(running: Process) -> list[str]:
    """Those beyond its bounding set, and of an ordinary user's that belongs to no unit those that it has not now: nobody has
    granted it any."""
    by = "CapBnd" if running.user == 0 or running.unit else "CapPrm"
    held = int((running.status(by) or ["ffffffffffffffff"])[0], 16)
    return [name for name, numbers in _TAKEN if not any(held >> number & 1 for number in numbers)]
