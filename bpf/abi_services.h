/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Services, their nodes and clients, and the ways to them. Part of abi.h, which says how it is laid out. */
#pragma once

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

#define SERVICE_REASONS 24 /* reasons from REASON_NO_BACKEND on, with room for more */

/* Per CPU, written by the program. */
struct service_stats {
	__u64 packets[SERVICE_REASONS]; /* that were refused or dropped; by their reason, less REASON_NO_BACKEND */
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
	LINK_REDIRECT = 1, /* a veth: what leaves where it came in is redirected too, see leads_back() */
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
	__u32 parent; /* of a VLAN interface: the one that frames leave by; else 0 */
	__u32 unused;
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
