"""The page, whose landing, call and full room are one HTML file, and what a browser asks for with it by fixed addresses: the
room link's QR code, the manifest, the service worker and its offline page.

In each language the page is filled with its texts once; a request adds its parameters. These stand in the page as
JSON that no browser runs, so the content security policy allows no inline script.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import segno
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rtcd import __version__
from rtcd.rooms.outcome import StoreUnavailable
from rtcd.rooms.seats import foreseen
from rtcd.site.redirect import moved
from rtcd.web import texts
from rtcd.web.accept import LANGUAGES, language
from rtcd.web.assets import pack
from rtcd.web.files import STATIC, TYPES, File, whole
from rtcd.web.parameters import Site, arguments, page, parameters, room_link
from rtcd.web.resources import NAME, Rooms

PARAMETERS = "<!--rtcd:parameters-->"
INSTALL = "<!--rtcd:install-->"
LINKS = "<!--rtcd:links-->"
INSTALL_LINK = '<a href="{{base}}/install" data-text="landing.install"></a>'
"""For who has seen a browser's warning, and does not yet know that there is a way."""
BASE = "{{base}}"
STATIC_BASE = "{{static}}"
"""The address below which the static files may be kept by browsers."""
TITLE = "{{title}}"
ROOM = "{{room}}"
APP_NAME = "{{name}}"
VERSION = "{{version}}"
LANGUAGE = "{{language}}"

LANGUAGE_COOKIE = b"language"
VARY = b"Accept-Language, Cookie"

PAPER = "#f5f4ef"
"""The colour of the landing page, as in app.css, for what the system draws around it."""

MAX_QR_CHARS = 300
"""A longer link makes a code that no camera reads, and takes its time to draw."""

CACHED_QR_CODES = 256

_SAFE = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class Master:
    """The page in every language and state that it may begin with, which are few: each is filled with its texts once."""

    def __init__(self, files: Mapping[str, File], folder: Path = STATIC) -> None:
        self.version = whole(files)
        self.catalogues: dict[str, Mapping[str, str]] = {
            one: json.loads(files[f"texts-{one}.json"].body) if f"texts-{one}.json" in files else {} for one in LANGUAGES}
        scripts = {name: one.body.decode() for name, one in files.items() if name.endswith(".js")}
        links = (f'<link rel="modulepreload" href="{STATIC_BASE}/{one}">' for one in texts.modules(scripts, "app.js"))
        html = (folder / "index.html").read_text(encoding="utf-8")
        self._html = html.replace(texts.MODULES, "\n  ".join(links)).replace(VERSION, __version__)
        self.install = {one: texts.fill(INSTALL_LINK, found) for one, found in self.catalogues.items()}
        self._begun: dict[tuple[str, str, str], str] = {}

    def html(self, language: str, state: texts.State, reason: str = "") -> str:
        """The page as it begins, without its parameters."""
        key = (language, state, reason)
        if key not in self._begun:
            begun = texts.begin(self._html, language, state, reason).replace(LANGUAGE, language)
            self._begun[key] = texts.fill(begun, self.catalogues[language])
        return self._begun[key]


class Page(Resource):
    """``GET /`` and, below ``/r``, ``GET /r/{room}``."""

    isLeaf = True
    _log = Logger()

    def __init__(self, rooms: Rooms, master: Master, *, call: bool) -> None:
        super().__init__()
        self.rooms = rooms
        self.call = call
        self._master = master

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
            return self._html_for(request, None)
        if not self.rooms.allow(request):
            request.setHeader(b"retry-after", b"10")
            return self._sorry(request, 429, "busy", "Too many requests from this address; try again in a few seconds.")
        limits = self.rooms.store.limits
        refused = self.rooms.store.update(names[0], lambda one, now: foreseen(one, now, limits))
        Deferred.fromCoroutine(refused).addCallbacks(
            lambda refused: self._finish(request, self._html_for(request, names[0], refused=refused)),
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
        return self._html_for(request, None, error=error)

    def _html_for(self, request: Request, room: str | None, *, refused: str = "", error: str = "") -> bytes:
        door, settings = self.rooms.context.doorway, self.rooms.settings
        site, agent = self.rooms.site(request), request.getHeader("user-agent") or ""
        facts = page(parameters(arguments(request.args), site, agent, room)) | {
            "base": site.prefix, "refused": refused, "error": error, "capacity": self.rooms.store.limits.capacity}
        block = f'<script type="application/json" id="parameters">{json.dumps(facts).translate(_SAFE)}</script>'
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"content-security-policy", _policy(site, door.frame_rule).encode())
        reader, name = language_of(request), escape(settings.name)
        state = _state(room, refused, error, direct=settings.bypass_join_confirmation)
        html = self._master.html(reader, state, error or refused)
        html = html.replace(INSTALL, self._master.install[reader] if door.local_authority(request) is not None else "")
        html = html.replace(LINKS, "".join(map(_link, settings.links)))
        html = html.replace(TITLE, f"{room} \u00b7 {name}" if room else name).replace(APP_NAME, name)
        html = html.replace(ROOM, room or "")
        html = _based(html, site.prefix, self._master.version)
        return pack(request, html.replace(PARAMETERS, block).encode(), VARY)

    def _finish(self, request: Request, body: bytes) -> None:
        if not request._disconnected:
            request.setHeader(b"content-length", str(len(body)).encode())
            request.write(body)
            request.finish()

    def _failed(self, request: Request, failure: Failure) -> None:
        if not failure.check(StoreUnavailable):
            self._log.failure("a page failed", failure)
        request.setHeader(b"retry-after", b"10")
        self._finish(request, self._sorry(request, 503, "busy", "The rooms cannot be reached; try again in a few seconds."))


class Manifest(Resource):
    """``GET /manifest.webmanifest?lang=LANGUAGE``: what the page is when it is installed like an app.

    The language is in the address, since browsers ask for a manifest without cookies.
    """

    isLeaf = True

    def __init__(self, rooms: Rooms, master: Master) -> None:
        super().__init__()
        self.rooms = rooms
        self._master = master

    def render_GET(self, request: Request) -> bytes:
        """The manifest."""
        asked = arguments(request.args).get("lang")
        reader = asked if asked in LANGUAGES else language_of(request)
        base, known = self.rooms.site(request).prefix, self._master.catalogues[reader]
        static, name = f"{base}/static/{self._master.version}", self.rooms.settings.name
        found = {
            "id": f"{base}/", "start_url": f"{base}/", "scope": f"{base}/", "lang": reader, "dir": "ltr",
            "name": name, "short_name": name, "description": texts.text(known, "landing.title"),
            "display": "standalone", "theme_color": PAPER, "background_color": PAPER,
            "categories": ["communication", "social"],
            "icons": [
                {"src": f"{static}/icon-192.png", "sizes": "192x192", "type": "image/png"},
                {"src": f"{static}/icon-512.png", "sizes": "512x512", "type": "image/png"},
                {"src": f"{static}/icon-maskable-512.png", "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
                {"src": f"{static}/favicon.svg", "sizes": "any", "type": "image/svg+xml"},
            ],
            "shortcuts": [{
                "name": texts.text(known, "left.new"), "url": f"{base}/#new",
                "icons": [{"src": f"{static}/icon-192.png", "sizes": "192x192", "type": "image/png"}],
            }],
        }
        request.setHeader(b"content-type", b"application/manifest+json; charset=utf-8")
        request.setHeader(b"cache-control", b"no-cache")
        return pack(request, json.dumps(found, ensure_ascii=False).encode(), VARY)


class Filled(Resource):
    """A small file that names addresses below the path prefix, which only a request tells."""

    isLeaf = True

    def __init__(self, rooms: Rooms, master: Master, name: str, policy: str, folder: Path = STATIC) -> None:
        super().__init__()
        self.rooms = rooms
        self._version = master.version
        self._type = TYPES[Path(name).suffix].encode()
        self._policy = policy.encode()
        self._text = (folder / name).read_text(encoding="utf-8")

    def render_GET(self, request: Request) -> bytes:
        """The file."""
        request.setHeader(b"content-type", self._type)
        request.setHeader(b"cache-control", b"no-cache")
        request.setHeader(b"content-security-policy", self._policy)
        return pack(request, _based(self._text, self.rooms.site(request).prefix, self._version).encode())


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
        "media-src 'self' blob: mediastream:", "style-src 'self'", "script-src 'self'", "worker-src 'self'",
        "manifest-src 'self'", frame_rule,
        "base-uri 'none'", "form-action 'self'", "object-src 'none'",
    ))


def plain_policy(frame_rule: str) -> str:
    """For an HTML file without scripts."""
    return f"default-src 'none'; style-src 'self'; img-src 'self'; {frame_rule}; base-uri 'none'; form-action 'none'"


def worker_policy(frame_rule: str) -> str:
    """For the service worker, whose own requests it bounds."""
    return f"default-src 'none'; connect-src 'self'; {frame_rule}; base-uri 'none'; form-action 'none'"


def language_of(request: Any) -> str:
    """Which of our languages the reader has chosen, or would choose."""
    cookie = (request.getCookie(LANGUAGE_COOKIE) or b"").decode("latin-1")
    return language(cookie, request.getHeader("accept-language") or "")


def _state(room: str | None, refused: str, error: str, *, direct: bool) -> texts.State:
    if error:
        return "error"
    if room is None:
        return "landing"
    return "refused" if refused else "joining" if direct else "green"


def _link(given: str) -> str:
    name, url = given.rsplit(maxsplit=1)
    return f'<a href="{escape(url)}" rel="noopener">{escape(name)}</a>'


def _based(text: str, prefix: str, version: str) -> str:
    return text.replace(STATIC_BASE, f"{BASE}/static/{version}").replace(BASE, prefix)


def _plain(request: Request, code: int, text: str) -> bytes:
    request.setResponseCode(code)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return f"{text}\n".encode()
