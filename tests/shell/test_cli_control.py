"""Verbs that speak to the daemon, those that make keys and hashes for it, and what goes wrong on the way."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.admin.keys import find, parse
from rtcd.admin.password import verify
from rtcd.calls.record import Call
from rtcd.calls.show import lines, whole
from rtcd.cli import control, ini
from rtcd.cli.control import columns, printable
from rtcd.config import ConfigError
from tests.shell.test_cli import CommandTestCase


class Answers:
    """A daemon that gives its answers in turn, and remembers what it was asked."""

    def __init__(self, case: SynchronousTestCase, *answers: Any) -> None:
        self.folder = Path(tempfile.mkdtemp())
        case.addCleanup(shutil.rmtree, self.folder)
        self.path = str(self.folder / "s")
        self.asked: list[str] = []
        self._answers = answers
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)
        self._socket.listen()
        self._socket.settimeout(30)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        case.addCleanup(self._thread.join, 30)
        case.addCleanup(self._socket.close)

    def _serve(self) -> None:
        for answer in self._answers:
            client, _ = self._socket.accept()
            with client, client.makefile("rb") as file:
                self.asked.append(file.readline().decode().strip())
                while file.readline().strip():
                    pass
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(data))
                client.sendall(head + data)


CALL = whole(Call("c1", "team", 1_700_000_000.0, 1_700_000_060.0, "left"), 1_700_000_060.0)
SAID = CALL["verdict"]["text"]


class ControlTests(CommandTestCase):
    def ask(self, *arguments: str, answers: tuple[Any, ...]) -> tuple[str, list[str]]:
        """Output, and what the daemon was asked."""
        server = Answers(self, *answers)
        return self.done(*arguments, "--socket", server.path), server.asked

    def test_a_list_is_read_to_its_end(self) -> None:
        room = {"clients": [], "capacity": 6, "locked": True, "password": True, "invited_only": True, "relay_only": True}
        out, asked = self.ask("rooms", answers=(
            {"rooms": [{"name": "a\x1b[2J", **room}], "next": "a/b"}, {"rooms": [{"name": "c", **room}], "next": None}))
        self.assertEqual(out.splitlines()[1:], [
            "a?[2J  0/6     locked, password, by invitation, relays alone",
            "c      0/6     locked, password, by invitation, relays alone"])
        self.assertEqual(asked, ["GET /admin/rooms?limit=200 HTTP/1.1", "GET /admin/rooms?after=a%2Fb&limit=200 HTTP/1.1"])

    def test_a_room_that_was_made_says_until_when(self) -> None:
        room = {"name": "team", "clients": [], "capacity": 6, "locked": False, "password": True, "invited_only": False,
                "relay_only": False, "expires_at": 1_700_000_000.5}
        said = "password, until 2023-11-14 22:13:20Z"
        out, _ = self.ask("rooms", "team", answers=(room,))
        self.assertEqual(out, f"team: 0 of 6, {said}\n")
        out, _ = self.ask("rooms", answers=({"rooms": [room, {**room, "expires_at": None}], "next": None},))
        self.assertEqual(out.splitlines()[1:], [f"team  0/6     {said}", "team  0/6     password"])

    def test_names_go_into_the_path_as_they_are(self) -> None:
        out, asked = self.ask("close", "a/b ?", answers=((204, b""),))
        self.assertEqual((out, asked), ("a/b ? is closed.\n", ["DELETE /admin/rooms/a%2Fb%20%3F HTTP/1.1"]))

    def test_who_is_kicked_has_to_be_meant_alone(self) -> None:
        clients = [{"id": f"{'0' * 16}-{one * 20}", "name": name} for one, name in (("a", "Ann"), ("b", "Ann"), ("c", ""))]
        room = {"clients": clients}
        for who, said in (("Ann", "more than one"), ("", "nobody"), ("x", "nobody"), ("0", "more than one")):
            server = Answers(self, room)
            self.assertIn(said, self.refused("kick", "team", who, "--socket", server.path))
        for who, letter in (("c", "c"), ("aaaa", "a"), (clients[1]["id"], "b")):
            _, asked = self.ask("kick", "team", who, answers=(room, (204, b"")))
            self.assertEqual(asked[1], f"DELETE /admin/rooms/team/clients/{'0' * 16}-{letter * 20} HTTP/1.1")

    def test_calls_are_told_in_both_languages(self) -> None:
        self.patch(os, "environ", {**os.environ, "LC_ALL": "C.UTF-8"})
        out, asked = self.ask("calls", "--room", "team", answers=({"calls": [CALL], "next": None},))
        self.assertEqual((out.split(maxsplit=3)[-1].strip(), asked), (
            f"team  {SAID['en']}", ["GET /admin/calls?room=team&limit=200 HTTP/1.1"]))
        for language in ("en", "zh"):
            out, _ = self.ask("call", "c1", "--language", language, answers=(CALL,))
            self.assertEqual(out.splitlines(), lines(CALL, language))
            self.assertIn(SAID[language], out)
        server = Answers(self, {"id": "c1"})
        self.assertIn("another version", self.refused("call", "c1", "--socket", server.path))
        self.assertEqual(json.loads(self.ask("call", "c1", "--json", answers=(CALL,))[0]), CALL)
        self.assertEqual(self.ask("calls", answers=({"calls": [], "next": None},))[0], "There are no records of calls.\n")

    def test_the_status_has_a_line_for_each_turn_node(self) -> None:
        """One of a version that knows of none is no fault."""
        status = {"version": "1", "uptime": 60, "draining": False, "counts": {"rooms": 0, "seats": 0, "allocations": 0},
                  "certificates": [], "listeners": []}
        node = {"name": "relay1", "region": "eu", "state": "alive", "reason": "", "ms": 20.0}
        dead = {"name": "2001:db8::1", "region": "", "state": "dead", "reason": "no answer", "ms": None}
        out, _ = self.ask("status", answers=({**status, "nodes": [node, dead]},))
        self.assertEqual(out.splitlines()[2:], [
            "TURN node  relay1       eu  alive  20 ms", "TURN node  2001:db8::1  -   dead   no answer"])
        self.assertEqual(len(self.ask("status", answers=(status,))[0].splitlines()), 2)

    def test_the_status_has_a_line_for_each_redis(self) -> None:
        """Why it is away, or how many processes share it; one of a version that tells of none is no fault."""
        status = {"version": "1", "uptime": 60, "draining": False, "counts": {"rooms": 0, "seats": 0, "allocations": 0},
                  "certificates": [], "listeners": []}
        well = {"name": "redis://h:6379", "reachable": True, "reason": "", "processes": 3}
        away = {"name": "redis://i:6379", "reachable": False, "reason": "WRONGPASS", "processes": 3}
        lost = {"name": "redis://j:6379", "reachable": False, "reason": "", "processes": 3, "strangers": 1}
        other = {"name": "redis://k:6379", "reachable": True, "reason": "", "processes": 3, "strangers": 1}
        out, _ = self.ask("status", answers=({**status, "stores": [well, away, lost, other]},))
        self.assertEqual(out.splitlines()[2:], [
            "rooms on  redis://h:6379  reached, shared by 3 processes", "rooms on  redis://i:6379  away: WRONGPASS",
            "rooms on  redis://j:6379  away",
            "rooms on  redis://k:6379  reached, shared by 3 processes, 1 of them with another [credentials] secret"])

    def test_what_the_daemon_refuses_is_said_in_its_words(self) -> None:
        server = Answers(self, (404, {"detail": "There is no room of this name."}), (500, b""), b"<html>")
        for said in ("There is no room of this name", "answers 500", "is not rtcd"):
            self.assertIn(said, self.refused("close", "x", "--socket", server.path))

    def test_a_socket_that_is_not_there_or_not_ours_says_what_to_do(self) -> None:
        server = Answers(self)
        dead = str(server.folder / "dead")
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(dead)
        for path, said in ((str(server.folder / "none"), "start the daemon with an [admin] section"),
                           (dead, "the daemon is not running"), ("x" * 300, "AF_UNIX path too long")):
            self.assertIn(said, self.refused("status", "--socket", path))
        self.patch(control.Connection, "connect", self.denied)
        self.assertIn("run this as the daemon's user, or with sudo", self.refused("status", "--socket", dead))
        self.patch(control.Connection, "connect", self.late)
        self.assertIn("no answer", self.refused("status", "--socket", dead))

    def denied(self, _: Any = None) -> None:
        """Somebody else's socket."""
        raise PermissionError(13, "Permission denied")

    def late(self, _: Any = None) -> None:
        """A daemon that does not answer."""
        raise TimeoutError("timed out")

    def test_the_socket_is_found_by_the_configuration(self) -> None:
        """The section has to be there; other sections may name what this user cannot read."""
        self.assertIn("[admin] is not in this file", self.refused("status"))
        self.write_ini("[credentials]\nsecret-file = /nowhere\n[daemon]\nstate-directory = /var/x\n[admin]\n")
        self.assertIn("/var/x/admin.sock", self.refused("status"))
        self.write_ini("[daemon]\nstate-directory = /var/x\n[admin]\nsocket = /run/y\n")
        self.assertIn("there is no /run/y", self.refused("status"))

    def test_the_environment_goes_before_the_configuration(self) -> None:
        """As it does for the daemon."""
        self.write_ini("[daemon]\nstate-directory = /var/x\n[admin]\n")
        self.patch(os, "environ", {**os.environ, "RTCD_ADMIN_SOCKET": "/run/z", "RTCD_ADMIN_TOKEN": "x"})
        self.assertIn("there is no /run/z", self.refused("status"))

    def test_without_a_state_directory_it_is_where_the_daemon_would_have_it(self) -> None:
        self.write_ini("[admin]\n")
        self.patch(os, "environ", {**os.environ, "STATE_DIRECTORY": "/one:/two"})
        self.assertIn("there is no /one/admin.sock", self.refused("status"))
        self.patch(os, "environ", {key: one for key, one in os.environ.items() if key != "STATE_DIRECTORY"})
        self.patch(control, "INSTALLED", str(self.folder))
        self.assertIn("there is no state/admin.sock", self.refused("status"))
        (self.folder / "admin.sock").write_text("")
        self.assertIn(f"{self.folder}/admin.sock", self.refused("status"))

    def test_an_ini_that_is_none_is_named(self) -> None:
        self.write_ini("nonsense")
        self.assertIn(str(self.ini), self.refused("status"))
        self.assertRaises(ConfigError, ini.read_sections, "/nowhere", {})

    def test_help_is_there_for_all(self) -> None:
        for verb in ("rooms", "lock", "relay", "kick", "close", "status", "reload", "drain", "calls", "call", "admin-key",
                     "admin-password"):
            self.assertIn(f"usage: rtcd {verb}", self.done(verb, "--help"))

    def test_nothing_that_a_terminal_obeys_is_printed(self) -> None:
        self.assertEqual(printable("a\x1b\r\n\u202eb\u623f"), "a????b\u623f")
        self.assertEqual(columns([("a", "bb"), ("ccc", 1)]), ["a    bb", "ccc  1"])
        self.assertEqual(columns([]), [])


class SecretTests(CommandTestCase):
    def test_a_hash_is_printed_and_the_password_never(self) -> None:
        hashed = self.done("admin-password", "--stdin", stdin=b"correct horse\n").strip()
        self.assertTrue(verify(hashed, "correct horse"))
        self.assertNotIn("horse", hashed)
        self.assertIn("8 to 256 characters", self.refused("admin-password", "--stdin", stdin=b"short\n"))

    def test_a_key_is_printed_once_and_the_file_gets_its_hash(self) -> None:
        """An editor's byte order mark in front of what was there keeps nobody out."""
        path = self.folder / "keys"
        path.write_text("\ufeff# ours", "utf-8")
        keys = [self.done("admin-key", name, "--scopes", "read,kick", "--file", str(path)).strip() for name in ("a", "b")]
        found = parse(path.read_text())
        self.assertEqual([find(found, key).name for key in keys], ["a", "b"])  # type: ignore[union-attr] # both are there
        self.assertEqual(path.read_text().splitlines()[0], "# ours")
        for key in keys:
            self.assertNotIn(key, path.read_text())

    def test_a_new_file_is_its_owners_alone(self) -> None:
        path = self.folder / "keys"
        self.done("admin-key", "a", "--scopes", "read", "--file", str(path))
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_without_a_file_the_line_is_printed_too(self) -> None:
        key, line = self.done("admin-key", "a", "--scopes", "read").splitlines()
        self.assertIsNotNone(find(parse(line), key))

    def test_what_the_daemon_would_refuse_is_not_written(self) -> None:
        path = self.folder / "keys"
        self.done("admin-key", "a", "--scopes", "read", "--file", str(path))
        before = path.read_text()
        for name, scopes, said in (("a", "read", "is there twice"), ("b", "root", "root is no scope"),
                                   ("b c", "read", "a name has")):
            self.assertIn(said, self.refused("admin-key", name, "--scopes", scopes, "--file", str(path)))
        self.assertEqual(path.read_text(), before)
