/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Packets to our addresses that are neither a TCP segment nor a whole datagram, and take their own turn. */
#pragma once

#include "echo.h"
#include "fragment.h"
#include "icmp.h"
#include "neighbour.h"

static __always_inline __u32 offset_of_l4(struct xdp_md *ctx, const struct packet *p)
{
	return p->l4 - (void *)(long)ctx->data;
}

/* An ICMP message. `near`: of the network on which addresses are announced. */
static __always_inline int control(struct xdp_md *ctx, const struct packet *p, bool near)
{
	const struct icmp_header *icmp = p->l4;
	__u32 l4 = offset_of_l4(ctx, p);

	if ((void *)(icmp + 1) > p->end || (void *)(icmp + 1) - p->l3 > p->l3_bytes)
		return REASON_TRUNCATED;
	if (is_error(icmp, p->v6))
		return p->v6 ? pass_error6(ctx, l4) : pass_error4(ctx, l4);
	if (p->v6 && icmp->type == ND_SOLICITATION && near)
		return answer_solicitation(ctx, l4);
	return p->v6 ? answer_echo6(ctx, l4) : answer_echo4(ctx, l4);
}

/* The first fragment of a datagram: an ordinary packet, if its transport header is there whole. */
static __always_inline int parse_first4(struct packet *p)
{
	const struct iphdr *ip = p->l3;

	if ((void *)(ip + 1) > p->end)
		return REASON_TRUNCATED;
	return parse_transport(p, p->end, ip->protocol, p->l3_bytes - (int)(p->l4 - p->l3), false);
}

static __always_inline int parse_first6(struct xdp_md *ctx, struct packet *p)
{
	int upper = skip_fragment(ctx, offset_of_l4(ctx, p));

	if (upper < 0)
		return -upper;
	p->l4 = p->l3 - ETH_HLEN + (upper >> 8 & L4_OFFSET);
	return parse_transport(p, p->end, upper, p->l3_bytes - (int)(p->l4 - p->l3), true);
}

static __always_inline bool is_first(const struct packet *p)
{
	if (p->v6) {
		const struct fragment_header *header = p->l4;

		return (void *)(header + 1) <= p->end && !(header->offset & bpf_htons(~7));
	}
	const struct iphdr *ip = p->l3;

	return (void *)(ip + 1) <= p->end && !(ip->frag_off & bpf_htons(IP_OFFSET));
}

/* A fragment. `first` becomes the offset of what note_first() is to read if it is one. */
static __always_inline int fragment(struct xdp_md *ctx, struct packet *p, __u32 *first)
{
	__u32 l4 = offset_of_l4(ctx, p);
	int parsed;

	if (!is_first(p))
		return p->v6 ? later_fragment6(ctx, l4) : later_fragment4(ctx, l4);
	*first = l4;
	parsed = p->v6 ? parse_first6(ctx, p) : parse_first4(p);
	return parsed < MISS ? REASON_NOT_TCP_UDP : parsed; /* of ICMP nobody sees the whole */
}

/*
 * A packet that takes its own turn. Answers a reason, and its way if it is sent on; or MISS, and it goes on as
 * an ordinary packet. `near`: see control().
 */
static __always_inline int take_turn(struct xdp_md *ctx, struct packet *p, int kind, bool near, __u32 *first, __u32 *way)
{
	int turn;

	if (kind == ARP)
		turn = near ? answer_arp(ctx) : REASON_NOT_IP;
	else
		turn = kind == CONTROL ? control(ctx, p, near) : fragment(ctx, p, first);
	if (turn < 0)
		return turn;
	*way = turn >> TURN_WAY_SHIFT;
	return turn & TURN_REASON;
}

/* What the first fragment of a datagram leaves behind, whatever became of it. */
static __always_inline void leave_behind(struct xdp_md *ctx, const struct packet *p, __u32 l4, int reason)
{
	if (p->v6)
		note_first6(ctx, &p->key, l4, reason);
	else
		note_first4(ctx, &p->key, l4, reason);
}
