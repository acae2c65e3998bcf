"""Authentication of Binding, and allocations that end with their credentials: what an operator may add."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.stun.attributes import LIFETIME, NONCE, REALM, XOR_MAPPED_ADDRESS
from rtcd.stun.integrity import verify
from rtcd.stun.message import Class, Message, Method, encode
from rtcd.turn.request import Rules
from tests.fakes_turn import PEER, REALM_NAME, UDP, World, code_of


class BindingNeedsAUser(SynchronousTestCase):
    """The option stun-auth."""

    def setUp(self) -> None:
        self.world = World(Rules(stun_auth=True))
        self.client = self.world.client()

    def test_a_bare_binding_is_challenged_and_a_user_is_answered(self) -> None:
        challenge = self.client.answer(encode(Method.BINDING, Class.REQUEST, bytes(12)))
        self.assertEqual((code_of(challenge), challenge.get(REALM)), (401, REALM_NAME))
        answer = self.client.ask(Method.BINDING, nonce=challenge.get(NONCE))
        self.assertEqual(answer.get(XOR_MAPPED_ADDRESS), self.client.five_tuple.client)
        self.assertTrue(verify(answer.raw, answer.integrity_at, self.client.key()))

    def test_time_limited_names_are_users_too(self) -> None:
        credential = self.world.credentials.issue("w", self.world.now)
        self.client.username, self.client.password = credential.username, credential.password
        self.assertEqual(self.client.code(Method.BINDING), 0)

    def test_a_wrong_password_and_an_expired_name_are_refused(self) -> None:
        credential = self.world.credentials.issue("w", self.world.now - 3600)
        for name, password in (("u", "wrong"), (credential.username, credential.password)):
            self.client.username, self.client.password = name, password
            self.assertEqual(self.client.code(Method.BINDING), 401)

    def test_an_unknown_attribute_is_named_with_integrity(self) -> None:
        answer = self.client.ask(Method.BINDING, b"\x7f\1\0\0")
        self.assertEqual(code_of(answer), 420)
        self.assertTrue(verify(answer.raw, answer.integrity_at, self.client.key()))

    def test_the_owner_of_an_allocation_is_the_only_user_there(self) -> None:
        self.client.allocate()
        self.assertEqual(self.client.code(Method.BINDING), 0)
        self.client.username, self.client.password = "v", "q"
        self.assertEqual(self.client.code(Method.BINDING), 441)

    def test_it_holds_where_nothing_is_relayed(self) -> None:
        client = World(Rules(stun_auth=True, stun_only=True)).client()
        self.assertEqual(code_of(client.answer(encode(Method.BINDING, Class.REQUEST, bytes(12)))), 401)
        self.assertEqual(client.code(Method.BINDING), 0)

    def test_challenges_to_bindings_are_limited_by_network(self) -> None:
        client = World(Rules(stun_auth=True), rate=1).client()
        bare = encode(Method.BINDING, Class.REQUEST, bytes(12))
        self.assertIsNotNone(client.raw(bare))
        self.assertIsNone(client.raw(bare))
        self.assertEqual(client.code(Method.BINDING), 0)

    def test_binding_indications_need_none(self) -> None:
        self.assertIsNone(self.client.raw(encode(Method.BINDING, Class.INDICATION, bytes(12))))
        self.assertEqual(self.world.observer.drops, [])


class StrictExpiry(SynchronousTestCase):
    """What a time-limited name opened ends with it, if the operator wants."""

    def setUp(self) -> None:
        self.world = World()
        self.world.authenticator.strict_expiry = True
        self.client = self.world.client()
        self.credential = self.world.credentials.issue("w", self.world.now)
        self.client.username, self.client.password = self.credential.username, self.credential.password

    def lifetime(self, answer: Message) -> int:
        """What was granted."""
        lifetime = answer.get(LIFETIME)
        if lifetime is None:
            raise AssertionError("no LIFETIME")
        return lifetime

    def ask(self, method: Method, seconds: int) -> Message:
        """With LIFETIME."""
        return self.client.ask(method, UDP, LIFETIME.encode(seconds))

    def test_no_lifetime_goes_beyond_the_credential(self) -> None:
        self.world.now += 3000.5
        self.assertEqual(self.lifetime(self.ask(Method.ALLOCATE, 3600)), 599)
        self.world.now += 100
        self.assertEqual(self.lifetime(self.ask(Method.REFRESH, 3600)), 499)
        self.world.now += 498.75
        self.assertEqual(self.lifetime(self.ask(Method.REFRESH, 600)), 1)

    def test_a_short_lifetime_is_not_made_longer_and_a_long_credential_does_not_matter(self) -> None:
        self.assertEqual(self.lifetime(self.ask(Method.ALLOCATE, 700)), 700)

    def test_the_allocation_ends_when_the_credential_does(self) -> None:
        self.world.now += 3500
        self.client.allocate()
        self.assertEqual(self.world.server.next_deadline(), self.credential.expires_at)
        self.world.now = float(self.credential.expires_at)
        self.world.server.expire(self.world.now)
        self.assertEqual(self.world.observer.ended, ["expired"])
        self.assertEqual(self.client.refresh(600), 401)

    def test_a_refresh_beyond_the_expiry_is_refused_whoever_made_the_option_strict_since(self) -> None:
        self.world.authenticator.strict_expiry = False
        self.world.now += 3500
        self.client.allocate()
        self.world.now += 200
        self.assertEqual((self.client.refresh(600), self.client.permit(PEER)), (0, 0))
        self.world.authenticator.strict_expiry = True
        self.assertEqual((self.client.refresh(600), self.client.permit(PEER)), (401, 401))

    def test_static_users_have_no_expiry(self) -> None:
        self.client.username, self.client.password = "u", "p"
        self.assertEqual(self.lifetime(self.ask(Method.ALLOCATE, 3600)), 3600)
        self.world.now += 3599
        self.assertEqual(self.lifetime(self.ask(Method.REFRESH, 3600)), 3600)
