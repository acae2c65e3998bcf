"""Collider's JSON frames: what a client may send, and what it is sent. Text in, values out; no rule of rooms.

An unknown ``cmd`` is answered and the socket stays open; anything else that is wrong closes it. The commands of pages
(``rtcd.rooms.mesh``) are ours, and what is wrong with one of them closes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from rtcd.rooms import mesh
from rtcd.rooms.records import MAX_NAME_CHARS


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


Frame: TypeAlias = Register | Send | Unknown | mesh.Command

UNKNOWN = Unknown("Invalid message: unexpected 'cmd'")
"""Also the answer to the command of a page from one that is none."""


class _Command(msgspec.Struct, gc=False):
    cmd: str = ""
    roomid: str = ""
    clientid: str = ""
    msg: str = ""


class _Named(msgspec.Struct):
    cmd: str


_decode = msgspec.json.Decoder(_Command).decode
_decode_name = msgspec.json.Decoder(_Named).decode
_decoders: dict[str, msgspec.json.Decoder[Any]] = {one.cmd: msgspec.json.Decoder(one) for one in mesh.COMMANDS}
_encode = msgspec.json.Encoder().encode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def parse(data: bytes) -> Frame:
    """Read one text frame. Raises ValueError with the text to send before closing."""
    try:
        command = _decode(data)
    except _UNREADABLE as error:
        if isinstance(error, msgspec.ValidationError) and (name := _name(data)) in _decoders:
            return mesh.Malformed(name)
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
    if command.cmd in _decoders:
        return _page_command(command.cmd, data)
    return UNKNOWN


def said(data: bytes) -> str:
    """The text of a frame that sends one; empty for any other, which is `parse`'s."""
    try:
        command = _decode(data)
    except _UNREADABLE:
        return ""
    return command.msg if command.cmd == "send" else ""


def _name(data: bytes) -> str:
    """The ``cmd`` of a frame that is JSON with a field of a wrong type."""
    try:
        return _decode_name(data).cmd
    except _UNREADABLE:
        return ""


def _page_command(name: str, data: bytes) -> mesh.Command:
    try:
        found: mesh.Command = _decoders[name].decode(data)
    except _UNREADABLE:
        return mesh.Malformed(name)
    return found


def message(text: str) -> bytes:
    """The frame that carries a peer's message."""
    return b'{"msg":%b,"error":""}' % _encode(text)


def error(text: str) -> bytes:
    """The frame that carries an error; Android reads ``msg`` first, so it is there and empty."""
    return b'{"msg":"","error":' + _encode(text) + b"}"


def event(text: str) -> bytes:
    """The frame that carries an event of the room (`rtcd.rooms.snapshot`), which pages alone are sent."""
    return b'{"msg":"","error":"","room":' + text.encode() + b"}"
