/* sigload.c - signalling load generator for side-by-side benchmarks of Collider and rtcd (Linux, IPv4).
 *
 * build: make -C benchmarks        (Debian: apt-get install gcc libssl-dev)
 *
 * usage: sigload -m MODE [options]        one JSON line on stdout, exit 0 if the run was valid
 *   -m msg      rooms of two registered clients, closed loop: -W messages in flight per room, both ways
 *   -m rate     the same rooms, -R messages/s offered in all; latency counts from the time a message was due
 *   -m idle     open -n sockets (register, two a room), report server memory per socket and its idle CPU
 *   -m connect  connect + upgrade + register (proved by a ping/pong) + close cycles, each in a fresh room
 *   -m join     POST /join/ROOM + POST /leave/ROOM/CLIENT cycles on keep-alive connections
 *   -s IP:PORT  server: WebSocket, or HTTP for join      (127.0.0.1:18089); repeatable: room i uses server i mod count
 *   -T          TLS to -s (certificate is not checked)
 *   -f          join first: client ids and the path of the wss url come from POST /join at -j (rtcd hands out the ids)
 *   -j IP:PORT  room server for -f (default: -s, with TLS if -T), -J: TLS at -j
 *   -u PATH     WebSocket path (/ws)     -o ORIGIN (https://localhost)     -x PREFIX of room names (random)
 *   -n N        rooms (msg, rate), sockets (idle)         (50)
 *   -p BYTES    WebSocket payload of a "send": below 800 an ICE candidate, else an SDP offer (300)
 *   -W MSGS     window per room (2)
 *   -R RATE     messages/s offered in rate mode (5000)
 *   -d SEC      measured seconds, <= 60 (5), after 0.5 s warm up; idle: seconds to hold
 *   -k K        threads for idle, connect, join (8)
 *   -a N        client source addresses 127.0.0.2 ... (1; idle and connect: 16)
 *   -c CPU      pin this tool to a CPU
 *   -P PID      server pid (repeatable): CPU seconds, RSS, PSS of it and its children
 *   -C CPU      report busy time of this CPU from /proc/stat (server pinned there)
 *   -t TEXT     label copied to the output
 *
 * examples (Collider on port 18089, pid in $S, pinned to CPU 0)
 *   sigload -m msg -n 50 -W 2 -d 3 -c 1 -P $S -C 0            300 B candidates
 *   sigload -m msg -n 50 -W 2 -p 2500 -d 3 -c 1 -P $S         SDP
 *   sigload -m rate -n 200 -R 5000 -d 3 -c 1 -P $S            latency at a fixed rate
 *   sigload -m idle -n 10000 -d 2 -P $S                       fresh server for RSS; needs RLIMIT_NOFILE on both sides
 *   sigload -m connect -k 16 -d 3 -c 1 -P $S
 *   sigload -m join -s 127.0.0.1:8443 -T -k 8 -d 3 -P $S
 *   sigload -m msg -f -T -s 127.0.0.1:8443 -j 127.0.0.1:8443 -J -n 50 -P $S       rtcd: ids from /join
 *
 * A message is sent with one write of its own, masked with a fresh key. Each carries sender, sequence number and
 * time; lost, duplicated, misordered and (sampled) altered ones are counted and make the run invalid.
 * cpu_us   = server process CPU (schedstat, all threads, children) per delivered message / cycle
 * cpuX_us  = busy time of -C CPU per message (includes softirq); own_us = this tool's CPU per message
 * "gen_busy" near 1 means that this tool was the limit: then compare cpu_us, not rate.
 * Every duration is bounded. Use loopback only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include <openssl/err.h>

#define MAXSRV 16
#define MAXPID 16
#define IBUF 65536
#define MARK 39                                  /* "SIG" + 8 sender + 8 sequence + 16 time + 4 "GIS." */

static const char *mode = "msg", *path = "/ws", *origin = "https://localhost", *label = "", *prefix;
static struct sockaddr_in srv[MAXSRV], joinsrv;
static int nsrv, use_tls, join_tls, join_first, have_join, N = 50, P = 300, W = 2, K = 8, A, mycpu = -1, srvcpu = -1, npid;
static double D = 5, R = 5000;
static pid_t pids[MAXPID];
static SSL_CTX *ctx;
static char pfx[32];
static volatile int stop_flag;
static int failures;
static char first_failure[300];

static uint64_t now_ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static uint64_t own_cpu(void) { struct timespec t; clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static void die(const char *m) { fprintf(stderr, "sigload: %s%s%s\n", m, errno ? ": " : "", errno ? strerror(errno) : ""); exit(2); }
static pthread_mutex_t flock_ = PTHREAD_MUTEX_INITIALIZER;
static void fail(const char *what, const char *detail)
{
    pthread_mutex_lock(&flock_);
    if (!failures++) snprintf(first_failure, sizeof first_failure, "%s %.200s", what, detail ? detail : "");
    pthread_mutex_unlock(&flock_);
}

/* ---------------------------------------------------------------- random, histogram */
static __thread uint64_t rs;
static uint64_t rnd(void)
{
    if (!rs) rs = now_ns() * 2654435761u ^ (uint64_t)(uintptr_t)&rs ^ 88172645463325252ull;
    rs ^= rs << 13; rs ^= rs >> 7; rs ^= rs << 17; return rs;
}
#define HB 64
static uint64_t hist[64 * HB], hist_n, hist_max;
static void hist_add(uint64_t ns)
{
    if (ns > hist_max) hist_max = ns;
    int e = ns < HB ? 0 : 63 - __builtin_clzll(ns) - 5;
    hist[e * HB + (ns >> e) % HB]++;   /* 2^e ns wide bins: better than 3 percent */
    hist_n++;
}
static double hist_q(double q)
{
    uint64_t want = q * hist_n, c = 0;
    for (int e = 0; e < 58; e++)
        for (int i = 0; i < HB; i++) {
            if (e && i < HB / 2) continue;
            c += hist[e * HB + i];
            if (c > want) return (double)((uint64_t)i << e) / 1000;
        }
    return hist_max / 1000.0;
}

/* ---------------------------------------------------------------- server CPU and memory */
static uint64_t read_first(const char *f)
{
    FILE *h = fopen(f, "r"); unsigned long long v = 0;
    if (h) { if (fscanf(h, "%llu", &v) != 1) v = 0; fclose(h); }
    return v;
}
static long smaps(pid_t p, const char *key)
{
    char f[64], l[256]; long v = 0; snprintf(f, sizeof f, "/proc/%d/smaps_rollup", p);
    FILE *h = fopen(f, "r"); if (!h) return 0;
    while (fgets(l, sizeof l, h)) if (!strncmp(l, key, strlen(key))) { v = atol(l + strlen(key) + 1); break; }
    fclose(h); return v;
}
static void walk(pid_t p, uint64_t *cpu, long *rss, long *pss)
{
    char f[96]; snprintf(f, sizeof f, "/proc/%d/task", p);
    DIR *d = opendir(f); if (!d) return;
    struct dirent *e;
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.') continue;
        snprintf(f, sizeof f, "/proc/%d/task/%.12s/schedstat", p, e->d_name); *cpu += read_first(f);
        snprintf(f, sizeof f, "/proc/%d/task/%.12s/children", p, e->d_name);
        FILE *h = fopen(f, "r"); int c;
        if (h) { while (fscanf(h, "%d", &c) == 1) walk(c, cpu, rss, pss); fclose(h); }
    }
    closedir(d);
    if (rss) { *rss += smaps(p, "Rss:"); *pss += smaps(p, "Pss:"); }
}
static uint64_t srv_cpu(long *rss, long *pss)
{
    uint64_t c = 0; long r = 0, s = 0;
    for (int i = 0; i < npid; i++) walk(pids[i], &c, rss ? &r : NULL, rss ? &s : NULL);
    if (rss) { *rss = r; *pss = s; }
    return c;
}
static double cpu_busy(int cpu)                  /* seconds, -1: whole machine */
{
    char l[256], k[16]; double b = 0; snprintf(k, sizeof k, cpu < 0 ? "cpu " : "cpu%d ", cpu);
    FILE *h = fopen("/proc/stat", "r"); if (!h) return 0;
    while (fgets(l, sizeof l, h)) if (!strncmp(l, k, strlen(k))) {
        unsigned long long u, n, s, i, w, q, sq; sscanf(l + strlen(k), "%llu %llu %llu %llu %llu %llu %llu", &u, &n, &s, &i, &w, &q, &sq);
        b = (u + n + s + q + sq) / (double)sysconf(_SC_CLK_TCK);
    }
    fclose(h); return b;
}

/* ---------------------------------------------------------------- blocking connections */
struct conn {
    int fd; SSL *ssl;
    int il, eof; char *in;                       /* input: il bytes at in */
    char *out; int ol, oc; int wantw;            /* output not yet accepted */
    /* msg/rate */
    int id; struct conn *peer; uint32_t seq, want; int credit; char *tmpl; int tlen, mpos, fhdr;
};
static int addr_i;
static int c_open(struct conn *c, const struct sockaddr_in *to, int tls)
{
    memset(c, 0, sizeof *c); c->fd = -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1; if (fd < 0) { fail("socket", strerror(errno)); return -1; }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct timeval tv = { 20, 0 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv); setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    if (A > 1) {
        setsockopt(fd, SOL_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one);
        struct sockaddr_in me = { .sin_family = AF_INET };
        me.sin_addr.s_addr = htonl(0x7f000002 + __sync_fetch_and_add(&addr_i, 1) % A);
        bind(fd, (void *)&me, sizeof me);
    }
    if (connect(fd, (void *)to, sizeof *to)) { fail("connect", strerror(errno)); close(fd); return -1; }
    c->fd = fd; c->in = malloc(IBUF);
    if (tls) {
        c->ssl = SSL_new(ctx); SSL_set_fd(c->ssl, fd);
        if (SSL_connect(c->ssl) != 1) { fail("tls", ERR_reason_error_string(ERR_get_error())); return -1; }
    }
    return 0;
}
static void c_close(struct conn *c)
{
    if (c->ssl) { SSL_shutdown(c->ssl); SSL_free(c->ssl); }
    if (c->fd >= 0) close(c->fd);
    free(c->in); free(c->out); c->fd = -1; c->ssl = NULL; c->in = c->out = NULL;
}
static int c_read(struct conn *c, void *b, int n)        /* >0, 0 end, -1 error, -2 would block */
{
    if (c->ssl) {
        int r = SSL_read(c->ssl, b, n); if (r > 0) return r;
        int e = SSL_get_error(c->ssl, r); ERR_clear_error();
        return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? -2 : e == SSL_ERROR_ZERO_RETURN ? 0 : -1;
    }
    int r = recv(c->fd, b, n, 0);
    return r >= 0 ? r : errno == EAGAIN ? -2 : -1;
}
static int c_write(struct conn *c, const void *b, int n)
{
    if (c->ssl) {
        int r = SSL_write(c->ssl, b, n); if (r > 0) return r;
        int e = SSL_get_error(c->ssl, r); ERR_clear_error();
        return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? -2 : -1;
    }
    int r = send(c->fd, b, n, MSG_NOSIGNAL);
    return r >= 0 ? r : errno == EAGAIN ? -2 : -1;
}
static int c_writeall(struct conn *c, const char *b, int n)
{
    while (n > 0) { int r = c_write(c, b, n); if (r <= 0) return -1; b += r; n -= r; }
    return 0;
}
static void eat(struct conn *c, int n) { c->il -= n; memmove(c->in, c->in + n, c->il); }
static int fill(struct conn *c)
{
    if (c->il >= IBUF - 1) return -1;
    int r = c_read(c, c->in + c->il, IBUF - 1 - c->il);
    if (r <= 0) return -1;
    c->il += r; c->in[c->il] = 0; return r;
}
static char *head(struct conn *c)                        /* reads until the blank line; returns its end */
{
    char *e; c->in[c->il] = 0;
    while (!(e = memmem(c->in, c->il, "\r\n\r\n", 4))) if (fill(c) < 0) return NULL;
    return e + 4;
}
/* POST with empty body on a keep-alive connection; the body of the answer is copied to out; returns status */
static int http_post(struct conn *c, const char *target, const char *host, char *out, int max)
{
    char q[1024]; int n = snprintf(q, sizeof q, "POST %s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nContent-Length: 0\r\n\r\n", target, host, origin);
    if (c_writeall(c, q, n)) return -1;
    char *b = head(c); if (!b) return -1;
    int status = atoi(c->in + 9), hl = b - c->in, len = 0; *(b - 1) = 0;
    char *h = strcasestr(c->in, "\nContent-Length:"), *ch = strcasestr(c->in, "\nTransfer-Encoding: chunked");
    int got = 0;
    if (h) {
        len = atoi(h + 16);
        while (c->il < hl + len) if (fill(c) < 0) return -1;
        got = len < max - 1 ? len : max - 1; memcpy(out, c->in + hl, got); eat(c, hl + len);
    } else if (ch) {
        eat(c, hl);
        for (;;) {
            char *e; while (!(e = memmem(c->in, c->il, "\r\n", 2))) if (fill(c) < 0) return -1;
            int l = strtol(c->in, NULL, 16), o = e + 2 - c->in;
            while (c->il < o + l + 2) if (fill(c) < 0) return -1;
            if (got + l < max - 1) { memcpy(out + got, c->in + o, l); got += l; }
            eat(c, o + l + 2); if (!l) break;
        }
    } else eat(c, hl);
    out[got] = 0; return status;
}
static int json_str(const char *j, const char *key, char *out, int max)
{
    char k[64]; snprintf(k, sizeof k, "\"%s\"", key);
    const char *p = strstr(j, k); if (!p) return -1;
    p += strlen(k); while (*p == ' ' || *p == ':') p++;
    if (*p++ != '"') return -1;
    int n = 0; while (*p && *p != '"' && n < max - 1) { if (*p == '\\') p++; out[n++] = *p++; }
    out[n] = 0; return n;
}
static void hostport(const struct sockaddr_in *a, char *b) { sprintf(b, "%s:%d", inet_ntoa(a->sin_addr), ntohs(a->sin_port)); }

/* ---------------------------------------------------------------- WebSocket, client side */
static void xor4(char *d, const char *s, int n, uint32_t key)
{
    uint64_t k8 = key | (uint64_t)key << 32; int i = 0;
    for (; i + 8 <= n; i += 8) { uint64_t v; memcpy(&v, s + i, 8); v ^= k8; memcpy(d + i, &v, 8); }
    for (; i < n; i++) d[i] = s[i] ^ ((char *)&key)[i & 3];
}
static int frame(char *d, int op, const char *p, int n)
{
    int h = 2; uint32_t key = rnd();
    d[0] = 0x80 | op;
    if (n < 126) d[1] = 0x80 | n; else { d[1] = 0x80 | 126; d[2] = n >> 8; d[3] = n; h = 4; }
    memcpy(d + h, &key, 4); xor4(d + h + 4, p, n, key); return h + 4 + n;
}
/* one server frame at b: returns its whole length or 0 if incomplete */
static int unframe(const char *b, int n, int *op, int *fin, int *hl, int *len)
{
    if (n < 2) return 0;
    int l = b[1] & 127, h = 2;
    if (l == 126) { if (n < 4) return 0; l = (uint8_t)b[2] << 8 | (uint8_t)b[3]; h = 4; }
    else if (l == 127) { if (n < 10) return 0; l = ntohl(*(uint32_t *)(b + 6)); h = 10; }
    if (b[1] & 0x80) h += 4;
    if (n < h + l) return 0;
    *op = b[0] & 15; *fin = b[0] >> 7 & 1; *hl = h; *len = l; return h + l;
}
static int ws_open(struct conn *c, const struct sockaddr_in *to, const char *p)
{
    char q[1024], hp[32]; hostport(to, hp);
    if (c_open(c, to, use_tls)) return -1;
    int n = snprintf(q, sizeof q, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: %s\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36\r\n"
        "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n\r\n",
        p, hp, origin);
    char *b;
    if (c_writeall(c, q, n) || !(b = head(c))) { fail("upgrade", "no answer"); return -1; }
    if (strncmp(c->in, "HTTP/1.1 101", 12) || !memmem(c->in, b - c->in, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28)) { fail("upgrade", c->in); return -1; }
    eat(c, b - c->in); return 0;
}
static int ws_register(struct conn *c, const char *room, const char *client, int ping)
{
    char m[512], f[600]; int n = snprintf(m, sizeof m, "{\"cmd\":\"register\",\"roomid\":\"%s\",\"clientid\":\"%s\"}", room, client);
    int l = frame(f, 1, m, n);
    if (ping) l += frame(f + l, 9, "hi", 2);
    if (c_writeall(c, f, l)) return -1;
    while (ping) {
        int op, fin, hl, len, t;
        while (!(t = unframe(c->in, c->il, &op, &fin, &hl, &len))) if (fill(c) < 0) { fail("register", "closed"); return -1; }
        if (op == 10) ping = 0; else { c->in[hl + len] = 0; fail("register", c->in + hl); return -1; }
        eat(c, t);
    }
    return 0;
}
static void ids(struct conn *jc, const char *room, int i, char *client, char *p)
{
    snprintf(p, 256, "%s", path); sprintf(client, "%08d", (int)(rnd() % 90000000 + 10000000 - i));
    if (!join_first) return;
    char t[256], hp[32], url[256]; static __thread char body[65536]; hostport(&joinsrv, hp); snprintf(t, sizeof t, "/join/%s", room);
    int s = http_post(jc, t, hp, body, sizeof body);
    if (s != 200 || json_str(body, "client_id", client, 128) < 1) { errno = 0; fprintf(stderr, "join: status %d %.300s\n", s, body); die("join failed"); }
    if (json_str(body, "wss_url", url, sizeof url) > 0) { char *q = strstr(url, "://"); if (q && (q = strchr(q + 3, '/'))) snprintf(p, 256, "%s", q); }
}

/* ---------------------------------------------------------------- message text */
static int esc(char *d, const char *s, int n)
{
    char *o = d; for (int i = 0; i < n; i++) { if (s[i] == '"' || s[i] == '\\') *o++ = '\\'; *o++ = s[i]; }
    return o - d;
}
static char *mtext; static int mlen;             /* M, decoded, with a blank marker */
static int build(char *out, int size, int *mpos)
{
    static const char *cand = "\"type\":\"candidate\",\"label\":0,\"id\":\"0\",\"candidate\":\"candidate:1467250027 1 udp 2122260223 192.168.0.196 46243 typ host generation 0 ufrag Bk8v network-id 1 network-cost 10 ";
    static const char *sdp = "\"sdp\":\"v=0\\r\\no=- 8461234512345 2 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\na=group:BUNDLE 0 1\\r\\na=msid-semantic: WMS s\\r\\n";
    static const char *line = "a=rtpmap:111 opus/48000/2\\r\\na=fmtp:111 minptime=10;useinbandfec=1\\r\\na=rtcp-fb:96 nack pli\\r\\n";
    int big = size >= 800, cap = size + 512; char *m = malloc(cap * 2); int n, el;
    mtext = m;
    n = sprintf(m, "{\"mk\":\"%0*d\",%s", MARK, 0, big ? sdp : cand);
    static const char *h = "{\"cmd\":\"send\",\"msg\":\"";
    const char *tail = big ? "\",\"type\":\"offer\"}" : "\"}"; char tmp[64]; int tl = esc(tmp, tail, strlen(tail));
    for (int i = 0;; i++) {                      /* grow by the filler until the frame has the size */
        el = esc(out, m, n) + strlen(h) + 2 + tl; if (el >= size) break;
        if (big) { int k = i % strlen(line); if (line[k] == '\\' || el > size - 6) { if (el > size - 6) m[n++] = 'x'; else { m[n++] = '\\'; m[n++] = line[k + 1]; i++; } } else m[n++] = line[k]; }
        else m[n++] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789"[i % 37];
    }
    n += sprintf(m + n, "%s", tail); mlen = n;
    char *o = out + sprintf(out, "%s", h); o += esc(o, m, n); o += sprintf(o, "\"}");
    *mpos = (char *)memmem(out, o - out, "000000000000", 12) - out;
    return o - out;
}
static const char hexd[] = "0123456789abcdef";
static void hex(char *d, uint64_t v, int n) { while (n--) { d[n] = hexd[v & 15]; v >>= 4; } }
static uint64_t unhex(const char *s, int n) { uint64_t v = 0; while (n--) { char c = *s++; v = v << 4 | (c <= '9' ? c - '0' : c - 'a' + 10); } return v; }

/* ---------------------------------------------------------------- msg, rate */
static struct conn *cs; static int ep; static uint64_t sent, delivered, dup_, mis, altered, checked, errs, closed_, skipped;
static int measuring;
static void want_write(struct conn *c, int on)
{
    if (c->wantw == on) return;
    c->wantw = on; struct epoll_event e = { .events = EPOLLIN | (on ? EPOLLOUT : 0), .data.ptr = c }; epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}
static void push(struct conn *c, const char *b, int n)
{
    if (!c->ol) { int r = c_write(c, b, n); if (r == n) return; if (r > 0) { b += r; n -= r; } else if (r == -1) { c->eof = 1; return; } }
    if (c->ol + n > c->oc) c->out = realloc(c->out, c->oc = (c->ol + n) * 2);
    memcpy(c->out + c->ol, b, n); c->ol += n; want_write(c, 1);
}
static void flush(struct conn *c)
{
    int r = c_write(c, c->out, c->ol); if (r > 0) { c->ol -= r; memmove(c->out, c->out + r, c->ol); }
    if (!c->ol) want_write(c, 0);
}
static void send_msg(struct conn *c, uint64_t t)
{
    static char b[1 << 17]; char *m = c->tmpl + c->mpos;
    memcpy(m, "SIG", 3); hex(m + 3, c->id, 8); hex(m + 11, c->seq++, 8); hex(m + 19, t, 16); memcpy(m + 35, "GIS.", 4);
    int n = frame(b, 1, c->tmpl, c->tlen); push(c, b, n); sent++;
}
static int same_text(const char *p, int n)       /* does the "msg" member decode to M, the marker apart? */
{
    const char *e = p + n, *q = memmem(p, n, "\"msg\"", 5); if (!q) return 0;
    for (q += 5; q < e && (*q == ' ' || *q == ':'); q++);
    if (q >= e || *q++ != '"') return 0;
    int i = 0; const char *mk = strstr(mtext, "000000000000"); int mp = mk - mtext;
    for (; q < e && *q != '"'; i++) {
        char c = *q++;
        if (c == '\\') { c = *q++; if (c == 'u') { char x[5] = { q[0], q[1], q[2], q[3] }; c = strtol(x, NULL, 16); q += 4; } else if (c == 'n') c = '\n'; else if (c == 'r') c = '\r'; else if (c == 't') c = '\t'; }
        if (i >= mlen) return 0;
        if ((i < mp || i >= mp + MARK) && c != mtext[i]) return 0;
    }
    return i == mlen;
}
static int closed_loop; static double late;
static void got(struct conn *c, char *p, int n)
{
    char *m = memmem(p, n, "GIS.", 4);
    if (!m || m - p < 35) { if (!errs++) { p[n] = 0; fail("server said", p); } return; }
    m -= 35; uint32_t id = unhex(m + 3, 8), s = unhex(m + 11, 8); uint64_t t = unhex(m + 19, 16);
    if (id != (uint32_t)c->peer->id) { mis++; return; }
    if (s == c->want) c->want++; else if (s < c->want) dup_++; else { mis++; c->want = s + 1; }
    if (s < 4 || !(s & 255)) { checked++; if (!same_text(p, n)) altered++; }
    delivered++;
    if (measuring) hist_add(now_ns() - t);
    if (closed_loop && !stop_flag) send_msg(c->peer, now_ns()); else if (closed_loop) c->peer->credit++;
}
static void readable(struct conn *c)
{
    for (;;) {
        int room = IBUF - 1 - c->il, r = c_read(c, c->in + c->il, room);
        if (r == -2) return;
        if (r <= 0) { if (!c->eof) { c->eof = 1; closed_++; epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL); } return; }
        c->il += r; int o = 0, op, fin, hl, len, t;
        while ((t = unframe(c->in + o, c->il - o, &op, &fin, &hl, &len))) {
            if (op == 1) { char keep = c->in[o + t]; got(c, c->in + o + hl, len); c->in[o + t] = keep; }
            else if (op == 9) { char b[140]; int k = frame(b, 10, c->in + o + hl, len); push(c, b, k); }
            o += t;
        }
        c->il -= o; if (c->il && o) memmove(c->in, c->in + o, c->il);
        if (r < room && !c->ssl) return;
    }
}
static void rooms_open(void)
{
    struct conn jc = { .fd = -1 }; cs = calloc(N * 2, sizeof *cs); ep = epoll_create1(0);
    if (join_first && c_open(&jc, &joinsrv, join_tls)) die(first_failure);
    char *t = malloc(P * 4 + 2048); int mpos, tl = build(t, P, &mpos);
    for (int i = 0; i < N * 2; i++) {
        struct conn *c = &cs[i]; char room[64], client[160], p[256]; snprintf(room, sizeof room, "%s%d", pfx, i / 2);
        ids(&jc, room, i, client, p);
        if (ws_open(c, &srv[i / 2 % nsrv], p) || ws_register(c, room, client, 1)) { errno = 0; die(first_failure); }
        c->id = i + 1; c->peer = &cs[i ^ 1]; c->tmpl = malloc(tl); memcpy(c->tmpl, t, tl); c->tlen = tl; c->mpos = mpos;
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = c }; epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
    }
    if (join_first) c_close(&jc);
}
static void poll_once(int64_t ns)
{
    struct epoll_event ev[256]; struct timespec ts = { ns / 1000000000, ns % 1000000000 };
    int n = epoll_pwait2(ep, ev, 256, ns < 0 ? NULL : &ts, NULL);
    for (int i = 0; i < n; i++) { struct conn *c = ev[i].data.ptr; if (ev[i].events & EPOLLOUT) flush(c); if (ev[i].events & ~EPOLLOUT) readable(c); }
}
static double out_cpu, out_own, out_x, out_sys, out_wall; static long out_rss, out_pss;
static uint64_t m_c0, m_o0, m_t0; static double m_b0, m_s0;
static void m_begin(void) { m_c0 = srv_cpu(NULL, NULL); m_o0 = own_cpu(); m_b0 = cpu_busy(srvcpu); m_s0 = cpu_busy(-1); m_t0 = now_ns(); }
static void m_end(void)
{
    out_wall = (now_ns() - m_t0) / 1e9; out_cpu = (srv_cpu(&out_rss, &out_pss) - m_c0) / 1e9; out_own = (own_cpu() - m_o0) / 1e9;
    out_x = cpu_busy(srvcpu) - m_b0; out_sys = cpu_busy(-1) - m_s0;
}
static void common(uint64_t n)
{
    printf("{\"mode\":\"%s\",\"label\":\"%s\",\"tls\":%d,\"wall_s\":%.2f,\"rate\":%.0f,\"cpu_us\":%.2f", mode, label, use_tls, out_wall, n / out_wall, npid && n ? out_cpu * 1e6 / n : -1);
    if (srvcpu >= 0) printf(",\"cpu%d_us\":%.2f", srvcpu, n ? out_x * 1e6 / n : -1);
    printf(",\"own_us\":%.2f,\"srv_busy\":%.2f,\"gen_busy\":%.2f,\"rss_kb\":%ld,\"pss_kb\":%ld", n ? out_own * 1e6 / n : -1, out_cpu / out_wall, out_own / out_wall, out_rss, out_pss);
    if (hist_n) printf(",\"p50_us\":%.0f,\"p90_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%.0f", hist_q(.5), hist_q(.9), hist_q(.99), hist_max / 1000.0);
}
static int tail(int ok)
{
    printf(",\"failures\":%d", failures);
    if (failures) { printf(",\"first_failure\":\""); for (char *p = first_failure; *p; p++) putchar(*p == '"' || *p == '\\' || (unsigned char)*p < 32 || (unsigned char)*p > 126 ? '\'' : *p); printf("\""); }
    printf(",\"valid\":%s}\n", ok && !failures ? "true" : "false"); return ok && !failures ? 0 : 1;
}
static int run_msg(void)
{
    rooms_open(); closed_loop = !strcmp(mode, "msg");
    uint64_t t0 = now_ns(), tm = t0 + 500000000ull, te = tm + D * 1e9, d0 = 0, t, i = 0; double gap = 1e9 / R;
    if (closed_loop) for (int r = 0; r < N; r++) { for (int k = 0; k < (W + 1) / 2; k++) send_msg(&cs[2 * r], now_ns()); for (int k = 0; k < W / 2; k++) send_msg(&cs[2 * r + 1], now_ns()); }
    while ((t = now_ns()) < te) {
        if (!measuring && t >= tm) { measuring = 1; d0 = delivered; m_begin(); }
        if (closed_loop) { poll_once(20000000); continue; }
        uint64_t due;
        while ((due = t0 + (uint64_t)(i * gap)) <= t) {
            struct conn *c = &cs[(i * 2 + (i / N & 1)) % (N * 2)];
            if (measuring) late += (t - due) / 1e3;
            if (c->ol < 1 << 20) send_msg(c, due); else skipped++;
            i++; if (!(i & 15)) break;
        }
        t = now_ns(); poll_once(due > t ? (int64_t)(due - t) : 0);
    }
    uint64_t d1 = delivered - d0; m_end(); measuring = 0; stop_flag = 1;
    for (t = now_ns(); delivered < sent && now_ns() - t < 3000000000ull && closed_ < 2ull * N;) poll_once(20000000);
    common(d1);
    printf(",\"rooms\":%d,\"window\":%d,\"offered\":%.0f,\"payload\":%d,\"sent\":%lu,\"delivered\":%lu,\"lost\":%ld,\"dup\":%lu,\"misordered\":%lu,\"checked\":%lu,\"altered\":%lu,\"errors\":%lu,\"closed\":%lu,\"skipped\":%lu,\"gen_late_us\":%.1f",
        N, closed_loop ? W : 0, closed_loop ? 0 : R, cs[0].tlen, sent, delivered, (long)(sent - delivered), dup_, mis, checked, altered, errs, closed_, skipped, closed_loop || !d1 ? 0 : late / d1);
    return tail(sent == delivered && !dup_ && !mis && !altered && !errs && !closed_ && delivered > 0);
}

/* ---------------------------------------------------------------- idle, connect, join: K blocking threads */
static uint64_t cycles; static int next_i; static pthread_mutex_t hl_ = PTHREAD_MUTEX_INITIALIZER;
static void *idle_thread(void *a)
{
    struct conn jc = { .fd = -1 }; (void)a;
    if (join_first && c_open(&jc, &joinsrv, join_tls)) die(first_failure);
    for (int i; (i = __sync_fetch_and_add(&next_i, 2)) < N && failures < 20;)
        for (int j = 0; j < 2; j++) {
            if (i + j >= N) break;
            char room[64], client[160], p[256]; snprintf(room, sizeof room, "%s%d", pfx, i / 2); ids(&jc, room, i + j, client, p);
            if (ws_open(&cs[i + j], &srv[i / 2 % nsrv], p) || ws_register(&cs[i + j], room, client, 1)) continue;
            __sync_fetch_and_add(&cycles, 1);
        }
    if (join_first) c_close(&jc);
    return NULL;
}
static void *cycle_thread(void *a)
{
    struct conn c, jc = { .fd = -1 }; int joining = !strcmp(mode, "join"), open_ = 0; long me = (long)a;
    char room[64], client[160], p[256], hp[32]; static __thread char body[65536];
    if (join_first && !joining && c_open(&jc, &joinsrv, join_tls)) die(first_failure);
    hostport(&srv[me % nsrv], hp);
    for (long i = 0; !stop_flag && failures < 20; i++) {
        uint64_t t = now_ns();
        if (joining) {
            if (!open_) { if (c_open(&c, &srv[me % nsrv], use_tls)) continue; open_ = 1; }
            snprintf(room, sizeof room, "%s%ld_%ld", pfx, me, i); snprintf(p, sizeof p, "/join/%s", room);
            int s = http_post(&c, p, hp, body, sizeof body);
            if (s != 200 || json_str(body, "client_id", client, sizeof client) < 1) { fail("join", s < 0 ? "closed" : body); c_close(&c); open_ = 0; continue; }
            snprintf(p, sizeof p, "/leave/%s/%s", room, client);
            s = http_post(&c, p, hp, body, sizeof body);
            if (s != 200) { fail("leave", s < 0 ? "closed" : body); c_close(&c); open_ = 0; continue; }
        } else {
            snprintf(room, sizeof room, "%s%ld_%ld", pfx, me, i); ids(&jc, room, 0, client, p);
            if (ws_open(&c, &srv[(me + i) % nsrv], p) || ws_register(&c, room, client, 1)) { if (c.fd >= 0) c_close(&c); continue; }
            char f[32]; int l = frame(f, 8, "\x03\xe8", 2); c_writeall(&c, f, l); c_close(&c);
        }
        uint64_t e = now_ns() - t;
        if (measuring) { pthread_mutex_lock(&hl_); hist_add(e); pthread_mutex_unlock(&hl_); __sync_fetch_and_add(&cycles, 1); }
    }
    return NULL;
}
static int run_threads(int idle)
{
    pthread_t th[256]; long r0, p0; uint64_t t0 = now_ns();
    if (K > 256) K = 256;
    if (idle) cs = calloc(N + 2, sizeof *cs);
    srv_cpu(&r0, &p0); if (idle) m_begin();
    for (long i = 0; i < K; i++) pthread_create(&th[i], NULL, idle ? idle_thread : cycle_thread, (void *)i);
    if (!idle) {
        usleep(500000); m_begin(); measuring = 1; usleep(D * 1e6); m_end(); measuring = 0; stop_flag = 1;
        uint64_t n = cycles; for (int i = 0; i < K; i++) pthread_join(th[i], NULL);
        common(n); printf(",\"threads\":%d,\"cycles\":%lu", K, n); return tail(n > 0);
    }
    for (int i = 0; i < K; i++) pthread_join(th[i], NULL);
    m_end(); double open_s = (now_ns() - t0) / 1e9, open_cpu = out_cpu; usleep(300000);
    m_begin(); usleep(D * 1e6); m_end();
    common(cycles);
    printf(",\"sockets\":%lu,\"open_s\":%.1f,\"open_cpu_us\":%.0f,\"rss0_kb\":%ld,\"rss_per_socket_b\":%.0f,\"pss_per_socket_b\":%.0f", cycles, open_s, open_cpu * 1e6 / cycles, r0,
        (out_rss - r0) * 1024.0 / cycles, (out_pss - p0) * 1024.0 / cycles);
    return tail(cycles == (uint64_t)N);
}

static void addr(struct sockaddr_in *a, char *s)
{
    char *c = strchr(s, ':'); if (!c) { errno = 0; die("address must be IP:PORT"); }
    *c = 0; a->sin_family = AF_INET; a->sin_port = htons(atoi(c + 1)); if (!inet_aton(s, &a->sin_addr)) { errno = 0; die("bad address"); } *c = ':';
}
int main(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "m:s:Tfj:Ju:o:x:n:p:W:R:d:k:a:c:P:C:t:")) != -1) switch (o) {
        case 'm': mode = optarg; break;
        case 's': if (nsrv < MAXSRV) addr(&srv[nsrv++], optarg); break;
        case 'T': use_tls = 1; break;
        case 'f': join_first = 1; break;
        case 'j': addr(&joinsrv, optarg); have_join = 1; break;
        case 'J': join_tls = 1; break;
        case 'u': path = optarg; break;
        case 'o': origin = optarg; break;
        case 'x': prefix = optarg; break;
        case 'n': N = atoi(optarg); break;
        case 'p': P = atoi(optarg); break;
        case 'W': W = atoi(optarg); break;
        case 'R': R = atof(optarg); break;
        case 'd': D = atof(optarg); break;
        case 'k': K = atoi(optarg); break;
        case 'a': A = atoi(optarg); break;
        case 'c': mycpu = atoi(optarg); break;
        case 'P': if (npid < MAXPID) pids[npid++] = atoi(optarg); break;
        case 'C': srvcpu = atoi(optarg); break;
        case 't': label = optarg; break;
        default: return 2;
        }
    if (D > 60) D = 60;
    if (P > 30000) P = 30000;
    if (!nsrv) { static char d[] = "127.0.0.1:18089"; addr(&srv[nsrv++], d); }
    if (!have_join) { joinsrv = srv[0]; join_tls |= use_tls; }
    if (!A) A = !strcmp(mode, "idle") || !strcmp(mode, "connect") ? 16 : 1;
    signal(SIGPIPE, SIG_IGN);
    struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
    if (mycpu >= 0) { cpu_set_t s; CPU_ZERO(&s); CPU_SET(mycpu, &s); sched_setaffinity(0, sizeof s, &s); }
    snprintf(pfx, sizeof pfx, "%.20s", prefix ? prefix : ""); if (!prefix) sprintf(pfx, "b%lx_", (long)(rnd() & 0xffffff));
    if (use_tls || join_tls) {
        ctx = SSL_CTX_new(TLS_client_method()); SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
        SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    }
    if (!strcmp(mode, "msg") || !strcmp(mode, "rate")) return run_msg();
    if (!strcmp(mode, "idle")) return run_threads(1);
    if (!strcmp(mode, "connect") || !strcmp(mode, "join")) return run_threads(0);
    errno = 0; die("unknown mode"); return 2;
}
