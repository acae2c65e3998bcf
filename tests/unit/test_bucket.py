"""Tests of the token buckets."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.bucket import Buckets, network


class BucketTests(SynchronousTestCase):
    """How often a source may do something."""

    def test_a_burst_is_allowed_and_then_the_rate(self) -> None:
        """Three at once, then one each half second."""
        buckets = Buckets(rate=2, burst=3)
        self.assertEqual([buckets.allow("a", 0) for _ in range(4)], [True, True, True, False])
        self.assertEqual([buckets.allow("a", now) for now in (0.4, 0.5, 0.6, 1.0)], [False, True, False, True])

    def test_sources_do_not_pay_for_each_other(self) -> None:
        """Each has a bucket of its own."""
        buckets = Buckets(rate=1, burst=1)
        self.assertEqual([buckets.allow(one, 0) for one in "aba"], [True, True, False])

    def test_a_rate_of_zero_allows_everything(self) -> None:
        """And remembers nobody."""
        buckets = Buckets(rate=0, burst=0)
        self.assertTrue(all(buckets.allow("a", 0) for _ in range(1000)))

    def test_a_burst_below_one_still_lets_one_through(self) -> None:
        """A slow rate is no ban."""
        buckets = Buckets(rate=0.1, burst=0.5)
        self.assertEqual([buckets.allow("a", now) for now in (0, 5, 10)], [True, False, True])

    def test_long_silence_gives_no_more_than_the_burst(self) -> None:
        """Tokens are not saved up."""
        buckets = Buckets(rate=1, burst=2)
        buckets.allow("a", 0)
        self.assertEqual([buckets.allow("a", 1e6) for _ in range(3)], [True, True, False])

    def test_a_token_that_was_for_nothing_can_be_given_back(self) -> None:
        """Never more than there were; and nothing to one who is not known."""
        buckets = Buckets(rate=1, burst=1)
        buckets.give_back("a")
        self.assertTrue(buckets.allow("a", 0))
        for _ in range(3):
            buckets.give_back("a")
        self.assertEqual([buckets.allow("a", 0) for _ in range(2)], [True, False])

    def test_a_clock_put_back_gives_nothing_and_takes_nothing(self) -> None:
        """From then on it counts on the new clock."""
        buckets = Buckets(rate=1, burst=2)
        self.assertTrue(buckets.allow("a", 1000))
        self.assertEqual([buckets.allow("a", 10), buckets.allow("a", 10), buckets.allow("a", 11)], [True, False, True])

    def test_one_source_more_than_the_table_holds_forgets_the_oldest(self) -> None:
        """The table does not grow; to be forgotten is to be allowed."""
        buckets = Buckets(rate=1, burst=1, size=2)
        self.assertEqual([buckets.allow(one, 0) for one in ("a", "b", "a", "c")], [True, True, False, True])
        self.assertEqual([buckets.allow(one, 0) for one in ("a", "b")], [False, True])

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.floats(0, 10), max_size=60), st.floats(0.1, 5), st.floats(1, 5))
    def test_no_more_than_burst_and_rate_ever_pass(self, steps: list[float], rate: float, burst: float) -> None:
        """Whatever the moments."""
        buckets = Buckets(rate, burst)
        now, passed = 0.0, 0
        for step in steps:
            now += step
            passed += buckets.allow("a", now)
        self.assertLessEqual(passed, burst + rate * now + 1e-6)


class NetworkTests(SynchronousTestCase):
    """What one person can be expected to own."""

    def test_an_address_stands_for_its_network(self) -> None:
        """IPv4 for itself, IPv6 for the /56; an IPv4 address written as IPv6 is one."""
        for host, expected in (
            ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2ff::1", "2001:db8:1:200::"),
            ("2001:db8:1:200::9", "2001:db8:1:200::"), ("2001:db8:1:300::1", "2001:db8:1:300::"), ("fe80::1%eth0", "fe80::"),
            ("", ""), ("/run/socket", "/run/socket"),
        ):
            self.assertEqual(network(host), expected)
