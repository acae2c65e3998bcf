"""What may stand in the log: words of one field, and texts without passwords and session descriptions.

Whoever logs keeps secrets out of it by himself; this is the second lock, for what comes along inside an exception's text
or in a field that somebody adds later. It sees what people have written, so it errs towards hiding.
"""

from __future__ import annotations

import functools
import re

MAX_WORD_CHARS = 64
"""Characters of a name that a stranger made up."""

HIDDEN = "(hidden)"
SESSION_DESCRIPTION = "(session description)"

SECRET_FIELDS = frozenset((
    "password", "passwords", "secret", "secrets", "token", "tokens", "api_key", "credential", "credentials", "authorization",
    "cookie", "private_key", "jwt", "nonce", "invitation", "invitations",
))
"""Fields of this name are shown as `HIDDEN`, and so are those whose names end in one of them, as ``auth_url_token``."""
SPOKEN_FIELDS = frozenset((
    "sdp", "offer", "answer", "candidate", "candidates", "description", "text", "msg", "body", "payload", "frame",
))
"""Fields for what clients say to each other, which holds session descriptions."""

MAX_SCRUBBED_CHARS = 16384
"""Of a longer text the beginning is looked through and kept: looking takes its time, and strangers write long texts."""
_SEEN_BEHIND = 512
"""Characters behind the cut that are looked at as well, where that may end which is hidden before it."""

_NAMES = "password|passwd|secret|token|credential|api[-_]?key|invitation|jwt"

_SDP = re.compile(
    r"\bv=0(?:\\+[rn]|[\r\n])|\ba=(?:ice-(?:ufrag|pwd|options)|fingerprint|candidate|crypto|setup|mid|rtpmap|ssrc):"
    r"|\bm=(?:audio|video|application) |\bo=\S{1,64} \d{1,20} \d{1,20} IN IP[46] |\bc=IN IP[46] "
    r"|\bcandidate:\S{1,64} \d{1,10} (?:udp|tcp) |[\"']sdp\\*[\"']\s*:", re.IGNORECASE)
_SECRETS = (
    re.compile(r"(\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE),
    re.compile(r"(\bDigest\s+)[a-z]{1,32}=[^\r\n]*", re.IGNORECASE),
    re.compile(rf"([\"'](?:[a-z0-9]{{1,32}}[-_]){{0,4}}(?:{_NAMES}|authorization)\\*[\"']\s*:\s*\\*b?([\"']))"
               r"(?:\\+.|(?!\2)[^\\])*", re.IGNORECASE | re.DOTALL),
    re.compile(rf"((?<![A-Za-z0-9])(?:{_NAMES}|(?<=[?&;])(?:key|pw|pwd))=)[^&\s\"'#]+", re.IGNORECASE),
    re.compile(r"(://[^\s/:@]{0,256}:)[^\s/]{1,256}(?=@)"),
    re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----)(?!\(hidden\)).*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL),
)
_HINT = re.compile(
    "v=0|IN IP[46] |a=(?:ice-|fingerprint:|candidate:|crypto:|setup:|mid:|rtpmap:|ssrc:)|m=(?:audio|video|application)"
    "|candidate:|sdp|bearer|basic|digest|password|passwd|secret|token|credential|key|authorization|invitation|jwt|[?&;]pwd?="
    "|://", re.IGNORECASE)
"""A text without any of these has nothing to hide, and most texts are such."""
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def word(text: str, most: int = MAX_WORD_CHARS) -> str:
    """A name that a stranger may have made up, without what would end a field or a line."""
    return "".join(one if one.isprintable() and one not in ' "' else "?" for one in text[:most]) or "-"


@functools.lru_cache(1024)
def hides(field: str) -> str:
    """What stands in place of a field's value, whatever that is; an empty text if it may be shown."""
    name = field.lower().replace("-", "_")
    if name in SPOKEN_FIELDS:
        return SESSION_DESCRIPTION
    return HIDDEN if name in SECRET_FIELDS or any(name.endswith(f"_{one}") for one in SECRET_FIELDS) else ""


def scrub(text: str, most: int = MAX_SCRUBBED_CHARS) -> str:
    """The first ``most`` characters of the text without secrets; of a session description nothing is left but that there
    was one."""
    text = text[: most + _SEEN_BEHIND]
    if _HINT.search(text):
        if _SDP.search(text):
            return SESSION_DESCRIPTION
        for pattern in _SECRETS:
            text = pattern.sub(rf"\1{HIDDEN}", text)
    return text[:most]


def visible(text: str) -> str:
    """The text with what would end a line, steer a terminal or turn the order of letters about spelled out."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
