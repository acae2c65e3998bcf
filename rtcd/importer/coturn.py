"""coturn's options: what each is here. docs/coming-from-coturn.md says the same for people, and a test holds the two to it.

Nothing is read or written here; rtcd.importer.turnserver reads, rtcd.importer.relay translates by this table.
"""

from __future__ import annotations

from dataclasses import dataclass

Target = tuple[str, str]

DENYING = ("turn", "denied-peers")
"""What keeps relays away from networks: to leave out one value would open them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one option.

    ``take`` is ``copy`` (the value), ``add`` (one more value), ``yes`` and ``no`` (written for a flag), ``own`` (by code of
    its own), ``note`` (a comment that proposes it, since it depends on the machine), or empty: dropped. ``target`` is the
    key that corresponds, None if there is none; ``why`` is said when it is dropped or proposed. ``flag``: it has no value.
    """

    target: Target | None
    take: str
    why: str = ""
    flag: bool = False


DEFAULT = "that is how rtcd is without any option"
NO_DATABASE = ("there is no database: have a web service asked (auth-url), or bring the users over with rtcd user add; see "
               "docs/coming-from-coturn.md")
UP_TO_OPENSSL = "OpenSSL's defaults are good"
NO_ADMIN = "rtcd has no such interface"
ONE_PROCESS = "one process serves all, and the kernel relays; nothing to tune"


def _turn(key: str) -> Target:
    return "turn", key


RULES: dict[str, Rule] = {
    "listening-port": Rule(_turn("port"), "copy"),
    "listening-ip": Rule(_turn("listen"), "own"),
    "tls-listening-port": Rule(_turn("tls-port"), "copy"),
    "alt-listening-port": Rule(_turn("alt-port"), "copy"),
    "alt-tls-listening-port": Rule(None, "", "NAT discovery is about UDP"),
    "no-udp": Rule(_turn("udp"), "no", flag=True),
    "no-tcp": Rule(_turn("tcp"), "no", flag=True),
    "no-tls": Rule(_turn("tls"), "no", flag=True),
    "no-dtls": Rule(_turn("dtls"), "", DEFAULT, flag=True),
    "dtls": Rule(_turn("dtls"), "yes", flag=True),
    "listening-device": Rule(None, "", "without meaning here: addresses are listened on, not devices; every one of them "
                             "unless [turn] listen names some"),
    "aux-server": Rule(None, "", "one port on all addresses; further ones are inherited sockets, listen = "
    "systemd:name=turn"),
    "tcp-proxy-port": Rule(_turn("proxy-from"), "note", "name the proxies; the ports stay port and tls-port"),
    "sock-buf-size": Rule(_turn("socket-buffer"), "copy"),
    "max-allocate-timeout": Rule(_turn("handshake-timeout"), "copy"),
    "relay-ip": Rule(_turn("relay-ip"), "own"),
    "relay-device": Rule(None, "", "without meaning here: relays are opened on addresses, not devices"),
    "external-ip": Rule(_turn("external-ip"), "own"),
    "min-port": Rule(_turn("min-port"), "copy"),
    "max-port": Rule(_turn("max-port"), "copy"),
    "allocation-default-address-family": Rule(_turn("default-family"), "copy"),
    "keep-address-family": Rule(_turn("default-family"), "own", flag=True),
    "max-allocate-lifetime": Rule(_turn("max-lifetime"), "copy"),
    "channel-lifetime": Rule(_turn("channel-lifetime"), "copy"),
    "permission-lifetime": Rule(_turn("permission-lifetime"), "copy"),
    "no-udp-relay": Rule(_turn("udp-relay"), "no", flag=True),
    "no-tcp-relay": Rule(_turn("tcp-relay"), "", DEFAULT, flag=True),
    "mobility": Rule(_turn("mobility"), "yes", flag=True),
    "rfc5766-channel-numbers": Rule(_turn("rfc5766-channels"), "yes", flag=True),
    "multiplex-peer": Rule(None, "", "each allocation has a port of its own", flag=True),
    "multiplex-peer-port": Rule(None, "", "each allocation has a port of its own"),
    "server-relay": Rule(None, "", "permissions are always asked for", flag=True),
    "lt-cred-mech": Rule(None, "", "always on", flag=True),
    "no-auth": Rule(_turn("stun-only"), "note", "there is no relay without credentials", flag=True),
    "user": Rule(_turn("user"), "own"),
    "realm": Rule(_turn("realm"), "own"),
    "use-auth-secret": Rule(None, "", "time-limited names are always good", flag=True),
    "static-auth-secret": Rule(("credentials", "secret"), "own"),
    "rest-api-separator": Rule(("credentials", "secret-separator"), "copy"),
    **dict.fromkeys(("userdb", "db", "psql-userdb", "mysql-userdb", "mongo-userdb", "redis-userdb"),
                    Rule(_turn("users-file"), "", NO_DATABASE)),
    "secret-key-file": Rule(_turn("users-file"), "", NO_DATABASE),
    "no-dynamic-ip-list": Rule(_turn("users-file"), "", NO_DATABASE, flag=True),
    "no-dynamic-realms": Rule(_turn("users-file"), "", NO_DATABASE, flag=True),
    "stale-nonce": Rule(_turn("stale-nonce"), "own"),
    "stateless-nonce": Rule(_turn("nonce-secret"), "", "nonces need no table in any case", flag=True),
    "stateless-nonce-secret": Rule(_turn("nonce-secret"), "copy"),
    "oauth": Rule(None, "", "third-party authorization (RFC 7635) is not supported", flag=True),
    "server-name": Rule(None, "", "third-party authorization (RFC 7635) is not supported"),
    "check-origin-consistency": Rule(None, "", "the ORIGIN draft has lapsed", flag=True),
    "no-auth-pings": Rule(None, "", "there is no database connection to keep up", flag=True),
    "allow-loopback-peers": Rule(_turn("allow-loopback-peers"), "note", "lets clients reach services on this machine; for "
                                 "tests only", flag=True),
    "no-loopback-peers": Rule(None, "", DEFAULT, flag=True),
    "no-multicast-peers": Rule(None, "", DEFAULT, flag=True),
    "allowed-peer-ip": Rule(_turn("allowed-peers"), "add"),
    "denied-peer-ip": Rule(_turn("denied-peers"), "add"),
    "user-quota": Rule(_turn("user-quota"), "copy"),
    "total-quota": Rule(_turn("total-quota"), "copy"),
    "max-bps": Rule(_turn("max-bps"), "copy"),
    "bps-capacity": Rule(_turn("bps-capacity"), "copy"),
    "unauthorized-ratelimit": Rule(_turn("unauth-rate"), "", DEFAULT, flag=True),
    "unauthorized-ratelimit-rps": Rule(_turn("unauth-rate"), "copy"),
    "drop-invalid-packets": Rule(None, "", "always done", flag=True),
    "fingerprint": Rule(_turn("fingerprint"), "yes", flag=True),
    "stun-only": Rule(_turn("stun-only"), "yes", flag=True),
    "no-stun": Rule(_turn("stun"), "no", flag=True),
    "secure-stun": Rule(_turn("stun-auth"), "yes", flag=True),
    "no-software-attribute": Rule(_turn("software"), "", DEFAULT, flag=True),
    "software-attribute": Rule(_turn("software"), "", DEFAULT),
    "no-stun-backward-compatibility": Rule(_turn("legacy-mapped-address"), "", DEFAULT, flag=True),
    "stun-backward-compatibility": Rule(_turn("legacy-mapped-address"), "yes", flag=True),
    "rfc3489-compatibility": Rule(_turn("legacy-mapped-address"), "yes", flag=True),
    "rfc5780": Rule(_turn("nat-discovery"), "note", "needs two addresses of this machine", flag=True),
    "no-rfc5780": Rule(_turn("nat-discovery"), "", DEFAULT, flag=True),
    "response-origin-only-with-rfc5780": Rule(None, "", "always so", flag=True),
    "include-reason-string": Rule(None, "", "an error says the standard word", flag=True),
    "cert": Rule(("tls", "cert"), "own"),
    "pkey": Rule(("tls", "key"), "own"),
    "pkey-pwd": Rule(("tls", "key-password"), "own"),
    "cipher-list": Rule(("tls", "ciphers"), "note", "rtcd's own list has none that is weak"),
    **dict.fromkeys(("no-tlsv1", "no-tlsv1_1", "tlsv1", "tlsv1_1"),
                    Rule(("tls", "minimum"), "", "1.2 is the oldest version that there is", flag=True)),
    "no-tlsv1_2": Rule(("tls", "minimum"), "own", flag=True),
    **dict.fromkeys(("ec-curve-name", "dh-file"), Rule(None, "", UP_TO_OPENSSL)),
    **dict.fromkeys(("dh566", "dh1066", "dh2066"), Rule(None, "", UP_TO_OPENSSL, flag=True)),
    "CA-file": Rule(None, "", "client certificates are not asked for"),
    "alternate-server": Rule(_turn("alternate-server"), "add"),
    "tls-alternate-server": Rule(_turn("alternate-server"), "", "one list for all transports; add it there"),
    "udp-self-balance": Rule(None, "", "all ports are served alike", flag=True),
    "verbose": Rule(("log", "level"), "", "info, the default, says as much", flag=True),
    "Verbose": Rule(("log", "level"), "own", flag=True),
    **dict.fromkeys(("log-min-level",), Rule(("log", "level"), "note", "one of debug, info, warn, error, critical")),
    "log-binding": Rule(("log", "level"), "", "STUN Bindings are counted, not logged", flag=True),
    "log-file": Rule(("log", "file"), "note", "without it the log goes to standard output, so to the journal under systemd"),
    **dict.fromkeys(("no-stdout-log", "simple-log"), Rule(("log", "file"), "", "see [log]", flag=True)),
    "syslog": Rule(None, "", "twistd --syslog, or the journal under systemd", flag=True),
    "syslog-facility": Rule(None, "", "twistd --syslog, or the journal under systemd"),
    "new-log-timestamp": Rule(("log", "format"), "", "every line has its time", flag=True),
    "new-log-timestamp-format": Rule(("log", "format"), "", "every line has its time"),
    "pidfile": Rule(("daemon", "pidfile"), "note", "the systemd unit needs none"),
    "proc-user": Rule(("daemon", "user"), "note", "for a start as root; the systemd unit has a user of its own"),
    "proc-group": Rule(("daemon", "group"), "note", "for a start as root; the systemd unit has a user of its own"),
    "daemon": Rule(None, "", "twistd goes into the background unless it is told -n", flag=True),
    **dict.fromkeys(("relay-threads", "cpus", "ne"), Rule(None, "", ONE_PROCESS)),
    **dict.fromkeys(("udp-recvmmsg", "udp-gso"), Rule(None, "", ONE_PROCESS, flag=True)),
    **dict.fromkeys(("prometheus", "prometheus-username-labels"), Rule(None, "", "rtcd keeps counters of its "
                                                                       "own", flag=True)),
    **dict.fromkeys(("prometheus-port", "prometheus-address", "prometheus-path"),
                    Rule(None, "", "rtcd keeps counters of its own")),
    "redis-statsdb": Rule(None, "", "counters and events in the log take its place"),
    "no-cli": Rule(None, "", "without meaning here: there is no telnet", flag=True),
    **dict.fromkeys(("cli-ip", "cli-port", "cli-password", "cli-max-output-sessions"), Rule(None, "", NO_ADMIN)),
    **dict.fromkeys(("web-admin", "web-admin-listen-on-workers"), Rule(None, "", NO_ADMIN, flag=True)),
    **dict.fromkeys(("web-admin-ip", "web-admin-port"), Rule(None, "", NO_ADMIN)),
    "acme-redirect": Rule(None, "", "the relay's port speaks no HTTP"),
    "respond-http-unsupported": Rule(None, "", "the relay's port speaks no HTTP", flag=True),
    "drain": Rule(("daemon", "drain-timeout"), "", "set the seconds that calls may go on after SIGTERM", flag=True),
    "drain-min-allocations": Rule(("daemon", "drain-timeout"), "", "set the seconds that calls may go on after SIGTERM"),
}

SHORT = {
    "d": "listening-device", "p": "listening-port", "L": "listening-ip", "i": "relay-device", "E": "relay-ip",
    "X": "external-ip", "m": "relay-threads", "v": "verbose", "V": "Verbose", "o": "daemon", "f": "fingerprint",
    "a": "lt-cred-mech", "z": "no-auth", "u": "user", "b": "userdb", "e": "psql-userdb", "M": "mysql-userdb",
    "J": "mongo-userdb", "N": "redis-userdb", "O": "redis-statsdb", "r": "realm", "q": "user-quota", "Q": "total-quota",
    "s": "max-bps", "B": "bps-capacity", "l": "log-file", "S": "stun-only", "A": "allocation-default-address-family",
    "K": "keep-address-family", "C": "rest-api-separator",
}
"""The letters of its command line."""

SHORT_WITHOUT_MEANING = {"c": True, "n": False, "h": False}
"""Letters that name a file to read, or say that none is; whether they have a value."""

GONE = {"no-loopback-peers": "4.5.2"}
"""Options that coturn has taken out, and since when it does not know them."""
