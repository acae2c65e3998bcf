"""What people do and are refused is counted by reason, and logged under one name for each client."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import FiveTuple, Traffic
from rtcd.ice.credentials import Credentials
from rtcd.ice.settings import Settings as IceSettings
from rtcd.ice.tags import Tag
from rtcd.metrics import Metrics
from rtcd.rooms.diary import Diary
from rtcd.rooms.outcome import Came, Gone
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling.settings import Settings as SignalingSettings
from rtcd.turn.events import Events
from rtcd.web.resources import GUESSES_AT_ONCE
from rtcd.web.settings import Settings as WebSettings
from tests.fakes_calls import MeshPage, Page, Server, WebSocket
from tests.shell.test_turn_events import allocation_of


def counted(metrics: Metrics, name: str, label: str) -> dict[str, float]:
    """The series of one counter by one label, without zeros."""
    return {dict(one.labels)[label]: one.value for one in metrics.samples() if one.name == name and one.value}


class JoinTests(SynchronousTestCase):
    """``rtcd_web_joins_total``."""

    def results(self, server: Server) -> dict[str, float]:
        """What was counted, and as many times measured."""
        found = counted(server.metrics, "rtcd_web_joins_total", "result")
        measured = next(one.value for one in server.metrics.samples() if one.name == "rtcd_web_join_seconds_count")
        self.assertEqual(sum(found.values()), measured)
        return found

    def test_each_result_is_a_series(self) -> None:
        """Those of apps and those of pages."""
        server = Server(self)
        for _ in range(3):
            Page(server, "app").join()
        self.assertEqual(self.results(server), {"success": 2, "full": 1})
        host = MeshPage(server, "closed", "1")
        host.start()
        host.command("password", password="right")
        self.assertEqual(MeshPage(server, "closed", "2").join("wrong"), "PASSWORD")
        self.assertEqual(self.results(server), {"success": 3, "full": 1, "password": 1})
        for number in range(GUESSES_AT_ONCE):
            self.guess(server, number)
        self.assertEqual(self.results(server)["guesses"], 1)
        host.command("lock", on=True)
        MeshPage(server, "closed", "3").join("right")
        self.assertEqual(self.results(server).get("locked"), 1)

    def guess(self, server: Server, number: int) -> None:
        """A page with a wrong password."""
        page = {"id": f"{100 + number:016}", "name": "", "password": "no", "was": ""}
        server.request("POST", "/join/closed", json.dumps({"page": page}).encode())

    def test_limits_are_told_apart_from_rooms_that_cannot_be_had(self) -> None:
        """429 and 503."""
        server = Server(self, web=WebSettings(join_rate=0.1))
        for _ in range(3):
            server.request("POST", "/join/r")
        self.assertEqual(self.results(server), {"success": 1, "rate": 2})
        full = Server(self, rooms=RoomsSettings(max_rooms=1))
        for name in ("one", "two"):
            full.request("POST", f"/join/{name}")
        self.assertEqual(self.results(full), {"success": 1, "unavailable": 1})

    def test_the_time_of_a_join_and_of_its_answer_is_measured(self) -> None:
        """As with rooms that are kept elsewhere."""
        server = Server(self)
        slow, update = Deferred[None](), server.rooms.update

        async def wait(*arguments: Any) -> Any:
            await slow
            return await update(*arguments)

        self.patch(server.rooms, "update", wait)
        server.request("POST", "/join/r")
        server.clock.advance(0.3)
        slow.callback(None)
        found = {one.name: one.value for one in server.metrics.samples()}
        self.assertAlmostEqual(found["rtcd_web_join_seconds_sum"], 0.3, 3)
        self.assertAlmostEqual(found["rtcd_doorway_http_seconds_sum"], 0.3, 3)


class RefusalTests(SynchronousTestCase):
    """Of signalling and of credentials."""

    def test_sockets_are_refused_for_a_reason(self) -> None:
        """Each is counted once; Collider's status has their sum."""
        server = Server(self, signaling=SignalingSettings(ping_interval=0, register_timeout=5))
        WebSocket(server, [one for one in Page.handshake if not one.startswith("Origin")])
        for frame in ("no JSON", '{"cmd":"register","roomid":"r","clientid":"unknown"}', '{"cmd":"send","msg":"x"}',
                      '{"cmd":"?"}'):
            WebSocket(server, Page.handshake).send(frame)
        WebSocket(server, Page.handshake).send_frame(0x82, b"binary")
        WebSocket(server, Page.handshake)
        server.wait(5)
        found = counted(server.metrics, "rtcd_signaling_refused_total", "reason")
        self.assertEqual(found, {"origin": 1, "frame": 2, "register": 1, "message": 1, "command": 1, "timeout": 2})
        self.assertEqual(server.json("GET", "/status")["wserrors"], sum(found.values()))

    def test_opened_and_registered_sockets_are_counted(self) -> None:
        """While they are open, and in all."""
        server = Server(self)
        pages = [Page(server, "r") for _ in range(2)]
        for one in pages:
            one.start()
        pages[0].crash()
        found = {one.name.removeprefix("rtcd_signaling_"): one.value for one in server.metrics.samples()}
        self.assertEqual([found[one] for one in ("sockets", "registered", "sockets_opened_total", "registrations_total")],
                         [1, 1, 2, 2])

    def test_credentials_are_refused_for_a_reason(self) -> None:
        """A key, a rate, a room."""
        server = Server(self, ice=IceSettings(api_key="key", require_room=True, rate=1))
        for query in ("", "key=key", "key=key&room=r&client=c"):
            server.request("POST", f"/v1alpha/iceconfig?{query}")
        for _ in range(10):
            server.request("POST", "/v1alpha/iceconfig?key=key")
        self.assertEqual(counted(server.metrics, "rtcd_ice_refused_total", "reason"), {"key": 1, "room": 10, "rate": 2})


class RelayTests(SynchronousTestCase):
    """Allocations by transport."""

    def test_what_is_open_follows_the_client(self) -> None:
        """From one transport to another (RFC 8016), and to its end."""
        metrics = Metrics()
        events = Events(metrics, lambda: 0)
        allocation = allocation_of()
        events.allocation_created(allocation)
        self.assertEqual(counted(metrics, "rtcd_turn_allocated_clients", "transport"), {"udp": 1})
        old = allocation.five_tuple
        allocation.five_tuple = FiveTuple("tls", ("192.0.2.9", 5), old.server)
        events.allocation_moved(allocation, old)
        self.assertEqual(counted(metrics, "rtcd_turn_allocated_clients", "transport"), {"tls": 1})
        events.allocation_ended(allocation, "client left", Traffic())
        self.assertEqual(counted(metrics, "rtcd_turn_allocated_clients", "transport"), {})
        self.assertEqual(counted(metrics, "rtcd_turn_allocations_total", "transport"), {"udp": 1})
        self.assertEqual(counted(metrics, "rtcd_turn_allocations_ended_total", "reason"), {"client-left": 1})


class TagTests(SynchronousTestCase):
    """One name for a client in every line."""

    def test_a_tag_is_the_user_of_the_relay(self) -> None:
        """And costs nothing until somebody looks."""
        credentials, asked = Credentials(("new", "old"), 60), list[tuple[str, str]]()
        expected, users_of = credentials.users_of("r", "c")[0], credentials.users_of

        def watched(_: Credentials, room: str, client: str) -> tuple[str, ...]:
            asked.append((room, client))
            return users_of(room, client)

        self.patch(Credentials, "users_of", watched)
        tag = Tag(credentials, "r", "c")
        self.assertEqual(asked, [])
        self.assertEqual([f"{tag}", str(tag)], [expected] * 2)
        self.assertEqual(asked, [("r", "c")])

    def test_the_diary_counts_and_writes_down_who_comes_and_goes(self) -> None:
        """At the level debug, and never what is said."""
        metrics = Metrics()
        diary = Diary(metrics, lambda room, client: f"tag-of-{room[:3]}-{client}")
        with capturedLogs() as events:
            for news in (Came("c", "192.0.2.7"), Came("c", "192.0.2.7", registered=True, seated=True), Gone("c")):
                diary.happened('a "room\n', news)
            for text in ("v=0 secret", "more"):
                diary.said('a "room\n', "c", text)
            diary.said("another daemon's", "c", "text", False)
        self.assertEqual([formatEvent(one) for one in events], [
            *["client_came tag=tag-of-a \"-c room=a??room?"] * 2, "client_gone tag=tag-of-a \"-c room=a??room?"])
        self.assertEqual({one["log_level"] for one in events}, {LogLevel.debug})
        self.assertNotIn("secret", str(events))
        self.assertEqual({one.name: one.value for one in metrics.samples()}, {
            "rtcd_rooms_came_total": 1, "rtcd_rooms_gone_total": 1, "rtcd_rooms_messages_total": 2})

    def test_seats_are_counted_once_however_they_are_taken(self) -> None:
        """By joining and then registering, or, as with Collider, by registering alone; each is lost once."""
        for require_join in (True, False):
            server = Server(self, signaling=SignalingSettings(require_join=require_join))
            server.rooms.watch(Diary(server.metrics, lambda room, client: ""))
            pages = [Page(server, "r") for _ in range(2)]
            for one in pages:
                if require_join:
                    one.start()
                else:
                    register = {"cmd": "register", "roomid": "r", "clientid": str(id(one))}
                    WebSocket(server, Page.handshake).send(json.dumps(register))
            found = {one.name: one.value for one in server.metrics.samples()}
            self.assertEqual((found["rtcd_rooms_came_total"], found["rtcd_rooms_seats"]), (2, 2))

    def test_every_service_calls_a_client_by_its_tag_and_never_by_its_name(self) -> None:
        """Whoever knows the name of a client is that client."""
        server = Server(self)
        server.rooms.watch(Diary(server.metrics, lambda room, client: Tag(server.context.credentials, room, client)))
        with capturedLogs() as events:
            page = Page(server, "lounge")
            page.start()
            server.request("POST", f"/v1alpha/iceconfig?room=lounge&client={page.id}")
            page.ws.send('{"cmd":"?"}')
            page.ws.send("no JSON")
            page.crash()
            page.leave()
        tag = server.context.credentials.users_of("lounge", page.id)[0]
        told = [self.name_of(one) for one in events if str(one.get("tag")) == tag]
        self.assertEqual(told, ["client_came", "join", "client_came", "socket_registered", "credential_issued",
                                "socket_refused", "socket_lost", "leave", "client_gone"])
        self.assertNotIn(page.id, " ".join(formatEvent(one) or "" for one in events))

    def name_of(self, event: LogEvent) -> str:
        """The first word of the line, which has the tag in it."""
        text = formatEvent(event) or ""
        self.assertIn(f" tag={event['tag']}", text)
        return text.partition(" ")[0]
