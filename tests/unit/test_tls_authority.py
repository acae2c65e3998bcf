"""Tests of the local certificate authority."""

from __future__ import annotations

import ipaddress

from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.trial.unittest import SynchronousTestCase

from rtcd.tls.authority import (
    DAY_S,
    MAX_NAMES,
    MAX_PERMITTED,
    RENEW_DAYS,
    SERVER_DAYS,
    fits,
    issue,
    make_authority,
    names_of,
    permits,
    permitted,
    read_pair,
    wanted_names,
)
from rtcd.tls.names import is_address

NOW = 1_790_000_000.5
NAMES = wanted_names("box", ["192.0.2.5", "2001:db8::5"], ["meet.example"])


class AuthorityTests(SynchronousTestCase):
    """What a phone must accept once it has the CA."""

    def setUp(self) -> None:
        """A CA and a certificate of it."""
        self.authority = make_authority("box", NAMES, NOW)
        self.server = issue(self.authority, NAMES, NOW)

    def test_a_client_that_trusts_the_authority_accepts_the_server(self) -> None:
        """By each of its names, as a strict verifier sees it."""
        store = verification.Store([self.authority.certificate])
        moment = self.server.certificate.not_valid_before_utc
        builder = verification.PolicyBuilder().store(store).time(moment)
        for name in ("localhost", "meet.example"):
            builder.build_server_verifier(x509.DNSName(name)).verify(self.server.certificate, [])

    def test_a_server_certificate_is_what_browsers_want(self) -> None:
        """Every name, for TLS servers only, and not longer than they allow."""
        certificate = self.server.certificate
        self.assertEqual(names_of(certificate), NAMES)
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        self.assertEqual(list(usage), [ExtendedKeyUsageOID.SERVER_AUTH])
        self.assertFalse(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
        self.assertEqual((certificate.not_valid_after_utc - certificate.not_valid_before_utc).days, SERVER_DAYS)
        self.assertLess(certificate.not_valid_before_utc.timestamp(), NOW)

    def test_the_authority_can_sign_servers_only(self) -> None:
        """No authority below it; ten years."""
        extensions = self.authority.certificate.extensions
        basic = extensions.get_extension_for_class(x509.BasicConstraints)
        self.assertEqual((basic.critical, basic.value.ca, basic.value.path_length), (True, True, 0))
        self.assertTrue(extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign)
        self.assertAlmostEqual(self.authority.days_left(NOW), 3649, places=3)

    def test_what_is_written_is_read_back(self) -> None:
        """And a key that belongs to another certificate is noticed."""
        pair = read_pair(self.server.certificate_pem(), self.server.key_pem())
        self.assertEqual(pair.certificate, self.server.certificate)
        self.assertRaises(ValueError, read_pair, self.server.certificate_pem(), self.authority.key_pem())
        self.assertRaises(ValueError, read_pair, b"", b"")

    def test_a_certificate_stays_while_it_fits(self) -> None:
        """Other names, another authority, little time left, or a clock put back make a new one."""
        later = NOW + (SERVER_DAYS - RENEW_DAYS - 2) * DAY_S
        self.assertTrue(fits(self.server, self.authority, NAMES, NOW))
        self.assertTrue(fits(self.server, self.authority, NAMES, later))
        self.assertFalse(fits(self.server, self.authority, NAMES, later + 2 * DAY_S))
        self.assertFalse(fits(self.server, self.authority, NAMES, NOW - 2 * DAY_S))
        self.assertFalse(fits(self.server, self.authority, (*NAMES, "x"), NOW))
        self.assertFalse(fits(self.server, make_authority("box", NAMES, NOW), NAMES, NOW))

    def test_a_certificate_does_not_outlive_its_authority(self) -> None:
        """It would be refused then."""
        late = NOW + 3600 * DAY_S
        ends = issue(self.authority, NAMES, late).certificate.not_valid_after_utc
        self.assertLessEqual(ends, self.authority.certificate.not_valid_after_utc)

    def test_the_wanted_names_are_tidy_and_bounded(self) -> None:
        """Brackets, scopes and case go; what is no name is left out."""
        found = wanted_names("Box", ["fe80::1%eth0", "::ffff:192.0.2.1"], ["[2001:DB8::1]", "a b", "", "x.example."])
        wanted = {"::1", "127.0.0.1", "192.0.2.1", "2001:db8::1", "box.local", "fe80::1", "localhost", "x.example"}
        self.assertEqual(set(found), wanted)
        self.assertIn("box.lan", wanted_names("box.lan", [], []))
        self.assertIn("dev", wanted_names("box", [], ["dev"]))
        self.assertNotIn("dev", wanted_names("dev", [], []))
        self.assertEqual(len(wanted_names("box", [f"10.0.{n}.1" for n in range(200)], [])), MAX_NAMES)


class ConstraintTests(SynchronousTestCase):
    """RFC 5280 §4.2.1.10: a stolen key is of no use against anybody else's site."""

    def setUp(self) -> None:
        """A CA for a few names."""
        self.authority = make_authority("box", ["box", "*.meet.example", "192.0.2.5", "2001:db8::5"], NOW)

    def accepted(self, name: str) -> bool:
        """Whether a client that trusts the CA takes a certificate for this name, signed with its key."""
        server = issue(self.authority, [name], NOW)
        store = verification.Store([self.authority.certificate])
        builder = verification.PolicyBuilder().store(store).time(server.certificate.not_valid_before_utc)
        subject = x509.IPAddress(ipaddress.ip_address(name)) if is_address(name) else x509.DNSName(name)
        try:
            builder.build_server_verifier(subject).verify(server.certificate, [])
        except verification.VerificationError:
            return False
        return True

    def test_it_can_sign_for_its_own_names_alone(self) -> None:
        """Names, and those below them; addresses of both families."""
        for name in ("box", "meet.example", "a.meet.example", "192.0.2.5", "2001:db8::5", "localhost", "127.0.0.1", "::1"):
            self.assertTrue(self.accepted(name), name)
        for name in ("bank.example", "notmeet.example", "192.0.2.6", "8.8.8.8", "2001:db8::6", "10.0.0.1"):
            self.assertFalse(self.accepted(name), name)

    def test_it_knows_what_it_may_sign_for(self) -> None:
        """One without limits, as early versions made them, may sign for nothing, and so is replaced."""
        self.assertEqual(set(permitted(self.authority)), {
            "box", "meet.example", "192.0.2.5", "2001:db8::5", "localhost", "127.0.0.1", "::1"})
        self.assertTrue(permits(self.authority, ["box", "x.box", "*.meet.example", "::1"]))
        for name in ("192.0.2.6", "xbox", "x.192.0.2.5", "other"):
            self.assertFalse(permits(self.authority, [name]), name)
        self.assertEqual(permitted(issue(self.authority, ["box"], NOW)), ())

    def test_the_limits_are_critical_and_for_servers_only(self) -> None:
        """A client that does not understand them must refuse it."""
        extensions = self.authority.certificate.extensions
        self.assertTrue(extensions.get_extension_for_class(x509.NameConstraints).critical)
        self.assertEqual(list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value),
                         [ExtendedKeyUsageOID.SERVER_AUTH])

    def test_it_may_sign_for_so_many_names_and_no_more(self) -> None:
        """New names go before those of an older one."""
        many = [f"n{number}.example" for number in range(MAX_PERMITTED * 2)]
        found = permitted(make_authority("box", many, NOW))
        self.assertEqual((len(found), found[3]), (MAX_PERMITTED, "n0.example"))
