"""``rtcd health``: whether the daemon on this machine answers at the ports that its configuration names. For containers and
watchdogs; why it does not is a question for the log."""

from __future__ import annotations

import argparse
import http.client
import importlib
import os
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rtcd.cli.ini import add_config, place
from rtcd.config import ConfigError, gather
from rtcd.environment import merged, overrides, variable
from rtcd.inifile import text_of
from rtcd.initext import NO_INI, Written, scan
from rtcd.served import OPENING, opens_web

ANSWER_S = 5.0
"""Who takes longer is not well."""

PATH = "/healthz"
"""Any answer will do but one of 5xx: what is not there is answered by the daemon too."""

_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}


def add_to(verbs: Any) -> None:
    """Add the verb to the command."""
    about = "asks the daemon on this machine whether it answers"
    parser = verbs.add_parser("health", help=about, allow_abbrev=False, description=(
        f"{about.capitalize()}, by HTTPS and by STUN, as far as its configuration has these. Exit code 1: it does not."))
    parser.set_defaults(run=run)
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing if all is well")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """``rtcd health``"""
    from rtcd.install.ports import planned
    from rtcd.install.shipped import units

    path, found = _found(arguments.config)
    doorway, turn = found["doorway"], found.get("turn")
    directory = planned(doorway, turn, units(), web=opens_web(found, found))
    said = []
    for one in [one for one in directory.listeners("web") if one.transport == "tls"][:1]:
        said.append(_https(_EVERYWHERE.get(one.host, one.host), one.port))
    if turn is not None and turn.stun and not turn.stun_auth:
        for one in [one for one in directory.listeners("turn") if one.transport == "udp" and one.last_port is None][:1]:
            said.append(_stun(_EVERYWHERE.get(one.host, one.host), one.port))
    if not said:
        raise ConfigError("", "", f"{path}: names no port of HTTPS and none of STUN that could be asked")
    if not arguments.quiet:
        sys.stdout.writelines(f"{line}\n" for line in said)
    return 0


@dataclass(frozen=True, slots=True)
class _Named:
    """Stands for the keys of a service of which no more matters than whether it is on."""


class _Schemas(Mapping[str, type[Any]]):
    """The sections that matter here; a module is imported only if its section is there."""

    _modules: ClassVar = {
        "doorway": ("rtcd.doorway.settings", "DoorwaySettings"), "turn": ("rtcd.turn.settings", "Settings"),
        "tls": ("rtcd.tls.settings", "TlsSettings"), "admin": ("rtcd.admin.settings", "Settings")}

    def __getitem__(self, section: str) -> type[Any]:
        if section in OPENING:
            return _Named
        module, name = self._modules[section]
        found: type[Any] = getattr(importlib.import_module(module), name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter([*self._modules, *sorted(OPENING)])

    def __len__(self) -> int:
        return len(self._modules) + len(OPENING)


def _found(config: str | None) -> tuple[str, dict[str, Any]]:
    """What to call the configuration, and the settings of those sections that matter here. Raises `ConfigError`."""
    schemas = _Schemas()
    said = overrides(os.environ, schemas)
    for one in OPENING:  # whose variables turn it on, whatever they say
        if any(name.startswith(f"{variable(one)}_") for name in os.environ):
            said.services.setdefault(one, True)
    path = place(config)
    alone = config is None and not Path(path).exists() and said.turns_on(("doorway", "tls"))
    try:
        written = Written() if alone else scan(text_of(path))
        sections = merged(written, said).sections
        on = OPENING & sections.keys()
        asked = ("doorway", "turn") if on else ("doorway", "turn", "tls", "admin")  # they may be what opens the door
        kept = {one: sections.get(one, {}) for one in asked if one in sections or one == "doorway"}
        found, faults = gather(Written(kept, written.lines, written.faults), schemas, Path(path).parent)
        for fault in faults:
            raise fault
    except ConfigError as error:
        raise ConfigError("", "", error.said(path)) from None
    return (NO_INI if alone else path), {**found, **dict.fromkeys(on)}


def _https(host: str, port: int) -> str:
    """Ask the web server. Raises `ConfigError`. The certificate is for others: by this address nobody else comes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=ANSWER_S, context=context)
    try:
        connection.request("GET", PATH)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise _silent(f"https {host}:{port}", error) from None
    finally:
        connection.close()
    if status >= 500:
        raise ConfigError("", "", f"https {host}:{port}: status {status}")
    return f"https {host}:{port}: answers"


def _stun(host: str, port: int) -> str:
    """Ask for our address. Raises `ConfigError`."""
    from rtcd.stun.message import Class, Method, decode, encode

    transaction = os.urandom(12)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.settimeout(ANSWER_S)
        try:
            one.connect((host, port))
            one.send(encode(Method.BINDING, Class.REQUEST, transaction))
            answer = decode(one.recv(2048))
        except (OSError, ValueError) as error:
            raise _silent(f"stun {host}:{port}", error) from None
    if (answer.method, answer.class_, answer.transaction_id) != (Method.BINDING, Class.SUCCESS, transaction):
        raise ConfigError("", "", f"stun {host}:{port}: answers something else")
    return f"stun {host}:{port}: answers"


def _silent(place: str, error: Exception) -> ConfigError:
    reason = "no answer in time" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or error
    return ConfigError("", "", f"{place}: {reason}")
