"""The certificate that proves a name to an authority by TLS-ALPN-01 (RFC 8737 §3): signed by itself, for nobody else."""

from __future__ import annotations

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rtcd.tls.authority import DAY_S
from rtcd.tls.chain import Chain
from rtcd.tls.names import is_address

ALPN = b"acme-tls/1"
_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_OCTET_STRING = 4


def prove(name: str, digest: bytes, now: float) -> Chain:
    """For a host name or an address; ``digest`` is the SHA-256 of the key authorization, ``now`` in Unix seconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme")])
    alternative = x509.IPAddress(ipaddress.ip_address(name)) if is_address(name) else x509.DNSName(name)
    start = datetime.datetime.fromtimestamp(now - DAY_S, datetime.UTC)
    identifier = bytes((_OCTET_STRING, len(digest))) + digest
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start).not_valid_after(start + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.UnrecognizedExtension(_ACME_IDENTIFIER, identifier), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Chain((certificate,), key)
