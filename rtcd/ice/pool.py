"""`Pool`: the TURN nodes that ``[ice] servers`` names, how they are, and which of them a client is given.

It joins the rules of rtcd.ice.choice with what rtcd.ice.prober knows and where rtcd.ice.places says that clients are.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from rtcd.bucket import Buckets
from rtcd.context import Context
from rtcd.ice.asking import Asking
from rtcd.ice.choice import choose, urls_of
from rtcd.ice.following import Following
from rtcd.ice.health import ALIVE, DEAD, DRAINING, FULL, UNKNOWN, Health, Known
from rtcd.ice.nodes import Node, Servers
from rtcd.ice.places import Places, read_places
from rtcd.ice.prober import Ask, Prober
from rtcd.ice.settings import Settings

WARNED_EVERY_S = 60.0
"""That no node serves is told so often at most."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """How a node is, for people."""

    name: str
    region: str
    weight: int
    urls: tuple[str, ...]
    state: str
    """One of `rtcd.ice.health.STATES`."""
    usable: bool
    """Whether clients are given it."""
    reason: str
    """Why it is not alive, or what went wrong at the last probe; else empty."""
    rtt_s: float | None
    since: float
    """Unix seconds at which it came to be so."""


class Pool:
    """Begins with the start of the service; a reload brings other nodes."""

    _log = Logger()

    def __init__(self, context: Context, settings: Settings, ask: Ask | None = None) -> None:
        """``ask``: who asks a node, if not `Asking`."""
        self._context = context
        self._settings = settings
        self._clock = context.reactor
        self._metrics = context.metrics
        self._asking = Asking(context.reactor, context.credentials)
        self._prober = Prober(self._clock, ask or self._asking, secrets.SystemRandom().random, self._told)
        self._following: Following | None = None
        """Of all workers but the first one, which asks."""
        if context.desk.offers("workers.nodes"):
            self._following = Following(self._clock, self._prober, lambda: context.desk.ask("workers.nodes"))
        self._places: Places | None = None
        self.servers = Servers()
        self._lines = Buckets(1 / WARNED_EVERY_S, 1.0, 1)
        self._fallbacks = self._metrics.counter(
            "ice", "fallbacks", "Answers that named TURN nodes although none of them served.")

    def start(self) -> None:
        """Read the files and begin to ask. Raises `ConfigError`."""
        self.use(self._settings)
        (self._following or self._prober).start()

    def stop(self) -> list[Deferred[None]]:
        """Fire when the last sockets are closed."""
        places, self._places = self._places, None
        if places is not None:
            places.close()
        if self._following is not None:
            self._following.stop()
        return self._prober.stop()

    def use(self, settings: Settings) -> None:
        """Go by these settings from now on. Raises `ConfigError`, and then nothing has changed."""
        places = read_places(settings)
        old, self._places, self._settings = self._places, places, settings
        if old is not None:
            old.close()
        self.servers = settings.named()
        for name in self._prober.use(self.servers.nodes, settings.probe_interval):
            self._metrics.forget("ice", node=name)
            self._asking.forget(name)
        for node in self.servers.nodes:
            self._announce(node)
        empty = sorted(places.regions - self.servers.regions)
        if empty:
            self._log.warn("[ice] regions: no node of servers is in {regions}; who is near to it gets nodes of all regions",
                           regions=", ".join(empty))

    def urls(self, host: str, key: str) -> tuple[list[str], list[str]]:
        """TURN and STUN URLs for a client at ``host``; ``key`` is its room's, so that both ends get the same."""
        region = self._places.region(host) if self._places is not None else ""
        choice = choose(self.servers.nodes, lambda one: self._prober.health(one).rank, region, key)
        if choice.fallback:
            self._fallbacks.value += 1
            if self._lines.allow("", self._clock.seconds()):
                self._log.warn("no TURN node serves, as far as can be seen from here: clients are given some all the same;"
                               " look at the nodes with: rtcd status")
        return urls_of(choice.nodes, self.servers, lambda one: self._prober.health(one).binding)

    def reports(self) -> list[NodeReport]:
        """Offered as ``ice.nodes``: all of them, in the order of the ini."""
        return [self._report(node, self._prober.health(node)) for node in self.servers.nodes]

    def known(self) -> list[Known]:
        """Offered as ``ice.known``: what other workers go by."""
        return self._prober.known()

    def _report(self, node: Node, health: Health) -> NodeReport:
        return NodeReport(node.name, node.region, node.weight, (*node.turn, *node.stun), health.state, health.usable,
                          health.reason, health.rtt_s, health.since)

    def _told(self, node: Node, health: Health, changed: bool) -> None:
        failed = health.failures > 0
        self._probes(node.name, "failed" if failed else "answered").value += 1
        if not changed:
            return
        if health.state == ALIVE:
            self._log.info("turn_node_alive node={node}", node=node.name)
        elif health.state == DRAINING:
            self._log.info("turn_node_draining node={node}: {reason}", node=node.name, reason=health.reason)
        elif health.state in (DEAD, FULL):
            self._log.warn("turn_node_{state} node={node}: {reason}", state=health.state, node=node.name,
                           reason=health.reason)

    def _probes(self, name: str, outcome: str) -> Any:
        return self._metrics.counter("ice", "node_probes", "Probes of TURN nodes.", node=name, outcome=outcome)

    def _announce(self, node: Node) -> None:
        health, name = self._prober.health(node), node.name
        gauge = self._metrics.gauge
        gauge("ice", "node_usable", "1 if clients are given this TURN node, else 0.", lambda: health.usable, node=name)
        gauge("ice", "node_draining", "1 while this TURN node takes no new clients.",
              lambda: health.state == DRAINING, node=name)
        gauge("ice", "node_known", "0 until this TURN node has answered, or failed for good.",
              lambda: health.state != UNKNOWN, node=name)
        gauge("ice", "node_rtt_seconds", "Time of the last answer of this TURN node; NaN if there is none.",
              lambda: math.nan if health.rtt_s is None else health.rtt_s, node=name)
        for outcome in ("answered", "failed"):
            self._probes(name, outcome)


def summary(reports: Iterable[NodeReport]) -> str:
    """What is wrong if no node serves, in a few words; empty if one does, or none is named."""
    found = list(reports)
    if not found or any(one.usable for one in found):
        return ""
    return "no TURN node serves: " + "; ".join(
        f"{one.name} is {one.state}" + (f" ({one.reason})" if one.reason else "") for one in found[:4])
