"""The words for records of calls, English and Chinese: verdicts, endings, notes, and the entries of the time line.

A text has gaps, ``{who}``. A key with a value behind it goes before the one without: ``event.gone.lost`` before
``event.gone``. Codes and words of the protocols stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

LANGUAGES = ("en", "zh")

_TEXTS: dict[str, tuple[str, str]] = {
    # Verdicts: how it went.
    "verdict.local": ("Connected directly, over the local network.", "已直接连接，走本地网络。"),
    "verdict.direct": ("Connected directly, across the internet.", "已直接连接，走互联网。"),
    "verdict.relayed": ("Connected through the relay, over {how}.", "已通过中继连接，走 {how}。"),
    "verdict.carried": (
        "The relay carried media between {a} and {b}, over {how}.",
        "{a} 与 {b} 之间的媒体由中继传送，走 {how}。"),
    "verdict.mixed": (
        "All {count} connections came about: {local} over the local network, {direct} across the internet, "
        "{relayed} through the relay.",
        "全部 {count} 条连接均已建立：{local} 条走本地网络，{direct} 条走互联网，{relayed} 条走中继。"),
    "verdict.loopback": ("A call with oneself, to try things out.", "与自己通话的测试。"),
    # Verdicts: why it did not.
    "verdict.alone": ("Only one person came.", "只有一个人来过。"),
    "verdict.missed": (
        "People came one after another; no two were there at once.",
        "人们先后来过，但没有两人同时在场。"),
    "verdict.turned-away.full": (
        "Somebody was turned away ({count}×): the room was full.",
        "有人被拒绝进入（{count}×）：房间已满。"),
    "verdict.turned-away.locked": (
        "Somebody was turned away ({count}×): the room was locked, or has a password, which a phone app "
        "cannot give.",
        "有人被拒绝进入（{count}×）：房间已锁定，或设有密码而手机应用无法输入。"),
    "verdict.turned-away.password": (
        "Somebody was turned away ({count}×): no password, or a wrong one.",
        "有人被拒绝进入（{count}×）：没有密码或密码错误。"),
    "verdict.turned-away.app": (
        "Somebody was turned away ({count}×): a phone app was in the room, which then takes two.",
        "有人被拒绝进入（{count}×）：房间里有手机应用，此时只能容纳两人。"),
    "verdict.no-socket": (
        "{who} took a seat, but its WebSocket never opened. Look at the proxy in front, if there is one: it has "
        "to pass WebSockets on.",
        "{who} 取得了座位，但其 WebSocket 从未打开。如前面有代理，请检查它是否转发 WebSocket。"),
    "verdict.no-offer": (
        "{a} and {b} were both there, but neither offered a connection: a page or an app that is stuck.",
        "{a} 与 {b} 都在场，但双方都没有发出 offer：页面或应用卡住了。"),
    "verdict.no-answer": (
        "{who} never answered the offer: its page or app is stuck, or waits for a question of the browser to be "
        "answered.",
        "{who} 一直没有应答 offer：页面或应用卡住，或在等待用户回答浏览器的提问。"),
    "verdict.no-candidates": (
        "{who} found no way out at all: no candidate. The browser forbids it (a policy, an extension), or there "
        "is no network.",
        "{who} 找不到任何出路：没有任何候选地址。可能被浏览器策略或扩展禁止，或者没有网络。"),
    "verdict.no-way-out": (
        "{who} found no way out at all: no candidate, and nothing of it came to the relay here. UDP and TCP are "
        "blocked at {who}, or the browser forbids WebRTC.",
        "{who} 找不到任何出路：没有任何候选地址，中继也没有收到它的任何请求。{who} 处的 UDP 与 TCP 被阻断，或浏览"
        "器禁止 WebRTC。"),
    "verdict.relay-refused": (
        "Nobody could reach anybody ({a} had {had_a}; {b} had {had_b}), and the relay refused {who}: {code}"
        "{limits_en}.",
        "互相无法到达（{a} 有 {had_a}；{b} 有 {had_b}），且中继拒绝了 {who}：{code}{limits_zh}。"),
    "verdict.relay-unreached": (
        "Nobody could reach anybody: no pair connected. {a} had {had_a}; {b} had {had_b}. No relay for {who}, for"
        " nothing from its address arrived here: {places} seem blocked at {who}, unless it asked from another address.",
        "互相无法到达：没有连通的候选对。{a} 有 {had_a}；{b} 有 {had_b}。{who} 没有中继，因为它的地址没有任何请求到达"
        "这里：{who} 处似乎阻断了 {places}，除非它从另一个地址发出请求。"),
    "verdict.relay-unseen": (
        "Nobody could reach anybody: no pair connected. {a} had {had_a}; {b} had {had_b}. No relay for {who}; "
        "whether its requests arrived here is not known, since many share its address.",
        "互相无法到达：没有连通的候选对。{a} 有 {had_a}；{b} 有 {had_b}。{who} 没有中继；它的请求是否到达这里无从得知，"
        "因为许多人共用它的地址。"),
    "verdict.relay-unanswered": (
        "Nobody could reach anybody: no pair connected. {a} had {had_a}; {b} had {had_b}. {who} asked for a relay"
        " over {how} and went no further: our answers seem not to arrive at {who}.",
        "互相无法到达：没有连通的候选对。{a} 有 {had_a}；{b} 有 {had_b}。{who} 通过 {how} 请求中继后没有下文：我"
        "们的应答似乎到不了 {who}。"),
    "verdict.relay-unused": (
        "Nobody could reach anybody: no pair connected. {a} had {had_a}; {b} had {had_b}. {who} reached the relay"
        " but signalled no candidate of it.",
        "互相无法到达：没有连通的候选对。{a} 有 {had_a}；{b} 有 {had_b}。{who} 到达了中继，却没有给出中继候选地址"
        "。"),
    "verdict.relay-silent": (
        "{a} and {b} both had a relay (over {how}), and yet no pair connected: the public address of the relay is"
        " wrong, or the ports that it relays by are closed.",
        "{a} 与 {b} 都有中继（走 {how}），但仍没有连通的候选对：中继的公网地址不对，或其中继端口被关闭。"),
    "verdict.relay-elsewhere": (
        "Nobody could reach anybody: no pair connected. {a} had {had_a}; {b} had {had_b}. {who} got no relay of "
        "the servers elsewhere that it was given, of which nothing is known here.",
        "互相无法到达：没有连通的候选对。{a} 有 {had_a}；{b} 有 {had_b}。{who} 没有从其他服务器得到中继，那里的情"
        "况此处不得而知。"),
    "verdict.no-turn": (
        "Nobody could reach anybody: no pair connected. {a} had {had_a}; {b} had {had_b}. No relay is offered to them: "
        "[turn] or [ice] is off.",
        "互相无法到达：没有连通的候选对。{a} 有 {had_a}；{b} 有 {had_b}。没有中继可用：[turn] 或 [ice] 未开启。"),
    "verdict.unserved": (
        "Nobody could reach anybody: no pair connected. {a} had {had_a}; {b} had {had_b}. {who} could not get the ICE "
        "servers: [ice] rate may be too small for many behind one address.",
        "互相无法到达：没有连通的候选对。{a} 有 {had_a}；{b} 有 {had_b}。{who} 未能取得 ICE 服务器："
        "[ice] rate 对同一地址后的多人可能过小。"),
    "verdict.peer-denied": (
        "The relay of {who} may not reach what the other one signalled ({a} had {had_a}; {b} had {had_b}); see "
        "[turn] allowed-peers and peer-policy.",
        "{who} 的中继不允许到达对方给出的地址（{a} 有 {had_a}；{b} 有 {had_b}）；见 [turn] allowed-peers 与 "
        "peer-policy。"),
    "verdict.short": (
        "{a} and {b} were together for {seconds} s only and had not connected yet.",
        "{a} 与 {b} 只共处了 {seconds} 秒，尚未连通。"),
    "verdict.connecting": (
        "{a} and {b} have been there for {seconds} s and are not connected yet.",
        "{a} 与 {b} 已共处 {seconds} 秒，尚未连通。"),
    "verdict.unknown": (
        "{a} and {b} exchanged offer and answer, and no relay carried anything: either directly connected, or not"
        " at all. Nobody told, and phone apps never do. {a} had {had_a}; {b} had {had_b}.",
        "{a} 与 {b} 交换了 offer 与 answer，且没有中继传送数据：要么已直接连接，要么没有连接。没有人报告，手机应用从不"
        "报告。{a} 有 {had_a}；{b} 有 {had_b}。"),
    "verdict.untold": (
        "{a} and {b} exchanged offer and answer. Whether they are connected nobody told, and phone apps never do; "
        "what their relays carried is known when these end. {a} had {had_a}; {b} had {had_b}.",
        "{a} 与 {b} 交换了 offer 与 answer。是否已连接没有人报告，手机应用从不报告；中继传送了多少要等其结束才知道。"
        "{a} 有 {had_a}；{b} 有 {had_b}。"),
    # How it ended.
    "ending.on": ("The call is on.", "通话仍在进行。"),
    "ending.hangup": ("{who} hung up.", "{who} 挂断了。"),
    "ending.closed-page": ("The page of {who} was closed.", "{who} 的页面被关闭。"),
    "ending.failed": ("The page of {who} gave up.", "{who} 的页面放弃了通话。"),
    "ending.left": ("{who} left.", "{who} 离开了。"),
    "ending.lost": (
        "{who} was lost: it did not come back to its WebSocket in time.",
        "{who} 失去联系：没有及时重新连上 WebSocket。"),
    "ending.kicked": ("{who} was removed.", "{who} 被移出房间。"),
    "ending.closed": ("The room was closed.", "房间被关闭。"),
    "ending.stopped": ("The server was stopped.", "服务器停止了。"),
    "ending.crashed": ("The server ended without a word.", "服务器意外终止。"),
    # What else there was.
    "note.device": ("{who} had no {kinds}: {name}.", "{who} 没有 {kinds}：{name}。"),
    "note.device.NotAllowedError": ("{who} refused {kinds}, or the browser did.", "{who} 或其浏览器拒绝了 {kinds}。"),
    "note.device.NotFoundError": ("{who} has no {kinds}.", "{who} 没有 {kinds} 设备。"),
    "note.device.NotReadableError": (
        "{who} could not open {kinds}: another program has it.",
        "{who} 无法打开 {kinds}：被其他程序占用。"),
    "note.lost": ("{who} did not say goodbye.", "{who} 未道别即离开。"),
    "note.interrupted": ("{who} to {to} was interrupted ({count}×).", "{who} 到 {to} 的连接中断了 {count} 次。"),
    "note.loss-in": ("{who} lost {percent} % of what came from {to}.", "{who} 丢失了来自 {to} 的 {percent}% 数据。"),
    "note.loss-out": ("{percent} % of what {who} sent to {to} was lost.", "{who} 发给 {to} 的数据丢失了 {percent}%。"),
    "note.slow": ("{who} to {to} and back took {ms} ms.", "{who} 与 {to} 往返需 {ms} 毫秒。"),
    "note.turned-away": ("Somebody found no seat ({count}×).", "有人 {count} 次没有取得座位。"),
    # The time line.
    "event.came": ("{who} came: {kind}, from {network}", "{who} 进入：{kind}，来自 {network}"),
    "event.socket": ("{who} opened its WebSocket", "{who} 打开了 WebSocket"),
    "event.back": ("{who} opened its WebSocket again", "{who} 重新打开了 WebSocket"),
    "event.gone": ("{who} is gone", "{who} 已离开"),
    "event.gone.left": ("{who} gave its seat back", "{who} 交还了座位"),
    "event.gone.lost": ("{who} lost its seat: no WebSocket in time", "{who} 失去座位：WebSocket 未及时连上"),
    "event.gone.kicked": ("{who} was removed", "{who} 被移出"),
    "event.gone.returned": ("{who} came back and took another seat", "{who} 回来并换了座位"),
    "event.gone.closed": ("{who} lost its seat with the room", "房间关闭，{who} 失去座位"),
    "event.away": ("somebody was turned away: {why} ({kind})", "有人被拒绝进入：{why}（{kind}）"),
    "event.offer": ("{who} sent an offer", "{who} 发出 offer"),
    "event.answer": ("{who} sent an answer", "{who} 发出 answer"),
    "event.bye": ("{who} said bye", "{who} 说 bye"),
    "event.candidate": ("{who} signalled its first {type}", "{who} 给出第一个 {type} 候选"),
    "event.knock": (
        "a first TURN request came from {who}'s address over {transport}",
        "从 {who} 的地址经 {transport} 收到首个 TURN 请求"),
    "event.relay": ("{who} got a relay over {transport}", "{who} 经 {transport} 得到中继"),
    "event.refused": ("TURN refused {who}: {method} {code}", "TURN 拒绝 {who}：{method} {code}"),
    "event.denied": (
        "the relay of {who} may not reach {network}: {reason}",
        "{who} 的中继不允许到达 {network}：{reason}"),
    "event.relay-end": (
        "a relay of {who} over {transport} ended ({reason}): {sent} bytes out, {received} in",
        "{who} 经 {transport} 的中继结束（{reason}）：发出 {sent} 字节，收到 {received} 字节"),
    "event.state": ("{who} to {to}: {state}", "{who} 到 {to}：{state}"),
    "event.step": ("{who} to {to}: {step}", "{who} 到 {to}：{step}"),
    "event.step.connecting": ("{who} to {to}: looking for a path", "{who} 到 {to}：正在寻找路径"),
    "event.step.interrupted": (
        "{who} to {to}: interrupted, looking for another path",
        "{who} 到 {to}：中断，寻找其他路径"),
    "event.step.relay": ("{who} to {to}: trying relays only", "{who} 到 {to}：只尝试中继"),
    "event.step.renewing": ("{who} to {to}: a new connection", "{who} 到 {to}：重新建立连接"),
    "event.step.away": (
        "{who} to {to}: media go on without the other's WebSocket",
        "{who} 到 {to}：对方 WebSocket 断开，媒体继续"),
    "event.pair": (
        "{who} to {to}: by way of {local} to {remote} ({protocol})",
        "{who} 到 {to}：经 {local} 至 {remote}（{protocol}）"),
    "event.pair.relay": (
        "{who} to {to}: by way of its relay, over {relay}, to {remote} ({protocol})",
        "{who} 到 {to}：经自己的中继（{relay}）至 {remote}（{protocol}）"),
    "event.server": ("{who} had trouble with a server: {server}", "{who} 使用服务器时出错：{server}"),
    "event.unserved": ("{who} could not get the ICE servers", "{who} 未能取得 ICE 服务器"),
    "event.device": ("{who} could not have {kinds}: {name}", "{who} 无法使用 {kinds}：{name}"),
    "event.leaving": ("{who} says that it goes: {how}", "{who} 表示离开：{how}"),
    "event.end": ("the call is over", "通话结束"),
    # Headings and words.
    "show.call": ("Call {id} in room {room}", "通话 {id}，房间 {room}"),
    "show.time": ("{began} to {ended} UTC, {duration}", "UTC {began} 至 {ended}，{duration}"),
    "show.on": ("since {began} UTC, {duration}", "自 UTC {began} 起，{duration}"),
    "show.people": ("People", "参与者"),
    "show.links": ("Connections, as the pages tell of them", "页面报告的连接"),
    "show.events": ("What happened", "经过"),
    "show.left-out": ("({count} earlier entries are left out)", "（略去之前的 {count} 条）"),
    "show.forgotten": ("({count} people who came earlier are left out)", "（略去之前的 {count} 人）"),
    "show.person": ("{who}  {kind}, {network}, {duration}", "{who}  {kind}，{network}，{duration}"),
    "show.candidates": ("candidates: {counts}", "候选地址：{counts}"),
    "show.seen": ("seen from outside at {networks}", "外部可见于 {networks}"),
    "show.relays": ("relays: {counts}", "中继：{counts}"),
    "show.refusals": ("TURN errors: {counts}", "TURN 错误：{counts}"),
    "show.none": ("none", "无"),
    "show.link": (
        "{who} to {to}  {pair}; round trip {rtt} ms (at most {rtt_most}), lost out {lost_out} % in {lost_in} %, "
        "kbit/s out {kbps_out} in {kbps_in}; {looks} looks, {poor} of them poor",
        "{who} 到 {to}  {pair}；往返 {rtt} 毫秒（最大 {rtt_most}），丢包 发 {lost_out}% 收 {lost_in}%，kbit/s 发 "
        "{kbps_out} 收 {kbps_in}；{looks} 次取样，其中 {poor} 次较差"),
    "show.link-none": (
        "{who} to {to}  never connected; last state: {state}",
        "{who} 到 {to}  从未连通；最后状态：{state}"),
    "word.audio": ("microphone", "麦克风"),
    "word.video": ("camera", "摄像头"),
    "word.page": ("page", "网页"),
    "word.app": ("phone app", "手机应用"),
    "word.loopback": ("loopback", "回环"),
    "word.udp": ("UDP", "UDP"),
    "word.tcp": ("TCP", "TCP"),
    "word.tls": ("TLS", "TLS"),
    "word.dtls": ("DTLS", "DTLS"),
    "limits": (" ({limits})", "（{limits}）"),
}

_GAP = re.compile(r"\{(\w+)\}")
_IN_WORDS = ("kind", "kinds", "how", "transport", "relay", "protocol")
"""Gaps whose values are words that have translations."""


def has(key: str) -> bool:
    """Whether there is such a text."""
    return key in _TEXTS


def keys() -> frozenset[str]:
    """All of them."""
    return frozenset(_TEXTS)


def text(language: str, key: str, values: Mapping[str, str | int | float] | None = None) -> str:
    """The text in ``en`` or ``zh``; of any other language, and of a key that is not known, in English or the key."""
    which = LANGUAGES.index(language) if language in LANGUAGES else 0
    pattern = _TEXTS.get(key, (key, key))[which]
    given = {name: _word(value, which) if name in _IN_WORDS else str(value) for name, value in (values or {}).items()}
    limits = given.get("limits", "")
    for one, code in enumerate(LANGUAGES):
        given[f"limits_{code}"] = _TEXTS["limits"][one].replace("{limits}", limits) if limits else ""
    return _GAP.sub(lambda found: given.get(found[1], "–"), pattern)


def _word(value: str | int | float, which: int) -> str:
    words = [_TEXTS.get(f"word.{one}", (one, one))[which] for one in str(value).replace("+", ",").replace(",", " ").split()]
    return (", ", "、")[which].join(words)
