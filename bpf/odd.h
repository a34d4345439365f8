/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Packets to our addresses that are neither a TCP segment nor a whole datagram, and take their own turn. */
#pragma once

#include "echo.h"
#include "icmp.h"
#include "neighbour.h"

/* What becomes of an ICMP message. */
static __always_inline int control(struct xdp_md *ctx, const struct packet *p)
{
	const struct icmp_header *icmp = p->l4;
	__u32 l4 = p->l4 - (void *)(long)ctx->data;

	if ((void *)(icmp + 1) > p->end || (void *)(icmp + 1) - p->l3 > p->l3_bytes)
		return REASON_TRUNCATED;
	if (is_error(icmp, p->v6))
		return p->v6 ? pass_error6(ctx, l4) : pass_error4(ctx, l4);
	if (p->v6 && icmp->type == ND_SOLICITATION)
		return answer_solicitation(ctx, l4);
	return p->v6 ? answer_echo6(ctx, l4) : answer_echo4(ctx, l4);
}

/* What becomes of a packet that parse() found to be none of the ordinary ones. */
static __always_inline int take_turn(struct xdp_md *ctx, const struct packet *p, int parsed)
{
	return parsed == ARP ? answer_arp(ctx) : control(ctx, p);
}
