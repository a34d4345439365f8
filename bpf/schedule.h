/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* From a VIP's port to a node. Policy is in the tables that user space wrote; here is one indexed read. */
#pragma once

#include "flow_table.h"

/* The service id of a tuple's destination, or -1. */
static __always_inline int find_service(const struct tuple *t, const bool v6)
{
	struct vip_key key __attribute__((aligned(8)));
	__u64 *addr = (__u64 *)key.addr; /* in whole words, see WORD_KEY */
	__u32 *id;

	addr[0] = v6 ? ((const __u64 *)t->dst)[0] : t->dst[0];
	addr[1] = v6 ? ((const __u64 *)t->dst)[1] : 0;
	*(__u32 *)&key.port = t->word.dport | (__u32)t->word.proto << 16 | (v6 ? 6U : 4U) << 24;
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
