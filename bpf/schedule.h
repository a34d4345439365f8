/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* From a VIP's port to a node. Policy is in the tables that user space wrote; here is one indexed read. */
#pragma once

#include "flow_table.h"

/* The service id of a tuple's destination, or -1. */
static __always_inline int find_service(const struct tuple *t, const bool v6)
{
	struct vip_key key = {.port = t->word.dport, .proto = t->word.proto, .family = v6 ? 6 : 4};
	__u32 *id;

	__builtin_memcpy(key.addr, t->dst, v6 ? 16 : 4);
	id = bpf_map_lookup_elem(&vips, &key);
	return id ? (int)*id : -1;
}

/*
 * Round robin: the next slot of the table, whose sequence user space has laid out by weight.
 * Answers a node id, or the negative of a reason.
 */
static __always_inline int choose_node(__u32 service_id)
{
	struct service *service = bpf_map_lookup_elem(&services, &service_id);
	struct service_live *live = bpf_map_lookup_elem(&services_live, &service_id);
	__u32 length, index, node_id, *slot;
	struct node *node;
	__u64 word;

	if (!service || !live)
		return -REASON_BAD_SERVICE;
	word = READ_ONCE(service->word);
	length = word >> SERVICE_LENGTH_SHIFT & ((1 << SERVICE_LENGTH_BITS) - 1);
	if (!length)
		return word >> SERVICE_FLAGS_SHIFT & SERVICE_FLAG_DROP ? -REASON_NO_BACKEND_DROPPED : -REASON_NO_BACKEND;
	index = (__u32)word + (__u32)(__sync_fetch_and_add(&live->ticket, 1) % length);
	slot = bpf_map_lookup_elem(&slots, &index);
	if (!slot)
		return -REASON_BAD_SERVICE;
	node_id = *slot;
	node = bpf_map_lookup_elem(&nodes, &node_id);
	return node && READ_ONCE(node->status.lifecycle) != LIFECYCLE_FREE ? (int)node_id : -REASON_BAD_SERVICE;
}
