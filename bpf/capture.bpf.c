/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * The data path while somebody captures packets: the same stages, with a look at the packet before and after
 * them. A program of its own, that takes the place of the one in headgate.bpf.c as long as there is a reader; so that
 * one has not an instruction for it.
 */
#include "stages.h"
#include "whose.h"

/* Whether the reader lives, as far as this CPU has heard. */
static __always_inline bool is_read(struct capture_state *s, __u64 now)
{
	__u32 zero = 0;
	__u64 *beat = bpf_map_lookup_elem(&capture_beat, &zero);

	if (!beat)
		return false;
	if (s->beat != READ_ONCE(*beat)) {
		s->beat = READ_ONCE(*beat);
		s->heard = now;
	}
	return now - s->heard <= PATIENCE * hz;
}

/* Whether this CPU's rate is not used up. The token is taken when a packet is written. */
static __always_inline bool has_token(struct capture_state *s, __u64 now)
{
	__u64 earned = (now - s->filled) * capture_rate / hz;

	if (earned) {
		s->tokens = s->tokens + earned > capture_rate ? capture_rate : s->tokens + earned;
		s->filled = now;
	}
	return s->tokens;
}

/* Keeps the first bytes of a frame of `bytes`, and answers how many. */
static __always_inline __u32 keep(struct xdp_md *ctx, __u8 *to, __u32 bytes)
{
	if (bytes > snap)
		bytes = snap;
	opaque(bytes);
	/* Every frame has an Ethernet header: for the verifier, which on Linux 6.1 learns nothing from != 0. */
	if (bytes < ETH_HLEN || bytes > SNAP_MAX || bpf_xdp_load_bytes(ctx, 0, to, bytes))
		return 0;
	return bytes;
}

/* A packet comes: if it is one of the sample, it is kept as it is. */
__attribute__((noinline)) int packet_comes(struct xdp_md *ctx)
{
	struct capture_state *s = capture_state();
	__u64 now = bpf_jiffies64();
	struct capture_record *r;

	if (!s)
		return 0;
	s->underway = 0;
	if (!is_read(s, now) || (sample > 1 && bpf_get_prandom_u32() % sample))
		return 0;
	if (!has_token(s, now)) {
		s->skipped++;
		return 0;
	}
	r = &s->record;
	*r = (struct capture_record){.came = bpf_ktime_get_ns(), .ifindex = ctx->ingress_ifindex, .service = NO_SERVICE};
	r->bytes_in = bpf_xdp_get_buff_len(ctx);
	r->kept_in = keep(ctx, s->bytes, r->bytes_in);
	s->underway = 1;
	return 0;
}

/* Whether a packet, whose reason is known, is one of those that are asked for; completes its record. */
static __always_inline bool is_wanted(struct capture_state *s)
{
	struct sight g;

	if (!(wanted_reasons >> (s->record.reason & 63) & 1))
		return false;
	if (!see_ip(s, false, ip_offset(s, false), &g))
		return !wanted_family && !wanted_node_count && !wanted_service_count;
	if (!is_wanted_client(s, &g))
		return false;
	see_whose(s, &g);
	return is_wanted_id(wanted_nodes, wanted_node_count, s->record.node) &&
	       is_wanted_id(wanted_services, wanted_service_count, s->record.service);
}

/* It leaves: if it is asked for, the reader gets it. */
__attribute__((noinline)) int packet_leaves(struct xdp_md *ctx, __u32 reason, __u32 verdict)
{
	struct capture_state *s = capture_state();
	struct capture_record *r;

	if (!s || !s->underway)
		return 0;
	r = &s->record;
	r->reason = reason;
	r->verdict = verdict;
	r->left = bpf_ktime_get_ns();
	r->bytes_out = bpf_xdp_get_buff_len(ctx);
	r->kept_out = keep(ctx, s->bytes + snap, r->bytes_out);
	if (!is_wanted(s))
		return 0;
	s->tokens--;
	if (bpf_ringbuf_output(&captured, r, sizeof(*r) + 2 * snap, 0))
		s->lost++;
	return 0;
}

SEC("xdp.frags")
int headgate(struct xdp_md *ctx)
{
	struct run run;
	int reason, end;

	packet_comes(ctx);
	reason = decide(ctx, &run);
	end = finish(ctx, &run, reason, true);
	packet_leaves(ctx, end >> END_REASON_SHIFT, end & END_VERDICT);
	return end & END_VERDICT;
}

char LICENSE[] SEC("license") = "GPL and additional rights";
