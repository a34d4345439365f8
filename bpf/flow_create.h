/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * A new flow: a slot for each half, both written and published under the
 * locks of their buckets. The first bucket of a key is locked by whoever inserts that key, wherever
 * it ends up, so two CPUs that create the same flow end with one.
 */
#pragma once

#include "flow_write.h"

/*
 * Whether a known flow gives way to a new one when its client speaks: a UDP session that was idle
 * too long, or whose node is DOWN or past its deadline; a SYN on a flow that is closing, or half-open
 * at a node that takes no new flows of this client, or at a node that is DOWN or past its deadline.
 */
static __always_inline bool is_superseded(const struct place *at, __u8 proto, bool syn, __u32 now, const bool v6)
{
	__u32 class = READ_ONCE(at->head->stamps[at->ref & SLOT_MASK]) & FLOW_CLASS_MASK;
	__u32 node_id = at->half->node;
	struct node *node = bpf_map_lookup_elem(&nodes, &node_id);
	__u8 actions = node ? READ_ONCE(node->status.actions) : 0;

	if (proto == IPPROTO_UDP)
		return actions & ACTION_DEAD || is_expired(at, now, v6);
	if (!syn)
		return false;
	return class == FLOW_CLOSING || actions & ACTION_DEAD || (class == FLOW_HALF_OPEN && !(actions & (ACTION_NEW | ACTION_STICK))) ||
	       (node && past_deadline(node, now));
}

/* Removes the flow of a half that was found, after locking its bucket into place i. */
static __always_inline bool remove_found(const struct place *at, struct locks *l, int i, enum removal why, const bool v6)
{
	if (!hold(l, i, at->ref >> 3, v6) || !unchanged(at, v6))
		return false;
	return remove_flow(at->ref, l, why, v6);
}

/* Why the flow of a half that use_of_holder() lets go loses its port: of these two classes, only what has expired does. */
static __always_inline enum removal why_port_goes(const struct place *at)
{
	__u32 class = READ_ONCE(at->head->stamps[at->ref & SLOT_MASK]) & FLOW_CLASS_MASK;

	return class == FLOW_ESTABLISHED || class == FLOW_UDP ? REMOVAL_EXPIRED : REMOVAL_PORT;
}

/* Whether the half that has the source port is the one that had it when the port was chosen: else another CPU took it. */
static __always_inline bool is_holder(const struct reply_key *r, const struct place *at)
{
	return at->ref == r->holder && at->version == r->holder_version;
}

static __always_inline int reason_of_ref(__u32 ref)
{
	return ref == BUSY_REF ? REASON_TABLE_BUSY : REASON_TABLE_FULL;
}

static __always_inline bool is_ref(__u32 ref)
{
	return ref < BUSY_REF;
}

/* With both first buckets locked: makes way for both keys, then creates. Answers as create_flow(). */
static __always_inline int create_locked(struct creation *c, const bool v6)
{
	const struct reply_key *r = &c->reply;
	struct locks *l = &c->held;
	struct place at;
	__u32 fref, rref;

	if (find_half(&at, &c->key, c->hash, v6)) {
		c->ref = at.ref;
		if (!is_superseded(&at, c->key.word.proto, true, c->now, v6))
			return MISS; /* another CPU was faster */
		if (!remove_found(&at, l, 2, REMOVAL_SUPERSEDED, v6))
			return REASON_TABLE_BUSY;
	}
	if (find_half(&at, &r->key, r->hash, v6) &&
	    (!is_holder(r, &at) || !use_of_holder(&at, c->now, v6) || !remove_found(&at, l, 3, why_port_goes(&at), v6)))
		return REASON_TABLE_BUSY;
	fref = reserve_first(c->hash, c->now, v6);
	if (fref == NO_REF)
		fref = v6 ? reserve_slot6(c->hash, l, 2, c->now) : reserve_slot4(c->hash, l, 2, c->now);
	if (!is_ref(fref))
		return reason_of_ref(fref);
	rref = reserve_first(r->hash, c->now, v6);
	if (rref == NO_REF)
		rref = v6 ? reserve_slot6(r->hash, l, 3, c->now) : reserve_slot4(r->hash, l, 3, c->now);
	if (!is_ref(rref)) {
		unreserve_slot(fref, c->hash, v6);
		return reason_of_ref(rref);
	}
	c->ref = fref;
	write_pair(c, fref, rref, v6);
	return REASON_NEW_FLOW;
}

/*
 * Creates a flow at c->node, from the source port in c->reply. Answers REASON_NEW_FLOW; MISS when
 * another CPU has just made it; or why there is none. With the first two, c->ref is the forward half.
 */
static __always_inline int create_flow(struct creation *c, const bool v6)
{
	__u32 first, second;
	int reason;

	c->held = (struct locks){{NO_REF, NO_REF, NO_REF, NO_REF}};
	first = first_bucket(c->hash, v6);
	second = first_bucket(c->reply.hash, v6);
	/* In the order of their index, so that two CPUs do not block each other. */
	if (!hold(&c->held, 0, first < second ? first : second, v6))
		return REASON_TABLE_BUSY;
	reason = hold(&c->held, 1, first < second ? second : first, v6) ? create_locked(c, v6) : REASON_TABLE_BUSY;
	release(&c->held, v6);
	return reason;
}
