"""Reading AppRTC's ``constants.py`` as a syntax tree; nothing of it is executed.

Plain values are understood: texts, numbers, lists, dictionaries, names that were assigned before, sums, products, and
``'%s' %``. Whatever is computed otherwise is remembered as a name without a value.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from rtcd.importer.facts import Constant, ConstantsFile, IceServer, Instance, Url

KNOWN = re.compile(
    r"^(?:ICE_SERVER_\w+|WSS_INSTANCE\w*|WSS_HOST\w*|TURN_BASE_URL|TURN_URL_TEMPLATE|CEOD_KEY)\s*=", re.MULTILINE)
"""Names that AppRTC alone has."""

MAX_NODES = 20000
"""Of the syntax tree."""

MAX_NUMBER = 10**9
"""Of a factor, for the same reason as this:"""
MAX_TEXT_CHARS = 4096
"""Of a text that is put together of others: adding one to itself again and again makes it of any length."""


class _Unknown:
    """A value that only running the file could tell."""


UNKNOWN = _Unknown()


def is_constants(text: str) -> bool:
    """Whether the text is AppRTC's constants.py."""
    return KNOWN.search(text) is not None


def read_constants(file: str, text: str) -> ConstantsFile:
    """Read the file. Raises ValueError for what is no Python."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno or 1} is no Python 3 ({error.msg}); correct or remove it") from None
    except (ValueError, RecursionError, MemoryError):
        raise ValueError("is no Python 3; name AppRTC's constants.py") from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise ValueError("is longer than any constants.py; name AppRTC's")
    names: dict[str, Constant] = {}
    nodes: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            try:
                value = _value(node.value, names)
            except RecursionError:
                raise ValueError(f"line {node.lineno} is nested too deeply") from None
            names[name] = Constant(None if value is UNKNOWN else value, node.lineno, value is not UNKNOWN)
            nodes[name] = node.value
    override = names.get("ICE_SERVER_OVERRIDE")
    servers = _servers(nodes.get("ICE_SERVER_OVERRIDE"), names)
    return ConstantsFile(
        file, names, tuple(servers), override.line if override is not None and (override.value or not override.plain) else 0,
        tuple(_instances(names, nodes)))


def _value(node: ast.expr, names: dict[str, Constant]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [_value(one, names) for one in node.elts]
        case ast.Dict():
            made = {}
            for key, value in zip(node.keys, node.values, strict=True):
                name = UNKNOWN if key is None else _value(key, names)
                if isinstance(name, str):
                    made[name] = _value(value, names)
            return made
        case ast.Name():
            found = names.get(node.id)
            return found.value if found is not None and found.plain else UNKNOWN
        case ast.BinOp(op=ast.Mod()):
            return _formatted(_value(node.left, names), _value(node.right, names))
        case ast.BinOp(op=ast.Add()):
            left, right = _value(node.left, names), _value(node.right, names)
            return _short(left + right) if isinstance(left, str) and isinstance(right, str) else UNKNOWN
        case ast.BinOp(op=ast.Mult()):
            left, right = _value(node.left, names), _value(node.right, names)
            small = all(isinstance(one, int) and abs(one) <= MAX_NUMBER for one in (left, right))
            return left * right if small else UNKNOWN
    return UNKNOWN


def _formatted(left: Any, right: Any) -> Any:
    """``'%s/x' % name``, and no other: a number between per cent sign and letter could make a text of any length."""
    parts = [right] if isinstance(right, str) else right
    if not isinstance(left, str) or not isinstance(parts, list) or not all(isinstance(one, str) for one in parts):
        return UNKNOWN
    pieces = left.split("%s")
    if len(pieces) != len(parts) + 1 or "%" in "".join(pieces):
        return UNKNOWN
    return _short("".join(piece + part for piece, part in zip(pieces, [*parts, ""], strict=True)))


def _short(text: str) -> Any:
    return text if len(text) <= MAX_TEXT_CHARS else UNKNOWN


def _servers(node: ast.expr | None, names: dict[str, Constant]) -> list[IceServer]:
    found: list[IceServer] = []
    for one in node.elts if isinstance(node, (ast.List, ast.Tuple)) else []:
        if not isinstance(one, ast.Dict):
            continue
        said = {_value(key, names): value for key, value in zip(one.keys, one.values, strict=True)
                if isinstance(key, ast.Constant) and isinstance(key.value, str)}
        urls = said.get("urls", said.get("url"))
        if urls is None:
            continue
        listed = isinstance(urls, (ast.List, ast.Tuple))
        texts = urls.elts if isinstance(urls, (ast.List, ast.Tuple)) else [urls]
        found.append(IceServer(
            tuple(Url(text, each.lineno) for each in texts if isinstance(text := _value(each, names), str)),
            _text(said.get("username"), names), _text(said.get("credential"), names), one.lineno, listed))
    return found


def _text(node: ast.expr | None, names: dict[str, Constant]) -> str:
    value = _value(node, names) if node is not None else ""
    return value if isinstance(value, str) else ""


def _instances(names: dict[str, Constant], nodes: dict[str, ast.expr]) -> list[Instance]:
    """The Colliders: in each dictionary the value whose key is ``WSS_INSTANCE_HOST_KEY``, or whatever that name holds."""
    found: list[Instance] = []
    key = names.get("WSS_INSTANCE_HOST_KEY")
    listing = nodes.get("WSS_INSTANCES") or nodes.get("WSS_HOST_PORT_PAIRS")
    for one in listing.elts if isinstance(listing, (ast.List, ast.Tuple)) else []:
        host = _value(one, names)
        if isinstance(host, dict):
            host = host.get(str(key.value) if key is not None else "host_port_pair")
        if isinstance(host, str):
            found.append(Instance(host, one.lineno))
    return found
