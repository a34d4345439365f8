/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Reading scheduling tables: what user space has laid out in slots, see enum algorithm. */
#pragma once

#include "flow_table.h"

/* The 64-bit golden ratio: its multiples spread more evenly over a circle than those of any other number. */
#define GOLDEN 0x9e3779b97f4a7c15ULL

/* Every bit of x moves half of the result's (the last step of splitmix64). */
static __always_inline __u64 mix(__u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static __always_inline __u32 table_length(__u64 word)
{
	return word >> SERVICE_LENGTH_SHIFT & ((1 << SERVICE_LENGTH_BITS) - 1);
}

static __always_inline __u8 service_flags(__u64 word)
{
	return word >> SERVICE_FLAGS_SHIFT;
}

static __always_inline __u8 algorithm_of(__u64 word)
{
	return service_flags(word) >> SERVICE_ALGORITHM_SHIFT & SERVICE_ALGORITHM_MASK;
}

/* How many words of slots a table has. */
static __always_inline __u32 table_words(__u64 word)
{
	__u32 length = table_length(word);

	switch (algorithm_of(word)) {
	case ALGORITHM_SEQUENCE:
	case ALGORITHM_HASH:
		return (length + SLOT_NODES - 1) / SLOT_NODES;
	default:
		return length;
	}
}

/* 0, which names no node, where there is nothing. */
static __always_inline __u64 pool_word(__u32 index)
{
	__u64 *word = bpf_map_lookup_elem(&slots, &index);

	return word ? READ_ONCE(*word) : 0;
}

/* The i-th of the node ids that begin with a word. */
static __always_inline __u32 node_at(__u32 first, __u32 i)
{
	return pool_word(first + i / SLOT_NODES) >> i % SLOT_NODES * 16 & 0xffff;
}

static __always_inline __u32 node_in_sequence(__u64 word, __u64 ticket)
{
	__u64 length = table_length(word);

	return node_at((__u32)word, length ? ticket % length : 0);
}

static __always_inline __u32 node_by_hash(__u64 word, __u64 hash)
{
	return node_at((__u32)word, (hash >> 32) * table_length(word) >> 32);
}

static __always_inline __u32 own_node(__u64 column)
{
	return column >> COLUMN_OWN_SHIFT & 0xffff;
}

/* The node that a point of the circle of 64 bits belongs to, on which each has its weight's share. */
static __always_inline __u32 node_by_weight(__u64 word, __u64 point)
{
	__u64 length = table_length(word), at = (point >> 32) * length + ((point & 0xffffffff) * length >> 32);
	__u64 column = pool_word((__u32)word + (at >> 32));

	return (__u32)at < (__u32)column ? own_node(column) : column >> COLUMN_ALIAS_SHIFT;
}
