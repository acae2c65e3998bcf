"""The rules of several workers: how many, who gets what, how figures become one page, when one is started again."""

from __future__ import annotations

import math
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.doorway.settings import DoorwaySettings
from rtcd.metrics import Metrics, Sample
from rtcd.together import cannot_share, lacking
from rtcd.turn.settings import Settings as TurnSettings
from rtcd.workers.configuration import packed, unpacked
from rtcd.workers.count import MAX_WORKERS, parse, usable
from rtcd.workers.frames import MAX_FRAME_BYTES, Answers, Ask, Frame, Frames, Open, Say, decode, encode, pack
from rtcd.workers.merging import Departed, merged, readiness
from rtcd.workers.restarts import LONGEST_S, WELL_S, Restarts
from rtcd.workers.shares import Place, behind, inward, outward, ports, share

PLACES = st.integers(1, MAX_WORKERS).flatmap(lambda many: st.builds(Place, st.integers(1, many), st.just(many)))


class CountTests(SynchronousTestCase):
    """``[daemon] workers``."""

    def test_a_number_or_auto(self) -> None:
        """Anything else is said to be none."""
        self.assertEqual([parse("1"), parse(str(MAX_WORKERS)), parse("auto")], [1, MAX_WORKERS, 0])
        for text in ("0", str(MAX_WORKERS + 1), "-1", "two", "", "²", "1.5"):
            with self.assertRaisesRegex(ValueError, "write one, or auto"):
                parse(text)

    def test_the_smallest_limit_counts(self) -> None:
        """A part of a core is one; what is no quota limits nothing."""
        for affinity, quotas, cores in (
            (8, [], 8), (8, ["max 100000\n"], 8), (8, ["250000 100000\n", "max 100000"], 3), (2, ["800000 100000"], 2),
            (8, ["50000 100000"], 1), (8, ["-1 100000", "", "x", "100000 0"], 8), (0, [], 1), (500, [], MAX_WORKERS),
        ):
            self.assertEqual(usable(affinity, quotas), cores, (affinity, quotas))


class SharesTests(SynchronousTestCase):
    """Ports, limits and numbers."""

    @settings(max_examples=40)
    @given(first=st.integers(1024, 65000), length=st.integers(1, 2000), many=st.integers(1, MAX_WORKERS))
    def test_every_relay_port_is_one_workers(self, first: int, length: int, many: int) -> None:
        """In one piece, of two at least, and nearly as many as the others'. Too few are refused."""
        last = first + length - 1
        if length < 2 * many:
            with self.assertRaisesRegex(ValueError, f"{length} relay ports are too few for {many} workers"):
                ports(first, last, Place(1, many))
            return
        pieces = [ports(first, last, Place(number, many)) for number in range(1, many + 1)]
        self.assertEqual([port for one in pieces for port in one], list(range(first, last + 1)))
        self.assertLessEqual(max(map(len, pieces)) - min(map(len, pieces)), 3)
        self.assertTrue(all((one.start - first) % 2 == 0 for one in pieces))

    @given(place=PLACES, number=st.integers(0, 10**6), after=st.integers(0, 10**6))
    def test_numbers_are_one_workers(self, place: Place, number: int, after: int) -> None:
        """They lead back to it, and come in the same order as its own."""
        out = outward(number, place)
        self.assertEqual(inward(out, place.count), (place.number, number))
        self.assertEqual(number > behind(after, place), out > after)

    def test_limits_of_the_daemon_are_divided(self) -> None:
        """Rounded up, so that none is 0, which would be no limit; one allocation fits into its share of a capacity."""
        turn = TurnSettings(total_quota=3, bps_capacity=1000, max_bps=600, max_connections=9, user_quota=5)
        first = share({"turn": turn, "doorway": DoorwaySettings(max_connections=100)}, Place(1, 2))
        self.assertEqual((first["turn"].total_quota, first["turn"].max_connections, first["turn"].bps_capacity), (2, 5, 600))
        self.assertEqual((first["turn"].user_quota, first["doorway"].max_connections), (5, 50))
        self.assertEqual(share({"turn": TurnSettings()}, Place(1, 4))["turn"].total_quota, 0)

    def test_what_cannot_be_shared_is_said(self) -> None:
        """One line for each, of the ini alone too; one process has none of them."""
        settings = {
            "doorway": DoorwaySettings(https=("systemd:domain=INET6:name=https",), plain=("unix:/run/x", "tcp:81")),
            "turn": TurnSettings(
                listen=("systemd:name=turn",), min_port=50000, max_port=50004, tcp_relay=True, mobility=True),
        }
        self.assertEqual([str(one).partition("; ")[0] for one in cannot_share(settings, 3)], [
            "[doorway] https: 'systemd:domain=INET6:name=https' is one socket, which [daemon] workers cannot share",
            "[turn] listen: 'systemd:name=turn' is one socket, which [daemon] workers cannot share",
            "[turn] max-port: 5 relay ports are too few for 3 workers, which need 2 each",
            *(f"[turn] {key}: a client's next connection or address may come to another worker, which does not have its "
              "allocation" for key in ("tcp-relay", "mobility"))])
        self.assertEqual(cannot_share(settings, 1), [])
        self.assertEqual(lacking(settings, ["turn"], ["turn"]), [])


class FramesTests(SynchronousTestCase):
    """Between the parent and a worker."""

    @given(cuts=st.lists(st.integers(1, 40)), payload=st.binary(max_size=200))
    def test_frames_come_out_as_they_went_in(self, cuts: list[int], payload: bytes) -> None:
        """However the stream is cut."""
        sent: list[Frame] = [
            Ask(1, -1, "a", payload), Say("ready"), Open("udp", "::1", 3478, 0), Answers(7, [(1, payload), (2, None)])]
        data, frames, found = b"".join(map(pack, sent)), Frames(), []
        for size in (*cuts, len(data)):
            part, data = data[:size], data[size:]
            found += list(frames.feed(part))
        self.assertEqual(found, sent)

    def test_what_is_none_is_refused(self) -> None:
        """One that is too long before it is there."""
        for data in ((MAX_FRAME_BYTES + 1).to_bytes(4, "big"), b"\0\0\0\1\xc1", pack(Say("x"))[:4] + b"\x93\1\2\3\4\5\6"):
            with self.assertRaises(ValueError):
                list(Frames().feed(data))
        with self.assertRaises(ValueError):
            pack(Ask(1, 1, "a", bytes(MAX_FRAME_BYTES)))

    def test_samples_pass(self) -> None:
        """As they are."""
        samples = [Sample("a_total", (("x", "1"),), 2.0, "counter", "text"), Sample("b", (), math.inf, "gauge", "")]
        self.assertEqual(decode(encode(samples), list[Sample]), samples)


class ConfigurationTests(SynchronousTestCase):
    """As it is handed out."""

    def test_it_arrives_as_it_was_read(self) -> None:
        """Secrets from files too; what another version says is refused."""
        schemas = {"turn": TurnSettings, "doorway": DoorwaySettings}
        read = {"turn": TurnSettings(user=("u:p",), min_port=50000), "doorway": DoorwaySettings(public_url="https://a.example")}
        self.assertEqual(unpacked(packed(read), schemas), read)
        with self.assertRaises(LookupError):
            unpacked(packed(read), {"turn": TurnSettings})
        for data in (b"", b"\xc1", packed({"turn": {"min_port": "x"}})):
            with self.assertRaises(ValueError):
                unpacked(data, schemas)


class MergingTests(SynchronousTestCase):
    """One page of figures."""

    def registry(self, came: int, rooms: float, took: float) -> list[Sample]:
        """Of one worker."""
        metrics = Metrics()
        metrics.counter("rooms", "came", "t", kind="page").value += came
        metrics.gauge("rooms", "rooms", "t", lambda: rooms)
        metrics.gauge("turn", "allocations_open", "t", lambda: rooms)
        metrics.gauge("doorway", "certificate_days_left", "t", lambda: rooms)
        metrics.histogram("doorway", "http_seconds", "t", (0.1, 1.0)).observe(took)
        return list(metrics.samples())

    def test_counters_and_histograms_are_summed_and_gauges_as_they_make_sense(self) -> None:
        """Families stand together, in the order of one process."""
        one, other = self.registry(2, 3, 0.05), self.registry(5, 4, 0.5)
        both = merged([one, other])
        self.assertEqual([sample.name for sample in both], [sample.name for sample in one])
        self.assertEqual([(sample.name.removeprefix("rtcd_"), sample.value) for sample in both], [
            ("rooms_came_total", 7), ("doorway_certificate_days_left", 3), ("rooms_rooms", 4), ("turn_allocations_open", 7),
            ("doorway_http_seconds_bucket", 1), ("doorway_http_seconds_bucket", 2), ("doorway_http_seconds_bucket", 2),
            ("doorway_http_seconds_count", 2), ("doorway_http_seconds_sum", 0.55)])

    def test_descriptors_are_those_of_the_process_that_is_nearest_to_its_limit(self) -> None:
        """Each process has the limit for itself. In sums one that has no more would be made up for by the others, such as
        the parent, which has few; and those of all are no figure to compare with the limit of one."""
        pages = [[Sample("process_open_fds", (), opened, "gauge", ""), Sample("process_max_fds", (), 1024.0, "gauge", "")]
                 for opened in (40.0, 1000.0, 200.0)]
        self.assertEqual({one.name: one.value for one in merged(pages)}, {
            "process_open_fds": 1000.0, "process_max_fds": 1024.0})
        self.assertEqual({one.name: one.value for one in merged(pages[1:2])}, {
            "process_open_fds": 1000.0, "process_max_fds": 1024.0})

    def test_who_does_not_know_a_figure_does_not_spoil_it(self) -> None:
        """NaN is for what nobody knows."""
        name = "rtcd_doorway_certificate_expiry_timestamp_seconds"
        known, unknown = Sample(name, (), 5.0, "gauge", ""), Sample(name, (), math.nan, "gauge", "")
        self.assertEqual([merged(one)[0].value for one in ([[known], [unknown]], [[unknown], [known]])], [5.0, 5.0])

    def test_a_counter_does_not_fall_when_a_worker_dies(self) -> None:
        """What it told last is kept, and the next one of its number begins at nothing."""
        departed, totals = Departed(), []
        for value, dies in ((3, False), (8, True), (1, False), (2, True), (0, False)):
            departed.told(1, self.registry(value, 1, 0.0))
            both = merged([departed.samples(), departed.latest(1)])
            totals.append(next(one.value for one in both if one.kind == "counter"))
            if dies:
                departed.gone(1)
        self.assertEqual(totals, [3, 8, 9, 10, 10])
        self.assertEqual([one.kind for one in departed.samples() if one.kind == "gauge"], [])
        departed.gone(9)

    def test_all_workers_have_to_be_ready(self) -> None:
        """Who says nothing is not."""
        fine = {"turn": "", "rooms": ""}
        self.assertEqual(readiness({1: fine, 2: fine}), {"turn": "", "rooms": "", "workers": ""})
        self.assertEqual(readiness({2: None, 1: {"turn": "no answer by UDP", "rooms": ""}, 3: None}), {
            "turn": "worker 1: no answer by UDP", "rooms": "", "workers": "no answer from worker 2, 3"})


class RestartsTests(SynchronousTestCase):
    """When the next one is started."""

    def test_at_once_and_then_later_and_later(self) -> None:
        """One that was well for a minute begins anew."""
        restarts, delays = Restarts(), []
        for _ in count():
            delays.append(restarts.after(1.0))
            if delays[-2:] == [LONGEST_S] * 2:
                break
        self.assertEqual(delays, [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_S, LONGEST_S])
        self.assertEqual([restarts.after(WELL_S), restarts.after(1.0)], [0.0, 1.0])
