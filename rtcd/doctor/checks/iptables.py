"""The rules of iptables in the form of nftables: what ``iptables-save`` and ``ip6tables-save`` print, as a `Ruleset`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from rtcd.doctor.checks.netfilter import MAX_RULES, Chain, Expression, Rule, Ruleset


def read_iptables(text: str, version: int, tool: str = "iptables") -> Ruleset:
    """The table ``filter`` alone, whose chain INPUT decides. ``tool``: what changes these rules, ``iptables`` or
    ``iptables-legacy``, whose table is another one beside that of nftables. Raises ValueError if it is no such listing."""
    family, ours = "ip" if version == 4 else "ip6", "filter" if tool == "iptables" else "legacy filter"
    chains: dict[tuple[str, str, str], Chain] = {}
    table, left = "", MAX_RULES
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif table == "filter" and line.startswith(":"):
            name, policy = line[1:].split()[:2]
            hook = "input" if name == "INPUT" else ""
            chains[family, ours, name] = Chain(family, ours, name, hook, 0, policy.lower() if hook else "accept", tool)
        elif table == "filter" and line.startswith("-A ") and left:
            left -= 1
            words = shlex.split(line)
            chain = chains.get((family, ours, words[1]))
            if chain is not None:
                chain.rules.append(Rule(_translated(words[2:]), line))
    if not table:
        raise ValueError("no listing of iptables-save")
    return Ruleset(chains)


def _translated(words: Sequence[str]) -> list[Expression]:
    """The options of one rule of iptables in the words of nft; one that is not known here is a condition that is not
    understood."""
    found: list[Expression] = []
    rest, negated = iter(words), False
    protocol = "th"

    def match(left: Expression, right: Any) -> None:
        found.append({"match": {"op": "!=" if negated else "==", "left": left, "right": right}})

    for word in rest:
        if word == "!":
            negated = True
            continue
        if word in ("-p", "--protocol"):
            protocol = next(rest, "")
            if protocol != "all":
                match({"meta": {"key": "l4proto"}}, protocol)
        elif word in ("-i", "--in-interface"):
            match({"meta": {"key": "iifname"}}, _interface(next(rest, "")))
        elif word in ("--dport", "--dports", "--destination-port", "--destination-ports"):
            ranges = list(map(_range, next(rest, "").split(",")))
            match({"payload": {"protocol": protocol, "field": "dport"}}, {"set": ranges})
        elif word in ("--state", "--ctstate"):
            match({"ct": {"key": "state"}}, next(rest, "").lower().split(","))
        elif word == "--ctstatus":
            match({"ct": {"key": "status"}}, next(rest, "").lower().split(","))
        elif word in ("--dst-type", "--src-type"):
            kinds = next(rest, "").lower().split(",")
            match({"fib": {"result": "type", "flags": ["daddr" if word == "--dst-type" else "saddr"]}}, kinds)
        elif word in ("-m", "--match", "--comment", "--reject-with", "--log-prefix", "--log-level"):
            next(rest, "")
        elif word in ("-j", "--jump", "-g", "--goto"):
            found.append(_target(next(rest, ""), goto=word in ("-g", "--goto")))
        elif word.startswith("-"):
            found.append({"xt": word})
        negated = False
    return found


def _target(name: str, *, goto: bool) -> Expression:
    plain = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "reject", "RETURN": "return"}
    if name in plain:
        return {plain[name]: None}
    if name in ("LOG", "NFLOG", "MARK", "CONNMARK", "TRACE"):
        return {"counter": None}
    return {"goto" if goto else "jump": {"target": name}}


def _interface(name: str) -> str:
    """``eth+`` are all that begin so."""
    return f"{name[:-1]}*" if name.endswith("+") else name


def _range(text: str) -> Any:
    first, colon, last = text.partition(":")
    if colon:
        return {"range": [_number(first, 0), _number(last, 65535)]}
    return _number(first, -1)


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() else default
