/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * A node's segment, rewritten for the client, made an RST in place (RFC 9293, 3.5.2): its sequence number
 * is the one that the client waits for, so the client believes it. It is never larger than it was, and
 * each flow has one, so no rate limits it.
 */
#pragma once

#include "answer.h"

/* Sets the length that an IP header says, for a transport header of `bytes` behind `header` bytes of it. */
static __always_inline void cut_ip(const struct packet *p, __u16 header, __u16 bytes, const bool v6)
{
	if (v6) {
		((struct ipv6hdr *)p->l3)->payload_len = bpf_htons(header - sizeof(struct ipv6hdr) + bytes);
	} else {
		struct iphdr *ip = p->l3;
		__be16 length = bpf_htons(header + bytes);

		ip->check = checksum_apply(ip->check, (__u32)length + (__u16)~ip->tot_len);
		ip->tot_len = length;
	}
}

/* The sum of the addresses as they lie in the packet now. */
static __always_inline __u64 sum_addresses(const struct packet *p, const bool v6)
{
	if (v6)
		return checksum_words((const __be32 *)&((struct ipv6hdr *)p->l3)->saddr, 8);
	return checksum_words(&((struct iphdr *)p->l3)->saddr, 2);
}

static __always_inline void write_reset(struct tcphdr *tcp, __u64 addresses)
{
	*tcp = (struct tcphdr){
		.source = tcp->source, .dest = tcp->dest, .seq = tcp->seq, .ack_seq = tcp->ack_seq,
		.doff = sizeof(*tcp) / 4, .rst = 1, .ack = tcp->ack,
	};
	tcp->check = transport_checksum(addresses, IPPROTO_TCP, sizeof(*tcp), (__be32 *)tcp, sizeof(*tcp) / 4);
}

/* Cuts a segment to its headers. False: it is shorter than it was when it was parsed. */
static __always_inline bool cut_segment(struct xdp_md *ctx, const struct packet *p, const bool v6)
{
	struct tcphdr *tcp = tcp_of(p);
	int surplus;

	if (!tcp || p->l3 + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) > p->end)
		return false;
	surplus = (int)bpf_xdp_get_buff_len(ctx) - (int)((void *)(tcp + 1) - (void *)(long)ctx->data);
	cut_ip(p, p->l4 - p->l3, sizeof(*tcp), v6);
	write_reset(tcp, sum_addresses(p, v6));
	return !surplus || !bpf_xdp_adjust_tail(ctx, -surplus);
}

/* Answers whether it is done. Not inlined, as refuse(). */
static __attribute__((noinline)) int cut_to_rst(struct xdp_md *ctx, const struct packet *p)
{
	return p->v6 ? cut_segment(ctx, p, true) : cut_segment(ctx, p, false);
}
