"""The end of a daemon whose sockets somebody else holds: who is just beginning gets what he came for."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from rtcd.doorway.connections import SETTLE_S, YOUNG_S, Connections
from rtcd.doorway.settings import DoorwaySettings
from rtcd.metrics import Metrics


class Settling(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.table = Connections(self.clock, DoorwaySettings(), Metrics())
        self.layer = StringTransport()

    def advance(self, seconds: float) -> None:
        """In small steps."""
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)

    def test_with_nobody_here_it_is_over_at_once(self) -> None:
        self.successResultOf(self.table.settled())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_who_came_long_ago_is_not_waited_for(self) -> None:
        self.table.opened(self.layer, self.layer)
        self.clock.advance(YOUNG_S)
        self.successResultOf(self.table.settled())

    def test_who_has_just_come_has_a_moment(self) -> None:
        self.table.opened(self.layer, self.layer)
        settled = self.table.settled()
        self.advance(YOUNG_S - 0.1)
        self.assertNoResult(settled)
        self.advance(0.2)
        self.successResultOf(settled)

    def test_it_is_over_when_the_last_one_has_gone(self) -> None:
        self.table.opened(self.layer, self.layer)
        settled = self.table.settled()
        self.table.gone(self.layer)
        self.advance(0.05)
        self.successResultOf(settled)

    def test_a_handshake_is_waited_for_but_not_for_ever(self) -> None:
        """Whatever the clock does."""
        for jump in (0, -3600):
            self.table.opened(self.layer, self.layer)
            self.table.undecided(self.layer, "192.0.2.1")
            self.clock.advance(2)
            settled = self.table.settled()
            self.advance(SETTLE_S - 0.2)
            self.assertNoResult(settled)
            self.clock.rightNow += jump
            self.table.decided(self.layer)
            for _ in range(8):
                self.clock.rightNow += 0.05
                for one in self.clock.getDelayedCalls():
                    one.reset(0)
                self.clock.advance(0)
            self.successResultOf(settled)
            self.table.gone(self.layer)
