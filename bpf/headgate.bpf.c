/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Headgate's data path. A packet goes tags off → parse → flow table → config → schedule → NAT → next hop →
 * tags on → finish; start reading at headgate() below, then stages.h and service.h.
 */
#include "stages.h"
#include "sweep.h"

/* With frags: jumbo frames come in several buffers, of which the first has all headers. */
SEC("xdp.frags")
int headgate(struct xdp_md *ctx)
{
	struct run run;
	int reason = decide(ctx, &run);

	return finish(ctx, &run, reason, false);
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
