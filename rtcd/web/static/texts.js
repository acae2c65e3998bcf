// @ts-check
/**
 * Every text of the page, in English and in Chinese, and the choice between them.
 *
 * A text may hold `{name}` for values. Elements carry keys: `data-text` for their content, `data-label` for name and tooltip.
 */

const LANGUAGE_KEY = "language";

/** @type {Record<string, Record<string, string>>} */
export const CATALOGUES = {
  en: {
    "language.other": "中文",
    "brand.home": "To the start page",
    "landing.title": "Start a video call",
    "landing.lead": "Name a room, join it, and send its link to the one you want to talk to. There is nothing to install.",
    "landing.name": "Room name",
    "landing.random": "Another random name",
    "landing.random.short": "Random",
    "landing.rule": "Five or more letters, digits, _ or -",
    "landing.join": "Join",
    "landing.recent": "Recently used rooms",
    "landing.forget": "Clear list",
    "landing.arguments": "Options for the address",
    "confirm.title": "Ready to join “{room}”?",
    "confirm.title.plain": "Ready to join?",
    "confirm.lead": "Your browser will ask for your camera and microphone. You can join without them.",
    "confirm.join": "Join",
    "prompt.title": "May we use camera and microphone?",
    "prompt.text": "Please answer your browser’s question. If you refuse, you can still watch and listen.",
    "invite.title": "Waiting for someone to join",
    "invite.text": "Send them this link, or let them scan the code.",
    "invite.link": "Link to this room",
    "invite.copy": "Copy",
    "invite.copied": "Copied",
    "invite.copyFailed": "Please copy the selected link by hand.",
    "invite.share": "Share…",
    "invite.shareTitle": "Join my video call",
    "invite.qr": "QR code of the room link",
    "call.remoteCameraOff": "No picture from the other side",
    "call.hear": "Tap to hear the other side",
    "control.bar": "Call controls",
    "control.mute": "Mute microphone (M or space)",
    "control.mute.short": "Mute",
    "control.camera": "Camera off (C)",
    "control.camera.short": "Camera off",
    "control.fullscreen": "Full screen (F)",
    "control.fullscreen.short": "Full screen",
    "control.hangup": "Hang up (Q)",
    "control.hangup.short": "Hang up",
    "status.joining": "Joining…",
    "status.waiting": "Waiting for someone to join",
    "status.connecting": "Connecting…",
    "status.slow": "Connecting… The other side has not answered yet.",
    "status.connected": "Connected",
    "status.reconnecting": "Connection interrupted. Reconnecting…",
    "status.remoteLeft": "The other side hung up.",
    "status.muted": "Microphone muted",
    "status.unmuted": "Microphone on",
    "status.cameraOff": "Camera off",
    "status.cameraOn": "Camera on",
    "left.title": "You have left the call.",
    "left.room": "Room “{room}”",
    "left.rejoin": "Rejoin",
    "left.new": "New room",
    "full.title": "This room is full",
    "full.lead": "Two people are talking in it already. Try again when one of them has left, or open a room of your own.",
    "full.retry": "Try again",
    "trouble.ice": "No relay (TURN) server could be had from the server. The call may still work, but not through strict firewalls.",
    "trouble.path": "No way for sound and pictures has been found yet. A firewall on one of the two sides may be in the way; still trying.",
    "trouble.signaling": "The connection to the server broke and is being restored. The call itself goes on.",
    "device.NotAllowedError.both": "Camera and microphone are blocked for this page. The other side cannot see or hear you. To allow them, click the camera symbol or the lock next to the address, then press the buttons below.",
    "device.NotAllowedError.audio": "The microphone is blocked for this page. The other side cannot hear you. To allow it, click the symbol or the lock next to the address, then press “Mute” below.",
    "device.NotAllowedError.video": "The camera is blocked for this page. The other side cannot see you. To allow it, click the symbol or the lock next to the address, then press “Camera off” below.",
    "device.NotFoundError.both": "This device has no camera and no microphone that the browser can see. You can watch and listen.",
    "device.NotFoundError.audio": "No microphone was found. The other side cannot hear you. Plug one in, then press “Mute” below.",
    "device.NotFoundError.video": "No camera was found. The other side cannot see you. Plug one in, then press “Camera off” below.",
    "device.NotReadableError.both": "Camera and microphone do not answer. Another program may be using them: close it, then press the buttons below.",
    "device.NotReadableError.audio": "The microphone does not answer. Another program may be using it: close it, then press “Mute” below.",
    "device.NotReadableError.video": "The camera does not answer. Another program may be using it: close it, then press “Camera off” below.",
    "device.Insecure.both": "Without https the browser gives no camera and no microphone. You can watch and listen.",
    "device.Insecure.audio": "Without https the browser gives no microphone.",
    "device.Insecure.video": "Without https the browser gives no camera.",
    "device.other": "Camera or microphone could not be opened ({name}). You can watch and listen.",
    "notice.dismiss": "Dismiss",
    "error.retry": "Try again",
    "error.insecure.title": "This page needs https",
    "error.insecure.text": "Browsers give camera and microphone only to pages opened over https (or from this computer itself). The address above begins with http. Open the same room over https:",
    "error.insecure.open": "Open with https",
    "error.insecure.continue": "Go on without camera",
    "error.webrtc.title": "This browser cannot make calls",
    "error.webrtc.text": "It has no WebRTC, or WebRTC is switched off. Any current Chrome, Edge, Firefox or Safari will do.",
    "error.offline.title": "You are offline",
    "error.offline.text": "This device has no network connection. Switch it on and try again.",
    "error.unreachable.title": "The server cannot be reached",
    "error.unreachable.text": "It may be stopped, its name may not resolve, its certificate may have changed, or a firewall or proxy is in the way. Reload this page: if that fails too, the browser says which it is.",
    "error.timeout.title": "The server does not answer",
    "error.timeout.text": "It took longer than ten seconds. The network may be very slow or drop packets on the way. Try again, or try another network.",
    "error.busy.title": "The server asks for a pause",
    "error.busy.text": "There were too many requests, or it is just starting. Wait a few seconds and try again.",
    "error.name.title": "This is no room name",
    "error.name.text": "A name is made of letters, digits, _ and -. Choose another one.",
    "error.status.title": "The server reports an error",
    "error.status.text": "It could not let you into the room. If it happens again, tell the one who runs the server what stands below.",
    "error.garbled.title": "The answer makes no sense",
    "error.garbled.text": "What came back is not from a call server. A proxy or a sign-in page of the network may have answered instead.",
    "error.socket.title": "The signalling connection failed",
    "error.socket.text": "The page loads, but its WebSocket does not open. A proxy in front of the server must pass on WebSocket upgrades; some company networks forbid them. Try again, or try another network.",
  },
  "zh-CN": {
    "language.other": "English",
    "brand.home": "返回首页",
    "landing.title": "发起视频通话",
    "landing.lead": "取一个房间名并加入，然后把链接发给对方即可通话，无需安装任何软件。",
    "landing.name": "房间名",
    "landing.random": "换一个随机名称",
    "landing.random.short": "随机",
    "landing.rule": "至少 5 个字符，可用字母、数字、_ 和 -",
    "landing.join": "加入",
    "landing.recent": "最近使用的房间",
    "landing.forget": "清空",
    "landing.arguments": "网址参数说明",
    "confirm.title": "准备加入“{room}”？",
    "confirm.title.plain": "准备加入？",
    "confirm.lead": "浏览器会询问是否允许使用摄像头和麦克风。不允许也可以加入。",
    "confirm.join": "加入",
    "prompt.title": "可以使用摄像头和麦克风吗？",
    "prompt.text": "请在浏览器的提示中选择。即使拒绝，您仍然可以观看和收听。",
    "invite.title": "正在等待对方加入",
    "invite.text": "把链接发给对方，或让对方扫描二维码。",
    "invite.link": "房间链接",
    "invite.copy": "复制",
    "invite.copied": "已复制",
    "invite.copyFailed": "请手动复制已选中的链接。",
    "invite.share": "分享…",
    "invite.shareTitle": "加入我的视频通话",
    "invite.qr": "房间链接的二维码",
    "call.remoteCameraOff": "对方没有画面",
    "call.hear": "点按以收听对方声音",
    "control.bar": "通话控制",
    "control.mute": "麦克风静音（M 或空格）",
    "control.mute.short": "静音",
    "control.camera": "关闭摄像头（C）",
    "control.camera.short": "关摄像头",
    "control.fullscreen": "全屏（F）",
    "control.fullscreen.short": "全屏",
    "control.hangup": "挂断（Q）",
    "control.hangup.short": "挂断",
    "status.joining": "正在加入…",
    "status.waiting": "正在等待对方加入",
    "status.connecting": "正在连接…",
    "status.slow": "正在连接… 对方尚未应答。",
    "status.connected": "已接通",
    "status.reconnecting": "连接中断，正在重新连接…",
    "status.remoteLeft": "对方已挂断。",
    "status.muted": "麦克风已静音",
    "status.unmuted": "麦克风已打开",
    "status.cameraOff": "摄像头已关闭",
    "status.cameraOn": "摄像头已打开",
    "left.title": "您已退出通话。",
    "left.room": "房间“{room}”",
    "left.rejoin": "重新加入",
    "left.new": "新房间",
    "full.title": "房间已满",
    "full.lead": "已有两人在此房间通话。请等其中一人离开后重试，或另开一个房间。",
    "full.retry": "重试",
    "trouble.ice": "未能从服务器获得中继（TURN）服务器。通话仍可能成功，但无法穿过严格的防火墙。",
    "trouble.path": "暂未找到音视频的传输路径，可能被其中一方的防火墙阻挡；仍在尝试。",
    "trouble.signaling": "与服务器的连接中断，正在恢复。通话本身不受影响。",
    "device.NotAllowedError.both": "此页面的摄像头和麦克风已被禁止，对方看不到也听不到您。要允许使用，请点击地址栏旁的摄像头或锁形图标，然后再按下方按钮。",
    "device.NotAllowedError.audio": "此页面的麦克风已被禁止，对方听不到您。要允许使用，请点击地址栏旁的图标，然后再按下方的“静音”。",
    "device.NotAllowedError.video": "此页面的摄像头已被禁止，对方看不到您。要允许使用，请点击地址栏旁的图标，然后再按下方的“关摄像头”。",
    "device.NotFoundError.both": "浏览器没有找到摄像头和麦克风。您可以观看和收听。",
    "device.NotFoundError.audio": "没有找到麦克风，对方听不到您。接上麦克风后，请再按下方的“静音”。",
    "device.NotFoundError.video": "没有找到摄像头，对方看不到您。接上摄像头后，请再按下方的“关摄像头”。",
    "device.NotReadableError.both": "摄像头和麦克风没有响应，可能正被其他程序占用。请关闭该程序，然后再按下方按钮。",
    "device.NotReadableError.audio": "麦克风没有响应，可能正被其他程序占用。请关闭该程序，然后再按下方的“静音”。",
    "device.NotReadableError.video": "摄像头没有响应，可能正被其他程序占用。请关闭该程序，然后再按下方的“关摄像头”。",
    "device.Insecure.both": "没有 https，浏览器不提供摄像头和麦克风。您可以观看和收听。",
    "device.Insecure.audio": "没有 https，浏览器不提供麦克风。",
    "device.Insecure.video": "没有 https，浏览器不提供摄像头。",
    "device.other": "无法打开摄像头或麦克风（{name}）。您可以观看和收听。",
    "notice.dismiss": "关闭提示",
    "error.retry": "重试",
    "error.insecure.title": "此页面需要 https",
    "error.insecure.text": "浏览器只允许通过 https 打开的页面（或本机页面）使用摄像头和麦克风，而当前地址以 http 开头。请用 https 打开同一房间：",
    "error.insecure.open": "用 https 打开",
    "error.insecure.continue": "不用摄像头继续",
    "error.webrtc.title": "此浏览器无法通话",
    "error.webrtc.text": "它不支持 WebRTC，或 WebRTC 已被关闭。请使用新版 Chrome、Edge、Firefox 或 Safari。",
    "error.offline.title": "您已离线",
    "error.offline.text": "此设备没有网络连接。请打开网络后重试。",
    "error.unreachable.title": "无法连接服务器",
    "error.unreachable.text": "服务器可能已停止、域名无法解析、证书已更换，或被防火墙、代理阻挡。请刷新本页：若仍然失败，浏览器会显示具体原因。",
    "error.timeout.title": "服务器没有应答",
    "error.timeout.text": "等待已超过十秒。网络可能很慢或有丢包。请重试，或换一个网络。",
    "error.busy.title": "服务器要求稍候",
    "error.busy.text": "请求过多，或服务器正在启动。请等几秒后重试。",
    "error.name.title": "房间名无效",
    "error.name.text": "房间名只能包含字母、数字、_ 和 -。请换一个名称。",
    "error.status.title": "服务器报告错误",
    "error.status.text": "服务器未能让您进入房间。若再次出现，请把下面的内容告诉服务器管理员。",
    "error.garbled.title": "无法理解服务器的应答",
    "error.garbled.text": "返回的内容不是来自通话服务器，可能是代理或网络登录页面作出了应答。",
    "error.socket.title": "信令连接失败",
    "error.socket.text": "页面可以打开，但 WebSocket 无法连接。服务器前的代理必须转发 WebSocket 升级请求；有些公司网络会禁止。请重试，或换一个网络。",
  },
};

/**
 * The language to begin with: the one chosen here before, else the browser's first that we have.
 * @param {readonly string[]} wanted the browser's languages, best first
 * @param {() => Pick<Storage, "getItem">} [storage]
 * @returns {string}
 */
export function chooseLanguage(wanted, storage = () => localStorage) {
  try {
    const chosen = storage().getItem(LANGUAGE_KEY);
    if (chosen !== null && chosen in CATALOGUES) {
      return chosen;
    }
  } catch {
    // No storage: go by the browser.
  }
  for (const language of wanted) {
    const primary = language.toLowerCase().split("-")[0];
    if (primary === "en" || primary === "zh") {
      return primary === "zh" ? "zh-CN" : "en";
    }
  }
  return "en";
}

/** The texts in the language of the moment, and the elements that show them. */
export class Texts {
  language;
  /** @type {WeakMap<Element, Record<string, string>>} */
  #values = new WeakMap();

  /** @param {string} language */
  constructor(language) {
    this.language = language;
  }

  /**
   * The text of a key; an unknown key is shown as it is, which a test catches.
   * @param {string} key
   * @param {Record<string, string>} [values]
   * @returns {string}
   */
  get(key, values = {}) {
    const text = CATALOGUES[this.language][key] ?? CATALOGUES.en[key] ?? key;
    return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }

  /**
   * Let an element show a text, now and after a change of language.
   * @param {HTMLElement} element
   * @param {string} key empty: show nothing
   * @param {Record<string, string>} [values]
   */
  show(element, key, values = {}) {
    element.dataset.text = key;
    this.#values.set(element, values);
    this.#fill(element);
  }

  /**
   * Fill in every element below `root`.
   * @param {Document | HTMLElement} root
   */
  apply(root) {
    for (const element of root.querySelectorAll("[data-text], [data-label]")) {
      this.#fill(/** @type {HTMLElement} */ (element));
    }
  }

  /**
   * Take another language and remember it.
   * @param {string} language
   * @param {Document} page
   */
  switchTo(language, page) {
    this.language = language;
    try {
      localStorage.setItem(LANGUAGE_KEY, language);
    } catch {
      // It holds for this page then.
    }
    this.apply(page);
  }

  /** @param {HTMLElement} element */
  #fill(element) {
    const { text, label } = element.dataset;
    if (text !== undefined) {
      element.textContent = text === "" ? "" : this.get(text, this.#values.get(element));
    }
    if (label) {
      element.setAttribute("aria-label", this.get(label));
      if (element.matches("button, a")) {
        element.title = this.get(label);
      }
    }
  }
}
