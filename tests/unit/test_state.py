"""Tests of the state directory."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import ConfigError
from rtcd.state import StateDirectory


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


class StateDirectoryTests(SynchronousTestCase):
    """What must survive a restart is private and whole."""

    def setUp(self) -> None:
        """An empty directory that is made by the first use."""
        self.path = Path(self.mktemp()) / "below" / "state"
        self.state = StateDirectory(self.path)

    def test_one_process_at_a_time_is_in_the_lock(self) -> None:
        """And it leaves nothing behind."""
        other = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, other)
        with self.state.locked():
            self.assertRaises(BlockingIOError, fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.assertEqual(os.listdir(self.path), [])

    def test_the_directory_is_made_private(self) -> None:
        """With those above it, if need be."""
        self.assertEqual(mode(self.path), 0o700)

    def test_a_directory_open_to_others_is_narrowed(self) -> None:
        """An operator who made it by hand need not know."""
        self.path.chmod(0o755)
        StateDirectory(self.path)
        self.assertEqual(mode(self.path), 0o700)

    def test_what_is_written_is_read_and_private(self) -> None:
        """Whatever the umask."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.state.write("a", b"one")
        self.state.write("a", b"two")
        self.assertEqual((self.state.read("a"), mode(self.path / "a")), (b"two", 0o600))
        self.assertEqual(os.listdir(self.path), ["a"])

    def test_a_missing_file_reads_as_none(self) -> None:
        """That is no fault."""
        self.assertIsNone(self.state.read("a"))

    def test_a_secret_open_to_others_is_narrowed_and_used(self) -> None:
        """The daemon mends it and goes on."""
        self.state.write("a", b"secret\n")
        (self.path / "a").chmod(0o644)
        self.assertEqual(self.state.secret("a", lambda: "other"), "secret")
        self.assertEqual(mode(self.path / "a"), 0o600)

    def test_a_secret_is_made_once(self) -> None:
        """The next start, which asks again, gets the same."""
        self.assertEqual(self.state.secret("a", lambda: "first"), "first")
        self.assertEqual(StateDirectory(self.path).secret("a", lambda: "second"), "first")
        self.assertEqual((mode(self.path / "a"), os.listdir(self.path)), (0o600, ["a"]))

    def test_an_empty_secret_is_made_again(self) -> None:
        """An empty file is what a full disk leaves, and no secret."""
        self.state.write("a", b"\n")
        self.assertEqual(self.state.secret("a", lambda: "new"), "new")

    def test_of_two_that_make_a_secret_at_once_both_get_the_first(self) -> None:
        """Another process was quicker while we made ours."""

        def slow() -> str:
            self.state.secret("a", lambda: "theirs")
            return "ours"

        self.assertEqual(self.state.secret("a", slow), "theirs")
        self.assertEqual(os.listdir(self.path), ["a"])

    def test_a_write_that_fails_leaves_the_old_file(self) -> None:
        """And no half-written one beside it."""
        self.state.write("a", b"old")
        with mock.patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            fault = self.assertRaises(ConfigError, self.state.write, "a", b"new")
        self.assertIn("No space left", str(fault))
        self.assertEqual((self.state.read("a"), os.listdir(self.path)), (b"old", ["a"]))

    def test_a_name_is_one_plain_file_name(self) -> None:
        """Nothing leaves the directory."""
        for name in ("", ".", "..", "a/b", "/etc/passwd", "a\0"):
            self.assertRaises(ValueError, self.state.read, name)

    def test_a_path_that_is_no_directory_is_the_operators_fault(self) -> None:
        """One line that names the key."""
        self.state.write("a", b"")
        fault = self.assertRaises(ConfigError, StateDirectory, self.path / "a")
        self.assertTrue(str(fault).startswith("[daemon] state-directory: "), str(fault))
        self.assertNotIn("\n", str(fault))
