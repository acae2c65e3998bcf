"""Who a request is from, and nonces."""

from __future__ import annotations

import functools
import hmac
import unicodedata

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import FiveTuple
from rtcd.auth import authenticator as auth
from rtcd.auth.authenticator import Keys, parse_users
from rtcd.auth.nonce import NONCE_CHARACTERS, OWN_S, Nonces, OwnQuestions
from rtcd.bucket import Buckets, network
from rtcd.ice.credentials import Credentials
from rtcd.stun.attributes import (
    MESSAGE_INTEGRITY,
    MOBILITY_TICKET,
    NONCE,
    REALM,
    REQUESTED_TRANSPORT,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    PasswordAlgorithm,
)
from rtcd.stun.integrity import add_fingerprint, long_term_key, sign, verify, verify_sha256
from rtcd.stun.message import Class, Method, encode
from rtcd.turn.request import Rules
from tests.fakes_turn import PEER, REALM_NAME, SERVER, SERVER6, UDP, Client, World, code_of

A = FiveTuple("udp", ("192.0.2.7", 1), ("192.0.2.1", 3478))


class NonceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.nonces = Nonces(b"key", 600)

    def test_a_nonce_is_good_until_its_lifetime_is_over(self) -> None:
        nonce = self.nonces.issue(A, 1000.5)
        self.assertEqual(len(nonce), NONCE_CHARACTERS)
        for now, good in ((1000.5, True), (1600.9, True), (1601.0, False)):
            self.assertEqual(self.nonces.fresh(nonce, A, now), good, now)

    def test_a_clock_that_steps_back_makes_nonces_stale(self) -> None:
        self.assertFalse(self.nonces.fresh(self.nonces.issue(A, 1000), A, 900))

    def test_a_nonce_is_good_for_its_client_only(self) -> None:
        nonce = self.nonces.issue(A, 1000)
        for other in (A._replace(client=("192.0.2.8", 1)), A._replace(client=("192.0.2.7", 2)), A._replace(transport="tcp")):
            self.assertFalse(self.nonces.fresh(nonce, other, 1000))

    def test_a_nonce_of_another_key_is_not_ours(self) -> None:
        self.assertFalse(self.nonces.fresh(Nonces(b"other", 600).issue(A, 1000), A, 1000))

    def test_daemons_with_one_secret_take_each_others_nonces(self) -> None:
        self.assertTrue(self.nonces.fresh(Nonces(b"key", 600).issue(A, 1000), A, 1000))

    def test_nonces_are_compared_in_constant_time(self) -> None:
        compared: list[str] = []

        def compare(first: str, second: str) -> bool:
            compared.append(first)
            return True

        self.patch(hmac, "compare_digest", compare)
        forged = f"{1000:08x}" + "x" * (NONCE_CHARACTERS - 8)
        self.assertTrue(self.nonces.fresh(forged, A, 1000))
        self.assertEqual(compared, [forged])

    def test_malformed_nonces_are_not_ours(self) -> None:
        good = self.nonces.issue(A, 1000)
        for nonce in ("", "x", good[:-1], good + "x", "é" * NONCE_CHARACTERS, "zzzzzzzz" + good[8:], good.swapcase()):
            self.assertFalse(self.nonces.fresh(nonce, A, 1000), nonce)


class Users(SynchronousTestCase):
    def test_passwords_and_keys_stand_side_by_side(self) -> None:
        users = parse_users(["a:b:c", "k:0x" + "0F" * 16], "r")
        both = Keys(long_term_key("a", "r", "b:c"), long_term_key("a", "r", "b:c", PasswordAlgorithm.SHA256))
        self.assertEqual(users, {"a": both, "k": Keys(b"\x0f" * 16)})

    def test_a_key_may_be_of_either_kind_or_both_in_any_order(self) -> None:
        md5, sha256 = "0x" + "0f" * 16, "0x" + "AB" * 32
        both = Keys(b"\x0f" * 16, b"\xab" * 32)
        self.assertEqual(parse_users([f"a:{md5},{sha256}", f"b:{sha256},{md5}"], "r"), {"a": both, "b": both})
        self.assertEqual(parse_users([f"c:{sha256}"], "r", sha256=True), {"c": Keys(b"", b"\xab" * 32)})

    def test_every_user_needs_a_key_of_the_kind_that_any_client_may_use(self) -> None:
        """Which user it will be is not known when the challenge goes out (RFC 8489 §9.2.1)."""
        md5, sha256 = "a:0x" + "0f" * 16, "a:0x" + "AB" * 32
        self.assertIn("MD5 key only", str(self.assertRaises(ValueError, parse_users, [md5], "r", sha256=True)))
        self.assertIn("SHA-256 key only", str(self.assertRaises(ValueError, parse_users, [sha256], "r")))

    def test_a_broken_line_is_told_by_number_and_never_by_text(self) -> None:
        for line in ("hush", ":hush", "hush:", "hush:0x12", "hush:0x" + "g" * 32, "hush:0x" + "0" * 33,
                     "hush:0x" + "0" * 32 + ",0x" + "0" * 32, "hush:0x" + "0" * 32 + ",", "h" * 509 + ":hush"):
            error = self.assertRaises(ValueError, parse_users, ["a:b", line], "r")
            self.assertIn("line 2", str(error))
            self.assertNotIn("hush", str(error))

    def test_a_name_stands_there_once(self) -> None:
        self.assertRaises(ValueError, parse_users, ["a:b", "a:c"], "r")

    def test_too_many_users_are_refused(self) -> None:
        self.patch(auth, "MAX_USERS", 2)
        self.assertEqual(len(parse_users(["a:b", "c:d"], "r")), 2)
        self.assertRaises(ValueError, parse_users, ["a:b", "c:d", "e:f"], "r")


class Challenges(SynchronousTestCase):
    """RFC 8489 §9.2.4 in the order of its checks."""

    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.client()

    def _unsigned(self) -> bytes:
        return encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP])

    def _partly(self, *attributes: bytes) -> int:
        return code_of(self.client.answer(sign(
            encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP, *attributes]), self.client.key())))

    def test_a_request_without_integrity_is_challenged(self) -> None:
        answer = self.client.answer(self._unsigned())
        self.assertEqual((code_of(answer), answer.get(REALM)), (401, REALM_NAME))
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP, nonce=answer.get(NONCE)), 0)

    def test_a_challenge_has_no_integrity_and_is_less_than_three_times_the_request(self) -> None:
        request = self._unsigned()
        answer = self.client.answer(request)
        self.assertFalse(answer.integrity_at)
        self.assertLessEqual(len(answer.raw), 3 * len(request))

    def test_a_datagram_that_the_answer_would_multiply_gets_none(self) -> None:
        """Nobody's address must be worth forging for it; the first Allocate of a real client is answered whatever."""
        bare = [encode(method, Class.REQUEST, bytes(12)) for method in (Method.ALLOCATE, Method.REFRESH, Method.CONNECT)]
        self.assertEqual([self.client.raw(one) for one in bare], [None] * 3)
        self.assertEqual(self.world.observer.drops, ["amplifies"] * 3)
        self.assertEqual(self.world.observer.answers, [])
        self.world.authenticator.realm = "r" * 100
        self.assertEqual(code_of(self.client.answer(self._unsigned())), 401)
        self.world.authenticator.realm = REALM_NAME
        stream = Client(self.world, FiveTuple("tcp", ("192.0.2.7", 1), SERVER))
        self.assertEqual(code_of(stream.answer(bare[1])), 401)

    def test_no_answer_without_a_password_is_more_than_three_times_its_request(self) -> None:
        for method in (Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND, Method.BINDING):
            for attributes in ([], [MESSAGE_INTEGRITY.encode(bytes(20))], [b"\0\x03\0\0"], [b"\x7f\1\0\0"] * 5,
                               [b"\x80\0\0\0"] * 9, [USERNAME.encode("u"), MESSAGE_INTEGRITY.encode(bytes(20))]):
                request = encode(method, Class.REQUEST, bytes(12), attributes)
                self.assertLessEqual(len(self.client.raw(request) or b""), 3 * len(request), (method, attributes))

    def test_that_holds_with_every_option_and_family(self) -> None:
        """Only what every honest client has to begin with may get more, and there one that the operator made longer."""
        allocate, binding = self._unsigned(), encode(Method.BINDING, Class.REQUEST, bytes(12))
        attributes: tuple[list[bytes], ...] = (
            [], [UDP], [b"\x7f\1\0\0"], [b"\x7f\1\0\0"] * 40, [MESSAGE_INTEGRITY.encode(bytes(20))],
            [USERNAME.encode("u"), REALM.encode(""), NONCE.encode(""), MESSAGE_INTEGRITY.encode(bytes(20))])
        for sha256, rules in ((sha256, Rules(fingerprint=fingerprint, legacy_mapped_address=True, stun_auth=stun_auth,
                                             software="x" * 100))
                              for sha256 in (False, True) for fingerprint in (False, True) for stun_auth in (False, True)):
            world = World(rules)
            world.authenticator.sha256 = sha256
            for client in (world.client(), world.client(host="2001:db8::7", server=SERVER6)):
                for method in Method:
                    for each in attributes:
                        request = encode(method, Class.REQUEST, bytes(12), each)
                        for asked in (request, add_fingerprint(request)):
                            honest = (request == allocate and rules.fingerprint and sha256) or (
                                method is Method.BINDING and rules.stun_auth)
                            answer = client.raw(asked) or b""
                            self.assertLessEqual(len(answer), (5 if honest else 3) * len(asked), (rules, method, each))
            self.assertIsNotNone(world.client().raw(allocate))
            self.assertIsNotNone(world.client().raw(binding))

    def test_integrity_without_name_realm_or_nonce_is_a_bad_request(self) -> None:
        name, realm = USERNAME.encode("u"), REALM.encode(REALM_NAME)
        nonce = NONCE.encode(self.world.nonces.issue(self.client.five_tuple, self.world.now))
        self.assertEqual(self._partly(name, realm, nonce), 0)
        for partly in ((name, realm), (name, nonce), (realm, nonce), ()):
            self.assertEqual(self._partly(*partly), 400)

    def test_a_name_that_is_too_long_is_a_bad_request(self) -> None:
        raw = b"\x00\x06\x01\xfd" + b"x" * 509 + b"\0\0\0"
        nonce = NONCE.encode(self.world.nonces.issue(self.client.five_tuple, self.world.now))
        self.assertEqual(self._partly(raw, REALM.encode(REALM_NAME), nonce), 400)

    def test_a_wrong_nonce_is_answered_with_a_fresh_one(self) -> None:
        answer = self.client.ask(Method.ALLOCATE, UDP, nonce="x" * NONCE_CHARACTERS)
        self.assertEqual((code_of(answer), answer.get(REALM)), (438, REALM_NAME))
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP, nonce=answer.get(NONCE)), 0)

    def test_a_nonce_that_breaks_its_form_is_answered_with_a_fresh_one_too(self) -> None:
        """Stale for whoever looks at it: a client of another server at this address must find its way (RFC 8489 §9.2.4)."""
        for raw in (b"x" * 128, b"x" * 1000, b"\xff" * NONCE_CHARACTERS):
            nonce = b"\x00\x15" + len(raw).to_bytes(2, "big") + raw
            request = encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [
                UDP, USERNAME.encode("u"), REALM.encode(REALM_NAME), nonce])
            answer = self.client.answer(sign(request, self.client.key()))
            self.assertEqual((code_of(answer), answer.get(REALM)), (438, REALM_NAME))
            self.assertTrue(self.world.nonces.fresh(answer.get(NONCE) or "", self.client.five_tuple, self.world.now))
            self.assertEqual(self._partly(USERNAME.encode("u"), nonce), 400)

    def test_a_stale_nonce_costs_one_round_and_no_allocation(self) -> None:
        nonce = self.world.nonces.issue(self.client.five_tuple, self.world.now)
        self.client.allocate(nonce=nonce)
        self.world.now += 601 - 10
        self.assertEqual(self.client.refresh(600), 0)
        self.world.now += 20
        answer = self.client.ask(Method.REFRESH, nonce=nonce)
        self.assertEqual(code_of(answer), 438)
        self.assertEqual(self.client.code(Method.REFRESH, nonce=answer.get(NONCE)), 0)

    def test_the_nonce_is_checked_before_the_password(self) -> None:
        self.client.password = "wrong"
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP, nonce="x"), 438)

    def test_wrong_password_unknown_user_and_foreign_realm_look_the_same(self) -> None:
        found = []
        for username, password, realm in (("u", "wrong", REALM_NAME), ("nobody", "p", REALM_NAME), ("u", "p", "other")):
            self.client.username, self.client.password = username, password
            answer = self.client.ask(Method.ALLOCATE, UDP, realm=realm)
            found.append((code_of(answer), answer.get(REALM), len(answer.raw), answer.get(NONCE) is None))
        self.assertEqual(found, [(401, REALM_NAME, found[0][2], False)] * 3)
        self.assertEqual(self.world.observer.failed, ["u", "nobody", "u"])

    def test_the_owner_of_an_allocation_names_our_realm_too(self) -> None:
        """The key that made it is right, and the realm is not: 401, with the realm that is."""
        credential = self.world.credentials.issue("w", self.world.now)
        for self.client.username, self.client.password in (("u", "p"), (credential.username, credential.password)):
            self.client.allocate()
            answer = self.client.ask(Method.REFRESH, realm="other")
            self.assertEqual((code_of(answer), answer.get(REALM)), (401, REALM_NAME))
            self.assertEqual(self.client.refresh(0), 0)

    def test_an_unknown_user_costs_the_same_hmac_as_a_wrong_password(self) -> None:
        keys: list[bytes] = []

        def counted(message: bytes, position: int, key: bytes) -> bool:
            keys.append(key)
            return verify(message, position, key)

        self.patch(auth, "verify", counted)
        for self.client.username, self.client.password in (("u", "wrong"), ("nobody", "p")):
            self.assertEqual(self.client.code(Method.ALLOCATE, UDP), 401)
        self.assertEqual(len(keys), 2)

    def test_the_challenge_comes_before_unknown_attributes(self) -> None:
        request = encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP, b"\x7f\x01\0\0"])
        self.assertEqual(code_of(self.client.answer(request)), 401)
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP, b"\x7f\x01\0\0"), 420)

    def test_a_second_static_user_and_time_limited_names_work_at_once(self) -> None:
        credential = self.world.credentials.issue("w", self.world.now)
        for port, (name, password) in enumerate((("u", "p"), ("v", "q"), (credential.username, credential.password))):
            client = self.world.client(port + 1)
            client.username, client.password = name, password
            client.allocate()
        self.assertEqual([one.user for one in self.world.server.allocations], ["u", "v", "w"])

    def test_a_static_user_comes_before_a_time_limited_name(self) -> None:
        name = str(int(self.world.now) + 100)
        self.world.authenticator.users = parse_users([f"{name}:mine"], REALM_NAME)
        self.client.username, self.client.password = name, "mine"
        self.client.allocate()

    def test_a_user_is_one_user_however_it_is_spelled(self) -> None:
        """OpaqueString (RFC 8265 §4.2): otherwise each of 17 kinds of spaces is a quota of its own."""
        self.world.authenticator.users = parse_users(["ann lee:p", "caf\u00e9:p"], REALM_NAME)
        spaces = [one for one in map(chr, range(0x10000)) if unicodedata.category(one) == "Zs"]
        for port, name in enumerate([f"ann{space}lee" for space in spaces]):
            client = self.world.client(port + 1)
            client.username = name
            client.allocate()
        self.assertEqual({(one.username, one.user) for one in self.world.server.allocations}, {("ann lee", "ann lee")})
        self.assertEqual(self.world.server.allocations.of_user("ann lee"), len(spaces))
        self.client.username = "caf\u00e9"
        self.client.allocate()
        self.client.username = "cafe\u0301"
        self.assertEqual((self.client.refresh(600), self.client.permit(PEER)), (0, 0))

    def test_a_user_who_is_removed_keeps_nothing_up(self) -> None:
        """Nor does who knows the old password; others go on. Nothing is cut off: it ends when its time is over."""
        other = self.world.client(2)
        other.username, other.password = "v", "q"
        self.client.allocate()
        other.allocate()
        for users, code in (({"v:q"}, 401), ({"v:q", "u:new"}, 401), ({"v:q", "u:p"}, 0), ({"v:q"}, 401)):
            self.world.authenticator.users = parse_users(users, REALM_NAME)
            self.assertEqual((self.client.refresh(600), self.client.permit(PEER), other.refresh(3600)), (code, code, 0))
        self.assertEqual(self.client.refresh(0), 401)
        self.assertEqual(len(self.world.server.allocations), 2)
        self.world.now += 600
        self.world.server.expire(self.world.now)
        self.assertEqual([one.username for one in self.world.server.allocations], ["v"])

    def test_a_new_password_takes_an_allocation_over(self) -> None:
        """It is still the same user's."""
        self.client.allocate()
        self.world.authenticator.users = parse_users(["u:new"], REALM_NAME)
        self.client.password = "new"
        self.assertEqual((self.client.refresh(600), self.client.permit(PEER)), (0, 0))

    def test_time_limited_names_of_one_user_share_its_quota_however_they_are_spelled(self) -> None:
        """Their HMAC is over the text as it came."""
        for port, name in enumerate(("ann\u00a0lee", "ann\u2003lee", "ann lee")):
            client = self.world.client(port + 1)
            credential = self.world.credentials.issue(name, self.world.now)
            client.username, client.password = credential.username, credential.password
            client.allocate()
            self.assertEqual(client.refresh(600), 0)
        self.assertEqual(self.world.server.allocations.of_user("ann lee"), 3)

    def test_an_expired_name_opens_nothing_but_keeps_what_it_has(self) -> None:
        credential = self.world.credentials.issue("w", self.world.now)
        self.client.username, self.client.password = credential.username, credential.password
        self.client.allocate()
        self.world.now += 500
        self.client.refresh(3600)
        self.world.now += 3200
        self.assertEqual(self.client.refresh(600), 0)
        other = self.world.client(2)
        other.username, other.password = credential.username, credential.password
        self.assertEqual(other.code(Method.ALLOCATE, UDP), 401)

    def test_any_of_several_secrets_will_do(self) -> None:
        for secret in ("old", "new"):
            client = World(secrets=("old", "new")).client()
            credential = Credentials((secret,), 3600).issue("w", self.world.now)
            client.username, client.password = credential.username, credential.password
            client.allocate()

    def test_a_name_without_a_user_counts_as_its_time(self) -> None:
        credential = self.world.credentials.issue("", self.world.now)
        self.client.username, self.client.password = credential.username, credential.password
        self.client.allocate()
        self.assertEqual([one.user for one in self.world.server.allocations], [str(credential.expires_at)])

    def test_somebody_elses_allocation_is_refused(self) -> None:
        self.client.allocate()
        self.client.username, self.client.password = "v", "q"
        self.assertEqual((self.client.refresh(0), self.client.permit(PEER), self.client.bind(0x4000)), (441, 441, 441))
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP), 437)

    def test_answers_have_the_integrity_of_the_request(self) -> None:
        good = self.client.allocate()
        self.assertTrue(verify(good.raw, good.integrity_at, self.client.key()))
        bad = self.client.ask(Method.ALLOCATE, UDP)
        self.assertEqual(code_of(bad), 437)
        self.assertTrue(verify(bad.raw, bad.integrity_at, self.client.key()))
        self.client.sha256 = True
        other = self.client.ask(Method.REFRESH)
        self.assertFalse(other.integrity_at)
        self.assertTrue(verify_sha256(other.raw, other.integrity_sha256_at, self.client.key()))

    def test_what_integrity_does_not_cover_does_not_count(self) -> None:
        """Otherwise anybody on the way could add to a request."""
        nonce = self.world.nonces.issue(self.client.five_tuple, self.world.now)
        signed = sign(encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [
            USERNAME.encode("u"), REALM.encode(REALM_NAME), NONCE.encode(nonce)]), self.client.key())
        added = signed[20:] + REQUESTED_TRANSPORT.encode(17)
        request = signed[:2] + len(added).to_bytes(2, "big") + signed[4:20] + added
        self.assertEqual(code_of(self.client.answer(request)), 400)

    def test_binding_needs_no_credentials(self) -> None:
        answer = self.client.answer(encode(Method.BINDING, Class.REQUEST, bytes(12)))
        self.assertEqual(answer.get(XOR_MAPPED_ADDRESS), self.client.five_tuple.client)


class Rate(SynchronousTestCase):
    def test_a_network_gets_only_so_many_unauthenticated_answers(self) -> None:
        """A forged source must not be flooded through us."""
        world = World(rate=2)
        client, other = world.client(), world.client(host="192.0.2.8")
        binding = encode(Method.BINDING, Class.REQUEST, bytes(12))
        challenge = encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP])
        self.assertIsNotNone(client.raw(binding))
        self.assertIsNotNone(client.raw(challenge))
        self.assertIsNone(client.raw(binding))
        self.assertIsNone(client.raw(challenge))
        self.assertIsNone(client.raw(client.signed(Method.ALLOCATE, UDP, nonce="stale")))
        self.assertEqual(world.observer.drops, ["rate"] * 3)
        self.assertIsNotNone(other.raw(binding))
        self.assertEqual(client.code(Method.ALLOCATE, UDP), 0)
        world.now += 1
        self.assertIsNotNone(client.raw(binding))

    def test_a_question_of_our_own_is_answered_however_many_strangers_ask(self) -> None:
        """From the same address, and with whatever ids; an id of ours is good for some seconds and cannot be made up."""
        world = World(rate=1)
        own = world.server.own = OwnQuestions(b"key")
        client = world.client()
        good = own.issue(world.now)
        for wrong in (bytes(12), good[:-1] + bytes([good[-1] ^ 1]), own.issue(world.now - OWN_S - 1),
                      own.issue(world.now + 1), OwnQuestions(b"other").issue(world.now)):
            for _ in range(2):
                answer = client.raw(encode(Method.BINDING, Class.REQUEST, wrong))
            self.assertIsNone(answer)
        for request in (encode(Method.BINDING, Class.REQUEST, good), encode(Method.ALLOCATE, Class.REQUEST, good, [UDP]),
                        encode(Method.BINDING, Class.REQUEST, own.issue(world.now - OWN_S))):
            self.assertIsNotNone(client.raw(request))

    def test_strangers_leave_nothing_behind(self) -> None:
        """Whoever forges addresses gets no memory of ours: no table grows beyond what it is anyway."""
        world = World()
        world.server.unauthenticated = Buckets(20, 20, 100)
        self.patch(world.nonces, "_made", functools.lru_cache(50)(world.nonces._make))
        self.assertLessEqual((Nonces(b"", 1)._made.cache_parameters()["maxsize"] or 1e9), 4096)
        self.assertLessEqual((network.cache_parameters()["maxsize"] or 1e9), 4096)
        for number in range(500):
            client = world.client(1 + number, f"198.51.{number >> 8}.{number & 255}")
            self.assertEqual(code_of(client.answer(encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP]))), 401)
            self.assertEqual(code_of(client.answer(client.signed(Method.ALLOCATE, UDP, nonce="x"))), 438)
            self.assertIsNotNone(client.raw(encode(Method.BINDING, Class.REQUEST, bytes(12))))
            client.password = "wrong"
            self.assertEqual(client.code(Method.REFRESH, MOBILITY_TICKET.encode(b"x")), 401)
        server = world.server
        self.assertEqual((len(server.allocations), len(server.answers), server.next_deadline()), (0, 0, None))
        self.assertEqual((len(server.unauthenticated._table), world.nonces._made.cache_info().currsize), (100, 50))
        self.assertEqual(world.plane.calls, [])

    def test_streams_are_not_limited(self) -> None:
        world = World(rate=1)
        client = world.client()
        client.five_tuple = client.five_tuple._replace(transport="tcp")
        for _ in range(5):
            self.assertIsNotNone(client.raw(encode(Method.BINDING, Class.REQUEST, bytes(12))))
