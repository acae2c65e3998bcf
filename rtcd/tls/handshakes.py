"""Why a TLS handshake failed, in the few words that it is counted by: what OpenSSL says has hundreds of forms."""

from __future__ import annotations

_ENDINGS = (
    ("certificate", ("certificate", "unknown ca")),
    ("version", ("protocol version", "unsupported protocol", "wrong version", "version too low")),
    ("cipher", ("no shared cipher", "handshake failure", "insufficient security", "no suitable")),
)

REASONS = (*(name for name, _ in _ENDINGS), "protocol", "closed")
"""``certificate``: the client does not trust ours. ``version`` and ``cipher``: there is none that both speak.
``protocol``: what came is no handshake that OpenSSL understands. ``closed``: the connection ended before it was complete, by
the client, the network, or us when the time was over."""


def reason_of(fault: BaseException | None) -> str:
    """The word for what ended a connection amid its handshake: an ``OpenSSL.SSL.Error``, or what Twisted says otherwise."""
    told = fault.args[0] if fault is not None and fault.args else None
    if not isinstance(told, list):  # of OpenSSL's: library, function and reason of each error
        return "closed"
    text = " ".join(str(one[-1]) for one in told if one).lower()
    for name, endings in _ENDINGS:
        if any(one in text for one in endings):
            return name
    return "protocol" if text else "closed"
