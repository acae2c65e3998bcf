"""`SharedReactor`: a worker's reactor, whose listening sockets are shared with the other workers."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.error import CannotListenError
from zope.interface import directlyProvides, providedBy

from rtcd.workers.worker import Worker


class UnixPort(unix.Port):
    """At a socket that listens already, whose path and rights are the parent's business: Twisted's own would remove the one
    and change the other."""

    def __init__(self, path: str, descriptor: int, factory: Any, reactor: Any) -> None:
        """Takes the descriptor."""
        super().__init__(os.fsencode(path), factory, reactor=reactor)
        self._begin = factory.doStart
        self._adopted = socket.socket(fileno=descriptor)

    def startListening(self) -> None:
        """Accept connections."""
        self._adopted.setblocking(False)
        self._begin()
        self.socket, self.fileno = self._adopted, self._adopted.fileno  # type: ignore[method-assign] # as Twisted does
        self.connected = True
        self.numberAccepts = 100
        self.startReading()

    def connectionLost(self, reason: Any) -> None:
        """Accept no more."""
        tcp.Port.connectionLost(self, reason)


class SharedReactor:
    """Everything but listening is the reactor's own. Sockets are shared until the worker has started."""

    def __init__(self, reactor: Any, worker: Worker) -> None:
        self._reactor = reactor
        self._worker = worker
        self.seconds = reactor.seconds
        self.callLater = reactor.callLater
        self.listen_alone = reactor.listenUNIX
        """A unix socket of this worker alone."""
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Our socket of those at this address; ``backlog`` is the same for all. Raises CannotListenError."""
        try:
            descriptor = self._worker.open("tcp", interface, port)
        except OSError as error:
            raise CannotListenError(interface, port, error) from None
        return self._adopted(descriptor, socket.AF_INET6 if ":" in interface else socket.AF_INET, factory)

    def listenUNIX(self, address: Any, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: bool = False) -> Any:
        """One socket for all workers, which the parent keeps. Raises CannotListenError."""
        path = os.fsdecode(address)
        try:
            descriptor = self._worker.open("unix", path, 0, mode)
        except OSError as error:
            raise CannotListenError(None, path, error) from None
        found = UnixPort(path, descriptor, factory, self._reactor)
        found.startListening()
        self._worker.ports.append(found)
        return found

    def _adopted(self, descriptor: int, family: int, factory: Any) -> Any:
        try:
            found = self._reactor.adoptStreamPort(descriptor, family, factory)
        finally:
            os.close(descriptor)
        self._worker.ports.append(found)
        return found
