"""Whether our own sockets work: UDP by asking our STUN and TURN server as a client would, TCP by what the kernel says."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.tcp import Port

from rtcd.doorway.directory import Listener
from rtcd.stun.attributes import REQUESTED_TRANSPORT, Address
from rtcd.stun.message import Class, Method, decode, encode

AGAIN_S = 0.4
"""A datagram may be lost even here: it is sent again so often."""
MAX_PACKET_BYTES = 2048

_UDP = 17
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class Question(DatagramProtocol):
    """One question, until it is answered or `answered` is cancelled.

    Any answer to it counts, also an error: that is how a server answers that wants to know who asks. ``binding_alone``: it
    answers anybody's STUN Binding; else it is asked for an allocation as well, which it refuses.
    """

    noisy = False

    def __init__(self, clock: Any, server: Address, transaction_id: bytes, *, binding_alone: bool) -> None:
        self._clock = clock
        self._server = server
        self._id = transaction_id
        self._requests = [encode(Method.BINDING, Class.REQUEST, transaction_id)]
        if not binding_alone:
            self._requests.append(encode(
                Method.ALLOCATE, Class.REQUEST, transaction_id, [REQUESTED_TRANSPORT.encode(_UDP)]))
        self._timer: IDelayedCall | None = None
        self.answered: Deferred[None] = Deferred(lambda _: self._end())

    def startProtocol(self) -> None:
        """The socket is open."""
        self._send()

    def datagramReceived(self, data: bytes, addr: Any) -> None:
        """Only what answers our question counts."""
        if self._timer is None or tuple(addr[:2]) != self._server:
            return
        try:
            message = decode(data)
        except ValueError:
            return
        if message.transaction_id == self._id and message.class_ in (Class.SUCCESS, Class.ERROR):
            self._end()
            self.answered.callback(None)

    def _send(self) -> None:
        self._timer = self._clock.callLater(AGAIN_S, self._send)
        for request in self._requests:
            if self.transport is not None:
                with contextlib.suppress(OSError):  # as good as lost
                    self.transport.write(request, self._server)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def ask(reactor: Any, listener: Listener, transaction_id: bytes) -> bool:
    """Whether the TURN server answers at this listener. Waits without end; cancelled, it lets go of its socket.

    Raises CannotListenError if there is no socket to ask from.
    """
    host = _LOOPBACK.get(listener.host, listener.host)
    question = Question(reactor, (host, listener.port), transaction_id, binding_alone=listener.stun)
    port = reactor.listenUDP(0, question, interface=host, maxPacketSize=MAX_PACKET_BYTES)
    try:
        await question.answered
        return True
    finally:
        await port.stopListening()


def taking(reactor: Any) -> set[Address]:
    """Where TCP connections are taken: the kernel listens, and the reactor looks whether somebody came.

    Nothing connects, since that would be counted and bounded as a client's connection is.
    """
    found = set()
    for reader in reactor.getReaders():
        if not isinstance(reader, Port) or reader.socket.family not in (socket.AF_INET, socket.AF_INET6):
            continue
        with contextlib.suppress(OSError):  # it is closed
            if reader.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                host, port = reader.socket.getsockname()[:2]
                found.add((host, port))
    return found
