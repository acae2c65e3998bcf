"""`Context`: the seven things that services share. An eighth needs an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from rtcd.desk import Desk
from rtcd.doorway.door import Doorway
from rtcd.ice.credentials import Credentials
from rtcd.interfaces import IRoomStore
from rtcd.metrics import Metrics

Reload = Callable[[Any, Any], Iterable[str]]
"""``reload(old, new)`` of one section's settings: takes over what it can and returns the keys that it took over."""


class OnReload(Protocol):
    """``on_reload(section, reload)`` asks to be told when that section has changed (SIGHUP)."""

    def __call__(self, section: str, reload: Reload) -> None:
        """``reload`` may raise ConfigError: the section then stays as it was and the operator is told."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a service is given besides its own settings.

    ``reactor``: every Twisted reactor interface; take ``reactor.seconds()`` for the time. ``doorway``: the web and
    stream listeners, the directory of what listens where, and the current certificate. ``rooms``: the one table of
    rooms. ``credentials``: issues and checks time-limited TURN names. ``metrics``: counters. ``desk``: what services can be
    asked and told by those who look after the daemon.
    """

    reactor: Any
    doorway: Doorway
    rooms: IRoomStore
    credentials: Credentials
    metrics: Metrics
    on_reload: OnReload
    desk: Desk = field(default_factory=Desk)
