"""A restart, as an upgrade is one, while somebody else holds the sockets: nobody is refused, and nobody is cut off in the
middle of beginning."""

from __future__ import annotations

import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from rtcd.stun.attributes import XOR_MAPPED_ADDRESS
from rtcd.stun.message import decode
from tests.daemon.process import DEADLINE_S, TWISTD, DaemonTestCase, Running, trusting
from tests.daemon.test_systemd import HANDED_OVER

INI = """
[doorway]
https = systemd:domain=INET6:name=https
http =
[web]
[signaling]
[turn]
listen = systemd:name=turn
web-port = no
tls = no
tcp = no
relay-plane = python
"""

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
BINDING = bytes.fromhex("000100002112a442") + b"transaction!"


class RestartTests(DaemonTestCase):
    def setUp(self) -> None:
        """What systemd would hold, and a folder for the state of one daemon after the other."""
        self.folder = Path(self.mktemp())
        self.stream = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", 0))
        for one in (self.stream, self.datagrams):
            self.addCleanup(one.close)

    def start(self) -> Running:
        """A daemon on these sockets."""
        held: Sequence[int] = [self.stream.fileno(), self.datagrams.fileno()]
        command = (sys.executable, "-c", HANDED_OVER, ",".join(map(str, held)), *TWISTD[1:], "-n", "--pidfile=")
        return self.run_daemon_in(self.folder, INI, command=command, pass_fds=held,
                                  extra={"LISTEN_FDS": "2", "LISTEN_FDNAMES": "https:turn"})

    def connect(self) -> socket.socket:
        """A client of TCP, and no more yet."""
        one = socket.create_connection(("127.0.0.1", self.stream.getsockname()[1]), DEADLINE_S)
        self.addCleanup(one.close)
        return one

    def served(self, plain: socket.socket) -> bool:
        """Whether a whole page comes, from the handshake to the end."""
        with trusting().wrap_socket(plain, server_hostname="localhost") as one:
            one.sendall(REQUEST)
            found = b""
            while data := one.recv(65536):
                found += data
        head, _, body = found.partition(b"\r\n\r\n")
        return head.startswith(b"HTTP/1.1 200 ") and body.endswith(b"</html>\n")

    def test_who_comes_at_any_moment_of_a_restart_is_served(self) -> None:
        """Before it, but not further than TCP; in the middle of TLS; when nobody is there; and by UDP then."""
        before = self.start().started()
        self.assertTrue(self.served(self.connect()))
        silent, half = self.connect(), self.connect()
        client = ssl.MemoryBIO(), ssl.MemoryBIO()
        secret = trusting().wrap_bio(*client, server_hostname="localhost")
        self.assertRaises(ssl.SSLWantReadError, secret.do_handshake)
        half.sendall(client[1].read())
        client[0].write(half.recv(65536))
        before.process.send_signal(signal.SIGTERM)
        before.wait_for("takes no more connections in")
        self.assertTrue(self.served(silent))
        self.finish(half, secret, *client)
        self.assertEqual(before.wait(), 0)
        waiting = self.connect()
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(asking.close)
        asking.settimeout(DEADLINE_S)
        asking.sendto(BINDING, self.datagrams.getsockname())
        after = self.start().started()
        self.assertTrue(self.served(waiting))
        mapped = decode(asking.recv(2048)).get(XOR_MAPPED_ADDRESS)
        self.assertEqual(mapped, ("127.0.0.1", asking.getsockname()[1]))
        self.assertEqual(after.stop(), 0)

    def finish(self, plain: socket.socket, secret: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        """The rest of a handshake, a request, and the first line of its answer."""
        while True:
            try:
                secret.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                incoming.write(plain.recv(65536))
        secret.write(REQUEST)
        plain.sendall(outgoing.read())
        answer = b""
        while len(answer) < 15:
            try:
                answer += secret.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(plain.recv(65536))
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK"), answer[:100])
