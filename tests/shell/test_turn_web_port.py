"""STUN and TURN at the port of HTTPS: by UDP on sockets of their own, by TCP and TLS through the doorway."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet.interfaces import IProtocolFactory

from rtcd.config import ConfigError
from rtcd.doorway.directory import Listener
from rtcd.plane.relay import PythonRelayPlane
from rtcd.privileges import PRIVILEGE
from rtcd.stun.attributes import XOR_MAPPED_ADDRESS
from rtcd.stun.message import Class, Method, decode, encode
from tests.shell.test_turn_service import ServiceTestCase

BINDING = encode(Method.BINDING, Class.REQUEST, bytes(12), [])


class WebPortTests(ServiceTestCase):
    """A web listener is open already when the service starts."""

    def setUp(self) -> None:
        """Its port, which is free for UDP."""
        super().setUp()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.context.doorway.directory.opened(Listener("web", "tls", "::", self.port))
        self.context.doorway.directory.opened(Listener("web", "tcp", "::", 1))

    def udp(self) -> list[int]:
        """The UDP ports that are listened on."""
        return [one.port for one in self.context.doorway.directory.listeners("turn")
                if one.transport == "udp" and one.last_port is None]

    def test_udp_is_served_at_that_port_too(self) -> None:
        """After the own one; not at the port of redirects. It is gone with the service."""
        service = self.start()
        self.assertEqual((len(self.udp()), self.udp()[1]), (2, self.port))
        self.client.sendto(BINDING, ("127.0.0.1", self.port))
        for reader in list(self.reactor.readers):
            reader.doRead()
        answer, sender = self.client.recvfrom(2000)
        self.assertEqual(sender, ("127.0.0.1", self.port))
        self.assertEqual(decode(answer).get(XOR_MAPPED_ADDRESS), self.client.getsockname())
        service.stopService()
        self.assertEqual(self.udp(), [])

    def test_it_may_be_turned_off(self) -> None:
        """By itself, or with all of UDP."""
        for options in ({"web_port": False}, {"udp": False, "tcp": True}):
            service = self.start(**options)
            self.assertNotIn(self.port, self.udp())
            service.stopService()

    def test_one_port_for_both_is_opened_once(self) -> None:
        """[turn] port may be that of the web."""
        self.start(port=self.port)
        self.assertEqual(self.udp(), [self.port])

    def test_a_port_that_is_taken_ends_the_start_with_one_line(self) -> None:
        """And what was opened before is closed."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", self.port))
            fault = self.assertRaises(ConfigError, self.start)
        self.assertEqual(str(fault), f"[turn] web-port: udp port {self.port} on 127.0.0.1 is in use by another program; "
                                     "stop that one or choose another port, or set web-port = no")
        self.assertEqual(self.udp(), [])

    def test_a_port_that_needs_a_privilege_says_how_to_get_it(self) -> None:
        """There are three ways."""
        listen = PythonRelayPlane.listen

        def refuse(plane: Any, host: str, port: int) -> Any:
            if port == self.port:
                raise PermissionError(errno.EACCES, "Permission denied")
            return listen(plane, host, port)

        self.patch(PythonRelayPlane, "listen", refuse)
        fault = self.assertRaises(ConfigError, self.start)
        self.assertTrue(str(fault).startswith("[turn] web-port: "), str(fault))
        self.assertTrue(str(fault).endswith(f"{PRIVILEGE}, or set web-port = no"), str(fault))
        for way in ("systemd/rtcd.service", "[daemon] user", "ip_unprivileged_port_start"):
            self.assertIn(way, str(fault))

    def test_it_is_open_where_the_web_is(self) -> None:
        """Not on other addresses, and not for a socket without a port."""
        directory = self.context.doorway.directory
        for one in list(directory.listeners("web")):
            directory.closed(one)
        directory.opened(Listener("web", "tls", "127.0.0.2", self.port))
        directory.opened(Listener("web", "tls", "/run/sock", 0))
        service = self.start(listen=("127.0.0.1", "127.0.0.2"))
        self.assertEqual([one.host for one in directory.listeners("turn") if one.port == self.port], ["127.0.0.2"])
        service.stopService()

    def test_plain_streams_go_with_tcp(self) -> None:
        """[turn] tcp = no leaves TLS at that port, as everywhere."""
        for tcp in (True, False):
            service = self.start(tcp=tcp)
            found: dict[str, IProtocolFactory] = self.context.doorway._plain_streams
            self.assertEqual("stun.turn" in found, tcp)
            found.clear()
            service.stopService()
