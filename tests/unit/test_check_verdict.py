"""What a check means, by table: what the page saw, what arrived here, and what follows from both."""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rtcd.check.paths import MAX_SERVERS, Path, paths
from rtcd.check.report import Report, Seen
from rtcd.check.texts import LANGUAGES, finding, headline, name
from rtcd.check.verdict import LEVELS, OUTCOMES, SUMMARIES, Found, Verdict, arrived, judge
from rtcd.doorway.directory import Listener
from rtcd.turn.sightings import Sight

BASE = ("https://calls.example", "calls.example", 443)
LISTENERS = [
    Listener("web", "tls", "::", 8443), Listener("turn", "udp", "::", 3478), Listener("turn", "udp", "::", 8443),
    Listener("turn", "tcp", "::", 3478), Listener("turn", "udp", "::", 49152, 50175)]
TURN = ["turn:calls.example:3478?transport=udp", "turn:calls.example:443?transport=udp",
        "turn:calls.example:443?transport=tcp", "turns:calls.example:443?transport=tcp"]
STUN = ["stun:calls.example:3478"]
WSS = "wss://calls.example/ws"


def every(*, own: bool = True) -> list[Path]:
    """The paths of a daemon at 8443, to which something leads from 443."""
    return paths(TURN, STUN, BASE, WSS, LISTENERS, own=own)


def by_id(found: list[Path]) -> dict[str, Path]:
    """For looking one up."""
    return {one.id: one for one in found}


class PathTests(SynchronousTestCase):
    """URLs and listeners in, what to try out."""

    def test_each_url_is_a_path_that_leads_to_a_port_of_ours(self) -> None:
        """By the number that the browser knows, and by ours where something in front translates."""
        found = every()
        self.assertEqual([(one.id, one.kind, one.transport, one.port, set(one.local), one.shared) for one in found], [
            ("https", "https", "tls", 443, set(), False),
            ("wss", "wss", "tls", 443, set(), False),
            ("udp-3478", "turn", "udp", 3478, {3478}, False),
            ("udp-443", "turn", "udp", 443, {8443}, False),
            ("tcp-443", "turn", "tcp", 443, {8443}, True),
            ("tls-443", "turn", "tls", 443, {8443}, True),
            ("stun-3478", "stun", "udp", 3478, {3478}, False)])
        self.assertEqual({one.local for one in every(own=False)}, {frozenset()})

    def test_urls_say_less_than_they_mean(self) -> None:
        """Ports and transports by default; several servers at one port; what is no such URL is left out, and too many."""
        found = paths(["turn:a.example", "turns:b.example", "turn:[2001:db8::1]:3478", "http://c"], ["stun:a.example"],
                      ("http://127.0.0.1:80", "127.0.0.1", 80), "", [], own=False)
        self.assertEqual([(one.id, one.transport, one.host) for one in found], [
            ("https", "tcp", "127.0.0.1"), ("udp-3478", "udp", "a.example"), ("tls-5349", "tls", "b.example"),
            ("udp-3478-2", "udp", "[2001:db8::1]"), ("stun-3478", "udp", "a.example")])
        many = paths([f"turn:a.example:{port}" for port in range(1, 50)], [], BASE, "", [], own=True)
        self.assertEqual(len(many), 1 + MAX_SERVERS)


def seen(one: str, **more: object) -> Seen:
    """What a page saw of a path that failed, if it is not told otherwise."""
    return msgspec.convert({"id": one, "ok": False, **more}, Seen)


UDP = Sight("turn", "udp", 3478)
CASES: tuple[tuple[str, Seen, tuple[Sight, ...], str, int], ...] = (
    ("it works", seen("udp-3478", ok=True, ms=12), (), "ok", 0),
    ("nothing came", seen("udp-3478", codes=[701]), (), "never-arrived", 0),
    ("only other ways came", seen("udp-3478"), (
        Sight("turn", "tcp", 3478, asked=1), Sight("turn", "udp", 8443, asked=1), Sight("stun", "udp", 3478, asked=1)),
     "never-arrived", 0),
    ("it came, the answer did not", seen("udp-3478", codes=[701]), (replace(UDP, asked=5, answered=5),), "answer-lost", 0),
    ("even an allocation was made", seen("udp-3478"), (replace(UDP, named=2, answered=3, allocated=True),),
     "answer-lost", 0),
    ("we said nothing", seen("udp-3478"), (replace(UDP, asked=7),), "unanswered", 0),
    ("we refused", seen("udp-3478", codes=[701]), (replace(UDP, named=1, answered=1, code=486),), "refused", 486),
    ("the page was refused", seen("udp-3478", codes=[701, 508]), (), "refused", 508),
    ("nothing came out", seen("udp-3478", relayed=2), (replace(UDP, named=2, answered=2, allocated=True),), "no-data", 0),
    ("TLS at the page's port", seen("tls-443", codes=[701]), (), "certificate", 0),
    ("TCP at the page's port", seen("tcp-443"), (), "inspected", 0),
    ("TLS came", seen("tls-443"), (Sight("turn", "tls", 8443, asked=1, answered=1),), "answer-lost", 0),
    ("STUN shows an address", seen("stun-3478", ok=True, mapped=True), (), "ok", 0),
    ("STUN without NAT", seen("stun-3478", ok=True), (Sight("stun", "udp", 3478, asked=1, answered=1),), "ok", 0),
    ("STUN only seems to work", seen("stun-3478", ok=True), (), "never-arrived", 0),
    ("the page itself", seen("https"), (), "unreachable", 0),
    ("a socket", seen("wss", ok=True), (), "ok", 0),
    ("a proxy takes the upgrade off", seen("wss", status=400), (), "no-upgrade", 400),
    ("a proxy knows no such address", seen("wss", status=502), (), "status", 502),
    ("nothing answers", seen("wss"), (), "unreachable", 0),
    ("not reported", seen("strange"), (), "not-tried", 0),
)


class VerdictTests(SynchronousTestCase):
    """One path, and a whole check."""

    def outcome(
        self, report: Seen, sights: tuple[Sight, ...] = (), *, own: bool = True, known: tuple[str, ...] = ()
    ) -> tuple[str, int]:
        """What became of the path that is reported, else of the first relay."""
        wanted = report.id if report.id != "strange" else "udp-3478"
        verdict = judge(every(own=own), Report([report]), sights, known)
        (found,) = (one for one in verdict.found if one.path.id == wanted)
        return found.outcome, found.code

    def test_what_both_ends_saw_tells_where_a_path_ends(self) -> None:
        for what, report, sights, outcome, code in CASES:
            self.assertEqual(self.outcome(report, sights), (outcome, code), what)

    def test_what_arrived_from_elsewhere_clears_the_server(self) -> None:
        """Then the network of the device is in the way, and not the security group."""
        self.assertEqual(self.outcome(seen("udp-3478"), known=("udp-3478",)), ("blocked-here", 0))
        self.assertEqual(self.outcome(seen("udp-443"), known=("udp-3478",)), ("never-arrived", 0))

    def test_another_machine_cannot_be_looked_into(self) -> None:
        for one in ("udp-3478", "tls-443", "stun-3478"):
            self.assertEqual(self.outcome(seen(one), (UDP,), own=False), ("elsewhere", 0))
        self.assertEqual(self.outcome(seen("stun-3478", ok=True), own=False), ("ok", 0))

    def test_a_check_as_a_whole(self) -> None:
        """By what works of it."""
        ids = [one.id for one in every()]
        udp = {one for one in ids if one.startswith(("udp", "stun"))}
        relays = {one for one in ids if one.startswith(("udp", "tcp", "tls"))}
        for failing, summary, level in (
            (set(), "good", "good"), ({"udp-443"}, "some", "fair"), (udp, "no-udp", "fair"), (relays, "no-relay", "broken"),
            ({"wss"}, "no-signaling", "broken"),
        ):  # fmt: skip
            verdict = judge(every(), Report([seen(one, ok=one not in failing, mapped=True) for one in ids]), (), ())
            self.assertEqual((verdict.summary, verdict.level), (summary, level))
        good = Report([seen(one, ok=True, mapped=True) for one in ids])
        self.assertEqual(judge(every(), replace_webrtc(good), (), ()).summary, "no-webrtc")
        self.assertEqual(judge(paths([], [], BASE, WSS, LISTENERS, own=True), good, (), ()).summary, "no-server")

    def test_a_report_cannot_make_paths(self) -> None:
        """What it says of others than were handed out is left out."""
        verdict = judge(every(), Report([seen("udp-1", ok=True)]), (), ())
        self.assertEqual({one.outcome for one in verdict.found}, {"not-tried"})

    def test_what_arrived_is_known_of_what_was_seen_here_alone(self) -> None:
        """Anybody may report that a path works."""
        verdict = judge(every(), Report([seen("udp-3478", ok=True), seen("udp-443", ok=True), seen("tcp-443")]),
                        [UDP, Sight("turn", "tcp", 8443, asked=1)], ())
        self.assertEqual(arrived(verdict), {"udp-3478", "tcp-443"})


def replace_webrtc(report: Report) -> Report:
    """The same from a browser without peer connections."""
    return msgspec.structs.replace(report, webrtc=False)


class TextTests(SynchronousTestCase):
    """What is said of it."""

    def test_both_languages_say_everything(self) -> None:
        """Every outcome, summary and text of the page, with the same values and commands."""
        english, chinese = LANGUAGES["en"], LANGUAGES["zh"]
        for table in ("page", "names", "said", "summaries"):
            self.assertEqual(getattr(english, table).keys(), getattr(chinese, table).keys())
        self.assertEqual(set(OUTCOMES) - {"ok"}, {one for one in english.said if not re.search(r"-\d+$", one)})
        self.assertEqual((set(SUMMARIES), set(SUMMARIES)), (set(english.summaries), set(LEVELS)))
        for key, one in english.said.items():
            commands = re.findall("`[^`]*`", one.mend)
            self.assertEqual(sorted(commands), sorted(re.findall("`[^`]*`", chinese.said[key].mend)), key)
        for key, text in english.page.items():
            self.assertEqual(sorted(re.findall(r"\{\w+\}", text)), sorted(re.findall(r"\{\w+\}", chinese.page[key])), key)

    def test_every_value_is_filled_in(self) -> None:
        """By each outcome, at a path of each kind."""
        for language in LANGUAGES.values():
            for outcome in OUTCOMES:
                for path in every():
                    for code in (0, 300, 403, 486, 508, 699):
                        said = finding(language, Found(path, outcome, code))
                        text = "" if said is None else f"{said.title}{said.meaning}{said.mend}"
                        self.assertEqual((re.findall(r"[{}]", text), text == ""), ([], outcome == "ok"))
            for summary in SUMMARIES:
                self.assertNotRegex("".join(headline(language, Verdict(summary, ()))), r"[{}]")

    def test_the_port_and_the_command_that_opens_it_are_named(self) -> None:
        path = by_id(every())["udp-3478"]
        said = finding(LANGUAGES["en"], Found(path, "never-arrived"))
        assert said is not None
        self.assertEqual((name(LANGUAGES["en"], path), said.title), (
            "Relay by UDP, port 3478", "UDP 3478 never arrived at the server"))
        self.assertIn("security group", said.mend)
        self.assertIn("`ufw allow 3478/udp`", said.mend)
        self.assertIn("secret", str(finding(LANGUAGES["en"], Found(path, "refused", 441))))
