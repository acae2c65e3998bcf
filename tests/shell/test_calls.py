"""Whole calls in memory: the web page, Android and iOS with each other, to every end that a call can have."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.rooms.records import BYE
from tests.fakes_calls import Android, Caller, IPhone, Page, Server

APPS: tuple[type[Caller], ...] = (Page, Android, IPhone)
OFFER = {"type": "offer", "sdp": "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\na=rtpmap:111 opus/48000/2\r\n"}
ANSWER = {"type": "answer", "sdp": "v=0\r\no=- 3 4 IN IP4 127.0.0.1\r\n"}


def candidate(number: int) -> dict[str, Any]:
    """A candidate message with the keys that every app needs."""
    line = f"candidate:{number} 1 udp 2122260223 192.0.2.{number} 5000 typ host"
    return {"type": "candidate", "label": 0, "id": "audio", "candidate": line}


def read(messages: list[str]) -> list[dict[str, Any]]:
    """Peer messages as values; each must be a JSON object with a type that all apps know."""
    found = [json.loads(one) for one in messages]
    for one in found:
        if one["type"] not in ("offer", "answer", "candidate", "bye"):
            raise AssertionError(f"Android ends the call on {one}")
    return found


class CallTests(SynchronousTestCase):
    """Two of the three apps in a room."""

    def setUp(self) -> None:
        self.server = Server(self)
        self.addCleanup(self._end)

    def _end(self) -> None:
        stopped = self.server.signaling.stopService()
        self.server.wait(3)  # clients that do not answer the close frame
        self.successResultOf(stopped)
        self.server.wait(120)  # idle HTTP connections
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def connected(self, caller: type[Caller], callee: type[Caller], room: str = "room1") -> tuple[Caller, Caller]:
        """Set a call up and check every message on the way."""
        first, second = caller(self.server, room), callee(self.server, room)
        first.start()
        self.assertTrue(first.is_initiator)
        self.assertEqual(first.params["messages"], [])
        for message in (OFFER, candidate(1), candidate(2)):
            self.assertEqual(first.post(message), "SUCCESS")
        self.assertEqual(second.join(), "SUCCESS")
        self.assertFalse(second.is_initiator)
        self.assertEqual(read(second.params["messages"]), [OFFER, candidate(1), candidate(2)])
        self.assertEqual(first.post(candidate(3)), "SUCCESS")
        second.open()
        second.register()
        self.assertEqual(read(second.ws.messages()), [candidate(3)])
        second.send(ANSWER)
        second.send(candidate(4))
        self.assertEqual(read(first.ws.messages()), [ANSWER, candidate(4)])
        self.assertEqual(first.post(candidate(5)), "SUCCESS")
        self.assertEqual(read(second.ws.messages()), [candidate(5)])
        return first, second

    def test_every_pair_of_apps_calls_and_each_side_hangs_up_with_one_bye(self) -> None:
        """The one that stays is told once, is alone, and the room takes a new client."""
        for caller in APPS:
            for callee in APPS:
                for leaver in (0, 1):
                    pair = self.connected(caller, callee)
                    pair[leaver].hang_up()
                    rest = pair[1 - leaver]
                    self.server.wait(30)
                    self.assertEqual([one["type"] for one in read(rest.ws.messages())], ["bye"], (caller, callee, leaver))
                    self.assertEqual(self.server.seats("room1"), [rest.id])
                    rest.hang_up()
                    self.server.wait(30)
                    self.assertEqual(self.server.seats("room1"), [])

    def test_the_crash_of_either_side_frees_the_seat_and_sends_one_bye(self) -> None:
        """No leave, no bye, no DELETE: the grace time decides."""
        for caller in APPS:
            for callee in APPS:
                for victim in (0, 1):
                    pair = self.connected(caller, callee)
                    pair[victim].crash()
                    rest = pair[1 - victim]
                    self.server.wait(9)
                    self.assertEqual(rest.ws.messages(), [])
                    self.assertEqual(Page(self.server, "room1").join(), "FULL")
                    self.server.wait(1.1)
                    self.assertEqual(rest.ws.messages(), [BYE])
                    self.server.wait(60)
                    self.assertEqual(rest.ws.messages(), [])
                    newcomer = Page(self.server, "room1")
                    newcomer.start()
                    self.assertFalse(newcomer.is_initiator)
                    for one in (rest, newcomer):
                        one.hang_up()
                    self.server.wait(30)

    def test_the_page_that_stays_becomes_initiator_for_the_next(self) -> None:
        """Its new offer is kept for the next to join."""
        first, second = self.connected(Android, Page)
        first.hang_up()
        second.ws.messages()
        self.assertEqual(second.post(OFFER), "SUCCESS")
        third = IPhone(self.server, "room1")
        third.start()
        self.assertEqual(read(third.params["messages"]), [OFFER])

    def test_an_offer_between_the_bye_and_the_leave_of_a_phone_is_kept(self) -> None:
        """Android starts bye, /leave and DELETE at once; the page offers anew as soon as it hears the bye."""
        phone, page = self.connected(Android, Page)
        phone.send({"type": "bye"})
        self.assertEqual([one["type"] for one in read(page.ws.messages())], ["bye"])
        self.assertEqual(page.post(OFFER), "SUCCESS")
        self.assertEqual(phone.ws.messages(), [])
        phone.leave()
        phone.delete()
        self.assertEqual(page.post(candidate(1)), "SUCCESS")
        third = IPhone(self.server, "room1")
        third.start()
        self.assertEqual(read(third.params["messages"]), [OFFER, candidate(1)])
        self.server.wait(30)
        self.assertEqual(page.ws.messages(), [])

    def test_a_page_that_is_unloaded_is_gone_at_once(self) -> None:
        """Only the leave and the end of the socket get through."""
        first, second = self.connected(Page, Page)
        first.leave()
        first.crash()
        self.assertEqual(second.ws.messages(), [BYE])
        self.assertEqual(self.server.seats("room1"), [second.id])

    def test_a_lost_socket_comes_back_within_the_grace_time(self) -> None:
        """And gets what was sent meanwhile; the peer notices nothing."""
        first, second = self.connected(Page, Page)
        second.crash()
        self.server.wait(5)
        self.assertEqual(first.post(candidate(9)), "SUCCESS")
        second.open()
        second.register()
        self.assertEqual(read(second.ws.messages()), [candidate(9)])
        self.server.wait(60)
        self.assertEqual(first.ws.messages(), [])

    def test_one_that_joined_and_never_opened_a_socket_loses_its_seat(self) -> None:
        """After 45 s, not after 24 h; who waits is told, since it has sent its offer to nobody."""
        first, ghost = Page(self.server, "room1"), Android(self.server, "room1")
        first.start()
        self.assertEqual(ghost.join(), "SUCCESS")
        self.server.wait(44)
        self.assertEqual(first.ws.messages(), [])
        self.server.wait(2)
        self.assertEqual(first.ws.messages(), [BYE])
        self.assertEqual(self.server.seats("room1"), [first.id])

    def test_a_third_finds_the_room_full_by_every_door(self) -> None:
        """The join answer, and a page that says so with status 200."""
        self.connected(Page, Page)
        answer = self.server.json("POST", "/join/room1")
        self.assertEqual(answer, {"result": "FULL", "params": {"messages": []}})
        page = self.server.request("GET", "/r/room1")
        self.assertEqual(page.code, 200)
        self.assertIn(b'"refused": "app"', page.body)
        self.assertIn(b'"refused": ""', self.server.request("GET", "/r/room2").body)

    def test_the_apps_get_ice_servers_in_the_shape_they_need(self) -> None:
        """Lists of URLs that are not empty, no null, and a name that has not expired."""
        android, iphone = Android(self.server, "room1"), IPhone(self.server, "room2")
        for app in (android, iphone):
            app.start()
            answer = app.ice()
            self.assertRegex(answer["lifetimeDuration"], r"^43200\.000s$")
            turn, stun = answer["iceServers"]
            self.assertEqual(turn["urls"], ["turn:192.0.2.1:3478?transport=udp"])
            self.assertEqual(stun, {"urls": ["stun:192.0.2.1:3478"]})
            verdict = self.server.context.credentials.verify(turn["username"], self.server.clock.seconds() + 43199)
            self.assertEqual(verdict.passwords, (turn["credential"],))
            app.hang_up()
        self.server.wait(60)

    def test_android_s_credential_is_bound_to_its_seat_and_ios_s_is_not(self) -> None:
        """Android asks the URL of the join answer as it stands, iOS that of /params, before it joins."""
        android, iphone = Android(self.server, "room1"), IPhone(self.server, "room1")
        users = []
        for app in (android, iphone):
            app.start()
            users.append(app.ice()["iceServers"][0]["username"].partition(":")[2])
        bound = [self.server.context.credentials.users_of("room1", app.id)[0] for app in (android, iphone)]
        self.assertEqual(users[0], bound[0])
        self.assertRegex(users[1], "^[0-9a-f]{16}$")

    def test_a_loopback_call_by_each_app(self) -> None:
        """iOS registers its other end after the join, the page before or beside it, Android needs none."""
        answer = self.server.json("POST", "/join/loop1?debug=loopback")
        self.assertEqual(answer["params"]["is_loopback"], "true")
        self.assertEqual(self.server.json("POST", "/join/loop1?debug=loopback")["result"], "FULL")
        first = IPhone(self.server, "loop1")
        first.params = answer["params"]
        first.open()
        first.register()
        partner = IPhone(self.server, "loop1")
        partner.params = {"client_id": "LOOPBACK_CLIENT_ID"}
        partner.open()
        partner.register()
        self.assertEqual(first.post(OFFER), "SUCCESS")
        self.assertEqual(read(partner.ws.messages()), [OFFER])
        partner.send(ANSWER)
        self.assertEqual(read(first.ws.messages()), [ANSWER])
        first.hang_up()
        self.server.wait(20)
        self.assertEqual(self.server.seats("loop1"), [])

    def test_the_end_of_the_daemon_says_bye_in_every_room(self) -> None:
        """And then closes the sockets."""
        first, second = self.connected(Page, Android)
        done = self.server.signaling.stopService()
        for one in (first, second):
            frames = one.ws.frames()
            self.assertEqual([json.loads(text)["msg"] for opcode, text in frames if opcode == 1], [BYE])
            self.assertEqual(frames[-1][0], 8)
            one.ws.close()
        self.server.wait(3)
        self.successResultOf(done)
