"""Draining: what goes on goes on, nothing new is taken, and the daemon ends with the last call or when its time is over."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

from twisted.internet.defer import Deferred, succeed

from rtcd.stun.attributes import ERROR_CODE, LIFETIME, NONCE, REALM, USERNAME
from rtcd.stun.integrity import long_term_key, sign
from rtcd.stun.message import Class, Message, Method, decode, encode
from rtcd.systemd import STOP_S
from tests.daemon.process import DEADLINE_S, TURN, WEB, DaemonTestCase, Running, WebSocket
from tests.daemon.test_systemd import NotifyTestCase
from tests.daemon.test_tree import TreeTestCase
from tests.fakes_turn import UDP


class Busy:
    """What a service has when it can drain: a Deferred for each time that it is asked while it is busy."""

    def __init__(self) -> None:
        self.busy = True
        self.asked: list[Deferred[None]] = []
        self.fault: Exception | None = None

    def drain(self) -> Deferred[None]:
        """As rtcd.drain.Drainable."""
        if self.fault is not None:
            raise self.fault
        self.asked.append(Deferred() if self.busy else succeed(None))
        return self.asked[-1]


class DrainTests(TreeTestCase):
    """The order of things, on a clock that the test moves."""

    def setUp(self) -> None:
        """One of the two services can drain."""
        super().setUp()
        self.ended = 0
        self.reactor.stop = self.end  # type: ignore[method-assign] # counts

    def end(self) -> None:
        """As a reactor that is told to stop."""
        self.ended += 1

    def running(self, timeout: int) -> Busy:
        """A daemon with this drain-timeout; service two is busy."""
        self.ini = self.ini.replace("[one]", f"drain-timeout = {timeout}\n[one]")
        self.root = self.build(self.settings())
        busy = Busy()
        self.found["two"].service.drain = busy.drain  # type: ignore[attr-defined] # has one from now on
        self.start()
        self.addCleanup(self.root.stopService)
        for hook, arguments, options in list(self.reactor.whenRunningHooks):
            hook(*arguments, **options)
        return busy

    def test_without_a_timeout_sigterm_ends_at_once(self) -> None:
        """As it always has."""
        busy = self.running(0)
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual((self.ended, busy.asked, self.root.draining), (1, [], False))

    def test_with_one_it_ends_when_nothing_goes_on(self) -> None:
        """Services that cannot drain are not asked; the last pass finds that nothing has begun in the meantime."""
        busy = self.running(60)
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual((self.ended, len(busy.asked), self.root.draining), (0, 1, True))
        self.reactor.advance(59)
        busy.asked[0].callback(None)
        self.assertEqual((self.ended, len(busy.asked)), (0, 2))
        busy.busy = False
        busy.asked[1].callback(None)
        self.assertEqual(self.ended, 1)

    def test_with_one_it_ends_when_the_time_is_over(self) -> None:
        """Calls or not."""
        self.running(60)
        os.kill(os.getpid(), signal.SIGTERM)
        self.reactor.advance(59.9)
        self.assertEqual(self.ended, 0)
        self.reactor.advance(0.1)
        self.assertEqual(self.ended, 1)

    def test_a_second_sigterm_ends_it_at_once(self) -> None:
        """Whatever began the draining."""
        for first in (signal.SIGTERM, signal.SIGUSR1):
            self.ended = 0
            self.setUp()
            self.running(60)
            os.kill(os.getpid(), first)
            self.assertEqual(self.ended, 0)
            os.kill(os.getpid(), signal.SIGTERM)
            self.assertEqual(self.ended, 1)
            self.successResultOf(self.root.stopService())

    def test_two_signals_in_one_turn_of_the_reactor_end_it_once(self) -> None:
        """A reactor that is told to stop a second time raises."""
        self.running(60)
        for _ in range(4):
            os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(self.ended, 1)

    def test_sigusr1_drains_without_a_limit_unless_there_is_one(self) -> None:
        """A second one changes nothing."""
        busy = self.running(0)
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        self.reactor.advance(1e6)
        self.assertEqual((self.ended, len(busy.asked)), (0, 1))
        busy.busy = False
        busy.asked[0].callback(None)
        self.assertEqual(self.ended, 1)
        self.setUp()
        self.running(5)
        os.kill(os.getpid(), signal.SIGUSR1)
        self.reactor.advance(5)
        self.assertEqual(self.ended, 1)

    def test_a_service_that_fails_is_not_waited_for(self) -> None:
        """It is our bug, and logged as such."""
        busy = self.running(60)
        busy.fault = RuntimeError("ours")
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual((self.ended, len(self.flushLoggedErrors(RuntimeError))), (1, 1))

    def test_the_end_leaves_no_timer_behind(self) -> None:
        """As when SIGINT comes while it drains."""
        self.running(60)
        os.kill(os.getpid(), signal.SIGTERM)
        self.successResultOf(self.root.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_the_timeout_changes_by_a_reload(self) -> None:
        """It is looked at when the signal comes."""
        self.running(0)
        self.ini = self.ini.replace("drain-timeout = 0", "drain-timeout = 7")
        self.root.reload()
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(self.ended, 0)
        self.reactor.advance(7)
        self.assertEqual(self.ended, 1)


class TurnClient:
    """An allocation of user u, or another, on blocking sockets."""

    def __init__(self, port: int, password: str = "p", username: str = "u") -> None:
        self._username = username
        self._key = long_term_key(username, "rtcd", password)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(("127.0.0.1", port))
        self._nonce = ""

    def ask(self, method: Method, *attributes: bytes) -> int:
        """The error code, 0 for success."""
        answer = self._answer(encode(method, Class.REQUEST, os.urandom(12), attributes))
        self._nonce = answer.get(NONCE) or self._nonce
        data = encode(method, Class.REQUEST, os.urandom(12), [
            *attributes, USERNAME.encode(self._username), REALM.encode("rtcd"), NONCE.encode(self._nonce)])
        error = self._answer(sign(data, self._key)).get(ERROR_CODE)
        return error[0] if error is not None else 0

    def _answer(self, data: bytes) -> Message:
        self.socket.send(data)
        return decode(self.socket.recv(2000))


class ProcessTests(DaemonTestCase):
    """A real daemon, real signals, clients in the middle of a call."""

    def turn_client(self, daemon: Running) -> TurnClient:
        """One without an allocation."""
        client = TurnClient(daemon.port("udp"))
        self.addCleanup(client.socket.close)
        return client

    def test_a_relay_goes_on_until_its_client_ends_it(self) -> None:
        """New ones are refused; the exit code is 0."""
        daemon = self.run_daemon(f"[daemon]\ndrain-timeout = 600\n{TURN}user = u:p\n").started()
        first, second = self.turn_client(daemon), self.turn_client(daemon)
        self.assertEqual(first.ask(Method.ALLOCATE, UDP), 0)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("draining: .* in 600 s at the latest")
        self.assertEqual(second.ask(Method.ALLOCATE, UDP), 403)
        self.assertEqual(first.ask(Method.REFRESH, LIFETIME.encode(600)), 0)
        self.assertEqual(first.ask(Method.REFRESH, LIFETIME.encode(0)), 0)
        self.assertEqual((daemon.wait(), daemon.errors()), (0, ""))
        daemon.wait_for("drained")

    def test_a_call_goes_on_and_new_rooms_are_refused(self) -> None:
        """Signalling passes messages; its sockets stay open and can be opened again. The end of the call is the end."""
        daemon = self.run_daemon(WEB).started()
        port = daemon.port()
        sockets: list[tuple[str, WebSocket]] = []
        for _ in range(2):
            client = self.post(f"https://127.0.0.1:{port}/join/lounge")["params"]["client_id"]
            sockets.append((client, self.registered(port, "lounge", client)))
        alone = self.post(f"https://127.0.0.1:{port}/join/waiting")["params"]["client_id"]
        self.registered(port, "waiting", alone)
        daemon.process.send_signal(signal.SIGUSR1)
        daemon.wait_for("draining: .* however long that takes")
        (name, first), (other, second) = sockets
        status, body = self.ask(f"https://127.0.0.1:{port}/join/new", b"")
        self.assertEqual((status, b"opens no more rooms" in body), (503, True))
        first.send(cmd="send", msg="hello")
        self.assertEqual(second.receive(), {"msg": "hello", "error": ""})
        second.close()
        second = self.registered(port, "lounge", other)
        first.send(cmd="send", msg="again")
        self.assertEqual(second.receive(), {"msg": "again", "error": ""})
        self.ask(f"https://127.0.0.1:{port}/leave/lounge/{name}", b"")
        self.assertEqual((daemon.wait(), daemon.errors()), (0, ""))

    def test_a_second_sigterm_is_now(self) -> None:
        """Calls or not."""
        daemon = self.run_daemon(f"[daemon]\ndrain-timeout = 600\n{TURN}user = u:p\n").started()
        self.assertEqual(self.turn_client(daemon).ask(Method.ALLOCATE, UDP), 0)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("draining: ")
        self.assertEqual((daemon.stop(), daemon.errors()), (0, ""))

    def registered(self, port: int, room: str, client: str) -> WebSocket:
        """An open socket of this client; what it sent has been read when this returns."""
        one = WebSocket(port)
        self.addCleanup(one.close)
        one.send(cmd="register", roomid=room, clientid=client)
        return one


class SystemdTests(NotifyTestCase):
    """What systemd is told while it drains."""

    def begin(self, number: int, timeout: int) -> list[str]:
        """The states of a daemon that is told to drain and has a relay in use."""
        extra: dict[str, Any] = {"NOTIFY_SOCKET": self.address}
        daemon = self.run_daemon(f"[daemon]\ndrain-timeout = {timeout}\n{TURN}user = u:p\n", extra=extra)
        self.assertEqual(self.told(), ["READY=1"])
        client = TurnClient(daemon.port("udp"))
        self.addCleanup(client.socket.close)
        self.assertEqual(client.ask(Method.ALLOCATE, UDP), 0)
        daemon.process.send_signal(number)
        found = self.told()
        self.assertEqual(client.ask(Method.REFRESH, LIFETIME.encode(0)), 0)
        self.assertEqual(self.told(), ["STOPPING=1"])
        self.assertEqual(daemon.wait(), 0)
        return found

    def test_a_stop_asks_for_the_time_that_it_needs(self) -> None:
        """Or systemd would kill after TimeoutStopSec."""
        self.assertEqual(self.begin(signal.SIGTERM, 600), [
            "STATUS=Draining: calls go on, for 600 s at most", "STOPPING=1",
            f"EXTEND_TIMEOUT_USEC={600 + STOP_S}000000"])

    def test_sigusr1_does_not_begin_systemds_own_stop(self) -> None:
        """Which would be limited by TimeoutStopSec."""
        self.assertEqual(self.begin(signal.SIGUSR1, 0), ["STATUS=Draining: calls go on, without a limit"])

    def test_the_watchdog_is_fed_while_it_drains(self) -> None:
        """Or it would be killed for being slow."""
        extra = {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": "100000"}
        daemon = self.run_daemon(f"{TURN}user = u:p\n", extra=extra).started()
        client = TurnClient(daemon.port("udp"))
        self.addCleanup(client.socket.close)
        self.assertEqual(client.ask(Method.ALLOCATE, UDP), 0)
        daemon.process.send_signal(signal.SIGUSR1)
        while not self.told()[0].startswith("STATUS="):
            pass
        self.assertEqual([self.told() for _ in range(2)], [["WATCHDOG=1"]] * 2)
        self.assertEqual(daemon.stop(), 0)
