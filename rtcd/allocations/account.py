"""`Account`: an allocation as those see it who look after the daemon. It names no address of a client or a peer."""

from __future__ import annotations

from dataclasses import dataclass

from rtcd.allocations.allocation import Allocation, Traffic


@dataclass(frozen=True, slots=True)
class Account:
    """What one allocation is and has moved."""

    number: int
    """What it is known by; no other allocation of this process has, had or will have it."""
    user: str
    """Whom quotas charge. For a client of a room that is its tag (`rtcd.ice.credentials.Credentials.users_of`)."""
    transport: str
    """By which the client speaks to us: udp, tcp, tls or dtls."""
    relayed: tuple[str, ...]
    """Relayed transport addresses as the client was told of them, one, or one of each family."""
    peers: int
    """Hosts that it may exchange packets with now."""
    channels: int
    expires_at: float
    """When it ends if it is not refreshed, Unix seconds."""
    traffic: Traffic


def account(allocation: Allocation, traffic: Traffic, now: float) -> Account:
    """The account of an allocation that has moved so much in all."""
    return Account(
        allocation.number, allocation.user, allocation.five_tuple.transport,
        tuple(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in allocation.shown.values()),
        sum(now < one.expires_at for one in allocation.permissions.values()),
        sum(now < one.expires_at for one in allocation.channels.values()), allocation.expires_at, traffic)
