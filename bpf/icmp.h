/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * ICMP errors about packets that we sent on, passed to whom they concern. As RFC 5508 has it: the quote is
 * turned back into what the receiver of the error once sent, and the error comes from the address that he
 * sent it to, because the router that reports it may have one that he cannot reach or would not believe.
 * An error changes nothing about its flow: anybody can forge one, and who receives it can tell. What it says
 * of a node is reported, if it is about a connection that the node has not answered.
 */
#pragma once

#include "answer.h"
#include "parts.h"
#include "signal.h"
#include "turn.h"

/* A packet that an error quotes: its IP header, and the first eight bytes of what follows at least. */
struct quote {
	void *l3, *l4;
	int l4_bytes;     /* of the quote, from l4 on */
	struct tuple key; /* of packets in the other direction */
};

static __always_inline bool is_error(const struct icmp_header *icmp, const bool v6)
{
	if (v6)
		return icmp->type >= ICMPV6_DEST_UNREACH && icmp->type <= ICMPV6_PARAMETER_PROBLEM;
	return icmp->type == ICMP_DEST_UNREACH || icmp->type == ICMP_TIME_EXCEEDED || icmp->type == ICMP_PARAMETER_PROBLEM;
}

/* The quoted IP header. Answers the upper protocol; 0: none whose ports are quoted. */
static __always_inline __u8 quoted_ipv4(const struct packet *p, struct quote *q)
{
	const struct iphdr *ip = q->l3;

	if ((void *)(ip + 1) > p->end || ip->version != 4 || ip->ihl < 5 || ip->frag_off & bpf_htons(0x1fff))
		return 0;
	q->key.src[0] = ip->daddr;
	q->key.dst[0] = ip->saddr;
	q->l4 = q->l3 + ip->ihl * 4;
	return ip->protocol;
}

static __always_inline __u8 quoted_ipv6(struct xdp_md *ctx, const struct packet *p, struct quote *q)
{
	void *data = (void *)(long)ctx->data;
	const struct ipv6hdr *ip = q->l3;
	int upper;

	if ((void *)(ip + 1) > p->end || ip->version != 6)
		return 0;
	__builtin_memcpy(q->key.src, &ip->daddr, 16);
	__builtin_memcpy(q->key.dst, &ip->saddr, 16);
	upper = skip_extensions(ctx, q->l3 - data + sizeof(*ip), ip->nexthdr);
	if (upper >= 0 && (__u8)upper == IPPROTO_FRAGMENT)
		upper = skip_fragment(ctx, upper >> 8);
	if (upper < 0)
		return 0;
	q->l4 = data + (upper >> 8 & 0x1ff);
	return upper;
}

/* Finds what an error quotes. False: nothing that could be of a flow. */
static __always_inline bool find_quote(struct xdp_md *ctx, const struct packet *p, struct quote *q, const bool v6)
{
	__u8 proto;
	__be16 *ports;

	q->l3 = p->l4 + sizeof(struct icmp_header);
	proto = v6 ? quoted_ipv6(ctx, p, q) : quoted_ipv4(p, q);
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return false;
	ports = q->l4;
	q->l4_bytes = p->l3_bytes - (int)(q->l4 - p->l3);
	if (q->l4 + QUOTED > p->end || q->l4_bytes < QUOTED)
		return false;
	*(__u64 *)&q->key.word = key_word(ports[1], ports[0], proto);
	return true;
}

/* Where the checksum of a quoted packet lies; NULL: beyond the end of the quote, or there is none. */
static __always_inline __u16 *quoted_checksum(const struct packet *p, const struct quote *q)
{
	bool tcp = q->key.word.proto == IPPROTO_TCP;
	__u16 *check = q->l4 + (tcp ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));

	if ((void *)(check + 1) > p->end || (void *)(check + 1) - q->l4 > q->l4_bytes)
		return NULL;
	return tcp || *check ? check : NULL;
}

/* ------------------------------------------------------------------ */

/*
 * Translating changes the sum under the ICMP checksum by little: of the quote, what its checksums change by
 * makes up for the addresses and ports that they cover. `rest` is what no quoted checksum makes up for.
 */

/* The error's own addresses, and those of the quote, which went the other way. */
static __always_inline __u16 translate_ipv4(const struct packet *p, const struct quote *q, const struct flow4 *f, __u16 rest)
{
	struct iphdr *ip = p->l3, *inner = q->l3;
	__u16 change = sum_change((__u64)ip->saddr + ip->daddr, (__u64)f->nat_src + f->nat_dst);

	ip->saddr = f->nat_src;
	ip->daddr = f->nat_dst;
	ip->ttl--;
	ip->check = checksum_apply(ip->check, (__u32)change + TTL_DELTA);
	inner->saddr = f->nat_dst;
	inner->daddr = f->nat_src;
	inner->check = checksum_apply(inner->check, f->l3_delta);
	*(__u32 *)q->l4 = (__u32)f->nat_sport << 16 | f->nat_dport;
	return checksum_fold((__u32)rest + (__u16)~f->l3_delta); /* the addresses count twice: their header's checksum covers them, too */
}

/* Over IPv6 the checksum covers the error's own addresses, too. */
static __always_inline __u16 translate_ipv6(const struct packet *p, const struct quote *q, const struct flow6 *f, __u16 rest)
{
	struct ipv6hdr *ip = p->l3, *inner = q->l3;
	__u16 change = sum_change(checksum_words((const __be32 *)&ip->saddr, 8),
				  checksum_words(f->nat_src, 4) + checksum_words(f->nat_dst, 4));

	__builtin_memcpy(&ip->saddr, f->nat_src, 16);
	__builtin_memcpy(&ip->daddr, f->nat_dst, 16);
	ip->hop_limit--;
	__builtin_memcpy(&inner->saddr, f->nat_dst, 16);
	__builtin_memcpy(&inner->daddr, f->nat_src, 16);
	*(__u32 *)q->l4 = (__u32)f->nat_sport << 16 | f->nat_dport;
	return checksum_fold((__u32)rest + change);
}

/*
 * Translates an error by the half of packets in its direction, whose sums of changes hold for the quote, too:
 * there the same addresses and ports stand in reverse. False: the half changed hands meanwhile.
 */
static __always_inline bool translate_error(const struct packet *p, const struct quote *q, const struct place *at, const bool v6)
{
	struct icmp_header *icmp = p->l4;
	__u16 *check = quoted_checksum(p, q), delta, change;
	__u32 slot = at->ref & SLOT_MASK;

	if (v6) {
		delta = flow6_at(at->head, slot)->l4_delta;
		change = translate_ipv6(p, q, flow6_at(at->head, slot), check ? 0 : delta);
	} else {
		delta = flow4_at(at->head, slot)->l4_delta;
		change = translate_ipv4(p, q, flow4_at(at->head, slot), check ? 0 : delta);
	}
	if (check)
		*check = checksum_apply(*check, delta) ?: (q->key.word.proto == IPPROTO_UDP ? 0xffff : 0);
	icmp->checksum = checksum_apply(icmp->checksum, change);
	return unchanged(at, v6);
}

static __always_inline bool same_address(const __be32 *a, const __be32 *b, const bool v6)
{
	return a[0] == b[0] && (!v6 || (a[1] == b[1] && a[2] == b[2] && a[3] == b[3]));
}

/*
 * Errors that say that what they quote did not get to where it was sent to: not those that its sender can bring
 * about by what he writes into it (too large, a source route, a type of service).
 */
#define NOT_REACHED4 (1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 13)
#define NOT_REACHED6 (1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6)

static __always_inline bool is_not_reached(const struct icmp_header *icmp, const bool v6)
{
	if (icmp->type != (v6 ? ICMPV6_DEST_UNREACH : ICMP_DEST_UNREACH) || icmp->code > 31)
		return false;
	return (v6 ? NOT_REACHED6 : NOT_REACHED4) >> icmp->code & 1;
}

/* Passes an error on, if it is about a packet of a flow. */
static __always_inline int pass_error(struct xdp_md *ctx, __u32 l4, const bool v6)
{
	struct packet p;
	struct place at;
	struct quote q;
	__u64 hop;

	if (!look_again(ctx, &p, l4, sizeof(struct icmp_header), v6))
		return REASON_TRUNCATED;
	if (!find_quote(ctx, &p, &q, v6) || !find_half(&at, &q.key, hash_tuple(&q.key, v6), v6) || !unchanged(&at, v6))
		return REASON_ICMP_UNKNOWN;
	/* Who reports a packet tells him who sent it. */
	if (!same_address(p.key.dst, q.key.dst, v6))
		return REASON_ICMP_UNKNOWN;
	if (p.ttl <= 1)
		return REASON_TTL_EXPIRED;
	/* About what went to the node, as the half says that the error goes by. */
	if (q.key.word.proto == IPPROTO_TCP && is_not_reached(p.l4, v6))
		note_failed_reply(&at, SIGNAL_UNREACHABLE, now_jiffies(), v6);
	hop = hop_of_half(&at, v6);
	if (!translate_error(&p, &q, &at, v6))
		return REASON_TABLE_BUSY;
	return leave_by(ctx, &p, hop, REASON_ICMP_TRANSLATED);
}

__attribute__((noinline)) int pass_error4(struct xdp_md *ctx, __u32 l4)
{
	return pass_error(ctx, l4, false);
}

__attribute__((noinline)) int pass_error6(struct xdp_md *ctx, __u32 l4)
{
	return pass_error(ctx, l4, true);
}
