"""`Layout`: where everything of an installed rtcd is. Paths are those of the installed system; `Layout.staged` leads to
them below another root, where packages are built."""

from __future__ import annotations

import re
from dataclasses import dataclass

PREFIX = "/opt/rtcd"
"""Where the program goes if nobody says otherwise: a virtual environment of its own. The shipped unit names it."""

ETC = "/etc/rtcd"
STATE = "/var/lib/rtcd"
"""The unit's StateDirectory; systemd makes it, and keeps it below /var/lib/private."""

SERVICE = "rtcd.service"
SOCKETS = ("rtcd.socket", "rtcd-http.socket")
PULLING = f"{SERVICE}.d/sockets.conf"
"""What makes the service pull its sockets in, where it has some."""

_PREFIX = re.compile(r"(/[A-Za-z0-9._+-]+)+", re.ASCII)
_SHARED = ("/usr/local", "/var/lib", "/var/opt", "/etc/opt")
"""Folders of everybody, though they are not at the top."""
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 # named to be refused
"""What the unit does not see: ProtectHome, PrivateTmp."""


@dataclass(frozen=True, slots=True)
class Layout:
    """``prefix``: where the program is, ``/usr`` in a package of the distribution. ``root``: what stands for ``/`` while
    files are put there, empty for the machine itself."""

    prefix: str = PREFIX
    root: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError with a sentence for a prefix that the unit could not use."""
        if not _PREFIX.fullmatch(self.prefix) or {".", ".."} & set(self.prefix.split("/")):
            raise ValueError(f"{self.prefix!r}: is no absolute path of letters, digits and ._+-; take one like {PREFIX}")
        if (self.prefix.count("/") == 1 and not self.packaged) or self.prefix in _SHARED:
            raise ValueError(f"{self.prefix}: is for other programs too, and would be removed with rtcd; take a folder of"
                             f" its own, like {PREFIX}")
        if (place := hidden(self.prefix)) is not None:
            raise ValueError(f"{self.prefix}: the service does not see {place}; take a place like {PREFIX}")

    @property
    def packaged(self) -> bool:
        """Whether files go where a package of the distribution has them."""
        return self.prefix == "/usr"

    @property
    def python(self) -> str:
        """The interpreter that rtcd is installed for."""
        return f"{self.prefix}/bin/{'python3' if self.packaged else 'python'}"

    @property
    def ini(self) -> str:
        """The daemon's configuration."""
        return f"{ETC}/rtcd.ini"

    @property
    def receipt(self) -> str:
        """What was made here, for the day when it is to go (rtcd.install.receipt)."""
        return f"{self.prefix}/share/rtcd/installed.json"

    def unit(self, name: str) -> str:
        """A unit of systemd."""
        return f"{'/usr/lib' if self.packaged else '/etc'}/systemd/system/{name}"

    @property
    def sysctl(self) -> str:
        """Limits of the kernel."""
        return f"{'/usr/lib' if self.packaged else '/etc'}/sysctl.d/60-rtcd.conf"

    @property
    def directories(self) -> tuple[str, ...]:
        """What is made if it is not there, outer ones first, beside those that every system has."""
        return (ETC, self.unit(f"{SERVICE}.d"), f"{self.prefix}/share/rtcd")

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that an installation may make, and none else is ever removed."""
        made = [self.ini, self.sysctl, *(self.unit(one) for one in (SERVICE, PULLING, *SOCKETS))]
        return (*made, *(f"{one}.new" for one in made if one != self.ini))

    def staged(self, path: str) -> str:
        """Where a path of the installed system is now."""
        return f"{self.root}{path}"


def hidden(path: str) -> str | None:
    """The folder that a path is in, if the service does not see that one."""
    return next((one for one in _HIDDEN if f"{path}/".startswith(f"{one}/")), None)
