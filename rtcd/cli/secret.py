"""``rtcd admin-password`` and ``rtcd admin-key``: [admin] is told hashes of passwords and keys, never they themselves."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from typing import Any

from rtcd.admin.keys import MAX_FILE_BYTES, SCOPES, make, parse
from rtcd.cli.editing import Edited
from rtcd.cli.password import add_password, password_of
from rtcd.config import ConfigError


def add_to(verbs: Any) -> None:
    """Add the verbs to the command."""
    hashing = verbs.add_parser(
        "admin-password", help="prints what to write as [admin] password", allow_abbrev=False, description=(
            "Prints the argon2 hash of a password, which is what [admin] password wants."))
    hashing.set_defaults(run=_password)
    add_password(hashing)
    keying = verbs.add_parser(
        "admin-key", help="makes an API key for a program", allow_abbrev=False,
        description="Makes an API key and prints it, once: the file gets its hash alone. SIGHUP, or rtcd reload, makes "
        "the daemon read the file again.",
        epilog="Scopes: " + "; ".join(f"{name}: {text}" for name, text in SCOPES.items()) + ".")
    keying.set_defaults(run=_key)
    keying.add_argument("name", metavar="NAME", help="what the key is for")
    keying.add_argument("--scopes", required=True, metavar="SCOPE[,SCOPE]", help="what it allows, see below")
    keying.add_argument("--file", metavar="FILE", help="the file that [admin] keys-file names; without it the line for it "
                        "is printed too")


def _password(arguments: argparse.Namespace) -> int:
    from rtcd.admin.password import SALT_BYTES, hash_of  # here, since no other verb needs argon2

    try:
        hashed = hash_of(password_of(arguments), secrets.token_bytes(SALT_BYTES))
    except ValueError as error:
        raise ConfigError("", "", str(error)) from None
    sys.stdout.write(f"{hashed}\n")
    return 0


def _key(arguments: argparse.Namespace) -> int:
    try:
        key, line = make(arguments.name, arguments.scopes, secrets.token_urlsafe)
    except ValueError as error:
        raise ConfigError("", "", str(error)) from None
    if arguments.file is None:
        sys.stdout.write(f"{key}\n{line}\n")
        return 0
    with Edited(os.path.abspath(arguments.file), MAX_FILE_BYTES) as file:
        try:
            before = file.data.decode("utf-8-sig")
            after = f"{before}{'' if not before or before.endswith(chr(10)) else chr(10)}{line}\n"
            parse(after)
        except ValueError as error:
            raise ConfigError("", "", f"{arguments.file}: {error}") from None
        file.write(after.encode())
    sys.stdout.write(f"{key}\n")
    return 0
