"""Runs the checks, all at once, each in a thread of its own and with a deadline; what is late is told of and left behind.

What a check looks at is its module in rtcd.doctor.facts, and what that means its module in rtcd.doctor.checks.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from rtcd.doctor.checks import certificate as certificate_check
from rtcd.doctor.checks import clock as clock_check
from rtcd.doctor.checks import configuration as configuration_check
from rtcd.doctor.checks import daemon as daemon_check
from rtcd.doctor.checks import firewall as firewall_check
from rtcd.doctor.checks import limits as limits_check
from rtcd.doctor.checks import names as names_check
from rtcd.doctor.checks import nat as nat_check
from rtcd.doctor.checks import plane as plane_check
from rtcd.doctor.checks import ports as ports_check
from rtcd.doctor.checks import relay as relay_check
from rtcd.doctor.checks import state as state_check
from rtcd.doctor.checks import store as store_check
from rtcd.doctor.checks import websocket as websocket_check
from rtcd.doctor.facts import (
    certificate,
    clock,
    firewall,
    limits,
    names,
    outside,
    plane,
    ports,
    relay,
    state,
    store,
    websocket,
)
from rtcd.doctor.facts.subject import Once, Subject
from rtcd.doctor.finding import Finding, degraded

Check = Callable[[], list[Finding]]


def checks(subject: Subject, monotonic: Callable[[], float]) -> dict[str, Check]:
    """Every check of a subject by its name. Facts that are None mean that there is nothing to check."""
    subject = replace(subject, discovered=Once(lambda: outside.discover(subject)))

    def of(gather: Callable[[], Any], judge: Callable[[Any], list[Finding]]) -> Check:
        def check() -> list[Finding]:
            facts = gather()
            return judge(facts) if facts is not None else []

        return check

    return {
        "configuration": of(lambda: subject.configuration.facts, configuration_check.judge),
        "daemon": of(lambda: subject.daemon, daemon_check.judge),
        "state": of(lambda: state.gather(subject), state_check.judge),
        "store": of(lambda: store.gather(subject), store_check.judge),
        "ports": of(lambda: ports.gather(subject), ports_check.judge),
        "firewall": of(lambda: firewall.gather(subject), firewall_check.judge),
        "names": of(lambda: names.gather(subject), names_check.judge),
        "certificate": of(lambda: certificate.gather(subject), certificate_check.judge),
        "clock": of(lambda: clock.gather(subject), clock_check.judge),
        "nat": of(lambda: outside.gather(subject), nat_check.judge),
        "relay": of(lambda: relay.gather(subject, monotonic), relay_check.judge),
        "websocket": of(lambda: websocket.gather(subject), websocket_check.judge),
        "plane": of(lambda: plane.gather(subject), plane_check.judge),
        "limits": of(lambda: limits.gather(subject), limits_check.judge),
    }


def examine(
    checks: dict[str, Check], only: Collection[str], monotonic: Callable[[], float], timeout_s: float
) -> list[Finding]:
    """What they find within ``timeout_s``, which each of them has, since all begin at once. ``only``: their names; empty for
    all.

    A check that is late goes on by itself and keeps nobody: its thread ends with the process.
    """
    chosen = {name: check for name, check in checks.items() if not only or name in only}
    done: queue.Queue[tuple[str, list[Finding]]] = queue.Queue()
    for name, check in chosen.items():
        threading.Thread(target=lambda name=name, check=check: done.put((name, _run(name, check))), daemon=True).start()
    found: dict[str, list[Finding]] = {}
    deadline = monotonic() + timeout_s
    while len(found) < len(chosen):
        try:
            name, findings = done.get(timeout=max(0.0, deadline - monotonic()))
        except queue.Empty:
            break
        found[name] = findings
    late = [degraded("doctor.late", check=name, seconds=f"{timeout_s:.0f}") for name in chosen if name not in found]
    return [one for name in chosen for one in found.get(name, [])] + late


def _run(name: str, check: Check) -> list[Finding]:
    try:
        return check()
    except Exception as error:  # ours; one check that fails must not silence the others
        return [degraded("doctor.failed", check=name, reason=f"{type(error).__name__}: {error}")]
