/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What a new flow is asked for with, and the source port that NAT gives it: next-fit from a counter of
 * each node, unique because the reply half's key is looked up in the flow table itself.
 */
#pragma once

#include "flow_evict.h"

#define PORT_TRIES 16

/* The other direction's key, with the source port that NAT uses, and the half that has that port already. */
struct reply_key {
	struct tuple key;
	__u64 hash;
	__u32 holder; /* a reference; NO_REF: nobody */
	__u32 holder_version;
};

/* What the packet path asks for, and what it gets. */
struct creation {
	struct tuple key;
	__u64 hash;
	__u32 now;
	__u32 bytes; /* of the first packet, layer 3 */
	__u32 service;
	bool admitted; /* in the place of a flow that its client had opened: no throttle counts it again */
	/* worked out beforehand, see foresee() */
	__u32 foreseen; /* the node; 0: none */
	__u64 word;     /* of the service */
	__u64 ticket;   /* that stands for the node */
	__u64 port;     /* the number of the source port in `reply` */
	/* worked out on the way */
	__u32 tags; /* the entry of those that replies leave with; 0: none */
	__u64 hop; /* where replies leave */
	__u64 stale; /* the word of a stick entry that does not hold; 0: none */
	__u32 node;
	struct locks held;
	struct reply_key reply;
	__u64 opening; /* number of a port that one could have if there is no better; 0: none */
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

/* What a source port of a node is good for; the smaller the better, but for the first. */
enum port_use {
	PORT_TAKEN = 0,
	PORT_FREE,    /* or its flow has expired, or is half-open for a while: it may lose the port */
	PORT_CLOSING, /* it may be had, but would better rest */
	PORT_OPENING, /* a handshake goes on that would come to nothing */
};

#define HANDSHAKE_SECONDS 2 /* a half-open flow is left alone for so long, unless it is the first that is met */

static __always_inline int use_of_holder(const struct place *at, __u32 now, const bool v6)
{
	__u32 stamp = READ_ONCE(at->head->stamps[at->ref & SLOT_MASK]), class = stamp & FLOW_CLASS_MASK;

	if (class == FLOW_HALF_OPEN)
		return stamp_age(stamp, now) < HANDSHAKE_SECONDS * hz ? PORT_OPENING : PORT_FREE;
	if (is_expired(at, now, v6))
		return PORT_FREE;
	return class == FLOW_CLOSING ? PORT_CLOSING : PORT_TAKEN;
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

/* What the port in c->reply is good for. */
static __always_inline int use_of_port(struct creation *c, const bool v6)
{
	struct place at;

	c->reply.holder = NO_REF;
	if (!find_half(&at, &c->reply.key, c->reply.hash, v6))
		return PORT_FREE;
	c->reply.holder = at.ref;
	c->reply.holder_version = at.version;
	return use_of_holder(&at, c->now, v6);
}

/* Makes the n-th port of the node the flow's, and answers what it is good for. */
static __always_inline int try_port(struct creation *c, const struct node *node, __u64 n, const bool v6)
{
	return set_source(&c->reply, node, n, c->key.word.proto, v6) ? use_of_port(c, v6) : PORT_TAKEN;
}

/* Takes the port that was foreseen, which c->reply holds, if it is as good as a first try must be and still the next. */
static __always_inline bool take_foreseen(struct creation *c, struct node_live *live, const bool v6)
{
	int use = use_of_port(c, v6);

	return (use == PORT_FREE || use == PORT_OPENING) &&
	       __sync_val_compare_and_swap(&live->next_port, c->port, c->port + 1) == c->port;
}

/*
 * Chooses a source port: next-fit from the node's counter, which runs in a circle, so that the half-open
 * flow that it meets first is the oldest; for want of better one whose flow is closing. Each try skips
 * twice as many ports as the one before: connections that began together and stay hold a block of
 * ports, and sixteen neighbours in it say nothing of the rest. False: find_port() is to look further.
 */
static __always_inline bool choose_port(struct creation *c, const bool v6)
{
	__u64 n, closing = 0;
	struct node_live *live;
	struct node *node;
	__u32 node_id;

	if (!c)
		return false;
	c->opening = 0;
	node_id = c->node;
	live = bpf_map_lookup_elem(&nodes_live, &node_id);
	node = bpf_map_lookup_elem(&nodes, &node_id);
	if (!live || !node)
		return false;
	if (c->foreseen == node_id && take_foreseen(c, live, v6))
		return true;
	for (int i = 0; i < PORT_TRIES; i++) {
		int use;

		n = __sync_fetch_and_add(&live->next_port, 1ULL << i);
		use = try_port(c, node, n, v6);
		if (use == PORT_FREE || (use == PORT_OPENING && !i))
			return true;
		if (use == PORT_CLOSING && !closing)
			closing = n;
		if (use == PORT_OPENING && !c->opening)
			c->opening = n;
	}
	return closing && try_port(c, node, closing, v6);
}

__attribute__((noinline)) int choose_port4(struct creation *c)
{
	return choose_port(c, false);
}

__attribute__((noinline)) int choose_port6(struct creation *c)
{
	return choose_port(c, true);
}
