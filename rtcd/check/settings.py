"""The ``[check]`` section."""

from __future__ import annotations

from dataclasses import dataclass

from rtcd.config import option


@dataclass(frozen=True, slots=True)
class Settings:
    """The page /check, which tries every path between a browser and this daemon and says which firewall is in the way."""

    rate: float = option(
        6.0, "Checks a minute from one IPv4 address or IPv6 /56, and as many at once; 0: no limit.", minimum=0)
    results: int = option(
        100, "Results kept in memory for those who look after the daemon, with shortened addresses.", minimum=1,
        maximum=10000)
