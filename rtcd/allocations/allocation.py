"""Allocations with their permissions and channels, and the table that holds them all.

Objects store moments (`expires_at`, Unix seconds), never timers: `Allocations.next_deadline` says when to look again.
What a request may do to them is rtcd.turn.server; moving packets is the relay plane's. Source: RFC 8656 §3, §5 to §12.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from rtcd.allocations.meter import Meter
from rtcd.stun.attributes import Address, Family, family_of

Transport = Literal["udp", "tcp", "tls", "dtls"]

UDP = 17
TCP = 6
TCP = 6
"""Protocol numbers, as REQUESTED-TRANSPORT has them."""

MAX_PERMISSIONS = 1000
"""An allocation has at most this many permissions; one more is answered with 508."""
MAX_CHANNELS = 1000
"""Likewise channels."""


class FiveTuple(NamedTuple):
    """Where a client's packets come from and arrive. Hashable; equal for all packets of one client."""

    transport: Transport
    client: Address
    server: Address


class Traffic(NamedTuple):
    """What an allocation has moved, payload only."""

    sent_packets: int = 0
    """From the client to its peers."""
    sent_bytes: int = 0
    received_packets: int = 0
    """From the peers to the client."""
    received_bytes: int = 0

    def plus(self, other: Traffic) -> Traffic:
        """Both together."""
        return Traffic(*map(sum, zip(self, other, strict=True)))


class Permission:
    """A peer host whose datagrams may pass."""

    __slots__ = ("expires_at", "host")

    def __init__(self, host: str, expires_at: float) -> None:
        self.host = host
        self.expires_at = expires_at


class ChannelBinding:
    """A channel number that stands for a peer."""

    __slots__ = ("channel", "expires_at", "peer")

    def __init__(self, channel: int, peer: Address, expires_at: float) -> None:
        self.channel = channel
        self.peer = peer
        self.expires_at = expires_at


class Allocation:
    """One client's relayed transport address, or in a dual allocation two, and what belongs to it.

    Peers are kept as the sockets see them, hosts of our own external addresses already mapped to the private ones.
    """

    __slots__ = ("answer", "booked_bps", "channels", "claims", "credential_expires_at", "downward", "ends", "even_port",
                 "expires_at", "five_tuple", "key", "network", "next_end", "number", "peers", "permissions", "relayed",
                 "reserves", "shown", "static", "ticket", "traffic", "transaction_id", "transport", "upward", "user",
                 "username")

    def __init__(
        self, five_tuple: FiveTuple, username: str, user: str, key: bytes, network: str, transaction_id: bytes,
        even_port: bool = False, transport: int = UDP,
    ) -> None:
        self.five_tuple = five_tuple
        self.number = 0
        """What it is known by to people, given by the table."""
        self.username = username
        self.user = user
        """Whom quotas charge: the name, without the time in front of a time-limited one."""
        self.key = key
        """The key of the credential that made it; it goes on working when a credential of elsewhere does not."""
        self.static = False
        """Whether a static user made it: then only a key counts that the user has now."""
        self.credential_expires_at = math.inf
        """When that credential ends."""
        self.network = network
        """The client's network as address quotas count."""
        self.transaction_id = transaction_id
        """Of the Allocate that made it."""
        self.transport = transport
        """What its peers are spoken to by, a protocol number as in REQUESTED-TRANSPORT."""
        self.even_port = even_port
        """Whether its relays are to be at even ports."""
        self.reserves = b""
        """If not empty: the token under which the plane is to hold the port above."""
        self.claims = b""
        """If not empty: the token of the held port that it is to have."""
        self.relayed: dict[Family, Address] = {}
        """What the plane bound, without external mapping: one relay, or in a dual allocation one of each family."""
        self.shown: dict[Family, Address] = {}
        """What the client was told, which stays its address when the external one has changed."""
        self.ends: dict[Family, float] = {}
        """When each of them ends: RFC 8656 §8.1 lets a client refresh one alone."""
        self.expires_at = 0.0
        """When the last of them ends, and the allocation with it ..."""
        self.next_end = 0.0
        """... and when the first does."""
        self.traffic = Traffic()
        """What was moved by relays that are closed already."""
        self.answer = b""
        """The success response, for the retransmitted request."""
        self.ticket = b""
        """What its client shows to go on from another five-tuple; empty if it cannot."""
        self.booked_bps = 0
        """What it takes of the server's bandwidth, in bytes a second."""
        self.upward: tuple[Meter, ...] = ()
        """What goes to its peers is charged to these, and what comes from them to the next; empty is no limit."""
        self.downward: tuple[Meter, ...] = ()
        self.permissions: dict[str, Permission] = {}
        self.channels: dict[int, ChannelBinding] = {}
        self.peers: dict[Address, ChannelBinding] = {}
        """The values of `channels`, by peer."""

    def opened(self, family: Family, relayed: Address, shown: Address, expires_at: float) -> None:
        """The plane has bound a relay, which the client is told of as ``shown``."""
        self.relayed[family], self.shown[family] = relayed, shown
        self.lasts(expires_at, family)

    def lasts(self, expires_at: float, family: Family | None = None) -> None:
        """Let the relay of one family, or all that there are, end at this moment. One that is in the table is told by
        `Allocations.extend`."""
        for one in self.relayed if family is None else (family,):
            self.ends[one] = expires_at
        self._find_ends()

    def forget(self, family: Family) -> None:
        """One of two relays is closed; its permissions and channels go with it, the other's stay (RFC 8656 §8.1)."""
        del self.relayed[family], self.shown[family], self.ends[family]
        self._find_ends()
        for host in [host for host in self.permissions if family_of(host) == family]:
            del self.permissions[host]
        for binding in [one for one in self.channels.values() if family_of(one.peer[0]) == family]:
            self._unbind(binding)

    def _find_ends(self) -> None:
        self.expires_at, self.next_end = max(self.ends.values()), min(self.ends.values())

    def permitted(self, host: str, now: float) -> bool:
        """Whether datagrams to and from this host may pass."""
        permission = self.permissions.get(host)
        return permission is not None and now < permission.expires_at

    def room_for_permissions(self, hosts: set[str], now: float) -> bool:
        """Whether permissions for all of ``hosts`` fit; forgets ended ones if that is needed to find room."""
        if len(self.permissions) + len(hosts) <= MAX_PERMISSIONS:
            return True
        for host in [host for host, one in self.permissions.items() if now >= one.expires_at]:
            del self.permissions[host]
        return len(self.permissions.keys() | hosts) <= MAX_PERMISSIONS

    def permit(self, host: str, expires_at: float) -> None:
        """Install or extend a permission; the caller has asked `room_for_permissions`."""
        permission = self.permissions.get(host)
        if permission is None:
            self.permissions[host] = Permission(host, expires_at)
        else:
            permission.expires_at = expires_at

    def binding_of(self, channel: int, now: float) -> ChannelBinding | None:
        """The live binding of a channel number."""
        binding = self.channels.get(channel)
        return binding if binding is not None and now < binding.expires_at else None

    def binding_to(self, peer: Address, now: float) -> ChannelBinding | None:
        """The live binding of a peer."""
        binding = self.peers.get(peer)
        return binding if binding is not None and now < binding.expires_at else None

    def room_for_channel(self, channel: int, now: float) -> bool:
        """Whether this channel fits; forgets ended ones if that is needed to find room."""
        if channel in self.channels or len(self.channels) < MAX_CHANNELS:
            return True
        for ended in [one for one in self.channels.values() if now >= one.expires_at]:
            self._unbind(ended)
        return len(self.channels) < MAX_CHANNELS

    def bind(self, channel: int, peer: Address, expires_at: float) -> None:
        """Bind or extend; what either side was bound to before has ended and is forgotten."""
        binding = self.channels.get(channel)
        if binding is not None and binding.peer == peer:
            binding.expires_at = expires_at
            return
        for old in (binding, self.peers.get(peer)):
            if old is not None:
                self._unbind(old)
        self.channels[channel] = self.peers[peer] = ChannelBinding(channel, peer, expires_at)

    def _unbind(self, binding: ChannelBinding) -> None:
        del self.channels[binding.channel]
        del self.peers[binding.peer]


class Allocations:
    """All allocations by five-tuple, with what quotas count and the order in which they end."""

    def __init__(self) -> None:
        self._table: dict[FiveTuple, Allocation] = {}
        self._deadlines: list[tuple[float, int, Allocation]] = []
        self._order = itertools.count()
        self._numbers = itertools.count(1)
        self._users: dict[str, dict[Allocation, None]] = {}
        self._networks: Counter[str] = Counter()
        self.booked_bps = 0
        """What all of them together take of the bandwidth, in bytes a second."""

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[Allocation]:
        return iter(list(self._table.values()))

    def get(self, five_tuple: FiveTuple) -> Allocation | None:
        """The allocation of this client, ended or not."""
        return self._table.get(five_tuple)

    def of_user(self, user: str) -> int:
        """How many allocations the user has."""
        return len(self._users.get(user, ()))

    def by_user(self, user: str) -> tuple[Allocation, ...]:
        """The allocations of a user."""
        return tuple(self._users.get(user, ()))

    def of_network(self, network: str) -> int:
        """How many allocations the client network has."""
        return self._networks[network]

    def add(self, allocation: Allocation) -> None:
        """Take it in and charge its user and network."""
        self._table[allocation.five_tuple] = allocation
        allocation.number = next(self._numbers)
        self._users.setdefault(allocation.user, {})[allocation] = None
        self._networks[allocation.network] += 1
        self.booked_bps += allocation.booked_bps
        self._schedule(allocation)

    def extend(self, allocation: Allocation, expires_at: float, family: Family | None = None) -> None:
        """Let it, or its relay of one family, end at another moment."""
        allocation.lasts(expires_at, family)
        self._schedule(allocation)

    def forget(self, allocation: Allocation, family: Family) -> None:
        """One of its two relays is closed."""
        allocation.forget(family)
        self._schedule(allocation)

    def remove(self, allocation: Allocation) -> bool:
        """Take it out and give its units back; False if it was out already."""
        if self._table.get(allocation.five_tuple) is not allocation:
            return False
        del self._table[allocation.five_tuple]
        siblings = self._users[allocation.user]
        del siblings[allocation]
        if not siblings:
            del self._users[allocation.user]
        _give_back(self._networks, allocation.network)
        self.booked_bps -= allocation.booked_bps
        return True

    def move(self, allocation: Allocation, five_tuple: FiveTuple) -> None:
        """Its client is at another five-tuple, where no allocation is. It goes on being charged to the old network."""
        del self._table[allocation.five_tuple]
        allocation.five_tuple = five_tuple
        self._table[five_tuple] = allocation

    def next_deadline(self) -> float | None:
        """When the first relay ends, or None."""
        heap = self._deadlines
        while heap:
            expires_at, _, allocation = heap[0]
            if allocation.next_end == expires_at and self._table.get(allocation.five_tuple) is allocation:
                return expires_at
            heapq.heappop(heap)
        return None

    def ended(self, now: float) -> list[Allocation]:
        """Those of which a relay's time is over, perhaps one twice; they stay in the table until `remove`."""
        found: list[Allocation] = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            found.append(heapq.heappop(self._deadlines)[2])
        return found

    def _schedule(self, allocation: Allocation) -> None:
        if len(self._deadlines) > 2 * len(self._table) + 64:
            self._deadlines = [(one.next_end, next(self._order), one) for one in self._table.values()
                               if one is not allocation]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (allocation.next_end, next(self._order), allocation))


def _give_back(units: Counter[str], name: str) -> None:
    units[name] -= 1
    if units[name] <= 0:
        del units[name]
