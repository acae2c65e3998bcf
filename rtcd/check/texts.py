"""What ``/check`` says, in every language that it has. No rules: those are in `verdict`.

Words in backquotes are shown as code. ``{name}`` stands for a value of `finding` or `headline`; the page fills in its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtcd.check.paths import Path
from rtcd.check.verdict import Found, Verdict


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a path that does not work."""

    title: str
    meaning: str
    """For the user of the device."""
    mend: str
    """For whoever runs the server."""


@dataclass(frozen=True, slots=True)
class Language:
    """All of it in one language."""

    tag: str
    """As in ``lang`` and ``Content-Language``."""
    page: dict[str, str]
    """What the page says by itself."""
    names: dict[str, str]
    """Of paths, by kind."""
    said: dict[str, Said]
    """By `rtcd.check.verdict.OUTCOMES`; ``refused-CODE`` goes before ``refused``."""
    summaries: dict[str, tuple[str, str]]
    """By `rtcd.check.verdict.SUMMARIES`: a headline and what it means."""


_ALIKE = {403: 401, 438: 401, 441: 401}
"""STUN error codes of which the same is said as of another one."""


def name(language: Language, path: Path) -> str:
    """What a path is called."""
    return language.names[path.kind].format(proto=path.transport.upper(), port=path.port)


def finding(language: Language, found: Found) -> Said | None:
    """What is said of a path; None if it works."""
    if found.outcome == "ok":
        return None
    path, key = found.path, f"{found.outcome}-{_ALIKE.get(found.code, found.code)}"
    said = language.said.get(key) or language.said[found.outcome]
    proto = "UDP" if path.transport == "udp" else "TCP"
    values = {"name": name(language, path), "proto": proto, "lower": proto.lower(), "port": path.port, "host": path.host,
              "code": found.code, "url": path.url}
    return Said(*(one.format_map(values) for one in (said.title, said.meaning, said.mend)))


def headline(language: Language, verdict: Verdict) -> tuple[str, str]:
    """What is said of a check as a whole."""
    works = sum(one.outcome == "ok" for one in verdict.found)
    title, text = language.summaries[verdict.summary]
    return title, text.format(works=works, all=len(verdict.found))


def in_words(language: Language, verdict: Verdict) -> dict[str, Any]:
    """All that is said of a check, as JSON. What mends several paths is said at the first of them alone."""
    title, text = headline(language, verdict)
    found, mends = [], set()
    for one in verdict.found:
        said = finding(language, one) or Said("", "", "")
        if said.mend in mends:
            said = Said(said.title, "", "")
        mends.add(said.mend)
        found.append({"id": one.path.id, "name": name(language, one.path), "outcome": one.outcome, "code": one.code,
                      "ms": one.ms, "title": said.title, "meaning": said.meaning, "mend": said.mend})
    return {"level": verdict.level, "summary": verdict.summary, "title": title, "text": text, "paths": found}


ENGLISH = Language("en", {
    "title": "Check",
    "other_tag": "zh-CN", "other_code": "zh", "other_name": "中文",
    "running": "Checking every path",
    "running_lead": "This takes up to 20 seconds. Keep this page open.",
    "progress": "{done} of {all} paths checked",
    "joining": "Asking the server what arrived there",
    "paths": "Paths",
    "waiting": "Waiting",
    "trying": "Trying",
    "works": "Works",
    "works_ms": "Works, {ms} ms",
    "fails": "Failed",
    "silent": "No answer",
    "meaning": "What it means",
    "mend": "For whoever runs the server",
    "again": "Check again",
    "copy": "Copy the result",
    "copied": "Copied",
    "number": "This is check {number} in the server’s list.",
    "untold": "The server could not be asked",
    "untold_lead": "This is what this device saw by itself; what arrived at the server is not known. Check again.",
    "busy": "Too many checks",
    "busy_lead": "There were many checks from this network, or at this server. Wait a minute, then check again.",
    "unstarted": "The check could not begin",
    "unstarted_lead": "The page came, but the server does not answer now. Look at the network of this device, "
                      "then check again.",
    "no_script": "This page needs JavaScript to try the paths. Switch it on for this site and load the page again.",
    "note": "Calls use the same paths. The result is kept on this server for whoever runs it, "
            "with a shortened network address. Nothing goes to anybody else.",
}, {
    "https": "Page by HTTPS, port {port}", "wss": "Signalling by WebSocket, port {port}",
    "stun": "Address finding (STUN), {proto} {port}", "turn": "Relay by {proto}, port {port}",
}, {
    "never-arrived": Said(
        "{proto} {port} never arrived at the server",
        "Either the network of this device lets no {proto} out to port {port}, or the firewall of the server lets none in.",
        "Open {proto} {port} in the security group of the cloud, and in the firewall of the machine: "
        "`ufw allow {port}/{lower}`. Behind a router at home, forward {proto} {port} in it to the server. "
        "Then check again, best by mobile data."),
    "blocked-here": Said(
        "{proto} {port} does not leave this network",
        "From another network it arrived not long ago, so the server’s firewall is open: "
        "the network of this device lets no {proto} out to port {port}.",
        "Nothing is wrong at the server. Who looks after this network can open {proto} {port} to {host}; "
        "until then calls go by the paths that work."),
    "certificate": Said(
        "No relay by TLS, though the port is open",
        "This page came by the same port, but no request for a relay arrived. Browsers take no relay whose certificate they "
        "do not trust, even if somebody has clicked the warning away.",
        "Get a certificate that everybody trusts: `[tls] mode = acme`. Or trust the server’s own authority on this device: "
        "open `/install`. Firefox wants a host name besides, no bare address. If no browser warns, a proxy in front may let "
        "only HTTP pass at port {port}."),
    "inspected": Said(
        "Plain TCP is stopped on the way",
        "This page came by the same port inside TLS. Something in between lets nothing else pass.",
        "Nothing needs to be done as long as the relay by TLS works; calls take that. "
        "If a proxy in front has port {port}, have it pass TCP on as it is."),
    "unanswered": Said(
        "It arrived and was not answered",
        "Requests by {proto} {port} came to the server, which answers only so many of one network.",
        "Wait a minute and check again. The limit is `[turn] unauth-rate`."),
    "answer-lost": Said(
        "It arrived, but the answer was lost on the way back",
        "Requests by {proto} {port} came to the server and were answered. No answer reached this device.",
        "Let {proto} from port {port} out of the server’s firewall. On a machine with several addresses the answer has to "
        "leave by the way that the request came: `ip rule` and `ip route get` show it."),
    "refused": Said(
        "The relay refused: error {code}", "It was reached by {proto} {port}, and did not do what was asked.",
        "The log says why at `[log] level = debug`."),
    "refused-300": Said(
        "The relay sends its clients to another server", "It was reached by {proto} {port}, and named another one.",
        "That is `[turn] alternate-server`. Check at the other server."),
    "refused-401": Said(
        "The relay did not accept the password",
        "It was reached by {proto} {port}, but does not know the passwords that this server hands out.",
        "Give every TURN server the same `[credentials] secret`, and set the clocks of the machines: "
        "`timedatectl set-ntp true`."),
    "refused-486": Said(
        "A quota of the relay is used up",
        "It was reached by {proto} {port}, and gives no more relays to this user or network.",
        "Raise `[turn] user-quota` or `address-quota`: a check has six relays at once, a call as many as there are paths."),
    "refused-508": Said(
        "The relay is full", "It was reached by {proto} {port}, and has no more room.",
        "Widen the range from `[turn] min-port` to `max-port`, raise `total-quota`, or wait for the end of a drain."),
    "no-data": Said(
        "There is a relay, but nothing comes through",
        "The relay was given by {proto} {port}. What was sent through it never came out.",
        "See that `[turn] external-ip` is the address by which this machine is reached, and that `[turn] denied-peers` does "
        "not have it."),
    "elsewhere": Said(
        "The relay at {host} cannot be reached",
        "It is another machine, which this server cannot look into.",
        "Open {proto} {port} at {host}: in its security group, and in its firewall: `ufw allow {port}/{lower}`."),
    "no-upgrade": Said(
        "WebSocket is lost on the way",
        "Ordinary requests come through, but not the upgrade to a WebSocket. No call can begin.",
        "The proxy in front has to pass the upgrade on. In nginx: `proxy_http_version 1.1; "
        'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`'),
    "status": Said(
        "Signalling answers {code}",
        "What answers at {url} is not this server’s signalling. No call can begin.",
        "Have the proxy in front pass this address on to rtcd, or correct `[doorway] public-url`."),
    "unreachable": Said(
        "There is no connection",
        "Nothing answers at {url}.",
        "Correct `[doorway] public-url`, or open TCP {port} in the security group: `ufw allow {port}/tcp`."),
    "not-tried": Said("Not tried", "The page has not reported on this path.", "Check again with another browser."),
}, {
    "good": ("Everything gets through", "Calls work from this device. All {all} paths are open."),
    "some": ("Calls work, but not by every path", "{works} of {all} paths work. One to a relay by UDP is among them, "
             "so calls are as good as they can be from here."),
    "no-udp": ("Calls work, but without UDP", "Only TCP gets through to the relay. Calls connect, and picture and sound "
               "stall when packets are lost."),
    "no-server": ("This server has no relay", "Calls work only where two devices reach each other directly. Mobile networks "
                  "and offices often do not let them. A section [turn] adds the relay."),
    "no-relay": ("Many calls will fail from here", "No path to a relay works. Only devices that reach each other directly "
                 "can call."),
    "no-signaling": ("Calls cannot begin from here", "The page gets through, but not the WebSocket by which calls are "
                     "arranged."),
    "no-webrtc": ("This browser cannot make calls", "It has no WebRTC, or an extension or a policy has switched it off. "
                  "Try another browser."),
})

CHINESE = Language("zh-CN", {
    "title": "连接检测",
    "other_tag": "en", "other_code": "en", "other_name": "English",
    "running": "正在检测每条线路",
    "running_lead": "最多需要 20 秒，请不要关闭此页面。",
    "progress": "已检测 {done}/{all} 条线路",
    "joining": "正在向服务器查询它收到了什么",
    "paths": "线路",
    "waiting": "等待中",
    "trying": "检测中",
    "works": "正常",
    "works_ms": "正常，{ms} 毫秒",
    "fails": "失败",
    "silent": "无应答",
    "meaning": "这意味着什么",
    "mend": "给服务器管理员",
    "again": "重新检测",
    "copy": "复制结果",
    "copied": "已复制",
    "number": "这是服务器列表中的第 {number} 次检测。",
    "untold": "无法询问服务器",
    "untold_lead": "以下只是本设备自己看到的情况，不知道服务器收到了什么。请重新检测。",
    "busy": "检测次数过多",
    "busy_lead": "来自此网络或发往此服务器的检测太多。请等一分钟再试。",
    "unstarted": "检测无法开始",
    "unstarted_lead": "页面已打开，但服务器现在没有应答。请检查本设备的网络，然后重新检测。",
    "no_script": "此页面需要 JavaScript 来检测线路。请为此网站启用 JavaScript，然后重新打开页面。",
    "note": "通话使用同样的线路。结果保存在此服务器上供管理员查看，网络地址已截短，不会发送给任何第三方。",
}, {
    "https": "网页 HTTPS，端口 {port}", "wss": "信令 WebSocket，端口 {port}",
    "stun": "地址探测 STUN，{proto} {port}", "turn": "中继 {proto}，端口 {port}",
}, {
    "never-arrived": Said(
        "{proto} {port} 从未到达服务器",
        "要么本设备所在的网络不允许 {proto} 发往端口 {port}，要么服务器的防火墙不放行。",
        "请在云服务商的安全组和本机防火墙中开放 {proto} {port}：`ufw allow {port}/{lower}`。"
        "如果服务器在家用路由器后面，请在路由器上把 {proto} {port} 转发到服务器。然后重新检测，最好使用移动数据。"),
    "blocked-here": Said(
        "{proto} {port} 出不了此网络",
        "不久前从另一个网络可以到达，所以服务器的防火墙是开放的：是本设备所在的网络不允许 {proto} 发往端口 {port}。",
        "服务器没有问题。此网络的管理员可以放行发往 {host} 的 {proto} {port}；在此之前，通话会走其他正常的线路。"),
    "certificate": Said(
        "端口是开放的，但 TLS 中继不可用",
        "此页面就是从同一个端口打开的，但没有收到中继请求。浏览器不接受证书不受信任的中继，即使有人已跳过警告。",
        "请使用公众信任的证书：`[tls] mode = acme`。或者在本设备上信任服务器自己的证书颁发机构：打开 `/install`。"
        "Firefox 还要求使用主机名，而不是 IP 地址。如果浏览器没有警告，可能是前面的代理在端口 {port} 上只放行 HTTP。"),
    "inspected": Said(
        "普通 TCP 在途中被拦截",
        "此页面是通过同一端口的 TLS 打开的，途中有设备不放行其他内容。",
        "只要 TLS 中继正常，就无需处理，通话会使用它。如果前面的代理占用端口 {port}，请让它原样转发 TCP。"),
    "unanswered": Said(
        "已到达，但没有得到应答",
        "通过 {proto} {port} 的请求到达了服务器，但服务器对同一网络的应答次数有限。",
        "请等一分钟再检测。限制由 `[turn] unauth-rate` 设置。"),
    "answer-lost": Said(
        "已到达，但应答在返回途中丢失",
        "通过 {proto} {port} 的请求到达了服务器并得到应答，但应答没有到达本设备。",
        "请在服务器防火墙中放行从端口 {port} 发出的 {proto}。有多个地址的机器上，应答必须从请求到达的线路返回："
        "可用 `ip rule` 和 `ip route get` 查看。"),
    "refused": Said(
        "中继拒绝：错误 {code}", "通过 {proto} {port} 可以到达中继，但它没有执行请求。",
        "设置 `[log] level = debug` 后，日志会说明原因。"),
    "refused-300": Said(
        "中继把客户端转往另一台服务器", "通过 {proto} {port} 可以到达中继，它指定了另一台服务器。",
        "这是 `[turn] alternate-server` 的设置。请在另一台服务器上检测。"),
    "refused-401": Said(
        "中继不接受密码",
        "通过 {proto} {port} 可以到达中继，但它不认识此服务器发放的密码。",
        "请让每台 TURN 服务器使用相同的 `[credentials] secret`，并校准各机器的时钟：`timedatectl set-ntp true`。"),
    "refused-486": Said(
        "中继的配额已用完", "通过 {proto} {port} 可以到达中继，但它不再为此用户或网络提供中继。",
        "请提高 `[turn] user-quota` 或 `address-quota`：一次检测同时使用六个中继，一次通话则与线路数相同。"),
    "refused-508": Said(
        "中继已满", "通过 {proto} {port} 可以到达中继，但它已没有空间。",
        "请扩大 `[turn] min-port` 到 `max-port` 的范围、提高 `total-quota`，或等待排空结束。"),
    "no-data": Said(
        "有中继，但数据无法通过",
        "通过 {proto} {port} 得到了中继，但发出的数据没有从另一端出来。",
        "请确认 `[turn] external-ip` 是能到达本机的地址，并且不在 `[turn] denied-peers` 中。"),
    "elsewhere": Said(
        "无法到达 {host} 上的中继",
        "那是另一台机器，此服务器看不到它的情况。",
        "请在 {host} 的安全组和防火墙中开放 {proto} {port}：`ufw allow {port}/{lower}`。"),
    "no-upgrade": Said(
        "WebSocket 在途中丢失",
        "普通请求可以通过，但升级为 WebSocket 的请求不行。通话无法开始。",
        "前面的代理必须转发升级请求。nginx 的写法：`proxy_http_version 1.1; "
        'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`'),
    "status": Said(
        "信令地址返回 {code}",
        "{url} 上应答的不是此服务器的信令。通话无法开始。",
        "请让前面的代理把此地址转发给 rtcd，或改正 `[doorway] public-url`。"),
    "unreachable": Said(
        "无法连接",
        "{url} 没有应答。",
        "请改正 `[doorway] public-url`，或在安全组中开放 TCP {port}：`ufw allow {port}/tcp`。"),
    "not-tried": Said("未检测", "页面没有报告这条线路。", "请换一个浏览器重新检测。"),
}, {
    "good": ("所有线路都通", "本设备可以正常通话。全部 {all} 条线路都已开放。"),
    "some": ("可以通话，但有些线路不通", "{all} 条线路中有 {works} 条正常，其中包括 UDP 中继，所以通话质量不受影响。"),
    "no-udp": ("可以通话，但没有 UDP", "只有 TCP 能到达中继。通话可以接通，但丢包时画面和声音会卡顿。"),
    "no-server": ("此服务器没有中继", "只有两台设备能直接互通时才能通话，而移动网络和办公网络常常不允许。"
                  "在配置中添加 [turn] 即可提供中继。"),
    "no-relay": ("从这里发起的许多通话会失败", "没有一条线路能到达中继。只有能直接互通的设备才能通话。"),
    "no-signaling": ("从这里无法开始通话", "页面可以打开，但安排通话的 WebSocket 不通。"),
    "no-webrtc": ("此浏览器不能通话", "它没有 WebRTC，或者被扩展程序或策略关闭了。请换一个浏览器。"),
})

LANGUAGES = {"en": ENGLISH, "zh": CHINESE}
"""By what ``?lang=`` and ``Accept-Language`` begin with."""
