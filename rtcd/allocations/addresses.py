"""Relayed transport addresses to give out: which host, which port, and the external address that clients are told.

Peers to refuse are rtcd.peers.policy. Sources: RFC 8656 §7.2, RFC 6056 §3.3.1 (random ports).
"""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from rtcd.stun.attributes import Address, Family, family_of

PORT_REST_S = 5.0
"""A released port rests so long before it is given out again, as long as another one is free."""
MAX_PORT_TRIES = 100
"""Ports that may be found taken by others before an Allocate is answered with 508."""


def canonical_host(text: str) -> str:
    """A numeric host as sockets write it. Raises ValueError."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(f"{text.strip()!r} is no IPv4 or IPv6 address") from None


@dataclass(frozen=True, slots=True)
class External:
    """A public address that stands for a private one of ours, or for all of its family if `private` is empty."""

    public: str
    private: str = ""


def parse_external(line: str) -> External:
    """``public`` or ``public/private``. Raises ValueError with a sentence for the operator."""
    public, slash, private = line.partition("/")
    found = External(canonical_host(public), canonical_host(private) if slash else "")
    if found.private and family_of(found.public) != family_of(found.private):
        raise ValueError(f"{line!r} joins two families; give each family an entry of its own")
    if ipaddress.ip_address(found.public).is_unspecified:
        raise ValueError(f"{line!r} is no address that a client can reach")
    return found


MAX_FORMER = 16
"""External addresses of the past that are still reached at their private ones, the latest of them."""


class RelayAddresses:
    """The hosts that relays are bound to, and how they look from outside, which may change."""

    def __init__(self, hosts: Sequence[str], external: Iterable[External] = ()) -> None:
        """``hosts``: canonical, in the order of preference, loopback always last. A public address without a private
        one stands for every host of its family, and is itself reached at the first. Raises ValueError for a mapping
        of a host not among them, and for a second mapping of one host or public address."""
        self.hosts = tuple(sorted(hosts, key=lambda host: ipaddress.ip_address(host).is_loopback))
        self._outside: dict[Family, list[str]] = {Family.IPV4: [], Family.IPV6: []}
        self._loopback: dict[Family, list[str]] = {Family.IPV4: [], Family.IPV6: []}
        for host in self.hosts:
            (self._loopback if ipaddress.ip_address(host).is_loopback else self._outside)[family_of(host)].append(host)
        self._public: dict[str, str] = {}
        self._private: dict[str, str] = {}
        self._former: dict[str, str] = {}
        self._reached: dict[str, str] = {}
        """Both of these; the present ones win."""
        self.remap(external)

    def remap(self, external: Iterable[External], told: Collection[str] = ()) -> bool:
        """Other external addresses for relays from now on; whether that is a change. Raises ValueError like the
        constructor, and changes nothing then.

        ``told``: the hosts that clients of living allocations know. An address of the past is reached at its private
        one as long as it is among them: it may be somebody else's afterwards.
        """
        public: dict[str, str] = {}
        private: dict[str, str] = {}
        for one in sorted(external, key=lambda one: not one.private):
            insiders = (one.private,) if one.private else tuple(
                host for host in self.hosts if family_of(host) == family_of(one.public) and host not in public)
            if not insiders or insiders[0] not in self.hosts:
                raise ValueError(f"{one.private or one.public} belongs to no relay address ({', '.join(self.hosts)})")
            if one.public in private or any(host in public for host in insiders):
                raise ValueError(f"{one.public} or its private address is there twice")
            private[one.public] = insiders[0]
            for host in insiders:
                public[host] = one.public
        changed = public != self._public
        former = [(old, host) for old, host in (self._former | self._private).items() if old in told and old not in private]
        self._public, self._private, self._former = public, private, dict(former[-MAX_FORMER:])
        self._reached = self._former | private
        return changed

    def mapping(self) -> dict[str, str]:
        """The external address of each host that has one."""
        return dict(self._public)

    def choose(self, family: Family, asked: str) -> str | None:
        """The host for a relay of this family of a client that came to our address ``asked``, or None.

        The same address if relays may be there, else the first of the family; loopback only if nothing else is there.
        """
        candidates = self._outside[family] or self._loopback[family]
        if asked in candidates:
            return asked
        return candidates[0] if candidates else None

    def bound(self) -> tuple[str, ...]:
        """The hosts that `choose` may return: those on which there are relays of ours."""
        return tuple(host for family in Family for host in self._outside[family] or self._loopback[family])

    def shown(self, relayed: Address) -> Address:
        """What the client is told instead of the address that the relay is bound to."""
        host, port = relayed
        return self._public.get(host, host), port

    def reached(self, host: str) -> str:
        """Where our packets to ``host`` must go: an external address of ours is reached at its private one."""
        return self._reached.get(host, host)


class Ports:
    """The relay ports of one host, given out at random."""

    def __init__(self, ports: range, choose: Callable[[int], int]) -> None:
        """``choose(n)``: an unguessable number from 0 up to n, not included."""
        self._free: tuple[list[int], list[int]] = ([one for one in ports if one % 2 == 0], [one for one in ports if one % 2])
        """The even ones and the odd ones."""
        self._resting: deque[tuple[int, float]] = deque()
        self._choose = choose

    def take(self, now: float, even: bool = False) -> int | None:
        """A port that nobody has, or None. One released less than `PORT_REST_S` ago is given only if no other is left."""
        resting = self._resting
        while resting and not 0 <= now - resting[0][1] < PORT_REST_S:
            port = resting.popleft()[0]
            self._free[port % 2].append(port)
        evens, odds = self._free
        choices = len(evens) if even else len(evens) + len(odds)
        if not choices:
            return self._take_resting(even)
        index = self._choose(choices)
        free, index = (evens, index) if index < len(evens) else (odds, index - len(evens))
        free[index], free[-1] = free[-1], free[index]
        return free.pop()

    def claim(self, port: int) -> bool:
        """Take this very port, if nobody has it and it does not rest."""
        free = self._free[port % 2]
        if port not in free:
            return False
        free.remove(port)
        return True

    def _take_resting(self, even: bool) -> int | None:
        for entry in self._resting:
            if not (even and entry[0] % 2):
                self._resting.remove(entry)
                return entry[0]
        return None

    def give_back(self, port: int, now: float) -> None:
        """A port from `take` is no longer used."""
        self._resting.append((port, now))
