"""`TurnService`: opens the sockets, joins server and relay plane, keeps the one timer, takes reloads over.

The rules are in rtcd.turn.server, the packets in rtcd.plane.relay, the keys of the ini in rtcd.turn.settings.
"""

from __future__ import annotations

import functools
import hmac
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from rtcd.alarm import Alarm
from rtcd.allocations.addresses import External, Ports, RelayAddresses
from rtcd.allocations.allocation import FiveTuple, Traffic, Transport
from rtcd.auth.authenticator import Authenticator, Keys
from rtcd.auth.nonce import Nonces, OwnQuestions
from rtcd.auth.remote import RemoteUsers
from rtcd.auth.userfile import Users
from rtcd.bucket import Buckets
from rtcd.clients.listeners import SERVICE, Listeners
from rtcd.clients.records import RECORD_TYPES
from rtcd.clients.sessions import Sessions
from rtcd.clients.stream import StreamFactory, TlsStreamFactory
from rtcd.clients.streams import REFUSED, Streams
from rtcd.config import ConfigError, changes
from rtcd.doorway.directory import Listener
from rtcd.doorway.switch import STUN_ALPNS
from rtcd.front.proxied import ProxyFactory
from rtcd.kernel.choice import Kernel, make_plane, use_kernel
from rtcd.kernel.plane import KernelRelayPlane
from rtcd.machine import own_addresses
from rtcd.outside.external import Findings, parse_server
from rtcd.outside.outside import Asking, Lookups, Outside
from rtcd.peers.bound import Bound, client_gone
from rtcd.peers.nat64 import parse_prefixes
from rtcd.peers.policy import PeerPolicy
from rtcd.plane.poller import Poller
from rtcd.plane.relay import PythonRelayPlane
from rtcd.ranges import parse_ranges
from rtcd.rooms.outcome import Came, Gone, TurnedAway
from rtcd.rooms.present import Present
from rtcd.rooms.records import Client
from rtcd.stun.attributes import Address, Family, family_of
from rtcd.together import no_dtls, no_relay_address
from rtcd.turn.discovery import Discovery
from rtcd.turn.events import Events
from rtcd.turn.mobility import connection_lost
from rtcd.turn.offers import offer, offer_sightings
from rtcd.turn.redirect import Alternates
from rtcd.turn.server import TurnServer
from rtcd.turn.settings import LIVE, Settings
from rtcd.turn.sightings import Sightings
from rtcd.turn.tcp_relaying import relay_tcp
from rtcd.unwise import LOOPBACK

if TYPE_CHECKING:
    from rtcd.context import Context

__all__ = ["Settings", "TurnService", "makeService"]

NONCE_KEY_BYTES = 32
OWN_QUESTIONS = b"own questions"
"""What their key is made of besides that of all workers: a question of one may come to any of them."""


def makeService(context: Context, settings: Settings) -> IService:
    """Called by the plugin."""
    return TurnService(context, settings)


class TurnService(Service):
    """STUN and TURN over UDP, TCP, TLS and DTLS."""

    name = "turn"
    _log = Logger()

    def __init__(
        self, context: Context, settings: Settings, own_hosts: Sequence[str] | None = None, asking: Asking | None = None,
        use_kernel: Callable[[], Kernel] = use_kernel,
    ) -> None:
        """``own_hosts``: the addresses of this machine, found by itself if not given. ``asking``: who is asked about
        external addresses, if not the world. ``use_kernel``: raises `Unavailable` where the kernel cannot relay."""
        self._use_kernel = use_kernel
        self._context = context
        self._reactor = context.reactor
        self._settings = settings
        self._own_hosts = own_hosts
        self._asking = asking
        self._outside: Outside | None = None
        self._events = Events(
            context.metrics, lambda: len(self._server.allocations) if self._server else 0, self._relayed)
        self._events.user_of = lambda username, now: context.credentials.verify(username, now).user or username
        context.desk.offer("turn.observe", self._events.observe)
        self._drops = self._events.relay_drops()
        self._plane: PythonRelayPlane | None = None
        self._server: TurnServer | None = None
        context.metrics.gauge(
            "turn", "kernel_flows", "Flows that the kernel relays, two for each channel.",
            lambda: len(self._plane.flows) if isinstance(self._plane, KernelRelayPlane) else 0)
        context.metrics.gauge(
            "turn", "relay_ports", "Ports at each relay address that relays may have.",
            lambda: len(self._relay_ports(self._settings)))
        self._users = Users(context.reactor, self._take_users)
        self._bound = Bound(context.credentials, settings.peer_policy)
        rooms: Any = context.rooms
        rooms.watch(self)
        self._present = Present(context.reactor, rooms, self._is_present)
        self._remote: RemoteUsers | None = None
        self._streams = Streams(
            context.reactor, settings.limits(), context.metrics, self.receive, self._allocated, self._client_gone)
        self._sessions = Sessions(
            context.reactor, settings.limits(), context.metrics, context.doorway.certificate(), self.receive,
            self._allocated, self._client_gone, self._may_answer, secrets.token_bytes) if settings.dtls else None
        if settings.dtls and context.doorway.certificate().minimum != "1.2":
            raise no_dtls()
        self._events.allocation_changed = self._allocation_changed
        factories: dict[Transport, IProtocolFactory] = {"tcp": StreamFactory(self._streams, "tcp")}
        if settings.tls:
            factories["tls"] = TlsStreamFactory(
                self._streams, context.doorway.tls(*STUN_ALPNS), context.doorway.may_shake)
        proxies = parse_ranges(settings.proxy_from)
        if proxies:
            refused = context.metrics.counter("turn", "refused_connections", REFUSED, reason="proxy")
            factories = {one: ProxyFactory(context.reactor, proxies, factory, refused) for one, factory in factories.items()}
        udp = functools.partial(context.desk.ask, "workers.udp") if context.desk.offers("workers.udp") else None
        self._listeners = Listeners(context.reactor, context.doorway.directory, factories, udp)
        for alpn in STUN_ALPNS:
            context.doorway.add_stream(
                alpn, StreamFactory(self._streams, "tls"), opens=False,
                plain=StreamFactory(self._streams, "tcp") if settings.tcp else None)
        self._alarm = Alarm(self._reactor, self._deadline, self._expire)
        context.on_reload("turn", self.reload)
        self._sightings = Sightings()
        offer(context.desk, self._reactor, lambda: self._server, self._alarm.set)
        offer_sightings(context.desk, self._reactor, lambda: self._server, self._sightings, self._bound)

    def privilegedStartService(self) -> None:
        """Open the sockets. Raises ConfigError, with everything closed again."""
        super().privilegedStartService()
        settings = self._settings
        own_hosts = list(self._own_hosts if self._own_hosts is not None else own_addresses())
        ports = self._relay_ports(settings)
        self._plane = plane = make_plane(
            "" if settings.stun_only else settings.relay_plane, self._use_kernel, self._events.shortcut,
            Poller(self._reactor, self._reactor), self._reactor, lambda: Ports(ports, secrets.randbelow), self._drops,
            socket_buffer_bytes=settings.socket_buffer, fingerprint=settings.fingerprint,
            peer_ports=self._peer_ports, ip_fields=settings.ip_fields, mobility=settings.mobility,
            dtls=settings.dtls,
        )
        self._listeners.stun = settings.stun and not settings.stun_auth
        try:
            listened = self._listeners.open(plane, settings.places(), own_hosts, settings.ports())
            if settings.udp and settings.web_port:
                self._listeners.open_web(plane, settings.places(), own_hosts, self._context.doorway.directory)
            addresses = self._relay_addresses(listened)
            self._own_hosts = list(dict.fromkeys([*own_hosts, *listened, *addresses.hosts]))
            self._server = server = self._make_server(plane, addresses)
            server.discovery = self._discover(settings, plane, listened)
            if settings.tcp_relay:
                relay_tcp(self._reactor, server, self._streams, lambda: Ports(ports, secrets.randbelow), self._alarm.set)
            self._outside = self._make_outside(settings, self._findings(settings, addresses.hosts))
        except ConfigError:
            self._listeners.close()
            plane.stop()
            self._plane = None
            raise
        for transport, on in (("udp", settings.udp_relay), ("tcp", settings.tcp_relay)):
            for host in addresses.hosts if on and not settings.stun_only else ():
                self._listeners.announce(Listener(SERVICE, transport, host, settings.min_port, settings.max_port))
        if settings.allow_loopback_peers:
            self._log.warn(LOOPBACK)
        self._warn_of_family(settings, addresses)

    def startService(self) -> None:
        """Begin to serve."""
        super().startService()
        self._present.start()
        if self._plane is not None:
            self._plane.start(self.receive if self._sessions is None else self._datagram)
            self._streams.start(self._plane)
            if self._sessions is not None:
                self._sessions.start(self._plane)
            self._users.start()
        if self._outside is not None and not self._settings.stun_only:
            self._outside.start()

    def stopService(self) -> Deferred[Any]:
        """End every allocation and close every socket; fires when clients' connections are closed."""
        super().stopService()
        outside, self._outside = self._outside, None
        self._present.stop()
        self._users.stop()
        if self._remote is not None:
            self._remote.stop()
        self._alarm.cancel()
        server, plane, self._server, self._plane = self._server, self._plane, None, None
        if server is not None:
            for allocation in server.allocations:
                server.end(allocation, "shut down")
        closing = [*self._listeners.close(), self._streams.stop()]
        if self._sessions is not None:
            self._sessions.stop()
        if plane is not None:
            plane.stop()
        if outside is not None:
            closing.append(outside.stop())
        return gatherResults(closing, consumeErrors=True)

    def drain(self) -> Deferred[None]:
        """Make no new allocations (rtcd.drain.Drainable); fires when there are none any more."""
        if self._server is not None:
            self._server.draining = True
        return self._events.idle()

    def receive(self, data: bytes, five_tuple: FiveTuple) -> None:
        """A STUN message of a client, from the relay plane."""
        server, plane = self._server, self._plane
        if server is None or plane is None:
            return
        now = self._reactor.seconds()
        answer = server.receive(data, five_tuple, now)
        if self._sightings.watched:
            allocation = server.allocations.get(five_tuple)
            self._sightings.saw(data, five_tuple, answer, allocation.user if allocation is not None else None, now)
        if answer is not None:
            plane.respond(answer, five_tuple)
        self._alarm.set()

    def _datagram(self, data: bytes, five_tuple: FiveTuple) -> None:
        """What the relay plane passes up where DTLS is served too, which has a socket even if plain UDP is off."""
        if five_tuple.transport != "udp":
            self.receive(data, five_tuple)
        elif data[0] in RECORD_TYPES:
            if self._sessions is not None:
                self._sessions.receive(data, five_tuple)
        elif self._settings.udp:
            self.receive(data, five_tuple)
        else:
            self._events.dropped("transport off")

    def said(self, room: str, client: str, text: str, here: bool = True) -> None:
        """A client gave a text for others (`rtcd.rooms.outcome.Listener`)."""
        self._bound.said(room, client, text, self._reactor.seconds())

    def happened(self, room: str, news: Came | Gone | TurnedAway, *, here: bool = True) -> None:
        """What is new in a room (`rtcd.rooms.outcome.Watcher`)."""
        now, bound = self._reactor.seconds(), self._bound
        if isinstance(news, Came):
            bound.came(room, news.client, news.address, now)
        elif isinstance(news, Gone) and self._server is not None:
            client_gone(self._server, bound, room, news.client, now)

    def _is_present(self, room: str, client: Client) -> None:
        """Somebody came before we started. What he has signalled and others have been given is lost; his network is not."""
        now = self._reactor.seconds()
        self._bound.came(room, client.id, client.address, now)
        for text in (*client.held, *client.queue):
            self._bound.said(room, client.id, text, now)

    def reload(self, old: Settings, new: Settings) -> Iterable[str]:
        """Take over what needs no new socket (rtcd.context.Reload). Raises ConfigError, and then nothing has changed."""
        live = {field.name: getattr(new, field.name) for field in fields(new) if field.name in LIVE}
        before, settings, server = self._settings, replace(self._settings, **live), self._server
        findings = self._findings(settings, server.addresses.hosts) if server is not None else None
        alternates = self._alternates(settings)
        if server is not None:
            server.authenticator.users = self._users.load(settings)
        self._settings = settings
        if server is not None:
            server.rules = settings.rules()
            self._listeners.answer_stun(settings.stun and not settings.stun_auth)
            if self._plane is not None:
                self._plane.mobility = settings.mobility
            server.authenticator.nonces.lifetime_s = settings.stale_nonce
            server.authenticator.sha256, server.authenticator.strict_expiry = settings.sha256, settings.strict_expiry
            if (settings.auth_url, settings.auth_url_token) != (before.auth_url, before.auth_url_token):
                server.authenticator.directory = self._ask_at(settings)
            server.policy = self._policy(server.addresses)
            self._bound.mode = settings.peer_policy
            if (settings.alternate_server, settings.redirect) != (before.alternate_server, before.redirect):
                server.alternates = alternates
            self._streams.use(settings.limits())
            if self._sessions is not None:
                self._sessions.use(settings.limits())
            if settings.unauth_rate != before.unauth_rate:
                server.unauthenticated = _unauthenticated(settings)
            if settings.default_family != before.default_family:
                self._warn_of_family(settings, server.addresses)
        if findings is not None and self._outside is not None:
            findings.inherit(self._outside.findings)
            self._outside.stop()
            self._outside = self._make_outside(settings, findings)
            self._remap(findings.mapping())
            if not settings.stun_only:
                self._outside.start()
        taken = list(changes(before, settings))
        self._log.info("applied to [turn]: {keys}", keys=", ".join(taken) or "nothing")
        return taken

    def _warn_of_family(self, settings: Settings, addresses: RelayAddresses) -> None:
        wanted = settings.rules().default_family
        if wanted is not None and not settings.stun_only and wanted not in map(family_of, addresses.hosts):
            self._log.warn("no relay has an address of [turn] default-family {family}, so clients that name no family, as"
                           " browsers, are refused; set it to {other} or keep, or name an address in relay-ip",
                           family=settings.default_family, other="ipv4" if wanted == Family.IPV6 else "ipv6")

    def _alternates(self, settings: Settings) -> Alternates:
        alternates = settings.alternates()
        try:
            alternates.refuse_own((one.host, one.port) for one in self._context.doorway.directory.listeners(SERVICE))
        except ValueError as error:
            raise ConfigError("turn", "alternate-server", str(error)) from None
        return alternates

    def _relay_addresses(self, listened: Sequence[str]) -> RelayAddresses:
        settings = self._settings
        for host in settings.relay_hosts():
            version = socket.AF_INET6 if family_of(host) == 2 else socket.AF_INET
            try:
                with socket.socket(version, socket.SOCK_DGRAM) as probe:
                    probe.bind((host, 0))
            except OSError as error:
                raise ConfigError("turn", "relay-ip", f"{host} cannot be used ({error.strerror}); name an address of"
                                                      " this machine and put a public one into external-ip") from None
        hosts = settings.relay_hosts() or tuple(listened)
        return RelayAddresses(hosts, self._findings(settings, hosts).mapping())

    def _findings(self, settings: Settings, hosts: Sequence[str]) -> Findings:
        """What is known about the outside of these hosts without asking anyone."""
        try:
            findings = Findings(settings.outside(), hosts)
            RelayAddresses(hosts, findings.mapping())
        except ValueError as error:
            raise no_relay_address(error) from None
        return findings

    def _make_outside(self, settings: Settings, findings: Findings) -> Outside:
        asking = self._asking or Lookups(self._reactor, parse_server(settings.stun_server))
        return Outside(self._reactor, findings, asking, settings.external_ip_check, self._remap)

    def _remap(self, external: Sequence[External]) -> bool:
        """New allocations are told these external addresses; whether that is a change."""
        server = self._server
        if server is None:
            return False
        told = {host for one in server.allocations for host, _ in one.shown.values()}
        return server.addresses.remap(external, told)

    def _make_server(self, plane: PythonRelayPlane, addresses: RelayAddresses) -> TurnServer:
        settings = self._settings
        key = settings.nonce_secret.encode() or self._nonce_key()
        authenticator = Authenticator(
            settings.realm, self._users.load(settings), self._context.credentials,
            Nonces(key, settings.stale_nonce, cookie=settings.sha256))
        authenticator.strict_expiry = settings.strict_expiry
        authenticator.directory = self._ask_at(settings)
        server = TurnServer(settings.rules(), authenticator, self._policy(addresses), addresses, plane, self._events,
                            _unauthenticated(settings), secrets.token_bytes)
        server.alternates = self._alternates(settings)
        server.own = OwnQuestions(hmac.digest(self._nonce_key(), OWN_QUESTIONS, "sha256"))
        server.bound, authenticator.revoked = self._bound, self._bound.revoked
        return server

    def _nonce_key(self) -> bytes:
        """Of our own, or of all workers, since a client may come to another one with what one has given to it."""
        desk = self._context.desk
        return desk.ask("workers.nonce-key") if desk.offers("workers.nonce-key") else secrets.token_bytes(NONCE_KEY_BYTES)

    def _relay_ports(self, settings: Settings) -> range:
        """All, or our share of them. Raises ConfigError."""
        desk = self._context.desk
        if not desk.offers("workers.ports") or settings.stun_only:
            return range(settings.min_port, settings.max_port + 1)
        try:
            found: range = desk.ask("workers.ports", settings.min_port, settings.max_port)
        except ValueError as error:
            raise ConfigError("turn", "max-port", str(error)) from None
        return found

    def _discover(self, settings: Settings, plane: PythonRelayPlane, listened: Sequence[str]) -> Discovery | None:
        """NAT behaviour discovery, with the sockets that it needs besides, if it is on. Raises ConfigError."""
        if not settings.nat_discovery:
            return None
        try:
            discovery = Discovery(listened, (settings.port, settings.alt_port), self._shown)
        except ValueError as error:
            raise ConfigError("turn", "nat-discovery", f"{error}; listened on is {', '.join(listened)}: set no, or give this"
                                                       " machine another one") from None
        for host in discovery.hosts:
            self._listeners.open_alternate(plane, host, settings.alt_port)
        return discovery

    def _shown(self, address: Address) -> Address:
        return self._server.addresses.shown(address) if self._server is not None else address

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

    def _allocated(self, five_tuple: FiveTuple) -> bool:
        return self._server is not None and self._server.allocations.get(five_tuple) is not None

    def _allocation_changed(self, five_tuple: FiveTuple) -> None:
        self._streams.allocation_changed(five_tuple)
        if self._sessions is not None:
            self._sessions.allocation_changed(five_tuple)

    def _may_answer(self, host: str, now: float) -> bool:
        return self._server is not None and self._server.may_answer(host, now)

    def _client_gone(self, five_tuple: FiveTuple) -> None:
        """A connection is closed or lost."""
        if self._server is not None:
            connection_lost(self._server, five_tuple)

    def _policy(self, addresses: RelayAddresses) -> PeerPolicy:
        settings = self._settings
        return PeerPolicy(
            loopback=settings.allow_loopback_peers, multicast=settings.allow_multicast_peers,
            private=settings.allow_private_peers, allowed=parse_ranges(settings.allowed_peers),
            denied=parse_ranges(settings.denied_peers), nat64=parse_prefixes(settings.nat64_prefix),
            relay_hosts=addresses.bound(),
            relay_ports=range(settings.min_port, settings.max_port + 1), own_hosts=self._own_hosts or (),
            listeners=self._context.doorway.directory.listeners,
            version=lambda: self._context.doorway.directory.version,
        )

    def _peer_ports(self, host: str) -> range:
        """From which ports of this host datagrams may come, as the policy is now."""
        return self._server.policy.ports(host) if self._server is not None else range(0)

    def _relayed(self) -> Traffic:
        """What the allocations that there are have moved so far."""
        total, server = Traffic(), self._server
        if server is not None:
            for allocation in server.allocations:
                total = total.plus(allocation.traffic).plus(server.relays(allocation).traffic(allocation))
        return total

    def _deadline(self) -> float | None:
        return self._server.next_deadline() if self._server is not None else None

    def _expire(self, now: float) -> None:
        if self._server is not None:
            self._server.expire(now)


def _unauthenticated(settings: Settings) -> Buckets:
    return Buckets(settings.unauth_rate, settings.unauth_rate)
