/* The relay in the kernel: rewrites packets of bound channels on their way in, at TCX ingress of every interface.
 *
 * A channel is two flows (RFC 8656 §12): from the client to the peer, where the ChannelData header is taken off, and from
 * the peer to the client, where it is put on. The daemon decides everything and writes one record per flow; this program
 * finds the record of a packet, checks that it has not ended, and sends the packet on. Whatever it does not know or does
 * not like it leaves alone: then the packet goes up to the daemon's sockets, which know all the rules.
 *
 * The layout of the structs is written a second time in rtcd/kernel/records.py; a test holds the two together.
 * `make bpf` builds relay.bpf.o, which is shipped, so that nobody else needs a compiler.
 */
#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define UP (-1)			/* TCX_NEXT: to the next program, and in the end to the daemon's socket */
#define DROP 2			/* TCX_DROP */
#define LOOPBACK 1		/* the index of lo, in every network namespace */
#define HOPS 64			/* what a datagram may pass if no hop count is carried over, as Linux itself has it */
#define HEADERS_BYTES 28	/* what a datagram is charged besides what is in it: PACKET_BYTES in rtcd/plane/drops.py */
#define CHANNEL_BYTES 4		/* number and length of ChannelData, RFC 8656 §12.4 */

/* Flags of a flow. */
#define SIX 1			/* it goes out by IPv6 */
#define TO_SELF 2		/* it goes to an address of this machine */
#define FROM_SELF 4		/* it comes from one */
#define CARRY 8			/* DSCP, ECN and the hop count are carried over */

enum { MAX_FLOWS = 65536, MAX_METERS = 65536 };

struct address { __be32 word[4]; };	/* IPv4 as ::ffff:a.b.c.d */

/* How a packet of a flow comes in. */
struct key {
	struct address remote, local;
	__be16 remote_port, local_port;
	__be16 channel;			/* from a client; 0 from a peer */
	__u16 zero;
};

struct flow {
	struct key key;			/* as in the index, which may be about something else by the time we look here */
	struct address source, destination;	/* how it goes out */
	__be16 source_port, destination_port;
	__be16 channel;			/* to a client; 0 to a peer */
	__u16 flags;
	__u64 until;			/* ns of CLOCK_MONOTONIC_COARSE at which it ends */
	__u32 interface;		/* by which it goes out; 0: not by this program */
	__u16 room;			/* bytes of the longest IP packet that may go there */
	__u16 heard;			/* whether the client's packets were seen here, see below */
	__u32 meter[2];			/* that it is charged to; 0 is none */
	__u64 packets, bytes;		/* that were sent on: payload only */
	__u32 refused;			/* packets that a meter refused */
	__u16 sum;			/* how the fixed fields change the checksum, see below */
	__u16 back;			/* the number of the other direction's record, for the one from the client */
};

/* A token bucket that is kept as the moment at which it is full again. */
struct meter {
	__u64 full_at;			/* ns of CLOCK_MONOTONIC_COARSE */
	__u64 rate;			/* bytes a second */
	__u64 depth;			/* ns that it takes to fill when it is empty */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct key);
	__type(value, __u64);		/* the number of a record in `flows` */
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_FLOWS);
	__type(key, __u32);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_METERS);
	__type(key, __u32);
	__type(value, struct meter);
} meters SEC(".maps");

/* Checksums, RFC 1071 and RFC 1624.
 *
 * The checksum of UDP is ~(a + b + c + ...) over all 16-bit words of the datagram and of a pseudo-header, where + carries
 * the overflow around into the lowest bit. Such sums do not care for order or byte order, and taking a word away is adding
 * its complement. So when some words change, new = ~(~old + (new words) - (old words)), and the payload is never read.
 * Here sums are kept in 32 bits, as up to 65536 words may be added before an overflow is lost, and folded in the end.
 *
 * Addresses, ports and channel numbers of a flow are fixed: what they change is in flow.sum. What changes from packet to
 * packet are lengths: the one of UDP counts twice, in its header and in the pseudo-header; that of ChannelData once.
 */
static __always_inline __u32 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline __u32 minus(__u16 word)
{
	return (__u16)~word;
}

static __always_inline __u32 halves(__u32 word)
{
	return (word & 0xffff) + (word >> 16);
}

static __always_inline __u32 sum_of(const struct address *one, bool six)
{
	__u32 sum = halves(one->word[3]);

	if (six)
		sum += halves(one->word[0]) + halves(one->word[1]) + halves(one->word[2]);
	return sum;
}

static __always_inline __u16 checksum_of(const struct iphdr *ip)
{
	const __u16 *word = (const void *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < sizeof(*ip) / 2; i++)
		sum += word[i];
	return ~fold(sum);
}

static __always_inline bool same(const struct key *one, const struct key *other)
{
	const __u64 *a = (const void *)one, *b = (const void *)other;

	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]));
}

/* The record of a packet that comes in like that, if there is one.
 *
 * An element of a hash map may be used for something else while it is looked at. Records are not: the daemon gives none to
 * another flow before a second has passed. So only what says itself that it is about this key is about this key.
 */
static __always_inline struct flow *find(const struct key *key)
{
	__u64 *number = bpf_map_lookup_elem(&slots, key);
	struct flow *flow;
	__u32 slot;

	if (!number)
		return NULL;
	slot = *number;
	flow = bpf_map_lookup_elem(&flows, &slot);
	return flow && same(&flow->key, key) ? flow : NULL;
}

/* ns that so many bytes take at the meter's rate; nothing at the first meter, which stands for none. */
static __always_inline __u64 cost(const struct meter *meter, __u32 size)
{
	return size * 1000000000ull / meter->rate;	/* by 0 is 0 */
}

static __always_inline bool has(const struct meter *meter, __u64 more, __u64 now)
{
	__u64 full_at = meter->full_at;

	return (full_at > now ? full_at - now : 0) + more <= meter->depth;
}

static __always_inline void take(struct meter *meter, __u64 more, __u64 now)
{
	__u64 full_at = meter->full_at;

	if (more && (full_at > now || __sync_val_compare_and_swap(&meter->full_at, full_at, now + more) != full_at))
		__sync_fetch_and_add(&meter->full_at, more);	/* or another packet was first, and it is not full now */
}

/* Charge a packet to the meters of its flow, all or none; false if it may not pass. */
static __always_inline bool charge(struct flow *flow, __u32 size, __u64 now)
{
	struct meter *one = bpf_map_lookup_elem(&meters, &flow->meter[0]);
	struct meter *other = bpf_map_lookup_elem(&meters, &flow->meter[1]);
	__u64 ones, others;

	if (!one || !other)
		return false;
	ones = cost(one, size);
	others = cost(other, size);
	if (!has(one, ones, now) || !has(other, others, now))
		return false;
	take(one, ones, now);
	take(other, others, now);
	return true;
}

/* Charge a packet and count it; false if it may not pass. */
static __always_inline bool account(struct flow *flow, __u32 payload, __u64 now)
{
	__u32 size = payload + HEADERS_BYTES + (flow->channel ? CHANNEL_BYTES : 0);

	if (flow->meter[0] && !charge(flow, size, now)) {
		__sync_fetch_and_add(&flow->refused, 1);
		return false;
	}
	__sync_fetch_and_add(&flow->packets, 1);
	__sync_fetch_and_add(&flow->bytes, payload);
	return true;
}

/* What comes behind the IP header, for a peer without the last four bytes. */
struct inner {
	struct udphdr udp;
	__be16 channel, length;
};

struct headers4 {
	struct iphdr ip;
	struct inner inner;
};

struct headers6 {
	struct ipv6hdr ip;
	struct inner inner;
};

/* `six` is known when this is compiled, twice. */
static __always_inline int relay_ip(struct __sk_buff *skb, const bool six)
{
	const __u32 ip_bytes = six ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u32 payload_at = ETH_HLEN + ip_bytes + sizeof(struct udphdr);
	void *data, *end;
	struct iphdr *ip4;
	struct ipv6hdr *ip6;
	struct udphdr *udp;
	struct key key = {};
	struct inner inner;
	struct flow *flow, *out, *next = NULL;
	__u32 total, udp_bytes, inside, payload, padding = 0, fields, hops, left, sum, checksum, out_bytes;
	__be16 length = 0;
	__u64 now;
	__u32 interface;
	__u16 flags;
	bool partial, carry, local = skb->ifindex == LOOPBACK;
	int grow;

	/* Some drivers leave a part of the headers outside of what can be read directly. */
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + payload_at + CHANNEL_BYTES > end) {
		__u32 wanted = skb->len < payload_at + CHANNEL_BYTES ? skb->len : payload_at + CHANNEL_BYTES;

		if (wanted < payload_at || bpf_skb_pull_data(skb, wanted))
			return UP;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		if (data + payload_at > end)
			return UP;
	}
	ip4 = data + ETH_HLEN;
	ip6 = data + ETH_HLEN;
	udp = data + ETH_HLEN + ip_bytes;

	/* A whole UDP datagram without options or extension headers. */
	if (six) {
		if (ip6->version != 6 || ip6->nexthdr != IPPROTO_UDP)
			return UP;
		total = bpf_ntohs(ip6->payload_len) + ip_bytes;
		__builtin_memcpy(&key.remote, &ip6->saddr, sizeof(key.remote));
		__builtin_memcpy(&key.local, &ip6->daddr, sizeof(key.local));
		hops = ip6->hop_limit;
		fields = bpf_ntohl(*(__be32 *)ip6) >> 20 & 0xff;
	} else {
		if (ip4->version != 4 || ip4->ihl != 5 || ip4->protocol != IPPROTO_UDP ||
		    ip4->frag_off & bpf_htons(0x3fff))
			return UP;
		total = bpf_ntohs(ip4->tot_len);
		key.remote.word[2] = key.local.word[2] = bpf_htonl(0xffff);
		key.remote.word[3] = ip4->saddr;
		key.local.word[3] = ip4->daddr;
		hops = ip4->ttl;
		fields = ip4->tos;
	}
	udp_bytes = bpf_ntohs(udp->len);
	if (udp_bytes < sizeof(*udp) || total != ip_bytes + udp_bytes || skb->len < ETH_HLEN + total)
		return UP;
	key.remote_port = udp->source;
	key.local_port = udp->dest;
	checksum = udp->check;
	inside = udp_bytes - sizeof(*udp);

	/* What begins like ChannelData is perhaps a client's; and if not, it is perhaps a peer's. */
	flow = NULL;
	if (inside >= CHANNEL_BYTES && data + payload_at + CHANNEL_BYTES <= end) {
		__be16 *head = data + payload_at;

		if ((head[0] & bpf_htons(0xc000)) == bpf_htons(0x4000)) {
			key.channel = head[0];
			length = head[1];
			flow = find(&key);
			if (!flow)
				key.channel = 0;
		}
	}
	if (!flow)
		flow = find(&key);
	if (!flow)
		return UP;
	now = bpf_ktime_get_coarse_ns();	/* some ms behind, for a fifth of what the exact time costs */
	if (now >= flow->until || (!six && checksum_of(ip4)))
		return UP;
	if (!local && flow->flags & FROM_SELF)
		return UP;			/* nobody outside has our addresses: the system drops it */

	/* Where a rule of this host translates addresses or ports (NAT), a client's packets come in by others than those of
	 * its socket here, and what is sent to it has to be translated back, which is not done for what is sent from here.
	 * So nothing is sent to a client whose packets were not seen as its socket would see them. */
	if (!flow->heard) {
		__u32 slot = flow->back;
		struct flow *back;

		if (!key.channel)
			return UP;
		flow->heard = 1;
		back = bpf_map_lookup_elem(&flows, &slot);
		if (back)
			back->heard = 1;
	}

	payload = inside;
	if (key.channel) {
		payload = bpf_ntohs(length);
		padding = inside - CHANNEL_BYTES - payload;
		if (padding > 3)		/* or less than 0, which is a large number: it is cut off */
			return UP;
	}

	/* Both clients may be ours: what goes to a relay of this machine is what comes from a peer there. */
	out = flow;
	carry = flow->flags & CARRY;
	left = hops - 1;
	if (flow->flags & TO_SELF) {
		struct key there = {};

		there.remote = flow->source;
		there.local = flow->destination;
		there.remote_port = flow->source_port;
		there.local_port = flow->destination_port;
		next = find(&there);
		if (next) {
			out = next;
			left = hops - 2;
			if (now >= next->until || !next->heard || (carry && hops < 3))
				return UP;
		}
	}
	if (carry && hops < 2)
		return UP;
	if (!carry) {
		left = HOPS;
		fields = 0;
	}

	/* Which way out; what stays on this machine has to have come from it. */
	interface = *(volatile __u32 *)&out->interface;	/* once: it may be changed meanwhile */
	flags = *(volatile __u16 *)&out->flags;
	if (!interface || local != !!(flags & TO_SELF) || six != !!(flags & SIX))
		return UP;
	out_bytes = payload + sizeof(*udp) + (out->channel ? CHANNEL_BYTES : 0);
	if (ip_bytes + out_bytes > out->room)
		return UP;
	grow = (out->channel ? CHANNEL_BYTES : 0) - (key.channel ? CHANNEL_BYTES : 0);

	/* A sender on the same host leaves the checksum to hardware that is not there: in its place is the sum of the
	 * pseudo-header, and the real one is never made here, where headers move and what is noted about it outside of
	 * the packet does not. A real checksum may by chance be the same number: then the long way is as right.
	 * On loopback nobody looks at it, if by IPv4 there is none, or if by IPv6 the noted place is not in front of the
	 * datagram, as it is when headers have moved towards the payload. */
	sum = sum_of(&key.remote, six) + sum_of(&key.local, six) + bpf_htons(IPPROTO_UDP) + udp->len;
	partial = checksum && fold(fold(sum)) == checksum;
	if (six && !checksum)
		return UP;
	if (partial && (!local || (six && grow < 0)))
		return UP;

	if (checksum && !partial) {
		sum = minus(checksum) + flow->sum + (next ? next->sum : 0);
		sum += 2 * minus(udp->len) + 2 * bpf_htons(out_bytes);
		if (key.channel)
			sum += minus(length);
		if (out->channel)
			sum += bpf_htons(payload);
		if (padding) {
			/* The last bytes, which begin at an odd place if the payload has an odd length: there
			 * the first of them is the lower half of a word. */
			__u8 tail[4] = {};
			__u32 at = payload_at + CHANNEL_BYTES + payload;

			if (bpf_skb_load_bytes(skb, at, tail, padding))
				return UP;
			if (payload & 1)
				sum += minus(bpf_htons(tail[0])) + minus(bpf_htons(tail[1] << 8 | tail[2]));
			else
				sum += minus(bpf_htons(tail[0] << 8 | tail[1])) + minus(bpf_htons(tail[2] << 8));
		}
		checksum = (__u16)~fold(fold(sum));
		if (!checksum)
			checksum = 0xffff;	/* 0 would say that there is none */
	} else if (!six) {
		checksum = 0;
	} else {
		sum = sum_of(&out->source, six) + sum_of(&out->destination, six);
		sum += bpf_htons(IPPROTO_UDP) + bpf_htons(out_bytes);
		checksum = fold(fold(sum));
	}

	/* Padding, of ChannelData and of short Ethernet frames, goes no further. */
	if (skb->len > ETH_HLEN + total - padding && bpf_skb_change_tail(skb, ETH_HLEN + total - padding, 0))
		return UP;
	if (grow && bpf_skb_adjust_room(skb, grow, BPF_ADJ_ROOM_NET, 0))
		return padding ? DROP : UP;
	if (!account(flow, payload, now) || (next && !account(next, payload, now)))
		return DROP;

	inner.udp.source = out->source_port;
	inner.udp.dest = out->destination_port;
	inner.udp.len = bpf_htons(out_bytes);
	inner.udp.check = checksum;
	inner.channel = out->channel;
	inner.length = bpf_htons(payload);
	if (six) {
		struct headers6 to = {};

		*(__be32 *)&to.ip = bpf_htonl(6u << 28 | fields << 20);
		to.ip.payload_len = bpf_htons(out_bytes);
		to.ip.nexthdr = IPPROTO_UDP;
		to.ip.hop_limit = left;
		__builtin_memcpy(&to.ip.saddr, &out->source, sizeof(to.ip.saddr));
		__builtin_memcpy(&to.ip.daddr, &out->destination, sizeof(to.ip.daddr));
		to.inner = inner;
		if (bpf_skb_store_bytes(skb, ETH_HLEN, &to, out->channel ? sizeof(to) : sizeof(to) - CHANNEL_BYTES,
					BPF_F_RECOMPUTE_CSUM))
			return DROP;
	} else {
		struct headers4 to = {};

		to.ip.version = 4;
		to.ip.ihl = 5;
		to.ip.tos = fields;
		to.ip.tot_len = bpf_htons(ip_bytes + out_bytes);
		to.ip.id = bpf_get_prandom_u32();	/* it may be fragmented: RFC 8656 §14 wants DF clear */
		to.ip.ttl = left;
		to.ip.protocol = IPPROTO_UDP;
		to.ip.saddr = out->source.word[3];
		to.ip.daddr = out->destination.word[3];
		to.ip.check = checksum_of(&to.ip);
		to.inner = inner;
		if (bpf_skb_store_bytes(skb, ETH_HLEN, &to, out->channel ? sizeof(to) : sizeof(to) - CHANNEL_BYTES,
					BPF_F_RECOMPUTE_CSUM))
			return DROP;
	}
	if (local)
		return UP;			/* to the socket that it is for now */
	return bpf_redirect_neigh(interface, NULL, 0, 0);
}

SEC("tcx/ingress")
int relay(struct __sk_buff *skb)
{
	if (skb->pkt_type != PACKET_HOST || skb->gso_size || skb->vlan_present)
		return UP;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return relay_ip(skb, false);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return relay_ip(skb, true);
	return UP;
}

/* Helpers that we call are for programs under the GPL only; the rest of rtcd is not affected by what the kernel is told. */
char _license[] SEC("license") = "Dual BSD/GPL";
