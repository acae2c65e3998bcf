"""Who a request is from: long-term credentials, static users and time-limited names side by side.

The checks run in the order of RFC 8489 §9.2.4, with the nonce before the password: it costs one HMAC and no look-up.
What an authenticated user may do, quotas too, is rtcd.turn.server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from rtcd.stun.attributes import MAX_USERNAME_BYTES, NONCE, REALM, USERNAME, Malformed, PasswordAlgorithm
from rtcd.stun.integrity import long_term_key, opaque_string, verify, verify_sha256
from rtcd.stun.message import Message
from rtcd.turn.allocation import Allocation, FiveTuple
from rtcd.turn.nonce import Nonces

MAX_USERS = 10000
"""Static users; more of them belong into time-limited names."""

_MD5_KEY = re.compile(r"0x[0-9a-fA-F]{32}")
_SHA256_KEY = re.compile(r"0x[0-9a-fA-F]{64}")
_NO_KEY = bytes(16)


class Verdict(Protocol):
    """What is known of a time-limited name."""

    @property
    def passwords(self) -> tuple[str, ...]:
        """The passwords that would be right; none if the name is no such name or has expired."""

    @property
    def user(self) -> str:
        """The name without its time."""


class TimeLimitedNames(Protocol):
    """Checks time-limited names without looking anything up."""

    def verify(self, username: str, now: float) -> Verdict:
        """Never raises."""


class Grant(NamedTuple):
    """The request is from this user."""

    username: str
    """A static user's in canonical spelling (RFC 8265 §4.2), a time-limited one as it came."""
    user: str
    """Whom quotas charge, canonical."""
    key: bytes
    """For the integrity of the answer."""
    sha256: bool
    """Which kind of integrity the request had, so the answer has."""


class Refusal(NamedTuple):
    """The request is to be answered with this error."""

    code: int
    """400, 401 or 438; the last two go with a fresh challenge."""
    username: str = ""
    """Set when somebody tried a name and failed."""


class Keys(NamedTuple):
    """What a user's requests may be signed with; empty where there is no key of that kind."""

    md5: bytes = b""
    sha256: bytes = b""

    def of(self, algorithm: int) -> tuple[bytes, ...]:
        """The key of a password algorithm, if there is one."""
        key = self.sha256 if algorithm == PasswordAlgorithm.SHA256 else self.md5
        return (key,) if key else ()


def keys_of_password(name: str, realm: str, password: str) -> Keys:
    """Both keys."""
    return Keys(long_term_key(name, realm, password), long_term_key(name, realm, password, PasswordAlgorithm.SHA256))


def parse_keys(text: str) -> Keys:
    """The keys in ``0x<32 hex digits>`` (MD5), ``0x<64 hex digits>`` (SHA-256), or both with a comma between.

    Raises ValueError, which never tells the text.
    """
    md5 = sha256 = b""
    for one in text.split(","):
        if _MD5_KEY.fullmatch(one) and not md5:
            md5 = bytes.fromhex(one[2:])
        elif _SHA256_KEY.fullmatch(one) and not sha256:
            sha256 = bytes.fromhex(one[2:])
        else:
            raise ValueError("a key that is not 0x and 32 or 64 hex digits")
    return Keys(md5, sha256)


def parse_users(lines: Iterable[str], realm: str, *, sha256: bool = False) -> dict[str, Keys]:
    """The keys of lines ``name:password`` or ``name:KEYS`` (`parse_keys`), by name in canonical spelling. A line may be
    empty or begin with ``#``.

    ``sha256``: clients are told that they may use SHA-256, before anybody knows who they are, so every user needs a key
    for it; where they are not told, every user needs one for MD5. Raises ValueError that tells the line's number and
    never its text.
    """
    users: dict[str, Keys] = {}
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        name, colon, password = line.partition(":")
        if not name or not colon or not password:
            raise ValueError(f"line {number} is not name:password")
        if len(name.encode()) > MAX_USERNAME_BYTES:
            raise ValueError(f"line {number} has a name of more than {MAX_USERNAME_BYTES} bytes")
        name = opaque_string(name)
        if name in users:
            raise ValueError(f"line {number} repeats a name; keep one of the two")
        if password.startswith("0x"):
            try:
                keys = parse_keys(password)
            except ValueError as error:
                raise ValueError(f"line {number} has {error}") from None
        else:
            keys = keys_of_password(name, realm, password)
        if sha256 and not keys.sha256:
            raise ValueError(f"line {number} has an MD5 key only; add the SHA-256 key behind a comma, write the password, or"
                             " set sha256 = no")
        if not sha256 and not keys.md5:
            raise ValueError(f"line {number} has a SHA-256 key only; add the MD5 key with a comma, or set sha256 = yes")
        users[name] = keys
        if len(users) > MAX_USERS:
            raise ValueError(f"more than {MAX_USERS} users; use time-limited names instead")
    return users


class Authenticator:
    """Checks the credentials of requests. `users` may be replaced at any moment."""

    def __init__(self, realm: str, users: Mapping[str, Keys], names: TimeLimitedNames, nonces: Nonces) -> None:
        self.realm = realm
        self.users = users
        self.nonces = nonces
        self._names = names

    def check(self, message: Message, five_tuple: FiveTuple, now: float, known: Allocation | None) -> Grant | Refusal:
        """Who sent this request. ``known`` is the allocation on its five-tuple: its own key goes on being right,
        even when the credential has expired since. Raises Malformed for a broken name or realm of a signed request; a broken
        nonce is merely not ours, and the answer brings a good one."""
        if not message.integrity_at and not message.integrity_sha256_at:
            return Refusal(401)
        username, realm = message.get(USERNAME), message.get(REALM)
        try:
            nonce = message.get(NONCE)
        except Malformed:
            nonce = ""
        if username is None or realm is None or nonce is None:
            return Refusal(400)
        if not self.nonces.fresh(nonce, five_tuple, now):
            return Refusal(438)
        canonical = opaque_string(username)
        if known is not None and known.username in (username, canonical) and realm == self.realm and _signed(
                message, known.key):
            return Grant(known.username, known.user, known.key, bool(message.integrity_sha256_at))
        if canonical in self.users:
            username = canonical
        user, keys = self._look_up(username, now)
        for key in keys:
            if _signed(message, key) and realm == self.realm:
                return Grant(username, user, key, bool(message.integrity_sha256_at))
        if not keys:
            _signed(message, _NO_KEY)
        return Refusal(401, username)

    def _look_up(self, username: str, now: float) -> tuple[str, tuple[bytes, ...]]:
        """Whom to charge and which keys would be right. A static user, in canonical spelling, comes before a
        time-limited name, whose HMAC is over the text as it came; but one user is charged however it is spelled."""
        static = self.users.get(username)
        if static is not None:
            return username, static.of(PasswordAlgorithm.MD5)
        verdict = self._names.verify(username, now)
        keys = tuple(long_term_key(username, self.realm, password) for password in verdict.passwords)
        return opaque_string(verdict.user or username), keys


def _signed(message: Message, key: bytes) -> bool:
    if message.integrity_sha256_at:
        return verify_sha256(message.raw, message.integrity_sha256_at, key)
    return verify(message.raw, message.integrity_at, key)
