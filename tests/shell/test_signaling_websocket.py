"""The WebSocket and its HTTP half against everything that is wrong; a call beside it is not disturbed."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rtcd.doorway.settings import DoorwaySettings
from rtcd.rooms.records import BYE
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import websocket
from rtcd.signaling.settings import Settings
from rtcd.signaling.websocket import FRAME_BYTES, MAX_WAITING_BYTES
from tests.fakes_calls import Android, IPhone, Page, Server, WebSocket


class Case(SynchronousTestCase):
    """A server with a call running in ``room1``, which must be undisturbed at the end."""

    def start(self, signaling: Settings | None = None, rooms: RoomsSettings | None = None) -> None:
        """Begin the call."""
        self.server = Server(self, signaling=signaling, rooms=rooms)
        self.first, self.second = Page(self.server, "room1"), Android(self.server, "room1")
        self.first.start()
        self.second.start()

    def undisturbed(self) -> None:
        """The call still carries a message each way, and nothing else came."""
        self.first.post({"type": "candidate", "n": 1})
        self.second.send({"type": "candidate", "n": 2})
        self.assertEqual([json.loads(one)["n"] for one in self.second.ws.messages()], [1])
        self.assertEqual([json.loads(one)["n"] for one in self.first.ws.messages()], [2])

    def stranger(self) -> WebSocket:
        """A socket that has not registered."""
        return WebSocket(self.server, Page.handshake)

    def joined(self, room: str = "room2") -> Page:
        """A page in a room of its own, registered."""
        page = Page(self.server, room)
        page.start()
        return page


class HandshakeTests(Case):
    """Who may open a socket."""

    def setUp(self) -> None:
        self.start()

    def test_every_app_s_handshake_is_accepted(self) -> None:
        """Android: a fixed foreign Origin, Host without the port, ``Upgrade: WebSocket``."""
        for app in (Page, Android, IPhone):
            self.assertEqual(WebSocket(self.server, app.handshake).code, 101, app)

    def test_a_missing_or_null_origin_is_refused(self) -> None:
        """As in the original; every real client sends one."""
        rest = ["Host: 192.0.2.1:8443", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        for lines in (rest, [*rest, "Origin: null"]):
            self.assertEqual(WebSocket(self.server, lines).code, 403)
        self.assertEqual(self.server.metrics.counter("signaling", "refused", "", reason="origin").value, 2)
        self.undisturbed()

    def test_a_refused_handshake_has_the_headers_of_every_answer(self) -> None:
        """Autobahn writes it by itself, without any."""
        lines = ["Host: 192.0.2.1:8443", "Connection: Upgrade", "Upgrade: websocket"]
        for more in (["Sec-WebSocket-Version: 99", "Origin: x"], ["Sec-WebSocket-Version: 13"]):
            refused = WebSocket(self.server, [*lines, *more])
            head = refused.head.split(b"\r\n")
            for header in self.server.doorway.site.headers.items():
                self.assertEqual(head.count(b"%s: %s" % header), 1)
            self.assertEqual([one for one in head if one.lower().startswith(b"server:")], [b"Server: rtcd"])

    def test_a_plain_get_is_answered_400(self) -> None:
        """It is no page."""
        self.assertEqual(self.server.request("GET", "/ws").code, 400)

    def test_no_extension_is_agreed_on(self) -> None:
        """Deflate costs more than it saves here."""
        self.assertNotIn(b"Sec-WebSocket-Extensions", self.stranger().head)


class FrameTests(Case):
    """What is wrong in a frame is said in an error frame, and the socket is closed with 1000."""

    def setUp(self) -> None:
        self.start()

    def assert_refused(self, socket: WebSocket, text: str) -> None:
        """One error frame with ``msg`` empty, then a close frame."""
        frames = socket.frames()
        self.assertEqual([opcode for opcode, _ in frames], [1, 8])
        answer = json.loads(frames[0][1])
        self.assertEqual(answer["msg"], "")
        self.assertIn(text, answer["error"])
        self.assertEqual(frames[1][1][:2], b"\x03\xe8")
        self.undisturbed()

    def test_bad_json_wrong_types_and_binary_frames(self) -> None:
        """All are one error, nesting beyond reason too."""
        deep = b'{"cmd":"send","x":' + b"[" * 60000  # from Python 3.14 on, what is closed may be as deep as the stack
        for first, payload in (
            (0x81, b"nonsense"), (0x81, b'{"cmd":1}'), (0x81, b"null"), (0x81, b"["), (0x81, deep),
            (0x82, b'{"cmd":"send","msg":"x"}'),
        ):
            socket = self.stranger()
            socket.send_frame(first, payload)
            self.assert_refused(socket, "websocket.JSON.Receive error")

    def test_send_before_register(self) -> None:
        """Nobody knows for whom."""
        socket = self.stranger()
        socket.send('{"cmd":"send","msg":"x"}')
        self.assert_refused(socket, "Client not registered")

    def test_register_without_names_or_without_join(self) -> None:
        """Knowing a room's name is not enough to listen in."""
        for frame, text in (
            ('{"cmd":"register","roomid":"room1"}', "Invalid register request"),
            ('{"cmd":"register","roomid":"room1","clientid":"guess"}', "not joined"),
            ('{"cmd":"register","roomid":"nowhere","clientid":"guess"}', "not joined"),
        ):
            socket = self.stranger()
            socket.send(frame)
            self.assert_refused(socket, text)

    def test_registering_twice(self) -> None:
        """On one socket, and on a second while the first is alive."""
        page = self.joined()
        second = Page(self.server, "room2")
        second.params = page.params
        second.open()
        second.register()
        self.assert_refused(second.ws, "Duplicated registration")
        page.register()
        self.assert_refused(page.ws, "Duplicated register request")

    def test_send_without_a_message_does_not_repeat_the_last(self) -> None:
        """Fields do not survive from one frame to the next."""
        self.first.ws.send('{"cmd":"send","msg":"x"}')
        self.assertEqual(self.second.ws.messages(), ["x"])
        page = self.joined()
        page.ws.send('{"cmd":"send"}')
        self.assert_refused(page.ws, "Invalid send request: missing 'msg'")

    def test_an_unknown_command_leaves_the_socket_open(self) -> None:
        """The error is sent, and the next frame counts."""
        page = self.joined()
        page.ws.send('{"cmd":"dance"}')
        (answer,) = page.ws.received()
        self.assertEqual(answer, {"msg": "", "error": "Invalid message: unexpected 'cmd'"})
        page.send({"type": "candidate"})
        self.assertEqual(page.ws.frames(), [])

    def test_a_message_beyond_the_limit(self) -> None:
        """In one frame or in fragments; 10 MB are refused at the head of the frame, and not kept."""
        limit = self.server.signaling.factory.settings.max_message_bytes
        socket = self.stranger()
        socket.send_frame(0x81, b'{"cmd":"send","msg":"' + b"x" * limit + b'"}')
        self.assert_refused(socket, "more than 65536 bytes")
        socket = self.stranger()
        socket.send_frame(0x01, b"x" * (limit - 10))
        socket.send_frame(0x80, b"x" * 20)
        self.assert_refused(socket, "more than 65536 bytes")
        socket = self.stranger()
        huge = b"\x81\xff" + (10_000_000).to_bytes(8, "big") + b"\0\0\0\0" + b"x" * 100000
        socket._dialled.send(huge)
        self.assert_refused(socket, "more than 65536 bytes")

    def test_a_message_at_the_limit_passes_also_in_fragments(self) -> None:
        """Fragments are put together, which the original could not."""
        text = "x" * (65536 - 30)
        frame = json.dumps({"cmd": "send", "msg": text}).encode()
        self.first.ws.send_frame(0x01, frame[:1000])
        self.first.ws.send_frame(0x00, frame[1000:30000])
        self.first.ws.send_frame(0x80, frame[30000:])
        self.assertEqual(self.second.ws.messages(), [text])

    def test_text_that_is_no_utf8(self) -> None:
        """RFC 6455 §8.1: 1007."""
        socket = self.stranger()
        socket.send_frame(0x81, b'{"cmd":"send","msg":"\xff\xfe"}')
        self.assertEqual([payload[:2] for opcode, payload in socket.frames() if opcode == 8], [b"\x03\xef"])
        self.undisturbed()

    def test_1024_messages_wait_and_the_1025th_is_an_error(self) -> None:
        """A caller alone in its room."""
        page = self.joined()
        for number in range(1024):
            page.send({"type": "candidate", "n": number})
        self.assertEqual(page.ws.frames(), [])
        page.send({"type": "candidate", "n": 1024})
        self.assert_refused(page.ws, "Too many messages queued")

    def test_a_waiting_client_gets_1024_messages_in_order(self) -> None:
        """At its registration."""
        page = self.joined()
        for number in range(1024):
            page.send({"type": "candidate", "n": number})
        late = Page(self.server, "room2")
        late.start()
        self.assertEqual([json.loads(one)["n"] for one in late.ws.messages()], list(range(1024)))

    def test_pings_are_answered(self) -> None:
        """RFC 6455 §5.5.2."""
        socket = self.stranger()
        socket.send_frame(0x89, b"hello")
        self.assertEqual(socket.frames(), [(10, b"hello")])


class LimitTests(Case):
    """Time, rate and backlog."""

    def test_a_socket_that_never_registers_is_closed(self) -> None:
        """After register-timeout."""
        self.start(Settings(ping_interval=0, register_timeout=30))
        socket = self.stranger()
        self.server.wait(29)
        self.assertEqual(socket.frames(), [])
        self.server.wait(2)
        self.assertEqual([opcode for opcode, _ in socket.frames()], [1, 8])
        self.undisturbed()

    def test_a_client_that_answers_no_ping_is_dropped_and_its_seat_is_free_within_20_s(self) -> None:
        """A flat battery, a lost network: no end of the connection is seen."""
        self.start(Settings())
        self.second.ws.frames()
        for _ in range(20):
            self.server.wait(1)
            for opcode, payload in self.first.ws.frames():
                if opcode == 9:
                    self.first.ws.send_frame(0x8A, payload)
                elif opcode == 1:
                    self.assertEqual(json.loads(payload)["msg"], BYE)
        self.assertEqual(self.server.seats("room1"), [self.first.id])

    def test_registrations_of_one_address_are_limited(self) -> None:
        """Guessing is slow."""
        self.start(Settings(ping_interval=0, register_rate=1))
        answers = []
        for _ in range(8):
            socket = self.stranger()
            socket.send('{"cmd":"register","roomid":"room1","clientid":"guess"}')
            answers.append(socket.received()[0]["error"])
        self.assertEqual(sum("Too many registrations" in one for one in answers), 5)
        self.undisturbed()

    def test_a_client_that_does_not_read_is_dropped(self) -> None:
        """Its backlog is bounded; others go on."""
        self.start(Settings(ping_interval=0, max_backlog_bytes=65536))
        (socket,) = (one for one in self.server.signaling.factory.sockets if one.client == self.second.id)
        socket.pauseProducing()
        for _ in range(40):
            self.first.post({"type": "candidate", "x": "y" * 2000})
        self.assertTrue(self.second.ws.closed)
        self.assertEqual(self.server.metrics.counter("signaling", "dropped", "").value, 1)
        self.assertFalse(self.first.ws.closed)

    def test_a_client_that_asks_and_does_not_read_is_dropped(self) -> None:
        """Our errors and pongs count like messages."""
        for first, payload in ((0x81, b'{"cmd":"dance"}'), (0x89, b"x" * 100)):
            self.start(Settings(ping_interval=0, max_backlog_bytes=65536))
            (socket,) = (one for one in self.server.signaling.factory.sockets if one.client == self.second.id)
            socket.pauseProducing()
            for _ in range(1500):
                self.second.ws.send_frame(first, payload)
            self.assertTrue(self.second.ws.closed)
            self.assertEqual(self.server.metrics.counter("signaling", "dropped", "").value, 1)

    def test_a_client_that_only_sends_is_pinged_all_the_same(self) -> None:
        """Traffic from it does not prove that it reads."""
        self.start(Settings())
        for _ in range(12):
            self.server.wait(1)
            self.second.ws.send('{"cmd":"send","msg":"x"}')
            for opcode, payload in self.first.ws.frames():
                if opcode == 9:
                    self.first.ws.send_frame(0x8A, payload)
        self.assertTrue(self.second.ws.closed)
        self.assertFalse(self.first.ws.closed)

    def test_only_what_is_written_is_counted_as_handed_over(self) -> None:
        """Nothing for a client that is dropped over it, or has said goodbye."""
        self.start(Settings(ping_interval=0, max_backlog_bytes=65536))
        factory = self.server.signaling.factory
        (socket,) = (one for one in factory.sockets if one.client == self.second.id)
        socket.deliver("x")
        socket.inform("{}")
        self.assertEqual((factory.delivered.value, factory.informed.value), (1, 1))
        socket.state = socket.STATE_CLOSING
        socket.deliver("x")
        socket.inform("{}")
        socket.state = socket.STATE_OPEN
        self.patch(socket, "_write", mock.Mock(side_effect=ValueError))
        self.assertRaises(ValueError, socket.deliver, "x")
        socket.pauseProducing()
        socket.deliver("x" * 70000)
        self.assertEqual((factory.delivered.value, factory.informed.value, factory.dropped.value), (1, 1, 1))

    def test_a_client_that_catches_up_has_lost_nothing(self) -> None:
        """Paused is not dropped."""
        self.start(Settings(ping_interval=0, max_backlog_bytes=65536))
        (socket,) = (one for one in self.server.signaling.factory.sockets if one.client == self.second.id)
        for _ in range(3):
            socket.pauseProducing()
            for _ in range(20):
                self.first.post({"type": "candidate", "x": "y" * 2000})
            socket.resumeProducing()
            self.assertEqual(len(self.second.ws.messages()), 20)


class SlowStoreTests(Case):
    """A store that has to wait for its answer, as one behind a network does."""

    def setUp(self) -> None:
        self.start()
        self.waiting: list[Deferred[None]] = []

    def slow_down(self) -> None:
        """From now on the store answers when `answer` is called."""
        update = self.server.rooms.update

        async def slow(*arguments: Any) -> Any:
            self.waiting.append(Deferred())
            await self.waiting[-1]
            return await update(*arguments)

        self.patch(self.server.rooms, "update", slow)
        self.patch(self.server.signaling.factory, "relay", None)  # such a store has no short way

    def answer(self) -> None:
        """Let the store answer whatever it is asked."""
        while self.waiting:
            self.waiting.pop(0).callback(None)

    def near(self) -> tuple[Any, list[str]]:
        """The server's end of the first one's socket, and what its reading is told."""
        (socket,) = (one for one in self.server.signaling.factory.sockets if one.client == self.first.id)
        calls: list[str] = []
        self.patch(socket.transport, "pauseProducing", lambda: calls.append("pause"))
        self.patch(socket.transport, "resumeProducing", lambda: calls.append("resume"))
        return socket, calls

    def fill(self, size: int = 1000) -> int:
        """Send as much as may wait and a message more; how many that was."""
        (socket,) = (one for one in self.server.signaling.factory.sockets if one.client == self.first.id)
        count = 0
        while not socket._held:
            self.first.send({"type": "candidate", "n": count, "x": "x" * size})
            count += 1
        return count

    def test_frames_are_handled_in_order_and_reading_stops_while_much_waits(self) -> None:
        """Beyond the limit it is the client's own socket that fills up; bytes count, and small ones count more."""
        self.slow_down()
        counts = []
        for size in (0, 1000, 60000):
            _, calls = self.near()
            counts.append(self.fill(size))
            self.first.send({"type": "candidate", "n": counts[-1]})
            self.assertEqual((len(self.waiting), calls), (1, ["pause"]))
            over = self.server.signaling.factory.waiting_bytes - MAX_WAITING_BYTES
            self.assertTrue(0 < over < size + 1000, over)
            self.answer()
            self.assertEqual([json.loads(one)["n"] for one in self.second.ws.messages()], list(range(counts[-1] + 1)))
            self.assertEqual((calls, self.server.signaling.factory.waiting_bytes), (["pause", "resume"], 0))
        self.assertGreater(MAX_WAITING_BYTES // FRAME_BYTES, counts[0])
        self.assertGreater(counts[1], 64)
        self.assertEqual(counts[2], 3)

    def test_a_close_while_much_waits_hears_the_goodbye(self) -> None:
        """Nothing more of what it says is handled or counted, but it is read."""
        self.slow_down()
        socket, calls = self.near()
        self.fill()
        socket.close()
        self.assertEqual(calls, ["pause", "resume"])
        self.assertLess(self.server.signaling.factory.waiting_bytes, 2000)  # what the store is being asked
        self.first.ws.close()
        self.answer()
        self.assertEqual((socket.wasClean, self.server.signaling.factory.waiting_bytes), (True, 0))
        self.assertEqual(len(self.second.ws.messages()), 1)

    def test_what_waits_of_a_client_that_has_gone_is_counted_no_more(self) -> None:
        """Its socket is over."""
        self.slow_down()
        self.fill()
        self.first.ws.vanish()
        self.answer()
        self.assertEqual(self.server.signaling.factory.waiting_bytes, 0)

    def test_when_too_much_waits_of_all_whoever_says_more_is_refused(self) -> None:
        """Also who says little; and what waits already is kept."""
        self.slow_down()
        count = self.fill()
        self.patch(websocket, "MAX_WAITING_TOTAL_BYTES", self.server.signaling.factory.waiting_bytes + FRAME_BYTES)
        self.second.send({"type": "candidate", "n": 1})
        answers = self.second.ws.frames()
        self.assertEqual([opcode for opcode, _ in answers], [1, 8])
        self.assertIn(b"try again later", answers[0][1])
        third = self.stranger()
        third.send('{"cmd":"send","msg":"x"}')
        self.assertIn("try again later", third.received()[0]["error"])
        self.assertEqual(self.server.signaling.factory.refused["frame"].value, 2)
        self.answer()
        self.assertEqual(self.server.signaling.factory.waiting_bytes, 0)
        self.assertGreater(count, 1)

    def test_what_is_said_while_the_store_is_away_waits_for_it(self) -> None:
        """In order, on a socket that stays open; but not for ever, nor for a client that has gone."""
        away = self.server.lose_store(self)
        self.patch(self.server.signaling.factory, "relay", None)  # a store that can be away has no short way
        for number in range(3):
            self.first.send({"type": "candidate", "n": number})
        self.server.wait(20)
        self.assertEqual(self.second.ws.messages(), [])
        away[0] = False
        self.server.wait(1)
        self.assertEqual([json.loads(one)["n"] for one in self.second.ws.messages()], [0, 1, 2])
        away[0] = True
        self.first.send({"type": "candidate", "n": 3})
        self.second.send({"type": "candidate", "n": 4})
        self.server.wait(61)
        for one in (self.first, self.second):
            self.assertEqual(
                [frame["error"] for frame in one.ws.received()], ["the rooms cannot be reached; try again later"])

    def test_what_waits_is_not_passed_on_when_its_socket_was_closed(self) -> None:
        """The store closes sockets when it is back, and their clients may have said more by others by then."""
        away = self.server.lose_store(self)
        self.patch(self.server.signaling.factory, "relay", None)
        self.first.send({"type": "candidate", "n": 0})
        (near,) = (one for one in self.server.signaling.factory.sockets if one.client == self.first.id)
        near.close()
        away[0] = False
        self.server.wait(1)
        self.assertEqual(self.second.ws.messages(), [])

    def test_who_is_not_read_need_not_answer_pings(self) -> None:
        """Its answer may be behind what waits; it is expected again from when it is read."""
        self.start(Settings())
        self.slow_down()
        _, calls = self.near()
        self.fill()

        def pong() -> None:
            for client in (self.first, self.second):
                for opcode, payload in client.ws.frames():
                    if opcode == 9 and (client is self.second or calls[-1] == "resume"):
                        client.ws.send_frame(0x8A, payload)

        for _ in range(50):
            self.server.wait(1)
            pong()
        self.assertEqual((calls, self.first.ws.closed), (["pause"], False))
        self.answer()
        self.assertEqual(calls, ["pause", "resume"])
        self.server.wait(4)
        self.assertFalse(self.first.ws.closed)
        self.server.wait(2)
        self.assertTrue(self.first.ws.closed)

    def test_who_is_read_again_goes_on(self) -> None:
        """Pings are sent as before."""
        self.start(Settings())
        self.slow_down()
        _, calls = self.near()
        self.fill()
        pings: list[bytes] = []
        for _ in range(30):
            self.server.wait(1)
            pings += [payload for opcode, payload in self.first.ws.frames() if opcode == 9]
            for opcode, payload in self.second.ws.frames():
                if opcode == 9:
                    self.second.ws.send_frame(0x8A, payload)
        self.answer()
        self.assertEqual((calls, len(pings)), (["pause", "resume"], 1))
        self.first.ws.send_frame(0x8A, pings[0])
        for _ in range(12):
            self.server.wait(1)
            for opcode, payload in self.first.ws.frames():
                if opcode == 9:
                    pings.append(payload)
                    self.first.ws.send_frame(0x8A, payload)
        self.assertEqual((len(pings), self.first.ws.closed), (3, False))

    def test_who_registers_while_the_store_is_away_waits_for_it(self) -> None:
        """Longer than one may take to register: he has done so. One that gives up leaves nothing."""
        pages = [Page(self.server, room) for room in ("room2", "room3")]
        for page in pages:
            page.join()
            page.open()
        away = self.server.lose_store(self)
        for page in pages:
            page.register()
        self.server.wait(20)
        pages[1].crash()
        self.server.wait(1)
        away[0] = False
        self.server.wait(1)
        registered = {name: [client.registered for client in room.clients]
                      for name, room in self.server.rooms._rooms.items() if name != "room1"}
        self.assertEqual((pages[0].ws.received(), registered), ([], {"room2": [True], "room3": [False]}))

    def test_a_socket_that_ends_while_it_registers_leaves_no_ghost(self) -> None:
        """Its client is lost like any other: after the grace time its seat is free."""
        page = Page(self.server, "room2")
        page.join()
        self.slow_down()
        page.open()
        page.register()
        page.crash()
        self.answer()
        self.assertEqual(self.server.seats("room2"), [page.id])
        self.server.wait(11)
        self.assertEqual(self.server.seats("room2"), [])


class PostTests(Case):
    """The HTTP half."""

    def setUp(self) -> None:
        self.start()

    def test_a_post_reaches_the_other_client(self) -> None:
        """For a client whose socket is not open; any content type, body taken raw."""
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a/b"):
            answer = self.server.request(
                "POST", f"/sig/room1/{self.first.id}", b'{"type":"candidate"}', {"Content-Type": kind})
            self.assertEqual((answer.code, answer.body), (200, b"OK\n"))
            self.assertEqual(self.second.ws.messages(), ['{"type":"candidate"}'])

    def test_every_answer_lets_other_origins_read_it(self) -> None:
        """W's DELETE is preflighted when the page is elsewhere."""
        for method, path in (("OPTIONS", "/sig/a/b"), ("GET", "/sig/a/b"), ("POST", "/sig/a/b"), ("DELETE", "/sig/a/b"),
                             ("GET", "/status"), ("GET", "/sig/status"), ("POST", "/sig/x")):
            answer = self.server.request(method, path)
            self.assertEqual(answer.header("access-control-allow-origin"), "*", path)
            self.assertEqual(answer.header("access-control-allow-methods"), "POST, DELETE")

    def test_what_is_neither_post_nor_delete_gets_an_empty_200(self) -> None:
        """OPTIONS, GET, others."""
        for method in ("OPTIONS", "GET", "PUT"):
            answer = self.server.request(method, "/sig/room1/x")
            self.assertEqual((answer.code, answer.body), (200, b""))

    def test_bad_requests_are_500_with_a_text(self) -> None:
        """As the original answers."""
        for path, body, text in (
            ("/sig/room1", b"x", b"Invalid path: "), ("/sig/room1/a/b", b"x", b"Invalid path: "),
            ("/sig/%FF/a", b"x", b"Invalid path: "), ("/sig/" + "r" * 1025 + "/a", b"x", b"Invalid path: "),
            (f"/sig/room1/{self.first.id}", b"", b"Empty request body"),
            (f"/sig/room1/{self.first.id}", b"\xff", b"not UTF-8"),
            (f"/sig/room1/{self.first.id}", b"x" * 65537, b"too long"),
            ("/sig/room1/guess", b"x", b"not joined"),
        ):
            answer = self.server.request("POST", path, body)
            self.assertEqual(answer.code, 500, path)
            self.assertIn(text, answer.body)
        self.undisturbed()

    def test_10_megabytes_are_refused_unread(self) -> None:
        """413 at the head of the request."""
        answer = self.server.request("POST", "/sig/room1/x", b"x", {"Content-Length": "10000000"})
        self.assertEqual((answer.code, answer.closed), (413, True))
        self.undisturbed()

    def test_deleting_what_is_not_there_is_ok(self) -> None:
        """DELETE is 200 always."""
        answer = self.server.request("DELETE", "/sig/nowhere/nobody")
        self.assertEqual((answer.code, answer.body), (200, b"OK\n"))

    def test_status_tells_the_five_figures(self) -> None:
        """For the monitors of Collider."""
        self.stranger()
        self.server.request("POST", "/sig/x")
        self.server.wait(5)
        for path in ("/status", "/sig/status"):
            status = self.server.json("GET", path)
            self.assertEqual(sorted(status), ["httperrors", "openws", "totalws", "upsec", "wserrors"])
            self.assertEqual((status["openws"], status["totalws"], status["httperrors"]), (2, 2, 1))
            self.assertIsInstance(status["upsec"], float)


class ColliderTests(SynchronousTestCase):
    """``require-join = no`` with paths at the root: signalling for another room server."""

    def setUp(self) -> None:
        self.server = Server(
            self, pages=False, signaling=Settings(require_join=False, post_path="/", ping_interval=0))

    def test_two_clients_find_each_other_without_a_join(self) -> None:
        """By register and POST alone, at the root, as Collider has it."""
        first, second, third = (WebSocket(self.server, Page.handshake) for _ in range(3))
        first.send('{"cmd":"register","roomid":"r","clientid":"1"}')
        first.send('{"cmd":"send","msg":"early"}')
        answer = self.server.request("POST", "/r/1", b"posted")
        self.assertEqual((answer.code, answer.body), (200, b"OK\n"))
        second.send('{"cmd":"register","roomid":"r","clientid":"2"}')
        self.assertEqual(second.messages(), ["early", "posted"])
        third.send('{"cmd":"register","roomid":"r","clientid":"3"}')
        self.assertEqual(third.received()[0]["error"], "Max room capacity reached")
        self.assertEqual(self.server.request("DELETE", "/r/1").code, 200)
        self.assertEqual(second.messages(), [BYE])
        self.assertTrue(first.closed)

    def test_paths_are_those_of_collider(self) -> None:
        """Not exactly two segments is 500; the status is at the root."""
        for path in ("/", "/x", "/a/b/c"):
            self.assertEqual(self.server.request("POST", path, b"x").code, 500, path)
        self.assertEqual(self.server.json("GET", "/status")["openws"], 0)
        self.assertEqual(self.server.request("GET", "/ws").code, 400)

    def test_clients_made_by_post_are_bounded(self) -> None:
        """By rate, by number of rooms, and in time."""
        server = Server(self, pages=False, rooms=RoomsSettings(max_rooms=3),
                        signaling=Settings(require_join=False, post_path="/", ping_interval=0))
        codes = [server.request("POST", f"/room{number}/x", b"m").code for number in range(5)]
        self.assertEqual(codes, [200] * 3 + [500] * 2)
        server.wait(11)
        self.assertEqual(server.request("POST", "/room9/x", b"m").code, 200)


    def test_posting_first_does_not_get_around_the_seats_of_an_address(self) -> None:
        """A client made by POST is counted like one made by register."""
        server = Server(self, pages=False, rooms=RoomsSettings(max_clients_per_address=2),
                        signaling=Settings(require_join=False, post_path="/", ping_interval=0))
        codes = [server.request("POST", f"/room{number}/x", b"m").code for number in range(3)]
        self.assertEqual(codes, [200, 200, 500])

    def test_the_end_of_an_old_socket_leaves_the_new_one_of_its_client_alone(self) -> None:
        """DELETE, register again elsewhere, and only then does the first connection go."""
        old, new, other = (WebSocket(self.server, Page.handshake) for _ in range(3))
        old.send('{"cmd":"register","roomid":"r","clientid":"1"}')
        self.server.request("DELETE", "/r/1")
        new.send('{"cmd":"register","roomid":"r","clientid":"1"}')
        other.send('{"cmd":"register","roomid":"r","clientid":"2"}')
        old.vanish()
        self.server.wait(20)
        other.send('{"cmd":"send","msg":"still there"}')
        self.assertEqual((new.messages(), other.messages()), (["still there"], []))


class StopTests(Case):
    """The end of the daemon."""

    def test_nobody_comes_in_while_it_ends(self) -> None:
        """A page that is told bye joins again at once: it is refused, and the end does not wait for it."""
        self.start()
        done = self.server.signaling.stopService()
        self.second.ws.close()
        answer = self.server.request("POST", "/join/room1")
        self.assertEqual((answer.code, answer.header("retry-after")), (503, "10"))
        self.assertEqual(self.stranger().code, 503)
        self.assertNoResult(done)
        self.server.wait(5)
        self.successResultOf(done)


class SettingsTests(SynchronousTestCase):
    """Values that cannot work."""

    def test_paths_must_be_paths_and_differ(self) -> None:
        """The text begins with the key."""
        for key, values in (("path", {"path": "ws"}), ("post-path", {"post_path": "//x"}), ("path", {"path": "/sig"}),
                            ("path", {"path": "/w s"})):
            error = self.assertRaises(ValueError, Settings, **values)
            self.assertTrue(str(error).startswith(f"{key}: "))

    def test_the_doorway_bounds_bodies_beyond_messages(self) -> None:
        """Its limit is the larger one, or our own error could never be given."""
        self.assertGreater(DoorwaySettings().max_body_bytes, Settings().max_message_bytes)
