"""The rules of rooms: seats, initiators, held messages, and who is told what when somebody goes."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.rooms import room as rooms
from rtcd.rooms.outcome import Came, Close, Deliver, Gone, Said, TurnedAway, news
from rtcd.rooms.records import BYE, LOOPBACK_CLIENTS, Client, Departed, Limits, Room
from rtcd.signaling import switchboard

LIMITS = Limits(max_messages=3, max_queue_bytes=100, join_timeout_s=45, grace_s=10, lifetime_s=1000)


def registered(room: Room, *names: str) -> Room:
    """The room with these clients' sockets open."""
    return Room(
        tuple(
            Client(one.id, one.address, registered=True, held=one.held, queue=one.queue, told=one.told)
            if one.id in names else one
            for one in room.clients
        ),
        room.departed, room.loopback, room.changed_at,
    )


def room_of(*names: str) -> Room:
    """A room that these have joined, sockets open."""
    room = Room()
    for name in names:
        room = rooms.join(room, 0, LIMITS, name).room
    return registered(room, *names)


class JoinTests(SynchronousTestCase):
    """POST /join."""

    def test_the_first_is_initiator_and_gets_no_messages(self) -> None:
        """Occupancy alone decides who is initiator."""
        joined = rooms.join(Room(), 5, LIMITS, "a", "192.0.2.1")
        self.assertEqual(joined.result, rooms.Joined("SUCCESS", True, ()))
        self.assertEqual(joined.room.clients, (Client("a", "192.0.2.1", deadline=50),))
        self.assertEqual(joined.room.changed_at, 5)

    def test_the_second_is_given_what_the_first_has_posted_once(self) -> None:
        """Stored messages are handed over and thereby removed."""
        room = rooms.join(Room(), 0, LIMITS, "a").room
        for text in ("1", "2"):
            room = rooms.message(room, 0, LIMITS, "a", text).room
        joined = rooms.join(room, 0, LIMITS, "b")
        self.assertEqual(joined.result, rooms.Joined("SUCCESS", False, ("1", "2")))
        self.assertEqual([one.held for one in joined.room.clients], [(), ()])

    def test_a_third_finds_the_room_full_and_changes_nothing(self) -> None:
        """FULL leaves the room as it was."""
        room = room_of("a", "b")
        outcome = rooms.join(room, 9, LIMITS, "c")
        self.assertEqual(outcome.result.result, "FULL")
        self.assertIs(outcome.room, room)

    def test_an_id_that_is_seated_or_leaving_is_a_duplicate(self) -> None:
        """A random id that collides is refused."""
        self.assertEqual(rooms.join(room_of("a"), 0, LIMITS, "a").result.result, "DUPLICATE_CLIENT")
        left = rooms.leave(room_of("a", "b"), 0, LIMITS, "a").room
        self.assertEqual(rooms.join(left, 0, LIMITS, "a").result.result, "DUPLICATE_CLIENT")

    def test_a_loopback_join_seats_a_partner_and_fills_the_room(self) -> None:
        """debug=loopback: the room is full at once, and messages are forwarded instead of stored."""
        joined = rooms.join(Room(), 0, LIMITS, "a", loopback=True)
        self.assertTrue(joined.result.is_initiator)
        self.assertEqual([one.id for one in joined.room.clients], ["a", "LOOPBACK_CLIENT_ID"])
        self.assertEqual(rooms.join(joined.room, 0, LIMITS, "b").result.result, "FULL")

    def test_a_loopback_join_of_an_occupied_room_is_an_ordinary_join(self) -> None:
        """The partner would be a third."""
        joined = rooms.join(room_of("a"), 0, LIMITS, "b", loopback=True)
        self.assertEqual([one.id for one in joined.room.clients], ["a", "b"])
        self.assertFalse(joined.room.loopback)

    def test_a_new_peer_must_be_told_again_of_one_who_said_bye_to_the_last(self) -> None:
        """Having said bye to one peer does not count for the next."""
        room = rooms.hand_over(room_of("a", "b"), 0, LIMITS, Client("a", registered=True), BYE).room
        self.assertTrue(rooms.leave(room, 0, LIMITS, "b").room.clients[0].told)
        joined = rooms.join(rooms.leave(room, 0, LIMITS, "b").room, 0, LIMITS, "c")
        self.assertFalse(joined.room.clients[0].told)


class MessageTests(SynchronousTestCase):
    """POST /message."""

    def test_a_message_to_an_empty_room_or_of_a_stranger_is_refused(self) -> None:
        """UNKNOWN_ROOM and UNKNOWN_CLIENT."""
        self.assertEqual(rooms.message(Room(), 0, LIMITS, "a", "x").result, "UNKNOWN_ROOM")
        self.assertEqual(rooms.message(room_of("a"), 0, LIMITS, "b", "x").result, "UNKNOWN_CLIENT")

    def test_a_message_of_one_of_two_reaches_the_other_and_keeps_the_room(self) -> None:
        """A live message changes nothing, so nothing needs to be stored."""
        room = room_of("a", "b")
        outcome = rooms.message(room, 7, LIMITS, "a", "x")
        self.assertEqual((outcome.result, outcome.effects), ("SUCCESS", (Deliver("b", "x"),)))
        self.assertIs(outcome.room, room)

    def test_a_message_to_a_peer_without_socket_is_queued_on_its_sender(self) -> None:
        """It is delivered at the peer's registration."""
        room = registered(rooms.join(room_of("a"), 0, LIMITS, "b").room, "a")
        outcome = rooms.message(room, 0, LIMITS, "a", "x")
        self.assertEqual((outcome.result, outcome.effects), ("SUCCESS", ()))
        self.assertEqual(outcome.room.clients[0].queue, ("x",))

    def test_what_answers_a_bye_is_kept_for_the_next_to_join(self) -> None:
        """Android's bye comes before its /leave: the page's new offer must not go to the one that is leaving."""
        room = rooms.hand_over(room_of("phone", "page"), 0, LIMITS, Client("phone", registered=True), BYE).room
        outcome = rooms.message(room, 0, LIMITS, "page", "offer")
        self.assertEqual((outcome.result, outcome.effects), ("SUCCESS", ()))
        room = rooms.leave(outcome.room, 0, LIMITS, "phone").room
        self.assertEqual(rooms.join(room, 0, LIMITS, "next").result.messages, ("offer",))

    def test_held_messages_are_bounded_in_count_and_bytes(self) -> None:
        """One more than the limit is an ERROR, and nothing of it is kept."""
        room = room_of("a")
        for _ in range(3):
            room = rooms.message(room, 0, LIMITS, "a", "x").room
        outcome = rooms.message(room, 0, LIMITS, "a", "x")
        self.assertEqual((outcome.result, outcome.room), ("ERROR", room))
        self.assertEqual(rooms.message(room_of("a"), 0, LIMITS, "a", "é" * 26).result, "ERROR")
        self.assertEqual(rooms.message(room_of("a"), 0, LIMITS, "a", "é" * 25).result, "SUCCESS")

    def again(self, room: Room, *texts: str, sender: str = "a") -> Room:
        """These came for the socket of b when it was gone."""
        return rooms.wait_again(room, 7, LIMITS, "b", [Said(sender, one) for one in texts]).room

    def test_what_came_for_a_lost_socket_waits_before_what_was_said_since(self) -> None:
        """As far as it fits, the last of it first."""
        lost = switchboard.lost(room_of("a", "b"), 0, LIMITS, "b").room
        room = registered(rooms.message(lost, 0, LIMITS, "a", "3").room, "a")
        self.assertEqual(self.again(room, "1", "2").client("a"), Client("a", registered=True, queue=("1", "2", "3")))
        self.assertEqual([one.queue for one in self.again(room, "0", "1", "2").clients], [("1", "2", "3"), ()])

    def test_what_came_before_a_bye_is_not_the_next_ones(self) -> None:
        """Who is lost is owed the bye, and hears of the next one alone."""
        room = registered(switchboard.lost(room_of("a", "b"), 0, LIMITS, "b").room, "a")
        left, after = self.again(room, "1", BYE, "2").clients
        self.assertEqual((left.queue, after.owed_bye), (("2",), True))
        alone = Room((after,))
        self.assertEqual(self.again(alone, "3").clients, (after,))

    def test_what_one_said_who_has_gone_is_not_the_next_ones(self) -> None:
        """It is lost with him; where nobody knows who said it, it is of the one who is there."""
        lost = switchboard.lost(room_of("a", "b"), 0, LIMITS, "b").room
        room = rooms.join(rooms.leave(lost, 0, LIMITS, "a").room, 0, LIMITS, "c").room
        queues = [self.again(room, "1", sender=one).client("c") for one in ("a", "c", "")]
        self.assertEqual([one.queue if one else None for one in queues], [(), ("1",), ("1",)])

    def test_who_has_a_socket_again_or_no_seat_is_given_nothing_late(self) -> None:
        """It would come behind what was said later."""
        for room in (room_of("a", "b"), room_of("a")):
            self.assertIs(self.again(room, "1"), room)

    def test_a_full_queue_is_an_error(self) -> None:
        """Overflow is never silent."""
        room = registered(rooms.join(room_of("a"), 0, LIMITS, "b").room, "a")
        for _ in range(3):
            room = rooms.message(room, 0, LIMITS, "a", "x").room
        self.assertEqual(rooms.message(room, 0, LIMITS, "a", "x").result, "ERROR")


class LeaveTests(SynchronousTestCase):
    """POST /leave, and what is owed to the others afterwards."""

    def test_the_seat_is_free_at_once_and_no_bye_is_sent_yet(self) -> None:
        """The leaver says its own bye; ours on top would restart the peer's signalling twice."""
        outcome = rooms.leave(room_of("a", "b"), 20, LIMITS, "a")
        self.assertEqual(outcome.effects, ())
        self.assertEqual([one.id for one in outcome.room.clients], ["b"])
        self.assertEqual(outcome.room.departed, (Departed("a", ("b",), True, 30),))
        self.assertEqual(rooms.join(outcome.room, 20, LIMITS, "c").result.result, "SUCCESS")

    def test_a_leaver_that_says_nothing_is_spoken_for_after_the_grace_time(self) -> None:
        """The peer is told exactly once, by us if not by the leaver."""
        room = rooms.leave(room_of("a", "b"), 20, LIMITS, "a").room
        self.assertIs(rooms.expire(room, 29, LIMITS).room, room)
        outcome = rooms.expire(room, 30, LIMITS)
        self.assertEqual(outcome.effects, (Deliver("b", BYE), Close("a")))
        self.assertEqual(outcome.room.departed, ())
        self.assertEqual(rooms.expire(outcome.room, 31, LIMITS).effects, ())

    def test_the_last_to_leave_takes_the_room_along(self) -> None:
        """An empty room is forgotten, with the messages held in it."""
        room = rooms.message(rooms.join(Room(), 0, LIMITS, "a").room, 0, LIMITS, "a", "x").room
        self.assertTrue(rooms.leave(room, 0, LIMITS, "a").room.empty)

    def test_leaving_an_unknown_room_or_twice_is_nothing(self) -> None:
        """/leave is 200 always."""
        self.assertEqual(rooms.leave(Room(), 0, LIMITS, "a").room, Room())
        room = rooms.leave(room_of("a", "b"), 0, LIMITS, "a").room
        self.assertIs(rooms.leave(room, 1, LIMITS, "a").room, room)

    def test_what_was_queued_for_the_leaver_is_not_given_to_the_next(self) -> None:
        """Stale candidates would confuse a new call."""
        room = registered(rooms.join(room_of("a"), 0, LIMITS, "b").room, "a")
        room = rooms.message(room, 0, LIMITS, "a", "x").room
        self.assertEqual(rooms.leave(room, 0, LIMITS, "b").room.clients[0].queue, ())

    def test_a_loopback_partner_goes_with_its_caller(self) -> None:
        """Nobody is left to be told."""
        room = registered(rooms.join(Room(), 0, LIMITS, "a", loopback=True).room, "LOOPBACK_CLIENT_ID")
        outcome = rooms.leave(room, 0, LIMITS, "a")
        self.assertEqual(outcome.effects, (Close("LOOPBACK_CLIENT_ID"),))
        self.assertTrue(outcome.room.empty)

    def test_one_that_leaves_before_its_peer_has_a_socket_is_owed_to_that_peer(self) -> None:
        """The peer learns it when it registers, else it would wait for an answer for ever."""
        room = registered(rooms.join(room_of("a"), 0, LIMITS, "b").room, "a")
        room = rooms.expire(rooms.leave(room, 0, LIMITS, "a").room, 10, LIMITS).room
        self.assertTrue(room.clients[0].owed_bye)

    def test_who_joins_while_a_bye_is_owed_comes_after_it(self) -> None:
        """A leaver without a socket cannot say bye any more: the peer is told before the newcomer is there."""
        room = registered(rooms.join(room_of("a"), 0, LIMITS, "b").room, "a")
        room = rooms.leave(room, 0, LIMITS, "b").room
        self.assertEqual(rooms.join(room, 1, LIMITS, "c").effects, (Deliver("a", BYE),))


class ExpiryTests(SynchronousTestCase):
    """Deadlines."""

    def test_a_client_that_never_registers_loses_its_seat_and_its_peer_is_told(self) -> None:
        """The join time-out frees what the originals kept for a day."""
        room = rooms.join(room_of("a"), 10, LIMITS, "b").room
        self.assertEqual(rooms.next_deadline(room, LIMITS), 55)
        outcome = rooms.expire(room, 55, LIMITS)
        self.assertEqual([one.id for one in outcome.room.clients], ["a"])
        self.assertEqual(outcome.effects, (Deliver("a", BYE),))

    def test_a_clock_that_steps_back_ends_nothing(self) -> None:
        """Deadlines only come later then."""
        room = rooms.join(room_of("a"), 1000, LIMITS, "b").room
        self.assertIs(rooms.expire(room, 5, LIMITS).room, room)

    def test_a_room_that_nothing_happened_in_for_its_lifetime_is_closed(self) -> None:
        """With a bye to each, whatever their sockets do."""
        room = room_of("a", "b")
        self.assertEqual(rooms.next_deadline(room, LIMITS), 1000)
        outcome = rooms.expire(room, 1000, LIMITS)
        self.assertEqual(
            outcome.effects, (Deliver("a", BYE), Close("a"), Deliver("b", BYE), Close("b")))
        self.assertTrue(outcome.room.empty)

    def test_an_empty_room_has_no_deadline(self) -> None:
        """Nothing is to be done for it."""
        self.assertIsNone(rooms.next_deadline(Room(), LIMITS))

    def test_closing_tells_each_once_and_closes_the_sockets_of_leavers(self) -> None:
        """The end of the daemon."""
        room = rooms.leave(room_of("a", "b"), 0, LIMITS, "a").room
        self.assertEqual(rooms.close(room, 0).effects, (Deliver("b", BYE), Close("b"), Close("a")))


class ByeTests(SynchronousTestCase):
    """What counts as a bye."""

    def test_every_client_s_spelling_is_known(self) -> None:
        """The web page, Android (a space) and iOS (pretty-printed)."""
        for text in ('{"type":"bye"}', '{"type": "bye"}', '{\n  "type" : "bye"\n}'):
            self.assertTrue(rooms.is_bye(text), text)

    def test_nothing_else_is_one(self) -> None:
        """Not JSON, another type, bye elsewhere, nesting beyond reason, a long text."""
        long = '{"type":"bye"' + " " * 300 + "}"
        for text in ("bye", '{"type":"offer","sdp":"bye"}', '["bye"]', "[" * 200 + '"bye"', long):
            self.assertFalse(rooms.is_bye(text), text)


class NewsTests(SynchronousTestCase):
    """What watchers of a store are told of a change."""

    def setUp(self) -> None:
        self.room = Room()

    def do(self, change: Any) -> list[Any]:
        """Apply a change, and return its news."""
        outcome = change(self.room)
        found = list(news(self.room, outcome))
        self.room = outcome.room
        return found

    def call(self) -> None:
        """Ann and bob are in, both with sockets."""
        for name in ("ann", "bob"):
            self.do(lambda one, name=name: rooms.join(one, 0, LIMITS, name, "192.0.2.1"))
            self.do(lambda one, name=name: switchboard.register(one, 0, LIMITS, name, "192.0.2.2"))

    def test_who_joins_and_registers_came_from_there(self) -> None:
        """The two may come from two addresses; a refused one did not come."""
        self.assertEqual(self.do(lambda one: rooms.join(one, 0, LIMITS, "ann", "192.0.2.1")), [Came("ann", "192.0.2.1")])
        self.assertEqual(self.do(lambda one: switchboard.register(one, 0, LIMITS, "ann", "192.0.2.2")),
                         [Came("ann", "192.0.2.2")])
        self.assertEqual(self.do(lambda one: switchboard.register(one, 0, LIMITS, "ann", "192.0.2.3")), [])
        self.assertEqual(self.do(lambda one: switchboard.register(one, 0, LIMITS, "eve", "192.0.2.3")), [])
        self.assertEqual(self.do(lambda one: rooms.join(one, 0, LIMITS, "ann", "192.0.2.3")), [])

    def test_a_seat_taken_by_posting_or_registering_is_told_too(self) -> None:
        """require-join = no."""
        self.assertEqual(
            self.do(lambda one: switchboard.post(one, 0, LIMITS, "ann", "x", "192.0.2.1", require_join=False)),
            [Came("ann", "192.0.2.1"), Said("ann", "x")])
        self.assertEqual(
            self.do(lambda one: switchboard.register(one, 0, LIMITS, "bob", "192.0.2.2", require_join=False)),
            [Came("bob", "192.0.2.2")])

    def test_a_loopback_caller_and_its_other_end_are_told(self) -> None:
        """And go together."""
        self.assertEqual(self.do(lambda one: rooms.join(one, 0, LIMITS, "ann", "192.0.2.1", loopback=True)),
                         [Came("ann", "192.0.2.1")])
        name = LOOPBACK_CLIENTS[1]
        self.assertIn(Came(name, "192.0.2.1"), self.do(lambda one: switchboard.register(one, 0, LIMITS, name, "192.0.2.1")))
        self.assertEqual(self.do(lambda one: switchboard.send(one, 0, LIMITS, name, "x")), [Said(name, "x")])
        self.assertEqual(self.do(lambda one: rooms.leave(one, 0, LIMITS, "ann")), [Gone("ann"), Gone(name)])

    def test_an_early_end_of_a_loopback_call_is_told(self) -> None:
        """It registers before the one whose other end it is joins."""
        name = LOOPBACK_CLIENTS[1]
        self.assertEqual(self.do(lambda one: switchboard.register(one, 0, LIMITS, name, "192.0.2.1")),
                         [Came(name, "192.0.2.1")])

    def test_every_text_that_is_taken_was_said(self) -> None:
        """Kept while alone, passed on, queued; by HTTP and over the socket. One that does not fit was not."""
        self.do(lambda one: rooms.join(one, 0, LIMITS, "ann"))
        self.assertEqual(self.do(lambda one: rooms.message(one, 0, LIMITS, "ann", "kept")), [Said("ann", "kept")])
        self.assertEqual(self.do(lambda one: switchboard.post(one, 0, LIMITS, "ann", "queued")), [Said("ann", "queued")])
        self.do(lambda one: rooms.join(one, 0, LIMITS, "bob"))
        self.assertEqual(self.do(lambda one: rooms.message(one, 0, LIMITS, "bob", "queued")), [Said("bob", "queued")])
        self.do(lambda one: switchboard.register(one, 0, LIMITS, "ann"))
        self.do(lambda one: switchboard.register(one, 0, LIMITS, "bob"))
        self.assertEqual(self.do(lambda one: rooms.message(one, 0, LIMITS, "ann", "on")), [Said("ann", "on")])
        self.assertEqual(self.do(lambda one: switchboard.send(one, 0, LIMITS, "bob", "on")), [Said("bob", "on")])
        self.assertEqual(self.do(lambda one: switchboard.send(one, 0, LIMITS, "eve", "x")), [])
        self.do(lambda one: switchboard.lost(one, 0, LIMITS, "bob"))
        long = "x" * (LIMITS.max_queue_bytes + 1)
        self.assertEqual(self.do(lambda one: switchboard.send(one, 0, LIMITS, "ann", long)), [])
        self.assertEqual(self.do(lambda one: rooms.message(one, 0, LIMITS, "ann", long)), [])

    def test_whatever_ends_a_seat_is_told_once(self) -> None:
        """Leave, DELETE, a lost socket after its bye, the end of the grace time, the end of the room."""
        for ended in (
            lambda one: rooms.leave(one, 0, LIMITS, "bob"), lambda one: switchboard.delete(one, 0, "bob"),
        ):
            self.room = Room()
            self.call()
            self.assertEqual((self.do(ended), self.do(ended)), ([Gone("bob")], []))
        self.room = Room()
        self.call()
        self.do(lambda one: switchboard.send(one, 0, LIMITS, "bob", BYE))
        self.assertEqual(self.do(lambda one: switchboard.lost(one, 0, LIMITS, "bob")), [Gone("bob")])
        self.assertEqual(self.do(lambda one: rooms.close(one, 0)), [Gone("ann")])

    def test_how_a_seat_was_lost_is_told(self) -> None:
        """Given up in whatever way, not used in time, or with the room."""
        for ended, why in (
            (lambda one: rooms.leave(one, 0, LIMITS, "bob"), "left"),
            (lambda one: switchboard.delete(one, 0, "bob"), "left"),
            (lambda one: rooms.close(one, 0), "closed"), (lambda one: rooms.expire(one, 10**6, LIMITS), "closed"),
        ):
            self.room = Room()
            self.call()
            self.assertEqual({one.why for one in self.do(ended)}, {why})
        self.room = Room()
        self.call()
        self.do(lambda one: switchboard.lost(one, 0, LIMITS, "ann"))
        self.assertEqual([one.why for one in self.do(lambda one: rooms.expire(one, 16, LIMITS))], ["lost"])
        self.do(lambda one: switchboard.send(one, 0, LIMITS, "bob", BYE))
        self.do(lambda one: rooms.join(one, 0, LIMITS, "cid", "192.0.2.1"))
        self.do(lambda one: switchboard.send(one, 0, LIMITS, "bob", BYE))
        self.do(lambda one: switchboard.register(one, 0, LIMITS, "cid", "192.0.2.1"))
        self.assertEqual([one.why for one in self.do(lambda one: switchboard.lost(one, 0, LIMITS, "bob"))], ["left"])

    def test_who_has_a_socket_is_told_apart_from_who_has_a_seat(self) -> None:
        joined, = self.do(lambda one: rooms.join(one, 0, LIMITS, "ann", "192.0.2.1"))
        opened, = self.do(lambda one: switchboard.register(one, 0, LIMITS, "ann", "192.0.2.1"))
        self.assertEqual((joined.registered, opened.registered, opened.page), (False, True, ""))

    def test_who_was_turned_away_is_told_and_changes_nothing(self) -> None:
        """Not one who has a seat already."""
        self.call()
        before = self.room
        self.assertEqual(self.do(lambda one: rooms.join(one, 0, LIMITS, "eve", "192.0.2.3")),
                         [TurnedAway("192.0.2.3", False, "full")])
        self.assertIs(self.room, before)
        self.assertEqual(self.do(lambda one: rooms.join(one, 0, LIMITS, "ann", "192.0.2.3")), [])

    def test_one_within_its_grace_time_is_not_gone(self) -> None:
        """And comes back, or is gone when it is over; a seat that never registered likewise."""
        self.call()
        self.assertEqual(self.do(lambda one: switchboard.lost(one, 0, LIMITS, "bob")), [])
        self.assertEqual(self.do(lambda one: switchboard.register(one, 5, LIMITS, "bob", "192.0.2.9")),
                         [Came("bob", "192.0.2.9")])
        self.assertEqual(self.do(lambda one: switchboard.lost(one, 6, LIMITS, "bob")), [])
        self.assertEqual(self.do(lambda one: rooms.expire(one, 15.9, LIMITS)), [])
        self.assertEqual(self.do(lambda one: rooms.expire(one, 16, LIMITS)), [Gone("bob")])
        self.do(lambda one: rooms.join(one, 20, LIMITS, "cid"))
        self.assertEqual(self.do(lambda one: rooms.expire(one, 65, LIMITS)), [Gone("cid")])

    def test_who_holds_a_seat_can_be_asked(self) -> None:
        """Not who has left; and the names that everybody knows prove nothing."""
        def seated(name: str) -> bool:
            return rooms.is_seated(self.room, 0, name).result

        self.call()
        self.do(lambda one: switchboard.lost(one, 0, LIMITS, "bob"))
        self.assertEqual((seated("ann"), seated("bob"), seated("eve")), (True, True, False))
        self.do(lambda one: rooms.leave(one, 0, LIMITS, "ann"))
        self.assertEqual((seated("ann"), self.room.gone("ann") is not None), (False, True))
        self.room = Room()
        self.do(lambda one: rooms.join(one, 0, LIMITS, "ann", loopback=True))
        self.assertEqual([seated(name) for name in (*LOOPBACK_CLIENTS, "ann")], [False, False, True])
