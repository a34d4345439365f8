/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * A TCP flow's class, followed from the flags of its packets. The class in the forward half's stamp
 * decides: whoever moves it, moves it by compare-and-swap, and so the count of its node is changed
 * exactly once. The reply half's stamp follows.
 */
#pragma once

#include "flow_remove.h"
#include "signal.h"

/*
 * How far behind the node's initial sequence number the client's first ACK may lie: a node that
 * sends data with its SYN-ACK (TCP Fast Open) moves it. Whoever only guesses succeeds once in 4096.
 */
#define ACK_WINDOW (1U << 20)

/* Moves a half to another class; false when it has changed hands, or is there already. */
static __always_inline bool move_half(const struct place *at, enum flow_class to, __u32 now, const bool v6)
{
	__u32 *stamp = &at->head->stamps[at->ref & SLOT_MASK], old;

	for (int i = 0; i < MOVE_TRIES; i++) {
		old = READ_ONCE(*stamp);
		/* A class only grows: half-open, established, closing. */
		if ((old & FLOW_CLASS_MASK) == FLOW_FREE || (old & FLOW_CLASS_MASK) >= to || !unchanged(at, v6))
			return false;
		if (__sync_val_compare_and_swap(stamp, old, stamp_of(now, to)) == old)
			return true;
	}
	return false;
}

/*
 * Moves both halves; `at` is either of them, and `why` counts if they close. The forward half decides, and so the count of the node
 * goes down exactly once.
 */
static __always_inline void move_flow(const struct place *at, bool is_forward, enum flow_class to, enum closing why, __u32 now, const bool v6)
{
	struct place peer;
	const struct place *forward = is_forward ? at : &peer, *reply = is_forward ? &peer : at;
	__u32 node_id = at->half->node, was;
	__be16 port;

	if (!place_at(&peer, at->half->peer, v6))
		return;
	port = source_port_of(forward, v6);
	was = READ_ONCE(forward->head->stamps[forward->ref & SLOT_MASK]) & FLOW_CLASS_MASK;
	if (!unchanged(at, v6) || !move_half(forward, to, now, v6))
		return;
	if (to == FLOW_CLOSING) {
		count_ended(node_id, was, port);
		count_closing(why, v6);
	} else {
		set_half_flag(forward, HALF_ESTABLISHED, v6);
		set_half_flag(reply, HALF_ESTABLISHED, v6);
	}
	move_half(reply, to, now, v6);
}

/*
 * The node's SYN-ACK: leaves the acknowledgement that proves that the client got it. By
 * compare-and-swap with what lay there while the flow was there, because a half that has the slot
 * since then may keep its hop in the same word.
 */
static __always_inline void note_syn_ack(const struct place *reply, __u32 seq, const bool v6)
{
	struct place forward;
	__u64 old, *own;

	if (!place_at(&forward, reply->half->peer, v6))
		return;
	own = &forward.half->own.hop;
	old = READ_ONCE(*own);
	if (!unchanged(reply, v6) ||
	    __sync_val_compare_and_swap(own, old, (__u32)old | (__u64)(seq + 1) << 32) != old)
		return;
	set_half_flag(&forward, HALF_SYNACK, v6);
}

/* Closes a flow, whoever ends it. */
static __always_inline void close_flow(const struct place *at, enum closing why, __u32 now, const bool v6)
{
	move_flow(at, word_of(at->half, v6)->flags & HALF_FORWARD, FLOW_CLOSING, why, now, v6);
}

/* A FIN: the flow closes when both sides have sent theirs. */
static __always_inline void note_fin(const struct place *at, bool is_forward, __u32 now, const bool v6)
{
	struct place peer;

	set_half_flag(at, HALF_FIN, v6);
	if (place_at(&peer, at->half->peer, v6) && unchanged(at, v6) &&
	    READ_ONCE(word_of(peer.half, v6)->flags) & HALF_FIN)
		move_flow(at, is_forward, FLOW_CLOSING, CLOSING_FIN, now, v6);
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
		if (!is_forward && tcp_flags & TCP_ACK) /* without, it answers what is no SYN (RFC 9293, 3.5.2) */
			note_failed_reply(at, SIGNAL_REFUSED, now, v6);
		move_flow(at, is_forward, FLOW_CLOSING, is_forward ? CLOSING_CLIENT_RESET : CLOSING_NODE_RESET, now, v6);
		return;
	}
	if (is_forward && (tcp_flags & (TCP_SYN | TCP_ACK | TCP_FIN)) == TCP_SYN) /* with a FIN no server answers it */
		note_repeated(at, now, v6);
	if (!is_forward && (tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
		note_syn_ack(at, seq, v6);
		note_taken(at->half->node);
	}
	if (is_forward && half_flags & HALF_SYNACK && (tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_ACK &&
	    ack - at->half->own.origin.expect_ack < ACK_WINDOW)
		move_flow(at, true, FLOW_ESTABLISHED, CLOSING_MAX, now, v6);
	if (tcp_flags & TCP_FIN)
		note_fin(at, is_forward, now, v6);
}

#define FOLLOW_OVER (1U << 16) /* above flags and version: the flow is over, though no segment says so; see why_over() */

static __always_inline enum closing why_closed(__u32 node_id)
{
	struct node *node = bpf_map_lookup_elem(&nodes, &node_id);

	return node && READ_ONCE(node->status.actions) & ACTION_RESET_TCP ? CLOSING_NODE_DOWN : CLOSING_DEADLINE;
}

/*
 * Follows a segment's flags, at a half that had this version when the packet met it; another flow that
 * has its slot meanwhile is left alone. Returns nothing that anybody needs; a function of its own so
 * that it is verified once, with the version above the flags because five arguments are the most.
 */
static __always_inline void follow_at(__u32 ref, __u32 flags_version, __u32 seq, __u32 ack, __u32 now, const bool v6)
{
	struct place at;

	if (!place_at(&at, ref, v6) || at.version != (__u8)(flags_version >> 8))
		return;
	if (flags_version & FOLLOW_OVER)
		close_flow(&at, why_closed(at.half->node), now, v6);
	else
		follow_tcp(&at, word_at(at.head, at.ref & SLOT_MASK, v6)->flags, flags_version, seq, ack, now, v6);
}

__attribute__((noinline)) int follow_tcp4(__u32 ref, __u32 flags_version, __u32 seq, __u32 ack, __u32 now)
{
	follow_at(ref, flags_version, seq, ack, now, false);
	return 0;
}

__attribute__((noinline)) int follow_tcp6(__u32 ref, __u32 flags_version, __u32 seq, __u32 ack, __u32 now)
{
	follow_at(ref, flags_version, seq, ack, now, true);
	return 0;
}
