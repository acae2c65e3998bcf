"""Who a request is from: long-term credentials, static users and time-limited names side by side.

The checks run in the order of RFC 8489 §9.2.4, with the nonce before the password: it costs one HMAC and no look-up.
What an authenticated user may do, quotas too, is rtcd.turn.server; users that are kept elsewhere are rtcd.auth.lookup.

Where SHA-256 is offered, USERHASH is answered for static users, whose names are known beforehand. The security feature
"username anonymity" is never announced all the same: it makes a client send USERHASH in place of USERNAME, and neither the
expiry nor the password of a time-limited name can be had from its hash. Such names can always come: there always is a
secret, one made here if none is given, and [ice], other services and other machines may issue with it at any moment.
"""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple, Protocol

from rtcd.allocations.allocation import Allocation, FiveTuple
from rtcd.auth.nonce import Nonces
from rtcd.stun.attributes import (
    MAX_USERNAME_BYTES,
    NONCE,
    PASSWORD_ALGORITHM,
    PASSWORD_ALGORITHMS,
    REALM,
    USERHASH,
    USERNAME,
    Malformed,
    PasswordAlgorithm,
)
from rtcd.stun.integrity import long_term_key, opaque_string, userhash, verify, verify_sha256
from rtcd.stun.message import Message

MAX_USERS = 10000
"""Static users; more of them belong into time-limited names."""

_MD5_KEY = re.compile(r"0x[0-9a-fA-F]{32}")
_SHA256_KEY = re.compile(r"0x[0-9a-fA-F]{64}")
_NO_KEY = bytes(32)
MD5_BYTES = 16
"""A key of MD5; one of SHA-256 is longer."""

OFFERED = (PasswordAlgorithm.SHA256, PasswordAlgorithm.MD5)
"""What PASSWORD-ALGORITHMS says, the best one first."""


class Verdict(Protocol):
    """What is known of a time-limited name."""

    @property
    def passwords(self) -> tuple[str, ...]:
        """The passwords that would be right; none if the name is no such name or has expired."""

    @property
    def user(self) -> str:
        """The name without its time."""

    @property
    def expires_at(self) -> int:
        """Unix seconds; 0 if the name is no time-limited one."""


class TimeLimitedNames(Protocol):
    """Checks time-limited names without looking anything up."""

    def verify(self, username: str, now: float) -> Verdict:
        """Never raises."""


class Grant(NamedTuple):
    """The request is from this user."""

    username: str
    """In canonical spelling (RFC 8265 §4.2); a time-limited one as it came."""
    user: str
    """Whom quotas charge, canonical."""
    key: bytes
    """For the integrity of the answer."""
    sha256: bool
    """Which kind of integrity the request had, so the answer has."""
    expires_at: float = math.inf
    """When the credential ends."""
    static: bool = False
    """Whether it is one of `Authenticator.users`."""


class Refusal(NamedTuple):
    """The request is to be answered with this error."""

    code: int
    """400, 401 or 438; the last two go with a fresh challenge."""
    username: str = ""
    """Set when somebody tried a name and failed."""


class Pending(NamedTuple):
    """Who the request is from is being asked for elsewhere; it is to be judged again when that is known."""

    username: str


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


class Found(NamedTuple):
    """What is known of a user that is kept elsewhere; no keys: there is none of that name."""

    keys: Keys = Keys()
    expires_at: float = math.inf
    fault: bool = False
    """Whether there was no good answer, so that nothing is known."""


class Directory(Protocol):
    """Users that are kept elsewhere, such as rtcd.auth.remote."""

    def find(self, username: str, now: float) -> Found | None:
        """What is known of a user by now; None if it has to be asked for."""

    def wait(self, username: str, data: bytes, five_tuple: FiveTuple, now: float) -> bool:
        """Ask, and receive this request again when the answer is there. False if too many wait already."""


class Authenticator:
    """Checks the credentials of requests. What can be set may be set at any moment."""

    def __init__(self, realm: str, users: Mapping[str, Keys], names: TimeLimitedNames, nonces: Nonces) -> None:
        self.realm = realm
        self.nonces = nonces
        self.strict_expiry = False
        """Whether what a credential has opened ends with it."""
        self.directory: Directory | None = None
        """Who is asked for users that are neither static nor time-limited."""
        self.revoked: Container[str] = ()
        """Users of time-limited names whose credentials are void, though not expired."""
        self._names = names
        self.users = users

    @property
    def users(self) -> Mapping[str, Keys]:
        """Static users by canonical name."""
        return self._users

    @users.setter
    def users(self, users: Mapping[str, Keys]) -> None:
        self._users = users
        self._hashes: dict[bytes, str] | None = None

    @property
    def sha256(self) -> bool:
        """Whether clients may use SHA-256, and are told so: then all `users` have keys for it."""
        return self.nonces.cookie

    @sha256.setter
    def sha256(self, offered: bool) -> None:
        self.nonces.cookie = offered

    def challenge(self, five_tuple: FiveTuple, now: float) -> tuple[bytes, ...]:
        """What a 401 or 438 tells the client to use, encoded."""
        nonce = NONCE.encode(self.nonces.issue(five_tuple, now))
        return (REALM.encode(self.realm), nonce, *((PASSWORD_ALGORITHMS.encode(OFFERED),) if self.sha256 else ()))

    def check(
        self, message: Message, five_tuple: FiveTuple, now: float, known: Allocation | None
    ) -> Grant | Refusal | Pending:
        """Who sent this request. ``known`` is the allocation on its five-tuple: its own key goes on being right,
        even when the credential has expired since, unless `strict_expiry`; but a static user who has been removed, or has
        another password now, is refused, so that what he has open ends. Raises Malformed for a broken name, realm or
        algorithm of a signed request; a broken nonce is merely not ours, and the answer brings a good one."""
        if not message.integrity_at and not message.integrity_sha256_at:
            return Refusal(401)
        username, realm = message.get(USERNAME), message.get(REALM)
        hashed = message.get(USERHASH) if self.sha256 else None
        try:
            nonce = message.get(NONCE)
        except Malformed:
            nonce = ""
        if (username is None) == (hashed is None) or realm is None or nonce is None:
            return Refusal(400)
        if not self.nonces.fresh(nonce, five_tuple, now):
            return Refusal(438)
        algorithm = self._algorithm(message)
        if algorithm is None:
            return Refusal(400)
        if hashed is not None:
            username = self._name_of(hashed, known)
        if username is None:
            _signed(message, _NO_KEY)
            return Refusal(401, hashed.hex() if hashed is not None else "")
        canonical = opaque_string(username)
        if known is not None and self._is_owner(message, known, (username, canonical), algorithm, realm, now):
            return Grant(known.username, known.user, known.key, bool(message.integrity_sha256_at),
                         known.credential_expires_at)
        static = canonical in self.users
        if static:
            username = canonical
        found = self._look_up(username, algorithm, now, ask=realm == self.realm)
        if found is None:
            return Pending(canonical)
        user, keys, expires_at, fault = found
        if user == canonical:  # one of elsewhere is the same in every spelling, as a static one is
            username = canonical
        for key in keys:
            if _signed(message, key) and realm == self.realm:
                if user in self.revoked:
                    return Refusal(401)  # no name: nobody guessed a password, so nobody is to be punished
                return Grant(username, user, key, bool(message.integrity_sha256_at), expires_at, static)
        if not keys:
            _signed(message, _NO_KEY)
        return Refusal(401, "" if fault else username)  # nor has he whom nobody could look up

    def _algorithm(self, message: Message) -> int | None:
        """Which kind of key the client uses; None if somebody on the way has tampered with the choice, which a client
        repeats together with the list that it chose from (RFC 8489 §9.2.4). Our nonces say that there was a list."""
        if not self.sha256 or (PASSWORD_ALGORITHM not in message and PASSWORD_ALGORITHMS not in message):
            return PasswordAlgorithm.MD5
        chosen, offered = message.get(PASSWORD_ALGORITHM), message.get(PASSWORD_ALGORITHMS)
        return chosen if offered == OFFERED and chosen in OFFERED else None

    def _name_of(self, hashed: bytes, known: Allocation | None) -> str | None:
        """The name behind a USERHASH: a static user's, or that of the allocation's owner."""
        if self._hashes is None:
            self._hashes = {userhash(name, self.realm): name for name in self.users}
        name = self._hashes.get(hashed)
        if name is None and known is not None and hmac.compare_digest(userhash(known.username, self.realm), hashed):
            return known.username
        return name

    def _is_owner(
        self, message: Message, known: Allocation, names: tuple[str, str], algorithm: int, realm: str, now: float
    ) -> bool:
        """Whether the request has the very credential that made the allocation, and that is enough."""
        return (
            not known.static and known.username in names and realm == self.realm
            and (len(known.key) > MD5_BYTES) == (algorithm == PasswordAlgorithm.SHA256)
            and not (self.strict_expiry and now >= known.credential_expires_at)
            and _signed(message, known.key)
        )

    def _look_up(
        self, username: str, algorithm: int, now: float, *, ask: bool
    ) -> tuple[str, tuple[bytes, ...], float, bool] | None:
        """Whom to charge, which keys would be right, until when, and whether nobody could tell; None if that has to be
        asked for elsewhere first.

        A static user, in canonical spelling, comes before a time-limited name, whose HMAC is over the text as it came; but
        one user is charged however it is spelled. A name that is neither may be one of the directory's, if we ``ask``."""
        static = self.users.get(username)
        if static is not None:
            return username, static.of(algorithm), math.inf, False
        verdict = self._names.verify(username, now)
        if verdict.expires_at or self.directory is None or not ask:
            keys = tuple(long_term_key(username, self.realm, password, algorithm) for password in verdict.passwords)
            user = opaque_string(verdict.user or (str(verdict.expires_at) if verdict.expires_at else username))
            return user, keys, verdict.expires_at, False
        canonical = opaque_string(username)
        found = self.directory.find(canonical, now)
        return None if found is None else (canonical, found.keys.of(algorithm), found.expires_at, found.fault)


def _signed(message: Message, key: bytes) -> bool:
    if message.integrity_sha256_at:
        return verify_sha256(message.raw, message.integrity_sha256_at, key)
    return verify(message.raw, message.integrity_at, key)
