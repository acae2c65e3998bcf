"""`StateDirectory`: the one directory in which the daemon keeps what must survive a restart.

Secrets, the local certificate authority, certificates. The directory is 0700 and every file in it 0600; what is
found wider is narrowed. Files are replaced as a whole, so that a crash leaves the old one or the new one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from twisted.logger import Logger

from rtcd.config import ConfigError
from rtcd.privileges import Owner

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600


class StateDirectory:
    """A directory of small files, known by their names. Raises `ConfigError` where the system refuses."""

    _log = Logger()

    def __init__(self, path: str | Path, owner: Owner | None = None) -> None:
        """``owner``: whom everything in it must belong to, if that is not who we are yet."""
        self._path = Path(path)
        self._owner = owner
        if "\0" in str(path):
            raise ConfigError("daemon", "state-directory", "holds a NUL character; write a plain path")
        try:
            self._make()
            self._narrow(self._path, _DIRECTORY_MODE)
            if not os.access(self._path, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise self._fault(self._path, error) from None

    def path(self, name: str) -> Path:
        """Where the file ``name`` is, or would be. A name is one plain file name."""
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise ValueError(f"{name!r} is no plain file name")
        return self._path / name

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, or None if there is none. A file that others can read is made private first."""
        path = self.path(name)
        try:
            self._check_owner(path)
            self._narrow(path, _FILE_MODE)
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._fault(path, error) from None

    def write(self, name: str, data: bytes) -> None:
        """Replace a file, or make it: 0600, on the disk when this returns, never half written."""
        path = self.path(name)
        fresh = path.with_name(f".{name}.{os.getpid()}.new")
        try:
            self._put(fresh, data)
            fresh.replace(path)
            self._sync_directory()
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise self._fault(path, error) from None

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """The secret kept under ``name``; ``make`` is called for one, which is then kept, if there is none yet.

        Two processes that ask at the same moment get the same secret: the first to link its file in has made it.
        """
        held = self.read(name)
        if held is not None and held.strip():
            return held.decode("utf-8").strip()
        path = self.path(name)
        fresh = path.with_name(f".{name}.{os.getpid()}.new")
        try:
            if held is not None:
                path.unlink()
            self._put(fresh, f"{make()}\n".encode())
            try:
                os.link(fresh, path)
            except FileExistsError:
                pass
            finally:
                fresh.unlink(missing_ok=True)
            self._sync_directory()
            return path.read_text("utf-8").strip()
        except OSError as error:
            raise self._fault(path, error) from None

    def own(self, path: str) -> None:
        """Give what was just made at this path to whom everything here belongs. Raises OSError."""
        if self._owner is not None and os.geteuid() == 0:
            os.chown(path, self._owner.uid, self._owner.gid, follow_symlinks=False)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time: for several files that go together. Waits for whoever is in it."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._fault(self._path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make(self) -> None:
        try:
            self._path.mkdir(mode=_DIRECTORY_MODE, parents=True)
        except FileExistsError:
            if not self._path.is_dir():
                raise
            self._check_owner(self._path)
            return
        if self._owner is not None:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                self._owner.take(descriptor)
            finally:
                os.close(descriptor)

    def _check_owner(self, path: Path) -> None:
        """What was there before is not given away: a link in its place could lead to somebody else's file."""
        if self._owner is not None and path.stat().st_uid != self._owner.uid:
            raise ConfigError("daemon", "state-directory", f"{path} does not belong to [daemon] user; run: "
                              f"chown -R {self._owner.uid}:{self._owner.gid} {self._path}")

    def _put(self, path: Path, data: bytes) -> None:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            if self._owner is not None and os.geteuid() == 0:
                self._owner.take(descriptor)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _sync_directory(self) -> None:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _narrow(self, path: Path, mode: int) -> None:
        now = stat.S_IMODE(path.stat().st_mode)
        if now & 0o077:
            path.chmod(mode)
            self._log.warn("{path} could be read by others ({was}): made private", path=str(path), was=oct(now))

    @staticmethod
    def _fault(path: Path, error: OSError) -> ConfigError:
        text = f"{path}: {error.strerror or error}; make it a directory that the daemon's user may write, or name another"
        return ConfigError("daemon", "state-directory", text)
