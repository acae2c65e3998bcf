"""Who waits for what: the longest times, and the clock that may be put."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.clients.connections import FRAME_S, HANDSHAKE_S, LINGER_S, Limits, Waits


class Waiting(SynchronousTestCase):
    def setUp(self) -> None:
        self.waits: Waits[str] = Waits(Limits(handshake_timeout=60).waits())

    def test_each_kind_has_its_time(self) -> None:
        for kind, seconds in (("tls", HANDSHAKE_S), ("allocation", 60.0), ("frame", FRAME_S), ("close", LINGER_S)):
            waits: Waits[str] = Waits(Limits(handshake_timeout=60).waits())
            waits.begin(kind, "a", 1000.0)  # type: ignore[arg-type] # one of them
            self.assertEqual(waits.next_deadline(), 1000.0 + seconds)
            self.assertEqual(waits.due(1000.0 + seconds - 0.1), [])
            self.assertEqual(waits.due(1000.0 + seconds), [(kind, "a")])
            self.assertEqual((waits.due(5000.0), waits.next_deadline()), ([], None))

    def test_those_who_began_first_are_due_first_and_beginning_again_is_a_new_time(self) -> None:
        for index, name in enumerate("abc"):
            self.waits.begin("frame", name, index)
        self.waits.begin("frame", "a", 3)
        self.assertEqual(list(self.waits.waiting("frame")), ["b", "c", "a"])
        self.assertEqual(self.waits.due(12), [("frame", "b"), ("frame", "c")])
        self.assertEqual(self.waits.next_deadline(), 13)

    def test_what_has_ended_is_not_due(self) -> None:
        self.waits.begin("frame", "a", 0)
        self.waits.begin("allocation", "a", 0)
        self.waits.end("frame", "a")
        self.waits.end("frame", "nobody")
        self.assertEqual(self.waits.next_deadline(), 60)
        self.waits.forget("a")
        self.assertIsNone(self.waits.next_deadline())

    def test_another_limit_holds_for_those_who_wait_already(self) -> None:
        self.waits.begin("allocation", "a", 0)
        self.waits.limits = Limits(handshake_timeout=5).waits()
        self.assertEqual((self.waits.next_deadline(), self.waits.due(5)), (5, [("allocation", "a")]))

    def test_a_clock_that_is_put_back_makes_nobody_wait_more_than_once_again(self) -> None:
        for name in "ab":
            self.waits.begin("allocation", name, 100000.0)
        self.assertEqual(self.waits.due(0.0), [])
        self.assertEqual([who for _, who in self.waits.due(60.0)], ["a"])
        self.assertEqual([who for _, who in self.waits.due(120.0)], ["b"])
