"""Connections that a proxy in front has taken: its header is read, and then they are their clients' (`ProxyFactory`).

Only named proxies are believed, and of those every connection has to begin with a header; everybody else's is taken as it
is. The header itself is rtcd.front.proxy_header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtcd.front.proxy_header import parse
from rtcd.metrics import Counter
from rtcd.ranges import Range, within

HEADER_S = 10.0
"""From the connection to the last byte of its header."""
WARN_EVERY_S = 60.0
MAX_WAITING = 1024
"""Connections without a header at once; one more is refused."""


class ProxyFactory(Factory):
    """Stands before ``inner``, which is asked for a protocol with the client's address once that is known."""

    noisy = False
    _log = Logger()

    def __init__(
        self, clock: IReactorTime, proxies: Sequence[Range], inner: IProtocolFactory, refused: Counter
    ) -> None:
        self.clock = clock
        self.inner = inner
        self.refused = refused
        self.waiting: set[_Gate] = set()
        self._proxies = proxies
        self._told_at = -WARN_EVERY_S

    def buildProtocol(self, addr: Any) -> Any:
        """None refuses the connection."""
        if not self._is_proxy(addr):
            return self.inner.buildProtocol(addr)
        if len(self.waiting) >= MAX_WAITING:
            self.refused.value += 1
            return None
        return _Gate(self)

    def warn(self, peer: Any) -> None:
        """Somebody should act: what he has named as a proxy speaks otherwise. Told once in a while."""
        now = self.clock.seconds()
        if not 0 <= now - self._told_at < WARN_EVERY_S:
            self._told_at = now
            self._log.warn("{peer} is in proxy-from and begins without a PROXY header; turn that on there, or take the "
                           "address out", peer=peer.host)

    def stopFactory(self) -> None:
        """The port is closed: who has not said for whom he speaks will not be heard any more."""
        for gate in list(self.waiting):
            gate.transport.abortConnection()

    def _is_proxy(self, addr: Any) -> bool:
        return isinstance(addr, IPv4Address | IPv6Address) and within(addr.host, self._proxies)


class _Gate(Protocol):
    """Waits for the header, and steps out."""

    transport: Any

    def __init__(self, factory: ProxyFactory) -> None:
        self._proxies = factory
        self._head = b""
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """The clock runs."""
        self._proxies.waiting.add(self)
        self._timer = self._proxies.clock.callLater(HEADER_S, self._refuse)

    def dataReceived(self, data: bytes) -> None:
        """A header is bounded, so what is kept is."""
        if self._timer is None:
            return
        self._head += data
        try:
            header = parse(self._head)
        except ValueError:
            self._refuse()
            return
        if header is None:
            return
        self._decided()
        rest, transport = self._head[header.size :], self.transport
        client = transport.getPeer()
        if header.client is not None:
            kind = IPv6Address if ":" in header.client[0] else IPv4Address
            client = kind("TCP", *header.client)
        protocol = self._proxies.inner.buildProtocol(client)
        if protocol is None:
            transport.abortConnection()
            return
        transport.getPeer = lambda: client  # all layers above ask the lowest one
        transport.protocol = protocol
        protocol.makeConnection(transport)
        if rest:
            protocol.dataReceived(rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Closed before its header was there."""
        self._decided()

    def _refuse(self) -> None:
        self._decided()
        self._proxies.refused.value += 1
        self._proxies.warn(self.transport.getPeer())
        self.transport.abortConnection()

    def _decided(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            self._proxies.waiting.discard(self)
            if timer.active():
                timer.cancel()
