"""The keys of ``[turn]``, and what the core makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from rtcd.allocations.addresses import canonical_host
from rtcd.allocations.allocation import Transport
from rtcd.auth.authenticator import Keys, parse_users
from rtcd.auth.lookup import check_url
from rtcd.clients.connections import Limits
from rtcd.clients.listening import Place, parse_place
from rtcd.config import option
from rtcd.outside.external import Plan, parse_plan, parse_server
from rtcd.peers.bound import MODES
from rtcd.peers.nat64 import parse_prefixes
from rtcd.ranges import parse_ranges
from rtcd.stun.attributes import MAX_TEXT_CHARACTERS, Family
from rtcd.turn.redirect import Alternates, parse_alternates
from rtcd.turn.request import Rules

T = TypeVar("T")

MIN_CHECK_S = 10
"""Longer than a look-up takes."""
MIN_NONCE_SECRET_CHARS = 16
"""A client sees nonces, and could try shorter secrets on them without asking us."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the STUN and TURN server listens, whom it serves, and whom they may reach."""

    port: int = option(3478, "The port of STUN and TURN, for UDP and TCP alike.", minimum=0, maximum=65535)
    listen: tuple[str, ...] = option(
        (), "Addresses of this machine to listen on, one a line; 0.0.0.0 or :: is all of a family, empty is every one."
        " systemd:name=NAME takes inherited sockets.")
    udp: bool = option(True, "Listen on UDP.")
    tcp: bool = option(True, "Listen on TCP, for clients whose network lets no UDP out.")
    web_port: bool = option(
        True, "Listen on UDP at the port number of [doorway] https as well, which takes TCP and TLS clients in any case: "
        "one port is enough then for everything but the relays.")
    tls: bool = option(
        True, "Listen on TLS at tls-port, with the certificate of [tls]. The HTTPS port of [doorway], where there is one,"
        " takes such clients in any case.")
    dtls: bool = option(
        False, "Serve DTLS too, on UDP at tls-port and at port, with the certificate of [tls]; no by default, since few"
        " clients use it and browsers do not.")
    tls_port: int = option(5349, "The port of STUN and TURN inside TLS, and inside DTLS.", minimum=0, maximum=65535)
    handshake_timeout: float = option(
        60.0, "Seconds that a TCP or TLS connection, or a DTLS session, may be without an allocation.", minimum=1,
        maximum=3600)
    max_connections: int = option(
        16384, "TCP and TLS connections at once, and as many DTLS sessions; one more is refused.", minimum=1)
    max_connections_per_ip: int = option(
        1024, "The same for one IPv4 address or IPv6 /56; loopback is not counted.", minimum=1)
    proxy_from: tuple[str, ...] = option(
        (), "Proxies in front of the TCP and TLS ports: an address, network/bits or first-last, one a line. Their"
        " connections have to begin with a PROXY header (version 1 or 2), which is believed from nobody else.")
    nat_discovery: bool = option(
        False, "Let clients find out how their NAT behaves (RFC 5780), on the first two addresses of a family; answers get"
        " longer.")
    alt_port: int = option(3479, "The second UDP port that this needs, on both.", minimum=0, maximum=65535)
    relay_ip: tuple[str, ...] = option(
        (), "Addresses of this machine that relays are opened on, one a line. Empty: those listened on.")
    external_ip: tuple[str, ...] = option(
        ("auto",), "Behind NAT: the public address that clients are told instead of the relay's, as public or"
        " public/private, one a line; public may be a host name. auto asks the cloud that the machine is in, and"
        " stun-server. Empty: none.")
    stun_server: str = option("", "For external-ip auto: a STUN server elsewhere, as host:port. Empty: none is asked.")
    external_ip_check: int = option(
        300, "Seconds between two looks at what auto and host names are, at least 10; 0 is at the start only.",
        minimum=0, maximum=86400)
    min_port: int = option(49152, "First UDP port of relays.", minimum=1024, maximum=65535)
    max_port: int = option(50175, "Last UDP port of relays; each allocation takes one.", minimum=1024, maximum=65535)
    realm: str = option("rtcd", "The realm of users and their keys, shown to clients.")
    user: tuple[str, ...] = option(
        (), "Users with a password of their own, beside the time-limited names: name:password or name:0xKEY, one a line.",
        secret=True, from_file=False)
    users_file: str = option(
        "", "A file of more such users, relative to this one; read again by itself when it changes. The command rtcd user"
        " edits it.", path=True)
    sha256: bool = option(
        False, "Let clients use passwords by SHA-256 (RFC 8489); a user with an MD5 key (32 digits) needs one for SHA-256"
        " (64 digits) too, behind a comma.")
    strict_expiry: bool = option(False, "End allocations when the time-limited name that opened them expires.")
    auth_url: str = option(
        "", "URL that is asked for users who are neither here nor time-limited, by POST of a name and realm as JSON.")
    auth_url_token: str = option("", "If set, it is asked with this in Authorization: Bearer.", secret=True)
    stale_nonce: int = option(600, "Seconds that a nonce is good for.", minimum=1, maximum=3600)
    nonce_secret: str = option("", "What nonces are made with; set it where several daemons share an address.", secret=True)
    user_quota: int = option(0, "Allocations that one user may have; 0 is no limit.", minimum=0)
    address_quota: int = option(0, "Allocations from one IPv4 address or IPv6 /56; 0 is no limit.", minimum=0)
    total_quota: int = option(0, "Allocations in all; 0 is no limit.", minimum=0)
    max_bps: int = option(
        0, "Bytes a second (not bits) of one allocation in each direction; what is more is dropped. 0 is no limit.",
        minimum=0)
    max_bps_user: int = option(0, "The same for all allocations of a user together; 0 is no limit.", minimum=0)
    bps_capacity: int = option(
        0, "Bytes a second that all allocations together may use, each of which books max-bps of it; 0 is no limit.",
        minimum=0)
    mobility: bool = option(False, "Let clients keep their allocation when their address changes (RFC 8016).")
    max_lifetime: int = option(3600, "Seconds that an allocation lasts at most without a refresh.", minimum=1, maximum=86400)
    channel_lifetime: int = option(600, "Seconds that a channel lasts; for tests.", minimum=1, maximum=3600)
    permission_lifetime: int = option(300, "Seconds that a permission lasts; for tests.", minimum=1, maximum=3600)
    allow_loopback_peers: bool = option(False, "Let clients reach this machine's loopback addresses; for tests only.")
    allow_multicast_peers: bool = option(False, "Let clients reach multicast and reserved addresses.")
    allow_private_peers: bool = option(False, "Let clients reach private networks (10/8, 172.16/12, 192.168/16, 100.64/10).")
    allowed_peers: tuple[str, ...] = option(
        (), "Peers to allow whatever their class: an address, network/bits or first-last, one a line.")
    denied_peers: tuple[str, ...] = option((), "Peers to refuse, written likewise; allowed-peers goes first.")
    nat64_prefix: tuple[str, ...] = option(
        (), "Prefixes that a NAT64 of this network turns into IPv4, as 2001:db8:64::/96, one a line: never peers, like"
        " 64:ff9b::/96.")
    peer_policy: str = option(
        "open", "For credentials that belong to a client of a room: open judges peers by the lists and classes above alone, "
        "monitor also counts and logs those that nobody in the room signalled, strict refuses them.", choices=MODES)
    unauth_rate: float = option(
        20.0, "Answers a second to one IPv4 address or IPv6 /56 that need no password; 0 is no limit.", minimum=0)
    socket_buffer: int = option(
        2**20, "Bytes of each socket's buffers, as far as the system allows (net.core.rmem_max); 0 leaves them alone.",
        minimum=0, maximum=2**28)
    relay_plane: str = option(
        "auto", "Who moves the packets of calls: kernel is a program in the Linux kernel, which takes a fraction of the "
        "processor, python are sockets, auto is the kernel where it can be had.", choices=("auto", "kernel", "python"))
    ip_fields: bool = option(
        False, "Carry DSCP, ECN and the hop count between clients and peers on UDP; half as much CPU again a packet.")
    rfc5766_channels: bool = option(False, "Accept channel numbers above 0x4FFF, which old clients use.")
    fingerprint: bool = option(False, "Put FINGERPRINT on every message, asked for or not.")
    software: str = option("", "What to call this server in answers; empty is nothing, which is best.")
    legacy_mapped_address: bool = option(False, "Put MAPPED-ADDRESS into Binding answers for clients from before 2008.")
    stun_only: bool = option(False, "Answer STUN only and relay nothing.")
    stun: bool = option(True, "Answer STUN's Binding requests; no: be a relay only.")
    stun_auth: bool = option(False, "Answer Binding requests of users only; browsers then cannot use this server for STUN.")
    udp_relay: bool = option(True, "Make UDP relays, which are all that browsers use; no: answer such requests with 442.")
    tcp_relay: bool = option(
        False, "Make TCP relays (RFC 6062) too, over which clients open connections to peers; browsers never use them.")
    default_family: str = option(
        "ipv4", "Family of the relay of a client that names none; keep is the client's own.",
        choices=("ipv4", "ipv6", "keep"))
    alternate_server: tuple[str, ...] = option(
        (), "Other servers that clients are sent to in turn instead of being served here, one a line: 192.0.2.1:3478 or "
        "[2001:db8::1]:3478. A client of a family that is not in the list is served here.")
    redirect: str = option("always", "When clients are sent there: always, or only while this server drains.",
                           choices=("always", "draining"))

    def __post_init__(self) -> None:
        if not self.ports():
            raise ValueError("udp: one of udp, tcp, tls and dtls has to be on; remove [turn] to have no TURN server")
        if self.tcp and self.tls and 0 < self.port == self.tls_port:
            raise ValueError(f"tls-port: {self.tls_port} is the port of TCP; choose another or set tcp = no")
        if self.nat_discovery and not self.udp:
            raise ValueError("nat-discovery: is about UDP, which udp = no turns off; set one of the two otherwise")
        if self.nat_discovery and self.alt_port in (self.port, 0):
            raise ValueError(f"alt-port: {self.alt_port} has to be another one than port")
        if self.udp and self.dtls and 0 < self.port == self.tls_port:
            raise ValueError(f"tls-port: {self.tls_port} is the port of UDP, where DTLS is served as well; choose another"
                             " or set udp = no")
        if self.min_port > self.max_port:
            raise ValueError(f"min-port: {self.min_port} is more than max-port {self.max_port}; swap them")
        if not 0 < len(self.realm) <= MAX_TEXT_CHARACTERS or '"' in self.realm:
            raise ValueError(f"realm: takes 1 to {MAX_TEXT_CHARACTERS} characters and no quotation mark")
        if 0 < len(self.nonce_secret) < MIN_NONCE_SECRET_CHARS:
            raise ValueError(f"nonce-secret: is shorter than {MIN_NONCE_SECRET_CHARS} characters and could be guessed; make"
                             " one with: openssl rand -base64 32")
        if self.bps_capacity and not self.max_bps:
            raise ValueError("bps-capacity: an allocation books max-bps of it, which is not set; set max-bps too")
        if self.max_bps > self.bps_capacity > 0:
            raise ValueError(f"bps-capacity: is not enough for one allocation of max-bps {self.max_bps}; raise it")
        if len(self.software) > MAX_TEXT_CHARACTERS:
            raise ValueError(f"software: takes at most {MAX_TEXT_CHARACTERS} characters")
        if self.stun_only and not self.stun:
            raise ValueError("stun: no and stun-only = yes leave nothing to do; remove [turn] to have no TURN server")
        _checked("alternate-server", self.alternates)
        if self.redirect == "draining" and not self.alternate_server:
            raise ValueError("redirect: there is nobody to send clients to; set alternate-server as well")
        _checked("listen", self.places)
        _checked("relay-ip", self.relay_hosts)
        _checked("external-ip", self.outside)
        _checked("stun-server", lambda: parse_server(self.stun_server))
        if 0 < self.external_ip_check < MIN_CHECK_S:
            raise ValueError(f"external-ip-check: takes 0 or at least {MIN_CHECK_S} seconds")
        _checked("user", self.users)
        if self.auth_url:
            _checked("auth-url", lambda: check_url(self.auth_url))
        elif self.auth_url_token:
            raise ValueError("auth-url-token: nobody is asked with it; set auth-url as well")
        if not re.fullmatch(r"[!-~]*", self.auth_url_token):
            raise ValueError("auth-url-token: takes printable ASCII characters and no blank")
        _checked("proxy-from", lambda: parse_ranges(self.proxy_from))
        _checked("allowed-peers", lambda: parse_ranges(self.allowed_peers))
        _checked("denied-peers", lambda: parse_ranges(self.denied_peers))
        _checked("nat64-prefix", lambda: parse_prefixes(self.nat64_prefix))

    def users(self) -> dict[str, Keys]:
        """The keys of the users in the ini."""
        return self.keys(self.user)

    def keys(self, lines: Iterable[str]) -> dict[str, Keys]:
        """The keys of users, one a line, as the realm and the algorithms are."""
        return parse_users(lines, self.realm, sha256=self.sha256)

    def ports(self) -> dict[Transport, int]:
        """The port of each transport that is on."""
        switches: list[tuple[Transport, bool, int]] = [
            ("udp", self.udp, self.port), ("tcp", self.tcp, self.port), ("tls", self.tls, self.tls_port),
            ("dtls", self.dtls, self.tls_port)]
        return {transport: port for transport, on, port in switches if on}

    def places(self) -> list[Place]:
        """`listen`, parsed."""
        return [parse_place(one) for one in self.listen]

    def relay_hosts(self) -> tuple[str, ...]:
        """`relay_ip`, canonical."""
        hosts = tuple(map(canonical_host, self.relay_ip))
        if "0.0.0.0" in hosts or "::" in hosts:
            raise ValueError("a relay needs an address of its own, not a wildcard; leave it empty for all")
        return hosts

    def outside(self) -> Plan:
        """`external_ip`, parsed."""
        return parse_plan(self.external_ip)

    def alternates(self) -> Alternates:
        """The servers of `alternate_server`, nobody sent there yet."""
        return Alternates(parse_alternates(self.alternate_server), always=self.redirect == "always")

    def limits(self) -> Limits:
        """What is allowed of connections."""
        return Limits(self.handshake_timeout, self.max_connections, self.max_connections_per_ip)

    def rules(self) -> Rules:
        """What requests are judged by."""
        return Rules(
            max_lifetime=self.max_lifetime, channel_lifetime=self.channel_lifetime,
            permission_lifetime=self.permission_lifetime, user_quota=self.user_quota, address_quota=self.address_quota,
            total_quota=self.total_quota, max_bps=self.max_bps, max_bps_user=self.max_bps_user,
            bps_capacity=self.bps_capacity, mobility=self.mobility, fingerprint=self.fingerprint, software=self.software,
            rfc5766_channels=self.rfc5766_channels, stun_only=self.stun_only, stun=self.stun,
            udp_relay=self.udp_relay,
            legacy_mapped_address=self.legacy_mapped_address, default_family=_FAMILIES[self.default_family],
            stun_auth=self.stun_auth,
        )


LIVE = frozenset((
    "user", "users_file", "sha256", "strict_expiry", "auth_url", "auth_url_token", "stun_auth", "stale_nonce",
    "user_quota", "address_quota", "total_quota", "max_lifetime", "channel_lifetime", "permission_lifetime",
    "allow_loopback_peers", "allow_multicast_peers", "allow_private_peers", "allowed_peers", "denied_peers",
    "nat64_prefix",
    "unauth_rate", "rfc5766_channels", "software", "default_family", "legacy_mapped_address", "alternate_server",
    "redirect", "peer_policy", "handshake_timeout", "max_connections", "max_connections_per_ip", "external_ip",
    "stun_server", "external_ip_check", "mobility", "max_bps", "max_bps_user", "bps_capacity",
))
"""The fields that a reload takes over; the others need a restart."""


_FAMILIES = {"ipv4": Family.IPV4, "ipv6": Family.IPV6, "keep": None}


def _checked(key: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
