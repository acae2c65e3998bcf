"""The administrator's password, of which only an argon2id hash is kept."""

from __future__ import annotations

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import Type

MIN_CHARS = 8
MAX_CHARS = 256
"""A longer password is none."""
SALT_BYTES = 16
MAX_MEMORY_KIB = 1048576
MAX_ROUNDS = 64
"""A hash that costs more would stop the daemon."""

_hasher = PasswordHasher()


def hash_of(password: str, salt: bytes) -> str:
    """What stands in the ini; ``salt`` is random. Raises ValueError for a password that is too long or too short."""
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise ValueError(f"a password for the administration has {MIN_CHARS} to {MAX_CHARS} characters")
    return _hasher.hash(password, salt=salt)


def checked_hash(text: str) -> str:
    """A hash as `hash_of` makes them. Raises ValueError."""
    try:
        found = extract_parameters(text)
    except InvalidHashError:
        raise ValueError("is no argon2 hash; make one with: rtcd admin-password") from None
    if found.type is not Type.ID or found.memory_cost > MAX_MEMORY_KIB or found.time_cost > MAX_ROUNDS:
        raise ValueError("is another kind of argon2 hash, or one that costs too much; make one with: rtcd admin-password")
    return text


def verify(hashed: str, given: str) -> bool:
    """Whether this is the password; the work is the same for every answer, some 50 ms and 64 MiB."""
    try:
        return _hasher.verify(hashed, given[:MAX_CHARS].encode("utf-8", "surrogatepass")) and len(given) <= MAX_CHARS
    except Argon2Error:
        return False
