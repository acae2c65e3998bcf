"""``POST /v1alpha/iceconfig`` and the older ``/turn``: which STUN and TURN servers to use, and as whom.

With ``room=`` and ``client=`` the credential belongs to that client, as long as it is in that room; who knows the name
of a client is that client.

The URLs come from what this daemon is listening on and the host by which the client reached it, so they cannot name
a port that nobody serves; where ``servers`` names other nodes, they come from rtcd.ice.pool. Origin and Referer are not
looked at: the phone apps always claim another site's.
"""

from __future__ import annotations

import hmac
import json
import secrets
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rtcd.bucket import Buckets, network
from rtcd.context import Context
from rtcd.doorway.switch import STUN_ALPN
from rtcd.ice.pool import Pool
from rtcd.ice.settings import Settings
from rtcd.ice.urls import order, turn_url
from rtcd.rooms.outcome import StoreUnavailable
from rtcd.rooms.records import MAX_NAME_CHARS
from rtcd.rooms.room import is_seated

USER_BYTES = 8
"""Random bytes of the user part of a name that is bound to no room: one user a request."""


class IceServers:
    """Which servers to name, and to whom; both resources ask it."""

    _log = Logger()

    def __init__(self, context: Context, settings: Settings, pool: Pool) -> None:
        self.context = context
        self.pool = pool
        self.issued = context.metrics.counter("ice", "issued", "Credentials handed out.")
        self._refused = {
            reason: context.metrics.counter("ice", "refused", "Requests for credentials that were refused.", reason=reason)
            for reason in ("key", "rate", "room", "store")
        }
        self.buckets = Buckets(settings.rate, settings.rate * 10)
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Go by these settings from now on (a reload)."""
        self.settings = settings
        if self.buckets.rate != settings.rate:
            self.buckets = Buckets(settings.rate, settings.rate * 10)

    def urls(self, request: IRequest, room: str = "", user: str = "") -> tuple[list[str], list[str]]:
        """TURN and STUN URLs in the order in which clients should try them. ``room``: a tag of the client's room, whose
        clients are given the same nodes; without one, those of a network are. ``user``: the request is made for somebody
        else, who may be anywhere."""
        door = self.context.doorway
        if self.settings.servers:
            host = "" if user else door.client_host(request)
            return self.pool.urls(host, room or user or network(host))
        host = self.settings.host or door.base(request).authority.bracketed
        listeners = list(door.directory.listeners("turn"))
        shared = door.stream_ports(request, STUN_ALPN, elsewhere=self.settings.host is not None)
        places = order([(one.transport, one.port) for one in listeners if one.last_port is None],
                       {one.port for one in door.directory.listeners("web") if one.transport == "tls"}, shared)
        relaying = any(one.transport == "udp" and one.last_port is not None for one in listeners)
        turn = [turn_url(host, transport, port) for transport, port in places]
        stun = [one.port for one in listeners if one.transport == "udp" and one.last_port is None and one.stun]
        return (turn if relaying else []), [f"stun:{host}:{port}" for port in stun[:1]]

    async def grant(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Status and facts of an answer: ``turn``, ``stun``, ``credential``; or why not."""
        now = self.context.reactor.seconds()
        if self.settings.api_key is not None:
            given = request.args.get(b"key", [b""])[0]
            if not hmac.compare_digest(given, self.settings.api_key.encode()):
                self._refused["key"].value += 1
                return 403, {"error": "The key is missing or wrong."}
        if not self.buckets.allow(network(self.context.doorway.client_host(request)), now):
            self._refused["rate"].value += 1
            request.setHeader(b"retry-after", b"10")
            return 429, {"error": "Too many requests from this address; try again in a few seconds."}
        try:
            user = await self._user(request)
        except StoreUnavailable as fault:
            self._refused["store"].value += 1
            request.setHeader(b"retry-after", b"10")
            return 503, {"error": str(fault)}
        if user is None:
            self._refused["room"].value += 1
            return 403, {"error": "Join a room first: room= and client= must name a client that is in that room."}
        turn, stun = self.urls(request, user.partition("-")[0] if b"room" in request.args else "")
        self.issued.value += 1
        self._log.debug("credential_issued tag={tag}", tag=user)
        return 200, {"turn": turn, "stun": stun, "credential": self.context.credentials.issue(user, now)}

    async def _user(self, request: Request) -> str | None:
        """Whom a name is made out to, or None for a client that is in no room."""
        args: dict[bytes, list[bytes]] = request.args
        if b"room" not in args and b"client" not in args:
            return None if self.settings.require_room else secrets.token_hex(USER_BYTES)
        try:
            room, client = (args.get(name, [b""])[0].decode() for name in (b"room", b"client"))
        except UnicodeDecodeError:
            return None
        if not room or not client or max(len(room), len(client)) > MAX_NAME_CHARS:
            return None
        store: Any = self.context.rooms
        if not await store.update(room, lambda one, now: is_seated(one, now, client)):
            return None
        return self.context.credentials.users_of(room, client)[0]

    def cross_origin(self, request: Request) -> None:
        """Let the pages of named origins read the answer."""
        origin = request.getHeader("origin")
        if origin and origin in self.settings.allowed_origins:
            request.setHeader(b"access-control-allow-origin", origin.encode())
            request.setHeader(b"access-control-allow-methods", b"POST")
            request.setHeader(b"vary", b"Origin")


class Granting(Resource):
    """A leaf that answers with a credential, in a shape that a subclass says."""

    isLeaf = True
    _log = Logger()

    def __init__(self, servers: IceServers) -> None:
        super().__init__()
        self.servers = servers

    def shape(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The answer."""
        raise TypeError("a subclass says what it looks like")

    def grant(self, request: Request) -> Any:
        """Answer when the rooms have been asked."""
        self.servers.cross_origin(request)
        Deferred.fromCoroutine(self.servers.grant(request)).addCallbacks(
            lambda granted: self._finish(request, *granted), lambda failure: self._failed(request, failure))
        return NOT_DONE_YET

    def _failed(self, request: Request, failure: Failure) -> None:
        self._log.failure("no credential could be made", failure)
        self._finish(request, 500, {"error": "The server failed; its log says why."})

    def _finish(self, request: Request, code: int, facts: dict[str, Any]) -> None:
        if not request._disconnected:
            request.write(_json(request, code, self.shape(facts) if code == 200 else facts))
            request.finish()


class IceConfig(Granting):
    """``POST /v1alpha/iceconfig?key=K&room=R&client=C``"""

    def render_HEAD(self, request: Request) -> bytes:
        """POST only, as every client knows it."""
        request.setResponseCode(405)
        request.setHeader(b"allow", b"POST")
        return b""

    def render_OPTIONS(self, request: Request) -> bytes:
        """A browser asks before a cross-origin request."""
        self.servers.cross_origin(request)
        return b""

    def render_POST(self, request: Request) -> Any:
        """The servers."""
        return self.grant(request)

    def shape(self, facts: dict[str, Any]) -> dict[str, Any]:
        """An entry without URLs is left out, since the iOS app dies of one."""
        entries: list[dict[str, Any]] = []
        credential = facts["credential"]
        if facts["turn"]:
            entries.append(
                {"urls": facts["turn"], "username": credential.username, "credential": credential.password})
        if facts["stun"]:
            entries.append({"urls": facts["stun"]})
        lifetime = self.servers.context.credentials.lifetime_s
        return {"lifetimeDuration": f"{lifetime}.000s", "iceServers": entries}


class TurnRest(Granting):
    """``GET`` or ``POST /turn``: the shape of draft-uberti-behave-turn-rest-00 §2.2."""

    def render_GET(self, request: Request) -> Any:
        """One credential for all URIs."""
        return self.grant(request)

    def shape(self, facts: dict[str, Any]) -> dict[str, Any]:
        """All that is known in one object."""
        credential = facts["credential"]
        return {
            "username": credential.username, "password": credential.password,
            "ttl": self.servers.context.credentials.lifetime_s, "uris": facts["turn"],
        }

    render_POST = render_GET


def _json(request: Request, code: int, answer: dict[str, Any]) -> bytes:
    request.setResponseCode(code)
    request.setHeader(b"content-type", b"application/json; charset=utf-8")
    request.setHeader(b"cache-control", b"no-store")
    body = json.dumps(answer).encode()
    request.setHeader(b"content-length", str(len(body)).encode())
    return body
