"""Calls of which only who came is kept, against records that are made at once: nobody can tell them apart."""

from __future__ import annotations

from typing import Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import Traffic
from rtcd.calls import keeper as keeping
from rtcd.calls.keeper import LATE_S, WRITE_S
from rtcd.calls.lone import Lone, Lones
from rtcd.calls.record import Call
from rtcd.ice.credentials import Credentials, Tags
from rtcd.ice.settings import CredentialsSettings
from rtcd.state import StateDirectory
from rtcd.tap import _take_reloads
from rtcd.turn.news import Began, Challenged, Ended
from tests.fakes_calls import Android, Caller, MeshPage, Server

who = st.integers(0, 7)
steps = st.one_of(
    st.tuples(st.just("join"), st.tuples(st.sampled_from(["room1", "room2"]), st.booleans())),
    st.tuples(st.just("join"), st.tuples(st.sampled_from(["room1", "room2", "room3"]), st.booleans())),
    *(st.tuples(st.just(what), who) for what in ("leave", "leave", "socket", "turn", "late", "report", "post")),
    st.tuples(st.just("wait"), st.sampled_from([1.0, LATE_S, 46.0, WRITE_S])),
    st.sampled_from([("look", None), ("loopback", None), ("knock", "192.0.2.7"), ("knock", "192.0.2.99"), ("secrets", None),
                     ("stop", None)]))


class Side:
    """A server that keeps records."""

    def __init__(self, case: SynchronousTestCase) -> None:
        self.server = Server(case, records=StateDirectory(case.mktemp()))
        server = self.server
        _take_reloads(server.reloads, server.rooms, server.doorway, server.context.credentials,
                      StateDirectory(case.mktemp()), server.keeper)
        self.callers: list[Caller] = []
        self.users: list[str] = []
        self.codes: list[int] = []
        self.names = 0

    def token(self, size: int) -> str:
        """In place of chance."""
        self.names += 1
        return f"{self.names:0{2 * size}x}"

    def do(self, what: str, value: Any) -> Any:
        """One step, and what can be seen of records without looking at one."""
        keeper: Any = self.server.keeper
        server = self.server
        if what == "join":
            room, page = value
            made = MeshPage(self.server, room, f"{len(self.callers):x}") if page else Android(self.server, room)
            if made.join() == "SUCCESS":
                self.callers.append(made)
                self.users.append(server.context.credentials.users_of(room, made.id)[0])
        elif what == "loopback":
            self.server.json("POST", "/join/room4?debug=loopback")
        elif what == "wait":
            self.server.wait(value)
        elif what == "knock":
            self.server.turn(Challenged(value, "udp"))
        elif what == "secrets":
            with mock.patch("rtcd.tap._credentials", lambda *_: Credentials(("another",), 43200)):
                self.server.reloads.apply("credentials", CredentialsSettings(), CredentialsSettings())
        elif what == "stop" and keeper.running:
            keeper.stopService()
        elif isinstance(value, int) and value < len(self.callers):
            self.of(self.callers[value], self.users[value], what)
        samples = self.server.metrics.samples()
        found: list[Any] = [(one.name, one.value) for one in samples if one.name.startswith("rtcd_calls")]
        found += self.codes
        if what == "look":
            found += [self.server.context.desk.ask("calls.show", one["id"]) for one in keeper.listed()]
            found += [keeper.listed(), keeper._events]
        return found

    def of(self, caller: Caller, user: str, what: str) -> None:
        """What one of them does, or what TURN tells of it."""
        if what == "leave":
            self.server.request("POST", f"/leave/{caller.room}/{caller.id}")
        elif what == "socket" and caller.socket is None:
            caller.open()
            caller.register()
        elif what == "turn":
            self.server.turn(Began(user, "udp"))
        elif what == "late":
            self.server.turn(Ended(user, "udp", "expired", Traffic(1, 2, 3, 4)))
        elif what == "report":
            answer = self.server.request("POST", f"/report/{caller.room}/{caller.id}", b'{"end": "hangup"}')
            self.codes.append(answer.code)
        elif what == "post":
            self.server.request("POST", f"/message/{caller.room}/{caller.id}", b'{"type":"offer","sdp":"v=0"}')


class LoneTests(SynchronousTestCase):
    """Two servers to which the same happens."""

    def setUp(self) -> None:
        self.patch(keeping, "debugging", lambda: False)

    def seen(self, lones: int, found: list[tuple[str, Any]]) -> list[Any]:
        """What is seen of these steps where so many calls may be without a record."""
        self.patch(keeping, "MAX_LONE", lones)
        self.patch(keeping, "MAX_LATE", 3)
        side = Side(self)
        with mock.patch("secrets.token_hex", side.token):
            return [side.do(*one) for one in (*found, ("look", None), ("wait", LATE_S), ("look", None))]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(steps, min_size=1, max_size=12))
    def test_records_are_the_same_whenever_they_are_made(self, found: list[tuple[str, Any]]) -> None:
        """Every field, their order, and every figure."""
        at_once = self.seen(0, found)
        for lones in (100, 1):
            self.assertEqual(self.seen(lones, found), at_once)

    def test_each_thing_that_may_happen_to_one_alone(self) -> None:
        """Before it leaves, after, and when the next one is there."""
        app, page = ("join", ("room1", False)), ("join", ("room1", True))
        gone: list[tuple[str, Any]] = [("leave", 0)]
        more: list[tuple[str, Any]] = [
            *((what, 0) for what in ("socket", "turn", "late", "report", "post")), ("knock", "192.0.2.7"),
            ("knock", "192.0.2.99"), ("stop", None), ("loopback", None), app, ("wait", 46.0), ("wait", WRITE_S),
            ("secrets", None)]
        for begin in ([app], [page, ("wait", 1.0), *gone], [app, *gone, page], [app, *gone, ("wait", LATE_S)]):
            for what in more:
                found = [*begin, what, ("turn", 0), *gone]
                self.assertEqual(self.seen(100, found), self.seen(0, found), found)
                found = [*begin, what]
                self.assertEqual(self.seen(100, found), self.seen(0, found), found)

    def test_of_so_many_no_more_is_kept(self) -> None:
        """Further ones have their records at once; those who have gone for good make room."""
        self.patch(keeping, "MAX_LONE", 2)
        server = Server(self, records=StateDirectory(self.mktemp()))
        keeper: Any = server.keeper
        callers = [Android(server, f"room{number}") for number in range(4)]
        for one in callers:
            one.join()
        self.assertEqual((len(keeper._lones), len(keeper._whose)), (2, 2))
        callers[0].leave()
        self.assertEqual((len(keeper._lones), len(keeper._late)), (2, 1))
        server.wait(LATE_S)
        self.assertEqual((len(keeper._lones), len(keeper._late), len(keeper._archive)), (1, 0, 1))
        Android(server, "room9").join()
        self.assertEqual((len(keeper._lones), len(keeper._whose)), (2, 2))
        self.assertEqual(len(keeper.listed()), 5)
        self.assertEqual((len(keeper._lones), len(keeper._whose)), (0, 4))

    def test_records_are_made_in_pieces_before_they_are_written(self) -> None:
        """Those of calls that are on and those of the archive: few in one turn of the reactor."""
        self.patch(keeping, "AT_ONCE", 4)
        server = Server(self, records=StateDirectory(self.mktemp()))
        keeper: Any = server.keeper
        callers = [Android(server, f"room{number}") for number in range(20)]
        for one in callers:
            one.join()
        for one in callers[:10]:
            one.leave()
        server.wait(LATE_S)
        made: list[str] = []
        real = Lone.call

        def call(one: Lone) -> Call:
            made.append(one.id)
            return real(one)

        self.patch(Lone, "call", call)
        wrote: list[list[bytes]] = []
        self.patch(keeper._file, "write", lambda lines: wrote.append(list(lines)))
        keeper._write_at = server.clock.seconds()
        keeper._alarm.set()
        server.clock.advance(0)
        turns = [len(made)]
        while not wrote and len(turns) < 20:
            server.clock.advance(keeping.AGAIN_S)
            turns.append(len(made))
        steps = [after - before for before, after in zip([0, *turns], turns, strict=False)]
        self.assertEqual((sum(steps), len(wrote[0])), (20, 20))
        self.assertLessEqual(max(steps), 2 * 4)

    def test_no_record_is_made_that_is_not_looked_at(self) -> None:
        """A list makes those on its page, a look at one that one; a stranger's allocation none."""
        server = Server(self, records=StateDirectory(self.mktemp()))
        keeper: Any = server.keeper
        for number in range(8):
            Android(server, f"room{number}").join()
        keeper.listed(limit=2)
        self.assertEqual(len(keeper._lones), 6)
        keeper.listed("room2")
        self.assertEqual(len(keeper._lones), 5)
        self.assertEqual((keeper.listed(after="nothing"), keeper.shown("nothing")), ([], None))
        app = Android(server, "room9")
        app.join()
        server.turn(Began("somebody", "udp"))
        self.assertEqual(len(keeper._lones), 6)
        user, = server.context.credentials.users_of("room9", app.id)
        server.turn(Began("some-body", "udp"))
        self.assertEqual(len(keeper._lones), 6)
        server.turn(Began(user, "udp"))
        self.assertEqual(len(keeper._lones), 5)
        Android(server, "room10").join()
        server.turn(Ended(user, "udp", "expired", Traffic(1, 2, 3, 4)))
        self.assertEqual(len(keeper._lones), 6)

    def test_new_secrets_make_no_record_and_each_is_told_by_the_secrets_of_its_time(self) -> None:
        """Those of calls that are on, that were a moment ago, and of the archive; all users since are known."""
        made: list[Lone] = []
        real = Lone.call

        def call(one: Lone) -> Call:
            made.append(one)
            return real(one)

        self.patch(Lone, "call", call)
        side = Side(self)
        keeper: Any = side.server.keeper
        credentials = side.server.context.credentials
        for room in ("room1", "room2", "room3", "room4"):
            side.do("join", (room, False))
        tags = {one.room: credentials.room_tag(one.room) for one in side.callers}
        side.do("leave", 0)
        side.server.wait(LATE_S)
        side.do("leave", 1)
        users = [credentials.users_of("room3", side.callers[2].id)]
        side.do("secrets", None)
        users.append(credentials.users_of("room3", side.callers[2].id))
        credentials.take(Credentials(("a third one",), 43200))
        users.append(credentials.users_of("room3", side.callers[2].id))
        side.server.turn(Began("some-body", "udp"))
        self.assertEqual((made, len(keeper._lones)), ([], 3))
        side.server.turn(Began(users[1][0], "udp"))
        self.assertEqual(([one.room for one in made], len(keeper._lones)), (["room3"], 2))
        for user in (users[0][0], users[2][0]):
            side.server.turn(Began(user, "udp"))
        found = {one["room"]: keeper.shown(one["id"])["record"] for one in keeper.listed()}
        self.assertEqual({room: one["tag"] for room, one in found.items()}, tags)
        self.assertEqual(found["room3"]["people"][0]["relays"], {"udp": 3})

    def test_rooms_are_asked_once_what_they_are_called(self) -> None:
        """However many strangers come, and again only when there are new secrets."""
        asked: list[str] = []
        real = Tags.room_tags

        def room_tags(tags: Tags, room: str) -> tuple[str, ...]:
            asked.append(room)
            return real(tags, room)

        self.patch(Tags, "room_tags", room_tags)
        credentials, lones = Credentials(("one", "two"), 43200), Lones()
        made = [Lone(f"{number}", f"room{number % 2}", 0.0, "c", "", f"192.0.2.{number % 2}", "", (), credentials.tags)
                for number in range(4)]
        for one in made:
            lones.add(one)
        users = [credentials.users_of("room1", "c")]
        for _ in range(3):
            self.assertEqual((lones.of("nobody"), lones.of(users[0][1].partition("-")[0])), ((), (made[1], made[3])))
        self.assertEqual(asked, ["room0", "room1"] * 2)
        credentials.take(Credentials(("three",), 43200))
        users.append(credentials.users_of("room1", "c"))
        lones.remove(made[1])
        for user in (users[0][0], users[0][1], users[1][0]) * 2:
            self.assertEqual(lones.of(user.partition("-")[0]), (made[3],))
        self.assertEqual(len(asked), 4 + 3)
        self.assertEqual((lones.at("192.0.2.1"), lones.at("192.0.2.0")), ((made[3],), (made[0], made[2])))
        for one in (made[0], made[2], made[3]):
            lones.remove(one)
        self.assertEqual((len(lones), lones._addresses, lones._tags, lones._unlearned), (0, {}, {}, {}))

    def test_a_crowd_at_one_address_and_records_that_are_no_longer_wanted_are_not_made(self) -> None:
        """What comes from there says nothing of any, which each record tells when it is made."""
        self.patch(keeping, "MAX_SHARING", 2)
        server = Server(self, records=StateDirectory(self.mktemp()))
        keeper: Any = server.keeper
        for number in range(3):
            Android(server, f"room{number}").join()
        Android(server, "room0").join()
        host = next(one.address for one in server.rooms._rooms["room1"].clients)
        server.turn(Challenged(host, "udp"))
        self.assertEqual(len(keeper._lones), 2)
        people = [keeper.shown(one["id"])["record"]["people"] for one in keeper.listed()]
        self.assertEqual([one["crowded"] for some in people for one in some], [True] * 4)
        Android(server, "room4").join()
        keeper.use(0)
        self.assertEqual((len(keeper._lones), len(keeper._whose), keeper._whose.at(host)), (0, 0, ()))

    def test_where_the_log_tells_of_each_call_each_has_its_record(self) -> None:
        """Its lines name what is in the record."""
        self.patch(keeping, "debugging", lambda: True)
        server = Server(self, records=StateDirectory(self.mktemp()))
        Android(server, "room1").join()
        keeper: Any = server.keeper
        self.assertEqual((len(keeper._lones), len(keeper._whose)), (0, 1))
