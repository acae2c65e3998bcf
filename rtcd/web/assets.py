"""The static files by HTTP, from memory, in the content coding that the client likes best.

``/static/HASH/NAME`` may be kept for a year, since another version of any file has another hash. An address with any other
hash is 404, and neither redirected nor answered with the file of today: a page that was loaded before an upgrade, and asks
for a part that it has not needed until now, would get a mixture of two versions. It has to say that it must be loaded again;
the pages themselves are never kept, so that helps. ``/static/NAME`` is the file of today, for those who keep nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request

from rtcd.web.accept import coding, has
from rtcd.web.files import File, compress

YEAR = b"public, max-age=31536000, immutable"

PACKED_FROM = 600
"""Bytes: a shorter body is not worth being compressed for one request."""

LEVEL = 6
"""Of compressing for one request: 0.3 ms for the page, and a third of its bytes."""


class Assets(Resource):
    """Files by name, without folders. ``version``: the hash of all files; without it they have no lasting address.

    ``policy`` gives the content security policy of the HTML files among them.
    """

    isLeaf = True

    def __init__(self, files: Mapping[str, File], version: str = "", policy: bytes = b"") -> None:
        super().__init__()
        self._files = files
        self._version = version
        self._policy = policy

    def render_GET(self, request: Request) -> bytes:
        """The file, or 304 for a browser that has it."""
        names = [segment.decode("latin-1") for segment in request.postpath or ()]
        lasting = len(names) == 2 and names[0] == self._version
        found = self._files.get(names[1] if lasting else "/".join(names))
        if found is None:
            request.setResponseCode(404)
            request.setHeader(b"cache-control", b"no-store")
            request.setHeader(b"content-type", b"text/plain; charset=utf-8")
            return b"There is nothing at this address.\n"
        request.setHeader(b"cache-control", YEAR if lasting else b"no-cache")
        if self._policy and found.type.startswith("text/html"):
            request.setHeader(b"content-security-policy", self._policy)
        return send(request, found)


def send(request: Any, file: File) -> bytes:
    """Set the headers for a file, and return its body in the coding that is wanted; nothing (304) for who has it."""
    chosen = coding(request.getHeader("accept-encoding") or "", tuple(file.packed))
    tag = f'"{file.tag}"' if chosen == "identity" else f'"{file.tag}-{chosen}"'
    request.setHeader(b"etag", tag.encode())
    if file.packed:
        request.setHeader(b"vary", b"Accept-Encoding")
    if has(request.getHeader("if-none-match") or "", tag):
        request.setResponseCode(304)
        return b""
    request.setHeader(b"content-type", file.type.encode())
    if chosen == "identity":
        return file.body
    request.setHeader(b"content-encoding", chosen.encode())
    return file.packed[chosen]


def pack(request: Any, body: bytes, vary: bytes = b"") -> bytes:
    """A body that was made for this request, compressed if that is wanted. ``vary``: on which other headers it depends."""
    request.setHeader(b"vary", b"Accept-Encoding" + (b", " + vary if vary else b""))
    if len(body) < PACKED_FROM or coding(request.getHeader("accept-encoding") or "", ("gzip",)) != "gzip":
        return body
    request.setHeader(b"content-encoding", b"gzip")
    return compress(body, LEVEL)
