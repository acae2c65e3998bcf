"""`SocketPath`: where a unix socket is, however long its path is.

The system takes 107 bytes. A longer path is reached through the descriptor of its folder, as ``/proc/self/fd/N/name``.
"""

from __future__ import annotations

import os

MAX_PATH_BYTES = 107


class SocketPath:
    """Keeps the folder open, if that is needed, until it is closed. Raises OSError if there is no such folder."""

    def __init__(self, path: str) -> None:
        self._folder = -1
        self.path = path
        """What to give to the system."""
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            folder, name = os.path.split(path)
            self._folder = os.open(folder or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self.path = f"/proc/self/fd/{self._folder}/{name}"

    def close(self) -> None:
        """Let the folder go; once is enough."""
        folder, self._folder = self._folder, -1
        if folder >= 0:
            os.close(folder)
