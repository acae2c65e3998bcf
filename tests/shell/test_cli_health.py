"""``rtcd health`` against servers of one answer; a real daemon is asked in tests/daemon/test_docker.py."""

from __future__ import annotations

import os
import socket
import threading

from rtcd.cli import health, ini
from rtcd.stun.message import Class, Method, decode, encode
from tests.shell.test_cli import CommandTestCase


class Asking(CommandTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(health, "ANSWER_S", 5.0)

    def stun(self, class_: Class | None) -> int:
        """The port of a server that answers once, or not at all."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)

        def answer() -> None:
            asked, who = server.recvfrom(2048)
            if class_ is not None:
                server.sendto(encode(Method.BINDING, class_, decode(asked).transaction_id), who)

        thread = threading.Thread(target=answer)
        thread.start()
        self.addCleanup(thread.join)
        return int(server.getsockname()[1])

    def ini_of(self, port: int, more: str = "") -> str:
        """Of a relay alone."""
        return str(self.write_ini(f"[turn]\nport = {port}\n{more}", "alone.ini"))

    def test_a_relay_is_asked_by_stun(self) -> None:
        port = self.stun(Class.SUCCESS)
        self.assertEqual(self.done("health", "--config", self.ini_of(port)), f"stun 127.0.0.1:{port}: answers\n")

    def test_the_environment_goes_before_the_ini_and_may_stand_alone(self) -> None:
        port = self.stun(Class.SUCCESS)
        self.patch(os, "environ", {**os.environ, "RTCD_TURN_PORT": str(port), "RTCD_WEB": "no"})
        path = str(self.write_ini("[web]\n[turn]\nport = 1\n", "both.ini"))
        self.assertEqual(self.done("health", "--config", path), f"stun 127.0.0.1:{port}: answers\n")
        port = self.stun(Class.SUCCESS)
        self.patch(os, "environ", {**os.environ, "RTCD_TURN_PORT": str(port)})
        self.patch(ini, "PLACES", ("nowhere", "nowhere"))
        self.assertEqual(self.done("health"), f"stun 127.0.0.1:{port}: answers\n")
        for name in ("RTCD_TURN", "RTCD_DOORWAY_HTTP"):  # neither turns on a service
            self.patch(os, "environ", {"RTCD_TURN": "no", name: "no"})
            self.assertIn("nowhere: ", self.refused("health"))

    def test_an_error_is_no_answer(self) -> None:
        self.assertIn("something else", self.refused("health", "--config", self.ini_of(self.stun(Class.ERROR))))

    def test_silence_is_not_waited_for_for_ever(self) -> None:
        self.patch(health, "ANSWER_S", 0.05)
        self.assertIn("no answer in time", self.refused("health", "--config", self.ini_of(self.stun(None))))

    def test_nobody_at_the_port_is_told(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            path = str(self.write_ini(f"[doorway]\nhttps = tcp:{taken.getsockname()[1]}\n[web]\n", "web.ini"))
            self.assertIn("Connection refused", self.refused("health", "--config", path))

    def test_whatever_opens_the_web_listeners_has_them_asked(self) -> None:
        """Also what is no page: the check, an administration by HTTPS, a relay's certificate by ACME."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            door = f"[doorway]\nhttps = tcp:{taken.getsockname()[1]}\n"
            for text in ("[check]\n", f"[admin]\ntoken = {'x' * 40}\n", "[turn]\nstun = no\n[tls]\nmode = acme\n"):
                path = str(self.write_ini(door + text, "web.ini"))
                self.assertIn("Connection refused", self.refused("health", "--config", path))
            for text in ("[admin]\n", "[metrics]\n", "[turn]\nstun = no\n"):
                path = str(self.write_ini(door + text, "web.ini"))
                self.assertIn("names no port", self.refused("health", "--config", path))

    def test_what_cannot_be_asked_is_told(self) -> None:
        for text, said in (
            ("stun = no\n", "names no port"), ("stun-auth = yes\n", "names no port"), ("port = x\n", "alone.ini:"),
        ):
            self.assertIn(said, self.refused("health", "--config", self.ini_of(1, text)))
        self.assertIn("cannot be read", self.refused("health", "--config", "/nowhere"))
