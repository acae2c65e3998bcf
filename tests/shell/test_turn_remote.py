"""Asking an HTTP service for users: real requests on loopback, to servers that are good, slow, broken and huge."""

from __future__ import annotations

import json
import os
from typing import IO, Any, cast

from twisted.internet import reactor as real_reactor
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITransport, IUDPTransport
from twisted.internet.protocol import ClientCreator, DatagramProtocol, Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import provider

from rtcd.allocations.allocation import FiveTuple
from rtcd.auth import lookup
from rtcd.auth.authenticator import Found, keys_of_password
from rtcd.auth.remote import LOOKUP_S, MAX_ANSWER_BYTES, WARN_EVERY_S, RemoteUsers
from rtcd.metrics import Metrics
from rtcd.stun.attributes import NONCE, REALM, USERNAME, XOR_RELAYED_ADDRESS
from rtcd.stun.integrity import long_term_key, sign
from rtcd.stun.message import Class, Message, Method, decode, encode
from rtcd.tls.authority import issue, make_authority
from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import UDP, code_of, make_context

reactor: Any = real_reactor
CLIENT = FiveTuple("udp", ("192.0.2.7", 1), ("198.51.100.1", 3478))
NOW = 1_700_000_000


class Accounts(Resource):
    """Answers as it is told, and remembers what it was asked."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []
        self.authorization: list[str | None] = []
        self.status = 200
        self.body = b'{"password": "p"}'
        self.came: Deferred[Request] = Deferred()
        self.silent = False

    def render_POST(self, request: Request) -> bytes | int:
        self.asked.append(json.load(cast(IO[bytes], request.content)))
        self.authorization.append(request.getHeader("authorization"))
        came, self.came = self.came, Deferred()
        came.callback(request)
        if self.silent:
            return NOT_DONE_YET
        request.setResponseCode(self.status)
        return self.body


class Raw(Protocol):
    """Sends what it is told when somebody has asked, and tells when the connection ends."""

    text = b""
    ended: Deferred[None]
    came: Deferred[Raw]

    def dataReceived(self, data: bytes) -> None:
        cast(ITransport, self.transport).write(self.text)
        if not self.came.called:
            self.came.callback(self)

    def connectionLost(self, reason: Any = None) -> None:
        if not self.ended.called:
            self.ended.callback(None)


class RemoteTestCase(TestCase):
    """An HTTP service on loopback, and a RemoteUsers that asks it, whose time is the test's."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.metrics = Metrics()
        self.accounts = Accounts()
        self.received: list[tuple[bytes, FiveTuple]] = []
        self.arrived: Deferred[None] = Deferred()
        self.remote: Any = None

    def serve(self, factory: Any = None, token: str = "") -> RemoteUsers:
        """One that asks there."""
        port = reactor.listenTCP(0, factory or Site(self.accounts), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return self.use(f"http://127.0.0.1:{port.getHost().port}/turn", token)

    def use(self, url: str, token: str = "") -> RemoteUsers:
        """One that asks at this URL."""
        remote = self.remote = RemoteUsers(reactor, self.clock, url, token, "rtcd", self.receive, self.metrics)
        self.addCleanup(remote.stop)
        return remote

    def receive(self, data: bytes, five_tuple: FiveTuple) -> None:
        """A request comes again."""
        self.received.append((data, five_tuple))
        arrived, self.arrived = self.arrived, Deferred()
        arrived.callback(None)

    def wait(self, username: str = "ann", data: bytes = b"x" * 20) -> bool:
        """Let a request wait."""
        waits: bool = self.remote.wait(username, data, CLIENT, self.clock.seconds())
        return waits

    def find(self, username: str = "ann") -> Found | None:
        """What is known."""
        found: Found | None = self.remote.find(username, self.clock.seconds())
        return found

    def counted(self) -> dict[str, float]:
        """Look-ups by result, those that were."""
        return {dict(one.labels)["result"]: one.value for one in self.metrics.samples() if one.value}


class Good(RemoteTestCase):
    async def test_a_user_is_found_and_the_request_comes_again(self) -> None:
        self.serve(token="hush")
        self.assertIsNone(self.find())
        arrived = self.arrived
        self.assertTrue(self.wait())
        await arrived
        self.assertEqual(self.received, [(b"x" * 20, CLIENT)])
        self.assertEqual(self.accounts.asked, [{"username": "ann", "realm": "rtcd"}])
        self.assertEqual(self.accounts.authorization, ["Bearer hush"])
        self.assertEqual(self.find(), Found(keys_of_password("ann", "rtcd", "p")))
        self.assertEqual(self.counted(), {"found": 1})

    async def test_an_unknown_user_is_unknown_and_no_fault(self) -> None:
        self.serve()
        self.accounts.status = 404
        arrived = self.arrived
        self.wait()
        await arrived
        self.assertEqual((self.find(), self.counted()), (Found(), {"unknown": 1}))
        self.assertEqual(self.accounts.authorization, [None])

    async def test_names_in_any_letters_are_asked_for(self) -> None:
        self.serve()
        arrived = self.arrived
        self.wait('マト"\\')
        await arrived
        self.assertEqual(self.accounts.asked[0]["username"], 'マト"\\')

    async def test_only_so_many_are_asked_for_at_once(self) -> None:
        self.patch(lookup, "MAX_LOOKUPS", 1)
        self.serve()
        self.accounts.silent = True
        came = self.accounts.came
        for name in ("ann", "bob"):
            self.wait(name)
        first = await came
        self.assertEqual(len(self.accounts.asked), 1)
        came = self.accounts.came
        first.write(b'{"password": "p"}')
        first.finish()
        await came
        self.assertEqual([one["username"] for one in self.accounts.asked], ["ann", "bob"])


class Bad(RemoteTestCase):
    async def fault(self) -> None:
        """A look-up fails, and its request comes again to be refused."""
        arrived = self.arrived
        self.wait()
        await arrived
        self.assertEqual((self.find(), self.counted()), (Found(fault=True), {"fault": 1}))

    async def test_other_statuses_and_garbage_are_faults(self) -> None:
        self.serve()
        for self.accounts.status, self.accounts.body in (
                (500, b'{"password": "p"}'), (401, b""), (302, b""), (204, b""), (200, b"hush"), (200, b"")):
            faults = self.counted().get("fault", 0)
            arrived = self.arrived
            self.wait()
            await arrived
            self.assertEqual((self.find(), self.counted()), (Found(fault=True), {"fault": faults + 1}), self.accounts.status)
            self.clock.advance(10)

    async def test_a_huge_answer_is_read_no_further(self) -> None:
        _, ended = self.raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_ANSWER_BYTES + 1))
        await self.fault()
        await ended

    async def test_an_answer_of_the_largest_size_is_read(self) -> None:
        self.serve()
        self.accounts.body = b'{"password": "p"}'.ljust(MAX_ANSWER_BYTES)
        arrived = self.arrived
        self.wait()
        await arrived
        self.assertEqual(self.counted(), {"found": 1})

    async def test_an_answer_that_ends_early_or_is_no_http_is_a_fault(self) -> None:
        for text in (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", b"SSH-2.0-x\r\n\r\n"):
            self.metrics = Metrics()
            raw, ended = self.raw(text)
            raw.came.addCallback(lambda one: one.transport.loseConnection())
            await self.fault()
            await ended

    async def test_one_that_never_ends_is_given_up_and_its_connection_closed(self) -> None:
        for text in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"):
            self.metrics = Metrics()
            raw, ended = self.raw(text)
            arrived = self.arrived
            self.wait()
            await raw.came
            await self.turn()
            self.assertEqual(self.counted(), {})
            self.clock.advance(LOOKUP_S)
            await arrived
            await ended
            self.assertEqual((self.find(), self.counted()), (Found(fault=True), {"fault": 1}))

    async def test_nobody_there_is_a_fault(self) -> None:
        port = reactor.listenTCP(0, Site(self.accounts), interface="127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        self.use(f"http://127.0.0.1:{number}/")
        await self.fault()

    async def test_faults_are_a_warning_a_minute_that_does_not_tell_the_answer(self) -> None:
        self.serve()
        self.accounts.body = b"hush"
        lines: list[LogEvent] = []

        @provider(ILogObserver)
        def observer(event: LogEvent) -> None:
            if event["log_namespace"] == "rtcd.auth.remote.RemoteUsers":
                lines.append(event)

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        counts = []
        for seconds in (0, 10, WARN_EVERY_S):
            self.clock.advance(seconds)
            arrived = self.arrived
            self.wait()
            await arrived
            counts.append(len(lines))
        self.assertEqual(counts, [1, 1, 2])
        self.assertEqual({one["log_level"] for one in lines}, {LogLevel.warn})
        self.assertNotIn("hush", "".join(str(formatEvent(one)) for one in lines))

    async def test_a_certificate_that_nobody_vouches_for_is_a_fault_and_one_of_the_systems_is_good(self) -> None:
        authority = make_authority("test", ["localhost"], reactor.seconds())
        pair = issue(authority, ["localhost"], reactor.seconds())
        certificate = ssl.PrivateCertificate.loadPEM(pair.certificate_pem() + pair.key_pem())
        port = reactor.listenSSL(0, Site(self.accounts), certificate.options(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.use(f"https://localhost:{port.getHost().port}/")
        await self.fault()
        self.assertEqual(self.accounts.asked, [])
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(authority.certificate_pem())
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = os.path.abspath(path)
        self.addCleanup(os.environ.update, {"SSL_CERT_FILE": before} if before is not None else {})
        self.addCleanup(os.environ.pop, "SSL_CERT_FILE")
        self.metrics = Metrics()
        self.use(f"https://localhost:{port.getHost().port}/")
        arrived = self.arrived
        self.wait()
        await arrived
        self.assertEqual(self.counted(), {"found": 1})

    async def test_the_end_closes_connections_and_forgets_who_waits(self) -> None:
        raw, ended = self.raw(b"")
        self.wait()
        await raw.came
        self.remote.stop()
        await ended
        self.assertEqual((self.received, self.counted(), self.wait("bob")), ([], {}, False))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def raw(self, text: bytes) -> tuple[Any, Deferred[None]]:
        """A server that sends ``text`` whatever it is asked; its protocol, and when a connection has ended."""

        class Server(Raw):
            came: Deferred[Raw] = Deferred()
            ended: Deferred[None] = Deferred()

        Server.text = text
        self.serve(Factory.forProtocol(Server))
        return Server, Server.ended

    def turn(self) -> Deferred[None]:
        """A turn of the reactor."""
        turned: Deferred[None] = Deferred()
        reactor.callLater(0, turned.callback, None)
        return turned


class Client(DatagramProtocol):
    """Asks over UDP."""

    def __init__(self) -> None:
        self.answers: Deferred[Message] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        answers, self.answers = self.answers, Deferred()
        answers.callback(decode(datagram))

    def ask(self, data: bytes, server: tuple[str, int]) -> Deferred[Message]:
        """The next answer."""
        cast(IUDPTransport, self.transport).write(data, server)
        return self.answers


class StreamClient(Protocol):
    """Asks over TCP; an answer is short enough to come in one piece."""

    def __init__(self) -> None:
        self.answers: Deferred[Message] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        answers, self.answers = self.answers, Deferred()
        answers.callback(decode(data))


class Served(RemoteTestCase):
    """The TURN service itself, with an account service behind it."""

    def start(self, *, tcp: bool = False, **options: Any) -> TurnService:
        """A running one."""
        self.context = make_context(reactor)
        service = TurnService(self.context, Settings(
            listen=("127.0.0.1",), port=0, tcp=tcp, tls=False, min_port=40000, max_port=65535, **options), ["127.0.0.1"])
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def url(self) -> str:
        """Where the accounts are."""
        port = reactor.listenTCP(0, Site(self.accounts), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"http://127.0.0.1:{port.getHost().port}/"

    async def allocate(self, username: str, password: str) -> Message:
        """The answer to an Allocate of a new client."""
        listener = next(iter(self.context.doorway.directory.listeners("turn")))
        client = Client()
        port = reactor.listenUDP(0, client, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        server = (listener.host, listener.port)
        challenge = await client.ask(encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP]), server)
        nonce = challenge.get(NONCE)
        request = encode(Method.ALLOCATE, Class.REQUEST, bytes(11) + b"1", [
            UDP, USERNAME.encode(username), REALM.encode("rtcd"), NONCE.encode("" if nonce is None else nonce)])
        return await client.ask(sign(request, long_term_key(username, "rtcd", password)), server)

    async def test_a_user_of_the_account_service_gets_a_relay_for_one_request(self) -> None:
        self.start(auth_url=self.url())
        answer = await self.allocate("ann", "p")
        self.assertEqual(code_of(answer), 0)
        self.assertIn(XOR_RELAYED_ADDRESS, answer)
        self.assertEqual(code_of(await self.allocate("ann", "wrong")), 401)
        self.assertEqual(self.accounts.asked, [{"username": "ann", "realm": "rtcd"}])
        self.accounts.status = 404
        self.assertEqual(code_of(await self.allocate("nobody", "p")), 401)

    async def test_a_reload_asks_at_another_url_with_another_token_or_nobody(self) -> None:
        service = self.start()
        self.assertEqual(code_of(await self.allocate("ann", "p")), 401)
        self.assertEqual(self.accounts.asked, [])
        url = self.url()
        for token in ("hush", "hushed"):
            taken = set(service.reload(service._settings, Settings(auth_url=url, auth_url_token=token)))
            self.assertLessEqual({"auth-url-token"}, taken)
            self.assertEqual(code_of(await self.allocate("ann", "p")), 0)
        self.assertEqual(self.accounts.authorization, ["Bearer hush", "Bearer hushed"])
        service.reload(service._settings, Settings())
        self.assertEqual(code_of(await self.allocate("bob", "p")), 401)
        self.assertEqual(len(self.accounts.asked), 2)

    async def test_a_stream_which_never_asks_twice_is_answered_too(self) -> None:
        self.start(auth_url=self.url(), tcp=True)
        listener = next(one for one in self.context.doorway.directory.listeners("turn") if one.transport == "tcp")
        protocol: Any = await ClientCreator(reactor, StreamClient).connectTCP(listener.host, listener.port)
        self.addCleanup(protocol.transport.abortConnection)

        async def ask(data: bytes) -> Message:
            protocol.transport.write(data)
            return await cast("Deferred[Message]", protocol.answers)

        challenge = await ask(encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP]))
        nonce = challenge.get(NONCE)
        request = encode(Method.ALLOCATE, Class.REQUEST, bytes(11) + b"1", [
            UDP, USERNAME.encode("ann"), REALM.encode("rtcd"), NONCE.encode("" if nonce is None else nonce)])
        self.assertEqual(code_of(await ask(sign(request, long_term_key("ann", "rtcd", "p")))), 0)
        self.assertEqual(len(self.accounts.asked), 1)
