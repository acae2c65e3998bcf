"""Where a password comes from: a prompt, a file, standard input, or, if one insists, the command line."""

from __future__ import annotations

import argparse
import getpass
import sys
import unicodedata
import warnings
from codecs import BOM_UTF8
from typing import BinaryIO

from rtcd.config import ConfigError

MAX_PASSWORD_BYTES = 1024
"""Nobody types more, and a file that holds more is no password."""


def add_password(parser: argparse.ArgumentParser) -> None:
    """Add the ways to give a password; without any of them it is asked for."""
    ways = parser.add_argument_group(
        "password", "Without one of these it is asked for at the terminal, and not shown.").add_mutually_exclusive_group()
    ways.add_argument("--password-file", metavar="FILE", help="read it from a file of one line")
    ways.add_argument("--stdin", action="store_true", help="read it from standard input, one line")
    ways.add_argument("-p", "--password", metavar="PASSWORD",
                      help="the password itself; others on this machine can see it while the command runs, and your"
                           " shell may keep it")


def password_of(arguments: argparse.Namespace, *, again: bool = True) -> str:
    """The password that was given or typed, twice if it is a new one. Raises ConfigError."""
    if arguments.password is not None:
        text: str = arguments.password
    elif arguments.stdin:
        text = _line(sys.stdin.buffer, "standard input")
    elif arguments.password_file is not None:
        try:
            with open(arguments.password_file, "rb") as file:
                text = _line(file, arguments.password_file)
        except OSError as error:
            raise ConfigError("", "", f"{arguments.password_file}: cannot be read ({error.strerror})") from None
    else:
        text = _typed(again)
    if not text or any(unicodedata.category(one) in ("Cc", "Cs") for one in text):
        raise ConfigError("", "", "a password is not empty and has no control characters (RFC 8265)")
    if len(text.encode()) > MAX_PASSWORD_BYTES:
        raise ConfigError("", "", f"a password has at most {MAX_PASSWORD_BYTES} bytes")
    return text


def _typed(again: bool) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would be shown
            first = getpass.getpass("Password: ")
            second = getpass.getpass("Once more: ") if again else first
    except (getpass.GetPassWarning, EOFError):
        raise ConfigError("", "", "there is no terminal to ask at; use --stdin or --password-file") from None
    if first != second:
        raise ConfigError("", "", "the two passwords differ; try again")
    return first


def _line(file: BinaryIO, name: str) -> str:
    data = file.read(len(BOM_UTF8) + MAX_PASSWORD_BYTES + 3).removesuffix(b"\n").removesuffix(b"\r")
    if b"\n" in data:
        raise ConfigError("", "", f"{name}: holds more than one line; write the password alone")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("", "", f"{name}: is not UTF-8") from None
