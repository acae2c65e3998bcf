"""What an operator who knows coturn looks for: each option that matters is a key here, with the default that we promise.

The values are those of an ini that says nothing. Several values on lines of their own are tuples.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import key_of
from rtcd.plugin import plugins
from rtcd.schemas import Schemas

UNSET = ("", None, ())
"""What stands for nothing."""

KEYS: dict[str, dict[str, Any]] = {
    "turn": {
        # Listening.
        "port": 3478, "tls-port": 5349, "listen": UNSET, "udp": True, "tcp": True, "tls": True,
        "dtls": False, "proxy-from": UNSET, "handshake-timeout": 60, "socket-buffer": 2**20,
        # Relays. coturn's range ends at 65535; ours is one that a firewall and a container can open.
        "relay-ip": UNSET, "external-ip": ("auto",), "min-port": 49152, "max-port": 50175, "udp-relay": True,
        "tcp-relay": False, "default-family": "ipv4", "mobility": False,
        # Who may, and how much.
        "realm": "rtcd", "user": UNSET, "users-file": UNSET, "auth-url": UNSET, "sha256": False, "strict-expiry": False,
        "stale-nonce": 600, "nonce-secret": UNSET, "stun-auth": False,
        "user-quota": 0, "total-quota": 0, "address-quota": 0, "max-bps": 0, "bps-capacity": 0, "unauth-rate": 20,
        "max-lifetime": 3600, "channel-lifetime": 600, "permission-lifetime": 300,
        # Peers.
        "allow-loopback-peers": False, "allow-multicast-peers": False, "allow-private-peers": False, "allowed-peers": UNSET,
        "denied-peers": UNSET, "nat64-prefix": UNSET,
        # The protocol.
        "nat-discovery": False, "alt-port": 3479, "fingerprint": False, "software": UNSET, "stun-only": False, "stun": True,
        "legacy-mapped-address": False, "rfc5766-channels": False, "alternate-server": UNSET, "redirect": "always",
    },
    "credentials": {"secret": UNSET, "secret-separator": ":"},
    "tls": {"cert": UNSET, "key": UNSET, "key-password": UNSET, "minimum": "1.2"},
    "log": {"file": UNSET, "level": "info", "format": "text"},
    "daemon": {"pidfile": UNSET, "user": UNSET, "group": UNSET, "drain-timeout": 0},
}


class OptionTests(SynchronousTestCase):
    """Read from the schema that reads the ini."""

    def defaults(self, section: str) -> dict[str, Any]:
        """Each key of a section with its default."""
        return {key_of(one): one.default for one in dataclasses.fields(Schemas(plugins())[section])}

    def test_every_option_is_there_with_its_default(self) -> None:
        """A key that is renamed, or a default that is changed, breaks somebody's server."""
        for section, keys in KEYS.items():
            found = self.defaults(section)
            for key, expected in keys.items():
                self.assertIn(key, found, section)
                values = expected if expected is UNSET else (expected,)
                self.assertIn(found[key], values, f"[{section}] {key}")

    def test_the_ciphers_are_named(self) -> None:
        """They may be changed, and are never none."""
        self.assertTrue(self.defaults("tls")["ciphers"])
