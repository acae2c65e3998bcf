"""Which peers are refused: the classes on the canonical address, the operator's ranges, our own listeners."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd import ranges
from rtcd.doorway.directory import Directory, Listener
from rtcd.peers import policy as peers
from rtcd.peers.policy import PeerPolicy, canonical
from rtcd.ranges import parse_range, parse_ranges

HARD = ["0.0.0.0", "0.1.2.3", "255.255.255.255", "::"]
LOOPBACK = ["127.0.0.1", "127.255.255.255", "::1"]
MULTICAST = ["224.0.0.1", "239.255.255.255", "240.0.0.1", "ff02::1"]
LINK_LOCAL = ["169.254.169.254", "fe80::1", "febf::1", "fec0::1", "fc00::1", "fd00::1"]
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255"]
SPECIAL = ["192.0.0.1", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "192.88.99.1",
           "2001::1", "2001:2::1", "2001:2:0:ffff::1", "2001:db8::1", "100::1", "3fff::1", "3fff:fff::1", "1000::1",
           "4000::1", "5f00::1", "100:0:0:1::1", "fe00::1"]
OPEN = ["8.8.8.8", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "198.20.0.1", "1.1.1.1",
        "2606:4700::1", "2001:4860::8888", "2001:2:1::1", "3fff:1000::1", "2000::1"]
WRAPPED = ["::ffff:127.0.0.1", "::127.0.0.1", "::2", "2002:7f00:1::1", "64:ff9b::127.0.0.1", "::ffff:8.8.8.8",
           "64:ff9b:1::127.0.0.1", "64:ff9b:1:7f00:0:100::", "64:ff9b:1:ffff::a00:1"]


class Classes(SynchronousTestCase):
    def _refused(self, policy: PeerPolicy, hosts: list[str]) -> list[str]:
        return [host for host in hosts if policy.refusal((host, 4000))]

    def test_every_special_class_is_refused_by_default(self) -> None:
        special = HARD + LOOPBACK + MULTICAST + LINK_LOCAL + PRIVATE + SPECIAL + WRAPPED
        self.assertEqual(self._refused(PeerPolicy(), special + OPEN), special)

    def test_each_switch_opens_its_own_class(self) -> None:
        for policy, opened in ((PeerPolicy(loopback=True), LOOPBACK), (PeerPolicy(multicast=True), MULTICAST),
                               (PeerPolicy(private=True), PRIVATE)):
            everything = HARD + LOOPBACK + MULTICAST + LINK_LOCAL + PRIVATE + SPECIAL + WRAPPED
            self.assertEqual(self._refused(policy, everything), [one for one in everything if one not in opened])

    def test_ranges_open_all_but_what_is_never_a_peer(self) -> None:
        policy = PeerPolicy(allowed=parse_ranges(["0.0.0.0/0", "::/0"]))
        self.assertEqual(self._refused(policy, HARD + LOOPBACK + LINK_LOCAL + SPECIAL + WRAPPED), HARD + WRAPPED)

    def test_allowed_goes_before_denied_and_denied_before_the_class(self) -> None:
        allowed, denied = parse_ranges(["8.8.8.8"]), parse_ranges(["8.8.8.0/24", "10.0.0.0/8"])
        policy = PeerPolicy(private=True, allowed=allowed, denied=denied)
        self.assertEqual(self._refused(policy, ["8.8.8.8", "8.8.8.9", "8.8.9.1", "10.1.1.1", "192.168.1.1"]),
                         ["8.8.8.9", "10.1.1.1"])

    def test_port_0_is_refused_unless_ports_mean_nothing(self) -> None:
        self.assertEqual(PeerPolicy().refusal(("8.8.8.8", 0)), "port 0")
        self.assertEqual(PeerPolicy().refusal(("8.8.8.8", 0), any_port=True), "")

    def test_wrapped_addresses_are_judged_as_what_they_wrap(self) -> None:
        self.assertEqual([str(canonical(one)[0]) for one in WRAPPED[:5]],
                         ["127.0.0.1", "127.0.0.1", "0.0.0.2", "127.0.0.1", "127.0.0.1"])
        self.assertIn("loopback", PeerPolicy().refusal(("::ffff:127.0.0.1", 1)))
        self.assertFalse(canonical("::1")[1])

    def test_our_own_relays_may_be_reached_at_relay_ports(self) -> None:
        policy = PeerPolicy(relay_hosts=("10.0.0.5", "127.0.0.1"), relay_ports=range(50000, 50010))
        for peer, refusal in ((("10.0.0.5", 50009), ""), (("10.0.0.5", 50010), "private"), (("10.0.0.6", 50000), "private"),
                              (("127.0.0.2", 50000), "loopback")):
            self.assertEqual(policy.refusal(peer), refusal, peer)
        self.assertEqual(policy.refusal(("10.0.0.5", 0), any_port=True), "")
        denying = PeerPolicy(relay_hosts=("10.0.0.5",), relay_ports=range(1, 9), denied=parse_ranges(["10.0.0.5"]))
        self.assertEqual(denying.refusal(("10.0.0.5", 5)), "denied")


    def test_relays_on_loopback_are_reached_at_relay_ports_and_nothing_else_there(self) -> None:
        """Two clients of a server that has nothing but loopback reach each other, and none of them its services."""
        relay_ports = range(50000, 50010)
        listeners = [Listener("turn", "udp", "127.0.0.1", 3478), Listener("web", "tcp", "::", 50001)]
        policy = PeerPolicy(relay_hosts=("127.0.0.1", "::1"), relay_ports=relay_ports, listeners=lambda: listeners)
        for host in ("127.0.0.1", "::1"):
            found = [policy.refusal((host, port)) for port in (50000, 50009, 50010, 49999, 22, 50001)]
            self.assertEqual(found, ["", "", "loopback", "loopback", "loopback", "own listener"])
            self.assertEqual(policy.refusal((host, 0), any_port=True), "")
            self.assertEqual(policy.ports(host), relay_ports)
        self.assertEqual(policy.refusal(("127.0.0.1", 3478), any_port=True), "own listener")
        for wrapped in ("::ffff:127.0.0.1", "64:ff9b::127.0.0.1"):
            self.assertTrue(policy.refusal((wrapped, 50000)))
        self.assertEqual(policy.refusal(("127.0.0.2", 0), any_port=True), "loopback")

    def test_datagrams_come_from_where_they_may_go(self) -> None:
        policy = PeerPolicy(relay_hosts=("10.0.0.5",), relay_ports=range(50000, 50010))
        self.assertEqual(policy.ports("10.0.0.5"), range(50000, 50010))
        self.assertEqual(policy.ports("8.8.8.8"), peers.EVERY_PORT)
        self.assertEqual(PeerPolicy(private=True, relay_hosts=("10.0.0.5",)).ports("10.0.0.5"), peers.EVERY_PORT)


class Listeners(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Directory()
        self.policy = PeerPolicy(loopback=True, private=True, allowed=parse_ranges(["0.0.0.0/0"]),
                                 own_hosts=("10.0.0.5", "fd00::5"), listeners=self.directory.listeners)

    def test_a_listener_is_refused_at_its_address_and_port_whatever_is_allowed(self) -> None:
        self.directory.opened(Listener("turn", "udp", "10.0.0.5", 3478))
        self.assertEqual([self.policy.refusal(one) for one in (
            ("10.0.0.5", 3478), ("10.0.0.5", 3479), ("10.0.0.6", 3478))], ["own listener", "", ""])
        self.assertEqual(self.policy.refusal(("10.0.0.5", 3478), any_port=True), "own listener")
        self.assertEqual(self.policy.refusal(("10.0.0.5", 3478), own_external=True), "own listener")

    def test_a_wildcard_listener_is_refused_at_every_address_of_ours(self) -> None:
        self.directory.opened(Listener("web", "tls", "::", 443))
        for host, refusal in (("10.0.0.5", "own listener"), ("127.0.0.9", "own listener"), ("10.0.0.6", "")):
            self.assertEqual(self.policy.refusal((host, 443)), refusal, host)
        self.assertTrue(self.policy.refusal(("fd00::5", 443)))

    def test_what_opens_later_is_refused_from_then_on(self) -> None:
        listener = Listener("web", "tcp", "127.0.0.1", 8080)
        self.assertEqual(self.policy.refusal(("127.0.0.1", 8080)), "")
        self.directory.opened(listener)
        self.assertEqual(self.policy.refusal(("127.0.0.1", 8080)), "own listener")
        self.directory.closed(listener)
        self.assertEqual(self.policy.refusal(("127.0.0.1", 8080)), "")

    def test_listeners_are_looked_at_again_only_when_they_have_changed(self) -> None:
        """Every Send asks."""
        looked: list[int] = []

        def listeners() -> list[Listener]:
            looked.append(self.directory.version)
            return list(self.directory.listeners())

        policy = PeerPolicy(listeners=listeners, version=lambda: self.directory.version)
        web = Listener("web", "tcp", "8.8.8.8", 443)
        for change, refusal in ((self.directory.opened, "own listener"), (self.directory.closed, "")):
            change(web)
            self.assertEqual([policy.refusal(("8.8.8.8", 443)) for _ in range(5)], [refusal] * 5)
        self.directory.closed(web)
        self.assertEqual(policy.refusal(("8.8.8.8", 443)), "")
        self.assertEqual(looked, [1, 2])

    def test_streams_reach_no_other_service_of_this_machine(self) -> None:
        """What listens here for the neighbours must not be open to clients whose connections come from this machine;
        relay ports, what the operator has listed, and loopback where that is open are."""
        for listed, refusal in ((), "own machine"), (("8.8.8.8",), ""):
            policy = PeerPolicy(own_hosts=("8.8.8.8", "127.0.0.1"), relay_ports=range(50000, 50010),
                                allowed=parse_ranges(listed), loopback=True)
            self.assertEqual([policy.refusal(peer, stream=True) for peer in (
                ("8.8.8.8", 22), ("8.8.8.8", 50000), ("8.8.4.4", 22), ("127.0.0.1", 22))], [refusal, "", "", ""])
            self.assertEqual(policy.refusal(("8.8.8.8", 22)), "")
            self.assertEqual(policy.refusal(("8.8.8.8", 0), any_port=True, stream=True), "")
        private = PeerPolicy(private=True, own_hosts=("10.0.0.5",), relay_ports=range(50000, 50010))
        for external in (True, False):
            self.assertEqual(private.refusal(("10.0.0.5", 22), stream=True, own_external=external), "own machine")

    def test_the_range_of_relay_ports_is_no_listener(self) -> None:
        self.directory.opened(Listener("turn", "udp", "10.0.0.5", 50000, 50010))
        self.assertEqual(self.policy.refusal(("10.0.0.5", 50000)), "")


class Ranges(SynchronousTestCase):
    def test_an_address_a_network_and_a_span_are_ranges(self) -> None:
        for text, inside, outside in (("8.8.8.8", "8.8.8.8", "8.8.8.9"), ("8.8.8.0/24", "8.8.8.255", "8.8.9.0"),
                                      ("8.8.8.8 - 8.8.9.1", "8.8.9.1", "8.8.9.2"),
                                      ("2001:db8::/32", "2001:db8::1", "2001:db9::")):
            found = parse_range(text)
            self.assertIn(canonical(inside)[0], found)
            self.assertNotIn(canonical(outside)[0], found)
            self.assertNotIn(canonical("fd00::1")[0], found)

    def test_what_does_not_parse_is_an_error(self) -> None:
        """A typo must not open a relay."""
        for text in ("", "x", "8.8.8", "8.8.8.8/33", "8.8.8.8/24", "8.8.8.8-", "8.8.8.9-8.8.8.8", "8.8.8.8-fd00::1", "a-b"):
            self.assertRaises(ValueError, parse_range, text)

    def test_there_may_be_so_many_ranges_and_no_more(self) -> None:
        self.patch(ranges, "MAX_RANGES", 2)
        self.assertEqual(len(parse_ranges(["8.8.8.8"] * 2)), 2)
        self.assertRaises(ValueError, parse_ranges, ["8.8.8.8"] * 3)
