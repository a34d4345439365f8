/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What a capture is asked for, what it keeps of a packet, and its own maps, none of which is pinned. */
#pragma once

#include "flow_table.h"

#define PATIENCE 5 /* seconds without a beat from the reader after which nothing is captured any more */
#define SNAP_MAX 2048 /* bytes that are kept of a frame at most */
#define LOOK_MAX 0x1ff /* headers are looked for at offsets up to this */
#define WANTED_MAX 8

/* ------------------------------------------------------------------ what is asked for; set by the loader */

const volatile __u32 snap = 256;     /* bytes to keep of a frame, up to SNAP_MAX */
const volatile __u32 sample = 1;     /* one in so many packets, at random */
const volatile __u32 capture_rate = 1000; /* packets a second of one CPU, and at once after a pause */
const volatile __u64 wanted_reasons = ~0ULL; /* a bit for each reason */
/* Nodes and services by id; none: all. Several ids may stand for what has one name. */
const volatile __u32 wanted_nodes[WANTED_MAX] = {}, wanted_node_count = 0;
const volatile __u32 wanted_services[WANTED_MAX] = {}, wanted_service_count = 0;
/* A prefix of clients' addresses; an IPv4 address is in the first word. */
const volatile __u32 wanted_client[4] = {}, wanted_client_mask[4] = {};
const volatile __u32 wanted_family = 0; /* 4 or 6; 0: all clients */

/* ------------------------------------------------------------------ what is kept */

/* A packet, in the ring: this, `snap` bytes for the frame as it came, and as many for it as it left. */
struct capture_record {
	__u64 came, left; /* ktime, nanoseconds */
	__u32 ifindex;    /* that it came in by */
	__u32 verdict;    /* of XDP */
	__u32 node;       /* of its flow, 0: none */
	__u32 service;    /* NO_SERVICE: none */
	__u32 bytes_in, bytes_out; /* length of the frame */
	__u16 kept_in, kept_out;   /* bytes of it that are here */
	__u8 reason;      /* enum reason */
	__u8 unused[3];
};
_Static_assert(sizeof(struct capture_record) == 48, "capture_record");

/* Per CPU: the packet that is on its way through the program, and the account of the capture. */
struct capture_state {
	struct capture_record record;
	__u8 bytes[2 * SNAP_MAX + LOOK_MAX + 1];
	__u64 underway; /* not 0: it is to be looked at when it leaves */
	__u64 beat, heard; /* the reader's last beat, and the jiffies when this CPU heard it first */
	__u64 tokens, filled; /* of the rate; jiffies */
	__u64 skipped; /* packets that came while the rate was used up */
	__u64 lost;    /* packets for which the ring had no room */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct capture_state);
} capture_states SEC(".maps");

/* A number that the reader moves on every second. When it dies, the program may outlive it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} capture_beat SEC(".maps");

/* Written by the program. When nobody reads it, it is full soon, and then nothing is written any more. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} captured SEC(".maps");

static __always_inline struct capture_state *capture_state(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&capture_states, &zero);
}

/* Bytes that were kept of a frame, as it came or as it left; NULL: not so many. */
static __always_inline const void *kept(const struct capture_state *s, const bool left, __u32 offset, __u32 size)
{
	if (offset > LOOK_MAX || offset + size > (left ? s->record.kept_out : s->record.kept_in))
		return NULL;
	opaque(offset);
	offset &= LOOK_MAX;
	return s->bytes + (left ? snap : 0) + offset;
}
