"""`Draft`: the ini that is being written. It knows sections, keys and comments, and where each key came from."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtcd.importer.report import Where

ORDER = ("daemon", "log", "doorway", "tls", "acme", "rooms", "credentials", "web", "signaling", "ice", "turn")
"""As in the shipped ini; sections that are not here would come last."""


@dataclass(slots=True)
class Entry:
    """One key: its values, and where they were found."""

    found: list[tuple[str, Where]] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The values; the same one twice is one."""
        return list(dict.fromkeys(value for value, _ in self.found))

    def wheres(self, value: str) -> list[Where]:
        """Where a value was found."""
        return [where for one, where in self.found if one == value]


@dataclass(slots=True)
class Draft:
    """Sections in any order; `text` puts them into theirs."""

    heading: list[str] = field(default_factory=list)
    sections: dict[str, dict[str, Entry]] = field(default_factory=dict)
    proposals: dict[str, list[str]] = field(default_factory=dict)

    def section(self, name: str) -> dict[str, Entry]:
        """Have the section, empty if it is new."""
        return self.sections.setdefault(name, {})

    def get(self, section: str, key: str) -> list[str]:
        """The values of a key; none if it is not set."""
        entry = self.sections.get(section, {}).get(key)
        return list(entry.lines) if entry is not None else []

    def put(self, section: str, key: str, value: str, where: Where) -> bool:
        """Set a key that has one value; False if it is set otherwise already, and stays so."""
        value = " ".join(value.split())  # a quoted value of nginx may have lines, and a line here is another key
        entry = self.section(section).setdefault(key, Entry())
        if entry.lines and entry.lines != [value]:
            return False
        entry.found.append((value, where))
        return True

    def add(self, section: str, key: str, value: str, where: Where) -> bool:
        """One more value of a key that has several; the same one twice is one."""
        value = " ".join(value.split())
        entry = self.section(section).setdefault(key, Entry())
        entry.found.append((value, where))
        return True

    def propose(self, section: str, text: str) -> None:
        """A comment in the section, if the section comes to be."""
        text = " ".join(text.split())
        said = self.proposals.setdefault(section, [])
        if text not in said:
            said.append(text)

    def remove(self, section: str, key: str, value: str) -> list[Where]:
        """Take a value out again, and the key if it has no other; where the value was found."""
        entry = self.sections[section][key]
        wheres = entry.wheres(value)
        entry.found = [(one, where) for one, where in entry.found if one != value]
        if not entry.found:
            del self.sections[section][key]
        return wheres

    def cut(self, section: str, key: str, count: int) -> Draft:
        """Another draft, in which the key has no more than its first ``count`` values."""
        entry = self.sections[section][key]
        kept = entry.lines[:count]
        keys = {one: Entry([pair for pair in each.found if pair[0] in kept]) if one == key else each
                for one, each in self.sections[section].items() if one != key or kept}
        return Draft(self.heading, {**self.sections, section: keys}, self.proposals)

    def text(self) -> str:
        """The ini."""
        lines = [f"# {one}".rstrip() for one in self.heading]
        names = [*(one for one in ORDER if one in self.sections or one in self.proposals),
                 *(one for one in self.sections if one not in ORDER)]
        for name in names:
            lines += ["", f"[{name}]" if name in self.sections or name in ORDER[:7] else f"# [{name}]"]
            for key, entry in self.sections.get(name, {}).items():
                one = len(entry.lines) == 1
                lines.append(f"{key} = {entry.lines[0]}" if one else f"{key} =")
                lines += [] if one else [f"    {value}" for value in entry.lines]
            lines += [f"# {one}" for one in self.proposals.get(name, [])]
        return "\n".join(lines) + "\n"
