/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Counters, per CPU, so plain additions. */
#pragma once

#include "maps.h"

/* The bench compiles the program once more without what counts forwarded packets, to tell what that costs. */
#ifndef COUNTING
#define COUNTING 1
#endif

/* Whose a packet is that is refused or dropped: the id of a service, plus one. 0: that is not known. */
#define NOBODYS 0

static __always_inline __u32 owner_of(__u32 service_id)
{
	return service_id + 1; /* NOBODYS for NO_SERVICE */
}

static __always_inline __u32 owner_of_node(__u32 node_id)
{
	struct node *node = bpf_map_lookup_elem(&nodes, &node_id);

	return node ? owner_of(node->service) : NOBODYS;
}

/* Counts a packet for its service, if it was refused or dropped. */
static __always_inline void count_refused(__u32 owner, __u32 reason)
{
	__u32 service_id = owner - 1, i = reason - REASON_NO_BACKEND;
	struct service_stats *stats = bpf_map_lookup_elem(&services_stats, &service_id);

	if (stats && i < SERVICE_REASONS)
		stats->packets[i]++;
}

static __always_inline void count_reason(__u32 reason)
{
	struct reason_counters *counters;
	__u32 zero = 0;

	if (!COUNTING)
		return;
	barrier_var(reason); /* what clang knows of it the verifier of Linux 6.1 has forgotten: it must see the bound */
	counters = bpf_map_lookup_elem(&reasons, &zero);
	if (counters && reason < REASON_MAX)
		counters->packets[reason]++;
}

/* Counts a flow that has left the table; `class` FLOW_FREE: none has. */
__attribute__((noinline)) int count_removal(__u32 family, __u32 why, __u32 class)
{
	struct flow_stats *stats = bpf_map_lookup_elem(&flows_stats, &family);

	if (stats && class != FLOW_FREE)
		stats->removed[why & 7][class & 7]++;
	return 0;
}

static __always_inline void count_closing(__u32 why, const bool v6)
{
	__u32 family = v6 ? OF_IPV6 : OF_IPV4;
	struct flow_stats *stats = bpf_map_lookup_elem(&flows_stats, &family);

	if (stats)
		stats->closed[why & 7]++;
}

static __always_inline void count_half(struct half *half, __u32 bytes)
{
	if (!COUNTING)
		return;
	half->packets++;
	half->bytes += bytes;
}

static __always_inline void count_in(__u32 node_id, __u32 bytes, bool new)
{
	struct node_stats *stats;

	if (!COUNTING)
		return;
	stats = bpf_map_lookup_elem(&nodes_stats, &node_id);
	if (!stats)
		return;
	stats->packets_in++;
	stats->bytes_in += bytes;
	if (new)
		stats->flows++;
}

static __always_inline void count_flow(__u32 node_id)
{
	struct node_stats *stats = bpf_map_lookup_elem(&nodes_stats, &node_id);

	if (stats)
		stats->flows++;
}

static __always_inline void count_failed(__u32 node_id, __u32 kind)
{
	struct node_stats *stats = bpf_map_lookup_elem(&nodes_stats, &node_id);

	if (stats && kind < SIGNAL_KINDS)
		stats->failed[kind]++;
}

static __always_inline void count_out(__u32 node_id, __u32 bytes)
{
	struct node_stats *stats;

	if (!COUNTING)
		return;
	stats = bpf_map_lookup_elem(&nodes_stats, &node_id);
	if (!stats)
		return;
	stats->packets_out++;
	stats->bytes_out += bytes;
}
