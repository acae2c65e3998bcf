"""`Asking`: asks a TURN node over the network whether it serves: `rtcd.ice.exchange` over UDP, TCP or TLS.

One probe has one socket and ends within `rtcd.ice.health.TIMEOUT_S`, whatever the node does. Its certificate is not looked
at: whether it knows the secret is what is asked, and clients judge certificates by what they themselves trust.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TooSlow
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import CannotListenError, ConnectError, ConnectingCancelledError, ConnectionRefusedError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtcd.ice.credentials import PROBE_USER, Credentials
from rtcd.ice.exchange import Exchange
from rtcd.ice.health import DEAD, TIMEOUT_S, Probe
from rtcd.ice.nodes import Node, Way
from rtcd.outside.outside import resolve
from rtcd.stun.framing import Framer
from rtcd.tls.names import is_address
from rtcd.tls.unverified import Unverified

USER_BYTES = 8
"""Random bytes of a probe's user: a quota of one allocation a user refuses no probe for the one before it."""
LIFETIME_S = 300
"""Of its credential: the clocks of two machines may differ by a little."""
AGAIN_S = 0.4
"""What is unanswered goes out again so often, by datagram."""
RESOLVED_S = 30.0
"""So long the addresses of a name are good; those of one that had none are asked for again after `RETRIED_S`."""
RETRIED_S = 3.0
MAX_PACKET_BYTES = 2048


class _Known:
    """What is kept of a node from one probe to the next."""

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self.turn = 0
        """Which of the addresses is asked: after a failure the next one."""
        self.asked_at: float | None = None
        """When the name was looked up last."""
        self.looking = False
        self.arrived: Deferred[None] | None = None
        """Waits for its addresses."""


class Asking:
    """Call it with a node; the Deferred never fails unless it is cancelled."""

    _log = Logger()

    def __init__(self, reactor: Any, credentials: Credentials) -> None:
        self._reactor = reactor
        self._credentials = credentials
        self._known: dict[str, _Known] = {}

    def __call__(self, node: Node) -> Deferred[Probe]:
        """One probe; a node has one at a time."""
        known = self._known.setdefault(node.name, _Known())
        now = self._reactor.seconds()
        made = self._credentials.issue(f"{PROBE_USER}{secrets.token_hex(USER_BYTES)}", now, LIFETIME_S)
        exchange = Exchange(made.username, made.password, secrets.token_bytes)
        asking = Deferred.fromCoroutine(self._ask(node, known, exchange))
        asking.addTimeout(TIMEOUT_S, self._reactor, _too_slow)

        def failed(failure: Failure) -> Probe:
            if failure.check(CancelledError, ConnectingCancelledError):
                raise CancelledError from None
            if not failure.check(OSError, ConnectError, CannotListenError, TooSlow):
                self._log.failure("the TURN node {node} could not be probed", failure, node=node.name)
            return exchange.result("" if failure.check(TooSlow) else _text(failure))

        def finished(probe: Probe) -> Probe:
            if probe.state == DEAD and known.addresses:
                known.turn += 1
            return probe

        return asking.addErrback(failed).addCallback(finished)

    def forget(self, name: str) -> None:
        """The node is named no longer."""
        self._known.pop(name, None)

    async def _ask(self, node: Node, known: _Known, exchange: Exchange) -> Probe:
        way = node.way
        if way is None:
            return Probe(DEAD, "has no URL that can be probed")
        host = way.host if is_address(way.host) else await self._address(way.host, known)
        if not host:
            return Probe(DEAD, "its name has no address")
        if way.transport == "udp":
            return await self._by_datagram(host, way.port, exchange)
        return await self._by_stream(host, way, exchange)

    async def _address(self, name: str, known: _Known) -> str:
        """The address of the name whose turn it is. The name is looked up beside the probe, which goes on with addresses
        that are known and waits for the first ones."""
        now = self._reactor.seconds()
        good_s = RESOLVED_S if known.addresses else RETRIED_S
        if not known.looking and (known.asked_at is None or not 0 <= now - known.asked_at < good_s):
            known.asked_at, known.looking = now, True
            Deferred.fromCoroutine(self._look_up(name, known)).addErrback(
                lambda failure: self._log.failure("{name} could not be looked up", failure, name=name))
        if known.looking and not known.addresses:
            known.arrived = Deferred()
            await known.arrived
        return known.addresses[known.turn % len(known.addresses)] if known.addresses else ""

    async def _look_up(self, name: str, known: _Known) -> None:
        try:
            known.addresses = tuple(await resolve(self._reactor, name)) or known.addresses
        finally:
            known.looking = False
            arrived, known.arrived = known.arrived, None
            if arrived is not None and not arrived.called:
                arrived.callback(None)

    async def _by_datagram(self, host: str, port: int, exchange: Exchange) -> Probe:
        talk = _Datagrams(self._reactor, exchange)
        listening = self._reactor.listenUDP(0, talk, interface="::" if ":" in host else "0.0.0.0",
                                            maxPacketSize=MAX_PACKET_BYTES)
        try:
            listening.connect(host, port)
            talk.begin()
            return await talk.done
        finally:
            talk.end()
            await listening.stopListening()

    async def _by_stream(self, host: str, way: Way, exchange: Exchange) -> Probe:
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        endpoint: Any = kind(self._reactor, host, way.port, TIMEOUT_S)
        if way.transport == "tls":
            endpoint = wrapClientTLS(Unverified(way.host), endpoint)
        factory = Factory.forProtocol(lambda: _Stream(self._reactor, exchange))
        factory.noisy = False
        talk: _Stream = await endpoint.connect(factory)
        try:
            return await talk.done
        finally:
            talk.end()


class _Datagrams(DatagramProtocol):
    """The exchange over connected UDP."""

    noisy = False

    def __init__(self, reactor: Any, exchange: Exchange) -> None:
        self._reactor = reactor
        self._exchange = exchange
        self._timer: IDelayedCall | None = None
        self.done: Deferred[Probe] = Deferred()

    def begin(self) -> None:
        """The socket is connected."""
        self._send(self._exchange.begin(self._reactor.seconds()))
        self._timer = self._reactor.callLater(AGAIN_S, self._again)

    def end(self) -> None:
        """Say no more, but for what gives back what may be allocated."""
        self._write(self._exchange.parting(self._reactor.seconds()))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def datagramReceived(self, data: bytes, addr: Any) -> None:
        """The socket is connected: it comes from the node."""
        self._send(self._exchange.receive(data, self._reactor.seconds()))
        if self._exchange.finished and not self.done.called:
            self.done.callback(self._exchange.result())

    def connectionRefused(self) -> None:
        """ICMP says that nobody listens there."""
        if not self.done.called:
            self.done.callback(self._exchange.result("nobody listens at its port"))

    def _again(self) -> None:
        self._timer = self._reactor.callLater(AGAIN_S, self._again)
        self._send(self._exchange.unanswered())

    def _send(self, messages: list[bytes]) -> None:
        if not self.done.called:
            self._write(messages)

    def _write(self, messages: list[bytes]) -> None:
        transport: Any = self.transport
        for one in messages:
            if transport is not None:
                with contextlib.suppress(OSError):  # as good as lost
                    transport.write(one)


class _Stream(Protocol):
    """The exchange over TCP, or inside TLS."""

    def __init__(self, reactor: Any, exchange: Exchange) -> None:
        self._reactor = reactor
        self._exchange = exchange
        self._framer = Framer()
        self.done: Deferred[Probe] = Deferred()

    def connectionMade(self) -> None:
        """Begin."""
        self._send(self._exchange.begin(self._reactor.seconds()))

    def dataReceived(self, data: bytes) -> None:
        self._framer.receive(data)
        try:
            while not self.done.called and (frame := self._framer.next()) is not None:
                self._send(self._exchange.receive(frame, self._reactor.seconds()))
                if self._exchange.finished:
                    self.done.callback(self._exchange.result())
        except ValueError:
            self.done.callback(self._exchange.result("speaks something else than TURN"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.done.called:
            self.done.callback(self._exchange.result("closes the connection"))

    def end(self) -> None:
        """Hang up."""
        if not self.done.called:
            self.done.callback(self._exchange.result())
        transport: Any = self.transport
        transport.abortConnection()

    def _send(self, messages: list[bytes]) -> None:
        transport: Any = self.transport
        for one in messages:
            transport.write(one)


def _too_slow(result: object, timeout_s: float) -> object:
    """However the work took its end by the time-out: cancelled connections have a failure of their own."""
    raise TooSlow(f"no answer within {timeout_s:g} s")


def _text(failure: Failure) -> str:
    if failure.check(ConnectionRefusedError):
        return "refuses connections"
    return getattr(failure.value, "strerror", None) or type(failure.value).__name__
