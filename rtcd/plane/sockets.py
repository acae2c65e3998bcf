"""The UDP sockets of the Python relay plane: how they are opened and what is asked of the kernel for them."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.logger import Logger

from rtcd.stun.attributes import Address, family_of

IP_MTU_DISCOVER = 10
IP_PMTUDISC_DONT = 0
IP_PMTUDISC_DO = 2
"""Of <linux/in.h>; Python does not name them."""

SocketAddress = tuple[Any, ...]
"""An address as the socket module has it: two values for IPv4, four for IPv6."""

_log = Logger()


def open_udp(host: str, port: int, buffer_bytes: int) -> socket.socket:
    """A bound socket that never blocks. ``buffer_bytes``: in each direction, 0 for the system's default. Raises OSError."""
    version6 = family_of(host) == 2
    sock = socket.socket(socket.AF_INET6 if version6 else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if version6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        let_routers_fragment(sock)
        _set_buffers(sock, buffer_bytes)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def adopt_udp(descriptor: int, buffer_bytes: int = 0) -> socket.socket:
    """The socket behind an inherited descriptor, which is ours now. Raises OSError, and then it is closed."""
    sock = socket.socket(fileno=descriptor)
    try:
        if sock.type != socket.SOCK_DGRAM or sock.family not in (socket.AF_INET, socket.AF_INET6):
            raise OSError(errno.EPROTOTYPE, "is no UDP socket")
        sock.setblocking(False)
        sock.set_inheritable(False)
        let_routers_fragment(sock)
        _set_buffers(sock, buffer_bytes)
    except BaseException:
        sock.close()
        raise
    return sock


def _set_buffers(sock: socket.socket, buffer_bytes: int) -> None:
    if buffer_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)


def let_routers_fragment(sock: socket.socket) -> None:
    """DF clear on IPv4 (RFC 8656 §14): nobody asked for DONT-FRAGMENT."""
    if sock.family == socket.AF_INET:
        ask(sock, socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)


def ask(sock: socket.socket, level: int, option: int, value: int) -> bool:
    """Set an option that we can do without; False if the kernel does not know it."""
    try:
        sock.setsockopt(level, option, value)
    except OSError as error:
        _log.debug("socket option {option} of level {of} is not to be had: {reason}", option=option, of=level,
                   reason=error.strerror)
        return False
    return True


def socket_address(address: Address) -> SocketAddress:
    """As the socket module writes the addresses that it returns, so that the two are equal."""
    return (*address, 0, 0) if ":" in address[0] else address
