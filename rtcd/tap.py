"""The twistd entry: read the ini, build the `Context`, ask each plugin whose section is there, return the tree.

A mistake of the operator is one line on standard error and exit code 1, wherever it is found.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, cast

from twisted.application.service import IService
from twisted.logger import Logger
from twisted.python import usage

from rtcd import log
from rtcd.config import ConfigError, changes, parse
from rtcd.context import Context
from rtcd.daemon import Daemon, Reloads, state_directory
from rtcd.doorway.door import Doorway
from rtcd.ice.credentials import Credentials
from rtcd.ice.settings import CredentialsSettings
from rtcd.interfaces import IServicePlugin
from rtcd.log import LogSettings
from rtcd.metrics import Metrics
from rtcd.plugin import plugins
from rtcd.privileges import Owner, apply
from rtcd.rooms.memory import MemoryRooms
from rtcd.rooms.settings import RoomsSettings
from rtcd.schemas import SHARED, Schemas
from rtcd.state import StateDirectory
from rtcd.systemd import Notifier, NotifyService
from rtcd.tls.settings import TlsSettings
from rtcd.welcome import welcome

Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]

SECRET_BYTES = 32
"""Random bytes of the secret that is made at first start."""


class Options(usage.Options):
    """``twistd rtcd``"""

    optParameters: ClassVar = [["config", "c", "etc/rtcd.ini", "The configuration file."]]
    optFlags: ClassVar = [["welcome", None, "Print the addresses to open, with a QR code, and the ports to let through."]]

    def postOptions(self) -> None:
        """Send the log where ``[log]`` says; an ini that cannot be read ends here with one line."""
        file = self["config"]
        try:
            self.found = plugins()
            self.settings = read(file, self.found)
            parent = self.parent if self.parent is not None else dict[str, Any](nodaemon=True)
            daemon = self.settings["daemon"]
            self.owner = apply(daemon.user, daemon.group, daemon.pidfile, parent)
            background = not (parent.get("nodaemon") or parent.get("debug"))
            if not (parent.get("logfile") or parent.get("logger") or parent.get("syslog")):
                log.use(self.settings["log"], background=background, owner=self.owner)
                parent["logger"] = "rtcd.log.observer"
        except ConfigError as error:
            raise SystemExit(f"{file}: {error}") from None
        sys.excepthook = fault_in_one_line(file, sys.excepthook, background=background)


def makeService(options: Options) -> IService:
    """Build the whole daemon; opens no port yet."""
    from twisted.internet import reactor

    file, absolute = options["config"], os.path.abspath(options["config"])  # twistd --rundir goes elsewhere
    try:
        return build(
            reactor, file, options.settings, options.found,
            read=lambda: read(absolute, options.found), environment=os.environ, greet=bool(options["welcome"]),
            owner=options.owner)
    except ConfigError as error:
        raise SystemExit(f"{file}: {error}") from None


def fault_in_one_line(file: str, others: Hook, *, background: bool) -> Hook:
    """An excepthook for what the services find at the start: twistd has then removed its pidfile already.

    Twisted's log has taken over standard error by then, so this writes to the real one.
    """

    def hook(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(fault, ConfigError):
            others(kind, fault, trace)
            return
        if background or sys.__stderr__ is None:
            Logger(namespace="rtcd").critical("{file}: {reason}", file=file, reason=str(fault))
        else:
            sys.__stderr__.write(f"{file}: {fault}\n")

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
) -> Daemon:
    """Put the tree together. ``settings`` is what `read` returned; ``owner`` is who the daemon will be when it has
    started. Raises `ConfigError`."""
    chosen = [name for name in found if name in settings]
    if not chosen:
        raise ConfigError("", "", f"no service is turned on; add one of {', '.join(f'[{one}]' for one in sorted(found))}")
    metrics, reloads = Metrics(), Reloads()
    state = StateDirectory(state_directory(settings["daemon"], environment), owner)
    rooms = MemoryRooms(reactor, settings["rooms"], metrics)
    doorway = Doorway(reactor, settings["doorway"], settings["tls"], state, metrics, settings["acme"])
    credentials = _credentials(settings["credentials"], state)
    notify = NotifyService(reactor, Notifier(environment))
    context = Context(reactor, doorway, rooms, credentials, metrics, reloads)
    _take_reloads(reloads, rooms, doorway, credentials, state)
    root = Daemon(
        reactor, file, read, settings, rooms, notify, reloads,
        welcome=(lambda: welcome(doorway.directory, doorway.public.url if doorway.public else None,
                                 fingerprint=doorway.fingerprint)) if greet else None,
        listeners=doorway.directory.listeners, shut=doorway.shut)
    metrics.gauge("daemon", "draining", "1 while nothing new is taken.", lambda: root.draining)
    children = [_made(found[name], context, settings[name]) for name in chosen]
    if doorway.needed:
        doorway.setServiceParent(root)
    for child in children:
        child.setServiceParent(root)
    notify.setServiceParent(root)
    return root


def read(file: str, found: Mapping[str, IServicePlugin]) -> dict[str, Any]:
    """Read the ini: section to settings, the shared ones always there. Raises `ConfigError`."""
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError("", "", f"cannot be read ({reason}); name the file with --config") from None
    settings = parse(text, Schemas(found), path.parent)
    for name, schema in SHARED.items():
        settings.setdefault(name, schema())
    return settings


def _made(plugin: IServicePlugin, context: Context, settings: Any) -> IService:
    try:
        return cast(IService, plugin.makeService(context, settings))
    except ValueError as error:  # what it asks of the shared things is taken
        raise ConfigError(plugin.name, "", str(error)) from None


def _credentials(settings: CredentialsSettings, state: StateDirectory) -> Credentials:
    given = settings.secret or (state.secret("turn-secret", lambda: secrets.token_urlsafe(SECRET_BYTES)),)
    return Credentials(given, settings.lifetime, settings.secret_separator, generated=not settings.secret)


def _take_reloads(
    reloads: Reloads, rooms: MemoryRooms, doorway: Doorway, credentials: Credentials, state: StateDirectory
) -> None:
    """What of the shared sections changes while the daemon runs."""

    def take_log(old: LogSettings, new: LogSettings) -> list[str]:
        if not log.in_use():
            return []
        log.use(new)
        return list(changes(old, new))

    def take_rooms(old: RoomsSettings, new: RoomsSettings) -> list[str]:
        rooms.use(new)
        return list(changes(old, new))

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
