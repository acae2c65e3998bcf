"""`Finding`: one thing that the doctor has to say, as values; what it says in words is in the catalogues.

An id is ``check.what``. Its texts are in `rtcd.doctor.english` and `rtcd.doctor.chinese` under the same id, with a
``{name}`` for each value. The command that mends it needs no translation and is made by the check that knows how.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rtcd.initext import NO_INI

CHECKS = ("configuration", "daemon", "state", "store", "ports", "firewall", "names", "certificate", "clock", "nat", "relay",
          "websocket", "plane", "limits", "doctor")
"""Every check, in the order in which findings of one level are told: what others rest on goes first."""

MAX_VALUE_CHARACTERS = 400
"""Of one value in a text: what a program or a peer has said may be long."""


class Level(StrEnum):
    """How bad it is, the worst first."""

    BROKEN = "broken"
    """Somebody cannot call, or nobody can."""
    DEGRADED = "degraded"
    """Calls work, for fewer people or worse than they could."""
    NOTE = "note"
    """Nothing is wrong; worth knowing."""
    OK = "ok"


_RANK = {level: number for number, level in enumerate(Level)}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found."""

    id: str
    level: Level
    values: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    """For a shell, as root where it takes that; empty where no command mends it."""

    @property
    def check(self) -> str:
        """Which check has found it."""
        return self.id.partition(".")[0]


def broken(id: str, /, *, command: str = "", **values: object) -> Finding:
    """A `Finding`; likewise the next three."""
    return _made(Level.BROKEN, id, command, values)


def degraded(id: str, /, *, command: str = "", **values: object) -> Finding:
    """See `broken`."""
    return _made(Level.DEGRADED, id, command, values)


def note(id: str, /, *, command: str = "", **values: object) -> Finding:
    """See `broken`."""
    return _made(Level.NOTE, id, command, values)


def ok(id: str, /, **values: object) -> Finding:
    """See `broken`."""
    return _made(Level.OK, id, "", values)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """What is broken first; of one level in the order of `CHECKS`, each check's own order kept."""
    return sorted(findings, key=lambda one: (_RANK[one.level], CHECKS.index(one.check)))


def exit_code(findings: Iterable[Finding]) -> int:
    """0 if all is well, 1 if something is degraded, 2 if something is broken."""
    levels = {one.level for one in findings}
    return 2 if Level.BROKEN in levels else 1 if Level.DEGRADED in levels else 0


def listed(items: Iterable[object], most: int = 12) -> str:
    """Several things in one value; those beyond ``most`` are three dots."""
    texts = list(map(str, items))
    return ", ".join([*texts[:most], *(["…"] if len(texts) > most else [])])


def as_root(ini: str) -> str:
    """The command that runs the doctor where it sees all."""
    return "sudo rtcd doctor" if ini == NO_INI else f"sudo rtcd doctor -c {shlex.quote(ini)}"


def set_key(ini: str, key: str, old: str, new: str) -> str:
    """The command that writes ``new`` for ``old``, as it stands there, behind a key of the ini or on a line below it."""
    def plain(text: str) -> str:
        return "".join(f"\\{one}" if one in r"\.[]*^$&#+?(){}|" else one for one in text)

    script = f"s#^({plain(key)} *= *|[[:space:]]+){plain(old)} *$#\\1{plain(new)}#"
    return f"sed -Ei {shlex.quote(script)} {shlex.quote(ini)}"


def _made(level: Level, id: str, command: str, values: Mapping[str, object]) -> Finding:
    """What others have called their programs and certificates goes to a terminal, and that of root: no control character
    of it does, and a command that has one is none."""
    shown = {name: "".join(one if one.isprintable() else "�" for one in " ".join(str(value).split())[:MAX_VALUE_CHARACTERS])
             for name, value in values.items()}
    return Finding(id, level, shown, command if command.replace("\n", "").isprintable() else "")
