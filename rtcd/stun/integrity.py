"""MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256, FINGERPRINT, and the keys of long-term credentials.

Everything here works on the bytes as they were received or will be sent, never on a re-encoding.
Sources: RFC 8489 §9.2.2, §14.5 to §14.7, §18.5.1; RFC 8265 §4.2 (OpaqueString).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import unicodedata
import zlib

from rtcd.stun.attributes import (
    FINGERPRINT,
    MESSAGE_INTEGRITY,
    MESSAGE_INTEGRITY_SHA256,
    PasswordAlgorithm,
)

SHA1_BYTES = 20
SHA256_BYTES = 32
MIN_SHA256_BYTES = 16
"""MESSAGE-INTEGRITY-SHA256 may be cut to this, never below (RFC 8489 §14.6)."""

_FINGERPRINT_XOR = 0x5354554E
_U16 = struct.Struct("!H")
_FOOT = struct.Struct("!HHI")
_SHA1_HEAD = struct.pack("!HH", MESSAGE_INTEGRITY.number, SHA1_BYTES)
_SHA256_HEAD = struct.pack("!HH", MESSAGE_INTEGRITY_SHA256.number, SHA256_BYTES)


def opaque_string(text: str) -> str:
    """``text`` as it is hashed: NFC, and every space that is not ASCII as U+0020."""
    if text.isascii():
        return text
    spaced = "".join(" " if unicodedata.category(one) == "Zs" else one for one in text)
    return unicodedata.normalize("NFC", spaced)


def long_term_key(username: str, realm: str, password: str, algorithm: int = PasswordAlgorithm.MD5) -> bytes:
    """The key of a long-term credential: 16 bytes for MD5, 32 for SHA-256. Raises ValueError for another algorithm."""
    text = f"{opaque_string(username)}:{opaque_string(realm)}:{opaque_string(password)}".encode()
    if algorithm == PasswordAlgorithm.MD5:
        return hashlib.md5(text, usedforsecurity=False).digest()
    if algorithm == PasswordAlgorithm.SHA256:
        return hashlib.sha256(text).digest()
    raise ValueError(f"password algorithm {algorithm} is unknown")


def userhash(username: str, realm: str) -> bytes:
    """The value of USERHASH."""
    return hashlib.sha256(f"{opaque_string(username)}:{opaque_string(realm)}".encode()).digest()


def sign(message: bytes, key: bytes) -> bytes:
    """``message`` with MESSAGE-INTEGRITY behind it."""
    covered = _with_length(message, len(message), 24)
    return covered + _SHA1_HEAD + hmac.digest(key, covered, "sha1")


def sign_sha256(message: bytes, key: bytes) -> bytes:
    """``message`` with MESSAGE-INTEGRITY-SHA256 behind it."""
    covered = _with_length(message, len(message), 36)
    return covered + _SHA256_HEAD + hmac.digest(key, covered, "sha256")


def verify(message: bytes, position: int, key: bytes) -> bool:
    """Whether the MESSAGE-INTEGRITY that begins at ``position`` of the received bytes was made with ``key``."""
    if message[position + 2 : position + 4] != _SHA1_HEAD[2:]:
        return False
    covered = _with_length(message, position, 24)
    return hmac.compare_digest(hmac.digest(key, covered, "sha1"), message[position + 4 : position + 24])


def verify_sha256(message: bytes, position: int, key: bytes) -> bool:
    """Whether the MESSAGE-INTEGRITY-SHA256 at ``position``, whole or cut, was made with ``key``."""
    (size,) = _U16.unpack_from(message, position + 2)
    if not MIN_SHA256_BYTES <= size <= SHA256_BYTES or size & 3:
        return False
    covered = _with_length(message, position, 4 + size)
    digest = hmac.digest(key, covered, "sha256")[:size]
    return hmac.compare_digest(digest, message[position + 4 : position + 4 + size])


def add_fingerprint(message: bytes) -> bytes:
    """``message`` with FINGERPRINT behind it."""
    covered = _with_length(message, len(message), 8)
    return covered + _FOOT.pack(FINGERPRINT.number, 4, zlib.crc32(covered) ^ _FINGERPRINT_XOR)


def fingerprint_matches(message: bytes, position: int) -> bool:
    """Whether the FINGERPRINT that begins at ``position`` of the received bytes is right."""
    if len(message) < position + 8:
        return False
    _, size, value = _FOOT.unpack_from(message, position)
    return bool(size == 4 and value == zlib.crc32(_with_length(message, position, 8)) ^ _FINGERPRINT_XOR)


def _with_length(message: bytes, end: int, more: int) -> bytes:
    """The first ``end`` bytes, the header's length saying that ``more`` follow them."""
    return message[:2] + _U16.pack(end - 20 + more) + message[4:end]
