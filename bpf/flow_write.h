/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Slots for the two halves of a new flow, and what is written into them. */
#pragma once

#include "checksum.h"
#include "port_search.h"

/* ------------------------------------------------------------------ slots */

/* A free slot of a bucket, the preferred one if it is; or NO_REF. */
static __always_inline __u32 free_slot(__u32 bucket, __u64 hash, const bool v6)
{
	struct bucket_head *head = bucket_at(bucket, v6);
	__u32 preferred = preferred_slot(hash);
	__u64 match;

	if (!head)
		return NO_REF;
	if (!READ_ONCE(head->tags[preferred]))
		return bucket << 3 | preferred;
	match = match_tags(head, 0);
	return match ? bucket << 3 | lowest_slot(match) : NO_REF;
}

/* How many slots of a bucket are free. Counts lanes that are 0, without the borrow of match_tags(). */
static __always_inline __u32 count_free(__u32 bucket, const bool v6)
{
	const struct bucket_head *head = bucket_at(bucket, v6);
	const volatile __u64 *tags;
	__u64 low, high;

	if (!head)
		return 0;
	tags = (const volatile __u64 *)head->tags;
	low = tags[0];
	high = tags[1];
	low = ~((low & ~(LANES << 15)) + ~(LANES << 15) | low) >> 15 & LANES;
	high = ~((high & ~(LANES << 15)) + ~(LANES << 15) | high) >> 15 & LANES;
	return (low + high) * LANES >> 48;
}

/*
 * The first bucket is preferred, so that most packets find their flow there; but once it has fewer
 * free slots than this, the emptier of the two is taken. Without that the table would turn flows
 * away when it is half full.
 */
#define PREFER_FIRST 3

/*
 * Gives a slot to a key: marked as being written and stamped reserved, so that neither a second search
 * evicts it nor a packet of its last flow moves it.
 */
static __always_inline bool mark_slot(__u32 ref, __u64 hash, __u32 now, const bool v6)
{
	__u32 slot = ref & SLOT_MASK;
	struct place at;

	if (!place_at(&at, ref, v6))
		return false;
	opaque(slot);
	slot &= SLOT_MASK;
	bump_version(&at, v6);
	WRITE_ONCE(at.head->stamps[slot], stamp_of(now, FLOW_RESERVED));
	WRITE_ONCE(at.head->tags[slot], tag_of(hash));
	return true;
}

/* Takes a slot for a key, evicting if need be. */
static __always_inline __u32 reserve_slot(__u64 hash, struct locks *l, int second_lock, __u32 now, const bool v6)
{
	__u32 first = first_bucket(hash, v6), second = second_bucket(hash, v6), room = count_free(first, v6), ref, why;

	ref = free_slot(first, hash, v6);
	if (room < PREFER_FIRST) {
		if (!hold(l, second_lock, second, v6)) {
			if (!room)
				return BUSY_REF;
		} else if (count_free(second, v6) > room) {
			ref = free_slot(second, hash, v6);
		}
	}
	if (ref == NO_REF) {
		ref = choose_victim(first, second, now, v6);
		if (ref >= BUSY_REF)
			return ref;
		why = ref & HAD_EXPIRED ? REMOVAL_EXPIRED : REMOVAL_ROOM;
		ref &= ~HAD_EXPIRED;
		if (!remove_flow(ref, l, why, v6))
			return BUSY_REF;
	}
	if (!mark_slot(ref, hash, now, v6))
		return NO_REF;
	if (ref >> 3 != first)
		count_spilled(hash, 1, v6);
	return ref;
}

/* The same as long as a key's first bucket has room enough, which is nearly always; else NO_REF. */
static __always_inline __u32 reserve_first(__u64 hash, __u32 now, const bool v6)
{
	__u32 bucket = first_bucket(hash, v6), ref = free_slot(bucket, hash, v6);

	if (ref == NO_REF || count_free(bucket, v6) < PREFER_FIRST)
		return NO_REF;
	return mark_slot(ref, hash, now, v6) ? ref : NO_REF;
}

__attribute__((noinline)) __u32 reserve_slot4(__u64 hash, struct locks *l, int second_lock, __u32 now)
{
	if (!l)
		return NO_REF;
	return second_lock == 2 ? reserve_slot(hash, l, 2, now, false) : reserve_slot(hash, l, 3, now, false);
}

__attribute__((noinline)) __u32 reserve_slot6(__u64 hash, struct locks *l, int second_lock, __u32 now)
{
	if (!l)
		return NO_REF;
	return second_lock == 2 ? reserve_slot(hash, l, 2, now, true) : reserve_slot(hash, l, 3, now, true);
}

static __always_inline void unreserve_slot(__u32 ref, __u64 hash, const bool v6)
{
	__u32 slot = ref & SLOT_MASK;
	struct place at;

	if (!place_at(&at, ref, v6))
		return;
	WRITE_ONCE(at.head->tags[slot], 0);
	WRITE_ONCE(at.head->stamps[slot], FLOW_FREE);
	if (ref >> 3 != first_bucket(hash, v6))
		count_spilled(hash, -1, v6);
	bump_version(&at, v6);
}

/* ------------------------------------------------------------------ writing */

/* Sum of all that NAT changes under the transport checksum, for a packet of `from`. */
static __always_inline __u64 sum_of_key(const struct tuple *t, const bool v6)
{
	int words = v6 ? 4 : 1;

	return checksum_words(t->src, words) + checksum_words(t->dst, words) + *(const __u32 *)&t->word;
}

/* Both ports in one word, so that they are written by one store, as rewriting reads them by one load. */
static __always_inline __u32 reversed_ports(const struct tuple *t)
{
	return (__u32)t->word.sport << 16 | t->word.dport;
}

/* Writes the family's part of a half: `key` comes in, the reverse of `other` goes out. */
static __always_inline void write_keys(const struct place *at, const struct tuple *key, const struct tuple *other,
				       __u8 flags, const bool v6)
{
	__u32 slot = at->ref & SLOT_MASK;
	__u16 l4 = sum_change(sum_of_key(key, v6), sum_of_key(other, v6));
	__u64 *word = (__u64 *)word_at(at->head, slot, v6);

	WRITE_ONCE(*word, (READ_ONCE(*word) & WORD_VERSIONS) | *(const __u64 *)&key->word | (__u64)flags << WORD_FLAGS_SHIFT);
	if (v6) {
		struct flow6 *f = flow6_at(at->head, slot);

		copy_addr(f->src, key->src, true);
		copy_addr(f->dst, key->dst, true);
		copy_addr(f->nat_src, other->dst, true);
		copy_addr(f->nat_dst, other->src, true);
		*(__u32 *)&f->nat_sport = reversed_ports(other);
		f->l4_delta = l4;
	} else {
		struct flow4 *f = flow4_at(at->head, slot);

		f->src = key->src[0];
		f->dst = key->dst[0];
		f->nat_src = other->dst[0];
		f->nat_dst = other->src[0];
		*(__u32 *)&f->nat_sport = reversed_ports(other);
		f->l3_delta = sum_change((__u64)key->src[0] + key->dst[0], (__u64)other->src[0] + other->dst[0]);
		f->l4_delta = l4;
	}
}

/* Writes one half into its reserved slot and makes it visible: entry, class, even version. */
static __always_inline bool write_half(const struct creation *c, __u32 ref, __u32 peer, bool is_forward, const bool v6)
{
	__u8 flags = is_forward ? HALF_FORWARD : HALF_REPLY;
	__u32 slot = ref & SLOT_MASK;
	struct place at;

	if (!c || !place_at(&at, ref, v6))
		return false;
	if (ref >> 3 != first_bucket(is_forward ? c->hash : c->reply.hash, v6))
		flags |= HALF_SPILLED;
	write_keys(&at, is_forward ? &c->key : &c->reply.key, is_forward ? &c->reply.key : &c->key, flags, v6);
	*at.half = (struct half){
		.peer = peer, .node = c->node, .seen = c->now,
		.packets = is_forward, .bytes = is_forward ? c->bytes : 0,
		.own.hop = is_forward ? c->now : c->hop, /* own.origin.born lies in the low half */
	};
	barrier();
	WRITE_ONCE(at.head->stamps[slot],
		   stamp_of(c->now, c->key.word.proto == IPPROTO_TCP ? FLOW_HALF_OPEN : FLOW_UDP));
	bump_version(&at, v6);
	return true;
}

/* Writes both halves, the reply first: once a packet can leave, its answer must be known. */
__attribute__((noinline)) int write_both4(const struct creation *c, __u32 forward, __u32 reply)
{
	return write_half(c, reply, forward, false, false) && write_half(c, forward, reply, true, false);
}

/* One at a time: on the stack there is no room for two that are so long. */
__attribute__((noinline)) int write_half6(const struct creation *c, __u32 ref, __u32 peer, bool is_forward)
{
	return write_half(c, ref, peer, is_forward, true);
}

static __always_inline void write_both6(const struct creation *c, __u32 forward, __u32 reply)
{
	write_half6(c, reply, forward, false);
	write_half6(c, forward, reply, true);
}

/* Writes and counts a flow. */
static __always_inline void write_pair(const struct creation *c, __u32 forward, __u32 reply, const bool v6)
{
	__u32 node_id = c->node;
	struct node_live *live = bpf_map_lookup_elem(&nodes_live, &node_id);

	if (live)
		__sync_fetch_and_add(&live->active, 1);
	if (v6)
		write_both6(c, forward, reply);
	else
		write_both4(c, forward, reply);
}
