"""What readers of other texts promise: candidates, ICMP errors, answers about our own address, the operator's lines."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from rtcd.allocations.addresses import External
from rtcd.allocations.icmp import parse, told
from rtcd.auth import users
from rtcd.auth.authenticator import Keys, parse_users
from rtcd.ice.credentials import Credentials
from rtcd.outside.external import Findings, is_public, mapped, parse_plan, parse_server, usable
from rtcd.outside.metadata import CLOUDS, MAX_INTERFACES, Client, Refused, Silent, Unreachable
from rtcd.peers.bound import MAX_HOSTS, Bound
from rtcd.peers.candidates import MAX_CANDIDATE_CHARS, MAX_CANDIDATES, signalled
from rtcd.peers.nat64 import parse_prefix
from rtcd.peers.policy import canonical, class_of
from rtcd.ranges import parse_range, parse_ranges
from rtcd.stun.attributes import ICMP, family_of
from rtcd.stun.message import Class, Method, encode
from rtcd.turn.redirect import parse_alternate
from tests.fuzz.source import Source

ID = bytes(range(12))
REALM = "rtcd"
MARK = "Zq9-"
"""Begins every password, and occurs in no sentence."""
MAX_REQUESTS = 4 + MAX_INTERFACES * (1 + MAX_INTERFACES)
"""For one cloud."""


def candidates(data: bytes) -> None:
    """`signalled`, and `Bound`, which keeps what it finds."""
    source = Source(data)
    shape, text = source.byte() % 5, source.rest().decode("utf-8", "replace")
    shapes = (text, json.dumps({"type": "candidate", "candidate": text}), json.dumps({"type": "offer", "sdp": text}),
              json.dumps({"candidate": {"candidate": text}}), json.dumps({"candidate": f"candidate:1 1 udp 1 {text}"}))
    wrapped = shapes[shape]
    found = signalled(wrapped)
    assert len(found.hosts) <= MAX_CANDIDATES * MAX_CANDIDATE_CHARS // 8
    for host in found.hosts:
        address, inside = canonical(host)
        assert (str(address), inside) == (host, False)
    bound = Bound(Credentials(("north",), 600), "strict")
    bound.said("room", "client", wrapped, 0.0)
    assert bound.hosts == min(len(found.hosts), MAX_HOSTS)
    user, = bound._tagger.users_of("room", "client")
    for host in list(found.hosts)[-MAX_HOSTS:]:
        assert not bound.refusal(user, host, own=False)


def icmp(data: bytes) -> None:
    """What the kernel says of an error can be told to a client."""
    error = parse(data[1:])
    if error is not None:
        for fragmented in (False, True):
            answer = told(error, fragmented)
            if answer is not None:
                assert len(ICMP.encode(answer)) == 12


def reflexive(data: bytes) -> None:
    """The answer to our Binding."""
    source = Source(data)
    answer = source.rest()
    if data[:1] > b"\x40":
        answer = encode(Method.BINDING, Class.ERROR if data[0] > 0xE0 else Class.SUCCESS, ID)[:2] + (
            len(answer[20:]) & ~3).to_bytes(2, "big") + encode(Method.BINDING, Class.SUCCESS, ID)[4:] + answer[20:]
    host = mapped(answer, ID)
    if host:
        is_public(host)
        assert str(canonical(host)[0]) == host or canonical(host)[1]
        assert all(not class_of(canonical(one.public)[0]) for one in usable([External(host)]))


class _Answering(Client):
    """A service that answers each request with what is next in the source."""

    def __init__(self, source: Source) -> None:
        super().__init__(Clock(), "http://169.254.169.254")
        self.source = source
        self.asked = 0

    async def _ask(self, path: str, method: bytes, headers: Mapping[str, str]) -> bytes:
        self.asked += 1
        path.encode()
        for value in headers.values():
            assert value.isascii()
            assert value.isprintable()
        kind = self.source.byte() % 8
        if kind == 0:
            raise Refused("no")
        if kind == 1:
            raise Silent("no")
        if kind == 2:
            return b"02:00:00:00:00:01/\n02:00:00:00:00:02/"
        if kind == 3:
            return b"8.8.8.8\n10.0.0.1"
        return self.source.rest() if kind == 4 else self.source.take()


def metadata(data: bytes) -> None:
    """A cloud's answers about our public addresses."""
    source = Source(data)
    cloud = source.pick(CLOUDS)
    client = _Answering(source)
    failures: list[Failure] = []
    results: list[Iterable[External]] = []
    async def ask() -> Iterable[External]:
        return await cloud.ask(client)

    Deferred.fromCoroutine(ask()).addCallbacks(results.append, failures.append)
    assert len(results) + len(failures) == 1
    for failure in failures:
        if not failure.check(Unreachable, Silent, Refused):
            failure.raiseException()
    assert client.asked <= MAX_REQUESTS
    for answers in results:
        found = usable(answers)
        for one in found:
            assert is_public(one.public)
            assert not one.private or family_of(one.private) == family_of(one.public)
        findings = Findings(parse_plan(["auto"]), ("10.0.0.1", "fd00::1"))
        findings.found(found)
        assert {one.private for one in findings.mapping()} <= {"10.0.0.1", "fd00::1"}


READERS: tuple[Callable[[str], object], ...] = (
    parse_range, parse_prefix, parse_server, parse_alternate, lambda text: parse_ranges(text.split("\n")),
    lambda text: parse_plan(text.split("\n")), users.checked_name,
)


def operator(data: bytes) -> None:
    """Lines of the operator's: they are read, or it is a ValueError."""
    source = Source(data)
    which = source.byte() % (len(READERS) + 2)
    if which < len(READERS):
        with contextlib.suppress(ValueError):
            found = READERS[which](source.rest().decode("utf-8", "surrogateescape"))
            if isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], int) and not 0 < found[1] < 0x10000:
                raise AssertionError(f"{found} has no port")
    elif which == len(READERS):
        _users_file(source)
    else:
        _user_of_file(source)


def _users_file(source: Source) -> None:
    """It is read, or it is a ValueError that tells no password."""
    sha256, marked = source.flag(), source.flag()
    try:
        text = users.decode(source.rest())
    except ValueError:
        return
    if marked:
        text = text.replace(MARK, "").replace(":", f":{MARK}")

    def keys(lines: Iterable[str]) -> dict[str, Keys]:
        return parse_users(lines, REALM, sha256=sha256)

    try:
        found = users.parse(text, keys, {"u": Keys(b"1", b"2")})
    except ValueError as error:
        assert not marked or MARK not in str(error)
        return
    assert users.names(text) == [name for name in found if name != "u"]
    for name in list(found)[1:]:
        assert name not in users.names(users.without(text, name))


def _user_of_file(source: Source) -> None:
    """A name that is good can be written, read and taken out again, and no other line changes."""
    text = "# those of old\nu:p\n" if source.flag() else ""
    try:
        name = users.checked_name(source.rest().decode("utf-8", "surrogateescape"))
    except ValueError:
        return
    written = users.put(users.put(text, name, "first"), name, "second")
    found = parse_users((line.strip() for line in written.split("\n")), REALM)
    assert list(found) == list(dict.fromkeys([*users.names(text), name]))
    if name != "u":
        assert users.without(written, name) == text
