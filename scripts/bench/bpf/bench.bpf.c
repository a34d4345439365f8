/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * The harness around the program under test, and the floor that it is compared with.
 *
 * A test run that repeats does not restore the packet between its iterations: after the first one a
 * program sees its own output. So the harness is what runs; it writes the packet anew, for another
 * flow each time, and tail-calls the program under test.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PACKET_WORDS 8 /* 64 bytes behind the Ethernet header: IPv6, TCP, and a few */
#define FRAME_BYTES (14 + 8 * PACKET_WORDS)

enum vary {
	VARY_CLIENT = 0, /* source address and port: packets of clients */
	VARY_REPLY = 1,  /* destination address and port: packets of nodes to the NAT's ports */
};

struct workload {
	__u64 template[PACKET_WORDS]; /* from the IP header on */
	__u8 ethernet[16];            /* 14 bytes of it */
	__u64 counter;    /* of packets */
	__u32 mask;       /* flows − 1, a power of two of them */
	__u32 scramble;   /* multiplies the counter; odd, so that every flow gets its turn; 1: in order */
	__u32 address_at; /* offset of the 32-bit word of the address that varies */
	__u32 ports_at; /* offset of the 32-bit word of both ports */
	__u32 ports;    /* that word, the port that varies being 0 */
	__u32 vary;
	__u32 port_min, port_count; /* of the NAT, for VARY_REPLY */
	__u32 packets;  /* of this run */
	__u64 next_mark;  /* packet before which the clock is read: the first, then the last */
	__u64 started, ended; /* ns, answer */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct workload);
} workloads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

SEC("xdp.frags")
int harness(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct workload *w;
	void *where;
	__u32 zero = 0, flow, address, port;

	w = bpf_map_lookup_elem(&workloads, &zero);
	if (!w || data + FRAME_BYTES > end)
		return XDP_ABORTED;
	/* Timed here, because a test run spends ten milliseconds before its first packet. */
	if (w->counter == w->next_mark) {
		w->started = w->ended;
		w->ended = bpf_ktime_get_ns();
		w->next_mark += w->packets - 1;
	}
	/*
	 * Words that lie as the program reads them: a load that spans two stores would wait for both, as
	 * no load of a packet does that a network card has put into memory.
	 */
	*(__u64 *)data = *(__u64 *)w->ethernet;
	*(__u32 *)(data + 8) = *(__u32 *)(w->ethernet + 8);
	*(__u16 *)(data + 12) = *(__u16 *)(w->ethernet + 12);
#pragma unroll
	for (int i = 0; i < PACKET_WORDS; i++)
		*(__u64 *)(data + 14 + 8 * i) = w->template[i];
	flow = (__u32)(w->counter++ * w->scramble) & w->mask;
	if (w->vary == VARY_CLIENT) {
		address = flow;
		port = bpf_htons(1024 + (flow & 0x7fff));
	} else {
		address = flow / w->port_count;
		port = (__u32)bpf_htons(w->port_min + flow % w->port_count) << 16;
	}
	where = data + (w->address_at & 63);
	if (where + 4 > end)
		return XDP_ABORTED;
	/* The low bytes of the address: the template's own are 0 there. */
	*(__u32 *)where |= bpf_htonl(address);
	where = data + (w->ports_at & 63);
	if (where + 4 > end)
		return XDP_ABORTED;
	*(__u32 *)where = w->ports | port;
	bpf_tail_call(ctx, &under_test, 0);
	return XDP_ABORTED;
}

/* A table as large as the IPv4 flow table: so many buckets, less one. */
const volatile __u32 lines_mask = 0;

struct line_bucket {
	__u64 words[72];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* lines_mask + 1 */
	__type(key, __u32);
	__type(value, struct line_bucket);
} lines SEC(".maps");

/* The least that a balancer does at its end. */
static __always_inline int swap_and_send(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u16 *mac = data, first, second, third;

	if (data + 14 > end)
		return XDP_ABORTED;
	first = mac[0];
	second = mac[1];
	third = mac[2];
	mac[0] = mac[3];
	mac[1] = mac[4];
	mac[2] = mac[5];
	mac[3] = first;
	mac[4] = second;
	mac[5] = third;
	return XDP_TX;
}

SEC("xdp.frags")
int least(struct xdp_md *ctx)
{
	return swap_and_send(ctx);
}

/* What was read last, for the next read to depend on. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} last_read SEC(".maps");

/*
 * The same, and a read of one line of a table as large as the flow table, chosen by the source
 * address: what the memory of this machine makes any table of this size cost. `waited` has each read wait for
 * the one before; else the processor has several under way, as far ahead as it can look.
 */
static __always_inline int read_line(struct xdp_md *ctx, const bool waited)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct line_bucket *bucket;
	__u32 i, zero = 0;
	__u64 hash, *last;

	last = bpf_map_lookup_elem(&last_read, &zero);
	if (!last || data + 30 > end)
		return XDP_ABORTED;
	hash = *(__u32 *)(data + 26) * 0x9e3779b97f4a7c15ULL;
	if (waited)
		hash ^= *last; /* 0, but who is to know */
	i = hash >> 40 & lines_mask;
	bucket = bpf_map_lookup_elem(&lines, &i);
	if (!bucket)
		return XDP_ABORTED;
	*last = bucket->words[hash >> 32 & 63];
	return swap_and_send(ctx);
}

SEC("xdp.frags")
int one_line(struct xdp_md *ctx)
{
	return read_line(ctx, false);
}

SEC("xdp.frags")
int one_line_waited(struct xdp_md *ctx)
{
	return read_line(ctx, true);
}

char LICENSE[] SEC("license") = "GPL and additional rights";
