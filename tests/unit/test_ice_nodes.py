"""TURN nodes: how they are written, how they are, which are chosen, and who is near. Rules without I/O."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from rtcd.ice.choice import MAX_NAMED, choose, urls_of
from rtcd.ice.health import (
    ALIVE,
    DEAD,
    DOUBT,
    DRAINING,
    FAILURES,
    FULL,
    JITTER,
    MAX_REASON_CHARS,
    RETRY_S,
    TIMEOUT_S,
    UNKNOWN,
    UNPROBED,
    Health,
    Probe,
)
from rtcd.ice.nodes import MAX_NODES, MAX_URLS, Node, Servers, Way, parse_servers, way_of
from rtcd.ice.regions import MAX_NETWORKS, Networks, parse_codes, parse_networks, region_of
from rtcd.ice.settings import Settings

GOOD, BAD = Probe(ALIVE, binding=True, rtt_s=0.02), Probe(DEAD, "no answer")


class Lines(SynchronousTestCase):
    """``[ice] servers``."""

    def test_urls_of_one_host_are_one_node(self) -> None:
        """What is said of it may stand on any of its lines, or on all; several URLs may stand on one line."""
        found = parse_servers((
            "turn:relay1.example.org:3478?transport=udp region=eu weight=2", "turns:RELAY1.example.org:443?transport=tcp",
            "stun:relay1.example.org", "turn:[2001:db8::1] turn:[2001:db8::1]:443?transport=tcp  region=us",
            "stun:stun.example.org:3478"))
        self.assertEqual(found, Servers((
            Node("relay1.example.org", (
                "turn:relay1.example.org:3478?transport=udp", "turns:RELAY1.example.org:443?transport=tcp"),
                ("stun:relay1.example.org",), "eu", 2),
            Node("2001:db8::1", ("turn:[2001:db8::1]", "turn:[2001:db8::1]:443?transport=tcp"), (), "us")),
            ("stun:stun.example.org:3478",)))
        self.assertEqual(found.regions, {"eu", "us"})

    def test_plain_urls_are_what_they_were(self) -> None:
        """A node each, and no region."""
        found = parse_servers(("turn:r:3478?transport=udp", "turns:r:443", "stun:r:3478", "turn:other"))
        self.assertEqual([(one.name, one.region, one.weight) for one in found.nodes], [("r", "", 1), ("other", "", 1)])

    def test_a_machine_of_two_names_can_be_one_node(self) -> None:
        found = parse_servers(("turn:a.example node=one region=eu", "turns:b.example node=one", "turn:a.example:5 node=one"))
        self.assertEqual([(one.name, len(one.turn), one.region) for one in found.nodes], [("one", 3, "eu")])

    def test_what_is_wrong_is_named(self) -> None:
        """With a word of what to write."""
        for lines, text in (
                (("turn:a region=eu", "turns:a region=us"), "region=eu; keep one"), (("region=eu",), "names no URL"),
                (("turn:a colour=red",), "colour= is unknown"), (("turn:a region=EU",), "no region"),
                (("turn:a weight=0",), "no whole number"), (("turn:a weight=1001",), "no whole number"),
                (("turn:a weight=2 weight=3",), "twice"), (("turn:a node=?",), "no name"),
                (("turn:a eu",), "no STUN or TURN URL"), (("turn:[1:2:3]:3478",), "no IPv6 address"),
                (("stun:[:::]",), "no IPv6 address"), (("turn:a:0",), "no port"), (("turn:a:65536",), "no port"),
                (("http://a?b=c",), "is unknown")):
            self.assertIn(text, str(self.assertRaises(ValueError, parse_servers, lines)))

    def test_nodes_and_urls_are_bounded(self) -> None:
        parse_servers(f"turn:h{number}" for number in range(MAX_NODES))
        self.assertRaises(ValueError, parse_servers, (f"turn:h{number}" for number in range(MAX_NODES + 1)))
        parse_servers(f"turn:h:{number}" for number in range(1, MAX_URLS + 1))
        self.assertRaises(ValueError, parse_servers, (f"turn:h:{number}" for number in range(1, MAX_URLS + 2)))

    def test_a_url_has_a_way(self) -> None:
        """The ports of RFC 7065 §3.1 where none is said."""
        for url, way in (("turn:a", ("udp", "a", 3478)), ("turn:a?transport=tcp", ("tcp", "a", 3478)),
                         ("turns:a", ("tls", "a", 5349)), ("turns:[::1]:443?transport=tcp", ("tls", "::1", 443)),
                         ("turns:a?transport=udp", ("dtls", "a", 5349))):
            self.assertEqual(way_of(url), way)
        self.assertRaises(ValueError, way_of, "stun:a")

    def test_a_node_is_asked_by_udp_if_it_can_be(self) -> None:
        """Else by TCP, else inside TLS; nobody asks by DTLS."""
        for urls, way in ((("turns:a", "turn:a?transport=tcp", "turn:a:5"), Way("udp", "a", 5)),
                          (("turns:a", "turn:a?transport=tcp"), Way("tcp", "a", 3478)),
                          (("turns:a:443",), Way("tls", "a", 443)), (("turns:a?transport=udp",), None)):
            self.assertEqual(Node("a", urls).way, way)

    def test_settings_that_do_not_go_together_are_named(self) -> None:
        for wrong in ({"geoip": "x.mmdb"}, {"geoip_regions": ("country:DE eu",)}, {"probe_interval": 0.5},
                      {"geoip": "x.mmdb", "geoip_regions": ("DE eu",)}, {"servers": ("turn:a weight=x",)}):
            self.assertRegex(str(self.assertRaises(ValueError, Settings, **wrong)), "^(geoip|geoip-regions|servers|probe)")


class HealthTests(SynchronousTestCase):
    """One node's."""

    def test_a_few_failures_make_it_dead_and_one_success_alive(self) -> None:
        health = Health(0.0)
        self.assertEqual((health.state, health.usable), (UNKNOWN, True))
        for number in range(1, FAILURES):
            self.assertFalse(health.took(BAD, number))
            self.assertTrue(health.usable)
        self.assertTrue(health.took(BAD, 9.0))
        self.assertEqual((health.state, health.usable, health.since, health.reason), (DEAD, False, 9.0, "no answer"))
        self.assertFalse(health.took(BAD, 10.0))
        self.assertTrue(health.took(GOOD, 11.0))
        self.assertEqual((health.state, health.since, health.reason, health.rtt_s), (ALIVE, 11.0, "", 0.02))
        health.took(BAD, 12.0)
        health.took(GOOD, 13.0)
        health.took(BAD, 14.0)
        self.assertFalse(health.took(BAD, 15.0), "not in a row")

    def test_one_that_has_only_failed_is_in_doubt(self) -> None:
        """From the first failure until it is dead or has answered; one that has served is believed longer."""
        health = Health(0.0)
        self.assertEqual(health.rank, 0)
        health.took(BAD, 1.0)
        self.assertEqual((health.state, health.usable, health.rank), (UNKNOWN, True, DOUBT))
        health.took(GOOD, 2.0)
        health.took(BAD, 3.0)
        self.assertEqual((health.state, health.rank), (ALIVE, 0))

    def test_one_that_drains_or_is_full_is_given_to_nobody(self) -> None:
        """At once, and no longer than it is so."""
        for state in (DRAINING, FULL):
            health = Health(0.0)
            self.assertTrue(health.took(Probe(state, "403"), 1.0))
            self.assertEqual((health.usable, health.failures), (False, 0))
            self.assertTrue(health.took(GOOD, 2.0))
            self.assertTrue(health.usable)

    def test_one_that_cannot_be_asked_is_given(self) -> None:
        health = Health(0.0, probed=False)
        self.assertEqual((health.state, health.usable), (UNPROBED, True))

    def test_one_that_refuses_our_credential_is_dead_at_once_and_asked_seldom(self) -> None:
        """Less than ten times in ten minutes, whatever chance does."""
        health = Health(0.0)
        self.assertTrue(health.took(Probe(DEAD, "401", refused=True), 1.0))
        self.assertEqual(health.state, DEAD)
        self.assertLess(600 / health.wait_s(3.0, 0.0), 10)
        self.assertEqual(health.wait_s(600.0, 0.5), 600)
        health.took(BAD, 2.0)
        self.assertEqual(health.wait_s(3.0, 0.5), 3.0)

    def test_the_less_is_to_be_hoped_of_it_the_higher_its_rank(self) -> None:
        """Of one that is dead to us something; of one with another secret nothing."""
        ranks = []
        for probe in (GOOD, BAD, Probe(FULL), Probe(DRAINING), Probe(DEAD, refused=True)):
            health = Health(0.0)
            ranks.append(health.rank)
            for _ in range(FAILURES):
                health.took(probe, 0.0)
            ranks.append(health.rank)
        self.assertEqual(ranks, [0, 0, 0, 2, 0, 3, 0, 4, 0, 5])

    def test_a_reason_is_bounded(self) -> None:
        health = Health(0.0)
        health.took(Probe(DEAD, "x" * 1000), 1.0)
        self.assertEqual(len(health.reason), MAX_REASON_CHARS)

    def test_a_death_is_known_within_ten_seconds(self) -> None:
        """At the default interval: it dies behind a probe, and each that follows takes its whole time."""
        health = Health(0.0)
        health.took(GOOD, 0.0)
        now = health.wait_s(3.0, 1.0)
        while health.state != DEAD:
            now += TIMEOUT_S
            health.took(BAD, now)
            now += 0 if health.state == DEAD else health.wait_s(3.0, 1.0)
        self.assertLess(now, 10.0)

    def test_waits_differ_and_are_short_only_while_it_is_in_doubt(self) -> None:
        health = Health(0.0)
        self.assertEqual([round(health.wait_s(10.0, chance), 6) for chance in (0, 0.5, 1)],
                         [10 * (1 - JITTER), 10, 10 * (1 + JITTER)])
        health.took(BAD, 0.0)
        self.assertEqual(health.wait_s(10.0, 1.0), RETRY_S)
        for _ in range(FAILURES):
            health.took(BAD, 0.0)
        self.assertEqual(health.wait_s(10.0, 0.5), 10.0)


NODES = [Node(name, (f"turn:{name}", f"turns:{name}"), (f"stun:{name}",), name[:2])
         for name in ("eu0", "eu1", "eu2", "eu3", "us0", "us1", "us2", "us3")]


def names(region: str, key: str, *, dead: str = "") -> list[str]:
    """Whom a room is given."""
    return [one.name for one in choose(NODES, lambda one: int(one.name in dead.split()), region, key).nodes]


class ChoiceTests(SynchronousTestCase):
    """Who gets which."""

    def test_a_room_gets_the_same_whoever_is_asked(self) -> None:
        """In whatever order they are listed; two at most; rooms differ."""
        for room in ("a", "b", "\ud800"):
            self.assertEqual(names("", room), [
                one.name for one in choose(NODES[::-1], lambda one: 0, "", room).nodes])
        self.assertEqual({len(names("", str(room))) for room in range(50)}, {MAX_NAMED})
        self.assertGreater(len({names("", str(room))[0] for room in range(200)}), 7)

    def test_those_near_go_first(self) -> None:
        """Those of all regions fill what is left, and are near to a client of whom nothing is known."""
        for room in map(str, range(50)):
            self.assertEqual({one[:2] for one in names("eu", room)}, {"eu"})
        others = names("", "r", dead="eu0 eu1 eu2 eu3")
        self.assertEqual(names("eu", "r", dead="eu0 eu1 eu2"), ["eu3", others[0]])
        self.assertEqual(names("eu", "r", dead="eu0 eu1 eu2 eu3"), others)
        self.assertEqual(names("mars", "r"), names("", "r"))

    def test_a_death_moves_its_own_rooms_alone(self) -> None:
        """To the second that they had been given, so that a call is there already."""
        for room in map(str, range(100)):
            first, second = names("", room)
            after = names("", room, dead="eu1")
            self.assertEqual(after[0], second if first == "eu1" else first)

    def test_weight_is_the_share_of_rooms(self) -> None:
        """Two to one, give or take what chance does with 3000 rooms."""
        nodes = [Node("a", ("turn:a",), weight=2), Node("b", ("turn:b",))]
        found = Counter(choose(nodes, lambda one: 0, "", str(room)).nodes[0].name for room in range(3000))
        self.assertTrue(1850 < found["a"] < 2150, found)

    def test_where_none_serves_all_are_taken_for_serving(self) -> None:
        """Perhaps it is we who cannot reach them."""
        choice = choose(NODES, lambda one: 2, "eu", "r")
        self.assertTrue(choice.fallback)
        self.assertEqual([one.name for one in choice.nodes], names("eu", "r"))
        self.assertEqual(choose([], lambda one: 0, "", "r"), ((), False))

    def test_where_none_serves_those_go_first_that_may(self) -> None:
        """Near or not: what is out of our reach may be in others', what drains is no use to anybody; if one is usable it is
        given alone."""
        ranks = {"eu0": 4, "eu1": 5, "us0": 3, "us1": 2}
        nodes = [one for one in NODES if one.name in ranks]
        choice = choose(nodes, lambda one: ranks[one.name], "eu", "r")
        self.assertEqual(([one.name for one in choice.nodes], choice.fallback), (["us1", "us0"], True))
        ranks["eu1"] = 0
        choice = choose(nodes, lambda one: ranks[one.name], "us", "r")
        self.assertEqual(([one.name for one in choice.nodes], choice.fallback), (["eu1"], False))

    def test_one_in_doubt_is_given_where_none_is_known_to_serve(self) -> None:
        """Near or not; and that is no emergency yet."""
        ranks = {"eu0": DOUBT, "us0": 0, "us1": 2}
        nodes = [one for one in NODES if one.name in ranks]
        choice = choose(nodes, lambda one: ranks[one.name], "eu", "r")
        self.assertEqual(([one.name for one in choice.nodes], choice.fallback), (["us0"], False))
        ranks["us0"] = 2
        choice = choose(nodes, lambda one: ranks[one.name], "us", "r")
        self.assertEqual(([one.name for one in choice.nodes], choice.fallback), (["eu0"], False))

    def test_the_second_node_has_one_url(self) -> None:
        """Each is one more relay for every call. STUN is named where it is answered, and that of no node always."""
        servers = Servers(tuple(NODES), ("stun:other",))
        self.assertEqual(urls_of(NODES[:2], servers, lambda one: one.name != "eu0"), (
            ["turn:eu0", "turns:eu0", "turn:eu1"], ["stun:eu1", "stun:other"]))


class RegionTests(SynchronousTestCase):
    """Where clients are."""

    def test_the_narrowest_network_counts(self) -> None:
        found = parse_networks("# comment\n\n10.0.0.0/8 eu\n10.1.0.0/16 us # one of theirs\n2001:db8::/32 asia\n"
                               "0.0.0.0/0 rest\n192.0.2.7 host\n")
        for host, region in (("10.9.9.9", "eu"), ("10.1.9.9", "us"), ("::ffff:10.1.0.1", "us"), ("2001:db8::9", "asia"),
                             ("2001:db9::1", ""), ("9.9.9.9", "rest"), ("192.0.2.7", "host"), ("fe80::1%eth0", ""),
                             ("no address", "")):
            self.assertEqual(found.region(host), region, host)
        self.assertEqual(found.regions, {"eu", "us", "asia", "rest", "host"})

    def test_ipv4_in_ipv6s_clothes_is_ipv4_in_the_list_too(self) -> None:
        """Else such a line would be there for nobody."""
        found = parse_networks("::ffff:10.0.0.0/104 eu\n::ffff:0:0/96 rest\n::/0 six\n")
        for host, region in (("10.1.1.1", "eu"), ("::ffff:10.1.1.1", "eu"), ("192.0.2.1", "rest"), ("2001:db8::1", "six")):
            self.assertEqual(found.region(host), region, host)
        error = self.assertRaises(ValueError, parse_networks, "10.0.0.0/8 eu\n::ffff:10.0.0.0/104 us\n")
        self.assertIn("is in eu already", str(error))

    def test_a_line_that_is_wrong_is_named_by_its_number(self) -> None:
        for text in ("10.0.0.0/8", "10.0.0.1/8 eu", "x eu", "10.0.0.0/8 EU", "10.0.0.0/8 eu us"):
            self.assertTrue(str(self.assertRaises(ValueError, parse_networks, f"\n{text}\n")).startswith("line 2: "), text)
        error = self.assertRaises(ValueError, parse_networks, "10.0.0.0/8 eu\n10.0.0.0/8 us\n")
        self.assertIn("is in eu already", str(error))

    def test_networks_are_bounded(self) -> None:
        found = Networks()
        found._count = MAX_NETWORKS - 1
        found.add(ip_network("10.0.0.0/8"), "eu")
        self.assertRaises(ValueError, found.add, ip_network("11.0.0.0/8"), "eu")

    def test_a_country_goes_before_its_continent(self) -> None:
        codes = parse_codes(("country:DE eu", "continent:EU north", "continent:NA us"))
        germany = {"country": {"iso_code": "DE"}, "continent": {"code": "EU"}}
        self.assertEqual(region_of(germany, codes), "eu")
        self.assertEqual(region_of({"country": {"iso_code": "NA"}, "continent": {"code": "AF"}}, codes), "", "Namibia")
        self.assertEqual(region_of({"continent": {"code": "EU"}}, codes), "north")
        for record in (None, {}, "x", {"country": "DE"}, {"country": {"iso_code": 7}}):
            self.assertEqual(region_of(record, codes), "")
        for wrong in ("DE eu", "country:de eu", "country:DE", "continent:EU EU", "planet:MA eu"):
            self.assertRaises(ValueError, parse_codes, (wrong,))
        self.assertRaises(ValueError, parse_codes, ("country:DE eu", "country:DE us"))
