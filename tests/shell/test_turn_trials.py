"""Users on trial: what the TURN service saw of them, what they may reach, and their end."""

from __future__ import annotations

from typing import Any

from rtcd.allocations.allocation import Traffic
from rtcd.peers.bound import MODES, TRIAL_CHARS, trial_user
from rtcd.stun.attributes import CHANNEL_NUMBER, DATA, LIFETIME, XOR_PEER_ADDRESS
from rtcd.stun.message import Class, Message, Method, encode
from rtcd.turn.sightings import Sight
from tests.fakes_turn import UDP, code_of
from tests.shell.test_turn_service import ServiceTestCase

USER = trial_user("0123456789abcdef")
OWN = ("127.0.0.1", 40001)
"""A relay of ours."""
STRANGER = ("8.8.8.8", 4000)


class TrialTests(ServiceTestCase):
    """As rtcd.check has them, with credentials of the daemon."""

    def ask_desk(self, topic: str, *given: Any) -> Any:
        """Ask the service."""
        return self.context.desk.ask(topic, *given)

    def as_user(self, method: Method, *attributes: bytes, user: str = USER) -> Message:
        """The answer to a request with a credential of this user."""
        made = self.context.credentials.issue(user, self.reactor.seconds(), 120)
        return self.request(method, *attributes, user=made.username, password=made.password)

    def peer(self, address: tuple[str, int]) -> bytes:
        """An attribute."""
        return XOR_PEER_ADDRESS.encode(address, bytes(12))

    def codes(self, address: tuple[str, int], channel: int, user: str = USER) -> list[int]:
        """Of a permission and of a channel for this peer."""
        return [code_of(self.as_user(Method.CREATE_PERMISSION, self.peer(address), user=user)),
                code_of(self.as_user(Method.CHANNEL_BIND, CHANNEL_NUMBER.encode(channel), self.peer(address), user=user))]

    def test_what_arrives_of_a_user_is_told(self) -> None:
        """His first words by his host, the others by his name, and that he got a relay."""
        self.start()
        self.ask(encode(Method.BINDING, Class.REQUEST, bytes(12)))
        self.assertTrue(self.ask_desk("turn.look", "127.0.0.1", USER, self.reactor.seconds() + 60))
        self.assertEqual(self.ask_desk("turn.looked", USER), [])
        self.assertEqual(code_of(self.as_user(Method.ALLOCATE, UDP)), 0)
        port = self.server()[1]
        self.assertEqual(self.ask_desk("turn.looked", USER), [
            Sight("turn", "udp", port, asked=1, named=1, answered=2, allocated=True)])

    def test_a_refusal_is_told_with_its_code(self) -> None:
        self.start()
        self.ask_desk("turn.look", "127.0.0.1", USER, self.reactor.seconds() + 60)
        self.request(Method.ALLOCATE, UDP, user=f"1800000000:{USER}", password="wrong")
        (sight,) = self.ask_desk("turn.looked", USER)
        self.assertEqual((sight.named, sight.code, sight.allocated), (1, 401, False))

    def test_a_user_on_trial_reaches_our_own_relays_and_nothing_else(self) -> None:
        """In every mode of the policy, where others of a time-limited name reach strangers, or nobody."""
        for mode in MODES:
            self.start(peer_policy=mode, allow_loopback_peers=True)
            self.assertEqual(code_of(self.as_user(Method.ALLOCATE, UDP)), 0)
            self.assertEqual(self.codes(OWN, 0x4000), [0, 0], mode)
            self.assertEqual(self.codes(STRANGER, 0x4001), [403, 403], mode)
            self.ask_desk("turn.forget", USER)
            self.context.credentials.generation += 1
            other = "somebody"
            self.assertEqual(code_of(self.as_user(Method.ALLOCATE, UDP, user=other)), 0)
            self.assertEqual(self.codes(STRANGER, 0x4001, other), [403, 403] if mode == "strict" else [0, 0], mode)
            self.tearDownService()

    def tearDownService(self) -> None:
        """End the one that runs, so that another may start."""
        for service in self.started:
            self._stop(service)

    def start(self, **options: Any) -> Any:
        """A running one, whose end we may want."""
        self.started = [super().start(**options)]
        return self.started[0]

    def test_what_a_user_on_trial_sends_to_others_is_dropped(self) -> None:
        """A Send indication, even where a permission would be there."""
        service = self.start(allow_loopback_peers=True)
        self.as_user(Method.ALLOCATE, UDP)
        (allocation,) = service._server.allocations
        allocation.permit(STRANGER[0], self.reactor.seconds() + 60)
        self.ask(encode(Method.SEND, Class.INDICATION, bytes(12), [self.peer(STRANGER), DATA.encode(b"x")]))
        self.assertEqual(self.ask_desk("turn.allocations", 0, 9)[0].traffic, Traffic())
        dropped = [one for one in self.context.metrics.samples() if ("reason", "unsignalled-peer") in one.labels]
        self.assertEqual([one.value for one in dropped], [1])

    def test_the_end_of_a_trial_is_the_end_of_its_relays_and_of_its_credential(self) -> None:
        """At once, and nobody looks any more."""
        self.start()
        self.ask_desk("turn.look", "127.0.0.1", USER, self.reactor.seconds() + 60)
        self.as_user(Method.ALLOCATE, UDP)
        self.ask_desk("turn.forget", USER)
        self.assertEqual((self.ask_desk("turn.allocations", 0, 9), self.ask_desk("turn.looked", USER)), ([], []))
        self.assertEqual(code_of(self.as_user(Method.ALLOCATE, UDP)), 401)
        self.assertEqual(code_of(self.as_user(Method.REFRESH, LIFETIME.encode(600))), 401)

    def test_a_static_user_of_such_a_name_is_nobody_on_trial(self) -> None:
        """And a name that only begins so is none either."""
        self.start(user=(f"{USER}:p",))
        self.assertEqual(code_of(self.request(Method.ALLOCATE, UDP, user=USER)), 0)
        self.assertEqual(code_of(self.request(Method.CREATE_PERMISSION, self.peer(STRANGER), user=USER)), 0)
        self.assertEqual(len(USER), len("check-") + TRIAL_CHARS)

    def test_a_service_that_does_not_run_has_seen_nothing(self) -> None:
        service = self.start()
        self.ask_desk("turn.look", "127.0.0.1", USER, self.reactor.seconds() + 60)
        service.stopService()
        self.ask_desk("turn.forget", USER)
        self.assertEqual(self.ask_desk("turn.looked", USER), [])
