"""The relay loop: a packet to our own relay and back by every way that clients have, and what it means where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rtcd.doctor.finding import Finding, as_root, broken, degraded, listed, note, ok
from rtcd.stun.attributes import Address

CONNECT, SHAKE, SILENT, REFUSED, LOST, GARBAGE = "connect", "handshake", "silent", "refused", "lost", "garbage"
"""Where a loop ends: no TCP connection, no TLS or DTLS, no answer, an error response, no data back, nothing of TURN."""
UNAUTHORIZED, REDIRECTED, DRAINING, OTHER_FAMILY = 401, 300, 403, (440, 443)


class Way(NamedTuple):
    """How a client comes to a relay."""

    transport: str
    """``udp``, ``tcp``, ``tls`` or ``dtls``."""
    address: Address
    elsewhere: bool = False
    """Whether it is a server that ``[ice] servers`` names, and perhaps another daemon."""

    @property
    def shown(self) -> str:
        """For people."""
        host, port = self.address
        return f"{self.transport} [{host}]:{port}" if ":" in host else f"{self.transport} {host}:{port}"


class Loop(NamedTuple):
    """What became of one."""

    way: Way
    end: str = ""
    """Empty if the data came back."""
    code: int = 0
    """Of the error response."""
    reason: str = ""
    milliseconds: float = 0.0
    relayed: str = ""
    """What the client was told as its relay."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All of them."""

    loops: Sequence[Loop]
    source: str = ""
    """Where the credentials come from: a file, the ini, or ``--user``; empty if there were none to try with."""
    fault: str = ""
    """Why there were none."""
    named: bool = False
    """Whether they are those of a user whom the operator has named."""
    reload: str = ""
    ini: str = ""
    nowhere: Sequence[str] = ()
    """Names of ``[ice] servers`` that have no address."""


def judge(facts: Facts) -> list[Finding]:
    """The same answer by several ways is one finding."""
    names = [broken("relay.nowhere", names=listed(facts.nowhere))] if facts.nowhere else []
    if facts.fault:
        return [*names, note("relay.no-secret", reason=facts.fault, command=as_root(facts.ini))]
    good = [one for one in facts.loops if not one.end]
    bad = [one for one in facts.loops if one.end]
    found: list[Finding] = names
    groups: dict[tuple[str, int, bool], list[Loop]] = {}
    for one in bad:
        groups.setdefault((one.end, one.code if one.end == REFUSED else 0, one.way.elsewhere), []).append(one)
    for (_, _, elsewhere), loops in groups.items():
        alone = not any(one.way.elsewhere == elsewhere for one in good)
        found.append(_judged(loops, facts, elsewhere=elsewhere, alone=alone))
    if good:
        slowest = max(one.milliseconds for one in good)
        found.append(ok("relay.good", ways=listed((one.way.shown for one in good), 20), slowest=f"{slowest:.0f}"))
    return found


def _judged(loops: Sequence[Loop], facts: Facts, *, elsewhere: bool, alone: bool) -> Finding:
    first = loops[0]
    values = {"ways": listed(one.way.shown for one in loops), "reason": first.reason or "-", "source": facts.source,
              "code": str(first.code), "relayed": first.relayed or "-"}
    level = broken if alone or any(one.way.transport == "udp" for one in loops) else degraded
    if first.end == REFUSED:
        if first.code == UNAUTHORIZED:
            if elsewhere:
                return broken("relay.other-secret", **values)
            if facts.named:
                return broken("relay.wrong-password", **values)
            return broken("relay.secret-mismatch", command=facts.reload, **values)
        if first.code == REDIRECTED:
            return note("relay.redirected", **values)
        if first.code == DRAINING and not first.relayed:
            return note("relay.draining", **values)
        if first.code in OTHER_FAMILY:
            return note("relay.no-family", **values)
        return level("relay.refused", **values)
    names = {CONNECT: "relay.connect", SHAKE: "relay.handshake", SILENT: "relay.silent", LOST: "relay.lost"}
    return level(names.get(first.end, "relay.garbage"), **values)
