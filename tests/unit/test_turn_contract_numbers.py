"""The numbers that the RFCs and the contract with operators name: times, limits and lengths that other tests go by.

Those tests take a number from its module, so that they hold whatever it is; here is what it has to be.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations import addresses, allocation, reservation
from rtcd.auth import nonce
from rtcd.clients import connections
from rtcd.config import section_from
from rtcd.stun import attributes, channeldata, framing, integrity
from rtcd.turn import answers, data_connections, discovery, mobility, request, server
from rtcd.turn.request import Rules
from rtcd.turn.settings import Settings


class Numbers(SynchronousTestCase):
    def test_times_are_those_of_the_rfcs(self) -> None:
        """RFC 8656 §3.2, §9, §12, §7.2 (token); RFC 8489 §6.3.1; RFC 6062 §5.2, §5.3; RFC 8016 §3.2.3."""
        rules = Rules()
        self.assertEqual((request.DEFAULT_LIFETIME_S, rules.max_lifetime), (600, 3600))
        self.assertEqual((rules.permission_lifetime, rules.channel_lifetime), (300, 600))
        self.assertEqual((reservation.RESERVATION_S, answers.KEPT_S, data_connections.WAIT_S, mobility.PENDING_S),
                         (30.0, 40.0, 30.0, 30.0))
        self.assertEqual(addresses.PORT_REST_S, 5.0)
        self.assertEqual((connections.FRAME_S, connections.HANDSHAKE_S), (10.0, 10.0))

    def test_an_operator_who_says_nothing_gets_these(self) -> None:
        """The defaults of the ini are the rules that the server has without one."""
        settings = section_from("turn", {}, Settings)
        self.assertEqual(settings.rules(), Rules())
        self.assertEqual((settings.stale_nonce, settings.unauth_rate, settings.handshake_timeout), (600, 20.0, 60.0))

    def test_what_must_not_be_guessed_is_long_enough(self) -> None:
        """Bytes of tokens, tickets and keys; characters of a nonce behind its time."""
        self.assertEqual(reservation.TOKEN_BYTES, 8)
        self.assertGreaterEqual(mobility.TICKET_BYTES, 16)
        self.assertEqual(data_connections.ID_BYTES, 4)
        self.assertGreaterEqual(nonce.NONCE_CHARACTERS - 8, 16)
        self.assertGreaterEqual(nonce.COOKIE_NONCE_CHARACTERS - len(nonce.COOKIE) - 8, 11)
        self.assertEqual(integrity.MIN_SHA256_BYTES, 16)

    def test_nothing_grows_without_bound(self) -> None:
        self.assertEqual((allocation.MAX_PERMISSIONS, allocation.MAX_CHANNELS), (1000, 1000))
        self.assertEqual((server.MAX_AMPLIFICATION, discovery.MAX_TIMES), (3, 3))
        self.assertEqual(discovery.MAX_PADDED_BYTES, {1: 1500 - 28, 2: 1500 - 48})
        self.assertEqual(framing.MAX_FRAME_BYTES, 65555)
        self.assertLessEqual(answers.MAX_ANSWERS, 10000)
        self.assertLessEqual(data_connections.MAX_CONNECTIONS, 1000)
        self.assertLess(attributes.MAX_USERNAME_BYTES, 509)
        self.assertLess(attributes.MAX_TEXT_CHARACTERS, 128)

    def test_channels_are_those_of_rfc_8656(self) -> None:
        self.assertEqual((channeldata.MIN_CHANNEL, channeldata.MAX_CHANNEL, channeldata.MAX_RFC5766_CHANNEL),
                         (0x4000, 0x4FFF, 0x7FFF))

    def test_errors_are_called_as_in_the_rfcs(self) -> None:
        """The reason is a constant, so it tells nothing and amplifies little (CVE-2026-104074)."""
        self.assertEqual(request.REASONS, {
            300: "Try Alternate", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 405: "Mobility Forbidden",
            420: "Unknown Attribute", 437: "Allocation Mismatch", 438: "Stale Nonce",
            440: "Address Family not Supported", 441: "Wrong Credentials", 442: "Unsupported Transport Protocol",
            443: "Peer Address Family Mismatch", 446: "Connection Already Exists", 447: "Connection Timeout or Failure",
            486: "Allocation Quota Reached", 508: "Insufficient Capacity",
        })
