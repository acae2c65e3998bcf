"""The keys of ``[tls]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rtcd.config import option
from rtcd.tls.names import is_address

MAX_OWN_NAMES = 80
"""Names that an authority certifies at once are a hundred at most; the local certificate is for the machine's as well."""

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The certificate that the daemon shows, and the TLS it speaks."""

    mode: str = option(
        "auto", "Where the certificate comes from. files: cert and key, or live. acme: the authority of [acme]. local: an "
        "authority of our own in the state directory, which devices can be told to trust: see /install. auto: files if they "
        "are named, else acme if the authority can reach this machine at port 443 or 80, else local.",
        choices=("auto", "files", "acme", "local"))
    cert: tuple[str, ...] = option(
        (), "PEM file: the certificate, then its intermediates. Several, one a line, are told apart by the name that a "
        "client asks for (SNI); that of [doorway] public-url, else the first, is for everybody else. Relative to this file.",
        path=True)
    key: tuple[str, ...] = option((), "PEM file of the certificate's private key; as many lines as cert.", path=True)
    key_password: str | None = option(None, "The private key's passphrase, if it has one.", secret=True)
    live: str | None = option(
        None, "Directory as certbot keeps it, /etc/letsencrypt/live: every folder with fullchain.pem and privkey.pem is a "
        "certificate, besides those of cert.", path=True)
    names: tuple[str, ...] = option(
        (), "More host names and addresses of this daemon, one a line: for the local certificate, to be asked of [acme], "
        "or to be found in the files.")
    minimum: str = option("1.2", "The oldest TLS version that is accepted.", choices=("1.2", "1.3"))
    ciphers: str = option(
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
        ":ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
        "TLS 1.2 cipher suites, in OpenSSL's words.",
    )

    hsts: int = option(
        31536000, "Seconds that browsers are told to come by HTTPS only (Strict-Transport-Security), where the certificate "
        "is trusted publicly and this is the site at port 443 of its name; 0: never.", minimum=0, maximum=10**9)

    @property
    def own_files(self) -> bool:
        """Whether the operator has named certificates."""
        return bool(self.cert or self.live)

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            missing, given = ("key", "cert") if self.cert else ("cert", "key")
            raise ValueError(f"{missing}: {given} is set without it; name both files, or none of them")
        if len(self.cert) != len(self.key):
            raise ValueError(f"key: has {len(self.key)} lines and cert {len(self.cert)}; each certificate needs its key, in "
                             "the same order")
        if self.mode == "files" and not self.own_files:
            raise ValueError("mode: is files, and none are named; set cert and key, or live")
        if self.mode in ("acme", "local") and self.own_files:
            raise ValueError(f"mode: is {self.mode}, which uses no {'cert' if self.cert else 'live'}; set files, or take "
                             "that out")
        if len(self.names) > MAX_OWN_NAMES:
            raise ValueError(f"names: has more than {MAX_OWN_NAMES} lines, and a certificate takes no more; leave some out")
        for one in self.names:
            if not is_address(one) and (not _NAME.fullmatch(one) or re.fullmatch(r"[0-9.]+", one)):
                raise ValueError(f"names: {one!r} is no host name or address; write it without scheme and port, and a name "
                                 "in other letters as xn--…")
