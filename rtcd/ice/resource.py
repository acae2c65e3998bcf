"""``POST /v1alpha/iceconfig`` and the older ``/turn``: which STUN and TURN servers to use, and as whom.

The URLs come from what this daemon is listening on and the host by which the client reached it, so they cannot name
a port that nobody serves. Origin and Referer are not looked at: the phone apps always claim another site's.
"""

from __future__ import annotations

import hmac
import json
import secrets
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request

from rtcd.bucket import Buckets, network
from rtcd.context import Context
from rtcd.ice.settings import Settings

USER_BYTES = 8
"""Random bytes of the user part of a name: one user a request."""


class IceServers:
    """Which servers to name, and to whom; both resources ask it."""

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.issued = context.metrics.counter("ice", "issued", "Credentials handed out.")
        self.refused = context.metrics.counter("ice", "refused", "Requests refused by key or rate.")
        self.buckets = Buckets(settings.rate, settings.rate * 10)
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Go by these settings from now on (a reload)."""
        self.settings = settings
        if self.buckets.rate != settings.rate:
            self.buckets = Buckets(settings.rate, settings.rate * 10)

    def urls(self, request: Request) -> tuple[list[str], list[str]]:
        """TURN and STUN URLs in the order in which clients should try them."""
        if self.settings.servers:
            turn = [one for one in self.settings.servers if one.startswith("turn")]
            return turn, [one for one in self.settings.servers if one.startswith("stun")]
        host = self.settings.host or self.context.doorway.public_host(request)
        found: dict[tuple[str, int], None] = {}
        relaying = False
        for one in self.context.doorway.directory.listeners("turn"):
            if one.last_port is None:
                found[one.transport, one.port] = None
            else:
                relaying = True
        turn = [_turn_url(host, transport, port) for transport, port in sorted(found, key=_preference)]
        stun = [f"stun:{host}:{port}" for transport, port in found if transport == "udp"]
        return (turn if relaying else []), stun

    def grant(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Status and facts of an answer: ``urls``, ``stun``, ``username``, ``password``; or why not."""
        now = self.context.reactor.seconds()
        if self.settings.api_key is not None:
            given = request.args.get(b"key", [b""])[0]
            if not hmac.compare_digest(given, self.settings.api_key.encode()):
                self.refused.value += 1
                return 403, {"error": "The key is missing or wrong."}
        if not self.buckets.allow(network(self.context.doorway.client_host(request)), now):
            self.refused.value += 1
            request.setHeader(b"retry-after", b"10")
            return 429, {"error": "Too many requests from this address; try again in a few seconds."}
        turn, stun = self.urls(request)
        self.issued.value += 1
        return 200, {"turn": turn, "stun": stun,
                     "credential": self.context.credentials.issue(secrets.token_hex(USER_BYTES), now)}

    def cross_origin(self, request: Request) -> None:
        """Let the pages of named origins read the answer."""
        origin = request.getHeader("origin")
        if origin and origin in self.settings.allowed_origins:
            request.setHeader(b"access-control-allow-origin", origin.encode())
            request.setHeader(b"access-control-allow-methods", b"POST")
            request.setHeader(b"vary", b"Origin")


class IceConfig(Resource):
    """``POST /v1alpha/iceconfig?key=K``"""

    isLeaf = True

    def __init__(self, servers: IceServers) -> None:
        super().__init__()
        self.servers = servers

    def render_HEAD(self, request: Request) -> bytes:
        """POST only, as every client knows it."""
        request.setResponseCode(405)
        request.setHeader(b"allow", b"POST")
        return b""

    def render_OPTIONS(self, request: Request) -> bytes:
        """A browser asks before a cross-origin request."""
        self.servers.cross_origin(request)
        return b""

    def render_POST(self, request: Request) -> bytes:
        """The servers; an entry without URLs is left out, since the iOS app dies of one."""
        self.servers.cross_origin(request)
        code, facts = self.servers.grant(request)
        if code != 200:
            return _json(request, code, facts)
        entries: list[dict[str, Any]] = []
        credential = facts["credential"]
        if facts["turn"]:
            entries.append(
                {"urls": facts["turn"], "username": credential.username, "credential": credential.password})
        if facts["stun"]:
            entries.append({"urls": facts["stun"]})
        lifetime = self.servers.context.credentials.lifetime_s
        return _json(request, 200, {"lifetimeDuration": f"{lifetime}.000s", "iceServers": entries})


class TurnRest(Resource):
    """``GET`` or ``POST /turn``: the shape of draft-uberti-behave-turn-rest-00 §2.2."""

    isLeaf = True

    def __init__(self, servers: IceServers) -> None:
        super().__init__()
        self.servers = servers

    def render_GET(self, request: Request) -> bytes:
        """One credential for all URIs."""
        self.servers.cross_origin(request)
        code, facts = self.servers.grant(request)
        if code != 200:
            return _json(request, code, facts)
        credential = facts["credential"]
        return _json(request, 200, {
            "username": credential.username, "password": credential.password,
            "ttl": self.servers.context.credentials.lifetime_s, "uris": facts["turn"],
        })

    render_POST = render_GET


def _turn_url(host: str, transport: str, port: int) -> str:
    if transport == "tls":
        return f"turns:{host}:{port}?transport=tcp"
    return f"turn:{host}:{port}?transport={transport}"


def _preference(listener: tuple[str, int]) -> int:
    return ("udp", "tcp", "tls").index(listener[0])


def _json(request: Request, code: int, answer: dict[str, Any]) -> bytes:
    request.setResponseCode(code)
    request.setHeader(b"content-type", b"application/json; charset=utf-8")
    request.setHeader(b"cache-control", b"no-store")
    return json.dumps(answer).encode()
