"""Connections to Redis: txredisapi speaks its protocol, we find the server, prove who it is and say who we are.

txredisapi's own connecting is passed by: it verifies no certificate, knows no TLS behind Sentinel, and keeps what is asked
while nobody is there, where we want to say so at once.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import txredisapi
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from rtcd.cluster.address import Address, auth_fault
from rtcd.cluster.trust import roots

CONNECT_S = 2.0
"""How long a connection may take to come about."""


class Fault(Exception):
    """Redis cannot be reached, or does not want us. The text is for the operator."""


class Refusal(Fault):
    """Redis answered with an error."""

    def is_one_of(self, codes: tuple[str, ...]) -> bool:
        """Whether it has one of these codes. Redis 6.2 wraps that which a command in a script got: ``… -OOM command …``."""
        text = str(self)
        return text.startswith(codes) or (text.startswith("ERR Error running script") and any(
            f" -{one} " in text for one in codes))


class Connection:
    """One connection that is open."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    @property
    def lost(self) -> Deferred[Any]:
        """Fires when it is over."""
        done: Deferred[Any] = self._protocol.whenDisconnected()
        return done

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return not self._protocol.connected

    async def ask(self, *words: Any) -> Any:
        """Send a command and return the answer. Raises `Refusal` and `Fault`."""
        try:
            return await self._protocol.execute_command(*words)
        except txredisapi.ResponseError as refusal:
            raise Refusal(str(refusal)) from None
        except (txredisapi.RedisError, OSError) as fault:
            raise Fault(self._protocol.ended or str(fault)) from None

    async def run(self, script: str, *words: Any) -> Any:
        """Run one of our scripts, by its hash."""
        try:
            return await self.ask("EVALSHA", _digest(script), 1, *words)
        except Refusal as refusal:
            if not str(refusal).startswith("NOSCRIPT"):
                raise
        return await self.ask("EVAL", script, 1, *words)

    def cut(self) -> None:
        """End it now."""
        self._protocol.transport.abortConnection()

    async def end(self) -> None:
        """End it, and return when it is over."""
        if not self.over:
            over = self.lost
            self.cut()
            await over


class _Protocol(txredisapi.RedisProtocol):  # type: ignore[misc] # untyped
    """txredisapi's, but for how a command is put into bytes, which took more time than all the rest; and it knows why a
    connection has ended, such as for a certificate."""

    ended = ""

    def connectionLost(self, why: Failure) -> None:
        """It is over."""
        self.ended = why.getErrorMessage()
        super().connectionLost(why)

    def _build_command(self, *words: Any, **_: Any) -> bytes:
        data = [one if isinstance(one, bytes) else str(one).encode() for one in words]
        return b"*%d\r\n%s" % (len(data), b"".join([b"$%d\r\n%s\r\n" % (len(one), one) for one in data]))


class _Protocols(Factory):
    """What txredisapi's protocol wants to see of its factory."""

    noisy = False
    isLazy = False

    def __init__(self, answer_s: float) -> None:
        self._answer_s = answer_s

    def buildProtocol(self, addr: Any) -> Any:
        """One connection; values stay bytes."""
        protocol = _Protocol(charset=None, replyTimeout=self._answer_s, convertNumbers=False)
        protocol.factory = self
        return protocol


class Wire:
    """Makes connections to one Redis. ``ca``: PEM of the authority that its certificate is from; empty: the system's."""

    def __init__(self, reactor: Any, address: Address, ca: bytes = b"") -> None:
        self._reactor = reactor
        self.address = address
        self._trust = roots(ca) if ca else None
        self._first = 0
        """The Sentinel that has led to the master the last time."""

    async def connect(self, answer_s: float) -> Connection:
        """A connection to the server, or to the one that is master now, which knows us. Each answer may take ``answer_s``
        seconds. Raises `Fault`."""
        address = self.address
        if not address.master:
            host, port = address.hosts[0] if address.hosts else ("", 0)
            return await self._greeted(await self._open(host, port, answer_s))
        count, tried = len(address.hosts), set[tuple[str, int]]()
        fault = ""
        for index in ((self._first + turn) % count for turn in range(count)):
            host, port = address.hosts[index]
            asked = f"Sentinel {host}:{port}"
            try:
                master = await self._named_by(host, port)
                if master in tried:  # two Sentinels name one that cannot be reached; asking it twice takes time
                    continue
                tried.add(master)
                asked += f" names {master[0]}:{master[1]} as master"
                found = await self._led_to(master, answer_s)
            except Fault as failed:
                fault = f"{asked}: {failed}"
                continue
            self._first = index
            return found
        raise Fault(f"no Sentinel leads to the master ({fault})")

    async def _led_to(self, master: tuple[str, int], answer_s: float) -> Connection:
        host, port = master
        found = await self._greeted(await self._open(host, port, answer_s))
        try:
            role = (await found.ask("ROLE"))[0]
        except Fault:
            found.cut()
            raise
        if role != b"master":
            found.cut()
            raise Fault(f"{host}:{port} is no master any more")
        return found

    async def _open(self, host: str, port: int, answer_s: float) -> Connection:
        endpoint: IStreamClientEndpoint
        if self.address.path:
            endpoint = UNIXClientEndpoint(self._reactor, self.address.path, timeout=CONNECT_S)
        else:
            endpoint = HostnameEndpoint(self._reactor, host, port, timeout=CONNECT_S)
            if self.address.tls:
                endpoint = wrapClientTLS(ssl.optionsForClientTLS(host, trustRoot=self._trust), endpoint)
        try:
            return Connection(await endpoint.connect(_Protocols(answer_s)))
        except Exception as fault:  # whatever endpoints raise: names, sockets, time-outs
            raise Fault(str(fault) or type(fault).__name__) from None

    async def _greeted(self, connection: Connection) -> Connection:
        address = self.address
        try:
            if address.password:
                await _authenticate(connection, *([address.user] if address.user else []), address.password)
            if address.database:
                await connection.ask("SELECT", address.database)
            await connection.ask("CLIENT", "SETNAME", "rtcd")
        except Fault:
            connection.cut()
            raise
        return connection

    async def _named_by(self, host: str, port: int) -> tuple[str, int]:
        """The master, as a Sentinel has it."""
        sentinel = await self._open(host, port, CONNECT_S)
        try:
            found = await self._ask_sentinel(sentinel)
        finally:
            sentinel.cut()
        if not found:
            raise Fault(f"it knows no master of the name {self.address.master}")
        return found[0].decode(), int(found[1])

    async def _ask_sentinel(self, sentinel: Connection) -> Any:
        question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.address.master)
        try:
            return await sentinel.ask(*question)
        except Refusal as refusal:
            if not str(refusal).startswith("NOAUTH") or not self.address.password:
                raise
        await _authenticate(sentinel, self.address.password)
        return await sentinel.ask(*question)


async def _authenticate(connection: Connection, *words: str) -> None:
    try:
        await connection.ask("AUTH", *words)
    except Refusal as refusal:
        raise Refusal(auth_fault(str(refusal))) from None


@functools.cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
