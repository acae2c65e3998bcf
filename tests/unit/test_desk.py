"""What services can be asked, by topic."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.desk import Desk, NotOffered


class DeskTests(SynchronousTestCase):
    def test_who_asks_gets_what_the_service_answers(self) -> None:
        desk = Desk()
        desk.offer("turn.end", lambda name, reason: f"{name} ended: {reason}")
        self.assertEqual((desk.ask("turn.end", "a", "kick"), desk.offers("turn.end")), ("a ended: kick", True))

    def test_what_nobody_offers_is_told_apart_from_what_fails(self) -> None:
        desk = Desk()
        self.assertFalse(desk.offers("turn.end"))
        self.assertEqual(str(self.assertRaises(NotOffered, desk.ask, "turn.end")), "turn.end")
        desk.offer("turn.end", {}.__getitem__)
        self.assertNotIsInstance(self.assertRaises(KeyError, desk.ask, "turn.end", 1), NotOffered)

    def test_a_topic_belongs_to_one(self) -> None:
        desk = Desk()
        desk.offer("turn.end", str)
        self.assertRaises(ValueError, desk.offer, "turn.end", str)
