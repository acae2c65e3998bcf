"""`Worker`: how a worker speaks with its parent, and through it with the others.

As long as its ports are not open it waits for each answer, as a start does; after `start` nothing here waits.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from rtcd.workers.channel import READ_BYTES, Channel
from rtcd.workers.frames import (
    EVERYBODY,
    Answer,
    Answers,
    Ask,
    Do,
    Frame,
    Frames,
    Open,
    Opened,
    Say,
    decode,
    encode,
    pack,
)
from rtcd.workers.questions import Questions
from rtcd.workers.shares import VARIABLE, Place

T = TypeVar("T")

SOCKET_S = 30.0
"""The parent may be at work with another worker's start."""
WELL_S = 5.0
"""So often a worker says that it is well."""
ANSWER_S = 3.0
"""The parent waits for less."""


class Worker:
    """One of several. What others may ask of it is put into ``offers``, by topic: takes a payload and returns one, or a
    Deferred of one."""

    _log = Logger()

    def __init__(self, place: Place, sock: socket.socket, *, background: bool = False) -> None:
        self.place = place
        self.background = background
        self.configuration = b""
        """What the parent has handed out last, see rtcd.workers.configuration."""
        self.offers: dict[str, Callable[[bytes], Any]] = {}
        self.orders: dict[str, Callable[[], object]] = {}
        """``drain``, ``stop``, and ``alone`` for when the parent is gone."""
        self.ending: Callable[[], object] = lambda: None
        """Before any of its orders: the daemon is about to end, with all its workers."""
        self.ports: list[Any] = []
        """Our listening ports, of those that are shared."""
        self._shut = False
        self._sock = sock
        self._channel: Channel | None = None
        self._one: Questions[bytes | None] | None = None
        self._all: Questions[list[tuple[int, bytes | None]]] | None = None
        self._any_port = 0
        self._well: LoopingCall | None = None

    def open(self, kind: str, host: str, port: int, mode: int = 0) -> int:
        """The descriptor of our socket of a group; to be closed by who asks. ``mode``: see `Open`. Raises OSError."""
        if self._channel is not None:
            raise OSError(errno.EBUSY, "sockets are shared at the start only")
        any_port = port == 0 and kind != "unix"
        wanted = Open(kind, host, port, self._any_port if any_port else 0, mode)
        self._any_port += any_port
        self._sock.sendall(pack(wanted))
        self._sock.settimeout(SOCKET_S)
        frames, descriptors = Frames(), list[int]()
        while True:
            data, more, _, _ = socket.recv_fds(self._sock, READ_BYTES, 1)
            descriptors += more
            if not data:
                raise OSError(errno.EPIPE, "the parent of this worker is gone")
            for frame in frames.feed(data):
                if isinstance(frame, Opened):
                    if frame.error or not descriptors:
                        raise OSError(frame.error, frame.reason)
                    os.set_inheritable(descriptors[0], False)
                    return descriptors[0]

    def say(self, what: str) -> None:
        """See `Say`."""
        if self._channel is not None:
            self._channel.send(Say(what))
        else:
            self._sock.sendall(pack(Say(what)))

    def start(self, reactor: Any) -> None:
        """From now on in the reactor; and say how we are."""
        self._one = Questions(reactor, ANSWER_S, None)
        self._all = Questions(reactor, ANSWER_S, [])
        self._channel = Channel(reactor, self._sock, self._received, self._lost)
        self._channel.start()
        self._well = loop = LoopingCall(self.say, "well")
        loop.clock = reactor
        loop.start(WELL_S, now=False).addErrback(lambda fault: self._log.failure("the beat ended", fault))

    def hold(self) -> None:
        """Accept nothing until `go_on`; who comes meanwhile waits."""
        for one in self.ports:
            one.stopReading()

    def go_on(self) -> None:
        """Accept again, or nothing happens if this worker ends."""
        for one in self.ports if not self._shut else ():
            one.startReading()

    def shut(self) -> None:
        """Accept nothing any more, and then say so: from then on the parent refuses who comes."""
        self._shut = True
        self.hold()
        self.say("shut")

    def stop(self) -> None:
        """Hang up; the parent takes that for our end."""
        if self._well is not None and self._well.running:
            self._well.stop()
        for one in (self._one, self._all):
            if one is not None:
                one.close()
        if self._channel is not None:
            self._channel.close()

    def ask(self, who: int, topic: str, value: object = None) -> Deferred[bytes | None]:
        """What a worker, or `PARENT`, answers; None if nothing, in time."""
        if self._one is None or self._channel is None:
            return succeed(None)
        number, answer = self._one.ask()
        if number:
            self._channel.send(Ask(number, who, topic, encode(value)))
        return answer

    def ask_all(self, topic: str, value: object = None) -> Deferred[list[tuple[int, bytes | None]]]:
        """What every worker answers, we ourselves too: its number, and the payload, or None if it has not answered. Empty
        if the parent has not answered."""
        if self._all is None or self._channel is None:
            return succeed([])
        number, answer = self._all.ask()
        if number:
            self._channel.send(Ask(number, EVERYBODY, topic, encode(value)))
        return answer

    def tell(self, who: int, topic: str, value: object) -> None:
        """Without an answer."""
        if self._channel is not None:
            self._channel.send(Ask(0, who, topic, encode(value)))

    def offer(self, topic: str, kind: type[T], answer: Callable[[T], Any]) -> None:
        """Answer questions of this topic, whose value is of this kind."""
        self.offers[topic] = lambda payload: answer(decode(payload, kind))

    def _received(self, frame: Frame) -> None:
        if isinstance(frame, Do):
            self.ending()
            self.orders.get(frame.what, lambda: None)()
        elif isinstance(frame, Answer) and self._one is not None:
            self._one.answer(frame.number, frame.payload)
        elif isinstance(frame, Answers) and self._all is not None:
            self._all.answer(frame.number, frame.found)
        elif isinstance(frame, Ask):
            offered = self.offers.get(frame.topic)
            if offered is not None:
                found = maybeDeferred(offered, frame.payload)
                found.addCallback(lambda value: self._answer(frame.number, encode(value)))
                found.addErrback(lambda failure: self._fault(frame, failure))
            else:
                self._answer(frame.number, None)

    def _answer(self, number: int, payload: bytes | None) -> None:
        if number and self._channel is not None:
            self._channel.send(Answer(number, payload))

    def _fault(self, asked: Ask, failure: Any) -> None:
        self._log.failure("the question {topic} of another process has failed", failure, topic=asked.topic)
        self._answer(asked.number, None)

    def _lost(self) -> None:
        self.stop()
        self.orders.get("alone", lambda: None)()


def here(environment: MutableMapping[str, str]) -> Worker | None:
    """What we are, if we are a worker; nobody whom we start learns of it."""
    text = environment.pop(VARIABLE, "")
    if not text:
        return None
    number, count, descriptor, background = (int(one) for one in text.split("/"))
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    return Worker(Place(number, count), sock, background=bool(background))


def handed() -> bytes:
    """The configuration, which a worker finds in its standard input; nobody whom it starts finds it there too."""
    assert sys.stdin is not None
    text = sys.stdin.buffer.read()
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    return text
