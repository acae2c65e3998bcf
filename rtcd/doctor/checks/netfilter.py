"""The rules of a firewall, as far as they decide whether a packet comes in.

`read_nft` takes what ``nft -j list ruleset`` prints; rtcd.doctor.checks.iptables puts those of iptables into the same form,
and rtcd.doctor.checks.passage goes through them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MAX_RULES = 20000
"""Of one ruleset; what is beyond is not looked at."""
MAX_TEXT = 1 << 24
"""Bytes of a listing; sets of addresses can be long."""
HOOKS = ("ingress", "prerouting", "input")
"""By which a packet to this machine comes, in order."""

Expression = Mapping[str, Any]


class Rule(NamedTuple):
    """One, with a text that shows it."""

    expressions: Sequence[Expression]
    shown: str


@dataclass(slots=True)
class Chain:
    """Rules in order; a base chain has a hook."""

    family: str
    table: str
    name: str
    hook: str = ""
    priority: int = 0
    policy: str = "accept"
    tool: str = "nft"
    """The program that shows and changes it: ``nft``, ``iptables`` or ``iptables-legacy``."""
    rules: list[Rule] = field(default_factory=list)

    @property
    def place(self) -> str:
        """As commands name it."""
        return f"{self.family} {self.table} {self.name}"


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All of it."""

    chains: Mapping[tuple[str, str, str], Chain]
    sets: Mapping[tuple[str, str, str], Sequence[Any]] = field(default_factory=dict)
    half: frozenset[tuple[str, str]] = frozenset()
    """Family and table of those that nft shows a half of: it names the matches of iptables, and not what they match."""

    def manager(self, chain: Chain) -> str:
        """Who writes the table of this chain: ``ufw``, ``firewalld``, or nobody but its own tool."""
        names = [name for family, table, name in self.chains if (family, table) == (chain.family, chain.table)]
        if any(name.startswith(("ufw-", "ufw6-")) for name in names):
            return "ufw"
        if chain.table == "firewalld" or any(name.startswith("IN_public") for name in names):
            return "firewalld"
        return chain.tool

    @property
    def managers(self) -> list[str]:
        """All of them, of chains that packets to this machine go through."""
        return list(dict.fromkeys(self.manager(one) for one in self.chains.values() if one.hook in HOOKS)) or ["nft"]

    def having(self, other: Ruleset) -> Ruleset:
        """With the tables of another one, in the place of those that are the same."""
        tables = {(family, table) for family, table, _ in other.chains}
        kept = {place: chain for place, chain in self.chains.items() if place[:2] not in tables}
        return Ruleset({**kept, **other.chains}, {**self.sets, **other.sets}, self.half - tables)

    def base(self, version: int) -> list[Chain]:
        """The base chains that such a packet goes through."""
        families = ("inet", "netdev", "ip" if version == 4 else "ip6")
        found = [one for one in self.chains.values() if one.hook in HOOKS and one.family in families]
        return sorted(found, key=lambda one: (HOOKS.index(one.hook), one.priority))


def read_nft(text: str) -> Ruleset:
    """Raises ValueError if it is no such listing."""
    try:
        items = json.loads(text)["nftables"]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no listing of nftables: {error}") from None
    chains: dict[tuple[str, str, str], Chain] = {}
    sets: dict[tuple[str, str, str], Sequence[Any]] = {}
    half: set[tuple[str, str]] = set()
    left = MAX_RULES
    for item in items:
        kind, value = next(iter(item.items()))
        if kind == "chain":
            chains[value["family"], value["table"], value["name"]] = Chain(
                value["family"], value["table"], value["name"], value.get("hook", ""), int(value.get("prio", 0)),
                value.get("policy", "accept"))
        elif kind in ("set", "map"):
            sets[value["family"], value["table"], value["name"]] = value.get("elem", ())
        elif kind == "rule" and left:
            left -= 1
            chain = chains.get((value["family"], value["table"], value["chain"]))
            if chain is not None:
                expressions = value.get("expr", ())
                chain.rules.append(Rule(expressions, f"handle {value.get('handle', '?')}"))
                if any("xt" in one and one["xt"].get("type") == "match" for one in expressions):
                    half.add((chain.family, chain.table))
    return Ruleset(chains, sets, frozenset(half))


def ports(ruleset: Ruleset) -> Iterator[int]:
    """The port numbers that rules name, the ends of ranges with them: where a verdict may change."""
    def inside(value: Any) -> Iterator[int]:
        if isinstance(value, Mapping):
            for one in value.values():
                yield from inside(one)
        elif isinstance(value, list | tuple):
            for one in value:
                yield from inside(one)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield value

    for chain in ruleset.chains.values():
        for rule in chain.rules:
            for expression in rule.expressions:
                if "match" in expression or "vmap" in expression:
                    yield from inside(expression)
    for elements in ruleset.sets.values():
        yield from inside(elements)
