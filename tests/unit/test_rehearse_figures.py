"""What is made of a rehearsal's figures, and what ``/proc`` tells of processor time."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from rtcd.rehearse.figures import (
    ON_THE_WAY_S,
    OWN_LIMIT,
    Figures,
    Heard,
    Load,
    Reading,
    between,
    headroom,
    percentile,
)
from rtcd.rehearse.procfs import ended, holds, listening, ticks_of_interrupts, ticks_of_process

GOOD = Figures("https://a", "udp", 4, 10.0, (0.5, 0.7), (Heard(1000, 0, 625000, 0.02),) * 4, 1.0)


class Reports(SynchronousTestCase):
    def test_a_good_one_has_no_fault(self) -> None:
        self.assertIsNone(GOOD.fault)
        self.assertEqual(GOOD.lines(), [
            "2 of 2 calls by udp through https://a", "set-up    500 ms median, 700 ms 95 %", "loss      0.00 %",
            "RTT       20 ms median, 20 ms 95 %", "bitrate   500 kbit/s to each of 4 people",
            "room for  at least 2 such calls"])
        record = GOOD.record()
        self.assertEqual((record["calls"], record["setup_ms"], record["kbps"], record["fault"], record["daemon"]),
                         (2, {"median": 500.0, "p95": 700.0}, 500.0, None, None))

    def test_a_pair_that_does_not_connect_is_where_it_ends(self) -> None:
        """For what came before, the figures are there."""
        found = dataclasses.replace(GOOD, people=6, failed="call 3 of 3 did not connect: x", load=Load(1, 1, 2))
        self.assertEqual((found.fault, found.room), ("call 3 of 3 did not connect: x", ("no more than", 2)))
        self.assertIn("2 of 3 calls", found.lines()[0])
        none = Figures("https://a", "udp", 2, 0.0, (), (), 0.0, None, "x")
        self.assertEqual(none.lines(), ["0 of 1 calls by udp through https://a"])
        self.assertEqual((none.record()["setup_ms"], none.record()["loss_percent"]), (None, 0.0))

    def test_loss_is_a_fault_from_where_calls_are_poor(self) -> None:
        for lost, fault in ((52, None), (53, "5.0 % of the packets were lost; calls are poor from 5 % on")):
            found = dataclasses.replace(GOOD, heard=(Heard(1000, lost, 1, None),))
            self.assertEqual(found.fault, fault)
        self.assertIn("not known", found.lines()[3])

    def test_who_gets_nothing_any_more_is_a_fault_though_nothing_is_known_to_be_lost(self) -> None:
        found = dataclasses.replace(GOOD, heard=(Heard(1000, 0, 1, None), Heard(0, 0, 0, None)))
        self.assertEqual(found.fault, "1 of 2 people got nothing any more after they had connected")

    def test_what_the_other_one_sent_and_did_not_come_is_lost(self) -> None:
        """RTCP counts up to the last packet that came: of a call that died midway it knows nothing. What is on its way when
        both are read is not lost."""
        for packets, lost, sent, wanted in (
            (1000, 0, 1000, 0), (990, 0, 1000, 0), (990, 7, 1000, 7), (500, 0, 1000, 480), (0, 0, 1000, 980),
            (1010, -3, 1000, 0),
        ):
            found = between(Reading(5, 1, 100, 0, 0.1), Reading(5 + packets, 1 + lost, 300, 0, 0.2), sent, 10.0)
            self.assertEqual(found, Heard(packets, wanted, 200, 0.2))
        self.assertEqual(ON_THE_WAY_S, 0.2)

    def test_what_broke_while_they_talked_is_a_fault_and_tells_of_no_room(self) -> None:
        found = dataclasses.replace(GOOD, broken="x")
        self.assertEqual((found.fault, found.room), ("x", ("at least", 0)))
        self.assertFalse([line for line in found.lines() if line.startswith("room for")])

    def test_poor_calls_are_no_more_than_there_is_room_for(self) -> None:
        found = dataclasses.replace(GOOD, heard=(Heard(1000, 500, 1, None),), load=Load(0.1, 0.1, 2))
        self.assertEqual(found.room, ("no more than", 2))

    def test_a_machine_that_measures_itself_is_told(self) -> None:
        busy = dataclasses.replace(GOOD, own_s=OWN_LIMIT / 10 + 0.1)
        self.assertIn("rehearsing itself took 86 %", busy.lines()[-1])

    def test_room_is_by_the_daemon_or_by_all_processors(self) -> None:
        """Of two calls in ten seconds: the daemon has one processor, interrupts have four."""
        self.assertEqual(headroom(2, 10.0, Load(1.0, 0.0, 4)), 16)
        self.assertEqual(headroom(2, 10.0, Load(0.1, 0.9, 4)), 64)
        self.assertEqual(headroom(2, 10.0, Load(0.0, 0.0, 4)), 2)
        found = dataclasses.replace(GOOD, load=Load(1.0, 0.5, 4))
        self.assertEqual(found.room, ("about", 16))
        self.assertIn("daemon    10.0 % of a processor, and 5.0 % for packets in the kernel", found.lines())
        self.assertEqual(dataclasses.replace(GOOD, load=Load(30.0, 0, 1)).room, ("about", 2))

    def test_room_is_no_more_than_the_configuration_allows(self) -> None:
        """Two relays a call; what bounds it is said."""
        found = dataclasses.replace(GOOD, load=Load(1.0, 0.5, 4), limit=12)
        self.assertEqual(found.room, ("about", 12))
        self.assertEqual(found.lines()[-1], "room for  about 12 such calls by ports and quota of [turn]")
        self.assertEqual(found.record()["room"], {"calls": 12, "bound": "about", "by": "configuration"})
        more = dataclasses.replace(found, limit=17)
        self.assertEqual((more.lines()[-1], more.record()["room"]), (
            "room for  about 16 such calls by processor", {"calls": 16, "bound": "about", "by": "processor"}))
        self.assertEqual(dataclasses.replace(GOOD, limit=1).room, ("at least", 2))

    def test_what_the_machine_did_before_the_calls_is_not_theirs(self) -> None:
        """Interrupts are those of the whole machine."""
        self.assertEqual(Load(3.0, 2.0, 4).without(Load(0.1, 0.3, 4), 1.0, 5.0), Load(2.5, 0.5, 4))
        self.assertEqual(Load(0.1, 0.1, 4).without(Load(1.0, 1.0, 4), 1.0, 5.0), Load(0.0, 0.0, 4))

    def test_percentiles(self) -> None:
        self.assertEqual([percentile([3, 1, 2], share) for share in (0.5, 0.95, 0.01)], [2, 3, 1])
        self.assertEqual(percentile(range(1, 101), 0.95), 95)


class Proc(SynchronousTestCase):
    TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1
   1: 0100007F:01BB 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 222 1
   2: 00000000:01BC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1
   short
"""

    def test_who_listens_is_found_by_its_socket(self) -> None:
        self.assertEqual(listening(self.TABLE, 443), {"111"})
        self.assertEqual(listening("", 443), set())
        self.assertTrue(holds(["/dev/null", "socket:[111]"], {"111"}))
        self.assertFalse(holds(["socket:[1111]", "111"], {"111"}))

    def test_a_process_that_nobody_has_asked_after_has_ended(self) -> None:
        self.assertEqual([ended(f"7 (a) {state} 1") for state in ("S", "R", "Z", "X", "")],
                         [False, False, True, True, False])
        self.assertFalse(ended(""))

    def test_times_are_read_whatever_a_process_is_called(self) -> None:
        self.assertEqual(ticks_of_process("7 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 30 12 13"), 42)
        self.assertEqual(ticks_of_interrupts("cpu  1 2 3 4 5 60 7 8 9 10\ncpu0 1 1 1 1 1 1 1\n"), 67)
