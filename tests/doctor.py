"""The doctor run in this process on an ini that a test writes, and chains of certificates as authorities make them."""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from rtcd.doctor.examination import checks, examine
from rtcd.doctor.facts.subject import Subject, examined
from rtcd.doctor.finding import Finding
from rtcd.stun.attributes import Address
from tests.daemon.process import DaemonTestCase, Running

NOBODY = {"user": None, "password": "", "time_from": None, "trust": None, "state": None}
"""Options of the command line, none of them given."""
DEADLINE_S = 60.0
HOST = "meet.example"

T = TypeVar("T")


def as_nobody(do: Callable[[], T]) -> T:
    """As another user than root, in this thread and those that it starts."""
    os.seteuid(65534)
    try:
        return do()
    finally:
        os.seteuid(0)


class DoctorTestCase(DaemonTestCase):
    """A folder with an ini."""

    def setUp(self) -> None:
        """Nothing in it yet."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.ini = self.folder / "rtcd.ini"

    def go_where_everybody_comes(self) -> None:
        """To another folder, which ordinary users may enter: the one that tests run in may be private."""
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.folder.chmod(0o755)
        self.ini = self.folder / "rtcd.ini"

    def take_first(self, folder: Path) -> None:
        """Programs in this folder go before those of the machine, for shells as well."""
        before = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", before)
        os.environ["PATH"] = f"{folder}:{before}"

    def run_own(self, ini: str, **options: Any) -> Running:
        """A daemon in a process that is no copy of another one: the doctor finds it by its command line."""
        return self.run_daemon(ini, start_new_session=True, **options).started()

    def subject(self, now: Callable[[], float] = time.time, **options: Any) -> Subject:
        """What there is to examine; state is in the folder."""
        given = {**NOBODY, "state": str(self.folder / "state"), **options}
        return examined(argparse.Namespace(**given), self.ini, now)

    def examine(self, *only: str, now: Callable[[], float] = time.time, **options: Any) -> dict[str, Finding]:
        """What these checks find, by id."""
        found = examine(checks(self.subject(now, **options), time.monotonic), only, time.monotonic, DEADLINE_S)
        return {one.id: one for one in found}

    def mended(self, finding: Finding) -> None:
        """Run the command of a finding, as the operator would."""
        self.assertNotEqual(finding.command, "", finding.id)
        done = subprocess.run(["/bin/sh", "-ec", finding.command], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), finding.command)


class Signed(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signed(
    name: str, issuer: Signed | None = None, *, hosts: Sequence[str] = (), start_s: float | None = None, days: float = 90,
    source: str = "",
) -> Signed:
    """A certificate: of an authority, or for ``hosts``. Without an ``issuer`` it has signed itself; ``source`` is where that
    one's can be fetched."""
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.datetime.fromtimestamp(time.time() - 86400 if start_s is None else start_s, datetime.UTC)
    start = start.replace(microsecond=0)
    authority = not hosts
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer.key if issuer is not None else key
    builder = (
        x509.CertificateBuilder().subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer is not None else subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(start).not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_usage(authority), critical=True))
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    if source:
        builder = builder.add_extension(x509.AuthorityInformationAccess([x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(source))]), critical=False)
    return Signed(builder.sign(signer, hashes.SHA256()), key)


def _names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    return [x509.DNSName(one) for one in hosts]


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False)


def web(port: int, more: str = "") -> str:
    """An ini with a page at a port of loopback."""
    return f"[doorway]\nhttps = tcp:{port}:interface=127.0.0.1\nhttp =\npublic-url = https://{HOST}\n[web]\n{more}"


def serve(test: DoctorTestCase, speak: Callable[[socket.socket], object]) -> Address:
    """A TCP server for one connection."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(30)

    def run() -> None:
        with server:
            try:
                one, _ = server.accept()
            except OSError:
                return
            with one:
                one.settimeout(10)
                speak(one)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    test.addCleanup(thread.join, 30)
    return "127.0.0.1", server.getsockname()[1]
