"""Where a browser sees this site: strict reading of ``Host`` headers and of ``public-url``. No sockets here.

A base ends up in links, redirects and ICE URLs, so nothing may pass that is not a host name, an IPv4 address or
a bracketed IPv6 address, with a port or without, and perhaps a path of plain segments.
"""

from __future__ import annotations

import functools
import ipaddress
import re

from msgspec import Struct

MAX_HOST_CHARS = 253
"""A host name is never longer (RFC 1035 §2.3.4)."""

MAX_PREFIX_CHARS = 256
"""A longer path prefix is refused."""

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_NUMERIC = re.compile(r"[0-9.]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_URL = re.compile(r"(https?)://([^/?#@\\\s]+)(/[^?#\s]*)?", re.ASCII)
_PREFIX = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", re.ASCII)
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Authority(Struct, frozen=True):
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


class Base(Struct, frozen=True):
    """Where the site begins for a browser."""

    scheme: str
    """``https`` or ``http``."""
    authority: Authority
    prefix: str = ""
    """The path below which everything is, as ``/calls``; empty for the root."""

    @property
    def origin(self) -> str:
        """``https://host:port``."""
        return self.authority.origin(self.scheme)

    @property
    def url(self) -> str:
        """Origin and prefix, without a slash at the end."""
        return self.origin + self.prefix

    @property
    def port(self) -> int:
        """The port, whether the URL has to name it or not."""
        return self.authority.port or _DEFAULT_PORTS[self.scheme]

    def inside(self, path: str) -> str:
        """What of a path is below the prefix, as it is if none of it is: a proxy may have taken the prefix off."""
        if self.prefix and (path == self.prefix or path.startswith(f"{self.prefix}/")):
            return path[len(self.prefix) :] or "/"
        return path


@functools.lru_cache(1024)
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


def parse_prefix(text: str) -> str:
    """A path below which the site is, as ``/calls``; a slash at its end is taken off, so that the root is empty.

    Raises `ValueError`.
    """
    prefix = text.rstrip("/")
    if len(prefix) > MAX_PREFIX_CHARS or not _PREFIX.fullmatch(prefix):
        raise ValueError("is no path of letters, digits, dots, dashes and underscores")
    return prefix


def parse_public_url(text: str) -> Base:
    """Read ``https://host``, with a port and a path or without. Raises `ValueError`."""
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("must look like https://meet.example.org or https://192.0.2.1:8443/calls")
    return Base(match[1], parse_authority(match[2]), parse_prefix(match[3] or ""))


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


CACHED_HOSTS = 4096
"""Hosts of which it is remembered what they are: they are asked for in each request."""


@functools.lru_cache(CACHED_HOSTS)
def is_loopback(host: str) -> bool:
    """From this machine itself, as the connections of a proxy are: those are many people's."""
    try:
        return ipaddress.ip_address(unmapped(host)).is_loopback
    except ValueError:
        return False
