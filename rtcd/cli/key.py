"""``rtcd key``: the key of a long-term credential, as ``turnadmin -k`` prints it (RFC 8489 §9.2.2)."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from rtcd.auth.authenticator import keys_of_password
from rtcd.auth.users import checked_name
from rtcd.cli.password import add_password, password_of
from rtcd.config import ConfigError, section_from
from rtcd.turn.settings import Settings


def add_to(verbs: Any) -> None:
    """Add the verb to the command."""
    about = "prints the key that stands for a password"
    parser = verbs.add_parser("key", help=about, allow_abbrev=False, description=(
        f"{about.capitalize()}: what may be written instead of it in [turn] user, as name:0xKEY, and in coturn's"
        " configuration."))
    parser.set_defaults(run=run)
    parser.add_argument("-u", "--user", metavar="NAME", required=True, help="the name that the client sends")
    parser.add_argument("-r", "--realm", metavar="REALM", required=True, help="the realm of the server")
    parser.add_argument("--sha256", action="store_true", help="the SHA-256 key, not the MD5 key that all servers know")
    add_password(parser)


def run(arguments: argparse.Namespace) -> int:
    """``rtcd key``"""
    try:
        name = checked_name(arguments.user)
    except ValueError as error:
        raise ConfigError("", "", f"{arguments.user!r}: {error}") from None
    realm = section_from("turn", {"realm": arguments.realm}, Settings).realm
    keys = keys_of_password(name, realm, password_of(arguments))
    sys.stdout.write(f"0x{(keys.sha256 if arguments.sha256 else keys.md5).hex()}\n")
    return 0
