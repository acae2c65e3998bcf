"""How the doctor reads an ini, finds the daemon, runs its checks, and prints what they say."""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from unittest import SkipTest

from rtcd.cli.main import main
from rtcd.cluster.address import LIBRARY
from rtcd.doctor.checks import certificate
from rtcd.doctor.examination import examine
from rtcd.doctor.facts import (
    configuration,
    process,
    relay,
    sockets,
    subject,
)
from rtcd.doctor.facts.relay import elsewhere, ways
from rtcd.doctor.facts.subject import examined
from rtcd.doctor.finding import Finding, note
from rtcd.rights import closed_to
from tests.doctor import NOBODY, DoctorTestCase, as_nobody

FAULTY = """
[turn]
prot = 3478
min-port = many
max-port = 50000
[daemon]
drain-timeout = -1
[tunr]
"""


class Configuration(DoctorTestCase):
    def test_every_fault_is_told_and_the_rest_is_read(self) -> None:
        """A key with a fault has its default for the other checks."""
        self.ini.write_text(FAULTY)
        found = configuration.read(self.ini)
        self.assertEqual([one.partition(":")[0] for one in found.facts.faults], [
            "[turn] prot", "[turn] min-port", "[daemon] drain-timeout", "[tunr]"])
        turn = found.settings["turn"]
        self.assertEqual((turn.port, turn.min_port, turn.max_port), (3478, 49152, 50000))
        self.assertEqual(found.settings["daemon"].drain_timeout, 0)
        self.assertTrue(found.on("turn"))

    def test_keys_that_do_not_go_together_are_one_fault(self) -> None:
        self.ini.write_text("[turn]\nmin-port = 60000\nmax-port = 50000\n")
        found = configuration.read(self.ini)
        self.assertEqual(len(found.facts.faults), 1)
        self.assertIn("[turn] min-port: 60000 is more than", found.facts.faults[0])

    def test_what_only_root_may_read_is_no_fault_of_what_stands_in_it(self) -> None:
        """Of ordinary users that is said, and the relay is not tried with another secret than is meant."""
        if os.geteuid() != 0:
            raise SkipTest("only root can become somebody else")
        self.go_where_everybody_comes()
        secret = self.folder / "secret"
        secret.write_text("x" * 40)
        secret.chmod(0o600)
        self.ini.write_text(f"[turn]\nlisten = 127.0.0.1\n[credentials]\nsecret-file = {secret}\n")
        self.assertEqual(configuration.read(self.ini).facts.hidden, [])
        found = as_nobody(lambda: self.examine("configuration"))
        self.assertEqual({one.id: str(one.level) for one in found.values()}, {"configuration.unseen": "note"})
        user, _, fault = as_nobody(lambda: relay._user(self.subject()))
        self.assertEqual((user, fault), (None, "[credentials] secret-file: see what is said of the configuration"))
        self.ini.chmod(0o600)
        found = as_nobody(lambda: self.examine("configuration"))
        self.assertEqual({one.id: str(one.level) for one in found.values()}, {"configuration.unseen": "note"})

    def test_a_file_that_cannot_be_read_is_a_fault_too(self) -> None:
        """Missing, no text, no ini."""
        self.assertIn("No such file", configuration.read(self.ini).facts.faults[0])
        self.ini.write_bytes(b"\xff\xfe")
        self.assertIn("not UTF-8", configuration.read(self.ini).facts.faults[0])
        self.ini.write_text("port = 1\n")
        self.assertIn("line 1 stands before any [section]", " ".join(configuration.read(self.ini).facts.faults))


class Processes(DoctorTestCase):
    """A /proc that the test has written."""

    def setUp(self) -> None:
        super().setUp()
        self.proc = self.folder / "proc"
        self.proc.mkdir()
        self.patch(process, "PROC", self.proc)
        self.ini.write_text("[turn]\n")

    def add(self, pid: int, *arguments: str, parent: int = 1, cgroup: str = "0::/system.slice/rtcd.service\n") -> None:
        """A process in the folder of the ini."""
        folder = self.proc / str(pid)
        folder.mkdir()
        (folder / "cmdline").write_bytes(b"".join(one.encode() + b"\0" for one in arguments))
        (folder / "cgroup").write_text(cgroup)
        (folder / "status").write_text(
            f"Name:\tpython\nPPid:\t{parent}\nUid:\t9\t999\t9\t9\nGid:\t8\t88\t8\t8\nGroups:\t5 6 \n")
        (folder / "limits").write_text("Max open files            1024                 524288               files\n")
        (folder / "environ").write_bytes(b"STATE_DIRECTORY=/var/lib/rtcd:/x\0HOME=/\0")
        os.symlink(self.folder, folder / "cwd")

    def test_the_daemon_is_found_by_its_ini(self) -> None:
        """Named in any way, from wherever it was started; other programs and other daemons are none."""
        self.add(3, "vim", "rtcd.ini")
        self.add(4, "python", "/bin/twistd", "-n", "rtcd", "--config", "other.ini")
        self.assertIsNone(process.find(str(self.ini)))
        for pid, given in enumerate((["--config", "rtcd.ini"], ["-c", str(self.ini)], [f"--config={self.ini}"]), start=10):
            self.add(pid, "python", "/opt/rtcd/bin/twistd", "-n", "rtcd", *given)
            found = process.find(str(self.ini))
            assert found is not None
            self.assertEqual(found.pid, pid)
            for one in (self.proc / str(pid)).iterdir():
                one.unlink()
            (self.proc / str(pid)).rmdir()

    def test_of_another_user_its_ini_is_known_by_its_end(self) -> None:
        """Where it was started cannot be seen then; the bare name of a file could be anybody's."""
        self.add(6, "twistd", "rtcd", "--config", "./rtcd.ini")
        self.add(7, "twistd", "rtcd", "--config", "elsewhere/rtcd.ini")
        self.add(8, "twistd", "rtcd", "--config", f"{self.folder.name}/rtcd.ini")
        for pid in (6, 7, 8):
            (self.proc / str(pid) / "cwd").unlink()
        found = process.find(str(self.ini))
        assert found is not None
        self.assertEqual(found.pid, 8)
        self.assertIsNone(self.subject(state=None).state)
        self.assertEqual(set(self.examine("state", state=None)), set())

    def test_what_it_is_and_may_is_read(self) -> None:
        self.add(7, "twistd", "rtcd")
        found = process.Process(7)
        self.assertEqual((found.user, found.group, found.groups, found.most_files, found.unit, found.folder), (
            999, 88, {5, 6, 88}, 1024, "rtcd.service", self.folder))
        self.assertEqual(process.state_of(found.environment), "/var/lib/rtcd")
        self.assertIsNone(found.opened())

    def test_the_unit_of_who_started_it_is_not_its_own(self) -> None:
        """Or the doctor would tell to restart cron."""
        self.add(7, "twistd", "rtcd", parent=6, cgroup="0::/system.slice/cron.service\n")
        self.add(8, "twistd", "rtcd", cgroup="0::/user.slice/user-0.slice/session-1.scope\n")
        self.assertEqual([process.Process(one).unit for one in (7, 8)], ["", ""])

    def test_what_it_was_started_with_goes_before_the_ini(self) -> None:
        """And before what this command was started with, which is another one's."""
        self.add(7, "python", "-m", "twisted", "rtcd", "--config", str(self.ini))
        (self.proc / "7" / "environ").write_bytes(b"RTCD_TURN_PORT=29500\0")
        self.patch(os, "environ", {"RTCD_TURN_PORT": "3", "RTCD_TURN_TLS_PORT": "4"})
        subject = self.subject()
        self.assertEqual((subject.section("turn").port, subject.section("turn").tls_port), (29500, 5349))
        self.assertEqual(subject.configuration.variables, {("turn", "port")})

    def test_one_without_an_ini_is_set_up_by_the_environment_alone(self) -> None:
        """Its own, or ours before the first start. Where neither says anything the ini is missing."""
        def read() -> tuple[str, list[str], int, int]:
            options = argparse.Namespace(**NOBODY)
            found = examined(options, Path("none") / "rtcd.ini", time.time, named=False)
            facts = found.configuration.facts
            return facts.ini, list(facts.services), len(facts.faults), found.process.pid if found.process else 0

        self.patch(os, "environ", {"HOME": "/"})
        self.assertEqual(read(), (str(Path("none").absolute() / "rtcd.ini"), [], 1, 0))
        self.patch(os, "environ", {"RTCD_TURN": "yes"})
        self.assertEqual(read(), ("environment", ["turn"], 0, 0))
        self.add(6, "python", "/bin/twistd", "rtcd", "--config", "other.ini")
        self.add(7, "python", "/bin/twistd", "-n", "rtcd")
        (self.proc / "7" / "environ").write_bytes(b"RTCD_TURN_PORT=29500\0")
        self.assertEqual(read(), ("environment", ["turn"], 0, 7))
        self.assertEqual(process.ini_of(process.Process(7)), "environment")
        self.assertEqual(process.ini_of(process.Process(6)), str(self.folder / "other.ini"))

    def test_one_that_is_over_is_read_as_nothing(self) -> None:
        found = process.Process(99)
        self.assertEqual((found.arguments, found.unit, found.opened(), found.folder, found.environment, found.most_files), (
            [], "", None, None, {}, None))

    def test_addresses_of_the_kernels_tables_are_read(self) -> None:
        """Hosts are words in the machine's order."""
        if sys.byteorder == "little":
            self.assertEqual([sockets._address(one) for one in (
                "0100007F:0D96", f"{'0' * 32}:01BB", "0000000000000000FFFF00000100007F:0050",
                "B80D0120000000000000000001000000:0050")],
                [("127.0.0.1", 3478), ("::", 443), ("127.0.0.1", 80), ("2001:db8::1", 80)])

    def test_who_may_read_a_key_is_judged_by_modes_and_mended_by_the_command(self) -> None:
        """Those of the folders above it too, and of where a link leads."""
        if os.geteuid() != 0:
            raise SkipTest("only root can give files away")
        folder = self.folder / "live"
        folder.mkdir()
        folder.chmod(0o700)
        path, link = folder / "key.pem", self.folder / "link.pem"
        path.write_text("x")
        path.chmod(0o600)
        link.symlink_to(path)
        user, groups = 65534, frozenset({65534})
        above = closed_to(self.folder.parent, user, groups)  # of the place where tests run
        self.assertEqual(closed_to(link, 0, frozenset()), [])
        closed = [one for one in closed_to(link, user, groups) if one not in above]
        self.assertEqual(closed, [folder, path])
        key = certificate.Key(str(link), 0o600, closed=tuple(map(str, closed)), group=65534)
        (found,) = certificate.judge(certificate.Facts(time.time(), "", keys=[key]))
        self.assertEqual(found.id, "certificate.key-unreadable")
        self.mended(found)
        self.assertEqual([one for one in closed_to(link, user, groups) if one not in above], [])
        self.assertRaises(OSError, closed_to, folder / "nothing", user, groups)


class Ways(DoctorTestCase):
    """By which ways a relay is tried."""

    def test_each_transport_port_and_family_is_tried_once(self) -> None:
        """At an address that others can come to, if there is one."""
        self.ini.write_text(
            "[doorway]\nhttps = tcp:443\n[web]\n[turn]\nlisten =\n    127.0.0.1\n    192.0.2.7\ndtls = yes\n")
        found = {(one.transport, one.address) for one in ways(self.subject())}
        self.assertLessEqual({("udp", ("192.0.2.7", 3478)), ("tcp", ("192.0.2.7", 3478)), ("tls", ("192.0.2.7", 5349)),
                              ("dtls", ("192.0.2.7", 5349)), ("udp", ("192.0.2.7", 443))}, found)
        self.assertNotIn(("udp", ("127.0.0.1", 3478)), found)
        self.assertIn(443, {address[1] for transport, address in found if transport == "tls"})

    def test_a_listener_at_every_address_is_come_to_by_one_that_there_is(self) -> None:
        """A machine may have no IPv4."""
        subject = self.subject()
        for own, host, wanted in ((("127.0.0.1", "::1"), "::", "127.0.0.1"), (("::1",), "::", "::1"),
                                  (("127.0.0.1",), "0.0.0.0", "127.0.0.1"), (("::1",), "192.0.2.1", "192.0.2.1")):
            self.assertEqual(replace(subject, own=own).door(host), wanted, (own, host))

    def test_other_servers_are_those_that_clients_are_given(self) -> None:
        self.ini.write_text("[ice]\nservers =\n    turn:127.0.0.1\n    turns:127.0.0.1:443?transport=tcp\n"
                            "    turn:[::1]:5?transport=tcp\n    stun:127.0.0.1\n    turn:nowhere.invalid\n")
        found, nowhere = elsewhere(self.subject())
        self.assertEqual([(one.transport, one.address) for one in found], [
            ("udp", ("127.0.0.1", 3478)), ("tcp", ("::1", 5)), ("tls", ("127.0.0.1", 443))], "each node's first URL first")
        self.assertEqual(nowhere, ["nowhere.invalid"])


    def test_a_listener_that_waits_for_a_proxy_is_spoken_to_like_one(self) -> None:
        """Where this machine is among those that are believed; each section has its own."""
        self.ini.write_text("[doorway]\nhttps = tcp:443\nproxy-from = 127.0.0.1\n[web]\n[turn]\nlisten = 127.0.0.1\n")
        found = [self.subject().preface(*place) for place in (
            ("127.0.0.1", 443), ("192.0.2.1", 443), ("127.0.0.1", 3478), ("127.0.0.1", 9))]
        self.assertEqual(found, [b"PROXY UNKNOWN\r\n", b"", b"", b""])


class Examination(DoctorTestCase):
    def test_a_check_that_is_late_is_told_of_and_keeps_nobody(self) -> None:
        """And one that fails itself silences no other."""
        over = threading.Event()
        self.addCleanup(over.set)

        def late() -> list[Finding]:
            over.wait(60)
            return []

        def failing() -> list[Finding]:
            raise KeyError("x")

        before = time.monotonic()
        found = examine({"names": late, "nat": failing, "clock": lambda: [note("names.none")]}, (), time.monotonic, 0.2)
        self.assertLess(time.monotonic() - before, 30)
        self.assertEqual([(one.id, one.values.get("check")) for one in found], [
            ("doctor.failed", "nat"), ("names.none", None), ("doctor.late", "names")])

    def test_the_command_prints_and_its_code_tells(self) -> None:
        """A fault of the ini is told whatever else is asked."""
        self.ini.write_text("[turn]\nprot = 1\nrelay-plane = python\n")
        code, text = self.run_command("--language", "zh")
        self.assertEqual(code, 2)
        self.assertTrue(text.startswith("故障：配置有错误：[turn] prot: unknown key"), text)
        code, text = self.run_command("--json")
        self.assertEqual((code, [one["id"] for one in json.loads(text)["findings"]]), (
            2, ["configuration.fault", "plane.chosen"]))

    def test_a_package_that_a_store_needs_and_nobody_has_installed_is_told_once(self) -> None:
        """In the words of the start, with what installs it; whichever check is asked for."""
        real = importlib.util.find_spec
        self.patch(importlib.util, "find_spec", lambda name, *more: None if name == LIBRARY else real(name, *more))
        self.ini.write_text(f"[turn]\nrelay-plane = python\n[rooms]\nstore = unix://{self.folder}/nowhere\n")
        code, text = self.run_command("--only", "store")
        self.assertEqual((code, text.count(LIBRARY), text.count("pip install")), (2, 1, 1), text)
        self.assertIn("[store.unreachable]", text)

    def run_command(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of the check of the relay plane."""
        out = io.StringIO()
        self.patch(sys, "stdout", out)
        state = str(self.folder / "state")
        return main(("doctor", "-c", str(self.ini), "--state", state, "--only", "plane", *arguments)), out.getvalue()

    def test_that_nobody_can_be_waited_for_hides_nothing_of_what_was_found(self) -> None:
        """One line on standard error, after the findings; for programs an object on one line."""
        self.ini.write_text("[daemon]\ndrain-timeout = -1\n")
        errors = io.StringIO()
        self.patch(sys, "stderr", errors)
        code, text = self.run_command("--wait", "1", "--json", "--only", "configuration")
        self.assertEqual((code, json.loads(text)["exit_code"], text.count("\n")), (2, 2, 1))
        self.assertRegex(errors.getvalue(), r"\A[^\n]*: \[admin\] is not in this file; [^\n]*\n\Z")

    def test_an_installed_state_directory_is_found(self) -> None:
        """As the unit has it, if the daemon does not run and none is beside us."""
        self.ini.write_text("[turn]\n")
        installed = self.folder / "installed"
        installed.mkdir()
        self.patch(subject, "INSTALLED_STATE", installed)
        self.assertEqual(self.subject(state=None).state, Path.cwd() / "state" if Path("state").exists() else installed)
        self.ini.write_text(f"[turn]\n[daemon]\nstate-directory = {self.folder}/mine\n")
        self.assertEqual(self.subject(state=None).state, self.folder / "mine")
