"""TURN nodes on a fake clock: when they are asked, what becomes of the answers, and what clients are given."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from rtcd.config import ConfigError
from rtcd.ice.health import ALIVE, DEAD, DRAINING, FAILURES, UNKNOWN, UNPROBED, Health, Probe
from rtcd.ice.nodes import Node
from rtcd.ice.places import MAX_FILE_BYTES
from rtcd.ice.pool import Pool, summary
from rtcd.ice.prober import Prober
from rtcd.ice.regions import MAX_NETWORKS
from rtcd.ice.settings import Settings
from rtcd.workers.topics import WorkerDesk
from tests.fakes_calls import Server
from tests.fakes_workers import FakeFamily

GOOD, BAD = Probe(ALIVE, binding=True, rtt_s=0.02), Probe(DEAD, "no answer")
ONE, OTHER = Node("one", ("turn:one",)), Node("other", ("turn:other",))


class Network:
    """Answers for nodes: at once with what is laid down for them, else when the test says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Probe] = {}
        self.waiting: dict[str, Deferred[Probe]] = {}

    def __call__(self, node: Node) -> Deferred[Probe]:
        """Asked by the prober."""
        self.asked.append(node.name)
        answer: Deferred[Probe] = Deferred()
        if node.name in self.answers:
            answer.callback(self.answers[node.name])
        else:
            self.waiting[node.name] = answer
        return answer


class ProberTests(SynchronousTestCase):
    """Its timers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = Network()
        self.told: list[tuple[str, str]] = []
        self.prober = Prober(self.clock, self.network, lambda: 0.5, self.note)

    def note(self, node: Node, health: Health, changed: bool) -> None:
        """What the prober tells."""
        if changed:
            self.told.append((node.name, health.state))

    def start(self, *nodes: Node, interval_s: float = 3.0) -> None:
        """Watch these."""
        self.prober.use(nodes, interval_s)
        self.prober.start()

    def test_a_node_is_asked_again_and_again_one_probe_at_a_time(self) -> None:
        """However long a probe takes; nodes do not wait for each other."""
        self.start(ONE, OTHER)
        self.network.answers["other"] = GOOD
        self.clock.pump([1.0] * 10)
        self.assertEqual((self.network.asked.count("one"), self.network.asked.count("other")), (1, 4))
        self.network.waiting["one"].callback(GOOD)
        self.assertEqual(self.told, [("other", ALIVE), ("one", ALIVE)])
        self.clock.advance(3.0)
        self.assertEqual(self.network.asked.count("one"), 2)

    def test_a_few_failures_make_it_dead_and_one_success_alive(self) -> None:
        """In doubt it is asked again soon; once dead, as often as ever."""
        self.network.answers["one"] = GOOD
        self.start(ONE)
        self.clock.pump([0.125] * 2)
        self.network.answers["one"] = BAD
        self.clock.pump([0.25] * 16)
        self.assertEqual((self.told, len(self.network.asked)), ([("one", ALIVE), ("one", DEAD)], 1 + FAILURES))
        self.network.answers["one"] = GOOD
        self.clock.advance(3.0)
        self.assertEqual(self.told[-1], ("one", ALIVE))

    def test_our_own_fault_ends_no_watch(self) -> None:
        """It is told, and the node is asked again."""
        self.start(ONE)
        self.clock.advance(1.0)
        self.network.waiting["one"].errback(Failure(ZeroDivisionError()))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.network.answers["one"] = GOOD
        self.clock.advance(3.0)
        self.assertEqual(self.told, [("one", ALIVE)])

    def test_what_is_known_of_a_node_outlives_a_reload(self) -> None:
        """Unless it is asked in another way now; one that is named no longer is asked no longer."""
        self.network.answers = {"one": GOOD, "other": GOOD}
        self.start(ONE, OTHER)
        self.clock.advance(1.0)
        heavier = Node("one", ("turn:one", "turns:one"), weight=2)
        self.assertEqual(self.prober.use([heavier], 3.0), {"other"})
        self.assertEqual(self.prober.health(heavier).state, ALIVE)
        moved = Node("one", ("turn:elsewhere",))
        self.assertEqual(self.prober.use([moved], 3.0), {"one"})
        self.assertEqual(self.prober.health(moved).state, UNKNOWN)
        self.clock.advance(1.0)
        self.assertEqual((self.prober.health(moved).state, self.network.asked), (ALIVE, ["one", "other", "one"]))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_one_that_refuses_us_is_asked_seldom_and_after_a_reload(self) -> None:
        """When the secret may be another one."""
        self.network.answers = {"one": Probe(DEAD, "401", refused=True)}
        self.start(ONE)
        self.clock.pump([1.0] * 100)
        self.assertEqual((self.told, self.network.asked), ([("one", DEAD)], ["one"]))
        self.network.answers = {"one": GOOD}
        self.prober.use([ONE], 3.0)
        self.clock.advance(1.0)
        self.assertEqual((self.told[-1], len(self.clock.getDelayedCalls())), (("one", ALIVE), 1))

    def test_nobody_is_asked_where_that_is_not_wanted(self) -> None:
        """Or not possible; a reload can change it."""
        dtls = Node("dtls", ("turns:dtls?transport=udp",))
        self.start(ONE, dtls, interval_s=0)
        self.assertEqual((self.clock.getDelayedCalls(), self.prober.health(ONE).state), ([], UNPROBED))
        self.prober.use([ONE, dtls], 3.0)
        self.clock.advance(1.0)
        self.assertEqual((self.network.asked, self.prober.health(dtls).state), (["one"], UNPROBED))

    def test_stopping_gives_up_what_is_under_way(self) -> None:
        """And waits until its socket is closed."""
        closing: Deferred[Probe] = Deferred()
        self.network.answers["other"] = GOOD

        def ask(node: Node) -> Deferred[Probe]:
            return self.network(node) if node is OTHER else slow

        slow: Deferred[Probe] = Deferred()
        slow.addErrback(lambda failure: closing)
        prober = Prober(self.clock, ask, lambda: 0.5, self.note)
        prober.use([ONE, OTHER], 3.0)
        prober.start()
        self.clock.advance(1.0)
        done, = prober.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertNoResult(done)
        closing.errback(Failure(CancelledError()))
        self.successResultOf(done)
        self.assertEqual(self.told, [("other", ALIVE)])


INI = ("turn:a:3478?transport=udp region=eu", "stun:a", "turns:a:443", "turn:b region=eu", "turn:c region=us")


class PoolTests(SynchronousTestCase):
    """What clients are given, what operators see."""

    def setUp(self) -> None:
        self.network = Network()
        self.server = Server(self, pages=False)
        self.lines: list[str] = []

        @implementer(ILogObserver)
        def observe(event: Any) -> None:
            if event["log_namespace"].startswith(("rtcd.ice.pool", "rtcd.ice.places")):
                self.lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def pool(self, **settings: Any) -> Pool:
        """Started."""
        pool = Pool(self.server.context, Settings(**{"servers": INI, **settings}), self.network)
        pool.start()
        self.addCleanup(pool.stop)
        return pool

    def after(self, seconds: float, **answers: Probe) -> None:
        """From now on nodes answer so, and time passes."""
        self.network.answers |= answers
        for name in list(self.network.waiting):
            if name in answers:
                self.network.waiting.pop(name).callback(answers[name])
        self.server.clock.pump([0.25] * int(seconds * 4))

    def figures(self) -> dict[str, float]:
        """Those of this service, by name and node."""
        return {f"{one.name} {dict(one.labels).get('node', '')} {dict(one.labels).get('outcome', '')}".strip(): one.value
                for one in self.server.metrics.samples() if one.name.startswith("rtcd_ice_")}

    def test_only_nodes_that_serve_are_given(self) -> None:
        """A dead one and one that drains are not, nor their STUN; the log says what became of them."""
        pool = self.pool()
        self.after(1, a=GOOD, b=GOOD, c=GOOD)
        self.assertEqual({url for room in range(30) for url in pool.urls("192.0.2.1", str(room))[0]},
                         {"turn:a:3478?transport=udp", "turns:a:443", "turn:b", "turn:c"})
        self.after(9, a=BAD, b=Probe(DRAINING, "takes no new clients (403)", binding=True))
        self.assertEqual(pool.urls("192.0.2.1", "r"), (["turn:c"], []))
        self.assertEqual(sorted(self.lines), [
            "turn_node_alive node=a", "turn_node_alive node=b", "turn_node_alive node=c",
            "turn_node_dead node=a: no answer", "turn_node_draining node=b: takes no new clients (403)"])
        figures = self.figures()
        self.assertEqual([figures[f"rtcd_ice_node_usable {name}"] for name in "abc"], [0, 0, 1])
        self.assertEqual([figures[f"rtcd_ice_node_draining {name}"] for name in "abc"], [0, 1, 0])
        self.assertEqual(figures["rtcd_ice_node_rtt_seconds c"], 0.02)
        self.assertEqual(figures["rtcd_ice_node_probes_total a failed"] >= FAILURES, True)
        self.assertEqual(figures["rtcd_ice_fallbacks_total"], 0)
        self.assertEqual([(one.name, one.state, one.usable) for one in pool.reports()], [
            ("a", DEAD, False), ("b", DRAINING, False), ("c", ALIVE, True)])
        self.assertEqual(summary(pool.reports()), "")

    def test_where_none_serves_all_do(self) -> None:
        """As the log says, once a minute, and the figures each time."""
        pool = self.pool()
        before = pool.urls("192.0.2.1", "r")
        self.after(10, a=BAD, b=BAD, c=BAD)
        self.assertIn("a is dead (no answer); b is dead", summary(pool.reports()))
        for _ in range(3):
            self.assertEqual(pool.urls("192.0.2.1", "r")[0], before[0])
        self.assertEqual(sum("no TURN node serves" in one for one in self.lines), 1)
        self.assertEqual(self.figures()["rtcd_ice_fallbacks_total"], 3)
        self.after(4, c=GOOD)
        self.assertEqual(pool.urls("192.0.2.1", "r"), (["turn:c"], []))

    def test_a_daemon_that_begins_gives_no_node_that_is_away(self) -> None:
        """It is dead only after three failures, which are seconds; where another serves nobody is sent there meanwhile."""
        pool = self.pool()
        self.after(0.5, a=BAD, b=BAD, c=GOOD)
        self.assertEqual([one.state for one in pool.reports()], [UNKNOWN, UNKNOWN, ALIVE])
        self.assertEqual({url for room in range(30) for url in pool.urls("192.0.2.1", str(room))[0]}, {"turn:c"})
        self.assertEqual(self.figures()["rtcd_ice_fallbacks_total"], 0)

    def test_a_reload_brings_other_nodes_and_takes_their_figures_along(self) -> None:
        """However often: series do not pile up."""
        pool = self.pool()
        self.after(1, a=GOOD, b=GOOD, c=GOOD)
        for number in range(300):
            pool.use(Settings(servers=("turn:b region=eu", f"turn:d{number}")))
        self.assertEqual({one.split()[1] for one in self.figures() if " " in one}, {"b", "d299"})
        self.assertEqual(self.figures()["rtcd_ice_node_usable b"], 1)
        self.assertEqual(pool.reports()[0].state, ALIVE)

    def test_the_list_of_networks_says_who_is_near(self) -> None:
        """It is read again at a reload; one that is wrong changes nothing. A region without a node is told."""
        file = Path(self.mktemp())
        file.write_text("192.0.2.0/24 us\n198.51.100.0/24 asia\n")
        pool = self.pool(regions=str(file))
        self.assertIn("no node of servers is in asia", self.lines[0])
        self.assertEqual({pool.urls("192.0.2.1", room)[0][0] for room in "rstuv"}, {"turn:c"})
        self.assertGreater(len({pool.urls("198.51.100.1", room)[0][0] for room in map(str, range(30))}), 2)
        settings = Settings(servers=INI, regions=str(file))
        file.write_text("192.0.2.0/24\n")
        error = self.assertRaises(ConfigError, pool.use, settings)
        self.assertIn(f"[ice] regions: {file}: line 1: ", str(error))
        self.assertEqual({pool.urls("192.0.2.1", room)[0][0] for room in "rstuv"}, {"turn:c"})
        file.write_text("192.0.2.0/24 eu\n")
        pool.use(settings)
        self.assertNotIn("turn:c", {pool.urls("192.0.2.1", room)[0][0] for room in "rstuv"})
        file.unlink()
        self.assertIn("cannot be read (no such file)", str(self.assertRaises(ConfigError, pool.use, settings)))

    def test_the_byte_order_mark_of_an_editor_is_no_part_of_the_list(self) -> None:
        """Its first network would be refused, and look right in the message."""
        file = Path(self.mktemp())
        file.write_text("\ufeff192.0.2.0/24 us\n", "utf-8")
        pool = self.pool(regions=str(file))
        self.assertEqual({pool.urls("192.0.2.1", room)[0][0] for room in "rstuv"}, {"turn:c"})

    def test_the_list_of_networks_is_bounded(self) -> None:
        """A reload reads it while nothing else goes on; one that is as long as may be is taken."""
        file = Path(self.mktemp())
        settings = Settings(servers=INI, regions=str(file))
        lines = [f"10.{number >> 8}.{number & 255}.0/24 us\n" for number in range(MAX_NETWORKS + 1)]
        file.write_text("".join(lines[1:]) + "#" * (MAX_FILE_BYTES - sum(map(len, lines[1:]))))
        pool = self.pool(regions=str(file))
        self.assertEqual({pool.urls("10.0.1.1", room)[0][0] for room in "rstuv"}, {"turn:c"})
        for text, wrong in ((file.read_text() + "#", f"is longer than {MAX_FILE_BYTES} characters"),
                            ("".join(lines), f"line {MAX_NETWORKS + 1}: there are more than {MAX_NETWORKS} networks")):
            file.write_text(text)
            error = str(self.assertRaises(ConfigError, pool.use, settings))
            self.assertIn(wrong, error)
            self.assertIn("geoip", error)

    def test_a_database_of_countries_says_who_is_near(self) -> None:
        """Where the list does not; addresses that it does not know are near to nobody."""
        database, networks = Path(self.mktemp()), Path(self.mktemp())
        database.write_bytes(mmdb({
            "192.0.2.0/24": ("DE", "EU"), "198.51.100.0/24": ("CA", "NA"), "203.0.113.0/25": ("JP", "AS")}))
        networks.write_text("192.0.2.128/25 us\n")
        pool = self.pool(geoip=str(database), geoip_regions=("country:DE eu", "continent:NA us"), regions=str(networks))
        self.assertEqual({pool.urls("198.51.100.9", room)[0][0] for room in "rstuv"}, {"turn:c"})
        self.assertEqual({pool.urls("192.0.2.129", room)[0][0] for room in "rstuv"}, {"turn:c"})
        self.assertNotIn("turn:c", {pool.urls("192.0.2.1", room)[0][0] for room in "rstuv"})
        for host in ("203.0.113.1", "203.0.113.200", "2001:db8::1", "nowhere"):
            self.assertGreater(len({pool.urls(host, str(room))[0][0] for room in range(30)}), 2, host)
        for content in (b"", b"no database at all", database.read_bytes()[:100]):
            database.write_bytes(content)
            error = str(self.assertRaises(ConfigError, pool.use, Settings(
                servers=INI, geoip=str(database), geoip_regions=("country:DE eu",))))
            self.assertIn("[ice] geoip: ", error)
            database.unlink()


    def test_a_damaged_database_is_told_once_and_ends_nothing(self) -> None:
        """Who would be found in what is damaged is near to nobody; others are where they were."""
        whole, database = mmdb({"192.0.2.0/24": ("DE", "EU"), "198.51.100.0/24": ("CA", "NA")}), Path(self.mktemp())
        settings: dict[str, Any] = {"geoip": str(database), "geoip_regions": ("country:DE eu", "continent:NA us")}
        record = whole.index(b"country") - 2
        database.write_bytes(whole)
        pool = self.pool(**settings)
        for place in (record, record + 11):  # no record; a country that is no text
            database.unlink()
            database.write_bytes(whole[:place] + b"\xff" + whole[place + 1:])
            pool.use(Settings(servers=INI, **settings))
            self.lines.clear()
            for _ in range(3):
                self.assertGreater(len({pool.urls("192.0.2.1", str(room))[0][0] for room in range(30)}), 2)
            self.assertEqual({pool.urls("198.51.100.1", room)[0][0] for room in "rstuv"}, {"turn:c"})
            self.assertEqual(["the database is damaged" in one for one in self.lines], [True])
            self.assertNotIn("192.0.2.1", self.lines[0])


class WorkersTests(SynchronousTestCase):
    """Several pools of one daemon, of which the first alone asks."""

    def setUp(self) -> None:
        self.network = Network()
        self.pools: list[Pool] = []
        self.servers: list[Server] = []
        self.family = FakeFamily(3)
        for worker in self.family.workers:
            server = Server(self, pages=False)
            desk = WorkerDesk(worker, lambda: b"key")  # type: ignore[arg-type] # a fake
            pool = Pool(replace(server.context, desk=desk), Settings(servers=INI), self.network)
            desk.offer("ice.known", pool.known)
            desk.serve(server.metrics)
            pool.start()
            self.addCleanup(pool.stop)
            self.pools.append(pool)
            self.servers.append(server)

    def after(self, seconds: float, **answers: Probe) -> None:
        """From now on nodes answer so, and time passes for all."""
        self.network.answers |= answers
        for _ in range(int(seconds * 4)):
            for server in self.servers:
                server.clock.advance(0.25)

    def states(self) -> list[list[tuple[str, str]]]:
        """What each worker tells of each node."""
        return [[(one.state, one.reason) for one in pool.reports()] for pool in self.pools]

    def test_the_first_asks_and_the_others_go_by_it(self) -> None:
        """Each node is asked as often as by one process, and every client gets the same, whichever worker he has."""
        self.after(2, a=GOOD, b=GOOD, c=BAD)
        self.after(5)
        self.assertEqual(self.states(), [[(ALIVE, ""), (ALIVE, ""), (DEAD, "no answer")]] * 3)
        before = Counter(self.network.asked)
        self.after(30, a=Probe(DEAD, "401", refused=True))
        self.assertLessEqual((Counter(self.network.asked) - before)["b"], 13)
        self.assertEqual((Counter(self.network.asked) - before)["a"], 1)
        for room in map(str, range(20)):
            self.assertEqual(len({str(pool.urls("192.0.2.1", room)) for pool in self.pools}), 1)

    def test_a_node_that_has_only_failed_is_in_doubt_everywhere(self) -> None:
        """A failure that the first has seen is one for all."""
        for server in self.servers:
            self.network.answers |= {"a": BAD, "b": BAD, "c": GOOD}
            server.clock.advance(0.25)
        for server in self.servers[1:]:
            server.clock.advance(0.5)
        self.assertEqual([one.state for one in self.pools[2].reports()], [UNKNOWN, UNKNOWN, ALIVE])
        for pool in self.pools:
            self.assertEqual({url for room in range(30) for url in pool.urls("192.0.2.1", str(room))[0]}, {"turn:c"})

    def test_what_is_known_outlives_the_first(self) -> None:
        """Of one that is away, or has begun anew and knows nothing, nothing is learnt; nor of a node that is asked in
        another way since a reload."""
        self.after(8, a=GOOD, b=GOOD, c=BAD)
        known = self.states()[1]
        self.family.silent = {1}
        self.after(5, b=BAD)
        self.assertEqual(self.states()[1], known)
        del self.family.workers[0].offers["ice.known"]
        fresh = [one._replace(state=UNKNOWN, reason="") for one in self.pools[0].known()]
        self.family.workers[0].offer("ice.known", type(None), lambda _: fresh)
        self.family.silent = set()
        self.after(5)
        self.assertEqual(self.states()[1], known)
        self.family.workers[0].offer("ice.known", type(None), lambda _: self.pools[0].known())
        self.pools[1].use(Settings(servers=("turn:a", "turn:b:443?transport=tcp", "turn:d")))
        self.after(5)
        self.assertEqual([one.state for one in self.pools[1].reports()], [ALIVE, UNKNOWN, UNKNOWN])

    def test_nobody_is_asked_where_there_is_nothing_to_know(self) -> None:
        """Without nodes, or with probe-interval = 0; what cannot be understood is told and ends nothing."""
        asked: list[int] = []

        def nonsense(_: None) -> list[str]:
            asked.append(1)
            return ["x"]

        self.family.workers[0].offer("ice.known", type(None), nonsense)
        for settings in (Settings(), Settings(servers=INI, probe_interval=0)):
            self.pools[1].use(settings)
            self.pools[2].use(settings)
            self.after(2)
        self.assertEqual((asked, {one.state for one in self.pools[1].reports()}), ([], {UNPROBED}))
        self.pools[1].use(Settings(servers=INI))
        self.after(1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), len(asked))
        self.assertGreater(len(asked), 1)
        self.pools[1].stop()
        self.after(1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 0)


class ServiceTests(SynchronousTestCase):
    """By HTTP."""

    def urls(self, server: Server, query: str = "") -> list[str]:
        """The TURN URLs of an answer."""
        answer = server.json("POST", f"/v1alpha/iceconfig{query}")
        return [url for one in answer["iceServers"] for url in one["urls"] if url.startswith("turn")]

    def test_both_ends_of_a_call_are_given_the_same_nodes(self) -> None:
        """Rooms differ; who is in none is given those of his network."""
        server = Server(self, ice=Settings(servers=[f"turn:n{number}" for number in range(20)], rate=0))  # type: ignore[arg-type] # a list will do
        found = []
        for room in map(str, range(15)):
            clients = [server.json("POST", f"/join/{room}abcd")["params"]["client_id"] for _ in range(2)]
            one, other = (self.urls(server, f"?room={room}abcd&client={client}") for client in clients)
            self.assertEqual((one, len(one)), (other, 2))
            found.append(one[0])
        self.assertGreater(len(set(found)), 5)
        self.assertEqual(self.urls(server), self.urls(server))

    def test_it_is_asked_about_its_nodes(self) -> None:
        """By those who look after the daemon."""
        server = Server(self, ice=Settings(servers=("turn:r region=eu weight=3",)))
        report, = server.context.desk.ask("ice.nodes")
        self.assertEqual((report.name, report.region, report.weight), ("r", "eu", 3))
        self.assertEqual((report.urls, report.state), (("turn:r",), UNKNOWN))
        self.assertEqual(server.context.desk.ask("ice.trouble"), "")
        self.assertEqual(json.loads(server.request("POST", "/v1alpha/iceconfig").body)["iceServers"][0]["urls"], ["turn:r"])


def mmdb(networks: dict[str, tuple[str, str]]) -> bytes:
    """A database of MaxMind's format 2.0 for IPv4: networks with their country and continent."""
    tree: list[list[Any]] = [[None, None]]
    data = b""
    for text, (country, continent) in networks.items():
        network = ipaddress.IPv4Network(text)
        bits, node = f"{int(network.network_address):032b}"[: network.prefixlen], 0
        for bit in bits[:-1]:
            if tree[node][int(bit)] is None:
                tree[node][int(bit)] = len(tree)
                tree.append([None, None])
            node = tree[node][int(bit)]
        tree[node][int(bits[-1])] = ("data", len(data))
        data += _encoded({"country": {"iso_code": country}, "continent": {"code": continent}})
    count = len(tree)

    def record(value: Any) -> bytes:
        number = count if value is None else count + 16 + value[1] if isinstance(value, tuple) else value
        return int(number).to_bytes(3, "big")

    metadata = _encoded({
        "node_count": _number(6, 4, count), "record_size": _number(5, 2, 24), "ip_version": _number(5, 2, 4),
        "database_type": "Test-Country", "languages": [], "binary_format_major_version": _number(5, 2, 2),
        "binary_format_minor_version": _number(5, 2, 0), "build_epoch": _number(9, 8, 1), "description": {}})
    return b"".join(record(left) + record(right) for left, right in tree) + bytes(16) + data + (
        b"\xab\xcd\xefMaxMind.com" + metadata)


def _encoded(value: Any) -> bytes:
    if isinstance(value, dict):
        return bytes([7 << 5 | len(value)]) + b"".join(_encoded(key) + _encoded(one) for key, one in value.items())
    if isinstance(value, str):
        return bytes([2 << 5 | len(value)]) + value.encode()
    return value if isinstance(value, bytes) else bytes([0, 4])  # a number, or an empty list


def _number(kind: int, size: int, value: int) -> bytes:
    """Encoded as this type of the format, whose numbers above 7 take a byte more."""
    head = bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
    return head + value.to_bytes(size, "big")
