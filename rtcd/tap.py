"""The twistd entry: read the ini, build the `Context`, ask each plugin whose section is there, return the tree.

A mistake of the operator is one line on standard error and exit code 1, wherever it is found.
"""

from __future__ import annotations

import functools
import gc
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from twisted.application.service import IService
from twisted.logger import Logger
from twisted.python import usage

from rtcd import log, reading
from rtcd.calls.keeper import CallKeeper
from rtcd.config import ConfigError, changes
from rtcd.context import Context
from rtcd.daemon import Daemon, Reloads, state_directory
from rtcd.desk import Desk
from rtcd.doorway.door import Doorway
from rtcd.exposed import exposed
from rtcd.fault import AlreadySaid
from rtcd.ice.credentials import SECRET_FILE, Credentials
from rtcd.ice.settings import CredentialsSettings
from rtcd.ice.tags import Tag
from rtcd.initext import NO_INI
from rtcd.interfaces import IServicePlugin
from rtcd.log import LogSettings
from rtcd.metrics import Metrics
from rtcd.plugin import plugins
from rtcd.privileges import Owner, apply
from rtcd.rooms.diary import Diary
from rtcd.rooms.memory import MemoryRooms
from rtcd.rooms.settings import RoomsSettings
from rtcd.schemas import Schemas
from rtcd.state import StateDirectory
from rtcd.systemd import Notifier, NotifyService
from rtcd.tls.settings import TlsSettings
from rtcd.together import no_package, no_service
from rtcd.turns import TURNS
from rtcd.welcome import welcome
from rtcd.workers.cores import number
from rtcd.workers.shares import VARIABLE, share

if TYPE_CHECKING:  # one process that is all there is needs none of them, and starts without
    from rtcd.workers.worker import Worker

Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]

SECRET_BYTES = 32
"""Random bytes of the secret that is made at first start."""


class Options(usage.Options):
    """``twistd rtcd``"""

    optParameters: ClassVar = [["config", "c", None, f"The configuration file (default: {reading.DEFAULT}, or none if RTCD_"
                                " variables turn a service on)."]]
    optFlags: ClassVar = [["welcome", None, "Print the addresses to open, with a QR code, and the ports to let through."]]

    def postOptions(self) -> None:
        """Send the log where ``[log]`` says; an ini that cannot be read ends here with one line."""
        file = self["config"] or reading.DEFAULT
        try:
            self.worker = _worker()
            self.found = plugins()
            self.file = reading.chosen(self["config"], os.environ, self.found)
            file = self.file or NO_INI
            self.exposed: list[ConfigError] = []
            if self.worker is None:
                found = reading.read(self.file, self.found, os.environ)
                self.settings, self.exposed = found.checked(), exposed(found)
            else:
                self.settings = self.read(self.file)
            parent = self.parent if self.parent is not None else dict[str, Any](nodaemon=True)
            daemon = self.settings["daemon"]
            self.owner = apply(daemon.user, daemon.group, daemon.pidfile, parent)
            background = not (parent.get("nodaemon") or parent.get("debug"))
            which = 0
            if self.worker is not None:
                background, which = self.worker.background, self.worker.place.number
            self.twistd = parent
            self.background = background
            if not (parent.get("logfile") or parent.get("logger") or parent.get("syslog")):
                log.use(self.settings["log"], background=background, owner=self.owner, worker=which)
                parent["logger"] = "rtcd.log.observer"
        except ConfigError as error:
            raise SystemExit(error.said(file)) from None
        sys.excepthook = fault_in_one_line(file, sys.excepthook, background=background)

    def read(self, file: str | None) -> dict[str, Any]:
        """The configuration, as far as it is for this process; a worker goes by what its parent has read. Raises
        `ConfigError`."""
        if self.worker is None:
            return read(file, self.found, os.environ)
        from rtcd.workers.configuration import unpacked

        try:
            return share(unpacked(self.worker.configuration, Schemas(self.found)), self.worker.place)
        except (ValueError, LookupError) as error:
            raise ConfigError("daemon", "workers", f"what the parent says is not understood here ({error}), as if rtcd was "
                              "installed anew meanwhile; restart the daemon") from None


def makeService(options: Options) -> IService:
    """Build the whole daemon; opens no port yet."""
    from twisted.internet import reactor

    file = options.file or NO_INI
    TURNS.found(reactor)
    absolute = options.file and os.path.abspath(options.file)  # twistd --rundir goes elsewhere
    try:
        count = number(options.settings["daemon"].workers) if options.worker is None else 1
        root: IService
        if count > 1:
            from rtcd.monitoring.process import samples
            from rtcd.workers.command import Commands
            from rtcd.workers.family import supervisor

            elsewhere = options.twistd.get("rundir") not in (None, ".")
            commands = Commands(options.twistd, absolute if elsewhere else options.file, os.environ, options.owner,
                                background=options.background)
            root = supervisor(
                reactor, file, count, commands, options.settings, lambda: options.read(absolute), os.environ,
                options.owner, greet=bool(options["welcome"]),
                own=functools.partial(samples, reactor.seconds()))
        else:
            root = build(
                reactor, file, options.settings, options.found,
                read=lambda: options.read(absolute), environment=os.environ, greet=bool(options["welcome"]),
                owner=options.owner, worker=options.worker)
    except ConfigError as error:
        raise SystemExit(error.said(file)) from None
    reactor.callWhenRunning(reactor.callLater, 0, settle)
    for one in options.exposed:
        Logger(namespace="rtcd").warn("{file}: {reason}", file=one.source or file, reason=str(one))
    return root


def settle() -> None:
    """What is there when everything has begun stays to the end. So it is not looked through again for what nobody needs,
    which takes tens of milliseconds each time, while messages wait."""
    gc.collect()
    gc.freeze()


def fault_in_one_line(file: str, others: Hook, *, background: bool) -> Hook:
    """An excepthook for what the services find at the start: twistd has then removed its pidfile already.

    Twisted's log has taken over standard error by then, so this writes to the real one.
    """

    def hook(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
        if isinstance(fault, AlreadySaid):
            return
        if not isinstance(fault, ConfigError):
            others(kind, fault, trace)
            return
        if background or sys.__stderr__ is None:
            Logger(namespace="rtcd").critical("{file}: {reason}", file=file, reason=str(fault))
        else:
            sys.__stderr__.write(f"{fault.said(file)}\n")

    return hook


def build(
    reactor: Any,
    file: str,
    settings: Mapping[str, Any],
    found: Mapping[str, IServicePlugin],
    *,
    read: Callable[[], Mapping[str, Any]],
    environment: Mapping[str, str],
    greet: bool = False,
    owner: Owner | None = None,
    worker: Worker | None = None,
) -> Daemon:
    """Put the tree together. ``settings`` is what `read` returned; ``owner`` is who the daemon will be when it has
    started; ``worker``: if this is one of several. Raises `ConfigError`."""
    chosen = [name for name in found if name in settings]
    if not chosen:
        raise no_service(found)
    metrics, reloads = Metrics(), Reloads()
    state = StateDirectory(state_directory(settings["daemon"], environment), owner)
    if worker is not None:
        from rtcd.workers.reactor import SharedReactor

        reactor = SharedReactor(reactor, worker)
    credentials = _credentials(settings["credentials"], state)
    rooms, connecting = _rooms(reactor, settings["rooms"], metrics, state, credentials, worker)
    doorway = Doorway(reactor, settings["doorway"], settings["tls"], state, metrics, settings["acme"])
    alone = worker is None or worker.place.first
    if alone:
        rooms.watch(Diary(metrics, functools.partial(Tag, credentials)))
    notify = NotifyService(reactor, Notifier(environment))
    desk = Desk()
    if worker is not None:
        from rtcd.workers.division import nonce_key, share_work
        from rtcd.workers.topics import WorkerDesk

        desk = worker_desk = WorkerDesk(worker, lambda: nonce_key(state))
    context = Context(reactor, doorway, rooms, credentials, metrics, reloads, desk)
    recorded = {"web", "signaling"} & set(chosen)
    calls = CallKeeper(context, state, settings["rooms"].call_records) if recorded and alone else None
    _take_reloads(reloads, rooms, doorway, credentials, state, calls)
    root = Daemon(
        reactor, file, read, settings, rooms, notify, reloads,
        welcome=(lambda: welcome(doorway.directory, doorway.public.url if doorway.public else None,
                                 fingerprint=doorway.fingerprint)) if greet else None,
        listeners=doorway.directory.listeners if alone else tuple, shut=doorway.shut, parent=worker)
    root.serve(context.desk)
    if worker is not None:
        chosen = share_work(context, worker, state, settings, chosen)
    metrics.gauge("daemon", "draining", "1 while nothing new is taken.", lambda: root.draining)
    children = [_made(found[name], context, settings[name]) for name in chosen]
    if worker is not None:
        worker_desk.serve(metrics)
    if connecting is not None:
        connecting.setServiceParent(root)
    if calls is not None:
        calls.setServiceParent(root)  # first, so that it stops last
    if doorway.needed:
        doorway.setServiceParent(root)
    for child in children:
        child.setServiceParent(root)
    if worker is None:
        notify.setServiceParent(root)
    return root


def read(
    file: str | None, found: Mapping[str, IServicePlugin], environment: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Read ini and environment: section to settings, the shared ones always there. Raises `ConfigError`."""
    return reading.read(file, found, environment).checked()


def _worker() -> Worker | None:
    """What we are, if we are one of several."""
    if VARIABLE not in os.environ:
        return None
    from rtcd.workers.worker import handed, here

    found = here(os.environ)
    if found is not None:
        found.configuration = handed()
    return found


def _made(plugin: IServicePlugin, context: Context, settings: Any) -> IService:
    try:
        return cast(IService, plugin.makeService(context, settings))
    except ValueError as error:  # what it asks of the shared things is taken
        raise ConfigError(plugin.name, "", str(error)) from None


def _rooms(
    reactor: Any, settings: RoomsSettings, metrics: Metrics, state: StateDirectory, credentials: Credentials,
    worker: Worker | None,
) -> tuple[Any, IService | None]:
    """Rooms in this process, in our parent, or on Redis; and what connects them, if they have to be."""
    if worker is not None:
        from rtcd.workers.division import Opening, daemon_name, shared_rooms
    elif not settings.redis:
        return MemoryRooms(reactor, settings, metrics), None
    if not settings.redis:
        assert worker is not None
        rooms: Any = shared_rooms(reactor, settings, metrics, state, worker)
        return rooms, Opening(reactor, rooms, worker)
    try:
        # here, since its library is an extra, and takes the reactor when it is imported
        from rtcd.cluster.service import StoreService, redis_rooms
    except ImportError as error:
        raise no_package(str(error.name)) from None
    rooms = redis_rooms(reactor, settings, metrics, credentials, "" if worker is None else daemon_name(state))
    return rooms, StoreService(rooms) if worker is None else Opening(reactor, rooms, worker)


def _credentials(settings: CredentialsSettings, state: StateDirectory) -> Credentials:
    given = settings.secret or (state.secret(SECRET_FILE, lambda: secrets.token_urlsafe(SECRET_BYTES)),)
    return Credentials(given, settings.lifetime, settings.secret_separator, generated=not settings.secret)


def _take_reloads(
    reloads: Reloads, rooms: Any, doorway: Doorway, credentials: Credentials, state: StateDirectory,
    calls: CallKeeper | None,
) -> None:
    """What of the shared sections changes while the daemon runs."""

    def take_log(old: LogSettings, new: LogSettings) -> list[str]:
        if not log.in_use():
            return []
        log.use(new)
        return list(changes(old, new))

    def take_rooms(old: RoomsSettings, new: RoomsSettings) -> list[str]:
        rooms.use(new)
        if calls is not None:
            calls.use(new.call_records)
        return [key for key in changes(old, new) if not key.startswith("store")]

    def take_credentials(old: CredentialsSettings, new: CredentialsSettings) -> list[str]:
        fresh = _credentials(new, state)
        credentials.take(fresh)
        return list(changes(old, new))

    def take_tls(old: TlsSettings, new: TlsSettings) -> list[str]:
        taken = list(doorway.certificates.reconfigure(old, new))
        doorway.renewal.tls_changed()
        return taken

    reloads("log", take_log)
    reloads("rooms", take_rooms)
    reloads("credentials", take_credentials)
    reloads("tls", take_tls)
    reloads("acme", doorway.renewal.reconfigure)
