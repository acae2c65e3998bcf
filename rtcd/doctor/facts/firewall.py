"""Reads the rules of nftables, and those of iptables where nft does not show them, or not all of them."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from collections.abc import Callable

import ifaddr

from rtcd.doctor.checks.firewall import Card, Facts, Opening
from rtcd.doctor.checks.iptables import read_iptables
from rtcd.doctor.checks.netfilter import MAX_TEXT, Ruleset, read_nft
from rtcd.doctor.facts.process import PROC
from rtcd.doctor.facts.subject import Subject

TIMEOUT_S = 5.0
PLACES = "/usr/sbin:/sbin:/usr/bin:/bin"
"""Where the programs are; an ordinary user's PATH leaves the first two out."""
MAX_CARDS = 16
"""Interfaces at which a packet's fate is looked at."""
MAX_ROUTES = 10000
_OLD = "iptables-legacy"
LESS = ("[doorway] http",)
"""Without these calls go on."""


def gather(subject: Subject) -> Facts:
    """As far as there are programs that read it."""
    openings = needed(subject)
    versions = own_versions(subject)
    nft = _program("nft")
    lacking: list[str] = []
    try:
        ruleset = read_nft(_run(nft, "-j", "list", "ruleset")) if nft else Ruleset({})
        rulesets = [(version, _with_iptables(ruleset, version, lacking, alone=not nft)) for version in versions]
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError) as error:
        return Facts((), openings, fault=str(error) or type(error).__name__, ini=subject.ini)
    if not nft and not any(one.chains for _, one in rulesets):
        rulesets = []
    return Facts(rulesets, openings, lacking=list(dict.fromkeys(lacking)), cards=cards(), ini=subject.ini)


def _with_iptables(ruleset: Ruleset, version: int, lacking: list[str], *, alone: bool) -> Ruleset:
    """And the tables ``filter`` that iptables has put into nftables, if nft has not shown them whole, and the old one of the
    kernel, of which nft knows nothing. ``alone``: there is no nft. Programs that are not there are added to ``lacking``."""
    ip = "ip" if version == 4 else "ip6"
    if alone or (ip, "filter") in ruleset.half:
        program = _program(f"{ip}tables-nft-save", f"{ip}tables-save")
        text = _run(program) if program else ""
        if "*filter" in text:
            ruleset = ruleset.having(read_iptables(text, version))
        elif not program:
            lacking.append("nft" if alone else f"{ip}tables-save")
    try:
        old = "filter" in (PROC / "self" / "net" / f"{ip}_tables_names").read_text().split()
    except OSError:
        old = False  # the kernel has none, or they are root's to see, and so are those of nft
    if old:
        program = _program(f"{ip}tables-legacy-save", f"{ip}tables-save")
        text = _run(program) if program else ""
        if not program:
            lacking.append(f"{ip}tables-legacy-save")
        elif "*filter" in text:
            ruleset = ruleset.having(read_iptables(text, version, _OLD if "legacy" in program else "iptables"))
    return ruleset


def own_versions(subject: Subject) -> list[int]:
    """Of IP, by which others come to this machine."""
    return sorted({ipaddress.ip_address(one).version for one in subject.addresses} or {4})


def cards() -> dict[int, list[Card]]:
    """The interfaces that have addresses, without loopback; those by which everything else is reached are the outer ones."""
    found: dict[int, dict[str, Card]] = {4: {}, 6: {}}
    outer = {4: _default("route", lambda words: words[0] if words[1] == words[7] == "0" * 8 else ""),
             6: _default("ipv6_route", lambda words: words[9] if words[0] == "0" * 32 and words[1] == "00" else "")}
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips:
            version = 4 if isinstance(one.ip, str) else 6
            address = ipaddress.ip_address(one.ip if isinstance(one.ip, str) else one.ip[0])
            if not address.is_loopback and not address.is_link_local and len(found[version]) < MAX_CARDS:
                name = adapter.name.partition(":")[0]
                found[version][name] = Card(name, name in outer[version])
    return {version: list(named.values()) for version, named in found.items()}


def _default(table: str, interface: Callable[[list[str]], str]) -> set[str]:
    """The interfaces of a routing table's ways to everywhere."""
    try:
        lines = (PROC / "self" / "net" / table).read_text().splitlines()
    except OSError:
        return set()
    return {name for line in lines[:MAX_ROUTES] if len(words := line.split()) >= 10 and (name := interface(words))}


def _program(*names: str) -> str:
    """The first that is there, or nothing."""
    return next(filter(None, (shutil.which(name, path=PLACES) for name in names)), "")


def needed(subject: Subject) -> list[Opening]:
    """What strangers have to reach, one opening a protocol and range; what is bound to loopback is for this machine."""
    found: dict[tuple[str, int, int], Opening] = {}
    for one in subject.wanted():
        if ipaddress.ip_address(one.host).is_loopback or one.key == "[doorway] plain":
            continue
        essential = one.key not in LESS
        found.setdefault((one.protocol, one.port, one.port), Opening(one.protocol, one.port, one.port, one.key, essential))
    turn = subject.section("turn")
    if turn is not None and not turn.stun_only and turn.udp_relay:
        found["udp", turn.min_port, turn.max_port] = Opening(
            "udp", turn.min_port, turn.max_port, "[turn] min-port", essential=False)
    return list(found.values())


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise OSError(f"{command[0]}: {done.stderr.strip()[:200] or f'exit code {done.returncode}'}")
    return done.stdout[:MAX_TEXT]
