"""The doctor beside a real Redis: one that is down, that is not to be trusted, and that wants a password."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path
from unittest import skipUnless

from rtcd.doctor.facts.store import gather
from rtcd.ice.credentials import Credentials
from tests.doctor import DoctorTestCase
from tests.redis import RedisServer, ask, free_port, is_here

OURS, OLD = "x" * 31 + "1", "x" * 31 + "2"


@skipUnless(is_here(), "redis-server is not installed")
class StoreTests(DoctorTestCase):
    """Faults are named, and the commands mend them."""

    def server(self, *options: str) -> RedisServer:
        """A Redis on loopback."""
        server = RedisServer(str(self.folder / "redis"), *options, port=free_port())
        self.addCleanup(server.stop)
        return server

    def test_rooms_in_memory_are_no_matter_of_a_redis(self) -> None:
        """There is nothing to check."""
        self.ini.write_text("[turn]\n")
        self.assertEqual(self.examine("store"), {})

    def test_one_that_is_down_is_named_and_started(self) -> None:
        """The command that the operator is shown starts it, here by a stand-in for systemd."""
        port = free_port()
        self.ini.write_text(f"[turn]\n[rooms]\nstore = redis://127.0.0.1:{port}\n")
        found = self.examine("store")
        self.assertEqual(set(found), {"store.unreachable"})
        self.assertIn("refused", found["store.unreachable"].values["reason"])
        programs, pid = self.folder / "bin", self.folder / "pid"
        programs.mkdir()
        (programs / "systemctl").write_text(
            f"#!/bin/sh\n[ \"$*\" = 'restart redis-server' ] && exec redis-server --port {port} --save '' --daemonize yes"
            f" --dir {self.folder} --pidfile {pid} --logfile {self.folder}/log >/dev/null\n")
        (programs / "systemctl").chmod(0o755)
        self.addCleanup(os.environ.__setitem__, "PATH", os.environ["PATH"])
        os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
        self.addCleanup(end, pid)
        self.mended(found["store.unreachable"])
        ask_until_up(port)
        found = self.examine("store")
        self.assertEqual(set(found), {"store.unsaved"})
        self.mended(found["store.unsaved"])
        self.assertEqual(set(self.examine("store")), {"store.good"})

    def test_a_fault_of_ours_is_not_mended_at_redis(self) -> None:
        """Without the authority nothing is asked that would have to show a certificate; the fault is the configuration's."""
        ca, stores = self.folder / "ca.pem", f"rediss://127.0.0.1:{free_port()}\n  redis://127.0.0.1:{free_port()}"
        self.ini.write_text(f"[turn]\n[rooms]\nstore =\n  {stores}\nstore-ca = {ca}\n")
        for text in (None, "no certificate"):
            if text is not None:
                ca.write_text(text)
            found = self.examine("store", "configuration")
            self.assertEqual(set(found), {"store.not-asked", "store.unreachable", "configuration.fault"})
            self.assertIn(f"[rooms] store-ca: {ca} ", str(found["configuration.fault"].values))
            self.assertIn("rediss://", found["store.not-asked"].values["where"])

    def test_who_answers_and_is_no_redis_is_not_restarted(self) -> None:
        """Nor one whose certificate is another authority's."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            def answer() -> None:
                with server.accept()[0] as one:
                    one.sendall(b"220 mail.example ESMTP\r\n")
                    one.recv(4096)

            thread = threading.Thread(target=answer)
            thread.start()
            self.ini.write_text(f"[turn]\n[rooms]\nstore = rediss://127.0.0.1:{server.getsockname()[1]}\n")
            found = self.examine("store")
            thread.join()
        self.assertEqual((set(found), found["store.unreachable"].command), ({"store.unreachable"}, ""))

    def test_one_that_throws_rooms_away_is_told_not_to(self) -> None:
        """By redis-cli, at once."""
        server = self.server("--appendonly", "yes", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
        self.ini.write_text(f"[turn]\n[rooms]\nstore = redis://127.0.0.1:{server.port}\n")
        found = self.examine("store")
        self.assertEqual([(one.id, one.values["policy"]) for one in found.values()], [("store.evicts", "allkeys-lru")])
        self.mended(found["store.evicts"])
        self.assertEqual(set(self.examine("store")), {"store.good"})

    def test_a_password_is_wanted_and_found_in_its_file(self) -> None:
        """None is in what is said."""
        server = self.server("--requirepass", "s3cret-word", "--appendonly", "yes")
        self.ini.write_text(f"[turn]\n[rooms]\nstore = redis://127.0.0.1:{server.port}\n")
        self.assertEqual(set(self.examine("store")), {"store.password"})
        self.ini.write_text(f"[turn]\n[rooms]\nstore = redis://:wrong-word@127.0.0.1:{server.port}\n")
        found = self.examine("store")
        self.assertEqual(set(found), {"store.password"})
        self.assertNotIn("wrong-word", str(found))
        (self.folder / "password").write_text("s3cret-word\n")
        self.ini.write_text(f"[turn]\n[rooms]\nstore = redis://127.0.0.1:{server.port}\nstore-password-file = password\n")
        found = self.examine("store")
        self.assertEqual(set(found), {"store.good"})
        self.assertNotIn("s3cret-word", str(found))

    def test_the_password_is_asked_for_where_it_is_written(self) -> None:
        """In the URL, or in the key beside it; and in which file."""
        port = self.server("--requirepass", "s3cret-word").port
        for lines, key in ((f"store = redis://127.0.0.1:{port}", "store-password-file"),
                           (f"store = redis://:wrong-word@127.0.0.1:{port}\nstore-password = another", "store"),
                           (f"store = redis://127.0.0.1:{port}\nstore-password = wrong-word", "store-password")):
            self.ini.write_text(f"[turn]\n[rooms]\n{lines}\n")
            values = self.examine("store")["store.password"].values
            self.assertEqual((values["key"], values["ini"]), (key, str(self.ini)))

    def test_one_that_takes_no_writes_is_named(self) -> None:
        """A line for a Redis with replicas, copied to one that has none: it answers all the same."""
        server = self.server("--appendonly", "yes", "--min-replicas-to-write", "1")
        self.ini.write_text(f"[turn]\n[rooms]\nstore = redis://127.0.0.1:{server.port}\n")
        found = self.examine("store")
        self.assertEqual(set(found), {"store.unwritable"})
        self.assertIn("NOREPLICAS", found["store.unwritable"].values["reason"])

    def test_machines_with_another_secret_are_counted(self) -> None:
        """Those that live and whose mark is not by a secret of this ini; an older release shows none."""
        server = self.server("--appendonly", "yes")
        for node, secret in {"same": OURS, "old": OLD, "other": "y" * 32, "dead": "y" * 32, "silent": ""}.items():
            ask(server.address, "ZADD", "rtcd:nodes", "1" if node == "dead" else "1e12", node)
            if secret:
                mark = Credentials((secret,), 60).mark(node.encode())
                ask(server.address, "SET", f"rtcd:mark:{node}", mark.decode())
        ini = f"[turn]\n[rooms]\nstore = redis://127.0.0.1:{server.port}\n"
        self.ini.write_text(f"{ini}[credentials]\nsecret =\n  {OURS}\n  {OLD}\n")
        found = self.examine("store")
        self.assertEqual(set(found), {"store.strangers"})
        values = found["store.strangers"].values
        self.assertEqual([values[one] for one in ("count", "nodes", "source")], ["1", "4", "[credentials] secret"])
        self.ini.write_text(f"{ini}[credentials]\nsecret = {OURS}\nsecret-separator = ab\n")  # ours is not known
        self.assertEqual(set(self.examine("store")), {"store.good"})
        self.ini.write_text(ini)  # nobody has made a secret yet
        self.assertEqual(set(self.examine("store")), {"store.good"})

    def test_a_database_that_is_not_there_is_named(self) -> None:
        """Redis has sixteen, unless it is told otherwise; the daemon could not begin."""
        server = self.server("--appendonly", "yes")
        self.ini.write_text(f"[turn]\n[rooms]\nstore = redis://127.0.0.1:{server.port}/99\n")
        found = self.examine("store")
        self.assertEqual({one.id: one.values["number"] for one in found.values()}, {"store.database": "99"})

    def test_tls_to_one_without_is_told_as_such(self) -> None:
        """It waits for a command, and the handshake for an answer."""
        server = self.server("--appendonly", "yes")
        self.ini.write_text(f"[turn]\n[rooms]\nstore = rediss://127.0.0.1:{server.port}\n")
        found = self.examine("store")["store.unreachable"]
        self.assertIn("perhaps it speaks no TLS", found.values["reason"])

    def test_no_error_of_redis_shows_the_password(self) -> None:
        """One without AUTH repeats what it was sent."""
        server = self.server("--rename-command", "AUTH", "")
        self.ini.write_text(f"[turn]\n[rooms]\nstore = redis://:s3cret-word@127.0.0.1:{server.port}\n")
        found = self.examine("store")
        self.assertEqual(found["store.password"].values["reason"], "AUTH is refused: ERR")
        self.assertNotIn("s3cret-word", str(found))

    def test_a_sentinel_that_wants_the_password_is_told_it(self) -> None:
        """As the daemon does."""
        server, config, port = self.server("--requirepass", "s3cret-word"), self.folder / "sentinel.conf", free_port()
        config.write_text(f"port {port}\nrequirepass s3cret-word\nsentinel monitor rooms 127.0.0.1 {server.port} 1\n")
        sentinel = RedisServer(str(self.folder / "sentinel"), program="redis-sentinel", config=str(config), port=port)
        self.addCleanup(sentinel.stop)
        self.ini.write_text(f"[turn]\n[rooms]\nstore = redis+sentinel://:s3cret-word@127.0.0.1:{port}/rooms\n")
        found = gather(self.subject())
        assert found is not None
        self.assertEqual((found.asked[0].fault, found.asked[0].port), ("", server.port))

    def test_sentinels_are_asked_one_after_the_other(self) -> None:
        """What the last one has said is the reason."""
        server = self.server()
        self.ini.write_text(f"[turn]\n[rooms]\nstore = redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{server.port}/rooms\n")
        found = gather(self.subject())
        assert found is not None
        self.assertIn(f"Sentinel 127.0.0.1:{server.port}: ERR unknown command", found.asked[0].fault)


def end(pid: Path) -> None:
    """End a Redis that has put itself into the background."""
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGKILL)


def ask_until_up(port: int) -> None:
    """Wait for one that was just started."""
    for _ in range(200):
        try:
            ask(("127.0.0.1", port), "PING")
        except OSError:
            time.sleep(0.02)
        else:
            return
