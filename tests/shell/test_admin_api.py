"""What the API answers: every route, its limits, and the description of it."""

from __future__ import annotations

import json
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd import __version__
from rtcd.admin.openapi import describe, text
from rtcd.admin.problem import Problem
from rtcd.admin.resource import MAX_BODY_BYTES
from rtcd.admin.routes import ROUTES, find
from rtcd.cluster.backend import Totals
from rtcd.doorway.settings import DoorwaySettings
from rtcd.ice.settings import Settings as IceSettings
from rtcd.rooms import room as rooms
from rtcd.rooms.settings import RoomsSettings
from tests.fakes_admin import CLIENT, AdminServer, problem
from tests.fakes_calls import Android, MeshPage


class AdminCase(SynchronousTestCase):
    """A server with everything."""

    def setUp(self) -> None:
        self.server = AdminServer(self).offer_relays_and_calls().start()

    def create(self, **order: Any) -> Any:
        """Make a room; the answer."""
        answer = self.server.api("POST", "/rooms", order)
        self.assertEqual(answer.code, 201, answer.body)
        return json.loads(answer.body)

    def page(self, room: str, tag: str, name: str = "", query: str = "") -> MeshPage:
        """A page in a room."""
        page = MeshPage(self.server, room, tag, name)
        page.start()
        return page


class RoomTests(AdminCase):
    """Rooms."""

    def test_a_room_shows_who_is_in_it_and_no_secret(self) -> None:
        """A client's id would let anybody act as that client; its tag is what its relays are known by."""
        first = self.page("team", "a", "Ann")
        phone = Android(self.server, "team")
        phone.start()
        room = self.server.get("/rooms/team")
        tags = [self.server.context.credentials.users_of("team", one.id)[0] for one in (first, phone)]
        self.assertEqual(room["clients"], [
            {"id": tags[0], "name": "Ann", "page": True, "here": True, "host": True},
            {"id": tags[1], "name": "", "page": False, "here": True, "host": False}])
        self.assertEqual({key: value for key, value in room.items() if key != "clients"}, {
            "name": "team", "capacity": 6, "locked": False, "password": False, "invited_only": False, "relay_only": False,
            "expires_at": None})
        self.assertNotIn(first.id, json.dumps(room))

    def test_rooms_are_listed_in_pages_by_name(self) -> None:
        for name in "edcba":
            self.create(name=name)
        first = self.server.get("/rooms?limit=3")
        self.assertEqual(([one["name"] for one in first["rooms"]], first["next"]), (["a", "b", "c"], "c"))
        rest = self.server.get("/rooms?limit=3&after=c")
        self.assertEqual(([one["name"] for one in rest["rooms"]], rest["next"]), (["d", "e"], None))

    def test_what_is_asked_of_a_list_is_bounded(self) -> None:
        for query in ("limit=0", "limit=201", "limit=x", "after=" + "x" * 1025, "limit=1&limit=2", "unknown=1", "after=%ff"):
            self.assertEqual(problem(self.server.api("GET", f"/rooms?{query}"))[0], 400, query)

    def test_a_room_is_made_as_ordered_until_it_expires(self) -> None:
        made = self.create(name="team", capacity=3, password="sesame", lifetime=600, invited_only=True, relay_only=True)
        self.assertEqual(made["url"], "https://192.0.2.1:8443/r/team")
        self.assertEqual(made["room"] | {"clients": None}, {
            "name": "team", "clients": None, "capacity": 3, "locked": False, "password": True, "invited_only": True,
            "relay_only": True, "expires_at": self.server.clock.seconds() + 600})
        self.assertNotIn("sesame", json.dumps(made))
        self.server.wait(599)
        self.server.get("/rooms/team")
        self.server.wait(1)
        self.assertEqual(problem(self.server.api("GET", "/rooms/team"))[0], 404)

    def test_a_name_is_made_up_or_must_be_free(self) -> None:
        first, second = (self.create()["room"]["name"] for _ in range(2))
        self.assertNotEqual(first, second)
        self.assertRegex(first, "^[A-Za-z0-9_-]{12}$")
        self.assertEqual(problem(self.server.api("POST", "/rooms", {"name": first}))[0], 409)
        self.assertEqual(self.server.api("POST", "/rooms", {"name": "x"}).header("location"), "/admin/rooms/x")

    def test_an_order_that_makes_no_sense_is_refused(self) -> None:
        orders: tuple[Any, ...] = (
            {"name": "a b"}, {"name": "x" * 129}, {"name": ""}, {"name": "abc\n"}, {"capacity": 1}, {"capacity": 7},
            {"capacity": 2.5}, {"lifetime": 59}, {"lifetime": 1e9}, {"password": ""}, {"password": " "},
            {"password": "x" * 129}, {"locked": 1}, {"unknown": 1}, [], None, 7, {"capacity": "3"})
        for order in orders:
            answer = self.server.api("POST", "/rooms", json.dumps(order).encode())
            self.assertEqual(problem(answer)[0], 400, order)

    def test_an_invitation_lets_its_bearer_in(self) -> None:
        self.create(name="team", invited_only=True)
        self.assertEqual(MeshPage(self.server, "team", "a").join(), "LOCKED")
        answer = self.server.api("POST", "/rooms/team/invitations", {"name": "Ann", "lifetime": 60})
        made = json.loads(answer.body)
        self.assertEqual((answer.code, made["expires_at"]), (201, self.server.clock.seconds() + 60))
        base, _, query = made["url"].partition("?")
        self.assertEqual(base, "https://192.0.2.1:8443/r/team")
        body = json.dumps({"page": {"id": "a" * 16}}).encode()
        self.assertEqual(self.server.json("POST", f"/join/team?{query}", body)["result"], "SUCCESS")
        self.server.wait(61)
        body = json.dumps({"page": {"id": "b" * 16}}).encode()
        self.assertEqual(self.server.json("POST", f"/join/team?{query}", body)["reason"], "expired")

    def test_lock_and_relay_are_switched_and_pages_told(self) -> None:
        page = self.page("team", "a")
        for what, key, told in (("lock", "locked", "locked"), ("relay", "relay_only", "relay")):
            for on in (True, False):
                answer = self.server.api("PUT", f"/rooms/team/{what}", {"on": on})
                self.assertEqual((answer.code, json.loads(answer.body)[key]), (200, on))
                page.events()
                self.assertEqual(page.snapshot.get(told, False), on)

    def test_somebody_is_kicked_by_tag(self) -> None:
        first, second = self.page("team", "a"), self.page("team", "b")
        tag = self.server.get("/rooms/team")["clients"][1]["id"]
        self.assertEqual(problem(self.server.api("DELETE", f"/rooms/other/clients/{tag}"))[0], 404)
        self.assertEqual((self.server.api("DELETE", f"/rooms/team/clients/{tag}").code, first.members()), (204, ["a"]))
        self.assertEqual(second.events(), [{"event": "kicked"}])
        self.assertEqual(problem(self.server.api("DELETE", f"/rooms/team/clients/{tag}"))[0], 404)

    def test_a_room_is_closed_for_everybody(self) -> None:
        page = self.page("team", "a")
        self.assertEqual((self.server.api("DELETE", "/rooms/team").code, page.ws.closed), (204, True))
        self.assertEqual(problem(self.server.api("DELETE", "/rooms/team"))[0], 404)

    def test_what_is_done_to_a_room_that_is_not_there_is_404(self) -> None:
        for method, path, body in (
                ("GET", "", None), ("PUT", "/lock", {"on": True}), ("PUT", "/relay", {"on": True}),
                ("POST", "/invitations", {}), ("DELETE", "", None), ("DELETE", f"/clients/{CLIENT}", None)):
            self.assertEqual(problem(self.server.api(method, f"/rooms/none{path}", body))[0], 404, path)
        self.assertEqual(self.server.get("/rooms")["rooms"], [])

    def test_a_full_store_is_told(self) -> None:
        self.server = AdminServer(self, rooms=RoomsSettings(max_rooms=1)).start()
        self.create(name="one")
        answer = self.server.api("POST", "/rooms", {"name": "two"})
        self.assertEqual((problem(answer), answer.header("retry-after")), ((503, "there are 1 rooms already."), "10"))

    def test_any_name_of_a_room_can_be_shown_and_closed(self) -> None:
        """Clients of Collider's protocol may write what they like."""
        name = "a/b \u623f\ud800"
        limits = self.server.rooms.limits
        self.server.rooms._apply(name, lambda one, now: rooms.join(one, now, limits, "x"))
        self.assertEqual(self.server.get("/rooms")["rooms"][0]["name"], "a/b \u623f?")
        self.server.rooms._apply("a/b", lambda one, now: rooms.join(one, now, limits, "x"))
        self.assertEqual(self.server.api("DELETE", "/rooms/a%2Fb").code, 204)


class OtherTests(AdminCase):
    """Relays, credentials, calls and the daemon."""

    def test_allocations_are_listed_and_ended(self) -> None:
        first = self.server.get("/allocations?limit=5")
        self.assertEqual(([one["id"] for one in first["allocations"]], first["next"]), ([1, 2, 3, 4, 5], 5))
        rest = self.server.get("/allocations?limit=5&after=5")
        self.assertEqual(([one["id"] for one in rest["allocations"]], rest["next"]), ([6, 7], None))
        self.assertEqual(rest["allocations"][0], {
            "id": 6, "user": "ann", "transport": "udp", "relayed": ["192.0.2.1:50000"], "peers": 2, "channels": 1,
            "expires_at": 1_700_000_600.0, "sent_packets": 1, "sent_bytes": 100, "received_packets": 2,
            "received_bytes": 200})
        self.assertEqual([self.server.api("DELETE", "/allocations/3").code for _ in range(2)], [204, 404])

    def test_a_credential_is_in_the_shape_that_others_know_and_is_accepted(self) -> None:
        answer = self.server.api("POST", "/credentials", {"user": "@ann=matrix.example", "lifetime": 600})
        made = json.loads(answer.body)
        now = self.server.clock.seconds()
        self.assertEqual((answer.code, sorted(made), made["ttl"], made["uris"]), (
            201, ["password", "ttl", "uris", "username"], 600, ["turn:192.0.2.1:3478?transport=udp"]))
        verdict = self.server.context.credentials.verify(made["username"], now)
        self.assertEqual((verdict.passwords, verdict.user, verdict.expires_at),
                         ((made["password"],), "@ann=matrix.example", now + 600))
        self.assertEqual(json.loads(self.server.api("POST", "/credentials", {"user": "x"}).body)["ttl"], 43200)

    def test_a_credential_is_never_taken_for_that_of_a_client_of_a_room(self) -> None:
        for user in (CLIENT, f"{CLIENT}\n", "alice\n", "a:b", "", "x" * 129, "a b"):
            self.assertEqual(problem(self.server.api("POST", "/credentials", {"user": user}))[0], 400, user)

    def test_calls_are_asked_for_where_they_are_kept(self) -> None:
        self.assertEqual([self.server.get(f"/calls{query}")["calls"] for query in ("", "?room=team&since=1.5", "?room=x")],
                         [[{"id": "c1", "room": "team"}]] * 2 + [[]])
        self.server.calls["c3"] = {"id": "c3", "room": "team"}
        pages = [self.server.get(f"/calls?limit=1{query}") for query in ("", "&after=c1", "&after=c3")]
        self.assertEqual([([call["id"] for call in one["calls"]], one["next"]) for one in pages],
                         [(["c1"], "c1"), (["c3"], "c3"), ([], None)])
        self.assertEqual(self.server.get("/calls/c1")["room"], "team")
        self.assertEqual(problem(self.server.api("GET", "/calls/c2"))[0], 404)

    def test_checks_are_listed_in_words_and_go_on_behind_a_number(self) -> None:
        """In the language that is asked for."""
        first = self.server.get("/checks?limit=2")
        self.assertEqual(([one["number"] for one in first["checks"]], first["next"]), ([1, 2], 2))
        rest = self.server.get("/checks?limit=2&after=2&lang=zh")
        self.assertEqual(([one["number"] for one in rest["checks"]], rest["next"]), ([3], None))
        self.assertEqual(rest["checks"][0]["paths"][0]["title"], "UDP 3478 从未到达服务器")
        self.assertEqual({key: one for key, one in first["checks"][0].items() if key != "paths"}, {
            "number": 1, "at": 1_700_000_000.0, "network": "192.0.2.0/24", "system": "ios", "level": "broken",
            "summary": "no-relay", "title": "Many calls will fail from here",
            "text": "No path to a relay works. Only devices that reach each other directly can call."})
        (path,) = first["checks"][0]["paths"]
        self.assertEqual((path["id"], path["name"], path["outcome"], path["title"]), (
            "udp-3478", "Relay by UDP, port 3478", "never-arrived", "UDP 3478 never arrived at the server"))
        self.assertIn("ufw allow 3478/udp", path["mend"])
        self.assertEqual(problem(self.server.api("GET", "/checks?lang=fr"))[0], 400)

    def test_what_nobody_offers_says_so(self) -> None:
        self.server = AdminServer(self, pages=False).start()
        for method, path, body in (
                ("GET", "/allocations", None), ("DELETE", "/allocations/1", None), ("GET", "/calls", None),
                ("GET", "/calls/c1", None), ("GET", "/checks", None), ("GET", "/metrics", None),
                ("POST", "/credentials", {"user": "ann"})):
            code, detail = problem(self.server.api(method, path, body))
            self.assertEqual(code, 501, path)
            self.assertIn("Nobody here offers", detail)

    def test_the_status_has_what_there_is(self) -> None:
        self.create(name="team")
        self.server.wait(5)
        self.server.metrics.before_reading(lambda: self.fail("the page asks often: not all figures are read for it"))
        status = self.server.get("/status")
        self.assertEqual((status["version"], status["uptime"], status["draining"]), (__version__, 5.0, False))
        self.assertEqual(status["counts"], {"rooms": 1, "seats": 0, "allocations": 0})
        self.assertEqual(status["listeners"][0], {
            "service": "turn", "transport": "udp", "host": "0.0.0.0", "port": 3478, "last_port": None})

    def test_the_nodes_of_a_credential_are_a_matter_of_its_user(self) -> None:
        """Not of the service that asks for it, be it by the unix socket: its users are anywhere."""
        servers = tuple(f"turn:n{number}" for number in range(20))
        self.server = AdminServer(self, ice=IceSettings(servers=servers)).start()
        found = {name: [tuple(json.loads(self.server.unix("POST", "/credentials", {"user": name}).body)["uris"])
                        for _ in range(2)] for name in "abcdefgh"}
        self.assertEqual({len(set(one)) for one in found.values()}, {1})
        self.assertGreater(len({one[0] for one in found.values()}), 3)

    def test_the_status_has_the_turn_nodes(self) -> None:
        self.assertEqual(self.server.get("/status")["nodes"], [])
        self.server = AdminServer(self, ice=IceSettings(servers=("turn:r region=eu", "stun:r"))).start()
        self.assertEqual(self.server.get("/status")["nodes"], [{
            "name": "r", "region": "eu", "weight": 1, "urls": ["turn:r", "stun:r"], "state": "unknown", "usable": True,
            "reason": "", "ms": None, "since": self.server.clock.seconds()}])

    def test_the_status_has_the_stores_of_rooms(self) -> None:
        """Each Redis; rooms that are in the process are on none."""
        self.assertEqual(self.server.get("/status")["stores"], [])
        rooms: Any = self.server.context.rooms
        away = SimpleNamespace(place="redis://h:6379", reachable=False, trouble="WRONGPASS", totals=Totals(nodes=2),
                               strangers=1)
        rooms.stores = (away,)
        self.assertEqual(self.server.get("/status")["stores"], [
            {"name": "redis://h:6379", "reachable": False, "reason": "WRONGPASS", "processes": 2, "strangers": 1}])

    def test_the_daemon_is_told_to_reload_and_to_drain(self) -> None:
        self.assertEqual(json.loads(self.server.api("POST", "/reload").body), {"lines": ["reloaded: nothing has changed"]})
        self.assertEqual((self.server.api("POST", "/drain").code, self.server.orders), (202, []))
        self.server.wait(0)
        self.assertEqual((self.server.orders, self.server.get("/status")["draining"]), (["drain"], True))

    def test_figures_are_passed_on_as_they_are(self) -> None:
        answer = self.server.api("GET", "/metrics")
        self.assertEqual((answer.body, answer.header("content-type")), (b"rtcd_up 1\n", "text/plain; version=0.0.4"))

    def test_urls_are_those_of_the_public_url(self) -> None:
        doorway = DoorwaySettings(public_url="https://meet.example/calls")
        self.server = AdminServer(self, doorway=doorway, ice=IceSettings(host="turn.example")).start()
        answer = self.server.unix("POST", "/rooms", {"name": "team"})
        self.assertEqual((answer.code, json.loads(answer.body)["url"]), (201, "https://meet.example/calls/r/team"))
        self.assertEqual(answer.header("location"), "/calls/admin/rooms/team")
        self.assertEqual(json.loads(self.server.unix("POST", "/credentials", {"user": "x"}).body)["uris"],
                         ["turn:turn.example:3478?transport=udp"])


class HttpTests(AdminCase):
    """What holds for every route."""

    def test_answers_are_not_kept_by_anybody(self) -> None:
        for path in ("/rooms", "/nothing"):
            self.assertEqual(self.server.api("GET", path).header("cache-control"), "no-store")

    def test_what_is_not_there_and_what_is_not_done_are_told_apart(self) -> None:
        for path in ("/nothing", "/rooms/", "/rooms/a/b", "/rooms/a/clients/b", "/allocations/x", "/rooms/%ff",
                     "/rooms/" + "x" * 1025, "/calls/" + "x" * 129):
            self.assertEqual(problem(self.server.api("GET", path))[0], 404, path)
        answer = self.server.api("PATCH", "/rooms")
        self.assertEqual((problem(answer)[0], answer.header("allow")), (405, "HEAD, GET, POST"))

    def test_head_has_no_body(self) -> None:
        answer = self.server.api("HEAD", "/rooms")
        self.assertEqual((answer.code, answer.body, answer.header("content-length")), (200, b"", "24"))

    def test_a_body_has_to_be_json_and_short(self) -> None:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
            answer = self.server.api("POST", "/rooms", b"{}", headers={"Content-Type": kind})
            self.assertEqual(problem(answer)[0], 415, kind)
        self.assertEqual(problem(self.server.api("POST", "/rooms", b" " * (MAX_BODY_BYTES + 1)))[0], 413)
        for body in (b"", b"{", b'{"name":"\xff"}', b'{"name":"\\ud800"}', b"[" * 10000, b"NaN"):
            self.assertEqual(problem(self.server.api("POST", "/rooms", body))[0], 400, body[:20])

    def test_a_value_is_not_repeated_in_what_is_said_about_it(self) -> None:
        """It may be a password."""
        self.assertNotIn("sesame", problem(self.server.api("POST", "/rooms", {"password": ["sesame"]}))[1])

    def test_every_problem_can_be_told(self) -> None:
        """Half a character of somebody's text is a question mark."""
        def refuse(call: str) -> None:
            raise Problem(404, f"There is no {call}\ud800.")

        self.server.context.desk._offered["calls.show"] = refuse
        self.assertEqual(problem(self.server.api("GET", "/calls/c1")), (404, "There is no c1?."))

    def test_a_fault_of_ours_is_logged_and_told_without_details(self) -> None:
        self.server.context.desk._offered["calls.show"] = lambda call: 1 / 0
        self.assertEqual(problem(self.server.api("GET", "/calls/c1")), (500, "The server failed; its log says why."))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class DescriptionTests(AdminCase):
    """openapi.json."""

    def test_the_file_is_what_the_table_says(self) -> None:
        """After a change: python -m rtcd.admin.openapi > rtcd/admin/openapi.json"""
        self.assertEqual(files("rtcd.admin").joinpath("openapi.json").read_text("utf-8"), text())

    def test_it_is_served_as_it_is(self) -> None:
        self.assertEqual(self.server.get("/openapi.json"), json.loads(text()))

    def test_every_route_is_in_it_and_has_an_operation(self) -> None:
        paths = describe()["paths"]
        self.assertEqual(sum(len(one) for one in paths.values()), len(ROUTES))
        self.assertEqual(sorted(self.server.admin._operations), sorted(one.operation for one in ROUTES))
        for route in ROUTES:
            filled = {"{client}": CLIENT, "{room}": "1", "{allocation}": "1", "{call}": "1"}
            found, _ = find([filled.get(part, part) for part in route.parts])
            self.assertIs(found[route.method], route)
