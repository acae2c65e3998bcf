"""The WebSocket of Collider's protocol, on Autobahn: bytes of one connection to the rules and back.

A connection handles its frames one after another. No rule lives here; every answer comes from ``switchboard``.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket import protocol as autobahn_protocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, ISSLTransport
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from rtcd.bucket import network
from rtcd.log import debugging
from rtcd.promptly import promptly
from rtcd.rooms import mesh
from rtcd.rooms.declaration import SALT_BYTES
from rtcd.rooms.outcome import Change, StoreAway, StoreFull, StoreUnavailable
from rtcd.rooms.snapshot import event
from rtcd.signaling import messages, switchboard
from rtcd.signaling.frames import text_frame, whole_text
from rtcd.signaling.masking import unmask
from rtcd.signaling.slim import Slim

if TYPE_CHECKING:
    from rtcd.signaling.factory import SignalingFactory

MAX_WAITING_BYTES = 131072
"""What of one client may wait while an earlier message is handled; beyond it we stop reading from its socket. What one
reading brings, and one message, come on top."""

MAX_WAITING_TOTAL_BYTES = 134217728
"""The same for all clients, each with all that is on top; whoever says more then is refused."""

FRAME_BYTES = 100
"""What a waiting message costs beside its own bytes."""

PATIENCE_S = 60.0
"""How long a message waits for a store of rooms that is away."""

AGAIN_S = 0.5
"""How often it is tried again."""

NORMAL_CLOSURE = 1000

_NO_FRAMES: deque[bytes] = deque(maxlen=0)
"""Of every connection with nothing waiting, which is nearly all; it holds nothing."""

T = TypeVar("T")

# Autobahn writes all options into a debug line for every connection, also when nobody reads it: a third of the cost
# of a connection. The line stays, without the listing.
autobahn_protocol.pformat = lambda *_: "(not listed)"


@implementer(IPushProducer)
class SignalingProtocol(Slim, WebSocketServerProtocol):  # type: ignore[misc] # Autobahn is untyped
    """One client's connection; to a room store it is a `rtcd.rooms.outcome.Socket`."""

    _log = Logger()
    factory: SignalingFactory

    def __init__(self) -> None:
        super().__init__()
        self.room = ""
        self.client = ""
        self.tag: object = "-"
        """What the client is called in the log, from when it registers."""
        self._address = ""
        self._frames = _NO_FRAMES
        self._busy = False
        self._ended = False
        self._paused = False
        self._held = False
        """Whether we have stopped reading."""
        self._waiting_bytes = 0
        self._backlog_bytes = 0
        self._deadline: IDelayedCall | None = None
        self._write: Callable[[bytes], object] = self.sendMessage  # until there is a transport

    def onConnect(self, request: ConnectionRequest) -> None:
        """Refuse what Collider refuses: a missing or null Origin. Any other goes; phone apps claim other sites."""
        if self.factory.closing:
            self.factory.refused["ending"].value += 1
            raise ConnectionDeny(503, "The daemon is ending")
        peer = getattr(self.transport.getPeer(), "host", "")
        secure = ISSLTransport.providedBy(self.transport)
        self._address = network(self.factory.client_of(peer, secure, lambda name: request.headers.get(name, "")))
        if request.origin in (None, "", "null"):
            self.factory.refused["origin"].value += 1
            raise ConnectionDeny(403, "Origin is missing")

    def sendHttpErrorResponse(self, code: int, reason: str, responseHeaders: Any = None) -> None:
        """Refuse a handshake, with the headers that all our answers have; Autobahn's own has none."""
        ours = [(name.decode(), value.decode()) for name, value in self.factory.error_headers]
        super().sendHttpErrorResponse(code, reason, [*ours, *(responseHeaders or ())])

    def onOpen(self) -> None:
        """The handshake is done: from here on frames come."""
        self.factory.sockets.add(self)
        self.factory.opened.value += 1
        self._deadline = self.factory.reactor.callLater(self.factory.settings.register_timeout, self._too_late)
        self.transport.unregisterProducer()  # the HTTP channel still is it
        self.transport.registerProducer(self, True)
        self._write = getattr(self.transport, "write_now", self.transport.write)
        self.slim()

    def dataReceived(self, data: bytes) -> None:
        """Bytes came. Whole text messages in one frame each, which is what clients send, are handed over at once; from the
        first byte that is anything else on it is Autobahn's, whose rules are all there are."""
        if self.state == self.STATE_OPEN and not self.data and self.current_frame is None and not self.inside_message:
            start, limit = 0, self.factory.settings.max_message_bytes
            while found := whole_text(data, start, limit, unmask):
                payload, start = found
                self.onMessage(payload, False)
                if start == len(data):
                    return
                if self.state != self.STATE_OPEN:
                    break
            data = data[start:] if start else data
        self._dataReceived(data)

    def onMessageFrameBegin(self, length: int) -> None:
        """Say in the protocol's own words that a message is too long, before Autobahn would close with 1009."""
        super().onMessageFrameBegin(length)
        if self.message_data_total_length > self.factory.settings.max_message_bytes:
            self.refuse(f"websocket.JSON.Receive error: more than {self.factory.settings.max_message_bytes} bytes", "frame")

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
            self.refuse("websocket.JSON.Receive error: binary frame", "frame")
            return
        if self.room and not self._busy and (relay := self.factory.relay) is not None:
            text = messages.said(payload)
            if text and relay(self.room, self.client, text):
                return  # the short way, which most go while a call is set up
        size = len(payload) + FRAME_BYTES
        if self.factory.waiting_bytes + size > MAX_WAITING_TOTAL_BYTES:
            self.refuse("Too much waits to be handled; try again later", "frame")
            return
        if not self._frames:
            self._frames = deque()
        self._frames.append(payload)
        self._waiting_bytes += size
        self.factory.waiting_bytes += size
        if not self._busy:
            self._busy = True
            self._start(self._work())
        elif self._waiting_bytes > MAX_WAITING_BYTES and not self._held:
            self._held = True
            self.transport.pauseProducing()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The connection is over, for whatever reason; also called for handshakes that never became one."""
        self._ended = True
        self._forget()
        self._stop_deadline()
        if self not in self.factory.sockets:
            return
        self.factory.discard(self)
        if self.room:
            if debugging():
                self._log.debug("socket_lost tag={tag} code={code}", tag=self.tag, code=code or "-")
            self._start(self._lose())

    def deliver(self, text: str) -> None:
        """Send a peer's message (`rtcd.rooms.outcome.Socket`)."""
        if self._ended:
            return
        payload = messages.message(text)
        if not self._paused and self.state == self.STATE_OPEN and not self.send_queue:
            self._write(text_frame(payload))
        elif not self._say(payload):
            return
        self.factory.delivered.value += 1

    def inform(self, text: str) -> None:
        """Send an event of the room (`rtcd.rooms.outcome.Socket`)."""
        if self._ended:
            return
        if self._say(messages.event(text)):
            self.factory.informed.value += 1

    def onPing(self, payload: bytes) -> None:
        """Answer, unless the client does not read its answers."""
        if self._room_for(len(payload)):
            self.sendPong(payload)

    def close(self) -> None:
        """Close, after what was delivered (`rtcd.rooms.outcome.Socket`)."""
        self._ended = True
        self._forget()
        self._stop_deadline()
        self.sendClose(NORMAL_CLOSURE)
        self._read_on()  # for its goodbye

    def refuse(self, text: str, kind: str) -> None:
        """Send an error frame, then close. ``kind``: which of `rtcd.signaling.factory.REFUSALS` it is."""
        if self._ended:
            return
        self.factory.refused[kind].value += 1
        self._log.debug("socket_refused tag={tag} kind={kind} reason={reason}", tag=self.tag, kind=kind, reason=text)
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

    def _say(self, payload: bytes) -> bool:
        """Write a message; False if it goes nowhere."""
        if self._paused and not self._room_for(len(payload)):
            return False
        if self.state != self.STATE_OPEN:
            return False  # it has said goodbye and listens no more
        if self.send_queue:
            self.sendMessage(payload)
        else:
            self._write(text_frame(payload))
        return True

    def _room_for(self, size: int) -> bool:
        """Whether so many bytes more may wait for the client; one that lets too much pile up is dropped."""
        if not self._paused:
            return True
        self._backlog_bytes += size
        if self._backlog_bytes <= self.factory.settings.max_backlog_bytes:
            return True
        if self.state != self.STATE_CLOSED:
            self.factory.dropped.value += 1
            self._log.debug("socket_dropped tag={tag} reason={reason}", tag=self.tag, reason="does-not-read")
            self._ended = True
            self.dropConnection(abort=True)
        return False

    async def _work(self) -> None:
        try:
            while self._frames and not self._ended:
                data = self._frames.popleft()
                try:
                    await self._handle(data)
                finally:
                    self._handled(len(data) + FRAME_BYTES)
                if self._waiting_bytes <= MAX_WAITING_BYTES // 2 and not self._ended:
                    self._read_on()
        finally:
            self._busy = False

    def _handled(self, size: int) -> None:
        self._waiting_bytes -= size
        self.factory.waiting_bytes -= size

    def _forget(self) -> None:
        """What waits is not handled any more; what is being handled goes on."""
        self._handled(sum(len(one) + FRAME_BYTES for one in self._frames))
        self._frames = _NO_FRAMES

    def _read_on(self) -> None:
        """Read from the socket again if we had stopped; the answer to a ping may be among what was not read meanwhile."""
        if self._held:
            self._held = False
            self.transport.resumeProducing()
            if self.autoPingTimeoutCall is not None:
                self.autoPingTimeoutCall.cancel()
                self._await_pong()

    def onAutoPingTimeout(self) -> None:
        """No answer to a ping came: the client has gone, unless it is we who do not read."""
        if self._held:
            self._await_pong()
        else:
            super().onAutoPingTimeout()

    def _await_pong(self) -> None:
        self.autoPingTimeoutCall = self.factory.reactor.callLater(self.autoPingTimeout, self.onAutoPingTimeout)

    async def _handle(self, data: bytes) -> None:
        try:
            frame = messages.parse(data)
        except ValueError as error:
            self.refuse(str(error), "frame")
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
            self.refuse("Duplicated register request", "register")
            return
        if not self.factory.registrations.allow(self._address, self.factory.reactor.seconds()):
            self.refuse("Too many registrations from this address; try again later", "rate")
            return
        limits, address, required = self.factory.rooms.limits, self._address, self.factory.settings.require_join
        self.room, self.client, self.tag = frame.room, frame.client, self.factory.tag(frame.room, frame.client)
        self._stop_deadline()  # it has come in time, however long the store takes
        try:
            refused = await self._said(
                lambda one, now: switchboard.register(one, now, limits, frame.client, address, require_join=required), self)
        except (StoreFull, StoreUnavailable) as fault:
            refused = switchboard.Refused(str(fault))
        if refused is None:
            self.factory.registered_total.value += 1
            if debugging():
                self._log.debug("socket_registered tag={tag}", tag=self.tag)
            if self not in self.factory.sockets:  # it ended while the store was asked
                await self._lose()
        else:
            self.room = self.client = ""
            self.refuse(refused.text, "register")

    async def _lose(self) -> None:
        """The connection is over: unless another has taken its place, its client is lost."""
        rooms, client, limits = self.factory.rooms, self.client, self.factory.rooms.limits
        if rooms.detach(self.room, client, self):
            await rooms.update(self.room, lambda one, now: switchboard.lost(one, now, limits, client), None, client)

    async def _send(self, text: str) -> None:
        if not self.room:
            self.refuse(switchboard.NOT_REGISTERED.text, "message")
            return
        limits, client = self.factory.rooms.limits, self.client
        try:
            refused = await self._said(lambda one, now: switchboard.send(one, now, limits, client, text))
        except (StoreFull, StoreUnavailable) as fault:
            refused = switchboard.Refused(str(fault))
        if refused is not None:
            self.refuse(refused.text, "message")

    async def _said(self, change: Change[T], *socket: SignalingProtocol) -> T:
        """Apply what a client has said. While the store is away it waits, and what comes behind it waits as well: a phone
        app that is refused ends its call, which needs nothing of us."""
        last = self.factory.reactor.seconds() + PATIENCE_S
        while True:
            try:
                refused: T = await self.factory.rooms.update(self.room, change, *socket)
            except StoreAway:
                if self._ended or self.factory.reactor.seconds() >= last:
                    raise
                await deferLater(self.factory.reactor, AGAIN_S)
                if self._ended:  # the client may have said more by another socket since
                    raise
            else:
                return refused

    async def _command(self, asked: mesh.Command) -> None:
        limits, client, salt = self.factory.rooms.limits, self.client, secrets.token_bytes(SALT_BYTES)
        try:
            refused: switchboard.Refused | mesh.Refusal | None = await self._said(
                lambda one, now: switchboard.command(one, now, limits, client, asked, salt))
        except StoreFull:
            refused = mesh.Refusal(asked.cmd, "full")
        except StoreUnavailable as fault:
            refused = switchboard.Refused(str(fault))
        if isinstance(refused, switchboard.Refused):
            self.refuse(refused.text, "command")
        elif refused is not None and refused.why == "app":
            self._unknown()
        elif refused is not None and not self._ended:
            self.factory.refused["command"].value += 1
            self._say(messages.event(event("refused", cmd=refused.cmd, why=refused.why)))

    def _unknown(self) -> None:
        """Say that there is no such command, at least not for this client; the connection stays open."""
        if not self._ended:
            self.factory.refused["command"].value += 1
            self._say(messages.error(messages.UNKNOWN.text))

    def _too_late(self) -> None:
        self._deadline = None
        self.refuse("Not registered in time", "timeout")

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _start(self, work: Coroutine[Deferred[Any], Any, Any]) -> None:
        promptly(work, _nothing, self._broken)

    def _broken(self, failure: Failure) -> None:
        if failure.check(StoreUnavailable):
            self._log.debug("socket_without_store tag={tag}", tag=self.tag)
            return
        self._log.failure("a signalling frame broke its connection", failure)
        self.dropConnection(abort=True)


def _nothing(_: object) -> None:
    """All was done already."""
