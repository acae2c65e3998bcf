"""The administration's service: its socket, its settings and reloads, and the webhooks."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import provider

from rtcd.admin.keys import make
from rtcd.admin.outbox import MAX_QUEUED, PAUSES_S
from rtcd.admin.service import MAX_SOCKET_CONNECTIONS, AdminService, Settings, _make_way
from rtcd.allocations.allocation import Traffic
from rtcd.config import ConfigError, changes, parse
from rtcd.ice.credentials import PROBE_USER
from rtcd.rooms import orders
from rtcd.rooms.outcome import Came, Gone
from rtcd.rooms.records import Terms
from rtcd.turn.news import Began, Ended
from rtcd.unix import SocketPath
from tests.fakes import MemoryTransport
from tests.fakes_admin import HASHED, TOKEN, AdminServer
from tests.fakes_calls import Android, MeshPage

SECRET = "whsec_" + "c2VjcmV0" * 4
URL = "https://hooks.example/rtcd"


class SocketTests(SynchronousTestCase):
    """The unix socket."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def listening(self, path: Path) -> socket.socket:
        """Somebody else's socket."""
        other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(other.close)
        other.bind(str(path))
        other.listen()
        return other

    def test_it_is_in_the_state_directory_and_its_owners_alone(self) -> None:
        server = AdminServer(self).start()
        path, _, _, mode, _ = server.clock.unixServers[0]
        self.assertEqual((path, mode), (str(Path(server.folder) / "admin.sock"), 0o600))

    def test_another_path_may_be_named(self) -> None:
        server = AdminServer(self, Settings(socket="/run/rtcd/admin.sock")).start()
        self.assertEqual(server.clock.unixServers[0][0], "/run/rtcd/admin.sock")

    def test_without_a_way_in_there_is_the_socket_alone(self) -> None:
        server = AdminServer(self, Settings()).start()
        self.assertEqual((server.request("GET", "/admin/status").code, server.unix("GET", "/status").code), (404, 200))

    def test_a_socket_that_was_left_behind_is_removed(self) -> None:
        path = self.folder / "s"
        self.listening(path).close()
        self.assertTrue(path.exists())
        _make_way(str(path), str(path))
        self.assertFalse(path.exists())
        _make_way(str(path), str(path))

    def test_a_socket_that_is_in_use_and_what_is_no_socket_are_left_alone(self) -> None:
        self.listening(self.folder / "s")
        (self.folder / "f").write_text("x")
        os.symlink(self.folder / "f", self.folder / "l")
        for name, said in (("s", "another daemon answers"), ("f", "is no socket"), ("l", "is no socket")):
            path = str(self.folder / name)
            self.assertIn(said, str(self.assertRaises(ConfigError, _make_way, path, path)))
        self.assertEqual(sorted(one.name for one in self.folder.iterdir()), ["f", "l", "s"])

    def test_a_path_that_cannot_be_used_stops_the_start_in_one_line(self) -> None:
        (self.folder / "f").write_text("x")
        for path, said in ((f"{self.folder}/{'x' * 100}/s", "No such file"), (f"{self.folder}/f/s", "Not a directory")):
            error = self.assertRaises(ConfigError, AdminServer(self, Settings(socket=path)).start)
            self.assertIn(said, str(error))
            self.assertTrue(str(error).startswith("[admin] socket: "))
        server = AdminServer(self)
        server.clock.listenUNIX = self.refuse
        self.assertIn("Permission denied; name another one", str(self.assertRaises(ConfigError, server.start)))

    def test_a_path_may_be_longer_than_the_system_takes(self) -> None:
        """A state directory may be anywhere."""
        long = self.folder / ("x" * 100)
        long.mkdir()
        for path, same in ((long / "s", False), (self.folder / "s", True)):
            place = SocketPath(str(path))
            self.listening(Path(place.path))
            self.assertEqual((path.exists(), place.path == str(path)), (True, same))
            descriptors = len(os.listdir("/proc/self/fd"))
            place.close()
            place.close()
            self.assertEqual(len(os.listdir("/proc/self/fd")), descriptors - (not same))

    def refuse(self, path: str, *_: Any, **__: Any) -> None:
        """Listen in somebody else's directory."""
        raise CannotListenError("", path, PermissionError(13, "Permission denied"))

    def test_so_many_connections_are_taken(self) -> None:
        server = AdminServer(self).start()
        factory = server.clock.unixServers[0][1]
        held = []
        for _ in range(MAX_SOCKET_CONNECTIONS):
            protocol = factory.buildProtocol(None)
            protocol.makeConnection(_transport(protocol))
            held.append(protocol)
        self.assertIsNone(factory.buildProtocol(None))
        self.successResultOf(self.closing(server, held))

    def closing(self, server: AdminServer, held: list[Any]) -> Deferred[None]:
        """Stop; the connections end when they are told to."""
        stopping = server.admin.stopService()
        for one in held:
            one.connectionLost()
        return stopping


def _transport(protocol: Any) -> Any:
    transport = MemoryTransport()
    transport.protocol = protocol
    return transport


class SettingsTests(SynchronousTestCase):
    """[admin]."""

    def settings(self, *lines: str) -> Settings:
        """Read an ini."""
        text = "\n".join(("[admin]", *lines))
        found: Settings = parse(text, {"admin": Settings}, Path("/etc/rtcd"))["admin"]
        return found

    def test_what_would_not_work_or_not_protect_is_refused(self) -> None:
        for line, said in (
                ("password = sesame", "password: is no argon2 hash"), ("token = short", "token: is shorter than 32"),
                (f"token = {'x' * 31} y", "no Authorization header"), ("socket =", "socket: is no path"),
                ("jwt-key = short", "jwt-key: is shorter than 32 bytes"), ("jwt-audience =", "jwt-audience: is empty"),
                (f"jwt-key = {'s' * 32}\njwt-algorithm = RS256", "is no public key in PEM"),
                ("jwt-algorithm = none", "is none of"), ("webhook-url = hooks", "webhook-url: is no absolute URL"),
                (f"webhook-url = {URL}", "webhook-secret: is not set"),
                (f"webhook-url = {URL}\nwebhook-secret = short", "webhook-secret: ")):
            error = str(self.assertRaises(ConfigError, self.settings, line))
            self.assertIn(said, error.replace("[admin] ", ""), line)
            self.assertNotIn("sesame", error)

    def test_events_go_to_a_whole_url_whose_path_is_nobodys_business(self) -> None:
        """Those of chat services have a secret in it."""
        for url in (URL, "http://127.0.0.1:8000", "https://[2001:db8::1]:8443/a?b=c", "https://h/%20~"):
            settings = self.settings(f"webhook-url = {url}", f"webhook-secret = {SECRET}")
            self.assertEqual(settings.webhook_url, url)
        for url in ("https://a:b/", "https://:/", "http://[/", "http://[]/", "http://[::x]/", "https://h:99999/",
                    "https://h:0/", "https:///x", "https://ann:sesame@h/", "https://h/#x", "https://h?x", "https://1.2.3/",
                    "https://h/ x", "ftp://h/", "https://-h-/", "https://h/\u00e4"):
            error = str(self.assertRaises(ConfigError, self.settings, f"webhook-url = {url}", f"webhook-secret = {SECRET}"))
            self.assertTrue(error.startswith("[admin] webhook-url: is no absolute URL; write it like https://"), url)
            self.assertNotIn("sesame", error)
        old, new = (Settings(webhook_url=f"{URL}/{one}", webhook_secret=SECRET) for one in ("sesame", "simsim"))
        self.assertEqual(changes(old, new), {"webhook-url": "changed"})

    def test_a_public_key_has_several_lines(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        pem = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        (folder / "key.pem").write_text(pem)
        self.assertIsNotNone(self.settings(f"jwt-key-file = {folder.absolute()}/key.pem", "jwt-algorithm = ES256").tokens())

    def test_there_is_a_way_in_by_https_if_anything_lets_in(self) -> None:
        for lines, public in (((), False), ((f"token = {TOKEN}",), True), ((f"password = {HASHED}",), True),
                              (("keys-file = keys",), True), ((f"jwt-key = {'s' * 32}",), True)):
            self.assertEqual(self.settings(*lines).public, public, lines)

    def test_a_file_of_keys_that_cannot_be_read_or_is_wrong_stops_start_and_reload(self) -> None:
        path = Path(self.mktemp())
        settings = Settings(token=TOKEN, keys_file=str(path))
        for text, said in ((None, "cannot be read (No such file"), (b"a:b", "line 1: is not name:scopes:hash"),
                           (b"\xff", "no UTF-8"), (b"#" * 262145, "is longer than")):
            if text is not None:
                path.write_bytes(text)
            for act in (AdminServer(self, settings).start, lambda: AdminServer(self).reloads.apply("admin", None, settings)):
                self.assertIn(said, str(self.assertRaises(ConfigError, act)))

    def test_the_byte_order_mark_of_an_editor_is_no_part_of_the_file_of_keys(self) -> None:
        path = Path(self.mktemp())
        path.write_text(f"\ufeff{make('a', 'read', lambda size: 'k' * size)[1]}\n", "utf-8")
        found = Settings(token=TOKEN, keys_file=str(path)).keys()
        self.assertEqual([key.name for key in found], ["a"])

    def test_a_reload_takes_over_all_but_the_socket(self) -> None:
        server = AdminServer(self).start()
        new = Settings(socket="other.sock", token="n" * 32, webhook_url=URL, webhook_secret=SECRET)
        taken = server.reloads.apply("admin", server.settings, new)
        self.assertEqual(taken, {"password", "token", "webhook-url", "webhook-secret"})
        self.assertEqual([server.api("GET", "/status", token=one).code for one in (TOKEN, "n" * 32)], [401, 200])

    def test_the_first_way_in_by_https_needs_a_restart(self) -> None:
        server = AdminServer(self, Settings()).start()
        self.assertEqual(server.reloads.apply("admin", Settings(), Settings(token=TOKEN)), set())


class WebhookTests(SynchronousTestCase):
    """What is told, and what becomes of it."""

    def setUp(self) -> None:
        self.settings = Settings(webhook_url=URL, webhook_secret=SECRET)
        self.server = AdminServer(self, self.settings).offer_relays_and_calls().start()
        self.post = self.server.post
        self.lines: list[str] = []

        @provider(ILogObserver)
        def observe(event: Any) -> None:
            if event.get("log_namespace", "").startswith("rtcd.admin.webhooks"):
                self.lines.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def told(self) -> list[tuple[str, Any]]:
        """Kinds and data of what was sent since the last call, each tried once."""
        for _ in range(50):
            self.server.wait(0)
        found = [(one["type"], one["data"]) for one in self.post.bodies]
        self.post.sent.clear()
        return found

    def counted(self, what: str) -> int:
        """A counter."""
        return self.server.metrics.counter("admin", "webhooks", "", result=what).value

    def end_relays(self, count: int) -> None:
        """So many allocations end."""
        for number in range(count):
            self.server.turn(Began(f"user{number}", "udp"))
            self.server.turn(Ended(f"user{number}", "udp", "expired", Traffic(1, 100, 2, 200)))

    def test_that_who_was_there_before_it_began_leaves_is_told(self) -> None:
        """As after a start while rooms are kept elsewhere; that he came was told by whoever was there then."""
        self.server = server = AdminServer(self, self.settings)
        self.post = server.post
        page = MeshPage(server, "team", "a")
        page.start()
        self.told()
        server.admin._webhooks._rooms.clear()  # as another process, which has not heard of it
        server.start()
        self.assertEqual(self.told(), [])
        page.hang_up()
        self.assertEqual([kind for kind, _ in self.told()], ["client.left", "room.closed"])

    def test_rooms_and_clients_are_told_in_their_order_and_once(self) -> None:
        first = MeshPage(self.server, "team", "a")
        first.start()
        second = Android(self.server, "team")
        second.start()
        first.crash()
        first.start()
        tags = [self.server.context.credentials.users_of("team", one.id)[0] for one in (first, second)]
        second.hang_up()
        self.server.wait(0)
        first.hang_up()
        told = self.told()
        self.assertEqual([kind for kind, _ in told], [
            "room.opened", "client.joined", "client.joined", "client.joined", "client.left", "client.left", "client.left",
            "room.closed"])
        self.assertEqual([told[0][1], told[2][1], told[-1][1]], [
            {"room": "team"}, {"room": "team", "client": tags[1]}, {"room": "team"}])
        self.assertEqual(told[-2][1], {"room": "team", "client": tags[0]})

    def test_what_another_daemon_did_is_told_by_that_one(self) -> None:
        """Where several share the rooms. Who is where is known all the same."""
        hooks = self.server.admin._webhooks
        hooks.happened("team", Came("x", "192.0.2.1"), here=False)
        hooks.happened("team", Came("y", "192.0.2.1"))
        hooks.happened("team", Gone("y"), here=False)
        hooks.happened("team", Gone("x"))
        self.assertEqual([kind for kind, _ in self.told()], ["client.joined", "client.left", "room.closed"])

    def test_a_room_that_was_made_is_opened_by_the_first_who_comes(self) -> None:
        terms = Terms(expires_at=self.server.clock.seconds() + 60)
        self.successResultOf(Deferred.fromCoroutine(self.server.rooms.update(
            "team", lambda room, now: orders.create(room, now, terms))))
        self.assertEqual(self.told(), [])
        Android(self.server, "team").start()
        self.assertEqual([kind for kind, _ in self.told()], ["room.opened", "client.joined"])
        self.server.wait(60)
        self.assertEqual([kind for kind, _ in self.told()], ["client.left", "room.closed"])

    def test_the_end_of_a_relay_is_told_with_all_that_it_moved(self) -> None:
        self.end_relays(1)
        self.assertEqual(self.told(), [("allocation.ended", {
            "user": "user0", "transport": "udp", "reason": "expired", "sent_packets": 1, "sent_bytes": 100,
            "received_packets": 2, "received_bytes": 200})])

    def test_what_looks_whether_this_node_serves_is_nobodys_relay(self) -> None:
        """It ends every few seconds for each daemon that hands this node out."""
        self.server.turn(Ended(f"{PROBE_USER}0123", "udp", "refreshed to 0", Traffic(0, 0, 0, 0)))
        self.assertEqual(self.told(), [])

    def test_a_message_is_signed_as_the_stock_library_wants_it(self) -> None:
        self.end_relays(1)
        self.server.wait(0)
        ((url, headers, body),) = self.post.sent
        now = int(self.server.clock.seconds())
        self.assertEqual((url, headers["webhook-timestamp"]), (URL, str(now)))
        moment = datetime.fromtimestamp(now, UTC)
        self.assertEqual(Webhook(SECRET).sign(headers["webhook-id"], moment, body.decode()), headers["webhook-signature"])
        self.assertEqual(json.loads(body)["timestamp"], "2023-11-14T22:13:20.000Z")

    def test_a_message_that_does_not_arrive_is_tried_again_under_its_id(self) -> None:
        self.post.answers = [500, None, 204]
        self.end_relays(2)
        self.server.wait(0)
        self.server.wait(PAUSES_S[0])
        self.server.wait(PAUSES_S[1])
        ids = [headers["webhook-id"] for _, headers, _ in self.post.sent]
        stamps = {headers["webhook-timestamp"] for _, headers, _ in self.post.sent[:3]}
        self.assertEqual((len(ids), len(set(ids[:3])), len(set(ids)), len(stamps)), (4, 1, 2, 3))
        self.assertEqual([self.counted(one) for one in ("sent", "failed", "dropped")], [2, 0, 0])
        self.assertEqual(self.lines, ["[admin] webhook-url does not take messages: status 500"])

    def test_a_message_is_given_up_at_last_or_at_once_if_it_is_no_use(self) -> None:
        self.post.answers = [None] * (len(PAUSES_S) + 1)
        self.end_relays(2)
        for pause in (0, *PAUSES_S):
            self.server.wait(pause)
        self.assertEqual((len(self.post.sent), self.counted("failed"), self.counted("sent")), (len(PAUSES_S) + 2, 1, 1))
        self.post.answers = [404]
        self.end_relays(1)
        self.told()
        self.assertEqual(self.counted("failed"), 2)

    def test_what_waits_is_bounded_and_what_is_dropped_counted(self) -> None:
        self.post.answers = [Deferred()]
        self.end_relays(MAX_QUEUED + 3)
        self.assertEqual(self.counted("dropped"), 3)
        (waiting,) = [one.value for one in self.server.metrics.samples() if one.name == "rtcd_admin_webhooks_waiting"]
        self.assertEqual(waiting, MAX_QUEUED)
        self.successResultOf(self.server.admin.stopService())
        self.assertEqual(self.counted("dropped"), 3 + MAX_QUEUED)

    def test_a_url_that_comes_while_people_talk_is_told_the_truth(self) -> None:
        """Their room has been open for long, and it is told when they leave."""
        self.server.reloads.apply("admin", self.settings, Settings())
        first, second = MeshPage(self.server, "team", "a"), Android(self.server, "team")
        first.start()
        self.assertEqual(self.told(), [])
        self.server.reloads.apply("admin", Settings(), self.settings)
        second.start()
        for one in (second, first):
            one.hang_up()
            self.server.wait(0)
        self.assertEqual([kind for kind, _ in self.told()], ["client.joined", "client.left", "client.left", "room.closed"])

    def test_without_its_url_what_waits_is_dropped_and_nobody_blamed(self) -> None:
        """The one that is under way may still arrive."""
        for status, sent in ((204, 1), (500, 0)):
            under_way: Deferred[int] = Deferred()
            self.post.answers = [under_way]
            before = [self.counted(one) for one in ("sent", "failed", "dropped")]
            self.end_relays(5)
            self.server.wait(0)
            self.server.reloads.apply("admin", self.settings, Settings())
            under_way.callback(status)
            self.assertEqual(len(self.told()), 1)
            after = [self.counted(one) for one in ("sent", "failed", "dropped")]
            self.assertEqual([new - old for new, old in zip(after, before, strict=True)], [sent, 0, 5 - sent])
            self.server.reloads.apply("admin", Settings(), self.settings)
        self.assertEqual((self.told(), self.lines), ([], []))

    def test_another_url_gets_what_waits(self) -> None:
        under_way: Deferred[int] = Deferred()
        self.post.answers = [under_way]
        self.end_relays(2)
        self.server.wait(0)
        self.server.reloads.apply("admin", self.settings, Settings(webhook_url=f"{URL}2", webhook_secret=SECRET))
        under_way.callback(500)
        self.server.wait(PAUSES_S[0])
        self.server.wait(0)
        self.assertEqual([url for url, _, _ in self.post.sent], [URL, f"{URL}2", f"{URL}2"])

    def test_nothing_is_sent_after_the_end_or_without_a_url(self) -> None:
        self.server.reloads.apply("admin", self.settings, Settings())
        MeshPage(self.server, "team", "a").start()
        self.end_relays(1)
        self.assertEqual(self.told(), [])
        self.server.reloads.apply("admin", Settings(), self.settings)
        self.end_relays(1)
        self.successResultOf(self.server.admin.stopService())
        self.end_relays(1)
        self.assertEqual(self.told(), [])
        self.assertEqual(self.server.clock.getDelayedCalls(), [
            one for one in self.server.clock.getDelayedCalls() if "admin" not in repr(one.func)])


class MakingTests(SynchronousTestCase):
    def test_two_cannot_serve_one_path(self) -> None:
        server = AdminServer(self)
        self.assertRaises(ValueError, AdminService, server.context, server.settings)
