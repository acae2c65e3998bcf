"""Which names somebody on the internet could know us by, by their looks alone; rtcd.outside.reach asks the world. No
sockets here.
"""

from __future__ import annotations

import ipaddress
import re

from rtcd.tls.names import canonical

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{4,253}}$){_LABEL}(?:\.{_LABEL})+", re.ASCII)

PRIVATE_KINDS = frozenset({
    "alt", "arpa", "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain",
    "localhost", "onion", "private", "test",
})
"""Last labels that no authority certifies: those of special use (RFC 6761, 7686, 9476, home.arpa of RFC 8375), and
those that home and company networks have given themselves."""


def public_name(text: str) -> bool:
    """Whether an authority of the internet could certify it: a full host name of no private kind, or one unicast address
    of the internet. A wildcard is none: nothing that can be shown on a port proves it."""
    plain = canonical(text)
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        last = plain.rpartition(".")[2]
        return _NAME.fullmatch(plain) is not None and not last.isdigit() and last not in PRIVATE_KINDS
    return address.is_global and not (address.is_multicast or address.is_reserved)
