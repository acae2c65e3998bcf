"""What is known about a room: its clients, what waits for them, and how long. Values only; the rules are beside it.
They are msgspec's, which are made, compared and replaced faster than dataclasses.

States of a client: *seated* (joined; its seat is lost at ``deadline`` unless it registers), *registered* (a live
socket, no deadline), seated again after a lost socket (grace), and *departed*: its seat is free, but its socket may
still say ``bye``; whoever it owes one gets ours when it does not.

A client is a *page* of ours, which has said so when it joined, or an *app*: any other client of AppRTC's protocol.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

CAPACITY = 2
"""Seats of a room with an app in it."""

BYE = '{"type":"bye"}'
"""The one message that the server itself may send to an app: apps end the call on a type they do not know."""

LOOPBACK_CLIENTS = ("LOOPBACK_CLIENT_ID", "loopback_client_id")
"""Names under which clients that call themselves register their own other end: iOS's and the web page's."""

MAX_CAPACITY = 6
"""More pages than this a mesh does not bear."""

MAX_NAME_CHARS = 1024
"""Longer room and client names are refused."""

MAX_PARTED = 8
"""Of so many who have parted pages are told why; the one that parted first is forgotten."""

MAX_GUESTS = 32
"""So many who were admitted may come back without being asked; the one that was admitted first is forgotten."""

MAX_FORMER = 4
"""Of each of them so many ids, the last ones: each join gives a new one, and its answer may be lost."""

APP = "app"
"""What pages call an app; no page can have this tag."""

Why: TypeAlias = Literal["left", "lost", "kicked", "returned"]
"""How a seat was lost: given up, not used in time, taken away, or taken over by the same page."""


class Limits(Struct, frozen=True):
    """What a room may cost, and how long it waits. Seconds, messages and bytes of UTF-8."""

    max_messages: int = 1024
    max_queue_bytes: int = 1048576
    join_timeout_s: float = 45.0
    register_timeout_s: float = 10.0
    grace_s: float = 10.0
    lifetime_s: float = 86400.0
    page_grace_s: float = 30.0
    """What ``grace_s`` is for apps."""
    capacity: int = 6
    """Seats of a room of pages."""


class Card(Struct, frozen=True):
    """What a page shows of itself. Client ids are secret: who has one acts as that client."""

    tag: str
    """Its name for the others, made up by the page: 16 hexadecimal digits."""
    name: str = ""
    """What people call it."""


class Letter(Struct, frozen=True):
    """An event that waits in the inbox of a page without a socket."""

    sender: str
    """Tag of the page it came from."""
    address: str
    """The sender's, whose allowance it takes up: else one could fill another's."""
    text: str


class Client(Struct, frozen=True):
    """One participant that holds a seat."""

    id: str
    address: str = ""
    """The host it joined from."""
    registered: bool = False
    """It has a live socket in some process."""
    deadline: float | None = None
    """When its seat is lost; None while it is registered, and for the partner of a loopback room."""
    held: tuple[str, ...] = ()
    """What it posted while alone: handed to the next one who joins."""
    queue: tuple[str, ...] = ()
    """What it sent over signalling to a peer without a socket: delivered when that one registers."""
    told: bool = False
    """It has said bye and every peer was given it."""
    owed_bye: bool = False
    """A peer went while this one had no socket; it gets the bye when it registers."""
    page: Card | None = None
    """None: an app."""
    inbox: tuple[Letter, ...] = ()
    """What pages sent to this one while it had no socket."""

    @property
    def tag(self) -> str:
        """What pages call it."""
        return APP if self.page is None else self.page.tag


class Departed(Struct, frozen=True):
    """A client that has left its seat while its socket lives, or while somebody must still be told."""

    id: str
    owed: tuple[str, ...]
    """Peers that have had no bye of it."""
    registered: bool
    deadline: float
    """When the owed byes are sent by us and the socket is closed."""


class Parted(Struct, frozen=True):
    """One who has lost its seat, for those who stay."""

    tag: str
    why: Why


class Secret(Struct, frozen=True):
    """A room's password, salted and hashed."""

    salt: bytes
    digest: bytes


class Mesh(Struct, frozen=True):
    """What pages have in common; it begins with the first of them and ends with the last."""

    host: str
    """Tag of the page that may lock the room."""
    locked: bool = False
    password: Secret | None = None
    guests: tuple[tuple[str, ...], ...] = ()
    """Pages that were admitted, those that parted too but none that was kicked: the clients that each of them was."""
    parted: tuple[Parted, ...] = ()


class Terms(Struct, frozen=True):
    """What whoever runs the daemon has laid down for a room (`rtcd.rooms.orders`); its host takes nothing of it back."""

    expires_at: float | None = None
    """When the room ends; it is there till then, with nobody in it too. None: it ends as every other room does."""
    capacity: int | None = None
    """Seats for pages, if not as many as everywhere."""
    password: Secret | None = None
    """Asked for at first, and whenever nobody was in it; the host may have set another one meanwhile."""
    invited_only: bool = False
    """A stranger has to show an invitation."""
    locked: bool = False
    relay_only: bool = False
    """Media are to go by relays alone."""


NO_TERMS = Terms()


class Room(Struct, frozen=True):
    """Everything that is known about a room. ``Room()`` is one that nobody is in."""

    clients: tuple[Client, ...] = ()
    """In the order in which they took their seats."""
    departed: tuple[Departed, ...] = ()
    loopback: bool = False
    changed_at: float = 0.0
    mesh: Mesh | None = None
    """There is one exactly while there is a page."""
    terms: Terms = NO_TERMS

    def client(self, client_id: str) -> Client | None:
        """The seated client of this name."""
        for one in self.clients:
            if one.id == client_id:
                return one
        return None

    def page(self, tag: str) -> Client | None:
        """The seated page of this tag."""
        return next((one for one in self.clients if one.page is not None and one.page.tag == tag), None)

    def gone(self, client_id: str) -> Departed | None:
        """The departed client of this name."""
        for one in self.departed:
            if one.id == client_id:
                return one
        return None

    def others(self, client_id: str) -> tuple[Client, ...]:
        """Every seated client but this one."""
        return tuple([one for one in self.clients if one.id != client_id])

    def queued_bytes(self) -> dict[str, int]:
        """What waits in this room, in bytes of memory by the address of the sender."""
        sums: dict[str, int] = {}
        for one in self.clients:
            if one.held or one.queue:
                sums[one.address] = sums.get(one.address, 0) + sum(map(text_bytes, (*one.held, *one.queue)))
            for letter in one.inbox:
                sums[letter.address] = sums.get(letter.address, 0) + text_bytes(letter.text)
        return sums

    def taken(self) -> tuple[Client, ...]:
        """The clients that hold a seat: an end of a loopback call that came before its caller holds none."""
        if self.loopback:
            return self.clients
        return tuple([one for one in self.clients if one.id not in LOOPBACK_CLIENTS])

    @property
    def call(self) -> bool:
        """Whether two are in it, or one with itself."""
        return len(self.clients) >= CAPACITY

    def bounds(self, limits: Limits) -> Limits:
        """The limits that hold in this room."""
        return limits if self.terms.capacity is None else replace(limits, capacity=self.terms.capacity)

    def begun(self, tag: str) -> Mesh:
        """What pages have in common, or would have if the page of this tag were the first."""
        return self.mesh or Mesh(tag, password=self.terms.password)

    @property
    def locked(self) -> bool:
        """Whether it takes no stranger at all."""
        return self.terms.locked or (self.mesh is not None and self.mesh.locked)

    @property
    def password(self) -> Secret | None:
        """What strangers are asked for."""
        return self.mesh.password if self.mesh is not None else self.terms.password

    @property
    def barred(self) -> bool:
        """Whether a stranger is asked for more than the room's name; no app can answer."""
        return self.locked or self.terms.invited_only or self.password is not None

    @property
    def empty(self) -> bool:
        """Nothing is left to remember."""
        return not self.clients and not self.departed and self.terms.expires_at is None


def text_bytes(text: str) -> int:
    """What a text takes in memory at most: one wide character makes every one of them four bytes wide."""
    return len(text) if text.isascii() else 4 * len(text)
