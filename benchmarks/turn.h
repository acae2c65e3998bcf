/* turn.h - what the load generators for TURN share: STUN messages of a client with a password, namespaces, addresses.
 *
 * Included once by each of turnload.c and turnsoak.c, which define TOOL, their name, and _GNU_SOURCE.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define COOKIE 0x2112A442u

static const char *user = "u", *pass = "p";
static char realm[128];
static uint8_t key[16];
static int have_key;

static uint64_t now_ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static void die(const char *m) { fprintf(stderr, TOOL ": %s (%s)\n", m, strerror(errno)); exit(2); }

/* ---- STUN ---- */
typedef struct { uint8_t b[1024]; int len; } msg;
static void w16(uint8_t *p, unsigned v) { p[0] = v >> 8; p[1] = v; }
static unsigned r16(const uint8_t *p) { return p[0] << 8 | p[1]; }
static void begin(msg *m, unsigned type, uint8_t *tid)
{
	static uint64_t ctr;
	uint32_t c = htonl(COOKIE);
	if (!ctr) ctr = now_ns() ^ ((uint64_t)getpid() << 40);
	ctr++;
	memset(m->b, 0, 20);
	w16(m->b, type);
	memcpy(m->b + 4, &c, 4);
	memcpy(m->b + 8, &ctr, 8);
	if (tid) memcpy(tid, m->b + 8, 12);
	m->len = 20;
}
static void attr(msg *m, unsigned t, const void *v, int n)
{
	w16(m->b + m->len, t); w16(m->b + m->len + 2, n);
	memcpy(m->b + m->len + 4, v, n);
	m->len += 4 + n;
	while (m->len & 3) m->b[m->len++] = 0;
	w16(m->b + 2, m->len - 20);
}
static void auth(msg *m, const char *nn)
{
	uint8_t mac[20]; unsigned ml;
	attr(m, 0x0006, user, strlen(user));
	attr(m, 0x0014, realm, strlen(realm));
	attr(m, 0x0015, nn, strlen(nn));
	w16(m->b + 2, m->len - 20 + 24);
	HMAC(EVP_sha1(), key, 16, m->b, m->len, mac, &ml);
	attr(m, 0x0008, mac, 20);
}
static const uint8_t *find(const uint8_t *b, int len, unsigned t, int *n)
{
	int o = 20, end = 20 + r16(b + 2);
	if (end > len) end = len;
	while (o + 4 <= end) {
		unsigned at = r16(b + o), al = r16(b + o + 2);
		if (o + 4 + (int)al > end) break;
		if (at == t) { *n = al; return b + o + 4; }
		o += 4 + ((al + 3) & ~3u);
	}
	return NULL;
}
static void xaddr(msg *m, unsigned t, struct sockaddr_in *a)
{
	uint8_t v[8] = {0, 1}; uint32_t ip = a->sin_addr.s_addr ^ htonl(COOKIE); uint16_t p = a->sin_port ^ htons(COOKIE >> 16);
	memcpy(v + 2, &p, 2); memcpy(v + 4, &ip, 4);
	attr(m, t, v, 8);
}
static int learn(const uint8_t *b, int len, char *nn)
{
	int n; const uint8_t *p = find(b, len, 0x0015, &n);
	if (!p || n > 127) return -1;
	memcpy(nn, p, n); nn[n] = 0;
	if (!have_key) {
		char s[400]; unsigned l;
		p = find(b, len, 0x0014, &n);
		if (!p || n > 127) return -1;
		memcpy(realm, p, n); realm[n] = 0;
		snprintf(s, sizeof s, "%s:%s:%s", user, realm, pass);
		EVP_Digest(s, strlen(s), key, &l, EVP_md5(), NULL);
		have_key = 1;
	}
	return 0;
}
static int get_relay(const uint8_t *b, int len, struct sockaddr_in *a)
{
	int n; const uint8_t *p = find(b, len, 0x0016, &n);
	if (!p || n != 8) return -1;
	memset(a, 0, sizeof *a); a->sin_family = AF_INET;
	memcpy(&a->sin_port, p + 2, 2); memcpy(&a->sin_addr, p + 4, 4);
	a->sin_port ^= htons(COOKIE >> 16); a->sin_addr.s_addr ^= htonl(COOKIE);
	return 0;
}

/* ---- places ---- */
static void enter_ns(const char *n)
{
	char p[200]; int f;
	if (!n) return;
	snprintf(p, sizeof p, "/run/netns/%s", n);
	if ((f = open(p, O_RDONLY)) < 0 || setns(f, CLONE_NEWNET)) die("setns");
	close(f);
}
static void addr(const char *s, struct sockaddr_in *a, int port)
{
	char h[64], *c;
	snprintf(h, sizeof h, "%s", s);
	if ((c = strchr(h, ':'))) { *c = 0; port = atoi(c + 1); }
	memset(a, 0, sizeof *a); a->sin_family = AF_INET; a->sin_port = htons(port);
	if (inet_pton(AF_INET, h, &a->sin_addr) != 1) die("address");
}
