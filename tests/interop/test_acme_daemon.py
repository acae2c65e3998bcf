"""A whole daemon that gets its certificates from Debian's ``pebble``: at the start, again in time, and not at all."""

from __future__ import annotations

import signal
import socket
import ssl
import urllib.request
from pathlib import Path
from typing import Any

from cryptography import x509

from rtcd.tls.authority import names_of
from tests.daemon.process import DEADLINE_S, DaemonTestCase, Running, WebSocket, trusting
from tests.interop.acme_authority import Pebble, free_ports
from tests.interop.test_page import FAKE_PERMISSION, PageTestCase

NAME = "meet.example.org"

INI = """
[doorway]
https = tcp:{https}:interface=127.0.0.1
http = {http}
{public}
[tls]
mode = acme
names = {names}
[acme]
directory = {directory}
trust = {trust}
challenge = {challenge}
[web]
join-rate = 0
[signaling]
ping-interval = 0
[ice]
rate = 0
[turn]
port = 0
tls-port = 0
external-ip =
[log]
level = debug
"""

ISSUED = r"certificate for {} from https://127"


class AuthorityTestCase(DaemonTestCase):
    """An authority that looks at the ports of a daemon to come."""

    def setUp(self) -> None:
        super().setUp()
        self.https, self.http = free_ports()

    def authority(self, **options: Any) -> Pebble:
        """Start one; see `Pebble`."""
        found = Pebble(Path(self.mktemp()), http_port=self.http, tls_port=self.https, **options)
        self.addCleanup(found.end)
        return found

    def configuration(
        self, pebble: Pebble, *, challenge: str = "auto", name: str = NAME, names: str = "", http: bool = True
    ) -> str:
        """The configuration of a daemon that asks this authority."""
        public = f"public-url = https://{name}:{self.https}" if name else ""
        return INI.format(
            https=self.https, http=f"tcp:{self.http}:interface=127.0.0.1" if http else "", challenge=challenge, names=names,
            public=public, directory=pebble.directory, trust=pebble.trust)

    def shown(self, name: str | None = NAME, *, roots: str | None = None) -> x509.Certificate:
        """What a client sees; with ``roots``, one that verifies it."""
        context = trusting() if roots is None else ssl.create_default_context(cadata=roots)
        with (socket.create_connection(("127.0.0.1", self.https), DEADLINE_S) as plain,
              context.wrap_socket(plain, server_hostname=name) as client):
            return x509.load_der_x509_certificate(client.getpeercert(True) or b"")

    def roots(self, pebble: Pebble) -> str:
        """The certificate that this authority's are trusted by."""
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=trusting()), urllib.request.ProxyHandler({}))
        with opener.open(pebble.management + "/roots/0", timeout=DEADLINE_S) as answer:
            return str(answer.read().decode())

    def is_local(self, name: str | None = NAME) -> bool:
        """Whether it is the certificate of our own authority that is shown."""
        return "rtcd local CA" in self.shown(name).issuer.rfc4514_string()


class IssueTests(AuthorityTestCase):
    """From nothing to a certificate that a client trusts who trusts the authority."""

    def test_by_http_01(self) -> None:
        """The daemon serves with its local certificate from the first moment; the local one stays for other names."""
        pebble = self.authority()
        daemon = self.run_daemon(self.configuration(pebble, challenge="http-01")).started()
        daemon.wait_for(ISSUED.format(NAME))
        self.assertEqual(names_of(self.shown(roots=self.roots(pebble))), (NAME,))
        self.assertTrue(self.is_local("localhost"))
        self.assertTrue(self.is_local(None), "who names no server has come to 127.0.0.1")

    def test_by_tls_alpn_01_with_port_80_shut(self) -> None:
        """On the port of HTTPS itself; several names are in one certificate."""
        pebble = self.authority()
        daemon = self.run_daemon(self.configuration(pebble, names="b.example.org\n    c.example.org", http=False)).started()
        daemon.wait_for(ISSUED.format("b.example.org, c.example.org, meet.example.org"))
        roots = self.roots(pebble)
        for name in (NAME, "b.example.org", "c.example.org"):
            self.assertEqual(names_of(self.shown(name, roots=roots)), ("b.example.org", "c.example.org", NAME))

    def test_for_a_bare_address(self) -> None:
        """RFC 8738, by both challenges. A client that names no server sees it."""
        pebble = self.authority()
        for challenge in ("http-01", "tls-alpn-01"):
            daemon = self.run_daemon(self.configuration(pebble, challenge=challenge, name="", names="127.0.0.1")).started()
            daemon.wait_for(ISSUED.format("127.0.0.1"))
            self.assertEqual(names_of(self.shown("127.0.0.1", roots=self.roots(pebble))), ("127.0.0.1",))
            self.assertEqual(daemon.stop(), 0)

    def test_a_restart_asks_for_nothing(self) -> None:
        """Account, key and certificate are kept, in files that nobody else can read."""
        pebble = self.authority()
        first = self.run_daemon(self.configuration(pebble)).started()
        first.wait_for(ISSUED.format(NAME))
        before = self.shown()
        self.assertEqual(first.stop(), 0)
        for path in (first.folder / "state").iterdir():
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)
        pebble.end()
        second = self.run_daemon_in(first.folder, self.configuration(pebble)).started()
        self.assertEqual(self.shown(), before)
        self.assertEqual(second.stop(), 0)
        self.assertFalse([line for line in second.lines if "asking " in line or "no certificate" in line])


class RefusalTests(AuthorityTestCase):
    """An authority that gives nothing."""

    def test_a_refusal_leaves_the_certificate_in_service(self) -> None:
        """The local one at first; the issued one when a reload asks for a name more that is refused. The log says why."""
        pebble = self.authority(blocked=["blocked.example.org"])
        daemon = self.run_daemon(self.configuration(pebble, name="blocked.example.org")).started()
        self.assertIn("min; the certificate in service stays", self.refused(daemon, 1))
        self.assertTrue(self.is_local("blocked.example.org"))
        self.assertEqual(daemon.stop(), 0)
        daemon = self.run_daemon(self.configuration(pebble)).started()
        daemon.wait_for(ISSUED.format(NAME))
        before = self.shown()
        daemon.ini.write_text(self.configuration(pebble, names="blocked.example.org"))
        daemon.process.send_signal(signal.SIGHUP)
        self.assertIn("blocked.example.org", self.refused(daemon, 1))
        self.assertEqual(self.shown(), before)

    def test_an_authority_that_cannot_be_reached_is_told_of(self) -> None:
        """And does not keep the daemon from starting, nor from ending."""
        pebble = self.authority()
        pebble.end()
        daemon = self.run_daemon(self.configuration(pebble)).started()
        self.refused(daemon, 1)
        self.assertTrue(self.is_local())
        self.assertEqual(daemon.stop(), 0)

    def refused(self, daemon: Running, times: int) -> str:
        """The warning."""
        return daemon.wait_for("no certificate for .*", times)[0]


class RenewalTests(AuthorityTestCase, PageTestCase):
    """Certificates that live for seconds, under a call that goes on."""

    def setUp(self) -> None:
        """A daemon whose certificate is due again soon."""
        self.https, self.http = free_ports()
        self.pebble = self.authority(validity_s=24)
        self.ini = self.configuration(self.pebble)
        PageTestCase.setUp(self)
        self.origin = f"https://{NAME}:{self.https}"

    def test_a_renewal_keeps_the_call(self) -> None:
        """Two people in Chromium, through our relay: the pictures go on, and the WebSocket is the same one."""
        self.daemon.wait_for(ISSUED.format(NAME))
        before = self.shown()
        browser = self.browser(FAKE_PERMISSION, f"--host-resolver-rules=MAP {NAME} 127.0.0.1")
        pages = [self.join(browser, "/r/renewed?it=relay") for _ in range(2)]
        for page in pages:
            self.state(page, "connected")
            self.rising(page)
        member = self.post(f"https://127.0.0.1:{self.https}/join/other")["params"]["client_id"]
        socket = WebSocket(self.https)
        socket.send(cmd="register", roomid="other", clientid=member)
        self.daemon.wait_for(ISSUED.format(NAME), 2)
        self.assertNotEqual(self.shown().serial_number, before.serial_number)
        self.assertEqual(self.shown().issuer.rfc4514_string()[:16], before.issuer.rfc4514_string()[:16])
        socket.send(cmd="nonsense")
        self.assertIn("error", socket.receive())
        socket.close()
        for page in pages:
            self.rising(page)
            self.assertEqual(page.evaluate("document.documentElement.dataset.state"), "connected")
        self.assertEqual(self.complaints, [])
