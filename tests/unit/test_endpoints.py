"""Tests of what an endpoint string says without being opened."""

from __future__ import annotations

from twisted.internet.endpoints import serverFromString
from twisted.trial.unittest import SynchronousTestCase

from rtcd.endpoints import place_of

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

    def test_others_say_nothing_of_it(self) -> None:
        for text in ("", ":", "\\", "tcp", "tcp:", "tcp:x", "tcp:-1", "tcp:interface=127.0.0.1", "8443", "tcp\\:8443",
                     "TCP:1", "unix:/run/x", "systemd:domain=INET:name=x", "tcp:٣", f"tcp:{'9' * 5000}"):
            self.assertIsNone(place_of(text), text)
