"""``rtcd status``, ``reload`` and ``drain``: the running daemon itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from rtcd.cli.control import Control, add_control, columns, show


def add_to(verbs: Any) -> None:
    """Add the verbs to the command."""
    for name, about, run in (
            ("status", "says how the running daemon is", _status),
            ("reload", "has the daemon read its configuration and certificates again, and says what changed", _reload),
            ("drain", "has the daemon take nothing new and end with its last call", _drain)):
        parser = verbs.add_parser(name, help=about, allow_abbrev=False,
                                  description=f"{about[0].upper()}{about[1:]}. The daemon has to run.")
        parser.set_defaults(run=run)
        add_control(parser)


def _status(arguments: argparse.Namespace) -> int:
    found = Control(arguments).get("status")
    return show(arguments, found, _status_lines(found))


def _reload(arguments: argparse.Namespace) -> int:
    found = Control(arguments).send("POST", "reload")
    return show(arguments, found, found["lines"])


def _drain(arguments: argparse.Namespace) -> int:
    found = Control(arguments).send("POST", "drain")
    return show(arguments, found, ["The daemon takes nothing new and ends with its last call."])


def _status_lines(found: dict[str, Any]) -> Iterator[str]:
    counts = found["counts"]
    yield f"rtcd {found['version']}, up {_length(found['uptime'])}" + (", draining" if found["draining"] else "")
    yield f"{counts['rooms']} rooms, {counts['seats']} seats, {counts['allocations']} relays"
    for one in found["certificates"]:
        by = "local authority" if one["local"] else "own or issued"
        yield f"certificate for {', '.join(one['names'])}: {one['days_left']:.0f} days left ({by})"
    yield from columns(_node(one) for one in found.get("nodes", ()))
    yield from columns(_store(one) for one in found.get("stores", ()))
    yield from columns((one["service"], one["transport"], _address(one)) for one in found["listeners"])


def _node(one: dict[str, Any]) -> tuple[str, ...]:
    """A TURN node, for people."""
    took = f"{one['ms']:g} ms" if one["ms"] is not None else ""
    return ("TURN node", one["name"], one["region"] or "-", one["state"], one["reason"] or took)


def _store(one: dict[str, Any]) -> tuple[str, ...]:
    """A Redis, for people."""
    shared = f"reached, shared by {one['processes']} processes"
    if one.get("strangers"):  # an older daemon tells of none
        shared += f", {one['strangers']} of them with another [credentials] secret"
    return ("rooms on", one["name"], shared if one["reachable"] else ": ".join(filter(None, ["away", one["reason"]])))


def _address(one: dict[str, Any]) -> str:
    host = f"[{one['host']}]" if ":" in one["host"] else one["host"]
    return f"{host}:{one['port']}" + ("" if one["last_port"] is None else f"-{one['last_port']}")


def _length(seconds: float) -> str:
    minutes = int(seconds) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
