"""Services that begin while people are in rooms."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rtcd.rooms import present as present_module
from rtcd.rooms.outcome import Gone, StoreUnavailable
from rtcd.rooms.present import MAX_GONE, Present
from rtcd.rooms.records import Client, Room


class PresentTests(SynchronousTestCase):
    """With a store whose answers the test gives."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[tuple[str, Deferred[Any]]] = []
        self.told: list[tuple[str, str]] = []
        self.present = Present(self.clock, self, lambda room, client: self.told.append((room, client.id)))

    def watch(self, watcher: Any) -> None:
        """As a store."""
        self.news = watcher.happened

    def rooms(self, after: str, limit: int) -> Deferred[Any]:
        """As a store."""
        self.asked.append((after, Deferred()))
        return self.asked[-1][1]

    def answer(self, *rooms: tuple[str, str]) -> None:
        """Rooms and the one who is in each."""
        self.asked[-1][1].callback(tuple((name, Room((Client(client),))) for name, client in rooms))

    def test_everybody_is_told_once(self) -> None:
        """Page by page; who has gone meanwhile is in no room any more, whatever the answer says."""
        self.present.start()
        self.news("b", Gone("2", "left"))
        self.answer(("a", "1"), ("b", "2"))
        self.answer(("c", "3"))
        self.answer()
        self.assertEqual(self.told, [("a", "1"), ("c", "3")])
        self.assertEqual([after for after, _ in self.asked], ["", "b", "c"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_store_that_is_away_is_asked_again(self) -> None:
        """Later each time, until there is an answer or nobody wants it."""
        self.present.start()
        for delay in (0.1, 0.2, 0.4):
            self.asked[-1][1].errback(StoreUnavailable("away"))
            count = len(self.asked)
            self.clock.advance(delay - 0.01)
            self.assertEqual(len(self.asked), count)
            self.clock.advance(0.02)
            self.assertEqual(len(self.asked), count + 1)
        self.present.stop()
        self.present.start()
        self.asked[-1][1].errback(StoreUnavailable("away"))
        self.present.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_is_kept_meanwhile_is_bounded(self) -> None:
        """After more it begins anew; a fault of ours is logged."""
        self.patch(present_module, "MAX_GONE", 2)
        self.assertGreater(MAX_GONE, 2)
        self.present.start()
        for number in range(5):
            self.news("a", Gone(str(number), "left"))
        self.assertEqual(len(self.present._gone or ()), 3)
        self.answer(("a", "1"))
        self.assertEqual(self.told, [])
        self.clock.advance(0.1)
        self.answer(("a", "1"))
        self.assertEqual(self.told, [("a", "1")])
        self.asked[-1][1].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
