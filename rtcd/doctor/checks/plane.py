"""Who moves the packets of relayed calls, the kernel or sockets, and why."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from rtcd.doctor.finding import Finding, broken, note, ok


@dataclass(frozen=True, slots=True)
class Facts:
    """What is wanted, and what is."""

    wanted: str
    """``[turn] relay-plane``."""
    kernel: bool | None = None
    """Whether the running daemon has its program in the kernel; None if that cannot be seen."""
    unsuitable: str = ""
    """Why this machine cannot do it, in the words of the daemon's log; empty if it could."""
    missing: Sequence[str] = ()
    """Capabilities that the daemon could not have got, or that whoever starts it now has not."""
    unit: str = ""
    filtered: bool | None = None
    """Whether the unit has a filter of system calls; None if that cannot be told."""
    bounded: bool = False
    """Whether its bounding set lacks them."""


def judge(facts: Facts) -> list[Finding]:
    """Sockets are no fault; a kernel that is demanded and cannot be had is one, and the daemon does not start."""
    if facts.wanted == "python":
        return [ok("plane.chosen")]
    if facts.kernel:
        return [ok("plane.kernel")]
    why = facts.unsuitable or " ".join(facts.missing)
    if facts.kernel is None and not why:
        return [ok("plane.possible")]
    made = broken if facts.wanted == "kernel" else note
    if facts.unsuitable:
        return [made("plane.unsuitable", reason=facts.unsuitable)]
    if facts.missing:
        return [made("plane.no-right", command=_grant(facts), capabilities=", ".join(facts.missing))]
    return [made("plane.sockets")]


def _grant(facts: Facts) -> str:
    """By what is added to the unit that there is. A filter or a bounding set where it has none would forbid all the rest."""
    if not facts.unit or facts.filtered is None:
        return ""
    rights = " ".join(facts.missing)
    lines = ["[Service]", f"AmbientCapabilities={rights}", *([f"CapabilityBoundingSet={rights}"] if facts.bounded else []),
             *(["SystemCallFilter=bpf capset"] if facts.filtered else [])]
    text = "".join(f"{line}\\n" for line in lines)
    folder, unit = shlex.quote(f"/etc/systemd/system/{facts.unit}.d"), shlex.quote(facts.unit)
    return (f"mkdir -p {folder} && printf '{text}' > {folder}/kernel.conf && systemctl daemon-reload && "
            f"systemctl restart {unit}")
