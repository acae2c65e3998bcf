"""What the parent and a worker say to each other: frames of a length and a message in MessagePack.

Both are of one version, since the parent starts its own program, so that nothing here has to be compatible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")

MAX_FRAME_BYTES = 8 * 2**20
"""A page of figures of one worker is about 100 KB."""
LENGTH_BYTES = 4

PARENT = 0
"""Who is asked: the parent."""
EVERYBODY = -1
"""Every worker that is ready; and what needs no answer one hears that has started. Other numbers are workers'."""


class Reloaded(NamedTuple):
    """What a worker answers to ``daemon.reload``."""

    said: list[str]
    """The lines that it has logged."""
    applied: dict[str, list[str]]
    """What it has put in force: section to keys."""


class Open(msgspec.Struct, array_like=True, tag=True):
    """A worker wants its socket of a group: ``tcp``, ``udp`` or ``unix`` at an address."""

    kind: str
    host: str
    """The path of a unix socket."""
    port: int
    nth: int
    """How many sockets with any free port (0) it has asked for before."""
    mode: int = 0
    """Who may use a unix socket, as for chmod."""


class Opened(msgspec.Struct, array_like=True, tag=True):
    """The descriptor comes with this, or there is none."""

    error: int = 0
    reason: str = ""


class Say(msgspec.Struct, array_like=True, tag=True):
    """How a worker is: ``bound`` (every socket is open), ``started`` (it goes into the reactor), ``ready``, ``well`` (now
    and then), ``drained``, ``shut`` (it ends, and accepts nothing any more)."""

    what: str


class Do(msgspec.Struct, array_like=True, tag=True):
    """What a worker has to do: ``drain`` or ``stop``."""

    what: str


class Ask(msgspec.Struct, array_like=True, tag=True):
    """A question; 0 as its number wants no answer. To a worker ``who`` says who asks, to the parent who is asked."""

    number: int
    who: int
    topic: str
    payload: bytes


class Answer(msgspec.Struct, array_like=True, tag=True):
    """The answer to a question to one: None if there is none."""

    number: int
    payload: bytes | None


class Answers(msgspec.Struct, array_like=True, tag=True):
    """The answers to a question to everybody: who, and what he has said, or None."""

    number: int
    found: list[tuple[int, bytes | None]]


Frame = Open | Opened | Say | Do | Ask | Answer | Answers

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def pack(frame: Frame) -> bytes:
    """As bytes. Raises ValueError for one that is too long."""
    data = _encoder.encode(frame)
    if len(data) > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {len(data)} bytes is too long")
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


class Frames:
    """Cuts a stream into frames."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """What is complete now. Raises ValueError for what is no frame."""
        self._buffer += data
        while len(self._buffer) >= LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if length > MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes is too long")
            end = LENGTH_BYTES + length
            if len(self._buffer) < end:
                return
            frame = bytes(self._buffer[LENGTH_BYTES:end])
            del self._buffer[:end]
            yield _decoder.decode(frame)


def encode(value: Any) -> bytes:
    """The payload of a question or an answer."""
    return _encoder.encode(value)


def decode(payload: bytes, kind: type[T]) -> T:
    """What it holds. Raises ValueError."""
    return msgspec.msgpack.decode(payload, type=kind)
