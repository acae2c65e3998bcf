"""The room server's HTTP: answers, refusals, limits, pages."""

from __future__ import annotations

import json
import re
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rtcd import __version__
from rtcd.config import ConfigError
from rtcd.doorway.directory import Directory
from rtcd.doorway.settings import DoorwaySettings
from rtcd.rooms import orders
from rtcd.rooms.invitation import PURPOSE, invite
from rtcd.rooms.outcome import StoreUnavailable
from rtcd.rooms.records import Terms
from rtcd.rooms.settings import RoomsSettings
from rtcd.web.pages import qr_code
from rtcd.web.service import WebService
from rtcd.web.settings import Settings
from tests.fakes_calls import Page, Server


class JoinTests(SynchronousTestCase):
    """POST /join."""

    def setUp(self) -> None:
        self.server = Server(self)

    def test_client_names_cannot_be_guessed(self) -> None:
        """At least 64 random bits."""
        names = {self.server.json("POST", f"/join/room{number}")["params"]["client_id"] for number in range(50)}
        self.assertEqual(len(names), 50)
        for name in names:
            self.assertRegex(name, r"^[0-9a-f]{20}$")

    def test_repeated_slashes_are_one(self) -> None:
        """A trailing slash in Android's server setting."""
        self.assertEqual(self.server.json("POST", "//join/room1")["result"], "SUCCESS")

    def test_the_query_is_carried_into_the_link(self) -> None:
        """Android and the page append theirs."""
        params = self.server.json("POST", "/join/room1?it=relay&tt=udp")["params"]
        self.assertEqual(params["room_link"], "https://192.0.2.1:8443/r/room1?it=relay&tt=udp")
        self.assertEqual(params["wss_url"], "wss://192.0.2.1:8443/ws")
        self.assertEqual(params["wss_post_url"], "https://192.0.2.1:8443/sig")

    def make(self, room: str, **terms: Any) -> None:
        """A room made beforehand."""
        expires_at = self.server.clock.seconds() + 3600
        self.successResultOf(Deferred.fromCoroutine(self.server.rooms.update(
            room, lambda one, now: orders.create(one, now, Terms(expires_at=expires_at, **terms)))))

    def test_a_room_for_the_invited_says_why_it_lets_nobody_else_in(self) -> None:
        """To a page; an app finds it full, and gets in with the same argument."""
        self.make("team", invited_only=True)
        (key,) = self.server.context.credentials.keys(PURPOSE)
        now = int(self.server.clock.seconds())
        good, expired = (invite(key, "team", now + seconds) for seconds in (60, -60))
        page = json.dumps({"page": {"id": "a" * 16}}).encode()

        def answer(query: str, body: bytes = page) -> tuple[str, str | None]:
            found = self.server.json("POST", f"/join/team?{query}", body)
            return found["result"], found.get("reason")

        self.assertEqual([answer(f"invitation={one}") for one in ("", "x", expired, good)], [
            ("LOCKED", "invitation"), ("LOCKED", "invitation"), ("LOCKED", "expired"), ("SUCCESS", None)])
        self.assertEqual([answer(f"invitation={one}", b"") for one in ("x", good)], [("FULL", None), ("SUCCESS", None)])

    def test_an_invitation_is_not_carried_into_the_link(self) -> None:
        """Who shares that link does not give his own invitation away."""
        params = self.server.json("POST", "/join/room1?it=relay&invitation=secret")["params"]
        self.assertEqual(params["room_link"], "https://192.0.2.1:8443/r/room1?it=relay")

    def test_a_room_has_the_capacity_and_the_paths_that_were_laid_down(self) -> None:
        self.make("team", capacity=2, relay_only=True)
        answers = [self.server.json("POST", "/join/team", json.dumps({"page": {"id": one * 16}}).encode()) for one in "abc"]
        self.assertEqual(json.loads(answers[0]["params"]["pc_config"])["iceTransports"], "relay")
        self.assertEqual((answers[1]["room"]["capacity"], answers[1]["room"]["relay"]), (2, True))
        self.assertEqual((answers[2]["reason"], answers[2]["capacity"]), ("full", 2))

    def test_names_that_do_not_match_are_not_found(self) -> None:
        """Over the whole, percent-decoded segment; wrong methods are 405."""
        for path in ("/join", "/join/", "/join/a.b", "/join/a%20b", "/join/a%2Fb", "/join/a/b", "/join/" + "x" * 1025,
                     "/join/%FF", "/leave/a", "/message/a", "/message/a/b/c", "/leave/a/b%0A", "/params/x", "/nothing"):
            self.assertEqual(self.server.request("POST", path).code, 404, path)
        for method, path in (("GET", "/join/room1"), ("PUT", "/leave/a/b"), ("DELETE", "/message/a/b"), ("POST", "/params"),
                             ("POST", "/r/room1"), ("POST", "/"), ("GET", "/v1alpha/iceconfig"), ("GET", "/a/")):
            answer = self.server.request(method, path)
            self.assertEqual(answer.code, 405, path)
        for path in ("/join/room1", "/v1alpha/iceconfig"):
            answer = self.server.request("HEAD", path)
            self.assertEqual((answer.code, answer.body), (405, b""))

    def test_a_percent_encoded_name_is_the_same_room(self) -> None:
        """Case counts, encoding does not."""
        self.server.json("POST", "/join/room%31")
        self.assertEqual(len(self.server.seats("room1")), 1)
        self.server.json("POST", "/join/Room1")
        self.assertEqual(len(self.server.seats("room1")), 1)

    def test_bodies_are_ignored(self) -> None:
        """Whatever is in them."""
        self.assertEqual(self.server.json("POST", "/join/room1", b"\xff{")["result"], "SUCCESS")

    def test_a_host_that_is_none_is_not_echoed(self) -> None:
        """Links and URLs never carry what a Host header should not hold."""
        body = self.server.request("POST", "/join/room1", headers={"Host": 'evil"><script>'}).body
        self.assertNotIn(b"evil", body)


class MessageTests(SynchronousTestCase):
    """POST /message."""

    def setUp(self) -> None:
        self.server = Server(self)
        self.page = Page(self.server, "room1")
        self.page.start()

    def send(self, path: str, body: bytes) -> tuple[int, str]:
        """Post a body; status and result."""
        answer = self.server.request("POST", path, body)
        return answer.code, json.loads(answer.body)["result"]

    def test_unknown_rooms_clients_and_undecodable_bodies_have_their_result(self) -> None:
        """Status 200: the apps read the result."""
        own = f"/message/room1/{self.page.id}"
        self.assertEqual(self.send("/message/room2/x", b"m"), (200, "UNKNOWN_ROOM"))
        self.assertEqual(self.send("/message/room1/x", b"m"), (200, "UNKNOWN_CLIENT"))
        self.assertEqual(self.send(own, b"\xff"), (200, "ERROR"))
        self.assertEqual(self.send(own, b""), (200, "ERROR"))
        self.assertEqual(self.send(own, "h\u00e9 \u4f60".encode()), (200, "SUCCESS"))
        self.assertEqual(self.send(own, b"x" * 65537), (413, "ERROR"))

    def test_the_1025th_held_message_is_an_error(self) -> None:
        """1024 are kept for the next to join."""
        own = f"/message/room1/{self.page.id}"
        for _ in range(1024):
            self.assertEqual(self.send(own, b"m"), (200, "SUCCESS"))
        self.assertEqual(self.send(own, b"m"), (200, "ERROR"))
        self.assertEqual(len(self.server.json("POST", "/join/room1")["params"]["messages"]), 1024)

    def test_10_megabytes_are_refused_unread(self) -> None:
        """Announced or chunked."""
        own = f"/message/room1/{self.page.id}"
        answer = self.server.request("POST", own, b"x", {"Content-Length": "10000000"})
        self.assertEqual((answer.code, answer.closed), (413, True))
        self.assertEqual(json.loads(answer.body)["result"], "ERROR")
        chunk = b"%x\r\n%b\r\n" % (300000, b"x" * 300000)
        answer = self.server.request("POST", own, chunk, {"Transfer-Encoding": "chunked", "Content-Length": ""})
        self.assertIn(answer.code, (400, 413))
        self.assertTrue(answer.closed)


class LimitTests(SynchronousTestCase):
    """Rooms, addresses, rates, and a store that is away."""

    def test_rooms_beyond_the_limit_are_refused(self) -> None:
        """503 and a result; the rooms that are there go on."""
        server = Server(self, rooms=RoomsSettings(max_rooms=2))
        for room in ("one", "two"):
            server.json("POST", f"/join/{room}")
        answer = server.request("POST", "/join/three")
        self.assertEqual((answer.code, json.loads(answer.body)["result"]), (503, "ERROR"))
        self.assertEqual(answer.header("retry-after"), "10")
        self.assertEqual(server.json("POST", "/join/two")["result"], "SUCCESS")

    def test_seats_of_one_address_are_limited_and_given_back(self) -> None:
        """Another address is not concerned."""
        server = Server(self, rooms=RoomsSettings(max_clients_per_address=2))
        params = server.json("POST", "/join/one")["params"]
        server.json("POST", "/join/two")
        self.assertEqual(server.request("POST", "/join/three").code, 503)
        server.request("POST", f"/leave/one/{params['client_id']}")
        self.assertEqual(server.json("POST", "/join/three")["result"], "SUCCESS")

    def test_joins_of_one_address_have_a_rate(self) -> None:
        """Rooms cannot be counted out; the room page counts as well."""
        server = Server(self, web=Settings(join_rate=1))
        codes = [server.request("POST" if number % 2 else "GET", f"/{'join' if number % 2 else 'r'}/room{number}").code
                 for number in range(12)]
        self.assertEqual(codes, [200] * 10 + [429] * 2)
        server.wait(1)
        self.assertEqual(server.request("POST", "/join/again").code, 200)

    def test_guessing_at_rooms_by_message_has_a_rate_too(self) -> None:
        """What a message is answered tells whether a room is there."""
        server = Server(self, web=Settings(join_rate=1))
        codes = [server.request("POST", f"/message/room{number}/x", b"m").code for number in range(12)]
        self.assertEqual(codes, [200] * 10 + [429] * 2)

    def test_waiting_messages_are_bounded_for_an_address_and_in_all(self) -> None:
        """Many rooms of one stranger cannot fill the memory; what they take is given back."""
        server = Server(self, rooms=RoomsSettings(max_queue_bytes_per_address=5000, max_queue_bytes_total=8000))
        ids = [server.json("POST", f"/join/room{number}")["params"]["client_id"] for number in range(3)]
        results = [server.request("POST", f"/message/room{number}/{ids[number]}", b"m" * 2000) for number in range(3)]
        self.assertEqual([one.code for one in results], [200, 200, 503])
        self.assertEqual(json.loads(results[2].body)["result"], "ERROR")
        server.request("POST", f"/leave/room0/{ids[0]}")
        self.assertEqual(server.request("POST", f"/message/room2/{ids[2]}", b"m" * 2000).code, 200)

    def test_a_code_that_takes_long_to_draw_has_a_rate(self) -> None:
        """And the same link is drawn once."""
        server = Server(self, web=Settings(join_rate=1))
        codes = [server.request("GET", f"/qr.svg?room=room{number}").code for number in range(12)]
        self.assertEqual(codes, [200] * 10 + [429] * 2)

    def test_the_clients_of_a_proxy_on_this_machine_are_told_apart(self) -> None:
        """By what the proxy has added last; over TLS or from elsewhere nobody is believed."""
        server = Server(self, rooms=RoomsSettings(max_clients_per_address=1))
        local, far = IPv4Address("TCP", "127.0.0.1", 1), IPv4Address("TCP", "192.0.2.9", 1)

        def join(room: str, forwarded: str, client: object, *, secure: bool = False) -> int:
            return server.request("POST", f"/join/{room}", headers={"X-Forwarded-For": forwarded},
                                  client=client, secure=secure).code

        self.assertEqual(join("room1", "198.51.100.1", local), 200)
        self.assertEqual(join("room2", "198.51.100.1, 198.51.100.2", local), 200)
        self.assertEqual(join("room3", "1.1.1.1, 198.51.100.2", local), 503)
        self.assertEqual(join("room4", "198.51.100.4", far), 200)
        self.assertEqual(join("room5", "198.51.100.5", far), 503)
        self.assertEqual(join("room6", "198.51.100.6", local, secure=True), 200)
        self.assertEqual(join("room7", "198.51.100.7", local, secure=True), 503)
        self.assertEqual(join("room8", "198.51.100.8", UNIXAddress("/x")), 200)
        self.assertEqual(join("room9", "garbage", UNIXAddress("/x")), 200)

    def test_a_store_that_is_away_is_a_clear_answer(self) -> None:
        """503 with Retry-After for pages and apps."""
        server = Server(self)

        async def away(*_: object) -> Any:
            raise StoreUnavailable("the rooms cannot be reached")

        self.patch(server.rooms, "update", away)
        for method, path in (("POST", "/join/room1"), ("GET", "/r/room1"), ("POST", "/message/a/b")):
            answer = server.request(method, path, b"{}")
            self.assertEqual((answer.code, answer.header("retry-after")), (503, "10"), path)
            self.assertEqual(b'"error": "busy"' in answer.body, method == "GET")

    def test_a_fault_of_ours_is_500_and_logged(self) -> None:
        """One request may die of it, never the daemon."""
        server = Server(self)

        async def broken(*_: object) -> Any:
            raise RuntimeError("ours")

        self.patch(server.rooms, "update", broken)
        self.assertEqual(server.request("POST", "/join/room1").code, 500)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class PageTests(SynchronousTestCase):
    """The pages and what belongs to them."""

    def setUp(self) -> None:
        self.server = Server(self)

    def parameters(self, path: str) -> Any:
        """The JSON block of a page."""
        body = self.server.request("GET", path).body.decode()
        (block,) = re.findall(r'<script type="application/json" id="parameters">(.*?)</script>', body)
        return json.loads(block)

    def test_only_a_room_page_names_a_room(self) -> None:
        """A page without roomId shows the landing page."""
        self.assertNotIn("roomId", self.parameters("/"))
        facts = self.parameters("/r/room1?it=relay")
        self.assertEqual((facts["roomId"], facts["roomLink"]), ("room1", "https://192.0.2.1:8443/r/room1?it=relay"))
        self.assertEqual(facts["peerConnectionConfig"]["iceTransports"], "relay")

    def test_what_is_no_room_is_the_page_that_says_so(self) -> None:
        """In the reader's language, with the status for machines; other methods get plain text."""
        for path, error in (("/r/ab%20c", "name"), ("/r/%E6%88%BF", "name"), ("/r/a/b", "name"), ("/r/", "name"),
                            ("/x", "address")):
            answer = self.server.request("GET", path)
            self.assertEqual((answer.code, answer.header("content-type")), (404, "text/html; charset=utf-8"), path)
            facts = self.parameters(path)
            self.assertEqual(facts["error"], error, path)
            self.assertNotIn("roomId", facts)
        self.assertEqual(self.server.request("POST", "/r/ab%20c").header("content-type"), "text/plain; charset=utf-8")
        self.assertEqual(self.parameters("/r/room1")["error"], "")

    def test_a_busy_server_is_the_page_that_says_so(self) -> None:
        """With Retry-After."""
        self.server = Server(self, web=Settings(join_rate=1))
        for number in range(10):
            self.assertEqual(self.server.request("GET", f"/r/room{number}").code, 200)
        answer = self.server.request("GET", "/r/room1")
        self.assertEqual((answer.code, answer.header("retry-after")), (429, "10"))
        self.assertEqual(self.parameters("/r/room1")["error"], "busy")

    def test_no_argument_can_break_out_of_the_page(self) -> None:
        """Reflected script injection of the original."""
        attack = "%3C/script%3E%3Cscript%3Ealert(1)%3C/script%3E"
        for name in ("ts", "tt", "wshpp", "apikey", "it", "audio", "video", "hd", "x"):
            body = self.server.request("GET", f"/r/room1?{name}={attack}").body
            self.assertNotIn(b"<script>alert", body, name)
            self.assertEqual(body.count(b"</script>"), self.server.request("GET", "/r/room1").body.count(b"</script>"))

    def test_pages_forbid_inline_scripts_and_foreign_frames(self) -> None:
        """The content security policy."""
        answer = self.server.request("GET", "/r/room1")
        policy = answer.header("content-security-policy") or ""
        for rule in ("default-src 'self'", "script-src 'self'", "frame-ancestors 'none'", "wss://192.0.2.1:8443"):
            self.assertIn(rule, policy)
        self.assertNotIn("unsafe", policy)
        self.assertEqual(answer.header("x-content-type-options"), "nosniff")
        self.assertNotIn(b"onclick=", answer.body)
        self.assertNotRegex(answer.body, rb"<script(?![^>]*(src=|application/json))")
        self.assertNotRegex(answer.body, rb"""(src|href)=["']?(https?:)?//""")

    def test_every_file_that_the_page_names_is_there(self) -> None:
        """With the type that a module needs."""
        body = self.server.request("GET", "/").body.decode()
        paths = re.findall(r'(?:src|href)="(/static/[^"?]+)', body)
        self.assertTrue(paths)
        for path in [*paths, "/params.html", "/help.html", "/robots.txt", "/favicon.ico"]:
            answer = self.server.request("GET", path)
            self.assertEqual(answer.code, 200, path)
            if path.endswith(".js"):
                self.assertEqual(answer.header("content-type"), "text/javascript; charset=utf-8")
            tag = answer.header("etag") or ""
            again = self.server.request("GET", path, headers={"If-None-Match": tag})
            self.assertEqual((again.code, again.body), (304, b""), path)
        for path in ("/static/", "/static/../service.py", "/static/%2e%2e/service.py", "/static/%2e%2e%2fservice.py"):
            self.assertEqual(self.server.request("GET", path).code, 404, path)

    def test_the_qr_code_is_that_of_the_link(self) -> None:
        """An image, and only for a name that can be one."""
        answer = self.server.request("GET", "/qr.svg?room=room1")
        self.assertEqual((answer.code, answer.header("content-type")), (200, "image/svg+xml"))
        self.assertIn(b"<svg", answer.body)
        self.assertNotEqual(self.server.request("GET", "/qr.svg?room=room1&it=relay").body, answer.body)
        self.assertEqual(self.server.request("GET", "/qr.svg?room=%3C").code, 404)
        self.assertEqual(self.server.request("GET", "/qr.svg?room=room1&x=" + "y" * 1000).code, 404)
        self.assertEqual(self.server.request("GET", "/qr.svg").code, 404)

    def test_former_hosts_redirect_to_the_public_url(self) -> None:
        """With path and query."""
        server = Server(self, web=Settings(redirect_hosts=("old.example",)),
                        doorway=DoorwaySettings(public_url="https://new.example"))
        answer = server.request("GET", "/r/room1?it=relay", headers={"Host": "old.example:8443"})
        self.assertEqual((answer.code, answer.header("location")), (301, "https://new.example/r/room1?it=relay"))
        self.assertEqual(server.request("GET", "/r/room1").code, 200)

    def test_a_public_url_is_the_origin_of_everything(self) -> None:
        """Behind a proxy the Host we see is not the one that the browser sees."""
        server = Server(self, doorway=DoorwaySettings(public_url="https://calls.example"))
        params = server.json("POST", "/join/room1")["params"]
        self.assertEqual(params["wss_url"], "wss://calls.example/ws")
        self.assertEqual(params["room_link"], "https://calls.example/r/room1")
        self.assertEqual(params["ice_server_url"],
                         f"https://calls.example/v1alpha/iceconfig?room=room1&client={params['client_id']}")

    def test_headers_in_odd_bytes_do_no_harm(self) -> None:
        """Neither a browser's nor those that a proxy passes on."""
        server, local = Server(self), IPv4Address("TCP", "127.0.0.1", 1)
        for name in (b"User-Agent", b"X-Forwarded-For", b"X-Forwarded-Proto", b"Forwarded", b"X-Forwarded-Host", b"Origin"):
            for method, path in (("POST", "/join/room1"), ("GET", "/r/room1"), ("POST", "/v1alpha/iceconfig")):
                answer = server.request(method, path, client=local, secure=False, more=name + b": \xff\xfe\r\n")
                self.assertEqual(answer.code, 200, (name, path))

    def test_the_landing_page_leads_to_the_local_authority_where_that_is_what_is_seen(self) -> None:
        """Not where a proxy shows a certificate of its own."""
        server, local = Server(self), IPv4Address("TCP", "127.0.0.1", 1)
        server.doorway.certificates.load()
        link = b'href="/install"'
        self.assertIn(link, server.request("GET", "/", headers={"Host": "localhost:8443"}).body)
        told = {"X-Forwarded-Proto": "https"}
        self.assertNotIn(link, server.request("GET", "/", headers=told, client=local, secure=False).body)

    def test_a_path_prefix_is_in_every_link(self) -> None:
        """Whether the proxy takes it off or not, and whether it is configured or told."""
        local = IPv4Address("TCP", "127.0.0.1", 1)
        told = {"Host": "calls.example:8443", "X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "https",
                "X-Forwarded-Prefix": "/calls"}
        for settings, headers, paths in (
            (DoorwaySettings(public_url="https://calls.example:8443/calls/"), {}, ("/calls", "")),
            (DoorwaySettings(), told, ("/calls", "")),
        ):
            server = Server(self, doorway=settings)
            for path in paths:
                ask: Any = {"headers": headers, "client": local, "secure": False}
                params = json.loads(server.request("POST", f"{path}/join/room{path[1:]}", **ask).body)["params"]
                base = "calls.example:8443/calls"
                self.assertEqual((params["wss_url"], params["wss_post_url"]), (f"wss://{base}/ws", f"https://{base}/sig"))
                self.assertEqual(params["room_link"], f"https://{base}/r/room{path[1:]}")
                self.assertTrue(params["ice_server_url"].startswith(f"https://{base}/v1alpha/iceconfig?"))
                page = server.request("GET", f"{path}/r/room1", **ask)
                self.assertRegex(page.body, rb'href="/calls/static/[0-9a-f]{16}/page\.css"')
                self.assertNotIn(b"{{", page.body)
                self.assertIn(b'"base": "/calls"', page.body)
                self.assertIn("connect-src 'self' wss://calls.example:8443;", page.header("content-security-policy") or "")
                self.assertEqual(server.request("GET", f"{path}/static/app.css", **ask).code, 200)
                code = server.request("GET", f"{path}/qr.svg?room=room1", **ask)
                self.assertEqual(code.body, qr_code(f"https://{base}/r/room1"))


class AnalyticsTests(SynchronousTestCase):
    """POST /a/."""

    def test_events_are_checked(self) -> None:
        """Missing or non-numeric required fields, unknown types, no JSON: INVALID_REQUEST, status 200."""
        server = Server(self)
        good = {"type": "event", "request_time_ms": 1, "event": {"event_type": 3, "event_time_ms": 2, "room_id": "r"}}
        self.assertEqual(server.json("POST", "/a/", json.dumps(good).encode())["result"], "SUCCESS")
        for bad in (b"", b"[", b"[]", b'{"type":"event"}', json.dumps(good | {"type": "x"}).encode(),
                    json.dumps(good | {"request_time_ms": "1"}).encode(), json.dumps(good | {"event": {}}).encode(),
                    json.dumps(good | {"event": {"event_type": 3, "event_time_ms": "2"}}).encode(), b"[" * 20000,
                    json.dumps(good | {"event": {"event_type": "3", "event_time_ms": 2}}).encode(),
                    json.dumps(good | {"request_time_ms": float("nan")}).encode(),
                    json.dumps(good).replace(": 1,", ": 1e999,").encode()):
            self.assertEqual(server.json("POST", "/a/", bad)["result"], "INVALID_REQUEST", bad[:60])


class ServiceTests(SynchronousTestCase):
    """Starting and reloading."""

    def test_a_page_without_signalling_does_not_start(self) -> None:
        """The operator is told what to add."""
        server = Server(self)
        server.doorway.directory = Directory()
        self.patch(server.doorway, "add_child", lambda *_: None)
        error = self.assertRaises(ConfigError, WebService(server.context, Settings()).startService)
        self.assertIn("[web]: its calls need signalling", str(error))

    def test_a_redirect_needs_somewhere_to_go(self) -> None:
        """At the start and at a reload, which keeps the old settings."""
        server = Server(self)
        new = Settings(redirect_hosts=("old.example",))
        self.assertIn("[web] redirect-hosts", str(self.assertRaises(
            ConfigError, server.reloads.apply, "web", Settings(), new)))

    def test_settings_are_taken_over_at_once(self) -> None:
        """SIGHUP."""
        server = Server(self)
        old, new = Settings(join_rate=0), Settings(join_rate=0, header_message="Hello")
        self.assertEqual(server.reloads.apply("web", old, new), {"header-message"})
        self.assertEqual(server.json("GET", "/params")["header_message"], "Hello")

    def test_the_operators_links_and_the_version_are_on_the_page(self) -> None:
        """As text, whatever they hold."""
        server = Server(self, web=Settings(links=("Terms & <more> /terms", 'Data protection https://example.org/?a="b"')))
        page = server.request("GET", "/").body.decode()
        self.assertIn('<a href="/terms" rel="noopener">Terms &amp; &lt;more&gt;</a>', page)
        self.assertIn('<a href="https://example.org/?a=&quot;b&quot;" rel="noopener">Data protection</a>', page)
        self.assertIn(f'<span id="version">rtcd {__version__}</span>', page)

    def test_values_that_cannot_work_are_named(self) -> None:
        """The text begins with the key."""
        for key, values in (
            ("ice-server-url", {"ice_server_url": "h"}),
            ("redirect-hosts", {"redirect_hosts": ("https://old",)}),
            ("name", {"name": ""}),
            ("name", {"name": "x" * 41}),
            ("name", {"name": "two\nlines"}),
            ("allowed-ice", {"allowed_ice": ("ice.example",)}),
            ("links", {"links": ("https://example.org/privacy",)}),
            ("links", {"links": ("Privacy example.org",)}),
            ("links", {"links": ("Privacy javascript:alert(1)",)}),
        ):
            error = self.assertRaises(ValueError, Settings, **values)
            self.assertTrue(str(error).startswith(f"{key}: "), str(error))
