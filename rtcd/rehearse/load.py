"""How much processor the daemon takes, if it is on this machine: read from ``/proc`` before and after."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from rtcd.machine import own_addresses
from rtcd.rehearse.figures import Load
from rtcd.rehearse.procfs import ended, holds, listening, ticks_of_interrupts, ticks_of_process

PROC = Path("/proc")


class Meter:
    """Made when the steady time begins; `read` at its end."""

    def __init__(self, pid: int, proc: Path = PROC) -> None:
        self._proc = proc
        self._pid = pid
        self._before = self._now()

    def read(self) -> Load | None:
        """What it took since; None if the daemon is gone."""
        try:
            daemon, interrupts = self._now()
        except OSError:
            return None
        tick = os.sysconf("SC_CLK_TCK")
        return Load((daemon - self._before[0]) / tick, (interrupts - self._before[1]) / tick, os.cpu_count() or 1)

    def _now(self) -> tuple[int, int]:
        process = (self._proc / str(self._pid) / "stat").read_text(errors="replace")
        if ended(process):
            raise ProcessLookupError
        return ticks_of_process(process), ticks_of_interrupts((self._proc / "stat").read_text())


def meter(url: str, proc: Path = PROC) -> Meter | None:
    """Of the daemon behind a URL; None if it is elsewhere, hidden, or behind another program."""
    try:
        pid = daemon_of(url, proc)
        return None if pid is None else Meter(pid, proc)
    except OSError:
        return None


def daemon_of(url: str, proc: Path = PROC) -> int | None:
    """The process that listens at the port of a URL, if its host is this machine and it is an rtcd."""
    parts = urlsplit(url)
    port = parts.port or 443
    here = set(own_addresses())
    if not {str(one[4][0]) for one in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)} & here:
        return None
    inodes: set[str] = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            inodes |= listening((proc / "net" / name).read_text(), port)
    for folder in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended, or is somebody else's
            links = [os.readlink(one) for one in (folder / "fd").iterdir()]
            if holds(links, inodes) and b"rtcd" in (folder / "cmdline").read_bytes():
                return int(folder.name)
    return None
