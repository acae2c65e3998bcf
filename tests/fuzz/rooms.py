"""What the readers of rooms promise: bodies of /join, and frames of pages and apps, one after another in one room."""

from __future__ import annotations

import json
from typing import Any

from rtcd.rooms import mesh
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import MAX_SHOWN_CHARS, Declaration, declared, matches
from rtcd.rooms.outcome import Close, Inform, Outcome
from rtcd.rooms.records import Card, Limits, Room
from rtcd.rooms.snapshot import event, notices, snapshot
from rtcd.signaling import messages, switchboard
from tests.fuzz.source import Source

LIMITS = Limits(max_messages=4, max_queue_bytes=2000, capacity=3)
TAGS = tuple(f"{number:016x}" for number in range(1, 5))
CLIENTS = ("client-one", "client-two", "client-three", "client-app")
COMMANDS = ("direct", "name", "lock", "password", "kick", "mute", "host", "send", "register", "dance")
VALUES: tuple[Any, ...] = (*TAGS, "app", "audio", "video", "secret", "", True, False, None, 5, [], {}, '{"type":"bye"}')
FIELDS = ("to", "msg", "name", "on", "password", "kind", "roomid")


def declaration(data: bytes) -> None:
    """Whatever is in the body: a declaration whose name can be shown, or none."""
    source = Source(data)
    shaped, password = source.flag(), source.take()
    text = source.rest()
    body = b'{"page":{"id":"%b","name":"%b"}}' % (TAGS[0].encode(), text) if shaped else text
    found = declared(body)
    if found is None:
        return
    assert len(found.card.name) <= MAX_SHOWN_CHARS
    assert not set(found.card.name) & set("\0\n\r\x1b\x7f")
    assert json.loads(event("room", name=found.card.name))["name"] == found.card.name
    room = Room()
    for number, guess in enumerate((found.password, password.decode("utf-8", "replace"))):
        asked = Declaration(Card(TAGS[number], found.card.name), guess, found.was)
        outcome = mesh.join(room, 0.0, LIMITS, CLIENTS[number], "", asked)
        json.dumps(outcome.result.snapshot)
        room = outcome.room
        if number == 0:
            room = mesh.command(room, 0.0, LIMITS, CLIENTS[0], mesh.Guard(found.password), b"salt").room
        elif room.mesh is not None and room.mesh.password is not None:
            assert (outcome.result.result == "SUCCESS") == matches(room.mesh.password, guess)


def frames(data: bytes) -> None:
    """Every frame has its answer, nobody is told what he may not know, and the room stays within its limits."""
    source = Source(data)
    room = _begun(source)
    for number in range(20):
        if not source:
            break
        client = source.pick(CLIENTS)
        try:
            frame = messages.parse(_frame(source))
        except ValueError as error:
            json.loads(messages.error(str(error)))
            continue
        outcome: Outcome[Any]
        if isinstance(frame, messages.Unknown):
            continue
        if isinstance(frame, messages.Register):
            outcome = switchboard.lost(room, number, LIMITS, client) if source.flag() else switchboard.register(
                room, number, LIMITS, client)
        elif isinstance(frame, messages.Send):
            outcome = switchboard.send(room, number, LIMITS, client, frame.text)
        else:
            outcome = switchboard.command(room, number, LIMITS, client, frame, b"salt")
            if isinstance(outcome.result, mesh.Refusal):
                assert outcome.room is room
                messages.event(event("refused", cmd=outcome.result.cmd, why=outcome.result.why))
        _told(room, outcome)
        room = outcome.room
        snapshot(room, LIMITS)
        for one in room.clients:
            assert len(one.inbox) <= LIMITS.max_messages


def _begun(source: Source) -> Room:
    """Three pages, or one with an app, some of them with sockets."""
    room = Room()
    for client, tag in zip(CLIENTS[: 1 if source.flag() else 3], TAGS, strict=False):
        room = mesh.join(room, 0.0, LIMITS, client, client, Declaration(Card(tag))).room
    room = rooms.join(room, 0.0, LIMITS, CLIENTS[3]).room
    for client in CLIENTS:
        if not source.rarely():
            room = switchboard.register(room, 0.0, LIMITS, client).room
    return room


def _frame(source: Source) -> bytes:
    """A command whose fields make sense now and then, or some bytes."""
    if source.rarely():
        return source.take()
    fields: dict[str, Any] = {"cmd": source.pick(COMMANDS), "clientid": "c", "msg": "m", "to": source.pick(TAGS)}
    for _ in range(source.byte() % 4):
        found = source.take().decode("utf-8", "replace") if source.rarely() else source.pick(VALUES)
        fields[source.pick(FIELDS)] = found
    return json.dumps(fields, ensure_ascii=source.flag()).encode()


def _told(before: Room, outcome: Outcome[Any]) -> None:
    """Who is informed is a page, of things that name nobody's id."""
    for effect in (*outcome.effects, *notices(before, outcome, LIMITS)):
        if isinstance(effect, Inform):
            assert effect.client in CLIENTS[:3]
            found = json.loads(messages.event(effect.text))
            assert (found["msg"], found["error"]) == ("", "")
            if found["room"]["event"] in ("room", "mute"):
                assert not any(one in effect.text for one in CLIENTS)
        elif not isinstance(effect, Close):
            assert effect.client in CLIENTS
