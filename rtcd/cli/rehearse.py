"""``rtcd rehearse``: headless people call each other through the public address, before real ones do."""

from __future__ import annotations

import argparse
import json
import ssl
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from rtcd.cli.ini import add_config, read_section
from rtcd.config import ConfigError

MAX_PEOPLE = 200
"""As many seats as [rooms] max-clients-per-address gives one address by default."""
MAX_SECONDS = 3600
KBPS = range(16, 4001)
RELAYS = ("udp", "tcp", "tls")


def add_to(verbs: Any) -> None:
    """Add the verb to the command."""
    about = "lets headless people call each other, and tells how that went"
    parser = verbs.add_parser("rehearse", help=about, allow_abbrev=False, description=(
        f"{about.capitalize()}: pairs of them join rooms through the public address, talk by relays alone, and hang up."
        " Needs aiortc, the extra named rehearse. Exit code 1: a pair did not connect, or calls were poor."))
    parser.set_defaults(run=run)
    parser.add_argument("--people", metavar="N", type=_people, default=2,
                        help=f"how many, an even number up to {MAX_PEOPLE} (default: 2)")
    parser.add_argument("--relay", choices=RELAYS, default="udp", help="by what they reach the relay (default: udp)")
    parser.add_argument("--url", metavar="URL", help="the address that browsers use (default: [doorway] public-url)")
    parser.add_argument("--seconds", metavar="S", type=_between(1, MAX_SECONDS), default=20,
                        help="how long they talk once all are connected (default: 20)")
    parser.add_argument("--kbps", metavar="K", type=_between(KBPS[0], KBPS[-1]), default=500,
                        help="kbit/s of each one's pictures (default: 500)")
    parser.add_argument("--trust", metavar="FILE", help="an authority to trust besides the public ones, as PEM; the daemon's"
                        " own is ca.crt in its state directory")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """``rtcd rehearse``"""
    url, trust = _url(arguments), _trust(arguments.trust)
    try:
        from rtcd.rehearse import rehearsal
    except ImportError as error:
        missing = (error.name or "aiortc").partition(".")[0]
        raise ConfigError("", "", f"{missing} is not installed; run: {sys.executable} -m pip install aiortc") from None
    wish = rehearsal.Wish(url, arguments.people, arguments.relay, arguments.seconds, arguments.kbps, trust,
                         _limit(arguments.config))
    figures = rehearsal.run(wish, lambda line: None if arguments.json else _say(line))
    if arguments.json:
        _say(json.dumps(figures.record()))
    else:
        for line in figures.lines():
            _say(line)
    if figures.fault is not None:
        sys.stderr.write(f"rtcd: {figures.fault}\n")
        return 1
    return 0


def _url(arguments: argparse.Namespace) -> str:
    url: str | None = arguments.url
    if not url:
        from rtcd.doorway.settings import DoorwaySettings

        path, settings = read_section(arguments.config, "doorway", DoorwaySettings, frozenset(("public-url",)))
        url = settings.public_url
        if not url:
            raise ConfigError("", "", f"{path}: [doorway] public-url is not set; name the address with --url")
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "https" and parts.hostname and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("", "", f"--url: {url!r} is no address of a site; write it like https://meet.example.org")
    return url.rstrip("/")


def _limit(config: str | None) -> int | None:
    """How many calls ports and quota of the daemon's ini allow, two relays a call; None if there is none to read."""
    from rtcd.turn.settings import Settings

    try:
        _, settings = read_section(config, "turn", Settings, frozenset(("min-port", "max-port", "total-quota")))
    except ConfigError:
        return None
    ports = settings.max_port - settings.min_port + 1
    return min(ports, settings.total_quota or ports) // 2


def _trust(path: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if path:
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError("", "", f"--trust: {path}: {error.strerror or 'holds no certificate'}") from None
    return context


def _people(text: str) -> int:
    number = _between(2, MAX_PEOPLE)(text)
    if number % 2:
        raise argparse.ArgumentTypeError(f"{number} is odd, and calls are between two")
    return number


def _between(first: int, last: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not first <= int(text[:9]) <= last:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {first} to {last}")
        return int(text)

    return number


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
