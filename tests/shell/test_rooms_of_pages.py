"""Rooms of pages as they are on the wire: who gets in, who is told what, and how everybody goes."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rtcd.peers.bound import Bound
from rtcd.rooms.outcome import Came, Gone, News, Said, StoreUnavailable
from rtcd.rooms.records import BYE
from rtcd.rooms.settings import RoomsSettings
from rtcd.web.resources import GUESSES_AT_ONCE, GUESSES_PER_S
from tests.fakes_calls import Android, IPhone, MeshPage, Page, Server

OFFER = {"type": "offer", "sdp": "v=0\r\n", "session": "01234567", "first": True}


class PagesCase(SynchronousTestCase):
    """Pages in ``room1``."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, **rooms: Any) -> None:
        """A server with these options."""
        self.server = Server(self, rooms=RoomsSettings(**rooms))
        self.addCleanup(self.end, self.server)

    def end(self, server: Server) -> None:
        """Nothing stays behind."""
        stopped = server.signaling.stopService()
        server.wait(3)
        self.successResultOf(stopped)
        server.wait(120)
        self.assertEqual((server.rooms._rooms, server.rooms._seats.total(), server.rooms._queued_total), ({}, 0, 0))
        self.assertEqual(server.clock.getDelayedCalls(), [])

    def page(self, tag: str, name: str = "") -> MeshPage:
        """One that has not joined."""
        return MeshPage(self.server, "room1", tag, name)

    def pages(self, *tags: str) -> list[MeshPage]:
        """These, in the room."""
        found = [self.page(tag) for tag in tags]
        for one in found:
            one.start()
        return found

    def ids(self, *pages: MeshPage) -> list[str]:
        """Their client ids."""
        return [one.id for one in pages]


class RoomTests(PagesCase):
    """Coming and going."""

    def test_six_pages_meet_and_each_is_told_of_each(self) -> None:
        """The seventh is not let in; nor is a phone, which sees a room of two."""
        pages = self.pages("a", "b", "c", "d", "e", "f")
        for one in pages:
            self.assertEqual(one.members(), ["a", "b", "c", "d", "e", "f"])
            self.assertEqual((one.events(), one.heard), ([], []))
            self.assertTrue(all(member["here"] and member["page"] for member in one.snapshot["members"]))
        late = self.page("1")
        self.assertEqual(late.join(), "FULL")
        self.assertEqual(late.answer, {"result": "FULL", "params": {"messages": []}, "reason": "full", "capacity": 6})
        self.assertEqual(self.server.json("POST", "/join/room1"), {"result": "FULL", "params": {"messages": []}})
        pages[2].hang_up()
        self.assertEqual(pages[0].members(), ["a", "b", "d", "e", "f"])
        self.assertEqual(pages[0].snapshot["gone"], {pages[2].tag: "left"})
        self.assertEqual(late.join(), "SUCCESS")
        self.server.wait(20)
        self.assertEqual(pages[0].heard, [])

    def test_the_answer_to_a_join_is_that_of_apprtc_and_the_room(self) -> None:
        """Names are cleaned here, whatever the page does."""
        first = self.page("a", "  Ann\x00 ")
        self.assertEqual(first.join(), "SUCCESS")
        self.assertEqual(sorted(first.answer), ["params", "result", "room"])
        self.assertEqual(first.answer["room"], {
            "members": [{"id": first.tag, "name": "Ann", "page": True, "here": False}], "host": first.tag,
            "locked": False, "password": False, "capacity": 6, "gone": {}})
        self.assertEqual((first.is_initiator, first.params["messages"]), (True, []))
        self.assertIn(first.id, first.params["ice_server_url"])
        self.assertNotIn("room", self.server.json("POST", "/join/room2"))
        loopback = self.server.json("POST", "/join/room3?debug=loopback", json.dumps({"page": {"id": first.tag}}).encode())
        self.assertNotIn("room", loopback)

    def test_messages_go_to_one_page_and_wait_for_it(self) -> None:
        """While it has no socket; then behind the snapshot."""
        first, second, third = self.pages("a", "b", "c")
        first.direct(second, OFFER)
        (event,) = second.events()
        self.assertEqual((event["event"], event["from"], json.loads(event["msg"])), ("message", first.tag, OFFER))
        self.assertEqual((first.events(), third.events()), ([], []))
        second.crash()
        third.direct(second, OFFER)
        self.assertEqual(third.events(), [])
        self.assertFalse(third.snapshot["members"][1]["here"])
        second.open()
        second.register()
        frames: list[Any] = second.ws.received()
        self.assertEqual([one["room"]["event"] for one in frames], ["room", "message"])

    def test_a_page_has_more_time_to_come_back_than_an_app(self) -> None:
        """Its calls go on meanwhile."""
        first, second = self.pages("a", "b")
        second.crash()
        self.server.wait(29)
        self.assertEqual(first.members(), ["a", "b"])
        self.server.wait(1.1)
        self.assertEqual((first.members(), first.snapshot["gone"]), (["a"], {second.tag: "lost"}))
        self.assertEqual(first.heard, [])

    def test_a_page_that_is_loaded_anew_has_its_seat_at_once(self) -> None:
        """Also in a full room, whose page says so to a stranger alone."""
        self.begin(capacity=2)
        first, second = self.pages("a", "b")
        first.crash()
        self.assertIn(b'"refused": ""', self.server.request("GET", "/r/room1").body)
        self.assertEqual(self.page("c").join(), "FULL")
        again = first.again()
        again.start()
        self.assertIn(b'"refused": "full"', self.server.request("GET", "/r/room1").body)
        self.assertEqual(second.members(), ["b", again.tag])
        self.assertEqual((second.snapshot["host"], second.snapshot["gone"]), (again.tag, {first.tag: "returned"}))

    def test_a_page_takes_its_own_seat_over_and_the_old_socket_is_closed(self) -> None:
        """Nobody else can with the tag alone."""
        first, _ = self.pages("a", "b")
        thief, again = self.page("a"), self.page("a")
        self.assertEqual(thief.join(), "DUPLICATE_CLIENT")
        self.assertNotIn("reason", thief.answer)
        again.was = first.id
        again.start()
        self.assertTrue(first.ws.closed)
        self.assertEqual(self.server.seats("room1")[0], again.id)
        self.server.wait(60)
        self.assertEqual(again.members(), ["a", "b"])

    def test_a_new_socket_of_a_page_takes_the_place_of_its_old_one(self) -> None:
        """It changed networks; the end of the old connection comes late, and changes nothing."""
        first, second = self.pages("a", "b")
        first.events()
        second.events()
        old = first.ws
        first.open()
        first.register()
        self.assertEqual(first.members(), ["a", "b"])
        self.assertTrue(old.closed)
        old.vanish()
        self.server.wait(60)
        second.direct(first, OFFER)
        self.assertEqual([one["event"] for one in first.events()], ["message"])
        self.assertEqual(second.ws.frames(), [])

    def test_pages_of_a_server_that_ends_are_closed_without_a_word(self) -> None:
        """A bye would be an app's."""
        first, second = self.pages("a", "b")
        for one in (first, second):
            one.ws.frames()
        self.server.signaling.stopService()
        for one in (first, second):
            self.assertEqual([opcode for opcode, _ in one.ws.frames()], [8])

    def test_a_room_of_pages_is_a_call_that_a_drain_waits_for(self) -> None:
        """New ones may still come into it."""
        first, second = self.pages("a", "b")
        drained = self.server.rooms.drain()
        (third,) = self.pages("c")
        refused = self.server.request("POST", "/join/other", json.dumps({"page": {"id": first.tag}}).encode())
        self.assertEqual((refused.code, refused.header("retry-after")), (503, "10"))
        first.hang_up()
        self.assertNoResult(drained)
        second.hang_up()
        self.successResultOf(drained)
        third.hang_up()

    def test_seats_of_one_address_are_limited_for_pages_too(self) -> None:
        """One that comes back needs no second seat."""
        self.begin(max_clients_per_address=2)
        first, _ = self.pages("a", "b")
        body = json.dumps({"page": {"id": self.page("c").tag}}).encode()
        self.assertEqual(self.server.request("POST", "/join/room1", body).code, 503)
        first.crash()
        self.assertEqual(first.again().join(), "SUCCESS")

    def test_a_reload_with_another_capacity_is_told(self) -> None:
        """Nobody has to go."""
        first, second = self.pages("a", "b")
        self.server.rooms.use(RoomsSettings(capacity=2))
        for one in (first, second):
            one.events()
            self.assertEqual(one.snapshot["capacity"], 2)
        self.assertEqual(self.page("c").join(), "FULL")
        self.server.rooms.use(RoomsSettings(capacity=2, grace=5))
        self.assertEqual(first.ws.frames(), [])


class AppTests(PagesCase):
    """A page and a phone, as two phones."""

    def test_each_app_calls_a_page_that_was_first(self) -> None:
        """The page offers by its socket when the snapshot says that somebody is there; one bye each way."""
        for app in (Android, IPhone, Page):
            (page,) = self.pages("a")
            phone = app(self.server, "room1")
            self.assertEqual(phone.join(), "SUCCESS")
            self.assertEqual((phone.is_initiator, phone.params["messages"]), (False, []))
            self.assertEqual((page.members(), page.snapshot["members"][1]["here"]), (["a", "app"], False))
            page.send(OFFER)
            phone.open()
            phone.register()
            self.assertEqual([json.loads(one) for one in phone.ws.messages()], [OFFER])
            phone.send({"type": "answer", "sdp": "v=0"})
            page.events()
            self.assertEqual([json.loads(one)["type"] for one in page.heard], ["answer"])
            self.assertEqual(self.page("b").join(), "FULL")
            page.hang_up()
            self.server.wait(60)
            self.assertEqual(phone.ws.messages(), [BYE])
            phone.hang_up()
            self.server.wait(20)

    def test_each_app_calls_a_page_that_comes_second(self) -> None:
        """It has posted its offer already."""
        for app in (Android, IPhone, Page):
            phone = app(self.server, "room1")
            phone.start()
            self.assertEqual(phone.post(OFFER), "SUCCESS")
            (page,) = self.pages("a")
            self.assertFalse(page.is_initiator)
            self.assertEqual([json.loads(one) for one in page.params["messages"]], [OFFER])
            page.send({"type": "answer", "sdp": "v=0"})
            self.assertEqual(len(phone.ws.messages()), 1)
            phone.post({"type": "candidate"})
            page.events()
            self.assertEqual(len(page.heard), 1)
            phone.hang_up()
            self.server.wait(20)
            self.assertEqual((page.members(), page.snapshot["gone"]), (["a"], {"app": "left"}))
            page.hang_up()
            self.server.wait(20)

    def test_the_grace_time_of_an_app_is_that_of_apps(self) -> None:
        """Also beside a page."""
        (page,) = self.pages("a")
        phone = Android(self.server, "room1")
        phone.start()
        phone.crash()
        self.server.wait(10.1)
        self.assertEqual((page.members(), page.snapshot["gone"], page.heard), (["a"], {"app": "lost"}, []))

    def test_an_app_is_never_sent_an_event(self) -> None:
        """iOS would crash."""
        (page,) = self.pages("a")
        phone = IPhone(self.server, "room1")
        phone.start()
        page.command("name", name="Other")
        page.command("lock", on=True)
        self.assertEqual(phone.ws.frames(), [])
        page.command("kick", to="app")
        (opcode, text), (last, _) = phone.ws.frames()
        self.assertEqual((opcode, json.loads(text), last), (1, {"msg": BYE, "error": ""}, 8))

    def test_commands_of_pages_are_unknown_to_apps(self) -> None:
        """As any other is; the socket stays open."""
        self.pages("a")
        phone = Android(self.server, "room1")
        phone.start()
        for frame in ('{"cmd":"direct","to":"000000000000000a","msg":"x"}', '{"cmd":"lock","on":true}', '{"cmd":"kick"}'):
            phone.ws.send(frame)
            self.assertEqual(phone.ws.received(), [{"msg": "", "error": "Invalid message: unexpected 'cmd'"}])
        self.assertFalse(phone.ws.closed)


class CommandTests(PagesCase):
    """What pages ask for."""

    def refused(self, page: MeshPage) -> list[tuple[str, str]]:
        """Command and reason of what was refused since the last call."""
        found = page.events()
        self.assertEqual({one["event"] for one in found} - {"refused"}, set())
        return [(one["cmd"], one["why"]) for one in found]

    def test_a_host_locks_asks_for_a_password_mutes_kicks_and_hands_over(self) -> None:
        """And everybody sees it."""
        first, second, third = self.pages("a", "b", "c")
        first.command("lock", on=True)
        first.command("password", password="secret")
        second.events()
        self.assertEqual((second.snapshot["locked"], second.snapshot["password"]), (True, True))
        late = self.page("d")
        self.assertEqual((late.join(password="secret"), late.answer["reason"]), ("LOCKED", "locked"))
        first.command("lock", on=False)
        self.assertEqual((late.join(), late.answer), (
            "PASSWORD", {"result": "PASSWORD", "params": {"messages": []}, "reason": "password"}))
        self.assertEqual(Android(self.server, "room1").join(), "FULL")
        first.command("mute", to=second.tag, kind="video")
        self.assertEqual(second.events(), [{"event": "mute", "kind": "video", "from": first.tag}])
        first.command("kick", to=third.tag)
        *_, (opcode, text), (last, _) = third.ws.frames()
        self.assertEqual((opcode, json.loads(text)["room"], last), (1, {"event": "kicked"}, 8))
        self.assertEqual((second.members(), second.snapshot["gone"]), (["a", "b"], {third.tag: "kicked"}))
        first.command("host", to=second.tag)
        self.assertEqual(self.refused(first), [])
        self.assertEqual(first.snapshot["host"], second.tag)
        first.command("lock", on=True)
        self.assertEqual(self.refused(first), [("lock", "host")])

    def test_what_is_wrong_is_refused_and_the_socket_stays_open(self) -> None:
        """Fields that are missing or of another type, members that are not there, oneself."""
        first, second = self.pages("a", "b")
        for frame, refused in (
            ({"cmd": "direct"}, ("direct", "invalid")), ({"cmd": "direct", "to": 1, "msg": "x"}, ("direct", "invalid")),
            ({"cmd": "direct", "to": second.tag, "msg": {}}, ("direct", "invalid")),
            ({"cmd": "direct", "to": second.tag, "msg": ""}, ("direct", "invalid")),
            ({"cmd": "direct", "to": "0" * 16, "msg": "x"}, ("direct", "unknown")),
            ({"cmd": "name", "name": None}, ("name", "invalid")), ({"cmd": "lock", "on": "yes"}, ("lock", "invalid")),
            ({"cmd": "password", "password": "x" * 129}, ("password", "invalid")),
            ({"cmd": "kick", "to": "app"}, ("kick", "unknown")), ({"cmd": "kick", "to": first.tag}, ("kick", "invalid")),
            ({"cmd": "mute", "to": second.tag, "kind": "all"}, ("mute", "invalid")),
            ({"cmd": "host", "to": "0" * 16}, ("host", "unknown")),
        ):
            first.ws.send(json.dumps(frame))
            self.assertEqual(self.refused(first), [refused])
        self.assertEqual((first.heard, second.heard), ([], []))
        self.assertEqual(self.refused(second), [])

    def test_a_socket_that_has_not_registered_knows_no_commands(self) -> None:
        """It may still register."""
        page = self.page("a")
        page.join()
        page.open()
        page.command("lock", on=True)
        self.assertEqual(page.ws.received()[0]["error"], "Invalid message: unexpected 'cmd'")
        page.register()
        self.assertEqual(page.members(), ["a"])

    def test_a_kicked_page_comes_back_only_as_a_stranger(self) -> None:
        """Its memory of who it was is worth nothing any more."""
        first, second = self.pages("a", "b")
        first.command("lock", on=True)
        first.command("kick", to=second.tag)
        self.assertEqual(second.again().join(), "LOCKED")
        second.crash()
        self.assertEqual(second.again().join(), "LOCKED")

    def test_an_inbox_is_bounded_and_the_sender_told(self) -> None:
        """By messages of one page, by an address, and in all."""
        for rooms, count in (({"max_messages": 5}, 5), ({"max_queue_bytes_per_address": 2000}, 3),
                             ({"max_queue_bytes_total": 2000}, 3)):
            self.begin(**rooms)
            first, second = self.pages("a", "b")
            second.crash()
            for _ in range(count):
                first.direct(second, {"sdp": "x" * 500})
            self.assertEqual(self.refused(first), [])
            first.direct(second, {"sdp": "x" * 500})
            self.assertEqual(self.refused(first), [("direct", "full")])
            second.open()
            second.register()
            self.assertEqual(len(second.events()), count)
            self.assertEqual(self.server.rooms._queued_total, 0)

    def test_what_a_page_asks_for_while_the_store_is_away_waits_for_it(self) -> None:
        """Offers and candidates among it."""
        first, second = self.pages("a", "b")
        second.events()
        away = self.server.lose_store(self)
        first.direct(second, {"sdp": "x"})
        self.server.wait(10)
        self.assertEqual(second.events(), [])
        away[0] = False
        self.server.wait(1)
        self.assertEqual((len(second.events()), first.heard), (1, []))

    def test_a_store_that_fails_closes_the_socket_with_a_reason(self) -> None:
        """As for any other message; the page connects again."""
        first, _ = self.pages("a", "b")
        first.events()

        async def away(*_: object) -> Any:
            raise StoreUnavailable("the rooms cannot be reached")

        restore = self.patch(self.server.rooms, "update", away)
        first.command("lock", on=True)
        first.events()
        self.assertIn("the rooms cannot be reached", first.heard)
        restore.restore()


class PasswordTests(PagesCase):
    """Guessing."""

    def setUp(self) -> None:
        super().setUp()
        (self.host,) = self.pages("a")
        self.host.command("password", password="secret")

    def guess(self, password: str, room: str = "room1") -> tuple[int, str | None]:
        """Status and result."""
        body = json.dumps({"page": {"id": self.page("f").tag, "password": password}}).encode()
        answer = self.server.request("POST", f"/join/{room}", body)
        self.last = answer
        return answer.code, json.loads(answer.body)["result"]

    def test_wrong_passwords_of_an_address_are_bounded(self) -> None:
        """Then not even the right one is tried; joining without one is no guess, and other rooms are open."""
        for _ in range(GUESSES_AT_ONCE):
            self.assertEqual(self.guess("wrong"), (200, "PASSWORD"))
        self.assertEqual(self.guess("secret"), (429, "ERROR"))
        self.assertEqual(self.last.header("retry-after"), "10")
        self.assertEqual(self.guess(""), (200, "PASSWORD"))
        self.assertEqual(self.guess("secret", "room2"), (200, "SUCCESS"))
        self.server.wait(1 / GUESSES_PER_S + 1)
        self.assertEqual(self.guess("secret"), (200, "SUCCESS"))

    def test_right_passwords_cost_nothing(self) -> None:
        """An office may come in through one address."""
        for _ in range(3 * GUESSES_AT_ONCE):
            page = self.page("b")
            self.assertEqual(page.join("secret"), "SUCCESS")
            page.leave()
        self.assertEqual(self.guess("wrong"), (200, "PASSWORD"))


class Written:
    """A watcher that writes down what it is told, and gives it to the peer policy."""

    def __init__(self, server: Server) -> None:
        self.news: list[News] = []
        self.bound = Bound(server.context.credentials, "strict")

    def happened(self, room: str, news: News, *, here: bool = True) -> None:
        """Write it down."""
        self.news.append(news)
        if isinstance(news, Came):
            self.bound.came(room, news.client, news.address, 0)
        elif isinstance(news, Gone):
            self.bound.gone(room, news.client, 0)

    def said(self, room: str, client: str, text: str, here: bool = True) -> None:
        """Write it down as well."""
        self.news.append(Said(client, text))
        self.bound.said(room, client, text, 0)


class NewsTests(PagesCase):
    """What the relays are told."""

    def test_candidates_for_one_page_count_for_the_room(self) -> None:
        """And a kicked page's credentials are void at once."""
        watcher = Written(self.server)
        self.server.rooms.watch(watcher)
        first, second = self.pages("a", "b")
        second.direct(first, {"type": "candidate", "candidate": "candidate:1 1 udp 1 8.8.8.8 5 typ host"})
        user, other = (self.server.context.credentials.users_of("room1", one.id)[0] for one in (first, second))
        self.assertEqual(watcher.bound.refusal(user, "8.8.8.8", own=False), "")
        self.assertNotEqual(watcher.bound.refusal(user, "8.8.4.4", own=False), "")
        first.command("kick", to=second.tag)
        self.assertIn(other, watcher.bound.revoked)
        self.assertEqual([type(one) for one in watcher.news], [Came, Came, Came, Came, Said, Gone])

    def test_a_seat_that_is_taken_over_is_another_clients(self) -> None:
        """What the former one was given is void."""
        watcher = Written(self.server)
        self.server.rooms.watch(watcher)
        (first,) = self.pages("a")
        first.crash()
        again = first.again()
        again.start()
        self.assertEqual([type(one) for one in watcher.news], [Came, Came, Came, Gone, Came])
        self.assertEqual(watcher.news[3], Gone(first.id))

    def test_the_census_counts_pages(self) -> None:
        """As any other client."""
        self.pages("a", "b", "c")
        (address,) = {one.address for one in self.server.rooms._rooms["room1"].clients}
        census = self.successResultOf(Deferred.fromCoroutine(self.server.rooms.census(address)))
        self.assertEqual((census.rooms, census.seats), (1, 3))
