"""`Control`: speaks to the running daemon over its administration's unix socket, for the verbs that need it.

It is plain HTTP: what the API is, docs/admin.md says. Nobody is asked for a password, since the rights of the socket decide.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from rtcd.cli.ini import add_config, read_sections
from rtcd.config import ConfigError, option
from rtcd.unix import SocketPath

TIMEOUT_S = 30.0
"""A reload may have to ask an authority for a certificate's chain."""
DEFAULT_SOCKET = "admin.sock"
INSTALLED = "/var/lib/rtcd"
"""The state directory where the shipped unit runs the daemon."""
MAX_ANSWER_BYTES = 16 * 1024 * 1024


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with contextlib.closing(SocketPath(self._path)) as place:
            self.sock.connect(place.path)


class Control:
    """One daemon. Every method raises ConfigError, whose text says what to do."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """The daemon that the arguments of `add_control` name."""
        self.path = arguments.socket or _socket_of(arguments.config)

    def get(self, *parts: str, **query: object) -> Any:
        """The answer to a GET; ``parts`` are joined to a path below ``/admin``."""
        return self._ask("GET", parts, query)

    def send(self, method: str, *parts: str, body: Mapping[str, object] | None = None) -> Any:
        """The answer to another method; None if it has no body."""
        return self._ask(method, parts, {}, body)

    def all(self, what: str, **query: object) -> Iterator[Any]:
        """Every entry of a list that comes in pages."""
        after: object = None
        while True:
            found = self.get(what, **query, **({} if after is None else {"after": after}), limit=200)
            yield from found[what]
            after = found["next"]
            if after is None:
                return

    def _ask(
        self, method: str, parts: Iterable[str], query: Mapping[str, object], body: Mapping[str, object] | None = None
    ) -> Any:
        path = "/admin/" + "/".join(quote(one, safe="") for one in parts)
        if query:
            path += f"?{urlencode(query)}"
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            with contextlib.closing(Connection(self.path)) as connection:
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                answer = connection.getresponse()
                data = answer.read(MAX_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise self._fault(error) from None
        try:
            found = json.loads(data) if data else None
        except ValueError:
            raise ConfigError("", "", f"{self.path}: what answers is not rtcd; name the socket with --socket") from None
        if answer.status >= 400:
            detail = found.get("detail") if isinstance(found, dict) else None
            raise ConfigError("", "", str(detail or f"the daemon answers {answer.status}").rstrip("."))
        return found

    def _fault(self, error: Exception) -> ConfigError:
        if isinstance(error, PermissionError):
            return ConfigError("admin", "socket", f"{self.path} may be used by its owner and root alone; run this as the "
                               "daemon's user, or with sudo")
        if isinstance(error, FileNotFoundError):
            return ConfigError("admin", "socket", f"there is no {self.path}; start the daemon with an [admin] section in "
                               "its ini, and name that with --config, or the socket with --socket")
        if isinstance(error, ConnectionRefusedError):
            return ConfigError("admin", "socket", f"nobody answers at {self.path}; the daemon is not running")
        if isinstance(error, TimeoutError):
            return ConfigError("admin", "socket", f"no answer at {self.path} in {TIMEOUT_S:g} s; see the daemon's log")
        return ConfigError("admin", "socket", f"{self.path}: {getattr(error, 'strerror', None) or error or 'cut off'}")


def add_control(parser: argparse.ArgumentParser) -> None:
    """Add what says which daemon is meant, and ``--json``."""
    add_config(parser)
    parser.add_argument("--socket", metavar="PATH", help="the daemon's socket, if it is not the one in its configuration")
    parser.add_argument("--json", action="store_true", help="print what the daemon answers, for programs")


def show(arguments: argparse.Namespace, found: Any, lines: Iterable[str]) -> int:
    """Print an answer, as JSON or as text; the exit code."""
    if arguments.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    else:
        sys.stdout.writelines(f"{printable(one)}\n" for one in lines)
    return 0


def columns(rows: Iterable[Iterable[object]]) -> list[str]:
    """Rows as lines in which what belongs together stands below each other."""
    table = [[printable(str(one)) for one in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)] if table else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def printable(text: str) -> str:
    """Without what a terminal would obey: people choose their names themselves."""
    return "".join(one if one.isprintable() else "?" for one in text)


@dataclass(frozen=True)
class _Admin:
    """What of [admin] says where the socket is."""

    socket: str = option(DEFAULT_SOCKET, "")


@dataclass(frozen=True)
class _Daemon:
    """And of [daemon]."""

    state_directory: str | None = option(None, "")


def _socket_of(config: str | None) -> str:
    path, found = read_sections(config, {"admin": _Admin, "daemon": _Daemon})
    if "admin" not in found:
        raise ConfigError("", "", f"{path}: [admin] is not in this file; add the section and start the daemon again, or "
                          "name its configuration with --config")
    name = found["admin"].get("socket", "").strip() or DEFAULT_SOCKET
    state = found.get("daemon", {}).get("state-directory", "").strip()
    if state:
        return str(Path(state) / name)
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    places = [Path(one) / name for one in (given, "state", INSTALLED) if one]
    return str(next((one for one in places if _exists(one)), places[0]))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return True  # in a directory that is not ours, which is told better when it is used
