"""The room server's HTTP: ``/join``, ``/message``, ``/leave``, ``/params`` and ``/a/``.

A resource reads a request, asks the room store, and writes JSON; the answers' content is ``parameters``' business.
Bodies are raw bytes whatever their type says: phone apps label JSON as text and as a form.
"""

from __future__ import annotations

import functools
import json
import math
import re
import secrets
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rtcd.bucket import Buckets, network
from rtcd.context import Context
from rtcd.front.origin import Base
from rtcd.ice.tags import Tag
from rtcd.log import debugging
from rtcd.promptly import promptly
from rtcd.rooms import mesh
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import MAX_BODY_BYTES, Declaration, declared
from rtcd.rooms.invitation import PURPOSE, Shown, examine
from rtcd.rooms.outcome import StoreFull, StoreUnavailable
from rtcd.rooms.records import MAX_NAME_CHARS
from rtcd.rooms.room import Joined
from rtcd.site.lean import LeanRequest
from rtcd.web.parameters import DESK, Seat, Site, Usual, arguments, on_a_desk, parameters
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

JOIN_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper ends of the buckets of the time that a join takes: with rooms in memory a millisecond, elsewhere a few."""

RESULTS = ("success", "full", "locked", "password", "duplicate", "guesses", "rate", "unavailable", "refused")
"""What a join comes to, as it is counted; ``guesses`` and ``rate`` are answers 429, ``unavailable`` is 503."""

CACHED_SITES = 256
"""What is told of us is remembered by where a client sees us: the same for nearly all."""

Answer = tuple[int, Any]
"""A status, and what to send as JSON: bytes are JSON already, None is an empty body."""

_LINES = b"Content-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\nCache-Control: no-store\r\n"
"""The headers of an answer, as they are written."""


class Rooms:
    """What the resources share: the context, the settings in force, and the buckets of addresses."""

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.store: Any = context.rooms
        self.joins = {
            result: context.metrics.counter("web", "joins", "Requests to join a room, by result.", result=result)
            for result in RESULTS
        }
        self.join_seconds = context.metrics.histogram(
            "web", "join_seconds", "From a request to join to its answer.", JOIN_BUCKETS_S)
        self.refused = context.metrics.counter("web", "refused", "Joins and messages refused.")
        self.events = context.metrics.counter("web", "events", "Analytics events taken.")
        self.buckets = Buckets(settings.join_rate, settings.join_rate * 10)
        self.guesses = Buckets(GUESSES_PER_S, GUESSES_AT_ONCE)
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Go by these settings from now on (a reload)."""
        self.settings = settings
        self._site = functools.lru_cache(CACHED_SITES)(self._site_at)
        self._usual = functools.lru_cache(CACHED_SITES)(self._usual_at)
        if self.buckets.rate != settings.join_rate:
            self.buckets = Buckets(settings.join_rate, settings.join_rate * 10)

    def allow(self, request: Request) -> bool:
        """Whether this address may try another room now."""
        return self.may_try(self.address(request))

    def may_try(self, address: str) -> bool:
        """The same."""
        return self.buckets.allow(address, self.context.reactor.seconds())

    def tag(self, room: str, client: str) -> Tag:
        """What a client is called in the log."""
        return Tag(self.context.credentials, room, client)

    def address(self, request: Request) -> str:
        """The network of the client, which limits count."""
        return network(self.context.doorway.client_host(request))

    def site(self, request: Request) -> Site:
        """Where we are for the client of this request."""
        return self._site(*self._place(request))

    def usual(self, request: Request) -> Usual:
        """What is answered to this client if there is nothing special about its link."""
        return self._usual(on_a_desk(request.getHeader("user-agent") or ""), *self._place(request))

    def _place(self, request: Request) -> tuple[Base, str | None, str | None, str | None]:
        door = self.context.doorway
        path = door.directory.path
        return door.base(request), path("wss"), path("wss-post"), path("iceconfig")

    def _usual_at(self, desk: bool, base: Base, wss: str | None, post: str | None, ice: str | None) -> Usual:
        return Usual(self._site(base, wss, post, ice), DESK if desk else "")

    def _site_at(self, base: Base, wss: str | None, post: str | None, ice: str | None) -> Site:
        settings, url = self.settings, base.url
        return Site(
            url,
            "ws" + url.removeprefix("http") + (wss or ""),
            url + (post or ""),
            settings.ice_server_url or (url + ice if ice else ""),
            settings.header_message,
            settings.bypass_join_confirmation,
            settings.allowed_ice,
            own_ice=not settings.ice_server_url,
            prefix=base.prefix,
        )


class Action(Resource):
    """A leaf whose path below it is ``names`` names; subclasses answer in `act`."""

    isLeaf = True
    lean = False
    """Whether it asks no more of a request than `rtcd.site.lean.LeanRequest` can do."""
    names = 0
    methods: tuple[bytes, ...] = (b"POST",)
    _log = Logger()

    def __init__(self, rooms: Rooms) -> None:
        super().__init__()
        self.rooms = rooms

    async def act(self, request: Request, *names: str) -> Answer:
        """Answer a request."""
        raise TypeError("a subclass says what to do")

    def render(self, request: Request) -> Any:
        """Check method and path, then act."""
        names = [segment.decode("latin-1") for segment in request.postpath or ()]
        if self.names == 0 and names == [""]:
            names = []
        if len(names) != self.names or not all(map(NAME.fullmatch, names)):
            return self._write(request, 404, {"result": "ERROR", "error": "There is nothing at this address."})
        if request.method == b"HEAD" and b"GET" not in self.methods:
            request.setHeader(b"Allow", b", ".join(self.methods))
            request.setResponseCode(405)
            return b""
        if request.method not in self.methods:
            request.setHeader(b"Allow", b", ".join(self.methods))
            return self._write(request, 405, {"result": "ERROR", "error": "Use POST."})
        promptly(self.act(request, *names), functools.partial(self._finish, request),
                 functools.partial(self._failed, request))
        return NOT_DONE_YET

    def _finish(self, request: Request | LeanRequest, answer: Answer) -> None:
        if request._disconnected:
            return
        if isinstance(request, LeanRequest):
            body = _encoded(answer[1])
            request.reply(answer[0], _LINES % len(body), body)
            return
        request.write(self._write(request, *answer))
        request.finish()

    def _failed(self, request: Request, failure: Failure) -> None:
        if failure.check(StoreFull, StoreUnavailable):
            self.rooms.refused.value += 1
            request.setHeader(b"Retry-After", b"10")
            self._finish(request, (503, _error(str(failure.value))))
            return
        self._log.failure("a request failed", failure)
        self._finish(request, (500, _error("The server failed; its log says why.")))

    def _write(self, request: Request, code: int, answer: Any) -> bytes:
        body = _encoded(answer)
        request.setResponseCode(code)
        request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
        request.setHeader(b"Content-Length", str(len(body)).encode())
        request.setHeader(b"Cache-Control", b"no-store")
        return body


def _encoded(answer: Any) -> bytes:
    if type(answer) is bytes:
        return answer
    return b"" if answer is None else json.dumps(answer).encode()


class Join(Action):
    """``POST /join/{room}``: a page of ours says in the body what it is, every other client is an app."""

    lean = True
    names = 1

    async def act(self, request: Request, *names: str) -> Answer:
        """Seat a client, or say why not."""
        clock = self.rooms.context.reactor
        began_at = clock.seconds()
        try:
            return await self._join(request, names[0])
        except (StoreFull, StoreUnavailable):
            self.rooms.joins["unavailable"].value += 1
            raise
        finally:
            self.rooms.join_seconds.observe(clock.seconds() - began_at)

    async def _join(self, request: Request, name: str) -> Answer:
        address = self.rooms.address(request)
        if not self.rooms.may_try(address):
            self.rooms.refused.value += 1
            self.rooms.joins["rate"].value += 1
            request.setHeader(b"Retry-After", b"10")
            return 429, _error("Too many joins from this address; try again in a few seconds.")
        args = arguments(request.args)
        client = secrets.token_hex(CLIENT_ID_BYTES)
        loopback, limits = args.get("debug") == "loopback", self.rooms.store.limits
        page = None if loopback else declared(body_of(request, MAX_BODY_BYTES + 1))
        shown = self._shown(name, args.get("invitation", ""))
        if page is not None:
            joined = await self._page(name, client, address, page, shown)
        else:
            joined = await self.rooms.store.update(name, lambda one, now: rooms.join(
                one, now, limits, client, address, loopback=loopback, invited=shown == "good"))
        self.rooms.joins[_counted(joined)].value += 1
        if debugging():
            self._log.debug("join tag={tag} room={room} result={result}", tag=self.rooms.tag(name, client), room=name,
                            result=_counted(joined))
        if joined.result != "SUCCESS":
            self.rooms.refused.value += 1
            return self._refused(request, joined)
        seat = Seat(client, joined.is_initiator, joined.messages)
        if not args and not joined.relay_only and joined.snapshot is None:
            return 200, self.rooms.usual(request).joined(name, seat)
        agent = request.getHeader("user-agent") or ""
        if joined.relay_only:
            args["it"] = "relay"
        params = parameters(args, self.rooms.site(request), agent, name, seat)
        room = {} if joined.snapshot is None else {"room": joined.snapshot}
        return 200, {"result": "SUCCESS", "params": params, **room}

    def _shown(self, name: str, invitation: str) -> Shown:
        """What the invitation that came with the link is worth."""
        context = self.rooms.context
        return examine(context.credentials.keys(PURPOSE), name, invitation, context.reactor.seconds()) if invitation else ""

    async def _page(self, name: str, client: str, address: str, page: Declaration, shown: Shown) -> Joined:
        """A guess is paid for before it is tried, and given back if it was none or right."""
        limits, clock = self.rooms.store.limits, self.rooms.context.reactor
        may_guess = not page.password or self.rooms.guesses.allow(address, clock.seconds())
        joined: Joined = await self.rooms.store.update(
            name, lambda one, now: mesh.join(one, now, limits, client, address, page, may_guess=may_guess, shown=shown))
        if page.password and may_guess and joined != mesh.WRONG_PASSWORD:
            self.rooms.guesses.give_back(address)
        return joined

    def _refused(self, request: Request, joined: Joined) -> Answer:
        if joined == mesh.NO_MORE_GUESSES:
            request.setHeader(b"Retry-After", b"10")
            return 429, _error("Too many wrong passwords from this address; try again later.")
        answer: dict[str, Any] = {"result": joined.result, "params": {"messages": []}}
        if joined.reason:
            answer["reason"] = joined.reason
        if joined.reason == "full":
            answer["capacity"] = joined.capacity or self.rooms.store.limits.capacity
        return 200, answer


def _counted(joined: Joined) -> str:
    """What a join is counted as."""
    if joined.result == "SUCCESS":
        return "success"
    if joined == mesh.NO_MORE_GUESSES:
        return "guesses"
    word = joined.result.lower().removesuffix("_client")
    return word if word in RESULTS else "refused"


class Message(Action):
    """``POST /message/{room}/{client}``"""

    lean = True
    names = 2

    async def act(self, request: Request, *names: str) -> Answer:
        """Keep the message or pass it on."""
        name, client = names
        data = body_of(request, self.rooms.settings.max_message_bytes + 1)
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
                request.setHeader(b"Retry-After", b"10")
                return 429, {"result": "ERROR"}
        return 200, {"result": result}


class Leave(Action):
    """``POST /leave/{room}/{client}``: 200 and an empty body, always."""

    lean = True
    names = 2

    async def act(self, request: Request, *names: str) -> Answer:
        """Free the seat, if there is one."""
        name, client = names
        limits = self.rooms.store.limits
        if debugging():
            self._log.debug("leave tag={tag} room={room}", tag=self.rooms.tag(name, client), room=name)
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
            event = json.loads(body_of(request, MAX_EVENT_BYTES), parse_constant=_no_number)
        except (ValueError, RecursionError):
            event = None
        if not _is_event(event):
            return 200, {"result": "INVALID_REQUEST"}
        self.rooms.events.value += 1
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


def body_of(request: Request, size: int) -> bytes:
    """The first so many bytes of what a request brought."""
    return b"" if request.content is None else bytes(request.content.read(size))
