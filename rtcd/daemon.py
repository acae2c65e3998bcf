"""`Daemon`: the root of the service tree. Starts in order, stops in reverse, and takes a changed configuration over.

What a service cannot start with leaves here as a `ConfigError`; `rtcd.tap` makes one line and exit code 1 of it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger

from rtcd import __version__
from rtcd.config import ConfigError, changes, key_of, option
from rtcd.context import Reload
from rtcd.desk import Desk
from rtcd.doorway.directory import Listener
from rtcd.drain import Drain
from rtcd.interfaces import IRoomStore
from rtcd.privileges import let_go
from rtcd.systemd import NotifyService
from rtcd.workers.count import parse


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """The ``[daemon]`` section: what belongs to no service."""

    state_directory: str | None = option(
        None, "Where secrets and certificates made here are kept; unset: $STATE_DIRECTORY, else ./state.")
    drain_timeout: int = option(
        0, "Seconds that calls may go on after SIGTERM while nothing new is taken; a second SIGTERM ends them. 0: end at "
        "once. SIGUSR1 drains too, for as long as the calls last if this is 0.", minimum=0, maximum=604800)
    user: str = option("", "Started as root: the user to become when the ports are open, by name or number.")
    group: str = option("", "The group to become; unset: the user's own.")
    pidfile: str = option("", "File that holds the process's number; twistd --pidfile goes first. Unset: twistd.pid.")
    workers: str = option(
        "1", "Processes that share the ports and the work: a number, or auto for one a core. More than one have a parent, "
        "which keeps their rooms and starts again whichever ends.")

    def __post_init__(self) -> None:
        try:
            parse(self.workers)
        except ValueError as error:
            raise ValueError(f"workers: {error}") from None


class Parent(Protocol):
    """Whom one of several workers tells how it is, and who alone tells it what to do: signals are the parent's business."""

    orders: dict[str, Callable[[], object]]
    """``drain``, ``stop`` and ``alone``."""

    def say(self, what: str) -> None:
        """``bound``, ``started`` or ``drained``."""

    def start(self, reactor: Any) -> None:
        """The reactor is about to run."""

    def shut(self) -> None:
        """This worker begins to end, and takes no connection any more."""

    def stop(self) -> None:
        """This worker has stopped."""


Read = Callable[[], Mapping[str, Any]]
"""Reads the configuration again: section to settings. Raises `ConfigError`."""


class Reloads:
    """Who wants to know which section has changed (`rtcd.context.OnReload`)."""

    def __init__(self) -> None:
        self._takers: dict[str, Reload] = {}

    def __call__(self, section: str, reload: Reload) -> None:
        """Remember one; a section has one taker."""
        self._takers[section] = reload

    def apply(self, section: str, old: Any, new: Any) -> set[str]:
        """Hand a changed section to its taker; returns the keys that are in force now. Raises `ConfigError`."""
        taker = self._takers.get(section)
        return set(taker(old, new)) if taker else set()


class Daemon(MultiService):
    """All services of the process. ``file`` is the configuration's path, for messages.

    ``listeners`` tells what is open, for the log; ``welcome`` makes the text that a newcomer is shown.
    """

    name = "rtcd"
    _log = Logger()

    def __init__(
        self, reactor: Any, file: str, read: Read, settings: Mapping[str, Any], rooms: IRoomStore,
        notify: NotifyService, reloads: Reloads, *, welcome: Callable[[], str] | None = None,
        listeners: Callable[[], Iterable[Listener]] = tuple, shut: Callable[[], Deferred[None]] = lambda: succeed(None),
        parent: Parent | None = None,
    ) -> None:
        """``shut`` stops taking connections in: the first thing that is done at the end. ``parent``: if this is a worker."""
        super().__init__()
        self._parent = parent
        self._reactor = reactor
        self._file = file
        self._read = read
        self._settings = dict(settings)
        self._rooms: Any = rooms
        self._notify = notify
        self._reloads = reloads
        self._welcome = welcome
        self._listeners = listeners
        self._shut = shut
        self._handlers: dict[int, Any] = {}
        self._ended = False
        self._said: list[str] = []
        self._applied: dict[str, list[str]] = {}
        """What the latest reload has put in force: section to keys."""
        self._drain = Drain(reactor, lambda: [rooms, *self], self._drained)
        reloads("daemon", lambda old, new: changes(old, new).keys() & {"drain-timeout"})

    def privilegedStartService(self) -> None:
        """Open the ports, while those below 1024 may still be opened. Raises `ConfigError`."""
        if self._parent is None:
            self._handle(signal.SIGHUP, self.reload)  # first: unhandled, it would kill
            self._handle(signal.SIGUSR1, self.drain)
            super().privilegedStartService()
            return
        for number in (signal.SIGHUP, signal.SIGUSR1):
            self._handle(number, self._not_mine)
        super().privilegedStartService()
        self._parent.say("bound")

    def startService(self) -> None:
        """Start every service, the notification of systemd last. Raises `ConfigError`."""
        try:
            let_go()
        except OSError as error:
            self._log.warn("capabilities that are not needed any more are kept: {reason}", reason=error.strerror)
        self._reactor.callWhenRunning(self._handle_term)
        super().startService()
        for one in self._listeners():
            self._log.info("{service} listens on {transport} {address}", service=one.service, transport=one.transport,
                           address=_shown(one))
        if self._welcome is not None:
            _print(self._welcome())
        if self._parent is not None:
            self._parent.orders |= {"drain": self.drain, "stop": self._end, "alone": self._alone}
            self._parent.say("started")
            self._parent.start(self._reactor)
        self._reactor.callWhenRunning(self._ready)

    def stopService(self) -> Deferred[None]:
        """Stop the services one after another, the last started first; fires when all are stopped."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.running = False
        self._drain.stop()
        if self._parent is not None:
            self._parent.shut()
        await self._shut()
        for service in reversed(list(self)):
            await self._stopped(service)
        await self._rooms.close()
        if self._parent is not None:
            self._parent.stop()
        for number, before in self._handlers.items():
            signal.signal(number, before)
        self._handlers.clear()

    async def _stopped(self, service: IService) -> None:
        try:
            await maybeDeferred(service.stopService)
        except Exception:
            self._log.failure("{name} did not stop cleanly", name=service.name)

    def serve(self, desk: Desk) -> None:
        """Offer ``daemon.settings`` (section to settings in force), ``daemon.draining``, ``daemon.reload`` (returns
        the lines that it logs) and ``daemon.drain``: what SIGHUP does, and what SIGUSR1 begins; and ``daemon.applied``
        (section to the keys that the latest reload has put in force)."""
        desk.offer("daemon.settings", lambda: dict(self._settings))
        desk.offer("daemon.draining", lambda: self.draining)
        desk.offer("daemon.reload", self.reload)
        desk.offer("daemon.drain", self.drain)
        desk.offer("daemon.applied", lambda: self._applied)

    def reload(self) -> list[str]:
        """Read the configuration again and say what changed, what is in force, and what needs a restart. Returns the lines
        that the log got."""
        if not self.running:
            return []
        self._said, self._applied = [], {}
        self._notify.reloading()
        try:
            self._take(self._read())
        except ConfigError as error:
            self._say(self._log.error, "{file}: {reason} (nothing was changed)", file=error.source or self._file,
                      reason=str(error))
        finally:
            self._notify.ready()
        return self._said

    def _say(self, log: Callable[..., object], text: str, **values: str) -> None:
        self._said.append(text.format(**values))
        log(text, **values)

    def _take(self, found: Mapping[str, Any]) -> None:
        untouched = True
        for section in sorted({*found, *self._settings}):
            old, new = self._settings.get(section), found.get(section)
            if old is None or new is None:
                self._say(self._log.warn, "[{section}] was {what}: needs a restart", section=section,
                          what="added" if old is None else "removed")
                untouched = False
                continue
            changed = changes(old, new)
            try:
                applied = self._reloads.apply(section, old, new)
            except ConfigError as error:
                self._say(self._log.error, "{file}: {reason} (the section stays as it was)", file=self._file,
                          reason=str(error))
                untouched = False
                continue
            except Exception:
                self._log.failure("[{section}] could not be taken over; the other sections were", section=section)
                self._said.append(f"[{section}] could not be taken over; the log says why")
                untouched = False
                continue
            for key, what in changed.items():
                untouched = False
                state = "in force" if key in applied else "needs a restart"
                self._say(self._log.info, "[{section}] {key}: {what}: {state}", section=section, key=key, what=what,
                          state=state)
            self._settings[section] = in_force(old, new, applied)
            if taken := sorted(applied & changed.keys()):
                self._applied[section] = taken
        if untouched:
            self._say(self._log.info, "reloaded: nothing has changed")

    def _handle(self, number: int, act: Callable[[], object]) -> None:
        before = signal.signal(number, lambda *_: self._reactor.callFromThread(act))
        self._handlers.setdefault(number, before)

    def _ready(self) -> None:
        if self.running and self._parent is None:  # a parent says so when all workers are ready
            self._log.info("rtcd {version} is ready", version=__version__)

    def _handle_term(self) -> None:
        """To be told to end is no fault: exit code 0, where Twisted's own handler would die of the signal."""
        if self.running:
            self._handle(signal.SIGTERM, self._told_to_end if self._parent is None else self._not_mine)

    def _not_mine(self) -> None:
        """systemd may send a signal to all processes, or an operator to the wrong one."""
        self._log.info("this is a worker, which does what its parent says: signals are for process {pid}", pid=os.getppid())

    def _drained(self) -> None:
        """Nothing goes on here. A worker stays until the others are there too: who comes back may come to it."""
        if self._parent is None:
            self._end()
        else:
            self._parent.say("drained")

    def _alone(self) -> None:
        if self.running and not self._ended:
            self._log.error("the parent of this worker is gone; it ends")
            self._end()

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken any more."""
        return self._drain.active

    def drain(self) -> None:
        """Take nothing new and end with the last call (SIGUSR1); the listeners stay open for those that go on."""
        if self.running:
            self._begin_drain(ending=False)

    def _told_to_end(self) -> None:
        if self.running and not self.draining and self._settings["daemon"].drain_timeout:
            self._begin_drain(ending=True)
        else:
            self._end()

    def _begin_drain(self, *, ending: bool) -> None:
        limit = self._settings["daemon"].drain_timeout
        if not self.draining:
            self._notify.draining(limit, ending=ending)
        self._drain.begin(limit)

    def _end(self) -> None:
        if self.running and not self._ended:  # told twice, even before the reactor has stopped us, it ends once
            self._ended = True
            self._reactor.stop()


def _shown(listener: Listener) -> str:
    host = f"[{listener.host}]" if ":" in listener.host else listener.host
    return f"{host}:{listener.port}" + ("" if listener.last_port is None else f"-{listener.last_port}")


def _print(text: str) -> None:
    terminal = sys.__stdout__  # twistd turns sys.stdout into log lines
    if terminal is not None:
        terminal.write(text.encode(terminal.encoding, "replace").decode(terminal.encoding))
        terminal.flush()


def in_force(old: Any, new: Any, applied: Collection[str]) -> Any:
    """What of a section is in force: the new values of the applied keys, the old ones of those that wait for a restart."""
    taken = {one.name: getattr(new, one.name) for one in fields(new) if key_of(one) in applied}
    return replace(old, **taken)


def state_directory(settings: DaemonSettings, environment: Mapping[str, str] = os.environ) -> str:
    """Where state is kept: as configured, else as systemd says, else beside where we were started."""
    return settings.state_directory or environment.get("STATE_DIRECTORY", "").partition(":")[0] or "state"
