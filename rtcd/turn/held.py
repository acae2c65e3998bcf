"""Requests about an existing allocation: Refresh, CreatePermission, ChannelBind; one function a step.

`STEPS` has them in order. That the request is from the owner of the allocation is known when they run.
The steps of Connect are in rtcd.turn.connect. Sources: RFC 8656 §8.2, §10.2, §12.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rtcd.allocations.allocation import TCP, UDP
from rtcd.peers.bound import may_ask_for
from rtcd.stun.attributes import (
    CHANNEL_NUMBER,
    LIFETIME,
    MOBILITY_TICKET,
    REQUESTED_ADDRESS_FAMILY,
    XOR_PEER_ADDRESS,
    Family,
    family_of,
)
from rtcd.stun.channeldata import MAX_CHANNEL, MAX_RFC5766_CHANNEL, MIN_CHANNEL
from rtcd.stun.message import Method
from rtcd.turn import connect
from rtcd.turn.allocate import granted_lifetime
from rtcd.turn.mobility import TICKET_BYTES
from rtcd.turn.request import Error, Request

if TYPE_CHECKING:
    from rtcd.turn.server import TurnServer


# Steps of Refresh (RFC 8656 §8.2).

def ticket_is_the_allocations(server: TurnServer, request: Request) -> Error | None:
    """405 for a ticket where mobility is off, 400 for an empty one, 437 for another allocation's or an old one
    (RFC 8016 §3.2.2); 400 for a relay of TCP from where there is no stream; 508 if too many clients are moving."""
    ticket = request.message.get(MOBILITY_TICKET)
    if ticket is None:
        return None
    if not server.rules.mobility:
        return Error(405)
    if not ticket:
        return Error(400)
    if server.mobility.find(ticket) is not request.allocation:
        return Error(437)
    if request.allocation.transport == TCP and request.five_tuple.transport not in ("tcp", "tls"):
        return Error(400)
    if request.five_tuple != request.allocation.five_tuple and server.mobility.full:
        return Error(508, reason="moves")
    return None


def family_is_the_allocations(server: TurnServer, request: Request) -> Error | None:
    """REQUESTED-ADDRESS-FAMILY picks a relay that there is; without it all are meant."""
    family = request.message.get(REQUESTED_ADDRESS_FAMILY)
    if family is None:
        return None
    if family not in request.allocation.relayed:
        return Error(443)
    request.family = Family(family)
    return None


def lifetime_is_refreshed(server: TurnServer, request: Request) -> Error | None:
    """Zero ends the allocation or its relay of one family at once, everything else extends them."""
    asked = request.message.get(LIFETIME)
    allocation = request.allocation
    if asked == 0:
        server.close(allocation, "refreshed to 0", request.family)
        granted = 0
    else:
        granted = granted_lifetime(server, asked, allocation.credential_expires_at - request.now)
        server.allocations.extend(allocation, request.now + granted, request.family)
        server.observer.allocation_refreshed(allocation, granted)
    request.attributes.append(LIFETIME.encode(granted))
    return None


def ticket_is_renewed(server: TurnServer, request: Request) -> Error | None:
    """Who has shown a ticket gets the next one, and from another five-tuple begins to move there."""
    allocation = request.allocation
    if MOBILITY_TICKET not in request.message or server.allocations.get(allocation.five_tuple) is not allocation:
        return None
    if request.five_tuple != allocation.five_tuple:
        server.mobility.start(allocation, request.five_tuple, request.now)
    ticket = server.mobility.issue(allocation, server.token(TICKET_BYTES))
    request.attributes.append(MOBILITY_TICKET.encode(ticket))
    return None


def lifetime_is_well_formed(server: TurnServer, request: Request) -> Error | None:
    """400 comes before 443."""
    request.message.get(LIFETIME)
    return None


# Steps of CreatePermission (RFC 8656 §10.2) and ChannelBind (RFC 8656 §12.2).

def peers_are_named(server: TurnServer, request: Request) -> Error | None:
    """At least one well-formed XOR-PEER-ADDRESS."""
    request.named = request.message.get_all(XOR_PEER_ADDRESS)
    request.peers = [(server.addresses.reached(host), port) for host, port in request.named]
    return None if request.named else Error(400)


def peers_are_of_the_family(server: TurnServer, request: Request) -> Error | None:
    """443 for a peer of a family that the allocation has no relay of."""
    relayed = request.allocation.relayed
    return Error(443) if any(family_of(host) not in relayed for host, _ in request.peers) else None


def peer_hosts_are_allowed(server: TurnServer, request: Request) -> Error | None:
    """403 if the policy refuses one of the hosts; ports mean nothing in a permission."""
    return _peers_are_allowed(server, request, any_port=True)


def peer_is_allowed(server: TurnServer, request: Request) -> Error | None:
    """403 if the policy refuses the peer."""
    return _peers_are_allowed(server, request, any_port=False)


def _peers_are_allowed(server: TurnServer, request: Request, any_port: bool) -> Error | None:
    for named, reached in zip(request.named, request.peers, strict=True):
        reason = server.policy.refusal(reached, any_port=any_port, own_external=reached != named,
                                       stream=request.allocation.transport == TCP)
        if reason:
            server.observer.peer_denied(request.allocation, named, reason)
            return Error(403)
        if not may_ask_for(server, request.allocation, named, reached, request.now):
            return Error(403)
    return None


def permissions_fit(server: TurnServer, request: Request) -> Error | None:
    """508 if there would be too many."""
    hosts = {host for host, _ in request.peers}
    return None if request.allocation.room_for_permissions(hosts, request.now) else Error(508, reason="permissions")


def permissions_are_installed(server: TurnServer, request: Request) -> Error | None:
    """All of them, now that none can fail; a host once, however often it is named."""
    allocation = request.allocation
    expires_at = request.now + server.rules.permission_lifetime
    hosts = {host: named for (named, _), (host, _) in zip(request.named, request.peers, strict=True)}
    for host, named in hosts.items():
        allocation.permit(host, expires_at)
        if allocation.transport == UDP:
            server.plane.permit(allocation, host, expires_at, named)
    return None


def channel_and_peer_are_named(server: TurnServer, request: Request) -> Error | None:
    """400 unless there is a channel number and a peer with a port."""
    channel, peer = request.message.get(CHANNEL_NUMBER), request.message.get(XOR_PEER_ADDRESS)
    if channel is None or peer is None or not peer[1]:
        return Error(400)
    request.channel = channel
    request.named = [peer]
    request.peers = [(server.addresses.reached(peer[0]), peer[1])]
    return None


def channel_is_in_range(server: TurnServer, request: Request) -> Error | None:
    """400 for a number outside 0x4000 to 0x4FFF, or to 0x7FFF for clients of RFC 5766 if the operator lets them."""
    last = MAX_RFC5766_CHANNEL if server.rules.rfc5766_channels else MAX_CHANNEL
    return None if MIN_CHANNEL <= request.channel <= last else Error(400)


def channel_and_peer_are_free(server: TurnServer, request: Request) -> Error | None:
    """400 if the number is bound to another peer or the peer to another number."""
    allocation, peer = request.allocation, request.peers[0]
    by_channel = allocation.binding_of(request.channel, request.now)
    by_peer = allocation.binding_to(peer, request.now)
    if (by_channel is None or by_channel.peer == peer) and (by_peer is None or by_peer.channel == request.channel):
        return None
    return Error(400)


def channel_fits(server: TurnServer, request: Request) -> Error | None:
    """508 if there would be too many."""
    return None if request.allocation.room_for_channel(request.channel, request.now) else Error(508, reason="channels")


def channel_is_bound(server: TurnServer, request: Request) -> Error | None:
    """Bind or extend the channel; the permission is installed already."""
    allocation = request.allocation
    expires_at = request.now + server.rules.channel_lifetime
    allocation.bind(request.channel, request.peers[0], expires_at)
    server.plane.bind(allocation, request.channel, request.peers[0], expires_at)
    return None


STEPS: dict[Method, tuple[Callable[[TurnServer, Request], Error | None], ...]] = {
    Method.REFRESH: (
        lifetime_is_well_formed, family_is_the_allocations, ticket_is_the_allocations, lifetime_is_refreshed,
        ticket_is_renewed),
    Method.CREATE_PERMISSION: (
        peers_are_named, peers_are_of_the_family, peer_hosts_are_allowed, permissions_fit, permissions_are_installed),
    Method.CHANNEL_BIND: (
        channel_and_peer_are_named, channel_is_in_range, channel_and_peer_are_free, peers_are_of_the_family,
        peer_is_allowed, permissions_fit, channel_fits, permissions_are_installed, channel_is_bound),
    Method.CONNECT: (
        connect.peer_is_named, peers_are_of_the_family, peer_is_allowed, connect.peer_is_not_connected,
        connect.connections_are_left, connect.connection_begins),
}

TRANSPORT = {Method.CHANNEL_BIND: UDP, Method.CONNECT: TCP}
"""What needs a relay of one kind; 403 on the other."""
