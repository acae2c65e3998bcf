"""Tests of the doorway as services see it: listeners, origins, redirects, the local CA."""

from __future__ import annotations

import errno
from typing import Any
from unittest import mock

from twisted.internet.address import IPv6Address
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from rtcd.config import ConfigError
from rtcd.doorway.directory import Listener
from rtcd.doorway.settings import DoorwaySettings
from tests import fakes
from tests.fakes import FakeAnswer, make_doorway, make_request


class Where(Resource):
    """Answers with the origin and the host that the client seems to see."""

    isLeaf = True

    def __init__(self, door: Any) -> None:
        super().__init__()
        self._door = door

    def render_GET(self, request: Any) -> bytes:
        """Answer."""
        return f"{self._door.origin(request)} {self._door.public_host(request)}".encode()


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
        self.assertEqual(self.door(public_url="https://meet.example/").public_origin, "https://meet.example")
        self.assertIsNone(self.door().public_origin)

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
        answer = make_request(door, "GET", "/ca.crt")
        self.assertEqual(answer.code, 404)
        self.assertIn(b"There is no local CA", answer.body)

    def test_the_certificate_is_for_the_public_host_too(self) -> None:
        """And for every name of the machine."""
        door = self.door(public_url="https://meet.example")
        self.assertEqual(door.certificates.names, ())
        door.privilegedStartService()
        self.assertTrue({"meet.example", "localhost", "127.0.0.1", "::1"} <= set(door.certificates.names))
