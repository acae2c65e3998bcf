"""Relays that belong to clients of rooms: void credentials, and peers that somebody signalled."""

from __future__ import annotations

import json
import math

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.addresses import External
from rtcd.ice.credentials import Credentials
from rtcd.peers import bound as b
from rtcd.peers.bound import NO_ROOM, NOT_SIGNALLED, Bound, Revoked, client_gone
from rtcd.peers.policy import PeerPolicy
from rtcd.stun.attributes import DATA, XOR_PEER_ADDRESS
from rtcd.stun.message import Method
from tests.fakes_turn import SERVER, UDP, Client, World

PEER = ("8.8.8.8", 4000)
EXTERNAL = "9.9.9.9"


def candidate(host: str, kind: str = "host") -> str:
    """A trickled candidate."""
    return json.dumps({"type": "candidate", "label": 0, "id": "0", "candidate": f"candidate:1 1 udp 1 {host} 5 typ {kind}"})


class Tags(SynchronousTestCase):
    """`Bound` by itself."""

    def setUp(self) -> None:
        self.credentials = Credentials(("north",), 600)
        self.bound = Bound(self.credentials)
        self.now = 1000.0

    def user(self, client: str = "ann", room: str = "r") -> str:
        """Whose credential `client` has."""
        return self.credentials.users_of(room, client)[0]

    def refusal(self, host: str, client: str = "ann", room: str = "r", *, own: bool = False) -> str:
        """What is said about a peer of `client`."""
        return self.bound.refusal(self.user(client, room), host, own=own)

    def came(self, client: str, room: str = "r", address: str = "192.0.2.1") -> None:
        """A client takes a seat."""
        self.bound.came(room, client, address, self.now)

    def said(self, client: str, host: str, kind: str = "host", room: str = "r") -> None:
        """A client signals a candidate."""
        self.bound.said(room, client, candidate(host, kind), self.now)

    def test_a_peer_that_somebody_of_the_room_signalled_is_in_order(self) -> None:
        """Of this room, and nobody else's."""
        for room, client in (("r", "ann"), ("r", "bob"), ("s", "eve")):
            self.came(client, room, "")
        self.said("bob", "8.8.8.8")
        self.said("eve", "8.8.4.4", room="s")
        self.assertEqual([self.refusal(host) for host in ("8.8.8.8", "8.8.4.4", "1.1.1.1")],
                         ["", NOT_SIGNALLED, NOT_SIGNALLED])
        self.assertEqual(self.refusal("8.8.8.8", "nobody"), NO_ROOM)
        self.assertEqual(self.refusal("8.8.8.8", "ann", "s"), NO_ROOM)

    def test_the_addresses_that_clients_come_from_are_in_order(self) -> None:
        """The IPv4 address, the IPv6 network: behind a symmetric NAT the peer-reflexive address is there too."""
        self.came("ann", address="192.0.2.1")
        self.came("bob", address="2001:db8:7:100::")
        self.came("bob", address="203.0.113.6")
        self.assertEqual([self.refusal(host) for host in ("192.0.2.1", "2001:db8:7:1ff::9", "203.0.113.6", "192.0.2.2",
                                                          "2001:db8:7:200::9")], ["", "", "", NOT_SIGNALLED, NOT_SIGNALLED])

    def test_our_own_relays_are_in_order_only_as_relay_candidates(self) -> None:
        """Neither because somebody comes from there, as by a proxy, nor under another name."""
        self.came("ann", address=SERVER[0])
        self.said("ann", SERVER[0], "srflx")
        self.assertEqual(self.refusal(SERVER[0], own=True), NOT_SIGNALLED)
        self.said("ann", SERVER[0], "relay")
        self.assertEqual(self.refusal(SERVER[0], own=True), "")
        self.said("ann", SERVER[0], "srflx")
        self.assertEqual(self.refusal(SERVER[0], own=True), "")

    def test_hidden_addresses_leave_private_peers_to_the_ordinary_policy(self) -> None:
        """And public ones, and our own, not."""
        self.came("ann", address="")
        self.assertEqual(self.refusal("192.168.1.5"), NOT_SIGNALLED)
        self.said("ann", "5f3a9c1e-0b0d-4f57-9c6e-1d2f7cb5c1aa.local")
        self.assertEqual([self.refusal(host) for host in ("192.168.1.5", "fd00::5", "fe80::5", "8.8.8.8", "127.0.0.1")],
                         ["", "", "", NOT_SIGNALLED, NOT_SIGNALLED])
        self.assertEqual(self.refusal("192.168.1.5", own=True), NOT_SIGNALLED)

    def test_hosts_are_compared_in_canonical_form(self) -> None:
        self.came("ann", address="")
        self.said("ann", "2001:DB8:0:0::1%3")
        self.assertEqual(self.refusal("2001:db8::1"), "")
        self.assertEqual(self.refusal("garbage"), NOT_SIGNALLED)

    def test_what_one_signalled_goes_with_its_seat_and_an_empty_room_is_forgotten(self) -> None:
        self.came("ann", address="")
        self.came("bob", address="")
        self.said("bob", "8.8.8.8")
        self.assertEqual(self.bound.gone("r", "bob", self.now), (self.user("bob"),))
        self.assertEqual((self.refusal("8.8.8.8"), self.refusal("8.8.8.8", "bob")), (NOT_SIGNALLED, NO_ROOM))
        self.bound.gone("r", "ann", self.now)
        self.assertEqual((len(self.bound), self.bound.hosts, self.bound._rooms, self.bound._by_user), (0, 0, {}, {}))

    def test_who_is_gone_is_revoked_until_its_credentials_have_expired(self) -> None:
        """By the longest lifetime that there has been; one who was never heard of as well."""
        self.credentials.take(Credentials(("north",), 60))
        self.bound.gone("r", "ann", 1000)
        self.bound.gone("r", "bob", 1599)
        self.assertIn(self.user("ann"), self.bound.revoked)
        self.bound.gone("r", "cid", 1600)
        self.assertEqual([self.user(one) in self.bound.revoked for one in ("ann", "bob", "cid", "eve")],
                         [False, True, True, False])

    def test_one_who_takes_a_seat_again_under_the_same_name_is_no_longer_revoked(self) -> None:
        """Possible with require-join = no only."""
        self.came("ann")
        self.bound.gone("r", "ann", self.now)
        self.came("ann")
        self.assertNotIn(self.user("ann"), self.bound.revoked)

    def test_a_client_is_known_by_its_users_under_old_and_new_secrets(self) -> None:
        """Through a rotation and its end; one who goes is revoked under each of them."""
        self.came("ann", address="")
        self.said("ann", "8.8.8.8")
        users = [self.user()]
        for secrets in (("south", "north"), ("south",)):
            self.credentials.take(Credentials(secrets, 600))
            users.append(self.user())
            for user in users:
                self.assertEqual(self.bound.refusal(user, "8.8.8.8", own=False), "")
        self.assertEqual(set(self.bound.gone("r", "ann", self.now)), set(users))
        self.assertTrue(all(user in self.bound.revoked for user in users))
        self.assertEqual(self.bound._by_user, {})


class Bounds(SynchronousTestCase):
    """Every table has its limit; what was heard of longest ago makes room."""

    def setUp(self) -> None:
        self.credentials = Credentials(("north",), 600)
        self.bound = Bound(self.credentials)

    def test_the_hosts_of_a_client_are_limited(self) -> None:
        """Those signalled last count."""
        for number in range(b.MAX_HOSTS + 1):
            self.bound.said("r", "ann", candidate(f"8.8.8.{number}"), 0)
            self.bound.said("r", "ann", candidate("8.8.4.4"), 0)
        user = self.credentials.users_of("r", "ann")[0]
        self.assertEqual(self.bound.hosts, b.MAX_HOSTS)
        hosts = ("8.8.8.0", "8.8.8.1", "8.8.8.2", "8.8.4.4")
        self.assertEqual([self.bound.refusal(user, host, own=False) for host in hosts],
                         [NOT_SIGNALLED, NOT_SIGNALLED, "", ""])

    def test_the_networks_of_a_client_are_limited(self) -> None:
        for number in range(b.MAX_NETWORKS + 1):
            self.bound.came("r", "ann", f"8.8.8.{number}", 0)
        user = self.credentials.users_of("r", "ann")[0]
        self.assertEqual([self.bound.refusal(user, f"8.8.8.{number}", own=False) for number in range(3)],
                         [NOT_SIGNALLED, "", ""])

    def test_clients_are_limited_by_number(self) -> None:
        """One who was forgotten is known again when it speaks."""
        self.patch(b, "MAX_CLIENTS", 3)
        for name in ("ann", "bob", "cid"):
            self.bound.came("r", name, "", 0)
        self.bound.said("r", "ann", candidate("8.8.8.8"), 0)
        self.bound.came("s", "dan", "", 0)
        known = [self.bound.refusal(self.credentials.users_of("r", name)[0], "8.8.8.8", own=False)
                 for name in ("ann", "bob", "cid")]
        self.assertEqual((known, len(self.bound)), (["", NO_ROOM, ""], 3))
        self.bound.said("r", "bob", candidate("8.8.8.8"), 0)
        self.assertEqual(self.bound.refusal(self.credentials.users_of("r", "bob")[0], "8.8.8.8", own=False), "")

    def test_clients_are_limited_by_all_their_hosts(self) -> None:
        self.patch(b, "MAX_ALL_HOSTS", 5)
        for number in range(7):
            self.bound.said("r", f"c{number}", candidate(f"8.8.8.{number}"), 0)
        self.assertEqual((self.bound.hosts, len(self.bound)), (5, 5))

    def test_one_who_is_not_heard_of_is_forgotten(self) -> None:
        """News of its end may have been lost on the way."""
        self.bound.came("r", "ann", "", 0)
        self.bound.came("s", "bob", "", b.KEPT_S - 1)
        self.assertEqual(len(self.bound), 2)
        self.bound.came("s", "bob", "", b.KEPT_S)
        self.assertEqual(len(self.bound), 1)

    def test_the_table_of_the_revoked_is_limited(self) -> None:
        """The oldest goes."""
        self.patch(b, "MAX_REVOKED", 3)
        revoked = Revoked()
        for number in range(5):
            revoked.add(str(number), 100, 0)
        self.assertEqual([str(number) in revoked for number in range(5)], [False, False, True, True, True])
        revoked.add("9", 200, 150)
        self.assertEqual(len(revoked), 1)


class Serving(SynchronousTestCase):
    """`TurnServer` with rooms."""

    def setUp(self) -> None:
        self.world = World(external=(External(EXTERNAL, SERVER[0]),), policy=PeerPolicy(relay_hosts=(SERVER[0],)))
        self.bound = self.world.server.bound = Bound(self.world.credentials, "strict")
        self.world.authenticator.revoked = self.bound.revoked
        for name in ("ann", "bob"):
            self.bound.came("r", name, "", self.world.now)

    def client(self, name: str, port: int = 40000, room: str = "r") -> Client:
        """A TURN client with the credential of a client of a room."""
        return self.timed(self.world.credentials.users_of(room, name)[0], port)

    def timed(self, user: str, port: int = 40000) -> Client:
        """A TURN client with a time-limited name."""
        client = self.world.client(port)
        given = self.world.credentials.issue(user, self.world.now)
        client.username, client.password = given.username, given.password
        return client

    def gone(self, name: str) -> None:
        """Its seat is lost."""
        client_gone(self.world.server, self.bound, "r", name, self.world.now)

    def test_who_leaves_loses_every_relay_at_once_and_gets_none_any_more(self) -> None:
        """Under each name that it was given; the other keeps his. The 401 counts as no failed password."""
        ann = [self.client("ann", port) for port in (40001, 40002)]
        self.world.now += 5
        ann.append(self.client("ann", 40003))
        bob = self.client("bob", 40004)
        for one in (*ann, bob):
            one.allocate()
        self.gone("ann")
        self.assertEqual((self.world.observer.ended, len(self.world.plane.open_relays)), (["client left"] * 3, 1))
        for one in ann:
            self.assertEqual((one.code(Method.ALLOCATE, UDP), one.refresh(0)), (401, 401))
        self.assertEqual(self.world.observer.failed, [])
        self.assertEqual(self.world.observer.errors, [])
        ann[0].password = "wrong"
        self.assertEqual(ann[0].code(Method.ALLOCATE, UDP), 401)
        self.assertEqual(len(self.world.observer.failed), 1)
        self.assertEqual(bob.refresh(600), 0)
        self.gone("ann")
        self.assertEqual(self.world.server.allocations.by_user(ann[0].username.partition(":")[2]), ())

    def test_peers_that_were_signalled_are_reached_and_others_refused(self) -> None:
        """CreatePermission, all or nothing, and ChannelBind: 403; the ordinary policy is not lifted."""
        self.bound.said("r", "bob", candidate(PEER[0]), 0)
        self.bound.said("r", "bob", candidate("10.0.0.1"), 0)
        client = self.client("ann")
        client.allocate()
        self.assertEqual([client.permit(PEER), client.permit((PEER[0], 9)), client.bind(0x4000, PEER)], [0, 0, 0])
        other = ("8.8.4.4", 1)
        self.assertEqual([client.permit(other), client.permit(PEER, other), client.bind(0x4001, other),
                          client.permit(("10.0.0.1", 1))], [403] * 4)
        self.assertEqual(self.world.observer.strange, [(other, NOT_SIGNALLED, True)] * 3)
        self.assertEqual(self.world.observer.denied, [(("10.0.0.1", 1), "private")])

    def send(self, client: Client, peer: tuple[str, int]) -> None:
        """A Send indication."""
        client.indicate(XOR_PEER_ADDRESS.encode(peer, bytes(12)), DATA.encode(b"x"))

    def test_sends_to_one_that_has_left_are_dropped_though_the_permission_lives(self) -> None:
        """Not in the other modes."""
        self.bound.said("r", "bob", candidate(PEER[0]), 0)
        client = self.client("ann")
        client.allocate()
        client.permit(PEER)
        self.send(client, PEER)
        self.gone("bob")
        self.send(client, PEER)
        self.assertEqual(self.world.observer.drops, ["unsignalled peer"])
        for self.bound.mode in ("monitor", "open"):
            self.send(client, PEER)
        self.assertEqual([call[0] for call in self.world.plane.calls].count("send"), 3)

    def test_monitor_tells_and_open_does_not_even_look(self) -> None:
        """Both let through; a change is in force at once."""
        client = self.client("ann")
        client.allocate()
        self.bound.mode = "open"
        self.assertEqual((client.permit(PEER), self.world.observer.strange), (0, []))
        self.bound.mode = "monitor"
        self.assertEqual((client.permit(PEER), self.world.observer.strange), (0, [(PEER, NOT_SIGNALLED, False)]))
        self.bound.mode = "strict"
        self.assertEqual(client.permit(PEER), 403)

    def test_static_users_are_not_bound_and_time_limited_names_without_a_room_reach_nobody(self) -> None:
        """With and without a user part, and one whose room is not here."""
        static = self.world.client(41000)
        static.allocate()
        self.assertEqual((static.permit(PEER), self.world.observer.strange), (0, []))
        for port, user in enumerate(("alice", self.world.credentials.users_of("elsewhere", "ann")[0]), 41001):
            client = self.timed(user, port)
            client.allocate()
            self.assertEqual(client.permit(PEER), 403)
        for port, end in enumerate(("", ":"), 41003):
            bare = self.world.client(port)
            bare.username = f"{int(self.world.now) + 100}{end}"
            bare.password = self.world.credentials.verify(bare.username, self.world.now).passwords[0]
            bare.allocate()
            self.assertEqual(bare.permit(PEER), 403, bare.username)
        self.assertEqual({reason for _, reason, _ in self.world.observer.strange}, {NO_ROOM})

    def test_other_users_belong_to_no_room_whatever_their_names_look_like(self) -> None:
        """A static one that is a number, one of a directory that ends some day."""
        client = self.world.client(41000)
        client.allocate()
        allocation = self.world.server.allocations.get(client.five_tuple)
        assert allocation is not None
        for name, expires_at, free in (("12", math.inf, True), ("alice", 2e9, True), ("12", 2e9, False)):
            allocation.username = allocation.user = name
            allocation.credential_expires_at = expires_at
            self.assertEqual(b.may_send_to(self.world.server, allocation, PEER, PEER), free)

    def test_our_external_address_is_a_peer_only_as_a_relay_candidate(self) -> None:
        """It is compared as the client names it, whatever our sockets make of it."""
        client = self.client("ann")
        client.allocate()
        self.bound.came("r", "bob", EXTERNAL, 0)
        self.bound.said("r", "bob", candidate(EXTERNAL, "srflx"), 0)
        self.assertEqual(client.permit((EXTERNAL, 50001)), 403)
        self.bound.said("r", "bob", candidate(EXTERNAL, "relay"), 0)
        self.assertEqual(client.permit((EXTERNAL, 50001)), 0)
