"""What was wrong in the original, in plain words: of coturn here, of the rest in rtcd.importer.sitefaults.

A fault that shows only between two files is said of both; with one of them missing it is said as what it depends on.
"""

from __future__ import annotations

import ipaddress

from rtcd.importer.coturn import GONE, RULES
from rtcd.importer.facts import Facts, TurnFile
from rtcd.importer.relay import DEFAULT_RANGE, MIN_SECRET_CHARS, is_placeholder, near_placeholder, said
from rtcd.importer.report import Report, Where
from rtcd.importer.turnserver import Option
from rtcd.weak import weakness

GUIDES_FIREWALL = "80, 443, 3478, 8080, 8089"
"""What the lists in guides open."""


def turn_faults(turn: TurnFile, facts: Facts, report: Report) -> None:
    """Everything that is wrong in one configuration of coturn."""
    for check in (_users_ignored, _static_only, _passwords, _secrets, _realm, _unknown, _firewall, _certificate, _private,
                  _open):
        check(turn, facts, report)


def _users_ignored(turn: TurnFile, facts: Facts, report: Report) -> None:
    secret, users = turn.all("use-auth-secret", "static-auth-secret"), turn.all("user")
    if secret and users:
        lines = ", ".join(str(one.line) for one in [*turn.all("lt-cred-mech"), *users])
        report.fault(turn.at(secret[0]), said(secret[0]), f"it turns users off: together with lt-cred-mech and user= (line"
                     f"{'s' if ',' in lines else ''} {lines}) coturn takes time-limited names alone and ignores the users. "
                     "Here both work side by side")


def _static_only(turn: TurnFile, facts: Facts, report: Report) -> None:
    """A relay that knows users only, and a service that signs."""
    users = turn.all("user")
    if not users or turn.all("use-auth-secret", "static-auth-secret"):
        return
    signing = [one for one in facts.ice if one.signs]
    shown = said(users[0])
    if signing:
        at = Where(signing[0].file, signing[0].secret_line)
        report.fault(turn.at(users[0]), shown, f"the relay knows this user and no secret, while the ICE service ({at}) "
                     "signs its names with HMAC: such a name never verifies, and every relay ends in 401. Here one "
                     "program issues and checks")
        report.fault(at, "", f"the names are signed with HMAC, which the relay of {turn.at(users[0])} does not check: it "
                     "has static users (-a -u), no use-auth-secret")
    else:
        report.fault(turn.at(users[0]), shown, "the relay knows static users and no secret. An ICE service like AppRTC's "
                     "signs its names with HMAC (use-auth-secret), and those never verify here: every relay ends in 401. "
                     "rtcd issues and checks in one program")


def _passwords(turn: TurnFile, facts: Facts, report: Report) -> None:
    seen: dict[str, Option] = {}
    for name, password, option in turn.users:
        if name in seen:
            report.fault(turn.at(option), said(option), f"{name} is on line {seen[name].line} already; one name has one "
                         "password")
        seen[name] = option
        why = "" if password.startswith("0x") else weakness(password, [name])
        if why:
            report.fault(turn.at(option), said(option), f"a weak password: it {why}, and whoever tries it uses your relay")


def _secrets(turn: TurnFile, facts: Facts, report: Report) -> None:
    for option in turn.all("static-auth-secret"):
        names = [name for name, _, _ in turn.users if name.lower() == option.value.lower()]
        if names:
            report.fault(turn.at(option), said(option), f"the secret is the same as the user name {names[0]}, which "
                         "everybody sees who calls: anyone can sign credentials with it")
        elif len(option.value) < MIN_SECRET_CHARS or weakness(option.value):
            report.fault(turn.at(option), said(option), f"a weak secret: it {_short(option.value)}, and can be found by "
                         "trying it on one credential that one has been given")


def _short(text: str) -> str:
    return weakness(text) or f"has {len(text)} characters only"


def _realm(turn: TurnFile, facts: Facts, report: Report) -> None:
    option = turn.last("realm")
    if option is None:
        return
    realm, near = option.value, near_placeholder(option.value)
    names = [name for one in facts.nginx for server in one.servers for name in server.names]
    if "<" in realm or ">" in realm:
        report.fault(turn.at(option), said(option), "the angle brackets are the guide's, to be replaced with what stands in"
                     " them: keys made for the realm without them do not verify")
    elif near:
        report.fault(turn.at(option), said(option), f"the realm looks misspelt: examples say {near}. Keys are made with the "
                     "realm, so those of a realm spelt otherwise do not verify, and neither name is yours")
    elif is_placeholder(realm):
        report.fault(turn.at(option), said(option), "the realm is that of an example and not yours; clients are shown it")
    elif names and realm not in names and any(_nearly(realm, name) for name in names):
        report.fault(turn.at(option), said(option), f"the realm looks misspelt: the site is called {', '.join(names)}")


def _nearly(one: str, other: str) -> bool:
    return sorted(one) == sorted(other) or (abs(len(one) - len(other)) == 1 and (one in other or other in one))


def _unknown(turn: TurnFile, facts: Facts, report: Report) -> None:
    for option in turn.options:
        if option.name in GONE:
            report.fault(turn.at(option), said(option), f"coturn does not know this option since {GONE[option.name]}, and "
                         "only says so in its log. It is the default there now, and here")
        elif not option.known:
            report.fault(turn.at(option), said(option), "coturn has no such option, and passes it over")
        elif option.name in RULES and not RULES[option.name].flag and not option.value and option.name != "stale-nonce":
            report.fault(turn.at(option), said(option), "needs a value and has none")


def _firewall(turn: TurnFile, facts: Facts, report: Report) -> None:
    low, high = turn.last("min-port"), turn.last("max-port")
    if low is None and high is None:
        return
    first = low.value if low is not None else DEFAULT_RANGE[0]
    last = high.value if high is not None else DEFAULT_RANGE[1]
    at = low or high
    assert at is not None
    report.fault(turn.at(at), f"relay ports {first}-{last}", f"these UDP ports have to be open in the firewall too, of the "
                 f"cloud as well as of the machine; the lists that guides print ({GUIDES_FIREWALL}) leave them out, and "
                 f"then calls through the relay stay black. Run: ufw allow {first}:{last}/udp")


def _certificate(turn: TurnFile, facts: Facts, report: Report) -> None:
    cert, key = turn.last("cert"), turn.last("pkey")
    if cert is None:
        return
    looked = facts.machine.look(cert.value, key.value if key is not None else "", [])
    refused = "phones, and browsers that are told turns:, refuse a self-signed certificate without a word"
    if looked.self_signed:
        report.fault(turn.at(cert), said(cert), f"the certificate is self-signed: {refused}. rtcd gets one by ACME, or has "
                     "an authority of its own that a phone can be told to trust: /install")
    elif looked.self_signed is None:
        guides = "turn_server_cert" in cert.value or "self" in cert.value.lower()
        what = "by its name this is the self-signed certificate that guides have one make" if guides else (
            "it cannot be read here; if it is self-signed, as guides have one make it")
        report.fault(turn.at(cert), said(cert), f"{what}: {refused}. rtcd gets one by ACME, or has an authority of its own "
                     "that a phone can be told to trust: /install")


def _private(turn: TurnFile, facts: Facts, report: Report) -> None:
    if turn.all("external-ip"):
        return
    for option in turn.all("listening-ip", "relay-ip"):
        try:
            address = ipaddress.ip_address(option.value)
        except ValueError:
            continue
        if address.is_private and not address.is_unspecified:
            report.fault(turn.at(option), said(option), "a private address, and no external-ip (-X) that says which public "
                         "one leads to it: clients are offered a relay at an address that they cannot reach. rtcd finds the "
                         "public address by itself, [turn] external-ip = auto")


def _open(turn: TurnFile, facts: Facts, report: Report) -> None:
    option = turn.last("no-auth")
    if option is not None:
        report.fault(turn.at(option), said(option), "an open relay: anybody may send through it in your name, into your own "
                     "network as well. Here credentials are always asked for")
