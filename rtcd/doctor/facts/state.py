"""Looks at the state directory, and writes a file into it and removes it again where that is allowed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from rtcd.config import ConfigError
from rtcd.doctor.checks.state import NEEDED_BYTES, Facts
from rtcd.doctor.facts.subject import Subject
from rtcd.privileges import owner_of

JOURNAL = Path("/var/log/journal")
MOUNTS = Path("/proc/self/mountinfo")
FULL = (errno.ENOSPC, errno.EDQUOT)


def gather(subject: Subject) -> Facts | None:
    """Nothing where only root may look, of which another check tells."""
    path = subject.state
    if path is None:
        return None
    try:
        status = path.stat()
    except FileNotFoundError:
        return Facts(str(path), exists=False)
    except PermissionError:
        return None
    except OSError as error:
        return Facts(str(path), fault=error.strerror or str(error))
    room = os.statvfs(path)
    mount, kind = mounted(path)
    user, group = _owner(subject)
    tried = os.geteuid() in (0, status.st_uid)
    fault, full = _try(path) if tried else ("", False)
    return Facts(
        str(path), free_bytes=room.f_bavail * room.f_frsize, kind=kind, mount=mount,
        size_bytes=room.f_blocks * room.f_frsize, journal=JOURNAL.exists() and mounted(JOURNAL)[0] == mount,
        fault=fault, full=full, tried=tried,
        mode=stat.S_IMODE(status.st_mode), user=status.st_uid, group=status.st_gid, daemon_user=user, daemon_group=group)


def _owner(subject: Subject) -> tuple[int | None, int]:
    """Whom it has to belong to: the user that the daemon is, or is to become. Root may write anywhere."""
    if subject.process is not None:
        return subject.process.user or None, subject.process.group
    settings = subject.section("daemon")
    try:
        found = owner_of(settings.user, settings.group)
    except ConfigError:  # there is no such user
        return None, 0
    return (found.uid, found.gid) if found is not None else (None, 0)


def mounted(path: Path) -> tuple[str, str]:
    """Where the file system of a path is mounted, and its kind."""
    real, found = str(path.resolve()), ("/", "")
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ")
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= len(found[0]):
            found = point, right.split()[0]
    return found


def _try(path: Path) -> tuple[str, bool]:
    """Why a file of the needed size could not be written, and whether it was for want of room."""
    name = path / f".doctor.{os.getpid()}"
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            left = NEEDED_BYTES
            while left:
                left -= os.write(descriptor, bytes(min(left, 65536)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            os.unlink(name)
    except OSError as error:
        return error.strerror or str(error), error.errno in FULL
    return "", False
