"""The public name: what the DNS says of it, beside the addresses that this machine has outside."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from rtcd.doctor.finding import Finding, broken, degraded, listed, note, ok
from rtcd.front.origin import is_loopback
from rtcd.outside.external import is_public


@dataclass(frozen=True, slots=True)
class Facts:
    """What was asked."""

    url: str
    """``[doorway] public-url``; empty if it is not set."""
    host: str = ""
    """Its host."""
    resolved: Sequence[str] = ()
    """The addresses of the host, canonical."""
    fault: str = ""
    """What the resolver said instead."""
    own: Sequence[str] = ()
    """The addresses of this machine, loopback left out."""
    outside: Sequence[str] = ()
    """Public addresses that were found to stand for it."""
    proxied: bool = False
    """Whether the site is behind a proxy, which may be elsewhere."""
    silent: bool = False
    """Whether the resolver said that nobody has answered it."""


def judge(facts: Facts) -> list[Finding]:
    """IPv4 and IPv6 for themselves: phones choose one."""
    if not facts.url:
        return [note("names.none")]
    if facts.fault and facts.silent:
        return [degraded("names.no-answer", host=facts.host, reason=facts.fault)]
    if facts.fault:
        return [broken("names.unknown", host=facts.host, reason=facts.fault, addresses=listed(_public(facts)) or "-")]
    loopback = [one for one in facts.resolved if is_loopback(one)]
    if loopback and not is_loopback(facts.host):
        shown = listed(_public(facts) or facts.own) or "-"
        return [note("names.loopback", host=facts.host, resolved=listed(loopback), public=shown)]
    found: list[Finding] = []
    for version, record in ((4, "A"), (6, "AAAA")):
        found += _family(facts, version, record)
    good = ok("names.good", host=facts.host, addresses=listed(facts.resolved))
    return found or [good]


def _family(facts: Facts, version: int, record: str) -> list[Finding]:
    resolved = [one for one in facts.resolved if _version(one) == version]
    ours = [one for one in (*facts.own, *facts.outside) if _version(one) == version]
    public = [one for one in _public(facts) if _version(one) == version]
    values = {"host": facts.host, "record": record, "resolved": listed(resolved) or "-", "ours": listed(ours) or "-",
              "public": listed(public or ours) or "-"}
    if not resolved:
        named = _version(facts.host) != 0
        return [note("names.no-ipv6", **values)] if version == 6 and public and not named else []
    strangers = [one for one in resolved if one not in ours]
    if not strangers:
        return []
    values["strangers"] = listed(strangers)
    if facts.proxied:
        return [note("names.proxy", **values)]
    if not public and all(is_public(one) for one in strangers):
        return [note("names.unproved", **values)]
    if len(strangers) < len(resolved):
        return [degraded("names.partly-elsewhere", **values)]
    if version == 6:
        return [degraded("names.elsewhere-ipv6", **values)]
    return [broken("names.elsewhere", **values)]


def _public(facts: Facts) -> list[str]:
    return [one for one in dict.fromkeys((*facts.own, *facts.outside)) if is_public(one)]


def _version(host: str) -> int:
    """4, 6, or 0 for what is no address."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return 0
