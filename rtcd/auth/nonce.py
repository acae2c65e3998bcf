"""Nonces that prove themselves: the time they were made and an HMAC over it and the client, and no table of them.

So do the transaction ids of questions that the daemon puts to itself.

Source: RFC 8489 §9.2.4, §14.10; the key comes from the operating system or is shared by a fleet.
"""

from __future__ import annotations

import base64
import functools
import hmac

from rtcd.allocations.allocation import FiveTuple

NONCE_CHARACTERS = 24
"""Eight hex digits of Unix time and 16 base64 characters (96 bits) of the HMAC: short, since a 401 must not amplify."""
COOKIE = "obMatJos2gAAA"
"""In front of nonces where SHA-256 is offered: the nonce cookie and the security features, 24 bits in base64 (RFC 8489
§9.2, §18.1). Bit 0, 0x800000, is set: password algorithms. Bit 1, username anonymity, is not: see the authenticator."""
COOKIE_NONCE_CHARACTERS = 32
"""With the cookie only 11 characters (64 bits) of the HMAC, so that the challenge to a bare Allocate stays within bounds. A
guess costs a round trip to us, and whoever guessed right may then try passwords, as with a nonce that he asked for."""
CACHED_NONCES = 1024
"""Nonces that need not be made anew for the requests that follow; forgetting one costs an HMAC and nothing else."""

OWN_S = 10
"""How long a transaction id of our own is good; who asks gives up sooner."""


class OwnQuestions:
    """Transaction ids by which the daemon knows a question of its own: Unix time and 64 bits of an HMAC over it.

    Only the daemon and whoever reads its own traffic ever see one.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, now: float) -> bytes:
        """One to ask with now."""
        time = (int(now) & 0xFFFFFFFF).to_bytes(4)
        return time + hmac.digest(self._key, time, "sha256")[:8]

    def knows(self, transaction_id: bytes, now: float) -> bool:
        """Whether it is ours, and young enough."""
        time = transaction_id[:4]
        if not 0 <= int(now) - int.from_bytes(time) <= OWN_S:  # as with nearly all ids of others
            return False
        return hmac.compare_digest(hmac.digest(self._key, time, "sha256")[:8], transaction_id[4:])


class Nonces:
    """Makes and checks nonces. ``lifetime_s`` and ``cookie`` may change at any moment."""

    def __init__(self, key: bytes, lifetime_s: int, *, cookie: bool = False) -> None:
        self._key = key
        self.lifetime_s = lifetime_s
        self.cookie = cookie
        """Whether nonces have the cookie; those of the other kind are not ours."""
        self._made = functools.lru_cache(CACHED_NONCES)(self._make)

    def issue(self, five_tuple: FiveTuple, now: float) -> str:
        """A nonce for this client."""
        return self._made(f"{int(now) & 0xFFFFFFFF:08x}", five_tuple, self.cookie)

    def fresh(self, nonce: str, five_tuple: FiveTuple, now: float) -> bool:
        """Whether it is ours, for this client, and young enough. One from the future (a stepped clock) is stale."""
        if len(nonce) != (COOKIE_NONCE_CHARACTERS if self.cookie else NONCE_CHARACTERS) or not nonce.isascii():
            return False
        time = nonce[len(COOKIE) :][:8] if self.cookie else nonce[:8]
        if not hmac.compare_digest(nonce, self._made(time, five_tuple, self.cookie)):
            return False
        return 0 <= int(now) - int(time, 16) <= self.lifetime_s

    def _make(self, time: str, five_tuple: FiveTuple, cookie: bool) -> str:
        host, port = five_tuple.client
        start = COOKIE + time if cookie else time
        digest = hmac.digest(self._key, f"{start} {host} {port} {five_tuple.transport}".encode(), "sha256")
        code = base64.urlsafe_b64encode(digest[:12]).decode()
        return start + (code[:11] if cookie else code)
