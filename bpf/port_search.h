/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * A source port when a node has next to none left: a search through all of them, which goes on where the
 * last one ended, after a look at those that flows have just left.
 */
#pragma once

#include "source_port.h"

/* A search through the ports of a node, and what the last one that was looked at is good for. */
struct port_search {
	__u64 from;
	int use;
};

static __always_inline bool is_good(const struct port_search *s)
{
	return s->use == PORT_FREE || s->use == PORT_CLOSING;
}

/* Looks at the n-th port. Answers whether to stop: what was found is taken. */
static __always_inline long look_at_port(struct port_search *s, __u64 n, const bool v6)
{
	__u32 zero = 0, node_id;
	struct creation *c;
	struct node *node;

	c = bpf_map_lookup_elem(&creations, &zero);
	if (!c)
		return 1;
	node_id = c->node;
	node = bpf_map_lookup_elem(&nodes, &node_id);
	if (!node)
		return 1;
	s->use = try_port(c, node, n, v6);
	return is_good(s);
}

static long search_port4(__u32 i, struct port_search *s)
{
	return look_at_port(s, s->from + i, false);
}

static long search_port6(__u32 i, struct port_search *s)
{
	return look_at_port(s, s->from + i, true);
}

#define FREED_ADDRESSES 4 /* that a freed port is looked for at, because only the port is known */

/* As above, for the ports that ended flows have left: the one that has rested for longest first. */
static __always_inline long look_at_freed(__u32 i, struct port_search *s, const bool v6)
{
	__u32 zero = 0, node_id, port;
	struct node_live *live;
	struct creation *c;

	c = bpf_map_lookup_elem(&creations, &zero);
	if (!c)
		return 1;
	node_id = c->node;
	live = bpf_map_lookup_elem(&nodes_live, &node_id);
	if (!live)
		return 1;
	port = READ_ONCE(live->freed_ports[(s->from + i) & (FREED_PORTS - 1)]);
	if (port < NAT_PORT_MIN)
		return 0;
	return look_at_port(s, i / FREED_PORTS * NAT_PORT_COUNT + port - NAT_PORT_MIN, v6);
}

static long look_at_freed4(__u32 i, struct port_search *s)
{
	return look_at_freed(i, s, false);
}

static long look_at_freed6(__u32 i, struct port_search *s)
{
	return look_at_freed(i, s, true);
}

/* A port that a flow has left. */
static __always_inline bool find_freed(__u32 freed, __u32 addresses, const bool v6)
{
	__u32 tries = FREED_PORTS * (addresses < FREED_ADDRESSES ? addresses : FREED_ADDRESSES);
	struct port_search s = {.from = freed};

	bpf_loop(tries, v6 ? look_at_freed6 : look_at_freed4, &s, 0);
	return is_good(&s);
}

/*
 * Whether a search would be in vain, because one was. A look at 64,000 ports takes milliseconds, so it is not
 * made again for a second, after which flows may have expired; nor for a sixteenth of it when more flows have
 * ended than find_freed() knows the ports of.
 */
static __always_inline bool has_no_ports(const struct node_live *live, __u32 freed, __u32 now)
{
	__u32 full_at = READ_ONCE(live->full_at), age = now - full_at;

	if (!full_at || age >= hz)
		return false;
	return freed - READ_ONCE(live->full_freed) <= FREED_PORTS || age < hz / 16;
}

/* The next port in the circle that may be had, of those of the first addresses (port_search_most). */
static __always_inline bool find_anywhere(struct node_live *live, __u32 freed, __u32 addresses, __u32 now, const bool v6)
{
	__u32 all = addresses * NAT_PORT_COUNT, most = all < port_search_most ? all : port_search_most;
	struct port_search s = {.from = READ_ONCE(live->next_port)};

	if (has_no_ports(live, freed, now))
		return false;
	__sync_fetch_and_add(&live->next_port, bpf_loop(most, v6 ? search_port6 : search_port4, &s, 0));
	if (is_good(&s)) {
		WRITE_ONCE(live->full_at, 0);
		return true;
	}
	WRITE_ONCE(live->full_freed, freed);
	WRITE_ONCE(live->full_at, now ?: 1);
	return false;
}

/*
 * Chooses a port when the few tries of choose_port() found none that is good: one that a flow has left, one
 * of a handshake, any.
 */
static __always_inline bool find_port(struct creation *c, const bool v6)
{
	__u32 node_id, freed, addresses;
	struct node_live *live;
	struct node *node;

	if (!c)
		return false;
	node_id = c->node;
	live = bpf_map_lookup_elem(&nodes_live, &node_id);
	node = bpf_map_lookup_elem(&nodes, &node_id);
	if (!live || !node)
		return false;
	freed = READ_ONCE(live->freed);
	addresses = READ_ONCE(node->snat_count) ?: 1;
	if (find_freed(freed, addresses, v6))
		return true;
	if (c->opening)
		return try_port(c, node, c->opening, v6);
	return find_anywhere(live, freed, addresses, c->now, v6);
}

__attribute__((noinline)) int find_port4(struct creation *c)
{
	return find_port(c, false);
}

__attribute__((noinline)) int find_port6(struct creation *c)
{
	return find_port(c, true);
}
