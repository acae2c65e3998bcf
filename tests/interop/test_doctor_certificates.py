"""Certificates and clocks with faults made on purpose: what the doctor finds, and that the command which it names mends
them. No daemon is needed."""

from __future__ import annotations

import email.utils
import os
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import replace
from functools import partial
from unittest import SkipTest

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates

from rtcd.doctor.checks import certificate as certificate_check
from rtcd.doctor.facts import certificate, clock, handshake
from rtcd.doctor.finding import Finding
from rtcd.tls.authority import issue, make_authority
from tests.doctor import HOST, DoctorTestCase, as_nobody, serve, signed, web
from tests.interop import require_program
from tests.interop.proxies import free_port


def answer(data: bytes, one: socket.socket) -> None:
    """An HTTP server's, to whatever is asked."""
    one.recv(4096)
    one.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


class Certificates(DoctorTestCase):
    """In files, as before the first start."""

    def setUp(self) -> None:
        super().setUp()
        self.root = signed("Root")
        self.middle = signed("Middle", self.root)
        self.trust = self.put("root.pem", self.root.pem)

    def put(self, name: str, data: bytes) -> str:
        """A file that is private."""
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(0o600)
        return str(path)

    def serve(self, cert: str) -> None:
        """Name these files."""
        self.ini.write_text(web(free_port(), f"[tls]\ncert = {cert}\nkey = key.pem\n"))

    def found(self) -> set[str]:
        """The ids of what is said of it."""
        return set(self.examine("certificate", trust=self.trust))

    def test_a_missing_intermediate_is_mended_by_its_command(self) -> None:
        leaf = signed("leaf", self.middle, hosts=[HOST])
        self.put("key.pem", leaf.key_pem)
        self.put("cert.pem", leaf.pem)
        self.put("fullchain.pem", leaf.pem + self.middle.pem)
        self.serve("cert.pem")
        found = self.examine("certificate", trust=self.trust)
        self.assertEqual(set(found), {"certificate.incomplete"})
        self.mended(found["certificate.incomplete"])
        self.assertIn(f"cert = {self.folder}/fullchain.pem\n", self.ini.read_text())
        self.assertEqual(self.found(), {"certificate.good"})

    def test_one_that_is_missing_everywhere_is_fetched_by_the_command(self) -> None:
        """In whichever form an authority gives it, and behind a file that ends in the middle of a line."""
        for program in ("curl", "openssl"):
            require_program(program)
        one = self.middle.certificate
        forms = (one.public_bytes(Encoding.DER), self.middle.pem, serialize_certificates([one], Encoding.DER))
        for data in forms:
            host, port = serve(self, partial(answer, data))
            leaf = signed("leaf", self.middle, hosts=[HOST], source=f"http://{host}:{port}/middle")
            self.put("key.pem", leaf.key_pem)
            self.put("cert.pem", leaf.pem.rstrip())
            self.serve("cert.pem")
            found = self.examine("certificate", trust=self.trust)
            self.assertEqual(set(found), {"certificate.incomplete"})
            self.mended(found["certificate.incomplete"])
            self.assertEqual(self.found(), {"certificate.good"})
        host, port = serve(self, partial(answer, b"no certificate"))
        leaf = signed("leaf", self.middle, hosts=[HOST], source=f"http://{host}:{port}/middle")
        self.put("cert.pem", leaf.pem)
        command = self.examine("certificate", trust=self.trust)["certificate.incomplete"].command
        self.assertNotEqual(subprocess.run(["/bin/sh", "-c", command], check=False, timeout=60).returncode, 0)
        self.assertEqual((self.folder / "cert.pem").read_bytes(), leaf.pem)

    def test_files_of_others_are_no_fault(self) -> None:
        """Only root may look at them, and the daemon perhaps: that is said."""
        if os.geteuid() != 0:
            raise SkipTest("only root can become somebody else")
        self.go_where_everybody_comes()
        leaf = signed("leaf", self.middle, hosts=[HOST])
        (self.folder / "private").mkdir(0o700)
        self.put("private/key.pem", leaf.key_pem)
        cert = self.put("cert.pem", leaf.pem + self.middle.pem)
        self.ini.write_text(web(free_port(), "[tls]\ncert = cert.pem\nkey = private/key.pem\n"))
        root = self.put("root.pem", self.root.pem)
        os.chmod(root, 0o644)
        for wanted in ({"certificate.hidden"}, {"certificate.hidden", "certificate.good"}):
            found = as_nobody(lambda: self.examine("certificate", trust=root))
            self.assertEqual(set(found), wanted)
            os.chmod(cert, 0o644)

    def test_an_expired_one_is_renewed_by_who_made_it(self) -> None:
        """A program that the test has put there stands in for certbot, and does what its command line says."""
        live = self.folder / "live" / "meet"
        live.mkdir(parents=True)
        self.patch(certificate_check, "LIVE", f"{self.folder}/live/")
        old = signed("leaf", self.middle, hosts=["other.example"], start_s=time.time() - 90 * 86400, days=80)
        right = signed("leaf", self.middle, hosts=["other.example"])
        wide = signed("leaf", self.middle, hosts=["other.example", HOST])
        for name, one in (("meet", old), ("renew", right), ("certonly", wide)):
            self.put(f"{name}.crt", one.pem + self.middle.pem)
            self.put(f"{name}.key", one.key_pem)
        self.put("certbot", b"""#!/bin/sh
case "$*" in
"renew --cert-name meet") ;;
"certonly --cert-name meet -d other.example -d meet.example") ;;
*) exit 1 ;;
esac
cp "${0%/*}/$1.crt" "${0%/*}/live/meet/fullchain.pem" && cp "${0%/*}/$1.key" "${0%/*}/live/meet/privkey.pem"
""")
        os.chmod(self.folder / "certbot", 0o755)
        self.take_first(self.folder)
        shutil.copy(self.folder / "meet.crt", live / "fullchain.pem")
        shutil.copy(self.folder / "meet.key", live / "privkey.pem")
        self.ini.write_text(web(free_port(), "[tls]\nlive = live\n"))
        for wanted, mended in (({"certificate.expired", "certificate.name"}, "certificate.expired"),
                               ({"certificate.name"}, "certificate.name")):
            found = self.examine("certificate", trust=self.trust)
            self.assertEqual(set(found), wanted)
            self.mended(found[mended])
        self.assertEqual(self.found(), {"certificate.good"})

    def test_an_expired_one_for_another_name_is_both(self) -> None:
        leaf = signed("leaf", self.middle, hosts=["other.example"], start_s=time.time() - 90 * 86400, days=80)
        self.put("key.pem", leaf.key_pem)
        self.put("cert.pem", leaf.pem + self.middle.pem)
        self.serve("cert.pem")
        self.assertEqual(self.found(), {"certificate.expired", "certificate.name"})
        new = signed("leaf", self.middle, hosts=["*.example"])
        self.put("key.pem", new.key_pem)
        self.put("cert.pem", new.pem + self.middle.pem)
        self.assertEqual(self.found(), {"certificate.good"})

    def test_whom_nobody_knows_is_told_from_who_has_signed_himself(self) -> None:
        """And a chain in the wrong order."""
        leaf, own = signed("leaf", self.middle, hosts=[HOST]), signed("own", hosts=[HOST])
        self.put("key.pem", leaf.key_pem)
        self.put("cert.pem", leaf.pem + self.middle.pem)
        self.put("own.pem", own.pem)
        self.put("order.pem", leaf.pem + self.root.pem + self.middle.pem)
        for file, trust, wanted in (("cert.pem", None, "stranger"), ("own.pem", self.trust, "self-signed"),
                                    ("order.pem", self.trust, "order")):
            self.serve(file)
            self.assertEqual(set(self.examine("certificate", trust=trust)), {f"certificate.{wanted}"})

    def test_our_own_authority_is_known_where_it_may_be_read_and_where_not(self) -> None:
        """By its certificate, or else by its name."""
        authority = make_authority("box", [HOST], time.time())
        leaf = issue(authority, [HOST], time.time()).certificate
        self.ini.write_text(web(free_port()))
        subject = self.subject()
        assert subject.state is not None
        subject.state.mkdir()
        (subject.state / "ca.crt").write_bytes(authority.certificate_pem())
        self.assertEqual(certificate._trust([leaf], subject), "local")
        self.assertEqual(certificate._trust([leaf], replace(subject, state=None)), "local")
        self.assertEqual(certificate._trust([self.middle.certificate], replace(subject, state=None)), "")

    def test_a_key_that_everybody_reads_is_closed_by_its_command(self) -> None:
        leaf = signed("leaf", self.middle, hosts=[HOST])
        key = self.put("key.pem", leaf.key_pem)
        self.put("cert.pem", leaf.pem + self.middle.pem)
        os.chmod(key, 0o644)
        self.serve("cert.pem")
        self.mended(self.examine("certificate", trust=self.trust)["certificate.key-open"])
        self.assertEqual(self.found(), {"certificate.good"})

    def test_a_listener_shows_what_it_sends_and_nothing_that_was_fetched(self) -> None:
        """The handshake by itself; one that speaks no TLS is told of."""
        leaf = signed("leaf", self.middle, hosts=[HOST], source="http://127.0.0.1:9/middle.crt")
        self.put("key.pem", leaf.key_pem)
        for pem, sent in ((leaf.pem, 1), (leaf.pem + self.middle.pem, 2)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.put("cert.pem", pem), self.folder / "key.pem")

            def shake(one: socket.socket, context: ssl.SSLContext = context) -> None:
                context.wrap_socket(one, server_side=True).close()

            with socket.create_connection(serve(self, shake), 5) as connected:
                self.assertEqual(len(handshake.shown_chain(connected, HOST, 5)), sent)
        place = serve(self, lambda one: one.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        with socket.create_connection(place, 5) as connected:
            self.assertRaises(handshake.HandshakeFailed, handshake.shown_chain, connected, HOST, 5)


class Clock(DoctorTestCase):
    """A clock that is wrong by what stands in a file, and a program that sets it, in place of systemd's."""

    def setUp(self) -> None:
        super().setUp()
        self.wrong = self.folder / "wrong"
        program = self.folder / "timedatectl"
        program.write_text(
            "#!/bin/sh\ncase \"$*\" in\n'show -p NTPSynchronized --value') cat \"${0%/*}/kept\";;\n"
            "'set-ntp true') echo 0 > \"${0%/*}/wrong\" && echo yes > \"${0%/*}/kept\";;\n*) exit 1;;\nesac\n")
        program.chmod(0o755)
        self.take_first(self.folder)
        self.patch(clock, "SYSTEMD", self.folder)
        self.patch(clock, "_kernel", lambda: None)
        self.ini.write_text("[turn]\n")

    def found(self, *checks: str, **options: str) -> dict[str, Finding]:
        """By a clock that is so wrong."""
        return self.examine(*checks, now=lambda: time.time() + float(self.wrong.read_text()), **options)

    def set_wrong(self, seconds: float) -> None:
        """Which nobody has noticed."""
        self.wrong.write_text(f"{seconds}\n")
        (self.folder / "kept").write_text("no\n")

    def test_each_fault_of_it_is_mended_by_its_command(self) -> None:
        """Beside a server that tells the time; by what it has left in the state directory; and by nobody's word."""
        def tell(one: socket.socket) -> None:
            one.recv(4096)
            one.sendall(f"HTTP/1.1 404 Not Found\r\nDate: {email.utils.formatdate(usegmt=True)}\r\n\r\n".encode())

        def source() -> str:
            return "http://{}:{}/".format(*serve(self, tell))

        for seconds, wanted in ((3600, "clock.wrong"), (-30, "clock.off")):
            self.set_wrong(seconds)
            self.mended(self.found("clock", time_from=source())[wanted])
            self.assertEqual(set(self.found("clock", time_from=source())), {"clock.right"})
        self.set_wrong(0)
        self.mended(self.found("clock")["clock.unkept"])
        self.assertEqual(set(self.found("clock")), {"clock.kept"})
        (self.folder / "state").mkdir()
        (self.folder / "state" / "turn-secret").write_text("x")
        self.set_wrong(-3600)
        self.mended(self.found("clock")["clock.went-back"])
        self.assertEqual(set(self.found("clock")), {"clock.kept"})

    def test_a_certificate_that_is_not_valid_yet_is_one_of_a_clock_that_is_wrong(self) -> None:
        root = signed("Root", start_s=time.time() - 90 * 86400, days=365)
        leaf = signed("leaf", root, hosts=[HOST])
        for name, data in (("cert.pem", leaf.pem), ("key.pem", leaf.key_pem), ("root.pem", root.pem)):
            (self.folder / name).write_bytes(data)
            (self.folder / name).chmod(0o600)
        self.ini.write_text(web(free_port(), "[tls]\ncert = cert.pem\nkey = key.pem\n"))
        self.set_wrong(-3 * 86400)
        trust = str(self.folder / "root.pem")
        self.mended(self.found("certificate", trust=trust)["certificate.early"])
        self.assertEqual(set(self.found("certificate", trust=trust)), {"certificate.good"})

    def test_without_systemd_there_is_no_such_command(self) -> None:
        """The finding is the same."""
        self.patch(clock, "SYSTEMD", self.folder / "none")
        self.patch(clock, "_kernel", lambda: False)
        self.set_wrong(0)
        self.assertEqual(self.found("clock")["clock.unkept"].command, "")
