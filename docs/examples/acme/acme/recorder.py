"""A service for rtcd that writes into a file, once in a while, how many rooms there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request

from rtcd.config import ConfigError, changes, option
from rtcd.context import Context


@dataclass(frozen=True, slots=True)
class Settings:
    """Writes down how many rooms there are."""

    file: str = option("rooms.log", "File to append to.")
    interval: float = option(60.0, "Seconds between two lines.", minimum=0.1)
    path: str = option("/recorder", "Where the number of lines can be read.")

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError(f"path: {self.path!r} is no absolute path; write it like /recorder")


class Recorder(Service):
    """Opens its file at the start and closes it at the end."""

    name = "recorder"
    _log = Logger()

    def __init__(self, context: Context, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._rooms: Any = context.rooms
        self._written = context.metrics.counter("recorder", "lines", "Lines written.")
        self._timer = LoopingCall(self._write)
        self._timer.clock = context.reactor
        context.doorway.add_child(settings.path, Count(self))
        context.on_reload("recorder", self._reload)

    @property
    def lines(self) -> int:
        """How many lines have been written."""
        return self._written.value

    def startService(self) -> None:
        """Open the file; a mistake of the operator is one line, and the daemon does not start."""
        try:
            self._file = Path(self._settings.file).open("a", encoding="utf-8")  # noqa: SIM115 # closed in stopService
        except OSError as error:
            raise ConfigError("recorder", "file", f"{self._settings.file} cannot be opened ({error.strerror}); choose "
                              "another") from None
        super().startService()
        self._timer.start(self._settings.interval).addErrback(self._broken)

    def stopService(self) -> None:
        """Close it."""
        super().stopService()
        if self._timer.running:
            self._timer.stop()
        self._file.close()

    def _write(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._write_one())

    async def _write_one(self) -> None:
        census = await self._rooms.census("")
        if not self._file.closed:
            self._file.write(f"{self._context.reactor.seconds():.0f} {census.rooms}\n")
            self._file.flush()
            self._written.value += 1

    def _reload(self, old: Settings, new: Settings) -> list[str]:
        if new.interval != self._timer.interval:
            self._timer.stop()
            self._timer.start(new.interval).addErrback(self._broken)
        return [key for key in changes(old, new) if key == "interval"]

    def _broken(self, failure: Failure) -> None:
        self._log.failure("the recorder has stopped", failure)


class Count(Resource):
    """Answers with the number of lines."""

    isLeaf = True

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def render_GET(self, request: Request) -> bytes:
        """As plain text."""
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return b"%d\n" % self._recorder.lines


def makeService(context: Context, settings: Settings) -> IService:
    """What rtcd calls when its ini has a [recorder] section."""
    return Recorder(context, settings)
