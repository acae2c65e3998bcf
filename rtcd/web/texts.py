"""What stands in the page before any script of it runs: its texts in the reader's language, its state, its modules.

Pure: our own HTML and catalogues in, HTML out. The script fills in the same elements by the same rules (texts.js), so that
nothing moves when it starts. Our HTML has double quotes around all attributes, and no element inside one with a text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from html import escape

State = str
"""``landing``, ``green``, ``joining``, ``refused`` or ``error``; of those of the page, the ones it may begin with."""

MODULES = "<!--rtcd:modules-->"
"""Where the links to the modules go."""

_TAG = re.compile(r'<([a-z][a-z0-9]*)((?:\s+[a-zA-Z:-]+(?:="[^"]*")?)*)\s*>([^<]*)')
_ATTRIBUTE = re.compile(r'\s+([a-zA-Z:-]+)(?:="([^"]*)")?')
_ROOT = re.compile(r"<html\b[^>]*>")
_VALUE = re.compile(r"\{\w+\}")
_IMPORT = re.compile(
    r"""(?:^|;)\s*(?:import\s*(?:[\w$*{][^"';()]*?from\s*)?|export\s*(?:\*|\{)[^"';()]*?from\s*)["'](\./[^"']+)["']""",
    re.MULTILINE)


def fill(html: str, catalogue: Mapping[str, str]) -> str:
    """Fill in ``data-text`` (content), ``data-label`` (name, and tooltip of what can be pressed) and ``data-placeholder``.

    A text with a value in it, such as ``{room}``, is left to the script, which knows the value.
    """
    def filled(tag: re.Match[str]) -> str:
        name, attributes, content = tag.groups()
        if "data-" not in attributes:
            return tag[0]
        given = dict(_ATTRIBUTE.findall(attributes))
        more = {}
        label = text(catalogue, given.get("data-label", ""))
        if label:
            more["aria-label"] = label
            if name in ("button", "a"):
                more["title"] = label
        placeholder = text(catalogue, given.get("data-placeholder", ""))
        if placeholder:
            more["placeholder"] = placeholder
        shown = text(catalogue, given.get("data-text", ""))
        inside = escape(shown, quote=False) if shown else content
        added = "".join(f' {key}="{escape(value)}"' for key, value in more.items() if key not in given)
        return f"<{name}{attributes}{added}>{inside}"

    return _TAG.sub(filled, html)


def text(catalogue: Mapping[str, str], key: str) -> str:
    """The text of a key, if it needs no value; else nothing."""
    found = catalogue.get(key, "")
    return "" if _VALUE.search(found) else found


def begin(html: str, language: str, state: State, reason: str = "") -> str:
    """The page in this language and state, to be filled. The stylesheet shows what belongs to the state.

    ``reason``: which of the texts ``{state}.{reason}.title`` and ``.text`` the panel of an error or a refusal has.
    """
    kind = f' data-error="{reason}"' if state == "error" else ' class="in-call"' if state == "joining" else ""
    html = _ROOT.sub(f'<html lang="{language}" data-state="{state}"{kind}>', html, count=1)
    for part in ("title", "text") if reason else ():
        html = html.replace(f'id="{state}-{part}"', f'id="{state}-{part}" data-text="{state}.{reason}.{part}"', 1)
    return html


def modules(files: Mapping[str, str], entry: str) -> list[str]:
    """The modules that ``entry`` imports, and those that these import, nearest first: all are needed before it runs.

    What is imported by calling ``import()`` is wanted later, or never.
    """
    found = [entry]
    for name in found:
        for path in _IMPORT.findall(files.get(name, "")):
            one = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            if one in files and one not in found:
                found.append(one)
    return found[1:]
