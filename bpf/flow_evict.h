/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What leaves the flow table, and when. The order is: expired, closing, oldest half-open, longest
 * idle UDP. An established TCP flow is never evicted. The packet path, when it needs room, and the
 * sweep use the same functions.
 */
#pragma once

#include "flow_remove.h"

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
 * Why the flow at `ref` may leave now: a suspect has expired, another is in its turn; 0: it may not. When its
 * stamp was older than the truth, it is brought up to date instead, and another look may choose better.
 */
static __always_inline enum removal may_leave(__u32 ref, bool suspect, __u32 now, const bool v6)
{
	__u32 slot = ref & SLOT_MASK, stamp, idle, class;
	struct place at;

	if (!place_at(&at, ref, v6))
		return 0;
	opaque(slot);
	slot &= SLOT_MASK;
	stamp = READ_ONCE(at.head->stamps[slot]);
	class = stamp & FLOW_CLASS_MASK;
	/* Of half-open flows the oldest goes: its stamp says enough, and a flood pays no look at the flow. */
	if (class == FLOW_CLOSING || (class == FLOW_HALF_OPEN && !suspect))
		return suspect ? REMOVAL_EXPIRED : REMOVAL_ROOM;
	idle = idle_time(at.half, now, v6);
	if (has_outlived(class, at.half->node, idle, now))
		return class != FLOW_FREE ? REMOVAL_EXPIRED : 0;
	if (stamp_age(stamp, now) > idle + 2 * FLOW_CLASS_MASK)
		__sync_val_compare_and_swap(&at.head->stamps[slot], stamp, stamp_of(now - idle, class));
	else if (class == FLOW_HALF_OPEN || class == FLOW_UDP)
		return suspect ? 0 : REMOVAL_ROOM;
	return 0;
}

/* Answer of a look that has cleared a slot: bits 0 to 2 the slot, bit 3: of the second bucket. */
#define CLEARED_REF 0xfffff000

#define HAD_EXPIRED (1U << 31) /* of the reference of who leaves: not before its time */

/*
 * One look at two locked buckets: the reference of the first to leave (with HAD_EXPIRED), NO_REF when nobody may, or
 * CLEARED_REF when another look is needed. `cleared`: a bit for each slot of the first bucket, then
 * of the second, that an earlier look has cleared.
 */
static __always_inline __u32 look_for_victim(__u32 first, __u32 second, __u32 now, __u32 cleared, const bool v6)
{
	__u64 best = best_victim(first, now, cleared, v6);
	__u64 other = best_victim(second, now, cleared >> BUCKET_SLOTS, v6);
	__u32 bucket = first, answer = CLEARED_REF, ref;
	enum removal why;

	if (other > best) {
		best = other;
		bucket = second;
		answer |= BUCKET_SLOTS;
	}
	if (!(best >> SCORE_RANK_SHIFT))
		return NO_REF;
	ref = bucket << 3 | (best & SLOT_MASK);
	why = may_leave(ref, best >> SCORE_RANK_SHIFT & SUSPECT, now, v6);
	if (why)
		return why == REMOVAL_EXPIRED ? ref | HAD_EXPIRED : ref;
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
