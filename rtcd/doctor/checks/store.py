"""The store of rooms, if that is a Redis: without it nobody joins, and one that throws keys away loses calls."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from rtcd.cluster.address import MINIMUM, too_old
from rtcd.doctor.finding import Finding, broken, degraded, note, ok

SLOW_S = 0.02
"""Every message waits for at least one answer; a room far away is heard."""
CLOCK_S = 2.0
"""Deadlines of rooms go by the clocks of the nodes."""
LOCAL = ("127.0.0.1", "::1", "localhost")
SERVICE = "redis-server"
"""Debian's unit."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one Redis said; None where it may not say."""

    where: str
    """As the ini names it, without the password."""
    host: str = ""
    port: int = 0
    path: str = ""
    """Of its unix socket."""
    tls: bool = False
    password: bool = False
    """Whether we have one."""
    fault: str = ""
    """Why it could not be asked."""
    there: bool = False
    """Whether something answered in the way of another program or another authority, so that no restart mends it."""
    unasked: str = ""
    """What of ours is at fault, for which it was not asked."""
    refused: bool = False
    """It answered, and did not take our password, or wants one."""
    ini: str = ""
    key: str = ""
    """Of ``[rooms]`` in it: where the password is, or belongs."""
    database: int = 0
    """That it does not have, if there is a fault."""
    unwritable: str = ""
    """Why it changes nothing at the moment, although it answers."""
    version: str = ""
    role: str = "master"
    policy: str | None = None
    limited: bool | None = None
    """Whether its memory has a limit; without one no policy is needed."""
    kept: bool | None = None
    """Whether it writes to a disk, or has replicas."""
    latency_s: float = 0.0
    ahead_s: float = 0.0
    """Its clock less ours."""
    nodes: int = 0
    """Processes that share the rooms."""
    strangers: int = 0
    """Those of them that sign with a secret that is not accepted here."""
    source: str = ""
    """Where our secret is."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Every Redis of ``[rooms] store``."""

    asked: Sequence[Asked]


def judge(facts: Facts) -> list[Finding]:
    """One after the other."""
    found: list[Finding] = []
    for one in facts.asked:
        found += list(_judged(one)) or [
            ok("store.good", where=one.where, version=one.version, ms=f"{1000 * one.latency_s:.1f}")]
    return found


def _judged(one: Asked) -> list[Finding]:
    mends = (bool(one.path) or one.host in LOCAL) and not one.there
    if one.unasked:
        return [note("store.not-asked", where=one.where, reason=one.unasked)]
    if one.refused:
        return [broken("store.password", where=one.where, reason=one.fault, key=one.key, ini=one.ini)]
    if one.fault and one.database:
        return [broken("store.database", where=one.where, reason=one.fault, number=str(one.database), ini=one.ini)]
    if one.fault:
        return [broken("store.unreachable", command=f"systemctl restart {SERVICE}" if mends else "", where=one.where,
                       reason=one.fault, ini=one.ini)]
    found = []
    if too_old(one.version):
        found.append(broken("store.old", where=one.where, version=one.version, minimum=MINIMUM))
    if one.role != "master":
        found.append(broken("store.replica", where=one.where, role=one.role))
    elif one.unwritable:
        found.append(broken("store.unwritable", where=one.where, reason=one.unwritable))
    if one.limited and one.policy not in (None, "noeviction"):
        found.append(broken("store.evicts", where=one.where, policy=one.policy, command=_set(
            one, "maxmemory-policy noeviction")))
    if one.kept is False:
        found.append(degraded("store.unsaved", where=one.where, command=_set(one, "appendonly yes")))
    if one.latency_s > SLOW_S:
        found.append(degraded("store.slow", where=one.where, ms=f"{1000 * one.latency_s:.0f}"))
    if abs(one.ahead_s) > CLOCK_S:
        found.append(degraded("store.clock", command="timedatectl set-ntp true", where=one.where,
                              seconds=f"{abs(one.ahead_s):.0f}", sign="+" if one.ahead_s > 0 else "−"))
    if one.strangers:
        found.append(degraded("store.strangers", where=one.where, count=one.strangers, nodes=one.nodes, source=one.source))
    return found


def _set(one: Asked, what: str) -> str:
    """A setting, for now and in the file of the server. A password is asked for, and is in no list of processes."""
    place = f"-s {shlex.quote(one.path)}" if one.path else f"-h {shlex.quote(one.host)} -p {one.port}"
    return f"redis-cli {place}{' --tls' if one.tls else ''}{' --askpass' if one.password else ''} config set {what}"
