/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Echo requests to a VIP (RFC 792, RFC 4443), answered in place: what was asked goes back as it came, with
 * addresses swapped. Not limited in rate, because an answer costs no more than a packet that is forwarded
 * and is as large as what it answers. What has options or extension headers is left to the kernel.
 */
#pragma once

#include "answer.h"
#include "turn.h"
#include "vip.h"

/* Turns the message into the reply; its checksum changes by what its first word does. */
static __always_inline void reply_to(struct icmp_header *icmp, __u8 type)
{
	__u16 was = *(__u16 *)icmp;

	icmp->type = type;
	icmp->checksum = checksum_apply(icmp->checksum, sum_change(was, *(__u16 *)icmp));
}

/* The checksum of an IPv4 header of ours changes with its TTL only: the addresses just swap places. */
static __always_inline void turn_ipv4(struct iphdr *ip)
{
	__u16 *ttl = (__u16 *)&ip->ttl, was = *ttl;
	__be32 asker = ip->saddr;

	ip->saddr = ip->daddr;
	ip->daddr = asker;
	ip->ttl = ANSWER_TTL;
	ip->check = checksum_apply(ip->check, sum_change(was, *ttl));
}

static __always_inline void turn_ipv6(struct ipv6hdr *ip, const struct packet *p)
{
	__builtin_memcpy(&ip->saddr, p->key.dst, 16);
	__builtin_memcpy(&ip->daddr, p->key.src, 16);
	ip->hop_limit = ANSWER_TTL;
}

/* Answers an echo request to a VIP. */
static __always_inline int answer_echo(struct xdp_md *ctx, __u32 l4, const bool v6)
{
	struct icmp_header *icmp;
	struct packet p;

	if (l4 != ETH_HLEN + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) || !look_again(ctx, &p, l4, sizeof(*icmp), v6))
		return REASON_NOT_TCP_UDP;
	icmp = p.l4;
	if (icmp->type != (v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO) || icmp->code || !is_vip(&p.key, v6) ||
	    !came_from_a_host(ctx, &p, v6))
		return REASON_NOT_TCP_UDP;
	reply_to(icmp, v6 ? ICMPV6_ECHO_REPLY : ICMP_ECHO_REPLY);
	if (v6)
		turn_ipv6(p.l3, &p);
	else
		turn_ipv4(p.l3);
	swap_macs(p.l3 - ETH_HLEN);
	return REASON_ECHO_ANSWERED;
}

__attribute__((noinline)) int answer_echo4(struct xdp_md *ctx, __u32 l4)
{
	return answer_echo(ctx, l4, false);
}

__attribute__((noinline)) int answer_echo6(struct xdp_md *ctx, __u32 l4)
{
	return answer_echo(ctx, l4, true);
}
