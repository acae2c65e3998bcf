"""The rules of signalling: register, send, post, lost, delete; and section 11's invariants over random histories."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from rtcd.rooms import room as rooms
from rtcd.rooms.outcome import Attach, Close, Deliver, Inform, Outcome
from rtcd.rooms.records import BYE, LOOPBACK_CLIENTS, Client, Limits, Room
from rtcd.signaling import switchboard
from tests.unit.test_rooms_room import room_of

LIMITS = Limits(max_messages=1024, max_queue_bytes=10**6)


class RegisterTests(SynchronousTestCase):
    """register."""

    def test_a_joined_client_gets_its_socket_and_then_what_the_other_has_queued(self) -> None:
        """First the other's queue, in order; then live messages."""
        room = rooms.join(room_of("a"), 0, LIMITS, "b").room
        for text in ("1", "2"):
            room = switchboard.send(room, 0, LIMITS, "a", text).room
        answer = switchboard.register(room, 0, LIMITS, "b")
        self.assertIsNone(answer.result)
        self.assertEqual(answer.effects, (Attach("b"), Deliver("b", "1"), Deliver("b", "2")))
        self.assertEqual([one.queue for one in answer.room.clients], [(), ()])
        self.assertIsNone(answer.room.clients[1].deadline)

    def test_nobody_registers_who_has_not_joined(self) -> None:
        """An unknown room and an unknown client are answered alike."""
        for room in (Room(), room_of("a")):
            answer = switchboard.register(room, 0, LIMITS, "x")
            self.assertEqual((answer.result, answer.effects), (switchboard.NOT_JOINED, ()))
            self.assertIs(answer.room, room)

    def test_the_second_socket_of_a_client_is_refused_and_the_first_stays(self) -> None:
        """While the first is alive."""
        answer = switchboard.register(room_of("a"), 0, LIMITS, "a")
        self.assertEqual((answer.result, answer.effects), (switchboard.DUPLICATE, ()))

    def test_a_client_that_was_lost_registers_again_within_the_grace_time(self) -> None:
        """And gets what was sent meanwhile."""
        room = switchboard.lost(room_of("a", "b"), 100, LIMITS, "b").room
        self.assertEqual(room.clients[1].deadline, 110)
        room = switchboard.send(room, 101, LIMITS, "a", "x").room
        answer = switchboard.register(room, 102, LIMITS, "b")
        self.assertEqual(answer.effects, (Attach("b"), Deliver("b", "x")))

    def test_a_client_that_is_owed_a_bye_gets_it_first(self) -> None:
        """Its peer went while it had no socket."""
        room = Room((Client("b", owed_bye=True, deadline=50),))
        answer = switchboard.register(room, 0, LIMITS, "b")
        self.assertEqual(answer.effects, (Attach("b"), Deliver("b", BYE)))
        self.assertFalse(answer.room.clients[0].owed_bye)

    def test_as_a_collider_a_client_takes_a_seat_by_registering(self) -> None:
        """require-join = no: two seats, a third is told that there is no room."""
        room = Room()
        for name in ("a", "b"):
            answer = switchboard.register(room, 0, LIMITS, name, require_join=False)
            self.assertIsNone(answer.result)
            room = answer.room
        refused = switchboard.register(room, 0, LIMITS, "c", require_join=False)
        self.assertEqual(refused.result, switchboard.NO_ROOM)


class LoopbackTests(SynchronousTestCase):
    """The other end of a call to oneself."""

    def test_both_names_find_the_partner_of_a_loopback_room(self) -> None:
        """The web page's and iOS's."""
        room = rooms.join(Room(), 0, LIMITS, "a", loopback=True).room
        for name in LOOPBACK_CLIENTS:
            answer = switchboard.register(room, 0, LIMITS, name)
            self.assertIsNone(answer.result)
            self.assertEqual(answer.room.clients[1].id, name)

    def test_the_partner_may_register_before_its_caller_joins(self) -> None:
        """The web page opens both at once."""
        room = switchboard.register(Room(), 0, LIMITS, "loopback_client_id").room
        joined = rooms.join(room, 0, LIMITS, "a", loopback=True)
        self.assertTrue(joined.result.is_initiator)
        self.assertEqual(rooms.message(joined.room, 0, LIMITS, "a", "x").effects, (Deliver("loopback_client_id", "x"),))

    def test_an_early_partner_takes_no_seat_from_an_ordinary_call(self) -> None:
        """Else a stranger could listen in: it is closed when somebody joins."""
        room = switchboard.register(Room(), 0, LIMITS, "loopback_client_id").room
        joined = rooms.join(room, 0, LIMITS, "a")
        self.assertTrue(joined.result.is_initiator)
        self.assertEqual(joined.effects, (Close("loopback_client_id"),))
        self.assertEqual([one.id for one in joined.room.clients], ["a"])

    def test_an_early_partner_whose_caller_does_not_come_is_closed(self) -> None:
        """After the join time-out."""
        room = switchboard.register(Room(), 0, LIMITS, "loopback_client_id").room
        answer = rooms.expire(room, 45, LIMITS)
        self.assertEqual(answer.effects, (Close("loopback_client_id"),))
        self.assertTrue(answer.room.empty)

    def test_a_loopback_name_cannot_enter_an_ordinary_room(self) -> None:
        """Only loopback rooms have a partner."""
        answer = switchboard.register(room_of("a"), 0, LIMITS, "LOOPBACK_CLIENT_ID")
        self.assertEqual(answer.result, switchboard.NOT_JOINED)

    def test_losing_the_partner_s_socket_keeps_the_room(self) -> None:
        """It may come back; an early one is forgotten."""
        room = rooms.join(Room(), 0, LIMITS, "a", loopback=True).room
        room = switchboard.register(room, 0, LIMITS, "LOOPBACK_CLIENT_ID").room
        after = switchboard.lost(room, 1, LIMITS, "LOOPBACK_CLIENT_ID").room
        self.assertEqual((after.clients[1].registered, after.clients[1].deadline), (False, None))
        early = switchboard.register(Room(), 0, LIMITS, "loopback_client_id").room
        self.assertTrue(switchboard.lost(early, 1, LIMITS, "loopback_client_id").room.empty)


class EndTests(SynchronousTestCase):
    """How a client goes, in every order that real clients show."""

    def test_leave_then_bye_then_close_then_delete(self) -> None:
        """The web page's and iOS's order: one bye, from the leaver."""
        room = rooms.leave(room_of("a", "b"), 0, LIMITS, "a").room
        said = switchboard.send(room, 0, LIMITS, "a", '{"type": "bye"}')
        self.assertEqual(said.effects, (Deliver("b", '{"type": "bye"}'),))
        lost = switchboard.lost(said.room, 0, LIMITS, "a")
        self.assertEqual(lost.effects, ())
        deleted = switchboard.delete(lost.room, 0, "a")
        self.assertEqual((deleted.effects, deleted.room.departed), ((), ()))

    def test_delete_before_bye(self) -> None:
        """Android starts all three at once: the peer is told by us, and the late bye goes nowhere."""
        answer = switchboard.delete(room_of("a", "b"), 0, "a")
        self.assertEqual(answer.effects, (Deliver("b", BYE), Close("a")))
        late = switchboard.send(answer.room, 0, LIMITS, "a", BYE)
        self.assertEqual((late.result, late.effects), (switchboard.NOT_REGISTERED, ()))
        self.assertEqual(rooms.leave(answer.room, 0, LIMITS, "a").effects, ())

    def test_leave_then_delete_before_bye(self) -> None:
        """Another order of Android's three."""
        room = rooms.leave(room_of("a", "b"), 0, LIMITS, "a").room
        answer = switchboard.delete(room, 0, "a")
        self.assertEqual(answer.effects, (Deliver("b", BYE), Close("a")))

    def test_bye_then_close_then_leave(self) -> None:
        """Who has said bye and closes is gone for good: no grace, no second bye."""
        room = switchboard.send(room_of("a", "b"), 0, LIMITS, "a", BYE).room
        lost = switchboard.lost(room, 0, LIMITS, "a")
        self.assertEqual(lost.effects, ())
        self.assertEqual([one.id for one in lost.room.clients], ["b"])
        self.assertEqual(rooms.leave(lost.room, 0, LIMITS, "a").effects, ())

    def test_leave_and_close_without_bye(self) -> None:
        """A page that is unloaded gets only the leave through: the peer is told when the socket goes."""
        room = rooms.leave(room_of("a", "b"), 0, LIMITS, "a").room
        answer = switchboard.lost(room, 0, LIMITS, "a")
        self.assertEqual(answer.effects, (Deliver("b", BYE),))

    def test_a_crash_frees_the_seat_after_the_grace_time_with_one_bye(self) -> None:
        """No leave, no bye, no DELETE."""
        room = switchboard.lost(room_of("a", "b"), 0, LIMITS, "a").room
        self.assertEqual(rooms.join(room, 5, LIMITS, "c").result.result, "FULL")
        answer = rooms.expire(room, 10, LIMITS)
        self.assertEqual(answer.effects, (Deliver("b", BYE),))
        self.assertEqual(rooms.join(answer.room, 10, LIMITS, "c").result.result, "SUCCESS")

    def test_a_bye_by_post_after_leave_reaches_the_peer_once(self) -> None:
        """The page's fallback when its socket is not open."""
        room = replace(room_of("a", "b"), clients=(Client("a", deadline=9), Client("b", registered=True)))
        room = rooms.leave(room, 0, LIMITS, "a").room
        answer = switchboard.post(room, 0, LIMITS, "a", BYE)
        self.assertEqual(answer.effects, (Deliver("b", BYE),))
        self.assertEqual(answer.room.departed, ())
        self.assertEqual(switchboard.post(answer.room, 0, LIMITS, "a", BYE).effects, ())

    def test_only_the_bye_of_a_leaver_still_counts(self) -> None:
        """Late candidates are dropped without an error."""
        room = rooms.leave(room_of("a", "b"), 0, LIMITS, "a").room
        answer = switchboard.send(room, 0, LIMITS, "a", '{"type":"candidate"}')
        self.assertEqual((answer.result, answer.effects), (None, ()))

    def test_a_bye_goes_to_those_who_were_there_not_to_who_came_since(self) -> None:
        """A newcomer's call must not end by the leaver's bye."""
        room = rooms.leave(room_of("a", "b"), 0, LIMITS, "a").room
        room = rooms.join(room, 0, LIMITS, "c").room
        room = switchboard.register(room, 0, LIMITS, "c").room
        self.assertEqual(switchboard.send(room, 0, LIMITS, "a", BYE).effects, (Deliver("b", BYE),))


class QueueTests(SynchronousTestCase):
    """Bounds of what waits."""

    def test_1024_messages_wait_and_the_next_is_refused(self) -> None:
        """A caller with many interfaces sends hundreds of candidates before anybody is there."""
        room = room_of("a")
        for number in range(1024):
            answer = switchboard.send(room, 0, LIMITS, "a", str(number))
            self.assertIsNone(answer.result)
            room = answer.room
        self.assertEqual(switchboard.send(room, 0, LIMITS, "a", "x").result, switchboard.QUEUE_FULL)
        self.assertEqual(len(room.clients[0].queue), 1024)

    def test_a_client_made_by_post_must_register_in_time(self) -> None:
        """require-join = no; it goes with its queue."""
        room = switchboard.post(Room(), 0, LIMITS, "a", "x", require_join=False).room
        self.assertEqual(room.clients[0].queue, ("x",))
        self.assertTrue(rooms.expire(room, 10, LIMITS).room.empty)

    def test_posting_without_having_joined_is_refused(self) -> None:
        """Nobody takes a seat by POST when joins are required; a third is refused when they are not."""
        self.assertEqual(switchboard.post(room_of("a"), 0, LIMITS, "x", "m").result, switchboard.NOT_JOINED)
        answer = switchboard.post(room_of("a", "b"), 0, LIMITS, "x", "m", require_join=False)
        self.assertEqual(answer.result, switchboard.NO_ROOM)


class History(RuleBasedStateMachine):
    """Any order of joins, registrations, byes, losses, leaves, deletes and clock steps."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Room()
        self.now = 0.0
        self.next_id = 0
        self.joined: dict[str, bool] = {}
        self.sockets: set[str] = set()

    def _take(self, outcome: Outcome[object]) -> object:
        for effect in outcome.effects:
            if isinstance(effect, Attach):
                self.sockets.add(effect.client)
            elif isinstance(effect, Close):
                self.sockets.discard(effect.client)
            else:
                assert not isinstance(effect, Inform), "an app was told of pages"
                assert effect.client in self.sockets, "a message went to a client without a socket"
        self.room = outcome.room
        return outcome.result

    def _any(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.joined)))

    @rule()
    def join(self) -> None:
        """A new client comes."""
        name = f"c{self.next_id}"
        self.next_id += 1
        result = self._take(rooms.join(self.room, self.now, LIMITS, name))
        assert isinstance(result, rooms.Joined)
        if result.result == "SUCCESS":
            assert result.is_initiator == (len(self.room.clients) == 1)
            self.joined[name] = True
        else:
            assert len(self.room.clients) == 2

    @precondition(lambda self: self.joined)
    @rule(data=st.data())
    def register(self, data: st.DataObject) -> None:
        """A member's registration never fails for lack of room."""
        name = self._any(data)
        seated = self.room.client(name)
        alive = name in self.sockets
        result = self._take(switchboard.register(self.room, self.now, LIMITS, name))
        if seated is not None:
            assert result == (switchboard.DUPLICATE if alive else None)

    @precondition(lambda self: self.joined)
    @rule(data=st.data(), bye=st.booleans())
    def send(self, data: st.DataObject, bye: bool) -> None:
        """A message or a bye over the socket, if there is one."""
        name = self._any(data)
        if name in self.sockets:
            self._take(switchboard.send(self.room, self.now, LIMITS, name, BYE if bye else '{"type":"candidate"}'))

    @precondition(lambda self: self.joined)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """A socket ends."""
        name = self._any(data)
        if name in self.sockets:
            self.sockets.discard(name)
            self._take(switchboard.lost(self.room, self.now, LIMITS, name))

    @precondition(lambda self: self.joined)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """The seat is free at once."""
        name = self._any(data)
        self._take(rooms.leave(self.room, self.now, LIMITS, name))
        assert self.room.client(name) is None

    @precondition(lambda self: self.joined)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Gone for good."""
        name = self._any(data)
        self._take(switchboard.delete(self.room, self.now, name))
        assert self.room.client(name) is None
        assert name not in self.sockets

    @rule(seconds=st.sampled_from([-30, 1, 5, 11, 50]))
    def wait(self, seconds: int) -> None:
        """Time passes, or the clock steps."""
        self.now += seconds
        self._take(rooms.expire(self.room, self.now, LIMITS))

    @invariant()
    def sockets_and_seats_agree(self) -> None:
        """One table: who is registered has a socket, and nobody sits twice."""
        names = [one.id for one in self.room.clients]
        assert len(set(names)) == len(names) <= 2
        assert {one.id for one in self.room.clients if one.registered} <= self.sockets
        assert {one.id for one in self.room.departed if one.registered} <= self.sockets
        alive = {one.id for one in self.room.clients if one.registered}
        assert self.sockets <= alive | {one.id for one in self.room.departed if one.registered}

    def teardown(self) -> None:
        """Whatever happened, the room ends empty once everybody's time is over."""
        for name in list(self.sockets):
            self.sockets.discard(name)
            self._take(switchboard.lost(self.room, self.now, LIMITS, name))
        self.now += 10**6
        self._take(rooms.expire(self.room, self.now, LIMITS))
        assert self.room.empty


class HistoryTests(SynchronousTestCase):
    """Runs the state machine."""

    def test_no_history_breaks_the_table(self) -> None:
        """Section 11's invariants hold after every step."""
        case = History.TestCase
        case.settings = settings(max_examples=90, stateful_step_count=30, deadline=None, derandomize=True)
        result = case("runTest").run()
        self.assertEqual([*result.errors, *result.failures] if result else [], [])


class OneByeTests(SynchronousTestCase):
    """A peer that stays registered is told exactly once, in every order of a leaver's four steps."""

    def test_every_order_of_leave_bye_close_and_delete_gives_one_bye(self) -> None:
        """Also when some of the four never come; the grace time settles the rest."""
        steps = ("leave", "bye", "close", "delete")
        for count in range(1, 5):
            for order in itertools.permutations(steps, count):
                room, alive, byes = room_of("a", "b"), True, 0
                for step in order:
                    outcome: Outcome[object]
                    if step == "leave":
                        outcome = rooms.leave(room, 0, LIMITS, "a")
                    elif step == "bye":
                        outcome = switchboard.send(room, 0, LIMITS, "a", BYE) if alive else Outcome(room, None)
                    elif step == "close":
                        outcome = switchboard.lost(room, 0, LIMITS, "a") if alive else Outcome(room, None)
                        alive = False
                    else:
                        outcome = switchboard.delete(room, 0, "a")
                    room = outcome.room
                    byes += outcome.effects.count(Deliver("b", BYE))
                    alive = alive and Close("a") not in outcome.effects
                if alive:
                    outcome = switchboard.lost(room, 1, LIMITS, "a")  # the client's machine goes at last
                    byes += outcome.effects.count(Deliver("b", BYE))
                    room = outcome.room
                outcome = rooms.expire(room, 100, LIMITS)
                byes += outcome.effects.count(Deliver("b", BYE))
                self.assertEqual(byes, 1, order)
                self.assertEqual([one.id for one in outcome.room.clients], ["b"], order)
                self.assertEqual(outcome.room.departed, (), order)
