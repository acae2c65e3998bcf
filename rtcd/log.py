"""Where log events go: lines for people, or JSON for machines, filtered by level.

``twistd`` is given `observer` by its dotted name, so what it shows is set beforehand with `use`.
"""

from __future__ import annotations

import os
import re
import sys
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
    eventAsText,
    jsonFileLogObserver,
)
from zope.interface import implementer, provider

from rtcd.bucket import Buckets
from rtcd.config import ConfigError, option
from rtcd.privileges import Owner

MAX_LINE_CHARS = 4096
"""A longer line for people is cut."""

BACKGROUND_FILE = "twistd.log"
"""A process in the background has no output: with no file of its own it logs where twistd always does."""

_NOISE = re.compile(r".* starting on \S+|\((TCP|UDP) Port \S+ Closed\)")
"""What Twisted says of every port, whoever opens it; the daemon says it better."""
_FACTORIES = ("Starting factory {factory!r}", "Stopping factory {factory!r}")
"""The same of every connection that we open, such as that of a look-up, which strangers cause."""

_TCP = "twisted.internet.tcp.Port"
_NOT_ACCEPTED = ("EMFILE encountered", "EMFILE recovery", "Re-reserving EMFILE", "Could not accept new connection")
"""How Twisted's two or three lines begin for each connection that there is no descriptor or memory for."""
NOT_ACCEPTED_S = 60.0
"""We say it once in so many seconds: strangers decide how many there are."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The ``[log]`` section: what is logged, and where it goes."""

    level: str = option(
        "info", "Least important events that are shown.", choices=("debug", "info", "warn", "error", "critical"))
    format: str = option("text", "text: a line for people; json: an object a line.", choices=("text", "json"))
    file: str | None = option(None, "File to append to; unset: standard output. SIGHUP opens it again.")


@implementer(ILogObserver)
class Log:
    """The observer in use; its settings may change while it runs."""

    def __init__(self, settings: LogSettings, *, background: bool = False, owner: Owner | None = None) -> None:
        """``owner``: whom a file that is made now is to belong to, if not to whoever we are."""
        self._owner = owner
        self._file: TextIO | None = None
        self._unset = BACKGROUND_FILE if background else None
        self._not_accepted = Buckets(1 / NOT_ACCEPTED_S, 1.0, 1)
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
        if settings.format == "json":
            target: ILogObserver = jsonFileLogObserver(file, recordSeparator="")
        else:
            target = FileLogObserver(file, _line)
        level = LogLevelFilterPredicate(LogLevel.lookupByName(settings.level))
        if settings.level != "debug":  # it warns of every client that vanishes, with its address
            level.setLogLevelForNamespace("autobahn", LogLevel.error)
        self._target = FilteringLogObserver(target, [level, _quiet] if settings.level != "debug" else [level])

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
        if event.get("log_namespace") == _TCP and str(event.get("log_format")).startswith(_NOT_ACCEPTED):
            if not self._not_accepted.allow("", event["log_time"]):
                return
            event = {**event, "log_level": LogLevel.warn, "reason": event.get("acceptError", "EMFILE"), "log_format":
                     "connections cannot be accepted now ({reason}); raise LimitNOFILE= or ulimit -n, or lower the keys"
                     " max-connections"}
        self._target(event)


_current: list[Log] = []


def use(settings: LogSettings, *, background: bool = False, owner: Owner | None = None) -> Log:
    """Make these the settings of the process's log and return it; ``background`` and ``owner`` (see `Log`) count at the
    first call only.

    Raises `ConfigError`.
    """
    if _current:
        _current[0].use(settings)
    else:
        _current.append(Log(settings, background=background, owner=owner))
    return _current[0]


def in_use() -> bool:
    """Whether the log goes here at all; ``twistd --logfile`` has one of its own."""
    return bool(_current)


def observer() -> ILogObserver:
    """What twistd asks for: the process's log."""
    return _current[0] if _current else use(LogSettings())


@provider(ILogFilterPredicate)
def _quiet(event: LogEvent) -> Any:
    noise = event.get("log_format") in _FACTORIES or (
        event.get("log_namespace") == "log_legacy" and _NOISE.fullmatch(event.get("log_text", "")))
    return PredicateResult.no if noise else PredicateResult.maybe


def _line(event: LogEvent) -> str | None:
    text = eventAsText(event, includeTimestamp=True, includeSystem=True)
    if not text:
        return None
    if "log_failure" not in event:
        text = text.replace("\n", " ")[:MAX_LINE_CHARS]
    return text + "\n"
