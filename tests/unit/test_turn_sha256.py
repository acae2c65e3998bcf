"""SHA-256 passwords, their negotiation, and names as hashes (RFC 8489 §9.2.4)."""

from __future__ import annotations

import hmac
import struct

from twisted.trial.unittest import SynchronousTestCase

from rtcd.auth import authenticator as auth
from rtcd.auth.authenticator import Keys, parse_users
from rtcd.auth.nonce import COOKIE, COOKIE_NONCE_CHARACTERS, NONCE_CHARACTERS, Nonces
from rtcd.stun.attributes import (
    NONCE,
    PASSWORD_ALGORITHM,
    PASSWORD_ALGORITHMS,
    REALM,
    USERHASH,
    USERNAME,
    PasswordAlgorithm,
)
from rtcd.stun.integrity import long_term_key, sign, sign_sha256, userhash, verify, verify_sha256
from rtcd.stun.message import Class, Message, Method, encode
from tests.fakes_turn import REALM_NAME, UDP, World, code_of

SHA256, MD5 = PasswordAlgorithm.SHA256, PasswordAlgorithm.MD5
CHOICE = PASSWORD_ALGORITHM.encode(SHA256)
LIST = PASSWORD_ALGORITHMS.encode((SHA256, MD5))


class Sha256TestCase(SynchronousTestCase):
    """A server that offers SHA-256."""

    def setUp(self) -> None:
        self.world = World()
        self.world.authenticator.sha256 = True
        self.client = self.world.client()
        self.name = USERNAME.encode("u")

    def ask(self, *attributes: bytes, key: bytes = b"", method: Method = Method.ALLOCATE, old: bool = False,
            nonce: str | None = None) -> Message:
        """The answer to a request with realm, nonce and these, signed with u's SHA-256 key unless told otherwise."""
        if nonce is None:
            nonce = self.world.nonces.issue(self.client.five_tuple, self.world.now)
        request = encode(method, Class.REQUEST, self.client.transaction_id(), [
            UDP, REALM.encode(REALM_NAME), NONCE.encode(nonce), *attributes])
        key = key or long_term_key("u", REALM_NAME, "p", SHA256)
        return self.client.answer((sign if old else sign_sha256)(request, key))

    def code(self, *attributes: bytes, key: bytes = b"", method: Method = Method.ALLOCATE) -> int:
        """The error code of that."""
        return code_of(self.ask(*attributes, key=key, method=method))


class Offering(Sha256TestCase):
    def test_each_challenge_names_the_algorithms_and_its_nonce_says_so(self) -> None:
        unsigned = encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP])
        for answer, code in ((self.client.answer(unsigned), 401), (self.ask(self.name, nonce="stale"), 438),
                             (self.ask(self.name, key=b"wrong"), 401)):
            self.assertEqual((code_of(answer), answer.get(PASSWORD_ALGORITHMS)), (code, (SHA256, MD5)))
            nonce = answer.get(NONCE)
            if nonce is None:
                raise AssertionError("no NONCE")
            self.assertTrue(nonce.startswith("obMatJos2gAAA"))
            self.assertEqual(len(nonce), COOKIE_NONCE_CHARACTERS)
            self.assertTrue(self.world.nonces.fresh(nonce, self.client.five_tuple, self.world.now))

    def test_nothing_is_offered_unless_the_operator_wants(self) -> None:
        self.world.authenticator.sha256 = False
        answer = self.client.answer(encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP]))
        self.assertNotIn(PASSWORD_ALGORITHMS, answer)
        self.assertIn(NONCE.encode("x" * NONCE_CHARACTERS)[:4], answer.raw)
        self.assertEqual(code_of(self.ask(self.name, CHOICE, LIST, key=self.client.key())), 420)
        self.assertEqual(code_of(self.ask(USERHASH.encode(userhash("u", REALM_NAME)), key=self.client.key())), 400)

    def test_the_challenge_to_a_bare_allocate_is_three_times_as_long_and_to_others_none(self) -> None:
        """It costs the reason its word (RFC 8489 §14.8 lets it be empty); with a longer realm it may be longer."""
        bare = encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP])
        answer = self.client.answer(bare)
        self.assertEqual(len(answer.raw), 3 * len(bare))
        self.assertIsNone(self.client.raw(encode(Method.REFRESH, Class.REQUEST, bytes(12))))
        signed = self.client.signed(Method.REFRESH, nonce="stale")
        self.assertLessEqual(len(self.client.answer(signed).raw), 3 * len(signed))
        self.world.authenticator.realm = "a longer realm"
        self.assertEqual(code_of(self.client.answer(bare)), 401)

    def test_a_reload_makes_the_other_kind_of_nonce_stale_and_nothing_worse(self) -> None:
        self.client.allocate()
        for offered in (False, True):
            before = self.world.nonces.issue(self.client.five_tuple, self.world.now)
            self.world.authenticator.sha256 = offered
            answer = self.client.ask(Method.REFRESH, nonce=before)
            self.assertEqual(code_of(answer), 438)
            self.assertEqual(self.client.code(Method.REFRESH, nonce=answer.get(NONCE)), 0)


class CookieNonces(SynchronousTestCase):
    def test_the_cookie_is_part_of_what_the_nonce_proves(self) -> None:
        """Whoever changes the security features on the way makes a nonce that is not ours."""
        five_tuple = World().client().five_tuple
        nonces = Nonces(b"key", 600, cookie=True)
        good = nonces.issue(five_tuple, 1000)
        self.assertTrue(nonces.fresh(good, five_tuple, 1600))
        self.assertFalse(nonces.fresh(good, five_tuple, 1601))
        self.assertFalse(nonces.fresh(good, five_tuple, 999))
        for bad in (good.replace("gAAA", "AAAA"), good.replace("gAAA", "wAAA"), good[len(COOKIE):], good[:-1] + "!", "",
                    "x" * len(good), "é" * len(good), good.replace("obMat", "obmat"), COOKIE + "z" * 19):
            self.assertFalse(nonces.fresh(bad, five_tuple, 1000), bad)
        self.assertFalse(Nonces(b"key", 600).fresh(good, five_tuple, 1000))
        self.assertFalse(nonces.fresh(Nonces(b"key", 600).issue(five_tuple, 1000), five_tuple, 1000))


class Choosing(Sha256TestCase):
    def test_sha256_is_used_by_whoever_chooses_it(self) -> None:
        answer = self.ask(self.name, CHOICE, LIST)
        self.assertEqual(code_of(answer), 0)
        self.assertTrue(verify_sha256(answer.raw, answer.integrity_sha256_at, long_term_key("u", REALM_NAME, "p", SHA256)))
        bad = self.ask(self.name, CHOICE, LIST)
        self.assertEqual(code_of(bad), 437)
        self.assertTrue(verify_sha256(bad.raw, bad.integrity_sha256_at, long_term_key("u", REALM_NAME, "p", SHA256)))

    def test_the_old_integrity_goes_with_the_new_key_too(self) -> None:
        """The kind of integrity and the kind of key are two things."""
        key = long_term_key("u", REALM_NAME, "p", SHA256)
        answer = self.ask(self.name, CHOICE, LIST, old=True)
        self.assertEqual((code_of(answer), answer.integrity_sha256_at), (0, 0))
        self.assertTrue(verify(answer.raw, answer.integrity_at, key))

    def test_md5_is_used_by_whoever_chooses_it_or_knows_of_no_choice(self) -> None:
        for attributes in ((PASSWORD_ALGORITHM.encode(MD5), LIST), ()):
            self.assertEqual(self.code(self.name, *attributes, key=self.client.key(), method=Method.REFRESH), 437)
            self.assertEqual(self.code(self.name, *attributes, method=Method.REFRESH), 401)

    def test_the_chosen_kind_of_key_is_the_only_good_one(self) -> None:
        self.assertEqual(self.code(self.name, CHOICE, LIST, key=self.client.key()), 401)
        self.assertEqual(self.code(self.name, CHOICE, LIST), 0)
        self.assertEqual(self.code(self.name, CHOICE, LIST, key=self.client.key(), method=Method.REFRESH), 401)
        self.assertEqual(self.code(self.name, method=Method.REFRESH), 401)

    def test_an_owner_may_change_the_kind_of_key(self) -> None:
        self.assertEqual(self.code(self.name, CHOICE, LIST), 0)
        self.assertEqual(self.client.refresh(600), 0)
        self.assertEqual(self.code(self.name, CHOICE, LIST, method=Method.REFRESH), 0)

    def test_a_downgrade_is_a_bad_request(self) -> None:
        """Somebody on the way has shortened or turned the list that the client saw (RFC 8489 §9.2.4)."""
        key = self.client.key()
        only = PASSWORD_ALGORITHM.encode(MD5)
        for attributes in ((only, PASSWORD_ALGORITHMS.encode((MD5,))), (only, PASSWORD_ALGORITHMS.encode((MD5, SHA256))),
                           (only, PASSWORD_ALGORITHMS.encode(())), (only, PASSWORD_ALGORITHMS.encode((SHA256, MD5, 3)))):
            self.assertEqual(self.code(self.name, *attributes, key=key), 400)

    def test_one_of_the_two_attributes_or_an_unoffered_choice_is_a_bad_request(self) -> None:
        for attributes in ((CHOICE,), (LIST,), (PASSWORD_ALGORITHM.encode(3), LIST)):
            self.assertEqual(self.code(self.name, *attributes), 400)

    def test_a_broken_choice_is_a_bad_request(self) -> None:
        for raw in (b"", b"\0\2", b"\0\2\0\4", b"\0\2\0\0\0\1\0\0"):
            broken = struct.pack("!HH", 0x1D, len(raw)) + raw + bytes(-len(raw) % 4)
            self.assertEqual(self.code(self.name, broken, LIST), 400)

    def test_the_nonce_is_judged_before_the_choice_and_the_choice_before_the_password(self) -> None:
        self.assertEqual(code_of(self.ask(self.name, CHOICE, nonce="stale")), 438)
        self.assertEqual(self.code(self.name, CHOICE, key=b"wrong"), 400)
        self.assertEqual(self.world.observer.failed, [])

    def test_time_limited_names_choose_as_well(self) -> None:
        for number, algorithm in enumerate((SHA256, MD5)):
            self.client = self.world.client(number + 1)
            credential = self.world.credentials.issue("w", self.world.now)
            key = long_term_key(credential.username, REALM_NAME, credential.password, algorithm)
            name = USERNAME.encode(credential.username)
            self.assertEqual(self.code(name, PASSWORD_ALGORITHM.encode(algorithm), LIST, key=key), 0)

    def test_an_expired_name_keeps_what_it_opened_with_sha256(self) -> None:
        credential = self.world.credentials.issue("w", self.world.now)
        key = long_term_key(credential.username, REALM_NAME, credential.password, SHA256)
        request = (USERNAME.encode(credential.username), CHOICE, LIST)
        self.assertEqual(self.code(*request, key=key), 0)
        self.world.now += 590
        self.assertEqual(self.code(*request, b"\0\x0d\0\4\0\0\x0e\x10", key=key, method=Method.REFRESH), 0)
        self.world.now += 3100
        self.assertEqual(self.code(*request, key=key, method=Method.REFRESH), 0)

    def test_a_user_with_a_key_of_the_other_kind_only_looks_like_nobody(self) -> None:
        self.world.authenticator.users = {"u": Keys(md5=self.client.key())}
        self.assertEqual(self.code(self.name, CHOICE, LIST), 401)
        self.assertEqual(self.code(self.name, key=self.client.key()), 0)

    def test_sha256_is_what_counts_where_both_integrities_are(self) -> None:
        """RFC 8489 §14.5: whoever knows the newer one does not look at the older."""
        nonce = NONCE.encode(self.world.nonces.issue(self.client.five_tuple, self.world.now))
        for old, new, code in ((b"wrong", self.client.key(), 0), (self.client.key(), b"wrong", 401)):
            request = encode(Method.ALLOCATE, Class.REQUEST, self.client.transaction_id(), [
                UDP, self.name, REALM.encode(REALM_NAME), nonce])
            answer = self.client.answer(sign_sha256(sign(request, old), new))
            self.assertEqual((code_of(answer), answer.integrity_at), (code, 0))
            self.assertEqual(bool(answer.integrity_sha256_at), not code)

    def test_a_cut_integrity_is_taken_down_to_sixteen_bytes(self) -> None:
        self.assertEqual(self.code(self.name, CHOICE, LIST), 0)
        key = long_term_key("u", REALM_NAME, "p", SHA256)
        for size, good in ((32, True), (28, True), (24, True), (20, True), (16, True), (12, False), (4, False), (0, False)):
            nonce = NONCE.encode(self.world.nonces.issue(self.client.five_tuple, self.world.now))
            plain = encode(Method.REFRESH, Class.REQUEST, self.client.transaction_id(), [
                self.name, REALM.encode(REALM_NAME), nonce, CHOICE, LIST])
            covered = plain[:2] + struct.pack("!H", len(plain) - 20 + 4 + size) + plain[4:]
            whole = hmac.digest(key, covered, "sha256")
            answer = self.client.answer(covered + struct.pack("!HH", 0x1C, size) + whole[:size])
            self.assertEqual(code_of(answer), 0 if good else 401, size)


class Hashes(Sha256TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.hashed = USERHASH.encode(userhash("u", REALM_NAME))

    def test_a_static_user_may_send_the_hash_of_his_name(self) -> None:
        answer = self.ask(self.hashed, CHOICE, LIST)
        self.assertEqual(code_of(answer), 0)
        self.assertEqual([(one.username, one.user) for one in self.world.server.allocations], [("u", "u")])
        self.assertEqual(self.code(self.hashed, key=self.client.key(), method=Method.REFRESH), 0)

    def test_the_owner_of_an_allocation_is_known_by_hash_whoever_he_is(self) -> None:
        credential = self.world.credentials.issue("w", self.world.now)
        key = long_term_key(credential.username, REALM_NAME, credential.password, SHA256)
        self.assertEqual(self.code(USERNAME.encode(credential.username), CHOICE, LIST, key=key), 0)
        hashed = USERHASH.encode(userhash(credential.username, REALM_NAME))
        self.assertEqual(self.code(hashed, CHOICE, LIST, key=key, method=Method.REFRESH), 0)

    def test_a_user_who_is_gone_keeps_nothing_up_by_hash_either(self) -> None:
        self.assertEqual(self.code(self.hashed, CHOICE, LIST), 0)
        self.world.authenticator.users = parse_users(["v:q"], REALM_NAME)
        self.assertEqual(self.code(self.hashed, CHOICE, LIST, method=Method.REFRESH), 401)
        self.client = self.world.client(2)
        self.assertEqual(self.code(self.hashed, CHOICE, LIST), 401)

    def test_a_reload_brings_new_hashes(self) -> None:
        self.assertEqual(self.code(self.hashed, CHOICE, LIST, method=Method.REFRESH), 437)
        self.world.authenticator.users = parse_users(["w:x"], REALM_NAME)
        key = long_term_key("w", REALM_NAME, "x", SHA256)
        self.assertEqual(self.code(USERHASH.encode(userhash("w", REALM_NAME)), CHOICE, LIST, key=key), 0)

    def test_an_unknown_hash_looks_like_a_wrong_password_and_costs_the_same_hmac(self) -> None:
        keys: list[bytes] = []

        def counted(message: bytes, position: int, key: bytes) -> bool:
            keys.append(key)
            return verify_sha256(message, position, key)

        self.patch(auth, "verify_sha256", counted)
        unknown = userhash("nobody", REALM_NAME)
        found = [self.ask(name, CHOICE, LIST, key=b"wrong") for name in (
            self.hashed, USERHASH.encode(unknown), USERNAME.encode("nobody"))]
        self.assertEqual([(code_of(one), len(one.raw)) for one in found], [(401, len(found[0].raw))] * 3)
        self.assertEqual([len(one) for one in keys], [32] * 3)
        self.assertEqual(self.world.observer.failed, ["u", unknown.hex(), "nobody"])

    def test_the_hash_of_a_time_limited_name_is_unknown(self) -> None:
        """It cannot be told from its hash, which is why the nonce never asks for hashes."""
        credential = self.world.credentials.issue("w", self.world.now)
        key = long_term_key(credential.username, REALM_NAME, credential.password, SHA256)
        hashed = USERHASH.encode(userhash(credential.username, REALM_NAME))
        self.assertEqual(self.code(hashed, CHOICE, LIST, key=key), 401)

    def test_name_and_hash_at_once_or_none_of_them_is_a_bad_request(self) -> None:
        self.assertEqual(self.code(self.name, self.hashed, CHOICE, LIST), 400)
        self.assertEqual(self.code(CHOICE, LIST), 400)

    def test_a_hash_of_another_length_is_a_bad_request(self) -> None:
        self.assertEqual(self.code(b"\0\x1e\0\x10" + bytes(16), CHOICE, LIST), 400)

    def test_somebody_elses_hash_on_an_allocation_is_refused(self) -> None:
        self.assertEqual(self.code(self.hashed, CHOICE, LIST), 0)
        other = USERHASH.encode(userhash("v", REALM_NAME))
        key = long_term_key("v", REALM_NAME, "q", SHA256)
        self.assertEqual(self.code(other, CHOICE, LIST, key=key, method=Method.REFRESH), 441)
