"""What arrived of those who are watched."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import FiveTuple, Transport
from rtcd.stun.attributes import ERROR_CODE, USERNAME
from rtcd.stun.message import Class, Method, encode
from rtcd.turn.sightings import MAX_SIGHTS, MAX_WATCH_S, MAX_WATCHED, Sight, Sightings

USER = "check-0123456789abcdef"
NOW = 1_700_000_000.0


def request(method: Method, name: str = "") -> bytes:
    """A request, of nobody or with a name."""
    return encode(method, Class.REQUEST, bytes(12), [USERNAME.encode(name)] if name else [])


def answer(code: int = 0) -> bytes:
    """What is answered."""
    attributes = [ERROR_CODE.encode((code, ""))] if code else []
    return encode(Method.ALLOCATE, Class.ERROR if code else Class.SUCCESS, bytes(12), attributes)


class SightingsTests(SynchronousTestCase):
    """Arrivals by way, of whom they are, and bounds."""

    def setUp(self) -> None:
        self.all = Sightings()
        self.assertTrue(self.all.look("192.0.2.7", USER, NOW + 60, NOW))

    def saw(
        self, data: bytes, answered: bytes | None, *, host: str = "192.0.2.7", transport: Transport = "udp",
        port: int = 3478, allocated: str | None = None, now: float = NOW,
    ) -> None:
        """Something came."""
        self.all.saw(data, FiveTuple(transport, (host, 4000), ("198.51.100.1", port)), answered, allocated, now)

    def test_a_whole_beginning_is_seen_by_its_way(self) -> None:
        """The request of nobody by its host, the next one by its name, and what it got."""
        self.saw(request(Method.ALLOCATE), answer(401))
        self.assertEqual(self.all.looked(USER), [Sight("turn", "udp", 3478, asked=1, answered=1)])
        self.saw(request(Method.ALLOCATE, f"1700000060:{USER}"), answer(), allocated=USER)
        self.saw(request(Method.BINDING), answer(), transport="tcp", port=443)
        self.assertEqual(self.all.looked(USER), [
            Sight("turn", "udp", 3478, asked=1, named=1, answered=2, allocated=True),
            Sight("stun", "tcp", 443, asked=1, answered=1)])

    def test_a_name_is_known_wherever_it_comes_from(self) -> None:
        """A page by IPv6 may have its relay by IPv4; the last code is what counts."""
        for code in (438, 486):
            self.saw(request(Method.ALLOCATE, f"1:{USER}"), answer(code), host="203.0.113.9")
        self.saw(request(Method.ALLOCATE, f"1:{USER}"), None, host="203.0.113.9")
        self.assertEqual(self.all.looked(USER), [Sight("turn", "udp", 3478, named=3, answered=2, code=486)])

    def test_nothing_of_others_is_seen(self) -> None:
        """Another host's, another user's from the same host, names that cannot be read, other methods, no STUN at all."""
        self.saw(request(Method.ALLOCATE), answer(401), host="192.0.2.8")
        self.saw(request(Method.ALLOCATE, "1:somebody"), answer(), allocated="somebody")
        self.saw(encode(Method.ALLOCATE, Class.REQUEST, bytes(12), [USERNAME.encode("x")])[:-1], None)
        self.saw(request(Method.REFRESH), answer())
        self.saw(b"\0", None)
        self.assertEqual(self.all.looked(USER), [])

    def test_what_is_not_answered_has_come_all_the_same(self) -> None:
        self.saw(request(Method.ALLOCATE), None)
        self.assertEqual(self.all.looked(USER), [Sight("turn", "udp", 3478, asked=1)])

    def test_an_ipv6_page_is_its_whole_network(self) -> None:
        """Another address of the device may be used for UDP."""
        self.all.look("2001:db8:0:1::1", "check-6", NOW + 60, NOW)
        self.saw(request(Method.BINDING), answer(), host="2001:db8:0:2::9")
        self.assertEqual(len(self.all.looked("check-6")), 1)

    def test_a_watch_ends_by_itself_or_when_told(self) -> None:
        """However long it was asked for; then nothing is held, and a packet costs one look at an empty table."""
        self.all.look("192.0.2.7", "long", NOW + 1e9, NOW)
        self.saw(request(Method.BINDING), answer(), now=NOW + 60)
        self.assertEqual((self.all.looked(USER), len(self.all.looked("long"))), ([], 1))
        self.saw(request(Method.BINDING), answer(), now=NOW + MAX_WATCH_S)
        self.assertEqual(self.all.watched, {})
        self.all.look("192.0.2.7", USER, NOW + 60, NOW)
        self.all.forget(USER)
        self.all.forget(USER)
        self.assertEqual(self.all.watched, {})

    def test_only_so_many_are_watched_at_once(self) -> None:
        for number in range(MAX_WATCHED - 1):
            self.assertTrue(self.all.look("192.0.2.7", f"u{number}", NOW + 60, NOW))
        self.assertFalse(self.all.look("192.0.2.7", "more", NOW + 60, NOW))
        self.assertTrue(self.all.look("192.0.2.9", USER, NOW + 60, NOW))
        self.assertTrue(self.all.look("192.0.2.7", "more", NOW + 160, NOW + 60))

    def test_only_so_many_ways_are_told_apart(self) -> None:
        for port in range(1, MAX_SIGHTS + 3):
            self.saw(request(Method.BINDING), answer(), port=port)
        self.saw(request(Method.BINDING), answer(), port=1)
        found = self.all.looked(USER)
        self.assertEqual((len(found), found[0].asked), (MAX_SIGHTS, 2))
