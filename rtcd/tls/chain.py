"""`Chain`: the operator's certificate with its intermediates and key, read from files and checked.

A chain that works on a desktop and fails on a phone is the usual fault: a desktop fetches what is missing.
Everything that would make a client refuse is told here, with the way to mend it.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from rtcd.config import ConfigError

MAX_FILE_BYTES = 262144
"""Certificate and key files are a few kilobytes."""
MAX_CERTIFICATES = 10
"""A chain is two or three certificates long."""


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A certificate, then its intermediates in the order in which each signed the one before."""

    certificates: tuple[x509.Certificate, ...]
    key: Any
    """The private key, of one of cryptography's classes."""
    warnings: tuple[str, ...] = ()
    """What works for some clients only."""
    origin: str = ""
    """Where it was read from, for messages."""

    def days_left(self, now: float) -> float:
        """Days until the first certificate of them expires."""
        return (self.expires_at() - now) / 86400

    def expires_at(self) -> float:
        """When the first certificate of them expires, in Unix seconds."""
        return min(one.not_valid_after_utc for one in self.certificates).timestamp()

    def is_valid(self, now: float) -> bool:
        """Whether all of them are good at this moment, by their dates."""
        return self.starts_at() <= now < self.expires_at()

    def starts_at(self) -> float:
        """From when on all of them are valid, in Unix seconds."""
        return max(one.not_valid_before_utc for one in self.certificates).timestamp()


class Unreadable(ConfigError):
    """A file cannot be read; perhaps it can the next time, with no change of it."""


def load_chain(certificate: Path, key: Path, password: str | None, now: float, *, several: bool = False) -> Chain:
    """Read and check a chain and its key. Raises `ConfigError` naming the key of ``[tls]`` that is to blame.

    ``several``: the password need not be for this key, if that is not encrypted.
    """
    certificate_pem, key_pem = _read(certificate, "cert"), _read(key, "key")
    if several and b"ENCRYPTED" not in key_pem:
        password = None
    return parse_chain(certificate, certificate_pem, key, key_pem, password, now)


def parse_chain(
    certificate: Path, certificate_pem: bytes, key: Path, key_pem: bytes, password: str | None, now: float
) -> Chain:
    """The same of what was read already; the paths are for messages."""
    certificates = _certificates(certificate, certificate_pem)
    private = _key(key, key_pem, password)
    leaf = certificates[0]
    if private.public_key() != leaf.public_key():
        others = any(private.public_key() == one.public_key() for one in certificates[1:])
        mend = "put the server's certificate first in the file" if others else "name the key that belongs to it"
        raise ConfigError("tls", "cert", f"{certificate} does not belong to the key {key}; {mend}")
    warnings = _check_dates(certificate, certificates, now)
    _check_order(certificate, certificates)
    last = certificates[-1]
    if last.issuer != last.subject and len(certificates) == 1:
        issuer = last.issuer.rfc4514_string()
        text = f"has no intermediate certificate; unless {issuer} is a root, phones refuse it: use fullchain.pem"
        warnings.append(text)
    if len(certificates) > 1 and last.issuer == last.subject:
        certificates = certificates[:-1]  # the root: every client has it, or does not trust it
    return Chain(tuple(certificates), private, tuple(warnings), str(certificate))


def _certificates(path: Path, pem: bytes) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ConfigError("tls", "cert", f"{path} holds no PEM certificate; name the file that begins with one") from None
    if len(found) > MAX_CERTIFICATES:
        raise ConfigError("tls", "cert", f"{path} holds {len(found)} certificates; leave one and its intermediates")
    return found


def _key(path: Path, data: bytes, password: str | None) -> Any:
    try:
        return load_pem_private_key(data, password.encode() if password else None)
    except TypeError:
        mend = "set key-password" if not password else "leave key-password empty"
        state = "is encrypted" if not password else "is not encrypted"
        raise ConfigError("tls", "key-password", f"{path} {state}; {mend}") from None
    except (ValueError, UnsupportedAlgorithm):
        if password:
            raise ConfigError("tls", "key-password", f"it does not open {path}, or that file is no key") from None
        raise ConfigError("tls", "key", f"{path} holds no private key in PEM that can be used") from None


def _read(path: Path, key: str) -> bytes:
    try:
        if path.is_fifo():  # opening it would wait for its writer
            raise ConfigError("tls", key, f"{path} is no plain file; name one")
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except ValueError as error:
        raise ConfigError("tls", key, f"{path} cannot be read ({error}); check the path") from None
    except OSError as error:
        raise Unreadable(
            "tls", key, f"{path} cannot be read ({error.strerror}); check the path, and that the daemon's user may read it"
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError("tls", key, f"{path} is longer than {MAX_FILE_BYTES} bytes; name the right file")
    return data


def _check_dates(path: Path, certificates: list[x509.Certificate], now: float) -> list[str]:
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    for one in certificates:
        which = one.subject.rfc4514_string()
        if one.not_valid_after_utc <= moment:
            text = f"{path}: {which} expired on {one.not_valid_after_utc:%Y-%m-%d}; renew it"
            raise ConfigError("tls", "cert", text)
        if one.not_valid_before_utc > moment:
            text = f"{path}: {which} is valid from {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC only; check the clock"
            raise ConfigError("tls", "cert", text)
    left = (certificates[0].not_valid_after_utc - moment).days
    return [f"expires in {left} days; renew it"] if left < 14 else []


def _check_order(path: Path, certificates: list[x509.Certificate]) -> None:
    for place, (one, issuer) in enumerate(pairwise(certificates), start=2):
        try:
            one.verify_directly_issued_by(issuer)
        except Exception:  # cryptography raises several kinds, and each means no
            which = f"certificate {place} in the file ({issuer.subject.rfc4514_string()})"
            text = f"{path}: {which} did not sign the one before it"
            raise ConfigError("tls", "cert", f"{text}; order them server first, then each one's issuer") from None
