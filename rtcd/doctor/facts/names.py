"""Resolves the public name, as a program on this machine does."""

from __future__ import annotations

import socket

from rtcd.doctor.checks.names import Facts
from rtcd.doctor.facts.subject import Subject
from rtcd.front.origin import unmapped
from rtcd.tls.names import is_address

MAX_ADDRESSES = 64


def gather(subject: Subject) -> Facts:
    """Beside the addresses of this machine."""
    base = subject.public
    if base is None:
        return Facts("")
    host = base.authority.host
    outside = tuple(one.public for one in subject.discovered())
    proxied = bool(subject.section("doorway").plain)
    try:
        found = [host] if is_address(host) else [
            str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        silent = getattr(error, "errno", None) == socket.EAI_AGAIN
        return Facts(base.url, host, (), reason, subject.addresses, outside, proxied, silent)
    resolved = list(dict.fromkeys(map(unmapped, found)))[:MAX_ADDRESSES]
    return Facts(base.url, host, resolved, "", subject.addresses, outside, proxied)
