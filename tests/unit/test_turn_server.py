"""Requests and indications: the rules of RFC 8656 for one client after another."""

from __future__ import annotations

import random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from rtcd.allocations.addresses import External
from rtcd.allocations.allocation import MAX_CHANNELS, MAX_PERMISSIONS, Traffic
from rtcd.allocations.reservation import MAX_RESERVATIONS, RESERVATION_S
from rtcd.doorway.directory import Listener
from rtcd.interfaces import IRelayPlane
from rtcd.peers.policy import PeerPolicy
from rtcd.ranges import parse_ranges
from rtcd.stun import attributes as a
from rtcd.stun.attributes import DATA, LIFETIME, REQUESTED_ADDRESS_FAMILY, REQUESTED_TRANSPORT, XOR_PEER_ADDRESS
from rtcd.stun.integrity import add_fingerprint, sign
from rtcd.stun.message import Class, Method, decode, encode
from rtcd.turn.request import Rules
from rtcd.turn.server import MAX_UNKNOWN
from tests.fakes_turn import PEER, SERVER, SERVER6, UDP, FakePlane, World, code_of

ID = bytes(12)
PEER6 = ("2606:4700::1", 4000)
BOTH = a.ADDITIONAL_ADDRESS_FAMILY.encode(2)
V4, V6 = REQUESTED_ADDRESS_FAMILY.encode(1), REQUESTED_ADDRESS_FAMILY.encode(2)
BINDING = encode(Method.BINDING, Class.REQUEST, ID)


def lengthen(attribute: a.Attribute[Any]) -> bytes:
    """The attribute with a value that is one byte too long."""
    return attribute.number.to_bytes(2, "big") + b"\0\x05abcde\0\0\0"


class Fakes(SynchronousTestCase):
    def test_the_fake_plane_is_a_relay_plane(self) -> None:
        self.assertTrue(verifyObject(IRelayPlane, FakePlane()))


class Binding(SynchronousTestCase):
    def test_the_answer_is_the_mapped_address_and_nothing_else(self) -> None:
        answer = World().client().raw(BINDING)
        self.assertEqual(len(answer or b""), 32)

    def test_fingerprint_is_mirrored_and_only_then_sent(self) -> None:
        client = World().client()
        self.assertTrue(client.answer(add_fingerprint(BINDING)).fingerprint_at)
        self.assertFalse(client.answer(BINDING).fingerprint_at)

    def test_fingerprint_goes_on_everything_if_the_operator_wants(self) -> None:
        self.assertTrue(World(Rules(fingerprint=True)).client().answer(BINDING).fingerprint_at)

    def test_an_answer_of_every_kind_has_the_fingerprint_of_its_request(self) -> None:
        """Success and error, with integrity and without; FINGERPRINT is the last attribute (RFC 8489 §14.7)."""
        for always, asked in ((False, False), (False, True), (True, False)):
            client = World(Rules(fingerprint=always)).client()
            requests = [BINDING, encode(Method.ALLOCATE, Class.REQUEST, ID, [UDP]),
                        client.signed(Method.ALLOCATE, UDP, nonce="x"), client.signed(Method.REFRESH),
                        client.signed(Method.ALLOCATE, UDP), client.signed(Method.ALLOCATE, UDP),
                        client.signed(Method.REFRESH, b"\x7f\x01\0\0"), client.signed(Method.REFRESH, LIFETIME.encode(0)),
                        encode(Method.BINDING, Class.REQUEST, ID, [b"\x7f\x01\0\0"])]
            codes = []
            for request in requests:
                answer = client.answer(add_fingerprint(request) if asked else request)
                self.assertEqual(answer.fingerprint_at, len(answer.raw) - 8 if always or asked else 0)
                codes.append(code_of(answer))
            self.assertEqual(codes, [0, 401, 438, 437, 0, 437, 420, 0, 420])

    def test_unknown_required_attributes_are_answered_with_420(self) -> None:
        """An odd number of them is padded by the attribute, not by a zero type."""
        answer = World().client().answer(encode(Method.BINDING, Class.REQUEST, ID, [
            b"\x7f\x01\0\0", b"\x7f\x02\0\0", a.CHANGE_REQUEST.encode(6), b"\xff\x00\0\0"]))
        self.assertEqual((code_of(answer), answer.get(a.UNKNOWN_ATTRIBUTES)), (420, (0x7F01, 0x7F02, 3)))

    def test_a_420_names_only_so_many_attributes(self) -> None:
        many = [number.to_bytes(2, "big") + b"\0\0" for number in range(0x7F00, 0x7F00 + MAX_UNKNOWN + 1)]
        answer = World().client().answer(encode(Method.BINDING, Class.REQUEST, ID, many))
        named = answer.get(a.UNKNOWN_ATTRIBUTES)
        self.assertEqual(len(named or ()), MAX_UNKNOWN)

    def test_old_clients_can_be_told_the_plain_address_too(self) -> None:
        client = World(Rules(legacy_mapped_address=True)).client()
        self.assertEqual(client.answer(BINDING).get(a.MAPPED_ADDRESS), client.five_tuple.client)

    def test_ipv6_clients_are_told_their_ipv6_address(self) -> None:
        client = World().client(host="2001:db8::7", server=SERVER6)
        self.assertEqual(client.answer(BINDING).get(a.XOR_MAPPED_ADDRESS), ("2001:db8::7", 40000))

    def test_what_is_no_request_gets_no_answer(self) -> None:
        client = World().client()
        for data in (b"", b"garbage" * 9, encode(Method.BINDING, Class.INDICATION, ID),
                     encode(Method.BINDING, Class.SUCCESS, ID),
                     encode(Method.BINDING, Class.ERROR, ID), encode(Method.SEND, Class.REQUEST, ID),
                     encode(Method.DATA, Class.INDICATION, ID), encode(Method.ALLOCATE, Class.INDICATION, ID)):
            self.assertIsNone(client.raw(data))

    def test_stun_only_leaves_turn_unanswered(self) -> None:
        client = World(Rules(stun_only=True)).client()
        self.assertIsNotNone(client.raw(BINDING))
        self.assertIsNone(client.raw(client.signed(Method.ALLOCATE, UDP)))


class Allocate(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.client()

    def _code(self, *attributes: bytes, world: World | None = None) -> int:
        world = world or World()
        return world.client().code(Method.ALLOCATE, *attributes)

    def test_success_tells_relay_lifetime_and_mapped_address(self) -> None:
        answer = self.client.allocate()
        self.assertEqual(
            (answer.get(a.XOR_RELAYED_ADDRESS), answer.get(LIFETIME), answer.get(a.XOR_MAPPED_ADDRESS),
             answer.get(a.SOFTWARE)),
            ((SERVER[0], 50000), 600, self.client.five_tuple.client, None))

    def test_a_retransmitted_request_gets_the_same_bytes(self) -> None:
        request = self.client.signed(Method.ALLOCATE, UDP)
        first = self.client.raw(request)
        self.world.now += 3
        self.assertEqual(self.client.raw(request), first)
        self.assertEqual(len(self.world.plane.open_relays), 1)

    def test_the_same_id_of_a_refused_request_is_a_new_request(self) -> None:
        self.assertEqual(code_of(self.client.ask(Method.ALLOCATE, UDP, nonce="x", transaction_id=ID)), 438)
        self.assertEqual(code_of(self.client.ask(Method.ALLOCATE, UDP, transaction_id=ID)), 0)

    def test_a_second_allocation_on_the_five_tuple_is_refused(self) -> None:
        self.client.allocate()
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP), 437)
        self.world.client(40001).allocate()

    def test_the_transport_must_be_named_well_formed_and_udp(self) -> None:
        self.assertEqual(self._code(), 400)
        self.assertEqual(self._code(lengthen(REQUESTED_TRANSPORT)), 400)
        self.assertEqual(self._code(REQUESTED_TRANSPORT.encode(6)), 442)
        self.assertEqual(self._code(REQUESTED_TRANSPORT.encode(0)), 442)

    def test_mobility_is_forbidden(self) -> None:
        self.assertEqual(self._code(UDP, a.MOBILITY_TICKET.encode(b"")), 405)

    def test_what_is_not_offered_is_an_unknown_attribute(self) -> None:
        for unknown in (a.CHANGE_REQUEST.encode(2), a.PADDING.encode(b""),
                        a.RESPONSE_PORT.encode(1), a.PASSWORD_ALGORITHM.encode(1),
                        a.USERHASH.encode(bytes(32)), a.ACCESS_TOKEN.encode(b"x")):
            client = World().client()
            answer = client.ask(Method.ALLOCATE, UDP, unknown)
            self.assertEqual(code_of(answer), 420)
            self.assertEqual(answer.get(a.UNKNOWN_ATTRIBUTES), (int.from_bytes(unknown[:2], "big"),))

    def test_dont_fragment_is_understood(self) -> None:
        """RFC 8656 §7.2 step 4; one with a value is malformed."""
        self.assertEqual(self._code(UDP, a.DONT_FRAGMENT.encode(b"")), 0)
        self.assertEqual(self._code(UDP, lengthen(a.DONT_FRAGMENT)), 400)

    def test_the_lifetime_is_between_the_default_and_the_limit(self) -> None:
        for asked, granted in ((None, 600), (0, 600), (1, 600), (700, 700), (3600, 3600), (2**32 - 1, 3600)):
            attributes = [] if asked is None else [LIFETIME.encode(asked)]
            self.assertEqual(World().client().allocate(*attributes).get(LIFETIME), granted)
        self.assertEqual(World(Rules(max_lifetime=30)).client().allocate().get(LIFETIME), 30)
        self.assertEqual(self._code(UDP, lengthen(LIFETIME)), 400)

    def test_an_even_port_can_be_had(self) -> None:
        self.client.allocate(a.EVEN_PORT.encode(False))
        self.assertEqual([one.even_port for one in self.world.server.allocations], [True])
        self.assertEqual(self._code(UDP, b"\0\x18\0\0"), 400)

    def test_the_next_port_is_held_under_a_token_that_is_good_once(self) -> None:
        """Server-wide, for any user; RFC 8656 §7.2 steps 6 to 8."""
        token = self.client.allocate(a.EVEN_PORT.encode(True)).get(a.RESERVATION_TOKEN)
        self.assertEqual(token, (1).to_bytes(8, "big"))
        (first,) = self.world.server.allocations
        self.assertEqual((first.even_port, first.reserves), (True, token))
        assert token is not None
        claim = a.RESERVATION_TOKEN.encode(token)
        self.world.client(2).allocate(claim)
        self.assertEqual([one.claims for one in self.world.server.allocations], [b"", token])
        self.assertEqual(self.world.client(3).code(Method.ALLOCATE, UDP, claim), 508)
        self.world.now += 40
        self.world.server.expire(self.world.now)
        self.assertNotIn(("release", token), self.world.plane.calls)

    def test_a_port_that_nobody_claims_is_let_go_after_its_time(self) -> None:
        """30 s, also when the allocation that asked for it has gone before."""
        token = self.client.allocate(a.EVEN_PORT.encode(True)).get(a.RESERVATION_TOKEN)
        assert token is not None
        self.client.refresh(0)
        self.assertEqual(self.world.server.next_deadline(), self.world.now + RESERVATION_S)
        self.world.now += RESERVATION_S
        self.assertEqual(self.world.client(2).code(Method.ALLOCATE, UDP, a.RESERVATION_TOKEN.encode(token)), 508)
        self.world.server.expire(self.world.now)
        self.assertIn(("release", token), self.world.plane.calls)
        self.assertIsNone(self.world.server.next_deadline())

    def test_held_ports_are_bounded(self) -> None:
        """One more is answered with 508, and nothing is left behind."""
        for number in range(MAX_RESERVATIONS):
            self.world.server.reservations.add(number.to_bytes(9, "big"), a.Family.IPV4, SERVER[0], "u", "n", self.world.now)
        self.assertEqual(self._code(UDP, a.EVEN_PORT.encode(True), world=self.world), 508)
        self.assertEqual(list(self.world.server.allocations), [])

    def test_a_failed_claim_leaves_nothing_behind(self) -> None:
        """The token is used up."""
        token = self.client.allocate(a.EVEN_PORT.encode(True)).get(a.RESERVATION_TOKEN)
        assert token is not None
        self.world.plane.fault = OSError()
        claim = a.RESERVATION_TOKEN.encode(token)
        self.assertEqual(self.world.client(2).code(Method.ALLOCATE, UDP, claim), 508)
        self.world.plane.fault = None
        self.assertEqual(self.world.client(3).code(Method.ALLOCATE, UDP, claim), 508)

    def test_a_next_port_is_refused_behind_what_is_wrong_with_the_families(self) -> None:
        """RFC 8656 §7.2: 400 before 440, 440 before 486, 486 before 508."""
        both = a.ADDITIONAL_ADDRESS_FAMILY.encode(2)
        even = a.EVEN_PORT.encode(True)
        self.assertEqual(self._code(UDP, even, both), 400)
        self.assertEqual(self._code(UDP, even, lengthen(REQUESTED_ADDRESS_FAMILY)), 400)
        self.assertEqual(self._code(UDP, even, REQUESTED_ADDRESS_FAMILY.encode(3)), 440)
        full = World(Rules(total_quota=1))
        full.client().allocate()
        self.assertEqual(full.client(2).code(Method.ALLOCATE, UDP, even), 486)
        for number in range(MAX_RESERVATIONS):
            full.server.reservations.add(number.to_bytes(9, "big"), a.Family.IPV4, SERVER[0], "v", "n", full.now)
        self.assertEqual(full.client(3).code(Method.ALLOCATE, UDP, even), 486)

    def test_a_reservation_is_well_formed_alone_and_known(self) -> None:
        token = a.RESERVATION_TOKEN.encode(bytes(8))
        self.assertEqual(self._code(UDP, token), 508)
        for broken in (b"\0\x22\0\x07abcdefg\0", b"\0\x22\0\0"):
            self.assertEqual(self._code(UDP, broken), 400)
        for other in (a.EVEN_PORT.encode(False), a.EVEN_PORT.encode(True), V4, a.ADDITIONAL_ADDRESS_FAMILY.encode(2)):
            self.assertEqual(self._code(UDP, token, other), 400)

    def test_families_are_served_or_refused(self) -> None:
        self.assertEqual(self.client.allocate(V6).get(a.XOR_RELAYED_ADDRESS), (SERVER6[0], 50000))
        self.assertEqual(self._code(UDP, V4), 0)
        self.assertEqual(self._code(UDP, REQUESTED_ADDRESS_FAMILY.encode(3)), 440)
        self.assertEqual(self._code(UDP, lengthen(REQUESTED_ADDRESS_FAMILY)), 400)
        only4, only6 = World(hosts=(SERVER[0],)), World(hosts=(SERVER6[0],))
        self.assertEqual(self._code(UDP, V6, world=only4), 440)
        self.assertEqual(self._code(UDP, world=only6), 440)

    def test_a_client_that_names_no_family_gets_the_default_or_keeps_its_own(self) -> None:
        for default, host in ((a.Family.IPV4, SERVER[0]), (a.Family.IPV6, SERVER6[0]), (None, SERVER6[0])):
            client = World(Rules(default_family=default)).client(host="2001:db8::7", server=SERVER6)
            self.assertEqual((client.allocate().get(a.XOR_RELAYED_ADDRESS) or ("", 0))[0], host)
        self.assertEqual(self._code(UDP, world=World(Rules(default_family=a.Family.IPV6), hosts=(SERVER[0],))), 440)

    def test_quotas_are_charged_and_given_back_once(self) -> None:
        for rules in (Rules(user_quota=2), Rules(total_quota=2), Rules(address_quota=2)):
            world = World(rules)
            clients = [world.client(port) for port in (1, 2, 3)]
            clients[0].allocate()
            clients[1].allocate()
            self.assertEqual(clients[2].code(Method.ALLOCATE, UDP), 486)
            self.assertEqual((clients[0].refresh(0), clients[0].refresh(0)), (0, 437))
            clients[2].allocate()
            self.assertEqual(clients[0].code(Method.ALLOCATE, UDP), 486)

    def test_held_ports_count_until_they_are_claimed(self) -> None:
        """Else a client could let allocations go at once and keep the port above each of them."""
        for rules, reason in ((Rules(user_quota=3), "user-quota"), (Rules(address_quota=3), "address-quota"),
                              (Rules(total_quota=3), "total-quota")):
            world = World(rules)
            client, claiming = world.client(1), world.client(2)
            held = []
            for _ in range(3):
                held.append(client.allocate(a.EVEN_PORT.encode(True)).get(a.RESERVATION_TOKEN) or b"")
                self.assertEqual(client.refresh(0), 0)
            self.assertEqual(client.code(Method.ALLOCATE, UDP), 486)
            self.assertEqual(world.observer.refusals[0][2], reason)
            self.assertEqual(claiming.code(Method.ALLOCATE, UDP, a.RESERVATION_TOKEN.encode(held[0])), 0)
            self.assertEqual(client.code(Method.ALLOCATE, UDP), 486)
            claiming.refresh(0)
            client.allocate()
            world.now += RESERVATION_S
            world.client(3).allocate()

    def test_ports_that_others_hold_count_for_them(self) -> None:
        world = World(Rules(user_quota=1, address_quota=1))
        world.client().allocate(a.EVEN_PORT.encode(True))
        other = world.client(host="192.0.2.8")
        other.username, other.password = "v", "q"
        other.allocate()

    def test_quotas_of_one_do_not_touch_the_other(self) -> None:
        world = World(Rules(user_quota=1, address_quota=1))
        world.client().allocate()
        other = world.client(host="192.0.2.8")
        self.assertEqual(other.code(Method.ALLOCATE, UDP), 486)
        other.username, other.password = "v", "q"
        other.allocate()
        third = world.client(40001)
        third.username, third.password = "nobody", ""
        credential = world.credentials.issue("w", world.now)
        third.username, third.password = credential.username, credential.password
        self.assertEqual(third.code(Method.ALLOCATE, UDP), 486)

    def test_fresh_time_limited_names_of_one_user_share_its_quota(self) -> None:
        world = World(Rules(user_quota=1))
        codes = []
        for port in (1, 2):
            client = world.client(port)
            credential = world.credentials.issue("w", world.now + port)
            client.username, client.password = credential.username, credential.password
            codes.append(client.code(Method.ALLOCATE, UDP))
        self.assertEqual(codes, [0, 486])

    def test_a_failed_allocate_leaves_nothing(self) -> None:
        world = World(Rules(user_quota=1))
        client = world.client()
        world.plane.fault = OSError("none left")
        self.assertEqual(client.code(Method.ALLOCATE, UDP), 508)
        self.assertEqual((client.refresh(600), len(world.server.allocations)), (437, 0))
        world.plane.fault = None
        client.allocate()

    def test_the_external_address_is_told_and_nothing_else_changes(self) -> None:
        world = World(external=(External("203.0.113.9", SERVER[0]),))
        answer = world.client().allocate()
        self.assertEqual(answer.get(a.XOR_RELAYED_ADDRESS), ("203.0.113.9", 50000))
        self.assertEqual(answer.get(a.XOR_MAPPED_ADDRESS), ("192.0.2.7", 40000))

    def test_the_software_is_told_to_users_only_if_the_operator_wants(self) -> None:
        client = World(Rules(software="x")).client()
        self.assertEqual(client.allocate().get(a.SOFTWARE), "x")
        software = client.answer(encode(Method.ALLOCATE, Class.REQUEST, ID, [UDP])).get(a.SOFTWARE)
        self.assertIsNone(software)


class Order(SynchronousTestCase):
    """With several things wrong at once, the check that comes first is the one that answers."""

    def test_allocate(self) -> None:
        """RFC 8656 §5 and §7.2: unknown attributes, five-tuple, draining, transport, ticket, lifetime, family, quota."""
        world = World(Rules(user_quota=1))
        full, client = world.client(), world.client(2)
        full.allocate()
        wrong = [(420, b"\x7f\x01\0\0"), (403, b""), (442, REQUESTED_TRANSPORT.encode(0)),
                 (405, a.MOBILITY_TICKET.encode(b"")), (400, lengthen(LIFETIME)),
                 (440, REQUESTED_ADDRESS_FAMILY.encode(3)), (486, b"")]
        world.plane.fault = OSError()
        for first, (code, _) in enumerate(wrong):
            world.server.draining = first <= 1
            attributes = [one for _, one in wrong[first:] if one]
            if first > 2:
                attributes.append(UDP)
            self.assertEqual(client.code(Method.ALLOCATE, *attributes), code)
            self.assertEqual(full.code(Method.ALLOCATE, *attributes), code if code == 420 else 437)
        world.server.rules = Rules()
        self.assertEqual(client.code(Method.ALLOCATE, UDP), 508)

    def test_allocate_with_a_token(self) -> None:
        """400 for the lifetime or company, 508 for the token, 486 for the quota."""
        world = World(Rules(user_quota=1))
        world.client().allocate()
        client, token = world.client(2), a.RESERVATION_TOKEN.encode(b"12345678")
        for more, code in ((lengthen(LIFETIME), 400), (a.EVEN_PORT.encode(False), 400), (b"", 508)):
            self.assertEqual(client.code(Method.ALLOCATE, UDP, token, *([more] if more else [])), code)

    def test_requests_about_an_allocation(self) -> None:
        """437, 441, 420, 400, 443, 403, 508 (RFC 8656 §5, §10.2, §12.2)."""
        world = World()
        client, nobody, other = world.client(), world.client(2), world.client()
        other.username, other.password = "v", "q"
        client.allocate()
        client.permit(*((f"8.{n >> 8}.{n & 255}.1", 1) for n in range(MAX_PERMISSIONS)))
        unknown, number = b"\x7f\x01\0\0", a.CHANNEL_NUMBER.encode(0x4000)
        broken, denied6, denied, fine = b"\0\x12\0\0", *(XOR_PEER_ADDRESS.encode(one, ID) for one in (
            ("::1", 1), ("127.0.0.1", 1), PEER))
        for who, code in ((nobody, 437), (other, 441), (client, 420)):
            for method in (Method.CREATE_PERMISSION, Method.CHANNEL_BIND, Method.REFRESH):
                self.assertEqual(who.code(method, unknown, broken, transaction_id=ID), code)
        for named, code in (((broken, denied6), 400), ((denied6, denied), 443), ((denied,), 403), ((fine,), 508)):
            self.assertEqual(client.code(Method.CREATE_PERMISSION, *named, transaction_id=ID), code)
            self.assertEqual(client.code(Method.CHANNEL_BIND, number, *named, transaction_id=ID), code)
        for wrong in (a.CHANNEL_NUMBER.encode(0x3FFF), a.CHANNEL_NUMBER.encode(0x5000)):
            self.assertEqual(client.code(Method.CHANNEL_BIND, wrong, denied6, transaction_id=ID), 400)
        family6 = REQUESTED_ADDRESS_FAMILY.encode(2)
        self.assertEqual(client.code(Method.REFRESH, lengthen(LIFETIME), family6, a.MOBILITY_TICKET.encode(b"x")), 400)
        self.assertEqual(client.code(Method.REFRESH, family6, a.MOBILITY_TICKET.encode(b"x")), 443)

    def test_a_bound_number_is_told_before_what_is_wrong_with_the_peer(self) -> None:
        """RFC 8656 §12.2: 400 before 443 and 403."""
        client = World().client()
        client.allocate()
        client.bind(0x4000)
        self.assertEqual((client.bind(0x4000, PEER6), client.bind(0x4000, ("127.0.0.1", 1))), (400, 400))


class Dual(SynchronousTestCase):
    """Two relays of one allocation (RFC 8656 §7.2 step 9, §8.1)."""

    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.client()

    def _families(self) -> list[int]:
        return sorted(family for _, family in self.world.plane.open_relays)

    def _both(self, attribute: bytes = BOTH) -> None:
        self.client.allocate(attribute)

    def _refresh(self, lifetime_s: int, *family: bytes) -> int:
        return self.client.code(Method.REFRESH, LIFETIME.encode(lifetime_s), *family)

    def test_both_relays_are_told(self) -> None:
        answer = self.client.allocate(BOTH)
        self.assertEqual(answer.get_all(a.XOR_RELAYED_ADDRESS), [(SERVER[0], 50000), (SERVER6[0], 50001)])
        self.assertNotIn(a.ADDRESS_ERROR_CODE, answer)
        self.assertEqual((self._families(), self.world.server.allocations.of_user("u")), ([1, 2], 1))

    def test_external_addresses_are_told_of_both(self) -> None:
        world = World(external=(External("203.0.113.9"), External("2001:db8::9")))
        self.assertEqual(world.client().allocate(BOTH).get_all(a.XOR_RELAYED_ADDRESS),
                         [("203.0.113.9", 50000), ("2001:db8::9", 50001)])

    def test_one_that_cannot_be_had_is_told_as_an_error_beside_the_other(self) -> None:
        """440 for a family that is not served, 508 where there is no port; of the first family likewise."""
        for hosts, faulty, failed, code, there in (
                ((SERVER[0],), set(), 2, 440, SERVER[0]), ((SERVER6[0],), set(), 1, 440, SERVER6[0]),
                ((SERVER[0], SERVER6[0]), {2}, 2, 508, SERVER[0]), ((SERVER[0], SERVER6[0]), {1}, 1, 508, SERVER6[0])):
            world = World(hosts=hosts)
            world.plane.faulty = faulty
            answer = world.client().allocate(BOTH)
            told = answer.get(a.ADDRESS_ERROR_CODE)
            assert told is not None
            self.assertEqual(told[:2], (failed, code))
            self.assertEqual([one[0] for one in answer.get_all(a.XOR_RELAYED_ADDRESS)], [there])
            self.assertEqual(len(world.plane.open_relays), 1)

    def test_none_of_both_is_a_failure_that_leaves_nothing(self) -> None:
        for hosts, code in (((SERVER[0], SERVER6[0]), 508), ((SERVER[0],), 508), ((), 440)):
            world = World(hosts=hosts)
            world.plane.fault = OSError("none left")
            client = world.client()
            self.assertEqual(client.code(Method.ALLOCATE, UDP, BOTH), code)
            self.assertEqual((client.refresh(600), len(world.server.allocations), world.plane.open_relays), (437, 0, set()))

    def test_a_fault_of_ours_at_the_second_relay_closes_the_first(self) -> None:
        self.world.plane.faulty = {2}
        self.patch(self.world.server.addresses, "shown", lambda relayed: 1 / 0)
        self.assertRaises(ZeroDivisionError, self.client.allocate, BOTH)
        self.assertEqual((self._families(), len(self.world.server.allocations)), ([], 0))

    def test_debian_s_coturn_client_asks_by_the_number_of_a_draft(self) -> None:
        """0x8032, and is told by 0x8033 what there is not (turnutils_uclient 4.6.1 -Z)."""
        old = a.OLD_ADDITIONAL_ADDRESS_FAMILY
        self.assertEqual(len(self.client.allocate(old.encode(2)).get_all(a.XOR_RELAYED_ADDRESS)), 2)
        answer = World(hosts=(SERVER[0],)).client().allocate(old.encode(2))
        self.assertEqual(answer.get(a.OLD_ADDRESS_ERROR_CODE), (2, 440, "Address Family not Supported"))
        self.assertNotIn(a.ADDRESS_ERROR_CODE, answer)
        other = self.world.client(2)
        for wrong in ((old.encode(1),), (old.encode(2), V4), (lengthen(old),), (old.encode(2), a.EVEN_PORT.encode(True)),
                      (old.encode(2), a.RESERVATION_TOKEN.encode(bytes(8)))):
            self.assertEqual(other.code(Method.ALLOCATE, UDP, *wrong), 400)

    def test_only_ipv6_may_be_the_additional_family_and_alone(self) -> None:
        for wrong in ((a.ADDITIONAL_ADDRESS_FAMILY.encode(1),), (a.ADDITIONAL_ADDRESS_FAMILY.encode(3),), (BOTH, V4),
                      (BOTH, V6), (lengthen(a.ADDITIONAL_ADDRESS_FAMILY),)):
            self.assertEqual(self.client.code(Method.ALLOCATE, UDP, *wrong), 400)

    def test_both_relays_may_be_at_even_ports(self) -> None:
        self.client.allocate(BOTH, a.EVEN_PORT.encode(False))
        self.assertEqual(([one.even_port for one in self.world.server.allocations], self._families()), ([True], [1, 2]))

    def test_peers_of_either_family_are_reached(self) -> None:
        self._both()
        codes = self.client.permit(PEER, PEER6), self.client.bind(0x4000), self.client.bind(0x4001, PEER6)
        self.assertEqual(codes, (0, 0, 0))
        self.client.indicate(XOR_PEER_ADDRESS.encode(PEER6, ID), DATA.encode(b"x"))
        self.assertEqual(self.world.plane.calls[-1][:3], ("send", PEER6, b"x"))

    def test_a_refresh_to_zero_of_one_family_closes_that_relay_alone(self) -> None:
        """With its permissions and channels, and none of the other's."""
        self._both()
        self.client.permit(PEER, PEER6)
        self.client.bind(0x4000)
        self.client.bind(0x4001, PEER6)
        self.assertEqual((self._refresh(0, V4), self._families()), (0, [2]))
        (allocation,) = self.world.server.allocations
        self.assertEqual((list(allocation.permissions), list(allocation.channels)), ([PEER6[0]], [0x4001]))
        self.assertEqual((self.client.permit(PEER), self.client.bind(0x4000), self._refresh(600, V4)), (443, 443, 443))
        self.assertEqual((self.client.permit(PEER6), self.client.bind(0x4000, ("2606:4700::2", 1))), (0, 0))
        self.assertEqual((self._refresh(0, V6), self._families(), self._refresh(600)), (0, [], 437))
        self.assertEqual((self.world.observer.ended, self.world.server.allocations.of_user("u")), (["refreshed to 0"], 0))

    def test_a_refresh_without_a_family_is_for_both(self) -> None:
        self._both()
        self.world.now += 500
        self.assertEqual(self._refresh(600), 0)
        self.world.server.expire(self.world.now + 599)
        self.assertEqual(self._families(), [1, 2])
        self.assertEqual((self._refresh(0), self._families()), (0, []))

    def test_a_relay_that_is_not_refreshed_ends_alone(self) -> None:
        """RFC 8656 §8.1: a family that is named is refreshed, the other one is not."""
        self._both()
        self.world.now += 500
        self.assertEqual(self._refresh(600, V6), 0)
        self.assertEqual(self.world.server.next_deadline(), self.world.now + 100)
        self.world.now += 100
        self.world.server.expire(self.world.now)
        self.assertEqual((self._families(), self.world.server.next_deadline()), ([2], self.world.now + 500))
        self.world.server.expire(self.world.now + 500)
        self.assertEqual((self._families(), self.world.observer.ended), ([], ["expired"]))
        self.assertIsNone(self.world.server.next_deadline())

    def test_a_relay_ends_in_time_though_the_timer_is_late(self) -> None:
        self._both()
        self.client.permit(PEER, PEER6)
        self.world.now += 299
        self._refresh(1200, V6)
        self.client.permit(PEER, PEER6)
        self.world.now += 301 - 5
        self.client.permit(PEER, PEER6)
        self.world.now += 5
        self.world.plane.calls.clear()
        for peer in (PEER, PEER6):
            self.client.indicate(XOR_PEER_ADDRESS.encode(peer, ID), DATA.encode(b"x"))
        self.assertEqual([call[1] for call in self.world.plane.calls], [PEER6])
        self.assertEqual(self._refresh(600, V4), 443)

    def test_traffic_is_told_of_both_when_the_allocation_ends(self) -> None:
        self.world.plane.moved = Traffic(1, 2, 3, 4)
        told = []
        self.patch(self.world.observer, "allocation_ended", lambda allocation, reason, traffic: told.append(traffic))
        self._both()
        self._refresh(0, V4)
        self._refresh(0)
        self.assertEqual(told, [Traffic(2, 4, 6, 8)])


class Refresh(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.client()

    def test_everything_but_allocate_needs_an_allocation(self) -> None:
        self.assertEqual((self.client.refresh(0), self.client.permit(PEER), self.client.bind(0x4000)), (437, 437, 437))
        self.assertEqual(self.client.code(Method.CONNECT), 437)

    def test_refresh_extends_from_now(self) -> None:
        self.client.allocate()
        self.world.now += 500
        self.assertEqual(self.client.refresh(600), 0)
        self.world.now += 500
        self.world.server.expire(self.world.now)
        self.assertEqual(self.client.refresh(600), 0)

    def test_refresh_with_zero_lifetime_deletes_the_allocation_at_once(self) -> None:
        self.client.allocate()
        answer = self.client.ask(Method.REFRESH, LIFETIME.encode(0))
        self.assertEqual((code_of(answer), answer.get(LIFETIME)), (0, 0))
        self.assertTrue(answer.integrity_at)
        self.assertEqual(self.world.plane.open_relays, set())
        self.assertEqual(self.client.refresh(600), 437)
        self.client.allocate()

    def test_the_allocation_ends_with_its_lifetime(self) -> None:
        self.client.allocate()
        self.assertEqual(self.world.server.next_deadline(), self.world.now + 600)
        self.world.server.expire(self.world.now + 599)
        self.assertEqual(len(self.world.server.allocations), 1)
        self.world.server.expire(self.world.now + 600)
        self.assertEqual((len(self.world.server.allocations), self.world.observer.ended), (0, ["expired"]))
        self.assertIsNone(self.world.server.next_deadline())

    def test_a_late_timer_changes_nothing(self) -> None:
        self.client.allocate()
        self.world.now += 600
        self.assertEqual(self.client.refresh(600), 437)
        self.assertEqual(self.world.plane.open_relays, set())
        self.client.allocate()

    def test_a_clock_that_steps_back_ends_nothing(self) -> None:
        self.client.allocate()
        self.world.now -= 10000
        self.world.server.expire(self.world.now)
        self.assertEqual(self.client.refresh(600), 0)

    def test_a_broken_lifetime_another_family_or_a_ticket_is_refused(self) -> None:
        self.client.allocate()
        for code, attribute in ((400, lengthen(LIFETIME)), (443, V6), (0, V4), (405, a.MOBILITY_TICKET.encode(b"x")),
                                (420, b"\x7f\x01\0\0")):
            self.assertEqual(self.client.code(Method.REFRESH, attribute), code)

    def test_tcp_is_not_relayed(self) -> None:
        """RFC 6062: Connect on a UDP relay, ConnectionBind over UDP."""
        self.client.allocate()
        self.assertEqual(self.client.code(Method.CONNECT), 403)
        self.assertEqual(self.client.code(Method.CONNECTION_BIND, a.CONNECTION_ID.encode(1)), 400)


class Permissions(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.client()
        self.client.allocate()

    def _installed(self) -> list[str]:
        return [call[1] for call in self.world.plane.calls if call[0] == "permit"]

    def test_every_peer_of_one_request_is_permitted_whatever_its_port(self) -> None:
        self.assertEqual(self.client.permit(("8.8.8.8", 0), ("8.8.4.4", 9)), 0)
        self.assertEqual(self.world.plane.calls, [
            ("permit", "8.8.8.8", self.world.now + 300, "8.8.8.8"), ("permit", "8.8.4.4", self.world.now + 300, "8.8.4.4")])

    def test_a_host_that_is_named_many_times_is_permitted_once(self) -> None:
        """One datagram must not keep the reactor busy a thousand times over."""
        self.assertEqual(self.client.permit(*((PEER[0], port) for port in range(1000)), ("8.8.4.4", 1)), 0)
        self.assertEqual([call[1] for call in self.world.plane.calls if call[0] == "permit"], [PEER[0], "8.8.4.4"])

    def test_one_bad_peer_and_none_is_permitted(self) -> None:
        self.assertEqual(self.client.permit(PEER, ("127.0.0.1", 1)), 403)
        self.assertEqual(self.client.permit(PEER, PEER6), 443)
        self.assertEqual(self.client.code(
            Method.CREATE_PERMISSION, XOR_PEER_ADDRESS.encode(PEER, ID), b"\0\x12\0\0", transaction_id=ID), 400)
        self.assertEqual((self._installed(), self.client.permit()), ([], 400))
        self.assertEqual(self.world.observer.denied, [(("127.0.0.1", 1), "loopback")])

    def test_there_may_be_so_many_permissions_and_no_more(self) -> None:
        peers = [(f"8.{n >> 8}.{n & 255}.1", 1) for n in range(MAX_PERMISSIONS + 1)]
        self.assertEqual(self.client.permit(*peers), 508)
        self.assertEqual(self._installed(), [])
        self.assertEqual((self.client.permit(*peers[1:]), self.client.permit(*peers[1:]), self.client.permit(peers[0])),
                         (0, 0, 508))
        self.assertEqual(self.client.bind(0x4000, peers[0]), 508)
        self.world.now += 300
        self.assertEqual(self.client.permit(peers[0]), 0)

    def test_ipv4_inside_ipv6_is_refused(self) -> None:
        client = self.world.client(2)
        client.allocate(V6)
        for host in ("::ffff:127.0.0.1", "::127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "::ffff:8.8.8.8"):
            self.assertEqual((client.permit((host, 1)), client.bind(0x4000, (host, 1))), (403, 403), host)
            self.assertEqual(self.client.permit((host, 1)), 443, host)
        self.assertEqual(client.permit(PEER6), 0)


class Channels(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.client()
        self.client.allocate()

    def test_a_channel_installs_the_permission_too(self) -> None:
        self.assertEqual(self.client.bind(0x4000), 0)
        self.assertEqual(self.world.plane.calls, [
            ("permit", PEER[0], self.world.now + 300, PEER[0]), ("bind", 0x4000, PEER, self.world.now + 600)])

    def test_a_channel_may_be_bound_again_and_to_nothing_else(self) -> None:
        codes = [self.client.bind(*one) for one in (
            (0x4000, PEER), (0x4000, PEER), (0x4000, ("8.8.8.8", 4001)), (0x4001, PEER), (0x4001, ("8.8.8.8", 4001)))]
        self.assertEqual(codes, [0, 0, 400, 400, 0])

    def test_an_ended_channel_is_free_on_both_sides(self) -> None:
        for other in ((0x4000, ("8.8.4.4", 1)), (0x4001, PEER)):
            client = self.world.client(other[0])
            client.allocate(LIFETIME.encode(3600))
            client.bind(0x4000)
            self.world.now += 600
            self.assertEqual(client.bind(*other), 0)

    def test_numbers_outside_the_range_are_refused(self) -> None:
        for channel, code in ((0x3FFF, 400), (0x4000, 0), (0x4FFF, 0), (0x5000, 400), (0x7FFF, 400), (0x8000, 400)):
            self.assertEqual(self.client.bind(channel, ("8.8.8.8", channel)), code, channel)

    def test_old_numbers_are_accepted_if_the_operator_wants(self) -> None:
        client = World(Rules(rfc5766_channels=True)).client()
        client.allocate()
        self.assertEqual([client.bind(one, ("8.8.8.8", one)) for one in (0x5000, 0x7FFF, 0x8000)], [0, 0, 400])

    def test_number_and_peer_must_be_there_and_well_formed(self) -> None:
        peer, number = XOR_PEER_ADDRESS.encode(PEER, ID), a.CHANNEL_NUMBER.encode(0x4000)
        for attributes in ((peer,), (number,), (lengthen(a.CHANNEL_NUMBER), peer), (number, b"\0\x12\0\0")):
            self.assertEqual(self.client.code(Method.CHANNEL_BIND, *attributes, transaction_id=ID), 400)
        self.assertEqual(self.client.bind(0x4000, (PEER[0], 0)), 400)

    def test_peers_of_the_other_family_and_denied_ones_are_refused(self) -> None:
        self.assertEqual((self.client.bind(0x4000, PEER6), self.client.bind(0x4000, ("10.0.0.1", 1))), (443, 403))
        self.assertEqual(self.world.plane.calls, [])

    def test_there_may_be_so_many_channels_and_no_more(self) -> None:
        for index in range(MAX_CHANNELS):
            self.assertEqual(self.client.bind(0x4000 + index, ("8.8.8.8", 1 + index)), 0)
        self.assertEqual((self.client.bind(0x4FFF, ("8.8.8.8", 5000)), self.client.bind(0x4000, ("8.8.8.8", 1))), (508, 0))
        self.world.now += 599
        self.client.refresh(3600)
        self.world.now += 1
        self.assertEqual(self.client.bind(0x4FFF, ("8.8.8.8", 5000)), 0)


class Send(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.client()
        self.client.allocate()
        self.client.permit(PEER)
        self.world.plane.calls.clear()
        self.peer, self.data = XOR_PEER_ADDRESS.encode(PEER, ID), DATA.encode(b"hello")

    def test_data_goes_to_a_permitted_peer_at_any_port(self) -> None:
        self.assertIsNone(self.client.indicate(self.peer, self.data))
        self.client.indicate(XOR_PEER_ADDRESS.encode((PEER[0], 9), ID), DATA.encode(b""))
        self.assertEqual(self.world.plane.calls, [("send", PEER, b"hello"), ("send", (PEER[0], 9), b"")])

    def test_what_is_not_to_be_fragmented_goes_out_whole(self) -> None:
        """RFC 8656 §11.2."""
        self.client.indicate(self.peer, self.data, a.DONT_FRAGMENT.encode(b""))
        self.assertEqual(self.world.plane.calls, [("send", PEER, b"hello", "dont fragment")])

    def test_a_data_indication_of_a_client_is_dropped(self) -> None:
        self.client.raw(encode(Method.DATA, Class.INDICATION, ID, [self.peer, self.data]))
        self.assertEqual((self.world.plane.calls, self.world.observer.drops), ([], ["unexpected"]))

    def test_integrity_on_an_indication_is_ignored(self) -> None:
        self.client.raw(sign(encode(Method.SEND, Class.INDICATION, ID, [self.peer, self.data]), b"wrong"))
        self.assertEqual(len(self.world.plane.calls), 1)

    def test_what_is_not_right_is_dropped_in_silence(self) -> None:
        for attributes in ((self.peer,), (self.data,), (b"\0\x12\0\0", self.data), (self.peer, self.data, b"\x7f\x01\0\0"),
                           (self.peer, self.data, lengthen(a.DONT_FRAGMENT)),
                           (XOR_PEER_ADDRESS.encode(("8.8.4.4", 1), ID), self.data),
                           (XOR_PEER_ADDRESS.encode((PEER[0], 0), ID), self.data)):
            self.assertIsNone(self.client.indicate(*attributes))
        self.assertIsNone(self.world.client(2).indicate(self.peer, self.data))
        self.assertEqual(self.world.plane.calls, [])

    def test_a_permission_ends_and_data_does_not_extend_it(self) -> None:
        self.world.now += 299
        self.client.indicate(self.peer, self.data)
        self.world.now += 1
        self.client.indicate(self.peer, self.data)
        self.assertEqual(len(self.world.plane.calls), 1)

    def test_a_peer_that_is_denied_by_a_reload_is_reached_no_longer(self) -> None:
        self.world.server.policy = PeerPolicy(denied=parse_ranges([PEER[0]]))
        self.client.indicate(self.peer, self.data)
        self.assertEqual(self.world.plane.calls, [])


class Hairpin(SynchronousTestCase):
    def test_our_own_external_address_is_reached_at_the_private_one(self) -> None:
        """Two clients of one server behind NAT: each knows the other by the public address."""
        private = ("10.0.0.5", 3478)
        policy = PeerPolicy(relay_hosts=(private[0],), relay_ports=range(50000, 60000))
        world = World(hosts=(private[0],), external=(External("203.0.113.9"),), policy=policy)
        client = world.client(server=private)
        client.allocate()
        self.assertEqual(client.bind(0x4000, ("203.0.113.9", 50001)), 0)
        self.assertEqual(world.plane.calls, [
            ("permit", private[0], world.now + 300, "203.0.113.9"), ("bind", 0x4000, (private[0], 50001), world.now + 600)])
        client.indicate(XOR_PEER_ADDRESS.encode(("203.0.113.9", 50002), ID), DATA.encode(b"x"))
        self.assertEqual(world.plane.calls[-1], ("send", (private[0], 50002), b"x"))
        self.assertEqual(client.bind(0x4001, ("203.0.113.9", 22)), 403)
        self.assertEqual(client.bind(0x4001, ("10.0.0.6", 50001)), 403)

    def test_it_is_reached_though_the_private_one_is_refused(self) -> None:
        """An operator who denies his own network still has clients that call each other; its listeners stay refused."""
        private = ("10.0.0.5", 3478)
        policy = PeerPolicy(relay_hosts=(private[0],), relay_ports=range(50000, 60000), denied=parse_ranges(["10.0.0.0/8"]),
                            listeners=lambda: [Listener("turn", "udp", *private), Listener("web", "tcp", private[0], 50009)])
        world = World(hosts=(private[0],), external=(External("203.0.113.9"),), policy=policy)
        client = world.client(server=private)
        client.allocate()
        self.assertEqual(client.permit(("203.0.113.9", 50001)), 0)
        client.indicate(XOR_PEER_ADDRESS.encode(("203.0.113.9", 50001), ID), DATA.encode(b"x"))
        self.assertEqual(world.plane.calls[-1], ("send", (private[0], 50001), b"x"))
        sent = len(world.plane.calls)
        for port, code in ((50001, 0), (3478, 403), (50009, 403), (22, 403)):
            self.assertEqual(client.bind(0x4000 + port % 7, ("203.0.113.9", port)), code, port)
            if code:
                client.indicate(XOR_PEER_ADDRESS.encode(("203.0.113.9", port), ID), DATA.encode(b"x"))
        self.assertNotIn("send", [call[0] for call in world.plane.calls[sent:]])
        self.assertEqual((client.permit((private[0], 50001)), client.bind(0x4008, (private[0], 50002))), (403, 403))

    def test_an_allocation_keeps_the_external_address_that_it_was_told(self) -> None:
        """New ones are told the new one; each is reached under its own."""
        private = ("10.0.0.5", 3478)
        policy = PeerPolicy(relay_hosts=(private[0],), relay_ports=range(50000, 60000))
        world = World(hosts=(private[0],), external=(External("203.0.113.9"),), policy=policy)
        old, new = world.client(server=private), world.client(2, server=private)
        old.allocate()
        world.addresses.remap([External("203.0.113.10")], {"203.0.113.9"})
        new.allocate()
        shown = [[*one.shown.values()] for one in world.server.allocations]
        self.assertEqual(shown, [[("203.0.113.9", 50000)], [("203.0.113.10", 50001)]])
        self.assertEqual({one.relayed[a.Family.IPV4][0] for one in world.server.allocations}, {private[0]})
        self.assertEqual(new.bind(0x4000, ("203.0.113.9", 50000)), 0)
        self.assertEqual(old.bind(0x4000, ("203.0.113.10", 50001)), 0)
        self.assertEqual([call[2] for call in world.plane.calls if call[0] == "bind"],
                         [(private[0], 50000), (private[0], 50001)])


class Robustness(SynchronousTestCase):
    def test_mutated_packets_leave_allocations_alive(self) -> None:
        world = World()
        client, other = world.client(), world.client(2)
        client.allocate()
        mutate = random.Random(1)
        seeds = [client.signed(Method.REFRESH, LIFETIME.encode(600)), client.signed(Method.CREATE_PERMISSION, UDP), BINDING,
                 encode(Method.SEND, Class.INDICATION, ID, [XOR_PEER_ADDRESS.encode(PEER, ID), DATA.encode(b"x" * 50)])]
        for _ in range(5000):
            data = bytearray(mutate.choice(seeds))
            for _ in range(mutate.randint(1, 6)):
                data[mutate.randrange(len(data))] = mutate.randrange(256)
            for one in (client, other):
                answer = one.raw(bytes(data[: mutate.randint(0, len(data))]))
                if answer is not None:
                    decode(answer)
        self.assertEqual(client.refresh(600), 0)

    def test_allocations_that_come_and_go_leave_nothing_behind(self) -> None:
        world = World(Rules(user_quota=10))
        for turn in range(1000):
            client = world.client(1 + turn)
            client.allocate()
            if turn % 2:
                self.assertEqual(client.refresh(0), 0)
            else:
                world.now += 600
                world.server.expire(world.now)
        self.assertEqual((len(world.server.allocations), world.plane.open_relays), (0, set()))
        self.assertEqual((world.server.allocations.of_user("u"), world.server.allocations.of_network("192.0.2.7")), (0, 0))
        self.assertEqual(world.observer.created, 1000)
