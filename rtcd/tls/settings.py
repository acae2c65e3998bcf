"""The keys of ``[tls]``."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from rtcd.config import option

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The certificate that the daemon shows, and the TLS it speaks."""

    cert: str | None = option(
        None, "PEM file: the certificate, then its intermediates. Empty: a local authority in the state directory."
    )
    key: str | None = option(None, "PEM file of the certificate's private key.")
    key_password: str | None = option(None, "The private key's passphrase, if it has one.", secret=True)
    names: tuple[str, ...] = option((), "More host names and addresses for the local certificate, one a line.")
    minimum: str = option("1.2", "The oldest TLS version that is accepted.", choices=("1.2", "1.3"))
    ciphers: str = option(
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
        ":ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
        "TLS 1.2 cipher suites, in OpenSSL's words.",
    )

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            missing, given = ("key", "cert") if self.cert else ("cert", "key")
            raise ValueError(f"{missing}: {given} is set without it; name both files, or none of them")
        for one in self.names:
            if not _NAME.fullmatch(one) and not _is_address(one):
                raise ValueError(f"names: {one!r} is no host name or address; write it without scheme and port, and a name "
                                 "in other letters as xn--…")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
