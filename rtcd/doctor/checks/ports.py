"""Every port of the configuration: whether it is open, and by whom."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rtcd.doctor.checks import daemon
from rtcd.doctor.finding import Finding, as_root, broken, degraded, listed, note, ok
from rtcd.endpoints import MAX_PORT, place_of

WILDCARDS = {"0.0.0.0": 4, "::": 6}

_DENIED = ("EACCES", "EPERM")


class Wanted(NamedTuple):
    """A socket that the ini asks for."""

    key: str
    """``[section] key``."""
    protocol: str
    """``tcp`` or ``udp``."""
    host: str
    """An address, or a wildcard; ``::`` takes IPv4 as well."""
    port: int
    handed: bool = False
    """Whether systemd opens it and hands it over."""


class Holder(NamedTuple):
    """A socket that is open."""

    protocol: str
    host: str
    port: int
    user: int
    pid: int = 0
    """0 if it cannot be seen whose it is."""
    program: str = ""
    unit: str = ""
    """The systemd unit of that process; of systemd itself the one of the socket."""
    rtcd: str = ""
    """What it was started on, if it is a daemon like ours."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is wanted and what is there."""

    wanted: Sequence[Wanted]
    holders: Sequence[Holder]
    refused: Mapping[Wanted, str]
    """Without a daemon: which of them could not be bound, and the errno's name, as ``EACCES``."""
    daemon: daemon.Facts
    unknown: Sequence[str] = ()
    """Keys of listeners that have no number, and of which it is not known where they are."""
    drops: bool = False
    """Whether the daemon is to be started as root and we are not (``[daemon] user``)."""
    ini: str = ""


def endpoints(key: str, texts: Iterable[str]) -> list[Wanted]:
    """The TCP ports in endpoint strings; what is inherited, a unix socket, or chosen by the system is none."""
    found = []
    for text in texts:
        place = place_of(text)
        if place is not None and 0 < place.port <= MAX_PORT:
            found.append(Wanted(key, "tcp", place.host or "::", place.port))
    return found


def judge(facts: Facts) -> list[Finding]:
    """One finding a port and fault; those that are as they should be are told together."""
    found: list[Finding] = []
    good: dict[str, None] = {}
    others: dict[Holder, list[Wanted]] = {}
    denied = _denied(facts)
    for one in facts.wanted:
        if one in denied:
            continue
        there = [held for held in facts.holders if _same(one, held)]
        other = next((held for held in there if held.rtcd), None)
        if not facts.daemon.pid and other is not None:
            others.setdefault(Holder("", "", 0, 0, other.pid, "", other.unit, other.rtcd), []).append(one)
            continue
        fault = _with_daemon(one, there, facts.daemon) if facts.daemon.pid else _without(one, there, facts)
        if fault is None:
            good[_port(one)] = None
        elif fault not in found:
            found.append(fault)
    for other, wanted in others.items():
        found.append(note("ports.other-daemon", ports=_ports(wanted), pid=other.pid, ini=other.rtcd))
    found += _no_right(denied, facts) if denied else []
    found += [note("ports.unknown", key=one) for one in facts.unknown]
    if good and facts.daemon.pid:
        found.append(ok("ports.open", ports=listed(good, 20), pid=facts.daemon.pid))
    elif good:
        found.append(ok("ports.free", ports=listed(good, 20)))
    return found


def _with_daemon(one: Wanted, there: Sequence[Holder], running: daemon.Facts) -> Finding | None:
    """What was opened before the daemon became an ordinary user is root's for the system."""
    if any(held.pid == running.pid or (not held.pid and held.user in (running.user, 0)) or (one.handed and held.pid == 1)
           for held in there):
        return None
    if there:
        return _taken(one, there[0])
    command = running.restart()
    if one.host in WILDCARDS or one.port == 0:
        return broken("ports.closed", command=command, key=one.key, protocol=one.protocol, port=one.port, host=one.host)
    return degraded("ports.closed-here", command=command, key=one.key, protocol=one.protocol, port=one.port, host=one.host)


def _without(one: Wanted, there: Sequence[Holder], facts: Facts) -> Finding | None:
    reason = facts.refused.get(one, "")
    values = {"key": one.key, "protocol": one.protocol, "port": str(one.port), "host": one.host}
    if reason == "EADDRINUSE":
        return _taken(one, there[0] if there else None)
    if reason in _DENIED:
        return _taken(one, there[0]) if there else None
    if reason == "EADDRNOTAVAIL":
        return broken("ports.no-address", **values)
    return note("ports.refused", reason=reason, **values) if reason else None


def _denied(facts: Facts) -> list[Wanted]:
    """The ports that this user may not open, and nobody has. A unit has the right that we lack."""
    return [one for one in facts.wanted if facts.refused.get(one) in _DENIED and not facts.daemon.unit
            and not any(_same(one, held) for held in facts.holders)]


def _no_right(denied: Sequence[Wanted], facts: Facts) -> list[Finding]:
    """All together: the lowest one that everybody may open is one number."""
    values = {"ports": _ports(denied), "keys": listed(dict.fromkeys(one.key for one in denied))}
    if facts.drops:
        return [note("ports.not-tried", command=as_root(facts.ini), **values)]
    command = f"sysctl -w net.ipv4.ip_unprivileged_port_start={min(one.port for one in denied)}"
    return [broken("ports.no-right", command=command, **values)]


def _taken(one: Wanted, held: Holder | None) -> Finding:
    """The command ends whoever has it, unless that is a daemon like ours or systemd itself."""
    values = {"key": one.key, "protocol": one.protocol, "port": str(one.port)}
    if held is None or not held.pid:
        return broken("ports.taken-unseen", command=f"ss -lnp '( sport = :{one.port} )'", **values)
    command = "" if held.rtcd or held.pid == 1 else f"kill {held.pid}"
    if held.unit and not held.rtcd:
        command = f"systemctl disable --now {shlex.quote(held.unit)}"
    return broken("ports.taken", command=command, program=held.unit if held.pid == 1 and held.unit else held.program,
                  pid=held.pid, **values)


def _port(one: Wanted) -> str:
    return f"{one.protocol} {one.port}"


def _ports(several: Iterable[Wanted]) -> str:
    return listed(dict.fromkeys(map(_port, several)), 20)


def _same(one: Wanted, held: Holder) -> bool:
    if (one.protocol, one.port) != (held.protocol, held.port):
        return False
    if one.host == held.host or held.host == "::":
        return True
    if one.host in WILDCARDS:
        return one.host == "::" or ipaddress.ip_address(held.host).version == WILDCARDS[one.host]
    return held.host in WILDCARDS and ipaddress.ip_address(one.host).version == WILDCARDS[held.host]
