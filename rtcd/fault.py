"""`ConfigError`: the operator's mistake. Whoever finds one says what is wrong and how to mend it, in one line."""

from __future__ import annotations


class ConfigError(Exception):
    """The operator's mistake, said in one line: ``[section] key: what is wrong; how to mend it``.

    ``line`` is the line of the ini that it is about, 0 if none is; ``source`` names what else it was read from, such as an
    environment variable, and is empty for the ini.
    """

    def __init__(self, section: str, key: str, text: str, *, line: int = 0, source: str = "") -> None:
        where = f"[{section}] {key}: " if key else f"[{section}]: " if section else ""
        self.text = " ".join(text.split())
        super().__init__(f"{where}{self.text}" if self.text else where.rstrip())
        self.section = section
        self.key = key
        self.line = line
        self.source = source

    def said(self, file: str) -> str:
        """The whole line, with what it was read from in front: ``file``, unless it was something else."""
        return f"{self.source or file}: {self}"


class AlreadySaid(Exception):
    """What another process of this daemon could not start with; it has told the operator, so nothing is left to say."""
