"""The two ways to get TURN credentials by HTTP."""

from __future__ import annotations

import json
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from rtcd.config import ConfigError
from rtcd.doorway.directory import Directory, Listener
from rtcd.doorway.settings import DoorwaySettings
from rtcd.ice.credentials import Credentials
from rtcd.ice.service import IceService
from rtcd.ice.settings import CredentialsSettings, Settings
from rtcd.ice.urls import order
from tests.fakes_calls import Server


class IceConfigTests(SynchronousTestCase):
    """POST /v1alpha/iceconfig and /turn."""

    def urls(self, server: Server, **headers: str) -> list[list[str]]:
        """The URL lists of an answer."""
        answer = server.json("POST", "/v1alpha/iceconfig", headers=headers)
        return [one["urls"] for one in answer["iceServers"]]

    def test_urls_follow_what_listens_and_how_the_client_came(self) -> None:
        """UDP first, then TCP, then TLS, never DTLS; one URL for each port however many addresses it is open on."""
        server = Server(self)
        for transport, port in (("dtls", 5349), ("tls", 5349), ("tcp", 3478), ("udp", 3478)):
            server.doorway.directory.opened(Listener("turn", transport, "127.0.0.1", port))
        self.assertEqual(self.urls(server, Host="calls.example:8443"), [
            ["turn:calls.example:3478?transport=udp", "turn:calls.example:3478?transport=tcp",
             "turns:calls.example:5349?transport=tcp"],
            ["stun:calls.example:3478"]])
        self.assertEqual(self.urls(server, Host="[2001:db8::1]:8443")[1], ["stun:[2001:db8::1]:3478"])

    def shared(self, server: Server, host: str = "127.0.0.1") -> None:
        """TURN is served at the HTTPS port 8443 too, by UDP, TCP and TLS."""
        for service, transport, port in (
                ("web", "tls", 8443), ("turn", "udp", 8443), ("turn", "tcp", 3478), ("turn", "tls", 5349)):
            server.doorway.directory.opened(Listener(service, transport, host, port))
        server.doorway.add_stream("stun.turn", Factory(), plain=Factory(), opens=False)

    def test_the_shared_port_is_known_as_the_client_knows_it(self) -> None:
        """UDP at both ports, TCP and TLS at the shared one alone: each URL is one more relay for every call. Something may
        lead from 443 to our 8443."""
        server = Server(self)
        self.shared(server)
        for host, port in (("calls.example:8443", 8443), ("calls.example", 443)):
            self.assertEqual(self.urls(server, Host=host), [
                ["turn:calls.example:3478?transport=udp", f"turn:calls.example:{port}?transport=udp",
                 f"turn:calls.example:{port}?transport=tcp", f"turns:calls.example:{port}?transport=tcp"],
                ["stun:calls.example:3478"]])

    def test_the_port_of_a_proxy_in_front_is_not_ours(self) -> None:
        """It speaks HTTP; TURN clients go to our own port, whatever the page's is."""
        server = Server(self, doorway=DoorwaySettings(trusted_proxies=("192.0.2.7",)))
        self.shared(server, "::")
        found = self.urls(server, Host="127.0.0.1:8081", **{
            "X-Forwarded-For": "198.51.100.7", "X-Forwarded-Host": "calls.example", "X-Forwarded-Proto": "https"})
        self.assertEqual(found[0][1:], ["turn:calls.example:8443?transport=udp", "turn:calls.example:8443?transport=tcp",
                                        "turns:calls.example:8443?transport=tcp"])

    def test_a_proxy_for_tcp_passes_no_udp(self) -> None:
        """A URL that leads nowhere would cost every call a relay."""
        server = Server(self, doorway=DoorwaySettings(proxy_from=("192.0.2.7",)))
        self.shared(server)
        self.assertEqual(self.urls(server, Host="calls.example")[0], [
            "turn:calls.example:3478?transport=udp", "turn:calls.example:443?transport=tcp",
            "turns:calls.example:443?transport=tcp"])

    def test_another_host_has_our_own_port(self) -> None:
        """[ice] host: what leads from 443 to us does so at the page's host alone."""
        server = Server(self, ice=Settings(host="turn.example"))
        self.shared(server)
        self.assertEqual(self.urls(server, Host="calls.example")[0][1:], [
            "turn:turn.example:8443?transport=udp", "turn:turn.example:8443?transport=tcp",
            "turns:turn.example:8443?transport=tcp"])

    def test_what_is_not_shared_is_named_at_its_own_port(self) -> None:
        """Without plain TCP, or without UDP at the shared port; what has no port is not named."""
        self.assertEqual(order([("udp", 3478), ("udp", 8443), ("tcp", 0)], {8443}, {}), [("udp", 3478)])
        self.assertEqual(order([("udp", 3478), ("tcp", 3478), ("tls", 5349)], {8443}, {"tls": 443}),
                         [("udp", 3478), ("tcp", 3478), ("tls", 443)])
        self.assertEqual(order([], {8443}, {"tls": 443, "tcp": 443}), [("tcp", 443), ("tls", 443)])
        self.assertEqual(order([("dtls", 5349), ("tls", 5349), ("udp", 1), ("udp", 1)], {8443}, {}),
                         [("udp", 1), ("tls", 5349)])

    def test_a_server_that_does_not_relay_is_named_for_stun_alone(self) -> None:
        """And no entry has an empty list, of which the iOS app dies."""
        server = Server(self)
        server.doorway.directory.closed(Listener("turn", "udp", "0.0.0.0", 49152, 50175))
        self.assertEqual(self.urls(server), [["stun:192.0.2.1:3478"]])

    def test_a_server_that_answers_no_stun_is_named_for_turn_alone(self) -> None:
        """[turn] stun = no, and stun-auth = yes, which browsers do not know."""
        server = Server(self)
        for one in list(server.doorway.directory.listeners("turn")):
            server.doorway.directory.closed(one)
            server.doorway.directory.opened(replace(one, stun=False))
        self.assertEqual(self.urls(server), [["turn:192.0.2.1:3478?transport=udp"]])

    def test_named_servers_replace_our_own(self) -> None:
        """[ice] servers."""
        server = Server(self, ice=Settings(servers=("turn:r:3478?transport=udp", "turns:r:443", "stun:r:3478")))
        self.assertEqual(self.urls(server), [["turn:r:3478?transport=udp", "turns:r:443"], ["stun:r:3478"]])

    def test_each_request_is_a_user_of_its_own(self) -> None:
        """Quotas are per user; a name that two shared would be one."""
        server = Server(self)
        names = {server.json("POST", "/v1alpha/iceconfig")["iceServers"][0]["username"] for _ in range(20)}
        self.assertEqual(len(names), 20)

    def join(self, server: Server, room: str = "room1") -> str:
        """The client's name of one who has joined."""
        return str(server.json("POST", f"/join/{room}")["params"]["client_id"])

    def test_a_name_for_a_client_of_a_room_is_bound_to_it(self) -> None:
        """The same user each time, so that quotas count clients; by both paths."""
        server = Server(self)
        client = self.join(server)
        bound = server.context.credentials.users_of("room1", client)[0]
        query = f"?room=room1&client={client}"
        names = [server.json("POST", f"/v1alpha/iceconfig{query}")["iceServers"][0]["username"] for _ in range(2)]
        names.append(server.json("GET", f"/turn{query}")["username"])
        self.assertEqual([name.partition(":")[2] for name in names], [bound] * 3)

    def test_who_is_not_in_the_room_gets_nothing(self) -> None:
        """Another room, another client, half of the two, one who has left, names that everybody knows: 403, counted."""
        server = Server(self)
        client, gone = self.join(server), self.join(server)
        server.request("POST", f"/leave/room1/{gone}")
        server.json("POST", "/join/loop?debug=loopback")
        for query in (f"room=room2&client={client}", f"room=room1&client={client[:-1]}", "room=room1", f"client={client}",
                      f"room=room1&client={gone}", "room=&client=", "room=loop&client=LOOPBACK_CLIENT_ID",
                      f"room=room1&client={'x' * 1025}", "room=%ff&client=x"):
            for path in ("/v1alpha/iceconfig", "/turn"):
                answer = server.request("POST", f"{path}?{query}")
                self.assertEqual((answer.code, list(json.loads(answer.body))), (403, ["error"]), query)
                self.assertNotIn(b"urls", answer.body)
            server.wait(10)
        self.assertEqual(self.urls(server)[1], ["stun:192.0.2.1:3478"])

    def test_asking_about_a_room_opens_none(self) -> None:
        """Nor does it keep one alive."""
        server = Server(self)
        server.request("POST", "/v1alpha/iceconfig?room=room9&client=x")
        self.assertEqual(server.rooms._rooms, {})

    def test_the_operator_may_require_a_room(self) -> None:
        """[ice] require-room, live on reload; who is in one is not concerned."""
        server = Server(self)
        self.assertEqual(server.request("POST", "/v1alpha/iceconfig").code, 200)
        server.reloads.apply("ice", Settings(), Settings(require_room=True))
        for path in ("/v1alpha/iceconfig", "/turn"):
            self.assertEqual(server.request("POST", path).code, 403)
            self.assertEqual(server.request("POST", f"{path}?room=room1&client={self.join(server)}").code, 200)

    def test_rooms_that_cannot_be_reached_are_an_answer_too(self) -> None:
        """503, and later again."""
        server = Server(self)
        client = self.join(server)
        self.successResultOf(Deferred.fromCoroutine(server.rooms.close()))
        answer = server.request("POST", f"/v1alpha/iceconfig?room=room1&client={client}")
        self.assertEqual((answer.code, answer.header("retry-after")), (503, "10"))
        self.assertIn("ending", json.loads(answer.body)["error"])

    def test_the_older_shape_is_offered_beside_it(self) -> None:
        """username, password, ttl, uris; by GET and POST."""
        server = Server(self)
        for method in ("GET", "POST"):
            answer = server.json(method, "/turn?username=x&service=turn")
            self.assertEqual((answer["ttl"], answer["uris"]), (43200, ["turn:192.0.2.1:3478?transport=udp"]))
            passwords = server.context.credentials.verify(answer["username"], server.clock.seconds()).passwords
            self.assertEqual(passwords, (answer["password"],))

    def test_referer_and_origin_are_not_looked_at(self) -> None:
        """The apps claim another site's; other pages cannot read the answer unless they are allowed to."""
        server = Server(self, ice=Settings(allowed_origins=("https://cloud.example",)))
        for headers, allowed in (
            ({"Origin": "https://appr.tc", "Referer": "https://appr.tc"}, None), ({}, None),
            ({"Origin": "https://cloud.example"}, "https://cloud.example"),
        ):
            answer = server.request("POST", "/v1alpha/iceconfig", headers=headers)
            self.assertEqual((answer.code, answer.header("access-control-allow-origin")), (200, allowed))

    def test_a_key_is_asked_for_if_there_is_one(self) -> None:
        """403 without it."""
        server = Server(self, ice=Settings(api_key="k1"))
        for query, code in (("", 403), ("?key=k2", 403), ("?key=k1", 200)):
            self.assertEqual(server.request("POST", f"/v1alpha/iceconfig{query}").code, code)

    def test_requests_of_one_address_have_a_rate(self) -> None:
        """429 beyond it."""
        server = Server(self, ice=Settings(rate=1))
        codes = [server.request("POST", "/v1alpha/iceconfig").code for _ in range(12)]
        self.assertEqual(codes, [200] * 10 + [429] * 2)

    def test_the_answer_is_never_kept_by_a_cache(self) -> None:
        """It holds a password."""
        answer = Server(self).request("POST", "/v1alpha/iceconfig")
        self.assertEqual(answer.header("cache-control"), "no-store")
        json.loads(answer.body)


class ServiceTests(SynchronousTestCase):
    """What cannot work does not start."""

    def start(self, settings: Settings, credentials: Credentials) -> str:
        """Start without a TURN server of our own; what is said."""
        server = Server(self, pages=False)
        server.doorway.directory = Directory()
        object.__setattr__(server.context, "credentials", credentials)
        return str(self.assertRaises(ConfigError, IceService(server.context, settings).startService))

    def test_there_must_be_a_server_to_name(self) -> None:
        """Neither [turn] nor servers."""
        self.assertIn("[ice] servers", self.start(Settings(), Credentials(("x",), 60)))

    def test_servers_elsewhere_need_a_secret_that_they_know(self) -> None:
        """One made here at first start they cannot know."""
        made = Credentials(("x",), 60, generated=True)
        self.assertIn("[credentials] secret", self.start(Settings(servers=("turn:r:3478",)), made))

    def test_a_reload_is_held_to_the_same(self) -> None:
        """What could not start is not taken over."""
        server = Server(self, ice=Settings(servers=("turn:r:3478",)))
        server.doorway.directory = Directory()
        error = self.assertRaises(ConfigError, server.reloads.apply, "ice", Settings(servers=("turn:r:3478",)), Settings())
        self.assertIn("[ice] servers", str(error))
        answer = server.json("POST", "/v1alpha/iceconfig")
        self.assertEqual(answer["iceServers"][0]["urls"], ["turn:r:3478"])

    def test_values_that_cannot_work_are_named(self) -> None:
        """The text begins with the key, and a secret is not in it."""
        for url in ("http://r", "turn:", "turn:r?transport=sctp", "stun:r?transport=udp", "r:3478", "turn:u@r", "stun://r",
                    "turn:2001:db8::1", "turn:r:", "turn:r:x", "turn:r:3478/x", "turn:r:3478#x", "stun:[2001:db8::1"):
            self.assertTrue(str(self.assertRaises(ValueError, Settings, servers=(url,))).startswith("servers: "))
        Settings(servers=("turn:[2001:db8::1]:3478?transport=tcp", "stun:192.0.2.1", "turns:turn.example.org"))
        for host in ("a b", "2001:db8::1", "https://x"):
            self.assertTrue(str(self.assertRaises(ValueError, Settings, host=host)).startswith("host: "))
        self.assertRaises(ValueError, Settings, allowed_origins=("garbage",))
        error = str(self.assertRaises(ValueError, CredentialsSettings, secret=("walter",)))
        self.assertTrue(error.startswith("secret: "))
        self.assertNotIn("walter", error)
        self.assertRaises(ValueError, CredentialsSettings, secret_separator="ab")

    def test_others_can_ask_for_the_urls(self) -> None:
        """As whoever sent the request would be told them."""
        server, found = Server(self), []

        class Asking(Resource):
            isLeaf = True

            def render_GET(self, request: Request) -> bytes:
                found.extend(server.context.desk.ask("ice.uris", request))
                return b""

        server.doorway.add_child("/ask", Asking())
        server.request("GET", "/ask", headers={"Host": "calls.example"})
        self.assertEqual(found, ["turn:calls.example:3478?transport=udp"])
