/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* From an address to what is configured there. */
#pragma once

#include "parse.h"

/* The entry of a tuple's destination; `port` has a port and above it a protocol, as in struct vip_key. */
static __always_inline __u32 *look_up_vip(const struct tuple *t, __u32 port, const bool v6)
{
	struct vip_key key __attribute__((aligned(8)));
	__u64 *addr = (__u64 *)key.addr; /* in whole words, see WORD_KEY */

	addr[0] = v6 ? ((const __u64 *)t->dst)[0] : t->dst[0];
	addr[1] = v6 ? ((const __u64 *)t->dst)[1] : 0;
	*(__u32 *)&key.port = port | (v6 ? 6U : 4U) << 24;
	return bpf_map_lookup_elem(&vips, &key);
}

/* The service id of a tuple's destination, or -1. */
static __always_inline int find_service(const struct tuple *t, const bool v6)
{
	__u32 *id = look_up_vip(t, t->word.dport | (__u32)t->word.proto << 16, v6);

	return id ? (int)*id : -1;
}

/* Whether a tuple's destination is a VIP, whatever the port. */
static __always_inline bool is_vip(const struct tuple *t, const bool v6)
{
	return look_up_vip(t, 0, v6);
}
