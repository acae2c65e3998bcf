"""Time-limited TURN names: issued, checked, expired, rotated."""

from __future__ import annotations

import base64
import hashlib
import hmac

from twisted.trial.unittest import SynchronousTestCase

from rtcd.ice.credentials import Credentials, Verdict


class CredentialsTests(SynchronousTestCase):
    """`Credentials`."""

    def setUp(self) -> None:
        self.credentials = Credentials(("secret-1",), 600)

    def test_what_is_issued_is_accepted_until_it_expires(self) -> None:
        """The name carries the time of expiry, never that of issue."""
        given = self.credentials.issue("alice", 1000.7)
        self.assertEqual((given.username, given.expires_at), ("1600:alice", 1600))
        self.assertEqual(self.credentials.verify(given.username, 1599.9).passwords, (given.password,))
        self.assertEqual(self.credentials.verify(given.username, 1600), Verdict((), "alice", 1600, "expired"))

    def test_the_password_is_what_the_draft_says(self) -> None:
        """base64(HMAC-SHA1(secret, name)), so that any other TURN server agrees."""
        expected = base64.b64encode(hmac.new(b"secret-1", b"1600:alice", hashlib.sha1).digest()).decode()
        self.assertEqual(self.credentials.issue("alice", 1000).password, expected)

    def test_names_that_are_none_are_told_apart(self) -> None:
        """No digits, a sign, an overflow, empty, other digits."""
        for name in ("", ":", "alice", "-5:a", "+5:a", " 5:a", "1e9:a", "9" * 13 + ":a", "\u0665:a", "0x10:a"):
            self.assertEqual(self.credentials.verify(name, 0), Verdict((), "", 0, "no time-limited name"), name)

    def test_a_name_without_user_is_accepted(self) -> None:
        """The draft allows it."""
        self.assertEqual(len(self.credentials.verify("2000", 1000).passwords), 1)

    def test_an_old_secret_is_still_accepted_while_a_new_one_signs(self) -> None:
        """Rotation."""
        old = self.credentials.issue("a", 0)
        self.credentials.take(Credentials(("secret-2", "secret-1"), 60))
        new = self.credentials.issue("a", 0)
        self.assertEqual(new.expires_at, 60)
        self.assertIn(old.password, self.credentials.verify(old.username, 1).passwords)
        self.assertEqual(self.credentials.verify(new.username, 1).passwords[0], new.password)

    def test_there_must_be_a_secret(self) -> None:
        """An empty one would sign for everybody."""
        for none in ((), ("",), ("a", "")):
            self.assertRaises(ValueError, Credentials, none, 60)

    def test_another_separator_may_be_used(self) -> None:
        """As coturn's rest-api-separator."""
        given = Credentials(("s",), 60, "|").issue("a:b", 0)
        self.assertEqual(given.username, "60|a:b")
        self.assertEqual(Credentials(("s",), 60, "|").verify(given.username, 1).user, "a:b")
