"""``rtcd user``: who may use the relay with a password of their own, in the file that ``[turn] users-file`` names.

Keys are stored, never passwords. The daemon sees by itself that the file has changed (rtcd.auth.userfile).
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from rtcd.auth.authenticator import keys_of_password
from rtcd.auth.users import MAX_FILE_BYTES, checked_name, decode, names, parse, put, without
from rtcd.cli.editing import Edited
from rtcd.cli.ini import add_config, read_section
from rtcd.cli.password import add_password, password_of
from rtcd.config import ConfigError, section_from
from rtcd.turn.settings import Settings

KEYS = frozenset(("realm", "user", "users-file", "sha256"))
"""What of ``[turn]`` this needs to know."""


def add_to(verbs: Any) -> None:
    """Add the verb to the command."""
    about = "adds, lists and removes users of the relay"
    parser = verbs.add_parser("user", help=about, allow_abbrev=False, description=(
        f"{about.capitalize()}: those in the file that [turn] users-file names. The daemon sees within seconds that it has"
        " changed."))
    whats = parser.add_subparsers(title="what to do", metavar="WHAT", required=True)
    adding = whats.add_parser("add", help="add a user, or change his password", allow_abbrev=False, description=(
        "Adds a user, or changes the password of one. The file gets keys made of name, realm and password, never the"
        " password; they are good for this realm only."))
    listing = whats.add_parser("list", help="show the names, one a line", allow_abbrev=False,
                               description="Shows the names in the file, one a line.")
    removing = whats.add_parser("remove", help="remove a user", allow_abbrev=False, description=(
        "Removes a user. What he has open he can keep up no longer: it ends when its time is over."))
    for one, run in ((adding, add), (listing, show), (removing, remove)):
        one.set_defaults(run=run, realm=None)
        add_config(one)
        one.add_argument("-f", "--file", metavar="FILE", help="the users file, instead of the one that the ini names")
    for one in (adding, removing):
        one.add_argument("name", metavar="NAME", help="the name that the client sends")
    adding.add_argument("-r", "--realm", metavar="REALM", help="the realm of the keys (default: that of the ini)")
    add_password(adding)


def add(arguments: argparse.Namespace) -> int:
    """``rtcd user add``"""
    name = _name(arguments.name)
    path, settings = _found(arguments)
    if name in settings.users():
        raise ConfigError("turn", "user", f"{name!r} is in the ini; change it there, or remove it from there first")
    keys = keys_of_password(name, settings.realm, password_of(arguments))
    with Edited(path, MAX_FILE_BYTES) as file:
        before = _text(file)
        _write(file, settings, before, put(before, name, f"0x{keys.md5.hex()},0x{keys.sha256.hex()}"))
    what = f"{name}: has a new password in" if name in names(before) else f"{name}: is added to"
    sys.stdout.write(f"{what} {path}\n")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """``rtcd user list``"""
    path, _ = _found(arguments)
    with Edited(path, MAX_FILE_BYTES) as file:
        if file.new:
            raise ConfigError("", "", f"{path}: there is no such file; rtcd user add makes it")
        sys.stdout.writelines(f"{one}\n" for one in names(_text(file)))
    return 0


def remove(arguments: argparse.Namespace) -> int:
    """``rtcd user remove``"""
    name = _name(arguments.name)
    path, settings = _found(arguments)
    with Edited(path, MAX_FILE_BYTES) as file:
        before = _text(file)
        if name not in names(before):
            raise ConfigError("", "", f"{path}: {name!r} is not in it; rtcd user list shows who is")
        _write(file, settings, before, without(before, name))
    sys.stdout.write(f"{name}: is removed from {path}\n")
    return 0


def _name(text: str) -> str:
    try:
        return checked_name(text)
    except ValueError as error:
        raise ConfigError("", "", f"{text!r}: {error}") from None


def _found(arguments: argparse.Namespace) -> tuple[str, Settings]:
    """The users file, and what of ``[turn]`` matters. The ini is not needed if the command line tells all."""
    given = {} if arguments.realm is None else {"realm": arguments.realm}
    if arguments.file and not arguments.config and (given or arguments.run is not add):
        return arguments.file, section_from("turn", given, Settings)
    ini, settings = read_section(arguments.config, "turn", Settings, KEYS)
    if given and arguments.realm != settings.realm:
        if not arguments.file:
            raise ConfigError("", "", f"{ini}: [turn] realm is {settings.realm!r}; its users file has keys of that realm")
        return arguments.file, section_from("turn", given, Settings)
    path = arguments.file or settings.users_file
    if not path:
        raise ConfigError("", "", f"{ini}: [turn] users-file: is not set; set it, or name the file with --file")
    return path, settings


def _text(file: Edited) -> str:
    try:
        return decode(file.data)
    except ValueError as error:
        raise ConfigError("", "", f"{file.path}: {error}") from None


def _write(file: Edited, settings: Settings, before: str, after: str) -> None:
    """Write what the daemon would take. A file that it does not take already is not held against this change."""
    fault = _faulty(after, settings)
    if fault and not _faulty(before, settings):
        raise ConfigError("", "", f"{file.path}: {fault}")
    file.write(after.encode())
    if fault:
        sys.stderr.write(f"rtcd: {file.path}: {fault}; until that is mended the daemon does not take the file\n")


def _faulty(text: str, settings: Settings) -> str:
    try:
        parse(text, settings.keys, settings.users())
    except ValueError as error:
        return str(error)
    return ""
