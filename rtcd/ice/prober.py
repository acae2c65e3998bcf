"""`Prober`: keeps in mind how every TURN node is, by asking each again and again, one probe at a time.

How a node is asked is rtcd.ice.asking's, what follows from the answers rtcd.ice.health's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtcd.ice.health import Health, Known, Probe
from rtcd.ice.nodes import Node

FIRST_S = 0.25
"""Within so much of the start all nodes are asked for the first time."""

Ask = Callable[[Node], Deferred[Probe]]
"""Asks one node; to be cancelled to give up."""


class _Watch:
    """One node."""

    def __init__(self, node: Node, health: Health) -> None:
        self.node = node
        self.health = health
        self.timer: IDelayedCall | None = None
        self.asking: Deferred[Probe] | None = None
        self.done: Deferred[None] | None = None
        """Fires when the probe that is under way has let go of its socket."""


class Prober:
    """The timers of all nodes."""

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, ask: Ask, chance: Callable[[], float], told: Callable[[Node, Health, bool], object]
    ) -> None:
        """``chance()``: from 0 to 1. ``told(node, health, changed)`` hears of each probe when its outcome is known."""
        self._clock = clock
        self._ask = ask
        self._chance = chance
        self._told = told
        self._interval_s = 0.0
        self._watched: dict[str, _Watch] = {}
        self._running = False

    def health(self, node: Node) -> Health:
        """What is known of a node that is watched."""
        return self._watched[node.name].health

    def use(self, nodes: Collection[Node], interval_s: float) -> set[str]:
        """Watch these from now on; what is known of one that is as it was stays. ``interval_s`` 0: nobody is asked. One
        that refused our credential is asked at once, since another one may be in force. Returns the names of those that are
        watched no longer, or anew."""
        same_way = bool(interval_s) == bool(self._interval_s)
        self._interval_s = interval_s
        kept = {one.name: self._watched[one.name] for one in nodes
                if same_way and one.name in self._watched and _same(self._watched[one.name].node, one)}
        gone = {name for name, watch in self._watched.items() if watch is not kept.get(name)}
        for name in gone:
            self._end(self._watched[name])
        watched = {}
        for node in nodes:
            watch = kept.get(node.name) or _Watch(
                node, Health(self._clock.seconds(), probed=bool(interval_s) and node.way is not None))
            watch.node = node
            watched[node.name] = watch
        self._watched = watched
        for watch in kept.values():
            if watch.health.refused and watch.timer is not None:
                watch.timer.cancel()
                watch.timer = None
        if self._running:
            self._begin()
        return gone

    @property
    def wanted(self) -> bool:
        """Whether there is a node to ask."""
        return bool(self._interval_s) and any(one.node.way is not None for one in self._watched.values())

    def known(self) -> list[Known]:
        """For other processes of this daemon, which `learn` it."""
        return [Known(name, watch.node.way, health.state, health.since, health.reason, health.refused, health.rtt_s,
                      health.binding, health.failures)
                for name, watch in self._watched.items() for health in (watch.health,)]

    def learn(self, found: Iterable[Known]) -> None:
        """Take over what another process knows of nodes that are watched here too; for one that has not been started."""
        for one in found:
            watch = self._watched.get(one.name)
            if watch is not None and watch.node.way == one.way:
                watch.health.learn(one)

    def start(self) -> None:
        """Ask."""
        self._running = True
        self._begin()

    def stop(self) -> list[Deferred[None]]:
        """Ask no more; those that are returned fire when the last sockets are closed."""
        self._running = False
        return [done for one in self._watched.values() if (done := self._end(one)) is not None]

    def _begin(self) -> None:
        for watch in self._watched.values():
            if self._interval_s and watch.node.way is not None and watch.timer is None and watch.asking is None:
                watch.timer = self._clock.callLater(FIRST_S * self._chance(), self._probe, watch)

    def _end(self, watch: _Watch) -> Deferred[None] | None:
        timer, watch.timer = watch.timer, None
        if timer is not None:
            timer.cancel()
        asking, watch.asking = watch.asking, None
        done, watch.done = watch.done, None
        if asking is not None:
            asking.cancel()
        return done

    def _probe(self, watch: _Watch) -> None:
        watch.timer = None
        done: Deferred[None] = Deferred()
        watch.asking, watch.done = self._ask(watch.node), done

        def finished(result: Probe | Failure) -> None:
            if watch.done is done:  # else nobody wants to know any more
                watch.asking = watch.done = None
                self._took(watch, result)
            done.callback(None)

        watch.asking.addBoth(finished)

    def _took(self, watch: _Watch, result: Probe | Failure) -> None:
        if isinstance(result, Failure):
            self._log.failure("the TURN node {node} could not be probed", result, node=watch.node.name)
        else:
            changed = watch.health.took(result, self._clock.seconds())
            self._told(watch.node, watch.health, changed)
        if self._running and self._watched.get(watch.node.name) is watch:
            watch.timer = self._clock.callLater(
                watch.health.wait_s(self._interval_s, self._chance()), self._probe, watch)


def _same(one: Node, other: Node) -> bool:
    """Whether what is known of the one is true of the other: they are asked in the same way."""
    return one.way == other.way
