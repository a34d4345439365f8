/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* From an address to what is configured there. */
#pragma once

#include "flow_table.h"

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

/* Whether a service is found at this address and port, as in struct vip_key. */
static __always_inline bool is_found_at(__u32 service_id, const struct tuple *t, __u32 port, const bool v6)
{
	struct service *service = bpf_map_lookup_elem(&services, &service_id);
	const __u64 *dst = (const __u64 *)t->dst;
	const struct vip_key *vip;
	__u64 differs;

	if (!service)
		return false;
	vip = &service->vip;
	differs = READ_ONCE(*(const __u32 *)&vip->port) ^ (port | (v6 ? 6U : 4U) << 24);
	differs |= READ_ONCE(((const __u64 *)vip->addr)[0]) ^ (v6 ? dst[0] : t->dst[0]);
	if (v6)
		differs |= READ_ONCE(((const __u64 *)vip->addr)[1]) ^ dst[1];
	return !differs;
}

/* The service id of a tuple's destination, or NO_SERVICE. */
static __always_inline __u32 find_service(const struct tuple *t, const bool v6)
{
	__u32 port = t->word.dport | (__u32)t->word.proto << 16, guessed, *guess, *id;
	__u64 addr = v6 ? ((const __u64 *)t->dst)[0] ^ ((const __u64 *)t->dst)[1] : t->dst[0];
	__u32 i = (addr * secret0 + port * secret1) >> 32 & (GUESSES_MAX - 1);

	guess = bpf_map_lookup_elem(&guesses, &i);
	guessed = guess ? READ_ONCE(*guess) : NO_SERVICE; /* once: another CPU may write another one */
	if (is_found_at(guessed, t, port, v6))
		return guessed;
	id = look_up_vip(t, port, v6);
	if (!id)
		return NO_SERVICE;
	if (guess)
		WRITE_ONCE(*guess, *id);
	return *id;
}

/* Whether a tuple's destination is a VIP, whatever the port. */
static __always_inline bool is_vip(const struct tuple *t, const bool v6)
{
	return look_up_vip(t, 0, v6);
}
