/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* From a service to a node. Policy is in the tables that user space wrote; here they are read. */
#pragma once

#include "room.h"

/*
 * The hash of the client's address alone. It has no secret: every balancer must choose the same node
 * for a client without asking the others.
 */
static __always_inline __u64 hash_client(const struct tuple *t, const bool v6)
{
	__u64 hash = mix((v6 ? ((const __u64 *)t->src)[0] : t->src[0]) + GOLDEN);

	return v6 ? mix((hash ^ ((const __u64 *)t->src)[1]) + GOLDEN) : hash;
}

/* The next ticket of a service: its choices are counted from 0. */
static __always_inline __u64 take_ticket(__u32 service_id)
{
	struct service_live *live = bpf_map_lookup_elem(&services_live, &service_id);

	return live ? __sync_fetch_and_add(&live->ticket, 1) : 0;
}

/* The node for a new flow of a service by its word. Answers a node id, or the negative of a reason. */
static __always_inline int choose_node(__u32 service_id, __u64 word, const struct tuple *t, const bool v6)
{
	__u8 flags = service_flags(word);
	__u32 node_id;
	__u64 at;

	if (!table_length(word))
		return flags & SERVICE_FLAG_DROP ? -REASON_NO_BACKEND_DROPPED : -REASON_NO_BACKEND;
	at = algorithm_of(word) == ALGORITHM_HASH ? hash_client(t, v6) : take_ticket(service_id);
	if (flags & SERVICE_FLAG_LIMITED)
		return choose_with_room(service_id, word, at);
	node_id = choice(word, at, false);
	return is_anybodys(node_id) ? (int)node_id : -REASON_BAD_SERVICE;
}
