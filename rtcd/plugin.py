"""`ServicePlugin`: what a file in ``twisted/plugins/`` holds to add a service to rtcd.

The plugin names its module as a string and imports it only when its section is used, so that reading all plugins
stays cheap. ``name = ServicePlugin("recorder", "acme.recorder", "Records rooms")`` in
``twisted/plugins/acme_rtcd.py`` is all that a third party writes besides its module.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from twisted.application.service import IService
from twisted.plugin import IPlugin, getPlugins
from zope.interface import implementer

from rtcd.config import ConfigError
from rtcd.context import Context
from rtcd.interfaces import IServicePlugin


@implementer(IPlugin, IServicePlugin)
class ServicePlugin:
    """A service by name: ``module`` holds its ``Settings`` dataclass and ``makeService(context, settings)``."""

    def __init__(self, name: str, module: str, description: str) -> None:
        self.name = name
        self.module = module
        self.description = description

    @property
    def settings(self) -> type[Any]:
        """The dataclass that describes the section; imports the module. May raise `ConfigError`."""
        found: type[Any] = self._load().Settings
        return found

    def makeService(self, context: Context, settings: Any) -> IService:
        """Build the service; imports the module. May raise `ConfigError`."""
        made: IService = self._load().makeService(context, settings)
        return made

    def _load(self) -> Any:
        try:
            return importlib.import_module(self.module)
        except ImportError as error:
            raise ConfigError(self.name, "", f"{self.module} cannot be imported ({error}); install what it needs, or "
                              "remove the section") from None


def plugins(found: Iterable[IServicePlugin] | None = None) -> dict[str, IServicePlugin]:
    """All service plugins by name. Raises `ConfigError` if two claim one name."""
    named: dict[str, IServicePlugin] = {}
    for plugin in getPlugins(IServicePlugin) if found is None else found:
        if plugin.name in named:
            raise ConfigError(plugin.name, "", "two installed plugins have this name; uninstall one")
        named[plugin.name] = plugin
    return named
