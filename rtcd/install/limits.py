"""The limits of the kernel that relaying by sockets runs into, as a file for sysctl.d. Nothing is lowered by it."""

from __future__ import annotations

from collections.abc import Mapping

NEEDED = {"net.core.rmem_max": 1048576, "net.core.wmem_max": 1048576}
"""What ``[turn] socket-buffer`` may be by its default. Linux itself allows 212992, a fiftieth of a second of 80 Mbit/s."""


def limits(present: Mapping[str, int], socket_buffer: int) -> str:
    """The text of the file. ``present``: what is in force; ``socket_buffer``: what the ini asks for, in bytes."""
    lines = ["# Made by rtcd install. Bytes that [turn] socket-buffer may ask for; a full buffer loses packets of calls."]
    lines += [f"{key} = {max(present.get(key, 0), needed, socket_buffer)}" for key, needed in NEEDED.items()]
    return "\n".join(lines) + "\n" + _CONNTRACK


_CONNTRACK = """\

# A firewall that tracks connections (nf_conntrack) has an entry for every client, and one for every relay and peer. When
# the table is full, new calls fail and the kernel's log says "table full, dropping packet". Compare
#     sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max
# at your busiest hour, and either allow more (300 bytes of memory each),
#net.netfilter.nf_conntrack_max = 262144
# or do not track what rtcd relays (the ports are those of [turn]):
#     nft add table inet rtcd
#     nft 'add chain inet rtcd before { type filter hook prerouting priority raw; }'
#     nft 'add chain inet rtcd out { type filter hook output priority raw; }'
#     nft add rule inet rtcd before udp dport { 3478, 49152-50175 } notrack
#     nft add rule inet rtcd out udp sport { 3478, 49152-50175 } notrack
"""
