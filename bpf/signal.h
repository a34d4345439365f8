/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What clients' connections tell of a node: that it takes them, refuses them, or does not answer. Reported to
 * the daemon, which may ask the node itself. Only what comes from the node's side speaks against it, and a SYN
 * that it leaves without an answer: a client that vanishes or resets by itself was answered before.
 */
#pragma once

#include "flow_table.h"
#include "stats.h"

/* The right to report about a node, which one CPU gets in report_ms. It may be a tick behind the last one. */
static __always_inline bool may_report(struct node_trouble *trouble, __u32 now)
{
	__u32 last = READ_ONCE(trouble->reported), pause = hz * report_ms / 1000;

	return (!last || now - last + hz >= pause + hz) && __sync_val_compare_and_swap(&trouble->reported, last, now) == last;
}

/*
 * Counts a connection that a node has failed, and reports it unless the last report was just now. Each of
 * these tells how many there were in a row, so nothing is lost with those in between. A function of its own,
 * because hardly any packet comes here.
 */
__attribute__((noinline)) int report_failure(__u32 node_id, __u32 kind, __u32 now)
{
	struct node_trouble *trouble = bpf_map_lookup_elem(&nodes_trouble, &node_id);
	struct signal *signal;
	__u32 failed;

	if (!trouble)
		return 0;
	count_failed(node_id, kind);
	failed = __sync_fetch_and_add(&trouble->failed, 1) + 1;
	if (!may_report(trouble, now))
		return 0;
	signal = bpf_ringbuf_reserve(&signals, sizeof(*signal), 0);
	if (!signal) {
		__sync_fetch_and_add(&trouble->lost, 1);
		return 0;
	}
	*signal = (struct signal){.node = node_id, .kind = kind, .failed = failed};
	bpf_ringbuf_submit(signal, 0);
	return 0;
}

/* Whether anybody wants to know. */
static __always_inline bool is_reported(__u32 node_id)
{
	struct node *node = bpf_map_lookup_elem(&nodes, &node_id);

	return node && READ_ONCE(node->status.actions) & ACTION_REPORT;
}

/* A SYN-ACK: the node takes connections, and those that it fails from now on are counted anew. */
static __always_inline void note_taken(__u32 node_id)
{
	struct node_trouble *trouble;

	if (!is_reported(node_id))
		return;
	trouble = bpf_map_lookup_elem(&nodes_trouble, &node_id);
	if (trouble && READ_ONCE(trouble->failed))
		WRITE_ONCE(trouble->failed, 0);
}

/* Something speaks against the node of a flow: it counts once, and only before the node's SYN-ACK. */
static __always_inline void note_failed(const struct place *forward, __u32 kind, __u32 now, const bool v6)
{
	__u32 slot = forward->ref & SLOT_MASK, node_id = forward->half->node;
	__u8 flags = word_at(forward->head, slot, v6)->flags;

	if (!is_reported(node_id) || (flags & (HALF_FORWARD | HALF_SYNACK | HALF_FAILED)) != HALF_FORWARD ||
	    (READ_ONCE(forward->head->stamps[slot]) & FLOW_CLASS_MASK) != FLOW_HALF_OPEN)
		return;
	if (set_half_flag(forward, HALF_FAILED, v6))
		report_failure(node_id, kind, now);
}

/* As note_failed(), for what came in the other direction. */
static __always_inline void note_failed_reply(const struct place *reply, __u32 kind, __u32 now, const bool v6)
{
	struct place forward;

	if (place_at(&forward, reply->half->peer, v6) && unchanged(reply, v6))
		note_failed(&forward, kind, now, v6);
}

/* The client's SYN once more: nothing came back that it would have heard of. */
static __always_inline void note_repeated(const struct place *forward, __u32 now, const bool v6)
{
	if (forward->half->packets >= unanswered_syns && now - forward->half->own.origin.born >= hz * unanswered_ms / 1000)
		note_failed(forward, SIGNAL_UNANSWERED, now, v6);
}
