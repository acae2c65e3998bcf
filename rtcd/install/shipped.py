"""The files that are shipped beside the program: systemd's units, and the ini for a machine of its own.

A wheel has the units in this package, where setup.py puts them; a checkout has them in ``systemd/``.
"""

from __future__ import annotations

from pathlib import Path

from rtcd.config import ConfigError
from rtcd.install.layout import SERVICE, SOCKETS

HERE = Path(__file__).parent
PACKAGED = HERE / "units"
CHECKOUT = HERE.parents[1]

PORTS = {"https": "tcp:443", "http": "tcp:80"}
"""The unit may open these; the ini's defaults are for who may not."""
HANDED = {key: f"systemd:domain=INET6:name={key}" for key in PORTS}
"""The same ports, opened by systemd."""


def checkout() -> Path | None:
    """The checkout that this is, if it is one: what pip can install from."""
    return CHECKOUT if (CHECKOUT / "setup.cfg").exists() and (CHECKOUT / "systemd").is_dir() else None


def units() -> dict[str, str]:
    """The text of each unit by its name. Raises `ConfigError`."""
    folder = PACKAGED if PACKAGED.is_dir() else CHECKOUT / "systemd"
    try:
        return {name: (folder / name).read_text(encoding="utf-8") for name in (SERVICE, *SOCKETS)}
    except OSError as error:
        raise ConfigError("", "", f"{error.filename}: cannot be read ({error.strerror}); install rtcd again") from None


def ini(public_url: str, *, sockets: bool) -> str:
    """The ini of a new installation: every option a comment with its default, but for the ports and the address."""
    from rtcd.sample import shipped  # knows every service, so whoever asks for the units alone does without

    text = shipped().replace("twistd -n rtcd --config etc/rtcd.ini", "twistd -n rtcd --config /etc/rtcd/rtcd.ini")
    for key, value in {**(HANDED if sockets else PORTS), **({"public-url": public_url} if public_url else {})}.items():
        text = _put(text, "doorway", key, value)
    return text


def _put(text: str, section: str, key: str, value: str) -> str:
    """The text with an option that is a comment in it written out."""
    before, head, after = text.partition(f"[{section}]\n")
    lines = after.split("\n")
    index = next(index for index, line in enumerate(lines) if line == f"# {key} =" or line.startswith(f"# {key} = "))
    lines[index] = f"{key} = {value}"
    return before + head + "\n".join(lines)
