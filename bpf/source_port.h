/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What a new flow is asked for with, and the source port that NAT gives it: next-fit from a counter of
 * each node, unique because the reply half's key is looked up in the flow table itself.
 */
#pragma once

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
	bool admitted; /* in the place of a flow that its client had opened: no throttle counts it again */
	/* worked out on the way */
	__u64 hop; /* where replies leave */
	__u64 stale; /* the word of a stick entry that does not hold; 0: none */
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
	/* One load of both, as user space writes them by one store. */
	__u32 range = READ_ONCE(*(const __u32 *)&node->snat_first), count = range >> 16 ?: 1, i;
	struct snat *source;

	i = (range & 0xffff) + (__u32)(n / NAT_PORT_COUNT) % count;
	source = bpf_map_lookup_elem(&snats, &i);
	if (!source)
		return false;
	copy_addr(r->key.src, node->addr, v6);
	copy_addr(r->key.dst, source->addr, v6);
	*(__u64 *)&r->key.word = key_word(node->port, bpf_htons(NAT_PORT_MIN + n % NAT_PORT_COUNT), proto);
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
 * closing flow still holds. Each try skips twice as many ports as the one before: connections that
 * began together and stay hold a block of ports, and sixteen neighbours in it say nothing of the rest.
 * False: none free within the tries.
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

		n = last ? resting : __sync_fetch_and_add(&live->next_port, 1ULL << i);
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
