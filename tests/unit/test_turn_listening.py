"""Where to listen: the lines of the operator, and the sockets that they are."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.clients.listening import Line, Place, inherited, parse_place, plan

OWN = ["127.0.0.1", "10.0.0.1", "::1", "10.0.0.1"]


class Listening(SynchronousTestCase):
    def test_a_line_is_an_address_or_the_name_of_inherited_sockets(self) -> None:
        for text, place in (("192.0.2.1", Place("192.0.2.1")), ("2001:DB8::0:1", Place("2001:db8::1")), ("::", Place("::")),
                            ("systemd:name=turn", Place(name="turn"))):
            self.assertEqual(parse_place(text), place)

    def test_what_cannot_be_meant_is_an_error(self) -> None:
        for text in ("", "3478", "udp:3478", "192.0.2.1:3478", "[::1]", "eth0", "systemd:turn", "systemd:name=",
                     "10.0.0.0/8"):
            self.assertIn(repr(text), str(self.assertRaises(ValueError, parse_place, text)))

    def test_a_wildcard_is_one_socket_for_each_address(self) -> None:
        for places, hosts in (([], ["127.0.0.1", "10.0.0.1", "::1"]), ([Place("0.0.0.0")], ["127.0.0.1", "10.0.0.1"]),
                              ([Place("::")], ["::1"]), ([Place("10.0.0.7")], ["10.0.0.7"]), ([Place(name="turn")], []),
                              ([Place(name="turn"), Place("::")], ["::1"])):
            self.assertEqual([one.host for one in plan(places, OWN, {"udp": 9})], hosts)

    def test_each_transport_listens_on_each_address_at_its_port(self) -> None:
        lines = plan([Place("10.0.0.1"), Place("::")], OWN, {"udp": 3478, "tcp": 3478, "tls": 5349, "dtls": 5349})
        self.assertEqual([(one.transport, one.host, one.port) for one in lines], [
            ("udp", "10.0.0.1", 3478), ("udp", "::1", 3478), ("tcp", "10.0.0.1", 3478), ("tcp", "::1", 3478),
            ("tls", "10.0.0.1", 5349), ("tls", "::1", 5349), ("dtls", "10.0.0.1", 5349), ("dtls", "::1", 5349)])

    def test_an_address_that_the_operator_names_has_to_be_there(self) -> None:
        self.assertEqual(plan([Place("0.0.0.0"), Place("10.0.0.1")], OWN, {"tcp": 1}),
                         [Line("tcp", "127.0.0.1", 1, False), Line("tcp", "10.0.0.1", 1, True)])

    def test_inherited_sockets_are_found_by_name(self) -> None:
        self.assertEqual(inherited("turn", {"LISTEN_FDNAMES": "web:turn:x:turn"}), [4, 6])
        self.assertEqual(inherited("turn", {}), [])
