"""What whoever runs the daemon does to rooms, and what rooms that he has made demand of those who come."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.rooms import mesh, orders, seats
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import Declaration, hashed
from rtcd.rooms.outcome import Close, Deliver, Inform, Outcome
from rtcd.rooms.records import BYE, LOOPBACK_CLIENTS, Card, Limits, Room, Terms
from rtcd.rooms.snapshot import notices, snapshot
from rtcd.signaling import switchboard

LIMITS = Limits()
PASSWORD = hashed("sesame", b"salt")


class OrdersTests(SynchronousTestCase):
    """One room."""

    def setUp(self) -> None:
        self.room = Room()

    def do(self, change: Any, *arguments: Any, now: float = 10.0, **more: Any) -> Any:
        """Change the room; the result."""
        outcome: Outcome[Any] = change(self.room, now, *arguments, **more)
        self.effects, self.notices = outcome.effects, notices(self.room, outcome, LIMITS)
        self.room = outcome.room
        return outcome.result

    def page(self, name: str, **more: Any) -> Any:
        """Join as a page, and register if that succeeds."""
        asked = Declaration(Card(name * 16), more.pop("password", ""), more.pop("was", ""))
        joined = self.do(mesh.join, LIMITS, f"client-{name}", "192.0.2.1", asked, **more)
        if joined.result == "SUCCESS":
            self.do(switchboard.register, LIMITS, f"client-{name}")
        return joined

    def app(self, name: str, **more: Any) -> Any:
        """Join as an app, and register."""
        joined = self.do(rooms.join, LIMITS, name, "192.0.2.2", **more)
        if joined.result == "SUCCESS":
            self.do(switchboard.register, LIMITS, name)
        return joined

    def test_a_room_that_was_made_is_there_without_anybody_until_it_expires(self) -> None:
        self.assertTrue(self.do(orders.create, Terms(expires_at=1000.0)))
        self.assertFalse(self.room.empty)
        self.page("a")
        self.do(rooms.leave, LIMITS, "client-a")
        self.do(switchboard.delete, "client-a")
        self.assertEqual((self.room.clients, self.room.empty, rooms.next_deadline(self.room, LIMITS)), ((), False, 1000.0))
        self.do(rooms.expire, LIMITS, now=999.0)
        self.assertFalse(self.room.empty)
        self.do(rooms.expire, LIMITS, now=1000.0)
        self.assertTrue(self.room.empty)

    def test_its_expiry_closes_it_for_those_who_are_in(self) -> None:
        """Not the time since something happened, which may be shorter."""
        self.do(orders.create, Terms(expires_at=1e6))
        self.app("phone")
        self.do(rooms.expire, LIMITS, now=1e6 - 1)
        self.assertEqual(len(self.room.clients), 1)
        self.do(rooms.expire, LIMITS, now=1e6)
        self.assertEqual(self.effects, (Deliver("phone", BYE), Close("phone")))

    def test_a_name_that_is_in_use_is_not_made_again(self) -> None:
        self.app("phone")
        before = self.room
        self.assertFalse(self.do(orders.create, Terms(expires_at=1000.0)))
        self.assertIs(self.room, before)

    def test_what_is_unknown_is_told_and_left_alone(self) -> None:
        for change, more in ((orders.lock, {"on": True}), (orders.force_relay, {"on": True}), (orders.end, {}),
                             (orders.kick, {"chosen": lambda one: True})):
            self.assertFalse(self.do(change, **more))
            self.assertEqual(self.room, Room())

    def test_capacity_is_the_rooms_own(self) -> None:
        self.do(orders.create, Terms(expires_at=1000.0, capacity=2))
        self.page("a")
        self.assertEqual(self.page("b").snapshot["capacity"], 2)
        refused = self.page("c")
        self.assertEqual((refused.result, refused.reason, refused.capacity), ("FULL", "full", 2))
        self.assertEqual(self.do(lambda one, now: seats.foreseen(one, now, LIMITS)), "full")

    def test_the_password_is_asked_of_the_first_and_after_everybody_left(self) -> None:
        """A host may do without it meanwhile."""
        self.do(orders.create, Terms(expires_at=1000.0, password=PASSWORD))
        self.assertEqual((self.page("a"), self.app("phone").result), (mesh.WRONG_PASSWORD, "FULL"))
        self.assertTrue(self.page("a", password="sesame").snapshot["password"])
        self.assertEqual(self.page("b", password="wrong"), mesh.WRONG_PASSWORD)
        self.do(mesh.command, LIMITS, "client-a", mesh.Guard(""), b"salt")
        self.assertFalse(self.page("b").snapshot["password"])
        for client in ("client-a", "client-b"):
            self.do(switchboard.delete, client)
        self.assertEqual(self.page("c"), mesh.WRONG_PASSWORD)

    def test_an_invitation_lets_in_where_one_is_needed_and_takes_the_place_of_the_password(self) -> None:
        self.do(orders.create, Terms(expires_at=1000.0, invited_only=True, password=PASSWORD))
        self.assertEqual((self.page("a"), self.page("a", shown="expired")), (mesh.NOT_INVITED, mesh.INVITED_ONCE))
        self.assertEqual(self.page("a", password="sesame"), mesh.NOT_INVITED)
        self.assertEqual((self.app("phone").result, self.do(switchboard.register, LIMITS, "x", require_join=False)),
                         ("FULL", switchboard.NO_ROOM))
        self.assertEqual(self.page("a", shown="good").result, "SUCCESS")
        self.assertEqual(self.app("phone", invited=True).result, "SUCCESS")

    def test_who_was_let_in_before_needs_no_invitation_again(self) -> None:
        self.do(orders.create, Terms(expires_at=1000.0, invited_only=True))
        self.page("a", shown="good")
        self.page("b", shown="good")
        self.do(rooms.leave, LIMITS, "client-b")
        self.do(switchboard.delete, "client-b")
        joined = self.do(mesh.join, LIMITS, "again", "", Declaration(Card("b" * 16), was="client-b"))
        self.assertEqual(joined.result, "SUCCESS")

    def test_a_lock_holds_against_invitations_and_against_the_host(self) -> None:
        self.page("a")
        self.assertTrue(self.do(orders.lock, on=True))
        self.assertEqual([(one.client, json.loads(one.text)["locked"]) for one in self.notices], [("client-a", True)])
        self.do(mesh.command, LIMITS, "client-a", mesh.Lock(False), b"")
        self.assertEqual((self.page("b", shown="good").reason, self.app("phone", invited=True).result), ("locked", "FULL"))
        self.do(mesh.command, LIMITS, "client-a", mesh.Lock(True), b"")
        self.do(orders.lock, on=False)
        self.assertEqual(self.page("b").result, "SUCCESS")

    def test_a_lock_that_is_there_is_no_change(self) -> None:
        self.app("phone")
        self.do(orders.lock, on=True)
        before = self.room
        self.assertTrue(self.do(orders.lock, on=True))
        self.assertIs(self.room, before)
        self.assertEqual(self.app("other").result, "FULL")

    def test_relays_alone_are_told_to_pages_at_once_and_to_others_when_they_join(self) -> None:
        self.page("a")
        self.assertNotIn("relay", snapshot(self.room, LIMITS))
        self.do(orders.force_relay, on=True)
        self.assertEqual([json.loads(one.text)["relay"] for one in self.notices], [True])
        self.assertTrue(self.page("b").snapshot["relay"])
        self.do(switchboard.delete, "client-b")
        self.assertTrue(self.app("phone").relay_only)
        self.do(orders.force_relay, on=False)
        self.assertFalse(self.room.terms.relay_only)

    def test_who_is_kicked_is_told_and_a_stranger(self) -> None:
        self.page("a")
        self.page("b")
        self.assertTrue(self.do(orders.kick, lambda one: one.tag == "b" * 16))
        self.assertEqual(self.effects, (Inform("client-b", '{"event":"kicked"}'), Close("client-b")))
        self.assertEqual(json.loads(self.notices[0].text)["gone"], {"b" * 16: "kicked"})
        self.do(orders.lock, on=True)
        self.assertEqual(self.page("b", was="client-b").reason, "locked")

    def test_an_app_is_kicked_from_a_room_without_pages(self) -> None:
        self.app("phone")
        self.app("other")
        self.assertTrue(self.do(orders.kick, lambda one: one.id == "other"))
        self.assertEqual(self.effects, (Deliver("other", BYE), Close("other"), Deliver("phone", BYE)))

    def test_a_loopback_call_is_one_client(self) -> None:
        self.app("me", loopback=True)
        self.assertFalse(self.do(orders.kick, lambda one: one.id in LOOPBACK_CLIENTS))
        self.assertTrue(self.do(orders.kick, lambda one: True))
        self.assertEqual(self.room.clients, ())

    def test_to_end_a_room_tells_everybody_and_forgets_its_terms(self) -> None:
        self.do(orders.create, Terms(expires_at=1000.0, password=PASSWORD))
        self.page("a", password="sesame")
        self.assertTrue(self.do(orders.end))
        self.assertEqual((self.effects, self.room.empty, self.room.terms), ((Close("client-a"),), True, Terms()))

    def test_terms_of_a_room_that_was_not_made_end_with_it(self) -> None:
        self.app("phone")
        self.do(orders.lock, on=True)
        self.do(switchboard.delete, "phone")
        self.assertTrue(self.room.empty)
