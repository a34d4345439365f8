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

/* ------------------------------------------------------------------ flow table */

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

/* ------------------------------------------------------------------ services and nodes */

/*
 * Key of vips: a port of a VIP, or with port and protocol 0 the VIP itself, whose value is NO_SERVICE. An
 * IPv4 address fills the first four bytes, the rest is 0.
 */
struct vip_key {
	__u8 addr[16];
	__be16 port;
	__u8 proto;  /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 family; /* 4 or 6 */
};
#define NO_SERVICE 0xffffffff

/*
 * What service.word holds; one 64-bit store replaces all of it, so no packet sees a mixture. The
 * table lies in slots: its first word is at the offset, and what that word is, the algorithm says.
 */
#define SERVICE_OFFSET_BITS 32 /* first word of the table */
#define SERVICE_LENGTH_SHIFT 32
#define SERVICE_LENGTH_BITS 24 /* node ids, or columns; 0: nothing is eligible */
#define SERVICE_FLAGS_SHIFT 56
#define SERVICE_FLAG_DROP 1 /* nothing eligible: drop silently instead of refusing */
#define SERVICE_ALGORITHM_SHIFT 1 /* of the flags: two bits, enum algorithm */
#define SERVICE_ALGORITHM_MASK 3
#define SERVICE_FLAG_STICK 8 /* clients stick to nodes, see stick_policy */
#define SERVICE_FLAG_THROTTLE 16 /* clients open flows at a limited rate, see throttle_policy */
#define SERVICE_FLAG_LIMITED 32 /* nodes have max_conns: behind the table is a word with the number of words of node ids that follow */

/* How a node is chosen, and so what the words of a table are. */
enum algorithm {
	ALGORITHM_SEQUENCE = 0,  /* node ids in order, walked by tickets: exact round robin */
	ALGORITHM_LEASTCONN = 1, /* columns: two draws by weight, and the one with fewer flows for its weight */
	ALGORITHM_HASH = 2,      /* node ids by the hash of the client's address */
	ALGORITHM_TICKETS = 3,   /* columns: tickets spread evenly over all weights */
};

/*
 * A word of slots holds four node ids, the first in its low bits, or a column of an alias table (A. J.
 * Walker's method): a draw that hits the column goes to its own node if the draw's low 32 bits are
 * below the threshold, else to its alias. Each column's own node is another.
 */
#define SLOT_NODES 4
#define COLUMN_OWN_SHIFT 32   /* below: the threshold */
#define COLUMN_ALIAS_SHIFT 48

/* How long clients stick. One 64-bit word, replaced by one store. */
struct stick_policy {
	__u32 ttl;   /* jiffies from when an entry was made, or last used if it slides */
	__u16 tier;  /* counts the changes between the backups and others: odd while the backups serve, never 0 */
	__u8 slides; /* a new flow makes its entry as good as new */
	__u8 unused;
};

/* How fast a client may open flows. One 64-bit word, replaced by one store. */
struct throttle_policy {
	__u32 group; /* services with the same one share what a client may open */
	__u32 rate;  /* flows a second, from 1 to THROTTLE_RATE_MAX */
};
#define THROTTLE_RATE_MAX 20

struct service {
	__u64 word;
	/* Where it is found, while it is; else the family is 0. Written last to first, cleared first to last. */
	struct vip_key vip;
	__u32 reserved;
	struct stick_policy stick;
	struct throttle_policy throttle;
	__u64 unused[2];
};

/* Written by the program only. */
struct service_live {
	__u64 ticket; /* counts choices, but those by hash */
	__u64 cursor; /* member at which the last search for a node with room ended */
	__u64 reserved[6];
};

enum node_mode { MODE_ACCEPT = 0, MODE_REJECT = 1, MODE_DRAIN = 2, MODE_BACKUP = 3 };
enum node_health { HEALTH_UNKNOWN = 0, HEALTH_UP = 1, HEALTH_DOWN = 2 };
enum node_override { OVERRIDE_NONE = 0, OVERRIDE_UP = 1, OVERRIDE_DOWN = 2 };
enum node_lifecycle { LIFECYCLE_FREE = 0, LIFECYCLE_PRESENT = 1, LIFECYCLE_REMOVED = 2 };

/* What the packet path does with the four fields above; worked out by user space. */
enum node_action {
	ACTION_NEW = 1,       /* takes new flows: a SYN on a half-open flow is a retransmission */
	ACTION_DEAD = 2,      /* is DOWN: UDP flows are re-picked, so is a SYN on an established flow */
	ACTION_RESET_TCP = 4, /* TCP flows end with an RST: their next packet is answered with one */
	ACTION_STICK = 8,     /* takes new flows of clients that stick to it */
	ACTION_DEADLINE = 16, /* from node.deadline on all flows end: TCP as above, UDP flows are re-picked */
	ACTION_REPORT = 32, /* connections that it fails are counted and reported */
};

/* One 64-bit word, replaced by one store. */
struct node_status {
	__u8 mode;       /* enum node_mode, set by people */
	__u8 health;     /* enum node_health, found by checks */
	__u8 override_;  /* enum node_override, set by people */
	__u8 lifecycle;  /* enum node_lifecycle */
	__u8 actions;    /* enum node_action */
	__u8 unused;
	__u16 generation; /* of the id; stick entries of another one are dead */
};

/*
 * A next hop is one 64-bit word so that it, too, is replaced by one store: the low 48 bits are the
 * destination MAC as it lies on the wire, the next 8 the index into links, and the highest 8 say which VLAN
 * tags frames have: none; those that a client's frames came with, by their index into tags; or those of the
 * link. 0: not resolved.
 */
#define HOP_LINK_SHIFT 48
#define HOP_TAGS_SHIFT 56
#define TAGS_NONE 0
#define TAGS_OF_LINK 255

/* Key: node id. What changes while traffic runs is replaced by one store; address and service never do while flows live. */
struct node {
	__u64 hop;
	struct node_status status;
	__u8 addr[16]; /* an IPv4 address fills the first four bytes */
	__be16 port;
	__u8 family; /* 4 or 6 */
	__u8 proto;
	__u32 service;  /* index into services */
	__u32 tcp_idle; /* jiffies */
	__u32 udp_idle; /* jiffies */
	__u16 snat_first, snat_count; /* range of snats */
	__u32 max_conns; /* active flows from which on it takes no new ones; 0: no limit */
	__u16 weight;    /* what its active flows are divided by when they are compared */
	__u16 unused;
	__u32 deadline; /* jiffies; counts only with ACTION_DEADLINE */
};

/* Key of sticks: a client of a service. An IPv4 address fills the first four bytes, the rest is 0. */
struct stick_key {
	__u32 service;
	__be32 client[4];
};

/*
 * Where a client sticks. The first three fields are one 64-bit word, replaced by one store: who reads
 * an entry sees one node and what it was when the entry was made.
 */
struct stick_entry {
	__u32 node;
	__u16 generation; /* of the node */
	__u16 tier;       /* of the service, for an entry that the backups made; 0: good in all of them */
	__u64 born;       /* jiffies */
};

/* Key of throttles: an IPv4 address, or the first 64 bits of an IPv6 address, in a group of services. */
struct throttle_key {
	__u64 client;
	__u32 group;
	__u32 family; /* 4 or 6 */
};

/*
 * What a client has used of its rate: the moment until which all that it opened would have lasted at
 * that rate, in 1/65,536 jiffies. It may lie up to a second ahead of now.
 */
struct throttle_entry {
	__u64 until;
};
#define THROTTLE_TIME_SHIFT 16

#define FREED_PORTS 16 /* a power of two */

/* Written by the program; user space sets next_port once, when it gives the id to a node. */
struct node_live {
	__u64 active;    /* flows that are half-open, established or UDP */
	__u64 next_port; /* counts source ports handed out */
	__u32 freed;     /* counts flows that ended, but half-open ones; where the next one's port goes in freed_ports */
	/* The last search that found every port taken: what freed was then, and when it was (jiffies; 0: never). */
	__u32 full_freed, full_at;
	__u32 reserved;
	__u16 freed_ports[FREED_PORTS]; /* that ended flows held, the latest; host order; 0: none */
};

/* How a node fails a connection: what is seen of it while its flow is half-open and no SYN-ACK came. */
enum signal_kind {
	SIGNAL_REFUSED = 0,     /* the node answers the SYN with an RST */
	SIGNAL_UNANSWERED = 1,  /* the client sends its SYN for the third time, or later */
	SIGNAL_UNREACHABLE = 2, /* an ICMP error says that the SYN did not reach the node */
	SIGNAL_KINDS = 3,
};

/* Written by the program with ACTION_REPORT; user space clears it when it gives the id to a node. */
struct node_trouble {
	__u32 failed;   /* connections in a row: that the node has failed since it took one */
	__u32 reported; /* jiffies of the last report; 0: none */
	__u64 lost;     /* reports that found no room */
};

/* A report in the ring buffer signals. */
struct signal {
	__u32 node;
	__u32 kind;    /* enum signal_kind */
	__u32 failed;  /* connections in a row that the node has failed, with this one */
	__u32 unused;
};

/* Per CPU, written by the program. */
struct node_stats {
	__u64 packets_in, bytes_in;   /* client to node, layer 3 */
	__u64 packets_out, bytes_out; /* node to client */
	__u64 flows;                  /* created */
	__u64 failed[SIGNAL_KINDS];   /* connections that it has failed; counted with ACTION_REPORT */
};

/* What people need to read the tables when no daemon runs. Written by user space only. */
struct node_info {
	__u8 label[32]; /* NUL-padded */
	__u32 weight;
	__u32 remove_after;    /* milliseconds that its flows may go on when it is removed */
	__s64 checked_at;      /* Unix nanoseconds of the last check's result; 0: none */
	__s64 mode_since;      /* when the mode was set, nanoseconds of CLOCK_MONOTONIC, 0: not known */
	__u64 reserved;
};

struct service_info {
	struct vip_key vip;
	__u32 unused;
	__u8 balancer[32]; /* label, NUL-padded */
	__u64 reserved;
};

enum link_flag {
	LINK_REDIRECT = 1, /* a veth: what leaves where it came in is redirected too, see transmit() */
	LINK_TAGGED = 2,   /* a VLAN interface: frames leave by its parent, with its tags */
};

/*
 * Up to two VLAN tags (IEEE 802.1Q) as one word, as they lie in a frame: type and control information of the
 * outer one in the first four bytes, of the inner one in the others, which are 0 if there is one tag only.
 * 0: no tags.
 */
typedef __u64 vlan_tags;

/*
 * Key of links: see LINK_PROBES. Also the key of tx_ports, whose value is the index of the interface that
 * frames leave by: the parent's for a VLAN interface, which itself no frame comes in by.
 */
struct link_entry {
	__u32 ifindex; /* 0: free */
	__u8 mac[6];
	__u16 flags; /* enum link_flag; in one word with the end of mac */
	__u32 mtu;   /* largest IP packet that leaves by it, in bytes; never 0 */
	__u32 unused[2];
	vlan_tags tags; /* with LINK_TAGGED */
};

/*
 * Values of tags: those that clients' frames came with. The bit that says that a frame may be dropped first
 * (DEI) is each frame's own and not kept; in an entry it says that no new flow may use it, because user space
 * is about to free it.
 */
#define TAG_VID 0x0fff /* of a tag in host order */
#define TAG_DEI 0x1000

struct snat {
	__u8 addr[16];
};

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
