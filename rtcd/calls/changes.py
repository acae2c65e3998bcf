"""The changes of a record, one for each thing that happens: pure functions from a `Call` to the next one.

What is told of somebody whom the record does not know changes nothing. What may come often is counted, what comes seldom
makes an entry of the time line, and what is alike makes one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from rtcd.bucket import masked
from rtcd.calls.record import Call, Event, Link, Pair, Person, Values

MAX_EVENTS = 250
"""Entries of a time line; of more the oldest are left out, and counted."""
MAX_PEOPLE = 26
"""People of one call who are remembered; the one who went first makes room."""
MAX_LINKS = 60
"""Connections that pages told of; a mesh of six has thirty ends."""
MAX_COUNTED = 16
"""Different things under one heading; further ones are counted as `REST`."""
MAX_NETWORKS = 6
"""Networks remembered of one person."""
MAX_VALUE_CHARS = 64
"""Of a text in the time line."""
ALIKE_LOOKED_AT = 12
"""An event that is like one of so many before it is counted there."""
REST = "other"
MAX_SERVERS = 6
"""Different faults of servers that one page tells of."""

DEVICES = ("audio", "video")
DEVICE_PROBLEMS = ("AbortError", "Ended", "Insecure", "InvalidStateError", "NotAllowedError", "NotFoundError",
                   "NotReadableError", "NotSupportedError", "OverconstrainedError", "SecurityError", "TypeError")
"""Names of DOMException and our page's own; whatever else a page says is `REST`."""

DENIALS = ("denied", "not signalled", "no room")
"""Reasons of `rtcd.peers.policy` and `rtcd.peers.bound` that an operator has chosen."""

TOLD = ("offer", "answer", "bye")
"""Messages that are events; of the others only the candidates are told."""

POOR_LOSS = 0.05
POOR_RTT_MS = 400
"""From here on a connection is poor, as the page says it too."""


def came(call: Call, now: float, letter: str, kind: str, host: str, *, registered: bool) -> Call:
    """Somebody took a seat, or has a socket (again)."""
    person, network = call.person(letter), masked(host)
    if person is None:
        people = call.people
        if len(people) >= MAX_PEOPLE:
            gone = min((one for one in people if one.gone_at), key=lambda one: one.gone_at, default=people[0])
            links = tuple(one for one in call.links if gone.letter not in (one.who, one.to))
            people = tuple(one for one in people if one is not gone)
            call = msgspec.structs.replace(call, forgotten=call.forgotten + 1, links=links)
        person = Person(letter, kind, network, now, socket_at=now if registered else 0.0)
        call = msgspec.structs.replace(call, people=(*people, person))
        return noted(call, now, "came", letter, {"kind": kind, "network": network})
    if not registered:
        return call
    again = person.socket_at > 0
    call = _with(call, person, socket_at=person.socket_at or now)
    return noted(call, now, "back" if again else "socket", letter, {"network": network} if network != person.network else {})


def gone(call: Call, now: float, letter: str, why: str) -> Call:
    """Somebody has no seat any more."""
    person = call.person(letter)
    if person is None or person.gone_at:
        return call
    return noted(_with(call, person, gone_at=now, why=why), now, "gone", letter, {"why": why})


def turned_away(call: Call, now: float, kind: str, why: str) -> Call:
    """Somebody got no seat."""
    call = msgspec.structs.replace(call, turned_away=_more(call.turned_away, why))
    return noted(call, now, "away", "", {"kind": kind, "why": why})


def said(call: Call, now: float, letter: str, message: str, candidates: Sequence[tuple[str, str, str]]) -> Call:
    """Somebody gave a message for others: ``offer``, ``answer``, ``bye`` or another; and candidates: type, transport, host.

    Of candidates the first of each kind is an event.
    """
    person = call.person(letter)
    if person is None or (message not in TOLD and not candidates):
        return call
    counts, networks, fresh = dict(person.candidates), person.networks, []
    for kind, transport, host in candidates:
        key = f"{kind} {transport}"
        if key not in counts:
            fresh.append(key)
        counts[key] = counts.get(key, 0) + 1
        network = masked(host) if kind == "srflx" else ""
        if network and network not in networks:
            networks = (*networks, network)[-MAX_NETWORKS:]
    if message not in TOLD:
        call = _with(call, person, candidates=counts, networks=networks)
    else:
        call = _with(call, person, candidates=counts, networks=networks, offers=person.offers + (message == "offer"),
                     answers=person.answers + (message == "answer"))
        call = noted(call, now, message, letter)
    for key in fresh:
        call = noted(call, now, "candidate", letter, {"type": key})
    return call


def repeats(call: Call, letter: str, message: str, candidates: Sequence[tuple[str, str, str]]) -> bool:
    """Whether what somebody `said` changes numbers alone, and may be `counted` later: as long as nothing else changes."""
    person = call.person(letter)
    if person is None:
        return False
    known, networks = person.candidates, person.networks
    for kind, transport, host in candidates:
        if f"{kind} {transport}" not in known or (kind == "srflx" and masked(host) not in ("", *networks)):
            return False
    return message not in TOLD or _alike(call, message, letter, {}) is not None


def counted(call: Call, more: Mapping[str, Mapping[str, int]]) -> Call:
    """So many messages and candidates more, by letter and by kind, each of which `repeats` something."""
    for letter, kinds in more.items():
        person = call.person(letter)
        if person is None:
            continue
        sums = {key: number + kinds.get(key, 0) for key, number in person.candidates.items()}
        call = _with(call, person, candidates=sums, offers=person.offers + kinds.get("offer", 0),
                     answers=person.answers + kinds.get("answer", 0))
        for message in TOLD:
            index = _alike(call, message, letter, {}) if kinds.get(message) else None
            if index is not None:
                call = _again(call, index, kinds[message])
    return call


def knocked(call: Call, now: float, letter: str, transport: str) -> Call:
    """A request for an allocation, as yet without credentials, came from somebody's address."""
    person = call.person(letter)
    if person is None:
        return call
    return noted(_with(call, person, knocks=_more(person.knocks, transport)), now, "knock", letter, {"transport": transport})


def crowded(call: Call, letter: str) -> Call:
    """Requests come from somebody's address, which too many have to tell whose they are."""
    person = call.person(letter)
    return call if person is None or person.crowded else _with(call, person, crowded=True)


def relay_began(call: Call, now: float, letter: str, transport: str) -> Call:
    """Somebody has an allocation."""
    person = call.person(letter)
    if person is None:
        return call
    return noted(_with(call, person, relays=_more(person.relays, transport)), now, "relay", letter, {"transport": transport})


def relay_refused(call: Call, now: float, letter: str, method: str, code: int, reason: str) -> Call:
    """A TURN request of somebody was answered with an error."""
    person = call.person(letter)
    if person is None:
        return call
    limits = person.limits if not reason or reason in person.limits else (*person.limits, reason)[-MAX_NETWORKS:]
    call = _with(call, person, refusals=_more(person.refusals, f"{method} {code}"), limits=limits)
    return noted(call, now, "refused", letter, {"method": method, "code": code, **({"reason": reason} if reason else {})})


def peer_denied(call: Call, now: float, letter: str, host: str, reason: str) -> Call:
    """Somebody's relay may not reach a peer. That is so in every call for private addresses; counted are the operator's
    own denials, and peers that nobody signalled."""
    person = call.person(letter)
    if person is None:
        return call
    call = _with(call, person, denied=person.denied + (reason in DENIALS))
    return noted(call, now, "denied", letter, {"network": masked(host), "reason": reason})


def relay_ended(call: Call, now: float, letter: str, transport: str, reason: str, sent: int, received: int) -> Call:
    """Somebody's allocation is gone, having carried so many bytes from and to its client."""
    person = call.person(letter)
    if person is None:
        return call
    call = _with(call, person, relayed_out=person.relayed_out + sent, relayed_in=person.relayed_in + received)
    return noted(call, now, "relay-end", letter,
                 {"transport": transport, "reason": reason, "sent": sent, "received": received})


def device(call: Call, now: float, letter: str, problem: str) -> Call:
    """A page could not have a device."""
    said, _, those = problem.partition(" ")
    name = said if said in DEVICE_PROBLEMS else REST
    kinds = " ".join(one for one in DEVICES if one in those.split())
    person, problem = call.person(letter), f"{name} {kinds}"
    if person is None or problem in person.devices or len(person.devices) >= MAX_NETWORKS:
        return call
    call = _with(call, person, devices=(*person.devices, problem))
    return noted(call, now, "device", letter, {"name": name, "kinds": kinds})


def server(call: Call, now: float, letter: str, fault: str) -> Call:
    """A page tells of a STUN or TURN server's error."""
    told = {one.values.get("server") for one in call.events if (one.what, one.who) == ("server", letter)}
    return noted(call, now, "server", letter, {"server": fault if fault in told or len(told) < MAX_SERVERS else REST})


def unserved(call: Call, now: float, letter: str) -> Call:
    """A page could not get the ICE servers that it asked for."""
    person = call.person(letter)
    if person is None:
        return call
    return noted(_with(call, person, unserved=True), now, "unserved", letter)


def leaving(call: Call, now: float, letter: str, how: str) -> Call:
    """A page says that it goes."""
    person = call.person(letter)
    if person is None or person.leaving:
        return call
    return noted(_with(call, person, leaving=how), now, "leaving", letter, {"how": how})


def link_state(call: Call, now: float, who: str, to: str, state: str) -> Call:
    """A connection is in another state (RTCPeerConnectionState)."""
    link = call.link(who, to) or Link(who, to)
    connected = state == "connected" and not link.connected_at
    after = msgspec.structs.replace(link, state=state, failures=link.failures + (state == "failed"),
                                    connected_at=now if connected else link.connected_at)
    return noted(_linked(call, after), now, "state", who, {"to": to, "state": state})


def link_step(call: Call, now: float, who: str, to: str, step: str) -> Call:
    """A page does something about trouble."""
    link = call.link(who, to) or Link(who, to)
    return noted(_linked(call, msgspec.structs.replace(link, steps=_more(link.steps, step))), now, "step", who,
                 {"to": to, "step": step})


def looked(
    call: Call, now: float, who: str, to: str, pair: Pair | None, figures: tuple[float | None, ...]
) -> Call:
    """A page's look at a connection: ``figures`` are RTT in ms, shares lost on the way out and in, kbit/s out and in.

    One that is only counted makes no event; another pair does.
    """
    link = call.link(who, to) or Link(who, to)
    rtt, loss_out, loss_in, kbps_out, kbps_in = figures
    poor = max(loss_out or 0, loss_in or 0) >= POOR_LOSS or (rtt or 0) >= POOR_RTT_MS
    fresh = pair is not None and pair != link.pair
    after = msgspec.structs.replace(
        link, pair=pair or link.pair, pairs=link.pairs + fresh, poor=link.poor + poor,
        connected_at=link.connected_at or (now if pair else 0.0), rtt_ms=link.rtt_ms.add(rtt),
        loss_out=link.loss_out.add(loss_out), loss_in=link.loss_in.add(loss_in),
        kbps_out=link.kbps_out.add(kbps_out), kbps_in=link.kbps_in.add(kbps_in))
    call = _linked(call, after)
    if pair is not None and fresh:
        call = noted(call, now, "pair", who, {"to": to, "local": pair.local, "remote": pair.remote,
                                              "protocol": pair.protocol, "relay": pair.relay})
    return call


def ended(call: Call, now: float, why: str) -> Call:
    """Nobody is in it any more."""
    return noted(msgspec.structs.replace(call, ended_at=max(now, call.began_at), why=why), now, "end", "", {"why": why})


def noted(call: Call, now: float, what: str, who: str = "", values: Values | None = None) -> Call:
    """With one more event; if it is like a late one, that has happened once more."""
    values = {key: one[:MAX_VALUE_CHARS] if isinstance(one, str) else one for key, one in (values or {}).items()}
    index = _alike(call, what, who, values)
    if index is not None:
        return _again(call, index, 1)
    events = (*call.events, Event(now, what, who, values))
    over = max(0, len(events) - MAX_EVENTS)
    return msgspec.structs.replace(call, events=events[over:], left_out=call.left_out + over)


def _alike(call: Call, what: str, who: str, values: Values) -> int | None:
    """The place of the last event like this, if it is a late one."""
    events = call.events
    for index in range(len(events) - 1, max(-1, len(events) - 1 - ALIKE_LOOKED_AT), -1):
        one = events[index]
        if one.what == what and one.who == who and one.values == values:
            return index
    return None


def _again(call: Call, index: int, times: int) -> Call:
    events = call.events
    again = msgspec.structs.replace(events[index], times=events[index].times + times)
    return msgspec.structs.replace(call, events=(*events[:index], again, *events[index + 1:]))


def shortened(call: Call, keep: int) -> Call:
    """With the last ``keep`` entries of the time line."""
    over = max(0, len(call.events) - keep)
    return msgspec.structs.replace(call, events=call.events[over:], left_out=call.left_out + over) if over else call


def _with(call: Call, person: Person, **changes: object) -> Call:
    after = msgspec.structs.replace(person, **changes)
    return msgspec.structs.replace(call, people=tuple(after if one is person else one for one in call.people))


def _linked(call: Call, link: Link) -> Call:
    others = tuple(one for one in call.links if (one.who, one.to) != (link.who, link.to))
    return msgspec.structs.replace(call, links=(*others, link)[-MAX_LINKS:])


def _more(counts: dict[str, int], key: str) -> dict[str, int]:
    """Counts with one more of this; what is one too many is counted with the rest."""
    if key not in counts and len(counts) >= MAX_COUNTED:
        key = REST
    return {**counts, key: counts.get(key, 0) + 1}
