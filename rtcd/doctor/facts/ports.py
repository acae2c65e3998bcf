"""Reads which sockets are open on this machine and whose they are, and, without a daemon, tries to bind those that are
wanted."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection

from rtcd.doctor.checks.ports import Facts, Holder, Wanted
from rtcd.doctor.facts.process import Process, ini_of
from rtcd.doctor.facts.sockets import owners, sockets
from rtcd.doctor.facts.subject import Subject
from rtcd.doctor.facts.units import unit_of


def gather(subject: Subject) -> Facts:
    """Owners are known as far as we may look into other processes."""
    places = subject.places()
    running = subject.process
    holders = _holders({(one.protocol, one.port) for one in places.wanted}, running)
    tried = [] if running is not None else [one for one in places.wanted if not one.handed]
    refused = {one: reason for one in tried if (reason := _try(one))}
    drops = bool(subject.section("daemon").user) and os.geteuid() != 0
    return Facts(places.wanted, holders, refused, subject.daemon, unknown=places.unknown, drops=drops, ini=subject.ini)


def _holders(places: Collection[tuple[str, int]], running: Process | None) -> list[Holder]:
    """The open sockets at these protocols and ports."""
    found = {one.inode: one for one in sockets() if (one.protocol, one.port) in places}
    seen = owners(set(found), running)
    holders = []
    for inode, one in found.items():
        held = Holder(one.protocol, one.host, one.port, one.user)
        owner = seen.get(inode)
        if owner is not None:
            unit = unit_of(one.protocol, one.port) if (owner.pid, owner.program) == (1, "systemd") else owner.unit
            held = held._replace(pid=owner.pid, program=owner.program, unit=unit, rtcd=ini_of(owner))
        holders.append(held)
    return holders


def _try(one: Wanted) -> str:
    """The errno's name if it cannot be bound. Nothing listens there in the meantime."""
    family = socket.AF_INET6 if ":" in one.host else socket.AF_INET
    kind = socket.SOCK_STREAM if one.protocol == "tcp" else socket.SOCK_DGRAM
    try:
        with socket.socket(family, kind) as tried:
            if one.protocol == "tcp":
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((one.host, one.port))
            if one.protocol == "tcp":
                tried.listen(1)  # with SO_REUSEADDR only this tells that somebody else listens
    except OSError as error:
        no_ipv6 = family == socket.AF_INET6 and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
        if no_ipv6 and one.host == "::":
            return ""
        return errno.errorcode.get(error.errno or 0, str(error))
    return ""
