"""What the system lets one process have: open files, and the buffers of sockets."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from rtcd.doctor.finding import Finding, degraded, note, ok

OTHERS = 1024
"""Files that are open besides the relays: connections of browsers, listeners, logs."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Read from the process if there is one, else from ourselves."""

    files: int
    """LimitNOFILE, the soft one."""
    relay_ports: int
    """How many relays there may be; 0 without a relay."""
    pid: int = 0
    unit: str = ""
    buffer_wanted: int = 0
    """``[turn] socket-buffer``, in bytes."""
    buffer_allowed: int | None = None
    """net.core.rmem_max, in bytes."""


def judge(facts: Facts) -> list[Finding]:
    """Each relay is one open file."""
    found = []
    needed = facts.relay_ports + OTHERS
    if facts.files < needed:
        found.append(degraded(
            "limits.files", command=_raise(facts, needed), files=facts.files, needed=needed, relays=facts.relay_ports))
    if facts.relay_ports and facts.buffer_allowed is not None and facts.buffer_allowed < facts.buffer_wanted:
        found.append(note(
            "limits.buffers", command=f"sysctl -w net.core.rmem_max={facts.buffer_wanted} "
            f"net.core.wmem_max={facts.buffer_wanted}", wanted=facts.buffer_wanted, allowed=facts.buffer_allowed))
    return found or [ok("limits.good", files=facts.files)]


def _raise(facts: Facts, needed: int) -> str:
    if facts.unit:
        folder, unit = shlex.quote(f"/etc/systemd/system/{facts.unit}.d"), shlex.quote(facts.unit)
        return (f"mkdir -p {folder} && printf '[Service]\\nLimitNOFILE={needed}\\n' > {folder}/files.conf && "
                f"systemctl daemon-reload && systemctl restart {unit}")
    return f"prlimit --pid {facts.pid} --nofile={needed}:{needed}" if facts.pid else f"ulimit -n {needed}"
