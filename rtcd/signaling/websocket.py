"""The WebSocket of Collider's protocol, on Autobahn: bytes of one connection to the rules and back.

A connection handles its frames one after another. No rule lives here; every answer comes from ``switchboard``.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Coroutine
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket import protocol as autobahn_protocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, ISSLTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from rtcd.bucket import Buckets, network
from rtcd.doorway.door import Doorway
from rtcd.interfaces import IRoomStore
from rtcd.metrics import Metrics
from rtcd.rooms import mesh
from rtcd.rooms.declaration import SALT_BYTES
from rtcd.rooms.outcome import StoreFull, StoreUnavailable
from rtcd.rooms.snapshot import event
from rtcd.signaling import messages, switchboard
from rtcd.signaling.settings import Settings

MAX_WAITING_FRAMES = 64
"""Frames of one client that wait while an earlier one is handled; beyond it we stop reading from its socket."""

CLOSE_TIMEOUT_S = 2.0
"""How long a client may take to answer our close frame."""

CUT_S = 4.0
"""When the daemon ends, a connection that is not over by then is cut."""

NORMAL_CLOSURE = 1000

# Autobahn writes all options into a debug line for every connection, also when nobody reads it: a third of the cost
# of a connection. The line stays, without the listing.
autobahn_protocol.pformat = lambda *_: "(not listed)"


@implementer(IPushProducer)
class SignalingProtocol(WebSocketServerProtocol):  # type: ignore[misc] # Autobahn is untyped
    """One client's connection; to a room store it is a `rtcd.rooms.outcome.Socket`."""

    _log = Logger()
    factory: SignalingFactory

    def __init__(self) -> None:
        super().__init__()
        self.room = ""
        self.client = ""
        self._address = ""
        self._frames: deque[bytes] = deque()
        self._busy = False
        self._ended = False
        self._paused = False
        self._backlog_bytes = 0
        self._deadline: IDelayedCall | None = None

    def onConnect(self, request: ConnectionRequest) -> None:
        """Refuse what Collider refuses: a missing or null Origin. Any other goes; phone apps claim other sites."""
        if self.factory.closing:
            raise ConnectionDeny(503, "The daemon is ending")
        peer = getattr(self.transport.getPeer(), "host", "")
        secure = ISSLTransport.providedBy(self.transport)
        self._address = network(self.factory.client_of(peer, secure, lambda name: request.headers.get(name, "")))
        if request.origin in (None, "", "null"):
            self.factory.refused.value += 1
            raise ConnectionDeny(403, "Origin is missing")

    def sendHttpErrorResponse(self, code: int, reason: str, responseHeaders: Any = None) -> None:
        """Refuse a handshake, with the headers that all our answers have; Autobahn's own has none."""
        ours = [(name.decode(), value.decode()) for name, value in self.factory.error_headers]
        super().sendHttpErrorResponse(code, reason, [*ours, *(responseHeaders or ())])

    def onOpen(self) -> None:
        """The handshake is done: from here on frames come."""
        self.factory.sockets.add(self)
        self._deadline = self.factory.reactor.callLater(self.factory.settings.register_timeout, self._too_late)
        self.transport.unregisterProducer()  # the HTTP channel still is it
        self.transport.registerProducer(self, True)

    def onMessageFrameBegin(self, length: int) -> None:
        """Say in the protocol's own words that a message is too long, before Autobahn would close with 1009."""
        super().onMessageFrameBegin(length)
        if self.message_data_total_length > self.factory.settings.max_message_bytes:
            self.refuse(f"websocket.JSON.Receive error: more than {self.factory.settings.max_message_bytes} bytes")

    def onMessageFrameData(self, payload: bytes) -> None:
        """Collect the frame, unless nobody will read it."""
        if not self._ended:
            super().onMessageFrameData(payload)

    def onMessageFrameEnd(self) -> None:
        """The frame is complete."""
        if not self._ended:
            super().onMessageFrameEnd()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A message came: handle it now, or behind the one that is being handled."""
        if self._ended:
            return
        if isBinary:
            self.refuse("websocket.JSON.Receive error: binary frame")
            return
        self._frames.append(payload)
        if not self._busy:
            self._busy = True
            self._start(self._work())
        elif len(self._frames) == MAX_WAITING_FRAMES:
            self.transport.pauseProducing()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The connection is over, for whatever reason; also called for handshakes that never became one."""
        self._ended = True
        self._frames.clear()
        self._stop_deadline()
        if self not in self.factory.sockets:
            return
        self.factory.discard(self)
        if self.room:
            self._start(self._lose())

    def deliver(self, text: str) -> None:
        """Send a peer's message (`rtcd.rooms.outcome.Socket`)."""
        if self._ended:
            return
        self.factory.delivered.value += 1
        self._say(messages.message(text))

    def inform(self, text: str) -> None:
        """Send an event of the room (`rtcd.rooms.outcome.Socket`)."""
        if self._ended:
            return
        self.factory.informed.value += 1
        self._say(messages.event(text))

    def onPing(self, payload: bytes) -> None:
        """Answer, unless the client does not read its answers."""
        if self._room_for(len(payload)):
            self.sendPong(payload)

    def close(self) -> None:
        """Close, after what was delivered (`rtcd.rooms.outcome.Socket`)."""
        self._ended = True
        self._frames.clear()
        self._stop_deadline()
        self.sendClose(NORMAL_CLOSURE)

    def refuse(self, text: str) -> None:
        """Send an error frame, then close."""
        if self._ended:
            return
        self.factory.refused.value += 1
        self._log.debug("refused: {reason}", reason=text, room=self.room)
        self._say(messages.error(text))
        self.close()

    def pauseProducing(self) -> None:
        """The client does not read as fast as we write."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self._paused = False
        self._backlog_bytes = 0

    def stopProducing(self) -> None:
        """The connection is gone; onClose follows."""

    def _say(self, frame: bytes) -> None:
        if self._room_for(len(frame)):
            self.sendMessage(frame)

    def _room_for(self, size: int) -> bool:
        """Whether so many bytes more may wait for the client; one that lets too much pile up is dropped."""
        if not self._paused:
            return True
        self._backlog_bytes += size
        if self._backlog_bytes <= self.factory.settings.max_backlog_bytes:
            return True
        if self.state != self.STATE_CLOSED:
            self.factory.dropped.value += 1
            self._log.debug("a client does not read: {reason}", reason="backlog full", room=self.room)
            self._ended = True
            self.dropConnection(abort=True)
        return False

    async def _work(self) -> None:
        try:
            while self._frames and not self._ended:
                if len(self._frames) == MAX_WAITING_FRAMES:
                    self.transport.resumeProducing()
                await self._handle(self._frames.popleft())
        finally:
            self._busy = False

    async def _handle(self, data: bytes) -> None:
        try:
            frame = messages.parse(data)
        except ValueError as error:
            self.refuse(str(error))
            return
        if isinstance(frame, messages.Register):
            await self._register(frame)
        elif isinstance(frame, messages.Send):
            await self._send(frame.text)
        elif isinstance(frame, messages.Unknown) or not self.room:
            self._unknown()
        else:
            await self._command(frame)

    async def _register(self, frame: messages.Register) -> None:
        if self.room:
            self.refuse("Duplicated register request")
            return
        if not self.factory.registrations.allow(self._address, self.factory.reactor.seconds()):
            self.refuse("Too many registrations from this address; try again later")
            return
        limits, address, required = self.factory.rooms.limits, self._address, self.factory.settings.require_join
        self.room, self.client = frame.room, frame.client
        try:
            refused = await self.factory.rooms.update(
                frame.room,
                lambda one, now: switchboard.register(one, now, limits, frame.client, address, require_join=required),
                self,
            )
        except (StoreFull, StoreUnavailable) as fault:
            refused = switchboard.Refused(str(fault))
        if refused is None:
            self._stop_deadline()
            self.factory.total += 1
            if self not in self.factory.sockets:  # it ended while the store was asked
                await self._lose()
        else:
            self.room = self.client = ""
            self.refuse(refused.text)

    async def _lose(self) -> None:
        """The connection is over: unless another has taken its place, its client is lost."""
        rooms, client, limits = self.factory.rooms, self.client, self.factory.rooms.limits
        if rooms.detach(self.room, client, self):
            await rooms.update(self.room, lambda one, now: switchboard.lost(one, now, limits, client))

    async def _send(self, text: str) -> None:
        if not self.room:
            self.refuse(switchboard.NOT_REGISTERED.text)
            return
        limits, client = self.factory.rooms.limits, self.client
        try:
            refused = await self.factory.rooms.update(
                self.room, lambda one, now: switchboard.send(one, now, limits, client, text))
        except (StoreFull, StoreUnavailable) as fault:
            refused = switchboard.Refused(str(fault))
        if refused is not None:
            self.refuse(refused.text)

    async def _command(self, asked: mesh.Command) -> None:
        limits, client, salt = self.factory.rooms.limits, self.client, secrets.token_bytes(SALT_BYTES)
        try:
            refused = await self.factory.rooms.update(
                self.room, lambda one, now: switchboard.command(one, now, limits, client, asked, salt))
        except StoreFull:
            refused = mesh.Refusal(asked.cmd, "full")
        except StoreUnavailable as fault:
            refused = switchboard.Refused(str(fault))
        if isinstance(refused, switchboard.Refused):
            self.refuse(refused.text)
        elif refused is not None and refused.why == "app":
            self._unknown()
        elif refused is not None and not self._ended:
            self.factory.refused.value += 1
            self._say(messages.event(event("refused", cmd=refused.cmd, why=refused.why)))

    def _unknown(self) -> None:
        """Say that there is no such command, at least not for this client; the connection stays open."""
        if not self._ended:
            self.factory.refused.value += 1
            self._say(messages.error(messages.UNKNOWN.text))

    def _too_late(self) -> None:
        self._deadline = None
        self.refuse("Not registered in time")

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _start(self, work: Coroutine[Deferred[Any], Any, Any]) -> None:
        Deferred.fromCoroutine(work).addErrback(self._broken)

    def _broken(self, failure: Failure) -> None:
        if failure.check(StoreUnavailable):
            self._log.debug("the room store is away", room=self.room)
            return
        self._log.failure("a signalling frame broke its connection", failure)
        self.dropConnection(abort=True)


class SignalingFactory(WebSocketServerFactory):  # type: ignore[misc] # Autobahn is untyped
    """All signalling connections of this process."""

    protocol = SignalingProtocol
    noisy = False

    def __init__(self, reactor: Any, rooms: IRoomStore, settings: Settings, metrics: Metrics, door: Doorway) -> None:
        super().__init__(reactor=reactor)
        self.rooms: Any = rooms
        self.client_of = door.client_of
        self.error_headers = [*door.site.headers.items(), (b"Server", b"rtcd"), (b"Content-Length", b"0"),
                              (b"Connection", b"close")]
        self.sockets: set[SignalingProtocol] = set()
        self.total = 0
        self.closing = False
        self._cut: IDelayedCall | None = None
        self._emptied: Deferred[None] | None = None
        self.refused = metrics.counter("signaling", "refused", "Handshakes, frames and registrations refused.")
        self.delivered = metrics.counter("signaling", "messages", "Messages handed to a client.")
        self.informed = metrics.counter("signaling", "events", "Events of rooms handed to a page.")
        self.dropped = metrics.counter("signaling", "dropped", "Connections dropped because the client did not read.")
        metrics.gauge("signaling", "sockets", "Open WebSockets.", lambda: len(self.sockets))
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


def is_upgrade(request: Request) -> bool:
    """Whether an HTTP request asks for a WebSocket; its headers' case is free."""
    upgrade = request.requestHeaders.getRawHeaders(b"upgrade", [])
    return any(value.strip().lower() == b"websocket" for value in upgrade)
