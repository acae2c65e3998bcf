"""Which origin a browser sees: strict reading of ``Host`` headers and of ``public-url``. No sockets here.

An origin ends up in links, redirects and ICE URLs, so nothing may pass that is not a host name, an IPv4 address or
a bracketed IPv6 address, with a port or without.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

MAX_HOST_CHARS = 253
"""A host name is never longer (RFC 1035 §2.3.4)."""

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_NUMERIC = re.compile(r"[0-9.]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_URL = re.compile(r"(https?)://([^/?#@\\\s]+)/?", re.ASCII)
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Authority:
    """A host and a port, as a URL holds them."""

    host: str
    """In lower case; an IPv6 address without its brackets."""
    port: int | None
    """None where the text had none."""

    @property
    def bracketed(self) -> str:
        """The host as a URL needs it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def origin(self, scheme: str) -> str:
        """``scheme://host`` and the port, left out where the scheme has it by default."""
        if self.port is None or self.port == _DEFAULT_PORTS[scheme]:
            return f"{scheme}://{self.bracketed}"
        return f"{scheme}://{self.bracketed}:{self.port}"


def parse_authority(text: str) -> Authority:
    """Read ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``. Raises `ValueError`."""
    match = _AUTHORITY.fullmatch(text)
    if match is None or len(text) > MAX_HOST_CHARS + 8:
        raise ValueError("is not a host name or address, with a port or without")
    host, digits = match.groups()
    port = int(digits) if digits else None
    if port is not None and not 0 < port < 65536:
        raise ValueError("has no port between 1 and 65535")
    return Authority(_host(host), port)


def parse_public_url(text: str) -> tuple[str, Authority]:
    """Read ``https://host`` or ``https://host:port`` into scheme and authority. Raises `ValueError`."""
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("must look like https://meet.example.org or https://192.0.2.1:8443, without a path")
    return match[1], parse_authority(match[2])


def unmapped(host: str) -> str:
    """An address as a person would write it: no scope, and IPv4 not in IPv6's clothes."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _host(text: str) -> str:
    if text.startswith("["):
        return str(ipaddress.IPv6Address(text[1:-1]))
    if _NUMERIC.fullmatch(text):
        return str(ipaddress.IPv4Address(text))
    if len(text) > MAX_HOST_CHARS or not _NAME.fullmatch(text):
        raise ValueError("is no host name")
    return text.lower()


def client_host(peer: str, secure: bool, forwarded: str) -> str:
    """Whom limits by address are to count: ``peer``, or whom a proxy on this machine has named.

    ``peer`` is where the connection comes from, empty for a unix socket; ``forwarded`` what ``X-Forwarded-For`` says.
    Only a connection without TLS from this machine itself can be a proxy's, and only its last entry is the proxy's own.
    """
    if secure or not (peer == "" or ipaddress.ip_address(unmapped(peer)).is_loopback):
        return peer
    try:
        return str(ipaddress.ip_address(forwarded.rpartition(",")[2].strip().strip("[]")))
    except ValueError:
        return peer


def is_loopback(host: str) -> bool:
    """From this machine itself, as the connections of a proxy are: those are many people's."""
    try:
        return ipaddress.ip_address(unmapped(host)).is_loopback
    except ValueError:
        return False
