/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What becomes of a packet: all stages in their order, and the verdict. */
#pragma once

#include "maps.h"
#include "odd.h"
#include "refuse.h"
#include "reset.h"
#include "service.h"

/* Makes what somebody is told of a packet that ends here. */
static __always_inline int answer(struct xdp_md *ctx, struct run *run, int reason)
{
	if (reason >= REASON_NO_BACKEND && reason < REASON_NO_BACKEND_DROPPED)
		return refuse(ctx, &run->p, reason);
	if (reason == REASON_RESET_CLIENT && !cut_to_rst(ctx, &run->p))
		return ends_as(run, NOBODYS, REASON_REFUSE_SILENT);
	return reason;
}

/* The reason why a packet meets its fate. It is as it is to leave then, but for its tags. */
static __always_inline int decide(struct xdp_md *ctx, struct run *run)
{
	__u32 first = 0; /* not 0: the packet is the first fragment of a datagram */
	int reason;

	run->tags = 0;
	reason = parse(ctx, &run->p);
	if (reason == TAGGED) {
		run->tags = take_off_tags(ctx);
		reason = parse(ctx, &run->p);
		if (reason == TAGGED)
			reason = REASON_VLAN;
	}
	if (reason < MISS)
		reason = take_turn(ctx, &run->p, reason, !of_another_network(run->tags), &first, &run->way);
	if (reason == MISS) {
		reason = run->p.v6 ? balance(ctx, run, true) : balance(ctx, run, false);
		if (first)
			leave_behind(ctx, &run->p, first, reason);
		reason = answer(ctx, run, reason);
	} else if (first) {
		leave_behind(ctx, &run->p, first, reason); /* it is the kernel's, and so are the others */
	}
	return reason;
}

/* A verdict, and above it the reason that holds in the end: for who wants to be told. */
#define END_REASON_SHIFT 8
#define END_VERDICT 0xff

/* The only place that turns a reason into a verdict, and that counts it. `came`: tags that the frame came with. */
static __always_inline int conclude(struct xdp_md *ctx, vlan_tags came, __u32 way, int reason, const bool tagged, const bool told)
{
	int verdict = XDP_PASS;

	if (reason >= REASON_NO_BACKEND_DROPPED)
		verdict = XDP_DROP;
	else if (reason >= REASON_ECHO_ANSWERED)
		verdict = transmit_back(ctx);
	else if (reason >= REASON_NEW_FLOW)
		verdict = transmit(way, XDP_PASS);
	if (tagged)
		verdict = tag_frame(ctx, came, way, verdict, reason);
	if (verdict == XDP_PASS && reason >= REASON_NEW_FLOW)
		reason = leave_to_kernel(ctx);
	count_reason(reason);
	return told ? verdict | reason << END_REASON_SHIFT : verdict;
}

/* Of its own, so that frames without tags pay no more than the question whether they have any. */
__attribute__((noinline)) int conclude_tagged(struct xdp_md *ctx, __u64 came, __u32 way, int reason)
{
	return conclude(ctx, came, way, reason, true, true);
}

/* The same for a packet that is refused or dropped, which is counted for its service, too; so others pay nothing for that. */
__attribute__((noinline)) int conclude_refused(struct xdp_md *ctx, __u64 came, __u32 owner, int reason)
{
	int end = conclude(ctx, came, 0, reason, true, true);

	count_refused(owner, end >> END_REASON_SHIFT);
	return end;
}

/* Answers the verdict, with the reason if it is to be told. */
static __always_inline int finish(struct xdp_md *ctx, const struct run *run, int reason, const bool told)
{
	__u32 way = reason >= REASON_NEW_FLOW && reason < REASON_ECHO_ANSWERED ? run->way : 0;
	int end;

	if (reason >= REASON_NO_BACKEND)
		end = conclude_refused(ctx, run->tags, run->owner, reason);
	else if (is_tagged(run->tags) || way & WAY_TAGS)
		end = conclude_tagged(ctx, run->tags, way, reason);
	else
		return conclude(ctx, 0, way, reason, false, told);
	return told ? end : end & END_VERDICT;
}
