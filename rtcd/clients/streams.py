"""The table of clients that come by TCP or TLS: how many there may be, and for how long each may wait for what.

A connection itself is rtcd.clients.stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from rtcd.alarm import Alarm
from rtcd.allocations.allocation import FiveTuple
from rtcd.bucket import network
from rtcd.clients.connections import Limits, Wait, Waits
from rtcd.front.origin import is_loopback, unmapped
from rtcd.interfaces import IRelayPlane
from rtcd.metrics import Metrics
from rtcd.tls.handshakes import REASONS

if TYPE_CHECKING:
    from rtcd.clients.stream import StreamConnection

MAX_HANDSHAKES = 1024
"""TLS handshakes at once; one more drops the one that has taken longest."""

CLOSE_GRACE_S = 3.0
"""When the service stops, connections that have not ended so many seconds later are cut."""

_FAILED = "TLS handshakes at ports of our own that were begun and not completed, by reason."
REFUSED = "Connections refused or closed by us, by reason."


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
        self._alarm = Alarm(clock, self._deadline, self._expire)
        self._end: IDelayedCall | None = None
        self._stopping: list[Deferred[None]] = []
        self._opened = metrics.counter("turn", "connections", "Stream connections accepted.")
        self._refused = {
            reason: metrics.counter("turn", "refused_connections", REFUSED, reason=reason)
            for reason in ("total", "address", "oldest", "handshake", "handshakes", "no-allocation", "slow-frame", "garbage",
                           "unread")
        }
        self._shaken = metrics.counter("turn", "handshakes", "TLS handshakes completed at ports of our own.")
        self._failed = {reason: metrics.counter("turn", "failed_handshakes", _FAILED, reason=reason) for reason in REASONS}
        metrics.gauge("turn", "connections_open", "Stream connections open now.", lambda: len(self._open))

    def busy(self) -> None:
        """One was refused that would have cost a TLS handshake too many."""
        self._refused["handshakes"].value += 1

    def use(self, limits: Limits) -> None:
        """Go by these limits from now on (a reload); connections that are open stay."""
        self._limits = limits
        self._waits.limits = limits.waits()
        self._alarm.set()

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
        self._alarm.cancel()
        if self._open and self._end is None:
            self._end = self.clock.callLater(CLOSE_GRACE_S, self._cut)
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
        if self._per_network[network(host)] >= self._limits.max_connections_per_ip and not is_loopback(host):
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

    def unshaken(self, reason: str) -> None:
        """A TLS handshake has failed, for one of rtcd.tls.handshakes' reasons."""
        self._failed[reason].value += 1

    def shaken(self, one: StreamConnection, *, handshake: bool = False) -> None:
        """It may speak STUN from now on; ``handshake``: since its TLS is complete."""
        self._shaken.value += handshake
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

    # The alarm.

    def _begin(self, kind: Wait, one: StreamConnection) -> None:
        self._waits.begin(kind, one, self.clock.seconds())
        self._alarm.set()

    def _deadline(self) -> float | None:
        return None if self._stopping else self._waits.next_deadline()

    def _expire(self, now: float) -> None:
        for kind, one in self._waits.due(now):
            if kind == "allocation":
                one.close("no-allocation")
            elif kind == "frame":
                one.close("slow-frame")
            elif kind == "tls":
                self._refused["handshake"].value += 1
                self._abort(one)
            else:
                self._abort(one)

    def _abort(self, one: StreamConnection) -> None:
        self.left(one)
        one.abort()

    def _cut(self) -> None:
        self._end = None
        for one in list(self._open):
            one.abort()

    def _finish(self) -> None:
        if self._open and self._stopping:
            return
        stopping, self._stopping = self._stopping, []
        if not self._open:
            self._alarm.cancel()
        if stopping and self._end is not None:
            self._end.cancel()
            self._end = None
        for one in stopping:
            one.callback(None)
