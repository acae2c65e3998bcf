"""The steps of installing and removing: plain records that say what they do in one line. rtcd.install.doing does them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """A folder that everybody may read."""

    path: str

    def __str__(self) -> str:
        return f"make    {self.path}/"


@dataclass(frozen=True, slots=True)
class Write:
    """A file of ours, new or in place of an older one of ours."""

    path: str
    data: bytes
    why: str

    def __str__(self) -> str:
        return f"write   {self.path}  ({self.why})"


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing is done about this path."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"keep    {self.path}  ({self.why})"


@dataclass(frozen=True, slots=True)
class Run:
    """A command. ``optional``: what it would do can wait, so its failure ends nothing."""

    command: tuple[str, ...]
    why: str
    optional: bool = False

    def __str__(self) -> str:
        return f"run     {self.text}  ({self.why})"

    @property
    def text(self) -> str:
        """As one types it."""
        return shlex.join(self.command)


@dataclass(frozen=True, slots=True)
class Remove:
    """A file that was made by installing and is as it was made."""

    path: str

    def __str__(self) -> str:
        return f"remove  {self.path}"


@dataclass(frozen=True, slots=True)
class RemoveDirectory:
    """A folder that was made by installing, if nothing else is in it by then."""

    path: str

    def __str__(self) -> str:
        return f"remove  {self.path}/  (if it is empty)"


@dataclass(frozen=True, slots=True)
class RemoveTree:
    """The virtual environment that was made by installing, with all that is in it."""

    path: str

    def __str__(self) -> str:
        return f"remove  {self.path}/  (the virtual environment that was made for rtcd)"


Step = MakeDirectory | Write | Keep | Run | Remove | RemoveDirectory | RemoveTree


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in this order, and what is left to whoever has asked for it: commands and sentences."""

    steps: tuple[Step, ...]
    left: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that do something."""
        return tuple(one for one in self.steps if not isinstance(one, Keep))
