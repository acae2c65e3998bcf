"""A program, not a test: the TURN service on a machine in a cloud, played in a network namespace of its own.

``python -m tests.interop.in_cloud CLIENT``: the metadata service is where AWS has it, the service runs with the default
external-ip, and coturn's client, whose path is given, relays from one public address of ours to the other.
"""

from __future__ import annotations

import sys
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from twisted.web.server import Site

from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import make_context
from tests.shell.test_turn_metadata import aws

PRIVATE = "10.0.0.1"
"""Of the first interface, as the stand-in has it."""


async def play(reactor: Any, client: str) -> None:
    """Prints what the client says, and what clients were told."""
    known: Deferred[None] = Deferred()
    told: set[str] = set()

    def observe(event: Any) -> None:
        found = event["log_namespace"] == "rtcd.outside.outside.Outside" and event["log_level"] is LogLevel.info
        if found and not known.called:
            known.callback(None)
        elif "relayed" in event:
            told.add(event["relayed"].rpartition(":")[0])

    globalLogPublisher.addObserver(cast(ILogObserver, observe))
    reactor.listenTCP(80, Site(aws()), interface="169.254.169.254")
    service = TurnService(make_context(reactor), Settings(user=("u:p",), unauth_rate=0.0, rfc5766_channels=True))
    service.privilegedStartService()
    service.startService()
    await known
    out, errors, code = await getProcessOutputAndValue(
        client, ["-y", "-u", "u", "-w", "p", "-c", "-n", "5", "-m", "2", "-z", "5", PRIVATE])
    sys.stdout.write(f"{(out + errors).decode(errors='replace')}\ntold: {sorted(told)}, code: {code}\n")
    await service.stopService()


if __name__ == "__main__":
    react(lambda reactor, client: Deferred.fromCoroutine(play(reactor, client)), sys.argv[1:])
