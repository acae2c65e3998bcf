"""What a page says of itself when it joins, and what a password is kept as."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.rooms.declaration import (
    MAX_BODY_BYTES,
    MAX_PASSWORD_CHARS,
    MAX_SHOWN_CHARS,
    Declaration,
    declared,
    hashed,
    matches,
    shown,
)
from rtcd.rooms.records import Card, Secret

TAG = "0123456789abcdef"


def body(**page: Any) -> bytes:
    """A body with this ``page``."""
    return json.dumps({"page": page}).encode()


class DeclarationTests(SynchronousTestCase):
    """The body of /join."""

    def test_a_page_is_read(self) -> None:
        """All but the tag may be left out or null; more is ignored."""
        self.assertEqual(declared(body(id=TAG)), Declaration(Card(TAG)))
        self.assertEqual(declared(body(id=TAG, name="Ann", password=None, was=None)), Declaration(Card(TAG, "Ann")))
        self.assertEqual(declared(body(id=TAG, name=" Ann ", password="p", was="w", more=[1])),
                         Declaration(Card(TAG, "Ann"), "p", "w"))

    def test_anything_else_is_that_of_an_app(self) -> None:
        """Whose bodies were always ignored."""
        for data in (b"", b"{", b"\xff{", b"[]", b"{}", b'{"page":1}', body(), body(id=1), body(id="app"), body(id=TAG[1:]),
                     body(id=TAG + "0"), body(id=TAG.upper()), body(id=TAG + "\n"), body(id=TAG, name=1),
                     body(id=TAG, was=1), body(id=TAG, password=[]), b'{"page":' + b"[" * 3000,
                     body(id=TAG, name="\ud800")):
            self.assertIsNone(declared(data), data[:60])

    def test_a_body_beyond_the_limit_is_no_declaration(self) -> None:
        """Exactly at the limit it is one."""
        short = body(id=TAG, name="")
        at = short.replace(b'""', b'"' + b"x" * (MAX_BODY_BYTES - len(short)) + b'"')
        self.assertEqual(len(at), MAX_BODY_BYTES)
        self.assertEqual(declared(at), Declaration(Card(TAG, "x" * MAX_SHOWN_CHARS)))
        self.assertIsNone(declared(at + b" "))

    @given(st.binary(max_size=200))
    def test_no_bytes_raise(self, data: bytes) -> None:
        """Whatever comes."""
        declared(data)


class NameTests(SynchronousTestCase):
    """What others see."""

    def test_names_are_one_short_line(self) -> None:
        """Without what a terminal or a line of text could be turned around with."""
        for name, seen in (
            ("  Ann \n B\tC ", "Ann B C"), ("a\x00b\x1b[1mc\x7f", "ab[1mc"), ("\u202eevil\u2066", "evil"),
            ("x" * 50, "x" * 40), ("x" * 39 + " y", "x" * 39), ("你好", "你好"),
            ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
            ("\u2028a\u2029", "a"), ("\x00", ""), ("", ""),
        ):
            self.assertEqual(shown(name), seen)

    @given(st.text())
    def test_cleaning_twice_is_cleaning_once(self, name: str) -> None:
        """And nothing is longer than the limit."""
        self.assertEqual(shown(shown(name)), shown(name))
        self.assertLessEqual(len(shown(name)), MAX_SHOWN_CHARS)


class PasswordTests(SynchronousTestCase):
    """What is kept of a room's password."""

    def secret(self, password: str, salt: bytes = b"salt") -> Secret:
        """Of a password that is none of the empty ones."""
        found = hashed(password, salt)
        if found is None:
            raise AssertionError(password)
        return found

    def test_only_the_password_matches(self) -> None:
        """Spaces around it do not count, nor how a keyboard makes its accents; its case does."""
        secret = self.secret("caf\u00e9 1")
        for right in ("caf\u00e9 1", " caf\u00e9 1\n", "cafe\u0301 1"):
            self.assertTrue(matches(secret, right))
        for wrong in ("", " ", "cafe 1", "Caf\u00e9 1", "caf\u00e91", "x" * 10000):
            self.assertFalse(matches(secret, wrong))

    def test_it_is_not_kept_itself(self) -> None:
        """And the same one looks different with another salt."""
        secret = self.secret("secret")
        self.assertNotIn(b"secret", secret.digest)
        self.assertNotEqual(self.secret("secret", b"other").digest, secret.digest)

    def test_an_empty_one_is_none_and_a_long_one_is_refused(self) -> None:
        """At the limit it is taken."""
        self.assertEqual([hashed(one, b"s") for one in ("", "  ")], [None, None])
        self.assertTrue(matches(self.secret("x" * MAX_PASSWORD_CHARS), "x" * MAX_PASSWORD_CHARS))
        self.assertRaises(ValueError, hashed, "x" * (MAX_PASSWORD_CHARS + 1), b"s")
