"""`End`: one side of a TCP connection through a relay; two of them joined are a byte pipe.

Each end is the producer of the other's transport, so a side that does not read stops the side that sends. An end of
input is passed on as one (half-close). Source: RFC 6062 §4.4, §5.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from rtcd.allocations.meter import Meter

EARLY_BYTES = 65536
"""What a peer may have sent before its client binds the connection; beyond that it is not read."""
LINGER_S = 30.0
"""How long a side that is closed may take to accept its last bytes."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class End(Protocol):
    """One side. ``meters`` limit what it sends; ``lost(end)`` is called once when it is closed."""

    transport: Any

    def __init__(self, clock: IReactorTime, meters: tuple[Meter, ...], lost: Callable[[End], None]) -> None:
        self._clock = clock
        self._meters = meters
        self._lost = lost
        self._other: End | None = None
        self._early: list[bytes] = []
        self._early_bytes = 0
        self._ended = False
        self._shut = False
        self._paused_by_other = False
        self._resume: IDelayedCall | None = None
        self._linger: IDelayedCall | None = None
        self.open = True
        """Until its connection is closed."""
        self.received_bytes = 0
        """How much it has sent."""

    def connectionMade(self) -> None:
        """The connection is open."""
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        if self._other is not None:  # the client's end, whose peer has waited for it
            self.transport.registerProducer(self._other, True)
            self._other.released()

    def join(self, other: End) -> None:
        """Let bytes flow between the two; ``other`` gets its transport afterwards."""
        self._other, other._other = other, self
        self.transport.registerProducer(other, True)

    def released(self) -> None:
        """The other side has a transport now: it gets what came early."""
        early, self._early = self._early, []
        for data in early:
            self._pass(data)
        if self._ended:
            self._pass_end()
        self._flow()

    def dataReceived(self, data: bytes) -> None:
        """Bytes for the other side."""
        self.received_bytes += len(data)
        now = self._clock.seconds()
        delay = max((meter.charge(len(data), now) for meter in self._meters), default=0.0)
        if delay > 0 and self._resume is None:
            self._resume = self._clock.callLater(delay, self._rate_allows)
        if self._other is not None and self._other.transport is not None:
            self._pass(data)
        else:
            self._early.append(data)
            self._early_bytes += len(data)
        self._flow()

    def pauseProducing(self) -> None:
        """The other side does not keep up."""
        self._paused_by_other = True
        self._flow()

    def resumeProducing(self) -> None:
        """It does again."""
        self._paused_by_other = False
        self._flow()

    def stopProducing(self) -> None:
        """The other side is closed."""
        self.close()

    def readConnectionLost(self) -> None:
        """This side has said all it had to say."""
        self._ended = True
        if self._other is not None and self._other.transport is not None:
            self._pass_end()

    def writeConnectionLost(self) -> None:
        """This side has been told that nothing more comes."""
        self._shut = True
        if self._ended:
            self.close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is closed: so is the other, once it has what was sent."""
        for call in (self._resume, self._linger):
            if call is not None and call.active():
                call.cancel()
        self._resume, self._meters, self.open = None, (), False
        other, self._other = self._other, None
        if other is not None:
            other._other = None
            other.close()
        self._lost(self)

    def close(self) -> None:
        """Close after the last bytes are out, or after `LINGER_S`."""
        if self.transport is not None and self.open and self._linger is None:
            self._linger = self._clock.callLater(LINGER_S, self.abort)
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        """Close at once. One that is closed already is left alone: the transport of TLS has nothing to abort then."""
        if self.transport is not None and self.open:
            self.transport.abortConnection()

    def _pass(self, data: bytes) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.write(data)

    def _pass_end(self) -> None:
        """Tell the other side. TLS says goodbye and still reads, a plain stream is shut for writing alone."""
        other = self._other
        if other is None or other.transport is None:
            return
        other.transport.unregisterProducer()
        if hasattr(other.transport, "negotiatedProtocol"):
            other.transport.loseConnection()
        else:
            other.transport.loseWriteConnection()

    def _rate_allows(self) -> None:
        self._resume = None
        self._flow()

    def _flow(self) -> None:
        """Read, or do not."""
        if self.transport is None or self._ended:
            return
        waits = self._early_bytes >= EARLY_BYTES and bool(self._early)
        if self._paused_by_other or self._resume is not None or waits:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()
