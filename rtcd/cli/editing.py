"""`Edited`: one file that is read, changed and replaced as a whole, by one of us at a time.

A crash leaves the old file or the new one. Mode and owner are what they were; a new file is its owner's alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from rtcd.config import ConfigError

LOCK_TRIES = 100
LOCK_WAIT_S = 0.1
"""Whoever edits holds the lock for milliseconds; after ten seconds something else is wrong."""
NEW_MODE = 0o600


class Edited:
    """Open it with ``with``; raises ConfigError where the system refuses. The lock is on the folder, so that nothing is
    left behind; ``data`` is empty and ``new`` True if there is no file yet."""

    def __init__(self, path: str, max_bytes: int, wait: Callable[[float], None] = time.sleep) -> None:
        self.path = path
        self.data = b""
        self.new = True
        self._max_bytes = max_bytes
        self._wait = wait
        self._name = Path(path).name
        self._folder = -1
        self._status: os.stat_result | None = None

    def __enter__(self) -> Edited:
        try:
            self._folder = os.open(Path(self.path).parent, os.O_RDONLY | os.O_DIRECTORY)
            self._lock()
            self._read()
        except BaseException as error:
            self._close()
            if isinstance(error, (OSError, ValueError)):
                raise self._fault(error) from None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def write(self, data: bytes) -> None:
        """Replace the file: it is on the disk when this returns."""
        if len(data) > self._max_bytes:
            raise ConfigError("", "", f"{self.path}: would be longer than {self._max_bytes} bytes")
        fresh = f".{self._name}.{os.getpid()}.new"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=self._folder)  # of somebody who died with our number
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, NEW_MODE, dir_fd=self._folder)
            try:
                with open(descriptor, "wb") as file:
                    self._dress(descriptor)
                    file.write(data)
                    file.flush()
                    os.fsync(descriptor)
                os.replace(fresh, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            except BaseException:
                os.unlink(fresh, dir_fd=self._folder)
                raise
            os.fsync(self._folder)
        except OSError as error:
            raise self._fault(error) from None

    def _lock(self) -> None:
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                self._wait(LOCK_WAIT_S)
        raise ConfigError("", "", f"{self.path}: somebody else holds a lock on its folder; try again")

    def _read(self) -> None:
        try:
            descriptor = os.open(self._name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._folder)
        except FileNotFoundError:
            return
        with open(descriptor, "rb") as file:
            self._status = os.fstat(descriptor)
            if not stat.S_ISREG(self._status.st_mode):
                raise ConfigError("", "", f"{self.path}: is no plain file; name one")
            self.data, self.new = file.read(self._max_bytes + 1), False

    def _dress(self, descriptor: int) -> None:
        """Give the fresh file the owner and mode of the old one. What root makes in somebody's folder is theirs: the
        daemon has to read it."""
        status, mine = self._status, os.fstat(descriptor)
        owner = status or (os.fstat(self._folder) if os.geteuid() == 0 else mine)
        if (owner.st_uid, owner.st_gid) != (mine.st_uid, mine.st_gid):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        if status is not None:
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))

    def _close(self) -> None:
        if self._folder >= 0:
            os.close(self._folder)  # and the lock with it
            self._folder = -1

    def _fault(self, error: OSError | ValueError) -> ConfigError:
        if not isinstance(error, OSError):
            return ConfigError("", "", f"{self.path!r}: is no path")
        if error.errno == errno.ELOOP:
            return ConfigError("", "", f"{self.path}: is a link; name the file that it leads to")
        mend = "; run this as its owner or as root" if error.errno in (errno.EACCES, errno.EPERM) else ""
        return ConfigError("", "", f"{self.path}: {error.strerror}{mend}")
