/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What a SYN needs if its flow is new, worked out before the flow table is asked: the node, the source port,
 * and so where both halves would lie. Then all their lines are on their way from memory at the same time, and
 * a new flow waits for memory once, not twice. Nothing is taken yet: a retransmission leaves no trace. Ticket
 * and port are taken when the flow turns out to be new; when another CPU was faster, they are found the long way.
 */
#pragma once

#include "port_search.h"
#include "schedule.h"
#include "vip.h"

/* With these a client's own past decides: too long a way to go for a guess. */
#define FLAGS_UNFORESEEN (SERVICE_FLAG_THROTTLE | SERVICE_FLAG_STICK)

/* The node that the next flow of a service gets, and in c->ticket what it stands for; 0: not foreseen. */
static __always_inline __u32 next_node(struct creation *c, __u32 service_id, __u64 word, const struct tuple *t, const bool v6)
{
	struct service_live *live = bpf_map_lookup_elem(&services_live, &service_id);
	bool limited = service_flags(word) & SERVICE_FLAG_LIMITED;
	__u32 node_id;
	__u64 at;

	if (!live || !table_length(word) || service_flags(word) & FLAGS_UNFORESEEN)
		return 0;
	c->ticket = READ_ONCE(live->ticket);
	at = algorithm_of(word) == ALGORITHM_HASH ? hash_client(t, v6) : c->ticket;
	if (!limited && algorithm_of(word) == ALGORITHM_SEQUENCE)
		return node_in_sequence(word, at); /* what most services have, without a call */
	node_id = choice(word, at, limited);
	return limited && !has_room(node_id) ? 0 : node_id; /* full: who has room is another search */
}

/* Has the lines of memory fetched in which a key's half would lie. */
static __always_inline void fetch(__u64 hash, const bool v6)
{
	struct bucket_head *head = bucket_at(first_bucket(hash, v6), v6);

	if (!head)
		return;
	(void)READ_ONCE(head->spilled);
	(void)version_at(head, preferred_slot(hash), v6);
}

/*
 * Looks ahead for a SYN to a service. Between the fetches and the first use of what they fetch lies no call of
 * a function: where a return is predicted wrongly, as those are that are hardened against speculation, all
 * that was fetched before has to arrive first.
 */
static __always_inline void foresee(struct creation *c, __u32 service_id, const struct tuple *t, __u64 hash, const bool v6)
{
	struct service *service = bpf_map_lookup_elem(&services, &service_id);
	struct node_live *live;
	struct node *node;
	__u32 node_id;

	if (!service)
		return;
	c->word = READ_ONCE(service->word);
	node_id = next_node(c, service_id, c->word, t, v6);
	live = bpf_map_lookup_elem(&nodes_live, &node_id);
	node = bpf_map_lookup_elem(&nodes, &node_id);
	if (!node_id || !live || !node || READ_ONCE(node->status.lifecycle) == LIFECYCLE_FREE)
		return;
	c->port = READ_ONCE(live->next_port);
	if (!set_source(&c->reply, node, c->port, t->word.proto, v6))
		return;
	c->foreseen = node_id;
	fetch(hash, v6);
	fetch(c->reply.hash, v6);
}

/* Takes the ticket of the node that was foreseen: c->node. False: there is none, or it is another CPU's. */
static __always_inline bool take_node(struct creation *c, __u32 service_id)
{
	struct service_live *live = bpf_map_lookup_elem(&services_live, &service_id);

	if (!c->foreseen || !live)
		return false;
	c->node = c->foreseen;
	return algorithm_of(c->word) == ALGORITHM_HASH ||
	       __sync_val_compare_and_swap(&live->ticket, c->ticket, c->ticket + 1) == c->ticket;
}
