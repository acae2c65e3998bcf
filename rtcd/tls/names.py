"""Which certificate is for which name: host names with wildcards, and addresses. Rules only."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence


def canonical(name: str) -> str:
    """A name as it is compared: an address in its shortest form, a host name in lower case without a dot at its end."""
    bare = name.strip().strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return name.strip().lower().rstrip(".")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def is_address(name: str) -> bool:
    """Whether a name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def covers(names: Iterable[str], host: str) -> bool:
    """Whether a certificate for ``names`` is good for ``host`` (RFC 9525 §6.3): ``*`` stands for one whole first label."""
    wanted = canonical(host)
    parent = "" if is_address(wanted) else wanted.partition(".")[2]
    return any(canonical(one) in (wanted, f"*.{parent}" if parent else wanted) for one in names)


def uncovered(hosts: Iterable[str], many: Sequence[Sequence[str]]) -> list[str]:
    """Which of these hosts none of the certificates is for, each given by its names."""
    return [host for host in hosts if not any(covers(names, host) for names in many)]


class Choice:
    """Which of several certificates to show, each given by its names; made once, asked in every handshake."""

    def __init__(self, many: Sequence[Sequence[str]]) -> None:
        self._exact: dict[str, int] = {}
        for place, names in enumerate(many):
            for name in names:
                self._exact.setdefault(canonical(name), place)

    def pick(self, server_name: str, local_host: str) -> int:
        """The place of the certificate.

        ``server_name`` is what the client asks for (RFC 6066 §3); one that has it as it is goes before a wildcard. Who
        gives none, as for an address, gets the one for the address that he has come to. The first is for everybody else.
        """
        if not server_name:
            return self._exact.get(canonical(local_host), 0)
        wanted = server_name.lower().rstrip(".")
        parent = wanted.partition(".")[2]
        return self._exact.get(wanted, self._exact.get(f"*.{parent}", 0))
