/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Everything that the program and user space share: every struct of every map and every enum.
 * Padding is explicit and sizes are asserted, because Go reads these bytes as they lie.
 * Addresses and ports are in network byte order; everything else is in host byte order.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#define ABI_SCHEMA 3 /* goes up with every change of a layout below */

#define BUCKET_SLOTS 8
#define LINKS_MAX 256
#define LINK_PROBES 8 /* a link sits in one of these slots from (ifindex mod LINKS_MAX) */
#define TAGS_MAX 256 /* the first and the last are never used */
#define TAGS_PROBES 64 /* tags of clients sit in one of these slots from their hash */
#define SNATS_MAX 256
#define GUESSES_MAX 16384 /* a power of two */
#define NODES_MAX 32768 /* node ids are below; in scheduling tables they have 16 bits */
#define POOL_WORDS 4194304 /* of all scheduling tables together */
#define OURS_WORDS 1024 /* 65,536 bits */

/*
 * NAT source ports. The 512 below are left to the balancer's own probes, so that a probe and a
 * flow never share a 4-tuple although both come from the same address.
 */
#define NAT_PORT_MIN 1536
#define NAT_PORT_COUNT 64000
#define PROBE_PORT_MIN 1024

#include "abi_flows.h"
#include "abi_services.h"

/* ------------------------------------------------------------------ announced addresses */

/* Key of announced: a VIP, and an interface on whose network it is announced. */
struct announced_key {
	__u8 addr[16]; /* IPv4 in the first four */
	__u32 ifindex;
	__u32 family; /* 4 or 6 */
};

struct announcement {
	__u8 mac[6]; /* of the interface */
	__u8 pad[2];
};

/* ------------------------------------------------------------------ the whole */

/* Frame that the sweep program is run on: the request, and the answer in place. */
struct sweep_frame {
	__u32 family; /* 4 or 6 */
	__u32 first;  /* bucket */
	__u32 count;  /* buckets */
	__u32 removed;   /* answer: flows closed */
	__u64 jiffies;   /* answer: now */
};

/*
 * Why a packet met its fate. finish() alone turns a reason into a verdict and counts it: the group
 * decides the verdict, so a new reason goes to the end of its group. Go reads the names from the
 * program's BTF.
 */
enum reason {
	/* to the kernel, untouched */
	REASON_NOT_IP = 0,     /* neither IPv4 nor IPv6 */
	REASON_VLAN,           /* more than two VLAN tags */
	REASON_TRUNCATED,      /* a header is cut short or contradicts itself */
	REASON_NOT_OURS,       /* neither VIP nor SNAT address */
	REASON_NOT_TCP_UDP,    /* to one of our addresses, but another protocol */
	REASON_FRAGMENT,       /* a later fragment of what went to the kernel, or may be for the host */
	REASON_NO_CONFIG,      /* to one of our addresses, but no flow and no config */
	REASON_TTL_EXPIRED,    /* the kernel answers with time exceeded */
	REASON_ICMP_UNKNOWN,   /* an ICMP error about no flow of ours */
	REASON_TAGS_FULL,      /* a new flow's VLAN tags are not known, and there is no room for more */
	/* to the kernel, rewritten */
	REASON_HOP_UNRESOLVED, /* no way to the next hop yet: the kernel may forward it, and resolves it */
	REASON_LEFT_TO_FRAGMENT, /* larger than its link's MTU: the kernel may fragment it */
	/* forwarded: first is REASON_NEW_FLOW */
	REASON_NEW_FLOW,
	REASON_FORWARDED, /* client to node */
	REASON_REPLIED,   /* node to client */
	REASON_RESET_CLIENT, /* node to client, turned into an RST: the flow is over, and only the node speaks */
	REASON_FRAGMENT_FOLLOWED, /* a later fragment, the way of its first */
	REASON_ICMP_TRANSLATED, /* an ICMP error, to the client or the node that it is about */
	/* answered, back the way it came: first is REASON_ECHO_ANSWERED */
	REASON_ECHO_ANSWERED, /* a ping to a VIP */
	REASON_NEIGHBOUR_ANSWERED, /* who asked for the MAC of a VIP that is announced */
	/* refused with TCP RST or an ICMP error: first is REASON_NO_BACKEND */
	REASON_NO_BACKEND,
	REASON_NODES_FULL,   /* every node that takes new flows has max_conns of them */
	REASON_FLOW_UNKNOWN, /* TCP without SYN and without a flow */
	REASON_NODE_DOWN,    /* on_down: reset */
	REASON_TABLE_FULL,   /* nothing in the flow's two buckets may leave */
	REASON_NO_PORT,      /* no source port is free */
	REASON_DEADLINE,     /* of drain, reject or removal: the flow is over */
	REASON_TOO_BIG,      /* for the link that it would leave by, and not to be fragmented: answered with its MTU */
	/* dropped: first is REASON_NO_BACKEND_DROPPED */
	REASON_NO_BACKEND_DROPPED, /* on_no_backend: drop */
	REASON_REFUSE_LIMITED,     /* a refusal over the rate limit */
	REASON_REFUSE_SILENT,      /* a refusal that must not be answered: of an RST, or to many */
	REASON_TABLE_BUSY,         /* a bucket stayed locked; the sender will repeat */
	REASON_BAD_SERVICE,        /* an index that user space wrote points nowhere */
	REASON_THROTTLED,          /* its client opens flows faster than its balancer allows */
	REASON_FRAGMENT_EARLY,     /* to a VIP, and its datagram's first fragment has not come, or long ago */
	REASON_FRAGMENT_LOST,      /* its datagram's first fragment was not sent on, or its flow has gone */
	REASON_FRAGMENT_OVERLAP,   /* of what has passed already */
	REASON_MAX,
};

/* ------------------------------------------------------------------ fragments */

/* Key of fragments: a datagram. Addresses as they lie in struct tuple. */
struct fragment_key {
	__be32 src[4], dst[4];
	__be32 id;
	__u8 proto;  /* IPv4 only: over IPv6 it may differ from fragment to fragment */
	__u8 family; /* 4 or 6 */
	__u16 unused;
};

/* What becomes of the later fragments. */
enum fragment_fate {
	FRAGMENTS_FOLLOW = 1, /* the flow of the first */
	FRAGMENTS_PASS = 2,   /* to the kernel, as the first did */
	FRAGMENTS_END = 3,    /* the first was refused or dropped */
};

/*
 * Which parts of a datagram have passed, in units of eight bytes: all before `done`, an island beyond it,
 * and how long it is once the last fragment has come; 0: not known, no island. Replaced as one word.
 */
struct fragment_parts {
	__u16 done, island, island_end, total;
};

struct fragment {
	struct fragment_parts parts;
	__be16 sport, dport; /* of the first fragment */
	__be32 id;           /* that they leave with */
	__u32 first;         /* jiffies of the first fragment */
	__u32 node;          /* that it went to, or came from */
	__u8 proto;          /* upper */
	__u8 fate;           /* enum fragment_fate */
	__u16 unused;
	__u32 reserved;
};

/* Per CPU, the only entry of refusals: the token bucket that limits answers of our own. */
struct refusal_bucket {
	__u64 tokens;
	__u64 filled; /* jiffies */
};

/* Per CPU, the only entry of reasons. */
struct reason_counters {
	__u64 packets[64];
};

/* The only entry of meta: written once, when the maps are made. */
struct table_meta {
	/* No bytes: these put types into the program's BTF, where Go reads them. */
	enum reason reasons[0];
	enum flow_class classes[0];
	enum removal removals[0];
	enum closing closings[0];
	enum half_flag flags[0];
	enum node_action actions[0];
	enum algorithm algorithms[0];
	enum signal_kind kinds[0];
	struct signal signals[0];
	__u32 schema; /* ABI_SCHEMA */
	__u32 hz;     /* jiffies a second */
	__u64 secret[3]; /* keys the hash */
	__u64 jiffies;   /* at the moment monotonic_ns, so that readers can tell ages */
	__u64 monotonic_ns;
	__u64 reserved[2];
};

_Static_assert(sizeof(struct flow_word) == 8, "flow_word");
_Static_assert(sizeof(struct half) == 32, "half");
_Static_assert(sizeof(struct flow4) == 64, "flow4: one cache line");
_Static_assert(sizeof(struct flow6) == 128, "flow6: two cache lines");
_Static_assert(sizeof(struct bucket_head) == 64, "bucket_head: one cache line");
_Static_assert(sizeof(struct bucket4) == 576, "bucket4");
_Static_assert(sizeof(struct bucket6) == 1088, "bucket6");
_Static_assert(sizeof(struct flow_stats) == 576, "flow_stats");
_Static_assert(REMOVAL_MAX <= 8 && CLOSING_MAX <= 8 && FLOW_RESERVED < 8, "flow_stats holds every way to end");
_Static_assert(sizeof(struct vip_key) == 20, "vip_key");
_Static_assert(sizeof(struct service) == 64, "service");
_Static_assert(sizeof(struct stick_policy) == 8, "stick_policy: one word");
_Static_assert(sizeof(struct throttle_policy) == 8, "throttle_policy: one word");
_Static_assert(sizeof(struct stick_key) == 20, "stick_key");
_Static_assert(sizeof(struct stick_entry) == 16, "stick_entry");
_Static_assert(sizeof(struct throttle_key) == 16, "throttle_key");
_Static_assert(sizeof(struct service_live) == 64, "service_live");
_Static_assert(sizeof(struct node_status) == 8, "node_status");
_Static_assert(sizeof(struct node) == 64, "node: one cache line");
_Static_assert(sizeof(struct node_live) == 64, "node_live");
_Static_assert(sizeof(struct node_stats) == 64, "node_stats");
_Static_assert(sizeof(struct service_stats) == 192, "service_stats");
_Static_assert(REASON_MAX - REASON_NO_BACKEND <= SERVICE_REASONS, "service_stats holds every reason to refuse or drop");
_Static_assert(sizeof(struct node_trouble) == 16, "node_trouble");
_Static_assert(sizeof(struct signal) == 16, "signal");
_Static_assert(sizeof(struct node_info) == 64, "node_info");
_Static_assert(sizeof(struct service_info) == 64, "service_info");
_Static_assert(sizeof(struct link_entry) == 32, "link_entry");
_Static_assert(sizeof(struct announced_key) == 24, "announced_key");
_Static_assert(sizeof(struct announcement) == 8, "announcement");
_Static_assert(sizeof(struct table_meta) == 64, "table_meta");
_Static_assert(sizeof(struct sweep_frame) == 24, "sweep_frame");
_Static_assert(NODES_MAX <= 1 << (64 / SLOT_NODES), "a slot holds any node id");
_Static_assert(POOL_WORDS <= 1LL << SERVICE_OFFSET_BITS, "an offset names any word of slots");
_Static_assert(sizeof(struct fragment_key) == 40, "fragment_key");
_Static_assert(sizeof(struct fragment) == 32, "fragment");
_Static_assert(REASON_MAX <= 64, "reason_counters holds every reason");
