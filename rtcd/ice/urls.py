"""In which order clients should try the servers of this daemon, and how their URLs are written. Rules only."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence


def order(
    listeners: Sequence[tuple[str, int]], web: Container[int], shared: Mapping[str, int]
) -> list[tuple[str, int]]:
    """Transports and ports in the order in which a client should try them; DTLS is left out, as no browser speaks it.

    UDP goes first: at the port of TURN, then at the ``web`` port, which a firewall may let through alone. Of TCP and TLS
    there is one each, since every URL is one more relay for each call: the ``shared`` one if there is any, since the
    page came from that port, and the client knows it by that number.
    """
    udp = [(kind, shared.get(kind, 0) if port in web else port) for kind, port in listeners if kind == "udp"]
    streams = [(kind, [port for one, port in listeners if one == kind]) for kind in ("tcp", "tls")]
    found = [*udp, *((kind, shared.get(kind, own[0] if own else 0)) for kind, own in streams if own or kind in shared)]
    return list(dict.fromkeys(place for place in found if place[1]))


def turn_url(host: str, transport: str, port: int) -> str:
    """RFC 7065 §3.1; ``host`` as a URL needs it, ``transport`` one of ``udp``, ``tcp`` and ``tls``."""
    if transport == "tls":
        return f"turns:{host}:{port}?transport=tcp"
    return f"turn:{host}:{port}?transport={transport}"
