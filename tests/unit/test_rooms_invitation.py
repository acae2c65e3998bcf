"""Invitations: signed links into rooms."""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.ice.credentials import Credentials
from rtcd.rooms.invitation import MAX_CHARS, PURPOSE, examine, invite

KEYS = Credentials(("new secret", "old secret"), 60).keys(PURPOSE)


class InvitationTests(SynchronousTestCase):
    def test_one_is_good_until_it_expires(self) -> None:
        text = invite(KEYS[0], "team", 1000, "Ann")
        found = [examine(KEYS, "team", text, now) for now in (0, 999.9, 1000, 2000)]
        self.assertEqual(found, ["good", "good", "expired", "expired"])

    def test_it_is_for_one_room_and_of_a_secret_of_ours(self) -> None:
        """That of a secret that is being replaced is good as long as the secret is."""
        text = invite(KEYS[1], "team", 1000)
        self.assertEqual((examine(KEYS, "team", text, 0), examine(KEYS, "teams", text, 0)), ("good", ""))
        self.assertEqual((examine(KEYS[:1], "team", text, 0), examine((), "team", text, 0)), ("", ""))

    def test_the_key_is_for_invitations_alone(self) -> None:
        """It signs no password, and the tags of rooms are made with another one."""
        self.assertNotEqual(KEYS, Credentials(("new secret", "old secret"), 60).keys(b"something else"))
        self.assertNotIn(b"new secret", KEYS)

    def test_nothing_in_it_can_be_changed(self) -> None:
        text = invite(KEYS[0], "team", 1000, "Ann")
        expiry, name, signature = text.split(".")
        other = base64.urlsafe_b64encode(b"Bob").decode()
        for wrong in (f"9{expiry}.{name}.{signature}", f"{expiry}.{other}.{signature}", f"{expiry}..{signature}",
                      f"{expiry}.{name}.{signature[::-1]}", f"0{text}", f"{text}\n", text.upper()):
            self.assertEqual(examine(KEYS, "team", wrong, 0), "", wrong)

    def test_a_name_is_one_line_and_bounded(self) -> None:
        text = invite(KEYS[0], "team", 1000, "A\nn\u202en " + "x" * 1000)
        label = base64.urlsafe_b64decode(text.split(".")[1] + "==").decode()
        self.assertEqual(label, ("A nn " + "x" * 1000)[:40])
        self.assertLess(len(text), MAX_CHARS)

    def test_the_longest_name_there_is_fits(self) -> None:
        text = invite(KEYS[0], "r" * 1024, 10**12 - 1, "\U0001f600" * 40)
        self.assertEqual(examine(KEYS, "r" * 1024, text, 0), "good")

    @settings(max_examples=100, deadline=None)
    @given(st.text(max_size=600))
    def test_what_is_no_invitation_is_none(self, text: str) -> None:
        self.assertEqual(examine(KEYS, "team", text, 0), "")

    def test_what_is_too_long_is_not_read(self) -> None:
        label = "A" * MAX_CHARS
        self.assertEqual(examine(KEYS, "team", f"1000.{label}.{'A' * 43}", 0), "")
