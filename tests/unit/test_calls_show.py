"""Records as people are shown them."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.calls import changes
from rtcd.calls.record import Call, Pair
from rtcd.calls.show import lines, summary, whole


def made() -> Call:
    """Two who spoke by a relay."""
    call = Call("0a1b2c", "lunch-room", 1_700_000_000.0, turn="here", places=("udp 3478",))
    for letter in "AB":
        call = changes.came(call, 1_700_000_000, letter, "page", "192.0.2.7", registered=True)
    call = changes.said(call, 1_700_000_001, "A", "offer", [("srflx", "udp", "203.0.113.5")])
    call = changes.relay_began(call, 1_700_000_001, "A", "tls")
    call = changes.relay_refused(call, 1_700_000_001, "B", "allocate", 486, "user-quota")
    call = changes.looked(call, 1_700_000_004, "A", "B", Pair("relay", "host", relay="tls"), (40, 0.01, 0.0, 900, 800))
    call = changes.link_state(call, 1_700_000_002, "A", "B", "connected")
    call = changes.link_state(call, 1_700_000_002, "B", "A", "connecting")
    call = changes.gone(call, 1_700_003_725, "A", "left")
    return changes.ended(changes.gone(call, 1_700_003_726, "B", "left"), 1_700_003_726, "left")


class ShowTests(SynchronousTestCase):
    """By way of JSON, as over the socket."""

    def lines(self, call: Call, now: float = 1_700_003_800.0, language: str = "en") -> list[str]:
        """The text."""
        return lines(json.loads(json.dumps(whole(call, now))), language)

    def test_a_call_in_english(self) -> None:
        self.assertEqual(self.lines(made()), [
            "Call 0a1b2c in room lunch-room",
            "2023-11-14 22:13:20 to 2023-11-14 23:15:26 UTC, 1:02:06",
            "",
            "Connected through the relay, over TLS.",
            "A left.",
            "",
            "People",
            "  A  page, 192.0.2.0/24, 1:02:05",
            "      candidates: srflx udp ×1",
            "      seen from outside at 203.0.113.0/24",
            "      relays: tls ×1",
            "  B  page, 192.0.2.0/24, 1:02:06",
            "      candidates: none",
            "      relays: none",
            "      TURN errors: allocate 486 ×1",
            "",
            "Connections, as the pages tell of them",
            "  A to B  relay (tls) → host; round trip 40 ms (at most 40), lost out 1.0 % in 0.0 %, kbit/s out 900 in 800; "
            "1 looks, 0 of them poor",
            "  B to A  never connected; last state: connecting",
            "",
            "What happened",
            "    +0.0 s  A came: page, from 192.0.2.0/24",
            "    +0.0 s  B came: page, from 192.0.2.0/24",
            "    +1.0 s  A sent an offer",
            "    +1.0 s  A signalled its first srflx udp",
            "    +1.0 s  A got a relay over TLS",
            "    +1.0 s  TURN refused B: allocate 486",
            "    +2.0 s  A to B: connected",
            "    +2.0 s  B to A: connecting",
            "    +4.0 s  A to B: by way of its relay, over TLS, to host (UDP)",
            "  +1:02:05  A gave its seat back",
            "  +1:02:06  B gave its seat back",
            "  +1:02:06  the call is over",
        ])

    def test_a_call_in_chinese_has_no_english_sentence_left(self) -> None:
        found = self.lines(made(), language="zh")
        self.assertEqual(found[0], "通话 0a1b2c，房间 lunch-room")
        self.assertIn("已通过中继连接，走 TLS。", found)
        for line in found[3:]:
            if line.strip() and "last state" not in line:
                self.assertTrue(any(ord(one) > 0x2e80 for one in line), line)

    def test_one_that_is_on(self) -> None:
        call = changes.came(Call("1", "room", 1000.0), 1000, "A", "app", "192.0.2.1", registered=False)
        self.assertEqual(self.lines(call, 1065.0)[1], "since 1970-01-01 00:16:40 UTC, 1:05")
        found = summary(call, 1065.0)
        self.assertEqual((found["ended_at"], found["people"], found["ending"]["id"]), (None, 1, "on"))

    def test_what_was_left_out_is_said(self) -> None:
        call = made()
        for number in range(300):
            call = changes.noted(call, 1_700_000_100.0, "server", "A", {"server": str(number)})
        for number in range(30):
            call = changes.came(call, 1_700_000_100.0, f"X{number}", "app", "", registered=False)
        text = "\n".join(self.lines(call))
        self.assertIn("earlier entries are left out)", text)
        self.assertIn("(6 people who came earlier are left out)", text)
        self.assertLess(len(text.splitlines()), 600)

    def test_repeated_events_are_one_line(self) -> None:
        call = made()
        for _ in range(3):
            call = changes.relay_refused(call, 1_700_003_727, "B", "refresh", 437, "")
        self.assertTrue(any(one.endswith("TURN refused B: refresh 437 ×3") for one in self.lines(call)))

    def test_what_is_no_record(self) -> None:
        """A newer daemon, or somebody else's answer."""
        bad: list[Any] = [{}, {"view": 3}, {"view": {}}, {"view": {"en": {"title": "", "span": "", "said": []}}},
                          {"view": {"en": {"title": "", "span": "", "said": [], "parts": [{"title": "", "rows": [1]}]}}}]
        for one in bad:
            self.assertRaises(ValueError, lines, one)

    def test_a_clock_that_steps_back(self) -> None:
        call = changes.came(Call("1", "room", 1000.0), 1000, "A", "app", "", registered=False)
        self.assertIn("0.0 s", self.lines(call, 0)[1])
