"""`Channel`: frames over a socket between the parent and one of its workers, in the reactor."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionLost
from twisted.internet.main import CONNECTION_LOST
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtcd.workers.frames import Frame, Frames, pack

READ_BYTES = 2**18
MAX_WAITING_BYTES = 64 * 2**20
"""Of a process that does not read; more and the channel is given up, which ends the worker."""


class Channel(FileDescriptor):
    """Owns the socket. ``received`` is told each frame, ``lost`` once that it is over."""

    _log = Logger()

    def __init__(
        self, reactor: Any, sock: socket.socket, received: Callable[[Frame], object], lost: Callable[[], object],
        frames: Frames | None = None,
    ) -> None:
        """``frames``: what was read of the stream before."""
        super().__init__(reactor)
        self._sock = sock
        self._received = received
        self._lost = lost
        self._frames = frames or Frames()
        self.connected = 1
        sock.setblocking(False)

    def start(self) -> None:
        """Begin to read, with what was read already."""
        self.startReading()
        for frame in self._frames.feed(b""):
            self._received(frame)

    def send(self, frame: Frame) -> None:
        """After all that was sent before; nothing happens if it is over."""
        if not self.connected or self.disconnecting:
            return
        data = pack(frame)
        if len(self.dataBuffer) + self._tempDataLen + len(data) > MAX_WAITING_BYTES:
            self._log.error("a process of this daemon does not read what it is told; it is given up")
            self.connectionLost(Failure(CONNECTION_LOST))
            return
        self.write(data)

    def fileno(self) -> int:
        """Of the socket."""
        return self._sock.fileno()

    def doRead(self) -> Any:
        """Bytes have come."""
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            return ConnectionLost(str(error))
        if not data:
            return CONNECTION_LOST
        try:
            for frame in self._frames.feed(data):
                self._received(frame)
        except ValueError as error:
            self._log.error("a process of this daemon cannot be understood: {reason}", reason=str(error))
            return ConnectionLost(str(error))
        return None

    def writeSomeData(self, data: bytes) -> int | BaseException:
        """As much as the system takes now."""
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            return ConnectionLost(str(error))

    def connectionLost(self, reason: Failure) -> None:
        """The other end is closed."""
        if not self.connected:
            return
        self.stopReading()
        self.stopWriting()
        super().connectionLost(reason)
        self._sock.close()
        self._lost()

    def close(self) -> None:
        """Without telling anybody."""
        self._lost = lambda: None
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self.connectionLost(Failure(CONNECTION_LOST))
