"""The check service: page, start and report by HTTP, with a TURN service that is real or played."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rtcd.check.service import CheckService, Settings, makeService
from rtcd.check.texts import LANGUAGES
from rtcd.check.trials import AGAIN_S, MAX_FROM_NETWORK, MAX_REPORTS, MAX_TRIALS, TRIAL_S
from rtcd.doorway.settings import DoorwaySettings
from rtcd.ice.settings import Settings as IceSettings
from rtcd.turn.sightings import Sight
from tests.fakes import FakeAnswer
from tests.fakes_calls import Server

JSON = {"Content-Type": "application/json"}
SEEN = {"paths": [{"id": "udp-3478", "ok": False, "codes": [701]}, {"id": "wss", "ok": True, "ms": 30}]}


class CheckTestCase(SynchronousTestCase):
    """A doorway with rooms, ICE and checks; TURN is played."""

    def start(self, settings: Settings | None = None, *, turn: bool = True, **options: Any) -> None:
        """Make all of it."""
        self.server = Server(self, **options)
        self.sights: list[Sight] = []
        self.looked: list[tuple[Any, ...]] = []
        self.room_for_more = True
        if turn:
            self.server.context.desk.offer("turn.look", self.look)
            self.server.context.desk.offer("turn.looked", lambda user: self.sights)
            self.server.context.desk.offer("turn.forget", lambda user: self.looked.append(("forget", user)))
        service: Any = makeService(self.server.context, settings or Settings())
        self.service: CheckService = service
        self.service.startService()
        self.addCleanup(self.service.stopService)

    def look(self, *given: Any) -> bool:
        """As the TURN service does."""
        self.looked.append(given)
        return self.room_for_more

    def begin(self, host: str = "198.51.100.7", query: str = "", **headers: str) -> FakeAnswer:
        """POST /check/start."""
        return self.server.request("POST", f"/check/start{query}", b"{}", {**JSON, **headers},
                                   client=IPv4Address("TCP", host, 40000))

    def begun(self, host: str = "198.51.100.7", query: str = "", **headers: str) -> Any:
        """The same, answered 200."""
        answer = self.begin(host, query, **headers)
        self.assertEqual(answer.code, 200, answer.body)
        return json.loads(answer.body)

    def report(self, its_id: str, report: Any = SEEN, query: str = "") -> FakeAnswer:
        """POST /check/report/ID."""
        return self.server.request("POST", f"/check/report/{its_id}{query}", json.dumps(report).encode(), JSON)

    def results(self, after: int = 0, limit: int = 10) -> list[Any]:
        """What the desk has."""
        found: list[Any] = self.server.context.desk.ask("check.results", after, limit)
        return found


class PageTests(CheckTestCase):
    """GET /check and what belongs to it."""

    def get(self, path: str = "/check", **headers: str) -> FakeAnswer:
        """Ask for it."""
        return self.server.request("GET", path, headers={name.replace("_", "-"): one for name, one in headers.items()})

    def test_the_page_is_in_the_readers_language_and_has_no_script_inside(self) -> None:
        """The one that the browser wants, or that was chosen. Texts for the script are data, that no browser runs."""
        self.start()
        for path, headers, tag in (("/check", {}, "en"), ("/check", {"Accept_Language": "zh-TW,en;q=0.5"}, "zh-CN"),
                                   ("/check?lang=zh", {}, "zh-CN"), ("/check?lang=en", {"Accept_Language": "zh"}, "en")):
            answer = self.get(path, **headers)
            html = answer.body.decode()
            self.assertEqual((answer.code, answer.header("Content-Language")), (200, tag))
            self.assertIn(f'<html lang="{tag}">', html)
            self.assertNotRegex(html, r"\{\{|\}\}| on[a-z]+=| style=|<style")
            self.assertEqual(re.findall(r"<script([^>]*)>", html)[0], ' type="application/json" id="texts"')
            (texts,) = re.findall(r'id="texts">([^<]*)</script>', html)
            self.assertEqual(json.loads(texts), LANGUAGES[tag[:2]].page)
        self.assertEqual(answer.header("Cache-Control"), "no-store")

    def test_the_policy_lets_the_page_ask_this_site_alone(self) -> None:
        """A WebSocket by its own address: older browsers do not count it as this site."""
        self.start(doorway=DoorwaySettings(public_url="https://calls.example:8443/calls"))
        self.assertEqual(self.get().header("Content-Security-Policy"), (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
            "connect-src 'self' wss://calls.example:8443; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"))

    def test_its_files_have_lasting_addresses_below_it(self) -> None:
        """Relative, for a site below a path. Another version's are not there."""
        self.start()
        html = self.get().body.decode()
        names = re.findall(r'(?:src|href)="(check/[^"]+)"', html)
        self.assertEqual([Path(one).suffix for one in names], [".css", ".js"])
        for one in (*names, names[1].replace("check.js", "tries.js"), names[1].replace("check.js", "view.js")):
            answer = self.get(f"/{one}")
            self.assertEqual(answer.code, 200)
            self.assertIn("immutable", answer.header("Cache-Control") or "")
            self.assertIn("text/", answer.header("Content-Type") or "")
        self.assertEqual(self.get(f"/check/{'0' * 16}/check.js").code, 404)
        for one in ("/check/x", f"/{names[0]}/x", f"/{names[0]}.map", "/check/../check.html"):
            self.assertEqual(self.get(one).code, 404, one)
        for module in ("check.js", "view.js"):
            script = self.get(f"/{names[1].replace('check.js', module)}").body.decode()
            for imported in re.findall(r'from "\./([^"]+)"', script):
                self.assertEqual(self.get(f"/{names[1].replace('check.js', imported)}").code, 200)

    def test_a_slash_too_many_leads_to_the_page_and_it_takes_no_post(self) -> None:
        self.start()
        answer = self.get("/check/")
        self.assertEqual((answer.code, answer.header("Location")), (308, "../check"))
        self.assertEqual(self.server.request("POST", "/check").code, 405)
        self.assertEqual(self.server.request("HEAD", "/check").body, b"")


class StartTests(CheckTestCase):
    """POST /check/start."""

    def test_what_is_raised_is_logged_whether_somebody_waits_for_it_or_not(self) -> None:
        self.start()
        for gone in (False, True):
            waiting: Any = Deferred()
            self.room_for_more = waiting
            answer = self.begin()
            self.assertFalse(answer.finished)
            if gone:
                answer.transport.protocol.connectionLost(None)
            waiting.errback(RuntimeError("boom"))
            self.assertEqual((answer.finished, len(self.flushLoggedErrors(RuntimeError))), (not gone, 1))
            self.assertEqual(gone or answer.code, gone or 500)

    def test_a_check_gets_a_credential_and_paths_and_is_watched(self) -> None:
        """From the host that asks, for as long as the credential is valid."""
        self.start()
        found = self.begun(query="?lang=en")
        now = int(self.server.clock.seconds())
        expiry, user = found["username"].split(":")
        self.assertEqual(int(expiry), now + TRIAL_S)
        self.assertRegex(user, "^check-[0-9a-f]{16}$")
        self.assertIn(found["credential"], self.server.context.credentials.verify(found["username"], now).passwords)
        self.assertEqual(self.looked, [("198.51.100.7", user, now + TRIAL_S)])
        self.assertNotIn(user[6:], found["id"])
        self.assertEqual([(one["id"], one["url"], one["name"]) for one in found["paths"]], [
            ("https", "https://192.0.2.1:8443", "Page by HTTPS, port 8443"),
            ("wss", "wss://192.0.2.1:8443/ws", "Signalling by WebSocket, port 8443"),
            ("udp-3478", "turn:192.0.2.1:3478?transport=udp", "Relay by UDP, port 3478"),
            ("stun-3478", "stun:192.0.2.1:3478", "Address finding (STUN), UDP 3478")])
        self.assertEqual(self.begun(query="?lang=zh")["paths"][2]["name"], "中继 UDP，端口 3478")

    def test_a_network_begins_only_so_many_a_minute(self) -> None:
        self.start(Settings(rate=2))
        for code in (200, 200, 429):
            self.assertEqual(self.begin().code, code)
        self.assertEqual(self.begin().header("Retry-After"), "60")
        self.assertEqual(self.begin("198.51.100.8").code, 200)
        self.server.clock.advance(30)
        self.assertEqual([self.begin().code, self.begin().code], [200, 429])

    def test_only_so_many_go_on_at_once_whoever_begins_them(self) -> None:
        """And when they are over, their relays end and others may begin."""
        self.start(Settings(rate=0))
        for number in range(MAX_TRIALS):
            self.assertEqual(self.begin(f"198.51.{number}.7").code, 200)
        self.assertEqual((self.begin().code, len(self.looked)), (429, MAX_TRIALS))
        self.server.clock.advance(TRIAL_S)
        users = [one[1] for one in self.looked[:MAX_TRIALS]]
        self.assertEqual(self.looked[MAX_TRIALS:], [("forget", one) for one in users])
        self.assertEqual(self.begin().code, 200)

    def test_who_has_reported_makes_room(self) -> None:
        self.start(Settings(rate=0))
        found = [self.begun() for _ in range(MAX_FROM_NETWORK)]
        self.assertEqual(self.begin().code, 429)
        self.report(found[0]["id"])
        self.server.clock.advance(AGAIN_S)
        self.assertEqual(self.looked[-1], ("forget", found[0]["username"].split(":")[1]))
        self.assertEqual(self.begin().code, 200)

    def test_who_cannot_be_watched_gets_no_credential(self) -> None:
        self.start()
        self.room_for_more = False
        self.assertEqual(self.begin().code, 429)

    def test_the_end_of_the_service_ends_what_goes_on(self) -> None:
        self.start()
        self.begun()
        self.service.stopService()
        self.assertEqual(self.looked[-1][0], "forget")
        self.assertEqual([one for one in self.server.clock.getDelayedCalls() if "Alarm" in repr(one.func)], [])

    def test_other_sites_pages_and_wrong_methods_get_nothing(self) -> None:
        """No page can say that its body is JSON without asking first."""
        self.start()
        self.assertEqual(self.server.request("GET", "/check/start").code, 405)
        self.assertEqual(self.server.request("POST", "/check/start", b"{}").code, 415)
        self.assertEqual(self.server.request("POST", "/check/start/x", b"{}", JSON).code, 404)
        self.assertEqual(self.looked, [])

    def test_servers_elsewhere_get_no_strangers_where_rooms_are_required(self) -> None:
        """They cannot tell a test, so its credential would be one like any other."""
        elsewhere = ("turn:relay.example:3478?transport=udp", "stun:relay.example:3478")
        for options, ids in (({}, ["https", "wss", "udp-3478", "stun-3478"]),
                             ({"require_room": True}, ["https", "wss", "stun-3478"]),
                             ({"api_key": "k"}, ["https", "wss", "stun-3478"])):
            self.start(ice=IceSettings(servers=elsewhere, **options), turn=False)
            found = self.begun()
            self.assertEqual([one["id"] for one in found["paths"]], ids)
            self.assertEqual("credential" in found and "username" in found, "udp-3478" in ids)

    def test_a_daemon_of_pages_alone_checks_these(self) -> None:
        """Without [ice] and [turn] there is still the way to the page and to signalling."""
        self.start(turn=False, pages=False)
        self.assertEqual([one["id"] for one in self.begun()["paths"]], ["https", "wss"])


class ReportTests(CheckTestCase):
    """POST /check/report/ID, and what is kept."""

    def test_both_ends_are_joined_into_one_verdict(self) -> None:
        """In words, in the language of the page; what mends two paths is said once."""
        self.start()
        found = self.begun()
        answer = json.loads(self.report(found["id"], query="?lang=en").body)
        self.assertEqual((answer["number"], answer["level"], answer["summary"]), (1, "broken", "no-relay"))
        by_id = {one["id"]: one for one in answer["paths"]}
        self.assertEqual((by_id["udp-3478"]["outcome"], by_id["udp-3478"]["title"]),
                         ("never-arrived", "UDP 3478 never arrived at the server"))
        self.assertIn("ufw allow 3478/udp", by_id["udp-3478"]["mend"])
        self.sights.append(Sight("turn", "udp", 3478, asked=4, answered=4))
        chinese = json.loads(self.report(found["id"], query="?lang=zh").body)
        self.assertEqual((chinese["number"], chinese["paths"][2]["title"]), (1, "已到达，但应答在返回途中丢失"))
        self.assertEqual([one.verdict.found[2].outcome for one in self.results()], ["answer-lost"])

    def test_what_mends_several_paths_is_said_at_the_first(self) -> None:
        self.start()
        seen = {"paths": [{"id": one, "ok": False} for one in ("udp-3478", "stun-3478")]}
        paths = json.loads(self.report(self.begun()["id"], seen).body)["paths"]
        said = [(bool(one["meaning"]), bool(one["mend"])) for one in paths if one["outcome"] == "never-arrived"]
        self.assertEqual(said, [(True, True), (False, False)])

    def test_a_report_is_taken_a_few_times_from_who_began_and_in_time(self) -> None:
        self.start()
        self.assertEqual(self.report("0" * 32).code, 404)
        found = self.begun()
        self.assertEqual([self.report(found["id"]).code for _ in range(MAX_REPORTS + 1)], [200] * MAX_REPORTS + [404])
        other = self.begun()
        self.server.clock.advance(TRIAL_S)
        self.assertEqual((self.report(other["id"]).code, len(self.results())), (404, 1))

    def test_what_is_no_report_is_refused_and_counts_as_none(self) -> None:
        self.start()
        found = self.begun()
        wrong: list[Any] = [[], {}, {"paths": [{"id": "a"}]}]
        for bad in wrong:
            answer = self.report(found["id"], bad)
            self.assertEqual(answer.code, 400)
            self.assertIn("error", json.loads(answer.body))
        self.assertEqual(self.results(), [])
        self.assertEqual(self.report("x/y").code, 404)

    def test_results_have_no_whole_address_and_no_secret(self) -> None:
        """What is shown to those who look after the daemon."""
        self.start()
        found = self.begun(**{"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)"})
        self.report(found["id"])
        (kept,) = self.results()
        self.assertEqual((kept.number, kept.at, kept.network, kept.system), (
            1, self.server.clock.seconds(), "198.51.100.0/24", "ios"))
        for one in ("198.51.100.7", found["id"], found["username"], found["credential"]):
            self.assertNotIn(one, repr(kept))

    def test_another_network_that_got_through_clears_the_server(self) -> None:
        self.start()
        self.sights.append(Sight("turn", "udp", 3478, named=1, answered=1, allocated=True))
        self.report(self.begun("203.0.113.5")["id"], {"paths": [{"id": "udp-3478", "ok": True, "ms": 20}]})
        self.sights.clear()
        self.report(self.begun()["id"])
        self.assertEqual([one.verdict.found[2].outcome for one in self.results()], ["ok", "blocked-here"])

    def test_a_reload_takes_rate_and_number_of_results(self) -> None:
        self.start(Settings(rate=1))
        self.report(self.begun()["id"])
        self.assertEqual(self.begin().code, 429)
        reload = self.service._reload
        self.assertEqual(reload(Settings(rate=1), Settings(rate=0, results=1)), ["rate", "results"])
        self.report(self.begun()["id"])
        self.assertEqual([one.number for one in self.results()], [2])
