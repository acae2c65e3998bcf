"""What the doctor says of the ini, the daemon and its machine, in Chinese. See `rtcd.doctor.words`."""

from __future__ import annotations

from rtcd.doctor.words import Words

TEXTS = {
    "configuration.fault": Words(
        "配置有错误：{fault}", "{ini}", "守护进程无法用此文件启动；正在运行的会继续使用之前读到的配置。",
        "上面的句子说明了改法。其余检查按文件的其他部分进行。"),
    "configuration.unseen": Words(
        "配置的一部分无法查看：{fault}", "{ini}", "它是否正确不得而知，其余检查不考虑它。以此用户身份守护进程无法启动。",
        "以 root 身份运行："),
    "configuration.empty": Words(
        "配置没有启用任何服务。", "{ini} 中没有任何服务的段。", "守护进程无法启动。",
        "加入 [web]、[signaling]、[ice] 和 [turn]，参照自带的 etc/rtcd.ini。"),
    "configuration.good": Words("配置 {ini} 没有错误（服务：{services}）"),

    "daemon.down": Words(
        "没有使用此配置的守护进程在运行。", "没有进程是用 {ini} 启动的。",
        "现在没有人能通话。只有运行中的守护进程才能显示的内容（如中继回路）未检查。", "如果它应当运行，请启动："),
    "daemon.up": Words("守护进程正在使用 {ini} 运行，进程号 {pid}"),
    "daemon.hidden": Words(
        "只能看到守护进程的一部分。", "进程 {pid} 属于用户 {user}，而此命令由另一用户运行。",
        "端口归谁所有、通话如何中继、凭据是否有效、启动时有哪些 RTCD_ 变量，可能无法检查。", "以 root 身份运行："),

    "state.missing": Words(
        "状态目录还不存在。", "{path}", "守护进程首次启动时会创建它，并生成新的密钥。",
        "如果守护进程以前运行过，请用 --state 指定目录。"),
    "state.owner": Words(
        "状态目录属于别的用户。", "{path} 属于用户 {owner}，守护进程是用户 {user}。",
        "证书无法续期，守护进程也可能无法再次启动。", "把它交给守护进程的用户："),
    "state.mode": Words(
        "本机其他用户能读取状态目录。", "{path} 的权限是 {mode}。", "读到其中密钥的人可以冒充任何人使用中继。",
        "设为私有："),
    "state.full": Words(
        "状态目录没有空间了。", "{path}：无法写入一个小文件；{mount}（{kind}）剩余 {free}。",
        "证书无法续期，新安装无法生成密钥。", "在该文件系统上腾出空间："),
    "state.unwritable": Words(
        "状态目录无法写入。", "{path}：{reason}", "证书无法续期，新安装无法生成密钥。",
        "以可写方式挂载，或在 [daemon] state-directory 中指定别的目录。"),
    "state.low": Words(
        "状态目录空间不多了。", "{path}：{mount}（{kind}）剩余 {free}。", "写满之后证书无法续期。",
        "在该文件系统上腾出空间："),
    "state.not-tried": Words(
        "没有尝试状态目录是否可写。", "{path} 属于别的用户；{mount} 剩余 {free}。", "一切正常的话没有影响。",
        "以 root 身份运行 doctor 即可尝试。"),
    "state.good": Words("状态目录 {path} 可写，剩余 {free}"),

    "store.not-asked": Words(
        "没有询问房间的存储。", "{where}：{reason}", "一切正常的话没有影响。",
        "请看关于配置的说明；如果该文件属于 root，请以 root 身份运行 doctor。"),
    "store.unreachable": Words(
        "无法连接房间的存储。", "{where}：{reason}", "正在进行的通话继续，但在它恢复之前没有人能加入。",
        "请确认 {ini} 中的 [rooms] store 正确，Redis 在该地址上监听（其 redis.conf 中的 bind），中间没有防火墙，并启动它："),
    "store.database": Words(
        "要存放房间的 Redis 没有这个编号的数据库。", "{where}：{reason}", "没有人能加入。",
        "从 {ini} 的 [rooms] store 中去掉 /{number}，或在 redis.conf 中增加数据库的数目。"),
    "store.unwritable": Words(
        "存放房间的 Redis 不接受写入。", "{where}：{reason}", "没有人能加入。",
        "NOREPLICAS：启动它的副本；若没有副本，从其 redis.conf 中去掉 min-replicas-to-write。"
        "MISCONF：它的日志说明为何不能写盘。"),
    "store.password": Words(
        "房间的存储不让守护进程进入。", "{where}：{reason}", "没有人能加入。",
        "把 Redis 的密码（其 redis.conf 中的 requirepass）写进 {ini} 的 [rooms] {key}。"),
    "store.old": Words(
        "存放房间的 Redis 太旧。", "{where} 的版本是 {version}。", "没有人能加入。", "安装 Redis {minimum} 或更新的版本。"),
    "store.replica": Words(
        "要存放房间的 Redis 是不可写的副本。", "{where} 的角色是 {role}。", "没有人能加入。",
        "在 [rooms] store 中写它的主节点，或写 Sentinel：redis+sentinel://HOST,HOST/NAME"),
    "store.evicts": Words(
        "存放房间的 Redis 在内存满时会丢弃键。", "{where}：maxmemory-policy 是 {policy}。", "通话会无声无息地丢失。",
        "让它改为拒绝，此处和它的 redis.conf 中都要改："),
    "store.unsaved": Words(
        "存放房间的 Redis 不写磁盘，也没有副本。", "{where}",
        "如果它重新启动，持有连接的节点会把房间还给它；还没有连上的人需要重新加入。",
        "让它写盘，此处和它的 redis.conf 中都要改："),
    "store.slow": Words(
        "房间的存储回答得很慢。", "{where}：往返 {ms} 毫秒。", "开始通话时的每条消息都要多花这么久。",
        "把 Redis 放到各节点所在的网络。"),
    "store.clock": Words(
        "房间存储的时钟与本机不同。", "{where} 相差 {sign}{seconds} 秒。", "时钟不同的节点会过早或过晚释放席位。",
        "让两台机器都校准时间："),
    "store.strangers": Words(
        "共用房间的各台机器的密钥不同。",
        "{where}：那里的 {nodes} 个进程中有 {count} 个用此处不接受的密钥签名；此处的密钥来自 {source}。",
        "一台机器发出的 TURN 密码和邀请在另一台上无效：有些通话得不到中继。",
        "让所有机器使用相同的 [credentials] secret 和 secret-separator，并让原来不同的机器重新读取配置或重新启动。"),
    "store.good": Words("房间的存储 {where} 是 Redis {version}，{ms} 毫秒内回答"),

    "ports.open": Words("所有端口均已由进程 {pid} 打开：{ports}"),
    "ports.free": Words("所有端口均空闲，可供守护进程使用：{ports}"),
    "ports.taken": Words(
        "{protocol} 端口 {port} 被另一个程序占用：{program}。", "{program}（进程 {pid}）占用着它；{key} 需要它。",
        "守护进程无法启动，或在此端口上无法访问。", "为 {key} 另选端口，或结束那个程序："),
    "ports.taken-unseen": Words(
        "{protocol} 端口 {port} 被另一个程序占用。", "端口已被使用；{key} 需要它。只有 root 能看到占用者。",
        "守护进程无法启动，或在此端口上无法访问。", "为 {key} 另选端口，或找到那个程序并结束它："),
    "ports.closed": Words(
        "守护进程没有打开 {protocol} 端口 {port}。", "没有程序在监听；{key} 需要它（{host}）。",
        "访问此端口的人会被拒绝。", "配置在启动后被改过，或日志说明了原因。请结束它并重新启动："),
    "ports.closed-here": Words(
        "守护进程没有在本机的某个地址上监听。", "{host} 的 {protocol} 端口 {port} 没有程序监听；{key} 需要它。",
        "访问该地址的客户端会被拒绝。", "这个地址是启动之后才有的。请结束守护进程并重新启动："),
    "ports.no-right": Words(
        "此用户无权打开这些端口：{ports}。", "系统拒绝了；{keys} 需要它们。", "守护进程无法启动。",
        "用 systemd/rtcd.service 运行，或以 root 启动并设置 [daemon] user；或允许所有用户打开这类端口："),
    "ports.not-tried": Words(
        "没有尝试守护进程能否打开这些端口：{ports}。",
        "此用户不能打开；设置了 [daemon] user，守护进程由 root 启动。{keys} 需要它们。", "如果它能打开，则没有影响。",
        "以 root 身份运行 doctor 即可尝试："),
    "ports.other-daemon": Words(
        "一个正在运行的守护进程占用着这些端口：{ports}。", "它是进程 {pid}，使用 {ini}。",
        "用此配置无法在它旁边再启动一个。", "如果此配置将取代那一个，则无需处理；否则请另选端口。"),
    "ports.unknown": Words(
        "从这里不知道守护进程为 {key} 在哪里监听。", "配置没有写端口，systemd 的单元和进程也没有显示。",
        "由它进来的内容未检查。", "启动守护进程，并以 root 身份运行 doctor。"),
    "ports.no-address": Words(
        "要监听的地址不是本机的：{host}。", "{key} 为 {protocol} 端口 {port} 指定了它。", "守护进程无法启动。",
        "请写 ip address 显示的地址；NAT 后面的公网地址应写在 [turn] external-ip 里。"),
    "ports.refused": Words(
        "无法尝试 {protocol} 端口 {port}。", "{host}：{reason}；{key} 需要它。", "也许没有影响。",
        "启动守护进程，它会给出更多信息。"),

    "firewall.unread": Words(
        "无法读取本机的防火墙规则。", "{reason}", "如果防火墙关闭了守护进程的端口，部分客户端无法连通，而这里看不出来。",
        "以 root 身份运行："),
    "firewall.no-program": Words(
        "无法读取本机的防火墙规则。", "没有能读取规则的 {programs}。",
        "如果防火墙关闭了守护进程的端口，部分客户端无法连通，而这里看不出来。在容器里本来也看不到宿主机的规则。",
        "在本机安装它，或在有它的地方运行 doctor。"),
    "firewall.closed": Words(
        "防火墙不让任何人访问 {protocol} 端口 {ports}。", "{rule}（{versions}，{manager}）；{key} 需要它。",
        "别处的客户端会在这里超时；从本机看可能一切正常。", "打开它，并写入开机时加载的防火墙文件："),
    "firewall.partly": Words(
        "防火墙只让一部分人访问 {protocol} 端口 {ports}。", "{rule}（{versions}，{manager}）；{key} 需要它。",
        "规则没有列出的客户端会在这里超时。", "如果所有人都要通话，请打开它："),
    "firewall.open": Words("防火墙（{manager}）允许所有人访问 {ports}"),

    "clock.went-back": Words(
        "时钟倒退了。", "状态目录中有文件比现在新 {seconds} 秒。",
        "之前生成的凭据和证书看起来来自未来，会被拒绝。", "校正时钟："),
    "clock.no-answer": Words(
        "无法比较时间。", "{source}：{reason}", "时钟正确的话没有影响。", "用 --time-from 指定别的网址。"),
    "clock.wrong": Words(
        "本机时钟不对。", "与 {source} 相差 {sign}{seconds} 秒。", "证书看起来已过期或未生效，TURN 凭据会立即失效。",
        "开启自动校时："),
    "clock.off": Words(
        "本机时钟不太准。", "与 {source} 相差 {sign}{seconds} 秒。", "TURN 凭据会提前或推迟失效。", "开启自动校时："),
    "clock.right": Words("时钟与 {source} 一致"),
    "clock.kept": Words("时钟有自动校时（据 {by}）"),
    "clock.unkept": Words(
        "本机时钟没有自动校时。", "adjtimex(2) 和 timedatectl 显示：未同步。",
        "相差几分钟后，证书和 TURN 凭据会被拒绝。虚拟机的时钟可能由宿主机校正。", "开启自动校时："),

    "plane.chosen": Words("通话由套接字中继（[turn] relay-plane 的设置）"),
    "plane.kernel": Words("通话在内核中中继"),
    "plane.possible": Words("通话可以在内核中中继"),
    "plane.unsuitable": Words(
        "通话无法在内核中中继。", "{reason}",
        "改由套接字中继，要多用几倍的处理器；relay-plane = kernel 时守护进程无法启动。",
        "换用支持的系统，或设置 [turn] relay-plane = python。"),
    "plane.no-right": Words(
        "守护进程无权在内核中中继。", "缺少：{capabilities}。",
        "改由套接字中继，要多用几倍的处理器；relay-plane = kernel 时守护进程无法启动。",
        "像 systemd/rtcd.service 那样授权："),
    "plane.sockets": Words(
        "内核可以中继，但通话由套接字中继。", "守护进程没有加载内核程序。", "要多用几倍的处理器。",
        "日志中以 calls are relayed by sockets 开头的一行说明了原因。"),

    "limits.files": Words(
        "守护进程可打开的文件不够。", "LimitNOFILE 是 {files}；{relays} 个中继加上其他需要 {needed}。",
        "通话多时，后来的人得不到中继或打不开页面。", "提高上限："),
    "limits.buffers": Words(
        "系统限制了套接字缓冲区。", "net.core.rmem_max 是 {allowed}，[turn] socket-buffer 是 {wanted}。",
        "负载高时会丢失本可中继的数据包。", "提高它，并写入 /etc/sysctl.d 供下次开机使用："),
    "limits.good": Words("守护进程可以打开 {files} 个文件"),

    "doctor.late": Words(
        "有一项检查没有按时完成：{check}。", "给了它 {seconds} 秒。", "它会说什么不得而知。",
        "用更大的 --timeout 再试；常见原因是 DNS 不回答。"),
    "doctor.failed": Words(
        "有一项检查自身失败了：{check}。", "{reason}", "它会说什么不得而知。", "请附上这一行反馈。"),
}
