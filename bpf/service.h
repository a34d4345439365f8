/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The stages between the tuple and the verdict: a known flow, a new one. */
#pragma once

#include "flow_create.h"
#include "foresee.h"
#include "nat.h"
#include "nexthop.h"
#include "stats.h"
#include "sticky.h"
#include "tags.h"
#include "tcp_state.h"
#include "throttle.h"

/* What one run of the program carries from stage to stage. Each stage fills its part; nothing is zeroed before. */
struct run {
	struct packet p;
	__u64 hash;
	__u64 hop;  /* the next one, once it is known */
	__u32 now;
	union {
		__u32 way;   /* out, once it is known */
		__u32 owner; /* of what is refused or dropped, see owner_of() */
	};
	vlan_tags tags; /* that the frame came with */
};

static __always_inline bool is_syn(const struct packet *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

static __always_inline bool is_tcp(const struct packet *p)
{
	return p->key.word.proto == IPPROTO_TCP;
}

static __always_inline bool may_open_tcp(const struct packet *p)
{
	return is_tcp(p) && is_syn(p);
}

static __always_inline void follow(struct run *run, const struct place *at, const bool v6)
{
	__u32 flags_version = run->p.tcp_flags | at->version << 8, seq, ack;
	const struct tcphdr *tcp = tcp_of(&run->p);

	if (!tcp)
		return;
	seq = bpf_ntohl(tcp->seq);
	ack = bpf_ntohl(tcp->ack_seq);
	if (v6)
		follow_tcp6(at->ref, flags_version, seq, ack, run->now);
	else
		follow_tcp4(at->ref, flags_version, seq, ack, run->now);
}

/* A packet is refused or dropped: whose it is goes with the reason. */
static __always_inline int ends_as(struct run *run, __u32 owner, int reason)
{
	run->owner = owner;
	return reason;
}

/* A packet that its link does not take. Nothing counts it but its reason; a flow that it has opened is one. */
static __always_inline int exceeds(struct run *run, const struct place *at, __u32 mtu, int reason)
{
	run->p.mtu = mtu;
	if (reason == REASON_NEW_FLOW)
		count_flow(at->half->node);
	return ends_as(run, owner_of_node(at->half->node), REASON_TOO_BIG);
}

/* Counts a packet on its half, follows its TCP state, rewrites it and names the way out. */
static __always_inline int deliver(struct xdp_md *ctx, struct run *run, const struct place *at, int reason, const bool v6)
{
	__u8 flags = word_of(at->half, v6)->flags;
	struct link_entry *link = link_of_hop(run->hop);
	struct packet *p = &run->p;
	int left = REASON_HOP_UNRESOLVED; /* why it goes to the kernel if it does */

	if (link && p->l3_bytes > mtu_of_hop(run->hop, link) && reason != REASON_RESET_CLIENT) { /* that is cut short */
		if (!may_be_fragmented(p, v6))
			return exceeds(run, at, mtu_of_hop(run->hop, link), reason);
		left = REASON_LEFT_TO_FRAGMENT;
		link = NULL;
	}
	if (reason != REASON_NEW_FLOW) { /* else counted when it was written */
		at->half->seen = run->now;
		count_half(at->half, p->l3_bytes);
	}
	if (reason == REASON_REPLIED || reason == REASON_RESET_CLIENT)
		count_out(at->half->node, p->l3_bytes);
	else
		count_in(at->half->node, p->l3_bytes, reason == REASON_NEW_FLOW);
	if (is_tcp(p) && (!(flags & HALF_ESTABLISHED) || p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) &&
	    (reason != REASON_NEW_FLOW || p->tcp_flags & TCP_FIN)) /* what a SYN says was written with its flow */
		follow(run, at, v6);
	if (!rewrite_packet(p, at, v6))
		return ends_as(run, NOBODYS, REASON_TABLE_BUSY); /* the half that would say is another flow's */
	if (!link)
		return left;
	write_macs(p->l3 - ETH_HLEN, run->hop, link);
	run->way = way_to(ctx, run->hop, link);
	return reason;
}

/* No flow delivers this packet: a place without a half says so to the verifier, too. */
static __always_inline int ends_here(struct place *at, int reason)
{
	*at = (struct place){};
	return reason;
}

/* The same for what is refused or dropped. */
static __always_inline int turn_away(struct run *run, struct place *at, __u32 owner, int reason)
{
	return ends_here(at, ends_as(run, owner, reason));
}

/* A new flow takes the place of this one. */
static __always_inline int gives_way(struct run *run, struct place *at, const struct node *node, const bool v6)
{
	__u32 class = READ_ONCE(at->head->stamps[at->ref & SLOT_MASK]) & FLOW_CLASS_MASK;
	__u32 idle = idle_time(at->half, run->now, v6);

	run->p.admitted = class == FLOW_HALF_OPEN ? idle <= half_open_idle * hz : class == FLOW_UDP && idle <= node->udp_idle;
	return ends_here(at, MISS);
}

#define ACTIONS_THAT_END (ACTION_RESET_TCP | ACTION_DEADLINE)

/* Why a flow of this node is over; 0: it is not. */
static __always_inline int why_over(const struct node *node, bool tcp, __u32 now)
{
	if (tcp && READ_ONCE(node->status.actions) & ACTION_RESET_TCP)
		return REASON_NODE_DOWN;
	return past_deadline(node, now) ? REASON_DEADLINE : 0;
}

/* Closes a flow that is over, unless another has its slot meanwhile. */
static __always_inline void close_found(struct run *run, const struct place *at, const bool v6)
{
	if (v6)
		follow_tcp6(at->ref, FOLLOW_OVER | at->version << 8, 0, 0, run->now);
	else
		follow_tcp4(at->ref, FOLLOW_OVER | at->version << 8, 0, 0, run->now);
}

/* The client speaks on a TCP flow that may be over: it is told so. Its own RST is for the node. */
static __always_inline int end_of_request(struct run *run, struct place *at, const struct node *node, const bool v6)
{
	int reason = why_over(node, true, run->now);

	if (!reason || run->p.tcp_flags & TCP_RST)
		return REASON_FORWARDED;
	close_found(run, at, v6);
	return turn_away(run, at, owner_of(node->service), reason);
}

/*
 * The node speaks on a flow that may be over. Of TCP the client is told first, by the node's own segment
 * made an RST: its sequence number is what the client waits for. When the flow is closed already, and of
 * UDP, the node is told.
 */
static __always_inline int end_of_reply(struct run *run, struct place *at, const struct node *node, const bool v6)
{
	__u32 class = READ_ONCE(at->head->stamps[at->ref & SLOT_MASK]) & FLOW_CLASS_MASK;
	int reason = why_over(node, is_tcp(&run->p), run->now);

	if (!reason || run->p.tcp_flags & TCP_RST)
		return REASON_REPLIED;
	if (class != FLOW_HALF_OPEN && class != FLOW_ESTABLISHED)
		return turn_away(run, at, owner_of(node->service), reason);
	close_found(run, at, v6);
	return REASON_RESET_CLIENT;
}

/* Client to node: the hop is the node's. MISS: the flow gives way to a new one. */
static __always_inline int forward(struct run *run, struct place *at, const bool v6)
{
	__u32 node_id = at->half->node;
	struct node *node = bpf_map_lookup_elem(&nodes, &node_id);
	struct packet *p = &run->p;
	__u8 actions;

	if (!node)
		return turn_away(run, at, NOBODYS, REASON_BAD_SERVICE);
	run->hop = READ_ONCE(node->hop);
	actions = READ_ONCE(node->status.actions);
	if (is_tcp(p)) {
		if (is_syn(p) && is_superseded(at, IPPROTO_TCP, true, run->now, v6))
			return gives_way(run, at, node, v6);
		if (actions & ACTIONS_THAT_END)
			return end_of_request(run, at, node, v6);
	} else if ((actions & (ACTION_DEAD | ACTION_DEADLINE) || run->now - at->half->seen > hz) &&
		   is_superseded(at, IPPROTO_UDP, false, run->now, v6)) {
		return gives_way(run, at, node, v6);
	}
	return REASON_FORWARDED;
}

/* Node to client: the hop is where the client's packets came from. */
static __always_inline int backward(struct run *run, struct place *at, const bool v6)
{
	__u32 node_id = at->half->node;
	struct node *node = bpf_map_lookup_elem(&nodes, &node_id);

	if (!node)
		return turn_away(run, at, NOBODYS, REASON_BAD_SERVICE);
	run->hop = at->half->own.hop;
	if (READ_ONCE(node->status.actions) & ACTIONS_THAT_END)
		return end_of_reply(run, at, node, v6);
	return REASON_REPLIED;
}

/*
 * The flow of a packet, in either direction, and its next hop. Answers REASON_FORWARDED or
 * REASON_REPLIED; MISS when there is none; or why the packet ends here.
 */
static __always_inline int known_flow(struct run *run, struct place *at, const bool v6)
{
	if (!find_half(at, &run->p.key, run->hash, v6) || !unchanged(at, v6))
		return ends_here(at, MISS);
	if (run->p.ttl <= 1)
		return ends_here(at, REASON_TTL_EXPIRED);
	if (word_of(at->half, v6)->flags & HALF_FORWARD)
		return forward(run, at, v6);
	return backward(run, at, v6);
}

/*
 * Chooses the node of a new flow, c->node. Answers MISS, or why there is none. This, those of
 * pick_port() and open_flow() are functions of their own, verified once, and called one after the
 * other: so no one's part of the stack adds to another's.
 */
static __always_inline int pick_node(struct creation *c, __u32 service_id, const bool v6)
{
	struct service *service = bpf_map_lookup_elem(&services, &service_id);
	int chosen = 0;
	__u64 word;
	__u8 flags;

	if (!c || !service)
		return REASON_BAD_SERVICE;
	word = READ_ONCE(service->word);
	flags = service_flags(word);
	if (flags & SERVICE_FLAG_THROTTLE && !c->admitted && !may_open(c, service_id, v6))
		return REASON_THROTTLED;
	if (flags & SERVICE_FLAG_STICK)
		chosen = find_stick(c, service_id, v6);
	if (!chosen) {
		chosen = choose_node(service_id, word, &c->key, v6);
		if (chosen < 0)
			return -chosen;
		if (flags & SERVICE_FLAG_STICK)
			chosen = make_stick(c, service_id, chosen, v6);
	}
	c->node = chosen;
	return MISS;
}

__attribute__((noinline)) int pick_node4(struct creation *c, __u32 service_id)
{
	return pick_node(c, service_id, false);
}

__attribute__((noinline)) int pick_node6(struct creation *c, __u32 service_id)
{
	return pick_node(c, service_id, true);
}

/* Chooses the source port of a flow to c->node: c->reply. */
static __always_inline bool pick_port(struct creation *c, const bool v6)
{
	return v6 ? choose_port6(c) || find_port6(c) : choose_port4(c) || find_port4(c);
}

/* Creates a flow to c->node, from the port in c->reply. Answers as create_flow(). */
static __always_inline int open_flow(struct xdp_md *ctx, struct creation *c, const bool v6)
{
	if (!c)
		return REASON_BAD_SERVICE;
	c->hop = hop_of_sender(ctx);
	if (c->hop)
		c->hop |= (__u64)c->tags << HOP_TAGS_SHIFT;
	return create_flow(c, v6);
}

__attribute__((noinline)) int open_flow4(struct xdp_md *ctx, struct creation *c)
{
	return open_flow(ctx, c, false);
}

__attribute__((noinline)) int open_flow6(struct xdp_md *ctx, struct creation *c)
{
	return open_flow(ctx, c, true);
}

/* Finds a node and a port for a new flow, and creates it. Answers as create_flow(). */
static __always_inline int make_flow(struct xdp_md *ctx, struct creation *c, const bool v6)
{
	__u32 service_id = c->service;
	int reason;

	if (!take_node(c, service_id)) {
		reason = v6 ? pick_node6(c, service_id) : pick_node4(c, service_id);
		if (reason != MISS)
			return reason;
	}
	if (!pick_port(c, v6)) {
		drop_stick(c, service_id, v6);
		return REASON_NO_PORT;
	}
	return v6 ? open_flow6(ctx, c) : open_flow4(ctx, c);
}

/* For a SYN: finds its service, and has what it needs there if its flow is new. */
static __always_inline void look_ahead(const struct run *run, const bool v6)
{
	__u32 zero = 0;
	struct creation *c = bpf_map_lookup_elem(&creations, &zero);

	if (!c)
		return;
	c->service = find_service(&run->p.key, v6);
	c->foreseen = 0;
	if (c->service != NO_SERVICE)
		foresee(c, c->service, &run->p.key, run->hash, v6);
}

/* The first packet of a flow to a VIP. Answers as known_flow(), or REASON_NEW_FLOW. */
static __always_inline int new_flow(struct xdp_md *ctx, struct run *run, struct place *at, const bool v6)
{
	__u32 zero = 0, node_id;
	struct creation *c;
	struct node *node;
	int reason;

	c = bpf_map_lookup_elem(&creations, &zero);
	if (!c)
		return ends_as(run, NOBODYS, REASON_BAD_SERVICE);
	if (!may_open_tcp(&run->p)) { /* nobody has looked ahead */
		c->service = find_service(&run->p.key, v6);
		c->foreseen = 0;
	}
	if (c->service == NO_SERVICE)
		return REASON_NO_CONFIG;
	if (is_tcp(&run->p) && !may_open_tcp(&run->p))
		return ends_as(run, owner_of(c->service), REASON_FLOW_UNKNOWN);
	if (run->p.ttl <= 1)
		return REASON_TTL_EXPIRED;
	c->tags = 0;
	if (is_tagged(run->tags)) {
		c->tags = entry_of_tags(run->tags);
		if (!c->tags)
			return REASON_TAGS_FULL;
	}
	copy_addr(c->key.src, run->p.key.src, v6);
	copy_addr(c->key.dst, run->p.key.dst, v6);
	c->key.word = run->p.key.word;
	c->hash = run->hash;
	c->now = run->now;
	c->bytes = run->p.l3_bytes;
	c->admitted = run->p.admitted;
	reason = make_flow(ctx, c, v6);
	if (reason != REASON_NEW_FLOW && reason != MISS)
		return ends_as(run, owner_of(c->service), reason);
	if (!place_at(at, c->ref, v6) || !key_equals(at->head, at->ref & SLOT_MASK, &run->p.key, v6))
		return turn_away(run, at, owner_of(c->service), REASON_TABLE_BUSY); /* its slot has changed hands since the locks were dropped */
	node_id = at->half->node;
	node = bpf_map_lookup_elem(&nodes, &node_id);
	run->hop = node ? READ_ONCE(node->hop) : 0;
	return reason == MISS ? REASON_FORWARDED : REASON_NEW_FLOW; /* MISS: another CPU had made it */
}

/* The reason why a packet to one of our addresses meets its fate. */
static __always_inline int balance(struct xdp_md *ctx, struct run *run, const bool v6)
{
	struct place at;
	int reason;

	run->now = now_jiffies();
	run->p.admitted = false;
	run->hash = hash_tuple(&run->p.key, v6);
	if (may_open_tcp(&run->p))
		look_ahead(run, v6);
	reason = known_flow(run, &at, v6);
	if (reason == MISS)
		reason = new_flow(ctx, run, &at, v6);
	if (!at.half)
		return reason;
	return deliver(ctx, run, &at, reason, v6);
}
