"""From nginx, AppRTC's constants and its ICE service to ``[doorway]``, ``[tls]``, ``[web]``, ``[signaling]`` and ``[ice]``.

Most of these files says how separate programs find each other, which falls away when they are one.
"""

from __future__ import annotations

import ipaddress
import re

from rtcd.front.origin import is_loopback
from rtcd.importer.draft import Draft
from rtcd.importer.facts import ConstantsFile, Facts, IceFile, Machine, NginxFile, NginxServer, Url
from rtcd.importer.relay import MIN_SECRET_CHARS, certificate
from rtcd.importer.report import Report, Where
from rtcd.weak import weakness

SERVICES = ("web", "signaling", "ice", "turn")

ONE_ORIGIN = "page, signalling and credentials are one program at one address here"

_CONSTANTS = {
    "ICE_SERVER_OVERRIDE": "[ice] hands out the relay of this daemon, with credentials of its own for each client",
    "ICE_SERVER_BASE_URL": ONE_ORIGIN, "ICE_SERVER_URL_TEMPLATE": ONE_ORIGIN, "ICE_SERVER_URLS": ONE_ORIGIN,
    "ICE_SERVER_API_KEY": "the page needs no key; to ask one of others set [ice] api-key",
    "TURN_BASE_URL": ONE_ORIGIN, "TURN_URL_TEMPLATE": ONE_ORIGIN, "CEOD_KEY": ONE_ORIGIN,
}
_PUBLIC_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


def translate_nginx(nginx: NginxFile, draft: Draft, report: Report, machine: Machine, ports: set[int]) -> None:
    """Listeners, name and certificate of the site that leads to the room server. ``ports``: of Colliders."""
    for name in SERVICES:
        draft.section(name)
    for broken in nginx.broken:
        report.fault(Where(nginx.file, broken.line), "", broken.text)
    site = nginx.site(ports)
    for server in nginx.servers:
        if server not in site:
            report.drop(Where(nginx.file, server.line), f"server {' '.join(server.names)}".strip(), "is another site, which "
                        "does not lead to the room server; rtcd takes neither its ports nor its certificate")
    for server in site:
        _listens(nginx, server, draft, report, machine)
    for server in site:
        if not server.tls:
            continue
        _name(nginx, server, draft, report)
        files = [(Where(nginx.file, one.line), f"{word} {one.text}", key, one.text)
                 for key, word, one in (("cert", "ssl_certificate", server.cert), ("key", "ssl_certificate_key", server.key))
                 if one is not None]
        certificate(draft, report, machine, files)
    for server in site:
        if server.ciphers is not None:
            report.drop(Where(nginx.file, server.ciphers.line), f"ssl_ciphers {server.ciphers.text}",
                        "rtcd offers forward-secret suites alone, and TLS 1.2 and 1.3")
        for redirect in server.redirects:
            report.drop(Where(nginx.file, redirect.line), f"return {redirect.text}", "[doorway] http redirects by itself, "
                        "to the host and port that the visitor came by or that public-url names")
        for location in server.locations:
            if location.upstream:
                report.drop(Where(nginx.file, location.line), f"location {location.path}", "rtcd serves this itself; to keep"
                            " nginx in front all the same see docs/proxies.md")
    for name in nginx.upstreams:
        report.drop(Where(nginx.file), f"upstream {name}", "there is no other program behind")
    for other in nginx.others:
        report.drop(Where(nginx.file, other.line), other.text, "has no counterpart, or needs none: limits are in [doorway], "
                    "versions of TLS in [tls]")


def translate_constants(constants: ConstantsFile, draft: Draft, report: Report) -> None:
    """What of AppRTC's constants is a setting."""
    for name in SERVICES:
        draft.section(name)
    for name, constant in constants.names.items():
        where = Where(constants.file, constant.line)
        value = constant.value
        if name == "HEADER_MESSAGE" and isinstance(value, str) and value.strip():
            if draft.put("web", "header-message", " ".join(value.split()), where):
                report.keep(where, name, "[web] header-message")
        elif name == "ROOM_MEMCACHE_EXPIRATION_SEC" and isinstance(value, int) and value >= 60:
            if draft.put("rooms", "lifetime", str(value), where):
                report.keep(where, name, f"[rooms] lifetime = {value}")
        elif name in _CONSTANTS:
            if value or not constant.plain:
                report.drop(where, name, _CONSTANTS[name])
        elif name.startswith("WSS_"):
            report.drop(where, name, "signalling is at /ws of the page's own address")
        else:
            report.drop(where, name, "means nothing to rtcd")


def translate_ice(ice: IceFile, draft: Draft, report: Report) -> None:
    """Its secret, if it is one."""
    draft.section("ice")
    draft.section("turn")
    if ice.url is not None:
        report.drop(Where(ice.file, ice.url.line), ice.url.text, "[ice] answers at /v1alpha/iceconfig of the page's address")
    for server in ice.servers:
        for url in server.urls:
            report.drop(Where(ice.file, url.line), url.text, "[ice] hands out the URLs of [turn], by every transport that "
                        "is on")
    if ice.secret:
        where = Where(ice.file, ice.secret_line)
        why = weakness(ice.secret, [one.username.rpartition(":")[2] for one in ice.servers]) or (
            f"has {len(ice.secret)} characters" if len(ice.secret) < MIN_SECRET_CHARS else "")
        if why:
            report.drop(where, "the secret", f"it {why}; rtcd makes one of its own at the first start")
        elif draft.add("credentials", "secret", ice.secret, where):
            report.keep(where, "the secret", "[credentials] secret = ********")


def propose_address(facts: Facts, draft: Draft) -> None:
    """What clients are told as the relay's address is its public one, if it is one address."""
    servers = [server for one in facts.constants for server in one.servers]
    servers += [server for one in facts.ice for server in one.servers]
    found = {host for server in servers for url in server.urls if (host := _host(url))}
    if len(found) == 1 and not draft.get("turn", "external-ip"):
        draft.propose("turn", f"external-ip = {found.pop()}")


def _listens(nginx: NginxFile, server: NginxServer, draft: Draft, report: Report, machine: Machine) -> None:
    for socket in server.sockets:
        report.drop(Where(nginx.file, socket.line), f"listen {socket.text}", "is for a program of that machine, not for "
                    "browsers")
    for one in server.listens:
        host = f"[{one.host}]:" if ":" in one.host else f"{one.host}:" if one.host else ""
        where, what = Where(nginx.file, one.line), f"listen {host}{one.port}{' ssl' if one.tls else ''}"
        key, other = ("https", "http") if one.tls else ("http", "https")
        escaped = one.host.replace(":", "\\:")
        value = f"tcp:{one.port}" + (f":interface={escaped}" if one.host else "")
        if one.host and one.host not in machine.addresses and not is_loopback(one.host):
            draft.propose("doorway", f"{key} = {value}")
            report.drop(where, what, f"proposed as a comment, [doorway] {key}: this machine has no such address, and the "
                        "daemon would not start")
            continue
        if value in draft.get("doorway", other):
            report.drop(where, what, f"[doorway] {other} has this port already")
            continue
        if not one.tls and any(location.upstream for location in server.locations):
            report.fault(where, what, "the page is served without TLS here, and browsers give no camera to such pages; rtcd "
                         "redirects from this port to HTTPS")
        draft.add("doorway", key, value, where)
        report.keep(where, what, f"[doorway] {key} = {value}; stop nginx before, since only one program can have the port")


def _name(nginx: NginxFile, server: NginxServer, draft: Draft, report: Report) -> None:
    port = next(one.port for one in server.listens if one.tls)
    for name in server.names:
        where = Where(nginx.file, server.line)
        if not _PUBLIC_NAME.fullmatch(name) or name == "localhost":
            report.drop(where, f"server_name {name}", "is no name that could be a URL")
            continue
        url = f"https://{name}" + ("" if port == 443 else f":{port}")
        if draft.put("doorway", "public-url", url, where):
            report.keep(where, f"server_name {name}", f"[doorway] public-url = {url}")
        else:
            report.drop(where, f"server_name {name}", "the site has one address, [doorway] public-url; redirect-hosts in "
                        "[web] takes former names")


def _host(url: Url) -> str:
    """The host of a TURN URL, if it is an address."""
    if not url.text.startswith(("turn:", "turns:")):
        return ""
    host = url.text.partition(":")[2].partition("?")[0]
    host = host.rpartition(":")[0] if re.search(r":\d{1,5}$", host) else host
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return ""
