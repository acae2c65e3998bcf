"""Relays that belong to rooms, over real sockets: Chromium in strict rooms, and a flow that ends when its owner leaves."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from typing import Any

from playwright.sync_api import Page

from rtcd.stun.attributes import (
    DATA,
    NONCE,
    XOR_PEER_ADDRESS,
    XOR_RELAYED_ADDRESS,
    Address,
)
from rtcd.stun.attributes import REALM as REALM_ATTRIBUTE
from rtcd.stun.attributes import USERNAME as USERNAME_ATTRIBUTE
from rtcd.stun.integrity import long_term_key, sign
from rtcd.stun.message import Class, Message, Method, decode, encode
from tests.daemon.process import DaemonTestCase
from tests.fakes_turn import UDP, code_of
from tests.interop.test_page import INI, PageTestCase

STRICT = INI.replace("[turn]", "[turn]\npeer-policy = strict")

FLOW = """
[doorway]
https = tcp:0:interface=127.0.0.1
http =
[web]
[signaling]
[ice]
[turn]
listen = 127.0.0.1
port = 0
tls-port = 0
allow-loopback-peers = yes
peer-policy = strict
"""

CREDENTIAL = """() => {
    const server = globalThis.rtcdCall.connection.getConfiguration().iceServers.find((one) => one.username);
    return [server.urls[0], server.username, server.credential];
}"""

REALM = "rtcd"
TIMEOUT_S = 10.0
AGAIN_S = 0.5


class TurnClient:
    """A TURN client on a blocking UDP socket, with one credential."""

    def __init__(self, server: Address, username: str, password: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(server)
        self._username, self._password = username, password

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def ask(self, method: Method, *attributes: bytes) -> Message:
        """The answer to a signed request, with a nonce fetched for it."""
        nonce = self._answer(encode(Method.ALLOCATE, Class.REQUEST, os.urandom(12), [UDP])).get(NONCE) or ""
        request = encode(method, Class.REQUEST, os.urandom(12), [
            *attributes, USERNAME_ATTRIBUTE.encode(self._username), REALM_ATTRIBUTE.encode(REALM), NONCE.encode(nonce)])
        return self._answer(sign(request, long_term_key(self._username, REALM, self._password)))

    def permit(self, host: str) -> int:
        """The error code of a CreatePermission."""
        return code_of(self.ask(Method.CREATE_PERMISSION, XOR_PEER_ADDRESS.encode((host, 0), bytes(12))))

    def send(self, peer: Address, data: bytes) -> None:
        """Send to a peer through the relay."""
        self._socket.send(encode(Method.SEND, Class.INDICATION, os.urandom(12), [
            XOR_PEER_ADDRESS.encode(peer, bytes(12)), DATA.encode(data)]))

    def received(self) -> bytes | None:
        """The payload of the next Data indication, or None if none has come."""
        self._socket.setblocking(False)
        try:
            return decode(self._socket.recv(2000)).get(DATA)
        except BlockingIOError:
            return None
        finally:
            self._socket.settimeout(TIMEOUT_S)

    def _answer(self, request: bytes) -> Message:
        """The answer to one request, which is sent again as clients do: behind a flood the system drops some. What peers
        sent meanwhile is passed over."""
        self._socket.settimeout(AGAIN_S)
        try:
            for _ in range(int(TIMEOUT_S / AGAIN_S)):
                self._socket.send(request)
                with contextlib.suppress(TimeoutError):
                    while (message := decode(self._socket.recv(2000))).transaction_id != request[8:20]:
                        pass
                    return message
        finally:
            self._socket.settimeout(TIMEOUT_S)
        raise TimeoutError


class StrictPages(PageTestCase):
    """Two people who never met, in a room that lets relays reach nobody else."""

    ini = STRICT

    def client_of(self, page: Page) -> TurnClient:
        """A foreign TURN client with a page's credential."""
        url, username, password = page.evaluate(CREDENTIAL)
        _, host, port = url.partition("?")[0].split(":")
        client = TurnClient((host, int(port)), username, password)
        self.addCleanup(client.close)
        return client

    def test_a_call_by_relays_alone_works_and_a_foreign_client_reaches_nobody_else(self) -> None:
        """And when a page leaves, whoever has its credential has no relay any more."""
        _, first, second = self.pair("/r/strict-room?it=relay")
        for page in (first, second):
            found = self.rising(page)
            self.assertEqual((found["local"], found["remote"]), ("relay", "relay"))
        thief = self.client_of(first)
        answer = thief.ask(Method.ALLOCATE, UDP)
        relayed = answer.get(XOR_RELAYED_ADDRESS)
        assert relayed is not None
        self.assertEqual((thief.permit("8.8.8.8"), thief.permit(relayed[0])), (403, 0))
        survivor = self.client_of(second)
        with first.expect_response(lambda found: "/leave/" in found.url):  # the other page may know before the server does
            first.click("#hangup-button")
        self.state(first, "left")
        self.state(second, "waiting")
        self.assertEqual([code_of(thief.ask(method, UDP)) for method in (Method.REFRESH, Method.ALLOCATE)], [401, 401])
        self.assertEqual(code_of(survivor.ask(Method.ALLOCATE, UDP)), 0)
        self.assertEqual(self.complaints, [])

    def test_a_direct_call_works_as_well(self) -> None:
        """What cannot be reached by relay is no hindrance."""
        _, first, second = self.pair("/r/strict-direct-room")
        for page in (first, second):
            self.rising(page)
        self.assertEqual(self.complaints, [])

    def test_a_call_to_oneself_works_by_relays_alone(self) -> None:
        """The page's other end has the page's credential."""
        page = self.join(self.browser("--use-fake-ui-for-media-stream"), "/r/strict-loop-room?debug=loopback&it=relay")
        self.state(page, "connected")
        self.rising(page)


class Flow(DaemonTestCase):
    """A flow between a TURN client and a peer socket, both here."""

    def setUp(self) -> None:
        self.daemon = self.run_daemon(FLOW).started()
        self.origin = f"https://127.0.0.1:{self.daemon.port()}"
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.peer.close)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.setblocking(False)

    def arrived(self) -> int:
        """How many datagrams came to the peer since the last call."""
        count = 0
        while True:
            try:
                self.peer.recv(2000)
            except BlockingIOError:
                return count
            count += 1

    def test_the_flow_of_one_who_leaves_stops_in_both_directions_within_a_second(self) -> None:
        """Far within: nothing passes that is sent after the answer to /leave."""
        params = self.post(f"{self.origin}/join/flow-room")["params"]
        room, name = params["room_id"], params["client_id"]
        candidate = "candidate:1 1 udp 1 127.0.0.1 5 typ relay raddr 0.0.0.0 rport 0"
        message = {"type": "candidate", "label": 0, "id": "0", "candidate": candidate}
        self.post(f"{self.origin}/message/{room}/{name}", json.dumps(message).encode())
        turn: Any = self.post(params["ice_server_url"])["iceServers"][0]
        client = TurnClient(("127.0.0.1", self.daemon.port("udp")), turn["username"], turn["credential"])
        self.addCleanup(client.close)
        relayed = client.ask(Method.ALLOCATE, UDP).get(XOR_RELAYED_ADDRESS)
        assert relayed is not None
        self.assertEqual((client.permit("8.8.8.8"), client.permit("127.0.0.1")), (403, 0))

        def flow(until: float) -> tuple[int, int]:
            """Packets that passed upwards and downwards until then, or until some of both did."""
            up = down = 0
            while time.monotonic() < until and not (up > 20 and down > 20):
                client.send(self.peer.getsockname(), b"up")
                self.peer.sendto(b"down", relayed)
                up += self.arrived()
                down += client.received() is not None
            return up, down

        up, down = flow(time.monotonic() + TIMEOUT_S)
        self.assertTrue(up > 20 and down > 20, (up, down))
        left_at = time.monotonic()
        self.ask(f"{self.origin}/leave/{room}/{name}", b"")
        self.assertLess(time.monotonic() - left_at, 1.0)
        code_of(client.ask(Method.BINDING))  # what was on its way before is through the daemon now
        self.arrived()
        while client.received() is not None:
            pass
        self.assertEqual(flow(time.monotonic() + 0.5), (0, 0))
        self.assertEqual(code_of(client.ask(Method.ALLOCATE, UDP)), 401)
        self.assertEqual(self.ask(params["ice_server_url"], b"")[0], 403)
