/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What the flow tables hold. Part of abi.h, which says how it is laid out. */
#pragma once

/* Why a flow may leave the table, and after how long. Lowest three bits of a stamp; 0 is a free slot. */
enum flow_class {
	FLOW_FREE = 0,
	FLOW_HALF_OPEN = 1,   /* TCP, the client has not proved yet that it hears us */
	FLOW_ESTABLISHED = 2, /* TCP, never evicted */
	FLOW_CLOSING = 3,     /* TCP after both FINs or an RST; no longer counted as active */
	FLOW_UDP = 4,
	FLOW_RESERVED = 5,    /* being written under its lock: not counted, and nothing moves or evicts it */
};
#define FLOW_CLASS_MASK 7

/* Why a flow leaves the table. A new one goes to the end: counters go by the number. */
enum removal {
	REMOVAL_SWEPT = 0,  /* it was idle for too long, and the sweep found it */
	REMOVAL_EXPIRED,    /* the same, found by a new flow that needed its room or its source port */
	REMOVAL_ROOM,       /* a new flow needed its room, though it had time left */
	REMOVAL_PORT,       /* the same with its source port */
	REMOVAL_SUPERSEDED, /* its own client began anew: after it had ended, or because its node takes no more */
	REMOVAL_MAX,
};

/* What closes a TCP flow; it then rests as FLOW_CLOSING, and is no longer counted as active. As above. */
enum closing {
	CLOSING_FIN = 0,      /* both sides have sent theirs */
	CLOSING_CLIENT_RESET, /* an RST of the client */
	CLOSING_NODE_RESET,   /* an RST of the node */
	CLOSING_NODE_DOWN,    /* on_down: reset */
	CLOSING_DEADLINE,     /* of drain, reject or removal */
	CLOSING_MAX,
};

/* Bits of word.flags of a half. */
enum half_flag {
	HALF_FORWARD = 1, /* client to node */
	HALF_REPLY = 2,   /* node to client */
	HALF_FIN = 4,     /* this side sent its FIN */
	HALF_SYNACK = 8,  /* forward half: the node answered, expect_ack is valid */
	HALF_SPILLED = 16, /* lies in its key's second bucket, and is counted in the first */
	HALF_ESTABLISHED = 32, /* TCP: packets without SYN, FIN and RST change nothing any more */
	HALF_FAILED = 64, /* forward half: its node has failed it, which was counted */
};

/* The part of a key that both families share: one aligned 64-bit word, ports and protocol below. */
struct flow_word {
	__be16 sport;
	__be16 dport;
	__u8 proto; /* 0 while the slot is free, so that nothing matches */
	/* From here on not part of the key. */
	__u8 flags;   /* enum half_flag */
	__u8 version; /* of the slot; odd while it changes hands */
	__u8 unused;
};

/* What only one of the two halves needs. */
struct half_origin {
	__u32 born;       /* jiffies of creation */
	__u32 expect_ack; /* the node's initial sequence number + 1, host order */
};
union half_own {
	__u64 hop;                 /* reply half: the hop that the client's packets came from */
	struct half_origin origin; /* forward half */
};

/* What both families keep of one direction of a flow. */
struct half {
	__u32 peer;    /* the other half: bucket << 3 | slot */
	__u32 node;    /* index into nodes */
	__u32 seen;    /* jiffies (low 32 bits) of the last packet of this direction */
	__u32 packets; /* of this direction; wraps */
	__u64 bytes;   /* of this direction, layer 3 */
	union half_own own;
};

struct flow4 {
	__be32 src, dst; /* key, as on the wire */
	struct flow_word word;
	__be32 nat_src, nat_dst; /* what the packet leaves with */
	__be16 nat_sport, nat_dport;
	__u16 l3_delta, l4_delta; /* one's complement sums to add to the inverted checksums */
	struct half half;
};

struct flow6 {
	__be32 src[4], dst[4];
	struct flow_word word;
	__be32 nat_src[4], nat_dst[4];
	__be16 nat_sport, nat_dport;
	__u16 unused, l4_delta;
	struct half half;
	__u64 reserved[2];
};

/*
 * The first cache line of a bucket: all that a miss, a choice of a free slot and most evictions read.
 * Most hits do not wait for it: they find what they need in the flow's own line.
 */
struct bucket_head {
	__u16 tags[BUCKET_SLOTS];    /* of the key's hash, never 0; 0: free */
	__u32 stamps[BUCKET_SLOTS];  /* (jiffies & ~7) | enum flow_class; a lower bound of the last packet */
	__u32 lock;                  /* 0 free, 1 taken; only programs take it */
	__u32 spilled;               /* keys that prefer this bucket but lie in their second */
	__u64 reserved;
};

struct bucket4 {
	struct bucket_head head;
	struct flow4 flows[BUCKET_SLOTS];
};

struct bucket6 {
	struct bucket_head head;
	struct flow6 flows[BUCKET_SLOTS];
};

/*
 * How flows end. Per CPU. Each flow is counted at most once as closed, and once as removed; it stops being active with
 * the first of the two.
 */
struct flow_stats {
	__u64 removed[8][8]; /* by enum removal and enum flow_class */
	__u64 closed[8];     /* by enum closing */
};
#define OF_IPV4 0 /* keys of flows_stats */
#define OF_IPV6 1
