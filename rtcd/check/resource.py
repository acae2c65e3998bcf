"""``/check``: the page, what it asks for to begin, and what it reports at the end.

    GET  /check                 the page; ?lang=en or ?lang=zh
    GET  /check/HASH/NAME       its script and its style
    POST /check/start           begin: id, credential, paths
    POST /check/report/ID       how the paths were; answered with what that means

The paths are relative to the page, which may be below a prefix.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Coroutine
from html import escape
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rtcd.check.report import MAX_REPORT_BYTES, Report, read
from rtcd.check.results import Result
from rtcd.check.texts import LANGUAGES, Language, in_words, name
from rtcd.check.trials import TRIAL_S, Trial
from rtcd.doorway.door import Doorway
from rtcd.ice.credentials import Credential
from rtcd.site.install import accepted_language

STATIC = Path(__file__).parent / "static"
TYPES = {".js": b"text/javascript; charset=utf-8", ".css": b"text/css; charset=utf-8"}
YEAR = b"public, max-age=31536000, immutable"
HASH_CHARS = 16

_log = Logger()

RETRY_S = 60
"""After so long a page may try again that had to wait."""

_WORD = re.compile(r"\{\{(\w+)\}\}")
_SAFE = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class Begun(Protocol):
    """A check that a page may make now."""

    @property
    def trial(self) -> Trial:
        """It."""

    @property
    def credential(self) -> Credential | None:
        """For its relays; None if it tries none."""


class CheckPage(Resource):
    """The page and its files, which are read once."""

    isLeaf = True

    def __init__(self, door: Doorway, folder: Path = STATIC) -> None:
        super().__init__()
        self._door = door
        self._files = {one.name: one.read_bytes() for one in sorted(folder.iterdir()) if one.suffix in TYPES}
        self._version = hashlib.sha256(b"".join(
            b"%s %d\n%s" % (key.encode(), len(body), body) for key, body in self._files.items())).hexdigest()[:HASH_CHARS]
        self._pages = {code: self._page(folder.parent / "check.html", one) for code, one in LANGUAGES.items()}

    def render(self, request: Request) -> bytes:
        """Serve the page or a file, 404 for anything else below it."""
        names = [one.decode("latin-1") for one in request.postpath or ()]
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return _answer(request, 405, b"text/plain; charset=utf-8", b"Use GET.\n")
        if names == [""]:
            request.setHeader(b"location", b"../check")
            return _answer(request, 308, b"text/plain; charset=utf-8", b"This page has no slash at its end.\n")
        if names:
            body = self._files.get(names[1]) if len(names) == 2 and names[0] == self._version else None
            if body is None:
                return _answer(request, 404, b"text/plain; charset=utf-8", b"There is nothing at this address.\n")
            return _answer(request, 200, TYPES[Path(names[1]).suffix], body, YEAR)
        code = _language(request)
        request.setHeader(b"content-language", LANGUAGES[code].tag.encode())
        request.setHeader(b"content-security-policy", self._policy(request))
        request.setHeader(b"vary", b"Accept-Language")
        return _answer(request, 200, b"text/html; charset=utf-8", self._pages[code])

    def _policy(self, request: IRequest) -> bytes:
        """Older browsers do not count a WebSocket of the same host as ``'self'``."""
        socket = f"ws{self._door.base(request).origin.removeprefix('http')}"
        return (f"default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {socket}; "
                f"{self._door.frame_rule}; base-uri 'none'; form-action 'none'").encode()

    def _page(self, template: Path, language: Language) -> bytes:
        """The page in one language, with what its script says in JSON that no browser runs."""
        words = {key: escape(value) for key, value in language.page.items()} | {
            "tag": language.tag, "files": f"check/{self._version}",
            "texts": json.dumps(language.page, ensure_ascii=False).translate(_SAFE)}
        return _WORD.sub(lambda match: words[match[1]], template.read_text(encoding="utf-8")).encode()


class CheckStart(Resource):
    """Begins a check."""

    isLeaf = True

    def __init__(self, begin: Callable[[IRequest], Coroutine[Any, Any, Begun | None]]) -> None:
        super().__init__()
        self._begin = begin

    def render(self, request: Request) -> Any:
        """Credential and paths, or 429."""
        wrong = _not_a_post(request, [])
        return _later(request, self._answer(request)) if wrong is None else wrong

    async def _answer(self, request: Request) -> bytes:
        begun = await self._begin(request)
        if begun is None:
            request.setHeader(b"retry-after", b"%d" % RETRY_S)
            return _json(request, 429, {"error": "There were too many checks; try again in a minute."})
        language, credential = LANGUAGES[_language(request)], begun.credential
        given = {} if credential is None else {"username": credential.username, "credential": credential.password}
        return _json(request, 200, {
            "id": begun.trial.id, **given, "ttl": TRIAL_S,
            "paths": [{"id": one.id, "kind": one.kind, "url": one.url, "name": name(language, one)}
                      for one in begun.trial.paths]})


class CheckReport(Resource):
    """Takes what a page saw."""

    isLeaf = True

    def __init__(self, report: Callable[[str, Report], Coroutine[Any, Any, Result | None]]) -> None:
        super().__init__()
        self._report = report

    def render(self, request: Request) -> Any:
        """What it means, in the page's language."""
        wrong = _not_a_post(request, request.postpath if len(request.postpath or ()) == 1 else [b"?"])
        return _later(request, self._answer(request)) if wrong is None else wrong

    async def _answer(self, request: Request) -> bytes:
        try:
            report = read(b"" if request.content is None else request.content.read(MAX_REPORT_BYTES + 1))
        except ValueError as error:
            return _json(request, 400, {"error": str(error)})
        found = await self._report((request.postpath or [b""])[0].decode("latin-1"), report)
        if found is None:
            return _json(request, 404, {"error": "There is no such check, or it is over; begin another one."})
        return _json(request, 200, {"number": found.number, **in_words(LANGUAGES[_language(request)], found.verdict)})


def _later(request: Request, work: Coroutine[Any, Any, bytes]) -> Any:
    """Answer with what this returns, when it has; it may have to ask other processes."""

    def finish(body: bytes) -> None:
        if not request._disconnected:
            request.write(body)
            request.finish()

    def failed(failure: Failure) -> None:
        if not request._disconnected:
            request.processingFailed(failure)  # which logs it
        else:
            _log.failure("a request whose client has gone meanwhile has failed", failure)

    Deferred.fromCoroutine(work).addCallback(finish).addErrback(failed)
    return NOT_DONE_YET


def _language(request: Any) -> str:
    chosen = (request.args or {}).get(b"lang", [b""])[-1].decode("latin-1")
    return chosen if chosen in LANGUAGES else accepted_language(request.getHeader(b"accept-language"))


def _not_a_post(request: Request, below: Any) -> bytes | None:
    """What is answered to a request that is none for this address. A body that says it is JSON cannot come from another
    site's page without asking first."""
    if (request.postpath or []) != below:
        return _json(request, 404, {"error": "There is nothing at this address."})
    if request.method != b"POST":
        request.setHeader(b"allow", b"POST")
        return _json(request, 405, {"error": "Use POST."})
    if (request.getHeader("content-type") or "").partition(";")[0].strip().lower() != "application/json":
        return _json(request, 415, {"error": "Say Content-Type: application/json."})
    return None


def _json(request: Request, code: int, answer: dict[str, Any]) -> bytes:
    return _answer(request, code, b"application/json; charset=utf-8", json.dumps(answer, ensure_ascii=False).encode())


def _answer(request: Request, code: int, kind: bytes, body: bytes, kept: bytes = b"no-store") -> bytes:
    request.setResponseCode(code)
    request.setHeader(b"content-type", kind)
    request.setHeader(b"cache-control", kept)
    request.setHeader(b"content-length", b"%d" % len(body))
    return b"" if request.method == b"HEAD" else body
