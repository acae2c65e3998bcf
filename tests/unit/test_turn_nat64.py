"""The IPv4 address inside an IPv6 one that a NAT64 translates, and the prefixes as operators write them."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.peers import nat64
from rtcd.peers.nat64 import LENGTHS, embedded, parse_prefix, parse_prefixes
from rtcd.peers.policy import PeerPolicy, canonical
from rtcd.ranges import parse_ranges

FORMS = {
    "2001:db8::/32": "2001:db8:c000:221::", "2001:db8:100::/40": "2001:db8:1c0:2:21::",
    "2001:db8:122::/48": "2001:db8:122:c000:2:2100::", "2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::",
    "2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100::", "2001:db8:122:344::/96": "2001:db8:122:344::192.0.2.33",
}
"""192.0.2.33 by a prefix of each length (RFC 6052 §2.4)."""

WORDS = st.integers(0, 2**32 - 1)


class Embedded(SynchronousTestCase):
    def test_the_length_of_the_prefix_says_where_the_address_stands(self) -> None:
        self.assertEqual(tuple(parse_prefix(one).prefixlen for one in FORMS), LENGTHS)
        for prefix, address in FORMS.items():
            self.assertEqual(str(embedded(ipaddress.IPv6Address(address), parse_prefix(prefix))), "192.0.2.33", prefix)

    @given(st.sampled_from(LENGTHS), WORDS, st.integers(0, 255), st.integers(0, 2**24 - 1))
    def test_what_stands_behind_it_and_in_the_unused_bits_does_not_matter(
        self, length: int, inside: int, unused: int, suffix: int
    ) -> None:
        """RFC 6052 §2.2: bits 64 to 71 are skipped, and the suffix is nobody's."""
        prefix = ipaddress.IPv6Network((0x2606 << 112, length))
        bits = f"{int(prefix.network_address):0128b}"[:length] + f"{inside:032b}"
        if length < 96:
            bits = bits[:64] + f"{unused:08b}" + bits[64:]
        bits += f"{suffix:024b}" * 3
        self.assertEqual(int(embedded(ipaddress.IPv6Address(int(bits[:128], 2)), prefix)), inside)


class Prefixes(SynchronousTestCase):
    def test_what_is_no_prefix_of_a_nat64_is_refused(self) -> None:
        for text in ("", "x", "2001:db8::1", "2001:db8::/33", "2001:db8::/0", "2001:db8::/128", "2001:db8::1/96",
                     "10.0.0.0/8", "2001:db8:0:0:100::/96"):
            self.assertRaises(ValueError, parse_prefix, text)

    def test_the_longer_one_counts_where_one_lies_in_another(self) -> None:
        prefixes = parse_prefixes(["2001:db8::/32", "2001:db8:1::/96"])
        self.assertEqual(str(canonical("2001:db8:1::10.0.0.1", prefixes)[0]), "10.0.0.1")
        self.assertEqual(str(canonical("2001:db8:a00:2::", prefixes)[0]), "10.0.0.2")

    def test_there_may_be_so_many_and_no_more(self) -> None:
        self.patch(nat64, "MAX_PREFIXES", 2)
        self.assertEqual(len(parse_prefixes(["64:ff9b::/96"] * 2)), 2)
        self.assertRaises(ValueError, parse_prefixes, ["64:ff9b::/96"] * 3)


class Policy(SynchronousTestCase):
    """CVE-2026-73212: forms of IPv4 in IPv6 go round the lists."""

    def test_what_is_behind_the_nat64_is_never_a_peer_and_is_judged_as_ipv4(self) -> None:
        policy = PeerPolicy(allowed=parse_ranges(["::/0"]), private=True, nat64=parse_prefixes(FORMS))
        for address in FORMS.values():
            self.assertEqual(policy.refusal((address, 4000)), "IPv4 inside IPv6, special purpose", address)
        self.assertEqual(policy.refusal(("2001:db8:122:344::8.8.8.8", 4000)), "IPv4 inside IPv6, ordinary")
        self.assertEqual(policy.refusal(("2606:4700::1", 4000)), "")

    def test_without_a_prefix_such_an_address_is_as_any_other(self) -> None:
        self.assertEqual(canonical("2606::10.0.0.1"), (ipaddress.ip_address("2606::a00:1"), False))
        self.assertEqual(PeerPolicy().refusal(("2606::10.0.0.1", 4000)), "")

    def test_the_local_prefix_of_rfc_8215_is_read_as_the_operator_says(self) -> None:
        policy = PeerPolicy(nat64=parse_prefixes(["64:ff9b:1::/48"]))
        for address, name in (("64:ff9b:1:7f00:0:100::", "loopback"), ("64:ff9b:1:a00:0:500::", "private")):
            self.assertEqual(policy.refusal((address, 4000)), f"IPv4 inside IPv6, {name}")
