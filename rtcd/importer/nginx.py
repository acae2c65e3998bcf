"""Reading ``nginx.conf``: its grammar, and of its servers what matters to rtcd.

The grammar is small: words, ended by ``;`` or by a block in braces; quotes, ``\\`` and ``#`` as everywhere. What is
broken is remembered and read on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from rtcd.importer.facts import Listen, Location, NginxFile, NginxServer, Url

MAX_DEPTH = 20
MAX_TOKENS = 50000
"""nginx itself takes more; no configuration of a site has them."""

_BLOCK = re.compile(
    r"^[ \t]*(?:http|events|server|stream|upstream[ \t]+\S{1,200}|location[ \t]+[^{;\n]{1,200})\s{0,40}\{", re.MULTILINE)
_TOKEN = re.compile(r"""
    (?P<space>\s+) | (?P<comment>\#[^\n]*) | (?P<mark>[{};]) |
    "(?P<double>(?:\\.|[^"\\])*)" | '(?P<single>(?:\\.|[^'\\])*)' |
    (?P<word>(?:\\.|\$\{[^}\s]*\}|[^\s;{}])+) | (?P<stray>.)
""", re.VERBOSE | re.DOTALL)
_QUIET = {"events", "worker_processes", "user", "pid", "include", "default_type", "http", "server", "upstream", "location",
          "listen", "server_name", "return", "rewrite", "proxy_pass", "proxy_set_header", "proxy_http_version",
          "ssl_certificate", "ssl_certificate_key", "ssl_ciphers", "ssl", "worker_connections", "map"}
_LOCAL = {"*": "", "0.0.0.0": "", "::": "", "localhost": "127.0.0.1"}  # read, not listened on
_OPAQUE = {"stream", "map", "types", "geo", "split_clients", "mail"}
"""Blocks that hold no site: what is in them are no directives, or not those of HTTP."""


@dataclass(slots=True)
class Directive:
    """A name, its words, and its block if it has one."""

    name: str
    words: list[str]
    line: int
    block: list[Directive] = field(default_factory=list)
    opened: bool = False


def is_nginx(text: str) -> bool:
    """Whether the text is a configuration of nginx."""
    return _BLOCK.search(text) is not None and ";" in text


def tokens(text: str) -> Iterator[tuple[str, int, bool]]:
    """Words and marks with their lines; the third is True for ``{``, ``}`` and ``;`` themselves."""
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "mark":
            yield match[0], line, True
        elif kind in ("double", "single"):
            yield re.sub(r"\\(.)", r"\1", match[kind], flags=re.DOTALL), line, False
        elif kind in ("word", "stray"):
            yield match[0], line, False
        line += match[0].count("\n")


def parse(text: str) -> tuple[list[Directive], list[Url]]:
    """The tree of directives, and what is broken. Raises ValueError for what is too much."""
    top: list[Directive] = []
    blocks, broken = [top], []
    words: list[str] = []
    first = 0
    for count, (token, line, mark) in enumerate(tokens(text)):
        if count > MAX_TOKENS:
            raise ValueError(f"has more than {MAX_TOKENS} words; name the file of the site alone")
        if not mark:
            first = first if words else line
            words.append(token)
            continue
        if token == "}":
            if words:
                broken.append(Url(f"{words[0]} has no ; behind it", first))
                blocks[-1].append(Directive(words[0], words[1:], first))
                words = []
            if len(blocks) > 1:
                blocks.pop()
            else:
                broken.append(Url("a closing brace has no opening one", line))
        elif words:
            made = Directive(words[0], words[1:], first, opened=token == "{")
            blocks[-1].append(made)
            words = []
            if token == "{":
                if len(blocks) > MAX_DEPTH:
                    raise ValueError(f"line {line} is nested more than {MAX_DEPTH} deep")
                blocks.append(made.block)
        elif token == "{":
            broken.append(Url("a block has no name", line))
            made = Directive("", [], line, opened=True)
            if len(blocks) > MAX_DEPTH:
                raise ValueError(f"line {line} is nested more than {MAX_DEPTH} deep")
            blocks.append(made.block)
    if words:
        broken.append(Url(f"{words[0]} has no ; behind it", first))
        blocks[-1].append(Directive(words[0], words[1:], first))
    if len(blocks) > 1:
        broken.append(Url("a brace is not closed", text.count("\n") + 1))
    return top, broken


def read_nginx(file: str, text: str) -> NginxFile:
    """Read the file. Raises ValueError for what is too much."""
    tree, broken = parse(text)
    servers: list[NginxServer] = []
    upstreams: dict[str, tuple[str, ...]] = {}
    others: list[Url] = []

    def walk(block: list[Directive], outer: list[Directive]) -> None:
        for one in block:
            if one.name == "server" and one.opened:
                servers.append(_server(one, outer))
            elif one.name == "upstream" and one.words:
                upstreams[one.words[0]] = tuple(each.words[0] for each in one.block if each.name == "server" and each.words)
                continue
            if one.name not in _QUIET:
                others.append(Url(one.name, one.line))
            if one.name in _OPAQUE:
                continue
            walk(one.block, [*outer, *one.block] if one.name == "http" else outer)

    walk(tree, [])
    return NginxFile(file, tuple(servers), upstreams, tuple(others), tuple(broken))


def _server(server: Directive, outer: list[Directive]) -> NginxServer:
    block = server.block
    inherited = [*outer, *block]
    ssl_on = any(one.name == "ssl" and one.words[:1] == ["on"] for one in block)
    names = tuple(word for one in block if one.name == "server_name" for word in one.words if word not in ("_", ""))
    redirects = [Url(" ".join(one.words), one.line) for one in _within(block)
                 if (one.name == "return" and one.words and one.words[0] in ("301", "302", "303", "307", "308"))
                 or (one.name == "return" and one.words and one.words[0].startswith("http"))
                 or (one.name == "rewrite" and one.words[-1:] in (["permanent"], ["redirect"]))]
    said = [one for one in block if one.name == "listen" and one.words]
    sockets = tuple(Url(one.words[0], one.line) for one in said if one.words[0].startswith("unix:"))
    listens = tuple(_listen(one, ssl_on) for one in said if not one.words[0].startswith("unix:"))
    return NginxServer(
        server.line, listens if said else (Listen(80, ssl_on, server.line),), names,
        tuple(_location(one, inherited) for one in _within(block) if one.name == "location"), tuple(redirects),
        _last(inherited, "ssl_certificate"), _last(inherited, "ssl_certificate_key"), _last(inherited, "ssl_ciphers"),
        sockets)


def _within(block: list[Directive]) -> Iterator[Directive]:
    """A block's directives and those of the blocks in it; `parse` has bounded their depth."""
    for one in block:
        yield one
        yield from _within(one.block)


def _listen(one: Directive, ssl_on: bool) -> Listen:
    """``80``, ``*:80``, ``192.0.2.1``, ``192.0.2.1:80``, ``[::1]``, ``[::1]:80`` or a name."""
    text = one.words[0]
    host, _, port = ("", "", text) if text.isdigit() else text.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        host, port = text, "80"
    host = host.strip("[]")
    tls = ssl_on or "ssl" in one.words[1:] or "quic" in one.words[1:]
    return Listen(int(port), tls, one.line, _LOCAL.get(host, host))


def _location(one: Directive, inherited: list[Directive]) -> Location:
    passed = [each for each in one.block if each.name == "proxy_pass" and each.words]
    own = [each for each in one.block if each.name == "proxy_set_header" and len(each.words) > 1]
    headers = own or [each for each in inherited if each.name == "proxy_set_header" and len(each.words) > 1]
    said = {each.words[0].lower(): each for each in headers}
    host = said.get("host")
    return Location(
        one.words[-1] if one.words else "", one.line, passed[-1].words[0] if passed else "", "upgrade" in said,
        host.words[1] if host is not None else "", host.line if host is not None else one.line)


def _last(block: list[Directive], name: str) -> Url | None:
    found = [one for one in block if one.name == name and one.words]
    return Url(found[-1].words[0], found[-1].line) if found else None
