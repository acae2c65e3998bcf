"""The ini: every fault of it, each with the line that the daemon would end with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtcd.doctor.finding import Finding, as_root, broken, note, ok


@dataclass(frozen=True, slots=True)
class Facts:
    """What reading it gave."""

    ini: str
    faults: Sequence[str]
    services: Sequence[str]
    """Which it turns on."""
    hidden: Sequence[str] = ()
    """What could not be looked at by this user, each with the reason."""


def judge(facts: Facts) -> list[Finding]:
    """A finding a fault."""
    found = [broken("configuration.fault", ini=facts.ini, fault=one) for one in facts.faults]
    found += [note("configuration.unseen", ini=facts.ini, fault=one, command=as_root(facts.ini)) for one in facts.hidden]
    if not facts.services and not found:
        found.append(broken("configuration.empty", ini=facts.ini))
    return found or [ok("configuration.good", ini=facts.ini, services=", ".join(facts.services))]
