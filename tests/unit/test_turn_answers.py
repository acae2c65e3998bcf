"""Answers that are given again to requests that come again (RFC 8489 §6.3.1)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import FiveTuple
from rtcd.stun.attributes import DATA, LIFETIME
from rtcd.stun.message import Method
from rtcd.turn import answers
from rtcd.turn.answers import KEPT_S, MAX_ANSWERS
from rtcd.turn.request import Rules
from tests.fakes_turn import SERVER, UDP, Client, World, code_of

ID = bytes(12)
ZERO = LIFETIME.encode(0)


class AnswerTests(SynchronousTestCase):
    """One client after another."""

    def setUp(self) -> None:
        """A world for two allocations of a user."""
        self.world = World(Rules(user_quota=2))
        self.client = self.world.client()

    def test_a_repeated_end_is_answered_as_the_first_time(self) -> None:
        self.client.allocate()
        request = self.client.signed(Method.REFRESH, ZERO)
        first = self.client.raw(request)
        self.assertEqual(self.client.raw(request), first)
        self.assertEqual(self.world.observer.answers[-2:], [(Method.REFRESH, 0)] * 2)

    def test_it_does_not_end_the_next_allocation(self) -> None:
        self.client.allocate()
        request = self.client.signed(Method.REFRESH, ZERO)
        self.client.raw(request)
        self.client.allocate()
        self.client.raw(request)
        self.assertEqual(self.client.refresh(600), 0)

    def test_a_repeated_allocate_makes_no_allocation_after_the_first_has_ended(self) -> None:
        """A datagram that came twice by itself, late."""
        request = self.client.signed(Method.ALLOCATE, UDP)
        first = self.client.raw(request)
        self.client.refresh(0)
        self.assertEqual((self.client.raw(request), len(self.world.server.allocations)), (first, 0))

    def test_a_refused_allocate_stays_refused(self) -> None:
        """Its client has given it up; what was made now would be nobody's."""
        self.world.plane.fault = OSError()
        request = self.client.signed(Method.ALLOCATE, UDP)
        self.assertEqual(code_of(self.client.answer(request)), 508)
        self.world.plane.fault = None
        self.assertEqual(code_of(self.client.answer(request)), 508)
        self.assertEqual(self.world.observer.answers[-1], (Method.ALLOCATE, 508))
        self.client.allocate()

    def test_another_request_under_the_same_id_is_a_new_one(self) -> None:
        self.world.plane.fault = OSError()
        self.client.code(Method.ALLOCATE, UDP, transaction_id=ID)
        self.world.plane.fault = None
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP, LIFETIME.encode(700), transaction_id=ID), 0)

    def test_it_is_the_answer_of_its_five_tuple(self) -> None:
        """Another client with the same id and nonce is another client."""
        other = self.world.client(2)
        self.client.allocate(transaction_id=ID)
        self.client.refresh(0)
        other.allocate(transaction_id=ID)
        self.assertEqual(other.refresh(600), 0)

    def test_after_its_time_an_answer_is_forgotten_and_if_the_clock_steps_back(self) -> None:
        for step in (KEPT_S, -1.0):
            client = self.world.client(50)
            client.allocate()
            request = client.signed(Method.REFRESH, ZERO)
            client.raw(request)
            self.world.now += 5
            request = client.signed(Method.REFRESH, ZERO)
            self.world.now += step
            self.assertNotEqual(code_of(client.answer(request)), 0)
            self.world.now += 10000

    def test_the_very_same_request_is_a_new_one_after_its_time(self) -> None:
        """One after that, or before it if the clock stepped back, is carried out."""
        for step, same in ((KEPT_S - 1, True), (KEPT_S, False), (-1.0, False)):
            client = World().client()
            client.allocate()
            request = client.signed(Method.REFRESH, ZERO)
            client.raw(request)
            client.world.nonces.lifetime_s = 3600
            client.world.now += step
            nonce_is_stale = step < 0
            expected = 0 if same else 438 if nonce_is_stale else 437
            self.assertEqual(code_of(client.answer(request)), expected, step)

    def test_an_allocation_is_told_again_though_its_answer_is_forgotten(self) -> None:
        """Its own request gets its own answer as long as it lives (RFC 8656 §7.2)."""
        request = self.client.signed(Method.ALLOCATE, UDP)
        first = self.client.raw(request)
        self.world.now += KEPT_S
        self.assertEqual((self.client.raw(request), len(self.world.server.allocations)), (first, 1))
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP), 437)

    def test_nothing_is_kept_of_strangers_and_of_what_may_be_done_twice(self) -> None:
        self.client.ask(Method.ALLOCATE, UDP, nonce="x")
        self.client.password = "wrong"
        self.client.ask(Method.ALLOCATE, UDP)
        self.assertEqual(len(self.world.server.answers), 0)
        self.client.password = "p"
        self.client.allocate()
        self.client.refresh(600)
        self.client.permit(("8.8.8.8", 1))
        self.client.bind(0x4000)
        self.client.ask(Method.REFRESH, b"\0\x0d\0\0")
        self.assertEqual(len(self.world.server.answers), 1)

    def test_nothing_is_kept_of_streams(self) -> None:
        """Nothing is lost there, so nothing comes twice."""
        client = Client(self.world, FiveTuple("tcp", ("192.0.2.7", 1), SERVER))
        client.allocate()
        client.refresh(0)
        self.assertEqual(len(self.world.server.answers), 0)

    def test_the_oldest_answers_are_forgotten_beyond_so_many(self) -> None:
        self.patch(answers, "MAX_ANSWERS", 3)
        requests = [self.client.signed(Method.ALLOCATE, DATA.encode(bytes((number,)))) for number in range(5)]
        for one in requests:
            self.client.raw(one)
        self.assertEqual(len(self.world.server.answers), 3)
        self.assertEqual(next(iter(self.world.server.answers._table))[1], requests[2][8:20])
        self.assertGreater(MAX_ANSWERS, 1000)

    def test_old_ones_make_room_though_there_are_not_so_many(self) -> None:
        for _ in range(3):
            self.client.ask(Method.ALLOCATE)
            self.world.now += KEPT_S
        self.assertEqual(len(self.world.server.answers), 1)
