"""The layers below every protocol of the doorway: TLS, or `PlainLayer`, for the life of the connection.

Each is a `ProtocolWrapper`, which is what Autobahn's WebSocketResource needs to take a connection over, and tells our
`Connections` of its beginning and its end. Which protocol gets a connection is rtcd.doorway.switch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from rtcd.doorway.connections import Connections
from rtcd.tls.quick import QuickTls

LINGER_S = 30.0
"""A connection that we close has so many seconds to take its last bytes and to say goodbye."""


class _Layer(ProtocolWrapper):
    """What both kinds of layer do: tell the table, and see a close through."""

    factory: Any
    transport: Any
    _linger: IDelayedCall | None = None

    def makeConnection(self, transport: Any) -> None:
        """The connection is open, or was handed over."""
        self.factory.connections.opened(transport, self)
        super().makeConnection(transport)

    def loseConnection(self) -> None:
        """Close when the last bytes are out; cut a peer that does not take them, or never answers TLS's goodbye."""
        if self._linger is None and self.transport is not None:
            self._linger = self.factory.clock.callLater(LINGER_S, self.transport.abortConnection)
        super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed: first its protocol is told, then the table."""
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        try:
            super().connectionLost(reason)
        finally:
            self.factory.connections.gone(self.transport)


class PlainLayer(_Layer):
    """The layer of a connection without TLS."""

    def makeConnection(self, transport: Any) -> None:
        """The connection is open, or was handed over."""
        no_delay(transport)
        super().makeConnection(transport)

    _held: list[bytes] | None = None

    @property
    def write_now(self) -> Callable[[bytes], None]:
        """Write past this layer, which adds nothing to the bytes."""
        self.release()
        write: Callable[[bytes], None] = self.transport.write
        return write

    def hold(self) -> None:
        """Keep what is written until `release`, which comes before anything else can happen: an answer that is written in
        parts goes out as one."""
        if self._held is None:
            self._held = []

    def release(self) -> None:
        """Write what was kept; harmless when nothing was."""
        held, self._held = self._held, None
        if held:
            self.transport.write(b"".join(held))

    def write(self, data: bytes) -> None:
        """Write, or keep it."""
        if self._held is not None:
            self._held.append(data)
        else:
            self.transport.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """The same for several pieces."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close when the last bytes are out, those that were kept too."""
        self.release()
        super().loseConnection()

    def finish(self) -> None:
        """Close, but let the peer finish what it is sending: bytes that nobody reads make the system cut what was said."""
        self.release()
        if self._linger is None and ITCPTransport.providedBy(self.transport):
            self._linger = self.factory.clock.callLater(LINGER_S, self.transport.abortConnection)
            self.disconnecting = 1  # or twisted.web would go on with the lines that it has
            self.transport.loseWriteConnection()
        else:
            self.loseConnection()


class PlainFactory(WrappingFactory[PlainLayer]):
    """Connections that speak one protocol only, without TLS: the redirects, and the site behind a proxy."""

    protocol = PlainLayer
    noisy = False

    def __init__(self, clock: IReactorTime, connections: Connections, wrapped: IProtocolFactory) -> None:
        super().__init__(wrapped)
        self.clock = clock
        self.connections = connections

    def buildProtocol(self, addr: Any) -> Any:
        """None refuses the connection."""
        return super().buildProtocol(addr) if self.connections.admits(host_of(addr), undecided=False) else None


class TlsLayer(_Layer, QuickTls):
    """The layer of a connection inside TLS."""

    def hold(self) -> None:
        """What is written in one turn goes out as one by itself."""

    def release(self) -> None:
        """Nothing is kept here."""

    def finish(self) -> None:
        """Close: TLS waits for the peer's goodbye by itself."""
        self.loseConnection()


class TlsFactory(TLSMemoryBIOFactory):
    """Makes TLS layers; what is inside still has to be chosen, or is a `Proof`."""

    protocol = TlsLayer
    noisy = False

    def __init__(
        self, clock: IReactorTime, creator: IOpenSSLServerConnectionCreator, connections: Connections,
        inside: Callable[[], Protocol],
    ) -> None:
        super().__init__(creator, False, Factory.forProtocol(inside), clock)
        self.clock = clock
        self.connections = connections


@implementer(IHandshakeListener)
class Proof(Protocol):
    """Inside TLS for a certificate authority: the handshake has shown all, so it ends the connection."""

    transport: Any

    def handshakeCompleted(self) -> None:
        """The authority has seen the certificate."""
        self.transport.loseConnection()


def no_delay(transport: Any) -> None:
    """Send small messages at once."""
    if ITCPTransport.providedBy(transport):
        transport.setTcpNoDelay(True)


def host_of(address: Any) -> str:
    """The host of a peer, empty for what has none."""
    return address.host if isinstance(address, IPv4Address | IPv6Address) else ""
