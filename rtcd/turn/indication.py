"""What clients send without asking: Send indications. Data indications are the relay plane's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtcd.allocations.allocation import UDP, FiveTuple
from rtcd.peers.bound import may_send_to
from rtcd.stun.attributes import DATA, DONT_FRAGMENT, XOR_PEER_ADDRESS, Malformed
from rtcd.stun.message import Message
from rtcd.turn.mobility import arrived

if TYPE_CHECKING:
    from rtcd.turn.server import TurnServer


def send(server: TurnServer, message: Message, five_tuple: FiveTuple, now: float) -> None:
    """A Send indication (RFC 8656 §11.2): everything that is wrong with it is dropped in silence."""
    allocation = server.find(five_tuple, now) or arrived(server, five_tuple, now)
    if allocation is None or allocation.transport != UDP:
        server.observer.dropped("no allocation")
        return
    try:
        peer, data = message.get(XOR_PEER_ADDRESS), message.get(DATA)
        dont_fragment = message.get(DONT_FRAGMENT) is not None
    except Malformed:
        peer = data = None
    if peer is None or data is None or server.unknown(message):
        server.observer.dropped("malformed")
        return
    reached = (server.addresses.reached(peer[0]), peer[1])
    if not allocation.permitted(reached[0], now):
        server.observer.dropped("no permission")
    elif server.policy.refusal(reached, own_external=reached != peer):
        server.observer.dropped("denied peer")
    elif not may_send_to(server, allocation, peer, reached):
        server.observer.dropped("unsignalled peer")
    else:
        server.plane.send(allocation, reached, data, dont_fragment)
