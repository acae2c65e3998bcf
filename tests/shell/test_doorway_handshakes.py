"""TLS handshakes at the doorway and at TURN's own port are counted, those that fail by reason."""

from __future__ import annotations

import ssl
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from rtcd.clients.connections import Limits
from rtcd.clients.stream import StreamFactory, TlsStreamFactory
from rtcd.clients.streams import Streams
from rtcd.metrics import Metrics
from tests.fakes import Dialled, dial, make_doorway
from tests.shell.test_doorway_switch import DoorwayTestCase

BEGUN = bytes.fromhex("16030100a00100009c0303")
"""The first bytes of a ClientHello."""


def shake(link: Dialled, context: ssl.SSLContext) -> str:
    """A client of another library shakes hands; returns why it does not want to, as far as it says so."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="meet.example")
    seen, fault = 0, ""
    for _ in range(6):
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            fault = str(error)
        got = link.send(outgoing.read())
        incoming.write(got[seen:])
        seen = len(got)
        if fault:
            break
    return fault


def suspicious() -> ssl.SSLContext:
    """A client that trusts nobody whom it does not know."""
    return ssl.create_default_context()


def careless(**limits: Any) -> ssl.SSLContext:
    """A client that looks at no certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, value in limits.items():
        setattr(context, name, value)
    return context


class HandshakeTests(DoorwayTestCase):
    """At the HTTPS port."""

    def failed(self) -> dict[str, float]:
        """What was counted, without zeros."""
        return {dict(one.labels)["reason"]: one.value for one in self.metrics.samples()
                if one.name == "rtcd_doorway_failed_handshakes_total" and one.value}

    def test_a_complete_one_is_counted_once_and_is_no_failure(self) -> None:
        """With nothing said behind it, and with a request."""
        self.assertEqual(shake(self.dial(), careless()), "")
        quiet = self.dial(tls=True)
        quiet.hang_up()
        self.dial(tls=True, alpn=[b"http/1.1"]).send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual((self.count("handshakes_total"), self.failed()), (3, {}))

    def test_a_client_that_does_not_trust_us_is_told_apart(self) -> None:
        """A phone before the authority is installed."""
        for maximum in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = suspicious()
            context.maximum_version = maximum
            self.assertIn("certificate verify failed", shake(self.dial(), context))
        self.assertEqual((self.count("handshakes_total"), self.failed()), (0, {"certificate": 2}))

    def test_a_client_without_a_cipher_of_ours(self) -> None:
        """From another time."""
        context = careless(maximum_version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("AES128-SHA")
        shake(self.dial(), context)
        self.assertEqual(self.failed(), {"cipher": 1})

    def test_an_end_in_the_middle(self) -> None:
        """By the client; or by us when its time is over."""
        link = self.dial()
        link.send(BEGUN)
        link.hang_up()
        slow = self.dial()
        slow.send(BEGUN)
        self.reactor.advance(self.settings.handshake_timeout)
        slow.settle()
        self.assertEqual(self.failed(), {"closed": 2})
        self.assertEqual(self.count("refused_connections_total", reason="timeout"), 1)

    def test_what_is_no_handshake(self) -> None:
        """Though it begins like one."""
        self.dial().send(bytes.fromhex("1603010028010000240303") + bytes(200))
        self.assertEqual(self.failed(), {"protocol": 1})


class TurnTests(SynchronousTestCase):
    """At the port of TURN inside TLS."""

    def setUp(self) -> None:
        """The table of streams, behind our TLS."""
        self.clock, self.metrics = MemoryReactorClock(), Metrics()
        door = make_doorway(self.clock, self.mktemp())
        creator = door.tls("stun.turn")
        door.certificates.load()
        plane: Any = _Plane()
        self.streams = Streams(self.clock, Limits(), self.metrics, lambda *_: None, lambda _: False, lambda _: None)
        self.streams.start(plane)
        self.addCleanup(self.streams.stop)
        self.factory = TlsStreamFactory(self.streams, creator, lambda _: True)

    def counted(self) -> tuple[float, dict[str, float]]:
        """How many were complete, and why the others were not."""
        found = {(one.name, *dict(one.labels).values()): one.value for one in self.metrics.samples()}
        return found["rtcd_turn_handshakes_total",], {
            key[1]: value for key, value in found.items() if key[0] == "rtcd_turn_failed_handshakes_total" and value}

    def test_they_are_counted_in_the_same_way(self) -> None:
        """Complete ones, and those that end for want of trust."""
        self.assertEqual(shake(dial(self.clock, self.factory), careless()), "")
        self.assertEqual(self.counted(), (1, {}))
        shake(dial(self.clock, self.factory), suspicious())
        self.assertEqual(self.counted(), (1, {"certificate": 1}))

    def test_a_connection_without_tls_has_no_handshake(self) -> None:
        """Nor has one whose TLS the doorway has made."""
        dial(self.clock, StreamFactory(self.streams, "tcp")).hang_up()
        dial(self.clock, StreamFactory(self.streams, "tls")).hang_up()
        self.assertEqual(self.counted(), (0, {}))


class _Plane:
    """Takes clients."""

    def attach(self, *_: Any) -> None:
        """Nothing is relayed."""

    detach = attach
