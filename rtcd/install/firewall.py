"""The commands that let the ports of a daemon through the firewall of its machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from rtcd.doorway.directory import Directory
from rtcd.welcome import ports


def firewall(directory: Directory, found: Callable[[str], str | None] = shutil.which) -> list[str]:
    """Commands that let the ports in, for the firewall that is installed here; nftables if that cannot be told."""
    pairs = [tuple(line.split()[:2]) for line in ports(directory)]
    if found("ufw"):
        return [f"ufw allow {span.replace('-', ':')}/{protocol}" for protocol, span in pairs]
    if found("firewall-cmd"):
        return [*(f"firewall-cmd --permanent --add-port={span}/{protocol}" for protocol, span in pairs),
                "firewall-cmd --reload"]
    spans = {one: ", ".join(span for protocol, span in pairs if protocol == one) for one in ("tcp", "udp")}
    return [f"nft add rule inet filter input {one} dport {{ {span} }} accept" for one, span in spans.items() if span]
