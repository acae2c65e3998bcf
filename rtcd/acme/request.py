"""What is asked of an authority, and what comes of it. Values only; rtcd.acme.order does the asking."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that one order needs."""

    directory: str
    """URL of the authority's directory."""
    names: tuple[str, ...]
    """Host names and addresses that the certificate is to be for."""
    challenge: str
    """How they are to be proved: ``http-01`` or ``tls-alpn-01``."""
    trust: str | None = None
    """PEM file that the directory's server is trusted by; None: the public authorities."""
    account_key_pem: bytes | None = field(default=None, repr=False)
    """The account's key; None: a new one is made."""
    account_json: str | None = None
    """The account, as `Account.json` was; None: it is registered, or found again by its key."""
    email: str | None = None
    eab_kid: str | None = None
    eab_key: str | None = field(default=None, repr=False)
    """HMAC key of the external account binding, in base64url."""
    profile: str | None = None
    """None: ``shortlived`` for addresses where that is offered, else the authority's default."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What one name is proved by."""

    kind: str
    """``http-01`` or ``tls-alpn-01``."""
    name: str
    """The host name or address."""
    token: str
    key_authorization: str

    @property
    def digest(self) -> bytes:
        """What TLS-ALPN-01 shows (RFC 8737 §3)."""
        return hashlib.sha256(self.key_authorization.encode("ascii")).digest()


@dataclass(frozen=True, slots=True)
class Account:
    """An account at an authority, to be kept for the next order."""

    key_pem: bytes = field(repr=False)
    json: str
    """Which directory it is at, its URL there, and which key it belongs to. No secret."""
    terms_url: str | None = None
    """The terms of service that were agreed to, if the authority names any."""
    is_new: bool = False
    """Whether it was made just now."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate."""

    chain_pem: bytes
    """The certificate and its intermediates."""
    key_pem: bytes = field(repr=False)
    account: Account
    directory: str
    """Where it is from."""

    @property
    def pem(self) -> bytes:
        """All of it, as it is kept: the chain, then the key."""
        return self.chain_pem.rstrip(b"\n") + b"\n" + self.key_pem


class AcmeError(Exception):
    """Why there is no certificate, in one line for the operator."""

    def __init__(self, text: str, retry_after: float | None = None, *, in_validation: bool = False) -> None:
        """``retry_after``: seconds for which the authority wants to be left alone. ``in_validation``: it was a name that
        could not be proved in this way; another way may do."""
        super().__init__(one_line(text))
        self.retry_after = retry_after
        self.in_validation = in_validation
        self.account: Account | None = None
        """The account, if the order got so far."""
        self.failed_proofs = 0
        """How many times the authority has looked and found a name not proved; it allows a few in an hour."""


def one_line(text: str, limit: int = 600) -> str:
    """What somebody else has said, fit for a line in the log."""
    plain = "".join(one if one.isprintable() else " " for one in text)
    short = " ".join(plain.split())
    return short if len(short) <= limit else short[: limit - 1] + "…"
