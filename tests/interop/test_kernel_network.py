"""The relay in the kernel where it counts: between interfaces, with nobody reading the sockets unless a test says so."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import time

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.addresses import Ports
from rtcd.allocations.allocation import Allocation, Traffic
from rtcd.allocations.meter import MIN_BURST_BYTES
from rtcd.kernel.choice import use_kernel
from rtcd.kernel.plane import CHECK_S, SETTLE_S, KernelRelayPlane
from rtcd.kernel.records import CLOCK, packed
from rtcd.plane.drops import PACKET_BYTES
from rtcd.stun import channeldata
from rtcd.stun.attributes import Address, family_of
from tests.interop import require_program
from tests.interop.world import World, kernel_plane
from tests.networks import bare, inside
from tests.three_networks import CLIENT, PEER, SERVER, ThreeNetworks


class InNetworks(SynchronousTestCase):
    version = 4
    offload = False

    def setUp(self) -> None:
        """An allocation with a channel to a peer."""
        self.networks = ThreeNetworks()
        self.addCleanup(self.networks.close)
        self.networks.open(offload=self.offload)
        self.world = self.new_world()
        self.plane = self.plane_of(self.world)
        self.allocation = self.bound("client0", 0x4000, self.world.address("peer0"))

    def new_world(self) -> World:
        """On the plane with the short cut."""
        world = World(self.networks, self.version, kernel_plane, False)
        self.addCleanup(world.close)
        return world

    def plane_of(self, world: World) -> KernelRelayPlane:
        """Of that kind."""
        assert isinstance(world.plane, KernelRelayPlane)
        return world.plane

    def bound(
        self, client: str, channel: int, peer: Address, until: float = 600.0, upward: tuple[float, ...] = (),
        downward: tuple[float, ...] = (),
    ) -> Allocation:
        """An allocation of this client with a channel."""
        allocation = self.world.allocate(client, upward, downward)
        self.permit(allocation, peer[0], until)
        self.plane.bind(allocation, channel, peer, until)
        return allocation

    def permit(self, allocation: Allocation, host: str, until: float = 600.0) -> None:
        """The client knows it by the same address."""
        self.plane.permit(allocation, host, until, host)

    def up(self, data: bytes, channel: int = 0x4000, client: str = "client0") -> None:
        """From a client; nobody reads it but the kernel."""
        self.world.sockets[client].sendto(channeldata.encode(channel, data), self.world.server)

    def down(self, data: bytes, peer: str = "peer0", allocation: Allocation | None = None) -> None:
        """From a peer."""
        self.world.sockets[peer].sendto(data, self.world.relayed(allocation or self.allocation))

    def got(self, name: str) -> list[object]:
        """What is there, now that nothing is on its way any more."""
        for which in (CLIENT, PEER):
            end = "client2" if which == CLIENT else "peer2"
            self.world.sockets[end].sendto(b"\xffmark", self.world.helper.getsockname())
            self.world.wait(self.world.helper, "helper")
        self.world.helper.sendto(b"\xffmark", self.world.address(name))
        return [one.data for one in self.world.wait(self.world.sockets[name], name)]

    def arrives(self, name: str) -> bytes:
        """The next one there, which is waited for."""
        return self.world.sockets[name].recv(70000)

    def short(self) -> int:
        """Packets that took the short cut."""
        for one in list(self.plane._relays):
            self.plane.traffic(one)
        return self.plane.shortcut.value

    def settle(self) -> None:
        """The plane is told what changed in the network."""
        with self.networks.inside(SERVER):
            self.world.poller.doRead()
            self.world.clock.advance(SETTLE_S)


class Relaying(InNetworks):
    def test_the_neighbours_are_found_from_cold(self) -> None:
        """The first packet waits for the answer, in the kernel."""
        self.networks.ip(SERVER, "neigh", "flush", "all")
        self.up(b"hello")
        self.assertEqual(self.arrives("peer0"), b"hello")
        self.networks.ip(SERVER, "neigh", "flush", "all")
        self.down(b"there")
        self.assertEqual(self.arrives("client0"), channeldata.encode(0x4000, b"there"))
        self.assertEqual(self.plane.traffic(self.allocation), Traffic(1, 5, 1, 5))
        self.assertEqual(self.short(), 2)

    def test_a_client_has_to_be_heard_first(self) -> None:
        """Then it is known that packets to and from it are not changed on their way within this host."""
        self.down(b"early")
        self.world.read_all()
        self.assertEqual((self.got("client0"), self.short()), ([channeldata.encode(0x4000, b"early")], 0))
        self.up(b"hello")
        self.down(b"there")
        self.assertEqual((self.got("client0"), self.short()), ([channeldata.encode(0x4000, b"there")], 2))

    def test_so_has_a_client_behind_another_relay_of_ours(self) -> None:
        """Whatever it is that comes for it."""
        other = self.bound("client1", 0x4001, self.world.relayed(self.allocation))
        self.permit(self.allocation, self.world.hosts["relay"])
        self.plane.bind(self.allocation, 0x4001, self.world.relayed(other), 600.0)
        self.up(b"early", 0x4001)
        for _ in range(2):
            self.got("client0")
            self.world.read_all()
        self.assertEqual((self.got("client1"), self.short()), ([channeldata.encode(0x4001, b"early")], 0))
        self.up(b"here", 0x4001, "client1")
        self.up(b"hello", 0x4001)
        self.assertEqual((self.got("client1"), self.short() > 1), ([channeldata.encode(0x4001, b"hello")], True))

    def test_where_this_host_redirects_ports_sockets_relay(self) -> None:
        """The client sends to port 443, which a rule makes ours; what it gets is from there. From us it would not be."""
        rules = (f"table {'ip6' if self.version == 6 else 'ip'} n {{\nchain pre {{\n"
                 "type nat hook prerouting priority -100;\nudp dport 443 redirect to :3478\n}\n}\n")
        subprocess.run(["ip", "netns", "exec", self.networks.name(SERVER), require_program("nft"), "-f", "-"], input=rules,
                       text=True, check=True, timeout=60)
        server = self.world.server[0], 443
        self.world.sockets["client0"].sendto(channeldata.encode(0x4000, b"hello"), server)
        self.settled("peer0", [b"hello"])
        self.down(b"there")
        self.world.read_all()
        data, source = self.world.sockets["client0"].recvfrom(100)
        self.assertEqual((data, source[:2]), (channeldata.encode(0x4000, b"there"), server))
        self.assertEqual(self.short(), 0)

    def settled(self, name: str, expected: list[object]) -> None:
        """What is there, once the daemon has read what came up to it."""
        self.got(name)
        self.world.read_all()
        self.assertEqual(self.got(name), expected)

    def test_a_neighbour_that_is_not_there_is_told_as_an_error(self) -> None:
        """As of a socket: RFC 8656 §11.5. It takes the system a second or three to give up."""
        nobody = self.world.hosts["peer"][:-1] + "99"
        self.permit(self.allocation, nobody)
        self.plane.bind(self.allocation, 0x4001, (nobody, 9), 600.0)
        self.up(b"x", 0x4001)
        relay = next(iter(self.plane._relays[self.allocation].values()))
        until = time.monotonic() + 10
        while relay.sock.fileno() not in dict(self.world.poller._epoll.poll(0.1)) and time.monotonic() < until:
            pass
        self.world.poller.doRead()
        self.assertEqual(len(self.got("client0")), 1)

    def test_a_stalled_daemon_does_not_relay_for_ever(self) -> None:
        """The end of channel or permission is in the kernel, on a clock that nobody sets."""
        for what in ("channel", "permission"):
            now = self.world.clock.seconds()
            channel, permission = (0.2, 600.0) if what == "channel" else (600.0, 0.2)
            self.permit(self.allocation, self.world.hosts["peer"], now + permission)
            self.plane.bind(self.allocation, 0x4000, self.world.address("peer0"), now + channel)
            soon = time.clock_gettime(CLOCK) + 0.2
            while (left := soon - time.clock_gettime(CLOCK)) > 0:
                time.sleep(left)
            self.up(b"late")
            self.down(b"late")
            self.assertEqual((self.got("peer0"), self.got("client0")), ([], []), what)

    def test_nor_beyond_the_allocation(self) -> None:
        """Its end goes with it whenever a channel is bound, and is looked at again every few seconds."""
        family = family_of(self.world.hosts["relay"])
        self.allocation.ends[family] = 50.0
        self.world.clock.advance(CHECK_S)
        self.up(b"x")
        self.assertEqual(self.got("peer0"), [b"x"])
        self.world.clock.advance(50)
        self.world.clock.settle()
        self.up(b"late")
        self.assertEqual(self.got("peer0"), [])
        self.allocation.ends[family] = 300.0
        self.world.clock.advance(CHECK_S)
        self.up(b"on")
        self.assertEqual(self.got("peer0"), [b"on"])

    def test_a_refresh_extends(self) -> None:
        self.world.clock.advance(599)
        self.permit(self.allocation, self.world.hosts["peer"], 1200.0)
        self.plane.bind(self.allocation, 0x4000, self.world.address("peer0"), 1200.0)
        self.world.clock.advance(599)
        self.world.clock.settle()
        self.up(b"x")
        self.assertEqual(self.got("peer0"), [b"x"])

    def test_what_is_closed_is_cut_at_once_and_its_port_is_another_ones(self) -> None:
        """The next client at the port has none of the packets of the one before."""
        self.up(b"x")
        port = self.world.relayed(self.allocation)
        self.assertEqual(self.plane.close(self.allocation), Traffic(1, 1, 0, 0))
        self.up(b"y")
        self.down_at(port, b"y")
        self.assertEqual((self.got("peer0"), self.got("client0")), ([b"x"], []))
        self.world.clock.advance(1000)
        self.plane.sockets._ports.clear()
        self.patch(self.plane.sockets, "new_ports", lambda: Ports(range(port[1], port[1] + 1), lambda below: 0))
        other = self.bound("client1", 0x4001, self.world.address("peer1"), 2000.0)
        self.assertEqual(self.world.relayed(other), port)
        self.up(b"z")
        self.down_at(port, b"z")
        self.assertEqual((self.got("peer0"), self.got("client0"), self.got("client1")), ([], [], []))
        self.up(b"hers", 0x4001, "client1")
        self.down(b"mine", "peer1", other)
        self.assertEqual((self.got("client0"), self.got("client1")), ([], [channeldata.encode(0x4001, b"mine")]))

    def down_at(self, port: Address, data: bytes) -> None:
        """From the first peer, to a relay that there was."""
        self.world.sockets["peer0"].sendto(data, port)

    def test_a_client_that_moves_takes_its_channels_along(self) -> None:
        """RFC 8016: and from where it was nothing is relayed any more."""
        five_tuple = self.allocation.five_tuple._replace(client=self.world.address("client1"))
        self.plane.move(self.allocation, five_tuple)
        self.up(b"old")
        self.up(b"new", client="client1")
        self.down(b"back")
        self.assertEqual((self.got("peer0"), self.got("client0"), self.got("client1")),
                         ([b"new"], [], [channeldata.encode(0x4000, b"back")]))
        self.assertEqual(self.short(), 2)

    def test_a_wrong_checksum_stays_wrong(self) -> None:
        """Nobody is given what was damaged on the way."""
        for wrong, expected in ((0, [b"x" * 10]), (1, [])):
            self.world.sockets["client0"].close()
            self.send_raw(CLIENT, self.packet(self.world.hosts["client"], 4000, self.world.server,
                                              channeldata.encode(0x4000, b"x" * 10), wrong), self.world.server[0])
            self.world.add(CLIENT, "client0", 4000)
            self.assertEqual(self.got("peer0"), expected)

    def test_ipv6_knows_no_datagram_without_a_checksum(self) -> None:
        """RFC 8200 §8.1; IPv4 does, and it goes on without."""
        packet = self.packet(self.world.hosts["client"], 4000, self.world.server, channeldata.encode(0x4000, b"x"))
        at = (40 if self.version == 6 else 20) + 6
        self.world.sockets["client0"].close()
        self.send_raw(CLIENT, packet[:at] + bytes(2) + packet[at + 2 :], self.world.server[0])
        self.world.add(CLIENT, "client0", 4000)
        self.assertEqual(self.got("peer0"), [] if self.version == 6 else [b"x"])
        self.assertEqual(self.short(), 0 if self.version == 6 else 1)

    def test_a_checksum_may_look_like_none(self) -> None:
        """One in 65536 is the number that stands there until there is one."""
        other = self.bound("client1", 0x4001, self.world.relayed(self.allocation))
        self.permit(self.allocation, self.world.hosts["relay"])
        self.plane.bind(self.allocation, 0x4002, self.world.relayed(other), 600.0)
        host, to, kinds = self.world.hosts["client"], self.world.server, set()
        for number in range(0x10000):
            payload = number.to_bytes(2, "big")
            packet = self.packet(host, 4000, to, channeldata.encode(0x4002, payload))
            head = 40 if self.version == 6 else 20
            real, = struct.unpack_from("!H", packet, head + 6)
            ends = folded(packed(host)[-(16 if head == 40 else 4) :] + packed(to[0])[-(16 if head == 40 else 4) :]
                          + struct.pack("!HH", 17, len(packet) - head))
            kind = "same" if real == ends else "complement" if real == ends ^ 0xFFFF else ""
            if kind:
                kinds.add(kind)
                self.up(payload, 0x4002)
                self.world.read_all()
                self.assertEqual(self.got("client1"), [channeldata.encode(0x4001, payload)], kind)
        self.assertEqual(kinds, {"same", "complement"})

    def test_who_says_that_he_is_us_is_not_believed(self) -> None:
        """A peer may be another relay of ours; but what comes from outside is never from there."""
        other = self.bound("client1", 0x4001, self.world.relayed(self.allocation))
        self.permit(self.allocation, self.world.hosts["relay"])
        self.plane.bind(self.allocation, 0x4001, self.world.relayed(other), 600.0)
        self.up(b"here", 0x4001, "client1")
        self.up(b"good", 0x4001)
        host, port = self.world.relayed(self.allocation)
        self.send_raw(PEER, self.packet(host, port, self.world.relayed(other), b"bad"), host)
        self.assertEqual(self.got("client1"), [channeldata.encode(0x4001, b"good")])

    def test_a_frame_for_another_host_is_not_ours(self) -> None:
        """A hub, or a bridge that does not know the way, brings those too."""
        packet = self.packet(self.world.hosts["client"], 4000, self.world.server, channeldata.encode(0x4000, b"theirs"))
        self.send_frame(bytes.fromhex("020000000099"), packet)
        self.assertEqual((self.got("peer0"), self.short()), ([], 0))
        self.send_frame(self.ethernet(), packet)
        self.assertEqual((self.got("peer0"), self.short()), ([b"theirs"], 1))

    def test_a_header_that_was_damaged_is_for_nobody(self) -> None:
        """IPv4 has a checksum of its header."""
        packet = self.packet(self.world.hosts["client"], 4000, self.world.server, channeldata.encode(0x4000, b"damaged"))
        at = 0 if self.version == 6 else 11  # without a checksum, at least the version has to be right
        packet = packet[:at] + bytes([packet[at] ^ 0x30]) + packet[at + 1 :]
        self.send_frame(self.ethernet(), packet)
        self.assertEqual((self.got("peer0"), self.short()), ([], 0))

    def test_options_are_not_taken_for_what_comes_behind_them(self) -> None:
        """These look like the headers of UDP and ChannelData; by IPv6 it is a header of options in front."""
        if self.version == 6:
            options, kind = bytes([17, 0, 1, 4, 0, 0, 0, 0]), 0
        else:
            behind = 12 + 8 + len(channeldata.encode(0x4000, b"right"))
            like = (4000, self.world.server[1], behind, 0x4000, behind - 12)
            check = 0xFFFF ^ folded(struct.pack("!5H", *like))  # so that the IP header is right without them too
            options, kind = struct.pack("!6H", *like[:3], check, *like[3:]), 17
        packet = self.packet(self.world.hosts["client"], 4000, self.world.server, channeldata.encode(0x4000, b"right"),
                             options=options, kind=kind)
        self.send_frame(self.ethernet(), packet)
        self.got("client0")
        self.world.read_all()
        self.assertEqual((self.got("peer0"), self.short()), ([b"right"] if self.version == 6 else [], 0))

    def test_what_is_behind_the_datagram_goes_no_further(self) -> None:
        """The lengths of IP and UDP may differ; sockets know what that means."""
        framed = channeldata.encode(0x4000, b"right")
        packet = self.packet(self.world.hosts["client"], 4000, self.world.server, framed, behind=b"more")
        self.send_frame(self.ethernet(), packet)
        self.settled("peer0", [b"right"])
        self.assertEqual(self.short(), 0)

    def ethernet(self) -> bytes:
        """The address of the server's interface at the client's network."""
        link, = json.loads(self.networks.ip(SERVER, "-json", "link", "show", "to-client"))
        return bytes.fromhex(link["address"].replace(":", ""))

    def send_frame(self, to: bytes, packet: bytes) -> None:
        """On the client's wire, to this Ethernet address."""
        protocol = 0x86DD if self.version == 6 else 0x800
        with self.networks.inside(CLIENT), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", protocol))
            raw.send(to + bytes.fromhex("020000000001") + struct.pack("!H", protocol) + packet)

    def send_raw(self, which: str, packet: bytes, host: str) -> None:
        """Just so."""
        family = socket.AF_INET6 if self.version == 6 else socket.AF_INET
        with self.networks.inside(which), socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.sendto(packet, (host, 0))

    def packet(
        self, host: str, port: int, to: Address, payload: bytes,
        wrong: int = 0, options: bytes = b"", kind: int = 17, behind: bytes = b"",
    ) -> bytes:
        """A whole IP packet. ``options``: behind the IP header, which says that they are of this ``kind``; ``behind``: what
        is in it besides the datagram."""
        size = 16 if self.version == 6 else 4
        ends = packed(host)[-size:] + packed(to[0])[-size:]
        udp = struct.pack("!HHHH", port, to[1], 8 + len(payload), 0) + payload
        check = (folded(ends + struct.pack("!HH", 17, len(udp)) + udp + bytes(len(udp) & 1)) ^ 0xFFFF) + wrong
        udp = udp[:6] + struct.pack("!H", check) + udp[8:] + behind
        if self.version == 6:
            return struct.pack("!IHBB", 6 << 28, len(options + udp), kind, 64) + ends + options + udp
        head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options + udp), 1, 0, 64, kind, 0)
        check = folded(head + ends + options) ^ 0xFFFF
        return head[:10] + struct.pack("!H", check) + ends + options + udp


def folded(data: bytes) -> int:
    """The sum that checksums are made of."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Relaying6(Relaying):
    version = 6


class Charged(InNetworks):
    """``max-bps``, in the kernel."""

    rate = 1000.0

    def test_what_is_above_the_rate_is_dropped_and_counted(self) -> None:
        """In each direction for itself; the burst passes."""
        size = 1000
        passes = MIN_BURST_BYTES // (size + PACKET_BYTES)
        first = self.bound("client1", 0x4000, self.world.address("peer1"), upward=(self.rate,), downward=(self.rate, 10**9))
        for _ in range(passes + 20):
            self.up(b"x" * size, client="client1")
            self.down(b"y" * size, "peer1", first)
        up, down = len(self.got("peer1")), len(self.got("client1"))
        self.assertEqual((up, down), (passes, passes))
        self.assertEqual(self.plane.traffic(first), Traffic(passes, passes * size, passes, passes * size))
        self.assertEqual(self.world.drops["rate"].value, 40)
        self.assertEqual(self.short(), 2 * passes)

    def test_sockets_and_kernel_are_charged_to_one_bucket(self) -> None:
        """What goes the long way, as Send indications do, leaves less for the short cut."""
        size = 1000
        first = self.bound("client1", 0x4000, self.world.address("peer1"), upward=(self.rate,))
        for _ in range(MIN_BURST_BYTES // (size + PACKET_BYTES) - 5):
            self.plane.send(first, self.world.address("peer1"), b"x" * size)
        for _ in range(20):
            self.up(b"x" * size, client="client1")
        self.assertEqual(self.short(), 5)
        self.plane.send(first, self.world.address("peer1"), b"x" * size)
        self.assertEqual(self.world.drops["rate"].value, 16)

    def test_all_of_a_user_share_his(self) -> None:
        """Whatever each of them may have alone."""
        size = 1000
        first, second = self.world.allocate("client1", (10**9, self.rate)), self.world.allocate("client2")
        second.upward = (self.plane.meter(10**9), first.upward[1])
        self.plane.remeter(second)
        for one, name in ((first, "1"), (second, "2")):
            self.permit(one, self.world.hosts["peer"])
            self.plane.bind(one, 0x4000, self.world.address(f"peer{name}"), 600.0)
        for _ in range(100):
            self.up(b"x" * size, client="client1")
            self.up(b"x" * size, client="client2")
        self.assertEqual(self.short(), MIN_BURST_BYTES // (size + PACKET_BYTES))

    def test_time_gives_more(self) -> None:
        first = self.bound("client1", 0x4000, self.world.address("peer1"), upward=(self.rate,))
        for _ in range(200):
            self.up(b"x" * 1000, client="client1")
        before = self.short()
        self.world.clock.advance(3)
        self.world.clock.settle()
        for _ in range(20):
            self.up(b"x" * 1000, client="client1")
        self.assertIn(self.short() - before, (2, 3))
        self.assertEqual(self.plane.close(first).sent_packets, self.plane.shortcut.value)


class Routes(InNetworks):
    def test_routes_are_followed(self) -> None:
        """The way to the peer goes by another interface from now on."""
        self.second_cable()
        self.up(b"before")
        self.networks.ip(SERVER, "link", "set", "to-peer", "down")
        self.networks.ip(SERVER, "route", "add", "10.77.2.2/32", "via", "10.77.3.2", "src", "10.77.3.1")
        self.settle()
        self.up(b"after")
        self.assertEqual([self.arrives("peer0"), self.arrives("peer0")], [b"before", b"after"])
        self.assertEqual(self.short(), 2)

    def test_the_way_back_may_be_another_one(self) -> None:
        """Packets of the peer come in by one interface, and what is for it goes out by the other."""
        self.second_cable()
        self.networks.ip(PEER, "route", "add", "10.77.2.1/32", "via", "10.77.3.1", "src", "10.77.2.2")
        for interface in ("all", "to-peer", "to-peer2"):
            self.set_rp_filter(interface)
        self.settle()
        self.up(b"there")
        self.assertEqual(self.arrives("peer0"), b"there")
        before = self.received("to-peer2")
        self.down(b"back")
        self.assertEqual(self.arrives("client0"), channeldata.encode(0x4000, b"back"))
        self.assertEqual(self.short(), 2)
        self.assertGreater(self.received("to-peer2"), before)

    def test_what_is_on_a_new_interface_is_relayed_too(self) -> None:
        """It had no address when we started."""
        before = len(self.plane.program.interfaces)
        self.second_cable()
        self.settle()
        self.assertEqual(len(self.plane.program.interfaces), before + 1)
        self.networks.ip(SERVER, "link", "delete", "to-peer2")
        self.settle()
        self.assertEqual(len(self.plane.program.interfaces), before)

    def test_a_smaller_interface_is_followed(self) -> None:
        """What does not fit goes by the socket, which fragments it."""
        self.up(b"x" * 1400)
        self.networks.ip(SERVER, "link", "set", "to-peer", "mtu", "1300")
        self.settle()
        self.up(b"y" * 1400)
        self.assertEqual(self.got("peer0"), [b"x" * 1400])
        self.world.poller.doRead()
        self.assertEqual(self.arrives("peer0"), b"y" * 1400)
        self.assertEqual(self.short(), 1)

    def second_cable(self) -> None:
        """Between server and peer."""
        here, there = self.networks.name(SERVER), self.networks.name(PEER)
        self.networks.ip(SERVER, "link", "add", "to-peer2", "type", "veth", "peer", "eth1", "netns", there)
        for name, link, host in ((here, "to-peer2", "10.77.3.1/24"), (there, "eth1", "10.77.3.2/24")):
            with inside(name):
                bare(link)
            self.networks.ip(SERVER if name == here else PEER, "address", "add", host, "dev", link)
            self.networks.ip(SERVER if name == here else PEER, "link", "set", link, "up")

    def set_rp_filter(self, interface: str) -> None:
        """Loose, where packets come by a way that is not the way back."""
        with self.networks.inside(SERVER), open(f"/proc/sys/net/ipv4/conf/{interface}/rp_filter", "w") as file:
            file.write("2")

    def received(self, link: str) -> int:
        """Packets that came in by an interface of the server."""
        lines = self.networks.ip(SERVER, "-s", "link", "show", link).splitlines()
        return int(lines[next(number for number, line in enumerate(lines) if "RX:" in line) + 1].split()[1])


class Offloaded(InNetworks):
    """Senders on the same host leave checksums to hardware that is not there."""

    offload = True

    def test_what_has_no_checksum_yet_goes_the_long_way(self) -> None:
        self.up(b"hello")
        self.down(b"there")
        self.assertEqual((self.got("peer0"), self.got("client0"), self.short()), ([], [], 0))
        self.world.poller.doRead()
        self.assertEqual((self.arrives("peer0"), self.arrives("client0")),
                         (b"hello", channeldata.encode(0x4000, b"there")))

    def test_between_two_relays_too(self) -> None:
        other = self.bound("client1", 0x4001, self.world.relayed(self.allocation))
        self.permit(self.allocation, self.world.hosts["relay"])
        self.plane.bind(self.allocation, 0x4002, self.world.relayed(other), 600.0)
        self.up(b"hello", 0x4002)
        self.up(b"there", 0x4001, "client1")
        self.assertEqual((self.got("client1"), self.got("client0"), self.short()), ([], [], 0))
        self.world.read_all()
        self.assertEqual((self.got("client1"), self.got("client0")),
                         ([channeldata.encode(0x4001, b"hello")], [channeldata.encode(0x4002, b"there")]))


class Offloaded6(Offloaded):
    version = 6


class Hops(InNetworks):
    """With IP fields."""

    def new_world(self) -> World:
        """They are carried."""
        world = World(self.networks, self.version, kernel_plane, True)
        self.addCleanup(world.close)
        return world

    def test_two_relays_are_two_hops(self) -> None:
        """What has come its last one goes no further, here as between any two routers."""
        other = self.bound("client1", 0x4001, self.world.relayed(self.allocation))
        self.permit(self.allocation, self.world.hosts["relay"])
        self.plane.bind(self.allocation, 0x4002, self.world.relayed(other), 600.0)
        six = self.version == 6
        for hops in (1, 2, 3, 4):
            self.world.sockets["client0"].setsockopt(
                socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP, socket.IPV6_UNICAST_HOPS if six else socket.IP_TTL, hops)
            self.world.sockets["client0"].sendto(channeldata.encode(0x4002, b"x"), self.world.server)
            self.world.sockets["client0"].setsockopt(
                socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP, socket.IPV6_UNICAST_HOPS if six else socket.IP_TTL, 64)
            self.got("client0")
            self.world.read_all()
            self.world.helper.sendto(b"\xffmark", self.world.address("client1"))
            fields = [one.fields[1] for one in self.world.wait(self.world.sockets["client1"], "client1")]
            self.assertEqual(fields, [hops - 2] if hops > 2 else [])
        self.assertEqual(self.world.drops["ttl"].value, 2)


class Hops6(Hops):
    version = 6


class Together(InNetworks):
    def test_two_on_one_machine_leave_each_other_alone(self) -> None:
        """And when one ends, the other goes on."""
        other = World(self.networks, 4, lambda world, poller, clock, ports, drops, fields: KernelRelayPlane(
            poller, clock, ports, drops, program=(kernel := use_kernel()).program, network=kernel.network,
            shortcut=self.plane.shortcut), False, port=3479, clients=6000)
        self.addCleanup(other.close)
        theirs = other.allocate("client0")
        other.plane.permit(theirs, self.world.hosts["peer"], 600.0, self.world.hosts["peer"])
        other.plane.bind(theirs, 0x4000, other.address("peer0"), 600.0)
        self.up(b"ours")
        other.sockets["client0"].sendto(channeldata.encode(0x4000, b"theirs"), other.server)
        self.assertEqual(self.arrives("peer0"), b"ours")
        self.assertEqual(other.sockets["peer0"].recv(100), b"theirs")
        other.plane.stop()
        self.up(b"on")
        self.down(b"and on")
        self.assertEqual((self.arrives("peer0"), self.arrives("client0")), (b"on", channeldata.encode(0x4000, b"and on")))
