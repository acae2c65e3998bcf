"""The rules of rooms of pages: up to ``capacity`` of them, each connected to each, one of them the host.

A page says what it is when it joins (``declaration``), is told who is in the room (``snapshot``), and speaks to one
other page at a time. Beside an app there is room for one page alone; they speak as two apps do (``room``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from msgspec.structs import replace

from rtcd.rooms import seats
from rtcd.rooms.declaration import Declaration, hashed, matches
from rtcd.rooms.declaration import shown as as_shown
from rtcd.rooms.invitation import Shown
from rtcd.rooms.outcome import Came, Close, Deliver, Effect, Inform, Outcome, Said, TurnedAway
from rtcd.rooms.records import BYE, MAX_FORMER, MAX_GUESTS, Card, Client, Letter, Limits, Mesh, Room
from rtcd.rooms.room import Joined, changed, fits, make_way
from rtcd.rooms.snapshot import event, snapshot

WRONG_PASSWORD = Joined("PASSWORD", reason="password")
"""Also the answer to a page that gave none."""
NO_MORE_GUESSES = Joined("PASSWORD", reason="guesses")

_LOCKED = Joined("LOCKED", reason="locked")
_TURNED_AWAY = {"guesses": "password", "invitation": "locked", "expired": "locked"}
"""What watchers are told of some reasons."""
NOT_INVITED = Joined("LOCKED", reason="invitation")
INVITED_ONCE = Joined("LOCKED", reason="expired")
_DUPLICATE = Joined("DUPLICATE_CLIENT")


@dataclass(frozen=True, slots=True)
class Direct:
    """``{"cmd":"direct","to":TAG,"msg":M}``: a peer message for one page."""

    to: str
    msg: str
    cmd: ClassVar[str] = "direct"


@dataclass(frozen=True, slots=True)
class Rename:
    """``{"cmd":"name","name":NAME}``"""

    name: str
    cmd: ClassVar[str] = "name"


@dataclass(frozen=True, slots=True)
class Lock:
    """``{"cmd":"lock","on":bool}``: let nobody in who was not in before."""

    on: bool
    cmd: ClassVar[str] = "lock"


@dataclass(frozen=True, slots=True)
class Guard:
    """``{"cmd":"password","password":PW}``: ask those who come for it; empty: ask no more."""

    password: str
    cmd: ClassVar[str] = "password"


@dataclass(frozen=True, slots=True)
class Kick:
    """``{"cmd":"kick","to":TAG|"app"}``"""

    to: str
    cmd: ClassVar[str] = "kick"


@dataclass(frozen=True, slots=True)
class Mute:
    """``{"cmd":"mute","to":TAG,"kind":"audio"|"video"}``: ask a page to switch its own off."""

    to: str
    kind: Literal["audio", "video"]
    cmd: ClassVar[str] = "mute"


@dataclass(frozen=True, slots=True)
class MakeHost:
    """``{"cmd":"host","to":TAG}``: hand the host's rights over."""

    to: str
    cmd: ClassVar[str] = "host"


@dataclass(frozen=True, slots=True)
class Malformed:
    """One of these with fields that are missing or wrong."""

    cmd: str


Command: TypeAlias = Direct | Rename | Lock | Guard | Kick | Mute | MakeHost | Malformed
COMMANDS = (Direct, Rename, Lock, Guard, Kick, Mute, MakeHost)

Reason: TypeAlias = Literal["app", "host", "unknown", "full", "invalid"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command is not done: who sent it is an ``app`` or is not the ``host``, there is no such member (``unknown``),
    its inbox is ``full``, or the command is ``invalid``."""

    cmd: str
    why: Reason


def join(
    room: Room, now: float, limits: Limits, client_id: str, address: str, asked: Declaration, *, may_guess: bool = True,
    shown: Shown = "",
) -> Outcome[Joined]:
    """Seat a page, or say why not: ``reason`` is ``locked``, ``invitation`` or ``expired`` (it has to have one, and that was
    good once), ``app``, ``full`` or ``password``, or ``guesses`` if a password was given and ``may_guess`` is false.

    ``shown``: the invitation that it has. One that is good takes the place of the password.

    One that comes back (``was``) frees the seat that it has lost the socket of. The seat of its own tag it takes over even
    with a socket, and if the answer to its last join got lost; nobody else's tag can be used.
    Whoever was admitted before, and not kicked, is not asked for the password and not kept out by the lock.
    """
    if room.client(client_id) or room.gone(client_id):
        return Outcome(room, _DUPLICATE)
    old = room.page(asked.card.tag)
    if old is not None and old.id not in _former(room.mesh, asked.was):
        return Outcome(room, _DUPLICATE)
    if old is None:
        old = next((one for one in room.clients if one.id == asked.was and one.page and not one.registered), None)
    mesh, limits = room.begun(asked.card.tag), room.bounds(limits)
    guest = old is not None or any(asked.was in one for one in mesh.guests)
    refused = _refusal(room, limits, old, asked, guest=guest, may_guess=may_guess, shown=shown)
    if refused is not None:
        why = _TURNED_AWAY.get(refused.reason, refused.reason)
        return Outcome(room, refused, events=(TurnedAway(address, True, why),))
    room, messages, effects = make_way(room)
    seated = Client(client_id, address, deadline=now + limits.join_timeout_s, page=asked.card)
    if old is None:
        initiator = not room.clients
        room = seats.take(room, seated)
    else:
        initiator = len(room.clients) == 1
        room, more = _return(room, old, seated)
        effects += more
    former = _former(mesh, asked.was) if guest else ()
    others = tuple(one for one in mesh.guests if asked.was not in one)
    guests = (*others, (*former, client_id)[-MAX_FORMER:])[-MAX_GUESTS:]
    room = replace(room, mesh=replace(room.mesh or mesh, guests=guests))
    joined = Joined("SUCCESS", initiator, messages, snapshot=snapshot(room, limits), relay_only=room.terms.relay_only)
    return replace(changed(room, now, joined, effects), events=(Came(client_id, address, asked.card.tag),), why="returned")


def _former(mesh: Mesh | None, was: str) -> tuple[str, ...]:
    """Every client that the page has been which was this one, as far as is known."""
    return next((one for one in mesh.guests if was in one), (was,)) if mesh is not None else (was,)


def _refusal(
    room: Room, limits: Limits, old: Client | None, asked: Declaration, *, guest: bool, may_guess: bool, shown: Shown
) -> Joined | None:
    if room.locked and not guest:
        return _LOCKED
    if room.terms.invited_only and shown != "good" and not guest:
        return INVITED_ONCE if shown == "expired" else NOT_INVITED
    shortage = "full" if room.loopback else seats.shortage([one for one in room.taken() if one is not old], limits)
    if shortage:
        return Joined("FULL", reason=shortage, capacity=room.terms.capacity or 0)
    if room.password is None or guest or shown == "good":
        return None
    if asked.password and not may_guess:
        return NO_MORE_GUESSES
    return None if matches(room.password, asked.password) else WRONG_PASSWORD


def _return(room: Room, old: Client, seated: Client) -> tuple[Room, tuple[Effect, ...]]:
    """A page takes its own seat over. With the tag that it had it keeps its place and its inbox; apps are told bye, since
    the connections of a page that was loaded anew are gone."""
    if seated.tag == old.tag:
        kept = replace(seated, inbox=old.inbox)
        room = replace(room, clients=tuple(kept if one.id == old.id else replace(one, queue=()) for one in room.clients))
    else:
        room = seats.take(room, seated)
        if room.mesh is not None and room.mesh.host == old.tag:
            room = replace(room, mesh=replace(room.mesh, host=seated.tag))
        room, _ = seats.remove(room, old, "returned")
    room, told = seats.tell(room, () if old.told else seats.owed_byes(room))
    return room, (*told, Close(old.id)) if old.registered else told


def command(
    room: Room, now: float, limits: Limits, client_id: str, asked: Command, salt: bytes
) -> Outcome[Refusal | None]:
    """Do what a seated client asks by its socket. ``salt`` is random, for a new password."""
    sender, mesh = room.client(client_id), room.mesh
    if sender is None or sender.page is None or mesh is None:
        return Outcome(room, Refusal(asked.cmd, "app"))
    if isinstance(asked, Direct):
        return _direct(room, now, limits, sender, asked)
    if isinstance(asked, Rename):
        card = Card(sender.tag, as_shown(asked.name))
        return changed(seats.replaced(room, replace(sender, page=card)), now, None)
    if isinstance(asked, Malformed):
        return Outcome(room, Refusal(asked.cmd, "invalid"))
    if mesh.host != sender.tag:
        return Outcome(room, Refusal(asked.cmd, "host"))
    if isinstance(asked, Lock):
        return _agreed(room, now, mesh, replace(mesh, locked=asked.on))
    if isinstance(asked, Guard):
        try:
            secret = hashed(asked.password, salt)
        except ValueError:
            return Outcome(room, Refusal(asked.cmd, "invalid"))
        return _agreed(room, now, mesh, replace(mesh, password=secret))
    if asked.to == sender.tag:
        return Outcome(room, Refusal(asked.cmd, "invalid"))
    if isinstance(asked, Kick):
        return _kick(room, now, asked)
    target = room.page(asked.to)
    if target is None:
        return Outcome(room, Refusal(asked.cmd, "unknown"))
    if isinstance(asked, Mute):
        return _give(room, now, limits, sender, target, asked.cmd, event("mute", kind=asked.kind, **{"from": sender.tag}))
    return _agreed(room, now, mesh, replace(mesh, host=target.tag))


def _direct(room: Room, now: float, limits: Limits, sender: Client, asked: Direct) -> Outcome[Refusal | None]:
    if not asked.msg or asked.to == sender.tag:
        return Outcome(room, Refusal(asked.cmd, "invalid"))
    target = room.page(asked.to)
    if target is None:
        return Outcome(room, Refusal(asked.cmd, "unknown"))
    given = _give(
        room, now, limits, sender, target, asked.cmd, event("message", **{"from": sender.tag, "msg": asked.msg}))
    return given if given.result is not None else replace(given, events=(Said(sender.id, asked.msg),))


def _give(
    room: Room, now: float, limits: Limits, sender: Client, target: Client, cmd: str, text: str
) -> Outcome[Refusal | None]:
    """To its socket, or into its inbox while there is none."""
    if target.registered:
        return Outcome(room, None, (Inform(target.id, text),))
    if not fits((one.text for one in target.inbox), text, limits):
        return Outcome(room, Refusal(cmd, "full"))
    letter = Letter(sender.tag, sender.address, text)
    return changed(seats.replaced(room, replace(target, inbox=(*target.inbox, letter))), now, None)


def _kick(room: Room, now: float, asked: Kick) -> Outcome[Refusal | None]:
    """Its seat is free, it is told and its socket closed, and it is a stranger from now on."""
    target = next((one for one in room.clients if one.tag == asked.to), None)
    return Outcome(room, Refusal(asked.cmd, "unknown")) if target is None else expel(room, now, target)


def expel(room: Room, now: float, target: Client) -> Outcome[None]:
    """Take the seat of a client away; the others are told that it was."""
    if room.mesh is not None:
        guests = tuple(one for one in room.mesh.guests if target.id not in one)
        room = replace(room, mesh=replace(room.mesh, guests=guests))
    room, effects = seats.forget(room, target, "kicked")
    if target.registered:
        word = Deliver(target.id, BYE) if target.page is None else Inform(target.id, event("kicked"))
        effects = (word, Close(target.id), *effects)
    return replace(changed(room, now, None, effects), why="kicked")


def _agreed(room: Room, now: float, before: Mesh, after: Mesh) -> Outcome[Refusal | None]:
    return Outcome(room, None) if after == before else changed(replace(room, mesh=after), now, None)
