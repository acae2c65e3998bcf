"""The certificate as clients are shown it: whether they can verify it without fetching anything, for which names, and how
long."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from rtcd.doctor.finding import Finding, as_root, broken, degraded, listed, note, ok, set_key
from rtcd.tls.names import covers

DAY_S = 86400
LIVE = "/etc/letsencrypt/live/"
"""Where certbot has them."""
SOON_DAYS = 14
"""Whatever renews a certificate has failed to when so many days are left, or a quarter of a shorter life."""


class Shown(NamedTuple):
    """One certificate of a chain."""

    subject: str
    issuer: str
    not_before: float
    not_after: float
    """Unix seconds."""
    names: Sequence[str] = ()
    self_signed: bool = False
    source: str = ""
    """Where it says that its issuer's certificate can be fetched (AIA)."""


class Key(NamedTuple):
    """The file of a private key."""

    path: str
    mode: int
    fault: str = ""
    """Why it cannot be looked at; empty if it can."""
    closed: Sequence[str] = ()
    """What the daemon's user is not let into: folders, and the file itself."""
    group: int = 0
    """Of that user."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was shown, and what stands behind it."""

    now: float
    where: str
    """The listener that showed it, or the file it was read from."""
    chain: Sequence[Shown] = ()
    """As it came, the server's own first."""
    fault: str = ""
    """Why nothing was shown: the handshake failed, or the file is none."""
    trusted: str = ""
    """``public``: by the roots that browsers have; ``named``: by one that the operator named; ``local``: by ours."""
    in_order: bool = True
    """Whether each was signed by the next."""
    completed_by: str = ""
    """A file that holds the intermediate certificates that are missing, the server's own before them; or nothing."""
    wanted: Sequence[str] = ()
    """The names that it has to be for."""
    mode: str = "files"
    """Where it is from: ``files``, ``acme`` or ``local``."""
    file: str = ""
    """Of ``[tls] cert``, or in ``live``."""
    written: str = ""
    """As it stands in the ini; empty if it does not."""
    stale: bool = False
    """Whether the file holds another one than is shown."""
    keys: Sequence[Key] = ()
    ini: str = ""
    reload: str = ""
    daemon_user: int | None = None
    clock: str = ""
    """The command that has the clock kept, where there is one."""
    hidden: Sequence[str] = ()
    """Files that this user may not look at, each with the reason; another one may."""


def judge(facts: Facts) -> list[Finding]:
    """What makes every client refuse it, then what makes some of them, then the key."""
    found = [one for key in facts.keys for one in _key(key, facts)]
    found += [note("certificate.hidden", path=one, command=as_root(facts.ini)) for one in facts.hidden]
    if facts.fault:
        return [broken("certificate.unseen", where=facts.where, reason=facts.fault), *found]
    if not facts.chain:
        return found
    found += [*_dates(facts), *_names(facts), *_trust(facts)]
    if facts.stale:
        found.append(degraded("certificate.stale", command=facts.reload, file=facts.file, where=facts.where))
    if not any(one.level in ("broken", "degraded") or one.id == "certificate.local" for one in found):
        leaf = facts.chain[0]
        found.append(ok("certificate.good", where=facts.where, names=listed(leaf.names), until=_day(leaf.not_after)))
    return found


def _dates(facts: Facts) -> list[Finding]:
    found = []
    for one in facts.chain:
        left = one.not_after - facts.now
        values = {"subject": one.subject, "where": facts.where, "until": _day(one.not_after), "since": _day(one.not_before)}
        if left <= 0:
            found.append(broken("certificate.expired", command=_renew(facts), **values))
        elif one.not_before > facts.now:
            found.append(broken("certificate.early", command=facts.clock, **values))
        elif one is facts.chain[0] and left < min(SOON_DAYS * DAY_S, (one.not_after - one.not_before) / 4):
            found.append(degraded("certificate.soon", command=_renew(facts), days=int(left // DAY_S), **values))
    return found


def _names(facts: Facts) -> list[Finding]:
    leaf = facts.chain[0]
    missing = [one for one in facts.wanted if not covers(leaf.names, one)]
    if not missing:
        return []
    return [broken("certificate.name", command=_widen(facts, missing), where=facts.where, missing=listed(missing),
                   names=listed(leaf.names) or "-")]


def _trust(facts: Facts) -> list[Finding]:
    leaf, last = facts.chain[0], facts.chain[-1]
    values = {"where": facts.where, "subject": leaf.subject, "issuer": last.issuer}
    if not facts.in_order:
        return [degraded("certificate.order", file=facts.file, **values)]
    if facts.trusted in ("public", "named"):
        return []
    if facts.trusted == "local":
        return [note("certificate.local", **values)]
    if leaf.self_signed:
        return [degraded("certificate.self-signed", **values)]
    if facts.completed_by or (last.source and not last.self_signed):
        return [broken("certificate.incomplete", command=_complete(facts), sent=len(facts.chain), **values)]
    return [degraded("certificate.stranger", **values)]


def _key(key: Key, facts: Facts) -> list[Finding]:
    found = []
    quoted = shlex.quote(key.path)
    if key.fault or key.closed:
        closed = " ".join(map(shlex.quote, key.closed))
        found.append(broken(
            "certificate.key-unreadable", command=f"chgrp {key.group} {closed} && chmod g+rX {closed}" if closed else "",
            path=key.path, reason=key.fault or listed(f"{one} is closed to it" for one in key.closed),
            user=facts.daemon_user if facts.daemon_user is not None else "-"))
    if key.mode & 0o006:
        found.append(degraded("certificate.key-open", command=f"chmod o= {quoted}", path=key.path, mode=f"{key.mode:04o}"))
    return found


def _renew(facts: Facts) -> str:
    """Own files are renewed by who made them; certbot's are known by their place. Ours, by being asked again."""
    if facts.mode != "files":
        return facts.reload
    name = _certbot(facts)
    return f"certbot renew --cert-name {shlex.quote(name)}" if name else ""


def _widen(facts: Facts, missing: Sequence[str]) -> str:
    """certbot gets one for more names under the same name of its own."""
    name = _certbot(facts)
    hosts = " ".join(f"-d {shlex.quote(one)}" for one in (*facts.chain[0].names, *missing))
    return f"certbot certonly --cert-name {shlex.quote(name)} {hosts}" if name else ""


def _certbot(facts: Facts) -> str:
    """What certbot calls it; nothing if it is somebody else's."""
    folder, _, file = facts.file.rpartition("/")
    return folder.removeprefix(LIVE) if facts.mode == "files" and folder.startswith(LIVE) and file else ""


def _complete(facts: Facts) -> str:
    """With the whole chain beside it the ini is to name that; else the missing one is fetched once and for all."""
    reload = f" && {facts.reload}" if facts.reload else ""
    if facts.completed_by and facts.written:
        return set_key(facts.ini, "cert", facts.written, facts.completed_by) + reload
    last = facts.chain[-1]
    if facts.file and last.source:  # by RFC 5280 §4.2.2.1 in DER, or several as PKCS #7; in PEM all the same
        ways = ("openssl x509 -inform pem", "openssl x509 -inform der", "openssl pkcs7 -print_certs -inform der")
        read = " || ".join(f'{one} -in "$got" 2>/dev/null' for one in ways)
        return (f"got=$(mktemp) && curl -sSfLo \"$got\" {shlex.quote(last.source)} && new=$({read}) && "
                f"printf '\\n%s\\n' \"$new\" >> {shlex.quote(facts.file)}" + reload)
    return ""


def _day(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "?"
