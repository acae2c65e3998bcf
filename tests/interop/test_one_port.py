"""One port for all: other people's clients of everything at the same time, crowds that say nothing, and proxies in front."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from unittest import SkipTest, mock

from rtcd.stun.attributes import XOR_MAPPED_ADDRESS, Address
from rtcd.stun.message import decode
from tests.daemon import process
from tests.daemon.process import DEADLINE_S, DaemonTestCase, WebSocket, trusting
from tests.interop import require_program
from tests.interop.test_turn_aioice import TWO_PEERS
from tests.interop.test_turn_coturn import FEW

HERE = "127.0.0.1"
INI = """
[doorway]
https = tcp:0:interface=127.0.0.1:backlog=1024
http =
{doorway}
[web]
[signaling]
[ice]
[turn]
listen = 127.0.0.1
port = 0
tls-port = 0
external-ip =
user = u:p
unauth-rate = 0
allow-loopback-peers = yes
rfc5766-channels = yes
"""

TRANSACTION = b"transaction!"
BINDING = bytes.fromhex("000100002112a442") + TRANSACTION

SOURCES, CONNECTIONS = 25, 80
"""Addresses of the crowd, and how many connections each tries to open."""
MOST, MOST_OF_ONE = 1024, 64
"""max-undecided and max-undecided-per-address, unless set."""
TIMEOUT_S = 15
"""handshake-timeout here: the crowd has to be complete by then."""
HICCUP_S = 3.0
"""What a call gets over."""

STREAM = """
import asyncio, sys, time

async def until_told():
    told = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    rounds, longest = 0, 0.0
    while not told.done():
        began = time.monotonic()
        yield b"%d" % rounds
        longest, rounds = max(longest, time.monotonic() - began), rounds + 1
        if rounds == 1:
            print("flowing", flush=True)
        await asyncio.sleep(0.01)
    print(rounds, longest)
""" + TWO_PEERS.replace('for data in (b"ping", b"x" * 1200):', "async for data in until_told():")
"""Two peers that send each other numbers through their relays until the standard input ends; each has to come, in order.
How many have, and the longest time of one there and back."""


class Crowd:
    """Connections that never say what they are."""

    def __init__(self) -> None:
        self.open: dict[int, socket.socket] = {}
        self._poller = select.poll()
        self._hello = _client_hello()

    def add(self, one: socket.socket) -> None:
        """One more: every other one has half a ClientHello to say."""
        self.open[one.fileno()] = one
        if len(self.open) % 2:
            with contextlib.suppress(ConnectionError):
                one.sendall(self._hello[: len(self._hello) // 2])
        self._poller.register(one, select.POLLIN | select.POLLRDHUP)

    def shrink(self, size: int, deadline_s: float = DEADLINE_S) -> int:
        """Wait until no more than so many are open; how many are. None is told anything."""
        end = time.monotonic() + deadline_s
        while len(self.open) > size and time.monotonic() < end:
            for descriptor, _ in self._poller.poll(100):
                self._poller.unregister(descriptor)
                with self.open.pop(descriptor) as one, contextlib.suppress(ConnectionError):
                    if one.recv(1):
                        raise AssertionError("an answer to nothing")
        return len(self.open)

    def close(self) -> None:
        """All that are left."""
        while self.open:
            self.open.popitem()[1].close()


class OnePort(DaemonTestCase):
    """A daemon, and its one port."""

    def setUp(self) -> None:
        self.threads = ThreadPoolExecutor(24)
        self.addCleanup(self.threads.shutdown)
        self.told = threading.Event()
        self.addCleanup(self.told.set)

    def serve(self, doorway: str = "") -> None:
        """Start it, with these lines in ``[doorway]``."""
        self.daemon = self.run_daemon(INI.format(doorway=doorway)).started()
        self.port = int(self.daemon.wait_for(r"web listens on tls \S+:(\d+)$")[1])
        (self.authority,) = map(str, self.daemon.folder.rglob("ca.crt"))

    def run_program(self, name: str, *arguments: str) -> str:
        """What it prints, whatever its exit code is."""
        done = subprocess.run([require_program(name), *arguments], capture_output=True, text=True, errors="replace",
                              timeout=60, check=False, stdin=subprocess.DEVNULL)
        return done.stdout + done.stderr

    def curl(self, *arguments: str, scheme: str = "https") -> str:
        """Status, version of HTTP and target of a redirect."""
        return self.run_program("curl", "-sS", "--max-time", "30", "--cacert", self.authority, "-o", "/dev/null", "-w",
                                "%{http_code} %{http_version} %{redirect_url}", *arguments,
                                f"{scheme}://localhost:{self.port}/r/some-room").strip()

    def openssl(self, *arguments: str, given: bytes, until: bytes) -> bool:
        """Whether what the server says to OpenSSL's client, which verifies its certificate, has ``until`` in it."""
        command = [require_program("openssl"), "s_client", "-connect", f"{HERE}:{self.port}", "-CAfile", self.authority,
                   "-verify_return_error", "-quiet", *arguments]
        here, there = socket.socketpair()
        output = b""
        with here, there, subprocess.Popen(command, stdin=there.fileno(), stdout=there.fileno(), stderr=subprocess.DEVNULL,
                                           ) as client:
            there.close()
            here.settimeout(DEADLINE_S)
            with contextlib.suppress(ConnectionError, TimeoutError):
                here.sendall(given)
                while until not in output and (data := here.recv(65536)):
                    output += data
            client.kill()
        return until in output

    def uclient(self, *arguments: str) -> bool:
        """Whether coturn's client gets all back that it sends through its relays."""
        text = self.run_program(
            "turnutils_uclient", *arguments, "-y", "-u", "u", "-w", "p", *FEW, "-p", str(self.port), HERE)
        return "Total lost packets 0 " in text and "start_mclient: tot_send_msgs=10, tot_recv_msgs=10\n" in text

    def web_socket(self, room: str, *alpn: str) -> WebSocket:
        """One that has joined a room and registered. Of these names, HTTP/1.1 is chosen."""
        context = trusting()
        context.set_alpn_protocols(alpn)
        client = self.post(f"https://{HERE}:{self.port}/join/{room}")["params"]["client_id"]
        with mock.patch.object(process, "trusting", lambda: context):
            found = WebSocket(self.port)
        self.addCleanup(found.close)
        self.assertEqual(found._socket.selected_alpn_protocol(), "http/1.1" if alpn else None)
        found.send(cmd="register", roomid=room, clientid=client)
        return found

    def talk(self, room: str) -> Future[tuple[int, float]]:
        """Two people, one of whom says ALPN, answer each other until they are told: how many rounds, the longest time."""
        return self.threads.submit(self._talk, self.web_socket(room, "h2", "http/1.1"), self.web_socket(room))

    def _talk(self, one: WebSocket, other: WebSocket) -> tuple[int, float]:
        rounds, longest_s = 0, 0.0
        while not self.told.wait(0.01):
            began, text = time.monotonic(), f"message {rounds}"
            for sender, receiver in ((one, other), (other, one)):
                sender.send(cmd="send", msg=text)
                self.assertEqual(receiver.receive(), {"msg": text, "error": ""})
            rounds, longest_s = rounds + 1, max(longest_s, time.monotonic() - began)
        return rounds, longest_s

    def connect(self, source: str = HERE, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """A connection from an address of this machine."""
        found = socket.socket(type=kind)
        found.settimeout(DEADLINE_S)
        found.bind((source, 0))
        found.connect((HERE, self.port))
        return found

    def mapped(
        self, sock: socket.socket, before: bytes = b"", alpn: str | None = None, shown: Address | None = None
    ) -> bool:
        """Whether a Binding request is answered with our address, or with ``shown``. ``alpn``: inside TLS; "" says none."""
        with sock:
            own = sock.getsockname()
            sock.sendall(before)
            if alpn is not None:
                context = trusting()
                context.set_alpn_protocols([alpn] if alpn else [])
                sock = context.wrap_socket(sock, server_hostname="localhost")
            with sock:
                sock.sendall(BINDING)
                answer = decode(sock.recv(1000))
            return answer.transaction_id == TRANSACTION and answer.get(XOR_MAPPED_ADDRESS) == (shown or own)

    def silence(self, sock: socket.socket, data: bytes) -> bool:
        """Whether the connection is closed without a word when it has said this."""
        with sock, contextlib.suppress(ConnectionError):
            sock.sendall(data)
            return sock.recv(1000) == b""
        return True


class Together(OnePort):
    def test_every_kind_of_client_is_served_at_the_same_time(self) -> None:
        """HTTPS, WSS, TURN by TCP, TLS and UDP, with ALPN and without, with the server's name and without; plain HTTP is
        sent to HTTPS. What is nothing gets no answer, nor does who wants a proof (RFC 8737) when there is none."""
        self.serve()
        get = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        aioice = (sys.executable, "-c", TWO_PEERS, str(self.port), "tls", "u", "p")
        redirect = f"301 1.1 https://localhost:{self.port}/r/some-room"
        clients: dict[str, tuple[Callable[[], object], object]] = {
            "HTTPS": (lambda: self.curl("--http1.1"), "200 1.1"),
            "HTTPS without ALPN": (lambda: self.curl("--no-alpn"), "200 1.1"),
            "HTTP/2 or 1.1": (lambda: self.curl("--http2"), "200 1.1"),
            "HTTP": (lambda: self.curl(scheme="http"), redirect),
            "no name": (lambda: self.openssl("-noservername", given=get, until=b"HTTP/1.1 200 OK"), True),
            "TURN by TCP": (lambda: self.uclient("-t"), True),
            "TURN by TLS": (lambda: self.uclient("-t", "-S"), True),
            "TURN by UDP": (lambda: self.uclient(), True),
            "ICE by TLS": (lambda: self.run_program(*aioice), "relayed\n"),
            "STUN by TCP": (lambda: self.mapped(self.connect()), True),
            "STUN by TLS": (lambda: self.mapped(self.connect(), alpn=""), True),
            "STUN by TLS and ALPN": (lambda: self.mapped(self.connect(), alpn="stun.turn"), True),
            "STUN by UDP": (lambda: self.mapped(self.connect(kind=socket.SOCK_DGRAM)), True),
            "OpenSSL and STUN": (lambda: self.openssl("-alpn", "stun.turn", given=BINDING, until=TRANSACTION), True),
            "garbage": (lambda: self.silence(self.connect(), b"\x80garbage"), True),
            "no proof": (lambda: self.openssl("-alpn", "acme-tls/1", given=get, until=b"HTTP/1.1"), False),
        }
        talking = self.talk("together-room")
        running = {name: self.threads.submit(run) for name, (run, _) in clients.items()}
        self.assertEqual({name: one.result() for name, one in running.items()},
                         {name: expected for name, (_, expected) in clients.items()})
        self.told.set()
        self.assertGreater(talking.result()[0], 0)


class Undecided(OnePort):
    def setUp(self) -> None:
        """Both we and the daemon need many descriptors."""
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        need = 2 * SOURCES * CONNECTIONS
        if hard != resource.RLIM_INFINITY and hard < need:
            raise SkipTest(f"{hard} open files are allowed at most, and this needs {need}")
        if soft < need:
            resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def test_a_crowd_that_says_nothing_hurts_no_call(self) -> None:
        """2000 connections from 25 addresses: of each address no more than its share is let in, of all the newest stay, and
        nobody stays longer than the timeout. Messages and media of a call go on all the time, and who comes is served."""
        self.serve(f"handshake-timeout = {TIMEOUT_S}")
        talking = self.talk("crowded-room")
        media = subprocess.Popen([sys.executable, "-c", STREAM, str(self.port), "tls", "u", "p"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(media.communicate)
        self.addCleanup(media.kill)
        assert media.stdout is not None
        self.assertEqual(media.stdout.readline(), "flowing\n")
        crowd, began = Crowd(), time.monotonic()
        self.addCleanup(crowd.close)
        for number in range(1, SOURCES + 1):
            last, expected = time.monotonic(), min(number * MOST_OF_ONE, MOST)
            for _ in range(CONNECTIONS):
                crowd.add(self.connect(f"127.0.9.{number}"))
            self.assertEqual(crowd.shrink(expected), expected)
        self.assertLess(time.monotonic() - began, TIMEOUT_S, "only then nobody has left for another reason")
        slow = [self.threads.submit(self.uclient, *arguments) for arguments in (("-t",), ("-t", "-S"))]
        self.assertEqual((self.curl(), self.mapped(self.connect(), alpn="stun.turn")), ("200 1.1", True))
        self.assertIn(crowd.shrink(MOST - 2), range(MOST - 64, MOST - 1))
        self.assertEqual(crowd.shrink(0, TIMEOUT_S + DEADLINE_S), 0)
        self.assertGreater(time.monotonic() - last, TIMEOUT_S - 1)
        self.assertEqual([one.result() for one in slow], [True, True])
        self.told.set()
        output, errors = media.communicate("", DEADLINE_S)
        rounds, longest_s, end = output.split()
        self.assertEqual(end, "relayed", errors)
        for one, longest in (talking.result(), (int(rounds), float(longest_s))):
            self.assertGreater(one, 100)
            self.assertLess(longest, HICCUP_S)


class Proxied(OnePort):
    client = ("203.0.113.7", 4242)

    def test_a_named_proxy_speaks_for_its_clients_and_for_nobody_else(self) -> None:
        """Its header comes first, in version 1 or 2, and TLS or whatever there is comes behind it. Without one a connection
        of the proxy is closed; one of somebody else is as it always was, and closed if it begins with one."""
        self.serve(f"proxy-from = {HERE}")
        self.assertEqual(self.curl("--haproxy-protocol"), "200 1.1")
        if "--haproxy-clientip" in self.run_program("curl", "--help", "all"):
            self.assertEqual(self.curl("--haproxy-clientip", self.client[0]), "200 1.1")
        old = f"PROXY TCP4 {self.client[0]} {HERE} {self.client[1]} {self.port}\r\n".encode()
        new = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + (12).to_bytes(2, "big") + b"".join((
            socket.inet_aton(self.client[0]), socket.inet_aton(HERE), self.client[1].to_bytes(2, "big"),
            self.port.to_bytes(2, "big")))
        for header in (old, new):
            for alpn in ("stun.turn", "", None):
                self.assertTrue(self.mapped(self.connect(), header, alpn, self.client), (header, alpn))
        other = "127.0.0.2"
        for data in (_client_hello(), BINDING, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\0"):
            self.assertTrue(self.silence(self.connect(), data), data)
        self.assertTrue(self.mapped(self.connect(other), alpn="stun.turn"))
        self.assertTrue(self.silence(self.connect(other), new + BINDING))


def _client_hello() -> bytes:
    """What a client of TLS says first."""
    said = ssl.MemoryBIO()
    tls = trusting().wrap_bio(ssl.MemoryBIO(), said, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return said.read()
