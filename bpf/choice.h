/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What each algorithm makes of a ticket, or of a client's hash, by the service's table. */
#pragma once

#include "table.h"

#define SECOND_DRAWS 3 /* for another node than the first draw's, before a column's own must do */

static __always_inline bool is_anybodys(__u32 node_id)
{
	struct node *node = bpf_map_lookup_elem(&nodes, &node_id);

	return node && READ_ONCE(node->status.lifecycle) != LIFECYCLE_FREE;
}

/* Flows that a node would have with one more, and what they are to be divided by. */
struct load {
	__u64 flows, weight;
};

#define LOAD_FULL (1ULL << 40) /* more flows than any node can have */

/* limited: max_conns counts. */
static __always_inline struct load load_of(__u32 node_id, bool limited)
{
	struct node_live *live = bpf_map_lookup_elem(&nodes_live, &node_id);
	struct node *node = bpf_map_lookup_elem(&nodes, &node_id);
	struct load load = {LOAD_FULL, 1};
	__u32 most;

	if (!live || !node)
		return load;
	most = READ_ONCE(node->max_conns);
	load.flows = READ_ONCE(live->active) + 1;
	if (limited && most && load.flows > most)
		load.flows = LOAD_FULL;
	load.weight = READ_ONCE(node->weight);
	return load;
}

/* A node other than the first, by weight; the first only if there is no other. */
static __always_inline __u32 draw_another(__u64 word, __u32 first, __u64 random)
{
	__u64 length = table_length(word), column;
	__u32 node_id = first;

	for (int i = 0; i < SECOND_DRAWS && node_id == first; i++) {
		random = mix(random + GOLDEN);
		node_id = node_by_weight(word, random);
	}
	if (node_id != first)
		return node_id;
	/* Most of the weight is the first one's. Of two neighbours, one column at least is another's own. */
	column = (random >> 32) * length >> 32;
	node_id = own_node(pool_word((__u32)word + column));
	if (node_id != first)
		return node_id;
	column = column + 1 < length ? column + 1 : 0;
	return own_node(pool_word((__u32)word + column));
}

/*
 * Least connections by the power of two choices: of two nodes drawn by weight, the one with fewer
 * flows for its weight. To find the least of all would take a look at each, and all who look at the
 * same time would send their flows to the same node.
 */
static __always_inline __u32 less_loaded(__u64 word, __u64 random, bool limited)
{
	__u32 first = node_by_weight(word, random), second = draw_another(word, first, random);
	struct load a = load_of(first, limited), b = load_of(second, limited);

	a.flows *= b.weight;
	b.flows *= a.weight;
	if (a.flows == b.flows)
		return random & 1 ? second : first;
	return a.flows < b.flows ? first : second;
}

/*
 * The node id that a ticket, or a client's hash, stands for; 0 or a stranger's if the table is wrong. A
 * function of its own, that keeps its part of the stack to itself.
 */
__attribute__((noinline)) int choice(__u64 word, __u64 at, bool limited)
{
	switch (algorithm_of(word)) {
	case ALGORITHM_SEQUENCE:
		return node_in_sequence(word, at);
	case ALGORITHM_HASH:
		return node_by_hash(word, at);
	case ALGORITHM_TICKETS:
		return node_by_weight(word, at * GOLDEN);
	default:
		return less_loaded(word, mix(at * GOLDEN), limited);
	}
}
