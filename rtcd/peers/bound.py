"""Which relays belong to clients of a room: whose credentials are void since they left, and which peers were signalled.

Names bound to a client are made out to a user that is a pair of tags (rtcd.ice.credentials); what happens in rooms comes
as news of the room store. Nothing here is asked while the policy for peers is ``open``, save whether a user is revoked.

A peer of a bound client is in order if a client of its room has signalled its host as a candidate, or comes from it
over HTTP or WebSocket: behind a NAT that gives every flow another port, the peer-reflexive address is still that one.
Ports are not compared: permissions are by host (RFC 8656 §9), and such a NAT's ports nobody can signal.
Our own relay addresses are in order only where they were signalled as relays. While a client of the room hides its
addresses behind mDNS names, nobody can tell which private addresses are meant, and those are left to the ordinary policy.

A user on trial (rtcd.check) is in no room. In every mode he reaches our own relay addresses and nothing else, so that a
credential that everybody gets who opens a page is good for no other use.
"""

from __future__ import annotations

import functools
import math
import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from rtcd.allocations.allocation import Allocation
from rtcd.bucket import network
from rtcd.peers.candidates import signalled
from rtcd.peers.policy import canonical, class_of
from rtcd.stun.attributes import Address

if TYPE_CHECKING:
    from rtcd.turn.server import TurnServer

OPEN, MONITOR, STRICT = MODES = ("open", "monitor", "strict")

MAX_HOSTS = 64
"""Addresses kept of one client; the one signalled longest ago makes room."""
MAX_NETWORKS = 8
"""Networks kept of one client, likewise."""
MAX_CLIENTS = 100_000
"""Clients kept in all; the one that nothing was heard of for longest is forgotten."""
MAX_ALL_HOSTS = 300_000
"""Addresses kept in all, likewise."""
KEPT_S = 604800.0
"""So long a client is kept that nothing is heard of; no credential is valid for longer."""
MAX_REVOKED = 100_000
"""Users that are known to have left; the one that left first is forgotten."""
CACHED_HOSTS = 4096

TRIAL_S = 180.0
"""A credential of a user on trial is valid for less."""
TRIAL_CHARS = 16
"""Hexadecimal digits that tell users on trial apart."""

NO_ROOM = "no room"
NOT_SIGNALLED = "not signalled"

_TRIAL = re.compile(rf"check-[0-9a-f]{{{TRIAL_CHARS}}}")
_HIDEABLE = ("private", "link-local")
"""Classes of addresses that mDNS names stand for; rtcd.peers.policy has unique local IPv6 addresses among the second."""


class Tagger(Protocol):
    """Makes users of clients' names."""

    @property
    def generation(self) -> int:
        """Another number whenever `users_of` may answer otherwise than before."""

    @property
    def lifetime_s(self) -> int:
        """How long a name is valid that is issued now."""

    def users_of(self, room: str, client: str) -> tuple[str, ...]:
        """Every user that a name of this client may be made out to."""


class Revoked:
    """Users whose credentials are void, until they would have expired."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()

    def __contains__(self, user: object) -> bool:
        return user in self._until

    def __len__(self) -> int:
        return len(self._until)

    def add(self, user: str, until: float, now: float) -> None:
        """From now on; what has expired by itself goes, and the oldest if there are too many."""
        table = self._until
        table[user] = until
        table.move_to_end(user)
        while len(table) > MAX_REVOKED or next(iter(table.values())) <= now:
            table.popitem(last=False)

    def discard(self, user: str) -> None:
        """No longer."""
        self._until.pop(user, None)


class _Client:
    """What is known of one client."""

    __slots__ = ("heard_at", "hidden", "hosts", "name", "networks", "room", "users")

    def __init__(self, room: str, name: str) -> None:
        self.room = room
        self.name = name
        self.users: tuple[str, ...] = ()
        """Under every secret that there was since it came."""
        self.hosts: dict[str, bool] = {}
        """As in `rtcd.peers.candidates.Signalled`."""
        self.networks: dict[str, None] = {}
        self.hidden = False
        self.heard_at = 0.0


class Bound:
    """All clients of rooms, by name and by the users of their credentials. `mode` may be replaced at any moment.

    What clients signal is noted in every mode, so that calls go on when the operator makes it stricter.
    """

    def __init__(self, tagger: Tagger, mode: str = OPEN) -> None:
        self.mode = mode
        self.revoked = Revoked()
        self._tagger = tagger
        self._generation = tagger.generation
        self._longest_s = tagger.lifetime_s
        self._clients: OrderedDict[tuple[str, str], _Client] = OrderedDict()
        """The one heard of longest ago first."""
        self._rooms: dict[str, dict[str, _Client]] = {}
        self._by_user: dict[str, _Client] = {}
        self._hosts = 0
        self._look = functools.lru_cache(CACHED_HOSTS)(_look)

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def hosts(self) -> int:
        """How many addresses are kept in all."""
        return self._hosts

    def came(self, room: str, client: str, address: str, now: float) -> None:
        """A client took a seat or registered, from this network (`rtcd.bucket.network`)."""
        one = self._heard(room, client, now)
        if address:
            one.networks.pop(address, None)
            one.networks[address] = None
            if len(one.networks) > MAX_NETWORKS:
                del one.networks[next(iter(one.networks))]

    def said(self, room: str, client: str, text: str, now: float) -> None:
        """A client gave a text for the others; its candidates are noted."""
        found = signalled(text)
        one = self._heard(room, client, now)
        one.hidden = one.hidden or found.hidden
        self._hosts -= len(one.hosts)
        for host, relay in found.hosts.items():
            one.hosts[host] = one.hosts.pop(host, False) or relay
        while len(one.hosts) > MAX_HOSTS:
            del one.hosts[next(iter(one.hosts))]
        self._hosts += len(one.hosts)
        while self._hosts > MAX_ALL_HOSTS:
            self._forget(next(iter(self._clients.values())))

    def gone(self, room: str, client: str, now: float) -> tuple[str, ...]:
        """A client's seat is lost: its credentials are void from now on. Returns their users."""
        self._catch_up()
        one = self._clients.get((room, client))
        users = dict.fromkeys((*(one.users if one is not None else ()), *self._tagger.users_of(room, client)))
        if one is not None:
            self._forget(one)
        for user in users:
            self.revoked.add(user, now + self._longest_s, now)
        return tuple(users)

    def refusal(self, user: str, host: str, *, own: bool) -> str:
        """Why no client of the user's room can have meant this peer, `NO_ROOM` or `NOT_SIGNALLED`, or an empty text.

        ``host`` is as the TURN client named it; ``own`` says that it is one of our relay addresses or stands for one.
        """
        one = self._by_user.get(user)
        if one is None:
            self._catch_up()
            one = self._by_user.get(user)
            if one is None:
                return NO_ROOM
        address, its_network, hideable = self._look(host)
        for other in self._rooms[one.room].values():
            if own:
                if other.hosts.get(address):
                    return ""
            elif address in other.hosts or its_network in other.networks or (hideable and other.hidden):
                return ""
        return NOT_SIGNALLED

    def _heard(self, room: str, name: str, now: float) -> _Client:
        """The client, as the one heard of last; a new one is known by all its users, and none of them is revoked."""
        self._catch_up()
        one = self._clients.get((room, name))
        if one is None:
            one = self._clients[room, name] = _Client(room, name)
            self._rooms.setdefault(room, {})[name] = one
            self._know(one)
            for user in one.users:
                self.revoked.discard(user)
        one.heard_at = now
        self._clients.move_to_end((room, name))
        first = next(iter(self._clients.values()))
        while first is not one and (len(self._clients) > MAX_CLIENTS or first.heard_at + KEPT_S <= now):
            self._forget(first)
            first = next(iter(self._clients.values()))
        return one

    def _forget(self, one: _Client) -> None:
        del self._clients[one.room, one.name]
        clients = self._rooms[one.room]
        del clients[one.name]
        if not clients:
            del self._rooms[one.room]
        for user in one.users:
            self._by_user.pop(user, None)
        self._hosts -= len(one.hosts)

    def _know(self, one: _Client) -> None:
        one.users = tuple(dict.fromkeys((*one.users, *self._tagger.users_of(one.room, one.name))))
        for user in one.users:
            self._by_user[user] = one

    def _catch_up(self) -> None:
        """Learn the users that clients have under new secrets; those under old ones stay known."""
        self._longest_s = max(self._longest_s, self._tagger.lifetime_s)
        if self._generation != self._tagger.generation:
            self._generation = self._tagger.generation
            for one in self._clients.values():
                self._know(one)


def trial_user(digits: str) -> str:
    """The user of a name that is good for a test alone; ``digits`` as many as `TRIAL_CHARS`, unguessable."""
    return f"check-{digits}"


def trial_over(server: TurnServer | None, bound: Bound, user: str, now: float) -> None:
    """A test is over: its allocations end at once, and its credentials make no new ones."""
    bound.revoked.add(user, now + TRIAL_S, now)
    if server is None:
        return
    for allocation in server.allocations.by_user(user):
        server.end(allocation, "trial over")


def client_gone(server: TurnServer, bound: Bound, room: str, client: str, now: float) -> None:
    """A client's seat is lost: its allocations end at once, and its credentials make no new ones."""
    for user in bound.gone(room, client, now):
        for allocation in server.allocations.by_user(user):
            server.end(allocation, "client left")


def may_ask_for(server: TurnServer, allocation: Allocation, named: Address, reached: Address, now: float) -> bool:
    """Whether a request for this peer may go on, as far as rooms are concerned; what is strange about it is told."""
    bound = server.bound
    if _on_trial(allocation):
        return reached[0] in server.addresses.hosts
    if bound is None or bound.mode == OPEN:
        return True
    reason = _strange(server, bound, allocation, named, reached)
    if not reason:
        return True
    refused = bound.mode == STRICT
    server.observer.peer_unsignalled(allocation, named, reason, refused, now)
    return not refused


def may_send_to(server: TurnServer, allocation: Allocation, named: Address, reached: Address) -> bool:
    """Whether data may go to this peer; its permission may be from before the policy was strict or somebody left."""
    bound = server.bound
    if _on_trial(allocation):
        return reached[0] in server.addresses.hosts
    return bound is None or bound.mode != STRICT or not _strange(server, bound, allocation, named, reached)


def _strange(server: TurnServer, bound: Bound, allocation: Allocation, named: Address, reached: Address) -> str:
    """Why the peer is strange, if the allocation is one of a time-limited name. Other users belong to no room."""
    username = allocation.username
    if allocation.credential_expires_at == math.inf or (username == allocation.user and not username.isdigit()):
        return ""
    return bound.refusal(allocation.user, named[0], own=reached[0] in server.addresses.hosts)


def _on_trial(allocation: Allocation) -> bool:
    """Static users are not, whatever their names."""
    return allocation.credential_expires_at != math.inf and _TRIAL.fullmatch(allocation.user) is not None


def _look(host: str) -> tuple[str, str, bool]:
    """The canonical address, its network, and whether mDNS names may stand for such an address."""
    try:
        address, _ = canonical(host)
    except ValueError:
        return host, host, False
    return str(address), network(str(address)), class_of(address) in _HIDEABLE
