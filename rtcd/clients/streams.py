"""Clients that come by TCP or TLS: a protocol for each connection, and the table that bounds and times them all.

A connection is a path of the relay plane's (IClientPath): what is for its client goes out by the transport's own queue.
A client that does not read loses what is relayed to it, and is not read from while it owes us too many responses.
Sources: RFC 8656 §3.1, §5, §12.5.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from rtcd.allocations.allocation import FiveTuple
from rtcd.bucket import network
from rtcd.clients.connections import Limits, Wait, Waits
from rtcd.doorway.origin import unmapped
from rtcd.interfaces import IClientPath, IRelayPlane
from rtcd.metrics import Metrics
from rtcd.stun.attributes import Address
from rtcd.stun.framing import Framer

MAX_QUEUED_BYTES = 65536
"""So many bytes of responses wait for a client beside what its transport holds; then it is not read from until they are
out. The transport says that it holds enough at 64 KiB as well (twisted.internet.abstract.FileDescriptor.bufferSize)."""
MAX_UNREAD_BYTES = 262144
"""So many wait for a client that has gone on not reading while others caused them: ConnectionAttempts and answers to
Connect. Then the connection is cut."""

MAX_HANDSHAKES = 1024
"""TLS handshakes at once; one more drops the one that has taken longest."""

CLOSE_GRACE_S = 3.0
"""When the service stops, connections that have not ended so many seconds later are cut."""

_REFUSED = "Connections refused or closed by us, by reason."


class Streams:
    """The table of connections.

    ``receive(message, five_tuple)`` takes STUN messages and answers through the plane; ``allocated(five_tuple)`` tells
    whether there is an allocation; ``closed(five_tuple)`` is called once when a connection is no client any more.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, limits: Limits, metrics: Metrics, receive: Callable[[bytes, FiveTuple], None],
        allocated: Callable[[FiveTuple], bool], closed: Callable[[FiveTuple], None],
    ) -> None:
        self.clock = clock
        self.receive = receive
        self.plane: Any = None
        """The relay plane while the service runs; nobody is let in without."""
        self._allocated = allocated
        self._closed = closed
        self._limits = limits
        self._waits: Waits[StreamConnection] = Waits(limits.waits())
        self._open: dict[StreamConnection, str] = {}
        """Every connection, and the network that it counts for."""
        self._per_network: Counter[str] = Counter()
        self._clients: dict[FiveTuple, StreamConnection] = {}
        self._timer: IDelayedCall | None = None
        self._timer_for = 0.0
        self._stopping: list[Deferred[None]] = []
        self._opened = metrics.counter("turn", "connections", "Stream connections accepted.")
        self._refused = {
            reason: metrics.counter("turn", "refused_connections", _REFUSED, reason=reason)
            for reason in ("total", "address", "oldest", "handshake", "no-allocation", "slow-frame", "garbage", "unread")
        }
        metrics.gauge("turn", "connections_open", "Stream connections open now.", lambda: len(self._open))

    def use(self, limits: Limits) -> None:
        """Go by these limits from now on (a reload); connections that are open stay."""
        self._limits = limits
        self._waits.limits = limits.waits()
        self._set_timer()

    def start(self, plane: IRelayPlane) -> None:
        """Let connections in."""
        self.plane = plane

    def connection(self, five_tuple: FiveTuple) -> StreamConnection | None:
        """The connection of a client, if it is one of ours and still open."""
        return self._clients.get(five_tuple)

    def stop(self) -> Deferred[None]:
        """Let nobody in, close every connection, by force after `CLOSE_GRACE_S`; fires when the last one is gone."""
        self.plane = None
        done: Deferred[None] = Deferred()
        self._stopping.append(done)
        for one in list(self._open):
            one.close()
        self._cancel_timer()
        if self._open:
            self._timer = self.clock.callLater(CLOSE_GRACE_S, self._cut)
        self._finish()
        return done

    def admits(self, address: Any) -> bool:
        """Whether one more connection from this address may come. A refusal is counted."""
        if self.plane is None or not isinstance(address, IPv4Address | IPv6Address):
            return False  # a unix socket has no address to tell its client
        host = unmapped(address.host)
        if len(self._open) >= self._limits.max_connections:
            self._refused["total"].value += 1
            return False
        if self._per_network[network(host)] >= self._limits.max_connections_per_ip and not _is_loopback(host):
            self._refused["address"].value += 1
            return False
        return True

    # Called by the connections.

    def opened(self, one: StreamConnection, *, handshake: bool) -> None:
        """It is open; the clock runs."""
        self._opened.value += 1
        source = network(one.five_tuple.client[0])
        self._open[one] = source
        self._per_network[source] += 1
        if handshake:
            waiting = self._waits.waiting("tls")
            if len(waiting) >= MAX_HANDSHAKES:
                self._refused["oldest"].value += 1
                self._abort(next(iter(waiting)))
            self._begin("tls", one)
        else:
            self.shaken(one)

    def shaken(self, one: StreamConnection) -> None:
        """It may speak STUN from now on."""
        if self.plane is None:
            one.close()
            return
        self._waits.end("tls", one)
        self._clients[one.five_tuple] = one
        self.plane.attach(one.five_tuple, one)
        self._begin("allocation", one)

    def allocation_changed(self, five_tuple: FiveTuple) -> None:
        """An allocation came or went: the clock stops, or runs again."""
        one = self._clients.get(five_tuple)
        if one is None:
            return
        if self._allocated(five_tuple):
            self._waits.end("allocation", one)
        else:
            self._begin("allocation", one)

    def frame_begun(self, one: StreamConnection) -> None:
        """A part of a new frame is there."""
        self._begin("frame", one)

    def frame_ended(self, one: StreamConnection) -> None:
        """No part of a frame is there."""
        self._waits.end("frame", one)

    def left(self, one: StreamConnection) -> None:
        """It is no client any more: its allocation ends. Harmless when repeated."""
        self._waits.forget(one)
        if self._clients.get(one.five_tuple) is one:
            del self._clients[one.five_tuple]
            if self.plane is not None:
                self.plane.detach(one.five_tuple)
            self._closed(one.five_tuple)

    def cut(self, one: StreamConnection) -> None:
        """It does not read; its allocation ends when the transport says that it is lost, not amid what caused this."""
        self._refused["unread"].value += 1
        one.abort()

    def closing(self, one: StreamConnection, reason: str) -> None:
        """We are closing it; it gets time for its last bytes."""
        if reason:
            self._refused[reason].value += 1
        self.left(one)
        self._begin("close", one)

    def gone(self, one: StreamConnection) -> None:
        """The connection is lost."""
        self.left(one)
        source = self._open.pop(one, None)
        if source is not None:
            self._per_network[source] -= 1
            if not self._per_network[source]:
                del self._per_network[source]
        self._finish()

    # The timer.

    def _begin(self, kind: Wait, one: StreamConnection) -> None:
        self._waits.begin(kind, one, self.clock.seconds())
        self._set_timer()

    def _set_timer(self) -> None:
        """Wake up for the first deadline; one that has moved later is found out when we wake."""
        deadline = self._waits.next_deadline()
        if self._stopping or deadline is None or (self._timer is not None and self._timer_for <= deadline):
            return
        self._cancel_timer()
        self._timer_for = deadline
        self._timer = self.clock.callLater(max(0.0, deadline - self.clock.seconds()), self._expire)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        for kind, one in self._waits.due(self.clock.seconds()):
            if kind == "allocation":
                one.close("no-allocation")
            elif kind == "frame":
                one.close("slow-frame")
            elif kind == "tls":
                self._refused["handshake"].value += 1
                self._abort(one)
            else:
                self._abort(one)
        self._set_timer()

    def _abort(self, one: StreamConnection) -> None:
        self.left(one)
        one.abort()

    def _cut(self) -> None:
        self._timer = None
        for one in list(self._open):
            one.abort()

    def _finish(self) -> None:
        if self._open and self._stopping:
            return
        stopping, self._stopping = self._stopping, []
        if stopping or not self._open:
            self._cancel_timer()
        for one in stopping:
            one.callback(None)


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
            self._streams.shaken(self)

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
        self._streams.gone(self)
        if self._after is not None:
            self._after.connectionLost(reason)

    # IClientPath.

    def deliver(self, frame: bytes | memoryview) -> bool:
        """See IClientPath."""
        if self._full or self._closing:
            return False
        self.transport.write(bytes(frame))
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
        self.transport.write(bytes(data))
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

    def __init__(self, streams: Streams, creator: IOpenSSLServerConnectionCreator) -> None:
        super().__init__(creator, False, StreamFactory(streams, "tls", handshake=True), streams.clock)

    def buildProtocol(self, addr: Any) -> Any:
        """None refuses the connection."""
        inside = self.wrappedFactory.buildProtocol(addr)
        return None if inside is None else self.protocol(self, inside)


def _address(address: Any) -> Address:
    """As a five-tuple has it: IPv4 that came to an IPv6 socket is IPv4."""
    return unmapped(address.host), address.port


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback
