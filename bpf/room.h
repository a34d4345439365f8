/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * max_conns: a node with that many active flows takes no more. Only services that have such nodes
 * come here. First the algorithm's own next choices are tried, so that the others share what the full
 * ones do not take, by weight; then the members one by one, which finds room wherever there is any.
 */
#pragma once

#include "choice.h"

#define ROOM_CHOICES 16
#define ROOM_MEMBERS 512 /* looked at for one packet; the next one's search goes on where it ended */

/* A search for a node with room, and what it found. */
struct room {
	__u64 word;
	__u64 at;      /* ticket, hash, or member to begin with */
	__u32 members; /* node ids in the list that follows the table */
	__u32 first;   /* word that they begin at */
	__u32 node_id; /* found; 0: none yet */
	__u32 tried;
};

/* Every CPU that asks at the same time may add a flow: so many more than max_conns there may be. */
static __always_inline bool is_full(const struct node *node, __u32 node_id)
{
	__u32 most = READ_ONCE(node->max_conns);
	struct node_live *live;

	if (!most)
		return false;
	live = bpf_map_lookup_elem(&nodes_live, &node_id);
	return !live || READ_ONCE(live->active) >= most;
}

static __always_inline bool has_room(__u32 node_id)
{
	struct node *node = bpf_map_lookup_elem(&nodes, &node_id);

	return node && READ_ONCE(node->status.actions) & ACTION_NEW && !is_full(node, node_id);
}

static long try_choice(__u32 i, struct room *r)
{
	__u64 at = r->at + i;
	__u32 node_id;

	if (algorithm_of(r->word) == ALGORITHM_HASH && i)
		at = mix(r->at + i * GOLDEN); /* the same for this client on every balancer */
	node_id = choice(r->word, at, true);
	if (!has_room(node_id))
		return 0;
	r->node_id = node_id;
	r->tried = i;
	return 1;
}

static long try_member(__u32 i, struct room *r)
{
	__u32 node_id = node_at(r->first, (r->at + i) % (r->members ?: 1));

	r->tried = i + 1;
	if (!has_room(node_id))
		return 0;
	r->node_id = node_id;
	return 1;
}

/* As choose_node(), for a service with limits: at is the ticket, or the client's hash. */
__attribute__((noinline)) int choose_with_room(__u32 service_id, __u64 word, __u64 at)
{
	struct service_live *live = bpf_map_lookup_elem(&services_live, &service_id);
	struct room r = {.word = word, .at = at};

	if (!live)
		return -REASON_BAD_SERVICE;
	bpf_loop(ROOM_CHOICES, try_choice, &r, 0);
	if (r.node_id) {
		if (r.tried && algorithm_of(word) != ALGORITHM_HASH)
			__sync_fetch_and_add(&live->ticket, r.tried); /* those choices are made */
		return r.node_id;
	}
	r.first = (__u32)word + table_words(word);
	r.members = pool_word(r.first++) * SLOT_NODES;
	r.at = READ_ONCE(live->cursor);
	bpf_loop(r.members < ROOM_MEMBERS ? r.members : ROOM_MEMBERS, try_member, &r, 0);
	WRITE_ONCE(live->cursor, r.at + r.tried);
	return r.node_id ? (int)r.node_id : -REASON_NODES_FULL;
}
