"""What sections ask of each other, and what each of them alone cannot know: said by the services when they start, and by
`lacking` of the ini alone, in the same words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from rtcd.clashes import port_faults
from rtcd.endpoints import listening
from rtcd.fault import ConfigError
from rtcd.served import opens_web, path_faults
from rtcd.workers.count import parse
from rtcd.workers.shares import Place, ports


def no_service(names: Iterable[str]) -> ConfigError:
    """Nothing is turned on."""
    return ConfigError("", "", f"no service is turned on; add one of {', '.join(f'[{one}]' for one in sorted(names))}")


def no_signalling() -> ConfigError:
    """A call page without it."""
    return ConfigError("web", "", "its calls need signalling, which is off; add a [signaling] section")


def nowhere_to_redirect() -> ConfigError:
    """Former names without a present one."""
    return ConfigError("web", "redirect-hosts", "there is nowhere to redirect to; set [doorway] public-url")


def no_turn_server() -> ConfigError:
    """Credentials for nobody."""
    return ConfigError("ice", "servers", "no TURN server runs here and none is named; add a [turn] section or name the"
                       " servers")


def secret_of_others() -> ConfigError:
    """Credentials that nobody can check."""
    return ConfigError("credentials", "secret", "the TURN servers of [ice] servers run elsewhere and cannot know the secret"
                       " made here; set the one that they have")


def no_package(name: str) -> ConfigError:
    """Rooms at a place that nobody here can speak to."""
    return ConfigError("rooms", "store", f"rooms on Redis need the Python package {name}; run: pip install 'rtcd[cluster]'")


def no_listener() -> ConfigError:
    """Services behind a door that is not there."""
    return ConfigError("doorway", "https", "there is no listener for the services behind it; add tcp:8443")


def cannot_share(settings: Mapping[str, Any], count: int) -> list[ConfigError]:
    """What so many workers cannot do together. ``settings``: section to settings, as `lacking` has them."""
    found: list[ConfigError] = []
    if count < 2:
        return found
    for section, key, text in listening(settings):
        if not text.startswith(("tcp:", "unix:")):
            found.append(ConfigError(section, key, f"{text!r} is one socket, which [daemon] workers cannot share; write it "
                                     "like tcp:443, or set workers = 1"))
    turn = settings.get("turn")
    for text in turn.listen if turn is not None else ():
        if text.startswith("systemd:"):
            found.append(ConfigError("turn", "listen", f"{text!r} is one socket, which [daemon] workers cannot share; name "
                                     "addresses, or set workers = 1"))
    if turn is not None and not turn.stun_only:
        try:
            ports(turn.min_port, turn.max_port, Place(1, count))
        except ValueError as error:
            found.append(ConfigError("turn", "max-port", str(error)))
    for key in ("tcp-relay", "mobility"):
        if turn is not None and getattr(turn, key.replace("-", "_")):
            found.append(ConfigError("turn", key, "a client's next connection or address may come to another worker, which "
                                     "does not have its allocation; turn it off, or set [daemon] workers = 1"))
    daemon = settings.get("daemon")
    if turn is not None and turn.relay_plane == "kernel" and daemon is not None and daemon.user:
        found.append(ConfigError("turn", "relay-plane", "kernel takes rights that a worker which is started again would not "
                                 "have, since [daemon] user drops them; set auto, or run it by systemd/rtcd.service"))
    return found


def no_tls() -> ConfigError:
    """A certificate for nobody."""
    return ConfigError("tls", "mode", "is acme, and nothing here speaks TLS that a certificate would be for; open [doorway]"
                       " https, or leave it out")


def no_dtls() -> ConfigError:
    """A version of TLS that there is no DTLS of."""
    return ConfigError("turn", "dtls", "is DTLS 1.2, which [tls] minimum rules out; set that to 1.2 or dtls = no")


def no_relay_address(error: ValueError) -> ConfigError:
    """An address for nobody."""
    return ConfigError("turn", "external-ip", f"{error}; write public/private with a relay address")


def lacking(settings: Mapping[str, Any], present: Collection[str], services: Iterable[str]) -> list[ConfigError]:
    """The faults of the whole. ``settings``: section to settings, without those that have a fault of their own, of which
    nothing is said; ``present``: all sections that there are, ``services``: all that there could be."""
    known = set(services)
    if not known & set(present):
        return [no_service(known)]
    daemon = settings.get("daemon")
    faults = cannot_share(settings, parse(daemon.workers)) if daemon is not None else []
    web, door, ice, credentials = (settings.get(one) for one in ("web", "doorway", "ice", "credentials"))
    if "web" in present and "signaling" in known and "signaling" not in present:
        faults.append(no_signalling())
    if web is not None and web.redirect_hosts and door is not None and door.public_url is None:
        faults.append(nowhere_to_redirect())
    if ice is not None and "turn" not in present:
        if not ice.servers:
            faults.append(no_turn_server())
        elif credentials is not None and not credentials.secret:
            faults.append(secret_of_others())
    turn, tls = settings.get("turn"), settings.get("tls")
    demanded, own_tls = tls is not None and tls.mode == "acme", turn is not None and (turn.tls or turn.dtls)
    if door is not None:
        opens = opens_web(settings, present)
        if not (door.https or door.plain) and opens:
            faults.append(no_listener())
        elif opens and demanded and not (door.https or own_tls) and (turn is not None or "turn" not in present):
            faults.append(no_tls())
    if turn is not None and turn.dtls and tls is not None and tls.minimum != "1.2":
        faults.append(no_dtls())
    return [*faults, *path_faults(settings, present), *port_faults(settings, present)]
