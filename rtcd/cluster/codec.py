"""A room, effects and news as bytes, for places where several processes of perhaps several versions keep them together.

The first byte is a major number, the rest msgpack. A field that the reader does not know is passed over, one that it
misses has its default, so two releases run side by side as long as the major number is the same: a new field needs a
default, and what an older reader would do with a room that it has read, without that field, has to be right. Effects
and news are rows, told apart by their first letter; a row of a kind that the reader does not know is passed over too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rtcd.rooms.outcome import Attach, Came, Close, Deliver, Effect, Gone, Inform, News, Said, StoreUnavailable, TurnedAway
from rtcd.rooms.records import Room

MAJOR = 1
"""Raised when an older reader would go wrong; then all processes have to be of the new release."""

_HEAD = bytes([MAJOR])


NOBODY = Room()


@dataclass(frozen=True, slots=True)
class Shared:
    """What is kept of a room."""

    room: Room = NOBODY
    holders: Mapping[str, str] = field(default_factory=dict)
    """See `rtcd.cluster.commits.Known`."""
    basis: int = 0
    """If a node put it back as it knew it after the store had lost it: the version that this was; else 0."""


_packed = msgspec.msgpack.Encoder().encode
_shared = msgspec.msgpack.Decoder(Shared).decode
_rows = msgspec.msgpack.Decoder(list[list[Any]]).decode


def encode_room(room: Room, holders: Mapping[str, str], basis: int = 0) -> bytes:
    """The bytes of a room."""
    return _HEAD + _packed(Shared(room, holders, basis))


def decode_room(data: bytes) -> Shared:
    """The room of these bytes. Raises StoreUnavailable if they are another major release's, or none of ours."""
    try:
        return _shared(_body(data))
    except msgspec.MsgspecError as error:
        raise StoreUnavailable(f"a room in the store cannot be read ({error})") from None


def encode_effects(effects: Iterable[Effect]) -> bytes:
    """The bytes of effects."""
    return _HEAD + _packed([_EFFECT_ROWS[type(one)](one) for one in effects])


def decode_effects(data: bytes) -> list[Effect]:
    """Effects in their order. Raises StoreUnavailable as `decode_room` does."""
    return _decoded(data, _EFFECTS)


def encode_news(news: Iterable[News]) -> bytes:
    """The bytes of news."""
    return _HEAD + _packed([_NEWS_ROWS[type(one)](one) for one in news])


def decode_news(data: bytes) -> list[News]:
    """News in their order. Raises StoreUnavailable as `decode_room` does."""
    return _decoded(data, _NEWS)


_EFFECT_ROWS: dict[type, Callable[[Any], list[Any]]] = {
    Attach: lambda one: ["a", one.client],
    Deliver: lambda one: ["d", one.client, one.text],
    Inform: lambda one: ["i", one.client, one.text],
    Close: lambda one: ["c", one.client],
}
_EFFECTS: dict[str, tuple[int, Callable[..., Any]]] = {
    "a": (1, Attach), "d": (2, Deliver), "i": (2, Inform), "c": (1, Close)}

_NEWS_ROWS: dict[type, Callable[[Any], list[Any]]] = {
    Came: lambda one: ["c", one.client, one.address, one.page, one.registered, one.seated],
    Said: lambda one: ["s", one.client, one.text],
    Gone: lambda one: ["g", one.client, one.why],
    TurnedAway: lambda one: ["t", one.address, one.page, one.why],
}
_NEWS: dict[str, tuple[int, Callable[..., Any]]] = {"c": (5, Came), "s": (2, Said), "g": (2, Gone), "t": (3, TurnedAway)}


def _decoded(data: bytes, kinds: Mapping[str, tuple[int, Callable[..., Any]]]) -> list[Any]:
    try:
        rows = _rows(_body(data))
        found = [(kinds.get(row[0]), row) for row in rows]
        return [known[1](*row[1:known[0] + 1]) for known, row in found if known is not None]
    except (msgspec.MsgspecError, TypeError, IndexError) as error:
        raise StoreUnavailable(f"an entry of the store cannot be read ({error})") from None


def _body(data: bytes) -> bytes:
    if data[:1] != _HEAD:
        raise StoreUnavailable(
            f"the store is used by another release of rtcd (format {data[0] if data else 'none'}, ours is {MAJOR}); "
            "bring every node to the same release")
    return data[1:]
