"""Which path of the web site is whose, told of the ini alone, and which of them are meant for two."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from rtcd.fault import ConfigError

PATHS = {
    "doorway": ("/ca.crt", "/ca.mobileconfig", "/install", "/.well-known/acme-challenge"),
    "web": ("/", "/r", "/join", "/message", "/leave", "/report", "/params", "/a", "/qr.svg", "/manifest.webmanifest",
            "/offline.html", "/sw.js", "/static", "/params.html", "/help.html", "/robots.txt", "/favicon.ico"),
    "signaling": ("/status",),
    "ice": ("/v1alpha/iceconfig", "/turn"),
    "check": ("/check", "/check/start", "/check/report"),
    "metrics": ("/healthz", "/readyz", "/readyz/own"),
    "admin": ("/admin",),
}
"""What each section serves in any case, or by its settings (metrics, admin); signalling's paths are in the ini."""

OPENING = frozenset(("web", "signaling", "ice", "check"))
"""Services that are a reason to open the web listeners, whatever their settings are."""

OWN = frozenset((*PATHS, "turn"))
"""Services of ours, besides the doorway. Of others it cannot be told without them what they need."""


def prefix_taken(prefix: str) -> ConfigError:
    """An address below a path that begins like one of ours."""
    return ConfigError("doorway", "public-url", f"{prefix} begins like a path of our own, so that nobody could tell whether"
                       " the proxy has taken it off; choose another path")


def path_faults(settings: Mapping[str, Any], present: Collection[str]) -> list[ConfigError]:
    """The paths of ``[signaling]`` and the prefix of ``[doorway] public-url`` that are somebody's already. ``settings``,
    ``present``: as for `rtcd.together.lacking`."""
    taken = {_parts(path): section for section, paths in PATHS.items() if _serves(section, settings, present)
             for path in paths}
    signaling, door, faults = settings.get("signaling"), settings.get("doorway"), []
    for key, path in (("path", signaling.path), ("post-path", signaling.post_path)) if signaling is not None else ():
        section = taken.setdefault(_parts(path), "signaling")
        if section != "signaling" or _parts(path) == ("status",):
            faults.append(ConfigError("signaling", key, f"the path {path} is served by [{section}] already; choose another"))
    prefix = urlsplit(door.public_url).path.rstrip("/") if door is not None and door.public_url else ""
    if prefix and _parts(prefix)[0] in {one[0] for one in taken if one}:
        faults.append(prefix_taken(prefix))
    return faults


def opens_web(settings: Mapping[str, Any], present: Collection[str]) -> bool:
    """Whether the web listeners are opened: for a service that has something behind them, or for a certificate by ACME that
    ``[turn]`` shows. ``settings``, ``present``: as for `rtcd.together.lacking`."""
    turn, tls = settings.get("turn"), settings.get("tls")
    proves = turn is not None and bool(turn.tls or turn.dtls) and tls is not None and tls.mode == "acme"
    return bool(OPENING & set(present)) or proves or _serves("admin", settings, present)


def may_open_web(settings: Mapping[str, Any], services: Collection[str]) -> bool:
    """The same, where a service of another package is among ``services``: it is taken to have something there, as most
    have."""
    return opens_web(settings, services) or not OWN.issuperset(services)


def _serves(section: str, settings: Mapping[str, Any], present: Collection[str]) -> bool:
    own = settings.get(section)
    if section == "doorway":
        return True
    if section == "metrics":
        return own is not None and bool(own.health)
    if section == "admin":
        return own is not None and bool(own.public)
    return section in present


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)
