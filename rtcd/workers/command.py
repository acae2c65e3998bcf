"""How a worker is started: the same program as its parent, on the same configuration."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Mapping

from rtcd.config import ConfigError
from rtcd.privileges import Owner
from rtcd.workers.process import Command
from rtcd.workers.shares import VARIABLE, Place

SYSTEMDS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
"""What systemd tells the parent alone."""


class Commands:
    """``twistd``: its options. ``config``: the ini's path, or None. ``owner``: who the daemon becomes."""

    def __init__(
        self, twistd: Mapping[str, object], config: str | None, environment: Mapping[str, str], owner: Owner | None = None,
        *, background: bool = False,
    ) -> None:
        """``background``: nobody reads what a worker writes to its standard output."""
        self._background = background
        self._twistd = twistd
        self._config = config
        self._environment = {key: value for key, value in environment.items() if key not in SYSTEMDS}
        self._owner = owner

    def of(self, place: Place, descriptor: int, *, welcome: bool) -> Command:
        """Arguments and environment of one, which has this end of its channel."""
        told = self._twistd
        arguments = [sys.executable, "-P", "-m", "rtcd.workers", "-n", "--pidfile="]
        if told.get("reactor"):
            arguments.append(f"--reactor={told['reactor']}")
        for name in ("logfile", "syslog", "prefix"):
            value = told.get(name)
            if value and not (name == "prefix" and value == "twisted"):
                arguments.append(f"--{name}" if name == "syslog" else f"--{name}={value}")
        if told.get("umask") is not None:
            arguments.append(f"--umask={told['umask']:o}")
        if self._owner is not None and os.geteuid() == 0:
            arguments += [f"--uid={self._owner.uid}", f"--gid={self._owner.gid}"]
        arguments.append("rtcd")
        if self._config:
            arguments += ["--config", self._config]
        if welcome:
            arguments.append("--welcome")
        found = {**self._found(), VARIABLE: f"{place.number}/{place.count}/{descriptor}/{int(self._background)}"}
        return arguments, found

    def check(self) -> None:
        """Whether a worker can be started again by whom the daemon becomes, who is not root any more. Raises ConfigError."""
        if self._owner is None or os.geteuid() != 0:
            return
        try:
            good = subprocess.run(
                [sys.executable, "-P", "-c", "import rtcd.workers"], env=self._found(), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, user=self._owner.uid,
                group=self._owner.gid, extra_groups=_groups(self._owner)).returncode == 0
        except OSError:
            good = False
        if not good:
            raise cannot_run()

    def _found(self) -> dict[str, str]:
        """What a worker finds in its environment, and so the same modules as we."""
        return {**self._environment, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))}


def cannot_run() -> ConfigError:
    """Nobody could start a worker again."""
    return ConfigError("daemon", "workers", f"{sys.executable} and rtcd may not be run by the daemon's user; install rtcd"
                       " where they may, as rtcd install does")


def _groups(owner: Owner) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(owner.uid).pw_name, owner.gid)
    except KeyError:
        return []
