"""The Allocate request, one function a step in the order of RFC 8656 §7.2; `STEPS` is that order.

Not offered here yet: TCP relays (442), mobility tickets (405), DONT-FRAGMENT (420, by the check for unknown
attributes), a second relay of the other family (ADDRESS-ERROR-CODE 440).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rtcd.stun.attributes import (
    ADDITIONAL_ADDRESS_FAMILY,
    ADDRESS_ERROR_CODE,
    EVEN_PORT,
    LIFETIME,
    MOBILITY_TICKET,
    REQUESTED_ADDRESS_FAMILY,
    REQUESTED_TRANSPORT,
    RESERVATION_TOKEN,
    XOR_MAPPED_ADDRESS,
    XOR_RELAYED_ADDRESS,
    Family,
    family_of,
)
from rtcd.turn.allocation import Allocation
from rtcd.turn.redirect import client_stays
from rtcd.turn.request import DEFAULT_LIFETIME_S, REASONS, AllocateRequest, Error

if TYPE_CHECKING:
    from rtcd.turn.server import TurnServer

UDP = 17
"""The only REQUESTED-TRANSPORT that is served."""

_NO_SECOND_RELAY = ADDRESS_ERROR_CODE.encode((Family.IPV6, 440, REASONS[440]))


def five_tuple_is_free(server: TurnServer, request: AllocateRequest) -> Error | None:
    """437 if the five-tuple has an allocation; its own retransmitted request never comes here."""
    return Error(437) if request.allocation is not None else None


def transport_is_served(server: TurnServer, request: AllocateRequest) -> Error | None:
    """REQUESTED-TRANSPORT must be there, and UDP."""
    transport = request.message.get(REQUESTED_TRANSPORT)
    if transport is None:
        return Error(400)
    return None if transport == UDP else Error(442)


def no_mobility(server: TurnServer, request: AllocateRequest) -> Error | None:
    """A ticket is refused where mobility is off (RFC 8016 §3.1.2)."""
    return Error(405) if MOBILITY_TICKET in request.message else None


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
    if EVEN_PORT in message or REQUESTED_ADDRESS_FAMILY in message or ADDITIONAL_ADDRESS_FAMILY in message:
        return Error(400)
    held = server.reservations.get(token, request.now)
    if held is None:
        return Error(508, reason="no-reservation")
    request.claims, request.family, request.relay_host = token, held.family, held.host
    return None


def granted_lifetime(server: TurnServer, asked: int | None, left_s: float) -> int:
    """Seconds for a client that asked for so many, or did not ask, and whose credential lasts for ``left_s`` more: that
    many at most if expiry is strict, though one whole second, since 0 would mean the end."""
    granted = min(max(asked or 0, DEFAULT_LIFETIME_S), server.rules.max_lifetime)
    return max(1, int(left_s)) if server.authenticator.strict_expiry and left_s < granted else granted


def family_is_served(server: TurnServer, request: AllocateRequest) -> Error | None:
    """Which family the relay is of, and where it will be bound (RFC 8656 §7.2 steps 6, 8 and 9)."""
    if request.claims:
        return None
    requested = request.message.get(REQUESTED_ADDRESS_FAMILY)
    additional = request.message.get(ADDITIONAL_ADDRESS_FAMILY)
    if additional is not None:
        if requested is not None or additional != Family.IPV6:
            return Error(400)
        request.attributes.append(_NO_SECOND_RELAY)
    if requested is None:
        keep = server.rules.keep_family and additional is None
        request.family = family_of(request.five_tuple.client[0]) if keep else Family.IPV4
    elif requested in (Family.IPV4, Family.IPV6):
        request.family = Family(requested)
    else:
        return Error(440)
    host = server.addresses.choose(request.family, request.five_tuple.server[0])
    if host is None:
        return Error(440)
    request.relay_host = host
    return None


def even_port_suits_the_families(server: TurnServer, request: AllocateRequest) -> Error | None:
    """400 for two families and the port above an even one at once."""
    message = request.message
    return Error(400) if message.get(EVEN_PORT) and ADDITIONAL_ADDRESS_FAMILY in message else None


def quotas_allow(server: TurnServer, request: AllocateRequest) -> Error | None:
    """One more for this user, this client network and the server as a whole."""
    rules, table = server.rules, server.allocations
    request.network = server.network(request.five_tuple.client[0])
    if rules.total_quota and len(table) >= rules.total_quota:
        return Error(486, reason="total-quota")
    if rules.user_quota and table.of_user(request.grant.user) >= rules.user_quota:
        return Error(486, reason="user-quota")
    if rules.address_quota and table.of_network(request.network) >= rules.address_quota:
        return Error(486, reason="address-quota")
    return None


def reservations_are_left(server: TurnServer, request: AllocateRequest) -> Error | None:
    """508 when as many ports are held as may be."""
    return Error(508, reason="reservations") if request.reserves and server.reservations.full else None


def relay_opens(server: TurnServer, request: AllocateRequest) -> Error | None:
    """The last step: from here on there is an allocation; 508 if no port can be had, and then nothing is left behind."""
    grant, transaction_id = request.grant, request.message.transaction_id
    allocation = Allocation(
        request.five_tuple, grant.username, grant.user, grant.key, request.network, transaction_id, request.family,
        request.relay_host, request.now + request.lifetime_s, request.even_port,
    )
    allocation.credential_expires_at = grant.expires_at
    allocation.claims = request.claims
    allocation.reserves = server.token() if request.reserves else b""
    server.reservations.remove(request.claims)  # a token is good once, whatever comes of it
    try:
        allocation.relayed = server.plane.open(allocation, request.relay_host)
    except OSError:
        return Error(508, reason="ports")
    if allocation.reserves:
        server.reservations.add(allocation.reserves, request.family, request.relay_host, request.now)
        request.attributes.append(RESERVATION_TOKEN.encode(allocation.reserves))
    allocation.shown = server.addresses.shown(allocation.relayed)
    server.allocations.add(allocation)
    request.allocation = allocation
    request.attributes[:0] = (
        XOR_RELAYED_ADDRESS.encode(allocation.shown, transaction_id),
        LIFETIME.encode(request.lifetime_s),
        XOR_MAPPED_ADDRESS.encode(request.five_tuple.client, transaction_id),
    )
    server.observer.allocation_created(allocation)
    return None


STEPS: tuple[Callable[[TurnServer, AllocateRequest], Error | None], ...] = (
    five_tuple_is_free, client_stays, transport_is_served, no_mobility, lifetime_is_granted, even_port_is_well_formed,
    reservation_is_ours, family_is_served, even_port_suits_the_families, quotas_allow, reservations_are_left, relay_opens,
)
