/* turnload.c - TURN/STUN load generator for side-by-side server benchmarks (Linux, IPv4/UDP).
 *
 * build: make -C benchmarks        (Debian: apt-get install gcc libssl-dev)
 *
 * usage: turnload -m MODE [options]          one JSON line on stdout
 *   exit 0: the run was valid; 1: nothing arrived; 2: no run; 3: the server refused an allocation, permission or channel
 *   -m c2p      client -> peer   ChannelData in, plain UDP out
 *   -m p2c      peer -> client   plain UDP in, ChannelData out
 *   -m echo     client -> peer -> client (the peer in this tool echoes), round trip latency
 *   -m direct   client -> peer without any server (floor of the generator / of kernel forwarding)
 *   -m binding  STUN Binding requests
 *   -m alloc    Allocate (401 + auth) + Refresh(0) cycles, every cycle from a fresh 5-tuple
 *   -m hold     open -n allocations, report server RSS per allocation, then Refresh(0)
 *   -s IP:PORT  server                        (127.0.0.1:20000)
 *   -u USER -w PASS                           (u / p), realm and nonce come from the server's 401
 *   -l IP       client source address         (127.0.0.2), ports 20001-29999
 *   -L IP[:P]   peer address in this tool     (127.0.0.3:20000), port 0 for any that is free
 *   -n N        allocations / sockets         (1)
 *   -p BYTES    payload, >= 20                (172 ; 1200 for video)
 *   -d SEC      measured seconds, <= 60       (5), after 0.5 s warm up
 *   -R PPS      offered rate, 0 = as fast as the window lets (0)
 *   -W PKTS     window: packets in flight when -R 0; 0 = open loop flood (256)
 *   -B PKTS     consecutive packets per client socket in c2p/echo (1; batches with sendmmsg)
 *   -G          send each -B burst as one UDP_SEGMENT datagram train (cheap generator)
 *   -k K        concurrency for alloc mode    (16)
 *   -c CPU      pin this tool to a CPU
 *   -P PID      server pid (repeatable): CPU seconds and RSS of these processes
 *   -C CPU      report busy share of this CPU from /proc/stat (server pinned there)
 *   -A NS       run the peer socket inside network namespace NS (/run/netns/NS)
 *   -N NS       run the client sockets inside network namespace NS
 *   -t TEXT     label copied to the output
 *
 * examples (server on 127.0.0.1:20000 with user u:p, relay ports 20100-29999, pinned to CPU 0, pid in $S)
 *   turnload -m c2p -n 50 -d 2 -c 1 -P $S -C 0              audio, interleaved, full speed
 *   turnload -m c2p -n 50 -p 1200 -B 8 -d 2 -c 1 -P $S      video bursts
 *   turnload -m echo -n 50 -R 15000 -d 2 -c 1 -P $S         round trip latency at a fixed rate
 *   turnload -m alloc -d 2 -c 1 -P $S ; turnload -m hold -n 5000 -P $S   (fresh server for RSS)
 * Restart the server between tests that compare RSS; stop a run with its bounded -d, never by load.
 *
 * Every duration is bounded. Use loopback or your own network namespaces only.
 * cpu_us_pkt   = server process CPU (schedstat, all threads) per delivered packet
 * sys_us_pkt   = all non-idle CPU time of the machine per delivered packet, less this tool's own
 * cpuX_us_pkt  = busy time of -C CPU per delivered packet (includes softirq and kernel threads)
 * work_us_pkt  = all non-idle CPU time of the machine per delivered packet, less this tool's looking in vain: what a packet
 *                costs everybody, sender and receiver too. A relay in the kernel works in the sender's system call on
 *                loopback and so is in neither of the first two; compare this one with that of -m direct.
 * gen_busy_pct = share of the time in which this tool had something to send or to receive; about 100: it is the limit
 * alloc and hold have the same per cycle and per allocation
 */
#define _GNU_SOURCE
#define TOOL "turnload"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "turn.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#define MAGIC 0x54524c44u
#define MAXB 64
#define MAXPID 8

static const char *mode = "c2p", *label = "", *ns_peer, *ns_client;
static struct sockaddr_in server, peer, client_ip;
static int N = 1, P = 172, B = 1, W = 256, K = 16, gso, mycpu = -1, srvcpu = -1, npid;
static pid_t pids[MAXPID];
static double D = 5;
static long R;

typedef struct { int fd; struct sockaddr_in relay; uint16_t chan; uint32_t seq; int st; uint8_t tid[12]; char nonce[128]; uint64_t t0; } cli;
static cli *cl;

static void build_alloc(msg *m, cli *c, int authd)
{
	uint8_t udp[4] = {17}; uint8_t life[4] = {0, 0, 2, 88};
	begin(m, 0x0003, c->tid); attr(m, 0x0019, udp, 4); attr(m, 0x000d, life, 4);
	if (authd) auth(m, c->nonce);
}
static void build_refresh0(msg *m, cli *c) { uint8_t z[4] = {0}; begin(m, 0x0004, c->tid); attr(m, 0x000d, z, 4); auth(m, c->nonce); }

/* ---- sockets ---- */
static int next_port = 20001;
static int client_sock(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), tries, v = 4 << 20;
	struct sockaddr_in a = client_ip;
	if (fd < 0) die("socket");
	for (tries = 0; tries < 10000; tries++) {
		a.sin_port = htons(next_port++);
		if (next_port > 29999) next_port = 20001;
		if (!bind(fd, (void *)&a, sizeof a)) break;
	}
	if (tries == 10000) die("bind");
	setsockopt(fd, SOL_SOCKET, N <= 64 ? SO_RCVBUFFORCE : SO_RCVBUF, &v, sizeof v);
	if (connect(fd, (void *)&server, sizeof server)) die("connect");
	return fd;
}
static int ask(cli *c, msg *m, uint8_t *r, int rmax)	/* blocking request with retransmission */
{
	for (int i = 0; i < 8; i++) {
		struct timeval tv = {0, 400000};
		setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
		send(c->fd, m->b, m->len, 0);
		for (;;) {
			int n = recv(c->fd, r, rmax, 0);
			if (n < 0) break;
			if (n >= 20 && !memcmp(r + 8, c->tid, 12)) return n;
		}
	}
	return -1;
}
static void close_alloc_surely(cli *c);
static void refused(const char *what, const uint8_t *r, int n)	/* leaves nothing behind in the server */
{
	int k; const uint8_t *e = find(r, n, 9, &k);
	if (e && k >= 4) fprintf(stderr, "%s refused: %d %.*s\n", what, e[2] * 100 + e[3], k - 4, (const char *)e + 4);
	else fprintf(stderr, "%s refused\n", what);
	for (int i = 0; i < N; i++) if (cl[i].relay.sin_port) close_alloc_surely(&cl[i]);
	exit(3);
}
static void open_alloc(cli *c)
{
	msg m; uint8_t r[2048]; int n;
	c->fd = client_sock();
	build_alloc(&m, c, 0);
	if ((n = ask(c, &m, r, sizeof r)) < 0 || learn(r, n, c->nonce)) die("no 401 from server");
	for (int i = 0; i < 3; i++) {
		build_alloc(&m, c, 1);
		if ((n = ask(c, &m, r, sizeof r)) < 0) die("allocate timeout");
		if (r16(r) == 0x0103) break;
		if (learn(r, n, c->nonce)) break;
	}
	if (r16(r) != 0x0103 || get_relay(r, n, &c->relay)) refused("Allocate", r, n);
}
static void open_channel(cli *c)
{
	msg m; uint8_t r[2048]; uint8_t ch[4] = {0}; int n;
	begin(&m, 0x0008, c->tid); xaddr(&m, 0x0012, &peer); auth(&m, c->nonce);
	if ((n = ask(c, &m, r, sizeof r)) < 0) die("CreatePermission timeout");
	if (r16(r) != 0x0108) refused("CreatePermission", r, n);
	c->chan = 0x4000;
	w16(ch, c->chan);
	begin(&m, 0x0009, c->tid); attr(&m, 0x000c, ch, 4); xaddr(&m, 0x0012, &peer); auth(&m, c->nonce);
	if ((n = ask(c, &m, r, sizeof r)) < 0) die("ChannelBind timeout");
	if (r16(r) != 0x0109) refused("ChannelBind", r, n);
}
static void close_alloc(cli *c)
{
	msg m; build_refresh0(&m, c); send(c->fd, m.b, m.len, 0); close(c->fd);
}

static void close_alloc_surely(cli *c)	/* waits for the answer */
{
	msg m; uint8_t r[2048]; int n;
	build_refresh0(&m, c);
	n = ask(c, &m, r, sizeof r);
	if (n < 0) die("refresh timeout");
	if (r16(r) != 0x0104 && !learn(r, n, c->nonce)) { build_refresh0(&m, c); ask(c, &m, r, sizeof r); }
	close(c->fd);
}

/* ---- process and machine statistics ---- */
static double proc_cpu(void)
{
	double s = 0;
	for (int i = 0; i < npid; i++) {
		char p[100]; DIR *d; struct dirent *e;
		snprintf(p, sizeof p, "/proc/%d/task", pids[i]);
		if (!(d = opendir(p))) continue;
		while ((e = readdir(d))) {
			FILE *f; unsigned long long ns;
			if (e->d_name[0] == '.') continue;
			snprintf(p, sizeof p, "/proc/%d/task/%.20s/schedstat", pids[i], e->d_name);
			if (!(f = fopen(p, "r"))) continue;
			if (fscanf(f, "%llu", &ns) == 1) s += ns / 1e9;
			fclose(f);
		}
		closedir(d);
	}
	return s;
}
static long proc_rss_kb(void)
{
	long s = 0;
	for (int i = 0; i < npid; i++) {
		char p[100], l[200]; long v; FILE *f;
		snprintf(p, sizeof p, "/proc/%d/status", pids[i]);
		if (!(f = fopen(p, "r"))) continue;
		while (fgets(l, sizeof l, f)) if (sscanf(l, "VmRSS: %ld", &v) == 1) s += v;
		fclose(f);
	}
	return s;
}
static double cpu_busy(int cpu)	/* seconds, cpu -1 = all */
{
	char l[300], want[16]; double r = 0; FILE *f = fopen("/proc/stat", "r");
	if (!f) return 0;
	if (cpu < 0) strcpy(want, "cpu"); else snprintf(want, sizeof want, "cpu%d", cpu);
	while (fgets(l, sizeof l, f)) {
		char nm[32]; unsigned long long u, n, s, id, io, hi, si, st;
		if (sscanf(l, "%31s %llu %llu %llu %llu %llu %llu %llu %llu", nm, &u, &n, &s, &id, &io, &hi, &si, &st) < 9) continue;
		/* wall - idle: exact with tickless idle, softirq and kernel threads included */
		if (!strcmp(nm, want)) { r = now_ns() / 1e9 * (cpu < 0 ? sysconf(_SC_NPROCESSORS_ONLN) : 1) - (double)(id + io) / sysconf(_SC_CLK_TCK); break; }
	}
	fclose(f);
	return r;
}
static double self_cpu(void) { struct timespec t; clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); return t.tv_sec + t.tv_nsec / 1e9; }

/* ---- data ---- */
static int peer_fd;
static uint8_t rbuf[MAXB][64], *sbuf[MAXB];
static struct mmsghdr rm[MAXB], sm[MAXB];
static struct iovec riov[MAXB], siov[MAXB];
static struct sockaddr_in raddr[MAXB];
static uint64_t sent, got, lost_adj, bad;
static uint32_t *lat; static size_t nlat, maxlat = 4000000;
static int measuring;

static void stamp(uint8_t *p, uint32_t idx, uint32_t seq, uint64_t t)
{
	uint32_t m = MAGIC;
	memcpy(p, &m, 4); memcpy(p + 4, &idx, 4); memcpy(p + 8, &t, 8); memcpy(p + 16, &seq, 4);
}
static void account(const uint8_t *p, int n, uint64_t t)
{
	uint32_t m; uint64_t t0;
	memcpy(&m, p, 4);
	if (n < 20 || m != MAGIC) { bad++; return; }
	got++;
	if (measuring && nlat < maxlat) {
		memcpy(&t0, p + 8, 8);
		lat[nlat++] = t - t0 > 4000000000ull ? 4000000000u : t - t0;
	}
}
static int rr, direct;	/* direct: 4 = no ChannelData header */
static int send_c2p(int want)
{
	int done = 0;
	uint64_t t = now_ns();
	while (done < want) {
		cli *c = &cl[rr];
		int b = want - done < B ? want - done : B, ok;
		for (int i = 0; i < b; i++) {
			w16(sbuf[i], c->chan); w16(sbuf[i] + 2, P);
			stamp(sbuf[i] + 4, rr, c->seq++, t);
			siov[i].iov_base = sbuf[i] + direct; siov[i].iov_len = P + 4 - direct;
		}
		if (b == 1) ok = send(c->fd, sbuf[0] + direct, P + 4 - direct, MSG_DONTWAIT) > 0;
		else if (gso) {
			char cb[CMSG_SPACE(2)] = {0};
			struct msghdr h = {.msg_iov = siov, .msg_iovlen = b, .msg_control = cb, .msg_controllen = sizeof cb};
			struct cmsghdr *cm = CMSG_FIRSTHDR(&h);
			cm->cmsg_level = SOL_UDP; cm->cmsg_type = UDP_SEGMENT; cm->cmsg_len = CMSG_LEN(2);
			*(uint16_t *)CMSG_DATA(cm) = P + 4 - direct;
			ok = sendmsg(c->fd, &h, MSG_DONTWAIT) > 0 ? b : 0;
		} else {
			for (int i = 0; i < b; i++) { sm[i].msg_hdr.msg_name = NULL; sm[i].msg_hdr.msg_namelen = 0; }
			ok = sendmmsg(c->fd, sm, b, MSG_DONTWAIT);
			if (ok < 0) ok = 0;
		}
		done += b; sent += ok;
		if (++rr == N) rr = 0;
	}
	return done;
}
static int send_p2c(int want)
{
	uint64_t t = now_ns(); int ok;
	if (want > MAXB) want = MAXB;
	for (int i = 0; i < want; i++) {
		cli *c = &cl[rr];
		stamp(sbuf[i], rr, c->seq++, t);
		siov[i].iov_len = P;
		sm[i].msg_hdr.msg_name = &c->relay; sm[i].msg_hdr.msg_namelen = sizeof c->relay;
		if (++rr == N) rr = 0;
	}
	ok = sendmmsg(peer_fd, sm, want, MSG_DONTWAIT);
	if (ok > 0) sent += ok;
	return want;
}
static void rprep(void) { for (int i = 0; i < MAXB; i++) { rm[i].msg_hdr.msg_name = &raddr[i]; rm[i].msg_hdr.msg_namelen = sizeof raddr[i]; riov[i].iov_len = 64; } }
static int drain_peer(int echo)
{
	static uint8_t big[MAXB][2048];
	int n;
	if (!echo) {
		n = recvmmsg(peer_fd, rm, MAXB, MSG_DONTWAIT, NULL);
		if (n <= 0) return 0;
		uint64_t t = now_ns();
		for (int i = 0; i < n; i++) account(rbuf[i], rm[i].msg_len, t);
		return n;
	}
	static struct mmsghdr em[MAXB]; static struct iovec ei[MAXB]; static struct sockaddr_in ea[MAXB];
	for (int i = 0; i < MAXB; i++) {
		ei[i].iov_base = big[i]; ei[i].iov_len = 2048;
		em[i].msg_hdr = (struct msghdr){.msg_name = &ea[i], .msg_namelen = sizeof ea[i], .msg_iov = &ei[i], .msg_iovlen = 1};
	}
	n = recvmmsg(peer_fd, em, MAXB, MSG_DONTWAIT, NULL);
	if (n <= 0) return 0;
	for (int i = 0; i < n; i++) ei[i].iov_len = em[i].msg_len;
	sendmmsg(peer_fd, em, n, MSG_DONTWAIT);
	return n;
}
static int ep;
static int drain_one(int fd)
{
	int tot = 0;
	for (;;) {
		int n = recvmmsg(fd, rm, N <= 4 ? MAXB : 8, MSG_DONTWAIT, NULL);
		if (n <= 0) return tot;
		uint64_t t = now_ns();
		for (int i = 0; i < n; i++) {
			if (rm[i].msg_len < 4 || rbuf[i][0] != 0x40) { bad++; continue; }
			account(rbuf[i] + 4, rm[i].msg_len - 4, t);
		}
		tot += n;
		if (n < 8) return tot;
	}
}
static int drain_clients(void)
{
	if (N <= 2) { int t = 0; for (int i = 0; i < N; i++) t += drain_one(cl[i].fd); return t; }
	struct epoll_event ev[256];
	int n = epoll_wait(ep, ev, 256, 0), t = 0;
	for (int i = 0; i < n; i++) t += drain_one(cl[ev[i].data.u32].fd);
	return t;
}
static int cmp32(const void *a, const void *b) { uint32_t x = *(uint32_t *)a, y = *(uint32_t *)b; return x < y ? -1 : x > y; }

/* ---- binding ---- */
static int send_binding(int want)
{
	static msg m[MAXB]; uint64_t t = now_ns();
	if (want > MAXB) want = MAXB;
	for (int i = 0; i < want; i++) {
		begin(&m[i], 0x0001, NULL);
		memcpy(m[i].b + 12, &t, 8);
		siov[i].iov_base = m[i].b; siov[i].iov_len = 20;
		sm[i].msg_hdr.msg_name = NULL; sm[i].msg_hdr.msg_namelen = 0;
	}
	int ok = sendmmsg(cl[rr].fd, sm, want, MSG_DONTWAIT);
	if (++rr == N) rr = 0;
	if (ok > 0) sent += ok;
	return want;
}
static int drain_binding(void)
{
	int tot = 0;
	for (int k = 0; k < N; k++) {
		int n = recvmmsg(cl[k].fd, rm, MAXB, MSG_DONTWAIT, NULL);
		if (n <= 0) continue;
		uint64_t t = now_ns(), t0;
		for (int i = 0; i < n; i++) {
			if (r16(rbuf[i]) != 0x0101) { bad++; continue; }
			got++;
			memcpy(&t0, rbuf[i] + 12, 8);
			if (measuring && nlat < maxlat) lat[nlat++] = t - t0;
		}
		tot += n;
	}
	return tot;
}

/* ---- alloc cycles ---- */
static void cyc_start(cli *c, int idx)
{
	msg m; struct epoll_event e = {.events = EPOLLIN, .data.u32 = idx};
	c->fd = client_sock(); c->st = 0; c->t0 = now_ns();
	epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
	build_alloc(&m, c, 0);
	send(c->fd, m.b, m.len, 0);
}
static uint64_t cycles, cyc_to;
static void cyc_step(cli *c, int idx)
{
	msg m; uint8_t r[2048]; int n = recv(c->fd, r, sizeof r, MSG_DONTWAIT);
	if (n < 20 || memcmp(r + 8, c->tid, 12)) return;
	if (c->st == 0) {
		if (learn(r, n, c->nonce)) die("no nonce");
		build_alloc(&m, c, 1); c->st = 1;
	} else if (c->st == 1) {
		if (r16(r) != 0x0103) { int k; const uint8_t *e = find(r, n, 9, &k); bad++; fprintf(stderr, "alloc error %d\n", e ? e[2] * 100 + e[3] : -1); if (bad > 20) exit(2); close(c->fd); cyc_start(c, idx); return; }
		build_refresh0(&m, c); c->st = 2;
	} else {
		if (measuring) { cycles++; if (nlat < maxlat) lat[nlat++] = now_ns() - c->t0; }
		close(c->fd);
		cyc_start(c, idx);
		return;
	}
	send(c->fd, m.b, m.len, 0);
}

int main(int argc, char **argv)
{
	int o;
	addr("127.0.0.1", &server, 20000); addr("127.0.0.3", &peer, 20000); addr("127.0.0.2", &client_ip, 0);
	while ((o = getopt(argc, argv, "m:s:u:w:l:L:n:p:d:R:W:B:Gk:c:P:C:A:N:t:h")) != -1) switch (o) {
	case 'm': mode = optarg; break;
	case 's': addr(optarg, &server, 20000); break;
	case 'u': user = optarg; break;
	case 'w': pass = optarg; break;
	case 'l': addr(optarg, &client_ip, 0); break;
	case 'L': addr(optarg, &peer, 20000); break;
	case 'n': N = atoi(optarg); break;
	case 'p': P = atoi(optarg); break;
	case 'd': D = atof(optarg); break;
	case 'R': R = atol(optarg); break;
	case 'W': W = atoi(optarg); break;
	case 'B': B = atoi(optarg); break;
	case 'G': gso = 1; break;
	case 'k': K = atoi(optarg); break;
	case 'c': mycpu = atoi(optarg); break;
	case 'P': if (npid < MAXPID) pids[npid++] = atoi(optarg); break;
	case 'C': srvcpu = atoi(optarg); break;
	case 'A': ns_peer = optarg; break;
	case 'N': ns_client = optarg; break;
	case 't': label = optarg; break;
	default: fprintf(stderr, "see the comment at the top of turnload.c\n"); return 2;
	}
	if (D > 60) D = 60;
	if (P < 20) P = 20;
	if (P > 1900) P = 1900;
	if (B > MAXB) B = MAXB;
	if (N < 1 || N > 9000) die("-n 1..9000");
	struct rlimit rl = {65536, 65536}; setrlimit(RLIMIT_NOFILE, &rl);
	if (mycpu >= 0) { cpu_set_t s; CPU_ZERO(&s); CPU_SET(mycpu, &s); sched_setaffinity(0, sizeof s, &s); }
	next_port += (now_ns() >> 10) % 9000;
	lat = malloc(maxlat * 4);
	cl = calloc(N > K ? N : K, sizeof *cl);
	for (int i = 0; i < MAXB; i++) {
		sbuf[i] = calloc(1, 2048);
		siov[i].iov_base = sbuf[i];
		sm[i].msg_hdr = (struct msghdr){.msg_iov = &siov[i], .msg_iovlen = 1};
		riov[i].iov_base = rbuf[i]; riov[i].iov_len = 64;
		rm[i].msg_hdr = (struct msghdr){.msg_iov = &riov[i], .msg_iovlen = 1};
	}
	rprep();
	enter_ns(ns_peer);
	int v = 8 << 20;
	peer_fd = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(peer_fd, SOL_SOCKET, SO_RCVBUFFORCE, &v, sizeof v);
	setsockopt(peer_fd, SOL_SOCKET, SO_SNDBUFFORCE, &v, sizeof v);
	socklen_t pl = sizeof peer;
	if (bind(peer_fd, (void *)&peer, sizeof peer) || getsockname(peer_fd, (void *)&peer, &pl)) die("bind peer");
	enter_ns(ns_client);
	ep = epoll_create1(0);

	uint64_t t0, t1, tstart, tend, warm_sent = 0, warm_got = 0;
	double c0 = 0, c1, s0 = 0, s1, me0 = 0, me1, x0 = 0, x1;
	uint64_t idle = 0;
	long rss0 = proc_rss_kb(), rss1 = 0;
	double setup_s = 0;
	int is_alloc = !strcmp(mode, "alloc"), is_bind = !strcmp(mode, "binding"), is_hold = !strcmp(mode, "hold");
	direct = !strcmp(mode, "direct") ? 4 : 0;
	int c2p = direct || !strcmp(mode, "c2p"), p2c = !strcmp(mode, "p2c"), echo = !strcmp(mode, "echo");
	if (!(is_alloc || is_bind || is_hold || c2p || p2c || echo)) die("mode");

	if (is_hold) {
		double cc = proc_cpu();
		s0 = cpu_busy(-1); me0 = self_cpu(); x0 = cpu_busy(srvcpu);
		t0 = now_ns();
		for (int i = 0; i < N; i++) { open_alloc(&cl[i]); open_channel(&cl[i]); }
		t1 = now_ns(); rss1 = proc_rss_kb(); c1 = proc_cpu(); s1 = cpu_busy(-1); me1 = self_cpu(); x1 = cpu_busy(srvcpu);
		for (int i = 0; i < N; i++) close_alloc_surely(&cl[i]);
		printf("{\"label\":\"%s\",\"mode\":\"hold\",\"n\":%d,\"rss0_kb\":%ld,\"rss1_kb\":%ld,\"bytes_per_alloc\":%.0f,\"setup_s\":%.3f,\"cpu_us_per_alloc\":%.1f,"
			"\"sys_us_per_alloc\":%.1f,\"cpuX_us_per_alloc\":%.1f}\n",
			label, N, rss0, rss1, (rss1 - rss0) * 1024.0 / N, (t1 - t0) / 1e9, (c1 - cc) * 1e6 / N,
			((s1 - s0) - (me1 - me0)) * 1e6 / N, srvcpu >= 0 ? (x1 - x0) * 1e6 / N : 0);
		return 0;
	}
	if (direct) server = peer;
	if (is_bind || direct) for (int i = 0; i < N; i++) cl[i].fd = client_sock();
	else if (is_alloc) for (int i = 0; i < K; i++) cyc_start(&cl[i], i);
	else {
		t0 = now_ns();
		for (int i = 0; i < N; i++) {
			struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
			open_alloc(&cl[i]); open_channel(&cl[i]);
			if (p2c) {	/* a client that is never heard of is not what a server is made for */
				w16(sbuf[0], cl[i].chan); w16(sbuf[0] + 2, 0);
				send(cl[i].fd, sbuf[0], 4, 0);
			}
			epoll_ctl(ep, EPOLL_CTL_ADD, cl[i].fd, &e);
		}
		setup_s = (now_ns() - t0) / 1e9;
	}
	t0 = now_ns(); tstart = t0 + 500000000ull; tend = tstart + (uint64_t)(D * 1e9);
	uint64_t last_prog = t0, t = t0, total0 = t0;
	while (t < tend) {
		if (!measuring && t >= tstart) {
			measuring = 1; warm_sent = sent; warm_got = got; nlat = 0; idle = 0;
			tstart = t; tend = t + (uint64_t)(D * 1e9);
			c0 = proc_cpu(); s0 = cpu_busy(-1); me0 = self_cpu(); x0 = cpu_busy(srvcpu);
		}
		int prog = 0, echoed = 0;
		uint64_t before = t, sent_before = sent;
		if (is_alloc) {
			struct epoll_event ev[64]; int n = epoll_wait(ep, ev, 64, 1);
			for (int i = 0; i < n; i++) cyc_step(&cl[ev[i].data.u32], ev[i].data.u32);
			t = now_ns();
			for (int i = 0; i < K; i++) if (t - cl[i].t0 > 1000000000ull) { cyc_to++; close(cl[i].fd); cyc_start(&cl[i], i); }
			continue;
		}
		long allow;
		if (R) allow = (long)((t - total0) / 1e9 * R) - (long)sent;
		else if (W) allow = W - (long)(sent - got - bad - lost_adj);
		else allow = MAXB;
		if (allow > MAXB) allow = MAXB;
		if (R && allow > 32) allow = 32;
		if (allow > 0 && (R || !W || B == 1 || allow >= B || N > 1)) {
			if (is_bind) send_binding(allow);
			else if (p2c) send_p2c(allow);
			else send_c2p(allow);
		}
		if (is_bind) prog = drain_binding();
		else if (c2p) prog = drain_peer(0);
		else if (p2c) prog = drain_clients();
		else { echoed = drain_peer(1); prog = drain_clients(); }
		t = now_ns();
		if (!prog && !echoed && sent == sent_before) idle += t - before;
		if (prog) last_prog = t;
		else if (!R && W && t - last_prog > 20000000ull) { lost_adj = sent - got - bad; last_prog = t; }
	}
	t1 = now_ns(); c1 = proc_cpu(); s1 = cpu_busy(-1); me1 = self_cpu(); x1 = cpu_busy(srvcpu);
	uint64_t msent = sent - warm_sent, mgot = got - warm_got;
	double el = (t1 - tstart) / 1e9;
	rss1 = proc_rss_kb();
	/* let late packets arrive so that loss is loss, not in-flight */
	uint64_t g1 = got, tl = now_ns() + 300000000ull;
	measuring = 0;
	while (!is_alloc && now_ns() < tl) {
		if (is_bind) drain_binding(); else if (c2p) drain_peer(0); else if (p2c) drain_clients(); else { drain_peer(1); drain_clients(); }
	}
	(void)g1;
	double loss = sent ? 100.0 * ((double)sent - (double)got) / sent : 0;
	qsort(lat, nlat, 4, cmp32);
#define PCT(q) (nlat ? lat[(size_t)((nlat - 1) * (q))] / 1e3 : 0)
	if (is_alloc) {
		printf("{\"label\":\"%s\",\"mode\":\"alloc\",\"k\":%d,\"cycles_s\":%.0f,\"timeouts\":%llu,\"errors\":%llu,\"cpu_us_cycle\":%.1f,\"sys_us_cycle\":%.1f,\"cpuX_us_cycle\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
			label, K, cycles / el, (unsigned long long)cyc_to, (unsigned long long)bad, cycles ? (c1 - c0) * 1e6 / cycles : 0,
			cycles ? ((s1 - s0) - (me1 - me0)) * 1e6 / cycles : 0, cycles && srvcpu >= 0 ? (x1 - x0) * 1e6 / cycles : 0, PCT(.5), PCT(.99));
		for (int i = 0; i < K; i++) { if (cl[i].st == 2) close_alloc(&cl[i]); }
		return 0;
	}
	double mg = mgot ? mgot : 1;
	printf("{\"label\":\"%s\",\"mode\":\"%s\",\"n\":%d,\"p\":%d,\"rate\":%ld,\"win\":%d,\"burst\":%d,\"sent_pps\":%.0f,\"pps\":%.0f,\"mbit\":%.0f,\"loss_pct\":%.3f,\"bad\":%llu,"
		"\"cpu_pct\":%.1f,\"cpu_us_pkt\":%.3f,\"sys_us_pkt\":%.3f,\"cpuX_pct\":%.1f,\"cpuX_us_pkt\":%.3f,\"work_us_pkt\":%.3f,\"gen_pct\":%.1f,\"gen_busy_pct\":%.1f,\"p50_us\":%.1f,\"p95_us\":%.1f,\"p99_us\":%.1f,\"setup_s\":%.3f,\"rss_kb\":%ld}\n",
		label, mode, N, P, R, W, B, msent / el, mgot / el, mgot / el * P * 8 / 1e6, loss, (unsigned long long)bad,
		100 * (c1 - c0) / el, (c1 - c0) * 1e6 / mg, ((s1 - s0) - (me1 - me0)) * 1e6 / mg, srvcpu >= 0 ? 100 * (x1 - x0) / el : 0, srvcpu >= 0 ? (x1 - x0) * 1e6 / mg : 0,
		((s1 - s0) - idle / 1e9) * 1e6 / mg, 100 * (me1 - me0) / el, 100 - 100 * idle / 1e9 / el, PCT(.5), PCT(.95), PCT(.99), setup_s, rss1);
	if (!is_bind && !direct) for (int i = 0; i < N; i++) close_alloc(&cl[i]);
	return mgot ? 0 : 1;
}
