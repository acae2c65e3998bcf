"""`SignalingFactory`: all signalling connections of this process, what is counted of them, and their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from rtcd.bucket import Buckets
from rtcd.doorway.door import Doorway
from rtcd.interfaces import IRoomStore
from rtcd.metrics import Metrics
from rtcd.signaling.settings import Settings
from rtcd.signaling.websocket import SignalingProtocol

REFUSALS = ("origin", "ending", "rate", "register", "frame", "message", "command", "timeout")
"""Why handshakes, frames and registrations are refused, as it is counted."""

CLOSE_TIMEOUT_S = 2.0
"""How long a client may take to answer our close frame."""

CUT_S = 4.0
"""When the daemon ends, a connection that is not over by then is cut."""


class SignalingFactory(WebSocketServerFactory):  # type: ignore[misc] # Autobahn is untyped
    """All signalling connections of this process."""

    protocol = SignalingProtocol
    noisy = False

    def __init__(
        self, reactor: Any, rooms: IRoomStore, settings: Settings, metrics: Metrics, door: Doorway,
        tag: Callable[[str, str], object],
    ) -> None:
        """``tag(room, client)``: what a client is called in the log."""
        super().__init__(reactor=reactor)
        self.tag = tag
        self.rooms: Any = rooms
        self.relay: Callable[[str, str, str], bool] | None = getattr(rooms, "relay", None)
        """The short way of a store that has one: ``relay(room, client, text)``; False if the long one has to be gone."""
        self.client_of = door.client_of
        self.error_headers = [*door.site.headers.items(), (b"Server", b"rtcd"), (b"Content-Length", b"0"),
                              (b"Connection", b"close")]
        self.sockets: set[SignalingProtocol] = set()
        self.waiting_bytes = 0
        """Of all that clients have said and that is not handled yet."""
        self.closing = False
        self._cut: IDelayedCall | None = None
        self._emptied: Deferred[None] | None = None
        self.refused = {
            reason: metrics.counter("signaling", "refused", "Handshakes, frames and registrations refused.", reason=reason)
            for reason in REFUSALS
        }
        self.opened = metrics.counter("signaling", "sockets_opened", "WebSockets opened.")
        self.registered_total = metrics.counter("signaling", "registrations", "WebSockets that clients have registered on.")
        self.delivered = metrics.counter("signaling", "messages", "Messages handed to a client.")
        self.informed = metrics.counter("signaling", "events", "Events of rooms handed to a page.")
        self.dropped = metrics.counter("signaling", "dropped", "Connections dropped because the client did not read.")
        metrics.gauge("signaling", "sockets", "Open WebSockets.", lambda: len(self.sockets))
        metrics.gauge("signaling", "registered", "Those that a client has registered on.", lambda: self.registered)
        self.registrations = Buckets(settings.register_rate, settings.register_rate * 5)
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Go by these settings from now on (a reload); open connections keep their ping interval."""
        self.settings = settings
        if self.registrations.rate != settings.register_rate:
            self.registrations = Buckets(settings.register_rate, settings.register_rate * 5)
        self.setProtocolOptions(
            maxMessagePayloadSize=0, maxFramePayloadSize=0, failByDrop=False, webStatus=False,
            openHandshakeTimeout=10, closeHandshakeTimeout=CLOSE_TIMEOUT_S, tcpNoDelay=True,
            allowNullOrigin=True,  # onConnect refuses it, with the original's status
            autoPingInterval=settings.ping_interval, autoPingTimeout=settings.ping_timeout,
            autoPingRestartOnAnyTraffic=False,  # one that only sends may have stopped reading
        )

    @property
    def registered(self) -> int:
        """How many connections have registered and are open."""
        return sum(1 for one in self.sockets if one.room)

    def discard(self, socket: SignalingProtocol) -> None:
        """A connection is over."""
        self.sockets.discard(socket)
        if not self.sockets and self._emptied is not None:
            if self._cut is not None:
                self._cut.cancel()
                self._cut = None
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def close_all(self) -> Deferred[None]:
        """Close every connection and let none in; fires when the last one is over, by force after `CUT_S`."""
        self.closing = True
        done: Deferred[None] = Deferred()
        if not self.sockets:
            done.callback(None)
            return done
        self._emptied = done
        self._cut = self.reactor.callLater(CUT_S, self._cut_all)
        for socket in list(self.sockets):
            socket.close()
        return done

    def _cut_all(self) -> None:
        self._cut = None
        for socket in list(self.sockets):
            socket.dropConnection(abort=True)
