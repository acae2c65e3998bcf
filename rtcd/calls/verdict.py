"""What a record adds up to: by which path a call went, or why it did not come about; and how it ended.

Rules only, and each yields a name with values; the words are in ``texts``. A verdict says what the record shows and no
more: a phone app tells nothing of its connections, so that of two apps it is only known what their relays carried.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from rtcd.calls.record import Call, Link, Person

PATIENCE_S = 30.0
"""So long a connection may take to come about; who parts earlier has not waited for it."""
SOCKET_S = 3.0
"""So long a WebSocket may take to open."""
CARRIED_BYTES = 2000
"""A relay that carried less has carried checks of connectivity and no media."""
LOSS_WORTH_TELLING = 0.02

Values = dict[str, str | int]

GOOD = ("local", "direct", "relayed", "carried", "mixed", "loopback")
"""Verdicts of calls that came about."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A name, for which there is a text ``verdict.…``, ``ending.…`` or ``note.…``, and what stands in its gaps."""

    id: str
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """All that is to be said of a call."""

    verdict: Verdict
    ending: Verdict
    notes: tuple[Verdict, ...] = ()


def judge(call: Call, now: float) -> Judgement:
    """The judgement as far as is known at ``now``, which matters while the call is on."""
    until = call.ended_at or now
    return Judgement(_verdict(call, until), _ending(call), tuple(_notes(call)))


def _verdict(call: Call, until: float) -> Verdict:
    if any(one.kind == "loopback" for one in call.people):
        return Verdict("loopback")
    met = [(a, b, together) for a, b in itertools.combinations(call.people, 2)
           if (together := _together(a, b, until)) > 0 or _connected(call, a, b)]
    if not met:
        return _alone(call, until)
    found = [_between(call, a, b, together) for a, b, together in met]
    bad = [one for one in found if one.id not in GOOD]
    if bad:
        return next((one for one in bad if one.id not in ("short", "connecting", "unknown")), bad[0])
    first = found[0]
    if all((one.id, one.values.get("how")) == (first.id, first.values.get("how")) for one in found):
        return first if len(found) == 1 else Verdict(first.id, {**first.values, "a": "", "b": ""})
    count = [one.id for one in found].count
    return Verdict("mixed", {"count": len(found), "relayed": count("relayed") + count("carried"),
                             "direct": count("direct"), "local": count("local")})


def _alone(call: Call, until: float) -> Verdict:
    """Nobody met anybody."""
    if call.turned_away:
        why, _ = max(call.turned_away.items(), key=lambda one: one[1])
        return Verdict("turned-away", {"why": why, "count": sum(call.turned_away.values())})
    deaf = next((one for one in call.people if not one.socket_at and (one.gone_at or until) - one.came_at >= SOCKET_S), None)
    if deaf is not None and not deaf.leaving:
        return Verdict("no-socket", {"who": deaf.letter})
    return Verdict("alone" if len(call.people) < 2 else "missed")


def _between(call: Call, a: Person, b: Person, together: float) -> Verdict:
    """Of two who were there at the same time."""
    links = [one for one in (call.link(a.letter, b.letter), call.link(b.letter, a.letter)) if one is not None]
    names: Values = {"a": a.letter, "b": b.letter}
    if any(one.connected_at for one in links):
        return _path(call, a, b, links, names)
    carried = [one for one in (a, b) if min(one.relayed_in, one.relayed_out) >= CARRIED_BYTES]
    if carried and not links:
        return Verdict("carried", {**names, "how": _ways(carried)})
    failed = any(one.failures for one in links)
    if together >= SOCKET_S and not (a.socket_at and b.socket_at):
        return Verdict("no-socket", {"who": a.letter if not a.socket_at else b.letter})
    if together < PATIENCE_S and not failed:
        on = not (a.gone_at or b.gone_at)
        if not on and (refused := _refused(call, a, b)) is not None:
            return refused
        return Verdict("connecting" if on else "short", {**names, "seconds": round(together)})
    return _cause(call, a, b, links, names)


def _cause(call: Call, a: Person, b: Person, links: Sequence[Link], names: Values) -> Verdict:
    """Why these two did not come together; or that nobody has told whether they did, as of two apps."""
    both = (a, b)
    if not any(one.offers for one in both):
        return Verdict("no-offer", names)
    if not any(one.answers for one in both):
        return Verdict("no-answer", {"who": min(both, key=lambda one: one.offers).letter})
    refused = _refused(call, a, b)
    if refused is not None:
        return refused
    for one in both:
        if not one.candidates:
            nothing = call.turn == "here" and not (_arrived(one) or one.unserved or one.crowded)
            return Verdict("no-way-out" if nothing else "no-candidates", {"who": one.letter})
    for one in both:
        if one.denied:
            return Verdict("peer-denied", {"who": one.letter, **_had(a, b)})
    if not links:
        on = any(one.relays and not one.gone_at for one in both)  # what they carried is known when they end
        return Verdict("untold" if on else "unknown", {**names, **_had(a, b)})
    bare = [one for one in both if "relay" not in one.types]
    if not bare:
        return Verdict("relay-silent", {**names, "how": _ways(both)})
    if not call.turn:
        return Verdict("no-turn", {**names, **_had(a, b)})
    if call.turn == "elsewhere":
        return Verdict("relay-elsewhere", {"who": _letters(bare), **_had(a, b)})
    unserved = [one for one in bare if one.unserved and not _arrived(one)]
    if unserved:
        return Verdict("unserved", {"who": _letters(unserved), **_had(a, b)})
    silent = [one for one in bare if not _arrived(one)]
    if silent:
        if any(one.crowded for one in silent):
            return Verdict("relay-unseen", {"who": _letters(silent), **_had(a, b)})
        return Verdict("relay-unreached", {"who": _letters(silent), "places": ", ".join(call.places).upper(), **_had(a, b)})
    unanswered = [one for one in bare if one.knocks and not one.relays]
    if unanswered:
        return Verdict("relay-unanswered", {"who": _letters(unanswered), "how": _kinds(unanswered[0].knocks), **_had(a, b)})
    return Verdict("relay-unused", {"who": _letters(bare), **_had(a, b)})


def _refused(call: Call, a: Person, b: Person) -> Verdict | None:
    """If those who had no relay were refused one."""
    found = []
    for one in (a, b):
        codes = {key.rpartition(" ")[2]: count for key, count in one.refusals.items()
                 if key.rpartition(" ")[0] in ("", "allocate")}
        if codes and not one.relays:
            found.append((one, max(codes, key=lambda code: codes[code])))
    if not found:
        return None
    who, code = [one for one, _ in found], found[0][1]
    limits = ", ".join(dict.fromkeys(limit for one in who for limit in one.limits))
    return Verdict("relay-refused", {"who": _letters(who), "code": code, "limits": limits, **_had(a, b)})


def _path(call: Call, a: Person, b: Person, links: Sequence[Link], names: Values) -> Verdict:
    """Which way their media went."""
    pairs = [one.pair for one in links if one.pair is not None]
    ends = {end for one in pairs for end in (one.local, one.remote)}
    if "relay" in ends:
        own = [one.relay for one in pairs if one.local == "relay" and one.relay]
        how = " + ".join(sorted(set(own))) if own else _ways([one for one in (a, b) if one.relays])
        return Verdict("relayed", {**names, "how": how})
    if pairs and (ends == {"host"} or ("srflx" not in ends and a.network == b.network)):
        return Verdict("local", names)
    return Verdict("direct", names)


def _ending(call: Call) -> Verdict:
    if not call.ended_at:
        return Verdict("on")
    if call.why in ("stopped", "crashed", "closed"):
        return Verdict(call.why)
    parted = sorted((one for one in call.people if one.gone_at and one.why != "returned"), key=lambda one: one.gone_at)
    if not parted:
        return Verdict("left", {"who": ""})
    one = parted[max(0, len(parted) - 2)]  # the one whose going left the last one alone
    said = {"closed": "closed-page"}.get(one.leaving, one.leaving)
    return Verdict(said if said and one.why == "left" else one.why or "left", {"who": one.letter})


def _notes(call: Call) -> list[Verdict]:
    found = [Verdict("device", {"who": one.letter, "name": problem.partition(" ")[0], "kinds": problem.partition(" ")[2]})
             for one in call.people for problem in one.devices]
    found += [Verdict("lost", {"who": one.letter}) for one in call.people if one.why == "lost"]
    for link in sorted(call.links, key=lambda one: (one.who, one.to)):
        if link.connected_at and link.failures + link.steps.get("interrupted", 0):
            found.append(Verdict("interrupted", {"who": link.who, "to": link.to,
                                                 "count": max(link.failures, link.steps.get("interrupted", 0))}))
        worst = max(link.loss_out.mean, link.loss_in.mean)
        if worst >= LOSS_WORTH_TELLING:
            side = "in" if link.loss_in.mean >= link.loss_out.mean else "out"
            found.append(Verdict(f"loss-{side}", {"who": link.who, "to": link.to, "percent": round(worst * 100)}))
        if link.rtt_ms.mean >= 400:
            found.append(Verdict("slow", {"who": link.who, "to": link.to, "ms": round(link.rtt_ms.mean)}))
    if call.turned_away and len(call.people) > 1:
        found.append(Verdict("turned-away", {"count": sum(call.turned_away.values())}))
    return found


def _together(a: Person, b: Person, until: float) -> float:
    """Seconds that both were there."""
    return min(a.gone_at or until, b.gone_at or until) - max(a.came_at, b.came_at)


def _connected(call: Call, a: Person, b: Person) -> bool:
    links = (call.link(a.letter, b.letter), call.link(b.letter, a.letter))
    return any(one is not None and one.connected_at for one in links)


def _arrived(one: Person) -> bool:
    """Whether anything of it came to our TURN."""
    return bool(one.knocks or one.relays or one.refusals)


def _ways(people: Sequence[Person]) -> str:
    """By which transports they reached their relays."""
    return _kinds({key: 1 for one in people for key in one.relays})


def _kinds(counts: dict[str, int]) -> str:
    return ", ".join(sorted(counts))


def _letters(people: Sequence[Person]) -> str:
    return " + ".join(one.letter for one in people)


def _had(a: Person, b: Person) -> Values:
    """What each of them had."""
    return {"a": a.letter, "b": b.letter, "had_a": ", ".join(a.types) or "–", "had_b": ", ".join(b.types) or "–"}
