"""From records to verdicts, and the words for them."""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rtcd.calls import changes, report, show, texts, verdict
from rtcd.calls.record import Call, Figure, Link, Pair, Person
from rtcd.calls.texts import LANGUAGES, text
from rtcd.calls.verdict import judge

ALL = {"host udp": 2, "srflx udp": 1, "relay udp": 1}
NEAR = {"host udp": 2}


def person(letter: str, **more: object) -> Person:
    """One who has been there for a minute, has a socket, and has said his part."""
    one = Person(letter, "page", f"192.0.{ord(letter)}.0/24", 1000.0, socket_at=1000.0, offers=int(letter == "A"),
                 answers=int(letter != "A"), candidates=ALL)
    return msgspec.structs.replace(one, **more)


def call(*people: Person, links: tuple[Link, ...] = (), **more: object) -> Call:
    """One of these people."""
    made = Call("id", "room", 1000.0, turn="here", places=("udp 3478", "tls 443"), people=people, links=links)
    return msgspec.structs.replace(made, **more)


def link(who: str, to: str, local: str = "", remote: str = "", relay: str = "", **more: object) -> Link:
    """A connection that came about if there is a pair."""
    pair = Pair(local, remote, relay=relay) if local else None
    return msgspec.structs.replace(Link(who, to, pair=pair, connected_at=1002.0 if local else 0.0), **more)


TRIED = (Link("A", "B", state="connecting"),)
"""A page told that it did not come about."""


class JudgeTestCase(SynchronousTestCase):
    """Judges at a moment a minute after the beginning."""

    def verdict(self, one: Call, now: float = 1060.0) -> tuple[str, dict[str, str | int]]:
        """Its name and values."""
        found = judge(one, now).verdict
        return found.id, found.values

    def name(self, one: Call, now: float = 1060.0) -> str:
        """Its name."""
        return self.verdict(one, now)[0]


class GoodTests(JudgeTestCase):
    """Calls that came about."""

    def test_paths(self) -> None:
        a, b = person("A"), person("B")
        near = person("B", network=a.network)
        for one, other, ends, expected in (
            (a, b, ("host", "host"), "local"), (a, near, ("prflx", "host"), "local"), (a, b, ("prflx", "host"), "direct"),
            (a, near, ("srflx", "host"), "direct"), (a, b, ("srflx", "prflx"), "direct"),
        ):
            self.assertEqual(self.name(call(one, other, links=(link("A", "B", *ends),))), expected)

    def test_a_relay_is_told_with_the_way_to_it(self) -> None:
        """As its owner's page says; else as TURN knows."""
        a, b = person("A", relays={"tls": 1, "udp": 1}), person("B", relays={"tcp": 1})
        links = (link("A", "B", "relay", "host", "tls"), link("B", "A", "host", "relay"))
        self.assertEqual(self.verdict(call(a, b, links=links)), ("relayed", {"a": "A", "b": "B", "how": "tls"}))
        self.assertEqual(self.verdict(call(person("A"), b, links=links[1:]))[1]["how"], "tcp")
        self.assertEqual(text("zh", "verdict.relayed", {"how": "tls"}), "已通过中继连接，走 TLS。")

    def test_it_is_good_however_short_it_was(self) -> None:
        """A connection that there was, was."""
        one = call(person("A", gone_at=1002.5), person("B"), links=(link("B", "A", "host", "host"),))
        self.assertEqual(self.name(one), "local")

    def test_of_apps_it_is_known_what_relays_carried(self) -> None:
        a = person("A", kind="app", relayed_in=50_000, relayed_out=50_000, relays={"udp": 1})
        self.assertEqual(self.verdict(call(a, person("B", kind="app")))[1]["how"], "udp")
        checks = msgspec.structs.replace(a, relayed_in=400)
        self.assertNotEqual(self.name(call(checks, person("B", kind="app"))), "carried")

    def test_several_people(self) -> None:
        """All alike, or counted; one connection that fails is the verdict."""
        people = (person("A"), person("B", offers=1), person("C"))
        local = [link(one, other, "host", "host") for one, other in ("AB", "AC", "BC")]
        self.assertEqual(self.verdict(call(*people, links=tuple(local))), ("local", {"a": "", "b": ""}))
        mixed = (*local[:2], link("B", "C", "relay", "relay", "udp"))
        self.assertEqual(self.verdict(call(*people, links=mixed)),
                         ("mixed", {"count": 3, "relayed": 1, "direct": 0, "local": 2}))
        self.assertEqual(self.name(call(*people, links=tuple(local[:2]))), "unknown")
        failed = (*local[:2], link("B", "C", state="failed", failures=1))
        self.assertEqual(self.name(call(*people, links=failed)), "relay-silent")
        short = (people[0], people[1], person("C", gone_at=1010.0))
        self.assertEqual(self.name(call(*short, links=tuple(local[:1]))), "short")


class CauseTests(JudgeTestCase):
    """Calls that did not come about."""

    def test_nobody_met(self) -> None:
        self.assertEqual(self.name(call(person("A"))), "alone")
        self.assertEqual(self.name(call(person("A", gone_at=1010.0), person("B", came_at=1020.0))), "missed")
        self.assertEqual(self.verdict(call(person("A", socket_at=0.0))), ("no-socket", {"who": "A"}))
        self.assertEqual(self.name(call(person("A", socket_at=0.0)), 1001), "alone", "not yet")
        self.assertEqual(self.name(call(person("A"), person("B", socket_at=0.0)), 1001), "connecting", "not yet")
        away = call(person("A"), turned_away={"full": 2, "app": 1})
        self.assertEqual(self.verdict(away), ("turned-away", {"why": "full", "count": 3}))

    def test_nothing_was_said(self) -> None:
        silent = person("A", offers=0)
        self.assertEqual(self.name(call(silent, person("B", answers=0))), "no-offer")
        self.assertEqual(self.verdict(call(person("A"), person("B", answers=0))), ("no-answer", {"who": "B"}))
        self.assertEqual(self.verdict(call(person("A"), person("B", socket_at=0.0))), ("no-socket", {"who": "B"}))

    def test_no_candidates(self) -> None:
        """Where its requests arrived it is not the network."""
        b = person("B", candidates={})
        self.assertEqual(self.verdict(call(person("A"), b)), ("no-way-out", {"who": "B"}))
        self.assertEqual(self.name(call(person("A"), msgspec.structs.replace(b, knocks={"udp": 1}))), "no-candidates")
        self.assertEqual(self.name(call(person("A"), b, turn="elsewhere")), "no-candidates")

    def test_a_relay_that_was_refused_goes_first(self) -> None:
        """Also where people did not wait; not if there was another one."""
        a = person("A", candidates={}, refusals={" 401": 2, "refresh 437": 9})
        b = person("B", candidates=NEAR, refusals={"allocate 486": 1}, limits=("user-quota",))
        name, values = self.verdict(call(a, b))
        self.assertEqual((name, values["who"], values["code"]), ("relay-refused", "A + B", "401"))
        self.assertIn("(user-quota)", text("en", "verdict.relay-refused", values))
        self.assertEqual(self.name(call(msgspec.structs.replace(a, gone_at=1005.0), b)), "relay-refused")
        had = msgspec.structs.replace(b, candidates=ALL, relays={"udp": 1})
        self.assertEqual(self.name(call(person("A"), had, links=TRIED)), "relay-silent")

    def test_no_relay_for_one(self) -> None:
        """Why, as far as TURN knows."""
        a = person("A", relays={"udp": 1})
        for more, turn, expected in (
            ({}, "here", "relay-unreached"), ({"knocks": {"udp": 1}}, "here", "relay-unanswered"),
            ({"relays": {"udp": 1}}, "here", "relay-unused"), ({}, "elsewhere", "relay-elsewhere"), ({}, "", "no-turn"),
            ({"unserved": True}, "here", "unserved"), ({"unserved": True, "relays": {"udp": 1}}, "here", "relay-unused"),
        ):
            name, values = self.verdict(call(a, person("B", candidates=NEAR, **more), turn=turn, links=TRIED))
            self.assertEqual((name, values["had_b"]), (expected, "host"))
        said = text("en", "verdict.relay-unreached", self.verdict(call(a, person("B", candidates=NEAR), links=TRIED))[1])
        self.assertIn("UDP 3478, TLS 443 seem blocked at B, unless", said)
        self.assertIn("A had host, srflx, relay; B had host.", said)

    def test_relays_that_may_not_or_do_not_reach(self) -> None:
        a = person("A", relays={"udp": 1}, denied=1)
        self.assertEqual(self.verdict(call(a, person("B")))[1]["who"], "A")
        self.assertEqual(self.name(call(a, person("B"))), "peer-denied")
        quiet = person("A", relays={"udp": 1})
        self.assertEqual(self.verdict(call(quiet, person("B"), links=TRIED))[1]["how"], "udp")

    def test_of_whom_nobody_told_nothing_is_made_up(self) -> None:
        """Two apps, or pages whose reports do not get through: they may have been connected all the time."""
        for candidates in (ALL, {"host udp": 2, "srflx udp": 1}, NEAR):
            a = person("A", kind="app", candidates=candidates, gone_at=1600.0, why="left")
            b = person("B", kind="app", candidates=candidates, gone_at=1600.0, why="left")
            self.assertEqual(self.name(call(a, b, ended_at=1600.0), 1700.0), "unknown")
            self.assertEqual(self.name(call(person("A", candidates=candidates), b)), "unknown")
        on = call(person("A", kind="app", relays={"udp": 1}), person("B", kind="app"))
        self.assertEqual(self.name(on), "untold")
        self.assertNotIn("no relay carried", text("en", "verdict.untold", self.verdict(on)[1]))

    def test_whose_requests_came_is_not_known_where_many_share_an_address(self) -> None:
        """So nobody's network is said to be closed."""
        crowd = person("B", candidates=NEAR, crowded=True)
        self.assertEqual(self.verdict(call(person("A"), crowd, links=TRIED))[0], "relay-unseen")
        none = msgspec.structs.replace(crowd, candidates={})
        self.assertEqual(self.name(call(person("A"), none)), "no-candidates")

    def test_who_did_not_wait(self) -> None:
        """Unless a page saw it fail."""
        a, b = person("A", gone_at=1010.0), person("B")
        self.assertEqual(self.verdict(call(a, b)), ("short", {"a": "A", "b": "B", "seconds": 10}))
        self.assertEqual(self.name(call(person("A"), b), 1010), "connecting")
        self.assertEqual(self.name(call(a, b, links=(link("A", "B", failures=1),))), "relay-silent")

    def test_ones_own_loop(self) -> None:
        self.assertEqual(self.name(call(person("A"), person("B", kind="loopback"))), "loopback")


class EndTests(JudgeTestCase):
    """How it ended, and what else there was."""

    def ending(self, one: Call) -> tuple[str, object]:
        """Its name, and who it was."""
        found = judge(one, 2000).ending
        return found.id, found.values.get("who")

    def test_the_one_whose_going_left_the_other_alone(self) -> None:
        a = person("A", gone_at=1010.0, why="left")
        b = person("B", gone_at=1020.0, why="lost")
        over: dict[str, Any] = {"ended_at": 1020.0, "why": "lost"}
        self.assertEqual(self.ending(call(a, b, **over)), ("left", "A"))
        for leaving, expected in (("hangup", "hangup"), ("closed", "closed-page"), ("failed", "failed")):
            self.assertEqual(self.ending(call(msgspec.structs.replace(a, leaving=leaving), b, **over)), (expected, "A"))
        self.assertEqual(self.ending(call(b, **over)), ("lost", "B"))
        kicked = msgspec.structs.replace(a, why="kicked", leaving="hangup")
        self.assertEqual(self.ending(call(kicked, b, **over)), ("kicked", "A"))
        self.assertEqual(self.ending(call(a, b)), ("on", None))
        self.assertEqual(self.ending(call(ended_at=1.0)), ("left", ""))

    def test_the_server_ended_it(self) -> None:
        for why in ("stopped", "crashed", "closed"):
            self.assertEqual(self.ending(call(person("A"), ended_at=1020.0, why=why)), (why, None))

    def test_notes(self) -> None:
        lossy = link("A", "B", "host", "host", failures=2, loss_in=Figure(1, 0.1), rtt_ms=Figure(1, 500.0))
        back = link("B", "A", "host", "host", loss_out=Figure(2, 0.1))
        one = call(person("A", devices=("NotAllowedError audio video", "Odd audio")), person("B", why="lost"),
                   links=(back, lossy), turned_away={"full": 1})
        said = [show.sentence("note", note, "en") for note in judge(one, 2000).notes]
        self.assertEqual(said, [
            "A refused microphone, camera, or the browser did.", "A had no microphone: Odd.", "B did not say goodbye.",
            "A to B was interrupted (2×).", "A lost 10 % of what came from B.", "A to B and back took 500 ms.",
            "5 % of what B sent to A was lost.", "Somebody found no seat (1×)."])


class TextTests(SynchronousTestCase):
    """Everything that can be said has words in both languages."""

    def test_every_verdict_ending_and_note(self) -> None:
        source = inspect.getsource(verdict)
        names = set(re.findall(r'Verdict\(\s*"([\w-]+)"', source)) | {"relayed", "short", "connecting", "no-candidates"}
        known = texts.keys()
        for name in names:
            found = [key for key in known if re.fullmatch(rf"(verdict|ending|note)\.{name}(\..+)?", key)]
            self.assertTrue(found, name)
        for name in (*verdict.GOOD, "no-way-out", "no-candidates"):
            self.assertTrue(f"verdict.{name}" in known, name)
        for name in ("stopped", "crashed", "closed", "lost", "kicked", "left", "hangup", "closed-page", "failed", "on"):
            self.assertIn(f"ending.{name}", known)

    def test_every_event(self) -> None:
        sources = inspect.getsource(changes) + inspect.getsource(report)
        names = set(re.findall(r'(?:noted\((?:_with\(.*?\)|_linked\(.*?\)|[^"]*?), |\bat, )"([\w-]+)"', sources))
        names |= {"came", "back", "socket", "pair", "relay-end", "end"}
        self.assertGreater(len(names), 12)
        for name in names - {"here"}:
            self.assertIn(f"event.{name}", texts.keys())

    def test_both_languages_have_the_same_gaps(self) -> None:
        for key in sorted(texts.keys()):
            gaps = [sorted(set(re.findall(r"\{(\w+)\}", texts._TEXTS[key][which]))) for which in (0, 1)]
            english, chinese = ([one.replace("_zh", "_en") for one in found] for found in gaps)
            self.assertEqual(english, chinese, key)

    def test_a_language_that_is_not_there_is_english(self) -> None:
        self.assertEqual(text("fr", "ending.on"), "The call is on.")
        self.assertEqual(text("en", "no.such"), "no.such")
        self.assertEqual(text("en", "ending.left", {"who": "{how}"}), "{how} left.", "what stands in a gap is no gap")
        self.assertEqual(LANGUAGES, ("en", "zh"))
