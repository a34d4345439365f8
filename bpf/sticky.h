/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Stick entries: to which node a client of a service goes. They are looked at for new flows only. An
 * entry dies without being touched: with its time, with its node's generation, and, if the backups
 * made it, with their turn. What it names is user space's to say, by ACTION_STICK: so a drain honours
 * entries and a reject does not.
 */
#pragma once

#include "room.h"
#include "source_port.h"

#define STICK_TRIES 3 /* an entry may go, or come, between two steps */

/* Entry and policy as the words that one load reads. */
union stick_word {
	__u64 word;
	struct {
		__u32 node;
		__u16 generation;
		__u16 tier;
	};
};
_Static_assert(offsetof(struct stick_entry, born) == sizeof(union stick_word), "the word is what lies before born");

union stick_rule {
	__u64 word;
	struct stick_policy policy;
};

union status_word {
	__u64 word;
	struct node_status status;
};

static __always_inline void set_stick_key(struct stick_key *key, const struct creation *c, __u32 service, bool v6)
{
	*key = (struct stick_key){.service = service, .client[0] = c->key.src[0]};
	if (v6)
		copy_addr(key->client, c->key.src, true);
}

static __always_inline struct node *node_of(__u32 id)
{
	return bpf_map_lookup_elem(&nodes, &id);
}

/* Whether an entry's node is still what it was, and takes a new flow of a client that sticks to it. */
static __always_inline bool node_holds(union stick_word w, __u32 service)
{
	struct node *node = node_of(w.node);
	union status_word s;

	if (!node)
		return false;
	s.word = READ_ONCE(*(const __u64 *)&node->status);
	return s.status.actions & ACTION_STICK && s.status.generation == w.generation && node->service == service &&
	       !is_full(node, w.node) && !past_deadline(node, bpf_jiffies64());
}

static __always_inline bool entry_holds(union stick_word w, __u64 born, union stick_rule rule, __u32 service)
{
	return bpf_jiffies64() - born <= rule.policy.ttl && (!w.tier || w.tier == rule.policy.tier) && node_holds(w, service);
}

/* What an entry for a node that was just chosen holds. */
static __always_inline union stick_word fresh_word(__u32 node_id, union stick_rule rule)
{
	union stick_word w = {.node = node_id};
	struct node *node = node_of(node_id);
	union status_word s;

	if (!node)
		return w;
	s.word = READ_ONCE(*(const __u64 *)&node->status);
	w.generation = s.status.generation;
	w.tier = s.status.mode == MODE_BACKUP ? rule.policy.tier : 0;
	return w;
}

/*
 * The node that a new flow's client sticks to, or 0. c->stale is then the word of the entry that
 * does not hold, if there is one.
 */
__attribute__((noinline)) int find_stick(struct creation *c, __u32 service_id, bool v6)
{
	struct service *service = bpf_map_lookup_elem(&services, &service_id);
	struct stick_entry *entry;
	union stick_rule rule;
	union stick_word w;
	struct stick_key key;

	if (!c || !service)
		return 0;
	c->stale = 0;
	set_stick_key(&key, c, service_id, v6);
	entry = bpf_map_lookup_elem(&sticks, &key);
	if (!entry)
		return 0;
	rule.word = READ_ONCE(*(const __u64 *)&service->stick);
	w.word = READ_ONCE(*(const __u64 *)entry);
	if (!entry_holds(w, READ_ONCE(entry->born), rule, service_id)) {
		c->stale = w.word;
		return 0;
	}
	if (rule.policy.slides)
		WRITE_ONCE(entry->born, bpf_jiffies64());
	return w.node;
}

/*
 * Has the client stick to a node that was chosen for it. Answers that node, or the one that another
 * CPU has chosen for the same client meanwhile: its first connections often come together, by
 * several queues.
 *
 * An entry that does not hold is written over where it lies. The table may have given its place to
 * another client since it was looked up; if that one sticks to the same node, it moves to the new one.
 */
__attribute__((noinline)) int make_stick(struct creation *c, __u32 service_id, __u32 node_id, bool v6)
{
	struct service *service = bpf_map_lookup_elem(&services, &service_id);
	struct stick_entry *entry, fresh;
	union stick_rule rule;
	union stick_word w;
	struct stick_key key;

	if (!c || !service)
		return node_id;
	set_stick_key(&key, c, service_id, v6);
	rule.word = READ_ONCE(*(const __u64 *)&service->stick);
	w = fresh_word(node_id, rule);
	fresh = (struct stick_entry){.node = w.node, .generation = w.generation, .tier = w.tier, .born = bpf_jiffies64()};
	for (int i = 0; i < STICK_TRIES; i++) {
		if (!c->stale && !bpf_map_update_elem(&sticks, &key, &fresh, BPF_NOEXIST))
			return node_id;
		entry = bpf_map_lookup_elem(&sticks, &key);
		if (!entry) {
			c->stale = 0;
			continue;
		}
		w.word = READ_ONCE(*(const __u64 *)entry);
		if (entry_holds(w, READ_ONCE(entry->born), rule, service_id))
			return w.node;
		/* born first: of a word that another CPU sees, the time must not be the old one's */
		WRITE_ONCE(entry->born, fresh.born);
		c->stale = w.word;
		if (__sync_val_compare_and_swap((__u64 *)entry, w.word, *(const __u64 *)&fresh) == w.word)
			return node_id;
	}
	return node_id;
}

/* Lets go of a client whose node has no source port for it: its next connection is scheduled anew. */
__attribute__((noinline)) int drop_stick(struct creation *c, __u32 service_id, bool v6)
{
	struct stick_key key;

	if (!c)
		return 0;
	set_stick_key(&key, c, service_id, v6);
	return bpf_map_delete_elem(&sticks, &key);
}
