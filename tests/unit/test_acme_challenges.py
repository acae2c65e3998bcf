"""What an authority finds while an order is open."""

from __future__ import annotations

import hashlib

from twisted.trial.unittest import SynchronousTestCase

from rtcd.acme.challenges import MAX_CHALLENGES, Challenges, is_token
from rtcd.acme.request import AcmeError, Proof, Request

DIGEST = bytes(range(32))


class ChallengesTests(SynchronousTestCase):
    """The table."""

    def setUp(self) -> None:
        """Empty."""
        self.challenges = Challenges()

    def test_a_token_leads_to_its_key_authorization_until_it_is_cleared(self) -> None:
        """And no other token does."""
        self.challenges.put_http("abc", "abc.thumb")
        self.assertEqual((self.challenges.http("abc"), self.challenges.http("abd")), ("abc.thumb", None))
        self.challenges.clear()
        self.assertIsNone(self.challenges.http("abc"))

    def test_another_process_can_show_the_same(self) -> None:
        """It is told of each change, and shows that and nothing else; not more than the table holds."""
        other, shown = Challenges(), []
        self.challenges.changed = lambda: shown.append(self.challenges.shown())
        other.put_http("old", "1")
        self.challenges.put_http("new", "2")
        self.challenges.put_alpn("a.example", DIGEST)
        other.show(*shown[-1])
        self.assertEqual((other.http("old"), other.http("new"), other.alpn("a.example")), (None, "2", DIGEST))
        self.challenges.drop_http("new")
        self.challenges.clear()
        other.show(*shown[-1])
        self.assertEqual((len(shown), other.shown(), other.waiting), (4, ({}, {}), False))
        with self.assertRaises(ValueError):
            other.show({str(one): "" for one in range(MAX_CHALLENGES + 1)}, {})

    def test_one_token_can_be_dropped(self) -> None:
        """Of a probe; the others stay, and twice is once."""
        self.challenges.put_http("one", "1")
        self.challenges.put_http("two", "2")
        self.challenges.drop_http("one")
        self.challenges.drop_http("one")
        self.assertEqual((self.challenges.http("one"), self.challenges.http("two")), (None, "2"))

    def test_a_name_is_found_in_any_case(self) -> None:
        """As clients may send it, with a dot at its end or without."""
        self.challenges.put_alpn("Meet.Example.org", DIGEST)
        for sent in ("meet.example.org", "MEET.example.ORG", "meet.example.org."):
            self.assertEqual(self.challenges.alpn(sent), DIGEST)
        for sent in ("", "example.org", "x.meet.example.org", "\udc80", "meet.example.org\0"):
            self.assertIsNone(self.challenges.alpn(sent))

    def test_an_address_is_found_by_its_reverse_name(self) -> None:
        """RFC 8738 §6; and as it is, should somebody send it so."""
        self.challenges.put_alpn("192.0.2.1", DIGEST)
        self.challenges.put_alpn("2001:DB8:0::1", DIGEST[::-1])
        reverse = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        for sent in ("1.2.0.192.in-addr.arpa", "1.2.0.192.IN-ADDR.ARPA.", "192.0.2.1"):
            self.assertEqual(self.challenges.alpn(sent), DIGEST)
        for sent in (reverse, reverse.upper(), "2001:db8::1"):
            self.assertEqual(self.challenges.alpn(sent), DIGEST[::-1])
        for sent in ("192.0.2.1.in-addr.arpa", "2.0.192.in-addr.arpa", "1.1.2.0.192.in-addr.arpa",
                     "999.2.0.192.in-addr.arpa", reverse[2:], f"0.{reverse}"):
            self.assertIsNone(self.challenges.alpn(sent))

    def test_it_waits_only_for_proofs_that_handshakes_show(self) -> None:
        """So that otherwise nobody looks into a ClientHello."""
        self.challenges.put_http("abc", "abc.thumb")
        self.assertFalse(self.challenges.waiting)
        self.challenges.put_alpn("a.example.org", DIGEST)
        self.assertTrue(self.challenges.waiting)
        self.challenges.clear()
        self.assertFalse(self.challenges.waiting)

    def test_what_is_no_token_or_digest_is_refused(self) -> None:
        """A token is also looked for as a file name."""
        for bad in ("", "a/b", "..", "a.b", "a b", "ä", "a\n", "x" * 129):
            self.assertFalse(is_token(bad))
            self.assertRaises(ValueError, self.challenges.put_http, bad, "x")
        self.assertRaises(ValueError, self.challenges.put_alpn, "a.example.org", DIGEST[1:])

    def test_the_tables_are_bounded(self) -> None:
        """One that is there can still be replaced."""
        for number in range(MAX_CHALLENGES):
            self.challenges.put_http(f"t{number}", "x")
            self.challenges.put_alpn(f"n{number}.example.org", DIGEST)
        self.assertRaises(ValueError, self.challenges.put_http, "more", "x")
        self.assertRaises(ValueError, self.challenges.put_alpn, "more.example.org", DIGEST)
        self.challenges.put_http("t0", "y")
        self.assertEqual(self.challenges.http("t0"), "y")


class RequestTests(SynchronousTestCase):
    """The values around an order."""

    def test_a_digest_is_of_the_key_authorization(self) -> None:
        """RFC 8737 §3."""
        self.assertEqual(Proof("tls-alpn-01", "a", "t", "t.k").digest, hashlib.sha256(b"t.k").digest())

    def test_secrets_are_not_shown(self) -> None:
        """Neither in logs nor in tracebacks."""
        shown = repr(Request("https://a/d", ("a",), "http-01", account_key_pem=b"SECRET", eab_key="SECRET", eab_kid="kid"))
        self.assertNotIn("SECRET", shown)

    def test_an_error_is_one_line_however_an_authority_words_it(self) -> None:
        """Nothing of theirs makes lines of its own in our log."""
        error = AcmeError("no\nnever\x1b[31m\u2028 " + "x" * 9999)
        self.assertTrue(str(error).startswith("no never [31m xxx"))
        self.assertEqual(len(str(error)), 600)
