"""`Users`: all static users, those of the ini and those of ``[turn] users-file``, which is looked at every few seconds.

What a line may be is rtcd.auth.users and rtcd.auth.authenticator; who may do what with it is rtcd.turn.server.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from rtcd.auth.authenticator import Keys
from rtcd.auth.users import MAX_FILE_BYTES, decode, parse
from rtcd.config import ConfigError
from rtcd.turn.settings import Settings

POLL_S = 5.0
"""How often the file is looked at."""

Look = tuple[int, ...]

UNREAD: Look = ()
"""Seen of a file that could not be read: no state of a file, so that the next look reads it."""


class Users:
    """Reads the users, and tells ``take`` of all of them when the file has changed.

    A faulty file stops the start; later it is told once, and the users in service stay. One that cannot be read is tried
    again at each look: what was in the way, such as too many open files, is no change of the file when it goes.
    """

    _log = Logger()

    def __init__(self, reactor: Any, take: Callable[[Mapping[str, Keys]], None]) -> None:
        self._reactor = reactor
        self._take = take
        self._settings: Settings | None = None
        self._seen: Look | None = None
        self._told = ""
        """Why the file could not be read when that was last tried."""
        self._running = False
        self._timer: IDelayedCall | None = None

    def load(self, settings: Settings) -> Mapping[str, Keys]:
        """All users as ``settings`` have them, and go by these settings from now on. Raises ConfigError; then the
        settings are those from before."""
        path = settings.users_file
        seen = look(path)  # before reading: what changes meanwhile is seen by the next look
        if self._settings is not None and self._settings.users_file == path:
            self._seen = seen
        users = settings.users()
        if path:
            try:
                users = parse(decode(read(path)), settings.keys, users)
            except OSError as error:
                if self._settings is not None and self._settings.users_file == path:
                    self._seen = UNREAD
                reason = f"cannot be read ({error.strerror}); check the path and its rights"
                raise ConfigError("turn", "users-file", f"{path} {reason}") from None
            except ValueError as error:
                raise ConfigError("turn", "users-file", f"{path}: {error}") from None
        self._settings, self._seen, self._told = settings, seen, ""
        self._arm()
        return users

    def start(self) -> None:
        """Begin to look."""
        self._running = True
        self._arm()

    def stop(self) -> None:
        """Look no more."""
        self._running = False
        self._arm()

    def _arm(self) -> None:
        wanted = self._running and self._settings is not None and bool(self._settings.users_file)
        if wanted and self._timer is None:
            self._timer = self._reactor.callLater(POLL_S, self._poll)
        elif not wanted and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _poll(self) -> None:
        self._timer = None
        settings = self._settings
        if settings is not None and look(settings.users_file) != self._seen:
            try:
                users = self.load(settings)
            except ConfigError as error:
                if self._seen != UNREAD or str(error) != self._told:
                    self._log.warn("{reason}; the users in service stay", reason=str(error))
                self._told = str(error)
            else:
                self._log.info("{path} has changed: {count} users in service", path=settings.users_file, count=len(users))
                self._take(users)
        self._arm()


def look(path: str) -> Look | None:
    """What tells one state of a file from another; None if there is none. Mode and change time are part of it,
    since a file that could not be read may be made readable."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size, status.st_mode


def read(path: str) -> bytes:
    """The bytes of a plain file, at most one more than are allowed. Raises OSError, and ValueError for what is no file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would make us wait for its writer
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("is no plain file; name one")
        return file.read(MAX_FILE_BYTES + 1)
