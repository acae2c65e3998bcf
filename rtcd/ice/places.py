"""`Places`: in which region a client is, from the files that the operator names: a list of networks, and a GeoIP database.

The files are read at the start and at a reload. The rules are rtcd.ice.regions'.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.logger import Logger

from rtcd.config import ConfigError
from rtcd.ice.regions import Networks, address_of, parse_codes, parse_networks, region_of
from rtcd.ice.settings import Settings

MAX_FILE_BYTES = 2**19
"""Of the list of networks, with its comments."""


class Places:
    """Asked for each answer. The list goes first."""

    _log = Logger()

    def __init__(self, networks: Networks, database: Any = None, codes: Any = None) -> None:
        """``database``: what has ``get(address)`` and ``close()``; ``codes``: what `rtcd.ice.regions.parse_codes` made."""
        self._networks = networks
        self._database = database
        self._codes = codes or {}
        self._damaged = False

    @property
    def regions(self) -> frozenset[str]:
        """All that it may answer."""
        return self._networks.regions | frozenset(self._codes.values())

    def region(self, host: str) -> str:
        """Empty if it is not known."""
        found = self._networks.region(host)
        if found or self._database is None:
            return found
        address = address_of(host)
        if address is None:
            return ""
        try:
            return region_of(self._database.get(address), self._codes)
        except Exception as error:  # whatever its reader stumbles over in a file
            if type(error) is not ValueError and not self._damaged:  # that: of the other family than the database has
                self._damaged = True  # the error's own text names the client
                self._log.warn("[ice] geoip: the database is damaged ({kind}), so that some clients are near to nobody; put"
                               " a whole one in its place and reload", kind=type(error).__name__)
            return ""

    def close(self) -> None:
        """Let go of the database."""
        if self._database is not None:
            self._database.close()


def read_places(settings: Settings) -> Places:
    """Read the files of the section. Raises `ConfigError`."""
    networks = Networks()
    if settings.regions:
        try:
            networks = parse_networks(_text(settings.regions))
        except OSError as error:
            raise ConfigError("ice", "regions", f"{settings.regions} cannot be read ({error.strerror}); check the path and"
                              " its rights") from None
        except ValueError as error:
            raise ConfigError("ice", "regions", f"{settings.regions}: {error}") from None
    database = _open(settings.geoip) if settings.geoip else None
    return Places(networks, database, parse_codes(settings.geoip_regions))


def _text(path: str) -> str:
    if not Path(path).is_file():  # a pipe would be waited for
        raise FileNotFoundError(2, "no such file")
    with open(path, encoding="utf-8-sig") as file:
        text = file.read(MAX_FILE_BYTES + 1)
    if len(text) > MAX_FILE_BYTES:
        raise ValueError(f"is longer than {MAX_FILE_BYTES} characters; join some of the networks, or use geoip")
    return text


def _open(path: str) -> Any:
    try:
        import maxminddb
    except ImportError:
        raise ConfigError("ice", "geoip", "needs the package maxminddb; install it with pip install 'rtcd[geoip]', or remove"
                          " the key") from None
    try:
        return maxminddb.open_database(path)
    except OSError as error:
        raise ConfigError("ice", "geoip", f"{path} cannot be read ({error.strerror or error}); check the path and its"
                          " rights") from None
    except (ValueError, maxminddb.InvalidDatabaseError):
        raise ConfigError("ice", "geoip", f"{path} is no database of MaxMind's format; name an .mmdb file with countries"
                          ) from None
