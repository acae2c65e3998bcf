"""The pages: landing, call and full room are one HTML file that is given its parameters; and the room link's QR code.

Parameters stand in the page as JSON that no browser runs, so the content security policy allows no inline script.
"""

from __future__ import annotations

import functools
import io
import json
from pathlib import Path
from typing import Any

import segno
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rtcd.rooms import room as rooms
from rtcd.rooms.room import Outcome, StoreUnavailable
from rtcd.site.redirect import moved
from rtcd.web.parameters import Site, arguments, page, parameters, room_link
from rtcd.web.resources import NAME, Rooms

STATIC = Path(__file__).parent / "static"
PARAMETERS = "<!--rtcd:parameters-->"
INSTALL = "<!--rtcd:install-->"
INSTALL_LINK = '<a href="{{base}}/install" data-text="landing.install"></a>'
"""For who has seen a browser's warning, and does not yet know that there is a way."""
BASE = "{{base}}"

MAX_QR_CHARS = 300
"""A longer link makes a code that no camera reads, and takes its time to draw."""

CACHED_QR_CODES = 256

_SAFE = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class Page(Resource):
    """``GET /`` and, below ``/r``, ``GET /r/{room}``."""

    isLeaf = True
    _log = Logger()

    def __init__(self, rooms: Rooms, *, call: bool) -> None:
        super().__init__()
        self.rooms = rooms
        self.call = call
        self._html = (STATIC / "index.html").read_text(encoding="utf-8")

    def render(self, request: Request) -> Any:
        """Serve the page, or 404 below it."""
        names = [segment.decode("latin-1") for segment in request.postpath or ()]
        known = len(names) == 1 and NAME.fullmatch(names[0]) if self.call else names in ([], [""])
        if not known:
            return self._sorry(request, 404, "name" if self.call else "address", "There is nothing at this address.")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return _plain(request, 405, "Use GET.")
        moved = self._moved(request)
        if moved is not None:
            request.setHeader(b"location", moved)
            return _plain(request, 301, "This site has moved.")
        if not self.call:
            return self._html_for(request, None, full=False)
        if not self.rooms.allow(request):
            request.setHeader(b"retry-after", b"10")
            return self._sorry(request, 429, "busy", "Too many requests from this address; try again in a few seconds.")
        taken = self.rooms.store.update(names[0], lambda one, _: Outcome(one, len(one.taken())))
        Deferred.fromCoroutine(taken).addCallbacks(
            lambda count: self._finish(request, self._html_for(request, names[0], full=count >= rooms.CAPACITY)),
            lambda failure: self._failed(request, failure))
        return NOT_DONE_YET

    def _moved(self, request: Request) -> bytes | None:
        host = (request.getHeader(b"host") or b"").decode("latin-1").partition(":")[0].lower()
        target = self.rooms.context.doorway.public
        return moved(request, target) if host in self.rooms.settings.redirect_hosts and target else None

    def _sorry(self, request: Request, code: int, error: str, text: str) -> bytes:
        """The page, which says in the reader's language what is wrong; plain text for what is no browser's request."""
        if request.method not in (b"GET", b"HEAD"):
            return _plain(request, code, text)
        request.setResponseCode(code)
        return self._html_for(request, None, full=False, error=error)

    def _html_for(self, request: Request, room: str | None, *, full: bool, error: str = "") -> bytes:
        site, agent = self.rooms.site(request), request.getHeader("user-agent") or ""
        facts = page(parameters(arguments(request.args), site, agent, room)) | {
            "base": site.prefix, "full": full, "error": error}
        block = f'<script type="application/json" id="parameters">{json.dumps(facts).translate(_SAFE)}</script>'
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"content-security-policy", _policy(site, self.rooms.context.doorway.frame_rule).encode())
        door = self.rooms.context.doorway
        html = self._html.replace(INSTALL, INSTALL_LINK if door.local_authority(request) is not None else "")
        return html.replace(PARAMETERS, block).replace(BASE, site.prefix).encode()

    def _finish(self, request: Request, body: bytes) -> None:
        if not request._disconnected:
            request.write(body)
            request.finish()

    def _failed(self, request: Request, failure: Failure) -> None:
        if not failure.check(StoreUnavailable):
            self._log.failure("a page failed", failure)
        request.setHeader(b"retry-after", b"10")
        self._finish(request, self._sorry(request, 503, "busy", "The rooms cannot be reached; try again in a few seconds."))


class QrCode(Resource):
    """``GET /qr.svg?room=NAME``: the room's link with the other arguments, for the camera of a phone."""

    isLeaf = True

    def __init__(self, rooms: Rooms) -> None:
        super().__init__()
        self.rooms = rooms

    def render_GET(self, request: Request) -> bytes:
        """The code as an SVG."""
        args = arguments(request.args)
        name = args.pop("room", "")
        if not NAME.fullmatch(name):
            return _plain(request, 404, "No such room name.")
        link = room_link(self.rooms.site(request).base, name, args)
        if len(link) > MAX_QR_CHARS:
            return _plain(request, 404, "The link is too long for a QR code.")
        if not self.rooms.allow(request):
            request.setHeader(b"retry-after", b"10")
            return _plain(request, 429, "Too many requests from this address; try again in a few seconds.")
        request.setHeader(b"content-type", b"image/svg+xml")
        request.setHeader(b"cache-control", b"no-store")
        return qr_code(link)


@functools.lru_cache(CACHED_QR_CODES)
def qr_code(link: str) -> bytes:
    """An SVG, black on white with a quiet zone."""
    drawing = io.BytesIO()
    segno.make(link, error="m", micro=False).save(
        drawing, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False)
    return drawing.getvalue()


def _policy(site: Site, frame_rule: str) -> str:
    signaling = "/".join(site.wss_url.split("/")[:3])
    ice = "/".join(site.ice_url.split("/")[:3])
    origin = site.base.removesuffix(site.prefix)
    elsewhere = [one for one in (signaling, ice) if one and one != origin]
    elsewhere += ["/".join(one.split("/")[:3]) for one in site.allowed_ice]
    return "; ".join((
        "default-src 'self'", " ".join(("connect-src 'self'", *elsewhere)), "img-src 'self' data: blob:",
        "media-src 'self' blob: mediastream:", "style-src 'self'", "script-src 'self'", frame_rule,
        "base-uri 'none'", "form-action 'self'", "object-src 'none'",
    ))


def _plain(request: Request, code: int, text: str) -> bytes:
    request.setResponseCode(code)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return f"{text}\n".encode()
