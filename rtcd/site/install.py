"""``/install``: explains to people how their device comes to trust the local CA, so that browsers stop warning.

A page for somebody who has just seen a warning: no script, nothing from elsewhere, two languages. What it says is in
`install_texts`, how it looks in ``install.html``; here is which of it a visitor gets, and the facts about the CA.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from html import escape
from pathlib import Path
from typing import Any

import segno
from cryptography import x509
from cryptography.x509.oid import NameOID
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from rtcd.site.install_texts import LANGUAGES, ORDER, Language
from rtcd.site.redirect import INSTALL_PATH
from rtcd.tls.authority import fingerprint

FILE = "rtcd-ca.crt"
"""What the downloaded file is called, as `redirect.AuthorityFile` names it."""

MAX_QR_CHARS = 300
"""A longer link makes a code that no camera reads, and takes its time to draw."""

SHOWN_NAMES = 8
"""So many of the names that the CA may sign for are shown, the others are counted."""

TEMPLATE = (Path(__file__).parent / "install.html").read_text(encoding="utf-8")

_BLOCK = re.compile(r"<!--(\w+)-->(.*?)<!--/\1-->", re.DOTALL)
_WORD = re.compile(r"\{\{(\w+)\}\}")
_ACCEPTED = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
_SYSTEMS = (("android", "Android"), ("ios", "iPhone|iPad|iPod"), ("windows", "Windows"), ("macos", "Macintosh"),
            ("linux", "Linux(?!.*CrOS)|X11(?!.*CrOS)"))
"""What is found first in ``User-Agent`` is meant: Android says Linux too. An iPad may say that it is a Mac."""


def content_security_policy(html: str) -> bytes:
    """What lets a browser apply the one style that stands in ``html``, and do nothing else."""
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    known = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in styles)
    return (f"default-src 'none'; style-src {known}; img-src 'self' data:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'").encode()


POLICY = content_security_policy(TEMPLATE)


class Install(Resource):
    """``GET /install``, with ``?lang=en`` or ``?lang=zh``.

    ``authority`` gives the CA as PEM, or None where what the visitor sees is not signed by it; ``trusted`` tells whether
    everybody trusts that. ``base`` gives the public base URL as the visitor sees it, without a slash at its end.
    ``may_draw`` tells whether he may have another QR code now.
    """

    isLeaf = True

    def __init__(
        self, authority: Callable[[IRequest], bytes | None], trusted: Callable[[IRequest], bool],
        base: Callable[[IRequest], str], may_draw: Callable[[IRequest], bool],
    ) -> None:
        super().__init__()
        self._authority = authority
        self._trusted = trusted
        self._base = base
        self._may_draw = may_draw

    def render(self, request: Any) -> bytes:
        """Serve the page, 404 below it; its only relative links are to its siblings, so ``/install/`` is sent on."""
        if request.postpath not in ([], None):
            if request.postpath != [b""]:
                return _plain(request, 404, "There is nothing at this address.")
            request.setHeader(b"Location", b"../install")
            return _plain(request, 308, "This page has no slash at its end.")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"Allow", b"GET, HEAD")
            return _plain(request, 405, "Use GET.")
        chosen = (request.args or {}).get(b"lang", [b""])[-1].decode("latin-1")
        code = chosen if chosen in LANGUAGES else accepted_language(request.getHeader(b"accept-language"))
        for name, value in (
            (b"Content-Type", b"text/html; charset=utf-8"), (b"Content-Language", LANGUAGES[code].tag.encode()),
            (b"Content-Security-Policy", POLICY), (b"Cache-Control", b"no-store"),
            (b"Vary", b"Accept-Language, User-Agent"),
        ):  # fmt: skip
            request.setHeader(name, value)
        agent = (request.getHeader(b"user-agent") or b"").decode("latin-1")
        pem, systems = self._authority(request), visitor_systems(agent)
        drawn = pem is not None and not {"android", "ios"} & set(systems) and self._may_draw(request)
        body = page(code, pem, self._base(request), systems, trusted=self._trusted(request), drawn=drawn).encode()
        request.setHeader(b"Content-Length", b"%d" % len(body))
        return b"" if request.method == b"HEAD" else body


def accepted_language(header: bytes | None) -> str:
    """The language of ours that ``Accept-Language`` wants most (RFC 9110 §12.5.4): ``en`` where it wants none."""
    found = []
    for part in (header or b"").decode("latin-1").split(",")[:50]:
        match = _ACCEPTED.fullmatch(part)
        if match is not None and match[1].lower() in LANGUAGES:
            found.append((float(match[2] or 1), match[1].lower()))
    best = max(found, key=lambda one: one[0], default=(0.0, ""))
    return best[1] if best[0] else "en"


def visitor_systems(agent: str) -> tuple[str, ...]:
    """The systems whose steps a visitor wants to see, by its ``User-Agent``; none if it is not known."""
    for name, pattern in _SYSTEMS:
        if re.search(pattern, agent[:500]):
            return ("firefox", name) if name == "linux" and "Firefox/" in agent else (name,)
    return ()


def page(
    code: str, pem: bytes | None, base: str, systems: tuple[str, ...], *, trusted: bool = True, drawn: bool = True
) -> str:
    """The whole page as HTML: in the language ``code``, about the CA ``pem``, with these systems first and open.

    Without a CA it says that nothing is to be done if what is seen is ``trusted``, else whom to ask. ``drawn``: with a QR
    code of the page, if one can be made.
    """
    language = LANGUAGES[code]
    here = base + INSTALL_PATH
    facts = {"base": escape(base), "page": escape(here), "file": FILE, "tag": language.tag, "left_out": "",
             "none_other": LANGUAGES[language.texts["other_code"]].texts["none_lead" if trusted else "ask_lead"]}
    blocks = {"nothing" if trusted else "ask"}
    if pem is not None:
        drawn = drawn and len(here) <= MAX_QR_CHARS
        certificate = x509.load_pem_x509_certificate(pem)
        names = permitted_names(certificate)
        blocks = {"authority", "any" if names is None else "limited", "code" if drawn else ""}
        facts |= {
            "ca_name": escape(_common_name(certificate)),
            "ca_until": certificate.not_valid_after_utc.date().isoformat(),
            "ca_fingerprint": _groups(fingerprint(pem)),
            "ca_names": _list(names or ()),
            "left_out": str(len(names or ()) - SHOWN_NAMES),
            "qr_code": qr_code(here) if drawn else "",
        }
        if len(names or ()) > SHOWN_NAMES:
            blocks.add("more")
        order = [*systems, *(one for one in ORDER if one not in systems)]
        facts["systems"] = "".join(_system(one, language, facts, own=one in systems) for one in order)
    texts = {name: _fill(text, facts) for name, text in language.texts.items()}
    return _fill(_choose(TEMPLATE, blocks), texts | facts)


def permitted_names(authority: x509.Certificate) -> tuple[str, ...] | None:
    """The names and networks that a CA may sign for; None if nothing limits it (RFC 5280 §4.2.1.10).

    A kind of name of which none is permitted and not all are excluded is not limited at all.
    """
    try:
        limits = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    permitted, excluded = limits.permitted_subtrees or [], limits.excluded_subtrees or []
    hosts = [one.value for one in permitted if isinstance(one, x509.DNSName)]
    networks = [one.value for one in permitted if isinstance(one, x509.IPAddress)]
    no_hosts = any(isinstance(one, x509.DNSName) and not one.value for one in excluded)
    no_networks = {"0.0.0.0/0", "::/0"} <= {str(one.value) for one in excluded if isinstance(one, x509.IPAddress)}
    if not (hosts or no_hosts) or not (networks or no_networks):
        return None
    return (*hosts, *(str(one).removesuffix("/32" if one.version == 4 else "/128") for one in networks))


@functools.lru_cache(64)
def qr_code(link: str) -> str:
    """An SVG to stand in HTML, black on white with a quiet zone."""
    drawn = segno.make(link, error="m", micro=False)
    return str(drawn.svg_inline(border=4, dark="#000", light="#fff", omitsize=True))


def _system(name: str, language: Language, facts: Mapping[str, str], *, own: bool) -> str:
    system, texts = language.systems[name], language.texts
    steps = "".join(f"<li><div>{step}</div></li>" for step in (*system.steps, texts["again"]))
    mark = f'<span class="own">{texts["yours"]}</span>' if own else ""
    notes = "".join(f'<div class="note">{note}</div>' for note in system.notes)
    return _fill(
        f'<details id="{name}"{" open" if own else ""}><summary><h3>{system.name}</h3>{mark}</summary>'
        f'<ol>{steps}</ol>{notes}<p class="note">{texts["removal_at"]}{system.removal}</p></details>\n', facts)


def _common_name(certificate: x509.Certificate) -> str:
    named = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(named[0].value) if named else certificate.subject.rfc4514_string()


def _groups(written: str) -> str:
    """A fingerprint in four lines that are one word when copied."""
    text = f"{written}:"
    groups = [text[start : start + 24] for start in range(0, len(text), 24)]
    return "".join(f"<span>{one}</span>" for one in [*groups[:-1], groups[-1].rstrip(":")])


def _list(names: tuple[str, ...]) -> str:
    return "".join(f"<li>{escape(one)}</li>" for one in names[:SHOWN_NAMES])


def _choose(html: str, kept: AbstractSet[str]) -> str:
    """Of the blocks ``<!--name-->…<!--/name-->`` leave only those that are kept, blocks within blocks too."""
    return _BLOCK.sub(lambda match: _choose(match[2], kept) if match[1] in kept else "", html)


def _fill(html: str, words: Mapping[str, str]) -> str:
    """Put words in place of ``{{name}}``; what is put in is not looked at again."""
    return _WORD.sub(lambda match: words[match[1]], html)


def _plain(request: Any, code: int, text: str) -> bytes:
    request.setResponseCode(code)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return f"{text}\n".encode()
