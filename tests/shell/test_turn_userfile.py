"""The users file as the TURN service sees it: at the start, when it changes, at a reload."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any

from rtcd.auth import userfile, users
from rtcd.auth.userfile import POLL_S, look, read
from rtcd.cli.main import main
from rtcd.config import ConfigError, parse
from rtcd.stun.message import Method
from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import UDP, code_of
from tests.shell.test_turn_service import LOOPBACK, RANGE, ServiceTestCase


class FileTestCase(ServiceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "users"
        self.write("# people\nann:x\n")

    def write(self, text: str) -> None:
        """Replace the file, as rtcd user does."""
        fresh = self.folder / "fresh"
        fresh.write_text(text)
        fresh.replace(self.path)

    def served(self, user: str, password: str) -> bool:
        """Whether the user gets an answer of somebody who is known: success, or that there is no allocation."""
        return code_of(self.request(Method.REFRESH, user=user, password=password)) in (0, 437)

    def look_again(self) -> None:
        """Let the time of one look pass."""
        self.reactor.advance(POLL_S)

    def warnings(self, events: list[Any]) -> list[str]:
        """Reasons of what was warned of."""
        return [one["reason"] for one in events if one["log_level"].name == "warn" and "reason" in one]


class Starting(FileTestCase):
    def test_users_of_the_file_and_of_the_ini_are_served(self) -> None:
        self.start(users_file=str(self.path))
        self.assertEqual((self.served("ann", "x"), self.served("u", "p"), self.served("ann", "y")), (True, True, False))

    def test_the_path_is_relative_to_the_ini(self) -> None:
        found = parse("[turn]\nusers-file = users\n", {"turn": Settings}, self.folder)["turn"]
        self.assertEqual(found.users_file, str(self.path.absolute()))
        self.assertEqual(parse("[turn]\nusers-file =\n", {"turn": Settings}, self.folder)["turn"].users_file, "")

    def test_a_file_that_cannot_be_used_stops_the_start(self) -> None:
        """One line with section, key, file and line, and never the text; a pipe is not waited for."""
        os.mkfifo(self.folder / "pipe")
        (self.folder / "latin").write_bytes(b"\xe9:x\n")
        self.write("ann:x\nhush\n")
        for name, said in (
            ("users", "line 2 is not name:password"), ("nowhere", "cannot be read (No such file or directory)"),
            (".", "(Is a directory)"), ("pipe", "is no plain file"), ("latin", "is not UTF-8"), ("a\0b", "null"),
        ):
            path = f"{self.folder}/{name}"
            fault = self.assertRaises(ConfigError, self.start, users_file=path)
            self.assertTrue(str(fault).startswith(f"[turn] users-file: {path}"), str(fault))
            self.assertIn(said, str(fault))
            self.assertNotIn("hush", str(fault))
        self.assertEqual((self.listeners(), list(self.reactor.readers)), ([], []))

    def test_a_name_in_both_places_stops_the_start(self) -> None:
        self.write("u:p\n")
        fault = self.assertRaises(ConfigError, self.start, users_file=str(self.path))
        self.assertIn("'u' is in user as well", str(fault))

    def test_no_more_of_a_file_is_read_than_is_allowed(self) -> None:
        for module in (users, userfile):
            self.patch(module, "MAX_FILE_BYTES", 10)
        self.write("#" * 100)
        self.assertEqual(len(read(str(self.path))), 11)
        fault = self.assertRaises(ConfigError, self.start, users_file=str(self.path))
        self.assertIn("is longer than 10 bytes", str(fault))

    def test_without_a_file_nothing_is_looked_at(self) -> None:
        self.start()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class Watching(FileTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.service = self.start(users_file=str(self.path))

    def test_a_changed_file_is_in_force_by_itself(self) -> None:
        events = self.logged()
        self.write("bob:y\n")
        self.assertFalse(self.served("bob", "y"))
        self.look_again()
        self.assertEqual((self.served("bob", "y"), self.served("ann", "x"), self.served("u", "p")), (True, False, True))
        self.assertEqual([one["count"] for one in events if "count" in one], [2])

    def test_whom_the_command_adds_is_served_and_whom_it_removes_is_not(self) -> None:
        self.patch(sys, "stdout", io.StringIO())
        main(["user", "add", "bob", "-p", "y", "--realm", "rtcd", "--file", str(self.path)])
        self.look_again()
        self.assertEqual((self.served("bob", "y"), self.served("ann", "x")), (True, True))
        self.request(Method.ALLOCATE, UDP, user="bob", password="y")
        main(["user", "remove", "bob", "--file", str(self.path)])
        self.look_again()
        self.assertEqual((self.served("bob", "y"), self.served("ann", "x")), (False, False))
        self.assertEqual(code_of(self.request(Method.ALLOCATE, UDP, user="ann", password="x")), 437)

    def test_a_file_that_stays_is_not_read_again(self) -> None:
        self.patch(userfile, "read", lambda path: self.fail("read"))
        self.look_again()
        self.look_again()

    def test_a_faulty_file_is_told_once_and_the_old_users_stay(self) -> None:
        """Taken away, too; until it is mended."""
        events = self.logged()
        self.write("hush\n")
        for _ in range(3):
            self.look_again()
        self.assertEqual(len(self.warnings(events)), 1)
        self.path.unlink()
        for _ in range(3):
            self.look_again()
        self.assertEqual(len(self.warnings(events)), 2)
        self.assertTrue(self.served("ann", "x"))
        self.assertNotIn("hush", str(events))
        self.write("bob:y\n")
        self.look_again()
        self.assertEqual((self.served("bob", "y"), self.served("ann", "x")), (True, False))

    def test_new_rights_count_as_a_change(self) -> None:
        """What could not be read may be readable then."""
        before = look(str(self.path))
        self.path.chmod(0o400)
        self.assertNotEqual(look(str(self.path)), before)

    def test_what_could_not_be_read_is_read_at_the_next_look(self) -> None:
        """The file does not change once more when there are too many open files no longer; told of once."""
        events = self.logged()
        self.write("bob:y\n")

        def refuse(path: str) -> bytes:
            raise OSError(errno.EMFILE, "Too many open files")

        short = self.patch(userfile, "read", refuse)
        for _ in range(3):
            self.look_again()
        self.assertEqual((self.served("bob", "y"), self.served("ann", "x")), (False, True))
        self.assertEqual(len(self.warnings(events)), 1)
        short.restore()
        self.look_again()
        self.assertEqual((self.served("bob", "y"), self.served("ann", "x")), (True, False))
        short.patch()
        self.write("ann:x\n")
        self.look_again()
        self.assertEqual(len(self.warnings(events)), 2)

    def test_the_end_ends_the_looking(self) -> None:
        self.service.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class Reloading(FileTestCase):
    def reload(self, service: TurnService, **options: Any) -> set[str]:
        """As at SIGHUP."""
        new = Settings(**{**LOOPBACK, "user": ("u:p",), "unauth_rate": 0.0, **RANGE, **options})
        return set(service.reload(service._settings, new))

    def test_the_file_is_read_at_once(self) -> None:
        service = self.start(users_file=str(self.path))
        self.write("bob:y\n")
        self.assertEqual(self.reload(service, users_file=str(self.path)), set())
        self.assertEqual((self.served("bob", "y"), self.served("ann", "x")), (True, False))

    def test_another_file_is_taken_over_and_watched(self) -> None:
        service = self.start()
        self.assertEqual(self.reload(service, users_file=str(self.path)), {"users-file"})
        self.assertTrue(self.served("ann", "x"))
        self.write("bob:y\n")
        self.look_again()
        self.assertTrue(self.served("bob", "y"))
        self.reload(service)
        self.assertFalse(self.served("bob", "y"))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_faulty_file_changes_nothing_of_the_section(self) -> None:
        service = self.start(users_file=str(self.path))
        events = self.logged()
        for path in (str(self.path), str(self.folder / "nowhere")):
            self.write("hush\n")
            self.assertRaises(ConfigError, self.reload, service, users_file=path, user=("w:z",), user_quota=1)
            self.assertEqual((self.served("ann", "x"), self.served("u", "p"), self.served("w", "z")), (True, True, False))
            self.assertEqual(service._settings.user_quota, 0)
        self.look_again()
        self.assertEqual(len(self.warnings(events)), 1)  # of what was written after the first reload
        self.write("bob:y\n")
        self.look_again()
        self.assertTrue(self.served("bob", "y"))
