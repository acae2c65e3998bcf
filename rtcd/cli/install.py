"""``rtcd install``: puts rtcd where it stays, or says what that would take; and takes it away again."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from rtcd.config import ConfigError
from rtcd.install.layout import PREFIX, Layout


def add_to(verbs: Any) -> None:
    """Add the verb to the command."""
    parser = verbs.add_parser("install", help="installs rtcd as a service, or shows what that would do", allow_abbrev=False,
                              description=(
        "Installs rtcd as a service of systemd: the program in a virtual environment of its own, its configuration, its"
        " units, and limits of the kernel. Without --yes it only says what it would do. Run it again after an upgrade: the"
        " configuration is never overwritten, and a unit that was changed by hand stays."))
    parser.set_defaults(run=run)
    parser.add_argument("--yes", action="store_true", help="do it")
    parser.add_argument("--uninstall", action="store_true",
                        help="take away what this command has made and nobody has changed since")
    parser.add_argument("--prefix", metavar="DIR", default=PREFIX,
                        help=f"where the program is, or goes (default: {PREFIX}); /usr puts units and limits below /usr/lib")
    parser.add_argument("--root", metavar="DIR", default="",
                        help="put files below this folder as if it were /, to build a package; no command is run then")
    parser.add_argument("--sockets", action="store_true",
                        help="let systemd hold the ports of HTTPS and HTTP, so that nobody is refused during a restart")
    parser.add_argument("--public-url", metavar="URL", default="",
                        help="for a new configuration: how browsers will reach it, as https://meet.example.org")


def run(arguments: argparse.Namespace) -> int:
    """``rtcd install``"""
    from rtcd.install import plan as plans
    from rtcd.install.doing import carry_out
    from rtcd.install.survey import survey

    try:
        layout = Layout(arguments.prefix.rstrip("/"), os.path.abspath(arguments.root) if arguments.root else "")
        facts = survey(layout)
        plan = plans.removal(layout, facts) if arguments.uninstall else _installation(layout, facts, arguments)
    except ValueError as error:
        raise ConfigError("", "", str(error)) from None
    what = "removed" if arguments.uninstall else "installed"
    where = f" below {layout.root}" if layout.root else ""
    if not arguments.yes:
        _say(f"This is how rtcd would be {what}{where}. Nothing has been changed; add --yes to do it.\n")
        for step in plan.steps:
            _say(f"  {step}")
    elif not plan.changes:
        _say("There is nothing to do.")
    else:
        if not layout.root and os.geteuid() != 0:
            raise ConfigError("", "", "only root may do this; run it with sudo, or leave --yes out to see what it would do")
        partly = None if arguments.uninstall else lambda done: plans.record(facts, done)
        carry_out(layout, plan.steps, _say, partly=partly)
        _say(f"\nrtcd is {what}{where}.")
    _tell(arguments, layout, facts, plan)
    return 0


def _installation(layout: Layout, facts: Any, arguments: argparse.Namespace) -> Any:
    from rtcd.install import plan as plans
    from rtcd.install import shipped
    from rtcd.install.limits import limits
    from rtcd.install.survey import limits_in_force

    ini = shipped.ini(arguments.public_url, sockets=arguments.sockets)
    settings = _settings(facts.files.get(layout.ini), ini)
    buffer = settings["turn"].socket_buffer if settings and "turn" in settings else 0
    return plans.installation(layout, facts, ini, shipped.units(), limits(limits_in_force(layout), buffer),
                              sockets=arguments.sockets)


def _settings(present: bytes | None, ini: str) -> dict[str, Any] | None:
    """By the ini that is there, else by the new one; None if the one that is there is not fit to be read."""
    from rtcd.config import parse
    from rtcd.plugin import plugins
    from rtcd.schemas import SHARED, Schemas

    try:
        settings = parse(ini if present is None else present.decode("utf-8-sig"), Schemas(plugins()))
    except (ConfigError, UnicodeDecodeError) as error:
        if present is None:
            raise ConfigError("", "", f"--public-url: {error}") from None
        return None
    for name, schema in SHARED.items():
        settings.setdefault(name, schema())
    return settings


def _tell(arguments: argparse.Namespace, layout: Layout, facts: Any, plan: Any) -> None:
    """What is left to do, and the ports."""
    if plan.left:
        _say("\nLeft to you:\n")
        for line in plan.left:
            _say(f"    {line}")
    if arguments.uninstall:
        return
    from rtcd.install import shipped
    from rtcd.install.firewall import firewall
    from rtcd.install.ports import planned
    from rtcd.schemas import SHARED
    from rtcd.served import may_open_web
    from rtcd.welcome import ports

    present = facts.files.get(layout.ini)
    settings = _settings(present, shipped.ini(arguments.public_url, sockets=arguments.sockets))
    if settings is None:
        _say(f"\n{layout.ini} has a mistake, so its ports are not known; start rtcd to see which.")
        return
    web = may_open_web(settings, settings.keys() - SHARED.keys())
    directory = planned(settings["doorway"], settings.get("turn"), shipped.units(), web=web)
    _say("\nThese ports must be reachable (firewall, security group, router):\n")
    for line in (*ports(directory), "", *firewall(directory)):
        _say(f"    {line}".rstrip())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
