/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Headgate's data path. A packet goes tags off → parse → flow table → config → schedule → NAT → next hop →
 * tags on → finish; start reading at headgate() below, then service.h.
 */
#include "maps.h"
#include "odd.h"
#include "refuse.h"
#include "reset.h"
#include "service.h"
#include "sweep.h"

/* The only place that turns a reason into a verdict, and that counts it. `came`: tags that the frame came with. */
static __always_inline int conclude(struct xdp_md *ctx, vlan_tags came, __u32 way, int reason, const bool tagged)
{
	int verdict = XDP_PASS;

	if (reason >= REASON_NO_BACKEND_DROPPED)
		verdict = XDP_DROP;
	else if (reason >= REASON_ECHO_ANSWERED)
		verdict = transmit_back(ctx);
	else if (reason >= REASON_NEW_FLOW)
		verdict = transmit(ctx, way, XDP_PASS);
	if (tagged)
		verdict = tag_frame(ctx, came, way, verdict, reason);
	if (verdict == XDP_PASS && reason >= REASON_NEW_FLOW)
		reason = leave_to_kernel(ctx);
	count_reason(reason);
	return verdict;
}

/* Of its own, so that frames without tags pay no more than the question whether they have any. */
__attribute__((noinline)) int conclude_tagged(struct xdp_md *ctx, __u64 came, __u32 way, int reason)
{
	return conclude(ctx, came, way, reason, true);
}

static __always_inline int finish(struct xdp_md *ctx, const struct run *run, int reason)
{
	__u32 way = reason >= REASON_NEW_FLOW && reason < REASON_ECHO_ANSWERED ? run->way : 0;

	if (is_tagged(run->tags) || way >> WAY_TAGS_SHIFT)
		return conclude_tagged(ctx, run->tags, way, reason);
	return conclude(ctx, 0, way, reason, false);
}

/* Makes what somebody is told of a packet that ends here. */
static __always_inline int answer(struct xdp_md *ctx, const struct packet *p, int reason)
{
	if (reason >= REASON_NO_BACKEND && reason < REASON_NO_BACKEND_DROPPED)
		return refuse(ctx, p, reason);
	return reason == REASON_RESET_CLIENT ? cut_to_rst(ctx, p) : reason;
}

/* With frags: jumbo frames come in several buffers, of which the first has all headers. */
SEC("xdp.frags")
int headgate(struct xdp_md *ctx)
{
	struct run run;
	__u32 first = 0; /* not 0: the packet is the first fragment of a datagram */
	int reason;

	run.tags = 0;
	reason = parse(ctx, &run.p);
	if (reason == TAGGED) {
		run.tags = take_off_tags(ctx);
		reason = parse(ctx, &run.p);
		if (reason == TAGGED)
			reason = REASON_VLAN;
	}
	if (reason < MISS)
		reason = take_turn(ctx, &run.p, reason, !of_another_network(run.tags), &first, &run.way);
	if (reason == MISS) {
		reason = run.p.v6 ? balance(ctx, &run, true) : balance(ctx, &run, false);
		if (first)
			leave_behind(ctx, &run.p, first, reason);
		reason = answer(ctx, &run.p, reason);
	} else if (first) {
		leave_behind(ctx, &run.p, first, reason); /* it is the kernel's, and so are the others */
	}
	return finish(ctx, &run, reason);
}

/* One step of the sweep: a bucket of the range that the frame names. */
static long sweep_step(__u32 i, struct sweep_frame *f)
{
	if (f->family == 6)
		f->removed += sweep_bucket6((f->first + i) & flows6_mask, f->jiffies);
	else
		f->removed += sweep_bucket4((f->first + i) & flows4_mask, f->jiffies);
	return 0;
}

/*
 * Closes the flows that have expired, so that counts stay true without traffic. The daemon runs it
 * on a frame that holds a struct sweep_frame, and reads the answer from it. Never attached; of type
 * tc and not xdp because each test run of an XDP program has the kernel patch its XDP dispatcher,
 * some ten milliseconds.
 */
SEC("tc")
int sweep(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct sweep_frame *frame = data, f;

	if ((void *)(frame + 1) > end)
		return -1;
	f = *frame;
	f.removed = 0;
	f.jiffies = bpf_jiffies64();
	bpf_loop(f.count, sweep_step, &f, 0);
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	frame = data;
	if ((void *)(frame + 1) > end)
		return -1;
	*frame = f;
	return 0;
}

/* Apache-2.0 or GPL-2.0-only; of the strings that the kernel takes for GPL-compatible, this one says so. */
char LICENSE[] SEC("license") = "GPL and additional rights";
