"""Integrity and fingerprint, against the vectors of RFC 5769 and the corrected one of RFC 8489 B.1."""

from __future__ import annotations

import hmac
import struct

from twisted.trial.unittest import SynchronousTestCase

from rtcd.stun import integrity
from rtcd.stun.attributes import (
    NONCE,
    PASSWORD_ALGORITHM,
    REALM,
    SOFTWARE,
    USERHASH,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    PasswordAlgorithm,
)
from rtcd.stun.message import Class, Method, decode, encode

SHORT_TERM = b"VOkJxbRl1RmTxUk/WvJxBt"
REQUEST = bytes.fromhex(
    "00010058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74 00240004 6e0001ff"
    "80290008 932ff9b151263b36 00060009 6576746a3a68367659202020"
    "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf")
RESPONSE4 = bytes.fromhex(
    "0101003c 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 00200008 0001a147e112a643"
    "00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96")
RESPONSE6 = bytes.fromhex(
    "01010048 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220"
    "00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9 00080014 a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004 c8fb0b4c")
LONG_TERM = bytes.fromhex(
    "00010060 2112a442 78ad3433c6ad72c029da412e 00060012 e3839ee38388e383aae38383e382afe382b90000"
    "0015001c 662f2f3439396b39353464364f4c33346f4c39465354767936347341 0014000b 6578616d706c652e6f726700"
    "00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666")
USER = "マトリックス"
KEY = integrity.long_term_key(USER, "example.org", "TheMatrIX")


class Vectors(SynchronousTestCase):
    def test_rfc_5769_request(self) -> None:
        message = decode(REQUEST)
        self.assertEqual((message.get(SOFTWARE), message.get(USERNAME)), ("STUN test client", "evtj:h6vY"))
        self.assertTrue(integrity.verify(message.raw, message.integrity_at, SHORT_TERM))

    def test_rfc_5769_responses(self) -> None:
        for data, address in ((RESPONSE4, ("192.0.2.1", 32853)),
                              (RESPONSE6, ("2001:db8:1234:5678:11:2233:4455:6677", 32853))):
            message = decode(data)
            self.assertEqual(message.get(XOR_MAPPED_ADDRESS), address)
            self.assertTrue(integrity.verify(message.raw, message.integrity_at, SHORT_TERM))

    def test_rfc_5769_long_term(self) -> None:
        message = decode(LONG_TERM)
        self.assertEqual((message.get(USERNAME), message.get(REALM)), (USER, "example.org"))
        self.assertTrue(integrity.verify(message.raw, message.integrity_at, KEY))

    def test_rfc_8489_userhash_and_sha256_as_its_erratum_has_them(self) -> None:
        userhash = integrity.userhash(USER, "example.org")
        self.assertEqual(userhash.hex(), "4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704")
        key = integrity.long_term_key(USER, "example.org", "TheMatrIX", PasswordAlgorithm.SHA256)
        request = encode(Method.BINDING, Class.REQUEST, bytes.fromhex("78ad3433c6ad72c029da412e"), [
            USERHASH.encode(userhash), NONCE.encode("obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"),
            REALM.encode("example.org"), PASSWORD_ALGORITHM.encode(2)])
        signed = integrity.sign_sha256(request, key)
        self.assertEqual(signed[2:4], b"\0\x90")
        self.assertEqual(signed[-32:].hex(), "b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65")

    def test_a_request_as_in_rfc_8489_is_understood_and_any_flipped_byte_fails_its_check(self) -> None:
        key = integrity.long_term_key(USER, "example.org", "TheMatrIX", PasswordAlgorithm.SHA256)
        signed = integrity.sign_sha256(encode(Method.BINDING, Class.REQUEST, bytes.fromhex("78ad3433c6ad72c029da412e"), [
            USERHASH.encode(integrity.userhash(USER, "example.org")),
            NONCE.encode("obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"),
            REALM.encode("example.org"), PASSWORD_ALGORITHM.encode(2)]), key)
        message = decode(signed)
        self.assertEqual((message.get(PASSWORD_ALGORITHM), message.get(USERHASH)), (
            2, bytes.fromhex("4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704")))
        at = message.integrity_sha256_at
        self.assertTrue(integrity.verify_sha256(message.raw, at, key))
        for index in range(len(signed)):
            if index in (2, 3, at, at + 1):
                continue  # the frame's business, as below
            broken = bytearray(signed)
            broken[index] ^= 1
            self.assertFalse(integrity.verify_sha256(bytes(broken), at, key), index)

    def test_the_hash_of_a_name_is_of_its_canonical_spelling(self) -> None:
        """OpaqueString, RFC 8489 §14.4."""
        self.assertEqual(integrity.userhash("e\u0301\u3000x", "r"), integrity.userhash("\u00e9 x", "r"))
        self.assertNotEqual(integrity.userhash("a", "b:c"), integrity.userhash("a", "b"))

    def test_any_flipped_byte_fails_the_check(self) -> None:
        at = decode(LONG_TERM).integrity_at
        for index in range(len(LONG_TERM)):
            if index in (2, 3, at, at + 1):
                continue  # the frame's business: the length is patched, and another type is no integrity at all
            broken = bytearray(LONG_TERM)
            broken[index] ^= 1
            self.assertFalse(integrity.verify(bytes(broken), at, KEY), index)

    def test_any_flipped_byte_fails_the_fingerprint(self) -> None:
        for index in (*range(len(REQUEST) - 8), *range(len(REQUEST) - 6, len(REQUEST))):
            broken = bytearray(REQUEST)
            broken[index] ^= 1
            self.assertRaises(ValueError, decode, bytes(broken))


class Signing(SynchronousTestCase):
    def setUp(self) -> None:
        self.plain = encode(Method.REFRESH, Class.REQUEST, bytes(12), [USERNAME.encode("u")])

    def test_what_is_signed_verifies_with_the_same_key_only(self) -> None:
        message = decode(integrity.add_fingerprint(integrity.sign(self.plain, b"k")))
        self.assertTrue(integrity.verify(message.raw, message.integrity_at, b"k"))
        self.assertFalse(integrity.verify(message.raw, message.integrity_at, b"l"))

    def test_sha256_verifies_whole_and_cut(self) -> None:
        whole = integrity.sign_sha256(self.plain, b"k")
        self.assertTrue(integrity.verify_sha256(whole, len(self.plain), b"k"))
        self.assertFalse(integrity.verify_sha256(whole, len(self.plain), b"l"))

    def test_a_cut_sha256_covers_the_length_that_it_has(self) -> None:
        for size, good in ((16, True), (20, True), (28, True), (12, False), (18, False)):
            covered = self.plain[:2] + struct.pack("!H", len(self.plain) - 20 + 4 + size) + self.plain[4:]
            cut = covered + struct.pack("!HH", 0x1C, size) + hmac.digest(b"k", covered, "sha256")[:size]
            self.assertEqual(integrity.verify_sha256(cut, len(self.plain), b"k"), good, size)

    def test_it_is_over_the_bytes_as_they_came(self) -> None:
        """RFC 8489 §14.5: padding of whatever value is covered, and changed padding shows."""
        padded = self.plain[:-3] + b"\xff\xee\xdd"
        for signed, check, at in ((integrity.sign(padded, b"k"), integrity.verify, len(padded)),
                                  (integrity.sign_sha256(padded, b"k"), integrity.verify_sha256, len(padded))):
            self.assertTrue(check(signed, at, b"k"))
            self.assertFalse(check(signed[: at - 3] + bytes(3) + signed[at:], at, b"k"))

    def test_digests_are_compared_in_constant_time(self) -> None:
        """Otherwise the time until the answer tells how much of a forged one is right."""
        compared: list[int] = []

        def compare(first: bytes, second: bytes) -> bool:
            compared.append(len(first))
            return True

        self.patch(hmac, "compare_digest", compare)
        self.assertTrue(integrity.verify(integrity.sign(self.plain, b"k"), len(self.plain), b"wrong"))
        self.assertTrue(integrity.verify_sha256(integrity.sign_sha256(self.plain, b"k"), len(self.plain), b"wrong"))
        self.assertEqual(compared, [20, 32])

    def test_a_short_integrity_never_verifies(self) -> None:
        self.assertFalse(integrity.verify(self.plain + b"\0\x08\0\0", len(self.plain), b"k"))

    def test_keys_are_the_hash_of_user_realm_and_password(self) -> None:
        self.assertEqual(integrity.long_term_key("user", "realm", "pass").hex(), "8493fbc53ba582fb4c044c456bdc40eb")
        self.assertEqual(len(integrity.long_term_key("user", "realm", "pass", PasswordAlgorithm.SHA256)), 32)
        self.assertRaises(ValueError, integrity.long_term_key, "user", "realm", "pass", 3)

    def test_passwords_are_hashed_in_nfc_with_plain_spaces(self) -> None:
        """OpaqueString, RFC 8265 §4.2."""
        self.assertEqual(integrity.opaque_string("e\u0301\u3000x"), "\u00e9 x")
        self.assertEqual(integrity.long_term_key("u", "r", "e\u0301"), integrity.long_term_key("u", "r", "\u00e9"))
