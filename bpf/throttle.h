/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * How fast a client may open flows: a bucket of a second's worth of them for each client address (IPv6:
 * each /64), shared by the services of a group. Flows that exist are never looked at.
 */
#pragma once

#include "source_port.h"

#define EEXIST 17 /* asm-generic/errno-base.h */

#define THROTTLE_TRIES 4 /* another CPU may open a flow of the same client at the same time */

union throttle_rule {
	__u64 word;
	struct throttle_policy policy;
};

static __always_inline void set_throttle_key(struct throttle_key *key, const struct creation *c, __u32 group, bool v6)
{
	key->client = c->key.src[0];
	if (v6)
		key->client |= (__u64)c->key.src[1] << 32;
	key->group = group;
	key->family = v6 ? 6 : 4;
}

/*
 * Whether the client of a new flow may open it, and if so counts it. The bucket is a single number:
 * the moment until which all flows so far would have lasted, had they come one by one at the rate
 * (the virtual scheduling form of a leaky bucket, ITU-T I.371). A flow is allowed if this is less
 * than a second ahead with it.
 */
__attribute__((noinline)) int may_open(struct creation *c, __u32 service_id, bool v6)
{
	struct service *service = bpf_map_lookup_elem(&services, &service_id);
	const __u64 second = (__u64)hz << THROTTLE_TIME_SHIFT, now = bpf_jiffies64() << THROTTLE_TIME_SHIFT;
	struct throttle_entry *entry, fresh;
	union throttle_rule rule;
	struct throttle_key key;
	__u64 old, interval;

	if (!c || !service)
		return false;
	rule.word = READ_ONCE(*(const __u64 *)&service->throttle);
	if (!rule.policy.rate)
		return true;
	interval = second / rule.policy.rate;
	fresh.until = now + interval;
	set_throttle_key(&key, c, rule.policy.group, v6);
	for (int i = 0; i < THROTTLE_TRIES; i++) {
		entry = bpf_map_lookup_elem(&throttles, &key);
		if (!entry) {
			if (bpf_map_update_elem(&throttles, &key, &fresh, BPF_NOEXIST) != -EEXIST)
				return true; /* also when there is no room to remember it */
			continue;
		}
		old = READ_ONCE(entry->until);
		fresh.until = ((__s64)(old - now) > 0 ? old : now) + interval;
		if (fresh.until - now > second)
			return false;
		if (__sync_val_compare_and_swap(&entry->until, old, fresh.until) == old)
			return true;
	}
	return false;
}
