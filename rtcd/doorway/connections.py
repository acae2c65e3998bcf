"""`Connections`: the table of every open stream connection, its bounds, and the way to close them all.

A connection is undecided until its protocol is known; it has so many seconds for that. A connection is known here
by its lowest transport, and closed through its layer: what talks to that transport (TLS, or the plain layer).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from rtcd.bucket import Buckets, network
from rtcd.doorway.settings import DoorwaySettings
from rtcd.front.origin import is_loopback
from rtcd.metrics import Metrics
from rtcd.tls.handshakes import REASONS

CLOSE_GRACE_S = 3.0
"""When the daemon stops, a connection that has not ended so many seconds after it was asked to is cut."""

YOUNG_S = 0.5
"""One who has connected so short a time ago may not have asked for anything yet."""
SETTLE_S = 5.0
"""How long those who are beginning are waited for when others go on with the listening socket."""
_LOOK_S = 0.05

HANDSHAKE_BURST_S = 10
"""A host may use up at once the handshakes of so many seconds."""

_FAILED = "TLS handshakes that were begun and not completed, by reason."
_REFUSED = "Connections refused or dropped before their protocol was known, by reason."


class Layer(Protocol):
    """What a connection is closed through."""

    def unregisterProducer(self) -> None:
        """Let the close happen even if somebody would still have something to say."""

    def loseConnection(self) -> None:
        """Close after the last bytes are out."""


class Connections:
    """Open connections and the undecided ones among them, on one timer."""

    def __init__(self, clock: IReactorTime, settings: DoorwaySettings, metrics: Metrics) -> None:
        self._clock = clock
        self._settings = settings
        self._open: dict[Any, Layer] = {}
        self._sources: dict[Any, str] = {}
        self._open_per_address: Counter[str] = Counter()
        self._undecided: OrderedDict[Any, tuple[str, float]] = OrderedDict()
        self._per_address: dict[str, int] = {}
        self._timer: IDelayedCall | None = None
        self._closing: Deferred[None] | None = None
        self._last_opened = 0.0
        self._handshakes = Buckets(settings.handshake_rate, settings.handshake_rate * HANDSHAKE_BURST_S)
        self._opened = metrics.counter("doorway", "connections", "Connections accepted.")
        self._refused = {
            reason: metrics.counter("doorway", "refused_connections", _REFUSED, reason=reason)
            for reason in ("total", "address", "oldest", "timeout", "garbage", "handshakes", "proxy")
        }
        self._shaken = metrics.counter("doorway", "handshakes", "TLS handshakes completed.")
        self._failed = {
            reason: metrics.counter("doorway", "failed_handshakes", _FAILED, reason=reason) for reason in REASONS}
        self.unproxied = self._refused["proxy"]
        """Counts those of a named proxy that did not say for whom it speaks."""
        metrics.gauge("doorway", "open_connections", "Connections open now.", lambda: len(self._open))
        metrics.gauge("doorway", "undecided_connections", "Those undecided.", lambda: len(self._undecided))

    def admits(self, host: str, *, undecided: bool) -> bool:
        """Whether one more connection from ``host`` (empty: not from a network) may come. A refusal is counted."""
        if len(self._open) >= self._settings.max_connections or self._closing is not None:
            self._refused["total"].value += 1
            return False
        if host and not is_loopback(host) and (
                self._open_per_address[network(host)] >= self._settings.max_connections_per_address):
            self._refused["address"].value += 1
            return False
        if undecided and host and self._per_address.get(network(host), 0) >= self._settings.max_undecided_per_address:
            self._refused["address"].value += 1
            return False
        return True

    def opened(self, transport: Any, layer: Layer) -> None:
        """A connection is open, or another layer is now on its transport."""
        if transport not in self._open:
            self._opened.value += 1
            self._last_opened = self._clock.seconds()
            source = network(getattr(transport.getPeer(), "host", ""))
            self._sources[transport] = source
            self._open_per_address[source] += 1
        self._open[transport] = layer

    def undecided(self, transport: Any, host: str) -> None:
        """The clock runs for this open connection. If too many wait, the one that has waited longest is dropped."""
        if len(self._undecided) >= self._settings.max_undecided:
            oldest = next(iter(self._undecided))
            self._refused["oldest"].value += 1
            self._drop(oldest)
        source = network(host)
        self._per_address[source] = self._per_address.get(source, 0) + 1
        self._undecided[transport] = (source, self._clock.seconds() + self._settings.handshake_timeout)
        if self._timer is None:
            self._timer = self._clock.callLater(self._settings.handshake_timeout, self._expire)

    def decided(self, transport: Any) -> None:
        """The protocol is known: the clock stops. Harmless when repeated."""
        source, _ = self._undecided.pop(transport, ("", 0))
        left = self._per_address.pop(source, 0) - 1
        if left > 0:
            self._per_address[source] = left

    def garbage(self, transport: Any) -> None:
        """The first bytes are no protocol of ours: cut it."""
        self._refused["garbage"].value += 1
        self._drop(transport)

    def may_shake(self, host: str) -> bool:
        """Whether this host may make us do the work of another TLS handshake now. A proxy here speaks for many."""
        return not host or is_loopback(host) or self._handshakes.allow(network(host), self._clock.seconds())

    def shaken(self) -> None:
        """A TLS handshake is complete."""
        self._shaken.value += 1

    def unshaken(self, reason: str) -> None:
        """One has failed, for one of rtcd.tls.handshakes' reasons."""
        self._failed[reason].value += 1

    def busy(self, transport: Any) -> None:
        """It may not: cut it."""
        self._refused["handshakes"].value += 1
        self._drop(transport)

    def gone(self, transport: Any) -> None:
        """The connection is closed."""
        self.decided(transport)
        self._open.pop(transport, None)
        source = self._sources.pop(transport, None)
        if source is not None:
            self._open_per_address[source] -= 1
            if not self._open_per_address[source]:
                del self._open_per_address[source]
        self._finish()

    def settled(self) -> Deferred[None]:
        """Fires when nobody is just beginning: none is undecided, and none is younger than `YOUNG_S`; after `SETTLE_S` in
        any case. For when none is let in any more, but the last ones would be served elsewhere had they come later."""
        result: Deferred[None] = Deferred()
        looks = round(SETTLE_S / _LOOK_S)

        def look() -> None:
            nonlocal looks
            young = abs(self._clock.seconds() - self._last_opened) < YOUNG_S
            looks -= 1
            if looks >= 0 and self._open and (self._undecided or young):
                self._clock.callLater(_LOOK_S, look)
            else:
                result.callback(None)

        look()
        return result

    def close_all(self) -> Deferred[None]:
        """Close every connection, by force after `CLOSE_GRACE_S`; fires when the last is gone. None is let in."""
        self._closing = Deferred()
        result = self._closing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for transport in list(self._undecided):
            self._drop(transport)
        for layer in list(self._open.values()):
            layer.unregisterProducer()
            layer.loseConnection()
        if self._open:
            self._timer = self._clock.callLater(CLOSE_GRACE_S, self._cut)
        self._finish()
        return result

    def reopen(self) -> None:
        """Let connections in again after `close_all`."""
        self._closing = None

    def _expire(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._undecided:
            transport, (_, deadline) = next(iter(self._undecided.items()))
            left = deadline - now
            if 0 < left <= self._settings.handshake_timeout:  # more is left only if the clock was put back
                self._timer = self._clock.callLater(left, self._expire)
                return
            self._refused["timeout"].value += 1
            self._drop(transport)

    def _cut(self) -> None:
        self._timer = None
        for transport in list(self._open):
            transport.abortConnection()

    def _drop(self, transport: Any) -> None:
        self.decided(transport)
        transport.abortConnection()

    def _finish(self) -> None:
        if self._closing is not None and not self._open and not self._closing.called:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._closing.callback(None)
