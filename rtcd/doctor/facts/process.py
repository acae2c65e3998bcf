"""The running daemon as the system shows it: its process, by the ini that it was started with, and what it holds."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rtcd.doctor.checks.daemon import Facts
from rtcd.initext import NO_INI
from rtcd.reading import DEFAULT

PROC = Path("/proc")
UNIT = "rtcd.service"
UNITS = (Path("/etc/systemd/system"), Path("/lib/systemd/system"), Path("/usr/lib/systemd/system"))
MAX_BYTES = 1 << 17
"""Of what is read of a process."""


@dataclass(frozen=True, slots=True)
class Process:
    """One."""

    pid: int

    def _read(self, name: str) -> str:
        try:
            with (PROC / str(self.pid) / name).open("rb") as file:
                return file.read(MAX_BYTES).decode(errors="replace")
        except OSError:
            return ""

    @property
    def arguments(self) -> list[str]:
        """Its command line; empty if it is over."""
        return self._read("cmdline").split("\0")[:-1]

    @property
    def program(self) -> str:
        """What it is called."""
        return self._read("comm").strip()

    @property
    def unit(self) -> str:
        """The systemd service whose main process it is, or nothing. One that was started by another program, as by a shell
        or by cron, is in the group of that one's service, which must not be restarted for it."""
        found = re.search(r"/([^/\n]+\.service)$", self._read("cgroup"), re.MULTILINE)
        return found[1] if found is not None and self.status("PPid") == ["1"] else ""

    @property
    def folder(self) -> Path | None:
        """Where it runs, if we may see that."""
        try:
            return Path(os.readlink(PROC / str(self.pid) / "cwd"))
        except OSError:
            return None

    @property
    def environment(self) -> dict[str, str]:
        """What it was started with, if we may see that."""
        pairs = (one.partition("=") for one in self._read("environ").split("\0"))
        return {name: value for name, equals, value in pairs if equals}

    def status(self, field: str) -> list[str]:
        """The words of a line of its status."""
        found = re.search(rf"^{field}:\s*(.*)$", self._read("status"), re.MULTILINE)
        return found[1].split() if found else []

    @property
    def user(self) -> int:
        """Its effective user."""
        return int((self.status("Uid") or ["0", "0"])[1])

    @property
    def group(self) -> int:
        """Its effective group."""
        return int((self.status("Gid") or ["0", "0"])[1])

    @property
    def groups(self) -> frozenset[int]:
        """All of its groups."""
        return frozenset(map(int, self.status("Groups"))) | {self.group}

    @property
    def most_files(self) -> int | None:
        """How many files it may open."""
        found = re.search(r"^Max open files\s+(\d+)", self._read("limits"), re.MULTILINE)
        return int(found[1]) if found else None

    def opened(self) -> list[str] | None:
        """What its descriptors are, or None if we may not see that."""
        found = []
        try:
            for one in os.scandir(PROC / str(self.pid) / "fd"):
                with contextlib.suppress(OSError):
                    found.append(os.readlink(one.path))
        except OSError:
            return None
        return found


def processes() -> Iterator[Process]:
    """All that can be seen, the oldest first."""
    for number in sorted(int(one) for one in os.listdir(PROC) if one.isdigit()):
        yield Process(number)


def find(ini: str) -> Process | None:
    """The daemon that was started with this ini; `NO_INI` stands for one that the environment alone has set up."""
    for process in processes():
        given = _ini(process)
        if given is None:
            continue
        folder = process.folder
        if ini == NO_INI:
            if not _named(process) and (folder is None or not (folder / given).exists()):
                return process
            continue
        if folder is None and not os.path.isabs(given):  # it cannot be told from where; its end will do, if that says much
            if len(Path(given).parts) > 1 and Path(ini).match(given):
                return process
            continue
        path = given if folder is None else str(folder / given)
        with contextlib.suppress(OSError):
            if os.path.samefile(path, ini):
                return process
    return None


def ini_of(process: Process) -> str:
    """What a daemon, this one or another, was started on, for people; empty for other programs."""
    given = _ini(process)
    if given is None:
        return ""
    folder = process.folder
    path = given if folder is None else str(folder / given)
    return NO_INI if folder is not None and not _named(process) and not os.path.exists(path) else path


def _ini(process: Process) -> str | None:
    """The ini in the command line of a daemon, None for other programs."""
    arguments = process.arguments
    if "rtcd" not in arguments or not any("twist" in one for one in arguments[: arguments.index("rtcd")]):
        return None  # twistd rtcd, twist rtcd, python -m twisted rtcd
    return _named(process) or DEFAULT


def _named(process: Process) -> str:
    arguments = process.arguments
    rest = arguments[arguments.index("rtcd") + 1 :]
    for place, one in enumerate(rest):
        if one in ("--config", "-c"):
            return rest[place + 1] if place + 1 < len(rest) else ""
        if one.startswith("--config="):
            return one.partition("=")[2]
    return ""


def facts(ini: str, process: Process | None) -> Facts:
    """For the check."""
    if process is None:
        unit = UNIT if any((folder / UNIT).exists() for folder in UNITS) and os.path.isdir("/run/systemd/system") else ""
        return Facts(ini, unit=unit)
    return Facts(ini, process.pid, process.user, process.unit, process.opened() is not None)


def state_of(environment: Mapping[str, str]) -> str:
    """What systemd has named as the state directory."""
    return environment.get("STATE_DIRECTORY", "").partition(":")[0]
