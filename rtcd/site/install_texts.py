"""What the page ``/install`` says, in every language that it has. No rules and no layout: those are in `install`.

Texts are HTML that is written here and trusted. ``{{word}}`` stands for a fact, which `install` escapes; menu paths are
in ``<b>``, in the words of the system in that language.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class System:
    """How to trust the authority in one system."""

    name: str
    steps: tuple[str, ...]
    """In order; the page adds the last one, to open the site again."""
    notes: tuple[str, ...]
    """What else somebody should know."""
    removal: str
    """Where it is removed again."""


@dataclass(frozen=True, slots=True)
class Language:
    """The whole page in one language."""

    tag: str
    """As in ``lang`` and ``Content-Language``."""
    texts: dict[str, str]
    """What stands in the template, by name."""
    systems: dict[str, System]
    """By the names of `ORDER`."""


ORDER = ("android", "ios", "windows", "macos", "linux", "firefox")
"""How the systems follow each other where the visitor's own is not known."""

NSS = """<pre><code>mkdir -p $HOME/.pki/nssdb
certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n rtcd -i {{file}}</code></pre>"""

ANCHORS = """<pre><code>sudo cp {{file}} /usr/local/share/ca-certificates/
sudo update-ca-certificates</code></pre>"""

WINDOWS = "<pre><code>certutil -user -addstore Root {{file}}</code></pre>"

MACOS = ("<pre><code>security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db {{file}}"
         "</code></pre>")

ENGLISH = Language("en", {
    "title": "Trust this server",
    "other_tag": "zh-CN", "other_code": "zh", "other_name": "中文",
    "heading": "Trust this server",
    "lead": "This server has made its own certificate authority. "
            "Trust it once on this device and the browser stops warning.",
    "limited": " It can vouch for this server’s own names and for no other site.",
    "download": "Download the certificate",
    "how": "How to install it",
    "file_hint": "The file is <code>{{file}}</code>. Until it is installed, the browser may warn about this page too.",
    "scan": "For a phone or tablet: scan this with its camera.",
    "scan_label": "QR code of {{page}}",
    "facts": "What you are going to trust",
    "facts_lead": "Compare the fingerprint before you install: whoever runs this server can tell you the right one. "
                  "If the two differ, do not install it.",
    "fingerprint": "Fingerprint (SHA-256)",
    "name": "Name",
    "until": "Valid until",
    "for": "Signs for",
    "for_any": "Any name, as this one is not limited to this server. "
               "Install it only if you trust whoever runs this server.",
    "more": "and {{left_out}} more",
    "check": "To check the file",
    "undo": "To undo it",
    "removal": "Remove it at any time, in the same place where you install it.",
    "steps": "Install it",
    "steps_lead": "Download the certificate, then follow the steps for your system.",
    "yours": "This device",
    "removal_at": "To remove it: ",
    "again": 'Open <a href="{{base}}/">{{base}}/</a> again: the warning is gone.',
    "ask_heading": "Nothing to install from here",
    "ask_lead": "What you see is not signed by an authority of this server’s own. "
                "If your browser warns of it, ask whoever runs this server what to do.",
    "none_heading": "Nothing to install",
    "none_lead": "This server has a certificate that every browser trusts already. "
                 "Nothing has to be installed on this device.",
    "open": "Open {{base}}/",
}, {
    "android": System("Android", (
        "Download the certificate with the button at the top. "
        "If you are inside another app, open this page in Chrome first.",
        "Open <b>Settings → Security &amp; privacy → More security settings → Encryption &amp; credentials → "
        "Install a certificate → CA certificate</b>. Makers arrange this differently: "
        "it is quickest to search the settings for <b>CA certificate</b>.",
        "Confirm with <b>Install anyway</b>. Android may ask for your screen lock, or want you to set one up first.",
        "Choose <code>{{file}}</code> among the downloads.",
    ), (
        "Chrome uses it at once. Firefox has to be told: tap its logo in <b>Settings → About Firefox</b> five times, "
        "then turn on <b>Settings → Secret Settings → Use third party CA certificates</b>.",
        "The AppRTC app for Android does not trust certificates that people install; use the browser.",
        "Android may say that the network may be monitored: it says so about every certificate that somebody installs.",
    ), "<b>Encryption &amp; credentials → Trusted credentials → User</b>"),
    "ios": System("iPhone and iPad", (
        "Open this page in <b>Safari</b>, download the certificate with the button at the top, and tap <b>Allow</b>.",
        "Within eight minutes, open <b>Settings → Profile Downloaded → Install</b>. "
        "If that line is not there: <b>Settings → General → VPN &amp; Device Management</b>.",
        "Open <b>Settings → General → About → Certificate Trust Settings</b>, at the very bottom, and turn on "
        "<b>{{ca_name}}</b>. <strong>Everybody forgets this step, and without it the warning stays.</strong>",
    ), (
        'If Safari has saved a file and no profile is waiting in the settings, <a href="ca.mobileconfig">take the '
        "certificate as a profile</a>. It is the same; that it is not signed is in order.",
    ), "<b>Settings → General → VPN &amp; Device Management</b>"),
    "windows": System("Windows", (
        "Download the certificate, open <code>{{file}}</code>, and choose <b>Open → Install Certificate…</b>",
        "Choose <b>Current User</b>, or <b>Local Machine</b> for everybody who uses this computer.",
        "Choose <b>Place all certificates in the following store → Browse… → Trusted Root Certification Authorities</b>, "
        "then <b>OK → Next → Finish</b>, and confirm with <b>Yes</b>.",
        "Close all windows of the browser.",
    ), (
        "In place of the first three steps, one command in the folder of the download:" + WINDOWS,
    ), "<b>certmgr.msc → Trusted Root Certification Authorities → Certificates</b>"),
    "macos": System("Mac", (
        "Download the certificate and open <code>{{file}}</code>. Keychain Access asks for a keychain: choose <b>login</b>, "
        "or <b>System</b> for everybody who uses this Mac.",
        "In Keychain Access find <b>{{ca_name}}</b> and double-click it.",
        "Open <b>Trust</b> and choose <b>When using this certificate: Always Trust</b>. "
        "Close the window and confirm with your password.",
    ), (
        "Is this an iPad? Then follow the steps for iPhone and iPad.",
        "In place of the first three steps, one command in the folder of the download:" + MACOS,
    ), "<b>Keychain Access → login</b> or <b>System → Certificates</b>"),
    "linux": System("Linux", (
        "Download the certificate and open a terminal in the folder of the download.",
        "For Chrome, Chromium and their relatives:" + NSS +
        "<code>certutil</code> is in the package <code>libnss3-tools</code> or <code>nss-tools</code>. "
        "Chromium as a snap has its list in <code>~/snap/chromium/current/.pki/nssdb</code>.",
        "For programs such as curl, on Debian and Ubuntu:" + ANCHORS,
        "Close all windows of the browser.",
    ), (
        "Firefox has a list of its own: see <b>Firefox on a computer</b>.",
    ), "<code>certutil -d sql:$HOME/.pki/nssdb -D -n rtcd</code>; for programs, delete the copy and run "
       "<code>sudo update-ca-certificates --fresh</code>"),
    "firefox": System("Firefox on a computer", (
        "On Windows and Mac, Firefox uses what the system trusts; go on only if it still warns. On Linux always go on.",
        "Download the certificate.",
        "Open <b>Settings → Privacy &amp; Security → View Certificates… → Authorities → Import…</b> "
        "and choose <code>{{file}}</code>.",
        "Tick <b>Trust this CA to identify websites</b> and press <b>OK</b>.",
    ), (), "<b>View Certificates… → Authorities → rtcd</b>"),
})

CHINESE = Language("zh-CN", {
    "title": "信任此服务器",
    "other_tag": "en", "other_code": "en", "other_name": "English",
    "heading": "信任此服务器",
    "lead": "此服务器自己建立了一个证书颁发机构。在本设备上信任它一次，浏览器就不会再警告。",
    "limited": "它只能为此服务器自己的名称作证，不能用于其他网站。",
    "download": "下载证书",
    "how": "如何安装",
    "file_hint": "文件名为 <code>{{file}}</code>。安装之前，浏览器可能对本页也会警告。",
    "scan": "手机或平板：请用相机扫描。",
    "scan_label": "{{page}} 的二维码",
    "facts": "您将要信任的证书",
    "facts_lead": "安装前请核对指纹：服务器的管理者可以告诉您正确的指纹。如果两者不同，请不要安装。",
    "fingerprint": "指纹（SHA-256）",
    "name": "名称",
    "until": "有效期至",
    "for": "可签发",
    "for_any": "任何名称，因为它不限于此服务器。仅当您信任此服务器的管理者时才安装。",
    "more": "以及另外 {{left_out}} 个",
    "check": "核对下载的文件",
    "undo": "撤销信任",
    "removal": "可以随时在安装它的同一位置将它删除。",
    "steps": "安装",
    "steps_lead": "先下载证书，然后按您的系统操作。",
    "yours": "本设备",
    "removal_at": "删除它：",
    "again": '重新打开 <a href="{{base}}/">{{base}}/</a>，警告就消失了。',
    "ask_heading": "此处无需安装",
    "ask_lead": "您看到的证书不是由此服务器自己的证书颁发机构签发的。如果浏览器发出警告，请向服务器的管理员询问该怎么做。",
    "none_heading": "无需安装",
    "none_lead": "此服务器的证书已受所有浏览器信任，本设备上不需要安装任何东西。",
    "open": "打开 {{base}}/",
}, {
    "android": System("安卓（Android）", (
        "用页面上方的按钮下载证书。如果本页是在微信等应用中打开的，请先点右上角的 <b>…</b>，选择<b>在浏览器打开</b>。",
        "打开<b>设置 → 安全与隐私 → 更多安全设置 → 加密与凭据 → 安装证书 → CA 证书</b>。"
        "各品牌的菜单不尽相同，最快的办法是在设置中搜索<b>证书</b>。",
        "点<b>仍然安装</b>确认。系统可能要求输入锁屏密码，或要求先设置锁屏密码。",
        "在下载的文件中选择 <code>{{file}}</code>。",
    ), (
        "Chrome 会立即使用它。Firefox 需要另行设置：在<b>设置 → 关于 Firefox</b> 中连点徽标五次，然后打开"
        "<b>设置 → 秘密设置 → 使用第三方 CA 证书</b>（Use third party CA certificates）。",
        "AppRTC 安卓应用不信任用户安装的证书，请使用浏览器。",
        "安卓可能提示网络会受到监控：只要用户安装了证书，它就会这样提示。",
    ), "<b>加密与凭据 → 信任的凭据 → 用户</b>"),
    "ios": System("iPhone 和 iPad", (
        "用 <b>Safari</b> 打开本页（如果是在微信中打开的，点右上角的 <b>…</b>，选择<b>在浏览器打开</b>），"
        "用页面上方的按钮下载证书，并点<b>允许</b>。",
        "在八分钟之内打开<b>设置 → 已下载描述文件 → 安装</b>。如果没有这一行：<b>设置 → 通用 → VPN 与设备管理</b>。",
        "打开<b>设置 → 通用 → 关于本机 → 证书信任设置</b>（在最底部），打开 <b>{{ca_name}}</b> 的开关。"
        "<strong>这一步最容易忘记，没有它警告不会消失。</strong>",
    ), (
        '如果 Safari 只保存了文件，而设置中没有出现描述文件，请<a href="ca.mobileconfig">以描述文件的形式下载证书</a>。'
        "内容相同；提示“未签名”是正常的。",
    ), "<b>设置 → 通用 → VPN 与设备管理</b>"),
    "windows": System("Windows", (
        "下载证书，打开 <code>{{file}}</code>，选择<b>打开 → 安装证书…</b>",
        "选择<b>当前用户</b>；如果要让这台电脑的所有用户都信任它，选择<b>本地计算机</b>。",
        "选择<b>将所有的证书都放入下列存储 → 浏览… → 受信任的根证书颁发机构</b>，"
        "然后<b>确定 → 下一页 → 完成</b>，最后点<b>是</b>。",
        "关闭浏览器的所有窗口。",
    ), (
        "也可以不做前三步，而在下载文件夹中运行一条命令：" + WINDOWS,
    ), "<b>certmgr.msc → 受信任的根证书颁发机构 → 证书</b>"),
    "macos": System("Mac", (
        "下载证书并打开 <code>{{file}}</code>。“钥匙串访问”询问钥匙串时选择<b>登录</b>；"
        "如果要让这台 Mac 的所有用户都信任它，选择<b>系统</b>。",
        "在“钥匙串访问”中找到 <b>{{ca_name}}</b> 并双击。",
        "展开<b>信任</b>，选择<b>使用此证书时：始终信任</b>。关闭窗口并输入密码确认。",
    ), (
        "如果这是 iPad，请按 iPhone 和 iPad 的步骤操作。",
        "也可以不做前三步，而在下载文件夹中运行一条命令：" + MACOS,
    ), "<b>钥匙串访问 → 登录</b>或<b>系统 → 证书</b>"),
    "linux": System("Linux", (
        "下载证书，并在下载文件夹中打开终端。",
        "对于 Chrome、Chromium 及同类浏览器：" + NSS +
        "<code>certutil</code> 在软件包 <code>libnss3-tools</code> 或 <code>nss-tools</code> 中。"
        "snap 版 Chromium 的证书库在 <code>~/snap/chromium/current/.pki/nssdb</code>。",
        "对于 curl 等程序，在 Debian 和 Ubuntu 上：" + ANCHORS,
        "关闭浏览器的所有窗口。",
    ), (
        "Firefox 有自己的证书列表：见<b>电脑上的 Firefox</b>。",
    ), "<code>certutil -d sql:$HOME/.pki/nssdb -D -n rtcd</code>；对于程序，删除该副本并运行 "
       "<code>sudo update-ca-certificates --fresh</code>"),
    "firefox": System("电脑上的 Firefox", (
        "在 Windows 和 Mac 上，Firefox 会采用系统所信任的证书；只有仍然警告时才需要继续。在 Linux 上则总是需要。",
        "下载证书。",
        "打开<b>设置 → 隐私与安全 → 查看证书… → 证书颁发机构 → 导入…</b>，选择 <code>{{file}}</code>。",
        "勾选<b>信任由此证书颁发机构来标识网站</b>，点<b>确定</b>。",
    ), (), "<b>查看证书… → 证书颁发机构 → rtcd</b>"),
})

LANGUAGES = {"en": ENGLISH, "zh": CHINESE}
"""By the value of ``?lang=``."""
