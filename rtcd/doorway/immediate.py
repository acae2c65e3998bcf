"""`at_once`: stream listeners whose connections write to the socket in the same turn, and not when the reactor comes round;
`ConnectingAtOnce` makes such connections to unix sockets.

Twisted keeps what is written until the system says that the socket takes it: two system calls and a turn of the reactor
for each message, though a socket that is not full takes it anyway. Here it is offered at the end of the turn, all that was
written in it as one; or at once, where the reactor does not tell when that is (``rtcd.turns``). What the system does not
take, and everything where Twisted's order of things matters (a queue, a close, a paused producer), goes Twisted's way, so
back-pressure and ends of connections are as they were. This leans on attributes that Twisted does not promise: it is
the one place that does, and where they are missing the listener stays as it is.
"""

from __future__ import annotations

from contextlib import suppress
from errno import ENOBUFS, EPIPE, EWOULDBLOCK
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IListeningPort
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.tcp import Connection, Port, Server
from twisted.internet.unix import Client, Connector
from twisted.internet.unix import Server as UnixServer

from rtcd.turns import TURNS

_LEANS_ON = ("_tempDataBuffer", "dataBuffer", "connected", "disconnecting", "_writeDisconnecting", "producer",
             "producerPaused", "streamingProducer", "TLS", "_aborting", "bufferSize")

MAX_TOGETHER_BYTES = 65536
"""What is written in one turn is offered before its end when it has become so much: else who produces it would not be told
that the socket is full."""


class _Immediate(Connection):
    """What differs from Twisted's own transport of a stream, which it is mixed into."""

    _faulty = False
    _together: list[bytes] | None = None
    """What was written in this turn, if something was that has not been offered yet."""
    _size = 0

    def write(self, data: bytes) -> None:
        """Send, as far as the system takes it in this turn; the rest waits, as always. A fault of the socket is told by the
        reactor, when it tries to write that rest or finds that nothing comes any more."""
        together = self._together
        if isinstance(data, str):
            raise TypeError("bytes are written, not text")
        if together is not None:
            together.append(data)
            self._size += len(data)
            if self._size > MAX_TOGETHER_BYTES:
                self._offer()
        elif (self._tempDataBuffer or self.dataBuffer or not self.connected
                or self.disconnecting or self._writeDisconnecting or self._aborting or self.TLS
                or (self.producer is not None and (self.producerPaused or not self.streamingProducer))):
            self._wait(data)
        elif TURNS.told and len(data) <= MAX_TOGETHER_BYTES:
            self._together, self._size = [data], len(data)
            TURNS.at_end(self._offer)
        else:
            self._send(data)

    def _offer(self) -> None:
        """Offer what was written in this turn; harmless when nothing was."""
        together, self._together = self._together, None
        if together:
            self._send(together[0] if len(together) == 1 else b"".join(together))

    def _send(self, data: bytes) -> None:
        try:
            sent = self.socket.send(data)
        except OSError as fault:
            sent = 0
            if fault.errno not in (EWOULDBLOCK, ENOBUFS, EPIPE):  # the last one tells of an end that can be read as well
                self._faulty = True  # the system has told it and forgets it: from now on it reads as a clean end
        if sent < len(data):
            self._wait(data[sent:])

    def _wait(self, data: bytes) -> None:
        super().write(data)

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

    # What asks how far the writing has got finds it where Twisted keeps it.

    def loseConnection(self, *arguments: Any, **keys: Any) -> None:
        """Close, behind what was written."""
        self._offer()
        super().loseConnection(*arguments, **keys)

    def loseWriteConnection(self) -> None:
        """Close one half, behind what was written."""
        self._offer()
        super().loseWriteConnection()

    def abortConnection(self) -> None:
        """Cut; what was written before has been offered."""
        self._offer()
        super().abortConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """It produces from now on."""
        self._offer()
        super().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """It has produced all."""
        self._offer()
        super().unregisterProducer()

    def connectionLost(self, reason: Any) -> None:
        """The connection is gone. If we end it, as when the reactor stops, what was written is there for the other end."""
        together, self._together = self._together, None
        if together:
            with suppress(OSError):
                self.socket.send(b"".join(together))
        super().connectionLost(reason)


class ImmediateServer(_Immediate, Server):
    """A TCP connection that came in."""


class ImmediateUnixServer(_Immediate, UnixServer):
    """A connection to a unix socket that came in, which no descriptors are sent over."""


class ImmediateUnixClient(_Immediate, Client):
    """One that we have made."""


class _Connector(Connector):
    """Twisted's, whose connections are of that kind."""

    def _makeTransport(self) -> Any:
        return ImmediateUnixClient(self.address, self, self.reactor, self.checkPID)


class ConnectingAtOnce:
    """To `twisted.internet.endpoints.UNIXClientEndpoint` the reactor; its connections write at once."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connectUNIX(self, address: str, factory: Any, timeout: float = 30, checkPID: int = 0) -> Any:
        """As the reactor does."""
        if not (known() and hasattr(Connector, "_makeTransport")):
            return self._reactor.connectUNIX(address, factory, timeout, checkPID)
        connector = _Connector(address, factory, timeout, self._reactor, checkPID)
        connector.connect()
        return connector


def known(connection: type = ImmediateServer) -> bool:
    """Whether this Twisted has what we lean on."""
    try:
        made = FileDescriptor(reactor=object())  # type: ignore[arg-type]  # it is only kept
    except Exception:  # it is made in another way
        return False
    return all(hasattr(made, one) or hasattr(connection, one) for one in _LEANS_ON)


def at_once(port: IListeningPort) -> IListeningPort:
    """The listener, whose connections from now on are of that kind if they are TCP's own, or those to a unix socket."""
    quick = {Server: ImmediateServer, UnixServer: ImmediateUnixServer}
    if isinstance(port, Port) and port.transport in quick and known():
        port.transport = quick[port.transport]
    return port
