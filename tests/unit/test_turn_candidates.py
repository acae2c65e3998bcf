"""Addresses in peer messages, as Chrome, Firefox and the two phone apps spell them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.peers import candidates
from rtcd.peers.candidates import (
    MAX_CANDIDATE_CHARS,
    MAX_CANDIDATES,
    MAX_TEXT_CHARS,
    NOTHING,
    Candidate,
    Described,
    described,
    signalled,
)

CHROME = [
    "candidate:1467250027 1 udp 2122260223 192.168.0.196 46243 typ host generation 0 ufrag Xq1D network-id 1",
    "candidate:1853887674 1 udp 1518280447 203.0.113.77 36768 typ srflx raddr 192.168.0.196 rport 46243 generation 0"
    " ufrag Xq1D network-id 1",
    "candidate:750991856 2 udp 25108223 198.51.100.3 51472 typ relay raddr 203.0.113.77 rport 37177 generation 0 ufrag Xq1D",
    "candidate:3289912957 1 tcp 1518280447 2001:db8:7::5 9 typ host tcptype active generation 0",
]
CHROME_HIDDEN = ("candidate:2999745851 1 udp 2113937151 5f3a9c1e-0b0d-4f57-9c6e-1d2f7cb5c1aa.local 54400 typ host"
                 " generation 0 ufrag 3bQq network-cost 999")
CHROME_HIDDEN_RELATED = ("candidate:842163049 1 udp 1677729535 203.0.113.9 54400 typ srflx raddr 0.0.0.0 rport 0"
                         " generation 0 ufrag 3bQq network-cost 999")
FIREFOX = """v=0
o=mozilla...THIS_IS_SDPARTA-99.0 5177423 0 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0
m=audio 9 UDP/TLS/RTP/SAVPF 109 9
c=IN IP4 192.0.2.99
a=candidate:0 1 UDP 2122252543 f0d5a7d2-7d6d-4f40-93a8-0a53b1a2b3c4.local 55318 typ host
a=candidate:1 1 TCP 2105524479 f0d5a7d2-7d6d-4f40-93a8-0a53b1a2b3c4.local 9 typ host tcptype active
a=candidate:2 1 UDP 1686052863 203.0.113.40 55318 typ srflx raddr 0.0.0.0 rport 0
a=candidate:3 1 UDP 92217087 198.51.100.3 49999 typ relay raddr 198.51.100.3 rport 49999
a=end-of-candidates
"""


def trickled(candidate: Any, **more: Any) -> str:
    """A candidate as the page and Android send it."""
    return json.dumps({"type": "candidate", "label": 0, "id": "0", "candidate": candidate, **more})


class Shapes(SynchronousTestCase):
    def test_trickled_candidates_of_every_type_are_read(self) -> None:
        """Host, server-reflexive with its base, relay with the address that asked for it, IPv6."""
        found = [signalled(trickled(one)) for one in CHROME]
        self.assertEqual([one.hosts for one in found], [
            {"192.168.0.196": False}, {"203.0.113.77": False, "192.168.0.196": False},
            {"198.51.100.3": True, "203.0.113.77": False}, {"2001:db8:7::5": False}])
        self.assertFalse(any(one.hidden for one in found))

    def test_android_escapes_slashes_and_ios_prints_prettily(self) -> None:
        android = trickled(CHROME[1]).replace("/", "\\/")
        ios = json.dumps(json.loads(android), indent=2, separators=(",", " : "))
        for text in (android, ios):
            self.assertEqual(list(signalled(text).hosts), ["203.0.113.77", "192.168.0.196"])

    def test_candidates_in_a_description_are_read(self) -> None:
        """Whatever ends its lines; the c-line and the o-line are no candidates."""
        for kind in ("offer", "answer"):
            for end in ("\n", "\r\n"):
                found = signalled(json.dumps({"type": kind, "sdp": FIREFOX.replace("\n", end)}))
                self.assertEqual(found, ({"203.0.113.40": False, "198.51.100.3": True}, True))

    def test_names_of_mdns_hide_an_address_and_the_zeros_of_their_base_are_none(self) -> None:
        self.assertEqual(signalled(trickled(CHROME_HIDDEN)), ({}, True))
        self.assertEqual(signalled(trickled(CHROME_HIDDEN_RELATED)), ({"203.0.113.9": False}, False))

    def test_the_shapes_of_other_programs_are_read_too(self) -> None:
        """RTCIceCandidate and RTCSessionDescription as JSON, and a candidate as it stands in a description."""
        nested = {"candidate": CHROME[0], "sdpMid": "0", "sdpMLineIndex": 0}
        for text in (trickled(nested), trickled("a=" + CHROME[0]),
                     json.dumps({"sdp": {"type": "offer", "sdp": f"v=0\r\na={CHROME[0]}\r\n"}})):
            self.assertEqual(signalled(text).hosts, {"192.168.0.196": False})

    def test_addresses_are_canonical(self) -> None:
        """Scope, case, zeros, IPv4 in IPv6."""
        for text, host in (("FE80::0:1%eth0", "fe80::1"), ("2001:DB8:0::1", "2001:db8::1"),
                           ("::ffff:192.0.2.5", "192.0.2.5")):
            self.assertEqual(list(signalled(trickled(f"candidate:1 1 udp 1 {text} 5 typ host")).hosts), [host])

    def test_an_address_that_is_a_relay_s_stays_one(self) -> None:
        """In whatever order the two are named."""
        relay, base = CHROME[2], "candidate:1 1 udp 1 198.51.100.3 5 typ srflx raddr 192.0.2.1 rport 4"
        for lines in ((relay, base), (base, relay)):
            sdp = "".join(f"a={line}\r\n" for line in lines)
            self.assertTrue(signalled(json.dumps({"type": "offer", "sdp": sdp})).hosts["198.51.100.3"])


class Records(SynchronousTestCase):
    def test_the_kind_of_a_message_and_its_candidates(self) -> None:
        found = described(json.dumps({"type": "offer", "sdp": FIREFOX}))
        self.assertEqual((found.message, [one[:2] for one in found.candidates]),
                         ("offer", [("host", "udp"), ("host", "tcp"), ("srflx", "udp"), ("relay", "udp")]))
        self.assertEqual([one.host for one in found.candidates], ["", "", "203.0.113.40", "198.51.100.3"])
        self.assertEqual((found.counted, found.settled),
                         (("host udp", "host tcp", "srflx udp", "relay udp", "offer"), False))
        found = described(json.dumps({"type": "candidate", "candidate": CHROME[3]}))
        self.assertEqual(found, Described("candidate", (Candidate("host", "tcp", "2001:db8:7::5"),)))
        self.assertEqual((found.counted, found.settled), (("host tcp",), True))
        self.assertEqual(described('{"type":"bye"}'), Described("bye"))
        self.assertEqual(described('{"type":"remove-candidates"}'), Described(""))


class Garbage(SynchronousTestCase):
    def test_what_is_no_candidate_is_passed_over(self) -> None:
        for text in (
            "", "candidate", '{"type":"bye"}', '["candidate"]', '{"candidate":5}', '{"candidate":null}', '{"candidate":{}}',
            '{"candidate":{"candidate":{"candidate":"x"}}}', '{"sdp":["a=candidate:"]}', "[" * 100000 + "candidate",
            trickled(""), trickled("candidate:"), trickled("candidate:1 1 udp 1 192.0.2.1 5"),
            trickled("candidate:1 1 udp 1 192.0.2.1 5 typ"), trickled("candidate:1 1 udp 1 192.0.2.1 5 type host"),
            trickled("candidate:1 1 udp 1 192.0.2.300 5 typ host"), trickled("candidate:1 1 udp 1 relay.example 5 typ host"),
            trickled("candidate:1 1 udp 1 0.0.0.0 5 typ host"), trickled("candidate:1 1 udp 1 :: 5 typ host raddr"),
            json.dumps({"type": "remove-candidates", "candidates": [{"candidate": CHROME[0]}]}),
            json.dumps({"type": "offer", "sdp": "x a=candidate:1 1 udp 1 192.0.2.1 5 typ host"}),
        ):
            self.assertEqual(signalled(text), NOTHING, text[:80])

    def test_the_work_is_bounded(self) -> None:
        """By the text, the candidate and their number."""
        def sdp(count: int) -> str:
            return json.dumps({"type": "offer", "sdp": "".join(
                f"a=candidate:1 1 udp 1 10.0.{number >> 8}.{number & 255} 5 typ host\n" for number in range(1, count + 1))})

        self.assertEqual(len(signalled(sdp(MAX_CANDIDATES + 50)).hosts), MAX_CANDIDATES)
        self.assertEqual(signalled(trickled(CHROME[0] + " x" * MAX_CANDIDATE_CHARS)), NOTHING)
        self.assertEqual(signalled(trickled(CHROME[0], more="x" * MAX_TEXT_CHARS)), NOTHING)

    @given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(("type", "sdp", "candidate", "id")), inner)))
    def test_nothing_raises_whatever_the_message_is(self, message: Any) -> None:
        signalled(json.dumps({"candidate": message, "sdp": message}))

    def test_nothing_raises_for_records_either_and_their_words_are_few(self) -> None:
        for text in ("", "x", "[]", "3", '{"type":["offer"]}', "[" * 100_000, "x" * (MAX_TEXT_CHARS + 1)):
            self.assertEqual(described(text), Described())
        found = described(json.dumps({"type": "candidate", "candidate": "candidate:1 1 SCTP 1 fe80::1 5 typ odd"}))
        self.assertEqual(found.candidates, (("other", "other", "fe80::1"),))
        many = "".join(f"a={one}\r\n" for one in CHROME * MAX_CANDIDATES)
        self.assertEqual(len(described(json.dumps({"type": "offer", "sdp": many})).candidates), MAX_CANDIDATES)

    @given(st.text(alphabet="candidte:1 up92.0typhosrl%\n\r", max_size=200))
    def test_nothing_raises_whatever_the_candidate_is(self, text: str) -> None:
        for one in (text, "candidate:" + text, "a=candidate:" + text):
            signalled(json.dumps({"candidate": one, "sdp": one}))

    @given(st.one_of(
        st.text(max_size=40), st.sampled_from([
            '{"type":NaN,"sdp":"x"}', "[]", "5", '{"type":"bye","x":1e999}', '{"a":"\\ud800"}', "\ud800", '{"type":"bye"',
            '{"type":"offer","type":"bye"}', '{"t\\u0079pe":"bye"}']),
        st.recursive(st.text(max_size=5) | st.integers() | st.floats() | st.none(), lambda inner: st.lists(inner, max_size=3)
                     | st.dictionaries(st.sampled_from(("type", "sdp", "candidate", "x")), inner)).map(json.dumps)))
    def test_the_quick_reader_finds_what_the_standard_library_does(self, text: str) -> None:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        read = candidates._message(text)
        if not isinstance(found, dict):
            self.assertIsNone(read)
        else:
            assert read is not None
            self.assertEqual(repr((read.type, read.sdp, read.candidate)),
                             repr(tuple(map(found.get, ("type", "sdp", "candidate")))))

    def test_long_words_are_read_and_not_remembered(self) -> None:
        before = candidates._known_host.cache_info().currsize, candidates._known_lone.cache_info().currsize
        for number in range(50):
            host = f"fe80::1%{'x' * 80}{number}"
            self.assertEqual(described(trickled(f"candidate:1 1 udp 1 {host} 5 typ host")).candidates[0].host, "fe80::1")
            described(trickled(f"candidate:1 1 udp 1 {'y' * 80}{number} 5 typ host"))
        after = candidates._known_host.cache_info().currsize, candidates._known_lone.cache_info().currsize
        self.assertLessEqual(after[0] - before[0], 1)
        self.assertEqual(after[1], before[1])
