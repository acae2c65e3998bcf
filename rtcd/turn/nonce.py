"""Nonces that prove themselves: the time they were made and an HMAC over it and the client, and no table of them.

Source: RFC 8489 §9.2.4, §14.10; the key comes from the operating system or is shared by a fleet.
"""

from __future__ import annotations

import base64
import functools
import hmac

from rtcd.turn.allocation import FiveTuple

NONCE_CHARACTERS = 24
"""Eight hex digits of Unix time and 16 base64 characters (96 bits) of the HMAC: short, since a 401 must not amplify."""
CACHED_NONCES = 1024
"""Nonces that need not be made anew for the requests that follow; forgetting one costs an HMAC and nothing else."""


class Nonces:
    """Makes and checks nonces. ``lifetime_s`` may change at any moment."""

    def __init__(self, key: bytes, lifetime_s: int) -> None:
        self._key = key
        self.lifetime_s = lifetime_s
        self._made = functools.lru_cache(CACHED_NONCES)(self._make)

    def issue(self, five_tuple: FiveTuple, now: float) -> str:
        """A nonce for this client."""
        return self._made(f"{int(now) & 0xFFFFFFFF:08x}", five_tuple)

    def fresh(self, nonce: str, five_tuple: FiveTuple, now: float) -> bool:
        """Whether it is ours, for this client, and young enough. One from the future (a stepped clock) is stale."""
        if len(nonce) != NONCE_CHARACTERS or not nonce.isascii():
            return False
        if not hmac.compare_digest(nonce, self._made(nonce[:8], five_tuple)):
            return False
        return 0 <= int(now) - int(nonce[:8], 16) <= self.lifetime_s

    def _make(self, time: str, five_tuple: FiveTuple) -> str:
        host, port = five_tuple.client
        digest = hmac.digest(self._key, f"{time} {host} {port} {five_tuple.transport}".encode(), "sha256")
        return time + base64.urlsafe_b64encode(digest[:12]).decode()
