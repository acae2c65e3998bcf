"""The command ``rtcd`` in this process, with files in a folder of its own."""

from __future__ import annotations

import fcntl
import getpass
import io
import os
import sys
import types
import warnings
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from rtcd.auth.authenticator import keys_of_password, parse_users
from rtcd.cli import editing, ini
from rtcd.cli.editing import Edited
from rtcd.cli.main import main
from rtcd.cli.password import MAX_PASSWORD_BYTES
from rtcd.config import ConfigError

REALM = "example.org"


class CommandTestCase(SynchronousTestCase):
    """An ini that names a users file, in the current folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.users = self.folder / "users"
        self.ini = self.write_ini(f"[turn]\nrealm = {REALM}\nusers-file = users\n")
        self.patch(ini, "PLACES", (str(self.ini), "nowhere"))

    def write_ini(self, text: str, name: str = "rtcd.ini") -> Path:
        """An ini in the folder."""
        path = self.folder / name
        path.write_text(text)
        return path

    def run_command(self, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """Exit code, output, errors."""
        out, errors = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", errors)
        self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        return code, out.getvalue(), errors.getvalue()

    def done(self, *arguments: str, stdin: bytes = b"") -> str:
        """The output of a command that does what it should."""
        code, out, errors = self.run_command(*arguments, stdin=stdin)
        self.assertEqual((code, errors), (0, ""))
        return out

    def refused(self, *arguments: str, stdin: bytes = b"") -> str:
        """The one line of a command that fails."""
        code, out, errors = self.run_command(*arguments, stdin=stdin)
        self.assertEqual((code, out), (1, ""))
        self.assertEqual((errors.count("\n"), errors.startswith("rtcd: ")), (1, True), errors)
        return errors

    def typed(self, *answers: str) -> None:
        """What is typed at the prompts."""
        given = iter(answers)
        self.patch(getpass, "getpass", lambda prompt: next(given))

    def lines(self) -> list[str]:
        """Of the users file."""
        return self.users.read_text().splitlines()


class Verbs(CommandTestCase):
    def test_help_is_there_for_all(self) -> None:
        for verb in ((), ("user",), ("user", "add"), ("user", "list"), ("user", "remove"), ("key",), ("install",),
                     ("health",), ("rehearse",)):
            self.assertIn("usage: rtcd", self.done(*verb, "--help"))

    def test_a_wrong_command_line_is_told_with_code_2(self) -> None:
        wrong: Sequence[tuple[str, ...]] = (
            (), ("user",), ("key",), ("users",), ("user", "add"), ("user", "add", "a", "--stdin", "-p", "x"),
            ("user", "add", "a", "--fi", "x"), ("user", "list", "a"))
        for arguments in wrong:
            code, out, errors = self.run_command(*arguments)
            self.assertEqual((code, out), (2, ""))
            self.assertIn("rtcd", errors)

    def test_help_warns_of_passwords_on_the_command_line(self) -> None:
        for verb in (("user", "add"), ("key",)):
            self.assertIn("others on this machine can see it", " ".join(self.done(*verb, "--help").split()))

    def test_who_interrupts_sees_no_traceback(self) -> None:
        def interrupt(prompt: str) -> str:
            raise KeyboardInterrupt

        self.patch(getpass, "getpass", interrupt)
        code, _, errors = self.run_command("user", "add", "ann")
        self.assertEqual((code, errors), (1, "\nrtcd: interrupted\n"))


class Adding(CommandTestCase):
    def test_keys_are_stored_and_never_the_password(self) -> None:
        self.done("user", "add", "ann", "-p", "sesame")
        self.assertNotIn("sesame", self.users.read_text())
        self.assertEqual(parse_users(self.lines(), REALM), {"ann": keys_of_password("ann", REALM, "sesame")})

    def test_a_new_file_is_its_owners_alone(self) -> None:
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.done("user", "add", "ann", "-p", "x")
        self.assertEqual(self.users.stat().st_mode & 0o777, 0o600)
        self.assertEqual(sorted(one.name for one in self.folder.iterdir()), ["rtcd.ini", "users"])

    def test_each_way_to_give_a_password_is_the_same(self) -> None:
        """The end of the line is not part of it, nor is an editor's byte order mark; blanks are."""
        (self.folder / "password").write_bytes(b" ses ame\r\n")
        self.typed(" ses ame", " ses ame")
        expected = keys_of_password("ann", REALM, " ses ame")
        for arguments, stdin in (
            (("-p", " ses ame"), b""), (("--stdin",), b" ses ame\n"), (("--stdin",), b" ses ame"), ((), b""),
            (("--password-file", str(self.folder / "password")), b""), (("--stdin",), BOM_UTF8 + b" ses ame\r\n"),
        ):
            self.users.unlink(missing_ok=True)
            self.done("user", "add", "ann", *arguments, stdin=stdin)
            self.assertEqual(parse_users(self.lines(), REALM), {"ann": expected})

    def test_a_password_that_is_none_is_refused(self) -> None:
        self.users.write_text("# nobody\n")
        long = b"x" * (MAX_PASSWORD_BYTES + 1)
        for stdin in (b"", b"\n", b"\xff\n", b"a\nb\n", b"a\0b", long, BOM_UTF8 + long, BOM_UTF8, b"x" * 10**6):
            self.refused("user", "add", "ann", "--stdin", stdin=stdin)
        self.refused("user", "add", "ann", "--password-file", str(self.folder))
        self.typed("sesame", "sesamo")
        self.assertIn("differ", self.refused("user", "add", "ann"))
        self.assertEqual(self.lines(), ["# nobody"])
        for mark in (b"", BOM_UTF8):
            self.done("user", "add", "ann", "--stdin", stdin=mark + b"x" * MAX_PASSWORD_BYTES + b"\r\n")

    def test_without_a_terminal_nothing_is_asked_for(self) -> None:
        """The password would be shown, or the command would hang."""
        def no_terminal(prompt: str) -> str:
            warnings.warn("it would be shown", getpass.GetPassWarning, stacklevel=1)
            return "sesame"

        self.patch(getpass, "getpass", no_terminal)
        self.assertIn("use --stdin or --password-file", self.refused("user", "add", "ann"))

    def test_a_second_time_changes_the_password_in_place(self) -> None:
        self.users.write_text("# people\nann:old\n\nbob:y\n")
        self.assertIn("new password", self.done("user", "add", "ann", "-p", "new"))
        self.assertEqual(self.lines()[::2] + self.lines()[3:], ["# people", "", "bob:y"])
        self.assertEqual(parse_users(self.lines(), REALM)["ann"], keys_of_password("ann", REALM, "new"))

    def test_names_are_prepared_as_the_daemon_does(self) -> None:
        """RFC 8265 §4.2: what looks the same is one user."""
        self.done("user", "add", "Ame\u0301lie", "-p", "x")
        self.done("user", "add", "Am\u00e9lie", "-p", "y")
        self.assertEqual(self.done("user", "list"), "Am\u00e9lie\n")

    def test_a_name_that_no_line_can_hold_is_refused(self) -> None:
        for name in ("", "a:b", "#a", "a\nb:x", " a", "a" * 509, "\udcff"):
            self.refused("user", "add", name, "-p", "x")
        self.assertFalse(self.users.exists())

    def test_a_user_of_the_ini_is_not_added_a_second_time(self) -> None:
        """The daemon would refuse the file."""
        path = self.write_ini("[turn]\nuser = ann:x\nusers-file = users\n", "other.ini")
        self.assertIn("[turn] user: 'ann' is in the ini", self.refused("user", "add", "ann", "-p", "x", "-c", str(path)))
        self.assertFalse(self.users.exists())

    def test_a_file_that_was_faulty_already_is_told(self) -> None:
        """Yet this change is made, or it could not be mended with this command."""
        self.users.write_text("ann:0x12\n# bob\nhush\n")
        code, _, errors = self.run_command("user", "add", "ann", "-p", "x")
        self.assertEqual(code, 0)
        self.assertIn("line 3 is not name:password; until that is mended", errors)
        self.assertEqual(self.lines()[1:], ["# bob", "hush"])

    def test_no_more_users_than_the_daemon_takes(self) -> None:
        self.patch(sys.modules["rtcd.auth.authenticator"], "MAX_USERS", 1)
        self.done("user", "add", "ann", "-p", "x")
        self.assertIn("more than 1 users", self.refused("user", "add", "bob", "-p", "x"))
        self.assertEqual(self.done("user", "list"), "ann\n")


class ListingAndRemoving(CommandTestCase):
    def test_names_are_listed_in_the_order_of_the_file(self) -> None:
        self.users.write_text("zoe:x\n# nobody:x\n\nann:y\n")
        self.assertEqual(self.done("user", "list"), "zoe\nann\n")

    def test_a_user_is_removed_and_nothing_else(self) -> None:
        self.users.write_text("zoe:x\n# people\nann:y\n")
        self.done("user", "remove", "ann")
        self.assertEqual(self.users.read_text(), "zoe:x\n# people\n")

    def test_who_is_not_there_cannot_be_removed(self) -> None:
        self.assertIn("'ann' is not in it", self.refused("user", "remove", "ann"))
        self.assertIn("no such file", self.refused("user", "list"))
        self.assertFalse(self.users.exists())


class Places(CommandTestCase):
    def test_file_and_realm_on_the_command_line_need_no_ini(self) -> None:
        self.patch(ini, "PLACES", ("nowhere", "nowhere"))
        other = str(self.folder / "other")
        self.done("user", "add", "ann", "-p", "x", "--file", other, "--realm", "r")
        self.assertEqual(self.done("user", "list", "--file", other), "ann\n")
        self.assertEqual(parse_users(Path(other).read_text().splitlines(), "r"), {"ann": keys_of_password("ann", "r", "x")})
        self.assertIn("nowhere: cannot be read", self.refused("user", "add", "ann", "-p", "x", "--file", other))

    def test_another_file_may_go_with_the_realm_of_the_ini_or_its_own(self) -> None:
        other, ini_path = str(self.folder / "other"), str(self.ini)
        for realm, arguments in ((REALM, ()), (REALM, ("-r", REALM)), ("r", ("-r", "r"))):
            self.done("user", "add", "ann", "-p", "x", "--file", other, "--config", ini_path, *arguments)
            found = parse_users(Path(other).read_text().splitlines(), realm)
            self.assertEqual(found, {"ann": keys_of_password("ann", realm, "x")})
        self.assertFalse(self.users.exists())

    def test_a_users_file_has_keys_of_one_realm(self) -> None:
        self.assertIn("realm is 'example.org'", self.refused("user", "add", "ann", "-p", "x", "-r", "other"))

    def test_the_rest_of_the_ini_is_not_read(self) -> None:
        """It may name what only the daemon can read."""
        path = self.write_ini("[turn]\nusers-file = users\nnonce-secret-file = /nowhere\n[nobody]\nx = y\n", "other.ini")
        self.done("user", "add", "ann", "-p", "x", "-c", str(path))

    def test_an_ini_that_does_not_tell_the_file_is_refused(self) -> None:
        for text, said in (
            ("[web]\n", "[turn]: is not in this file"), ("[turn]\n", "[turn] users-file: is not set"), ("x", "line 1"),
            ("[turn]\nusers-file = users\nrealm =\n", "[turn] realm: "), ("[turn]\nusers-file = \0\n", "is no path"),
        ):
            path = str(self.write_ini(text, "other.ini"))
            for verb in (("add", "ann", "-p", "x"), ("list",), ("remove", "ann")):
                self.assertIn(said, self.refused("user", *verb, "--config", path))

    def test_what_is_no_plain_file_is_refused(self) -> None:
        """A link may lead where the file's owner wants root to write; a pipe would be waited for."""
        self.users.write_text("ann:x\n")
        (self.folder / "link").symlink_to("users")
        os.mkfifo(self.folder / "pipe")
        for name, said in (
            ("link", "is a link"), ("pipe", "is no plain file"), ("a/b", "No such file"), ("users/b", "Not a directory"),
        ):
            path = str(self.folder / name)
            self.assertIn(said, self.refused("user", "add", "bob", "-p", "x", "-r", REALM, "--file", path))
        self.assertEqual(self.lines(), ["ann:x"])


class Editing(CommandTestCase):
    def test_mode_and_owner_stay(self) -> None:
        self.users.write_text("ann:x\n")
        self.users.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(self.users, 65534, 65534)
        before = self.users.stat()
        self.done("user", "add", "bob", "-p", "x")
        after = self.users.stat()
        self.assertEqual((after.st_mode, after.st_uid, after.st_gid), (before.st_mode, before.st_uid, before.st_gid))
        self.assertNotEqual(after.st_ino, before.st_ino)

    def test_what_root_makes_in_the_daemons_folder_is_the_daemons(self) -> None:
        """Or the daemon could not read it."""
        if os.geteuid() != 0:
            raise SkipTest("only root can give a file away")
        os.chown(self.folder, 65534, 65534)
        self.done("user", "add", "ann", "-p", "x")
        self.assertEqual((self.users.stat().st_uid, self.users.stat().st_mode & 0o777), (65534, 0o600))

    def test_an_owner_that_cannot_be_kept_is_no_change(self) -> None:
        self.users.write_text("ann:x\n")
        if os.geteuid() == 0:
            os.chown(self.users, 65534, 65534)
        status = self.users.stat()

        def refuse(descriptor: int, uid: int, gid: int) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(os, "fchown", refuse)
        if status.st_uid == os.geteuid():
            raise SkipTest("there is nobody else here")
        self.assertIn("as its owner or as root", self.refused("user", "add", "bob", "-p", "x"))
        self.assertEqual(sorted(one.name for one in self.folder.iterdir()), ["rtcd.ini", "users"])
        self.assertEqual(self.lines(), ["ann:x"])

    def test_a_failure_in_the_middle_leaves_the_old_file(self) -> None:
        self.users.write_text("ann:x\n")

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        self.patch(editing, "os", _with(os, fsync=full))
        self.assertIn("No space left", self.refused("user", "add", "bob", "-p", "x"))
        self.assertEqual(sorted(one.name for one in self.folder.iterdir()), ["rtcd.ini", "users"])
        self.assertEqual(self.lines(), ["ann:x"])

    def test_what_a_crash_has_left_is_no_hindrance(self) -> None:
        (self.folder / f".users.{os.getpid()}.new").write_text("half")
        self.done("user", "add", "ann", "-p", "x")
        self.assertEqual(sorted(one.name for one in self.folder.iterdir()), ["rtcd.ini", "users"])

    def test_only_one_edits_at_a_time(self) -> None:
        """Who does not get the lock in time says so."""
        waits: list[float] = []
        folder = os.open(self.folder, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == editing.LOCK_TRIES + 2:
                os.close(folder)

        with self.assertRaises(ConfigError) as raised, Edited(str(self.users), 100, wait):
            self.fail("got the lock")
        self.assertIn("somebody else holds a lock", str(raised.exception))
        self.assertEqual(len(waits), editing.LOCK_TRIES)
        with Edited(str(self.users), 100, wait) as file:
            file.write(b"x")
        self.assertEqual(len(waits), editing.LOCK_TRIES + 2)

    def test_no_more_is_read_and_written_than_is_allowed(self) -> None:
        self.users.write_text("x" * 20)
        with Edited(str(self.users), 10) as file:
            self.assertEqual(len(file.data), 11)
            self.assertRaises(ConfigError, file.write, b"x" * 11)
        self.assertEqual(self.users.stat().st_size, 20)


class Keys(CommandTestCase):
    def test_a_key_is_printed_in_either_kind(self) -> None:
        """RFC 8489 §9.2.2; turnadmin has the first one."""
        keys = keys_of_password("x", "y", "z")
        self.assertEqual(self.done("key", "-u", "x", "-r", "y", "-p", "z"), "0x545f279de5fd54442b6476658181689d\n")
        self.assertEqual(self.done("key", "-u", "x", "-r", "y", "--stdin", stdin=b"z\n"), f"0x{keys.md5.hex()}\n")
        self.assertEqual(self.done("key", "-u", "x", "-r", "y", "-p", "z", "--sha256"), f"0x{keys.sha256.hex()}\n")

    def test_what_no_server_takes_gets_no_key(self) -> None:
        for user, realm, password in (("a:b", "y", "z"), ("x", "", "z"), ("x", '"', "z"), ("x", "y", "")):
            self.refused("key", "-u", user, "-r", realm, "-p", password)


def _with(module: types.ModuleType, **others: object) -> types.SimpleNamespace:
    return types.SimpleNamespace(**{**vars(module), **others})
