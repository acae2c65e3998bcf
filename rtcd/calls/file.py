"""`RecordFile`: the file below the state directory in which records of calls outlive a restart. One is a line.

What the disk makes one wait for is done in a thread. A disk that takes or gives nothing is told of in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from rtcd.config import ConfigError
from rtcd.state import StateDirectory

NAME = "calls.jsonl"
MAX_FILE_BYTES = 64 * 1024 * 1024
"""A longer file is not ours: the archive and the calls that are on have bounds of their own."""

InThread = Callable[[Callable[[], object]], Deferred[Any]]


class RecordFile:
    """Read at the start, replaced as a whole."""

    _log = Logger()

    def __init__(self, state: StateDirectory, in_thread: InThread) -> None:
        """``in_thread`` runs what may wait, and fires when it is done."""
        self._state = state
        self._in_thread = in_thread
        self._writing: Deferred[Any] = succeed(None)
        self.stale = False
        """Whether there is something to write."""

    @property
    def busy(self) -> bool:
        """Whether it is being written."""
        return not self._writing.called

    def read(self) -> bytes:
        """What is in it; nothing if there is none."""
        path = self._state.path(NAME)
        try:
            if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
                self._log.warn("records of calls are not read: {path} has more than {limit} bytes", path=str(path),
                               limit=MAX_FILE_BYTES)
                return b""
            return self._state.read(NAME) or b""
        except ConfigError as error:
            self._log.warn("records of calls cannot be read: {reason}", reason=str(error))
            return b""

    def write(self, lines: Sequence[bytes]) -> Deferred[Any]:
        """Begin to put these lines in place of what is there. Never fails; what was not written is `stale` again."""
        return self._begin(lambda: self._state.write(NAME, b"".join(line + b"\n" for line in lines)))

    def remove(self) -> Deferred[Any]:
        """Likewise, the file itself."""
        return self._begin(lambda: self._state.path(NAME).unlink(missing_ok=True))

    async def finish(self, lines: Callable[[], Sequence[bytes]]) -> None:
        """Write these if need be, when what is being written is written."""
        await self._writing
        if self.stale:
            await self.write(lines())

    def _begin(self, work: Callable[[], object]) -> Deferred[Any]:
        def failed(failure: Any) -> None:
            self.stale = True
            failure.trap(ConfigError, OSError)
            self._log.warn("records of calls cannot be written: {reason}", reason=str(failure.value))

        self.stale = False
        self._writing = self._in_thread(work)
        self._writing.addErrback(failed)
        self._writing.addErrback(lambda failure: self._log.failure("records of calls were not written", failure))
        return self._writing
