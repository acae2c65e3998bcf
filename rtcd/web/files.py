"""The static files of the page as they lie in its folder: types, compressed forms, and one hash over all of them.

No Twisted: the build of a wheel uses `pack` too. The files are read once at start, since they are few and small.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

STATIC = Path(__file__).parent / "static"

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""What is served, and as what; a file of another kind is not there."""

PACKABLE = frozenset(TYPES) - {".png"}
"""What gets shorter by compressing it."""

SUFFIXES = {"br": ".br", "gzip": ".gz"}
"""Of a file beside the original, by content coding; the best coding first."""

TEMPLATES = frozenset({"index.html", "offline.html", "sw.js"})
"""They are given their parameters for each request, and have addresses of their own."""

JOINED = {"page.css": ("app.css", "stage.css")}
"""Files that are others in a row, so that a page asks once."""

HASH_CHARS = 16


@dataclass(frozen=True, slots=True)
class File:
    """One file."""

    body: bytes
    type: str
    tag: str
    """Changes with the content."""
    packed: Mapping[str, bytes] = field(default_factory=dict)
    """The body by content coding, in the order of `SUFFIXES`."""


def sources(folder: Path = STATIC) -> dict[str, bytes]:
    """The content of every file that is served as it is, by name, with those that are joined."""
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())
             if path.suffix in TYPES and path.name not in TEMPLATES}
    for name, parts in JOINED.items():
        found[name] = b"\n".join(found[one] for one in parts if one in found)
    return found


def read(folder: Path = STATIC) -> Mapping[str, File]:
    """Every file with its compressed forms: those that the wheel brought, else gzip made now.

    One that no longer is that of its file (somebody has changed it where it is installed) is not used.
    """
    found = {}
    for name, body in sources(folder).items():
        suffix = Path(name).suffix
        packed = _brought(folder / name, body) if suffix in PACKABLE else {}
        if suffix in PACKABLE and not packed:
            packed = {"gzip": compress(body)}
        shorter = {key: one for key, one in packed.items() if len(one) < len(body)}
        found[name] = File(body, TYPES[suffix], _hash(body), shorter)
    return MappingProxyType(found)


def whole(files: Mapping[str, File]) -> str:
    """One hash over all files: whoever asks by it gets files that belong together, or none."""
    return _hash(b"".join(f"{name} {one.tag}\n".encode() for name, one in sorted(files.items())))


def compress(body: bytes, level: int = 9) -> bytes:
    """Gzip, the same bytes each time."""
    return gzip.compress(body, level, mtime=0)


def pack(folder: Path, target: Path, brotli: Callable[[bytes], bytes] | None) -> list[Path]:
    """Write the compressed forms of the files of ``folder`` into ``target``, and return what was written."""
    written = []
    for name, body in sources(folder).items():
        if Path(name).suffix in PACKABLE:
            made = {"gzip": compress(body)} | ({"br": brotli(body)} if brotli else {})
            for coding, data in made.items():
                if len(data) < len(body):
                    written.append(target / (name + SUFFIXES[coding]))
                    written[-1].write_bytes(data)
    return written


def _brought(path: Path, body: bytes) -> dict[str, bytes]:
    found = {}
    for coding, suffix in SUFFIXES.items():
        beside = path.with_name(path.name + suffix)
        if beside.is_file():
            found[coding] = beside.read_bytes()
    try:  # both were made of the same original, and gzip can be read here
        return found if gzip.decompress(found["gzip"]) == body else {}
    except (KeyError, OSError, EOFError, ValueError):
        return {}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:HASH_CHARS]
