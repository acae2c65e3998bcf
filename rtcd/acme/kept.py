"""`Kept`: the certificate and the account of an authority, as files in the state directory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from rtcd.acme.request import Account, Issued
from rtcd.acme.schedule import Lifetime
from rtcd.config import ConfigError
from rtcd.state import StateDirectory
from rtcd.tls.authority import names_of

CERTIFICATE, KEY, ORIGIN = "acme.crt", "acme.key", "acme.json"
"""The certificate with its intermediates, its key, and which directory it is from."""
ACCOUNT_KEY, ACCOUNT = "acme-account.key", "acme-account.json"


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate that is there."""

    names: tuple[str, ...]
    lifetime: Lifetime


def new_key() -> bytes:
    """A new P-256 key in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def held_of(chain_pem: bytes, key_pem: bytes) -> Held:
    """What a chain and its key are good for. Raises `ValueError` if they do not belong together, or are none."""
    leaf = x509.load_pem_x509_certificates(chain_pem)[0]
    try:
        key = load_pem_private_key(key_pem, None)
    except TypeError as error:  # it is encrypted
        raise ValueError(str(error)) from None
    if key.public_key() != leaf.public_key():
        raise ValueError("certificate and key do not belong together")
    lifetime = Lifetime(leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp())
    return Held(names_of(leaf), lifetime)


class Kept:
    """Reads and writes these files. All of it raises `ConfigError` where the system refuses."""

    def __init__(self, state: StateDirectory) -> None:
        self._state = state

    def certificate(self, directory: str) -> Held | None:
        """The certificate, if there is one that can be used and is from this directory."""
        chain, key, origin = (self._state.read(name) for name in (CERTIFICATE, KEY, ORIGIN))
        if chain is None or key is None or origin is None:
            return None
        try:
            return held_of(chain, key) if json.loads(origin)["directory"] == directory else None
        except (ValueError, KeyError, TypeError):
            return None

    def put_certificate(self, issued: Issued) -> Callable[[], None]:
        """Write a new one in place of the old; what is returned puts the old one back."""
        origin = json.dumps({"directory": issued.directory}).encode()
        new = {KEY: issued.key_pem, CERTIFICATE: issued.chain_pem, ORIGIN: origin}
        old = {name: self._state.read(name) for name in new}

        def back() -> None:
            for name, data in old.items():
                if data is None:
                    self._state.path(name).unlink(missing_ok=True)
                else:
                    self._state.write(name, data)

        try:
            for name, data in new.items():
                self._state.write(name, data)
        except ConfigError:
            back()
            raise
        return back

    def account_key(self) -> bytes:
        """The account's key. One that is new is kept before it is used: an account whose registration was cut short is
        found again by it (RFC 8555 §7.3.1)."""
        found = self._state.read(ACCOUNT_KEY)
        if found is None:
            found = new_key()
            self._state.write(ACCOUNT_KEY, found)
        return found

    def account(self) -> str | None:
        """What `Account.json` was."""
        found = self._state.read(ACCOUNT)
        return found.decode("utf-8", "replace") if found is not None else None

    def put_account(self, account: Account) -> None:
        """Keep an account for the next order."""
        if self.account() != account.json:
            self._state.write(ACCOUNT_KEY, account.key_pem)
            self._state.write(ACCOUNT, account.json.encode())
