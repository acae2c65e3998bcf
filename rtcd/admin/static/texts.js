// @ts-check
/** What the page says, in both languages. `{name}` stands for a value. */

import { Refused } from "./api.js";

/** @type {Record<string, Record<string, string>>} */
export const TEXTS = {
  en: {
    out: "Log out", cancel: "Cancel", language: "中文",
    "login.title": "Look after this server", "login.password": "Password", "login.button": "Log in",
    "login.wrong": "The password is wrong.", "login.later": "Too many tries. Wait a little.",
    "away": "The server does not answer. Trying again…", "failed": "That did not work: {detail}",
    "status.title": "Server", "status.version": "Version", "status.up": "Running for", "status.seats": "People",
    "status.relays": "Relays", "status.certificate": "Certificate", "status.state": "State",
    "status.running": "takes calls", "status.draining": "takes nothing new", "days": "{count} days left",
    reload: "Read configuration again", drain: "Drain and end", "drain.sure":
      "Take nothing new and end the server with its last call? Nobody can open a room until it is started again.",
    "drain.yes": "Drain and end",
    "rooms": "Rooms ({count})", "rooms.none": "Nobody is here, and no room was made beforehand.",
    "rooms.more": "There are more rooms than are shown here.",
    "mark.locked": "locked", "mark.password": "password", "mark.invited": "by invitation", "mark.relay": "relays alone",
    "mark.expires": "until {time}", "people": "{count} of {capacity}",
    lock: "Lock", relay: "Relays alone", close: "Close room", kick: "Remove",
    "close.sure": "Close the room {room}? The calls in it end.", "close.yes": "Close room",
    "kick.sure": "Remove {who} from {room}?", "kick.yes": "Remove", "kick.label": "Remove {who}",
    "person.app": "phone app", "person.page": "browser", "person.nameless": "no name", "person.host": "host", "person.away": "connection lost",
    "relay.by": "relay by {transport}: carried {size}", "relay.unused": "relay by {transport}, not used",
    "way.direct": "direct", "way.stun": "direct through NAT (STUN)", "way.relay": "relayed ({transport})", "way.none": "not connected",
    "link": "{who} → {to}: {way}", "link.rtt": "{ms} ms", "link.loss": "{percent} % lost", "link.rate": "{kbps} kbit/s",
    "calls": "Recent calls", "calls.none": "There has been none.", "call.head": "{room}, {time}, {count} people", "call.on": "{room}, since {time}, {count} people",
    "call.about": "Time line", "call.back": "All calls", "call.none": "There is no record of this call, or not any more.",
    "nodes": "TURN nodes", "node.weight": "weight {weight}", "node.since": "{state} since {time}",
    "node.alive": "alive", "node.dead": "dead", "node.draining": "draining", "node.full": "full",
    "node.unknown": "not yet known", "node.unprobed": "not asked",
    "stores": "Stores of rooms", "store.reached": "reached", "store.away": "cannot be reached: nobody can join",
    "store.processes": "shared by {count} processes", "store.strangers": "with another [credentials] secret: {count}",
    "relays": "Other relays ({count})", "relays.none": "Every relay belongs to somebody in a room, or there is none.",
    "relays.off": "No TURN server runs here.", "relays.one": "{user} by {transport}: peers {peers}, carried {size}",
    "end": "End", "end.label": "End the relay of {user}", "end.sure": "End the relay of {user}? A call over it is cut.", "end.yes": "End relay",
  },
  "zh-CN": {
    out: "退出", cancel: "取消", language: "English",
    "login.title": "管理此服务器", "login.password": "密码", "login.button": "登录",
    "login.wrong": "密码错误。", "login.later": "尝试次数过多，请稍候。",
    "away": "服务器没有响应，正在重试…", "failed": "操作未成功：{detail}",
    "status.title": "服务器", "status.version": "版本", "status.up": "已运行", "status.seats": "人数",
    "status.relays": "中继", "status.certificate": "证书", "status.state": "状态",
    "status.running": "接受通话", "status.draining": "不再接受新通话", "days": "剩余 {count} 天",
    reload: "重新读取配置", drain: "排空并结束", "drain.sure":
      "不再接受新通话，并在最后一个通话结束后停止服务器吗？重新启动之前无法打开房间。",
    "drain.yes": "排空并结束",
    "rooms": "房间（{count}）", "rooms.none": "目前没有人，也没有预先创建的房间。",
    "rooms.more": "还有更多房间未在此显示。",
    "mark.locked": "已锁定", "mark.password": "有密码", "mark.invited": "仅限受邀", "mark.relay": "仅用中继",
    "mark.expires": "至 {time}", "people": "{count}/{capacity} 人",
    lock: "锁定", relay: "仅用中继", close: "关闭房间", kick: "移出",
    "close.sure": "关闭房间 {room} 吗？其中的通话将结束。", "close.yes": "关闭房间",
    "kick.sure": "把 {who} 移出 {room} 吗？", "kick.yes": "移出", "kick.label": "移出 {who}",
    "person.app": "手机应用", "person.page": "浏览器", "person.nameless": "未署名", "person.host": "主持人", "person.away": "连接已断开",
    "relay.by": "中继（{transport}）：已转发 {size}", "relay.unused": "中继（{transport}），未使用",
    "way.direct": "直连", "way.stun": "穿透 NAT 直连（STUN）", "way.relay": "经中继（{transport}）", "way.none": "未连接",
    "link": "{who} → {to}：{way}", "link.rtt": "{ms} 毫秒", "link.loss": "丢包 {percent}%", "link.rate": "{kbps} kbit/s",
    "calls": "近期通话", "calls.none": "没有通话记录。", "call.head": "{room}，{time}，{count} 人", "call.on": "{room}，自 {time} 起，{count} 人",
    "call.about": "时间线", "call.back": "所有通话", "call.none": "没有此通话的记录，或记录已删除。",
    "nodes": "TURN 节点", "node.weight": "权重 {weight}", "node.since": "自 {time} 起{state}",
    "node.alive": "正常", "node.dead": "失效", "node.draining": "正在排空", "node.full": "已满",
    "node.unknown": "尚不清楚", "node.unprobed": "不探测",
    "stores": "房间的存储", "store.reached": "已连接", "store.away": "无法连接：没有人能加入",
    "store.processes": "由 {count} 个进程共用", "store.strangers": "其中 [credentials] 密钥不同的：{count} 个",
    "relays": "其他中继（{count}）", "relays.none": "没有中继，或所有中继都属于房间里的人。",
    "relays.off": "此处没有运行 TURN 服务器。", "relays.one": "{user}（{transport}）：{peers} 个对端，已转发 {size}",
    "end": "结束", "end.label": "结束 {user} 的中继", "end.sure": "结束 {user} 的中继吗？经由它的通话将中断。", "end.yes": "结束中继",
  },
};

/**
 * @param {string} language
 * @param {string} key
 * @param {Record<string, unknown>} [values]
 */
export function say(language, key, values = {}) {
  return (TEXTS[language] ?? TEXTS.en)[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/**
 * Why a request did not succeed: what is said here of its status, else what the server says. Only a server that says nothing is away.
 * @param {string} language
 * @param {unknown} error
 * @param {Record<number, string>} [keys] by status
 */
export function trouble(language, error, keys = {}) {
  if (!(error instanceof Refused)) {
    return say(language, "away");
  }
  const key = keys[error.status];
  return key === undefined ? say(language, "failed", { detail: error.message }) : say(language, key);
}

/** Under which a browser keeps the language that was chosen. */
export const CHOSEN = "rtcd-admin-language";

/** The language of ours that a reader wants. @param {readonly string[]} wanted @param {string | null} chosen */
export function languageOf(wanted, chosen) {
  if (chosen !== null && chosen in TEXTS) {
    return chosen;
  }
  return wanted.find((one) => /^(en|zh)\b/i.test(one))?.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
}
