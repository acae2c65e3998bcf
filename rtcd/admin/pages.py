"""The pages at ``/admin/`` and ``/admin/calls/ID``: a few static files. All that they show they get from the API, as
whoever has logged in."""

from __future__ import annotations

import gzip
import re
from importlib.resources import files
from pathlib import PurePath

from twisted.web.server import Request

POLICY = (b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
          b"form-action 'none'; frame-ancestors 'none'")
"""Nothing from elsewhere, nothing in the page itself, and in no frame: buttons here end calls."""
TYPES = {".css": b"text/css; charset=utf-8", ".html": b"text/html; charset=utf-8", ".js": b"text/javascript; charset=utf-8"}


class Pages:
    """The files, read once."""

    def __init__(self) -> None:
        folder = files("rtcd.admin").joinpath("static")
        found = {one.name: one.read_bytes() for one in folder.iterdir() if PurePath(one.name).suffix in TYPES}
        self._files = {name: (body, gzip.compress(body, mtime=0)) for name, body in found.items()}

    def __call__(self, request: Request) -> bytes | None:
        """What is to be written for a GET, or None if it is no address of the page."""
        path = list(request.postpath or ())
        if not path:
            request.setResponseCode(308)
            request.setHeader(b"location", b"admin/")  # relative: a prefix of the public URL stays
            return b""
        name = "index.html" if path == [b""] else ""
        if len(path) == 2 and path[0] == b"static" and not path[1].endswith(b".html"):
            name = path[1].decode("latin-1")
        if len(path) == 2 and path[0] == b"calls":
            request.setHeader(b"vary", b"Accept")  # a browser gets a page where others get the record
            if "text/html" in (request.getHeader("accept") or ""):
                name = "call.html"
        if name not in self._files:
            return None
        body, packed = self._files[name]
        request.setHeader(b"content-type", TYPES[PurePath(name).suffix])
        request.setHeader(b"content-security-policy", POLICY)
        request.setHeader(b"x-frame-options", b"DENY")
        request.setHeader(b"cache-control", b"no-cache")
        request.setHeader(b"vary", b"Accept, Accept-Encoding")
        if re.search(r"\bgzip\b", request.getHeader("accept-encoding") or ""):
            request.setHeader(b"content-encoding", b"gzip")
            return packed
        return body
