"""What was wrong in AppRTC's constants, in its ICE service and in nginx, in plain words; see rtcd.importer.faults."""

from __future__ import annotations

import re

from rtcd.importer.facts import ConstantsFile, Facts, IceFile, IceServer, NginxFile, NginxServer, Url, port_of
from rtcd.importer.iceservice import time_of
from rtcd.importer.report import Report, Where
from rtcd.weak import weakness

COLLIDER_PORT = 8089
ROOM_PORT = 8080
"""Where guides put it."""

USUAL_PORTS = {80, 443}
"""Where guides have nginx listen."""

KEY = re.compile(r"0x(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{64})")
"""What ``turnadmin -k`` prints."""

SLACK_S = 60


def ice_faults(ice: IceFile, facts: Facts, report: Report) -> None:
    """Of an answer of an ICE service."""
    for server in ice.servers:
        _expiry(ice, server, facts, report)
        _transport(ice.file, server, report)
    if ice.url is not None and ice.url.text.startswith("http://"):
        report.fault(Where(ice.file, ice.url.line), ice.url.text, "plain http: a page that came by https may not ask there "
                     "(mixed content), so it gets no relay. rtcd answers at the page's own address")
    if ice.secret and (why := weakness(ice.secret)):
        report.fault(Where(ice.file, ice.secret_line), "the secret", f"a weak secret: it {why}; with it anyone signs "
                     "credentials for the relay")


def constants_faults(constants: ConstantsFile, facts: Facts, report: Report) -> None:
    """Of AppRTC's constants.py."""
    file = constants.file
    if constants.override:
        base = constants.text("ICE_SERVER_BASE_URL")
        report.fault(Where(file, constants.override), "ICE_SERVER_OVERRIDE", "is set, so the ICE service"
                     f"{f' at {base.text}' if base else ''} is never asked, and every caller is shown the same password for "
                     "good. rtcd issues credentials for each client, which end when it leaves")
    listed = [one for one in constants.servers if one.listed]
    if listed:
        report.fault(Where(file, listed[0].line), '"urls": [...]', "a list here goes into pc_config as it is, and the "
                     "Android app, which reads a text, ends the call. rtcd gives pc_config no servers, and lists only "
                     "where every app reads them")
    for server in constants.servers:
        _credential(constants, server, facts, report)
        _stun_port(constants, server, facts, report)
        _transport(file, server, report)
    _base_url(constants, facts, report)
    _instances(constants, report)


def nginx_faults(nginx: NginxFile, facts: Facts, report: Report) -> None:
    """Of nginx.conf."""
    _upgrade(nginx, facts, report)
    for server in nginx.servers:
        if server.ciphers is not None and "HIGH" in re.split(r"[:,\s]", server.ciphers.text):
            report.fault(Where(nginx.file, server.ciphers.line), f"ssl_ciphers {server.ciphers.text}", "HIGH lets in old "
                         "suites without forward secrecy (RSA key exchange, CBC), and new ones come as OpenSSL pleases")
        for redirect in server.redirects:
            _redirect(nginx, server, redirect, report)
        for location in server.locations:
            if location.upstream and location.host in ("", "$host", "$server_name", "$proxy_host"):
                sent = f"Host {location.host}" if location.host else "no Host, so the upstream's own name"
                report.fault(Where(nginx.file, location.host_line), f"proxy_set_header {sent}" if location.host else
                             f"location {location.path}", f"sends {sent} on, without the port that the client asked for: "
                             "behind any other port than 443 the room server makes links to another origin, and pushState "
                             "refuses them. It would be $http_host; rtcd uses relative links")


def _expiry(ice: IceFile, server: IceServer, facts: Facts, report: Report) -> None:
    time = time_of(server.username)
    if time is None:
        return
    what = f'"username": "{server.username}"'
    if ice.moment is not None and time <= ice.moment + SLACK_S:
        report.fault(Where(ice.file, server.line), what, "the number is the time of issue, and has to be that of expiry: "
                     "the name has expired at birth, and a relay that checks it refuses it. rtcd writes the expiry")
    elif time <= facts.machine.now:
        report.fault(Where(ice.file, server.line), what, "the number lies in the past, and is the moment of expiry: the "
                     "name is refused. If the answer is fresh, the service writes the time of issue into it, so that a "
                     "name is expired at birth")


def _transport(file: str, server: IceServer, report: Report) -> None:
    bare = [url for url in server.urls if url.text.startswith(("turn:", "turns:")) and "transport=" not in url.text]
    stun = [url for url in server.urls if url.text.startswith("stun:")]
    for url in bare:
        report.fault(Where(file, url.line), url.text, "STUN and TURN are named without transport" if stun else "TURN is "
                     "named without transport")
        report.fault(Where(file, url.line), url.text, "without ?transport= a browser tries UDP alone, so who is behind a "
                     "firewall that blocks UDP has no way out. rtcd hands out UDP, TCP and TLS")


def _credential(constants: ConstantsFile, server: IceServer, facts: Facts, report: Report) -> None:
    where = Where(constants.file, server.line)
    if KEY.fullmatch(server.credential):
        report.fault(where, f'"credential" of {server.username}', "is a key as turnadmin -k prints it, copied in the place "
                     "of the password: a browser takes it for the password and makes another key of it, so every relay "
                     "ends in 401")
    elif server.credential and (why := weakness(server.credential, [server.username])):
        report.fault(where, f'"credential" of {server.username}', f"a weak password: it {why}; the page shows it to "
                     "everybody anyway")


def _stun_port(constants: ConstantsFile, server: IceServer, facts: Facts, report: Report) -> None:
    signaling = facts.signaling_ports
    for url in server.urls:
        if url.text.startswith("stun:") and port_of(url.text) in signaling | {COLLIDER_PORT}:
            report.fault(Where(constants.file, url.line), url.text, f"{port_of(url.text)} is the signalling port, where "
                         "Collider speaks WebSocket over TCP: nobody answers STUN there, so no client learns its public "
                         "address. STUN is at the relay's port, 3478")


def _base_url(constants: ConstantsFile, facts: Facts, report: Report) -> None:
    base = constants.text("ICE_SERVER_BASE_URL")
    if base is None or not base.text.startswith("http://"):
        return
    port = port_of(base.text.partition("://")[2]) or 80
    where = Where(constants.file, base.line)
    report.fault(where, base.text, "plain http: a page that came by https may not ask there (mixed content)")
    if facts.nginx and port not in set().union(*(one.ports for one in facts.nginx)):
        files = ", ".join(one.file for one in facts.nginx)
        report.fault(where, base.text, f"nginx ({files}) does not serve port {port}, so no TLS is in front of it")
    elif not facts.nginx and port not in USUAL_PORTS:
        report.fault(where, base.text, f"nginx, as guides set it up, does not serve port {port} (only 80 and 443), so no "
                     "TLS is in front of it")


def _instances(constants: ConstantsFile, report: Report) -> None:
    seen: dict[str, int] = {}
    for one in constants.instances:
        if one.host in seen:
            report.fault(Where(constants.file, one.line), "WSS_INSTANCES", f"this signalling instance is the same host and "
                         f"port as that of line {seen[one.host]} ({one.host}): if it is down, so is the one to fall back on")
        seen.setdefault(one.host, one.line)


def _upgrade(nginx: NginxFile, facts: Facts, report: Report) -> None:
    """Whether WebSockets get through to Collider: at its port, or at /ws."""
    upgrading = [(server, one) for server in nginx.servers for one in server.locations if one.upgrade]
    ports = facts.signaling_ports or {COLLIDER_PORT}
    served = any(one.path != "/" or any(listen.port in ports and listen.tls for listen in server.listens)
                 for server, one in upgrading)
    passed = any(port_of(target) in ports for _, one in upgrading for target in _targets(nginx, one.upstream))
    if served or passed:
        return
    shown = ", ".join(map(str, sorted(ports)))
    if upgrading:
        _, one = upgrading[0]
        report.fault(Where(nginx.file, one.line), f"location {one.path}", f"the WebSocket upgrade is here only, which "
                     f"leads to the room server; the signalling port ({shown}) is not served, so Collider has no TLS and "
                     "the page says WebSocket open error. Here signalling is at the page's own address")
    elif any(one.upstream for server in nginx.servers for one in server.locations):
        report.fault(Where(nginx.file), "", f"no location upgrades to WebSocket, and the signalling port ({shown}) is not "
                     "served: calls get no signalling")


def _targets(nginx: NginxFile, upstream: str) -> list[str]:
    host = upstream.partition("://")[2].partition("/")[0].partition("$")[0]
    return list(nginx.upstreams.get(host, (host,)))


def _redirect(nginx: NginxFile, server: NginxServer, redirect: Url, report: Report) -> None:
    target = re.search(r"https://(\$[a-z_]+|[^/$:\s]+)(:\d+)?", redirect.text)
    if target is None or target[2] or target[1] == "$http_host":
        return
    ports = {one.port for other in nginx.servers for one in other.listens if one.tls}
    seen = "" if ports <= {443} else f" (HTTPS is at {', '.join(map(str, sorted(ports)))})"
    report.fault(Where(nginx.file, redirect.line), f"return {redirect.text}", f"the redirect drops the port: who reaches "
                 f"HTTPS at another one than 443{seen}, as behind a router or in Docker, is sent to nobody")
