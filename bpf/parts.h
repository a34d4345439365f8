/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The parts of a datagram: what a fragment says of its own, and which have passed. */
#pragma once

#include "flow_table.h"

#define FRAGMENT_UNIT 8     /* bytes */
#define DATAGRAM_UNITS 8192 /* 65,536 bytes */
#define IPV6_MORE 1

struct fragment_header {
	__u8 next, reserved;
	__be16 offset; /* three bits for flags */
	__be32 id;
};

/*
 * What is behind the fragment header of a first fragment, at `offset`. Answers as skip_extensions(), whose
 * -REASON_FRAGMENT here is a later one.
 */
static __always_inline int skip_fragment(struct xdp_md *ctx, __u32 offset)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct fragment_header *header = data + (offset & 0x1ff);

	if ((void *)(header + 1) > end)
		return -REASON_TRUNCATED;
	if (header->offset & bpf_htons(~7))
		return -REASON_FRAGMENT;
	return skip_extensions(ctx, offset + sizeof(*header), header->next);
}

/* In units of eight bytes. */
struct part {
	__u32 start, end;
	__be32 id;
	__u8 proto; /* see struct fragment_key */
	bool last;
};

/* What a fragment says of itself. False: no receiver would take it. */
static __always_inline bool read_part(const struct packet *p, struct part *part, const bool v6)
{
	const struct fragment_header *header = p->l4;
	const struct iphdr *ip = p->l3;
	__u32 word, bytes;

	if (v6) {
		word = bpf_ntohs(header->offset);
		part->start = word >> 3;
		part->last = !(word & IPV6_MORE);
		part->id = header->id;
		part->proto = 0;
		bytes = p->l3_bytes - (__u32)(p->l4 + sizeof(*header) - p->l3);
	} else {
		word = bpf_ntohs(ip->frag_off);
		part->start = word & IP_OFFSET;
		part->last = !(word & IP_MF);
		part->id = ip->id;
		part->proto = ip->protocol;
		bytes = p->l3_bytes - ip->ihl * 4;
	}
	part->end = part->start + (bytes + FRAGMENT_UNIT - 1) / FRAGMENT_UNIT;
	return (int)bytes > 0 && part->end <= DATAGRAM_UNITS && (part->last || bytes % FRAGMENT_UNIT == 0);
}

/*
 * Adds a part to those that have passed. False: some of it has passed before, or it lies beyond the end. In
 * order, or with one swap, everything is noted; a second hole is not, and what falls into it passes: the
 * receiver looks at overlaps itself.
 */
static __always_inline bool add_part(struct fragment_parts *seen, const struct part *part)
{
	if (part->start < seen->done || (seen->total && part->end > seen->total))
		return false;
	if (part->start < seen->island_end && part->end > seen->island)
		return false;
	if (part->last) {
		if (seen->total || seen->island_end > part->end)
			return false;
		seen->total = part->end;
	}
	if (part->start == seen->done) {
		seen->done = part->end;
		if (seen->island == seen->done && seen->island_end) {
			seen->done = seen->island_end;
			seen->island = seen->island_end = 0;
		}
	} else if (!seen->island_end) {
		seen->island = part->start;
		seen->island_end = part->end;
	} else if (part->start == seen->island_end) {
		seen->island_end = part->end;
	} else if (part->end == seen->island) {
		seen->island = part->start;
	}
	return true;
}

#define PART_TRIES 4 /* fragments of one datagram seldom come by several CPUs at once */

/* Notes that a part passes. False: it must not, see add_part(). */
static __always_inline bool pass_part(struct fragment_parts *seen, const struct part *part)
{
	union {
		struct fragment_parts parts;
		__u64 word;
	} old, new;

	for (int i = 0; i < PART_TRIES; i++) {
		old.word = READ_ONCE(*(__u64 *)seen);
		new = old;
		if (!add_part(&new.parts, part))
			return false;
		if (__sync_val_compare_and_swap((__u64 *)seen, old.word, new.word) == old.word)
			return true;
	}
	return false;
}
