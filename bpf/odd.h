/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Packets to our addresses that are neither a TCP segment nor a whole datagram, and take their own turn. */
#pragma once

#include "echo.h"

/*
 * What becomes of such a packet: a reason, or MISS when it goes on as an ordinary one. A function of its
 * own, so that ordinary packets do not carry its part of the stack.
 */
static __attribute__((noinline)) int take_turn(struct xdp_md *ctx, const struct packet *p)
{
	if (p->l4 + sizeof(struct icmp_header) > p->end || p->l4 - p->l3 + (int)sizeof(struct icmp_header) > p->l3_bytes)
		return REASON_TRUNCATED;
	return p->v6 ? answer_echo(ctx, p, true) : answer_echo(ctx, p, false);
}
