"""Tests of the bounds and headers of HTTP."""

from __future__ import annotations

from typing import Any
from unittest import mock

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from rtcd.doorway.connections import Connections
from rtcd.doorway.layers import PlainFactory
from rtcd.doorway.settings import DoorwaySettings
from rtcd.metrics import Metrics
from rtcd.site.http import MAX_HEADERS, DoorSite, security_headers
from rtcd.site.tree import Tree
from tests.fakes import CLIENT, MemoryTransport, make_request

HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\n"


class Recorder(Resource):
    """Keeps what it is asked, and answers with the body."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []

    def render(self, request: Any) -> bytes:
        """Answer any method."""
        self.asked.append(request)
        return bytes(request.content.read())


class Leaf(Resource):
    """As most of ours are."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """A text."""
        request.setHeader(b"x", b"y")
        return b"text"


class Post(Resource):
    """Takes one method alone."""

    isLeaf = True
    allowedMethods = (b"POST",)
    render_HEAD = None  # type: ignore[assignment] # Twisted's asks for render_GET

    def render_POST(self, request: Any) -> bytes:
        """Nothing."""
        return b""


class Never(Resource):
    """Answers later: never."""

    isLeaf = True

    def render(self, request: Any) -> int:
        """Wait."""
        return NOT_DONE_YET


class HttpTests(SynchronousTestCase):
    """What a request may be, and what every answer carries."""

    def setUp(self) -> None:
        """A site with small limits."""
        self.clock = MemoryReactorClock()
        self.metrics = Metrics()
        self.root = Recorder()
        settings = DoorwaySettings(max_body_bytes=1000, idle_timeout=60)
        self.site = DoorSite(self.clock, self.root, settings, self.metrics)

    def connect(self, site: DoorSite | None = None) -> tuple[Any, MemoryTransport]:
        """A connection to the site, to be fed by hand."""
        channel: Any = (site or self.site).buildProtocol(CLIENT)
        transport = MemoryTransport(peerAddress=CLIENT)
        transport.protocol = channel
        channel.makeConnection(transport)
        return channel, transport

    def test_a_body_as_long_as_allowed_is_taken(self) -> None:
        """The limit itself is within."""
        answer = make_request(self.site, "POST", "/x", b"x" * 1000)
        self.assertEqual((answer.code, answer.body), (200, b"x" * 1000))

    def test_a_body_announced_too_long_is_refused_before_it_is_read(self) -> None:
        """413 at the end of the headers, and the connection is closed."""
        channel, transport = self.connect()
        channel.dataReceived(HEAD + b"Content-Length: 1001\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 413 "))
        self.assertTrue(transport.disconnecting)
        transport.clear()
        channel.dataReceived(b"x" * 1001 + HEAD + b"\r\n")
        self.assertEqual((transport.value(), self.root.asked), (b"", []))

    def test_a_refused_body_is_not_asked_for_first(self) -> None:
        """Expect: 100-continue gets the refusal and nothing else."""
        channel, transport = self.connect()
        channel.dataReceived(HEAD + b"Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
        self.assertNotIn(b" 100 ", transport.value())
        self.assertEqual(transport.value().count(b"HTTP/1.1 "), 1)

    def test_a_chunked_body_that_grows_too_long_is_refused(self) -> None:
        """Its length is known only when it is too late; nothing more is read."""
        channel, transport = self.connect()
        channel.dataReceived(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            channel.dataReceived(b"64\r\n" + b"x" * 100 + b"\r\n")
        self.assertEqual(transport.value(), b"")
        channel.dataReceived(b"1\r\nx\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 413 "))
        self.assertTrue(transport.disconnecting)
        transport.clear()
        channel.dataReceived(b"0\r\n\r\n")
        self.assertEqual((transport.value(), self.root.asked), (b"", []))

    def test_a_form_is_not_parsed(self) -> None:
        """AppRTC posts JSON with whatever content type its client sets; the bytes stay as they are."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = make_request(self.site, "POST", "/x?q=1", b"a=1", headers)
        self.assertEqual(answer.body, b"a=1")
        self.assertEqual(self.root.asked[0].args, {b"q": [b"1"]})

    def test_repeated_slashes_are_one(self) -> None:
        """Old clients ask for //join/room; the query is left alone."""
        make_request(self.site, "GET", "//join///room?u=//x")
        self.assertEqual((self.root.asked[0].path, self.root.asked[0].args), (b"/join/room", {b"u": [b"//x"]}))

    def test_every_answer_has_the_security_headers(self) -> None:
        """Found, not found, refused, and what is no HTTP."""
        for answer in (
            make_request(self.site, "GET", "/"),
            make_request(Tree(), "GET", "/nothing"),
            make_request(self.site, "POST", "/", b"x" * 1001),
            make_request(self.site, "GET", "/", headers={"X": "y" * 17000}),
            make_request(self.site, "GET", "/", headers={"Content-Length": "nonsense"}),
            make_request(self.site, "GET", "/", headers={"no colon\r\nX": ""}),
        ):
            for name, value in security_headers(()).items():
                self.assertEqual(answer.headers.getRawHeaders(name), [value])
            self.assertEqual(answer.header("Server"), "rtcd")

    def test_a_header_may_be_in_any_bytes(self) -> None:
        """What is no UTF-8 is read as well as it can be; a proxy passes on what its clients send."""
        make_request(self.site, "GET", "/", headers={"X": "y"}, more=b"User-Agent: a\xffb\r\n")
        self.assertEqual(self.root.asked[0].getHeader("user-agent"), "a\ufffdb")
        self.assertEqual((self.root.asked[0].getHeader("none"), self.root.asked[0].getHeader(b"x")), (None, b"y"))

    def test_too_many_headers_are_refused(self) -> None:
        """A client that goes on sending them is cut off."""
        answer = make_request(self.site, "GET", "/", headers={f"X-{n}": "1" for n in range(MAX_HEADERS)})
        self.assertEqual((answer.code, answer.closed), (400, True))

    def test_headers_that_are_too_long_are_refused(self) -> None:
        """One long line, or many."""
        for headers in ({"X": "y" * 17000}, {f"X-{n}": "y" * 1000 for n in range(20)}):
            answer = make_request(self.site, "GET", "/", headers=headers)
            self.assertTrue(answer.closed)
            self.assertEqual(self.root.asked, [])

    def test_a_silent_connection_is_closed_when_the_idle_time_is_over(self) -> None:
        """From the last answer on."""
        channel, transport = self.connect()
        self.clock.advance(50)
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.clock.advance(59)
        self.assertFalse(transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_a_request_that_trickles_in_gets_no_more_time(self) -> None:
        """One byte every second does not hold a connection."""
        channel, transport = self.connect()
        for byte in HEAD + b"X: " + b"y" * 60:
            channel.dataReceived(bytes([byte]))
            self.clock.advance(1)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.root.asked, [])

    def test_a_slow_answer_is_not_timed_out(self) -> None:
        """The time is the client's, not ours."""
        channel, transport = self.connect(DoorSite(self.clock, Never(), DoorwaySettings(), Metrics()))
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.clock.advance(600)
        self.assertFalse(transport.disconnecting)

    def test_requests_sent_together_are_all_answered(self) -> None:
        """And the next one, after some idle time, too."""
        channel, _ = self.connect()
        channel.dataReceived(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n")
        self.clock.advance(30)
        channel.dataReceived(b"\r\n")
        self.assertEqual([one.path for one in self.root.asked], [b"/1", b"/2"])

    def test_answers_are_counted_by_class(self) -> None:
        """There is no access log: this is all that is kept of a request."""
        make_request(self.site, "GET", "/")
        make_request(self.site, "POST", "/", b"x" * 2000)
        found = {one.labels: one.value for one in self.metrics.samples()}
        self.assertEqual((found[(("code", "2xx"),)], found[(("code", "4xx"),)]), (1, 1))

    def test_head_is_get_without_the_body_and_makes_no_line(self) -> None:
        """The URI may hold secrets, and strangers decide how often they ask."""
        tree = Tree()
        tree.add("/leaf", Leaf())
        tree.add("/post", Post())
        with capturedLogs() as events:
            answers = [make_request(tree, "HEAD", f"{path}?invitation=hunter2") for path in ("/leaf", "/post", "/nowhere")]
        self.assertEqual(events, [])
        self.assertEqual([(one.code, one.body) for one in answers], [(200, b""), (405, b""), (404, b"")])
        leaf, post, _ = answers
        self.assertEqual((leaf.header("content-length"), leaf.header("x")), ("4", "y"))
        self.assertEqual(post.header("allow"), "POST")

    def test_a_request_is_shown_without_its_uri(self) -> None:
        """Wherever somebody logs one."""
        make_request(self.site, "GET", "/r/lounge?invitation=hunter2")
        self.assertNotIn("hunter2", f"{self.root.asked[0]!r} {self.root.asked[0]}")

    def test_nothing_runs_while_nobody_asks(self) -> None:
        """Twisted's access log would wake up every second."""
        self.site.doStart()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.site.doStop()


class TreeTests(SynchronousTestCase):
    """The longest registered path answers; the rest is the fallback's."""

    def setUp(self) -> None:
        """Resources that show how they were reached."""
        self.tree = Tree()
        self.found = {path: Recorder() for path in ("/", "/a", "/a/b/c", "/d/e")}
        for path, resource in self.found.items():
            self.tree.add(path, resource)

    def test_each_path_finds_its_resource_with_the_rest_in_postpath(self) -> None:
        """Intermediate paths that nobody added are the fallback's as well."""
        for path, resource, rest in (
            ("/", "/", [b""]),
            ("/zz/y", "/", [b"zz", b"y"]),
            ("/a", "/a", []),
            ("/a/b", "/a", [b"b"]),
            ("/a/b/c", "/a/b/c", []),
            ("/a/b/c/d/", "/a/b/c", [b"d", b""]),
            ("/d", "/", [b"d"]),
            ("/d/e/", "/d/e", [b""]),
            ("/d/f/g", "/", [b"d", b"f", b"g"]),
            ("/%61", "/a", []),
        ):
            make_request(self.tree, "GET", path)
            request = self.found[resource].asked.pop()
            self.assertEqual(request.postpath, rest, path)
            self.assertEqual(sum(len(one.asked) for one in self.found.values()), 0)

    def test_a_path_can_be_taken_once(self) -> None:
        """Two services at one path cannot both be served; that holds for the fallback too."""
        self.assertRaises(ValueError, self.tree.add, "/d/e/", Recorder())
        self.assertRaises(ValueError, self.tree.add, "d", Recorder())
        self.assertRaises(ValueError, self.tree.add, "/", Never())

    def test_without_a_fallback_unknown_paths_are_404(self) -> None:
        """A daemon without pages."""
        self.assertEqual(make_request(Tree(), "GET", "/x/y").code, 404)


class HoldTests(SynchronousTestCase):
    """An answer is written in parts, and goes out as one."""

    class Line(StringTransport):
        """Keeps each write."""

        def __init__(self) -> None:
            super().__init__()
            self.writes: list[bytes] = []

        def write(self, data: bytes) -> None:
            """One more."""
            self.writes.append(data)

    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        self.root = Recorder()
        self.site = DoorSite(self.clock, self.root, DoorwaySettings(), Metrics())

    def answered(self, request: bytes) -> Any:
        """The transport below the layer of a plain connection that was sent this."""
        connections = Connections(self.clock, DoorwaySettings(), Metrics())
        layer = PlainFactory(self.clock, connections, self.site).buildProtocol(CLIENT)
        line = self.Line()
        layer.makeConnection(line)
        layer.dataReceived(request)
        return line

    def test_head_and_body_are_one_write(self) -> None:
        """For each of two requests that come together."""
        request = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
        line = self.answered(request + request)
        self.assertEqual([one[:15] for one in line.writes], [b"HTTP/1.1 200 OK"] * 2)
        self.assertTrue(all(one.endswith(b"\r\n\r\nhi") for one in line.writes))

    def test_a_close_comes_behind_it(self) -> None:
        """Nothing that is kept is lost."""
        line = self.answered(b"POST /x HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
        self.assertTrue(line.writes[0].endswith(b"\r\n\r\nhi") and line.disconnecting)

    def test_a_fault_keeps_nothing_back(self) -> None:
        """The answer that the server failed goes out too."""
        self.root.render = mock.Mock(side_effect=ValueError)  # type: ignore[method-assign]
        line = self.answered(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(line.writes[0].startswith(b"HTTP/1.1 500 "))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_what_is_written_later_is_not_kept(self) -> None:
        """Nobody would let it go."""
        connections, line = Connections(self.clock, DoorwaySettings(), Metrics()), self.Line()
        layer = PlainFactory(self.clock, connections, self.site).buildProtocol(CLIENT)
        layer.makeConnection(line)
        layer.hold()
        layer.hold()
        layer.write(b"a")
        layer.writeSequence([b"b", b"c"])
        self.assertEqual(line.writes, [])
        layer.write_now(b"d")
        layer.write(b"e")
        layer.release()
        self.assertEqual(line.writes, [b"abc", b"d", b"e"])
