"""Tests of the registry of counters, gauges and histograms."""

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

    def test_what_is_gone_is_forgotten(self) -> None:
        """By its labels, of its service alone; what comes again begins at nothing."""
        for service, node in (("ice", "a"), ("ice", "b"), ("turn", "a")):
            self.metrics.counter(service, "probes", "Probes.", node=node, outcome="ok").value += 1
            self.metrics.gauge(service, "up", "Up.", lambda: 1, node=node)
            self.metrics.histogram(service, "rtt", "Round trip.", (1.0,), node=node)
        self.metrics.forget("ice", node="a")
        left = {(one.name.split("_")[1], dict(one.labels)["node"]) for one in self.metrics.samples()}
        self.assertEqual(left, {("ice", "b"), ("turn", "a")})
        self.assertEqual(self.metrics.counter("ice", "probes", "Probes.", node="a", outcome="ok").value, 0)

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

    def test_gauges_and_histograms_count_as_well(self) -> None:
        """A histogram has a series for each bucket, and three besides."""
        self.metrics.histogram("web", "seconds", "", tuple(map(float, range(MAX_SERIES - 4))))
        self.metrics.gauge("web", "open", "", lambda: 0)
        self.metrics.gauge("web", "open", "", lambda: 1)
        self.assertRaises(ValueError, self.metrics.gauge, "web", "more", "", lambda: 0)
        self.assertRaises(ValueError, self.metrics.histogram, "web", "more", "", (1.0,))

    def test_one_gauge_is_read_without_the_others(self) -> None:
        """Reading all has its price."""
        self.metrics.before_reading(lambda: self.fail("all are read"))
        self.metrics.gauge("web", "dear", "", lambda: self.fail("this one is read"))
        self.metrics.gauge("web", "open", "", lambda: 7)
        self.assertEqual((self.metrics.now("rtcd_web_open"), self.metrics.now("rtcd_web_none")), (7, None))
        for number in (2, 3):
            self.metrics.gauge("web", "shared", "", lambda number=number: number, shard=str(number))  # type: ignore[misc]
        self.assertEqual(self.metrics.now("rtcd_web_shared"), 5)

    def test_a_gauge_may_have_labels(self) -> None:
        """Each set of them is a series; asked for again, the latest reading counts."""
        for number, side in ((1, "a"), (2, "b"), (3, "a")):
            self.metrics.gauge("web", "open", "", lambda number=number: number, side=side)  # type: ignore[misc]
        self.assertEqual([(one.labels, one.value) for one in self.metrics.samples()],
                         [((("side", "a"),), 3), ((("side", "b"),), 2)])

    def test_a_histogram_counts_what_is_up_to_each_bound(self) -> None:
        """Bounds are included, each bucket holds those below it, and a clock that was put back counts as no time."""
        histogram = self.metrics.histogram("web", "join_seconds", "Joins.", (0.1, 1.0), way="http")
        for value in (-5.0, 0.1, 0.5, 1.0, 7.0):
            histogram.observe(value)
        self.assertIs(self.metrics.histogram("web", "join_seconds", "Joins.", (9.0,), way="http"), histogram)
        self.assertEqual([(one.name, dict(one.labels).get("le"), one.value, one.kind) for one in self.metrics.samples()], [
            ("rtcd_web_join_seconds_bucket", "0.1", 2, "histogram"),
            ("rtcd_web_join_seconds_bucket", "1.0", 4, "histogram"),
            ("rtcd_web_join_seconds_bucket", "+Inf", 5, "histogram"),
            ("rtcd_web_join_seconds_count", None, 5, "histogram"),
            ("rtcd_web_join_seconds_sum", None, 8.6, "histogram"),
        ])
