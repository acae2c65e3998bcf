"""Tests of port sharing: from the first byte to the protocol that gets the connection."""

from __future__ import annotations

import functools
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.test.iosim import FakeTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from zope.interface.verify import verifyClass

from rtcd.doorway.layers import LINGER_S
from rtcd.doorway.settings import DoorwaySettings
from rtcd.doorway.switch import InnerSwitch
from rtcd.metrics import Metrics
from rtcd.tls.authority import names_of
from tests.fakes import Dialled, dial, make_doorway
from tests.unit.test_doorway_hello import hello_of

STUN = bytes.fromhex("000100002112a442") + b"transaction!"
GET = b"GET /x HTTP/1.1\r\nHost: a.example:8443\r\n\r\n"
HTTPS, HTTP, PLAIN = range(3)


class Greeter(Resource):
    """The site."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """Say where we are."""
        return b"site %s" % request.uri


class EchoStream(Protocol):
    """A stream protocol that greets first, and then sends back what it gets."""

    def connectionMade(self) -> None:
        """Greet."""
        self.transport.write(b"stream:")  # type: ignore[union-attr]  # it is connected

    def dataReceived(self, data: bytes) -> None:
        """Echo."""
        self.transport.write(data)  # type: ignore[union-attr]  # it is connected


class PlainStream(EchoStream):
    """The same without TLS."""

    def connectionMade(self) -> None:
        """Greet."""
        self.transport.write(b"plain:")  # type: ignore[union-attr]  # it is connected


class EchoSocket(WebSocketServerProtocol):  # type: ignore[misc]  # Autobahn has no annotations
    """A WebSocket that sends back what it gets."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Echo."""
        self.sendMessage(payload)


class Talker(WebSocketClientProtocol):  # type: ignore[misc]  # Autobahn has no annotations
    """A WebSocket client that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []
        self.ended: list[int] = []

    def onOpen(self) -> None:
        """Say the first word."""
        self.sendMessage(b"one")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Keep it."""
        self.heard.append(payload)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """Keep it."""
        self.ended.append(code)


class DoorwayTestCase(SynchronousTestCase):
    """A doorway in memory with a site, a stream and a WebSocket."""

    settings = DoorwaySettings(plain=("tcp:8081:interface=127.0.0.1",))

    def setUp(self) -> None:
        """Open it."""
        self.reactor = MemoryReactorClock()
        self.metrics = Metrics()
        self.door = make_doorway(self.reactor, self.mktemp(), self.settings, metrics=self.metrics)
        self.door.add_child("/", Greeter())
        sockets = WebSocketServerFactory(reactor=self.reactor)
        sockets.protocol = EchoSocket
        self.door.add_child("/ws", WebSocketResource(sockets))
        self.door.add_stream("stun.turn", Factory.forProtocol(EchoStream), plain=Factory.forProtocol(PlainStream))
        self.door.startService()

    def dial(self, port: int = HTTPS, **kinds: Any) -> Dialled:
        """Connect to one of the listeners."""
        return dial(self.reactor, self.reactor.tcpServers[port][1], **kinds)

    def count(self, name: str, **labels: str) -> float:
        """What a metric says now."""
        wanted = (f"rtcd_doorway_{name}", tuple(sorted(labels.items())))
        return next(one.value for one in self.metrics.samples() if (one.name, one.labels) == wanted)


class SwitchTests(DoorwayTestCase):
    """Who gets a connection on the HTTPS port."""

    def test_a_request_inside_tls_reaches_the_site(self) -> None:
        """With ALPN http/1.1, and without any ALPN."""
        for alpn in ([b"http/1.1"], [b"h2", b"http/1.1"], None):
            self.assertIn(b"site /x", self.dial(tls=True, alpn=alpn).send(GET))

    def test_http2_is_not_offered(self) -> None:
        """A client that offers it gets HTTP/1.1."""
        link = self.dial(tls=True, alpn=[b"h2", b"http/1.1"])
        self.assertEqual(link.client.transport.negotiatedProtocol, b"http/1.1")

    def test_several_requests_use_one_connection(self) -> None:
        """After the switch the bytes are never looked at again, whatever they begin with."""
        link = self.dial(tls=True)
        self.assertEqual(link.send(GET + GET).count(b"site /x"), 2)
        self.assertEqual(link.send(GET).count(b"site /x"), 3)

    def test_a_stream_is_chosen_by_its_alpn_name_before_it_speaks(self) -> None:
        """The stream may be the first to talk."""
        link = self.dial(tls=True, alpn=[b"stun.turn"])
        self.assertEqual(link.received, b"stream:")
        self.assertEqual(link.send(GET), b"stream:" + GET)

    def test_a_stream_is_preferred_to_the_site_by_who_offers_both(self) -> None:
        """RFC 7443 §3; in whatever order."""
        for offered in ([b"http/1.1", b"stun.turn"], [b"stun.turn", b"http/1.1"]):
            link = self.dial(tls=True, alpn=offered)
            self.assertEqual((link.client.transport.negotiatedProtocol, link.received), (b"stun.turn", b"stream:"))

    def test_stun_without_alpn_goes_to_the_turn_stream(self) -> None:
        """TURN clients seldom offer ALPN; a message cut into bytes is the same message."""
        link = self.dial(tls=True)
        for place in range(len(STUN)):
            link.send(STUN[place : place + 1])
        self.assertEqual(link.received, b"stream:" + STUN)

    def test_stun_without_a_turn_stream_is_cut(self) -> None:
        """There is nobody to serve it."""
        self.door._streams.clear()
        self.door._plain_streams.clear()
        for tls in (True, False):
            link = self.dial(tls=tls)
            self.assertEqual(link.send(STUN), b"")
            self.assertTrue(link.closed)

    def test_stun_without_tls_goes_to_the_plain_stream(self) -> None:
        """RFC 8656 §3.1 by TCP, at the port of HTTPS; it is off the clock then, and closed as any other connection."""
        link = self.dial()
        for place in range(len(STUN)):
            link.send(STUN[place : place + 1])
        self.assertEqual(link.received, b"plain:" + STUN)
        self.assertEqual((self.count("open_connections"), self.count("undecided_connections")), (1, 0))
        link.hang_up()
        self.assertEqual(self.count("open_connections"), 0)

    def test_plain_http_on_the_https_port_is_redirected_to_the_same_port(self) -> None:
        """It never serves content there, not even the CA."""
        for path in (b"/x", b"/ca.crt"):
            answer = self.dial().send(GET.replace(b"/x", path))
            self.assertIn(b"HTTP/1.1 301 ", answer)
            self.assertIn(b"Location: https://a.example:8443%s\r\n" % path, answer)

    def test_other_first_bytes_are_cut(self) -> None:
        """Outside and inside TLS, counted."""
        for tls, data in ((False, b"SSH-2.0-x\r\n"), (False, b"\0\1\0\1"), (True, b"\xff"),
                          (True, b"\x16\x03\x01\x00\x05\x01")):
            link = self.dial(tls=tls)
            self.assertEqual(link.send(data), b"")
            self.assertTrue(link.closed)
        self.assertEqual(self.count("refused_connections_total", reason="garbage"), 4)

    def test_no_delay_is_set_on_every_connection(self) -> None:
        """Signalling messages are small and urgent."""
        calls: list[bool] = []
        self.patch(FakeTransport, "setTcpNoDelay", lambda _, enabled: calls.append(enabled))
        for made, port in enumerate((HTTPS, HTTP, PLAIN)):
            self.dial(port)
            self.assertTrue(calls[made:] and all(calls))

    def test_the_handshake_listener_is_whole(self) -> None:
        """Twisted tells us of a complete handshake through this interface."""
        verifyClass(IHandshakeListener, InnerSwitch)

    def test_the_table_forgets_a_connection_that_ended(self) -> None:
        """Whatever it had become."""
        links = [self.dial(tls=True, alpn=[b"http/1.1"]), self.dial(tls=True)]
        links += [self.dial(port) for port in (HTTPS, HTTP, PLAIN)]
        self.assertEqual((self.count("open_connections"), self.count("undecided_connections")), (5, 2))
        for link in links:
            link.hang_up()
        self.assertEqual((self.count("open_connections"), self.count("undecided_connections")), (0, 0))

    def test_a_peer_that_never_says_goodbye_is_cut(self) -> None:
        """We close; the other end answers nothing."""
        link = self.dial(tls=True, alpn=[b"stun.turn"])
        link.server_transport.protocol.loseConnection()
        self.assertFalse(link.server_transport.disconnecting)
        self.reactor.advance(LINGER_S)
        self.assertTrue(link.server_transport.disconnecting)


class RefusalTests(DoorwayTestCase):
    """An answer to what is not read to its end."""

    def test_who_is_still_sending_can_read_the_refusal(self) -> None:
        """Only our half is closed, or the system would cut the answer; he does not get more time than others."""
        for port in (HTTPS, PLAIN):
            link = self.dial(port)
            halves: list[bool] = []
            self.patch(link.server_transport, "loseWriteConnection", functools.partial(halves.append, True))
            head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n"
            self.assertIn(b" 413 ", link.send(head + bytes(999)))
            self.assertEqual((halves, link.server_transport.disconnecting), ([True], False))
            link.send(bytes(9999))
            self.reactor.advance(LINGER_S)
            self.assertTrue(link.server_transport.disconnecting)


    def test_what_follows_a_refused_request_is_not_looked_at(self) -> None:
        """Whatever is in the same segment: one answer, and nothing is carried out."""
        for port in (HTTPS, HTTP, PLAIN):
            for data in (b"POST /x HTTP/1.1\r\nHost: a\r\nX : y\r\nX: y\r\nContent-Length: 0\r\n\r\n",
                         b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
                         b"nonsense \r\n" * 50 + GET):
                answer = self.dial(port).send(data + GET)
                self.assertEqual((answer.count(b"HTTP/1.1 "), answer[:12]), (1, b"HTTP/1.1 400"), data)


class ProofTests(DoorwayTestCase):
    """While a certificate authority asks for a proof inside TLS (RFC 8737)."""

    def setUp(self) -> None:
        """It asks for one name."""
        super().setUp()
        self.door.renewal.challenges.put_alpn("meet.example", b"d" * 32)

    def shown(self, alpn: list[bytes] | None, name: str) -> tuple[Dialled, tuple[str, ...]]:
        """The names in the certificate that a client sees."""
        link = self.dial(tls=True, alpn=alpn, name=name)
        return link, names_of(link.shown) if link.shown is not None else ()

    def test_the_authority_is_shown_the_proof_and_nothing_else(self) -> None:
        """The handshake says all; then the connection is closed, whatever is sent."""
        link, names = self.shown([b"acme-tls/1"], "meet.example")
        self.assertEqual(names, ("meet.example",))
        self.assertTrue(link.closed)
        self.assertEqual((link.send(GET), self.count("open_connections")), (b"", 0))

    def test_everybody_else_is_served_as_always(self) -> None:
        """With the same name, or with the protocol among others."""
        for alpn in ([b"http/1.1"], None, [b"acme-tls/1", b"http/1.1"]):
            link, names = self.shown(alpn, "meet.example")
            self.assertIn("localhost", names)
            self.assertIn(b"site /x", link.send(GET))
        self.assertEqual(self.dial().send(STUN), b"plain:" + STUN)

    def test_who_asks_for_another_name_is_cut(self) -> None:
        """Nobody has asked for that one."""
        link = self.dial(tls=True, alpn=[b"acme-tls/1"], name="other.example")
        self.assertTrue(link.closed)
        self.assertEqual(self.count("refused_connections_total", reason="garbage"), 1)

    def test_when_it_is_over_nothing_is_shown(self) -> None:
        """Nothing else is spoken in that protocol's name (RFC 8737 §4)."""
        self.door.renewal.challenges.clear()
        link, _ = self.shown([b"acme-tls/1"], "meet.example")
        self.assertTrue(link.closed)
        self.assertEqual(link.send(GET), b"")
        self.assertEqual(self.count("refused_connections_total", reason="garbage"), 1)

    def test_a_hello_that_comes_in_pieces_is_waited_for(self) -> None:
        """As far as one record; the clock runs."""
        hello = hello_of("meet.example", ["acme-tls/1"])
        link = self.dial()
        for place in range(len(hello)):
            self.assertEqual(link.received, b"")
            link.send(hello[place : place + 1])
        self.assertEqual(link.received[:1], b"\x16")
        half = self.dial()
        half.send(hello[:100])
        self.assertEqual(self.count("undecided_connections"), 2)
        self.reactor.advance(self.settings.handshake_timeout)
        self.assertTrue(half.server_transport.disconnecting)

    def test_what_cannot_be_looked_into_is_left_to_tls(self) -> None:
        """It knows better what to make of it."""
        link = self.dial()
        link.send(b"\x16\x03\x01\x00\x04\x01\x00\x00\x05")
        self.assertFalse(link.closed)
        self.assertEqual(self.count("undecided_connections"), 1)


class WebSocketTests(DoorwayTestCase):
    """A WebSocketResource takes its connection over, whatever is below it."""

    def talk(self, port: int = HTTPS, **kinds: Any) -> tuple[Talker, Dialled]:
        """Open a WebSocket and let it say its first word."""
        factory = WebSocketClientFactory("ws://a.example/ws", reactor=self.reactor)
        factory.protocol = Talker
        client = factory.buildProtocol(None)
        return client, self.dial(port, client=client, **kinds)

    def test_it_works_over_each_kind_of_listener(self) -> None:
        """Plain for a proxy, TLS with ALPN, TLS without; the table loses the connection when it ends."""
        for kinds in ({"port": PLAIN}, {"tls": True, "alpn": [b"http/1.1"]}, {"tls": True}):
            client, link = self.talk(**kinds)
            self.assertEqual(client.heard, [b"one"])
            client.sendMessage(b"two")
            link.settle()
            self.assertEqual(client.heard, [b"one", b"two"])
            self.assertEqual(self.count("open_connections"), 1)
            client.sendClose(1000)
            link.settle()
            self.assertEqual((client.ended, self.count("open_connections")), ([1000], 0))

    def test_it_outlives_the_http_idle_time(self) -> None:
        """A call lasts longer than a request."""
        client, link = self.talk(tls=True)
        self.reactor.advance(3600)
        client.sendMessage(b"late")
        link.settle()
        self.assertEqual(client.heard, [b"one", b"late"])

    def test_it_survives_a_new_certificate(self) -> None:
        """New connections get the new one, this one goes on."""
        client, link = self.talk(tls=True)
        before = link.client_transport.protocol.getPeerCertificate().to_cryptography()
        for name in ("server.crt", "server.key"):
            self.door.certificates._state.path(name).unlink()
        self.assertTrue(self.door.reload())
        client.sendMessage(b"still here")
        link.settle()
        after = self.dial(tls=True).client_transport.protocol.getPeerCertificate().to_cryptography()
        self.assertEqual(client.heard, [b"one", b"still here"])
        self.assertNotEqual(before, after)
        self.assertEqual(before.issuer, after.issuer)
