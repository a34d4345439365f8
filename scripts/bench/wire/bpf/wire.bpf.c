/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What `make bench-wire` puts around the program under test, and what it compares that with.
 *
 *   generator ─tail call→ under_test ─redirect, or the kernel's own way→ veth → sink
 *
 * Live frames are used again with what the program left in them, so every one is written anew. A frame
 * counts where it arrives: the sink is the native program of the interface behind the last veth.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/types.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAME_BYTES 60 /* the shortest there is, without the checksum that follows it on a cable */
#define IP_WORDS 5     /* and 6 bytes more */
#define NAT_NODES 16 /* as many as the highest four bits of a hash tell apart */

/* What the injector of one CPU sends. The frame's fields that vary, and its checksums, are 0 in it. */
struct stream {
	__u64 ethernet[2]; /* 14 bytes */
	__u64 ip[IP_WORDS + 1];
	__u32 ip_sum, l4_sum; /* of 16-bit words as they lie in memory, over what does not vary */
	__u32 tcp;
	__u32 flows; /* over which packets are scattered; 0: each packet is another flow */
	__u32 first; /* number of the first flow */
	__u32 packets;
	__u64 count;          /* of packets so far */
	__u64 next_mark;      /* packet before which the clock is read: the first, then the last */
	__u64 started, ended; /* ns, answer */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stream);
} streams SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

/* The interface towards the sink. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} out SEC(".maps");

/* What arrives on one CPU. */
struct arrivals {
	__u64 frames;   /* to the port that is expected */
	__u64 others;   /* TCP and UDP to another one */
	__u32 answer;   /* UDP: send it back, so that the flow is established */
	__be16 port;    /* expected */
	__u8 captured;  /* whether there is a first frame yet */
	__u8 frame[FRAME_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct arrivals);
} arrived SEC(".maps");

/* A node of the plain NAT. */
struct nat_node {
	__u8 macs[12]; /* destination and source */
	__be32 addr;
	__be16 port;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NAT_NODES);
	__type(key, __u32);
	__type(value, struct nat_node);
} nat_nodes SEC(".maps");

const volatile __be32 nat_vip;
const volatile __be16 nat_port;

static __always_inline __u32 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* The number of the flow that the next packet belongs to. The golden ratio of 2^32 leaves no pattern to foresee. */
static __always_inline __u32 next_flow(struct stream *s)
{
	__u32 n = s->count++;

	if (s->flows)
		n = (__u64)(__u32)(n * 2654435761U) * s->flows >> 32;
	return s->first + n;
}

static __always_inline void read_clock(struct stream *s)
{
	if (s->count != s->next_mark)
		return;
	s->started = s->ended;
	s->ended = bpf_ktime_get_ns();
	s->next_mark = s->packets - 1;
}

/*
 * Words that lie as programs read them: a load that spans two stores would wait for both, as no load of
 * a packet does that a network card has put into memory. So what varies is put into a word before it is stored.
 */
static __always_inline void write_frame(void *data, struct stream *s)
{
	__u32 flow = next_flow(s);
	__u64 address = bpf_htons(flow), port = bpf_htons(1024 + (flow >> 16));
	__u64 ip_check = (__u16)~fold(s->ip_sum + address), l4_check = (__u16)~fold(s->l4_sum + address + port);
	__u64 *ip = data + ETH_HLEN;

	*(__u64 *)data = s->ethernet[0];
	*(__u32 *)(data + 8) = s->ethernet[1];
	*(__u16 *)(data + 12) = s->ethernet[1] >> 32;
	ip[0] = s->ip[0];
	ip[1] = s->ip[1] | ip_check << 16 | address << 48;
	ip[2] = s->ip[2] | port << 32;
	ip[3] = s->ip[3] | (s->tcp ? 0 : l4_check << 16);
	ip[4] = s->ip[4] | (s->tcp ? l4_check << 32 : 0);
	*(__u32 *)(ip + 5) = s->ip[5];
	*(__u16 *)((void *)ip + 44) = s->ip[5] >> 32;
}

SEC("xdp.frags")
int generator(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 zero = 0;
	struct stream *s = bpf_map_lookup_elem(&streams, &zero);

	if (!s || data + FRAME_BYTES > end)
		return XDP_ABORTED;
	read_clock(s);
	write_frame(data, s);
	bpf_tail_call(ctx, &under_test, 0);
	return XDP_ABORTED;
}

/* The least that a program can do to have a frame go on. */
SEC("xdp.frags")
int redirect(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect_map(&out, 0, XDP_DROP);
}

SEC("xdp.frags")
int to_kernel(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* Replaces a checksum's share of what changed: both sums of 16-bit words, the old one and the new one. */
static __always_inline __u16 update(__u16 check, __u32 before, __u32 after)
{
	return ~fold((__u16)~check + (__u16)~fold(before) + fold(after));
}

static __always_inline __u32 sum32(__u32 x)
{
	return (x & 0xffff) + (x >> 16);
}

/*
 * The plainest stateless NAT of UDP over IPv4: a node by the hash of the client, its address and port for the
 * VIP's, both checksums, the MACs. No flow, no way back, no counters, no TTL, no options.
 */
SEC("xdp.frags")
int plain_nat(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	struct nat_node *node;
	__u32 i;

	if ((void *)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5)
		return XDP_PASS;
	if (ip->protocol != IPPROTO_UDP || ip->daddr != nat_vip || udp->dest != nat_port)
		return XDP_PASS;
	i = (__u32)((ip->saddr ^ udp->source) * 2654435761U) >> 28;
	node = bpf_map_lookup_elem(&nat_nodes, &i);
	if (!node)
		return XDP_PASS;
	ip->check = update(ip->check, sum32(ip->daddr), sum32(node->addr));
	udp->check = update(udp->check, sum32(ip->daddr) + udp->dest, sum32(node->addr) + node->port);
	ip->daddr = node->addr;
	udp->dest = node->port;
	__builtin_memcpy(eth, node->macs, sizeof(node->macs));
	return bpf_redirect_map(&out, 0, XDP_DROP);
}

/* Sends a datagram back to where it came from; no sum changes when its parts change places. */
static __always_inline int send_back(struct ethhdr *eth, struct iphdr *ip, struct udphdr *udp)
{
	__u8 mac[ETH_ALEN];
	__be32 addr = ip->saddr;
	__be16 port = udp->source;

	__builtin_memcpy(mac, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, mac, ETH_ALEN);
	ip->saddr = ip->daddr;
	ip->daddr = addr;
	udp->source = udp->dest;
	udp->dest = port;
	return XDP_TX;
}

/* Counts what arrives and lets it end there. What is neither TCP nor UDP is the kernel's, such as ARP. */
SEC("xdp")
int sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1); /* TCP has its ports in the same place */
	struct arrivals *a;
	__u32 zero = 0;

	if (data + FRAME_BYTES > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_TCP)
		return XDP_PASS;
	a = bpf_map_lookup_elem(&arrived, &zero);
	if (!a)
		return XDP_ABORTED;
	if (udp->dest == a->port)
		a->frames++;
	else
		a->others++;
	if (!a->captured) {
		a->captured = 1;
		__builtin_memcpy(a->frame, data, FRAME_BYTES);
	}
	return a->answer ? send_back(eth, ip, udp) : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL and additional rights";
