/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Answers of our own, built in place: TCP RST (RFC 9293, 3.10.7), ICMP port unreachable (RFC 1122,
 * RFC 4443) and the MTU of a link for a packet that is too big for it. They go back the way that the packet came, rate-limited for each CPU, and
 * are no larger than what provoked them, or than the least that the protocol allows.
 */
#pragma once

#include "answer.h"
#include "config.h"

/* Takes a token of this CPU's bucket. */
static __always_inline bool may_refuse(void)
{
	__u64 now = bpf_jiffies64(), earned;
	struct refusal_bucket *b;
	__u32 zero = 0;

	b = bpf_map_lookup_elem(&refusals, &zero);
	if (!b)
		return false;
	earned = (now - b->filled) * refuse_rate / hz;
	if (earned) {
		b->tokens = b->tokens + earned > refuse_burst ? refuse_burst : b->tokens + earned;
		b->filled = now;
	}
	if (!b->tokens)
		return false;
	b->tokens--;
	return true;
}

/* ------------------------------------------------------------------ TCP */

/* Fills the RST that answers a segment; ports are those of the segment. */
static __always_inline void write_rst(struct tcphdr *rst, const struct packet *p, __be32 seq, __be32 ack, __u32 payload,
				      __u64 addresses)
{
	__u32 consumed = payload + !!(p->tcp_flags & TCP_SYN) + !!(p->tcp_flags & TCP_FIN);

	*rst = (struct tcphdr){.source = p->key.word.dport, .dest = p->key.word.sport, .doff = 5, .rst = 1};
	if (p->tcp_flags & TCP_ACK) {
		rst->seq = ack;
	} else {
		rst->ack = 1;
		rst->ack_seq = bpf_htonl(bpf_ntohl(seq) + consumed);
	}
	rst->check = transport_checksum(addresses, IPPROTO_TCP, sizeof(*rst), (__be32 *)rst, sizeof(*rst) / 4);
}

/* Turns a segment into the RST that answers it. */
static __always_inline bool reset_tcp(struct xdp_md *ctx, const struct packet *p, const bool v6)
{
	const int header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const int size = ETH_HLEN + header + sizeof(struct tcphdr);
	__u64 addresses = checksum_words(p->key.src, v6 ? 4 : 1) + checksum_words(p->key.dst, v6 ? 4 : 1);
	const struct tcphdr *tcp = tcp_of(p);
	__be32 seq, ack;
	__u32 payload;
	void *data, *end;

	if (!tcp)
		return false;
	seq = tcp->seq;
	ack = tcp->ack_seq;
	payload = p->l3_bytes - (__u32)(p->l4 - p->l3) - tcp->doff * 4;
	if (bpf_xdp_adjust_tail(ctx, size - (int)bpf_xdp_get_buff_len(ctx)))
		return false;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + size > end)
		return false;
	swap_macs(data);
	if (v6)
		write_ipv6(data + ETH_HLEN, p->key.dst, p->key.src, IPPROTO_TCP, sizeof(struct tcphdr));
	else
		write_ipv4(data + ETH_HLEN, p->key.dst[0], p->key.src[0], IPPROTO_TCP, sizeof(struct tcphdr));
	write_rst(data + ETH_HLEN + header, p, seq, ack, payload, addresses);
	return true;
}

/* ------------------------------------------------------------------ ICMP */

/* What the sender of a packet is told. */
struct complaint {
	__u8 type, code;
	__u32 rest; /* of the ICMP header, host order */
};

/*
 * Puts IP and ICMP headers before the packet's own IP header, which becomes the quote: `quoted` bytes from
 * there on, a constant and a multiple of four.
 */
static __always_inline bool complain(struct xdp_md *ctx, const struct packet *p, const int quoted, struct complaint c, const bool v6)
{
	const int header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const int icmp_bytes = sizeof(struct icmp_header) + quoted;
	const int size = ETH_HLEN + header + icmp_bytes;
	__u64 addresses = checksum_words(p->key.src, v6 ? 4 : 1) + checksum_words(p->key.dst, v6 ? 4 : 1);
	struct ethhdr eth, *front;
	struct icmp_header *icmp;
	void *data, *end;

	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (p->l3_bytes < quoted || data + ETH_HLEN > end)
		return false;
	__builtin_memcpy(&eth, data, ETH_HLEN);
	if (bpf_xdp_adjust_head(ctx, -(header + (int)sizeof(struct icmp_header))))
		return false;
	if (bpf_xdp_adjust_tail(ctx, size - (int)bpf_xdp_get_buff_len(ctx)))
		return false;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + size > end)
		return false;
	front = data;
	*front = eth;
	swap_macs(front);
	icmp = data + ETH_HLEN + header;
	*icmp = (struct icmp_header){.type = c.type, .code = c.code, .rest = bpf_htonl(c.rest)};
	if (v6) {
		icmp->checksum = transport_checksum(addresses, IPPROTO_ICMPV6, icmp_bytes, (__be32 *)icmp, icmp_bytes / 4);
		write_ipv6(data + ETH_HLEN, p->key.dst, p->key.src, IPPROTO_ICMPV6, icmp_bytes);
	} else {
		icmp->checksum = ~checksum_fold(checksum_words((__be32 *)icmp, icmp_bytes / 4));
		write_ipv4(data + ETH_HLEN, p->key.dst[0], p->key.src[0], IPPROTO_ICMP, icmp_bytes);
	}
	return true;
}

/* Port unreachable. Only without IPv4 options and IPv6 extensions, so that the quote shows the ports. */
static __always_inline bool unreachable_udp(struct xdp_md *ctx, const struct packet *p, const bool v6)
{
	const int header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const struct complaint c = {
		.type = v6 ? ICMPV6_DEST_UNREACH : ICMP_DEST_UNREACH,
		.code = v6 ? ICMPV6_PORT_UNREACH : ICMP_PORT_UNREACH,
	};

	return p->l4 - p->l3 == header && complain(ctx, p, header + QUOTED, c, v6);
}

/* The least that any packet has that is larger than an MTU, and enough for all options and the ports. */
#define QUOTED_TOO_BIG_4 68
#define QUOTED_TOO_BIG_6 128

/* Fragmentation needed (RFC 1191), packet too big (RFC 4443): how large the sender's packets may be. */
static __always_inline bool name_mtu(struct xdp_md *ctx, const struct packet *p, const bool v6)
{
	const struct complaint c = {
		.type = v6 ? ICMPV6_PACKET_TOO_BIG : ICMP_DEST_UNREACH,
		.code = v6 ? 0 : ICMP_FRAGMENTATION_NEEDED,
		.rest = p->mtu,
	};

	return complain(ctx, p, v6 ? QUOTED_TOO_BIG_6 : QUOTED_TOO_BIG_4, c, v6);
}

/* ------------------------------------------------------------------ */

/* Builds the answer to a packet that is refused. */
static __always_inline bool answer_refused(struct xdp_md *ctx, const struct packet *p, int reason, const bool v6)
{
	if (reason == REASON_TOO_BIG)
		return name_mtu(ctx, p, v6);
	return p->key.word.proto == IPPROTO_TCP ? reset_tcp(ctx, p, v6) : unreachable_udp(ctx, p, v6);
}

/*
 * Answers a packet that is refused for `reason`. Returns the reason that holds in the end. Not inlined,
 * so that its stack does not lie under that of a flow's creation: together they may have 512 bytes.
 */
static __attribute__((noinline)) int refuse(struct xdp_md *ctx, const struct packet *p, int reason)
{
	if (p->tcp_flags & TCP_RST || !came_from_a_host(ctx, p, p->v6))
		return REASON_REFUSE_SILENT;
	if (!may_refuse())
		return REASON_REFUSE_LIMITED;
	if (!(p->v6 ? answer_refused(ctx, p, reason, true) : answer_refused(ctx, p, reason, false)))
		return REASON_REFUSE_SILENT;
	return reason;
}
