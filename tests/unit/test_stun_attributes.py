"""The values of attributes: round trips, and for each the too short, the too long and the wrong."""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.stun import attributes as a
from rtcd.stun.attributes import TABLE, Attribute, Malformed

ID = bytes(range(12))
V4, V6 = ("192.0.2.1", 32853), ("2001:db8::5", 1)
ADDRESSES = [a.MAPPED_ADDRESS, a.XOR_PEER_ADDRESS, a.XOR_RELAYED_ADDRESS, a.XOR_MAPPED_ADDRESS, a.ALTERNATE_SERVER,
             a.RESPONSE_ORIGIN, a.OTHER_ADDRESS]

CONTRACT = {
    0x0001: "MAPPED-ADDRESS", 0x0003: "CHANGE-REQUEST", 0x0006: "USERNAME", 0x0008: "MESSAGE-INTEGRITY",
    0x0009: "ERROR-CODE", 0x000A: "UNKNOWN-ATTRIBUTES", 0x000C: "CHANNEL-NUMBER", 0x000D: "LIFETIME",
    0x0012: "XOR-PEER-ADDRESS", 0x0013: "DATA", 0x0014: "REALM", 0x0015: "NONCE", 0x0016: "XOR-RELAYED-ADDRESS",
    0x0017: "REQUESTED-ADDRESS-FAMILY", 0x0018: "EVEN-PORT", 0x0019: "REQUESTED-TRANSPORT", 0x001A: "DONT-FRAGMENT",
    0x001B: "ACCESS-TOKEN", 0x001C: "MESSAGE-INTEGRITY-SHA256", 0x001D: "PASSWORD-ALGORITHM", 0x001E: "USERHASH",
    0x0020: "XOR-MAPPED-ADDRESS", 0x0022: "RESERVATION-TOKEN", 0x0026: "PADDING", 0x0027: "RESPONSE-PORT",
    0x002A: "CONNECTION-ID", 0x8000: "ADDITIONAL-ADDRESS-FAMILY", 0x8001: "ADDRESS-ERROR-CODE",
    0x8002: "PASSWORD-ALGORITHMS", 0x8003: "ALTERNATE-DOMAIN", 0x8004: "ICMP", 0x8022: "SOFTWARE",
    0x8023: "ALTERNATE-SERVER", 0x8028: "FINGERPRINT", 0x802B: "RESPONSE-ORIGIN", 0x802C: "OTHER-ADDRESS",
    0x802E: "THIRD-PARTY-AUTHORIZATION", 0x8030: "MOBILITY-TICKET",
    0x8032: "ADDITIONAL-ADDRESS-FAMILY (draft)", 0x8033: "ADDRESS-ERROR-CODE (draft)",
}

GOOD: list[tuple[Attribute[Any], Any, bytes]] = [
    (a.CHANGE_REQUEST, 6, b"\0\0\0\x06"),
    (a.USERNAME, "né", b"n\xc3\xa9"),
    (a.ERROR_CODE, (438, "Stale Nonce"), b"\0\0\x04\x26Stale Nonce"),
    (a.UNKNOWN_ATTRIBUTES, (0x7F01, 0x18, 0x22), b"\x7f\x01\0\x18\0\x22"),
    (a.CHANNEL_NUMBER, 0x4001, b"\x40\x01\0\0"),
    (a.LIFETIME, 600, b"\0\0\x02\x58"),
    (a.DATA, b"", b""),
    (a.REQUESTED_ADDRESS_FAMILY, 2, b"\x02\0\0\0"),
    (a.EVEN_PORT, True, b"\x80"),
    (a.EVEN_PORT, False, b"\0"),
    (a.REQUESTED_TRANSPORT, 17, b"\x11\0\0\0"),
    (a.DONT_FRAGMENT, b"", b""),
    (a.PASSWORD_ALGORITHM, 2, b"\0\x02\0\0"),
    (a.PASSWORD_ALGORITHMS, (2, 1), b"\0\x02\0\0\0\x01\0\0"),
    (a.RESERVATION_TOKEN, b"12345678", b"12345678"),
    (a.RESPONSE_PORT, 3478, b"\x0d\x96\0\0"),
    (a.CONNECTION_ID, 0xDEADBEEF, b"\xde\xad\xbe\xef"),
    (a.ADDRESS_ERROR_CODE, (2, 440, "x"), b"\x02\0\x04\x28x"),
    (a.ICMP, (3, 11, b"abcd"), b"\0\0\x06\x0babcd"),
    (a.ICMP, (127, 511, b"abcd"), b"\0\0\xff\xffabcd"),
    (a.MOBILITY_TICKET, b"t", b"t"),
]

BAD: list[tuple[Attribute[Any], bytes]] = [
    *((row, value) for row in ADDRESSES for value in (
        b"", b"\0\x01\0", b"\0\x01\0\0abc", b"\0\x01\0\0abcde", b"\0\x02\0\0abcd", b"\0\x03\0\0abcd", b"\0\0\0\0abcd")),
    *((row, value) for row in (a.CHANGE_REQUEST, a.CHANNEL_NUMBER, a.LIFETIME, a.REQUESTED_ADDRESS_FAMILY, a.CONNECTION_ID,
                               a.REQUESTED_TRANSPORT, a.ADDITIONAL_ADDRESS_FAMILY, a.RESPONSE_PORT, a.FINGERPRINT)
      for value in (b"", b"abc", b"abcde")),
    (a.USERNAME, b"x" * 509), (a.USERNAME, b"\xff"),
    (a.REALM, b"x" * 128), (a.NONCE, b"x" * 128), (a.SOFTWARE, b"\xc3\xa9" * 128), (a.REALM, b"\xf0" * 764),
    (a.ERROR_CODE, b"\0\0\x04"), (a.ERROR_CODE, b"\0\0\x02\0"), (a.ERROR_CODE, b"\0\0\x07\0"),
    (a.ERROR_CODE, b"\0\0\x04\x64"), (a.ERROR_CODE, b"\0\0\x04\0\xff"), (a.ERROR_CODE, b"\0\0\x04\0" + b"x" * 128),
    (a.UNKNOWN_ATTRIBUTES, b"abc"), (a.UNKNOWN_ATTRIBUTES, b"ab" * 65),
    (a.EVEN_PORT, b""), (a.EVEN_PORT, b"ab"), (a.DONT_FRAGMENT, b"x"),
    (a.MESSAGE_INTEGRITY, b"x" * 19), (a.MESSAGE_INTEGRITY_SHA256, b"x" * 12), (a.MESSAGE_INTEGRITY_SHA256, b"x" * 18),
    (a.MESSAGE_INTEGRITY_SHA256, b"x" * 36), (a.USERHASH, b"x" * 31), (a.RESERVATION_TOKEN, b"x" * 7),
    (a.PASSWORD_ALGORITHM, b""), (a.PASSWORD_ALGORITHM, b"\0\x01\0\0\0\x01\0\0"), (a.PASSWORD_ALGORITHMS, b"\0\x01\0"),
    (a.PASSWORD_ALGORITHMS, b"\0\x01\0\x09abcd"), (a.PASSWORD_ALGORITHMS, b"\0\x01\0\0" * 65),
    (a.ADDRESS_ERROR_CODE, b"\x03\0\x04\0"), (a.ADDRESS_ERROR_CODE, b"\x01"), (a.ICMP, b"1234567"), (a.ICMP, b"123456789"),
    (a.ALTERNATE_DOMAIN, b"x" * 256), (a.THIRD_PARTY_AUTHORIZATION, b"x" * 764),
]

UNFIT: list[tuple[Attribute[Any], Any]] = [
    (a.MAPPED_ADDRESS, ("example.org", 1)), (a.XOR_MAPPED_ADDRESS, ("192.0.2.1", 65536)), (a.MAPPED_ADDRESS, ("::1", -1)),
    (a.USERNAME, "x" * 509), (a.REALM, "x" * 128), (a.LIFETIME, 2**32), (a.LIFETIME, -1), (a.CHANNEL_NUMBER, 65536),
    (a.ERROR_CODE, (299, "")), (a.ERROR_CODE, (700, "")), (a.UNKNOWN_ATTRIBUTES, tuple(range(65))),
    (a.PASSWORD_ALGORITHMS, tuple(range(65))), (a.DATA, bytes(65536)), (a.DONT_FRAGMENT, b"x"), (a.ICMP, (128, 0, b"abcd")),
    (a.ICMP, (0, 512, b"abcd")), (a.ICMP, (0, 0, b"abc")),
]


class Values(SynchronousTestCase):
    def test_the_table_is_the_contracts(self) -> None:
        self.assertEqual({number: row.name for number, row in TABLE.items()}, CONTRACT)

    def test_values_have_the_form_of_the_rfc_both_ways(self) -> None:
        for row, value, raw in GOOD:
            self.assertEqual(row.pack(value, ID), raw, row.name)
            self.assertEqual(row.unpack(raw, ID), value, row.name)

    def test_broken_values_are_a_value_error_with_a_sentence(self) -> None:
        for row, raw in BAD:
            error = self.assertRaises(Malformed, row.unpack, raw, ID)
            self.assertTrue(str(error), row.name)

    def test_reserved_bits_are_sent_as_zero_and_not_looked_at(self) -> None:
        """RFC 8489 §14.8, RFC 8656 §18: a newer client may have a meaning for them."""
        for row, raw, value in (
            (a.ERROR_CODE, b"\xff\xff\xfc\x01", (401, "")), (a.ADDRESS_ERROR_CODE, b"\x01\xff\xfc\x01", (1, 401, "")),
            (a.CHANNEL_NUMBER, b"\x40\x01\xff\xff", 0x4001), (a.REQUESTED_TRANSPORT, b"\x11\xff\xff\xff", 17),
            (a.REQUESTED_ADDRESS_FAMILY, b"\x02\xff\xff\xff", 2), (a.EVEN_PORT, b"\x7f", False),
            (a.EVEN_PORT, b"\xff", True), (a.MAPPED_ADDRESS, b"\xff\x01\0\x05\x08\x08\x08\x08", ("8.8.8.8", 5)),
        ):
            reader: Attribute[Any] = row
            self.assertEqual(reader.unpack(raw, ID), value, row.name)
            self.assertNotIn(0xFF, reader.pack(value, ID), row.name)

    def test_values_that_do_not_fit_are_refused(self) -> None:
        for row, value in UNFIT:
            self.assertRaises(ValueError, row.encode, value, ID)

    def test_addresses_go_both_ways_in_both_families(self) -> None:
        for row in ADDRESSES:
            for address in (V4, V6):
                self.assertEqual(row.unpack(row.pack(address, ID), ID), address, row.name)

    def test_the_longest_texts_fit(self) -> None:
        self.assertEqual(a.USERNAME.unpack(b"x" * 508, ID), "x" * 508)
        self.assertEqual(a.REALM.unpack(b"x" * 127, ID), "x" * 127)

    def test_every_length_is_padded_to_four(self) -> None:
        for size in range(9):
            self.assertEqual(len(a.DATA.encode(bytes(size))), 4 + (size + 3) // 4 * 4)

    @settings(max_examples=200, deadline=None)
    @given(st.ip_addresses(), st.integers(0, 65535), st.binary(min_size=12, max_size=12))
    def test_every_address_survives_xoring(
        self, host: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, transaction_id: bytes
    ) -> None:
        address = (str(host), port)
        self.assertEqual(a.XOR_MAPPED_ADDRESS.unpack(a.XOR_MAPPED_ADDRESS.pack(address, transaction_id), transaction_id),
                         address)

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(list(TABLE.values())), st.binary(max_size=80))
    def test_garbage_raises_nothing_but_malformed(self, row: Attribute[Any], raw: bytes) -> None:
        try:
            row.unpack(raw, ID)
        except Malformed:
            return
