"""What the doctor says of the ini, the daemon and its machine, in English. See `rtcd.doctor.words`."""

from __future__ import annotations

from rtcd.doctor.words import Words

TEXTS = {
    "configuration.fault": Words(
        "The configuration has a fault: {fault}", "{ini}",
        "The daemon does not start on this file; one that runs goes on with what it has read before.",
        "The sentence says how. The other checks go by the rest of the file."),
    "configuration.unseen": Words(
        "A part of the configuration could not be looked at: {fault}", "{ini}",
        "Whether it is right is not known, and the other checks go without it. As this user the daemon would not start.",
        "Run it as root:"),
    "configuration.empty": Words(
        "The configuration turns no service on.", "{ini} has none of the sections that are services.",
        "The daemon does not start.", "Add [web], [signaling], [ice] and [turn], as in the shipped etc/rtcd.ini."),
    "configuration.good": Words("the configuration {ini} is without fault (services: {services})"),

    "daemon.down": Words(
        "No daemon runs on this configuration.", "No process was started with {ini}.",
        "Nobody can call now. What only a running daemon can show, such as the relay loop, was left out.",
        "If it should run, start it:"),
    "daemon.up": Words("the daemon runs on {ini} as process {pid}"),
    "daemon.hidden": Words(
        "Only a part of the daemon can be seen.", "Process {pid} belongs to user {user}, and this command to another one.",
        "Who holds a port, how calls are relayed, whether credentials are good, and what variables RTCD_… it was started "
        "with, may be left out.",
        "Run it as root:"),

    "state.missing": Words(
        "The state directory is not there yet.", "{path}", "The daemon makes it at its first start, with new secrets.",
        "If the daemon has run before, name the directory with --state."),
    "state.owner": Words(
        "The state directory belongs to somebody else.", "{path} belongs to user {owner}, the daemon is user {user}.",
        "Certificates cannot be renewed, and the daemon may not start again.", "Give it to the daemon's user:"),
    "state.mode": Words(
        "Others on this machine can read the state directory.", "{path} has the mode {mode}.",
        "Whoever reads the secret in it can use the relay as anybody.", "Make it private:"),
    "state.full": Words(
        "There is no room in the state directory.",
        "{path}: a small file could not be written; {free} free on {mount} ({kind}).",
        "Certificates cannot be renewed, and a new installation cannot make its secrets.",
        "Make room on that file system:"),
    "state.unwritable": Words(
        "The state directory cannot be written.", "{path}: {reason}",
        "Certificates cannot be renewed, and a new installation cannot make its secrets.",
        "Mount it for writing, or name another one in [daemon] state-directory."),
    "state.low": Words(
        "There is little room in the state directory.", "{path}: {free} free on {mount} ({kind}).",
        "When it is full certificates cannot be renewed.", "Make room on that file system:"),
    "state.not-tried": Words(
        "Whether the state directory can be written was not tried.",
        "{path} belongs to somebody else; {free} free on {mount}.",
        "Nothing, if all is well.", "Run the doctor as root to have it tried."),
    "state.good": Words("the state directory {path} can be written, {free} are free"),

    "store.not-asked": Words(
        "The store of rooms was not asked.", "{where}: {reason}", "Nothing, if all is well.",
        "See what is said of the configuration; run the doctor as root if the file is root's."),
    "store.unreachable": Words(
        "The store of rooms cannot be reached.", "{where}: {reason}",
        "Calls that run go on, and nobody can join until it is back.",
        "See that [rooms] store in {ini} is right, that Redis listens at that address (bind in its redis.conf), that no"
        " firewall is between, and start it:"),
    "store.database": Words(
        "The Redis that is to keep rooms has no database of this number.", "{where}: {reason}", "Nobody can join.",
        "Leave /{number} away from [rooms] store in {ini}, or have more databases in redis.conf."),
    "store.unwritable": Words(
        "The Redis that keeps rooms takes no writes.", "{where}: {reason}", "Nobody can join.",
        "NOREPLICAS: start its replicas, or remove min-replicas-to-write from its redis.conf if it has none. MISCONF: its"
        " log says why it cannot write to its disk."),
    "store.password": Words(
        "The store of rooms does not let the daemon in.", "{where}: {reason}", "Nobody can join.",
        "Write the password of Redis (requirepass in its redis.conf) into [rooms] {key} of {ini}."),
    "store.old": Words(
        "The Redis that keeps rooms is too old.", "{where} is version {version}.", "Nobody can join.",
        "Install Redis {minimum} or newer."),
    "store.replica": Words(
        "The Redis that is to keep rooms is a copy that cannot be written.", "{where} has the role {role}.",
        "Nobody can join.", "Name its master in [rooms] store, or the Sentinels: redis+sentinel://HOST,HOST/NAME"),
    "store.evicts": Words(
        "The Redis that keeps rooms throws keys away when its memory is full.", "{where}: maxmemory-policy is {policy}.",
        "Calls are lost without a trace.", "Let it refuse instead, here and in its redis.conf:"),
    "store.unsaved": Words(
        "The Redis that keeps rooms writes nothing to a disk and has no replica.", "{where}",
        "If it is started again, rooms are given back by the nodes that hold their sockets; who was only about to come"
        " has to join again.", "Let it write, here and in its redis.conf:"),
    "store.slow": Words(
        "The store of rooms answers slowly.", "{where}: {ms} ms there and back.",
        "Every message of a call that begins takes so much longer.", "Put Redis on the network of the nodes."),
    "store.clock": Words(
        "The clock of the store of rooms is not ours.", "{where} is {sign}{seconds} s.",
        "Nodes whose clocks differ free seats too early or too late.", "Let both machines keep their time:"),
    "store.strangers": Words(
        "Machines that share the rooms have different secrets.",
        "{where}: of {nodes} processes there, {count} with a secret that is not accepted here; ours is from {source}.",
        "TURN passwords and invitations of one machine do not hold at another: some calls get no relay.",
        "Give all machines the same [credentials] secret and secret-separator, and reload or restart those that had another"
        " one."),
    "store.good": Words("the store of rooms {where} is Redis {version} and answers in {ms} ms"),

    "ports.open": Words("every port is open, by process {pid}: {ports}"),
    "ports.free": Words("every port is free for the daemon: {ports}"),
    "ports.taken": Words(
        "Another program has {protocol} port {port}: {program}.", "{program}, process {pid}, holds it; {key} asks for it.",
        "The daemon does not start, or is not reached at this port.",
        "Choose another port for {key}, or end that program:"),
    "ports.taken-unseen": Words(
        "Another program has {protocol} port {port}.", "It is in use; {key} asks for it. Whose it is only root can see.",
        "The daemon does not start, or is not reached at this port.",
        "Choose another port for {key}, or find the program and end it:"),
    "ports.closed": Words(
        "The daemon has not opened {protocol} port {port}.", "Nobody listens there; {key} asks for it ({host}).",
        "Whoever comes to this port is refused.",
        "The ini was changed after the start, or the log says why. End it and start it again:"),
    "ports.closed-here": Words(
        "The daemon does not listen at one of this machine's addresses.",
        "Nobody has {protocol} port {port} at {host}; {key} asks for it.",
        "Clients that come to this address are refused.",
        "The address came after the start. End the daemon and start it again:"),
    "ports.no-right": Words(
        "The daemon may not open these ports as this user: {ports}.", "The system refuses them; {keys} ask for them.",
        "The daemon does not start.",
        "Run it by systemd/rtcd.service, or as root with [daemon] user; or let everybody open such ports:"),
    "ports.not-tried": Words(
        "Whether the daemon may open these ports was not tried: {ports}.",
        "This user may not; with [daemon] user the daemon is started as root. {keys} ask for them.", "Nothing, if it may.",
        "Run the doctor as root to have it tried:"),
    "ports.other-daemon": Words(
        "A running daemon has these ports: {ports}.", "It is process {pid}, on {ini}.",
        "On this configuration no other one starts beside it.",
        "Nothing, if this configuration is to take the place of that one; else choose other ports."),
    "ports.unknown": Words(
        "Where the daemon listens for {key} is not known from here.",
        "The configuration names no port, and no unit of systemd and no process shows one.",
        "What comes in by it was left out.", "Start the daemon, and run the doctor as root."),
    "ports.no-address": Words(
        "An address to listen on is not of this machine: {host}.", "{key} names it for {protocol} port {port}.",
        "The daemon does not start.",
        "Name an address that 'ip address' shows; the public one of a machine behind NAT goes into [turn] external-ip."),
    "ports.refused": Words(
        "{protocol} port {port} could not be tried.", "{host}: {reason}; {key} asks for it.", "Perhaps nothing.",
        "Start the daemon, which says more."),

    "firewall.unread": Words(
        "The firewall of this machine could not be read.", "{reason}",
        "If it closes a port of the daemon, some clients do not get through, and it is not named here.", "Run it as root:"),
    "firewall.no-program": Words(
        "The firewall of this machine could not be read.", "There is no {programs}, which would read its rules.",
        "If it closes a port of the daemon, some clients do not get through, and it is not named here. In a container the "
        "rules of the host are not seen in any case.", "Install it here, or run the doctor where it is."),
    "firewall.closed": Words(
        "The firewall lets nobody reach {protocol} port {ports}.", "{rule} ({versions}, {manager}); {key} asks for it.",
        "Clients elsewhere time out there. From this machine itself all may look well.",
        "Open it, and in the file that the firewall is loaded from at the next boot:"),
    "firewall.partly": Words(
        "The firewall lets only some reach {protocol} port {ports}.", "{rule} ({versions}, {manager}); {key} asks for it.",
        "Clients that its rules do not name time out there.", "If everybody is to call, open it:"),
    "firewall.open": Words("the firewall ({manager}) lets everybody in at {ports}"),

    "clock.went-back": Words(
        "The clock has gone back.", "A file in the state directory is {seconds} s newer than now.",
        "Credentials and certificates that were made before seem to be of the future, and are refused.", "Set the clock:"),
    "clock.no-answer": Words(
        "The time could not be compared.", "{source}: {reason}", "Nothing, if the clock is right.",
        "Name another URL with --time-from."),
    "clock.wrong": Words(
        "The clock of this machine is wrong.", "{sign}{seconds} s beside {source}.",
        "Certificates seem to have ended or not begun, and TURN credentials end at once.", "Have it kept:"),
    "clock.off": Words(
        "The clock of this machine is not quite right.", "{sign}{seconds} s beside {source}.",
        "TURN credentials end earlier or later than they should.", "Have it kept:"),
    "clock.right": Words("the clock agrees with {source}"),
    "clock.kept": Words("the clock is kept right ({by} says)"),
    "clock.unkept": Words(
        "Nothing keeps the clock of this machine.", "adjtimex(2) and timedatectl say: not synchronised.",
        "When it is some minutes wrong, certificates and TURN credentials are refused. In a virtual machine the host may "
        "keep it.", "Have it kept:"),

    "plane.chosen": Words("calls are relayed by sockets, as [turn] relay-plane says"),
    "plane.kernel": Words("calls are relayed in the kernel"),
    "plane.possible": Words("calls can be relayed in the kernel"),
    "plane.unsuitable": Words(
        "Calls cannot be relayed in the kernel.", "{reason}",
        "They are relayed by sockets, which takes several times as much processor; with relay-plane = kernel the daemon "
        "does not start.", "Run it on a system that can, or set [turn] relay-plane = python."),
    "plane.no-right": Words(
        "The daemon has no right to relay in the kernel.", "Missing: {capabilities}.",
        "Calls are relayed by sockets, which takes several times as much processor; with relay-plane = kernel the daemon "
        "does not start.", "Grant it as systemd/rtcd.service does:"),
    "plane.sockets": Words(
        "Calls are relayed by sockets although the kernel could.", "The daemon holds no program of the kernel.",
        "That takes several times as much processor.",
        "The line of its log that begins 'calls are relayed by sockets' says why."),

    "limits.files": Words(
        "The daemon may not open enough files.", "LimitNOFILE is {files}; {relays} relays and the rest take {needed}.",
        "When many call, the next ones get no relay or no page.", "Raise it:"),
    "limits.buffers": Words(
        "The system keeps the buffers of sockets small.", "net.core.rmem_max is {allowed}, [turn] socket-buffer {wanted}.",
        "Under load packets are lost that would have been relayed.", "Raise it, and in /etc/sysctl.d for the next boot:"),
    "limits.good": Words("the daemon may open {files} files"),

    "doctor.late": Words(
        "A check did not end in time: {check}.", "It was given {seconds} s.", "What it would have said is not known.",
        "Try again with more --timeout; a resolver that does not answer is the usual reason."),
    "doctor.failed": Words(
        "A check failed itself: {check}.", "{reason}", "What it would have said is not known.",
        "Please report it with this line."),
}
