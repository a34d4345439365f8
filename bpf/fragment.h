/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Fragments (RFC 791, RFC 8200). The first has the ports: it goes the way of an ordinary packet and leaves
 * behind what becomes of the others, which follow it. Who comes before the first is dropped, if it is for a
 * VIP: nothing is kept of packets here. Each datagram leaves with a new id, because those of different
 * clients, once they have one source address, might be taken for one.
 */
#pragma once

#include "parts.h"
#include "stats.h"
#include "turn.h"
#include "vip.h"

/*
 * An id that no datagram had for as long as there are ids: a counter through a permutation, so that
 * nobody foresees the next from the last. `mask` has the bits of an id.
 */
static __always_inline __u32 new_id(const __u32 mask)
{
	const int half = mask > 0xffff ? 16 : 8;
	__u32 zero = 0, x;
	__u64 *count = bpf_map_lookup_elem(&datagrams, &zero);

	x = count ? __sync_fetch_and_add(count, 1) : 0;
	x = (x ^ (__u32)secret0) & mask;
	x = (x ^ x >> half) * (__u32)secret1 & mask;
	x = (x ^ x >> (half - 1)) * (__u32)secret2 & mask;
	return x ^ x >> half;
}

/* Of what follows the IP header, how much is the fragment's. */
static __always_inline int header_bytes(const bool v6)
{
	return v6 ? sizeof(struct fragment_header) : 0;
}

/* Gives a fragment an id, in the order of bytes as in struct part. */
static __always_inline void write_id(struct packet *p, __be32 id, const bool v6)
{
	if (v6) {
		((struct fragment_header *)p->l4)->id = id;
	} else {
		struct iphdr *ip = p->l3;

		ip->check = checksum_apply(ip->check, (__u32)id + (__u16)~ip->id);
		ip->id = id;
	}
}

static __always_inline void key_of_part(struct fragment_key *key, const struct tuple *t, const struct part *part, const bool v6)
{
	*key = (struct fragment_key){.id = part->id, .proto = part->proto, .family = v6 ? 6 : 4};
	copy_addr(key->src, t->src, v6);
	copy_addr(key->dst, t->dst, v6);
}

/* ------------------------------------------------------------------ the first */

/* What becomes of the later fragments when the first met this reason; 0: nothing is left behind. */
static __always_inline __u8 fate_of(int reason, const struct tuple *t, const bool v6)
{
	if (reason >= REASON_ECHO_ANSWERED || reason == REASON_RESET_CLIENT)
		return FRAGMENTS_END;
	if (reason >= REASON_NEW_FLOW || reason == REASON_HOP_UNRESOLVED || reason == REASON_LEFT_TO_FRAGMENT)
		return FRAGMENTS_FOLLOW;
	return is_vip(t, v6) ? FRAGMENTS_PASS : 0; /* to other addresses they pass anyway */
}

/* The node of the flow that a tuple belongs to; 0: there is none any more. */
static __always_inline __u32 node_of_flow(const struct tuple *t, const bool v6)
{
	struct place at;

	return find_half(&at, t, hash_tuple(t, v6), v6) ? at.half->node : 0;
}

/* Makes a first fragment that becomes an RST a packet of its own. */
static __always_inline void make_whole(struct packet *p, const bool v6)
{
	if (v6) {
		((struct fragment_header *)p->l4)->offset &= ~bpf_htons(IPV6_MORE);
	} else {
		struct iphdr *ip = p->l3;
		__be16 whole = ip->frag_off & ~bpf_htons(IP_MF);

		ip->check = checksum_apply(ip->check, sum_change(ip->frag_off, whole));
		ip->frag_off = whole;
	}
}

/*
 * Leaves behind what becomes of the fragments that follow a first one, which met `reason` and whose tuple as
 * it came is `t`; and gives it a new id.
 */
static __always_inline void note_first(struct xdp_md *ctx, const struct tuple *t, __u32 l4, int reason, const bool v6)
{
	struct fragment_key key;
	struct fragment f = {};
	struct packet p;
	struct part part;

	if (!t || !look_again(ctx, &p, l4, header_bytes(v6), v6) || !read_part(&p, &part, v6) || part.last)
		return;
	f.fate = fate_of(reason, t, v6);
	if (!f.fate)
		return;
	if (reason == REASON_RESET_CLIENT)
		make_whole(&p, v6);
	f.id = part.id;
	if (f.fate == FRAGMENTS_FOLLOW) {
		f.node = node_of_flow(t, v6);
		f.id = v6 ? new_id(0xffffffff) : new_id(0xffff);
		write_id(&p, f.id, v6);
	}
	f.parts.done = part.end;
	f.sport = t->word.sport;
	f.dport = t->word.dport;
	f.proto = t->word.proto;
	f.first = now_jiffies();
	key_of_part(&key, t, &part, v6);
	bpf_map_update_elem(&fragments, &key, &f, BPF_ANY);
}

__attribute__((noinline)) int note_first4(struct xdp_md *ctx, const struct tuple *t, __u32 l4, int reason)
{
	note_first(ctx, t, l4, reason, false);
	return 0;
}

__attribute__((noinline)) int note_first6(struct xdp_md *ctx, const struct tuple *t, __u32 l4, int reason)
{
	note_first(ctx, t, l4, reason, true);
	return 0;
}

/* ------------------------------------------------------------------ the others */

static __always_inline void count_fragment(const struct packet *p, const struct place *at, const bool v6)
{
	at->half->seen = now_jiffies();
	count_half(at->half, p->l3_bytes);
	if (word_of(at->half, v6)->flags & HALF_REPLY)
		count_out(at->half->node, p->l3_bytes);
	else
		count_in(at->half->node, p->l3_bytes, false);
}

/* Sends a fragment the way of its flow. */
static __always_inline int follow_first(struct xdp_md *ctx, struct packet *p, const struct place *at, __be32 id, const bool v6)
{
	__u64 hop = hop_of_half(at, v6);
	struct link_entry *link = link_of_hop(hop);
	bool too_big = link && p->l3_bytes > mtu_of_hop(hop, link);

	/* The first was no larger: a sender that does so hears nothing. */
	if (too_big && !may_be_fragmented(p, v6))
		return dropped(owner_of_node(at->half->node), REASON_FRAGMENT_LOST);
	count_fragment(p, at, v6);
	if (v6)
		rewrite_ipv6(p->l3, flow6_of(at->half));
	else
		rewrite_ipv4(p->l3, flow4_of(at->half));
	write_id(p, id, v6);
	if (!unchanged(at, v6))
		return REASON_TABLE_BUSY;
	if (too_big)
		return REASON_LEFT_TO_FRAGMENT;
	return leave_by(ctx, p, hop, REASON_FRAGMENT_FOLLOWED);
}

/* Whose a packet is that goes to a service. Of its own, for the sake of the stack. */
__attribute__((noinline)) __u32 owner_of_tuple4(const struct tuple *t)
{
	return t ? owner_of(find_service(t, false)) : NOBODYS;
}

__attribute__((noinline)) __u32 owner_of_tuple6(const struct tuple *t)
{
	return t ? owner_of(find_service(t, true)) : NOBODYS;
}

static __always_inline int later_fragment(struct xdp_md *ctx, __u32 l4, const bool v6)
{
	struct fragment_key key;
	struct fragment *f;
	struct packet p;
	struct part part;
	struct place at;

	if (!look_again(ctx, &p, l4, header_bytes(v6), v6) || !read_part(&p, &part, v6))
		return REASON_TRUNCATED;
	key_of_part(&key, &p.key, &part, v6);
	f = bpf_map_lookup_elem(&fragments, &key);
	if (!f || now_jiffies() - f->first > fragments_idle * hz)
		return is_vip(&p.key, v6) ? REASON_FRAGMENT_EARLY : REASON_FRAGMENT;
	if (f->fate == FRAGMENTS_PASS)
		return REASON_FRAGMENT;
	*(__u64 *)&p.key.word = key_word(f->sport, f->dport, f->proto);
	/* Lost also when a new flow has its tuple: no datagram goes to two nodes. */
	if (f->fate == FRAGMENTS_END || !find_half(&at, &p.key, hash_tuple(&p.key, v6), v6) || at.half->node != f->node ||
	    !unchanged(&at, v6))
		return dropped(v6 ? owner_of_tuple6(&p.key) : owner_of_tuple4(&p.key), REASON_FRAGMENT_LOST);
	if (p.ttl <= 1)
		return REASON_TTL_EXPIRED;
	if (!pass_part(&f->parts, &part))
		return dropped(owner_of_node(f->node), REASON_FRAGMENT_OVERLAP);
	return follow_first(ctx, &p, &at, f->id, v6);
}

__attribute__((noinline)) int later_fragment4(struct xdp_md *ctx, __u32 l4)
{
	return later_fragment(ctx, l4, false);
}

__attribute__((noinline)) int later_fragment6(struct xdp_md *ctx, __u32 l4)
{
	return later_fragment(ctx, l4, true);
}
