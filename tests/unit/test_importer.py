"""Tests of the importer: each fault of each guide is named, and what comes out is an ini that the daemon takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import ConfigError
from rtcd.importer import report
from rtcd.importer.facts import Certificate, Machine
from rtcd.importer.importing import MAX_FILE_CHARS, Outcome, Source, bring
from rtcd.importer.report import Note
from rtcd.initext import scan
from rtcd.plugin import plugins
from rtcd.reading import understood, whole

ROOT = Path(__file__).resolve().parents[2]
NOW = 1.8e9

KINDS = {"turnserver-rest.conf": "turnserver.conf", "turnserver-command.txt": "turnserver", "ice-service.txt": "iceServers",
         "constants-a.txt": "constants.py", "constants-b.txt": "constants.py", "nginx.conf": "nginx.conf"}
GUIDES = {name: (kind, (ROOT / "tests" / "guides" / name).read_text()) for name, kind in KINDS.items()}
"""Configurations of the shape that the common deployment guides print."""

NAMED = {
    "turnserver-rest.conf": (
        (9, "it turns users off"), (17, "does not know this option since 4.5.2"), (4, "59000-65000: these UDP ports have"),
        (4, "80, 443, 3478, 8080, 8089"), (15, "self-signed certificate"),
        (10, "the secret is the same as the user name walter"),
        (20, "no-cli: without meaning here"), (1, "listening-device=eth0: without meaning here"), (11, "angle brackets"),
        (13, "a weak password"), (13, "walter is on line 12 already"),
    ),
    "turnserver-command.txt": (
        (1, "signs its names with HMAC"), (1, "never verif"), (1, "a weak password: it has 5"), (1, "a private address, "
        "and no external-ip (-X)"), (1, "the realm looks misspelt: examples say north.gov"),
    ),
    "ice-service.txt": (
        (2, "the time of issue, and has to be that of expiry"), (2, "expired at birth"), (1, "plain http"),
        (1, "mixed content"), (2, "STUN and TURN are named without transport"), (2, "a weak secret"),
    ),
    "constants-a.txt": (
        (1, "so the ICE service at http://203.0.113.9:8088 is never asked"), (2, "the Android app, which reads a text, ends "
        "the call"), (3, "8089 is the signalling port"), (5, "plain http"), (5, "does not serve port 8088"),
        (2, "a weak password"),
    ),
    "constants-b.txt": (
        (12, "the same host and port as that of line 11 (198.51.100.7:8089)"), (2, "is a key as turnadmin -k prints it"),
        (1, "so the ICE service at https://calls.example is never asked"),
    ),
    "nginx.conf": (
        (15, "the WebSocket upgrade is here only"), (15, "the signalling port (8089) is not served"),
        (14, "ssl_ciphers HIGH:!aNULL:!MD5: HIGH lets in old suites"), (7, "the redirect drops the port"),
        (20, "without the port that the client asked for"), (20, "pushState"),
    ),
}
"""What has to be said of each, with its line."""


SERVICES = plugins()


def judge(text: str) -> Sequence[ConfigError]:
    """As the daemon reads it."""
    return whole(understood("", scan(text), SERVICES), SERVICES)


def nothing_there(cert: str, key: str, hosts: Iterable[str]) -> Certificate:
    """No certificate is on this machine."""
    return Certificate(f"{cert} cannot be read", None)


def imported(*sources: tuple[str, str], addresses: Iterable[str] = (), look: object = nothing_there) -> Outcome:
    """Import texts by name."""
    machine = Machine(frozenset(addresses), NOW, look)  # type: ignore[arg-type]  # tests give several kinds
    return bring([Source(name, text) for name, text in sources], machine, judge)


def notes(outcome: Outcome) -> list[Note]:
    """All that was wrong or dropped."""
    return [*outcome.report.wrong, *outcome.report.dropped]


class GuideTests(SynchronousTestCase):
    """The files that people arrive with."""

    def check(self, outcome: Outcome, name: str) -> None:
        """Every fault of the file is named, at its line."""
        said = [(note.where.line, str(note)) for note in notes(outcome) if note.where.file == name]
        for line, text in NAMED[name]:
            self.assertTrue(any(at == line and text in one for at, one in said), f"{name}:{line}: {text}: {said}")

    def starts(self, ini: str) -> dict[str, object]:
        """The daemon has no fault to find in it."""
        self.assertEqual(judge(ini), [], ini)
        return understood("", scan(ini), SERVICES).settings

    def test_each_alone_has_its_faults_named_and_becomes_an_ini(self) -> None:
        for name, (_, text) in GUIDES.items():
            outcome = imported((name, text))
            self.check(outcome, name)
            self.assertIn("turn", self.starts(outcome.ini))

    def test_all_together_as_well(self) -> None:
        outcome = imported(*((name, text) for name, (_, text) in GUIDES.items()))
        for name in GUIDES:
            self.check(outcome, name)
        self.assertLessEqual({"web", "signaling", "ice", "turn"}, set(self.starts(outcome.ini)))
        self.assertEqual(outcome.unknown, {})

    def test_what_shows_between_two_files_names_both(self) -> None:
        outcome = imported(*((name, GUIDES[name][1]) for name in (
            "turnserver-command.txt", "ice-service.txt", "constants-a.txt", "nginx.conf")))
        said = [str(note) for note in outcome.report.wrong]
        for one, other in (("turnserver-command.txt:1: -u", "(ice-service.txt:2) signs"),
                           ("ice-service.txt:2: ", "the relay of turnserver-command.txt:1 does not check"),
                           ("constants-a.txt:5: ", "nginx (nginx.conf) does not serve port 8088")):
            self.assertTrue(any(text.startswith(one) and other in text for text in said), said)

    def test_what_was_right_is_not_blamed(self) -> None:
        good = {
            "turnserver.conf": "use-auth-secret\nstatic-auth-secret=Kq7-vw2_x0-no-guide\nrealm=meet.example.net\n"
                               "external-ip=203.0.113.5\nlistening-ip=10.0.0.5\nno-cli\n",
            "constants.py": "ICE_SERVER_OVERRIDE = None\nICE_SERVER_BASE_URL = "
                            "'https://meet.example.net'\nWSS_INSTANCE_HOST_KEY = 'h'\nWSS_INSTANCES = "
            "[{WSS_INSTANCE_HOST_KEY: 'a:443'}, {WSS_INSTANCE_HOST_KEY: 'b:443'}]\n",
            "ice.txt": 'GET https://meet.example.net/ -> {"iceServers":[{"username":"1900000000:w","credential":"x","urls":'
                       '["turn:a.example?transport=udp"]}]}',
            "nginx.conf": "server { listen 80; return 301 https://$host:443$request_uri; }\nserver { listen 443 ssl; "
                          "server_name meet.example.net; location / { proxy_pass http://127.0.0.1:8080; proxy_set_header "
                          "Host $http_host; } location /ws { proxy_pass http://127.0.0.1:8089; proxy_set_header Upgrade $x; "
                          "proxy_set_header Host $http_host; } }\n",
        }
        for name, text in good.items():
            outcome = imported((name, text))
            self.assertEqual([str(one) for one in outcome.report.wrong], [], name)
            self.starts(outcome.ini)

    def test_no_secret_is_in_the_report(self) -> None:
        text = ("use-auth-secret\nstatic-auth-secret=sesame-0123456789abcdef\nuser=ann:opensesame1\nuser=bob:x\n"
                "pkey-pwd=sesame2\ncli-password=sesame3\npsql-userdb=host=x password=sesame4\n"
                "stateless-nonce-secret=sesame-0123456789abcdef\nstatic-auth-secret=sesame\ncert=/a\npkey=/b\n")
        outcome = imported(("turnserver.conf", text))
        self.assertIn("ann:opensesame1", outcome.ini)
        every = [*notes(outcome), *outcome.report.kept]
        self.assertEqual([str(one) for one in every if "sesame" in str(one)], [])
        self.assertEqual(len([one for one in every if "********" in str(one)]), 10, [str(one) for one in every])


    def test_no_value_of_an_unknown_option_is_in_the_report(self) -> None:
        """Its name may be that of a secret, misspelt."""
        text = ("use-auth-secret\nrealm=a.net\nmobility\nstatic_auth_secret=sesame1\nusers=ann:sesame2\n"
                "static-auth-secrets sesame3\n")
        command = "turnserver -a --static_auth_secret=sesame4 -Y sesame5 -c /etc/turnserver.conf\n"
        for name, one in (("turnserver.conf", text), ("command", command)):
            outcome = imported((name, one))
            every = [str(one) for one in (*notes(outcome), *outcome.report.kept)]
            self.assertEqual([one for one in every if "sesame" in one or "ann" in one], [])
        self.assertTrue([one for one in every if "/etc/turnserver.conf" in one], every)

    def test_no_userinfo_of_a_url_is_in_the_report(self) -> None:
        sources = (
            ("i", 'GET http://ann:sesame@ice.example/v1 -> {"iceServers": [{"username": "1:x", "urls": '
             '["turn:ann:ses@me@turn.example:3478"]}]}'),
            ("c", "ICE_SERVER_BASE_URL = 'http://ann:sesame@ice.example:8088'\nICE_SERVER_OVERRIDE = [{'urls': "
             "['turn:ann:sesame@turn.example', 'stun:ann:sesame@turn.example:8089'], 'credential': 'x'}]\n"),
            ("n", "server { listen 443 ssl; return 301 https://ann:sesame@other.example$request_uri; location / { "
             "proxy_pass http://ann:sesame@127.0.0.1:8080; } }"),
        )
        for some in (*((one,) for one in sources), sources):
            outcome = imported(*some)
            every = [str(one) for one in (*notes(outcome), *outcome.report.kept)]
            self.assertEqual([one for one in every if "sesame" in one or "ses@me" in one or "ann:" in one], [])
            self.assertTrue([one for one in every if "********@" in one])


class CoturnTests(SynchronousTestCase):
    def ini(self, text: str, **options: object) -> str:
        """Without its heading."""
        outcome = imported(("turnserver.conf", text), **options)  # type: ignore[arg-type]  # passed on
        self.assertEqual(judge(outcome.ini), [])
        return "\n".join(line for line in outcome.ini.split("\n") if not line.startswith("#")).lstrip("\n")

    def test_options_become_keys(self) -> None:
        self.assertEqual(self.ini(
            "listening-port=3479\nno-udp\nexternal-ip=203.0.113.5/10.0.0.5\nexternal-ip=203.0.113.6/10.0.0.6\nmobility\n"
            "allowed-peer-ip=10.0.0.7\nkeep-address-family\nno-tlsv1_2\nVerbose\nstale-nonce=300\nrest-api-separator=-\n",
            addresses=["10.0.0.5", "10.0.0.6"]), """\
[log]
level = debug

[tls]
minimum = 1.3

[credentials]
secret-separator = -

[turn]
port = 3479
udp = no
external-ip =
    203.0.113.5/10.0.0.5
    203.0.113.6/10.0.0.6
mobility = yes
allowed-peers = 10.0.0.7
default-family = keep
stale-nonce = 300
""")

    def test_the_last_line_counts_where_there_can_be_one(self) -> None:
        self.assertIn("port = 2\n", self.ini("realm=a.net\nlistening-port=1\nlistening-port=2\n"))

    def test_one_end_of_the_relay_ports_has_coturns_other(self) -> None:
        self.assertIn("min-port = 50000\nmax-port = 65535\n", self.ini("realm=a.net\nmin-port=50000\n"))
        self.assertIn("max-port = 50000\nmin-port = 49152\n", self.ini("realm=a.net\nmax-port=50000\n"))

    def test_addresses_are_those_of_this_machine(self) -> None:
        """With another one the daemon would not start."""
        text = "realm=a.net\nlistening-ip=10.0.0.5\nlistening-ip=0.0.0.0\nrelay-ip=10.0.0.6\nrelay-ip=10.0.0.5\n"
        self.assertIn("listen =\n    10.0.0.5\n    0.0.0.0\nrelay-ip = 10.0.0.5\n", self.ini(text, addresses=["10.0.0.5"]))
        outcome = imported(("t", text))
        self.assertIn("# listen = 10.0.0.5\n", outcome.ini)

    def test_users_who_can_be_guessed_are_not_taken(self) -> None:
        """The realm stays as it is while somebody has a key that is made with it."""
        key = "0x545f279de5fd54442b6476658181689d"
        text = f"realm=<a>\nuser=ann:{key}\nuser=bob:12345\nuser=eve:correct horse\nuser=#zoe:correct horse\n"
        self.assertIn(f"user =\n    ann:{key}\n    eve:correct horse\nrealm = <a>\n", self.ini(text))
        self.assertNotIn("realm", self.ini(text.replace(key, "12345")))

    def test_certificates_that_are_good_are_taken(self) -> None:
        text = "realm=a.net\ncert=/a.pem\npkey=/b.pem\n"
        self.assertIn("cert = /a.pem\nkey = /b.pem\n", self.ini(text, look=lambda *_: Certificate()))
        for other in ("realm=a.net\ncert=/a.pem\n", "realm=a.net\ncert=a.pem\npkey=b.pem\n"):
            self.assertNotIn("cert", self.ini(other, look=lambda *_: Certificate()))
        outcome = imported(("t", text), look=lambda *_: Certificate("/a.pem is self-signed", True))
        self.assertIn("# cert = /a.pem", outcome.ini)
        self.assertIn("the certificate is self-signed: phones", str(outcome.report.wrong[0]))

    def test_what_the_daemon_would_refuse_is_taken_out_and_told(self) -> None:
        """So that it starts on the rest."""
        text = ("realm=a.net\nlistening-port=99999\nuser-quota=many\nmin-port=60000\nmax-port=50000\n"
                "external-ip=nonsense/x/y\nbps-capacity=5\ntotal-quota=3\nallowed-peer-ip=x\n")
        outcome = imported(("t", text))
        self.assertEqual(judge(outcome.ini), [])
        self.assertIn("total-quota = 3\n", outcome.ini)
        dropped = {note.where.line for note in outcome.report.dropped if "rtcd does not take it" in note.text}
        self.assertLessEqual({2, 3, 6, 7, 9}, dropped)
        self.assertEqual({note.where.line for note in outcome.report.kept} & {2, 3, 6, 7, 9}, set())

    def test_one_value_that_is_refused_takes_no_other_with_it(self) -> None:
        text = "realm=a.net\n" + "".join(f"allowed-peer-ip=192.0.2.{one}\n" for one in range(9)) + "allowed-peer-ip=x\n"
        ini = self.ini(f"{text}allowed-peer-ip=198.51.100.1\nallowed-peer-ip=y\nuser=ann:0xnone\n"
                       "user=bob:correct horse\n")
        self.assertEqual([one.strip() for one in ini.split("allowed-peers =\n")[1].split("\n")[:10]],
                         [*(f"192.0.2.{one}" for one in range(9)), "198.51.100.1"])
        self.assertIn("user = bob:correct horse\n", ini)

    def test_what_is_to_keep_relays_out_is_never_left_out(self) -> None:
        """An ini without it would open the network, so there is none."""
        for bad in ("192.168.0.0/16x", "203.0.113.0-", "#10.0.0.1"):
            with self.assertRaises(ValueError) as raised:
                imported(("t", f"realm=a.net\ndenied-peer-ip=10.0.0.0-10.255.255.255\ndenied-peer-ip={bad}\n"))
            self.assertIn("t:3: ", str(raised.exception))
            self.assertIn("relays would reach", str(raised.exception))
        self.assertIn("denied-peers =\n    10.0.0.0-10.255.255.255\n    203.0.113.7\n", self.ini(
            "realm=a.net\ndenied-peer-ip=10.0.0.0-10.255.255.255\ndenied-peer-ip=203.0.113.7\n"))

    def test_what_comes_out_is_what_the_daemon_takes_as_a_whole(self) -> None:
        """Also where the fault is of a key that nobody wrote, or of two sections."""
        site = "server { listen 8443 ssl; listen 8080; server_name a.net; location / { proxy_pass http://127.0.0.1:8000; } }"
        for text, left in (("min-port=500\nmax-port=2000\n", ""), ("listening-port=5349\n", ""), ("no-tlsv1_2\ndtls\n", ""),
                           ("tls-listening-port=8443\nlistening-port=8080\n", site),
                           ("listening-ip=10.0.0.5\nexternal-ip=203.0.113.9/10.0.0.6\n", "")):
            sources = [("t", f"realm=a.net\ntotal-quota=3\n{text}"), *([("n", left)] if left else [])]
            outcome = imported(*sources, addresses=["10.0.0.5", "10.0.0.6"])
            self.assertEqual(judge(outcome.ini), [], text)
            self.assertIn("total-quota = 3\n", outcome.ini)
            self.assertTrue([one for one in outcome.report.dropped if "rtcd does not take it" in one.text], text)

    def test_an_external_address_of_another_machine_is_proposed(self) -> None:
        """The usual form of who moves; without it the daemon finds its own."""
        outcome = imported(("t", "realm=a.net\nexternal-ip=203.0.113.9/10.0.0.5\nexternal-ip=\n"), addresses=["10.0.0.7"])
        self.assertEqual(judge(outcome.ini), [])
        self.assertIn("\n# external-ip = 203.0.113.9/10.0.0.5\n", outcome.ini)

    def test_a_fault_that_no_option_is_to_blame_for_ends_it(self) -> None:
        """And neither does a file of nothing else take for ever."""
        text = "realm=a.net\n" + "".join(f"allowed-peer-ip=192.0.2.{one % 250}/{one}\n" for one in range(300))

        def always(ini: str) -> Sequence[ConfigError]:
            return [ConfigError("turn", "user", "is wrong")]

        def peers(ini: str) -> Sequence[ConfigError]:
            return [ConfigError("turn", "allowed-peers", ini)] if "192.0.2" in ini else []

        for judging, said in ((always, "no option alone"), (peers, "more than 200 values")):
            with self.assertRaises(ValueError) as raised:
                bring([Source("t", text)], Machine(frozenset(), NOW, nothing_there), judging)
            self.assertIn(said, str(raised.exception))

    def test_an_option_that_nobody_knows_is_told(self) -> None:
        outcome = imported(("t", "realm=a.net\nuse-auth-secret\nrealmm=x\nmin-port=\n"))
        self.assertEqual([(one.where.line, one.text) for one in outcome.report.wrong][:2], [
            (3, "coturn has no such option, and passes it over"), (4, "needs a value and has none")])

    def test_an_open_relay_is_no_more(self) -> None:
        outcome = imported(("t", "no-auth\nrealm=a.net\n"))
        self.assertIn("# stun-only = yes", outcome.ini)
        self.assertIn("an open relay", str(outcome.report.wrong[0]))


class SiteTests(SynchronousTestCase):
    def test_nginx_hands_its_ports_and_name_over(self) -> None:
        text = ("server { listen 80; listen [::]:80; return 301 https://$host$request_uri; }\nserver { listen 8443 ssl; "
                "server_name meet.example.net www.example.net *.x ~^a; ssl_certificate /a; ssl_certificate_key /b; }")
        asked: list[list[str]] = []

        def look(cert: str, key: str, hosts: Iterable[str]) -> Certificate:
            asked.append(list(hosts))
            return Certificate()

        outcome = imported(("nginx.conf", text), look=look)
        self.assertIn("[doorway]\nhttp = tcp:80\nhttps = tcp:8443\npublic-url = "
                      "https://meet.example.net:8443\n", outcome.ini)
        self.assertIn("[tls]\ncert = /a\nkey = /b\n", outcome.ini)
        self.assertEqual(asked, [["meet.example.net"]])

    def test_a_listener_that_is_not_for_the_world_stays_so(self) -> None:
        """Loopback and unix sockets, addresses of the machine, and those of another."""
        text = ("server { listen 127.0.0.1:8081; listen [::1]:8082; listen unix:/run/a.sock; listen localhost:8083; listen "
                "10.0.0.5:443 ssl; listen 10.0.0.6:443 ssl; listen *:444 ssl; listen a.example:445; location / { proxy_pass "
                "http://127.0.0.1:8080; } }")
        outcome = imported(("n", text), addresses=["10.0.0.5"])
        self.assertEqual(judge(outcome.ini), [])
        self.assertIn("[doorway]\nhttp =\n    tcp:8081:interface=127.0.0.1\n    tcp:8082:interface=\\:\\:1\n"
                      "    tcp:8083:interface=127.0.0.1\nhttps =\n    tcp:443:interface=10.0.0.5\n    tcp:444\n"
                      "# https = tcp:443:interface=10.0.0.6\n# http = tcp:445:interface=a.example\n", outcome.ini)
        self.assertTrue([one for one in outcome.report.dropped if one.what == "listen unix:/run/a.sock"])

    def test_another_site_of_the_same_nginx_is_left_alone(self) -> None:
        """Its ports would be opened to the world, and its certificate shown."""
        text = """upstream rooms { server 127.0.0.1:8080; }
            server { listen 8443 ssl; server_name wiki.example; ssl_certificate /w; ssl_certificate_key /w;
                location / { proxy_pass http://127.0.0.1:3000; } }
            server { listen 9000; server_name static.example; root /srv; }
            server { listen 80; return 301 https://$host:443$request_uri; }
            server { listen 8000; server_name meet.example; return 301 https://meet.example$request_uri; }
            server { listen 443 ssl; server_name meet.example; ssl_certificate /a; ssl_certificate_key /b;
                location / { proxy_pass http://rooms; } }"""
        outcome = imported(("n", text), look=lambda *_: Certificate())
        self.assertIn("[doorway]\nhttp =\n    tcp:80\n    tcp:8000\nhttps = tcp:443\npublic-url = https://meet.example\n",
                      outcome.ini)
        self.assertIn("[tls]\ncert = /a\nkey = /b\n", outcome.ini)
        self.assertEqual([one.what for one in outcome.report.dropped if "another site" in one.text],
                         ["server wiki.example", "server static.example"])

    def test_a_value_cannot_become_another_key(self) -> None:
        """Whatever is quoted in nginx."""
        text = 'server { listen 443 ssl; ssl_certificate "/a\n[daemon]\nuser = root"; ssl_certificate_key /b; }'
        for look in (lambda *_: Certificate(), nothing_there):
            self.assertNotIn("\n[daemon]", imported(("n", text), look=look).ini)

    def test_what_is_a_setting_of_apprtc_is_kept(self) -> None:
        outcome = imported(("c", "ROOM_MEMCACHE_EXPIRATION_SEC = 60 * 60\nHEADER_MESSAGE = 'Hi\\nyou'\nICE_SERVER_URLS = "
                            "1\n"))
        self.assertIn("[rooms]\nlifetime = 3600\n", outcome.ini)
        self.assertIn("[web]\nheader-message = Hi you\n", outcome.ini)

    def test_a_good_secret_goes_on(self) -> None:
        text = ('(hmac-sha1("Kq7-vw2_x0-no-guide", name))\n'
                '{"iceServers": [{"urls": ["turn:203.0.113.9:3478?transport=udp"]}]}')
        ini = imported(("i", text)).ini
        self.assertIn("[credentials]\nsecret = Kq7-vw2_x0-no-guide\n", ini)
        self.assertIn("[turn]\n# external-ip = 203.0.113.9\n", ini)


class BoundsTests(SynchronousTestCase):
    def test_a_file_that_nobody_recognises_is_left_out(self) -> None:
        guide = ("t", GUIDES["turnserver-rest.conf"][1])
        outcome = imported(("x", "hello"), guide, ("y", guide[1] + "#" * MAX_FILE_CHARS), ("z", "ICE_SERVER_X = (\n"))
        self.assertEqual(set(outcome.kinds), {"t"})
        self.assertEqual({name: why.split()[:2] for name, why in outcome.unknown.items()},
                         {"x": ["is", "neither"], "y": ["is", "longer"], "z": ["line", "1"]})
        self.assertIn("x: is neither", str(self.assertRaises(ValueError, imported, ("x", "hello"))))

    def test_the_report_does_not_grow_without_end(self) -> None:
        self.patch(report, "MAX_NOTES", 50)
        outcome = imported(("t", "use-auth-secret\n" + "".join(f"nonsense{one}\nuser=u{one}:{one}\n" for one in range(100)) +
                            "no-cli\n" * 100))
        self.assertEqual((len(outcome.report.wrong), len(outcome.report.dropped)), (50, 50))

    def test_what_is_shown_is_short_and_printable(self) -> None:
        outcome = imported(("t", f"use-auth-secret\nno-cli\nlog-file=/var/\x1b[31m{'x' * 500}\n"))
        for note in notes(outcome):
            self.assertTrue(note.what.isprintable() and len(note.what) <= report.MAX_SHOWN_CHARS)

    def test_line_ends_and_marks_of_other_systems(self) -> None:
        text = "\ufeff" + GUIDES["turnserver-rest.conf"][1].replace("\n", "\r\n")
        self.assertEqual(imported(("t", text)).ini, imported(("t", GUIDES["turnserver-rest.conf"][1])).ini)
