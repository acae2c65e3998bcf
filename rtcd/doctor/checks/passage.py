"""Whether a stranger's first packet to a port of ours comes in, by the rules of a firewall.

A condition that is not understood, such as an address, makes a rule one for some packets only: to drop those is
taken as meant for others than us (bans, rate limits), to accept those as not for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rtcd.doctor.checks.netfilter import Chain, Rule, Ruleset

MAX_JUMPS = 16
"""The kernel allows as many."""


class Packet(NamedTuple):
    """The first packet of a stranger, from another machine."""

    protocol: str
    """``tcp`` or ``udp``."""
    port: int
    version: int
    interface: str = ""
    """By which it comes; empty: by any but that of this machine to itself."""


class Verdict(NamedTuple):
    """What becomes of a packet."""

    comes_in: bool | None
    """None: it does for some."""
    by: str = ""
    """What stops it."""
    chain: Chain | None = None
    """The base chain in which it is stopped."""


OPEN = Verdict(True)


def judge(ruleset: Ruleset, packet: Packet) -> Verdict:
    """Whether it comes in."""
    for chain in ruleset.base(packet.version):
        walk = _Walk(ruleset, chain, packet)
        verdict = walk.through(chain, 0)
        if verdict in ("drop", "reject") or (verdict == "" and chain.policy == "drop"):
            by = f"{walk.by} ({verdict})" if verdict else f"policy {chain.policy}"
            return Verdict(None if walk.some else False, f"{chain.place}: {by}", chain)
    return OPEN


class _Walk:
    """One packet through one base chain."""

    def __init__(self, ruleset: Ruleset, base: Chain, packet: Packet) -> None:
        self._ruleset = ruleset
        self._base = base
        self._packet = packet
        self.by = ""
        """The rule that decided."""
        self.some = False
        """Whether a rule before it accepts some of such packets."""

    def through(self, chain: Chain, depth: int) -> str:
        """``accept``, ``drop``, ``reject``, or nothing if no rule decides for all such packets."""
        all_here = True
        for rule in chain.rules:
            verdict, certain = self._rule(rule, chain, depth)
            if not verdict:
                continue
            if not (certain and all_here):
                self.some = self.some or verdict == "accept"
                all_here = all_here and verdict != "return"
                continue
            if verdict == "return":
                return ""
            if not self.by:
                self.by = f"{chain.name} {rule.shown}" if chain is not self._base else rule.shown
            return verdict
        return ""

    def _rule(self, rule: Rule, chain: Chain, depth: int) -> tuple[str, bool]:
        """What it decides, and whether for all such packets."""
        certain = True
        for expression in rule.expressions:
            kind, value = next(iter(expression.items()))
            if kind == "match":
                matches = self._match(value, chain)
                if matches is False:
                    return "", True
                certain = certain and bool(matches)
            elif kind == "vmap":
                verdict = self._vmap(value, chain)
                if verdict is None:
                    certain = False
                elif verdict:
                    return self._act(next(iter(verdict.items())), chain, depth, certain)
            elif kind in ("accept", "drop", "reject", "return", "jump", "goto"):
                return self._act((kind, value), chain, depth, certain)
            elif kind in ("limit", "xt", "queue", "quota", "connlimit", "fib"):
                certain = False
        return "", True

    def _act(self, verdict: tuple[str, Any], chain: Chain, depth: int, certain: bool) -> tuple[str, bool]:
        kind, value = verdict
        if kind not in ("jump", "goto"):
            return kind, certain
        target = self._ruleset.chains.get((chain.family, chain.table, value["target"]))
        if target is None or depth >= MAX_JUMPS:
            return "", True
        before = self.by
        decided = self.through(target, depth + 1)
        if not certain:
            self.by = before
        if kind == "goto" and not decided:
            return "return", certain
        return decided, certain

    def _match(self, match: Mapping[str, Any], chain: Chain) -> bool | None:
        value = self._value(match.get("left"))
        if value is None:
            return None
        if value is _NEVER:
            return False
        held = self._holds(match.get("right"), value, chain)
        if held is None:
            return None
        return not held if match.get("op") == "!=" else held

    def _vmap(self, vmap: Mapping[str, Any], chain: Chain) -> Mapping[str, Any] | None:
        """The verdict; an empty one if there is none for it, None if that cannot be told."""
        value = self._value(vmap.get("key"))
        if value is None:
            return None
        data = vmap.get("data")
        pairs = self._ruleset.sets.get((chain.family, chain.table, data[1:]), ()) if isinstance(data, str) else (
            data or {}).get("set", ())
        for key, verdict in pairs:
            if value is not _NEVER and self._holds(key, value, chain):
                found: Mapping[str, Any] = verdict
                return found
        return {}

    def _value(self, left: Any) -> Any:
        """What the packet has there; None if that cannot be told, `_NEVER` if it has no such thing."""
        if not isinstance(left, Mapping):
            return None
        packet, (kind, value) = self._packet, next(iter(left.items()))
        key = value.get("key") if isinstance(value, Mapping) else None
        if kind == "meta":
            known: dict[str, Any] = {
                "l4proto": packet.protocol, "nfproto": "ipv4" if packet.version == 4 else "ipv6",
                "protocol": "ip" if packet.version == 4 else "ip6"}
            known["iifname"] = known["iif"] = packet.interface or _ELSEWHERE
            return known.get(str(key))
        if kind == "ct":
            return {"state": "new", "status": ""}.get(str(key))  # nobody has rewritten it or answered
        if kind == "fib" and value.get("result") == "type":
            return "local" if value.get("flags") == ["daddr"] else _STRANGERS if value.get("flags") == ["saddr"] else None
        if kind == "payload":
            return self._payload(value.get("protocol"), value.get("field"))
        return None

    def _payload(self, protocol: Any, name: Any) -> Any:
        packet = self._packet
        if protocol in ("tcp", "udp", "th"):
            if protocol not in ("th", packet.protocol):
                return _NEVER
            return packet.port if name == "dport" else None
        if protocol in ("ip", "ip6"):
            if protocol != ("ip" if packet.version == 4 else "ip6"):
                return _NEVER
            return packet.protocol if name in ("protocol", "nexthdr") else None
        return _NEVER if protocol in ("icmp", "icmpv6", "arp", "sctp", "dccp") else None

    def _holds(self, right: Any, value: Any, chain: Chain) -> bool | None:
        if value is _ELSEWHERE:  # by some interface, but not by that of this machine to itself
            return False if right in ("lo", ["lo"], {"set": ["lo"]}) else None
        if value is _STRANGERS:
            return False if right in ("local", ["local"]) else None
        if isinstance(right, str) and right.startswith("@"):
            return self._any(self._ruleset.sets.get((chain.family, chain.table, right[1:]), ()), value, chain)
        if isinstance(right, list):
            return self._any(right, value, chain)
        if isinstance(right, Mapping):
            if "set" in right:
                return self._any(right["set"], value, chain)
            if "range" in right:
                first, last = right["range"]
                return isinstance(value, int) and isinstance(first, int) and first <= value <= last
            if "elem" in right:
                return self._holds(right["elem"].get("val"), value, chain)
            return None
        if isinstance(right, str) and right.endswith("*"):
            return isinstance(value, str) and value.startswith(right[:-1])
        return bool(right == value)

    def _any(self, items: Sequence[Any], value: Any, chain: Chain) -> bool | None:
        held = [self._holds(one, value, chain) for one in items]
        return True if True in held else None if None in held else False


_NEVER = object()
_ELSEWHERE = object()
_STRANGERS = object()
"""The kind of an address that is not of this machine."""
