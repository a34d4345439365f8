/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * The flow table: buckets of eight in an ARRAY map, two candidate buckets for each key, the first
 * preferred. Readers take no lock: they read the slot's version, use what they copied, and look at
 * the version again. Both families share this code; `v6` is always a constant.
 *
 * Invariants, all under the locks of both buckets concerned:
 *  - a slot with a tag is one half of a pair; its peer points back to it;
 *  - halves come and go in pairs; a version is odd while its slot changes hands.
 */
#pragma once

#include "config.h"
#include "parse.h"

#define NO_REF 0xffffffff   /* a reference is bucket << 3 | slot */
#define BUSY_REF 0xfffffffe /* a lock could not be had */
#define SLOT_MASK (BUCKET_SLOTS - 1)

#define LANES 0x0001000100010001ULL

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))
#define barrier() asm volatile("" ::: "memory")
/* Keeps clang from turning arithmetic on x back into branches, or from forgetting a mask. */
#define opaque(x) asm volatile("" : "+r"(x))

/* A slot that was found, and the version that it had. */
struct place {
	struct bucket_head *head;
	struct half *half;
	__u32 ref;
	__u8 version;
};

static __always_inline struct bucket_head *bucket_at(__u32 i, const bool v6)
{
	if (v6)
		return bpf_map_lookup_elem(&flows6, &i);
	return bpf_map_lookup_elem(&flows4, &i);
}

static __always_inline __u32 bucket_mask(const bool v6)
{
	return v6 ? flows6_mask : flows4_mask;
}

static __always_inline struct flow4 *flow4_at(struct bucket_head *head, __u32 slot)
{
	return &((struct bucket4 *)head)->flows[slot];
}

static __always_inline struct flow6 *flow6_at(struct bucket_head *head, __u32 slot)
{
	return &((struct bucket6 *)head)->flows[slot];
}

static __always_inline struct half *half_at(struct bucket_head *head, __u32 slot, const bool v6)
{
	return v6 ? &flow6_at(head, slot)->half : &flow4_at(head, slot)->half;
}

static __always_inline struct flow_word *word_at(struct bucket_head *head, __u32 slot, const bool v6)
{
	return v6 ? &flow6_at(head, slot)->word : &flow4_at(head, slot)->word;
}

/*
 * From a half to the rest of its slot: who has found one needs no more than where it is. The compiler would
 * work out the slot's place in its bucket again for each use.
 */
static __always_inline struct flow4 *flow4_of(const struct half *half)
{
	return (void *)half - offsetof(struct flow4, half);
}

static __always_inline struct flow6 *flow6_of(const struct half *half)
{
	return (void *)half - offsetof(struct flow6, half);
}

static __always_inline struct flow_word *word_of(const struct half *half, const bool v6)
{
	return v6 ? &flow6_of(half)->word : &flow4_of(half)->word;
}

/*
 * A keyed hash: sums of products with secret odd multipliers, whose high bits spread over any
 * choice of keys that does not know them; then shifts carry these to the low bits.
 */
static __always_inline __u64 hash_finish(__u64 x)
{
	x ^= x >> 32;
	x *= secret2;
	return x ^ x >> 29;
}

static __always_inline __u64 hash_ipv4(__u64 addresses, __u64 word)
{
	return hash_finish(addresses * secret0 + word * secret1);
}

static __always_inline __u64 hash_ipv6(const __u64 *addresses, __u64 word)
{
	__u64 x = addresses[0] * secret0 + addresses[1] * secret1;

	x ^= x >> 32;
	x = (x + addresses[2]) * secret2;
	x ^= x >> 31;
	return hash_finish((x + addresses[3]) * secret0 + word * secret1);
}

static __always_inline __u64 hash_tuple(const struct tuple *t, const bool v6)
{
	__u64 word = *(const __u64 *)&t->word;

	return v6 ? hash_ipv6((const __u64 *)t, word) : hash_ipv4((__u64)t->src[0] | (__u64)t->dst[0] << 32, word);
}

/*
 * A flow_word as one number. It is written and read whole: a load that spans several smaller stores
 * waits until these have left the store buffer, and they leave in order, behind every cache miss.
 */
#define WORD_KEY 0xffffffffffULL    /* ports and protocol */
#define WORD_FLAGS_SHIFT 40
#define WORD_VERSION (1ULL << 48)   /* one version more; what runs over goes to unused */
#define WORD_VERSIONS (0xffffULL << 48)

static __always_inline __u64 key_word(__be16 sport, __be16 dport, __u8 proto)
{
	return sport | (__u32)dport << 16 | (__u64)proto << 32;
}

/* The hash of the key in a slot. */
static __always_inline __u64 hash_slot(struct bucket_head *head, __u32 slot, const bool v6)
{
	__u64 word = *(const __u64 *)word_at(head, slot, v6) & WORD_KEY;

	return v6 ? hash_ipv6((const __u64 *)flow6_at(head, slot), word) :
		    hash_ipv4(*(const __u64 *)flow4_at(head, slot), word);
}

static __always_inline __u16 tag_of(__u64 hash)
{
	return (hash >> 48) | 1;
}

static __always_inline __u32 first_bucket(__u64 hash, const bool v6)
{
	return (__u32)hash & bucket_mask(v6);
}

static __always_inline __u32 second_bucket(__u64 hash, const bool v6)
{
	return (__u32)(hash >> 24) & bucket_mask(v6);
}

/* The slot that a key takes in its bucket if it is free. */
static __always_inline __u32 preferred_slot(__u64 hash)
{
	return hash >> 45 & SLOT_MASK;
}

/*
 * Slots whose tag equals `tag`, without a branch for each: bit 16·i of the result stands for slot i,
 * bit 16·i + 1 for slot i + 4. The lowest set bit is exact; those above it may be wrong (a borrow
 * runs upwards), so find_slot() looks again when the lowest is not the one.
 */
static __always_inline __u64 match_tags(const struct bucket_head *head, __u16 tag)
{
	const volatile __u64 *tags = (const volatile __u64 *)head->tags;
	__u64 low = tags[0] ^ tag * LANES, high = tags[1] ^ tag * LANES;

	low = (low - LANES) & ~low & LANES << 15;
	high = (high - LANES) & ~high & LANES << 15;
	return low >> 15 | high >> 14;
}

/* The slot of the lowest bit of match_tags(). */
static __always_inline __u32 lowest_slot(__u64 match)
{
	__u64 bit = match & -match;
	__u64 low = bit & LANES, high = bit >> 1 & LANES;
	/* 2^(16·i) times this constant has i in its top 16 bits */
	__u32 slot = (low | high) * 0x0000000100020003ULL >> 48;

	slot |= (high * LANES >> 48) << 2;
	slot &= SLOT_MASK;
	opaque(slot);
	return slot & SLOT_MASK;
}

static __always_inline bool key_equals(struct bucket_head *head, __u32 slot, const struct tuple *t, const bool v6)
{
	const __u64 *word = (const __u64 *)word_at(head, slot, v6);
	__u64 differs = (READ_ONCE(*word) ^ *(const __u64 *)&t->word) << 24; /* flags are not part of the key */

	if (v6) {
		const __u64 *src = (const __u64 *)t->src, *dst = (const __u64 *)t->dst;
		const __u64 *key = (const __u64 *)flow6_at(head, slot);

		differs |= (key[0] ^ src[0]) | (key[1] ^ src[1]) | (key[2] ^ dst[0]) | (key[3] ^ dst[1]);
	} else {
		const struct flow4 *f = flow4_at(head, slot);

		differs |= (f->src ^ t->src[0]) | (f->dst ^ t->dst[0]);
	}
	return !differs;
}

/* Looks at every slot of a bucket; for when the first equal tag was another key's. */
static __always_inline int find_slot(__u32 bucket, const struct tuple *t, __u16 tag, const bool v6)
{
	struct bucket_head *head = bucket_at(bucket, v6);

	if (!head || !t)
		return -1;
	for (__u32 slot = 0; slot < BUCKET_SLOTS; slot++)
		if (READ_ONCE(head->tags[slot]) == tag && key_equals(head, slot, t, v6))
			return slot;
	return -1;
}

__attribute__((noinline)) int find_slot4(__u32 bucket, const struct tuple *t, __u16 tag)
{
	return find_slot(bucket, t, tag, false);
}

__attribute__((noinline)) int find_slot6(__u32 bucket, const struct tuple *t, __u16 tag)
{
	return find_slot(bucket, t, tag, true);
}

static __always_inline __u8 version_at(struct bucket_head *head, __u32 slot, const bool v6)
{
	return READ_ONCE(word_at(head, slot, v6)->version);
}

/* A slot of a bucket by the tags in its head, or -1. */
static __always_inline int find_by_tag(struct bucket_head *head, __u32 bucket, const struct tuple *t, __u16 tag, const bool v6)
{
	__u64 match = match_tags(head, tag);
	__u32 slot;

	if (!match)
		return -1;
	slot = lowest_slot(match);
	if (key_equals(head, slot, t, v6))
		return slot;
	return v6 ? find_slot6(bucket, t, tag) : find_slot4(bucket, t, tag);
}

/*
 * Looks first where the key prefers to lie: there a hit costs one cache miss in a large table, the
 * bucket's head not being needed.
 */
static __always_inline bool find_in(struct place *at, __u32 bucket, const struct tuple *t, __u64 hash, const bool v6)
{
	struct bucket_head *head = bucket_at(bucket, v6);
	__u32 slot = preferred_slot(hash);

	at->head = head;
	if (!head)
		return false;
	(void)READ_ONCE(head->spilled); /* for one key in four the head is needed: fetch it at the same time */
	at->version = version_at(head, slot, v6);
	barrier();
	if (!key_equals(head, slot, t, v6)) {
		int found = find_by_tag(head, bucket, t, tag_of(hash), v6);

		if (found < 0)
			return false;
		slot = found;
		opaque(slot);
		slot &= SLOT_MASK;
		at->version = version_at(head, slot, v6);
		barrier();
		if (!key_equals(head, slot, t, v6))
			return false; /* changed hands before its version was read */
	}
	at->half = half_at(head, slot, v6);
	at->ref = bucket << 3 | slot;
	return true;
}

/*
 * Finds the half with this key. What the caller reads through `at` is its own only if unchanged()
 * holds after the last read. The second bucket is looked at only when keys of the first lie there.
 */
static __always_inline bool find_half(struct place *at, const struct tuple *t, __u64 hash, const bool v6)
{
	if (find_in(at, first_bucket(hash, v6), t, hash, v6))
		return true;
	return at->head && READ_ONCE(at->head->spilled) && find_in(at, second_bucket(hash, v6), t, hash, v6);
}

static __always_inline bool unchanged(const struct place *at, const bool v6)
{
	barrier();
	return !(at->version & 1) && READ_ONCE(word_of(at->half, v6)->version) == at->version;
}

/* A slot of a locked bucket begins to change hands, or has done so. */
static __always_inline void bump_version(const struct place *at, const bool v6)
{
	__u64 *word = (__u64 *)word_at(at->head, at->ref & SLOT_MASK, v6);

	barrier();
	WRITE_ONCE(*word, READ_ONCE(*word) + WORD_VERSION);
	barrier();
}

/* The slot behind a reference. */
static __always_inline bool place_at(struct place *at, __u32 ref, const bool v6)
{
	__u32 slot = ref & SLOT_MASK;

	at->head = bucket_at(ref >> 3, v6);
	if (!at->head)
		return false;
	opaque(slot);
	slot &= SLOT_MASK;
	at->half = half_at(at->head, slot, v6);
	at->version = version_at(at->head, slot, v6);
	at->ref = ref;
	barrier();
	return true;
}

static __always_inline __u32 now_jiffies(void)
{
	return bpf_jiffies64();
}

static __always_inline __u32 stamp_of(__u32 now, enum flow_class class)
{
	return (now & ~FLOW_CLASS_MASK) | class;
}

/* Jiffies since a stamp, which may be a tick ahead of this CPU: then 0. Without a branch. */
static __always_inline __u32 stamp_age(__u32 stamp, __u32 now)
{
	__s32 age = now - (stamp & ~FLOW_CLASS_MASK), negative = age >> 31;

	opaque(negative);
	return age & ~negative;
}

#define MOVE_TRIES 4 /* an eviction that brings a stamp up to date may come in between */

/*
 * Sets a bit of word.flags, unless the slot has changed hands: the version lies in the same word. By
 * compare-and-swap, because both directions set flags without a lock. True for the one who has set it.
 */
static __always_inline bool set_half_flag(const struct place *at, __u8 flag, const bool v6)
{
	__u64 *word = (__u64 *)word_at(at->head, at->ref & SLOT_MASK, v6), old;

	for (int i = 0; i < MOVE_TRIES; i++) {
		old = READ_ONCE(*word);
		if ((__u8)(old >> 48) != at->version || (old >> WORD_FLAGS_SHIFT & flag))
			return false;
		if (__sync_val_compare_and_swap(word, old, old | (__u64)flag << WORD_FLAGS_SHIFT) == old)
			return true;
	}
	return false;
}
