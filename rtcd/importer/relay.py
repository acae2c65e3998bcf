"""From coturn's options to ``[turn]``, ``[credentials]`` and ``[tls]``, by the table in rtcd.importer.coturn.

What can be guessed is not taken over, what this machine has not (addresses, certificates) is written as a comment, so that
the daemon starts on the result. What was wrong is said by rtcd.importer.faults.
"""

from __future__ import annotations

from dataclasses import replace

from rtcd.importer.coturn import DENYING, RULES, SHORT_WITHOUT_MEANING
from rtcd.importer.draft import Draft
from rtcd.importer.facts import Machine, TurnFile
from rtcd.importer.report import Report, Where, hidden
from rtcd.importer.turnserver import Option
from rtcd.tls.names import is_address
from rtcd.weak import weakness

MIN_SECRET_CHARS = 16
"""What [credentials] secret takes at least."""

DEFAULT_RANGE = ("49152", "65535")
"""coturn's relay ports."""

SECRET = {"user", "static-auth-secret", "pkey-pwd", "stateless-nonce-secret", "cli-password", "psql-userdb", "mysql-userdb",
          "mongo-userdb", "redis-userdb", "redis-statsdb"}
"""Options whose value nobody is shown."""

PLACEHOLDERS = ("north.gov", "realm", "yourdomain", "your-domain", "yourdomain.com", "yourdomain.org", "mycompany.org",
                "example.com", "domain.com")
"""Realms of examples."""


def said(option: Option) -> str:
    """The option as it stands, without its secret; what nobody knows may be the name of one, misspelt."""
    known = option.name in RULES or option.short in SHORT_WITHOUT_MEANING
    if not option.value or (known and option.name not in SECRET):
        return option.said
    return replace(option, value=hidden(option.value if option.name == "user" else "")).said


def translate(turn: TurnFile, draft: Draft, report: Report, machine: Machine) -> None:
    """Put the options of one file into the draft."""
    draft.section("turn")
    _Translation(turn, draft, report, machine).run()


class _Translation:
    def __init__(self, turn: TurnFile, draft: Draft, report: Report, machine: Machine) -> None:
        self._turn = turn
        self._draft = draft
        self._report = report
        self._machine = machine

    def run(self) -> None:
        for option in self._turn.options:
            rule = RULES.get(option.name)
            if rule is None:
                self._unknown(option)
            elif rule.take == "copy" and (last := self._turn.last(option.name)) is not None and last is not option:
                self._drop(option, f"is there again on line {last.line}, which is the one that counts")
            elif rule.take == "own":
                getattr(self, "_" + option.name.replace("-", "_").lower())(option)
            elif not rule.take or rule.target is None:
                self._drop(option, rule.why)
            elif rule.take == "note":
                value = option.value or "yes"
                self._propose(rule.target, value, option, rule.why)
            elif option.value == "" and not rule.flag:
                self._drop(option, "has no value, so the default is in force")
            else:
                self._take(rule.take, rule.target, option)
        self._range()
        self._users()
        self._certificate()

    def _take(self, take: str, target: tuple[str, str], option: Option, value: str | None = None) -> None:
        section, key = target
        text = option.value if value is None else value
        text = {"yes": "yes", "no": "no"}.get(take, text)
        where = self._turn.at(option)
        if text.startswith(("#", ";")):
            (self._lose if target == DENYING else self._drop)(
                option, "cannot begin with # or ;, which is a comment in an ini")
            return
        if not (self._draft.add if take == "add" else self._draft.put)(section, key, text, where):
            other = self._draft.sections[section][key].found[0][1]
            self._drop(option, f"[{section}] {key} is set by {other} already, and can have one value only")
            return
        written = hidden(text if option.name == "user" else "") if option.name in SECRET else text
        self._report.keep(where, said(option), f"[{section}] {key} = {written}")

    def _drop(self, option: Option, why: str) -> None:
        self._report.drop(self._turn.at(option), said(option), why)

    def _lose(self, option: Option, why: str) -> None:
        self._report.lose(self._turn.at(option), said(option), why)

    def _propose(self, target: tuple[str, str], value: str, option: Option, why: str) -> None:
        section, key = target
        self._draft.propose(section, f"{key} = {value}")
        self._drop(option, f"proposed as a comment, [{section}] {key}: {why}")

    def _unknown(self, option: Option) -> None:
        if option.short and option.short in SHORT_WITHOUT_MEANING:
            why = "reads another file; give that to rtcd import as well" if option.short == "c" else "nothing to write"
        else:
            why = "coturn has no such option"
        self._drop(option, why)

    def _listening_ip(self, option: Option) -> None:
        self._address(option, ("turn", "listen"), {"0.0.0.0", "::"})

    def _relay_ip(self, option: Option) -> None:
        self._address(option, ("turn", "relay-ip"), set())

    def _external_ip(self, option: Option) -> None:
        _, slash, private = option.value.partition("/")
        if not option.value:
            self._drop(option, "has no value, so the default is in force")
        elif slash and is_address(private.strip()):
            self._address(option, ("turn", "external-ip"), set(), private.strip())
        else:
            self._take("add", ("turn", "external-ip"), option)

    def _address(self, option: Option, target: tuple[str, str], also: set[str], inner: str = "") -> None:
        """``inner``: the address of this machine in the value, if it is not the whole."""
        if (inner or option.value) in self._machine.addresses | also:
            self._take("add", target, option)
        else:
            self._propose(target, option.value, option, "this machine has no such address, and the daemon would not start; "
                          "without it every address of the machine is used")

    def _keep_address_family(self, option: Option) -> None:
        self._take("copy", ("turn", "default-family"), option, "keep")

    def _stale_nonce(self, option: Option) -> None:
        if option.value.isdigit() and 0 < int(option.value[:9]) <= 3600:
            self._take("copy", ("turn", "stale-nonce"), option)
        else:
            self._drop(option, "nonces are good for 600 seconds, and that is never off")

    def _no_tlsv1_2(self, option: Option) -> None:
        self._take("copy", ("tls", "minimum"), option, "1.3")

    def _verbose(self, option: Option) -> None:
        self._take("copy", ("log", "level"), option, "debug")

    def _realm(self, option: Option) -> None:
        """Written in `_users`, since keys are made with it."""

    def _user(self, option: Option) -> None:
        """Written in `_users`."""

    def _cert(self, option: Option) -> None:
        """Written in `_certificate`."""

    _pkey = _pkey_pwd = _cert

    def _static_auth_secret(self, option: Option) -> None:
        names = [name for name, _, _ in self._turn.users]
        why = weakness(option.value, names) or (
            f"has {len(option.value)} characters" if len(option.value) < MIN_SECRET_CHARS else "")
        if why:
            self._drop(option, f"it {why}; rtcd makes a secret of its own at the first start, or set [credentials] secret "
                       "to what this prints: openssl rand -base64 32")
        else:
            self._take("add", ("credentials", "secret"), option)

    def _range(self) -> None:
        """One end of the relay ports alone: the other is coturn's default, which is not ours."""
        low, high = self._turn.last("min-port"), self._turn.last("max-port")
        if (low is None) != (high is None):
            said_of = low or high
            assert said_of is not None
            self._take("copy", ("turn", "max-port" if high is None else "min-port"), said_of,
                       DEFAULT_RANGE[1] if high is None else DEFAULT_RANGE[0])

    def _users(self) -> None:
        """The users, of whom the last line of a name counts, and the realm, which their keys are made with."""
        users = {name: (password, option) for name, password, option in self._turn.users}
        keyed = False
        for name, password, option in self._turn.users:
            last, counts = users[name]
            why = "" if password.startswith("0x") else weakness(password, [name])
            if counts is not option:
                self._drop(option, f"{name} is there again on line {counts.line}, which is the one that counts")
            elif not name or not password:
                self._drop(option, "is not name:password")
            elif why:
                self._drop(option, f"the password {why}; browsers need no user, since rtcd gives each its own credentials. "
                           f"For somebody else: rtcd user add {name}")
            else:
                self._take("add", ("turn", "user"), option)
                keyed = keyed or last.startswith("0x")
        realm = self._turn.last("realm")
        if realm is None:
            return
        for other in self._turn.all("realm")[:-1]:
            self._drop(other, f"realm is there again on line {realm.line}, which is the one that counts")
        if keyed:
            self._take("copy", ("turn", "realm"), realm)
        elif is_placeholder(realm.value):
            self._drop(realm, "is from an example, and nobody who is taken over has a key that is made with it; the "
                       "default, rtcd, will do")
        else:
            self._take("copy", ("turn", "realm"), realm)

    def _certificate(self) -> None:
        cert, key, password = (self._turn.last(one) for one in ("cert", "pkey", "pkey-pwd"))
        certificate(self._draft, self._report, self._machine, [
            (self._turn.at(option), said(option), name, option.value) for name, option in (("cert", cert), ("key", key))
            if option is not None])
        if password is not None:
            self._drop(password, "write it into a file that only the daemon may read, and name that as [tls] "
                       "key-password-file")


def certificate(draft: Draft, report: Report, machine: Machine, said_of: list[tuple[Where, str, str, str]]) -> None:
    """Take the files of a certificate over if they are here and good; ``said_of`` has where, what, key and path."""
    paths = {key: path for _, _, key, path in said_of}
    if not paths:
        return
    if len(paths) < 2:
        why = "certificate and key belong together, and the other one is not named"
    elif not all(path.startswith("/") for path in paths.values()):
        why = "the path is relative to where the other program was started; write it from / on"
    else:
        why = machine.look(paths["cert"], paths["key"], hosts(draft)).reason
    taken = not why
    for where, what, key, path in said_of:
        if taken and draft.put("tls", key, path, where):
            report.keep(where, what, f"[tls] {key} = {path}")
        elif taken:
            report.drop(where, what, f"[tls] {key} is set already; name it on a line of its own if it is for another name")
        else:
            draft.propose("tls", f"{key} = {path}")
            report.drop(where, what, f"proposed as a comment, [tls] {key}: {why}. Without it rtcd gets a certificate by ACME"
                        " where it can, or makes one of its own: docs/certificates.md")


def hosts(draft: Draft) -> list[str]:
    """The names that a certificate has to be for."""
    return [url.split("://")[1].split("/")[0].split(":")[0] for url in draft.get("doorway", "public-url")]


def is_placeholder(realm: str) -> bool:
    """Whether the realm is left over from an example, or misspelt after one."""
    low = realm.lower()
    return "<" in low or ">" in low or low in PLACEHOLDERS or bool(near_placeholder(low))


def near_placeholder(realm: str) -> str:
    """Which example's realm this one is nearly; empty if none."""
    low = realm.lower()
    return next((one for one in PLACEHOLDERS if "." in one and one != low and _one_off(one, low)), "")


def _one_off(one: str, other: str) -> bool:
    """Whether at most two letters have to be put in, taken out or changed; both are short."""
    if abs(len(one) - len(other)) > 2 or len(other) > 64:
        return False
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one, 1):
        before, row = row, [index]
        for at, own in enumerate(other, 1):
            row.append(min(before[at] + 1, row[-1] + 1, before[at - 1] + (letter != own)))
    return row[-1] <= 2
