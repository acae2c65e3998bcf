"""A record as others are shown it: plain values for JSON, and lines of text for a terminal, English or Chinese."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from rtcd.calls.record import Call, Event, Link, Person
from rtcd.calls.texts import LANGUAGES, has, text
from rtcd.calls.verdict import Judgement, Verdict, judge

WIDTH = 10
"""Of the column of times."""


def summary(call: Call, now: float) -> dict[str, Any]:
    """One entry of a list of calls."""
    judgement = judge(call, now)
    return {
        "id": call.id, "room": call.room, "began_at": call.began_at, "ended_at": call.ended_at or None,
        "people": len(call.people) + call.forgotten, "verdict": _plain("verdict", judgement.verdict),
        "ending": _plain("ending", judgement.ending),
    }


def whole(call: Call, now: float) -> dict[str, Any]:
    """Everything: that entry, notes, ``at`` which moment it was so, under ``record`` the `Call` with its time line, without
    what is as by default, and under ``view`` the same for people (`view`) in each language."""
    notes = [_plain("note", one) for one in judge(call, now).notes]
    return {**summary(call, now), "notes": notes, "at": now, "record": msgspec.json.decode(msgspec.json.encode(call)),
            "view": {code: view(call, now, code) for code in LANGUAGES}}


def view(call: Call, now: float, language: str) -> dict[str, Any]:
    """A record for people: ``title``, ``span``, the sentences ``said``, and ``parts``, each with its ``title`` and its
    ``rows`` of when (an empty text where it is of no moment), what, and more lines about it."""
    until = call.ended_at or now
    span = {"began": _moment(call.began_at), "ended": _moment(call.ended_at), "duration": _span(until - call.began_at)}
    parts = {"show.people": _people(call, until, language), "show.links": _links(call, language),
             "show.events": _events(call, language)}
    return {
        "title": text(language, "show.call", {"id": call.id, "room": call.room}),
        "span": text(language, "show.time" if call.ended_at else "show.on", span),
        "said": said(judge(call, now), language),
        "parts": [{"title": text(language, title), "rows": rows} for title, rows in parts.items() if rows],
    }


def lines(shown: Mapping[str, Any], language: str = "en") -> list[str]:
    """The text for what `whole` returned, perhaps by way of JSON. Raises ValueError if it is nothing of the kind."""
    try:
        found = shown["view"][language]
        told = [found["title"], found["span"], "", *found["said"]]
        for part in found["parts"]:
            told += ["", part["title"]]
            for when, what, more in part["rows"]:
                told += [f"{when:>{WIDTH}}  {what}" if when else f"  {what}", *(f"      {one}" for one in more)]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is no record of a call: {error!r}") from None
    return told


def said(judgement: Judgement, language: str) -> list[str]:
    """The sentences of a judgement."""
    found = [("verdict", judgement.verdict), ("ending", judgement.ending), *(("note", one) for one in judgement.notes)]
    return [sentence(kind, one, language) for kind, one in found]


def sentence(kind: str, one: Verdict, language: str) -> str:
    """One of them: ``kind`` is ``verdict``, ``ending`` or ``note``."""
    special = f"{kind}.{one.id}.{one.values.get('why', one.values.get('name', ''))}"
    return text(language, special if has(special) else f"{kind}.{one.id}", one.values)


def _plain(kind: str, one: Verdict) -> dict[str, Any]:
    return {"id": one.id, "values": dict(one.values), "text": {code: sentence(kind, one, code) for code in LANGUAGES}}


_Row = list[Any]
"""When, what, and more about it: plain values."""


def _people(call: Call, until: float, language: str) -> list[_Row]:
    rows: list[_Row] = []
    if call.forgotten:
        rows.append(["", text(language, "show.forgotten", {"count": call.forgotten}), []])
    for one in call.people:
        values = {"who": one.letter, "kind": one.kind, "network": one.network or "–",
                  "duration": _span((one.gone_at or until) - one.came_at)}
        rows.append(["", text(language, "show.person", values), list(_person(one, language))])
    return rows


def _person(one: Person, language: str) -> Iterator[str]:
    none = text(language, "show.none")
    yield text(language, "show.candidates", {"counts": _counts(one.candidates) or none})
    if one.networks:
        yield text(language, "show.seen", {"networks": ", ".join(one.networks)})
    yield text(language, "show.relays", {"counts": _counts(one.relays) or none})
    if one.refusals:
        yield text(language, "show.refusals", {"counts": _counts(one.refusals)})


def _links(call: Call, language: str) -> list[_Row]:
    return [["", _link(one, language), []] for one in sorted(call.links, key=lambda one: (one.who, one.to))]


def _link(one: Link, language: str) -> str:
    if one.pair is None:
        return text(language, "show.link-none", {"who": one.who, "to": one.to, "state": one.state or "–"})
    relay = f" ({one.pair.relay})" if one.pair.relay else ""
    return text(language, "show.link", {
        "who": one.who, "to": one.to, "pair": f"{one.pair.local}{relay} → {one.pair.remote}",
        "rtt": round(one.rtt_ms.mean), "rtt_most": round(one.rtt_ms.most), "lost_out": round(one.loss_out.mean * 100, 1),
        "lost_in": round(one.loss_in.mean * 100, 1), "kbps_out": round(one.kbps_out.mean),
        "kbps_in": round(one.kbps_in.mean), "looks": one.rtt_ms.looks, "poor": one.poor})


def _events(call: Call, language: str) -> list[_Row]:
    rows: list[_Row] = []
    if call.left_out:
        rows.append(["", text(language, "show.left-out", {"count": call.left_out}), []])
    for one in sorted(call.events, key=lambda one: one.at):
        times = f" ×{one.times}" if one.times > 1 else ""
        rows.append([f"+{_span(one.at - call.began_at)}", f"{entry(one, language)}{times}", []])
    return rows


def entry(event: Event, language: str) -> str:
    """What an entry of the time line says."""
    values = event.values
    special = {"gone": "why", "step": "step", "pair": "local"}.get(event.what, "")
    key = f"event.{event.what}.{values.get(special, '')}"
    return text(language, key if has(key) else f"event.{event.what}", {"who": event.who, **values})


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{key.strip()} ×{count}" for key, count in sorted(counts.items()))


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _span(seconds: float) -> str:
    """``1:02:03``, ``4:05`` or ``6.7 s``."""
    seconds = max(0.0, seconds)  # a clock may step back
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
