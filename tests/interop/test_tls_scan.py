"""The TLS of a daemon as scanners see it: versions, suites, renegotiation, resumption, and which certificate is shown."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from tests.daemon.process import DEADLINE_S, DaemonTestCase, Running, WebSocket
from tests.interop import require_program
from tests.interop.turns import Turns

INI = """
[doorway]
https = tcp:0:interface=127.0.0.1
http =
[tls]
cert =
    one.crt
    two.crt
key =
    one.key
    two.key
[web]
[signaling]
[ice]
[turn]
listen = 127.0.0.1
port = 0
tls = no
external-ip =
"""

INTERMEDIATE = {
    "TLSv1.3": {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"},
    "TLSv1.2": {
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        "DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305",
    },
}
"""Mozilla's "Server Side TLS", version 5.7, intermediate compatibility."""

VERSIONS = ("-tls1_2", "-tls1_3")
ONE, TWO = "one.example.org", "two.example.org"

KEYS = {"one": ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), "two": ("rsa:2048",)}
"""The first certificate is for elliptic curves, the second for RSA, so that all suites are seen."""
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)


class TlsScanTests(DaemonTestCase):
    """A daemon with two certificates of the operator's."""

    def setUp(self) -> None:
        """It has read both."""
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        for name in KEYS:
            self.make(name)
        self.daemon: Running = self.run_daemon_in(self.folder, INI).started()
        self.port = self.daemon.port()

    def make(self, name: str) -> None:
        """Write a new certificate for NAME.example.org, signed by itself, over the one that is there."""
        subprocess.run(
            [require_program("openssl"), "req", "-x509", "-nodes", "-days", "30", "-subj", f"/CN={name}", "-addext",
             f"subjectAltName=DNS:{name}.example.org", "-newkey", *KEYS[name], "-keyout", str(self.folder / f"{name}.key"),
             "-out", str(self.folder / f"{name}.crt")], check=True, capture_output=True, timeout=DEADLINE_S)

    def connect(self, *arguments: str, name: str = ONE, given: str = "") -> str:
        """What openssl s_client prints of a connection on which this is sent."""
        done = subprocess.run(
            [require_program("openssl"), "s_client", "-connect", f"127.0.0.1:{self.port}",
             *(("-servername", name) if name else ("-noservername",)), *arguments],
            input=given, capture_output=True, text=True, errors="replace", check=False, timeout=DEADLINE_S)
        return done.stdout + done.stderr

    def request(self, *arguments: str, name: str = ONE) -> str:
        """The same for a whole request and its answer; after these the client has its session tickets."""
        text = self.connect(*arguments, "-ign_eof", name=name,
                            given=f"GET /status HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n")
        self.assertIn("HTTP/1.1 200", text)
        return text

    def assertShows(self, text: str, name: str) -> None:
        """This connection was shown the certificate that is now in the file."""
        found = CERTIFICATE.search(text)
        self.assertEqual(found and found[0], (self.folder / f"{name}.crt").read_text(), name)

    def scan(self, name: str) -> tuple[ElementTree.Element, str]:
        """What sslscan finds for a name, as XML and in its own words."""
        file = self.folder / "scan.xml"
        done = subprocess.run(
            [require_program("sslscan"), "--no-colour", f"--xml={file}", f"--sni-name={name}", f"127.0.0.1:{self.port}"],
            capture_output=True, text=True, check=True, timeout=DEADLINE_S)
        found = ElementTree.parse(file).getroot().find("ssltest")
        assert found is not None, done.stdout
        return found, done.stdout

    def test_sslscan_finds_nothing_old(self) -> None:
        """TLS 1.2 and 1.3 with the suites of Mozilla's intermediate profile; no renegotiation, no Heartbleed; the fallback
        of a client to an older version than both speak is noticed."""
        for name, signature in ((ONE, "ECDSA"), (TWO, "RSA")):
            found, text = self.scan(name)
            enabled = {(one.get("type"), one.get("version")) for one in found.iter("protocol") if one.get("enabled") == "1"}
            self.assertEqual(enabled, {("tls", "1.2"), ("tls", "1.3")})
            suites: dict[str, set[str]] = {}
            for one in found.iter("cipher"):
                suites.setdefault(one.get("sslversion", ""), set()).add(one.get("cipher", ""))
            self.assertEqual(suites["TLSv1.3"], INTERMEDIATE["TLSv1.3"])
            self.assertEqual(suites["TLSv1.2"], {
                one for one in INTERMEDIATE["TLSv1.2"] if one.startswith(f"ECDHE-{signature}")})
            self.assertEqual([one.attrib for one in found.iter("renegotiation")], [{"supported": "0", "secure": "0"}])
            self.assertEqual({one.get("vulnerable") for one in found.iter("heartbleed")}, {"0"})
            self.assertIn("Server supports TLS Fallback SCSV", text)
            self.assertNotIn("Compression enabled", text)

    def test_openssl_is_refused_what_sslscan_does_not_find(self) -> None:
        """Old versions, compression and a fallback."""
        for version in ("-tls1", "-tls1_1"):
            self.assertIn("Cipher is (NONE)", self.connect(version, "-cipher", "ALL:@SECLEVEL=0"))
        self.assertIn("Compression: NONE", self.connect("-tls1_2", "-comp"))
        self.assertIn("inappropriate fallback", self.connect("-tls1_2", "-fallback_scsv"))
        self.assertIn("Cipher is (NONE)", self.connect("-tls1_2", "-cipher", "AES128-SHA:ECDHE-ECDSA-AES128-SHA:DHE"))

    def test_a_client_may_not_renegotiate(self) -> None:
        """The one who tries loses its connection; nobody else notices."""
        client = subprocess.Popen(
            [require_program("openssl"), "s_client", "-tls1_2", "-connect", f"127.0.0.1:{self.port}"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(client.kill)
        assert client.stdin is not None
        assert client.stdout is not None
        with client.stdin, client.stdout:
            client.stdin.write("R\n")
            client.stdin.flush()
            text = client.stdout.read()
        client.wait(DEADLINE_S)
        self.assertIn("Secure Renegotiation IS supported", text)
        self.assertIn("no renegotiation", text)
        self.request()

    def test_each_certificate_is_shown_for_its_name(self) -> None:
        """In both versions; the first one for unknown names and for who names nobody."""
        for version in VERSIONS:
            for name, shown in ((ONE, "one"), (TWO, "two"), ("three.example.org", "one"), ("", "one")):
                self.assertShows(self.connect(version, name=name), shown)

    def test_sessions_and_connections_outlive_a_replaced_certificate(self) -> None:
        """Who comes back resumes, in both versions; who is new sees the new one; who is there stays."""
        sessions = {(version, name): str(self.folder / f"session{version}-{name}")
                    for version in VERSIONS for name in (ONE, TWO)}
        for (version, name), session in sessions.items():
            self.assertIn("New, ", self.request(version, "-sess_out", session, name=name))
            self.assertIn("Reused, ", self.request(version, "-sess_in", session, name=name))
        socket = WebSocket(self.port)
        self.addCleanup(socket.close)
        server = next(one for one in self.post(f"https://127.0.0.1:{self.port}/v1alpha/iceconfig")["iceServers"]
                      if "username" in one)
        turns = Turns(self.port, server["username"], server["credential"])
        self.addCleanup(turns.close)
        self.assertEqual(turns.allocate()["XOR-RELAYED-ADDRESS"][0], "127.0.0.1")
        for name in KEYS:
            self.make(name)
        self.daemon.process.send_signal(signal.SIGHUP)
        self.daemon.wait_for("new certificate in service")
        for (version, name), session in sessions.items():
            self.assertIn("Reused, ", self.request(version, "-sess_in", session, name=name))
            new = self.request(version, name=name)
            self.assertIn("New, ", new)
            self.assertShows(new, name.partition(".")[0])
        socket.send(cmd="nothing")
        self.assertIn("error", socket.receive())
        self.assertEqual(turns.refresh()["LIFETIME"], 600)
