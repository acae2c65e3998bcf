"""`Process`: one worker as its parent sees it, from its start to its end."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from rtcd.workers.channel import READ_BYTES, Channel
from rtcd.workers.frames import Answer, Ask, Do, Frame, Frames, Open, Opened, Say, pack
from rtcd.workers.groups import Groups, Key
from rtcd.workers.questions import Questions

START_S = 60.0
"""A worker that is not ready by then is ended; a slow machine under load takes a tenth of it."""
SILENT_S = 30.0
"""And so is one that is ready and has not been well for so long: it hangs."""
LINGER_S = 5.0
"""And one that has hung up and does not end."""
LOOK_S = 0.05

Command = tuple[Sequence[str], Mapping[str, str]]
"""Arguments and environment."""
Spawn = Callable[..., Any]
"""What starts it: `subprocess.Popen`, or something that looks like it."""


class Process:
    """A worker. ``said(process, what)``, ``asked(process, ask)`` and ``ended(process, code)`` tell its parent."""

    _log = Logger()

    def __init__(
        self, reactor: Any, number: int, groups: Groups, questions: Questions[bytes | None], *,
        said: Callable[[Process, str], object], asked: Callable[[Process, Ask], object],
        ended: Callable[[Process, int], object], spawn: Spawn = subprocess.Popen,
    ) -> None:
        self.number = number
        self.state = "starting"
        """``starting``, ``ready``, ``drained``, ``shut`` (it ends) or ``gone``."""
        self.ready_at = 0.0
        self.configuration = b""
        """What it was told last."""
        self._reactor = reactor
        self._groups = groups
        self._questions = questions
        self._said = said
        self._asked = asked
        self._ended = ended
        self._spawn = spawn
        self._popen: Any = None
        self._sock: socket.socket | None = None
        self._channel: Channel | None = None
        self._frames = Frames()
        self._limit: Any = None
        self._mine: set[int] = set()
        self._started = False
        self._taken: set[Key] = set()

    @property
    def up(self) -> bool:
        """Whether it is ready, and does not end."""
        return self.state in ("ready", "drained")

    @property
    def hears(self) -> bool:
        """Whether it can be asked: it is ready, or about to be. Before, it reads nothing but what it gets its sockets by."""
        return self.up or (self._started and self.state == "starting")

    @property
    def pid(self) -> int:
        """Of the system."""
        return int(self._popen.pid)

    def start(self, command: Callable[[int], Command], configuration: bytes = b"") -> None:
        """``command(descriptor)``: how it is started with this end of its channel. ``configuration``: what it reads as its
        standard input. Raises OSError."""
        self.configuration = configuration
        self._taken.clear()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs, _kept(configuration) as told:
            arguments, environment = command(theirs.fileno())
            # Of a session of its own, or it would get the signals that a terminal sends.
            self._popen = self._spawn(arguments, env=environment, pass_fds=(theirs.fileno(),), stdin=told,
                                      start_new_session=True)
        self._sock = ours

    def wait_for(self, what: str, seconds: Callable[[], float]) -> bool:
        """Serve it until it says this, while there is no reactor yet; False if it has ended instead. Raises TimeoutError if
        it has done neither in time; it is ended then."""
        assert self._sock is not None
        until = seconds() + START_S
        data, hangs = b"", False  # it may have said it already, before what was waited for last
        while True:
            for frame in self._frames.feed(data):
                if isinstance(frame, Say) and frame.what == what:
                    self._started = what == "started"
                    return True  # what it says next stays for `begin`
                if isinstance(frame, Open):
                    self._open(frame)
            hangs = not select.select([self._sock], [], [], max(0.0, until - seconds()))[0]
            if hangs or not (data := self._sock.recv(READ_BYTES)):
                break
        self.state = "gone"
        self._sock.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(0.0 if hangs else LINGER_S)
        self._popen.kill()
        self._popen.wait()
        if hangs:
            raise TimeoutError(f"worker {self.number} is not ready after {START_S:g} s")
        return False

    def begin(self) -> None:
        """Go on in the reactor."""
        assert self._sock is not None
        self._channel = Channel(self._reactor, self._sock, self._received, self._lost, self._frames)
        self._set_limit(START_S, "is not ready after {limit_s:g} s")
        self._channel.start()

    def tell(self, frame: Frame) -> None:
        """Send it; nothing happens if it is gone."""
        if self._channel is not None:
            self._channel.send(frame)

    def do(self, what: str) -> None:
        """``drain`` or ``stop``."""
        self.tell(Do(what))

    def ask(self, who: int, topic: str, payload: bytes) -> Deferred[bytes | None]:
        """What it answers, or None. ``who`` asks."""
        if not self.hears:
            return succeed(None)
        number, answer = self._questions.ask()
        if number:
            self._mine.add(number)
            self.tell(Ask(number, who, topic, payload))
            answer.addCallback(self._answered, number)
        return answer

    def _answered(self, found: bytes | None, number: int) -> bytes | None:
        self._mine.discard(number)
        return found

    def kill(self) -> None:
        """At once."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.send_signal(signal.SIGKILL)

    def _received(self, frame: Frame) -> None:
        if isinstance(frame, Open):
            self._open(frame)
        elif isinstance(frame, Answer):
            self._questions.answer(frame.number, frame.payload)
        elif isinstance(frame, Ask):
            self._asked(self, frame)
        elif isinstance(frame, Say):
            if frame.what == "ready":
                self.ready_at = self._reactor.seconds()
                if self.state == "starting":  # it may have drained already, or end
                    self.state = "ready"
            elif frame.what == "started":
                self._started = True
            elif frame.what in ("drained", "shut"):
                self.state = frame.what
            if self.up:
                self._set_limit(SILENT_S, "has done nothing for {limit_s:g} s")
            self._said(self, frame.what)

    def _open(self, wanted: Open) -> None:
        assert self._sock is not None
        key = wanted.kind, wanted.host, wanted.port, wanted.nth
        try:
            if key in self._taken:  # as the system says it to one process that listens twice
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            sock = self._groups.take(wanted, self.number)
            self._taken.add(key)
        except OSError as error:
            data = pack(Opened(error.errno or errno.EINVAL, error.strerror or str(error)))
            self._sock.setblocking(True)
            self._sock.sendall(data)
        else:
            data = pack(Opened())
            self._sock.setblocking(True)
            socket.send_fds(self._sock, [data], [sock.fileno()])
        if self._channel is not None:
            self._sock.setblocking(False)

    def _set_limit(self, limit_s: float, text: str) -> None:
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        self._limit = self._reactor.callLater(limit_s, self._too_long, limit_s, text)

    def _too_long(self, limit_s: float, text: str) -> None:
        self._log.error("worker {number} " + text + "; it is ended", number=self.number, limit_s=limit_s)
        self.kill()

    def _lost(self) -> None:
        """It has hung up, which it does when it ends, however."""
        self.state = "gone"
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        for number in list(self._mine):
            self._questions.answer(number, None)
        self._limit = self._reactor.callLater(LINGER_S, self.kill)
        self._reap()

    def _reap(self) -> None:
        code = self._popen.poll()
        if code is None:
            self._reactor.callLater(LOOK_S, self._reap)
            return
        if self._limit.active():
            self._limit.cancel()
        self._ended(self, code)


def _kept(text: bytes) -> IO[bytes]:
    """An open file of this text, which has no name: it holds secrets."""
    file: IO[bytes] = (os.fdopen(os.memfd_create("rtcd"), "w+b") if hasattr(os, "memfd_create")
                       else tempfile.TemporaryFile())  # noqa: SIM115 # whoever asked closes it
    file.write(text)
    file.seek(0)
    return file
