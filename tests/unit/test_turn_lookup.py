"""Users who are kept elsewhere: answers, what is remembered, who waits, and when anybody is asked for at all."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import FiveTuple
from rtcd.auth import lookup
from rtcd.auth.authenticator import Found, Keys, keys_of_password
from rtcd.auth.lookup import Lookups, Remembered, parse_answer
from rtcd.metrics import Counter
from rtcd.peers.bound import Bound
from rtcd.stun.attributes import (
    LIFETIME,
    NONCE,
    PASSWORD_ALGORITHM,
    PASSWORD_ALGORITHMS,
    REALM,
    USERHASH,
    USERNAME,
)
from rtcd.stun.integrity import long_term_key, sign_sha256, userhash
from rtcd.stun.message import Class, Method, encode
from tests.fakes_turn import PEER, REALM_NAME, UDP, World, code_of

NOW = 1_700_000_000.0
ANN = Found(keys_of_password("ann", "r", "p"))


def client(host: str = "192.0.2.7", port: int = 1) -> FiveTuple:
    """Where a request came from."""
    return FiveTuple("udp", (host, port), ("198.51.100.1", 3478))


def request(number: int) -> bytes:
    """One with a transaction id of its own."""
    return encode(Method.ALLOCATE, Class.REQUEST, number.to_bytes(12, "big"))


class Answers(SynchronousTestCase):
    def found(self, body: bytes, status: int = 200) -> Found:
        """What it says about ann."""
        return parse_answer(status, body, "ann", "r", NOW)

    def test_a_password_and_each_kind_of_key_are_understood(self) -> None:
        self.assertEqual(self.found(b'{"password": "p"}'), ANN)
        self.assertEqual(self.found(b'{"key": "0x%s"}' % (b"0f" * 16)), Found(Keys(b"\x0f" * 16)))
        both = b'{"key": "0x%s,0x%s", "password": null, "more": [1]}' % (b"0f" * 16, b"ab" * 32)
        self.assertEqual(self.found(both), Found(Keys(b"\x0f" * 16, b"\xab" * 32)))

    def test_an_expiry_is_kept_and_one_that_is_over_is_nobody(self) -> None:
        self.assertEqual(self.found(b'{"password": "p", "expires": 1700000001}').expires_at, NOW + 1)
        self.assertEqual(self.found(b'{"password": "p", "expires": 1700000000}'), Found())
        self.assertEqual(self.found(b'{"password": "p"}').expires_at, math.inf)

    def test_404_is_nobody_whatever_it_says(self) -> None:
        self.assertEqual(self.found(b'{"password": "p"}', 404), Found())

    def test_all_else_is_a_fault_that_tells_nothing_of_the_body(self) -> None:
        for body in (b"", b"{}", b"[]", b"hush", b'{"password": ""}', b'{"password": 5}', b'{"key": "hush"}', b'{"key": ""}',
                     b'{"key": "0x12"}', b'{"key": "0x%s", "password": "hush"}' % (b"0" * 32), b"[" * 4096, b"\xff",
                     b'{"password": "hush", "expires": "soon"}', b'{"password": "hush", "expires": 1e999}'):
            self.assertNotIn("hush", str(self.assertRaises(ValueError, self.found, body)), body)
        for status in (200, 201, 204, 301, 401, 403, 500, 503):
            self.assertRaises(ValueError, self.found, b'{"password": "p"}' if status != 200 else b"", status)


class Remembering(SynchronousTestCase):
    def test_it_lasts_as_long_as_it_was_put_for(self) -> None:
        table = Remembered()
        table.put("ann", ANN, NOW, NOW + 10)
        self.assertEqual([table.find("ann", NOW + later) for later in (0, 9.9)], [ANN, ANN])
        self.assertIsNone(table.find("ann", NOW + 10))
        self.assertEqual(len(table), 0)

    def test_a_clock_that_steps_back_makes_it_forget(self) -> None:
        table = Remembered()
        table.put("ann", ANN, NOW, NOW + 10)
        self.assertIsNone(table.find("ann", NOW - 1))

    def test_one_more_than_fit_makes_the_longest_unused_one_forgotten(self) -> None:
        self.patch(lookup, "REMEMBERED_USERS", 2)
        table = Remembered()
        for name in ("ann", "bob"):
            table.put(name, ANN, NOW, NOW + 10)
        table.find("ann", NOW)
        table.put("eve", ANN, NOW, NOW + 10)
        self.assertEqual([table.find(name, NOW) for name in ("ann", "bob", "eve")], [ANN, None, ANN])


class Waiting(SynchronousTestCase):
    def setUp(self) -> None:
        self.late = Counter()
        self.lookups = Lookups(self.late)

    def wait(self, username: str, number: int = 1, host: str = "192.0.2.7", now: float = NOW, size: int = 20) -> bool:
        """A request of that user."""
        return self.lookups.wait(username, request(number).ljust(size, b"\0"), client(host), now)

    def test_a_user_is_asked_for_once_however_many_wait(self) -> None:
        self.assertEqual([self.wait("ann", number) for number in range(3)], [True] * 3)
        self.assertEqual([self.lookups.next(NOW), self.lookups.next(NOW)], ["ann", None])
        self.assertTrue(self.wait("ann", 3))
        self.assertIsNone(self.lookups.next(NOW))
        self.assertEqual(self.lookups.done("ann", ANN, NOW), [(request(number), client()) for number in range(4)])
        self.assertEqual((self.lookups.find("ann", NOW), self.late.value), (ANN, 0))

    def test_a_retransmitted_request_waits_once(self) -> None:
        self.wait("ann")
        self.wait("ann")
        self.lookups.next(NOW)
        self.assertEqual(len(self.lookups.done("ann", ANN, NOW)), 1)

    def test_good_and_bad_news_and_none_at_all_last_differently(self) -> None:
        for found, seconds in ((ANN, lookup.FOUND_S), (Found(), lookup.UNKNOWN_S), (None, lookup.FAULT_S)):
            self.lookups.done("ann", found, NOW)
            self.assertEqual(self.lookups.find("ann", NOW + seconds - 0.1), found or Found(fault=True))
            self.assertIsNone(self.lookups.find("ann", NOW + seconds))
        self.assertGreater(lookup.UNKNOWN_S, lookup.FAULT_S)

    def test_a_credential_is_not_remembered_beyond_its_expiry(self) -> None:
        self.lookups.done("ann", Found(ANN.keys, NOW + 5), NOW)
        self.assertIsNone(self.lookups.find("ann", NOW + 5))

    def test_made_up_names_displace_no_known_users(self) -> None:
        self.patch(lookup, "REMEMBERED_USERS", 2)
        self.lookups.done("ann", ANN, NOW)
        for number in range(5):
            self.lookups.done(f"nobody{number}", Found(), NOW)
        self.assertEqual(self.lookups.find("ann", NOW), ANN)

    def test_only_so_many_are_asked_for_at_once_and_the_others_in_turn(self) -> None:
        self.patch(lookup, "MAX_LOOKUPS", 2)
        for name in ("ann", "bob", "eve"):
            self.wait(name)
        self.assertEqual([self.lookups.next(NOW) for _ in range(3)], ["ann", "bob", None])
        self.lookups.done("bob", ANN, NOW)
        self.assertEqual([self.lookups.next(NOW) for _ in range(2)], ["eve", None])

    def test_only_so_many_requests_wait_in_all_and_for_one_user(self) -> None:
        self.patch(lookup, "MAX_WAITING", 5)
        self.patch(lookup, "MAX_WAITING_FOR_USER", 3)
        self.assertEqual([self.wait("ann", number) for number in range(4)], [True, True, True, False])
        self.assertEqual([self.wait(name) for name in ("bob", "eve", "kim")], [True, True, False])
        self.lookups.next(NOW)
        self.lookups.done("ann", ANN, NOW)
        self.assertTrue(self.wait("kim"))

    def test_a_long_request_does_not_wait(self) -> None:
        self.assertFalse(self.wait("ann", size=lookup.MAX_WAITING_BYTES + 4))
        self.assertTrue(self.wait("ann", size=lookup.MAX_WAITING_BYTES))

    def test_one_network_cannot_have_a_dictionary_asked_for(self) -> None:
        found = [self.wait(f"nobody{number}") for number in range(100)]
        self.assertEqual(found.count(True), lookup.USERS_AT_ONCE)
        self.assertTrue(self.wait("ann", host="192.0.2.8"))
        self.assertTrue(self.wait("nobody0", 2), "that one is being asked for already")
        self.assertTrue(self.wait("bob", now=NOW + 1))

    def test_one_network_cannot_take_the_places_of_all_others(self) -> None:
        """While the service is slow, the requests of a stranger, sixteen for each name he makes up, are still there."""
        self.patch(lookup, "MAX_WAITING_OF_NETWORK", 3)
        names = ("ann", "ann", "bob", "bob", "kim")
        found = [self.wait(name, number) for number, name in enumerate(names)]
        self.assertEqual(found, [True, True, True, False, False])
        self.assertTrue(self.wait("ann", 0), "it waits already")
        self.assertTrue(self.wait("kim", host="192.0.2.8"))
        self.lookups.next(NOW)
        self.lookups.done("ann", ANN, NOW)
        self.assertEqual([self.wait("eve", number) for number in range(3)], [True, True, False])
        self.assertLess(lookup.MAX_WAITING_OF_NETWORK, lookup.MAX_WAITING)

    def test_who_has_waited_too_long_is_dropped_and_not_asked_for(self) -> None:
        self.wait("ann")
        self.wait("bob", now=NOW + 5)
        then = NOW + lookup.MAX_WAIT_S + 1
        self.assertEqual([self.lookups.next(then), self.lookups.next(then)], ["bob", None])
        self.assertEqual(self.late.value, 1)
        self.assertEqual(self.lookups.done("bob", ANN, NOW + 5 + lookup.MAX_WAIT_S + 1), [])
        self.assertEqual(self.late.value, 2)
        self.assertTrue(self.wait("ann", now=then))
        self.assertEqual(self.lookups.next(then), "ann")


class FakeDirectory:
    """Knows what it is told."""

    def __init__(self) -> None:
        self.known: dict[str, Found] = {}
        self.asked: list[str] = []
        self.waiting: list[tuple[bytes, FiveTuple]] = []
        self.room = True

    def find(self, username: str, now: float) -> Found | None:
        self.asked.append(username)
        return self.known.get(username)

    def wait(self, username: str, data: bytes, five_tuple: FiveTuple, now: float) -> bool:
        self.waiting.append((data, five_tuple))
        return self.room


class Asking(SynchronousTestCase):
    """When the server asks, and what it makes of it."""

    def setUp(self) -> None:
        self.world = World()
        self.directory = FakeDirectory()
        self.world.authenticator.directory = self.directory
        self.client = self.world.client()
        self.client.username, self.client.password = "ann", "p"
        self.ann = Found(keys_of_password("ann", REALM_NAME, "p"))

    def test_a_request_waits_and_is_answered_when_it_comes_again(self) -> None:
        data = self.client.signed(Method.ALLOCATE, UDP)
        self.assertIsNone(self.client.raw(data))
        self.assertEqual(self.directory.waiting, [(data, self.client.five_tuple)])
        self.assertEqual((self.world.observer.answers, self.world.observer.drops), ([], []))
        self.directory.known["ann"] = self.ann
        self.assertEqual(code_of(self.client.answer(data)), 0)
        self.assertEqual([one.user for one in self.world.server.allocations], ["ann"])

    def test_nobody_of_that_name_looks_like_a_wrong_password(self) -> None:
        self.directory.known.update({"ann": self.ann, "nobody": Found()})
        lengths = set()
        for self.client.username, self.client.password in (("ann", "wrong"), ("nobody", "p"), ("u", "wrong")):
            answer = self.client.ask(Method.ALLOCATE, UDP)
            self.assertEqual(code_of(answer), 401)
            lengths.add(len(answer.raw))
        self.assertEqual(len(lengths), 1)
        self.assertEqual(self.world.observer.failed, ["ann", "nobody", "u"])

    def test_who_could_not_be_looked_up_is_refused_and_is_not_said_to_have_guessed(self) -> None:
        """Or an account service that is down would have its users banned."""
        self.directory.known["ann"] = Found(fault=True)
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP), 401)
        self.assertEqual(self.world.observer.failed, [])

    def test_when_too_many_wait_the_request_is_a_counted_drop(self) -> None:
        self.directory.room = False
        self.assertIsNone(self.client.raw(self.client.signed(Method.ALLOCATE, UDP)))
        self.assertEqual(self.world.observer.drops, ["look-ups"])

    def test_nobody_is_asked_before_the_nonce_came_back_nor_for_a_foreign_realm(self) -> None:
        self.client.raw(encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP]))
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP, nonce="stale"), 438)
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP, realm="other"), 401)
        self.assertEqual(self.directory.asked, [])

    def test_nobody_is_asked_for_static_users_and_time_limited_names_good_or_bad(self) -> None:
        credential = self.world.credentials.issue("w", self.world.now)
        expired = self.world.credentials.issue("w", self.world.now - 3600)
        for name in ("u", credential.username, expired.username):
            self.client.username, self.client.password = name, "wrong"
            self.assertEqual(self.client.code(Method.ALLOCATE, UDP), 401)
        self.assertEqual(self.directory.asked, [])

    def test_an_unknown_hash_is_not_asked_for(self) -> None:
        self.world.authenticator.sha256 = True
        nonce = self.world.nonces.issue(self.client.five_tuple, self.world.now)
        data = encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [
            UDP, USERHASH.encode(userhash("ann", REALM_NAME)), REALM.encode(REALM_NAME), NONCE.encode(nonce)])
        self.assertEqual(code_of(self.client.answer(sign_sha256(data, b"key"))), 401)
        self.assertEqual(self.directory.asked, [])

    def test_the_name_is_asked_for_in_canonical_spelling(self) -> None:
        self.directory.known["ann lee"] = Found(keys_of_password("ann lee", REALM_NAME, "p"))
        self.client.username = "ann\u00a0lee"
        self.client.allocate()
        self.assertEqual([one.user for one in self.world.server.allocations], ["ann lee"])
        self.assertEqual(self.directory.asked, ["ann lee"])
        self.client.username = "ann lee"
        self.assertEqual(self.client.refresh(600), 0)

    def test_a_strict_policy_of_rooms_is_not_for_them_however_they_are_spelled(self) -> None:
        """They belong to no room, and are told from time-limited names by being charged as who they are."""
        self.world.server.bound = Bound(self.world.credentials, "strict")
        self.directory.known["ann lee"] = Found(keys_of_password("ann lee", REALM_NAME, "p"), self.world.now + 50)
        self.client.username = "ann\u00a0lee"
        self.client.allocate()
        self.assertEqual(self.client.permit(PEER), 0)

    def test_an_allocation_goes_on_without_asking(self) -> None:
        self.directory.known["ann"] = self.ann
        self.client.allocate()
        self.directory.known.clear()
        self.assertEqual((self.client.refresh(600), self.directory.asked), (0, ["ann"]))

    def test_a_user_may_choose_the_kind_of_key_that_the_answer_had(self) -> None:
        self.world.authenticator.sha256 = True
        keys = self.ann.keys
        for port, (known, algorithm, code) in enumerate((
                (keys, 2, 0), (keys, 1, 0), (Keys(md5=keys.md5), 2, 401), (Keys(sha256=keys.sha256), 2, 0))):
            self.client = self.world.client(port + 1)
            self.directory.known["ann"] = Found(known)
            nonce = self.world.nonces.issue(self.client.five_tuple, self.world.now)
            data = encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [
                UDP, USERNAME.encode("ann"), REALM.encode(REALM_NAME), NONCE.encode(nonce),
                PASSWORD_ALGORITHM.encode(algorithm), PASSWORD_ALGORITHMS.encode((2, 1))])
            key = long_term_key("ann", REALM_NAME, "p", algorithm)
            self.assertEqual(code_of(self.client.answer(sign_sha256(data, key))), code)

    def test_what_it_says_of_expiry_counts_where_expiry_is_strict(self) -> None:
        self.directory.known["ann"] = Found(self.ann.keys, self.world.now + 50)
        self.world.authenticator.strict_expiry = True
        self.assertEqual(self.client.allocate().get(LIFETIME), 50)
