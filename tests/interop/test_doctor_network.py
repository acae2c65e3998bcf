"""Faults made on purpose that need no daemon: what the doctor finds with real sockets, files and mounts, and that the
command which it names mends them."""

from __future__ import annotations

import email.utils
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from unittest import SkipTest

from rtcd.doctor.checks import nat, websocket
from rtcd.doctor.checks import state as state_check
from rtcd.doctor.checks.relay import Way
from rtcd.doctor.facts import configuration, outside, places, turnclient
from rtcd.doctor.facts import state as state_facts
from rtcd.doctor.facts.places import PROXY
from rtcd.doctor.facts.process import Process
from rtcd.doctor.facts.relay import loop
from rtcd.doctor.facts.sockets import of_process
from rtcd.doctor.facts.websocket import visit
from rtcd.front.origin import parse_public_url
from rtcd.outside.external import is_public
from rtcd.outside.metadata import Metadata
from rtcd.stun.attributes import CHANGE_REQUEST, ERROR_CODE, OTHER_ADDRESS, XOR_MAPPED_ADDRESS, Address
from rtcd.stun.message import Class, Method, decode, encode
from tests.doctor import HOST, DoctorTestCase, serve, signed, web
from tests.interop.proxies import free_port

HOLD = """import socket, sys
one = socket.create_server(("127.0.0.1", 0))
print(one.getsockname()[1], flush=True)
sys.stdin.read()
"""


class Elsewhere(DoctorTestCase):
    """What answers at a port that is not what should."""

    def reached(self, speak: Callable[[socket.socket], object], url: str = "http://127.0.0.1:{port}") -> websocket.Visit:
        """Visit a server that does this."""
        host, port = serve(self, speak)
        return visit(parse_public_url(url.format(port=port)), host, "/ws", public=True)

    def test_where_a_visit_ends_is_told(self) -> None:
        """DNS, TCP, TLS, HTTP and what comes behind the upgrade are told apart."""
        def answer(data: bytes) -> Callable[[socket.socket], object]:
            def speak(one: socket.socket) -> None:
                one.recv(4096)
                one.sendall(data)

            return speak

        plain = parse_public_url(f"https://127.0.0.1:{free_port()}")
        ends = [
            visit(parse_public_url("https://nowhere.invalid"), "nowhere.invalid", "/ws", public=True).end,
            visit(plain, "127.0.0.1", "/ws", public=True).end,
            self.reached(answer(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "https://127.0.0.1:{port}").end,
            self.reached(answer(b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\n\r\n")).end,
            self.reached(answer(b"SSH-2.0-x\r\n\r\n")).end,
            self.reached(answer(b"")).end,
            self.reached(answer(b"x" * 20000)).end,
            self.reached(answer(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")).end,
            self.reached(answer(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x7f" + b"\xff" * 8)).end,
            self.reached(answer(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x02{}")).end,
        ]
        self.assertEqual(ends, [websocket.DNS, websocket.CONNECT, websocket.SHAKE, websocket.STATUS, websocket.GARBAGE,
                                websocket.GARBAGE, websocket.GARBAGE, websocket.SILENT, websocket.SILENT, ""])

    def test_where_a_relay_loop_ends_is_told(self) -> None:
        """No connection, no TLS, something else than TURN, an error, and silence."""
        def ended(transport: str, address: Address) -> tuple[str, int]:
            found = loop(Way(transport, address), lambda: ("user", "password"), time.monotonic)
            return found.end, found.code

        def refuse(one: socket.socket) -> None:
            asked = decode(one.recv(4096))
            one.sendall(encode(Method.ALLOCATE, Class.ERROR, asked.transaction_id, [ERROR_CODE.encode((486, "Quota"))]))

        def other(one: socket.socket) -> None:
            one.recv(4096)  # or what is left unread makes a reset of the end
            one.sendall(b"SSH-2.0-x\r\n")

        closed = "127.0.0.1", free_port()
        with socket.socket(type=socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            for name in ("ANSWER_S", "CONNECT_S"):
                self.patch(turnclient, name, 30.0)
            self.assertEqual([
                ended("tcp", closed), ended("udp", closed),
                ended("tls", serve(self, other)), ended("tcp", serve(self, other)),
                ended("tcp", serve(self, refuse)), ended("tcp", serve(self, lambda one: one.recv(4096))),
            ], [("connect", 0), ("connect", 0), ("handshake", 0), ("garbage", 0), ("refused", 486), ("garbage", 0)])
            for name in ("ANSWER_S", "CONNECT_S"):
                self.patch(turnclient, name, 0.1)
            self.assertEqual([ended(one, silent.getsockname()) for one in ("udp", "dtls")], [("silent", 0)] * 2)

    def test_a_clock_that_is_wrong_is_told_by_the_server_that_was_named(self) -> None:
        """Nobody else is asked; one without a Date is no clock."""
        self.ini.write_text("[turn]\n")
        for offset, wanted in ((3600, "clock.wrong"), (30, "clock.off"), (0, "clock.right"), (None, "clock.no-answer")):
            shown = email.utils.formatdate(time.time() - (offset or 0), usegmt=True)
            date = f"Date: {shown}\r\n" if offset is not None else ""

            def speak(one: socket.socket, date: str = date) -> None:
                one.recv(4096)
                one.sendall(f"HTTP/1.1 404 Not Found\r\n{date}Content-Length: 0\r\n\r\n".encode())

            host, port = serve(self, speak)
            self.assertIn(wanted, self.examine("clock", time_from=f"http://{host}:{port}/"))

    def test_a_program_that_has_the_port_is_ended_by_the_command(self) -> None:
        command = [sys.executable, "-c", HOLD]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            self.ini.write_text(web(int(holder.stdout.readline())))
            found = self.examine("ports")
            self.assertEqual(set(found), {"ports.taken"})
            self.assertEqual(found["ports.taken"].values["pid"], str(holder.pid))
            self.mended(found["ports.taken"])
            holder.wait(30)
            self.assertEqual(set(self.examine("ports")), {"ports.free"})

    def test_an_address_of_another_machine_is_told(self) -> None:
        self.ini.write_text("[turn]\nlisten = 192.0.2.77\n")
        self.assertEqual(set(self.examine("ports")), {"ports.no-address"})


class Stun:
    """A STUN server with two addresses, that tells what it is told to tell."""

    def __init__(self, mapped: Callable[[Address], Address], second: Callable[[Address], Address] | None, *,
                 lets_in: bool) -> None:
        self._sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
        for one in self._sockets:
            one.bind(("127.0.0.1", 0))
            one.settimeout(30)
        self.addresses = [one.getsockname() for one in self._sockets]
        self._mapped, self._second, self._lets_in = mapped, second, lets_in
        self._threads = [threading.Thread(target=self._serve, args=(place,), daemon=True) for place in range(2)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End both."""
        for place, thread in enumerate(self._threads):
            self._sockets[place].sendto(b"end", self.addresses[place])
            thread.join(30)
            self._sockets[place].close()

    def _serve(self, place: int) -> None:
        while (received := self._sockets[place].recvfrom(2048))[0] != b"end":
            data, client = received
            asked = decode(data)
            tell = self._second if place and self._second is not None else self._mapped
            answers = [XOR_MAPPED_ADDRESS.encode(tell(client), asked.transaction_id)]
            if self._second is not None:
                answers.append(OTHER_ADDRESS.encode(self.addresses[1]))
            if CHANGE_REQUEST in asked and not self._lets_in:
                continue
            sender = self._sockets[1 if CHANGE_REQUEST in asked else place]
            sender.sendto(encode(Method.BINDING, Class.SUCCESS, asked.transaction_id, answers), client)


class Listeners(DoctorTestCase):
    """Ports that the system has chosen."""

    def test_which_one_speaks_tls_is_found_by_asking(self) -> None:
        """Behind the header that it waits for, where it takes this machine for a proxy."""
        leaf = signed("leaf", hosts=[HOST])
        for name, data in (("cert.pem", leaf.pem), ("key.pem", leaf.key_pem)):
            (self.folder / name).write_bytes(data)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")

        def shake(one: socket.socket) -> None:
            self.assertEqual(one.recv(len(PROXY)), PROXY)
            context.wrap_socket(one, server_side=True).close()

        def refuse(one: socket.socket) -> None:
            one.recv(4096)
            one.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        self.patch(places, "TIMEOUT_S", 30.0)
        own = Process(os.getpid())
        before = {one.port for one in of_process(own)}
        plain, secure = serve(self, refuse), serve(self, shake)
        self.ini.write_text("[doorway]\nhttps = tcp:0\nhttp = tcp:0\nproxy-from = 127.0.0.1\n[web]\n")
        found = places.find(configuration.read(self.ini), ["127.0.0.1"], own, web=True)
        self.assertEqual({one.key: one.port for one in found.wanted if one.port not in before}, {
            "[doorway] http": plain[1], "[doorway] https": secure[1]})

    def test_what_speaks_no_tls_is_not_the_page(self) -> None:
        """Other services have listeners too."""
        self.patch(places, "TIMEOUT_S", 30.0)
        serve(self, lambda one: one.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        self.ini.write_text("[doorway]\nhttps = tcp:0\nhttp =\n[web]\n")
        found = places.find(configuration.read(self.ini), ["127.0.0.1"], Process(os.getpid()), web=True)
        self.assertEqual(found, ([], ["[doorway] https"]))


class Nat(DoctorTestCase):
    """Which kind a STUN server makes of us."""

    def kind(self, mapped: Callable[[Address], Address], second: Callable[[Address], Address] | None = None, *,
             lets_in: bool = True) -> str:
        """The finding for such a server."""
        self.patch(outside, "WAIT_S", 0.05)
        server = Stun(mapped, second, lets_in=lets_in)
        self.addCleanup(server.close)
        seen = outside._ask("127.0.0.1", server.addresses[:1])
        return nat.judge(nat.Facts("i", ("127.0.0.1",), (), (), (), "s", seen=seen))[0].id

    def test_each_kind_is_told(self) -> None:
        """None, one to one, with other ports, with a filter, and with another port for each destination."""
        def here(client: Address) -> Address:
            return client

        def public(client: Address) -> Address:
            return "8.8.4.4", client[1]

        def shifted(client: Address) -> Address:
            return "8.8.4.4", client[1] ^ 1

        self.assertEqual(
            [self.kind(here), self.kind(public), self.kind(public, public), self.kind(shifted),
             self.kind(public, public, lets_in=False), self.kind(public, shifted)],
            ["nat.unknown", "nat.unclear", "nat.one-to-one", "nat.unclear", "nat.restricted", "nat.symmetric"])

    def test_hosts_are_asked_at_once_and_a_server_without_an_address_is_told(self) -> None:
        """Or four that get no answer would take longer than all checks have."""
        self.patch(outside, "discover", lambda subject: ())
        hosts = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")
        self.patch(outside, "relay_hosts", lambda subject: hosts)
        together = threading.Barrier(len(hosts))

        def ask(host: str, server: Sequence[Address]) -> list[nat.Seen]:
            together.wait(30)
            return [nat.Seen((host, 1))]

        self.patch(outside, "_ask", ask)
        self.ini.write_text("[turn]\nstun-server = 192.0.2.1:3478\n")
        self.assertEqual(self.examine("nat")["nat.silent"].values["hosts"], ", ".join(hosts))
        self.patch(outside, "_ask", lambda host, server: [])
        self.ini.write_text("[turn]\nstun-server = nowhere.invalid:3478\n")
        self.assertEqual(set(self.examine("nat")), {"nat.no-server", "nat.unknown"})

    def test_a_wrong_external_address_is_corrected_by_its_command(self) -> None:
        """The server that is named sees another one. Clouds say nothing here."""
        async def no_cloud(self: Metadata) -> list[None]:
            return []

        self.patch(Metadata, "find", no_cloud)
        self.patch(outside, "WAIT_S", 0.05)
        subject = self.subject()
        hosts = [one for one in subject.addresses if "." in one]
        if not hosts or any(map(is_public, hosts)):
            raise SkipTest("this machine has no private IPv4 address")
        server = Stun(lambda client: ("8.8.4.4", client[1]), None, lets_in=True)
        self.addCleanup(server.close)
        name, port = server.addresses[0]
        self.ini.write_text(
            f"[turn]\nrelay-ip = {hosts[0]}\nexternal-ip =\n    9.9.9.9/{hosts[0]}\nstun-server = {name}:{port}\n")
        found = self.examine("nat")
        self.assertIn("nat.external-wrong", found)
        self.assertEqual(found["nat.external-wrong"].values, {"written": "9.9.9.9", "right": "8.8.4.4"})
        self.mended(found["nat.external-wrong"])
        self.assertIn(f"    8.8.4.4/{hosts[0]}\n", self.ini.read_text())
        self.assertEqual(set(self.examine("nat")), {"nat.unclear"})


class State(DoctorTestCase):
    """The state directory on a file system of its own."""

    def test_it_has_to_belong_to_whom_the_daemon_is_to_become(self) -> None:
        """Before the start as well; a daemon that stays root may write anywhere."""
        if os.geteuid() != 0:
            raise SkipTest("only root can give files away")
        state = self.folder / "state"
        state.mkdir(0o700)
        self.ini.write_text("[turn]\n[daemon]\nuser = nobody\n")
        self.mended(self.examine("state")["state.owner"])
        self.assertEqual(state.stat().st_uid, pwd.getpwnam("nobody").pw_uid)
        self.assertEqual(set(self.examine("state")), {"state.good"})
        self.ini.write_text("[turn]\n")
        subject = replace(self.subject(), process=Process(os.getpid()))
        found = state_check.judge(facts) if (facts := state_facts.gather(subject)) else []
        self.assertEqual([one.id for one in found], ["state.good"])

    def test_a_full_disk_is_mended_by_its_command(self) -> None:
        if os.geteuid() != 0 or shutil.which("mount") is None:
            raise SkipTest("only root can mount")
        state = self.folder / "state"
        state.mkdir(0o700)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(state)], check=False).returncode:
            raise SkipTest("nothing can be mounted here")
        self.addCleanup(subprocess.run, ["umount", str(state)], check=True)
        state.chmod(0o700)
        self.ini.write_text("[turn]\n")
        found = self.examine("state")
        self.assertEqual(set(found), {"state.full"})
        self.mended(found["state.full"])
        self.assertEqual(set(self.examine("state")), {"state.good"})
        self.assertEqual(list(state.iterdir()), [])

    def test_a_directory_that_others_read_is_closed_by_its_command(self) -> None:
        state = self.folder / "state"
        state.mkdir()
        state.chmod(0o755)
        self.ini.write_text("[turn]\n")
        self.mended(self.examine("state")["state.mode"])
        self.assertEqual(Path(state).stat().st_mode & 0o777, 0o700)
        self.assertNotIn("state.mode", self.examine("state"))
