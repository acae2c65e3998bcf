"""The text of a users file."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.auth import authenticator as auth
from rtcd.auth import users
from rtcd.auth.authenticator import Keys, keys_of_password, parse_users
from rtcd.auth.users import checked_name, decode, names, parse, put, without

KEY = "0x" + "0f" * 16
OTHER = "0x" + "0e" * 16
TEXT = f"# our people\n\nann:secret\n  bob:{KEY}  \n# the end\n"

CID = {"cid": Keys(b"k" * 16)}


def keys(lines: Iterable[str]) -> dict[str, Keys]:
    """Of the realm r."""
    return parse_users(lines, "r")


NAMES = st.text("ab0-.@=,\u00e9e\u0301\u212b\u4e2d\U0001f600", min_size=1, max_size=8)
"""Letters, some of which are one in canonical spelling."""


class Reading(SynchronousTestCase):
    def test_passwords_and_keys_stand_beside_those_of_the_ini(self) -> None:
        found = parse(TEXT, keys, CID)
        self.assertEqual(found, {**CID, "ann": keys_of_password("ann", "r", "secret"), "bob": Keys(b"\x0f" * 16)})

    def test_an_empty_file_has_nobody(self) -> None:
        for text in ("", "\n", "# nobody\n", " \t\r\n"):
            self.assertEqual((parse(text, keys, {}), names(text)), ({}, []), text)

    def test_a_faulty_line_is_told_by_its_number_in_the_file_and_never_by_text(self) -> None:
        error = self.assertRaises(ValueError, parse, "# one\n\nhush\n", keys, {})
        self.assertEqual(str(error), "line 3 is not name:password")

    def test_only_a_line_feed_ends_a_line(self) -> None:
        """Unicode has more line ends than an editor shows."""
        self.assertEqual(set(parse("a:x\u2028b\r\nc:d", keys, {})), {"a", "c"})

    def test_a_name_in_the_ini_as_well_is_told(self) -> None:
        error = self.assertRaises(ValueError, parse, TEXT, keys, {"bob": Keys(b"k" * 16)})
        self.assertEqual(str(error), "'bob' is in user as well; keep one of the two")

    def test_too_many_users_are_refused(self) -> None:
        self.patch(auth, "MAX_USERS", 1)
        self.assertRaises(ValueError, parse, TEXT, keys, {})

    def test_bytes_are_utf_8_and_no_more_than_the_limit(self) -> None:
        """An editor's byte order mark belongs to nobody's name."""
        self.assertEqual(decode("\ufeffann:x".encode()), "ann:x")
        self.assertRaises(ValueError, decode, b"\xff:x")
        self.patch(users, "MAX_FILE_BYTES", 4)
        self.assertEqual(decode(b"#" * 4), "####")
        self.assertRaises(ValueError, decode, b"#" * 5)


class Changing(SynchronousTestCase):
    def test_a_new_user_comes_last(self) -> None:
        self.assertEqual(put(TEXT, "cid", KEY), f"{TEXT}cid:{KEY}\n")
        self.assertEqual(put("", "cid", KEY), f"cid:{KEY}\n")
        self.assertEqual(put("ann:x", "cid", KEY), f"ann:x\ncid:{KEY}\n")

    def test_a_known_user_gets_a_new_key_where_he_is(self) -> None:
        self.assertEqual(put(TEXT, "bob", OTHER), TEXT.replace(f"  bob:{KEY}  ", f"bob:{OTHER}"))

    def test_a_user_is_taken_out_and_nothing_else(self) -> None:
        self.assertEqual(without(TEXT, "ann"), TEXT.replace("ann:secret\n", ""))
        self.assertEqual(without(TEXT, "cid"), TEXT)

    def test_a_comment_is_no_user(self) -> None:
        self.assertEqual(names("#ann:x\nbob:y"), ["bob"])
        self.assertEqual(without("#ann:x\n", "#ann"), "#ann:x\n")

    def test_names_are_one_however_they_are_spelled(self) -> None:
        """RFC 8265 §4.2: composed and decomposed letters."""
        self.assertEqual(without("Ame\u0301lie:x\n", checked_name("Am\u00e9lie")), "")
        self.assertEqual(put("Ame\u0301lie:x\n", checked_name("Ame\u0301lie"), KEY), f"Am\u00e9lie:{KEY}\n")

    def test_what_no_line_can_hold_is_no_name(self) -> None:
        for name in ("", " ann", "ann\t", "a:b", "#ann", "a\nb", "a\rb", "a\u2028b", "a\0b", "\udcff", "é" * 255):
            self.assertRaises(ValueError, checked_name, name)
        self.assertEqual(checked_name("ann lee"), "ann lee")

    def test_a_name_must_fit_as_it_is_stored(self) -> None:
        """NFC makes two letters of some; the file would be refused as a whole afterwards."""
        self.assertRaises(ValueError, checked_name, "\u0958" * 85)
        name = checked_name("\u0958" * 84)
        self.assertEqual(list(parse(put("", name, KEY), keys, {})), [name])
        self.assertEqual(checked_name("e\u0301" * 254), "\u00e9" * 254)

    @given(st.lists(NAMES, max_size=5), NAMES)
    def test_who_is_put_in_is_read_and_who_is_taken_out_is_not(self, others: list[str], name: str) -> None:
        text = ""
        for one in others:
            text = put(text, checked_name(one), KEY)
        name = checked_name(name)
        added = put(text, name, OTHER)
        self.assertEqual(parse(added, keys, {})[name], Keys(b"\x0e" * 16))
        self.assertEqual(parse(added, keys, {}), parse(text, keys, {}) | {name: Keys(b"\x0e" * 16)})
        self.assertNotIn(name, names(without(added, name)))
        self.assertEqual(set(names(without(added, name))), set(names(text)) - {name})
