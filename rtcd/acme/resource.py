"""What is served at ``/.well-known/acme-challenge``: the proofs of our own orders, and those of another ACME client."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.web.resource import Resource

from rtcd.acme.challenges import Challenges, is_token

CHALLENGE_PATH = "/.well-known/acme-challenge"
MAX_FILE_BYTES = 4096
"""A key authorization is shorter than 200 bytes."""


class ChallengeResource(Resource):
    """Answers ``/.well-known/acme-challenge/TOKEN`` (RFC 8555 §8.3). Everything else below it is 404."""

    isLeaf = True

    def __init__(self, challenges: Challenges, webroot: Callable[[], str | None]) -> None:
        """``webroot``: the directory that another ACME client writes to, as it is set at each request."""
        super().__init__()
        self._challenges = challenges
        self._webroot = webroot

    def render_GET(self, request: Any) -> bytes:
        """Answer GET and HEAD."""
        request.setHeader(b"Cache-Control", b"no-store")
        found = self._find(request.postpath)
        if found is None:
            request.setResponseCode(404)
            request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
            return b"There is no such challenge.\n"
        request.setHeader(b"Content-Type", b"application/octet-stream")
        return found

    def _find(self, rest: list[bytes]) -> bytes | None:
        token = rest[0].decode("ascii", "replace") if len(rest) == 1 else ""
        if not is_token(token):
            return None
        text = self._challenges.http(token)
        if text is not None:
            return text.encode("ascii")
        webroot = self._webroot()
        return read_small(Path(webroot) / CHALLENGE_PATH.lstrip("/") / token) if webroot else None


def read_small(path: Path) -> bytes | None:
    """The bytes of a short plain file; None if it is none, a link, too long, or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = os.read(descriptor, MAX_FILE_BYTES + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return data if len(data) <= MAX_FILE_BYTES else None
