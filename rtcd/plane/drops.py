"""Why the Python relay plane drops a datagram, and how what is in the way of sending says so.

A packet's path calls a ``sendto`` and counts an OSError as a drop; `metered` is such a ``sendto`` around another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rtcd.allocations.meter import Meter, take_all
from rtcd.metrics import Counter

DROPS = ("no-protocol", "no-channel", "truncated", "no-permission", "send-failed", "receive-failed", "rate", "icmp",
         "slow-client", "ttl")
"""``no-protocol``: from a client, and neither STUN nor ChannelData, nor DTLS where that is served. ``rate``: refused by
a meter. ``icmp``: an ICMP error that its client is not told, since it was told so many already. ``slow-client``: for a
client that does not read its connection, or too long for one by DTLS. ``ttl``: has come its last hop."""

PACKET_BYTES = 28
"""What a datagram is charged for its IPv4 and UDP headers, so that empty ones are not free."""

SendTo = Callable[..., object]
"""``sendto(data, address)`` as of a socket."""


class Dropped(OSError):
    """Not sent, and not because of the network."""

    def __init__(self, counter: Counter) -> None:
        """``counter``: of the reason."""
        super().__init__()
        self.counter = counter


def metered(sendto: SendTo, meters: Callable[[], Sequence[Meter]], seconds: Callable[[], float], rate: Counter) -> SendTo:
    """``sendto``, for what all of ``meters()`` let pass at ``seconds()``."""

    def send(data: bytes | memoryview, address: object) -> None:
        if not take_all(meters(), len(data) + PACKET_BYTES, seconds()):
            raise Dropped(rate)
        sendto(data, address)

    return send
