"""Fakes that all tests share. They implement the real interfaces; no socket and no clock but the test's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, connect
from twisted.web.http_headers import Headers
from zope.interface import directlyProvides, implementer, providedBy

from rtcd.acme.settings import AcmeSettings
from rtcd.desk import Desk
from rtcd.doorway.door import Doorway
from rtcd.doorway.settings import DoorwaySettings
from rtcd.metrics import Metrics
from rtcd.site.http import DoorSite
from rtcd.state import StateDirectory
from rtcd.tls.settings import TlsSettings

CLIENT = IPv4Address("TCP", "192.0.2.7", 40000)
SERVER = IPv4Address("TCP", "192.0.2.1", 8443)


class MemoryTransport(StringTransport):
    """A TCP or TLS connection whose other end is the test."""

    protocol: Any = None
    no_delay = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Remember it."""
        self.no_delay = bool(enabled)

    def finish(self) -> None:
        """As the layers of the doorway do."""
        self.loseConnection()


class FakeAnswer:
    """What an HTTP request was answered, read from the wire: as far as it has come when it is asked for."""

    def __init__(self, transport: MemoryTransport, channel: Any) -> None:
        self.transport = transport
        self.channel = channel

    @property
    def finished(self) -> bool:
        """Whether the whole head of an answer has been written."""
        return b"\r\n\r\n" in self.transport.value()

    @property
    def closed(self) -> bool:
        """Whether the server has closed the connection."""
        return bool(self.transport.disconnecting)

    @property
    def code(self) -> int:
        """The status code."""
        return int(self._head()[0].split(b" ")[1])

    @property
    def headers(self) -> Headers:
        """The headers."""
        found = Headers()
        for line in self._head()[1:]:
            name, _, value = line.partition(b":")
            found.addRawHeader(name, value.strip())
        return found

    @property
    def body(self) -> bytes:
        """The body, with chunks joined."""
        rest: bytes = self.transport.value().partition(b"\r\n\r\n")[2]
        if self.headers.getRawHeaders(b"Transfer-Encoding") != [b"chunked"]:
            return rest
        joined = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            joined += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
        return joined

    def header(self, name: str) -> str | None:
        """The last value of one header, or None."""
        values = self.headers.getRawHeaders(name)
        return values[-1] if values else None

    def _head(self) -> list[bytes]:
        if not self.finished:
            raise AssertionError("there is no answer yet")
        lines: list[bytes] = self.transport.value().partition(b"\r\n\r\n")[0].split(b"\r\n")
        return lines


class Collector(Protocol):
    """A client that keeps what it gets."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Keep why."""
        self.lost = reason


@implementer(IOpenSSLClientConnectionCreator)
class Client:
    """TLS of a client that takes any certificate."""

    def __init__(self, alpn: Sequence[bytes], name: str | None) -> None:
        self._alpn = list(alpn)
        self._name = name
        self.connection: SSL.Connection | None = None
        """The one that was made."""

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """Twisted asks for a connection."""
        connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        if self._alpn:
            connection.set_alpn_protos(self._alpn)
        if self._name is not None:
            connection.set_tlsext_host_name(self._name.encode())
        self.connection = connection
        return connection


class Dialled:
    """One connection to a server factory, with or without TLS, both ends in this process."""

    def __init__(
        self, clock: Any, server: Any, client: Any, *, tls: bool, alpn: Sequence[bytes] | None, name: str | None, host: str
    ) -> None:
        address = IPv4Address("TCP", host, 40000)
        self.client = client
        self.tls = Client(alpn or (), name)
        below = client
        if tls:
            below = TLSMemoryBIOProtocol(TLSMemoryBIOFactory(self.tls, True, Factory(), clock), client)
        self.server_transport = FakeTransport(server, True, hostAddress=SERVER, peerAddress=address)
        self.client_transport = FakeTransport(below, False, hostAddress=address, peerAddress=SERVER)
        directlyProvides(self.server_transport, providedBy(self.server_transport), ITCPTransport)
        self._pump = connect(server, self.server_transport, below, self.client_transport, clock=clock)

    @property
    def received(self) -> bytes:
        """All that the `Collector` at the client's end got."""
        return bytes(self.client.received)

    @property
    def shown(self) -> x509.Certificate | None:
        """The certificate that the client has seen."""
        seen = self.tls.connection
        return seen.get_peer_certificate(as_cryptography=True) if seen is not None else None

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, as the client sees it."""
        return bool(self.client_transport.disconnecting or self.client_transport.disconnected)

    def send(self, data: bytes) -> bytes:
        """Send as the client, let everything settle, and return what was received till now."""
        self.client.transport.write(data)
        self.settle()
        return self.received

    def settle(self) -> None:
        """Let both ends read all that was written."""
        self._pump.flush()

    def hang_up(self) -> None:
        """Close as the client."""
        self.client.transport.loseConnection()
        self.settle()


def dial(
    clock: Any, factory: Any, *, client: Any = None, tls: bool = False, alpn: Sequence[bytes] | None = None,
    name: str | None = None, host: str = "192.0.2.7",
) -> Dialled:
    """Connect to a factory, such as one of ``MemoryReactorClock.tcpServers``, inside TLS by the server's ``name`` if one is
    given. A refusal is a `ConnectionRefusedError`."""
    server = factory.buildProtocol(IPv4Address("TCP", host, 40000))
    if server is None:
        raise ConnectionRefusedError(host)
    return Dialled(clock, server, client or Collector(), tls=tls, alpn=alpn, name=name, host=host)


def make_doorway(
    reactor: Any,
    state: str | Path,
    settings: DoorwaySettings | None = None,
    tls: TlsSettings | None = None,
    metrics: Metrics | None = None,
    acme: AcmeSettings | None = None,
) -> Doorway:
    """A doorway on a fake reactor, with its state in the directory ``state`` (``self.mktemp()``)."""
    return Doorway(
        reactor, settings or DoorwaySettings(), tls or TlsSettings(), StateDirectory(state), metrics or Metrics(), acme
    )


def make_request(
    root: Any,
    method: str | bytes,
    path: str | bytes,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    secure: bool = True,
    client: Any = CLIENT,
    clock: Any = None,
    more: bytes = b"",
) -> FakeAnswer:
    """Send one whole HTTP request to a root resource, a site, or a doorway; no socket is opened.

    ``secure``: whether it seems to come by TLS. ``headers`` replace the default ``Host``; ``Content-Length`` is added.
    ``more``: header lines as they are.
    An answer that comes later (``NOT_DONE_YET``) is in the returned object as soon as it has been written.
    """
    site = getattr(root, "site", root)
    if not hasattr(site, "buildProtocol"):
        site = DoorSite(clock or MemoryReactorClock(), root, DoorwaySettings(), Metrics())
    transport = MemoryTransport(hostAddress=SERVER, peerAddress=client)
    if secure:
        directlyProvides(transport, providedBy(transport), ISSLTransport)
    channel = site.buildProtocol(client)
    transport.protocol = channel
    channel.makeConnection(transport)
    sent = {"Host": "192.0.2.1:8443", **(headers or {})}
    if body or method in ("POST", "PUT", b"POST", b"PUT"):
        sent.setdefault("Content-Length", str(len(body)))
    channel.dataReceived(
        b"%s %s HTTP/1.1\r\n" % (_bytes(method), _bytes(path))
        + b"".join(b"%s: %s\r\n" % (_bytes(name), _bytes(value)) for name, value in sent.items())
        + more
        + b"\r\n"
        + body
    )
    return FakeAnswer(transport, channel)


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


class FakeDesk(Desk):
    """A desk at which services of one test replace each other."""

    def offer(self, topic: str, answer: Callable[..., Any]) -> None:
        """The latest one counts."""
        self._offered.pop(topic, None)
        super().offer(topic, answer)
