"""External addresses: what may be written, which answers count, and the mapping that comes of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.addresses import External, RelayAddresses
from rtcd.outside.external import (
    MAX_ANSWERS,
    MAX_LINES,
    Findings,
    Named,
    Plan,
    binding,
    is_public,
    mapped,
    parse_plan,
    parse_server,
    usable,
)
from rtcd.stun.attributes import ERROR_CODE, MAPPED_ADDRESS, XOR_MAPPED_ADDRESS
from rtcd.stun.message import Class, Method, decode, encode

AUTO = Plan(auto=True)
ID = b"abcdefghijkl"


class Lines(SynchronousTestCase):
    def test_addresses_names_and_auto_may_stand_side_by_side(self) -> None:
        plan = parse_plan(["8.8.8.8/10.0.0.1", "2a00:0::1", "Relay.Example.org", "b.example.org / 10.0.0.2", "Auto"])
        self.assertEqual(plan, Plan(
            (External("8.8.8.8", "10.0.0.1"), External("2a00::1")),
            (Named("relay.example.org"), Named("b.example.org", "10.0.0.2")), True))
        self.assertEqual(parse_plan([]), Plan())

    def test_what_cannot_be_meant_is_said_in_words(self) -> None:
        for line, words in (("atuo", "no full host name"), ("8.8.8", "no address"), ("8.8.8.256", "no address"),
                            ("a b.example.org", "no address"), ("-a.example.org", "no address"), ("a..org", "no address"),
                            (f"{'x' * 64}.org", "no address"), (f"{'x.' * 130}org", "no address"), ("", "no address"),
                            ("auto/10.0.0.1", "write auto alone"), ("a.example.org/", "no IPv4 or IPv6"),
                            ("a.example.org/b.example.org", "no IPv4 or IPv6"), ("8.8.8.8/fd00::1", "two families"),
                            ("0.0.0.0", "no address that a client can reach"), ("8.8.8.8/x", "no IPv4 or IPv6")):
            error = self.assertRaises(ValueError, parse_plan, [line])
            self.assertIn(words, str(error), line)

    def test_a_name_counts_once_and_entries_are_bounded(self) -> None:
        self.assertRaises(ValueError, parse_plan, ["a.example.org", "A.example.org"])
        lines = [f"h{number}.example.org" for number in range(MAX_LINES + 1)]
        self.assertEqual(len(parse_plan(lines[:-1]).named), MAX_LINES)
        self.assertRaises(ValueError, parse_plan, lines)

    def test_a_stun_server_has_a_host_and_a_port(self) -> None:
        for text, address in (("stun.example.org:3478", ("stun.example.org", 3478)), ("192.0.2.1:1", ("192.0.2.1", 1)),
                              ("[2001:DB8::1]:65535", ("2001:db8::1", 65535)), ("", None)):
            self.assertEqual(parse_server(text), address)
        for text in ("stun.example.org", ":3478", "stun.example.org:", "stun.example.org:0", "stun.example.org:65536",
                     "2001:db8::1:3478", "[x]:3478", "192.0.2.300:3478", "word:3478", "stun.example.org:٣"):
            self.assertRaises(ValueError, parse_server, text)


class Answers(SynchronousTestCase):
    def test_only_unicast_addresses_of_the_internet_are_public(self) -> None:
        for host in ("8.8.8.8", "2a00:1450::1", "1.2.3.4"):
            self.assertTrue(is_public(host), host)
        for host in ("10.0.0.1", "172.16.0.1", "192.168.0.1", "100.100.100.200", "169.254.169.254", "127.0.0.1", "0.0.0.0",
                     "224.0.0.1", "255.255.255.255", "203.0.113.5", "fd00::1", "fe80::1", "::1", "::", "ff02::1",
                     "2001:db8::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "x", "", "8.8.8.8/32"):
            self.assertFalse(is_public(host), host)

    def test_an_answer_is_cleaned_and_what_is_wrong_with_one_spoils_no_other(self) -> None:
        answers = [External("<html>"), External("10.0.0.1"), External(" 8.8.8.8\n", "10.0.0.1 "),
                   External("8.8.4.4", "fd00::1"), External("8.8.4.4", "x"), External("2A00::1"),
                   External("8.8.8.8", "8.8.8.8"), External("2a00::1")]
        self.assertEqual(usable(answers), (External("8.8.8.8", "10.0.0.1"), External("2a00::1")))

    def test_only_so_many_answers_are_looked_at(self) -> None:
        self.assertEqual(len(usable(External(f"8.8.8.{number}") for number in range(MAX_ANSWERS + 9))), MAX_ANSWERS)

    def test_a_binding_response_tells_the_mapped_host(self) -> None:
        self.assertEqual((decode(binding(ID)).method, decode(binding(ID)).class_), (Method.BINDING, Class.REQUEST))
        for address in (("8.8.8.8", 5), ("2a00::1", 6)):
            answer = encode(Method.BINDING, Class.SUCCESS, ID, [XOR_MAPPED_ADDRESS.encode(address, ID)])
            self.assertEqual(mapped(answer, ID), address[0])

    def test_an_error_is_a_refusal_and_everything_else_no_answer(self) -> None:
        good = XOR_MAPPED_ADDRESS.encode(("8.8.8.8", 5), ID)
        self.assertEqual(mapped(encode(Method.BINDING, Class.ERROR, ID, [ERROR_CODE.encode((400, "Bad"))]), ID), "")
        for data in (b"", bytes(40), encode(Method.BINDING, Class.SUCCESS, b"mnopqrstuvwx", [good]),
                     encode(Method.BINDING, Class.REQUEST, ID, [good]), encode(Method.ALLOCATE, Class.SUCCESS, ID, [good]),
                     encode(Method.BINDING, Class.SUCCESS, ID), encode(Method.BINDING, Class.SUCCESS, ID, [good])[:-4],
                     encode(Method.BINDING, Class.SUCCESS, ID, [MAPPED_ADDRESS.encode(("8.8.8.8", 5))]),
                     encode(Method.BINDING, Class.SUCCESS, ID, [good[:-4] + b"\0\0"])):
            self.assertIsNone(mapped(data, ID), data.hex())


class Lacking(SynchronousTestCase):
    def test_auto_has_nothing_to_find_where_no_nat_can_be(self) -> None:
        """Loopback, or a family with a public address: then nobody is asked."""
        for hosts, lacking in (
                (["127.0.0.1"], ()), (["127.0.0.1", "::1"], ()), (["8.8.8.8"], ()), (["10.0.0.1", "8.8.8.8"], ()),
                (["10.0.0.1"], ("10.0.0.1",)), (["10.0.0.1", "2a00::1", "127.0.0.1"], ("10.0.0.1",)),
                (["10.0.0.1", "10.0.0.2", "fd00::1"], ("10.0.0.1", "10.0.0.2", "fd00::1")), (["2a00::1"], ()),
                (["100.64.0.1"], ("100.64.0.1",)), ([], ())):
            self.assertEqual(Findings(AUTO, hosts).lacking(), lacking)
            self.assertEqual(Findings(Plan(), hosts).lacking(), ())

    def test_what_the_operator_wrote_needs_not_be_found(self) -> None:
        hosts = ["10.0.0.1", "10.0.0.2", "fd00::1"]
        for fixed, lacking in ((External("8.8.8.8"), ("fd00::1",)), (External("8.8.8.8", "10.0.0.1"), (
                "10.0.0.2", "fd00::1"))):
            self.assertEqual(Findings(Plan((fixed,), (), True), hosts).lacking(), lacking)

    def test_a_relay_without_any_way_in_is_stranded(self) -> None:
        for plan, hosts, stranded in ((AUTO, ["10.0.0.1"], True), (AUTO, ["127.0.0.1"], False),
                                      (AUTO, ["10.0.0.1", "2a00::1"], False), (AUTO, [], False),
                                      (Plan((External("8.8.8.8"),)), ["10.0.0.1"], False)):
            self.assertEqual(Findings(plan, hosts).is_stranded(), stranded)


class Mapping(SynchronousTestCase):
    def test_each_private_address_gets_the_public_one_that_was_told_for_it(self) -> None:
        findings = Findings(AUTO, ["10.0.0.1", "10.0.0.2", "fd00::1"])
        answers = [External("8.8.8.2", "10.0.0.2"), External("8.8.8.1", "10.0.0.1"), External("8.8.8.9", "10.0.0.9")]
        self.assertEqual(findings.found(answers), ("fd00::1",))
        self.assertEqual(set(findings.mapping()), set(answers[:2]))

    def test_a_public_address_alone_is_for_the_first_private_one_of_its_family(self) -> None:
        for answer in (External("8.8.8.1"), External("8.8.8.1", "172.31.0.9")):
            findings = Findings(AUTO, ["fd00::1", "10.0.0.1", "10.0.0.2"])
            findings.found([answer])
            self.assertEqual(findings.mapping(), (External("8.8.8.1", "10.0.0.1"),))

    def test_no_answer_is_believed_that_is_not_public_or_for_a_host_that_needs_it(self) -> None:
        findings = Findings(AUTO, ["10.0.0.1", "2a00::1"])
        for one in (External("10.0.0.7"), External("169.254.169.254"), External("2a00::2"), External("2a00::2", "2a00::1")):
            self.assertEqual(findings.found([one]), ("10.0.0.1",))
        self.assertEqual(findings.mapping(), ())

    def test_two_hosts_behind_one_public_address_are_reached_at_the_first(self) -> None:
        findings = Findings(AUTO, ["10.0.0.1", "10.0.0.2"])
        findings.found([External("8.8.8.8", "10.0.0.1"), External("8.8.8.8", "10.0.0.2")])
        self.assertEqual(findings.mapping(), (External("8.8.8.8", "10.0.0.1"),))

    def test_what_is_known_stays_until_something_newer_is_found(self) -> None:
        findings = Findings(AUTO, ["10.0.0.1", "10.0.0.2"])
        findings.found([External("8.8.8.1", "10.0.0.1"), External("8.8.8.2", "10.0.0.2")])
        self.assertEqual(findings.found([]), ("10.0.0.1", "10.0.0.2"))
        self.assertEqual(len(findings.mapping()), 2)
        findings.found([External("8.8.8.3", "10.0.0.2")])
        self.assertEqual(set(findings.mapping()), {External("8.8.8.1", "10.0.0.1"), External("8.8.8.3", "10.0.0.2")})

    def test_an_address_that_moves_between_two_hosts_leaves_the_first(self) -> None:
        findings = Findings(AUTO, ["10.0.0.1", "10.0.0.2"])
        findings.found([External("8.8.8.1", "10.0.0.1")])
        findings.found([External("8.8.8.1", "10.0.0.2")])
        self.assertEqual(findings.mapping(), (External("8.8.8.1", "10.0.0.2"),))

    def test_a_name_is_for_every_family_of_ours_or_for_one_address(self) -> None:
        everywhere, inner = Named("a.example.org"), Named("b.example.org", "10.0.0.2")
        findings = Findings(Plan((), (everywhere, inner)), ["10.0.0.1", "10.0.0.2", "fd00::1"])
        self.assertTrue(findings.resolved(everywhere, ["8.8.8.1", "2a00::1"]))
        self.assertTrue(findings.resolved(inner, ["8.8.8.2", "2a00::2"]))
        addresses = RelayAddresses(["10.0.0.1", "10.0.0.2", "fd00::1"], findings.mapping())
        self.assertEqual(addresses.mapping(), {"10.0.0.1": "8.8.8.1", "10.0.0.2": "8.8.8.2", "fd00::1": "2a00::1"})

    def test_a_name_without_a_public_address_of_our_families_says_nothing(self) -> None:
        """A machine often knows its own name as 127.0.1.1 or by its private address."""
        name = Named("a.example.org")
        findings = Findings(Plan((), (name,)), ["10.0.0.1"])
        self.assertFalse(findings.resolved(name, ["127.0.1.1", "10.0.0.1", "2a00::1", "x"]))
        self.assertEqual(findings.mapping(), ())
        findings.resolved(name, ["8.8.8.1"])
        self.assertFalse(findings.resolved(name, []))
        self.assertEqual(findings.mapping(), (External("8.8.8.1"),))

    def test_a_name_with_several_addresses_keeps_the_one_it_has(self) -> None:
        name = Named("a.example.org")
        findings = Findings(Plan((), (name,)), ["10.0.0.1"])
        for answer, public in ((["8.8.8.9", "8.8.8.3"], "8.8.8.3"), (["8.8.8.1", "8.8.8.3"], "8.8.8.3"),
                               (["8.8.8.1"], "8.8.8.1")):
            findings.resolved(name, answer)
            self.assertEqual(findings.mapping(), (External(public),))

    def test_a_name_is_for_a_relay_address(self) -> None:
        self.assertRaises(ValueError, Findings, Plan((), (Named("a.example.org", "10.0.0.9"),)), ["10.0.0.1"])

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_whatever_is_found_the_relays_can_take_it(self, data: st.DataObject) -> None:
        """Never two addresses for one host or one for two, which `RelayAddresses` refuses."""
        some = st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2", "127.0.0.1", "2a00::9"])
        hosts = data.draw(st.lists(some, unique=True, min_size=1))
        publics = st.sampled_from(["8.8.8.1", "8.8.8.2", "2a00::1", "2a00::2", "10.0.0.7", "x"])
        names = tuple(dict.fromkeys(data.draw(st.lists(st.builds(
            Named, st.sampled_from(["a.org", "b.org"]), st.sampled_from(["", *hosts])), max_size=3))))
        insiders = st.sampled_from(["", *(f"/{host}" for host in hosts)])
        lines = data.draw(st.lists(st.builds("{}{}".format, st.sampled_from(["8.8.8.1", "2a00::1"]), insiders), max_size=2))
        fixed: tuple[External, ...] = ()
        try:
            fixed = parse_plan(lines).fixed
            addresses = RelayAddresses(hosts, fixed)
        except ValueError:
            fixed, addresses = (), RelayAddresses(hosts)
        findings = Findings(Plan(fixed, names, True), hosts)
        for _ in range(3):
            for name in names:
                findings.resolved(name, data.draw(st.lists(publics, max_size=3)))
            findings.found(data.draw(st.lists(st.builds(External, publics, st.sampled_from(["", "y", *hosts])), max_size=4)))
            addresses.remap(findings.mapping())
            for host in ("8.8.8.1", "8.8.8.2", "8.8.8.3", "2a00::1", "2a00::2"):
                self.assertEqual(":" in addresses.reached(host), ":" in host)
