"""``rtcd install`` in this process, on folders of its own."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd import __version__
from rtcd.config import ConfigError, parse
from rtcd.doorway.settings import DoorwaySettings
from rtcd.install import layout as layouts
from rtcd.install import shipped, survey
from rtcd.install.doing import carry_out
from rtcd.install.firewall import firewall
from rtcd.install.layout import Layout
from rtcd.install.plan import Facts, record
from rtcd.install.ports import planned
from rtcd.install.receipt import decode
from rtcd.install.steps import MakeDirectory, RemoveTree, Run, Step, Write
from rtcd.plugin import plugins
from rtcd.schemas import Schemas
from rtcd.served import opens_web
from rtcd.welcome import ports
from tests.shell.test_cli import CommandTestCase


class Staging(CommandTestCase):
    """Below another root, as who builds a package does it."""

    def setUp(self) -> None:
        super().setUp()
        self.root = self.folder / "stage"

    def install(self, *arguments: str, prefix: str = "/usr") -> str:
        """Run it; what it says."""
        return self.done("install", "--root", str(self.root), "--prefix", prefix, *arguments)

    def found(self) -> set[str]:
        """Files below the root."""
        return {f"/{one.relative_to(self.root)}" for one in self.root.rglob("*") if one.is_file()}

    def test_without_yes_nothing_is_there(self) -> None:
        said = self.install()
        self.assertIn("Nothing has been changed", said)
        self.assertIn("write   /usr/lib/systemd/system/rtcd.service", said)
        self.assertFalse(self.root.exists())

    def test_with_yes_files_are_there_and_may_be_read_by_all(self) -> None:
        before = os.umask(0o077)
        self.addCleanup(os.umask, before)
        self.install("--yes", "--sockets", "--public-url", "https://meet.example.org")
        self.assertEqual(self.found(), {
            "/etc/rtcd/rtcd.ini", "/usr/lib/sysctl.d/60-rtcd.conf", "/usr/share/rtcd/installed.json",
            *(f"/usr/lib/systemd/system/{one}" for one in (
                "rtcd.service", "rtcd.service.d/sockets.conf", "rtcd.socket", "rtcd-http.socket"))})
        for one in self.root.rglob("*"):
            self.assertEqual(one.stat().st_mode & 0o777, 0o755 if one.is_dir() else 0o644, one)
        self.assertIn("ExecStart=/usr/bin/twistd ", (self.root / "usr/lib/systemd/system/rtcd.service").read_text())
        settings = parse((self.root / "etc/rtcd/rtcd.ini").read_text(), Schemas(plugins()))
        self.assertEqual((settings["doorway"].https, settings["doorway"].public_url),
                         (("systemd:domain=INET6:name=https",), "https://meet.example.org"))

    def test_it_is_done_once_and_undone_as_a_whole(self) -> None:
        self.install("--yes", prefix="/opt/rtcd")
        self.assertIn("There is nothing to do.", self.install("--yes", prefix="/opt/rtcd"))
        self.install("--yes", "--uninstall", prefix="/opt/rtcd")
        self.assertEqual(self.found(), set())
        self.assertFalse((self.root / "etc/rtcd").exists())

    def test_an_ini_that_is_there_is_kept_and_tells_the_ports(self) -> None:
        (self.root / "etc/rtcd").mkdir(parents=True)
        ini = self.root / "etc/rtcd/rtcd.ini"
        ini.write_text("[doorway]\nhttps = tcp:444\nhttp =\n[web]\n"
                       "[turn]\nport = 3500\ntcp = no\ntls = no\nsocket-buffer = 5000000\n")
        said = self.install("--yes")
        self.assertIn("    tcp 444  ", said)
        self.assertIn("    udp 3500 ", said)
        self.assertNotIn("tcp 80", said)
        self.assertTrue(ini.read_text().startswith("[doorway]\nhttps = tcp:444\n"))
        self.assertIn("net.core.rmem_max = 5000000\n", (self.root / "usr/lib/sysctl.d/60-rtcd.conf").read_text())
        ini.write_text("[nonsense]\n")
        self.assertIn("has a mistake", self.install())

    def test_what_cannot_be_is_one_line(self) -> None:
        (self.folder / "file").write_text("")
        for arguments, said in (
            (("--prefix", "/home/x"), "the service does not see /home"),
            (("--uninstall", "--root", "/nowhere"), "was installed"),
            (("--public-url", "ftp:x", "--root", str(self.root)), "public-url"),
            (("--yes", "--prefix", "/usr", "--root", str(self.folder / "file")), "Not a directory"),
        ):
            code, _, errors = self.run_command("install", *arguments)
            self.assertEqual((code, errors.count("\n"), errors.startswith("rtcd: ")), (1, 1, True), errors)
            self.assertIn(said, errors)

    def test_a_receipt_that_is_none_is_named(self) -> None:
        self.install("--yes")
        (self.root / "usr/share/rtcd/installed.json").write_text("{")
        code, _, errors = self.run_command("install", "--root", str(self.root), "--prefix", "/usr")
        self.assertEqual(code, 1)
        self.assertIn("installed.json: is no record", errors)

    def test_only_root_installs_on_the_machine_itself(self) -> None:
        self.patch(os, "geteuid", lambda: 1000)
        self.patch(survey, "creator", lambda: "/usr/bin/python3")
        code, _, errors = self.run_command("install", "--yes", "--prefix", "/opt/no-such-place")
        self.assertEqual(code, 1)
        self.assertIn("only root", errors)


class Doing(SynchronousTestCase):
    """Steps on a folder that stands for the root, and commands that are no more than noted."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()
        self.layout = Layout(root=str(self.root))
        self.said: list[str] = []
        self.ran: list[tuple[str, ...]] = []
        self.code = 0

    def run_command(self, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        """Note it."""
        self.ran.append(command)
        return subprocess.CompletedProcess(command, self.code, "", "first\nno such key\n" if self.code else "")

    def do(self, *steps: Step) -> None:
        """All of them."""
        carry_out(self.layout, steps, self.said.append, self.run_command)

    def test_each_step_is_said_before_it_is_done(self) -> None:
        self.do(MakeDirectory("/a/b"), Write("/a/b/c", b"1", "new"), Run(("true", "x y"), "for nothing"))
        self.assertEqual(self.said, ["  make    /a/b/", "  write   /a/b/c  (new)", "  run     true 'x y'  (for nothing)"])
        self.assertEqual(((self.root / "a/b/c").read_bytes(), self.ran), (b"1", [("true", "x y")]))

    def test_a_command_that_fails_ends_it_unless_it_can_wait(self) -> None:
        self.code = 1
        self.do(Run(("sysctl",), "these limits", optional=True))
        self.assertIn("no such key", self.said[-1])
        with self.assertRaises(ConfigError) as raised:
            self.do(Run(("pip", "install"), "all"), Write("/later", b"", "new"))
        self.assertIn("pip install: failed (no such key)", str(raised.exception))
        self.assertFalse((self.root / "later").exists())

    def test_what_was_done_before_a_failure_is_written_down(self) -> None:
        self.code = 1
        steps: list[Step] = [Write("/a", b"1", "new"), Run(("pip",), "all")]
        with self.assertRaises(ConfigError):
            carry_out(self.layout, steps, self.said.append, self.run_command,
                      partly=lambda done: record(Facts("2"), done))
        receipt = decode((self.root / self.layout.receipt.lstrip("/")).read_bytes())
        self.assertEqual(set(receipt.files), {"/a"})

    def test_a_program_that_is_not_there_is_a_failure_like_any_other(self) -> None:
        with self.assertRaises(ConfigError) as raised:
            carry_out(self.layout, [Run(("/nowhere/pip",), "all")], self.said.append)
        self.assertIn("/nowhere/pip: failed (No such file or directory)", str(raised.exception))

    def test_a_failure_in_the_middle_leaves_the_old_file(self) -> None:
        self.do(Write("/etc/x", b"old", "new"))

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device", "x")

        self.patch(os, "fsync", full)
        self.assertRaises(ConfigError, self.do, Write("/etc/x", b"new", "new"))
        self.assertEqual([(one.name, one.read_bytes()) for one in (self.root / "etc").iterdir()], [("x", b"old")])

    def test_a_link_is_replaced_and_not_followed(self) -> None:
        (self.root / "etc").mkdir()
        (self.root / "secret").write_text("kept")
        (self.root / "etc/x").symlink_to(self.root / "secret")
        self.do(Write("/etc/x", b"ours", "new"))
        self.assertEqual(((self.root / "secret").read_text(), (self.root / "etc/x").read_bytes()), ("kept", b"ours"))

    def test_the_environment_goes_as_a_whole(self) -> None:
        (self.root / "opt/rtcd/lib").mkdir(parents=True)
        self.do(RemoveTree("/opt/rtcd"))
        self.assertFalse((self.root / "opt/rtcd").exists())


class Looking(SynchronousTestCase):
    """Facts of this machine."""

    def test_units_are_those_of_the_checkout(self) -> None:
        self.assertIn("Type=notify", shipped.units()["rtcd.service"])
        self.patch(shipped, "PACKAGED", Path(self.mktemp()))
        self.patch(shipped, "CHECKOUT", Path("/nowhere"))
        self.assertIn("install rtcd again", str(self.assertRaises(ConfigError, shipped.units)))
        self.assertIsNone(shipped.checkout())

    def test_the_source_is_where_pip_had_it_from(self) -> None:
        self.assertEqual(survey.source(), str(shipped.CHECKOUT))
        self.patch(survey, "checkout", lambda: None)
        for told, expected in (('{"url": "file:///etc/host%73"}', "/etc/hosts"), ('{"url": "file:///nowhere"}', None),
                               ('{"url": "https://x/etc/hosts"}', None), ("[", None), (None, None)):
            distribution = argparse.Namespace(read_text=lambda file, told=told: told)
            self.patch(metadata, "distribution", lambda name, found=distribution: found)
            self.assertEqual(survey.source(), expected)

    def test_an_interpreter_that_the_service_does_not_see_makes_no_environment(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        good, old = folder / "good", folder / "old"
        for path, code in ((good, 0), (old, 1)):
            path.write_text(f"#!/bin/sh\nexit {code}\n")
            path.chmod(0o755)
        self.patch(survey, "hidden", lambda path: None if str(folder) in path else "/root")
        candidates = (str(folder / "missing"), "/bin/sh", str(old), str(good))
        self.assertEqual(survey.creator(candidates), str(good))
        self.assertIsNone(survey.creator(candidates[:-1]))

    def test_a_program_behind_a_hidden_interpreter_is_refused(self) -> None:
        self.patch(os.path, "realpath", lambda path: "/root/python")
        self.assertIn("does not see", str(self.assertRaises(ConfigError, survey.survey, Layout())))

    def test_the_version_at_the_prefix_is_asked_for(self) -> None:
        self.patch(sys, "prefix", "/opt/rtcd")
        self.assertEqual(survey._version(Layout()), __version__)
        self.assertIsNone(survey._version(Layout("/opt/no-such-place")))

    def test_an_ini_is_closed_if_others_may_not_read_it(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        path = folder / "rtcd.ini"
        self.assertIsNone(survey.closed(str(path)))
        path.write_text("")
        path.chmod(0o600)
        self.assertEqual(survey.closed(str(path)), str(path))
        path.chmod(0o644)
        folder.chmod(0o750)
        self.assertEqual(survey.closed(str(path)), str(folder))
        self.assertIsNone(survey.closed("/etc/passwd"))
        link = folder / "link.ini"
        link.symlink_to("/etc/passwd")
        self.assertEqual(survey.closed(str(link)), str(folder))
        link.unlink()
        link.symlink_to(folder / "nowhere")
        self.assertIsNone(survey.closed(str(link)))

    def test_a_place_is_free_if_there_is_nothing(self) -> None:
        place = Path(self.mktemp())
        self.assertTrue(survey._free(place))
        place.mkdir()
        self.assertTrue(survey._free(place))
        (place / "x").write_text("")
        self.assertFalse(survey._free(place))
        self.assertFalse(survey._free(place / "x"))

    def test_another_source_of_the_same_version_is_another_program(self) -> None:
        prefix, ours = Path(self.mktemp()).absolute(), Path(self.mktemp())
        there = prefix / "lib/python3.12/site-packages/rtcd"
        self.patch(layouts, "_HIDDEN", ())
        layout = Layout(str(prefix))
        ours.mkdir()
        (ours / "a.py").write_text("1")
        self.assertFalse(survey.alike(layout, ours))
        there.mkdir(parents=True)
        (there / "a.py").write_text("1")
        self.assertTrue(survey.alike(layout, ours))
        for path in (there / "b.py", ours / "a.py"):
            path.write_text("2")
            self.assertFalse(survey.alike(layout, ours))
            path.write_text("1")
            (ours / "b.py").write_text("1")

    def test_the_list_of_plugins_is_older_than_none_of_them(self) -> None:
        prefix = Path(self.mktemp()).absolute()
        self.patch(layouts, "_HIDDEN", ())
        layout = Layout(str(prefix))
        self.assertFalse(survey.cached(layout))
        plugins = prefix / "lib/python3.12/site-packages/twisted/plugins"
        plugins.mkdir(parents=True)
        self.assertFalse(survey.cached(layout))
        for name, made in (("rtcd_twistd.py", 100), ("dropin.cache", 200)):
            (plugins / name).write_text("")
            os.utime(plugins / name, (made, made))
        self.assertTrue(survey.cached(layout))
        os.utime(plugins / "rtcd_twistd.py", (300, 300))
        self.assertFalse(survey.cached(layout))

    def test_limits_in_force_are_read(self) -> None:
        folder = Path(self.mktemp())
        (folder / "net/core").mkdir(parents=True)
        (folder / "net/core/rmem_max").write_text("212992\n")
        self.patch(survey, "LIMITS", folder)
        self.assertEqual(survey.limits_in_force(Layout()), {"net.core.rmem_max": 212992})
        self.assertEqual(survey.limits_in_force(Layout(root="/x")), {})

    def test_an_ini_that_takes_its_sockets_is_recognised(self) -> None:
        own, taken = (shipped.ini("", sockets=sockets).encode() for sockets in (False, True))
        for text, handed in ((taken, True), (own, False), (b"", False), (b"\xff", False), (b"nonsense", False),
                             (None, False)):
            self.assertEqual(survey._handed(text), handed)

    def test_a_file_that_cannot_be_read_is_named(self) -> None:
        self.assertIn("/etc: cannot be read", str(self.assertRaises(ConfigError, survey._read, "/etc", 1)))


class Ports(SynchronousTestCase):
    """What a configuration opens, before it is."""

    def lines(self, text: str) -> list[str]:
        """Protocol and ports of each line."""
        return [" ".join(line.split()[:2]) for line in ports(self.planned(text))]

    def planned(self, text: str) -> Any:
        """By an ini."""
        settings = parse(text, Schemas(plugins()))
        return planned(settings.get("doorway", DoorwaySettings()), settings.get("turn"), shipped.units(),
                       web=opens_web(settings, settings))

    def test_they_are_those_that_the_daemon_opens(self) -> None:
        self.assertEqual(self.lines("[web]\n[turn]\n"), [
            "tcp 8443", "tcp 8080", "udp 3478", "tcp 3478", "tcp 5349", "udp 8443", "udp 49152-50175"])
        handed = "https = systemd:domain=INET6:name=https\nhttp = systemd:domain=INET6:name=http\n"
        self.assertEqual(self.lines(f"[web]\n[doorway]\n{handed}"), ["tcp 443", "tcp 80"])
        self.assertEqual(self.lines("[turn]\nstun-only = yes\n[metrics]\n"), ["udp 3478", "tcp 3478", "tcp 5349"])
        self.assertEqual(self.lines(
            "[ice]\n[doorway]\nhttps = tcp:port=9443:interface=\\:\\:\nhttp = tcp:8080:interface=127.0.0.1\n"
            "[turn]\nstun-only = yes\ntls = no\ndtls = yes\nweb-port = no\nlisten = 192.0.2.1\n"),
            ["tcp 9443", "udp 3478", "tcp 3478", "udp 5349"])
        self.assertEqual(self.lines("[web]\n[doorway]\nhttps = unix:/run/x\nhttp = tcp6:8080:backlog=50\n"), ["tcp 8080"])

    def test_commands_are_for_the_firewall_that_is_there(self) -> None:
        directory = self.planned("[web]\n[doorway]\nhttp =\n[turn]\ntcp = no\ntls = no\n")
        tools = {"ufw": "ufw allow 49152:50175/udp", "firewall-cmd": "firewall-cmd --permanent --add-port=49152-50175/udp",
                 "": "nft add rule inet filter input udp dport { 3478, 8443, 49152-50175 } accept"}
        for tool, line in tools.items():
            self.assertIn(line, firewall(directory, lambda name, tool=tool: name if name == tool else None))  # type: ignore[misc] # one loop
