"""Fetches the chain from the listener as a client sees it, or reads it from the files while no daemon runs, and looks for
what clients trust and for what is missing."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from rtcd.config import ConfigError
from rtcd.doctor.checks.certificate import Facts, Key, Shown
from rtcd.doctor.facts import clock
from rtcd.doctor.facts.handshake import shown_chain
from rtcd.doctor.facts.subject import Subject
from rtcd.rights import closed_to
from rtcd.tls.authority import names_of
from rtcd.tls.chain import Chain
from rtcd.tls.files import pairs
from rtcd.tls.names import covers
from rtcd.tls.trust import publicly_trusted

TIMEOUT_S = 5.0
MAX_FILE_BYTES = 1 << 20
MAX_NEIGHBOURS = 50
"""Files beside the certificate that are looked into for what is missing."""
LOCAL_CA, LOCAL, ISSUED = "ca.crt", "server.crt", "acme.pem"
"""In the state directory."""
OURS = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "rtcd")
"""What stands in the name of an authority that was made here."""


def gather(subject: Subject) -> Facts | None:
    """Nothing where no TLS is spoken."""
    turn = subject.section("turn")
    listener = _listener(subject)
    if listener is None and not (turn is not None and turn.tls):
        return None
    hidden: list[str] = []
    mode, files, keys = _source(subject, hidden)
    fault, chain = "", list[x509.Certificate]()
    where = ""
    if listener is not None and subject.daemon.pid:
        where = f"{listener[0]}:{listener[1]}"
        fault, chain = _fetch(listener, _name(subject), subject.preface(*listener))
    cert, same = _file_of(files, chain, _name(subject), hidden)
    unread = bool(hidden)
    if not where and cert is not None:
        where = str(cert)
        fault, chain = _read(cert, hidden)
    trusted = _trust(chain, subject)
    written = [one.strip() for one in subject.configuration.written.get("tls", {}).get("cert", "").splitlines()]
    if ("tls", "cert") in subject.configuration.variables:
        written = []
    found = [one for one in written if one and cert is not None and Path(subject.ini).parent / one == cert]
    return Facts(
        subject.now(), where, [_shown(one) for one in chain], fault, trusted=trusted, in_order=_in_order(chain),
        completed_by="" if trusted or cert is None else _completed_by(cert, chain), wanted=_wanted(subject, len(files)),
        mode=mode, file=str(cert) if cert is not None and mode == "files" else "", written=found[0] if found else "",
        stale=mode == "files" and bool(subject.daemon.pid and chain) and not same and not unread,
        keys=list(_keys(keys, subject, hidden)), ini=subject.ini, reload=subject.daemon.reload(),
        daemon_user=subject.process.user if subject.process else None, clock=clock.mend(),
        hidden=list(dict.fromkeys(hidden)))


def _listener(subject: Subject) -> tuple[str, int] | None:
    """Where TLS is spoken, the doorway first."""
    found = [one for one in subject.wanted() if one.key == "[doorway] https"]
    found += [one for one in subject.wanted() if one.key == "[turn] tls-port" and one.protocol == "tcp"]
    for one in found:
        return subject.door(one.host), one.port
    return None


def _name(subject: Subject) -> str:
    base = subject.public
    return base.authority.host if base is not None else ""


def _wanted(subject: Subject, files: int) -> list[str]:
    """Behind a proxy that has TLS of its own browsers never see this certificate, so ours need not be for its name. Of
    several certificates each is for names of its own, and we have asked for one."""
    public = "" if subject.section("doorway").plain else _name(subject)
    return [one for one in (public, *(subject.section("tls").names if files < 2 else ())) if one]


def _file_of(
    files: Sequence[Path], chain: Sequence[x509.Certificate], name: str, hidden: list[str]
) -> tuple[Path | None, bool]:
    """The file that holds what was shown, and whether one does; else the one for this name, else the first."""
    leaves = [(path, held[0]) for path in files if (held := _read(path, hidden)[1])]
    shown = [path for path, leaf in leaves if chain and leaf == chain[0]]
    named = [path for path, leaf in leaves if name and covers(names_of(leaf), name)]
    return next(iter([*shown, *named, *files]), None), bool(shown)


def _source(subject: Subject, hidden: list[str]) -> tuple[str, list[Path], list[Path]]:
    """Where the certificate comes from, the files of certificates that are there, and those of keys. A folder that only
    others may look into is added to ``hidden``."""
    settings = subject.section("tls")
    if settings.mode == "files" or (settings.mode == "auto" and settings.own_files):
        try:
            named, live = pairs(settings)
        except ConfigError as error:
            if _others(error.__context__):
                hidden.append(error.text)
            return "files", [], []
        both = [*named, *live]
        return "files", [cert for cert, _ in both], [key for _, key in both]
    state = subject.state
    for mode, name in (("acme", ISSUED), ("local", LOCAL)):
        with contextlib.suppress(OSError):
            if state is not None and settings.mode in ("auto", mode) and (state / name).exists():
                return mode, [state / name], []
    return settings.mode if settings.mode != "auto" else "local", [], []


def _fetch(listener: tuple[str, int], name: str, preface: bytes) -> tuple[str, list[x509.Certificate]]:
    try:
        with socket.create_connection(listener, TIMEOUT_S) as connected:
            connected.sendall(preface)
            chain = shown_chain(connected, name, TIMEOUT_S)
        return "", chain
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error), []


def _read(path: Path, hidden: list[str] | None = None) -> tuple[str, list[x509.Certificate]]:
    """Why there are none, and the certificates of a file. One that only others may read is added to ``hidden``, and then
    there is no reason."""
    try:
        with path.open("rb") as file:
            return "", x509.load_pem_x509_certificates(file.read(MAX_FILE_BYTES))
    except OSError as error:
        reason = error.strerror or str(error)
        if hidden is not None and _others(error):
            hidden.append(f"{path}: {reason}")
            return "", []
        return reason, []
    except ValueError:
        return "it holds no PEM certificate", []


def _shown(one: x509.Certificate) -> Shown:
    source = ""
    with contextlib.suppress(x509.ExtensionNotFound, ValueError):
        for access in one.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value:
            if access.access_method == AuthorityInformationAccessOID.CA_ISSUERS:
                source = str(access.access_location.value)
                break
    try:
        names: Sequence[str] = names_of(one)
    except ValueError:
        names = ()
    return Shown(
        one.subject.rfc4514_string() or "-", one.issuer.rfc4514_string() or "-", one.not_valid_before_utc.timestamp(),
        one.not_valid_after_utc.timestamp(), names, _signed_by(one, one), source)


def _signed_by(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    except Exception:  # cryptography raises several kinds, and each means no
        return False
    return True


def _in_order(chain: Sequence[x509.Certificate]) -> bool:
    return all(_signed_by(one, issuer) for one, issuer in pairwise(chain))


def _trust(chain: Sequence[x509.Certificate], subject: Subject) -> str:
    """By whom. Dates are told of by themselves, so this is judged at a moment at which all of the chain is valid."""
    if not chain:
        return ""
    if _verifies(chain):
        return "public"
    own = subject.state / LOCAL_CA if subject.state is not None else None
    if own is None and chain[-1].issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[:1] == [OURS]:
        return "local"  # as far as can be told without looking
    for kind, path in (("named", subject.options.trust), ("local", own)):
        roots = _read(Path(path))[1] if path else ()
        if roots and (_verifies(chain, roots) or any(_signed_by(chain[-1], root) for root in roots)):
            return kind
    return ""


def _verifies(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate] | None = None) -> bool:
    moment = max(one.not_valid_before_utc for one in chain).timestamp() + 1
    return publicly_trusted(Chain(tuple(chain), None), moment, roots)


def _completed_by(cert: Path, chain: Sequence[x509.Certificate]) -> str:
    """A file beside the certificate that holds it and then what has signed the end of what was shown."""
    if not chain:
        return ""
    try:
        neighbours = sorted(one for one in cert.parent.iterdir() if one.suffix in (".pem", ".crt", ".cer"))
    except OSError:
        return ""
    for path in neighbours[:MAX_NEIGHBOURS]:
        held = _read(path)[1]
        more = len(held) > len(chain) and held[: len(chain)] == list(chain)
        if more and _signed_by(chain[-1], held[len(chain)]):
            return str(path)
    return ""


def _others(error: BaseException | None) -> bool:
    """Whether it is for want of a right that root, and perhaps the daemon, has."""
    return isinstance(error, PermissionError) and os.geteuid() != 0


def _keys(paths: Sequence[Path], subject: Subject, hidden: list[str]) -> Iterator[Key]:
    for path in paths:
        try:
            yield _key(path, subject)
        except OSError as error:
            reason = error.strerror or str(error)
            if _others(error):
                hidden.append(f"{path}: {reason}")
            else:
                yield Key(str(path), 0, reason)


def _key(path: Path, subject: Subject) -> Key:
    """Raises OSError."""
    running = subject.process
    status = path.stat()
    closed = closed_to(path, running.user, running.groups) if running is not None else []
    group = running.group if running is not None else 0
    return Key(str(path), stat.S_IMODE(status.st_mode), closed=tuple(map(str, closed)), group=group)
