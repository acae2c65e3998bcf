"""JSON Web Tokens of an identity provider (RFC 7519): which are good, and for what.

The algorithm is the operator's choice and never the token's. An audience and a time of expiry have to be there; what the
bearer may do is in the claim ``scope``, words with spaces between them (RFC 8693 §4.2).
"""

from __future__ import annotations

import re
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from rtcd.admin.keys import ALL, Caller

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
MIN_SECRET_BYTES = 32
"""RFC 7518 §3.2: as many as the hash has."""
MIN_RSA_BITS = 2048
LEEWAY_S = 30.0
"""How much the provider's clock may be ahead of ours."""
MAX_TOKEN_CHARS = 8192
MAX_MOMENT = 2**53
"""Seconds. What is not below it, infinite or no number at all, is no time."""
_SUBJECT = re.compile(r"[A-Za-z0-9._@|:-]{1,64}")
"""Subjects that callers are named after: their name is one word of the log's lines."""
_KINDS: dict[str, Any] = {"RS256": RSAPublicKey, "ES256": EllipticCurvePublicKey, "EdDSA": Ed25519PublicKey}


class Tokens:
    """Checks tokens with one key. Raises ValueError for a key that does not fit the algorithm."""

    def __init__(self, key: str, algorithm: str, audience: str) -> None:
        self._algorithm = algorithm
        self._audience = audience
        self._key: Any = _secret(key) if algorithm == "HS256" else _public(key, algorithm)

    def check(self, token: str, now: float) -> Caller | None:
        """Who it is good for; None if it is not good."""
        if len(token) > MAX_TOKEN_CHARS:
            return None
        try:
            claims = jwt.decode(
                token, self._key, algorithms=[self._algorithm], audience=self._audience,
                options={"require": ["exp", "aud"], "verify_exp": False, "verify_nbf": False, "verify_iat": False})
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return None
        expires_at, begins_at = claims["exp"], claims.get("nbf", 0)
        if not (_moment(expires_at) and _moment(begins_at)) or now >= expires_at or now + LEEWAY_S < begins_at:
            return None
        words, subject = claims.get("scope"), claims.get("sub")
        scopes = ALL.intersection(words.split(" ")) if isinstance(words, str) else frozenset[str]()
        plain = isinstance(subject, str) and _SUBJECT.fullmatch(subject)
        return Caller(f"jwt:{subject}" if plain else "jwt", scopes)


def looks_like_one(token: str) -> bool:
    """Three parts with dots between them."""
    return token.count(".") == 2


def _secret(key: str) -> bytes:
    if "-----BEGIN" in key:
        raise ValueError("is a key in PEM, which HS256 would take for a secret that everybody knows; set jwt-algorithm")
    if len(key.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"is shorter than {MIN_SECRET_BYTES} bytes; make one with: openssl rand -hex 32")
    return key.encode()


def _public(key: str, algorithm: str) -> Any:
    try:
        found = load_pem_public_key(key.encode())
    except ValueError:
        raise ValueError(f"is no public key in PEM, which {algorithm} needs; it begins with -----BEGIN PUBLIC KEY-----"
                         ) from None
    if not isinstance(found, _KINDS[algorithm]) or (
            isinstance(found, EllipticCurvePublicKey) and not isinstance(found.curve, SECP256R1)):
        raise ValueError(f"is a key of another kind than {algorithm} needs")
    if isinstance(found, RSAPublicKey) and found.key_size < MIN_RSA_BITS:
        raise ValueError(f"has fewer than {MIN_RSA_BITS} bits")
    return found


def _moment(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < MAX_MOMENT
