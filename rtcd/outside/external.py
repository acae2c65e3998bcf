"""External addresses: what the operator may write, which found answers are good, and what they mean for our hosts.

Behind NAT the public address may be a name that changes, or unknown until somebody is asked. Asking is the shell's
(rtcd.outside.metadata, rtcd.outside.reflexive, rtcd.outside.outside); the table that results is rtcd.allocations.addresses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rtcd.allocations.addresses import External, RelayAddresses, canonical_host, parse_external
from rtcd.peers.policy import canonical, class_of
from rtcd.stun.attributes import XOR_MAPPED_ADDRESS, Address, Family, family_of
from rtcd.stun.message import Class, Method, decode, encode

AUTO = "auto"
MAX_LINES = 64
"""Entries of external-ip."""
MAX_ANSWERS = 64
"""Addresses of one answer, of a cloud or of the DNS, that are looked at."""

_NAME = re.compile(r"(?=.{4,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?",
                   re.ASCII | re.IGNORECASE)
_LOOPBACK = "loopback"


@dataclass(frozen=True, slots=True)
class Named:
    """A host name whose address stands for a private one of ours, or for all of its family if `private` is empty."""

    name: str
    private: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the operator wants: mappings that are known, names to resolve, and whether to find out the rest."""

    fixed: tuple[External, ...] = ()
    named: tuple[Named, ...] = ()
    auto: bool = False


def parse_plan(lines: Iterable[str]) -> Plan:
    """Lines of ``auto``, ``public``, ``public/private``, where public may be a name. Raises ValueError with a sentence."""
    fixed: list[External] = []
    named: list[Named] = []
    auto = False
    for number, line in enumerate(lines):
        if number >= MAX_LINES:
            raise ValueError(f"more than {MAX_LINES} entries; leave out those of addresses that have no relays")
        public, slash, private = (one.strip() for one in line.partition("/"))
        if public.lower() == AUTO:
            if slash:
                raise ValueError(f"{line!r}: auto finds by itself for which addresses; write auto alone")
            auto = True
            continue
        inner = canonical_host(private) if slash else ""
        if _is_name(public):
            named.append(Named(public.lower(), inner))
            continue
        try:
            canonical_host(public)
        except ValueError:
            raise ValueError(f"{public!r} is no address, no full host name and not auto") from None
        fixed.append(parse_external(line))
    if len(set(named)) != len(named):
        raise ValueError("a name is there twice; keep one of them")
    return Plan(tuple(fixed), tuple(named), auto)


def parse_server(text: str) -> Address | None:
    """``host:port``, an IPv6 address in brackets; None if empty. Raises ValueError with a sentence."""
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 0x10000):
        raise ValueError(f"{text!r} is not host:port; write for example stun.example.org:3478")
    if host.startswith("[") and host.endswith("]"):
        return canonical_host(host[1:-1]), int(port)
    if _is_name(host):
        return host, int(port)
    if ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, as [2001:db8::1]:3478")
    return canonical_host(host), int(port)


def _is_name(text: str) -> bool:
    """Whether it is a full host name; a mistyped IPv4 address is none."""
    return _NAME.fullmatch(text) is not None and not text.rstrip(".").rpartition(".")[2].isdigit()


def is_public(host: str) -> bool:
    """Whether it is one unicast address of the internet: no private, loopback, link-local or other special one."""
    try:
        address, wrapped = canonical(host)
    except ValueError:
        return False
    return not wrapped and not class_of(address)


def usable(answers: Iterable[External]) -> tuple[External, ...]:
    """The answers to believe: a public address, and with it none or a private one of its family; canonical."""
    found = []
    for _, one in zip(range(MAX_ANSWERS), answers, strict=False):
        try:
            public = canonical_host(one.public)
            private = canonical_host(one.private) if one.private.strip() else ""
        except ValueError:
            continue
        if is_public(public) and public != private and not (private and family_of(private) != family_of(public)):
            found.append(External(public, private))
    return tuple(dict.fromkeys(found))


def binding(transaction_id: bytes) -> bytes:
    """A Binding request."""
    return encode(Method.BINDING, Class.REQUEST, transaction_id)


def mapped(data: bytes, transaction_id: bytes) -> str | None:
    """The host that the answer to our Binding tells, an empty text if it refuses, None if it is no answer to it."""
    try:
        message = decode(data)
        if message.method is not Method.BINDING or message.transaction_id != transaction_id:
            return None
        if message.class_ is Class.ERROR:
            return ""
        address = message.get(XOR_MAPPED_ADDRESS) if message.class_ is Class.SUCCESS else None
    except ValueError:
        return None
    return address[0] if address is not None else None


class Findings:
    """What is known about the outside of our relay hosts: each fact stays until a newer one replaces it."""

    def __init__(self, plan: Plan, hosts: Sequence[str]) -> None:
        """``hosts``: of the relays, canonical, in the order of preference. Raises ValueError for a name whose private
        address is not among them."""
        for one in plan.named:
            if one.private and one.private not in hosts:
                raise ValueError(f"{one.private} belongs to no relay address ({', '.join(hosts)})")
        self.plan = plan
        self._hosts = tuple(hosts)
        self._names: dict[Named, dict[Family, str]] = {}
        self._found: dict[str, str] = {}
        """Public addresses that were found out, by private one."""

    def inherit(self, older: Findings) -> None:
        """Begin with what was known before a reload."""
        self._names = {named: dict(known) for named, known in older._names.items() if named in self.plan.named}
        self._found = dict(older._found)

    def lacking(self) -> tuple[str, ...]:
        """The hosts that `auto` is to find a public address for.

        None of a family that has a public address among the hosts: such a machine is not behind NAT, and its private
        addresses are those of other networks.
        """
        if not self.plan.auto:
            return ()
        given = [*self.plan.fixed, *(External(public, one.private) for one in self.plan.named
                                     for public in self._names.get(one, {}).values())]
        lacking: list[str] = []
        for family in Family:
            hosts = [host for host in self._hosts if family_of(host) == family and not _is_loopback(host)]
            if any(map(is_public, hosts)) or any(family_of(one.public) == family and not one.private for one in given):
                continue
            taken = {one.private for one in given}
            lacking += [host for host in hosts if host not in taken]
        return tuple(lacking)

    def resolved(self, named: Named, addresses: Iterable[str]) -> bool:
        """A name has these addresses now; whether one of them is of use. One that is already known is kept, so that the
        order in which the DNS tells several does not matter."""
        known = self._names.setdefault(named, {})
        hosts = [named.private] if named.private else self._hosts
        families = {family_of(host) for host in hosts}
        good = [one.public for one in usable(External(address) for address in addresses)]
        for family in families:
            choices = sorted(host for host in good if family_of(host) == family)
            if choices and known.get(family) not in choices:
                known[family] = choices[0]
        return any(family_of(host) in families for host in good)

    def found(self, answers: Iterable[External]) -> tuple[str, ...]:
        """Somebody was asked and said this; returns the hosts that still have no answer.

        A private address that the answer names counts if it is ours. An answer that names none, or one that is not
        ours (of the machine around our container), is for the first host of its family.
        """
        lacking = self.lacking()
        new: dict[str, str] = {}
        answers = usable(answers)
        for one in answers:
            if one.private in lacking and one.public not in new.values():
                new.setdefault(one.private, one.public)
        for one in answers:
            first = next((host for host in lacking if family_of(host) == family_of(one.public)), "")
            told = any(family_of(host) == family_of(one.public) for host in new)
            if first and not told and one.private not in self._hosts:
                new[first] = one.public
        if new:
            moved = set(new.values())
            self._found = {host: public for host, public in self._found.items() if public not in moved} | new
        return tuple(host for host in lacking if host not in new)

    def mapping(self) -> tuple[External, ...]:
        """For `RelayAddresses.remap`: what the operator wrote, then names, then what was found; never two for one."""
        chosen = list(self.plan.fixed)
        later = [External(public, one.private) for one in sorted(self.plan.named, key=lambda one: not one.private)
                 for _, public in sorted(self._names.get(one, {}).items())]
        lacking = self.lacking()
        later += [External(public, host) for host, public in self._found.items() if host in lacking]
        for one in later:
            try:
                RelayAddresses(self._hosts, [*chosen, one])
            except ValueError:
                continue  # its place is taken
            chosen.append(one)
        return tuple(chosen)

    def is_stranded(self) -> bool:
        """Whether nothing at all is known although every relay is at a private address."""
        hosts = [host for host in self._hosts if not _is_loopback(host)]
        return bool(hosts) and not self.mapping() and not any(map(is_public, hosts))


def _is_loopback(host: str) -> bool:
    return class_of(ipaddress.ip_address(host)) == _LOOPBACK
