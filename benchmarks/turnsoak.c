/* turnsoak.c - TURN allocations that come and go for a long time, and whether each gets its own packets (Linux, IPv4/UDP).
 *
 * build: make -C benchmarks        (Debian: apt-get install gcc libssl-dev); benchmarks/soak.py runs it and looks at the server
 *
 * usage: turnsoak [options]        a JSON line every -i seconds, and one with "final":true at the end
 *   exit 0: nothing wrong; 1: a packet was damaged or went astray, or the server gave a wrong answer; 2: no run
 *   -s IP:PORT  server                        (127.0.0.1:3478)
 *   -u USER -w PASS                           (u / p), realm and nonce come from the server's 401
 *   -l IP       client source address         (127.0.0.2), ports 20001-60000
 *   -L IP       peer address                  (127.0.0.3), any free ports
 *   -n N        owners, each with one allocation at a time, <= 2000                    (200)
 *   -e PEERS    peer sockets                  (8)
 *   -d SEC      seconds of traffic, <= 86400  (60)
 *   -S SEC      seconds that an allocation lives, half to one and a half of it         (5)
 *   -R PPS      packets offered a second, all directions together                      (10000)
 *   -g MS       grace: so long after its end a packet of an allocation may still come  (50)
 *   -i SEC      seconds between lines         (10)
 *   -c CPU      pin this tool to a CPU
 *   -A NS       run the peer sockets inside network namespace NS (/run/netns/NS)
 *   -N NS       run the client sockets inside network namespace NS
 *
 * What it does. Each allocation has two channels to two of the peers; a fifth of the owners are in pairs and have a channel to the
 * relay of the other one besides, a new one whenever that has a new relay. Half of the packets go up from clients, by channel, to
 * peers or to the other client of the pair; half come down from peers. They are 60 to 1200 bytes long. Sometimes an allocation is
 * refreshed. It ends in one of three ways:
 *   refresh  by Refresh 0
 *   expire   by itself: nobody refreshes it. Only if the server grants less than three times -S, or it would take too long
 *   close    its client closes the socket without a word, and the server is left with the five-tuple until the lifetime is over
 * Then the owner makes another one, from the same port or from a new one of its own ports. Where the server has one there yet, it
 * says 437; then that one is deleted first.
 *
 * For the last 50 ms of an allocation nothing is sent on it, so that what is missing is lost; then come packets that are marked late,
 * a few for two seconds from both sides, which nobody may get once the allocation has ended.
 *
 * What is checked. Each payload says from whom and to whom it is, both as owner and generation, which number it is in its
 * direction, and has a checksum over all of it. Arrival is the time at which the kernel took the packet in, whenever we look.
 *   damaged  checksum, length or form is wrong
 *   wrong    it is somebody else's; or it comes from another relay or by another channel than it should
 *   stale    it is of an allocation whose end the server has answered before, by more than the grace. For the sender's allocation
 *            of a packet between two clients it counts when it was sent, since it may wait for long in the socket of the other relay
 *   doubled  it came before
 *   twice    a relayed address was given to two at once
 *   mismatch 437 for a five-tuple whose allocation was deleted and that was answered
 *   refused  any other error
 * Not wrong, but counted, since the machine may be busy: lost packets; timeouts, which are requests that were never answered; and
 *   overdue  it is of an allocation that ran out more than a second and the grace before, and the server has not seen to it
 */
#define _GNU_SOURCE
#define TOOL "turnsoak"
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "turn.h"

#define MS 1000000ull
#define S 1000000000ull
#define MAGIC 0x534f414bu
#define OWNERS 2000
#define PEERS 32
#define CHANNELS 2			/* to peers; those to the other of a pair have the next numbers */
#define FIRST_CHANNEL 0x4000
#define MATES 32			/* generations of the other one that one generation can meet */
#define LIVES 64			/* generations of an owner that are remembered */
#define BATCH 64
#define BURST 4
#define QUIET (50 * MS)
#define LATE (2 * S)
#define LATE_EVERY (100 * MS)
#define AGAIN (400 * MS)
#define TRIES 8
#define BEHIND 50			/* ms that are made up for when we come too late; the rest is not sent */
#define SHORTEST 60
#define LONGEST 1200
#define TOLD 20				/* faults that are told one by one */

enum { UPWARD, DOWNWARD, ACROSS, KINDS };
enum { REFRESHED, EXPIRED, CLOSED, WAYS };
enum state { GAP, STARTING, LIVE, SILENT, ENDING, OVER };
enum { NOTHING, ALLOCATE, BIND, MATE, REFRESH, DELETE, TAKE_OVER };
static const char *kinds[] = {"up", "down", "across"}, *ways[] = {"refresh", "expire", "close"};

typedef struct { uint32_t magic; uint8_t kind, late; uint16_t size; uint32_t from, from_gen, to, to_gen, seq, zero; uint64_t at, sum; } head;
typedef struct { uint32_t next, top; uint64_t seen; } stream;	/* the next number that is sent; the highest that came, and those below */

typedef struct {			/* one allocation */
	uint32_t gen;
	uint16_t port;			/* the client's */
	uint8_t way, mates, sure;		/* sure: the server has answered that it has ended */
	struct sockaddr_in relay;
	uint64_t expires, ends;		/* not before this, and not after that */
	int peer[CHANNELS];
	uint32_t mate[MATES];		/* by channel, the generation of the other one of the pair */
	stream streams[2 * CHANNELS + 1];
} life;

typedef struct {
	int fd, slot;
	enum state st;
	uint32_t gen;
	life lives[LIVES], *l;
	uint64_t due, refresh_at, late_until, late_next, mate_at;
	int sure;			/* nothing is left in the server at our port */
	/* the request that waits for its answer */
	int what, tries, retries, bound;
	uint32_t mate_gen;
	uint64_t first, again;
	uint8_t tid[12];
	char nonce[128];
	msg req;
} owner;

static struct sockaddr_in server, peer_ip, client_ip, peers[PEERS];
static int N = 200, npeers = 8, mycpu = -1, pairs, ep, peer_fd[PEERS], ports_each;
static const char *ns_peer, *ns_client;
static double D = 60, each = 5, every = 10;
static long R = 10000;
static uint64_t grace = 50 * MS, lifetime, began, skipped, short_of;
static int expiry = -1;			/* whether the server lets allocations end soon enough; -1: not known yet */
static owner *owners;
static struct { int owner; uint32_t gen; } holders[65536];
static uint64_t sent[KINDS], got[KINDS], late_sent, late_got, unsent, damaged, wrong, stale, overdue, doubled, twice, mismatch, refused, timeouts, odd, icmp;
static uint64_t made, ended[WAYS], taken_over, refreshes;
static volatile sig_atomic_t stopped;

static uint64_t clock_ns(void) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); return t.tv_sec * S + t.tv_nsec; }
static uint64_t dice(void)
{
	static uint64_t x;
	if (!x) x = now_ns() | 1;
	x ^= x << 13; x ^= x >> 7; x ^= x << 17;
	return x * 0x2545f4914f6cdd1dull >> 16;
}
static double part(void) { return (dice() & 0xffffff) / (double)0x1000000; }
static void fault(uint64_t *count, const char *name, const char *how, ...)
{
	static int told;
	va_list a;
	++*count;
	if (told++ >= TOLD) return;
	va_start(a, how);
	fprintf(stderr, "%s after %.3f s: ", name, (clock_ns() - began) / 1e9);
	vfprintf(stderr, how, a);
	fputc('\n', stderr);
	va_end(a);
}
static life *life_of(int who, uint32_t gen) { life *l = &owners[who].lives[gen % LIVES]; return gen && l->gen == gen ? l : NULL; }
static int port_of(int who) { return 20001 + who * ports_each + owners[who].slot; }
static int mate_of(int who) { return who < 2 * pairs ? who ^ 1 : -1; }

/* ---- payloads ---- */
static uint8_t noise[1 << 17], sbuf[BURST][2048];
static uint64_t sum_words(uint64_t h, const uint8_t *b, int n)
{
	uint64_t w;
	for (; n >= 8; b += 8, n -= 8) { memcpy(&w, b, 8); h = (h ^ w) * 0x9e3779b97f4a7c15ull; h ^= h >> 29; }
	if (n) { w = n; memcpy(&w, b, n); h = (h ^ w) * 0x9e3779b97f4a7c15ull; h ^= h >> 29; }
	return h;
}
static uint64_t sum_of(const uint8_t *b, int n)
{
	const int at = offsetof(head, sum);
	return sum_words(sum_words(n, b, at), b + at + 8, n - at - 8);
}
static int fill(uint8_t *b, int kind, int late, int from, uint32_t from_gen, int to, uint32_t to_gen, uint32_t seq, uint64_t at)
{
	int n = SHORTEST + dice() % (LONGEST - SHORTEST + 1);
	head h = {MAGIC, kind, late, n, from, from_gen, to, to_gen, seq, 0, at, 0};
	memcpy(b, &h, sizeof h);
	memcpy(b + sizeof h, noise + (dice() & 0xffff), n - sizeof h);
	h.sum = sum_of(b, n);
	memcpy(b + offsetof(head, sum), &h.sum, 8);
	return n;
}
static int intact(const uint8_t *b, int n, head *h)
{
	if (n < SHORTEST) return 0;
	memcpy(h, b, sizeof *h);
	return h->magic == MAGIC && h->size == n && h->kind < KINDS && h->sum == sum_of(b, n);
}

/* ---- sending ---- */
static struct mmsghdr sm[BURST];
static struct iovec siov[BURST];
static int send_out(int fd, struct sockaddr_in *to, int n)
{
	int ok;
	for (int i = 0; i < n; i++) sm[i].msg_hdr = (struct msghdr){.msg_name = to, .msg_namelen = to ? sizeof *to : 0, .msg_iov = &siov[i], .msg_iovlen = 1};
	ok = sendmmsg(fd, sm, n, MSG_DONTWAIT);
	if (ok < 0) ok = 0;
	unsent += n - ok;
	return ok;
}
static void put(int i, int channel, int n)	/* the header of ChannelData, if there is a channel */
{
	if (channel) { w16(sbuf[i], channel); w16(sbuf[i] + 2, n); }
	siov[i].iov_base = sbuf[i] + (channel ? 0 : 4);
	siov[i].iov_len = n + (channel ? 4 : 0);
}
static int send_up(int who, life *l, int k, int n, int late, uint64_t t)
{
	stream *s = &l->streams[k];
	for (int i = 0; i < n; i++) put(i, FIRST_CHANNEL + k, fill(sbuf[i] + 4, UPWARD, late, who, l->gen, l->peer[k], 0, s->next + i, t));
	n = send_out(owners[who].fd, NULL, n);
	s->next += n;
	return n;
}
static int send_down(int who, life *l, int k, int n, int late, uint64_t t)
{
	stream *s = &l->streams[CHANNELS + k];
	for (int i = 0; i < n; i++) put(i, 0, fill(sbuf[i] + 4, DOWNWARD, late, l->peer[k], 0, who, l->gen, s->next + i, t));
	n = send_out(peer_fd[l->peer[k]], &l->relay, n);
	s->next += n;
	return n;
}
static int is_paired(int who)	/* whether the two have channels to each other's relay of now */
{
	int mate = mate_of(who);
	owner *o = &owners[who], *p;
	if (mate < 0) return 0;
	p = &owners[mate];
	return o->st == LIVE && p->st == LIVE && o->l->mates && p->l->mates && o->l->mate[o->l->mates - 1] == p->gen && p->l->mate[p->l->mates - 1] == o->gen;
}
static int send_across(int who, life *l, int n, int late, uint64_t t)
{
	int mate = mate_of(who);
	stream *s = &l->streams[2 * CHANNELS];
	for (int i = 0; i < n; i++)
		put(i, FIRST_CHANNEL + CHANNELS + l->mates - 1, fill(sbuf[i] + 4, ACROSS, late, who, l->gen, mate, l->mate[l->mates - 1], s->next + i, t));
	n = send_out(owners[who].fd, NULL, n);
	s->next += n;
	return n;
}
static int send_some(uint64_t t)	/* a burst from somebody to somebody; how many were offered */
{
	int who = 0, n = 1 + dice() % BURST, k = dice() % CHANNELS, tries;
	for (tries = 0; tries < 16; tries++) if (owners[who = dice() % N].st == LIVE) break;
	if (tries == 16) { short_of += n; return n; }
	if (dice() & 1) sent[DOWNWARD] += send_down(who, owners[who].l, k, n, 0, t);
	else if (dice() % 3 == 0 && is_paired(who)) sent[ACROSS] += send_across(who, owners[who].l, n, 0, t);
	else sent[UPWARD] += send_up(who, owners[who].l, k, n, 0, t);
	return n;
}

/* ---- receiving ---- */
static struct mmsghdr rm[BATCH];
static struct iovec riov[BATCH];
static struct sockaddr_in raddr[BATCH];
static uint8_t rbuf[BATCH][2048], control[BATCH][128];
static const char *where(const struct sockaddr_in *a)
{
	static char text[4][40]; static int i;
	char *t = text[i++ & 3], ip[20];
	inet_ntop(AF_INET, &a->sin_addr, ip, sizeof ip);
	snprintf(t, 40, "%s:%d", ip, ntohs(a->sin_port));
	return t;
}
static int same(const struct sockaddr_in *a, const struct sockaddr_in *b) { return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr; }
static uint64_t arrival(struct msghdr *h, uint64_t now)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
		struct timespec t;
		memcpy(&t, CMSG_DATA(c), sizeof t);
		return t.tv_sec * S + t.tv_nsec;
	}
	return now;
}
static int receive(int fd, int most)
{
	for (int i = 0; i < most; i++) rm[i].msg_hdr = (struct msghdr){.msg_name = &raddr[i], .msg_namelen = sizeof raddr[i], .msg_iov = &riov[i], .msg_iovlen = 1,
		.msg_control = control[i], .msg_controllen = sizeof control[i]};
	return recvmmsg(fd, rm, most, MSG_DONTWAIT, NULL);
}
static int is_stale(const char *what, int who, const life *l, const head *h, uint64_t at)	/* at: when it was where the allocation ends */
{
	if (at <= l->ends + grace) return 0;
	fault(l->sure ? &stale : &overdue, l->sure ? "stale" : "overdue", "%s %s: generation %u of owner %d (port %d, relay %s, %s) ended %.3f s before, and it was sent %.3f s after that; now %u",
		what, kinds[h->kind], l->gen, who, l->port, where(&l->relay), ways[l->way], (at - l->ends) / 1e9, ((double)h->at - l->ends) / 1e9, owners[who].gen);
	return 1;
}
static void count(stream *s, const head *h)
{
	uint32_t n = h->seq + 1, back;
	if (n > s->top) { back = n - s->top; s->seen = (back < 64 ? s->seen << back : 0) | 1; s->top = n; }
	else if ((back = s->top - n) < 64) {
		if (s->seen >> back & 1) { fault(&doubled, "doubled", "%s from %u/%u to %u/%u number %u", kinds[h->kind], h->from, h->from_gen, h->to, h->to_gen, h->seq); return; }
		s->seen |= 1ull << back;
	}
	if (h->late) late_got++; else got[h->kind]++;
}
static void at_peer(int j, const uint8_t *b, int n, const struct sockaddr_in *from, uint64_t at)
{
	head h; life *l = NULL;
	if (!intact(b, n, &h)) { fault(&damaged, "damaged", "at peer %d from %s, %d bytes", j, where(from), n); return; }
	if (h.kind == UPWARD && h.to == (uint32_t)j && h.from < (uint32_t)N) l = life_of(h.from, h.from_gen);
	if (!l || !same(&l->relay, from) || (l->peer[0] != j && l->peer[1] != j)) {
		fault(&wrong, "wrong", "at peer %d from %s: %s from %u/%u to %u/%u, whose relay is %s, late %d", j, where(from), kinds[h.kind], h.from, h.from_gen, h.to, h.to_gen, l ? where(&l->relay) : "?", h.late);
		return;
	}
	if (!is_stale("at a peer", h.from, l, &h, at)) count(&l->streams[l->peer[0] == j ? 0 : 1], &h);
}
static void at_client(int who, const uint8_t *b, int n, uint64_t at)
{
	int k = r16(b) - FIRST_CHANNEL, size = r16(b + 2), mate = mate_of(who);
	owner *o = &owners[who];
	head h; life *l = NULL, *theirs = NULL;
	uint32_t met = 0;	/* the generation of the other one that the channel is for; perhaps the server has bound it and we do not know it yet */
	if (size != n - 4 || !intact(b + 4, size, &h)) { fault(&damaged, "damaged", "at client %d by channel %d, %d bytes that say %d", who, k, n - 4, size); return; }
	if (h.to == (uint32_t)who) l = life_of(who, h.to_gen);
	if (l && k >= CHANNELS) met = k - CHANNELS < l->mates ? l->mate[k - CHANNELS] : k - CHANNELS == l->mates && l == o->l && o->what == MATE ? o->mate_gen : 0;
	if (l && l->port == port_of(who)) {
		if (h.kind == DOWNWARD && k >= 0 && k < CHANNELS && h.from == (uint32_t)l->peer[k]) {
			if (!is_stale("at a client", who, l, &h, at)) count(&l->streams[CHANNELS + k], &h);
			return;
		}
		if (h.kind == ACROSS && mate >= 0 && h.from == (uint32_t)mate && met == h.from_gen && (theirs = life_of(mate, h.from_gen))) {
			if (!is_stale("at a client", who, l, &h, at) && !is_stale("at a client, from", mate, theirs, &h, h.at)) count(&theirs->streams[2 * CHANNELS], &h);
			return;
		}
	}
	fault(&wrong, "wrong", "at client %d/%u (port %d) by channel %d: %s from %u/%u to %u/%u, late %d", who, o->gen, port_of(who), k, kinds[h.kind], h.from, h.from_gen, h.to, h.to_gen, h.late);
}
static void answered(int who, const uint8_t *b, int n, uint64_t now);
static int drain_peer(int j)
{
	int n = receive(peer_fd[j], BATCH);
	uint64_t now = clock_ns();
	for (int i = 0; i < n; i++) at_peer(j, rbuf[i], rm[i].msg_len, &raddr[i], arrival(&rm[i].msg_hdr, now));
	return n > 0 ? n : 0;
}
static int drain_client(int who)
{
	owner *o = &owners[who];
	int tot = 0, n, fd = o->fd;
	do {
		n = receive(fd, 16);
		uint64_t now = clock_ns();
		for (int i = 0; i < n; i++) {
			if (rm[i].msg_len >= 20 && rbuf[i][0] < 0x40) answered(who, rbuf[i], rm[i].msg_len, now);
			else if (rm[i].msg_len >= 4) at_client(who, rbuf[i], rm[i].msg_len, arrival(&rm[i].msg_hdr, now));
			else fault(&damaged, "damaged", "at client %d, %d bytes", who, rm[i].msg_len);
		}
		if (n > 0) tot += n;
	} while (n == 16 && o->fd == fd);
	return tot;
}

/* ---- sockets of clients ---- */
static void shut(int who)
{
	owner *o = &owners[who];
	if (o->fd < 0) return;
	o->what = NOTHING;
	drain_client(who);
	close(o->fd);
	o->fd = -1;
}
static void open_at(int who, int port_again)
{
	owner *o = &owners[who];
	struct epoll_event e = {.events = EPOLLIN, .data.u32 = who};
	struct sockaddr_in a = client_ip;
	int v = 1 << 20, one = 1, tries;
	if ((o->fd = socket(AF_INET, SOCK_DGRAM, 0)) < 0) die("socket");
	for (tries = 0; tries < ports_each; tries++) {
		if (!port_again || tries) o->slot = (o->slot + 1) % ports_each;
		a.sin_port = htons(port_of(who));
		if (!bind(o->fd, (void *)&a, sizeof a)) break;
	}
	if (tries == ports_each) die("bind");
	setsockopt(o->fd, SOL_SOCKET, SO_RCVBUFFORCE, &v, sizeof v);
	setsockopt(o->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
	if (connect(o->fd, (void *)&server, sizeof server)) die("connect");
	epoll_ctl(ep, EPOLL_CTL_ADD, o->fd, &e);
}

/* ---- requests ---- */
static void build(int who)
{
	owner *o = &owners[who];
	msg *m = &o->req;
	uint8_t udp[4] = {17}, ch[4] = {0}, life_s[4] = {0};
	struct sockaddr_in *to;
	switch (o->what) {
	case ALLOCATE:
		w16(life_s + 2, lifetime / S);
		begin(m, 0x0003, o->tid); attr(m, 0x0019, udp, 4); attr(m, 0x000d, life_s, 4);
		if (!o->nonce[0] || !have_key) return;
		break;
	case BIND:
	case MATE:
		w16(ch, FIRST_CHANNEL + (o->what == BIND ? o->bound : CHANNELS + o->l->mates));
		to = o->what == BIND ? &peers[o->l->peer[o->bound]] : &life_of(mate_of(who), o->mate_gen)->relay;
		begin(m, 0x0009, o->tid); attr(m, 0x000c, ch, 4); xaddr(m, 0x0012, to);
		break;
	default:
		if (o->what == REFRESH) w16(life_s + 2, lifetime / S);
		begin(m, 0x0004, o->tid); attr(m, 0x000d, life_s, 4);
	}
	auth(m, o->nonce);
}
static void transmit(owner *o, uint64_t now) { o->again = now + AGAIN; o->tries++; send(o->fd, o->req.b, o->req.len, MSG_DONTWAIT); }
static void ask(int who, int what, uint64_t now)
{
	owner *o = &owners[who];
	o->what = what; o->tries = o->retries = 0; o->first = now;
	build(who);
	transmit(o, now);
}
static void give_up(int who, uint64_t now)	/* whatever the server has of it ends by itself */
{
	owner *o = &owners[who];
	shut(who);
	o->sure = 0;
	o->st = o->st == ENDING && stopped ? OVER : GAP;
	o->due = now + S;
}
static void ends_at(int who, uint16_t port, uint64_t now)	/* all that it had at this port, after an answer */
{
	for (int i = 0; i < LIVES; i++) { life *l = &owners[who].lives[i]; if (l->gen && l->port == port && l->ends > now) { l->ends = now; l->sure = 1; } }
}
static void allocated(int who, const uint8_t *b, int n, uint64_t now)
{
	owner *o = &owners[who];
	struct sockaddr_in relay;
	int k; const uint8_t *p = find(b, n, 0x000d, &k);
	uint64_t granted = p && k == 4 ? ((uint64_t)r16(p) << 16 | r16(p + 2)) * S : 0, span;
	life *l = &o->lives[++o->gen % LIVES], *before;
	if (get_relay(b, n, &relay)) { fault(&refused, "refused", "Allocate of %d is answered without a relay", who); o->gen--; give_up(who, now); return; }
	memset(l, 0, sizeof *l);
	*l = (life){.gen = o->gen, .port = port_of(who), .relay = relay, .expires = o->first + granted, .ends = now + granted + S};
	o->l = l;
	if (expiry < 0) {
		expiry = granted < (uint64_t)(3 * each * S);
		if (!expiry) fprintf(stderr, TOOL ": a lifetime of %llu s is granted, so no allocation is left to expire while its client is there\n", (unsigned long long)(granted / S));
	}
	before = life_of(holders[ntohs(relay.sin_port)].owner, holders[ntohs(relay.sin_port)].gen);
	if (before && before->ends > now && same(&before->relay, &relay))
		fault(&twice, "twice", "relay %s is given to %d/%u, and is %d/%u's yet", where(&relay), who, l->gen, holders[ntohs(relay.sin_port)].owner, before->gen);
	holders[ntohs(relay.sin_port)].owner = who; holders[ntohs(relay.sin_port)].gen = l->gen;
	l->peer[0] = dice() % npeers;
	l->peer[1] = (l->peer[0] + 1 + dice() % (npeers - 1)) % npeers;
	l->way = dice() % WAYS;
	if (l->way == EXPIRED && !expiry) { skipped++; l->way = REFRESHED; }
	span = (0.5 + part()) * each * S;
	o->due = l->way == EXPIRED ? l->expires : now + span;
	o->refresh_at = dice() % 4 ? 0 : now + span / 2;
	o->mate_at = 0;
	o->bound = 0;
	made++;
	ask(who, BIND, now);
}
static void answered(int who, const uint8_t *b, int n, uint64_t now)
{
	owner *o = &owners[who];
	unsigned type = r16(b), what = o->what;
	int k, code = 0; const uint8_t *e;
	if (type == 0x0017) { if (find(b, n, 0x0013, &k)) odd++; else icmp++; return; }	/* Data: from a peer; without any: a peer is not there */
	if (!what || memcmp(b + 8, o->tid, 12)) return;
	if (type & 0x0010) { e = find(b, n, 9, &k); code = e && k >= 4 ? e[2] * 100 + e[3] : -1; }
	if ((code == 401 || code == 438) && o->retries++ < 3 && !learn(b, n, o->nonce)) { build(who); transmit(o, now); return; }
	o->what = NOTHING;
	if (code == 437 && what == ALLOCATE) {
		if (o->sure) fault(&mismatch, "mismatch", "owner %d has deleted its allocation at port %d and is told that it has one", who, port_of(who));
		ask(who, TAKE_OVER, now);
		return;
	}
	if (what == TAKE_OVER) {	/* 437 is that it has ended meanwhile */
		if (code && code != 437) fault(&refused, "refused", "the Refresh 0 of a five-tuple that owner %d has taken over: %d", who, code);
		taken_over++; o->sure = 1;
		ends_at(who, port_of(who), now);
		ask(who, ALLOCATE, now);
		return;
	}
	if (code == 437 && what != ALLOCATE && now > o->l->expires) {	/* we were too late */
		if (what != DELETE) return;
		code = 0;
	}
	if (code) {
		static const char *names[] = {"", "Allocate", "ChannelBind", "ChannelBind to a relay", "Refresh", "Refresh 0"};
		fault(&refused, "refused", "%s of owner %d, who has made %u: %d", names[what], who, o->gen, code);
		if (what == MATE) o->mate_at = now + S; else give_up(who, now);
		return;
	}
	switch (what) {
	case ALLOCATE: allocated(who, b, n, now); break;
	case BIND:
		if (++o->bound < CHANNELS) ask(who, BIND, now);
		else o->st = LIVE;
		break;
	case MATE: o->l->mate[o->l->mates++] = o->mate_gen; break;
	case REFRESH:
		refreshes++;
		e = find(b, n, 0x000d, &k);
		if (!e || k != 4) break;
		o->l->expires = o->first + ((uint64_t)r16(e) << 16 | r16(e + 2)) * S;
		o->l->ends = now + ((uint64_t)r16(e) << 16 | r16(e + 2)) * S + S;
		if (o->l->way == EXPIRED) o->due = o->l->expires;
		break;
	case DELETE:
		ended[REFRESHED]++;
		o->l->ends = now; o->l->sure = o->sure = 1;
		if (stopped) { o->st = OVER; break; }
		o->st = GAP; o->due = now + part() * S;
	}
}

/* ---- the lives of owners ---- */
static void begins(int who, uint64_t now)
{
	owner *o = &owners[who];
	int again = o->gen && (o->fd >= 0 ? dice() & 1 : o->l->way == CLOSED && dice() % 4 == 0);
	if (o->fd >= 0 && !again) shut(who);
	if (o->fd < 0) { open_at(who, again); if (!again) o->sure = 0; }
	if (dice() & 1) o->nonce[0] = 0;
	o->st = STARTING;
	ask(who, ALLOCATE, now);
}
static void live_on(int who, uint64_t now)
{
	owner *o = &owners[who];
	life *l = o->l;
	int mate = mate_of(who);
	if (o->what && now > o->again) {
		if (o->tries >= TRIES) { timeouts++; give_up(who, now); return; }
		transmit(o, now);
	}
	if (l && now < o->late_until && now >= o->late_next && !stopped) {
		o->late_next = now + LATE_EVERY;
		late_sent += send_down(who, l, 0, 1, 1, now);
		if (o->fd >= 0 && o->st != STARTING) {
			late_sent += send_up(who, l, 0, 1, 1, now);
			if (l->mates) late_sent += send_across(who, l, 1, 1, now);
		}
	}
	switch (o->st) {
	case GAP:
		if (stopped) { shut(who); o->st = OVER; }
		else if (now >= o->due) begins(who, now);
		break;
	case LIVE:
		if (now + QUIET >= o->due) { o->st = SILENT; o->late_next = o->due; o->late_until = o->due + LATE; break; }
		if (o->what) break;
		if (o->refresh_at && now >= o->refresh_at) { o->refresh_at = 0; ask(who, REFRESH, now); }
		else if (mate >= 0 && owners[mate].st == LIVE && l->mates < MATES && now >= o->mate_at && (!l->mates || l->mate[l->mates - 1] != owners[mate].gen)) {
			o->mate_gen = owners[mate].gen;
			ask(who, MATE, now);
		}
		break;
	case SILENT:
		if (now < o->due || (o->what && !stopped)) break;
		o->sure = 0;
		if (l->way == REFRESHED || stopped) { o->st = ENDING; ask(who, DELETE, now); break; }
		ended[l->way]++;
		if (l->way == CLOSED) shut(who);
		o->st = GAP; o->due = now + part() * S;
		break;
	default: break;
	}
}

static void report(int final)
{
	static uint64_t sent_then, got_then, then;
	uint64_t now = clock_ns(), s = 0, g = 0;
	struct timespec cpu;
	int live = 0;
	for (int i = 0; i < KINDS; i++) { s += sent[i]; g += got[i]; }
	for (int i = 0; i < N; i++) live += owners[i].st == LIVE;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	if (!then) then = began;
	printf("{\"final\":%s,\"seconds\":%.1f,\"live\":%d,\"made\":%llu,\"sent\":%llu,\"received\":%llu,\"lost\":%lld,\"sent_pps\":%.0f,\"received_pps\":%.0f,", final ? "true" : "false",
		(now - began) / 1e9, live, (unsigned long long)made, (unsigned long long)s, (unsigned long long)g, (long long)(s - g), (s - sent_then) * 1e9 / (now - then + 1), (g - got_then) * 1e9 / (now - then + 1));
	for (int i = 0; i < KINDS; i++) printf("\"sent_%s\":%llu,\"lost_%s\":%lld,", kinds[i], (unsigned long long)sent[i], kinds[i], (long long)(sent[i] - got[i]));
	printf("\"late_sent\":%llu,\"late_received\":%llu,\"not_sent\":%llu,\"refused_by_the_system\":%llu,\"damaged\":%llu,\"wrong\":%llu,\"stale\":%llu,\"overdue\":%llu,\"doubled\":%llu,\"twice\":%llu,\"mismatch\":%llu,",
		(unsigned long long)late_sent, (unsigned long long)late_got, (unsigned long long)short_of, (unsigned long long)unsent, (unsigned long long)damaged, (unsigned long long)wrong,
		(unsigned long long)stale, (unsigned long long)overdue, (unsigned long long)doubled, (unsigned long long)twice, (unsigned long long)mismatch);
	printf("\"refused\":%llu,\"timeouts\":%llu,\"indications\":%llu,\"unreachable\":%llu,\"by_refresh\":%llu,\"by_expiry\":%llu,\"by_closing\":%llu,\"expiry_skipped\":%llu,\"taken_over\":%llu,\"refreshed\":%llu,\"generator_cpu_s\":%.2f}\n",
		(unsigned long long)refused, (unsigned long long)timeouts, (unsigned long long)odd, (unsigned long long)icmp, (unsigned long long)ended[REFRESHED], (unsigned long long)ended[EXPIRED], (unsigned long long)ended[CLOSED],
		(unsigned long long)skipped, (unsigned long long)taken_over, (unsigned long long)refreshes, cpu.tv_sec + cpu.tv_nsec / 1e9);
	fflush(stdout);
	sent_then = s; got_then = g; then = now;
}
static int look(void)	/* take what has come; how much it was */
{
	struct epoll_event ev[256];
	int n = epoll_wait(ep, ev, 256, 0), tot = 0;
	for (int i = 0; i < n; i++) {
		if (ev[i].data.u32 >= OWNERS) tot += drain_peer(ev[i].data.u32 - OWNERS);
		else if (owners[ev[i].data.u32].fd >= 0) tot += drain_client(ev[i].data.u32);
	}
	return tot;
}
static void stop(int signal) { (void)signal; stopped = 1; }
static void too_long(int signal) { (void)signal; static const char said[] = TOOL ": it did not end in time\n"; if (write(2, said, sizeof said - 1)) {} _exit(2); }
static void nap(long ns) { struct timespec t = {0, ns}; nanosleep(&t, NULL); }

int main(int argc, char **argv)
{
	int o, v, over;
	addr("127.0.0.1", &server, 3478); addr("127.0.0.3", &peer_ip, 0); addr("127.0.0.2", &client_ip, 0);
	while ((o = getopt(argc, argv, "s:u:w:l:L:n:e:d:S:R:g:i:c:A:N:h")) != -1) switch (o) {
	case 's': addr(optarg, &server, 3478); break;
	case 'u': user = optarg; break;
	case 'w': pass = optarg; break;
	case 'l': addr(optarg, &client_ip, 0); break;
	case 'L': addr(optarg, &peer_ip, 0); peer_ip.sin_port = 0; break;
	case 'n': N = atoi(optarg); break;
	case 'e': npeers = atoi(optarg); break;
	case 'd': D = atof(optarg); break;
	case 'S': each = atof(optarg); break;
	case 'R': R = atol(optarg); break;
	case 'g': grace = atof(optarg) * MS; break;
	case 'i': every = atof(optarg); break;
	case 'c': mycpu = atoi(optarg); break;
	case 'A': ns_peer = optarg; break;
	case 'N': ns_client = optarg; break;
	default: fprintf(stderr, "see the comment at the top of turnsoak.c\n"); return 2;
	}
	if (D > 86400) D = 86400;
	if (every < 0.5) every = 0.5;
	if (N < 2 || N > OWNERS || npeers < 2 || npeers > PEERS || each < 1 || each > 600) die("-n 2..2000, -e 2..32, -S 1..600");
	lifetime = ((uint64_t)(1.5 * each) + 2) * S;
	pairs = N / 10 ? N / 10 : 1;
	ports_each = 40000 / N < 200 ? 40000 / N : 200;
	struct rlimit rl = {65536, 65536}; setrlimit(RLIMIT_NOFILE, &rl);
	if (mycpu >= 0) { cpu_set_t s; CPU_ZERO(&s); CPU_SET(mycpu, &s); sched_setaffinity(0, sizeof s, &s); }
	for (size_t i = 0; i < sizeof noise; i++) noise[i] = dice();
	for (int i = 0; i < BATCH; i++) { riov[i].iov_base = rbuf[i]; riov[i].iov_len = sizeof rbuf[i]; }
	owners = calloc(N, sizeof *owners);
	ep = epoll_create1(0);
	enter_ns(ns_peer);
	for (int i = 0; i < npeers; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.u32 = OWNERS + i};
		socklen_t len = sizeof peers[i];
		peers[i] = peer_ip;
		if ((peer_fd[i] = socket(AF_INET, SOCK_DGRAM, 0)) < 0) die("socket");
		v = 8 << 20; setsockopt(peer_fd[i], SOL_SOCKET, SO_RCVBUFFORCE, &v, sizeof v);
		setsockopt(peer_fd[i], SOL_SOCKET, SO_SNDBUFFORCE, &v, sizeof v);
		v = 1; setsockopt(peer_fd[i], SOL_SOCKET, SO_TIMESTAMPNS, &v, sizeof v);
		if (bind(peer_fd[i], (void *)&peers[i], sizeof peers[i]) || getsockname(peer_fd[i], (void *)&peers[i], &len)) die("bind peer");
		epoll_ctl(ep, EPOLL_CTL_ADD, peer_fd[i], &e);
	}
	enter_ns(ns_client);
	signal(SIGTERM, stop); signal(SIGINT, stop); signal(SIGALRM, too_long);
	alarm(D + 60);
	uint64_t t = began = clock_ns(), until = t + D * S, checked = 0, told = t, offered = 0;
	for (int i = 0; i < N; i++) { owners[i].fd = -1; owners[i].due = t + part() * S; }
	while (t < until && !stopped) {
		int64_t owed = (int64_t)((t - began) / 1e9 * R) - (int64_t)offered;
		int done = 0;
		if (owed > R * BEHIND / 1000 + BURST) { short_of += owed - R * BEHIND / 1000; offered += owed - R * BEHIND / 1000; owed = R * BEHIND / 1000; }
		while (owed > 0 && done < BATCH) { int n = send_some(t); offered += n; owed -= n; done += n; }
		done += look();
		t = clock_ns();
		if (t - checked >= MS) { checked = t; for (int i = 0; i < N; i++) live_on(i, t); }
		if (t - told >= every * S) { told = t; report(0); }
		if (!done) nap(50000);
		t = clock_ns();
	}
	/* all are deleted; what is still on its way has the time until then to arrive */
	stopped = 1;
	for (int i = 0; i < N; i++) if (owners[i].st == LIVE) { owners[i].st = SILENT; owners[i].due = t + 4 * QUIET; }
	for (until = t + 15 * S, over = 0; t < until && over < N; t = clock_ns()) {
		over = 0;
		if (!look()) nap(200000);
		for (int i = 0; i < N; i++) { live_on(i, t); over += owners[i].st == OVER; }
		for (int i = 0; i < N; i++) if (owners[i].st == LIVE) { owners[i].st = SILENT; owners[i].due = t; }
	}
	if (over < N) fprintf(stderr, TOOL ": %d owners did not come to an end\n", N - over);
	report(1);
	return damaged || wrong || stale || doubled || twice || mismatch || refused;
}
