"""Whether the daemon of this ini runs, and how it is started and told to read its configuration again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from rtcd.doctor.finding import Finding, as_root, note, ok
from rtcd.initext import NO_INI


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen of it."""

    ini: str
    pid: int = 0
    """0: it does not run, or cannot be seen."""
    user: int = 0
    unit: str = ""
    """The systemd unit that it belongs to, or, if it does not run, that there is for it."""
    visible: bool = True
    """Whether we may see what the daemon has open."""

    def restart(self) -> str:
        """The command that starts it again, or starts it. One that somebody has started by hand takes to be ended first, and
        with what it was started nobody knows but him: for it there is none."""
        if self.unit:
            return f"systemctl restart {shlex.quote(self.unit)}"
        if self.pid:
            return ""
        return f"twistd -n rtcd --config {shlex.quote(self.ini)}" if self.ini != NO_INI else "twistd -n rtcd"

    def reload(self) -> str:
        """The command that has it read its configuration again; empty if it does not run."""
        if not self.pid:
            return ""
        return f"systemctl reload {shlex.quote(self.unit)}" if self.unit else f"kill -HUP {self.pid}"


def judge(facts: Facts) -> list[Finding]:
    """That it does not run may be as it should: the doctor comes before the first start too."""
    if not facts.pid:
        return [note("daemon.down", command=facts.restart(), ini=facts.ini)]
    found = [ok("daemon.up", pid=facts.pid, ini=facts.ini)]
    if not facts.visible:
        found.append(note("daemon.hidden", pid=facts.pid, user=facts.user, command=as_root(facts.ini)))
    return found
