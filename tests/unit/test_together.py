"""Tests of what sections ask of each other, and of what is legal and unwise."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.clashes import port_faults
from rtcd.config import parse
from rtcd.plugin import ServicePlugin, plugins
from rtcd.schemas import SHARED, Schemas
from rtcd.served import OWN, opens_web, path_faults
from rtcd.together import lacking
from rtcd.unwise import unwise
from rtcd.weak import KNOWN, weakness

SERVICES = ("web", "signaling", "ice", "turn")
ALL = "".join(f"[{one}]\n" for one in SERVICES)


def settings(ini: str) -> dict[str, Any]:
    """As the daemon has them."""
    return {name: schema() for name, schema in SHARED.items()} | parse(ini, Schemas(plugins()))


class TogetherTests(SynchronousTestCase):
    """The daemon itself says the same: tests.daemon.test_faults."""

    def test_what_is_missing_is_told(self) -> None:
        for ini, said in (
            (ALL, ""), ("[turn]\n", ""), ("", "no service is turned on; add one of [admin], [check], [ice], "),
            ("[web]\n", "[web]: its calls need signalling"), (f"{ALL}[doorway]\nhttps =\n", "[doorway] https: there is no "),
            ("[ice]\n", "[ice] servers: no TURN server"), ("[turn]\n[doorway]\nhttps =\n", ""),
            ("[ice]\nservers = turn:a.example\n", "[credentials] secret: the TURN servers of [ice] servers run elsewhere"),
            ("[ice]\nservers = turn:a.example\n[credentials]\nsecret = 0123456789abcdef\n", ""),
            (ALL.replace("[web]", "[web]\nredirect-hosts = a.example"), "[web] redirect-hosts: there is nowhere"),
            ("[check]\n[doorway]\nhttps =\n", "[doorway] https: there is no listener"),
            (f"[admin]\ntoken = {'x' * 40}\n[doorway]\nhttps =\n", "[doorway] https: there is no listener"),
            ("[admin]\n[doorway]\nhttps =\n", ""),
            ("[turn]\ndtls = yes\n[tls]\nminimum = 1.3\n", "[turn] dtls: is DTLS 1.2"),
            ("[turn]\n[tls]\nmode = acme\n[doorway]\nhttps =\n", "[doorway] https: there is no listener"),
            ("[signaling]\n[tls]\nmode = acme\n[doorway]\nhttps =\nplain = tcp:1\n", "[tls] mode: is acme, and nothing"),
            ("[signaling]\n[turn]\n[tls]\nmode = acme\n[doorway]\nhttps =\nplain = tcp:1\n", ""),
        ):
            found = settings(ini)
            faults = lacking(found, list(found), plugins())
            self.assertEqual([str(one)[:len(said)] for one in faults], [said] if said else [], ini)

    def test_a_path_for_two_is_told(self) -> None:
        for ini, said in (
            (ALL.replace("[signaling]", "[signaling]\npath = /join/"), "path: the path /join/ is served by [web] already"),
            (ALL.replace("[signaling]", "[signaling]\npost-path = /"), "post-path: the path / is served by [web] already"),
            ("[check]\n[signaling]\npath = /check\n", "path: the path /check is served by [check] already"),
            ("[signaling]\npath = /status\n", "path: the path /status is served by [signaling] already"),
            ("[signaling]\npath = /join\npost-path = /\n", ""), ("[signaling]\npath = /healthz\n", ""),
            ("[metrics]\n[signaling]\npath = /healthz\n", "path: the path /healthz is served by [metrics]"),
            (f"{ALL}[doorway]\npublic-url = https://a.example/join\n", "public-url: /join begins like a path of our own"),
            (f"{ALL}[doorway]\npublic-url = https://a.example/ws/x\n", "public-url: /ws/x begins like a path"),
            (f"{ALL}[doorway]\npublic-url = https://a.example/calls\n", ""),
        ):
            faults = path_faults(found := settings(ini), list(found))
            self.assertEqual([str(one).partition("] ")[2][:len(said)] for one in faults], [said] if said else [], ini)

    def test_a_port_for_two_is_told(self) -> None:
        """If it is certain: addresses that are not known may be any."""
        for ini, said in (
            (f"{ALL}[doorway]\nhttps = tcp:5349\n", "[turn] tls-port: 5349 is a port of [doorway] https already"),
            (f"{ALL}[doorway]\nhttp = tcp:port=8443\n", "[doorway] http: 8443 is a port of [doorway] https already"),
            (f"{ALL}port = 8080\ntls-port = 8443\n", "[turn] port: 8080 is a port of [doorway] http already"),
            (f"{ALL}port = 8080\ntcp = no\n", ""), ("[turn]\nport = 8080\n", ""),
            ("[turn]\nport = 8080\n[tls]\nmode = acme\n", "[turn] port: 8080 is a port of [doorway] http already"),
            (f"{ALL}listen = 192.0.2.1\nport = 8443\n", "[turn] port: 8443 is"),
            (f"{ALL}listen = 192.0.2.1\nport = 8443\n[doorway]\nhttps = tcp:8443:interface=192.0.2.2\n", ""),
            (f"{ALL}listen = 192.0.2.1\nport = 1\n[doorway]\nhttps = tcp:1:interface=0.0.0.0\n", "[turn] port: 1 is"),
            (f"{ALL}listen = 2001:db8::1\nport = 1\n[doorway]\nhttps = tcp:1:interface=0.0.0.0\n", ""),
            (f"{ALL}listen = ::1\nport = 1\n[doorway]\nhttps = tcp:1:backlog=50\n", ""),
            (f"{ALL}listen = 192.0.2.1\nport = 1\n[doorway]\nhttps = tcp:1:backlog=50\n", "[turn] port: 1 is"),
            (f"{ALL}listen = ::1\nport = 1\n[doorway]\nhttps = tcp6:1\n", "[turn] port: 1 is"),
            (f"{ALL}listen = ::1\nport = 1\n[doorway]\nhttps = tcp:1:interface=\\:\\:1\n", "[turn] port: 1 is"),
            (f"{ALL}listen =\n 192.0.2.1\n 0.0.0.0\n", ""),
            (f"{ALL}listen = systemd:name=turn\nport = 8443\n", ""), (f"{ALL}port = 0\n[doorway]\nhttps = tcp:0\n", ""),
            (f"{ALL}[metrics]\nlisten = tcp:8080:interface=127.0.0.1\n", "[metrics] listen: 8080 is"),
        ):
            faults = port_faults(found := settings(ini), list(found))
            self.assertEqual([str(one)[:len(said)] for one in faults][:1], [said] if said else [], ini)

    def test_who_opens_the_web_listeners(self) -> None:
        """The daemon, `lacking`, the doctor and ``rtcd health`` go by it."""
        token = f"[admin]\ntoken = {'x' * 40}\n"
        for ini, opens in (
            ("[turn]\n[metrics]\n", False), ("[admin]\n", False), (token, True), ("[check]\n", True), ("[web]\n", True),
            ("[turn]\n[tls]\nmode = acme\n", True), ("[turn]\ntls = no\n[tls]\nmode = acme\n", False),
            ("[turn]\ntls = no\ndtls = yes\n[tls]\nmode = acme\n", True), ("[metrics]\n[tls]\nmode = acme\n", False),
        ):
            self.assertEqual(opens_web(found := settings(ini), list(found)), opens, ini)

    def test_a_section_with_a_fault_of_its_own_is_there(self) -> None:
        """Or its fault would look like two."""
        found = settings(ALL)
        for one in SERVICES:
            rest = {name: value for name, value in found.items() if name != one}
            self.assertEqual(lacking(rest, list(found), SERVICES), [])


    def test_every_service_of_ours_is_known(self) -> None:
        """Of the others it is supposed that they have something behind the web listeners."""
        self.assertEqual(OWN - {"doorway"}, {
            name for name, one in plugins().items() if isinstance(one, ServicePlugin) and one.module.startswith("rtcd.")})


class UnwiseTests(SynchronousTestCase):
    def test_what_is_unwise_is_told_and_no_password(self) -> None:
        for ini, key in (
            ("allow-loopback-peers = yes", "allow-loopback-peers"), ("allow-private-peers = yes", "allow-private-peers"),
            ("user = ann:sesame", "user"), ("user = ann:ann", "user"),
        ):
            (warning,) = unwise(settings(f"[turn]\n{ini}\n"))
            self.assertEqual((warning.section, warning.key), ("turn", key))
            self.assertNotIn("sesame", str(warning))
        good = "user =\n ann:0x545f279de5fd54442b6476658181689d\n bob:correct horse battery\n"
        self.assertEqual(unwise(settings(f"[turn]\n{good}")), [])
        self.assertEqual(unwise(settings("[web]\n")), [])

    def test_what_as_many_workers_as_cores_could_not_share_is_told(self) -> None:
        """A number of workers is the start's to refuse, and one core shares nothing."""
        text = "[daemon]\nworkers = {}\n[turn]\ntcp-relay = yes\nmin-port = 50000\nmax-port = 50005\n"
        auto = settings(text.format("auto"))
        self.assertEqual([(one.section, one.key) for one in unwise(auto, 4)], [("turn", "max-port"), ("turn", "tcp-relay")])
        self.assertIn("auto comes to 4, as here, the daemon does not start: 6 relay ports are", str(unwise(auto, 4)[0]))
        self.assertEqual([one.key for one in unwise(auto, 2)], ["tcp-relay"])
        self.assertEqual([unwise(auto, 1), unwise(settings(text.format(4)), 4)], [[], []])
        door = settings("[daemon]\nworkers = auto\n[web]\n[doorway]\nhttps = systemd:domain=INET6:name=https\n")
        self.assertEqual([(one.section, one.key) for one in unwise(door, 2)], [("doorway", "https")])

    def test_weak_passwords(self) -> None:
        for text in (*KNOWN, "12345", "short", "20260101", "aaaaaaaaaa", "Walter", " walter ", "PASSWORD", ""):
            self.assertTrue(weakness(text, ["walter"]), text)
        for text in ("correct horse battery", "Kq7-vw2_x0", "1586400000123", "walters-other-1"):
            self.assertEqual(weakness(text, ["walter"]), "")
