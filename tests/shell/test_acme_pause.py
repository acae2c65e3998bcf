"""What an issuer does after failures, also over a restart: whom it leaves alone for how long, and what it keeps."""

from __future__ import annotations

import json
from typing import Any

from rtcd.acme.issuer import LOOK_S
from rtcd.acme.kept import ORIGIN, PAUSE, ROOM, Kept
from rtcd.acme.schedule import FIRST_S, JITTER
from rtcd.acme.settings import AcmeSettings
from rtcd.config import ConfigError
from rtcd.tls.certificates import ISSUED
from tests.shell.test_acme_issuer import DAY, DIRECTORY, NAME, NOW, IssuerTestCase, issued

HOUR = 3600.0


class RestartTests(IssuerTestCase):
    """The wait does not begin anew, and it is nobody's way around a limit."""

    def test_a_pause_goes_on_after_a_restart(self) -> None:
        """As long as it was, with the count of failures; the log says so at the start, and how to end it."""
        issuer = self.start()
        self.fail_order("rateLimited", 7 * DAY)
        for _ in range(3):
            issuer.stopService()
            self.reactor.advance(HOUR)
            issuer = self.start()
            self.assertEqual(len(self.orders), 1)
        self.assertEqual(self.next_call(), 7 * DAY - 3 * HOUR)
        self.assertIn(f"certificate for {NAME} has failed: the next is in {7 * 1440 - 180} min", self.told("info")[-1])
        self.assertIn(PAUSE, self.told("info")[-1])
        self.reactor.pump([DAY] * 7)
        self.assertEqual(len(self.orders), 2)
        self.fail_order("no")
        self.assertGreaterEqual(self.next_call(), 2 * FIRST_S)

    def test_it_ends_with_other_settings_names_or_ports_and_without_its_file(self) -> None:
        """What the operator has mended is tried at once."""
        for change in (
            lambda: {"email": "me@example.org"}, lambda: {"eab_kid": "k", "eab_key": "x" * 20},
            lambda: {"directory": "https://other.example/dir"}, lambda: setattr(self, "names", (NAME, "b.example.org")),
            lambda: setattr(self, "kinds", ("http-01",)), lambda: self.state.path(PAUSE).unlink(),
            lambda: self.state.write(PAUSE, b"rubbish"),
        ):
            self.setUp()
            issuer = self.start()
            self.fail_order("no", DAY)
            issuer.stopService()
            issuer = self.start(webroot="/srv")
            self.assertEqual(len(self.orders), 1)
            issuer.stopService()
            settings: Any = change()
            issuer = self.start(**(settings or {}))
            self.assertEqual(len(self.orders), 2, change)
            issuer.stopService()

    def test_with_a_name_more_it_is_tried_at_once_and_the_count_goes_on(self) -> None:
        """Names that come and go would otherwise be a way around it."""
        issuer = self.start()
        self.fail_order()
        self.names = (NAME, "b.example.org")
        issuer.poke()
        self.reactor.advance(0)
        self.fail_order()
        self.assertGreaterEqual(self.next_call(), 2 * FIRST_S)
        self.names = ("c.example.org",)
        issuer.poke()
        self.reactor.advance(0)
        self.fail_order()
        self.assertLessEqual(self.next_call(), FIRST_S * (1 + JITTER))

    def test_a_fault_of_ours_in_between_does_not_end_it(self) -> None:
        """Whoever tells the names may fail, before they were told or after."""
        issuer = self.start()
        self.fail_order("rateLimited", 7 * DAY)
        good = self.wanted

        async def bad() -> tuple[str, ...]:
            raise RuntimeError("ours")

        self.wanted = bad  # type: ignore[method-assign]  # for this test
        issuer.stopService()
        issuer = self.start()
        issuer.poke()
        self.reactor.advance(0)
        self.wanted = good  # type: ignore[method-assign]  # likewise
        issuer.stopService()
        issuer = self.start()
        self.assertEqual((len(self.orders), self.next_call()), (1, 7 * DAY))
        self.wanted = bad  # type: ignore[method-assign]  # likewise
        issuer._wanted = bad
        issuer.poke()
        self.reactor.advance(0)
        self.assertEqual((len(self.orders), self.next_call()), (1, 7 * DAY))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 3)

    def test_success_leaves_nothing_of_it(self) -> None:
        """Neither in the file nor in the count; likewise a certificate that turns out to be there."""
        issuer = self.start()
        self.fail_order()
        self.assertIsNotNone(self.state.read(PAUSE))
        self.reactor.advance(self.next_call())
        self.succeed()
        self.assertIsNone(self.state.read(PAUSE))
        self.names = (NAME, "b.example.org")
        issuer.poke()
        self.reactor.advance(0)
        self.fail_order()
        self.names = (NAME,)
        issuer.poke()
        self.reactor.advance(0)
        self.assertEqual((self.state.read(PAUSE), self.next_call()), (None, LOOK_S))

    def test_a_clock_that_has_gone_back_makes_it_no_longer(self) -> None:
        """It is never longer than it was at first."""
        issuer = self.start()
        self.fail_order("no", HOUR)
        issuer.stopService()
        self.reactor.rightNow -= 30 * DAY
        self.start()
        self.assertEqual((len(self.orders), self.next_call()), (1, HOUR))

    def test_a_certificate_that_is_as_good_as_due_when_it_comes_is_a_failure(self) -> None:
        """Of a second's life, or of an authority whose clock is another: it is used, and the waits grow."""
        self.start()
        for number in range(4):
            self.succeed(**({"days": 1 / 86400} if number % 2 else {"now": self.reactor.seconds() - 61 * DAY}))
            self.assertEqual((self.takes, len(self.orders)), (number + 1, number + 1))
            self.assertGreaterEqual(self.next_call(), 2**number * FIRST_S)
            self.reactor.advance(self.next_call())
        self.succeed(days=24 / 86400)
        self.assertTrue(15 <= self.next_call() <= 16)
        self.assertIsNone(self.state.read(PAUSE))


class ProofTests(IssuerTestCase):
    """Let's Encrypt allows five failed validations an hour, account and name."""

    def validations(self, seconds: float) -> list[tuple[float, str]]:
        """When names were not proved, and by what, if they never are."""
        seen: list[tuple[float, str]] = []
        start = self.reactor.seconds()
        while self.reactor.seconds() - start < seconds:
            while len(seen) < len(self.orders):
                seen.append((self.reactor.seconds() - start, self.orders[-1][0].challenge))
                self.fail_order("not proved", in_validation=True)
            self.reactor.advance(min(self.next_call(), start + seconds - self.reactor.seconds()) or 1)
        return seen

    def test_no_more_than_four_proofs_fail_within_an_hour(self) -> None:
        """Both kinds at first, then they take turns."""
        self.start()
        seen = self.validations(DAY)
        moments = [moment for moment, _ in seen]
        self.assertEqual([kind for _, kind in seen[:5]], ["tls-alpn-01", "http-01", "tls-alpn-01", "http-01", "tls-alpn-01"])
        self.assertEqual(len([one for one in moments if one < HOUR]), 4)
        for moment in moments:
            self.assertLessEqual(len([one for one in moments if moment <= one < moment + HOUR]), 4)

    def test_nor_when_a_certificate_is_about_to_end_or_has_ended(self) -> None:
        """Five then, of which the fifth is still allowed."""
        self.start()
        self.succeed(now=NOW - 90 * DAY + 2 * HOUR)
        self.reactor.advance(self.next_call())
        self.assertEqual(len(self.orders), 2)
        self.orders.pop(0)
        moments = [moment for moment, _ in self.validations(6 * HOUR)]
        for moment in moments:
            self.assertLessEqual(len([one for one in moments if moment <= one < moment + HOUR]), 5)

    def test_restarts_do_not_make_it_more(self) -> None:
        """After both kinds have failed one is tried at a time."""
        issuer = self.start()
        self.fail_order(in_validation=True)
        self.fail_order(in_validation=True)
        self.assertGreaterEqual(self.next_call(), 2 * FIRST_S)
        issuer.stopService()
        self.start()
        self.reactor.advance(self.next_call())
        self.fail_order(in_validation=True)
        self.assertEqual(len(self.orders), 3)

    def test_the_kind_that_did_last_time_goes_first(self) -> None:
        """Port 443 may be somebody else's."""
        self.start()
        self.fail_order(in_validation=True)
        self.succeed()
        self.reactor.pump([DAY] * 60)
        self.assertEqual([one[0].challenge for one in self.orders], ["tls-alpn-01", "http-01", "http-01"])

    def test_the_longer_of_two_requests_to_be_left_alone_counts(self) -> None:
        """Whichever order it was for."""
        self.start()
        self.fail_order("no", 2 * HOUR, in_validation=True)
        self.fail_order("no", HOUR, in_validation=True)
        self.assertEqual(self.next_call(), 2 * HOUR)


class FullTests(IssuerTestCase):
    """A state directory that cannot be written."""

    def setUp(self) -> None:
        """The names of files that cannot."""
        super().setUp()
        self.refused: set[str] = set()
        self.write = self.state.write
        self.patch(self.state, "write", self.refuse)

    def refuse(self, name: str, data: bytes) -> None:
        """Instead of writing."""
        if name in self.refused:
            raise self.state._fault(self.state.path(name), OSError(28, "No space left on device"))
        self.write(name, data)

    def test_without_room_nobody_is_asked(self) -> None:
        """It is a failure that is told, with pauses; and once there is room, it goes on."""
        self.refused = {ROOM, PAUSE}
        self.start()
        self.assertEqual(self.orders, [])
        self.assertIn("No space left on device", self.told("warn")[0])
        self.assertGreaterEqual(self.next_call(), FIRST_S)
        self.refused.clear()
        self.reactor.advance(self.next_call())
        self.assertEqual((len(self.orders), self.state.read(ROOM)), (1, None))

    def test_a_certificate_that_cannot_be_written_is_written_later(self) -> None:
        """Nobody makes another one; and until then the old one is there, whole."""
        self.start()
        self.succeed()
        old = self.state.read(ISSUED)
        for name in (ORIGIN, ISSUED):
            self.reactor.pump([DAY] * 60)
            asked = len(self.orders)
            self.refused = {name, PAUSE, "acme-account.json"}
            self.succeed()
            self.assertEqual(self.state.read(ISSUED), old)
            self.assertIsNotNone(Kept(self.state).certificate(DIRECTORY))
            for _ in range(9):
                self.assertLessEqual(self.next_call(), FIRST_S)
                self.reactor.advance(self.next_call())
            self.assertEqual(len(self.orders), asked)
            self.refused.clear()
            self.reactor.advance(self.next_call())
            self.assertEqual(len(self.orders), asked)
            self.assertNotEqual(self.state.read(ISSUED), old)
            self.assertGreater(self.next_call(), HOUR)
            old = self.state.read(ISSUED)

    def test_an_account_that_cannot_be_written_costs_no_certificate(self) -> None:
        """It is found again by its key."""
        self.refused = {"acme-account.json"}
        self.start()
        self.succeed()
        self.assertEqual((self.takes, self.told("warn")), (1, []))
        self.assertIsNotNone(self.state.read(ISSUED))

    def test_a_crash_at_any_write_leaves_a_whole_pair_of_known_origin(self) -> None:
        """The old one, or the new one."""
        kept = Kept(self.state)
        kept.put_certificate(issued())
        old = self.state.read(ISSUED)

        class Crash(BaseException):
            pass

        for count in range(2):
            done: list[str] = []

            def crash(name: str, data: bytes, count: int = count, done: list[str] = done) -> None:
                if len(done) == count:
                    raise Crash
                done.append(name)
                self.write(name, data)

            self.patch(self.state, "write", crash)
            self.assertRaises(Crash, kept.put_certificate, issued())
            self.assertEqual(self.state.read(ISSUED), old)
            self.assertIsNotNone(kept.certificate(DIRECTORY))

    def test_files_that_cannot_be_read_are_a_failure_and_no_fault_of_ours(self) -> None:
        """Told like any other."""
        self.state.path(ISSUED).mkdir()
        self.start()
        self.assertEqual((self.orders, self.flushLoggedErrors()), ([], []))
        self.assertIn(str(self.state.path(ISSUED)), self.told("warn")[0])
        self.assertGreaterEqual(self.next_call(), FIRST_S)
        self.state.path(ISSUED).rmdir()
        self.reactor.advance(self.next_call())
        self.assertEqual(len(self.orders), 1)

    def test_a_pause_that_cannot_be_read_or_removed_disturbs_nothing(self) -> None:
        """It is told."""
        self.state.path(PAUSE).mkdir()
        issuer = self.start()
        self.assertIn(PAUSE, self.told("warn")[0])
        self.fail_order()
        self.reactor.advance(self.next_call())
        self.succeed()
        self.assertEqual((self.takes, self.flushLoggedErrors()), (1, []))
        self.assertRaises(ConfigError, Kept(self.state).put_pause, None)
        issuer.reconfigure(AcmeSettings(directory=DIRECTORY, email="x@example.org"))
        self.reactor.advance(0)
        self.assertEqual(len(self.orders), 2)

    def test_a_fault_of_ours_in_an_order_is_paused_after_as_well(self) -> None:
        """A daemon that is started again and again would order each time."""
        issuer = self.start()
        self.orders[0][3].errback(RuntimeError("ours"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        issuer.stopService()
        self.start()
        self.assertEqual(len(self.orders), 1)
        self.assertEqual(json.loads(self.state.read(PAUSE) or b"")["failures"], 1)
