"""Joins the TCP relays' sockets (rtcd.plane.tcp) with their rules (rtcd.turn.connect) and with clients' streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtcd.allocations.addresses import Ports
from rtcd.allocations.allocation import Allocation, FiveTuple
from rtcd.clients.streams import Streams
from rtcd.plane.pipe import End
from rtcd.plane.tcp import TcpRelays
from rtcd.stun.attributes import Address
from rtcd.turn import connect
from rtcd.turn.server import TurnServer


def relay_tcp(
    reactor: Any, server: TurnServer, streams: Streams, ports: Callable[[], Ports], changed: Callable[[], None]
) -> TcpRelays:
    """Let ``server`` make TCP relays. ``changed()`` is called when it may have another deadline."""

    def become(five_tuple: FiveTuple, end: End) -> bool:
        connection = streams.connection(five_tuple)
        return connection is not None and connection.become_after_answer(end)

    server.tcp = relays = TcpRelays(reactor, ports, _Peers(reactor, server, changed), become)
    return relays


class _Peers:
    """Tells the rules what the sockets see."""

    def __init__(self, reactor: Any, server: TurnServer, changed: Callable[[], None]) -> None:
        self._reactor = reactor
        self._server = server
        self._changed = changed

    def connected(self, number: int) -> None:
        connect.connected(self._server, number, self._reactor.seconds())
        self._changed()

    def failed(self, number: int) -> None:
        connect.failed(self._server, number)

    def attempted(self, allocation: Allocation, peer: Address) -> int | None:
        number = connect.attempted(self._server, allocation, peer, self._reactor.seconds())
        self._changed()
        return number

    def lost(self, number: int) -> None:
        connect.lost(self._server, number)
