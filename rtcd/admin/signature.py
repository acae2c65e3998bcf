"""How a webhook is signed, as Standard Webhooks has it: HMAC-SHA256 over id, time and body (standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hmac

PREFIX = "whsec_"
MIN_SECRET_BYTES = 24
MAX_SECRET_BYTES = 64


def secret_of(text: str) -> bytes:
    """The secret that is written in base64, perhaps behind ``whsec_``. Raises ValueError."""
    try:
        found = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is no base64; make one with: openssl rand -base64 32") from None
    if not MIN_SECRET_BYTES <= len(found) <= MAX_SECRET_BYTES:
        raise ValueError(f"has not {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes; make one with: openssl rand -base64 32")
    return found


def headers(secret: bytes, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers of an attempt that is made at ``at`` (Unix seconds)."""
    signed = hmac.digest(secret, f"{message_id}.{at}.".encode() + body, "sha256")
    return {"webhook-id": message_id, "webhook-timestamp": str(at),
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}"}
