"""Asks every Redis of ``[rooms] store`` what it is, over a connection of its own: with the daemon's password, before it."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any, BinaryIO

from rtcd.cluster.address import Address, auth_fault, parse_all
from rtcd.cluster.trust import authority
from rtcd.config import ConfigError
from rtcd.doctor.checks.store import Asked, Facts
from rtcd.doctor.facts.secret import signer
from rtcd.doctor.facts.subject import Subject

TIMEOUT_S = 3.0
TIMES = 5
"""So often the way there and back is measured; the quickest counts."""
MAX_ANSWER_BYTES = 1048576
UNWRITABLE = ("NOREPLICAS", "MISCONF")
"""Errors with which Redis refuses every write, besides that of a copy."""


class Refused(Exception):
    """An error that Redis answered with."""


class Line:
    """One connection. Raises OSError and `Refused`."""

    def __init__(self, address: Address, host: str, port: int, ca: str | None) -> None:
        if address.path:
            self._socket: Any = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(TIMEOUT_S)
            self._socket.connect(address.path)
        else:
            self._socket = socket.create_connection((host, port), TIMEOUT_S)
            if address.tls:
                context = ssl.create_default_context(cafile=ca)
                try:
                    self._socket = context.wrap_socket(self._socket, server_hostname=host)
                except TimeoutError:
                    raise TimeoutError(
                        "the TLS handshake is not answered; perhaps it speaks no TLS, which is redis://") from None
        self._file: BinaryIO = self._socket.makefile("rb")

    def ask(self, *words: str) -> Any:
        """Send a command; the answer is bytes, a number, None or a list of these."""
        data = [one.encode() for one in words]
        self._socket.sendall(b"*%d\r\n" % len(data) + b"".join(b"$%d\r\n%s\r\n" % (len(one), one) for one in data))
        return self._answer()

    def authenticate(self, *words: str) -> None:
        """Say who we are."""
        try:
            self.ask("AUTH", *words)
        except Refused as error:
            raise Refused(auth_fault(str(error))) from None

    def close(self) -> None:
        """End it."""
        self._file.close()
        self._socket.close()

    def _answer(self) -> Any:
        line = self._file.readline(MAX_ANSWER_BYTES)
        if not line.endswith(b"\r\n"):
            raise OSError("it ended the connection, or is no Redis")
        kind, text = line[:1], line[1:-2]
        if kind == b"-":
            raise Refused(text.decode(errors="replace"))
        if kind == b":":
            return int(text)
        if kind == b"$":
            size = int(text)
            return None if size < 0 else self._file.read(min(size, MAX_ANSWER_BYTES) + 2)[:-2]
        if kind == b"*":
            return [self._answer() for _ in range(min(int(text), MAX_ANSWER_BYTES))]
        if kind == b"+":
            return text
        raise OSError("it is no Redis")


def gather(subject: Subject) -> Facts | None:
    """Nothing if rooms are in the daemon's memory."""
    settings = subject.section("rooms")
    if settings is None or not settings.redis:
        return None
    fault = ""
    try:
        authority(settings.store_ca)
    except ConfigError as error:
        fault = str(error)
    return Facts([Asked(one.shown, unasked=fault) if fault and one.tls else _asked(one, settings.store_ca, subject)
                  for one in settings.redis])


def _asked(address: Address, ca: str | None, subject: Subject) -> Asked:
    host, port = address.hosts[0] if address.hosts else ("", 0)
    known: dict[str, Any] = {"where": address.shown, "path": address.path, "tls": address.tls,
                             "password": bool(address.password), "ini": subject.ini, "key": _key(address, subject)}
    try:
        if address.master:
            host, port = _master(address, ca)
        line = Line(address, host, port, ca)
    except (OSError, ValueError, Refused) as error:
        there = isinstance(error, (ssl.SSLError, Refused))
        return Asked(host=host, port=port, fault=_reason(error), there=there, **known)
    known |= {"host": host, "port": port}
    try:
        if address.password:
            line.authenticate(*([address.user] if address.user else []), address.password)
        if address.database:
            try:
                line.ask("SELECT", str(address.database))
            except Refused as error:
                if "out of range" in str(error):
                    return Asked(fault=str(error), database=address.database, **known)
                raise
        return Asked(**known, **_told(line, subject))
    except Refused as error:
        refused = str(error).startswith(("NOAUTH", "WRONGPASS", "ERR AUTH", "NOPERM", "AUTH "))
        return Asked(fault=str(error), refused=refused, **known)
    except (OSError, ValueError) as error:
        return Asked(fault=_reason(error), **known)
    finally:
        line.close()


def _told(line: Line, subject: Subject) -> dict[str, Any]:
    info = dict(one.split(":", 1) for one in line.ask("INFO").decode(errors="replace").splitlines() if ":" in one)
    latency, ahead = TIMEOUT_S, 0.0
    for _ in range(TIMES):
        before = subject.now()
        seconds, micros = map(int, line.ask("TIME"))
        after = subject.now()
        if after - before < latency:
            latency, ahead = max(0.0, after - before), seconds + micros / 1e6 - (before + after) / 2
    unwritable = ""
    try:
        line.ask("DEL", f"{subject.section('rooms').store_prefix}doctor")  # a write that changes nothing
    except Refused as error:
        unwritable = str(error) if str(error).startswith(UNWRITABLE) else ""
    kept = info.get("aof_enabled") == "1" or info.get("connected_slaves", "0") != "0" or None
    with contextlib.suppress(Refused, IndexError):  # what is hidden is not held against it
        kept = kept or bool(line.ask("CONFIG", "GET", "save")[1])
    return {"version": info.get("redis_version", ""), "role": info.get("role", ""), "policy": info.get("maxmemory_policy"),
            "limited": info.get("maxmemory", "0") != "0", "kept": kept, "latency_s": latency, "ahead_s": ahead,
            "unwritable": unwritable, **_secrets(line, subject)}


def _secrets(line: Line, subject: Subject) -> dict[str, Any]:
    """Whether what the living nodes sign is accepted by our secret, if that can be read; see `rtcd.cluster.strangers`."""
    credentials, source, _ = signer(subject)
    if credentials is None:
        return {}
    prefix = subject.section("rooms").store_prefix
    with contextlib.suppress(Refused):
        nodes = line.ask("ZRANGEBYSCORE", f"{prefix}nodes", f"({line.ask('TIME')[0].decode()}", "+inf")
        marks = [(node, line.ask("GET", f"{prefix}mark:{node.decode()}")) for node in nodes]
        return {"source": source, "nodes": len(nodes), "strangers": sum(
            1 for node, mark in marks if mark is not None and not credentials.accepts(node, mark))}
    return {}


def _key(address: Address, subject: Subject) -> str:
    """Of ``[rooms]``: where the password of this Redis is, or belongs."""
    settings, written = subject.section("rooms"), subject.configuration.written.get("rooms", {})
    if any(one.shown == address.shown and one.password for one in parse_all(settings.store)):
        return "store-file" if "store-file" in written else "store"
    return "store-password" if "store-password" in written else "store-password-file"


def _master(address: Address, ca: str | None) -> tuple[str, int]:
    """Where the Sentinels say that it is. Raises OSError with what the last one said, or did not."""
    fault: Exception = OSError("no Sentinel is named")
    for host, port in address.hosts:
        try:
            line = Line(address, host, port, ca)
        except OSError as error:
            fault = OSError(f"Sentinel {host}:{port}: {_reason(error)}")
            continue
        try:
            found = _asked_sentinel(line, address)
        except (OSError, ValueError, Refused) as error:
            fault = OSError(f"Sentinel {host}:{port}: {_reason(error)}")
            continue
        finally:
            line.close()
        if found:
            return found[0].decode(), int(found[1])
        fault = OSError(f"Sentinel {host}:{port} knows no master of the name {address.master}")
    raise fault


def _asked_sentinel(line: Line, address: Address) -> Any:
    """With the password if it is wanted, as the daemon does."""
    question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.master)
    try:
        return line.ask(*question)
    except Refused as error:
        if not str(error).startswith("NOAUTH") or not address.password:
            raise
    line.authenticate(address.password)
    return line.ask(*question)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
