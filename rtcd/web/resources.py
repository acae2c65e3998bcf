"""The room server's HTTP: ``/join``, ``/message``, ``/leave``, ``/params`` and ``/a/``.

A resource reads a request, asks the room store, and writes JSON; the answers' content is ``parameters``' business.
Bodies are raw bytes whatever their type says: phone apps label JSON as text and as a form.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rtcd.bucket import Buckets, network
from rtcd.context import Context
from rtcd.rooms import mesh
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import MAX_BODY_BYTES, Declaration, declared
from rtcd.rooms.outcome import StoreFull, StoreUnavailable
from rtcd.rooms.records import MAX_NAME_CHARS
from rtcd.rooms.room import Joined
from rtcd.web.parameters import Seat, Site, arguments, parameters
from rtcd.web.settings import Settings

NAME = re.compile(rf"[a-zA-Z0-9_-]{{1,{MAX_NAME_CHARS}}}")
"""A room or client name, over the whole path segment."""

CLIENT_ID_BYTES = 10
"""Random bytes of a client's name: whoever knows it may act as that client."""

MAX_EVENT_BYTES = 16384
"""Longest analytics event."""

GUESSES_PER_S = 0.1
"""Wrong passwords of rooms that one address may try in the long run."""

GUESSES_AT_ONCE = 10
"""And so many in a row: people mistype."""

Answer = tuple[int, Any]


class Rooms:
    """What the resources share: the context, the settings in force, and the buckets of addresses."""

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.store: Any = context.rooms
        self.joins = context.metrics.counter("web", "joins", "Seats given.")
        self.refused = context.metrics.counter("web", "refused", "Joins and messages refused.")
        self.buckets = Buckets(settings.join_rate, settings.join_rate * 10)
        self.guesses = Buckets(GUESSES_PER_S, GUESSES_AT_ONCE)
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Go by these settings from now on (a reload)."""
        self.settings = settings
        if self.buckets.rate != settings.join_rate:
            self.buckets = Buckets(settings.join_rate, settings.join_rate * 10)

    def allow(self, request: Request) -> bool:
        """Whether this address may try another room now."""
        return self.buckets.allow(self.address(request), self.context.reactor.seconds())

    def address(self, request: Request) -> str:
        """The network of the client, which limits count."""
        return network(self.context.doorway.client_host(request))

    def site(self, request: Request) -> Site:
        """Where we are for the client of this request."""
        door, settings = self.context.doorway, self.settings
        base = door.base(request)
        wss, post, ice = (door.directory.path(name) for name in ("wss", "wss-post", "iceconfig"))
        return Site(
            base.url,
            "ws" + base.url.removeprefix("http") + (wss or ""),
            base.url + (post or ""),
            settings.ice_server_url or (base.url + ice if ice else ""),
            settings.header_message,
            settings.bypass_join_confirmation,
            settings.allowed_ice,
            own_ice=not settings.ice_server_url,
            prefix=base.prefix,
        )


class Action(Resource):
    """A leaf whose path below it is ``names`` names; subclasses answer in `act`."""

    isLeaf = True
    names = 0
    methods: tuple[bytes, ...] = (b"POST",)
    _log = Logger()

    def __init__(self, rooms: Rooms) -> None:
        super().__init__()
        self.rooms = rooms

    async def act(self, request: Request, *names: str) -> Answer:
        """Answer a request: a status and what to send as JSON (None: an empty body)."""
        raise TypeError("a subclass says what to do")

    def render(self, request: Request) -> Any:
        """Check method and path, then act."""
        names = [segment.decode("latin-1") for segment in request.postpath or ()]
        if self.names == 0 and names == [""]:
            names = []
        if len(names) != self.names or not all(map(NAME.fullmatch, names)):
            return self._write(request, 404, {"result": "ERROR", "error": "There is nothing at this address."})
        if request.method == b"HEAD" and b"GET" not in self.methods:
            request.setHeader(b"allow", b", ".join(self.methods))
            request.setResponseCode(405)
            return b""
        if request.method not in self.methods:
            request.setHeader(b"allow", b", ".join(self.methods))
            return self._write(request, 405, {"result": "ERROR", "error": "Use POST."})
        Deferred.fromCoroutine(self.act(request, *names)).addCallbacks(
            lambda answer: self._finish(request, answer), lambda failure: self._failed(request, failure))
        return NOT_DONE_YET

    def _finish(self, request: Request, answer: Answer) -> None:
        if not request._disconnected:
            request.write(self._write(request, *answer))
            request.finish()

    def _failed(self, request: Request, failure: Failure) -> None:
        if failure.check(StoreFull, StoreUnavailable):
            self.rooms.refused.value += 1
            request.setHeader(b"retry-after", b"10")
            self._finish(request, (503, _error(str(failure.value))))
            return
        self._log.failure("a request failed", failure)
        self._finish(request, (500, _error("The server failed; its log says why.")))

    def _write(self, request: Request, code: int, answer: Any) -> bytes:
        body = b"" if answer is None else json.dumps(answer).encode()
        request.setResponseCode(code)
        request.setHeader(b"content-type", b"application/json; charset=utf-8")
        request.setHeader(b"content-length", str(len(body)).encode())
        request.setHeader(b"cache-control", b"no-store")
        return body


class Join(Action):
    """``POST /join/{room}``: a page of ours says in the body what it is, every other client is an app."""

    names = 1

    async def act(self, request: Request, *names: str) -> Answer:
        """Seat a client, or say why not."""
        name = names[0]
        if not self.rooms.allow(request):
            self.rooms.refused.value += 1
            request.setHeader(b"retry-after", b"10")
            return 429, _error("Too many joins from this address; try again in a few seconds.")
        args = arguments(request.args)
        client, address = secrets.token_hex(CLIENT_ID_BYTES), self.rooms.address(request)
        loopback, limits = args.get("debug") == "loopback", self.rooms.store.limits
        page = None if loopback else declared(_body(request, MAX_BODY_BYTES + 1))
        if page is not None:
            joined = await self._page(name, client, address, page)
        else:
            joined = await self.rooms.store.update(
                name, lambda one, now: rooms.join(one, now, limits, client, address, loopback=loopback))
        if joined.result != "SUCCESS":
            self.rooms.refused.value += 1
            return self._refused(request, joined)
        self.rooms.joins.value += 1
        seat = Seat(client, joined.is_initiator, joined.messages)
        agent = request.getHeader("user-agent") or ""
        params = parameters(args, self.rooms.site(request), agent, name, seat)
        room = {} if joined.snapshot is None else {"room": joined.snapshot}
        return 200, {"result": "SUCCESS", "params": params, **room}

    async def _page(self, name: str, client: str, address: str, page: Declaration) -> Joined:
        """A guess is paid for before it is tried, and given back if it was none or right."""
        limits, clock = self.rooms.store.limits, self.rooms.context.reactor
        may_guess = not page.password or self.rooms.guesses.allow(address, clock.seconds())
        joined: Joined = await self.rooms.store.update(
            name, lambda one, now: mesh.join(one, now, limits, client, address, page, may_guess=may_guess))
        if page.password and may_guess and joined != mesh.WRONG_PASSWORD:
            self.rooms.guesses.give_back(address)
        return joined

    def _refused(self, request: Request, joined: Joined) -> Answer:
        if joined == mesh.NO_MORE_GUESSES:
            request.setHeader(b"retry-after", b"10")
            return 429, _error("Too many wrong passwords from this address; try again later.")
        answer: dict[str, Any] = {"result": joined.result, "params": {"messages": []}}
        if joined.reason:
            answer["reason"] = joined.reason
        if joined.reason == "full":
            answer["capacity"] = self.rooms.store.limits.capacity
        return 200, answer


class Message(Action):
    """``POST /message/{room}/{client}``"""

    names = 2

    async def act(self, request: Request, *names: str) -> Answer:
        """Keep the message or pass it on."""
        name, client = names
        data = _body(request, self.rooms.settings.max_message_bytes + 1)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = ""
        if not text or len(data) > self.rooms.settings.max_message_bytes:
            self.rooms.refused.value += 1
            return 413 if text else 200, {"result": "ERROR"}
        limits = self.rooms.store.limits
        result: str = await self.rooms.store.update(
            name, lambda one, now: rooms.message(one, now, limits, client, text))
        if result != "SUCCESS":
            self.rooms.refused.value += 1
            if not self.rooms.allow(request):  # guessing at rooms and clients is slow
                request.setHeader(b"retry-after", b"10")
                return 429, {"result": "ERROR"}
        return 200, {"result": result}


class Leave(Action):
    """``POST /leave/{room}/{client}``: 200 and an empty body, always."""

    names = 2

    async def act(self, request: Request, *names: str) -> Answer:
        """Free the seat, if there is one."""
        name, client = names
        limits = self.rooms.store.limits
        await self.rooms.store.update(name, lambda one, now: rooms.leave(one, now, limits, client))
        return 200, None


class Params(Action):
    """``GET /params``: the parameters of a call that nobody has joined."""

    methods = (b"GET", b"HEAD")

    async def act(self, request: Request, *names: str) -> Answer:
        """The parameters that depend on the link and the server alone."""
        agent = request.getHeader("user-agent") or ""
        return 200, parameters(arguments(request.args), self.rooms.site(request), agent)


class Analytics(Action):
    """``POST /a/``: checked and counted, not kept."""

    async def act(self, request: Request, *names: str) -> Answer:
        """Say whether the event is well formed."""
        try:
            event = json.loads(_body(request, MAX_EVENT_BYTES), parse_constant=_no_number)
        except (ValueError, RecursionError):
            event = None
        if not _is_event(event):
            return 200, {"result": "INVALID_REQUEST"}
        self.rooms.context.metrics.counter("web", "events", "Analytics events taken.").value += 1
        return 200, {"result": "SUCCESS"}


def _is_event(found: Any) -> bool:
    if not isinstance(found, dict) or found.get("type") != "event" or not _number(found.get("request_time_ms")):
        return False
    event = found.get("event")
    if not isinstance(event, dict) or not _number(event.get("event_type")):
        return False
    flow = event.get("flow_id")
    return _number(event.get("event_time_ms")) and (flow is None or _number(flow))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _error(text: str) -> dict[str, Any]:
    return {"result": "ERROR", "error": text, "params": {"messages": []}}


def _body(request: Request, size: int) -> bytes:
    return b"" if request.content is None else bytes(request.content.read(size))
