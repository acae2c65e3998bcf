"""How a TURN node is asked by datagram: names, sockets, what is sent again, and when it is over. Fake network and clock."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rtcd.ice.asking import AGAIN_S, RESOLVED_S, RETRIED_S, Asking
from rtcd.ice.credentials import Credentials
from rtcd.ice.health import ALIVE, DEAD, TIMEOUT_S, Probe
from rtcd.ice.nodes import Node
from rtcd.stun.attributes import LIFETIME
from rtcd.stun.message import Method, decode
from tests.fakes_turn import SECRET, World

NODE = Node("relay", ("turn:relay.example.org:3479",))


class Port:
    """A UDP port of the fake network, connected to a server of ours, or to nobody."""

    def __init__(self, network: Network, protocol: Any) -> None:
        self.network = network
        self.protocol = protocol
        self.sent: list[bytes] = []
        self.to: tuple[str, int] | None = None
        self.open = True
        protocol.makeConnection(self)

    def connect(self, host: str, port: int) -> None:
        """As Twisted's."""
        if host in self.network.unreachable:
            raise OSError(101, "Network is unreachable")
        self.to = host, port

    def write(self, data: bytes) -> None:
        """Answered later, if there is somebody."""
        self.sent.append(data)
        assert self.to is not None
        if self.to[0] in self.network.servers:
            client = self.network.servers[self.to[0]].client(port=id(self) % 60000)
            answer = client.raw(data)
            if answer is not None:
                self.network.callLater(self.network.delay_s, self.protocol.datagramReceived, answer, self.to)

    def stopListening(self) -> Deferred[None]:
        """As Twisted's."""
        self.open = False
        return succeed(None)


class Network(Clock):
    """A reactor whose names and addresses are the test's."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = self
        self.names: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.waiting: list[Any] = []
        self.slow = False
        self.servers: dict[str, World] = {}
        self.unreachable: set[str] = set()
        self.ports: list[Port] = []
        self.full = False
        self.delay_s = 0.01
        """Of an answer."""

    def resolveHostName(self, receiver: Any, name: str) -> None:
        """As Twisted's; late if `slow`."""
        self.asked.append(name)
        self.waiting.append(receiver)
        if not self.slow:
            self.resolve()

    def resolve(self) -> None:
        """The DNS answers."""
        for receiver in self.waiting:
            for host in self.names.get(self.asked[-1], []):
                receiver.addressResolved(type("Address", (), {"host": host}))
            receiver.resolutionComplete()
        self.waiting.clear()

    def listenUDP(self, port: int, protocol: Any, interface: str, maxPacketSize: int) -> Port:
        """As Twisted's."""
        if self.full:
            raise CannotListenError(interface, port, OSError(24, "Too many open files"))
        self.ports.append(Port(self, protocol))
        return self.ports[-1]


class AskingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = Network()
        self.network.advance(1_700_000_000.0)
        self.network.names["relay.example.org"] = ["192.0.2.1", "192.0.2.2"]
        self.network.servers["192.0.2.1"] = World()
        self.asking = Asking(self.network, Credentials((SECRET,), 3600))

    def probe(self) -> Probe:
        """One, to its end; nothing of it is left."""
        asked = self.asking(NODE)
        self.network.pump([0.05] * int(TIMEOUT_S / 0.05 + 2))
        found = self.successResultOf(asked)
        self.assertEqual(([one for one in self.network.ports if one.open], self.network.getDelayedCalls()), ([], []))
        return found

    def test_a_node_that_serves_is_asked_once(self) -> None:
        """It is over as soon as the allocation is given back."""
        asked = self.asking(NODE)
        self.network.pump([0.01] * 5)
        probe = self.successResultOf(asked)
        self.assertEqual((probe.state, probe.binding), (ALIVE, True))
        port, = self.network.ports
        self.assertEqual((port.to, port.open), (("192.0.2.1", 3479), False))
        self.assertEqual([decode(one).method for one in port.sent], [
            Method.BINDING, Method.ALLOCATE, Method.ALLOCATE, Method.REFRESH])
        self.assertEqual(len(self.network.servers["192.0.2.1"].server.allocations), 0)

    def test_what_is_unanswered_is_sent_again_until_the_time_is_over(self) -> None:
        """The same messages; then the socket is closed."""
        del self.network.servers["192.0.2.1"]
        self.assertEqual(self.probe(), Probe(DEAD, "no answer"))
        sent = self.network.ports[0].sent
        self.assertEqual((len(sent), len(set(sent))), (2 * (1 + int(TIMEOUT_S / AGAIN_S)), 2))

    def test_an_allocation_whose_answer_comes_too_late_is_given_back(self) -> None:
        """Nobody would use it, and the node would hold it for minutes."""
        world = self.network.servers["192.0.2.1"]
        self.network.delay_s = TIMEOUT_S * 0.6
        asked = self.asking(NODE)
        self.network.pump([0.05] * int(TIMEOUT_S / 0.05 + 2))
        self.assertEqual(self.successResultOf(asked).state, DEAD)
        sent = [decode(one) for one in self.network.ports[0].sent]
        self.assertEqual((sent[-1].method, sent[-1].get(LIFETIME), self.network.ports[0].open), (Method.REFRESH, 0, False))
        self.assertEqual((world.observer.ended, len(world.server.allocations)), (["refreshed to 0"], 0))

    def test_after_a_failure_it_is_the_next_address_that_is_asked(self) -> None:
        """And one that answers goes on being asked."""
        self.network.servers = {"192.0.2.2": World()}
        self.assertEqual([self.probe().state for _ in range(3)], [DEAD, ALIVE, ALIVE])
        self.assertEqual([one.to for one in self.network.ports], [("192.0.2.1", 3479), *[("192.0.2.2", 3479)] * 2])

    def test_a_name_is_looked_up_now_and_then(self) -> None:
        """What was found is good meanwhile, and goes on being so if it cannot be looked up again."""
        self.probe()
        self.probe()
        self.assertEqual(self.network.asked, ["relay.example.org"])
        self.network.advance(RESOLVED_S)
        self.network.names.clear()
        self.assertEqual(self.probe().state, ALIVE)
        self.assertEqual(len(self.network.asked), 2)
        self.asking.forget(NODE.name)
        self.assertEqual(self.probe().reason, "its name has no address")

    def test_a_slow_dns_is_asked_once_at_a_time(self) -> None:
        """Probes end in time all the same."""
        self.network.slow = True
        for _ in range(3):
            asked = self.asking(NODE)
            self.network.advance(TIMEOUT_S)
            self.assertEqual(self.successResultOf(asked).state, DEAD)
            self.assertEqual(len(self.network.asked), 1)
            self.network.advance(0.1)
        self.network.resolve()
        self.network.slow = False
        self.network.advance(RETRIED_S)
        self.assertEqual(self.probe().state, ALIVE)

    def test_what_the_network_says_is_told(self) -> None:
        """No way there, nobody there, no socket here."""
        self.network.unreachable = {"192.0.2.1", "192.0.2.2"}
        self.assertEqual(self.probe(), Probe(DEAD, "Network is unreachable"))
        self.network.unreachable, self.network.servers = set(), {}
        asked = self.asking(NODE)
        self.network.ports[-1].protocol.connectionRefused()
        self.assertEqual(self.successResultOf(asked).reason, "nobody listens at its port")
        self.network.full = True
        self.assertEqual(self.successResultOf(self.asking(NODE)).state, DEAD)

    def test_giving_up_closes_the_socket(self) -> None:
        """The daemon ends."""
        del self.network.servers["192.0.2.1"]
        asked = self.asking(NODE)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual((self.network.ports[0].open, self.network.getDelayedCalls()), (False, []))

    def test_giving_up_gives_back_what_may_be_allocated(self) -> None:
        """The daemon ends, or the node is named no longer, before it has answered."""
        world = self.network.servers["192.0.2.1"]
        asked = self.asking(NODE)
        self.network.advance(0.01)
        self.assertEqual(len(world.server.allocations), 1)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual((world.observer.ended, len(world.server.allocations)), (["refreshed to 0"], 0))
