"""The operator's own certificates: pairs of files by name, and a directory laid out as certbot lays out its ``live``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from twisted.logger import Logger

from rtcd.config import ConfigError
from rtcd.tls.authority import names_of
from rtcd.tls.chain import Chain, Unreadable, load_chain
from rtcd.tls.names import uncovered
from rtcd.tls.settings import TlsSettings

_log = Logger()

MAX_CERTIFICATES = 100
"""Folders in ``live``; more are refused."""

CHAIN, KEY = "fullchain.pem", "privkey.pem"
"""What certbot calls them."""

Pair = tuple[Path, Path]
"""Certificate and key."""
State = tuple[str, int, int, int]
"""A file and what changes with it."""


def load(settings: TlsSettings, required: Sequence[str], before: Sequence[Chain], now: float) -> list[Chain]:
    """Read and check them all; one of them has to be for each of the ``required`` hosts. Raises `ConfigError`.

    In ``live`` one that cannot be used is no reason to do without the others: the site may have been given up. If it is
    among those ``before``, which are in service, it stays in service while it is valid.
    """
    named, live = pairs(settings)
    several = len(named) + len(live) > 1
    chains = [load_chain(cert, key, settings.key_password, now, several=several) for cert, key in named]
    for cert, key in live:
        try:
            chains.append(load_chain(cert, key, settings.key_password, now, several=several))
        except ConfigError as error:  # of a site that was given up, perhaps; what is needed is looked for below
            kept = [one for one in before if one.origin == str(cert) and one.days_left(now) > 0]
            if len(live) == 1 and not named and not kept:
                raise
            chains += kept
            _log.warn("{reason}; {what}", reason=str(error), what="the one before stays" if kept else "it is left out")
    missing = uncovered([*required, *settings.names], [names_of(one.certificates[0]) for one in chains])
    if missing:
        found = sorted({name for one in chains for name in names_of(one.certificates[0])})
        raise ConfigError(
            "tls", "live" if settings.live and not settings.cert else "cert",
            f"no certificate is for {missing[0]}, only for {', '.join(found) or 'no name at all'}; get one that is, or "
            f"{'correct [doorway] public-url' if missing[0] in required else 'take it out of names'}")
    return chains


def pairs(settings: TlsSettings) -> tuple[list[Pair], list[Pair]]:
    """The files of each certificate: those named one by one, and those of ``live``. Raises `ConfigError`."""
    named = [(Path(cert), Path(key)) for cert, key in zip(settings.cert, settings.key, strict=True)]
    live = list(_live(Path(settings.live))) if settings.live else []
    if settings.live and not live:
        raise Unreadable("tls", "live", f"{settings.live} has no folder with {CHAIN} and {KEY}; name certbot's directory")
    return named, live


def look(settings: TlsSettings) -> list[State | None]:
    """What tells that a file has changed. Never raises: None is a file that cannot be seen."""
    try:
        named, live = pairs(settings)
    except ConfigError:
        return [None]
    return [_state(path) for pair in (*named, *live) for path in pair]


def _live(directory: Path) -> Iterator[Pair]:
    try:
        folders = sorted(one for one in directory.iterdir() if one.is_dir())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Unreadable("tls", "live", f"{directory} cannot be read ({reason}); check the path, and that the daemon's "
                         "user may read it and what it links to") from None
    if len(folders) > MAX_CERTIFICATES:
        raise ConfigError("tls", "live", f"{directory} has more than {MAX_CERTIFICATES} folders; name the right one")
    for folder in folders:
        if os.path.lexists(folder / CHAIN) and os.path.lexists(folder / KEY):  # links that cannot be followed are a fault
            yield folder / CHAIN, folder / KEY


def _state(path: Path) -> State | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return str(path), status.st_mtime_ns, status.st_ino, status.st_size
