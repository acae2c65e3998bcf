"""`main`: reads the command line and hands over to the verb.

A verb is a module with ``add_to(verbs)``, which adds its parser and sets ``run`` to a function that takes the arguments
and returns the exit code: 0 for done, 1 for not done, with one line that says why. A wrong command line is 2.
What a verb alone needs is imported where it runs, so that the others stay quick; none may import the reactor here.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from rtcd import __version__
from rtcd.cli import (
    calls,
    check_config,
    doctor,
    health,
    import_,
    install,
    key,
    rehearse,
    rooms,
    secret,
    upkeep,
    user,
)
from rtcd.config import ConfigError

VERBS = (doctor, upkeep, rooms, calls, check_config, import_, install, health, rehearse, user, key, secret)


def parser() -> argparse.ArgumentParser:
    """Of the whole command."""
    made = argparse.ArgumentParser(
        prog="rtcd", description="Looks after rtcd. The daemon itself is started with: twistd rtcd --config FILE",
        epilog="rtcd VERB --help tells more. Exit codes: 0 done, 1 not done, 2 wrong command line.", allow_abbrev=False)
    made.add_argument("--version", action="version", version=f"rtcd {__version__}")
    verbs = made.add_subparsers(title="verbs", metavar="VERB", required=True)
    for one in VERBS:
        one.add_to(verbs)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. A wrong command line and ``--help`` raise SystemExit."""
    found = parser().parse_args(arguments)
    try:
        code: int = found.run(found)
        sys.stdout.flush()
    except ConfigError as error:
        sys.stderr.write(f"rtcd: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nrtcd: interrupted\n")
        return 1
    except BrokenPipeError:  # who read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
