"""Which user the daemon becomes once its ports are open, and its pidfile: ``[daemon]`` said in twistd's own options.

twistd drops the privileges, between ``privilegedStartService`` and ``startService``, and keeps the pidfile. What it is
told on its command line goes before the ini. Files that are made while still root are given to that user: `Owner`.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from rtcd.config import ConfigError

PRIVILEGE = ("run it by systemd/rtcd.service, or start it as root with [daemon] user, or run: sysctl -w "
             "net.ipv4.ip_unprivileged_port_start=80; without any of these choose a port from 1024")
"""The ways to a port below 1024, for the message that it was refused."""

PIDFILE = "twistd.pid"
"""What twistd takes when nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The user and group that the daemon becomes, by number."""

    uid: int
    gid: int

    def take(self, descriptor: int) -> None:
        """Own a file that root has made a moment ago and holds open: a name could lead elsewhere."""
        os.fchown(descriptor, self.uid, self.gid)


def apply(user: str, group: str, pidfile: str, twistd: MutableMapping[str, Any]) -> Owner | None:
    """Put the ini's wishes into twistd's options; whom files are to belong to, or None if to whoever we are.

    Raises `ConfigError` for a user that there is none of, and for a change that only root can make.
    """
    if pidfile and twistd.get("pidfile") == PIDFILE:
        twistd["pidfile"] = _writable(pidfile)
    if twistd.get("uid") is None:
        if group and not user:
            raise ConfigError("daemon", "group", "goes with user, which is not set; set both")
        if user:
            _change(twistd, *_found(user, group))
    uid, gid = twistd.get("uid"), twistd.get("gid")
    if os.geteuid() != 0 or uid in (None, 0):
        return None
    return Owner(uid, _group_of(uid) if gid is None else gid)


def _change(twistd: MutableMapping[str, Any], uid: int, gid: int) -> None:
    if (uid, gid) == (os.geteuid(), os.getegid()):
        return
    if os.geteuid() != 0:
        raise ConfigError("daemon", "user", f"only root can become another user, and this is {_name(os.geteuid())}; start "
                          "as root or remove it")
    if uid == 0:
        raise ConfigError("daemon", "user", "is root, whose rights are to be dropped; name another or remove it")
    twistd["uid"] = uid
    if twistd.get("gid") is None:
        twistd["gid"] = gid


def _found(user: str, group: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwuid(int(user)) if user.isascii() and user.isdigit() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        raise ConfigError("daemon", "user", f"there is no user {user}; make it with useradd --system {user}") from None
    if not group:
        return entry.pw_uid, entry.pw_gid
    try:
        found = grp.getgrgid(int(group)) if group.isascii() and group.isdigit() else grp.getgrnam(group)
    except (KeyError, OverflowError):
        raise ConfigError("daemon", "group", f"there is no group {group}; make it with groupadd --system {group}") from None
    return entry.pw_uid, found.gr_gid


def _group_of(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        raise ConfigError("daemon", "user", f"there is no user {uid}, whom --uid names; name one that there is") from None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _writable(pidfile: str) -> str:
    folder = os.path.dirname(os.path.abspath(pidfile))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError("daemon", "pidfile", f"{folder} is no folder that {_name(os.geteuid())} may write; make it or "
                          "name another")
    return pidfile
