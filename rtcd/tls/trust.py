"""Whether the world trusts a certificate: its chain is verified against the roots that Mozilla trusts."""

from __future__ import annotations

import contextlib
import datetime
import functools
import ipaddress
import re
import warnings
from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from rtcd.tls.authority import names_of
from rtcd.tls.chain import Chain
from rtcd.tls.names import is_address

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@functools.cache
def public_roots() -> tuple[x509.Certificate, ...]:
    """The roots that Mozilla trusts."""
    import certifi  # here, since a daemon with a local authority never needs it

    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are older than the rules; that is not the operator's business
        for pem in _PEM.findall(certifi.contents().encode()):
            with contextlib.suppress(ValueError):
                found.append(x509.load_pem_x509_certificate(pem))
    return tuple(found)


def publicly_trusted(chain: Chain, now: float, roots: Sequence[x509.Certificate] | None = None) -> bool:
    """Whether a browser anywhere would accept this chain as it is for the first of its names (Unix seconds)."""
    leaf = chain.certificates[0]
    names = [one for one in names_of(leaf) if not one.startswith("*")] or [
        one.replace("*", "any", 1) for one in names_of(leaf)]
    if not names or leaf.issuer == leaf.subject:
        return False
    subject = x509.IPAddress(ipaddress.ip_address(names[0])) if is_address(names[0]) else x509.DNSName(names[0])
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    try:
        builder = PolicyBuilder().store(Store(list(public_roots() if roots is None else roots))).time(moment)
        builder.build_server_verifier(subject).verify(leaf, list(chain.certificates[1:]))
    except (VerificationError, ValueError):
        return False
    return True
