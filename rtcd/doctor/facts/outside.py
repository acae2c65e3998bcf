"""Finds the public addresses of this machine as the daemon does, asking the clouds and the STUN server that is named; and
asks that server what kind of NAT stands between."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from twisted.internet.selectreactor import SelectReactor

from rtcd.allocations.addresses import External, canonical_host
from rtcd.doctor.checks.nat import Facts, Seen
from rtcd.doctor.facts.subject import Subject
from rtcd.outside.external import Findings, Plan, is_public, parse_server
from rtcd.outside.outside import Lookups, Outside
from rtcd.stun.attributes import CHANGE_REQUEST, OTHER_ADDRESS, XOR_MAPPED_ADDRESS, Address, family_of
from rtcd.stun.message import Class, Message, Method, decode, encode

DISCOVERY_S = 8.0
"""For clouds and the STUN server; on a machine of none the answers are time-outs."""
MAX_HOSTS = 4
"""Addresses that the STUN server is asked from."""
TRIES, WAIT_S = 3, 0.5
"""Of one question; each try waits twice as long as the one before."""
_CHANGE_BOTH = 6
"""Answer from your other address and port (RFC 5780 §7.2)."""


def discover(subject: Subject) -> tuple[External, ...]:
    """What stands for our relay hosts; nothing if ``[turn] external-ip`` is empty, since then nobody is to be asked.

    It runs on a reactor of its own, so that it is the daemon's own way to find out.
    """
    turn = subject.section("turn")
    hosts = relay_hosts(subject)
    if turn is None or not turn.external_ip or not hosts:
        return ()
    reactor = SelectReactor()
    findings = Findings(Plan(auto=True), hosts)
    found: list[tuple[External, ...]] = []

    def take(mapping: Sequence[External]) -> bool:
        found.append(tuple(mapping))
        reactor.callLater(0, reactor.stop)
        return False

    if not findings.lacking():
        return ()
    outside = Outside(reactor, findings, Lookups(reactor, parse_server(turn.stun_server)), 0, take)
    outside.start()
    late = reactor.callLater(DISCOVERY_S, reactor.stop)
    reactor.run(installSignalHandlers=False)
    if late.active():
        late.cancel()
    return found[0] if found else ()


def relay_hosts(subject: Subject) -> tuple[str, ...]:
    """Where relays are, loopback left out."""
    turn = subject.section("turn")
    named = (*turn.relay_hosts(), *(one.host for one in turn.places() if one.host)) if turn is not None else ()
    hosts = turn.relay_hosts() if turn is not None and turn.relay_ip else named
    if not hosts or {"0.0.0.0", "::"} & set(hosts):
        hosts = subject.addresses
    return tuple(one for one in dict.fromkeys(hosts) if one in subject.addresses)


def gather(subject: Subject) -> Facts | None:
    """Nothing without a relay."""
    turn = subject.section("turn")
    if turn is None or turn.stun_only:
        return None
    hosts = relay_hosts(subject)
    found = subject.discovered()
    server = parse_server(turn.stun_server)
    names, unresolved = _resolved(server) if server is not None else ([], "")
    private = [host for host in hosts if not is_public(host)][:MAX_HOSTS]
    with ThreadPoolExecutor(MAX_HOSTS) as pool:
        seen = [one for several in pool.map(lambda host: _ask(host, names), private) for one in several]
    lines = () if ("turn", "external-ip") in subject.configuration.variables else turn.external_ip
    return Facts(subject.ini, hosts, turn.outside().fixed, lines, found, turn.stun_server, unresolved, seen,
                 subject.daemon.reload())


def _ask(host: str, server: Sequence[Address]) -> list[Seen]:
    """From one address of ours; nothing if the server has none of its family."""
    address = next((one for one in server if family_of(one[0]) == family_of(host)), None)
    if address is None:
        return []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.bind((host, 0))
            local = host, int(asking.getsockname()[1])
            answer = _binding(asking, address)
            if answer is None:
                return [Seen(local)]
            mapped, other = answer.get(XOR_MAPPED_ADDRESS), answer.get(OTHER_ADDRESS)
            if other is None:
                return [Seen(local, mapped)]
            let_in = _binding(asking, address, CHANGE_REQUEST.encode(_CHANGE_BOTH)) is not None
            second = _binding(asking, other)
            return [Seen(local, mapped, second.get(XOR_MAPPED_ADDRESS) if second is not None else None, let_in)]
    except (OSError, ValueError):
        return []


def _resolved(server: Address) -> tuple[list[Address], str]:
    """The addresses of a server, and why there are none."""
    name, port = server
    try:
        return [(canonical_host(name), port)], ""
    except ValueError:
        pass
    try:
        return [(str(one[4][0]), port) for one in socket.getaddrinfo(name, port, type=socket.SOCK_DGRAM)], ""
    except (OSError, UnicodeError) as error:
        return [], getattr(error, "strerror", None) or str(error)


def _binding(asking: socket.socket, address: Address, *attributes: bytes) -> Message | None:
    """The answer, from wherever it comes; None if there is none."""
    transaction = secrets.token_bytes(12)
    request = encode(Method.BINDING, Class.REQUEST, transaction, attributes)
    for tried in range(TRIES):
        asking.sendto(request, address)
        asking.settimeout(WAIT_S * 2**tried)
        try:
            while True:
                try:
                    message = decode(asking.recvfrom(2048)[0])
                except ValueError:
                    continue
                if message.transaction_id == transaction:
                    return message if message.class_ is Class.SUCCESS else None
        except TimeoutError:
            continue
    return None
