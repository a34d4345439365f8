/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What answers of our own are built of: headers from nothing, over a frame that came in. */
#pragma once

#include "checksum.h"
#include "parse.h"

#define ANSWER_TTL 64

/* Of both ICMP versions; the kernel's own header would pull in the C library. */
struct icmp_header {
	__u8 type, code;
	__u16 checksum;
	__be32 rest;
};

#define ICMP_ECHO_REPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
#define ICMP_PORT_UNREACH 3
#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMPV6_DEST_UNREACH 1
#define ICMPV6_PORT_UNREACH 4
#define ICMPV6_PACKET_TOO_BIG 2
#define ICMPV6_PARAMETER_PROBLEM 4
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129

#define QUOTED 8 /* bytes of the transport header that an ICMP error quotes at least */

/* The whole transport checksum of a short answer: pseudo header, then `words` 32-bit words. */
static __always_inline __u16 transport_checksum(__u64 addresses, __u8 proto, __u16 bytes, const __be32 *l4, int words)
{
	return ~checksum_fold(addresses + bpf_htons(proto) + bpf_htons(bytes) + checksum_words(l4, words));
}

static __always_inline void swap_macs(struct ethhdr *eth)
{
	__u8 mac[ETH_ALEN];

	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
}

/* An IPv4 header of ours over `bytes` of payload. */
static __always_inline void write_ipv4(struct iphdr *ip, __be32 src, __be32 dst, __u8 proto, __u16 bytes)
{
	*ip = (struct iphdr){
		.version = 4, .ihl = 5, .ttl = ANSWER_TTL, .protocol = proto,
		.tot_len = bpf_htons(sizeof(*ip) + bytes), .frag_off = bpf_htons(0x4000),
		.saddr = src, .daddr = dst,
	};
	ip->check = ~checksum_fold(checksum_words((__be32 *)ip, sizeof(*ip) / 4));
}

static __always_inline void write_ipv6(struct ipv6hdr *ip, const __be32 *src, const __be32 *dst, __u8 proto, __u16 bytes)
{
	*(__be32 *)ip = bpf_htonl(6 << 28);
	ip->payload_len = bpf_htons(bytes);
	ip->nexthdr = proto;
	ip->hop_limit = ANSWER_TTL;
	__builtin_memcpy(&ip->saddr, src, 16);
	__builtin_memcpy(&ip->daddr, dst, 16);
}

/*
 * Whether a packet came from one host to this one, by its addresses: else an answer would be a
 * nuisance to many, or to nobody (RFC 1122, 3.2.2; RFC 4443, 2.4 (e)).
 */
static __always_inline bool came_from_a_host(struct xdp_md *ctx, const struct packet *p, const bool v6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const __be32 *src = p->key.src;
	__u8 first = *(const __u8 *)src;
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > end || eth->h_dest[0] & 1)
		return false;
	if (v6)
		return first != 0xff && src[0] | src[1] | src[2] | src[3];
	return first != 0 && first != 127 && first < 224;
}
