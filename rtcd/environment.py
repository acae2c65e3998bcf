"""Keys of the ini that are set by environment variables: ``RTCD_SECTION_KEY``, as containers like it.

Dashes are underscores in it and letters capitals, so ``[turn] relay-ip`` is ``RTCD_TURN_RELAY_IP``, and the file of a secret
``RTCD_CREDENTIALS_SECRET_FILE``. What is set goes before the ini. ``RTCD_SECTION`` alone, yes or no, turns a service on
or off. Other variables that begin with ``RTCD_`` are nobody's business here, unless they look like a slip of the pen.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtcd.config import YES_OR_NO, ConfigError, file_keys, key_of
from rtcd.initext import Value, Written

PREFIX = "RTCD_"

NEAR = 0.75
"""How alike a word has to be to a section to be taken for it misspelt; `RTCD_REQUIRE_…` is for nobody."""

_LINKS = ("tcp://", "udp://", "sctp://")
_KUBERNETES = re.compile(r"RTCD_\w+?(?:_SERVICE_(?:HOST|PORT)(?:_\w+)?|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)")


@dataclass(slots=True)
class Overrides:
    """Section to key to value, the keys of the ini that no longer count, which services are turned on or off, what is
    wrong, and which variables are not ours."""

    sections: dict[str, dict[str, Value]] = field(default_factory=dict)
    replaced: set[tuple[str, str]] = field(default_factory=set)
    services: dict[str, bool] = field(default_factory=dict)
    faults: list[ConfigError] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def turns_on(self, shared: Collection[str] = ()) -> bool:
        """Whether a service is turned on, so that no ini is needed. ``shared`` are the sections that are none."""
        off = {one for one, on in self.services.items() if not on}
        return bool((self.sections.keys() | self.services.keys()) - off - set(shared))


def variable(section: str, key: str = "") -> str:
    """The variable that sets a key, or turns a section on."""
    return PREFIX + (f"{section}_{key}" if key else section).upper().replace("-", "_")


def overrides(
    environment: Mapping[str, str], schemas: Mapping[str, type[Any]], shared: Collection[str] = ()
) -> Overrides:
    """Read the environment. ``shared`` are the sections that are in force in any case. Never raises; only the schemas of
    sections that are named are asked for."""
    found = Overrides()
    for name in sorted(one for one in environment if one.startswith(PREFIX)):
        section = _section(name, schemas)
        if section is None:
            _unknown(found, name, schemas)
        elif name == variable(section):
            _switch(found, name, environment[name], section, shared)
        else:
            _set(found, name, environment[name], section, schemas)
    return found


def merged(written: Written, found: Overrides) -> Written:
    """The ini with the environment's values in the place of its own, and the faults of both."""
    made = Written({one: dict(values) for one, values in written.sections.items()}, written.lines,
                   [*written.faults, *found.faults])
    for section, values in found.sections.items():
        kept = {key: value for key, value in made.sections.get(section, {}).items() if (section, key) not in found.replaced}
        made.sections[section] = kept | values
    for section, on in found.services.items():
        if on:
            made.sections.setdefault(section, {})
        else:
            made.sections.pop(section, None)
    return made


def _section(name: str, schemas: Mapping[str, type[Any]]) -> str | None:
    """The section of a variable: the longest one, if one's name begins with another's."""
    fitting = [one for one in schemas if name == variable(one) or name.startswith(variable(one) + "_")]
    return max(fitting, key=len, default=None)


def _switch(found: Overrides, name: str, text: str, section: str, shared: Collection[str]) -> None:
    value = YES_OR_NO.get(text.strip().lower())
    if section in shared:
        found.faults.append(ConfigError(section, "", "is in force always; set its keys, or unset this", source=name))
    elif value is None:
        found.faults.append(ConfigError(section, "", "is not yes or no, which turn the service on and off",
                                        source=name))
    else:
        found.services[section] = value


def _set(found: Overrides, name: str, text: str, section: str, schemas: Mapping[str, type[Any]]) -> None:
    try:
        schema = schemas[section]
    except ConfigError as fault:  # a plugin that cannot be imported
        fault.source = name
        found.faults.append(fault)
        return
    keys = {variable(section, one): one for one in known_keys(schema)}
    if name in keys and not text.startswith(_LINKS):
        key = keys[name]
        found.sections.setdefault(section, {})[key] = Value(text, source=name)
        files = file_keys(schema)
        target = files.get(key, key)
        found.replaced |= {(section, one) for one in (target, *(one for one in files if files[one] == target))}
        return
    if text.startswith(_LINKS) or (name not in keys and _KUBERNETES.fullmatch(name)):
        mend = (f"Kubernetes and Docker make such variables for a service named rtcd-{section}: set enableServiceLinks to"
                " false, or name that service otherwise")
        found.faults.append(ConfigError(section, "", f"is no setting; {mend}", source=name))
        return
    front = variable(section) + "_"
    near = difflib.get_close_matches(name.removeprefix(front), [one.removeprefix(front) for one in keys], 1)
    meant = f", did you mean {front}{near[0]}?" if near else ""
    found.faults.append(ConfigError(section, "", f"sets no key{meant}; correct or unset it", source=name))


def known_keys(schema: type[Any]) -> list[str]:
    """Every key that the section may have."""
    return [*(key_of(one) for one in dataclasses.fields(schema)), *file_keys(schema)]


def _unknown(found: Overrides, name: str, schemas: Mapping[str, type[Any]]) -> None:
    words = name.removeprefix(PREFIX).lower().split("_")
    heads = {"_".join(words[:count]): "_".join(words[count:]) for count in range(1, min(len(words), 4) + 1)}
    sections = {one.replace("-", "_"): one for one in schemas}
    for head, rest in heads.items():
        near = difflib.get_close_matches(head, sections, 1, NEAR)
        if near:
            found.faults.append(ConfigError(
                "", "", f"no section has this name, did you mean {variable(sections[near[0]], rest)}?; correct or unset it",
                source=name))
            return
    found.others.append(name)
