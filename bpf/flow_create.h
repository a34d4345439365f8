/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * A new flow: a source port for it, a slot for each half, both written and published under the
 * locks of their buckets. The first bucket of a key is locked by whoever inserts that key, wherever
 * it ends up, so two CPUs that create the same flow end with one.
 */
#pragma once

#include "checksum.h"
#include "flow_evict.h"

#define PORT_TRIES 16

/* The other direction's key, with the source port that NAT uses. */
struct reply_key {
	struct tuple key;
	__u64 hash;
};

/* What the packet path asks for, and what it gets. */
struct creation {
	struct tuple key;
	__u64 hash;
	__u32 now;
	__u32 bytes; /* of the first packet, layer 3 */
	/* worked out on the way */
	__u64 hop; /* where replies leave */
	__u32 node;
	struct locks held;
	struct reply_key reply;
	/* answer */
	__u32 ref; /* forward half: the new one, or the one that another CPU has just made */
};

/* One for each CPU, because it would not fit the stack beside all else. Scratch. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct creation);
} creations SEC(".maps");

static __always_inline void copy_addr(__be32 *to, const void *from, const bool v6)
{
	__builtin_memcpy(to, from, v6 ? 16 : 4);
}

/* ------------------------------------------------------------------ source port */

/*
 * Whether the flow that holds a source port may lose it: an expired or half-open one. The counter
 * of a node runs in a circle, so what it meets is the oldest. 2: only for want of better (closing).
 */
static __always_inline int may_take_over(const struct place *at, __u32 now, const bool v6)
{
	__u32 class = READ_ONCE(at->head->stamps[at->ref & SLOT_MASK]) & FLOW_CLASS_MASK;

	if (class == FLOW_HALF_OPEN || is_expired(at, now, v6))
		return 1;
	return class == FLOW_CLOSING ? 2 : 0;
}

/* Fills the reply key for the n-th source port of a node. */
static __always_inline bool set_source(struct reply_key *r, const struct node *node, __u64 n, __u8 proto, const bool v6)
{
	__u32 count = node->snat_count ?: 1, i;
	struct snat *source;

	i = node->snat_first + (__u32)(n / NAT_PORT_COUNT) % count;
	source = bpf_map_lookup_elem(&snats, &i);
	if (!source)
		return false;
	copy_addr(r->key.src, node->addr, v6);
	copy_addr(r->key.dst, source->addr, v6);
	r->key.word.sport = node->port;
	r->key.word.dport = bpf_htons(NAT_PORT_MIN + n % NAT_PORT_COUNT);
	r->key.word.proto = proto;
	r->hash = hash_tuple(&r->key, v6);
	return true;
}

/* 1: free or to be taken over, 2: in use by a closing flow, 0: in use. */
static __always_inline int try_port(struct creation *c, const struct node *node, __u64 n, const bool v6)
{
	struct place at;

	if (!set_source(&c->reply, node, n, c->key.word.proto, v6))
		return 0;
	if (!find_half(&at, &c->reply.key, c->reply.hash, v6))
		return 1;
	return may_take_over(&at, c->now, v6);
}

/*
 * Chooses a source port: next-fit from the node's counter; for want of better the first that a
 * closing flow still holds. False: none free within the tries.
 */
static __always_inline bool choose_port(struct creation *c, const bool v6)
{
	struct node_live *live;
	struct node *node;
	__u64 n, resting = 0;
	__u32 node_id;

	if (!c)
		return false;
	node_id = c->node;
	live = bpf_map_lookup_elem(&nodes_live, &node_id);
	node = bpf_map_lookup_elem(&nodes, &node_id);
	if (!live || !node)
		return false;
	for (int i = 0; i <= PORT_TRIES; i++) {
		bool last = i == PORT_TRIES;
		int usable;

		n = last ? resting : __sync_fetch_and_add(&live->next_port, 1);
		usable = try_port(c, node, n, v6);
		if (usable == 1 || last)
			return usable;
		if (usable == 2 && !resting)
			resting = n;
	}
	return false;
}

__attribute__((noinline)) int choose_port4(struct creation *c)
{
	return choose_port(c, false);
}

__attribute__((noinline)) int choose_port6(struct creation *c)
{
	return choose_port(c, true);
}

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
 * Takes a slot for a key, evicting if need be. The slot is marked as being written and stamped
 * reserved, so that neither a second search evicts it nor a packet of its last flow moves it.
 */
static __always_inline __u32 reserve_slot(__u64 hash, struct locks *l, int second_lock, __u32 now, const bool v6)
{
	__u32 first = first_bucket(hash, v6), second = second_bucket(hash, v6), room = count_free(first, v6), ref, slot;
	struct place at;

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
		if (!(v6 ? remove_pair6(ref, l) : remove_pair4(ref, l)))
			return BUSY_REF;
	}
	if (!place_at(&at, ref, v6))
		return NO_REF;
	slot = ref & SLOT_MASK;
	bump_version(&at, v6);
	WRITE_ONCE(at.head->stamps[slot], stamp_of(now, FLOW_RESERVED));
	WRITE_ONCE(at.head->tags[slot], tag_of(hash));
	if (ref >> 3 != first)
		count_spilled(hash, 1, v6);
	return ref;
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

/* The one's complement sums that turn checksums of `from` into those of `to`. */
static __always_inline __u16 sum_change(__u64 from, __u64 to)
{
	return checksum_fold(to + (__u16)~checksum_fold(from));
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
	struct flow_word word = key->word;

	word.flags = flags;
	word.version = word_at(at->head, slot, v6)->version;
	if (v6) {
		struct flow6 *f = flow6_at(at->head, slot);

		copy_addr(f->src, key->src, true);
		copy_addr(f->dst, key->dst, true);
		f->word = word;
		copy_addr(f->nat_src, other->dst, true);
		copy_addr(f->nat_dst, other->src, true);
		*(__u32 *)&f->nat_sport = reversed_ports(other);
		f->l4_delta = l4;
	} else {
		struct flow4 *f = flow4_at(at->head, slot);

		f->src = key->src[0];
		f->dst = key->dst[0];
		f->word = word;
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

__attribute__((noinline)) int write_half4(const struct creation *c, __u32 ref, __u32 peer, bool is_forward)
{
	return write_half(c, ref, peer, is_forward, false);
}

__attribute__((noinline)) int write_half6(const struct creation *c, __u32 ref, __u32 peer, bool is_forward)
{
	return write_half(c, ref, peer, is_forward, true);
}

/* Writes both halves, the reply first: once a packet can leave, its answer must be known. */
static __always_inline void write_pair(const struct creation *c, __u32 forward, __u32 reply, const bool v6)
{
	__u32 node_id = c->node;
	struct node_live *live = bpf_map_lookup_elem(&nodes_live, &node_id);

	if (live)
		__sync_fetch_and_add(&live->active, 1);
	if (v6) {
		write_half6(c, reply, forward, false);
		write_half6(c, forward, reply, true);
	} else {
		write_half4(c, reply, forward, false);
		write_half4(c, forward, reply, true);
	}
}

/* ------------------------------------------------------------------ the whole */

/*
 * Whether a known flow gives way to a new one when its client speaks: a UDP session that was idle
 * too long or whose node is DOWN; a SYN on a flow that is closing, or half-open at a node that takes
 * no new flows, or at a node that is DOWN.
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
	return class == FLOW_CLOSING || actions & ACTION_DEAD || (class == FLOW_HALF_OPEN && !(actions & ACTION_NEW));
}

/* Removes the flow of a half that was found, after locking its bucket into place i. */
static __always_inline bool remove_found(const struct place *at, struct locks *l, int i, const bool v6)
{
	if (!hold(l, i, at->ref >> 3, v6) || !unchanged(at, v6))
		return false;
	return v6 ? remove_pair6(at->ref, l) : remove_pair4(at->ref, l);
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
		if (!remove_found(&at, l, 2, v6))
			return REASON_TABLE_BUSY;
	}
	if (find_half(&at, &r->key, r->hash, v6) &&
	    (!may_take_over(&at, c->now, v6) || !remove_found(&at, l, 3, v6)))
		return REASON_TABLE_BUSY;
	fref = v6 ? reserve_slot6(c->hash, l, 2, c->now) : reserve_slot4(c->hash, l, 2, c->now);
	if (!is_ref(fref))
		return reason_of_ref(fref);
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
 * Creates a flow at c->node. Answers REASON_NEW_FLOW; MISS when another CPU has just made it; or
 * why there is none. With the first two, c->ref is the forward half.
 */
static __always_inline int create_flow(struct creation *c, const bool v6)
{
	__u32 first, second;
	int reason;

	if (!(v6 ? choose_port6(c) : choose_port4(c)))
		return REASON_NO_PORT;
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
