"""The rules of rooms of pages: seats, those who come back, the host's rights, what pages say and are told."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from rtcd.rooms import mesh, seats
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import Declaration
from rtcd.rooms.mesh import Direct, Guard, Kick, Lock, MakeHost, Malformed, Mute, Refusal, Rename
from rtcd.rooms.outcome import Came, Close, Deliver, Gone, Inform, Outcome, Said, news
from rtcd.rooms.records import BYE, MAX_FORMER, MAX_GUESTS, MAX_PARTED, Card, Limits, Room
from rtcd.rooms.snapshot import announcement, notices, snapshot
from rtcd.signaling import switchboard

LIMITS = Limits(max_messages=3, max_queue_bytes=300, join_timeout_s=45, grace_s=10, page_grace_s=30, lifetime_s=1000,
                capacity=4)


def tag(name: str) -> str:
    """The tag of a page of this name."""
    return name.encode().hex().zfill(16)


class MeshCase(SynchronousTestCase):
    """A room, changed step by step. Client ``ann`` has the tag ``tag("ann")``."""

    def setUp(self) -> None:
        self.room = Room()
        self.last: Outcome[Any] = Outcome(self.room, None)
        self.news: list[Any] = []
        self.now = 0.0

    def do(self, outcome: Outcome[Any]) -> Any:
        """Take what came of a change, with its news and notices; returns its result."""
        self.news = list(news(self.room, outcome))
        told = notices(self.room, outcome, LIMITS)
        self.room, self.last = outcome.room, replace(outcome, effects=(*outcome.effects, *told))
        return outcome.result

    def join(self, client: str, page: str = "", password: str = "", was: str = "", **more: Any) -> rooms.Joined:
        """A page joins."""
        asked = Declaration(Card(tag(page or client), client.title()), password, was)
        joined: rooms.Joined = self.do(mesh.join(self.room, self.now, LIMITS, client, "192.0.2.1", asked, **more))
        return joined

    def app(self, client: str) -> rooms.Joined:
        """An app joins."""
        joined: rooms.Joined = self.do(rooms.join(self.room, self.now, LIMITS, client, "192.0.2.2"))
        return joined

    def register(self, client: str) -> None:
        """Its socket is there."""
        self.assertIsNone(self.do(switchboard.register(self.room, self.now, LIMITS, client)))

    def enter(self, *clients: str) -> None:
        """These pages join and register."""
        for one in clients:
            self.assertEqual(self.join(one).result, "SUCCESS")
            self.register(one)

    def say(self, client: str, asked: mesh.Command) -> Any:
        """Why a command is refused, or None."""
        refused = self.do(switchboard.command(self.room, self.now, LIMITS, client, asked, b"salt"))
        return refused.why if isinstance(refused, Refusal) else refused

    def lose(self, client: str) -> None:
        """Its socket ends."""
        self.do(switchboard.lost(self.room, self.now, LIMITS, client))

    def leave(self, client: str) -> None:
        """POST /leave."""
        self.do(rooms.leave(self.room, self.now, LIMITS, client))

    def told(self, client: str) -> list[Any]:
        """The events for a page, of the last change."""
        return [json.loads(one.text) for one in self.last.effects if isinstance(one, Inform) and one.client == client]

    @property
    def seats(self) -> list[str]:
        """Who is seated, in order."""
        return [one.id for one in self.room.clients]

    @property
    def host(self) -> str:
        """Who is host."""
        return next(one.id for one in self.room.clients if self.room.mesh and one.tag == self.room.mesh.host)

    @property
    def gone(self) -> dict[str, str]:
        """Who parted and why."""
        found: dict[str, str] = snapshot(self.room, LIMITS)["gone"]
        return found


class JoinTests(MeshCase):
    """Seats."""

    def test_pages_join_until_the_capacity_is_reached(self) -> None:
        """Each is given the room as it is with it; the first is host."""
        for count, name in enumerate("abcd"):
            joined = self.join(name)
            self.assertEqual((joined.result, joined.is_initiator, joined.messages), ("SUCCESS", count == 0, ()))
            self.assertEqual(joined.snapshot, snapshot(self.room, LIMITS))
        self.assertEqual(self.join("e"), rooms.Joined("FULL", reason="full"))
        self.assertEqual((self.seats, self.host), (["a", "b", "c", "d"], "a"))

    def test_a_snapshot_has_all_that_pages_may_know(self) -> None:
        """And nothing of clients' ids."""
        self.enter("ann")
        self.app("phone")
        self.assertEqual(snapshot(self.room, LIMITS), {
            "members": [{"id": tag("ann"), "name": "Ann", "page": True, "here": True},
                        {"id": "app", "name": "", "page": False, "here": False}],
            "host": tag("ann"), "locked": False, "password": False, "capacity": 4, "gone": {}})

    def test_beside_an_app_there_is_room_for_one_page(self) -> None:
        """Whoever of the two comes first."""
        self.enter("ann")
        self.assertEqual(self.app("phone").result, "SUCCESS")
        self.assertEqual(self.join("bob"), rooms.Joined("FULL", reason="app"))
        self.leave("ann")
        self.assertEqual(self.join("bob").result, "SUCCESS")
        self.assertEqual((self.app("other").result, self.join("cid").reason), ("FULL", "app"))

    def test_two_apps_leave_no_seat_for_a_page_nor_two_pages_for_an_app(self) -> None:
        """An app sees a room of two."""
        for name in ("phone", "tablet"):
            self.app(name)
        self.assertEqual(self.join("ann").reason, "app")
        self.room = Room()
        self.enter("ann", "bob")
        self.assertEqual(self.app("phone"), rooms.Joined("FULL"))

    def test_a_room_that_calls_itself_is_full(self) -> None:
        """And an early end of a call to oneself gives way."""
        self.do(rooms.join(Room(), 0, LIMITS, "x", loopback=True))
        self.assertEqual(self.join("ann").reason, "full")
        self.room = Room()
        self.do(switchboard.register(self.room, 0, LIMITS, "loopback_client_id"))
        self.assertEqual(self.join("ann").is_initiator, True)
        self.assertEqual((self.last.effects, self.seats), ((Close("loopback_client_id"),), ["ann"]))

    def test_a_page_gets_what_an_app_has_posted_and_answers_by_its_socket(self) -> None:
        """As two apps would."""
        self.app("phone")
        self.do(rooms.message(self.room, 0, LIMITS, "phone", "offer"))
        joined = self.join("ann")
        self.assertEqual((joined.messages, joined.is_initiator), (("offer",), False))
        self.register("ann")
        self.do(switchboard.send(self.room, 0, LIMITS, "ann", "answer"))
        self.assertEqual(self.last.effects, ())
        self.register("phone")
        self.assertIn(Deliver("phone", "answer"), self.last.effects)

    def test_a_page_that_was_first_offers_when_the_app_is_there(self) -> None:
        """Queued until the app has its socket."""
        self.enter("ann")
        self.app("phone")
        self.assertEqual(self.told("ann")[0]["members"][1], {"id": "app", "name": "", "page": False, "here": False})
        self.do(switchboard.send(self.room, 0, LIMITS, "ann", "offer"))
        self.register("phone")
        self.assertEqual([one for one in self.last.effects if isinstance(one, Deliver)], [Deliver("phone", "offer")])
        self.do(rooms.message(self.room, 0, LIMITS, "phone", "answer"))
        self.assertEqual(self.last.effects, (Deliver("ann", "answer"),))

    def test_a_tag_that_is_seated_is_nobody_elses(self) -> None:
        """Members know it, so it proves nothing."""
        self.enter("ann", "bob")
        for was in ("", "bob", "nobody"):
            self.assertEqual(self.join("eve", page="ann", was=was).result, "DUPLICATE_CLIENT")
        self.assertEqual(self.join("ann", page="x").result, "DUPLICATE_CLIENT")

    def test_a_page_that_is_loaded_sees_whether_there_is_a_seat(self) -> None:
        """Pages without a socket may be the one that is loaded; apps count always."""
        def foreseen() -> str:
            return seats.foreseen(self.room, 0, LIMITS).result

        self.enter("a", "b", "c")
        self.assertEqual(foreseen(), "")
        self.enter("d")
        self.assertEqual(foreseen(), "full")
        self.lose("b")
        self.assertEqual(foreseen(), "")
        for change in (lambda: self.enter("a"), lambda: self.app("z")):
            self.room = Room()
            self.app("phone")
            change()
            self.assertEqual(foreseen(), "app")
        self.room = rooms.join(Room(), 0, LIMITS, "x", loopback=True).room
        self.assertEqual(foreseen(), "full")


class ReturnTests(MeshCase):
    """Pages that were here before."""

    def test_a_page_that_is_loaded_anew_takes_its_lost_seat(self) -> None:
        """At once, also in a full room; the host stays host, the others see it come back."""
        self.enter("a", "b", "c", "d")
        self.lose("a")
        self.assertEqual(self.join("e").reason, "full")
        self.assertEqual(self.join("e", was="a").result, "SUCCESS")
        self.assertEqual((self.seats, self.host, self.gone), (["b", "c", "d", "e"], "e", {tag("a"): "returned"}))
        self.assertEqual(self.news, [Came("e", "192.0.2.1"), Gone("a")])
        self.assertEqual((self.news[0].page, self.news[1].why), (tag("e"), "returned"))
        self.assertEqual(self.told("b")[-1]["host"], tag("e"))

    def test_another_window_of_the_same_tab_gets_a_seat_of_its_own(self) -> None:
        """Its copy of the memory names a client that is alive."""
        self.enter("a")
        self.assertEqual(self.join("b", was="a").result, "SUCCESS")
        self.assertEqual((self.seats, self.host), (["a", "b"], "a"))

    def test_the_same_tag_takes_its_seat_over_also_with_a_live_socket(self) -> None:
        """It keeps its place, its rights and what waits for it; the old socket is closed."""
        self.enter("a", "b")
        self.lose("a")
        self.say("b", Direct(tag("a"), "waits"))
        self.assertEqual(self.join("c", page="a", was="a").result, "SUCCESS")
        self.assertEqual((self.seats, self.host, self.gone), (["c", "b"], "c", {}))
        self.assertEqual(self.news, [Came("c", "192.0.2.1"), Gone("a")])
        self.register("c")
        self.assertEqual([one["event"] for one in self.told("c")], ["room", "message"])
        self.assertEqual(self.join("d", page="a", was="c").result, "SUCCESS")
        self.assertIn(Close("c"), self.last.effects)
        self.assertEqual((self.seats, self.host), (["d", "b"], "d"))

    def test_a_join_whose_answer_got_lost_can_be_tried_again(self) -> None:
        """With the tag that it keeps, and the last client that it knows to have been."""
        self.enter("a", "b")
        self.leave("b")
        self.join("lost", page="b", was="b")
        self.assertEqual(self.join("c", page="b", was="b").result, "SUCCESS")
        self.assertEqual(self.seats, ["a", "c"])

    def test_an_app_is_told_bye_when_the_page_is_loaded_anew(self) -> None:
        """Its call is over; it leaves, or waits for the next one."""
        self.enter("a")
        self.app("phone")
        self.register("phone")
        self.lose("a")
        self.join("b", was="a")
        self.assertEqual([one for one in self.last.effects if isinstance(one, Deliver)], [Deliver("phone", BYE)])
        self.assertEqual(self.seats, ["phone", "b"])

    def test_who_was_admitted_is_not_asked_again_unless_it_was_kicked(self) -> None:
        """Neither the lock nor the password keeps it out; a guess at a name does not help."""
        self.enter("a", "b", "c")
        self.say("a", Lock(on=True))
        self.say("a", Guard("secret"))
        self.leave("b")
        self.say("a", Kick(tag("c")))
        self.assertEqual([self.join("x", was=one).result for one in ("c", "nobody", "")], ["LOCKED"] * 3)
        self.assertEqual(self.join("b2", page="b", was="b").result, "SUCCESS")
        self.assertEqual(self.gone, {tag("c"): "kicked"})

    def test_being_kicked_counts_for_all_that_a_page_was(self) -> None:
        """Not only for the last of its joins."""
        self.enter("a", "b")
        self.lose("b")
        self.join("b2", was="b")
        self.say("a", Lock(on=True))
        self.say("a", Kick(tag("b2")))
        self.assertEqual([self.join("x", was=one).result for one in ("b", "b2")], ["LOCKED"] * 2)

    def test_those_who_were_admitted_are_remembered_up_to_a_limit(self) -> None:
        """The one that was admitted first is forgotten; so is what a page was long ago."""
        self.enter("a")
        for number in range(MAX_GUESTS):
            self.join(f"g{number}")
            self.leave(f"g{number}")
        assert self.room.mesh is not None
        self.assertEqual(len(self.room.mesh.guests), MAX_GUESTS)
        self.assertEqual(self.room.mesh.guests[0], ("g0",))
        for number in range(2 * MAX_FORMER):
            self.join(f"h{number}", page="h", was=f"h{number - 1}" if number else "")
        assert self.room.mesh is not None
        self.assertEqual(self.room.mesh.guests[-1], tuple(f"h{2 * MAX_FORMER + one}" for one in range(-MAX_FORMER, 0)))
        self.assertEqual(self.seats, ["a", f"h{2 * MAX_FORMER - 1}"])


class HostTests(MeshCase):
    """What the host alone may do."""

    def test_the_rights_go_to_the_page_that_is_here_longest(self) -> None:
        """Whatever ends the host's seat."""
        self.enter("a", "b", "c", "d")
        self.leave("a")
        self.assertEqual(self.host, "b")
        self.say("b", MakeHost(tag("d")))
        self.assertEqual(self.host, "d")
        self.lose("d")
        self.assertEqual(self.host, "d")
        self.do(rooms.expire(self.room, 30, LIMITS))
        self.assertEqual((self.host, self.gone), ("b", {tag("a"): "left", tag("d"): "lost"}))

    def test_nobody_else_may(self) -> None:
        """And what is asked of nobody, or of oneself, is refused."""
        self.enter("a", "b")
        for asked in (Lock(on=True), Guard("x"), Kick(tag("a")), Mute(tag("a"), "audio"), MakeHost(tag("b"))):
            self.assertEqual(self.say("b", asked), "host")
            self.assertEqual(self.last.effects, ())
        for who, why in ((tag("nobody"), "unknown"), ("app", "unknown"), (tag("a"), "invalid")):
            for other in (Kick(who), Mute(who, "video"), MakeHost(who)):
                self.assertEqual(self.say("a", other), why)
        self.assertEqual(self.say("a", Malformed("kick")), "invalid")
        self.assertEqual(self.say("b", Malformed("kick")), "invalid")

    def test_a_lock_keeps_strangers_out(self) -> None:
        """Apps too, which see a full room; and it is told."""
        self.enter("a", "b")
        self.assertIsNone(self.say("a", Lock(on=True)))
        self.assertTrue(self.told("b")[-1]["locked"])
        self.assertIsNone(self.say("a", Lock(on=True)))
        self.assertEqual(self.last.effects, ())
        self.leave("b")
        self.assertEqual(self.join("c"), rooms.Joined("LOCKED", reason="locked"))
        self.assertEqual(self.app("phone"), rooms.Joined("FULL"))
        for refused in (switchboard.register(self.room, 0, LIMITS, "x", require_join=False),
                        switchboard.post(self.room, 0, LIMITS, "x", "m", require_join=False)):
            self.assertEqual(refused.result, switchboard.NO_ROOM)
        self.say("a", Lock(on=False))
        self.assertEqual(self.app("phone").result, "SUCCESS")

    def test_a_password_is_asked_for(self) -> None:
        """Of pages; an app cannot give one, so the room is full for it. An empty one ends it."""
        self.enter("a")
        self.say("a", Guard("secret"))
        self.assertTrue(self.told("a")[-1]["password"])
        for wrong in ("", "Secret"):
            self.assertEqual(self.join("b", password=wrong), mesh.WRONG_PASSWORD)
        self.assertEqual(self.join("b", password="secret", may_guess=False), mesh.NO_MORE_GUESSES)
        self.assertEqual(self.join("b", may_guess=False), mesh.WRONG_PASSWORD)
        self.assertEqual(self.app("phone"), rooms.Joined("FULL"))
        self.assertEqual(self.join("b", password="secret").result, "SUCCESS")
        self.assertEqual(self.say("a", Guard("x" * 129)), "invalid")
        self.say("a", Guard(" "))
        self.assertEqual(self.join("c").result, "SUCCESS")

    def test_a_kicked_page_is_told_and_its_socket_closed(self) -> None:
        """The others see why it went; its seat is free."""
        self.enter("a", "b", "c")
        self.say("a", Kick(tag("b")))
        self.assertEqual(self.last.effects[:2], (Inform("b", '{"event":"kicked"}'), Close("b")))
        self.assertEqual((self.told("c")[-1]["gone"], self.seats), ({tag("b"): "kicked"}, ["a", "c"]))
        self.assertEqual((self.news, self.news[0].why), ([Gone("b")], "kicked"))
        self.lose("b")
        self.assertEqual(self.last.effects, ())
        self.assertIs(self.do(switchboard.command(self.room, 0, LIMITS, "b", Lock(on=True), b"s")),
                      switchboard.NOT_REGISTERED)

    def test_a_page_is_kicked_also_without_a_socket(self) -> None:
        """It is refused when it registers."""
        self.enter("a", "b")
        self.lose("b")
        self.say("a", Kick(tag("b")))
        self.assertEqual([one for one in self.last.effects if isinstance(one, Close)], [])
        self.assertEqual(self.do(switchboard.register(self.room, 0, LIMITS, "b")), switchboard.NOT_JOINED)

    def test_a_kicked_app_is_told_bye(self) -> None:
        """The only word that it knows."""
        self.enter("a")
        self.app("phone")
        self.register("phone")
        self.say("a", Kick("app"))
        self.assertEqual(self.last.effects[:2], (Deliver("phone", BYE), Close("phone")))
        self.assertEqual((self.seats, self.gone), (["a"], {"app": "kicked"}))
        self.app("other")
        self.assertEqual(self.gone, {})

    def test_a_page_is_asked_to_mute(self) -> None:
        """Also one that is away for a moment."""
        self.enter("a", "b")
        self.say("a", Mute(tag("b"), "audio"))
        event = {"event": "mute", "kind": "audio", "from": tag("a")}
        self.assertEqual(self.told("b"), [event])
        self.lose("b")
        self.say("a", Mute(tag("b"), "video"))
        self.register("b")
        self.assertEqual(self.told("b")[1:], [event | {"kind": "video"}])

    def test_the_last_page_takes_lock_and_password_along(self) -> None:
        """Else nobody could open the room again."""
        self.enter("a")
        self.app("phone")
        self.register("phone")
        self.say("a", Lock(on=True))
        self.say("a", Guard("secret"))
        self.leave("a")
        self.assertEqual((self.room.mesh, self.seats), (None, ["phone"]))
        self.assertEqual(self.join("b").result, "SUCCESS")

    def test_a_new_name_is_cleaned_and_told(self) -> None:
        """By everybody for himself."""
        self.enter("a", "b")
        self.assertIsNone(self.say("b", Rename(" Bob \x00 ")))
        self.assertEqual(self.told("a")[-1]["members"][1]["name"], "Bob")
        self.say("b", Rename("Bob"))
        self.assertEqual(self.last.effects, ())

    def test_an_app_may_nothing(self) -> None:
        """It does not know these commands."""
        self.app("phone")
        for asked in (Lock(on=True), Direct(tag("a"), "x"), Rename("x"), Malformed("direct")):
            self.assertEqual(self.say("phone", asked), "app")


class DirectTests(MeshCase):
    """What one page says to another."""

    def test_it_reaches_that_page_alone_and_is_news(self) -> None:
        """Under the tag of its sender; the policy for peers reads candidates in it."""
        self.enter("a", "b", "c")
        self.assertIsNone(self.say("a", Direct(tag("b"), '{"x":"é"}')))
        self.assertEqual(self.last.effects, (Inform("b", self.last.effects[0].text),))  # type: ignore[union-attr]
        self.assertEqual(self.told("b"), [{"event": "message", "from": tag("a"), "msg": '{"x":"é"}'}])
        self.assertEqual(self.news, [Said("a", '{"x":"é"}')])

    def test_it_waits_for_one_without_a_socket(self) -> None:
        """Behind the snapshot, in order; once."""
        self.enter("a", "b")
        self.lose("b")
        for text in ("1", "2"):
            self.say("a", Direct(tag("b"), text))
            self.assertEqual((self.told("b"), self.news), ([], [Said("a", text)]))
        self.register("b")
        self.assertEqual([one.get("msg") for one in self.told("b")], [None, "1", "2"])
        self.lose("b")
        self.register("b")
        self.assertEqual([one["event"] for one in self.told("b")], ["room"])

    def test_one_that_has_joined_can_be_written_to_before_its_socket_is_there(self) -> None:
        """The earlier one offers as soon as it sees it."""
        self.enter("a")
        self.join("b")
        self.say("a", Direct(tag("b"), "offer"))
        self.register("b")
        self.assertEqual([one["event"] for one in self.told("b")], ["room", "message"])

    def test_an_inbox_is_bounded_in_number_and_bytes(self) -> None:
        """One more is refused, and is no news; nothing of it is kept."""
        self.enter("a", "b", "c")
        self.lose("b")
        for _ in range(3):
            self.assertIsNone(self.say("a", Direct(tag("b"), "x")))
        self.assertEqual((self.say("a", Direct(tag("b"), "x")), self.news), ("full", []))
        self.assertEqual(self.say("a", Mute(tag("b"), "audio")), "full")
        self.lose("c")
        self.assertEqual(self.say("a", Direct(tag("c"), "x" * 301)), "full")
        self.assertEqual(len(self.room.clients[1].inbox), 3)

    def test_waiting_texts_are_counted_for_the_address_of_their_sender(self) -> None:
        """Not of the one that is away: else a stranger could fill its allowance."""
        self.enter("a", "b")
        self.room = replace(self.room, clients=(self.room.clients[0], replace(self.room.clients[1], address="198.51.100.1")))
        self.lose("b")
        self.say("a", Direct(tag("b"), "x" * 100))
        self.assertEqual(list(self.room.queued_bytes()), ["192.0.2.1"])
        self.assertGreater(self.room.queued_bytes()["192.0.2.1"], 100)

    def test_what_waits_from_one_who_goes_is_dropped(self) -> None:
        """It would connect to nobody."""
        self.enter("a", "b", "c")
        self.lose("b")
        self.say("a", Direct(tag("b"), "stale"))
        self.say("c", Direct(tag("b"), "fresh"))
        self.leave("a")
        self.register("b")
        self.assertEqual([one.get("msg") for one in self.told("b")], [None, "fresh"])

    def test_what_cannot_be_given_is_refused(self) -> None:
        """No such page, oneself, an app, nothing to say."""
        self.enter("a")
        self.app("phone")
        for asked, why in ((Direct(tag("x"), "m"), "unknown"), (Direct("app", "m"), "unknown"), (Direct("", "m"), "unknown"),
                           (Direct(tag("a"), "m"), "invalid"), (Direct(tag("x"), ""), "invalid")):
            self.assertEqual((self.say("a", asked), self.last.effects, self.news), (why, (), []))

    def test_what_a_page_says_to_all_reaches_apps_alone(self) -> None:
        """Where there is none, nobody, and nothing is kept."""
        self.enter("a", "b")
        self.assertEqual(self.do(rooms.message(self.room, 0, LIMITS, "a", "m")), "SUCCESS")
        self.assertIsNone(self.do(switchboard.send(self.room, 0, LIMITS, "a", "m")))
        self.assertEqual((self.last.effects, self.news), ((), []))
        self.leave("b")
        for _ in range(5):
            self.assertEqual(self.do(rooms.message(self.room, 0, LIMITS, "a", "m")), "SUCCESS")
            self.assertIsNone(self.do(switchboard.send(self.room, 0, LIMITS, "a", "m")))
        self.assertEqual(self.app("phone").messages, ())
        self.register("phone")
        self.assertEqual([one for one in self.last.effects if isinstance(one, Deliver)], [])

    def test_one_that_has_left_its_seat_says_nothing_any_more(self) -> None:
        """Its socket is still there for a moment."""
        self.enter("a", "b")
        self.leave("a")
        self.assertIsNone(self.say("a", Direct(tag("b"), "late")))
        self.assertEqual(self.last.effects, ())


class PartingTests(MeshCase):
    """How pages go, and what the others are told."""

    def test_pages_owe_pages_no_bye(self) -> None:
        """The snapshot tells, at once or when the grace time is over."""
        for part, why in ((lambda: self.leave("b"), "left"), (lambda: self.expired("b"), "lost"),
                          (lambda: self.do(switchboard.delete(self.room, 0, "b")), "left"),
                          (lambda: self.said_bye("b"), "left")):
            self.room = Room()
            self.now = 0.0
            self.enter("a", "b")
            part()
            self.assertEqual([one for one in self.last.effects if isinstance(one, Deliver)], [])
            self.assertEqual(self.told("a")[-1]["gone"], {tag("b"): why})
            self.assertEqual([one["id"] for one in self.told("a")[-1]["members"]], [tag("a")])

    def expired(self, client: str) -> None:
        """It does not come back."""
        self.lose(client)
        self.assertFalse(self.told("a")[-1]["members"][1]["here"])
        self.do(rooms.expire(self.room, 29.9, LIMITS))
        self.assertEqual(self.last.effects, ())
        self.do(rooms.expire(self.room, 30, LIMITS))

    def said_bye(self, client: str) -> None:
        """Its last word, and the end of its socket."""
        self.do(switchboard.send(self.room, 0, LIMITS, client, BYE))
        self.assertEqual(self.last.effects, ())
        self.lose(client)

    def test_an_app_is_told_once_that_the_page_is_gone(self) -> None:
        """By the page, or by us; a page is told by the snapshot that an app is."""
        self.enter("a")
        self.app("phone")
        self.register("phone")
        self.leave("a")
        self.assertEqual(self.last.effects, ())
        self.do(switchboard.send(self.room, 0, LIMITS, "a", BYE))
        self.assertEqual(self.last.effects, (Deliver("phone", BYE),))
        self.lose("a")
        self.assertEqual(self.last.effects, ())
        self.enter("b")
        self.lose("b")
        self.do(rooms.expire(self.room, 30, LIMITS))
        self.assertEqual(self.last.effects, (Deliver("phone", BYE),))
        self.enter("c")
        self.do(switchboard.delete(self.room, 0, "phone"))
        self.assertEqual([type(one) for one in self.last.effects], [Close, Inform])
        self.assertEqual(self.told("c")[-1]["gone"], {"app": "left"})

    def test_only_the_last_who_parted_are_told(self) -> None:
        """Whoever is back is not among them."""
        self.enter("a")
        for number in range(MAX_PARTED + 3):
            self.join(f"g{number}")
            self.leave(f"g{number}")
        self.assertEqual(list(self.gone), [tag(f"g{number}") for number in range(3, MAX_PARTED + 3)])
        self.join("x", page="g5")
        self.assertNotIn(tag("g5"), self.gone)
        self.leave("x")
        self.assertEqual(list(self.gone)[-1], tag("g5"))

    def test_a_new_socket_takes_the_place_of_an_old_one_that_seems_alive(self) -> None:
        """After a change of networks the page knows before we do; nobody else is told anything."""
        self.enter("a", "b")
        self.register("a")
        self.assertEqual(self.last.effects[0], Close("a"))
        self.assertEqual((len(self.told("a")), self.told("b")), (1, []))

    def test_the_end_of_a_room_closes_the_sockets_of_pages(self) -> None:
        """Without a bye, which they would take for an app's."""
        self.enter("a", "b")
        self.do(rooms.close(self.room, 0))
        self.assertEqual(self.last.effects, (Close("a"), Close("b")))


class NoticeTests(MeshCase):
    """Who is told a snapshot, and when."""

    def test_a_change_that_nobody_can_see_is_not_told(self) -> None:
        """Text that waits, time that passes."""
        self.enter("a", "b")
        self.join("c")
        self.say("a", Direct(tag("c"), "x"))
        self.assertEqual(self.last.effects, ())

    def test_a_page_that_registers_is_told_once(self) -> None:
        """In front of its inbox; the others that it is here."""
        self.enter("a")
        self.join("b")
        self.assertEqual((self.told("a")[-1]["members"][1]["here"], self.told("b")), (False, []))
        self.register("b")
        self.assertEqual((len(self.told("a")), len(self.told("b"))), (1, 1))
        self.assertEqual(self.told("a"), self.told("b"))

    def test_apps_are_told_nothing(self) -> None:
        """They would die of it."""
        for name in ("phone", "tablet"):
            self.app(name)
            self.register(name)
            self.assertEqual([one for one in self.last.effects if isinstance(one, Inform)], [])
        self.do(switchboard.delete(self.room, 0, "tablet"))
        self.enter("a")
        self.assertEqual(self.told("phone"), [])

    def test_all_can_be_told_without_a_change_of_the_room(self) -> None:
        """When the capacity is another one."""
        self.enter("a", "b")
        self.join("c")
        told = announcement(self.room, replace(LIMITS, capacity=3))
        self.assertEqual([(one.client, json.loads(one.text)["capacity"]) for one in told], [("a", 3), ("b", 3)])
