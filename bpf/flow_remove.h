/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Locks of buckets, when a flow has expired, and how both of its halves leave the table. */
#pragma once

#include "flow_table.h"
#include "stats.h"

#define LOCK_TRIES 256 /* a lock is held for some hundred nanoseconds */

/* Buckets that this run of the program has locked; NO_REF: none. */
struct locks {
	__u32 bucket[4];
};

static __always_inline bool try_lock(__u32 bucket, const bool v6)
{
	struct bucket_head *head = bucket_at(bucket, v6);

	return head && __sync_val_compare_and_swap(&head->lock, 0, 1) == 0;
}

static __always_inline bool take_lock(__u32 bucket, const bool v6)
{
	for (int i = 0; i < LOCK_TRIES; i++)
		if (try_lock(bucket, v6))
			return true;
	return false;
}

__attribute__((noinline)) int take_lock4(__u32 bucket)
{
	return take_lock(bucket, false);
}

__attribute__((noinline)) int take_lock6(__u32 bucket)
{
	return take_lock(bucket, true);
}

static __always_inline void drop_lock(__u32 bucket, const bool v6)
{
	struct bucket_head *head = bucket_at(bucket, v6);

	barrier();
	if (head)
		WRITE_ONCE(head->lock, 0);
}

static __always_inline bool holds(const struct locks *l, __u32 bucket)
{
	return l->bucket[0] == bucket || l->bucket[1] == bucket || l->bucket[2] == bucket || l->bucket[3] == bucket;
}

/* Takes the lock of a bucket into place i, unless it is held already. Never waits for long. */
static __always_inline bool hold(struct locks *l, int i, __u32 bucket, const bool v6)
{
	if (holds(l, bucket))
		return true;
	if (!try_lock(bucket, v6) && !(v6 ? take_lock6(bucket) : take_lock4(bucket)))
		return false;
	l->bucket[i] = bucket;
	return true;
}

static __always_inline void release(struct locks *l, const bool v6)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		if (l->bucket[i] != NO_REF)
			drop_lock(l->bucket[i], v6);
}

/* Whether a node's flows may go no further. */
static __always_inline bool past_deadline(const struct node *node, __u32 now)
{
	return READ_ONCE(node->status.actions) & ACTION_DEADLINE && (__s32)(now - READ_ONCE(node->deadline)) >= 0;
}

static __always_inline bool node_past_deadline(__u32 node_id, __u32 now)
{
	struct node *node = bpf_map_lookup_elem(&nodes, &node_id);

	return node && past_deadline(node, now);
}

/* Whether a flow of this class that was idle for so many jiffies is as good as gone. */
static __always_inline bool has_outlived(__u32 class, __u32 node_id, __u32 idle, __u32 now)
{
	struct node *node;

	if (class == FLOW_HALF_OPEN)
		return idle > half_open_idle * hz;
	if (class == FLOW_CLOSING)
		return idle > closing_idle * hz;
	node = bpf_map_lookup_elem(&nodes, &node_id);
	if (!node)
		return true;
	return class == FLOW_UDP ? idle > node->udp_idle || past_deadline(node, now) : idle > node->tcp_idle;
}

/* Jiffies since the last packet of either direction. */
static __always_inline __u32 idle_time(const struct half *half, __u32 now, const bool v6)
{
	__u32 mine = now - READ_ONCE(half->seen), its;
	struct place peer;

	if (!place_at(&peer, half->peer, v6))
		return mine;
	its = now - READ_ONCE(peer.half->seen);
	/* The other CPU may be a tick ahead: what lies in the future was just now. */
	if ((__s32)mine < 0 || (__s32)its < 0)
		return 0;
	return mine < its ? mine : its;
}

static __always_inline bool is_expired(const struct place *at, __u32 now, const bool v6)
{
	__u32 stamp = READ_ONCE(at->head->stamps[at->ref & SLOT_MASK]), class = stamp & FLOW_CLASS_MASK;

	if (class == FLOW_CLOSING && stamp_age(stamp, now) <= closing_idle * hz)
		return false; /* it rests from when it was closed, and the sweep closes without a packet */
	return has_outlived(class, at->half->node, idle_time(at->half, now, v6), now);
}

/* Counts a key into or out of those that lie in their second bucket. */
static __always_inline void count_spilled(__u64 hash, __u32 change, const bool v6)
{
	struct bucket_head *first = bucket_at(first_bucket(hash, v6), v6);

	if (first)
		__sync_fetch_and_add(&first->spilled, change);
}

/* Empties a slot of a locked bucket. */
static __always_inline void clear_slot(const struct place *at, const bool v6)
{
	__u32 slot = at->ref & SLOT_MASK;
	__u64 *word = (__u64 *)word_at(at->head, slot, v6);

	bump_version(at, v6);
	WRITE_ONCE(at->head->tags[slot], 0);
	WRITE_ONCE(at->head->stamps[slot], FLOW_FREE);
	if (READ_ONCE(*word) >> WORD_FLAGS_SHIFT & HALF_SPILLED)
		count_spilled(hash_slot(at->head, slot, v6), -1, v6);
	WRITE_ONCE(*word, (READ_ONCE(*word) & WORD_VERSIONS) + WORD_VERSION);
	barrier();
}

/* The source port that NAT gave the flow of a forward half. */
static __always_inline __be16 source_port_of(const struct place *forward, const bool v6)
{
	__u32 slot = forward->ref & SLOT_MASK;

	return v6 ? flow6_at(forward->head, slot)->nat_sport : flow4_at(forward->head, slot)->nat_sport;
}

/*
 * Counts a flow of `class` out of its node, and leaves its source port for whoever needs one. Not that of
 * a half-open flow: in a flood these end all the time, and a node that is full otherwise stays it.
 */
static __always_inline void count_ended(__u32 node_id, __u32 class, __be16 port)
{
	struct node_live *live = bpf_map_lookup_elem(&nodes_live, &node_id);
	__u32 i;

	if (!live)
		return;
	__sync_fetch_and_add(&live->active, -1);
	if (class == FLOW_HALF_OPEN)
		return;
	/* Not in one step: what two CPUs write at the same time is a hint, and is looked at before it is used. */
	i = READ_ONCE(live->freed);
	WRITE_ONCE(live->freed_ports[i & (FREED_PORTS - 1)], bpf_ntohs(port));
	WRITE_ONCE(live->freed, i + 1);
}

/*
 * Takes a flow of `class` out of the packet path's hands, and gives its count back exactly once. False
 * when it is of another class by now: by compare-and-swap, because the packet path moves the class
 * without a lock, and a flow that has just become established must stay.
 */
static __always_inline bool end_flow(const struct place *forward, __u32 class, const bool v6)
{
	__u32 *stamp = &forward->head->stamps[forward->ref & SLOT_MASK], old = READ_ONCE(*stamp);
	__be16 port = source_port_of(forward, v6); /* before another flow has the slot */
	__u32 node_id = forward->half->node;

	if ((old & FLOW_CLASS_MASK) != class || __sync_val_compare_and_swap(stamp, old, FLOW_FREE) != old)
		return false;
	if (class != FLOW_CLOSING)
		count_ended(node_id, class, port);
	return true;
}

/*
 * Removes both halves of the flow at `ref`, whose bucket the caller has locked, if the class that its
 * stamp shows is still the flow's; else the stamp is corrected. Answers that class; or FLOW_FREE, also when the
 * peer's bucket is busy, and then the flow stays whole.
 */
static __always_inline __u32 remove_pair(__u32 ref, const struct locks *l, const bool v6)
{
	struct place at, peer;
	__u32 bucket, class, slot = ref & SLOT_MASK;
	bool held, ended, is_forward;

	if (!l || !place_at(&at, ref, v6) || !place_at(&peer, at.half->peer, v6))
		return FLOW_FREE;
	bucket = peer.ref >> 3;
	held = holds(l, bucket);
	if (!held && !(v6 ? take_lock6(bucket) : take_lock4(bucket)))
		return FLOW_FREE;
	is_forward = word_at(at.head, slot, v6)->flags & HALF_FORWARD;
	class = READ_ONCE(at.head->stamps[slot]) & FLOW_CLASS_MASK;
	/*
	 * Not by a pointer to either: it would keep both places on the stack, and Linux 6.1, which rounds
	 * each function's stack up to 32 bytes, allows the deepest chain of calls through here 512 in all.
	 */
	ended = is_forward ? end_flow(&at, class, v6) : end_flow(&peer, class, v6);
	if (ended) {
		clear_slot(&at, v6);
		clear_slot(&peer, v6);
	} else if (!is_forward) {
		WRITE_ONCE(at.head->stamps[slot], READ_ONCE(peer.head->stamps[peer.ref & SLOT_MASK]));
	}
	if (!held)
		drop_lock(bucket, v6);
	return ended ? class : FLOW_FREE;
}

__attribute__((noinline)) __u32 remove_pair4(__u32 ref, const struct locks *l)
{
	return remove_pair(ref, l, false);
}

__attribute__((noinline)) __u32 remove_pair6(__u32 ref, const struct locks *l)
{
	return remove_pair(ref, l, true);
}

/* The same, counted with the reason why. Answers whether the flow has left. */
static __always_inline bool remove_flow(__u32 ref, const struct locks *l, enum removal why, const bool v6)
{
	__u32 class = v6 ? remove_pair6(ref, l) : remove_pair4(ref, l);

	count_removal(v6 ? OF_IPV6 : OF_IPV4, why, class);
	return class != FLOW_FREE;
}
