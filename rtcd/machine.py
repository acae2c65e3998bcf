"""What this machine is to the network: the addresses of its interfaces."""

from __future__ import annotations

import ipaddress

import ifaddr


def own_addresses() -> list[str]:
    """Every address of this machine's interfaces as text, loopback included, link-local ones left out."""
    found = [one.ip if isinstance(one.ip, str) else one.ip[0] for adapter in ifaddr.get_adapters() for one in adapter.ips]
    return [one for one in found if not ipaddress.ip_address(one).is_link_local]
