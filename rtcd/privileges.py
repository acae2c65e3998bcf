"""Which user the daemon becomes once its ports are open, and its pidfile: ``[daemon]`` said in twistd's own options.

twistd drops the privileges, between ``privilegedStartService`` and ``startService``, and keeps the pidfile. What it is
told on its command line goes before the ini. Files that are made while still root are given to that user: `Owner`.
An ordinary user with capabilities lets go of those that only the start took: `let_go`.
"""

from __future__ import annotations

import grp
import os
import pwd
import struct
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from rtcd.config import ConfigError

PRIVILEGE = ("run it by systemd/rtcd.service, or start it as root with [daemon] user, or run: sysctl -w "
             "net.ipv4.ip_unprivileged_port_start=80; without any of these choose a port from 1024")
"""The ways to a port below 1024, for the message that it was refused."""

PIDFILE = "twistd.pid"
"""What twistd takes when nobody says otherwise."""

LET_GO = (1 << 12 | 1 << 21, 1 << 39 - 32)
"""CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_BPF, in the lower and the upper half of a set: the kernel's part of the relay takes
them until it is loaded. Whoever grants others, such as that for low ports, wants them for what comes later too."""
_NO_NEW_PRIVILEGES = 38
"""PR_SET_NO_NEW_PRIVS."""
_HEADER = struct.pack("=Ii", 0x20080522, 0)
"""_LINUX_CAPABILITY_VERSION_3, this thread."""
_SETS = struct.Struct("=6I")
"""Effective, permitted, inheritable: their lower halves, then the upper ones."""


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
    if twistd.get("uid") is None and (numbers := known(user, group)):
        _change(twistd, *numbers)
    uid, gid = twistd.get("uid"), twistd.get("gid")
    if os.geteuid() != 0 or uid in (None, 0):
        return None
    return Owner(uid, _group_of(uid) if gid is None else gid)


def owner_of(user: str, group: str) -> Owner | None:
    """Those that ``[daemon] user`` and ``group`` name; None if they name nobody. Raises `ConfigError` for those that are not
    there."""
    numbers = known(user, group)
    return None if numbers is None else Owner(*numbers)


def let_go() -> None:
    """Give up the capabilities `LET_GO`, from this thread, and so from those that it starts, and what would bring them back
    with another program. Nothing that the kernel was asked for by now needs them. The superuser keeps what it has.

    Raises OSError, e.g. where a filter of system calls does not allow it.
    """
    if os.geteuid() == 0:
        return
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        get, put, control = libc.capget, libc.capset, libc.prctl
    except (ImportError, OSError, AttributeError):
        return  # no Linux, or no Python that could have used them
    sets = ctypes.create_string_buffer(_SETS.size)
    done = get(_HEADER, sets) == 0
    held = _SETS.unpack(sets.raw)
    wanted = [one & ~LET_GO[at // 3] for at, one in enumerate(held)]
    if done and wanted != list(held):
        done = put(_HEADER, _SETS.pack(*wanted)) == 0 and control(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    if not done:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


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


def known(user: str, group: str) -> tuple[int, int] | None:
    """The numbers of user and group, the user's own one if none is named; None without a user. Raises `ConfigError` for
    those that are not there."""
    if group and not user:
        raise ConfigError("daemon", "group", "goes with user, which is not set; set both")
    if not user:
        return None
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
