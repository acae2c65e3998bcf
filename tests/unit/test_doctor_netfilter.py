"""Whether a stranger's packet comes in, by the rules of nftables and iptables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.doctor.checks import firewall
from rtcd.doctor.checks.iptables import read_iptables
from rtcd.doctor.checks.netfilter import MAX_RULES, Ruleset, read_nft
from rtcd.doctor.checks.passage import Packet, judge

FIREWALLS = Path(__file__).resolve().parents[1] / "firewalls"
"""What the programs that list rules have printed where ufw and firewalld were on, with a few ports open: chains of packets
that come in, counters left out."""
AS_OPENED = {("udp", 3478): True, ("tcp", 443): True, ("udp", 49152): True, ("udp", 50175): True, ("tcp", 80): False,
             ("udp", 5349): False, ("tcp", 445): False}
"""In all of them, beside some that are not."""
PORT = {"payload": {"protocol": "udp", "field": "dport"}}


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    """A condition."""
    return {"match": {"op": op, "left": left, "right": right}}


def ruleset(*rules: list[dict[str, Any]], policy: str = "drop", more: Any = (), hook: str = "input") -> Ruleset:
    """A chain of these rules; ``more``: other objects of a listing."""
    chain = {"family": "inet", "table": "f", "name": "in", "hook": hook, "prio": 0, "policy": policy}
    made = [{"rule": {"family": "inet", "table": "f", "chain": "in", "handle": place, "expr": rule}}
            for place, rule in enumerate(rules)]
    return read_nft(json.dumps({"nftables": [{"metainfo": {}}, {"chain": chain}, *more, *made]}))


def comes_in(
    rules: Ruleset, protocol: str = "udp", port: int = 3478, version: int = 4, interface: str = ""
) -> bool | None:
    """A packet to this port."""
    return judge(rules, Packet(protocol, port, version, interface)).comes_in


class NftTests(SynchronousTestCase):
    """As ``nft -j list ruleset`` prints them."""

    def test_without_a_rule_the_policy_decides(self) -> None:
        self.assertTrue(comes_in(ruleset(policy="accept")))
        found = judge(ruleset(), Packet("udp", 3478, 4))
        self.assertEqual((found.comes_in, found.by), (False, "inet f in: policy drop"))

    def test_ports_are_told_one_by_one_in_sets_in_ranges_and_by_name(self) -> None:
        named = [{"set": {"family": "inet", "table": "f", "name": "ours", "elem": [1, {"range": [3000, 4000]}]}}]
        for right in (3478, {"set": [22, 3478]}, {"range": [3000, 4000]}, {"set": [{"range": [3478, 3479]}]}, "@ours"):
            rules = ruleset([match(PORT, right), {"accept": None}], more=named)
            found = comes_in(rules), comes_in(rules, port=5349), comes_in(rules, "tcp")
            self.assertEqual(found, (True, False, False), right)

    def test_conditions_that_no_strangers_first_packet_has(self) -> None:
        """What comes by loopback or belongs to a connection says nothing of strangers."""
        for condition in (match({"meta": {"key": "iifname"}}, "lo"), match({"meta": {"key": "iif"}}, "lo"),
                          match({"ct": {"key": "state"}}, ["established", "related"], "in"),
                          match({"meta": {"key": "nfproto"}}, "ipv6"), match({"payload": {"protocol": "icmp"}}, 8),
                          match({"meta": {"key": "l4proto"}}, "tcp"), match(PORT, 3478, "!=")):
            self.assertFalse(comes_in(ruleset([condition, {"accept": None}])), condition)
        self.assertTrue(comes_in(ruleset([match({"ct": {"key": "state"}}, "new"), {"accept": None}])))
        self.assertTrue(comes_in(ruleset([match({"meta": {"key": "l4proto"}}, {"set": ["tcp", "udp"]}), {"accept": None}])))

    def test_what_is_accepted_of_some_is_not_of_all(self) -> None:
        """Of addresses, of interfaces by name, up to a rate."""
        for condition in (match({"payload": {"protocol": "ip", "field": "saddr"}}, "10.0.0.1"), {"limit": {"rate": 5}},
                          match({"meta": {"key": "iifname"}}, "eth1"), {"xt": {"type": "match", "name": "geoip"}}):
            self.assertIsNone(comes_in(ruleset([condition, {"accept": None}])), condition)

    def test_interfaces_are_told_apart_where_it_is_known_by_which_it_comes(self) -> None:
        """By name, in a set, and by the beginning of a name."""
        for right, wanted in (("eth0", True), ("eth1", False), ({"set": ["eth1", "eth0"]}, True), ("eth*", True),
                              ("wlan*", False), ("lo", False)):
            rules = ruleset([match({"meta": {"key": "iifname"}}, right), {"accept": None}])
            self.assertEqual(comes_in(rules, interface="eth0"), wanted, right)

    def test_a_strangers_packet_comes_to_an_address_of_ours(self) -> None:
        """And from none of ours; the kernel has rewritten nothing of it."""
        daddr, saddr = ({"fib": {"result": "type", "flags": [one]}} for one in ("daddr", "saddr"))
        for condition, wanted in ((match(daddr, "local"), True), (match(daddr, "multicast"), False),
                                  (match(saddr, "local"), False), (match(saddr, "unicast"), None),
                                  (match({"ct": {"key": "status"}}, "dnat", "in"), False),
                                  (match({"ct": {"key": "status"}}, ["dnat", "snat"], "in"), False)):
            self.assertEqual(comes_in(ruleset([condition, {"accept": None}])), wanted, condition)

    def test_what_follows_a_return_of_some_is_for_some(self) -> None:
        """Those that came back have the rest of the chain above them."""
        place = {"family": "inet", "table": "f"}
        unknown = {"xt": {"type": "match", "name": "addrtype"}}
        for expressions, policy, wanted in (([{"drop": None}], "accept", True), ([{"accept": None}], "drop", None),
                                            ([{"counter": None}], "drop", False)):
            other = [{"chain": {**place, "name": "other"}},
                     {"rule": {**place, "chain": "other", "handle": 9, "expr": [unknown, {"return": None}]}},
                     {"rule": {**place, "chain": "other", "handle": 8, "expr": expressions}}]
            rules = ruleset([{"jump": {"target": "other"}}], policy=policy, more=other)
            self.assertEqual(comes_in(rules), wanted, expressions)

    def test_what_is_dropped_of_some_is_meant_for_others(self) -> None:
        """Bans are no closed port."""
        banned = match({"payload": {"protocol": "ip", "field": "saddr"}}, "@banned")
        self.assertTrue(comes_in(ruleset([banned, {"drop": None}], policy="accept")))

    def test_a_rule_that_drops_is_told(self) -> None:
        found = judge(ruleset([match(PORT, 3478), {"counter": {}}, {"reject": {}}], policy="accept"), Packet("udp", 3478, 4))
        self.assertEqual((found.comes_in, found.by), (False, "inet f in: handle 0 (reject)"))

    def test_chains_are_followed_and_come_back(self) -> None:
        place = {"family": "inet", "table": "f"}
        other = [{"chain": {**place, "name": "other"}},
                 {"rule": {**place, "chain": "other", "handle": 9, "expr": [match(PORT, 5349), {"drop": None}]}},
                 {"rule": {**place, "chain": "other", "handle": 8, "expr": [{"return": None}]}}]
        for verb, after in (("jump", True), ("goto", False)):
            rules = ruleset([{verb: {"target": "other"}}], [{"accept": None}], more=other)
            self.assertEqual((comes_in(rules), comes_in(rules, port=5349)), (after, False), verb)

    def test_a_chain_that_jumps_to_itself_ends(self) -> None:
        self.assertTrue(comes_in(ruleset([{"jump": {"target": "in"}}], [{"accept": None}])))

    def test_maps_decide_by_state_and_port(self) -> None:
        state = {"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["established", {"accept": None}]]}}}
        port = {"vmap": {"key": PORT, "data": {"set": [[22, {"drop": None}], [3478, {"accept": None}]]}}}
        self.assertTrue(comes_in(ruleset([state], [port])))
        self.assertFalse(comes_in(ruleset([state])))

    def test_every_base_chain_has_to_let_it_pass(self) -> None:
        """The first one of netdev, then those of prerouting and input; one of output has nothing to say."""
        early = [{"chain": {"family": "netdev", "table": "n", "name": "e", "hook": "ingress", "policy": "drop"}}]
        self.assertFalse(comes_in(ruleset(policy="accept", more=early)))
        self.assertTrue(comes_in(ruleset(hook="output")))

    def test_families_are_told_apart(self) -> None:
        six = read_nft(json.dumps({"nftables": [
            {"chain": {"family": "ip6", "table": "f", "name": "in", "hook": "input", "policy": "drop"}}]}))
        self.assertEqual((comes_in(six), comes_in(six, version=6)), (True, False))

    def test_there_are_so_many_rules_and_no_more(self) -> None:
        """What is beyond is not looked at, so a verdict comes in bounded time."""
        rules = ruleset(*[[{"counter": {}}]] * MAX_RULES, [{"accept": None}])
        self.assertFalse(comes_in(rules))

    def test_what_is_no_listing_is_refused(self) -> None:
        for text in ("", "[]", "{}", '{"nftables": 1}', "no"):
            self.assertRaises((ValueError, TypeError), read_nft, text)


SAVED = """# Generated by iptables-save
*nat
:PREROUTING ACCEPT [0:0]
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:ours - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 5349 -m comment --comment "the office" -j ACCEPT
-A INPUT -p tcp -m multiport --dports 80,443,8000:8010 -j ACCEPT
-A INPUT ! -p tcp -j ours
-A ours -p udp -m udp --dport 49152:50175 -j ACCEPT
COMMIT
"""


class IptablesTests(SynchronousTestCase):
    """As ``iptables-save`` prints them."""

    def test_the_table_filter_decides(self) -> None:
        rules = read_iptables(SAVED, 4)
        found = {(protocol, port): comes_in(rules, protocol, port) for protocol, port in (
            ("tcp", 443), ("tcp", 8005), ("tcp", 22), ("udp", 49152), ("udp", 3478), ("tcp", 5349))}
        self.assertEqual(found, {("tcp", 443): True, ("tcp", 8005): True, ("tcp", 22): False, ("udp", 49152): True,
                                 ("udp", 3478): False, ("tcp", 5349): None})

    def test_what_is_no_listing_is_refused(self) -> None:
        self.assertRaises(ValueError, read_iptables, "iptables: Permission denied", 4)


class ManagerTests(SynchronousTestCase):
    """Rules as ufw and firewalld write them."""

    def found(self, rules: Ruleset) -> dict[tuple[str, int], bool | None]:
        """What becomes of some ports."""
        return {(protocol, port): comes_in(rules, protocol, port, interface="eth0") for protocol, port in (
            ("udp", 3478), ("tcp", 443), ("udp", 49152), ("udp", 50175), ("tcp", 80), ("udp", 5349), ("tcp", 445))}

    def test_what_ufw_opens_is_open_and_what_it_does_not_is_closed(self) -> None:
        self.assertEqual(self.found(read_iptables((FIREWALLS / "ufw.iptables").read_text(), 4)), AS_OPENED)

    def test_what_ufw_opens_is_not_closed_where_nft_shows_a_half_of_its_rules(self) -> None:
        """It names the matches of iptables, and not what they match."""
        rules = read_nft((FIREWALLS / "ufw.nft.json").read_text())
        self.assertEqual(self.found(rules), {
            one: wanted if wanted and one != ("udp", 49152) and one != ("udp", 50175) else None
            for one, wanted in AS_OPENED.items()})
        self.assertEqual(rules.half, {("ip", "filter")})

    def test_what_firewalld_opens_is_open_and_what_it_does_not_is_closed(self) -> None:
        """Whether the interface is known or not."""
        rules = read_nft((FIREWALLS / "firewalld.nft.json").read_text())
        self.assertEqual(self.found(rules), AS_OPENED)
        self.assertEqual((comes_in(rules), comes_in(rules, "tcp", 80), rules.half), (True, False, frozenset()))


class CardTests(SynchronousTestCase):
    """What a firewall does at several interfaces."""

    def test_strangers_come_by_those_of_the_machine(self) -> None:
        """A port that is open at the only one is open; one that is closed to containers alone is meant to be."""
        rules = ruleset([match({"meta": {"key": "iifname"}}, "eth0"), match(PORT, 3478), {"accept": None}])
        opening = firewall.Opening("udp", 3478, 3478, "[turn] port")
        outer, inner = firewall.Card("eth0", True), firewall.Card("docker0", False)
        other = firewall.Card("eth1", True)
        for cards, wanted in (([outer], "firewall.open"), ([outer, inner], "firewall.open"),
                              ([outer, other], "firewall.partly"),
                              ([outer._replace(outer=False), other], "firewall.partly"),
                              ([other], "firewall.closed"), ([inner, other], "firewall.closed"),
                              ([outer._replace(outer=False), inner], "firewall.partly"), ([], "firewall.partly")):
            found = firewall.judge(firewall.Facts([(4, rules)], [opening], cards={4: cards}))
            self.assertEqual([one.id for one in found], [wanted], cards)

    def test_what_hangs_on_conditions_that_cannot_be_read_is_not_judged(self) -> None:
        """That a program is lacking is told in its place."""
        rules = read_nft((FIREWALLS / "ufw.nft.json").read_text())
        openings = [firewall.Opening("udp", one, one, "[turn] port") for one in (3478, 9)]
        found = firewall.judge(firewall.Facts([(4, rules)], openings, lacking=["iptables-save"]))
        self.assertEqual([(one.id, one.values) for one in found], [("firewall.no-program", {"programs": "iptables-save"})])


    def test_where_nothing_is_to_be_let_in_nothing_is_said(self) -> None:
        self.assertEqual(firewall.judge(firewall.Facts([(4, ruleset())], [])), [])


class CommandTests(SynchronousTestCase):
    """Who writes the rules has a command of its own."""

    def command(self, rules: Ruleset, first: int = 3478, last: int = 3478) -> str:
        """For a range that is closed."""
        opening = firewall.Opening("udp", first, last, "[turn] port")
        version = 6 if any(family == "ip6" for family, _, _ in rules.chains) else 4
        return firewall.judge(firewall.Facts([(version, rules)], [opening]))[0].command

    def test_each_manager_has_its_own(self) -> None:
        def with_chain(table: str, name: str) -> Ruleset:
            chain = {"family": "ip", "table": table, "hook": "input", "name": "first", "prio": -9, "policy": "drop"}
            return ruleset(more=[{"chain": chain}, {"chain": {"family": "ip", "table": table, "name": name}}])

        self.assertEqual(self.command(with_chain("f", "ufw-user-input"), 49152, 50175), "ufw allow 49152:50175/udp")
        self.assertEqual(self.command(with_chain("firewalld", "x"), 1, 2),
                         "firewall-cmd --permanent --add-port=1-2/udp && firewall-cmd --reload")
        self.assertEqual(self.command(read_iptables(SAVED, 4)), "iptables -I INPUT -p udp --dport 3478 -j ACCEPT")
        self.assertEqual(self.command(read_iptables(SAVED, 6, "iptables-legacy")),
                         "ip6tables-legacy -I INPUT -p udp --dport 3478 -j ACCEPT")

    def test_beside_ufw_another_table_is_mended_by_its_own_program(self) -> None:
        """What stops a packet is what is to let it through."""
        ufw = read_iptables((FIREWALLS / "ufw.iptables").read_text(), 4)
        self.assertEqual(ufw.managers, ["ufw"])
        both = ufw.having(ruleset())
        self.assertEqual(both.managers, ["ufw", "nft"])
        self.assertEqual(self.command(both), "nft insert rule inet f in udp dport 3478 accept")
        self.assertEqual(self.command(ufw, 5000, 5000), "ufw allow 5000/udp")

    def test_a_range_with_a_hole_is_closed(self) -> None:
        """Its ends alone would not tell."""
        rules = ruleset([match(PORT, {"range": [50000, 50010]}), {"drop": None}], policy="accept")
        self.assertEqual(self.command(rules, 49152, 50175), "nft insert rule inet f in udp dport 49152-50175 accept")
