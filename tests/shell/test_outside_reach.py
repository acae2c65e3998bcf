"""Which names lead here: by the DNS and our addresses, or because a secret that we show comes back."""

from __future__ import annotations

import secrets
from typing import Any

from OpenSSL.crypto import X509, PKey
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import LoopingCall
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from rtcd.acme.challenges import Challenges
from rtcd.acme.resource import ChallengeResource
from rtcd.outside.names import public_name
from rtcd.outside.reach import MAX_NAMES, MAX_PROBE_BYTES, MAX_PROBES, PROBE_S, Reach
from rtcd.tls.authority import issue, make_authority

OWN = "8.8.4.4"
CLOUD = "8.8.8.8"
ELSEWHERE = "9.9.9.9"


class RuleTests(SynchronousTestCase):
    """On a network that the test makes up."""

    def setUp(self) -> None:
        """One address of ours is public; names are looked up here."""
        self.reactor = MemoryReactorClock()
        self.challenges = Challenges()
        self.dns: dict[str, tuple[str, ...]] = {}
        self.reach = Reach(self.reactor, self.challenges, own=lambda: ["10.0.0.1", OWN], resolve=self.resolve)

    async def resolve(self, name: str) -> tuple[str, ...]:
        """The DNS."""
        return self.dns.get(name, ())

    def of(self, *names: str, http: bool = True, outside: tuple[str, ...] = ()) -> Deferred[tuple[str, ...]]:
        """Ask."""
        return Deferred.fromCoroutine(self.reach.of(names, http=http, outside=outside))

    def test_an_address_of_ours_and_a_name_for_it_lead_here(self) -> None:
        """Without any probe; in the order in which they were named, each once."""
        self.dns = {"meet.example.org": ("10.9.9.9", OWN)}
        found = self.successResultOf(self.of("Meet.Example.org.", OWN, "meet.example.org", "10.0.0.1", "box.local", "box"))
        self.assertEqual(found, ("meet.example.org", OWN))
        self.assertEqual(self.reactor.tcpClients, [])

    def test_an_address_that_the_cloud_tells_leads_here(self) -> None:
        """It is none of our interfaces'."""
        self.dns = {"meet.example.org": (CLOUD,)}
        self.assertEqual(self.successResultOf(self.of("meet.example.org", CLOUD, outside=(CLOUD,))),
                         ("meet.example.org", CLOUD))

    def test_names_without_a_public_address_do_not(self) -> None:
        """Unknown ones, and those of a private network."""
        self.dns = {"inner.example.org": ("10.0.0.1", "fd00::1")}
        self.assertEqual(self.successResultOf(self.of("inner.example.org", "unknown.example.org")), ())
        self.assertEqual(self.reactor.tcpClients, [])

    def test_an_address_elsewhere_is_knocked_at_where_an_authority_would(self) -> None:
        """Port 80 if we show challenges there, else 443; for a limited time, and the token is taken down."""
        for http, port in ((True, 80), (False, 443)):
            self.dns = {"meet.example.org": (ELSEWHERE,)}
            asked = self.of("meet.example.org", http=http)
            self.assertEqual(self.reactor.tcpClients.pop()[:2], (ELSEWHERE, port))
            self.assertEqual(len(self.challenges._http), 1)
            self.reactor.advance(PROBE_S)
            self.assertEqual(self.successResultOf(asked), ())
            self.assertEqual((self.challenges._http, self.reactor.getDelayedCalls()), ({}, []))

    def test_nobody_knocks_before_every_process_shows_the_secret(self) -> None:
        """The knock may come to any of them. A wait that is ended leaves nothing."""
        self.dns = {"meet.example.org": (ELSEWHERE,)}
        waiting: list[Deferred[None]] = []
        self.challenges.everywhere = lambda: waiting.append(Deferred()) or waiting[-1]  # type: ignore[func-returns-value]
        asked = self.of("meet.example.org")
        self.assertEqual((len(self.challenges._http), self.reactor.tcpClients), (1, []))
        waiting[0].callback(None)
        self.assertEqual(len(self.reactor.tcpClients), 1)
        self.reactor.advance(PROBE_S)
        self.assertEqual(self.successResultOf(asked), ())
        asked = self.of("meet.example.org")
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.challenges._http, {})

    def test_a_few_addresses_of_a_name_are_tried_one_after_the_other(self) -> None:
        """No more."""
        self.dns = {"meet.example.org": tuple(f"9.9.9.{n}" for n in range(1, 9))}
        asked = self.of("meet.example.org")
        self.reactor.pump([PROBE_S] * MAX_PROBES)
        self.assertEqual(self.successResultOf(asked), ())
        self.assertEqual([one[0] for one in self.reactor.tcpClients], [f"9.9.9.{n}" for n in range(1, MAX_PROBES + 1)])

    def test_no_more_than_so_many_names_are_looked_at(self) -> None:
        """The rest is left out."""
        names = [f"n{number}.example.org" for number in range(MAX_NAMES + 5)]
        self.dns = dict.fromkeys(names, (OWN,))
        self.assertEqual(len(self.successResultOf(self.of(*names))), MAX_NAMES)

    def test_it_can_be_cancelled(self) -> None:
        """Nothing is left of it."""
        self.dns = {"meet.example.org": (ELSEWHERE,)}
        asked = self.of("meet.example.org", ELSEWHERE)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual((self.challenges._http, self.reactor.getDelayedCalls()), ({}, []))


class ProbeTests(TestCase):
    """With real sockets on loopback, which counts as the internet here."""

    def setUp(self) -> None:
        """A name that leads to loopback."""
        self.challenges = Challenges()

    def reach(self, port: int) -> Reach:
        """Probes go to this port."""
        return Reach(reactor, self.challenges, own=list, resolve=lambda name: succeed(["127.0.0.1"]),
                     is_public=lambda name: public_name(name) or name == "127.0.0.1", ports=(port, port))

    def serve(self, factory: Any) -> int:
        """Listen; returns the port."""
        port: Any = self.successResultOf(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory))
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def site(self, challenges: Challenges) -> Site:
        """A web site with nothing but challenges."""
        root, known = Resource(), Resource()
        root.putChild(b".well-known", known)
        known.putChild(b"acme-challenge", ChallengeResource(challenges, lambda: None))
        return Site(root)

    async def ask(self, factory: Any, *, http: bool = True) -> tuple[str, ...]:
        """Whether the name leads here, when this serves."""
        found = await self.reach(self.serve(factory)).of(["meet.example.org", "127.0.0.1"], http=http)
        self.assertEqual(self.challenges._http, {})
        return found

    def test_a_secret_that_comes_back_is_a_proof(self) -> None:
        """By HTTP."""
        async def run() -> None:
            self.assertEqual(await self.ask(self.site(self.challenges)), ("meet.example.org", "127.0.0.1"))

        return Deferred.fromCoroutine(run())  # type: ignore[return-value]  # trial waits for it

    def test_by_https_any_certificate_will_do(self) -> None:
        """The right one is what is still to be got."""
        authority = make_authority("box", ["other.example"], reactor.seconds())
        pair = issue(authority, ["other.example"], reactor.seconds())
        key: Any = pair.key
        options = CertificateOptions(
            privateKey=PKey.from_cryptography_key(key), certificate=X509.from_cryptography(pair.certificate))

        async def run() -> None:
            factory = TLSMemoryBIOFactory(options, False, self.site(self.challenges))
            self.assertEqual(await self.ask(factory, http=False), ("meet.example.org", "127.0.0.1"))

        return Deferred.fromCoroutine(run())  # type: ignore[return-value]  # trial waits for it

    def test_somebody_else_at_the_address_is_not_us(self) -> None:
        """A web server that knows no secret, one that says something else, as short as it is, longer, or nothing, one that
        speaks no HTTP, one that hangs up."""
        class Echo(Resource):
            isLeaf = True

            def __init__(self, length: int) -> None:
                super().__init__()
                self.length = length

            def render_GET(self, request: Any) -> bytes:
                return b"x" * self.length

        class Rude(Protocol):
            def connectionMade(self) -> None:
                self.transport.write(b"220 mail\r\n")  # type: ignore[union-attr]  # it is connected
                self.transport.loseConnection()  # type: ignore[union-attr]  # likewise

        async def run() -> None:
            others = [Site(Echo(length)) for length in (len(secrets.token_urlsafe(32)), 100000, 0)]
            for factory in (self.site(Challenges()), *others, Factory.forProtocol(Rude)):
                self.assertEqual(await self.ask(factory), ())
            self.assertEqual(await self.ask(Factory.forProtocol(Rude), http=False), ())

        return Deferred.fromCoroutine(run())  # type: ignore[return-value]  # trial waits for it

    def test_who_answers_without_end_is_hung_up_on(self) -> None:
        """As soon as it is clear that it is not us."""
        ended = Deferred[None]()

        class Endless(Protocol):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(  # type: ignore[union-attr]  # it is connected
                    b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)

            def connectionLost(self, reason: Any = None) -> None:
                if not ended.called:
                    ended.callback(None)

        async def run() -> None:
            self.assertEqual(await self.ask(Factory.forProtocol(Endless)), ())
            await ended

        return Deferred.fromCoroutine(run())  # type: ignore[return-value]  # trial waits for it

    def test_headers_without_end_are_hung_up_on(self) -> None:
        """Before the time for an answer is over, and after a bounded number of bytes, whatever they are: headers, answers
        that announce another one, or a handshake."""
        sent: list[int] = []

        class Endless(Protocol):
            beginning, more = b"", b""
            calls: Any = None

            def dataReceived(self, data: bytes) -> None:
                if self.calls is None:
                    sent.append(0)
                    self.write(self.beginning)
                    self.calls = LoopingCall(self.write, self.more)
                    self.calls.start(0)

            def write(self, data: bytes) -> None:
                sent[-1] += len(data)
                self.transport.write(data)  # type: ignore[union-attr]  # it is connected

            def connectionLost(self, reason: Any = None) -> None:
                self.calls.stop()

        async def run() -> None:
            for beginning, more, http in (
                (b"HTTP/1.1 200 OK\r\n", b"X-Header: " + b"y" * 2000 + b"\r\n", True),
                (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50, True),
                (b"", b"\x16\x03\x03\x04\x00" + b"\x02\x00\xff\xff" + b"x" * 1020, False),
            ):
                self.patch(Endless, "beginning", beginning)
                self.patch(Endless, "more", more)
                start = reactor.seconds()
                self.assertEqual(await self.ask(Factory.forProtocol(Endless), http=http), ())
                self.assertLess(reactor.seconds() - start, PROBE_S)
            self.assertLess(max(sent), 4 * MAX_PROBE_BYTES, "what is in the sockets' buffers comes on top")

        return Deferred.fromCoroutine(run())  # type: ignore[return-value]  # trial waits for it
