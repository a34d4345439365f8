/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Next hops: one word each, a destination MAC, the index of a link, and that of tags; see HOP_LINK_SHIFT. */
#pragma once

#include "table.h"

static __always_inline __u64 hop_mac(__u64 hop)
{
	return hop & ((1ULL << HOP_LINK_SHIFT) - 1);
}

/* The index of the link that a frame came in by; LINKS_MAX: not known. */
static __always_inline __u32 link_of_ingress(struct xdp_md *ctx)
{
	for (__u32 i = 0; i < LINK_PROBES; i++) {
		__u32 index = (ctx->ingress_ifindex + i) % LINKS_MAX;
		struct link_entry *link = bpf_map_lookup_elem(&links, &index);

		if (link && link->ifindex == ctx->ingress_ifindex)
			return index;
	}
	return LINKS_MAX;
}

/* The hop that a frame came from: its source MAC, and the link of the interface. 0: link not known. */
static __always_inline __u64 hop_of_sender(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u64 mac = 0;
	__u32 index;

	if ((void *)(eth + 1) > end)
		return 0;
	__builtin_memcpy(&mac, eth->h_source, ETH_ALEN);
	index = link_of_ingress(ctx);
	return index == LINKS_MAX ? 0 : (__u64)index << HOP_LINK_SHIFT | mac;
}

/* The link that packets to a next hop leave by; NULL: it is not resolved. */
static __always_inline struct link_entry *link_of_hop(__u64 hop)
{
	__u32 index = hop >> HOP_LINK_SHIFT & (LINKS_MAX - 1);
	struct link_entry *link;

	if (!hop)
		return NULL;
	link = bpf_map_lookup_elem(&links, &index);
	return link && link->ifindex ? link : NULL;
}

/*
 * The largest packet that leaves by a hop, by the link that link_of_hop() found. Interfaces take one tag beyond
 * their MTU, and no second.
 */
static __always_inline __u32 mtu_of_hop(__u64 hop, const struct link_entry *link)
{
	__u32 index = hop >> HOP_TAGS_SHIFT;
	const vlan_tags *t;

	if (!index)
		return link->mtu;
	t = bpf_map_lookup_elem(&tags, &index);
	return t && *t >> 32 ? link->mtu - TAG_BYTES : link->mtu;
}

/*
 * The way out of a frame is what its hop says of it, the index of its link and above that the tags; and above
 * these, whether it goes back out by the interface that it came in by.
 */
#define WAY_TAGS_SHIFT (HOP_TAGS_SHIFT - HOP_LINK_SHIFT)
#define WAY_TAGS 0xff00
#define WAY_BACK 0x10000

/*
 * Whether frames that leave by a link can go back where this one came from. On a veth XDP_TX only puts the
 * frame into the peer's ring, and wakes the peer only if that runs XDP itself (veth_xdp_flush() looks for a
 * program, where veth_ndo_xdp_xmit() is content with NAPI); a redirect to the same interface arrives wherever
 * one to another does.
 */
static __always_inline bool leads_back(struct xdp_md *ctx, const struct link_entry *link)
{
	__u32 ingress = ctx->ingress_ifindex;

	return (link->ifindex == ingress || link->parent == ingress) && !(link->flags & LINK_REDIRECT);
}

/* The way to a next hop, by the link that link_of_hop() found. */
static __always_inline __u32 way_to(struct xdp_md *ctx, __u64 hop, const struct link_entry *link)
{
	__u32 way = hop >> HOP_LINK_SHIFT;

	return leads_back(ctx, link) ? way | WAY_BACK : way;
}

/*
 * Writes both MACs of a frame that goes to a next hop, by the link that link_of_hop() found. In words: of
 * structs whose members may lie anywhere clang makes as many loads and stores as there are bytes.
 */
static __always_inline void write_macs(void *frame, __u64 hop, const struct link_entry *link)
{
	__u32 first = *(const __u32 *)link->mac;
	__u16 last = *(const __u16 *)(link->mac + 4);

	*(__u64 *)frame = hop_mac(hop) | (__u64)first << HOP_LINK_SHIFT;
	*(__u32 *)(frame + 8) = first >> 16 | (__u32)last << 16;
}

/*
 * Sends a frame out by a way: back where it came from, or over to another interface; `otherwise` is
 * the verdict when that interface has gone, which the kernel takes out of tx_ports at once.
 */
static __always_inline int transmit(__u32 way, int otherwise)
{
	if (way & WAY_BACK)
		return XDP_TX;
	return bpf_redirect_map(&tx_ports, way & (LINKS_MAX - 1), otherwise);
}

/* A frame that could not be sent: addressed to this host again, so that the kernel takes it for its own. */
static __always_inline int leave_to_kernel(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 index = link_of_ingress(ctx);
	struct link_entry *link = bpf_map_lookup_elem(&links, &index);
	struct ethhdr *eth = data;

	if (link && (void *)(eth + 1) <= end)
		__builtin_memcpy(eth->h_dest, link->mac, ETH_ALEN);
	return REASON_HOP_UNRESOLVED;
}

/* Sends an answer of ours back where its cause came from. */
static __always_inline int transmit_back(struct xdp_md *ctx)
{
	__u32 index = link_of_ingress(ctx);
	struct link_entry *link = bpf_map_lookup_elem(&links, &index);

	return !link || leads_back(ctx, link) ? XDP_TX : transmit(index, XDP_TX);
}
