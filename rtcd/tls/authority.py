"""The local certificate authority: for a daemon to which nobody has given a certificate.

Makes a CA and server certificates signed by it, and reads them back. No files, no TLS: `certificates` keeps and uses
what is made here. All times are Unix seconds.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rtcd.front.origin import unmapped
from rtcd.tls.names import is_address

DAY_S = 86400
CA_DAYS = 3650
SERVER_DAYS = 397
"""Browsers refuse server certificates that are valid for longer."""
RENEW_DAYS = 30
"""A certificate with fewer days left is made again."""
BACKDATE_S = DAY_S
"""Certificates are valid from a day ago, for phones whose clock is wrong."""
MAX_NAMES = 100
"""Names in one certificate; more addresses than these are left out."""
MAX_PERMITTED = 2 * MAX_NAMES
"""Names that a CA may sign for; more of those that another one was made for are left out."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes

    def certificate_pem(self) -> bytes:
        """The certificate as PEM text."""
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self) -> bytes:
        """The private key as PEM text, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def days_left(self, now: float) -> float:
        """Days until the certificate expires."""
        return (self.certificate.not_valid_after_utc.timestamp() - now) / DAY_S


def read_pair(certificate: bytes, key: bytes) -> Pair:
    """Read back what `Pair` wrote. Raises `ValueError`, also when the two do not belong together."""
    loaded = load_pem_private_key(key, None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not of the kind that is made here")
    pair = Pair(x509.load_pem_x509_certificate(certificate), loaded)
    if pair.certificate.public_key() != loaded.public_key():
        raise ValueError("certificate and key do not belong together")
    return pair


def make_authority(host_name: str, names: Iterable[str], now: float) -> Pair:
    """A new CA. It may sign server certificates for these names and nothing else (RFC 5280 §4.2.1.10): whoever steals its
    key can show nobody a certificate for another site. A permitted host name permits those below it too."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "rtcd"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"rtcd local CA of {host_name}"[:64]),
        ]
    )
    public = key.public_key()
    allowed = list(dict.fromkeys(["localhost", "127.0.0.1", "::1", *map(_without_star, names)]))[:MAX_PERMITTED]
    certificate = (
        _builder(name, name, public, now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.NameConstraints([_subtree(one) for one in allowed], None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def permitted(authority: Pair) -> tuple[str, ...]:
    """The names that a CA may sign for; none if it is not limited, as those of early versions were not."""
    try:
        found = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(one.value).partition("/")[0] for one in found.permitted_subtrees or ())


def permits(authority: Pair, names: Iterable[str]) -> bool:
    """Whether a CA may sign for all of these names. One that is not limited may not: it is to be replaced."""
    allowed = permitted(authority)
    return all(
        any(plain == one or (not is_address(one) and plain.endswith(f".{one}")) for one in allowed)
        for plain in map(_without_star, names))


def issue(authority: Pair, names: Iterable[str], now: float) -> Pair:
    """A server certificate for host names and addresses, signed by the CA, which it never outlives."""
    key = ec.generate_private_key(ec.SECP256R1())
    wanted = list(names)
    days = min(SERVER_DAYS, authority.days_left(now) + BACKDATE_S / DAY_S)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (wanted[0] if wanted else "rtcd")[:64])])
    own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _builder(subject, authority.certificate.subject, key.public_key(), now, days)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in wanted]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(key_cert_sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names and addresses that a certificate is for, sorted."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(one) for one in names.get_values_for_type(x509.IPAddress)]
    return tuple(sorted([*names.get_values_for_type(x509.DNSName), *addresses]))


def fingerprint(pem: bytes) -> str:
    """The SHA-256 of a certificate, as openssl writes it, to be compared by eye."""
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex(":").upper()


def wanted_names(host_name: str, addresses: Iterable[str], configured: Iterable[str]) -> tuple[str, ...]:
    """What a local certificate should be for, sorted: this machine by every name it is known to have.

    A host name without a dot stands for that name below ``.local``: as it is it might be a top-level domain, and who may
    sign for ``dev`` may sign for everybody's sites below ``.dev``. It is for the operator to name it all the same.
    """
    found = {"localhost", "127.0.0.1", "::1"}
    for name in [*configured, host_name if "." in host_name.strip(".") else f"{host_name}.local", *addresses]:
        plain = unmapped(name.strip().strip("[]")).lower().rstrip(".")
        if plain and _is_name(plain) and len(found) < MAX_NAMES:
            found.add(plain)
    return tuple(sorted(found))


def fits(pair: Pair, authority: Pair, names: tuple[str, ...], now: float) -> bool:
    """Whether a server certificate may stay: signed by this CA, for these names, and with time left."""
    certificate = pair.certificate
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except Exception:  # cryptography raises several kinds, and each means no
        return False
    started = certificate.not_valid_before_utc.timestamp() <= now
    return started and names_of(certificate) == names and pair.days_left(now) > RENEW_DAYS


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: float, days: float
) -> x509.CertificateBuilder:
    start = datetime.datetime.fromtimestamp(now - BACKDATE_S, datetime.UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(seconds=int(days * DAY_S)))
    )


def _usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not key_cert_sign, key_cert_sign=key_cert_sign, crl_sign=key_cert_sign,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )


def _without_star(name: str) -> str:
    return name.removeprefix("*.")


def _subtree(name: str) -> x509.GeneralName:
    if not is_address(name):
        return x509.DNSName(name)
    return x509.IPAddress(ipaddress.ip_network(name))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_name(text: str) -> bool:
    plain = text.isascii() and len(text) <= 253 and all(c.isalnum() or c in ".-_*" for c in text)
    return plain or is_address(text)
