"""``rtcd doctor``: what is wrong with this installation, how it is known, and what mends it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from rtcd.cli.ini import add_config, place
from rtcd.config import ConfigError
from rtcd.doctor.finding import CHECKS

WAIT_S = 300.0
TIMEOUT_S = 20.0
"""Most checks take milliseconds; of the rest a resolver that does not answer takes longest."""


def add_to(verbs: Any) -> None:
    """Add the verb to the command."""
    about = "says what is wrong, how it is known, and what mends it"
    parser = verbs.add_parser("doctor", help=about, allow_abbrev=False, description=(
        "Examines configuration, names, certificate, ports, firewall, relay and signalling, beside a running daemon or"
        " before its first start. It changes nothing. As root it sees most."),
        epilog="Exit codes: 0 all is well, 1 something is degraded, 2 something is broken.")
    parser.set_defaults(run=run)
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print an object for programs")
    parser.add_argument("--language", choices=("en", "zh"), help="of the texts (default: as LC_ALL or LANG says)")
    parser.add_argument("--only", metavar="CHECK", action="append", choices=CHECKS[:-1], default=[],
                        help=f"this check alone; may be given again. One of: {', '.join(CHECKS[:-1])}")
    parser.add_argument("--state", metavar="DIRECTORY", help="the state directory, if it is not found by itself")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=TIMEOUT_S,
                        help=f"for all checks, which run at once (default: {TIMEOUT_S:.0f})")
    parser.add_argument("--time-from", metavar="URL",
                        help="compare the clock with the Date of this web server; nobody is asked otherwise")
    parser.add_argument("--trust", metavar="PEM", help="certificates of further authorities that your devices trust")
    parser.add_argument("--user", metavar="NAME", help="try the relay as this user, not with a fresh time-limited name")
    parser.add_argument("--password-file", metavar="FILE", help="the user's password, one line; without it it is asked for")
    parser.add_argument("--wait", metavar="SECONDS", type=float, nargs="?", const=WAIT_S, help=(
        f"then tell what phones find at the page /check, for so long (default: {WAIT_S:.0f}); the daemon needs [admin]"))
    parser.add_argument("--socket", metavar="PATH", help="for --wait: the daemon's, if it is not that of its configuration")


def run(arguments: argparse.Namespace) -> int:
    """``rtcd doctor``"""
    from rtcd.doctor.examination import checks, examine
    from rtcd.doctor.facts.subject import examined
    from rtcd.doctor.finding import exit_code
    from rtcd.doctor.report import as_json, as_text, language_of

    arguments.password = _password(arguments) if arguments.user else ""
    ini = Path(place(arguments.config))
    subject = examined(arguments, ini, time.time, named=arguments.config is not None)
    only = [*arguments.only, "configuration"] if arguments.only and subject.configuration.facts.faults else arguments.only
    found = examine(checks(subject, time.monotonic), only, time.monotonic, max(1.0, arguments.timeout))
    language = language_of(arguments.language, os.environ)
    code = exit_code(found)
    if arguments.wait is None:
        _write(as_json(found, language) if arguments.json else as_text(found, language))
        return code
    _write(json.dumps(json.loads(as_json(found, language)), ensure_ascii=False) + "\n" if arguments.json
           else as_text(found, language))
    return max(code, _wait(arguments, subject, language))


def _wait(arguments: argparse.Namespace, subject: Any, language: str) -> int:
    """That it cannot be waited is said in one line, and does not hide what was found."""
    from rtcd.cli.control import Control
    from rtcd.cli.waiting import wait

    public = subject.public
    url = f"{public.url}/check" if public is not None else ""
    try:
        return wait(Control(arguments), url, language, max(1.0, arguments.wait), _write, time.monotonic, time.sleep,
                    as_json=arguments.json)
    except ConfigError as error:
        sys.stderr.write(f"{error.said('rtcd doctor --wait')}\n")
        return 1


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def _password(arguments: argparse.Namespace) -> str:
    from rtcd.cli.password import password_of

    given = argparse.Namespace(password=None, stdin=False, password_file=arguments.password_file)
    return password_of(given, again=False)
