/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * How packets take a turn of their own: in global functions, which the verifier checks once each and whose
 * stack does not lie under that of ordinary packets. They get nothing but the frame and the offset of what
 * is behind the IP header, and answer with a reason and the way out.
 */
#pragma once

#include "nat.h"
#include "nexthop.h"

/* The answer of a turn: a reason, and above it the way of a packet that is sent on, or the owner of one that is dropped. */
#define TURN_WAY_SHIFT 8
#define TURN_REASON 0xff

#define L4_OFFSET 0x1ff /* offsets of transport headers are less than 512 */

/*
 * Fills a packet again from the frame, whose headers parse() has looked at, with `bytes` of what follows
 * them; ports are not filled in. False: for the verifier, which does not know that they are there.
 */
static __always_inline bool look_again(struct xdp_md *ctx, struct packet *p, __u32 l4, const int bytes, const bool v6)
{
	void *data = (void *)(long)ctx->data;

	p->end = (void *)(long)ctx->data_end;
	p->l3 = data + ETH_HLEN;
	p->l4 = data + (l4 & L4_OFFSET);
	if (v6) {
		struct ipv6hdr *ip = p->l3;

		if ((void *)(ip + 1) > p->end)
			return false;
		p->ttl = ip->hop_limit;
		p->l3_bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);
		__builtin_memcpy(p->key.src, &ip->saddr, 16);
		__builtin_memcpy(p->key.dst, &ip->daddr, 16);
	} else {
		struct iphdr *ip = p->l3;

		if ((void *)(ip + 1) > p->end)
			return false;
		p->ttl = ip->ttl;
		p->l3_bytes = bpf_ntohs(ip->tot_len);
		p->key.src[0] = ip->saddr;
		p->key.dst[0] = ip->daddr;
	}
	return p->l4 + bytes <= p->end;
}

/* Sixteen bits, as of a way: so clang sees that the answer is not negative, and need not be told that it is no MISS. */
static __always_inline int dropped(__u32 owner, int reason)
{
	return reason | (owner & 0xffff) << TURN_WAY_SHIFT;
}

/* The next hop of packets that a half delivers. */
static __always_inline __u64 hop_of_half(const struct place *at, const bool v6)
{
	__u32 node_id = at->half->node;
	struct node *node;

	if (word_of(at->half, v6)->flags & HALF_REPLY)
		return at->half->own.hop;
	node = bpf_map_lookup_elem(&nodes, &node_id);
	return node ? READ_ONCE(node->hop) : 0;
}

/* Sends a packet on that is as it is to be but for its MACs. */
static __always_inline int leave_by(struct xdp_md *ctx, const struct packet *p, __u64 hop, int reason)
{
	struct link_entry *link = link_of_hop(hop);

	if (!link)
		return REASON_HOP_UNRESOLVED;
	write_macs(p->l3 - ETH_HLEN, hop, link);
	return reason | way_to(ctx, hop, link) << TURN_WAY_SHIFT;
}
