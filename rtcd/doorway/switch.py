"""Port sharing: look at a connection's first bytes, hand its transport to the right protocol, and step out.

On an HTTPS port: TLS, plain HTTP, which is only redirected, or plain STUN. Inside TLS: what ALPN names; without ALPN
(TURN clients send none) the first decrypted bytes decide. What was handed over is never looked at again. Only while a
certificate authority asks for a proof is a ClientHello looked into: who offers ``acme-tls/1`` gets that proof alone.

Below each protocol stays one of rtcd.doorway.layers for the life of the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from rtcd.doorway.connections import Connections
from rtcd.doorway.hello import Hello, read_hello
from rtcd.doorway.layers import PlainFactory, PlainLayer, TlsFactory, host_of, no_delay
from rtcd.doorway.sniff import Verdict, sniff
from rtcd.tls.handshakes import reason_of
from rtcd.tls.proof import ALPN as ACME_ALPN

HTTP_ALPN = "http/1.1"
STUN_ALPN = "stun.turn"
STUN_ALPNS = (STUN_ALPN, "stun.nat-discovery")
"""RFC 7443 §3. Whatever a client of STUN and TURN calls it, it gets the same."""

Choose = Callable[[str], IProtocolFactory | None]
"""The factory behind an ALPN name, or None."""


class Proofs(Protocol):
    """What a certificate authority is shown inside TLS (RFC 8737)."""

    @property
    def waiting(self) -> bool:
        """Whether one may come to see it."""

    def prove(self, server_name: str) -> IProtocolFactory | None:
        """TLS that shows the proof for this name and does nothing else, or None if there is none."""


class _Switch(StreamProtocol):
    """Collects first bytes until they tell the protocol; `decide` then hands over."""

    _log = Logger()

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self._head = b""

    def dataReceived(self, data: bytes) -> None:
        """First bytes: never more than `MAX_SNIFF_BYTES` of them are waited for, unless a ClientHello is looked into."""
        self._head += data
        verdict = sniff(self._head)
        if verdict is not Verdict.UNDECIDED:
            data, self._head = self._head, b""
            self.decide(verdict, data)

    def wait_for_more(self, data: bytes) -> None:
        """Not enough to decide: `decide` is called again with this and what has come by then."""
        self._head = data

    def decide(self, verdict: Verdict, data: bytes) -> None:
        """Hand over to the protocol that ``verdict`` names, or close."""
        raise NotImplementedError

    def hand_over(self, protocol: IProtocol, data: bytes) -> None:
        """From now on the transport is ``protocol``'s, which first gets the bytes that we have."""
        transport: Any = self.transport
        if isinstance(transport, ProtocolWrapper):
            transport.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        protocol.makeConnection(transport)
        if data:
            protocol.dataReceived(data)


class OuterSwitch(_Switch):
    """A new connection on an HTTPS port."""

    factory: OuterFactory
    transport: Any

    def connectionMade(self) -> None:
        """The clock runs until the protocol is known."""
        no_delay(self.transport)
        self.connections.opened(self.transport, self.transport)
        self.connections.undecided(self.transport, host_of(self.transport.getPeer()))

    def decide(self, verdict: Verdict, data: bytes) -> None:
        """TLS stays undecided (what is inside?) and on the clock; HTTP is redirected; all else is cut."""
        if verdict is Verdict.TLS:
            self._tls(data)
        elif verdict is Verdict.HTTP:
            self._plain(self.factory.redirect, data)
        elif verdict is Verdict.STUN:
            self._plain(self.factory.choose_plain(STUN_ALPN), data)
        else:
            self.connections.garbage(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Closed before it said what it was."""
        self.connections.gone(self.transport)

    def _tls(self, data: bytes) -> None:
        inside: IProtocolFactory | None = self.factory.tls
        address, hello = self.transport.getPeer(), _NO_HELLO
        if self.factory.proofs.waiting:
            try:
                found = read_hello(data)
            except ValueError:
                found = _NO_HELLO
            if found is None:
                self.wait_for_more(data)  # as far as MAX_HELLO_BYTES
                return
            hello = found
            if hello.protocols == (ACME_ALPN,):
                inside = None
        if not self.connections.may_shake(host_of(address)):
            self.connections.busy(self.transport)
            return
        inside = inside or self.factory.proofs.prove(hello.server_name)
        protocol = inside.buildProtocol(address) if inside is not None else None
        if protocol is None:
            self.connections.garbage(self.transport)
        else:
            self.hand_over(protocol, data)

    def _plain(self, inside: IProtocolFactory | None, data: bytes) -> None:
        address = self.transport.getPeer()
        protocol = inside.buildProtocol(address) if inside is not None else None
        if protocol is None:
            self.connections.garbage(self.transport)
            return
        self.connections.decided(self.transport)
        self.hand_over(PlainLayer(self.factory.plain, protocol), data)


_NO_HELLO = Hello("", ())


class OuterFactory(Factory):
    """The factory of an HTTPS port.

    ``redirect`` is the site that answers plain HTTP there, ``choose_plain`` tells who gets other protocols without TLS.
    """

    noisy = False

    def __init__(
        self, connections: Connections, tls: TlsFactory, redirect: IProtocolFactory, choose_plain: Choose, proofs: Proofs
    ) -> None:
        self.connections = connections
        self.tls = tls
        self.redirect = redirect
        self.choose_plain = choose_plain
        self.proofs = proofs
        self.plain = PlainFactory(tls.clock, connections, redirect)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """None refuses the connection."""
        if not self.connections.admits(host_of(addr), undecided=True):
            return None
        switch = OuterSwitch(self.connections)
        switch.factory = self
        return switch


@implementer(IHandshakeListener)
class InnerSwitch(_Switch):
    """Inside TLS: ALPN decides as soon as the handshake is complete, otherwise the first decrypted bytes."""

    transport: Any

    def __init__(self, connections: Connections, choose: Choose) -> None:
        super().__init__(connections)
        self._choose = choose
        self._shaken = False

    def handshakeCompleted(self) -> None:
        """The TLS handshake is complete."""
        self._shaken = True
        self.connections.shaken()
        name = self.transport.negotiatedProtocol
        if name is not None:
            self._become(name.decode("ascii", "replace"), b"")

    def decide(self, verdict: Verdict, data: bytes) -> None:
        """No ALPN: HTTP for the site, STUN for TURN."""
        names = {Verdict.HTTP: HTTP_ALPN, Verdict.STUN: STUN_ALPN}
        self._become(names.get(verdict, ""), data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The handshake failed, or nothing was said inside. The layer below tells the table."""
        if not self._shaken:
            self.connections.unshaken(reason_of(reason.value))
        self._log.debug("connection ended before its protocol was known: {reason}", reason=reason.getErrorMessage())

    def _become(self, name: str, data: bytes) -> None:
        lowest = self.transport.transport
        factory = self._choose(name)
        protocol = factory.buildProtocol(self.transport.getPeer()) if factory is not None else None
        if protocol is None:
            self.connections.garbage(lowest)
            return
        self.connections.decided(lowest)
        self.hand_over(protocol, data)
