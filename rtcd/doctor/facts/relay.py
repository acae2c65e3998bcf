"""Runs the relay loop by every way that the ini has, with fresh credentials: two clients, each with a relay, send to each
other's."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest

from rtcd.doctor.checks.relay import CONNECT, GARBAGE, LOST, Facts, Loop, Way
from rtcd.doctor.facts.secret import signer
from rtcd.doctor.facts.subject import Subject
from rtcd.doctor.facts.turnclient import ANSWER_S, Client, Ended
from rtcd.ice.nodes import way_of
from rtcd.peers.bound import TRIAL_CHARS, trial_user
from rtcd.tls.names import is_address

MAX_WAYS = 16
"""More are left out: the first ones of each transport and family are what clients use."""
AT_ONCE = 4
TRIES = 3
"""The data may be lost on its way; so often it is sent."""


def gather(subject: Subject, clock: Callable[[], float]) -> Facts | None:
    """``clock``: monotonic. Nothing without a relay, or without a daemon unless there are other servers."""
    turn = subject.section("turn")
    own = ways(subject) if turn is not None and not turn.stun_only and turn.udp_relay and subject.daemon.pid else []
    others, nowhere = elsewhere(subject)
    tried = [*own, *others][:MAX_WAYS]
    if not tried and not nowhere:
        return None
    user, source, fault = _user(subject)
    if user is None:
        return Facts((), fault=fault, ini=subject.ini, nowhere=nowhere)
    base = subject.public
    name = base.authority.host if base is not None and not is_address(base.authority.host) else ""

    def run(way: Way) -> Loop:
        preface = b"" if way.elsewhere else subject.preface(*way.address)
        return loop(way, user, clock, server_name=name, preface=preface)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        loops = list(pool.map(run, tried))
    return Facts(loops, source, named=bool(subject.options.user), reload=subject.daemon.reload(), nowhere=nowhere)


def ways(subject: Subject) -> list[Way]:
    """One a transport, port and family: by an address that others can come to, if there is one."""
    turn, doorway = subject.section("turn"), [one for one in subject.wanted() if one.key == "[doorway] https"]
    found: dict[tuple[str, int, int], Way] = {}

    def add(transport: str, host: str, port: int) -> None:
        key = transport, port, ipaddress.ip_address(host).version
        held = found.get(key)
        if held is None or ipaddress.ip_address(held.address[0]).is_loopback:
            found[key] = Way(transport, (host, port))

    for one in subject.wanted():
        if one.key == "[turn] port":
            add(one.protocol, one.host, one.port)
        elif one.key == "[turn] web-port":
            add("udp", one.host, one.port)
        elif one.key == "[turn] tls-port":
            add("dtls" if one.protocol == "udp" else "tls", one.host, one.port)
    for one in doorway:
        for host in subject.own if one.host in ("::", "0.0.0.0") else (one.host,):
            if one.host != "0.0.0.0" or ":" not in host:
                add("tls", host, one.port)
                add("tcp", host, one.port)
    on = {transport for transport in ("udp", "tcp", "tls", "dtls") if getattr(turn, transport)} | {"tls"}
    return [way for way in found.values() if way.transport in on]


def elsewhere(subject: Subject) -> tuple[list[Way], list[str]]:
    """The nodes that ``[ice] servers`` names, each URL by its first address, the first URLs of all nodes first; and the
    names that lead nowhere."""
    ice = subject.section("ice")
    ordered = [url for row in zip_longest(*(one.turn for one in ice.named().nodes)) for url in row if url] if ice else []
    found, nowhere = [], {}
    for url in ordered:
        kind, host, port = way_of(url)
        try:
            address = str(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4][0])
        except (OSError, UnicodeError):
            nowhere[host] = True
            continue
        found.append(Way(kind, (address, port), elsewhere=True))
    return found, list(nowhere)


def loop(
    way: Way, user: Callable[[], tuple[str, str]], clock: Callable[[], float], *, server_name: str = "", preface: bytes = b""
) -> Loop:
    """There and back again. ``user``: gives each client its name and password."""
    clients: list[Client] = []
    relayed = ""
    try:
        for _ in range(2):
            clients.append(Client(way, user(), clock, server_name=server_name, preface=preface))
        one, other = clients
        here, there = one.allocate(), other.allocate()
        relayed = f"{there[0]}:{there[1]}"
        one.permit(there)
        other.permit(here)
        started = clock()
        if not (_passes(one, other, there) and _passes(other, one, here)):
            return Loop(way, LOST, relayed=relayed)
        return Loop(way, milliseconds=(clock() - started) * 1000, relayed=relayed)
    except Ended as ended:
        return Loop(way, ended.end, ended.code, ended.reason, relayed=relayed)
    except ValueError as error:  # an attribute that is malformed
        return Loop(way, GARBAGE, reason=str(error))
    except OSError as error:
        return Loop(way, CONNECT, reason=error.strerror or str(error))
    finally:
        for client in clients:
            client.close()


def _passes(sender: Client, receiver: Client, to: tuple[str, int]) -> bool:
    for _ in range(TRIES):
        data = secrets.token_bytes(64)
        sender.send(to, data)
        if receiver.arrived(data, ANSWER_S / TRIES) is not None:
            return True
    return False


def _user(subject: Subject) -> tuple[Callable[[], tuple[str, str]] | None, str, str]:
    """What gives names and passwords, where they are from, and why there are none. Each time it is another user, as far as
    that can be: one user may have a quota of a single allocation. It is one on trial, who reaches our own relays whatever
    ``peer-policy`` says, and counts for no client."""
    options = subject.options
    if options.user:
        return lambda: (options.user, options.password), f"--user {options.user}", ""
    credentials, source, fault = signer(subject)
    if credentials is None:
        return None, source, fault

    def issue() -> tuple[str, str]:
        issued = credentials.issue(trial_user(secrets.token_hex(TRIAL_CHARS // 2)), subject.now())
        return issued.username, issued.password

    return issue, source, ""
