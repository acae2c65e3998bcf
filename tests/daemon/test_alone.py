"""Each service alone: a section is all that it needs, and nothing of the others is there."""

from __future__ import annotations

import socket
import ssl

from tests.daemon.process import DEADLINE_S, TURN, DaemonTestCase, WebSocket

DOORWAY = "[doorway]\nhttps = tcp:0:interface=127.0.0.1\nhttp =\n"
BINDING = bytes.fromhex("000100002112a442") + b"transaction!"
SECRET = "[credentials]\nsecret = correct-horse-battery\n"


class AloneTests(DaemonTestCase):
    """Real processes, asked over real sockets."""

    def test_turn_alone_has_tls_with_a_certificate_and_no_web(self) -> None:
        """It is made at the start, and is the one that clients see."""
        daemon = self.run_daemon(TURN + SECRET).started()
        self.assertIn("server.crt", {one.name for one in (daemon.folder / "state").iterdir()})
        self.assertNotIn("web listens", "\n".join(daemon.lines))
        trusted = ssl.create_default_context(cafile=daemon.folder / "state" / "ca.crt")
        with socket.create_connection(("127.0.0.1", daemon.port()), DEADLINE_S) as plain, \
                trusted.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(BINDING)
            answer = client.recv(1500)
        self.assertEqual((answer[:2], answer[8:20]), (b"\x01\x01", b"transaction!"))
        self.assertEqual(daemon.stop(), 0)

    def test_turn_without_tls_makes_no_certificate(self) -> None:
        """A relay machine has the secret of the others and nothing else."""
        daemon = self.run_daemon(f"{TURN}tls = no\n{SECRET}").started()
        self.assertNotIn(" tls ", "\n".join(daemon.lines))
        self.assertEqual(sorted(one.name for one in (daemon.folder / "state").iterdir()), [])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.connect(("127.0.0.1", daemon.port("udp")))
            client.send(BINDING)
            answer = client.recv(1500)
        self.assertEqual((answer[:2], answer[8:20]), (b"\x01\x01", b"transaction!"))
        self.assertEqual(daemon.stop(), 0)

    def test_ice_alone_names_servers_elsewhere(self) -> None:
        """It needs their secret."""
        daemon = self.run_daemon(f"{DOORWAY}{SECRET}[ice]\nservers = turn:relay.example.org:3478?transport=udp\n").started()
        origin = f"https://127.0.0.1:{daemon.port()}"
        answer = self.post(f"{origin}/v1alpha/iceconfig")["iceServers"]
        self.assertEqual(answer[0]["urls"], ["turn:relay.example.org:3478?transport=udp"])
        self.assertEqual(self.get(f"{origin}/r/room")[0], 404)
        self.assertEqual(daemon.stop(), 0)

    def test_signaling_alone_is_a_collider(self) -> None:
        """For a room server elsewhere: nobody joins here, and the HTTP half is at the root."""
        ini = f"{DOORWAY}[signaling]\nrequire-join = no\npost-path = /\n"
        daemon = self.run_daemon(ini).started()
        port = daemon.port()
        sockets = [WebSocket(port), WebSocket(port)]
        for index, one in enumerate(sockets):
            self.addCleanup(one.close)
            one.send(cmd="register", roomid="lounge", clientid=str(index))
        sockets[0].send(cmd="send", msg="hello")
        self.assertEqual(sockets[1].receive(), {"msg": "hello", "error": ""})
        status, body = self.ask(f"https://127.0.0.1:{port}/lounge/1", b"posted")
        self.assertEqual((status, body), (200, b"OK\n"))
        self.assertEqual(sockets[0].receive(), {"msg": "posted", "error": ""})
        self.assertEqual(daemon.stop(), 0)

    def test_an_empty_section_is_enough(self) -> None:
        """And a section that is not there is a service that is not."""
        daemon = self.run_daemon(f"{DOORWAY}[web]\n[signaling]\n").started()
        port = daemon.port()
        self.assertEqual(self.get(f"https://127.0.0.1:{port}/")[0], 200)
        self.assertNotEqual(self.ask(f"https://127.0.0.1:{port}/v1alpha/iceconfig", b"")[0], 200)
