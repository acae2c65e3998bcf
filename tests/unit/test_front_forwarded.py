"""Whom a proxy speaks for: what is believed of its headers, and of whose."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.front.forwarded import MAX_HOPS, Asked, read
from rtcd.front.origin import Authority
from rtcd.ranges import parse_ranges, within

TRUSTED = parse_ranges(["127.0.0.0/8", "::1", "10.0.0.0/24"])
PROXY = "127.0.0.1"
NAMES = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-prefix", "forwarded")


def asked(peer: Any = PROXY, trusted: Any = True, **headers: str) -> Asked:
    """What is read of these headers, their names with underscores."""
    return read(peer, lambda name: headers.get(name.replace("-", "_"), ""),
                lambda host: trusted and (not host or within(host, TRUSTED)))


class XForwardedTests(SynchronousTestCase):
    """X-Forwarded-*."""

    def test_a_trusted_proxy_is_believed(self) -> None:
        """All that it says."""
        found = asked(x_forwarded_for="192.0.2.7", x_forwarded_host="Meet.example", x_forwarded_proto="https",
                      x_forwarded_port="8443", x_forwarded_prefix="/calls/")
        self.assertEqual(found, Asked("192.0.2.7", "https", Authority("meet.example", 8443), "/calls"))

    def test_nobody_else_is(self) -> None:
        """From elsewhere, and where nobody is trusted."""
        for peer, trusted in (("192.0.2.1", True), (PROXY, False), ("", False)):
            self.assertEqual(asked(peer, trusted, x_forwarded_for="192.0.2.7", x_forwarded_host="x"), Asked(peer))

    def test_the_list_is_read_from_the_right_as_far_as_trust_goes(self) -> None:
        """What a client has written itself is further to the left."""
        self.assertEqual(asked(x_forwarded_for="1.1.1.1, 192.0.2.7").client, "192.0.2.7")
        self.assertEqual(asked(x_forwarded_for="1.1.1.1, 192.0.2.7, 10.0.0.5").client, "192.0.2.7")
        self.assertEqual(asked(x_forwarded_for="10.0.0.6, 10.0.0.5").client, "10.0.0.6")

    def test_what_is_no_address_ends_the_walk(self) -> None:
        """The last one that is known counts."""
        for text in ("garbage", "unknown", "_hidden", "1.1.1.1, nonsense", "192.0.2.7.8", "", ","):
            self.assertEqual(asked(x_forwarded_for=text).client, PROXY, text)
        self.assertEqual(asked(x_forwarded_for="192.0.2.7, _x, 10.0.0.5").client, "10.0.0.5")

    def test_an_address_may_have_a_port_and_be_of_either_family(self) -> None:
        """As various proxies write it."""
        for text, host in (("192.0.2.7:4711", "192.0.2.7"), ("[2001:db8::7]:4711", "2001:db8::7"),
                           ("2001:DB8::7", "2001:db8::7"), ("::ffff:192.0.2.7", "192.0.2.7")):
            self.assertEqual(asked(x_forwarded_for=text).client, host)

    def test_lists_of_one_length_belong_together(self) -> None:
        """The outermost trusted proxy knows what the browser asked; else the last word counts."""
        hops = "192.0.2.7, 10.0.0.5"
        self.assertEqual(asked(x_forwarded_for=hops, x_forwarded_proto="https, http").scheme, "https")
        self.assertEqual(asked(x_forwarded_for=f"1.1.1.1, {hops}", x_forwarded_proto="x, https, http").scheme, "https")
        self.assertEqual(asked(x_forwarded_for=hops, x_forwarded_proto="http, x, https").scheme, "https")
        self.assertEqual(asked(x_forwarded_for=hops, x_forwarded_host="a.example").authority, Authority("a.example", None))

    def test_what_is_no_scheme_host_port_or_path_is_left_out(self) -> None:
        """None of it gets into a link."""
        for name, text in (("x_forwarded_proto", "gopher"), ("x_forwarded_host", "a b"), ("x_forwarded_host", "a/<x>"),
                           ("x_forwarded_prefix", "/../x"), ("x_forwarded_prefix", "//evil.example"),
                           ("x_forwarded_prefix", 'x"'), ("x_forwarded_prefix", "/")):
            self.assertEqual(asked(x_forwarded_for="192.0.2.7", **{name: text}), Asked("192.0.2.7"), text)
        for port in ("0", "65536", "x", "\u0663", "1" * 40):
            found = asked(x_forwarded_host="a.example", x_forwarded_port=port)
            self.assertEqual(found.authority, Authority("a.example", None))

    def test_the_scheme_alone_is_enough(self) -> None:
        """Many proxies pass Host on and say nothing more."""
        self.assertEqual(asked(x_forwarded_proto="wss"), Asked(PROXY, "https"))

    def test_a_unix_socket_is_as_near_as_loopback(self) -> None:
        """It has no address of its own."""
        self.assertEqual(asked("", x_forwarded_for="192.0.2.7").client, "192.0.2.7")
        self.assertEqual(asked(""), Asked(""))

    def test_only_so_many_entries_are_read(self) -> None:
        """A header may be long."""
        hops = ", ".join(["192.0.2.7", *["10.0.0.5"] * MAX_HOPS])
        self.assertEqual(asked(x_forwarded_for=hops).client, "10.0.0.5")


class ForwardedTests(SynchronousTestCase):
    """RFC 7239."""

    def test_it_is_read_as_the_others_are(self) -> None:
        """Quoted or not, whatever the case of its names."""
        found = asked(forwarded='for=1.1.1.1, For="[2001:db8::7]:4711";Proto=https;host="Meet.example:8443";by=_x')
        self.assertEqual(found, Asked("2001:db8::7", "https", Authority("meet.example", 8443)))
        self.assertEqual(asked(forwarded="for=192.0.2.7, for=10.0.0.5;proto=http").client, "192.0.2.7")

    def test_a_malformed_one_says_nothing(self) -> None:
        """Where its end is can no longer be told."""
        for text in ('for="192.0.2.7', "for", "for=192.0.2.7;;proto=https", 'for=192.0.2.7 "x"', "=x", "for=[::1]x y"):
            self.assertEqual(asked(forwarded=text), Asked(PROXY), text)

    def test_two_kinds_that_differ_are_not_believed(self) -> None:
        """One of them has come through from the client; which one only the proxy's author knows."""
        both = asked(x_forwarded_for="192.0.2.7", forwarded="for=192.0.2.8;host=evil.example")
        self.assertEqual(both, Asked(PROXY))
        self.assertEqual(asked(x_forwarded_for="192.0.2.7", forwarded="for=192.0.2.7").client, "192.0.2.7")

    @given(st.sampled_from(NAMES), st.text(max_size=60))
    def test_no_text_does_harm(self, name: str, text: str) -> None:
        """What comes out is an address, a scheme and a host that is safe in a URL."""
        found = asked(**{"x_forwarded_for": "192.0.2.7", name.replace("-", "_"): text})
        self.assertRegex(found.client, r"^[0-9a-f.:]+$")
        self.assertRegex(found.authority.origin("https") if found.authority else "", r"^[A-Za-z0-9._:\[\]/-]*$")
        self.assertRegex(found.prefix or "", r"^[A-Za-z0-9._~/-]*$")
