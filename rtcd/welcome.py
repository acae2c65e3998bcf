"""What a newcomer is shown at start: the addresses to open, a QR code for the phone, and the ports to let through."""

from __future__ import annotations

import io
import ipaddress
from collections.abc import Iterable

import segno

from rtcd.doorway.directory import Directory, Listener
from rtcd.machine import own_addresses

_LANS = tuple(map(ipaddress.ip_network, ("192.168.0.0/16", "10.0.0.0/8")))
"""Where homes and offices are, the likeliest first; the bridges of containers are in 172.16.0.0/12."""

_OPERATORS = ("metrics",)
"""Services that nobody who calls has to reach."""


def welcome(
    directory: Directory, public_url: str | None, addresses: Iterable[str] | None = None, fingerprint: str = ""
) -> str:
    """The text to print; ``addresses`` are this machine's, found by itself if they are not given. ``fingerprint``: of the
    local authority, if browsers will warn of what it has signed."""
    hosts = rank(addresses if addresses is not None else own_addresses())
    lines = [""]
    https = next((one for one in directory.listeners("web") if one.transport == "tls"), None)
    if https is not None or public_url:
        links = [public_url] if public_url else []
        links += [_link(host, https.port) for host in hosts if _reaches(https, host)] if https is not None else []
        lines += ["Open one of these in two browsers, and join the same room:", ""]
        lines += [f"    {link}" for link in links] + [""]
        far = [link for link in links if "localhost" not in link]
        if far:
            drawing = io.StringIO()
            segno.make(far[0], error="l", micro=False).terminal(out=drawing, border=2, compact=True)
            lines += [f"{far[0]} for the camera of a phone:", drawing.getvalue()]
        if fingerprint:
            http = next((one for one in directory.listeners("web") if one.transport == "tcp" and _is_open(one)), None)
            page = _link(hosts[0], http.port, "http") if http is not None else links[0].rstrip("/") + "/"
            lines += ["A browser warns of the certificate until the device trusts the authority that has signed it:",
                      f"{page}install says how. Its fingerprint is", "", f"    {fingerprint[:47]}",
                      f"    {fingerprint[48:]}", ""]
    lines += ["These ports must be reachable (firewall, security group, router):", ""]
    lines += [f"    {line}" for line in ports(directory)] + ["", ""]
    return "\n".join(lines)


def ports(directory: Directory) -> list[str]:
    """One line for each port or range that others have to reach, without those on loopback alone."""
    found: dict[tuple[str, str], str] = {}
    for one in directory.listeners():
        if one.service in _OPERATORS or (one.last_port is None and _loopback(one.host) and not _elsewhere(directory, one)):
            continue
        protocol = "udp" if one.transport in ("udp", "dtls") else "tcp"
        span = str(one.port) if one.last_port is None else f"{one.port}-{one.last_port}"
        found.setdefault((protocol, span), _purpose(one))
    return [f"{protocol} {span:<13}{purpose}" for (protocol, span), purpose in found.items()]


def rank(addresses: Iterable[str]) -> list[str]:
    """LAN addresses first, then public ones, IPv4 before IPv6; ``localhost`` stands for the loopback ones at the end."""
    given = [ipaddress.ip_address(one) for one in addresses]
    outer = sorted({one for one in given if not one.is_loopback},
                   key=lambda one: (one.version, _distance(one), int(one)))
    return [*map(str, outer), "localhost"]


def _distance(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    near = next((index for index, one in enumerate(_LANS) if address.version == 4 and address in one), len(_LANS))
    return near if address.is_private else len(_LANS) + 1


def _link(host: str, port: int, scheme: str = "https") -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}/" if port == {"https": 443, "http": 80}[scheme] else f"{scheme}://{shown}:{port}/"


def _is_open(listener: Listener) -> bool:
    return bool(listener.port) and not _loopback(listener.host)


def _reaches(listener: Listener, host: str) -> bool:
    return listener.host in ("", "::", "0.0.0.0", host) or (host == "localhost" and _loopback(listener.host))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _elsewhere(directory: Directory, listener: Listener) -> bool:
    return any(not _loopback(one.host) and (one.transport, one.port) == (listener.transport, listener.port)
               for one in directory.listeners(listener.service))


def _purpose(listener: Listener) -> str:
    if listener.service == "turn":
        if listener.last_port is not None:
            return "relayed media"
        inside = {"tls": " inside TLS", "dtls": " inside DTLS"}
        return "STUN and TURN" + inside.get(listener.transport, "")
    if listener.service == "nat-discovery":
        return "STUN, for NAT discovery"
    return {"tls": "everything: page, signalling, STUN and TURN", "tcp": "redirect to HTTPS"}.get(
        listener.transport, listener.service)
