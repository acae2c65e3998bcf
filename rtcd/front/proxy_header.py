"""The PROXY protocol's header, versions 1 and 2: whom a proxy in front speaks for. Rules only.

Source: the HAProxy project's "The PROXY protocol", sections 2.1 and 2.2.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""Of version 2."""
MAX_V1_BYTES = 107
"""A line of version 1 is never longer, CRLF included."""
MAX_V2_BYTES = 16 + 1024
"""Addresses and what proxies like to add to them; a longer header is refused."""

_V1 = b"PROXY "
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21


class Header(NamedTuple):
    """A whole header."""

    client: tuple[str, int] | None
    """Whose connection it is; None if it is the proxy's own."""
    size: int
    """Its bytes; what follows is the client's."""


def parse(data: bytes) -> Header | None:
    """The header that ``data`` begins with, or None if more bytes are needed. Raises ValueError if it begins with none."""
    if data[:1] == b"P":
        return _parse_v1(data)
    if not SIGNATURE.startswith(data[:12]):
        raise ValueError("no PROXY header")
    if len(data) < 16:
        return None
    command, family, size = struct.unpack_from("!BBH", data, 12)
    end = 16 + size
    if end > MAX_V2_BYTES or command not in (_LOCAL, _PROXY):
        raise ValueError(f"a PROXY header of {end} bytes with command {command:#04x}")
    if len(data) < end:
        return None
    return Header(_v2_client(command, family, data[16:end]), end)


def _v2_client(command: int, family: int, block: bytes) -> tuple[str, int] | None:
    length = {_TCP4: 4, _TCP6: 16}.get(family)
    if command == _LOCAL or length is None:
        return None
    if len(block) < 2 * length + 4:
        raise ValueError("a PROXY header without its addresses")
    return str(ipaddress.ip_address(block[:length])), int.from_bytes(block[2 * length : 2 * length + 2], "big")


def _parse_v1(data: bytes) -> Header | None:
    line, end, _ = data[:MAX_V1_BYTES].partition(b"\r\n")
    if not _V1.startswith(line[:6]) or (not end and len(data) >= MAX_V1_BYTES):
        raise ValueError("no PROXY header")
    if not end:
        return None
    words = line.decode("ascii", "replace").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return Header(None, len(line) + 2)
    version = {"TCP4": 4, "TCP6": 6}.get(words[1] if len(words) == 6 else "")
    address = ipaddress.ip_address(words[2]) if version else None
    digits = words[4] if address is not None and address.version == version and "%" not in words[2] else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= 0xFFFF):
        raise ValueError("a PROXY line without its addresses")
    return Header((str(address), int(digits)), len(line) + 2)
