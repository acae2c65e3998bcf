"""Rooms and relays together: a credential lives as long as its seat, and a relay reaches whom its room signalled."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from rtcd.ice.credentials import Credentials
from rtcd.rooms import room as rooms
from rtcd.rooms.outcome import Outcome
from rtcd.rooms.records import Room
from rtcd.rooms.seats import forget
from rtcd.stun.attributes import LIFETIME, XOR_PEER_ADDRESS
from rtcd.stun.message import Method
from rtcd.turn.service import Settings, TurnService
from tests.fakes_calls import Android, Caller, IPhone, MeshPage, Server
from tests.fakes_turn import UDP, code_of
from tests.shell.test_turn_service import LOOPBACK, ServiceTestCase


class RoomTestCase(ServiceTestCase):
    """A room server and a TURN service that share a Context."""

    def setUp(self) -> None:
        super().setUp()
        self.calls = Server(self)
        self.reactor, self.context = self.calls.clock, self.calls.context
        for one in list(self.context.doorway.directory.listeners("turn")):
            self.context.doorway.directory.closed(one)  # those of nobody
        self.service: TurnService = self.start(user=())

    def join(self, room: str = "room1", app: Any = Android) -> Any:
        """One who has joined, with the credential that it got by its app's way as ``turn``."""
        caller = app(self.calls, room)
        caller.start()
        caller.turn = self.credential(caller)
        return caller

    def credential(self, caller: Any) -> dict[str, str]:
        """User and password from the lookup."""
        turn = caller.ice()["iceServers"][0]
        return {"user": turn["username"], "password": turn["credential"]}

    def allocate(self, caller: Any) -> int:
        """The error code of an Allocate; the relay before has another client's port and lives on."""
        answer = self.request(Method.ALLOCATE, UDP, **caller.turn)
        return code_of(answer)

    def permit(self, caller: Any, host: str) -> int:
        """The error code of a CreatePermission on the relay of the current client socket."""
        peer = XOR_PEER_ADDRESS.encode((host, 0), bytes(12))  # an IPv4 address is hidden by the cookie alone
        return code_of(self.request(Method.CREATE_PERMISSION, peer, **caller.turn))

    def figure(self, name: str, **labels: str) -> float:
        """One of the metrics."""
        return sum(float(one.value) for one in self.context.metrics.samples()
                   if one.name == name and labels.items() <= dict(one.labels).items())

    @property
    def relays(self) -> float:
        """How many are open."""
        return self.figure("rtcd_turn_allocations_open")


class Leaving(RoomTestCase):
    """What ends a seat ends its relays."""

    def check_gone(self, caller: Caller) -> None:
        """No relay is open, and none can be made."""
        self.assertEqual((self.relays, self.allocate(caller)), (0, 401))
        self.assertEqual(self.figure("rtcd_turn_auth_failures_total"), 0)

    def test_leaving_ends_them_at_once(self) -> None:
        """No timer has to pass."""
        caller = self.join()
        self.assertEqual((self.allocate(caller), self.relays), (0, 1))
        caller.leave()
        self.check_gone(caller)

    def test_every_way_of_hanging_up_ends_them(self) -> None:
        for hang_up in (Android.hang_up, Caller.hang_up):
            caller = self.join()
            self.assertEqual((self.allocate(caller), self.relays), (0, 1))
            hang_up(caller)
            self.check_gone(caller)

    def test_a_crash_ends_them_when_the_grace_time_is_over(self) -> None:
        """Who comes back before keeps them; the peer's are not touched."""
        peer, caller = self.join(), self.join()
        self.assertEqual(self.allocate(caller), 0)
        caller.crash()
        self.calls.wait(9.9)
        caller.open()
        caller.register()
        self.calls.wait(30)
        self.assertEqual((self.relays, code_of(self.request(Method.REFRESH, LIFETIME.encode(600), **caller.turn))), (1, 0))
        caller.crash()
        self.calls.wait(9.9)
        self.assertEqual(self.relays, 1)
        self.calls.wait(0.2)
        self.check_gone(caller)
        self.assertEqual(self.allocate(peer), 0)
        peer.hang_up()

    def test_one_that_never_opened_its_socket_loses_them_with_its_seat(self) -> None:
        caller: Any = Android(self.calls, "room1")
        caller.join()
        caller.turn = self.credential(caller)
        self.assertEqual(self.allocate(caller), 0)
        self.calls.wait(45.1)
        self.check_gone(caller)

    def test_being_removed_by_whatever_rule_ends_them(self) -> None:
        """A change that takes the seat, as one who administers the rooms would make it; the end of the room."""
        def remove(room: Room, now: float) -> Outcome[None]:
            after, effects = forget(room, room.clients[0], "kicked")
            return Outcome(after, None, effects)

        for change in (remove, rooms.close):
            caller = self.join()
            self.assertEqual(self.allocate(caller), 0)
            self.successResultOf(Deferred.fromCoroutine(self.calls.rooms.update("room1", change)))
            self.check_gone(caller)

    def test_a_page_that_is_kicked_loses_them(self) -> None:
        """And one whose seat is taken over; not one that is within its grace time."""
        host: Any = MeshPage(self.calls, "room1", "a")
        host.start()
        page: Any = MeshPage(self.calls, "room1", "b")
        page.start()
        page.turn = self.credential(page)
        self.assertEqual(self.allocate(page), 0)
        page.crash()
        self.calls.wait(29)
        self.assertEqual(self.relays, 1)
        again = page.again()
        again.start()
        self.check_gone(page)
        again.turn = self.credential(again)
        self.assertEqual((self.allocate(again), self.relays), (0, 1))
        host.command("kick", to=again.tag)
        self.check_gone(again)

    def test_a_credential_of_no_room_stays(self) -> None:
        """iOS asks before it joins."""
        caller = self.join(app=IPhone)
        self.assertEqual(self.allocate(caller), 0)
        caller.hang_up()
        self.assertEqual((self.relays, code_of(self.request(Method.REFRESH, LIFETIME.encode(0), **caller.turn))), (1, 0))
        self.assertEqual(self.allocate(caller), 0)

    def test_a_new_secret_lets_nobody_keep_what_was_given_under_the_old_one(self) -> None:
        """Neither while both are valid nor when the old one has gone."""
        for secrets in (("another secret", "a secret of the test"), ("a third secret",)):
            caller = self.join()
            self.assertEqual(self.allocate(caller), 0)
            self.context.credentials.take(Credentials(secrets, 43200))
            caller.leave()
            self.assertEqual(self.relays, 0)
            caller.hang_up()

    def test_news_after_the_end_are_harmless(self) -> None:
        """The rooms are closed after the relays."""
        caller = self.join()
        self.service.stopService()
        caller.hang_up()
        self.assertEqual(self.listeners(), [])


class Reaching(RoomTestCase):
    """[turn] peer-policy"""

    def setUp(self) -> None:
        super().setUp()
        self.settings = Settings(**LOOPBACK)
        self.policy("strict")

    def policy(self, mode: str) -> set[str]:
        """Reload with another one; the keys that were taken over."""
        before, self.settings = self.settings, Settings(**LOOPBACK, peer_policy=mode)
        return self.calls.reloads.apply("turn", before, self.settings)

    def test_who_was_there_before_it_began_is_known(self) -> None:
        """As after a start while rooms are kept elsewhere: where each came from, and what he said that still waits."""
        first = self.join()
        first.post(self.candidate("8.8.8.1"))
        self.service.stopService()
        self.service._bound.__init__(self.context.credentials, "strict")  # type: ignore[misc] # as another process
        self.service.privilegedStartService()
        self.service.startService()
        self.assertEqual((self.allocate(first), self.permit(first, "8.8.8.1"), self.permit(first, "8.8.8.2")), (0, 0, 403))
        first.leave()
        self.assertEqual(self.allocate(first), 401)

    def candidate(self, host: str) -> dict[str, Any]:
        """A message of every app."""
        return {"type": "candidate", "label": 0, "id": "audio", "candidate": f"candidate:1 1 udp 1 {host} 5 typ host"}

    def test_candidates_of_either_side_count_by_http_and_by_websocket(self) -> None:
        """Also those that were said while alone, before there was a relay; not those of another room."""
        first = self.join()
        offer = f"v=0\r\na={self.candidate('8.8.8.1')['candidate']}\r\n"
        self.assertEqual(first.post({"type": "offer", "sdp": offer}), "SUCCESS")
        second, stranger = self.join(), self.join("room2")
        second.send(self.candidate("8.8.8.2"))
        first.post(self.candidate("8.8.8.3"))
        stranger.post(self.candidate("8.8.8.4"))
        self.assertEqual(self.allocate(second), 0)
        self.assertEqual([self.permit(second, f"8.8.8.{number}") for number in range(1, 5)], [0, 0, 0, 403])
        second.leave()
        self.assertEqual(self.allocate(first), 0)
        self.assertEqual([self.permit(first, f"8.8.8.{number}") for number in range(1, 5)], [0, 403, 0, 403])

    def test_the_address_that_a_client_comes_from_counts(self) -> None:
        """As a peer-reflexive one would have it."""
        caller = self.join()
        self.assertEqual(self.allocate(caller), 0)
        address = self.calls.rooms._rooms["room1"].clients[0].address
        self.patch(self.service._server.policy, "refusal", lambda *_, **__: "")  # type: ignore[union-attr] # it runs
        self.assertEqual((self.permit(caller, address), self.permit(caller, "192.0.2.250")), (0, 403))

    def test_names_without_a_room_reach_nobody(self) -> None:
        """iOS's."""
        caller = self.join(app=IPhone)
        caller.send(self.candidate("8.8.8.8"))
        self.assertEqual((self.allocate(caller), self.permit(caller, "8.8.8.8")), (0, 403))

    def test_a_reload_changes_it_at_once_and_what_was_signalled_before_counts(self) -> None:
        """open, monitor and back; both kinds are counted."""
        self.assertEqual(self.policy("open"), {"peer-policy"})
        caller = self.join()
        caller.post(self.candidate("8.8.8.8"))
        self.assertEqual((self.allocate(caller), self.permit(caller, "8.8.4.4")), (0, 0))
        self.policy("monitor")
        self.assertEqual((self.permit(caller, "8.8.8.8"), self.permit(caller, "8.8.4.4")), (0, 0))
        self.policy("strict")
        self.assertEqual((self.permit(caller, "8.8.8.8"), self.permit(caller, "8.8.4.4")), (0, 403))
        counted = [self.figure("rtcd_turn_unsignalled_peers_total", verdict=one) for one in ("let-through", "refused")]
        self.assertEqual(counted, [1, 1])

    def test_a_line_a_minute_tells_of_a_user_and_none_of_addresses(self) -> None:
        events = self.logged()

        def lines() -> list[Any]:
            return [one for one in events if (one.get("log_format") or "").startswith("peers_unsignalled")]

        caller = self.join()
        self.allocate(caller)
        for _ in range(3):
            self.permit(caller, "8.8.8.8")
        self.assertEqual([(one["log_level"].name, one["user"], one["reason"], one["verdict"]) for one in lines()],
                         [("info", caller.turn["user"].partition(":")[2], "not-signalled", "refused")])
        each = [one for one in events if (one.get("log_format") or "").startswith("peer_unsignalled")]
        self.assertEqual([(one["log_level"].name, one["peer"]) for one in each], [("debug", "8.8.8.8:0")] * 3)
        self.assertNotIn("8.8.8.8", str(lines()))
        self.calls.wait(61)
        self.permit(caller, "8.8.8.8")
        self.assertEqual(len(lines()), 2)
