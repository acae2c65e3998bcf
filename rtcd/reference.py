"""The page of all options, made from the ``Settings`` that the daemon reads the ini with, as ``sample`` makes the ini.

``python -m rtcd.reference`` prints it; the documentation's build takes it in both languages. What is said of options comes
from the schema in English; a catalogue (section to key to text) has another language's, and what it lacks stays English.
"""

from __future__ import annotations

import dataclasses
import html
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from rtcd.config import key_of, show
from rtcd.sample import about, bounds, shipped_schemas

Catalogue = Mapping[str, Mapping[str, str]]
"""Section to key to text; the text of the section itself is at the empty key."""

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "All options",
        "introduction": "Every section and key of the ini, with its default. A section named after a service turns that "
                        "service on. Several values go on lines of their own below the key, indented. An unknown section "
                        "or key is an error. The same is in the shipped `etc/rtcd.ini`.",
        "reload": "reload",
        "restart": "restart",
        "key": "**reload**: a changed value is in force after SIGHUP (`systemctl reload rtcd`). **restart**: it waits for "
               "the next start. The log says it as well, for each key that has changed.",
        "bool": "yes or no", "int": "whole number", "float": "number", "str": "text", "tuple": "values, one a line",
        "unset": "unset", "none": "none", "default": "default", "secret": "secret",
        "file": "`{key}-file` names a file that holds it instead.",
    },
    "zh": {
        "title": "全部选项",
        "introduction": "ini 文件的每一节、每一个键及其默认值。以某项服务命名的节会启用该服务。"
                        "多个值各占一行，写在键的下方并缩进。未知的节或键会报错。随附的 `etc/rtcd.ini` 里也有同样的内容。",
        "reload": "重新加载",
        "restart": "重启",
        "key": "**重新加载**：改动在 SIGHUP（`systemctl reload rtcd`）之后即生效。"
               "**重启**：要等下次启动。日志也会对每个改动过的键说明这一点。",
        "bool": "yes 或 no", "int": "整数", "float": "数字", "str": "文本", "tuple": "多个值，每行一个",
        "unset": "未设置", "none": "无", "default": "默认", "secret": "机密",
        "file": "也可以用 `{key}-file` 指定存放该值的文件。",
    },
}

RESTART: dict[str, frozenset[str] | None] = {
    "daemon": None, "doorway": None, "signaling": frozenset({"path", "post-path"}),
    "log": frozenset(), "tls": frozenset(), "acme": frozenset(), "rooms": frozenset(), "credentials": frozenset(),
    "web": frozenset(), "ice": frozenset(), "metrics": frozenset({"listen", "health"}),
    "check": frozenset(), "admin": frozenset({"socket"}),
}
"""Which keys of a section a reload does not take, as a test finds them; None: no key but those in `LIVE`. A section that
is not here has fields named in its module's ``LIVE``, or nothing is said of it."""

LIVE = {"daemon": frozenset({"drain-timeout"}), "doorway": frozenset[str]()}


def reference(schemas: Mapping[str, type[Any]], language: str = "en", catalogue: Catalogue | None = None) -> str:
    """The page in Markdown: a heading for each section, a list of its options, each with the anchor ``section-key``."""
    words, found = WORDS[language], catalogue or {}
    lines = [f"# {words['title']}", "", words["introduction"], "", words["key"]]
    for section, schema in schemas.items():
        texts = found.get(section, {})
        lines += ["", f"## [{section}] {{ #{section} }}", "", _escaped(texts.get("") or about(section, schema)), "",
                  '<dl class="options">']
        for field in dataclasses.fields(schema):
            lines += _option(section, schema, field, language, texts.get(key_of(field)))
        lines += ["</dl>"]
    return "\n".join(lines) + "\n"


def is_taken(section: str, schema: type[Any], field: dataclasses.Field[Any]) -> bool | None:
    """Whether a reload takes this option; None if it is not known."""
    key = key_of(field)
    if section in RESTART:
        kept = RESTART[section]
        return key in LIVE[section] if kept is None else key not in kept
    live = getattr(sys.modules[schema.__module__], "LIVE", None)
    return None if live is None else field.name in live


def _option(
    section: str, schema: type[Any], field: dataclasses.Field[Any], language: str, text: str | None
) -> Iterator[str]:
    key, meta, words = key_of(field), field.metadata, WORDS[language]
    facts = [_kind(schema, field, words)]
    facts += [limits] if (limits := bounds(meta["minimum"], meta["maximum"], language)) else []
    facts += [f"{words['default']} {_default(field, words)}"]
    facts += [words["secret"]] if meta["secret"] else []
    taken = is_taken(section, schema, field)
    facts += [] if taken is None else [words["reload" if taken else "restart"]]
    said = text or meta["text"].removesuffix(f" One of: {', '.join(meta['choices'])}.")
    more = words["file"].format(key=key) if meta["from_file"] else ""
    anchor = f"{section}-{key}"
    yield f'<dt id="{anchor}"><a href="#{anchor}"><code>{key}</code></a> <span>{" · ".join(facts)}</span></dt>'
    yield f"<dd>{_escaped(said)}{f' {_code(more)}' if more else ''}</dd>"


def _kind(schema: type[Any], field: dataclasses.Field[Any], words: Mapping[str, str]) -> str:
    if field.metadata["choices"]:
        return ", ".join(f"<code>{_escaped(one)}</code>" for one in field.metadata["choices"])
    kind = typing.get_type_hints(schema)[field.name]
    if isinstance(kind, types.UnionType):
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    return words[(typing.get_origin(kind) or kind).__name__]


def _default(field: dataclasses.Field[Any], words: Mapping[str, str]) -> str:
    values = [one.strip() for one in show(field.default).split("\n") if one.strip()]
    if not values:
        return words["none" if isinstance(field.default, tuple) else "unset"]
    return ", ".join(f"<code>{_escaped(one)}</code>" for one in values)


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _code(text: str) -> str:
    """Backquotes as HTML: Markdown does not look into blocks of it."""
    before, mark, after = _escaped(text).partition("`")
    inside, _, after = after.partition("`")
    return f"{before}<code>{inside}</code>{after}" if mark else before


if __name__ == "__main__":
    sys.stdout.write(reference(shipped_schemas()))
