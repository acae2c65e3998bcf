"""What the doctor says of names, certificates and the ways that lead to the daemon, in English. See `rtcd.doctor.words`."""

from __future__ import annotations

from rtcd.doctor.words import Words

TEXTS = {
    "names.none": Words(
        "There is no public URL.", "[doorway] public-url is empty.",
        "Links are made of what a browser has asked for, and nothing can be checked from outside. On a LAN that is as it "
        "should be.", "For the internet set it, as https://meet.example.org."),
    "names.unknown": Words(
        "The DNS does not know the public name {host}.", "{reason}",
        "Nobody can open the page by this name.",
        "Add an A record for it with your DNS provider, with the public address of this machine ({addresses})."),
    "names.no-answer": Words(
        "Nobody answers this machine's questions to the DNS.", "{host}: {reason}",
        "Whether the public name leads here cannot be told, and certificates by [acme] cannot be got.",
        "See that this machine has a network and /etc/resolv.conf a server that answers, and try again."),
    "names.loopback": Words(
        "This machine takes its public name for itself.", "{host}: {resolved}, perhaps from /etc/hosts.",
        "What the DNS tells others cannot be seen from here.", "Ask elsewhere: the name has to lead to {public}."),
    "names.no-ipv6": Words(
        "The public name has no AAAA record.", "{host} has no IPv6 address, this machine has {public}.",
        "Phones in networks that only have IPv6 come by a translator, which works but is slower.",
        "Add an AAAA record with {public}, if that is let in."),
    "names.proxy": Words(
        "The public name leads to other addresses than this machine's.",
        "{record} of {host}: {resolved}; this machine: {ours}.",
        "With a proxy there that is as it should be. STUN and TURN do not come through a web proxy.",
        "See that [ice] host is a name of this machine."),
    "names.unproved": Words(
        "Whether the public name leads here cannot be told.",
        "{record} of {host}: {resolved}; this machine has {ours}, and no public address is known.",
        "Nothing, if a router or a cloud brings it here.",
        "Name a STUN server in [turn] stun-server, and the doctor can compare."),
    "names.partly-elsewhere": Words(
        "The public name leads here and elsewhere.", "{record} of {host}: {resolved}; not of this machine: {strangers}.",
        "A part of the people comes to the wrong machine.", "Remove {strangers} with your DNS provider."),
    "names.elsewhere-ipv6": Words(
        "The public name leads elsewhere by IPv6.", "AAAA of {host}: {strangers}; this machine: {ours}.",
        "Phones prefer IPv6: they come to the wrong machine, or wait for it.",
        "Put the right address into the AAAA record ({public}), or remove the record."),
    "names.elsewhere": Words(
        "The public name leads to another machine.", "{record} of {host}: {strangers}; this machine: {ours}.",
        "Nobody who opens the link comes here.", "Put {public} into the {record} record with your DNS provider."),
    "names.good": Words("the public name {host} leads here: {addresses}"),

    "certificate.unseen": Words(
        "The certificate could not be seen.", "{where}: {reason}", "Browsers and apps cannot connect.",
        "The log of the daemon says why it has none; check [tls]."),
    "certificate.hidden": Words(
        "A file of the certificate could not be looked at.", "{path}",
        "Whether it is good is not known. As this user the daemon could not read it either.", "Run the doctor as root:"),
    "certificate.expired": Words(
        "The certificate has expired.", "{where}: {subject} ended at {until}.",
        "Every browser warns, and the apps refuse to connect.",
        "Renew it with what made it; the daemon takes the new files by itself."),
    "certificate.early": Words(
        "The certificate is not valid yet.", "{where}: {subject} begins at {since}.",
        "Every browser warns, and the apps refuse to connect. The clock of this machine may be wrong.", "Check the clock:"),
    "certificate.soon": Words(
        "The certificate ends in {days} days and has not been renewed.", "{where}: {subject} ends at {until}.",
        "When it has ended every browser warns, and the apps refuse to connect.",
        "Renew it with what made it; for one by [acme] the log says what fails."),
    "certificate.name": Words(
        "The certificate is for other names.", "{where} is for {names}, and not for {missing}.",
        "Every browser warns that this is another site, and the apps refuse to connect.",
        "Get one for {missing}, or correct [doorway] public-url or [tls] names."),
    "certificate.order": Words(
        "The certificates are in the wrong order.", "{where}: behind {subject} stand others than its issuer.",
        "Some phones and apps refuse it.", "In {file} put the server's first, then each one's issuer."),
    "certificate.local": Words(
        "The certificate is of this daemon's own authority.", "{where}: signed by {issuer}.",
        "Browsers warn until the device trusts that authority; the phone apps refuse it.",
        "Open /install on each device, or have a public name: then one comes by [acme]."),
    "certificate.self-signed": Words(
        "The certificate has signed itself.", "{where}: {subject}.",
        "Every browser warns; the phone apps refuse to connect.",
        "Take cert and key out of [tls]: then rtcd gets a public one, or makes one that devices can be told to trust."),
    "certificate.incomplete": Words(
        "An intermediate certificate is missing.", "{where} shows {sent} of the chain; nobody has sent {issuer}.",
        "Desktop browsers fetch it themselves. Android, the phone apps and TURN clients do not, and refuse to connect.",
        "Name the file with the whole chain (fullchain.pem) as cert:"),
    "certificate.stranger": Words(
        "The certificate is of an authority that browsers do not know.", "{where}: signed by {issuer}.",
        "Browsers warn on every device that was not told to trust that authority; the phone apps refuse to connect.",
        "If your devices trust it, name its certificate with --trust; else get one of a public authority."),
    "certificate.stale": Words(
        "Another certificate is shown than the one in the file.", "{where} shows an older one than {file}.",
        "The new one is not in force, perhaps since the daemon cannot take it.", "The log says why; have it read again:"),
    "certificate.key-unreadable": Words(
        "The daemon cannot read the private key.", "{path}: {reason} (user {user}).",
        "It does not start, or goes on with the old certificate until that has ended.",
        "Let it read the key, or use LoadCredential= as in systemd/rtcd.service:"),
    "certificate.key-open": Words(
        "Everybody on this machine can read or write the private key.", "{path} has the mode {mode}.",
        "Whoever has it can pretend to be this site.", "Close it:"),
    "certificate.good": Words("the certificate at {where} is good for {names} until {until}"),

    "nat.external-wrong": Words(
        "The public address in the ini is another one than was found.",
        "[turn] external-ip says {written}; found: {right}.",
        "Clients are offered relays at an address that does not lead here: relayed calls stay black.",
        "Correct it, or write auto:"),
    "nat.silent": Words(
        "The STUN server does not answer.", "{server} was asked from {hosts}.",
        "The public address cannot be found by it, or UDP does not leave this machine.",
        "Check that UDP goes out, or name another one in [turn] stun-server."),
    "nat.no-server": Words(
        "The name of the STUN server cannot be resolved.", "{server}: {reason}",
        "The public address cannot be found by it.", "Correct [turn] stun-server, or see what is said of names."),
    "nat.none": Words("there is no NAT: {addresses} is public"),
    "nat.mapped": Words("the relays are known outside as {addresses}"),
    "nat.unproved": Words(
        "Whether the public address is right could not be checked.", "[turn] external-ip: {addresses}.",
        "If it is wrong, relayed calls stay black.", "Name a STUN server in [turn] stun-server, and the doctor compares."),
    "nat.unknown": Words(
        "This machine has no public address, and none is known for it.", "Its addresses: {hosts}.",
        "People in the same network can call; relayed calls with others stay black.",
        "In a closed network that is as it should be. Else set [turn] external-ip or stun-server in {ini}."),
    "nat.symmetric": Words(
        "The NAT gives every destination another port.",
        "{local} is {mapped} for {server}, and {elsewhere} for its other address.",
        "Relays behind it cannot be reached by others: they need ports that stay.",
        "Forward the relay ports and the listening ports to this machine, each to the same number."),
    "nat.restricted": Words(
        "The NAT lets in only who was spoken to before.", "{local} is {mapped} for {server}; no stranger came in there.",
        "Clients elsewhere reach the ports of this machine only if they are forwarded, which cannot be seen from here.",
        "See that the listening ports and the relay ports are forwarded to this machine, each to the same number, and open "
        "/check with a phone that is in another network."),
    "nat.unclear": Words(
        "There is a NAT, and whether it lets strangers in is not known.", "{local} is {mapped} for {server}.",
        "If it does not, clients elsewhere reach the ports of this machine only where they are forwarded.",
        "Open /check with a phone that is in another network. A STUN server with two addresses (RFC 5780) can tell more."),
    "nat.one-to-one": Words("the NAT is one to one, as of a cloud: {local} is {mapped}"),

    "relay.good": Words("the relay brings data there and back by {ways} (at most {slowest} ms)"),
    "relay.no-secret": Words(
        "The relay was not tried: there are no credentials to try it with.", "{reason}", "Perhaps nothing.",
        "Run it as a user who may read the secret, or name a user of the relay with --user:"),
    "relay.secret-mismatch": Words(
        "The relay refuses credentials of the secret in force here.", "{ways}: 401; the secret is from {source}.",
        "No call can be relayed: whoever needs a relay sees no picture.",
        "The daemon has another secret than is written now. Have it read again:"),
    "relay.wrong-password": Words(
        "The relay does not know this user with this password.", "{ways}: 401; {source}.",
        "Whoever uses them gets no relay.",
        "See that 'rtcd user list' names the user for this realm, or set the password anew."),
    "relay.other-secret": Words(
        "Another TURN server refuses our credentials.", "{ways}, named in [ice] servers: 401; the secret is from {source}.",
        "Clients that are sent there get no relay, and calls fail for some of them.",
        "Write the same [credentials] secret into its configuration (static-auth-secret in coturn) and restart it;"
        " if it is the same one, its clock is wrong."),
    "relay.redirected": Words(
        "The relay sends clients elsewhere.", "{ways}: 300.", "As [turn] alternate-server says.", ""),
    "relay.draining": Words(
        "The relay takes no new clients.", "{ways}: 403.", "It drains: calls over it go on, new ones go elsewhere.", ""),
    "relay.nowhere": Words(
        "Names of TURN servers lead nowhere.", "{names}, named in [ice] servers: no address.",
        "Clients that are sent there get no relay, and calls fail for some of them.",
        "Make the DNS record, or correct the name in [ice] servers."),
    "relay.no-family": Words(
        "There are no relays of this family.", "{ways}: {code} {reason}",
        "Clients by this way get a relay of the other family, which is enough for most.", ""),
    "relay.refused": Words(
        "The relay answers with an error.", "{ways}: {code} {reason}", "Clients by this way get no relay.",
        "The log of the daemon says why at [log] level = debug."),
    "relay.connect": Words(
        "The relay cannot be connected to.", "{ways}: {reason}",
        "Clients whose networks let no UDP out have one way less, or none.",
        "Look at what is said of ports and firewall; else at the log."),
    "relay.handshake": Words(
        "The relay's encryption fails.", "{ways}: {reason}", "Clients in strict networks get no relay.",
        "Look at what is said of the certificate; else at the log."),
    "relay.silent": Words(
        "The relay does not answer.", "{ways}: nothing came back.",
        "Clients by this way wait, and then have no relay. Without UDP calls are worse, or fail.",
        "A firewall drops it, here or between; look at what is said of it. If [ice] servers names it:"
        " perhaps it does not run."),
    "relay.lost": Words(
        "The relay takes data and does not bring it.", "{ways}: from relay to relay ({relayed}) nothing came.",
        "Relayed calls stay black.",
        "A firewall drops the relay ports, or [turn] external-ip is wrong; look at what is said of them."),
    "relay.garbage": Words(
        "Something else than a TURN server answers.", "{ways}: {reason}", "Clients by this way get no relay.",
        "See which program has the port."),

    "websocket.here": Words("signalling works at {url}"),
    "websocket.public": Words("signalling works at the public address {url} ({address})"),
    "websocket.no-way-back": Words(
        "The public address cannot be tried from here.", "{url} ({address}): {reason}; the listener here answers.",
        "Many routers let nobody out and in again. From outside it may work.",
        "Open the page with a phone that is not in this network."),
    "websocket.dns": Words(
        "The public name cannot be resolved.", "{url}: {reason}", "The page does not open.",
        "See what is said of the name."),
    "websocket.timeout": Words(
        "Nobody answers for signalling.", "{url} ({address}): {reason}", "The page does not open.",
        "A firewall drops it, or the address leads nowhere; see what is said of them."),
    "websocket.refused": Words(
        "Signalling is refused: nobody listens there.", "{url} ({address}): {reason}", "The page does not open.",
        "Forward the port to the daemon, start the proxy in front, or correct [doorway] public-url:"),
    "websocket.tls": Words(
        "There is no TLS where browsers expect it.", "{url} ({address}): {reason}", "The page does not open.",
        "Something else has that port, or it speaks HTTP only; correct [doorway] public-url or the proxy in front."),
    "websocket.no-upgrade": Words(
        "The proxy in front does not pass WebSockets on.",
        "{url} ({address}): HTTP {status} in place of 101, Server: {server}; the listener here upgrades.",
        "The page opens, and then says that it cannot reach the room: nobody can call.",
        "In nginx, where proxy_pass stands: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        "proxy_set_header Connection \"upgrade\"; — others: docs/proxies.md."),
    "websocket.bad-gateway": Words(
        "The proxy in front does not reach the daemon.", "{url} ({address}): HTTP {status}, Server: {server}.",
        "The page does not open.", "Give it the address of [doorway] plain, and see that the daemon runs."),
    "websocket.status": Words(
        "Signalling is answered with an error.", "{url} ({address}): HTTP {status} in place of 101, Server: {server}.",
        "Nobody can call.", "Another program answers there, or [signaling] is off or has another path."),
    "websocket.silent": Words(
        "A WebSocket opens, and then nothing comes through.", "{url} ({address}): {reason}",
        "Calls do not begin.", "A proxy in front holds messages back; turn its buffering off (docs/proxies.md)."),
    "websocket.garbage": Words(
        "No web server answers for signalling.", "{url} ({address}): {reason}", "The page does not open.",
        "See which program has that port, and whether a PROXY header is expected ([doorway] proxy-from)."),
}
