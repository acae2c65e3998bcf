"""`ROUTES`: every request that the API knows, in one table, by which the server finds its way.

The OpenAPI file is made of it.

What a request does is in the module that its operation is of: ``rooms``, ``relays`` or ``upkeep``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from rtcd.admin import shapes

TEXT = "text/plain"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """One method at one path below ``/admin``."""

    method: str
    path: str
    operation: str
    """Name of the method that answers it."""
    scope: str
    """What the caller has to be allowed to; empty: nothing but to be somebody; ``-``: anybody may ask."""
    summary: str
    status: int = 200
    answer: Any = None
    """The shape of the answer; None: there is no body, or it is of another kind."""
    body: Any = None
    query: Any = None
    kind: str = JSON
    errors: tuple[int, ...] = ()
    """Statuses of problems besides those that every route has."""
    parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.path.strip("/").split("/")))


ROUTES = (
    Route("GET", "/session", "who", "", "Who I am, and what I may do", answer=shapes.Session),
    Route("POST", "/session", "log_in", "-", "Log in with the password; the answer sets a cookie", body=shapes.Password,
          answer=shapes.Session, errors=(429, 503)),
    Route("DELETE", "/session", "log_out", "", "Log out", status=204),
    Route("GET", "/rooms", "list_rooms", "read", "Rooms by name", query=shapes.Page, answer=shapes.Rooms, errors=(503,)),
    Route("POST", "/rooms", "create_room", "rooms", "Make a room, which is there until it expires", status=201,
          body=shapes.RoomOrder, answer=shapes.RoomMade, errors=(409, 503)),
    Route("GET", "/rooms/{room}", "show_room", "read", "One room", answer=shapes.Room, errors=(404, 503)),
    Route("DELETE", "/rooms/{room}", "close_room", "rooms", "Close a room and end its calls", status=204, errors=(404, 503)),
    Route("PUT", "/rooms/{room}/lock", "lock_room", "rooms", "Let no stranger in, or let them in again", body=shapes.Switch,
          answer=shapes.Room, errors=(404, 503)),
    Route("PUT", "/rooms/{room}/relay", "force_relay", "rooms", "Have media go by relays alone, or as they find their way",
          body=shapes.Switch, answer=shapes.Room, errors=(404, 503)),
    Route("POST", "/rooms/{room}/invitations", "invite", "rooms", "A link that lets its bearer in", status=201,
          body=shapes.InvitationOrder, answer=shapes.Invitation, errors=(404, 503)),
    Route("DELETE", "/rooms/{room}/clients/{client}", "kick", "kick", "Remove somebody from a room", status=204,
          errors=(404, 503)),
    Route("GET", "/allocations", "list_allocations", "read", "TURN allocations by number", query=shapes.NumberedPage,
          answer=shapes.Relays, errors=(501, 503)),
    Route("DELETE", "/allocations/{allocation}", "end_allocation", "kick", "End a TURN allocation at once", status=204,
          errors=(404, 501)),
    Route("POST", "/credentials", "issue_credential", "credentials", "A TURN credential for another service", status=201,
          body=shapes.CredentialOrder, answer=shapes.Credential, errors=(501,)),
    Route("GET", "/calls", "list_calls", "read", "Records of calls", query=shapes.CallQuery, answer=shapes.Calls,
          errors=(501,)),
    Route("GET", "/calls/{call}", "show_call", "read", "The record of a call", answer=dict[str, Any], errors=(404, 501)),
    Route("GET", "/checks", "list_checks", "read", "What browsers found at the page /check, by number",
          query=shapes.CheckQuery, answer=shapes.Checks, errors=(501,)),
    Route("GET", "/status", "status", "read", "How the daemon is", answer=shapes.Status),
    Route("POST", "/reload", "reload", "drain", "Read the configuration and the certificates again", answer=shapes.Reloaded),
    Route("POST", "/drain", "drain", "drain", "Take nothing new and end with the last call", status=202,
          answer=shapes.Draining),
    Route("GET", "/metrics", "metrics", "read", "Figures in the text format of Prometheus", kind=TEXT, errors=(501,)),
    Route("GET", "/openapi.json", "openapi", "read", "This description", answer=dict[str, Any]),
)
"""Those of one path stand together."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "room": {"type": "string", "minLength": 1, "maxLength": 1024},
    "client": {"type": "string", "pattern": shapes.CLIENT_ID},
    "allocation": {"type": "integer", "minimum": 1, "maximum": 2**53},
    "call": {"type": "string", "minLength": 1, "maxLength": 128},
}
"""What may stand in a path, as JSON Schema."""

_CLIENT = re.compile(shapes.CLIENT_ID)
_NUMBER = re.compile("[0-9]{1,16}")


def find(path: list[str]) -> tuple[dict[str, Route], dict[str, str]]:
    """The routes of a path by their methods, none if nothing is there, and what stands in its variable parts."""
    found = {one.method: one for one in ROUTES if _fits(one.parts, path)}
    first = next(iter(found.values()), None)
    return found, {} if first is None else {
        part[1:-1]: value for part, value in zip(first.parts, path, strict=True) if part.startswith("{")}


def _fits(parts: tuple[str, ...], path: list[str]) -> bool:
    return len(parts) == len(path) and all(
        _may_be(part[1:-1], value) if part.startswith("{") else part == value
        for part, value in zip(parts, path, strict=True))


def _may_be(name: str, value: str) -> bool:
    if name == "client":
        return _CLIENT.fullmatch(value) is not None
    if name == "allocation":
        return _NUMBER.fullmatch(value) is not None
    return 0 < len(value) <= int(PARAMETERS[name]["maxLength"])
