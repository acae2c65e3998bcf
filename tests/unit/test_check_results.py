"""What a page may report, the checks that go on, and those that are kept."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.bucket import masked
from rtcd.check.paths import Path
from rtcd.check.report import MAX_CODES, MAX_PATHS, MAX_REPORT_BYTES, Report, Seen, read
from rtcd.check.results import RECENT_S, Result, Results
from rtcd.check.trials import AGAIN_S, MAX_FROM_NETWORK, MAX_REPORTS, MAX_TRIALS, Trial, Trials
from rtcd.check.verdict import Found, Verdict

PATH = Path("udp-3478", "turn", "udp", "calls.example", 3478, "turn:calls.example:3478", frozenset((3478,)))


class ReportTests(SynchronousTestCase):
    """Anybody may send one."""

    def test_what_a_page_sends_is_read(self) -> None:
        found = read(b'{"paths":[{"id":"udp-3478","ok":false,"ms":null,"relayed":1,"codes":[701]}],"webrtc":true}')
        self.assertEqual(found, Report([Seen("udp-3478", False, relayed=1, codes=[701])]))

    def test_what_is_no_report_is_refused_with_a_sentence(self) -> None:
        """Beyond every bound, and what is no JSON."""
        one = '{"id":"a","ok":true}'
        for bad in (
            "", "[]", "{", "{}", '{"paths":[{"id":"a"}]}', f'{{"paths":[{one}],"more":1}}', '{"paths":"\ud800"}',
            f'{{"paths":[{",".join([one] * (MAX_PATHS + 1))}]}}', '{"paths":[{"id":"a","ok":true,"ms":-1}]}',
            '{"paths":[{"id":"%s","ok":true}]}' % ("a" * 41), '{"paths":[{"id":"a","ok":true,"ms":1e9}]}',
            '{"paths":[{"id":"a","ok":true,"codes":%s}]}' % ([1] * (MAX_CODES + 1)), '{"paths":[{"id":"a","ok":1}]}',
            '{"paths":[{"id":"a","ok":true,"relayed":3}]}', '{"paths":[]}' + " " * MAX_REPORT_BYTES, "[" * 5000,
        ):  # fmt: skip
            with self.assertRaisesRegex(ValueError, r"\A(The report|A report) "):
                read(bad.encode("utf-8", "surrogatepass"))


class ResultTests(SynchronousTestCase):
    """What is kept, and for how long."""

    def keep(
        self, results: Results, network: str = "192.0.2.0/24", number: int = 0, *, good: bool = True, at: float = 1.0
    ) -> None:
        """One more."""
        found = Found(PATH, "ok" if good else "never-arrived", arrived=good)
        results.keep(Result(number or results.number(), at, network, "", Verdict("some", (found,))))

    def test_results_are_bounded_and_go_on_behind_a_number(self) -> None:
        results = Results(3)
        for _ in range(5):
            self.keep(results)
        self.assertEqual([one.number for one in results.behind(0, 10)], [3, 4, 5])
        self.assertEqual([one.number for one in results.behind(3, 1)], [4])
        results.resize(1)
        self.assertEqual([one.number for one in results.behind(0, 10)], [5])

    def test_a_second_report_replaces_the_first(self) -> None:
        results = Results(2)
        self.keep(results)
        self.keep(results)
        self.keep(results, number=1, good=False)
        self.assertEqual([(one.number, one.verdict.found[0].outcome) for one in results.behind(0, 10)],
                         [(1, "never-arrived"), (2, "ok")])

    def test_what_arrived_from_another_network_is_known(self) -> None:
        results = Results(9)
        self.keep(results, "192.0.2.0/24")
        self.keep(results, "203.0.113.0/24", good=False)
        self.assertEqual((results.open_elsewhere("192.0.2.0/24", 2.0), results.open_elsewhere("203.0.113.0/24", 2.0)),
                         (frozenset(), {"udp-3478"}))

    def test_who_passed_no_router_or_came_long_ago_clears_nobody(self) -> None:
        """Nor who came by the other IP version, or from nobody knows where."""
        for network, asked, at, clears in (
            ("192.168.1.0/24", "203.0.113.0/24", 1.0, False), ("127.0.0.0/24", "203.0.113.0/24", 1.0, False),
            ("100.64.9.0/24", "203.0.113.0/24", 1.0, False), ("fd00::/48", "2001:db8:1::/48", 1.0, False),
            ("192.0.2.0/24", "2001:db8:1::/48", 1.0, False), ("", "203.0.113.0/24", 1.0, False),
            ("192.0.2.0/24", "", 1.0, False), ("192.0.2.0/24", "203.0.113.0/24", 1.0 - RECENT_S, False),
            ("2001:db8:2::/48", "2001:db8:1::/48", 1.0, True), ("192.0.2.0/24", "203.0.113.0/24", 2.0 - RECENT_S, True),
        ):  # fmt: skip
            results = Results(9)
            self.keep(results, network, at=at)
            self.assertEqual(bool(results.open_elsewhere(asked, 1.5)), clears, (network, asked, at))

    def test_addresses_are_shortened(self) -> None:
        for host, network in (
            ("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"), ("fe80::1%eth0", "fe80::/48"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"), ("unknown", ""), ("", ""),
        ):  # fmt: skip
            self.assertEqual(masked(host), network)


class TrialTests(SynchronousTestCase):
    """Checks that go on."""

    def trial(self, number: int, until: float = 100.0, network: str = "") -> Trial:
        """One."""
        return Trial(f"id{number}", f"user{number}", network or f"10.0.{number}.0/24", "", (), until)

    def test_a_check_takes_a_few_reports_in_its_time(self) -> None:
        trials = Trials()
        trials.add(self.trial(1))
        self.assertEqual(trials.report("id2", 0), None)
        for _ in range(MAX_REPORTS):
            self.assertIsNotNone(trials.report("id1", 99))
        self.assertIsNone(trials.report("id1", 99))
        trials.add(self.trial(2))
        self.assertIsNone(trials.report("id2", 100))

    def test_checks_end_in_time_and_are_bounded(self) -> None:
        trials = Trials()
        for number in range(MAX_TRIALS):
            self.assertFalse(trials.full("192.0.2.0/24"))
            trials.add(self.trial(number, 100.0 + number))
        self.assertEqual((trials.full("192.0.2.0/24"), trials.next_deadline()), (True, 100.0))
        self.assertEqual([one.id for one in trials.over(101)], ["id0", "id1"])
        self.assertEqual((trials.full("192.0.2.0/24"), len(trials.clear()), len(trials), trials.next_deadline()),
                         (False, MAX_TRIALS - 2, 0, None))

    def test_one_network_cannot_keep_the_others_waiting(self) -> None:
        """And who has reported makes room."""
        trials = Trials()
        for number in range(MAX_FROM_NETWORK):
            self.assertFalse(trials.full("192.0.2.0/24"))
            trials.add(self.trial(number, network="192.0.2.0/24"))
        self.assertEqual((trials.full("192.0.2.0/24"), trials.full("203.0.113.0/24")), (True, False))
        trials.report("id3", 1.0)
        self.assertEqual(trials.next_deadline(), 1.0 + AGAIN_S)
        trials.over(1.0 + AGAIN_S)
        self.assertFalse(trials.full("192.0.2.0/24"))
