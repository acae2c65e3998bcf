"""Tests of the reading of Host headers and of public-url."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import ConfigError, section_from
from rtcd.doorway.settings import DoorwaySettings
from rtcd.front.origin import Authority, Base, parse_authority, parse_public_url, unmapped
from rtcd.tls.settings import TlsSettings

GOOD = {
    "example.org": Authority("example.org", None),
    "Example.ORG:8443": Authority("example.org", 8443),
    "localhost": Authority("localhost", None),
    "my_host.lan:1": Authority("my_host.lan", 1),
    "192.0.2.1:443": Authority("192.0.2.1", 443),
    "[::1]": Authority("::1", None),
    "[2001:DB8::1]:65535": Authority("2001:db8::1", 65535),
    "xn--bcher-kva.example": Authority("xn--bcher-kva.example", None),
}
BAD = [
    "", ":", ":80", "a:", "a:0", "a:65536", "a:999999", "a b", "a/b", "a@b", "a?b", "a#b", "a\\b", "<x>", '"', "a..b", ".a",
    "-a", "a-", "::1", "[::1", "[::g]", "[::1]x", "1.2.3", "1.2.3.4.5", "256.1.1.1", "0x7f000001", "0x", "a" * 64,
    "\u00e9.org", "a\r\nX: y", "[fe80::1%eth0]", "a,b", "a;b", "a'b", "\u0661.0.0.1", "a." * 127 + "aa", "example.org\n",
]  # fmt: skip


class AuthorityTests(SynchronousTestCase):
    """Nothing but a host and a port may come from the network into a URL."""

    def test_a_host_with_a_port_or_without_is_read(self) -> None:
        """Names in lower case, IPv6 in its shortest form."""
        for text, authority in GOOD.items():
            self.assertEqual(parse_authority(text), authority, text)

    def test_anything_else_is_refused(self) -> None:
        """Bad hosts, bad ports, and whatever could end a URL or a header."""
        for text in BAD:
            self.assertRaises(ValueError, parse_authority, text)

    @given(st.text(max_size=40))
    def test_no_text_does_more_than_being_refused(self, text: str) -> None:
        """What is let through is printable ASCII without delimiters."""
        try:
            read = parse_authority(text)
        except ValueError:
            return
        self.assertNotRegex(read.origin("https")[8:], r"[^A-Za-z0-9._:\[\]-]")

    def test_the_default_port_is_left_out(self) -> None:
        """443 for https and 80 for http, and only these."""
        self.assertEqual(Authority("a", 443).origin("https"), "https://a")
        self.assertEqual(Authority("a", 80).origin("https"), "https://a:80")
        self.assertEqual(Authority("::1", 80).origin("http"), "http://[::1]")
        self.assertEqual(Authority("a", None).origin("http"), "http://a")

    def test_a_mapped_address_is_written_as_ipv4(self) -> None:
        """A dual-stack socket shows IPv4 clients in IPv6's clothes."""
        self.assertEqual(unmapped("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(unmapped("fe80::1%eth0"), "fe80::1")
        self.assertEqual(unmapped("example.org"), "example.org")


class SettingsTests(SynchronousTestCase):
    """What the operator may write."""

    def test_the_public_url_is_an_origin(self) -> None:
        """A slash at the end is forgiven."""
        self.assertEqual(parse_public_url("https://a.example/"), Base("https", Authority("a.example", None)))
        self.assertEqual(parse_public_url("http://[::1]:80"), Base("http", Authority("::1", 80)))
        found = parse_public_url("https://a.example:8443/calls/of.us/")
        self.assertEqual((found.prefix, found.url, found.port), ("/calls/of.us", "https://a.example:8443/calls/of.us", 8443))
        self.assertEqual(parse_public_url("https://a").port, 443)

    def test_what_is_below_the_prefix_is_found_with_it_and_without(self) -> None:
        """A proxy takes it off, or does not; another path that only begins with the same letters is another path."""
        base = parse_public_url("https://a.example/calls")
        for path, inside in (("/calls/r/x", "/r/x"), ("/r/x", "/r/x"), ("/calls", "/"), ("/calls/", "/"),
                             ("/callsx/r", "/callsx/r"), ("/", "/")):
            self.assertEqual(base.inside(path), inside)
        self.assertEqual(parse_public_url("https://a").inside("/calls/r"), "/calls/r")

    def test_a_public_url_with_more_than_a_base_is_refused_by_name(self) -> None:
        """The message names section and key."""
        for text in (
            "a.example", "ftp://a", "https://a/b?c", "https://a/../b", "https://a//b", "https://a/b c", "https://u@a",
            "https://a/<x>", "https://a/%2e", "https://a/" + "b" * 300, "https://a/.b", "https://a?b", "https://a:0", "https://",
        ):
            fault = self.assertRaises(ConfigError, section_from, "doorway", {"public-url": text}, DoorwaySettings)
            self.assertTrue(str(fault).startswith("[doorway] public-url: "), str(fault))

    def test_a_certificate_without_a_key_is_refused(self) -> None:
        """And a key without a certificate."""
        for given_key, missing in (("cert", "key"), ("key", "cert")):
            fault = self.assertRaises(ConfigError, section_from, "tls", {given_key: "/x.pem"}, TlsSettings)
            self.assertTrue(str(fault).startswith(f"[tls] {missing}: "), str(fault))
