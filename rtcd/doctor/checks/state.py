"""The state directory: secrets and certificates made here have to be written, and be nobody else's."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from rtcd.doctor.finding import Finding, broken, degraded, note, ok

NEEDED_BYTES = 256 * 1024
"""What is written and removed again to try: as much as a renewed certificate and an account take."""
LOW_BYTES = 16 * 1024 * 1024
"""Less than this on a disk is soon full. In memory, where nothing else is, ten times what is needed will do."""
MORE_BYTES = 64 * 1024 * 1024
"""What a file system in memory is given."""
MEMORY = ("tmpfs", "ramfs")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the file system says."""

    path: str
    exists: bool = True
    free_bytes: int = 0
    kind: str = ""
    """Of its file system, as ``ext4``."""
    mount: str = ""
    """Where that is mounted."""
    size_bytes: int = 0
    """Of the file system."""
    journal: bool = False
    """Whether systemd's journal is on it."""
    fault: str = ""
    """Why a file could not be written there; empty if it could."""
    full: bool = False
    """Whether the reason is that there is no room."""
    tried: bool = True
    """Whether it was tried: only its owner and root may."""
    mode: int = 0o700
    user: int = 0
    group: int = 0
    daemon_user: int | None = None
    """Whom it has to belong to, if that is known."""
    daemon_group: int = 0


def judge(facts: Facts) -> list[Finding]:
    """A directory that is not there yet is made at the first start."""
    if not facts.exists:
        return [note("state.missing", path=facts.path)]
    quoted = shlex.quote(facts.path)
    found: list[Finding] = []
    if facts.daemon_user is not None and facts.user != facts.daemon_user:
        found.append(broken(
            "state.owner", path=facts.path, owner=facts.user, user=facts.daemon_user,
            command=f"chown -R {facts.daemon_user}:{facts.daemon_group} {quoted}"))
    if facts.mode & 0o077:
        found.append(degraded("state.mode", command=f"chmod -R go= {quoted}", path=facts.path, mode=f"{facts.mode:04o}"))
    low = LOW_BYTES if facts.kind not in MEMORY else 10 * NEEDED_BYTES
    values = {"path": facts.path, "free": _shown(facts.free_bytes), "mount": facts.mount, "kind": facts.kind}
    if facts.full or (not facts.fault and facts.free_bytes < NEEDED_BYTES):  # what only root may fill is no room
        found.append(broken("state.full", command=_room(facts), **values))
    elif facts.fault:
        found.append(broken("state.unwritable", path=facts.path, reason=facts.fault))
    elif facts.free_bytes < low:
        found.append(degraded("state.low", command=_room(facts), **values))
    if not found and not facts.tried:
        found.append(note("state.not-tried", **values))
    return found or [ok("state.good", **values)]


def _room(facts: Facts) -> str:
    """Of what is in memory more than it has; elsewhere what can be told to go without looking."""
    if facts.kind == "tmpfs":
        return f"mount -o remount,size={(facts.size_bytes + MORE_BYTES) // 1024}k {shlex.quote(facts.mount)}"
    return "journalctl --vacuum-size=100M" if facts.journal else ""


def _shown(size: int) -> str:
    return f"{size // 1024} KiB" if size < 1 << 20 else f"{size >> 20} MiB"
