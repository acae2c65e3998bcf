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


class MarkTests(SynchronousTestCase):
    """What nodes of a cluster show each other."""

    def accepts(self, ours: tuple[str, ...], theirs: tuple[str, ...], separators: str = "::") -> bool:
        """Whether we accept what they sign."""
        signing = Credentials(theirs, 60, separators[1])
        return Credentials(ours, 60, separators[0]).accepts(b"n", signing.mark(b"n"))

    def test_what_the_other_signs_with_is_looked_for_among_ours(self) -> None:
        """In a rotation both sign with keys that both have, or only one of them accepts the other."""
        self.assertEqual([self.accepts(*pair) for pair in (
            (("a",), ("a",)), (("a",), ("b",)), (("new", "old"), ("old", "new")), (("old", "new"), ("new", "old")),
            (("new", "old"), ("old",)), (("old",), ("new", "old")))], [True, False, True, True, True, False])

    def test_another_separator_makes_other_names(self) -> None:
        """They are no time-limited names to us, whatever signed them."""
        self.assertFalse(self.accepts(("a",), ("a",), ":|"))

    def test_a_mark_is_of_one_node_and_shows_no_key(self) -> None:
        """Nobody can show that of another node; and it is made with a key of its own."""
        credentials = Credentials(("a",), 60)
        mark = credentials.mark(b"n")
        self.assertRegex(mark, rb"^[0-9a-f]{32}$")
        self.assertFalse(credentials.accepts(b"m", mark))
        for empty in (b"", b"\xff"):
            self.assertFalse(credentials.accepts(b"n", empty))
        self.assertNotIn(mark.decode(), "".join(one.hex() for one in credentials.keys(b"rtcd: marks of nodes")))

    def test_a_mark_goes_by_the_secret_of_now(self) -> None:
        """After a reload it is another one."""
        credentials = Credentials(("a",), 60)
        before = credentials.mark(b"n")
        credentials.take(Credentials(("b", "a"), 60))
        self.assertTrue(credentials.accepts(b"n", before))
        self.assertNotEqual(credentials.mark(b"n"), before)


class TagTests(SynchronousTestCase):
    """The users that names bound to a client of a room are made out to."""

    def user(self, room: str, client: str, secret: str = "secret-1") -> str:
        """What one secret makes of it."""
        return Credentials((secret,), 600).users_of(room, client)[0]

    def test_a_user_is_a_tag_of_the_room_and_a_tag_of_the_client(self) -> None:
        """The first half is the same for all in a room; equal names of clients in two rooms are two users."""
        ann, bob, other = self.user("r", "ann"), self.user("r", "bob"), self.user("s", "ann")
        self.assertRegex(ann, r"^[0-9a-f]{16}-[0-9a-f]{20}$")
        self.assertEqual(ann, self.user("r", "ann"))
        self.assertEqual(ann[:17], bob[:17])
        self.assertNotEqual(ann[17:], bob[17:])
        self.assertNotEqual(ann[:17], other[:17])
        self.assertNotEqual(ann[17:], other[17:])

    def test_tags_are_of_this_very_secret_and_reveal_no_name(self) -> None:
        """Another secret makes others; names that meet when joined do not meet as tags."""
        self.assertNotEqual(self.user("r", "ann"), self.user("r", "ann", "secret-2"))
        pairs = (("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", ""), ("a=b", "c"))
        self.assertEqual(len({self.user(*pair) for pair in pairs}), 5)
        self.assertFalse(self.user("r", "")[17:].startswith(self.user("r", "x")[:16]))

    def test_there_is_one_user_for_each_secret_and_the_signing_one_is_first(self) -> None:
        """While one secret replaces another, names of both are about."""
        old = self.user("r", "ann")
        credentials = Credentials(("secret-1",), 600)
        before = credentials.generation
        credentials.take(Credentials(("secret-2", "secret-1"), 600))
        self.assertEqual(credentials.users_of("r", "ann"), (self.user("r", "ann", "secret-2"), old))
        self.assertNotEqual(credentials.generation, before)

    def test_any_text_is_a_name(self) -> None:
        """Half a character that JSON let through, too."""
        self.assertNotEqual(self.user("\ud800", "c"), self.user("r", "\ud800"))
