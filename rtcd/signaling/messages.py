"""Collider's JSON frames: what a client may send, and what it is sent. Text in, values out; no rule of rooms.

An unknown ``cmd`` is answered and the socket stays open; anything else that is wrong closes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from rtcd.rooms.room import MAX_NAME_CHARS


@dataclass(frozen=True, slots=True)
class Register:
    """``{"cmd":"register","roomid":R,"clientid":C}``"""

    room: str
    client: str


@dataclass(frozen=True, slots=True)
class Send:
    """``{"cmd":"send","msg":M}``"""

    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A command that this server does not know; the connection stays open."""

    text: str


Frame: TypeAlias = Register | Send | Unknown


class _Command(msgspec.Struct):
    cmd: str = ""
    roomid: str = ""
    clientid: str = ""
    msg: str = ""


_decode = msgspec.json.Decoder(_Command).decode
_encode = msgspec.json.Encoder().encode


def parse(data: bytes) -> Frame:
    """Read one text frame. Raises ValueError with the text to send before closing."""
    try:
        command = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"websocket.JSON.Receive error: {error}") from None
    if command.cmd == "send":
        if not command.msg:
            raise ValueError("Invalid send request: missing 'msg'")
        return Send(command.msg)
    if command.cmd == "register":
        if not command.roomid or not command.clientid:
            raise ValueError("Invalid register request: missing 'clientid' or 'roomid'")
        if max(len(command.roomid), len(command.clientid)) > MAX_NAME_CHARS:
            raise ValueError(f"Invalid register request: names may have {MAX_NAME_CHARS} characters")
        return Register(command.roomid, command.clientid)
    return Unknown("Invalid message: unexpected 'cmd'")


def message(text: str) -> bytes:
    """The frame that carries a peer's message."""
    return b'{"msg":' + _encode(text) + b',"error":""}'


def error(text: str) -> bytes:
    """The frame that carries an error; Android reads ``msg`` first, so it is there and empty."""
    return b'{"msg":"","error":' + _encode(text) + b"}"
