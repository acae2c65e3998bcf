"""`at_once`: stream listeners whose connections write to the socket at once, and not when the reactor comes round.

Twisted keeps what is written until the system says that the socket takes it: two system calls and a turn of the reactor
for each message, though a socket that is not full takes it anyway. Here it is offered first, unless many are written at one
event: one system call for all of them is cheaper then, so they go Twisted's way. What the system does not take,
and everything where Twisted's order of things matters (a queue, a close, a paused producer), goes Twisted's way, so
back-pressure and ends of connections are as they were. This leans on attributes that Twisted does not promise: it is
the one place that does, and where they are missing the listener stays as it is.
"""

from __future__ import annotations

from errno import ENOBUFS, EPIPE, EWOULDBLOCK
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IListeningPort
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.tcp import Port, Server

from rtcd.turns import STRAIGHT

_LEANS_ON = ("_tempDataBuffer", "dataBuffer", "connected", "disconnecting", "_writeDisconnecting", "producer",
             "producerPaused", "streamingProducer", "TLS", "_aborting", "bufferSize")
FEW = 3
"""So many writes at one event are cheaper one by one than together."""


class ImmediateServer(Server):
    """A TCP connection that came in."""

    _faulty = False
    _event = _writes = 0
    _many = False
    """Whether the last event at which something was written was one of many writes: the next one is likely to be as well."""

    def write(self, data: bytes) -> None:
        """Send, as far as the system takes it now; the rest waits, as always. A fault of the socket is told by the
        reactor, when it tries to write that rest or finds that nothing comes any more."""
        if self._event != STRAIGHT.event:
            self._event, self._many, self._writes = STRAIGHT.event, self._writes > FEW, 0
        if self._event:
            self._writes += 1
        if (self._many or self._writes > FEW or self._tempDataBuffer or self.dataBuffer or not self.connected
                or self.disconnecting or self._writeDisconnecting or self._aborting or self.TLS
                or (self.producer is not None and (self.producerPaused or not self.streamingProducer))):
            super().write(data)
            return
        try:
            sent = self.socket.send(data)
        except OSError as fault:
            sent = 0
            if fault.errno not in (EWOULDBLOCK, ENOBUFS, EPIPE):  # the last one tells of an end that can be read as well
                self._faulty = True  # the system has told it and forgets it: from now on it reads as a clean end
        if sent < len(data):
            super().write(data[sent:])

    def doRead(self) -> Any:
        """Hand over what came, as Twisted does, in one step less."""
        try:
            data = self.socket.recv(self.bufferSize)
        except OSError as fault:
            return None if fault.args[0] == EWOULDBLOCK else CONNECTION_LOST
        if not data:
            return CONNECTION_LOST if self._faulty else CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None

    def writeSequence(self, iovec: Any) -> None:
        """The same for several pieces, as one."""
        self.write(b"".join(iovec))


def known(connection: type = ImmediateServer) -> bool:
    """Whether this Twisted has what we lean on."""
    try:
        made = FileDescriptor(reactor=object())  # type: ignore[arg-type]  # it is only kept
    except Exception:  # it is made in another way
        return False
    return all(hasattr(made, one) or hasattr(connection, one) for one in _LEANS_ON)


def at_once(port: IListeningPort) -> IListeningPort:
    """The listener, whose connections from now on are of that kind if they are TCP's own."""
    if isinstance(port, Port) and port.transport is Server and known():
        port.transport = ImmediateServer
    return port
