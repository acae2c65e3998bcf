"""Where log events go, filtered by level: standard output, the journal, a terminal, or a file. rtcd.lines makes the lines.

``twistd`` is given `observer` by its dotted name, so what it shows is set beforehand with `use`.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
)
from zope.interface import implementer, provider

from rtcd import lines
from rtcd.bucket import Buckets
from rtcd.config import ConfigError, option
from rtcd.privileges import Owner

BACKGROUND_FILE = "twistd.log"
"""A process in the background has no output: with no file of its own it logs where twistd always does."""

_NOISE = re.compile(r".* starting on \S+|\((TCP|UDP) Port \S+ Closed\)")
"""What Twisted says of every port, whoever opens it; the daemon says it better."""
_FACTORIES = ("Starting factory {factory!r}", "Stopping factory {factory!r}")
"""The same of every connection that we open, such as that of a look-up, which strangers cause."""

_TCP, _TCP_FILE = "twisted.internet.tcp.Port", "/twisted/internet/tcp.py"
_NOT_ACCEPTED = ("EMFILE encountered", "EMFILE recovery", "Re-reserving EMFILE", "Could not accept new connection")
"""How Twisted's two or three lines begin for each connection that there is no descriptor or memory for."""
_SHORT = ("short",)
NOT_ACCEPTED_S = 60.0
"""We say it once in so many seconds: strangers decide how many there are, or the reactor, which tries at every turn."""
MAX_KINDS = 64
"""Kinds of faults at a listener that are told apart: a type at a line of ours."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The ``[log]`` section: what is logged, and where it goes."""

    level: str = option(
        "info", "Least important events that are shown.", choices=("debug", "info", "warn", "error", "critical"))
    format: str = option(
        "text", "text: a line for people, which the journal is told the level of, and which a terminal shows in colour; "
        "json: an object a line.", choices=("text", "json"))
    file: str | None = option(None, "File to append to; unset: standard output. SIGHUP opens it again.")


@implementer(ILogObserver)
class Log:
    """The observer in use; its settings may change while it runs."""

    def __init__(
        self, settings: LogSettings, *, background: bool = False, owner: Owner | None = None,
        environment: Mapping[str, str] = os.environ, worker: int = 0,
    ) -> None:
        """``owner``: whom a file that is made now is to belong to, if not to whoever we are. ``environment`` says whether
        standard output is the journal, and whether there may be colour. ``worker``: which one of several writes here; 0:
        the only process, or the parent."""
        self._worker = worker
        self._environment = environment
        self._owner = owner
        self._file: TextIO | None = None
        self._unset = BACKGROUND_FILE if background else None
        self._at_listeners = Buckets(1 / NOT_ACCEPTED_S, 1.0, MAX_KINDS)
        self.use(settings)

    def use(self, settings: LogSettings) -> None:
        """Go by these settings from now on; opens the file (again). Raises `ConfigError`."""
        path = settings.file or self._unset
        file: TextIO = sys.__stdout__ or sys.stdout  # twistd turns sys.stdout into log lines
        if path is not None:
            try:
                self._make(path)
                file = open(path, "a", encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: SIM115 # kept
            except OSError as error:
                raise ConfigError("log", "file", f"{path} cannot be opened ({error.strerror}); check the folder and its "
                                  "rights") from None
        if self._file is not None:
            self._file.close()
        self._file = file if path is not None else None
        form = lines.encodable(self._form(settings, file), getattr(file, "encoding", None) or "utf-8")
        target = FileLogObserver(file, form)
        level = LogLevelFilterPredicate(LogLevel.lookupByName(settings.level))
        if settings.level != "debug":  # it warns of every client that vanishes, with its address
            level.setLogLevelForNamespace("autobahn", LogLevel.error)
        self.debugging = settings.level == "debug"
        self._target = FilteringLogObserver(target, [level, _quiet] if settings.level != "debug" else [level])

    def _form(self, settings: LogSettings, file: TextIO) -> lines.Form:
        ours = self._file is not None
        in_journal = not ours and _is_journal(file, self._environment.get("JOURNAL_STREAM", ""))
        if settings.format == "json":
            return lines.machines_in_journal if in_journal else lines.machines
        if in_journal:
            return lines.journal
        colour = not ours and file.isatty() and not self._environment.get("NO_COLOR")
        return lines.terminal if colour else lines.people

    def _make(self, path: str) -> None:
        """Make the file, if it is not there, for the user that the daemon will be when it opens it again."""
        if self._owner is None or os.geteuid() != 0:
            return
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640)
        except FileExistsError:
            return
        self._owner.take(descriptor)
        os.close(descriptor)

    def __call__(self, event: LogEvent) -> None:
        """Show one event."""
        event = lines.modern(event)
        kind = _at_listener(event)
        if kind and not self._at_listeners.allow(kind, event["log_time"]):
            return
        if kind == _SHORT:
            event = {**event, "log_level": LogLevel.warn, "reason": event.get("acceptError", "EMFILE"), "log_format":
                     "connections cannot be accepted now ({reason}); raise LimitNOFILE= or ulimit -n, or lower the keys"
                     " max-connections"}
        elif kind and kind[0] == "accept":
            event = {"log_time": event["log_time"], "log_namespace": _TCP, "log_level": LogLevel.error, "reason": kind[1],
                     "where": event.get("log_system", "-"), "log_format":
                     "a listener accepts no connections ({where}: {reason}); if that stays so, restart"}
        self._target({**event, "log_worker": self._worker} if self._worker else event)


_current: list[Log] = []


def use(
    settings: LogSettings, *, background: bool = False, owner: Owner | None = None, worker: int = 0
) -> Log:
    """Make these the settings of the process's log and return it; ``background``, ``owner`` and ``worker`` (see `Log`) count
    at the first call only.

    Raises `ConfigError`.
    """
    if _current:
        _current[0].use(settings)
    else:
        _current.append(Log(settings, background=background, owner=owner, worker=worker))
    return _current[0]


def debugging() -> bool:
    """Whether anybody may read lines of the level debug: to make one for nobody costs more than what it is about."""
    return not _current or _current[0].debugging


def in_use() -> bool:
    """Whether the log goes here at all; ``twistd --logfile`` has one of its own."""
    return bool(_current)


def observer() -> ILogObserver:
    """What twistd asks for: the process's log."""
    return _current[0] if _current else use(LogSettings())


def _at_listener(event: LogEvent) -> tuple[str, ...]:
    """What kind of fault at a listener an event tells of, which may come as often as the reactor turns; else nothing."""
    if event.get("log_namespace") == _TCP and str(event.get("log_format")).startswith(_NOT_ACCEPTED):
        return _SHORT
    failure: Any = event.get("log_failure")
    frames = getattr(failure, "frames", None)
    if not frames or frames[0][0] != "doRead" or not frames[0][1].endswith(_TCP_FILE):
        return ()
    if len(frames) > 1 and frames[1][0] == "_accept" and isinstance(failure.value, OSError):
        return "accept", errno.errorcode.get(failure.value.errno or 0, "?")
    return failure.type.__name__, f"{frames[-1][1]}:{frames[-1][2]}"


@provider(ILogFilterPredicate)
def _quiet(event: LogEvent) -> Any:
    noise = event.get("log_format") in _FACTORIES or (
        event.get("log_namespace") == "log_legacy" and _NOISE.fullmatch(event.get("log_text", "")))
    return PredicateResult.no if noise else PredicateResult.maybe


def _is_journal(file: TextIO, told: str) -> bool:
    """Whether this file is the stream to the journal that systemd named, as device and inode (systemd.exec(5))."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, ValueError):  # it has no descriptor, or is closed
        return False
    return told == f"{found.st_dev}:{found.st_ino}"
