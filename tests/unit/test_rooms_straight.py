"""Who may be given a text without more ado: whenever `straight` says so, the rules come to just that."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.rooms.outcome import Deliver, Said, news
from rtcd.rooms.records import Card, Client, Departed, Limits, Mesh, Room
from rtcd.rooms.room import may_be_bye, straight
from rtcd.rooms.snapshot import notices
from rtcd.signaling import switchboard

IDS = ("a", "b", "c")
LIMITS = Limits()

clients = st.builds(
    Client, id=st.sampled_from(IDS), registered=st.booleans(), told=st.booleans(), owed_bye=st.booleans(),
    queue=st.sampled_from([(), ("waits",)]), held=st.sampled_from([(), ("held",)]),
    page=st.sampled_from([None, Card("0123456789abcdef", "Ann"), Card("fedcba9876543210")]))
departed = st.builds(
    Departed, id=st.sampled_from(IDS), owed=st.sampled_from([(), ("a",), ("b",)]), registered=st.booleans(),
    deadline=st.just(10.0))
rooms = st.builds(
    Room, clients=st.lists(clients, max_size=3, unique_by=lambda one: one.id).map(tuple),
    departed=st.lists(departed, max_size=1).map(tuple), loopback=st.booleans(), changed_at=st.just(1.0),
    mesh=st.sampled_from([None, Mesh("0123456789abcdef")]))
texts = st.one_of(st.text(), st.sampled_from(['{"type":"bye"}', '{"type":"candidate"}', " bye ", "goodbye" * 60]))


class StraightTests(SynchronousTestCase):
    """Against `rtcd.signaling.switchboard.send`."""

    @given(rooms, st.sampled_from(IDS), texts)
    @example(Room((Client("a", registered=True), Client("b", registered=True))), "a", '{"type":"candidate"}')
    def test_it_is_all_that_the_rules_do(self, room: Room, client: str, text: str) -> None:
        """The room stays the very one, nothing is refused, and effects and news are these alone."""
        others = straight(room, client)
        if others is None or may_be_bye(text):
            return
        outcome = switchboard.send(room, 2.0, LIMITS, client, text)
        self.assertIs(outcome.room, room)
        self.assertIsNone(outcome.result)
        self.assertEqual(outcome.effects, tuple(Deliver(one, text) for one in others))
        self.assertEqual(news(room, outcome), (Said(client, text),))
        self.assertEqual(notices(room, outcome, LIMITS), ())

    def test_a_call_of_two_has_it(self) -> None:
        """In both directions; alone, before the other has a socket, and behind a bye there is more to do."""
        first, second = Client("a", registered=True), Client("b", registered=True)
        room = Room((first, second))
        self.assertEqual((straight(room, "a"), straight(room, "b")), (("b",), ("a",)))
        for other in (Room(), Room((first,)), Room((first, Client("b"))),
                      Room((Client("a", registered=True, told=True), second)),
                      Room((first, second), (Departed("a", (), True, 10.0),))):
            self.assertIsNone(straight(other, "a"))

    def test_what_may_be_a_bye_is_looked_into(self) -> None:
        """However it is written, as far as the rules look."""
        for text in ('{"type":"bye"}', ' { "type" : "bye" } ', '{"a":"bye"}'):
            self.assertTrue(may_be_bye(text))
        self.assertFalse(may_be_bye('{"type":"candidate"}'))
