"""What this machine is: the addresses of its interfaces, the one by which it goes out, and its maker."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import ifaddr

MAKER = Path("/sys/class/dmi/id/sys_vendor")
"""Where Linux tells what the firmware says of itself; of a virtual machine that is the cloud."""


def own_addresses() -> list[str]:
    """Every address of this machine's interfaces as text, loopback included, link-local ones left out."""
    found = [one.ip if isinstance(one.ip, str) else one.ip[0] for adapter in ifaddr.get_adapters() for one in adapter.ips]
    return [one for one in found if not ipaddress.ip_address(one).is_link_local]


def primary_address() -> str:
    """The IPv4 address by which this machine goes out, or an empty text if it goes nowhere; nothing is sent for this."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def maker(path: Path = MAKER) -> str:
    """Who made this machine, or an empty text if that is not known."""
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(256).strip()
    except OSError:
        return ""
