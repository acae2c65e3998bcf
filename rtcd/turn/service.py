"""`TurnService`: opens the sockets, joins server and relay plane, keeps the one timer, takes reloads over.

The rules are in rtcd.turn.server, the packets in rtcd.plane.relay, the keys of the ini in rtcd.turn.settings.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from rtcd.bucket import Buckets
from rtcd.config import ConfigError, changes
from rtcd.doorway.directory import Listener
from rtcd.machine import own_addresses
from rtcd.plane.poller import Poller
from rtcd.plane.relay import PythonRelayPlane
from rtcd.rooms.room import Came, News, Said
from rtcd.stun.attributes import Address, family_of
from rtcd.turn.addresses import Ports, RelayAddresses
from rtcd.turn.allocation import FiveTuple
from rtcd.turn.auth import Authenticator, Keys
from rtcd.turn.bound import Bound, client_gone
from rtcd.turn.events import Events
from rtcd.turn.listening import Endpoint, inherited, parse_endpoint
from rtcd.turn.nonce import Nonces
from rtcd.turn.peers import PeerPolicy, parse_ranges
from rtcd.turn.remote import RemoteUsers
from rtcd.turn.reservation import TOKEN_BYTES
from rtcd.turn.server import TurnServer
from rtcd.turn.settings import LIVE, Settings
from rtcd.turn.userfile import Users

if TYPE_CHECKING:
    from rtcd.context import Context

__all__ = ["Settings", "TurnService", "makeService"]

NONCE_KEY_BYTES = 32


def makeService(context: Context, settings: Settings) -> IService:
    """Called by the plugin."""
    return TurnService(context, settings)


class TurnService(Service):
    """STUN and TURN over UDP."""

    name = "turn"
    _log = Logger()

    def __init__(self, context: Context, settings: Settings, own_hosts: Sequence[str] | None = None) -> None:
        """``own_hosts``: the addresses of this machine, found by itself if not given."""
        self._context = context
        self._reactor = context.reactor
        self._settings = settings
        self._own_hosts = own_hosts
        self._events = Events(context.metrics, lambda: len(self._server.allocations) if self._server else 0)
        self._drops = self._events.relay_drops()
        self._plane: PythonRelayPlane | None = None
        self._server: TurnServer | None = None
        self._users = Users(context.reactor, self._take_users)
        self._bound = Bound(context.credentials, settings.peer_policy)
        rooms: Any = context.rooms
        rooms.watch(self)
        self._remote: RemoteUsers | None = None
        self._announced: list[Listener] = []
        self._timer: IDelayedCall | None = None
        self._timer_for = 0.0
        context.on_reload("turn", self.reload)

    def privilegedStartService(self) -> None:
        """Open the sockets. Raises ConfigError, with everything closed again."""
        super().privilegedStartService()
        settings = self._settings
        own_hosts = list(self._own_hosts if self._own_hosts is not None else own_addresses())
        ports = range(settings.min_port, settings.max_port + 1)
        self._plane = plane = PythonRelayPlane(
            Poller(self._reactor, self._reactor), self._reactor, lambda: Ports(ports, secrets.randbelow), self._drops,
            socket_buffer_bytes=settings.socket_buffer, fingerprint=settings.fingerprint,
            peer_ports=self._peer_ports,
        )
        try:
            opened = self._listen(plane, own_hosts)
            addresses = self._relay_addresses(opened)
            self._own_hosts = list(dict.fromkeys([*own_hosts, *(host for host, _ in opened), *addresses.hosts]))
            self._server = self._make_server(plane, addresses)
        except ConfigError:
            plane.stop()
            self._plane = None
            raise
        for host, port in opened:
            self._announce(Listener("turn", "udp", host, port))
        if not settings.stun_only:
            for host in addresses.hosts:
                self._announce(Listener("turn", "udp", host, settings.min_port, settings.max_port))
        if settings.allow_loopback_peers:
            self._log.warn("allow-loopback-peers lets TURN clients reach services on this machine; it is for tests only")

    def startService(self) -> None:
        """Begin to serve."""
        super().startService()
        if self._plane is not None:
            self._plane.start(self.receive)
            self._users.start()

    def stopService(self) -> None:
        """End every allocation and close every socket."""
        super().stopService()
        self._users.stop()
        if self._remote is not None:
            self._remote.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        server, plane, self._server, self._plane = self._server, self._plane, None, None
        if server is not None:
            for allocation in server.allocations:
                server.end(allocation, "shut down")
        if plane is not None:
            plane.stop()
        while self._announced:
            self._context.doorway.directory.closed(self._announced.pop())

    def drain(self) -> Deferred[None]:
        """Make no new allocations (rtcd.daemon.Drainable); fires when there are none any more."""
        if self._server is not None:
            self._server.draining = True
        return self._events.idle()

    def receive(self, data: bytes, five_tuple: FiveTuple) -> None:
        """A STUN message of a client, from the relay plane."""
        server, plane = self._server, self._plane
        if server is None or plane is None:
            return
        answer = server.receive(data, five_tuple, self._reactor.seconds())
        if answer is not None:
            plane.respond(answer, five_tuple)
        self._set_timer(server)

    def happened(self, room: str, news: News) -> None:
        """What is new in a room (`rtcd.rooms.room.Watcher`)."""
        now, bound = self._reactor.seconds(), self._bound
        if isinstance(news, Came):
            bound.came(room, news.client, news.address, now)
        elif isinstance(news, Said):
            bound.said(room, news.client, news.text, now)
        elif self._server is not None:
            client_gone(self._server, bound, room, news.client, now)

    def reload(self, old: Settings, new: Settings) -> Iterable[str]:
        """Take over what needs no new socket (rtcd.context.Reload). Raises ConfigError, and then nothing has changed."""
        live = {field.name: getattr(new, field.name) for field in fields(new) if field.name in LIVE}
        before, settings, server = self._settings, replace(self._settings, **live), self._server
        if server is not None:
            server.authenticator.users = self._users.load(settings)
        self._settings = settings
        if server is not None:
            server.rules = settings.rules()
            server.authenticator.nonces.lifetime_s = settings.stale_nonce
            server.authenticator.sha256, server.authenticator.strict_expiry = settings.sha256, settings.strict_expiry
            if (settings.auth_url, settings.auth_url_token) != (before.auth_url, before.auth_url_token):
                server.authenticator.directory = self._ask_at(settings)
            server.policy = self._policy(server.addresses)
            self._bound.mode = settings.peer_policy
            if (settings.alternate_server, settings.redirect) != (before.alternate_server, before.redirect):
                server.alternates = settings.alternates()
            if settings.unauth_rate != before.unauth_rate:
                server.unauthenticated = _unauthenticated(settings)
        taken = list(changes(before, settings))
        self._log.info("applied to [turn]: {keys}", keys=", ".join(taken) or "nothing")
        return taken

    def _listen(self, plane: PythonRelayPlane, own_hosts: Sequence[str]) -> list[Address]:
        opened: list[Address] = []
        for text in self._settings.listen:
            endpoint = parse_endpoint(text)
            if endpoint.name:
                opened += self._adopt(plane, text, endpoint)
                continue
            named = endpoint.host not in ("", "0.0.0.0", "::")
            for host, port in endpoint.addresses(own_hosts):
                try:
                    opened.append(plane.listen(host, port))
                except OSError as error:
                    if named or error.errno != errno.EADDRNOTAVAIL:
                        raise _cannot_listen(host, port, error) from None
                    self._log.warn("{host} is not ready and not listened on", host=host)
        if not opened:
            raise ConfigError("turn", "listen", "this machine has no address to listen on; name one with interface=")
        return opened

    def _adopt(self, plane: PythonRelayPlane, text: str, endpoint: Endpoint) -> list[Address]:
        descriptors = inherited(endpoint.name, os.environ)
        if not descriptors:
            raise ConfigError("turn", "listen", f"{text}: systemd handed no such socket over; set FileDescriptorName="
                                                f"{endpoint.name} and ListenDatagram= in the socket unit")
        opened = []
        for descriptor in descriptors:
            try:
                address = plane.adopt(descriptor)
            except OSError as error:
                raise ConfigError("turn", "listen", f"{text}: {error.strerror}; use ListenDatagram=") from None
            if address[0] in ("0.0.0.0", "::"):
                raise ConfigError("turn", "listen", f"{text}: the socket is open on every address at once; name one in"
                                                    " ListenDatagram=, a line for each")
            opened.append(address)
        return opened

    def _relay_addresses(self, opened: Sequence[Address]) -> RelayAddresses:
        settings = self._settings
        for host in settings.relay_hosts():
            version = socket.AF_INET6 if family_of(host) == 2 else socket.AF_INET
            try:
                with socket.socket(version, socket.SOCK_DGRAM) as probe:
                    probe.bind((host, 0))
            except OSError as error:
                raise ConfigError("turn", "relay-ip", f"{host} cannot be used ({error.strerror}); name an address of"
                                                      " this machine and put a public one into external-ip") from None
        hosts = settings.relay_hosts() or tuple(dict.fromkeys(host for host, _ in opened))
        try:
            return RelayAddresses(hosts, settings.external())
        except ValueError as error:
            raise ConfigError("turn", "external-ip", f"{error}; write public/private with a relay address") from None

    def _make_server(self, plane: PythonRelayPlane, addresses: RelayAddresses) -> TurnServer:
        settings = self._settings
        key = settings.nonce_secret.encode() or secrets.token_bytes(NONCE_KEY_BYTES)
        authenticator = Authenticator(
            settings.realm, self._users.load(settings), self._context.credentials,
            Nonces(key, settings.stale_nonce, cookie=settings.sha256))
        authenticator.strict_expiry = settings.strict_expiry
        authenticator.directory = self._ask_at(settings)
        server = TurnServer(settings.rules(), authenticator, self._policy(addresses), addresses, plane, self._events,
                            _unauthenticated(settings), lambda: secrets.token_bytes(TOKEN_BYTES))
        server.alternates = settings.alternates()
        server.bound, authenticator.revoked = self._bound, self._bound.revoked
        return server

    def _take_users(self, users: Mapping[str, Keys]) -> None:
        if self._server is not None:
            self._server.authenticator.users = users

    def _ask_at(self, settings: Settings) -> RemoteUsers | None:
        """Who is asked for users from now on; nobody is without a URL."""
        if self._remote is not None:
            self._remote.stop()
        self._remote = RemoteUsers(
            self._reactor, self._reactor, settings.auth_url, settings.auth_url_token, settings.realm, self.receive,
            self._context.metrics) if settings.auth_url else None
        return self._remote

    def _policy(self, addresses: RelayAddresses) -> PeerPolicy:
        settings = self._settings
        return PeerPolicy(
            loopback=settings.allow_loopback_peers, multicast=settings.allow_multicast_peers,
            private=settings.allow_private_peers, allowed=parse_ranges(settings.allowed_peers),
            denied=parse_ranges(settings.denied_peers), relay_hosts=addresses.bound(),
            relay_ports=range(settings.min_port, settings.max_port + 1), own_hosts=self._own_hosts or (),
            listeners=self._context.doorway.directory.listeners,
            version=lambda: self._context.doorway.directory.version,
        )

    def _peer_ports(self, host: str) -> range:
        """From which ports of this host datagrams may come, as the policy is now."""
        return self._server.policy.ports(host) if self._server is not None else range(0)

    def _announce(self, listener: Listener) -> None:
        self._context.doorway.directory.opened(listener)
        self._announced.append(listener)

    def _set_timer(self, server: TurnServer) -> None:
        """Wake up for the first deadline; one that has moved later is found out when we wake."""
        deadline = server.next_deadline()
        if deadline is None or (self._timer is not None and self._timer_for <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_for = deadline
        self._timer = self._reactor.callLater(max(0.0, deadline - self._reactor.seconds()), self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self._server is not None:
            self._server.expire(self._reactor.seconds())
            self._set_timer(self._server)


def _unauthenticated(settings: Settings) -> Buckets:
    return Buckets(settings.unauth_rate, settings.unauth_rate)


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        text = f"udp port {port} on {host} is in use by another program; stop that one or choose another port"
    elif error.errno == errno.EACCES:
        text = f"udp port {port} may not be opened by this user; start as root or choose a port above 1023"
    else:
        text = f"udp port {port} on {host} cannot be opened ({error.strerror}); name an address of this machine"
    return ConfigError("turn", "listen", text)
