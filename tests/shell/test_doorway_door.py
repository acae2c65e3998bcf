"""Tests of the doorway as services see it: listeners, origins, redirects, the local CA."""

from __future__ import annotations

import errno
import plistlib
from typing import Any
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from rtcd.config import ConfigError
from rtcd.doorway.directory import Listener
from rtcd.doorway.settings import DoorwaySettings
from rtcd.front.proxied import HEADER_S
from rtcd.front.proxy_header import SIGNATURE
from rtcd.tls.chain import Chain
from rtcd.tls.settings import TlsSettings
from tests import fakes
from tests.fakes import FakeAnswer, dial, make_doorway, make_request


class Where(Resource):
    """Answers with the origin and the host that the client seems to see."""

    isLeaf = True

    def __init__(self, door: Any) -> None:
        super().__init__()
        self._door = door

    def render_GET(self, request: Any) -> bytes:
        """Answer."""
        base = self._door.base(request)
        return f"{base.url} {base.authority.bracketed}".encode()


class Asked(Resource):
    """Keeps where the doorway says that a client finds TURN."""

    isLeaf = True

    def __init__(self, door: Any) -> None:
        super().__init__()
        self._door = door
        self.told: list[dict[str, int]] = []

    def render_GET(self, request: Any) -> bytes:
        """Ask."""
        self.told.append(self._door.stream_ports(request, "stun.turn"))
        return b""


GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Client(Resource):
    """Answers with the host that the client seems to have."""

    isLeaf = True

    def __init__(self, door: Any) -> None:
        super().__init__()
        self._door = door

    def render_GET(self, request: Any) -> bytes:
        """Answer."""
        return str(self._door.client_host(request)).encode()


class DoorwayTests(SynchronousTestCase):
    """One door for all."""

    def setUp(self) -> None:
        """A reactor in memory."""
        self.reactor = MemoryReactorClock()

    def door(self, **settings: Any) -> Any:
        """A doorway with these settings, not started."""
        return make_doorway(self.reactor, self.mktemp(), DoorwaySettings(**settings))

    def refusing(self, *numbers: int | None) -> Any:
        """Make the reactor's next listens fail with these error numbers; None lets one succeed."""
        listen, left = self.reactor.listenTCP, list(numbers)

        def listenTCP(port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
            number = left.pop(0) if left else None
            if number is not None:
                raise CannotListenError(interface, port, OSError(number, "reason"))
            return listen(port, factory, backlog, interface)

        return mock.patch.object(self.reactor, "listenTCP", listenTCP)

    def test_listeners_are_opened_with_privileges_and_announced(self) -> None:
        """IPv6 and IPv4 by one socket; the real port is in the directory."""
        door = self.door(plain=("tcp:8081:interface=127.0.0.1",))
        door.privilegedStartService()
        opened = [(server[0], server[3]) for server in self.reactor.tcpServers]
        self.assertEqual(opened, [(8443, "::"), (8080, "::"), (8081, "127.0.0.1")])
        listeners = list(door.directory.listeners("web"))
        self.assertEqual(listeners[:2], [Listener("web", "tls", "::", 8443), Listener("web", "tcp", "::", 8080)])
        self.assertEqual((listeners[2].transport, listeners[2].port), ("tcp", 8081))
        door.startService()
        self.assertEqual(len(self.reactor.tcpServers), 3)
        self.successResultOf(door.stopService())

    def test_without_ipv6_ipv4_is_used(self) -> None:
        """A kernel without it says so when asked."""
        with self.refusing(errno.EAFNOSUPPORT):
            self.door(http=()).privilegedStartService()
        self.assertEqual([(server[0], server[3]) for server in self.reactor.tcpServers], [(8443, "")])

    def test_a_port_in_use_ends_the_start_with_one_line(self) -> None:
        """And what was opened before is closed."""
        door = self.door()
        with self.refusing(None, errno.EADDRINUSE):
            fault = self.assertRaises(ConfigError, door.privilegedStartService)
        text = "[doorway] http: tcp port 8080 is in use by another program; free it or choose another"
        self.assertEqual(str(fault), text)
        self.assertEqual(list(door.directory.listeners()), [])

    def test_a_port_that_may_not_be_opened_says_how_to_be_allowed(self) -> None:
        """Ports below 1024."""
        with self.refusing(errno.EACCES):
            fault = self.assertRaises(ConfigError, self.door(https=("tcp:443",)).privilegedStartService)
        self.assertIn("[doorway] https: tcp port 443 may not be opened by this user; ", str(fault))

    def test_an_endpoint_that_cannot_be_read_is_named(self) -> None:
        """Every way to write one wrongly."""
        for text in ("8443", "tcp", "tcp:x", "tcp:70000:x=1", "nosuch:1", "tcp:8443:interfaces=::", ""):
            fault = self.assertRaises(ConfigError, self.door(https=(text,)).privilegedStartService)
            self.assertIn("[doorway] https: ", str(fault))
            self.assertIn(repr(text), str(fault))

    def test_a_door_with_nothing_behind_it_is_not_needed(self) -> None:
        """A daemon that only relays has no web port."""
        door = self.door()
        self.assertFalse(door.needed)
        door.add_stream("stun.turn", Factory(), opens=False)
        self.assertFalse(door.needed)
        door.add_stream("other", Factory())
        self.assertTrue(door.needed)

    def test_a_service_with_tls_of_its_own_has_the_certificate_and_opens_no_web_port(self) -> None:
        """It is loaded before any port opens, and watched."""
        door = self.door()
        creator = door.tls("stun.turn")
        self.assertTrue(door.needed)
        door.privilegedStartService()
        self.assertEqual((list(door.directory.listeners()), self.reactor.tcpServers), ([], []))
        self.assertIsNotNone(creator.serverConnectionForTLS(None))
        door.startService()
        self.assertTrue(door.certificates.running)
        self.successResultOf(door.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_web_site_without_https_needs_no_certificate(self) -> None:
        """A proxy has it."""
        door = self.door(https=(), http=(), plain=("tcp:8081:interface=127.0.0.1",))
        door.add_child("/", Where(door))
        door.startService()
        self.addCleanup(door.stopService)
        self.assertIsNone(door.certificates.chain)

    def test_an_alpn_name_can_be_taken_once(self) -> None:
        """And HTTP's never."""
        door = self.door()
        door.add_stream("stun.turn", Factory())
        self.assertRaises(ValueError, door.add_stream, "stun.turn", Factory())
        self.assertRaises(ValueError, door.add_stream, "http/1.1", Factory())

    def where(self, host: str | None, *, secure: bool = True, **settings: Any) -> str:
        """What `Where` answers to a request with this Host header."""
        door = self.door(**settings)
        door.add_child("/", Where(door))
        headers = {} if host is None else {"Host": host}
        return make_request(door, "GET", "/", headers=headers, secure=secure).body.decode()

    def test_the_origin_is_what_the_browser_asked_for(self) -> None:
        """Behind a port forwarding, that is the only one who knows."""
        self.assertEqual(self.where("Meet.example:9000"), "https://meet.example:9000 meet.example")
        self.assertEqual(self.where("meet.example"), "https://meet.example meet.example")
        self.assertEqual(self.where("[2001:DB8::1]:443"), "https://[2001:db8::1] [2001:db8::1]")
        self.assertEqual(self.where("meet.example", secure=False), "http://meet.example meet.example")

    def test_the_configured_public_url_comes_first(self) -> None:
        """Whatever the browser says."""
        found = self.where("other.example", public_url="https://meet.example:444")
        self.assertEqual(found, "https://meet.example:444 meet.example")
        self.assertEqual(self.door(public_url="https://meet.example/").public.url, "https://meet.example")
        self.assertIsNone(self.door().public)

    def test_a_trusted_proxy_says_how_the_browser_sees_us(self) -> None:
        """On any port, under any path; by default one on this machine, and that without TLS."""
        told = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "meet.example:8443",
                "X-Forwarded-Prefix": "/calls"}
        local = IPv4Address("TCP", "127.0.0.1", 1)
        ours = "http://192.0.2.1:8443 192.0.2.1"
        for client, secure, settings, seen in (
            (local, False, {}, "https://meet.example:8443/calls meet.example"),
            (fakes.CLIENT, False, {}, ours),
            (local, False, {"trusted_proxies": ()}, ours),
            (local, True, {}, ours.replace("http:", "https:")),
            (fakes.CLIENT, True, {"trusted_proxies": ("192.0.2.0/24",)}, "https://meet.example:8443/calls meet.example"),
            (local, False, {"public_url": "https://other.example/x"}, "https://other.example/x other.example"),
        ):
            door = self.door(**settings)
            door.add_child("/", Where(door))
            answer = make_request(door, "GET", "/", headers=told, client=client, secure=secure)
            self.assertEqual(answer.body.decode(), seen)

    def test_a_prefix_that_is_told_is_taken_off_unless_it_is_like_one_of_our_own_paths(self) -> None:
        """Most proxies that tell it have done so already."""
        door, local = self.door(), IPv4Address("TCP", "127.0.0.1", 1)
        door.add_child("/a/b", Where(door))
        for prefix, path, code in (("/calls", "/calls/a/b", 200), ("/calls", "/a/b", 200), ("/a", "/a/b", 200),
                                   ("/a", "/a/a/b", 404)):
            answer = make_request(door, "GET", path, headers={"X-Forwarded-Prefix": prefix}, client=local, secure=False)
            self.assertEqual(answer.code, code, (prefix, path))

    def test_the_path_prefix_is_taken_off_if_the_proxy_has_not(self) -> None:
        """Services know nothing of it; neither does who asks without it."""
        door = self.door(public_url="https://meet.example/calls")
        door.add_child("/a", Where(door))
        for path, code in (("/calls/a", 200), ("/a", 200), ("//calls//a", 200), ("/calls/b", 404), ("/callsa", 404)):
            self.assertEqual(make_request(door, "GET", path).code, code, path)
        for path, to in (("/calls/a?q=1", "/calls/a?q=1"), ("/a?u=/calls/", "/calls/a?u=/calls/"), ("/", "/calls/"),
                         ("/calls", "/calls/"), ("*", "/calls/")):
            answer = make_request(door.redirect_site, "GET", path, secure=False)
            self.assertEqual(answer.header("Location") or "https://meet.example/calls/", f"https://meet.example{to}", path)

    def test_a_prefix_like_one_of_our_own_paths_is_refused(self) -> None:
        """Whether it was taken off could not be told."""
        for prefix in ("/a", "/a/b", "/install"):
            door = self.door(public_url=f"https://meet.example{prefix}")
            door.add_child("/a", Where(door))
            fault = self.assertRaises(ConfigError, door.privilegedStartService)
            self.assertTrue(str(fault).startswith(f"[doorway] public-url: {prefix} begins like a path of our own"))
            self.assertEqual(self.reactor.tcpServers, [])

    def test_the_page_that_explains_the_local_authority_is_served_by_http_and_https(self) -> None:
        """A phone that does not trust us yet has to get there somehow."""
        door = self.door()
        door.privilegedStartService()
        for site, secure in ((door, True), (door.redirect_site, False)):
            answer = make_request(site, "GET", "/install", secure=secure)
            self.assertEqual((answer.code, answer.header("Content-Type")), (200, "text/html; charset=utf-8"))
            self.assertIn(b"https://192.0.2.1:8443/", answer.body)

    def test_the_page_says_what_this_visitor_has_to_do(self) -> None:
        """By what he sees: the local authority's certificate, one that everybody trusts, or somebody else's."""
        local = IPv4Address("TCP", "127.0.0.1", 1)
        door = self.door(public_url="https://meet.example")
        door.privilegedStartService()

        def says(**asked: Any) -> bytes:
            body = make_request(door, "GET", "/install", **asked).body
            cases = (b"Trust this server</h1>", b"Nothing to install</h1>", b"from here</h1>")
            return next(one for one in cases if one in body)

        self.assertEqual(says(), b"Trust this server</h1>")
        self.assertEqual(says(headers={"X-Forwarded-For": "192.0.2.9"}, client=local, secure=False), b"from here</h1>")
        self.patch(door.certificates, "shown", lambda host: Chain((), None, (), "a file"))
        self.assertEqual(says(), b"from here</h1>")
        self.patch(door.certificates, "trusted", lambda host: host == "meet.example")
        self.assertEqual(says(), b"Nothing to install</h1>")

    def test_one_address_gets_so_many_codes_drawn(self) -> None:
        """Each takes its time; the page is there without."""
        door = self.door()
        door.privilegedStartService()
        drawn = [b'fill="#fff"' in make_request(door, "GET", "/install", headers={"Host": f"n{number}.example"}).body
                 for number in range(12)]
        self.assertEqual(drawn, [True] * 10 + [False] * 2)
        self.reactor.advance(4)
        self.assertIn(b'fill="#fff"', make_request(door, "GET", "/install").body)

    def test_acme_where_nothing_speaks_tls_is_refused(self) -> None:
        """A proxy in front has the certificate then."""
        settings = DoorwaySettings(https=(), plain=("tcp:8081",))
        door = make_doorway(self.reactor, self.mktemp(), settings, TlsSettings(mode="acme"))
        door.add_child("/", Where(door))
        fault = self.assertRaises(ConfigError, door.privilegedStartService)
        self.assertTrue(str(fault).startswith("[tls] mode: is acme, and nothing here speaks TLS"))

    def test_a_socket_without_a_port_is_named_nowhere(self) -> None:
        """A unix socket, and one on loopback that only a proxy can reach, are of no use to a TURN client elsewhere."""
        local = IPv4Address("TCP", "127.0.0.1", 1)
        for listener, secure, ports in (
            (Listener("web", "tls", "/run/sock", 0), False, {}), (Listener("web", "tls", "127.0.0.1", 8443), False, {}),
            (Listener("web", "tls", "127.0.0.1", 8443), True, {"tls": 8443, "udp": 8443}),
            (Listener("web", "tls", "::", 8443), False, {"tls": 8443, "udp": 8443}),
        ):
            door = self.door()
            door.directory.opened(listener)
            door.add_stream("stun.turn", Factory())
            asking = Asked(door)
            door.add_child("/", asking)
            make_request(door, "GET", "/", client=fakes.CLIENT if secure else local, secure=secure)
            self.assertEqual(asking.told, [ports], listener)

    def test_a_site_may_be_allowed_to_show_us_framed(self) -> None:
        """Nobody may by default; the older header knows no list, so it goes."""
        answer = make_request(self.door(), "GET", "/x")
        self.assertIn("frame-ancestors 'none'", answer.header("Content-Security-Policy") or "")
        self.assertEqual(answer.header("X-Frame-Options"), "DENY")
        answer = make_request(self.door(frame_ancestors=("https://cloud.example",)), "GET", "/x")
        self.assertIn("frame-ancestors 'self' https://cloud.example;", answer.header("Content-Security-Policy") or "")
        self.assertIsNone(answer.header("X-Frame-Options"))

    def test_browsers_are_told_to_come_by_https_only_where_that_is_safe(self) -> None:
        """A certificate that everybody trusts, at the HTTPS port of the name: it holds for every port of that name."""
        local = IPv4Address("TCP", "127.0.0.1", 1)

        def told(url: str, *, trusted: bool = True, seconds: int = 1000, **asked: Any) -> str | None:
            door = make_doorway(self.reactor, self.mktemp(), DoorwaySettings(public_url=url), TlsSettings(hsts=seconds))
            self.patch(door.certificates, "trusted", lambda host: trusted and host == "meet.example")
            return make_request(door, "GET", "/x", **asked).header("Strict-Transport-Security")

        self.assertEqual(told("https://meet.example"), "max-age=1000")
        self.assertIsNone(told("https://meet.example", trusted=False))
        self.assertIsNone(told("https://meet.example", seconds=0))
        self.assertIsNone(told("https://meet.example:8443"))
        self.assertIsNone(told("https://other.example"))
        self.assertIsNone(told("https://meet.example", secure=False))
        self.assertIsNone(told("https://meet.example", client=local, secure=False, headers={"X-Forwarded-Proto": "https"}))

    def test_a_proxy_in_front_of_the_port_is_named(self) -> None:
        """Its connections begin with a PROXY header, and are their clients' then; those of others are served as they are."""
        door = self.door(proxy_from=("198.51.100.9",), plain=("tcp:8081",))
        door.add_child("/", Client(door))
        door.privilegedStartService()
        https, _, plain = (server[1] for server in self.reactor.tcpServers)
        for host, header, client in (
            ("198.51.100.9", b"PROXY TCP4 203.0.113.5 192.0.2.1 4711 443\r\n", b"203.0.113.5"),
            ("198.51.100.9", SIGNATURE + bytes.fromhex("2111000c cb007106 c0000201 123401bb"), b"203.0.113.6"),
            ("198.51.100.9", b"PROXY UNKNOWN\r\n", b"198.51.100.9"),
            ("198.51.100.8", b"", b"198.51.100.8"),
        ):
            answer = dial(self.reactor, plain, host=host).send(header + GET)
            self.assertEqual(answer.rpartition(b"\r\n\r\n")[2], client)
            self.assertIn(b" 301 ", dial(self.reactor, https, host=host).send(header + GET))

    def test_a_named_proxy_without_a_header_is_refused(self) -> None:
        """Or with one that does not come, or when the port is closed first; nobody else's header is read."""
        door = self.door(proxy_from=("198.51.100.9",), http=())
        door.privilegedStartService()
        factory = self.reactor.tcpServers[0][1]
        factory.doStart()
        for host, data in (("198.51.100.9", GET), ("198.51.100.8", b"PROXY TCP4 203.0.113.5 192.0.2.1 4711 443\r\n")):
            link = dial(self.reactor, factory, host=host)
            self.assertNotIn(b"203.0.113.5", link.send(data))
            self.assertTrue(link.closed or b" 400 " in link.received, host)
        waiting, late = (dial(self.reactor, factory, host="198.51.100.9") for _ in range(2))
        late.send(b"PROXY ")
        self.reactor.advance(HEADER_S)
        self.assertTrue(waiting.server_transport.disconnecting and late.server_transport.disconnecting)
        last = dial(self.reactor, factory, host="198.51.100.9")
        factory.doStop()
        self.assertTrue(last.server_transport.disconnecting)

    def test_a_bad_host_header_is_replaced_by_the_address(self) -> None:
        """Nothing unchecked gets into a link."""
        for host in ("", "a/b", 'x"><script>', "1.2.3", "[::1", "a:99999"):
            self.assertEqual(self.where(host), "https://192.0.2.1:8443 192.0.2.1")

    def test_a_dual_stack_address_is_shown_as_ipv4(self) -> None:
        """The socket says ::ffff:192.0.2.1."""
        self.patch(fakes, "SERVER", IPv6Address("TCP", "::ffff:192.0.2.1", 8443))
        self.assertEqual(self.where(""), "https://192.0.2.1:8443 192.0.2.1")

    def redirect(self, method: str, path: str, host: str = "a.example:8080", **settings: Any) -> FakeAnswer:
        """The answer of the redirect site."""
        door = self.door(**settings)
        door.privilegedStartService()
        return make_request(door.redirect_site, method, path, headers={"Host": host}, secure=False)

    def test_http_is_redirected_to_https(self) -> None:
        """Path and query are kept; GET may change its method, others may not."""
        answer = self.redirect("GET", "/r/room?x=1&y=//")
        self.assertEqual((answer.code, answer.header("Location")), (301, "https://a.example:8443/r/room?x=1&y=//"))
        self.assertEqual(answer.body, b"")
        answer = self.redirect("POST", "/join/room")
        self.assertEqual((answer.code, answer.header("Location")), (308, "https://a.example:8443/join/room"))

    def test_the_default_port_is_left_out_of_a_redirect(self) -> None:
        """443 needs no number."""
        answer = self.redirect("GET", "/", https=("tcp:443",))
        self.assertEqual(answer.header("Location"), "https://a.example/")

    def test_a_redirect_goes_to_the_public_url_if_there_is_one(self) -> None:
        """The port that we listen on may be forwarded from another."""
        answer = self.redirect("GET", "/x", public_url="https://meet.example")
        self.assertEqual(answer.header("Location"), "https://meet.example/x")

    def test_a_redirect_never_leaves_our_origin(self) -> None:
        """Odd request targets and hosts."""
        for path, host in (
            ("//evil.example/x", "a.example"), ("http://evil.example/x", "a.example"), ("*", "a.example"), ("/x", "evil/"),
        ):  # fmt: skip
            answer = self.redirect("GET", path, host)
            self.assertRegex(answer.header("Location") or "https://a.example:8443/", r"^https://(a\.example|192\.0\.2\.1):8443/")

    def test_the_local_authority_can_be_fetched_by_http_and_https(self) -> None:
        """A phone that does not trust us yet has to get it somehow."""
        door = self.door()
        door.privilegedStartService()
        for site in (door, door.redirect_site):
            answer = make_request(site, "GET", "/ca.crt")
            self.assertEqual((answer.code, answer.header("Content-Type")), (200, "application/x-x509-ca-cert"))
            self.assertEqual(answer.body, door.certificates.ca_pem)

    def test_there_is_no_local_authority_with_an_own_certificate(self) -> None:
        """404, in words."""
        door = self.door()
        for path in ("/ca.crt", "/ca.mobileconfig"):
            answer = make_request(door, "GET", path)
            self.assertEqual(answer.code, 404)
            self.assertIn(b"There is no local CA", answer.body)

    def test_apples_devices_get_it_as_a_profile(self) -> None:
        """With the same certificate in it, and the same identifiers each time."""
        door = self.door()
        door.privilegedStartService()
        first, again = (make_request(door, "GET", "/ca.mobileconfig") for _ in range(2))
        self.assertEqual((first.code, first.header("Content-Type")), (200, "application/x-apple-aspen-config"))
        self.assertEqual(first.body, again.body)
        found = plistlib.loads(first.body)
        (root,) = found["PayloadContent"]
        self.assertEqual((found["PayloadType"], root["PayloadType"]), ("Configuration", "com.apple.security.root"))
        pem = x509.load_der_x509_certificate(root["PayloadContent"]).public_bytes(Encoding.PEM)
        self.assertEqual(pem, door.certificates.ca_pem)
        self.assertNotEqual(found["PayloadUUID"], root["PayloadUUID"])

    def test_the_certificate_is_for_the_public_host_too(self) -> None:
        """And for every name of the machine."""
        door = self.door(public_url="https://meet.example")
        self.assertEqual(door.certificates.names, ())
        door.privilegedStartService()
        self.assertTrue({"meet.example", "localhost", "127.0.0.1", "::1"} <= set(door.certificates.names))
