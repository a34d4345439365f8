/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * A TCP flow's class, followed from the flags of its packets. The class in the forward half's stamp
 * decides: whoever moves it, moves it by compare-and-swap, and so the count of its node is changed
 * exactly once. The reply half's stamp follows.
 */
#pragma once

#include "flow_table.h"

/*
 * How far behind the node's initial sequence number the client's first ACK may lie: a node that
 * sends data with its SYN-ACK (TCP Fast Open) moves it. Whoever only guesses succeeds once in 4096.
 */
#define ACK_WINDOW (1U << 20)

/* Sets a bit of word.flags. Atomic, because both directions look at the other's FIN. */
static __always_inline void set_half_flag(struct flow_word *word, __u8 flag)
{
	__sync_fetch_and_or((__u64 *)word, (__u64)flag << 40);
}

/* Moves a flow to another class, from its forward half's stamp; false when another CPU was faster. */
static __always_inline bool move_class(const struct place *forward, __u32 from, enum flow_class to, __u32 now)
{
	__u32 *stamp = &forward->head->stamps[forward->ref & SLOT_MASK];
	__u32 node_id = forward->half->node;
	struct node_live *live;

	if (__sync_val_compare_and_swap(stamp, from, stamp_of(now, to)) != from)
		return false;
	if (to == FLOW_CLOSING) {
		live = bpf_map_lookup_elem(&nodes_live, &node_id);
		if (live)
			__sync_fetch_and_add(&live->active, -1);
	}
	return true;
}

/* Moves the reply half's stamp, however often an eviction brings it up to date meanwhile. */
static __always_inline void follow_class(const struct place *reply, enum flow_class to, __u32 now)
{
	__u32 *stamp = &reply->head->stamps[reply->ref & SLOT_MASK];

	for (int i = 0; i < 4; i++) {
		__u32 old = READ_ONCE(*stamp);

		if ((old & FLOW_CLASS_MASK) == FLOW_FREE || __sync_val_compare_and_swap(stamp, old, stamp_of(now, to)) == old)
			return;
	}
}

/* Moves both halves; `at` is either of them. */
static __always_inline void move_flow(const struct place *at, bool is_forward, enum flow_class to, __u32 now, const bool v6)
{
	struct place peer;
	const struct place *forward = is_forward ? at : &peer, *reply = is_forward ? &peer : at;
	__u32 stamp, class;

	if (!place_at(&peer, at->half->peer, v6) || peer.half->peer != at->ref)
		return;
	stamp = READ_ONCE(forward->head->stamps[forward->ref & SLOT_MASK]);
	class = stamp & FLOW_CLASS_MASK;
	/* A class only grows: half-open, established, closing. */
	if (class == FLOW_FREE || class >= to || !move_class(forward, stamp, to, now))
		return;
	if (to == FLOW_ESTABLISHED) {
		set_half_flag(word_at(forward->head, forward->ref & SLOT_MASK, v6), HALF_ESTABLISHED);
		set_half_flag(word_at(reply->head, reply->ref & SLOT_MASK, v6), HALF_ESTABLISHED);
	}
	follow_class(reply, to, now);
}

/* The node's SYN-ACK: leaves the acknowledgement that proves that the client got it. */
static __always_inline void note_syn_ack(const struct place *reply, __u32 seq, const bool v6)
{
	struct place forward;

	if (!place_at(&forward, reply->half->peer, v6) || forward.half->peer != reply->ref)
		return;
	forward.half->own.origin.expect_ack = seq + 1;
	set_half_flag(word_at(forward.head, forward.ref & SLOT_MASK, v6), HALF_SYNACK);
}

/* A FIN: the flow closes when both sides have sent theirs. */
static __always_inline void note_fin(const struct place *at, bool is_forward, __u32 now, const bool v6)
{
	struct place peer;

	set_half_flag(word_at(at->head, at->ref & SLOT_MASK, v6), HALF_FIN);
	if (place_at(&peer, at->half->peer, v6) &&
	    READ_ONCE(word_at(peer.head, peer.ref & SLOT_MASK, v6)->flags) & HALF_FIN)
		move_flow(at, is_forward, FLOW_CLOSING, now, v6);
}

/*
 * A packet of a flow that is not simply established. A flow counts as established only when the
 * client acknowledges the node's sequence number, which a sender with a false address cannot know:
 * a flood stays half-open and may be evicted.
 */
static __always_inline void follow_tcp(const struct place *at, __u8 half_flags, __u8 tcp_flags, __u32 seq, __u32 ack,
				       __u32 now, const bool v6)
{
	bool is_forward = half_flags & HALF_FORWARD;

	if (tcp_flags & TCP_RST) {
		move_flow(at, is_forward, FLOW_CLOSING, now, v6);
		return;
	}
	if (!is_forward && (tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
		note_syn_ack(at, seq, v6);
	if (is_forward && half_flags & HALF_SYNACK && (tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_ACK &&
	    ack - at->half->own.origin.expect_ack < ACK_WINDOW)
		move_flow(at, true, FLOW_ESTABLISHED, now, v6);
	if (tcp_flags & TCP_FIN)
		note_fin(at, is_forward, now, v6);
}

/* Returns nothing that anybody needs; a function of its own so that it is verified once. */
__attribute__((noinline)) int follow_tcp4(__u32 ref, __u8 tcp_flags, __u32 seq, __u32 ack, __u32 now)
{
	struct place at;

	if (place_at(&at, ref, false))
		follow_tcp(&at, word_at(at.head, at.ref & SLOT_MASK, false)->flags, tcp_flags, seq, ack, now, false);
	return 0;
}

__attribute__((noinline)) int follow_tcp6(__u32 ref, __u8 tcp_flags, __u32 seq, __u32 ack, __u32 now)
{
	struct place at;

	if (place_at(&at, ref, true))
		follow_tcp(&at, word_at(at.head, at.ref & SLOT_MASK, true)->flags, tcp_flags, seq, ack, now, true);
	return 0;
}
