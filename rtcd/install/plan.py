"""What installing would do on a machine of which this and that is known, and what removing would. Rules only: `Facts` in,
`Plan` out, so that a second run, an upgrade and somebody's own changes are tables in a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rtcd.install.layout import PULLING, SERVICE, SOCKETS, STATE, Layout
from rtcd.install.receipt import Receipt, digest
from rtcd.install.steps import (
    Keep,
    MakeDirectory,
    Plan,
    Remove,
    RemoveDirectory,
    RemoveTree,
    Run,
    Step,
    Write,
)

PLUGINS = "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))"
"""Builds Twisted's list of plugins, which the daemon's user may not write later."""

PULLING_TEXT = f"""\
# Made by rtcd install --sockets: to start the service opens its sockets first, also after they have failed.
[Service]
Sockets={' '.join(SOCKETS)}
"""

SHIPPED_PREFIX = "/opt/rtcd/bin/"
"""As the shipped unit names the program."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the machine. ``files``: those of the layout that are there; ``directories`` likewise."""

    version: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    directories: frozenset[str] = frozenset()
    receipt: Receipt | None = None
    present: bool = False
    """The program of this version is at the prefix."""
    cached: bool = False
    """Its list of plugins is up to date."""
    environment: bool = False
    """There is a virtual environment at the prefix, of whatever version."""
    free: bool = True
    """There is nothing at the prefix, so that all of it can be ours."""
    source: str | None = None
    """A checkout, or what else pip can install this version from."""
    creator: str | None = "python3"
    """The interpreter that makes a virtual environment, if there is one that the service can run."""
    systemd: bool = True
    """It runs here, so that it can be told."""
    running: bool = False
    """The service is active."""
    handed: bool = False
    """The ini that is there takes its stream sockets from systemd."""
    closed: str | None = None
    """The ini that is there, or the folder on the way to it, that nobody but its owner and group may read."""


def installation(layout: Layout, facts: Facts, ini: str, units: Mapping[str, str], limits: str, *, sockets: bool) -> Plan:
    """Install, or upgrade. ``ini``: for where there is none; ``units``: the shipped ones by name; ``sockets``: let systemd
    hold the ports of HTTPS and HTTP, as it goes on doing if it has before."""
    before = facts.receipt or Receipt(facts.version)
    _readable(layout, facts, before)
    sockets = sockets or layout.unit(SOCKETS[0]) in before.files
    steps: list[Step] = [*_program(layout, facts)]
    left: list[str] = []
    enabled = _enabled(layout, facts, sockets)
    pulling = layout.unit(PULLING) if SOCKETS[0] in enabled else None
    steps += [MakeDirectory(one) for one in layout.directories
              if one not in facts.directories and (pulling or not layout.unit(PULLING).startswith(f"{one}/"))]
    if layout.ini in facts.files:
        steps.append(Keep(layout.ini, "yours, as it is"))
    else:
        steps.append(Write(layout.ini, ini.encode(), "every option with its default"))
    names = (SERVICE, *(SOCKETS if sockets else ()))
    texts = {layout.unit(one): units[one].replace(SHIPPED_PREFIX, f"{layout.prefix}/bin/") for one in names}
    if pulling:
        texts[pulling] = PULLING_TEXT
    for path, text in {**texts, layout.sysctl: limits}.items():
        steps += _ours(path, text.encode(), facts, before)
    commands = [*_commands(layout, facts, steps, [one for one in enabled if one not in before.enabled])]
    if layout.root or not facts.systemd:
        left += [one.text for one in commands]
    else:
        steps += commands
    if layout.root:
        left.insert(0, f"{layout.python} -c {PLUGINS!r}")
    if sockets and SOCKETS[0] not in enabled:
        left += [f"{layout.ini} opens its ports by itself: let it say https = systemd:domain=INET6:name=https and http ="
                 " systemd:domain=INET6:name=http in [doorway], then run: systemctl stop rtcd; systemctl enable --now"
                 f" {' '.join(SOCKETS)}; systemctl start rtcd"]
    if facts.running and (before.version != facts.version or any(not isinstance(one, Keep) for one in steps)):
        left.append("systemctl restart rtcd  (the daemon that runs is the one before; [daemon] drain-timeout lets its calls"
                    " end first)")
    receipt = record(facts, steps)
    if receipt != facts.receipt:
        steps.append(Write(layout.receipt, receipt.encode(), "what was made here, for --uninstall"))
    return Plan(tuple(steps), tuple(left))


def record(facts: Facts, done: Sequence[Step]) -> Receipt:
    """What is ours when these steps are done: all of a plan, or those before one that failed."""
    before = facts.receipt or Receipt(facts.version)
    commands = [one.command for one in done if isinstance(one, Run)]
    enabled = [unit for one in commands if one[:2] == ("systemctl", "enable")
               for unit in one[2:] if not unit.startswith("-")]
    return Receipt(
        facts.version, {**before.files, **{one.path: digest(one.data) for one in done if isinstance(one, Write)}},
        tuple(dict.fromkeys((*before.directories, *(one.path for one in done if isinstance(one, MakeDirectory))))),
        before.program or any(one[1:3] == ("-m", "venv") for one in commands),
        tuple(dict.fromkeys((*before.enabled, *enabled))))


def removal(layout: Layout, facts: Facts) -> Plan:
    """Take away what the receipt names and nobody has changed since. Raises ValueError with a sentence."""
    receipt = facts.receipt
    if receipt is None:
        raise ValueError(f"{layout.staged(layout.receipt)}: is not there, so nothing below {layout.prefix} was installed by"
                         " this command; name the --prefix that it was given")
    steps: list[Step] = []
    left: list[str] = []
    going = {path for path in layout.files if path in facts.files and receipt.files.get(path) == digest(facts.files[path])}
    program = receipt.program and facts.environment and not layout.packaged
    units = tuple(one for one in (*reversed(SOCKETS), SERVICE) if layout.unit(one) in going
                  or (layout.unit(one) in facts.files and (one in receipt.enabled or program)))
    told = facts.systemd and not layout.root
    if units and told:
        steps.append(Run(("systemctl", "disable", "--now", *units), "stop the daemon, and do not start it again"))
    for path in layout.files:
        if path in going:
            steps.append(Remove(path))
        elif path in facts.files:
            steps.append(Keep(path, "changed since it was installed" if path in receipt.files else "not made by installing"))
    if units and told:
        steps.append(Run(("systemctl", "daemon-reload"), "systemd forgets the units"))
    ours = [one for one in reversed(layout.directories) if one in receipt.directories and one in facts.directories]
    inside = [one for one in ours if one.startswith(f"{layout.prefix}/")]
    steps += [*(RemoveDirectory(one) for one in ours if one not in inside), Remove(layout.receipt)]
    if program:
        steps.append(RemoveTree(layout.prefix))
    else:
        steps += [RemoveDirectory(one) for one in inside]
    if not layout.root:
        left.append(f"rm -r {STATE} /var/lib/private/rtcd  (the daemon's own secrets and certificates, which are kept)")
    if layout.sysctl in receipt.files and not layout.root:
        left.append("net.core.rmem_max and net.core.wmem_max stay as they are until the machine starts again")
    return Plan(tuple(steps), tuple(left))


def _readable(layout: Layout, facts: Facts, before: Receipt) -> None:
    """Raises ValueError if the service could not read the ini that is there: it is nobody's user and in nobody's group.
    Whoever has a unit of their own has perhaps a user too."""
    unit = layout.unit(SERVICE)
    theirs = unit in facts.files and digest(facts.files[unit]) != before.files.get(unit)
    if facts.closed is not None and not theirs:
        raise ValueError(f"{facts.closed}: may not be read by everybody, so the service, whose user systemd makes, could not"
                         f" read {layout.ini}; write the secrets in it to files in {STATE}, and run: chmod o+rX"
                         f" {facts.closed}")


def _program(layout: Layout, facts: Facts) -> Iterator[Step]:
    """The program at its prefix, and the list of plugins. Raises ValueError if there is nothing to install it from."""
    if layout.root:
        return
    plugins = Run((layout.python, "-c", PLUGINS), "the list of plugins, which the daemon may not write later")
    if facts.present:
        yield Keep(f"{layout.prefix}/bin/twistd", f"rtcd {facts.version} is there")
        if not facts.cached:
            yield plugins
        return
    if layout.packaged:
        raise ValueError("rtcd is not in /usr, where only the distribution's packages belong; leave --prefix out, or stage"
                         " a package with --root")
    if facts.source is None:
        raise ValueError(
            f"rtcd {facts.version} is not in {layout.prefix}, and there is no checkout to install it from; run: "
            f"{facts.creator or 'python3'} -m venv {layout.prefix} && {layout.prefix}/bin/pip install THE-WHEEL && "
            f"{layout.prefix}/bin/rtcd install --prefix {layout.prefix}")
    if not facts.environment:
        if not facts.free:
            raise ValueError(f"{layout.prefix}: has other things in it, and no virtual environment; name a --prefix that is"
                             " empty or not there yet")
        if facts.creator is None:
            raise ValueError("no Python from 3.11 on that can make virtual environments and that the service sees; run: apt"
                             " install python3-venv")
        yield Run((facts.creator, "-m", "venv", layout.prefix), "a virtual environment for rtcd alone")
    again = ("--force-reinstall",) if facts.source.endswith(".whl") else ()  # or pip leaves one of the same number alone
    pip = (f"{layout.prefix}/bin/pip", "--disable-pip-version-check", "-q", "install", "--upgrade", *again)
    yield Run((*pip, facts.source), f"rtcd {facts.version} and the libraries that it needs")
    yield plugins


def _ours(path: str, data: bytes, facts: Facts, before: Receipt) -> Iterator[Step]:
    """A file that is ours to replace unless somebody else has written or changed it: then ours is put beside it."""
    present = facts.files.get(path)
    if present == data:
        yield Keep(path, "up to date")
        return
    if present is None or digest(present) == before.files.get(path):
        yield Write(path, data, "new" if present is None else f"as of rtcd {facts.version}")
        return
    beside = f"{path}.new"
    yield Keep(path, f"changed by hand; compare it with {beside}")
    if facts.files.get(beside) != data:
        yield Write(beside, data, f"as of rtcd {facts.version}")


def _enabled(layout: Layout, facts: Facts, sockets: bool) -> tuple[str, ...]:
    """Sockets only where the ini takes them, or daemon and systemd would both want the ports."""
    taken = facts.handed or layout.ini not in facts.files
    return (*SOCKETS, SERVICE) if sockets and taken else (SERVICE,)


def _commands(layout: Layout, facts: Facts, steps: Sequence[Step], fresh: Sequence[str]) -> Iterator[Run]:
    """What takes notice of the files that are written. A unit that was enabled once may have been disabled for a reason."""
    written = {one.path for one in steps if isinstance(one, Write)}
    if layout.sysctl in written:
        yield Run(("sysctl", "-q", f"--load={layout.sysctl}"), "these limits from now on", optional=True)
    if written & {layout.unit(one) for one in (SERVICE, PULLING, *SOCKETS)}:
        yield Run(("systemctl", "daemon-reload"), "systemd reads the units")
    if fresh:
        yield Run(("systemctl", "enable", *(() if facts.running else ("--now",)), *fresh),
                  "at every start of the machine" if facts.running else "now, and at every start of the machine")
