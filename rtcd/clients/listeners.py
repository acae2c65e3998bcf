"""`Listeners`: opens the client-facing sockets of the TURN service, takes inherited ones over, and announces them all.

UDP sockets are the relay plane's, stream sockets the reactor's. What cannot be opened is the operator's one clear line.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger

from rtcd.allocations.allocation import Transport
from rtcd.clients.listening import Line, Place, inherited, plan
from rtcd.config import ConfigError
from rtcd.doorway.directory import Directory, Listener
from rtcd.doorway.immediate import at_once
from rtcd.front.origin import unmapped
from rtcd.interfaces import IRelayPlane
from rtcd.privileges import PRIVILEGE

SERVICE = "turn"
"""Our name in the directory."""
ALTERNATE = "nat-discovery"
"""The name of the second ports of NAT behaviour discovery there."""

BACKLOG = 1024
"""Connections that wait to be accepted: after a restart every client comes back at once."""

_WILDCARDS = ("0.0.0.0", "::")
_BY_UDP = ("udp", "dtls")


class Listeners:
    """The sockets that are open. ``factories``: what gets the connections of each kind of stream."""

    _log = Logger()

    def __init__(
        self, reactor: Any, directory: Directory, factories: Mapping[Transport, IProtocolFactory],
        shared: Callable[[str, int], int] | None = None,
    ) -> None:
        """``shared(host, port)``: a descriptor of a UDP socket that other processes have one of too; raises OSError."""
        self._shared = shared
        self._reactor = reactor
        self._directory = directory
        self._factories = factories
        self._ports: list[IListeningPort] = []
        self._announced: list[Listener] = []
        self.stun = True
        """Whether those that are announced from now on answer anybody's STUN Binding."""

    def open(
        self, plane: IRelayPlane, places: Sequence[Place], own: Sequence[str], ports: Mapping[Transport, int]
    ) -> list[str]:
        """Open everything and return the hosts, in order. Raises ConfigError; what was opened is to be closed then.

        ``ports``: the port of each transport that is on.
        """
        for line in plan(places, own, ports):
            try:
                host, port = self._open(plane, line)
            except OSError as error:
                if line.named or error.errno != errno.EADDRNOTAVAIL:
                    raise _cannot_listen(line, error) from None
                self._log.warn("{host} is not ready and not listened on", host=line.host)
            else:
                self.announce(Listener(SERVICE, line.transport, host, port))
        for place in places:
            if place.name:
                self._inherit(plane, place.name, ports)
        if not self._announced:
            raise ConfigError("turn", "listen", "this machine has no address to listen on; name one")
        hosts = dict.fromkeys(one.host for one in self._announced if one.host not in _WILDCARDS)
        return list(hosts) or list(own)

    def open_web(
        self, plane: IRelayPlane, places: Sequence[Place], own: Sequence[str], directory: Directory
    ) -> None:
        """Open UDP at the port of each web listener inside TLS too, where that listens. Raises ConfigError."""
        web = [one for one in directory.listeners("web") if one.transport == "tls" and one.port]
        for port in sorted({one.port for one in web}):
            opened = {one.host for one in self._announced if one.port == port and one.transport in _BY_UDP}
            hosts = {unmapped(one.host) for one in web if one.port == port}
            for line in plan(places, own, {"udp": port}):
                if line.host in opened or not hosts & {line.host, *_WILDCARDS, ""}:
                    continue
                try:
                    self._open(plane, line)
                except OSError as error:
                    if line.named or error.errno != errno.EADDRNOTAVAIL:
                        raise _cannot_listen(line, error, "web-port", ", or set web-port = no") from None
                else:
                    self.announce(Listener(SERVICE, "udp", line.host, port))

    def open_alternate(self, plane: IRelayPlane, host: str, port: int) -> None:
        """Open the second UDP port of a host, which no client is told to begin at. Raises ConfigError."""
        line = Line("udp", host, port, named=True)
        try:
            self._open(plane, line)
        except OSError as error:
            raise _cannot_listen(line, error, "alt-port") from None
        self.announce(Listener(ALTERNATE, "udp", host, port))

    def announce(self, listener: Listener) -> None:
        """Put it into the directory as long as we are open."""
        listener = replace(listener, stun=self.stun)
        self._directory.opened(listener)
        self._announced.append(listener)

    def answer_stun(self, on: bool) -> None:
        """Announce all anew, as to whether they answer anybody's STUN Binding."""
        if on == self.stun:
            return
        self.stun = on
        announced, self._announced = self._announced, []
        for listener in announced:
            self._directory.closed(listener)
        for listener in announced:
            self.announce(listener)

    def close(self) -> list[Deferred[Any]]:
        """Close the stream sockets and take all announcements back; what has to be waited for."""
        while self._announced:
            self._directory.closed(self._announced.pop())
        ports, self._ports = self._ports, []
        return [maybeDeferred(port.stopListening) for port in reversed(ports)]

    def _open(self, plane: IRelayPlane, line: Line) -> tuple[str, int]:
        if line.transport in _BY_UDP:
            shared = self._shared
            host, port = plane.listen(line.host, line.port) if shared is None else plane.adopt(shared(line.host, line.port))
            return host, port
        try:
            listening = at_once(
                self._reactor.listenTCP(line.port, self._factories[line.transport], BACKLOG, line.host))
        except CannotListenError as error:
            fault = error.socketError
            raise fault if isinstance(fault, OSError) else OSError(errno.EINVAL, str(fault)) from None
        self._ports.append(listening)
        here: Any = listening.getHost()
        return here.host, here.port

    def _inherit(self, plane: IRelayPlane, name: str, ports: Mapping[Transport, int]) -> None:
        descriptors = inherited(name, os.environ)
        text = f"systemd:name={name}"
        if not descriptors:
            raise ConfigError("turn", "listen", f"{text}: systemd handed no such socket over; set FileDescriptorName={name}"
                                                " and ListenDatagram= or ListenStream= in the socket unit")
        for descriptor in descriptors:
            try:
                listener = self._adopt(plane, descriptor, ports)
            except OSError as error:
                raise ConfigError("turn", "listen", f"{text}: {error.strerror}; use ListenDatagram= or ListenStream= with an"
                                                    " address and a port") from None
            if listener.transport not in ports:
                raise ConfigError("turn", listener.transport, f"is no, but {text} is such a socket; turn it on or take the"
                                                              " socket out of the unit")
            if listener.transport in _BY_UDP and listener.host in _WILDCARDS:
                raise ConfigError("turn", "listen", f"{text}: the socket is open on every address at once; name one in"
                                                    " ListenDatagram=, a line for each")
            self.announce(listener)

    def _adopt(self, plane: IRelayPlane, descriptor: int, ports: Mapping[Transport, int]) -> Listener:
        """A stream socket at the port of TLS is TLS, any other is plain; a UDP socket there is DTLS where that is on."""
        with socket.socket(fileno=os.dup(descriptor)) as sock:
            family, kind = sock.family, sock.type
            name = sock.getsockname()
        if kind == socket.SOCK_DGRAM or family not in (socket.AF_INET, socket.AF_INET6):
            host, port = plane.adopt(descriptor)
            return Listener(SERVICE, "dtls" if port == ports.get("dtls") else "udp", host, port)
        transport: Transport = "tls" if name[1] == ports.get("tls") else "tcp"
        listening = at_once(self._reactor.adoptStreamPort(descriptor, family, self._factories[transport]))
        os.close(descriptor)
        self._ports.append(listening)
        return Listener(SERVICE, transport, name[0], name[1])


def _cannot_listen(line: Line, error: OSError, key: str = "", mend: str = "") -> ConfigError:
    what = f"{'udp' if line.transport in _BY_UDP else 'tcp'} port {line.port} on {line.host}"
    key = key or ("tls-port" if line.transport in ("tls", "dtls") else "port")
    if error.errno == errno.EADDRINUSE:
        return ConfigError("turn", key, f"{what} is in use by another program; stop that one or choose another port{mend}")
    if error.errno == errno.EACCES:
        return ConfigError("turn", key, f"{what} may not be opened by this user; {PRIVILEGE}{mend}")
    return ConfigError("turn", "listen", f"{what} cannot be opened ({error.strerror}); name an address of this machine")
