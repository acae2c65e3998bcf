"""The short way of a request against Twisted's: for any bytes, cut anywhere, the same answers, counts, timers and ends."""

from __future__ import annotations

from typing import Any
from unittest import mock

import txaio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import http
from zope.interface import directlyProvides, providedBy

from rtcd.doorway.settings import DoorwaySettings
from rtcd.rooms.outcome import StoreUnavailable
from rtcd.signaling.resource import UpgradeResource
from rtcd.site.lean import LeanRequest
from rtcd.site.short import known
from rtcd.site.whole import MAX_FIELDS, MAX_HEAD_BYTES, whole_post
from rtcd.web.resources import Join, Leave, Message, Params, Rooms
from rtcd.web.settings import Settings
from tests.fakes import CLIENT, SERVER, MemoryTransport
from tests.fakes_calls import Server
from tests.unit.test_signaling_frames import framed

PAGE = b'{"page": {"id": "0123456789abcdef", "name": "A"}}'
TARGETS = [b"/join/r1", b"/join/r2", b"/join/r1?debug=loopback", b"/join/r1?it=relay&tt=udp&x=%41+b&it=2",
           b"//join///r1?u=//x", b"/calls/join/r1", b"/leave/r1/%020x" % 1, b"/leave/r1/%020x" % 2, b"/leave/r2/%020x" % 3,
           b"/message/r1/%020x" % 1, b"/message/r1/%020x" % 2, b"/message/r1/none"]
ODD_TARGETS = [b"/join/r%31", b"/join/", b"/join", b"/join/a.b", b"/join/r1/", b"/join/../join/r1", b"/leave/r1", b"/params",
               b"/sig/r1/x", b"/v1alpha/iceconfig", b"/nowhere", b"/", b"*", b"/join/r1#x", b"/join/r\xc3\xa4", b"http://a/join/r1",
               b"/join/" + b"r" * 1025]
HEADERS = [b"Origin: https://a", b"User-Agent: Mozilla Chrome/1", b"Connection: keep-alive", b"connection: Keep-Alive",
           b"Accept: */*", b"Cookie: a=b; language=en", b"X-Forwarded-For: 198.51.100.9", b"X-Forwarded-Proto: http",
           b"X-Forwarded-Prefix: /calls", b"X-Forwarded-Host: b.example", b"Forwarded: for=198.51.100.8;host=c.example",
           b"X-Other: 1", b"User-Agent: again", b"host:  d.example:1 ", b"X-Forwarded-Else: 1"]
ODD_HEADERS = [b"Connection: close", b"Connection: keep-alive, x", b"Connection: Upgrade",
               b"Expect: 100-continue", b" folded", b"Transfer-Encoding: chunked", b"transfer-encoding: identity",
               b"no colon", b"Bad Name: x", b"X : y",
               b"X:", b"X: \x00", b"X: \xff\xfe", b"X: a\nb", b"X: a\rb", b": x", b"Content-Length: 0", b"Content-Length: 3",
               b"Content-Length: +3", b"content-length: -1", b"Content-Length:", b"X: " + b"y" * 9000, b"Upgrade: h2c",
               b"Connection:", b"Content-Length: 00"]
BODIES = [b"", b"", PAGE, b"m" * 50, "ä".encode(), b"\xff", b"x" * 1000, b"x" * 1001]


@st.composite
def requests(draw: Any) -> bytes:
    """With one odd thing about it, or none."""
    odd = draw(st.sampled_from(["", "", "", "method", "target", "version", "header", "header", "before"]))

    def one_of(kind: str, good: list[bytes], bad: list[bytes]) -> bytes:
        return bytes(draw(st.sampled_from(bad if odd == kind else good)))

    line = (one_of("method", [b"POST"], [b"GET", b"HEAD", b"PUT", b"post", b"POST "]),
            one_of("target", TARGETS, ODD_TARGETS),
            one_of("version", [b"HTTP/1.1"], [b"HTTP/1.0", b"HTTP/2", b"http/1.1", b"", b"HTTP/1.1 "]))
    headers = draw(st.lists(st.sampled_from(HEADERS), max_size=4))
    body = draw(st.sampled_from(BODIES))
    if body or draw(st.booleans()):
        headers.append(b"Content-Length: %d" % len(body))
    if odd == "header":
        headers.insert(draw(st.integers(0, len(headers))), draw(st.sampled_from(ODD_HEADERS)))
    host = draw(st.sampled_from([b"Host: a.example", b"HOST: a.example:8443", b'Host: a"><b']))
    return one_of("before", [b""], [b"\r\n", b"\r\n\r\n", b" "]) + b"\r\n".join([b" ".join(line), host, *headers, b"", body])


several = st.lists(requests(), min_size=2, max_size=3).map(b"".join)
data = st.one_of(requests(), requests(), requests(), several).map(lambda one: ("data", one))
steps = st.one_of(
    data, data, st.tuples(requests(), st.integers(1, 300)).map(lambda found: ("cut", found)),
    st.sampled_from([("slow", True), ("slow", False), ("answer", None), ("answer", None), ("away", True), ("away", False),
                     ("pause", None), ("resume", None), ("wait", 3.0), ("wait", 61.0), ("lose", None)]))


class Transport(MemoryTransport):
    """As a real one, it may be paused when it is about to close, and closed twice."""

    def _checkState(self) -> None:
        """Nothing to complain of."""

    def unregisterProducer(self) -> None:
        """Likewise."""
        self.producer = None


class Side:
    """A server, and one connection to it."""

    def __init__(self, case: SynchronousTestCase, *, short: bool) -> None:
        doorway = DoorwaySettings(trusted_proxies=("192.0.2.0/24",), max_body_bytes=1000, idle_timeout=60)
        self.server = Server(case, doorway=doorway, pages=False)
        rooms = Rooms(self.server.context, Settings(join_rate=0.5))
        for path, resource in (("/join", Join(rooms)), ("/message", Message(rooms)), ("/leave", Leave(rooms)),
                               ("/params", Params(rooms))):
            self.server.doorway.add_child(path, resource)
        if not short:
            self.server.doorway.site.lean = None
        self.update = self.server.rooms.update
        self.server.context.rooms.update = self._update  # type: ignore[method-assign, assignment]
        self.names = 0

    def connect(self, *, secure: bool) -> None:
        """A new connection."""
        self.slow = self.away = False
        self.waiting: list[Deferred[None]] = []
        self.transport = Transport(hostAddress=SERVER, peerAddress=CLIENT)
        if secure:
            directlyProvides(self.transport, providedBy(self.transport), ISSLTransport)
        self.channel: Any = self.server.doorway.site.buildProtocol(CLIENT)
        self.transport.protocol = self.channel
        self.channel.makeConnection(self.transport)
        self.lost = False

    def do(self, what: str, value: Any) -> Any:
        """One step; what can be seen of it."""
        if self.lost:
            return None
        if what == "data":
            self.transport.protocol.dataReceived(value)
        elif what == "cut":
            self.channel.dataReceived(value[0][: value[1]])
            self.channel.dataReceived(value[0][value[1] :])
        elif what in ("slow", "away"):
            setattr(self, what, value)
        elif what == "answer" and self.waiting:
            self.waiting.pop(0).callback(None)
        elif what == "pause":
            self.channel.pauseProducing()
        elif what == "resume":
            self.channel.resumeProducing()
        elif what == "wait":
            self.server.clock.advance(value)
        elif what == "lose":
            self.lost = True
            self.transport.protocol.connectionLost(Failure(ConnectionDone()))
        timers = sorted(one.getTime() for one in self.server.clock.getDelayedCalls())
        return (self.transport.value(), self.transport.disconnecting, self.transport.producerState, timers,
                {(one.name, one.labels): one.value for one in self.server.metrics.samples() if one.value == one.value})

    def token(self, size: int) -> str:
        """In place of a client's name."""
        self.names = self.names % 5 + 1
        return f"{self.names:0{2 * size}x}"

    async def _update(self, room: str, change: Any, socket: Any = None) -> Any:
        if self.slow:
            waiting: Deferred[None] = Deferred()
            self.waiting.append(waiting)
            await waiting
        if self.away:
            raise StoreUnavailable("away")
        return await self.update(room, change, socket)


class LeanTests(SynchronousTestCase):
    """Two servers to which the same happens."""

    def run_with(self, side: Side, secure: bool, found: list[tuple[str, Any]]) -> list[Any]:
        """What is seen of these steps on a connection."""
        side.connect(secure=secure)
        self.patch(txaio.tx.config, "loop", side.server.clock)  # whose timers Autobahn uses
        with mock.patch("rtcd.web.resources.secrets.token_hex", side.token):
            seen = [side.do(*one) for one in found]
            for one in side.waiting:
                one.callback(None)
            if not side.lost:
                side.do("lose", None)
        return seen

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.booleans(), st.booleans(), st.lists(steps, min_size=1, max_size=7))
    def test_any_requests_in_any_pieces_come_to_the_same(
        self, secure: bool, slow: bool, found: list[tuple[str, Any]],
    ) -> None:
        """Bytes, closes, pauses, timers and every figure, after each step."""
        short, long = (self.run_with(Side(self, short=one), secure, [("slow", slow), *found]) for one in (True, False))
        self.assertEqual(short, long)

    def test_each_oddity_by_itself_comes_to_the_same(self) -> None:
        """With a body and without, alone and before a good request, which is what it is whatever came before."""
        good = b"POST /join/r1 HTTP/1.1\r\nHost: a\r\n\r\n"
        odd = [b"POST %s HTTP/1.1\r\nHost: a\r\n\r\n" % one for one in TARGETS + ODD_TARGETS]
        for one in HEADERS + ODD_HEADERS:
            odd += [b"POST /message/r1/x HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % one,
                    b"POST /message/r1/x HTTP/1.1\r\nHost: a\r\n%s\r\nContent-Length: 3\r\n\r\nabc" % one]
        odd += [b"\r\n", b"\r\n\r\n", good + b"\r\n", good + good[:20], good + good[:24] + b"\r\n"]
        short, long = Side(self, short=True), Side(self, short=False)
        for one in odd:
            found = [("wait", 3.0), ("data", one), ("wait", 3.0), ("data", good), ("data", b"\r\n"), ("data", good),
                     ("wait", 61.0)]
            self.assertEqual(self.run_with(short, True, found), self.run_with(long, True, found), one)

    def test_what_a_proxy_says_of_one_request_holds_for_no_other(self) -> None:
        """On one connection, within a second, and when the same headers come again; each alone and behind each other one."""
        told = [b"X-Other: 1", b"X-Forwarded-Proto: https", b"X-Forwarded-For: 198.51.100.9", b"X-Forwarded-Prefix: /calls",
                b"X-Forwarded-Host: b.example", b"Forwarded: for=198.51.100.8;host=c.example;proto=https"]
        posts = [b"POST /join/r1 HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % one for one in told]
        found: list[tuple[str, Any]] = [("data", one) for first in posts for second in posts for one in (first, second)]
        found += [("wait", 0.4)] * 3 + [("data", posts[0])]
        short, long = (self.run_with(Side(self, short=one), False, found) for one in (True, False))
        self.assertEqual(short, long)
        self.assertIn(b"Cross-Origin-Opener-Policy", short[-1][0])

    def test_a_handshake_of_a_websocket_comes_to_the_same(self) -> None:
        """The answer, what is registered, and how it ends; whatever is odd about it."""
        usual = [b"Host: a.example", b"Upgrade: websocket", b"Connection: Upgrade", b"Origin: https://a",
                 b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13"]
        odd = [(path, usual, b"") for path in (
            b"/ws", b"/ws?x=1", b"/ws/x", b"//ws", b"/calls/ws", b"/status", b"/params", b"/w%73")]
        odd.append((b"/ws", usual, framed(b'{"cmd":"register","roomid":"r","clientid":"c"}')))
        odd += [(b"/ws", [*usual[:place], *usual[place + 1 :]], b"") for place in range(len(usual))]
        odd += [(b"/ws", [*usual, one], b"") for one in (
            *HEADERS, *ODD_HEADERS, b"Origin: null", b"Sec-WebSocket-Protocol: x", b"Upgrade: h2c",
            b"Connection: Upgrade", b"Sec-WebSocket-Extensions: permessage-deflate", b"Sec-WebSocket-Version: 8",
            b"Host: b", b"Content-Length: 0")]
        for keep in (b"keep-alive, Upgrade", b"upgrade", b"close, Upgrade"):
            odd.append((b"/ws", [b"Connection: " + keep if one.startswith(b"Connection") else one for one in usual], b""))
        short, long = Side(self, short=True), Side(self, short=False)
        with mock.patch("rtcd.signaling.resource.UpgradeResource.take_over", autospec=True,
                        side_effect=UpgradeResource.take_over) as taken:
            for path, lines, more in odd:
                handshake = b"\r\n".join([b"GET " + path + b" HTTP/1.1", *lines, b"", more])
                found = [("data", handshake), ("data", framed(b'{"cmd":"register","roomid":"r","clientid":"c"}')),
                         ("data", framed(b"ping", 0x89)), ("wait", 61.0)]
                self.assertEqual(self.run_with(short, False, found), self.run_with(long, False, found), handshake)
        self.assertGreater(taken.call_count, 20)

    def test_what_phones_and_pages_send_goes_the_short_way(self) -> None:
        """Joins, messages and leaves; the rest of the site does not."""
        side = Side(self, short=True)
        side.connect(secure=True)
        with mock.patch("rtcd.site.short.LeanRequest", wraps=LeanRequest) as made:
            for target in (b"/join/r1", b"/join/r1?it=relay", b"/message/r1/a", b"/leave/r1/a", b"/params"):
                side.do("data", b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nUser-Agent: b\r\n\r\n{}" % target)
            self.assertEqual(side.transport.value().count(b"HTTP/1.1 "), 5)
        with mock.patch("rtcd.site.http.DoorRequest.process") as process:
            for target in (b"/join/r1", b"/params"):
                side.do("data", b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" % target)
        self.assertEqual((made.call_count, process.call_count), (5, 1))

    def test_another_twisted_is_known_for_another(self) -> None:
        """Then no request goes the short way."""
        class Other(http.HTTPChannel):
            """Without a name that we lean on."""

            @property
            def persistent(self) -> Any:  # type: ignore[override]
                """Gone."""
                raise AttributeError("persistent")

        self.assertEqual((known(), known(Other)), (True, False))


class WholeTests(SynchronousTestCase):
    """The bounds of what is looked at."""

    def test_long_heads_are_left_to_twisted(self) -> None:
        """By their bytes and by their lines, the limit itself within."""
        def head(lines: list[bytes]) -> bytes:
            return b"\r\n".join((b"POST /join/r HTTP/1.1", *lines, b"", b""))

        size = MAX_HEAD_BYTES - len(head([b"X: "]))
        for lines, good in (([b"X: " + b"y" * size], True), ([b"X: " + b"y" * (size + 1)], False),
                            ([b"X: y"] * MAX_FIELDS, True), ([b"X: y"] * (MAX_FIELDS + 1), False)):
            self.assertEqual(whole_post(head(lines)) is not None, good)
