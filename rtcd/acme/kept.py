"""`Kept`: the certificate and the account of an authority, as files in the state directory.

Each file is replaced as a whole, and at any moment between two of them what is there can be used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from rtcd.acme.request import Account, Issued
from rtcd.acme.schedule import Lifetime, Pause
from rtcd.config import ConfigError
from rtcd.state import StateDirectory
from rtcd.tls.authority import names_of
from rtcd.tls.certificates import ISSUED

ORIGIN = "acme.json"
"""Which directory the certificate is from: a table, by the digest of its file."""
ACCOUNT_KEY, ACCOUNT = "acme-account.key", "acme-account.json"
PAUSE = "acme-pause.json"
"""What is left of failures, so that a restart does not undercut it."""
ROOM, ROOM_BYTES = "acme-room", 65536
"""As much as an order may leave behind is written and removed before it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate that is there."""

    names: tuple[str, ...]
    lifetime: Lifetime
    """Until the first certificate of the chain ends."""
    valid_from: float
    """When the last one of the chain begins; some clock may not have come so far."""

    def is_valid(self, now: float) -> bool:
        """Whether all of the chain is."""
        return self.valid_from <= now < self.lifetime.not_after


def new_key() -> bytes:
    """A new P-256 key in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def chain_of(text: bytes) -> bytes:
    """The certificates in what an authority has sent, and nothing else of it. Raises `ValueError` if there is none."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in x509.load_pem_x509_certificates(text))


def held_of(pem: bytes) -> Held:
    """What a chain and its key are good for. Raises `ValueError` if they do not belong together, or are none."""
    chain = x509.load_pem_x509_certificates(pem)
    leaf = chain[0]
    try:
        key = load_pem_private_key(pem, None)
    except (TypeError, UnsupportedAlgorithm) as error:  # it is encrypted, or of a kind that nobody here makes
        raise ValueError(str(error)) from None
    if key.public_key() != leaf.public_key():
        raise ValueError("certificate and key do not belong together")
    end = min(one.not_valid_after_utc for one in chain).timestamp()
    start = max(one.not_valid_before_utc for one in chain).timestamp()
    return Held(names_of(leaf), Lifetime(leaf.not_valid_before_utc.timestamp(), end), start)


class Kept:
    """Reads and writes these files. All of it raises `ConfigError` where the system refuses."""

    def __init__(self, state: StateDirectory) -> None:
        self._state = state

    def certificate(self, directory: str) -> Held | None:
        """The certificate, if there is one that can be read and is from this directory; its dates are for the caller."""
        pem = self._state.read(ISSUED)
        if pem is None or self._origins().get(_digest(pem)) != directory:
            return None
        try:
            return held_of(pem)
        except ValueError:
            return None

    def put_certificate(self, issued: Issued) -> Callable[[], None]:
        """Put a new one in place of the old; what is returned puts the old one back."""
        old = self._state.read(ISSUED)
        known = self._origins()
        origins = {_digest(issued.pem): issued.directory}
        if old is not None and _digest(old) in known:
            origins[_digest(old)] = known[_digest(old)]
        self._state.write(ORIGIN, json.dumps(origins).encode())
        self._state.write(ISSUED, issued.pem)

        def back() -> None:
            if old is None:
                self._remove(ISSUED)
            else:
                self._state.write(ISSUED, old)

        return back

    def make_sure_of_room(self) -> None:
        """Find out whether a certificate could be kept, before one is asked for."""
        self._state.write(ROOM, bytes(ROOM_BYTES))
        self._remove(ROOM)

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

    def pause(self) -> Pause | None:
        """What `put_pause` was given last; None if that cannot be made out."""
        found = self._state.read(PAUSE)
        return Pause.from_json(found.decode("utf-8", "replace")) if found is not None else None

    def put_pause(self, pause: Pause | None) -> None:
        """Keep it for the next start; None: there is none any more."""
        if pause is not None:
            self._state.write(PAUSE, pause.to_json().encode())
        else:
            self._remove(PAUSE)

    def _remove(self, name: str) -> None:
        path = self._state.path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            text = f"{path} cannot be removed ({error.strerror}); remove it"
            raise ConfigError("daemon", "state-directory", text) from None

    def _origins(self) -> dict[str, str]:
        try:
            found = json.loads(self._state.read(ORIGIN) or b"{}")
        except (ValueError, RecursionError):
            return {}
        return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def _digest(pem: bytes) -> str:
    return hashlib.sha256(pem).hexdigest()
