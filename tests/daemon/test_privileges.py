"""``[daemon] user``, ``group`` and ``pidfile``: what twistd is told, and what a real daemon of root's becomes."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import ConfigError
from rtcd.privileges import PIDFILE, Owner, apply
from rtcd.state import StateDirectory
from tests.daemon.process import TURN, TWISTD, WEB, DaemonTestCase
from tests.daemon.test_sample import ORDINARY

NOBODY = pwd.getpwnam("nobody")
DAEMON = pwd.getpwnam("daemon")


def need_root() -> None:
    """Skip a test that only root can run."""
    if os.geteuid() != 0:
        raise SkipTest("only root can become another user")


class OptionTests(SynchronousTestCase):
    """The ini's words in twistd's options."""

    def setUp(self) -> None:
        """As twistd has them when its command line says nothing; we are root."""
        self.twistd: dict[str, Any] = {"pidfile": PIDFILE, "uid": None, "gid": None}
        self.patch(os, "geteuid", lambda: 0)
        self.patch(os, "getegid", lambda: 0)

    def refused(self, key: str, text: str, user: str = "", group: str = "", pidfile: str = "") -> None:
        """The operator is told so."""
        fault = self.assertRaises(ConfigError, apply, user, group, pidfile, self.twistd)
        self.assertEqual((fault.section, fault.key), ("daemon", key))
        self.assertIn(text, str(fault))

    def test_nothing_is_changed_unless_it_is_asked_for(self) -> None:
        self.assertIsNone(apply("", "", "", self.twistd))
        self.assertEqual(self.twistd, {"pidfile": PIDFILE, "uid": None, "gid": None})

    def test_a_user_brings_its_group_by_name_or_number(self) -> None:
        for user in ("nobody", str(NOBODY.pw_uid)):
            self.twistd["uid"] = self.twistd["gid"] = None
            self.assertEqual(apply(user, "", "", self.twistd), Owner(NOBODY.pw_uid, NOBODY.pw_gid))
            self.assertEqual((self.twistd["uid"], self.twistd["gid"]), (NOBODY.pw_uid, NOBODY.pw_gid))

    def test_a_group_of_its_own_by_name_or_number(self) -> None:
        for group in ("daemon", str(DAEMON.pw_gid)):
            self.twistd["uid"] = self.twistd["gid"] = None
            self.assertEqual(apply("nobody", group, "", self.twistd), Owner(NOBODY.pw_uid, grp.getgrnam("daemon").gr_gid))

    def test_the_command_line_goes_first(self) -> None:
        self.twistd.update(uid=DAEMON.pw_uid, pidfile="")
        self.assertEqual(apply("nobody", "", "/nowhere/pid", self.twistd), Owner(DAEMON.pw_uid, DAEMON.pw_gid))
        self.assertEqual(self.twistd, {"pidfile": "", "uid": DAEMON.pw_uid, "gid": None})

    def test_who_is_that_user_already_needs_no_right(self) -> None:
        self.patch(os, "geteuid", lambda: NOBODY.pw_uid)
        self.patch(os, "getegid", lambda: NOBODY.pw_gid)
        self.assertIsNone(apply("nobody", "", "", self.twistd))
        self.assertIsNone(self.twistd["uid"])

    def test_what_is_impossible_is_refused(self) -> None:
        self.refused("user", "there is no user nobodys", "nobodys")
        self.refused("user", "there is no user", "99999999999999")
        self.refused("group", "there is no group nobodys", "nobody", "nobodys")
        self.refused("group", "goes with user", "", "daemon")
        self.refused("pidfile", "is no folder that root may write", pidfile="/nowhere/at/all/pid")
        self.patch(os, "getegid", lambda: 1)
        self.refused("user", "is root, whose rights are to be dropped", "root")
        self.patch(os, "geteuid", lambda: NOBODY.pw_uid)
        self.refused("user", "only root can become another user, and this is nobody", "daemon")

    def test_a_pidfile_of_the_ini_is_twistds(self) -> None:
        path = str(Path(self.mktemp()).resolve())
        apply("", "", path, self.twistd)
        self.assertEqual(self.twistd["pidfile"], path)


class StateTests(SynchronousTestCase):
    """What root makes for the user that it will be."""

    def test_what_is_made_belongs_to_that_user(self) -> None:
        need_root()
        path = Path(self.mktemp())
        state = StateDirectory(path, Owner(NOBODY.pw_uid, NOBODY.pw_gid))
        state.write("a", b"x")
        state.secret("b", lambda: "y")
        for one in (path, path / "a", path / "b"):
            self.assertEqual((one.stat().st_uid, one.stat().st_gid), (NOBODY.pw_uid, NOBODY.pw_gid))
        self.assertEqual(StateDirectory(path, Owner(NOBODY.pw_uid, NOBODY.pw_gid)).secret("b", lambda: "z"), "y")

    def test_what_belongs_to_another_is_refused_with_the_way_out(self) -> None:
        """Not given away: it may be a link to anything."""
        need_root()
        path = Path(self.mktemp())
        StateDirectory(path).write("a", b"x")
        owner = Owner(NOBODY.pw_uid, NOBODY.pw_gid)
        fault = self.assertRaises(ConfigError, StateDirectory, path, owner)
        self.assertIn(f"run: chown -R {NOBODY.pw_uid}:{NOBODY.pw_gid} {path}", str(fault))
        shutil.chown(path, NOBODY.pw_uid)
        fault = self.assertRaises(ConfigError, StateDirectory(path, owner).read, "a")
        self.assertIn("chown", str(fault))
        self.assertEqual((path / "a").stat().st_uid, 0)


class ProcessTests(DaemonTestCase):
    """Real processes."""

    def identity(self, process: int) -> dict[str, list[str]]:
        """Users, groups and capabilities, as the system sees them."""
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return {line.partition(":")[0]: line.partition(":")[2].split() for line in lines}

    def test_root_becomes_the_user_and_can_still_do_its_work(self) -> None:
        """A low port is open, nothing of root is left; the log is opened again, secrets can be read, the pidfile goes."""
        need_root()
        made = tempfile.TemporaryDirectory(prefix="rtcd-")  # trial's own folders are root's alone
        self.addCleanup(made.cleanup)
        folder = Path(made.name)
        folder.chmod(0o755)
        (folder / "run").mkdir(mode=0o755)
        shutil.chown(folder / "run", NOBODY.pw_uid)
        ini = (f"[daemon]\nuser = nobody\ngroup = daemon\npidfile = {folder}/run/pid\n[log]\nfile = {folder}/run/log\n{WEB}"
               f"[ice]\n{TURN}")
        daemon = self.run_daemon_in(folder, ini, command=(*TWISTD, "-n"))
        log = folder / "run" / "log"
        self.wait_for_file(log, "is ready")
        status = self.identity(daemon.process.pid)
        self.assertEqual(status["Uid"], [str(NOBODY.pw_uid)] * 4)
        self.assertEqual(status["Gid"], [str(DAEMON.pw_gid)] * 4)
        self.assertNotIn("0", status["Groups"])
        self.assertEqual(int(status["CapEff"][0], 16), 0)
        self.assertEqual((folder / "run" / "pid").read_text(), str(daemon.process.pid))
        self.assertEqual((folder / "state" / "turn-secret").stat().st_uid, NOBODY.pw_uid)
        log.rename(folder / "run" / "log.1")
        daemon.process.send_signal(signal.SIGHUP)
        self.wait_for_file(log, "nothing has changed")
        self.assertEqual((daemon.stop(), daemon.errors()), (0, ""))
        self.assertFalse((folder / "run" / "pid").exists())

    def test_an_ordinary_user_cannot_become_another(self) -> None:
        """One line, exit code 1."""
        options: dict[str, Any] = {"command": (*ORDINARY, *TWISTD, "-n", "--pidfile=")} if os.geteuid() == 0 else {}
        daemon = self.run_daemon(f"[daemon]\nuser = daemon\n{WEB}", **options)
        self.assertEqual(daemon.wait(), 1)
        self.assertRegex(daemon.errors(), r"^rtcd\.ini: \[daemon\] user: only root can become another user, and this is "
                         r"\w+; start as root or remove it\n$")

    def refused(self, ini: str) -> str:
        """What an ordinary user's daemon says in one line when it does not start; its folder is that user's."""
        need_root()
        made = tempfile.TemporaryDirectory(prefix="rtcd-")
        self.addCleanup(made.cleanup)
        Path(made.name).chmod(0o777)
        daemon = self.run_daemon_in(Path(made.name), ini, command=(*ORDINARY, *TWISTD, "-n", "--pidfile="))
        self.assertEqual(daemon.wait(), 1)
        self.assertEqual(daemon.errors().count("\n"), 1, daemon.errors())
        return daemon.errors()

    def test_a_port_below_1024_without_the_privilege_names_the_ways_to_get_it(self) -> None:
        """The unit, root, the system's setting; of HTTPS, and of TURN."""
        if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 443:
            raise SkipTest("here everybody may open such ports")
        for ini, key, what in (
            (WEB.replace("tcp:0", "tcp:443"), "[doorway] https", "tcp port 443"),
            (TURN.replace("port = 0", "port = 443", 1), "[turn] port", "udp port 443 on 127.0.0.1"),
        ):
            line = self.refused(ini)
            self.assertTrue(line.startswith(f"rtcd.ini: {key}: {what} may not be opened by this user; "), line)
            for way in ("systemd/rtcd.service", "[daemon] user", "sysctl -w net.ipv4.ip_unprivileged_port_start="):
                self.assertIn(way, line)

    def test_a_state_directory_that_cannot_be_written_is_named(self) -> None:
        """With the mend."""
        with tempfile.TemporaryDirectory(prefix="rtcd-") as theirs:
            line = self.refused(f"[daemon]\nstate-directory = {theirs}\n{WEB}")
        self.assertTrue(line.startswith(f"rtcd.ini: [daemon] state-directory: {theirs}: "), line)
        self.assertIn("make it a directory that the daemon's user may write", line)

    def test_a_pidfile_is_written_and_removed(self) -> None:
        """Its number is the process's."""
        daemon = self.run_daemon(f"[daemon]\npidfile = number\n{WEB}", command=(*TWISTD, "-n")).started()
        self.assertEqual((daemon.folder / "number").read_text(), str(daemon.process.pid))
        self.assertEqual(daemon.stop(), 0)
        self.assertFalse((daemon.folder / "number").exists())
