"""RFC 5780: what Binding answers tell of other addresses, and from which socket they leave."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import FiveTuple, Transport
from rtcd.stun import attributes as a
from rtcd.stun.attributes import Address
from rtcd.stun.integrity import add_fingerprint
from rtcd.stun.message import Class, Message, Method, decode, encode
from rtcd.turn.discovery import MAX_PADDED_BYTES, MAX_TIMES, Discovery
from rtcd.turn.request import Rules
from tests.fakes_turn import World, code_of

ONE, TWO = "198.51.100.1", "198.51.100.2"
PORTS = (3478, 3479)
CLIENT = ("192.0.2.7", 40000)
ID = bytes(range(12))


def binding(*attributes: bytes) -> bytes:
    """A Binding request."""
    return encode(Method.BINDING, Class.REQUEST, ID, attributes)


class Choosing(SynchronousTestCase):
    def test_two_addresses_of_one_family_are_needed(self) -> None:
        self.assertRaisesRegex(ValueError, "two addresses", Discovery, [ONE, "2001:db8::1"], PORTS)

    def test_two_ports_are_needed(self) -> None:
        self.assertRaisesRegex(ValueError, "ports", Discovery, [ONE, TWO], (3478, 3478))

    def test_each_family_has_a_pair_of_its_own(self) -> None:
        both = Discovery([ONE, "2001:db8::1", TWO, "2001:db8::2", "198.51.100.3"], PORTS)
        served = [host for host in (ONE, TWO, "198.51.100.3", "2001:db8::1", "2001:db8::2")
                  if both.serves(FiveTuple("udp", CLIENT, (host, 3478)))]
        self.assertEqual(served, [ONE, TWO, "2001:db8::1", "2001:db8::2"])


class Answering(SynchronousTestCase):
    """A server on two addresses and two ports."""

    def setUp(self) -> None:
        self.world = World(hosts=(ONE, TWO))
        self.world.server.discovery = Discovery([ONE, TWO], PORTS)

    def ask(
        self, *attributes: bytes, server: Address = (ONE, 3478), transport: Transport = "udp"
    ) -> tuple[Message, Address, Address]:
        """The answer, where it leaves from and where it goes."""
        five_tuple = FiveTuple(transport, CLIENT, server)
        self.world.plane.calls.clear()
        answer = self.world.server.receive(binding(*attributes), five_tuple, self.world.now)
        if answer is not None:
            self.assertEqual(self.world.plane.calls, [])
            return decode(answer), five_tuple.server, five_tuple.client
        (_, data, path), = self.world.plane.calls
        return decode(data), path.server, path.client

    def test_every_answer_tells_its_origin_and_the_other_address(self) -> None:
        """RFC 5780 §6.1: both forms of the mapped address, too, unless the request is bare."""
        answer, source, _ = self.ask(a.SOFTWARE.encode(""))
        self.assertEqual(source, (ONE, 3478))
        self.assertEqual(answer.get(a.RESPONSE_ORIGIN), (ONE, 3478))
        self.assertEqual(answer.get(a.OTHER_ADDRESS), (TWO, 3479))
        self.assertEqual((answer.get(a.XOR_MAPPED_ADDRESS), answer.get(a.MAPPED_ADDRESS)), (CLIENT, CLIENT))

    def test_change_request_picks_the_socket_that_answers(self) -> None:
        """RFC 5780 §6.1, table 1, from each of the four."""
        for host, other in ((ONE, TWO), (TWO, ONE)):
            for port, second in ((3478, 3479), (3479, 3478)):
                for flags, source in ((0, (host, port)), (2, (host, second)), (4, (other, port)), (6, (other, second))):
                    answer, seen, target = self.ask(a.CHANGE_REQUEST.encode(flags), server=(host, port))
                    self.assertEqual((seen, target), (source, CLIENT))
                    self.assertEqual(answer.get(a.RESPONSE_ORIGIN), source)
                    self.assertEqual(answer.get(a.OTHER_ADDRESS), (other, second))

    def test_the_answer_goes_to_another_port_of_the_same_host_only(self) -> None:
        """It cannot be aimed at anybody else."""
        _, source, target = self.ask(a.RESPONSE_PORT.encode(41000), a.CHANGE_REQUEST.encode(2))
        self.assertEqual((source, target), ((ONE, 3479), (CLIENT[0], 41000)))

    def test_response_port_goes_neither_with_padding_nor_to_port_0(self) -> None:
        answer, _, _ = self.ask(a.RESPONSE_PORT.encode(41000), a.PADDING.encode(bytes(100)))
        self.assertEqual(code_of(answer), 400)
        self.assertEqual(code_of(self.ask(a.RESPONSE_PORT.encode(0))[0]), 400)

    def test_padding_fills_the_frame_but_is_no_multiple_of_what_was_asked(self) -> None:
        full, _, _ = self.ask(a.PADDING.encode(bytes(1400)))
        self.assertGreater(len(full.raw), MAX_PADDED_BYTES[1] - 16)
        self.assertLessEqual(len(full.raw), MAX_PADDED_BYTES[1])
        small, _, _ = self.ask(a.PADDING.encode(bytes(60)))
        self.assertLessEqual(len(small.raw), MAX_TIMES * len(binding(a.PADDING.encode(bytes(60)))))
        self.assertIn(a.PADDING, small)

    def test_no_answer_is_more_than_three_times_as_long_as_its_request(self) -> None:
        """What does not fit is left out; the answer to a bare request on IPv4 lacks MAPPED-ADDRESS only. One on IPv6 has
        OTHER-ADDRESS all the same, without which a client cannot begin."""
        bare, _, _ = self.ask()
        self.assertEqual([one in bare for one in (a.XOR_MAPPED_ADDRESS, a.OTHER_ADDRESS, a.RESPONSE_ORIGIN,
                                                  a.MAPPED_ADDRESS)], [True, True, True, False])
        hosts = ("2001:db8::1", "2001:db8::2")
        self.world.server.discovery = Discovery([ONE, TWO, *hosts], PORTS)
        asked = [(), (a.CHANGE_REQUEST.encode(0),), (a.CHANGE_REQUEST.encode(6),), (a.RESPONSE_PORT.encode(41000),),
                 (a.PADDING.encode(b""),), (a.PADDING.encode(bytes(20)),), (a.SOFTWARE.encode("x" * 30),),
                 (b"\x7f\1\0\0",), (b"\0\3\0\0",)]
        paths = (((ONE, 3478), CLIENT), ((hosts[0], 3478), ("2001:db8::7", 40000)))
        for always in (False, True):
            self.world.server.rules = Rules(fingerprint=always, legacy_mapped_address=True)
            for attributes in asked:
                for server, client in paths:
                    for request in (binding(*attributes), add_fingerprint(binding(*attributes))):
                        self.world.plane.calls.clear()
                        answer = self.world.server.receive(request, FiveTuple("udp", client, server), self.world.now)
                        sent = answer or self.world.plane.calls[0][1]
                        needed = 68 if ":" in client[0] and not code_of(decode(sent)) else 0
                        most = max(3 * len(request), needed + 8 * bool(decode(sent).fingerprint_at))
                        self.assertLessEqual(len(sent), most, (attributes, client))
                        self.assertTrue(a.OTHER_ADDRESS in decode(sent) or code_of(decode(sent)))
                        self.assertTrue(a.XOR_MAPPED_ADDRESS in decode(sent) or code_of(decode(sent)))

    def test_a_fingerprint_still_fits_behind_the_padding(self) -> None:
        data = self.world.server.receive(
            add_fingerprint(binding(a.PADDING.encode(bytes(1400)))), FiveTuple("udp", CLIENT, (ONE, 3478)), self.world.now)
        self.assertLessEqual(len(data or b""), MAX_PADDED_BYTES[1])
        self.assertTrue(decode(data or b"").fingerprint_at)

    def test_streams_have_one_path_only(self) -> None:
        for attribute in (a.CHANGE_REQUEST.encode(2), a.RESPONSE_PORT.encode(5), a.PADDING.encode(b"")):
            self.assertEqual(code_of(self.ask(attribute, transport="tcp")[0]), 400)
        plain, _, _ = self.ask(transport="tcp")
        self.assertNotIn(a.OTHER_ADDRESS, plain)

    def test_a_socket_without_a_counterpart_knows_none_of_it(self) -> None:
        answer, _, _ = self.ask(a.CHANGE_REQUEST.encode(2), server=("198.51.100.9", 3478))
        self.assertEqual((code_of(answer), answer.get(a.UNKNOWN_ATTRIBUTES)), (420, (3,)))

    def test_malformed_attributes_are_answered_with_400(self) -> None:
        self.assertEqual(code_of(self.ask(b"\0\x03\0\1\0\0\0\0")[0]), 400)

    def test_other_unknown_attributes_are_still_answered_with_420(self) -> None:
        answer, _, _ = self.ask(b"\x7f\x01\0\0", a.CHANGE_REQUEST.encode(2))
        self.assertEqual((code_of(answer), answer.get(a.UNKNOWN_ATTRIBUTES)), (420, (0x7F01,)))

    def test_addresses_are_told_as_they_look_from_outside(self) -> None:
        self.world.server.discovery = Discovery([ONE, TWO], PORTS, lambda address: ("203.0.113.5", address[1]))
        answer, _, _ = self.ask()
        self.assertEqual(answer.get(a.OTHER_ADDRESS), ("203.0.113.5", 3479))

    def test_answers_are_limited_as_all_that_need_no_password(self) -> None:
        """Per source network, answered elsewhere or not."""
        world = World(hosts=(ONE, TWO), rate=1.0)
        world.server.discovery = Discovery([ONE, TWO], PORTS)
        for _ in range(5):
            world.server.receive(binding(a.CHANGE_REQUEST.encode(6)), FiveTuple("udp", CLIENT, (ONE, 3478)), world.now)
        self.assertEqual((len(world.plane.calls), world.observer.drops), (1, ["rate"] * 4))
