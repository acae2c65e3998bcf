"""When a certificate is renewed, how long a failure lasts, and which names can have one."""

from __future__ import annotations

import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from rtcd.acme.challenges import from_sni
from rtcd.acme.schedule import (
    EXPIRED_LONGEST_S,
    FIRST_S,
    JITTER,
    LONGEST_ASKED_S,
    LONGEST_S,
    MAX_FAILURES,
    SHARE,
    SOONEST_S,
    STEADY,
    Lifetime,
    Pause,
    back_off,
    is_for,
)
from rtcd.outside.names import PRIVATE_KINDS, public_name

DAY = 86400.0
NOW = 1_790_000_000.0


class RenewalTests(SynchronousTestCase):
    """Two thirds of the lifetime."""

    def test_a_certificate_is_renewed_at_two_thirds_of_its_life(self) -> None:
        """Sixty of ninety days, four of six."""
        for days, due in ((90, 60), (6, 4), (45, 30)):
            lifetime = Lifetime(NOW, NOW + days * DAY)
            self.assertEqual(lifetime.until_renewal(NOW), due * DAY)
            self.assertFalse(lifetime.is_due(NOW + due * DAY - 1))
            self.assertTrue(lifetime.is_due(NOW + due * DAY))
            self.assertTrue(lifetime.is_due(NOW + 2 * days * DAY))

    def test_a_clock_that_goes_back_does_not_put_it_off_for_ever(self) -> None:
        """The wait is never longer than the renewal is away from the beginning."""
        lifetime = Lifetime(NOW, NOW + 90 * DAY)
        self.assertEqual(lifetime.until_renewal(0), 60 * DAY)
        self.assertEqual(lifetime.left(0), 90 * DAY)
        self.assertEqual(lifetime.left(NOW + 1000 * DAY), 0)

    def test_a_lifetime_that_ends_before_it_begins_is_none(self) -> None:
        """It is due."""
        self.assertTrue(Lifetime(NOW, NOW - 1).is_due(NOW))
        self.assertEqual(Lifetime(NOW, NOW - 1).length, 0)


class BackOffTests(SynchronousTestCase):
    """After failures."""

    def waits(self, lifetime: Lifetime | None, now: float = NOW, count: int = 12) -> list[float]:
        """After the first failure, the second and so on."""
        return [back_off(number + 1, now, lifetime) for number in range(count)]

    def test_waits_double_from_five_minutes_to_half_a_day(self) -> None:
        """Without a certificate."""
        waits = self.waits(None)
        self.assertEqual(waits[:4], [300, 600, 1200, 2400])
        self.assertEqual(waits[-1], LONGEST_S)
        self.assertEqual(back_off(10**6, NOW, None), LONGEST_S)

    def test_a_certificate_that_runs_out_soon_is_tried_for_more_often(self) -> None:
        """At a twelfth of what is left: one of six days that is due has two days. But not more than four times an hour."""
        six_days = Lifetime(NOW - 4 * DAY, NOW + 2 * DAY)
        self.assertEqual(self.waits(six_days)[-1], 2 * DAY / SHARE)
        self.assertEqual(self.waits(Lifetime(NOW - 89.5 * DAY, NOW + 0.5 * DAY))[-1], 0.5 * DAY / SHARE)
        self.assertEqual(self.waits(Lifetime(NOW - 90 * DAY, NOW + 60))[-1], STEADY * FIRST_S)
        self.assertEqual(self.waits(Lifetime(NOW - 60 * DAY, NOW + 30 * DAY))[-1], LONGEST_S)

    def test_one_that_has_run_out_is_tried_for_every_hour(self) -> None:
        """Not at once and again, which an authority would punish."""
        self.assertEqual(self.waits(Lifetime(NOW - 91 * DAY, NOW - DAY))[-1], EXPIRED_LONGEST_S)

    def test_short_certificates_of_tests_have_short_waits(self) -> None:
        """A twelfth of the whole, and five seconds at least."""
        self.assertEqual(self.waits(Lifetime(NOW, NOW + 120))[0], 10)
        self.assertEqual(self.waits(Lifetime(NOW, NOW + 120))[-1], STEADY * 10)
        self.assertEqual(self.waits(Lifetime(NOW, NOW + 8))[0], SOONEST_S)
        self.assertEqual(self.waits(Lifetime(NOW, NOW + 5)), self.waits(None), "with such a one nobody can do anything")

    def test_what_the_authority_asks_for_is_kept(self) -> None:
        """Within reason."""
        self.assertEqual(back_off(1, NOW, None, retry_after=7200), 7200)
        self.assertEqual(back_off(1, NOW, None, retry_after=1), FIRST_S)
        self.assertEqual(back_off(1, NOW, None, retry_after=1e12), LONGEST_ASKED_S)

    def test_jitter_makes_a_wait_longer_only(self) -> None:
        """By a quarter at most, whatever is passed."""
        for jitter, factor in ((0.0, 1.0), (1.0, 1 + JITTER), (-5.0, 1.0), (7.0, 1 + JITTER)):
            self.assertEqual(back_off(1, NOW, None, jitter=jitter), FIRST_S * factor)

    @given(
        some.integers(0, 200), some.floats(-1e10, 1e10), some.floats(0, 1e10), some.floats(0, 1e9), some.floats(0, 1))
    def test_a_wait_is_always_of_a_sensible_length(
        self, failures: int, now: float, start: float, length: float, jitter: float
    ) -> None:
        """However wrong the clock is."""
        wait = back_off(failures, now, Lifetime(start, start + length), jitter=jitter)
        self.assertGreaterEqual(wait, SOONEST_S)
        self.assertLessEqual(wait, LONGEST_S * (1 + JITTER))
        self.assertGreaterEqual(Lifetime(start, start + length).until_renewal(now), 0)


class PauseTests(SynchronousTestCase):
    """What a restart finds of failures."""

    PAUSE = Pause(("a.example.org", "8.8.8.8"), "digest", 3, 2, 1200.0, NOW + 1200)

    def test_it_is_the_same_when_it_is_read_again(self) -> None:
        """As JSON."""
        self.assertEqual(Pause.from_json(self.PAUSE.to_json()), self.PAUSE)

    def test_a_wrong_clock_does_not_make_it_longer(self) -> None:
        """Neither then nor now."""
        self.assertEqual([self.PAUSE.left(NOW + one) for one in (0, 1000, 1200, 10**6, -10**6)], [1200, 200, 0, 0, 1200])

    def test_one_that_is_longer_than_any_is_cut(self) -> None:
        """Whoever has written it; also the counts."""
        found = Pause.from_json(json.dumps({**asdict(self.PAUSE), "length_s": 1e12, "ends": 1e300, "failures": 10**30}))
        assert found is not None
        self.assertEqual((found.left(NOW), found.failures), (LONGEST_ASKED_S, MAX_FAILURES))

    def test_what_is_none_is_none(self) -> None:
        """A damaged file keeps nobody from asking."""
        good = asdict(self.PAUSE)
        bad = [{**good, key: value} for key, value in (
            ("names", 3), ("names", [3]), ("settings", None), ("failures", "x"), ("proofs", None),
            ("failures", float("inf")), ("length_s", float("nan")), ("ends", float("inf")), ("ends", []),
            ("length_s", "soon"))]
        for text in ("", "null", "[]", "{}", "[" * 100000, *map(json.dumps, bad)):
            self.assertIsNone(Pause.from_json(text), text[:200])


class NamesTests(SynchronousTestCase):
    """Names as such."""

    def test_a_certificate_may_be_for_more_than_is_wanted(self) -> None:
        """In any order and spelling; not for less."""
        self.assertTrue(is_for(("a.example.org", "2001:db8::1"), ("2001:DB8:0::1", "A.example.org.")))
        self.assertTrue(is_for(("a.example.org", "b.example.org"), ("a.example.org",)))
        self.assertFalse(is_for(("a.example.org",), ("a.example.org", "b.example.org")))
        self.assertFalse(is_for(("*.example.org",), ("a.example.org",)))

    def test_full_names_and_addresses_of_the_internet_are_public(self) -> None:
        """By their looks."""
        for name in ("meet.example.org", "Meet.Example.ORG.", "xn--bcher-kva.de", "8.8.8.8", "2606:4700::1111",
                     "[2606:4700::1111]", "a-b.c0.example.museum"):
            self.assertTrue(public_name(name), name)

    def test_what_no_authority_certifies_is_not(self) -> None:
        """Short names, private kinds, private addresses, wildcards, and what is no name at all."""
        bad = [f"box.{kind}" for kind in PRIVATE_KINDS]
        bad += ["box.home.arpa", "localhost", "box", "", ".", "a..org", "-a.org", "a_b.example.org", "*.example.org",
                "1.2.3.400", "example.123", "ä.org", "a b.org", f"{'x' * 64}.org", ".".join(["x" * 60] * 5), "user@host.org",
                "10.0.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255",
                "0.0.0.0", "192.0.2.1", "::1", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "2001:db8::1", "::",
                "::ffff:10.0.0.1", "4000::1"]
        for name in bad:
            self.assertFalse(public_name(name), name)

    def test_a_reverse_name_means_its_address(self) -> None:
        """And every other name itself."""
        self.assertEqual(from_sni("1.0.0.127.in-addr.arpa"), "127.0.0.1")
        self.assertEqual(from_sni("Meet.example.org"), "meet.example.org")
        self.assertEqual(from_sni("in-addr.arpa"), "in-addr.arpa")
