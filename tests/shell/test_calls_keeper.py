"""Records of whole calls: rooms, TURN and reports of pages come together, are kept, and outlive a restart."""

from __future__ import annotations

import json
import stat
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import Traffic
from rtcd.calls import file as filing
from rtcd.calls import keeper as keeping
from rtcd.calls.archive import Archive
from rtcd.calls.file import NAME
from rtcd.calls.keeper import LATE_S, WRITE_S, CallKeeper
from rtcd.calls.relays import MAX_PLACES
from rtcd.config import ConfigError
from rtcd.doorway.directory import Listener
from rtcd.ice.credentials import Credentials
from rtcd.ice.settings import Settings as IceSettings
from rtcd.rooms.room import join
from rtcd.rooms.settings import RoomsSettings
from rtcd.state import StateDirectory
from rtcd.tap import _take_reloads
from rtcd.turn.news import Began, Challenged, Denied, Ended, Failed, TurnNews
from tests.fakes_calls import Android, IPhone, MeshPage, Server

HOST = "candidate:1 1 udp 1 192.168.7.9 5000 typ host"
OUTSIDE = "candidate:2 1 udp 1 203.0.113.77 5000 typ srflx raddr 192.168.7.9 rport 5000"
RELAY = "candidate:3 1 udp 1 198.51.100.1 50000 typ relay raddr 203.0.113.77 rport 5000"
PAIR = {"local": "host", "remote": "host", "protocol": "udp", "relay": ""}


class KeeperTestCase(SynchronousTestCase):
    """A server that keeps records."""

    def setUp(self) -> None:
        self.state = StateDirectory(self.mktemp())
        self.server = Server(self, records=self.state)

    @property
    def desk(self) -> Any:
        return self.server.context.desk

    def record(self, room: str = "room1") -> dict[str, Any]:
        """The newest record of a room, whole."""
        listed = self.desk.ask("calls.list", room)
        shown: dict[str, Any] = self.desk.ask("calls.show", listed[0]["id"])
        self.assertEqual(json.loads(json.dumps(shown)), shown, "plain values")
        return shown

    def verdict(self, room: str = "room1") -> tuple[str, str]:
        """The newest one's verdict, and how it ended."""
        found = self.record(room)
        return found["verdict"]["id"], found["ending"]["id"]

    def pages(self, *tags: str) -> list[MeshPage]:
        """Pages that have come."""
        found = [MeshPage(self.server, "room1", tag, "Somebody") for tag in tags]
        for one in found:
            one.start()
        return found

    def meet(self, first: MeshPage, second: MeshPage, *candidates: str) -> None:
        """Offer, answer, and the same candidates on both sides."""
        first.direct(second, {"type": "offer", "sdp": "v=0"})
        second.direct(first, {"type": "answer", "sdp": "v=0"})
        for one in candidates:
            first.direct(second, {"type": "candidate", "candidate": one})
            second.direct(first, {"type": "candidate", "candidate": one})

    def report(self, page: MeshPage, **report: Any) -> Any:
        """What a page tells."""
        return self.server.json("POST", f"/report/{page.room}/{page.id}", json.dumps(report).encode())["result"]

    def turn(self, page: Any, kind: Any, *more: Any) -> None:
        """TURN news of a client's user."""
        user = self.server.context.credentials.users_of(page.room, page.id)[0]
        news: TurnNews = kind(user, *more)
        self.server.turn(news)


class CallTests(KeeperTestCase):
    """What becomes of what happens."""

    def test_a_good_call_says_by_which_path_it_went(self) -> None:
        """And how it was, and who ended it; no address is whole, no client's name and no tag is there."""
        first, second = self.pages("a", "b")
        self.meet(first, second, HOST, OUTSIDE)
        self.server.wait(1)
        look = {"to": second.tag, "pair": PAIR, "rtt": 12, "lost": [0.01, 0], "kbps": [900, 800]}
        self.assertEqual(self.report(first, looks=[look], news=[
            {"what": "state", "value": "connected", "to": second.tag, "ago": 0.5}]), "SUCCESS")
        self.server.wait(60)
        self.report(first, looks=[{**look, "rtt": 18}], end="hangup")
        first.leave()
        second.leave()
        found = self.record()
        self.assertEqual((found["verdict"]["id"], found["ending"]["id"]), ("local", "hangup"))
        self.assertEqual(found["verdict"]["text"]["en"], "Connected directly, over the local network.")
        self.assertEqual(found["ending"]["text"]["zh"], "A 挂断了。")
        link, = found["record"]["links"]
        self.assertEqual((link["rtt_ms"]["looks"], link["rtt_ms"]["most"], link["loss_out"]["last"]), (2, 18, 0.01))
        whole = json.dumps(found)
        for secret in (first.id, second.id, first.tag, second.tag, "203.0.113.77", "192.168.7.9", "Somebody"):
            self.assertNotIn(secret, whole)
        self.assertIn("203.0.113.0/24", whole)

    def test_begin_and_end_of_a_call_are_in_the_log_under_the_tag_of_its_clients(self) -> None:
        """One search finds them with all that the services tell of the clients; the record has the tag too."""
        with capturedLogs() as events:
            first, second = self.pages("a", "b")
            first.leave()
            second.leave()
            self.server.wait(LATE_S)
        room = self.server.context.credentials.users_of("room1", first.id)[0].partition("-")[0]
        found = self.record()
        self.assertEqual(found["record"]["tag"], room)
        told = [formatEvent(one) for one in events if one.get("log_namespace", "").startswith("rtcd.calls.keeper")]
        self.assertEqual(told, [f"call_began tag={room}- room=room1 call={found['id']}",
                                f"call_ended tag={room}- room=room1 call={found['id']} verdict={found['verdict']['id']}"])

    def test_two_whose_relay_is_refused_and_who_have_nothing_else(self) -> None:
        """``?it=relay`` with a password that is not right: the verdict names the code."""
        first, second = self.pages("a", "b")
        self.meet(first, second)
        name = self.server.context.credentials.issue(
            self.server.context.credentials.users_of("room1", first.id)[0], self.server.clock.seconds()).username
        self.assertEqual(self.server.context.credentials.verify(name, 0).user.count("-"), 1)
        for one, other in ((first, second), (second, first)):
            self.turn(one, Failed, "", 401)
            self.report(one, news=[{"what": "state", "value": "failed", "to": other.tag, "ago": 1}])
        self.server.wait(40)
        verdict = self.record()["verdict"]
        self.assertEqual((verdict["id"], verdict["values"]["code"]), ("relay-refused", "401"))
        self.assertIn("the relay refused A + B: 401.", verdict["text"]["en"])

    def test_one_whose_requests_never_came_is_named_with_the_ports(self) -> None:
        """One side has everything, of the other nothing arrives."""
        first, second = self.pages("a", "b")
        self.meet(first, second, HOST)
        first.direct(second, {"type": "candidate", "candidate": RELAY})
        self.turn(first, Began, "udp")
        self.report(first, news=[{"what": "state", "value": "failed", "to": second.tag, "ago": 1}])
        self.server.wait(40)
        verdict = self.record()["verdict"]
        self.assertEqual((verdict["id"], verdict["values"]["who"]), ("relay-unreached", "B"))
        self.assertEqual(verdict["values"]["places"], "UDP 3478")
        self.assertEqual((verdict["values"]["had_a"], verdict["values"]["had_b"]), ("host, relay", "host"))

    def test_first_requests_are_known_by_their_address(self) -> None:
        """They bring no name; where many share an address nothing is concluded."""
        first, second = self.pages("a", "b")
        host = next(one.address for one in self.server.rooms._rooms["room1"].clients)
        self.server.turn(Challenged(host, "tcp"))
        self.assertEqual([one["knocks"] for one in self.record()["record"]["people"]], [{"tcp": 1}] * 2)
        self.assertNotIn("crowded", self.record()["record"]["people"][0])
        self.patch(keeping, "MAX_SHARING", 1)
        self.server.turn(Challenged(host, "tcp"))
        self.server.turn(Challenged("192.0.2.250", "tcp"))
        self.assertEqual([(one["knocks"], one["crowded"]) for one in self.record()["record"]["people"]],
                         [({"tcp": 1}, True)] * 2)
        self.meet(first, second, HOST)
        self.report(first, news=[{"what": "state", "value": "connecting", "to": second.tag, "ago": 1}])
        self.server.wait(40)
        self.assertEqual(self.verdict(), ("relay-unanswered", "on"))

    def test_phone_apps_tell_nothing_and_yet_a_relay_does(self) -> None:
        """How much it carried is known when it ends, which is a moment after its client left."""
        first, second = Android(self.server, "room1"), IPhone(self.server, "room1")
        first.start()
        second.start()
        first.post({"type": "offer", "sdp": "v=0\r\na=" + HOST})
        second.send({"type": "answer", "sdp": "v=0"})
        self.server.wait(40)
        self.assertEqual(self.verdict(), ("no-way-out", "on"))
        second.send({"type": "candidate", "candidate": RELAY})
        self.turn(second, Began, "tls")
        second.hang_up()
        first.hang_up()
        self.turn(second, Ended, "tls", "client left", Traffic(10, 90_000, 10, 80_000))
        self.assertEqual(self.verdict(), ("carried", "left"))
        self.assertIn("over TLS", self.record()["verdict"]["text"]["en"])
        person = self.record()["record"]["people"][1]
        self.assertEqual((person["kind"], person["relayed_out"], person["relayed_in"]), ("app", 90_000, 80_000))

    def test_a_peer_that_the_relay_may_not_reach(self) -> None:
        first, second = self.pages("a", "b")
        self.meet(first, second, HOST, RELAY)
        self.turn(first, Began, "udp")
        self.turn(first, Denied, "10.1.2.3", "private")
        self.assertNotIn("denied", self.record()["record"]["people"][0], "as in every call")
        self.turn(first, Denied, "8.8.4.4", "not signalled")
        self.turn(first, Failed, "create_permission", 403)
        self.server.wait(40)
        self.assertEqual(self.verdict(), ("peer-denied", "on"))
        self.assertNotIn("10.1.2.3", json.dumps(self.record()))
        self.assertIn("8.8.4.0/24", json.dumps(self.record()))

    def test_a_room_that_is_full_or_locked_turns_away(self) -> None:
        """Known where somebody is in it."""
        first = Android(self.server, "room1")
        first.start()
        MeshPage(self.server, "room1", "b").start()
        for _ in range(3):
            self.assertEqual(MeshPage(self.server, "room1", "c").join(), "FULL")
        self.assertEqual(Android(self.server, "room1").join(), "FULL")
        self.assertEqual(self.record()["record"]["turned_away"], {"app": 3, "full": 1})
        self.assertIn("Somebody found no seat (4×).", [one["text"]["en"] for one in self.record()["notes"]])
        page, = self.pages_in("room2", "a")
        page.command("lock", on=True)
        self.assertEqual(MeshPage(self.server, "room2", "b").join(), "LOCKED")
        self.assertEqual(Android(self.server, "room2").join(), "FULL")
        page.leave()
        self.assertEqual(self.verdict("room2"), ("turned-away", "left"))
        self.assertIn("(2×): the room was locked", self.record("room2")["verdict"]["text"]["en"])

    def pages_in(self, room: str, *tags: str) -> list[MeshPage]:
        """Pages in another room."""
        found = [MeshPage(self.server, room, tag) for tag in tags]
        for one in found:
            one.start()
        return found

    def test_who_is_alone_and_who_never_opens_a_socket(self) -> None:
        page, = self.pages("a")
        self.report(page, news=[{"what": "device", "value": "NotAllowedError video", "ago": 0}], end="closed")
        page.leave()
        found = self.record()
        self.assertEqual((found["verdict"]["id"], found["ending"]["id"]), ("alone", "closed-page"))
        self.assertEqual([one["text"]["en"] for one in found["notes"]], ["A refused camera, or the browser did."])
        IPhone(self.server, "room2").join()
        self.server.wait(50)
        self.assertEqual(self.verdict("room2"), ("no-socket", "lost"))

    def test_a_kick_a_crash_and_a_return_are_told_apart(self) -> None:
        first, second, third = self.pages("a", "b", "c")
        third.crash()
        again = third.again()
        again.start()
        second.crash()
        self.server.wait(31)
        self.server.wait(1)
        first.command("kick", to=again.tag)
        people = self.record()["record"]["people"]
        self.assertEqual([(one["letter"], one.get("why", "")) for one in people],
                         [("A", ""), ("B", "lost"), ("C", "returned"), ("D", "kicked")])
        self.assertEqual(self.record()["ending"]["id"], "on")
        self.server.wait(1)
        first.leave()
        self.assertEqual(self.record()["ending"]["id"], "kicked")

    def test_a_call_with_oneself(self) -> None:
        page = Android(self.server, "room1")
        self.server.json("POST", "/join/room1?debug=loopback", headers=page.http)
        self.assertEqual(self.verdict(), ("alone", "on"))
        client = self.server.seats("room1")[0]
        page.params = {"client_id": client}
        page.open()
        page.register()
        page.params = {"client_id": "LOOPBACK_CLIENT_ID"}
        page.open()
        page.register()
        self.assertEqual(self.verdict(), ("loopback", "on"))

    def test_new_secrets_and_relays_elsewhere(self) -> None:
        """Users under either secret are known; of other servers nothing is."""
        page, = self.pages("a")
        self.server.context.credentials.take(Credentials(("another", "a secret of the test"), 43200))
        self.turn(page, Began, "udp")
        self.turn(page, Began, "tcp")
        self.assertEqual(self.record()["record"]["people"][0]["relays"], {"udp": 1, "tcp": 1})
        self.assertEqual(self.record()["record"]["turn"], "here")
        self.desk.offer("daemon.settings", lambda: {"ice": IceSettings(servers=("turn:turn.example.org",))})
        self.pages_in("room2", "a")
        self.assertEqual(self.record("room2")["record"]["turn"], "elsewhere")

    def test_where_turn_is_asked_is_told_within_limits(self) -> None:
        for port in range(1, 20):
            self.server.doorway.directory.opened(Listener("turn", "dtls" if port % 2 else "tcp", "0.0.0.0", port))
        self.pages("a")
        places = self.record()["record"]["places"]
        self.assertEqual((places[:2], len(places)), (["udp 3478", "tcp 2"], MAX_PLACES))

    def test_without_ice_no_relay_is_offered(self) -> None:
        server = self.server = Server(self, records=self.state, pages=False)
        joining = server.rooms.update("room1", lambda one, now: join(one, now, server.rooms.limits, "ann", "192.0.2.1"))
        self.successResultOf(Deferred.fromCoroutine(joining))
        self.assertNotIn("turn", self.record()["record"])


class ReportTests(KeeperTestCase):
    """Who may tell what."""

    def test_only_who_is_in_the_room_or_was_until_now(self) -> None:
        """The last words of a page may come behind its leave."""
        page, other = self.pages("a", "b")
        stranger = MeshPage(self.server, "room2", "a")
        stranger.start()
        self.assertEqual(self.report(page), "SUCCESS")
        path = f"/report/room1/{stranger.id}"
        self.assertEqual(self.server.json("POST", path, b"{}")["result"], "UNKNOWN_CLIENT")
        self.assertEqual(self.server.json("POST", "/report/room1/LOOPBACK_CLIENT_ID", b"{}")["result"], "UNKNOWN_CLIENT")
        page.leave()
        other.leave()
        self.assertEqual(self.report(page, end="closed"), "SUCCESS")
        self.assertEqual(self.record()["record"]["people"][0]["leaving"], "closed")
        self.server.wait(LATE_S + 1)
        self.assertEqual(self.report(page, end="closed"), "UNKNOWN_CLIENT")

    def test_long_garbled_and_frequent_ones_are_refused(self) -> None:
        page, = self.pages("a")
        path = f"/report/room1/{page.id}"
        self.assertEqual(self.server.json("POST", path, b"[1")["result"], "INVALID_REQUEST")
        self.assertEqual(self.server.request("POST", path, b"x" * 8193).code, 413)
        for _ in range(9):
            self.report(page)
        self.assertEqual(self.server.request("POST", path, b"{}").code, 429)
        self.server.wait(4)
        self.assertEqual(self.report(page), "SUCCESS")
        self.assertEqual(self.server.request("GET", path).code, 405)

    def test_guessing_at_clients_is_slow(self) -> None:
        """As it is with messages."""
        from rtcd.web.settings import Settings

        server = Server(self, web=Settings(join_rate=0.1), records=StateDirectory(self.mktemp()))
        codes = [server.request("POST", f"/report/room1/guess{number}", b"{}").code for number in range(3)]
        self.assertEqual(codes, [200, 429, 429])

    def test_without_records_they_are_taken_and_thrown_away(self) -> None:
        server = Server(self)
        self.assertEqual(server.json("POST", "/report/room1/nobody", b"{}")["result"], "SUCCESS")


class KeepingTests(KeeperTestCase):
    """For how long, how many, and over restarts."""

    def stop(self) -> None:
        """End the daemon."""
        assert self.server.keeper is not None
        self.successResultOf(self.server.keeper.stopService())

    def test_records_outlive_a_restart(self) -> None:
        """Private, a line each; calls that were on have ended with the server."""
        self.pages("a", "b")
        self.server.wait(5)
        self.pages("c")[0].leave()
        self.stop()
        path = self.state.path(NAME)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(len(path.read_bytes().splitlines()), 1)
        self.server = Server(self, records=self.state)
        self.assertEqual(self.record()["ending"]["id"], "stopped")
        self.assertEqual(len(self.record()["record"]["people"]), 3)

    def test_what_is_on_is_written_every_few_minutes(self) -> None:
        """After a crash it is not known how such a call went on."""
        self.pages("a")
        self.server.wait(WRITE_S - 1)
        self.assertFalse(self.state.path(NAME).exists())
        self.server.wait(2)
        self.server = Server(self, records=self.state)
        self.assertEqual(self.record()["ending"]["id"], "crashed")
        before = self.state.path(NAME).stat().st_mtime_ns
        self.server.wait(3 * WRITE_S)
        self.assertEqual(self.state.path(NAME).stat().st_mtime_ns, before, "nothing has changed")

    def test_a_damaged_file_costs_what_is_damaged(self) -> None:
        self.pages("a")[0].leave()
        self.stop()
        path = self.state.path(NAME)
        path.write_bytes(b"{broken\n\xff\n" + path.read_bytes())
        self.server = Server(self, records=self.state)
        self.assertEqual(self.verdict(), ("alone", "left"))

    def test_a_disk_that_takes_nothing_is_told_of_and_survived(self) -> None:
        """And the next time is tried again."""
        path = self.state.path(NAME)
        path.mkdir()
        self.server = Server(self, records=self.state)
        self.pages("a")[0].leave()
        self.server.wait(WRITE_S + 1)
        self.assertEqual(self.verdict(), ("alone", "left"))
        path.rmdir()
        self.stop()
        self.assertTrue(path.is_file())
        self.assertEqual(self.flushLoggedErrors(ConfigError), [])

    def test_they_are_forgotten_when_their_time_is_over(self) -> None:
        self.pages("a")[0].leave()
        self.server.wait(LATE_S + 1)
        self.server.wait(24 * 3600 - 20)
        self.assertEqual(len(self.desk.ask("calls.list")), 1)
        self.server.wait(20)
        self.assertEqual(self.desk.ask("calls.list"), [])

    def test_switched_off_nothing_is_left(self) -> None:
        """By a reload, at once; and on again, calls that begin then are recorded."""
        first, = self.pages("a")
        self.server.wait(WRITE_S + 1)
        assert self.server.keeper is not None
        self.server.keeper.use(0)
        self.server.wait(1)
        self.assertEqual((self.desk.ask("calls.list"), self.state.path(NAME).exists()), ([], False))
        first.leave()
        self.pages("b")[0].leave()
        self.assertEqual(self.desk.ask("calls.list"), [])
        self.server.keeper.use(1)
        self.pages("c")[0].leave()
        self.assertEqual(self.verdict(), ("alone", "left"))

    def test_switched_off_from_the_start_the_file_goes(self) -> None:
        self.state.write(NAME, b"{}")
        server = Server(self)
        keeper = CallKeeper(server.context, self.state, 0, lambda work: execute(work))
        keeper.startService()
        MeshPage(server, "room1", "a").start()
        self.assertEqual((server.context.desk.ask("calls.list"), self.state.path(NAME).exists()), ([], False))
        self.successResultOf(keeper.stopService())

    def test_a_reload_of_rooms_is_one_of_records(self) -> None:
        """As the daemon wires them."""
        server = self.server
        _take_reloads(server.reloads, server.rooms, server.doorway, server.context.credentials, self.state, server.keeper)
        taken = server.reloads.apply("rooms", RoomsSettings(), RoomsSettings(call_records=0))
        self.assertEqual(taken, {"call-records"})
        self.pages("a")
        self.assertEqual(self.desk.ask("calls.list"), [])

    def test_lists_are_the_newest_first_and_of_a_room_and_time(self) -> None:
        for room in ("room1", "room2", "room1"):
            page = MeshPage(self.server, room, "a")
            page.start()
            self.server.wait(20)
            page.leave()
            self.server.wait(20)
        now = self.server.clock.seconds()
        self.pages("d")
        self.assertEqual([one["room"] for one in self.desk.ask("calls.list")], ["room1", "room1", "room2", "room1"])
        self.assertEqual(len(self.desk.ask("calls.list", "room1")), 3)
        self.assertEqual([one["room"] for one in self.desk.ask("calls.list", None, now - 70)], ["room1", "room1", "room2"])
        self.assertEqual(len(self.desk.ask("calls.list", None, 0, 2)), 2)
        ids = [one["id"] for one in self.desk.ask("calls.list")]
        self.assertEqual([[one["id"] for one in self.desk.ask("calls.list", None, 0, 2, after)] for after in (
            ids[1], ids[3], "gone")], [ids[2:], [], []])
        self.assertIsNone(self.desk.ask("calls.show", "nothing"))

    def test_calls_beyond_the_limits_are_counted_and_those_on_their_way_out_make_room(self) -> None:
        self.patch(keeping, "MAX_OPEN", 1)
        self.patch(keeping, "MAX_LATE", 1)
        self.pages("a")
        other = MeshPage(self.server, "room2", "a")
        other.start()
        self.assertEqual([one["room"] for one in self.desk.ask("calls.list")], ["room1"])
        assert self.server.keeper is not None
        self.assertEqual(self.server.keeper._unrecorded.value, 2)  # a seat, and its socket
        self.patch(keeping, "MAX_OPEN", 10)
        for room in ("room3", "room4"):
            page = MeshPage(self.server, room, "a")
            page.start()
            page.leave()
        self.assertEqual((len(self.server.keeper._late), len(self.server.keeper._archive)), (1, 1))

    def test_who_is_in_a_call_without_a_record_is_not_taken_for_one_who_guesses(self) -> None:
        self.patch(keeping, "MAX_OPEN", 1)
        self.pages("a")
        other = MeshPage(self.server, "room2", "a")
        other.start()
        self.assertEqual(self.report(other), "SUCCESS")
        keeper: Any = self.server.keeper
        keeper.use(0)
        self.assertEqual([self.report(other), self.report(other, end="closed")], ["SUCCESS"] * 2)
        self.assertEqual(self.desk.ask("calls.list"), [])

    def test_time_lines_have_a_bound_together(self) -> None:
        """Beyond it a call that grows keeps its last entries; what has ended counts no more."""
        keeper: Any = self.server.keeper
        first, second = self.pages("a", "b")
        self.patch(keeping, "MAX_ALL_EVENTS", keeper._events + 20)
        self.patch(keeping, "FEW_EVENTS", 8)
        for number in range(40):
            first.direct(second, {"type": "candidate", "candidate": f"candidate:1 1 t{number} 1 192.168.7.9 5000 typ host"})
            self.turn(first, Failed, f"method{number}", 400, "")
        self.assertLess(len(self.record()["record"]["events"]), 30)
        self.assertGreater(self.record()["record"]["left_out"], 10)
        self.assertEqual(keeper._events, sum(len(one.call.events) for one in keeper._calls()))
        first.leave()
        second.leave()
        self.server.wait(LATE_S + 1)
        self.assertEqual((keeper._events, keeper._calls()), (0, []))

    def test_a_file_that_is_too_long_is_left_alone(self) -> None:
        self.patch(filing, "MAX_FILE_BYTES", 10)
        self.state.write(NAME, b"x" * 11)
        self.assertEqual(filing.RecordFile(self.state, lambda work: execute(work)).read(), b"")
        self.state.write(NAME, b"x" * 10)
        self.assertEqual(filing.RecordFile(self.state, lambda work: execute(work)).read(), b"x" * 10)

    def test_a_room_that_never_empties_stays_within_its_bounds(self) -> None:
        """People come and go; what is known of those who went long ago goes too."""
        self.pages("f")
        for number in range(70):
            page = MeshPage(self.server, "room1", f"{number:x}a")
            page.start()
            page.leave()
            self.server.wait(11)
        keeper: Any = self.server.keeper
        live = keeper._open["room1"]
        self.assertLess(len(live.clients), 60)
        self.assertLess(len(keeper._whose), 60)
        self.assertLess(len(live.pages), 60)
        self.assertEqual(len(live.call.people), 26)
        self.assertEqual(live.call.people[0].letter, "A")
        self.assertEqual(live.call.person("S3") is None, False)
        page.leave()

    def test_everything_is_let_go_of_when_calls_are_over(self) -> None:
        first, second = self.pages("a", "b")
        first.leave()
        second.leave()
        self.server.wait(LATE_S + 1)
        keeper = self.server.keeper
        assert keeper is not None
        self.assertEqual((keeper._open, dict(keeper._late)), ({}, {}))
        self.assertEqual((len(keeper._whose), keeper._whose._addresses), (0, {}))
        self.assertEqual(len(keeper._archive), 1)
        self.assertIsInstance(keeper._archive, Archive)
