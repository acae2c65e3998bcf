"""What the API does with the daemon itself, and with those who ask."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from rtcd import __version__
from rtcd.admin import shapes
from rtcd.admin.access import COOKIE, Access
from rtcd.admin.keys import SCOPES, Caller
from rtcd.admin.resource import Exchange
from rtcd.context import Context
from rtcd.metrics import Sample
from rtcd.tls.authority import names_of

COUNTS = {"rtcd_rooms_rooms": "rooms", "rtcd_rooms_seats": "seats", "rtcd_turn_allocations_open": "allocations"}
"""Gauges that the status has, by its own words."""


class UpkeepOperations:
    """Those of the table of routes about the daemon and the caller."""

    def __init__(self, context: Context, access: Access) -> None:
        self._context = context
        self._access = access
        self._description = files("rtcd.admin").joinpath("openapi.json").read_bytes()
        self.started_at = context.reactor.seconds()
        """When the daemon has started."""

    async def who(self, exchange: Exchange) -> shapes.Session:
        """The caller."""
        return _session(exchange.caller)

    async def log_in(self, exchange: Exchange) -> shapes.Session:
        """Begin a session, whose cookie no script can read and no other site can have sent."""
        token = await self._access.log_in(exchange.body.password, exchange.host)
        exchange.headers["Set-Cookie"] = f"{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict"
        return shapes.Session("password", list(SCOPES))

    async def log_out(self, exchange: Exchange) -> None:
        """End it."""
        self._access.log_out(exchange.cookie)
        exchange.headers["Set-Cookie"] = f"{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"

    async def status(self, exchange: Exchange) -> shapes.Status:
        """How it goes."""
        context, now = self._context, self._context.reactor.seconds()
        nodes = context.desk.ask("ice.nodes") if context.desk.offers("ice.nodes") else []
        counted = await self._counted()
        store: Any = context.rooms
        return shapes.Status(
            __version__, self.started_at, max(0.0, now - self.started_at), context.desk.ask("daemon.draining"),
            [shapes.Listener(one.service, one.transport, one.host, one.port, one.last_port)
             for one in context.doorway.directory.listeners()],
            [shapes.Certificate(sorted(names_of(one.certificates[0])), round(one.days_left(now), 2), not one.origin)
             for one in context.doorway.certificates.chains],
            shapes.Counts(**counted),
            [shapes.TurnNode(one.name, one.region, one.weight, list(one.urls), one.state, one.usable, one.reason,
                             None if one.rtt_s is None else round(one.rtt_s * 1000, 1), one.since) for one in nodes],
            [shapes.Store(one.place, one.reachable, "" if one.reachable else one.trouble, one.totals.nodes, one.strangers)
             for one in getattr(store, "stores", (store,)) if getattr(one, "place", "")])

    async def _counted(self) -> dict[str, int]:
        """Of the whole daemon, if this is one of several workers."""
        desk, now = self._context.desk, self._context.metrics.now
        if not desk.offers("workers.samples"):
            return {what: int(now(name) or 0) for name, what in COUNTS.items()}
        samples: list[Sample] = await desk.answer("workers.samples")
        counted = dict.fromkeys(COUNTS.values(), 0)
        for one in samples:
            if one.name in COUNTS:
                counted[COUNTS[one.name]] += int(one.value)
        return counted

    async def reload(self, exchange: Exchange) -> shapes.Reloaded:
        """As SIGHUP does."""
        return shapes.Reloaded(await self._context.desk.answer("daemon.reload"))

    async def drain(self, exchange: Exchange) -> shapes.Draining:
        """As SIGUSR1 does; the daemon may end before the answer has been read."""
        self._context.reactor.callLater(0, self._context.desk.ask, "daemon.drain")
        return shapes.Draining(True)

    async def metrics(self, exchange: Exchange) -> bytes:
        """What ``metrics.exposition`` offers, which is a text and its media type."""
        found: tuple[bytes, str] = await self._context.desk.answer("metrics.exposition")
        exchange.headers["Content-Type"] = found[1]
        return found[0]

    async def openapi(self, exchange: Exchange) -> bytes:
        """The file that is shipped."""
        return self._description


def _session(caller: Caller) -> shapes.Session:
    return shapes.Session(caller.name, [one for one in SCOPES if one in caller.scopes])
