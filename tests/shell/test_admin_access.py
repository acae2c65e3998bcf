"""Who gets in, by which door, and who does not."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import provider

from rtcd.admin.access import MISSES_AT_ONCE
from rtcd.admin.guesses import GUESSES_AT_ONCE, MAX_AT_ONCE
from rtcd.admin.keys import SCOPES, make
from rtcd.admin.routes import ROUTES
from rtcd.admin.settings import Settings
from rtcd.admin.tokens import MAX_TOKEN_CHARS, Tokens
from rtcd.doorway.settings import DoorwaySettings
from rtcd.rooms import room as rooms
from tests.fakes import FakeAnswer
from tests.fakes_admin import CLIENT, HASHED, ORIGIN, PASSWORD, TOKEN, AdminServer, problem

SECRET = "s" * 32
JSON = {"Content-Type": "application/json"}
FORWARDED = {"X-Forwarded-For": "192.0.2.99", "X-Forwarded-Proto": "https"}


def address(path: str) -> str:
    """A path of the table with something in its variable parts."""
    return path.replace("{room}", "team").replace("{client}", CLIENT).replace("{allocation}", "1").replace("{call}", "c1")


def pem_of(key: Any) -> str:
    """The public half of a key."""
    return str(key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo), "ascii")


class AccessCase(SynchronousTestCase):
    """A server with a file of keys."""

    def setUp(self) -> None:
        made = [make(name, name, lambda size: secrets.token_hex(size)) for name in SCOPES]
        self.keys = {name: secret for name, (secret, _) in zip(SCOPES, made, strict=True)}
        self.file = Path(self.mktemp())
        self.file.write_text("\n".join(line for _, line in made))
        self.server = AdminServer(self, Settings(
            password=HASHED, token=TOKEN, keys_file=str(self.file), jwt_key=(SECRET,))).offer_relays_and_calls().start()
        self.lines: list[str] = []

        @provider(ILogObserver)
        def observe(event: Any) -> None:
            if event.get("log_namespace", "").startswith("rtcd.admin"):
                self.lines.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def ask(self, method: str = "GET", path: str = "/session", **headers: str) -> FakeAnswer:
        """A request with these headers alone."""
        return self.server.request(method, f"/admin{path}", b"", headers)

    def log_in(self, password: str = PASSWORD, **more: Any) -> FakeAnswer:
        """Log in."""
        return self.server.api("POST", "/session", {"password": password}, token=None, **more)

    def token(self, key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
        """A JSON Web Token that is good, but for these claims."""
        now = self.server.clock.seconds()
        found = {"exp": now + 60, "aud": "rtcd", "scope": "read rooms other", "sub": "ann", **claims}
        return jwt.encode({name: one for name, one in found.items() if one is not None}, key, algorithm)


class RouteTests(AccessCase):
    """The whole table."""

    def test_every_route_refuses_who_shows_nothing_or_something_wrong(self) -> None:
        """But the one by which one logs in, and that with a wrong password."""
        for route in ROUTES:
            for headers in ({}, {"Authorization": f"Bearer {'x' * 32}"}, {"Authorization": f"Basic {TOKEN}"},
                            {"Authorization": TOKEN}, {"Cookie": "__Host-rtcd-admin=x"}, {"Authorization": "Bearer"},
                            {"Authorization": "Bearer \xff"}):
                self.server.wait(60)
                path = f"/admin{address(route.path)}"
                answer = self.server.request(route.method, path, b'{"password":"x"}', JSON | headers)
                self.assertEqual(problem(answer)[0], 401, (route.operation, headers))
                self.assertTrue((answer.header("www-authenticate") or "").startswith("Bearer "))
        self.assertEqual(self.server.orders, [])
        self.assertEqual(len(self.server.accounts), 7)

    def test_every_route_needs_its_scope_and_no_other(self) -> None:
        """A key with another one is told which; it is refused before the body is looked at."""
        for route in ROUTES:
            for scope, key in self.keys.items():
                code = self.server.api(route.method, address(route.path), b"{", token=key).code
                allowed = route.scope in ("", "-", scope)
                self.assertEqual(code == 403, not allowed, (route.operation, scope, code))

    def test_every_route_that_changes_something_refuses_what_another_site_could_send(self) -> None:
        cookie = (self.log_in().header("set-cookie") or "").partition(";")[0]
        for route in ROUTES:
            if route.method == "GET":
                continue
            for headers in ({"Content-Type": "text/plain"}, {}, {"Content-Type": "application/json", "Origin": "https://evil"},
                            {"X-Requested-With": "x", "Origin": "null"}):
                answer = self.server.request(
                    route.method, f"/admin{address(route.path)}", b"{}", {"Cookie": cookie, **headers})
                self.assertEqual(problem(answer)[0], 403, (route.operation, headers))
        self.assertEqual(self.ask(Cookie=cookie).code, 200)

    def test_nothing_is_answered_without_tls(self) -> None:
        for route in ROUTES:
            headers = JSON | {"Authorization": f"Bearer {TOKEN}"}
            answer = self.server.request(route.method, f"/admin{address(route.path)}", b"{}", headers, secure=False)
            self.assertEqual(problem(answer)[0], 403)

    def test_the_public_url_makes_nothing_secure(self) -> None:
        """A proxy that is trusted does, if it says so; and our own TLS whatever the URL says."""
        for url, proxies, more, secure, code in (
                ("https://meet.example", (), {}, False, 403), ("https://meet.example", (), FORWARDED, False, 403),
                ("https://meet.example", ("192.0.2.7",), {}, False, 403), ("http://meet.example", (), {}, True, 200),
                ("https://meet.example", ("192.0.2.7",), FORWARDED, False, 200)):
            self.server = AdminServer(self, doorway=DoorwaySettings(public_url=url, trusted_proxies=proxies)).start()
            answer = self.server.api("GET", "/session", headers=more, secure=secure)
            self.assertEqual(answer.code, code, (url, proxies, more))

    def test_the_unix_socket_asks_nobody(self) -> None:
        self.assertEqual(json.loads(self.server.unix("GET", "/session").body), {"name": "socket", "scopes": list(SCOPES)})
        self.assertEqual(self.server.unix("POST", "/reload").code, 200)


class LogTests(AccessCase):
    """What the log says of those who did something."""

    def test_what_was_done_is_a_line_with_who_did_it(self) -> None:
        """What was only looked at, and what was refused, is none."""
        self.server.api("POST", "/rooms", {"name": "team", "password": "sesame"}, token=self.keys["rooms"])
        self.server.api("GET", "/rooms", token=self.keys["read"])
        self.server.api("DELETE", "/rooms/none")
        self.server.unix("DELETE", "/rooms/team")
        self.log_in()
        self.server.api("PUT", "/rooms/a%20b%0d%22/lock", {"on": True})
        self.assertEqual(self.lines, [
            "create_room by key:rooms: /admin/rooms", "close_room by socket: /admin/rooms/team",
            "log_in by password: /admin/session"])

    def test_a_path_makes_one_bounded_word_of_a_line(self) -> None:
        name = "x" * 1000
        limits = self.server.rooms.limits
        self.server.rooms._apply(name, lambda one, now: rooms.join(one, now, limits, "x"))
        self.server.api("DELETE", f"/rooms/{name}")
        self.assertEqual([len(one) for one in self.lines], [len("close_room by token: ") + 256])


class BearerTests(AccessCase):
    """Tokens, keys and JSON Web Tokens."""

    def who(self, token: str) -> Any:
        """Who it is."""
        answer = self.server.api("GET", "/session", token=token)
        return json.loads(answer.body) if answer.code == 200 else answer.code

    def test_the_token_may_do_everything_and_a_key_what_it_is_for(self) -> None:
        self.assertEqual(self.who(TOKEN), {"name": "token", "scopes": list(SCOPES)})
        self.assertEqual(self.who(self.keys["kick"]), {"name": "key:kick", "scopes": ["kick"]})
        self.assertEqual(self.ask(Authorization=f"bearer  {TOKEN} ").code, 200)

    def test_a_right_token_is_never_refused_for_wrong_ones(self) -> None:
        """They cannot be guessed; but whoever tries is told to wait."""
        codes = [self.who("x" * 32) for _ in range(MISSES_AT_ONCE + 2)]
        self.assertEqual(codes, [401] * MISSES_AT_ONCE + [429] * 2)
        self.assertEqual(self.who(TOKEN)["name"], "token")

    def test_what_fails_is_a_line_a_second_without_what_was_shown(self) -> None:
        for _ in range(3):
            self.who("x" * 32)
        self.assertEqual(self.lines, ["admin_auth_fail address=192.0.2.7 what=token"])

    def test_a_json_web_token_is_good_for_what_its_scope_says(self) -> None:
        self.assertEqual(self.who(self.token()), {"name": "jwt:ann", "scopes": ["read", "rooms"]})
        self.assertEqual(self.who(self.token(scope=None, sub=None)), {"name": "jwt", "scopes": []})
        self.assertEqual(self.who(self.token(aud=["x", "rtcd"], scope=["read"]))["scopes"], [])

    def test_a_subject_that_could_be_taken_for_something_else_names_nobody(self) -> None:
        """It gets into answers and into lines of the log; half a character cannot be answered at all."""
        self.assertEqual(self.who(self.token(sub="auth0|a.b-c@x:1"))["name"], "jwt:auth0|a.b-c@x:1")
        for subject in ("\ud800", "x: /a\n2026-01-01 kick by token", "a b", "", "x" * 65, "a\n"):
            token = self.token(sub=subject)
            self.assertEqual(self.who(token), {"name": "jwt", "scopes": ["read", "rooms"]}, subject)
            detail = problem(self.server.api("POST", "/drain", token=token))[1]
            self.assertEqual(detail, "This needs the scope drain, which jwt does not have.")
        self.assertEqual(self.lines, [])

    def test_a_json_web_token_that_is_not_good_is_refused(self) -> None:
        now = self.server.clock.seconds()
        unsigned = jwt.encode({"exp": now + 60, "aud": "rtcd", "scope": "read"}, "", "none")
        for number, wrong in enumerate((
                self.token(exp=None), self.token(exp=now), self.token(exp="soon"), self.token(exp=True),
                self.token(exp=int("9" * 400)), self.token(nbf=-int("9" * 400)),
                self.token(aud=None), self.token(aud="other"), self.token(nbf=now + 60), self.token("y" * 32),
                self.token(SECRET * 2, "HS512"),
                unsigned, "a.b.c", f"{self.token()}x", self.token(padding="x" * MAX_TOKEN_CHARS))):
            self.server.wait(10 if number else 0)
            self.assertIn(self.who(wrong), (401,), number)

    def test_each_kind_of_key_checks_its_own_algorithm_alone(self) -> None:
        """The key of one is not the secret of another: the trick with HS256 and a public key."""
        made: dict[str, Any] = {
            "RS256": rsa.generate_private_key(65537, 2048), "ES256": ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate()}
        pems = {name: pem_of(key) for name, key in made.items()}
        now = self.server.clock.seconds()
        for name, key in made.items():
            tokens = Tokens(pems[name], name, "rtcd")
            self.assertIsNotNone(tokens.check(self.token(key, name), now))
            self.assertIsNone(tokens.check(self.token(), now))
            for other in pems:
                if other != name:
                    self.assertIsNone(tokens.check(self.token(made[other], other), now))
                    self.assertRaises(ValueError, Tokens, pems[other], name, "rtcd")
            self.assertIn("PEM", str(self.assertRaises(ValueError, Tokens, pems[name], "HS256", "rtcd")))
        small = pem_of(rsa.generate_private_key(65537, 1024))
        other_curve = pem_of(ec.generate_private_key(ec.SECP384R1()))
        for key, algorithm in ((small, "RS256"), (other_curve, "ES256"), ("x", "RS256"), ("short", "HS256")):
            self.assertRaises(ValueError, Tokens, key, algorithm, "rtcd")


class PasswordTests(AccessCase):
    """Logging in."""

    def test_a_session_may_do_everything_until_it_is_ended(self) -> None:
        answer = self.log_in()
        header = answer.header("set-cookie") or ""
        self.assertEqual((answer.code, json.loads(answer.body)["scopes"]), (200, list(SCOPES)))
        cookie, *attributes = header.split("; ")
        self.assertEqual(sorted(attributes), ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"])
        self.assertGreater(len(cookie), 60)
        self.assertEqual(json.loads(self.ask(Cookie=cookie).body)["name"], "password")
        headers = {"Cookie": cookie, "X-Requested-With": "rtcd", "Origin": ORIGIN}
        self.assertEqual(self.server.request("DELETE", "/admin/session", b"", headers).code, 204)
        self.assertEqual(self.ask(Cookie=cookie).code, 401)

    def test_what_a_proxy_asks_for_hides_no_session(self) -> None:
        """A browser shows it the password of its Basic authentication with every request; that is no wrong token."""
        cookie = (self.log_in().header("set-cookie") or "").partition(";")[0]
        self.lines.clear()
        self.assertEqual(self.ask(Cookie=cookie, Authorization="Basic YTpi").code, 200)
        self.assertEqual(self.ask(Cookie=cookie, Authorization=f"Bearer {'x' * 32}").code, 401)
        self.assertEqual(self.lines, ["admin_auth_fail address=192.0.2.7 what=token"])
        for _ in range(MISSES_AT_ONCE + 2):
            self.assertEqual(self.ask(Authorization="Basic YTpi").code, 401)

    def test_a_password_is_tried_a_few_times_only(self) -> None:
        """The right one too, by then; not by others."""
        for _ in range(GUESSES_AT_ONCE):
            self.server.wait(0.5)
            self.assertEqual(self.log_in("wrong").code, 401)
        answer = self.log_in()
        self.assertEqual((problem(answer)[0], answer.header("retry-after")), (429, "10"))
        self.assertEqual(self.log_in(client=IPv4Address("TCP", "192.0.2.8", 40000)).code, 200)
        self.server.wait(10)
        self.assertEqual(self.log_in().code, 200)

    def test_wrong_tokens_do_not_keep_an_administrator_out(self) -> None:
        """A program with an old token may share his address."""
        for _ in range(MISSES_AT_ONCE + 2):
            self.server.api("GET", "/session", token="x" * 32)
        self.assertEqual(self.log_in().code, 200)

    def test_right_ones_are_not_counted(self) -> None:
        for _ in range(GUESSES_AT_ONCE + 2):
            self.server.wait(1)
            self.assertEqual(self.log_in().code, 200)

    def test_tries_of_all_together_are_bounded(self) -> None:
        codes = [self.log_in("wrong", client=IPv4Address("TCP", f"192.0.{number}.9", 40000)).code for number in range(5)]
        self.assertEqual(codes, [401] * 3 + [429] * 2)

    def test_who_has_logged_in_before_is_not_kept_out_by_strangers(self) -> None:
        """However many networks they have, and while all places to check passwords are theirs."""
        home = IPv4Address("TCP", "198.51.100.1", 40000)
        self.assertEqual(self.log_in(client=home).code, 200)
        self.server.wait(1)
        waiting: list[Deferred[bool]] = [Deferred() for _ in range(MAX_AT_ONCE)]
        self.server.in_thread = list(waiting)
        answers = [self.log_in("wrong", client=IPv6Address("TCP", f"2001:db8:0:{number}00::1", 40000))
                   for number in range(10)]
        self.assertEqual([one.code for one in answers[MAX_AT_ONCE:]], [503] * 8)
        self.assertEqual(self.log_in(client=home).code, 200)
        for one in waiting:
            one.callback(False)

    def test_so_many_are_checked_at_once(self) -> None:
        """In a thread; who finds no place may try again."""
        waiting: list[Deferred[bool]] = [Deferred() for _ in range(MAX_AT_ONCE)]
        self.server.in_thread = list(waiting)
        answers = [self.log_in() for _ in range(MAX_AT_ONCE)]
        self.assertFalse(any(one.finished for one in answers))
        self.assertEqual(problem(self.log_in())[0], 503)
        for one in waiting:
            one.callback(True)
        self.assertEqual([one.code for one in answers], [200] * MAX_AT_ONCE)
        self.server.wait(1)
        self.assertEqual(self.log_in().code, 200)

    def test_what_is_sent_is_bounded_and_never_logged(self) -> None:
        self.assertEqual(problem(self.log_in("x" * 1025))[0], 400)
        self.assertEqual(problem(self.log_in("sesame" * 50))[0], 401)
        self.assertEqual(self.lines, ["admin_auth_fail address=192.0.2.7 what=password"])

    def test_without_a_password_nobody_logs_in(self) -> None:
        self.server = AdminServer(self, Settings(token=TOKEN)).start()
        self.assertEqual(problem(self.log_in())[0], 403)

    def test_another_password_ends_all_sessions(self) -> None:
        cookie = (self.log_in().header("set-cookie") or "").partition(";")[0]
        old, new = self.server.settings, Settings(password=HASHED, token=TOKEN, keys_file=str(self.file))
        self.server.reloads.apply("admin", old, new)
        self.assertEqual(self.ask(Cookie=cookie).code, 200)
        self.server.reloads.apply("admin", new, Settings(password=HASHED.replace("$m=8", "$m=16"), token=TOKEN))
        self.assertEqual(self.ask(Cookie=cookie).code, 401)
