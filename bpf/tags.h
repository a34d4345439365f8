/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * VLAN tags. They come off before a frame is parsed, so that nothing else knows of them, and go on again when
 * it leaves: those that it came with if it goes back there or to the kernel, else those of its way.
 */
#pragma once

#include "nexthop.h"

#define BOTH_TAGS(x) ((__u64)bpf_htonl(x) << 32 | bpf_htonl(x))

/*
 * Whether there are any. By the outer one's type alone, because the verifier would take what it learns of all of
 * the word along, and look twice at what follows.
 */
static __always_inline bool is_tagged(vlan_tags t)
{
	return t & 0xffff;
}

/* Whether a frame with these tags is of another network than those without any: id 0 says only how urgent it is. */
static __always_inline bool of_another_network(vlan_tags t)
{
	return t & BOTH_TAGS(TAG_VID);
}

/*
 * Takes the tag of a frame that has one off, and the next as well if there is one. Answers both; 0: the frame
 * is cut short, and as it was.
 */
__attribute__((noinline)) __u64 take_off_tags(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u8 macs[2 * ETH_ALEN];
	__u32 *tag = data + sizeof(macs);
	int bytes = TAG_BYTES;
	vlan_tags t;

	if ((void *)(tag + 1) + sizeof(__be16) > end)
		return 0;
	t = *tag++;
	if (is_tag(*(__be16 *)tag) && (void *)(tag + 1) + sizeof(__be16) <= end) {
		t |= (__u64)*tag << 32;
		bytes += TAG_BYTES;
	}
	__builtin_memcpy(macs, data, sizeof(macs));
	if (bpf_xdp_adjust_head(ctx, bytes))
		return 0;
	data = (void *)(long)ctx->data;
	if (data + sizeof(macs) > (void *)(long)ctx->data_end)
		return 0;
	__builtin_memcpy(data, macs, sizeof(macs));
	return t;
}

/* Puts tags on a frame. False: there is no room for them before it. */
static __always_inline bool put_on_tags(struct xdp_md *ctx, vlan_tags t)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u8 macs[2 * ETH_ALEN];
	__u32 *tag; /* its type and control information */

	if (data + sizeof(macs) > end)
		return false;
	__builtin_memcpy(macs, data, sizeof(macs));
	if (bpf_xdp_adjust_head(ctx, t >> 32 ? -2 * TAG_BYTES : -TAG_BYTES))
		return false;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	tag = data + sizeof(macs);
	if ((void *)(tag + 1) > end)
		return false;
	__builtin_memcpy(data, macs, sizeof(macs));
	tag[0] = t;
	if (t >> 32 && (void *)(tag + 2) <= end)
		tag[1] = t >> 32;
	return true;
}

/* The tags of a client's frames as its replies have them. */
static __always_inline vlan_tags for_replies(vlan_tags t)
{
	return t & ~BOTH_TAGS(TAG_DEI);
}

/* The tags that a way out asks for. */
static __always_inline vlan_tags tags_of_way(__u32 way)
{
	__u32 index = way & (LINKS_MAX - 1), learned = way >> WAY_TAGS_SHIFT & (TAGS_MAX - 1);
	const struct link_entry *link;
	const vlan_tags *t;

	if (learned == TAGS_OF_LINK) {
		link = bpf_map_lookup_elem(&links, &index);
		return link ? link->tags : 0;
	}
	t = bpf_map_lookup_elem(&tags, &learned);
	return t ? for_replies(*t) : 0;
}

/*
 * Puts on a frame what it is to have by its verdict and reason: `came` if it goes back or to the kernel, or
 * ends here. Answers the verdict that holds in the end.
 */
static __always_inline int tag_frame(struct xdp_md *ctx, vlan_tags came, __u32 way, int verdict, int reason)
{
	vlan_tags out = came;

	if (verdict == XDP_TX || verdict == XDP_REDIRECT)
		out = reason < REASON_ECHO_ANSWERED ? tags_of_way(way) : for_replies(came);
	if (!out || put_on_tags(ctx, out))
		return verdict;
	if (came)
		put_on_tags(ctx, came); /* for which there is room: they were there before */
	return XDP_PASS;
}

/* The entry of the tags of a client's frames, which is made if there is none. 0: there is no room. */
__attribute__((noinline)) __u32 entry_of_tags(__u64 t)
{
	t = for_replies(t);
	for (__u32 i = 0; i < TAGS_PROBES; i++) {
		__u32 index = ((t * GOLDEN >> 56) + i) % TAGS_MAX;
		__u64 *entry = bpf_map_lookup_elem(&tags, &index), was;

		if (index == TAGS_NONE || index == TAGS_OF_LINK || !entry)
			continue;
		was = READ_ONCE(*entry);
		if (!was)
			was = __sync_val_compare_and_swap(entry, 0, t);
		if (!was || was == t)
			return index;
	}
	return 0;
}
