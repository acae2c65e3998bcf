"""`RelaySockets`: sockets at relay ports, the ports behind them, and those that are held for whoever brings their token.

Which port is next is decided by rtcd.allocations.addresses; part of the Python relay plane, rtcd.plane.relay.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from rtcd.allocations.addresses import MAX_PORT_TRIES, Ports
from rtcd.plane.sockets import open_udp
from rtcd.stun.attributes import Address


class RelaySockets:
    """Opens them; a port is given back exactly when its socket is closed."""

    def __init__(self, new_ports: Callable[[], Ports], seconds: Callable[[], float], buffer_bytes: int) -> None:
        """``new_ports()``: the relay ports of one more host. ``buffer_bytes``: see `open_udp`."""
        self.new_ports = new_ports
        self._seconds = seconds
        self._buffer_bytes = buffer_bytes
        self._ports: dict[str, Ports] = {}
        self.held: dict[bytes, socket.socket] = {}
        """By token."""

    def open(self, host: str, even: bool, reserves: bytes) -> socket.socket:
        """A socket at a port that was free, and with a token one more at the next port, which is held. Raises OSError; a
        port that somebody else has rests like one of ours."""
        ports = self._ports.get(host)
        if ports is None:
            ports = self._ports[host] = self.new_ports()
        now = self._seconds()
        for _ in range(MAX_PORT_TRIES):
            port = ports.take(now, even)
            if port is None:
                break
            if reserves and not ports.claim(port + 1):
                ports.give_back(port, now)
                continue
            sock = None
            try:
                sock = open_udp(host, port, self._buffer_bytes)
                if reserves:
                    self.held[reserves] = open_udp(host, port + 1, self._buffer_bytes)
                return sock
            except BaseException as error:
                if sock is not None:
                    sock.close()
                for one in (port, port + 1) if reserves else (port,):
                    ports.give_back(one, now)
                if not isinstance(error, OSError) or error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EADDRINUSE, "no relay port is free")

    def claim(self, token: bytes) -> socket.socket:
        """The socket that is held under this token, which is good once. Raises OSError."""
        sock = self.held.pop(token, None)
        if sock is None:
            raise OSError(errno.EADDRNOTAVAIL, "no port is held under this token")
        return sock

    def release(self, token: bytes) -> None:
        """Nobody claims it any more. One that is not held is no fault."""
        sock = self.held.pop(token, None)
        if sock is not None:
            self.close(sock)

    def close(self, sock: socket.socket) -> None:
        """Close one that `open` or `claim` returned."""
        address: Address = sock.getsockname()[:2]
        sock.close()
        self.closed(address)

    def closed(self, address: Address) -> None:
        """One at this address is closed already."""
        host, port = address
        self._ports[host].give_back(port, self._seconds())

    def stop(self) -> None:
        """Let go of what is held."""
        for token in list(self.held):
            self.release(token)
