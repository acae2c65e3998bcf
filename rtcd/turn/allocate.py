"""The Allocate request, one function a step in the order of RFC 8656 §7.2; `STEPS` is that order.

A dual allocation (ADDITIONAL-ADDRESS-FAMILY) is one with a relay of each family; if only one of them can be had, there is
success all the same, and an error code for the other. A TCP relay is asked for in the same way (RFC 6062 §5.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rtcd.allocations.allocation import TCP, UDP, Allocation
from rtcd.allocations.reservation import TOKEN_BYTES as RESERVATION_BYTES
from rtcd.bucket import network as network_of
from rtcd.stun.attributes import (
    ADDITIONAL_ADDRESS_FAMILY,
    ADDRESS_ERROR_CODE,
    DONT_FRAGMENT,
    EVEN_PORT,
    LIFETIME,
    MOBILITY_TICKET,
    OLD_ADDITIONAL_ADDRESS_FAMILY,
    OLD_ADDRESS_ERROR_CODE,
    REQUESTED_ADDRESS_FAMILY,
    REQUESTED_TRANSPORT,
    RESERVATION_TOKEN,
    XOR_MAPPED_ADDRESS,
    XOR_RELAYED_ADDRESS,
    Family,
    family_of,
)
from rtcd.stun.message import Message
from rtcd.turn.mobility import TICKET_BYTES
from rtcd.turn.redirect import client_stays
from rtcd.turn.request import DEFAULT_LIFETIME_S, REASONS, AllocateRequest, Error

if TYPE_CHECKING:
    from rtcd.turn.server import TurnServer


def five_tuple_is_free(server: TurnServer, request: AllocateRequest) -> Error | None:
    """437 if the five-tuple has an allocation; its own retransmitted request never comes here."""
    return Error(437) if request.allocation is not None else None


def transport_is_served(server: TurnServer, request: AllocateRequest) -> Error | None:
    """REQUESTED-TRANSPORT must be there, and one that the operator wants. A relay for TCP needs a stream to the client,
    and has neither ports in pairs nor fragments: 400 (RFC 6062 §5.1)."""
    message = request.message
    transport = message.get(REQUESTED_TRANSPORT)
    if transport is None:
        return Error(400)
    if transport == TCP and server.tcp is not None:
        request.transport = TCP
        of_datagrams = DONT_FRAGMENT in message or EVEN_PORT in message or RESERVATION_TOKEN in message
        return Error(400) if of_datagrams or request.five_tuple.transport not in ("tcp", "tls") else None
    return None if transport == UDP and server.rules.udp_relay else Error(442)


def ticket_may_be_had(server: TurnServer, request: AllocateRequest) -> Error | None:
    """An empty MOBILITY-TICKET asks for one; 405 where mobility is off (RFC 8016 §3.1.2)."""
    ticket = request.message.get(MOBILITY_TICKET)
    if ticket is None:
        return None
    if not server.rules.mobility:
        return Error(405)
    request.mobile = True
    return Error(400) if ticket else None


def fragments_can_be_forbidden(server: TurnServer, request: AllocateRequest) -> Error | None:
    """DONT-FRAGMENT in Send is understood; 400 for a broken one, since 420 would say that it is not (RFC 8656 §7.2)."""
    request.message.get(DONT_FRAGMENT)
    return None


def lifetime_is_granted(server: TurnServer, request: AllocateRequest) -> Error | None:
    """As long as asked, not below the default and not above the operator's limit."""
    asked = request.message.get(LIFETIME)
    request.lifetime_s = granted_lifetime(server, asked, request.grant.expires_at - request.now)
    return None


def even_port_is_well_formed(server: TurnServer, request: AllocateRequest) -> Error | None:
    """EVEN-PORT asks for an even port, and with its R bit for the one above to be held."""
    reserve = request.message.get(EVEN_PORT)
    request.even_port, request.reserves = reserve is not None, bool(reserve)
    return None


def reservation_is_ours(server: TurnServer, request: AllocateRequest) -> Error | None:
    """RESERVATION-TOKEN goes with neither EVEN-PORT nor a family, and must be ours: 508 (RFC 8656 §7.2 steps 5 to 7)."""
    message = request.message
    token = message.get(RESERVATION_TOKEN)
    if token is None:
        return None
    if EVEN_PORT in message or REQUESTED_ADDRESS_FAMILY in message or _additional(message) is not None:
        return Error(400)
    held = server.reservations.get(token, request.now)
    if held is None:
        return Error(508, reason="no-reservation")
    request.claims, request.hosts = token, {held.family: held.host}
    return None


def granted_lifetime(server: TurnServer, asked: int | None, left_s: float) -> int:
    """Seconds for a client that asked for so many, or did not ask, and whose credential lasts for ``left_s`` more: that
    many at most if expiry is strict, though one whole second, since 0 would mean the end."""
    granted = min(max(asked or 0, DEFAULT_LIFETIME_S), server.rules.max_lifetime)
    return max(1, int(left_s)) if server.authenticator.strict_expiry and left_s < granted else granted


def families_are_served(server: TurnServer, request: AllocateRequest) -> Error | None:
    """Which families the relays are of, and where they will be bound (RFC 8656 §7.2 steps 6, 7 and 9): 440 if there can
    be none, of two families only if that is so for both."""
    if request.claims:
        return None
    requested = request.message.get(REQUESTED_ADDRESS_FAMILY)
    additional = _additional(request.message)
    if additional is not None:
        if requested is not None or additional != Family.IPV6:
            return Error(400)
        request.old_numbers = ADDITIONAL_ADDRESS_FAMILY not in request.message
        families = list(Family)
    elif requested is None:
        families = [server.rules.default_family or family_of(request.five_tuple.client[0])]
    elif requested in (Family.IPV4, Family.IPV6):
        families = [Family(requested)]
    else:
        return Error(440)
    for family in families:
        host = server.addresses.choose(family, request.five_tuple.server[0])
        if host is None:
            request.failed[family] = 440
        else:
            request.hosts[family] = host
    return None if request.hosts else Error(440)


def _additional(message: Message) -> int | None:
    """ADDITIONAL-ADDRESS-FAMILY. Debian 12's coturn client still has the number of a draft, which nobody else got."""
    value = message.get(ADDITIONAL_ADDRESS_FAMILY)
    return message.get(OLD_ADDITIONAL_ADDRESS_FAMILY) if value is None else value


def even_port_suits_the_families(server: TurnServer, request: AllocateRequest) -> Error | None:
    """400 for two families and the port above an even one at once."""
    return Error(400) if request.reserves and _additional(request.message) is not None else None


def quotas_allow(server: TurnServer, request: AllocateRequest) -> Error | None:
    """One more for this user, this client network and the server as a whole; ports that are held count as well, since
    they outlive the allocation that asked for them."""
    rules, table, user = server.rules, server.allocations, request.grant.user
    network = request.network = network_of(request.five_tuple.client[0])
    held = server.reservations.held(request.now, but=request.claims)
    if rules.total_quota and len(table) + len(held) >= rules.total_quota:
        return Error(486, reason="total-quota")
    if rules.user_quota and table.of_user(user) + sum(one.user == user for one in held) >= rules.user_quota:
        return Error(486, reason="user-quota")
    near = sum(one.network == network for one in held)
    if rules.address_quota and table.of_network(network) + near >= rules.address_quota:
        return Error(486, reason="address-quota")
    return None


def bandwidth_is_left(server: TurnServer, request: AllocateRequest) -> Error | None:
    """486 if what the allocation may use is booked by others."""
    rules = server.rules
    if rules.bps_capacity and server.allocations.booked_bps + rules.max_bps > rules.bps_capacity:
        return Error(486, reason="bps-capacity")
    return None


def reservations_are_left(server: TurnServer, request: AllocateRequest) -> Error | None:
    """508 when as many ports are held as may be."""
    return Error(508, reason="reservations") if request.reserves and server.reservations.full else None


def relays_open(server: TurnServer, request: AllocateRequest) -> Error | None:
    """The last step: from here on there is an allocation; 508 if no port can be had, and then nothing is left behind."""
    grant, transaction_id = request.grant, request.message.transaction_id
    allocation = Allocation(request.five_tuple, grant.username, grant.user, grant.key, request.network, transaction_id,
                            request.even_port, request.transport)
    allocation.credential_expires_at, allocation.static = grant.expires_at, grant.static
    allocation.claims = request.claims
    allocation.reserves = server.token(RESERVATION_BYTES) if request.reserves else b""
    server.reservations.remove(request.claims)  # a token is good once, whatever comes of it
    allocation.booked_bps = server.rules.max_bps
    allocation.upward, allocation.downward = server.bandwidth.meters(
        grant.user, server.rules.max_bps, server.rules.max_bps_user)
    try:
        _open(server, request, allocation)
    except BaseException:
        _leave_nothing(server, allocation)
        raise
    if not allocation.relayed:
        _leave_nothing(server, allocation)
        return Error(508, reason="ports")
    if allocation.reserves:
        (family, host), = request.hosts.items()
        server.reservations.add(allocation.reserves, family, host, grant.user, request.network, request.now)
        request.attributes.append(RESERVATION_TOKEN.encode(allocation.reserves))
    if request.mobile:
        ticket = server.mobility.issue(allocation, server.token(TICKET_BYTES))
        request.attributes.append(MOBILITY_TICKET.encode(ticket))
    server.allocations.add(allocation)
    request.allocation = allocation
    error_code = OLD_ADDRESS_ERROR_CODE if request.old_numbers else ADDRESS_ERROR_CODE
    request.attributes[:0] = (
        *(XOR_RELAYED_ADDRESS.encode(one, transaction_id) for one in allocation.shown.values()),
        *(error_code.encode((family, code, REASONS[code])) for family, code in request.failed.items()),
        LIFETIME.encode(request.lifetime_s),
        XOR_MAPPED_ADDRESS.encode(request.five_tuple.client, transaction_id),
    )
    server.observer.allocation_created(allocation)
    return None


def _open(server: TurnServer, request: AllocateRequest, allocation: Allocation) -> None:
    """As many of its relays as can be had."""
    for family, host in request.hosts.items():
        try:
            relayed = server.relays(allocation).open(allocation, host)
        except OSError:
            request.failed[family] = 508
        else:
            allocation.opened(family, relayed, server.addresses.shown(relayed), request.now + request.lifetime_s)


def _leave_nothing(server: TurnServer, allocation: Allocation) -> None:
    """It is not to be."""
    server.relays(allocation).close(allocation)
    server.plane.release(allocation.claims)
    if not server.allocations.of_user(allocation.user):
        server.bandwidth.forget(allocation.user)


STEPS: tuple[Callable[[TurnServer, AllocateRequest], Error | None], ...] = (
    five_tuple_is_free, client_stays, transport_is_served, ticket_may_be_had, fragments_can_be_forbidden,
    lifetime_is_granted, even_port_is_well_formed, reservation_is_ours, families_are_served, even_port_suits_the_families,
    quotas_allow, bandwidth_is_left, reservations_are_left, relays_open,
)
