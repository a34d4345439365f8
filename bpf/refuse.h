/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Answers of our own, built in place: TCP RST (RFC 9293, 3.10.7) and ICMP port unreachable
 * (RFC 1122, RFC 4443). They go back the way that the packet came, rate-limited for each CPU, and
 * are no larger than what provoked them, or than the least that the protocol allows.
 */
#pragma once

#include "checksum.h"
#include "config.h"
#include "parse.h"

#define REFUSAL_TTL 64

/* Of both ICMP versions; the kernel's own header would pull in the C library. */
struct icmp_header {
	__u8 type, code;
	__u16 checksum;
	__u32 unused;
};

#define ICMP_DEST_UNREACH 3
#define ICMP_PORT_UNREACH 3
#define ICMPV6_DEST_UNREACH 1
#define ICMPV6_PORT_UNREACH 4

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
		.version = 4, .ihl = 5, .ttl = REFUSAL_TTL, .protocol = proto,
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
	ip->hop_limit = REFUSAL_TTL;
	__builtin_memcpy(&ip->saddr, src, 16);
	__builtin_memcpy(&ip->daddr, dst, 16);
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
	if (bpf_xdp_adjust_tail(ctx, size - (int)(ctx->data_end - ctx->data)))
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

/* ------------------------------------------------------------------ UDP */

#define QUOTED 8 /* bytes of the transport header that an ICMP error quotes at least */

/*
 * Puts IP and ICMP headers before the datagram's own IP header, which with the UDP header behind it
 * becomes the quote. Only without IPv4 options and IPv6 extensions, so that sizes are constant.
 */
static __always_inline bool unreachable_udp(struct xdp_md *ctx, const struct packet *p, const bool v6)
{
	const int header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const int icmp_bytes = sizeof(struct icmp_header) + header + QUOTED;
	const int size = ETH_HLEN + header + icmp_bytes;
	__u64 addresses = checksum_words(p->key.src, v6 ? 4 : 1) + checksum_words(p->key.dst, v6 ? 4 : 1);
	struct ethhdr eth, *front;
	struct icmp_header *icmp;
	void *data, *end;

	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (p->l4 - p->l3 != header || data + ETH_HLEN > end)
		return false;
	__builtin_memcpy(&eth, data, ETH_HLEN);
	if (bpf_xdp_adjust_head(ctx, -(header + (int)sizeof(struct icmp_header))))
		return false;
	if (bpf_xdp_adjust_tail(ctx, size - (int)(ctx->data_end - ctx->data)))
		return false;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + size > end)
		return false;
	front = data;
	*front = eth;
	swap_macs(front);
	icmp = data + ETH_HLEN + header;
	*icmp = (struct icmp_header){};
	if (v6) {
		icmp->type = ICMPV6_DEST_UNREACH;
		icmp->code = ICMPV6_PORT_UNREACH;
		icmp->checksum = transport_checksum(addresses, IPPROTO_ICMPV6, icmp_bytes, (__be32 *)icmp, icmp_bytes / 4);
		write_ipv6(data + ETH_HLEN, p->key.dst, p->key.src, IPPROTO_ICMPV6, icmp_bytes);
	} else {
		icmp->type = ICMP_DEST_UNREACH;
		icmp->code = ICMP_PORT_UNREACH;
		icmp->checksum = ~checksum_fold(checksum_words((__be32 *)icmp, icmp_bytes / 4));
		write_ipv4(data + ETH_HLEN, p->key.dst[0], p->key.src[0], IPPROTO_ICMP, icmp_bytes);
	}
	return true;
}

/* ------------------------------------------------------------------ */

/*
 * Whether a packet came from one host to this one, by its addresses: else an answer would be a
 * nuisance to many, or to nobody (RFC 1122, 3.2.2; RFC 4443, 2.4 (e)).
 */
static __always_inline bool came_from_a_host(struct xdp_md *ctx, const struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const __be32 *src = p->key.src;
	__u8 first = *(const __u8 *)src;
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > end || eth->h_dest[0] & 1)
		return false;
	if (p->v6)
		return first != 0xff && src[0] | src[1] | src[2] | src[3];
	return first != 0 && first != 127 && first < 224;
}

/*
 * Answers a packet that is refused for `reason`. Returns the reason that holds in the end. Not inlined,
 * so that its stack does not lie under that of a flow's creation: together they may have 512 bytes.
 */
static __attribute__((noinline)) int refuse(struct xdp_md *ctx, const struct packet *p, int reason)
{
	bool done;

	if (p->tcp_flags & TCP_RST || !came_from_a_host(ctx, p))
		return REASON_REFUSE_SILENT;
	if (!may_refuse())
		return REASON_REFUSE_LIMITED;
	if (p->key.word.proto == IPPROTO_TCP)
		done = p->v6 ? reset_tcp(ctx, p, true) : reset_tcp(ctx, p, false);
	else
		done = p->v6 ? unreachable_udp(ctx, p, true) : unreachable_udp(ctx, p, false);
	return done ? reason : REASON_REFUSE_SILENT;
}
