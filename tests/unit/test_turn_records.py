"""DTLS from outside: records in datagrams, ClientHellos, cookies; bytes that are none of these."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import FiveTuple
from rtcd.clients.records import (
    KEY_S,
    MAX_MESSAGE_BYTES,
    Cookies,
    Hello,
    datagrams,
    hello_verify_request,
    modest,
    parse_hello,
    records,
    renumber,
)

CLIENT = FiveTuple("dtls", ("192.0.2.7", 40000), ("198.51.100.1", 5349))
RANDOM = bytes(range(32))


def record(body: bytes, kind: int = 22, epoch: int = 0, number: int = 0) -> bytes:
    """One."""
    head = bytes((kind,)) + b"\xfe\xfd" + epoch.to_bytes(2, "big") + number.to_bytes(6, "big")
    return head + len(body).to_bytes(2, "big") + body


def handshake(kind: int, body: bytes, claims: int | None = None, offset: int = 0) -> bytes:
    """A handshake message, or a fragment of a longer one."""
    length = len(body) if claims is None else claims
    return bytes((kind,)) + length.to_bytes(3, "big") + bytes(2) + offset.to_bytes(3, "big") + len(body).to_bytes(
        3, "big") + body


def hello(cookie: bytes = b"", session: bytes = b"") -> bytes:
    """A ClientHello without what is of no use to us."""
    return b"\xfe\xfd" + RANDOM + bytes((len(session),)) + session + bytes((len(cookie),)) + cookie + b"\0\2\xc0\x2b\1\0"


class Records(SynchronousTestCase):
    def test_datagrams_hold_whole_records_and_no_more_than_they_may(self) -> None:
        """A record that is too long for any is sent alone, never cut."""
        parts = [record(bytes(size)) for size in (300, 300, 500, 2000, 10)]
        packed = datagrams(b"".join(parts), 1200)
        self.assertEqual(packed, [parts[0] + parts[1] + parts[2], parts[3], parts[4]])

    @given(st.lists(st.binary(max_size=300), max_size=20), st.integers(13, 400))
    def test_packing_loses_nothing(self, bodies: list[bytes], most: int) -> None:
        """In their order."""
        parts = [record(one) for one in bodies]
        packed = datagrams(b"".join(parts), most)
        self.assertEqual(list(records(b"".join(packed))), parts)
        self.assertTrue(all(len(one) <= most or len(list(records(one))) == 1 for one in packed))

    def test_what_is_not_whole_is_no_record(self) -> None:
        """Nor is what comes behind it."""
        self.assertEqual(list(records(record(b"ab") + record(b"cd")[:-1])), [record(b"ab")])

    def test_plain_records_are_numbered_anew_and_encrypted_ones_are_not(self) -> None:
        """Theirs is part of what protects them; numbers have 48 bits, whatever the client began with."""
        data = record(b"a", number=7) + record(b"b", epoch=1, number=7) + record(b"c")
        self.assertEqual(renumber(data, 40), (
            record(b"a", number=40) + record(b"b", epoch=1, number=7) + record(b"c", number=41), 42))
        self.assertEqual(renumber(data, 2**48 - 1)[0],
                         record(b"a", number=2**48 - 1) + record(b"b", epoch=1, number=7) + record(b"c", number=0))

    def test_a_handshake_is_given_few_encrypted_records(self) -> None:
        """OpenSSL would keep a hundred of them."""
        early = [record(b"x", 22, 1, number) for number in range(9)]
        plain = record(handshake(16, b"key"))
        self.assertEqual(modest(b"".join(early) + plain, 2), (early[0] + early[1] + plain, 2))
        self.assertEqual(modest(early[0] + plain, 0), (plain, 0))

    def test_a_handshake_is_given_no_message_that_claims_to_be_long(self) -> None:
        """OpenSSL would set that much aside; nor as the second one in a record."""
        long = handshake(16, b"key", MAX_MESSAGE_BYTES + 1)
        fits = record(handshake(16, b"key", MAX_MESSAGE_BYTES))
        self.assertEqual(modest(record(long) + fits, 2), (fits, 0))
        self.assertEqual(modest(record(handshake(16, b"key") + long) + fits, 2), (fits, 0))

    @given(st.binary(max_size=200))
    def test_garbage_raises_nothing(self, data: bytes) -> None:
        """Behind a good beginning or without one."""
        for garbage in (data, record(data), record(handshake(1, data)), hello() + data):
            parse_hello(garbage)
            modest(garbage, 4)
            datagrams(garbage, 100)


class Hellos(SynchronousTestCase):
    def test_a_hello_tells_number_random_and_cookie(self) -> None:
        """Whatever session it would like to go on with."""
        found = parse_hello(record(handshake(1, hello(b"cookie", b"session")), number=7))
        self.assertEqual(found, Hello(bytes(5) + b"\7", RANDOM, b"cookie"))

    def test_other_things_are_no_hello(self) -> None:
        """Another message, one in fragments, an encrypted one, one cut anywhere."""
        good = handshake(1, hello(b"c"))
        for bad in (record(handshake(2, hello())), record(handshake(1, hello(), 500)),
                    record(handshake(1, hello(), None, 1)), record(good, epoch=1), record(good, 23), b"", bytes(13)):
            self.assertIsNone(parse_hello(bad))
        for size in range(2 + 32 + 1 + 1):
            self.assertIsNone(parse_hello(record(handshake(1, hello()[:size]))), size)

    def test_the_answer_is_shorter_than_the_smallest_hello(self) -> None:
        """So nobody is hit harder by way of us (RFC 6347 §4.2.1)."""
        data = record(handshake(1, hello()))
        found = parse_hello(data)
        assert found is not None
        answer = hello_verify_request(found, bytes(16))
        self.assertLess(len(answer), len(data))
        self.assertEqual(list(records(answer)), [answer])
        self.assertEqual((answer[13], answer[25:28], answer[28:]), (3, b"\xfe\xff\x10", bytes(16)))


class CookieKeys(SynchronousTestCase):
    def setUp(self) -> None:
        numbers = itertools.count(1)
        self.cookies = Cookies(lambda size: next(numbers).to_bytes(size, "big"))

    def made(self, now: float) -> Hello:
        """A hello with the cookie of that moment."""
        bare = Hello(bytes(6), RANDOM, b"")
        return bare._replace(cookie=self.cookies.make(bare, CLIENT, now))

    def test_a_cookie_fits_its_client_and_its_handshake_only(self) -> None:
        found = self.made(1000)
        self.assertTrue(self.cookies.fits(found, CLIENT, 1001))
        for other in (CLIENT._replace(client=("192.0.2.8", 40000)), CLIENT._replace(client=("192.0.2.7", 40001)),
                      CLIENT._replace(server=("198.51.100.2", 5349))):
            self.assertFalse(self.cookies.fits(found, other, 1001))
        self.assertFalse(self.cookies.fits(found._replace(random=bytes(32)), CLIENT, 1001))
        for cookie in (b"", found.cookie[:-1], found.cookie + b"x", bytes(16)):
            self.assertFalse(self.cookies.fits(found._replace(cookie=cookie), CLIENT, 1001))

    def test_a_cookie_outlives_one_change_of_the_key(self) -> None:
        """And not two."""
        found = self.made(1000)
        self.assertTrue(self.cookies.fits(found, CLIENT, 1000 + KEY_S))
        self.assertNotEqual(self.made(1000 + KEY_S).cookie, found.cookie)
        self.assertFalse(self.cookies.fits(found, CLIENT, 1000 + 2 * KEY_S))

    def test_a_cookie_of_long_ago_is_not_kept_good_by_silence(self) -> None:
        found = self.made(1000)
        self.assertFalse(self.cookies.fits(found, CLIENT, 1000 + 2 * KEY_S))

    def test_a_clock_that_was_put_back_keeps_cookies_good(self) -> None:
        """And the key is changed again in time."""
        found = self.made(1000)
        self.assertTrue(self.cookies.fits(found, CLIENT, 10))
        self.assertNotEqual(self.made(10 + KEY_S).cookie, found.cookie)
