/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Headgate's data path. A packet goes parse → flow table → config → schedule → NAT → next hop →
 * finish; start reading at headgate() below, then service.h.
 */
#include "maps.h"
#include "odd.h"
#include "refuse.h"
#include "reset.h"
#include "service.h"
#include "sweep.h"

/* The only place that turns a reason into a verdict, and that counts it. */
static __always_inline int finish(struct xdp_md *ctx, const struct run *run, int reason)
{
	int verdict = XDP_PASS;

	if (reason >= REASON_NO_BACKEND_DROPPED)
		verdict = XDP_DROP;
	else if (reason >= REASON_ECHO_ANSWERED)
		verdict = transmit_back(ctx);
	else if (reason >= REASON_NEW_FLOW)
		verdict = transmit(ctx, run->link, XDP_PASS);
	if (verdict == XDP_PASS && reason >= REASON_NEW_FLOW)
		reason = leave_to_kernel(ctx);
	count_reason(reason);
	return verdict;
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
	int reason = parse(ctx, &run.p);
	__u32 first = 0; /* not 0: the packet is the first fragment of a datagram */

	if (reason < MISS)
		reason = take_turn(ctx, &run.p, reason, &first, &run.link);
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
