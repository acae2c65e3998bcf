"""What goes into a shared store and comes out of it: rooms of other releases, addresses, shares."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rtcd.cluster.address import Address, parse, parse_all, shard_of, too_old
from rtcd.cluster.backend import UNREACHABLE
from rtcd.cluster.codec import (
    MAJOR,
    decode_effects,
    decode_news,
    decode_room,
    encode_effects,
    encode_news,
    encode_room,
)
from rtcd.cluster.turns import BUSY
from rtcd.config import ConfigError, section_from
from rtcd.rooms.outcome import (
    DRAINING,
    ENDING,
    Attach,
    Came,
    Close,
    Deliver,
    Gone,
    Inform,
    Said,
    StoreUnavailable,
    TurnedAway,
)
from rtcd.rooms.records import Card, Client, Departed, Letter, Mesh, Parted, Room, Secret, Terms
from rtcd.rooms.settings import RoomsSettings

ROOM = Room(
    (Client("a", "192.0.2.1", True, None, ("h",), ("q",), True, False, Card("1" * 16, "Änne"),
            (Letter("2" * 16, "192.0.2.2", "x"),)), Client("b", deadline=45.0, owed_bye=True)),
    (Departed("c", ("a",), True, 10.5),), False, 12.25,
    Mesh("1" * 16, True, Secret(b"\0salt", b"\xffdigest"), (("a", "z"),), (Parted("3" * 16, "kicked"),)),
    Terms(99.0, 3, Secret(b"s", b"d"), True, True, True))


class CodecTests(SynchronousTestCase):
    """Bytes and back."""

    def test_everything_of_a_room_comes_back(self) -> None:
        """Bytes of secrets, names in any writing, and who holds which socket."""
        shared = decode_room(encode_room(ROOM, {"a": "n1"}, 7))
        self.assertEqual((shared.room, shared.holders, shared.basis), (ROOM, {"a": "n1"}, 7))

    def test_effects_and_news_come_back_in_order(self) -> None:
        """Each kind of them."""
        effects: list[Any] = [Close("a"), Attach("a"), Deliver("b", "x"), Inform("a", "{}")]
        self.assertEqual(decode_effects(encode_effects(effects)), effects)
        news: list[Any] = [
            Came("a", "192.0.2.1", "t", True, True), Said("a", "x"), Gone("b", "lost"),
            TurnedAway("192.0.2.1", True, "full")]
        found: list[Any] = [*decode_news(encode_news(news))]
        self.assertEqual(found, news)
        self.assertEqual((found[0].page, found[0].registered, found[0].seated, found[2].why), ("t", True, True, "lost"))

    def test_a_newer_release_has_more_fields_and_an_older_one_fewer(self) -> None:
        """What is not known is passed over, what is not there has its default."""
        value: dict[str, Any] = msgspec.msgpack.decode(encode_room(ROOM, {"a": "n1"})[1:])
        value["invented"] = {"x": 1}
        value["room"]["colour"] = "red"
        value["room"]["clients"][0]["hat"] = [1]
        del value["basis"], value["room"]["terms"], value["room"]["clients"][1]["address"]
        shared = decode_room(bytes([MAJOR]) + msgspec.msgpack.encode(value))
        self.assertEqual((shared.room.mesh, shared.room.terms, shared.basis), (ROOM.mesh, Terms(), 0))
        rows = bytes([MAJOR]) + msgspec.msgpack.encode([["d", "a", "x", "more"], ["z", "new"], ["c", "a"]])
        self.assertEqual(decode_effects(rows), [Deliver("a", "x"), Close("a")])
        came: Any
        (came,) = decode_news(bytes([MAJOR]) + msgspec.msgpack.encode([["c", "a", "192.0.2.1", "t", True]]))
        self.assertEqual((came, came.registered, came.seated), (Came("a", "192.0.2.1"), True, False))

    def test_another_form_is_a_clear_refusal(self) -> None:
        """And so is what is no room at all."""
        for data in (bytes([MAJOR + 1]) + b"x", b""):
            fault = self.assertRaises(StoreUnavailable, decode_room, data)
            self.assertIn("another release of rtcd", str(fault))
        for data in (b"nonsense", msgspec.msgpack.encode({"room": {"clients": 7}})):
            self.assertRaises(StoreUnavailable, decode_room, bytes([MAJOR]) + data)
        self.assertRaises(StoreUnavailable, decode_effects, bytes([MAJOR]) + msgspec.msgpack.encode([["d", "a"], []]))


class TextTests(SynchronousTestCase):
    """What people are told."""

    def test_the_page_comes_again_by_itself(self) -> None:
        """Its script knows refusals that pass by a word of theirs; any other makes it take a new seat."""
        script = (Path(__file__).resolve().parents[2] / "rtcd/web/static/signaling.js").read_text()
        found = re.search(r"^const PASSING = /(.*)/i;$", script, re.MULTILINE)
        assert found is not None
        for text in (UNREACHABLE, BUSY, ENDING, DRAINING):
            self.assertRegex(text, found[1])


class AddressTests(SynchronousTestCase):
    """``[rooms] store``"""

    def test_urls_are_read(self) -> None:
        """Hosts, ports, names, databases and passwords."""
        for text, wanted in {
            "redis://h": Address((("h", 6379),)),
            "redis://u:p%40ss@h:1/2": Address((("h", 1),), database=2, user="u", password="p@ss"),
            "rediss://:p@[2001:db8::1]:7": Address((("2001:db8::1", 7),), password="p", tls=True),
            "redis+sentinel://a,b:5/main/1": Address((("a", 26379), ("b", 5)), "main", database=1),
            "unix:///run/r.sock": Address(path="/run/r.sock"),
        }.items():
            self.assertEqual(parse(text), wanted, text)
        self.assertEqual(parse("rediss+sentinel://:p@a,b:5/main/1").shown, "rediss+sentinel://a:26379,b:5/main/1")
        self.assertEqual(parse_all(("redis://a", "redis://:x@b"), "y"), (
            Address((("a", 6379),), password="y"), Address((("b", 6379),), password="x")))
        self.assertEqual((parse_all(("memory",)), parse_all(())), ((), ()))

    def test_faults_are_named_and_no_password_is_in_them(self) -> None:
        """What an operator types wrong."""
        for text, said in {
            "secret": "neither memory nor", "http://:secret@h": "neither memory nor", "redis://secret@h": "USER:PASSWORD@",
            "redis://:secret@h:99999": "port", "redis://:secret@h:1x": "port", "redis://:secret@": "names no host",
            "redis://:secret@h/x": "database", "redis://:secret@a,b": "one URL a line", "redis+sentinel://:secret@a": "NAME",
            "redis://:secret?@h": "%3F", "unix://secret": "absolute path", "redis://:secret@[::1]x": "port",
        }.items():
            fault = self.assertRaises(ConfigError, section_from, "rooms", {"store": text}, RoomsSettings)
            self.assertIn(said, str(fault))
            self.assertNotIn("secret", str(fault))
            self.assertTrue(str(fault).startswith("[rooms] store: "), str(fault))
        for values, key in (({"store": "redis://a\nredis://a"}, "store"), ({"store-password": "x"}, "store-password"),
                            ({"store": "redis://a", "store-ca": "ca.pem"}, "store-ca")):
            fault = self.assertRaises(ConfigError, section_from, "rooms", values, RoomsSettings)
            self.assertTrue(str(fault).startswith(f"[rooms] {key}: "), str(fault))
        self.assertNotIn("geheim", repr(parse("redis://:geheim@h")))

    def test_versions_are_compared_by_their_numbers(self) -> None:
        """10 is more than 6; whoever says no version, as something else does, will not do."""
        for version, old in (("6.2.0", False), ("6.2", False), ("7.0.15", False), ("10.1.0", False), ("6.10.0", False),
                             ("6.0.16", True), ("5.9.9", True), ("0", True), ("", True), ("x.y", True), ("6", True)):
            self.assertEqual(too_old(version), old, version)

    def test_a_new_share_takes_rooms_of_all_and_moves_no_other(self) -> None:
        """And each has about as many."""
        names, before = [f"room{number}" for number in range(3000)], ["a", "b", "c"]
        old = [before[shard_of(one, before)] for one in names]
        after = ["d", "c", "b", "a"]
        new = [after[shard_of(one, after)] for one in names]
        self.assertEqual({now for was, now in zip(old, new, strict=True) if was != now}, {"d"})
        for count in (*Counter(old).values(), 4 * Counter(new)["d"] // 3):
            self.assertTrue(850 < count < 1150, count)
