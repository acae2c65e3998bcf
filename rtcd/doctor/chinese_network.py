"""What the doctor says of names, certificates and the ways that lead to the daemon, in Chinese. See `rtcd.doctor.words`."""

from __future__ import annotations

from rtcd.doctor.words import Words

TEXTS = {
    "names.none": Words(
        "没有设置公开网址。", "[doorway] public-url 为空。",
        "链接按浏览器所请求的地址生成，也无法从外部检查。在局域网中这是正常的。",
        "要在互联网上使用，请设置它，例如 https://meet.example.org。"),
    "names.unknown": Words(
        "DNS 不认识公开域名 {host}。", "{reason}", "没有人能用这个名字打开页面。",
        "请在 DNS 服务商处为它添加 A 记录，指向本机的公网地址（{addresses}）。"),
    "names.no-answer": Words(
        "本机向 DNS 的查询没有人回答。", "{host}：{reason}", "无法判断公开域名是否指向本机，也无法通过 [acme] 获取证书。",
        "确认本机有网络，而且 /etc/resolv.conf 中的服务器会回答，然后再试。"),
    "names.loopback": Words(
        "本机把公开域名解析为自己。", "{host}：{resolved}，可能来自 /etc/hosts。", "从这里看不到 DNS 告诉别人的结果。",
        "请在别处查询：这个名字应当指向 {public}。"),
    "names.no-ipv6": Words(
        "公开域名没有 AAAA 记录。", "{host} 没有 IPv6 地址，而本机有 {public}。",
        "只有 IPv6 的网络里的手机要经过转换，能用但较慢。", "如果 IPv6 可以访问，请添加 AAAA 记录 {public}。"),
    "names.proxy": Words(
        "公开域名指向的不是本机的地址。", "{host} 的 {record} 记录：{resolved}；本机：{ours}。",
        "如果那里是代理，这是正常的。STUN 和 TURN 不经过网页代理。", "请确认 [ice] host 是本机的名字。"),
    "names.unproved": Words(
        "无法判断公开域名是否指向本机。", "{host} 的 {record} 记录：{resolved}；本机有 {ours}，不知道公网地址。",
        "如果路由器或云平台把它转到本机，则没有影响。", "在 [turn] stun-server 中指定一个 STUN 服务器，即可比较。"),
    "names.partly-elsewhere": Words(
        "公开域名既指向本机，也指向别处。", "{host} 的 {record} 记录：{resolved}；不属于本机的：{strangers}。",
        "一部分人会到达错误的机器。", "请在 DNS 服务商处删除 {strangers}。"),
    "names.elsewhere-ipv6": Words(
        "公开域名的 IPv6 指向别处。", "{host} 的 AAAA 记录：{strangers}；本机：{ours}。",
        "手机优先使用 IPv6：会到达错误的机器，或者一直等待。", "把 AAAA 记录改为正确的地址（{public}），或删除该记录。"),
    "names.elsewhere": Words(
        "公开域名指向另一台机器。", "{host} 的 {record} 记录：{strangers}；本机：{ours}。",
        "打开链接的人都到不了这里。", "请在 DNS 服务商处把 {record} 记录改为 {public}。"),
    "names.good": Words("公开域名 {host} 指向本机：{addresses}"),

    "certificate.unseen": Words(
        "看不到证书。", "{where}：{reason}", "浏览器和应用无法连接。", "守护进程的日志说明了原因；请检查 [tls]。"),
    "certificate.hidden": Words(
        "证书的一个文件无法查看。", "{path}", "它是否好用不得而知。以此用户身份守护进程也读不到它。",
        "以 root 身份运行 doctor："),
    "certificate.expired": Words(
        "证书已过期。", "{where}：{subject} 已于 {until} 到期。", "所有浏览器都会警告，应用拒绝连接。",
        "用当初制作它的工具续期；守护进程会自动使用新文件。"),
    "certificate.early": Words(
        "证书尚未生效。", "{where}：{subject} 从 {since} 起生效。", "所有浏览器都会警告，应用拒绝连接。本机时钟可能不对。",
        "检查时钟："),
    "certificate.soon": Words(
        "证书将在 {days} 天后到期，还没有续期。", "{where}：{subject} 于 {until} 到期。",
        "到期后所有浏览器都会警告，应用拒绝连接。", "用当初制作它的工具续期；由 [acme] 获取的，日志说明了失败原因。"),
    "certificate.name": Words(
        "证书是给别的名字的。", "{where} 的证书适用于 {names}，不适用于 {missing}。",
        "所有浏览器都会警告这是另一个网站，应用拒绝连接。",
        "获取适用于 {missing} 的证书，或更正 [doorway] public-url 或 [tls] names。"),
    "certificate.order": Words(
        "证书的顺序不对。", "{where}：{subject} 后面不是它的签发者。", "部分手机和应用会拒绝。",
        "在 {file} 中先放服务器证书，再依次放每个签发者的证书。"),
    "certificate.local": Words(
        "证书由守护进程自己的机构签发。", "{where}：签发者 {issuer}。",
        "在设备信任该机构之前浏览器会警告；手机应用拒绝连接。",
        "在每台设备上打开 /install，或使用公开域名：证书会由 [acme] 获取。"),
    "certificate.self-signed": Words(
        "证书是自签名的。", "{where}：{subject}。", "所有浏览器都会警告；手机应用拒绝连接。",
        "从 [tls] 中去掉 cert 和 key：rtcd 会获取公开证书，或制作一个设备可以信任的证书。"),
    "certificate.incomplete": Words(
        "缺少中间证书。", "{where} 只出示了链中的 {sent} 个证书；{issuer} 没有发送。",
        "桌面浏览器会自行下载。安卓、手机应用和 TURN 客户端不会，因而拒绝连接。",
        "把含有完整证书链的文件（fullchain.pem）写为 cert："),
    "certificate.stranger": Words(
        "证书来自浏览器不认识的机构。", "{where}：签发者 {issuer}。",
        "没有信任该机构的设备上浏览器会警告；手机应用拒绝连接。",
        "如果你的设备信任它，请用 --trust 指定其证书；否则请使用公开机构的证书。"),
    "certificate.stale": Words(
        "出示的证书与文件中的不同。", "{where} 出示的比 {file} 旧。", "新证书没有生效，也许守护进程无法采用它。",
        "日志说明了原因；让它重新读取："),
    "certificate.key-unreadable": Words(
        "守护进程无法读取私钥。", "{path}：{reason}（用户 {user}）。", "它无法启动，或继续使用旧证书直到过期。",
        "允许它读取，或像 systemd/rtcd.service 那样使用 LoadCredential=："),
    "certificate.key-open": Words(
        "本机所有用户都能读取或写入私钥。", "{path} 的权限是 {mode}。", "得到私钥的人可以冒充这个网站。", "收紧权限："),
    "certificate.good": Words("{where} 的证书适用于 {names}，有效期至 {until}"),

    "nat.external-wrong": Words(
        "配置里的公网地址与查到的不同。", "[turn] external-ip 写的是 {written}；查到的是 {right}。",
        "客户端得到的中继地址到不了这里：经中继的通话是黑屏。", "改正它，或写 auto："),
    "nat.silent": Words(
        "STUN 服务器没有回答。", "从 {hosts} 询问了 {server}。", "无法由它得知公网地址，或 UDP 出不了本机。",
        "检查 UDP 能否出去，或在 [turn] stun-server 中换一个。"),
    "nat.no-server": Words(
        "无法解析 STUN 服务器的名字。", "{server}：{reason}", "无法由它得知公网地址。",
        "更正 [turn] stun-server，或看关于域名的内容。"),
    "nat.none": Words("没有 NAT：{addresses} 是公网地址"),
    "nat.mapped": Words("中继在外部的地址是 {addresses}"),
    "nat.unproved": Words(
        "无法核对公网地址是否正确。", "[turn] external-ip：{addresses}。", "如果写错了，经中继的通话是黑屏。",
        "在 [turn] stun-server 中指定一个 STUN 服务器，即可比较。"),
    "nat.unknown": Words(
        "本机没有公网地址，也不知道对应的公网地址。", "本机地址：{hosts}。",
        "同一网络中的人可以通话；与外部的人经中继的通话是黑屏。",
        "封闭网络中这是正常的。否则请在 {ini} 中设置 [turn] external-ip 或 stun-server。"),
    "nat.symmetric": Words(
        "NAT 对每个目的地使用不同的端口。", "{local} 对 {server} 显示为 {mapped}，对它的另一个地址显示为 {elsewhere}。",
        "后面的中继别人到不了：中继需要固定的端口。", "把监听端口和中继端口按相同号码转发到本机。"),
    "nat.restricted": Words(
        "NAT 只放行之前联系过的对方。", "{local} 对 {server} 显示为 {mapped}；陌生人没能从那里进来。",
        "如果没有转发端口，别处的客户端到不了本机；是否已转发，从这里看不到。",
        "确认监听端口和中继端口已按相同号码转发到本机，并用另一网络中的手机打开 /check。"),
    "nat.unclear": Words(
        "有 NAT，不知道它是否让陌生人进来。", "{local} 对 {server} 显示为 {mapped}。",
        "如果不让，别处的客户端只能到达已转发的端口。",
        "用另一网络中的手机打开 /check。有两个地址的 STUN 服务器（RFC 5780）能说得更多。"),
    "nat.one-to-one": Words("NAT 是一对一的（如云平台）：{local} 对外是 {mapped}"),

    "relay.good": Words("中继可以往返传送数据：{ways}（最多 {slowest} 毫秒）"),
    "relay.no-secret": Words(
        "没有测试中继：没有可用的凭据。", "{reason}", "也许没有影响。",
        "用能读取密钥的用户运行，或用 --user 指定中继用户："),
    "relay.secret-mismatch": Words(
        "中继拒绝用这里的密钥签发的凭据。", "{ways}：401；密钥来自 {source}。", "通话无法中继：需要中继的人看不到画面。",
        "守护进程使用的密钥与现在写的不同。让它重新读取："),
    "relay.wrong-password": Words(
        "中继不认识这个用户或密码。", "{ways}：401；{source}。", "使用它们的人得不到中继。",
        "确认 rtcd user list 在此 realm 中列出该用户，或重新设置密码。"),
    "relay.other-secret": Words(
        "另一个 TURN 服务器拒绝我们的凭据。", "{ways}（写在 [ice] servers 中）：401；密钥来自 {source}。",
        "被引到那里的客户端得不到中继，其中一部分通话失败。",
        "在它的配置中写相同的 [credentials] secret（coturn 中为 static-auth-secret），并重新启动它；"
        "若密钥已经相同，则是它的时钟不对。"),
    "relay.redirected": Words("中继把客户端引到别处。", "{ways}：300。", "按 [turn] alternate-server 的设置。", ""),
    "relay.draining": Words("中继不再接受新客户端。", "{ways}：403。", "它正在排空：经它的通话继续，新的通话去别处。", ""),
    "relay.nowhere": Words(
        "有的 TURN 服务器名字解析不到地址。", "{names}（写在 [ice] servers 中）：没有地址。",
        "被引到那里的客户端得不到中继，其中一部分通话失败。", "添加 DNS 记录，或改正 [ice] servers 中的名字。"),
    "relay.no-family": Words(
        "没有这个协议族的中继。", "{ways}：{code} {reason}", "走这条路的客户端会得到另一协议族的中继，多数情况够用。", ""),
    "relay.refused": Words(
        "中继回答了错误。", "{ways}：{code} {reason}", "走这条路的客户端得不到中继。",
        "[log] level = debug 时守护进程的日志会说明原因。"),
    "relay.connect": Words(
        "无法连接中继。", "{ways}：{reason}", "不让 UDP 出去的网络里的客户端少一条路，或完全没有路。",
        "请看关于端口和防火墙的内容；否则看日志。"),
    "relay.handshake": Words(
        "中继的加密握手失败。", "{ways}：{reason}", "严格网络中的客户端得不到中继。", "请看关于证书的内容；否则看日志。"),
    "relay.silent": Words(
        "中继没有回答。", "{ways}：没有任何回应。", "走这条路的客户端等待之后得不到中继。没有 UDP，通话质量差或失败。",
        "本机或途中的防火墙丢弃了它；请看关于防火墙的内容。若它写在 [ice] servers 中：也许它没有运行。"),
    "relay.lost": Words(
        "中继收下数据却送不到。", "{ways}：从中继到中继（{relayed}）没有收到任何数据。", "经中继的通话是黑屏。",
        "防火墙丢弃了中继端口，或 [turn] external-ip 不对；请看相应内容。"),
    "relay.garbage": Words(
        "回答的不是 TURN 服务器。", "{ways}：{reason}", "走这条路的客户端得不到中继。", "看看是哪个程序占用了端口。"),

    "websocket.here": Words("信令在 {url} 正常"),
    "websocket.public": Words("信令在公开地址 {url}（{address}）正常"),
    "websocket.no-way-back": Words(
        "从这里无法尝试公开地址。", "{url}（{address}）：{reason}；本机的监听有回答。",
        "许多路由器不让内部绕出去再回来。从外部也许正常。", "用不在此网络中的手机打开页面。"),
    "websocket.dns": Words("无法解析公开域名。", "{url}：{reason}", "页面打不开。", "请看关于域名的内容。"),
    "websocket.timeout": Words(
        "信令没有回应。", "{url}（{address}）：{reason}", "页面打不开。",
        "防火墙丢弃了它，或该地址不通；请看相应内容。"),
    "websocket.refused": Words(
        "信令被拒绝：没有程序在监听。", "{url}（{address}）：{reason}", "页面打不开。",
        "把端口转发到守护进程，启动前面的代理，或更正 [doorway] public-url："),
    "websocket.tls": Words(
        "浏览器要求 TLS 的地方没有 TLS。", "{url}（{address}）：{reason}", "页面打不开。",
        "该端口是别的程序，或只支持 HTTP；请更正 [doorway] public-url 或前面的代理。"),
    "websocket.no-upgrade": Words(
        "前面的代理不转发 WebSocket。",
        "{url}（{address}）：HTTP {status} 而不是 101，Server：{server}；本机的监听可以升级。",
        "页面能打开，但随后提示无法进入房间：没有人能通话。",
        "nginx：在 proxy_pass 处加入 proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        "proxy_set_header Connection \"upgrade\"; ——其他代理见 docs/proxies.md。"),
    "websocket.bad-gateway": Words(
        "前面的代理到不了守护进程。", "{url}（{address}）：HTTP {status}，Server：{server}。", "页面打不开。",
        "把 [doorway] plain 的地址写给它，并确认守护进程在运行。"),
    "websocket.status": Words(
        "信令回答了错误。", "{url}（{address}）：HTTP {status} 而不是 101，Server：{server}。", "没有人能通话。",
        "那里是别的程序，或 [signaling] 没有启用，或路径不同。"),
    "websocket.silent": Words(
        "WebSocket 打开了，但之后没有数据通过。", "{url}（{address}）：{reason}", "通话无法开始。",
        "前面的代理扣住了消息；请关闭它的缓冲（docs/proxies.md）。"),
    "websocket.garbage": Words(
        "信令处没有网页服务器回答。", "{url}（{address}）：{reason}", "页面打不开。",
        "看看是哪个程序占用了端口，以及是否要求 PROXY 头（[doorway] proxy-from）。"),
}
