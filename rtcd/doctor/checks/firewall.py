"""The firewall of this machine: which of its rules keep strangers from our ports. Others beside it, such as a cloud's
security group, cannot be seen from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rtcd.doctor.checks.netfilter import Ruleset, ports
from rtcd.doctor.checks.passage import OPEN, Packet, Verdict
from rtcd.doctor.checks.passage import judge as judge_packet
from rtcd.doctor.finding import Finding, as_root, broken, degraded, listed, note, ok

MAX_TRIED = 64
"""Ports of one range whose fate is looked at."""


class Opening(NamedTuple):
    """What has to be let in."""

    protocol: str
    first: int
    last: int
    key: str
    """``[section] key``, of the ini."""
    essential: bool = True
    """Whether calls fail without it."""

    @property
    def shown(self) -> str:
        """``3478``, or ``49152-50175``."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


class Card(NamedTuple):
    """An interface by which strangers may come."""

    name: str
    outer: bool
    """Whether the way to everywhere leads by it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What could be read."""

    rulesets: Sequence[tuple[int, Ruleset]]
    """IP version and rules; nftables' are there for each version."""
    openings: Sequence[Opening]
    fault: str = ""
    """Why the rules cannot be read."""
    lacking: Sequence[str] = ()
    """Programs that would have read rules, and are not there."""
    cards: Mapping[int, Sequence[Card]] = field(default_factory=dict)
    """By IP version; none stand for any."""
    ini: str = ""


def judge(facts: Facts) -> list[Finding]:
    """A finding for each opening that is closed, by any version of IP."""
    if facts.fault:
        return [note("firewall.unread", reason=facts.fault, command=as_root(facts.ini))]
    found = [note("firewall.no-program", programs=listed(facts.lacking))] if facts.lacking else []
    if not facts.rulesets or not facts.openings:
        return found
    for opening in facts.openings:
        seen: list[tuple[int, Ruleset, Verdict]] = []
        for version, ruleset in facts.rulesets:
            verdict = _worst(ruleset, opening, version, facts.cards.get(version, ()))
            if verdict.comes_in is not True and not _hidden(verdict, ruleset):
                seen.append((version, ruleset, verdict))
        if not seen:
            continue
        closed = any(one.comes_in is False for _, _, one in seen)
        versions, (_, ruleset, verdict) = [one for one, _, _ in seen], next(
            one for one in seen if not closed or one[2].comes_in is False)
        values = {"protocol": opening.protocol, "ports": opening.shown, "key": opening.key, "rule": verdict.by,
                  "versions": listed(f"IPv{one}" for one in versions), "manager": _manager(ruleset, verdict)}
        commands = list(dict.fromkeys(_command(opening, one, each) for _, one, each in seen))
        level = broken if closed and opening.essential else degraded
        found.append(level("firewall.closed" if closed else "firewall.partly", command=" && ".join(commands), **values))
    managers = dict.fromkeys(one for _, ruleset in facts.rulesets for one in ruleset.managers)
    opened = listed(f"{one.protocol} {one.shown}" for one in facts.openings)
    return found or [ok("firewall.open", manager=listed(managers), ports=opened)]


def _worst(ruleset: Ruleset, opening: Opening, version: int, cards: Sequence[Card]) -> Verdict:
    """Verdicts change at the ports that rules name, so it is enough to try those and the ends."""
    named = {port for one in ports(ruleset) for port in (one - 1, one, one + 1) if opening.first <= port <= opening.last}
    tried = [opening.first, opening.last, *sorted(named)[:MAX_TRIED]]
    verdicts = [_by_all(ruleset, Packet(opening.protocol, port, version), cards) for port in tried]
    return min(verdicts, key=lambda one: 0 if one.comes_in is False else 1 if one.comes_in is None else 2)


def _by_all(ruleset: Ruleset, packet: Packet, cards: Sequence[Card]) -> Verdict:
    """By every interface. One that is closed on the inside, as to containers, is closed on purpose."""
    if not cards:
        return judge_packet(ruleset, packet)
    seen = [(one, judge_packet(ruleset, packet._replace(interface=one.name))) for one in cards]
    closed = [verdict for _, verdict in seen if verdict.comes_in is not True]
    outer = [verdict for card, verdict in seen if card.outer] or [verdict for _, verdict in seen]
    if all(one.comes_in for one in outer):
        return OPEN
    if all(verdict.comes_in is False for _, verdict in seen):
        return closed[0]
    return closed[0]._replace(comes_in=None)


def _hidden(verdict: Verdict, ruleset: Ruleset) -> bool:
    """Whether it depends on conditions that could not be read."""
    chain = verdict.chain
    return verdict.comes_in is None and chain is not None and (chain.family, chain.table) in ruleset.half


def _manager(ruleset: Ruleset, verdict: Verdict) -> str:
    return ruleset.manager(verdict.chain) if verdict.chain is not None else "nft"


def _command(opening: Opening, ruleset: Ruleset, verdict: Verdict) -> str:
    """For the table that stops it: there may be others beside it, which other programs write."""
    shown, protocol, manager = opening.shown, opening.protocol, _manager(ruleset, verdict)
    if manager == "ufw":
        return f"ufw allow {shown.replace('-', ':')}/{protocol}"
    if manager == "firewalld":
        return f"firewall-cmd --permanent --add-port={shown}/{protocol} && firewall-cmd --reload"
    if manager.startswith("iptables"):
        tool = manager.replace("ip", "ip6", 1) if verdict.chain is not None and verdict.chain.family == "ip6" else manager
        return f"{tool} -I INPUT -p {protocol} --dport {shown.replace('-', ':')} -j ACCEPT"
    place = verdict.chain.place if verdict.chain is not None else "inet filter input"
    return f"nft insert rule {place} {protocol} dport {shown} accept"
