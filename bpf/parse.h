/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* From the frame to a tuple. Reads only; whatever is odd is left to the kernel with a reason. */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include "maps.h"

/* What parse() answers when there is no reason yet. */
enum parsed {
	MISS = -1,       /* an ordinary packet: the next stage decides */
	CONTROL = -2,    /* ICMP: this takes its own turn, see odd.h */
	ARP = -3,        /* so does this */
	FRAGMENTED = -4, /* and this; l4 is what follows the IPv4 header, or the IPv6 fragment header */
	TAGGED = -5,     /* a VLAN tag comes first: what is behind it can be told once it is off */
};

#define TAG_BYTES 4 /* of a VLAN tag */

#define IP_DF 0x4000
#define IP_MF 0x2000
#define IP_OFFSET 0x1fff

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* A 5-tuple as on the wire. IPv4 addresses use the first word; flags are 0. Read in 64-bit words. */
struct tuple {
	__be32 src[4];
	__be32 dst[4];
	struct flow_word word;
} __attribute__((aligned(8)));

struct packet {
	void *l3, *l4, *end;
	__u8 ttl;
	bool v6; /* not first in a word of the stack: there the verifier forgets a 0 with the next store to that word */
	__u8 tcp_flags; /* 0 for UDP */
	bool admitted;  /* its flow gave way while it lived: a new one takes its place */
	__u16 l3_bytes; /* length of the IP packet, without Ethernet padding */
	__u16 mtu;      /* of the way on, for REASON_TOO_BIG */
	struct tuple key;
};

/* The TCP header again: parse() has checked its length, but the verifier forgets that with time. */
static __always_inline struct tcphdr *tcp_of(const struct packet *p)
{
	struct tcphdr *tcp = p->l4;

	return (void *)(tcp + 1) > p->end ? NULL : tcp;
}

static __always_inline void copy_addr(__be32 *to, const void *from, const bool v6)
{
	__builtin_memcpy(to, from, v6 ? 16 : 4);
}

/* Whether routers may cut a packet, whose fixed header has been looked at. */
static __always_inline bool may_be_fragmented(const struct packet *p, const bool v6)
{
	return !v6 && !(((const struct iphdr *)p->l3)->frag_off & bpf_htons(IP_DF));
}

/* Whether the hash of an address has its bit in `ours`. x: see ours in maps.h. */
static __always_inline bool has_bit(__u64 x)
{
	__u64 bit = x * 0x9e3779b97f4a7c15ULL >> 48;
	__u32 i = bit >> 6;
	__u64 *word = bpf_map_lookup_elem(&ours, &i);

	return word && (*word >> (bit & 63)) & 1;
}

/* Ports and flags of the transport header, which ends before `end`, `room` bytes into the packet. */
static __always_inline int parse_transport(struct packet *p, void *end, __u8 proto, int room, const bool v6)
{
	if (proto == IPPROTO_TCP) {
		struct tcphdr *tcp = p->l4;

		if ((void *)(tcp + 1) > end || tcp->doff * 4 < (int)sizeof(*tcp) || tcp->doff * 4 > room)
			return REASON_TRUNCATED;
		p->tcp_flags = ((__u8 *)tcp)[13];
	} else if (proto == IPPROTO_UDP) {
		struct udphdr *udp = p->l4;

		if ((void *)(udp + 1) > end || room < (int)sizeof(*udp))
			return REASON_TRUNCATED;
		p->tcp_flags = 0;
	} else {
		p->key.word.proto = proto;
		if (v6 && proto == IPPROTO_FRAGMENT)
			return FRAGMENTED;
		return proto == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ? CONTROL : REASON_NOT_TCP_UDP;
	}
	/* One load of both ports; the rest of the word is the protocol alone. */
	*(__u64 *)&p->key.word = (__u64)*(__u32 *)p->l4 | (__u64)proto << 32;
	return MISS;
}

static __always_inline bool is_tag(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

/* Whether a packet says that it ends behind its frame, of which this buffer may be only the first. */
static __always_inline bool beyond_frame(struct xdp_md *ctx, const struct packet *p)
{
	return ETH_HLEN + (__u64)p->l3_bytes > bpf_xdp_get_buff_len(ctx);
}

static __always_inline int parse_ipv4(struct xdp_md *ctx, struct packet *p, void *end)
{
	struct iphdr *ip = p->l3;
	__u32 header;

	if ((void *)(ip + 1) > end)
		return REASON_TRUNCATED;
	if (!has_bit(ip->daddr))
		return REASON_NOT_OURS;
	header = ip->ihl * 4;
	p->l3_bytes = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || (p->l3 + p->l3_bytes > end && beyond_frame(ctx, p)))
		return REASON_TRUNCATED;
	p->v6 = false;
	p->ttl = ip->ttl;
	p->key.src[0] = ip->saddr;
	p->key.dst[0] = ip->daddr;
	p->l4 = p->l3 + header;
	if (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET))
		return FRAGMENTED;
	return parse_transport(p, end, ip->protocol, p->l3_bytes - header, false);
}

#define IPV6_EXTENSIONS_MAX 6
#define IPV6_EXTENSIONS_BYTES 256

/*
 * Walks the extension headers at `offset`, of which the first is a `next`. Returns offset << 8 | protocol
 * of what is no such header, which may be a fragment's; or the negative of a reason. A function of its
 * own, verified once, so that the loop costs the ordinary packet nothing.
 */
__attribute__((noinline)) int skip_extensions(struct xdp_md *ctx, __u32 offset, __u32 next)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	offset &= 0x1ff;
	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		__u8 *header = data + offset;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
			return offset << 8 | (next & 0xff);
		if ((void *)(header + 8) > end)
			return -REASON_TRUNCATED;
		if (next == IPPROTO_ROUTING && header[3])
			return -REASON_NOT_TCP_UDP; /* segments left: our address is not where it ends */
		next = header[0];
		offset += (header[1] + 1) * 8;
		if (offset > IPV6_EXTENSIONS_BYTES)
			return -REASON_NOT_TCP_UDP;
	}
	return -REASON_NOT_TCP_UDP;
}

static __always_inline int parse_ipv6(struct xdp_md *ctx, struct packet *p, void *end)
{
	struct ipv6hdr *ip = p->l3;
	__u32 header = sizeof(*ip);
	__u8 proto;

	if ((void *)(ip + 1) > end)
		return REASON_TRUNCATED;
	__u64 *dst = (__u64 *)&ip->daddr;
	if (!has_bit(dst[0] ^ dst[1]))
		return REASON_NOT_OURS;
	p->l3_bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (ip->version != 6 || (p->l3 + p->l3_bytes > end && beyond_frame(ctx, p)))
		return REASON_TRUNCATED;
	proto = ip->nexthdr;
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP) {
		int upper = skip_extensions(ctx, ETH_HLEN + header, proto);

		if (upper < 0)
			return -upper;
		proto = upper & 0xff;
		header = ((upper >> 8) & 0x1ff) - ETH_HLEN;
	}
	p->v6 = true;
	p->ttl = ip->hop_limit;
	__builtin_memcpy(p->key.src, &ip->saddr, 16);
	__builtin_memcpy(p->key.dst, &ip->daddr, 16);
	p->l4 = p->l3 + (header & 0x1ff);
	return parse_transport(p, end, proto, (int)p->l3_bytes - (int)header, true);
}

/* Fills the packet, or says why it is not for the later stages. */
static __always_inline int parse(struct xdp_md *ctx, struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__be16 type;

	if (data + ETH_HLEN > end)
		return REASON_TRUNCATED;
	p->end = end;
	p->l3 = data + ETH_HLEN;
	type = *(__be16 *)(p->l3 - sizeof(type)); /* whole: of struct ethhdr, which is packed, it would be read by bytes */
	if (type == bpf_htons(ETH_P_IP))
		return parse_ipv4(ctx, p, end);
	if (type == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(ctx, p, end);
	if (type == bpf_htons(ETH_P_ARP))
		return ARP;
	if (is_tag(type))
		return p->l3 + TAG_BYTES > end ? REASON_TRUNCATED : TAGGED;
	return REASON_NOT_IP;
}
