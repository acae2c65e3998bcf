"""`MonitoringService`, ``[metrics]``: a listener for Prometheus, and the daemon's health, there and at the doorway.

Others serve the same figures behind their own door: ``metrics.exposition`` of the desk.
"""

from __future__ import annotations

import ipaddress
import math
import platform
from collections.abc import Iterator
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from rtcd import __version__
from rtcd.config import changes
from rtcd.context import Context
from rtcd.doorway.connections import Connections
from rtcd.doorway.directory import Listener
from rtcd.doorway.layers import PlainFactory
from rtcd.doorway.listeners import open_listeners
from rtcd.doorway.settings import DoorwaySettings
from rtcd.metrics import Metrics, Sample
from rtcd.monitoring import process
from rtcd.monitoring.checks import ELSEWHERE, NAMES, Ask, Checks, Taking
from rtcd.monitoring.exposition import exposition
from rtcd.monitoring.probe import ask, taking
from rtcd.monitoring.readiness import Readiness, Report
from rtcd.monitoring.resources import Bearer, Healthz, MetricsResource, Readyz
from rtcd.monitoring.settings import Settings
from rtcd.site.http import DoorSite
from rtcd.site.tree import Tree

__all__ = ["MonitoringService", "Settings", "makeService"]

MAX_CONNECTIONS = 64
"""Open at once at the listeners of its own: a few Prometheus servers and probes."""

_KEPT = {"listen", "health"}
"""Keys that need a restart."""


class MonitoringService(Service):
    """Owns the listeners, and the checks of the daemon's health."""

    name = "metrics"
    _log = Logger()

    def __init__(self, context: Context, settings: Settings, ask: Ask = ask, taking: Taking = taking) -> None:
        """``ask``: how the TURN server is asked whether it answers; ``taking``: where TCP connections are taken."""
        self._context = context
        self._settings = settings
        self._began_at = context.reactor.seconds()
        self._ports: list[tuple[IListeningPort, Listener]] = []
        self._checks = checks = Checks(context, ask, taking)
        self.readiness = Readiness(context.reactor, {name: getattr(checks, name) for name in NAMES})
        self._bearer = Bearer(settings.token)
        self._announce(context.metrics)
        context.desk.offer("metrics.exposition", self.exposition)
        context.desk.offer("metrics.samples", lambda: list(self._samples()))
        context.desk.offer("metrics.readiness", self.readiness.report)
        if settings.health:
            context.doorway.add_child("/healthz", Healthz(), opens=False)
            context.doorway.add_child("/readyz", Readyz(self.report, lambda _: False), opens=False)
            context.doorway.add_child("/readyz/own", Readyz(self.own_report, lambda _: False), opens=False)
        context.on_reload("metrics", self._reload)
        self._make_site()

    def exposition(self, accept: str = "") -> Any:
        """The desk's ``metrics.exposition``: all figures as text, and its content type. A Deferred of both if this is one of
        several workers, since the figures are those of all.

        ``accept``: the header of that name of who asks, which may prefer OpenMetrics.
        """
        if not self._context.desk.offers("workers.samples"):
            return exposition(self._samples, accept)
        asking = Deferred.fromCoroutine(self._context.desk.ask("workers.samples"))
        return asking.addCallback(lambda samples: exposition(lambda: samples, accept))

    def report(self) -> Deferred[Report]:
        """Whether the daemon is ready: all workers, if this is one of several."""
        if not self._context.desk.offers("workers.readiness"):
            return self.readiness.report()
        return Deferred.fromCoroutine(self._context.desk.ask("workers.readiness")).addCallback(Report)

    def own_report(self) -> Deferred[Report]:
        """Whether this daemon is, whatever may be wrong with what it shares with others."""
        return self.report().addCallback(lambda report: report.without(ELSEWHERE))

    def privilegedStartService(self) -> None:
        """Open the listeners. Raises `ConfigError`."""
        super().privilegedStartService()
        self._connections.reopen()
        try:
            for text in self._settings.listen:
                self._open(text)
        except BaseException:
            self._close_ports()
            raise

    def startService(self) -> None:
        """Serve; what listens when all services have started is what has to go on listening."""
        super().startService()
        self._context.reactor.callWhenRunning(self._checks.started)

    def stopService(self) -> Deferred[None]:
        """Close the listeners and their connections; fires when all are closed."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for closed in self._close_ports():
            await closed
        await self._connections.close_all()

    def _make_site(self) -> None:
        reactor, tree = self._context.reactor, Tree()
        tree.add("/metrics", MetricsResource(self.exposition, self._bearer))
        tree.add("/healthz", Healthz())
        tree.add("/readyz", Readyz(self.report, self._bearer))
        tree.add("/readyz/own", Readyz(self.own_report, self._bearer))
        bounds = DoorwaySettings(max_connections=MAX_CONNECTIONS, max_body_bytes=1024)
        own = Metrics()  # what Prometheus itself asks is not counted among the calls of people
        self._connections = Connections(reactor, bounds, own)
        self._factory = PlainFactory(reactor, self._connections, DoorSite(reactor, tree, bounds, own))

    def _open(self, text: str) -> None:
        for port in open_listeners(self._context.reactor, "listen", text, self._factory, section="metrics"):
            here: Any = port.getHost()
            host = getattr(here, "host", "")
            listener = Listener("metrics", "tcp", host or text, getattr(here, "port", 0))
            self._ports.append((port, listener))
            self._context.doorway.directory.opened(listener)
            if host and not ipaddress.ip_address(host.partition("%")[0]).is_loopback and self._settings.token is None:
                self._log.warn("[metrics] listen: {endpoint} is no loopback address and there is no token, so that whoever "
                               "reaches the port may read the figures; set token, or a firewall", endpoint=text)

    def _close_ports(self) -> list[Deferred[Any]]:
        ports, self._ports = self._ports, []
        for _, listener in ports:
            self._context.doorway.directory.closed(listener)
        return [maybeDeferred(port.stopListening) for port, _ in ports]

    def _announce(self, metrics: Metrics) -> None:
        metrics.gauge("daemon", "build_info", "1, with the versions as labels.", lambda: 1,
                      version=__version__, python=platform.python_version())
        for name in NAMES:
            metrics.gauge("daemon", "ready", "1 if this check of /readyz found nothing wrong when it was made last, else 0; "
                          "NaN before.", lambda name=name: self._found(name), check=name)  # type: ignore[misc] # bound now
        metrics.before_reading(self._look_again)

    def _found(self, name: str) -> float:
        return math.nan if self.readiness.last is None else float(not self.readiness.last.found[name])

    def _look_again(self) -> None:
        """What is read now is what was found at the reading before; the next one has what is found now."""
        if self.running:
            self.readiness.report()

    def _samples(self) -> Iterator[Sample]:
        yield from process.samples(self._began_at)
        yield from self._context.metrics.samples()

    def _reload(self, old: Settings, new: Settings) -> list[str]:
        self._bearer.token = new.token
        return [key for key in changes(old, new) if key not in _KEPT]


def makeService(context: Context, settings: Settings) -> IService:
    """See `IServicePlugin`."""
    return MonitoringService(context, settings)
