"""Two daemons that share their rooms on a real Redis, as they are installed."""

from __future__ import annotations

import shutil
import tempfile
import time
from typing import Any
from unittest import skipUnless

from tests.daemon.process import DEADLINE_S, WEB, DaemonTestCase, WebSocket
from tests.redis import RedisServer, is_here


@skipUnless(is_here(), "redis-server is not installed")
class ClusterTests(DaemonTestCase):
    """Clients on different daemons."""

    def setUp(self) -> None:
        """A Redis with a password, which is in a file."""
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.server = RedisServer(f"{self.folder}/redis", "--requirepass", "s3cret-word")
        self.addCleanup(self.server.stop)
        with open(f"{self.folder}/password", "w") as file:
            file.write("s3cret-word\n")

    def test_a_call_between_two_daemons_and_a_redis_that_goes_away(self) -> None:
        """Who is in one's room is reached by the other; meanwhile joins are told when to come again, and sockets stay."""
        ini = (f"{WEB}[rooms]\nstore = unix://{self.server.path}\nstore-password-file = {self.folder}/password\n"
               "grace = 60\n"
               "[credentials]\nsecret = one-secret-for-both-of-these-daemons\n")
        daemons = [self.run_daemon(ini), self.run_daemon(ini)]
        ports = [one.started().port() for one in daemons]
        for one in daemons:
            one.wait_for("the store of rooms is reached")
        sockets, clients = [], []
        for port in ports:
            clients.append(self.post(f"https://127.0.0.1:{port}/join/there")["params"]["client_id"])
            sockets.append(WebSocket(port))
            self.addCleanup(sockets[-1].close)
            sockets[-1].send(cmd="register", roomid="there", clientid=clients[-1])
        sockets[0].send(cmd="send", msg="hello")
        self.assertEqual(sockets[1].receive()["msg"], "hello")
        self.server.stop()
        for one in daemons:
            one.wait_for("the store of rooms cannot be reached")
        status, text = self.ask(f"https://127.0.0.1:{ports[0]}/join/other", b"")
        self.assertEqual((status, b"cannot be reached" in text), (503, True))
        sockets[0].send(cmd="send", msg="waits")
        self.server.start()
        for one in daemons:
            one.wait_for("the store of rooms is reached", 2)
        self.until(lambda: self.ask(f"https://127.0.0.1:{ports[0]}/join/other", b"")[0] == 200)
        self.assertEqual(sockets[1].receive()["msg"], "waits")
        sockets[1].send(cmd="send", msg="again")
        self.assertEqual(sockets[0].receive()["msg"], "again")
        self.assertEqual(self.post(f"https://127.0.0.1:{ports[1]}/join/there")["result"], "FULL")
        daemons[0].stop()
        self.assertIsNone(sockets[0].receive())
        again = WebSocket(ports[1])
        self.addCleanup(again.close)
        again.send(cmd="register", roomid="there", clientid=clients[0])
        sockets[1].send(cmd="send", msg="there")
        self.assertEqual(again.receive()["msg"], "there")
        for one in daemons:
            said = "\n".join(one.lines) + one.errors()
            self.assertNotIn("s3cret-word", said)
            self.assertNotIn("another [credentials] secret", said)

    def test_daemons_with_different_secrets_say_so(self) -> None:
        """Each has made its own, as it does where none is written."""
        ini = f"{WEB}[rooms]\nstore = unix://{self.server.path}\nstore-password-file = {self.folder}/password\n"
        for one in [self.run_daemon(ini).started() for _ in "12"]:
            one.wait_for(r"sign with another \[credentials\] secret \(1\)")

    def until(self, true: Any) -> None:
        """Wait for something, but not for ever."""
        deadline = time.monotonic() + DEADLINE_S
        while not true():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
