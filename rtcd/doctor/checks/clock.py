"""The clock: credentials and certificates are valid from a moment to a moment."""

from __future__ import annotations

from dataclasses import dataclass

from rtcd.doctor.finding import Finding, broken, degraded, note, ok

TOLERABLE_S = 5.0
"""A clock may be so wrong, the time of an answer with it."""
BROKEN_S = 300.0
"""Clients whose clocks are right refuse a fresh certificate, or are given credentials that end too early."""
KEEP = "timedatectl set-ntp true"
"""Has systemd keep it, by whom it was set up to."""
FUTURE_S = 60.0
"""A file of ours that is so much newer than now was written before the clock went back."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was asked; None where nobody could say."""

    kernel_synchronised: bool | None = None
    """What adjtimex(2) says: something keeps the clock right, or not."""
    systemd_synchronised: bool | None = None
    """What timedatectl says."""
    offset_s: float | None = None
    """Our clock less that of ``source``."""
    source: str = ""
    """The URL that was named for it."""
    fault: str = ""
    """Why that did not say the time."""
    ahead_s: float = 0.0
    """By how much the newest file of the state directory is newer than now."""
    mend: str = ""
    """The command that has the clock kept, where there is one."""


def judge(facts: Facts) -> list[Finding]:
    """Measured is better than told."""
    mend, found = facts.mend, list[Finding]()
    if facts.ahead_s > FUTURE_S:
        found.append(broken("clock.went-back", command=mend, seconds=f"{facts.ahead_s:.0f}"))
    if facts.fault:
        found.append(note("clock.no-answer", source=facts.source, reason=facts.fault))
    if facts.offset_s is not None:
        sign = "+" if facts.offset_s > 0 else "−"
        values = {"seconds": f"{abs(facts.offset_s):.0f}", "sign": sign, "source": facts.source}
        if abs(facts.offset_s) > BROKEN_S:
            found.append(broken("clock.wrong", command=mend, **values))
        elif abs(facts.offset_s) > TOLERABLE_S:
            found.append(degraded("clock.off", command=mend, **values))
        else:
            found.append(ok("clock.right", source=facts.source))
    elif facts.kernel_synchronised or facts.systemd_synchronised:
        by = "adjtimex" if facts.kernel_synchronised else "timedatectl"
        found.append(ok("clock.kept", by=by))
    elif facts.kernel_synchronised is False or facts.systemd_synchronised is False:
        found.append(note("clock.unkept", command=mend))
    return found
