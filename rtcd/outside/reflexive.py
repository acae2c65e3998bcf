"""A STUN server's word on how one of our addresses looks from outside: a Binding over UDP (RFC 8489 §6.2.1)."""

from __future__ import annotations

import contextlib
import secrets
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol

from rtcd.outside.external import binding, mapped
from rtcd.stun.attributes import Address

RTO_S = 0.5
"""Until the first retransmission; each wait is twice the one before."""
TRIES = 4
"""Requests that are sent; 7.5 seconds after the first one it is given up."""
MAX_PACKET_BYTES = 2048


class Binding(DatagramProtocol):
    """The client of one transaction."""

    noisy = False

    def __init__(self, clock: Any, server: Address, transaction_id: bytes) -> None:
        self._clock = clock
        self._server = server
        self._id = transaction_id
        self._tries = 0
        self._timer: IDelayedCall | None = None
        self.host: Deferred[str] = Deferred(lambda _: self._end())
        """The host that was told; an empty text if none was. Cancel it to give up."""

    def startProtocol(self) -> None:
        """The socket is open."""
        self._send()

    def datagramReceived(self, data: bytes, addr: Any) -> None:
        """Only the server's answer to our request counts; everything else is as if it had not come."""
        if self._timer is None or tuple(addr[:2]) != self._server:
            return
        host = mapped(data, self._id)
        if host is not None:
            self._end()
            self.host.callback(host)

    def _send(self) -> None:
        self._timer = None
        if self._tries == TRIES:
            self._end()
            self.host.callback("")
            return
        self._timer = self._clock.callLater(RTO_S * 2**self._tries, self._send)
        self._tries += 1
        if self.transport is not None:
            with contextlib.suppress(OSError):  # as good as lost: the next try may find a way
                self.transport.write(binding(self._id), self._server)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def reflexive_host(reactor: Any, host: str, server: Address) -> str:
    """How our address ``host`` looks to ``server``, a numeric address of the same family; empty if that is not found."""
    protocol = Binding(reactor, server, secrets.token_bytes(12))
    try:
        port = reactor.listenUDP(0, protocol, interface=host, maxPacketSize=MAX_PACKET_BYTES)
    except CannotListenError:
        return ""
    try:
        return await protocol.host
    finally:
        await port.stopListening()
