"""Addresses that the operator names."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.ranges import parse_ranges, within


class RangeTests(SynchronousTestCase):
    """Who is in a list."""

    def test_an_address_is_found_however_it_is_written(self) -> None:
        """A dual-stack socket shows IPv4 in IPv6's clothes; a scope is left out."""
        ranges = parse_ranges(["192.0.2.1", "10.0.0.0/8", "2001:db8::1-2001:db8::9", "fe80::/10"])
        for host in ("192.0.2.1", "::ffff:10.1.2.3", "2001:db8::5", "fe80::1%eth0"):
            self.assertTrue(within(host, ranges), host)
        for host in ("192.0.2.2", "11.0.0.1", "2001:db8::a", "", "meet.example"):
            self.assertFalse(within(host, ranges), host)
