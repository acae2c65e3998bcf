"""Tests of loading, checking and replacing the certificate."""

from __future__ import annotations

import datetime
import errno
import os
import stat
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from rtcd.config import ConfigError
from rtcd.metrics import Metrics
from rtcd.state import StateDirectory
from rtcd.tls.authority import DAY_S, Pair, issue, make_authority, names_of
from rtcd.tls.certificates import POLL_S, Certificates
from rtcd.tls.local import Machine
from rtcd.tls.settings import TlsSettings

NOW = 1_790_000_000.0


def unlimited() -> Pair:
    """An authority as early versions made them, which may sign for everybody."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rtcd local CA of box")])
    start = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=3650))
    return Pair(builder.add_extension(x509.BasicConstraints(True, 0), critical=True).sign(key, hashes.SHA256()), key)


def certificates(service: Certificates) -> tuple[Any, ...]:
    """The certificates in service, the server's first."""
    return service.chain.certificates if service.chain is not None else ()


class CertificatesTestCase(SynchronousTestCase):
    """A clock, a state directory and a machine whose addresses the test says."""

    def setUp(self) -> None:
        """Nothing is made yet."""
        self.clock = MemoryReactorClock()
        self.clock.rightNow = NOW
        self.state = StateDirectory(self.mktemp())
        self.addresses = ["192.0.2.5"]
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def make(self, **settings: Any) -> Certificates:
        """The service, loaded."""
        found = Certificates(
            self.clock, TlsSettings(**settings), self.state, Metrics(),
            alpn=lambda: [b"http/1.1"], machine_names=lambda: Machine("box", self.addresses, self.addresses[0]),
        )
        found.load()
        return found

    def started(self, **settings: Any) -> Certificates:
        """The service, watching."""
        found = self.make(**settings)
        found.startService()
        self.addCleanup(found.stopService)
        return found


class LocalTests(CertificatesTestCase):
    """Without files of the operator's."""

    def test_the_first_start_makes_an_authority_and_a_certificate(self) -> None:
        """Private files; the next start uses them."""
        first = self.make(names=("meet.example",))
        self.assertEqual(first.names, ("127.0.0.1", "192.0.2.5", "::1", "box.local", "localhost", "meet.example"))
        for name in ("ca.crt", "ca.key", "server.crt", "server.key"):
            self.assertEqual(stat.S_IMODE(self.state.path(name).stat().st_mode), 0o600)
        second = self.make(names=("meet.example",))
        self.assertEqual((certificates(second), second.ca_pem), (certificates(first), first.ca_pem))

    def test_another_address_makes_another_authority_too(self) -> None:
        """Within a day, or at a reload. The one before may not sign for it; the new one may sign for the old address too, so
        a machine that goes back and forth needs no third one."""
        found = self.started()
        before, authority = found.names, found.ca_pem
        self.addresses[:] = ["192.0.2.6"]
        self.clock.advance(DAY_S)
        self.assertEqual(set(found.names) ^ set(before), {"192.0.2.5", "192.0.2.6"})
        second = found.ca_pem
        self.assertNotEqual(second, authority)
        self.addresses[:] = ["192.0.2.5"]
        self.clock.advance(DAY_S)
        self.assertEqual((found.names, found.ca_pem), (before, second))

    def test_another_address_that_nobody_types_is_not_worth_a_new_authority(self) -> None:
        """Of IPv6, which providers and privacy extensions change every day, and of a bridge for containers: phones would
        have to be told each time."""
        found = self.started()
        before, authority = found.names, found.ca_pem
        self.addresses += ["2001:db8::6", "172.18.0.1"]
        self.clock.advance(DAY_S)
        self.assertEqual((found.names, found.ca_pem), (before, authority))
        configured = self.make(names=("2001:DB8::6",))
        self.assertIn("2001:db8::6", configured.names)
        self.assertNotEqual(configured.ca_pem, authority)

    def test_an_authority_without_limits_is_replaced(self) -> None:
        """As early versions made them."""
        pair = unlimited()
        self.state.write("ca.crt", pair.certificate_pem())
        self.state.write("ca.key", pair.key_pem())
        found = self.make()
        self.assertNotEqual(found.ca_pem, pair.certificate_pem())
        self.assertEqual(self.make().ca_pem, found.ca_pem)

    def test_it_is_renewed_before_it_expires(self) -> None:
        """For as long as the daemon runs."""
        found = self.started()
        self.clock.pump([DAY_S] * 380)
        self.assertGreater(found.days_left(), 300)

    def test_an_authority_that_ends_is_replaced(self) -> None:
        """After ten years."""
        before = self.make().ca_pem
        self.clock.rightNow += 3650 * DAY_S
        self.assertNotEqual(self.make().ca_pem, before)

    def test_damaged_state_is_made_again(self) -> None:
        """A half-restored backup does not keep the daemon from starting."""
        self.make()
        self.state.write("server.key", b"rubbish")
        self.assertEqual(names_of(certificates(self.make())[0])[0], "127.0.0.1")

    def test_it_makes_connections_for_twisted(self) -> None:
        """Through the interface that Twisted asks for; not before there is a certificate."""
        found = self.make()
        verifyObject(IOpenSSLServerConnectionCreator, found)
        self.assertIsNot(found.serverConnectionForTLS(None), found.serverConnectionForTLS(None))
        empty = Certificates(self.clock, TlsSettings(), self.state, Metrics(), alpn=list)
        self.assertRaises(RuntimeError, empty.serverConnectionForTLS, None)


class OwnFilesTests(CertificatesTestCase):
    """With the operator's files."""

    def setUp(self) -> None:
        """An authority of somebody else's, and a certificate of it in files."""
        super().setUp()
        self.authority = make_authority("elsewhere", ["one.example", "two.example"], NOW)
        self.cert, self.key = self.directory / "fullchain.pem", self.directory / "privkey.pem"
        self.own: dict[str, Any] = {"cert": (str(self.cert),), "key": (str(self.key),)}
        self.put(self.issued("one.example"))

    def issued(self, name: str, now: float = NOW) -> Pair:
        """A new certificate for this name."""
        return issue(self.authority, [name], now)

    def put(self, pair: Pair, *more: Pair) -> None:
        """Write the files."""
        self.cert.write_bytes(b"".join(one.certificate_pem() for one in (pair, *more)))
        self.key.write_bytes(pair.key_pem())

    def warnings(self) -> tuple[str, ...]:
        """What is told of the files when they are used."""
        found = self.make(**self.own).chain
        return found.warnings if found is not None else ()

    def refused(self, at: str, /, **settings: Any) -> str:
        """What a start with the files says."""
        fault = self.assertRaises(ConfigError, self.make, **(self.own | settings))
        self.assertTrue(str(fault).startswith(f"[tls] {at}: "), str(fault))
        return str(fault)

    def test_the_own_certificate_is_used(self) -> None:
        """There is no local authority then, and a missing intermediate is warned about; a root is not sent."""
        self.put(self.issued("one.example"), self.authority)
        found = self.make(**self.own)
        self.assertEqual((found.names, found.ca_pem), (("one.example",), None))
        self.assertEqual((len(certificates(found)), self.warnings()), (1, ()))
        self.assertEqual(os.listdir(self.state.path("x").parent), [])

    def test_a_missing_intermediate_is_warned_about(self) -> None:
        """A desktop fetches it, a phone does not."""
        self.assertIn("fullchain.pem", self.warnings()[0])

    def test_files_that_cannot_be_read_are_named(self) -> None:
        """Missing, too long, no certificate, no key."""
        self.assertIn("No such file", self.refused("cert", cert=(str(self.directory / "none"),)))
        self.assertIn("No such file", self.refused("key", key=(str(self.directory / "none"),)))
        self.assertIn("no PEM certificate", self.refused("cert", cert=(str(self.key),)))
        self.assertIn("no private key", self.refused("key", key=(str(self.cert),)))
        os.mkfifo(self.directory / "pipe")
        self.assertIn("no plain file", self.refused("cert", cert=(str(self.directory / "pipe"),)))
        self.assertIn("null", self.refused("cert", cert=("a\0b",)))
        self.cert.write_bytes(b"x" * 300000)
        self.assertIn("longer than", self.refused("cert"))

    def test_a_key_of_another_certificate_is_refused(self) -> None:
        """And if the certificate is there, but not first, that is said."""
        pair = self.issued("one.example")
        self.key.write_bytes(pair.key_pem())
        self.assertIn("does not belong", self.refused("cert"))
        self.cert.write_bytes(self.authority.certificate_pem() + pair.certificate_pem())
        self.assertIn("put the server's certificate first", self.refused("cert"))

    def test_dates_are_checked(self) -> None:
        """Expired, not yet valid, and soon."""
        self.put(self.issued("one.example", NOW - 400 * DAY_S))
        self.assertIn("expired on", self.refused("cert"))
        self.put(self.issued("one.example", NOW + 2 * DAY_S))
        self.assertIn("check the clock", self.refused("cert"))
        self.put(self.issued("one.example", NOW - 390 * DAY_S))
        self.assertIn("expires in 6 days", self.warnings()[0])

    def test_a_chain_out_of_order_is_refused(self) -> None:
        """The certificate that does not fit is named."""
        self.put(self.issued("one.example"), make_authority("other", [], NOW))
        self.assertIn("CN=rtcd local CA of other", self.refused("cert"))

    def test_an_encrypted_key_needs_its_password(self) -> None:
        """Missing, wrong, superfluous, right."""
        pair = self.issued("one.example")
        self.put(pair)
        self.refused("key-password", key_password="x")
        locked = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"sesame"))
        self.key.write_bytes(locked)
        self.assertIn("set key-password", self.refused("key-password"))
        self.assertNotIn("wrong!", self.refused("key-password", key_password="wrong!"))
        self.assertEqual(self.make(**self.own, key_password="sesame").names, ("one.example",))

    def test_unknown_ciphers_are_refused(self) -> None:
        """OpenSSL's words, not ours."""
        self.refused("ciphers", ciphers="NONSENSE")
        self.refused("ciphers", ciphers="\u00e9")

    def test_changed_files_are_taken_by_themselves(self) -> None:
        """As certbot does it: links that point elsewhere all at once."""
        live = self.directory / "live"
        for number, name in enumerate(("one.example", "two.example")):
            folder = self.directory / str(number)
            folder.mkdir()
            pair = self.issued(name)
            (folder / "cert.pem").write_bytes(pair.certificate_pem())
            (folder / "key.pem").write_bytes(pair.key_pem())
        live.symlink_to(self.directory.resolve() / "0")
        found = self.started(cert=(str(live / "cert.pem"),), key=(str(live / "key.pem"),))
        self.clock.advance(POLL_S)
        self.assertEqual(found.names, ("one.example",))
        live.unlink()
        live.symlink_to(self.directory.resolve() / "1")
        self.clock.advance(POLL_S)
        self.assertEqual(found.names, ("two.example",))

    def test_a_bad_change_keeps_the_certificate_in_service(self) -> None:
        """It is said once, and when the rest of the change has come it is taken."""
        found = self.started(**self.own)
        new = self.issued("two.example")
        self.cert.write_bytes(new.certificate_pem())
        self.clock.pump([POLL_S] * 3)
        self.assertEqual((found.names, found._reloads["refused"].value), (("one.example",), 1))
        self.key.write_bytes(new.key_pem())
        self.clock.advance(POLL_S)
        self.assertEqual((found.names, found._reloads["taken"].value), (("two.example",), 1))

    def test_what_could_not_be_read_is_read_at_the_next_look(self) -> None:
        """A renewal at the moment of too many open files is not lost until the next one; told of once."""
        found = self.started(**self.own)
        self.put(self.issued("two.example"))

        def refuse(path: Path, *more: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        short = self.patch(Path, "open", refuse)
        self.clock.pump([POLL_S] * 3)
        short.restore()
        self.assertEqual((found.names, found._reloads["refused"].value), (("one.example",), 1))
        self.clock.advance(POLL_S)
        self.assertEqual((found.names, found._reloads["taken"].value), (("two.example",), 1))

    def test_changed_settings_are_taken_as_a_whole_or_not_at_all(self) -> None:
        """A reload of the ini."""
        found = self.make(**self.own)
        old, new = TlsSettings(**self.own), TlsSettings(cert=("none",), key=(str(self.key),))
        self.assertRaises(ConfigError, found.reconfigure, old, new)
        self.assertEqual((found.names, found.reload()), (("one.example",), True))
        self.assertIn("cert", found.reconfigure(old, TlsSettings()))
        self.assertIn("localhost", found.names)
        self.assertIsNotNone(found.ca_pem)
