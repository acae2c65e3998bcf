"""The keys of [turn]: what is refused, in words for the operator, and what the core makes of the rest."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import ConfigError, section_from
from rtcd.turn.request import Rules
from rtcd.turn.settings import LIVE, Settings

BROKEN = {
    "port": ["-1", "65536", "udp:3478"], "tls-port": ["3478"],
    "listen": ["udp:3478", "eth0", "[::1]", "127.0.0.1:3478", "systemd:name="],
    "handshake-timeout": ["0", "3601"], "max-connections": ["0"], "max-connections-per-ip": ["0"],
    "relay-ip": ["eth0", "0.0.0.0", "::"],
    "external-ip": ["atuo", "203.0.113", "auto/10.0.0.1", "203.0.113.1/", "203.0.113.1/fd00::1"],
    "stun-server": ["stun.example.org", "stun.example.org:0", "2001:db8::1:3478"], "external-ip-check": ["-1", "9", "86401"],
    "min-port": ["1023", "65536", "60000", "x"],
    "max-port": ["1000", "49000"],
    "realm": ["", 'a"b', "x" * 128],
    "user": ["hush", "hush:0x12", "a:b\na:c"],
    "auth-url": ["accounts", "ftp://a/", "https://u:p@a/", "https://a:0/", "https://a:65536/", "https://a/b c", "https://a/#b"],
    "auth-url-token": ["x"],
    "stale-nonce": ["0", "3601"], "nonce-secret": ["x" * 15],
    "user-quota": ["-1"], "address-quota": ["-1"], "total-quota": ["-1"],
    "max-lifetime": ["0", "86401"], "channel-lifetime": ["0"], "permission-lifetime": ["0"],
    "allow-loopback-peers": ["maybe"],
    "allowed-peers": ["10.0.0.0/33", "10.0.0.1/8"], "denied-peers": ["10.0.0", "10.0.0.9-10.0.0.1"],
    "nat64-prefix": ["64:ff9b::", "64:ff9b::/97", "64:ff9b::1/96", "10.0.0.0/8", "2001:db8:64::"],
    "unauth-rate": ["-1"], "socket-buffer": ["-1"], "default-family": ["ipv5"],
    "max-bps": ["-1"], "max-bps-user": ["x"], "mobility": ["maybe"], "software": ["x" * 128],
}


class Keys(SynchronousTestCase):
    def test_the_defaults_are_good(self) -> None:
        settings = section_from("turn", {}, Settings)
        self.assertEqual((settings.listen, settings.min_port, settings.max_port), ((), 49152, 50175))
        self.assertEqual(settings.ports(), {"udp": 3478, "tcp": 3478, "tls": 5349})
        self.assertEqual(settings.rules(), Rules())

    def test_dtls_is_at_the_port_of_tls_and_not_at_that_of_udp(self) -> None:
        """One socket takes both already, if it is on."""
        self.assertEqual(section_from("turn", {"dtls": "yes", "tls": "no"}, Settings).ports(),
                         {"udp": 3478, "tcp": 3478, "dtls": 5349})
        same = {"dtls": "yes", "tcp": "no", "tls-port": "3478"}
        self.assertEqual(self.assertRaises(ConfigError, section_from, "turn", same, Settings).key, "tls-port")
        section_from("turn", {**same, "udp": "no"}, Settings)

    def test_what_cannot_be_meant_stops_the_start_and_names_the_key(self) -> None:
        for key, values in BROKEN.items():
            for value in values:
                error = self.assertRaises(ConfigError, section_from, "turn", {key: value}, Settings)
                self.assertIn(error.key, (key, "min-port"), value)

    def test_sending_clients_to_nobody_cannot_be_meant(self) -> None:
        """While this server drains, too, there has to be another."""
        error = self.assertRaises(ConfigError, section_from, "turn", {"redirect": "draining"}, Settings)
        self.assertEqual(error.key, "redirect")
        other = {"redirect": "draining", "alternate-server": "192.0.2.9:3478"}
        self.assertEqual(section_from("turn", other, Settings).redirect, "draining")

    def test_secrets_are_not_told(self) -> None:
        error = self.assertRaises(ConfigError, section_from, "turn", {"user": "hush:0x12"}, Settings)
        self.assertNotIn("hush", str(error))

    def test_sha256_and_a_user_who_has_an_md5_key_only_cannot_be_meant(self) -> None:
        """Nor the other way round; the line is named, not the user."""
        md5, sha256 = "hush:0x" + "0" * 32, "hush:0x" + "0" * 64
        for user, offered in ((md5, "yes"), (sha256, "no")):
            error = self.assertRaises(ConfigError, section_from, "turn", {"user": user, "sha256": offered}, Settings)
            self.assertEqual(error.key, "user")
            self.assertIn("line 1", str(error))
            self.assertNotIn("hush", str(error))
        both = section_from("turn", {"user": f"{md5},0x" + "1" * 64, "sha256": "yes"}, Settings)
        self.assertEqual(both.users()["hush"], (bytes(16), b"\x11" * 32))

    def test_rules_are_what_was_set(self) -> None:
        settings = section_from("turn", {
            "max-lifetime": "1800", "channel-lifetime": "20", "permission-lifetime": "10", "user-quota": "1",
            "address-quota": "2", "total-quota": "3", "fingerprint": "yes", "software": "s", "rfc5766-channels": "yes",
            "stun-only": "yes", "legacy-mapped-address": "yes", "default-family": "keep",
            "stun-auth": "yes", "mobility": "yes", "max-bps": "4", "max-bps-user": "5", "bps-capacity": "6"}, Settings)
        self.assertEqual(settings.rules(), Rules(
            1800, 20, 10, 1, 2, 3, True, "s", rfc5766_channels=True, stun_only=True, legacy_mapped_address=True,
            default_family=None, stun_auth=True, mobility=True, max_bps=4, max_bps_user=5, bps_capacity=6))

    def test_a_capacity_of_which_nobody_or_everybody_takes_nothing_cannot_be_meant(self) -> None:
        for broken in ({"bps-capacity": "5"}, {"bps-capacity": "5", "max-bps": "6"}):
            self.assertEqual(self.assertRaises(ConfigError, section_from, "turn", broken, Settings).key, "bps-capacity")
        section_from("turn", {"bps-capacity": "5", "max-bps": "5"}, Settings)

    def test_every_live_key_exists(self) -> None:
        self.assertLessEqual(LIVE, set(Settings.__dataclass_fields__))
