"""What the doctor looks at on a machine: programs and files of this one that a test has put in their place."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import ifaddr

from rtcd.doctor.checks import firewall as firewall_check
from rtcd.doctor.facts import (
    configuration,
    firewall,
    outside,
    places,
    plane,
    process,
    sockets,
    units,
)
from tests.doctor import DoctorTestCase

FIREWALLS = Path(__file__).resolve().parents[1] / "firewalls"


class Firewalls(DoctorTestCase):
    """Programs that the test has put there print what real ones have printed."""

    def setUp(self) -> None:
        super().setUp()
        self.ini.write_text("[turn]\n")
        self.net = self.folder / "self" / "net"
        self.net.mkdir(parents=True)
        self.patch(firewall, "PLACES", str(self.folder))
        self.patch(firewall, "PROC", self.folder)

    def put(self, name: str, text: str) -> None:
        """A program that prints a text."""
        program = self.folder / name
        program.with_suffix(".text").write_text(text)
        program.write_text(f"#!/bin/sh\nexec cat '{program.with_suffix('.text')}'\n")
        program.chmod(0o755)

    def found(self, *ports: int) -> list[tuple[str, str]]:
        """The findings of UDP ports and their commands."""
        self.patch(firewall, "needed", lambda _: [firewall_check.Opening("udp", one, one, "k") for one in ports])
        self.patch(firewall, "own_versions", lambda _: [4])
        return [(one.id, one.command) for one in firewall_check.judge(firewall.gather(self.subject()))]

    def test_rules_of_iptables_are_read_whole_beside_those_of_nft(self) -> None:
        """nft shows of them what it knows; what ufw has opened as a range is known by iptables-save alone."""
        self.put("nft", (FIREWALLS / "ufw.nft.json").read_text())
        self.assertEqual(self.found(50000, 9), [("firewall.no-program", "")])
        self.put("iptables-nft-save", (FIREWALLS / "ufw.iptables").read_text())
        self.assertEqual(self.found(50000), [("firewall.open", "")])
        self.assertEqual(self.found(50000, 9), [("firewall.closed", "ufw allow 9/udp")])

    def test_the_old_table_of_the_kernel_is_read_too(self) -> None:
        """nft says nothing of it."""
        self.put("nft", (FIREWALLS / "firewalld.nft.json").read_text())
        self.assertEqual(self.found(3478), [("firewall.open", "")])
        (self.net / "ip_tables_names").write_text("nat\nfilter\n")
        self.assertEqual(self.found(3478), [("firewall.no-program", "")])
        self.put("iptables-legacy-save", "*filter\n:INPUT DROP [0:0]\nCOMMIT\n")
        self.assertEqual(self.found(3478), [("firewall.closed", "iptables-legacy -I INPUT -p udp --dport 3478 -j ACCEPT")])

    def test_without_any_program_that_is_said(self) -> None:
        self.assertEqual(self.found(3478), [("firewall.no-program", "")])
        self.put("iptables-save", "")
        self.assertEqual(self.found(3478), [])

    def test_interfaces_and_ways_to_everywhere_are_read(self) -> None:
        """By those of this machine, loopback left out."""
        (self.net / "route").write_text(
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
            "eth7\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
            "eth8\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n")
        (self.net / "ipv6_route").write_text(
            f"{'0' * 32} 00 {'0' * 32} 00 fe80{'0' * 27}1 00000400 1 0 3     eth7\n"
            f"{'0' * 31}1 80 {'0' * 32} 00 {'0' * 32} 00000000 2 0 80200001       lo\n")
        card = ifaddr.Adapter("eth7", "eth7", [
            ifaddr.IP("192.0.2.7", 24, "eth7"), ifaddr.IP(("2001:db8::7", 0, 0), 64, "eth7"),
            ifaddr.IP(("fe80::7", 0, 0), 64, "eth7")], index=3)
        inner = ifaddr.Adapter("eth8", "eth8", [ifaddr.IP("192.0.2.8", 24, "eth8")], index=4)
        lo = ifaddr.Adapter("lo", "lo", [ifaddr.IP("127.0.0.1", 8, "lo")], index=1)
        self.patch(ifaddr, "get_adapters", lambda: [lo, card, inner])
        self.assertEqual(firewall.cards(), {4: [("eth7", True), ("eth8", False)], 6: [("eth7", True)]})


class Listeners(DoctorTestCase):
    """Where the daemon listens that has no number in the ini."""

    def setUp(self) -> None:
        super().setUp()
        first, later = self.folder / "etc", self.folder / "lib"
        for one in (first, later):
            one.mkdir()
        self.patch(units, "UNITS", (first, later))
        self.units = first

    def found(self, ini: str) -> places.Places:
        """By such an ini and these units."""
        self.ini.write_text(ini)
        return self.subject().places()

    def test_what_systemd_hands_over_is_where_its_units_say(self) -> None:
        """Those of the administrator go before the shipped ones, and what is added to one before what it says."""
        (self.folder / "lib" / "rtcd.socket").write_text("[Socket]\nListenStream=8443\nFileDescriptorName=https\n")
        (self.units / "rtcd.socket").write_text("[Socket]\n#ListenStream=1\nListenStream=443\nFileDescriptorName=https\n")
        (self.units / "turn.socket").write_text(
            "[Socket]\nListenDatagram=192.0.2.7:3478\nListenStream=/run/x\nListenStream=[2001:db8::1]:5349\n")
        (self.units / "turn.socket.d").mkdir()
        (self.units / "turn.socket.d" / "name.conf").write_text("[Socket]\nFileDescriptorName = turn\n")
        wanted, unknown = self.found(
            "[doorway]\nhttps = systemd:domain=INET6:name=https\nhttp = systemd:domain=INET6:name=http\n[web]\n[turn]\n"
            "listen =\n    127.0.0.1\n    systemd:name=turn\ntls = no\n")
        self.assertEqual({one[:5] for one in wanted}, {
            ("[doorway] https", "tcp", "::", 443, True), ("[turn] port", "udp", "127.0.0.1", 3478, False),
            ("[turn] port", "tcp", "127.0.0.1", 3478, False), ("[turn] port", "udp", "192.0.2.7", 3478, True),
            ("[turn] tls-port", "tcp", "2001:db8::1", 5349, True), ("[turn] web-port", "udp", "127.0.0.1", 443, False)})
        self.assertEqual(unknown, ["[doorway] http"])
        self.assertEqual([units.unit_of("tcp", 443), units.unit_of("tcp", 80)], ["rtcd.socket", ""])

    def test_web_listeners_that_nobody_needs_are_not_looked_for(self) -> None:
        """The daemon does not open them either, so that they are no fault of a relay that is well."""
        for more, web in (("[metrics]\n", False), ("[check]\n", True), ("[tls]\nmode = acme\n", True),
                          ("tls = no\n[tls]\nmode = acme\n", False)):
            wanted, _ = self.found(f"[turn]\nlisten = 127.0.0.1\nudp = no\n{more}")
            self.assertEqual({one.key for one in wanted if one.key.startswith("[doorway]")},
                             {"[doorway] https", "[doorway] http"} if web else set(), more)

    def test_an_interface_may_be_named(self) -> None:
        """It is looked up once; one that leads nowhere is not known."""
        wanted, unknown = self.found(
            "[doorway]\nhttps = tcp:443:interface=localhost\nhttp = tcp:80:interface=nowhere.invalid\n[web]\n")
        self.assertEqual(([one[:4] for one in wanted], unknown), (
            [("[doorway] https", "tcp", "127.0.0.1", 443)], ["[doorway] http"]))

    def test_a_port_that_the_system_chose_is_seen_at_the_process(self) -> None:
        """As far as it is plain whose it is."""
        own = process.Process(os.getpid())
        before = {one.port for one in sockets.of_process(own)}
        with socket.create_server(("127.0.0.1", 0)) as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            datagram.bind(("127.0.0.1", 0))
            self.ini.write_text("[doorway]\nhttps =\nhttp = tcp:0:interface=127.0.0.1\n[web]\n"
                                "[turn]\nlisten = 127.0.0.1\nport = 0\nweb-port = no\ntcp = no\ntls = no\nmin-port = 65000\n"
                                "max-port = 65001\n")
            wanted, unknown = places.find(configuration.read(self.ini), ["127.0.0.1"], own, web=True)
            self.assertEqual({one[:4] for one in wanted if one.port not in before}, {
                ("[doorway] http", "tcp", "127.0.0.1", stream.getsockname()[1]),
                ("[turn] port", "udp", "127.0.0.1", datagram.getsockname()[1])})
            self.assertEqual(unknown, [])
            with socket.create_server(("127.0.0.1", 0)):
                wanted, unknown = places.find(configuration.read(self.ini), ["127.0.0.1"], own, web=True)
                self.assertEqual(([one.key for one in wanted], unknown), (["[turn] port"], ["[doorway] http"]))
        self.assertEqual(sorted(self.subject().places().unknown), ["[doorway] http", "[turn] port"])


class Names(DoctorTestCase):
    def test_a_resolver_that_does_not_answer_is_told_from_a_name_that_there_is_not(self) -> None:
        """Without a network nobody's records are wrong."""
        self.ini.write_text("[doorway]\npublic-url = https://meet.example\n[web]\n")
        self.patch(outside, "discover", lambda subject: ())
        for number, wanted in ((socket.EAI_AGAIN, "names.no-answer"), (socket.EAI_NONAME, "names.unknown")):
            def fail(*arguments: object, number: int = number, **named: object) -> None:
                raise socket.gaierror(number, "why")

            self.patch(socket, "getaddrinfo", fail)
            self.assertEqual(set(self.examine("names")), {wanted})


class Units(DoctorTestCase):
    """What systemd says of a unit; a program that the test has put there answers."""

    def test_a_filter_and_a_bounding_set_are_seen(self) -> None:
        program = self.folder / "systemctl"
        self.take_first(self.folder)
        for said, wanted in (("SystemCallFilter=\nCapabilityBoundingSet=cap_chown cap_bpf", (False, False)),
                             ("SystemCallFilter=read write\nCapabilityBoundingSet=cap_chown", (True, True)),
                             ("Failed", (None, False))):
            program.write_text(f"#!/bin/sh\ntest \"$7\" = rtcd.service && echo '{said}'\n")
            program.chmod(0o755)
            self.assertEqual(plane._unit("rtcd.service", ["CAP_BPF"]), wanted)
        program.write_text("#!/bin/sh\nexit 1\n")
        self.assertEqual(plane._unit("rtcd.service", ["CAP_BPF"]), (None, False))
