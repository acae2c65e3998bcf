"""The HTTP half of Collider's protocol: POST and DELETE for clients without a socket, the status, and the upgrade."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rtcd.promptly import promptly
from rtcd.rooms.outcome import StoreFull, StoreUnavailable
from rtcd.rooms.records import MAX_NAME_CHARS
from rtcd.signaling import switchboard
from rtcd.signaling.factory import SignalingFactory


class UpgradeResource(Resource):
    """Hands WebSocket upgrades to Autobahn; a plain GET is answered 400, as Collider does."""

    isLeaf = True

    def __init__(self, factory: SignalingFactory) -> None:
        super().__init__()
        self._factory = factory
        self._websocket = WebSocketResource(factory)

    def take_over(self, channel: Any, data: bytes) -> None:
        """Hand a connection over with the handshake that has come by it (see `rtcd.site.short`)."""
        transport, channel.transport = channel.transport, None
        protocol: Any = self._factory.buildProtocol(transport.getPeer())
        if isinstance(transport, ProtocolWrapper):
            transport.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        protocol.makeConnection(transport)
        protocol.dataReceived(data)

    def render(self, request: Request) -> Any:
        """Upgrade, or say that this is no page."""
        if request.method == b"GET" and is_upgrade(request):
            channel = request.channel
            answer = self._websocket.render(request)
            if channel.transport is None:
                channel.requests.clear()  # the two would keep each other until somebody looks for such pairs
            return answer
        request.setResponseCode(400)
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return b"This is a WebSocket; open it with wss://\n"


class StatusResource(Resource):
    """``GET /status``: what monitors of Collider read."""

    isLeaf = True

    def __init__(self, factory: SignalingFactory, errors: Errors, started_at: Callable[[], float]) -> None:
        super().__init__()
        self._factory = factory
        self._errors = errors
        self._started_at = started_at

    def render(self, request: Request) -> bytes:
        """The five figures."""
        allow_all(request)
        request.setHeader(b"content-type", b"application/json")
        status = {
            "upsec": round(self._factory.reactor.seconds() - self._started_at(), 3),
            "openws": self._factory.registered,
            "totalws": self._factory.registered_total.value,
            "wserrors": sum(one.value for one in self._factory.refused.values()),
            "httperrors": self._errors.value,
        }
        return json.dumps(status).encode()


class Errors:
    """Count of HTTP requests that were refused."""

    value = 0


class PostResource(Resource):
    """``{prefix}/{room}/{client}``: POST passes a message on, DELETE ends a client."""

    isLeaf = True
    _log = Logger()

    def __init__(
        self, factory: SignalingFactory, errors: Errors, status: StatusResource, address: Callable[[Request], str]
    ) -> None:
        """``address`` tells the network that a request comes from."""
        super().__init__()
        self._address = address
        self._factory = factory
        self._errors = errors
        self._status = status

    def render(self, request: Request) -> Any:
        """Answer one request; what is no POST or DELETE gets an empty 200."""
        if request.postpath == [b"status"]:
            return self._status.render(request)
        allow_all(request)
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        try:
            room, client = (segment.decode() for segment in request.postpath or ())
        except ValueError:
            room = client = ""
        if not room or not client or max(len(room), len(client)) > MAX_NAME_CHARS:
            return self._answer(request, 500, b"Invalid path: " + request.path[:MAX_NAME_CHARS] + b"\n")
        if request.method == b"POST":
            work = self._post(request, room, client)
        elif request.method == b"DELETE":
            work = self._delete(room, client)
        else:
            return b""
        promptly(work, lambda answer: self._finish(request, *answer), lambda failure: self._failed(request, failure))
        return NOT_DONE_YET

    async def _post(self, request: Request, room: str, client: str) -> tuple[int, bytes]:
        settings, limits = self._factory.settings, self._factory.rooms.limits
        data = _body(request, settings.max_message_bytes + 1)
        if not data:
            return 500, b"Empty request body\n"
        if len(data) > settings.max_message_bytes:
            return 500, b"The message is too long\n"
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return 500, b"The message is not UTF-8\n"
        address = self._address(request)
        if not settings.require_join and not self._factory.registrations.allow(address, self._factory.reactor.seconds()):
            return 500, b"Too many messages from this address; try again later\n"
        refused = await self._factory.rooms.update(room, lambda one, now: switchboard.post(
            one, now, limits, client, text, address, require_join=settings.require_join))
        return (500, f"{refused.text}\n".encode()) if refused else (200, b"OK\n")

    async def _delete(self, room: str, client: str) -> tuple[int, bytes]:
        await self._factory.rooms.update(room, lambda one, now: switchboard.delete(one, now, client))
        return 200, b"OK\n"

    def _finish(self, request: Request, code: int, body: bytes) -> None:
        if not request._disconnected:
            request.write(self._answer(request, code, body))
            request.finish()

    def _failed(self, request: Request, failure: Failure) -> None:
        if failure.check(StoreFull, StoreUnavailable):
            self._finish(request, 500, f"{failure.value}\n".encode())
            return
        self._log.failure("a signalling request failed", failure)
        self._finish(request, 500, b"Internal error\n")

    def _answer(self, request: Request, code: int, body: bytes) -> bytes:
        if code != 200:
            self._errors.value += 1
        request.setResponseCode(code)
        return body


def allow_all(request: Request) -> None:
    """Let pages of any origin read the answer: the room server of a Collider is another site."""
    request.setHeader(b"access-control-allow-origin", b"*")
    request.setHeader(b"access-control-allow-methods", b"POST, DELETE")


def _body(request: Request, size: int) -> bytes:
    return b"" if request.content is None else bytes(request.content.read(size))


def is_upgrade(request: Request) -> bool:
    """Whether an HTTP request asks for a WebSocket; its headers' case is free."""
    upgrade = request.requestHeaders.getRawHeaders(b"upgrade", [])
    return any(value.strip().lower() == b"websocket" for value in upgrade)
