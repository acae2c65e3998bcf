"""``rtcd rooms``, ``lock``, ``relay``, ``kick`` and ``close``: rooms of the running daemon and who is in them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rtcd.cli.control import Control, add_control, columns, show
from rtcd.config import ConfigError


def add_to(verbs: Any) -> None:
    """Add the verbs to the command."""
    listing = _verb(verbs, "rooms", "lists the rooms, or shows who is in one", _rooms)
    listing.add_argument("room", nargs="?", metavar="ROOM", help="the room to show")
    for name, about, run in (("lock", "lets no stranger into a room, or lets them in again", _lock),
                             ("relay", "has a room's media go by relays alone, or as they find their way", _relay)):
        parser = _verb(verbs, name, about, run)
        parser.add_argument("room", metavar="ROOM")
        parser.add_argument("--off", action="store_true", help="undo it")
    kicking = _verb(verbs, "kick", "removes somebody from a room", _kick)
    kicking.add_argument("room", metavar="ROOM")
    kicking.add_argument("who", metavar="WHO", help="the id as rtcd rooms ROOM shows it, how it begins, or the name")
    _verb(verbs, "close", "closes a room and ends the calls in it", _close).add_argument("room", metavar="ROOM")


def _verb(verbs: Any, name: str, about: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=about, allow_abbrev=False, description=f"{about[0].upper()}{about[1:]}. The daemon has to run.")
    parser.set_defaults(run=run)
    add_control(parser)
    return parser


def _rooms(arguments: argparse.Namespace) -> int:
    control = Control(arguments)
    if arguments.room is not None:
        room = control.get("rooms", arguments.room)
        return show(arguments, room, _room_lines(room))
    rooms = list(control.all("rooms"))
    rows = [(one["name"], f"{len(one['clients'])}/{one['capacity']}", _marks(one)) for one in rooms]
    lines = columns([("ROOM", "PEOPLE", ""), *rows]) if rows else ["There are no rooms."]
    return show(arguments, {"rooms": rooms}, lines)


def _lock(arguments: argparse.Namespace) -> int:
    room = Control(arguments).send("PUT", "rooms", arguments.room, "lock", body={"on": not arguments.off})
    return show(arguments, room, _room_lines(room))


def _relay(arguments: argparse.Namespace) -> int:
    room = Control(arguments).send("PUT", "rooms", arguments.room, "relay", body={"on": not arguments.off})
    return show(arguments, room, _room_lines(room))


def _kick(arguments: argparse.Namespace) -> int:
    control = Control(arguments)
    client = _meant(control.get("rooms", arguments.room)["clients"], arguments.who)
    control.send("DELETE", "rooms", arguments.room, "clients", client["id"])
    return show(arguments, client, [f"{client['name'] or client['id']} was removed from {arguments.room}."])


def _close(arguments: argparse.Namespace) -> int:
    Control(arguments).send("DELETE", "rooms", arguments.room)
    return show(arguments, {"closed": arguments.room}, [f"{arguments.room} is closed."])


def _meant(clients: list[dict[str, Any]], who: str) -> dict[str, Any]:
    """The one client that is meant. Raises ConfigError."""
    parts = [one for one in clients if who in _beginnings(one["id"], len(who))]
    found = ([one for one in clients if who in (one["id"], one["name"])] or parts) if who else []
    if len(found) != 1:
        raise ConfigError("", "", f"{who!r} is {'nobody' if not found else 'more than one'} in this room; write the id as "
                          "rtcd rooms ROOM shows it")
    return found[0]


def _beginnings(client: str, length: int) -> tuple[str, ...]:
    """Of the id, and of its second half, which differs within a room."""
    return tuple(one[:length] for one in (client, client.partition("-")[2]))


def _room_lines(room: dict[str, Any]) -> Iterator[str]:
    marks = _marks(room)
    yield f"{room['name']}: {len(room['clients'])} of {room['capacity']}" + (f", {marks}" if marks else "")
    yield from columns(
        (one["id"], one["name"] or "-", "page" if one["page"] else "app", "" if one["here"] else "away",
         "host" if one["host"] else "") for one in room["clients"])


def _marks(room: dict[str, Any]) -> str:
    words = (("locked", "locked"), ("password", "password"), ("invited_only", "by invitation"),
             ("relay_only", "relays alone"))
    ends_at = room.get("expires_at")
    ends = [] if ends_at is None else [f"until {datetime.fromtimestamp(ends_at, UTC):%Y-%m-%d %H:%M:%S}Z"]
    return ", ".join([*(word for key, word in words if room[key]), *ends])
