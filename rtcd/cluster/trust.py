"""``[rooms] store-ca``: the authority that the certificate of Redis has to be from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import ssl

from rtcd.fault import ConfigError

_END = b"-----END CERTIFICATE-----"


def authority(path: str | None) -> bytes:
    """The file's PEM, in which there is a certificate; empty without a file. Raises `ConfigError`."""
    if not path:
        return b""
    try:
        pem = Path(path).read_bytes()
        roots(pem)
    except OSError as error:
        raise ConfigError("rooms", "store-ca", f"{path} cannot be read ({error.strerror}); check the path and its rights"
                          ) from None
    except ValueError as error:
        raise ConfigError("rooms", "store-ca", f"{path} {error}; name the authority's certificate") from None
    return pem


def roots(pem: bytes) -> Any:
    """What Twisted has to trust. Raises ValueError if there is no certificate."""
    try:
        found = [ssl.Certificate.loadPEM(one + _END) for one in pem.split(_END)[:-1]]
    except Exception:  # an error of OpenSSL's, which says nothing to people
        raise ValueError("holds a certificate that cannot be read") from None
    if not found:
        raise ValueError("holds no certificate in PEM")
    return ssl.trustRootFromCertificates(found)
