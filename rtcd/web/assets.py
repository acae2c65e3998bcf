"""The files of the page: read once at start, since they are few and small, and served from memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twisted.web.http import CACHED
from twisted.web.resource import Resource
from twisted.web.server import Request

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""What is served, and as what; a file of another kind is not there."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    body: bytes
    type: str
    tag: str
    """Changes with the content."""

    @classmethod
    def read(cls, path: Path) -> Asset:
        """Read a file of one of `TYPES`."""
        body = path.read_bytes()
        return cls(body, TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:16])


class Assets(Resource):
    """Files by name, without folders. Browsers ask each time whether one has changed, so an upgrade is seen at once."""

    isLeaf = True

    def __init__(self, files: Mapping[str, Asset]) -> None:
        super().__init__()
        self._files = files

    def render_GET(self, request: Request) -> bytes:
        """The file, or 304 for a browser that has it."""
        names = [segment.decode("latin-1") for segment in request.postpath or ()]
        found = self._files.get("/".join(names))
        if found is None:
            request.setResponseCode(404)
            request.setHeader(b"content-type", b"text/plain; charset=utf-8")
            return b"There is nothing at this address.\n"
        request.setHeader(b"cache-control", b"no-cache")
        request.setHeader(b"content-type", found.type.encode())
        if request.setETag(f'"{found.tag}"'.encode()) is CACHED:
            return b""
        return found.body
