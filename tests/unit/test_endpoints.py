"""Tests of what an endpoint string says without being opened."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

from twisted.internet.endpoints import serverFromString
from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import key_of
from rtcd.endpoints import LISTENING, listening, place_of
from rtcd.plugin import plugins
from rtcd.schemas import Schemas

PLACES = {
    "tcp:8443": ("", 8443), "tcp:port=8443": ("", 8443), "tcp:0": ("", 0), "tcp:08443": ("", 8443),
    "tcp:8443:backlog=50": ("0.0.0.0", 8443), "tcp:backlog=50:port=8443": ("0.0.0.0", 8443),
    "tcp:8443:interface=127.0.0.1": ("127.0.0.1", 8443), "tcp:8443:127.0.0.1": ("127.0.0.1", 8443),
    "tcp:443:interface=\\:\\:1:backlog=9": ("::1", 443), "tcp:443:interface=": ("0.0.0.0", 443),
    "tcp:443:interface=a\\=b": ("a=b", 443), "tcp:443:interface=\\local\\host": ("localhost", 443),
    "tcp6:8443": ("::", 8443), "tcp6:8443:backlog=9": ("::", 8443), "tcp6:8443:interface=\\:\\:1": ("::1", 8443),
    "tcp6:port=8443:interface=2001\\:db8\\:\\:1": ("2001:db8::1", 8443), "tcp6:8443:9:\\:\\:1": ("::1", 8443),
}


class EndpointTests(SynchronousTestCase):
    def test_a_tcp_endpoint_says_where_it_listens(self) -> None:
        """A bare one at both families; what is longer is opened as it is written, and by tcp that is IPv4."""
        for text, place in PLACES.items():
            self.assertEqual(place_of(text), place, text)
        self.assertEqual(place_of("ssl:8443:privateKey=a\\:b:interface=127.0.0.1"), ("127.0.0.1", 8443))

    def test_it_is_read_as_twisted_reads_it(self) -> None:
        for text, (host, port) in PLACES.items():
            endpoint = serverFromString(None, text)
            self.assertEqual((endpoint._interface or ("0.0.0.0" if host else ""), endpoint._port), (host, port), text)

    def test_every_key_that_holds_endpoints_is_in_the_table(self) -> None:
        """Which has no other; the defaults show what they are."""
        schemas, named = Schemas(plugins()), {(section, key) for section, keys in LISTENING.items() for key in keys}
        fields = {(section, key_of(one)): one.default for section in schemas for one in dataclasses.fields(schemas[section])}
        shown = {place for place, default in fields.items() if isinstance(default, tuple) and any(
            isinstance(one, str) and place_of(one) for one in default)}
        self.assertEqual((shown - named, named - fields.keys(), "metrics" in dict(shown)), (set(), set(), True))

    def test_endpoints_of_sections_that_are_there_are_told_in_order(self) -> None:
        metrics = SimpleNamespace(listen=("tcp:1",))
        door = SimpleNamespace(https=(), http=("tcp:2", "unix:/x"), plain=("tcp:3",))
        self.assertEqual(list(listening({"metrics": metrics, "turn": None, "doorway": door})), [
            ("doorway", "http", "tcp:2"), ("doorway", "http", "unix:/x"), ("doorway", "plain", "tcp:3"),
            ("metrics", "listen", "tcp:1")])
        self.assertEqual(list(listening({"metrics": metrics, "doorway": None})), [("metrics", "listen", "tcp:1")])

    def test_others_say_nothing_of_it(self) -> None:
        for text in ("", ":", "\\", "tcp", "tcp:", "tcp:x", "tcp:-1", "tcp:interface=127.0.0.1", "8443", "tcp\\:8443",
                     "TCP:1", "unix:/run/x", "systemd:domain=INET:name=x", "tcp:٣", f"tcp:{'9' * 5000}"):
            self.assertIsNone(place_of(text), text)
