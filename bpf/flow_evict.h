/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What leaves the flow table, and when. The order is: expired, closing, oldest half-open, longest
 * idle UDP. An established TCP flow is never evicted. The packet path, when it needs room, and the
 * sweep use the same functions.
 */
#pragma once

#include "flow_table.h"

#define LOCK_TRIES 256 /* a lock is held for some hundred nanoseconds */

/* Buckets that this run of the program has locked; NO_REF: none. */
struct locks {
	__u32 bucket[4];
};

static __always_inline bool take_lock(__u32 bucket, const bool v6)
{
	struct bucket_head *head = bucket_at(bucket, v6);

	if (!head)
		return false;
	for (int i = 0; i < LOCK_TRIES; i++)
		if (__sync_val_compare_and_swap(&head->lock, 0, 1) == 0)
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
	if (!(v6 ? take_lock6(bucket) : take_lock4(bucket)))
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

/* Jiffies after which an idle flow of this class is as good as gone. */
static __always_inline __u32 idle_limit(__u32 class, __u32 node_id)
{
	struct node *node;

	if (class == FLOW_HALF_OPEN)
		return half_open_idle * hz;
	if (class == FLOW_CLOSING)
		return closing_idle * hz;
	node = bpf_map_lookup_elem(&nodes, &node_id);
	if (!node)
		return 0;
	return class == FLOW_UDP ? node->udp_idle : node->tcp_idle;
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
	__u32 class = READ_ONCE(at->head->stamps[at->ref & SLOT_MASK]) & FLOW_CLASS_MASK;

	return idle_time(at->half, now, v6) > idle_limit(class, at->half->node);
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

	bump_version(at, v6);
	WRITE_ONCE(at->head->tags[slot], 0);
	WRITE_ONCE(at->head->stamps[slot], FLOW_FREE);
	if (word_at(at->head, slot, v6)->flags & HALF_SPILLED)
		count_spilled(hash_slot(at->head, slot, v6), -1, v6);
	WRITE_ONCE(word_at(at->head, slot, v6)->proto, 0);
	bump_version(at, v6);
}

/*
 * Takes a flow of `class` out of the packet path's hands, and gives its count back exactly once. False
 * when it is of another class by now: by compare-and-swap, because the packet path moves the class
 * without a lock, and a flow that has just become established must stay.
 */
static __always_inline bool end_flow(const struct place *forward, __u32 class)
{
	__u32 *stamp = &forward->head->stamps[forward->ref & SLOT_MASK], old = READ_ONCE(*stamp);
	__u32 node_id = forward->half->node;
	struct node_live *live;

	if ((old & FLOW_CLASS_MASK) != class || __sync_val_compare_and_swap(stamp, old, FLOW_FREE) != old)
		return false;
	if (class != FLOW_CLOSING) {
		live = bpf_map_lookup_elem(&nodes_live, &node_id);
		if (live)
			__sync_fetch_and_add(&live->active, -1);
	}
	return true;
}

/*
 * Removes both halves of the flow at `ref`, whose bucket the caller has locked, if the class that its
 * stamp shows is still the flow's; else the stamp is corrected. False also when the peer's bucket is
 * busy. Then the flow stays whole.
 */
static __always_inline bool remove_pair(__u32 ref, const struct locks *l, const bool v6)
{
	struct place at, peer;
	__u32 bucket, class, slot = ref & SLOT_MASK;
	bool held, ended, is_forward;

	if (!l || !place_at(&at, ref, v6) || !place_at(&peer, at.half->peer, v6))
		return false;
	bucket = peer.ref >> 3;
	held = holds(l, bucket);
	if (!held && !(v6 ? take_lock6(bucket) : take_lock4(bucket)))
		return false;
	is_forward = word_at(at.head, slot, v6)->flags & HALF_FORWARD;
	class = READ_ONCE(at.head->stamps[slot]) & FLOW_CLASS_MASK;
	/*
	 * Not by a pointer to either: it would keep both places on the stack, and Linux 6.1, which rounds
	 * each function's stack up to 32 bytes, allows the deepest chain of calls through here 512 in all.
	 */
	ended = is_forward ? end_flow(&at, class) : end_flow(&peer, class);
	if (ended) {
		clear_slot(&at, v6);
		clear_slot(&peer, v6);
	} else if (!is_forward) {
		WRITE_ONCE(at.head->stamps[slot], READ_ONCE(peer.head->stamps[peer.ref & SLOT_MASK]));
	}
	if (!held)
		drop_lock(bucket, v6);
	return ended;
}

__attribute__((noinline)) int remove_pair4(__u32 ref, const struct locks *l)
{
	return remove_pair(ref, l, false);
}

__attribute__((noinline)) int remove_pair6(__u32 ref, const struct locks *l)
{
	return remove_pair(ref, l, true);
}

/* ------------------------------------------------------------------ choosing a victim */

/*
 * Rank by class, four bits each: closing 3, half-open 2, UDP 1, established 0 (never). What seems
 * expired ranks SUSPECT higher, until a look at the flow itself has cleared it. Seconds by class,
 * eight bits each, before a stamp may mean expired; for classes whose time a config sets, the least
 * that it may set.
 */
#define SUSPECT 4
#define RANKS (2U << 4 * FLOW_HALF_OPEN | 3U << 4 * FLOW_CLOSING | 1U << 4 * FLOW_UDP)
#define EST_IDLE_MIN 60ULL
#define UDP_IDLE_MIN 1ULL

/* Jiffies since a stamp, which may be a tick ahead of this CPU: then 0. Without a branch. */
static __always_inline __u32 stamp_age(__u32 stamp, __u32 now)
{
	__s32 age = now - (stamp & ~FLOW_CLASS_MASK), negative = age >> 31;

	opaque(negative);
	return age & ~negative;
}

/* A score whose maximum is the slot to evict: rank, age, slot. Without a branch: see best_victim(). */
static __always_inline __u64 eviction_score(__u32 stamp, __u32 now, __u32 slot, __u32 cleared)
{
	__u64 least = (__u64)half_open_idle << 8 * FLOW_HALF_OPEN | EST_IDLE_MIN << 8 * FLOW_ESTABLISHED |
		      (__u64)closing_idle << 8 * FLOW_CLOSING | UDP_IDLE_MIN << 8 * FLOW_UDP |
		      0xffULL << 8 * FLOW_RESERVED;
	__u32 class = stamp & FLOW_CLASS_MASK;
	__u64 age = stamp_age(stamp, now), limit = (least >> 8 * class & 0xff) * hz;
	__u64 rank = RANKS >> 4 * class & 0xf, over = (limit - age) >> 63; /* the sign: age > limit */

	opaque(over);
	rank |= over * SUSPECT & ~(cleared >> slot) * SUSPECT;
	return (rank << 32 | age) << 3 | slot;
}

/*
 * The highest score of a bucket. A branch for each of eight slots would make the verifier follow
 * every combination, so the maximum is arithmetic. A bit of `cleared` for each slot that has not expired, whatever it seems.
 */
static __always_inline __u64 best_victim(__u32 bucket, __u32 now, __u32 cleared, const bool v6)
{
	const struct bucket_head *head = bucket_at(bucket, v6);
	__u64 best = 0;

	if (!head)
		return 0;
#pragma unroll
	for (__u32 slot = 0; slot < BUCKET_SLOTS; slot++) {
		__u64 score = eviction_score(READ_ONCE(head->stamps[slot]), now, slot, cleared);
		__s64 less = (__s64)(best - score) >> 63;

		opaque(less);
		best += (score - best) & less;
	}
	return best;
}

#define SCORE_RANK_SHIFT 35

/*
 * Whether the flow at `ref` may leave now: a suspect if it has expired, another in its turn. When its
 * stamp was older than the truth, it is brought up to date instead, and another look may choose better.
 */
static __always_inline bool may_leave(__u32 ref, bool suspect, __u32 now, const bool v6)
{
	__u32 slot = ref & SLOT_MASK, stamp, idle, class;
	struct place at;

	if (!place_at(&at, ref, v6))
		return false;
	opaque(slot);
	slot &= SLOT_MASK;
	stamp = READ_ONCE(at.head->stamps[slot]);
	class = stamp & FLOW_CLASS_MASK;
	/* Of half-open flows the oldest goes: its stamp says enough, and a flood pays no look at the flow. */
	if (class == FLOW_CLOSING || (class == FLOW_HALF_OPEN && !suspect))
		return true;
	idle = idle_time(at.half, now, v6);
	if (idle > idle_limit(class, at.half->node))
		return class != FLOW_FREE;
	if (stamp_age(stamp, now) > idle + 2 * FLOW_CLASS_MASK)
		__sync_val_compare_and_swap(&at.head->stamps[slot], stamp, stamp_of(now - idle, class));
	else if (class == FLOW_HALF_OPEN || class == FLOW_UDP)
		return !suspect;
	return false;
}

/* Answer of a look that has cleared a slot: bits 0 to 2 the slot, bit 3: of the second bucket. */
#define CLEARED_REF 0xfffff000

/*
 * One look at two locked buckets: the reference of the first to leave, NO_REF when nobody may, or
 * CLEARED_REF when another look is needed. `cleared`: a bit for each slot of the first bucket, then
 * of the second, that an earlier look has cleared.
 */
static __always_inline __u32 look_for_victim(__u32 first, __u32 second, __u32 now, __u32 cleared, const bool v6)
{
	__u64 best = best_victim(first, now, cleared, v6);
	__u64 other = best_victim(second, now, cleared >> BUCKET_SLOTS, v6);
	__u32 bucket = first, answer = CLEARED_REF, ref;

	if (other > best) {
		best = other;
		bucket = second;
		answer |= BUCKET_SLOTS;
	}
	if (!(best >> SCORE_RANK_SHIFT))
		return NO_REF;
	ref = bucket << 3 | (best & SLOT_MASK);
	if (may_leave(ref, best >> SCORE_RANK_SHIFT & SUSPECT, now, v6))
		return ref;
	return answer | (best & SLOT_MASK);
}

__attribute__((noinline)) __u32 look_for_victim4(__u32 first, __u32 second, __u32 now, __u32 cleared)
{
	return look_for_victim(first, second, now, cleared, false);
}

__attribute__((noinline)) __u32 look_for_victim6(__u32 first, __u32 second, __u32 now, __u32 cleared)
{
	return look_for_victim(first, second, now, cleared, true);
}

/*
 * Chooses who leaves one of two locked buckets, or NO_REF when nobody may. A look clears each slot at
 * most once, so the looks suffice; BUSY_REF: the packet path kept changing what they saw.
 */
static __always_inline __u32 choose_victim(__u32 first, __u32 second, __u32 now, const bool v6)
{
	__u32 cleared = 0, ref;

	for (int i = 0; i < 4 * BUCKET_SLOTS; i++) {
		ref = v6 ? look_for_victim6(first, second, now, cleared) : look_for_victim4(first, second, now, cleared);
		if (ref < CLEARED_REF || ref == NO_REF)
			return ref;
		cleared |= 1 << (ref & (2 * BUCKET_SLOTS - 1));
	}
	return BUSY_REF;
}

/* ------------------------------------------------------------------ the sweep */

/* Removes what has expired from one bucket; returns how many flows. */
static __always_inline __u32 sweep_bucket(__u32 bucket, __u32 now, const bool v6)
{
	struct locks held = {{NO_REF, NO_REF, NO_REF, NO_REF}};
	__u32 removed = 0;

	for (__u32 slot = 0; slot < BUCKET_SLOTS; slot++) {
		struct place at;

		if (!place_at(&at, bucket << 3 | slot, v6) || !READ_ONCE(at.head->tags[slot]))
			continue;
		if (!is_expired(&at, now, v6) || !hold(&held, 0, bucket, v6))
			continue;
		/* again, now that nobody can change it */
		if (READ_ONCE(at.head->tags[slot]) && is_expired(&at, now, v6))
			removed += v6 ? remove_pair6(at.ref, &held) : remove_pair4(at.ref, &held);
	}
	release(&held, v6);
	return removed;
}

__attribute__((noinline)) __u32 sweep_bucket4(__u32 bucket, __u32 now)
{
	return sweep_bucket(bucket, now, false);
}

__attribute__((noinline)) __u32 sweep_bucket6(__u32 bucket, __u32 now)
{
	return sweep_bucket(bucket, now, true);
}
