"""What is said to a TURN node to learn whether it serves, against the rules of our own server."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from rtcd.ice.credentials import PROBE_USER
from rtcd.ice.exchange import MAX_CHALLENGES, NO_ANSWER, STUN_ALONE, Exchange
from rtcd.ice.health import ALIVE, DEAD, DRAINING, FULL
from rtcd.stun.attributes import ERROR_CODE, LIFETIME, NONCE, REALM, XOR_MAPPED_ADDRESS, XOR_RELAYED_ADDRESS, Address
from rtcd.stun.integrity import long_term_key, sign
from rtcd.stun.message import Class, Method, decode, encode
from rtcd.turn.redirect import Alternates
from rtcd.turn.request import Rules
from tests.fakes_turn import REALM_NAME, World

CLIENT: Address = ("192.0.2.7", 5000)


class Talks(SynchronousTestCase):
    """A node, and somebody who asks it."""

    def setUp(self) -> None:
        self.count = itertools.count(1)
        self.ports = itertools.count(41000)

    def exchange(self, world: World) -> Exchange:
        """With a credential of the node's secret."""
        made = world.credentials.issue(f"{PROBE_USER}1", world.now, 300)
        return Exchange(made.username, made.password, lambda size: next(self.count).to_bytes(size, "big"))

    def run_through(self, world: World, exchange: Exchange) -> list[Method]:
        """All that is said, until it is finished or nobody says any more; each round takes 10 ms."""
        client, said = world.client(next(self.ports)), []
        waiting = exchange.begin(world.now)
        while waiting:
            said += [decode(one).method for one in waiting]
            answers = [client.raw(one) for one in waiting]
            world.now += 0.01
            waiting = [more for one in answers if one is not None for more in exchange.receive(one, world.now)]
        return said

    def test_an_allocation_is_made_and_given_back(self) -> None:
        """Nothing is left."""
        world = World()
        exchange = self.exchange(world)
        self.assertEqual(self.run_through(world, exchange), [
            Method.BINDING, Method.ALLOCATE, Method.ALLOCATE, Method.REFRESH])
        self.assertTrue(exchange.finished)
        probe = exchange.result()
        self.assertEqual((probe.state, probe.reason, probe.binding, round(probe.rtt_s or 0, 5)), (ALIVE, "", True, 0.01))
        self.assertEqual((world.observer.ended, len(world.server.allocations)), (["refreshed to 0"], 0))

    def test_a_nonce_that_has_ended_is_asked_for_again(self) -> None:
        """One that is good for ten seconds, after eleven."""
        world = World()
        world.nonces.lifetime_s = 10
        exchange = self.exchange(world)
        client = world.client(next(self.ports))
        _, allocate = exchange.begin(world.now)
        waiting = exchange.receive(client.raw(allocate) or b"", world.now)
        world.now += 11
        for _ in range(3):
            waiting = exchange.receive(client.raw(waiting[0]) or b"", world.now) if waiting else []
        self.assertEqual((exchange.result().state, world.observer.ended), (ALIVE, ["refreshed to 0"]))

    def test_a_nonce_that_has_ended_with_the_allocation_made_is_asked_for_again_too(self) -> None:
        """Else the node would keep the allocation for its whole lifetime."""
        world = World()
        world.nonces.lifetime_s = 10
        exchange = self.exchange(world)
        client = world.client(next(self.ports))
        waiting = exchange.begin(world.now)[1:]
        for wait_s in (0, 11, 0, 0):
            waiting = exchange.receive(client.raw(waiting[0]) or b"", world.now)
            world.now += wait_s
        self.assertEqual((waiting, world.observer.ended), ([], ["refreshed to 0"]))

    def test_what_may_be_allocated_is_given_back_at_the_end(self) -> None:
        """An Allocate that is not answered yet may have been carried out, or will be before this comes."""
        world = World()
        exchange = self.exchange(world)
        client = world.client(next(self.ports))
        binding, allocate = exchange.begin(world.now)
        self.assertEqual(exchange.parting(world.now), [])
        exchange.receive(client.raw(binding) or b"", world.now)
        again, = exchange.receive(client.raw(allocate) or b"", world.now)
        client.raw(again)
        refresh, = exchange.parting(world.now)
        self.assertEqual((exchange.result().state, len(world.server.allocations)), (DEAD, 1))
        client.raw(refresh)
        self.assertEqual((world.observer.ended, len(world.server.allocations)), (["refreshed to 0"], 0))

    def test_what_is_not_allocated_is_not_given_back(self) -> None:
        """It was refused, or has been given back."""
        world, other = World(), World(secrets=("south",))
        for one in (self.exchange(world), self.exchange(other)):
            self.run_through(world, one)
            self.assertEqual(one.parting(world.now), [])

    def test_an_allocation_that_is_of_no_use_is_given_back_too(self) -> None:
        """Of a node that tells no relay, and of one that asks for no credential."""
        world = World()
        exchange = self.exchange(world)
        client = world.client(next(self.ports))
        again, = exchange.receive(client.raw(exchange.begin(world.now)[1]) or b"", world.now)
        made = world.credentials.issue(f"{PROBE_USER}1", world.now, 300)
        bare = encode(Method.ALLOCATE, Class.SUCCESS, decode(again).transaction_id, [])
        exchange.receive(sign(bare, long_term_key(made.username, REALM_NAME, made.password)), world.now)
        self.assertEqual(exchange.result().reason, "answers Allocate without a relay")
        self.assertEqual([decode(one).get(LIFETIME) for one in exchange.parting(world.now)], [0])
        exchange = self.exchange(world)
        first = decode(exchange.begin(world.now)[1])
        exchange.receive(encode(Method.ALLOCATE, Class.SUCCESS, first.transaction_id, [
            XOR_RELAYED_ADDRESS.encode(CLIENT, first.transaction_id)]), world.now)
        self.assertEqual(exchange.result().state, DEAD)
        self.assertEqual([decode(one).get(LIFETIME) for one in exchange.parting(world.now)], [0])

    def test_a_node_that_drains_says_so(self) -> None:
        """403, or 300 where it sends clients elsewhere; its Bindings go on."""
        world = World()
        world.server.draining = True
        exchange = self.exchange(world)
        self.run_through(world, exchange)
        self.assertEqual((exchange.result().state, exchange.result().binding, exchange.finished), (DRAINING, True, True))
        world.server.alternates = Alternates([("192.0.2.99", 3478)], always=False)
        exchange = self.exchange(world)
        self.run_through(world, exchange)
        self.assertIn("300", exchange.result().reason)
        self.assertEqual(exchange.result().state, DRAINING)

    def test_a_node_that_is_full_says_so(self) -> None:
        """486 of its quota for all, 508 of its ports."""
        world = World(Rules(total_quota=1))
        world.client().allocate()
        exchange = self.exchange(world)
        self.run_through(world, exchange)
        self.assertEqual(exchange.result().state, FULL)
        world = World(hosts=("2001:db8::1",))
        exchange = self.exchange(world)
        self.run_through(world, exchange)
        self.assertEqual((exchange.result().state, exchange.result().reason), (DEAD, "refuses an Allocate (440)"))

    def test_another_secret_is_told(self) -> None:
        """And not tried for ever."""
        world, other = World(), World(secrets=("south",))
        exchange = self.exchange(other)
        self.assertEqual(self.run_through(world, exchange).count(Method.ALLOCATE), 2)
        self.assertEqual(exchange.result().state, DEAD)
        self.assertIn("401", exchange.result().reason)
        self.assertTrue(exchange.result().refused)

    def test_a_node_that_answers_no_binding_is_alive(self) -> None:
        """[turn] stun = no: it is waited for, and not held against it."""
        world = World(Rules(stun=False))
        exchange = self.exchange(world)
        self.run_through(world, exchange)
        self.assertFalse(exchange.finished)
        self.assertEqual([decode(one).method for one in exchange.unanswered()], [Method.BINDING])
        self.assertEqual((exchange.result().state, exchange.result().binding), (ALIVE, False))

    def test_silence_is_told_apart(self) -> None:
        """Of everything, or of TURN alone; or what the network says."""
        world = World(Rules(stun_only=True))
        exchange = self.exchange(world)
        self.assertEqual(exchange.result().reason, NO_ANSWER)
        self.run_through(world, exchange)
        self.assertEqual((exchange.result().state, exchange.result().reason), (DEAD, STUN_ALONE))
        self.assertEqual(exchange.result("refuses connections").reason, "refuses connections")

    def test_who_does_not_know_the_secret_is_not_believed(self) -> None:
        """Success without integrity, of a wrong method, or to another request is as if it had not come."""
        world = World()
        exchange = self.exchange(world)
        _, bare = exchange.begin(world.now)
        again, = exchange.receive(world.client().raw(bare) or b"", world.now)
        allocate = decode(again)
        relayed = [XOR_RELAYED_ADDRESS.encode(CLIENT, allocate.transaction_id)]
        for answer in (
                encode(Method.ALLOCATE, Class.SUCCESS, allocate.transaction_id, relayed),
                encode(Method.REFRESH, Class.SUCCESS, allocate.transaction_id, relayed),
                encode(Method.ALLOCATE, Class.SUCCESS, bytes(12), relayed),
                encode(Method.ALLOCATE, Class.REQUEST, allocate.transaction_id, relayed),
                encode(Method.BINDING, Class.SUCCESS, allocate.transaction_id, [
                    XOR_MAPPED_ADDRESS.encode(CLIENT, allocate.transaction_id)]), b"", bytes(100),
                encode(Method.ALLOCATE, Class.ERROR, allocate.transaction_id, [b"\0\x09\0\0"])):
            self.assertEqual(exchange.receive(answer, world.now), [])
            self.assertFalse(exchange.finished)
            self.assertEqual(exchange.result().state, DEAD)
        self.assertEqual(len(exchange.unanswered()), 2)

    def test_challenges_are_bounded(self) -> None:
        """A node that has a new nonce each time is answered twice."""
        world = World()
        exchange = self.exchange(world)
        _, request = exchange.begin(world.now)
        for number in range(MAX_CHALLENGES + 1):
            waiting = exchange.receive(encode(Method.ALLOCATE, Class.ERROR, decode(request).transaction_id, [
                ERROR_CODE.encode((438, "Stale Nonce")), REALM.encode("r"), NONCE.encode(f"n{number}")]), world.now)
            self.assertEqual(bool(waiting), number < MAX_CHALLENGES)
            request = waiting[0] if waiting else b""
        self.assertEqual((exchange.result().state, exchange.result().reason), (DEAD, "refuses an Allocate (438)"))
        exchange = self.exchange(world)
        client = world.client(next(self.ports))
        request = exchange.begin(world.now)[1]
        for _ in range(2):
            request, = exchange.receive(client.raw(request) or b"", world.now)
        for number in range(1, MAX_CHALLENGES + 1):
            waiting = exchange.receive(encode(Method.REFRESH, Class.ERROR, decode(request).transaction_id, [
                ERROR_CODE.encode((438, "Stale Nonce")), REALM.encode("r"), NONCE.encode(f"n{number}")]), world.now)
            self.assertEqual(bool(waiting), number < MAX_CHALLENGES)
            request = waiting[0] if waiting else b""
