"""`Path`: a way from a browser to this daemon that a check tries. Which there are, made of URLs. Rules only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_SERVERS = 12
"""TURN and STUN URLs that are tried, each; those behind them are left out."""

_URL = re.compile(r"(stun|turns?):([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?:\?transport=(udp|tcp))?")
"""RFC 7064 §3.1, RFC 7065 §3.1."""
_PORTS = {"stun": 3478, "turn": 3478, "turns": 5349}


class Listening(Protocol):
    """An open socket of this daemon, or a range of ports if `last_port` is set."""

    @property
    def service(self) -> str:
        """``turn`` or ``web``."""

    @property
    def transport(self) -> str:
        """``udp``, ``tcp``, ``tls`` or ``dtls``."""

    @property
    def port(self) -> int:
        """Its port."""

    @property
    def last_port(self) -> int | None:
        """Of a range."""


@dataclass(frozen=True, slots=True)
class Path:
    """One way."""

    id: str
    """Unique in a check: ``https``, ``wss``, ``stun-3478``, ``udp-3478``, ``tcp-443``, ``tls-443``."""
    kind: str
    """``https``, ``wss``, ``stun`` or ``turn``."""
    transport: str
    """``udp``, ``tcp`` or ``tls``."""
    host: str
    """As in the URL."""
    port: int
    """As the browser knows it."""
    url: str
    local: frozenset[int] = frozenset()
    """The ports of ours that it may lead to: another one where something in front translates. None: it does not lead here,
    as far as we know."""
    shared: bool = False
    """Whether the page comes by the same port of the same host."""


def paths(
    turn: Sequence[str], stun: Sequence[str], base: tuple[str, str, int], wss: str, listeners: Iterable[Listening], *,
    own: bool,
) -> list[Path]:
    """All that there are to try, in the order in which they are shown.

    ``base``: URL, host and port of the site as the browser sees it; ``wss``: the URL of signalling, or nothing. ``own``:
    whether the TURN URLs are those of this daemon, which has these listeners.
    """
    url, host, port = base
    secure = url.startswith("https:")
    kept = [one for one in listeners if one.last_port is None]
    found = [Path("https", "https", "tls" if secure else "tcp", host, port, url)]
    if wss:
        found.append(Path("wss", "wss", "tls" if secure else "tcp", host, port, wss))
    for one in (*turn[:MAX_SERVERS], *stun[:MAX_SERVERS]):
        match = _URL.fullmatch(one)
        if match is None:
            continue
        scheme, its_host, digits, named = match.groups()
        kind, transport = ("stun", "udp") if scheme == "stun" else ("turn", "tls" if scheme == "turns" else named or "udp")
        its_port = int(digits or _PORTS[scheme])
        name = f"{'stun' if kind == 'stun' else transport}-{its_port}"
        number = sum(one.id == name or one.id.startswith(f"{name}-") for one in found)
        found.append(Path(
            f"{name}-{number + 1}" if number else name, kind, transport, its_host, its_port, one,
            _local(transport, its_port, kept) if own else frozenset(),
            (its_host, its_port) == (host, port) and transport != "udp"))
    return found


def _local(transport: str, port: int, listeners: Sequence[Listening]) -> frozenset[int]:
    """That port, if something listens there by this transport; else the shared ones: the browser knows these by another
    number."""
    web = frozenset(one.port for one in listeners if (one.service, one.transport) == ("web", "tls"))
    if port in {one.port for one in listeners if (one.service, one.transport) == ("turn", transport)}:
        return frozenset((port,))
    return frozenset((port,)) if port in web else web
