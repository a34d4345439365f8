/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Who asks a network for the MAC of a VIP that is announced there is answered in place: ARP (RFC 826, RFC 5227)
 * and neighbour solicitations (RFC 4861), also those by which another host finds out whether the address is
 * free. What others say of themselves reaches the kernel, and with it the daemon, which looks for conflicts.
 */
#pragma once

#include "answer.h"
#include "icmp.h"

#define ARP_ETHERNET 1
#define ARP_REQUEST 1
#define ARP_REPLY 2

/* Of IPv4 addresses over Ethernet; the kernel's own header would pull in the C library. */
struct arp_ipv4 {
	__be16 hardware, protocol;
	__u8 hardware_bytes, protocol_bytes;
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	__u8 sender[4]; /* not aligned to words */
	__u8 target_mac[ETH_ALEN];
	__u8 target[4];
};

#define ND_SOLICITATION 135
#define ND_ADVERTISEMENT 136
#define ND_HOPS 255 /* of every message: what a router has passed on has less */
#define ND_SOLICITED 0x40
#define ND_OVERRIDE 0x20
#define ND_TARGET_MAC 2 /* option: the MAC of the target */

/* What both messages begin with, and an advertisement's only option. */
struct nd_message {
	__u8 type, code;
	__u16 checksum;
	__be32 flags; /* of an advertisement, in the first byte */
	__be32 target[4];
};

struct nd_advertisement {
	struct nd_message message;
	__u8 option, option_words;
	__u8 mac[ETH_ALEN];
};

#define ND_SOLICITATION_WORDS 14 /* the longest that is answered, in words of 32 bits: four options */

/* The MAC by which an address is announced where a frame came in; NULL: it is not. */
static __always_inline struct announcement *find_announced(struct xdp_md *ctx, struct announced_key *key, __u32 family)
{
	key->ifindex = ctx->ingress_ifindex;
	key->family = family;
	return bpf_map_lookup_elem(&announced, key);
}

/* ------------------------------------------------------------------ ARP */

/* Answers a request for the MAC of a VIP. One that says the sender has that address is no question. */
__attribute__((noinline)) int answer_arp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct announced_key key = {};
	struct ethhdr *eth = data;
	struct arp_ipv4 *arp = data + ETH_HLEN;
	struct announcement *found;

	if ((void *)(arp + 1) > end || arp->hardware != bpf_htons(ARP_ETHERNET) || arp->protocol != bpf_htons(ETH_P_IP) ||
	    arp->hardware_bytes != ETH_ALEN || arp->protocol_bytes != sizeof(arp->target) ||
	    arp->operation != bpf_htons(ARP_REQUEST) || arp->sender_mac[0] & 1)
		return REASON_NOT_IP;
	__builtin_memcpy(key.addr, arp->target, sizeof(arp->target));
	found = find_announced(ctx, &key, 4);
	if (!found || !__builtin_memcmp(arp->sender, key.addr, sizeof(arp->sender)))
		return REASON_NOT_IP;
	arp->operation = bpf_htons(ARP_REPLY);
	__builtin_memcpy(arp->target_mac, arp->sender_mac, ETH_ALEN);
	__builtin_memcpy(arp->target, arp->sender, sizeof(arp->target));
	__builtin_memcpy(arp->sender_mac, found->mac, ETH_ALEN);
	__builtin_memcpy(arp->sender, key.addr, sizeof(arp->sender));
	__builtin_memcpy(eth->h_dest, arp->target_mac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, arp->sender_mac, ETH_ALEN);
	return REASON_NEIGHBOUR_ANSWERED;
}

/* ------------------------------------------------------------------ neighbour discovery */

/* Whether the message has no fault that RFC 4861, 7.1.1 wants looked for; options are not read. */
static __always_inline bool is_sound(const struct packet *p)
{
	const struct ipv6hdr *ip = p->l3;
	const struct nd_message *nd = p->l4;
	__u32 bytes = p->l3_bytes - sizeof(*ip);
	__u64 sum = checksum_words(p->key.src, 4) + checksum_words(p->key.dst, 4) + bpf_htons(IPPROTO_ICMPV6) + bpf_htons(bytes);
	const __be32 *word = p->l4;

	if ((void *)(nd + 1) > p->end || ip->hop_limit != ND_HOPS || nd->code || bytes < sizeof(*nd) || bytes & 7)
		return false;
	for (__u32 i = 0; i < ND_SOLICITATION_WORDS; i++) {
		if (i * 4 >= bytes)
			break;
		if ((void *)(word + i + 1) > p->end)
			return false;
		sum += word[i];
	}
	return bytes <= ND_SOLICITATION_WORDS * 4 && checksum_fold(sum) == 0xffff;
}

/* Writes the advertisement over the solicitation. A prober without an address is answered by way of all nodes. */
static __always_inline void write_advertisement(void *data, const struct packet *p, const __be32 *target, const __u8 *mac)
{
	struct ethhdr *eth = data;
	struct ipv6hdr *ip = data + ETH_HLEN;
	struct nd_advertisement *nd = (void *)(ip + 1);
	bool prober = !(p->key.src[0] | p->key.src[1] | p->key.src[2] | p->key.src[3]);
	__be32 to[4];

	if (prober) { /* ff02::1 at 33:33:00:00:00:01 */
		to[0] = bpf_htonl(0xff020000);
		to[1] = to[2] = 0;
		to[3] = bpf_htonl(1);
		*(__be16 *)eth->h_dest = bpf_htons(0x3333);
		*(__be32 *)&eth->h_dest[2] = to[3];
	} else {
		__builtin_memcpy(to, p->key.src, sizeof(to));
		__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	}
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	*nd = (struct nd_advertisement){
		.message.type = ND_ADVERTISEMENT,
		.message.flags = bpf_htonl((prober ? ND_OVERRIDE : ND_OVERRIDE | ND_SOLICITED) << 24),
		.option = ND_TARGET_MAC, .option_words = 1,
	};
	__builtin_memcpy(nd->message.target, target, 16);
	__builtin_memcpy(nd->mac, mac, ETH_ALEN);
	nd->message.checksum = transport_checksum(checksum_words(target, 4) + checksum_words(to, 4), IPPROTO_ICMPV6, sizeof(*nd),
						  (__be32 *)nd, sizeof(*nd) / 4);
	write_ipv6(ip, target, to, IPPROTO_ICMPV6, sizeof(*nd));
	ip->hop_limit = ND_HOPS;
}

/* Answers a solicitation for a VIP. One that the VIP itself asks is another host's, and no question. */
__attribute__((noinline)) int answer_solicitation(struct xdp_md *ctx, __u32 l4)
{
	const int size = ETH_HLEN + sizeof(struct ipv6hdr) + sizeof(struct nd_advertisement);
	struct announced_key key __attribute__((aligned(8))) = {};
	const __be32 *target = (const __be32 *)key.addr;
	struct announcement *found;
	struct packet p;
	void *data;

	if (l4 != ETH_HLEN + sizeof(struct ipv6hdr) || !look_again(ctx, &p, l4, sizeof(struct icmp_header), true) || !is_sound(&p))
		return REASON_NOT_TCP_UDP;
	__builtin_memcpy(key.addr, ((struct nd_message *)p.l4)->target, 16);
	found = find_announced(ctx, &key, 6);
	if (!found || same_address(p.key.src, target, true))
		return REASON_NOT_TCP_UDP;
	if (bpf_xdp_adjust_tail(ctx, size - (int)bpf_xdp_get_buff_len(ctx)))
		return REASON_NOT_TCP_UDP;
	data = (void *)(long)ctx->data;
	if (data + size > (void *)(long)ctx->data_end)
		return REASON_NOT_TCP_UDP;
	write_advertisement(data, &p, target, found->mac);
	return REASON_NEIGHBOUR_ANSWERED;
}
