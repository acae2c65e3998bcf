"""What the API does with rooms. The rules are in rtcd.rooms; a client is known here by its tag and never by its id."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from rtcd.admin import shapes
from rtcd.admin.problem import Problem, plain
from rtcd.admin.resource import Exchange
from rtcd.context import Context
from rtcd.rooms import orders
from rtcd.rooms import records as rooms
from rtcd.rooms.declaration import SALT_BYTES, hashed
from rtcd.rooms.invitation import PURPOSE
from rtcd.rooms.invitation import invite as invitation_to
from rtcd.rooms.outcome import Outcome

NAME_BYTES = 9
"""Random bytes of a room name that is made up: it cannot be guessed."""


class RoomOperations:
    """Those of the table of routes whose path begins with ``/rooms``."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store: Any = context.rooms

    async def list_rooms(self, exchange: Exchange) -> shapes.Rooms:
        """A page of them."""
        asked: shapes.Page = exchange.query
        found = await self._store.rooms(asked.after, asked.limit)
        names = [name for name, _ in found]
        return shapes.Rooms([self._shown(*one) for one in found], plain(names[-1]) if len(found) == asked.limit else None)

    async def create_room(self, exchange: Exchange) -> shapes.RoomMade:
        """Make one."""
        asked: shapes.RoomOrder = exchange.body
        name = asked.name or secrets.token_urlsafe(NAME_BYTES)
        salt = secrets.token_bytes(SALT_BYTES)

        capacity = None if asked.capacity is None else int(asked.capacity)
        password = hashed(asked.password or "", salt)

        def make(room: rooms.Room, now: float) -> Outcome[bool]:
            return orders.create(room, now, rooms.Terms(
                now + asked.lifetime, capacity, password, asked.invited_only, asked.locked, asked.relay_only))

        if not await self._store.update(name, make):
            raise Problem(409, "There is a room of this name already.")
        exchange.headers["Location"] = f"{exchange.base.prefix}/admin/rooms/{quote(name, safe='')}"
        return shapes.RoomMade(await self._room(name), _link(exchange, name))

    async def show_room(self, exchange: Exchange) -> shapes.Room:
        """One."""
        return await self._room(exchange.path["room"])

    async def close_room(self, exchange: Exchange) -> None:
        """End it."""
        await self._ordered(exchange, orders.end)

    async def lock_room(self, exchange: Exchange) -> shapes.Room:
        """Lock or unlock it."""
        await self._ordered(exchange, lambda room, now: orders.lock(room, now, on=exchange.body.on))
        return await self._room(exchange.path["room"])

    async def force_relay(self, exchange: Exchange) -> shapes.Room:
        """Let media go by relays alone, or not."""
        await self._ordered(exchange, lambda room, now: orders.force_relay(room, now, on=exchange.body.on))
        return await self._room(exchange.path["room"])

    async def invite(self, exchange: Exchange) -> shapes.Invitation:
        """Sign a link."""
        asked: shapes.InvitationOrder = exchange.body
        name = exchange.path["room"]
        await self._room(name)
        expires_at = int(self._context.reactor.seconds() + asked.lifetime)
        invitation = invitation_to(self._context.credentials.keys(PURPOSE)[0], name, expires_at, asked.name)
        return shapes.Invitation(f"{_link(exchange, name)}?{urlencode({'invitation': invitation})}", expires_at)

    async def kick(self, exchange: Exchange) -> None:
        """Take a client's seat away."""
        name, wanted = exchange.path["room"], exchange.path["client"]
        users_of = self._context.credentials.users_of
        if not await self._store.update(
                name, lambda room, now: orders.kick(room, now, lambda one: wanted in users_of(name, one.id))):
            raise Problem(404, "Nobody of this id is in a room of this name.")

    async def _ordered(self, exchange: Exchange, order: Callable[[rooms.Room, float], Outcome[bool]]) -> None:
        if not await self._store.update(exchange.path["room"], order):
            raise Problem(404, "There is no room of this name.")

    async def _room(self, name: str) -> shapes.Room:
        found: rooms.Room = await self._store.update(name, lambda room, _: Outcome(room, room))
        if found.empty:
            raise Problem(404, "There is no room of this name.")
        return self._shown(name, found)

    def _shown(self, name: str, room: rooms.Room) -> shapes.Room:
        host = room.mesh.host if room.mesh is not None else ""
        clients = [
            shapes.Client(
                self._context.credentials.users_of(name, one.id)[0], one.page.name if one.page is not None else "",
                one.page is not None, one.registered, one.page is not None and one.tag == host)
            for one in room.taken() if one.id not in rooms.LOOPBACK_CLIENTS]
        terms = room.terms
        return shapes.Room(
            plain(name), clients, room.bounds(self._store.limits).capacity, room.locked, room.password is not None,
            terms.invited_only, terms.relay_only, terms.expires_at)


def _link(exchange: Exchange, name: str) -> str:
    return f"{exchange.base.url}/r/{quote(name, safe='')}"
