"""What stands between this machine and the internet, and whether the relays are told the right address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rtcd.allocations.addresses import External
from rtcd.doctor.finding import Finding, broken, degraded, listed, note, ok, set_key
from rtcd.outside.external import is_public
from rtcd.stun.attributes import Address, family_of

_KINDS = ("nat.one-to-one", "nat.symmetric", "nat.restricted", "nat.unclear")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a STUN server says of a socket of ours."""

    local: Address
    mapped: Address | None = None
    """How it looks from there; None if nobody answered."""
    elsewhere: Address | None = None
    """How it looks from the server's other address (RFC 5780 §4.3); None if it has none."""
    let_in: bool | None = None
    """Whether an answer from that other address came through unasked (§4.4); None if that could not be tried."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of the hosts that relays are at."""

    ini: str
    hosts: Sequence[str]
    """Loopback left out."""
    configured: Sequence[External]
    """Addresses in ``[turn] external-ip``."""
    lines: Sequence[str]
    """Its lines, as they are written in the ini; none if the environment sets them."""
    found: Sequence[External]
    """What clouds and the STUN server tell; without a private address it is for the first host of its family."""
    server: str = ""
    """``[turn] stun-server``."""
    unresolved: str = ""
    """Why its name has no address; empty if it has."""
    seen: Sequence[Seen] = field(default_factory=tuple)
    reload: str = ""
    """Has the daemon read its ini again."""


def judge(facts: Facts) -> list[Finding]:
    """First whether what is written is right, then what kind of NAT it is."""
    found = _configured(facts)
    if facts.unresolved:
        found.append(degraded("nat.no-server", server=facts.server, reason=facts.unresolved))
    elif facts.server and facts.seen and not any(one.mapped for one in facts.seen):
        found.append(degraded("nat.silent", server=facts.server, hosts=listed(one.local[0] for one in facts.seen)))
    public = [host for host in facts.hosts if is_public(host)]
    if public:
        return [*found, ok("nat.none", addresses=listed(public))]
    for one in facts.seen:
        found += _kind(one, facts)
    if any(one.check == "nat" and one.id in _KINDS for one in found):
        return found
    known = [*facts.found, *facts.configured]
    if facts.found:
        return [*found, ok("nat.mapped", addresses=listed(_pair(one) for one in facts.found))]
    if known:
        return [*found, note("nat.unproved", addresses=listed(_pair(one) for one in known))]
    return [*found, note("nat.unknown", hosts=listed(facts.hosts) or "-", ini=facts.ini)]


def _configured(facts: Facts) -> list[Finding]:
    """An address that is written and is another one than was found for the same host."""
    wrong = []
    known = [*facts.found, *(External(host, host) for host in facts.hosts if is_public(host))]
    for one in facts.configured:
        others = [found for found in known if family_of(found.public) == family_of(one.public)
                  and (not one.private or not found.private or found.private == one.private)]
        if not others or any(found.public == one.public for found in others):
            continue
        line = next((line for line in facts.lines if line.partition("/")[0].strip() == one.public), one.public)
        right = f"{others[0].public}/{one.private}" if one.private and others[0].public != one.private else others[0].public
        reload = f" && {facts.reload}" if facts.reload else ""
        command = set_key(facts.ini, "external-ip", line, right) + reload if facts.lines else ""
        wrong.append(broken("nat.external-wrong", command=command, written=one.public, right=others[0].public))
    return wrong


def _kind(seen: Seen, facts: Facts) -> list[Finding]:
    if seen.mapped is None:
        return []
    values = {"local": _at(seen.local), "mapped": _at(seen.mapped), "server": facts.server}
    if seen.elsewhere is not None and seen.elsewhere != seen.mapped:
        return [degraded("nat.symmetric", elsewhere=_at(seen.elsewhere), **values)]
    if seen.mapped[0] == seen.local[0]:
        return []
    if seen.let_in is False:  # of a port that nobody forwards; those that are forwarded may be well
        return [note("nat.restricted", **values)]
    if seen.let_in is None or seen.mapped[1] != seen.local[1]:
        return [note("nat.unclear", **values)]
    return [ok("nat.one-to-one", **values)]


def _pair(one: External) -> str:
    return f"{one.public}/{one.private}" if one.private else one.public


def _at(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
