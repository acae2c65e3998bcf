"""What systemd and the daemon tell each other: readiness, reloads, the end, and the watchdog (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

STOP_S = 20
"""Seconds that the end itself may take; the shipped unit's TimeoutStopSec."""


class Notifier:
    """Sends state to the socket that systemd named; does nothing where there is none."""

    _log = Logger()

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environment)

    def notify(self, *states: str) -> None:
        """Send assignments such as ``READY=1``."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.sendto("\n".join(states).encode(), address)
        except OSError as error:
            self._log.warn("systemd cannot be told {states}: {reason}", states=states, reason=error.strerror)


class NotifyService(Service):
    """Tells systemd when the daemon is ready and when it ends; feeds the watchdog in between."""

    name = "systemd"

    def __init__(self, reactor: Any, notifier: Notifier) -> None:
        self._reactor = reactor
        self._notifier = notifier
        self._watchdog: LoopingCall | None = None

    def startService(self) -> None:
        """READY once the reactor runs: every port is open by then."""
        super().startService()
        self._reactor.callWhenRunning(self._ready)

    def stopService(self) -> None:
        """STOPPING, at once."""
        super().stopService()
        if self._watchdog is not None:
            self._watchdog.stop()
            self._watchdog = None
        self._notifier.notify("STOPPING=1")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notifier.notify("RELOADING=1", f"MONOTONIC_USEC={usec}")

    def ready(self) -> None:
        """The daemon serves with its present configuration."""
        self._notifier.notify("READY=1")

    def draining(self, limit_s: int, *, ending: bool) -> None:
        """Nothing new is taken. ``ending``: systemd has asked for the end, and is asked for so much time; had it not,
        to hear STOPPING would make it kill us after TimeoutStopSec."""
        states = [f"STATUS=Draining: calls go on, {f'for {limit_s} s at most' if limit_s else 'without a limit'}"]
        if ending:
            states += ["STOPPING=1", f"EXTEND_TIMEOUT_USEC={(limit_s + STOP_S) * 1_000_000}"]
        self._notifier.notify(*states)

    def _ready(self) -> None:
        if not self.running:
            return
        self.ready()
        if self._notifier.watchdog_s:
            self._watchdog = LoopingCall(self._notifier.notify, "WATCHDOG=1")
            self._watchdog.clock = self._reactor
            self._watchdog.start(self._notifier.watchdog_s / 2)


def _watchdog_s(environment: Mapping[str, str]) -> float:
    usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not usec.isdigit() or pid not in ("", str(os.getpid())):
        return 0.0
    return int(usec) / 1e6
