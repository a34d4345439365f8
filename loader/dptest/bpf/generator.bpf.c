/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Makes packets and tail-calls the program under test with each: millions in one run of live frames, which
 * come in by a queue of an interface as if a card had them received, and go where the program sends them.
 * Frames are used again and again with what the program left in them; so every packet is written anew.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "../../../bpf/abi.h"

#define FRAME_WORDS 11 /* 88 bytes: Ethernet, IPv6, TCP, and a little payload */
#define FRAME_BYTES (8 * FRAME_WORDS)
#define KINDS_MAX 32
#define FLAGS_MAX 16
#define RUNS_MAX 16

/* One kind of packet. Offsets are those of the frame; 0: there is no such field. */
struct packet_kind {
	__u64 frame[FRAME_WORDS];
	__u16 flags_at;   /* of the byte of TCP flags */
	__u16 client_at;  /* of the last two bytes of the client's address */
	__u16 port_at;    /* of the port that varies */
	__u16 port_first;
	__u32 ports;      /* that there are of it; at least 1 */
	__u32 clients;    /* addresses that there are; at least 1 */
	__u32 node;       /* not 0: the port is one of the latest `ports` that NAT gave flows to this node */
	__u8 flags[FLAGS_MAX];
	__u32 flags_count;
	__u32 unused[2];
};

/* What one worker does in its runs, and how far it is. */
struct packet_run {
	__u64 random; /* state of the generator; 0: count instead of drawing */
	__u64 count;  /* of packets so far */
	__u32 first, kinds; /* which kinds take part */
	__u64 reserved[5];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KINDS_MAX);
	__type(key, __u32);
	__type(value, struct packet_kind);
} packet_kinds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RUNS_MAX);
	__type(key, __u32);
	__type(value, struct packet_run);
} packet_runs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} packets_to SEC(".maps");

/* The program's own. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct node_live);
} nodes_live SEC(".maps");

const volatile __u32 nat_port_min = NAT_PORT_MIN, nat_port_count = NAT_PORT_COUNT;

/* The next number: drawn (xorshift64*), or counted. */
static __always_inline __u64 draw(struct packet_run *run)
{
	__u64 x = run->random;

	if (!x)
		return run->count;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	run->random = x;
	return x * 0x2545f4914f6cdd1dULL >> 20;
}

/* The port that varies, in host order. */
static __always_inline __u16 port_of(const struct packet_kind *kind, __u64 number)
{
	__u32 node = kind->node, back = (__u32)number % (kind->ports ?: 1);
	struct node_live *live;

	if (!node)
		return kind->port_first + back;
	live = bpf_map_lookup_elem(&nodes_live, &node);
	return nat_port_min + (live ? live->next_port + nat_port_count - 1 - back : 0) % nat_port_count;
}

/* Two bytes of a frame, whose offset user space has set. */
static __always_inline void put16(void *data, void *end, __u16 at, __u16 value)
{
	__u8 *to = data + (at & 127);

	if (at && (void *)(to + 2) <= end) {
		to[0] = value >> 8;
		to[1] = value;
	}
}

static __always_inline void write_packet(void *data, void *end, const struct packet_kind *kind, struct packet_run *run)
{
	__u64 number = draw(run);
	__u8 *flags;

#pragma unroll
	for (int i = 0; i < FRAME_WORDS; i++)
		((__u64 *)data)[i] = kind->frame[i];
	put16(data, end, kind->port_at, port_of(kind, number));
	number = run->random ? draw(run) : number / (kind->ports ?: 1);
	put16(data, end, kind->client_at, number % (kind->clients ?: 1));
	flags = data + (kind->flags_at & 127);
	if (kind->flags_at && (void *)(flags + 1) <= end)
		*flags = kind->flags[(run->random ? (__u32)draw(run) % (kind->flags_count ?: 1) : 0) & (FLAGS_MAX - 1)];
}

static __always_inline int generate(struct xdp_md *ctx, __u32 worker)
{
	struct packet_run *run = bpf_map_lookup_elem(&packet_runs, &worker);
	struct packet_kind *kind;
	void *data, *end;
	__u32 which;

	if (!run)
		return XDP_ABORTED;
	which = run->first;
	if (run->kinds > 1)
		which += (__u32)draw(run) % run->kinds;
	kind = bpf_map_lookup_elem(&packet_kinds, &which);
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (!kind || data + FRAME_BYTES > end)
		return XDP_ABORTED;
	write_packet(data, end, kind, run);
	run->count++;
	bpf_tail_call(ctx, &packets_to, 0);
	return XDP_ABORTED;
}

/* The run is the one of this CPU: workers are pinned. */
SEC("xdp")
int generator(struct xdp_md *ctx)
{
	return generate(ctx, bpf_get_smp_processor_id() & (RUNS_MAX - 1));
}

char LICENSE[] SEC("license") = "GPL and additional rights";
