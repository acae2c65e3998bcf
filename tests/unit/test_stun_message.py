"""The frame of STUN messages."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.stun.attributes import (
    DATA,
    FINGERPRINT,
    LIFETIME,
    MESSAGE_INTEGRITY,
    REALM,
    SOFTWARE,
    USERNAME,
    XOR_PEER_ADDRESS,
    Malformed,
)
from rtcd.stun.integrity import add_fingerprint, sign, sign_sha256
from rtcd.stun.message import (
    MAX_ATTRIBUTES,
    MAX_MESSAGE_BYTES,
    Class,
    Method,
    decode,
    encode,
    type_of,
)

ID = bytes(range(12))
BARE = encode(Method.BINDING, Class.REQUEST, ID)

BROKEN = {
    "nothing": b"",
    "a header cut short": BARE[:19],
    "a bad cookie": BARE[:4] + b"\x21\x12\xa4\x43" + BARE[8:],
    "the top bits of ChannelData": b"\x40" + BARE[1:],
    "the top bits of RTP": b"\x80" + BARE[1:],
    "an unknown method": b"\x00\x02" + BARE[2:],
    "a longer claim than there is": BARE[:2] + b"\x00\x04" + BARE[4:],
    "a length that is no multiple of 4": BARE[:2] + b"\x00\x02" + BARE[4:] + b"\0\0",
    "an attribute past the end": BARE[:2] + b"\x00\x04" + BARE[4:] + b"\x00\x06\x00\x01",
    "a FINGERPRINT that is wrong": add_fingerprint(BARE)[:-1] + b"\0",
    "a FINGERPRINT that is short": BARE[:2] + b"\x00\x08" + BARE[4:] + b"\x80\x28\x00\x03\0\0\0\0",
    "a FINGERPRINT without a value": BARE[:2] + b"\x00\x04" + BARE[4:] + b"\x80\x28\x00\x00",
}


class Frames(SynchronousTestCase):
    def test_method_and_class_are_woven_into_the_type(self) -> None:
        """RFC 8489 §5."""
        found = [type_of(Method.ALLOCATE, one) for one in Class]
        self.assertEqual(found, [0x0003, 0x0013, 0x0103, 0x0113])
        self.assertEqual(type_of(0xFFF, 3), 0x3FFF)

    def test_every_method_and_class_survives_the_way_out_and_in(self) -> None:
        for method in Method:
            for class_ in Class:
                message = decode(encode(method, class_, ID))
                self.assertEqual((message.method, message.class_, message.transaction_id), (method, class_, ID))

    def test_broken_frames_are_a_value_error_with_a_sentence(self) -> None:
        for name, data in BROKEN.items():
            error = self.assertRaises(ValueError, decode, data)
            self.assertTrue(str(error), name)

    def test_bytes_behind_the_claimed_end_are_ignored(self) -> None:
        message = decode(BARE + b"\x00\x06\x00\x01x\0\0\0")
        self.assertNotIn(USERNAME, message)
        self.assertEqual(message.raw, BARE)

    def test_padding_of_any_value_is_ignored(self) -> None:
        data = BARE[:2] + b"\x00\x08" + BARE[4:] + b"\x00\x06\x00\x01u\xff\xee\xdd"
        self.assertEqual(decode(data).get(USERNAME), "u")

    def test_padding_goes_out_as_zeros(self) -> None:
        self.assertEqual(encode(Method.BINDING, Class.REQUEST, ID, [USERNAME.encode("u")])[-4:], b"u\0\0\0")

    def test_the_first_of_a_repeated_attribute_counts(self) -> None:
        message = decode(encode(Method.REFRESH, Class.REQUEST, ID, [LIFETIME.encode(1), LIFETIME.encode(2)]))
        self.assertEqual(message.get(LIFETIME), 1)

    def test_peers_may_be_repeated(self) -> None:
        peers = [("192.0.2.1", 1), ("2001:db8::1", 2)]
        attributes = [XOR_PEER_ADDRESS.encode(one, ID) for one in peers]
        message = decode(encode(Method.CREATE_PERMISSION, Class.REQUEST, ID, attributes))
        self.assertEqual(message.get_all(XOR_PEER_ADDRESS), peers)

    def test_what_is_not_there_is_none(self) -> None:
        lifetime = decode(BARE).get(LIFETIME)
        self.assertIsNone(lifetime)

    def test_a_broken_value_shows_only_when_asked_for(self) -> None:
        """It deserves a 400 at the right place, not silence."""
        message = decode(BARE[:2] + b"\x00\x08" + BARE[4:] + b"\x00\x0d\x00\x03abc\0")
        self.assertRaises(Malformed, message.get, LIFETIME)

    def test_only_unknown_required_attributes_are_reported_each_once(self) -> None:
        raw = b"".join(struct.pack("!HH", number, 0) for number in (0x7F01, 0x7F00, 0x7F01, 0xFF00))
        message = decode(BARE[:2] + struct.pack("!H", len(raw)) + BARE[4:] + raw)
        self.assertEqual(message.unknown(frozenset()), (0x7F01, 0x7F00))
        self.assertEqual(message.unknown(frozenset((0x7F01, 0x7F00))), ())

    def test_below_0x8000_an_attribute_has_to_be_understood(self) -> None:
        """RFC 8489 §14: the last number of the one half and the first of the other."""
        message = decode(encode(Method.BINDING, Class.REQUEST, ID, [b"\x7f\xff\0\0", b"\x80\0\0\0"]))
        self.assertEqual(message.unknown(frozenset()), (0x7FFF,))

    def test_too_many_attributes_are_refused(self) -> None:
        attributes = [SOFTWARE.encode("")] * MAX_ATTRIBUTES
        self.assertEqual(len(decode(encode(Method.BINDING, Class.REQUEST, ID, attributes)).attributes), MAX_ATTRIBUTES)
        self.assertRaises(ValueError, decode, encode(Method.BINDING, Class.REQUEST, ID, [*attributes, SOFTWARE.encode("")]))

    def test_too_many_attributes_are_refused_before_the_rest_is_read(self) -> None:
        """What follows costs nothing, not even a look at its frame."""
        data = encode(Method.BINDING, Class.REQUEST, ID, [SOFTWARE.encode("")] * (MAX_ATTRIBUTES + 1)
                      + [b"\x80\x22\xff\xff"])
        self.assertIn("more than", str(self.assertRaises(ValueError, decode, data)))
        sealed = sign(encode(Method.BINDING, Class.REQUEST, ID), b"k")
        added = sealed[20:] + SOFTWARE.encode("") * (MAX_ATTRIBUTES + 1) + b"\x80\x22\xff\xff"
        data = sealed[:2] + len(added).to_bytes(2, "big") + sealed[4:20] + added
        self.assertIn("more than", str(self.assertRaises(ValueError, decode, data)))

    def test_a_message_that_is_too_long_is_not_made(self) -> None:
        most = DATA.encode(bytes(MAX_MESSAGE_BYTES - 24))
        self.assertEqual(len(encode(Method.SEND, Class.INDICATION, ID, [most])), MAX_MESSAGE_BYTES)
        self.assertRaises(ValueError, encode, Method.SEND, Class.INDICATION, ID, [most, LIFETIME.encode(1)])

    def test_a_transaction_id_has_twelve_bytes(self) -> None:
        self.assertRaises(ValueError, encode, Method.BINDING, Class.REQUEST, bytes(11))


class Coverage(SynchronousTestCase):
    """RFC 8489 §14.5: what integrity does not cover does not count."""

    def _with(self, signed: bytes, *more: bytes) -> bytes:
        body = signed[20:] + b"".join(more)
        return signed[:2] + struct.pack("!H", len(body)) + signed[4:20] + body

    def test_attributes_behind_message_integrity_are_ignored(self) -> None:
        data = self._with(sign(encode(Method.REFRESH, Class.REQUEST, ID, [LIFETIME.encode(5)]), b"k"), REALM.encode("x"))
        message = decode(data)
        self.assertNotIn(REALM, message)
        self.assertEqual((message.get(LIFETIME), message.integrity_at), (5, 28))

    def test_sha256_integrity_behind_the_other_one_is_seen(self) -> None:
        message = decode(sign_sha256(sign(BARE, b"k"), b"k"))
        self.assertEqual((message.integrity_at, message.integrity_sha256_at), (20, 44))

    def test_the_old_integrity_behind_the_new_one_is_ignored(self) -> None:
        message = decode(sign(sign_sha256(BARE, b"k"), b"k"))
        self.assertEqual((message.integrity_at, message.integrity_sha256_at), (0, 20))

    def test_attributes_behind_the_sha256_integrity_are_ignored(self) -> None:
        self.assertNotIn(REALM, decode(self._with(sign_sha256(BARE, b"k"), REALM.encode("x"))))

    def test_a_second_message_integrity_is_ignored(self) -> None:
        self.assertEqual(decode(sign(sign(BARE, b"k"), b"k")).integrity_at, 20)

    def test_fingerprint_behind_integrity_is_seen(self) -> None:
        self.assertEqual(decode(add_fingerprint(sign(BARE, b"k"))).fingerprint_at, 44)

    def test_attributes_behind_fingerprint_are_ignored(self) -> None:
        wrong = self._with(add_fingerprint(BARE), REALM.encode("x"))
        message = decode(wrong)
        self.assertNotIn(REALM, message)

    def test_integrity_and_fingerprint_are_no_ordinary_attributes(self) -> None:
        message = decode(add_fingerprint(sign(BARE, b"k")))
        self.assertNotIn(MESSAGE_INTEGRITY, message)
        self.assertNotIn(FINGERPRINT, message)


class Properties(SynchronousTestCase):
    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=200))
    def test_garbage_raises_nothing_but_value_errors(self, data: bytes) -> None:
        for one in (data, BARE[:2] + struct.pack("!H", len(data) & 0xFFFC) + BARE[4:] + data):
            try:
                message = decode(one)
            except ValueError:
                continue
            message.unknown(frozenset())

    @settings(max_examples=100, deadline=None)
    @given(st.sampled_from(list(Method)), st.sampled_from(list(Class)), st.binary(min_size=12, max_size=12),
           st.binary(max_size=300), st.booleans())
    def test_what_is_encoded_is_decoded(
        self, method: Method, class_: Class, transaction_id: bytes, data: bytes, fingerprint: bool
    ) -> None:
        raw = encode(method, class_, transaction_id, [DATA.encode(data)])
        message = decode(add_fingerprint(raw) if fingerprint else raw)
        self.assertEqual((message.method, message.class_, message.transaction_id), (method, class_, transaction_id))
        self.assertEqual((message.get(DATA), bool(message.fingerprint_at)), (data, fingerprint))
