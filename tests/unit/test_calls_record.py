"""Records of calls: what each change makes of them, what is masked, and that nothing grows without bounds."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.bucket import masked
from rtcd.calls import changes, record
from rtcd.calls.live import Live
from rtcd.calls.record import Call, Event, Pair, letter_of, shown_name
from rtcd.peers.candidates import Candidate, Described

HOSTILE = "x" * 5000


def two(turn: str = "here") -> Call:
    """A and B are there, with sockets."""
    call = Call("id", "room", 1000.0, turn=turn, places=("udp 3478", "tls 443"))
    for letter in "AB":
        call = changes.came(call, 1000, letter, "page", "192.0.2.7", registered=False)
        call = changes.came(call, 1001, letter, "page", "192.0.2.7", registered=True)
    return call


class MaskTests(SynchronousTestCase):
    """Of addresses the network is kept."""

    def test_addresses(self) -> None:
        self.assertEqual(
            [masked(one) for one in ("192.0.2.77", "2001:db8:1:2::3", "::ffff:192.0.2.77", "fe80::1%eth0", "no", "")],
            ["192.0.2.0/24", "2001:db8:1::/48", "192.0.2.0/24", "fe80::/48", "", ""])

    def test_names_of_rooms_are_fit_to_be_shown(self) -> None:
        """Who registers without joining names a room as he likes."""
        self.assertEqual(shown_name("a\x1b[2J\ud800b"), "a?[2J?b")
        self.assertEqual(len(shown_name(HOSTILE)), record.MAX_ROOM_CHARS)

    def test_people_are_letters(self) -> None:
        self.assertEqual([letter_of(one) for one in (0, 25, 26, 52)], ["A", "Z", "A2", "A3"])


class ChangeTests(SynchronousTestCase):
    """One after the other."""

    def test_coming_opening_and_coming_back(self) -> None:
        call = changes.came(two(), 1010, "A", "page", "198.51.100.9", registered=True)
        self.assertEqual([(one.what, one.who) for one in call.events],
                         [("came", "A"), ("socket", "A"), ("came", "B"), ("socket", "B"), ("back", "A")])
        self.assertEqual(call.events[-1].values, {"network": "198.51.100.0/24"})
        self.assertEqual(call.people[0].socket_at, 1001)

    def test_a_seat_is_lost_once(self) -> None:
        call = changes.gone(changes.gone(two(), 1005, "A", "left"), 1006, "A", "lost")
        self.assertEqual((call.people[0].gone_at, call.people[0].why), (1005, "left"))

    def test_candidates_are_counted_and_the_first_of_each_kind_is_told(self) -> None:
        found = [("host", "udp", ""), ("host", "udp", "192.168.1.1"), ("srflx", "udp", "203.0.113.5")]
        call = changes.said(two(), 1002, "A", "offer", found)
        call = changes.said(call, 1003, "A", "candidate", found)
        self.assertEqual(call.people[0].candidates, {"host udp": 4, "srflx udp": 2})
        self.assertEqual((call.people[0].networks, call.people[0].offers), (("203.0.113.0/24",), 1))
        self.assertEqual([one.values.get("type") for one in call.events[4:]], [None, "host udp", "srflx udp"])

    def test_what_is_alike_is_counted(self) -> None:
        """Each with its first time."""
        call = two()
        for at in range(5):
            call = changes.relay_refused(call, 1002 + at, "A", "allocate", 486, "user-quota")
            call = changes.relay_refused(call, 1002 + at, "B", "allocate", 486, "user-quota")
        self.assertEqual([(one.who, one.times, one.at) for one in call.events[-2:]], [("A", 5, 1002), ("B", 5, 1002)])
        self.assertEqual((call.people[0].refusals, call.people[0].limits), ({"allocate 486": 5}, ("user-quota",)))

    def test_looks_are_summed_up_and_another_pair_is_told(self) -> None:
        pair = Pair("host", "srflx")
        call = changes.looked(two(), 1005, "A", "B", pair, (100, 0.5, None, 10, 20))
        call = changes.looked(call, 1035, "A", "B", pair, (300, 0.0, None, 30, 20))
        call = changes.looked(call, 1065, "A", "B", Pair("relay", "srflx", relay="tcp"), (None, None, None, None, None))
        link, = call.links
        self.assertEqual((link.rtt_ms.mean, link.rtt_ms.most, link.rtt_ms.looks), (200, 300, 2))
        self.assertEqual((link.loss_out.mean, link.loss_in.mean, link.poor, link.pairs), (0.25, 0, 1, 2))
        self.assertEqual(link.connected_at, 1005)
        self.assertEqual([one.what for one in call.events[4:]], ["pair", "pair"])

    def test_states_and_steps_of_a_connection(self) -> None:
        call = two()
        for at, state in enumerate(("connecting", "failed", "connected", "failed", "connected")):
            call = changes.link_state(call, 1002 + at, "A", "B", state)
        call = changes.link_step(changes.link_step(call, 1010, "A", "B", "relay"), 1020, "A", "B", "relay")
        link, = call.links
        self.assertEqual((link.state, link.failures, link.connected_at, link.steps), ("connected", 2, 1004, {"relay": 2}))

    def test_what_is_told_of_nobody_changes_nothing(self) -> None:
        call = two()
        for change in (
            changes.gone(call, 0, "Z", "left"), changes.said(call, 0, "Z", "offer", ()),
            changes.knocked(call, 0, "Z", "udp"), changes.relay_began(call, 0, "Z", "udp"),
            changes.relay_refused(call, 0, "Z", "allocate", 486, ""),
            changes.peer_denied(call, 0, "Z", "10.0.0.1", "private"), changes.device(call, 0, "Z", "x video"),
            changes.relay_ended(call, 0, "Z", "udp", "expired", 1, 1), changes.leaving(call, 0, "Z", "closed"),
            changes.unserved(call, 0, "Z"),
        ):
            self.assertIs(change, call)


class BoundTests(SynchronousTestCase):
    """A client that does its worst."""

    def test_the_time_line_leaves_out_the_oldest(self) -> None:
        call = two()
        for number in range(changes.MAX_EVENTS + 10):
            call = changes.noted(call, number, "server", "A", {"server": f"{number}{HOSTILE}"})
        self.assertEqual((len(call.events), call.left_out), (changes.MAX_EVENTS, 14))
        self.assertEqual(len(str(call.events[-1].values["server"])), changes.MAX_VALUE_CHARS)

    def test_people_who_went_first_make_room(self) -> None:
        """And what was told of them; if nobody went, the one who is here longest does."""
        call = Call("id", "room", 0.0)
        for number in range(changes.MAX_PEOPLE):
            call = changes.came(call, number, letter_of(number), "page", "", registered=True)
        call = changes.link_state(call, 50, "A", "C", "connected")
        call = changes.link_state(call, 50, "A", "B", "connected")
        call = changes.gone(changes.gone(call, 60, "C", "left"), 61, "B", "left")
        call = changes.came(call, 70, "new", "page", "", registered=True)
        self.assertEqual((len(call.people), call.person("C"), call.forgotten), (changes.MAX_PEOPLE, None, 1))
        self.assertEqual([(one.who, one.to) for one in call.links], [("A", "B")])
        call = changes.came(call, 71, "newer", "page", "", registered=True)
        call = changes.came(call, 72, "newest", "page", "", registered=True)
        self.assertEqual((call.person("B"), call.person("A"), call.forgotten), (None, None, 3))

    def test_everything_else_is_bounded_too(self) -> None:
        """Counters of what a client can name, networks, devices, connections."""
        call = two()
        for number in range(100):
            call = changes.relay_refused(call, 0, "A", f"method{number}", 400, f"limit{number}")
            call = changes.said(call, 0, "A", "", [("srflx", "udp", f"203.0.{number}.1")])
            problem = changes.DEVICE_PROBLEMS[number % len(changes.DEVICE_PROBLEMS)]
            call = changes.device(call, 0, "A", f"{problem} {'audio ' * (number % 2)}video")
            call = changes.server(call, 0, "A", f"turn udp 3478: {number}")
            call = changes.link_state(call, 0, "A", f"X{number}", "new")
            call = changes.link_step(call, 0, "A", "B", f"step{number}")
            call = changes.turned_away(call, 0, "app", f"why{number}")
        one = call.people[0]
        self.assertEqual((len(one.refusals), one.refusals[changes.REST]), (changes.MAX_COUNTED + 1, 84))
        self.assertEqual([len(one.limits), len(one.networks), len(one.devices)], [changes.MAX_NETWORKS] * 3)
        self.assertEqual((len(call.links), len(call.turned_away)), (changes.MAX_LINKS, changes.MAX_COUNTED + 1))
        told = {one.values["server"] for one in call.events if one.what == "server"}
        self.assertLessEqual(len(told), changes.MAX_SERVERS + 1)

    def test_a_page_says_nothing_in_words_of_its_own(self) -> None:
        """What it may call a problem of its devices is a short list; the rest might be an address, or an advertisement."""
        call = changes.device(two(), 0, "A", "call 555 0100 now at evil.example")
        call = changes.device(call, 0, "A", "NotFoundError video audio 192.0.2.77")
        self.assertEqual(call.people[0].devices, (f"{changes.REST} ", "NotFoundError audio video"))

    def test_a_time_line_is_shortened_from_its_beginning(self) -> None:
        call = two()
        for number in range(9):
            call = changes.noted(call, number, "offer", str(number))
        last = changes.shortened(call, 3)
        self.assertEqual((last.events, last.left_out), (call.events[-3:], len(call.events) - 3))
        self.assertIs(changes.shortened(last, 3), last)

    def test_the_largest_record_has_a_size(self) -> None:
        """Full in every part."""
        call = Call("0" * 12, "r" * record.MAX_ROOM_CHARS, 1e9, 1e9)
        counts = {f"{number:016}": 10**6 for number in range(changes.MAX_COUNTED + 1)}
        texts = tuple("t" * changes.MAX_VALUE_CHARS for _ in range(changes.MAX_NETWORKS))
        for number in range(changes.MAX_PEOPLE):
            call = changes.came(call, 1e9, letter_of(number), "page", "192.0.2.1", registered=True)
        people = tuple(msgspec.structs.replace(
            one, candidates=counts, knocks=counts, relays=counts, refusals=counts, networks=texts, limits=texts,
            devices=texts)
            for one in call.people)
        events = tuple(Event(1e9 + 0.123456, "server", "A", {"a": "v" * 64, "b": "v" * 64, "c": "v" * 64})
                       for _ in range(changes.MAX_EVENTS))
        for number in range(changes.MAX_LINKS):
            call = changes.looked(call, 1e9, "A", f"{number}", Pair("relay", "relay", relay="tls"), (1.2345,) * 5)
        call = msgspec.structs.replace(call, people=people, events=events)
        self.assertLess(len(msgspec.json.encode(call)), 250_000)


class CountingTests(SynchronousTestCase):
    """What repeats something waits to be counted, and the record that is looked at does not show it."""

    @given(st.lists(st.tuples(
        st.sampled_from("ABX"), st.sampled_from(["candidate", "offer", "answer", "bye", "other", "look", "came"]),
        st.lists(st.tuples(st.sampled_from(["host", "srflx"]), st.sampled_from(["udp", "tcp"]),
                           st.sampled_from(["192.0.2.1", "203.0.113.5", ""])), max_size=2)), max_size=40))
    def test_a_record_is_the_same_whenever_it_is_looked_at(self, steps: list[tuple[str, str, list[Any]]]) -> None:
        """Against a record that takes each message as it comes, at a clock that stands still."""
        live, call = Live("room", two()), two()
        for letter, message, candidates in steps:
            if message == "look":
                self.assertEqual(live.call, call)
            elif message == "came":
                live.call = changes.came(live.call, 1002.0, letter, "app", "192.0.2.9", registered=True)
                call = changes.came(call, 1002.0, letter, "app", "192.0.2.9", registered=True)
            else:
                if not live.repeats(letter, Described(message, tuple(Candidate(*one) for one in candidates))):
                    live.call = changes.said(live.call, 1002.0, letter, message, candidates)
                call = changes.said(call, 1002.0, letter, message, candidates)
        self.assertEqual(live.call, call)

    def test_what_waits_is_bounded(self) -> None:
        """By the kinds that there are, not by what is said."""
        live = Live("room", two())
        live.call = changes.said(live.call, 1002.0, "A", "candidate", [("host", "udp", "")])
        for number in range(999):
            one = Candidate("host", "udp", f"192.0.2.{number % 256}")
            self.assertTrue(live.repeats("A", Described("candidate", (one,))))
        self.assertLessEqual(sum(map(len, live._more.values())), 2)
        self.assertEqual(live.call.people[0].candidates, {"host udp": 1000})
