"""Tests of what reads the originals: nothing is executed, nothing but ValueError escapes, and nothing grows."""

from __future__ import annotations

import contextlib
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.importer import constants, nginx
from rtcd.importer.constants import MAX_TEXT_CHARS, read_constants
from rtcd.importer.coturn import RULES, SHORT
from rtcd.importer.facts import Listen
from rtcd.importer.iceservice import MAX_ANSWERS, read_ice, time_of
from rtcd.importer.importing import recognise
from rtcd.importer.nginx import parse, read_nginx, tokens
from rtcd.importer.turnserver import read_command, read_conf
from rtcd.schemas import SHARED
from tests.unit.test_importer import GUIDES, ROOT


class CoturnTests(SynchronousTestCase):
    def test_conf_lines_are_read_as_coturn_does(self) -> None:
        """Equals sign or blank between name and value; quotes and what is no option are passed over."""
        text = "# no\n\nrealm = a b\nuser=x:y=z\nlistening-port 3478\ncert=\"/a b\"\nno-udp\n  fingerprint  \n=\nrealmm=x\n"
        self.assertEqual([(one.name, one.value, one.line, one.known) for one in read_conf(text)], [
            ("realm", "a b", 3, True), ("user", "x:y=z", 4, True), ("listening-port", "3478", 5, True),
            ("cert", "/a b", 6, True), ("no-udp", "", 7, True), ("fingerprint", "", 8, True), ("realmm", "x", 10, False)])

    def test_command_lines_are_read_as_a_shell_and_getopt_do(self) -> None:
        text = ("#!/bin/sh\ncd /\nsudo nohup /usr/bin/turnserver -vf -p3479 -L 10.0.0.1 \\\n  --realm='a b' --min-port "
                "50000 --no-cli --stale-nonce -u ann:x -c /etc/x > /dev/null 2>&1 &\nturnserver -z\n")
        self.assertEqual([(one.name, one.value, one.line) for one in read_command(text)], [
            ("verbose", "", 3), ("fingerprint", "", 3), ("listening-port", "3479", 3), ("listening-ip", "10.0.0.1", 3),
            ("realm", "a b", 4), ("min-port", "50000", 4), ("no-cli", "", 4), ("stale-nonce", "", 4), ("user", "ann:x", 4),
            ("c", "/etc/x", 4)])

    def test_a_quotation_mark_that_is_left_open_is_no_end(self) -> None:
        self.assertEqual([one.name for one in read_command("turnserver -f -r it's")], ["fingerprint", "realm"])

    def test_every_letter_is_an_option(self) -> None:
        self.assertLessEqual(set(SHORT.values()), set(RULES))

    def test_the_table_says_what_the_document_says(self) -> None:
        """Every option that has a row there has a rule here with the same key, and the other way round."""
        rows: dict[str, str] = {}
        text = (ROOT / "docs" / "coming-from-coturn.md").read_text().split("\n## turnadmin", maxsplit=1)[0]
        for first, second in re.findall(r"^\| (`.*?) \| (.*?) \|", text, re.MULTILINE):
            rows |= dict.fromkeys(re.findall(r"`([a-zA-Z][\w-]+\*?)`", first), second)
        self.assertGreater(len(rows), 110)
        own = {*SHARED, "turn", "ice", "web", "signaling"}
        for name, rule in RULES.items():
            row = next((second for one, second in rows.items() if one == name or (
                one.endswith("*") and name.startswith(one[:-1]))), None)
            assert row is not None, name
            keys = {(section, key) for section, key in re.findall(r"\[(\w+)\] ([a-z0-9-]+)", row) if section in own}
            if rule.target is None:
                self.assertEqual(keys, set(), name)
            else:
                self.assertIn(rule.target, keys, name)
        self.assertEqual({one for one in rows if not one.endswith("*")} - set(RULES), set())


class ConstantsTests(SynchronousTestCase):
    def test_plain_values_are_understood_and_no_others(self) -> None:
        text = ("import os\nA = 'a'\nB = A + 'b'\nC = '%s/%s' % (A, B)\nD = '%s' % A\nE = os.environ.get('E')\nF = [A, E]\n"
                "G = {A: 1, **E}\nH = 60 * 60\nI = '%99999999d' % 1\nJ = A if A else B\nK: str = 'k'\nL = M = 'l'\n")
        found = {name: (one.value, one.plain) for name, one in read_constants("c", text).names.items()}
        self.assertEqual({name: value for name, (value, plain) in found.items() if plain and name not in "FG"},
                         {"A": "a", "B": "ab", "C": "a/ab", "D": "a", "H": 3600})
        self.assertEqual({name for name, (_, plain) in found.items() if not plain}, {"E", "I", "J"})

    def test_nothing_is_executed(self) -> None:
        path = self.mktemp()
        text = f"WSS_INSTANCES = open({path!r}, 'w')\nICE_SERVER_OVERRIDE = [__import__('os').mkdir({path!r})]\n"
        read_constants("c", text)
        self.assertRaises(FileNotFoundError, open, path)

    def test_servers_and_instances_have_their_lines(self) -> None:
        """As AppRTC writes them: each dictionary's key is a constant."""
        text = ("T = 'turn:a.example'\nICE_SERVER_OVERRIDE = [\n  {'urls': [T,\n    'stun:a.example'], 'username': 'u',\n"
                "   'credential': 'c'},\n  {'urls': 'stun:b.example'},\n]\nWSS_INSTANCE_HOST_KEY = 'host_port_pair'\n"
                "WSS_INSTANCES = [{\n  WSS_INSTANCE_HOST_KEY: 'a.example:443'}, {WSS_INSTANCE_HOST_KEY: 'b.example:443'}]\n")
        found = read_constants("c", text)
        self.assertEqual([([(url.text, url.line) for url in one.urls], one.username, one.credential, one.listed)
                          for one in found.servers], [
            ([("turn:a.example", 3), ("stun:a.example", 4)], "u", "c", True), ([("stun:b.example", 6)], "", "", False)])
        self.assertEqual([one.host for one in found.instances], ["a.example:443", "b.example:443"])
        self.assertEqual(found.override, 2)
        self.assertEqual(read_constants("c", "ICE_SERVER_OVERRIDE = None\n").override, 0)

    def test_texts_that_double_do_not_grow(self) -> None:
        text = "A0 = 'x' * 1\nA0 = 'xx'\n" + "".join(f"A{one + 1} = A{one} + A{one}\n" for one in range(80))
        text += "N0 = 999999\n" + "".join(f"N{one + 1} = N{one} * N{one}\n" for one in range(80))
        for one in read_constants("c", text).names.values():
            self.assertLessEqual(len(str(one.value)), MAX_TEXT_CHARS)

    def test_what_is_no_python_is_told_with_its_line(self) -> None:
        for text, said in (("A = 1\nprint 'x'\n", "line 2 is no Python 3"), ("A = " + "(" * 5000, "no Python 3"),
                           ("A = 'a\0'", "no Python 3"), ("A = " + "-" * 100000 + "1", "")):
            self.assertIn(said, str(self.assertRaises(ValueError, read_constants, "c", text)))
        self.patch(constants, "MAX_NODES", 10)
        self.assertIn("longer than any", str(self.assertRaises(ValueError, read_constants, "c", "A = [1, 2, 3, 4, 5, 6]")))


class IceTests(SynchronousTestCase):
    def test_an_answer_is_found_wherever_it_stands(self) -> None:
        for text in ('{"iceServers": [{"urls": "turn:a.example", "username": "1:u"}]}',
                     'note\ncurl http://a.example/\n> { "iceServers": [ {"url": "turn:a.example"} ] } and more',
                     '{"username": "1586400000:u", "password": "p", "uris": ["turn:a.example"], "ttl": 3}'):
            (server,) = read_ice("i", text).servers
            self.assertEqual([one.text for one in server.urls], ["turn:a.example"])
        url = read_ice("i", 'POST https://a.example/v1?key=sesame\n{"iceServers": [{"urls": "stun:a"}]}').url
        self.assertEqual(url and (url.text, url.line), ("https://a.example/v1", 1))

    def test_the_time_is_found_on_either_side(self) -> None:
        for name, time in (("1586400000:u", 1586400000), ("u:1586400000", 1586400000), ("1586400000", 1586400000),
                           ("u", None), ("12:u", None), ("", None)):
            self.assertEqual(time_of(name), time)

    def test_a_text_without_an_answer_is_told(self) -> None:
        for text in ("iceServers", '{"iceServers": 3}', '{"iceServers": [3, {"urls": 3}', '{"iceServers": ' + "[" * 100000):
            self.assertIn("no answer in JSON", str(self.assertRaises(ValueError, read_ice, "i", text)))
        many = '{"iceServers": [{"urls": "turn:a"}]}\n' * (MAX_ANSWERS + 5)
        self.assertEqual(len(read_ice("i", many).servers), MAX_ANSWERS)


class NginxTests(SynchronousTestCase):
    def test_words_quotes_and_comments(self) -> None:
        text = "a \"b ; { \\\" c\" 'd\n}' ${x}y $z; # no ; {\nb{c;}\n"
        self.assertEqual([(word, line) for word, line, _ in tokens(text)], [
            ("a", 1), ('b ; { " c', 1), ("d\n}", 1), ("${x}y", 2), ("$z", 2), (";", 2), ("b", 3), ("{", 3), ("c", 3),
            (";", 3), ("}", 3)])

    def test_what_is_broken_is_told_and_read_on(self) -> None:
        tree, broken = parse("}\nserver {\n listen 80\n}\n{ a; }\nb 'c\nd;\nserver {")
        self.assertEqual([(one.line, one.text) for one in broken], [
            (1, "a closing brace has no opening one"), (3, "listen has no ; behind it"), (5, "a block has no name"),
            (8, "a brace is not closed")])
        self.assertEqual([one.name for one in tree], ["server", "b", "server"])
        self.assertEqual([one.name for one in tree[0].block], ["listen"])

    def test_servers_have_what_they_inherit(self) -> None:
        text = ("http { ssl_ciphers A; proxy_set_header Host $host; map $a $b { default x; server y; } upstream u "
                "{ server a:1; server b:2 backup; }\nserver { listen [::]:8443 ssl http2; listen 127.0.0.1:80; listen "
                "localhost; server_name a _ b; location /x { proxy_pass http://u; } location = /y { if ($a) { return 302 "
                "https://b/; } proxy_set_header Upgrade $http_upgrade; proxy_pass http://u; } }\nserver { ssl on; } }")
        found = read_nginx("n", text)
        one, other = found.servers
        self.assertEqual([(listen.port, listen.tls) for listen in one.listens], [(8443, True), (80, False), (80, False)])
        self.assertEqual((one.names, one.ciphers and one.ciphers.text), (("a", "b"), "A"))
        self.assertEqual(found.upstreams, {"u": ("a:1", "b:2")})
        self.assertEqual([(at.path, at.upstream, at.upgrade, at.host) for at in one.locations],
                         [("/x", "http://u", False, "$host"), ("/y", "http://u", True, "")])
        self.assertEqual([at.text for at in one.redirects], ["302 https://b/"])
        self.assertEqual(other.listens, (Listen(80, True, 3),))
        self.assertEqual([at.text for at in found.others], ["if"])

    def test_what_is_too_much_is_refused(self) -> None:
        self.assertIn("nested", str(self.assertRaises(ValueError, parse, "a {" * 100)))
        self.assertIn("nested", str(self.assertRaises(ValueError, parse, "{" * 100)))
        self.patch(nginx, "MAX_TOKENS", 20)
        self.assertIn("more than 20 words", str(self.assertRaises(ValueError, parse, "a b;" * 20)))


PIECES = st.sampled_from((
    *"{};'\"\\#=$[]()%\n\n ", "server", "location /", "listen 443 ssl;", "upstream a {", "iceServers",
    '{"iceServers":[{"urls":', "ICE_SERVER_OVERRIDE = ", "WSS_INSTANCES = [", "turnserver ", "-u a:b "
    "", "--realm=", "user=", "realm ",
    "use-auth-secret\n", "stun:a:8089", "0x", "\r", "\0", "ü", "1586400000", "return 301 https://$host", "cert=", "pkey="))


class RecogniseTests(SynchronousTestCase):
    def test_each_is_recognised_by_its_content(self) -> None:
        for name, (kind, text) in GUIDES.items():
            self.assertEqual(recognise(text), kind, name)
        for name in ("README.md", "CHANGELOG.md", "setup.cfg", "etc/rtcd.ini", "Makefile", "rtcd/tap.py", "ruff.toml",
                     "docs/operating.md", "docs/coming-from-coturn.md", "systemd/rtcd.service", "LICENSE"):
            self.assertEqual(recognise((ROOT / name).read_text()), "", name)
        self.assertEqual(recognise((ROOT / "docs/examples/proxies/nginx.conf").read_text()), "nginx.conf")

    @settings(deadline=None, max_examples=200)
    @given(st.lists(PIECES, max_size=40).map("".join))
    def test_whatever_the_text_only_value_errors_escape(self, text: str) -> None:
        recognise(text)
        read_conf(text)
        read_command(text)
        for read in (read_constants, read_ice, read_nginx):
            try:
                read("file", text)
            except ValueError as error:
                self.assertNotIn("\n", str(error))

    def test_long_lines_of_one_letter_take_no_time(self) -> None:
        """None of the patterns goes back over what it has read again and again; trial's own time-out would end it."""
        for one in ("\n", " ", "a", "'", '"', "{", "location ", "\nserver", "1", "$", "\\", "iceServers ", "turnserver ",
                    "http\n", "\nupstream x", "GET http://", "hmac-sha1(", '{"iceServers"'):
            text = one * (2**14 // len(one))
            recognise(text)
            list(tokens(text))
            for read in (read_conf, read_command, lambda text: read_ice("i", text)):
                with contextlib.suppress(ValueError):
                    read(text)
