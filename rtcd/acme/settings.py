"""The ``[acme]`` section: where certificates come from when ``[tls] mode`` is ``acme`` or ``auto``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from rtcd.config import option

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
CHALLENGES = ("tls-alpn-01", "http-01")
"""What we can prove names by, the better one first: it needs no other port than that of the calls."""


@dataclass(frozen=True, slots=True)
class AcmeSettings:
    """The authority that certificates come from when [tls] mode is acme or auto; to use it is to agree to its terms."""

    directory: str = option(
        LETS_ENCRYPT, "URL of the ACME directory; Let's Encrypt's for trials is "
        "https://acme-staging-v02.api.letsencrypt.org/directory.")
    trust: str | None = option(
        None, "PEM file of the authority that the directory's own server is trusted by; empty: the public ones.", path=True)
    email: str | None = option(None, "Address for the authority to write to; it may go without.")
    eab_kid: str | None = option(
        None, "Key identifier of an external account binding, if the authority asks for one; told when the account is made.")
    eab_key: str | None = option(None, "Its HMAC key, in base64url as the authority gives it.", secret=True)
    challenge: str = option(
        "auto", "How names are proved. auto: on the HTTPS port (tls-alpn-01), and if that fails at port 80 (http-01).",
        choices=("auto", *CHALLENGES))
    profile: str | None = option(
        None, "Certificate profile to ask for; empty: shortlived for addresses where it is offered, else the default.")
    webroot: str | None = option(
        None, "Directory below which another ACME client (certbot --webroot -w) puts what it has to show; served at "
        "/.well-known/acme-challenge/.", path=True)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https://[^\s/]+/\S*", self.directory):
            raise ValueError(f"directory: {self.directory!r} is no https URL; write it like {LETS_ENCRYPT}")
        if bool(self.eab_kid) != bool(self.eab_key):
            missing, given = ("eab-key", "eab-kid") if self.eab_kid else ("eab-kid", "eab-key")
            raise ValueError(f"{missing}: {given} is set without it; set both as the authority gave them, or neither")
        if self.eab_key is not None and not re.fullmatch(r"[A-Za-z0-9_-]{16,}={0,2}", self.eab_key.strip()):
            raise ValueError("eab-key: is no base64url text; copy it as the authority gave it")
        if self.email is not None and not re.fullmatch(r"[^\s@]+@[^\s@]+", self.email):
            raise ValueError(f"email: {self.email!r} is no address; write it like admin@example.org")

    def digest(self, kinds: Iterable[str]) -> str:
        """Of what an order may fail by, as far as the operator sets it: these, and the challenges that can be answered."""
        return hashlib.sha256(json.dumps([asdict(replace(self, webroot=None)), sorted(kinds)]).encode()).hexdigest()
