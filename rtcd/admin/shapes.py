"""What goes over the API as JSON: bodies, queries and answers. Moments are Unix seconds, lengths of time seconds.

`rtcd.admin.routes` says which request has which; the OpenAPI file is made of both.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from rtcd.rooms.declaration import MAX_PASSWORD_CHARS, MAX_SHOWN_CHARS
from rtcd.rooms.records import CAPACITY, MAX_CAPACITY

MAX_PAGE = 200
"""Entries of a list in one answer."""
PAGE = 50
DAY_S = 86400
YEAR_S = 366 * DAY_S
MAX_CREDENTIAL_S = 604800
MAX_ROOM_NAME_CHARS = 128
MAX_USER_CHARS = 128

END = r"$(?!\n)"
"""The end of a text for Python as well, for which ``$`` is also in front of a newline that is last."""
ROOM_NAME = rf"^[a-zA-Z0-9_-]{{1,{MAX_ROOM_NAME_CHARS}}}{END}"
CLIENT_ID = rf"^[0-9a-f]{{16}}-[0-9a-f]{{20}}{END}"
USER = rf"^[A-Za-z0-9._@=+~-]{{1,{MAX_USER_CHARS}}}{END}"

Moment = Annotated[float, Meta(description="Unix seconds")]
Length = Annotated[float, Meta(ge=60, le=YEAR_S, description="seconds")]
"""No whole number, since for JSON Schema 600.0 is one and for msgspec it is not."""


class Page(Struct, forbid_unknown_fields=True):
    """Which part of a list."""

    after: Annotated[str, Meta(max_length=1024, description="the ``next`` of the answer before; empty at first")] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = PAGE


class NumberedPage(Struct, forbid_unknown_fields=True):
    """Which part of a list whose entries have numbers."""

    after: Annotated[int, Meta(ge=0, le=2**53, description="the ``next`` of the answer before; 0 at first")] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = PAGE


class CallQuery(Struct, forbid_unknown_fields=True):
    """Which calls."""

    room: Annotated[str, Meta(max_length=1024, description="only those in this room")] | None = None
    since: Annotated[float, Meta(ge=0, le=2**40, description="only those that are on, or ended at this moment or later")] = 0
    after: Annotated[str, Meta(max_length=128, description="the id of the last one of the page before")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = PAGE


class CheckQuery(NumberedPage, forbid_unknown_fields=True):
    """Which checks, and in which language."""

    lang: Literal["en", "zh"] = "en"


class Switch(Struct, forbid_unknown_fields=True):
    """On or off."""

    on: bool


class Password(Struct, forbid_unknown_fields=True):
    """To log in with."""

    password: Annotated[str, Meta(max_length=1024)]


class RoomOrder(Struct, forbid_unknown_fields=True):
    """A room to be made."""

    name: Annotated[str, Meta(pattern=ROOM_NAME)] | None = None
    """Made up if there is none."""
    lifetime: Length = DAY_S
    """Until it is closed, with everybody in it."""
    capacity: Annotated[float, Meta(ge=CAPACITY, le=MAX_CAPACITY, multiple_of=1)] | None = None
    """Pages that it takes, if not as many as [rooms] capacity."""
    password: Annotated[str, Meta(min_length=1, max_length=MAX_PASSWORD_CHARS, pattern=r"\S")] | None = None
    invited_only: bool = False
    locked: bool = False
    relay_only: bool = False


class InvitationOrder(Struct, forbid_unknown_fields=True):
    """An invitation to be made."""

    name: Annotated[str, Meta(max_length=MAX_SHOWN_CHARS, description="of the guest")] = ""
    lifetime: Length = DAY_S


class CredentialOrder(Struct, forbid_unknown_fields=True):
    """A TURN credential to be made."""

    user: Annotated[str, Meta(pattern=USER, description="whom quotas charge and the log names")]
    lifetime: Annotated[float, Meta(ge=60, le=MAX_CREDENTIAL_S, description="seconds")] | None = None
    """If not [credentials] lifetime."""


class Session(Struct):
    """Who asks, and what he may do."""

    name: str
    scopes: list[str]


class Client(Struct):
    """Somebody in a room."""

    id: Annotated[str, Meta(description="also the user of this client's relays")]
    name: str
    page: Annotated[bool, Meta(description="rtcd's own page, not an app")]
    here: Annotated[bool, Meta(description="has a WebSocket now")]
    host: bool


class Room(Struct):
    """A room as it is."""

    name: str
    clients: list[Client]
    capacity: int
    locked: bool
    password: Annotated[bool, Meta(description="strangers are asked for one")]
    invited_only: bool
    relay_only: bool
    expires_at: Moment | None


class Rooms(Struct):
    """Rooms by name."""

    rooms: list[Room]
    next: str | None


class RoomMade(Struct):
    """A room that was made, and where it is."""

    room: Room
    url: str


class Invitation(Struct):
    """A link for one who is invited."""

    url: str
    expires_at: Moment


class Relay(Struct):
    """A TURN allocation."""

    id: int
    user: str
    transport: Annotated[str, Meta(description="by which its client comes: udp, tcp, tls or dtls")]
    relayed: list[str]
    peers: Annotated[int, Meta(description="hosts that it may exchange packets with now")]
    channels: int
    expires_at: Moment
    sent_packets: Annotated[int, Meta(description="from the client to its peers")]
    sent_bytes: int
    received_packets: int
    received_bytes: int


class Relays(Struct):
    """TURN allocations by number."""

    allocations: list[Relay]
    next: int | None


class Credential(Struct):
    """In the shape of draft-uberti-behave-turn-rest-00, which Matrix calls ``turnServer``."""

    username: str
    password: str
    ttl: int
    uris: list[str]


class Calls(Struct):
    """Records of calls, those that are on first, then the last one first."""

    calls: list[dict[str, Any]]
    next: str | None
    """What ``after`` has to be for the next page; null if this is the last one."""


class CheckedPath(Struct):
    """What became of one path from a browser to this daemon."""

    id: str
    name: str
    outcome: Annotated[str, Meta(description="ok, or what is wrong: never-arrived, answer-lost, refused, ...")]
    code: Annotated[int, Meta(description="STUN error code or HTTP status, or 0")]
    ms: Annotated[int, Meta(description="round trip, where it works")] | None
    title: str
    meaning: Annotated[str, Meta(description="for a user; empty where it was said of a path before")]
    mend: Annotated[str, Meta(description="for whoever runs the daemon; likewise")]


class Check(Struct):
    """A check that somebody has made with the page /check."""

    number: int
    at: Moment
    network: Annotated[str, Meta(description="that the device is in: an IPv4 /24, an IPv6 /48, or nothing")]
    system: Annotated[str, Meta(description="android, ios, windows, macos, linux, or nothing")]
    level: Annotated[str, Meta(description="good, fair or broken")]
    summary: str
    title: str
    text: str
    paths: list[CheckedPath]


class Checks(Struct):
    """Checks by number."""

    checks: list[Check]
    next: int | None


class Listener(Struct):
    """An open socket, or a range of ports."""

    service: str
    transport: str
    host: str
    port: int
    last_port: int | None


class Certificate(Struct):
    """One that is shown to those who come by TLS."""

    names: list[str]
    days_left: float
    local: Annotated[bool, Meta(description="signed by the daemon's own authority")]


class Counts(Struct):
    """How much there is now."""

    rooms: int
    seats: int
    allocations: int


class TurnNode(Struct):
    """A node of [ice] servers."""

    name: str
    region: str
    weight: int
    urls: list[str]
    state: Annotated[str, Meta(description="unknown, alive, draining, full, dead, or unprobed")]
    usable: Annotated[bool, Meta(description="clients are given it")]
    reason: Annotated[str, Meta(description="why it is not alive, or what the last probe met; or empty")]
    ms: Annotated[float, Meta(description="round trip")] | None
    since: Moment


class Store(Struct):
    """A Redis of [rooms] store."""

    name: Annotated[str, Meta(description="its URL, without who we are to it")]
    reachable: bool
    reason: Annotated[str, Meta(description="why it cannot be reached, if that is known; or empty")]
    processes: Annotated[int, Meta(description="how many share its rooms, as it was told last")]
    strangers: Annotated[int, Meta(description="how many of these sign with a secret that is not accepted here, as it was "
                                               "told last")]


class Status(Struct):
    """How the daemon is."""

    version: str
    started_at: Moment
    uptime: float
    draining: bool
    listeners: list[Listener]
    certificates: list[Certificate]
    counts: Counts
    nodes: Annotated[list[TurnNode], Meta(description="TURN nodes, as this daemon sees them; empty if it names none")]
    stores: Annotated[list[Store], Meta(description="empty if rooms are in the daemon's memory")]


class Reloaded(Struct):
    """What became of a reload, as the log has it."""

    lines: list[str]


class Draining(Struct):
    """Whether the daemon takes nothing new any more."""

    draining: bool


class ProblemBody(Struct, rename={"kind": "type"}):
    """Why a request was not answered as it wished (RFC 9457)."""

    kind: str
    title: str
    status: int
    detail: str
