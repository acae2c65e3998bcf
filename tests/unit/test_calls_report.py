"""What pages report: what is taken, and what is none."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.calls.changes import came
from rtcd.calls.record import Call
from rtcd.calls.report import MAX_AGO_S, MAX_REPORT_BYTES, read, taken

A, B = "a" * 16, "b" * 16
LOOK = {"to": B, "pair": {"local": "relay", "remote": "srflx", "protocol": "udp", "relay": "tls"}, "rtt": 12.5,
        "lost": [0, None], "kbps": [800, 900.5]}


def report(**fields: Any) -> bytes:
    """One as a page sends it."""
    return json.dumps(fields).encode()


class ReadTests(SynchronousTestCase):
    """The shape, and nothing else."""

    def test_a_page_s_report(self) -> None:
        found = read(report(looks=[LOOK], news=[{"what": "state", "value": "failed", "to": B, "ago": 3}], end="closed"))
        assert found is not None
        self.assertEqual((found.looks[0].rtt, found.news[0].value, found.end), (12.5, "failed", "closed"))
        self.assertIsNotNone(read(b"{}"))

    def test_what_is_no_report(self) -> None:
        """Each for one reason."""
        news = {"what": "state", "value": "failed", "to": B, "ago": 3}
        bad = [
            b"", b"[]", b"{", b"\xff", b"[" * 5000, b" " * MAX_REPORT_BYTES + b"{}",
            report(looks=[{**LOOK, "to": "someone"}]), report(looks=[{**LOOK, "to": B.upper()}]),
            report(looks=[{**LOOK, "rtt": -1}]), report(looks=[{**LOOK, "rtt": "12"}]),
            report(looks=[{**LOOK, "lost": [1.5, 0]}]), report(looks=[{**LOOK, "kbps": [1]}]),
            report(looks=[{**LOOK, "pair": {"local": "192.0.2.1", "remote": "host"}}]),
            report(looks=[{**LOOK, "pair": {"local": "relay", "remote": "host", "relay": "sctp"}}]),
            report(looks=[LOOK] * 9), report(news=[news] * 33), report(news=[{**news, "what": "chat"}]),
            report(news=[{**news, "value": "x" * 65}]), report(news=[{**news, "value": "192.0.2.1:5\n"}]),
            report(news=[{**news, "ago": -1}]), report(end="whenever"),
        ]
        self.assertEqual([one for one in bad if read(one) is not None], [])

    def test_sizes_up_to_the_limits(self) -> None:
        self.assertIsNotNone(read(report(looks=[LOOK] * 8, news=[
            {"what": "server", "value": "x" * 64, "ago": 1}] * 32)))


class TakenTests(SynchronousTestCase):
    """Into the record."""

    def setUp(self) -> None:
        self.call = Call("id", "room", 900.0)
        for letter in "AB":
            self.call = came(self.call, 1000, letter, "page", "", registered=True)

    def take(self, **fields: Any) -> Call:
        """What A reports at 1100."""
        found = read(report(**fields))
        assert found is not None
        return taken(self.call, 1100.0, "A", found, {A: "A", B: "B"})

    def test_news_have_their_own_time_within_limits(self) -> None:
        call = self.take(news=[
            {"what": "state", "value": "connected", "to": B, "ago": 4},
            {"what": "step", "value": "relay", "to": B, "ago": 1e5},
            {"what": "server", "value": "701 turn h 3478", "ago": 0},
            {"what": "device", "value": "NotFoundError video", "ago": 0}])
        self.assertEqual([(one.at, one.what) for one in call.events[2:]], [
            (1096, "state"), (1100 - MAX_AGO_S, "step"), (1100, "server"), (1100, "device")])
        self.assertEqual(call.links[0].connected_at, 1096)

    def test_of_a_server_the_host_is_not_kept(self) -> None:
        """Whatever kind of host it was; other words are none of a URL."""
        for told, kept in (
            ("701 turn 192.0.2.1 3478 transport udp", "turn udp 3478: 701"), ("401 turns h.example 443", "turns 443: 401"),
            ("701 turn 2001 db8 1 3478 transport tcp", "turn tcp 3478: 701"), ("701 stun h.example", "stun: 701"),
            ("701 stun", "other"), ("x", "other"), ("701 turn 192.0.2.1", "turn: 701"), ("701 http h 80", "other"),
        ):
            call = self.take(news=[{"what": "server", "value": told, "ago": 0}])
            self.assertEqual(call.events[-1].values, {"server": kept}, told)

    def test_servers_that_could_not_be_had(self) -> None:
        call = self.take(news=[{"what": "server", "value": "none", "ago": 2}])
        self.assertEqual((call.people[0].unserved, call.events[-1].what), (True, "unserved"))

    def test_looks_and_the_end(self) -> None:
        call = self.take(looks=[LOOK], end="hangup")
        pair = call.links[0].pair
        assert pair is not None
        self.assertEqual((pair.local, pair.relay, call.links[0].kbps_in.last), ("relay", "tls", 900.5))
        self.assertEqual(call.people[0].leaving, "hangup")

    def test_of_strangers_and_oneself_and_in_other_words_nothing_is_taken(self) -> None:
        stranger = "c" * 16
        call = self.take(
            looks=[{**LOOK, "to": stranger}, {**LOOK, "to": A}],
            news=[{"what": "state", "value": "connected", "to": stranger, "ago": 0},
                  {"what": "state", "value": "haunted", "to": B, "ago": 0},
                  {"what": "step", "value": "connected", "to": B, "ago": 0},
                  {"what": "state", "value": "connected", "ago": 0}])
        self.assertEqual(call, self.call)
