"""Clients that do not read, on real sockets: what is kept for them is bounded, and what they get are whole frames."""

from __future__ import annotations

import select
import socket
import ssl
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from rtcd.clients.stream import MAX_QUEUED_BYTES
from rtcd.stun.attributes import CHANNEL_NUMBER, NONCE, REALM, USERNAME, XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS, Address
from rtcd.stun.framing import Framer
from rtcd.stun.integrity import long_term_key, sign
from rtcd.stun.message import Class, Message, Method, decode, encode
from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import UDP, make_context

BINDING = encode(Method.BINDING, Class.REQUEST, bytes(12), [])
SMALL = 4096
"""Bytes of each kernel buffer, so that little is on its way."""
STUCK_S = 0.5
"""A socket that cannot be written to for so long is not read at its other end."""


class Slow:
    """A blocking client that reads only when it is told to."""

    def __init__(self, port: int, tls: bool) -> None:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        plain.settimeout(20)
        plain.connect(("127.0.0.1", port))
        self.socket: Any = plain
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(plain)
        self.sent = 0
        """Bytes of Bindings."""
        self.framer = Framer()
        self.framer.receive(BINDING)  # so that ChannelData may be the first to come
        self.framer.next()

    def read(self) -> bytes:
        """The next frame."""
        while True:
            frame = self.framer.next()
            if frame is not None:
                return frame
            self.framer.receive(self.socket.recv(65536))

    def ask(self, method: Method, number: int, *attributes: bytes, nonce: str = "") -> Message:
        """The answer to a request of user u."""
        request = encode(method, Class.REQUEST, number.to_bytes(12, "big"), [
            *attributes, USERNAME.encode("u"), REALM.encode("rtcd"), NONCE.encode(nonce)])
        self.socket.sendall(sign(request, long_term_key("u", "rtcd", "p")))
        return decode(self.read())

    def ask_until_it_is_not_read(self) -> int:
        """Send Bindings, or go on; how many were taken in all."""
        self.socket.setblocking(False)
        batch = BINDING * 200
        while select.select([], [self.socket], [], STUCK_S)[1]:
            try:
                self.sent += self.socket.send(batch[self.sent % len(batch) :])
            except (BlockingIOError, ssl.SSLWantWriteError):
                continue
            if self.sent > 1000 * len(batch):
                raise AssertionError("it is read for ever")
        self.socket.settimeout(20)
        return self.sent // len(BINDING)


class SlowClients(TestCase):
    timeout = 60

    def setUp(self) -> None:
        """A server whose connections have small buffers too."""
        self.context: Any = make_context(reactor, state=self.mktemp())
        self.service = TurnService(self.context, Settings(
            listen=("127.0.0.1",), port=0, tls_port=0, user=("u:p",), allow_loopback_peers=True, min_port=40000,
            max_port=65535, socket_buffer=0))
        for one in (self.context.doorway, self.service):
            one.privilegedStartService()
            one.startService()
            self.addCleanup(one.stopService)
        opened = self.service._streams.opened

        def small(one: Any, **options: Any) -> None:
            lowest = getattr(one.transport, "transport", one.transport)
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                lowest.socket.setsockopt(socket.SOL_SOCKET, option, SMALL)
            opened(one, **options)

        self.patch(self.service._streams, "opened", small)

    async def client(self, transport: str) -> Slow:
        """One that is connected."""
        port = next(one.port for one in self.context.doorway.directory.listeners("turn") if one.transport == transport)
        found: Slow = await deferToThread(Slow, port, transport == "tls")
        self.addCleanup(found.socket.close)
        return found

    async def spam(self, transport: str) -> None:
        """Ask without reading until one is not read from, then read: every answer is there."""
        client = await self.client(transport)
        asked = await deferToThread(client.ask_until_it_is_not_read)
        one, = self.service._streams._open
        while not one._held:  # it was only slow
            asked = await deferToThread(client.ask_until_it_is_not_read)
        self.assertLess(one._queued, MAX_QUEUED_BYTES + 1000)

        def read() -> int:
            return sum(decode(client.read()).class_ is Class.SUCCESS for _ in range(asked))

        self.assertEqual(await deferToThread(read), asked)

    async def test_by_tcp_every_request_that_was_taken_is_answered(self) -> None:
        await self.spam("tcp")

    async def test_by_tls_every_request_that_was_taken_is_answered(self) -> None:
        await self.spam("tls")

    async def flood(self, transport: str) -> None:
        """A peer sends more than the client reads: some is lost, whole; the relay goes on."""
        client = await self.client(transport)
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(peer.close)
        peer.bind(("127.0.0.1", 0))

        def allocate() -> Address:
            client.socket.sendall(encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [UDP]))
            nonce = decode(client.read()).get(NONCE) or ""
            relayed = client.ask(Method.ALLOCATE, 1, UDP, nonce=nonce).get(XOR_RELAYED_ADDRESS)
            address = XOR_PEER_ADDRESS.encode(peer.getsockname(), (2).to_bytes(12, "big"))
            bound = client.ask(Method.CHANNEL_BIND, 2, CHANNEL_NUMBER.encode(0x4000), address, nonce=nonce)
            assert relayed is not None and bound.class_ is Class.SUCCESS
            return relayed

        relayed = await deferToThread(allocate)
        payload = b"x" * 1001

        def count(reason: str) -> int:
            return int(self.service._drops[reason].value)

        def send() -> None:
            for _ in range(20):
                peer.sendto(payload, relayed)

        while count("slow-client") < 100:
            await deferToThread(send)
        self.assertLess(sum(map(len, self._kept())), 3 * 65536)

        def drain() -> set[bytes]:
            peer.sendto(b"end", relayed)
            found = set[bytes]()
            while True:
                frame = client.read()
                if b"end" in frame:
                    return found
                found.add(frame)
                peer.sendto(b"end", relayed)

        frames = await deferToThread(drain)
        self.assertEqual(frames, {b"\x40\x00\x03\xe9" + payload + bytes(3)})

    def _kept(self) -> list[bytes]:
        one, = self.service._streams._open
        transport: Any = one.transport
        lowest = transport if hasattr(transport, "dataBuffer") else transport.transport
        return [lowest.dataBuffer, *lowest._tempDataBuffer]

    async def test_a_flood_of_a_peer_by_tcp_loses_whole_frames(self) -> None:
        await self.flood("tcp")

    async def test_a_flood_of_a_peer_by_tls_loses_whole_frames(self) -> None:
        await self.flood("tls")
