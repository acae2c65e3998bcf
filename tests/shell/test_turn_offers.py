"""What the TURN service offers over the desk."""

from __future__ import annotations

import hmac
from typing import Any

from rtcd.allocations.account import Account
from rtcd.allocations.allocation import Traffic
from rtcd.auth.nonce import OwnQuestions
from rtcd.stun.attributes import CHANNEL_NUMBER, XOR_PEER_ADDRESS
from rtcd.stun.message import Class, Method, encode
from rtcd.turn.service import TurnService
from rtcd.turn.settings import Settings
from tests.fakes_turn import UDP, code_of
from tests.shell.test_turn_service import LOOPBACK, ServiceTestCase


class OfferTests(ServiceTestCase):
    """Listing and ending allocations."""

    def allocate(self) -> int:
        """Make one; the error code."""
        return code_of(self.request(Method.ALLOCATE, UDP))

    def accounts(self, after: int = 0, limit: int = 10) -> Any:
        """The list."""
        return self.context.desk.ask("turn.allocations", after, limit)

    def test_an_allocation_is_shown_without_addresses_of_client_and_peer(self) -> None:
        self.start(allow_loopback_peers=True)
        self.assertEqual(self.allocate(), 0)
        peer = XOR_PEER_ADDRESS.encode(("127.0.0.1", 9), bytes(12))
        self.request(Method.CREATE_PERMISSION, peer)
        self.request(Method.CHANNEL_BIND, CHANNEL_NUMBER.encode(0x4000), peer)
        (found,) = self.accounts()
        self.assertIsInstance(found, Account)
        self.assertEqual((found.number, found.user, found.transport, found.peers, found.channels, found.traffic),
                         (1, "u", "udp", 1, 1, Traffic()))
        self.assertEqual((len(found.relayed), found.expires_at), (1, self.reactor.seconds() + 600))
        self.assertNotIn(str(self.client.getsockname()[1]), repr(found))
        self.reactor.advance(301)
        self.assertEqual((self.accounts()[0].peers, self.accounts()[0].channels), (0, 1))

    def test_lists_are_bounded_and_go_on_behind_a_number(self) -> None:
        service = self.start()
        self.assertEqual(self.allocate(), 0)
        server: Any = service._server
        first = server.allocations.get(next(iter(server.allocations)).five_tuple)
        for number in range(5):
            other = type(first)(first.five_tuple._replace(client=("127.0.0.2", number)), "v", "v", b"", "n", bytes(12))
            server.allocations.add(other)
            self.addCleanup(server.allocations.remove, other)
        self.assertEqual([one.number for one in self.accounts(0, 4)], [1, 2, 3, 4])
        self.assertEqual([one.number for one in self.accounts(4, 4)], [5, 6])

    def test_one_is_ended_once(self) -> None:
        self.start()
        self.assertEqual(self.allocate(), 0)
        self.assertFalse(self.context.desk.ask("turn.end", 2))
        self.assertTrue(self.context.desk.ask("turn.end", 1))
        self.assertFalse(self.context.desk.ask("turn.end", 1))
        self.assertEqual((self.accounts(), code_of(self.request(Method.REFRESH))), ([], 437))
        self.assertEqual((self.allocate(), self.accounts()[0].number), (0, 2))

    def test_a_question_of_the_daemons_own_is_answered_beyond_the_limit(self) -> None:
        self.start(unauth_rate=0.001)
        requests = [encode(Method.BINDING, Class.REQUEST, one) for one in (
            bytes(12), bytes(12), self.context.desk.ask("turn.question"))]
        self.assertEqual([self.ask(one) is not None for one in requests], [True, False, True])

    def test_a_question_of_one_worker_is_answered_by_another(self) -> None:
        """They have one key for these too, which is not that of nonces."""
        self.context.desk.offer("workers.nonce-key", lambda: b"key")
        own: Any = self.start(unauth_rate=0.001)._server
        other = OwnQuestions(hmac.digest(b"key", b"own questions", "sha256"))
        self.assertTrue(own.own.knows(other.issue(1000.0), 1000.0))
        self.assertFalse(own.own.knows(OwnQuestions(b"key").issue(1000.0), 1000.0))

    def test_a_service_that_does_not_run_has_none(self) -> None:
        TurnService(self.context, Settings(**LOOPBACK), ["127.0.0.1"])
        self.assertEqual((self.accounts(), self.context.desk.ask("turn.end", 1)), ([], False))
