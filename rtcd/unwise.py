"""What a configuration may say and should not: no reason not to start, but to tell whoever asks, or reads the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtcd.fault import ConfigError
from rtcd.together import cannot_share
from rtcd.weak import weakness
from rtcd.workers.count import AUTO

LOOPBACK = "allow-loopback-peers lets TURN clients reach services on this machine; it is for tests only"
DTLS = "[tls] minimum = {minimum} leaves no version of DTLS"


def unwise(settings: Mapping[str, Any], cores: int = 1) -> list[ConfigError]:
    """Section to settings in, warnings out. ``cores``: how many this machine lets us use, which is perhaps not the one that
    the configuration is for."""
    daemon, turn = settings.get("daemon"), settings.get("turn")
    found = []
    if daemon is not None and daemon.workers == AUTO:
        found = [ConfigError(one.section, one.key, f"where [daemon] workers = {AUTO} comes to {cores}, as here, the daemon "
                             f"does not start: {one.text}") for one in cannot_share(settings, cores)]
    if turn is None:
        return found
    if turn.allow_loopback_peers:
        found.append(ConfigError("turn", "allow-loopback-peers", LOOPBACK.partition(" ")[2]))
    if turn.allow_private_peers:
        found.append(ConfigError("turn", "allow-private-peers", "lets everybody with a credential reach the networks behind"
                                 " this machine; name the few peers that are meant in allowed-peers instead"))
    for line in turn.user:
        name, _, password = line.partition(":")
        why = "" if password.startswith("0x") else weakness(password, [name])
        if why:
            found.append(ConfigError("turn", "user", f"the password of {name} {why}, and who guesses it uses the relay; "
                                     "give him another"))
    return found
