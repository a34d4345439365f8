/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Whose packet a captured frame is: its flow's node, its service, its client. The frame is looked at where it
 * was kept; the program that decided about it is not asked, so that it has nothing to say when nobody asks.
 */
#pragma once

#include "answer.h"
#include "capture.h"
#include "parts.h"
#include "vip.h"

/* The IP header of a frame, and where the next one begins. */
struct sight {
	struct tuple key; /* without ports */
	__u32 l4;
	__be32 id;  /* of a later fragment; else 0 */
	__u8 proto; /* behind all IPv6 extension headers */
	bool v6;
	bool later; /* a fragment without ports */
};

/* Where the IP header of a frame is, behind up to two tags. */
static __always_inline __u32 ip_offset(const struct capture_state *s, const bool left)
{
	__u32 offset = ETH_HLEN;

#pragma unroll
	for (int i = 0; i < 2; i++) {
		const __be16 *type = kept(s, left, offset - 2, 2);

		if (type && (*type == bpf_htons(ETH_P_8021Q) || *type == bpf_htons(ETH_P_8021AD)))
			offset += 4;
	}
	return offset;
}

static __always_inline bool see_ipv4(const struct capture_state *s, const bool left, __u32 at, struct sight *g)
{
	const struct iphdr *ip = kept(s, left, at, sizeof(*ip));

	if (!ip)
		return false;
	*g = (struct sight){.l4 = at + ip->ihl * 4, .proto = ip->protocol, .later = ip->frag_off & bpf_htons(IP_OFFSET)};
	g->id = g->later ? ip->id : 0;
	g->key.src[0] = ip->saddr;
	g->key.dst[0] = ip->daddr;
	return true;
}

static __always_inline bool see_ipv6(const struct capture_state *s, const bool left, __u32 at, struct sight *g)
{
	const struct ipv6hdr *ip = kept(s, left, at, sizeof(*ip));

	if (!ip)
		return false;
	*g = (struct sight){.l4 = at + sizeof(*ip), .proto = ip->nexthdr, .v6 = true};
	__builtin_memcpy(g->key.src, &ip->saddr, 16);
	__builtin_memcpy(g->key.dst, &ip->daddr, 16);
	for (int i = 0; i < IPV6_EXTENSIONS_MAX + 1; i++) { /* a fragment header is one more */
		const struct fragment_header *header = kept(s, left, g->l4, sizeof(*header));

		if (!header)
			return true;
		if (g->proto == IPPROTO_FRAGMENT) {
			g->later = header->offset & bpf_htons(~7);
			g->id = g->later ? header->id : 0;
			g->l4 += sizeof(*header);
		} else if (g->proto == IPPROTO_HOPOPTS || g->proto == IPPROTO_ROUTING || g->proto == IPPROTO_DSTOPTS) {
			g->l4 += (header->reserved + 1) * 8; /* of these, the second byte is the length */
		} else {
			return true;
		}
		g->proto = header->next;
		if (g->later)
			return true;
	}
	return true;
}

/* The IP header at an offset. False: there is none. */
static __always_inline bool see_ip(const struct capture_state *s, const bool left, __u32 at, struct sight *g)
{
	const __u8 *first = kept(s, left, at, 1);

	if (!first)
		return false;
	switch (*first >> 4) {
	case 4:
		return see_ipv4(s, left, at, g);
	case 6:
		return see_ipv6(s, left, at, g);
	}
	return false;
}

/* Whether what follows the IP header is an ICMP error, which quotes a packet. */
static __always_inline bool quotes(const struct capture_state *s, const struct sight *g)
{
	const __u8 *type = kept(s, false, g->l4, 1);

	if (!type || g->later || g->proto != (g->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return false;
	if (g->v6)
		return *type >= ICMPV6_DEST_UNREACH && *type <= ICMPV6_PARAMETER_PROBLEM;
	return *type == ICMP_DEST_UNREACH || *type == ICMP_TIME_EXCEEDED || *type == ICMP_PARAMETER_PROBLEM;
}

/* Turns the tuple of a quoted packet into that of packets in the other direction. */
static __always_inline void reverse(struct tuple *t)
{
	__be16 port = t->word.sport;

	t->word.sport = t->word.dport;
	t->word.dport = port;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		__be32 a = t->src[i];

		t->src[i] = t->dst[i];
		t->dst[i] = a;
	}
}

/* Completes the tuple of a frame as it came, or of the packet that it quotes. False: it has no ports. */
static __always_inline bool see_tuple(const struct capture_state *s, struct sight *g)
{
	bool quoted = quotes(s, g);
	const __be16 *ports;

	if (quoted && !see_ip(s, false, g->l4 + sizeof(struct icmp_header), g))
		return false;
	if (g->later || (g->proto != IPPROTO_TCP && g->proto != IPPROTO_UDP))
		return false;
	ports = kept(s, false, g->l4, 4);
	if (!ports)
		return false;
	g->key.word.sport = ports[0];
	g->key.word.dport = ports[1];
	g->key.word.proto = g->proto;
	if (quoted)
		reverse(&g->key);
	return true;
}

/* The node of what has no ports itself: later fragments went the way of the first. */
static __always_inline __u32 node_of_part(const struct sight *g)
{
	struct fragment_key key = {.id = g->id, .proto = g->v6 ? 0 : g->proto, .family = g->v6 ? 6 : 4};
	struct fragment *f;

	if (!g->later)
		return 0;
	copy_addr(key.src, g->key.src, true); /* all four words, of which IPv4 leaves three 0 */
	copy_addr(key.dst, g->key.dst, true);
	f = bpf_map_lookup_elem(&fragments, &key);
	return f ? f->node : 0;
}

/* The node and the service of a flow, or the service that new flows with the tuple go to. */
static __always_inline void see_flow(struct capture_record *r, const struct tuple *t, const bool v6)
{
	struct place at;

	if (find_half(&at, t, hash_tuple(t, v6), v6))
		r->node = at.half->node;
	else
		r->service = find_service(t, v6);
}

/* Fills node and service of the record. */
static __always_inline void see_whose(struct capture_state *s, struct sight *g)
{
	struct capture_record *r = &s->record;
	struct node *node;

	if (!see_tuple(s, g))
		r->node = node_of_part(g);
	else if (g->v6)
		see_flow(r, &g->key, true);
	else
		see_flow(r, &g->key, false);
	if (!r->node)
		return;
	node = bpf_map_lookup_elem(&nodes, &r->node);
	if (node)
		r->service = node->service;
}

/* ------------------------------------------------------------------ whether it is asked for */

static __always_inline bool is_wanted_address(const __be32 *addr)
{
	__u32 differs = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		differs |= (addr[i] ^ wanted_client[i]) & wanted_client_mask[i];
	return !differs;
}

/* Whether a frame came from a client that is asked for, or left for one. */
static __always_inline bool is_wanted_client(const struct capture_state *s, const struct sight *came)
{
	struct sight left;

	if (!wanted_family)
		return true;
	if (came->v6 != (wanted_family == 6))
		return false;
	if (is_wanted_address(came->key.src))
		return true;
	if (s->record.reason < REASON_HOP_UNRESOLVED)
		return false; /* as it came: to somebody else */
	return see_ip(s, true, ip_offset(s, true), &left) && is_wanted_address(left.key.dst);
}

static __always_inline bool is_wanted_id(const volatile __u32 *wanted, __u32 count, __u32 id)
{
	for (__u32 i = 0; i < WANTED_MAX; i++)
		if (i < count && wanted[i] == id)
			return true;
	return !count;
}
