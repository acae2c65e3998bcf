"""`Subject`: what is examined: one ini, its daemon, this machine; and what several checks have to know, found out once."""

from __future__ import annotations

import argparse
import ipaddress
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from rtcd.daemon import state_directory
from rtcd.doctor.checks import daemon
from rtcd.doctor.checks.ports import Wanted
from rtcd.doctor.facts import configuration, process
from rtcd.doctor.facts import places as places_of
from rtcd.doctor.facts.places import PROXY, Places
from rtcd.front.origin import Base, parse_public_url
from rtcd.initext import NO_INI
from rtcd.machine import own_addresses
from rtcd.ranges import parse_ranges, within
from rtcd.served import may_open_web

T = TypeVar("T")

INSTALLED_STATE = Path("/var/lib/rtcd")
"""Where the unit keeps it."""


class Once(Generic[T]):
    """Something that is found out when it is first asked for; who asks meanwhile waits for the same."""

    def __init__(self, find: Callable[[], T]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._found: list[T] = []

    def __call__(self) -> T:
        """What it is. Raises what finding it out raises."""
        with self._lock:
            if not self._found:
                self._found.append(self._find())
            return self._found[0]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined."""

    configuration: configuration.Configuration
    process: process.Process | None
    daemon: daemon.Facts
    state: Path | None
    """The state directory; None if the daemon has it where only root may look."""
    own: tuple[str, ...]
    """Addresses of this machine, link-local ones left out."""
    options: argparse.Namespace
    """``user``, ``password``, ``trust``, ``time_from``."""
    now: Callable[[], float]
    """The time of this machine, Unix seconds."""
    discovered: Once[Any] = field(default_factory=lambda: Once(tuple))
    """The public addresses that stand for this machine, as `External`."""
    places: Once[Places] = field(init=False)
    """Where the daemon listens."""

    def __post_init__(self) -> None:
        """Sockets are looked for once."""
        object.__setattr__(self, "places", Once(
            lambda: places_of.find(self.configuration, self.own, self.process, web=self.serves_web)))

    def section(self, name: str) -> Any:
        """The settings of a section that is on, else None."""
        return self.configuration.settings.get(name)

    @property
    def ini(self) -> str:
        """Its path."""
        return self.configuration.ini

    @property
    def public(self) -> Base | None:
        """``[doorway] public-url``."""
        url = self.section("doorway").public_url
        return parse_public_url(url) if url else None

    @property
    def serves_web(self) -> bool:
        """Whether the listeners of the doorway are opened, as far as it can be told."""
        return may_open_web(self.configuration.settings, self.configuration.facts.services)

    @property
    def addresses(self) -> tuple[str, ...]:
        """`own` without loopback."""
        return tuple(one for one in self.own if not ipaddress.ip_address(one).is_loopback)

    def door(self, host: str) -> str:
        """Where to come to a listener of ours: at a wildcard, by the loopback address that there is."""
        if host == "0.0.0.0" or (host == "::" and "127.0.0.1" in self.own):
            return "127.0.0.1"
        return "::1" if host == "::" else host

    def preface(self, host: str, port: int) -> bytes:
        """What a TCP connection to our own listener has to begin with: a PROXY header where ``proxy-from`` names this
        machine, since that is whom we come from."""
        for one in self.wanted():
            if one.protocol == "tcp" and one.port == port:
                section = self.section("turn" if one.key.startswith("[turn]") else "doorway")
                return PROXY if within(host, parse_ranges(section.proxy_from)) else b""
        return b""

    def wanted(self) -> list[Wanted]:
        """Every socket that the ini asks for, as far as it is known where, the relays' left out."""
        return self.places().wanted


def examined(options: argparse.Namespace, ini: Path, now: Callable[[], float], *, named: bool = True) -> Subject:
    """Look for the daemon of an ini, and at what both say: a key may be set by the environment that the daemon was started
    with, or, without one, by ours. ``named``: whether the operator has named the ini, which then has to be there."""
    wanted = named or os.path.exists(ini)
    running = process.find(str(ini.absolute()) if wanted else NO_INI)
    environment = (running.environment if running else {}) or dict(os.environ)
    read = configuration.read(ini if wanted or not configuration.alone(environment) else None, environment)
    state = _state(read.settings["daemon"], running, options.state)
    return Subject(read, running, process.facts(read.ini, running), state, tuple(own_addresses()), options, now)


def _state(settings: Any, running: process.Process | None, named: str | None) -> Path | None:
    """As the daemon sees it; its environment and folder are known if we may look."""
    if named:
        return Path(named).absolute()
    folder = running.folder if running else Path.cwd()
    if folder is None:
        return Path(settings.state_directory) if os.path.isabs(settings.state_directory or "") else None
    environment = running.environment if running else dict(os.environ)
    found = folder / state_directory(settings, environment)
    told = settings.state_directory or process.state_of(environment)
    if not told and not found.exists() and INSTALLED_STATE.exists():
        return INSTALLED_STATE
    return found
