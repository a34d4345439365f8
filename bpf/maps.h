/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Every map of the program: what it holds, who writes it. All are pinned by name; those that are
 * mmap-able are read (and, where user space writes them, written) as memory, without system calls.
 * Entries given as 1 are set by the loader from the configuration.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"

/* Flow table, one bucket an entry, a power of two of them. Written by programs only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bucket4);
} flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bucket6);
} flows6 SEC(".maps");

/* (VIP, port, protocol) → service id, and each VIP alone. Written by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384); /* as many addresses as services */
	__type(key, struct vip_key);
	__type(value, __u32);
} vips SEC(".maps");

/*
 * Hash of an address, port and protocol → the service that was found there last: a guess that saves the
 * way through vips when service.vip proves it right. Written by the program.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, GUESSES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} guesses SEC(".maps");

/* Service id → table and policy in one word. Written by user space; the word is the commit. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct service);
} services SEC(".maps");

/* Service id → tickets, and where a search for room ended. Written by the program. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct service_live);
} services_live SEC(".maps");

/*
 * Service id → its packets that were refused or dropped. Written by the program, per CPU: 1.5 MiB on each. What is
 * forwarded is counted by node.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct service_stats);
} services_stats SEC(".maps");

/* Service id → names for people. Written by user space, never read by the program. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct service_info);
} services_info SEC(".maps");

/* Pool of scheduling tables, in words of four node ids or a column (SLOT_NODES). Written by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, POOL_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} slots SEC(".maps");

/* Node id → address, next hop, status. Written by user space. Id 0 is never used. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NODES_MAX);
	__type(key, __u32);
	__type(value, struct node);
} nodes SEC(".maps");

/* Node id → live counts. Written by the program. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NODES_MAX);
	__type(key, __u32);
	__type(value, struct node_live);
} nodes_live SEC(".maps");

/* Node id → traffic. Written by the program, per CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NODES_MAX);
	__type(key, __u32);
	__type(value, struct node_stats);
} nodes_stats SEC(".maps");

/* Node id → label for people. Written by user space, never read by the program. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NODES_MAX);
	__type(key, __u32);
	__type(value, struct node_info);
} nodes_info SEC(".maps");

/*
 * (service, client) → the node that the client sticks to. Written by the program; user space takes
 * entries away. The least recently used one leaves when there is no room.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct stick_key);
	__type(value, struct stick_entry);
} sticks SEC(".maps");

/* (group of services, client) → what the client has used of its rate. Written by the program. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct throttle_key);
	__type(value, struct throttle_entry);
} throttles SEC(".maps");

/* Node id → the connections that it fails. Written by the program. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NODES_MAX);
	__type(key, __u32);
	__type(value, struct node_trouble);
} nodes_trouble SEC(".maps");

/* Reports of connections that nodes have failed. Written by the program, read by the daemon: a ring buffer. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536); /* bytes: 2,730 reports */
} signals SEC(".maps");

/* Addresses that NAT sends from. Written by user space; an entry never changes while flows use it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SNATS_MAX);
	__type(key, __u32);
	__type(value, struct snat);
} snats SEC(".maps");

/*
 * A bit for the hash of each VIP and SNAT address: what misses it is not ours and costs nothing
 * more. Too many bits only cost time; a missing one loses traffic. Written by user space.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, OURS_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} ours SEC(".maps");

/* Interfaces that packets may leave by. Written by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LINKS_MAX);
	__type(key, __u32);
	__type(value, struct link_entry);
} links SEC(".maps");

/*
 * VLAN tags of clients' frames, for their replies; see HOP_TAGS_SHIFT. The program
 * claims entries, user space frees them when no flow needs them.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TAGS_MAX);
	__type(key, __u32);
	__type(value, vlan_tags);
} tags SEC(".maps");

/* The same interfaces as in links, for redirection. Written by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, LINKS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} tx_ports SEC(".maps");

/* (VIP, interface) → the MAC by which it is announced there. Written by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* most have none */
	__uint(max_entries, 4096);
	__type(key, struct announced_key);
	__type(value, struct announcement);
} announced SEC(".maps");

/* Datagram → what becomes of its later fragments. Written by the program; the least recently used leaves. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
} fragments SEC(".maps");

/* How many datagrams were sent on in fragments; their ids are made of it. Written by the program. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} datagrams SEC(".maps");

/* How flows of IPv4 and of IPv6 end. Written by the program and the sweep, per CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct flow_stats);
} flows_stats SEC(".maps");

/* Packets by reason. Written by the program, per CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reason_counters);
} reasons SEC(".maps");

/* Token bucket of refusals. Written by the program, per CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct refusal_bucket);
} refusals SEC(".maps");

/* What the tables were made with. Written by the loader, once. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct table_meta);
} meta SEC(".maps");
