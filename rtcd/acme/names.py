"""Which names an authority of the internet could certify, by their looks alone, and what it calls them in a handshake.

rtcd.acme.reach asks the world whether such a name leads to us. No sockets here.
"""

from __future__ import annotations

import ipaddress
import re

from rtcd.tls.names import canonical

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{4,253}}$){_LABEL}(?:\.{_LABEL})+", re.ASCII)
_REVERSE_4 = re.compile(r"((?:[0-9]{1,3}\.){4})in-addr\.arpa", re.ASCII)
_REVERSE_6 = re.compile(r"((?:[0-9a-f]\.){32})ip6\.arpa", re.ASCII)

PRIVATE_KINDS = frozenset({
    "alt", "arpa", "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain",
    "localhost", "onion", "private", "test",
})
"""Last labels that no authority certifies: those of special use (RFC 6761, 7686, 9476, home.arpa of RFC 8375), and
those that home and company networks have given themselves."""


def from_sni(name: str) -> str:
    """The identifier that a server name in a ClientHello means: an address is sent as its reverse name (RFC 8738 §6)."""
    plain = canonical(name)
    four = _REVERSE_4.fullmatch(plain)
    if four is not None:
        return canonical(".".join(reversed(four[1].rstrip(".").split("."))))
    six = _REVERSE_6.fullmatch(plain)
    if six is not None:
        digits = "".join(reversed(six[1].split(".")))
        return canonical(":".join(digits[place:place + 4] for place in range(0, 32, 4)))
    return plain


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
