"""Nodes that sign with another secret, as one node sees them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.cluster.strangers import Strangers
from rtcd.ice.credentials import Credentials


class StrangerTests(SynchronousTestCase):
    """Beat by beat."""

    def setUp(self) -> None:
        self.credentials = Credentials(("ours",), 60)
        self.strangers = Strangers(self.credentials)

    def see(self, **secrets: str) -> tuple[bool, int]:
        """The marks of nodes that sign with these secrets."""
        marks = [(node.encode(), Credentials((secret,), 60).mark(node.encode())) for node, secret in secrets.items()]
        return self.strangers.see(marks), self.strangers.count

    def test_one_is_told_of_when_it_begins_and_when_it_ends(self) -> None:
        """However many there are meanwhile."""
        self.assertEqual([self.see(n="ours", m="other"), self.see(n="ours", m="other")], [(False, 0), (True, 1)])
        self.assertEqual([self.see(m="other", o="third"), self.see(m="other", o="third")], [(False, 1), (False, 2)])
        self.assertEqual([self.see(n="ours"), self.see(n="ours")], [(True, 0), (False, 0)])

    def test_a_mark_that_is_one_beat_behind_is_none(self) -> None:
        """At a reload: the other has the new secret already, or a moment later."""
        self.see(m="ours")
        self.credentials.take(Credentials(("new",), 60))
        self.assertEqual([self.see(m="ours"), self.see(m="new"), self.see(m="ours")], [(False, 0)] * 3)

    def test_one_that_shows_no_mark_is_none(self) -> None:
        """It is of an older release."""
        self.assertEqual([self.see(), self.see()], [(False, 0)] * 2)

    def test_ours_is_accepted_by_who_has_our_secret(self) -> None:
        """It goes with our name."""
        self.assertTrue(Credentials(("new", "ours"), 60).accepts(b"n", self.strangers.mark("n")))
