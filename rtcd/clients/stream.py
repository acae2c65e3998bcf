"""A connection of a client that comes by TCP or TLS, until it ends or becomes a byte pipe.

It is a path of the relay plane's (IClientPath): what is for its client goes out by the transport's own queue. A client that
does not read loses what is relayed to it, and is not read from while it owes us too many responses. The table of all of
them is rtcd.clients.streams. Sources: RFC 8656 §3.1, §5, §12.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from rtcd.allocations.allocation import FiveTuple
from rtcd.clients.streams import Streams
from rtcd.front.origin import unmapped
from rtcd.interfaces import IClientPath
from rtcd.stun.attributes import Address
from rtcd.stun.framing import Framer
from rtcd.tls.handshakes import reason_of

MAX_QUEUED_BYTES = 65536
"""So many bytes of responses wait for a client beside what its transport holds; then it is not read from until they are
out. The transport says that it holds enough at 64 KiB as well (twisted.internet.abstract.FileDescriptor.bufferSize)."""
MAX_UNREAD_BYTES = 262144
"""So many wait for a client that has gone on not reading while others caused them: ConnectionAttempts and answers to
Connect. Then the connection is cut."""


@implementer(IClientPath, IPushProducer, IHandshakeListener)
class StreamConnection(Protocol):
    """One client's connection, until it ends or becomes something else (`become`)."""

    transport: Any
    five_tuple: FiveTuple

    def __init__(self, streams: Streams, kind: Literal["tcp", "tls"], *, handshake: bool) -> None:
        """``handshake``: whether a TLS handshake is still to come."""
        self._streams = streams
        self._kind = kind
        self._handshake = handshake
        self._framer = Framer()
        self._after: Any = None
        """The protocol that has taken over."""
        self._next: Any = None
        """The protocol that takes over behind the next response."""
        self._closing = False
        self._full = False
        """Whether the transport holds enough."""
        self._queued = 0
        """Bytes of responses since it does."""
        self._held = False
        """Whether the client is not read from."""

    def connectionMade(self) -> None:
        """The transport is there, the handshake of TLS perhaps not yet."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self.five_tuple = FiveTuple(self._kind, _address(self.transport.getPeer()), _address(self.transport.getHost()))
        self.transport.registerProducer(self, True)
        self._streams.opened(self, handshake=self._handshake)

    def handshakeCompleted(self) -> None:
        """TLS stands."""
        if self._handshake:
            self._handshake = False
            self._streams.shaken(self, handshake=True)

    def _write(self, data: bytes) -> None:
        """Where the doorway has made the TLS, it would join what is written in one turn of the reactor into one record."""
        if isinstance(self.transport, BufferingTLSTransport):
            TLSMemoryBIOProtocol.write(self.transport, data)
        else:
            self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        """Some bytes of the stream."""
        if self._after is not None:
            self._after.dataReceived(data)
        elif not self._closing:
            waited = self._framer.partial
            self._framer.receive(data)
            self._serve(waited)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over; the allocation of this connection too (RFC 8656 §5)."""
        self._closing = True
        if self._handshake:
            self._streams.unshaken(reason_of(reason.value))
        self._streams.gone(self)
        if self._after is not None:
            self._after.connectionLost(reason)

    # IClientPath.

    def deliver(self, frame: bytes | memoryview) -> bool:
        """See IClientPath."""
        if self._full or self._closing:
            return False
        self._write(bytes(frame))
        return True

    def respond(self, data: bytes) -> None:
        """See IClientPath."""
        if self._closing:
            return
        if self._full:
            self._queued += len(data)
            if self._queued > MAX_UNREAD_BYTES:
                self._streams.cut(self)
                return
            if self._queued > MAX_QUEUED_BYTES and not self._held:
                self._held = True
                self.transport.pauseProducing()
        self._write(bytes(data))
        if self._next is not None:
            self.become(self._next)

    # IPushProducer: what the transport says of its queue.

    def pauseProducing(self) -> None:
        """The client does not read as fast as we write."""
        self._full = True

    def resumeProducing(self) -> None:
        """All is out."""
        self._full, self._queued = False, 0
        if self._held:
            self._held = False
            self.transport.resumeProducing()
            self._serve(False)

    def stopProducing(self) -> None:
        """The connection is lost, which `connectionLost` is told too."""

    def close(self, reason: str = "") -> None:
        """End it when what was written is out. ``reason``: why it is refused, to be counted."""
        if not self._closing:
            self._closing = True
            self._streams.closing(self, reason)
            if self._held:  # TLS's goodbye has to be read
                self._held = False
                self.transport.resumeProducing()
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        """End it at once."""
        self._closing = True
        self.transport.abortConnection()

    def become_after_answer(self, protocol: Any) -> bool:
        """Let it `become` this when the response to the request at hand is written; False if it is no client any more."""
        if self._closing or self._after is not None or self._next is not None:
            return False
        self._next = protocol
        return True

    def become(self, protocol: Any) -> None:
        """End the framing: from now on the connection is a pipe of bytes and ``protocol``'s (RFC 6062 §4.3).

        To be called when the response that tells the client so has been written. The protocol is connected to the
        transport, with no producer registered, and gets at once the bytes that came behind the request. It sees every
        byte and the end, and half-closes if it provides IHalfCloseableProtocol; no clock of ours runs for it, but it
        counts among the connections. The allocation that this five-tuple may have had ends.
        """
        if self._closing or self._after is not None:
            return
        self._streams.left(self)
        self._after = protocol
        rest = self._framer.rest()
        self.transport.unregisterProducer()
        if self._held:
            self._held = False
            self.transport.resumeProducing()
        if IHalfCloseableProtocol.providedBy(protocol):
            alsoProvides(self, IHalfCloseableProtocol)
        protocol.makeConnection(self.transport)
        if rest:
            protocol.dataReceived(rest)

    def readConnectionLost(self) -> None:
        """The client has ended its half; asked for only if the protocol that has taken over wants to know."""
        self._after.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """Our half is ended; likewise."""
        self._after.writeConnectionLost()

    def _serve(self, waited: bool) -> None:
        """Hand out the frames that are there. ``waited``: whether the first of them has begun before."""
        framer, streams, five_tuple = self._framer, self._streams, self.five_tuple
        while not (self._held or self._closing or self._after is not None):
            try:
                frame = framer.next()
            except ValueError:
                self.close("garbage")
                return
            if frame is None:
                break
            if waited:
                waited = False
                streams.frame_ended(self)
            if frame[0] < 0x40:
                streams.receive(frame, five_tuple)
            elif streams.plane is not None:
                streams.plane.channel_data(frame, five_tuple)
        if self._closing or self._after is not None:
            return
        if self._held:
            streams.frame_ended(self)
        elif framer.partial and not waited:
            streams.frame_begun(self)


class StreamFactory(Factory):
    """Makes connections. ``handshake``: inside TLS whose handshake is still to come."""

    noisy = False

    def __init__(self, streams: Streams, kind: Literal["tcp", "tls"], *, handshake: bool = False) -> None:
        self._streams = streams
        self._kind: Literal["tcp", "tls"] = kind
        self._handshake = handshake

    def buildProtocol(self, addr: Any) -> StreamConnection | None:
        """None refuses the connection."""
        if not self._streams.admits(addr):
            return None
        return StreamConnection(self._streams, self._kind, handshake=self._handshake)


class TlsStreamFactory(TLSMemoryBIOFactory):
    """Makes connections inside TLS, of a listener of our own.

    Each frame goes out as a TLS record of its own, at once: media does not wait for the next turn of the reactor, and
    coturn's client takes a record for a message.
    """

    protocol = TLSMemoryBIOProtocol
    noisy = False

    def __init__(
        self, streams: Streams, creator: IOpenSSLServerConnectionCreator, may_shake: Callable[[str], bool]
    ) -> None:
        """``may_shake`` tells whether a host may make us do another handshake."""
        super().__init__(creator, False, StreamFactory(streams, "tls", handshake=True), streams.clock)
        self._streams = streams
        self._may_shake = may_shake

    def buildProtocol(self, addr: Any) -> Any:
        """None refuses the connection."""
        if not self._may_shake(getattr(addr, "host", "")):
            self._streams.busy()
            return None
        inside = self.wrappedFactory.buildProtocol(addr)
        return None if inside is None else self.protocol(self, inside)


def _address(address: Any) -> Address:
    """As a five-tuple has it: IPv4 that came to an IPv6 socket is IPv4."""
    return unmapped(address.host), address.port
