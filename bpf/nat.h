/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Rewriting a packet from what its half holds. */
#pragma once

#include "checksum.h"
#include "flow_table.h"

/* `ports`: source and destination port as on the wire; `delta`: see struct flow4. */
static __always_inline void rewrite_transport(struct packet *p, __u32 ports, __u16 delta)
{
	*(__u32 *)p->l4 = ports;
	if (p->key.word.proto == IPPROTO_TCP) {
		struct tcphdr *tcp = tcp_of(p);

		if (tcp)
			tcp->check = checksum_apply(tcp->check, delta);
	} else {
		struct udphdr *udp = p->l4;

		/* 0 says that there is none, and stays; a sum of 0 is sent as all ones (RFC 768) */
		if (udp->check)
			udp->check = checksum_apply(udp->check, delta) ?: 0xffff;
	}
}

/* TTL − 1 changes a checksum's inverse by this (the TTL is the first byte of its word). */
#define TTL_DELTA ((__u16)~bpf_htons(0x0100))

/* The IP header alone, as in a packet without ports. */
static __always_inline void rewrite_ipv4(struct iphdr *ip, const struct flow4 *f)
{
	ip->saddr = f->nat_src;
	ip->daddr = f->nat_dst;
	ip->ttl--;
	ip->check = checksum_apply(ip->check, (__u32)f->l3_delta + TTL_DELTA);
}

static __always_inline void rewrite_ipv6(struct ipv6hdr *ip, const struct flow6 *f)
{
	__builtin_memcpy(&ip->saddr, f->nat_src, 16);
	__builtin_memcpy(&ip->daddr, f->nat_dst, 16);
	ip->hop_limit--;
}

/* Rewrites a packet. False: the half changed hands meanwhile, and the packet is spoilt. */
static __always_inline bool rewrite_packet(struct packet *p, const struct place *at, const bool v6)
{
	if (v6) {
		const struct flow6 *f = flow6_of(at->half);

		rewrite_ipv6(p->l3, f);
		rewrite_transport(p, *(const __u32 *)&f->nat_sport, f->l4_delta);
	} else {
		const struct flow4 *f = flow4_of(at->half);

		rewrite_ipv4(p->l3, f);
		rewrite_transport(p, *(const __u32 *)&f->nat_sport, f->l4_delta);
	}
	return unchanged(at, v6);
}
