"""Tests of the registry of counters and gauges."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.metrics import MAX_SERIES, Metrics, Sample


class MetricsTests(SynchronousTestCase):
    """Counters and gauges by name."""

    def setUp(self) -> None:
        """An empty registry."""
        self.metrics = Metrics()

    def test_a_counter_is_counted_and_read(self) -> None:
        """Its name says service, what, and that it is a total."""
        self.metrics.counter("turn", "drops", "Dropped.", reason="full").value += 2
        self.assertEqual(list(self.metrics.samples()), [
            Sample("rtcd_turn_drops_total", (("reason", "full"),), 2, "counter", "Dropped.")])

    def test_the_same_name_and_labels_are_the_same_counter(self) -> None:
        """Whatever the labels' order; other labels are another one."""
        one = self.metrics.counter("web", "hits", "Hits.", a="1", b="2")
        self.assertIs(self.metrics.counter("web", "hits", "Hits.", b="2", a="1"), one)
        self.assertIsNot(self.metrics.counter("web", "hits", "Hits.", a="1", b="3"), one)

    def test_a_gauge_is_asked_each_time(self) -> None:
        """It is what it is now."""
        rooms: list[int] = []
        self.metrics.gauge("rooms", "open", "Open rooms.", lambda: len(rooms))
        rooms.append(1)
        self.assertEqual([one.value for one in self.metrics.samples()], [1])

    def test_what_is_counted_elsewhere_is_fetched_before_each_reading(self) -> None:
        """So that a counter need not be touched where things happen."""
        elsewhere = [0]
        counter = self.metrics.counter("turn", "relayed", "Relayed.")
        self.metrics.before_reading(lambda: setattr(counter, "value", elsewhere[0]))
        for elsewhere[0] in (3, 5):
            self.assertEqual([one.value for one in self.metrics.samples()], [elsewhere[0]])

    def test_series_come_sorted_by_name(self) -> None:
        """Counters, then gauges."""
        for what in "cab":
            self.metrics.counter("x", what, "")
            self.metrics.gauge("x", what, "", lambda: 0)
        self.assertEqual([one.name for one in self.metrics.samples()],
                         ["rtcd_x_a_total", "rtcd_x_b_total", "rtcd_x_c_total", "rtcd_x_a", "rtcd_x_b", "rtcd_x_c"])

    def test_a_name_that_is_no_metric_name_is_our_bug(self) -> None:
        """Monitoring would refuse it later."""
        for bad in ("a-b", "a b", "", "Ä", "a\n"):
            self.assertRaises(ValueError, self.metrics.counter, "web", f"x{bad}-", "")

    def test_more_series_than_the_limit_are_our_bug(self) -> None:
        """A label that comes from a client would fill the memory."""
        for index in range(MAX_SERIES):
            self.metrics.counter("web", "hits", "", number=str(index))
        self.metrics.counter("web", "hits", "", number="0")
        self.assertRaises(ValueError, self.metrics.counter, "web", "hits", "", number="one more")
